/*
 * Where the lines go: a file that all contexts of the process write to, each from a buffer of its
 * own and whole lines at a time, so that there is no lock. The first context that opens a file
 * writes the header, the last one that closes it the footer.
 */
#ifndef CONNLOG_OUT_H
#define CONNLOG_OUT_H

#include "apps/connlog/options.h"

#include <stdbool.h>
#include <stdint.h>

struct out;

/* NULL: it can't be opened, and errno says why. */
struct out *out_open(const struct connlog_options *o);

/* Writes what is left. NULL is closed already. */
void out_close(struct out *out);

/* One line. It is in the file when the buffer is full, or with the next out_flush(). What can't be
 * written is lost; that is said once on stderr, and its number when it is closed. */
void out_line(struct out *out, const struct line *l);
void out_flush(struct out *out);

#endif

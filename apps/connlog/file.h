/*
 * The file that the contexts of the process write to, each from a buffer of its own: the first
 * context that opens it writes the header, the last one that closes it the footer.
 */
#ifndef CONNLOG_FILE_H
#define CONNLOG_FILE_H

#include "apps/common/out.h"
#include "apps/connlog/options.h"

#include <stdbool.h>

struct file;

/* Opens `out`. NULL: it can't be opened or has no room for the header, and errno says why. */
struct file *file_open(struct out *out, const struct connlog_options *o);

/* Closes `out`, whose file is `f`. NULL is closed already. */
void file_close(struct file *f, struct out *out);

#endif

/* The args of connlog: words separated by spaces. */
#ifndef CONNLOG_OPTIONS_H
#define CONNLOG_OPTIONS_H

#include "apps/connlog/line.h"

#include <stdbool.h>
#include <stddef.h>

struct connlog_options {
    char file[256]; /* where to write; "": stdout */
    enum line_format format;
};

/*
 * Reads "file=PATH format=tsv|json", any of them, in any order.
 *
 *   returns  true, or false and what is wrong in `err`
 */
bool connlog_options_read(struct connlog_options *o, const char *args, char *err, size_t err_len);

#endif

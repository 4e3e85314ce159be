/*
 * The head of a response, and the short body of one that has no file: text only.
 */
#ifndef EPSERVER_RESPONSE_H
#define EPSERVER_RESPONSE_H

#include "apps/epserver/files.h"
#include "apps/epserver/path.h"

#include <stdbool.h>
#include <stddef.h>

/* What response_write needs at most: a path with every character escaped, twice, and headers. */
#define RESPONSE_HEAD_ROOM (PATH_ROOM * 3 + 1024)

struct response {
    unsigned status;
    bool is_head, keep_alive, is_http10;
    const struct file *file;  /* 200, 304: whose content it is; else NULL */
    const struct path *moved; /* 301: the directory's path; else NULL */
    const char *date;         /* now, HTTPDATE_LEN characters */
};

/* The body of one that has no file, which response_write writes: bytes. */
size_t response_message_len(const struct response *r);

/* Writes everything but a file's content; the number of bytes. */
size_t response_write(const struct response *r, char out[RESPONSE_HEAD_ROOM]);

#endif

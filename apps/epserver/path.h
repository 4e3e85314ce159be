/*
 * From a request target (RFC 9112 3.2) to a path below the served directory: percent-decoded, dot
 * segments resolved, never above the root. Text only: what the path leads to is files.c's.
 */
#ifndef EPSERVER_PATH_H
#define EPSERVER_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define PATH_ROOM 4096

struct path {
    size_t len;
    bool is_dir;          /* the target ends in a slash */
    char name[PATH_ROOM]; /* relative, without leading or trailing slash; "" is the root; NUL-ended
                           */
};

/*
 * Reads the target of `len` bytes: "/x?query" or "http://host/x".
 *
 *   returns  0; -EINVAL not a path, a bad escape, or a NUL; -EACCES it climbs above the root;
 *            -ENAMETOOLONG
 */
int path_parse(struct path *p, const char *target, size_t len);

#endif

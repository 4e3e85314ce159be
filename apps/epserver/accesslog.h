/*
 * The access log, in the common log format: one line per response, when it is over.
 *
 *     10.9.0.1 - - [27/Nov/2026:05:43:40 +0000] "GET /x HTTP/1.1" 200 2326
 *
 * The number is the bytes of content that were handed to TCP; "-" for none. Each worker collects
 * lines and writes whole ones, appending, to a descriptor that all share.
 */
#ifndef EPSERVER_ACCESSLOG_H
#define EPSERVER_ACCESSLOG_H

#include "apps/epserver/request.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Of a line: a target with every character escaped, and the rest. */
#define ACCESSLOG_LINE_ROOM (REQUEST_TARGET_MAX * 4 + 256)
#define ACCESSLOG_ROOM      65536

struct accesslog {
    int fd;          /* -1: there is none */
    uint64_t n_lost; /* lines that could not be written */
    int err;         /* why: errno */
    size_t len;
    time_t date_at;
    char date[32];
    char buf[ACCESSLOG_ROOM];
};

/* What a line says besides the time and the bytes. */
struct access {
    const struct sockaddr_in6 *peer; /* IPv4 mapped; NULL: not known */
    const char *method;
    const char *target; /* as it was received, up to where it was */
    size_t target_len;  /* 0: not even that came */
    unsigned http_major, http_minor;
    bool has_version; /* the request was whole */
    unsigned status;
};

/* A descriptor for `path`, created when it is not there, or -errno. */
int accesslog_open(const char *path);

void accesslog_init(struct accesslog *log, int fd);

/* Writes a line up to where the bytes follow; its length. */
size_t accesslog_begin(struct accesslog *log, char out[ACCESSLOG_LINE_ROOM], const struct access *a,
                       time_t now);

/* Takes a line that accesslog_begin began. */
void accesslog_add(struct accesslog *log, const char *line, size_t len, uint64_t n_bytes);

/* Writes what has been collected. */
void accesslog_flush(struct accesslog *log);

#endif

/*
 * Where plugins write lines: whole ones, also when several cores have the same file open, gathered
 * and written together. Numbers and texts are put without printf: a line may belong to each
 * request.
 */
#ifndef APPS_COMMON_OUT_H
#define APPS_COMMON_OUT_H

#include <mtcp_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUT_LINE_MAX 8192

struct out {
    int fd;
    uint64_t n_lost; /* lines that could not be written */
    char name[320];  /* whose and which, for what is said of it */
    size_t len;
    char buf[65536];
};

/* Begins. `path` is opened for appending; "": standard output. False and errno on failure. `who`
 * writes: that a line is lost is said on stderr, once, and out_close() says how many were. */
bool out_open(struct out *o, const char *who, const char *path);
void out_close(struct out *o);   /* flushes; nothing if fd is -1, or all is zero */
void out_abandon(struct out *o); /* ... does not, and says nothing */

/* Room for one line of at most OUT_LINE_MAX bytes; then where it ends: a newline is added. */
char *out_line(struct out *o);
void out_line_end(struct out *o, char *end);

/* Writes what is gathered. False and errno: some of it is lost; a line that was cut ends there. */
bool out_flush(struct out *o);

/* The same of the first lines, without which there is no point in others: says nothing of a
 * failure, which is the caller's to tell. */
bool out_flush_first(struct out *o);

/* Each writes at `at` and returns where it ended. */
char *put_text(char *at, const char *text);
char *put_u64(char *at, uint64_t n);
char *put_us(char *at, uint64_t us); /* seconds with six digits behind the point */

/* What came from outside: of n bytes at most `max`, and "..." for the rest; spaces, control
 * characters, backslashes and what is not ASCII as \xNN: at most 4 * max + 3 bytes. Nothing: "-".
 */
char *put_foreign(char *at, const char *text, size_t n, size_t max);

/* "10.0.0.1:80", "[fd00::1]:80" of one side of a connection; "-" when it is not known. */
char *put_addr(char *at, mctx_t mctx, int sock, int side);
#define PUT_ADDR_MAX 64

#endif

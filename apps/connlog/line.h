/* A line of the log, and what stands before and after the lines: as Zeek writes its conn.log. */
#ifndef CONNLOG_LINE_H
#define CONNLOG_LINE_H

#include "apps/connlog/record.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* No line, header or footer is longer. */
#define LINE_MAX_BYTES 1024

enum line_format { LINE_TSV, LINE_JSON };

/* A connection that is over. */
struct line {
    uint64_t start_us;    /* of the first segment, since 1970 */
    uint64_t duration_us; /* 0: there was one segment only, or all at once */
    char uid[24];
    char addr[2][INET6_ADDRSTRLEN]; /* enum record_who */
    uint16_t port[2];
    const char *service; /* NULL: not known */
    int local;           /* enum record_who: which is this host; -1: not known */
    const struct record *record;
};

/* Each writes to `out`, which has room for LINE_MAX_BYTES, and returns how many bytes. JSON has
 * neither header nor footer: 0. */
size_t line_write(enum line_format format, const struct line *l, char *out);
size_t line_header(enum line_format format, time_t now, char *out);
size_t line_footer(enum line_format format, time_t now, char *out);

/* A name for a connection that no other has: 'C' and 17 digits of base 62. */
void line_uid(char uid[24], uint64_t seed, uint64_t number);

#endif

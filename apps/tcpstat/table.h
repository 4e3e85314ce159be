/*
 * Connections as rows of numbers, the first so many by any column. One table of columns says what
 * there is to see: the screen, the text and the JSON are made from it.
 */
#ifndef TCPSTAT_TABLE_H
#define TCPSTAT_TABLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows that a table keeps, at most. */
#define TABLE_ROWS 200

/* "To" a side is what was sent to it. */
enum column {
    COLUMN_CLIENT,
    COLUMN_SERVER,
    COLUMN_STATE,
    COLUMN_AGE,
    COLUMN_TO_CLI,
    COLUMN_TO_SVR,
    COLUMN_HANDSHAKE,
    COLUMN_RTT_CLI,
    COLUMN_RTT_SVR,
    COLUMN_AGAIN,
    COLUMN_FAST,
    COLUMN_TIMER,
    COLUMN_SPURIOUS,
    COLUMN_CONTROL,
    COLUMN_OUT_OF_ORDER,
    COLUMN_ZERO_WINDOW,
    COLUMN_UNREAD_CLI,
    COLUMN_UNREAD_SVR,
    COLUMNS,
};

struct row_host {
    uint8_t addr[16]; /* of IPv4 the last four */
    uint16_t port;
    bool is_v4;
};

struct row {
    struct row_host host[2]; /* COLUMN_CLIENT, COLUMN_SERVER */
    uint8_t state[2];        /* enum tcpstate, of both */
    uint64_t value[COLUMNS]; /* of the columns from COLUMN_AGE on; times in us */
};

struct table {
    unsigned n;
    enum column by;
    bool is_ascending;
    struct row row[2 * TABLE_ROWS];
};

void table_init(struct table *t, enum column by, bool is_ascending);

/* Takes a row in, unless there are TABLE_ROWS before it. */
void table_add(struct table *t, const struct row *r);

/* Sorts, and leaves the first TABLE_ROWS. */
void table_sort(struct table *t);

/* The name of a column in JSON and args; the heading, how wide, and whether its text begins at the
 * left. */
const char *column_name(enum column c);
const char *column_title(enum column c);
int column_width(enum column c);
bool column_is_text(enum column c);

/* The column of a name; false: there is none. */
bool column_find(const char *name, enum column *c);

/* What stands in a column, for people: at most column_width() characters unless it is an address.
 * `out` has room for ROW_TEXT_MAX. */
#define ROW_TEXT_MAX (INET6_ADDRSTRLEN + 10)
void row_text(const struct row *r, enum column c, char *out);

#endif

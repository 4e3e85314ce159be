#include "apps/tcpstat/table.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_ADDRESS, KIND_STATE, KIND_SECONDS, KIND_MILLIS, KIND_BYTES, KIND_COUNT };

static const struct {
    const char *name, *title;
    int width;
    enum kind kind;
} columns[COLUMNS] = {
    [COLUMN_CLIENT] = {"client", "client", 21, KIND_ADDRESS},
    [COLUMN_SERVER] = {"server", "server", 21, KIND_ADDRESS},
    [COLUMN_STATE] = {"state", "state", 11, KIND_STATE},
    [COLUMN_AGE] = {"age_us", "age s", 7, KIND_SECONDS},
    [COLUMN_TO_CLI] = {"bytes_to_cli", ">cli", 6, KIND_BYTES},
    [COLUMN_TO_SVR] = {"bytes_to_svr", ">svr", 6, KIND_BYTES},
    [COLUMN_HANDSHAKE] = {"handshake_us", "shake", 7, KIND_MILLIS},
    [COLUMN_RTT_CLI] = {"rtt_cli_us", "rtt cli", 7, KIND_MILLIS},
    [COLUMN_RTT_SVR] = {"rtt_svr_us", "rtt svr", 7, KIND_MILLIS},
    [COLUMN_AGAIN] = {"again", "again", 6, KIND_COUNT},
    [COLUMN_FAST] = {"fast", "fast", 6, KIND_COUNT},
    [COLUMN_TIMER] = {"timer", "timer", 6, KIND_COUNT},
    [COLUMN_SPURIOUS] = {"spurious", "spur", 6, KIND_COUNT},
    [COLUMN_CONTROL] = {"control", "ctrl", 5, KIND_COUNT},
    [COLUMN_OUT_OF_ORDER] = {"out_of_order", "ooo", 6, KIND_COUNT},
    [COLUMN_ZERO_WINDOW] = {"zero_window", "wnd0", 5, KIND_COUNT},
    [COLUMN_UNREAD_CLI] = {"unread_cli", "buf cli", 7, KIND_BYTES},
    [COLUMN_UNREAD_SVR] = {"unread_svr", "buf svr", 7, KIND_BYTES},
};

/* ---- order ---- */

static int host_compare(const struct row_host *a, const struct row_host *b)
{
    int order = memcmp(a->addr, b->addr, sizeof(a->addr));

    return order != 0 ? order : a->port - b->port;
}

static int value_compare(const struct row *a, const struct row *b, enum column by)
{
    if (by == COLUMN_CLIENT || by == COLUMN_SERVER)
        return host_compare(&a->host[by], &b->host[by]);
    if (by == COLUMN_STATE)
        return memcmp(a->state, b->state, sizeof(a->state));
    return (a->value[by] > b->value[by]) - (a->value[by] < b->value[by]);
}

/* Rows that are alike in the column stand in the order of their addresses: they stay where they
 * are from one picture to the next. */
static int row_compare(const void *left, const void *right, void *table)
{
    const struct row *a = left, *b = right;
    const struct table *t = table;
    int order = value_compare(a, b, t->by);

    if (order != 0)
        return t->is_ascending ? order : -order;
    order = host_compare(&a->host[0], &b->host[0]);
    return order != 0 ? order : host_compare(&a->host[1], &b->host[1]);
}

void table_init(struct table *t, enum column by, bool is_ascending)
{
    t->n = 0;
    t->by = by;
    t->is_ascending = is_ascending;
}

void table_sort(struct table *t)
{
    qsort_r(t->row, t->n, sizeof(t->row[0]), row_compare, t);
    if (t->n > TABLE_ROWS)
        t->n = TABLE_ROWS;
}

void table_add(struct table *t, const struct row *r)
{
    if (t->n == 2 * TABLE_ROWS)
        table_sort(t);
    t->row[t->n++] = *r;
}

/* ---- text ---- */

const char *column_name(enum column c)
{
    return columns[c].name;
}

const char *column_title(enum column c)
{
    return columns[c].title;
}

int column_width(enum column c)
{
    return columns[c].width;
}

bool column_is_text(enum column c)
{
    return columns[c].kind == KIND_ADDRESS || columns[c].kind == KIND_STATE;
}

bool column_find(const char *name, enum column *c)
{
    for (int i = 0; i < COLUMNS; i++)
        if (strcmp(name, columns[i].name) == 0) {
            *c = (enum column)i;
            return true;
        }
    return false;
}

static void address_text(const struct row_host *h, char *out)
{
    char addr[INET6_ADDRSTRLEN] = "?";

    inet_ntop(h->is_v4 ? AF_INET : AF_INET6, h->is_v4 ? h->addr + 12 : h->addr, addr, sizeof(addr));
    snprintf(out, ROW_TEXT_MAX, h->is_v4 ? "%s:%u" : "[%s]:%u", addr, h->port);
}

/* Both sides' states, client first, in five letters each. */
static void state_text(const struct row *r, char *out)
{
    static const char *const names[] = {"CLOSE", "LISTN", "SYN_S", "SYN_R", "ESTAB", "FIN_1",
                                        "FIN_2", "CL_WT", "CLSNG", "L_ACK", "TIM_W"};
    const unsigned n = sizeof(names) / sizeof(names[0]);

    snprintf(out, ROW_TEXT_MAX, "%s/%s", r->state[0] < n ? names[r->state[0]] : "?",
             r->state[1] < n ? names[r->state[1]] : "?");
}

/* In at most `width` characters: 12345, 123K, 12M, ... */
static void scaled_text(uint64_t n, uint64_t unit, int width, char *out)
{
    static const char letters[] = " KMGTPE";
    int i = 0;

    while (snprintf(out, ROW_TEXT_MAX, "%" PRIu64 "%.*s", n, i > 0, &letters[i]) > width) {
        n /= unit;
        i++;
    }
}

/* In units of unit_us: below 100 ms to the microsecond, else with tenths when there is room. */
static void time_text(uint64_t us, uint64_t unit_us, int width, char *out)
{
    if (us < 100 * unit_us && unit_us == 1000)
        snprintf(out, ROW_TEXT_MAX, "%u.%03u", (unsigned)(us / 1000), (unsigned)(us % 1000));
    else if (snprintf(out, ROW_TEXT_MAX, "%" PRIu64 ".%u", us / unit_us,
                      (unsigned)(us % unit_us / (unit_us / 10))) > width)
        snprintf(out, ROW_TEXT_MAX, "%" PRIu64, us / unit_us);
}

void row_text(const struct row *r, enum column c, char *out)
{
    uint64_t v = r->value[c];

    switch (columns[c].kind) {
    case KIND_ADDRESS:
        address_text(&r->host[c], out);
        break;
    case KIND_STATE:
        state_text(r, out);
        break;
    case KIND_SECONDS:
        time_text(v, 1000000, columns[c].width, out);
        break;
    case KIND_MILLIS:
        if (v == 0)
            strcpy(out, "-");
        else
            time_text(v, 1000, columns[c].width, out);
        break;
    case KIND_BYTES:
        scaled_text(v, 1024, columns[c].width, out);
        break;
    case KIND_COUNT:
        scaled_text(v, 1000, columns[c].width, out);
        break;
    }
}

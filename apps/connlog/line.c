#include "apps/connlog/line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define UID_DIGITS 17

struct text {
    char *at;
    size_t n;
    enum line_format format;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(t->at + t->n, LINE_MAX_BYTES - t->n, format, args);
    va_end(args);
    if (n > 0)
        t->n += (size_t)n;
    if (t->n >= LINE_MAX_BYTES)
        t->n = LINE_MAX_BYTES - 1;
}

/* ---- values: each writes nothing when there is none ---- */

/* No string here has a character that JSON or TSV would have to escape. */
static void put_string(struct text *t, const char *s)
{
    put(t, t->format == LINE_JSON ? "\"%s\"" : "%s", s);
}

static void put_seconds(struct text *t, uint64_t us)
{
    put(t, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

static void put_count(struct text *t, uint64_t n)
{
    put(t, "%" PRIu64, n);
}

static void put_bool(struct text *t, bool is_true)
{
    if (t->format == LINE_JSON)
        put(t, "%s", is_true ? "true" : "false");
    else
        put(t, "%c", is_true ? 'T' : 'F');
}

/* ---- columns ---- */

static void put_ts(struct text *t, const struct line *l)
{
    put_seconds(t, l->start_us);
}

static void put_uid(struct text *t, const struct line *l)
{
    put_string(t, l->uid);
}

static void put_orig_h(struct text *t, const struct line *l)
{
    put_string(t, l->addr[ORIGINATOR]);
}

static void put_orig_p(struct text *t, const struct line *l)
{
    put_count(t, l->port[ORIGINATOR]);
}

static void put_resp_h(struct text *t, const struct line *l)
{
    put_string(t, l->addr[RESPONDER]);
}

static void put_resp_p(struct text *t, const struct line *l)
{
    put_count(t, l->port[RESPONDER]);
}

static void put_proto(struct text *t, const struct line *l)
{
    (void)l;
    put_string(t, "tcp");
}

static void put_service(struct text *t, const struct line *l)
{
    if (l->service != NULL)
        put_string(t, l->service);
}

static void put_duration(struct text *t, const struct line *l)
{
    if (l->duration_us > 0)
        put_seconds(t, l->duration_us);
}

/* Zeek has bytes only where there is a duration. */
static void put_orig_bytes(struct text *t, const struct line *l)
{
    if (l->duration_us > 0)
        put_count(t, record_bytes(l->record, ORIGINATOR));
}

static void put_resp_bytes(struct text *t, const struct line *l)
{
    if (l->duration_us > 0)
        put_count(t, record_bytes(l->record, RESPONDER));
}

static void put_conn_state(struct text *t, const struct line *l)
{
    put_string(t, record_state(l->record));
}

static void put_local_orig(struct text *t, const struct line *l)
{
    if (l->local >= 0)
        put_bool(t, l->local == ORIGINATOR);
}

static void put_local_resp(struct text *t, const struct line *l)
{
    if (l->local >= 0)
        put_bool(t, l->local == RESPONDER);
}

static void put_missed(struct text *t, const struct line *l)
{
    put_count(t, l->record->missed);
}

static void put_history(struct text *t, const struct line *l)
{
    if (l->record->n_history > 0)
        put_string(t, l->record->history);
}

static void put_orig_pkts(struct text *t, const struct line *l)
{
    put_count(t, l->record->host[ORIGINATOR].n_pkts);
}

static void put_orig_ip_bytes(struct text *t, const struct line *l)
{
    put_count(t, l->record->host[ORIGINATOR].n_ip_bytes);
}

static void put_resp_pkts(struct text *t, const struct line *l)
{
    put_count(t, l->record->host[RESPONDER].n_pkts);
}

static void put_resp_ip_bytes(struct text *t, const struct line *l)
{
    put_count(t, l->record->host[RESPONDER].n_ip_bytes);
}

static const struct column {
    const char *name, *type;
    void (*put)(struct text *t, const struct line *l);
} columns[] = {
    {"ts", "time", put_ts},
    {"uid", "string", put_uid},
    {"id.orig_h", "addr", put_orig_h},
    {"id.orig_p", "port", put_orig_p},
    {"id.resp_h", "addr", put_resp_h},
    {"id.resp_p", "port", put_resp_p},
    {"proto", "enum", put_proto},
    {"service", "string", put_service},
    {"duration", "interval", put_duration},
    {"orig_bytes", "count", put_orig_bytes},
    {"resp_bytes", "count", put_resp_bytes},
    {"conn_state", "string", put_conn_state},
    {"local_orig", "bool", put_local_orig},
    {"local_resp", "bool", put_local_resp},
    {"missed_bytes", "count", put_missed},
    {"history", "string", put_history},
    {"orig_pkts", "count", put_orig_pkts},
    {"orig_ip_bytes", "count", put_orig_ip_bytes},
    {"resp_pkts", "count", put_resp_pkts},
    {"resp_ip_bytes", "count", put_resp_ip_bytes},
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* ---- lines ---- */

static void put_tsv(struct text *t, const struct line *l)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        size_t before = t->n;
        columns[i].put(t, l);
        if (t->n == before)
            put(t, "-");
        put(t, "%c", i + 1 < N_COLUMNS ? '\t' : '\n');
    }
}

/* What has no value is left out, as Zeek does. */
static void put_json(struct text *t, const struct line *l)
{
    put(t, "{");
    for (size_t i = 0; i < N_COLUMNS; i++) {
        size_t before = t->n;
        put(t, "%s\"%s\":", t->n > 1 ? "," : "", columns[i].name);
        size_t value = t->n;
        columns[i].put(t, l);
        if (t->n == value)
            t->n = before;
    }
    put(t, "}\n");
}

size_t line_write(enum line_format format, const struct line *l, char *out)
{
    struct text t = {.at = out, .format = format};

    if (format == LINE_TSV)
        put_tsv(&t, l);
    else
        put_json(&t, l);
    return t.n;
}

static void put_time(struct text *t, const char *what, time_t now)
{
    char when[32];
    struct tm tm;

    localtime_r(&now, &tm);
    strftime(when, sizeof(when), "%Y-%m-%d-%H-%M-%S", &tm);
    put(t, "#%s\t%s\n", what, when);
}

size_t line_header(enum line_format format, time_t now, char *out)
{
    struct text t = {.at = out, .format = format};

    if (format != LINE_TSV)
        return 0;
    put(&t, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
            "#path\tconn\n");
    put_time(&t, "open", now);
    put(&t, "#fields");
    for (size_t i = 0; i < N_COLUMNS; i++)
        put(&t, "\t%s", columns[i].name);
    put(&t, "\n#types");
    for (size_t i = 0; i < N_COLUMNS; i++)
        put(&t, "\t%s", columns[i].type);
    put(&t, "\n");
    return t.n;
}

size_t line_footer(enum line_format format, time_t now, char *out)
{
    struct text t = {.at = out, .format = format};

    if (format == LINE_TSV)
        put_time(&t, "close", now);
    return t.n;
}

/* ---- names ---- */

/* A permutation of the 64-bit numbers that looks random (the finalizer of MurmurHash3). */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

void line_uid(char uid[24], uint64_t seed, uint64_t number)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint64_t half[2] = {mix(seed + number), mix(~seed - number)};

    uid[0] = 'C';
    for (int i = 0; i < UID_DIGITS; i++) {
        uint64_t *from = &half[i < 10 ? 0 : 1];
        uid[1 + i] = digits[*from % 62];
        *from /= 62;
    }
    uid[1 + UID_DIGITS] = '\0';
}

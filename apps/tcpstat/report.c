#include "apps/tcpstat/report.h"

#include <inttypes.h>
#include <mtcp_api.h>

static const struct {
    const char *name, *title;
} counts[COUNT_KINDS] = {
    [COUNT_SEGMENTS] = {"segments", "segments"},
    [COUNT_BYTES] = {"bytes", "bytes of payload"},
    [COUNT_AGAIN_CONTROL] = {"again_control", "again: SYN, FIN"},
    [COUNT_AGAIN_FAST] = {"again_fast", "again: duplicate ACKs"},
    [COUNT_AGAIN_TIMER] = {"again_timer", "again: timer"},
    [COUNT_AGAIN_SPURIOUS] = {"again_spurious", "again: for nothing"},
    [COUNT_OUT_OF_ORDER] = {"out_of_order", "out of order"},
    [COUNT_DUP_ACKS] = {"dup_acks", "duplicate ACKs"},
    [COUNT_ZERO_WINDOW] = {"zero_window", "zero windows"},
    [COUNT_PROBES] = {"probes", "probes"},
};

static const struct {
    const char *name;
    uint32_t per_million;
} percentiles[] = {{"p50", 500000}, {"p90", 900000}, {"p99", 990000}};

#define N_PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

/* ---- text ---- */

static void text_histogram(FILE *out, const char *title, const struct histogram *h)
{
    fprintf(out, "%-22s", title);
    if (h->n == 0) {
        fprintf(out, " none\n");
        return;
    }
    fprintf(out, " n %" PRIu64 "  min %.3f", h->n, (double)h->min / 1000);
    for (size_t i = 0; i < N_PERCENTILES; i++)
        fprintf(out, "  %s %.3f", percentiles[i].name,
                (double)histogram_percentile(h, percentiles[i].per_million) / 1000);
    fprintf(out, "  max %.3f ms\n", (double)h->max / 1000);
}

static void text_totals(FILE *out, const struct totals *t)
{
    fprintf(out, "connections            %" PRIu64 " begun, %" PRIu64 " ended\n", t->n_begun,
            t->n_ended);
    fprintf(out, "%-22s %15s %15s\n", "", "clients sent", "servers sent");
    for (int i = 0; i < COUNT_KINDS; i++)
        fprintf(out, "%-22s %15" PRIu64 " %15" PRIu64 "\n", counts[i].title,
                t->count[MOS_SIDE_CLI][i], t->count[MOS_SIDE_SVR][i]);
    text_histogram(out, "handshake", &t->handshake);
    text_histogram(out, "round trip to clients", &t->rtt[MOS_SIDE_CLI]);
    text_histogram(out, "round trip to servers", &t->rtt[MOS_SIDE_SVR]);
}

static void text_cell(FILE *out, enum column c, const char *text)
{
    int width = column_width(c);

    fprintf(out, "%s%*s", c > 0 ? " " : "", column_is_text(c) ? -width : width, text);
}

static void text_table(FILE *out, const struct table *t, unsigned n)
{
    char text[ROW_TEXT_MAX];

    for (int c = 0; c < COLUMNS && n > 0; c++)
        text_cell(out, (enum column)c, column_title((enum column)c));
    for (unsigned i = 0; i < n; i++) {
        putc('\n', out);
        for (int c = 0; c < COLUMNS; c++) {
            row_text(&t->row[i], (enum column)c, text);
            text_cell(out, (enum column)c, text);
        }
    }
    putc('\n', out);
}

/* ---- JSON ---- */

static void json_histogram(FILE *out, const char *name, const struct histogram *h)
{
    fprintf(out, ",\"%s\":{\"n\":%" PRIu64, name, h->n);
    if (h->n > 0) {
        fprintf(out, ",\"min\":%" PRIu64 ",\"max\":%" PRIu64 ",\"sum\":%" PRIu64, h->min, h->max,
                h->sum);
        for (size_t i = 0; i < N_PERCENTILES; i++)
            fprintf(out, ",\"%s\":%" PRIu64, percentiles[i].name,
                    histogram_percentile(h, percentiles[i].per_million));
    }
    putc('}', out);
}

static void json_counts(FILE *out, const char *name, const uint64_t *count)
{
    fprintf(out, ",\"%s\":{", name);
    for (int i = 0; i < COUNT_KINDS; i++)
        fprintf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", counts[i].name, count[i]);
    putc('}', out);
}

static void json_row(FILE *out, const struct row *r)
{
    char text[ROW_TEXT_MAX];

    putc('{', out);
    for (int c = 0; c < COLUMNS; c++) {
        fprintf(out, "%s\"%s\":", c > 0 ? "," : "", column_name((enum column)c));
        row_text(r, (enum column)c, text);
        if (column_is_text((enum column)c))
            fprintf(out, "\"%s\"", text);
        else
            fprintf(out, "%" PRIu64, r->value[c]);
    }
    putc('}', out);
}

static void json_write(FILE *out, const struct totals *totals, const struct table *t, unsigned n)
{
    fprintf(out, "{\"begun\":%" PRIu64 ",\"ended\":%" PRIu64, totals->n_begun, totals->n_ended);
    json_counts(out, "clients_sent", totals->count[MOS_SIDE_CLI]);
    json_counts(out, "servers_sent", totals->count[MOS_SIDE_SVR]);
    json_histogram(out, "handshake_us", &totals->handshake);
    json_histogram(out, "rtt_cli_us", &totals->rtt[MOS_SIDE_CLI]);
    json_histogram(out, "rtt_svr_us", &totals->rtt[MOS_SIDE_SVR]);
    fprintf(out, ",\"connections\":[");
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            putc(',', out);
        json_row(out, &t->row[i]);
    }
    fprintf(out, "]}\n");
}

void report_write(FILE *out, enum report_format format, const struct totals *totals,
                  const struct table *table, unsigned n)
{
    if (n > table->n)
        n = table->n;
    if (format == REPORT_JSON) {
        json_write(out, totals, table, n);
        return;
    }
    text_totals(out, totals);
    text_table(out, table, n);
}

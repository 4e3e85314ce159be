#include "apps/epclient/report.h"

typedef unsigned long long ull;

static const struct {
    const char *text, *key;
} outcome_names[OUTCOMES] = {
    [DONE] = {"done", "done"},
    [FAILED_REFUSED] = {"connection refused", "refused"},
    [FAILED_UNREACHABLE] = {"host unreachable", "unreachable"},
    [FAILED_CONNECT] = {"connection timed out", "connect_timeout"},
    [FAILED_TIMEOUT] = {"no answer in time", "timeout"},
    [FAILED_LATE] = {"no connection free in time", "late"},
    [FAILED_RESET] = {"connection reset", "reset"},
    [FAILED_CLOSED] = {"response ended early", "closed"},
    [FAILED_RESPONSE] = {"not a response", "response"},
    [FAILED_STATUS] = {"status is not 2xx", "status"},
    [FAILED_LENGTH] = {"another length than the first", "length"},
    [FAILED_HASH] = {"another content than expected", "hash"},
    [FAILED_OUTPUT] = {"content can't be written", "output"},
    [FAILED_LOCAL] = {"no socket, port or memory here", "local"},
};

static const struct {
    const char *name;
    uint32_t per_million;
} points[] = {
    {"p50", 500000}, {"p90", 900000}, {"p99", 990000}, {"p99.9", 999000}, {"p99.99", 999900},
};
#define N_POINTS (sizeof(points) / sizeof(points[0]))

static double seconds_of(const struct results *r)
{
    return r->ended_us > r->begun_us ? (double)(r->ended_us - r->begun_us) / 1e6 : 1e-6;
}

static uint64_t mean_of(const struct histogram *h)
{
    return h->n > 0 ? h->sum / h->n : 0;
}

/* ---- text ---- */

static void requests_print(FILE *to, const struct results *r, const struct args *a,
                           bool is_interrupted)
{
    fprintf(to, "requests %llu", (ull)r->outcomes[DONE]);
    if (a->total > 0)
        fprintf(to, " of %llu", (ull)a->total);
    fprintf(to, " in %.3f s over %llu connection%s%s\n", seconds_of(r), (ull)r->n_conns,
            r->n_conns == 1 ? "" : "s", is_interrupted ? ", interrupted" : "");
}

static void rate_print(FILE *to, const struct results *r, const struct args *a)
{
    double seconds = seconds_of(r);

    fprintf(to, "rate     %.1f requests/s", (double)r->outcomes[DONE] / seconds);
    if (a->rate > 0)
        fprintf(to, " of %llu", (ull)a->rate);
    fprintf(to, ", %.3f MB/s received, %.3f MB/s sent\n", (double)r->n_received / seconds / 1e6,
            (double)r->n_sent / seconds / 1e6);
}

static void latency_print(FILE *to, const struct histogram *h)
{
    if (h->n == 0)
        return;
    fprintf(to, "latency  min %llu  mean %llu", (ull)h->min, (ull)mean_of(h));
    for (size_t i = 0; i < N_POINTS; i++)
        fprintf(to, "  %s %llu", points[i].name,
                (ull)histogram_percentile(h, points[i].per_million));
    fprintf(to, "  max %llu us\n", (ull)h->max);
}

static void content_print(FILE *to, const struct results *r, const struct args *a)
{
    if (!r->has_content || (a->any_length && !a->is_hashed))
        return;
    fprintf(to, "content  ");
    if (!a->any_length)
        fprintf(to, "%llu bytes each%s", (ull)r->content_bytes, a->is_hashed ? ", " : "");
    if (a->is_hashed)
        fprintf(to, "XXH64 %016llx", (ull)r->content_hash);
    fprintf(to, "\n");
}

static void errors_print(FILE *to, const struct results *r)
{
    if (r->n_unfinished > 0)
        fprintf(to, "unfinished %llu\n", (ull)r->n_unfinished);
    fprintf(to, "errors   %llu\n", (ull)results_errors(r));
    for (int i = DONE + 1; i < OUTCOMES; i++)
        if (r->outcomes[i] > 0)
            fprintf(to, "         %llu %s\n", (ull)r->outcomes[i], outcome_names[i].text);
}

/* ---- JSON ---- */

static void json_string(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', to);
        fputc(*text, to); /* url_parse takes no control characters */
    }
    fputc('"', to);
}

static void json_latency(FILE *to, const struct histogram *h)
{
    fprintf(to, "\"latency_us\": {\"min\": %llu, \"mean\": %llu", h->n > 0 ? (ull)h->min : 0,
            (ull)mean_of(h));
    for (size_t i = 0; i < N_POINTS; i++)
        fprintf(to, ", \"%s\": %llu", points[i].name,
                (ull)histogram_percentile(h, points[i].per_million));
    fprintf(to, ", \"max\": %llu}", (ull)h->max);
}

static void json_content(FILE *to, const struct results *r, const struct args *a)
{
    if (!r->has_content)
        return;
    if (!a->any_length)
        fprintf(to, "\"content_bytes\": %llu, ", (ull)r->content_bytes);
    if (a->is_hashed)
        fprintf(to, "\"content_xxh64\": \"%016llx\", ", (ull)r->content_hash);
}

static void json_errors(FILE *to, const struct results *r)
{
    fprintf(to, "\"errors\": {\"all\": %llu", (ull)results_errors(r));
    for (int i = DONE + 1; i < OUTCOMES; i++)
        fprintf(to, ", \"%s\": %llu", outcome_names[i].key, (ull)r->outcomes[i]);
    fprintf(to, "}");
}

static void json_print(FILE *to, const struct results *r, const struct args *a, bool is_interrupted)
{
    double seconds = seconds_of(r);

    fprintf(to, "{\"host\": ");
    json_string(to, a->url.host);
    fprintf(to, ", \"path\": ");
    json_string(to, a->is_rpc ? "" : a->url.path);
    fprintf(to, ", \"total\": %llu, \"done\": %llu, \"unfinished\": %llu, \"connections\": %llu, ",
            (ull)a->total, (ull)r->outcomes[DONE], (ull)r->n_unfinished, (ull)r->n_conns);
    fprintf(to, "\"interrupted\": %s, \"seconds\": %.6f, \"rate\": %.3f, \"rate_wanted\": %llu, ",
            is_interrupted ? "true" : "false", seconds, (double)r->outcomes[DONE] / seconds,
            (ull)a->rate);
    fprintf(to, "\"bytes_received\": %llu, \"bytes_sent\": %llu, ", (ull)r->n_received,
            (ull)r->n_sent);
    json_content(to, r, a);
    json_latency(to, &r->latency);
    fprintf(to, ", ");
    json_errors(to, r);
    fprintf(to, "}\n");
}

void report_print(FILE *to, const struct results *r, const struct args *a, bool is_interrupted)
{
    if (a->is_json) {
        json_print(to, r, a, is_interrupted);
        return;
    }
    requests_print(to, r, a, is_interrupted);
    rate_print(to, r, a);
    latency_print(to, &r->latency);
    content_print(to, r, a);
    errors_print(to, r);
}

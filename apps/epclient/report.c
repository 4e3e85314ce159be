#include "apps/epclient/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const outcome_names[OUTCOMES] = {
    [DONE] = "done",
    [FAILED_REFUSED] = "connection refused",
    [FAILED_UNREACHABLE] = "host unreachable",
    [FAILED_TIMEOUT] = "timed out",
    [FAILED_RESET] = "connection reset",
    [FAILED_CLOSED] = "response ended early",
    [FAILED_RESPONSE] = "not a response",
    [FAILED_STATUS] = "status is not 2xx",
    [FAILED_LOCAL] = "no socket, port or memory here",
};

static uint64_t errors_count(const struct client *cl)
{
    uint64_t n = 0;

    for (int i = DONE + 1; i < OUTCOMES; i++)
        n += cl->outcomes[i];
    return n;
}

static void errors_print(const struct client *cl)
{
    printf("errors   %llu\n", (unsigned long long)errors_count(cl));
    for (int i = DONE + 1; i < OUTCOMES; i++)
        if (cl->outcomes[i] > 0)
            printf("         %llu %s\n", (unsigned long long)cl->outcomes[i], outcome_names[i]);
}

static void latency_print(const struct histogram *h)
{
    static const struct {
        const char *name;
        uint32_t per_million;
    } points[] = {{"p50", 500000}, {"p90", 900000}, {"p99", 990000}, {"p99.9", 999000}};

    if (h->n == 0)
        return;
    printf("latency  min %llu", (unsigned long long)h->min);
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
        printf("  %s %llu", points[i].name,
               (unsigned long long)histogram_percentile(h, points[i].per_million));
    printf("  max %llu us\n", (unsigned long long)h->max);
}

/* Results that nobody gets are a failure: a full disk, a closed descriptor. */
static bool is_written(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    fprintf(stderr, "epclient: the results can't be written: %s\n", strerror(errno));
    return false;
}

bool report_print(const struct client *cl)
{
    uint64_t done = cl->outcomes[DONE];
    double seconds = (double)(cl->ended_us - cl->begun_us) / 1e6;

    if (seconds <= 0)
        seconds = 1e-6;
    printf("requests %llu of %llu in %.3f s%s\n", (unsigned long long)done,
           (unsigned long long)cl->args->total, seconds, cl->is_interrupted ? ", interrupted" : "");
    printf("rate     %.1f requests/s, %.3f MB/s received\n", (double)done / seconds,
           (double)cl->n_bytes / seconds / 1e6);
    latency_print(&cl->latency);
    errors_print(cl);
    return is_written() && done == cl->args->total;
}

#include "apps/epclient/progress.h"

#include <stdio.h>

static uint64_t eta_of_total(const struct args *a, const struct progress_at *at)
{
    uint64_t n = at->n_done + at->n_failed;

    if (a->total == 0 || n == 0)
        return UINT64_MAX;
    if (n >= a->total)
        return 0;
    double left_us = (double)(a->total - n) * (double)at->elapsed_us / (double)n;
    return (uint64_t)(left_us / 1e6) + 1;
}

uint64_t progress_eta_s(const struct args *a, const struct progress_at *at)
{
    uint64_t eta = eta_of_total(a, at), end_us = a->duration_s * 1000000;

    if (a->duration_s == 0)
        return eta;
    uint64_t left = at->elapsed_us < end_us ? (end_us - at->elapsed_us + 999999) / 1000000 : 0;
    return left < eta ? left : eta;
}

void progress_line(char *out, size_t room, const struct args *a, const struct progress_at *at)
{
    char of[48] = "", failed[48] = "", eta[32] = "";
    uint64_t eta_s = progress_eta_s(a, at), us = at->elapsed_us - at->last_us;
    double rate = us > 0 ? (double)(at->n_done - at->last_done) * 1e6 / (double)us : 0;

    if (a->total > 0)
        snprintf(of, sizeof(of), " of %llu", (unsigned long long)a->total);
    if (at->n_failed > 0)
        snprintf(failed, sizeof(failed), ", %llu failed", (unsigned long long)at->n_failed);
    if (eta_s != UINT64_MAX)
        snprintf(eta, sizeof(eta), ", %llu:%02llu left", (unsigned long long)eta_s / 60,
                 (unsigned long long)eta_s % 60);
    snprintf(out, room, "epclient: %llu%s requests, %.0f/s%s%s", (unsigned long long)at->n_done, of,
             rate, failed, eta);
}

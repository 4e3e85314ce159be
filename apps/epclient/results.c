#include "apps/epclient/results.h"

#include <string.h>

void results_init(struct results *r)
{
    memset(r, 0, sizeof(*r));
    histogram_init(&r->latency);
}

static enum outcome content_differs(const struct results *r, const struct args *a, uint64_t bytes,
                                    uint64_t hash)
{
    if (r->has_content && !a->any_length && bytes != r->content_bytes)
        return FAILED_LENGTH;
    if (a->has_hash && hash != a->hash)
        return FAILED_HASH;
    return r->has_content && a->is_hashed && hash != r->content_hash ? FAILED_HASH : DONE;
}

enum outcome results_check(struct results *r, const struct args *a, uint64_t bytes, uint64_t hash)
{
    enum outcome outcome = content_differs(r, a, bytes, hash);

    if (!r->has_content && outcome == DONE) {
        r->has_content = true;
        r->content_bytes = bytes;
        r->content_hash = hash;
    }
    return outcome;
}

void results_merge(struct results *r, const struct results *other, const struct args *a)
{
    enum outcome done = DONE;

    if (other->has_content)
        done = results_check(r, a, other->content_bytes, other->content_hash);
    r->outcomes[done] += other->outcomes[DONE];
    if (done == DONE)
        histogram_merge(&r->latency, &other->latency);
    for (int i = DONE + 1; i < OUTCOMES; i++)
        r->outcomes[i] += other->outcomes[i];
    r->n_unfinished += other->n_unfinished;
    r->n_conns += other->n_conns;
    r->n_received += other->n_received;
    r->n_sent += other->n_sent;
    if (r->begun_us == 0 || other->begun_us < r->begun_us)
        r->begun_us = other->begun_us;
    if (other->ended_us > r->ended_us)
        r->ended_us = other->ended_us;
}

uint64_t results_errors(const struct results *r)
{
    uint64_t n = 0;

    for (int i = DONE + 1; i < OUTCOMES; i++)
        n += r->outcomes[i];
    return n;
}

int results_status(const struct results *r, const struct args *a, int signal)
{
    uint64_t n_errors = results_errors(r);
    uint64_t n_unreached =
        r->outcomes[FAILED_REFUSED] + r->outcomes[FAILED_UNREACHABLE] + r->outcomes[FAILED_CONNECT];
    bool has_limit = a->total > 0 || a->duration_s > 0;

    if (n_errors > 0 && n_errors == n_unreached && r->outcomes[DONE] == 0)
        return STATUS_UNREACHED;
    if (n_errors > 0)
        return STATUS_FAILED;
    if (signal != 0 && has_limit) /* without a limit that is how it ends */
        return STATUS_SIGNAL + signal;
    return r->outcomes[DONE] > 0 ? STATUS_DONE : STATUS_FAILED;
}

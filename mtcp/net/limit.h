/* A rate limit by virtual scheduling (GCRA, ITU-T I.371): one comparison and one addition each. */
#ifndef MTCP_NET_LIMIT_H
#define MTCP_NET_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_BURST_US 100000u /* what may be saved up: a tenth of a second's worth */

struct rate_limit {
    uint64_t at_us; /* when the next one would be due at the steady rate */
    uint32_t interval_us;
};

/* per_sec 0 (or more than one per microsecond): no limit. */
static inline void rate_limit_init(struct rate_limit *l, uint32_t per_sec)
{
    l->at_us = 0;
    l->interval_us = per_sec ? 1000000u / per_sec : 0;
}

/* May one more go at this time? Takes it if so. */
static inline bool rate_limit_take(struct rate_limit *l, uint64_t now_us)
{
    uint64_t at_us = l->at_us > now_us ? l->at_us : now_us;
    if (at_us - now_us > RATE_BURST_US)
        return false;
    l->at_us = at_us + l->interval_us;
    return true;
}

#endif

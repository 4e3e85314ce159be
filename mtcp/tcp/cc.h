/* What the congestion controls share. Writes cwnd and ssthresh. */
#ifndef MTCP_TCP_CC_H
#define MTCP_TCP_CC_H

#include "mtcp/tcp/conn.h"

/* Appropriate byte counting (RFC 3465): what one ACK adds at most in slow start. The RFC's two
 * segments are for receivers that acknowledge every second one; those that process bursts
 * acknowledge up to 64 KB at once, and the window must still double. */
#define CC_ABC_LIMIT 65536u

/* No connection needs more (the window field and its scale allow 1 GB). */
#define CC_CWND_MAX (1u << 30)

/* RFC 5681's FlightSize when a loss is found: what was sent and not acknowledged, but no more than
 * cwnd let into the network: without what limited transmit has sent (3.2 step 2), and at the end of
 * a recovery, when much of it is SACKed and has left. */
static inline uint32_t cc_flight_size(const struct tcp_conn *c)
{
    uint32_t n = (uint32_t)(c->snd_max - c->snd_una);
    return n < c->cwnd ? n : c->cwnd;
}

static inline bool cc_in_slow_start(const struct tcp_conn *c)
{
    return c->cwnd < c->ssthresh;
}

static inline void cc_cwnd_add(struct tcp_conn *c, uint32_t n)
{
    c->cwnd = n < CC_CWND_MAX - c->cwnd ? c->cwnd + n : CC_CWND_MAX;
}

/* Slow start (RFC 5681 3.1): grows up to ssthresh. The bytes acknowledged beyond that. */
static inline uint32_t cc_slow_start(struct tcp_conn *c, uint32_t acked)
{
    uint32_t n = acked < CC_ABC_LIMIT ? acked : CC_ABC_LIMIT;
    uint32_t room = c->ssthresh - c->cwnd;
    cc_cwnd_add(c, n < room ? n : room);
    return n < room ? 0 : n - room;
}

/* ssthresh is never below two segments (RFC 5681 equation 4). */
static inline uint32_t cc_at_least_two(const struct tcp_conn *c, uint32_t bytes)
{
    uint32_t two = 2u * c->mss;
    return bytes > two ? bytes : two;
}

#endif

/* The standard congestion control: slow start and congestion avoidance with byte counting (RFC
 * 5681, 3465). Fast recovery is recovery.c's. */
#include "mtcp/tcp/cc.h"

static void newreno_init(struct tcp_conn *c)
{
    c->cc.newreno.acked = 0;
}

/* One segment per window of acknowledged bytes (RFC 5681 3.1, RFC 3465 2.1). */
static void avoid_congestion(struct tcp_conn *c, uint32_t acked)
{
    c->cc.newreno.acked += acked;
    if (c->cc.newreno.acked < c->cwnd)
        return;
    c->cc.newreno.acked -= c->cwnd;
    if (c->cc.newreno.acked > c->cwnd)
        c->cc.newreno.acked = c->cwnd;
    cc_cwnd_add(c, c->mss);
}

static void newreno_acked(struct tcp_conn *c, const struct tcp_cc_ack *a, uint64_t now_us)
{
    (void)now_us;
    if (!a->cwnd_limited)
        return; /* the window was not tested: no reason to open it (RFC 7661) */
    uint32_t acked = a->acked_bytes;
    if (cc_in_slow_start(c))
        acked = cc_slow_start(c, acked);
    if (acked > 0)
        avoid_congestion(c, acked);
}

static uint32_t newreno_ssthresh(struct tcp_conn *c, uint64_t now_us)
{
    (void)now_us;
    c->cc.newreno.acked = 0;
    return cc_at_least_two(c, cc_flight_size(c) / 2);
}

static void newreno_rto(struct tcp_conn *c, uint64_t now_us)
{
    (void)now_us;
    c->cc.newreno.acked = 0;
}

static void newreno_idle(struct tcp_conn *c, uint64_t now_us, uint32_t idle_us)
{
    (void)now_us;
    (void)idle_us;
    c->cc.newreno.acked = 0;
}

const struct tcp_cc_ops tcp_cc_newreno = {
    .name = "newreno",
    .init = newreno_init,
    .acked = newreno_acked,
    .ssthresh = newreno_ssthresh,
    .rto = newreno_rto,
    .idle = newreno_idle,
};

/*
 * CUBIC (RFC 9438): after a reduction the window follows W(t) = C (t - K)^3 + W_max, a function of
 * time since the reduction, or what NewReno would have, whichever is larger. Integers only: time in
 * milliseconds, W_max in bytes, NewReno's estimate in 1/65536 segments.
 */
#include "mtcp/tcp/cc.h"
#include "mtcp/tcp/hystart.h"

/* RFC 9438 4.1: beta 0.7, C 0.4 segments per second cubed; 4.3: alpha = 3 (1 - beta) / (1 + beta).
 */
enum { BETA_10 = 7, C_10 = 4, ALPHA_65536 = 34695 };

/* Further from the inflection point the curve is as steep as it needs to be; bounds the cube. */
#define T_MAX_MS 200000

static uint32_t clock_ms(uint64_t now_us)
{
    uint32_t ms = (uint32_t)(now_us / 1000);
    return ms != 0 ? ms : 1; /* 0: no epoch */
}

/* The largest r with r^3 <= x, bit by bit (Hacker's Delight 11-2). */
static uint32_t cube_root(uint64_t x)
{
    uint64_t r = 0;
    for (int s = 63; s >= 0; s -= 3) {
        r = 2 * r;
        uint64_t b = 3 * r * (r + 1) + 1;
        if ((x >> s) >= b) {
            x -= b << s;
            r++;
        }
    }
    return (uint32_t)r;
}

static void cubic_reset(struct tcp_conn *c)
{
    c->cc.cubic.w_max = 0;
    c->cc.cubic.w_est = 0;
    c->cc.cubic.k_ms = 0;
    c->cc.cubic.epoch_ms = 0;
}

static void cubic_init(struct tcp_conn *c)
{
    cubic_reset(c);
    hystart_init(c);
}

/* Before the first loss, and before slow start was found to have gone far enough. */
static inline bool is_initial_slow_start(const struct tcp_conn *c)
{
    return c->ssthresh == UINT32_MAX;
}

/* Congestion avoidance begins: where is the inflection point (RFC 9438 4.2, equation 2)? */
static void epoch_begin(struct tcp_conn *c, uint32_t now_ms)
{
    c->cc.cubic.epoch_ms = now_ms;
    c->cc.cubic.w_est = (uint32_t)(((uint64_t)c->cwnd << 16) / c->mss);
    c->cc.cubic.k_ms = 0;
    if (c->cwnd < c->cc.cubic.w_max) {
        uint64_t segs = (c->cc.cubic.w_max - c->cwnd) / c->mss;
        c->cc.cubic.k_ms = cube_root(segs * 10 / C_10 * 1000000000u);
    } else {
        c->cc.cubic.w_max = c->cwnd;
    }
}

/* W_cubic(t), equation 1, in bytes; t in ms since the epoch. */
static uint32_t w_cubic(const struct tcp_conn *c, uint32_t t_ms)
{
    int64_t d = (int64_t)t_ms - c->cc.cubic.k_ms;
    if (d > T_MAX_MS)
        d = T_MAX_MS;
    if (d < -T_MAX_MS)
        d = -T_MAX_MS;
    int64_t cube = d * d * d / 1000; /* ms^3 / 1000: room for the factors */
    int64_t w = (int64_t)c->cc.cubic.w_max + cube * C_10 / 10 * c->mss / 1000000;
    if (w < (int64_t)2 * c->mss)
        return 2u * c->mss;
    return w < CC_CWND_MAX ? (uint32_t)w : CC_CWND_MAX;
}

/* What NewReno would have reached by now (RFC 9438 4.3, equation 4), in bytes. */
static uint32_t w_est_acked(struct tcp_conn *c, uint32_t acked)
{
    uint32_t alpha = ALPHA_65536;
    uint64_t w = c->cc.cubic.w_est;
    uint64_t prior = (uint64_t)c->ssthresh * 10 / BETA_10;
    if (c->cc.cubic.k_ms == 0 || w * c->mss >> 16 >= prior)
        alpha = 65536; /* the window before the reduction is regained: as fast as NewReno */
    w += (uint64_t)acked * alpha / c->cwnd;
    c->cc.cubic.w_est = w < UINT32_MAX ? (uint32_t)w : UINT32_MAX;
    return (uint32_t)((uint64_t)c->cc.cubic.w_est * c->mss >> 16);
}

/* Moves cwnd towards where the curve is one round trip ahead, by at most half of itself per round
 * trip (RFC 9438 4.2, 4.4, 4.5). */
static void follow_curve(struct tcp_conn *c, uint32_t acked, uint32_t t_ms)
{
    uint32_t target = w_cubic(c, t_ms + c->srtt_us / 1000);
    uint32_t most = c->cwnd + c->cwnd / 2;
    if (target > most)
        target = most;
    if (target > c->cwnd)
        cc_cwnd_add(c, (uint32_t)((uint64_t)(target - c->cwnd) * acked / c->cwnd));
}

static void avoid_congestion(struct tcp_conn *c, uint32_t acked, uint64_t now_us)
{
    uint32_t now_ms = clock_ms(now_us);
    if (c->cc.cubic.epoch_ms == 0)
        epoch_begin(c, now_ms);
    uint32_t t_ms = now_ms - c->cc.cubic.epoch_ms;
    uint32_t reno = w_est_acked(c, acked);
    if (w_cubic(c, t_ms) < reno && reno > c->cwnd)
        cc_cwnd_add(c, reno - c->cwnd); /* the TCP-friendly region */
    else
        follow_curve(c, acked, t_ms);
}

static void initial_slow_start(struct tcp_conn *c, const struct tcp_cc_ack *a)
{
    if (!a->cwnd_limited)
        return;
    cc_cwnd_add(c, hystart_acked(c, a->acked_bytes, a->rtt_us));
    if (hystart_is_over(c)) {
        c->ssthresh = c->cwnd;
        cubic_reset(c);
    }
}

static void cubic_acked(struct tcp_conn *c, const struct tcp_cc_ack *a, uint64_t now_us)
{
    if (is_initial_slow_start(c)) {
        initial_slow_start(c, a);
        return;
    }
    if (!a->cwnd_limited) {
        c->cc.cubic.epoch_ms = 0; /* time without use of the window does not count (RFC 9438 5.8) */
        return;
    }
    uint32_t acked = a->acked_bytes;
    if (cc_in_slow_start(c))
        acked = cc_slow_start(c, acked);
    if (acked > 0)
        avoid_congestion(c, acked, now_us);
}

/* A loss: W_max, lowered further when the flow has not regained the last one, so that others can
 * have its share (fast convergence, RFC 9438 4.6, 4.7). Measured by cwnd and not by what is in flight,
 * as Linux; 4.6 allows that where cwnd does not grow unused (recovery.c). */
static uint32_t cubic_ssthresh(struct tcp_conn *c, uint64_t now_us)
{
    (void)now_us;
    if (is_initial_slow_start(c))
        cubic_reset(c);
    uint32_t w = c->cwnd;
    if (w < c->cc.cubic.w_max)
        w = (uint32_t)((uint64_t)w * (10 + BETA_10) / 20);
    c->cc.cubic.w_max = w;
    c->cc.cubic.epoch_ms = 0;
    return cc_at_least_two(c, (uint32_t)((uint64_t)c->cwnd * BETA_10 / 10));
}

static void cubic_rto(struct tcp_conn *c, uint64_t now_us)
{
    (void)now_us;
    c->cc.cubic.epoch_ms = 0;
    c->cc.cubic.w_max = 0; /* what was reached is no measure any more: K will be 0 (RFC 9438 4.8) */
}

static void cubic_idle(struct tcp_conn *c, uint64_t now_us, uint32_t idle_us)
{
    (void)now_us;
    (void)idle_us;
    if (is_initial_slow_start(c))
        hystart_init(c);
    else
        c->cc.cubic.epoch_ms = 0;
}

const struct tcp_cc_ops tcp_cc_cubic = {
    .name = "cubic",
    .init = cubic_init,
    .acked = cubic_acked,
    .ssthresh = cubic_ssthresh,
    .rto = cubic_rto,
    .idle = cubic_idle,
};

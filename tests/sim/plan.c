/*
 * What a seed means: the impairments of the link and the settings of the hosts. Most are drawn; so
 * that none is ever rare, some seeds pin one of them.
 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>

/* What seeds have for certain, by their number modulo 16; the others are as they are drawn. */
enum {
    PIN_LOSS = 1,
    PIN_REORDER,
    PIN_DUP_CORRUPT,
    PIN_MTU,
    PIN_BLACK_HOLE,
    PIN_SHRINK,
    PIN_FRAGMENTS,
    PIN_COOKIES,
    PIN_FASTOPEN,
    PIN_LENT,
    N_PINS = 16,
};

static bool is_pinned(const struct sim *s, unsigned pin)
{
    return s->seed % N_PINS == pin;
}

static bool one_in(struct sim *s, uint32_t n)
{
    return rng_below(&s->rng, n) == 0;
}

/* ---- the link ---- */

static void plan_loss(struct sim *s, struct link_conf *c)
{
    struct rng *r = &s->rng;
    if (rng_below(r, 10) < 4)
        c->loss_ppm = 10000 + rng_below(r, rng_below(r, 4) ? 20000 : 90000);
    if (is_pinned(s, PIN_LOSS))
        c->loss_ppm = 100000;
    if (one_in(s, 8)) {
        c->burst_ppm = 1000;
        c->burst_len = 20;
    }
    if (one_in(s, 3)) {
        c->reorder_ppm = 10000 + rng_below(r, 400000);
        c->jitter_us = 1 + rng_below(r, 20000);
    }
    if (is_pinned(s, PIN_REORDER)) {
        c->reorder_ppm = 500000;
        c->jitter_us = 100 + rng_below(r, 20000);
    }
}

static void plan_damage(struct sim *s, struct link_conf *c)
{
    struct rng *r = &s->rng;
    if (one_in(s, 4) || is_pinned(s, PIN_DUP_CORRUPT))
        c->dup_ppm = 1000 + rng_below(r, is_pinned(s, PIN_DUP_CORRUPT) ? 200000 : 50000);
    if (one_in(s, 4) || is_pinned(s, PIN_DUP_CORRUPT))
        c->corrupt_ppm = 1000 + rng_below(r, is_pinned(s, PIN_DUP_CORRUPT) ? 50000 : 20000);
    if (one_in(s, 4))
        c->ce_ppm = 1000 + rng_below(r, 50000);
    if (one_in(s, 8) || is_pinned(s, PIN_SHRINK))
        c->shrink_ppm = 1000 + rng_below(r, 300000);
    if (one_in(s, 8) || is_pinned(s, PIN_FRAGMENTS))
        c->frag_ppm = 1000 + rng_below(r, 300000);
    if (s->evasive)
        c->evade_ppm = 100000;
}

static void plan_mtu(struct sim *s, struct link_conf *c)
{
    struct rng *r = &s->rng;
    if (one_in(s, 8))
        c->mtu = (uint16_t)(576 + rng_below(r, 900));
    if (s->is_v6 && c->mtu < 1280)
        c->mtu = 1280;
    c->mtu_min = s->is_v6 ? 1280 : 576;
    if (one_in(s, 8) || is_pinned(s, PIN_MTU) || is_pinned(s, PIN_BLACK_HOLE))
        c->mtu_change_us = 200000 + rng_below(r, 5000000);
    c->is_black_hole = !is_pinned(s, PIN_MTU) && (one_in(s, 2) || is_pinned(s, PIN_BLACK_HOLE));
    s->is_black_hole = c->mtu_change_us && c->is_black_hole;
}

void plan_link(struct sim *s, struct link_conf *c)
{
    struct rng *r = &s->rng;
    *c = (struct link_conf){.mtu = 1500, .queue_bytes = 30000 + rng_below(r, 300000)};
    c->delay_us = rng_below(r, 3) ? rng_below(r, 30000) : 0;
    c->bytes_per_sec = rng_below(r, 4) ? 200000ull << rng_below(r, 10) : 0;
    plan_loss(s, c);
    plan_damage(s, c);
    plan_mtu(s, c);
}

void plan_bulk_link(struct link_conf *c)
{
    *c = (struct link_conf){
        .mtu = 1500, .delay_us = 20000, .loss_ppm = 20000, .reorder_ppm = 20000, .jitter_us = 5000};
}

/* ---- the hosts ---- */

struct text {
    char *at;
    size_t len, room;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->at + t->len, t->room - t->len, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < t->room - t->len)
        t->len += (size_t)n;
}

static void config_options(struct sim *s, struct text *t)
{
    static const unsigned min_rto[] = {200, 200, 200, 10, 50, 1000},
                          delack[] = {40, 40, 1, 200, 500}, init_cwnd[] = {10, 10, 1, 2, 4, 30};
    struct rng *r = &s->rng;
    text_add(t, " tcp_timestamps = %s\n", rng_below(r, 4) ? "true" : "false");
    text_add(t, " tcp_sack = %s\n", rng_below(r, 4) ? "true" : "false");
    text_add(t, " tcp_window_scaling = %s\n", rng_below(r, 4) ? "true" : "false");
    text_add(t, " tcp_congestion = \"%s\"\n", rng_below(r, 2) ? "cubic" : "newreno");
    text_add(t, " tcp_ecn = %u\n", rng_below(r, 3));
    text_add(t, " tcp_min_rto_ms = %u\n", min_rto[rng_below(r, 6)]);
    text_add(t, " tcp_delack_ms = %u\n", delack[rng_below(r, 5)]);
    text_add(t, " tcp_init_cwnd = %u\n", init_cwnd[rng_below(r, 6)]);
    text_add(t, " tcp_slow_start_after_idle = %s\n", rng_below(r, 2) ? "true" : "false");
    /* each time that a path is tried again, a black hole costs timeouts */
    if (one_in(s, 4) && !s->is_black_hole)
        text_add(t, " mtu_expires = %u\n", 30 + rng_below(r, 300));
}

/* How connections begin. */
static void config_opening(struct sim *s, struct text *t)
{
    static const unsigned fastopen[] = {3, 3, 0x207};
    struct rng *r = &s->rng;
    if (one_in(s, 6) || is_pinned(s, PIN_COOKIES))
        text_add(t, " tcp_syncookies = %u\n max_half_open = %u\n",
                 is_pinned(s, PIN_COOKIES) ? 1 + rng_below(r, 2) : rng_below(r, 3),
                 1 + rng_below(r, 4));
    if (s->fastopen)
        text_add(t, " tcp_fastopen = %u\n", fastopen[rng_below(r, 3)]);
}

void plan_host(struct sim *s, unsigned i, char *text, size_t room)
{
    static const unsigned dormant_ms[] = {1, 1, 50, 1000};
    struct rng *r = &s->rng;
    struct text t = {text, 0, room};
    text_add(&t, "mos {\n netdev \"sim0\" { address = {\"10.0.0.%u/24\"", 1 + i);
    if (s->is_v6)
        text_add(&t, ", \"fd00::%u/64\"", 1 + i);
    text_add(&t, "} }\n max_concurrency = 100\n tcp_tw_interval = 1\n ipv6_dad_probes = %u\n",
             (unsigned)(s->seed % 2));
    text_add(&t, " dormant_after_ms = %u\n", dormant_ms[s->seed / 4 % 4]);
    text_add(&t, " rmem_size = %u\n", 16384u << rng_below(r, 5));
    text_add(&t, " wmem_size = %u\n", 16384u << rng_below(r, 5));
    if (rng_below(r, 2))
        text_add(&t, " rmem_max = 4M\n wmem_max = 4M\n");
    config_options(s, &t);
    config_opening(s, &t);
    text_add(&t, "}\n");
}

void plan_bulk_host(struct sim *s, unsigned i, char *text, size_t room)
{
    struct text t = {text, 0, room};
    text_add(&t, "mos {\n netdev \"sim0\" { address = {\"10.0.0.%u/24\"", 1 + i);
    if (s->is_v6)
        text_add(&t, ", \"fd00::%u/64\"", 1 + i);
    text_add(&t, "} }\n max_concurrency = 100\n tcp_tw_interval = 1\n}\n");
}

void plan_run(struct sim *s)
{
    s->evasive = one_in(s, 5);
    s->isn_wrap = one_in(s, 4);
    s->is_v6 = s->seed % 3 == 0;
    s->fastopen = one_in(s, 6) || is_pinned(s, PIN_FASTOPEN);
    if ((one_in(s, 4) || is_pinned(s, PIN_LENT)) && !s->evasive)
        s->lender = (int)rng_below(&s->rng, 2);
    s->unwatched = s->lender < 0 && s->seed % 4 == 1 ? (int)(s->seed / 4 % 2) : s->lender;
}

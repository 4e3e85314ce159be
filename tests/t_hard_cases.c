/*
 * Cases that broke well-known stacks and that no other module's tests hold whole; all of them, and
 * the tests that show them: tests/rfc/hard_cases.tsv.
 */
#include "tests/pair.h"
#include "tests/seg.h"
#include "tests/test.h"

#include <stdio.h>

#define SEC_US 1000000ull

/* ---- closing ---- */

/* Of the segments of the end `from` once its FIN is on its way, the one with this number is lost.
 */
static unsigned lose_from, lose_nth, n_closing;

static bool loses_one_closing_segment(struct pair *p, unsigned from, const struct seg *s,
                                      uint64_t nth)
{
    (void)p;
    (void)nth;
    if (from != lose_from || (n_closing == 0 && !(s->flags & TCP_FIN)))
        return false;
    return n_closing++ == lose_nth;
}

static void closes_whatever_is_lost(const struct pair_conf *conf)
{
    for (lose_from = 0; lose_from < 2; lose_from++)
        for (lose_nth = 0; lose_nth < 4; lose_nth++) {
            struct pair *p = pair_new(conf, 1);
            n_closing = 0;
            p->drops = loses_one_closing_segment;
            (void)pair_run(p, 200 * SEC_US);
            CU_ASSERT(n_closing > 0);
            CU_ASSERT(pair_end_well(p));
        }
}

static void every_closing_segment_is_lost_in_turn(void)
{
    struct pair_conf first = {.delay_us = 5000, .n_bytes = {3000, 40000}, .read_max = 2000};
    struct pair_conf second = {.delay_us = 5000, .n_bytes = {40000, 3000}, .no_ts = true};
    closes_whatever_is_lost(&first);
    closes_whatever_is_lost(&second);
}

static void a_simultaneous_close_survives_losses(void)
{
    struct pair_conf alike = {.delay_us = 50000, .n_bytes = {100, 100}};
    struct pair_conf without_sack = {.delay_us = 50000, .n_bytes = {100, 100}, .no_sack = true};
    closes_whatever_is_lost(&alike);
    closes_whatever_is_lost(&without_sack);
}

/* ---- peers that acknowledge in odd ways ---- */

static void a_peer_acks_one_byte_at_a_time(void)
{
    enum { N = 20000 };
    struct segt *t = segt_established();
    uint32_t n_sent = 0, cwnd = t->conn.cwnd;
    segt_write(t, N);
    for (uint32_t ack = 2; ack <= N + 1; ack++) {
        char s[64];
        n_sent += t->n_tx;
        t->n_tx = t->at_tx = 0;
        snprintf(s, sizeof(s), "A 1 ack=%u", ack);
        seg_in(t, s);
    }
    EXPECT_EQ(t->conn.snd_una, N);
    EXPECT_EQ(t->env.stats.rexmit_segs, 0);
    EXPECT_EQ(t->env.stats.bytes_out, N);
    CU_ASSERT(n_sent <= 2 * N / 1000);                 /* no segments of a byte */
    CU_ASSERT(t->conn.cwnd <= cwnd + N + t->conn.mss); /* by bytes, not by ACKs (RFC 3465) */
    segt_free(t);
}

static void a_peer_acks_everything_twice(void)
{
    enum { N = 50000 };
    struct segt *t = segt_established();
    segt_write(t, N);
    while (t->conn.snd_una < N) {
        char s[64];
        t->n_tx = t->at_tx = 0;
        snprintf(s, sizeof(s), "A 1 ack=%u", (unsigned)t->conn.snd_una + 1001);
        seg_in(t, s);
        seg_in(t, s);
    }
    EXPECT_EQ(t->env.stats.rexmit_segs, 0); /* one duplicate is no sign of a loss */
    EXPECT_EQ(t->conn.ssthresh, UINT32_MAX);
    segt_free(t);
}

/* ---- segments ---- */

/* Window after window, from its end to its beginning. */
static void a_million_one_byte_segments_come_in_descending_order(void)
{
    enum { WINDOW = 50000, N = 1000000 };
    struct segt *t = segt_established();
    for (uint32_t base = 1; base < N; base += WINDOW) {
        for (uint32_t i = WINDOW; i-- > 0;) {
            char s[64];
            snprintf(s, sizeof(s), "A %u+1 ack=1", base + i);
            seg_in(t, s);
            t->n_tx = t->at_tx = 0;
        }
        CU_ASSERT(ranges_count(t->conn.rcv.ooo) <= RANGES_MAX);
        for (uint32_t got; (got = segt_read(t, WINDOW)) > 0;)
            ;
    }
    EXPECT_EQ(stream_next(&t->conn.rcv), N);
    segt_free(t);
}

TEST_SUITE(hard_cases, TEST_CASE(every_closing_segment_is_lost_in_turn),
           TEST_CASE(a_simultaneous_close_survives_losses),
           TEST_CASE(a_peer_acks_one_byte_at_a_time), TEST_CASE(a_peer_acks_everything_twice),
           TEST_CASE(a_million_one_byte_segments_come_in_descending_order));

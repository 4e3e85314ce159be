/* Retransmissions that were not needed: found out by timestamps, by D-SACK, by what arrives. */
#include "mtcp/tcp/undo.h"

#include "mtcp/tcp/recovery.h"
#include "mtcp/tcp/tcp.h"
#include "tests/seg.h"

#include <stdio.h>

#define MS 1000u

/* Ten segments in flight after a round trip of 10 ms. */
static struct segt *ten_in_flight_of(const struct tcp_cc_ops *cc, const char *opts)
{
    struct segt *t = segt_established_with(opts);
    t->conn.cc_ops = cc;
    t->conn.cc_ops->init(&t->conn);
    t->conn.cwnd = 10u * t->conn.mss;
    segt_write(t, 40000);
    t->n_tx = t->at_tx = 0;
    segt_advance(t, 10 * MS);
    return t;
}

static struct segt *ten_in_flight(const char *opts)
{
    return ten_in_flight_of(&tcp_cc_newreno, opts);
}

static void forget_sent(struct segt *t)
{
    t->n_tx = t->at_tx = 0;
}

/* Three late segments were resent, and all three came twice. cwnd, which may have become
 * `meanwhile`, after that. */
static uint32_t cwnd_after_duplicates(const struct tcp_cc_ops *cc, uint32_t meanwhile)
{
    struct segt *t = ten_in_flight_of(cc, "sackok");
    t->conn.flags |= TCF_CORK;
    seg_in(t, "A 1 ack=1 sack=3001-9001"); /* three late segments look lost */
    for (int i = 0; i < 6; i++)
        seg_in(t, "A 1 ack=1 sack=3001-10001");
    CU_ASSERT(recovery_in_recovery(&t->conn));
    seg_in(t, "A 1 ack=11001"); /* they were late only */
    uint32_t n = (uint32_t)t->env.stats.rexmit_segs;
    CU_ASSERT(n > 0 && t->conn.cwnd < 10000);
    forget_sent(t);
    if (meanwhile != 0)
        t->conn.cwnd = meanwhile;
    for (uint32_t i = 0; i < n; i++) {
        char s[60];
        EXPECT_EQ(t->env.stats.undone, 0);
        snprintf(s, sizeof(s), "A 1 ack=11001 sack=%u-%u", 1 + 1000 * i, 1001 + 1000 * i);
        seg_in(t, s);
    }
    EXPECT_EQ(t->env.stats.undone, 1);
    EXPECT_EQ(t->conn.ssthresh, UINT32_MAX);
    uint32_t cwnd = t->conn.cwnd;
    segt_free(t);
    return cwnd;
}

/* RFC 2883. (RFC 9438 4.9.2-1, 4.9.2-3) */
static void duplicates_of_all_that_was_resent(void)
{
    CU_ASSERT(cwnd_after_duplicates(&tcp_cc_newreno, 0) >= 10000);
    CU_ASSERT(cwnd_after_duplicates(&tcp_cc_cubic, 0) >= 10000);
}

/* RFC 9438 4.9.2-4 */
static void a_window_that_has_grown_beyond_stays(void)
{
    CU_ASSERT(cwnd_after_duplicates(&tcp_cc_cubic, 30000) >= 30000);
}

/* RFC 9438 4.6-3 */
static void one_that_was_needed_keeps_the_reduction(void)
{
    struct segt *t = ten_in_flight_of(&tcp_cc_cubic, "sackok");
    seg_in(t, "A 1 ack=1 sack=2001-10001");
    seg_in(t, "A 1 ack=1 sack=2001-10001");
    forget_sent(t);
    uint32_t una = (uint32_t)t->conn.snd_max + 1;
    char s[60];
    snprintf(s, sizeof(s), "A 1 ack=%u", una);
    CU_ASSERT(t->env.stats.rexmit_segs >= 2);
    seg_in(t, s);
    snprintf(s, sizeof(s), "A 1 ack=%u sack=1-1001", una);
    seg_in(t, s);
    EXPECT_EQ(t->env.stats.undone, 0);
    CU_ASSERT(t->conn.ssthresh < 10000);
    segt_free(t);
}

/* RFC 3522: the ACK that moves snd_una echoes the time of the first transmission. */
static void an_older_echo(void)
{
    struct segt *t = ten_in_flight("ts=1,0");
    uint32_t first = conn_ts_now(&t->env, &t->conn) - 10;
    char s[60];
    segt_advance(t, 240 * MS);
    EXPECT_EQ(t->env.stats.rto, 1);
    EXPECT_EQ(t->conn.cwnd, t->conn.mss);
    forget_sent(t);
    snprintf(s, sizeof(s), "A 1 ack=%u ts=2,%u", 1u + t->conn.mss, first);
    seg_in(t, s); /* a delay on the path of 240 ms, no loss */
    EXPECT_EQ(t->env.stats.undone, 1);
    CU_ASSERT(t->conn.cwnd >= 10u * t->conn.mss);
    for (unsigned i = 0; i < t->n_tx; i++)
        CU_ASSERT(!t->tx[i].rexmit); /* what was believed lost is not */
    segt_free(t);
}

/* RFC 9438 4.9.1-1, 4.9.1-2 */
static void cubic_gets_its_window_back(void)
{
    struct segt *t = segt_established_with("ts=1,0");
    segt_write(t, 40000);
    uint32_t first = conn_ts_now(&t->env, &t->conn), before = t->conn.cwnd;
    char s[60];
    segt_advance(t, 250 * MS);
    EXPECT_EQ(t->env.stats.rto, 1);
    forget_sent(t);
    snprintf(s, sizeof(s), "A 1 ack=%u ts=2,%u", 1u + t->conn.mss, first);
    seg_in(t, s);
    EXPECT_EQ(t->env.stats.undone, 1);
    CU_ASSERT(t->conn.cwnd >= before);
    EXPECT_EQ(t->conn.ssthresh, UINT32_MAX);
    segt_free(t);
}

static void the_echo_of_the_retransmission_itself(void)
{
    struct segt *t = ten_in_flight("ts=1,0");
    char s[60];
    segt_advance(t, 240 * MS);
    uint32_t second = t->tx[0].seg.opt.ts_val;
    forget_sent(t);
    segt_advance(t, 10 * MS);
    snprintf(s, sizeof(s), "A 1 ack=%u ts=2,%u", 1u + t->conn.mss, second);
    seg_in(t, s);
    EXPECT_EQ(t->env.stats.undone, 0);
    CU_ASSERT(t->conn.cwnd <= 2u * t->conn.mss);
    CU_ASSERT(t->n_tx > 0 && t->tx[0].rexmit);
    segt_free(t);
}

/* After a timeout segments arrive that were sent once: they were under way all the time. */
static void originals_that_arrive_after_a_timeout(void)
{
    struct segt *t = ten_in_flight("sackok");
    segt_advance(t, 500 * MS);
    CU_ASSERT(t->env.stats.rto >= 1);
    forget_sent(t);
    seg_in(t, "A 1 ack=1001 sack=3001-4001");
    EXPECT_EQ(t->env.stats.undone, 1);
    CU_ASSERT(t->conn.cwnd >= 10000);
    segt_free(t);
}

static void what_comes_much_later_undoes_nothing(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=1 sack=1001-10001");
    forget_sent(t);
    EXPECT_EQ(t->env.stats.rexmit_segs, 1);
    char s[60];
    for (int i = 0; i < 4; i++) {
        segt_advance(t, 10 * MS);
        forget_sent(t);
        snprintf(s, sizeof(s), "A 1 ack=%u", (uint32_t)t->conn.snd_max + 1);
        seg_in(t, s);
        forget_sent(t);
        segt_write(t, 20000);
        forget_sent(t);
    }
    uint32_t una = (uint32_t)t->conn.snd_una + 1;
    snprintf(s, sizeof(s), "A 1 ack=%u sack=%u-%u", una, una - 1000, una);
    seg_in(t, s);
    EXPECT_EQ(t->env.stats.undone, 0);
    segt_free(t);
}

TEST_SUITE(undo, TEST_CASE(duplicates_of_all_that_was_resent),
           TEST_CASE(a_window_that_has_grown_beyond_stays),
           TEST_CASE(one_that_was_needed_keeps_the_reduction), TEST_CASE(an_older_echo),
           TEST_CASE(the_echo_of_the_retransmission_itself),
           TEST_CASE(originals_that_arrive_after_a_timeout),
           TEST_CASE(what_comes_much_later_undoes_nothing), TEST_CASE(cubic_gets_its_window_back));

/* Congestion control: slow start, congestion avoidance, CUBIC's curve (RFC 5681, 3465, 9438). */
#include "mtcp/tcp/cc.h"
#include "mtcp/tcp/tcp.h"
#include "tests/test.h"

#include <string.h>

#define MSS 1000u

struct fixture {
    struct tcp_conn conn;
    uint64_t now_us;
};

static void setup(struct fixture *f, const struct tcp_cc_ops *ops)
{
    memset(f, 0, sizeof(*f));
    f->now_us = 5000000;
    f->conn.cc_ops = ops;
    f->conn.mss = MSS;
    f->conn.cwnd = 10 * MSS;
    f->conn.ssthresh = UINT32_MAX;
    f->conn.srtt_us = 100000;
    ops->init(&f->conn);
}

static void acked(struct fixture *f, uint32_t bytes)
{
    struct tcp_cc_ack a = {.acked_bytes = bytes, .cwnd_limited = true};
    f->conn.cc_ops->acked(&f->conn, &a, f->now_us);
}

/* A round trip in which the whole window is acknowledged, two segments at a time. */
static void round_trip(struct fixture *f)
{
    uint32_t cwnd = f->conn.cwnd;
    for (uint32_t n = 0; n < cwnd; n += 2 * MSS) {
        f->now_us += (uint64_t)100000 * 2 * MSS / cwnd;
        acked(f, 2 * MSS);
    }
}

/* Everything sent is in flight, and some of it is lost. */
static void loss(struct fixture *f)
{
    f->conn.snd_max = f->conn.snd_una + f->conn.cwnd;
    f->conn.ssthresh = f->conn.cc_ops->ssthresh(&f->conn, f->now_us);
    f->conn.cwnd = f->conn.ssthresh;
}

static void they_are_found_by_name(void)
{
    CU_ASSERT(tcp_cc_find("cubic") == &tcp_cc_cubic);
    CU_ASSERT(tcp_cc_find("newreno") == &tcp_cc_newreno);
    CU_ASSERT(tcp_cc_find("reno") == &tcp_cc_newreno);
    CU_ASSERT(tcp_cc_find("vegas") == NULL);
}

static void slow_start_doubles(const struct tcp_cc_ops *ops)
{
    struct fixture f;
    setup(&f, ops);
    round_trip(&f);
    EXPECT_EQ(f.conn.cwnd, 20 * MSS);
    round_trip(&f);
    EXPECT_EQ(f.conn.cwnd, 40 * MSS);
}

/* RFC 5681 3.1-5, RFC 9438 4.10-1 */
static void slow_start_in_both(void)
{
    slow_start_doubles(&tcp_cc_newreno);
    slow_start_doubles(&tcp_cc_cubic);
}

/* RFC 3465: one ACK of very much opens the window by a bounded number of segments. (RFC 5681 3.1-6)
 */
static void one_ack_opens_the_window_by_a_bounded_amount(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_cubic);
    acked(&f, 1000 * MSS);
    EXPECT_EQ(f.conn.cwnd, 10 * MSS + CC_ABC_LIMIT);
}

/* RFC 5681 3.1-5, RFC 5681 3.1-11 */
static void slow_start_ends_at_ssthresh(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_newreno);
    f.conn.ssthresh = 10 * MSS + 500;
    acked(&f, 2 * MSS);
    EXPECT_EQ(f.conn.cwnd, 10 * MSS + 500); /* the rest counts for congestion avoidance */
    EXPECT_EQ(f.conn.cc.newreno.acked, 1500);
}

/* One loss follows another: when a recovery ends, most of what is outstanding is SACKed. That is
 * not what the network could not take, nor is limited transmit (RFC 5681 3.2 step 2). CUBIC asks
 * for cwnd alone (RFC 9438 4.6). */
static void a_loss_is_measured_by_what_was_in_flight(void)
{
    const struct tcp_cc_ops *ops[] = {&tcp_cc_newreno, &tcp_cc_cubic};
    const uint32_t expected[] = {5 * MSS, 7 * MSS}, unused[] = {3 * MSS, 7 * MSS};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        setup(&f, ops[i]);
        f.conn.snd_max = f.conn.snd_una + 25 * MSS;
        EXPECT_EQ(ops[i]->ssthresh(&f.conn, f.now_us), expected[i]);
        f.conn.snd_max = f.conn.snd_una + 6 * MSS; /* the application had no more to send */
        EXPECT_EQ(ops[i]->ssthresh(&f.conn, f.now_us), unused[i]);
    }
}

/* RFC 9438 4.6-2 */
static void a_window_that_is_not_used_does_not_grow(void)
{
    const struct tcp_cc_ops *ops[] = {&tcp_cc_newreno, &tcp_cc_cubic};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        setup(&f, ops[i]);
        struct tcp_cc_ack a = {.acked_bytes = 2 * MSS, .cwnd_limited = false};
        ops[i]->acked(&f.conn, &a, f.now_us);
        EXPECT_EQ(f.conn.cwnd, 10 * MSS);
    }
}

/* RFC 5681 3.1-7, 3.1-14 */
static void newreno_adds_one_segment_per_round_trip(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_newreno);
    f.conn.ssthresh = 10 * MSS;
    for (uint32_t i = 1; i <= 20; i++) {
        round_trip(&f);
        CU_ASSERT(f.conn.cwnd <= (10 + i) * MSS && f.conn.cwnd >= (9 + i) * MSS);
    }
}

/* RFC 5681 3.1-8 */
static void newreno_halves_what_is_in_flight(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_newreno);
    f.conn.snd_max = 8 * MSS;
    EXPECT_EQ(f.conn.cc_ops->ssthresh(&f.conn, f.now_us), 4 * MSS);
    f.conn.snd_max = MSS;
    EXPECT_EQ(f.conn.cc_ops->ssthresh(&f.conn, f.now_us), 2 * MSS); /* never less than two */
}

/* RFC 9438 4.6-1 */
static void cubic_keeps_seven_tenths(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_cubic);
    f.conn.cwnd = 100 * MSS;
    loss(&f);
    EXPECT_EQ(f.conn.cwnd, 70 * MSS);
    EXPECT_EQ(f.conn.cc.cubic.w_max, 100 * MSS);
}

/* RFC 9438 4.7: a second loss before W_max was regained gives more room to others. (RFC 9438 4.7-1)
 */
static void cubic_converges_fast(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_cubic);
    f.conn.cwnd = 100 * MSS;
    loss(&f);
    loss(&f);
    EXPECT_EQ(f.conn.cwnd, 49 * MSS);
    EXPECT_EQ(f.conn.cc.cubic.w_max, 70 * MSS * 85 / 100);
}

/* K = cubic root of (W_max (1 - beta) / C): W_max 1000 segments is regained after 9.09 s, slowly
 * near it and faster beyond (RFC 9438 4.2). (RFC 9293 MAY-18, RFC 9438 4.4-1, 4.5-1, 5.1-1,
 * RFC 5681 not 3-1) */
static void cubic_follows_its_curve(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_cubic);
    f.conn.cwnd = 1000 * MSS;
    loss(&f);
    acked(&f, 2 * MSS);
    EXPECT_EQ(f.conn.cc.cubic.k_ms, 9085);
    uint64_t start = f.now_us;
    uint32_t at[20];
    for (int s = 0; s < 20; s++) {
        while (f.now_us < start + (uint64_t)s * 1000000)
            round_trip(&f);
        at[s] = f.conn.cwnd / MSS;
    }
    CU_ASSERT(at[9] >= 990 && at[9] <= 1002);
    CU_ASSERT(at[5] >= 960 && at[5] <= 985); /* 0.4 * 4.085^3 = 27 below */
    CU_ASSERT(at[13] >= 1015 && at[13] <= 1040);
    CU_ASSERT(at[19] >= 1370 && at[19] <= 1480);
    CU_ASSERT(at[9] - at[8] < at[2] - at[1]);     /* concave ... */
    CU_ASSERT(at[11] - at[10] < at[19] - at[18]); /* ... then convex */
}

/* A small window over a short path grows as NewReno's would (RFC 9438 4.3). (RFC 9438 4.3-1) */
static void cubic_is_friendly(void)
{
    struct fixture f, g;
    setup(&f, &tcp_cc_cubic);
    setup(&g, &tcp_cc_newreno);
    f.conn.srtt_us = 5000;
    f.conn.cwnd = 20 * MSS;
    loss(&f);
    uint32_t before = f.conn.cwnd;
    for (int i = 0; i < 100; i++) {
        uint32_t cwnd = f.conn.cwnd;
        for (uint32_t n = 0; n < cwnd; n += MSS) {
            f.now_us += 5000ull * MSS / cwnd;
            acked(&f, MSS);
        }
    }
    uint32_t grown = (f.conn.cwnd - before) / MSS;
    CU_ASSERT(grown >= 50 &&
              grown <= 110); /* 0.53 to 1 segment per round trip; the curve gives 0 */
}

static void short_round_trip(struct fixture *f, uint32_t per_ack)
{
    uint32_t cwnd = f->conn.cwnd;
    for (uint32_t n = 0; n < cwnd; n += per_ack) {
        f->now_us += 5000ull * per_ack / cwnd;
        acked(f, per_ack);
    }
}

/* Once the old window is regained, a segment per round trip as NewReno. (RFC 9438 4.3-3) */
static void cubic_is_no_slower_than_newreno_beyond(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_cubic);
    f.conn.srtt_us = 5000;
    f.conn.cwnd = 20 * MSS;
    loss(&f);
    for (int i = 0; f.conn.cwnd < 21 * MSS && i < 100; i++)
        short_round_trip(&f, MSS);
    uint32_t before = f.conn.cwnd;
    for (int i = 0; i < 20; i++)
        short_round_trip(&f, MSS);
    uint32_t grown = f.conn.cwnd - before;
    CU_ASSERT(grown >= 18 * MSS && grown <= 21 * MSS);
}

/* However many segments an ACK is for. */
static void cubic_counts_bytes(void)
{
    uint32_t cwnd[3];
    for (uint32_t k = 1; k <= 3; k++) {
        struct fixture f;
        setup(&f, &tcp_cc_cubic);
        f.conn.srtt_us = 5000;
        f.conn.cwnd = 40 * MSS;
        loss(&f);
        for (int i = 0; i < 20; i++)
            short_round_trip(&f, k * MSS);
        cwnd[k - 1] = f.conn.cwnd / MSS;
    }
    CU_ASSERT(cwnd[0] > 28 + 8);
    CU_ASSERT(cwnd[1] + 2 >= cwnd[0] && cwnd[1] <= cwnd[0] + 2);
    CU_ASSERT(cwnd[2] + 2 >= cwnd[0] && cwnd[2] <= cwnd[0] + 2);
}

/* What was reached before the timeout is no measure any more: K is 0, and the estimate begins where
 * congestion avoidance does. (RFC 9438 4.8-1) */
static void cubic_begins_anew_after_a_timeout(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_cubic);
    f.conn.cwnd = 100 * MSS;
    f.conn.snd_max = f.conn.snd_una + f.conn.cwnd;
    f.conn.ssthresh = f.conn.cc_ops->ssthresh(&f.conn, f.now_us);
    EXPECT_EQ(f.conn.ssthresh, 70 * MSS);
    f.conn.cwnd = MSS;
    f.conn.cc_ops->rto(&f.conn, f.now_us);
    while (f.conn.cwnd < f.conn.ssthresh)
        round_trip(&f);
    acked(&f, MSS);
    EXPECT_EQ(f.conn.cc.cubic.k_ms, 0);
    CU_ASSERT(f.conn.cc.cubic.w_max >= 70 * MSS && f.conn.cc.cubic.w_max < 75 * MSS);
    CU_ASSERT(f.conn.cc.cubic.w_est >> 16 >= 70 && f.conn.cc.cubic.w_est >> 16 < 75);
}

/* RFC 9438 4.4: at most half of itself per round trip, however far ahead the curve is. */
static void cubic_grows_by_half_at_most(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_cubic);
    f.conn.cwnd = 100 * MSS;
    loss(&f);
    acked(&f, MSS);
    f.now_us += 60000000; /* the curve is far away */
    uint32_t before = f.conn.cwnd;
    round_trip(&f);
    CU_ASSERT(f.conn.cwnd > before * 13 / 10 && f.conn.cwnd <= before * 17 / 10);
}

/* RFC 9438 4.2-1 */
static void cubic_does_not_count_time_without_use(void)
{
    struct fixture f;
    setup(&f, &tcp_cc_cubic);
    f.conn.cwnd = 100 * MSS;
    loss(&f);
    round_trip(&f);
    uint32_t before = f.conn.cwnd;
    struct tcp_cc_ack a = {.acked_bytes = MSS, .cwnd_limited = false};
    tcp_cc_cubic.acked(&f.conn, &a, f.now_us);
    f.now_us += 60000000;
    acked(&f, 2 * MSS);
    CU_ASSERT(f.conn.cwnd <= before + 2 * MSS);
}

static void a_huge_window_stays_in_range(void)
{
    const struct tcp_cc_ops *ops[] = {&tcp_cc_newreno, &tcp_cc_cubic};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        setup(&f, ops[i]);
        f.conn.cwnd = CC_CWND_MAX - 10;
        acked(&f, 1 << 30);
        EXPECT_EQ(f.conn.cwnd, CC_CWND_MAX);
        f.conn.mss = 65495;
        loss(&f);
        f.now_us += 1000000000;
        for (int k = 0; k < 1000; k++) {
            f.now_us += 1000;
            acked(&f, 1 << 29);
        }
        CU_ASSERT(f.conn.cwnd <= CC_CWND_MAX && f.conn.cwnd >= CC_CWND_MAX / 2);
    }
}

TEST_SUITE(cc, TEST_CASE(they_are_found_by_name), TEST_CASE(slow_start_in_both),
           TEST_CASE(one_ack_opens_the_window_by_a_bounded_amount),
           TEST_CASE(slow_start_ends_at_ssthresh),
           TEST_CASE(a_window_that_is_not_used_does_not_grow),
           TEST_CASE(a_loss_is_measured_by_what_was_in_flight),
           TEST_CASE(newreno_adds_one_segment_per_round_trip),
           TEST_CASE(newreno_halves_what_is_in_flight), TEST_CASE(cubic_keeps_seven_tenths),
           TEST_CASE(cubic_converges_fast), TEST_CASE(cubic_follows_its_curve),
           TEST_CASE(cubic_is_friendly), TEST_CASE(cubic_grows_by_half_at_most),
           TEST_CASE(cubic_does_not_count_time_without_use),
           TEST_CASE(a_huge_window_stays_in_range),
           TEST_CASE(cubic_is_no_slower_than_newreno_beyond), TEST_CASE(cubic_counts_bytes),
           TEST_CASE(cubic_begins_anew_after_a_timeout));

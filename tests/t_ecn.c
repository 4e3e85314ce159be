/* ECN (RFC 3168): who uses it, what is marked, who echoes for how long, what an echo costs.
 * NewReno, windows of 1000-byte segments, the round trip is 10 ms. */
#include "mtcp/tcp/ecn.h"
#include "tests/seg.h"

#include <stdio.h>

#define MS 1000u

static struct segt *ready(const char *opts)
{
    struct segt *t = segt_established_with(opts);
    t->conn.cc_ops = &tcp_cc_newreno;
    t->conn.cc_ops->init(&t->conn);
    return t;
}

static void expect_marked(struct segt *t, int from, int to)
{
    for (int i = from; i < to; i++) {
        char s[40];
        snprintf(s, sizeof(s), "A %d+1000 ect0", 1 + 1000 * i);
        seg_expect(t, s);
    }
}

/* Ten segments are in flight, more is written. */
static struct segt *ten_in_flight(const char *opts)
{
    struct segt *t = ready(opts);
    segt_write(t, 60000);
    expect_marked(t, 0, 10);
    seg_silence(t);
    segt_advance(t, 10 * MS);
    return t;
}

/* ---- negotiation ---- */

static struct segt *syn_sent(uint8_t ecn)
{
    struct segt *t = segt_new();
    t->env.params.ecn = ecn;
    t->conn.flags |= TCF_ACTIVE;
    tcp_connect(&t->env, &t->conn);
    t->conn.iss = seq_make(t->our_isn);
    segt_flush(t);
    return t;
}

static void an_active_open_asks_only_when_told_to(void)
{
    for (uint8_t ecn = 0; ecn <= 2; ecn++) {
        struct segt *t = syn_sent(ecn);
        seg_expect(t, ecn == 1 ? "SEC 0 notect" : "S 0 notect");
        seg_in(t, "SAE 0 ack=1 mss=1000");
        seg_expect(t, "A 1 ack=1 notect");
        EXPECT_EQ((t->conn.flags & TCF_ECN) != 0, ecn == 1);
        segt_free(t);
    }
}

static void an_answer_without_ece_or_with_both_means_no(void)
{
    static const char *const answers[] = {"SA 0 ack=1 mss=1000", "SAEC 0 ack=1 mss=1000",
                                          "SAC 0 ack=1 mss=1000"};
    for (unsigned i = 0; i < 3; i++) {
        struct segt *t = syn_sent(1);
        seg_expect(t, "SEC 0");
        seg_in(t, answers[i]);
        seg_expect(t, "A 1 ack=1");
        segt_write(t, 100);
        seg_expect(t, "A 1+100 notect");
        segt_free(t);
    }
}

static void a_syn_sent_again_does_not_ask(void)
{
    struct segt *t = syn_sent(1);
    seg_expect(t, "SEC 0");
    segt_advance(t, 1000 * MS);
    seg_expect(t, "S 0 notect");
    seg_silence(t);
    segt_free(t);
}

static void a_simultaneous_open_agrees_too(void)
{
    struct segt *t = syn_sent(1);
    seg_expect(t, "SEC 0");
    seg_in(t, "SEC 0 mss=1000");
    seg_expect(t, "SAE 0 ack=1 notect");
    seg_in(t, "SAE 0 ack=1 mss=1000");
    CU_ASSERT(t->conn.flags & TCF_ECN);
    segt_free(t);
}

static struct seg syn_with(uint8_t flags, uint8_t tos)
{
    struct seg s = {.flags = flags, .tos = tos, .wnd = 4000};
    s.tuple = (struct flow_tuple){ip_addr_v4(be32_make(0x0a000001)),
                                  ip_addr_v4(be32_make(0x0a000002)), 80, 40000};
    return s;
}

/* RFC 9293 SHLD-8 */
static void a_listener_agrees_to_what_asks_properly(void)
{
    static const struct {
        uint8_t ecn, flags, tos;
        bool agrees;
    } row[] = {
        {2, TCP_SYN | TCP_ECE | TCP_CWR, 0, true},
        {1, TCP_SYN | TCP_ECE | TCP_CWR, 0, true},
        {0, TCP_SYN | TCP_ECE | TCP_CWR, 0, false},
        {2, TCP_SYN | TCP_ECE, 0, false},
        {2, TCP_SYN | TCP_CWR, 0, false},
        {2, TCP_SYN, 0, false},
        {2, TCP_SYN | TCP_ECE | TCP_CWR, IP_ECT_0, false}, /* RFC 3168 6.1.1: no ECT on a SYN */
    };
    struct segt *t = segt_new();
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct seg s = syn_with(row[i].flags, row[i].tos);
        struct tcp_tx tx;
        t->env.params.ecn = row[i].ecn;
        tcp_half_open_init(&t->env, &t->half, &s, 1500, &t->env.params);
        tcp_half_open_synack(&t->env, &t->half, &tx);
        EXPECT_EQ(tx.seg.flags, TCP_SYN | TCP_ACK | (row[i].agrees ? TCP_ECE : 0));
        EXPECT_EQ(tx.seg.tos & IP_ECN_MASK, 0);
    }
    segt_free(t);
}

/* ---- what is marked ---- */

static void only_new_data_is_marked(void)
{
    struct segt *t = ready("ecn");
    t->conn.tos = 0x48;
    segt_write(t, 100);
    const struct tcp_tx *x = &t->tx[t->at_tx];
    EXPECT_EQ(x->seg.tos, 0x48 | IP_ECT_0);
    seg_expect(t, "A 1+100");
    t->conn.tos = 0;
    segt_advance(t, 300 * MS);
    seg_expect(t, "A 1+100 notect"); /* again (RFC 3168 6.1.5) */
    seg_in(t, "PA 1+100 ack=101");
    segt_advance(t, 50 * MS);
    seg_expect(t, "A 101 ack=101 notect");
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, 1), 0);
    segt_flush(t);
    seg_expect(t, "FA 101 notect");
    segt_free(t);
}

static void without_agreement_nothing_is_marked_or_echoed(void)
{
    struct segt *t = ready("");
    segt_write(t, 100);
    seg_expect(t, "A 1+100 notect");
    seg_in(t, "PAE 1+100 ack=101 ce");
    segt_advance(t, 50 * MS);
    seg_expect(t, "A 101 ack=101");
    EXPECT_EQ(t->env.stats.ecn_reductions, 0);
    segt_free(t);
}

/* ---- the receiver ---- */

/* RFC 9293 SHLD-8 */
static void a_mark_is_echoed_until_the_peer_has_slowed_down(void)
{
    struct segt *t = ready("ecn");
    seg_in(t, "A 1+1000 ack=1 ect0");
    seg_silence(t); /* delayed */
    seg_in(t, "A 1001+1000 ack=1 ce");
    seg_expect(t, "AE 1 ack=2001"); /* at once */
    seg_in(t, "A 2001+1000 ack=1 ect0");
    segt_advance(t, 50 * MS);
    seg_expect(t, "AE 1 ack=3001");
    seg_in(t, "AC 3001+1000 ack=1 ect0");
    seg_expect(t, "A 1 ack=4001"); /* at once: the peer's window may be one segment */
    seg_in(t, "A 4001+1000 ack=1 ect0");
    segt_advance(t, 50 * MS);
    seg_expect(t, "A 1 ack=5001");
    CU_ASSERT(t->conn.marks & ECN_SEEN);
    EXPECT_EQ(t->env.stats.ecn_marks_in, 1);
    segt_free(t);
}

static void a_mark_on_the_segment_with_cwr_is_news(void)
{
    struct segt *t = ready("ecn");
    seg_in(t, "A 1+1000 ack=1 ce");
    seg_expect(t, "AE 1 ack=1001");
    seg_in(t, "AC 1001+1000 ack=1 ce");
    seg_expect(t, "AE 1 ack=2001");
    segt_free(t);
}

static void the_echo_rides_on_data(void)
{
    struct segt *t = ready("ecn");
    seg_in(t, "A 1+1000 ack=1 ce");
    seg_expect(t, "AE 1 ack=1001");
    segt_write(t, 10);
    seg_expect(t, "AE 1+10 ect0");
    segt_free(t);
}

static void what_the_window_refuses_says_nothing(void)
{
    struct segt *t = ready("ecn");
    seg_in(t, "A 900001+1000 ack=1 ce");
    seg_expect(t, "A 1 ack=1");
    segt_free(t);
}

/* ---- the sender ---- */

/* RFC 9293 SHLD-8 */
static void an_echo_halves_the_window_once_per_window(void)
{
    struct segt *t = ten_in_flight("ecn");
    seg_in(t, "AE 1 ack=1001");
    EXPECT_EQ(t->conn.ssthresh, 5000);
    seg_silence(t);
    seg_in(t, "AE 1 ack=2001");
    seg_expect(t, "AC 10001+1000 ect0"); /* the peer hears of it */
    seg_silence(t);
    for (int i = 1; i < 3; i++) { /* one for every two, over the round trip (RFC 9937) */
        char text[32];
        snprintf(text, sizeof(text), "AE 1 ack=%d", 2000 * (i + 1) + 1);
        seg_in(t, text);
        expect_marked(t, 10 + i, 11 + i);
        seg_silence(t);
    }
    seg_in(t, "AE 1 ack=8001"); /* five are in flight */
    seg_silence(t);
    seg_in(t, "A 1 ack=10001");
    expect_marked(t, 13, 15);
    seg_silence(t);
    EXPECT_EQ(t->conn.cwnd, 5000);
    EXPECT_EQ(t->env.stats.ecn_reductions, 1);
    seg_in(t, "AE 1 ack=11001"); /* beyond what was in flight: news */
    EXPECT_EQ(t->conn.ssthresh, 2500);
    seg_in(t, "A 1 ack=15001");
    EXPECT_EQ(t->env.stats.ecn_reductions, 2);
    segt_free(t);
}

/* A reduction does not keep the tail of a burst from being probed for, nor one that is lost from
 * being found. */
static void a_tail_is_probed_for_during_a_reduction(void)
{
    struct segt *t = ten_in_flight("ecn sackok");
    segt_advance(t, 10 * MS);
    seg_in(t, "AE 1 ack=8001");
    t->n_tx = t->at_tx = 0;
    segt_advance(t, 60 * MS); /* two round trips */
    CU_ASSERT(t->n_tx > t->at_tx);
    EXPECT_EQ(t->env.stats.rto, 0);
    segt_free(t);
}

/* Two segments are the least, whatever the echoes say. (RFC 9438 not 4.6-4, 4.6-5) */
static void echoes_leave_two_segments(void)
{
    struct segt *t = ready("ecn");
    t->conn.cc_ops = &tcp_cc_cubic;
    t->conn.cc_ops->init(&t->conn);
    for (int i = 1; i <= 10; i++) {
        char s[40];
        segt_write(t, 1000);
        snprintf(s, sizeof(s), "AE 1 ack=%d", 1 + 1000 * i);
        seg_in(t, s);
    }
    EXPECT_EQ(t->env.stats.ecn_reductions, 10);
    EXPECT_EQ(t->conn.cwnd, 2000);
    segt_free(t);
}

static void an_echo_for_a_segment_alone_counts(void)
{
    struct segt *t = ready("ecn");
    t->conn.cwnd = 8000;
    segt_write(t, 1000);
    seg_expect(t, "A 1+1000 ect0");
    seg_in(t, "AE 1 ack=1001");
    EXPECT_EQ(t->conn.ssthresh, 2000);
    EXPECT_EQ(t->conn.cwnd, 2000);
    seg_in(t, "AE 1 ack=1001"); /* nothing is in flight: no news */
    EXPECT_EQ(t->env.stats.ecn_reductions, 1);
    segt_write(t, 100);
    seg_expect(t, "AC 1001+100 ect0");
    segt_free(t);
}

static void cwr_goes_with_one_segment_on_the_wire(void)
{
    struct segt *t = ready("ecn");
    t->max_len = 60000;
    t->env.params.min_tso_segs = 64;
    segt_write(t, 60000);
    seg_expect(t, "PA 1+5000 ect0");
    seg_expect(t, "PA 5001+5000 ect0");
    segt_advance(t, 10 * MS);
    seg_in(t, "AE 1 ack=8001");
    seg_expect(t, "AC 10001+1000 ect0");
    seg_expect(t, "A 11001+2000 ect0");
    seg_silence(t);
    segt_free(t);
}

static void a_loss_in_the_same_window_costs_nothing_more(void)
{
    struct segt *t = ten_in_flight("ecn sackok");
    seg_in(t, "AE 1 ack=1001");
    EXPECT_EQ(t->conn.ssthresh, 5000);
    seg_in(t, "AE 1 ack=1001 sack=2001-5001");
    seg_expect(t, "A 1001+1000 notect");
    EXPECT_EQ(t->env.stats.rexmit_fast, 1);
    EXPECT_EQ(t->conn.ssthresh, 5000);
    EXPECT_EQ(t->env.stats.ecn_reductions, 1);
    segt_free(t);
}

static void the_peer_hears_of_a_loss_too(void)
{
    struct segt *t = ten_in_flight("ecn sackok");
    seg_in(t, "A 1 ack=1 sack=1001-4001");
    seg_expect(t, "A 1+1000 notect");
    seg_in(t, "A 1 ack=10001");
    seg_expect(t, "AC 10001+1000 ect0");
    segt_free(t);
}

/* A segment that never passed takes CWR with it: the next one says it again. */
static void cwr_waits_for_a_segment_that_passes(void)
{
    struct segt *t = ten_in_flight("ecn");
    seg_in(t, "AE 1 ack=5001");
    t->drop_output = true;
    seg_in(t, "A 1 ack=8001");
    seg_silence(t);
    CU_ASSERT(t->conn.marks & ECN_CWR);
    t->drop_output = false;
    conn_mark_output(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "AC 10001+1000 ect0");
    CU_ASSERT(!(t->conn.marks & ECN_CWR));
    segt_free(t);
}

TEST_SUITE(ecn, TEST_CASE(echoes_leave_two_segments),
           TEST_CASE(an_active_open_asks_only_when_told_to),
           TEST_CASE(an_answer_without_ece_or_with_both_means_no),
           TEST_CASE(a_syn_sent_again_does_not_ask), TEST_CASE(a_simultaneous_open_agrees_too),
           TEST_CASE(a_listener_agrees_to_what_asks_properly), TEST_CASE(only_new_data_is_marked),
           TEST_CASE(without_agreement_nothing_is_marked_or_echoed),
           TEST_CASE(a_mark_is_echoed_until_the_peer_has_slowed_down),
           TEST_CASE(a_mark_on_the_segment_with_cwr_is_news), TEST_CASE(the_echo_rides_on_data),
           TEST_CASE(what_the_window_refuses_says_nothing),
           TEST_CASE(an_echo_halves_the_window_once_per_window),
           TEST_CASE(a_tail_is_probed_for_during_a_reduction),
           TEST_CASE(an_echo_for_a_segment_alone_counts),
           TEST_CASE(cwr_goes_with_one_segment_on_the_wire),
           TEST_CASE(a_loss_in_the_same_window_costs_nothing_more),
           TEST_CASE(the_peer_hears_of_a_loss_too), TEST_CASE(cwr_waits_for_a_segment_that_passes));

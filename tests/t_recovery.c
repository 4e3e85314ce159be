/* Loss and recovery, segment by segment: the round trip is 10 ms, the initial window ten segments
 * of 1000 bytes, the timeout 210 ms. NewReno, so that windows are round numbers. */
#include "mtcp/tcp/recovery.h"

#include "mtcp/tcp/flight.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/timers.h"
#include "tests/pair.h"
#include "tests/seg.h"

#include <stdio.h>
#include <string.h>

#define MS 1000u

static struct segt *ready(const char *opts)
{
    struct segt *t = segt_established_with(opts);
    t->conn.cc_ops = &tcp_cc_newreno;
    t->conn.cc_ops->init(&t->conn);
    return t;
}

/* Expects segments from..to (in thousands) of 1000 bytes each. */
static void expect_full(struct segt *t, int from, int to)
{
    for (int i = from; i < to; i++) {
        char s[40];
        snprintf(s, sizeof(s), "A %d+1000", 1 + 1000 * i);
        seg_expect(t, s);
    }
}

/* Ten segments are in flight, more is written. */
static struct segt *ten_in_flight(const char *opts)
{
    struct segt *t = ready(opts);
    segt_write(t, 40000);
    expect_full(t, 0, 10);
    seg_silence(t);
    segt_advance(t, 10 * MS);
    return t;
}

static void dup_acks(struct segt *t, int n)
{
    for (int i = 0; i < n; i++)
        seg_in(t, "A 1 ack=1");
}

/* ---- memory ---- */

static void a_ping_pong_needs_no_scoreboard(void)
{
    struct segt *t = ready("");
    size_t before = mem_in_use(t->mem);
    segt_write(t, 1);
    EXPECT_EQ(mem_in_use(t->mem) - before, 2048); /* the send buffer */
    seg_in(t, "A 1 ack=2");
    EXPECT_EQ(mem_in_use(t->mem), before);
    segt_free(t);
}

static void a_few_segments_take_one_small_block(void)
{
    struct segt *t = ready("");
    t->conn.flags |= TCF_NODELAY;
    size_t before = mem_in_use(t->mem);
    segt_write(t, 1);
    segt_advance(t, 5 * MS);
    segt_write(t, 1);
    EXPECT_EQ(mem_in_use(t->mem) - before, 2048 + 256);
    EXPECT_EQ(t->conn.flight->n, 2); /* the first one's time is still known */
    EXPECT_EQ(flight_at(t->conn.flight, 1)->at_us - flight_at(t->conn.flight, 0)->at_us, 5 * MS);
    seg_in(t, "A 1 ack=3");
    EXPECT_EQ(mem_in_use(t->mem), before);
    CU_ASSERT(t->conn.flight == NULL);
    segt_free(t);
}

static void without_memory_for_the_scoreboard_data_still_arrives(void)
{
    struct segt *t = ready("sackok");
    uint8_t buf[1000];
    for (int i = 0; i < 1000; i++)
        buf[i] = seg_byte((uint64_t)i);
    EXPECT_EQ(tcp_send(&t->env, &t->conn, buf, 1000), 1000);
    mem_set_limit(t->mem, 1);
    segt_flush(t);
    seg_expect(t, "PA 1+1000");
    CU_ASSERT(t->conn.flight == NULL);
    segt_advance(t, 300 * MS); /* lost; still no memory: nothing can be resent */
    seg_silence(t);
    mem_set_limit(t->mem, 0);
    segt_advance(t, 500 * MS);
    seg_expect(t, "PA 1+1000");
    seg_in(t, "A 1 ack=1001");
    EXPECT_EQ(t->conn.snd_una, 1000);
    CU_ASSERT(!timers_rtx_is_set(&t->conn));
    segt_free(t);
}

/* ... also of several segments, whose timer runs: the second finds no scoreboard either. */
static void without_memory_several_segments_arrive(void)
{
    struct segt *t = ready("sackok");
    uint8_t buf[2000];
    for (int i = 0; i < 2000; i++)
        buf[i] = seg_byte((uint64_t)i);
    EXPECT_EQ(tcp_send(&t->env, &t->conn, buf, 2000), 2000);
    mem_set_limit(t->mem, 1);
    segt_flush(t);
    seg_expect(t, "A 1+1000");
    seg_expect(t, "PA 1001+1000");
    CU_ASSERT(t->conn.flight == NULL);
    seg_in(t, "A 1 ack=1001");
    segt_advance(t, 300 * MS);
    mem_set_limit(t->mem, 0);
    segt_advance(t, 500 * MS);
    seg_expect(t, "PA 1001+1000");
    seg_in(t, "A 1 ack=2001");
    EXPECT_EQ(t->conn.snd_una, 2000);
    CU_ASSERT(!timers_rtx_is_set(&t->conn));
    segt_free(t);
}

/* ---- round trips ---- */

/* RFC 6298 3-2 */
static void a_segment_sent_once_is_timed(void)
{
    struct segt *t = ready("");
    uint32_t srtt = t->conn.srtt_us;
    segt_write(t, 100);
    segt_advance(t, 18 * MS);
    seg_in(t, "A 1 ack=101");
    EXPECT_EQ(t->conn.srtt_us, srtt + (18 * MS - srtt) / 8);
    segt_free(t);
}

/* Karn: which transmission an ACK answers is not known. (RFC 9293 MUST-18, RFC 6298 3-1) */
static void a_segment_sent_twice_is_not(void)
{
    struct segt *t = ready("");
    uint32_t srtt = t->conn.srtt_us;
    segt_write(t, 100);
    segt_advance(t, 215 * MS);
    seg_in(t, "A 1 ack=101");
    EXPECT_EQ(t->conn.srtt_us, srtt);
    segt_free(t);
}

/* A peer that delays its ACKs for longer than the timeout: a timeout for every segment, if the
 * back-off were forgotten with each ACK. RFC 6298 3-1 */
static void the_back_off_is_kept_until_there_is_a_sample(void)
{
    struct segt *t = ready("");
    segt_write(t, 100);
    segt_advance(t, 215 * MS);
    EXPECT_EQ(t->n_tx, 2); /* sent twice */
    seg_in(t, "A 1 ack=101");
    segt_write(t, 100);
    segt_advance(t, 300 * MS);
    EXPECT_EQ(t->n_tx, 3); /* once; it waits twice as long as the first */
    seg_in(t, "A 1 ack=201");
    segt_advance(t, 1 * MS);
    EXPECT_EQ(rtt_rto(&t->env, &t->conn), rtt_rto_base(&t->env, &t->conn));
    segt_free(t);
}

/* ... unless timestamps tell. */
static void timestamps_tell_which_one_it_was(void)
{
    struct segt *t = ready("ts=100,0");
    segt_write(t, 100);
    segt_advance(t, 215 * MS);
    uint32_t second = t->tx[1].seg.opt.ts_val;
    uint32_t before = t->conn.srtt_us;
    segt_advance(t, 50 * MS);
    char s[60];
    snprintf(s, sizeof(s), "A 1 ack=101 ts=101,%u", second);
    seg_in(t, s);
    CU_ASSERT(t->conn.srtt_us > before + 4 * MS && t->conn.srtt_us < before + 7 * MS);
    segt_free(t);
}

/* The answer to the first transmission was lost; the peer repeats it for the second. Taking it for
 * a round trip would measure our own timeout. */
static void an_echo_that_is_repeated_is_no_round_trip(void)
{
    struct segt *t = ready("ts=100,0");
    segt_write(t, 100);
    uint32_t first = t->tx[0].seg.opt.ts_val;
    segt_advance(t, 215 * MS);
    uint32_t before = t->conn.srtt_us;
    segt_advance(t, 12 * MS);
    char s[60];
    snprintf(s, sizeof(s), "A 1 ack=101 ts=101,%u", first);
    seg_in(t, s);
    EXPECT_EQ(t->conn.srtt_us, before);
    segt_free(t);
}

/* ---- without SACK: NewReno ---- */

/* RFC 3042: the first two duplicate ACKs let a new segment go each; the third resends. RFC 6937
 * from there: half of what is delivered goes out, until half the window is left in flight. (RFC
 * 5681 3.2-3, 3.2-4, 3.2-5, 3.2-6, 3.2-7, 3.2-9, RFC 5681 not 3.2-8, RFC 5681 3.2-11, 3.2-12,
 * RFC 5681 3.1-13, 4.3-3, 4.3-5) */
static void the_third_duplicate_ack_resends(void)
{
    struct segt *t = ten_in_flight("");
    dup_acks(t, 1);
    expect_full(t, 10, 11);
    dup_acks(t, 1);
    expect_full(t, 11, 12);
    EXPECT_EQ(t->env.stats.rexmit_fast, 0);
    EXPECT_EQ(t->conn.cwnd, 10000);
    dup_acks(t, 1);
    expect_full(t, 0, 1);
    seg_silence(t);
    EXPECT_EQ(t->conn.ssthresh, 5000); /* of the ten, not of the two beyond (RFC 5681 3.2) */
    CU_ASSERT(recovery_in_recovery(&t->conn));
    dup_acks(t, 2);
    seg_silence(t);
    EXPECT_EQ(recovery_flight_bytes(&t->conn), 7000);
    dup_acks(t, 1);
    expect_full(t, 12, 13); /* one for every second that is delivered, until ssthresh */
    dup_acks(t, 2);
    seg_silence(t);
    dup_acks(t, 1);
    expect_full(t, 13, 14);
    seg_silence(t);
    seg_in(t, "A 1 ack=12001"); /* everything outstanding when it began */
    CU_ASSERT(!recovery_in_recovery(&t->conn));
    EXPECT_EQ(t->conn.cwnd, 5000);
    expect_full(t, 14, 17);
    seg_silence(t);
    segt_free(t);
}

/* With SACK only what is reported lets data go. (RFC 5681 3.2-10) */
static void a_duplicate_that_reports_nothing_lets_nothing_go(void)
{
    struct segt *t = ten_in_flight("sackok");
    dup_acks(t, 5);
    seg_silence(t);
    EXPECT_EQ(t->env.stats.rexmit_fast, 0);
    seg_in(t, "A 1 ack=1 sack=1001-2001");
    expect_full(t, 10, 11);
    seg_in(t, "A 1 ack=1 sack=1001-2001"); /* known */
    seg_silence(t);
    segt_free(t);
}

static void segments_with_data_or_a_new_window_are_no_duplicates(void)
{
    struct segt *t = ten_in_flight("");
    for (int i = 0; i < 5; i++) {
        char s[60];
        snprintf(s, sizeof(s), "A %d ack=1 win=%d", 1 + i, 50001 + i);
        seg_in(t, s);
        snprintf(s, sizeof(s), "A %d+1 ack=1 win=%d", 1 + i, 50001 + i);
        seg_in(t, s);
    }
    EXPECT_EQ(t->env.stats.rexmit_fast, 0);
    EXPECT_EQ(t->env.stats.dup_acks_in, 0);
    segt_free(t);
}

/* RFC 6582 3.2 step 3: a partial ACK says that the next segment is lost too. (RFC 5681 4.3-2) */
static void a_partial_ack_resends_the_next_hole(void)
{
    struct segt *t = ten_in_flight("");
    t->conn.cwnd = 8000; /* so that nothing new is in the way */
    dup_acks(t, 3);
    expect_full(t, 0, 1);
    seg_silence(t);
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=4001");
    expect_full(t, 4, 5);
    CU_ASSERT(recovery_in_recovery(&t->conn));
    seg_in(t, "A 1 ack=10001");
    CU_ASSERT(!recovery_in_recovery(&t->conn));
    EXPECT_EQ(t->conn.cwnd, 4000);
    EXPECT_EQ(t->env.stats.rexmit_fast, 1);
    segt_free(t);
}

/* RFC 6582 section 4, "impatient": a window with many holes ends in a timeout, not in as many round
 * trips. */
static void only_the_first_partial_ack_restarts_the_timer(void)
{
    struct segt *t = ten_in_flight("");
    dup_acks(t, 3);
    for (int i = 0; i < 8 && t->env.stats.rto == 0; i++) {
        char s[40];
        segt_advance(t, 60 * MS);
        t->n_tx = t->at_tx = 0;
        snprintf(s, sizeof(s), "A 1 ack=%d", 1001 + 1000 * i);
        seg_in(t, s);
    }
    EXPECT_EQ(t->env.stats.rto, 1);
    segt_free(t);
}

/* ---- the application hears of room ---- */

static void room_in_a_full_buffer_is_told(void)
{
    struct segt *t = ready("");
    stream_set_limit(&t->conn.snd, 3000);
    segt_write(t, 2000);
    t->conn.ready = 0;
    seg_in(t, "A 1 ack=1001");
    EXPECT_EQ(t->conn.ready & TCP_READY_OUT, 0); /* nobody waits for it */
    segt_write(t, 2000);
    EXPECT_EQ(tcp_writable(&t->conn), 0);
    seg_in(t, "A 1 ack=2001");
    EXPECT_EQ(t->conn.ready & TCP_READY_OUT, TCP_READY_OUT);
    segt_free(t);
}

/* RFC 6582 3.2 step 2: duplicate ACKs for what was sent before a timeout mean nothing. */
static void no_false_fast_retransmit_after_a_timeout(void)
{
    struct segt *t = ten_in_flight("");
    segt_advance(t, 250 * MS);
    expect_full(t, 0, 1);
    seg_silence(t);
    seg_in(t, "A 1 ack=10001"); /* all ten had arrived */
    EXPECT_EQ(t->conn.cwnd, 2000);
    expect_full(t, 10, 12);
    for (int i = 0; i < 4; i++)
        seg_in(t, "A 1 ack=10001"); /* from the segments that arrived twice */
    EXPECT_EQ(t->env.stats.rexmit_fast, 0);
    seg_in(t, "A 1 ack=11001"); /* beyond: the past is over */
    t->at_tx = t->n_tx = 0;
    for (int i = 0; i < 3; i++)
        seg_in(t, "A 1 ack=11001");
    EXPECT_EQ(t->env.stats.rexmit_fast, 1);
    segt_free(t);
}

/* ---- with SACK ---- */

/* RFC 8985 3.3.2-1, 9.3-1, 9.3-2 */
static void three_sacked_segments_resend_the_hole_only(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=1 sack=2001-3001");
    expect_full(t, 10, 11);
    seg_in(t, "A 1 ack=1 sack=2001-4001");
    expect_full(t, 11, 12);
    seg_in(t, "A 1 ack=1 sack=2001-5001");
    expect_full(t, 0, 1);
    EXPECT_EQ(t->conn.ssthresh, 5000);
    seg_in(t, "A 1 ack=1 sack=2001-6001"); /* the other hole waits for its share (RFC 6937) */
    seg_in(t, "A 1 ack=1 sack=2001-8001");
    seg_silence(t);
    EXPECT_EQ(recovery_flight_bytes(&t->conn), 5000);
    seg_in(t, "A 1 ack=1 sack=2001-9001");
    expect_full(t, 1, 2);
    seg_silence(t);
    EXPECT_EQ(t->env.stats.rexmit_segs, 2);
    segt_free(t);
}

/* RFC 9937: with less than ssthresh in flight one segment more than was delivered goes, but only
 * when the ACK advances and tells of no new loss. */
static void it_speeds_up_while_the_repair_goes_well(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=1 sack=8001-10001");
    expect_full(t, 10, 12);
    seg_in(t, "A 1 ack=1 sack=8001-11001"); /* eight are lost: one is in flight */
    expect_full(t, 0, 1);
    seg_silence(t);
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=1001 sack=8001-11001");
    expect_full(t, 1, 3);
    seg_silence(t);
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=1001 sack=2001-3001,8001-11001"); /* the first of the two is lost again */
    expect_full(t, 1, 2);
    seg_silence(t);
    segt_free(t);
}

/* A timeout in fast recovery, here of a retransmission that was lost: the same loss. */
static void a_timeout_in_recovery_is_the_same_loss(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=1 sack=1001-4001");
    expect_full(t, 0, 1);
    EXPECT_EQ(t->conn.ssthresh, 5000);
    segt_advance(t, 250 * MS);
    expect_full(t, 0, 1);
    EXPECT_EQ(t->env.stats.rto, 1);
    EXPECT_EQ(t->conn.ssthresh, 5000);
    EXPECT_EQ(t->conn.cwnd, 1000);
    segt_free(t);
}

/* An ACK that another has overtaken tells of what is SACKed all the same, and moves nothing else,
 * also when its timestamp is older. */
static void a_late_ack_tells_what_is_sacked(void)
{
    struct segt *t = ready("sackok ts=100,0");
    segt_write(t, 40000);
    seg_in(t, "A 1 ack=989 ts=105,0");
    seg_in(t, "A 1 ack=1 win=1000 ts=104,0 sack=1977-2965");
    EXPECT_EQ(t->conn.flight->sacked_bytes, 988);
    EXPECT_EQ(t->conn.snd_una, 988);
    EXPECT_EQ(t->conn.snd_wnd, 50000);
    EXPECT_EQ(t->conn.ts_recent, 105);
    EXPECT_EQ(t->env.stats.dup_acks_in, 0);
    EXPECT_EQ(t->env.stats.paws_drops, 0);
    seg_in(t, "A 1+5 ack=1 ts=104,0"); /* data is another matter */
    EXPECT_EQ(t->env.stats.paws_drops, 1);
    segt_free(t);
}

/* RFC 2018 5-1, RFC 8985 4-1 */
static void sacked_bytes_leave_the_network(void)
{
    struct segt *t = ten_in_flight("sackok");
    t->conn.cwnd = 5000;
    seg_in(t, "A 1 ack=1 sack=5001-7001");
    EXPECT_EQ(recovery_flight_bytes(&t->conn), 8000);
    seg_in(t, "A 1 ack=1 sack=5001-7001"); /* nothing new */
    EXPECT_EQ(recovery_flight_bytes(&t->conn), 8000);
    seg_in(t, "A 1 ack=4001 sack=5001-7001");
    EXPECT_EQ(t->conn.flight->sacked_bytes, 2000);
    seg_in(t, "A 1 ack=6001 sack=6001-7001");
    EXPECT_EQ(t->conn.flight->sacked_bytes, 1000);
    segt_free(t);
}

/* Blocks that no honest peer sends. */
static void impossible_blocks_are_ignored(void)
{
    static const char *const blocks[] = {
        "A 1 ack=1 sack=3001-2001",       /* ends before it begins */
        "A 1 ack=1 sack=2001-2001",       /* empty */
        "A 1 ack=1 sack=2001-900001",     /* beyond what was sent */
        "A 1 ack=1 sack=20001-21001",     /* likewise */
        "A 1 ack=1 sack=2147483000-5001", /* wraps */
        "A 1 ack=1 sack=2001-2147490000", /* wraps */
        "A 1 ack=1 sack=2101-2901",       /* no whole segment */
        "A 1 ack=1 sack=-5000-1",         /* below */
    };
    struct segt *t = ten_in_flight("sackok");
    t->conn.cwnd = 1000;
    for (unsigned i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        seg_in(t, blocks[i]);
    EXPECT_EQ(recovery_flight_bytes(&t->conn), 10000);
    seg_silence(t);
    seg_in(t, "A 1 ack=1 sack=1501-3501,2001-3001,2501-4001"); /* overlapping: 2001-4001 is whole */
    EXPECT_EQ(recovery_flight_bytes(&t->conn), 8000);
    segt_free(t);
}

/* RFC 8985 6.2: with fewer than three, time tells: a quarter of the least round trip. (RFC
 * 2018 5.1-1, RFC 8985 3.3.2-5, 4-2, 6.2-2) */
static void two_sacked_segments_and_time_resend_the_hole(void)
{
    struct segt *t = ten_in_flight("sackok");
    t->conn.cwnd = 9000;
    seg_in(t, "A 1 ack=1 sack=1001-2001");
    seg_silence(t);
    segt_advance(t, 4 * MS);
    seg_silence(t);
    segt_advance(t, 1 * MS); /* two milliseconds beyond, as Linux */
    expect_full(t, 0, 1);
    EXPECT_EQ(t->env.stats.rexmit_fast, 1);
    EXPECT_EQ(t->env.stats.rto, 0);
    segt_free(t);
}

/* Reordering that was seen makes RACK wait, whatever is SACKed. (RFC 8985 9.2-1) */
static void reordering_makes_it_wait(void)
{
    struct segt *t = ten_in_flight("sackok");
    t->conn.cwnd = 9000;
    seg_in(t, "A 1 ack=1 sack=2001-3001");
    seg_in(t, "A 1 ack=2001 sack=2001-3001"); /* the first two came late: reordering */
    t->at_tx = t->n_tx = 0;
    seg_in(t, "A 1 ack=3001 sack=4001-9001");
    EXPECT_EQ(t->env.stats.rexmit_fast, 0);
    segt_advance(t, 6 * MS);
    EXPECT_EQ(t->env.stats.rexmit_fast, 1);
    segt_free(t);
}

/* RFC 9937: the ACK that begins recovery sends the hole and no more; those that follow send as much
 * as they deliver. (RFC 5681 4.3-4) */
static void recovery_sends_what_is_delivered(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 10000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=1 sack=4001-5001");
    seg_in(t, "A 1 ack=1 sack=4001-6001");
    seg_silence(t);
    seg_in(t, "A 1 ack=1 sack=4001-7001");
    expect_full(t, 0, 1);
    seg_silence(t);
    seg_in(t, "A 1 ack=1 sack=4001-8001");
    expect_full(t, 1, 2);
    seg_silence(t);
    seg_in(t, "A 1 ack=1 sack=4001-10001");
    expect_full(t, 2, 4);
    seg_silence(t);
    segt_free(t);
}

/* An ACK that was overtaken by another still tells what is SACKed. */
static void an_old_ack_tells_of_sacks(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=3001");
    t->at_tx = t->n_tx = 0;
    uint32_t before = recovery_flight_bytes(&t->conn);
    t->conn.flags |= TCF_CORK;
    t->conn.cwnd = 1000;
    seg_in(t, "A 1 ack=1001 sack=5001-7001");
    EXPECT_EQ(before - recovery_flight_bytes(&t->conn), 2000);
    EXPECT_EQ(t->conn.snd_una, 3000);
    segt_free(t);
}

/* The numbers of TCP_INFO: lost until acknowledged, also when sent again. */
static void what_is_in_flight_is_counted(void)
{
    struct segt *t = ten_in_flight("sackok");
    struct tcp_recovery_info i;
    seg_in(t, "A 1 ack=1 sack=2001-3001");
    recovery_info(&t->conn, &i);
    CU_ASSERT(i.is_disordered && !i.is_in_loss);
    EXPECT_EQ(i.sacked, 1);
    EXPECT_EQ(i.lost, 0);
    EXPECT_EQ(i.reordering, 3);
    seg_in(t, "A 1 ack=1 sack=2001-3001,6001-7001");
    seg_in(t, "A 1 ack=1 sack=2001-3001,6001-7001,8001-9001");
    recovery_info(&t->conn, &i);
    EXPECT_EQ(i.sacked, 3);
    EXPECT_EQ(i.lost, 6);
    EXPECT_EQ(i.retrans, 1);
    seg_in(t, "A 1 ack=1 sack=2001-4001,6001-7001,8001-9001");
    recovery_info(&t->conn, &i);
    EXPECT_EQ(i.lost, 5);
    EXPECT_EQ(i.reordering, 6); /* 3001 after 9001 */
    segt_free(t);
}

/* What RACK waits for one missing segment, in ms, after so many round trips with a D-SACK. */
static unsigned wait_after_dsacks(unsigned n)
{
    struct segt *t = ten_in_flight("sackok");
    char s[80];
    uint32_t una = 1;
    t->conn.cwnd = 9000;
    seg_in(t, "A 1 ack=1 sack=2001-3001");
    seg_in(t, "A 1 ack=3001");     /* reordering */
    for (una = 3001; n > 0; n--) { /* all but the last segment, each time */
        segt_advance(t, 10 * MS);
        una = (uint32_t)t->conn.snd_max + 1 - 1000;
        snprintf(s, sizeof(s), "A 1 ack=%u sack=%u-%u", una, una - 1000, una);
        seg_in(t, s);
        t->conn.flight->dsack_noted = false; /* the round trip is over */
        segt_write(t, 5000);
        t->at_tx = t->n_tx = 0;
    }
    segt_advance(t, 10 * MS);
    snprintf(s, sizeof(s), "A 1 ack=%u sack=%u-%u", una + 1000, una + 2000, una + 3000);
    seg_in(t, s);
    unsigned ms = 0;
    for (; t->env.stats.rexmit_fast == 0 && ms < 100; ms++)
        segt_advance(t, 1 * MS);
    CU_ASSERT(ms <= t->conn.srtt_us / MS + 5); /* and the timer's grain */
    segt_free(t);
    return ms;
}

/* A quarter of the round trip more for each, up to all of it. (RFC 8985 3.3.2-2, 3.3.2-3,
 * 3.3.2-4, 4-3) */
static void needless_retransmissions_lengthen_the_wait(void)
{
    unsigned none = wait_after_dsacks(0), one = wait_after_dsacks(1), three = wait_after_dsacks(3);
    CU_ASSERT(none < one && one < three);
    CU_ASSERT(wait_after_dsacks(40) >= three);
}

/* RFC 8985 3.2: a retransmission that is lost again is found without a timeout. (RFC 5681
 * not 4.3-1) */
static void a_lost_retransmission_is_found(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=1 sack=1001-7001");
    expect_full(t, 0, 1);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=1 sack=1001-10001");
    t->at_tx = t->n_tx = 0; /* new data, sent after the retransmission */
    CU_ASSERT(t->conn.snd_max > 10000);
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=1 sack=1001-11001");
    segt_advance(t, 5 * MS);
    bool again = false;
    for (unsigned i = 0; i < t->n_tx; i++)
        again |= t->tx[i].off == 0;
    CU_ASSERT(again);
    EXPECT_EQ(t->env.stats.rto, 0);
    EXPECT_EQ(t->env.stats.rexmit_fast, 1); /* the same recovery */
    segt_free(t);
}

/* An hour later, while nobody looked: what was measured before seems to lie ahead of all that is
 * sent now, which is not lost for that. */
static void after_an_hour_nothing_is_known(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=1 sack=1001-2001");
    CU_ASSERT(t->conn.flight->rack_valid);
    t->env.now_us += 3600ull * 1000 * MS;
    segt_advance(t, 250 * MS);
    t->at_tx = t->n_tx;
    CU_ASSERT_FATAL(t->n_tx > 0);
    EXPECT_EQ(t->tx[t->n_tx - 1].off, 0); /* the timeout */
    for (int i = 0; i < 10; i++) {
        segt_advance(t, 10 * MS);
        seg_in(t, "A 1 ack=1 sack=1001-2001");
    }
    seg_silence(t);
    segt_free(t);
}

/* RFC 8985 6.2 step 2: an ACK that comes sooner after a retransmission than any can is one of the
 * first transmission, and says nothing of what was sent in between. */
static void an_ack_too_soon_is_of_the_first_transmission(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=1 sack=1001-7001"); /* 1 is resent; 7001 to 10001 are under way */
    t->n_tx = t->at_tx = 0;
    segt_advance(t, 2 * MS);
    uint64_t n = t->env.stats.rexmit_segs;
    t->conn.flags |= TCF_CORK;
    seg_in(t, "A 1 ack=1001 sack=1001-7001"); /* was late only */
    EXPECT_EQ(t->conn.flight->lost_bytes, 0);
    EXPECT_EQ(t->env.stats.rexmit_segs, n);
    segt_free(t);
}

/* Without SACK: after two duplicate ACKs it was reordering. One segment of the three is news. */
static void a_part_of_a_large_segment_is_delivered(void)
{
    struct segt *t = ready("");
    t->max_len = 10000;
    t->env.params.min_tso_segs = 64;
    t->conn.cwnd = 10000;
    segt_write(t, 20000);
    seg_expect(t, "PA 1+5000");
    seg_expect(t, "PA 5001+5000");
    segt_advance(t, 10 * MS);
    dup_acks(t, 2);
    expect_full(t, 10, 12);
    seg_in(t, "A 1 ack=3001");
    EXPECT_EQ(t->conn.cwnd, 11000);
    seg_expect(t, "PA 12001+2000");
    seg_silence(t);
    segt_free(t);
}

/* RFC 8985 6.2 step 2: of what an ACK delivers, the slowest counts when it lies highest, so that a
 * segment sent with it is not believed lost already. */
static void a_delivery_that_took_longer_is_waited_for(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 10000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=1 sack=1001-2001");
    seg_in(t, "A 1 ack=1 sack=1001-3001");
    seg_in(t, "A 1 ack=1 sack=1001-3001,8001-9001");
    seg_expect(t, "A 1+1000");
    segt_advance(t, 12 * MS);
    seg_in(t, "A 1 ack=4001 sack=8001-9001"); /* 3001-4001 was late: so may 9001-10001 be */
    seg_expect(t, "A 4001+1000");
    seg_expect(t, "A 5001+1000");
    seg_expect(t, "A 6001+1000");
    seg_silence(t);
    segt_free(t);
}

static void parts_of_a_large_segment_are_known_apart(void)
{
    struct segt *t = ready("sackok");
    t->max_len = 10000;
    t->env.params.min_tso_segs = 64;
    t->env.params.idle_restart = false;
    t->conn.cwnd = 20000;
    segt_write(t, 10000);
    seg_expect(t, "PA 1+10000");
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=1 sack=1001-4001,6001-10001");
    seg_expect(t, "A 1+1000");
    seg_in(t, "A 1 ack=4001 sack=6001-10001");
    seg_expect(t, "A 4001+2000");
    seg_silence(t);
    seg_in(t, "A 1 ack=10001");
    CU_ASSERT(t->conn.flight == NULL);
    segt_free(t);
}

/* ---- tail loss probes ---- */

/* RFC 8985 7: the end of a burst is lost, no ACK will tell. After two round trips the last segment
 * goes again, and its SACK shows the rest of the hole. (RFC 8985 7.2-1, 7.3-4, 7.3-5) */
static void the_last_segment_is_sent_again(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 5000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=2001"); /* 2001-5001 are lost */
    segt_advance(t, 20 * MS);
    seg_silence(t);
    segt_advance(t, 3 * MS);
    seg_expect(t, "PA 4001+1000");
    seg_silence(t);
    EXPECT_EQ(t->env.stats.rto, 0);
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=2001 sack=4001-5001");
    segt_advance(t, 7 * MS);
    seg_expect(t, "A 2001+1000");
    seg_in(t, "A 1 ack=3001 sack=4001-5001");
    seg_expect(t, "A 3001+1000");
    seg_silence(t);
    EXPECT_EQ(t->env.stats.rto, 0);
    segt_free(t);
}

/* RFC 8985 7.3-2, 7.3-3, 7.3-6, 8-1 */
static void a_probe_sends_new_data_when_there_is_some(void)
{
    struct segt *t = ten_in_flight("sackok");
    segt_advance(t, 13 * MS);
    expect_full(t, 10, 11);
    seg_silence(t);
    segt_advance(t, 100 * MS); /* one probe, then the timeout */
    seg_silence(t);
    segt_advance(t, 150 * MS);
    expect_full(t, 0, 1);
    EXPECT_EQ(t->env.stats.rto, 1);
    segt_free(t);
}

/* What waits for the window may be less than a segment, and what the peer's window has no room for
 * does not go. (RFC 8985 7.3-3) */
static void a_probe_may_be_short(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 10300);
    expect_full(t, 0, 10);
    seg_silence(t);
    segt_advance(t, 23 * MS);
    seg_expect(t, "PA 10001+300");
    seg_silence(t);
    segt_free(t);

    t = ready("sackok");
    seg_in(t, "A 1 ack=1 win=10200");
    segt_write(t, 10300);
    expect_full(t, 0, 10);
    segt_advance(t, 23 * MS);
    seg_expect(t, "A 9001+1000");
    seg_silence(t);
    segt_free(t);
}

/* What Nagle or the cork holds back is new data, too. (RFC 8985 7.3-3) */
static void a_probe_is_not_held_back(void)
{
    static const uint32_t why[] = {0, TCF_CORK};
    for (unsigned i = 0; i < sizeof(why) / sizeof(why[0]); i++) {
        struct segt *t = ready("sackok");
        segt_write(t, 1500);
        seg_expect(t, "A 1+1000");
        seg_expect(t, "PA 1001+500");
        t->conn.flags |= why[i];
        segt_write(t, 300);
        seg_silence(t);
        segt_advance(t, 23 * MS);
        seg_expect(t, "PA 1501+300");
        seg_silence(t);
        EXPECT_EQ(t->env.stats.rto, 0);
        segt_free(t);
    }
}

/* Each burst of new data puts the probe off. (RFC 8985 7.2-1) */
static void a_probe_waits_behind_new_data(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 2000);
    segt_advance(t, 15 * MS);
    segt_write(t, 1000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 20 * MS);
    seg_silence(t);
    segt_advance(t, 3 * MS);
    seg_expect(t, "PA 2001+1000");
    seg_silence(t);
    segt_free(t);
}

/* RFC 8985 7.4: a loss that only the probe repaired still counts as congestion. (RFC
 * 8985 7.2-3, 7.2-4, 7.4.2-1, 7.4.2-2) */
static void a_loss_repaired_by_the_probe_halves_the_window(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=2001");
    segt_advance(t, 250 * MS); /* one segment in flight: its ACK may be delayed */
    seg_expect(t, "PA 2001+1000");
    EXPECT_EQ(t->env.stats.rto, 0); /* for which the timeout would come first: in its place */
    segt_advance(t, 250 * MS);
    seg_expect(t, "PA 2001+1000");
    EXPECT_EQ(t->env.stats.rto, 1);
    segt_free(t);

    t = ready("sackok");
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 25 * MS);
    seg_expect(t, "PA 2001+1000"); /* the probe */
    seg_in(t, "A 1 ack=3001");
    EXPECT_EQ(t->conn.cwnd, 10000);
    segt_write(t, 1000);
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=4001"); /* beyond the probe and no D-SACK: it was needed */
    CU_ASSERT(t->conn.cwnd <= 5000);
    segt_free(t);
}

/* The answer to a segment that was sent twice measures nothing (Karn). Were the path longer now, a
 * probe each time would keep that from being known. (RFC 8985 7.3-1) */
static void a_probe_wants_a_round_trip_since_the_last(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 25 * MS);
    seg_expect(t, "PA 2001+1000");
    seg_in(t, "A 1 ack=3001 sack=2001-3001"); /* D-SACK: both copies came */
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 200 * MS);
    seg_silence(t);
    segt_advance(t, 50 * MS);
    seg_expect(t, "A 3001+1000"); /* the timeout */
    EXPECT_EQ(t->env.stats.rto, 1);
    segt_free(t);

    t = ready("sackok");
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 25 * MS);
    seg_expect(t, "PA 2001+1000");
    seg_in(t, "A 1 ack=3001 sack=2001-3001");
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=4001"); /* sent once: it measures, and the rest may be probed for */
    segt_advance(t, 25 * MS);
    seg_expect(t, "PA 5001+1000");
    EXPECT_EQ(t->env.stats.rto, 0);
    segt_free(t);
}

static void a_probe_that_was_not_needed_costs_nothing(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 25 * MS);
    seg_expect(t, "PA 2001+1000");
    seg_in(t, "A 1 ack=3001");
    seg_in(t, "A 1 ack=3001 sack=2001-3001"); /* D-SACK */
    segt_write(t, 1000);
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=4001");
    EXPECT_EQ(t->conn.cwnd, 10000);
    segt_free(t);
}

/* RFC 8985 7.2: also when it is the only one in flight, which has no scoreboard. */
static void a_segment_alone_is_probed_for_too(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 1000);
    seg_expect(t, "PA 1+1000");
    CU_ASSERT(t->conn.flight == NULL);
    segt_advance(t, 215 * MS); /* the timeout comes before 2 SRTT and the delayed ACK */
    seg_expect(t, "PA 1+1000");
    EXPECT_EQ(t->env.stats.rto, 0);
    EXPECT_EQ(t->conn.cwnd, 10000);
    segt_advance(t, 215 * MS);
    seg_expect(t, "PA 1+1000");
    EXPECT_EQ(t->env.stats.rto, 1);
    seg_in(t, "A 1 ack=1001");
    segt_free(t);
}

/* ---- timeouts ---- */

/* RFC 9293 MUST-19, RFC 5681 3.1-5, 3.1-8, 3.1-10 */
static void a_timeout_resends_everything_in_slow_start(void)
{
    struct segt *t = ten_in_flight("");
    segt_advance(t, 250 * MS);
    expect_full(t, 0, 1);
    seg_silence(t);
    EXPECT_EQ(t->conn.cwnd, 1000);
    EXPECT_EQ(t->conn.ssthresh, 5000);
    seg_in(t, "A 1 ack=1001");
    expect_full(t, 1, 3);
    seg_silence(t);
    seg_in(t, "A 1 ack=2001");
    expect_full(t, 3, 5);
    seg_in(t, "A 1 ack=3001");
    expect_full(t, 5, 7);
    seg_silence(t);
    seg_in(t, "A 1 ack=10001"); /* the rest had arrived */
    CU_ASSERT(!recovery_in_recovery(&t->conn));
    segt_free(t);
}

/* RFC 5681 3.1-9 */
static void a_second_timeout_leaves_ssthresh_alone(void)
{
    struct segt *t = ten_in_flight("");
    segt_advance(t, 250 * MS);
    EXPECT_EQ(t->conn.ssthresh, 5000);
    segt_advance(t, 2000 * MS);
    EXPECT_EQ(t->env.stats.rto, 3);
    EXPECT_EQ(t->conn.ssthresh, 5000);
    EXPECT_EQ(t->conn.cwnd, 1000);
    segt_free(t);
}

/* RFC 2018 not 5.1-2 */
static void what_is_sacked_is_not_resent_after_a_timeout(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 5000);
    t->at_tx = t->n_tx = 0;
    t->conn.snd_wnd = 5000;
    seg_in(t, "A 1 ack=1 win=5000 sack=1001-2001,3001-4001");
    segt_advance(t, 1000 * MS); /* every retransmission is lost */
    t->at_tx = t->n_tx = 0;
    CU_ASSERT(t->env.stats.rto > 0);
    segt_advance(t, 2000 * MS);
    for (unsigned i = 0; i < t->n_tx; i++)
        CU_ASSERT(t->tx[i].off == 0);
    t->at_tx = t->n_tx = 0;
    seg_in(t, "A 1 ack=2001 win=5000 sack=3001-4001");
    seg_expect(t, "A 2001+1000");
    seg_in(t, "A 1 ack=4001 win=5000");
    seg_expect(t, "PA 4001+1000");
    seg_silence(t);
    segt_free(t);
}

/* RFC 2018 section 8: what was SACKed may be dropped by the peer. (RFC 2018 5-2, 8-1) */
static void reneging_is_survived(void)
{
    struct segt *t = ready("sackok");
    segt_write(t, 4000);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=1 sack=1001-4001");
    segt_advance(t, 10 * MS);
    t->at_tx = t->n_tx = 0;
    seg_in(t, "A 1 ack=1001"); /* it has dropped the three */
    segt_advance(t, 250 * MS);
    seg_expect(t, "A 1001+1000");
    EXPECT_EQ(t->env.stats.rto, 1);
    seg_in(t, "A 1 ack=2001");
    expect_full(t, 2, 3);
    seg_expect(t, "PA 3001+1000");
    seg_in(t, "A 1 ack=4001");
    CU_ASSERT(t->conn.flight == NULL);
    segt_free(t);
}

/* RFC 7323 2.4-5 */
static void nothing_is_resent_beyond_the_window(void)
{
    struct segt *t = ten_in_flight("sackok");
    seg_in(t, "A 1 ack=1 win=1500 sack=4001-10001"); /* shrinks, and four are lost */
    expect_full(t, 0, 1);
    for (int i = 0; i < 5; i++)
        seg_in(t, "A 1 ack=1 win=1500 sack=4001-10001");
    for (unsigned i = t->at_tx; i < t->n_tx; i++)
        CU_ASSERT(t->tx[i].off + t->tx[i].seg.len <= 1500);
    segt_free(t);
}

static void a_lost_fin_is_sent_again(void)
{
    struct segt *t = segt_in_state(TCPS_FIN_WAIT_1);
    segt_advance(t, 220 * MS);
    seg_expect(t, "FA 1 ack=1");
    seg_in(t, "A 1 ack=2");
    expect_state(t, TCPS_FIN_WAIT_2);
    segt_advance(t, 5000 * MS);
    seg_silence(t);
    segt_free(t);
}

static void data_and_fin_go_again_together(void)
{
    struct segt *t = ready("");
    t->conn.flags |= TCF_MORE;
    segt_write(t, 500);
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, 1), 0);
    segt_flush(t);
    seg_expect(t, "FPA 1+500");
    segt_advance(t, 220 * MS);
    seg_expect(t, "FPA 1+500");
    seg_in(t, "A 1 ack=501"); /* the data, not the FIN */
    EXPECT_EQ(t->conn.snd_una, 500);
    expect_state(t, TCPS_FIN_WAIT_1);
    segt_advance(t, 450 * MS); /* the back-off is kept */
    seg_expect(t, "FA 501");
    seg_in(t, "A 1 ack=502");
    expect_state(t, TCPS_FIN_WAIT_2);
    segt_free(t);
}

/* ---- the congestion window ---- */

/* RFC 5681 4.1-1 */
static void it_restarts_after_an_idle_time(void)
{
    struct segt *t = ready("");
    segt_write(t, 1000);
    seg_in(t, "A 1 ack=1001");
    t->at_tx = t->n_tx = 0;
    t->conn.cwnd = 40000;
    segt_advance(t, 100 * MS);
    segt_write(t, 1000);
    seg_in(t, "A 1 ack=2001");
    EXPECT_EQ(t->conn.cwnd, 40000); /* not idle for a timeout */
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 300 * MS);
    segt_write(t, 40000);
    expect_full(t, 2, 12); /* RFC 5681 4.1 */
    seg_silence(t);
    EXPECT_EQ(t->conn.cwnd, 10000);
    segt_free(t);
}

static void idle_time_may_change_nothing(void)
{
    struct segt *t = ready("");
    t->env.params.idle_restart = false;
    segt_write(t, 1000);
    seg_in(t, "A 1 ack=1001");
    t->at_tx = t->n_tx = 0;
    t->conn.cwnd = 40000;
    segt_advance(t, 900 * MS);
    segt_write(t, 40000);
    EXPECT_EQ(t->n_tx, 40);
    EXPECT_EQ(t->conn.cwnd, 40000);
    segt_free(t);
}

static void it_grows_when_it_was_the_limit_only(void)
{
    struct segt *t = ready("");
    for (int i = 0; i < 20; i++) {
        char s[40];
        segt_write(t, 1000);
        segt_advance(t, 10 * MS);
        snprintf(s, sizeof(s), "A 1 ack=%d", 1001 + 1000 * i);
        seg_in(t, s);
    }
    EXPECT_EQ(t->conn.cwnd, 10000);
    t->at_tx = t->n_tx = 0;
    segt_write(t, 10000);
    seg_in(t, "A 1 ack=22001");
    EXPECT_EQ(t->conn.cwnd, 12000);
    segt_free(t);
}

/* As Linux: half of cwnd in flight, and it does not grow; more, and it grows to twice that. */
static void slow_start_grows_to_twice_what_was_sent(void)
{
    static const struct {
        uint32_t sent, cwnd;
    } rounds[] = {{5000, 10000}, {6000, 12000}, {9000, 18000}, {18000, 36000}, {4000, 36000}};
    struct segt *t = ready("");
    uint32_t acked = 0;
    for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        segt_write(t, rounds[i].sent);
        t->at_tx = t->n_tx = 0;
        segt_advance(t, 10 * MS);
        for (uint32_t end = acked + rounds[i].sent; acked < end;) {
            char s[40];
            acked += 1000;
            snprintf(s, sizeof(s), "A 1 ack=%u", acked + 1);
            seg_in(t, s);
        }
        EXPECT_EQ(t->conn.cwnd, rounds[i].cwnd);
    }
    segt_free(t);
}

/* CUBIC's time counts as long as the window is the limit, and begins anew after a round trip in
 * which it was not (RFC 9438 5.8). */
static void the_curve_goes_on_while_it_is_the_limit(void)
{
    struct segt *t = segt_established_with("sackok");
    tcp_off_t acked = 0;
    t->conn.ssthresh = 5000;
    segt_write(t, 60000);
    for (int i = 0; i < 5; i++) {
        tcp_off_t end = t->conn.snd_max;
        segt_advance(t, 10 * MS);
        while (acked < end) {
            char s[40];
            acked = acked + 2000 < end ? acked + 2000 : end;
            snprintf(s, sizeof(s), "A 1 ack=%lld", (long long)acked + 1);
            seg_in(t, s);
        }
        t->at_tx = t->n_tx = 0;
    }
    uint32_t epoch = t->conn.cc.cubic.epoch_ms;
    EXPECT_EQ(epoch, 1010 + 10); /* the handshake's round trip, then the first ACK */
    segt_free(t);
}

static void an_ack_per_byte_opens_it_by_bytes(void)
{
    struct segt *t = ten_in_flight("");
    for (int i = 1; i <= 500; i++) {
        char s[40];
        snprintf(s, sizeof(s), "A 1 ack=%d", 1 + i);
        seg_in(t, s);
        if (t->n_tx > 200)
            t->n_tx = t->at_tx = 0;
    }
    EXPECT_EQ(t->conn.cwnd, 10500);
    EXPECT_EQ(t->conn.snd_una, 500);
    segt_free(t);
}

/* ---- far along ---- */

/* Everything again beyond 4 GB and across 2^31 and 2^32 of the low halves. */
static void streams_over_four_gigabytes(void)
{
    static const uint64_t starts[] = {(1ull << 31) - 4500, (1ull << 32) - 4500, (1ull << 35) - 1};
    for (unsigned k = 0; k < 3; k++) {
        struct segt *t = ready("sackok");
        tcp_off_t at = (tcp_off_t)starts[k];
        t->conn.snd.next = starts[k];
        t->conn.snd_una = t->conn.snd_nxt = at;
        t->conn.iss = seq_make(t->our_isn - (uint32_t)starts[k]);
        t->written = starts[k];
        t->conn.snd_wl2 = seq_of_off(t->conn.iss, at);
        segt_write(t, 40000);
        expect_full(t, 0, 10);
        segt_advance(t, 10 * MS);
        seg_in(t, "A 1 ack=1001 sack=2001-7001,8001-9001");
        seg_expect(t, "A 1001+1000");
        segt_advance(t, 10 * MS);
        seg_in(t, "A 1 ack=7001 sack=8001-9001");
        t->at_tx = t->n_tx = 0;
        segt_advance(t, 20 * MS);
        t->conn.flags |= TCF_CORK; /* no more new segments */
        seg_in(t, "A 1 ack=10001");
        EXPECT_EQ(t->conn.snd_una, at + 10000);
        EXPECT_EQ(t->env.stats.rto, 0);
        char s[40];
        snprintf(s, sizeof(s), "A 1 ack=%u", (uint32_t)(t->conn.snd_max - at) + 1);
        seg_in(t, s);
        CU_ASSERT(!recovery_in_recovery(&t->conn));
        segt_free(t);
    }
}

/* ---- bounded work ---- */

/* A peer that SACKs every other segment of a large window, over and over, in four blocks at a time.
 */
static void a_storm_of_sack_blocks(void)
{
    struct segt *t = ready("sackok ws=7");
    t->env.params.sndbuf = 1 << 24;
    stream_set_limit(&t->conn.snd, 1 << 24);
    t->conn.cwnd = 1 << 24;
    t->conn.snd_at_us = (uint32_t)t->env.now_us;
    t->conn.snd_wnd = 1 << 24;
    for (int i = 0; i < 128; i++) {
        segt_write(t, 60000);
        t->n_tx = t->at_tx = 0;
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 7000; i += 8) {
            char s[120];
            snprintf(s, sizeof(s), "A 1 ack=1 win=65535 sack=%d-%d,%d-%d,%d-%d,%d-%d",
                     1001 + 1000 * i, 2001 + 1000 * i, 3001 + 1000 * i, 4001 + 1000 * i,
                     5001 + 1000 * i, 6001 + 1000 * i, 7001 + 1000 * i, 8001 + 1000 * i);
            seg_in(t, s);
            t->n_tx = t->at_tx = 0;
        }
    EXPECT_EQ(t->conn.snd_una, 0);
    EXPECT_EQ(t->conn.snd_max, 7680000);
    seg_in(t, "A 1 ack=7680001 win=65535");
    EXPECT_EQ(t->conn.snd_una, 7680000);
    segt_free(t);
}

static void short_of_memory_now_and_then(void)
{
    for (uint64_t i = 0; i < 12; i++) {
        struct pair_conf conf = {.delay_us = 5000,
                                 .us_per_kb = 80,
                                 .queue_us = 50000,
                                 .loss_ppm = 10000,
                                 .n_bytes = {300000, 100000},
                                 .no_sack = i & 1,
                                 .max_len = (i & 2) ? 20000 : 0,
                                 .mem_is_short = true};
        struct pair *p = pair_new(&conf, test_seed() + i);
        pair_run(p, 600000000ull);
        CU_ASSERT(pair_end_well(p));
    }
}

TEST_SUITE(recovery, TEST_CASE(a_ping_pong_needs_no_scoreboard),
           TEST_CASE(a_few_segments_take_one_small_block),
           TEST_CASE(without_memory_for_the_scoreboard_data_still_arrives),
           TEST_CASE(without_memory_several_segments_arrive),
           TEST_CASE(a_segment_sent_once_is_timed), TEST_CASE(a_segment_sent_twice_is_not),
           TEST_CASE(the_back_off_is_kept_until_there_is_a_sample),
           TEST_CASE(timestamps_tell_which_one_it_was),
           TEST_CASE(an_echo_that_is_repeated_is_no_round_trip),
           TEST_CASE(the_third_duplicate_ack_resends),
           TEST_CASE(a_duplicate_that_reports_nothing_lets_nothing_go),
           TEST_CASE(segments_with_data_or_a_new_window_are_no_duplicates),
           TEST_CASE(a_partial_ack_resends_the_next_hole),
           TEST_CASE(only_the_first_partial_ack_restarts_the_timer),
           TEST_CASE(room_in_a_full_buffer_is_told),
           TEST_CASE(an_ack_too_soon_is_of_the_first_transmission),
           TEST_CASE(no_false_fast_retransmit_after_a_timeout),
           TEST_CASE(three_sacked_segments_resend_the_hole_only),
           TEST_CASE(it_speeds_up_while_the_repair_goes_well),
           TEST_CASE(a_timeout_in_recovery_is_the_same_loss),
           TEST_CASE(a_late_ack_tells_what_is_sacked), TEST_CASE(sacked_bytes_leave_the_network),
           TEST_CASE(impossible_blocks_are_ignored),
           TEST_CASE(two_sacked_segments_and_time_resend_the_hole),
           TEST_CASE(recovery_sends_what_is_delivered), TEST_CASE(an_old_ack_tells_of_sacks),
           TEST_CASE(what_is_in_flight_is_counted), TEST_CASE(idle_time_may_change_nothing),
           TEST_CASE(reordering_makes_it_wait), TEST_CASE(a_lost_retransmission_is_found),
           TEST_CASE(after_an_hour_nothing_is_known),
           TEST_CASE(parts_of_a_large_segment_are_known_apart),
           TEST_CASE(the_last_segment_is_sent_again), TEST_CASE(a_segment_alone_is_probed_for_too),
           TEST_CASE(a_delivery_that_took_longer_is_waited_for),
           TEST_CASE(a_part_of_a_large_segment_is_delivered),
           TEST_CASE(slow_start_grows_to_twice_what_was_sent),
           TEST_CASE(a_probe_sends_new_data_when_there_is_some), TEST_CASE(a_probe_may_be_short),
           TEST_CASE(a_probe_is_not_held_back), TEST_CASE(a_probe_waits_behind_new_data),
           TEST_CASE(a_loss_repaired_by_the_probe_halves_the_window),
           TEST_CASE(a_probe_wants_a_round_trip_since_the_last),
           TEST_CASE(a_probe_that_was_not_needed_costs_nothing),
           TEST_CASE(a_timeout_resends_everything_in_slow_start),
           TEST_CASE(what_is_sacked_is_not_resent_after_a_timeout), TEST_CASE(reneging_is_survived),
           TEST_CASE(nothing_is_resent_beyond_the_window), TEST_CASE(a_lost_fin_is_sent_again),
           TEST_CASE(data_and_fin_go_again_together), TEST_CASE(it_restarts_after_an_idle_time),
           TEST_CASE(it_grows_when_it_was_the_limit_only),
           TEST_CASE(the_curve_goes_on_while_it_is_the_limit),
           TEST_CASE(an_ack_per_byte_opens_it_by_bytes), TEST_CASE(streams_over_four_gigabytes),
           TEST_CASE(a_storm_of_sack_blocks), TEST_CASE(short_of_memory_now_and_then),
           TEST_CASE(a_second_timeout_leaves_ssthresh_alone),
           TEST_CASE(needless_retransmissions_lengthen_the_wait));

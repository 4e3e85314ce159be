/* What goes out: data and silly window avoidance, SYN, FIN, RST, ACKs, windows, probes. */
#include "mtcp/tcp/output.h"

#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/timers.h"
#include "tests/seg.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MS 1000u

/* ---- data ---- */

/* RFC 9293 MUST-60, MUST-61 */
static void what_is_written_goes_with_psh(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    seg_expect(t, "PA 1+100 ack=1");
    seg_silence(t);
    EXPECT_EQ(t->conn.snd_nxt, 100);
    EXPECT_EQ(t->conn.snd_max, 100);
    EXPECT_EQ(t->conn.snd_una, 0);
    segt_free(t);
}

static void asking_changes_nothing(void)
{
    struct segt *t = segt_established();
    uint8_t buf[100] = {0};
    EXPECT_EQ(tcp_send(&t->env, &t->conn, buf, 100), 100);
    struct tcp_conn before = t->conn;
    struct tcp_tx tx;
    CU_ASSERT(tcp_output_next(&t->env, &t->conn, 1000, &tx));
    CU_ASSERT(tcp_output_next(&t->env, &t->conn, 1000, &tx));
    EXPECT_EQ(memcmp(&before, &t->conn, sizeof(before)), 0);
    EXPECT_EQ(tx.seg.len, 100);
    EXPECT_EQ(tx.off, 0);
    segt_free(t);
}

/* RFC 9293 3.7.4, as Linux has it (Minshall): a partial segment waits while another may be
 * unacknowledged; full ones are none. (RFC 9293 SHLD-7) */
static void nagle_holds_the_tail(void)
{
    struct segt *t = segt_established();
    segt_write(t, 2500);
    seg_expect(t, "A 1+1000");
    seg_expect(t, "A 1001+1000");
    seg_expect(t, "PA 2001+500");
    EXPECT_EQ(t->tx[0].seg.flags & TCP_PSH, 0);
    segt_write(t, 300);
    seg_silence(t);
    seg_in(t, "A 1 ack=2001");
    seg_silence(t);
    seg_in(t, "A 1 ack=2501");
    seg_expect(t, "PA 2501+300");
    segt_write(t, 1200);
    seg_expect(t, "A 2801+1000");
    seg_silence(t); /* the short one is still there, and before the full one */
    seg_in(t, "A 1 ack=3801");
    seg_expect(t, "PA 3801+200");
    seg_in(t, "A 1 ack=4001");
    segt_write(t, 1000);
    seg_expect(t, "PA 4001+1000");
    segt_write(t, 10);
    seg_expect(t, "PA 5001+10");
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 MUST-17 */
static void nodelay_does_not(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_NODELAY;
    segt_write(t, 1500);
    seg_expect(t, "A 1+1000");
    seg_expect(t, "PA 1001+500");
    segt_write(t, 1);
    seg_expect(t, "PA 1501+1");
    seg_silence(t);
    segt_free(t);
}

static void the_cork_holds_partial_segments_for_a_while(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_CORK | TCF_NODELAY;
    segt_write(t, 1300);
    seg_expect(t, "A 1+1000");
    seg_silence(t);
    seg_in(t, "A 1 ack=1001");
    seg_silence(t);
    segt_advance(t, 150 * MS);
    seg_silence(t);
    segt_advance(t, 100 * MS);
    seg_expect(t, "PA 1001+300");
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 SHLD-27, MAY-16 */
static void uncorking_lets_them_go(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_MORE;
    segt_write(t, 300);
    seg_silence(t);
    t->conn.flags &= ~(uint32_t)TCF_MORE;
    segt_write(t, 200);
    seg_expect(t, "PA 1+500");
    seg_silence(t);
    segt_free(t);
}

/* MSG_MORE holds back until a segment comes; its end gets no PSH. */
static void more_holds_until_something_comes(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_NODELAY;
    segt_write(t, 1000);
    seg_expect(t, "PA 1+1000");
    t->conn.flags |= TCF_MORE; /* as mtcp_send does */
    t->conn.is_unpushed = true;
    segt_write(t, 100);
    seg_silence(t);
    seg_in(t, "A 1 ack=1001");
    seg_expect(t, "A 1001+100");
    EXPECT_EQ(t->tx[0].seg.flags & TCP_PSH, 0);
    segt_free(t);
}

/* What had a PSH has it again, and nothing else has. */
static void a_retransmission_keeps_its_psh(void)
{
    struct segt *t = segt_established_with("sackok");
    segt_write(t, 2000);
    segt_write(t, 2000);
    segt_write(t, 2000);
    t->n_tx = t->at_tx = 0;
    segt_advance(t, 10000);
    seg_in(t, "A 1 ack=1 sack=3001-4001");
    seg_in(t, "A 1 ack=1 sack=3001-6001");
    seg_expect(t, "A 1+1000");
    EXPECT_EQ(t->tx[0].seg.flags & TCP_PSH, 0);
    seg_expect(t, "PA 1001+1000");
    seg_in(t, "A 1 ack=1001 sack=3001-6001");
    seg_expect(t, "A 2001+1000");
    EXPECT_EQ(t->tx[0].seg.flags & TCP_PSH, 0);
    segt_free(t);
}

/* Without window scaling a large buffer is more than the header can say: reading moves nothing. */
static void no_update_for_a_window_that_cannot_be_said(void)
{
    struct segt *t = segt_established();
    stream_set_limit(&t->conn.rcv, 1 << 20);
    seg_in(t, "PA 1+1000 ack=1");
    segt_advance(t, 50000);
    seg_expect(t, "A 1 ack=1001");
    EXPECT_EQ(segt_read(t, 1000), 1000);
    segt_flush(t);
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 SHLD-28, RFC 5681 3.1-2, RFC 5681 not 3.1-1 (RFC 5681 3.1-4, RFC 5681 2-1) */
static void the_initial_window_is_ten_segments(void)
{
    struct segt *t = segt_established();
    segt_write(t, 30000);
    for (int i = 0; i < 10; i++) {
        char s[40];
        snprintf(s, sizeof(s), "A %d+1000", 1 + 1000 * i);
        seg_expect(t, s);
    }
    seg_silence(t);
    EXPECT_EQ(t->conn.ssthresh, UINT32_MAX);
    seg_in(t, "A 1 ack=2001"); /* slow start: two acknowledged, four more */
    for (int i = 10; i < 14; i++) {
        char s[40];
        snprintf(s, sizeof(s), "A %d+1000", 1 + 1000 * i);
        seg_expect(t, s);
    }
    seg_silence(t);
    segt_free(t);
}

static void large_segments_for_a_device_that_cuts(void)
{
    struct segt *t = segt_established();
    t->max_len = 4500;
    t->env.params.min_tso_segs = 64;
    segt_write(t, 9700);
    seg_expect(t, "PA 1+4000"); /* what is cut ends with a PSH */
    EXPECT_EQ(t->tx[0].mss, 1000);
    seg_expect(t, "PA 4001+4000");
    seg_expect(t, "PA 8001+1700");
    seg_silence(t);
    seg_in(t, "A 1 ack=9701");
    segt_write(t, 4300); /* nothing is in flight: the tail may ride along */
    seg_expect(t, "PA 9701+4300");
    seg_silence(t);
    segt_free(t);
}

/* ---- the peer's window ---- */

/* RFC 9293 MUST-38, RFC 5681 2-1 */
static void the_peers_window_is_the_limit(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1 ack=1 win=2500");
    segt_write(t, 5000);
    seg_expect(t, "A 1+1000");
    seg_expect(t, "A 1001+1000");
    seg_silence(t); /* 500 more would fit, but that is silly */
    seg_in(t, "A 1 ack=1001 win=2500");
    seg_expect(t, "A 2001+1000");
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 3.8.6.2.1: half of the largest window is enough. */
static void half_of_a_tiny_window_is_worth_a_segment(void)
{
    struct segt *t = segt_established();
    t->conn.snd_wnd_max = 0;
    seg_in(t, "A 1 ack=1 win=600");
    segt_write(t, 2000);
    seg_expect(t, "A 1+600");
    seg_in(t, "A 1 ack=601 win=200");
    seg_silence(t);
    seg_in(t, "A 1 ack=601 win=300");
    seg_expect(t, "A 601+300");
    seg_silence(t);
    segt_free(t);
}

static void a_silly_window_is_used_when_nothing_else_happens(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1 ack=1 win=100");
    segt_write(t, 2000);
    seg_silence(t);
    segt_advance(t, 250 * MS);
    seg_expect(t, "A 1+100");
    seg_silence(t);
    seg_in(t, "A 1 ack=101 win=5000");
    seg_expect(t, "A 101+1000");
    seg_expect(t, "PA 1101+900");
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 MUST-36, SHLD-29, SHLD-30 */
static void a_shut_window_is_probed(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1 ack=1 win=0");
    segt_write(t, 500);
    seg_silence(t);
    segt_advance(t, 250 * MS);
    seg_expect(t, "A 0 ack=1"); /* an old number: answered, whatever the window */
    seg_silence(t);
    EXPECT_EQ(t->conn.snd_nxt, 0);
    seg_in(t, "A 1 ack=1 win=0");
    seg_silence(t);
    segt_advance(t, 450 * MS);
    seg_expect(t, "A 0 ack=1");
    seg_in(t, "A 1 ack=1 win=9000"); /* it opens */
    seg_expect(t, "PA 1+500");
    seg_silence(t);
    EXPECT_EQ(t->conn.backoff, 0);
    CU_ASSERT(!(t->conn.flags & TCF_PERSIST));
    EXPECT_EQ(t->env.stats.zero_window_probes, 2);
    segt_free(t);
}

static void the_fin_needs_room_in_the_window_too(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1 ack=1 win=500");
    t->conn.flags |= TCF_MORE;
    segt_write(t, 500);
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, SHUT_WR), 0);
    segt_flush(t);
    seg_expect(t, "PA 1+500");
    seg_silence(t);
    seg_in(t, "A 1 ack=501 win=0");
    seg_silence(t);
    seg_in(t, "A 1 ack=501 win=1");
    seg_expect(t, "FA 501");
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 SHLD-15, RFC 7323 2.4-4 */
static void a_shrunk_window_stops_new_data(void)
{
    struct segt *t = segt_established();
    segt_write(t, 4000);
    for (int i = 0; i < 4; i++)
        t->at_tx++;
    t->at_tx = t->n_tx = 0;
    seg_in(t, "A 1 ack=1001 win=1000"); /* of the 4000 sent only 2000 are within it now */
    segt_write(t, 3000);
    seg_silence(t);
    seg_in(t, "A 1+10 ack=1001 win=1000");
    segt_advance(t, 45 * MS);
    seg_expect(t, "A 2001 ack=11"); /* an ACK lies within the window, not at SND.NXT */
    seg_silence(t);
    segt_free(t);
}

/* ---- SYN ---- */

/* RFC 9293 MUST-14, MUST-67, SHLD-5, MAY-3, RFC 7323 3.2-5, RFC 7323 2.2-5, 2.3-5, 3.2-7 */
static void a_syn_offers_everything(void)
{
    struct segt *t = segt_new();
    t->conn.flags |= TCF_ACTIVE;
    tcp_connect(&t->env, &t->conn);
    t->conn.iss = seq_make(t->our_isn);
    segt_flush(t);
    seg_expect(t, "S 0 mss=1460 ws=7 sackok ts=0,0 win=65535");
    seg_silence(t);
    EXPECT_EQ(t->conn.snd_nxt, 0);
    EXPECT_EQ(t->conn.snd_una, -1);
    EXPECT_EQ(t->conn.rcv_adv, 65535);
    segt_free(t);
}

/* RFC 9293 MAY-3 */
static void a_syn_without_options(void)
{
    struct segt *t = segt_new();
    t->env.params.timestamps = t->env.params.sack = t->env.params.wscale = false;
    t->conn.flags |= TCF_ACTIVE;
    t->conn.user_mss = 900;
    stream_set_limit(&t->conn.rcv, 20000);
    tcp_connect(&t->env, &t->conn);
    t->conn.iss = seq_make(t->our_isn);
    segt_flush(t);
    seg_expect(t, "S 0 mss=900 win=20000");
    const struct tcp_opts *o = &t->tx[0].seg.opt;
    CU_ASSERT(!o->has_ts && !o->has_wscale && !o->sack_permitted);
    segt_free(t);
}

/* RFC 9293 figure 7: both ends have sent a SYN. */
static void a_simultaneous_open(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "S 0 mss=1000 ts=77,0 win=3000");
    seg_expect(t, "SA 0 ack=1 ts=0,77 mss=1460");
    CU_ASSERT(!t->tx[0].seg.opt.has_wscale && !t->tx[0].seg.opt.sack_permitted);
    seg_silence(t);
    segt_advance(t, 1100 * MS);
    seg_expect(t, "SA 0 ack=1 ts=0,77");
    seg_in(t, "SA 0 ack=1 ts=78,0 win=3000");
    expect_state(t, TCPS_ESTABLISHED);
    segt_free(t);
}

/* ---- the end ---- */

static void the_fin_rides_on_the_last_data(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_MORE;
    segt_write(t, 300);
    seg_silence(t);
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, SHUT_WR), 0);
    segt_flush(t);
    seg_expect(t, "FPA 1+300");
    seg_silence(t);
    EXPECT_EQ(t->conn.snd_nxt, 301);
    seg_in(t, "A 1 ack=302");
    expect_state(t, TCPS_FIN_WAIT_2);
    seg_silence(t);
    segt_free(t);
}

static void the_fin_alone(void)
{
    struct segt *t = segt_established();
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, SHUT_WR), 0);
    segt_flush(t);
    seg_expect(t, "FA 1 ack=1");
    seg_silence(t);
    EXPECT_EQ(t->conn.snd_nxt, 1);
    segt_free(t);
}

/* Nagle does not hold what a FIN follows, and cwnd does not hold a FIN. */
static void the_fin_does_not_wait(void)
{
    struct segt *t = segt_established();
    segt_write(t, 10300);
    t->at_tx = t->n_tx = 0;
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, SHUT_WR), 0);
    segt_flush(t);
    seg_silence(t); /* cwnd */
    seg_in(t, "A 1 ack=1001");
    seg_expect(t, "FPA 10001+300");
    seg_silence(t);
    segt_free(t);
}

static void an_abort_is_a_reset(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    seg_expect(t, "PA 1+100");
    tcp_abort(&t->env, &t->conn, HOOK_END_ABORT, 0);
    segt_flush(t);
    seg_expect(t, "RA 101 ack=1 win=0");
    seg_silence(t);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.end_reason, HOOK_END_ABORT);
    CU_ASSERT(!timer_is_armed(&t->conn.timer));
    segt_free(t);
}

/* ---- acknowledgements ---- */

/* RFC 9293 MUST-58 */
static void an_ack_rides_on_data(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+100 ack=1");
    seg_silence(t);
    segt_write(t, 50);
    seg_expect(t, "PA 1+50 ack=101");
    segt_advance(t, 100 * MS);
    seg_silence(t); /* nothing is owed any more */
    segt_free(t);
}

/* RFC 9293 MUST-40, SHLD-18 */
static void a_delayed_ack(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+100 ack=1");
    segt_advance(t, 39 * MS);
    seg_silence(t);
    segt_advance(t, 2 * MS);
    seg_expect(t, "A 1 ack=101");
    segt_advance(t, 1000 * MS);
    seg_silence(t);
    segt_free(t);
}

/* RFC 7323 3.2-1, 3.2-8, 4.1-2, 5.4-1, 5.4-2 */
static void every_segment_has_timestamps_once_agreed(void)
{
    struct segt *t = segt_established_with("ts=500,0");
    t->conn.flags |= TCF_QUICKACK;
    EXPECT_EQ(t->conn.mss, 988);
    segt_write(t, 100);
    seg_expect(t, "PA 1+100 ts=0,500");
    uint32_t first = t->tx[0].seg.opt.ts_val;
    EXPECT_EQ(first, conn_ts_now(&t->env, &t->conn));
    seg_in(t, "A 1+3000 ack=101 ts=510,0");
    seg_expect(t, "A 101 ack=3001 ts=0,510");
    segt_advance(t, 5000000);
    segt_write(t, 100);
    EXPECT_EQ(t->tx[t->at_tx].seg.opt.ts_val - first, 5000); /* milliseconds */
    segt_free(t);
}

/* RFC 7323 3.2-2, 5.2-6 */
static void resets_have_timestamps_too(void)
{
    struct segt *t = segt_established_with("ts=500,0");
    tcp_abort(&t->env, &t->conn, HOOK_END_ABORT, 0);
    segt_flush(t);
    seg_expect(t, "RA 1 ack=1 ts=0,500");
    segt_free(t);
}

/* RFC 2018 4-4, 4-5 */
static void the_latest_run_is_reported_first(void)
{
    struct segt *t = segt_established_with("sackok");
    seg_in(t, "A 1001+100 ack=1");
    seg_expect(t, "A 1 ack=1 sack=1001-1101");
    seg_in(t, "A 5001+100 ack=1");
    seg_expect(t, "A 1 ack=1 sack=5001-5101,1001-1101");
    seg_in(t, "A 3001+100 ack=1");
    seg_expect(t, "A 1 ack=1 sack=3001-3101,5001-5101,1001-1101");
    seg_in(t, "A 1101+100 ack=1"); /* the first run grows */
    seg_expect(t, "A 1 ack=1 sack=1001-1201,3001-3101,5001-5101");
    seg_in(t, "A 7001+100 ack=1");
    seg_in(t, "A 9001+100 ack=1"); /* four fit */
    seg_expect(t, "A 1 ack=1 sack=7001-7101,1001-1201,3001-3101,5001-5101");
    seg_expect(t, "A 1 ack=1 sack=9001-9101,7001-7101,1001-1201,3001-3101");
    segt_free(t);
}

/* RFC 2018 4-5 */
static void three_blocks_beside_timestamps(void)
{
    struct segt *t = segt_established_with("sackok ts=1,0");
    for (int i = 1; i <= 4; i++) {
        char s[60];
        snprintf(s, sizeof(s), "A %d+100 ack=1 ts=2,0", 1 + 1000 * i);
        seg_in(t, s);
    }
    t->at_tx = 3;
    seg_expect(t, "A 1 ack=1 sack=4001-4101,3001-3101,1001-1101");
    t->conn.flags |= TCF_ACK_NOW;
    conn_mark_output(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "A 1 ack=1 sack=4001-4101,3001-3101,1001-1101");
    t->conn.flags |= TCF_ACK_NOW;
    conn_mark_output(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "A 1 ack=1 sack=4001-4101,3001-3101,2001-2101"); /* each has its turn */
    segt_free(t);
}

/* RFC 2883: what came twice is the first block, once. */
static void a_duplicate_is_reported(void)
{
    struct segt *t = segt_established_with("sackok");
    t->conn.flags |= TCF_QUICKACK;
    seg_in(t, "A 1+3000 ack=1");
    seg_expect(t, "A 1 ack=3001");
    seg_in(t, "A 1+1000 ack=1");
    seg_expect(t, "A 1 ack=3001 sack=1-1001");
    seg_in(t, "A 4001+1000 ack=1");
    seg_expect(t, "A 1 ack=3001 sack=4001-5001");
    seg_in(t, "A 2001+1000 ack=1");
    seg_expect(t, "A 1 ack=3001 sack=2001-3001,4001-5001");
    seg_silence(t);
    segt_free(t);
}

/* Without SACK only ACKs without data count as duplicates, so they go by themselves, one for each
 * segment beyond the hole, also when a burst brought several (RFC 5681 4.2). */
static void duplicate_acks_do_not_ride_on_data(void)
{
    struct segt *t = segt_established();
    const char *const burst[] = {"A 1001+1000 ack=1", "A 2001+1000 ack=1", "A 3001+1000 ack=1"};
    t->conn.flags |= TCF_CORK;
    segt_write(t, 100);
    t->conn.flags &= ~(uint32_t)TCF_CORK;
    seg_in_burst(t, burst, 3);
    seg_expect(t, "A 1 ack=1");
    seg_expect(t, "A 1 ack=1");
    seg_expect(t, "A 1 ack=1");
    seg_expect(t, "PA 1+100 ack=1");
    seg_silence(t);
    const char *const filled[] = {"A 5001+1000 ack=1", "A 1+1000 ack=101"};
    seg_in_burst(t, filled, 2);
    seg_expect(t, "A 101 ack=4001"); /* the hole that was asked about is filled: one says it */
    seg_silence(t);
    segt_free(t);
}

/* Blocks take their room from the payload. */
static void sack_beside_data(void)
{
    struct segt *t = segt_established_with("sackok");
    seg_in(t, "A 1001+100 ack=1");
    seg_expect(t, "A 1 ack=1 sack=1001-1101");
    segt_write(t, 2000);
    seg_expect(t, "A 1+988 sack=1001-1101");
    EXPECT_EQ(t->tx[0].mss, 988);
    seg_expect(t, "A 989+988 sack=1001-1101");
    seg_expect(t, "PA 1977+24 sack=1001-1101");
    seg_silence(t);
    segt_free(t);
}

/* ---- the window we announce ---- */

static void the_window_is_what_the_buffer_takes(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_QUICKACK;
    stream_set_limit(&t->conn.rcv, 8000);
    t->conn.rcv_adv = 8000;
    seg_in(t, "A 1+3000 ack=1");
    seg_expect(t, "A 1 ack=3001 win=5000");
    seg_in(t, "A 3001+3000 ack=1");
    seg_expect(t, "A 1 ack=6001 win=2000");
    EXPECT_EQ(t->conn.rcv_adv, 8000);
    EXPECT_EQ(segt_read(t, 100), 100);
    seg_silence(t); /* not worth telling */
    EXPECT_EQ(segt_read(t, 5900), 5900);
    seg_expect(t, "A 1 ack=6001 win=8000");
    EXPECT_EQ(t->conn.rcv_adv, 14000);
    segt_free(t);
}

/* RFC 9293 3.8.6: shrinking the buffer does not shrink what was promised. (RFC 9293 SHLD-14, RFC
 * 7323 2.4-2, 2.4-3) */
static void the_right_edge_never_moves_left(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_QUICKACK;
    stream_set_limit(&t->conn.rcv, 8000);
    t->conn.rcv_adv = 8000;
    stream_set_limit(&t->conn.rcv, 2000);
    seg_in(t, "A 1+1500 ack=1");
    seg_expect(t, "A 1 ack=1501 win=6500");
    EXPECT_EQ(t->conn.rcv_adv, 8000);
    segt_free(t);
}

/* RFC 9293 3.8.6.2.2: the edge moves by a segment or half the buffer, or not at all. (RFC 9293
 * MUST-39) */
static void the_right_edge_moves_by_worthwhile_steps(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_QUICKACK;
    stream_set_limit(&t->conn.rcv, 8000);
    t->conn.rcv_adv = 8000;
    seg_in(t, "A 1+2000 ack=1"); /* a full segment is 2000 bytes now */
    seg_expect(t, "A 1 ack=2001 win=6000");
    EXPECT_EQ(segt_read(t, 500), 500);
    seg_in(t, "FA 2001+10 ack=1");
    seg_expect(t, "A 1 ack=2012 win=5990");
    segt_free(t);
}

/* RFC 7323 2.3-1, 2.3-5 */
static void a_scaled_window_is_rounded_in_the_peers_favour(void)
{
    struct segt *t = segt_established_with("ws=0");
    EXPECT_EQ(t->conn.rcv_wscale, 7); /* 6 MB */
    stream_set_limit(&t->conn.rcv, 80000);
    t->conn.rcv_adv = 80000;
    seg_in(t, "A 1+3 ack=1");
    segt_advance(t, 50 * MS);
    seg_expect(t, "A 1 ack=4 win=625"); /* 79997 / 128 is less than was promised */
    segt_free(t);
}

/* ---- what does not get through ---- */

static void a_lost_try_still_arms_the_timer(void)
{
    struct segt *t = segt_established();
    t->drop_output = true;
    segt_write(t, 100);
    seg_silence(t);
    t->drop_output = false;
    segt_advance(t, 300 * MS);
    seg_expect(t, "PA 1+100");
    seg_silence(t);
    segt_free(t);
}

static void what_did_not_pass_leaves_no_hole(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    seg_expect(t, "PA 1+100");
    t->drop_output = true;
    t->conn.flags |= TCF_NODELAY;
    segt_write(t, 100);
    t->drop_output = false;
    EXPECT_EQ(t->conn.snd_nxt, 100);
    seg_in(t, "A 1 ack=101"); /* the next chance: from where what passed ends */
    seg_expect(t, "PA 101+100");
    seg_silence(t);
    segt_free(t);
}

/* ---- path MTU ---- */

/* It says nothing of congestion, but the window must not become a burst of more segments. (RFC 5681
 * 3.1-12) */
static void a_smaller_mtu_resends_what_was_too_large(void)
{
    struct segt *t = segt_established();
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    tcp_mtu_changed(&t->env, &t->conn, 600);
    EXPECT_EQ(t->conn.mss, 560);
    segt_flush(t);
    seg_expect(t, "A 1+560");
    seg_expect(t, "A 561+440");
    seg_expect(t, "A 1001+560");
    seg_expect(t, "A 1561+440");
    seg_expect(t, "A 2001+560");
    seg_expect(t, "PA 2561+440");
    seg_silence(t);
    EXPECT_EQ(t->conn.cwnd, 5600); /* ten segments still */
    tcp_mtu_changed(&t->env, &t->conn, 1500);
    EXPECT_EQ(t->conn.mss, 1000); /* what the peer's SYN said */
    segt_free(t);
}

TEST_SUITE(
    output, TEST_CASE(what_is_written_goes_with_psh), TEST_CASE(asking_changes_nothing),
    TEST_CASE(nagle_holds_the_tail), TEST_CASE(nodelay_does_not),
    TEST_CASE(the_cork_holds_partial_segments_for_a_while), TEST_CASE(uncorking_lets_them_go),
    TEST_CASE(more_holds_until_something_comes), TEST_CASE(a_retransmission_keeps_its_psh),
    TEST_CASE(no_update_for_a_window_that_cannot_be_said),
    TEST_CASE(the_initial_window_is_ten_segments), TEST_CASE(large_segments_for_a_device_that_cuts),
    TEST_CASE(the_peers_window_is_the_limit), TEST_CASE(half_of_a_tiny_window_is_worth_a_segment),
    TEST_CASE(a_silly_window_is_used_when_nothing_else_happens), TEST_CASE(a_shut_window_is_probed),
    TEST_CASE(the_fin_needs_room_in_the_window_too), TEST_CASE(a_shrunk_window_stops_new_data),
    TEST_CASE(a_syn_offers_everything), TEST_CASE(a_syn_without_options),
    TEST_CASE(a_simultaneous_open), TEST_CASE(the_fin_rides_on_the_last_data),
    TEST_CASE(the_fin_alone), TEST_CASE(the_fin_does_not_wait), TEST_CASE(an_abort_is_a_reset),
    TEST_CASE(an_ack_rides_on_data), TEST_CASE(a_delayed_ack),
    TEST_CASE(every_segment_has_timestamps_once_agreed),
    TEST_CASE(the_latest_run_is_reported_first), TEST_CASE(three_blocks_beside_timestamps),
    TEST_CASE(a_duplicate_is_reported), TEST_CASE(duplicate_acks_do_not_ride_on_data),
    TEST_CASE(sack_beside_data), TEST_CASE(the_window_is_what_the_buffer_takes),
    TEST_CASE(the_right_edge_never_moves_left), TEST_CASE(the_right_edge_moves_by_worthwhile_steps),
    TEST_CASE(a_scaled_window_is_rounded_in_the_peers_favour),
    TEST_CASE(a_lost_try_still_arms_the_timer), TEST_CASE(what_did_not_pass_leaves_no_hole),
    TEST_CASE(a_smaller_mtu_resends_what_was_too_large), TEST_CASE(resets_have_timestamps_too));

/*
 * Segments into one connection: each arm of RFC 9293 section 3.10.7.3 and 3.10.7.4, RFC 5961, RFC
 * 7323, and how input is acknowledged. Both initial sequence numbers lie just below 2^32.
 */
#include "tests/seg.h"

#include <errno.h>
#include <stdio.h>

/* ---- SYN_SENT (3.10.7.3) ---- */

/* RFC 9293 MUST-14 */
static void syn_sent_takes_the_synack(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "SA 0 ack=1 mss=1200 win=3000");
    expect_state(t, TCPS_ESTABLISHED);
    seg_expect(t, "A 1 ack=1");
    seg_silence(t);
    EXPECT_EQ(t->conn.mss, 1200);
    EXPECT_EQ(t->conn.snd_wnd, 3000);
    segt_free(t);
}

/* RFC 9293 MUST-16, RFC 7323 2.2-2 */
static void syn_sent_negotiates_options(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "SA 0 ack=1 mss=1460 ws=7 sackok ts=77,1000 win=100");
    EXPECT_EQ(t->conn.flags & (TCF_TS | TCF_SACK | TCF_WSCALE), TCF_TS | TCF_SACK | TCF_WSCALE);
    EXPECT_EQ(t->conn.snd_wnd, 100); /* the SYN's window is not scaled (RFC 7323 2.2) */
    EXPECT_EQ(t->conn.mss, 1460 - 12);
    seg_expect(t, "A 1 ack=1 ts=0,77");
    seg_in(t, "A 1 ack=1 win=100 ts=78,0");
    EXPECT_EQ(t->conn.snd_wnd, 100 << 7);
    segt_free(t);
}

/* As Linux: an answer that echoes a timestamp which has not been sent answers something else. */
static void syn_sent_refuses_an_echo_from_the_future(void)
{
    for (uint32_t ahead = 0; ahead < 2; ahead++) {
        char segment[64];
        struct segt *t = segt_syn_sent();
        snprintf(segment, sizeof(segment), "SA 0 ack=1 mss=1460 ts=77,%u",
                 conn_ts_now(&t->env, &t->conn) + ahead);
        seg_in(t, segment);
        EXPECT_EQ(t->last_in, ahead ? TCP_IN_DROPPED | TCP_IN_RESET : 0);
        expect_state(t, ahead ? TCPS_SYN_SENT : TCPS_ESTABLISHED);
        seg_expect(t, ahead ? "R 1" : "A 1 ack=1");
        segt_advance(t, 900000);
        seg_silence(t); /* the SYN goes again in its time */
        segt_free(t);
    }
}

/* RFC 9293 MUST-15 */
static void syn_sent_without_mss_option_uses_536(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "SA 0 ack=1");
    EXPECT_EQ(t->conn.mss, 536);
    segt_free(t);
}

/* Whichever takes less. (RFC 9293 MUST-16) */
static void segments_fit_both_ends(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "SA 0 ack=1 mss=9000");
    EXPECT_EQ(t->conn.mss, 1460);
    segt_free(t);
    t = segt_syn_sent();
    seg_in(t, "SA 0 ack=1 mss=700 ts=1,0");
    EXPECT_EQ(t->conn.mss, 700 - 12);
    segt_free(t);
}

/* Our SYN had it, the peer's has not. (RFC 7323 2.2-1, 2.3-6) */
static void windows_are_not_scaled_by_one_side(void)
{
    struct segt *t = segt_syn_sent();
    CU_ASSERT(t->conn.rcv_wscale > 0);
    seg_in(t, "SA 0 ack=1 mss=1000 win=100");
    seg_in(t, "A 1 ack=1 win=200");
    EXPECT_EQ(t->conn.snd_wnd, 200);
    EXPECT_EQ(t->conn.rcv_wscale, 0);
    segt_free(t);
}

static void syn_sent_answers_a_wrong_ack_with_reset(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "SA 0 ack=5");
    seg_expect(t, "R 5");
    seg_silence(t);
    expect_state(t, TCPS_SYN_SENT);
    seg_in(t, "A 0 ack=0");
    seg_expect(t, "R 0");
    expect_state(t, TCPS_SYN_SENT);
    segt_free(t);
}

/* Else a tuple that the peer has in TIME_WAIT costs a second. */
static void syn_sent_tries_again_soon_after_the_reset_but_once(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "A 0 ack=5");
    seg_expect(t, "R 5");
    segt_advance(t, 3000);
    seg_expect(t, "S 0");
    seg_in(t, "A 0 ack=5");
    seg_expect(t, "R 5");
    segt_advance(t, 1900000);
    seg_silence(t);
    segt_advance(t, 200000);
    seg_expect(t, "S 0");
    segt_free(t);
}

static void syn_sent_is_refused_by_a_reset_that_acks_the_syn(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "R 0");
    seg_in(t, "RA 0 ack=9");
    seg_silence(t);
    expect_state(t, TCPS_SYN_SENT);
    seg_in(t, "RA 0 ack=1");
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ECONNREFUSED);
    seg_silence(t);
    segt_free(t);
}

/* As Linux: a client with TCP_DEFER_ACCEPT, or one that waits with the rest of a Fast Open's bytes,
 * lets the handshake's ACK ride on what it writes, and later ones, too. */
static void who_will_write_soon_saves_an_ack(void)
{
    for (int i = 0; i < 4; i++) {
        bool writes = i & 1;
        struct segt *t = segt_syn_sent();
        t->conn.ext = mem_alloc(t->mem, sizeof(*t->conn.ext));
        *t->conn.ext = tcp_opt_ext_default();
        t->conn.ext->defer_accept = i < 2;
        t->conn.ext->fastopen.has_more = i >= 2;
        seg_in(t, "SA 0 ack=1 mss=1200 win=3000");
        expect_state(t, TCPS_ESTABLISHED);
        segt_advance(t, 199000);
        seg_silence(t);
        if (writes)
            segt_write(t, 100);
        else
            segt_advance(t, 10000);
        seg_expect(t, writes ? "PA 1+100 ack=1" : "A 1 ack=1");
        seg_in(t, writes ? "PA 1+100 ack=101" : "PA 1+100 ack=1");
        seg_silence(t);
        segt_advance(t, 50000);
        seg_expect(t, writes ? "A 101 ack=101" : "A 1 ack=101");
        segt_free(t);
    }
}

/* RFC 9293 MUST-10 */
static void simultaneous_open(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "S 0 mss=1000");
    expect_state(t, TCPS_SYN_RCVD);
    seg_expect(t, "SA 0 ack=1");
    seg_silence(t);
    seg_in(t, "SA 0 ack=1 mss=1000");
    expect_state(t, TCPS_ESTABLISHED);
    segt_free(t);
}

/* The open was ours, so there is somebody to tell; a listener's record just goes. (RFC 9293
 * MUST-11)
 */
static void a_reset_of_a_simultaneous_open_refuses_it(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "S 0 mss=1000");
    seg_expect(t, "SA 0 ack=1");
    seg_in(t, "R 1");
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ECONNREFUSED);
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 3.10.4: the FIN waits until the connection is established. */
static void a_close_in_syn_rcvd_waits_for_the_handshake(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "S 0 mss=1000");
    seg_expect(t, "SA 0 ack=1");
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    expect_state(t, TCPS_SYN_RCVD);
    segt_advance(t, 1100000);
    seg_expect(t, "SA 0 ack=1"); /* lost, and sent again */
    seg_in(t, "SA 0 ack=1 win=5000 mss=1000");
    expect_state(t, TCPS_FIN_WAIT_1);
    seg_expect(t, "FA 1 ack=1");
    seg_in(t, "A 1 ack=2");
    expect_state(t, TCPS_FIN_WAIT_2);
    segt_free(t);
}

static void a_synack_that_was_not_sent_yet_is_replaced_by_an_ack(void)
{
    static const char *const both[] = {"S 0 mss=1000", "SA 0 ack=1 win=5000 mss=1000"};
    struct segt *t = segt_syn_sent();
    seg_in_burst(t, both, 2);
    expect_state(t, TCPS_ESTABLISHED);
    seg_expect(t, "A 1 ack=1");
    seg_silence(t);
    segt_free(t);
}

/* What comes with a SYN that crosses ours is sent again once both know each other. */
static void a_fin_on_a_crossing_syn_waits_for_the_handshake(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "SF 0+10 mss=1000");
    expect_state(t, TCPS_SYN_RCVD);
    seg_expect(t, "SA 0 ack=1");
    seg_in(t, "SFA 0+10 ack=1 win=5000 mss=1000");
    expect_state(t, TCPS_CLOSE_WAIT);
    seg_expect(t, "A 1 ack=12");
    EXPECT_EQ(tcp_readable(&t->conn), 10);
    segt_free(t);
}

static void syn_rcvd_resends_its_synack_for_a_repeated_syn(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "S 0 mss=1000");
    seg_expect(t, "SA 0 ack=1");
    seg_in(t, "S 0 mss=1000");
    seg_expect(t, "SA 0 ack=1");
    seg_silence(t);
    segt_free(t);
}

static void syn_rcvd_answers_a_wrong_ack_with_reset(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "S 0 mss=1000");
    seg_expect(t, "SA 0 ack=1");
    seg_in(t, "A 1 ack=7");
    seg_expect(t, "R 7");
    expect_state(t, TCPS_SYN_RCVD);
    segt_free(t);
}

static void data_on_the_synack_counts(void)
{
    struct segt *t = segt_syn_sent();
    seg_in(t, "SA 0+10 ack=1 mss=1000");
    expect_state(t, TCPS_ESTABLISHED);
    seg_expect(t, "A 1 ack=11");
    segt_free(t);
}

/* ---- first step: sequence number ---- */

/* RFC 9293 SHLD-19, RFC 5681 4.2-3 */
static void data_in_order_is_delivered_and_acked(void)
{
    struct segt *t = segt_established();
    seg_in(t, "PA 1+1000 ack=1");
    seg_in(t, "PA 1001+1000 ack=1");
    seg_expect(t, "A 1 ack=2001");
    seg_silence(t);
    EXPECT_EQ(segt_read(t, 5000), 2000);
    segt_free(t);
}

/* Sixteen segments: while the peer's window opens an ACK is worth most (as Linux). */
static void the_first_segments_are_acked_at_once(void)
{
    char text[64];
    struct segt *t = segt_established();
    t->conn.n_quick = 16; /* as tcp_handshake_done() left it */
    for (unsigned i = 0; i < 17; i++) {
        snprintf(text, sizeof(text), "PA %u+10 ack=1", 1 + 10 * i);
        seg_in(t, text);
        snprintf(text, sizeof(text), "A 1 ack=%u", 11 + 10 * i);
        if (i < 16)
            seg_expect(t, text);
        seg_silence(t);
    }
    segt_free(t);
}

/* A device has joined what came. The sender has not: its window is some segments, not some of what
 * a device makes of them. */
static void joined_segments_are_acked_as_many(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+1000 ack=1");
    seg_silence(t);
    seg_in(t, "A 1001+1000 ack=1");
    seg_expect(t, "A 1 ack=2001");
    seg_in(t, "A 2001+20000 ack=1 joined=1000");
    seg_expect(t, "A 1 ack=22001");
    EXPECT_EQ(t->conn.rcv_mss, 1000);
    seg_in(t, "A 22001+2000 ack=1 joined=1000");
    seg_expect(t, "A 1 ack=24001");
    seg_in(t, "A 24001+1000 ack=1");
    seg_silence(t);
    segt_free(t);
}

/* RFC 5681 4.2-1, 4.2-2 */
static void a_single_segment_is_acked_after_the_delay(void)
{
    struct segt *t = segt_established();
    seg_in(t, "PA 1+1000 ack=1");
    seg_in(t, "PA 1001+1000 ack=1");
    seg_expect(t, "A 1 ack=2001");
    seg_in(t, "PA 2001+100 ack=1");
    seg_silence(t);
    segt_advance(t, 39000);
    seg_silence(t);
    segt_advance(t, 2000);
    seg_expect(t, "A 1 ack=2101");
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 MUST-58, MUST-59 */
static void a_burst_is_acked_once(void)
{
    struct segt *t = segt_established();
    const char *burst[] = {"A 1+1000 ack=1", "A 1001+1000 ack=1", "A 2001+1000 ack=1",
                           "PA 3001+1000 ack=1"};
    seg_in_burst(t, burst, 4);
    seg_expect(t, "A 1 ack=4001");
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 SHLD-31, MAY-13, RFC 2018 4-2, 4-3, RFC 5681 3.2-1, 3.2-2, RFC 2018 4-7 */
static void a_hole_is_told_and_filled(void)
{
    struct segt *t = segt_established_with("sackok");
    seg_in(t, "A 1001+1000 ack=1");
    seg_expect(t, "A 1 ack=1 sack=1001-2001");
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    seg_in(t, "A 3001+1000 ack=1");
    seg_expect(t, "A 1 ack=1 sack=3001-4001,1001-2001");
    seg_in(t, "A 1+1000 ack=1");
    seg_expect(t, "A 1 ack=2001 sack=3001-4001");
    seg_in(t, "A 2001+1000 ack=1");
    seg_expect(t, "A 1 ack=4001 noopt");
    seg_silence(t);
    EXPECT_EQ(segt_read(t, 5000), 4000);
    segt_free(t);
}

static void a_duplicate_is_reported_by_dsack(void)
{
    struct segt *t = segt_established_with("sackok");
    seg_in(t, "A 1+1000 ack=1");
    seg_in(t, "A 1001+1000 ack=1");
    seg_expect(t, "A 1 ack=2001 noopt");
    seg_in(t, "A 1+1000 ack=1");
    seg_expect(t, "A 1 ack=2001 sack=1-1001");
    seg_silence(t);
    EXPECT_EQ(t->env.stats.dup_bytes_in, 1000);
    segt_free(t);
}

static void an_overlap_delivers_only_the_new_part(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+1000 ack=1");
    seg_in(t, "A 501+1000 ack=1");
    seg_expect(t, "A 1 ack=1501");
    EXPECT_EQ(segt_read(t, 5000), 1500);
    segt_free(t);
}

static void beyond_the_window_is_refused(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 400001+100 ack=1");
    seg_expect(t, "A 1 ack=1");
    seg_silence(t);
    EXPECT_EQ(stream_end(&t->conn.rcv), 0);
    segt_free(t);
}

static void the_part_beyond_the_window_is_cut_off(void)
{
    struct segt *t = segt_established();
    stream_set_limit(&t->conn.rcv, 1500);
    t->conn.rcv_adv = 1500;
    seg_in(t, "A 1+1000 ack=1");
    seg_in(t, "A 1001+1000 ack=1");
    seg_expect(t, "A 1 ack=1501 win=0");
    seg_silence(t);
    EXPECT_EQ(tcp_readable(&t->conn), 1500);
    segt_free(t);
}

/* RFC 9293 3.10.7.4, first step: length 0 or not, window 0 or not. */
static void every_case_of_length_and_window(void)
{
    static const struct {
        const char *segment;
        bool is_shut, acks;
        uint32_t readable;
    } row[] = {
        {"A 1001 ack=11 win=77", true, true, 1000},   /* length 0, window 0: RCV.NXT ... */
        {"A 1002 ack=11 win=77", true, false, 1000},  /* ... and nothing else */
        {"A 1001+1 ack=11 win=77", true, true, 1000}, /* length, window 0: never; but 3.4 */
        {"A 1001 ack=11 win=77", false, true, 1000},  /* length 0, window: anywhere in it */
        {"A 1500 ack=11 win=77", false, true, 1000},
        {"A 3001 ack=11 win=77", false, false, 1000},
        {"A 1001+10 ack=11 win=77", false, true, 1010}, /* length, window: some of it lies there */
        {"A 1999+10 ack=11 win=77", false, true, 1000},
        {"A 995+10 ack=11 win=77", false, true, 1004},
        {"A 3001+10 ack=11 win=77", false, false, 1000},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct segt *t = segt_established();
        stream_set_limit(&t->conn.rcv, row[i].is_shut ? 1000 : 2000);
        t->conn.rcv_adv = row[i].is_shut ? 1000 : 2000;
        seg_in(t, "A 1+1000 ack=1");
        segt_write(t, 10);
        segt_advance(t, 50000);
        t->n_tx = t->at_tx = 0;
        seg_in(t, row[i].segment);
        if ((t->conn.snd_una == 10) != row[i].acks)
            fprintf(stderr, "\n%s\n", row[i].segment);
        EXPECT_EQ(t->conn.snd_una == 10, row[i].acks);
        EXPECT_EQ(tcp_readable(&t->conn), row[i].readable);
        segt_free(t);
    }
}

/* RFC 9293 MAY-8 */
static void a_window_probe_is_answered(void)
{
    struct segt *t = segt_established();
    stream_set_limit(&t->conn.rcv, 1000);
    t->conn.rcv_adv = 1000;
    seg_in(t, "A 1+1000 ack=1");
    segt_advance(t, 50000);
    seg_expect(t, "A 1 ack=1001 win=0");
    seg_in(t, "A 1001+1 ack=1");
    seg_expect(t, "A 1 ack=1001 win=0");
    seg_in(t, "A 1000 ack=1"); /* the keepalive form: one before the window, no data */
    seg_expect(t, "A 1 ack=1001 win=0");
    segt_advance(t, 1100000);
    seg_silence(t);
    EXPECT_EQ(segt_read(t, 1000), 1000);
    seg_expect(t, "A 1 ack=1001 win=1000");
    segt_free(t);
}

/* RFC 5961 7-1 */
static void answers_to_bare_segments_are_limited(void)
{
    struct segt *t = segt_established();
    unsigned n = 0;
    for (int i = 0; i < 100; i++) {
        seg_in(t, "A 500001 ack=1");
        n += t->n_tx - t->at_tx;
        t->n_tx = t->at_tx = 0;
        t->env.now_us += 100;
    }
    CU_ASSERT(n >= 1 && n <= 2);
    segt_free(t);
}

/* RFC 5681 4.2-4 */
static void a_segment_gets_one_ack_at_most(void)
{
    static const char *const segments[] = {
        "A 1+1000 ack=1",    "A 1+1000 ack=1",    /* in order, and again */
        "A 3001+1000 ack=1", "A 2001+500 ack=1",  /* behind holes */
        "A 1001+1000 ack=1", "A 900001+10 ack=1", /* fills one; beyond the window */
        "A 2501+500 ack=1",  "FA 4001+600 ack=1", /* fills the other; the end */
        "FA 4001+600 ack=1", "A 5000 ack=1",      /* which comes again; beyond it */
    };
    struct segt *t = segt_established_with("sackok");
    t->conn.flags |= TCF_QUICKACK;
    for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
        seg_in(t, segments[i]);
        CU_ASSERT(t->n_tx - t->at_tx <= 1);
        t->n_tx = t->at_tx = 0;
    }
    segt_free(t);
}

/* RFC 9293 MUST-1 */
static void the_largest_window_is_no_negative_one(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1 ack=1 win=65535");
    EXPECT_EQ(t->conn.snd_wnd, 65535);
    EXPECT_EQ(t->conn.snd_wnd_max, 65535);
    segt_free(t);
}

/* RFC 9293 REC-1, RFC 7323 2.3-1, 2.2-4 */
static void windows_have_thirty_bits(void)
{
    struct segt *t = segt_established_with("ws=14");
    seg_in(t, "A 1 ack=1 win=65535");
    EXPECT_EQ(t->conn.snd_wnd, 65535u << 14);
    seg_in(t, "A 1+1 ack=1 win=3 ws=2"); /* nothing is agreed on later */
    EXPECT_EQ(t->conn.snd_wnd, 3u << 14);
    segt_free(t);
}

/* RFC 2018 4-1 */
static void no_blocks_for_who_does_not_know_them(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1001+1000 ack=1");
    seg_expect(t, "A 1 ack=1 noopt");
    seg_in(t, "A 1+1000 ack=1");
    seg_in(t, "A 1+1000 ack=1"); /* a duplicate, too */
    seg_expect(t, "A 1 ack=2001 noopt");
    seg_expect(t, "A 1 ack=2001 noopt");
    segt_free(t);
}

/* What a SYN says is said once. (RFC 9293 MUST-65, RFC 2018 2-1) */
static void a_syns_options_are_on_syns_only(void)
{
    struct segt *t = segt_established_with("sackok ws=2 ts=1,0");
    segt_write(t, 1500);
    seg_in(t, "A 1001+10 ack=1 ts=2,0");
    seg_in(t, "A 1+2000 ack=1 ts=2,0");
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, 1), 0);
    segt_flush(t);
    tcp_abort(&t->env, &t->conn, HOOK_END_ABORT, 0);
    segt_flush(t);
    CU_ASSERT(t->n_tx >= 4);
    for (unsigned i = 0; i < t->n_tx; i++) {
        const struct tcp_opts *o = &t->tx[i].seg.opt;
        CU_ASSERT(!o->has_mss && !o->has_wscale && !o->sack_permitted);
    }
    EXPECT_EQ(t->tx[t->n_tx - 1].seg.flags, TCP_RST | TCP_ACK);
    segt_free(t);
}

/* ---- PAWS (RFC 7323 section 5) ---- */

/* RFC 7323 5.3-1 */
static void paws_refuses_an_old_timestamp(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "A 1+100 ack=1 ts=999,0");
    seg_expect(t, "A 1 ack=1 ts=0,1000");
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    EXPECT_EQ(t->env.stats.paws_drops, 1);
    seg_in(t, "A 1+100 ack=1 ts=1000,0");
    EXPECT_EQ(tcp_readable(&t->conn), 100);
    segt_free(t);
}

/* A retransmission that was needless, and overtook what it repeats: its sender has to learn of it
 * (RFC 2883). */
static void paws_reports_an_old_duplicate(void)
{
    struct segt *t = segt_established_with("ts=1000,0 sackok");
    seg_in(t, "A 1+100 ack=1 ts=1010,0");
    segt_advance(t, 500000);
    seg_expect(t, "A 1 ack=101 ts=0,1010");
    seg_in(t, "A 1+100 ack=1 ts=1005,0");
    seg_expect(t, "A 1 ack=101 ts=0,1010 sack=1-101");
    EXPECT_EQ(t->env.stats.paws_drops, 1);
    seg_in(t, "A 201+100 ack=1 ts=1005,0"); /* nothing that had come */
    EXPECT_EQ(t->n_tx - t->at_tx, 1);
    EXPECT_EQ(t->tx[t->at_tx].seg.opt.n_sack, 0);
    segt_free(t);
}

/* RFC 7323 5.5-1 */
static void paws_believes_anything_after_24_days(void)
{
    static const unsigned days[] = {23, 25, 50, 60, 75, 100, 1000};
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        struct segt *t = segt_established_with("ts=1000,0");
        t->env.now_us += (uint64_t)days[i] * 24 * 3600 * 1000000;
        seg_in(t, "A 1+100 ack=1 ts=5,0");
        EXPECT_EQ(tcp_readable(&t->conn), days[i] < 24 ? 0 : 100);
        segt_free(t);
    }
}

/* RFC 7323 5.3-2 */
static void paws_comes_before_the_window(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "A 400001+100 ack=1 ts=999,0");
    EXPECT_EQ(t->env.stats.paws_drops, 1);
    EXPECT_EQ(t->env.stats.out_of_window_in, 0);
    segt_free(t);
}

/* RFC 7323 5.2-1, 5.2-2 */
static void a_resets_timestamp_means_nothing(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "R 50 ts=5000,0"); /* in the window, not at its edge */
    seg_expect(t, "A 1 ack=1 ts=0,1000");
    seg_in(t, "R 1 ts=5,0");
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->env.stats.paws_drops, 0);
    segt_free(t);
}

/* RFC 7323 3.2-4; 3.2 would have it dropped: see tests/rfc. */
static void a_segment_without_timestamps_is_survived(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "A 1+100 ack=1");
    expect_state(t, TCPS_ESTABLISHED);
    EXPECT_EQ(tcp_readable(&t->conn), 100);
    seg_in(t, "A 101+100 ack=1 ts=1001,0");
    EXPECT_EQ(tcp_readable(&t->conn), 200);
    segt_free(t);
}

/* The peer times how long until it was acknowledged, delay and all. (RFC 7323 4.3-1) */
static void a_delayed_ack_echoes_the_first(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "A 1+100 ack=1 ts=1001,0");
    segt_advance(t, 10000);
    seg_in(t, "A 101+100 ack=1 ts=1011,0");
    seg_silence(t);
    segt_advance(t, 40000);
    seg_expect(t, "A 1 ack=201 ts=0,1001");
    seg_in(t, "A 201+100 ack=1 ts=1060,0");
    segt_advance(t, 50000);
    seg_expect(t, "A 1 ack=301 ts=0,1060");
    segt_free(t);
}

/* RFC 7323 4.1-1 */
static void an_echo_of_nothing_new_is_no_round_trip(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    uint32_t srtt = t->conn.srtt_us, rttvar = t->conn.rttvar_us;
    uint32_t now = conn_ts_now(&t->env, &t->conn);
    char s[60];
    for (unsigned i = 1; i < 5; i++) {
        snprintf(s, sizeof(s), "A %u+1 ack=1 ts=1001,%u", i, now - 500);
        seg_in(t, s);
    }
    EXPECT_EQ(t->conn.srtt_us, srtt);
    EXPECT_EQ(t->conn.rttvar_us, rttvar);
    segt_free(t);
}

/* RFC 7323 4.3-2 */
static void the_timestamp_of_an_out_of_order_segment_is_not_echoed(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "A 1001+100 ack=1 ts=1005,0");
    seg_expect(t, "A 1 ack=1 ts=0,1000");
    segt_free(t);
}

/* It took a timeout to come: the others' times would count that as a round trip. (RFC 7323 4.3-3)
 */
static void the_timestamp_of_what_fills_a_hole_is_echoed(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "A 101+100 ack=1 ts=1005,0");
    seg_in(t, "A 201+100 ack=1 ts=1006,0");
    t->at_tx = t->n_tx = 0;
    seg_in(t, "A 1+100 ack=1 ts=1210,0");
    seg_expect(t, "A 1 ack=301 ts=0,1210");
    segt_free(t);
}

/* Each timestamp is judged when it comes, in order or not, and not again. (RFC 7323 5.3-3) */
static void paws_judges_what_waits_once(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "A 201+100 ack=1 ts=999,0"); /* an old duplicate: not kept */
    seg_in(t, "A 101+100 ack=1 ts=1001,0");
    seg_in(t, "A 1+100 ack=1 ts=1010,0");
    EXPECT_EQ(tcp_readable(&t->conn), 200);
    EXPECT_EQ(t->env.stats.paws_drops, 1);
    segt_free(t);
}

/* RFC 7323 3.2-10 */
static void timestamps_that_were_not_agreed_mean_nothing(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_QUICKACK;
    seg_in(t, "A 1+100 ack=1 ts=1000,5");
    seg_expect(t, "A 1 ack=101 noopt");
    seg_in(t, "A 101+100 ack=1 ts=999,5");
    seg_expect(t, "A 1 ack=201 noopt");
    EXPECT_EQ(tcp_readable(&t->conn), 200);
    segt_free(t);
}

/* An echo from the future would cost a SYN-ACK its connection; on a SYN it is none. (RFC 7323
 * 3.2-9) */
static void an_echo_without_an_ack_means_nothing(void)
{
    struct segt *t = segt_syn_sent();
    char s[60];
    snprintf(s, sizeof(s), "S 0 mss=1000 ts=7,%u", conn_ts_now(&t->env, &t->conn) + 1000);
    seg_in(t, s);
    expect_state(t, TCPS_SYN_RCVD);
    seg_expect(t, "SA 0 ack=1 ts=0,7");
    segt_free(t);
}

/* ---- RST and SYN (RFC 9293, 5961) ---- */

/* RFC 5961 3.2-2 */
static void a_reset_at_the_edge_resets(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+100 ack=1");
    seg_in(t, "R 101");
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ECONNRESET);
    EXPECT_EQ(tcp_readable(&t->conn), 100); /* what was queued stays readable */
    seg_silence(t);
    segt_free(t);
}

/* RFC 5961 3.2-1, 3.2-3 */
static void a_reset_in_the_window_is_challenged(void)
{
    struct segt *t = segt_established();
    seg_in(t, "R 900000"); /* outside of it */
    seg_in(t, "R -900000");
    seg_silence(t);
    seg_in(t, "R 50");
    seg_expect(t, "A 1 ack=1");
    seg_silence(t);
    expect_state(t, TCPS_ESTABLISHED);
    segt_free(t);
}

/* RFC 5961 4.2-1 */
static void a_syn_in_any_synchronized_state_is_challenged(void)
{
    static const enum tcp_state states[] = {TCPS_ESTABLISHED, TCPS_FIN_WAIT_1, TCPS_FIN_WAIT_2,
                                            TCPS_CLOSE_WAIT,  TCPS_CLOSING,    TCPS_LAST_ACK};
    for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct segt *t = segt_in_state(states[i]);
        seg_in(t, "S 500");
        expect_state(t, states[i]);
        CU_ASSERT(t->n_tx >= 1);
        CU_ASSERT((t->tx[0].seg.flags & (TCP_ACK | TCP_RST)) == TCP_ACK);
        segt_free(t);
    }
}

/* ... and far outside the window, too. (RFC 5961 4.2-1) */
static void a_syn_from_anywhere_is_challenged(void)
{
    static const char *const syns[] = {"S 1", "S 900000", "S -900000", "SA 50 ack=1", "S 1+10"};
    for (unsigned i = 0; i < sizeof(syns) / sizeof(syns[0]); i++) {
        struct segt *t = segt_established();
        seg_in(t, syns[i]);
        seg_expect(t, "A 1 ack=1");
        seg_silence(t);
        expect_state(t, TCPS_ESTABLISHED);
        EXPECT_EQ(tcp_readable(&t->conn), 0);
        segt_free(t);
    }
}

/* RFC 5961 3.2-4, 4.2-2, 5.2-2 */
static void nothing_of_a_challenged_segment_counts(void)
{
    static const char *const segments[] = {"RA 2+10 ack=501 win=7", "SA 1+10 ack=501 win=7",
                                           "FA 1+10 ack=-100000 win=7"};
    for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
        struct segt *t = segt_established_with("ts=1000,0");
        segt_write(t, 500);
        seg_expect(t, "PA 1+500");
        char s[80];
        snprintf(s, sizeof(s), "%s ts=2000,0", segments[i]);
        seg_in(t, s);
        seg_expect(t, "A 501 ack=1 ts=0,1000");
        seg_silence(t);
        expect_state(t, TCPS_ESTABLISHED);
        EXPECT_EQ(t->conn.snd_una, 0);
        EXPECT_EQ(t->conn.snd_wnd, 50000);
        EXPECT_EQ(tcp_readable(&t->conn), 0);
        EXPECT_EQ(t->env.stats.challenge_acks, 1);
        segt_free(t);
    }
}

/* RFC 9293 SHLD-2 */
static void a_reset_may_say_why(void)
{
    struct segt *t = segt_established();
    seg_in(t, "R 1+20");
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ECONNRESET);
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    segt_free(t);
}

/* RFC 5961 3.2-2 */
static void a_reset_in_any_synchronized_state_closes(void)
{
    static const struct {
        enum tcp_state state;
        const char *rst;
        int err;
    } row[] = {
        {TCPS_ESTABLISHED, "R 1", ECONNRESET}, {TCPS_FIN_WAIT_1, "R 1", ECONNRESET},
        {TCPS_FIN_WAIT_2, "R 1", ECONNRESET},  {TCPS_CLOSE_WAIT, "R 2", EPIPE},
        {TCPS_CLOSING, "R 2", ECONNRESET},     {TCPS_LAST_ACK, "R 2", ECONNRESET},
    };
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct segt *t = segt_in_state(row[i].state);
        seg_in(t, row[i].rst);
        expect_state(t, TCPS_CLOSED);
        EXPECT_EQ(t->conn.err, row[i].err);
        EXPECT_EQ(t->conn.end_reason, HOOK_END_RST_IN);
        seg_silence(t);
        segt_free(t);
    }
}

/* ---- ACK ---- */

static void a_segment_without_ack_is_dropped(void)
{
    struct segt *t = segt_established();
    seg_in(t, ". 1+100");
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    seg_silence(t);
    segt_free(t);
}

/* As Linux: answered only when the connection is closing. (RFC 5961 5.2-1) (RFC 5961 not 5.2-2) */
static void an_ack_of_the_future_is_dropped(void)
{
    struct segt *t = segt_established_with("ts=1000,0");
    seg_in(t, "FA 1+100 ack=500 ts=2000,0");
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    seg_silence(t);
    seg_in(t, "A 1+100 ack=1 ts=1001,0"); /* its timestamp did not count */
    EXPECT_EQ(tcp_readable(&t->conn), 100);
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, 1), 0);
    segt_flush(t);
    t->at_tx = t->n_tx = 0;
    seg_in(t, "A 101+100 ack=500 ts=1002,0");
    EXPECT_EQ(tcp_readable(&t->conn), 100);
    seg_expect(t, "A 2 ack=101");
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 MAY-12, RFC 5961 5.2-1, 5.2-2, RFC 5961 5.2-3 */
static void an_ack_far_in_the_past_is_challenged(void)
{
    struct segt *t = segt_established();
    segt_write(t, 1000);
    seg_expect(t, "PA 1+1000");
    seg_in(t, "A 1 ack=1001");
    seg_in(t, "A 1+10 ack=-60000");
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    seg_expect(t, "A 1001 ack=1");
    segt_free(t);
}

static void an_old_ack_may_still_carry_data(void)
{
    struct segt *t = segt_established();
    segt_write(t, 1000);
    seg_expect(t, "PA 1+1000");
    seg_in(t, "A 1 ack=1001");
    seg_in(t, "A 1+10 ack=1");
    EXPECT_EQ(tcp_readable(&t->conn), 10);
    segt_free(t);
}

static void the_window_comes_from_the_newest_segment_only(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+10 ack=1 win=7000");
    EXPECT_EQ(t->conn.snd_wnd, 7000);
    seg_in(t, "A 11+10 ack=1 win=8000");
    seg_in(t, "A 1 ack=1 win=9000"); /* older sequence number: a reordered segment */
    EXPECT_EQ(t->conn.snd_wnd, 8000);
    seg_in(t, "A 21 ack=1 win=9000");
    EXPECT_EQ(t->conn.snd_wnd, 9000);
    segt_free(t);
}

/* ---- FIN and the closing states ---- */

static void a_fin_moves_established_to_close_wait(void)
{
    struct segt *t = segt_established();
    seg_in(t, "FA 1+10 ack=1");
    expect_state(t, TCPS_CLOSE_WAIT);
    seg_expect(t, "A 1 ack=12");
    EXPECT_EQ(segt_read(t, 100), 10);
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, 1), 0);
    expect_state(t, TCPS_LAST_ACK);
    segt_flush(t);
    seg_expect(t, "FA 1 ack=12");
    seg_in(t, "A 12 ack=2");
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.end_reason, HOOK_END_FIN);
    seg_silence(t);
    segt_free(t);
}

static void a_fin_out_of_order_waits_for_its_data(void)
{
    struct segt *t = segt_established();
    seg_in(t, "FA 101+10 ack=1");
    expect_state(t, TCPS_ESTABLISHED);
    seg_expect(t, "A 1 ack=1");
    seg_in(t, "A 1+100 ack=1");
    expect_state(t, TCPS_CLOSE_WAIT);
    seg_expect(t, "A 1 ack=112");
    EXPECT_EQ(segt_read(t, 1000), 110);
    segt_free(t);
}

static void data_beyond_a_fin_is_ignored(void)
{
    struct segt *t = segt_established();
    seg_in(t, "FA 11 ack=1");
    seg_in(t, "A 1+100 ack=1");
    expect_state(t, TCPS_CLOSE_WAIT);
    EXPECT_EQ(tcp_readable(&t->conn), 10);
    segt_free(t);
}

static void an_active_close_ends_in_time_wait(void)
{
    struct segt *t = segt_in_state(TCPS_FIN_WAIT_1);
    seg_in(t, "A 1 ack=2");
    expect_state(t, TCPS_FIN_WAIT_2);
    seg_in(t, "A 1+10 ack=2"); /* half closed: data still flows */
    EXPECT_EQ(segt_read(t, 100), 10);
    t->n_tx = t->at_tx = 0;
    seg_in(t, "FA 11 ack=2");
    expect_state(t, TCPS_TIME_WAIT);
    seg_expect(t, "A 2 ack=12");
    seg_silence(t);
    segt_advance(t, 61000000);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

static void a_fin_that_acks_our_fin_goes_straight_to_time_wait(void)
{
    struct segt *t = segt_in_state(TCPS_FIN_WAIT_1);
    seg_in(t, "FA 1 ack=2");
    expect_state(t, TCPS_TIME_WAIT);
    seg_expect(t, "A 2 ack=2");
    segt_free(t);
}

static void simultaneous_close(void)
{
    struct segt *t = segt_in_state(TCPS_FIN_WAIT_1);
    seg_in(t, "FA 1 ack=1");
    expect_state(t, TCPS_CLOSING);
    seg_expect(t, "A 2 ack=2");
    seg_in(t, "A 2 ack=2");
    expect_state(t, TCPS_TIME_WAIT);
    segt_free(t);
}

static void a_repeated_fin_restarts_time_wait(void)
{
    struct segt *t = segt_in_state(TCPS_TIME_WAIT);
    segt_advance(t, 50000000);
    seg_in(t, "FA 1 ack=2");
    seg_expect(t, "A 2 ack=2");
    segt_advance(t, 50000000);
    expect_state(t, TCPS_TIME_WAIT);
    segt_advance(t, 11000000);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

static void time_wait_does_not_answer_every_bare_ack(void)
{
    struct segt *t = segt_in_state(TCPS_TIME_WAIT);
    seg_in(t, "A 900 ack=2");
    seg_expect(t, "A 2 ack=2");
    seg_in(t, "A 900 ack=2");
    seg_in(t, "A 900 ack=2");
    seg_silence(t);
    segt_free(t);
}

static void a_reset_does_not_assassinate_time_wait(void)
{
    struct segt *t = segt_in_state(TCPS_TIME_WAIT);
    seg_in(t, "R 2");
    expect_state(t, TCPS_TIME_WAIT);
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 MAY-2 */
static void time_wait_lets_a_newer_syn_in(void)
{
    struct segt *t = segt_in_state(TCPS_TIME_WAIT);
    seg_in(t, "S 1");
    CU_ASSERT(!(t->last_in & TCP_IN_NEW_SYN));
    seg_in(t, "S 90000");
    CU_ASSERT(t->last_in & TCP_IN_NEW_SYN);
    segt_free(t);
}

/* As a record does (t_net_time_wait.c). */
static void time_wait_lets_in_who_begins_anew(void)
{
    struct segt *t = segt_in_state(TCPS_TIME_WAIT);
    seg_in(t, "S 1");
    seg_expect(t, "A 2 ack=2");
    seg_in(t, "R 2");
    seg_silence(t);
    expect_state(t, TCPS_TIME_WAIT);
    seg_in(t, "S 1");
    CU_ASSERT(t->last_in & TCP_IN_NEW_SYN);
    segt_free(t);
}

/* RFC 9293 MAY-1 */
static void data_after_close_is_reset(void)
{
    struct segt *t = segt_established();
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "FA 1 ack=1");
    seg_in(t,
           "A 1+10 ack=1"); /* sent before our FIN came: the reset has the number expected there */
    CU_ASSERT(t->last_in & TCP_IN_DIED);
    seg_expect(t, "R 1");
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

/* RFC 9293 SHLD-3, MAY-1 */
static void close_with_unread_data_resets(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+10 ack=1");
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "RA 1");
    seg_silence(t);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

static void fin_wait_2_of_a_closed_socket_ends(void)
{
    struct segt *t = segt_established();
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    seg_in(t, "A 1 ack=2");
    expect_state(t, TCPS_FIN_WAIT_2);
    segt_advance(t, 61000000);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

static void shut_rd_keeps_what_arrives_readable(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+100 ack=1");
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, 0), 0);
    seg_in(t, "A 101+100 ack=1");
    EXPECT_EQ(segt_read(t, 1000), 200);
    seg_in(t, "A 201+100 ack=1");
    EXPECT_EQ(tcp_readable(&t->conn), 100);
    segt_free(t);
}

/* ---- running out ---- */

static void no_memory_drops_the_segment_unacknowledged(void)
{
    struct segt *t = segt_established();
    mem_set_limit(t->mem, mem_in_use(t->mem) + 1);
    seg_in(t, "A 1+1000 ack=1");
    EXPECT_EQ(t->env.stats.nomem_drops, 1);
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    segt_advance(t, 100000);
    for (; t->at_tx < t->n_tx; t->at_tx++)
        EXPECT_EQ(t->tx[t->at_tx].seg.ack.v - t->peer_isn, 1);
    mem_set_limit(t->mem, 0);
    seg_in(t, "A 1+1000 ack=1");
    EXPECT_EQ(segt_read(t, 2000), 1000);
    segt_free(t);
}

/* RFC 2018 8-2 */
static void nothing_is_reported_that_is_not_kept(void)
{
    struct segt *t = segt_established_with("sackok");
    mem_set_limit(t->mem, mem_in_use(t->mem) + 1);
    seg_in(t, "A 3001+1000 ack=1");
    for (; t->at_tx < t->n_tx; t->at_tx++)
        EXPECT_EQ(t->tx[t->at_tx].seg.opt.n_sack, 0);
    mem_set_limit(t->mem, 0);
    seg_in(t, "A 5001+1000 ack=1");
    seg_expect(t, "A 1 ack=1 sack=5001-6001");
    segt_free(t);
}

static void a_window_of_descending_bytes_costs_little(void)
{
    struct segt *t = segt_established();
    char s[64];
    for (int i = 60000; i > 1; i--) {
        snprintf(s, sizeof(s), "A %d+1 ack=1", i);
        seg_in(t, s);
        t->n_tx = t->at_tx = 0;
    }
    CU_ASSERT(ranges_count(t->conn.rcv.ooo) <= RANGES_MAX);
    seg_in(t, "A 1+1 ack=1");
    EXPECT_EQ(tcp_readable(&t->conn), 60000);
    segt_free(t);
}

TEST_SUITE(
    input, TEST_CASE(the_timestamp_of_what_fills_a_hole_is_echoed),
    TEST_CASE(paws_judges_what_waits_once), TEST_CASE(timestamps_that_were_not_agreed_mean_nothing),
    TEST_CASE(an_echo_without_an_ack_means_nothing), TEST_CASE(syn_sent_takes_the_synack),
    TEST_CASE(syn_sent_negotiates_options), TEST_CASE(syn_sent_without_mss_option_uses_536),
    TEST_CASE(syn_sent_refuses_an_echo_from_the_future),
    TEST_CASE(syn_sent_answers_a_wrong_ack_with_reset),
    TEST_CASE(syn_sent_tries_again_soon_after_the_reset_but_once),
    TEST_CASE(syn_sent_is_refused_by_a_reset_that_acks_the_syn), TEST_CASE(simultaneous_open),
    TEST_CASE(who_will_write_soon_saves_an_ack),
    TEST_CASE(a_close_in_syn_rcvd_waits_for_the_handshake),
    TEST_CASE(a_synack_that_was_not_sent_yet_is_replaced_by_an_ack),
    TEST_CASE(a_fin_on_a_crossing_syn_waits_for_the_handshake),
    TEST_CASE(syn_rcvd_resends_its_synack_for_a_repeated_syn),
    TEST_CASE(syn_rcvd_answers_a_wrong_ack_with_reset), TEST_CASE(data_on_the_synack_counts),
    TEST_CASE(data_in_order_is_delivered_and_acked), TEST_CASE(joined_segments_are_acked_as_many),
    TEST_CASE(a_single_segment_is_acked_after_the_delay),
    TEST_CASE(the_first_segments_are_acked_at_once), TEST_CASE(a_burst_is_acked_once),
    TEST_CASE(a_hole_is_told_and_filled), TEST_CASE(a_duplicate_is_reported_by_dsack),
    TEST_CASE(an_overlap_delivers_only_the_new_part), TEST_CASE(beyond_the_window_is_refused),
    TEST_CASE(the_part_beyond_the_window_is_cut_off), TEST_CASE(a_window_probe_is_answered),
    TEST_CASE(every_case_of_length_and_window), TEST_CASE(answers_to_bare_segments_are_limited),
    TEST_CASE(paws_refuses_an_old_timestamp), TEST_CASE(paws_reports_an_old_duplicate),
    TEST_CASE(paws_believes_anything_after_24_days),
    TEST_CASE(the_timestamp_of_an_out_of_order_segment_is_not_echoed),
    TEST_CASE(a_reset_at_the_edge_resets), TEST_CASE(a_reset_in_the_window_is_challenged),
    TEST_CASE(a_syn_in_any_synchronized_state_is_challenged),
    TEST_CASE(a_reset_in_any_synchronized_state_closes),
    TEST_CASE(a_segment_without_ack_is_dropped), TEST_CASE(an_ack_of_the_future_is_dropped),
    TEST_CASE(an_ack_far_in_the_past_is_challenged), TEST_CASE(an_old_ack_may_still_carry_data),
    TEST_CASE(the_window_comes_from_the_newest_segment_only),
    TEST_CASE(a_fin_moves_established_to_close_wait),
    TEST_CASE(a_fin_out_of_order_waits_for_its_data), TEST_CASE(data_beyond_a_fin_is_ignored),
    TEST_CASE(an_active_close_ends_in_time_wait),
    TEST_CASE(a_fin_that_acks_our_fin_goes_straight_to_time_wait), TEST_CASE(simultaneous_close),
    TEST_CASE(a_repeated_fin_restarts_time_wait),
    TEST_CASE(time_wait_does_not_answer_every_bare_ack),
    TEST_CASE(a_reset_does_not_assassinate_time_wait), TEST_CASE(time_wait_lets_a_newer_syn_in),
    TEST_CASE(time_wait_lets_in_who_begins_anew), TEST_CASE(data_after_close_is_reset),
    TEST_CASE(close_with_unread_data_resets), TEST_CASE(fin_wait_2_of_a_closed_socket_ends),
    TEST_CASE(shut_rd_keeps_what_arrives_readable),

    TEST_CASE(no_memory_drops_the_segment_unacknowledged),
    TEST_CASE(nothing_is_reported_that_is_not_kept),
    TEST_CASE(a_window_of_descending_bytes_costs_little), TEST_CASE(segments_fit_both_ends),
    TEST_CASE(windows_are_not_scaled_by_one_side),
    TEST_CASE(a_reset_of_a_simultaneous_open_refuses_it), TEST_CASE(a_segment_gets_one_ack_at_most),
    TEST_CASE(the_largest_window_is_no_negative_one), TEST_CASE(windows_have_thirty_bits),
    TEST_CASE(no_blocks_for_who_does_not_know_them), TEST_CASE(a_syns_options_are_on_syns_only),
    TEST_CASE(paws_comes_before_the_window), TEST_CASE(a_resets_timestamp_means_nothing),
    TEST_CASE(a_segment_without_timestamps_is_survived), TEST_CASE(a_delayed_ack_echoes_the_first),
    TEST_CASE(an_echo_of_nothing_new_is_no_round_trip),
    TEST_CASE(a_syn_from_anywhere_is_challenged), TEST_CASE(nothing_of_a_challenged_segment_counts),
    TEST_CASE(a_reset_may_say_why));

/* What happens when nothing happens: retransmission, persist, delayed ACKs, keepalive, the ends. */
#include "mtcp/tcp/timers.h"

#include "mtcp/tcp/recovery.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/tcp.h"
#include "tests/seg.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define MS  1000ull
#define SEC 1000000ull

/* The handshake's round trip was 10 ms: the timeout is 10 + 200 ms. */
#define RTO (210 * MS)

/* ---- deadlines ---- */

static void one_entry_serves_the_earliest_deadline(void)
{
    struct segt *t = segt_established();
    struct tcp_conn *c = &t->conn;
    CU_ASSERT(!timers_rtx_is_set(c));
    EXPECT_EQ(timers_rtx_at(&t->env, c), WHEEL_NEVER_US);
    uint64_t now = t->env.now_us;
    timers_set_aux(&t->env, c, now + 5 * SEC);
    EXPECT_EQ(c->timer.at_us, now + 5 * SEC);
    timers_set_rtx(&t->env, c, now + SEC);
    EXPECT_EQ(c->timer.at_us, now + SEC);
    timers_set_rtx(&t->env, c, now + 2 * SEC); /* later: the entry stays where it is */
    EXPECT_EQ(c->timer.at_us, now + SEC);
    CU_ASSERT(timers_rtx_at(&t->env, c) >= now + 2 * SEC);
    CU_ASSERT(timers_rtx_at(&t->env, c) < now + 2 * SEC + WHEEL_TICK_US);
    timers_stop_all(&t->env, c);
    CU_ASSERT(!timer_is_armed(&c->timer));
    segt_free(t);
}

/* RFC 6298 5.2-1 */
static void a_deadline_that_was_cleared_does_nothing(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    seg_expect(t, "PA 1+100");
    seg_in(t, "A 1 ack=101");
    CU_ASSERT(timer_is_armed(&t->conn.timer)); /* lazily */
    segt_advance(t, 5 * SEC);
    seg_silence(t);
    CU_ASSERT(!timer_is_armed(&t->conn.timer));
    segt_free(t);
}

/* RFC 6298 5.3-1 */
static void an_ack_of_new_data_puts_the_timeout_off(void)
{
    struct segt *t = segt_established();
    segt_write(t, 2000);
    seg_expect(t, "A 1+1000");
    seg_expect(t, "PA 1001+1000");
    segt_advance(t, 150 * MS);
    seg_in(t, "A 1 ack=1001");
    uint64_t rto = rtt_rto(&t->env, &t->conn);
    segt_advance(t, rto - 1 * MS);
    seg_silence(t);
    segt_advance(t, 1 * MS + WHEEL_TICK_US);
    seg_expect(t, "PA 1001+1000");
    segt_free(t);
}

static void deadlines_survive_the_wrap_of_ticks(void)
{
    struct segt *t = segt_established();
    t->env.now_us = ((1ull << 32) - 100) * WHEEL_TICK_US; /* 76 hours */
    wheel_init(&t->env.wheel, t->env.now_us);
    segt_write(t, 100);
    seg_expect(t, "PA 1+100");
    segt_advance(t, RTO - 1 * MS);
    seg_silence(t);
    segt_advance(t, 2 * MS);
    seg_expect(t, "PA 1+100");
    segt_free(t);
}

/* Deadlines are kept as 32 bits of ticks: half of them are 38 hours, all of them 76. */
static void deadlines_are_met_after_any_gap(void)
{
    for (uint64_t gap = 30 * MS; gap < 400ull * 86400 * SEC; gap += gap / 3) {
        struct segt *t = segt_established();
        segt_write(t, 100);
        seg_expect(t, "PA 1+100");
        t->conn.n_quick = 0;
        seg_in(t, "PA 1+100 ack=1"); /* to be acknowledged within 40 ms */
        uint64_t due_at = t->env.now_us + 40 * MS;
        t->env.now_us += gap;
        if (wheel_expire(&t->env.wheel, t->env.now_us) == &t->conn.timer)
            tcp_timer(&t->env, &t->conn);
        segt_flush(t);
        if (gap > RTO + WHEEL_TICK_US)
            seg_expect(t, "PA 1+100 ack=101");
        else if (t->env.now_us > due_at + WHEEL_TICK_US)
            seg_expect(t, "A 101 ack=101");
        seg_silence(t);
        CU_ASSERT(timers_rtx_at(&t->env, &t->conn) > t->env.now_us);
        segt_free(t);
    }
}

/* ---- retransmission ---- */

/* RFC 6298 5-1, 5.1-1, 5.4-1 */
static void what_is_not_acknowledged_is_sent_again(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    seg_expect(t, "PA 1+100");
    segt_advance(t, RTO - 1 * MS);
    seg_silence(t);
    segt_advance(t, 1 * MS + WHEEL_TICK_US);
    seg_expect(t, "PA 1+100");
    seg_silence(t);
    EXPECT_EQ(t->env.stats.rto, 1);
    EXPECT_EQ(t->env.stats.rexmit_segs, 1);
    seg_in(t, "A 1 ack=101");
    EXPECT_EQ(t->conn.backoff, 0);
    segt_advance(t, 10 * SEC);
    seg_silence(t);
    segt_free(t);
}

/* RFC 6298 5.5: the interval doubles. (RFC 9293 MUST-19) (RFC 6298 5.5-1, 5.6-1) */
static void backing_off(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    seg_expect(t, "PA 1+100");
    uint64_t sent_at = t->env.now_us;
    for (int i = 0; i < 6; i++) {
        segt_advance(t, sent_at + (RTO << i) - t->env.now_us - 1);
        seg_silence(t);
        segt_advance(t, WHEEL_TICK_US + 1);
        seg_expect(t, "PA 1+100");
        sent_at = t->env.now_us - WHEEL_TICK_US;
    }
    EXPECT_EQ(t->conn.cwnd, 1000);
    segt_free(t);
}

/* RFC 9293 MUST-20, SHLD-11 */
static void a_silent_peer_is_given_up(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    unsigned n = 0;
    for (; t->conn.state != TCPS_CLOSED && n < 3000; n++) {
        segt_advance(t, SEC);
        if (t->n_tx > 100)
            t->n_tx = 0;
    }
    EXPECT_EQ(t->env.stats.rto, 15);
    EXPECT_EQ(t->conn.err, ETIMEDOUT);
    EXPECT_EQ(t->conn.end_reason, HOOK_END_TIMEOUT);
    CU_ASSERT(n >= 900 && n < 1100); /* about 15 minutes */
    segt_free(t);
}

static void the_reason_is_told_when_there_is_one(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    tcp_net_error(&t->env, &t->conn, EHOSTUNREACH, false);
    expect_state(t, TCPS_ESTABLISHED);
    segt_advance(t, 2000 * SEC);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, EHOSTUNREACH);
    segt_free(t);
}

static void an_orphan_has_fewer_tries(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    segt_advance(t, 200 * SEC);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->env.stats.rto, 8);
    segt_free(t);
}

/* RFC 5482. (RFC 9293 MUST-21) */
static void the_user_timeout_replaces_the_number_of_tries(void)
{
    struct segt *t = segt_established();
    t->conn.ext = mem_zalloc(t->mem, sizeof(*t->conn.ext));
    t->conn.ext->user_timeout_ms = 3000;
    segt_write(t, 100);
    segt_advance(t, 2900 * MS);
    expect_state(t, TCPS_ESTABLISHED);
    segt_advance(t, 600 * MS);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ETIMEDOUT);
    segt_free(t);
}

/* ... but a peer that keeps its window shut is asked before it is judged. */
static void the_user_timeout_gives_a_probe_time(void)
{
    struct segt *t = segt_established();
    t->conn.ext = mem_zalloc(t->mem, sizeof(*t->conn.ext));
    t->conn.ext->user_timeout_ms = 100;
    seg_in(t, "A 1 ack=1 win=0");
    segt_write(t, 500);
    for (int i = 0; i < 3; i++) {
        segt_advance(t, (RTO << i) + 1 * MS);
        seg_expect(t, "A 0 ack=1");
        seg_in(t, "A 1 ack=1 win=0");
    }
    expect_state(t, TCPS_ESTABLISHED);
    segt_advance(t, 10 * SEC);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

/* ---- SYN ---- */

/* RFC 9293 MUST-22, not MUST-23 */
static void a_syn_is_repeated_six_times(void)
{
    struct segt *t = segt_syn_sent();
    uint64_t wait = SEC - 10 * MS; /* 10 ms have passed */
    for (int i = 0; i < 6; i++) {
        segt_advance(t, wait - 1 * MS);
        seg_silence(t);
        segt_advance(t, 1 * MS + WHEEL_TICK_US);
        seg_expect(t, "S 0 mss=1460");
        wait = (SEC << (i + 1)) - WHEEL_TICK_US;
    }
    segt_advance(t, 70 * SEC);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ETIMEDOUT);
    seg_silence(t);
    segt_free(t);
}

/* RFC 9293 MUST-23 */
static void one_more_syn_makes_it_four_minutes(void)
{
    struct segt *t = segt_syn_sent();
    t->env.params.syn_retries = 7;
    segt_advance(t, 180 * SEC);
    expect_state(t, TCPS_SYN_SENT);
    EXPECT_EQ(t->n_tx, 7);
    segt_advance(t, 60 * SEC);
    expect_state(t, TCPS_SYN_SENT);
    segt_advance(t, 10 * SEC);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

/* RFC 5681 3.1-3 */
static void the_first_window_after_a_lost_syn_is_one_segment(void)
{
    struct segt *t = segt_syn_sent();
    segt_advance(t, 1100 * MS);
    seg_expect(t, "S 0 mss=1460");
    seg_in(t, "SA 0 ack=1 mss=1000");
    expect_state(t, TCPS_ESTABLISHED);
    EXPECT_EQ(t->conn.cwnd, 1000);
    EXPECT_EQ(t->conn.backoff, 0);
    EXPECT_EQ(t->conn.srtt_us, 0); /* Karn */
    segt_free(t);
}

/* One second was too short for the SYN, or seemed to be. (RFC 6298 5.7-1) */
static void data_after_a_lost_syn_waits_three_seconds(void)
{
    struct segt *t = segt_syn_sent();
    segt_advance(t, 1100 * MS);
    seg_expect(t, "S 0 mss=1460");
    seg_in(t, "SA 0 ack=1 mss=1000");
    seg_expect(t, "A 1 ack=1");
    segt_write(t, 100);
    seg_expect(t, "PA 1+100");
    segt_advance(t, 2999 * MS);
    seg_silence(t);
    segt_advance(t, 2 * MS);
    seg_expect(t, "PA 1+100");
    segt_advance(t, 20 * MS);
    seg_in(t, "A 1 ack=101");
    segt_write(t, 100);
    segt_advance(t, 20 * MS);
    seg_in(t, "A 1 ack=201"); /* a round trip: nothing of that is left */
    CU_ASSERT(rtt_rto(&t->env, &t->conn) < 300 * MS);
    segt_free(t);
}

/* ---- persist ---- */

static struct segt *with_a_shut_window(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1 ack=1 win=0");
    segt_write(t, 500);
    seg_silence(t);
    CU_ASSERT(t->conn.flags & TCF_PERSIST);
    return t;
}

/* RFC 9293 MUST-37 */
static void a_window_may_stay_shut_for_ever(void)
{
    struct segt *t = with_a_shut_window();
    unsigned n = 0;
    for (unsigned s = 0; s < 20000; s++) { /* five hours */
        segt_advance(t, SEC);
        if (t->n_tx == t->at_tx)
            continue;
        seg_expect(t, "A 0 ack=1");
        seg_in(t, "A 1 ack=1 win=0");
        n++;
    }
    expect_state(t, TCPS_ESTABLISHED);
    CU_ASSERT(n > 150 && n < 200); /* backed off to one per two minutes */
    seg_in(t, "A 1 ack=1 win=500");
    seg_expect(t, "PA 1+500");
    segt_free(t);
}

static void but_a_peer_that_does_not_answer_is_given_up(void)
{
    struct segt *t = with_a_shut_window();
    segt_advance(t, 2000 * SEC);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ETIMEDOUT);
    EXPECT_EQ(t->env.stats.zero_window_probes, 15);
    segt_free(t);
}

static void an_orphan_does_not_wait_for_ever(void)
{
    struct segt *t = with_a_shut_window();
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    for (unsigned s = 0; s < 2000 && t->conn.state != TCPS_CLOSED; s++) {
        segt_advance(t, SEC);
        if (t->n_tx > t->at_tx && t->conn.state != TCPS_CLOSED) {
            t->at_tx = t->n_tx = 0;
            seg_in(t, "A 1 ack=1 win=0");
        }
    }
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->tx[t->n_tx - 1].seg.flags, TCP_RST | TCP_ACK);
    segt_free(t);
}

/* RFC 9293 3.8.6: what was sent before the window shrank is not resent beyond it. (RFC 9293
 * MUST-34, SHLD-16, SHLD-17) (RFC 9293 MUST-35, SHLD-16, SHLD-17, RFC 7323 2.4-1) */
static void a_window_shut_over_data_in_flight(void)
{
    struct segt *t = segt_established();
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    seg_in(t, "A 1 ack=1001 win=0");
    seg_silence(t);
    segt_advance(t, 250 * MS);
    seg_expect(t, "A 1001+1000"); /* a probe */
    seg_in(t, "A 1 ack=1001 win=0");
    segt_advance(t, 500 * MS);
    seg_expect(t, "A 1001+1000");
    seg_silence(t);
    seg_in(t, "A 1 ack=1001 win=500"); /* opens a little */
    seg_expect(t, "A 1001+500");
    seg_silence(t);
    seg_in(t, "A 1 ack=1501 win=5000");
    seg_expect(t, "A 1501+500");
    segt_advance(t, 20 * MS);
    seg_in(t, "A 1 ack=2001 win=5000");
    seg_expect(t, "PA 2001+1000");
    seg_in(t, "A 1 ack=3001 win=5000");
    segt_advance(t, 10 * SEC);
    seg_silence(t);
    segt_free(t);
}

/* Both sides have lost data in flight, and both believe the other's window shut: no ACK is news of a
 * window, for it lies before the segment that the last one came with. */
static void a_peer_that_waits_for_us_too_is_freed(void)
{
    struct segt *t = segt_established();
    segt_write(t, 3000);
    t->at_tx = t->n_tx = 0;
    seg_in(t, "A 2001+1000 ack=1 win=0"); /* the peer's first 2000 were lost */
    seg_expect(t, "A 1 ack=1");
    segt_advance(t, 250 * MS);
    seg_expect(t, "A 1+1000 ack=1"); /* it is acceptable, and so is its ACK */
    seg_in(t, "A 1 ack=1 win=5000");
    EXPECT_EQ(t->conn.snd_wnd, 0);
    seg_in(t, "A 1 ack=1001 win=5000");
    EXPECT_EQ(t->conn.snd_wnd, 5000);
    seg_expect(t, "A 1001+1000 ack=1");
    segt_free(t);
}

/* ---- keepalive and idle ---- */

static struct segt *kept_alive(void)
{
    struct segt *t = segt_established();
    t->conn.ext = mem_zalloc(t->mem, sizeof(*t->conn.ext));
    t->conn.ext->keep_idle_s = 10;
    t->conn.ext->keep_intvl_s = 2;
    t->conn.ext->keep_cnt = 3;
    t->conn.flags |= TCF_KEEPALIVE;
    timers_watch_idle(&t->env, &t->conn);
    return t;
}

/* RFC 9293 MUST-24, MUST-26, MUST-27, SHLD-12, MAY-5 */
static void keepalive_asks_a_silent_peer(void)
{
    struct segt *t = kept_alive();
    segt_advance(t, 9900 * MS);
    seg_silence(t);
    segt_advance(t, 200 * MS);
    seg_expect(t, "A 0 ack=1");
    seg_in(t, "A 1 ack=1");
    segt_advance(t, 9900 * MS);
    seg_silence(t);
    segt_advance(t, 200 * MS);
    seg_expect(t, "A 0 ack=1");
    EXPECT_EQ(t->env.stats.zero_window_probes, 0);
    segt_free(t);
}

/* RFC 9293 MUST-29 */
static void and_gives_up_one_that_is_gone(void)
{
    struct segt *t = kept_alive();
    segt_advance(t, 10100 * MS);
    seg_expect(t, "A 0");
    segt_advance(t, 2 * SEC);
    seg_expect(t, "A 0");
    segt_advance(t, 2 * SEC);
    seg_expect(t, "A 0");
    expect_state(t, TCPS_ESTABLISHED);
    segt_advance(t, 2 * SEC);
    seg_expect(t, "RA 1");
    seg_silence(t);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ETIMEDOUT);
    segt_free(t);
}

static void activity_puts_keepalive_off(void)
{
    struct segt *t = kept_alive();
    for (int i = 0; i < 20; i++) {
        char s[40];
        snprintf(s, sizeof(s), "A %d+1 ack=1", 1 + i);
        segt_advance(t, 5 * SEC);
        seg_in(t, s);
    }
    for (unsigned i = t->at_tx; i < t->n_tx; i++)
        EXPECT_EQ(t->tx[i].seg.seq.v - t->our_isn, 1); /* no probe among them */
    segt_free(t);
}

/* RFC 9293 MUST-28 */
static void keepalive_waits_two_hours_unless_told(void)
{
    struct segt *t = segt_established();
    t->conn.flags |= TCF_KEEPALIVE;
    timers_watch_idle(&t->env, &t->conn);
    segt_advance(t, 7199 * SEC);
    seg_silence(t);
    segt_advance(t, 2 * SEC);
    seg_expect(t, "A 0 ack=1");
    segt_free(t);
}

/* RFC 9293 MUST-25 */
static void an_idle_connection_lives_unless_told_otherwise(void)
{
    struct segt *t = segt_established();
    segt_advance(t, 100000 * SEC);
    expect_state(t, TCPS_ESTABLISHED);
    seg_silence(t);
    t->env.params.idle_timeout_us = 30 * SEC;
    seg_in(t, "A 1+1 ack=1");
    segt_advance(t, 29 * SEC);
    expect_state(t, TCPS_ESTABLISHED);
    segt_advance(t, 2 * SEC);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ETIMEDOUT);
    segt_free(t);
}

/* ---- the ends ---- */

/* RFC 9293 MUST-13 */
static void time_wait_lasts_its_time(void)
{
    struct segt *t = segt_in_state(TCPS_TIME_WAIT);
    segt_advance(t, 59 * SEC);
    expect_state(t, TCPS_TIME_WAIT);
    segt_advance(t, 2 * SEC);
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.end_reason, HOOK_END_FIN);
    EXPECT_EQ(t->conn.err, 0);
    seg_silence(t);
    segt_free(t);
}

static void an_orphan_waits_a_minute_for_the_fin(void)
{
    struct segt *t = segt_in_state(TCPS_FIN_WAIT_2);
    segt_advance(t, 1000 * SEC);
    expect_state(t, TCPS_FIN_WAIT_2); /* a half-closed socket may */
    tcp_close(&t->env, &t->conn);
    segt_advance(t, 59 * SEC);
    expect_state(t, TCPS_FIN_WAIT_2);
    segt_advance(t, 2 * SEC);
    expect_state(t, TCPS_CLOSED);
    seg_silence(t);
    segt_free(t);
}

static void nothing_fires_after_the_end(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    seg_in(t, "R 1");
    expect_state(t, TCPS_CLOSED);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 1000 * SEC);
    seg_silence(t);
    EXPECT_EQ(t->env.stats.rto, 0);
    segt_free(t);
}

TEST_SUITE(timers, TEST_CASE(one_entry_serves_the_earliest_deadline),
           TEST_CASE(a_deadline_that_was_cleared_does_nothing),
           TEST_CASE(deadlines_survive_the_wrap_of_ticks),
           TEST_CASE(deadlines_are_met_after_any_gap),
           TEST_CASE(what_is_not_acknowledged_is_sent_again), TEST_CASE(backing_off),
           TEST_CASE(a_silent_peer_is_given_up), TEST_CASE(the_reason_is_told_when_there_is_one),
           TEST_CASE(an_orphan_has_fewer_tries),
           TEST_CASE(the_user_timeout_replaces_the_number_of_tries),
           TEST_CASE(the_user_timeout_gives_a_probe_time), TEST_CASE(a_syn_is_repeated_six_times),
           TEST_CASE(the_first_window_after_a_lost_syn_is_one_segment),
           TEST_CASE(a_window_may_stay_shut_for_ever),
           TEST_CASE(but_a_peer_that_does_not_answer_is_given_up),
           TEST_CASE(an_orphan_does_not_wait_for_ever),
           TEST_CASE(a_window_shut_over_data_in_flight),
           TEST_CASE(a_peer_that_waits_for_us_too_is_freed), TEST_CASE(keepalive_asks_a_silent_peer),
           TEST_CASE(and_gives_up_one_that_is_gone), TEST_CASE(activity_puts_keepalive_off),
           TEST_CASE(an_idle_connection_lives_unless_told_otherwise),
           TEST_CASE(time_wait_lasts_its_time), TEST_CASE(an_orphan_waits_a_minute_for_the_fin),
           TEST_CASE(nothing_fires_after_the_end),
           TEST_CASE(an_ack_of_new_data_puts_the_timeout_off),
           TEST_CASE(one_more_syn_makes_it_four_minutes),
           TEST_CASE(data_after_a_lost_syn_waits_three_seconds),
           TEST_CASE(keepalive_waits_two_hours_unless_told));

/* What the application and monitors ask of a connection: RFC 9293 3.10.4, 3.10.5. */
#include "tests/seg.h"

#include <errno.h>

/* From outside a callback too: what was not read is gone. */
static void a_reset_by_a_monitor_discards_what_was_not_read(void)
{
    struct segt *t = segt_established();
    seg_in(t, "PA 1+100 ack=1");
    tcp_abort(&t->env, &t->conn, HOOK_END_RESET_BY_MONITOR, ECONNRESET);
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    segt_flush(t);
    seg_expect(t, "RA 1 ack=101");
    EXPECT_EQ(t->conn.err, ECONNRESET);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

/* A timeout's RST is on its way, and the monitor that sees it resets: as above. */
static void a_reset_of_what_is_ending_discards_too(void)
{
    struct segt *t = segt_established();
    seg_in(t, "PA 1+100 ack=1");
    tcp_abort(&t->env, &t->conn, HOOK_END_TIMEOUT, ETIMEDOUT);
    EXPECT_EQ(tcp_readable(&t->conn), 100);
    tcp_abort(&t->env, &t->conn, HOOK_END_RESET_BY_MONITOR, ECONNRESET);
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    EXPECT_EQ(t->conn.err, ETIMEDOUT);
    segt_flush(t);
    seg_expect(t, "RA 1 ack=101");
    segt_free(t);
}

/* Inside one the reset waits for the end of the packet, or for the next turn: the bytes don't. */
static void a_reset_inside_a_callback_discards_at_once(void)
{
    struct segt *t = segt_established();
    seg_in(t, "PA 1+100 ack=1");
    t->env.user_depth = 1;
    tcp_abort(&t->env, &t->conn, HOOK_END_RESET_BY_MONITOR, ECONNRESET);
    t->env.user_depth = 0;
    EXPECT_EQ(tcp_readable(&t->conn), 0);
    EXPECT_EQ(t->conn.err, ECONNRESET);
    expect_state(t, TCPS_ESTABLISHED);
    tcp_run_queued(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "RA 1 ack=101");
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

static void an_abort_by_the_application_keeps_what_was_not_read(void)
{
    struct segt *t = segt_established();
    seg_in(t, "PA 1+100 ack=1");
    tcp_abort(&t->env, &t->conn, HOOK_END_ABORT, 0);
    EXPECT_EQ(tcp_readable(&t->conn), 100);
    segt_flush(t);
    seg_expect(t, "RA 1 ack=101");
    EXPECT_EQ(segt_read(t, 100), 100);
    segt_free(t);
}

/* LAST_ACK and CLOSING begin when the application closes, before the FIN has left: until then the
 * peer waits for it, and must be told. */
static void an_abort_before_the_fin_has_left_resets(void)
{
    struct segt *t = segt_established();
    seg_in(t, "FA 1 ack=1 win=0");
    seg_expect(t, "A 1 ack=2");
    EXPECT_EQ(segt_write(t, 100), 100);
    EXPECT_EQ(tcp_shutdown(&t->env, &t->conn, 1), 0);
    segt_flush(t);
    expect_state(t, TCPS_LAST_ACK);
    tcp_abort(&t->env, &t->conn, HOOK_END_ABORT, 0);
    segt_flush(t);
    seg_expect(t, "RA 1 ack=2");
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

static void an_abort_after_the_last_fin_is_silent(void)
{
    struct segt *t = segt_in_state(TCPS_LAST_ACK);
    tcp_abort(&t->env, &t->conn, HOOK_END_ABORT, 0);
    segt_flush(t);
    seg_silence(t);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

/* ---- writing ---- */

static struct segt *under_test;

/* A monitor that resets the connection when it learns that bytes go before it has seen them. */
static void reset_on_error(void *mon, void *handle, enum hook_error kind, bool is_rcv,
                           uint64_t from, uint64_t to)
{
    (void)mon, (void)handle, (void)kind, (void)is_rcv, (void)from, (void)to;
    struct segt *t = under_test;
    t->env.user_depth++;
    tcp_abort(&t->env, &t->conn, HOOK_END_RESET_BY_MONITOR, ECONNRESET);
    t->env.user_depth--;
}

static void nothing_is_taken_from_a_write_in_which_a_monitor_resets(void)
{
    static const struct tcp_hooks hooks = {.error = reset_on_error};
    struct segt *t = segt_established();
    under_test = t;
    EXPECT_EQ(segt_write(t, 4000), 4000);
    segt_flush(t);
    seg_in(t, "A 1 ack=2001"); /* room is made where these bytes are */
    t->env.hooks = &hooks;
    t->conn.mon = t;
    EXPECT_EQ(segt_write(t, 2000), -EPIPE);
    EXPECT_EQ(stream_next(&t->conn.snd), 4000);
    t->env.hooks = NULL;
    t->conn.mon = NULL;
    tcp_run_queued(&t->env, &t->conn);
    segt_flush(t);
    expect_state(t, TCPS_CLOSED);
    segt_free(t);
}

/* Beyond the limit a close is a reset. */
static void orphans_are_limited(void)
{
    struct segt *t = segt_established();
    t->env.params.max_orphans = 2;
    t->env.n_orphans = 2;
    segt_write(t, 100);
    seg_expect(t, "A 1+100");
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "RA 101 ack=1");
    EXPECT_EQ(t->env.stats.orphans_reset, 1);
    EXPECT_EQ(t->env.n_orphans, 3);
    segt_free(t);
    t = segt_established();
    t->env.params.max_orphans = 2;
    t->env.n_orphans = 1;
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "FA 1 ack=1");
    tcp_conn_fini(&t->env, &t->conn);
    EXPECT_EQ(t->env.n_orphans, 1);
    t->conn.flags = 0;
    segt_free(t);
}

TEST_SUITE(user, TEST_CASE(orphans_are_limited),
           TEST_CASE(nothing_is_taken_from_a_write_in_which_a_monitor_resets),
           TEST_CASE(a_reset_by_a_monitor_discards_what_was_not_read),
           TEST_CASE(a_reset_of_what_is_ending_discards_too),
           TEST_CASE(a_reset_inside_a_callback_discards_at_once),
           TEST_CASE(an_abort_by_the_application_keeps_what_was_not_read),
           TEST_CASE(an_abort_before_the_fin_has_left_resets),
           TEST_CASE(an_abort_after_the_last_fin_is_silent));

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

TEST_SUITE(user, TEST_CASE(a_reset_by_a_monitor_discards_what_was_not_read),
           TEST_CASE(a_reset_inside_a_callback_discards_at_once),
           TEST_CASE(an_abort_by_the_application_keeps_what_was_not_read),
           TEST_CASE(an_abort_before_the_fin_has_left_resets),
           TEST_CASE(an_abort_after_the_last_fin_is_silent));

/* Events of one connection, in the order that the monitor promises (mos/order.c). */
#include "tests/mos_world.h"

#define ALL                                                                                        \
    (MOS_ON_PKT_IN | MOS_ON_CONN_START | MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR |                     \
     MOS_ON_TCP_STATE_CHANGE | MOS_ON_REXMIT | MOS_ON_CONN_END)
#define EST  MOS_TCPS_ESTABLISHED
#define GONE 0xff

static void begin_accepted(uint64_t events)
{
    w_begin(false);
    w_monitor(events);
    w_accept();
    w_turn();
    w.text_len = 0;
}

static void begin_connected(uint64_t events)
{
    w_begin(true);
    w_monitor(events);
    w_connect();
    w_turn();
    w.text_len = 0;
}

/* ---- handshakes ------------------------------------------------------------------------------ */

static void server_handshake(void)
{
    w_begin(false);
    w_monitor(ALL);
    IN(.flags = TCP_SYN, .to = {MOS_TCPS_SYN_RCVD}); /* whether the endpoint tells it or not */
    EXPECT_EVENTS("SC PKT_IN; SC START SYN_SENT; SC STATE SYN_SENT; "
                  "RS PKT_IN; RS START SYN_RCVD; RS STATE SYN_RCVD;");
    OUT(.flags = TCP_SYN | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE ESTABLISHED;");
    w_promote();
    w_state(MOS_TCPS_SYN_RCVD); /* the new record comes to where the old one was */
    IN(.flags = TCP_ACK, .to = {EST});
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS STATE ESTABLISHED;");
    w_turn();
    EXPECT_EVENTS("");
    w_end();
}

static void client_handshake(void)
{
    w_begin(true);
    w_monitor(ALL);
    OUT(.flags = TCP_SYN);
    EXPECT_EVENTS("SC PKT_IN; SC START SYN_SENT; SC STATE SYN_SENT; "
                  "RS PKT_IN; RS START SYN_RCVD; RS STATE SYN_RCVD;");
    IN(.flags = TCP_SYN | TCP_ACK, .to = {EST});
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE ESTABLISHED;");
    OUT(.flags = TCP_ACK);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS STATE ESTABLISHED;");
    w_end();
}

static void saw_old_states(int sock, int side, event_t ev)
{
    (void)side;
    if (ev == MOS_ON_PKT_IN)
        w_say("%s,%s ", w_state_name(w_get_int(sock, MOS_TCP_STATE_CLI)),
              w_state_name(w_get_int(sock, MOS_TCP_STATE_SVR)));
}

static void verdict_step_sees_the_old_states_and_the_receiver_the_new_ones(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w.in_callback = saw_old_states;
    IN(.flags = TCP_SYN);
    EXPECT_EVENTS("SC PKT_IN; CLOSED,LISTEN RS PKT_IN; SYN_SENT,SYN_RCVD");
    w.in_callback = NULL;
    w_end();
}

static void retransmitted_syns(void)
{
    w_begin(false);
    w_monitor(ALL);
    IN(.flags = TCP_SYN);
    w.text_len = 0;
    IN(.flags = TCP_SYN, .refused = true);
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    OUT(.flags = TCP_SYN | TCP_ACK);
    w.text_len = 0;
    OUT(.flags = TCP_SYN | TCP_ACK, .rexmit = true);
    EXPECT_EVENTS("SS PKT_IN; RC REXMIT; RC PKT_IN;");
    w_end();
}

static void simultaneous_open(void)
{
    w_begin(true);
    w_monitor(ALL);
    OUT(.flags = TCP_SYN);
    w.text_len = 0;
    IN(.flags = TCP_SYN, .to = {MOS_TCPS_SYN_RCVD});
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE SYN_RCVD;");
    OUT(.flags = TCP_SYN | TCP_ACK, .rexmit = true);
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN; RS STATE ESTABLISHED;");
    IN(.flags = TCP_SYN | TCP_ACK, .to = {EST});
    EXPECT_EVENTS("SS PKT_IN; RC REXMIT; RC PKT_IN; RC STATE ESTABLISHED;");
    w_end();
}

/* A monitor that came between the first SYN and its retransmission: that one is its first. */
/* The endpoint leaves the FIN of a SYN to be sent again (RFC 9293 3.10.7.2): so it is none. */
static void fin_of_a_syn_is_not_taken(void)
{
    w_begin(false);
    w_monitor(MOS_ON_TCP_STATE_CHANGE | MOS_ON_REXMIT);
    IN(.flags = TCP_SYN | TCP_FIN, .to = {MOS_TCPS_SYN_RCVD});
    OUT(.flags = TCP_SYN | TCP_ACK);
    w_promote();
    IN(.flags = TCP_ACK, .to = {EST});
    w.text_len = 0;
    IN(.flags = TCP_FIN | TCP_ACK, .data = "bye", .to = {MOS_TCPS_CLOSE_WAIT});
    EXPECT_EVENTS("SC STATE FIN_WAIT_1; RS STATE CLOSE_WAIT;");
    OUT(.flags = TCP_ACK, .ack = 3); /* the data, not the FIN */
    EXPECT_EVENTS("");
    OUT(.flags = TCP_ACK, .ack = 4);
    EXPECT_EVENTS("RC STATE FIN_WAIT_2;");
    IN(.flags = TCP_FIN | TCP_ACK, .off = 3, .refused = true);
    EXPECT_EVENTS("RS REXMIT;");
    w_end();
}

/* That of a SYN-ACK is. */
static void fin_of_a_syn_ack_is_taken(void)
{
    w_begin(true);
    w_monitor(MOS_ON_TCP_STATE_CHANGE);
    OUT(.flags = TCP_SYN);
    w.text_len = 0;
    IN(.flags = TCP_SYN | TCP_FIN | TCP_ACK, .to = {EST, MOS_TCPS_CLOSE_WAIT});
    EXPECT_EVENTS("SS STATE FIN_WAIT_1; RC STATE ESTABLISHED; RC STATE CLOSE_WAIT;");
    OUT(.flags = TCP_ACK, .ack = 1);
    EXPECT_EVENTS("RS STATE FIN_WAIT_2;");
    w_end();
}

static void first_syn_that_was_sent_before(void)
{
    w_begin(true);
    w_monitor(MOS_ON_REXMIT | MOS_ON_CONN_START);
    OUT(.flags = TCP_SYN, .rexmit = true);
    EXPECT_EVENTS("SC START SYN_SENT; RS START SYN_RCVD;");
    w_end();
}

static void refused_connection(void)
{
    w_begin(true);
    w_monitor(ALL);
    OUT(.flags = TCP_SYN);
    w.text_len = 0;
    IN(.flags = TCP_RST | TCP_ACK, .to = {GONE});
    EXPECT_EVENTS("SS PKT_IN; SS STATE CLOSED; RC PKT_IN; RC STATE CLOSED;");
    w_die(HOOK_END_RST_IN);
    EXPECT_EVENTS("RC END 2; SC END 2; RS END 2; SS END 2;");
    w_end();
}

/* ---- data ------------------------------------------------------------------------------------ */

static void data_in(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_ACK, .data = "hello");
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    IN(.flags = TCP_ACK, .off = 5, .data = "world");
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    w_turn();
    EXPECT_EVENTS("");
    w_end();
}

static void data_out(void)
{
    begin_accepted(ALL);
    w_write("hello");
    w_turn();
    EXPECT_EVENTS("");
    OUT(.flags = TCP_ACK, .data = "hello");
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN;");
    w_turn();
    EXPECT_EVENTS("NC DATA;");
    OUT(.flags = TCP_ACK, .data = "hello", .rexmit = true);
    EXPECT_EVENTS("SS PKT_IN; RC REXMIT; RC PKT_IN;");
    w_turn();
    EXPECT_EVENTS("");
    w_end();
}

static void hole_and_its_filling(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_ACK, .off = 3, .data = "def");
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    IN(.flags = TCP_ACK, .off = 3, .data = "def"); /* out of order and seen before */
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    IN(.flags = TCP_ACK, .data = "abc");
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; NS DATA;");
    w_end();
}

static void retransmission_of_bytes_long_gone(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_ACK, .data = "abc");
    w_turn();
    stream_consume(&w.f.rcv, 3);
    stream_release(&w.f.rcv, w.mem);
    w.text_len = 0;
    IN(.flags = TCP_ACK, .data = "abc", .refused = true);
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    w_end();
}

static void refused_copy_that_differs(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_ACK, .data = "abcdef");
    w_turn();
    w.text_len = 0;
    IN(.flags = TCP_ACK, .off = 2, .data = "cX", .refused = true);
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; NS ERROR 3; RS PKT_IN;");
    IN(.flags = TCP_ACK, .off = 2, .data = "cd", .refused = true);
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    w_end();
}

static void refused_segment_moves_nothing(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_ACK | TCP_FIN, .off = 100000, .data = "x", .refused = true);
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    IN(.flags = TCP_RST, .off = 100, .refused = true);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    w_end();
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* One segment during which the endpoint tells an error. */
static void in_with_error(enum hook_error kind, uint64_t from, uint64_t to, const struct wseg *x)
{
    struct seg seg;
    struct hook_seg s;
    w_build(&seg, &s, HOOK_IN, x);
    EXPECT_EQ(w.hooks->pkt(w.m, w.f.handle, &s), HOOK_PASS);
    w.hooks->error(w.m, w.f.handle, kind, true, from, to);
    w_receive(&s, x);
    w.hooks->pkt_done(w.m, w.f.handle, &s);
}

static void errors_come_between_sender_and_receiver(void)
{
    begin_accepted(ALL);
    in_with_error(HOOK_BEYOND_WINDOW, 8192, 8193,
                  &(struct wseg){.flags = TCP_ACK, .off = 0, .data = "a"});
    EXPECT_EVENTS("SC PKT_IN; NS ERROR 2; RS PKT_IN;");
    in_with_error(HOOK_INCONSISTENT, 0, 1, &(struct wseg){.flags = TCP_ACK, .off = 0, .data = "b"});
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; NS ERROR 3; RS PKT_IN;");
    w_end();
}

static void overrun_tells_new_data_first(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_ACK, .data = "abc");
    w.text_len = 0;
    in_with_error(HOOK_OVERRUN, 0, 2, &(struct wseg){.flags = TCP_ACK, .off = 3, .data = "d"});
    EXPECT_EVENTS("SC PKT_IN; NS DATA; NS ERROR 1; RS PKT_IN;");
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    w_end();
}

static void peek_all(int sock, int side, event_t ev)
{
    char buf[100];
    if (ev == MOS_ON_CONN_NEW_DATA)
        while (w_peek(sock, side, buf, sizeof(buf)) > 0)
            ;
}

static void overrun_is_no_error_for_who_has_peeked(void)
{
    begin_accepted(ALL);
    w.in_callback = peek_all;
    IN(.flags = TCP_ACK, .data = "abc");
    w.text_len = 0;
    in_with_error(HOOK_OVERRUN, 0, 2, &(struct wseg){.flags = TCP_ACK, .off = 3, .data = "d"});
    EXPECT_EVENTS("SC PKT_IN; NS DATA; RS PKT_IN;");
    w.in_callback = NULL;
    w_end();
}

static void overrun_of_what_was_sent(void)
{
    begin_accepted(ALL);
    w_write("abcdef");
    OUT(.flags = TCP_ACK, .data = "abcdef");
    w.text_len = 0;
    w.hooks->error(w.m, w.f.handle, HOOK_OVERRUN, false, 0, 4);
    EXPECT_EVENTS("NC DATA; NC ERROR 1;");
    w_end();
}

/* ---- closing --------------------------------------------------------------------------------- */

static void client_closes_first_and_server_half_closes(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_FIN | TCP_ACK, .data = "bye", .to = {MOS_TCPS_CLOSE_WAIT});
    EXPECT_EVENTS("SC PKT_IN; SC STATE FIN_WAIT_1; RS PKT_IN; RS STATE CLOSE_WAIT;");
    OUT(.flags = TCP_ACK, .ack = 4);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE FIN_WAIT_2;");
    w_write("more"); /* legal in this direction still */
    OUT(.flags = TCP_ACK, .data = "more", .ack = 4);
    w_turn();
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; NC DATA; NS DATA;");
    w_state(MOS_TCPS_LAST_ACK);
    EXPECT_EVENTS("");
    OUT(.flags = TCP_FIN | TCP_ACK, .off = 4, .ack = 4);
    EXPECT_EVENTS("SS PKT_IN; SS STATE LAST_ACK; RC PKT_IN; RC STATE TIME_WAIT;");
    IN(.flags = TCP_ACK, .off = 4, .ack = 5, .to = {GONE});
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS STATE CLOSED;");
    w_die(HOOK_END_FIN);
    EXPECT_EVENTS("RC END 1; SC END 1; RS END 1; SS END 1;");
    w_end();
}

static void fin_and_its_ack_in_one_segment(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_FIN | TCP_ACK, .to = {MOS_TCPS_CLOSE_WAIT});
    w_state(MOS_TCPS_LAST_ACK);
    w.text_len = 0;
    OUT(.flags = TCP_FIN | TCP_ACK, .ack = 1);
    EXPECT_EVENTS("SS PKT_IN; SS STATE LAST_ACK; "
                  "RC PKT_IN; RC STATE FIN_WAIT_2; RC STATE TIME_WAIT;");
    w_end();
}

static void server_closes_first_until_time_wait_is_over(void)
{
    begin_accepted(ALL);
    w_state(MOS_TCPS_FIN_WAIT_1);
    OUT(.flags = TCP_FIN | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; SS STATE FIN_WAIT_1; RC PKT_IN; RC STATE CLOSE_WAIT;");
    OUT(.flags = TCP_FIN | TCP_ACK, .rexmit = true);
    EXPECT_EVENTS("SS PKT_IN; RC REXMIT; RC PKT_IN;");
    IN(.flags = TCP_ACK, .ack = 1, .to = {MOS_TCPS_FIN_WAIT_2});
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS STATE FIN_WAIT_2;");
    IN(.flags = TCP_FIN | TCP_ACK, .ack = 1, .data = "x", .to = {MOS_TCPS_TIME_WAIT});
    EXPECT_EVENTS("SC PKT_IN; SC STATE LAST_ACK; RS PKT_IN; RS STATE TIME_WAIT; NS DATA;");
    OUT(.flags = TCP_ACK, .off = 1, .ack = 2);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE CLOSED;");
    IN(.flags = TCP_FIN | TCP_ACK, .ack = 1, .data = "x", .refused = true);
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    w_turn();
    EXPECT_EVENTS("");
    w_state(MOS_TCPS_CLOSED);
    w_die(HOOK_END_FIN);
    EXPECT_EVENTS("RC END 1; SC END 1; RS END 1; SS END 1;");
    w_end();
}

static void several_transitions_of_one_packet(void)
{
    begin_accepted(MOS_ON_TCP_STATE_CHANGE);
    w_state(MOS_TCPS_FIN_WAIT_1);
    OUT(.flags = TCP_FIN | TCP_ACK);
    w.text_len = 0;
    IN(.flags = TCP_FIN | TCP_ACK, .ack = 1, .to = {MOS_TCPS_FIN_WAIT_2, MOS_TCPS_TIME_WAIT});
    EXPECT_EVENTS("SC STATE LAST_ACK; RS STATE FIN_WAIT_2; RS STATE TIME_WAIT;");
    w_end();
}

static void simultaneous_close(void)
{
    begin_connected(ALL);
    w_state(MOS_TCPS_FIN_WAIT_1);
    OUT(.flags = TCP_FIN | TCP_ACK);
    EXPECT_EVENTS("SC PKT_IN; SC STATE FIN_WAIT_1; RS PKT_IN; RS STATE CLOSE_WAIT;");
    IN(.flags = TCP_FIN | TCP_ACK, .to = {MOS_TCPS_CLOSING});
    EXPECT_EVENTS("SS PKT_IN; SS STATE LAST_ACK; RC PKT_IN; RC STATE CLOSING;");
    OUT(.flags = TCP_ACK, .off = 1, .ack = 1);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS STATE CLOSED;");
    IN(.flags = TCP_ACK, .off = 1, .ack = 1, .to = {MOS_TCPS_TIME_WAIT});
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE TIME_WAIT;");
    w_end();
}

/* The FINs cross: the peer's is there before ours goes out. */
static void crossing_fins_before_ours_is_sent(void)
{
    begin_connected(MOS_ON_TCP_STATE_CHANGE);
    w_state(MOS_TCPS_FIN_WAIT_1);
    IN(.flags = TCP_FIN | TCP_ACK, .to = {MOS_TCPS_CLOSING});
    EXPECT_EVENTS("SS STATE FIN_WAIT_1; RC STATE FIN_WAIT_1; RC STATE CLOSING;");
    OUT(.flags = TCP_FIN | TCP_ACK, .ack = 1);
    EXPECT_EVENTS("RS STATE FIN_WAIT_2; RS STATE TIME_WAIT;");
    w_end();
}

static void close_waits_for_its_fin(void)
{
    begin_accepted(MOS_ON_TCP_STATE_CHANGE);
    int sock = w_active();
    w_write("abc");
    w_state(MOS_TCPS_FIN_WAIT_1);
    EXPECT_EVENTS("");
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_SVR), EST);
    OUT(.flags = TCP_ACK, .data = "abc"); /* the FIN does not fit */
    IN(.flags = TCP_ACK, .ack = 3);
    EXPECT_EVENTS("");
    OUT(.flags = TCP_FIN | TCP_ACK, .off = 3);
    EXPECT_EVENTS("SS STATE FIN_WAIT_1; RC STATE CLOSE_WAIT;");
    w_end();
}

static void second_close_waits_for_its_fin_too(void)
{
    begin_accepted(MOS_ON_TCP_STATE_CHANGE);
    IN(.flags = TCP_FIN | TCP_ACK, .data = "abc", .to = {MOS_TCPS_CLOSE_WAIT});
    EXPECT_EVENTS("SC STATE FIN_WAIT_1; RS STATE CLOSE_WAIT;");
    OUT(.flags = TCP_ACK, .ack = 3); /* all but the FIN */
    EXPECT_EVENTS("");
    w_state(MOS_TCPS_LAST_ACK);
    IN(.flags = TCP_ACK, .off = 4, .ack = 0);
    OUT(.flags = TCP_ACK, .ack = 4);
    EXPECT_EVENTS("RC STATE FIN_WAIT_2;");
    OUT(.flags = TCP_FIN | TCP_ACK, .ack = 4);
    EXPECT_EVENTS("SS STATE LAST_ACK; RC STATE TIME_WAIT;");
    w_end();
}

static void syn_sent_again_does_not_tell_a_queued_close(void)
{
    w_begin(true);
    w_monitor(MOS_ON_TCP_STATE_CHANGE);
    OUT(.flags = TCP_SYN);
    IN(.flags = TCP_SYN, .to = {MOS_TCPS_SYN_RCVD});
    w_state(MOS_TCPS_FIN_WAIT_1);
    w.text_len = 0;
    OUT(.flags = TCP_SYN | TCP_ACK, .rexmit = true);
    EXPECT_EVENTS("RS STATE ESTABLISHED;");
    OUT(.flags = TCP_FIN | TCP_ACK);
    EXPECT_EVENTS("SC STATE FIN_WAIT_1; RS STATE CLOSE_WAIT;");
    w_end();
}

static void reset_in(void)
{
    begin_accepted(ALL);
    IN(.flags = TCP_ACK, .data = "abc");
    IN(.flags = TCP_RST, .off = 3, .to = {GONE});
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; "
                  "SC PKT_IN; SC STATE CLOSED; RS PKT_IN; RS STATE CLOSED;");
    w_die(HOOK_END_RST_IN);
    EXPECT_EVENTS("NS DATA; RC END 2; SC END 2; RS END 2; SS END 2;");
    w_end();
}

static void reset_out_by_abort(void)
{
    begin_accepted(ALL);
    OUT(.flags = TCP_RST | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE CLOSED;");
    w_state(MOS_TCPS_CLOSED);
    w_die(HOOK_END_RST_OUT);
    EXPECT_EVENTS("RC END 3; SC END 3; RS END 3; SS END 3;");
    w_end();
}

/* A reset that answers a forged segment has that segment's numbers: the peer will not take it. */
static void reset_that_the_peer_does_not_take(void)
{
    begin_accepted(ALL);
    OUT(.flags = TCP_RST, .off = 5000);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN;");
    w_end();
}

static void timeout_is_told_by_conn_end_alone(void)
{
    begin_accepted(ALL);
    int sock = w_active();
    w_state(MOS_TCPS_CLOSED);
    EXPECT_EVENTS("");
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_SVR), EST);
    w_die(HOOK_END_TIMEOUT);
    EXPECT_EVENTS("RC END 4; SC END 4; RS END 4; SS END 4;");
    w_end();
}

static void all_is_readable_at_the_end(int sock, int side, event_t ev)
{
    char buf[16];
    struct tcp_buf_info info;
    socklen_t len = sizeof(info);
    (void)side;
    if (ev != MOS_ON_CONN_END)
        return;
    struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    CU_ASSERT_PTR_EQUAL(x->uctx, &w);
    EXPECT_EQ(w_ppeek(sock, MOS_SIDE_SVR, buf, sizeof(buf), 0), 3);
    EXPECT_EQ(w_get(sock, MOS_INFO_SVRBUF, &info, &len), 0);
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_SVR), MOS_TCPS_CLOSED);
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_CLI), EST);
    errno = 0;
}

static void everything_is_readable_in_conn_end(void)
{
    begin_accepted(MOS_ON_CONN_END);
    IN(.flags = TCP_ACK, .data = "abc");
    mon_watch(w.m, w_active(), ENOTSOCK)->uctx = &w;
    w.in_callback = all_is_readable_at_the_end;
    w_die(HOOK_END_TIMEOUT);
    EXPECT_EVENTS("RC END 4; SC END 4; RS END 4; SS END 4;");
    w.in_callback = NULL;
    w_end();
}

static void half_open_that_times_out(void)
{
    w_begin(false);
    w_monitor(MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_END);
    IN(.flags = TCP_SYN);
    w.text_len = 0;
    w_die(HOOK_END_TIMEOUT);
    EXPECT_EVENTS("RC END 4; SC END 4; RS END 4; SS END 4;");
    w_end();
}

/* The endpoint should not, but a connection that dies inside a callback hurts nobody. */
static void die_now(int sock, int side, event_t ev)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    char b[4];
    (void)side;
    if (ev != MOS_ON_PKT_IN || !w.f.handle)
        return;
    w_die(HOOK_END_ABORT);
    EXPECT_EQ(w_get_int(sock, MOS_ENDPOINT_SOCK), -1);
    EXPECT_EQ(w_get_int(sock, MOS_SVROVERLAP), 0);
    EXPECT_EQ(w_set(sock, MOS_SVROVERLAP, 1), 0);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 10), 0);
    EXPECT_EQ(w_peek(sock, MOS_SIDE_SVR, b, 4), -1);
    struct wsock *s = w_sock(sock);
    EXPECT_EQ(s->ops->getpeername(s->arg, sock, (void *)&a, &len, 0), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_SND, NULL), 0);
}

static void a_connection_that_dies_inside_a_callback(void)
{
    begin_accepted(ALL);
    w.in_callback = die_now;
    IN(.flags = TCP_ACK | TCP_FIN, .data = "abc");
    w.in_callback = NULL;
    EXPECT_EVENTS("SC PKT_IN; RC END 5; SC END 5; RS END 5; SS END 5;");
    EXPECT_EQ(w.n_socks, 1);
    w_turn();
    CU_ASSERT(list_is_empty(&w.m->graves));
    EXPECT_EQ(w.f.n_detached, 0);
    w_end();
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static event_t drop_at;

static void drop(int sock, int side, event_t ev)
{
    struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    (void)side;
    if (ev == drop_at)
        w_say("(%d) ", w_setpkt(x->conn, MOS_DROP));
}

static void dropped_packet_moves_nothing(void)
{
    begin_accepted(ALL);
    drop_at = MOS_ON_PKT_IN;
    w.in_callback = drop;
    EXPECT_EQ(IN(.flags = TCP_FIN | TCP_ACK, .data = "abc"), HOOK_DROP);
    EXPECT_EVENTS("SC PKT_IN; (0)");
    EXPECT_EQ(OUT(.flags = TCP_FIN | TCP_ACK), HOOK_DROP);
    EXPECT_EVENTS("SS PKT_IN; (0)");
    w.in_callback = NULL;
    w_turn();
    EXPECT_EVENTS("");
    /* what was dropped was not seen */
    IN(.flags = TCP_FIN | TCP_ACK, .data = "abc", .to = {MOS_TCPS_CLOSE_WAIT});
    EXPECT_EVENTS("SC PKT_IN; SC STATE FIN_WAIT_1; RS PKT_IN; RS STATE CLOSE_WAIT;");
    w_end();
}

static void dropped_fin_leaves_the_close_pending(void)
{
    begin_accepted(MOS_ON_PKT_IN | MOS_ON_TCP_STATE_CHANGE);
    drop_at = MOS_ON_PKT_IN;
    w.in_callback = drop;
    w_state(MOS_TCPS_FIN_WAIT_1);
    EXPECT_EQ(OUT(.flags = TCP_FIN | TCP_ACK), HOOK_DROP);
    w.in_callback = NULL;
    EXPECT_EVENTS("SS PKT_IN; (0)");
    OUT(.flags = TCP_FIN | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; SS STATE FIN_WAIT_1; RC PKT_IN; RC STATE CLOSE_WAIT;");
    w_end();
}

static void dropped_first_syn_never_was(void)
{
    w_begin(false);
    w_monitor(ALL);
    drop_at = MOS_ON_PKT_IN;
    w.in_callback = drop;
    EXPECT_EQ(IN(.flags = TCP_SYN), HOOK_DROP);
    EXPECT_EVENTS("SC PKT_IN; (0)");
    CU_ASSERT_PTR_NULL(w.f.handle);
    EXPECT_EQ(w.n_socks, 1); /* the active one is gone */
    w.in_callback = NULL;
    w_turn();
    EXPECT_EVENTS("");
    EXPECT_EQ(w.f.n_detached, 0);
    w_end();
}

static void drop_elsewhere_is_refused(void)
{
    begin_accepted(ALL);
    drop_at = MOS_ON_TCP_STATE_CHANGE;
    w.in_callback = drop;
    EXPECT_EQ(IN(.flags = TCP_FIN | TCP_ACK, .to = {MOS_TCPS_CLOSE_WAIT}), HOOK_PASS);
    EXPECT_EVENTS("SC PKT_IN; SC STATE FIN_WAIT_1; (-1) RS PKT_IN; RS STATE CLOSE_WAIT; (-1)");
    drop_at = MOS_ON_CONN_END;
    w_die(HOOK_END_TIMEOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.text, "END 4; (-61) "));
    w.in_callback = NULL;
    w_end();
}

/* ---- several monitors ------------------------------------------------------------------------ */

static int socks_seen[8];
static unsigned n_socks_seen;

static void note_sock(int sock, int side, event_t ev)
{
    (void)side, (void)ev;
    if (n_socks_seen < 8)
        socks_seen[n_socks_seen++] = sock;
}

static void monitors_are_called_in_creation_order_both_ways(void)
{
    w_begin(false);
    int a = w_monitor(MOS_ON_PKT_IN), b = w_monitor(MOS_ON_PKT_IN);
    n_socks_seen = 0;
    w.in_callback = note_sock;
    IN(.flags = TCP_SYN);
    OUT(.flags = TCP_SYN | TCP_ACK);
    w.in_callback = NULL;
    EXPECT_EQ(n_socks_seen, 8);
    for (unsigned i = 0; i < 8; i++) {
        const struct watch *x = mon_watch(w.m, socks_seen[i], ENOTSOCK);
        EXPECT_EQ(x->passive->sock, i % 2 ? b : a);
    }
    w_end();
}

static void drop_by_one_of_two(int sock, int side, event_t ev)
{
    const struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    (void)side, (void)ev;
    if (x == x->conn->watches)
        EXPECT_EQ(w_setpkt(x->conn, MOS_DROP), 0);
}

static void all_are_asked_and_drop_wins(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w_monitor(MOS_ON_PKT_IN);
    w.in_callback = drop_by_one_of_two;
    EXPECT_EQ(IN(.flags = TCP_SYN), HOOK_DROP);
    EXPECT_EVENTS("SC PKT_IN; SC PKT_IN;");
    w.in_callback = NULL;
    EXPECT_EQ(w.n_socks, 2);
    w_end();
}

static void budget_of_ids_is_used_up(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_START);
    w_monitor(MOS_ON_CONN_START);
    w.max_socks = 3;
    IN(.flags = TCP_SYN);
    EXPECT_EVENTS("SC START SYN_SENT; RS START SYN_RCVD;");
    EXPECT_EQ(w.m->n_missed_conns, 1);
    w_die(HOOK_END_TIMEOUT);
    w.max_socks = 2;
    IN(.flags = TCP_SYN);
    EXPECT_EVENTS("");
    CU_ASSERT_PTR_NULL(w.f.handle);
    EXPECT_EQ(w.m->n_missed_conns, 3);
    EXPECT_EQ(w.n_warned, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.warned, "max_monitor_socks"));
    w_end();
    EXPECT_EQ(w.n_warned, 2);
    CU_ASSERT_STRING_EQUAL(w.warned, "3 times a connection was not monitored");
}

static void no_memory_misses_the_connection(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_START);
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(IN(.flags = TCP_SYN), HOOK_PASS);
    CU_ASSERT_PTR_NULL(w.f.handle);
    EXPECT_EQ(w.m->n_missed_conns, 1);
    EXPECT_EVENTS("");
    w_end();
}

/* Whatever it is that there is no memory for. */
static void memory_for_a_part_is_not_enough(void)
{
    size_t more = 0;
    for (bool is_enough = false; !is_enough; more += 64) {
        w_begin(false);
        w_monitor(MOS_ON_CONN_START | MOS_ON_CONN_END);
        mem_set_limit(w.mem, mem_in_use(w.mem) + more);
        EXPECT_EQ(IN(.flags = TCP_SYN), HOOK_PASS);
        is_enough = w.f.handle != NULL;
        EXPECT_EQ(w.m->n_missed_conns, !is_enough);
        if (is_enough)
            EXPECT_EVENTS("SC START SYN_SENT; RS START SYN_RCVD;");
        w_end();
    }
    CU_ASSERT(more > 1024);
}

static void unwanted_connection_costs_nothing(void)
{
    w_begin(false);
    size_t before = mem_in_use(w.mem);
    IN(.flags = TCP_SYN);
    CU_ASSERT_PTR_NULL(w.f.handle);
    EXPECT_EQ(mem_in_use(w.mem), before);
    w_monitor(MOS_ON_ORPHAN); /* wants nothing of connections */
    IN(.flags = TCP_SYN);
    CU_ASSERT_PTR_NULL(w.f.handle);
    w_end();
}

/* ---- what the endpoint need not tell --------------------------------------------------------- */

#define SEGS HOOK_SPARE_SEGS
#define DATA HOOK_SPARE_DATA

static void a_calm_connection_is_spared_what_nobody_wants(void)
{
    static const struct {
        uint64_t events;
        unsigned want;
    } row[] = {
        {MOS_ON_CONN_START | MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_END, SEGS | DATA},
        {MOS_ON_CONN_NEW_DATA, SEGS},
        {MOS_ON_PKT_IN, DATA},
        {MOS_ON_REXMIT, DATA},
        {MOS_ON_ERROR, 0},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        begin_accepted(row[i].events);
        EXPECT_EQ(w.f.spared, row[i].want);
        w_end();
        begin_connected(row[i].events);
        EXPECT_EQ(w.f.spared, row[i].want);
        w_end();
    }
}

static void handshakes_and_ends_are_not_spared(void)
{
    w_begin(true);
    w_monitor(MOS_ON_TCP_STATE_CHANGE);
    OUT(.flags = TCP_SYN);
    EXPECT_EQ(w.f.spared & SEGS, 0);
    IN(.flags = TCP_SYN | TCP_ACK, .to = {EST});
    EXPECT_EQ(w.f.spared & SEGS, 0); /* the server waits for the ACK */
    OUT(.flags = TCP_ACK);
    EXPECT_EQ(w.f.spared & SEGS, SEGS);
    w_state(MOS_TCPS_FIN_WAIT_1); /* a close whose FIN goes later */
    EXPECT_EQ(w.f.spared & SEGS, 0);
    OUT(.flags = TCP_FIN | TCP_ACK);
    EXPECT_EQ(w.f.spared & SEGS, 0);
    w_end();
}

static void asks_for_packets(int sock, int side, event_t ev)
{
    (void)side;
    if (ev == MOS_ON_CONN_NEW_DATA)
        EXPECT_EQ(w_register(sock, MOS_ON_REXMIT, MOS_HK_RCV, w_cb_rcv), 0);
    EXPECT_EQ(w.f.spared, 0);
}

static void what_a_callback_registers_is_not_spared_from_then_on(void)
{
    struct mon_sock s;
    struct cb_at at;
    begin_accepted(MOS_ON_CONN_NEW_DATA);
    w.in_callback = asks_for_packets;
    IN(.data = "hello");
    w_turn();
    w.in_callback = NULL;
    EXPECT_EQ(w.f.spared, 0);
    w_turn();
    EXPECT_EQ(w.f.spared & SEGS, 0);
    EXPECT_EQ(mon_sock_find(w.m, w_active(), &s), 0);
    EXPECT_EQ(cb_at_find(MOS_ON_REXMIT, MOS_HK_RCV, &at), 0);
    EXPECT_EQ(mon_sock_unregister(w.m, &s, &at), 0);
    w_turn();
    EXPECT_EQ(w.f.spared, SEGS);
    w_end();
}

/* What the one that stops wanted is spared, if no other wants it. */
static void who_stops_wants_nothing(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_NEW_DATA);
    w_monitor(MOS_ON_PKT_IN);
    w_accept();
    w_turn();
    EXPECT_EQ(w.f.spared, 0);
    const struct mon_conn *c = w.f.handle;
    int first = c->watches->sock, second = c->watches->next->sock;
    EXPECT_EQ(w_set(second, MOS_STOP_MON, MOS_SIDE_BOTH), 0);
    w_turn();
    w_turn();
    EXPECT_EQ(w.f.spared, SEGS);
    EXPECT_EQ(w_set(first, MOS_STOP_MON, MOS_SIDE_BOTH), 0);
    w_end();
}

TEST_SUITE(mos_order, TEST_CASE(who_stops_wants_nothing),
           TEST_CASE(a_calm_connection_is_spared_what_nobody_wants),
           TEST_CASE(handshakes_and_ends_are_not_spared),
           TEST_CASE(what_a_callback_registers_is_not_spared_from_then_on),
           TEST_CASE(server_handshake), TEST_CASE(client_handshake),
           TEST_CASE(verdict_step_sees_the_old_states_and_the_receiver_the_new_ones),
           TEST_CASE(retransmitted_syns), TEST_CASE(simultaneous_open),
           TEST_CASE(refused_connection), TEST_CASE(data_in), TEST_CASE(data_out),
           TEST_CASE(hole_and_its_filling), TEST_CASE(retransmission_of_bytes_long_gone),
           TEST_CASE(refused_copy_that_differs), TEST_CASE(refused_segment_moves_nothing),
           TEST_CASE(errors_come_between_sender_and_receiver),
           TEST_CASE(overrun_tells_new_data_first),
           TEST_CASE(overrun_is_no_error_for_who_has_peeked), TEST_CASE(overrun_of_what_was_sent),
           TEST_CASE(client_closes_first_and_server_half_closes),
           TEST_CASE(fin_and_its_ack_in_one_segment),
           TEST_CASE(server_closes_first_until_time_wait_is_over),
           TEST_CASE(several_transitions_of_one_packet), TEST_CASE(simultaneous_close),
           TEST_CASE(crossing_fins_before_ours_is_sent), TEST_CASE(close_waits_for_its_fin),
           TEST_CASE(second_close_waits_for_its_fin_too), TEST_CASE(fin_of_a_syn_is_not_taken),
           TEST_CASE(fin_of_a_syn_ack_is_taken), TEST_CASE(first_syn_that_was_sent_before),
           TEST_CASE(syn_sent_again_does_not_tell_a_queued_close), TEST_CASE(reset_in),
           TEST_CASE(reset_out_by_abort), TEST_CASE(reset_that_the_peer_does_not_take),
           TEST_CASE(timeout_is_told_by_conn_end_alone),
           TEST_CASE(everything_is_readable_in_conn_end), TEST_CASE(half_open_that_times_out),
           TEST_CASE(a_connection_that_dies_inside_a_callback),
           TEST_CASE(dropped_packet_moves_nothing), TEST_CASE(dropped_fin_leaves_the_close_pending),
           TEST_CASE(dropped_first_syn_never_was), TEST_CASE(drop_elsewhere_is_refused),
           TEST_CASE(monitors_are_called_in_creation_order_both_ways),
           TEST_CASE(all_are_asked_and_drop_wins), TEST_CASE(budget_of_ids_is_used_up),
           TEST_CASE(no_memory_misses_the_connection), TEST_CASE(memory_for_a_part_is_not_enough),
           TEST_CASE(unwanted_connection_costs_nothing));

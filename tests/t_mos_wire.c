/*
 * Connections between two other hosts (mos/wire.c): the events of MONITOR.md's traces as they are
 * of an endpoint's connection (t_mos_order.c), and what only an observer in between has to judge.
 *
 *     CLI(.flags = TCP_ACK, .data = "hello");      the client sends; offsets as in mos_world.h
 */
#include "mos/monitor.h"
#include "mos/passive.h"
#include "mos/wire.h"
#include "tests/mos_world.h"

#include <netinet/in.h>

#define ALL                                                                                        \
    (MOS_ON_PKT_IN | MOS_ON_CONN_START | MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR |                     \
     MOS_ON_TCP_STATE_CHANGE | MOS_ON_REXMIT | MOS_ON_CONN_END | MOS_ON_ORPHAN)
#define CALM (ALL & ~MOS_ON_PKT_IN)

#define CLI_ISN 0xfffffff0u
#define SVR_ISN 0xffffff00u

/* What the next segments have beside what struct wseg says. */
static struct {
    uint32_t cli_isn, svr_isn;
    uint16_t wnd;
    struct tcp_opts opt;
    uint16_t cli_port;
} next;

/* What the monitor reads of a side at each NEW_DATA. */
static char got[SIDES][4096];
static size_t n_got[SIDES];
static int64_t n_lost;

static void read_all(int sock, int side, event_t ev);

/* A monitor for the events, which reads what is new. */
static void begin(uint64_t events)
{
    w_begin(false);
    w.in_callback = read_all;
    memset(got, 0, sizeof(got));
    memset(n_got, 0, sizeof(n_got));
    n_lost = 0;
    w.wire = (struct hook_wire_conf){.forwards = true,
                                     .max_conns = 100,
                                     .max_buffer_bytes = 1 << 20,
                                     .tw_us = 60000000,
                                     .key = {1, 2}};
    memset(&next, 0, sizeof(next));
    next.cli_isn = CLI_ISN;
    next.svr_isn = SVR_ISN;
    next.wnd = 60000;
    next.cli_port = 40000;
    if (events)
        w_monitor(events);
}

static enum hook_verdict sends(int side, const struct wseg *x)
{
    struct packet p = {.kind = PACKET_TCP, .eth_type = 0x0800};
    bool from_cli = side == MOS_SIDE_CLI;
    tcp_seq_t mine = seq_make(from_cli ? next.cli_isn : next.svr_isn);
    tcp_seq_t other = seq_make(from_cli ? next.svr_isn : next.cli_isn);
    struct ip_addr cli = ip_addr_v4(be32_make(0x0a000002)), svr = ip_addr_v4(be32_make(0x0a000001));
    p.seg = (struct seg){
        .tuple = {from_cli ? svr : cli, from_cli ? cli : svr, from_cli ? 80 : next.cli_port,
                  from_cli ? next.cli_port : 80},
        .seq = seq_of_off(mine, x->flags & TCP_SYN ? -1 : x->off),
        .ack = x->flags & TCP_ACK ? seq_of_off(other, x->ack) : seq_make(0),
        .wnd = next.wnd,
        .flags = x->flags,
        .opt = next.opt,
        .payload = (const uint8_t *)x->data,
        .len = x->data ? (uint32_t)strlen(x->data) : 0,
    };
    p.src = p.seg.tuple.remote;
    p.dst = p.seg.tuple.local;
    struct hook_seg s = {.dir = HOOK_IN, .seg = &p.seg, .netif = !from_cli, .now_us = w.now};
    w.now += 10;
    return w.hooks->wire(w.m, &s, &p);
}

#define CLI(...) sends(MOS_SIDE_CLI, &(struct wseg){__VA_ARGS__})
#define SVR(...) sends(MOS_SIDE_SVR, &(struct wseg){__VA_ARGS__})

static void handshake(void)
{
    CLI(.flags = TCP_SYN);
    SVR(.flags = TCP_SYN | TCP_ACK);
    CLI(.flags = TCP_ACK);
    w_turn();
    w.text_len = 0;
}

static void begin_open(uint64_t events)
{
    begin(events);
    handshake();
}

static int active_sock(void)
{
    struct mon_passive *p = container_of(w.m->passives.next, struct mon_passive, node);
    return container_of(p->watches.next, struct watch, of_passive)->sock;
}

static uint32_t n_conns(void)
{
    return w.m->wire ? w.m->wire->n_conns : 0;
}

static void pass_time(uint64_t us)
{
    w.now += us;
    wire_timers(w.m, w.now);
}

static void read_all(int sock, int side, event_t ev)
{
    ssize_t n;
    if (ev != MOS_ON_CONN_NEW_DATA)
        return;
    for (;;) {
        n = w_peek(sock, side, got[side] + n_got[side], sizeof(got[side]) - n_got[side] - 1);
        if (n > 0) {
            n_got[side] += (size_t)n;
            continue;
        }
        if (n >= -1)
            break;
        n_lost -= n;
    }
}

static void begin_reading(void)
{
    begin(MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR);
    handshake();
}

/* ---- the reference traces -------------------------------------------------------------------- */

static void a_handshake(void)
{
    begin(ALL);
    CLI(.flags = TCP_SYN);
    EXPECT_EVENTS("SC PKT_IN; SC START SYN_SENT; SC STATE SYN_SENT; "
                  "RS PKT_IN; RS START SYN_RCVD; RS STATE SYN_RCVD;");
    SVR(.flags = TCP_SYN | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE ESTABLISHED;");
    CLI(.flags = TCP_ACK);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS STATE ESTABLISHED;");
    w_turn();
    EXPECT_EVENTS("");
    w_end();
}

static void retransmitted_syns(void)
{
    begin(ALL);
    CLI(.flags = TCP_SYN);
    w.text_len = 0;
    CLI(.flags = TCP_SYN);
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    SVR(.flags = TCP_SYN | TCP_ACK);
    w.text_len = 0;
    SVR(.flags = TCP_SYN | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; RC REXMIT; RC PKT_IN;");
    w_end();
}

static void simultaneous_open(void)
{
    begin(ALL);
    CLI(.flags = TCP_SYN);
    w.text_len = 0;
    SVR(.flags = TCP_SYN);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE SYN_RCVD;");
    CLI(.flags = TCP_SYN | TCP_ACK);
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN; RS STATE ESTABLISHED;");
    SVR(.flags = TCP_SYN | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; RC REXMIT; RC PKT_IN; RC STATE ESTABLISHED;");
    w_end();
}

static void refused_connection(void)
{
    begin(ALL);
    CLI(.flags = TCP_SYN);
    w.text_len = 0;
    SVR(.flags = TCP_RST | TCP_ACK, .ack = 5); /* answers nothing that was sent */
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN;");
    SVR(.flags = TCP_RST | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; SS STATE CLOSED; RC PKT_IN; RC STATE CLOSED; "
                  "RC END 2; SC END 2; RS END 2; SS END 2;");
    EXPECT_EQ(n_conns(), 0);
    w_end();
}

static void data(void)
{
    begin_open(ALL);
    CLI(.flags = TCP_ACK, .data = "hello");
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    CLI(.flags = TCP_ACK, .off = 5, .data = "world");
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    w_turn();
    EXPECT_EVENTS("");
    SVR(.flags = TCP_ACK, .ack = 10, .data = "hi");
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN;");
    SVR(.flags = TCP_ACK, .ack = 10, .data = "hi");
    EXPECT_EVENTS("SS PKT_IN; RC REXMIT; RC PKT_IN;");
    w_turn();
    EXPECT_EVENTS("NC DATA;");
    w_end();
}

static void hole_and_its_filling(void)
{
    begin_open(ALL);
    CLI(.flags = TCP_ACK, .off = 3, .data = "def");
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    CLI(.flags = TCP_ACK, .off = 3, .data = "def");
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    CLI(.flags = TCP_ACK, .data = "abc");
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; NS DATA;");
    w_end();
}

static void half_close(void)
{
    begin_open(ALL);
    CLI(.flags = TCP_FIN | TCP_ACK, .data = "bye");
    EXPECT_EVENTS("SC PKT_IN; SC STATE FIN_WAIT_1; RS PKT_IN; RS STATE CLOSE_WAIT;");
    SVR(.flags = TCP_ACK, .ack = 4);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE FIN_WAIT_2;");
    SVR(.flags = TCP_ACK, .data = "more", .ack = 4);
    w_turn();
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; NC DATA; NS DATA;");
    SVR(.flags = TCP_FIN | TCP_ACK, .off = 4, .ack = 4);
    EXPECT_EVENTS("SS PKT_IN; SS STATE LAST_ACK; RC PKT_IN; RC STATE TIME_WAIT;");
    CLI(.flags = TCP_ACK, .off = 4, .ack = 5);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS STATE CLOSED;");
    w_end();
}

static void both_are_closed(int sock, int side, event_t ev)
{
    (void)side;
    if (ev != MOS_ON_CONN_END)
        return;
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_CLI), MOS_TCPS_CLOSED);
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_SVR), MOS_TCPS_CLOSED);
}

/* TIME_WAIT is waited for: the difference to an endpoint, whose own side is all that counts. */
static void time_wait_lasts(void)
{
    begin_open(ALL);
    w.in_callback = both_are_closed;
    CLI(.flags = TCP_FIN | TCP_ACK);
    SVR(.flags = TCP_FIN | TCP_ACK, .ack = 1);
    CLI(.flags = TCP_ACK, .off = 1, .ack = 1);
    w_turn();
    w.text_len = 0;
    SVR(.flags = TCP_RST, .off = 1); /* RFC 1337 */
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN;");
    pass_time(59000000);
    EXPECT_EVENTS("");
    EXPECT_EQ(n_conns(), 1);
    pass_time(2000000);
    EXPECT_EVENTS("RC END 1; SC END 1; RS END 1; SS END 1;");
    EXPECT_EQ(n_conns(), 0);
    w_end();
}

static void fin_and_its_ack_in_one_segment(void)
{
    begin_open(MOS_ON_TCP_STATE_CHANGE);
    CLI(.flags = TCP_FIN | TCP_ACK);
    w.text_len = 0;
    SVR(.flags = TCP_FIN | TCP_ACK, .ack = 1);
    EXPECT_EVENTS("SS STATE LAST_ACK; RC STATE FIN_WAIT_2; RC STATE TIME_WAIT;");
    w_end();
}

static void simultaneous_close(void)
{
    begin_open(ALL);
    CLI(.flags = TCP_FIN | TCP_ACK);
    EXPECT_EVENTS("SC PKT_IN; SC STATE FIN_WAIT_1; RS PKT_IN; RS STATE CLOSE_WAIT;");
    SVR(.flags = TCP_FIN | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; SS STATE LAST_ACK; RC PKT_IN; RC STATE CLOSING;");
    CLI(.flags = TCP_ACK, .off = 1, .ack = 1);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS STATE CLOSED;");
    SVR(.flags = TCP_ACK, .off = 1, .ack = 1);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN; RC STATE TIME_WAIT;");
    w_end();
}

static void reset_of_an_open_connection(void)
{
    begin_open(ALL);
    CLI(.flags = TCP_ACK, .data = "abc");
    w.text_len = 0;
    CLI(.flags = TCP_RST | TCP_ACK, .off = 3);
    EXPECT_EVENTS("SC PKT_IN; SC STATE CLOSED; RS PKT_IN; RS STATE CLOSED; "
                  "NS DATA; RC END 2; SC END 2; RS END 2; SS END 2;");
    EXPECT_EQ(n_conns(), 0);
    w_end();
}

/* ---- what moves nothing ---------------------------------------------------------------------- */

static void resets_that_nobody_takes(void)
{
    begin_open(ALL);
    CLI(.flags = TCP_ACK, .data = "abcdef");
    SVR(.flags = TCP_ACK, .ack = 3);
    w_turn();
    w.text_len = 0;
    CLI(.flags = TCP_RST, .off = 2); /* before what was acknowledged */
    CLI(.flags = TCP_RST, .off = 7); /* in the window */
    SVR(.flags = TCP_RST, .off = 70000);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; SC PKT_IN; RS PKT_IN; SS PKT_IN; RC PKT_IN;");
    CLI(.flags = TCP_RST, .off = 4); /* it may not have got the rest */
    EXPECT_EVENTS("SC PKT_IN; SC STATE CLOSED; RS PKT_IN; RS STATE CLOSED; "
                  "RC END 2; SC END 2; RS END 2; SS END 2;");
    w_end();
}

static void segments_that_nobody_takes(void)
{
    begin_open(ALL);
    CLI(.flags = TCP_FIN | TCP_ACK, .off = 60001, .data = "x"); /* beyond the window */
    CLI(.flags = TCP_FIN, .data = "x");                         /* no ACK */
    CLI(.flags = TCP_FIN | TCP_ACK, .data = "x", .ack = 1);     /* of what was never sent */
    CLI(.flags = TCP_FIN | TCP_ACK, .data = "x", .ack = -60002);
    CLI(.flags = TCP_SYN | TCP_ACK, .data = "x");
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; SC PKT_IN; RS PKT_IN; SC PKT_IN; RS PKT_IN; "
                  "SC PKT_IN; RS PKT_IN; SC PKT_IN; RS REXMIT; RS PKT_IN;");
    CLI(.flags = TCP_FIN | TCP_ACK, .data = "y");
    EXPECT_EVENTS("SC PKT_IN; SC STATE FIN_WAIT_1; RS PKT_IN; RS STATE CLOSE_WAIT;");
    w_end();
}

/* Old is what comes before a timestamp that is known to have arrived: the receiver has echoed it.
 */
static void old_timestamps(void)
{
    begin(CALM);
    next.opt = (struct tcp_opts){.has_ts = true, .ts_val = 100, .ts_ecr = 100};
    handshake();
    next.opt.ts_val = 200;
    CLI(.flags = TCP_ACK, .data = "abc");
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    next.opt.ts_val = 150; /* it may have overtaken the one before */
    CLI(.flags = TCP_ACK, .off = 3, .data = "def");
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    next.opt = (struct tcp_opts){.has_ts = true, .ts_val = 300, .ts_ecr = 200};
    SVR(.flags = TCP_ACK, .ack = 6);
    next.opt.ts_val = 199;
    CLI(.flags = TCP_FIN | TCP_ACK, .off = 6, .data = "XYZ");
    w_turn();
    EXPECT_EVENTS("");
    next.opt.ts_val = 200;
    CLI(.flags = TCP_ACK, .off = 6, .data = "ghi");
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    next.opt.ts_ecr = 1000; /* never sent */
    SVR(.flags = TCP_ACK, .ack = 9);
    CLI(.flags = TCP_ACK, .off = 9, .data = "jkl");
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    w_end();
}

static void window_scaling_counts_from_the_handshake_on(void)
{
    begin(CALM);
    next.opt = (struct tcp_opts){.has_wscale = true, .wscale = 4};
    next.wnd = 10;
    handshake(); /* the server's 10 in the SYN-ACK are 10 */
    CLI(.flags = TCP_ACK, .data = "0123456789a");
    w_turn();
    EXPECT_EVENTS("NS ERROR 2; NS DATA;");
    EXPECT_EQ(n_got[MOS_SIDE_SVR], 10);
    SVR(.flags = TCP_ACK, .ack = 10); /* ... and 160 now */
    CLI(.flags = TCP_ACK, .off = 169, .data = "z");
    EXPECT_EVENTS("");
    CLI(.flags = TCP_ACK, .off = 170, .data = "z");
    EXPECT_EVENTS("NS ERROR 2;");
    w_end();
}

static void copies_that_differ(void)
{
    begin_open(CALM);
    CLI(.flags = TCP_ACK, .data = "abcdef");
    CLI(.flags = TCP_ACK, .off = 2, .data = "cX");
    EXPECT_EVENTS("RS REXMIT; NS ERROR 3;");
    w_end();
}

/* Nothing lies beyond a FIN, and a FIN does not lie before what was sent. */
static void contradicting_fins(void)
{
    begin_open(MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_NEW_DATA);
    CLI(.flags = TCP_ACK, .data = "abcdef");
    CLI(.flags = TCP_FIN | TCP_ACK, .off = 3); /* in the middle */
    EXPECT_EVENTS("");
    CLI(.flags = TCP_FIN | TCP_ACK, .off = 8, .data = "i"); /* out of order */
    EXPECT_EVENTS("SC STATE FIN_WAIT_1;");
    CLI(.flags = TCP_FIN | TCP_ACK, .off = 6, .data = "gh"); /* too early */
    w_turn();
    EXPECT_EVENTS("RS STATE CLOSE_WAIT; NS DATA;");
    CLI(.flags = TCP_ACK, .off = 9, .data = "beyond");
    w_turn();
    EXPECT_EVENTS("");
    w_end();
}

/* A receiver that goes on beyond a FIN has not taken it: what was thought to lie behind it is
 * missed, and what follows is read. */
static void fin_that_was_not_taken(void)
{
    begin_reading();
    CLI(.flags = TCP_FIN | TCP_ACK, .off = 3);
    CLI(.flags = TCP_ACK, .data = "abcdefgh");
    SVR(.flags = TCP_ACK, .ack = 8);
    w_turn();
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "abc");
    EXPECT_EQ(n_lost, 5);
    EXPECT_EQ(w_get_int(active_sock(), MOS_TCP_STATE_SVR), MOS_TCPS_CLOSE_WAIT);
    CLI(.flags = TCP_ACK, .off = 8, .data = "ij");
    w_turn();
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "abcij");
    w_end();
    begin(MOS_ON_CONN_NEW_DATA); /* as hosts that ignore it in a SYN-ACK */
    CLI(.flags = TCP_SYN);
    SVR(.flags = TCP_SYN | TCP_ACK | TCP_FIN);
    CLI(.flags = TCP_ACK);
    SVR(.flags = TCP_ACK, .data = "abc");
    CLI(.flags = TCP_ACK, .ack = 3);
    SVR(.flags = TCP_ACK, .off = 3, .data = "def");
    w_turn();
    EXPECT_EQ(n_lost, 3);
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_CLI], "def");
    w_end();
}

/* Data in a SYN (RFC 7413) counts as far as the server's answer takes it. */
static void data_in_the_syn(int acked, const char *then, const char *want)
{
    begin(MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR);
    CLI(.flags = TCP_SYN, .data = "abc");
    w_turn();
    EXPECT_EVENTS("");
    SVR(.flags = TCP_SYN | TCP_ACK, .ack = acked);
    CLI(.flags = TCP_ACK, .off = acked, .data = then);
    SVR(.flags = TCP_ACK, .ack = acked + (int)strlen(then));
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], want);
    EXPECT_EQ(n_lost, 0);
    w_end();
}

static void data_in_syns(void)
{
    data_in_the_syn(3, "def", "abcdef");
    data_in_the_syn(2, "cde", "abcde");
    data_in_the_syn(0, "abc", "abc");
    begin(MOS_ON_CONN_NEW_DATA); /* of a SYN that was not the one */
    CLI(.flags = TCP_SYN, .data = "abc");
    next.cli_isn = 5000;
    CLI(.flags = TCP_SYN);
    SVR(.flags = TCP_SYN | TCP_ACK);
    CLI(.flags = TCP_ACK, .data = "def");
    SVR(.flags = TCP_ACK, .ack = 3);
    w_turn();
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "def");
    w_end();
}

/* Which of two SYNs the server has taken, its answer tells. */
static void another_syn_before_the_answer(void)
{
    begin(CALM);
    CLI(.flags = TCP_SYN);
    next.cli_isn = 5000;
    CLI(.flags = TCP_SYN);
    w.text_len = 0;
    SVR(.flags = TCP_SYN | TCP_ACK);
    CLI(.flags = TCP_ACK);
    CLI(.flags = TCP_ACK, .data = "abc");
    w_turn();
    EXPECT_EVENTS("RC STATE ESTABLISHED; RS STATE ESTABLISHED; NS DATA;");
    CU_ASSERT_EQUAL(memcmp(got[MOS_SIDE_SVR], "abc", 3), 0);
    w_end();
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void overlaps(int policy, const char *want)
{
    begin(MOS_ON_CONN_NEW_DATA);
    struct mon_passive *p = container_of(w.m->passives.next, struct mon_passive, node);
    p->policy[MOS_SIDE_SVR] = policy;
    handshake();
    CLI(.flags = TCP_ACK, .off = 2, .data = "cdef");
    CLI(.flags = TCP_ACK, .off = 1, .data = "BCDEF");
    CLI(.flags = TCP_ACK, .data = "a");
    w_turn();
    CLI(.flags = TCP_ACK, .off = 1, .data = "xxxxx");
    w_turn();
    EXPECT_EQ(n_got[MOS_SIDE_SVR], 6);
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], want);
    w_end();
}

static void overlaps_by_policy(void)
{
    overlaps(MOS_OVERLAP_POLICY_FIRST, "aBcdef");
    overlaps(MOS_OVERLAP_POLICY_LAST, "aBCDEF");
}

/* A burst beyond what the ring is asked to hold comes in pieces, and nothing is missed. */
static void long_bursts(void)
{
    char chunk[1001];
    memset(chunk, 'x', sizeof(chunk) - 1);
    chunk[1000] = 0;
    begin(0);
    w.wire.max_buffer_bytes = 2048;
    w_monitor(MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR);
    handshake();
    for (int i = 0; i < 4; i++)
        CLI(.flags = TCP_ACK, .off = 1000 * i, .data = chunk);
    w_turn();
    EXPECT_EQ(n_got[MOS_SIDE_SVR], 4000);
    EXPECT_EVENTS("NS DATA; NS DATA; NS DATA;");
    w_end();
}

static void history_is_kept_and_unpeeked_bytes_are_missed(void)
{
    char buf[100];
    begin_open(MOS_ON_ERROR);
    int sock = active_sock();
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 4), 0);
    CLI(.flags = TCP_ACK, .data = "abcdef");
    w_turn();
    EXPECT_EQ(w_ppeek(sock, MOS_SIDE_SVR, buf, 100, 2), 4);
    SVR(.flags = TCP_ACK, .ack = 6, .data = "uvw");
    w_turn(); /* nothing is kept of this side */
    EXPECT_EVENTS("NC ERROR 1;");
    uint64_t missed = 0;
    socklen_t len = sizeof(missed);
    EXPECT_EQ(w_get(sock, MOS_MISSED_CLIBUF, &missed, &len), 0);
    EXPECT_EQ(missed, 3);
    w_end();
}

static void edges_of_an_emulated_side(void)
{
    struct tcp_buf_info info;
    socklen_t len = sizeof(info);
    begin_open(MOS_ON_ERROR);
    int sock = active_sock();
    CLI(.flags = TCP_ACK, .data = "abc");
    CLI(.flags = TCP_ACK, .off = 5, .data = "fg");
    EXPECT_EQ(w_get(sock, MOS_INFO_SVRBUF, &info, &len), 0);
    EXPECT_EQ(info.tcpbi_init_seq, CLI_ISN + 1);
    EXPECT_EQ(info.tcpbi_last_byte_read, CLI_ISN + 1 + 3);
    EXPECT_EQ(info.tcpbi_next_byte_expected, CLI_ISN + 1 + 3);
    EXPECT_EQ(info.tcpbi_last_byte_received, CLI_ISN + 1 + 7);
    EXPECT_EQ(w_get_int(sock, MOS_REAL_SIDE), -1);
    EXPECT_EQ(w_get_int(sock, MOS_ENDPOINT_SOCK), -1);
    w_end();
}

/* ---- what was not seen ----------------------------------------------------------------------- */

static void gaps_that_stay_are_missed(void)
{
    begin_reading();
    CLI(.flags = TCP_ACK, .data = "abc");
    CLI(.flags = TCP_ACK, .off = 5, .data = "fgh");
    CLI(.flags = TCP_ACK, .off = 10, .data = "k");
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    SVR(.flags = TCP_ACK, .ack = 11); /* the receiver has them all */
    w_turn();
    EXPECT_EVENTS("NS DATA; NS DATA;");
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "abcfghk");
    EXPECT_EQ(n_lost, 4);
    CLI(.flags = TCP_ACK, .off = 11, .data = "l");
    w_turn();
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "abcfghkl");
    w_end();
}

/* What was kept of before a gap goes with it: who has not peeked it hears. */
static void history_before_a_gap_is_missed(void)
{
    char buf[100];
    begin_open(MOS_ON_ERROR);
    int sock = active_sock();
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 1000), 0);
    CLI(.flags = TCP_ACK, .data = "abcdef");
    w_turn();
    EXPECT_EQ(w_peek(sock, MOS_SIDE_SVR, buf, 2), 2);
    CLI(.flags = TCP_ACK, .off = 8, .data = "ijk");
    SVR(.flags = TCP_ACK, .ack = 11);
    EXPECT_EVENTS("");
    w_turn();
    EXPECT_EVENTS("NS ERROR 1;");
    EXPECT_EQ(w_peek(sock, MOS_SIDE_SVR, buf, 100), -6);
    EXPECT_EQ(w_peek(sock, MOS_SIDE_SVR, buf, 100), 3);
    w_end();
}

/* Packets of one burst may have changed places: a gap is one when the turn is over. */
static void gaps_that_close_within_a_turn_are_none(void)
{
    begin_reading();
    w.m->wire->conf.forwards = false;
    SVR(.flags = TCP_ACK, .data = "12345");
    w_turn();
    w.text_len = 0;
    CLI(.flags = TCP_ACK, .off = 3, .data = "def");
    SVR(.flags = TCP_ACK, .off = 5, .ack = 6);
    CLI(.flags = TCP_ACK, .data = "abc");
    w_turn();
    EXPECT_EQ(n_lost, 0);
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "abcdef");
    w_end();
}

/* In a capture an ACK may be all that is left of what it acknowledges; in the wire it is a lie. */
static void bytes_known_by_their_acknowledgement(void)
{
    begin_reading();
    SVR(.flags = TCP_ACK, .ack = 100);
    w_turn();
    EXPECT_EVENTS("");
    w_end();
    begin_reading();
    w.m->wire->conf.forwards = false;
    SVR(.flags = TCP_ACK, .ack = 100);
    CLI(.flags = TCP_ACK, .off = 100, .data = "on");
    w_turn();
    EXPECT_EQ(n_lost, 100);
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "on");
    w_end();
}

static void fin_behind_a_gap(void)
{
    begin_open(CALM);
    CLI(.flags = TCP_FIN | TCP_ACK, .off = 3, .data = "def");
    w_turn();
    EXPECT_EVENTS("SC STATE FIN_WAIT_1;");
    SVR(.flags = TCP_FIN | TCP_ACK, .ack = 7);
    w_turn();
    EXPECT_EVENTS("SS STATE CLOSE_WAIT; SS STATE LAST_ACK; "
                  "RC STATE FIN_WAIT_2; RC STATE TIME_WAIT; NS DATA;");
    w_end();
}

static void capture_without_the_syn_ack(void)
{
    begin(MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_NEW_DATA);
    w.wire.forwards = false;
    CLI(.flags = TCP_SYN);
    CLI(.flags = TCP_ACK);
    w.text_len = 0;
    SVR(.flags = TCP_ACK, .data = "hello");
    CLI(.flags = TCP_ACK, .ack = 5, .data = "hi");
    w_turn();
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_CLI], "hello");
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "hi");
    EXPECT_EVENTS("NC DATA; NS DATA;");
    w_end();
}

static void middle_of_a_connection(void)
{
    begin(ALL);
    CLI(.flags = TCP_ACK, .data = "abc");
    SVR(.flags = TCP_SYN | TCP_ACK);
    CLI(.flags = TCP_RST);
    CLI(.flags = TCP_SYN | TCP_FIN);
    EXPECT_EVENTS("NB ORPHAN; NB ORPHAN; NB ORPHAN; NB ORPHAN;");
    EXPECT_EQ(n_conns(), 0);
    w_end();
}

static void not_tcp(void)
{
    begin(ALL);
    struct packet p = {.kind = PACKET_OTHER};
    struct hook_seg s = {.dir = HOOK_IN};
    EXPECT_EQ(w.hooks->wire(w.m, &s, &p), HOOK_PASS);
    EXPECT_EVENTS("NB ORPHAN;");
    w_end();
}

/* ---- life ------------------------------------------------------------------------------------ */

static void syn_takes_the_tuple_over(void)
{
    begin_open(CALM);
    CLI(.flags = TCP_SYN); /* not now */
    next.cli_isn += 100000;
    CLI(.flags = TCP_SYN);
    EXPECT_EVENTS("RS REXMIT;");
    next.cli_isn -= 100000;
    CLI(.flags = TCP_FIN | TCP_ACK);
    SVR(.flags = TCP_FIN | TCP_ACK, .ack = 1);
    CLI(.flags = TCP_ACK, .off = 1, .ack = 1);
    w_turn();
    w.text_len = 0;
    next.cli_isn += 100000;
    CLI(.flags = TCP_SYN);
    EXPECT_EVENTS("RC END 1; SC END 1; RS END 1; SS END 1; SC START SYN_SENT; SC STATE SYN_SENT; "
                  "RS START SYN_RCVD; RS STATE SYN_RCVD;");
    EXPECT_EQ(n_conns(), 1);
    w_end();
}

static void oldest_makes_room(void)
{
    begin(0);
    w.wire.max_conns = 2;
    w_monitor(MOS_ON_CONN_END);
    for (uint16_t port = 1; port <= 3; port++) {
        next.cli_port = port;
        CLI(.flags = TCP_SYN);
        if (port == 2) {
            next.cli_port = 1; /* the first is not the oldest any more */
            CLI(.flags = TCP_SYN);
        }
    }
    EXPECT_EVENTS("RC END 6; SC END 6; RS END 6; SS END 6;");
    EXPECT_EQ(n_conns(), 2);
    next.cli_port = 1;
    SVR(.flags = TCP_RST | TCP_ACK);
    EXPECT_EVENTS("RC END 2; SC END 2; RS END 2; SS END 2;");
    w_end();
}

/* What can't be recorded passes, and is told. */
static void no_memory_misses_the_connection(void)
{
    begin(ALL);
    CLI(.flags = TCP_RST); /* the table is there */
    w.text_len = 0;
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(CLI(.flags = TCP_SYN), HOOK_PASS);
    EXPECT_EVENTS("NB ORPHAN;");
    EXPECT_EQ(w.m->n_missed_conns, 1);
    EXPECT_EQ(w.n_warned, 1);
    w_end();
}

static void handshake_of(uint16_t port)
{
    next.cli_port = port;
    handshake();
}

/* However long it was silent; what is over goes first of all. */
static void flood_of_syns_takes_no_open_connections_place(void)
{
    begin(0);
    w.wire.max_conns = 4;
    w_monitor(MOS_ON_CONN_END | MOS_ON_CONN_NEW_DATA);
    handshake_of(1);
    handshake_of(2);
    CLI(.flags = TCP_FIN | TCP_ACK);
    SVR(.flags = TCP_FIN | TCP_ACK, .ack = 1);
    CLI(.flags = TCP_ACK, .off = 1, .ack = 1); /* TIME_WAIT */
    handshake_of(3);
    next.cli_port = 1000;
    CLI(.flags = TCP_SYN);
    EXPECT_EVENTS("");
    next.cli_port = 1001;
    CLI(.flags = TCP_SYN);
    EXPECT_EVENTS("RC END 6; SC END 6; RS END 6; SS END 6;");
    EXPECT_EQ(n_conns(), 4);
    next.cli_port = 2;
    CLI(.flags = TCP_ACK, .off = 1, .ack = 1);
    w_turn();
    for (next.cli_port = 1002; next.cli_port < 2000; next.cli_port++)
        CLI(.flags = TCP_SYN);
    w.text_len = 0;
    for (next.cli_port = 1; next.cli_port <= 3; next.cli_port += 2)
        CLI(.flags = TCP_ACK, .data = "still there");
    w_turn();
    EXPECT_EVENTS("NS DATA; NS DATA;");
    w_end();
}

static void silent_open_one_makes_room_for_open_ones(void)
{
    begin(0);
    w.wire.max_conns = 2;
    w_monitor(MOS_ON_CONN_END | MOS_ON_CONN_NEW_DATA);
    for (uint16_t port = 1; port <= 3; port++) {
        next.cli_port = port;
        CLI(.flags = TCP_SYN);
        SVR(.flags = TCP_SYN | TCP_ACK);
        CLI(.flags = TCP_ACK, .data = "a");
        w_turn();
    }
    EXPECT_EVENTS("NS DATA; NS DATA; RC END 6; SC END 6; RS END 6; SS END 6; NS DATA;");
    w_end();
}

/* A SYN that no monitor wants takes nobody's place. */
static void unwanted_syn_makes_no_room(void)
{
    char text[] = "src port 1 or src port 2";
    union monitor_filter ft = {.stream_syn_filter = text};
    begin(0);
    w.wire.max_conns = 2;
    int sock = w_monitor(MOS_ON_CONN_END);
    EXPECT_EQ(passive_bind(mon_passive(w.m, sock, ENOTSOCK), &ft), 0);
    for (next.cli_port = 1; next.cli_port <= 3; next.cli_port++)
        CLI(.flags = TCP_SYN);
    EXPECT_EVENTS("");
    EXPECT_EQ(n_conns(), 2);
    w_end();
}

/* Connections from a host and port to itself, which anyone can claim: they do not gather in one
 * bucket. */
static void tuples_of_one_host_spread(void)
{
    unsigned n_used = 0;
    begin(CALM);
    for (uint16_t port = 1; port <= 60; port++) {
        struct ip_addr host = ip_addr_v4(be32_make(0x0a000001));
        struct packet p = {.kind = PACKET_TCP, .eth_type = 0x0800, .src = host, .dst = host};
        p.seg = (struct seg){.tuple = {host, host, port, port}, .flags = TCP_SYN};
        struct hook_seg s = {.dir = HOOK_IN, .seg = &p.seg, .now_us = w.now};
        EXPECT_EQ(w.hooks->wire(w.m, &s, &p), HOOK_PASS);
        w.text_len = 0;
    }
    for (uint32_t i = 0; i <= w.m->wire->mask; i++)
        n_used += w.m->wire->buckets[i] != NULL;
    CU_ASSERT_TRUE(n_used > n_conns() / 2);
    CU_ASSERT_TRUE(n_conns() > 40);
    w_end();
}

static void silence(void)
{
    begin(0);
    w.wire.idle_us = 1000000;
    w_monitor(MOS_ON_CONN_END);
    handshake();
    pass_time(900000);
    CLI(.flags = TCP_ACK, .data = "a");
    pass_time(900000);
    EXPECT_EVENTS("");
    CU_ASSERT_TRUE(wire_next_us(w.m) <= w.now + 200000);
    pass_time(200000);
    EXPECT_EVENTS("RC END 4; SC END 4; RS END 4; SS END 4;");
    EXPECT_EQ(n_conns(), 0);
    w_end();
}

/* Without an id or memory for a monitor there is no record either. */
static void no_room_for_a_monitor(void)
{
    begin(ALL);
    w.max_socks = 1;
    EXPECT_EQ(CLI(.flags = TCP_SYN), HOOK_PASS);
    EXPECT_EVENTS("NB ORPHAN;");
    EXPECT_EQ(n_conns(), 0);
    EXPECT_EQ(w.m->n_missed_conns, 1);
    w.max_socks = W_SOCKS;
    next.cli_port++;
    CLI(.flags = TCP_SYN);
    EXPECT_EQ(n_conns(), 1);
    w_end();
}

static void names_of_both_hosts(void)
{
    struct sockaddr_in a[2];
    socklen_t len = sizeof(a);
    begin_open(MOS_ON_CONN_END);
    int sock = active_sock();
    const struct wsock *s = w_sock(sock);
    EXPECT_EQ(s->ops->getpeername(s->arg, sock, (void *)a, &len, MOS_SIDE_BOTH), 0);
    EXPECT_EQ(len, sizeof(a));
    EXPECT_EQ(ntohl(a[MOS_SIDE_CLI].sin_addr.s_addr), 0x0a000002);
    EXPECT_EQ(ntohs(a[MOS_SIDE_CLI].sin_port), 40000);
    EXPECT_EQ(ntohl(a[MOS_SIDE_SVR].sin_addr.s_addr), 0x0a000001);
    EXPECT_EQ(ntohs(a[MOS_SIDE_SVR].sin_port), 80);
    w_end();
}

/* From before the first byte on, as a keepalive probe with a byte, or who tries what happens. */
static void bytes_before_the_first(void)
{
    begin_reading();
    CLI(.flags = TCP_ACK, .off = -1, .data = "?abc");
    w_turn();
    CU_ASSERT_STRING_EQUAL(got[MOS_SIDE_SVR], "abc");
    w_end();
}

static void unanswered_syn(void)
{
    begin(MOS_ON_CONN_END);
    CLI(.flags = TCP_SYN);
    pass_time(120000000);
    EXPECT_EVENTS("");
    pass_time(11000000);
    EXPECT_EVENTS("RC END 4; SC END 4; RS END 4; SS END 4;");
    w_end();
    begin_open(MOS_ON_CONN_END);
    pass_time(UINT64_C(1000000000000)); /* an open one may be silent for ever */
    EXPECT_EVENTS("");
    w_end();
}

static void drop(int sock, int side, event_t ev)
{
    struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    if (ev == MOS_ON_PKT_IN && x && w.m->now->verdict)
        EXPECT_EQ(lastpkt_set(w.m, x->conn, NULL, &(struct edit){.option = MOS_DROP}), 0);
    (void)side;
}

static void dropped_first_syn_was_none(void)
{
    begin(ALL);
    w.in_callback = drop;
    EXPECT_EQ(CLI(.flags = TCP_SYN), HOOK_DROP);
    EXPECT_EVENTS("SC PKT_IN;");
    EXPECT_EQ(n_conns(), 0);
    w_end();
}

static void dropped_segment_was_never_sent(void)
{
    begin_open(ALL);
    w.in_callback = drop;
    EXPECT_EQ(CLI(.flags = TCP_FIN | TCP_ACK, .data = "abc"), HOOK_DROP);
    w.in_callback = read_all;
    w_turn();
    EXPECT_EVENTS("SC PKT_IN;");
    EXPECT_EQ(CLI(.flags = TCP_ACK, .data = "ABC"), HOOK_PASS);
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; NS DATA;");
    w_end();
}

static void connection_of_no_interest(void)
{
    begin(MOS_ON_ORPHAN);
    CLI(.flags = TCP_SYN);
    SVR(.flags = TCP_SYN | TCP_ACK);
    EXPECT_EVENTS("NB ORPHAN; NB ORPHAN;");
    EXPECT_EQ(n_conns(), 0);
    w_end();
}

static void stopped_monitor_leaves_no_record(void)
{
    begin_open(ALL);
    EXPECT_EQ(w_set(active_sock(), MOS_STOP_MON, MOS_SIDE_BOTH), 0);
    w_turn();
    EXPECT_EQ(n_conns(), 0);
    CLI(.flags = TCP_ACK, .data = "abc");
    EXPECT_EVENTS("NB ORPHAN;");
    w_end();
}

/* The end of the context. */
static void connections_that_are_left(void)
{
    begin_open(CALM);
    CLI(.flags = TCP_ACK, .data = "abc");
    wire_fini(w.m);
    EXPECT_EVENTS("NS DATA; RC END 5; SC END 5; RS END 5; SS END 5;");
    w_end();
}

/* Nothing grows with the connections that were. */
static void memory_is_flat(void)
{
    size_t most = 0;
    begin(MOS_ON_CONN_NEW_DATA | MOS_ON_CONN_END);
    w.wire.max_conns = 50; /* of the world's ids */
    for (unsigned i = 0; i < 20000; i++) {
        next.cli_port = (uint16_t)(1000 + i % 50000);
        handshake();
        CLI(.flags = TCP_ACK, .off = 5, .data = "a request");
        CLI(.flags = TCP_FIN | TCP_ACK, .data = "hello");
        w_turn();
        SVR(.flags = TCP_FIN | TCP_ACK, .ack = 6, .data = "an answer");
        CLI(.flags = TCP_ACK, .off = 6, .ack = 10);
        w.text_len = 0;
        w_turn();
        if (i == 200)
            most = mem_in_use(w.mem);
    }
    EXPECT_EQ(n_conns(), 50);
    CU_ASSERT_TRUE(mem_in_use(w.mem) <= most);
    w_end();
}

TEST_SUITE(mos_wire, TEST_CASE(a_handshake), TEST_CASE(retransmitted_syns),
           TEST_CASE(simultaneous_open), TEST_CASE(refused_connection), TEST_CASE(data),
           TEST_CASE(hole_and_its_filling), TEST_CASE(half_close), TEST_CASE(time_wait_lasts),
           TEST_CASE(fin_and_its_ack_in_one_segment), TEST_CASE(simultaneous_close),
           TEST_CASE(reset_of_an_open_connection), TEST_CASE(resets_that_nobody_takes),
           TEST_CASE(segments_that_nobody_takes), TEST_CASE(old_timestamps),
           TEST_CASE(window_scaling_counts_from_the_handshake_on), TEST_CASE(copies_that_differ),
           TEST_CASE(contradicting_fins), TEST_CASE(fin_that_was_not_taken),
           TEST_CASE(data_in_syns), TEST_CASE(another_syn_before_the_answer),
           TEST_CASE(overlaps_by_policy), TEST_CASE(long_bursts),
           TEST_CASE(history_is_kept_and_unpeeked_bytes_are_missed),
           TEST_CASE(edges_of_an_emulated_side), TEST_CASE(gaps_that_stay_are_missed),
           TEST_CASE(history_before_a_gap_is_missed),
           TEST_CASE(gaps_that_close_within_a_turn_are_none),
           TEST_CASE(bytes_known_by_their_acknowledgement), TEST_CASE(fin_behind_a_gap),
           TEST_CASE(capture_without_the_syn_ack), TEST_CASE(middle_of_a_connection),
           TEST_CASE(not_tcp), TEST_CASE(syn_takes_the_tuple_over), TEST_CASE(oldest_makes_room),
           TEST_CASE(no_memory_misses_the_connection),
           TEST_CASE(flood_of_syns_takes_no_open_connections_place),
           TEST_CASE(silent_open_one_makes_room_for_open_ones),
           TEST_CASE(unwanted_syn_makes_no_room), TEST_CASE(tuples_of_one_host_spread),
           TEST_CASE(silence), TEST_CASE(unanswered_syn), TEST_CASE(no_room_for_a_monitor),
           TEST_CASE(names_of_both_hosts), TEST_CASE(bytes_before_the_first),
           TEST_CASE(dropped_first_syn_was_none), TEST_CASE(dropped_segment_was_never_sent),
           TEST_CASE(connection_of_no_interest), TEST_CASE(stopped_monitor_leaves_no_record),
           TEST_CASE(connections_that_are_left), TEST_CASE(memory_is_flat));

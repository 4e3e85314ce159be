/* Registering, sharing and changing callbacks, also inside callbacks; sockets and their ids. */
#include "tests/mos_world.h"

static int sock, passive;

static void begin(uint64_t events)
{
    w_begin(false);
    passive = w_monitor(events);
    w_accept();
    sock = w_active();
    w.text_len = 0;
}

static void in(const char *data)
{
    IN(.flags = TCP_ACK, .data = data);
}

static void pairs_that_can_fire(void)
{
    const struct {
        event_t ev;
        bool snd, rcv, null;
    } rows[] = {
        {MOS_ON_PKT_IN, true, true, false},
        {MOS_ON_PKT_OUT, false, false, false},
        {MOS_ON_CONN_START, true, true, false},
        {MOS_ON_CONN_SETUP, false, false, false},
        {MOS_ON_CONN_NEW_DATA, false, false, true},
        {MOS_ON_ERROR, false, false, true},
        {MOS_ON_TIMEOUT, false, false, false},
        {MOS_ON_TCP_STATE_CHANGE, true, true, false},
        {MOS_ON_ORPHAN, false, false, true},
        {MOS_ON_REXMIT, false, true, false},
        {MOS_ON_CONN_END, true, true, false},
        {MOS_ON_DEBUG_MESSAGE, false, false, false},
        {MOS_NULL_EVENT, false, false, false},
        {MOS_ON_PKT_IN | MOS_ON_CONN_END, false, false, false},
        {1ull << 40, false, false, false},
    };
    begin(0);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EXPECT_EQ(w_register(passive, rows[i].ev, MOS_HK_SND, w_cb_snd), rows[i].snd ? 0 : -EINVAL);
        EXPECT_EQ(w_register(passive, rows[i].ev, MOS_HK_RCV, w_cb_rcv), rows[i].rcv ? 0 : -EINVAL);
        EXPECT_EQ(w_register(passive, rows[i].ev, MOS_NULL, w_cb_null), rows[i].null ? 0 : -EINVAL);
        EXPECT_EQ(w_register(passive, rows[i].ev, 0, w_cb_null), -EINVAL);
        EXPECT_EQ(w_register(passive, rows[i].ev, MOS_NULL | MOS_HK_RCV, w_cb_null), -EINVAL);
    }
    w_end();
}

static void an_active_socket_has_no_orphans(void)
{
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(sock, MOS_ON_ORPHAN, MOS_NULL, w_cb_null), -EINVAL);
    EXPECT_EQ(w_unregister(sock, MOS_ON_ORPHAN, MOS_NULL), -EINVAL);
    EXPECT_EQ(w_register(sock, MOS_ON_CONN_END, MOS_HK_RCV, w_cb_rcv), 0);
    w_end();
}

static void sockets_that_are_none_of_ours(void)
{
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(3, MOS_ON_PKT_IN, MOS_HK_SND, w_cb_snd), -ENOTSOCK);
    EXPECT_EQ(w_register(-1, MOS_ON_PKT_IN, MOS_HK_SND, w_cb_snd), -EBADF);
    CU_ASSERT_PTR_NULL(mon_passive(w.m, sock, ENOTSOCK));
    EXPECT_EQ(errno, ENOTSOCK);
    CU_ASSERT_PTR_NULL(mon_passive(w.m, 77, ENOTSOCK));
    EXPECT_EQ(errno, EBADF);
    CU_ASSERT_PTR_NULL(mon_watch(w.m, passive, ENOTSOCK));
    EXPECT_EQ(errno, ENOTSOCK);
    w_end();
}

static void unregistering(void)
{
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(w_unregister(passive, MOS_ON_REXMIT, MOS_HK_RCV), -ENOENT);
    EXPECT_EQ(w_unregister(passive, MOS_ON_REXMIT, MOS_HK_SND), -EINVAL);
    EXPECT_EQ(w_unregister(sock, MOS_ON_PKT_IN, MOS_HK_SND), 0);
    EXPECT_EQ(w_unregister(sock, MOS_ON_PKT_IN, MOS_HK_SND), -ENOENT);
    in("a");
    EXPECT_EVENTS("RS PKT_IN;");
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, NULL), 0); /* deregisters */
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, NULL), 0);
    in("a");
    EXPECT_EVENTS("");
    w_end();
}

static void another(mctx_t ctx, int s, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)s, (void)side, (void)ev, (void)arg;
    w_say("another; ");
}

static void replacing(void)
{
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_SND, another), 0);
    in("a");
    EXPECT_EVENTS("another; RS PKT_IN;");
    w_end();
}

static void a_passive_change_is_for_later_connections(void)
{
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(passive, MOS_ON_PKT_IN, MOS_HK_SND, another), 0);
    in("a");
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    w_die(HOOK_END_FIN);
    IN(.flags = TCP_SYN);
    EXPECT_EVENTS("another; RS PKT_IN;");
    w_end();
}

static unsigned n_sets(void)
{
    return w.m->sets.n;
}

static void sets_are_shared_private_and_shared_again(void)
{
    begin(MOS_ON_PKT_IN);
    struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    CU_ASSERT_PTR_EQUAL(x->set, x->passive->set);
    EXPECT_EQ(n_sets(), 1);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_SND, another), 0);
    CU_ASSERT_PTR_NOT_EQUAL(x->set, x->passive->set);
    EXPECT_EQ(n_sets(), 2);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_SND, w_cb_snd), 0);
    CU_ASSERT_PTR_EQUAL(x->set, x->passive->set);
    EXPECT_EQ(n_sets(), 1);
    w_end();
}

static void two_sockets_with_equal_callbacks_share(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN | MOS_ON_CONN_END);
    w_monitor(MOS_ON_PKT_IN | MOS_ON_CONN_END);
    EXPECT_EQ(n_sets(), 1);
    w_end();
}

static void no_memory_changes_nothing(void)
{
    begin(MOS_ON_PKT_IN);
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_SND, another), -ENOMEM);
    mem_set_limit(w.mem, 0);
    in("a");
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    w_end();
}

/* ---- inside callbacks ------------------------------------------------------------------------ */

static void register_in_start(int s, int side, event_t ev)
{
    (void)side;
    if (ev != MOS_ON_CONN_START)
        return;
    EXPECT_EQ(w_register(s, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, w_cb_snd), 0);
    EXPECT_EQ(w_register(s, MOS_ON_CONN_START, MOS_HK_RCV, NULL), 0);
}

static void changes_hold_from_the_next_event_on(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_START);
    w.in_callback = register_in_start;
    IN(.flags = TCP_SYN);
    EXPECT_EVENTS("SC START SYN_SENT; SC STATE SYN_SENT;");
    w.in_callback = NULL;
    w_end();
}

/* The first monitor takes the second one's callback away while both are told the same event. */
static void disarm_the_other(int s, int side, event_t ev)
{
    const struct watch *x = mon_watch(w.m, s, ENOTSOCK);
    (void)side;
    if (ev == MOS_ON_PKT_IN && x == x->conn->watches)
        EXPECT_EQ(w_register(x->next->sock, MOS_ON_PKT_IN, MOS_HK_SND, NULL), 0);
}

static void running_event_is_delivered_as_it_began(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w_monitor(MOS_ON_PKT_IN);
    w_accept();
    w.text_len = 0;
    w.in_callback = disarm_the_other;
    in("a");
    EXPECT_EVENTS("SC PKT_IN; SC PKT_IN; RS PKT_IN; RS PKT_IN;");
    in("a");
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN; RS PKT_IN;");
    w.in_callback = NULL;
    w_end();
}

static void change_often(int s, int side, event_t ev)
{
    (void)side;
    if (ev != MOS_ON_PKT_IN)
        return;
    EXPECT_EQ(w_unregister(s, MOS_ON_PKT_IN, MOS_HK_SND), 0);
    EXPECT_EQ(w_unregister(s, MOS_ON_PKT_IN, MOS_HK_SND), -ENOENT); /* of what will be */
    EXPECT_EQ(w_register(s, MOS_ON_PKT_IN, MOS_HK_SND, w_cb_snd), 0);
    EXPECT_EQ(w_register(s, MOS_ON_REXMIT, MOS_HK_RCV, w_cb_rcv), 0);
}

static void many_changes_in_one_callback(void)
{
    begin(MOS_ON_PKT_IN);
    w.in_callback = change_often;
    in("a");
    w.in_callback = NULL;
    w.text_len = 0;
    in("a");
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    w_end();
}

/* Each socket has what was asked for it, in any order. */
static void change_two_sockets(int s, int side, event_t ev)
{
    (void)side, (void)ev;
    w.in_callback = NULL; /* once */
    EXPECT_EQ(w_unregister(s, MOS_ON_PKT_IN, MOS_HK_SND), 0);
    EXPECT_EQ(w_register(passive, MOS_ON_REXMIT, MOS_HK_RCV, w_cb_rcv), 0);
    EXPECT_EQ(w_register(s, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, w_cb_snd), 0);
}

static void changes_of_two_sockets_in_one_callback(void)
{
    begin(MOS_ON_PKT_IN);
    w.in_callback = change_two_sockets;
    in("a");
    w.text_len = 0;
    IN(.flags = TCP_FIN | TCP_ACK, .off = 1);
    EXPECT_EVENTS("SC STATE FIN_WAIT_1; RS PKT_IN;");
    w_die(HOOK_END_RST_IN);
    IN(.flags = TCP_SYN);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    IN(.flags = TCP_SYN, .refused = true);
    EXPECT_EVENTS("SC PKT_IN; RS REXMIT; RS PKT_IN;");
    w_end();
}

static void change_without_memory(int s, int side, event_t ev)
{
    (void)side, (void)ev;
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(w_register(s, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, w_cb_snd), -ENOMEM);
    mem_set_limit(w.mem, 0);
}

static void a_change_in_a_callback_without_memory(void)
{
    begin(MOS_ON_PKT_IN);
    w.in_callback = change_without_memory;
    in("a");
    w.in_callback = NULL;
    w.text_len = 0;
    IN(.flags = TCP_FIN | TCP_ACK, .off = 1);
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    w_end();
}

static void close_passive_in_callback(int s, int side, event_t ev)
{
    (void)side, (void)ev;
    EXPECT_EQ(w_close(passive), 0);
    CU_ASSERT_PTR_NULL(w_sock(passive));
    EXPECT_EQ(w_get_int(s, MOS_TCP_STATE_CLI), MOS_TCPS_ESTABLISHED);
}

static void a_monitor_ends_itself_in_a_callback(void)
{
    begin(MOS_ON_PKT_IN);
    w.in_callback = close_passive_in_callback;
    in("a");
    w.in_callback = NULL;
    EXPECT_EVENTS("SC PKT_IN;");
    EXPECT_EQ(w.n_socks, 0);
    w_turn();
    EXPECT_EQ(w.f.n_detached, 1);
    w_end();
}

static void close_and_change(int s, int side, event_t ev)
{
    (void)side, (void)ev;
    EXPECT_EQ(w_register(s, MOS_ON_PKT_IN, MOS_HK_RCV, another), 0);
    EXPECT_EQ(w_close(s), 0);
    EXPECT_EQ(w_register(s, MOS_ON_CONN_END, MOS_HK_RCV, another), 0);
    EXPECT_EQ(w_close(s), 0); /* twice is once */
    if (w_sock(passive))
        EXPECT_EQ(w_close(passive), 0);
}

static void changes_of_what_ends(void)
{
    begin(MOS_ON_PKT_IN);
    w.in_callback = close_and_change;
    in("a");
    w.in_callback = NULL;
    EXPECT_EQ(w.n_socks, 0);
    EXPECT_EQ(n_sets(), 0);
    w_end();
}

/* The first monitor closes the second. */
static void close_the_other(int s, int side, event_t ev)
{
    const struct watch *x = mon_watch(w.m, s, ENOTSOCK);
    (void)side, (void)ev;
    if (x == x->conn->watches && x->next)
        EXPECT_EQ(w_close(x->next->passive->sock), 0);
}

static void a_monitor_that_another_one_ends_is_not_called(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w_monitor(MOS_ON_PKT_IN);
    w_accept();
    w.text_len = 0;
    EXPECT_EQ(w.n_socks, 4);
    w.in_callback = close_the_other;
    in("a");
    w.in_callback = NULL;
    EXPECT_EVENTS("SC PKT_IN; RS PKT_IN;");
    EXPECT_EQ(w.n_socks, 2);
    w_turn();
    EXPECT_EQ(w.f.n_detached, 0);
    w_end();
}

static void clobber_errno(int s, int side, event_t ev)
{
    (void)s, (void)side, (void)ev;
    EXPECT_EQ(w.user_depth, 1);
    errno = 99;
}

static void callbacks_are_bracketed_and_do_not_change_errno(void)
{
    begin(MOS_ON_PKT_IN);
    w.in_callback = clobber_errno;
    errno = 11;
    in("a");
    EXPECT_EQ(errno, 11);
    w.in_callback = NULL;
    EXPECT_EQ(w.user_depth, 0);
    w_end();
}

/* A callback that writes makes the endpoint tell an overrun inside it. */
static void overrun_inside(int s, int side, event_t ev)
{
    struct pkt_info p;
    (void)s, (void)side;
    if (ev != MOS_ON_PKT_IN || w.user_depth != 1)
        return;
    w.hooks->error(w.m, w.f.handle, HOOK_OVERRUN, false, 0, 3);
    EXPECT_EQ(lastpkt_get(w.m, w.f.handle, NULL, &p), 0); /* the outer one goes on */
}

static void events_inside_events(void)
{
    begin(MOS_ON_PKT_IN | MOS_ON_ERROR);
    w_write("abc");
    OUT(.flags = TCP_ACK, .data = "abc");
    w.text_len = 0;
    w.in_callback = overrun_inside;
    in("a");
    w.in_callback = NULL;
    EXPECT_EVENTS("SC PKT_IN; NC ERROR 1; RS PKT_IN; NC ERROR 1;");
    EXPECT_EQ(w.max_user_depth, 2);
    w_end();
}

/* ---- sockets --------------------------------------------------------------------------------- */

static void kinds_of_sockets(void)
{
    w_begin(false);
    errno = 0;
    EXPECT_EQ(hook_monitor.socket(w.m, AF_UNIX, MOS_SOCK_MONITOR_STREAM), -1);
    EXPECT_EQ(errno, EAFNOSUPPORT);
    EXPECT_EQ(hook_monitor.socket(w.m, AF_INET, MOS_SOCK_STREAM), -1);
    EXPECT_EQ(errno, EPROTONOSUPPORT);
    w.max_socks = 2;
    CU_ASSERT_TRUE(hook_monitor.socket(w.m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM) >= 0);
    CU_ASSERT_TRUE(hook_monitor.socket(w.m, AF_INET6, MOS_SOCK_MONITOR_STREAM) >= 0);
    EXPECT_EQ(hook_monitor.socket(w.m, AF_INET, MOS_SOCK_MONITOR_STREAM), -1);
    EXPECT_EQ(errno, EMFILE);
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(hook_monitor.socket(w.m, AF_INET, MOS_SOCK_MONITOR_STREAM), -1);
    EXPECT_EQ(errno, ENOMEM);
    w_end();
}

static void closing_a_passive_socket_ends_its_connections_silently(void)
{
    begin(MOS_ON_PKT_IN | MOS_ON_CONN_END);
    EXPECT_EQ(w_close(passive), 0);
    EXPECT_EQ(w.n_socks, 0);
    w_turn();
    EXPECT_EQ(w.f.n_detached, 1);
    EXPECT_EVENTS("");
    w_end();
}

static void monitor_ends_before_its_connections(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN | MOS_ON_CONN_END);
    w_accept();
    w.text_len = 0;
    hook_monitor.detach(w.m);
    EXPECT_EVENTS("");
    EXPECT_EQ(w.f.n_detached, 1);
    CU_ASSERT_PTR_NULL(w.f.handle);
    EXPECT_EQ(w.n_socks, 0);
    w.m = hook_monitor.attach(&w.ctx, &w_services, &w.hooks);
    w_end();
}

static void user_pointers(void)
{
    begin(MOS_ON_PKT_IN);
    struct mon_sock s;
    EXPECT_EQ(mon_sock_find(w.m, passive, &s), 0);
    s.passive->uctx = &w;
    EXPECT_EQ(mon_sock_find(w.m, sock, &s), 0);
    CU_ASSERT_PTR_NULL(s.watch->uctx); /* not inherited */
    EXPECT_EQ(s.watch->passive->sock, passive);
    w_end();
}

/* Whatever the socket before it was. */
static void an_active_socket_begins_anew(void)
{
    char b[4];
    begin(MOS_ON_PKT_IN);
    struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    x->uctx = &w;
    in("abc");
    EXPECT_EQ(w_peek(sock, MOS_SIDE_SVR, b, 2), 2);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 100), 0);
    EXPECT_EQ(w_set(sock, MOS_CLIBUF, 0), 0);
    EXPECT_EQ(w_set(sock, MOS_STOP_MON, MOS_SIDE_CLI), 0);
    w_die(HOOK_END_RST_IN);
    IN(.flags = TCP_SYN);
    const struct watch *next = mon_watch(w.m, w_active(), ENOTSOCK);
    CU_ASSERT_PTR_EQUAL_FATAL(next, x); /* the same record */
    CU_ASSERT_PTR_NULL(next->uctx);
    for (int side = 0; side < SIDES; side++) {
        EXPECT_EQ(next->peek[side] + next->missed[side] + next->hist[side], 0);
        CU_ASSERT(!next->no_peek[side] && !next->stopped[side]);
    }
    w_end();
}

/* ---- the packet of a callback ---------------------------------------------------------------- */

static struct pkt_info pkt;
static int pkt_rc;

static void look(int s, int side, event_t ev)
{
    const struct watch *x = mon_watch(w.m, s, ENOTSOCK);
    (void)side, (void)ev;
    memset(&pkt, 0xee, sizeof(pkt));
    pkt_rc = lastpkt_get(w.m, x->conn, NULL, &pkt);
}

/* Frames of the fake endpoint are "in pieces": they are put together. */
static void packet_is_put_together(void)
{
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, NULL), 0);
    w.in_callback = look;
    IN(.flags = TCP_ACK | TCP_PSH, .off = 7, .data = "hello", .ack = 1);
    EXPECT_EQ(pkt_rc, 0);
    EXPECT_EQ(pkt.offset, 7);
    EXPECT_EQ(pkt.payloadlen, 5);
    EXPECT_EQ(pkt.seq, 0xffffff01u + 7);
    EXPECT_EQ(pkt.ack_seq, 0xfffffff1u + 1);
    EXPECT_EQ(pkt.window, 1000);
    EXPECT_EQ(pkt.ip_len, 45);
    EXPECT_EQ(pkt.eth_len, 45);
    EXPECT_EQ(pkt.in_ifidx, 2);
    CU_ASSERT_PTR_NULL(pkt.ethh);
    w.in_callback = NULL;
    w_end();
}

/* What the first look showed is still there after the second. */
static void look_twice(int s, int side, event_t ev)
{
    look(s, side, ev);
    struct pkt_info first = pkt;
    look(s, side, ev);
    EXPECT_EQ(memcmp(first.payload, "hello", 5), 0);
    EXPECT_EQ(memcmp(&first, &pkt, sizeof(pkt)), 0);
    EXPECT_EQ((uintptr_t)pkt.tcph % 4, 0);
}

static void packet_is_put_together_once(void)
{
    begin(MOS_ON_PKT_IN);
    w.in_callback = look_twice;
    in("hello");
    w.in_callback = NULL;
    EXPECT_EQ(pkt_rc, 0);
    w_end();
}

static void check_headers(int s, int side, event_t ev)
{
    look(s, side, ev);
    EXPECT_EQ(pkt_rc, 0);
    EXPECT_EQ(ntohl(pkt.iph->saddr), 0x0a000001);
    EXPECT_EQ(ntohl(pkt.iph->daddr), 0x0a000002);
    EXPECT_EQ(ntohs(pkt.tcph->source), 80);
    EXPECT_EQ(memcmp(pkt.payload, "abc", 3), 0);
    EXPECT_EQ(pkt.in_ifidx, -1);
    CU_ASSERT_PTR_EQUAL(pkt.payload, (uint8_t *)pkt.tcph + 20);
}

static void packet_that_goes_out_has_its_bytes_in_the_send_stream(void)
{
    struct seg seg;
    struct hook_seg s;
    begin(MOS_ON_PKT_IN);
    w_write("abc");
    w_build(&seg, &s, HOOK_OUT, &(struct wseg){.flags = TCP_ACK, .data = "abc"});
    seg.payload = NULL;
    w.in_callback = check_headers;
    EXPECT_EQ(w.hooks->pkt(w.m, w.f.handle, &s), HOOK_PASS);
    w.in_callback = NULL;
    w_end();
}

static void no_packet_outside_packets(void)
{
    begin(MOS_ON_CONN_NEW_DATA | MOS_ON_CONN_END);
    w.in_callback = look;
    pkt_rc = 0;
    in("a");
    w_turn();
    EXPECT_EQ(pkt_rc, -ENODATA);
    pkt_rc = 0;
    w_die(HOOK_END_FIN);
    EXPECT_EQ(pkt_rc, -ENODATA);
    w.in_callback = NULL;
    w_end();
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(lastpkt_get(w.m, w.f.handle, NULL, &pkt), -ENODATA);
    EXPECT_EQ(w_setpkt(w.f.handle, MOS_DROP), -ENODATA);
    w_end();
}

/* An error has the packet that caused it; one of a buffer that goes back has none. */
static void packet_of_an_error(void)
{
    const struct wseg x = {.flags = TCP_ACK, .data = "abc"};
    struct seg seg;
    struct hook_seg s;
    begin(MOS_ON_ERROR);
    w.in_callback = look;
    w_build(&seg, &s, HOOK_IN, &x);
    EXPECT_EQ(w.hooks->pkt(w.m, w.f.handle, &s), HOOK_PASS);
    w.hooks->error(w.m, w.f.handle, HOOK_BEYOND_WINDOW, true, 0, 3);
    EXPECT_EQ(pkt_rc, 0);
    EXPECT_EQ(pkt.payloadlen, 3);
    w.hooks->pkt_done(w.m, w.f.handle, &s);
    w.hooks->error(w.m, w.f.handle, HOOK_OVERRUN, true, 0, 3);
    EXPECT_EQ(pkt_rc, -ENODATA);
    w.in_callback = NULL;
    w_end();
}

static void look_from_elsewhere(int s, int side, event_t ev)
{
    struct mon_conn other = {0};
    (void)s, (void)side, (void)ev;
    EXPECT_EQ(lastpkt_get(w.m, &other, NULL, &pkt), -ENODATA);
    EXPECT_EQ(w_setpkt(&other, MOS_DROP), -ENODATA);
    EXPECT_EQ(lastpkt_get(w.m, NULL, mon_passive(w.m, passive, ENOTSOCK), &pkt), -ENODATA);
}

static void packet_of_another_connection(void)
{
    begin(MOS_ON_PKT_IN);
    w.in_callback = look_from_elsewhere;
    in("a");
    w.in_callback = NULL;
    w_end();
}

static void frame_at_hand_is_shown_in_place(void)
{
    uint8_t frame[BUILD_HDR_MAX + 3];
    struct build_l2 l2 = {0};
    struct seg seg;
    struct hook_seg s;
    begin(MOS_ON_PKT_IN);
    w_build(&seg, &s, HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "abc"});
    struct build_lens lens = build_tcp(frame, &l2, &seg, 0);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    memcpy(frame + hdrs, "abc", 3);
    s.frame = frame;
    s.frame_len = hdrs + 3;
    s.l3_off = lens.l2;
    s.l4_off = (uint16_t)(lens.l2 + lens.l3);
    w.in_callback = look;
    EXPECT_EQ(w.hooks->pkt(w.m, w.f.handle, &s), HOOK_PASS);
    EXPECT_EQ(pkt_rc, 0);
    CU_ASSERT_PTR_EQUAL(pkt.ethh, frame);
    CU_ASSERT_PTR_EQUAL(pkt.iph, frame + 14);
    CU_ASSERT_PTR_EQUAL(pkt.tcph, frame + 34);
    CU_ASSERT_PTR_EQUAL(pkt.payload, frame + hdrs);
    EXPECT_EQ(pkt.eth_len, hdrs + 3);
    EXPECT_EQ(pkt.ip_len, hdrs + 3 - 14);
    w.in_callback = NULL;
    w_end();
}

static void try_options(int s, int side, event_t ev)
{
    const struct mon_conn *c = mon_watch(w.m, s, ENOTSOCK)->conn;
    (void)side, (void)ev;
    EXPECT_EQ(w_setpkt(c, 0), -EINVAL);
    EXPECT_EQ(w_setpkt(c, MOS_DROP | MOS_OVERWRITE), -EINVAL);
    EXPECT_EQ(w_setpkt(c, MOS_DROP | MOS_TCP_HDR), -EINVAL);
    EXPECT_EQ(w_setpkt(c, MOS_OVERWRITE), -EINVAL);
    EXPECT_EQ(w_setpkt(c, MOS_OVERWRITE | MOS_TCP_HDR | MOS_IP_HDR), -EINVAL);
    EXPECT_EQ(w_setpkt(c, MOS_DROP | 1 << 10), -EINVAL);
    EXPECT_EQ(w_setpkt(c, MOS_CHOMP | MOS_TCP_PAYLOAD), -EPERM);
}

static void options_of_setlastpkt(void)
{
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, NULL), 0);
    w.in_callback = try_options;
    EXPECT_EQ(IN(.flags = TCP_ACK, .data = "a"), HOOK_PASS);
    w.in_callback = NULL;
    w_end();
}

static void wants_data(int active, int side, event_t ev)
{
    (void)side;
    if (ev == MOS_ON_PKT_IN)
        EXPECT_EQ(w_register(active, MOS_ON_CONN_NEW_DATA, MOS_NULL, w_cb_null), 0);
}

/* Whoever begins to ask for new data is told of what came in this turn, also when nobody had asked
 * for data or packets before. */
static void data_is_asked_for_in_its_turn(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_START);
    w_accept();
    w_turn();
    w.text_len = 0;
    IN(.flags = TCP_ACK, .data = "hello", .ack = 0);
    EXPECT_EQ(w_register(w_active(), MOS_ON_CONN_NEW_DATA, MOS_NULL, w_cb_null), 0);
    w_turn();
    EXPECT_EVENTS("NS DATA;");
    w_end();
    w_begin(false);
    int s = hook_monitor.socket(w.m, AF_INET, MOS_SOCK_MONITOR_STREAM);
    EXPECT_EQ(w_register(s, MOS_ON_PKT_IN, MOS_HK_SND, w_cb_snd), 0);
    w_accept();
    w.in_callback = wants_data;
    w.text_len = 0;
    IN(.flags = TCP_ACK, .data = "hello", .ack = 0);
    w_turn();
    EXPECT_EVENTS("SC PKT_IN; NS DATA;");
    w_end();
}

TEST_SUITE(mos_callbacks, TEST_CASE(data_is_asked_for_in_its_turn), TEST_CASE(pairs_that_can_fire),
           TEST_CASE(an_active_socket_has_no_orphans), TEST_CASE(sockets_that_are_none_of_ours),
           TEST_CASE(unregistering), TEST_CASE(replacing),
           TEST_CASE(a_passive_change_is_for_later_connections),
           TEST_CASE(sets_are_shared_private_and_shared_again),
           TEST_CASE(two_sockets_with_equal_callbacks_share), TEST_CASE(no_memory_changes_nothing),
           TEST_CASE(changes_hold_from_the_next_event_on),
           TEST_CASE(running_event_is_delivered_as_it_began),
           TEST_CASE(many_changes_in_one_callback),
           TEST_CASE(changes_of_two_sockets_in_one_callback),
           TEST_CASE(a_change_in_a_callback_without_memory),
           TEST_CASE(a_monitor_ends_itself_in_a_callback), TEST_CASE(changes_of_what_ends),
           TEST_CASE(a_monitor_that_another_one_ends_is_not_called),
           TEST_CASE(callbacks_are_bracketed_and_do_not_change_errno),
           TEST_CASE(events_inside_events), TEST_CASE(kinds_of_sockets),
           TEST_CASE(closing_a_passive_socket_ends_its_connections_silently),
           TEST_CASE(monitor_ends_before_its_connections), TEST_CASE(user_pointers),
           TEST_CASE(an_active_socket_begins_anew), TEST_CASE(packet_of_an_error),
           TEST_CASE(packet_is_put_together), TEST_CASE(packet_is_put_together_once),
           TEST_CASE(packet_that_goes_out_has_its_bytes_in_the_send_stream),
           TEST_CASE(no_packet_outside_packets), TEST_CASE(packet_of_another_connection),
           TEST_CASE(frame_at_hand_is_shown_in_place), TEST_CASE(options_of_setlastpkt));

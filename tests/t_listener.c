/* Listeners: who gets a SYN, the bounds, the half-open records' timers, the accept queue. */
#include "tests/net_world.h"
#include "tests/test.h"

#include <errno.h>
#include <string.h>

#define SYNACK (TCP_SYN | TCP_ACK)

static int listen_on(struct world *w, struct net_listener *l, const char *addr, uint16_t port)
{
    struct ip_addr a = world_ip(addr);
    memset(l, 0, sizeof(*l));
    l->params = w->net.env.params;
    return net_listen(&w->net, l, &a, port, 10);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void each_address_has_its_listener(void)
{
    struct world w;
    struct net_listener any, exact;
    struct ip_addr second = world_ip("10.0.1.1");
    world_up(&w, NULL);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "second", &second, 24), 1);
    EXPECT_EQ(listen_on(&w, &exact, "10.0.1.1", 80), 0);
    EXPECT_EQ(listen_on(&w, &any, "10.0.0.1", 80), 0);
    world_syn(&w, 4000, 1);
    EXPECT_EQ(net_rx(&w.net), 1);
    EXPECT_EQ(any.n_half_open, 1);
    EXPECT_EQ(exact.n_half_open, 0);
    world_down(&w);
}

static void addresses_and_ports_are_taken_once(void)
{
    struct world w;
    struct net_listener l, l2;
    struct ip_addr any = world_ip("0.0.0.0"), us = world_ip("10.0.0.1"), any6 = world_ip("::");
    world_up(&w, NULL);
    EXPECT_EQ(listen_on(&w, &l, "10.0.0.9", 80), -EADDRNOTAVAIL);
    EXPECT_EQ(listen_on(&w, &l, "10.0.0.1", 80), 0);
    EXPECT_EQ(listen_on(&w, &l2, "10.0.0.1", 80), -EADDRINUSE);
    EXPECT_EQ(listen_on(&w, &l2, "0.0.0.0", 80), -EADDRINUSE);
    CU_ASSERT(net_port_is_bound(&w.net, &any, 80));
    CU_ASSERT(net_port_is_bound(&w.net, &any6, 80));
    CU_ASSERT(net_port_is_bound(&w.net, &us, 80));
    CU_ASSERT(!net_port_is_bound(&w.net, &us, 80 + NET_LISTENER_BUCKETS));
    EXPECT_EQ(listen_on(&w, &l2, "0.0.0.0", 80 + NET_LISTENER_BUCKETS), 0);
    net_unlisten(&w.net, &l);
    CU_ASSERT(!net_port_is_bound(&w.net, &us, 80));
    EXPECT_EQ(listen_on(&w, &l, "::", 80), 0);
    world_syn(&w, 4000, 1); /* dual stack */
    world_turn(&w);
    (void)world_expect(&w, 4000, SYNACK);
    world_down(&w);
}

/* Listening takes nothing from connections that are there. (RFC 9293 MUST-41) */
static void listening_changes_no_connection(void)
{
    struct world w;
    struct net_listener l, same, other;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    world_syn(&w, 4001, 1000);
    world_turn(&w);
    uint32_t iss = world_expect(&w, 4001, SYNACK)->seq.v;
    EXPECT_EQ(listen_on(&w, &same, "10.0.0.1", 80), -EADDRINUSE);
    EXPECT_EQ(listen_on(&w, &other, "10.0.0.1", 81), 0);
    world_seg(&w, 4001, TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    EXPECT_EQ(l.n_accept, 2);
    EXPECT_EQ(other.n_accept + other.n_half_open, 0);
    struct tcp_conn *c = net_accept(&w.net, &l);
    EXPECT_EQ(c->tuple.remote_port, 4000);
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    world_down(&w);
}

/* The address that the SYN was sent to. (RFC 9293 MUST-45) */
static void answers_come_from_where_the_syn_went(void)
{
    struct world w;
    struct net_listener l;
    struct ip_addr second = world_ip("10.0.1.1");
    world_up(&w, NULL);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "second", &second, 24), 1);
    EXPECT_EQ(listen_on(&w, &l, "0.0.0.0", 80), 0);
    struct seg s = {
        .tuple = {world_ip("10.0.0.2"), second, 4000, 80}, .flags = TCP_SYN, .seq = seq_make(1000)};
    world_in(&w, &s);
    world_turn(&w);
    s = (struct seg){
        .tuple = {world_ip("10.0.0.2"), second, 4000, 80}, .flags = TCP_ACK, .seq = seq_make(1001)};
    for (const struct packet *p; (p = world_out(&w)) != NULL;)
        if (p->kind == PACKET_TCP) {
            CU_ASSERT(ip_addr_eq(&p->src, &second));
            s.ack = seq_add(p->seg.seq, 1);
        }
    world_in(&w, &s);
    world_turn(&w);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT(ip_addr_eq(&c->tuple.local, &second));
    EXPECT_EQ(tcp_send(&w.net.env, c, "x", 1), 1);
    world_turn(&w);
    const struct packet *p = world_out(&w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT(ip_addr_eq(&p->src, &second));
    world_down(&w);
}

/* The flow's hash chooses, so that what belongs to one handshake meets one listener. */
static void connections_are_spread_among_those_that_share(void)
{
    enum { SYNS = 300 };
    struct world w;
    struct net_listener l[3], exact, selfish;
    struct ip_addr any = world_ip("0.0.0.0"), us = world_ip("10.0.0.1");
    world_up(&w, NULL);
    for (int i = 0; i < 3; i++) {
        memset(&l[i], 0, sizeof(l[i]));
        l[i].params = w.net.env.params;
        l[i].shares = true;
        EXPECT_EQ(net_listen(&w.net, &l[i], &any, 80, SYNS), 0);
    }
    EXPECT_EQ(listen_on(&w, &selfish, "10.0.0.1", 80), -EADDRINUSE);
    w.net.conf.max_half_open = SYNS;
    for (uint16_t i = 0; i < SYNS; i++)
        for (int again = 0; again < 2; again++) {
            world_syn(&w, (uint16_t)(4000 + i), 1);
            world_turn(&w);
            (void)world_expect(&w, (uint16_t)(4000 + i), SYNACK);
        }
    EXPECT_EQ(l[0].n_half_open + l[1].n_half_open + l[2].n_half_open, SYNS);
    for (int i = 0; i < 3; i++)
        CU_ASSERT(l[i].n_half_open > SYNS / 6);

    net_unlisten(&w.net, &l[1]); /* its share goes to the others */
    uint32_t n_before = l[0].n_half_open + l[2].n_half_open;
    for (uint16_t port = 5000; port < 5040; port++)
        world_syn(&w, port, 1);
    world_turn(&w);
    EXPECT_EQ(l[0].n_half_open + l[2].n_half_open, n_before + 40);

    memset(&exact, 0, sizeof(exact));
    exact.params = w.net.env.params;
    exact.shares = true;
    EXPECT_EQ(net_listen(&w.net, &exact, &us, 80, 100), 0);
    for (uint16_t port = 6000; port < 6020; port++)
        world_syn(&w, port, 1);
    world_turn(&w);
    EXPECT_EQ(exact.n_half_open, 20);
    world_down(&w);
}

/* ---- half-open records ---------------------------------------------------------------------- */

static void a_handshake_makes_a_connection(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    l.conn_flags = TCF_NODELAY;
    l.params.rcvbuf = 30000;
    l.params.sndbuf = 20000;
    l.params.cc = &tcp_cc_newreno;
    l.has_ext = true;
    l.ext.keep_cnt = 7;
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, SYNACK);
    EXPECT_EQ(s->ack.v, 1001);
    EXPECT_EQ(s->wnd, 30000);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_HALF_OPEN);
    EXPECT_EQ(net_n_conns(&w.net), 1);
    CU_ASSERT(list_is_empty(&w.net.ready_listeners));
    world_seg(&w, 4000, TCP_ACK, 1001, s->seq.v + 1);
    world_turn(&w);
    world_silence(&w);
    CU_ASSERT_PTR_EQUAL(w.net.ready_listeners.next, &l.ready);
    EXPECT_EQ(w.net.n_half_open + l.n_half_open, 0);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    CU_ASSERT_PTR_EQUAL(&c->flow, world_flow(&w, 4000));
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    CU_ASSERT(c->flags & TCF_NODELAY);
    EXPECT_EQ(c->rcv.limit, 30000);
    EXPECT_EQ(c->snd.limit, 20000);
    CU_ASSERT_PTR_EQUAL(c->cc_ops, &tcp_cc_newreno);
    EXPECT_EQ(c->ext->keep_cnt, 7);
    EXPECT_EQ(net_n_conns(&w.net), 1);
    CU_ASSERT_PTR_NULL(net_accept(&w.net, &l));
    world_down(&w);
}

static void the_syn_ack_is_sent_again_with_back_off(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4000, SYNACK);
    for (unsigned i = 0; i < 5; i++) { /* after 1, 2, 4, 8, 16 s */
        uint64_t begin = w.net.env.now_us;
        while (w.dev.n_tx == 0 && w.net.env.now_us < begin + 60000000)
            world_advance(&w, 10000);
        (void)world_expect(&w, 4000, SYNACK);
        EXPECT_EQ((w.net.env.now_us - begin) / 100000, 10u << i);
    }
    world_advance(&w, 31900000);
    CU_ASSERT_PTR_NOT_NULL(world_flow(&w, 4000));
    world_advance(&w, 200000);
    world_silence(&w);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    EXPECT_EQ(l.n_half_open, 0);
    EXPECT_EQ(net_n_conns(&w.net), 0);
    world_down(&w);
}

/* RFC 9293 3.10.7.2: RST, ACK, SYN, anything else. */
static void every_arm_of_listen(void)
{
    static const struct {
        uint8_t flags, answer;
        bool is_taken;
    } row[] = {{TCP_RST, 0, false},
               {TCP_RST | TCP_ACK, 0, false},
               {TCP_RST | TCP_SYN, 0, false},
               {TCP_ACK, TCP_RST, false},
               {TCP_FIN | TCP_ACK, TCP_RST, false},
               {TCP_SYN | TCP_ACK, TCP_RST, false},
               {TCP_SYN, SYNACK, true},
               {TCP_SYN | TCP_PSH | TCP_URG, SYNACK, true},
               {TCP_SYN | TCP_FIN, 0, false},
               {0, 0, false},
               {TCP_FIN, 0, false},
               {TCP_FIN | TCP_PSH | TCP_URG, 0, false}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct world w;
        struct net_listener l;
        world_up(&w, NULL);
        world_listen(&w, &l, 10);
        world_seg(&w, 4000, row[i].flags, 1000, row[i].flags & TCP_ACK ? 77 : 0);
        world_turn(&w);
        if (row[i].answer)
            (void)world_expect(&w, 4000, row[i].answer);
        world_silence(&w);
        EXPECT_EQ(l.n_half_open, row[i].is_taken);
        world_down(&w);
    }
}

/* As Linux: TCP_SYNCNT of a listener counts SYN-ACKs. */
static void a_listener_may_try_less_often(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    l.has_ext = true;
    l.ext.syn_retries = 1;
    world_syn(&w, 4000, 1000);
    world_advance(&w, 2990000);
    (void)world_expect(&w, 4000, SYNACK);
    (void)world_expect(&w, 4000, SYNACK);
    CU_ASSERT_PTR_NOT_NULL(world_flow(&w, 4000));
    world_advance(&w, 50000);
    world_silence(&w);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    world_down(&w);
}

/* A listener that waits for three timeouts of the SYN-ACK (TCP_DEFER_ACCEPT). */
static uint32_t deferring(struct world *w, struct net_listener *l)
{
    world_up(w, NULL);
    world_listen(w, l, 10);
    l->has_ext = true;
    l->ext.defer_accept = 3;
    world_syn(w, 4000, 1000);
    world_turn(w);
    uint32_t iss = world_expect(w, 4000, SYNACK)->seq.v;
    world_seg(w, 4000, TCP_ACK, 1001, iss + 1);
    world_turn(w);
    EXPECT_EQ(l->n_accept, 0);
    EXPECT_EQ(w->net.stats.accept_deferred, 1);
    return iss;
}

static void a_connection_comes_with_its_data(void)
{
    struct world w;
    struct net_listener l;
    uint32_t iss = deferring(&w, &l);
    world_advance(&w, 2500000); /* nothing is to be repeated */
    world_silence(&w);
    struct seg s = {.flags = TCP_ACK | TCP_PSH,
                    .seq = seq_make(1001),
                    .ack = seq_make(iss + 1),
                    .wnd = 50000,
                    .payload = (const uint8_t *)"hello",
                    .len = 5};
    s.tuple.remote_port = 80;
    s.tuple.local_port = 4000;
    world_in(&w, &s);
    world_turn(&w);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    EXPECT_EQ(tcp_readable(c), 5);
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    EXPECT_EQ(c->cwnd, 10 * c->mss); /* no SYN-ACK was lost */
    world_down(&w);
}

/* The last SYN-ACK asks the peer for an ACK, which then is enough; without any, it was the last. */
static void data_is_not_waited_for_for_ever(void)
{
    struct world w;
    struct net_listener l;
    uint32_t iss = deferring(&w, &l);
    world_advance(&w, 6900000);
    world_silence(&w);
    world_advance(&w, 200000); /* 1 + 2 + 4 s */
    (void)world_expect(&w, 4000, SYNACK);
    EXPECT_EQ(l.n_accept, 0);
    world_seg(&w, 4000, TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    EXPECT_EQ(l.n_accept, 1);
    world_down(&w);

    (void)deferring(&w, &l);
    world_advance(&w, 64000000);
    for (unsigned i = 0; i < 3; i++) /* after 7, 15, 31 s */
        (void)world_expect(&w, 4000, SYNACK);
    world_silence(&w);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    EXPECT_EQ(l.n_half_open, 0);
    world_down(&w);
}

/* Which of two SYN-ACKs was answered nobody knows (Karn; RFC 6298 3). */
static void an_answer_to_one_of_two_syn_acks_times_nothing(void)
{
    for (unsigned again = 0; again < 2; again++) {
        struct world w;
        struct net_listener l;
        world_up(&w, NULL);
        world_listen(&w, &l, 10);
        world_syn(&w, 4000, 1000);
        world_turn(&w);
        tcp_seq_t iss = world_expect(&w, 4000, SYNACK)->seq;
        world_advance(&w, 500000);
        if (again) { /* the SYN, before our timer */
            world_syn(&w, 4000, 1000);
            world_turn(&w);
            (void)world_expect(&w, 4000, SYNACK);
        }
        world_advance(&w, 10000);
        world_seg(&w, 4000, TCP_ACK, 1001, iss.v + 1);
        world_turn(&w);
        struct tcp_conn *c = net_accept(&w.net, &l);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        EXPECT_EQ(c->srtt_us, again ? 0 : 510000);
        net_conn_release(&w.net, c);
        world_down(&w);
    }
}

/* RFC 9293 MUST-11 */
static void half_open_records_answer_for_themselves(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    uint32_t iss = world_expect(&w, 4000, SYNACK)->seq.v;
    world_syn(&w, 4000, 1000); /* again */
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, SYNACK)->seq.v, iss);
    world_seg(&w, 4000, TCP_ACK, 1001, iss + 5); /* an ACK of nothing we sent */
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, TCP_RST)->seq.v, iss + 5);
    world_seg(&w, 4000, TCP_RST, 500000, 0); /* a blind reset */
    world_turn(&w);
    world_silence(&w);
    world_seg(&w, 4000, TCP_RST, 1001, 0);
    world_turn(&w);
    world_silence(&w);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    EXPECT_EQ(l.n_half_open, 0);
    world_down(&w);
}

/* ---- bounds --------------------------------------------------------------------------------- */

static void the_backlog_bounds_half_open_records(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 3);
    for (uint16_t i = 0; i < 5; i++)
        world_syn(&w, (uint16_t)(4000 + i), 1000);
    world_turn(&w);
    for (uint16_t i = 0; i < 3; i++)
        (void)world_expect(&w, (uint16_t)(4000 + i), SYNACK);
    world_silence(&w);
    EXPECT_EQ(w.net.stats.syn_dropped_backlog, 2);
    world_seg(&w, 4001, TCP_RST, 1001, 0);
    world_syn(&w, 4004, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4004, SYNACK);
    world_down(&w);
}

static void all_listeners_together_are_bounded(void)
{
    struct world w;
    struct net_listener l;
    struct world_opts o = {.conf = world_conf};
    o.conf.max_half_open = 2;
    world_up(&w, &o);
    world_listen(&w, &l, 10);
    for (uint16_t i = 0; i < 3; i++)
        world_syn(&w, (uint16_t)(4000 + i), 1000);
    world_turn(&w);
    EXPECT_EQ(w.net.stats.syn_dropped_backlog, 1);
    EXPECT_EQ(w.net.n_half_open, 2);
    world_down(&w);
}

static void connections_are_bounded(void)
{
    struct world w;
    struct net_listener l;
    struct world_opts o = {.conf = world_conf};
    o.conf.max_conns = 2;
    world_up(&w, &o);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    world_syn(&w, 4001, 1000);
    world_syn(&w, 4002, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4001, SYNACK);
    world_silence(&w);
    EXPECT_EQ(net_n_conns(&w.net), 2);
    world_down(&w);
}

/* As Linux: the last ACK of the handshake is dropped, what the peer sends next gets in when there
 * is room; and a listener that accepts nothing takes no more SYNs. */
static void the_backlog_bounds_the_accept_queue(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 2);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    uint32_t iss = world_expect(&w, 4000, SYNACK)->seq.v;
    world_handshake(&w, 4001);
    world_handshake(&w, 4002);
    EXPECT_EQ(l.n_accept, 2);
    world_seg(&w, 4000, TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.stats.accept_dropped, 1);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_HALF_OPEN);
    world_syn(&w, 4003, 1000);
    world_turn(&w);
    world_silence(&w);
    struct tcp_conn *c = net_accept(&w.net, &l);
    EXPECT_EQ(c->tuple.remote_port, 4001);
    c->sock = 1;
    world_seg(&w, 4000, TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_CONN);
    EXPECT_EQ(net_accept(&w.net, &l)->tuple.remote_port, 4002);
    EXPECT_EQ(net_accept(&w.net, &l)->tuple.remote_port, 4000);
    world_down(&w);
}

static void without_memory_the_handshake_goes_on_later(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    uint32_t iss = world_expect(&w, 4000, SYNACK)->seq.v;
    mem_set_limit(w.mem, 1);
    world_seg(&w, 4000, TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    EXPECT_EQ(w.net.stats.conn_nomem, 1);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_HALF_OPEN);
    mem_set_limit(w.mem, 0);
    world_seg(&w, 4000, TCP_ACK, 1001, iss + 1);
    world_turn(&w);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_CONN);
    world_down(&w);
}

/* ---- the accept queue ----------------------------------------------------------------------- */

static void a_reset_connection_is_still_accepted(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    world_handshake(&w, 4001);
    world_seg(&w, 4000, TCP_RST, 1001, 0);
    world_turn(&w);
    world_advance(&w, 100000);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    EXPECT_EQ(l.n_accept, 2);
    struct tcp_conn *c = net_accept(&w.net, &l);
    EXPECT_EQ(c->tuple.remote_port, 4000);
    EXPECT_EQ(c->err, ECONNRESET);
    c->sock = 1;
    world_turn(&w);
    EXPECT_EQ(w.net.conns.n_used, 2);
    tcp_close(&w.net.env, c);
    net_conn_release(&w.net, c);
    world_turn(&w);
    EXPECT_EQ(w.net.conns.n_used, 1);
    world_down(&w);
}

static void unlisten_resets_what_was_not_accepted(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    world_handshake(&w, 4001);
    world_handshake(&w, 4002);
    world_seg(&w, 4002, TCP_RST, 1001, 0);
    world_syn(&w, 4003, 1000);
    world_turn(&w);
    (void)world_expect(&w, 4003, SYNACK);
    struct tcp_conn *accepted = net_accept(&w.net, &l);
    accepted->sock = 1;
    net_unlisten(&w.net, &l);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4003));
    CU_ASSERT(list_is_empty(&w.net.ready_listeners));
    world_turn(&w);
    (void)world_expect(&w, 4001, TCP_RST | TCP_ACK);
    world_silence(&w);
    EXPECT_EQ(w.net.conns.n_used, 1);
    EXPECT_EQ(accepted->state, TCPS_ESTABLISHED);
    world_down(&w);
}

TEST_SUITE(listener, TEST_CASE(each_address_has_its_listener),
           TEST_CASE(addresses_and_ports_are_taken_once),
           TEST_CASE(connections_are_spread_among_those_that_share),
           TEST_CASE(a_handshake_makes_a_connection), TEST_CASE(every_arm_of_listen),
           TEST_CASE(the_syn_ack_is_sent_again_with_back_off),
           TEST_CASE(a_listener_may_try_less_often), TEST_CASE(a_connection_comes_with_its_data),
           TEST_CASE(data_is_not_waited_for_for_ever),
           TEST_CASE(an_answer_to_one_of_two_syn_acks_times_nothing),
           TEST_CASE(half_open_records_answer_for_themselves),
           TEST_CASE(the_backlog_bounds_half_open_records),
           TEST_CASE(all_listeners_together_are_bounded), TEST_CASE(connections_are_bounded),
           TEST_CASE(the_backlog_bounds_the_accept_queue),
           TEST_CASE(without_memory_the_handshake_goes_on_later),
           TEST_CASE(a_reset_connection_is_still_accepted),
           TEST_CASE(unlisten_resets_what_was_not_accepted),
           TEST_CASE(listening_changes_no_connection),
           TEST_CASE(answers_come_from_where_the_syn_went));

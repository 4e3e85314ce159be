/* ARP: answers, learning, resolution with its queue, retries and errors, refresh, bounds. */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/net/arp.h"
#include "mtcp/net/neigh.h"
#include "mtcp/net/route.h"
#include "mtcp/wire/build.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct world_opts no_arp = {.conf = {.max_half_open = 100, .rst_per_sec = 0},
                                         .no_arp = true};

static bool ip_is(const struct ip_addr *a, const char *text)
{
    struct ip_addr b = world_ip(text);
    return ip_addr_eq(a, &b);
}

static bool is_to_all(const struct packet *p)
{
    return (p->eth_dst.b[0] & 1) != 0;
}

/* The next frame is an ARP request from us for `target`. */
static void expect_request(struct world *w, const char *target, bool to_all)
{
    const struct packet *p = world_out(w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    EXPECT_EQ(p->kind, PACKET_ARP);
    CU_ASSERT(!p->arp.is_reply);
    CU_ASSERT(ip_is(&p->arp.sender_ip, "10.0.0.1") && ip_is(&p->arp.target_ip, target));
    EXPECT_EQ(p->arp.sender_mac.b[5], 1);
    EXPECT_EQ(is_to_all(p), to_all);
}

static struct neigh *entry(struct world *w, const char *ip)
{
    struct ip_addr a = world_ip(ip);
    const struct net_hop *hop = route_hop(&w->net, &a);
    return hop ? hop->neigh : NULL;
}

static void send_to(struct world *w, const char *ip)
{
    uint8_t frame[BUILD_HDR_MAX];
    struct seg s = {.tuple = {.local = world_ip(ip),
                              .remote = world_ip("10.0.0.1"),
                              .local_port = 4000,
                              .remote_port = 9},
                    .flags = TCP_ACK,
                    .ttl = 64};
    struct build_l2 l2 = {.src = world_mac(2), .dst = world_mac(1)};
    struct build_lens lens = build_tcp(frame, &l2, &s, 1);
    build_tcp_csum(frame, lens, 0, (struct build_offload){0});
    world_in_frame(w, frame, (uint32_t)lens.l2 + lens.l3 + lens.l4, 0);
    world_turn(w); /* the RST is what we send */
}

/* ---- answers -------------------------------------------------------------------------------- */

static void the_address_is_announced(void)
{
    struct world w;
    world_up(&w, &no_arp); /* takes the announcement off */
    const struct packet *p = &w.got;
    CU_ASSERT(is_to_all(p) && !p->arp.is_reply);
    CU_ASSERT(ip_is(&p->arp.sender_ip, "10.0.0.1") && ip_is(&p->arp.target_ip, "10.0.0.1"));
    world_turn(&w);
    world_silence(&w);
    world_down(&w);
}

static void a_request_for_us_is_answered(void)
{
    struct world w;
    world_up(&w, &no_arp);
    world_arp(&w, 5, false, "10.0.0.1");
    world_turn(&w);
    const struct packet *p = world_out(&w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT(p->kind == PACKET_ARP && p->arp.is_reply);
    EXPECT_EQ(p->eth_dst.b[5], 5);
    EXPECT_EQ(p->arp.sender_mac.b[5], 1);
    CU_ASSERT(ip_is(&p->arp.sender_ip, "10.0.0.1") && ip_is(&p->arp.target_ip, "10.0.0.5"));
    world_silence(&w);
    send_to(&w, "10.0.0.5"); /* and whoever asked is known */
    EXPECT_EQ(world_expect(&w, 4000, TCP_RST)->seq.v, 0);
    EXPECT_EQ(w.got.eth_dst.b[5], 5);
    world_down(&w);
}

static void a_request_for_others_teaches_nothing(void)
{
    struct world w;
    world_up(&w, &no_arp);
    world_arp(&w, 5, false, "10.0.0.9");
    world_arp(&w, 6, true, "10.0.0.1"); /* nobody had asked */
    world_turn(&w);
    world_silence(&w);
    send_to(&w, "10.0.0.5");
    expect_request(&w, "10.0.0.5", true);
    send_to(&w, "10.0.0.6");
    expect_request(&w, "10.0.0.6", true);
    world_silence(&w);
    world_down(&w);
}

/* Someone says that our address is theirs, or that theirs is a group's. */
static void nonsense_teaches_nothing(void)
{
    struct world w;
    uint8_t frame[64];
    struct mac_addr none = {{0}}, group = {{1, 0, 0, 0, 0, 5}};
    struct build_arp a = {.is_reply = true,
                          .sender_mac = world_mac(6),
                          .sender_ip = world_ip("10.0.0.1").w[3],
                          .target_mac = world_mac(1),
                          .target_ip = world_ip("10.0.0.1").w[3]};
    world_up(&w, &no_arp);
    world_in_frame(&w, frame, build_arp(frame, &a), 0);
    a.is_reply = false; /* and asks who has it */
    world_in_frame(&w, frame, build_arp(frame, &a), 0);
    a.is_reply = true;
    world_turn(&w);
    world_silence(&w);
    send_to(&w, "10.0.0.5");
    expect_request(&w, "10.0.0.5", true);
    a.sender_ip = world_ip("10.0.0.5").w[3];
    for (unsigned i = 0; i < 2; i++) {
        a.sender_mac = i ? none : group;
        world_in_frame(&w, frame, build_arp(frame, &a), 0);
    }
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(entry(&w, "10.0.0.5")->state, NEIGH_INCOMPLETE);
    world_down(&w);
}

/* RFC 5227: a probe has no sender address yet. */
static void a_probe_is_answered(void)
{
    struct world w;
    uint8_t frame[64];
    struct build_arp a = {.sender_mac = world_mac(6), .target_ip = world_ip("10.0.0.1").w[3]};
    world_up(&w, &no_arp);
    world_in_frame(&w, frame, build_arp(frame, &a), 0);
    world_turn(&w);
    const struct packet *p = world_out(&w);
    CU_ASSERT(p && p->arp.is_reply && p->eth_dst.b[5] == 6);
    world_silence(&w);
    world_down(&w);
}

/* ---- resolution ----------------------------------------------------------------------------- */

static void packets_wait_for_the_answer(void)
{
    struct world w;
    world_up(&w, &no_arp);
    for (unsigned i = 0; i < 3; i++)
        send_to(&w, "10.0.0.5");
    expect_request(&w, "10.0.0.5", true);
    world_silence(&w);
    world_arp(&w, 5, true, "10.0.0.1");
    world_turn(&w);
    for (unsigned i = 0; i < 3; i++) {
        (void)world_expect(&w, 4000, TCP_RST);
        EXPECT_EQ(w.got.eth_dst.b[5], 5);
    }
    world_silence(&w);
    send_to(&w, "10.0.0.5");
    (void)world_expect(&w, 4000, TCP_RST);
    world_silence(&w);
    world_down(&w);
}

static void the_queue_keeps_the_latest(void)
{
    struct world w;
    world_up(&w, &no_arp);
    for (uint32_t i = 0; i < NEIGH_WAITING + 4; i++) {
        struct seg s = {.tuple.local_port = 4000, .flags = TCP_ACK, .ack = seq_make(i)};
        world_in(&w, &s);
    }
    world_turn(&w);
    expect_request(&w, "10.0.0.2", true);
    EXPECT_EQ(w.net.stats.neigh_queue_full, 4);
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    for (uint32_t i = 4; i < NEIGH_WAITING + 4; i++)
        EXPECT_EQ(world_expect(&w, 4000, TCP_RST)->seq.v, i);
    world_silence(&w);
    world_down(&w);
}

static void all_queues_together_are_bounded(void)
{
    struct world w;
    char ip[16];
    world_up(&w, &no_arp);
    for (unsigned host = 10; host < 40; host++) {
        snprintf(ip, sizeof(ip), "10.0.0.%u", host);
        for (unsigned i = 0; i < 12; i++)
            send_to(&w, ip);
    }
    EXPECT_EQ(w.dev.n_out, NEIGH_MAX_WAITING);
    EXPECT_EQ(w.net.stats.neigh_queue_full, 30 * 12 - NEIGH_MAX_WAITING);
    world_down(&w);
}

static void three_requests_then_the_connection_hears(void)
{
    struct world w;
    int err;
    struct world_opts o = no_arp;
    o.conf.port_min = o.conf.port_max = 5000;
    world_up(&w, &o);
    struct net_end local = {0}, remote = {world_ip("10.0.0.2"), 7};
    struct tcp_conn *c = net_connect_prepare(&w.net, &local, &remote, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 3;
    net_connect_start(&w.net, c);
    world_turn(&w);
    expect_request(&w, "10.0.0.2", true);
    for (unsigned i = 1; i < 3; i++) {
        world_advance(&w, 980000);
        world_silence(&w);
        world_advance(&w, 30000);
        expect_request(&w, "10.0.0.2", true);
    }
    EXPECT_EQ(c->err, 0);
    world_advance(&w, 1010000);
    EXPECT_EQ(c->err, EHOSTUNREACH);
    EXPECT_EQ(c->state, TCPS_CLOSED);
    EXPECT_EQ(w.net.stats.neigh_failed, 1);
    EXPECT_EQ(w.dev.n_out, 0);
    world_silence(&w);
    send_to(&w, "10.0.0.2"); /* the next packet asks anew */
    expect_request(&w, "10.0.0.2", true);
    net_conn_release(&w.net, c);
    world_down(&w);
}

enum { MANY = 100 };

static void open_many(struct world *w, struct tcp_conn *c[MANY])
{
    int err;
    struct net_end local = {0}, remote = {world_ip("10.0.0.2"), 7};
    for (int i = 0; i < MANY; i++) {
        c[i] = net_connect_prepare(&w->net, &local, &remote, &err);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c[i]);
        c[i]->sock = i;
        net_connect_start(&w->net, c[i]);
    }
    world_turn(w);
    expect_request(w, "10.0.0.2", true);
    world_silence(w);
    CU_ASSERT(!net_has_work(&w->net));
}

static void any_number_of_connections_can_wait(void)
{
    struct world w;
    struct tcp_conn *c[MANY];
    struct world_opts o = no_arp;
    o.conf.port_min = 5000;
    o.conf.port_max = 6000;
    world_up(&w, &o);
    open_many(&w, c);
    EXPECT_EQ(w.dev.n_out, 0); /* not a packet is held */
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    for (unsigned i = 0; i < MANY; i++)
        EXPECT_EQ(world_expect(&w, 7, TCP_SYN)->tuple.remote_port, c[i]->tuple.local_port);
    world_silence(&w);
    world_down(&w);
}

/* SYNs that come before the neighbour's address: more than can wait as packets. */
static void syns_in(struct world *w, struct net_listener *l)
{
    world_up(w, &no_arp);
    world_listen(w, l, 100);
    for (uint16_t i = 0; i < MANY; i++)
        world_syn(w, (uint16_t)(4000 + i), 1000);
    world_turn(w);
    expect_request(w, "10.0.0.2", true);
    world_silence(w);
}

static void any_number_of_synacks_can_wait(void)
{
    struct world w;
    struct net_listener l;
    syns_in(&w, &l);
    world_advance(&w, 50000);
    world_silence(&w);
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    for (unsigned i = 0; i < NEIGH_WAITING; i++)
        (void)world_expect(&w, (uint16_t)(4000 + i), TCP_SYN | TCP_ACK);
    world_silence(&w);
    world_advance(&w, 20000);
    for (unsigned i = NEIGH_WAITING; i < MANY; i++)
        (void)world_expect(&w, (uint16_t)(4000 + i), TCP_SYN | TCP_ACK);
    world_silence(&w);
    EXPECT_EQ(w.net.stats.neigh_queue_full, 0);
    world_down(&w);
}

/* The queues of all are full of what waits for others. */
static void who_can_only_be_held_is_asked_for(void)
{
    struct world w;
    struct net_listener l;
    char ip[16];
    world_up(&w, &no_arp);
    world_listen(&w, &l, 100);
    for (unsigned host = 10; host < 10 + NEIGH_MAX_WAITING / NEIGH_WAITING; host++) {
        snprintf(ip, sizeof(ip), "10.0.0.%u", host);
        for (unsigned i = 0; i < NEIGH_WAITING; i++)
            send_to(&w, ip);
        expect_request(&w, ip, true);
    }
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    expect_request(&w, "10.0.0.2", true);
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    world_advance(&w, 20000);
    (void)world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    world_silence(&w);
    world_down(&w);
}

/* A SYN that comes again makes no second answer, nor a first before its time. */
static void a_held_synack_is_sent_once(void)
{
    struct world w;
    struct net_listener l;
    uint16_t port = 4000 + MANY - 1;
    syns_in(&w, &l);
    world_advance(&w, 5000);
    world_syn(&w, port, 1000);
    world_turn(&w);
    EXPECT_EQ(w.net.stats.neigh_queue_full, 0);
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    for (unsigned i = 0; i < NEIGH_WAITING; i++)
        (void)world_expect(&w, (uint16_t)(4000 + i), TCP_SYN | TCP_ACK);
    world_syn(&w, port, 1000); /* it can go now */
    world_turn(&w);
    uint32_t ack = world_expect(&w, port, TCP_SYN | TCP_ACK)->seq.v + 1;
    world_advance(&w, 20000);
    for (unsigned i = NEIGH_WAITING; i < MANY - 1; i++)
        (void)world_expect(&w, (uint16_t)(4000 + i), TCP_SYN | TCP_ACK);
    world_silence(&w);
    world_seg(&w, port, TCP_ACK, 1001, ack);
    world_turn(&w);
    EXPECT_EQ(world_flow(&w, port)->kind, FLOW_CONN);
    world_down(&w);
}

/* Reset by the peer, or with their listener. */
static void held_synacks_can_end(void)
{
    struct world w;
    struct net_listener l;
    syns_in(&w, &l);
    world_seg(&w, 4000 + MANY - 1, TCP_RST, 1001, 0);
    world_turn(&w);
    EXPECT_EQ(w.net.n_half_open, MANY - 1);
    net_unlisten(&w.net, &l);
    EXPECT_EQ(w.net.n_half_open, 0);
    world_arp(&w, 2, true, "10.0.0.1");
    world_advance(&w, 2000000);
    while (world_out(&w)) /* of those that waited built */
        ;
    EXPECT_EQ(w.net.half_opens.n_used, 0);
    world_down(&w);
}

/* A flood of held SYN-ACKs costs no more than one of SYNs does. */
static void held_synacks_look_seldom(void)
{
    struct world w;
    struct net_listener l;
    struct tcp_half_open *h;
    unsigned n_looks = 0;
    syns_in(&w, &l);
    h = (struct tcp_half_open *)(void *)world_flow(&w, 4000 + MANY - 1);
    for (uint64_t last = 0; h->n_sent == 0; world_advance(&w, 1000)) {
        n_looks += h->timer.at_us != last;
        last = h->timer.at_us;
    }
    CU_ASSERT(n_looks < 15);
    EXPECT_EQ((w.net.env.now_us - h->born_us) / 100000, 10);
    world_down(&w);
}

/* Held for a second, then on their own timers; in the end nothing is left. */
static void synacks_that_wait_in_vain_end(void)
{
    struct world w;
    struct net_listener l;
    syns_in(&w, &l);
    for (unsigned s = 0; s < 300; s++)
        world_advance(&w, 1000000);
    EXPECT_EQ(w.net.n_half_open, 0);
    EXPECT_EQ(l.n_half_open, 0);
    while (world_out(&w))
        ;
    world_down(&w);
}

/* Their entry is no victim, and the end of all finds them. */
static void who_waits_is_not_forgotten(void)
{
    struct world w;
    struct tcp_conn *c[MANY];
    struct ip_addr wide = world_ip("10.9.0.1");
    struct world_opts o = no_arp;
    o.conf.port_min = 5000;
    o.conf.port_max = 6000;
    world_up(&w, &o);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "wide", &wide, 16), 1);
    net_flush(&w.net);
    (void)world_out(&w);
    open_many(&w, c);
    struct neigh *e = entry(&w, "10.0.0.2");
    for (unsigned i = 0; i < 2 * NEIGH_MAX; i++) {
        struct ip_addr a = ip_addr_v4(be32_make(0x0a090100 + i));
        CU_ASSERT_PTR_NOT_NULL(neigh_get(&w.net, 1, &a));
    }
    CU_ASSERT_PTR_EQUAL(entry(&w, "10.0.0.2"), e);
    CU_ASSERT_PTR_EQUAL(e->parked, c[0]);
    world_down(&w);
}

static void all_of_them_hear_that_nobody_answers(void)
{
    struct world w;
    struct tcp_conn *c[MANY];
    struct world_opts o = no_arp;
    o.conf.port_min = 5000;
    o.conf.port_max = 6000;
    world_up(&w, &o);
    open_many(&w, c);
    tcp_close(&w.net.env, c[50]); /* one does not wait any longer */
    net_conn_release(&w.net, c[50]);
    world_turn(&w);
    world_turn(&w);
    EXPECT_EQ(w.net.conns.n_used, MANY - 1);
    CU_ASSERT(!net_has_work(&w.net));
    world_advance(&w, 3100000);
    for (unsigned i = 0; i < MANY; i++) {
        if (i == 50)
            continue;
        EXPECT_EQ(c[i]->err, EHOSTUNREACH);
        net_conn_release(&w.net, c[i]);
    }
    world_turn(&w);
    EXPECT_EQ(w.net.conns.n_used, 0);
    world_down(&w);
}

/* A neighbour that is gone: an established connection waits, loses, and lives on its own timers. */
static void an_established_connection_goes_on_trying(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, &no_arp);
    world_arp(&w, 2, false, "10.0.0.1");
    world_turn(&w);
    (void)world_out(&w);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    world_advance(&w, ARP_FRESH_US + 4000000);
    world_seg(&w, 4001, TCP_ACK, 1, 1); /* wakes the entry, which then is lost */
    world_advance(&w, 3200000);
    while (world_out(&w))
        ;
    EXPECT_EQ(tcp_send(&w.net.env, c, "hello", 5), 5);
    world_advance(&w, 3200000);
    unsigned n_requests = 0;
    for (const struct packet *p; (p = world_out(&w)) != NULL; n_requests++)
        EXPECT_EQ(p->kind, PACKET_ARP);
    EXPECT_EQ(n_requests, 3);
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    EXPECT_EQ(c->soft_err, EHOSTUNREACH);
    world_advance(&w, 1000000); /* the retransmission timer asks again */
    expect_request(&w, "10.0.0.2", true);
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, TCP_ACK | TCP_PSH)->len, 5);
    world_down(&w);
}

/* A connection whose neighbour's address is known no more. */
static struct tcp_conn *connected_and_lost(struct world *w, struct net_listener *l)
{
    world_up(w, &no_arp);
    world_arp(w, 2, false, "10.0.0.1");
    world_turn(w);
    (void)world_out(w);
    world_listen(w, l, 10);
    world_handshake(w, 4000);
    struct tcp_conn *c = net_accept(&w->net, l);
    c->sock = 1;
    entry(w, "10.0.0.2")->fresh_until_us = 0;
    entry(w, "10.0.0.2")->state = NEIGH_NONE;
    while (world_out(w))
        ;
    return c;
}

/* The peer shuts its window while we wait for its address in vain: nothing is left to be sent, and
 * the window is probed all the same. */
static void who_waited_in_vain_for_a_shut_window_probes_it(void)
{
    struct world w;
    struct net_listener l;
    struct tcp_conn *c = connected_and_lost(&w, &l);
    EXPECT_EQ(tcp_send(&w.net.env, c, "hello", 5), 5);
    world_turn(&w);
    CU_ASSERT_PTR_EQUAL(entry(&w, "10.0.0.2")->parked, c);
    c->snd_wnd = 0;
    world_advance(&w, 3100000);
    EXPECT_EQ(c->soft_err, EHOSTUNREACH);
    CU_ASSERT(c->flags & TCF_PERSIST);
    world_down(&w);
}

/* What a monitor's code has queued meanwhile is carried out then. */
static void who_waited_in_vain_is_reset_and_closed(void)
{
    struct world w;
    struct net_listener l;
    struct tcp_conn *c = connected_and_lost(&w, &l);
    EXPECT_EQ(tcp_send(&w.net.env, c, "hello", 5), 5);
    world_turn(&w);
    CU_ASSERT_PTR_EQUAL(entry(&w, "10.0.0.2")->parked, c);
    w.net.env.user_depth++;
    tcp_abort(&w.net.env, c, HOOK_END_RESET_BY_MONITOR, ECONNRESET);
    tcp_close(&w.net.env, c);
    w.net.env.user_depth--;
    net_conn_release(&w.net, c);
    world_advance(&w, 3100000);
    EXPECT_EQ(net_n_conns(&w.net), 0);
    world_down(&w);
}

/* What a monitor's code had queued is carried out in the flush, which marks the connection again:
 * it is on the list of those that have something to send, and does not wait here as well. */
static void who_is_marked_in_the_flush_waits_once(void)
{
    struct world w;
    struct net_listener l;
    struct tcp_conn *c = connected_and_lost(&w, &l);
    w.net.env.user_depth++;
    tcp_close(&w.net.env, c);
    w.net.env.user_depth--;
    for (unsigned i = 0; i < 3; i++) {
        world_turn(&w);
        CU_ASSERT_PTR_NULL_FATAL(c->out_next);
    }
    CU_ASSERT_PTR_EQUAL(entry(&w, "10.0.0.2")->parked, c);
    CU_ASSERT_PTR_NULL(w.net.env.out_head);
    expect_request(&w, "10.0.0.2", true);
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_ACK | TCP_FIN);
    world_silence(&w);
    world_down(&w);
}

/* ---- age ------------------------------------------------------------------------------------ */

static void an_entry_in_use_is_asked_again(void)
{
    struct world w;
    world_up(&w, &no_arp);
    world_arp(&w, 5, false, "10.0.0.1");
    world_turn(&w);
    (void)world_out(&w);
    world_advance(&w, ARP_FRESH_US + 1000);
    world_silence(&w); /* not in use: nobody asks */
    send_to(&w, "10.0.0.5");
    expect_request(&w, "10.0.0.5", false); /* the neighbour alone */
    (void)world_expect(&w, 4000, TCP_RST); /* and the packet goes */
    send_to(&w, "10.0.0.5");
    (void)world_expect(&w, 4000, TCP_RST);
    world_silence(&w);
    world_arp(&w, 5, true, "10.0.0.1");
    world_turn(&w);
    world_advance(&w, 10000000);
    world_silence(&w);
    EXPECT_EQ(entry(&w, "10.0.0.5")->state, NEIGH_REACHABLE);
    world_down(&w);
}

static void an_entry_that_does_not_answer_is_forgotten(void)
{
    struct world w;
    world_up(&w, &no_arp);
    world_arp(&w, 5, false, "10.0.0.1");
    world_turn(&w);
    (void)world_out(&w);
    world_advance(&w, ARP_FRESH_US + 1000);
    send_to(&w, "10.0.0.5");
    expect_request(&w, "10.0.0.5", false);
    (void)world_expect(&w, 4000, TCP_RST);
    world_advance(&w, 2100000);
    expect_request(&w, "10.0.0.5", true);
    expect_request(&w, "10.0.0.5", true);
    world_advance(&w, 1000000);
    EXPECT_EQ(entry(&w, "10.0.0.5")->state, NEIGH_NONE);
    send_to(&w, "10.0.0.5");
    expect_request(&w, "10.0.0.5", true);
    world_silence(&w);
    world_down(&w);
}

/* Three retransmissions in vain: is the neighbour still there? (RFC 9293 MUST-20, SHLD-10) */
static void silence_puts_a_neighbour_into_doubt(void)
{
    struct world w;
    world_up(&w, &no_arp);
    world_arp(&w, 2, false, "10.0.0.1");
    world_turn(&w);
    (void)world_out(&w);
    struct tcp_conn *c = world_connect(&w);
    for (unsigned i = 0; i < 2; i++) {
        world_advance(&w, 1010000u << i);
        (void)world_expect(&w, 7, TCP_SYN);
        world_silence(&w);
    }
    EXPECT_EQ(entry(&w, "10.0.0.2")->state, NEIGH_REACHABLE);
    world_advance(&w, 4010000);
    expect_request(&w, "10.0.0.2", false);
    (void)world_expect(&w, 7, TCP_SYN); /* which goes there meanwhile */
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    EXPECT_EQ(entry(&w, "10.0.0.2")->state, NEIGH_REACHABLE);
    EXPECT_EQ(c->state, TCPS_SYN_SENT);
    world_down(&w);
}

static void a_static_entry_stays(void)
{
    struct world w;
    world_up(&w, NULL); /* 10.0.0.2 is static */
    uint8_t frame[64];
    struct build_arp a = {.is_reply = true,
                          .sender_mac = world_mac(9),
                          .sender_ip = world_ip("10.0.0.2").w[3],
                          .target_mac = world_mac(1),
                          .target_ip = world_ip("10.0.0.1").w[3]};
    world_in_frame(&w, frame, build_arp(frame, &a), 0);
    world_advance(&w, 3 * (uint64_t)ARP_FRESH_US);
    send_to(&w, "10.0.0.2");
    (void)world_expect(&w, 4000, TCP_RST);
    EXPECT_EQ(w.got.eth_dst.b[5], 2);
    world_silence(&w);
    world_down(&w);
}

/* ---- bounds --------------------------------------------------------------------------------- */

/* Neighbours that we use stay, whatever others make us learn. */
static void a_flood_pushes_nobody_out(void)
{
    struct world w;
    uint8_t frame[64];
    struct ip_addr wide = world_ip("10.9.0.1");
    world_up(&w, &no_arp);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "wide", &wide, 16), 1);
    world_arp(&w, 5, false, "10.0.0.1");
    world_turn(&w);
    struct neigh *used = entry(&w, "10.0.0.5");
    CU_ASSERT_PTR_NOT_NULL_FATAL(used);
    for (unsigned i = 0; i < 2 * NEIGH_MAX; i++) {
        struct build_arp a = {.sender_mac = world_mac(9),
                              .sender_ip = be32_make(0x0a090100 + i),
                              .target_ip = wide.w[3]};
        struct packet p;
        uint32_t len = build_arp(frame, &a);
        CU_ASSERT_EQUAL_FATAL(packet_parse(&p, frame, len, PACKET_CSUM_GOOD), 0);
        arp_in(&w.net, &w.net.ifs[1], &p);
        net_flush(&w.net);
        (void)world_out(&w);
    }
    CU_ASSERT_PTR_EQUAL(entry(&w, "10.0.0.5"), used);
    EXPECT_EQ(used->state, NEIGH_REACHABLE);
    /* And what we need finds a place for which one of those goes. */
    struct ip_addr needed = world_ip("10.0.0.77");
    CU_ASSERT_PTR_NOT_NULL(neigh_get(&w.net, 0, &needed));
    CU_ASSERT_PTR_EQUAL(entry(&w, "10.0.0.5"), used);
    EXPECT_EQ(used->state, NEIGH_REACHABLE);
    world_down(&w);
}

/* An interface without an address of the family can't ask anybody. */
static void without_an_address_to_ask_from_the_connection_hears(void)
{
    struct world w;
    int err;
    struct ip_addr none = {0};
    struct net_route r = {.dst = world_ip("10.9.0.0"), .prefix_len = 16, .netif = 1};
    struct net_end local = {world_ip("10.0.0.1"), 5000}, remote = {world_ip("10.9.0.5"), 7};
    world_up(&w, &no_arp);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "bare", &none, 0), 1);
    EXPECT_EQ(net_route_add(&w.net, &r), 0);
    struct tcp_conn *c = net_connect_prepare(&w.net, &local, &remote, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 3;
    net_connect_start(&w.net, c);
    world_advance(&w, 5000000);
    world_silence(&w);
    CU_ASSERT(c->flags & TCF_DEAD);
    EXPECT_EQ(c->err, EHOSTUNREACH);
    net_conn_release(&w.net, c);
    world_turn(&w);
    world_down(&w);
}

/* The sources of a flood may look like hosts of our link: their answers wait for neighbours that
 * are not there. */
static void neighbours_that_are_not_there_push_nobody_out(void)
{
    struct world w;
    struct ip_addr wide = world_ip("10.9.0.1");
    world_up(&w, &no_arp);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "wide", &wide, 16), 1);
    for (uint8_t host = 5; host < 60; host++) {
        world_arp(&w, host, false, "10.0.0.1");
        world_turn(&w);
        (void)world_out(&w);
    }
    struct neigh *used = entry(&w, "10.0.0.5");
    for (unsigned i = 0; i < 2 * NEIGH_MAX; i++) {
        struct ip_addr a = ip_addr_v4(be32_make(0x0a090100 + i));
        struct neigh *e = neigh_get(&w.net, 1, &a);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        struct mtcp_pkt *pkt = w.dev.io.alloc(&w.dev.io);
        (void)neigh_resolve(&w.net, e, pkt);
        net_flush(&w.net);
        while (world_out(&w))
            ;
    }
    CU_ASSERT_PTR_EQUAL(entry(&w, "10.0.0.5"), used);
    EXPECT_EQ(used->state, NEIGH_REACHABLE);
    for (uint8_t host = 6; host < 60; host++) { /* nobody used them */
        struct ip_addr a = ip_addr_v4(be32_make(0x0a000000u + host));
        CU_ASSERT_PTR_NULL(neigh_find(&w.net, 0, &a));
    }
    world_down(&w);
}

/* A table full of neighbours in use: the oldest goes, and nothing goes to it any more. */
static void who_was_pushed_out_is_asked_anew(void)
{
    struct world w;
    struct ip_addr wide = world_ip("10.9.0.1");
    world_up(&w, &no_arp);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "wide", &wide, 16), 1);
    world_arp(&w, 5, false, "10.0.0.1");
    world_turn(&w);
    (void)world_out(&w);
    EXPECT_EQ(entry(&w, "10.0.0.5")->state, NEIGH_REACHABLE);
    for (unsigned i = 0; i < NEIGH_MAX; i++) {
        struct ip_addr a = ip_addr_v4(be32_make(0x0a090100 + i));
        struct mac_addr mac = world_mac(9);
        struct neigh *e = neigh_get(&w.net, 1, &a);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        neigh_confirm(&w.net, e, &mac);
    }
    EXPECT_EQ(entry(&w, "10.0.0.5")->state, NEIGH_NONE);
    EXPECT_EQ(be32_get(entry(&w, "10.0.0.5")->ip.w[3]), 0x0a000005);
    world_down(&w);
}

TEST_SUITE(arp, TEST_CASE(the_address_is_announced), TEST_CASE(a_request_for_us_is_answered),
           TEST_CASE(a_request_for_others_teaches_nothing), TEST_CASE(nonsense_teaches_nothing),
           TEST_CASE(a_probe_is_answered), TEST_CASE(packets_wait_for_the_answer),
           TEST_CASE(the_queue_keeps_the_latest), TEST_CASE(all_queues_together_are_bounded),
           TEST_CASE(three_requests_then_the_connection_hears),
           TEST_CASE(without_an_address_to_ask_from_the_connection_hears),
           TEST_CASE(any_number_of_connections_can_wait), TEST_CASE(any_number_of_synacks_can_wait),
           TEST_CASE(who_can_only_be_held_is_asked_for),
           TEST_CASE(a_held_synack_is_sent_once), TEST_CASE(held_synacks_can_end),
           TEST_CASE(held_synacks_look_seldom),
           TEST_CASE(synacks_that_wait_in_vain_end), TEST_CASE(who_waits_is_not_forgotten),
           TEST_CASE(who_is_marked_in_the_flush_waits_once),
           TEST_CASE(who_waited_in_vain_for_a_shut_window_probes_it),
           TEST_CASE(all_of_them_hear_that_nobody_answers),
           TEST_CASE(who_waited_in_vain_is_reset_and_closed),
           TEST_CASE(an_established_connection_goes_on_trying),
           TEST_CASE(an_entry_in_use_is_asked_again),
           TEST_CASE(an_entry_that_does_not_answer_is_forgotten), TEST_CASE(a_static_entry_stays),
           TEST_CASE(a_flood_pushes_nobody_out),
           TEST_CASE(neighbours_that_are_not_there_push_nobody_out),
           TEST_CASE(who_was_pushed_out_is_asked_anew),
           TEST_CASE(silence_puts_a_neighbour_into_doubt));

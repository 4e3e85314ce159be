/* The link that the tests of net/ hold in their hands. */
#include "tests/net_world.h"

#include "mtcp/wire/build.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct net_conf world_conf = {
    .max_half_open = 100,
    .max_time_wait = 100,
    .max_mon_time_wait = 100,
    .rst_per_sec = 1000,
    .port_min = 32768,
    .port_max = 60999,
    .pmtu_expires_s = 600,
    .max_fragment_bytes = 65536,
    .pmtu_black_holes = true,
};

struct ip_addr world_ip(const char *text)
{
    struct ip_addr a;
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse(text, &a), 0);
    return a;
}

struct mac_addr world_mac(uint8_t last)
{
    return (struct mac_addr){{2, 0, 0, 0, 0, last}};
}

/* ---- the device ----------------------------------------------------------------------------- */

static struct mtcp_pkt *pkt_new(uint32_t room)
{
    struct mtcp_pkt *pkt = calloc(1, sizeof(*pkt) + room);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
    pkt->data = (uint8_t *)(pkt + 1);
    pkt->room = room;
    return pkt;
}

static struct mtcp_pkt *dev_alloc(struct mtcp_io *io)
{
    struct world_io *dev = io->priv;
    if (dev->no_pkts)
        return NULL;
    dev->n_out++;
    return pkt_new(dev->room ? dev->room : WORLD_ROOM);
}

static void dev_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    struct world_io *dev = io->priv;
    dev->n_out--;
    free(pkt);
}

static unsigned dev_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct world_io *dev = io->priv;
    unsigned i = 0;
    while (i < n && dev->at_rx < dev->n_rx)
        pkts[i++] = dev->rx[dev->at_rx++];
    dev->n_out += i;
    if (dev->at_rx == dev->n_rx)
        dev->at_rx = dev->n_rx = 0;
    return i;
}

static unsigned dev_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct world_io *dev = io->priv;
    unsigned i = 0;
    while (i < n && dev->n_tx < WORLD_FRAMES && dev->tx_room > 0) {
        dev->tx[dev->n_tx++] = pkts[i++];
        dev->tx_room--;
    }
    dev->n_out -= i;
    return i;
}

static void dev_init(struct world_io *dev, uint32_t caps)
{
    memset(dev, 0, sizeof(*dev));
    dev->tx_room = UINT32_MAX;
    dev->io = (struct mtcp_io){.rx_burst = dev_rx,
                               .tx_burst = dev_tx,
                               .alloc = dev_alloc,
                               .free = dev_free,
                               .caps = caps,
                               .mtu = 1500,
                               .tso_max = 65535,
                               .mac = {2, 0, 0, 0, 0, 1},
                               .name = "test",
                               .priv = dev};
}

/* ---- up and down ---------------------------------------------------------------------------- */

static struct ip_addr ip_of(const struct world *w, unsigned host)
{
    char text[32];
    snprintf(text, sizeof(text), w->is_v6 ? "fd00::%u" : "10.0.0.%u", host);
    return world_ip(text);
}

static void world_up_v6(struct world *w, bool with_neighbour)
{
    struct mac_addr peer_mac = world_mac(2);
    w->is_v6 = true;
    struct ip_addr us = ip_of(w, 1), peer = ip_of(w, 2);
    CU_ASSERT_EQUAL_FATAL(net_addr_add(&w->net, 0, &us, 64), 0);
    if (with_neighbour)
        CU_ASSERT_EQUAL_FATAL(net_neigh_add(&w->net, 0, &peer, &peer_mac), 0);
}

void world_up(struct world *w, const struct world_opts *o)
{
    struct world_opts none = {.conf = world_conf};
    struct ip_addr us = world_ip("10.0.0.1"), peer = world_ip("10.0.0.2");
    struct mac_addr peer_mac = world_mac(2);
    o = o ? o : &none;
    memset(w, 0, sizeof(*w));
    w->mem = mem_create(0);
    dev_init(&w->dev, o->caps);
    CU_ASSERT_EQUAL_FATAL(net_init(&w->net, w->mem, &o->conf, 42, 1000000), 0);
    CU_ASSERT_EQUAL_FATAL(net_if_add(&w->net, &w->dev.io, "test", &us, 24), 0);
    if (!o->no_arp)
        CU_ASSERT_EQUAL_FATAL(net_neigh_add(&w->net, 0, &peer, &peer_mac), 0);
    world_turn(w);
    const struct packet *p = world_out(w);
    CU_ASSERT_FATAL(p && p->kind == PACKET_ARP);
    if (o->is_v6)
        world_up_v6(w, !o->no_arp);
}

void world_down(struct world *w)
{
    net_fini(&w->net);
    EXPECT_EQ(mem_in_use(w->mem), 0);
    mem_destroy(w->mem);
    EXPECT_EQ(w->dev.n_out, 0);
    while (w->dev.at_tx < w->dev.n_tx)
        free(w->dev.tx[w->dev.at_tx++]);
    while (w->dev.at_rx < w->dev.n_rx)
        free(w->dev.rx[w->dev.at_rx++]);
}

void world_turn(struct world *w)
{
    net_rx(&w->net);
    net_timers(&w->net);
    net_flush(&w->net);
}

void world_advance(struct world *w, uint64_t us)
{
    uint64_t end = w->net.env.now_us + us;
    while (w->net.env.now_us < end) {
        uint64_t step = end - w->net.env.now_us;
        w->net.env.now_us += step < 10000 ? step : 10000;
        world_turn(w);
    }
}

/* ---- frames in ------------------------------------------------------------------------------ */

void world_in_frame(struct world *w, const uint8_t *frame, uint32_t len, uint32_t flags)
{
    struct mtcp_pkt *pkt = pkt_new(len);
    CU_ASSERT_FATAL(len <= WORLD_ROOM && w->dev.n_rx < WORLD_FRAMES);
    memcpy(pkt->data, frame, len);
    pkt->len = len;
    pkt->flags = flags;
    pkt->tso_mss = w->in_tso_mss;
    w->dev.rx[w->dev.n_rx++] = pkt;
}

void world_in(struct world *w, struct seg *s)
{
    uint8_t frame[WORLD_ROOM];
    struct build_l2 l2 = {.src = world_mac(2), .dst = world_mac(1)};
    if (s->tuple.local.q[1] == 0) {
        s->tuple.local = ip_of(w, 2);
        s->tuple.remote = ip_of(w, 1);
    }
    if (s->tuple.remote_port == 0)
        s->tuple.remote_port = 80;
    if (s->wnd == 0)
        s->wnd = 50000;
    s->ttl = 64;
    struct build_lens lens = build_tcp(frame, &l2, s, 1);
    uint32_t hdr_len = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    if (s->len > 0)
        memcpy(frame + hdr_len, s->payload, s->len);
    build_tcp_csum(frame, lens, s->len, (struct build_offload){0});
    world_in_frame(w, frame, hdr_len + s->len, 0);
}

void world_seg(struct world *w, uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack)
{
    struct seg s = {
        .tuple.local_port = port, .flags = flags, .seq = seq_make(seq), .ack = seq_make(ack)};
    world_in(w, &s);
}

void world_syn(struct world *w, uint16_t port, uint32_t seq)
{
    struct seg s = {.tuple.local_port = port,
                    .flags = TCP_SYN,
                    .seq = seq_make(seq),
                    .opt = {.has_mss = true, .mss = 1460}};
    world_in(w, &s);
}

void world_arp(struct world *w, uint8_t host, bool is_reply, const char *target)
{
    uint8_t frame[64];
    char sender[16];
    snprintf(sender, sizeof(sender), "10.0.0.%u", host);
    struct build_arp a = {.is_reply = is_reply,
                          .sender_mac = world_mac(host),
                          .sender_ip = world_ip(sender).w[3],
                          .target_ip = world_ip(target).w[3]};
    if (is_reply)
        a.target_mac = world_mac(1);
    world_in_frame(w, frame, build_arp(frame, &a), 0);
}

/* ---- frames out ----------------------------------------------------------------------------- */

const struct packet *world_out(struct world *w)
{
    if (w->dev.at_tx == w->dev.n_tx)
        return NULL;
    struct mtcp_pkt *pkt = w->dev.tx[w->dev.at_tx++];
    if (w->dev.at_tx == w->dev.n_tx)
        w->dev.at_tx = w->dev.n_tx = 0;
    memcpy(w->frame, pkt->data, pkt->len);
    w->frame_flags = pkt->flags;
    w->frame_tso_mss = pkt->tso_mss;
    bool offloaded = pkt->flags & (MTCP_PKT_TX_TCP_CSUM | MTCP_PKT_TX_IP_CSUM);
    CU_ASSERT_EQUAL_FATAL(packet_parse(&w->got, w->frame, pkt->len,
                                       offloaded ? PACKET_CSUM_GOOD : PACKET_CSUM_UNKNOWN),
                          0);
    free(pkt);
    return &w->got;
}

const struct seg *world_expect_at(struct world *w, uint16_t port, uint8_t flags, const char *file,
                                  int line)
{
    static const struct seg none;
    const struct packet *p = world_out(w);
    bool is_seg = p && p->kind == PACKET_TCP;
    test_expect_eq(is_seg, true, "a segment was sent", file, line);
    if (!is_seg)
        return &none;
    test_expect_eq(p->seg.tuple.local_port, port, "its port", file, line);
    test_expect_eq(p->seg.flags, flags, "its flags", file, line);
    return &p->seg;
}

void world_silence_at(struct world *w, const char *file, int line)
{
    const struct packet *p = world_out(w);
    test_expect_eq(p ? (int)p->kind : -1, -1, "kind of a frame that nobody expected", file, line);
    while (p)
        p = world_out(w);
}

/* ---- connections ---------------------------------------------------------------------------- */

void world_listen(struct world *w, struct net_listener *l, uint32_t backlog)
{
    struct ip_addr any = world_ip(w->is_v6 ? "::" : "0.0.0.0");
    memset(l, 0, sizeof(*l));
    l->params = w->net.env.params;
    CU_ASSERT_EQUAL_FATAL(net_listen(&w->net, l, &any, 80, backlog), 0);
}

void world_handshake(struct world *w, uint16_t port)
{
    world_syn(w, port, 1000);
    world_turn(w);
    const struct seg *s = world_expect(w, port, TCP_SYN | TCP_ACK);
    world_seg(w, port, TCP_ACK, 1001, s->seq.v + 1);
    world_turn(w);
}

struct flow *world_flow(struct world *w, uint16_t port)
{
    struct flow_tuple t = {
        .local = ip_of(w, 1), .remote = ip_of(w, 2), .local_port = 80, .remote_port = port};
    return flow_table_find(w->net.flows, &t, flow_table_hash(w->net.flows, &t));
}

struct tcp_conn *world_connect(struct world *w)
{
    int err;
    struct net_end local = {0}, remote = {ip_of(w, 2), 7};
    struct tcp_conn *c = net_connect_prepare(&w->net, &local, &remote, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 3;
    net_connect_start(&w->net, c);
    world_turn(w);
    (void)world_expect(w, 7, TCP_SYN);
    return c;
}

/* Packets out: frames, checksums and segmentation by whom, what happens when nothing can go. */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/net/packet_out.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* A connection that the peer takes any number of bytes from. */
static struct tcp_conn *open_conn(struct world *w, struct net_listener *l, uint16_t port)
{
    if (l->port == 0)
        world_listen(w, l, 10);
    world_handshake(w, port);
    struct tcp_conn *c = net_accept(&w->net, l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = port;
    c->flags |= TCF_NODELAY;
    c->cwnd = 1u << 20;
    return c;
}

static void write_pattern(struct world *w, struct tcp_conn *c, uint32_t len)
{
    static uint8_t bytes[200000];
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(stream_next(&c->snd) + i);
    EXPECT_EQ(tcp_send(&w->net.env, c, bytes, len), len);
}

/* Is the payload what write_pattern() wrote at this offset? */
static bool is_pattern(const struct seg *s, const struct tcp_conn *c)
{
    uint32_t off = s->seq.v - c->iss.v - 1;
    for (uint32_t i = 0; i < s->len; i++)
        if (s->payload[i] != (uint8_t)(off + i))
            return false;
    return true;
}

static void ack_all(struct world *w, const struct tcp_conn *c)
{
    world_seg(w, c->tuple.remote_port, TCP_ACK, 1001,
              c->iss.v + 1 + (uint32_t)stream_next(&c->snd));
    world_turn(w);
}

/* ---- frames --------------------------------------------------------------------------------- */

static void a_frame_is_complete(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    write_pattern(&w, c, 100);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_ACK | TCP_PSH);
    EXPECT_EQ(s->len, 100);
    CU_ASSERT(is_pattern(s, c));
    EXPECT_EQ(s->tuple.remote_port, 80);
    EXPECT_EQ(s->ttl, 64);
    EXPECT_EQ(w.got.eth_dst.b[5], 2);
    EXPECT_EQ(w.got.eth_src.b[5], 1);
    EXPECT_EQ(w.got.src.b[15], 1);
    EXPECT_EQ(w.got.dst.b[15], 2);
    EXPECT_EQ(w.got.ip_id, 0);                 /* no counter of what we send */
    EXPECT_EQ(w.frame[ETH_HDR_LEN + 6], 0x40); /* don't fragment */
    EXPECT_EQ(w.frame_flags, 0);
    world_down(&w);
}

/* RFC 9293 MUST-48, MUST-49, SHLD-21, SHLD-22 */
static void what_was_asked_for_is_in_the_ip_header(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    for (unsigned i = 1; i < 4; i++) {
        c->tos = (uint8_t)(i << 5); /* may change at any time */
        c->ttl = (uint8_t)(7 * i);
        write_pattern(&w, c, 10);
        world_turn(&w);
        const struct seg *s = world_expect(&w, 4000, TCP_ACK | TCP_PSH);
        EXPECT_EQ(s->tos, i << 5);
        EXPECT_EQ(s->ttl, 7 * i);
    }
    world_down(&w);
}

/* The ring wraps: a segment in two pieces. */
static void a_payload_in_two_pieces_is_copied_whole(void)
{
    struct world w;
    struct net_listener l = {0};
    uint32_t n_bytes = 0;
    world_up(&w, NULL);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    for (unsigned i = 0; i < 40; i++) {
        write_pattern(&w, c, 997);
        world_turn(&w);
        for (const struct packet *p; (p = world_out(&w)) != NULL; n_bytes += p->seg.len)
            CU_ASSERT(is_pattern(&p->seg, c));
        if (i % 3 == 0)
            ack_all(&w, c);
    }
    EXPECT_EQ(n_bytes, 40 * 997);
    world_down(&w);
}

static void checksums_are_left_to_the_device_that_does_them(void)
{
    struct world w;
    struct net_listener l = {0};
    struct world_opts o = {.conf = world_conf, .caps = MTCP_IO_TX_IP_CSUM | MTCP_IO_TX_TCP_CSUM};
    world_up(&w, &o);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    write_pattern(&w, c, 10);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_ACK | TCP_PSH);
    EXPECT_EQ(w.frame_flags, MTCP_PKT_TX_IP_CSUM | MTCP_PKT_TX_TCP_CSUM);
    uint16_t field;
    memcpy(&field, w.frame + w.got.l4_off + offsetof(struct tcp_hdr, csum), sizeof(field));
    uint32_t l4_len = w.got.frame_len - w.got.l4_off;
    uint64_t pseudo = csum_pseudo(&w.got.src, &w.got.dst, IP_PROTO_TCP, l4_len);
    EXPECT_EQ(field, (uint16_t)~csum_fold(pseudo));
    EXPECT_EQ(s->len, 10);
    world_down(&w);
}

static void the_device_cuts_large_segments(void)
{
    struct world w;
    struct net_listener l = {0};
    struct world_opts o = {.conf = world_conf,
                           .caps = MTCP_IO_TSO | MTCP_IO_TX_IP_CSUM | MTCP_IO_TX_TCP_CSUM};
    world_up(&w, &o);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    w.net.env.params.min_tso_segs = 64;
    write_pattern(&w, c, 20000);
    world_turn(&w);
    uint32_t largest = 0, sum = 0;
    for (const struct packet *p; (p = world_out(&w)) != NULL;) {
        CU_ASSERT(is_pattern(&p->seg, c));
        sum += p->seg.len;
        if (p->seg.len > largest) {
            largest = p->seg.len;
            EXPECT_EQ(w.frame_tso_mss, 1460);
            CU_ASSERT(w.frame_flags & MTCP_PKT_TX_TSO);
        }
    }
    EXPECT_EQ(sum, 20000);
    CU_ASSERT(largest > 10 * 1460);
    world_down(&w);
}

/* A device that cuts but does not sum is given MTU frames. */
static void segmentation_needs_checksums(void)
{
    struct world w;
    struct net_listener l = {0};
    struct world_opts o = {.conf = world_conf, .caps = MTCP_IO_TSO};
    world_up(&w, &o);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    write_pattern(&w, c, 5000);
    world_turn(&w);
    for (const struct packet *p; (p = world_out(&w)) != NULL;)
        CU_ASSERT(p->seg.len <= 1460);
    world_down(&w);
}

/* ---- nothing can go ------------------------------------------------------------------------- */

static void without_buffers_it_goes_next_turn(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    write_pattern(&w, c, 100);
    w.dev.no_pkts = true;
    world_turn(&w);
    world_silence(&w);
    CU_ASSERT(w.net.ifs[0].tx_no_buffer > 0);
    CU_ASSERT(net_has_work(&w.net));
    w.dev.no_pkts = false;
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_ACK | TCP_PSH);
    EXPECT_EQ(s->len, 100);
    CU_ASSERT(is_pattern(s, c));
    world_silence(&w);
    CU_ASSERT(!net_has_work(&w.net));
    world_down(&w);
}

/* A device that is dead: the connection's own timers take over, and the loop may sleep. */
static void when_it_lasts_timers_take_over(void)
{
    struct world w;
    int err;
    struct net_end local = {0}, remote = {world_ip("10.0.0.2"), 7};
    world_up(&w, NULL);
    w.dev.no_pkts = true;
    struct tcp_conn *c = net_connect_prepare(&w.net, &local, &remote, &err);
    c->sock = 1;
    net_connect_start(&w.net, c);
    world_advance(&w, 900000);
    CU_ASSERT(net_has_work(&w.net));
    w.dev.no_pkts = false;
    world_turn(&w);
    (void)world_expect(&w, 7, TCP_SYN);
    w.dev.no_pkts = true;
    world_advance(&w, 1900000); /* again, from the retransmission on */
    CU_ASSERT(net_has_work(&w.net));
    world_advance(&w, 200000);
    CU_ASSERT(!net_has_work(&w.net));
    CU_ASSERT(net_next_us(&w.net) < WHEEL_NEVER_US);
    world_advance(&w, 300000000);
    EXPECT_EQ(c->state, TCPS_CLOSED);
    EXPECT_EQ(c->err, ETIMEDOUT);
    net_conn_release(&w.net, c);
    world_down(&w);
}

static void what_the_device_refuses_is_kept_in_order(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    write_pattern(&w, c, 10 * 1460);
    w.dev.tx_room = 3;
    world_turn(&w);
    EXPECT_EQ(w.dev.n_tx, 3);
    EXPECT_EQ(w.net.ifs[0].n_tx, 7);
    CU_ASSERT(net_has_work(&w.net));
    w.dev.tx_room = 100;
    world_turn(&w);
    for (uint32_t i = 0; i < 10; i++)
        EXPECT_EQ(world_expect(&w, 4000, i < 9 ? TCP_ACK : TCP_ACK | TCP_PSH)->seq.v,
                  c->iss.v + 1 + i * 1460);
    world_silence(&w);
    EXPECT_EQ(w.net.ifs[0].tx_refused, 7);
    world_down(&w);
}

static void what_waits_is_bounded(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    write_pattern(&w, c, 34 * 1460);
    w.dev.tx_room = 0;
    world_turn(&w);
    world_turn(&w);
    EXPECT_EQ(w.net.ifs[0].n_tx, NET_TX_BURST);
    EXPECT_EQ(w.dev.n_out, NET_TX_BURST);
    EXPECT_EQ(c->snd_nxt, NET_TX_BURST * 1460);
    w.dev.tx_room = 100;
    world_turn(&w);
    uint32_t bytes = 0;
    for (const struct packet *p; (p = world_out(&w)) != NULL; bytes += p->seg.len)
        EXPECT_EQ(p->seg.seq.v, c->iss.v + 1 + bytes);
    EXPECT_EQ(bytes, 34 * 1460);
    world_down(&w);
}

/* A device whose packets hold less than it said. */
static void small_packets_are_no_overflow(void)
{
    struct world w;
    struct net_listener l = {0};
    world_up(&w, NULL);
    struct tcp_conn *c = open_conn(&w, &l, 4000);
    w.dev.room = 300;
    write_pattern(&w, c, 1000);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.dev.n_out, 0);
    w.dev.room = 40;
    world_turn(&w);
    world_silence(&w);
    w.dev.room = 0;
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4000, TCP_ACK | TCP_PSH)->len, 1000);
    world_down(&w);
}

static void a_wide_window_does_not_starve_the_others(void)
{
    struct world w;
    struct net_listener l = {0};
    struct seg s = {.tuple.local_port = 4000, .flags = TCP_ACK, .seq = seq_make(1001)};
    world_up(&w, NULL);
    struct tcp_conn *wide = open_conn(&w, &l, 4000), *other = open_conn(&w, &l, 4001);
    wide->snd_wnd = wide->snd_wnd_max = 1u << 20;
    wide->snd_wscale = 5;
    s.ack = seq_add(wide->iss, 1);
    world_in(&w, &s);
    write_pattern(&w, wide, 150000);
    write_pattern(&w, other, 10);
    world_turn(&w);
    uint32_t bytes[2] = {0};
    for (const struct packet *p; (p = world_out(&w)) != NULL;)
        bytes[p->seg.tuple.local_port - 4000] += p->seg.len;
    EXPECT_EQ(bytes[0], 64 * 1460);
    EXPECT_EQ(bytes[1], 10);
    CU_ASSERT(net_has_work(&w.net));
    world_turn(&w);
    for (const struct packet *p; (p = world_out(&w)) != NULL;)
        bytes[0] += p->seg.len;
    EXPECT_EQ(bytes[0], 150000);
    world_down(&w);
}

/* Six connections with 40 segments each: a turn's share, then receiving, then those that waited. */
static void a_turn_has_a_share(void)
{
    enum { CONNS = 6, SEGS = 40 };
    struct world w;
    struct net_listener l = {0};
    struct tcp_conn *c[CONNS];
    world_up(&w, NULL);
    for (uint16_t i = 0; i < CONNS; i++)
        c[i] = open_conn(&w, &l, (uint16_t)(4000 + i));
    for (unsigned i = 0; i < CONNS; i++) {
        c[i]->snd_wnd = c[i]->snd_wnd_max = 1u << 20;
        write_pattern(&w, c[i], SEGS * 1460);
    }
    world_turn(&w);
    unsigned n_out = 0;
    for (const struct packet *p; (p = world_out(&w)) != NULL; n_out++)
        EXPECT_EQ(p->seg.tuple.local_port, 4000 + n_out / SEGS);
    EXPECT_EQ(n_out, 4 * SEGS); /* 128 are a share, and the one that reaches it goes on */
    CU_ASSERT(net_has_work(&w.net));
    write_pattern(&w, c[0], 10); /* marked anew: behind those that wait */
    world_turn(&w);
    for (const struct packet *p; (p = world_out(&w)) != NULL; n_out++)
        EXPECT_EQ(p->seg.tuple.local_port, 4000 + (n_out < CONNS * SEGS ? n_out / SEGS : 0));
    EXPECT_EQ(n_out, CONNS * SEGS + 1);
    CU_ASSERT(!net_has_work(&w.net));
    world_down(&w);
}

static void without_a_route_nothing_is_sent(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    struct seg s = {.tuple = {.local = world_ip("192.0.2.1"),
                              .remote = world_ip("10.0.0.1"),
                              .local_port = 4000},
                    .flags = TCP_SYN};
    world_in(&w, &s);
    s.tuple.remote_port = 81;
    world_in(&w, &s);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.stats.no_route, 2);
    EXPECT_EQ(l.n_half_open, 0);
    world_down(&w);
}

TEST_SUITE(packet_out, TEST_CASE(a_frame_is_complete),
           TEST_CASE(a_payload_in_two_pieces_is_copied_whole),
           TEST_CASE(checksums_are_left_to_the_device_that_does_them),
           TEST_CASE(the_device_cuts_large_segments), TEST_CASE(segmentation_needs_checksums),
           TEST_CASE(without_buffers_it_goes_next_turn), TEST_CASE(when_it_lasts_timers_take_over),
           TEST_CASE(what_the_device_refuses_is_kept_in_order), TEST_CASE(what_waits_is_bounded),
           TEST_CASE(small_packets_are_no_overflow),
           TEST_CASE(a_wide_window_does_not_starve_the_others), TEST_CASE(a_turn_has_a_share),
           TEST_CASE(without_a_route_nothing_is_sent),
           TEST_CASE(what_was_asked_for_is_in_the_ip_header));

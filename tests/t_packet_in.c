/* Packets in: what is for us and what is not, where a segment goes, what the monitor is told. */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/wire/build.h"

#include <errno.h>
#include <string.h>

/* ---- what is not for us --------------------------------------------------------------------- */

static uint32_t syn_frame(uint8_t frame[BUILD_HDR_MAX], const struct build_l2 *l2, const char *to)
{
    struct seg s = {.tuple = {.local = world_ip("10.0.0.2"),
                              .remote = world_ip(to),
                              .local_port = 4000,
                              .remote_port = 80},
                    .flags = TCP_SYN,
                    .ttl = 64};
    struct build_lens lens = build_tcp(frame, l2, &s, 1);
    build_tcp_csum(frame, lens, 0, (struct build_offload){0});
    return (uint32_t)lens.l2 + lens.l3 + lens.l4;
}

static void not_ours_is_counted_and_dropped(void)
{
    struct world w;
    uint8_t frame[BUILD_HDR_MAX];
    world_up(&w, NULL);
    struct build_l2 others = {.src = world_mac(2), .dst = world_mac(9)};
    struct build_l2 all = {.src = world_mac(2), .dst = {{255, 255, 255, 255, 255, 255}}};
    struct build_l2 ours = {.src = world_mac(2), .dst = world_mac(1)};
    world_in_frame(&w, frame, syn_frame(frame, &others, "10.0.0.1"), 0);
    world_in_frame(&w, frame, syn_frame(frame, &all, "10.0.0.1"), 0);
    world_in_frame(&w, frame, syn_frame(frame, &ours, "10.0.0.7"), 0);
    struct build_arp arp = {.is_reply = true,
                            .sender_mac = world_mac(2),
                            .sender_ip = world_ip("10.0.0.2").w[3],
                            .target_mac = world_mac(9),
                            .target_ip = world_ip("10.0.0.9").w[3]};
    world_in_frame(&w, frame, build_arp(frame, &arp), 0);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.ifs[0].rx_not_ours, 4);
    EXPECT_EQ(w.net.ifs[0].rx_packets, 4);
    world_in_frame(&w, frame, syn_frame(frame, &ours, "10.0.0.1"), 0);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_RST | TCP_ACK);
    world_down(&w);
}

/* RFC 9293 MUST-3 */
static void bad_packets_are_counted_and_dropped(void)
{
    struct world w;
    uint8_t frame[BUILD_HDR_MAX];
    world_up(&w, NULL);
    struct build_l2 l2 = {.src = world_mac(2), .dst = world_mac(1)};
    uint32_t len = syn_frame(frame, &l2, "10.0.0.1");
    world_in_frame(&w, frame, len, MTCP_PKT_RX_CSUM_BAD);
    frame[len - 1] ^= 1;
    world_in_frame(&w, frame, len, 0);
    world_in_frame(&w, frame, 20, 0);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.ifs[0].rx_bad_csum, 2);
    EXPECT_EQ(w.net.ifs[0].rx_malformed, 1);
    world_in_frame(&w, frame, len, MTCP_PKT_RX_CSUM_GOOD); /* the device knows better */
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_RST | TCP_ACK);
    world_down(&w);
}

/* RFC 9293 MUST-63, RFC 1122 4.2.3.10; and our own address as the sender (land). */
static void senders_that_are_no_hosts_get_nothing(void)
{
    static const char *const from[] = {"224.0.0.1", "255.255.255.255", "127.0.0.1",
                                       "0.0.0.0",   "10.0.0.1",        "240.0.0.1"};
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    for (unsigned i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        struct seg s = {.tuple = {.local = world_ip(from[i]),
                                  .remote = world_ip("10.0.0.1"),
                                  .local_port = 4000},
                        .flags = TCP_SYN};
        world_in(&w, &s);
    }
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(l.n_half_open, 0);
    world_down(&w);
}

/* Though the frame was for us alone. (RFC 9293 MUST-57) */
static void segments_to_many_get_nothing(void)
{
    static const char *const to[] = {"224.0.0.1", "239.1.2.3", "255.255.255.255", "10.0.0.255"};
    struct world w;
    struct net_listener l;
    uint8_t frame[BUILD_HDR_MAX];
    struct build_l2 ours = {.src = world_mac(2), .dst = world_mac(1)};
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++)
        world_in_frame(&w, frame, syn_frame(frame, &ours, to[i]), 0);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(l.n_half_open, 0);
    world_down(&w);
}

/* The answer goes where routes lead, without options, whatever way the SYN says it took. (RFC 9293
 * not MUST-51, MUST-52, MUST-53) */
static void source_routes_are_not_followed(void)
{
    static const uint8_t lsrr[8] = {131, 7, 8, 192, 0, 2, 77, 0};
    struct world w;
    struct net_listener l;
    uint8_t frame[BUILD_HDR_MAX + 8];
    struct build_l2 ours = {.src = world_mac(2), .dst = world_mac(1)};
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    uint32_t len = syn_frame(frame, &ours, "10.0.0.1");
    memmove(frame + 14 + 28, frame + 14 + 20, len - 34);
    memcpy(frame + 14 + 20, lsrr, sizeof(lsrr));
    frame[14] = 0x47;
    frame[14 + 3] = (uint8_t)(len + 8 - 14);
    world_in_frame(&w, frame, len + 8, MTCP_PKT_RX_CSUM_GOOD);
    world_turn(&w);
    (void)world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    EXPECT_EQ(w.got.l4_off, 14 + 20);
    EXPECT_EQ(w.got.dst.b[15], 2);
    world_down(&w);
}

/* ---- segments of nobody --------------------------------------------------------------------- */

static void nobody_answers_with_a_reset(void)
{
    struct world w;
    world_up(&w, NULL);
    world_seg(&w, 4000, TCP_SYN, 100, 0);
    world_turn(&w);
    const struct seg *s = world_expect(&w, 4000, TCP_RST | TCP_ACK);
    EXPECT_EQ(s->seq.v, 0);
    EXPECT_EQ(s->ack.v, 101);
    world_seg(&w, 4000, TCP_ACK, 100, 777);
    world_turn(&w);
    s = world_expect(&w, 4000, TCP_RST);
    EXPECT_EQ(s->seq.v, 777);
    world_seg(&w, 4000, TCP_RST, 100, 0);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.stats.orphan_segs, 3);
    EXPECT_EQ(w.net.stats.rst_sent, 2);
    world_down(&w);
}

static void resets_are_rate_limited(void)
{
    struct world w;
    struct world_opts o = {.conf = world_conf};
    o.conf.rst_per_sec = 10;
    world_up(&w, &o);
    for (unsigned i = 0; i < 30; i++)
        world_seg(&w, (uint16_t)(4000 + i), TCP_ACK, 1, 1);
    world_turn(&w);
    EXPECT_EQ(w.net.stats.rst_sent, 2); /* one, and what a tenth of a second saves up */
    EXPECT_EQ(w.net.stats.rst_limited, 28);
    world_advance(&w, 1000000);
    for (unsigned i = 0; i < 30; i++)
        world_seg(&w, (uint16_t)(4000 + i), TCP_ACK, 1, 1);
    world_turn(&w);
    EXPECT_EQ(w.net.stats.rst_sent, 4);
    world_down(&w);
}

static void fragments_are_counted(void)
{
    struct world w;
    uint8_t frame[BUILD_HDR_MAX];
    world_up(&w, NULL);
    struct build_l2 l2 = {.src = world_mac(2), .dst = world_mac(1)};
    uint32_t len = syn_frame(frame, &l2, "10.0.0.1");
    frame[14 + 6] = 0x20; /* more fragments */
    world_in_frame(&w, frame, len, MTCP_PKT_RX_CSUM_GOOD);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.stats.fragments_dropped, 1);
    world_down(&w);
}

/* ---- connections ---------------------------------------------------------------------------- */

static void data_reaches_the_connection(void)
{
    struct world w;
    struct net_listener l;
    char got[8] = "";
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 1;
    struct seg s = {.tuple.local_port = 4000,
                    .flags = TCP_ACK | TCP_PSH,
                    .seq = seq_make(1001),
                    .ack = seq_add(c->iss, 1),
                    .payload = (const uint8_t *)"hello",
                    .len = 5};
    world_in(&w, &s);
    world_turn(&w);
    EXPECT_EQ(tcp_readable(c), 5);
    EXPECT_EQ(stream_copy(&c->rcv, 0, got, 5), 5);
    CU_ASSERT_STRING_EQUAL(got, "hello");
    world_down(&w);
}

/* What a device says of a frame that it joined of several segments reaches the connection. */
static void joined_segments_are_known_as_such(void)
{
    static const uint8_t bytes[3000];
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 1;
    struct seg s = {.tuple.local_port = 4000,
                    .flags = TCP_ACK,
                    .seq = seq_make(1001),
                    .ack = seq_add(c->iss, 1),
                    .payload = bytes,
                    .len = sizeof(bytes)};
    w.in_tso_mss = 1000;
    world_in(&w, &s);
    world_turn(&w);
    EXPECT_EQ(tcp_readable(c), sizeof(bytes));
    EXPECT_EQ(c->rcv_mss, 1000);
    world_down(&w);
}

/* Several bursts: every packet is taken, each once, up to a turn's share. */
static void full_bursts_are_taken_whole(void)
{
    enum { SHARE = 8 * IO_BURST, MORE = IO_BURST + 5 };
    struct world w;
    struct world_opts o = {.conf = world_conf};
    o.conf.rst_per_sec = 0;
    world_up(&w, &o);
    for (unsigned i = 0; i < SHARE + MORE; i++)
        world_seg(&w, (uint16_t)(4000 + i), TCP_ACK, 1, i);
    EXPECT_EQ(net_rx(&w.net), SHARE);
    EXPECT_EQ(net_rx(&w.net), MORE);
    EXPECT_EQ(net_rx(&w.net), 0);
    net_flush(&w.net);
    for (unsigned i = 0; i < SHARE + MORE; i++)
        EXPECT_EQ(world_expect(&w, (uint16_t)(4000 + i), TCP_RST)->seq.v, i);
    world_silence(&w);
    world_down(&w);
}

/* A connection that dies in a burst does not take what follows in the same burst. */
static void the_dead_take_nothing(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    world_seg(&w, 4000, TCP_RST, 1001, 0);
    world_syn(&w, 4000, 5000);
    world_turn(&w);
    EXPECT_EQ(c->state, TCPS_CLOSED);
    EXPECT_EQ(c->err, ECONNRESET);
    EXPECT_EQ(world_expect(&w, 4000, TCP_SYN | TCP_ACK)->ack.v, 5001);
    EXPECT_EQ(world_flow(&w, 4000)->kind, FLOW_HALF_OPEN);
    EXPECT_EQ(net_n_conns(&w.net), 1);
    net_conn_release(&w.net, c);
    world_turn(&w);
    EXPECT_EQ(w.net.conns.n_used, 0);
    world_down(&w);
}

/* ---- the end of connections ----------------------------------------------------------------- */

static void an_owner_keeps_a_dead_connection(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    world_seg(&w, 4000, TCP_RST, 1001, 0);
    world_turn(&w);
    CU_ASSERT_PTR_NULL(world_flow(&w, 4000));
    EXPECT_EQ(net_n_conns(&w.net), 0);
    EXPECT_EQ(w.net.conns.n_used, 1);
    world_advance(&w, 1000000);
    EXPECT_EQ(c->err, ECONNRESET);
    tcp_close(&w.net.env, c);
    net_conn_release(&w.net, c);
    CU_ASSERT(net_has_work(&w.net));
    world_turn(&w);
    EXPECT_EQ(w.net.conns.n_used, 0);
    CU_ASSERT(!net_has_work(&w.net));
    world_down(&w);
}

static void without_an_owner_it_is_freed_at_once(void)
{
    struct world w;
    world_up(&w, NULL);
    struct tcp_conn *c = world_connect(&w);
    tcp_close(&w.net.env, c);
    net_conn_release(&w.net, c);
    world_turn(&w);
    EXPECT_EQ(w.net.conns.n_used, 0);
    EXPECT_EQ(flow_table_count(w.net.flows), 0);
    CU_ASSERT_PTR_NULL(w.net.env.ready_head);
    world_down(&w);
}

/* Both ways on to the ready list and off it in one turn. */
static void the_ready_list_stays_whole(void)
{
    struct world w;
    struct net_listener l;
    struct tcp_conn *c[5];
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    for (uint16_t i = 0; i < 5; i++) {
        world_handshake(&w, (uint16_t)(4000 + i));
        c[i] = net_accept(&w.net, &l);
        c[i]->sock = i;
    }
    for (uint16_t i = 0; i < 5; i += 2) { /* the first, the middle and the last go */
        tcp_close(&w.net.env, c[i]);
        net_conn_release(&w.net, c[i]);
        world_seg(&w, (uint16_t)(4000 + i), TCP_RST, 1001, 0);
    }
    world_turn(&w);
    EXPECT_EQ(w.net.conns.n_used, 2);
    CU_ASSERT_PTR_EQUAL(w.net.env.ready_head, c[1]);
    CU_ASSERT_PTR_EQUAL(c[1]->ready_next, c[3]);
    CU_ASSERT_PTR_NULL(c[3]->ready_next);
    CU_ASSERT_PTR_EQUAL(w.net.env.ready_tail, &c[3]->ready_next);
    world_down(&w);
}

TEST_SUITE(packet_in, TEST_CASE(not_ours_is_counted_and_dropped),
           TEST_CASE(bad_packets_are_counted_and_dropped),
           TEST_CASE(senders_that_are_no_hosts_get_nothing), TEST_CASE(nobody_answers_with_a_reset),
           TEST_CASE(resets_are_rate_limited), TEST_CASE(fragments_are_counted),
           TEST_CASE(data_reaches_the_connection), TEST_CASE(joined_segments_are_known_as_such),
           TEST_CASE(full_bursts_are_taken_whole), TEST_CASE(the_dead_take_nothing),
           TEST_CASE(an_owner_keeps_a_dead_connection),
           TEST_CASE(without_an_owner_it_is_freed_at_once), TEST_CASE(the_ready_list_stays_whole),
           TEST_CASE(segments_to_many_get_nothing), TEST_CASE(source_routes_are_not_followed));

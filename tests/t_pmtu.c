/* Path MTUs: learnt from ICMP or from silence, shared by a destination's connections, forgotten
 * with time. */
#include "mtcp/net/pmtu.h"
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/wire/build.h"

#include <errno.h>
#include <string.h>

#define SEC 1000000u

static struct world w;
static struct net_listener l;

/* A router's word about the segment of `c` at the stream's offset `off`. */
static void frag_needed(const struct tcp_conn *c, uint32_t off, uint16_t mtu)
{
    uint8_t frame[256], data[4 + BUILD_HDR_MAX] = {0};
    struct seg quoted = {
        .tuple = c->tuple, .seq = seq_add(c->iss, 1 + off), .flags = TCP_ACK, .ttl = 1};
    data[2] = (uint8_t)(mtu >> 8);
    data[3] = (uint8_t)mtu;
    (void)build_tcp(data + 4, NULL, &quoted, 7);
    struct build_icmp i = {.l2 = {.src = world_mac(2), .dst = world_mac(1)},
                           .src = world_ip("192.0.2.9"),
                           .dst = world_ip("10.0.0.1"),
                           .type = 3,
                           .code = 4,
                           .ttl = 64,
                           .data = data,
                           .len = 4 + 28};
    world_in_frame(&w, frame, build_icmp(frame, &i), 0);
    world_turn(&w);
}

static struct tcp_conn *accepted(uint16_t port)
{
    world_handshake(&w, port);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = port;
    while (world_out(&w))
        ;
    return c;
}

static void up(bool black_holes)
{
    struct world_opts o = {.conf = world_conf};
    o.conf.pmtu_black_holes = black_holes;
    world_up(&w, &o);
    world_listen(&w, &l, 10);
}

static void write_bytes(struct tcp_conn *c, uint32_t n)
{
    static const char zeros[65536];
    EXPECT_EQ(tcp_send(&w.net.env, c, zeros, n), n);
    world_turn(&w);
}

/* Takes off what was sent and says how it was cut: the largest payload, and the number. */
static uint32_t largest_out(unsigned *n)
{
    uint32_t most = 0;
    const struct packet *p;
    *n = 0;
    while ((p = world_out(&w)) != NULL) {
        most = p->seg.len > most ? p->seg.len : most;
        (*n)++;
    }
    return most;
}

static void ack_all(const struct tcp_conn *c, uint16_t port)
{
    world_seg(&w, port, TCP_ACK, 1001, seq_of_off(c->iss, c->snd_max).v);
    world_turn(&w);
}

static void what_was_too_large_goes_again_at_once(void)
{
    unsigned n;
    up(true);
    struct tcp_conn *c = accepted(4000);
    write_bytes(c, 14600);
    EXPECT_EQ(largest_out(&n), 1460);
    EXPECT_EQ(n, 10);
    uint32_t cwnd = c->cwnd;
    frag_needed(c, 1460, 1000);
    EXPECT_EQ(largest_out(&n), 960);
    EXPECT_EQ(n, 12); /* of twenty: 960 and 500 in turn, for the window is smaller (RFC 5681 3.1) */
    EXPECT_EQ(c->cwnd, cwnd / 1460 * 960);
    EXPECT_EQ(w.net.stats.pmtu_lowered, 1);
    frag_needed(c, 1460, 1000);
    frag_needed(c, 1460, 1400); /* larger: no news */
    EXPECT_EQ(c->mss, 960);
    EXPECT_EQ(largest_out(&n), 0);
    EXPECT_EQ(w.net.stats.pmtu_lowered, 1);
    world_down(&w);
}

static void the_destinations_connections_share_it(void)
{
    unsigned n;
    up(true);
    struct tcp_conn *old = accepted(4001), *c = accepted(4000);
    write_bytes(c, 1460);
    frag_needed(c, 0, 1000);
    (void)largest_out(&n);
    write_bytes(old, 1460);
    EXPECT_EQ(largest_out(&n), 1460); /* it has not heard ... */
    frag_needed(old, 0, 1000);        /* ... and is told, too */
    EXPECT_EQ(largest_out(&n), 960);
    EXPECT_EQ(n, 2);
    EXPECT_EQ(w.net.stats.pmtu_lowered, 1);
    struct tcp_conn *new = accepted(4002);
    write_bytes(new, 2000);
    EXPECT_EQ(largest_out(&n), 960);
    world_syn(&w, 4003, 1);
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 4003, TCP_SYN | TCP_ACK)->opt.mss, 1460); /* what we take */
    world_down(&w);
}

static void active_opens_know_it_too(void)
{
    unsigned n;
    up(true);
    struct tcp_conn *c = accepted(4000);
    write_bytes(c, 1460);
    frag_needed(c, 0, 1000);
    (void)largest_out(&n);
    int err;
    struct net_end local = {0}, remote = {world_ip("10.0.0.2"), 7};
    struct tcp_conn *a = net_connect_prepare(&w.net, &local, &remote, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    a->sock = 3;
    net_connect_start(&w.net, a);
    world_turn(&w);
    EXPECT_EQ(world_expect(&w, 7, TCP_SYN)->opt.mss, 1460);
    struct seg s = {.tuple = {.local_port = 7, .remote_port = a->tuple.local_port},
                    .flags = TCP_SYN | TCP_ACK,
                    .seq = seq_make(500),
                    .ack = seq_add(a->iss, 1),
                    .opt = {.has_mss = true, .mss = 1460}};
    world_in(&w, &s);
    world_turn(&w);
    write_bytes(a, 3000);
    EXPECT_EQ(largest_out(&n), 960);
    world_down(&w);
}

static void it_is_forgotten_after_ten_minutes(void)
{
    unsigned n;
    up(true);
    struct tcp_conn *c = accepted(4000);
    write_bytes(c, 1460);
    frag_needed(c, 0, 1000);
    ack_all(c, 4000);
    (void)largest_out(&n);
    w.net.env.now_us += 599ull * SEC;
    write_bytes(c, 1460);
    ack_all(c, 4000);
    EXPECT_EQ(largest_out(&n), 960);
    ack_all(c, 4000);
    w.net.env.now_us += 2ull * SEC;
    write_bytes(c, 1460);
    EXPECT_EQ(largest_out(&n), 1460);
    CU_ASSERT(!(c->flags & TCF_MTU_LOW));
    world_down(&w);
}

/* The MSS that is in use after so many seconds in which full segments vanish. */
static uint32_t after_silence(unsigned seconds, bool black_holes, uint32_t bytes)
{
    unsigned n;
    up(black_holes);
    struct tcp_conn *c = accepted(4000);
    write_bytes(c, bytes);
    world_advance(&w, (uint64_t)seconds * SEC);
    uint32_t mss = c->mss;
    (void)largest_out(&n);
    if (mss < 1460) { /* what is sent again is as small, and its ACK lets the rest follow */
        ack_all(c, 4000);
        write_bytes(c, 2000);
        EXPECT_EQ(largest_out(&n), mss);
    }
    world_down(&w);
    return mss;
}

static void full_segments_that_vanish_are_made_smaller(void)
{
    EXPECT_EQ(after_silence(5, true, 1460), 1460);
    EXPECT_EQ(after_silence(8, true, 1460), 1024);
    EXPECT_EQ(after_silence(40, true, 1460), 512);
    EXPECT_EQ(after_silence(100, true, 1460), 512);
}

static void every_connection_gets_out_of_the_hole(void)
{
    up(true);
    struct tcp_conn *c[2] = {accepted(4000), accepted(4001)};
    write_bytes(c[0], 1460);
    write_bytes(c[1], 1460);
    world_advance(&w, 8ull * SEC);
    EXPECT_EQ(c[0]->mss, 1024);
    EXPECT_EQ(c[1]->mss, 1024);
    EXPECT_EQ(w.net.stats.pmtu_lowered, 1);
    world_down(&w);
}

static void small_ones_are_not(void)
{
    EXPECT_EQ(after_silence(30, true, 1000), 1460);
}

static void nor_is_anything_when_told_so(void)
{
    EXPECT_EQ(after_silence(30, false, 1460), 1460);
}

/* IP_MTU_DISCOVER: who says so is not told, and its segments may be cut on the way. */
static void who_does_not_want_to_know_keeps_its_size(void)
{
    static const struct {
        uint8_t how;
        uint16_t mss;
        bool may_be_cut;
    } t[] = {{TCP_MTU_DONT, 1460, true},       {TCP_MTU_WANT, 960, false},
             {TCP_MTU_DO, 960, false},         {TCP_MTU_PROBE, 1460, false},
             {TCP_MTU_INTERFACE, 1460, false}, {TCP_MTU_OMIT, 1460, false}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        unsigned n;
        up(true);
        l.ext = tcp_opt_ext_default();
        l.ext.mtu_discover = t[i].how;
        l.has_ext = true;
        struct tcp_conn *c = accepted(4000);
        write_bytes(c, 1460);
        const struct packet *p = world_out(&w);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        EXPECT_EQ(p->seg.may_be_cut, t[i].may_be_cut);
        frag_needed(c, 0, 1000);
        EXPECT_EQ(c->mss, t[i].mss);
        EXPECT_EQ(pmtu_of(&w.net, &c->tuple.remote, 1500), 1000);
        (void)largest_out(&n);
        world_down(&w);
        l.has_ext = false;
    }
}

static void the_cache_is_bounded_and_does_not_mix_up(void)
{
    up(true);
    struct tcp_conn c = {.flow.netif = 0};
    for (uint32_t i = 0; i < 5000; i++) {
        c.tuple.remote = ip_addr_v4(be32_make(0x0b000000u + i));
        pmtu_learn(&w.net, &c, (uint16_t)(600 + i % 800));
        EXPECT_EQ(pmtu_of(&w.net, &c.tuple.remote, 1500), 600 + i % 800);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        struct ip_addr a = ip_addr_v4(be32_make(0x0b000000u + i));
        uint16_t mtu = pmtu_of(&w.net, &a, 1500);
        CU_ASSERT(mtu == 1500 || mtu == 600 + i % 800);
    }
    world_down(&w);
}

static int send_own(uint16_t ip_len, uint8_t frag_bits)
{
    static const uint8_t head[20] = {0x45, [9] = 6, [12] = 10, 0, 0, 1, 10, 0, 0, 2};
    struct ip_addr to = world_ip("10.0.0.2");
    uint8_t ip[1500] = {0};
    memcpy(ip, head, sizeof(head));
    ip[2] = (uint8_t)(ip_len >> 8);
    ip[3] = (uint8_t)ip_len;
    ip[6] = frag_bits;
    return net_send_own(&w.net, &to, NULL, ip, ip_len);
}

/* What may be cut on the way is not refused. */
static void monitors_packets_heed_the_path(void)
{
    up(false);
    struct tcp_conn *c = accepted(4000);
    EXPECT_EQ(send_own(1500, 0x40), 0);
    pmtu_learn(&w.net, c, 1000);
    EXPECT_EQ(send_own(1001, 0x40), -EMSGSIZE);
    EXPECT_EQ(send_own(1000, 0x40), 0);
    EXPECT_EQ(send_own(1500, 0), 0);
    world_down(&w);
}

TEST_SUITE(pmtu, TEST_CASE(what_was_too_large_goes_again_at_once),
           TEST_CASE(the_destinations_connections_share_it), TEST_CASE(active_opens_know_it_too),
           TEST_CASE(it_is_forgotten_after_ten_minutes),
           TEST_CASE(full_segments_that_vanish_are_made_smaller),
           TEST_CASE(every_connection_gets_out_of_the_hole), TEST_CASE(small_ones_are_not),
           TEST_CASE(nor_is_anything_when_told_so),
           TEST_CASE(who_does_not_want_to_know_keeps_its_size),
           TEST_CASE(the_cache_is_bounded_and_does_not_mix_up),
           TEST_CASE(monitors_packets_heed_the_path));

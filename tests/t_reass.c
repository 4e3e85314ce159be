/* Fragments: every order, holes, overlaps, bounds, both families. */
#include "mtcp/net/reass.h"
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/frag.h"

#include <string.h>

#define SEC 1000000u

static struct world w;
static struct net_listener l;

/* A whole frame that is to be cut: a data segment of port 4000's connection. */
static uint8_t whole[9000];
static uint32_t whole_len;
enum { HEAD = ETH_HDR_LEN + IPV4_HDR_LEN };

static struct tcp_conn *up_connected(void)
{
    world_up(&w, NULL);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 1;
    return c;
}

static void make_whole(const struct tcp_conn *c, uint32_t len)
{
    struct build_l2 l2 = {.src = world_mac(2), .dst = world_mac(1)};
    struct seg s = {.tuple = {.local = c->tuple.remote,
                              .remote = c->tuple.local,
                              .local_port = c->tuple.remote_port,
                              .remote_port = c->tuple.local_port},
                    .flags = TCP_ACK | TCP_PSH,
                    .seq = seq_add(c->irs, 1),
                    .ack = seq_add(c->iss, 1),
                    .wnd = 50000,
                    .ttl = 64,
                    .len = len};
    struct build_lens lens = build_tcp(whole, &l2, &s, 77);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    for (uint32_t i = 0; i < len; i++)
        whole[hdrs + i] = (uint8_t)(i * 7);
    build_tcp_csum(whole, lens, len, (struct build_offload){0});
    whole_len = hdrs + len;
}

/* Bytes [off, off + len) of what lies behind the IP header, as a fragment. */
struct piece_of {
    uint32_t off, len;
    bool more;
};

static void put_csum(uint8_t *ip)
{
    ip[10] = ip[11] = 0;
    uint16_t sum = csum_fold(csum_add(0, ip, IPV4_HDR_LEN));
    memcpy(ip + 10, &sum, sizeof(sum));
}

static void frag_in_ecn(struct piece_of f, uint8_t ecn)
{
    uint8_t b[9000];
    uint8_t *ip = b + ETH_HDR_LEN;
    memcpy(b, whole, HEAD);
    memcpy(b + HEAD, whole + HEAD + f.off, f.len);
    ip[1] |= ecn;
    ip[2] = (uint8_t)((IPV4_HDR_LEN + f.len) >> 8);
    ip[3] = (uint8_t)(IPV4_HDR_LEN + f.len);
    ip[6] = (uint8_t)((f.more ? 0x20 : 0) | f.off / 8 >> 8);
    ip[7] = (uint8_t)(f.off / 8);
    put_csum(ip);
    world_in_frame(&w, b, HEAD + f.len, 0);
    world_turn(&w);
}

static void frag_in(struct piece_of f)
{
    frag_in_ecn(f, 0);
}

static void all_arrived(struct tcp_conn *c, uint32_t len)
{
    EXPECT_EQ(tcp_readable(c), len);
    uint8_t got[9000];
    EXPECT_EQ(stream_copy(&c->rcv, 0, got, len), len);
    for (uint32_t i = 0; i < len; i++)
        if (got[i] != (uint8_t)(i * 7)) {
            CU_FAIL("a byte is not the byte sent");
            return;
        }
}

/* 3000 bytes of data behind 20 of header: [0,1000) [1000,2000) [2000,3020). */
static const struct piece_of three[] = {{0, 1000, true}, {1000, 1000, true}, {2000, 1020, false}};

static void every_order_makes_a_whole(void)
{
    static const uint8_t order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (unsigned i = 0; i < 6; i++) {
        struct tcp_conn *c = up_connected();
        make_whole(c, 3000);
        for (unsigned k = 0; k < 3; k++) {
            EXPECT_EQ(tcp_readable(c), 0);
            frag_in(three[order[i][k]]);
        }
        all_arrived(c, 3000);
        EXPECT_EQ(w.net.stats.reassembled, 1);
        EXPECT_EQ(w.net.stats.fragments_dropped, 0);
        world_down(&w);
    }
}

static void many_random_cuts(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned round = 0; round < 200; round++) {
        struct piece_of f[64];
        unsigned n = 0;
        struct tcp_conn *c = up_connected();
        make_whole(c, 4000);
        uint32_t at = 0, end = 4020;
        while (at < end) {
            uint32_t len = 8 * (10 + rng_below(&r, 100));
            bool more = at + len < end;
            f[n++] = (struct piece_of){at, more ? len : end - at, more};
            at += len;
        }
        for (unsigned i = n; i > 1; i--) {
            unsigned k = rng_below(&r, i);
            struct piece_of t = f[i - 1];
            f[i - 1] = f[k];
            f[k] = t;
        }
        for (unsigned i = 0; i < n; i++) {
            frag_in(f[i]);
            if (i + 1 < n && rng_below(&r, 4) == 0)
                frag_in(f[rng_below(&r, i + 1)]); /* an exact copy */
        }
        all_arrived(c, 4000);
        world_down(&w);
    }
}

static void overlaps_give_the_packet_away(void)
{
    static const struct piece_of bad[] = {
        {992, 16, true},     /* over an edge */
        {0, 992, true},      /* within */
        {0, 1008, true},     /* around */
        {1000, 1008, true},  /* the same start */
        {2000, 1012, false}, /* another end */
        {3024, 8, true},     /* beyond the end */
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tcp_conn *c = up_connected();
        make_whole(c, 3000);
        frag_in(three[0]);
        frag_in(three[2]);
        frag_in(bad[i]);
        if (i == 3)
            frag_in(three[1]);
        frag_in(three[1]);
        EXPECT_EQ(tcp_readable(c), 0);
        EXPECT_EQ(w.net.stats.reassembled, 0);
        CU_ASSERT(w.net.stats.fragments_dropped >= 2);
        world_down(&w);
    }
}

static void senseless_ones_are_refused(void)
{
    static const struct piece_of bad[] = {
        {0, 1001, true},   /* no multiple of eight, and more to come */
        {1000, 0, true},   /* nothing */
        {65528, 100, true} /* beyond what a packet holds */
    };
    struct tcp_conn *c = up_connected();
    make_whole(c, 3000);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t b[9000] = {0};
        memcpy(b, whole, HEAD);
        uint8_t *ip = b + ETH_HDR_LEN;
        ip[2] = (uint8_t)((IPV4_HDR_LEN + bad[i].len) >> 8);
        ip[3] = (uint8_t)(IPV4_HDR_LEN + bad[i].len);
        ip[6] = (uint8_t)(0x20 | bad[i].off / 8 >> 8);
        ip[7] = (uint8_t)(bad[i].off / 8);
        put_csum(ip);
        world_in_frame(&w, b, HEAD + bad[i].len, 0);
        world_turn(&w);
    }
    EXPECT_EQ(w.net.stats.fragments_dropped, 3);
    EXPECT_EQ(w.net.stats.fragments_in, 3);
    CU_ASSERT_PTR_NULL(w.net.reass); /* nothing was kept, not even the table */
    world_down(&w);
}

static void time_is_limited(void)
{
    struct tcp_conn *c = up_connected();
    make_whole(c, 3000);
    size_t before = mem_in_use(w.mem);
    frag_in(three[0]);
    size_t table = mem_in_use(w.mem) - before;
    CU_ASSERT(table > 1000);
    world_advance(&w, 29 * SEC);
    frag_in(three[1]);
    world_advance(&w, 2 * SEC); /* thirty seconds from the first */
    EXPECT_EQ(w.net.stats.reass_timeouts, 1);
    EXPECT_EQ(w.net.stats.fragments_dropped, 2);
    CU_ASSERT(mem_in_use(w.mem) - before < table); /* the table alone stays */
    frag_in(three[2]);
    EXPECT_EQ(tcp_readable(c), 0);
    world_down(&w);
}

/* First fragments of ever new packets: memory stays within its bound, and the newest go through. */
static void memory_is_limited(void)
{
    struct tcp_conn *c = up_connected();
    make_whole(c, 3000);
    size_t before = mem_in_use(w.mem);
    for (uint32_t id = 0; id < 5000; id++) {
        whole[ETH_HDR_LEN + 4] = (uint8_t)(id >> 8);
        whole[ETH_HDR_LEN + 5] = (uint8_t)id;
        frag_in(three[id % 2]);
        CU_ASSERT(mem_in_use(w.mem) - before < 65536 + 8192);
    }
    for (unsigned i = 0; i < 3; i++)
        frag_in(three[i]);
    all_arrived(c, 3000);
    world_down(&w);
}

static void one_packet_has_a_bounded_number(void)
{
    struct tcp_conn *c = up_connected();
    make_whole(c, 3000);
    for (uint32_t i = 0; i < 100; i++)
        frag_in((struct piece_of){i * 16, 8, true}); /* every second eight bytes */
    CU_ASSERT(w.net.stats.fragments_dropped >= 64);
    EXPECT_EQ(w.net.stats.reassembled, 0);
    world_down(&w);
}

static void marks_of_congestion_survive(void)
{
    static const struct {
        uint8_t ecn[3];
        bool whole;
    } row[] = {{{2, 2, 2}, true}, {{2, 3, 2}, true}, {{0, 3, 0}, false}, {{0, 2, 0}, true}};
    for (unsigned i = 0; i < 4; i++) {
        struct tcp_conn *c = up_connected();
        make_whole(c, 3000);
        c->flags |= TCF_ECN;
        for (unsigned k = 0; k < 3; k++)
            frag_in_ecn(three[k], row[i].ecn[k]);
        EXPECT_EQ(tcp_readable(c) > 0, row[i].whole);
        EXPECT_EQ(w.net.env.stats.ecn_marks_in, i == 1);
        world_down(&w);
    }
}

static void a_bad_checksum_shows_when_it_is_whole(void)
{
    struct tcp_conn *c = up_connected();
    make_whole(c, 3000);
    whole[HEAD + 1500] ^= 1;
    for (unsigned i = 0; i < 3; i++)
        frag_in(three[i]);
    EXPECT_EQ(tcp_readable(c), 0);
    EXPECT_EQ(w.net.ifs[0].rx_bad_csum, 1);
    world_down(&w);
}

static void what_is_for_others_is_not_kept(void)
{
    struct tcp_conn *c = up_connected();
    make_whole(c, 3000);
    whole[ETH_HDR_LEN + 19] = 99; /* to 10.0.0.99 */
    for (unsigned i = 0; i < 3; i++)
        frag_in(three[i]);
    EXPECT_EQ(w.net.stats.fragments_dropped, 3);
    EXPECT_EQ(w.net.stats.reassembled, 0);
    world_down(&w);
}

/* ---- IPv6: the heads ------------------------------------------------------------------------- */

/* The fragment header is taken out of the chain; what was before it stays. */
static void ipv6_heads_lose_their_fragment_header(void)
{
    uint8_t f[256] = {0}, out[256];
    uint8_t *ip = f + ETH_HDR_LEN;
    struct packet p;
    f[12] = 0x86;
    f[13] = 0xdd;
    ip[0] = 0x60;
    ip[5] = 8 + 8 + 16;
    ip[6] = 60; /* destination options, then the fragment header */
    ip[7] = 64;
    ip[8] = ip[24] = 0xfd;
    ip[23] = 1;
    ip[39] = 2;
    ip[40] = 44;
    ip[42] = 1; /* PadN of 4 */
    ip[43] = 4;
    ip[48] = 6;
    ip[51] = 1; /* offset 0, more */
    ip[55] = 9;
    CU_ASSERT_EQUAL_FATAL(packet_parse(&p, f, ETH_HDR_LEN + 40 + 32, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(p.kind, PACKET_FRAGMENT);
    EXPECT_EQ(p.frag.id, 9);
    EXPECT_EQ(p.frag.off, 0);
    EXPECT_EQ(p.frag.len, 16);
    CU_ASSERT(p.frag.more && p.frag.data == ip + 56);
    EXPECT_EQ(frag_head_len(&p), ETH_HDR_LEN + 48);
    frag_head(out, f, &p);
    frag_finish(out, ETH_HDR_LEN + 48, 1000, true);
    EXPECT_EQ(out[ETH_HDR_LEN + 6], 60);
    EXPECT_EQ(out[ETH_HDR_LEN + 40], 6);
    EXPECT_EQ(out[ETH_HDR_LEN + 4] << 8 | out[ETH_HDR_LEN + 5], 1008);
    EXPECT_EQ(out[ETH_HDR_LEN + 1], 0x30); /* CE, in the traffic class */
}

TEST_SUITE(reass, TEST_CASE(every_order_makes_a_whole), TEST_CASE(many_random_cuts),
           TEST_CASE(overlaps_give_the_packet_away), TEST_CASE(senseless_ones_are_refused),
           TEST_CASE(time_is_limited), TEST_CASE(memory_is_limited),
           TEST_CASE(one_packet_has_a_bounded_number), TEST_CASE(marks_of_congestion_survive),
           TEST_CASE(a_bad_checksum_shows_when_it_is_whole),
           TEST_CASE(what_is_for_others_is_not_kept),
           TEST_CASE(ipv6_heads_lose_their_fragment_header));

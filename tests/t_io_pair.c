/* The in-memory link: order, ownership, limits, offloads. */
#include "tests/test.h"

#include "mtcp/io/io.h"

#include <string.h>

static const struct mtcp_io_pair_conf small = {.n_pkts = 8, .depth = 4};

static struct mtcp_pkt *pkt_of(struct mtcp_io *io, uint8_t tag, uint32_t len)
{
    struct mtcp_pkt *p = io->alloc(io);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_FATAL(p->room >= len);
    memset(p->data, tag, len);
    p->len = len;
    return p;
}

static uint64_t n_free(struct mtcp_io *io)
{
    struct mtcp_io_stats st;
    io->stats(io, &st);
    return st.pkts_free;
}

static void frames_cross_in_order(void)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&small);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    uint8_t sent = 0, seen = 0;
    for (unsigned turn = 0; turn < 50; turn++) {
        struct mtcp_pkt *tx[3], *rx[4];
        for (unsigned i = 0; i < 3; i++)
            tx[i] = pkt_of(a, sent++, 60 + i);
        EXPECT_EQ(a->tx_burst(a, tx, 3), 3);
        EXPECT_EQ(a->rx_burst(a, rx, 4), 0);
        EXPECT_EQ(b->rx_burst(b, rx, 4), 3);
        for (unsigned i = 0; i < 3; i++) {
            CU_ASSERT_PTR_EQUAL(rx[i], tx[i]);
            EXPECT_EQ(rx[i]->len, 60 + i);
            EXPECT_EQ(rx[i]->data[0], seen);
            EXPECT_EQ(rx[i]->data[59], seen++);
            b->free(b, rx[i]);
        }
    }
    EXPECT_EQ(n_free(a), 8);
    EXPECT_EQ(n_free(b), 8);
    mtcp_io_pair_destroy(pair);
}

static void both_directions_are_apart(void)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&small);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    struct mtcp_pkt *from_a = pkt_of(a, 1, 60), *from_b = pkt_of(b, 2, 60), *rx[4];
    EXPECT_EQ(a->tx_burst(a, &from_a, 1), 1);
    EXPECT_EQ(b->tx_burst(b, &from_b, 1), 1);
    EXPECT_EQ(a->rx_burst(a, rx, 4), 1);
    CU_ASSERT_PTR_EQUAL(rx[0], from_b);
    EXPECT_EQ(b->rx_burst(b, rx + 1, 3), 1);
    CU_ASSERT_PTR_EQUAL(rx[1], from_a);
    a->free(a, rx[0]);
    b->free(b, rx[1]);
    mtcp_io_pair_destroy(pair);
}

static void a_full_ring_refuses_the_rest(void)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&small);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    struct mtcp_pkt *tx[6], *rx[8];
    for (unsigned i = 0; i < 6; i++)
        tx[i] = pkt_of(a, (uint8_t)i, 60);
    EXPECT_EQ(a->tx_burst(a, tx, 6), 4);
    EXPECT_EQ(a->tx_burst(a, tx + 4, 2), 0);
    EXPECT_EQ(b->rx_burst(b, rx, 1), 1);
    EXPECT_EQ(a->tx_burst(a, tx + 4, 2), 1);
    EXPECT_EQ(b->rx_burst(b, rx + 1, 7), 4);
    for (unsigned i = 0; i < 5; i++)
        EXPECT_EQ(rx[i]->data[0], i);
    mtcp_io_pair_destroy(pair);
}

static void a_packet_comes_home_when_the_other_end_frees_it(void)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&small);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    struct mtcp_pkt *p = pkt_of(a, 7, 60), *rx;
    EXPECT_EQ(n_free(a), 7);
    EXPECT_EQ(a->tx_burst(a, &p, 1), 1);
    EXPECT_EQ(b->rx_burst(b, &rx, 1), 1);
    EXPECT_EQ(b->tx_burst(b, &rx, 1), 1); /* sent back in the buffer it came in */
    EXPECT_EQ(a->rx_burst(a, &rx, 1), 1);
    CU_ASSERT_PTR_EQUAL(rx, p);
    EXPECT_EQ(n_free(a), 7);
    EXPECT_EQ(n_free(b), 8);
    b->free(b, rx);
    EXPECT_EQ(n_free(a), 8);
    EXPECT_EQ(n_free(b), 8);
    mtcp_io_pair_destroy(pair);
}

static void an_empty_pool_says_null_and_recovers(void)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&small);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    struct mtcp_pkt *p[8];
    for (unsigned i = 0; i < 8; i++)
        p[i] = pkt_of(a, 0xff, a->mtu + 14u);
    CU_ASSERT_PTR_NULL(a->alloc(a));
    struct mtcp_pkt *other = b->alloc(b);
    CU_ASSERT_PTR_NOT_NULL_FATAL(other); /* a pool per end */
    b->free(b, other);
    p[3]->flags = 0xff;
    p[3]->data += 4;
    a->free(a, p[3]);
    struct mtcp_pkt *again = a->alloc(a);
    CU_ASSERT_PTR_EQUAL_FATAL(again, p[3]);
    EXPECT_EQ(again->len, 0);
    EXPECT_EQ(again->flags, 0);
    EXPECT_EQ(again->room, 1514);
    memset(again->data, 0x11, again->room);
    EXPECT_EQ(p[4]->data[0], 0xff); /* buffers don't overlap */
    EXPECT_EQ(p[2]->data[1513], 0xff);
    mtcp_io_pair_destroy(pair);
}

/* What arrives of a frame sent with `flags` over a link with `caps`. */
static uint32_t flags_across(uint32_t caps, uint32_t flags)
{
    struct mtcp_io_pair_conf conf = {.n_pkts = 1, .depth = 1, .caps = caps};
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&conf);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    struct mtcp_pkt *p = pkt_of(a, 0, 60);
    p->flags = flags;
    EXPECT_EQ(a->tx_burst(a, &p, 1), 1);
    EXPECT_EQ(b->rx_burst(b, &p, 1), 1);
    uint32_t got = p->flags;
    mtcp_io_pair_destroy(pair);
    return got;
}

static void checksum_offload_arrives_as_verified(void)
{
    const uint32_t both = MTCP_IO_TX_IP_CSUM | MTCP_IO_TX_TCP_CSUM;
    const uint32_t good = MTCP_PKT_RX_CSUM_GOOD | MTCP_PKT_RX_CSUM_OPEN;
    EXPECT_EQ(flags_across(both, MTCP_PKT_TX_TCP_CSUM), good);
    EXPECT_EQ(flags_across(both, MTCP_PKT_TX_IP_CSUM), good);
    EXPECT_EQ(flags_across(both, 0), 0);
    EXPECT_EQ(flags_across(0, MTCP_PKT_TX_TCP_CSUM | MTCP_PKT_TX_IP_CSUM), 0);
    EXPECT_EQ(flags_across(both, MTCP_PKT_TX_TSO), 0);
    EXPECT_EQ(flags_across(MTCP_IO_TSO, MTCP_PKT_TX_TSO), good);
}

/* 1 when a frame of `len` bytes sent with `flags` arrives. */
static unsigned arrives(const struct mtcp_io_pair_conf *conf, uint32_t len, uint32_t flags)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(conf);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    struct mtcp_pkt *p = a->alloc(a);
    struct mtcp_io_stats st;
    p->len = len;
    p->flags = flags;
    EXPECT_EQ(a->tx_burst(a, &p, 1), 1);
    unsigned n = b->rx_burst(b, &p, 1);
    a->stats(a, &st);
    EXPECT_EQ(st.tx_dropped, 1 - n);
    EXPECT_EQ(st.tx_packets, n);
    EXPECT_EQ(st.pkts_free, 1 - n);
    mtcp_io_pair_destroy(pair);
    return n;
}

static void frames_beyond_the_mtu_are_dropped_unless_tso(void)
{
    struct mtcp_io_pair_conf plain = {.n_pkts = 1, .depth = 1, .mtu = 1000};
    EXPECT_EQ(arrives(&plain, 1014, 0), 1);
    EXPECT_EQ(arrives(&plain, 1015, 0), 0);
    EXPECT_EQ(arrives(&plain, 1015, MTCP_PKT_TX_TSO), 0);
    struct mtcp_io_pair_conf tso = {
        .n_pkts = 1, .depth = 1, .mtu = 1000, .caps = MTCP_IO_TSO, .tso_max = 5000};
    EXPECT_EQ(arrives(&tso, 1015, 0), 0);
    EXPECT_EQ(arrives(&tso, 5014, MTCP_PKT_TX_TSO), 1);
    EXPECT_EQ(arrives(&tso, 5015, MTCP_PKT_TX_TSO), 0);
}

static void room_and_defaults_follow_the_configuration(void)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&small);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    EXPECT_EQ(a->mtu, 1500);
    EXPECT_EQ(pkt_of(a, 0, 1514)->room, 1514);
    CU_ASSERT(memcmp(a->mac, b->mac, 6) != 0);
    EXPECT_EQ(a->mac[0] & 1, 0); /* not a group address */
    mtcp_io_pair_destroy(pair);
    struct mtcp_io_pair_conf tso = {.n_pkts = 2, .depth = 1, .caps = MTCP_IO_TSO};
    pair = mtcp_io_pair_create(&tso);
    a = mtcp_io_pair_end(pair, 0);
    EXPECT_EQ(a->tso_max, 65535);
    EXPECT_EQ(pkt_of(a, 0, 65549)->room, 65549);
    EXPECT_EQ(pkt_of(a, 0, 65549)->room, 65549);
    mtcp_io_pair_destroy(pair);
}

static void sleep_is_refused_while_frames_wait(void)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&small);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    bool ready = true;
    EXPECT_EQ(b->sleep_begin(b, &ready), -1);
    CU_ASSERT_FALSE(ready);
    struct mtcp_pkt *p = pkt_of(a, 0, 60);
    EXPECT_EQ(a->tx_burst(a, &p, 1), 1);
    EXPECT_EQ(b->sleep_begin(b, &ready), -1);
    CU_ASSERT(ready);
    b->sleep_end(b);
    mtcp_io_pair_destroy(pair);
    mtcp_io_pair_destroy(NULL);
}

static void counters_count(void)
{
    struct mtcp_io_pair *pair = mtcp_io_pair_create(&small);
    struct mtcp_io *a = mtcp_io_pair_end(pair, 0), *b = mtcp_io_pair_end(pair, 1);
    struct mtcp_pkt *tx[2] = {pkt_of(a, 0, 60), pkt_of(a, 0, 100)}, *rx[2];
    struct mtcp_io_stats st;
    EXPECT_EQ(a->tx_burst(a, tx, 2), 2);
    EXPECT_EQ(b->rx_burst(b, rx, 2), 2);
    a->stats(a, &st);
    EXPECT_EQ(st.tx_packets, 2);
    EXPECT_EQ(st.tx_bytes, 160);
    EXPECT_EQ(st.pkts_total, 8);
    EXPECT_EQ(st.pkts_free, 6);
    b->stats(b, &st);
    EXPECT_EQ(st.rx_packets, 2);
    EXPECT_EQ(st.rx_bytes, 160);
    mtcp_io_pair_destroy(pair);
}

TEST_SUITE(io_pair, TEST_CASE(frames_cross_in_order), TEST_CASE(both_directions_are_apart),
           TEST_CASE(a_full_ring_refuses_the_rest),
           TEST_CASE(a_packet_comes_home_when_the_other_end_frees_it),
           TEST_CASE(an_empty_pool_says_null_and_recovers),
           TEST_CASE(checksum_offload_arrives_as_verified),
           TEST_CASE(frames_beyond_the_mtu_are_dropped_unless_tso),
           TEST_CASE(room_and_defaults_follow_the_configuration),
           TEST_CASE(sleep_is_refused_while_frames_wait), TEST_CASE(counters_count));

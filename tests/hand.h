/*
 * A context with a listener, sockets and all, whose peer is the test: it sends exactly these
 * segments of one connection, in this order.
 *
 *     struct hand h;
 *     hand_open(&h, conf);           the handshake is done, h.sock is the accepted socket
 *     hand_send(&h, 5, "world");     payload bytes at a stream offset; nothing is received yet
 *     hand_send(&h, 0, "hello");
 *     hand_turn(&h);                 received in one burst; h.n_rst, h.theirs say what came back
 *     hand_close(&h);
 */
#ifndef TESTS_HAND_H
#define TESTS_HAND_H

#include "mtcp/wire/build.h"
#include "mtcp/wire/parse.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <mtcp_epoll.h>
#include <mtcp_io.h>
#include <stdio.h>
#include <string.h>

#define HAND_ISN 0xfffffff0u /* the sequence numbers wrap soon */

struct hand {
    mctx_t m;
    struct mtcp_io_pair *pair;
    int ep, listener, sock;
    uint64_t now_us;
    uint16_t port;         /* ours; the listener has 80 */
    tcp_seq_t theirs;      /* what we acknowledge: all that came in order */
    unsigned n_rst, n_seg; /* that came back */
};

static inline uint64_t hand_now(void *arg)
{
    return ((struct hand *)arg)->now_us;
}

/* Only the end of the context waits here. */
static inline void hand_wait(void *arg, uint64_t until_us)
{
    struct hand *h = arg;
    h->now_us = until_us == UINT64_MAX ? h->now_us + 1000 : until_us;
}

static inline void hand_seg(struct hand *h, uint8_t flags, tcp_seq_t seq, const char *data,
                            size_t len)
{
    struct build_l2 l2 = {.src = {{2, 0, 0, 0, 0, 9}}};
    struct mtcp_io *end = mtcp_io_pair_end(h->pair, 1);
    struct mtcp_pkt *pkt = end->alloc(end);
    struct seg s = {
        .tuple.local = ip_addr_v4(be32_make(0x0a000002)),
        .tuple.remote = ip_addr_v4(be32_make(0x0a000001)),
        .tuple.local_port = h->port,
        .tuple.remote_port = 80,
        .seq = seq,
        .ack = flags & TCP_ACK ? h->theirs : seq_make(0),
        .wnd = 65535,
        .flags = flags,
        .ttl = 64,
        .len = (uint32_t)len,
    };
    CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
    memcpy(l2.dst.b, mtcp_io_pair_end(h->pair, 0)->mac, sizeof(l2.dst.b));
    struct build_lens lens = build_tcp(pkt->data, &l2, &s, 0);
    memcpy(pkt->data + lens.l2 + lens.l3 + lens.l4, data, len);
    build_tcp_csum(pkt->data, lens, s.len, (struct build_offload){0});
    pkt->len = (uint32_t)lens.l2 + lens.l3 + lens.l4 + s.len;
    EXPECT_EQ(end->tx_burst(end, &pkt, 1), 1);
}

static inline void hand_send_n(struct hand *h, int64_t off, const char *data, size_t n)
{
    hand_seg(h, TCP_ACK, seq_of_off(seq_make(HAND_ISN), off), data, n);
}

static inline void hand_send(struct hand *h, int64_t off, const char *data)
{
    hand_send_n(h, off, data, strlen(data));
}

static inline void hand_look(struct hand *h, const struct mtcp_pkt *pkt)
{
    struct packet p;
    if (packet_parse(&p, pkt->data, pkt->len, PACKET_CSUM_UNKNOWN) != 0 || p.kind != PACKET_TCP)
        return;
    h->n_seg++;
    h->n_rst += (p.seg.flags & TCP_RST) != 0;
    h->theirs = seq_add(p.seg.seq, seg_seq_len(&p.seg));
}

/* The context runs until it is silent, and 1 ms passes. */
static inline void hand_turn(struct hand *h)
{
    struct mtcp_io *end = mtcp_io_pair_end(h->pair, 1);
    struct mtcp_epoll_event ev;
    struct mtcp_pkt *pkt;
    for (int i = 0; i < 3; i++) {
        mtcp_epoll_wait(h->m, h->ep, &ev, 1, 0);
        while (end->rx_burst(end, &pkt, 1) == 1) {
            hand_look(h, pkt);
            end->free(end, pkt);
        }
    }
    h->now_us += 1000;
}

/* A connection from the next port; h->sock is its end. */
static inline void hand_connect(struct hand *h)
{
    h->port++;
    h->n_rst = h->n_seg = 0;
    hand_seg(h, TCP_SYN, seq_make(HAND_ISN), "", 0);
    hand_turn(h);
    EXPECT_EQ(h->n_seg, 1);
    hand_send(h, 0, "");
    hand_turn(h);
    h->sock = mtcp_accept4(h->m, h->listener, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT_FATAL(h->sock >= 0);
}

static inline void hand_open(struct hand *h, const char *conf)
{
    struct mtcp_io_pair_conf link = {.n_pkts = 256, .depth = 128};
    struct mtcp_env env = {hand_now, hand_wait, h, 7};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
    char text[4096];
    *h = (struct hand){.now_us = 1000000, .port = 40000};
    h->pair = mtcp_io_pair_create(&link);
    CU_ASSERT_PTR_NOT_NULL_FATAL(h->pair);
    struct mtcp_io *ios[1] = {mtcp_io_pair_end(h->pair, 0)};
    snprintf(text, sizeof(text),
             "mos { %s\nnetdev \"pair0\" { address = \"10.0.0.1/24\" }\n"
             "arp \"10.0.0.2\" { mac = \"02:00:00:00:00:09\" } }",
             conf);
    h->m = mtcp_create_context_io(0, text, ios, 1, &env);
    CU_ASSERT_PTR_NOT_NULL_FATAL(h->m);
    h->ep = mtcp_epoll_create(h->m, 1);
    h->listener = mtcp_socket(h->m, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_bind(h->m, h->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(mtcp_listen(h->m, h->listener, 16), 0);
    hand_turn(h);
    hand_connect(h);
}

static inline void hand_close(struct hand *h)
{
    EXPECT_EQ(mtcp_destroy_context(h->m), 0);
    mtcp_io_pair_destroy(h->pair);
}

#endif

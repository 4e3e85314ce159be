/*
 * A capture of one connection, 10.0.0.2:4000 to 10.0.0.1:80, as a device that gives frames of the
 * past with their times.
 *
 *     struct mtcp_io *io = capture_begin();
 *     capture_add(at_us, true, TCP_SYN, 100, 0, "");       from the client; payload
 *     mctx_t m = mtcp_create_context_io(0, "mos { netdev cap { } }", &io, 1, NULL);
 *     mtcp_app_join(m);                                    until it is over
 */
#ifndef TESTS_CAPTURE_H
#define TESTS_CAPTURE_H

#include "mtcp/wire/build.h"
#include "tests/test.h"

#include <mtcp_io.h>
#include <string.h>

#define CAPTURE_FRAMES 16u
#define CAPTURE_BYTES  256u

static struct capture {
    struct mtcp_io io; /* first */
    struct mtcp_pkt pkt[CAPTURE_FRAMES];
    uint8_t bytes[CAPTURE_FRAMES][CAPTURE_BYTES];
    unsigned n, at;
} capture;

static inline unsigned capture_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    unsigned k = 0;
    while (k < n && capture.at < capture.n)
        pkts[k++] = &capture.pkt[capture.at++];
    io->is_over = k == 0;
    return k;
}

static inline unsigned capture_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io, (void)pkts, (void)n;
    CU_FAIL("a capture is asked to send");
    return 0;
}

static inline struct mtcp_pkt *capture_alloc(struct mtcp_io *io)
{
    (void)io;
    return NULL;
}

static inline void capture_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    (void)io, (void)pkt;
}

static inline void capture_add(uint64_t at_us, bool from_cli, uint8_t flags, uint32_t seq,
                               uint32_t ack, const char *data)
{
    struct ip_addr cli = ip_addr_v4(be32_make(0x0a000002)), svr = ip_addr_v4(be32_make(0x0a000001));
    struct seg s = {
        .tuple = {from_cli ? cli : svr, from_cli ? svr : cli, from_cli ? 4000 : 80,
                  from_cli ? 80 : 4000},
        .seq = seq_make(seq),
        .ack = seq_make(ack),
        .flags = flags,
        .wnd = 1000,
        .ttl = 64,
        .len = (uint32_t)strlen(data),
    };
    struct build_l2 l2 = {0};
    struct mtcp_pkt *pkt = &capture.pkt[capture.n];
    CU_ASSERT_FATAL(capture.n < CAPTURE_FRAMES && BUILD_HDR_MAX + s.len <= CAPTURE_BYTES);
    struct build_lens lens = build_tcp(capture.bytes[capture.n], &l2, &s, 7);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    memcpy(capture.bytes[capture.n] + hdrs, data, s.len);
    build_tcp_csum(capture.bytes[capture.n], lens, s.len, (struct build_offload){0});
    *pkt = (struct mtcp_pkt){.data = capture.bytes[capture.n],
                             .len = hdrs + s.len,
                             .room = CAPTURE_BYTES,
                             .rx_us = at_us};
    capture.n++;
}

static inline struct mtcp_io *capture_begin(void)
{
    capture = (struct capture){.io = {.rx_burst = capture_rx,
                                      .tx_burst = capture_tx,
                                      .alloc = capture_alloc,
                                      .free = capture_free,
                                      .caps = MTCP_IO_CAPTURE | MTCP_IO_NO_WAKEUP,
                                      .mtu = 1500,
                                      .name = "cap"}};
    return &capture.io;
}

#endif

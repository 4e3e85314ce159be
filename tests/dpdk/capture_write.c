/*
 * Writes a capture (pcap, Ethernet) whose connections are known:
 *
 *   1   4001 > 80  handshake, "hello" and "world, hello", both FINs, in order      (ends: FIN)
 *   2   4002 > 80  20,000 bytes of which one segment was not captured, FINs        (a gap)
 *   3   4003 > 80  refused                                                        (RST)
 *   4   4004 > 80  the middle of a connection                                     (orphans)
 *   5   4005 > 80  still open at the end
 *
 *     capture_write FILE
 */
#include "mtcp/wire/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEG 1000u

static FILE *out;
static uint64_t now_us = UINT64_C(1700000000000000);

static void put(const void *data, size_t len)
{
    if (fwrite(data, 1, len, out) != len) {
        perror("capture_write");
        exit(1);
    }
}

static void put32(uint32_t v)
{
    put(&v, sizeof(v));
}

static void begin(void)
{
    put32(0xa1b2c3d4u);
    put32(2 | 4 << 16);
    put32(0);
    put32(0);
    put32(65535);
    put32(1);
}

/* Offsets of the sender's stream and of what it acknowledges; a SYN is at -1. */
static void seg(uint16_t port, bool from_cli, uint8_t flags, int64_t off, int64_t ack,
                const char *data)
{
    uint8_t frame[2048];
    struct ip_addr cli = ip_addr_v4(be32_make(0x0a000002)), svr = ip_addr_v4(be32_make(0x0a000001));
    tcp_seq_t cli_isn = seq_make(1000), svr_isn = seq_make(5000);
    struct build_l2 l2 = {.src = {.b = {2, 0, 0, 0, 0, 2}}, .dst = {.b = {2, 0, 0, 0, 0, 1}}};
    struct seg s = {
        .tuple = {from_cli ? cli : svr, from_cli ? svr : cli, from_cli ? port : 80,
                  from_cli ? 80 : port},
        .seq = seq_of_off(from_cli ? cli_isn : svr_isn, off),
        .ack = flags & TCP_ACK ? seq_of_off(from_cli ? svr_isn : cli_isn, ack) : seq_make(0),
        .flags = flags,
        .wnd = 60000,
        .ttl = 64,
        .len = (uint32_t)strlen(data),
    };
    struct build_lens lens = build_tcp(frame, &l2, &s, 7);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    memcpy(frame + hdrs, data, s.len);
    build_tcp_csum(frame, lens, s.len, (struct build_offload){0});
    now_us += 1000;
    put32((uint32_t)(now_us / 1000000));
    put32((uint32_t)(now_us % 1000000));
    put32(hdrs + s.len);
    put32(hdrs + s.len);
    put(frame, hdrs + s.len);
}

static void handshake(uint16_t port)
{
    seg(port, true, TCP_SYN, -1, 0, "");
    seg(port, false, TCP_SYN | TCP_ACK, -1, 0, "");
    seg(port, true, TCP_ACK, 0, 0, "");
}

static void fins(uint16_t port, int64_t cli, int64_t svr)
{
    seg(port, true, TCP_ACK | TCP_FIN, cli, svr, "");
    seg(port, false, TCP_ACK | TCP_FIN, svr, cli + 1, "");
    seg(port, true, TCP_ACK, cli + 1, svr + 1, "");
}

static void gap(uint16_t port)
{
    char bytes[SEG + 1];
    memset(bytes, 'x', SEG);
    bytes[SEG] = 0;
    handshake(port);
    for (int64_t i = 0; i < 20; i++) {
        if (i != 7)
            seg(port, true, TCP_ACK, i * SEG, 0, bytes);
        if (i % 2)
            seg(port, false, TCP_ACK, 0, (i + 1) * SEG, "");
    }
    fins(port, 20 * SEG, 0);
}

int main(int argc, char **argv)
{
    out = argc == 2 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        fprintf(stderr, "usage: capture_write FILE\n");
        return 2;
    }
    begin();
    handshake(4001);
    seg(4001, true, TCP_ACK | TCP_PSH, 0, 0, "hello");
    seg(4001, false, TCP_ACK | TCP_PSH, 0, 5, "world, hello");
    fins(4001, 5, 12);
    gap(4002);
    seg(4003, true, TCP_SYN, -1, 0, "");
    seg(4003, false, TCP_RST | TCP_ACK, -1, 0, "");
    seg(4004, true, TCP_ACK, 0, 0, "late");
    handshake(4005);
    now_us += 100000000;
    seg(4005, true, TCP_ACK, 0, 0, "still here");
    return fclose(out) == 0 ? 0 : 1;
}

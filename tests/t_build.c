/* The builder: exact bytes of known segments, option layouts, offload forms, checksums. That what
 * it builds is parsed as what was meant is t_parse.c's. */
#include "tests/test.h"
#include "tests/wire_model.h"

#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"

#include <string.h>

static void expect_opts(const struct tcp_opts *o, const uint8_t *want, uint32_t len)
{
    uint8_t got[TCP_OPT_MAX];
    memset(got, 0xa5, sizeof(got));
    EXPECT_EQ(build_tcp_opts_len(o), len);
    EXPECT_EQ(build_tcp_opts(got, o), len);
    CU_ASSERT(memcmp(got, want, len) == 0);
}
#define EXPECT_OPTS(o, ...)                                                                        \
    expect_opts(o, (const uint8_t[]){__VA_ARGS__}, (uint32_t)sizeof((const uint8_t[]){__VA_ARGS__}))

static void a_syn_has_linux_options(void)
{
    struct tcp_opts o = {.has_mss = true,
                         .mss = 1460,
                         .sack_permitted = true,
                         .has_ts = true,
                         .ts_val = 0x01020304,
                         .ts_ecr = 0x05060708,
                         .has_wscale = true,
                         .wscale = 7};
    EXPECT_OPTS(&o, 2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7);
    o.has_ts = false;
    EXPECT_OPTS(&o, 2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7);
    o.sack_permitted = false;
    EXPECT_OPTS(&o, 2, 4, 0x05, 0xb4, 1, 3, 3, 7);
    o.has_ts = true;
    o.has_wscale = false;
    EXPECT_OPTS(&o, 2, 4, 0x05, 0xb4, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8);
}

static void later_segments_have_timestamps_and_sack(void)
{
    struct tcp_opts o = {.has_ts = true,
                         .ts_val = 1,
                         .ts_ecr = 2,
                         .n_sack = 2,
                         .sack = {{{3}, {4}}, {{5}, {0xfffffffe}}}};
    EXPECT_OPTS(&o, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 18, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0,
                0, 5, 255, 255, 255, 254);
    o.has_ts = false;
    o.n_sack = 1;
    EXPECT_OPTS(&o, 1, 1, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4);
}

static void fast_open_is_padded_at_its_end(void)
{
    struct tcp_opts o = {.has_fastopen = true,
                         .fastopen_cookie = (const uint8_t *)"\x11\x22\x33\x44\x55\x66"};
    EXPECT_OPTS(&o, 34, 2, 1, 1);
    o.fastopen_len = 6;
    EXPECT_OPTS(&o, 34, 8, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66);
    o.fastopen_len = 4;
    EXPECT_OPTS(&o, 34, 6, 0x11, 0x22, 0x33, 0x44, 1, 1);
    o.fastopen_is_exp = true;
    EXPECT_OPTS(&o, 254, 8, 0xf9, 0x89, 0x11, 0x22, 0x33, 0x44);
    o.fastopen_len = 6;
    EXPECT_OPTS(&o, 254, 10, 0xf9, 0x89, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 1, 1);
    o.fastopen_len = 0;
    EXPECT_OPTS(&o, 254, 4, 0xf9, 0x89);
}

static void no_options_take_no_bytes(void)
{
    struct tcp_opts o = {0};
    uint8_t b = 0xa5;
    EXPECT_EQ(build_tcp_opts_len(&o), 0);
    EXPECT_EQ(build_tcp_opts(&b, &o), 0);
    EXPECT_EQ(b, 0xa5);
}

/* Whatever is asked for, 40 bytes are not exceeded: SACK blocks give way. */
static void all_combinations_fit(void)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        for (uint8_t n = 0; n <= TCP_SACK_MAX; n++) {
            struct tcp_opts o = {.has_mss = bits & 1,
                                 .has_wscale = bits & 2,
                                 .has_ts = bits & 4,
                                 .sack_permitted = bits & 8,
                                 .n_sack = n};
            uint8_t b[TCP_OPT_MAX + 1];
            b[TCP_OPT_MAX] = 0xa5;
            uint32_t len = build_tcp_opts(b, &o);
            EXPECT_EQ(build_tcp_opts_len(&o), len);
            CU_ASSERT(len <= TCP_OPT_MAX && len % 4 == 0);
            EXPECT_EQ(b[TCP_OPT_MAX], 0xa5);
            struct tcp_opts back;
            tcp_opts_parse(&back, b, len);
            CU_ASSERT(back.n_sack <= n && back.n_sack + 1 >= (n < 3 ? n : 3));
            EXPECT_EQ(back.has_ts, o.has_ts);
            EXPECT_EQ(back.sack_permitted, o.sack_permitted);
        }
    }
}

/* Options fill the header to its last byte, or are followed by zeros. (RFC 9293 MUST-69) */
static void nothing_lies_behind_the_options(void)
{
    for (unsigned bits = 0; bits < 16; bits++)
        for (uint8_t n = 0; n <= TCP_SACK_MAX; n++) {
            struct tcp_opts o = {.has_mss = bits & 1,
                                 .mss = 1460,
                                 .has_wscale = bits & 2,
                                 .has_ts = bits & 4,
                                 .sack_permitted = bits & 8,
                                 .n_sack = n};
            uint8_t b[TCP_OPT_MAX];
            memset(b, 0xa5, sizeof(b));
            uint32_t len = build_tcp_opts(b, &o), at = 0;
            while (at < len && b[at] != 0)
                at += b[at] == 1 ? 1 : b[at + 1];
            CU_ASSERT(at <= len);
            for (; at < len; at++)
                EXPECT_EQ(b[at], 0);
        }
}

static void timestamps_leave_room_for_three_blocks(void)
{
    struct tcp_opts o = {.has_ts = true, .n_sack = 4};
    EXPECT_EQ(build_tcp_opts_len(&o), 12 + 4 + 24);
    o.has_ts = false;
    EXPECT_EQ(build_tcp_opts_len(&o), 4 + 32);
}

/* RFC 9293 MUST-2 */
static void a_known_ipv4_frame(void)
{
    static const uint8_t want[] = {
        2,    6,    7, 8,  9,    10,   2,    1,   2,   3,  4,    5,    8, 0, /* Ethernet */
        0x45, 0xb8, 0, 42, 0xab, 0xcd, 0x40, 0,   63,  6,  0x0b, 0x45,       /* IPv4 */
        192,  0,    2, 1,  192,  0,    2,    2,                              /* addresses */
        0x04, 0xd2, 0, 80, 255,  255,  255,  254, 0,   0,  0,    9,          /* ports, seq, ack */
        0x50, 0x18, 2, 0,  0xbc, 0x30, 0,    3,   'h', 'i'};                 /* TCP, payload */
    struct seg s = {.tuple = {.local = ip_addr_v4(be32_make(0xc0000201)),
                              .remote = ip_addr_v4(be32_make(0xc0000202)),
                              .local_port = 1234,
                              .remote_port = 80},
                    .seq = {0xfffffffe},
                    .ack = {9},
                    .wnd = 512,
                    .urg = 3,
                    .flags = TCP_ACK | TCP_PSH,
                    .tos = 0xb8,
                    .ttl = 63,
                    .payload = (const uint8_t *)"hi",
                    .len = 2};
    uint8_t b[BUILD_HDR_MAX + 2];
    EXPECT_EQ(model_frame(b, &model_l2, &s, 0xabcd), sizeof(want));
    for (unsigned i = 0; i < sizeof(want); i++)
        EXPECT_EQ(b[i], want[i]);
}

static void lengths_add_up(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 500; i++) {
        uint8_t payload[MODEL_PAYLOAD_MAX], b[MODEL_FRAME_MAX];
        struct seg s;
        model_seg(&r, &s, payload);
        bool is_v4 = ip_addr_is_v4(&s.tuple.local);
        const struct build_l2 *l2 = model_coin(&r) ? &model_l2 : NULL;
        struct build_lens lens = build_tcp(b, l2, &s, 0);
        EXPECT_EQ(lens.l2, l2 ? 14 : 0);
        EXPECT_EQ(lens.l3, is_v4 ? 20 : 40);
        EXPECT_EQ(lens.l4, 20 + build_tcp_opts_len(&s.opt));
        CU_ASSERT(lens.l2 + lens.l3 + lens.l4 <= (int)BUILD_HDR_MAX);
    }
}

/* With offload the TCP field holds the folded pseudo-header sum, so that a device that adds the
 * segment and complements ends up with the right checksum. */
static void offload_leaves_the_pseudo_sum(void)
{
    struct rng r;
    rng_init(&r, test_seed() + 1);
    for (unsigned i = 0; i < 500; i++) {
        uint8_t payload[MODEL_PAYLOAD_MAX], soft[MODEL_FRAME_MAX], dev[MODEL_FRAME_MAX];
        struct seg s;
        model_seg(&r, &s, payload);
        uint32_t len = model_frame(soft, &model_l2, &s, 5);
        memcpy(dev, soft, len);
        struct build_lens lens = build_tcp(dev, &model_l2, &s, 5);
        build_tcp_csum(dev, lens, s.len, (struct build_offload){.ip_csum = true, .tcp_csum = true});
        uint8_t *ip = dev + 14, *tcp = ip + lens.l3;
        uint16_t csum = csum_fold(csum_add(0, tcp, lens.l4 + s.len));
        memcpy(tcp + 16, &csum, 2);
        if (lens.l3 == IPV4_HDR_LEN) {
            EXPECT_EQ(ip[10] | ip[11], 0);
            csum = csum_fold(csum_add(0, ip, IPV4_HDR_LEN));
            memcpy(ip + 10, &csum, 2);
        }
        CU_ASSERT(memcmp(dev, soft, len) == 0);
    }
}

/* Filling the checksums again, as for a header that is kept and changed, gives the same. */
static void checksums_can_be_filled_twice(void)
{
    uint8_t b[BUILD_HDR_MAX + 3], once[BUILD_HDR_MAX + 3];
    struct seg s = {
        .tuple = {.local = ip_addr_v4(be32_make(1)), .remote = ip_addr_v4(be32_make(2))},
        .ttl = 1,
        .payload = (const uint8_t *)"abc",
        .len = 3};
    uint32_t len = model_frame(b, &model_l2, &s, 1);
    memcpy(once, b, len);
    build_tcp_csum(b, (struct build_lens){14, 20, 20}, 3, (struct build_offload){0});
    CU_ASSERT(memcmp(b, once, len) == 0);
}

static void the_largest_packet_has_its_length(void)
{
    static uint8_t b[BUILD_HDR_MAX + 65536];
    struct seg s = {
        .tuple = {.local = ip_addr_v4(be32_make(1)), .remote = ip_addr_v4(be32_make(2))},
        .len = 65535 - 40};
    struct packet p;
    struct build_lens lens = build_tcp(b, &model_l2, &s, 0);
    build_tcp_csum(b, lens, s.len, (struct build_offload){0});
    EXPECT_EQ(packet_parse(&p, b, 14 + 65535, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(p.seg.len, s.len);
}

static void arp_requests_go_to_all_replies_to_one(void)
{
    static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
    struct build_arp a = {.sender_mac = {{2, 0, 0, 0, 0, 1}},
                          .sender_ip = be32_make(0xc0000201),
                          .target_ip = be32_make(0xc0000202)};
    uint8_t b[64];
    EXPECT_EQ(build_arp(b, &a), 42);
    CU_ASSERT(memcmp(b, all, 6) == 0);
    CU_ASSERT(memcmp(b + 6, &a.sender_mac, 6) == 0);
    static const uint8_t head[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
    CU_ASSERT(memcmp(b + 12, head, sizeof(head)) == 0);
    static const uint8_t tail[] = {0, 0, 0, 0, 0, 0, 192, 0, 2, 2};
    CU_ASSERT(memcmp(b + 32, tail, sizeof(tail)) == 0);
    a.is_reply = true;
    a.target_mac = (struct mac_addr){{2, 0, 0, 0, 0, 9}};
    EXPECT_EQ(build_arp(b, &a), 42);
    CU_ASSERT(memcmp(b, &a.target_mac, 6) == 0);
    EXPECT_EQ(b[21], 2);
}

/* An echo may be answered in the frame that it came in, whatever its IP options were. */
static void an_echo_is_answered_in_place(void)
{
    for (unsigned shift = 0; shift <= 40; shift += 4) {
        uint8_t b[200];
        for (unsigned i = 0; i < sizeof(b); i++)
            b[i] = (uint8_t)i;
        struct build_icmp e = {.l2 = model_l2,
                               .src = ip_addr_v4(be32_make(1)),
                               .dst = ip_addr_v4(be32_make(2)),
                               .ttl = 64,
                               .data = b + 38 + shift,
                               .len = 64};
        uint32_t len = build_icmp(b, &e);
        EXPECT_EQ(len, 14 + 20 + 4 + 64);
        struct packet p;
        EXPECT_EQ(packet_parse(&p, b, len, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_ICMP_ECHO);
        for (unsigned i = 0; i < p.icmp.len; i++)
            EXPECT_EQ(p.icmp.data[i], 38 + shift + i);
    }
}

TEST_SUITE(build, TEST_CASE(a_syn_has_linux_options),
           TEST_CASE(later_segments_have_timestamps_and_sack),
           TEST_CASE(fast_open_is_padded_at_its_end), TEST_CASE(no_options_take_no_bytes),
           TEST_CASE(all_combinations_fit), TEST_CASE(timestamps_leave_room_for_three_blocks),
           TEST_CASE(a_known_ipv4_frame), TEST_CASE(lengths_add_up),
           TEST_CASE(offload_leaves_the_pseudo_sum), TEST_CASE(checksums_can_be_filled_twice),
           TEST_CASE(the_largest_packet_has_its_length),
           TEST_CASE(arp_requests_go_to_all_replies_to_one),
           TEST_CASE(an_echo_is_answered_in_place), TEST_CASE(nothing_lies_behind_the_options));

/*
 * The parser against frames that are right, cut at every byte, lie in every length, or carry junk.
 * Frames are parsed from buffers of exactly their size, so that a sanitizer sees a read beyond.
 */
#include "tests/test.h"
#include "tests/wire_model.h"

#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define N_RANDOM 3000

/* A frame under test: an IPv4 or IPv6 SYN-like segment with known bytes. */
struct frame {
    uint8_t b[MODEL_FRAME_MAX];
    uint32_t len;
};

static const uint8_t body[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static struct seg seg_known(bool is_v6)
{
    struct seg s = {.tuple = {.local = ip_addr_v4(be32_make(0xc0000201)),
                              .remote = ip_addr_v4(be32_make(0xc0000202)),
                              .local_port = 1234,
                              .remote_port = 80},
                    .seq = {0xfffffffe},
                    .ack = {0x12345678},
                    .wnd = 512,
                    .flags = TCP_ACK | TCP_PSH,
                    .ttl = 64,
                    .opt = {.has_ts = true, .ts_val = 7, .ts_ecr = 8},
                    .payload = body,
                    .len = sizeof(body)};
    if (is_v6) {
        s.tuple.local = (struct ip_addr){.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
        s.tuple.remote = (struct ip_addr){.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}};
    }
    return s;
}

static struct frame frame_known(bool is_v6)
{
    struct frame f;
    struct seg s = seg_known(is_v6);
    f.len = model_frame(f.b, &model_l2, &s, 99);
    return f;
}

static struct ipv4_hdr *ipv4_of(struct frame *f)
{
    return (void *)(f->b + ETH_HDR_LEN);
}

static struct tcp_hdr *tcp_of(struct frame *f)
{
    return (void *)(f->b + ETH_HDR_LEN + IPV4_HDR_LEN);
}

/* Parses a copy that ends where `len` does. Pointers in `p` are not to be followed afterwards. */
static int parse_exact(struct packet *p, const uint8_t *b, uint32_t len, enum packet_csum csum)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, b, len);
    int rc = packet_parse(p, copy, len, csum);
    free(copy);
    return rc;
}

static int parse_good(struct packet *p, const struct frame *f)
{
    return parse_exact(p, f->b, f->len, PACKET_CSUM_GOOD);
}

/* ---- what was built is what is parsed ------------------------------------------------------- */

/* RFC 9293 MUST-5 */
static void random_segments_go_round(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < N_RANDOM; i++) {
        uint8_t payload[MODEL_PAYLOAD_MAX], frame[MODEL_FRAME_MAX];
        struct seg s;
        struct packet p;
        model_seg(&r, &s, payload);
        uint32_t len = model_frame(frame, &model_l2, &s, (uint16_t)i);
        EXPECT_EQ(packet_parse(&p, frame, len, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_TCP);
        CU_ASSERT_FATAL(model_seg_arrived(&s, &p.seg));
        EXPECT_EQ(p.frame_len, len);
        EXPECT_EQ(p.l3_off, ETH_HDR_LEN);
        EXPECT_EQ(p.ip_proto, IP_PROTO_TCP);
        CU_ASSERT(memcmp(&p.eth_src, &model_l2.src, 6) == 0);
        CU_ASSERT(memcmp(&p.eth_dst, &model_l2.dst, 6) == 0);
        CU_ASSERT(ip_addr_eq(&p.src, &s.tuple.local) && ip_addr_eq(&p.dst, &s.tuple.remote));
        CU_ASSERT(p.seg.payload + p.seg.len == frame + len);
        bool is_v4 = ip_addr_is_v4(&p.src);
        EXPECT_EQ(p.eth_type, is_v4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
        EXPECT_EQ(p.ip_id, is_v4 ? i : 0);
        EXPECT_EQ(p.l4_off, ETH_HDR_LEN + (is_v4 ? IPV4_HDR_LEN : IPV6_HDR_LEN));
    }
}

static void raw_ip_goes_round(void)
{
    struct rng r;
    rng_init(&r, test_seed() + 1);
    for (unsigned i = 0; i < N_RANDOM / 10; i++) {
        uint8_t payload[MODEL_PAYLOAD_MAX], ip[MODEL_FRAME_MAX];
        struct seg s;
        struct packet p;
        model_seg(&r, &s, payload);
        uint32_t len = model_frame(ip, NULL, &s, 1);
        EXPECT_EQ(packet_parse_ip(&p, ip, len, PACKET_CSUM_UNKNOWN), 0);
        CU_ASSERT_FATAL(p.kind == PACKET_TCP && model_seg_arrived(&s, &p.seg));
        EXPECT_EQ(p.l3_off, 0);
        EXPECT_EQ(p.eth_type, 0);
        EXPECT_EQ(p.frame_len, len);
        ip[0] = (uint8_t)((ip[0] & 0x0f) | 0x50);
        EXPECT_EQ(packet_parse_ip(&p, ip, len, PACKET_CSUM_UNKNOWN), -EBADMSG);
    }
}

/* ---- frames that are too short, too long, or wrong in one bit ------------------------------- */

static void every_truncation_is_refused(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct frame f = frame_known(v6);
        struct packet p;
        for (uint32_t len = 0; len < f.len; len++) {
            EXPECT_EQ(parse_exact(&p, f.b, len, PACKET_CSUM_GOOD), -EBADMSG);
            EXPECT_EQ(parse_exact(&p, f.b, len, PACKET_CSUM_UNKNOWN), -EBADMSG);
        }
        EXPECT_EQ(parse_exact(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), 0);
    }
}

/* The IP length agrees with the frame, which ends within the transport header. */
static void short_transports_are_refused(void)
{
    for (unsigned proto = IP_PROTO_ICMP; proto <= IP_PROTO_TCP; proto += 5) {
        uint32_t hdr_len = proto == IP_PROTO_TCP ? 32 : 8;
        for (uint32_t n = 0; n < hdr_len; n++) {
            struct frame f4 = frame_known(false), f6 = frame_known(true);
            struct packet p;
            ipv4_of(&f4)->proto = (uint8_t)proto;
            ipv4_of(&f4)->total_len = be16_make((uint16_t)(IPV4_HDR_LEN + n));
            f4.len = ETH_HDR_LEN + IPV4_HDR_LEN + n;
            EXPECT_EQ(parse_good(&p, &f4), -EBADMSG);
            f6.b[ETH_HDR_LEN + 4] = 0;
            f6.b[ETH_HDR_LEN + 5] = (uint8_t)n;
            f6.len = ETH_HDR_LEN + IPV6_HDR_LEN + n;
            EXPECT_EQ(parse_good(&p, &f6), -EBADMSG);
        }
    }
    struct packet p;
    uint8_t *nothing = malloc(1);
    EXPECT_EQ(packet_parse_ip(&p, nothing + 1, 0, PACKET_CSUM_GOOD), -EBADMSG);
    free(nothing);
}

static void ethernet_padding_is_cut(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct frame f = frame_known(v6);
        struct packet p;
        memset(f.b + f.len, 0xee, 64);
        EXPECT_EQ(packet_parse(&p, f.b, f.len + 64, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.frame_len, f.len);
        EXPECT_EQ(p.seg.len, sizeof(body));
    }
}

/* A flipped bit is noticed by a sum, or lies where no sum looks (Ethernet, IPv6 class and flow).
 * (RFC 9293 MUST-3) */
static void every_flipped_bit_is_noticed(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct frame f = frame_known(v6);
        struct packet p;
        for (uint32_t bit = ETH_HDR_LEN * 8; bit < f.len * 8; bit++) {
            uint32_t at = bit / 8 - ETH_HDR_LEN;
            f.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
            int rc = packet_parse(&p, f.b, f.len, PACKET_CSUM_UNKNOWN);
            bool not_summed = v6 && (at < 4 || at == 6 || at == 7);
            CU_ASSERT(rc < 0 || p.kind != PACKET_TCP || not_summed);
            f.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void wrong_sums_have_their_own_error(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct frame f = frame_known(v6);
        struct packet p;
        f.b[f.len - 1] ^= 1;
        EXPECT_EQ(parse_exact(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), -EILSEQ);
        EXPECT_EQ(parse_good(&p, &f), 0);
    }
    struct frame f = frame_known(false);
    struct packet p;
    ipv4_of(&f)->ttl--;
    EXPECT_EQ(parse_exact(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), -EILSEQ);
    EXPECT_EQ(parse_good(&p, &f), 0);
}

static void lying_ipv4_lengths_are_refused(void)
{
    for (unsigned ihl = 0; ihl < 16; ihl++) {
        struct frame f = frame_known(false);
        struct packet p;
        ipv4_of(&f)->ver_ihl = (uint8_t)(0x40 | ihl);
        int rc = parse_good(&p, &f);
        CU_ASSERT(ihl >= 5 || rc == -EBADMSG);
    }
    for (uint32_t total = 0; total <= UINT16_MAX; total++) {
        struct frame f = frame_known(false);
        struct packet p;
        ipv4_of(&f)->total_len = be16_make((uint16_t)total);
        int rc = packet_parse(&p, f.b, f.len, PACKET_CSUM_GOOD);
        bool is_possible = total >= 20 + 32 && total <= f.len - ETH_HDR_LEN;
        EXPECT_EQ(rc, is_possible ? 0 : -EBADMSG);
        if (is_possible)
            EXPECT_EQ(p.seg.len, total - 20 - 32);
    }
}

static void lying_ipv6_lengths_are_refused(void)
{
    for (uint32_t n = 0; n <= UINT16_MAX; n++) {
        struct frame f = frame_known(true);
        struct packet p;
        ((struct ipv6_hdr *)(void *)(f.b + ETH_HDR_LEN))->payload_len = be16_make((uint16_t)n);
        int rc = packet_parse(&p, f.b, f.len, PACKET_CSUM_GOOD);
        bool is_possible = n >= 32 && n <= f.len - ETH_HDR_LEN - IPV6_HDR_LEN;
        EXPECT_EQ(rc, is_possible ? 0 : -EBADMSG);
    }
}

static void lying_data_offsets_are_refused(void)
{
    for (unsigned doff = 0; doff < 16; doff++) {
        struct frame f = frame_known(false);
        struct packet p;
        f.len -= (uint32_t)sizeof(body);
        ipv4_of(&f)->total_len = be16_make((uint16_t)(f.len - ETH_HDR_LEN));
        tcp_of(&f)->doff_ns = (uint8_t)(doff << 4 | 0x0f);
        EXPECT_EQ(parse_good(&p, &f), doff >= 5 && doff <= 8 ? 0 : -EBADMSG);
    }
}

static void wrong_versions_are_refused(void)
{
    for (unsigned v = 0; v < 16; v++) {
        struct packet p;
        struct frame f4 = frame_known(false), f6 = frame_known(true);
        f4.b[ETH_HDR_LEN] = (uint8_t)(v << 4 | 5);
        f6.b[ETH_HDR_LEN] = (uint8_t)(v << 4);
        EXPECT_EQ(parse_good(&p, &f4), v == 4 ? 0 : -EBADMSG);
        EXPECT_EQ(parse_good(&p, &f6), v == 6 ? 0 : -EBADMSG);
    }
}

/* RFC 9293 MUST-50 */
static void ipv4_options_are_skipped(void)
{
    struct frame f = frame_known(false);
    struct packet p;
    memmove(f.b + 14 + 28, f.b + 14 + 20, f.len - 34);
    memset(f.b + 14 + 20, 1, 8);
    f.len += 8;
    struct ipv4_hdr *ip = ipv4_of(&f);
    ip->ver_ihl = 0x47;
    ip->total_len = be16_make((uint16_t)(f.len - ETH_HDR_LEN));
    ip->csum.raw = 0;
    ip->csum.raw = csum_fold(csum_add(0, ip, 28));
    EXPECT_EQ(packet_parse(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(p.l4_off, 14 + 28);
    EXPECT_EQ(p.seg.len, sizeof(body));
    CU_ASSERT(memcmp(p.seg.payload, body, sizeof(body)) == 0);
    f.b[14 + 27] ^= 0x80; /* the header's sum covers them */
    EXPECT_EQ(packet_parse(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), -EILSEQ);
}

static void mapped_addresses_on_the_wire_are_refused(void)
{
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1};
    for (unsigned at = 8; at <= 24; at += 16) {
        struct frame f = frame_known(true);
        struct packet p;
        memcpy(f.b + ETH_HDR_LEN + at, mapped, 16);
        EXPECT_EQ(parse_good(&p, &f), -ENOTSUP);
    }
}

static void fragments_are_told_apart(void)
{
    static const struct {
        uint16_t frag_off;
        enum packet_kind kind;
    } cases[] = {{0x0000, PACKET_TCP},      {0x4000, PACKET_TCP},      {0x8000, PACKET_TCP},
                 {0x2000, PACKET_FRAGMENT}, {0x0001, PACKET_FRAGMENT}, {0x3fff, PACKET_FRAGMENT},
                 {0x6000, PACKET_FRAGMENT}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct frame f = frame_known(false);
        struct packet p;
        ipv4_of(&f)->frag_off = be16_make(cases[i].frag_off);
        EXPECT_EQ(parse_good(&p, &f), 0);
        EXPECT_EQ(p.kind, cases[i].kind);
        EXPECT_EQ(p.l4_off, 34);
        EXPECT_EQ(p.ip_id, 99);
        EXPECT_EQ(p.ip_proto, IP_PROTO_TCP);
    }
}

static void a_short_fragment_is_still_a_fragment(void)
{
    struct frame f = frame_known(false);
    struct packet p;
    ipv4_of(&f)->frag_off = be16_make(0x2000);
    ipv4_of(&f)->total_len = be16_make(28);
    EXPECT_EQ(parse_good(&p, &f), 0);
    EXPECT_EQ(p.kind, PACKET_FRAGMENT);
    EXPECT_EQ(p.frame_len, 42);
}

static void what_is_not_spoken_is_other(void)
{
    struct packet p;
    for (unsigned proto = 0; proto < 256; proto++) {
        struct frame f4 = frame_known(false), f6 = frame_known(true);
        if (proto == IP_PROTO_TCP)
            continue;
        f6.b[ETH_HDR_LEN + 6] = (uint8_t)proto;
        bool is_chained = proto == 0 || proto == 43 || proto == 44 || proto == 60;
        if (!is_chained && proto != IP_PROTO_ICMPV6) { /* t_ext_hdr.c, t_icmp6.c */
            EXPECT_EQ(parse_good(&p, &f6), 0);
            EXPECT_EQ(p.kind, PACKET_OTHER);
        }
        if (proto == IP_PROTO_ICMP)
            continue;
        ipv4_of(&f4)->proto = (uint8_t)proto;
        EXPECT_EQ(parse_good(&p, &f4), 0);
        EXPECT_EQ(p.kind, PACKET_OTHER);
        EXPECT_EQ(p.ip_proto, proto);
    }
    struct frame f = frame_known(false);
    f.b[12] = 0x81; /* a VLAN tag */
    f.b[13] = 0x00;
    EXPECT_EQ(parse_good(&p, &f), 0);
    EXPECT_EQ(p.kind, PACKET_OTHER);
    EXPECT_EQ(p.l4_off, 0);
}

/* ---- TCP options ---------------------------------------------------------------------------- */

/* Decodes a copy that ends where the options do. */
static struct tcp_opts opts_of(const uint8_t *b, uint32_t len)
{
    struct tcp_opts o;
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, b, len);
    tcp_opts_parse(&o, copy, len);
    free(copy);
    return o;
}
#define OPTS(...)                                                                                  \
    opts_of((const uint8_t[]){__VA_ARGS__}, (uint32_t)sizeof((const uint8_t[]){__VA_ARGS__}))

/* RFC 9293 MUST-4, MUST-64 */
static void options_of_a_linux_syn(void)
{
    struct tcp_opts o = OPTS(2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7);
    CU_ASSERT(o.has_mss && o.sack_permitted && o.has_ts && o.has_wscale);
    EXPECT_EQ(o.mss, 1460);
    EXPECT_EQ(o.ts_val, 0x01020304);
    EXPECT_EQ(o.ts_ecr, 0x05060708);
    EXPECT_EQ(o.wscale, 7);
    EXPECT_EQ(o.n_sack, 0);
}

static void options_behind_aligned_timestamps_count(void)
{
    struct tcp_opts o =
        OPTS(1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8, 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2);
    EXPECT_EQ(o.ts_val, 9);
    EXPECT_EQ(o.ts_ecr, 8);
    EXPECT_EQ(o.n_sack, 1);
    EXPECT_EQ(o.sack[0].start.v, 1);
    EXPECT_EQ(o.sack[0].end.v, 2);
}

/* RFC 9293 MUST-4, MUST-6, MUST-7, MUST-68 */
static void a_bad_length_stops_but_keeps_what_was_read(void)
{
    static const uint8_t bad[][2] = {{99, 0}, {99, 1}, {99, 5}, {99, 255}, {8, 0}, {2, 1}, {5, 0}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tcp_opts o = OPTS(2, 4, 1, 2, bad[i][0], bad[i][1], 4, 2);
        CU_ASSERT(o.has_mss);
        EXPECT_EQ(o.mss, 0x0102);
        CU_ASSERT_FALSE(o.sack_permitted);
        CU_ASSERT_FALSE(o.has_ts);
    }
    struct tcp_opts o = OPTS(4, 2, 99); /* a kind without a length */
    CU_ASSERT(o.sack_permitted);
    o = OPTS(99, 4, 0, 0, 4, 2); /* an unknown one is stepped over */
    CU_ASSERT(o.sack_permitted);
    o = OPTS(4, 2, 0, 2, 4, 1, 2); /* nothing behind the end of list */
    CU_ASSERT(o.sack_permitted && !o.has_mss);
}

/* Each option cut at each byte is absent, and nothing beyond the end is read. */
static void cut_options_are_absent(void)
{
    static const uint8_t whole[][18] = {{2, 4}, {3, 3}, {4, 2}, {8, 10}, {5, 18}};
    for (unsigned i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        struct tcp_opts none = {0}, o;
        for (uint32_t len = 0; len < whole[i][1]; len++) {
            o = opts_of(whole[i], len);
            CU_ASSERT(model_opts_eq(&o, &none));
        }
        o = opts_of(whole[i], whole[i][1]);
        CU_ASSERT_FALSE(model_opts_eq(&o, &none));
    }
    struct tcp_opts o = OPTS(1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0);
    CU_ASSERT_FALSE(o.has_ts);
}

static void options_of_the_wrong_size_are_ignored(void)
{
    static const uint8_t kinds[] = {2, 3, 4, 5, 8};
    static const uint8_t right[256] = {[2] = 4, [3] = 3, [4] = 2, [8] = 10};
    for (unsigned k = 0; k < sizeof(kinds); k++) {
        for (uint8_t size = 2; size <= 38; size++) {
            uint8_t b[40] = {kinds[k], size};
            b[size] = 4;
            b[size + 1] = 2;
            struct tcp_opts o = opts_of(b, size + 2u);
            bool is_sack = kinds[k] == 5 && size > 2 && (size - 2) % 8 == 0;
            CU_ASSERT(o.sack_permitted);
            EXPECT_EQ(o.has_mss, kinds[k] == 2 && size == right[2]);
            EXPECT_EQ(o.has_wscale, kinds[k] == 3 && size == right[3]);
            EXPECT_EQ(o.has_ts, kinds[k] == 8 && size == right[8]);
            EXPECT_EQ(o.n_sack, is_sack ? (size - 2) / 8 : 0);
        }
    }
}

/* RFC 7323 2.3-2 */
static void odd_values_are_decoded(void)
{
    for (unsigned v = 0; v < 256; v++)
        EXPECT_EQ(OPTS(3, 3, (uint8_t)v).wscale, v > 14 ? 14 : v);
    struct tcp_opts o = OPTS(2, 4, 0, 0);
    CU_ASSERT(o.has_mss);
    EXPECT_EQ(o.mss, 0);
    o = OPTS(2, 4, 0, 1, 2, 4, 0, 8);
    EXPECT_EQ(o.mss, 8);
}

/* More blocks than a header has room for: only a caller that passes more than 40 bytes sees it. */
static void too_many_blocks_are_ignored(void)
{
    for (uint8_t n = 1; n <= 31; n++) {
        uint8_t b[256] = {5, (uint8_t)(2 + n * 8)};
        EXPECT_EQ(opts_of(b, b[1]).n_sack, n <= TCP_SACK_MAX ? n : 0);
    }
}

/* 40 bytes of junk: it comes to an end and reads nothing outside. (RFC 9293 MUST-7) */
static void junk_options_are_survived(void)
{
    struct rng r;
    rng_init(&r, test_seed() + 2);
    static const uint8_t kinds[] = {0, 1, 2, 3, 4, 5, 8, 8, 5, 1};
    for (unsigned i = 0; i < 50000; i++) {
        uint8_t b[TCP_OPT_MAX];
        uint32_t len = rng_below(&r, sizeof(b) + 1);
        model_bytes(&r, b, sizeof(b));
        for (unsigned at = 0; i % 2 && at < len; at += 1 + rng_below(&r, 10)) {
            b[at] = kinds[rng_below(&r, sizeof(kinds))];
            if (at + 1 < len)
                b[at + 1] = (uint8_t)rng_below(&r, 20);
        }
        struct tcp_opts o = opts_of(b, len);
        CU_ASSERT(o.n_sack <= TCP_SACK_MAX);
        CU_ASSERT(o.wscale <= TCP_WSCALE_MAX);
    }
}

/* ---- ARP and ICMP --------------------------------------------------------------------------- */

static void arp_goes_round(void)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t b[64] = {0};
        struct packet p;
        struct build_arp a = {.is_reply = i == 1,
                              .sender_mac = {{2, 0, 0, 0, 0, 1}},
                              .sender_ip = be32_make(0xc0000201),
                              .target_ip = be32_make(0xc0000202)};
        uint32_t len = build_arp(b, &a);
        EXPECT_EQ(packet_parse(&p, b, 60, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_ARP);
        EXPECT_EQ(p.frame_len, len);
        EXPECT_EQ(p.arp.is_reply, i);
        CU_ASSERT(memcmp(&p.arp.sender_mac, &a.sender_mac, 6) == 0);
        EXPECT_EQ(be32_get(p.arp.sender_ip.w[3]), 0xc0000201);
        EXPECT_EQ(be32_get(p.arp.target_ip.w[3]), 0xc0000202);
        CU_ASSERT(ip_addr_is_v4(&p.arp.target_ip));
        for (uint32_t n = 0; n < len; n++)
            EXPECT_EQ(parse_exact(&p, b, n, PACKET_CSUM_UNKNOWN), -EBADMSG);
    }
}

/* Other hardware, protocols, address lengths and operations are none of ours. */
static void strange_arp_is_other(void)
{
    static const uint8_t at[] = {14, 15, 16, 17, 18, 19, 20, 21};
    for (unsigned i = 0; i < sizeof(at); i++) {
        uint8_t b[64];
        struct packet p;
        struct build_arp a = {.sender_ip = be32_make(1)};
        uint32_t len = build_arp(b, &a);
        b[at[i]] ^= 0x40;
        EXPECT_EQ(parse_exact(&p, b, len, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_OTHER);
    }
}

/* An ICMP frame of `type` and `code` with `len` bytes behind its checksum. */
static struct frame icmp_frame(uint8_t type, uint8_t code, const uint8_t *data, uint32_t len)
{
    struct frame f;
    struct build_icmp i = {.l2 = model_l2,
                           .src = ip_addr_v4(be32_make(0xc00002fe)),
                           .dst = ip_addr_v4(be32_make(0xc0000201)),
                           .type = type,
                           .code = code,
                           .ttl = 64,
                           .data = data,
                           .len = len};
    f.len = build_icmp(f.b, &i);
    return f;
}

static void echo_goes_round(void)
{
    static const uint8_t data[] = {0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g'};
    for (unsigned type = 0; type <= 8; type += 8) {
        struct frame f = icmp_frame((uint8_t)type, 0, data, sizeof(data));
        struct packet p;
        EXPECT_EQ(packet_parse(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_ICMP_ECHO);
        EXPECT_EQ(p.icmp.type, type);
        EXPECT_EQ(p.icmp.len, sizeof(data));
        CU_ASSERT(memcmp(p.icmp.data, data, sizeof(data)) == 0);
        f.b[f.len - 1] ^= 1;
        EXPECT_EQ(parse_exact(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), -EILSEQ);
        for (uint32_t n = 0; n < f.len; n++)
            EXPECT_EQ(parse_exact(&p, f.b, n, PACKET_CSUM_GOOD), -EBADMSG);
    }
    struct frame f = icmp_frame(8, 0, data, 3); /* shorter than id and sequence */
    struct packet p;
    EXPECT_EQ(parse_good(&p, &f), -EBADMSG);
}

/* An error that quotes the first `len` bytes of the known segment, which this host sent. */
static struct frame icmp_error(uint8_t type, uint8_t code, const uint8_t *quote, uint32_t len)
{
    uint8_t data[600] = {0, 0, 0x05, 0x14};
    memcpy(data + 4, quote, len);
    return icmp_frame(type, code, data, 4 + len);
}

static void errors_quote_the_segment(void)
{
    static const uint8_t types[] = {3, 4, 11, 12};
    struct seg sent = seg_known(false);
    struct frame f = frame_known(false);
    for (unsigned i = 0; i < sizeof(types); i++) {
        struct frame e = icmp_error(types[i], 4, f.b + ETH_HDR_LEN, 28);
        struct packet p;
        EXPECT_EQ(packet_parse(&p, e.b, e.len, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_ICMP_ERROR);
        EXPECT_EQ(p.icmp.type, types[i]);
        EXPECT_EQ(p.icmp.code, 4);
        EXPECT_EQ(p.icmp.mtu, types[i] == 3 ? 1300 : 0);
        CU_ASSERT(p.icmp.has_tcp);
        CU_ASSERT(flow_tuple_eq(&p.icmp.tuple, &sent.tuple));
        EXPECT_EQ(p.icmp.seq.v, sent.seq.v);
    }
}

static void only_fragmentation_needed_has_an_mtu(void)
{
    struct frame f = frame_known(false);
    for (uint8_t code = 0; code < 16; code++) {
        struct frame e = icmp_error(3, code, f.b + ETH_HDR_LEN, 28);
        struct packet p;
        EXPECT_EQ(parse_good(&p, &e), 0);
        EXPECT_EQ(p.icmp.mtu, code == 4 ? 1300 : 0);
    }
}

static bool quote_has_tcp(const uint8_t *quote, uint32_t len)
{
    struct frame e = icmp_error(3, 1, quote, len);
    struct packet p;
    EXPECT_EQ(parse_good(&p, &e), 0);
    EXPECT_EQ(p.kind, PACKET_ICMP_ERROR);
    return p.icmp.has_tcp;
}

static void bad_quotes_have_no_segment(void)
{
    struct frame f = frame_known(false);
    uint8_t *ip = f.b + ETH_HDR_LEN;
    for (uint32_t len = 0; len <= 40; len++)
        EXPECT_EQ(quote_has_tcp(ip, len), len >= 28);
    for (unsigned v = 0; v < 256; v++) {
        ip[0] = (uint8_t)v;
        EXPECT_EQ(quote_has_tcp(ip, 28), v == 0x45);
        EXPECT_EQ(quote_has_tcp(ip, 36), v >= 0x45 && v <= 0x47);
    }
    f = frame_known(false);
    ip[9] = 17;
    CU_ASSERT_FALSE(quote_has_tcp(ip, 40));
    f = frame_known(false);
    ipv4_of(&f)->frag_off = be16_make(1);
    CU_ASSERT_FALSE(quote_has_tcp(ip, 40));
    ipv4_of(&f)->frag_off = be16_make(0x2000); /* the first fragment has the ports */
    CU_ASSERT(quote_has_tcp(ip, 40));
    ipv4_of(&f)->total_len = be16_make(27);
    CU_ASSERT_FALSE(quote_has_tcp(ip, 40));
}

static void other_icmp_is_other(void)
{
    static const uint8_t data[8] = {0};
    for (unsigned type = 0; type < 256; type++) {
        struct frame f = icmp_frame((uint8_t)type, 0, data, sizeof(data));
        struct packet p;
        bool known = type == 0 || type == 3 || type == 4 || type == 8 || type == 11 || type == 12;
        EXPECT_EQ(parse_good(&p, &f), 0);
        EXPECT_EQ(p.kind == PACKET_OTHER, !known);
    }
}

/* ---- IPv6 ----------------------------------------------------------------------------------- */

/* The segment behind a destination options header is the same segment. */
static void a_segment_behind_a_chain_is_a_segment(void)
{
    static const uint8_t options[8] = {IP_PROTO_TCP, 0, 1, 4};
    struct seg s = seg_known(true);
    struct frame plain = frame_known(true), f;
    struct model_ip6 m = {s.tuple.local, s.tuple.remote, 60, 64};
    uint8_t payload[MODEL_FRAME_MAX];
    struct packet p;
    uint32_t l4_len = plain.len - ETH_HDR_LEN - IPV6_HDR_LEN;
    memcpy(payload, options, 8);
    memcpy(payload + 8, plain.b + ETH_HDR_LEN + IPV6_HDR_LEN, l4_len);
    f.len = model_ip6_frame(f.b, &model_l2, &m, payload, 8 + l4_len);
    EXPECT_EQ(packet_parse(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), 0);
    CU_ASSERT(p.kind == PACKET_TCP && model_seg_arrived(&s, &p.seg));
    EXPECT_EQ(p.l4_off, ETH_HDR_LEN + IPV6_HDR_LEN + 8);
    f.b[ETH_HDR_LEN + IPV6_HDR_LEN + 8 + 20] ^= 1;
    EXPECT_EQ(parse_exact(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), -EILSEQ);
    f.b[ETH_HDR_LEN + IPV6_HDR_LEN + 2] = 0x81; /* an option that must be told of */
    EXPECT_EQ(parse_good(&p, &f), 0);
    EXPECT_EQ(p.kind, PACKET_PROBLEM);
    EXPECT_EQ(p.problem.code, 2);
    EXPECT_EQ(p.problem.pointer, IPV6_HDR_LEN + 2);
    f.b[ETH_HDR_LEN + 6] = 44;
    f.b[ETH_HDR_LEN + IPV6_HDR_LEN + 3] = 1;
    EXPECT_EQ(parse_good(&p, &f), 0);
    EXPECT_EQ(p.kind, PACKET_FRAGMENT);
    EXPECT_EQ(p.l4_off, ETH_HDR_LEN + IPV6_HDR_LEN + 8);
}

/* Nobody sends as a group, and where zones are kept in here there is nothing on the wire. */
static void strange_ipv6_addresses_are_refused(void)
{
    struct packet p;
    for (unsigned at = 8; at <= 24; at += 16) {
        struct frame f = frame_known(true);
        f.b[ETH_HDR_LEN + at] = 0xff;
        EXPECT_EQ(parse_good(&p, &f), at == 8 ? -EBADMSG : 0);
        f.b[ETH_HDR_LEN + at] = 0xfe;
        f.b[ETH_HDR_LEN + at + 1] = 0x80; /* fe80:db8::1 */
        EXPECT_EQ(parse_good(&p, &f), -ENOTSUP);
        f.b[ETH_HDR_LEN + at + 2] = f.b[ETH_HDR_LEN + at + 3] = 0;
        EXPECT_EQ(parse_good(&p, &f), 0);
    }
}

/* ---- junk ----------------------------------------------------------------------------------- */

/* Frames that start well and go wrong anywhere: parsed or refused, nothing read outside, and what
 * is said to be payload lies in the frame. */
static void mutated_frames_are_survived(void)
{
    struct rng r;
    rng_init(&r, test_seed() + 3);
    for (unsigned i = 0; i < 20000; i++) {
        struct frame f = frame_known(model_coin(&r));
        if (i % 4 == 0)
            f = icmp_error(3, 4, f.b + ETH_HDR_LEN, 40);
        for (uint32_t n = rng_below(&r, 8); n > 0; n--)
            f.b[rng_below(&r, f.len)] = (uint8_t)rng_u32(&r);
        f.len -= rng_below(&r, 4) ? 0 : rng_below(&r, f.len + 1);
        uint8_t *copy = malloc(f.len ? f.len : 1);
        struct packet p;
        memcpy(copy, f.b, f.len);
        int rc = packet_parse(&p, copy, f.len, PACKET_CSUM_GOOD);
        CU_ASSERT(rc == 0 || rc == -EBADMSG);
        CU_ASSERT(rc < 0 || p.frame_len <= f.len);
        if (rc == 0 && p.kind == PACKET_TCP)
            CU_ASSERT(p.seg.payload + p.seg.len == copy + p.frame_len);
        if (rc == 0 && p.kind == PACKET_ICMP_ERROR)
            CU_ASSERT(p.icmp.data + p.icmp.len == copy + p.frame_len);
        free(copy);
    }
}

/* Two more bytes tell what an option of kind 254 is about (RFC 6994). That kind gives way to 34. */
static void fast_open_cookies_as_an_experiment(void)
{
    struct tcp_opts o;
    for (uint8_t size = 2; size < 36; size++) {
        uint8_t opt[40] = {254, size, 0xf9, 0x89};
        bool good = size == 4 || (size >= 8 && size <= 20 && size % 2 == 0);
        tcp_opts_parse(&o, opt, sizeof(opt));
        EXPECT_EQ(o.has_fastopen, good);
        EXPECT_EQ(o.fastopen_is_exp, good);
        EXPECT_EQ(o.fastopen_len, good ? size - 4 : 0);
        CU_ASSERT(!good || o.fastopen_cookie == opt + 4);
        opt[3] = 0x88;
        tcp_opts_parse(&o, opt, sizeof(opt));
        CU_ASSERT(!o.has_fastopen);
    }
    static const uint8_t both[][12] = {{34, 6, 1, 2, 3, 4, 254, 4, 0xf9, 0x89},
                                       {254, 4, 0xf9, 0x89, 34, 6, 1, 2, 3, 4}};
    for (unsigned i = 0; i < 2; i++) {
        tcp_opts_parse(&o, both[i], sizeof(both[i]));
        CU_ASSERT(o.has_fastopen && !o.fastopen_is_exp);
        EXPECT_EQ(o.fastopen_len, 4);
    }
}

/* RFC 7413 4.1.1: no cookie, or one of 4 to 16 bytes, an even number. */
static void fast_open_cookies(void)
{
    for (uint8_t size = 2; size < 40; size++) {
        uint8_t opt[40] = {34, size};
        struct tcp_opts o;
        bool good = size == 2 || (size >= 6 && size <= 18 && size % 2 == 0);
        tcp_opts_parse(&o, opt, sizeof(opt));
        EXPECT_EQ(o.has_fastopen, good);
        EXPECT_EQ(o.fastopen_len, good ? size - 2 : 0);
        CU_ASSERT(!good || o.fastopen_cookie == opt + 2);
    }
}

TEST_SUITE(parse, TEST_CASE(fast_open_cookies), TEST_CASE(fast_open_cookies_as_an_experiment), TEST_CASE(random_segments_go_round), TEST_CASE(raw_ip_goes_round),
           TEST_CASE(every_truncation_is_refused), TEST_CASE(short_transports_are_refused),
           TEST_CASE(ethernet_padding_is_cut), TEST_CASE(every_flipped_bit_is_noticed),
           TEST_CASE(wrong_sums_have_their_own_error), TEST_CASE(lying_ipv4_lengths_are_refused),
           TEST_CASE(lying_ipv6_lengths_are_refused), TEST_CASE(lying_data_offsets_are_refused),
           TEST_CASE(wrong_versions_are_refused), TEST_CASE(ipv4_options_are_skipped),
           TEST_CASE(mapped_addresses_on_the_wire_are_refused), TEST_CASE(fragments_are_told_apart),
           TEST_CASE(a_short_fragment_is_still_a_fragment), TEST_CASE(what_is_not_spoken_is_other),
           TEST_CASE(options_of_a_linux_syn), TEST_CASE(options_behind_aligned_timestamps_count),
           TEST_CASE(a_bad_length_stops_but_keeps_what_was_read), TEST_CASE(cut_options_are_absent),
           TEST_CASE(options_of_the_wrong_size_are_ignored), TEST_CASE(odd_values_are_decoded),
           TEST_CASE(too_many_blocks_are_ignored), TEST_CASE(junk_options_are_survived),
           TEST_CASE(arp_goes_round), TEST_CASE(strange_arp_is_other), TEST_CASE(echo_goes_round),
           TEST_CASE(errors_quote_the_segment), TEST_CASE(only_fragmentation_needed_has_an_mtu),
           TEST_CASE(bad_quotes_have_no_segment), TEST_CASE(other_icmp_is_other),
           TEST_CASE(a_segment_behind_a_chain_is_a_segment),
           TEST_CASE(strange_ipv6_addresses_are_refused), TEST_CASE(mutated_frames_are_survived));

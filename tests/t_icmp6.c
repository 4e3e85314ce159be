/* ICMPv6 and neighbour discovery: what was built is what is parsed, every check of RFC 4861 6.1 and
 * 7.1, options of every length, quotes. */
#include "tests/test.h"
#include "tests/wire_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    uint8_t b[1600];
    uint32_t len;
};

static struct ip_addr ip(const char *text)
{
    struct ip_addr a;
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse(text, &a), 0);
    return a;
}

static int parse_exact(struct packet *p, const struct frame *f, enum packet_csum csum)
{
    uint8_t *copy = malloc(f->len ? f->len : 1);
    memcpy(copy, f->b, f->len);
    int rc = packet_parse(p, copy, f->len, csum);
    free(copy);
    return rc;
}

/* A message from `src` to `dst`, hop limit 255. */
static struct frame message(const char *src, const char *dst, const uint8_t *msg, uint32_t len)
{
    struct frame f;
    struct model_ip6 m = {.src = ip(src), .dst = ip(dst), .hop_limit = 255};
    f.len = model_icmp6_frame(f.b, &model_l2, &m, msg, len);
    return f;
}

/* What the parser says of such a message. */
static int said(const char *src, const char *dst, const uint8_t *msg, uint32_t len)
{
    struct packet p;
    struct frame f = message(src, dst, msg, len);
    int rc = parse_exact(&p, &f, PACKET_CSUM_UNKNOWN);
    return rc == 0 && p.kind != PACKET_NDP ? 1 : rc;
}

/* ---- echo and errors ------------------------------------------------------------------------- */

static void echo_goes_round(void)
{
    static const uint8_t data[] = {0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g'};
    for (unsigned type = ICMP6_ECHO; type <= ICMP6_ECHO_REPLY; type++) {
        struct build_icmp i = {.l2 = model_l2,
                               .src = ip("2001:db8::1"),
                               .dst = ip("2001:db8::2"),
                               .type = (uint8_t)type,
                               .ttl = 64,
                               .data = data,
                               .len = sizeof(data)};
        struct frame f;
        struct packet p;
        f.len = build_icmp(f.b, &i);
        EXPECT_EQ(f.len, ETH_HDR_LEN + IPV6_HDR_LEN + 4 + sizeof(data));
        EXPECT_EQ(packet_parse(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_ICMP_ECHO);
        EXPECT_EQ(p.icmp.type, type);
        EXPECT_EQ(p.icmp.len, sizeof(data));
        CU_ASSERT(memcmp(p.icmp.data, data, sizeof(data)) == 0);
        CU_ASSERT(ip_addr_eq(&p.src, &i.src) && ip_addr_eq(&p.dst, &i.dst));
        f.b[f.len - 1] ^= 1;
        EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_UNKNOWN), -EILSEQ);
        for (f.len--; f.len > 0; f.len--)
            EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_GOOD), -EBADMSG);
    }
}

/* A segment of ours, behind `chain` bytes of extension headers, quoted by an error with `mtu`. */
static struct frame error(uint8_t type, uint32_t mtu, bool chain, uint32_t quoted)
{
    uint8_t msg[8 + 200] = {type, 0, 0, 0};
    uint8_t quote[ETH_HDR_LEN + IPV6_HDR_LEN + 100] = {0};
    struct model_ip6 m = {.src = ip("2001:db8::1"), .dst = ip("2001:db8::9"), .next_hdr = 6};
    uint8_t inner[] = {6, 0, 1, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0};
    if (chain)
        m.next_hdr = 60;
    model_ip6_frame(quote, &model_l2, &m, inner + (chain ? 0 : 8), sizeof(inner) - (chain ? 0 : 8));
    be32_t word = be32_make(mtu);
    memcpy(msg + 4, &word, 4);
    memcpy(msg + 8, quote + ETH_HDR_LEN, quoted);
    return message("2001:db8::77", "2001:db8::1", msg, 8 + quoted);
}

static void errors_quote_the_segment(void)
{
    for (unsigned type = 1; type <= 4; type++) {
        for (unsigned chain = 0; chain < 2; chain++) {
            struct frame f = error((uint8_t)type, 1300, chain, 40 + 8 + 8 * chain);
            struct packet p;
            struct ip_addr us = ip("2001:db8::1"), them = ip("2001:db8::9");
            EXPECT_EQ(packet_parse(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), 0);
            EXPECT_EQ(p.kind, PACKET_ICMP_ERROR);
            EXPECT_EQ(p.icmp.type, type);
            EXPECT_EQ(p.icmp.mtu, type == 2 ? 1300 : 0);
            CU_ASSERT(p.icmp.has_tcp && ip_addr_eq(&p.icmp.tuple.local, &us) &&
                      ip_addr_eq(&p.icmp.tuple.remote, &them));
            EXPECT_EQ(p.icmp.tuple.local_port, 0x1234);
            EXPECT_EQ(p.icmp.tuple.remote_port, 80);
            EXPECT_EQ(p.icmp.seq.v, 0x01020304);
        }
    }
    struct packet p;
    struct frame f = error(2, 70000, false, 48);
    EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(p.icmp.mtu, 65535);
}

static void short_quotes_have_no_segment(void)
{
    for (uint32_t n = 0; n <= 60; n++) {
        struct frame f = error(1, 0, true, n);
        struct packet p;
        EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.icmp.has_tcp, n >= 56);
    }
}

/* In here they are IPv4's: the error would be one of another connection. */
static void quotes_of_mapped_addresses_are_no_segment(void)
{
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
    for (unsigned side = 0; side < 2; side++) {
        struct frame f = error(3, 0, false, 48);
        struct packet p;
        memcpy(f.b + ETH_HDR_LEN + IPV6_HDR_LEN + 8 + 8 + side * 16, mapped, sizeof(mapped));
        EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_GOOD), 0);
        EXPECT_EQ(p.kind, PACKET_ICMP_ERROR);
        CU_ASSERT_FALSE(p.icmp.has_tcp);
    }
}

/* ---- neighbours ------------------------------------------------------------------------------ */

static void solicitations_and_advertisements_go_round(void)
{
    for (unsigned i = 0; i < 16; i++) {
        struct build_ndp b = {.l2 = model_l2,
                              .src = ip("fe80::1"),
                              .dst = ip("2001:db8::2"),
                              .type = i & 1 ? NDP_ADVERT : NDP_SOLICIT,
                              .is_solicited = i & 2,
                              .is_override = i & 4,
                              .has_lladdr = i & 8,
                              .target = ip("fe80::7")};
        struct frame f;
        struct packet p;
        bool is_advert = i & 1;
        ip_addr_set_zone(&b.src, 3); /* not on the wire */
        ip_addr_set_zone(&b.target, 3);
        if (!is_advert)
            b.is_solicited = b.is_override = false;
        f.len = build_ndp(f.b, &b);
        EXPECT_EQ(f.len, ETH_HDR_LEN + IPV6_HDR_LEN + 24 + (b.has_lladdr ? 8 : 0));
        EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_NDP);
        EXPECT_EQ(p.ndp.type, b.type);
        EXPECT_EQ(p.ndp.is_solicited, b.is_solicited);
        EXPECT_EQ(p.ndp.is_override, b.is_override);
        CU_ASSERT_FALSE(p.ndp.is_router);
        EXPECT_EQ(p.ndp.has_lladdr, b.has_lladdr);
        if (b.has_lladdr)
            CU_ASSERT(memcmp(&p.ndp.lladdr, &model_l2.src, 6) == 0);
        struct ip_addr target = ip("fe80::7"), src = ip("fe80::1");
        CU_ASSERT(ip_addr_eq(&p.ndp.target, &target) && ip_addr_eq(&p.src, &src));
        EXPECT_EQ(f.b[ETH_HDR_LEN + 7], 255);
    }
}

static void a_router_solicitation_goes_round(void)
{
    struct build_ndp b = {.l2 = model_l2,
                          .src = ip("fe80::1"),
                          .dst = ip("ff02::2"),
                          .type = NDP_ROUTER_SOLICIT,
                          .has_lladdr = true};
    struct frame f;
    struct packet p;
    f.len = build_ndp(f.b, &b);
    EXPECT_EQ(f.len, ETH_HDR_LEN + IPV6_HDR_LEN + 16);
    EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(p.ndp.type, NDP_ROUTER_SOLICIT);
    CU_ASSERT(p.ndp.has_lladdr);
}

/* A solicitation for 2001:db8::5, and the option that says who asks. */
static const uint8_t solicit[32] = {135, 0, [8] = 0x20, 0x01, 0x0d, 0xb8, [23] = 5, 1,
                                    1,   2, 0,          0,    0,    0,    9};

#define GROUP "ff02::1:ff00:5"

static void what_a_router_passed_on_is_refused(void)
{
    for (unsigned hops = 0; hops < 256; hops++) {
        struct frame f;
        struct packet p;
        struct model_ip6 m = {ip("fe80::1"), ip(GROUP), 58, (uint8_t)hops};
        f.len = model_icmp6_frame(f.b, &model_l2, &m, solicit, sizeof(solicit));
        EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_UNKNOWN), hops == 255 ? 0 : -EBADMSG);
    }
}

static void every_truncation_is_refused(void)
{
    for (uint32_t n = 0; n <= sizeof(solicit); n++)
        EXPECT_EQ(said("fe80::1", GROUP, solicit, n), n == 24 || n == 32 ? 0 : -EBADMSG);
}

static void solicitations_that_make_no_sense_are_refused(void)
{
    uint8_t m[32];
    memcpy(m, solicit, sizeof(m));
    m[1] = 1; /* a code */
    EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG);
    m[1] = 0;
    m[8] = 0xff; /* a group as target */
    EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG);
    m[8] = 0xfe, m[9] = 0x80; /* fe80:db8::5 */
    EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG);
    m[10] = m[11] = 0;
    EXPECT_EQ(said("fe80::1", GROUP, m, 32), 0);
    memset(m + 8, 0, 16); /* nobody as target */
    EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG);
    m[18] = m[19] = 0xff; /* an IPv4 address */
    m[20] = 10;
    EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG);
    EXPECT_EQ(said("ff02::9", GROUP, solicit, 32), -EBADMSG); /* from a group */
}

/* Without an address of one's own (RFC 4861 7.1.1). */
static void a_probe_goes_to_the_group_without_an_option(void)
{
    EXPECT_EQ(said("::", GROUP, solicit, 24), 0);
    EXPECT_EQ(said("::", GROUP, solicit, 32), -EBADMSG);
    EXPECT_EQ(said("::", "ff02::1:ff00:6", solicit, 24), -EBADMSG);
    EXPECT_EQ(said("::", "2001:db8::5", solicit, 24), -EBADMSG);
}

static void option_lengths_are_checked(void)
{
    uint8_t m[40];
    for (unsigned kind = 0; kind < 256; kind++) {
        memcpy(m, solicit, 24);
        memset(m + 24, 0, 16);
        m[24] = (uint8_t)kind;
        EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG); /* length 0 */
        m[25] = 1;
        m[26] = 2;
        EXPECT_EQ(said("fe80::1", GROUP, m, 32), 0);
        EXPECT_EQ(said("fe80::1", GROUP, m, 33), -EBADMSG); /* a kind without a length */
        m[25] = 2;
        EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG); /* beyond the end */
        EXPECT_EQ(said("fe80::1", GROUP, m, 40), 0);
    }
    memcpy(m, solicit, 32);
    m[26] = 1; /* the link-layer address of a group */
    EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG);
    memset(m + 26, 0, 6); /* of nobody */
    EXPECT_EQ(said("fe80::1", GROUP, m, 32), -EBADMSG);
}

static void advertisements_to_all_answer_nobody(void)
{
    uint8_t m[24];
    memcpy(m, solicit, 24);
    m[0] = 136;
    m[4] = 0xe0;
    EXPECT_EQ(said("fe80::1", "fe80::2", m, 24), 0);
    EXPECT_EQ(said("fe80::1", "ff02::1", m, 24), -EBADMSG);
    m[4] = 0xa0;
    EXPECT_EQ(said("fe80::1", "ff02::1", m, 24), 0);
}

/* Neighbour discovery is not done in fragments, not even in one (RFC 6980). */
static void a_fragment_header_is_refused(void)
{
    uint8_t payload[8 + 24] = {58, 0, 0, 0, 0, 0, 0, 1};
    struct frame f;
    struct packet p;
    struct model_ip6 m = {ip("fe80::1"), ip(GROUP), 44, 255};
    memcpy(payload + 8, solicit, 24);
    f.len = model_ip6_frame(f.b, &model_l2, &m, payload, sizeof(payload));
    EXPECT_EQ(parse_exact(&p, &f, PACKET_CSUM_GOOD), -EBADMSG);
}

/* ---- routers --------------------------------------------------------------------------------- */

static const uint8_t
    advert[] =
        {
            134,  0,    0,    0,    64, 0, 0x07, 0x08, 0,    0,    0x75, 0x30,
            0,    0,    0x03, 0xe8,                    /* 30 s, 1 s */
            1,    1,    2,    0,    0,  0, 0,    9,    /* who */
            5,    1,    0,    0,    0,  0, 0x05, 0x14, /* MTU 1300 */
            3,    4,    64,   0xc0, 0,  0, 0x0e, 0x10, 0,    0,    0x07, 0x08,
            0,    0,    0,    0, /* a prefix */
            0x20, 1,    0x0d, 0xb8, 0,  1, 0,    0,    0,    0,    0,    0,
            0,    0,    0,    0,    3,  4, 129,  0xc0, 0,    0,    0x0e, 0x10,
            0,    0,    0x07, 0x08, 0,  0, 0,    0, /* too long */
            0x20, 1,    0x0d, 0xb8, 0,  1, 0,    0,    0,    0,    0,    0,
            0,    0,    0,    0,    3,  4, 64,   0x80, 0,    0,    0x0e, 0x10,
            0,    0,    0x0e, 0x11, 0,  0, 0,    0, /* preferred */
            0x20, 1,    0x0d, 0xb8, 0,  2, 0,    0,    0,    0,    0,    0,
            0,    0,    0,    0, /* > valid */
            3,    4,    64,   0xc0, 0,  0, 0x0e, 0x10, 0,    0,    0x07, 0x08,
            0,    0,    0,    0, /* fe80:: */
            0xfe, 0x80, 0,    0,    0,  0, 0,    0,    0,    0,    0,    0,
            0,    0,    0,    0,    3,  4, 48,   0x80, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0,  0, 0,    0,    0x20, 1,    0x0d, 0xb8,
            0,    3,    0,    0,    0,  0, 0,    0,    0,    0,    0,    0,
};

static void a_router_advertisement_is_read(void)
{
    struct frame f = message("fe80::1", "ff02::1", advert, sizeof(advert));
    struct packet p;
    struct ndp_prefix x;
    EXPECT_EQ(packet_parse(&p, f.b, f.len, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(p.kind, PACKET_NDP);
    EXPECT_EQ(p.ndp.lifetime_s, 1800);
    EXPECT_EQ(p.ndp.reachable_ms, 30000);
    EXPECT_EQ(p.ndp.retrans_ms, 1000);
    EXPECT_EQ(p.ndp.mtu, 1300);
    CU_ASSERT(p.ndp.has_lladdr);
    CU_ASSERT_FATAL(ndp_next_prefix(&p.ndp, &x));
    struct ip_addr first = ip("2001:db8:1::"), last = ip("2001:db8:3::");
    CU_ASSERT(ip_addr_eq(&x.prefix, &first) && x.is_on_link && x.is_autonomous);
    EXPECT_EQ(x.len, 64);
    EXPECT_EQ(x.valid_s, 3600);
    EXPECT_EQ(x.preferred_s, 1800);
    CU_ASSERT_FATAL(ndp_next_prefix(&p.ndp, &x)); /* what makes no sense is passed over */
    CU_ASSERT(ip_addr_eq(&x.prefix, &last) && x.is_on_link && !x.is_autonomous);
    EXPECT_EQ(x.valid_s, UINT32_MAX);
    CU_ASSERT_FALSE(ndp_next_prefix(&p.ndp, &x));
}

static void only_a_neighbour_is_a_router(void)
{
    EXPECT_EQ(said("2001:db8::1", "ff02::1", advert, sizeof(advert)), -EBADMSG);
    EXPECT_EQ(said("fe80::1", "ff02::1", advert, 16), 0);
    EXPECT_EQ(said("fe80::1", "ff02::1", advert, 15), -EBADMSG);
    static const uint8_t ask[] = {133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9};
    EXPECT_EQ(said("::", "ff02::2", ask, 8), 0);
    EXPECT_EQ(said("::", "ff02::2", ask, 16), -EBADMSG); /* says where nobody is */
    static const uint8_t redirect[40] = {137};
    EXPECT_EQ(said("fe80::1", "fe80::2", redirect, sizeof(redirect)), 1); /* not spoken */
}

static void junk_is_survived(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 20000; i++) {
        struct frame f = message("fe80::1", "ff02::1", advert, sizeof(advert));
        if (i % 3 == 0)
            f = error(2, 1300, model_coin(&r), 60);
        for (uint32_t n = rng_below(&r, 8); n > 0; n--)
            f.b[14 + rng_below(&r, f.len - 14)] = (uint8_t)rng_u32(&r);
        f.len -= rng_below(&r, 4) ? 0 : rng_below(&r, f.len + 1);
        uint8_t *copy = malloc(f.len ? f.len : 1);
        struct packet p;
        struct ndp_prefix x;
        memcpy(copy, f.b, f.len);
        int rc = packet_parse(&p, copy, f.len, PACKET_CSUM_GOOD);
        CU_ASSERT(rc == 0 || rc == -EBADMSG || rc == -ENOTSUP);
        while (rc == 0 && p.kind == PACKET_NDP && ndp_next_prefix(&p.ndp, &x))
            CU_ASSERT(x.len <= 128);
        free(copy);
    }
}

TEST_SUITE(icmp6, TEST_CASE(echo_goes_round), TEST_CASE(errors_quote_the_segment),
           TEST_CASE(short_quotes_have_no_segment),
           TEST_CASE(quotes_of_mapped_addresses_are_no_segment),
           TEST_CASE(solicitations_and_advertisements_go_round),
           TEST_CASE(a_router_solicitation_goes_round),
           TEST_CASE(what_a_router_passed_on_is_refused), TEST_CASE(every_truncation_is_refused),
           TEST_CASE(solicitations_that_make_no_sense_are_refused),
           TEST_CASE(a_probe_goes_to_the_group_without_an_option),
           TEST_CASE(option_lengths_are_checked), TEST_CASE(advertisements_to_all_answer_nobody),
           TEST_CASE(a_fragment_header_is_refused), TEST_CASE(a_router_advertisement_is_read),
           TEST_CASE(only_a_neighbour_is_a_router), TEST_CASE(junk_is_survived));

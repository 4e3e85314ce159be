/* Chains of IPv6 extension headers: every kind skipped, cut, repeated, out of place, with options
 * that nobody knows. Pieces are of exactly their size, so that a sanitizer sees a read beyond. */
#include "tests/test.h"
#include "tests/wire_model.h"

#include "mtcp/wire/ext_hdr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HBH = 0, TCP = 6, ROUTING = 43, FRAG = 44, NONE = 59, DST = 60 };

static const struct model_ip6 model = {.src = {.b = {0x20, 1, [15] = 1}},
                                       .dst = {.b = {0x20, 1, [15] = 2}}};

/* Walks a chain that begins with a header of kind `first`; the packet goes to a group if so. */
static int walk_to(struct ext_chain *c, bool to_group, uint8_t first, const uint8_t *b, uint32_t n)
{
    uint8_t frame[ETH_HDR_LEN + IPV6_HDR_LEN + 2200];
    struct model_ip6 m = model;
    m.next_hdr = first;
    if (to_group)
        m.dst.b[0] = 0xff;
    uint32_t len = model_ip6_frame(frame, &model_l2, &m, b, n) - ETH_HDR_LEN;
    uint8_t *exact = malloc(len);
    memcpy(exact, frame + ETH_HDR_LEN, len);
    int rc = ext_hdr_walk(c, (struct piece){exact, len});
    free(exact);
    return rc;
}

#define WALK(c, first, ...)                                                                        \
    walk_to(c, false, first, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void expect_upper(const struct ext_chain *c, uint32_t skipped)
{
    EXPECT_EQ(c->end, EXT_UPPER);
    EXPECT_EQ(c->proto, TCP);
    EXPECT_EQ(c->len, IPV6_HDR_LEN + skipped);
}

static void each_kind_is_skipped(void)
{
    struct ext_chain c;
    EXPECT_EQ(WALK(&c, TCP, 9), 0);
    expect_upper(&c, 0);
    EXPECT_EQ(WALK(&c, HBH, TCP, 0, 1, 4, 0, 0, 0, 0, 9), 0);
    expect_upper(&c, 8);
    EXPECT_EQ(WALK(&c, DST, TCP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    expect_upper(&c, 16); /* and nothing behind it */
    EXPECT_EQ(WALK(&c, ROUTING, TCP, 0, 0, 0, 0, 0, 0, 0), 0);
    expect_upper(&c, 8);
    EXPECT_EQ(WALK(&c, FRAG, TCP, 0, 0, 0, 1, 2, 3, 4), 0);
    expect_upper(&c, 8); /* the whole packet is in this one (RFC 6946) */
    CU_ASSERT(c.has_fragment);
    EXPECT_EQ(WALK(&c, HBH, DST, 0, 1, 4, 0, 0, 0, 0, ROUTING, 0, 1, 4, 0, 0, 0, 0, /* */
                   FRAG, 0, 2, 0, 0, 0, 0, 0, DST, 0, 0, 0, 0, 0, 0, 0, TCP, 0, 0, 0, 0, 0, 0, 0),
              0);
    expect_upper(&c, 40);
    EXPECT_EQ(WALK(&c, HBH, NONE, 0, 1, 4, 0, 0, 0, 0), 0);
    EXPECT_EQ(c.proto, NONE);
}

static void every_cut_is_refused(void)
{
    uint8_t b[24] = {DST, 1, 1, 12, [16] = TCP, 0, 1, 4};
    struct ext_chain c;
    for (uint32_t n = 0; n < sizeof(b); n++)
        EXPECT_EQ(walk_to(&c, false, HBH, b, n), -EBADMSG);
    EXPECT_EQ(walk_to(&c, false, HBH, b, sizeof(b)), 0);
    for (unsigned units = 3; units < 256; units++) { /* longer than the packet */
        b[1] = (uint8_t)units;
        EXPECT_EQ(walk_to(&c, false, HBH, b, sizeof(b)), -EBADMSG);
    }
}

static void the_walk_is_bounded(void)
{
    uint8_t b[8 * (EXT_HDR_MAX + 1)] = {0};
    struct ext_chain c;
    for (unsigned i = 0; i <= EXT_HDR_MAX; i++)
        b[8 * i] = DST;
    b[8 * (EXT_HDR_MAX - 1)] = TCP;
    EXPECT_EQ(walk_to(&c, false, DST, b, sizeof(b)), 0);
    expect_upper(&c, 8 * EXT_HDR_MAX);
    b[8 * (EXT_HDR_MAX - 1)] = DST;
    b[8 * EXT_HDR_MAX] = TCP;
    EXPECT_EQ(walk_to(&c, false, DST, b, sizeof(b)), -ENOTSUP);
}

static void fragments_end_the_chain(void)
{
    struct ext_chain c;
    EXPECT_EQ(WALK(&c, FRAG, TCP, 0, 0, 1, 0, 0, 0, 1, 9), 0); /* more follow */
    EXPECT_EQ(c.end, EXT_FRAGMENT);
    EXPECT_EQ(c.proto, TCP);
    EXPECT_EQ(c.len, IPV6_HDR_LEN + 8);
    EXPECT_EQ(WALK(&c, FRAG, DST, 0, 0, 8, 0, 0, 0, 1, 9), 0); /* the last */
    EXPECT_EQ(c.end, EXT_FRAGMENT);
    EXPECT_EQ(WALK(&c, FRAG, TCP, 0xff, 0, 6, 0, 0, 0, 1), 0); /* reserved bits are ignored */
    expect_upper(&c, 8);
}

static void expect_problem(const struct ext_chain *c, uint8_t code, uint32_t pointer)
{
    EXPECT_EQ(c->end, EXT_PROBLEM);
    EXPECT_EQ(c->code, code);
    EXPECT_EQ(c->pointer, pointer);
}

/* The two highest bits of an unknown option's kind say what is to be done (RFC 8200 4.2). */
static void unknown_options_decide(void)
{
    for (unsigned kind = 2; kind < 256; kind++) {
        for (unsigned to_group = 0; to_group < 2; to_group++) {
            uint8_t b[] = {TCP, 0, 0, (uint8_t)kind, 1, 0, 0, 0};
            struct ext_chain c;
            int rc = walk_to(&c, to_group, DST, b, sizeof(b));
            unsigned act = kind >> 6;
            bool is_silent = act == 1 || (act == 3 && to_group);
            EXPECT_EQ(rc, is_silent ? -EBADMSG : 0);
            if (act == 0)
                expect_upper(&c, 8);
            else if (!is_silent)
                expect_problem(&c, 2, IPV6_HDR_LEN + 3);
        }
    }
}

static void options_beyond_their_header_are_refused(void)
{
    struct ext_chain c;
    EXPECT_EQ(WALK(&c, HBH, TCP, 0, 1, 5, 0, 0, 0, 0, 0, 0), -EBADMSG);
    EXPECT_EQ(WALK(&c, HBH, TCP, 0, 1, 3, 0, 0, 0, 1, 0, 0), -EBADMSG); /* a kind, no length */
    EXPECT_EQ(WALK(&c, HBH, TCP, 0, 5, 2, 0, 0, 1, 0, 0, 0), 0);        /* router alert */
    expect_upper(&c, 8);
}

static void headers_out_of_place_are_told(void)
{
    struct ext_chain c;
    EXPECT_EQ(WALK(&c, DST, HBH, 0, 0, 0, 0, 0, 0, 0, TCP, 0, 0, 0, 0, 0, 0, 0), 0);
    expect_problem(&c, 1, IPV6_HDR_LEN); /* RFC 8200 4.1: the field that says it */
    EXPECT_EQ(WALK(&c, ROUTING, TCP, 0, 0, 1, 0, 0, 0, 0), 0);
    expect_problem(&c, 0, IPV6_HDR_LEN + 2); /* RFC 5095: segments are left, of no known kind */
}

static void junk_is_survived(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 20000; i++) {
        static const uint8_t kinds[] = {HBH, ROUTING, FRAG, DST, TCP};
        uint8_t b[128];
        uint32_t n = rng_below(&r, sizeof(b) + 1);
        model_bytes(&r, b, n);
        for (uint32_t at = 0; at + 8 <= n; at += 8) {
            b[at] = kinds[rng_below(&r, 5)];
            b[at + 1] = (uint8_t)rng_below(&r, 3);
        }
        struct ext_chain c;
        int rc = walk_to(&c, model_coin(&r), kinds[rng_below(&r, 5)], b, n);
        CU_ASSERT(rc == 0 || rc == -EBADMSG);
        CU_ASSERT(rc < 0 || c.len <= IPV6_HDR_LEN + n);
        CU_ASSERT(rc < 0 || c.end != EXT_PROBLEM || c.pointer < IPV6_HDR_LEN + n);
    }
}

TEST_SUITE(ext_hdr, TEST_CASE(each_kind_is_skipped), TEST_CASE(every_cut_is_refused),
           TEST_CASE(the_walk_is_bounded), TEST_CASE(fragments_end_the_chain),
           TEST_CASE(unknown_options_decide), TEST_CASE(options_beyond_their_header_are_refused),
           TEST_CASE(headers_out_of_place_are_told), TEST_CASE(junk_is_survived));

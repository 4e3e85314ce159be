/* The Internet checksum against the definition in RFC 1071, written naively. */
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/wire/csum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEN_MAX 2000u
#define ALIGN_N 64u

/* Big-endian 16-bit words, end-around carry at each step; as a number. */
static uint16_t model_sum(uint16_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i += 2) {
        uint32_t w = (uint32_t)p[i] << 8 | (i + 1 < len ? p[i + 1] : 0u);
        uint32_t s = sum + w;
        sum = (uint16_t)((s & 0xffff) + (s >> 16));
    }
    return sum;
}

/* The value of a checksum field as it lies, as a number. */
static uint16_t as_number(uint16_t raw)
{
    return be16_get((be16_t){raw});
}

static void fill(struct rng *r, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rng_u32(r);
}

static void every_length_at_every_alignment(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    uint8_t *buf = malloc(LEN_MAX + ALIGN_N);
    fill(&r, buf, LEN_MAX + ALIGN_N);
    unsigned n_bad = 0;
    for (unsigned at = 0; at < ALIGN_N; at += at < 9 ? 1 : 11) {
        for (size_t len = 0; len <= LEN_MAX; len++) {
            uint16_t want = (uint16_t)~model_sum(0, buf + at, len);
            if (as_number(csum_fold(csum_add(0, buf + at, len))) != want && n_bad++ < 5)
                fprintf(stderr, "\nalignment %u, length %zu\n", at, len);
        }
    }
    EXPECT_EQ(n_bad, 0);
    free(buf);
}

/* A buffer of exactly the length, so that a sanitizer sees a read beyond it. */
static void reads_nothing_beyond_the_end(void)
{
    for (size_t len = 1; len < 300; len++) {
        uint8_t *p = calloc(1, len);
        EXPECT_EQ(csum_add(0, p, len), 0);
        p[len - 1] = 1;
        EXPECT_EQ(csum_fold(csum_add(0, p, len)) != 0xffff, 1);
        free(p);
    }
}

static void carries_are_not_lost(void)
{
    uint8_t *ones = malloc(65536);
    memset(ones, 0xff, 65536);
    EXPECT_EQ(csum_fold(csum_add(0, ones, 65536)), 0);
    EXPECT_EQ(csum_fold(csum_add(0xffffffffffffull, ones, 65535 - 1)), 0);
    ones[65535] = 0xfe;
    EXPECT_EQ(as_number(csum_fold(csum_add(0, ones, 65536))), 1);
    free(ones);
}

static void pieces_add_up(void)
{
    struct rng r;
    rng_init(&r, test_seed() + 1);
    uint8_t buf[1500];
    fill(&r, buf, sizeof(buf));
    uint16_t want = csum_fold(csum_add(0, buf, sizeof(buf)));
    for (unsigned i = 0; i < 500; i++) {
        size_t cut = (size_t)rng_below(&r, sizeof(buf) / 2) * 2;
        uint64_t sum = csum_add(csum_add(0, buf, cut), buf + cut, sizeof(buf) - cut);
        EXPECT_EQ(csum_fold(sum), want);
    }
}

static void fold_takes_any_sum(void)
{
    EXPECT_EQ(csum_fold(0), 0xffff);
    EXPECT_EQ(csum_fold(UINT64_MAX), 0);
    EXPECT_EQ(csum_fold(0xffff), 0);
    EXPECT_EQ(csum_fold(0x10000), 0xfffe);
    EXPECT_EQ(csum_fold(0xffffffff00000001u), 0xfffe);
    EXPECT_EQ(csum_fold(0xffff0001ffffffffu), 0xfffe); /* carries at each step */
    struct rng r;
    rng_init(&r, test_seed() + 2);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t sum = rng_u64(&r);
        uint64_t rest = sum % 0xffff; /* 2^16 is 1 modulo 2^16 - 1 */
        EXPECT_EQ((uint16_t)~csum_fold(sum) % 0xffff, rest);
    }
}

static void pseudo_header_of_either_family(void)
{
    struct rng r;
    rng_init(&r, test_seed() + 3);
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t h6[40] = {0}, h4[12] = {0};
        struct ip_addr src, dst;
        uint32_t len = rng_below(&r, 65536);
        fill(&r, src.b, 16);
        fill(&r, dst.b, 16);
        memcpy(h6, src.b, 16);
        memcpy(h6 + 16, dst.b, 16);
        h6[34] = h4[10] = (uint8_t)(len >> 8);
        h6[35] = h4[11] = (uint8_t)len;
        h6[39] = h4[9] = 6;
        uint16_t want6 = (uint16_t)~model_sum(0, h6, sizeof(h6));
        EXPECT_EQ(as_number(csum_fold(csum_pseudo(&src, &dst, 6, len))), want6);
        memcpy(h4, src.b + 12, 4);
        memcpy(h4 + 4, dst.b + 12, 4);
        src = ip_addr_v4(src.w[3]);
        dst = ip_addr_v4(dst.w[3]);
        uint16_t want4 = (uint16_t)~model_sum(0, h4, sizeof(h4));
        EXPECT_EQ(as_number(csum_fold(csum_pseudo(&src, &dst, 6, len))), want4);
    }
}

/* The example of RFC 1071 section 3. */
static void rfc_example(void)
{
    static const uint8_t b[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    EXPECT_EQ(as_number(csum_fold(csum_add(0, b, sizeof(b)))), (uint16_t)~0xddf2);
}

TEST_SUITE(csum, TEST_CASE(rfc_example), TEST_CASE(every_length_at_every_alignment),
           TEST_CASE(reads_nothing_beyond_the_end), TEST_CASE(carries_are_not_lost),
           TEST_CASE(pieces_add_up), TEST_CASE(fold_takes_any_sum),
           TEST_CASE(pseudo_header_of_either_family));

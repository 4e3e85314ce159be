/* The generator against its authors' published outputs, and the bounds of rng_below. */
#include "tests/test.h"

#include "mtcp/base/rng.h"

static void gives_the_published_sequence(void)
{
    static const uint64_t want[] = {11520u,
                                    0u,
                                    1509978240u,
                                    1215971899390074240u,
                                    1216172134540287360u,
                                    607988272756665600u,
                                    16172922978634559625u,
                                    8476171486693032832u,
                                    10595114339597558777u,
                                    2904607092377533576u};
    struct rng r = {{1, 2, 3, 4}};
    for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        EXPECT_EQ(rng_u64(&r), want[i]);
}

static void seeds_through_splitmix64(void)
{
    struct rng r;
    rng_init(&r, 0);
    EXPECT_EQ(r.s[0], 0xe220a8397b1dcdafu);
    EXPECT_EQ(r.s[1], 0x6e789e6aa1b965f4u);
    EXPECT_EQ(r.s[2], 0x06c45d188009454fu);
}

static void same_seed_same_numbers(void)
{
    struct rng a, b, c;
    rng_init(&a, 7);
    rng_init(&b, 7);
    rng_init(&c, 8);
    unsigned n_same = 0;
    for (unsigned i = 0; i < 100; i++) {
        uint32_t x = rng_u32(&a);
        EXPECT_EQ(rng_u32(&b), x);
        n_same += rng_u32(&c) == x;
    }
    CU_ASSERT(n_same < 3);
}

static void below_stays_below_and_reaches_everything(void)
{
    static const uint32_t bounds[] = {1, 2, 3, 7, 10, 64, 1000};
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
        uint8_t seen[1000] = {0};
        unsigned n_seen = 0;
        for (unsigned i = 0; i < 20000; i++) {
            uint32_t x = rng_below(&r, bounds[b]);
            CU_ASSERT_FATAL(x < bounds[b]);
            n_seen += seen[x] == 0;
            seen[x] = 1;
        }
        EXPECT_EQ(n_seen, bounds[b]);
    }
}

/* A bound of 3 * 2^30: without rejection a third of the results would come twice as often. */
static void below_is_uniform(void)
{
    struct rng r;
    unsigned n[3] = {0};
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 90000; i++)
        n[rng_below(&r, 3u << 30) % 3]++;
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT(n[i] > 29000 && n[i] < 31000); /* 7 standard deviations */
}

TEST_SUITE(rng, TEST_CASE(gives_the_published_sequence), TEST_CASE(seeds_through_splitmix64),
           TEST_CASE(same_seed_same_numbers), TEST_CASE(below_stays_below_and_reaches_everything),
           TEST_CASE(below_is_uniform));

/* Whole transfers between two connections over a bad link (tests/pair.h). */
#include "mtcp/tcp/tcp.h"
#include "tests/pair.h"
#include "tests/test.h"

#include <stdio.h>

#define SEC_US 1000000ull

static void goes_well(const struct pair_conf *conf, uint64_t seed, uint64_t limit_us)
{
    struct pair *p = pair_new(conf, seed);
    uint64_t took = pair_run(p, limit_us);
    bool well = pair_end_well(p);
    if (!well)
        fprintf(stderr, "seed %llu, %llu us\n", (unsigned long long)seed, (unsigned long long)took);
    CU_ASSERT(well);
}

static void over_a_clean_link(void)
{
    struct pair_conf conf = {.delay_us = 1000, .n_bytes = {3000000, 2000000}};
    goes_well(&conf, test_seed(), 60 * SEC_US);
}

static void with_loss_and_every_option(void)
{
    for (unsigned i = 0; i < 64; i++) {
        struct pair_conf conf = {.delay_us = 5000,
                                 .us_per_kb = 80,
                                 .queue_us = 50000,
                                 .jitter_us = (i & 8) ? 4000 : 0,
                                 .loss_ppm = (i & 16) ? 50000 : 5000,
                                 .dup_ppm = (i & 32) ? 20000 : 0,
                                 .max_len = (i & 4) ? 65000 : 0,
                                 .n_bytes = {1000000, (i & 1) ? 200000 : 0},
                                 .no_sack = i & 2,
                                 .no_ts = i & 1};
        goes_well(&conf, test_seed() + i, 600 * SEC_US);
    }
}

TEST_SUITE(transfer, TEST_CASE(over_a_clean_link), TEST_CASE(with_loss_and_every_option));

/* The set of free ids against a table of flags. */
#include "mtcp/sock/ids.h"
#include "tests/test.h"

#include "mtcp/base/rng.h"

#include <stdbool.h>
#include <string.h>

static int lowest(const bool *taken, unsigned from, unsigned n)
{
    for (unsigned i = from; i < n; i++)
        if (!taken[i])
            return (int)i;
    return -1;
}

static void against_flags(unsigned n, struct rng *r)
{
    static bool taken[5000];
    struct ids s;
    struct mem *mem = mem_create(0);
    memset(taken, 0, sizeof(taken));
    EXPECT_EQ(ids_init(&s, mem, n), 0);
    for (unsigned round = 0; round < 4 * n; round++) {
        unsigned id = rng_below(r, n);
        if (taken[id] && rng_below(r, 3) == 0) {
            ids_give(&s, id);
            taken[id] = false;
            continue;
        }
        unsigned from = rng_below(r, 4) ? rng_below(r, n + 65) : 0;
        int want = lowest(taken, from, n);
        EXPECT_EQ(ids_next(&s, from), want);
        if (want < 0)
            continue;
        ids_take(&s, (uint32_t)want);
        taken[want] = true;
    }
    ids_fini(&s, mem);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

static void the_next_free_one_is_found(void)
{
    static const unsigned sizes[] = {1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097};
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        against_flags(sizes[i], &r);
}

static void sixteen_million_fit(void)
{
    struct ids s;
    struct mem *mem = mem_create(0);
    EXPECT_EQ(ids_init(&s, mem, IDS_MAX), 0);
    for (uint32_t i = 0; i < 5000; i++)
        ids_take(&s, i);
    ids_give(&s, 4097);
    ids_give(&s, 3);
    EXPECT_EQ(ids_next(&s, 0), 3);
    EXPECT_EQ(ids_next(&s, 4), 4097);
    EXPECT_EQ(ids_next(&s, 4098), 5000);
    EXPECT_EQ(ids_next(&s, IDS_MAX - 1), IDS_MAX - 1);
    EXPECT_EQ(ids_next(&s, IDS_MAX), -1);
    ids_fini(&s, mem);
    mem_set_limit(mem, 1000);
    EXPECT_EQ(ids_init(&s, mem, IDS_MAX) < 0, 1);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

TEST_SUITE(ids, TEST_CASE(the_next_free_one_is_found), TEST_CASE(sixteen_million_fit));

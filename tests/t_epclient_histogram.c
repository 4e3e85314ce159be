/* Percentiles of the histogram against the sorted list of the same values. */
#include "tests/test.h"

#include "apps/epclient/histogram.h"

#include "mtcp/base/rng.h"

#include <stdlib.h>

#define N 5000

static struct histogram h, other;
static uint64_t values[N];

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void empty(void)
{
    histogram_init(&h);
    EXPECT_EQ(h.n, 0);
    EXPECT_EQ(histogram_percentile(&h, 500000), 0);
}

static void small_values_are_exact(void)
{
    histogram_init(&h);
    for (uint64_t v = 1; v <= 100; v++)
        histogram_add(&h, v);
    EXPECT_EQ(h.min, 1);
    EXPECT_EQ(h.max, 100);
    EXPECT_EQ(h.sum, 5050);
    EXPECT_EQ(histogram_percentile(&h, 500000), 50);
    EXPECT_EQ(histogram_percentile(&h, 990000), 99);
    EXPECT_EQ(histogram_percentile(&h, 999000), 100);
    EXPECT_EQ(histogram_percentile(&h, 1000000), 100);
    EXPECT_EQ(histogram_percentile(&h, 0), 1);
}

static void the_ends_of_the_range(void)
{
    histogram_init(&h);
    histogram_add(&h, 0);
    histogram_add(&h, UINT64_MAX);
    EXPECT_EQ(histogram_percentile(&h, 500000), 0);
    CU_ASSERT(histogram_percentile(&h, 1000000) == UINT64_MAX);
}

/* Never below the true one, never above it by more than a 64th. */
static void check(uint32_t per_million)
{
    uint64_t rank = ((uint64_t)N * per_million + 999999) / 1000000;
    uint64_t want = values[rank > 0 ? rank - 1 : 0], got = histogram_percentile(&h, per_million);

    CU_ASSERT(got >= want);
    CU_ASSERT(got - want <= want / 64);
}

static void random_values(void)
{
    struct rng rng;

    rng_init(&rng, test_seed());
    histogram_init(&h);
    histogram_init(&other);
    for (int i = 0; i < N; i++) {
        values[i] = rng_u64(&rng) >> rng_below(&rng, 64);
        histogram_add(i % 3 == 0 ? &other : &h, values[i]);
    }
    histogram_merge(&h, &other);
    qsort(values, N, sizeof(values[0]), compare);
    EXPECT_EQ(h.n, N);
    CU_ASSERT(h.min == values[0] && h.max == values[N - 1]);
    for (uint32_t p = 0; p <= 1000000; p += 12345)
        check(p);
    check(999900);
}

TEST_SUITE(epclient_histogram, TEST_CASE(empty), TEST_CASE(small_values_are_exact),
           TEST_CASE(the_ends_of_the_range), TEST_CASE(random_values));

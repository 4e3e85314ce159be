/* Blocks never overlap, the budget is exact, the cache is bounded. */
#include "tests/test.h"

#include "mtcp/base/mem.h"
#include "mtcp/base/rng.h"

#include <stdbool.h>
#include <string.h>

#define N_BLOCKS 128

static bool all_bytes_are(const uint8_t *p, size_t n, uint8_t want)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != want)
            return false;
    return true;
}

static void counts_what_is_handed_out(void)
{
    struct mem *m = mem_create(0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    void *a = mem_alloc(m, 100), *b = mem_alloc(m, 4096);
    EXPECT_EQ(mem_in_use(m), 4196);
    mem_free(m, a, 100);
    mem_free(m, NULL, 77);
    EXPECT_EQ(mem_in_use(m), 4096);
    mem_free(m, b, 4096);
    EXPECT_EQ(mem_in_use(m), 0);
    EXPECT_EQ(mem_n_failed(m), 0);
    mem_destroy(m);
}

static void keeps_to_the_budget(void)
{
    struct mem *m = mem_create(10000);
    void *a = mem_alloc(m, 6000), *b = mem_alloc(m, 4000);
    CU_ASSERT_PTR_NOT_NULL(a);
    CU_ASSERT_PTR_NOT_NULL(b);
    CU_ASSERT_PTR_NULL(mem_alloc(m, 1));
    EXPECT_EQ(mem_n_failed(m), 1);
    mem_free(m, b, 4000);
    CU_ASSERT_PTR_NULL(mem_alloc(m, 4001));
    CU_ASSERT_PTR_NULL(mem_alloc(m, SIZE_MAX));
    b = mem_zalloc(m, 4000);
    CU_ASSERT_PTR_NOT_NULL(b);
    EXPECT_EQ(mem_n_failed(m), 3);
    mem_free(m, a, 6000);
    mem_free(m, b, 4000);
    mem_destroy(m);
}

static void the_budget_can_change_at_any_time(void)
{
    struct mem *m = mem_create(0);
    void *a = mem_alloc(m, 5000);
    mem_set_limit(m, 1000); /* below what is in use: nothing is taken, nothing given */
    CU_ASSERT_PTR_NULL(mem_alloc(m, 16));
    memset(a, 1, 5000);
    mem_set_limit(m, 0);
    void *b = mem_alloc(m, 16);
    CU_ASSERT_PTR_NOT_NULL(b);
    mem_free(m, a, 5000);
    mem_free(m, b, 16);
    mem_destroy(m);
}

/* It counts all the same. */
static void a_few_bytes_go_beyond_the_budget(void)
{
    struct mem *m = mem_create(100);
    void *a = mem_alloc(m, 100), *b = mem_alloc_over(m, 50);
    CU_ASSERT_PTR_NOT_NULL(a);
    CU_ASSERT_PTR_NOT_NULL(b);
    CU_ASSERT_PTR_NULL(mem_alloc(m, 1));
    EXPECT_EQ(mem_in_use(m), 150);
    mem_free(m, a, 100);
    CU_ASSERT_PTR_NULL(mem_alloc(m, 51));
    mem_free(m, b, 50);
    mem_destroy(m);
}

static void blocks_are_aligned(void)
{
    struct mem *m = mem_create(0);
    for (size_t size = 0; size < 300; size++) {
        void *p = mem_alloc(m, size);
        EXPECT_EQ((uintptr_t)p % 16, 0);
        mem_free(m, p, size);
    }
    for (size_t align = 1; align <= 65536; align *= 2) {
        void *first = mem_alloc_aligned(m, 4096, align), *p = mem_alloc_aligned(m, 4096, align);
        void *odd = mem_alloc_aligned(m, 100, align);
        EXPECT_EQ((uintptr_t)first % align, 0);
        EXPECT_EQ((uintptr_t)p % align, 0);
        EXPECT_EQ((uintptr_t)odd % align, 0);
        mem_free(m, p, 4096);
        mem_free(m, first, 4096);
        mem_free(m, odd, 100);
    }
    EXPECT_EQ(mem_in_use(m), 0);
    mem_destroy(m);
}

static void zalloc_clears_a_used_block(void)
{
    struct mem *m = mem_create(0);
    for (size_t size = 64; size <= 65536; size *= 2) {
        uint8_t *p = mem_alloc(m, size);
        memset(p, 0xee, size);
        mem_free(m, p, size);
        p = mem_zalloc(m, size);
        CU_ASSERT(all_bytes_are(p, size, 0));
        mem_free(m, p, size);
    }
    mem_destroy(m);
}

/* A cached block is the one freed last; where nothing is cached there is nothing to check. */
static void gives_freed_blocks_again(void)
{
    struct mem *m = mem_create(0);
    for (size_t size = 64; size <= 4194304; size *= 2) {
        void *p = mem_alloc(m, size), *q = mem_alloc(m, size);
        mem_free(m, p, size);
        mem_free(m, q, size);
        if (mem_cached(m) == 0)
            continue;
        EXPECT_EQ(mem_cached(m), 2 * size);
        CU_ASSERT_PTR_EQUAL(mem_alloc(m, size), q);
        EXPECT_EQ(mem_cached(m), size);
        mem_free(m, q, size);
        mem_trim(m);
        EXPECT_EQ(mem_cached(m), 0);
    }
    mem_destroy(m);
}

static void the_cache_is_bounded(void)
{
    static void *p[512];
    struct mem *m = mem_create(0);
    for (size_t size = 16; size <= 8388608; size *= 2) {
        size_t before = mem_cached(m), most = 2 * size > 1048576 ? 2 * size : 1048576;
        unsigned n = size > 65536 ? 16 : 512;
        for (unsigned i = 0; i < n; i++)
            p[i] = mem_alloc(m, size);
        for (unsigned i = 0; i < n; i++)
            mem_free(m, p[i], size);
        CU_ASSERT(mem_cached(m) - before <= most);
        if (size > 4194304 || size < 64)
            EXPECT_EQ(mem_cached(m), before);
    }
    CU_ASSERT(mem_cached(m) <= 24u * 1048576);
    EXPECT_EQ(mem_in_use(m), 0);
    mem_trim(m);
    EXPECT_EQ(mem_cached(m), 0);
    mem_destroy(m);
}

/* With what is in use it is no more than the budget. */
static void the_cache_is_within_the_budget(void)
{
    struct mem *m = mem_create(1048576);
    void *p[4];
    for (unsigned i = 0; i < 4; i++)
        p[i] = mem_alloc(m, 262144);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p[3]);
    for (unsigned i = 0; i < 4; i++)
        mem_free(m, p[i], 262144);
    CU_ASSERT(mem_cached(m) <= 1048576);
    p[0] = mem_alloc(m, 524288); /* of another size: the cache makes room */
    CU_ASSERT_PTR_NOT_NULL(p[0]);
    CU_ASSERT(mem_in_use(m) + mem_cached(m) <= 1048576);
    p[1] = mem_alloc(m, 524288);
    CU_ASSERT_PTR_NOT_NULL(p[1]);
    EXPECT_EQ(mem_cached(m), 0);
    mem_free(m, p[0], 524288);
    mem_set_limit(m, 524288); /* beyond it nothing is kept */
    mem_free(m, p[1], 524288);
    CU_ASSERT(mem_cached(m) <= 524288);
    mem_destroy(m);
}

/* When the system has none, the cache is given up for it. (Not where a tool watches every block:
 * nothing is cached there, and the tool would stop at such a request.) */
static void a_refusal_of_the_system_is_an_answer(void)
{
    struct mem *m = mem_create(0);
    mem_free(m, mem_alloc(m, 4096), 4096);
    if (mem_cached(m) > 0) {
        CU_ASSERT_PTR_NULL(mem_alloc(m, (size_t)1 << 50));
        EXPECT_EQ(mem_n_failed(m), 1);
        EXPECT_EQ(mem_cached(m), 0);
        EXPECT_EQ(mem_in_use(m), 0);
    }
    mem_destroy(m);
}

/* Two contexts have nothing in common. */
static void is_independent_of_others(void)
{
    struct mem *a = mem_create(1000), *b = mem_create(0);
    void *p = mem_alloc(a, 1000), *q = mem_alloc(b, 5000);
    CU_ASSERT_PTR_NOT_NULL(q);
    CU_ASSERT_PTR_NULL(mem_alloc(a, 1));
    EXPECT_EQ(mem_n_failed(b), 0);
    mem_free(a, p, 1000);
    mem_destroy(a);
    memset(q, 7, 5000);
    mem_free(b, q, 5000);
    mem_destroy(b);
}

struct live {
    uint8_t *p;
    size_t size;
    uint8_t fill;
};

static size_t random_size(struct rng *r)
{
    size_t size = (size_t)1 << rng_below(r, 18);
    return rng_below(r, 2) ? size : rng_below(r, (uint32_t)size) + 1;
}

static void blocks_keep_their_bytes(void)
{
    struct live live[N_BLOCKS] = {0};
    struct rng r;
    size_t sum = 0;
    struct mem *m = mem_create(0);
    rng_init(&r, test_seed());
    for (unsigned step = 0; step < 20000; step++) {
        struct live *l = &live[rng_below(&r, N_BLOCKS)];
        if (l->p != NULL) {
            CU_ASSERT_FATAL(all_bytes_are(l->p, l->size < 256 ? l->size : 256, l->fill));
            CU_ASSERT_FATAL(l->p[l->size - 1] == l->fill);
            mem_free(m, l->p, l->size);
            sum -= l->size;
            l->p = NULL;
        } else {
            *l = (struct live){.size = random_size(&r), .fill = (uint8_t)step};
            l->p = mem_alloc_aligned(m, l->size, (size_t)1 << rng_below(&r, 10));
            memset(l->p, l->fill, l->size);
            sum += l->size;
        }
        CU_ASSERT_FATAL(mem_in_use(m) == sum);
    }
    for (unsigned i = 0; i < N_BLOCKS; i++)
        mem_free(m, live[i].p, live[i].size);
    EXPECT_EQ(mem_in_use(m), 0);
    mem_destroy(m);
}

TEST_SUITE(mem, TEST_CASE(counts_what_is_handed_out), TEST_CASE(keeps_to_the_budget),
           TEST_CASE(the_budget_can_change_at_any_time),
           TEST_CASE(a_few_bytes_go_beyond_the_budget), TEST_CASE(blocks_are_aligned),
           TEST_CASE(zalloc_clears_a_used_block), TEST_CASE(gives_freed_blocks_again),
           TEST_CASE(the_cache_is_bounded), TEST_CASE(the_cache_is_within_the_budget),
           TEST_CASE(is_independent_of_others), TEST_CASE(a_refusal_of_the_system_is_an_answer),
           TEST_CASE(blocks_keep_their_bytes));

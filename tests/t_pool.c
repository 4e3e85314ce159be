/* Objects are distinct and aligned, memory comes with them and returns after a peak. */
#include "tests/test.h"

#include "mtcp/base/pool.h"
#include "mtcp/base/rng.h"

#include <stdbool.h>
#include <string.h>

#define N_OBJ 3000

static const size_t sizes[] = {1, 16, 24, 64, 200, 448, 1000, 1024, 4096, 20000, 60000};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void objects_are_aligned_and_distinct(void)
{
    static uint8_t *obj[200];
    for (unsigned s = 0; s < N_SIZES; s++) {
        struct mem *m = mem_create(0);
        struct pool p;
        pool_init(&p, m, sizes[s], 0);
        for (unsigned i = 0; i < 200; i++) {
            obj[i] = pool_get(&p);
            CU_ASSERT_PTR_NOT_NULL_FATAL(obj[i]);
            EXPECT_EQ((uintptr_t)obj[i] % (sizes[s] % 64 == 0 ? 64 : 16), 0);
            memset(obj[i], (int)i, sizes[s]);
        }
        for (unsigned i = 0; i < 200; i++) {
            CU_ASSERT(obj[i][0] == (uint8_t)i && obj[i][sizes[s] - 1] == (uint8_t)i);
            pool_put(&p, obj[i]);
        }
        pool_fini(&p);
        EXPECT_EQ(mem_in_use(m), 0);
        mem_destroy(m);
    }
}

static void keeps_to_its_maximum(void)
{
    struct mem *m = mem_create(0);
    struct pool p;
    pool_init(&p, m, 64, 2);
    void *a = pool_get(&p), *b = pool_get(&p);
    CU_ASSERT_PTR_NULL(pool_get(&p));
    pool_put(&p, a);
    a = pool_get(&p);
    CU_ASSERT_PTR_NOT_NULL(a);
    EXPECT_EQ(p.n_used, 2);
    pool_put(&p, a);
    pool_put(&p, b);
    pool_fini(&p);
    mem_destroy(m);
}

static void survives_the_end_of_memory(void)
{
    struct mem *m = mem_create(10000); /* two slabs of 4096 */
    struct pool p;
    pool_init(&p, m, 64, 0);
    void *obj[200];
    unsigned n = 0;
    while (n < 200 && (obj[n] = pool_get(&p)) != NULL)
        n++;
    EXPECT_EQ(n, 126);
    EXPECT_EQ(p.n_used, 126);
    pool_put(&p, obj[--n]);
    obj[n] = pool_get(&p);
    CU_ASSERT_PTR_NOT_NULL(obj[n++]);
    CU_ASSERT_PTR_NULL(pool_get(&p));
    while (n > 0)
        pool_put(&p, obj[--n]);
    pool_fini(&p);
    EXPECT_EQ(mem_in_use(m), 0);
    mem_destroy(m);
}

static void memory_returns_after_a_peak(void)
{
    static void *obj[N_OBJ];
    struct mem *m = mem_create(0);
    struct pool p;
    pool_init(&p, m, 64, 0);
    for (unsigned i = 0; i < N_OBJ; i++)
        obj[i] = pool_get(&p);
    CU_ASSERT(mem_in_use(m) >= N_OBJ * 64);
    CU_ASSERT(mem_in_use(m) < N_OBJ * 64 * 11 / 10);
    for (unsigned i = 0; i < N_OBJ; i++)
        pool_put(&p, obj[i]);
    EXPECT_EQ(p.n_empty_slabs, 1);
    EXPECT_EQ(mem_in_use(m), p.slab_size); /* the spare */
    pool_fini(&p);
    EXPECT_EQ(mem_in_use(m), 0);
    mem_destroy(m);
}

/* One object more and less at the edge of a slab: the spare saves the allocator. */
static void the_spare_stops_thrashing(void)
{
    struct mem *m = mem_create(0);
    struct pool p;
    void *obj[64];
    pool_init(&p, m, 64, 0);
    for (unsigned i = 0; i < p.n_per_slab; i++)
        obj[i] = pool_get(&p);
    pool_put(&p, pool_get(&p));
    mem_set_limit(m, 1);
    for (unsigned i = 0; i < 10; i++) {
        void *more = pool_get(&p);
        CU_ASSERT_PTR_NOT_NULL_FATAL(more);
        pool_put(&p, more);
    }
    EXPECT_EQ(mem_n_failed(m), 0);
    for (unsigned i = 0; i < p.n_per_slab; i++)
        pool_put(&p, obj[i]);
    pool_fini(&p);
    mem_destroy(m);
}

/* The spare is used last: while other slabs have room it stays empty, and can go. */
static void fills_other_slabs_before_the_spare(void)
{
    struct mem *m = mem_create(0);
    struct pool p;
    void *obj[3 * 64];
    pool_init(&p, m, 64, 0);
    for (unsigned i = 0; i < 3 * p.n_per_slab; i++)
        obj[i] = pool_get(&p);
    pool_put(&p, obj[0]); /* room in the first slab; then the second one empties */
    for (unsigned i = p.n_per_slab; i < 2 * p.n_per_slab; i++)
        pool_put(&p, obj[i]);
    EXPECT_EQ(p.n_empty_slabs, 1);
    obj[0] = pool_get(&p);
    EXPECT_EQ(p.n_empty_slabs, 1);
    pool_put(&p, obj[0]);
    for (unsigned i = 1; i < p.n_per_slab; i++)
        pool_put(&p, obj[i]);
    for (unsigned i = 2 * p.n_per_slab; i < 3 * p.n_per_slab; i++)
        pool_put(&p, obj[i]);
    pool_fini(&p);
    EXPECT_EQ(mem_in_use(m), 0);
    mem_destroy(m);
}

static unsigned n_slabs(const struct pool *p)
{
    unsigned n = 0;
    LIST_FOREACH (s, &p->partial)
        n++;
    return n;
}

static void random_gets_and_puts_keep_the_books(void)
{
    static uint8_t *obj[N_OBJ];
    struct mem *m = mem_create(0);
    struct pool p;
    struct rng r;
    size_t n = 0;
    rng_init(&r, test_seed());
    pool_init(&p, m, 48, 0);
    memset(obj, 0, sizeof(obj));
    for (unsigned step = 0; step < 60000; step++) {
        bool growing = (step / 6000) % 2 == 0;
        unsigned i = rng_below(&r, N_OBJ);
        if (obj[i] == NULL && (growing || rng_below(&r, 4) == 0)) {
            obj[i] = pool_get(&p);
            CU_ASSERT_PTR_NOT_NULL_FATAL(obj[i]);
            memset(obj[i], (int)i, 48);
            n++;
        } else if (obj[i] != NULL && (!growing || rng_below(&r, 4) == 0)) {
            CU_ASSERT_FATAL(obj[i][0] == (uint8_t)i && obj[i][47] == (uint8_t)i);
            pool_put(&p, obj[i]);
            obj[i] = NULL;
            n--;
        }
        CU_ASSERT_FATAL(p.n_used == n && p.n_empty_slabs <= 1);
    }
    for (unsigned i = 0; i < N_OBJ; i++)
        if (obj[i] != NULL)
            pool_put(&p, obj[i]);
    EXPECT_EQ(n_slabs(&p), 1);
    EXPECT_EQ(p.n_used, 0);
    pool_fini(&p);
    EXPECT_EQ(mem_in_use(m), 0);
    mem_destroy(m);
}

TEST_SUITE(pool, TEST_CASE(objects_are_aligned_and_distinct), TEST_CASE(keeps_to_its_maximum),
           TEST_CASE(survives_the_end_of_memory), TEST_CASE(memory_returns_after_a_peak),
           TEST_CASE(the_spare_stops_thrashing), TEST_CASE(fills_other_slabs_before_the_spare),
           TEST_CASE(random_gets_and_puts_keep_the_books));

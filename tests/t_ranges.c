/* The set against a bitmap of the same offsets. */
#include "tests/test.h"

#include "mtcp/base/ranges.h"
#include "mtcp/base/rng.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define N_BITS 512

struct model {
    struct mem *mem;
    struct ranges *set;
    uint64_t base; /* the offset of bit 0 */
    uint8_t bit[N_BITS];
};

static unsigned count_runs(const uint8_t *bit)
{
    unsigned n = 0;
    for (unsigned i = 0; i < N_BITS; i++)
        n += bit[i] && (i == 0 || !bit[i - 1]);
    return n;
}

static bool is_same(const struct model *m)
{
    unsigned n = 0, bytes = 0;
    uint64_t last_end = 0;
    uint8_t bit[N_BITS] = {0};
    for (; n < ranges_count(m->set); n++) {
        struct range r = ranges_at(m->set, n);
        if (r.start >= r.end || (n > 0 && r.start <= last_end))
            return false;
        if (r.start < m->base || r.end > m->base + N_BITS)
            return false;
        memset(bit + (r.start - m->base), 1, r.end - r.start);
        bytes += (unsigned)(r.end - r.start);
        last_end = r.end;
    }
    return memcmp(bit, m->bit, N_BITS) == 0 && ranges_bytes(m->set) == bytes &&
           n == count_runs(m->bit) && (n == 0) == (m->set == NULL);
}

/* Does setting or clearing these bits leave more runs than a set may have? */
static bool is_too_much(const struct model *m, unsigned from, unsigned to, uint8_t value)
{
    uint8_t bit[N_BITS];
    memcpy(bit, m->bit, N_BITS);
    memset(bit + from, value, to - from);
    return count_runs(bit) > RANGES_MAX;
}

static void change(struct model *m, unsigned from, unsigned to, uint8_t value)
{
    int rc = value ? ranges_add(&m->set, m->mem, m->base + from, m->base + to)
                   : ranges_remove(&m->set, m->mem, m->base + from, m->base + to);
    if (rc == -ENOMEM) { /* only where the test withholds memory */
        CU_ASSERT(mem_n_failed(m->mem) > 0);
        return;
    }
    EXPECT_EQ(rc, is_too_much(m, from, to, value) ? -ENOSPC : 0);
    if (rc == 0)
        memset(m->bit + from, value, to - from);
}

static void ask(const struct model *m, unsigned from, unsigned to)
{
    unsigned n_set = 0, start = from, end = from, above = from;
    for (unsigned i = from; i < to; i++)
        n_set += m->bit[i];
    uint64_t a = m->base + from, b = m->base + to;
    EXPECT_EQ(ranges_covers(m->set, a, b), n_set == to - from);
    EXPECT_EQ(ranges_touches(m->set, a, b), n_set > 0);
    struct range r;
    EXPECT_EQ(ranges_find(m->set, a, &r), m->bit[from]);
    if (m->bit[from]) {
        while (start > 0 && m->bit[start - 1])
            start--;
        while (end < N_BITS && m->bit[end])
            end++;
        EXPECT_EQ(r.start, m->base + start);
        EXPECT_EQ(r.end, m->base + end);
    }
    while (above < N_BITS && !m->bit[above])
        above++;
    EXPECT_EQ(ranges_next(m->set, a, &r), above < N_BITS);
    if (above < N_BITS && above > from)
        EXPECT_EQ(r.start, m->base + above);
}

static void step(struct model *m, struct rng *r, unsigned max_len)
{
    unsigned from = rng_below(r, N_BITS - max_len), to = from + 1 + rng_below(r, max_len);
    bool withhold = rng_below(r, 8) == 0;
    if (withhold)
        mem_set_limit(m->mem, 1);
    switch (rng_below(r, 40)) {
    default:
        change(m, from, to, 1);
        break;
    case 0 ... 9:
        change(m, from, to, 0);
        break;
    case 10:
        ranges_remove_below(&m->set, m->mem, m->base + from);
        memset(m->bit, 0, from);
        break;
    }
    mem_set_limit(m->mem, 0);
    ask(m, from, to);
}

static void random_changes_match_a_bitmap(void)
{
    for (unsigned round = 0; round < 60; round++) {
        struct model m = {.mem = mem_create(0), .base = round % 2 ? (uint64_t)5 << 33 : 0};
        struct rng r;
        rng_init(&r, test_seed() + round);
        unsigned max_len = round % 3 == 0 ? 2 : 1 + rng_below(&r, 60);
        unsigned n_peak = 0;
        for (unsigned i = 0; i < 400; i++) {
            step(&m, &r, max_len);
            CU_ASSERT_FATAL(is_same(&m));
            n_peak = ranges_count(m.set) > n_peak ? ranges_count(m.set) : n_peak;
        }
        if (max_len == 2)
            CU_ASSERT(n_peak > RANGES_MAX / 2); /* deep enough to mean something */
        ranges_clear(&m.set, m.mem);
        CU_ASSERT_PTR_NULL(m.set);
        EXPECT_EQ(mem_in_use(m.mem), 0);
        mem_destroy(m.mem);
    }
}

static void add_ok(struct ranges **s, struct mem *mem, uint64_t start, uint64_t end)
{
    EXPECT_EQ(ranges_add(s, mem, start, end), 0);
}

static void expect_set(const struct ranges *s, const struct range *want, unsigned n)
{
    EXPECT_EQ(ranges_count(s), n);
    for (unsigned i = 0; i < n && i < ranges_count(s); i++) {
        EXPECT_EQ(ranges_at(s, i).start, want[i].start);
        EXPECT_EQ(ranges_at(s, i).end, want[i].end);
    }
}

static void neighbours_that_touch_become_one(void)
{
    struct mem *mem = mem_create(0);
    struct ranges *s = NULL;
    add_ok(&s, mem, 10, 20);
    add_ok(&s, mem, 30, 40);
    add_ok(&s, mem, 50, 60);
    add_ok(&s, mem, 20, 30);
    expect_set(s, (struct range[]){{10, 40}, {50, 60}}, 2);
    add_ok(&s, mem, 5, 55);
    expect_set(s, (struct range[]){{5, 60}}, 1);
    ranges_clear(&s, mem);
    mem_destroy(mem);
}

static void full_set(struct ranges **s, struct mem *mem)
{
    for (unsigned i = 0; i < RANGES_MAX; i++)
        add_ok(s, mem, 100 + 10 * i, 104 + 10 * i);
}

static void says_no_beyond_the_maximum(void)
{
    struct mem *mem = mem_create(0);
    struct ranges *s = NULL;
    full_set(&s, mem);
    EXPECT_EQ(ranges_add(&s, mem, 106, 107), -ENOSPC);
    EXPECT_EQ(ranges_reserve(&s, mem, 106, 107), -ENOSPC);
    EXPECT_EQ(ranges_reserve(&s, mem, 106, 110), 0);
    EXPECT_EQ(ranges_remove(&s, mem, 101, 102), -ENOSPC);
    EXPECT_EQ(ranges_count(s), RANGES_MAX);
    add_ok(&s, mem, 104, 106); /* grows one */
    add_ok(&s, mem, 106, 110); /* joins two: room again */
    EXPECT_EQ(ranges_count(s), RANGES_MAX - 1);
    add_ok(&s, mem, 1, 2);
    ranges_clear(&s, mem);
    mem_destroy(mem);
}

static void a_reserved_add_needs_no_memory(void)
{
    for (unsigned n = 0; n < RANGES_MAX; n++) {
        struct mem *mem = mem_create(0);
        struct ranges *s = NULL;
        for (unsigned i = 0; i < n; i++)
            add_ok(&s, mem, 10 * i, 10 * i + 1);
        EXPECT_EQ(ranges_reserve(&s, mem, 5000, 5001), 0);
        mem_set_limit(mem, 1);
        EXPECT_EQ(ranges_add(&s, mem, 5000, 5001), 0);
        EXPECT_EQ(ranges_count(s), n + 1);
        ranges_clear(&s, mem);
        mem_destroy(mem);
    }
}

static void without_memory_nothing_changes(void)
{
    struct mem *mem = mem_create(0);
    struct ranges *s = NULL;
    mem_set_limit(mem, 1);
    EXPECT_EQ(ranges_add(&s, mem, 1, 2), -ENOMEM);
    CU_ASSERT_PTR_NULL(s);
    mem_set_limit(mem, 0);
    for (unsigned i = 0; i < 3; i++)
        add_ok(&s, mem, 10 * i, 10 * i + 5);
    mem_set_limit(mem, 1);
    EXPECT_EQ(ranges_add(&s, mem, 100, 101), -ENOMEM);
    EXPECT_EQ(ranges_remove(&s, mem, 2, 3), -ENOMEM);
    expect_set(s, (struct range[]){{0, 5}, {10, 15}, {20, 25}}, 3);
    ranges_clear(&s, mem);
    mem_destroy(mem);
}

static void the_empty_set_answers(void)
{
    struct mem *mem = mem_create(0);
    struct ranges *s = NULL;
    struct range r;
    EXPECT_EQ(ranges_count(s), 0);
    EXPECT_EQ(ranges_bytes(s), 0);
    EXPECT_EQ(ranges_mem(s), 0);
    CU_ASSERT_FALSE(ranges_find(s, 0, &r));
    CU_ASSERT_FALSE(ranges_next(s, 0, &r));
    CU_ASSERT_FALSE(ranges_covers(s, 0, 1));
    CU_ASSERT_FALSE(ranges_touches(s, 0, UINT64_MAX));
    EXPECT_EQ(ranges_remove(&s, mem, 0, 10), 0);
    ranges_remove_below(&s, mem, 10);
    ranges_clear(&s, mem);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

static void memory_follows_the_set(void)
{
    struct mem *mem = mem_create(0);
    struct ranges *s = NULL;
    full_set(&s, mem);
    EXPECT_EQ(mem_in_use(mem), ranges_mem(s));
    ranges_remove_below(&s, mem, 100 + 10 * RANGES_MAX);
    CU_ASSERT_PTR_NULL(s);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

TEST_SUITE(ranges, TEST_CASE(random_changes_match_a_bitmap),
           TEST_CASE(neighbours_that_touch_become_one), TEST_CASE(says_no_beyond_the_maximum),
           TEST_CASE(a_reserved_add_needs_no_memory), TEST_CASE(without_memory_nothing_changes),
           TEST_CASE(the_empty_set_answers), TEST_CASE(memory_follows_the_set));

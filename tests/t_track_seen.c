/* What passed by, against a bitmap of the same offsets. */
#include "tests/test.h"

#include "apps/track/seen.h"

#include "mtcp/base/rng.h"

#include <stdbool.h>
#include <string.h>

#define N     3000
#define BASE  0xffffff00u
#define STEPS 400

static struct seen s;

static void in_order(void)
{
    seen_init(&s, BASE);
    EXPECT_EQ(seen_add(&s, 0, 0), 0);
    EXPECT_EQ(seen_add(&s, 0, 100), SEEN_NEW);
    EXPECT_EQ(seen_add(&s, 100, 200), SEEN_NEW);
    EXPECT_EQ(seen_add(&s, 100, 200), SEEN_AGAIN);
    EXPECT_EQ(seen_add(&s, 250, 100), SEEN_NEW | SEEN_AGAIN);
    EXPECT_EQ(seen_add(&s, -1, 1), SEEN_AGAIN); /* a probe for a live peer */
    EXPECT_EQ(s.next, 350);
    EXPECT_EQ(s.end, 350);
    CU_ASSERT_PTR_NULL(s.runs);
}

static void holes(void)
{
    seen_init(&s, BASE);
    EXPECT_EQ(seen_add(&s, 100, 100), SEEN_NEW | SEEN_AHEAD);
    EXPECT_EQ(seen_add(&s, 200, 100), SEEN_NEW);
    EXPECT_EQ(seen_add(&s, 50, 50), SEEN_NEW | SEEN_FILLS);
    EXPECT_EQ(seen_add(&s, 50, 250), SEEN_AGAIN);
    EXPECT_EQ(seen_add(&s, 40, 300), SEEN_NEW | SEEN_FILLS | SEEN_AGAIN);
    EXPECT_EQ(s.next, 0);
    EXPECT_EQ(seen_add(&s, 0, 40), SEEN_NEW | SEEN_FILLS);
    EXPECT_EQ(s.next, 340);
    EXPECT_EQ(s.n_runs, 0);
    seen_free(&s);
}

static void giving_up(void)
{
    seen_init(&s, BASE);
    seen_add(&s, 100, 100);
    seen_add(&s, 300, 100);
    EXPECT_EQ(seen_give_up(&s, 0), 0);
    EXPECT_EQ(seen_give_up(&s, -5), 0);
    EXPECT_EQ(seen_give_up(&s, 150), 100);
    EXPECT_EQ(s.next, 200);
    EXPECT_EQ(seen_give_up(&s, 250), 50);
    EXPECT_EQ(seen_give_up(&s, 500), 150);
    EXPECT_EQ(s.next, 500);
    EXPECT_EQ(s.end, 500);
    seen_free(&s);
}

static void sequence_numbers(void)
{
    seen_init(&s, BASE);
    EXPECT_EQ(seen_off(&s, BASE), 0);
    EXPECT_EQ(seen_off(&s, BASE - 1), -1);
    EXPECT_EQ(seen_off(&s, 0), 256);
    EXPECT_EQ(seen_off(&s, BASE + 0x7fffffffu), 0x7fffffff);
    s.next = s.end = 6000000000u;
    EXPECT_EQ(seen_off(&s, BASE + (uint32_t)6000000000u), 6000000000);
    EXPECT_EQ(seen_off(&s, BASE + (uint32_t)5999999999u), 5999999999);
}

/* ---- the bitmap ---- */

static unsigned model_add(bool *bit, unsigned from, unsigned to)
{
    unsigned what = 0, end = N;

    while (end > 0 && !bit[end - 1])
        end--;
    for (unsigned i = from; i < to; i++) {
        what |= bit[i] ? SEEN_AGAIN : SEEN_NEW | (i < end ? SEEN_FILLS : 0u);
        bit[i] = true;
    }
    return what | (from > end ? SEEN_AHEAD : 0u);
}

static uint64_t model_give_up(bool *bit, unsigned to)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < to; i++) {
        n += !bit[i];
        bit[i] = true;
    }
    return n;
}

static void as_the_bitmap(void)
{
    struct rng rng;

    rng_init(&rng, test_seed());
    for (int round = 0; round < 50; round++) {
        bool bit[N] = {false};
        seen_init(&s, BASE);
        for (int i = 0; i < STEPS; i++) {
            unsigned from = rng_below(&rng, N - 40), len = 1 + rng_below(&rng, 40);
            if (rng_below(&rng, 50) == 0) {
                unsigned to = rng_below(&rng, s.end + 20 < N ? (unsigned)s.end + 20 : N);
                EXPECT_EQ(seen_give_up(&s, to), model_give_up(bit, to));
            } else {
                EXPECT_EQ(seen_add(&s, from, len), model_add(bit, from, from + len));
            }
        }
        seen_free(&s);
    }
}

/* Beyond so many runs holes are forgotten, but no byte that was seen is. */
static void many_holes(void)
{
    seen_init(&s, BASE);
    for (uint32_t i = 0; i < 2 * SEEN_RUNS_MAX; i++)
        seen_add(&s, 10 * (int64_t)i + 5, 2);
    EXPECT_EQ(s.n_runs, SEEN_RUNS_MAX);
    for (uint32_t i = 0; i < 2 * SEEN_RUNS_MAX; i++)
        EXPECT_EQ(seen_add(&s, 10 * (int64_t)i + 5, 2), SEEN_AGAIN);
    EXPECT_EQ(seen_add(&s, 0, 20 * SEEN_RUNS_MAX), SEEN_NEW | SEEN_AGAIN | SEEN_FILLS);
    EXPECT_EQ(s.n_runs, 0);
    seen_free(&s);
}

TEST_SUITE(track_seen, TEST_CASE(in_order), TEST_CASE(holes), TEST_CASE(giving_up),
           TEST_CASE(sequence_numbers), TEST_CASE(as_the_bitmap), TEST_CASE(many_holes));

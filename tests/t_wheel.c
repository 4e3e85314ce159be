/* The wheel against a plain array of times that is searched in full. */
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/base/wheel.h"

#include <stdlib.h>
#include <string.h>

#define N_TIMERS 200

/* The moment at which a timer for at_us fires: the next tick, never before. */
static uint64_t fires_us(uint64_t at_us)
{
    return (at_us + WHEEL_TICK_US - 1) / WHEEL_TICK_US * WHEEL_TICK_US;
}

struct model {
    struct wheel wheel;
    struct rng rng;
    uint64_t now_us;
    struct timer t[N_TIMERS];
    uint64_t at_us[N_TIMERS];
    bool is_armed[N_TIMERS];
    bool is_late[N_TIMERS]; /* armed for what was already the past */
    unsigned n_fired;
};

static struct model *model_create(uint64_t seed, uint64_t now_us)
{
    struct model *m = calloc(1, sizeof(*m));
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    rng_init(&m->rng, seed);
    m->now_us = now_us;
    wheel_init(&m->wheel, now_us);
    for (unsigned i = 0; i < N_TIMERS; i++)
        timer_init(&m->t[i], i);
    return m;
}

/* Between nothing and 2^max_log2 microseconds, all magnitudes alike. */
static uint64_t random_us(struct rng *r, unsigned max_log2)
{
    return rng_u64(r) & (((uint64_t)1 << rng_below(r, max_log2 + 1)) - 1);
}

static void arm(struct model *m, unsigned i, uint64_t at_us)
{
    wheel_arm(&m->wheel, &m->t[i], at_us);
    m->at_us[i] = at_us;
    m->is_armed[i] = true;
    m->is_late[i] = at_us <= m->now_us;
}

static void cancel(struct model *m, unsigned i)
{
    wheel_cancel(&m->wheel, &m->t[i]);
    m->is_armed[i] = false;
}

static void change_one(struct model *m)
{
    unsigned i = rng_below(&m->rng, N_TIMERS);
    switch (rng_below(&m->rng, 8)) {
    case 0:
    case 1:
        cancel(m, i);
        break;
    case 2:
        arm(m, i, m->now_us - random_us(&m->rng, 10));
        break;
    default:
        arm(m, i, m->now_us + random_us(&m->rng, 46));
    }
    CU_ASSERT_FATAL(timer_is_armed(&m->t[i]) == m->is_armed[i]);
}

/* Checks one fired timer; `last_us` is when the one before it was to fire. */
static void check_fired(struct model *m, unsigned i, uint64_t *last_us)
{
    CU_ASSERT_FATAL(m->is_armed[i] && !timer_is_armed(&m->t[i]));
    CU_ASSERT_FATAL(m->at_us[i] <= m->now_us);
    if (!m->is_late[i]) {
        CU_ASSERT_FATAL(fires_us(m->at_us[i]) >= *last_us);
        *last_us = fires_us(m->at_us[i]);
    }
    m->is_armed[i] = false;
    m->n_fired++;
}

/* One turn: everything that is due fires, in order; what is armed on the way waits. */
static void turn(struct model *m)
{
    bool waits[N_TIMERS] = {false};
    uint64_t last_us = 0;
    for (struct timer *t; (t = wheel_expire(&m->wheel, m->now_us)) != NULL;) {
        CU_ASSERT_FATAL(!waits[t->kind]);
        check_fired(m, t->kind, &last_us);
        if (rng_below(&m->rng, 4) == 0) {
            arm(m, t->kind, m->now_us - random_us(&m->rng, 8));
            waits[t->kind] = true;
        } else if (rng_below(&m->rng, 4) == 0) {
            unsigned i = rng_below(&m->rng, N_TIMERS);
            cancel(m, i);
            waits[i] = false;
        }
    }
    for (unsigned i = 0; i < N_TIMERS; i++)
        CU_ASSERT_FATAL(waits[i] || !m->is_armed[i] || fires_us(m->at_us[i]) > m->now_us);
}

/* How long the slot is in which a timer that fires at at_us waits: 64 slots of a level make one
 * slot of the next, and the timer shares the latter with the wheel's tick. */
static uint64_t slot_us(const struct wheel *w, uint64_t at_us)
{
    uint64_t len = 1;
    while (at_us / WHEEL_TICK_US / len / WHEEL_SLOTS != w->tick / len / WHEEL_SLOTS)
        len *= WHEEL_SLOTS;
    return len >> 36 ? UINT64_MAX : len * WHEEL_TICK_US;
}

/* The wheel says when the first timer fires, at most one slot early, never late. */
static void check_next(const struct model *m)
{
    uint64_t first_us = WHEEL_NEVER_US, n = 0;
    for (unsigned i = 0; i < N_TIMERS; i++) {
        if (!m->is_armed[i])
            continue;
        n++;
        if (fires_us(m->at_us[i]) < first_us)
            first_us = fires_us(m->at_us[i]);
    }
    uint64_t next_us = wheel_next_us(&m->wheel);
    CU_ASSERT_FATAL(m->wheel.n_armed == n);
    CU_ASSERT_FATAL(next_us <= first_us);
    if (n == 0)
        CU_ASSERT_FATAL(next_us == WHEEL_NEVER_US);
    if (n > 0 && first_us / WHEEL_TICK_US >= m->wheel.tick)
        CU_ASSERT_FATAL(first_us - next_us < slot_us(&m->wheel, first_us));
}

static void jump(struct model *m)
{
    uint64_t next_us = wheel_next_us(&m->wheel);
    if (rng_below(&m->rng, 4) == 0 && next_us != WHEEL_NEVER_US && next_us > m->now_us)
        m->now_us = next_us - rng_below(&m->rng, 2);
    else
        m->now_us += random_us(&m->rng, rng_below(&m->rng, 50) == 0 ? 46 : 20);
}

static void random_timers_match_a_search(void)
{
    static const uint64_t start_us[] = {0,
                                        1,
                                        1000000,
                                        (uint64_t)1 << 42,
                                        ((uint64_t)1 << 42) - 100,
                                        (uint64_t)1700000000 * 1000000};
    for (unsigned round = 0; round < 24; round++) {
        struct model *m = model_create(test_seed() + round, start_us[round % 6] + (1 << 12));
        for (unsigned step = 0; step < 1500; step++) {
            unsigned n = rng_below(&m->rng, 6);
            while (n-- > 0)
                change_one(m);
            check_next(m);
            if (rng_below(&m->rng, 3) != 0)
                jump(m);
            turn(m);
            check_next(m);
        }
        CU_ASSERT(m->n_fired > 500);
        free(m);
    }
}

/* Sleeping until wheel_next_us() each time reaches any timer in a few steps, and on its tick. */
static void a_sleeper_wakes_on_time(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 2000; i++) {
        struct wheel w;
        struct timer t;
        uint64_t now_us = random_us(&r, 50), at_us = now_us + random_us(&r, 44);
        unsigned n_naps = 0;
        wheel_init(&w, now_us);
        timer_init(&t, 1);
        wheel_arm(&w, &t, at_us);
        while (wheel_expire(&w, now_us) == NULL) {
            CU_ASSERT_FATAL(++n_naps <= WHEEL_LEVELS + 4);
            uint64_t next_us = wheel_next_us(&w);
            CU_ASSERT_FATAL(next_us > now_us);
            now_us = next_us;
        }
        CU_ASSERT_FATAL(now_us >= at_us && now_us - at_us < WHEEL_TICK_US);
        EXPECT_EQ(wheel_next_us(&w), WHEEL_NEVER_US);
    }
}

/* A timer that was cancelled before a later one makes a sleeper wake early at most once a level. */
static void a_cancelled_timer_is_forgotten(void)
{
    struct wheel w;
    struct timer early, late;
    wheel_init(&w, 0);
    timer_init(&early, 1);
    timer_init(&late, 2);
    wheel_arm(&w, &late, 64 * 50);
    wheel_arm(&w, &early, 64 * 10);
    EXPECT_EQ(wheel_next_us(&w), 640);
    wheel_cancel(&w, &early);
    wheel_cancel(&w, &early);
    EXPECT_EQ(wheel_next_us(&w), 3200);
    EXPECT_EQ(w.n_armed, 1);
    CU_ASSERT_PTR_NULL(wheel_expire(&w, 3199));
    CU_ASSERT_PTR_EQUAL(wheel_expire(&w, 3200), &late);
    CU_ASSERT_PTR_NULL(wheel_expire(&w, 3200));
}

static void never_fires_early(void)
{
    for (uint64_t at_us = 1000; at_us < 1000 + 3 * WHEEL_TICK_US; at_us++) {
        struct wheel w;
        struct timer t;
        wheel_init(&w, 900);
        timer_init(&t, 1);
        wheel_arm(&w, &t, at_us);
        uint64_t now_us = 900;
        while (wheel_expire(&w, now_us) == NULL)
            now_us++;
        CU_ASSERT(now_us >= at_us && now_us < at_us + WHEEL_TICK_US);
    }
}

static void the_past_fires_at_the_next_turn(void)
{
    struct wheel w;
    struct timer a, b;
    wheel_init(&w, 5000);
    timer_init(&a, 1);
    timer_init(&b, 2);
    CU_ASSERT_PTR_NULL(wheel_expire(&w, 6000));
    wheel_arm(&w, &a, 0);
    EXPECT_EQ(wheel_next_us(&w), 0);
    CU_ASSERT_PTR_EQUAL(wheel_expire(&w, 6000), &a);
    wheel_arm(&w, &b, 6000 - 6000 % WHEEL_TICK_US); /* now, inside the turn: the next one */
    CU_ASSERT_PTR_NULL(wheel_expire(&w, 6000));
    CU_ASSERT_PTR_EQUAL(wheel_expire(&w, 6000), &b);
    CU_ASSERT_PTR_NULL(wheel_expire(&w, 6000));
}

/* After a turn the wheel knows that everything up to now is over: timers are placed from there. */
static void a_turn_moves_the_tick(void)
{
    struct wheel w;
    struct timer a;
    wheel_init(&w, 0);
    timer_init(&a, 1);
    wheel_arm(&w, &a, 100);
    CU_ASSERT_PTR_EQUAL(wheel_expire(&w, 64 * 1000), &a);
    EXPECT_EQ(w.tick, 1001);
    CU_ASSERT_PTR_NULL(wheel_expire(&w, 64 * 1000));
    EXPECT_EQ(w.wake_us, WHEEL_NEVER_US);
}

static void a_due_timer_can_still_be_cancelled_or_moved(void)
{
    struct wheel w;
    struct timer t[3];
    wheel_init(&w, 0);
    for (unsigned i = 0; i < 3; i++) {
        timer_init(&t[i], i);
        wheel_arm(&w, &t[i], 100);
    }
    CU_ASSERT_PTR_EQUAL(wheel_expire(&w, 200), &t[0]);
    wheel_cancel(&w, &t[1]);
    wheel_arm(&w, &t[2], 1000);
    CU_ASSERT_PTR_NULL(wheel_expire(&w, 200));
    CU_ASSERT_FALSE(timer_is_armed(&t[1]));
    CU_ASSERT_PTR_EQUAL(wheel_expire(&w, 1024), &t[2]);
    EXPECT_EQ(w.n_armed, 0);
}

static void the_end_of_time_is_far(void)
{
    struct wheel w;
    struct timer t;
    wheel_init(&w, 0);
    timer_init(&t, 1);
    wheel_arm(&w, &t, UINT64_MAX);
    for (uint64_t now_us = 1; now_us < UINT64_MAX / 4; now_us *= 3)
        CU_ASSERT_PTR_NULL(wheel_expire(&w, now_us));
    CU_ASSERT(timer_is_armed(&t));
    wheel_cancel(&w, &t);
    EXPECT_EQ(wheel_next_us(&w), WHEEL_NEVER_US);
}

TEST_SUITE(wheel, TEST_CASE(random_timers_match_a_search), TEST_CASE(a_sleeper_wakes_on_time),
           TEST_CASE(a_cancelled_timer_is_forgotten), TEST_CASE(never_fires_early),
           TEST_CASE(the_past_fires_at_the_next_turn), TEST_CASE(a_turn_moves_the_tick),
           TEST_CASE(a_due_timer_can_still_be_cancelled_or_moved),
           TEST_CASE(the_end_of_time_is_far));

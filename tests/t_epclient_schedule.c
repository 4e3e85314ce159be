/* When requests begin: rates without drift, shares of workers, ends. */
#include "tests/test.h"

#include "apps/epclient/schedule.h"

#include "mtcp/base/rng.h"

static struct schedule schedule(uint64_t rate, uint64_t total)
{
    return (struct schedule){
        .rate = rate,
        .begun_us = 5000,
        .end_us = SCHEDULE_NEVER,
        .n_total = total,
        .step = 1,
    };
}

static void closed_loop_begins_at_once(void)
{
    struct schedule s = schedule(0, 2);
    struct request r;

    EXPECT_EQ(schedule_due(&s, 7000), 5000);
    CU_ASSERT(schedule_take(&s, 7000, &r));
    EXPECT_EQ(r.number, 0);
    EXPECT_EQ(r.start_us, 7000);
    CU_ASSERT(schedule_take(&s, 7001, &r));
    EXPECT_EQ(r.start_us, 7001);
    CU_ASSERT_FALSE(schedule_take(&s, 7002, &r));
    CU_ASSERT(schedule_due(&s, 7002) == SCHEDULE_NEVER);
}

static void closed_loop_ends_in_time(void)
{
    struct schedule s = schedule(0, SCHEDULE_NEVER);
    struct request r;

    s.end_us = 8000;
    CU_ASSERT(schedule_take(&s, 7999, &r));
    CU_ASSERT_FALSE(schedule_take(&s, 8000, &r));
}

/* Late or not, a request keeps its own time. */
static void open_loop_keeps_the_times(void)
{
    struct schedule s = schedule(1000, 4);
    struct request r;

    EXPECT_EQ(schedule_due(&s, 5000), 5000);
    CU_ASSERT(schedule_take(&s, 5000, &r));
    EXPECT_EQ(r.start_us, 5000);
    CU_ASSERT_FALSE(schedule_take(&s, 5999, &r));
    EXPECT_EQ(schedule_due(&s, 5999), 6000);
    for (uint64_t k = 1; k < 4; k++) {
        CU_ASSERT(schedule_take(&s, 900000, &r));
        EXPECT_EQ(r.number, k);
        EXPECT_EQ(r.start_us, 5000 + 1000 * k);
    }
    CU_ASSERT_FALSE(schedule_take(&s, 900000, &r));
}

/* What was due before the end begins, however late; nothing that is due at it or later does. */
static void open_loop_ends_with_the_last_that_is_due(void)
{
    struct schedule s = schedule(1000, SCHEDULE_NEVER);
    struct request r;
    int n = 0;

    s.end_us = 5000 + 3000;
    while (schedule_take(&s, 900000, &r))
        n++;
    EXPECT_EQ(n, 3);
    CU_ASSERT(schedule_due(&s, 0) == SCHEDULE_NEVER);
}

static void no_rate_drifts(void)
{
    static const uint64_t rates[] = {1, 3, 7, 999, 1000001, 1000000000};
    struct request r;

    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct schedule s = schedule(rates[i], SCHEDULE_NEVER);
        s.next = rates[i] * 1000000; /* after as many seconds */
        CU_ASSERT(schedule_take(&s, UINT64_C(1000000) * 1000000 + 5000, &r));
        CU_ASSERT(r.start_us == UINT64_C(1000000) * 1000000 + 5000);
    }
}

/* Workers' shares are the schedule of one, each request once. */
static void shares_of_workers(void)
{
    struct schedule one = schedule(12345, 1000), shared[3];
    struct request r, of_one;

    for (uint64_t i = 0; i < 3; i++) {
        shared[i] = schedule(12345, 1000);
        shared[i].next = i;
        shared[i].step = 3;
    }
    for (uint64_t k = 0; k < 1000; k++) {
        CU_ASSERT(schedule_take(&one, UINT64_MAX - 1, &of_one));
        CU_ASSERT(schedule_take(&shared[k % 3], UINT64_MAX - 1, &r));
        EXPECT_EQ(r.number, k);
        EXPECT_EQ(r.start_us, of_one.start_us);
    }
    for (uint64_t i = 0; i < 3; i++)
        CU_ASSERT(schedule_due(&shared[i], 0) == SCHEDULE_NEVER);
}

/* As many requests as the rate has in that time; times are rounded down to microseconds. */
static void counts_in_random_intervals(void)
{
    struct rng rng;
    struct request r;

    rng_init(&rng, test_seed());
    for (int i = 0; i < 100; i++) {
        struct schedule s = schedule(1 + rng_below(&rng, 50000), SCHEDULE_NEVER);
        uint64_t us = rng_below(&rng, 1000000), n = 0;
        while (schedule_take(&s, 5000 + us, &r))
            n++;
        EXPECT_EQ(n, ((us + 1) * s.rate + 999999) / 1000000);
    }
}

TEST_SUITE(epclient_schedule, TEST_CASE(closed_loop_begins_at_once),
           TEST_CASE(closed_loop_ends_in_time), TEST_CASE(open_loop_keeps_the_times),
           TEST_CASE(open_loop_ends_with_the_last_that_is_due), TEST_CASE(no_rate_drifts),
           TEST_CASE(shares_of_workers), TEST_CASE(counts_in_random_intervals));

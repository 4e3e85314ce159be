/* HyStart++ (RFC 9406): slow start that ends before the queue does. */
#include "mtcp/tcp/hystart.h"

#include "mtcp/tcp/tcp.h"
#include "tests/pair.h"
#include "tests/test.h"

#include <string.h>

#define MSS 1000u
#define MS  1000u

struct fixture {
    struct tcp_conn conn;
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->conn.mss = MSS;
    f->conn.snd_una = f->conn.snd_max = 0xfffff000; /* offsets wrap */
    hystart_init(&f->conn);
}

/* One round trip: 16 segments acknowledged one by one. What cwnd grew by. */
static uint32_t round_trip(struct fixture *f, uint32_t rtt_us)
{
    uint32_t grown = 0;
    f->conn.snd_max = f->conn.snd_una + 16 * MSS + 1; /* the next call's first ACK ends the round */
    for (int i = 0; i < 16; i++) {
        f->conn.snd_una += MSS;
        grown += hystart_acked(&f->conn, MSS, rtt_us);
        f->conn.snd_max += MSS;
    }
    return grown;
}

static void it_doubles_while_round_trips_stay(void)
{
    struct fixture f;
    setup(&f);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(round_trip(&f, 20 * MS + (uint32_t)i * 100), 16 * MSS);
    CU_ASSERT(!hystart_is_over(&f.conn));
}

/* 20 ms / 8 is less than the least threshold, 4 ms. */
static void a_longer_round_trip_slows_it_down(void)
{
    struct fixture f;
    setup(&f);
    round_trip(&f, 20 * MS);
    round_trip(&f, 20 * MS);
    EXPECT_EQ(round_trip(&f, 23 * MS), 16 * MSS);
    round_trip(&f, 30 * MS);
    EXPECT_EQ(round_trip(&f, 30 * MS), 16 * MSS / 4);
    CU_ASSERT(!hystart_is_over(&f.conn));
}

static void five_slow_rounds_end_it(void)
{
    struct fixture f;
    setup(&f);
    round_trip(&f, 20 * MS);
    round_trip(&f, 20 * MS);
    int n = 0;
    while (!hystart_is_over(&f.conn) && n < 20) {
        round_trip(&f, 30 * MS);
        n++;
    }
    CU_ASSERT(n >= 5 && n <= 7);
}

static void a_false_alarm_is_over_when_the_round_trip_falls(void)
{
    struct fixture f;
    setup(&f);
    round_trip(&f, 20 * MS);
    round_trip(&f, 20 * MS);
    round_trip(&f, 30 * MS);
    CU_ASSERT(f.conn.cc.hystart.n_css > 0);
    round_trip(&f, 21 * MS);
    round_trip(&f, 21 * MS);
    EXPECT_EQ(f.conn.cc.hystart.n_css, 0);
    EXPECT_EQ(round_trip(&f, 21 * MS), 16 * MSS);
}

/* The threshold is an eighth of the round trip, within 4 and 16 ms. */
static void the_threshold_follows_the_round_trip(void)
{
    static const struct {
        uint32_t before, after;
        bool slows;
    } row[] = {{1, 4, false},  {1, 6, true},      {80, 88, false},
               {80, 91, true}, {400, 415, false}, {400, 417, true}};
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct fixture f;
        setup(&f);
        round_trip(&f, row[i].before * MS);
        round_trip(&f, row[i].before * MS);
        round_trip(&f, row[i].after * MS);
        EXPECT_EQ(f.conn.cc.hystart.n_css > 0, row[i].slows);
    }
}

static void few_samples_say_nothing(void)
{
    struct fixture f;
    setup(&f);
    round_trip(&f, 20 * MS);
    round_trip(&f, 20 * MS);
    f.conn.snd_max = f.conn.snd_una + 100 * MSS;
    for (int i = 0; i < 7; i++) {
        f.conn.snd_una += MSS;
        EXPECT_EQ(hystart_acked(&f.conn, MSS, i ? 90 * MS : 0), MSS);
    }
}

static uint64_t lost_over_a_long_queue(const struct tcp_cc_ops *cc)
{
    struct pair_conf conf = {.delay_us = 10000,
                             .us_per_kb = 80,
                             .queue_us = 60000,
                             .n_bytes = {2000000, 0},
                             .rcvbuf = 1 << 20,
                             .sndbuf = 1 << 20,
                             .cc = cc};
    struct pair *p = pair_new(&conf, 1);
    pair_run(p, 60000000);
    uint64_t n = p->end[0].n_lost;
    CU_ASSERT(pair_end_well(p));
    return n;
}

/* RFC 9438 4.10-2 */
static void a_long_queue_is_not_overrun(void)
{
    CU_ASSERT(lost_over_a_long_queue(&tcp_cc_newreno) > 0);
    EXPECT_EQ(lost_over_a_long_queue(&tcp_cc_cubic), 0);
}

TEST_SUITE(hystart, TEST_CASE(it_doubles_while_round_trips_stay),
           TEST_CASE(a_longer_round_trip_slows_it_down), TEST_CASE(five_slow_rounds_end_it),
           TEST_CASE(a_false_alarm_is_over_when_the_round_trip_falls),
           TEST_CASE(the_threshold_follows_the_round_trip), TEST_CASE(few_samples_say_nothing),
           TEST_CASE(a_long_queue_is_not_overrun));

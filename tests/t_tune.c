/* Buffers that follow the traffic: they begin with 256 KB. The peer sends segments of 1000 bytes, a
 * round trip is 20 ms. */
#include "mtcp/tcp/tune.h"

#include "tests/pair.h"
#include "tests/seg.h"

#include <stdio.h>

#define KB    1024u
#define MS    1000u
#define BEGIN (256 * KB)
#define SLACK (16 * 1000u)

/* A round trip passes, n segments arrive, and are read at once or not. They echo a time half a
 * round trip ago when timestamps are in use. */
static void round_trip(struct segt *t, unsigned n, bool is_read)
{
    struct tcp_conn *c = &t->conn;
    segt_advance(t, 20 * MS);
    uint32_t echo = conn_ts_now(&t->env, c) - 10;
    for (unsigned i = 0; i < n; i++) {
        char s[80];
        int len = snprintf(s, sizeof(s), "A %llu+1000 ack=1",
                           (unsigned long long)(1 + stream_next(&c->rcv)));
        if (c->flags & TCF_TS)
            snprintf(s + len, sizeof(s) - (size_t)len, " ts=200,%u", echo);
        seg_in(t, s);
        if (is_read)
            EXPECT_EQ(segt_read(t, 1000), 1000);
        t->n_tx = t->at_tx = 0;
    }
}

static void follows(const char *opts)
{
    struct segt *t = segt_established_with(opts);
    round_trip(t, 100, true);
    round_trip(t, 100, true);
    round_trip(t, 100, true);
    EXPECT_EQ(t->conn.rcv.limit, BEGIN); /* enough for twice 100 KB */
    round_trip(t, 150, true);
    round_trip(t, 1, true);
    EXPECT_EQ(t->conn.rcv.limit, 4 * 150 * 1000 + SLACK);
    round_trip(t, 100, true);
    round_trip(t, 1, true);
    EXPECT_EQ(t->conn.rcv.limit, 4 * 150 * 1000 + SLACK); /* what was promised stays */
    segt_free(t);
}

static void the_window_follows_what_is_read(void)
{
    follows("ws=2 sackok ts=100,0");
}

static void without_timestamps_the_clock_measures(void)
{
    follows("ws=2 sackok");
}

static void who_does_not_read_gets_no_larger_window(void)
{
    struct segt *t = segt_established_with("ws=2 sackok ts=100,0");
    round_trip(t, 120, false);
    round_trip(t, 100, false);
    round_trip(t, 1, false);
    EXPECT_EQ(t->conn.rcv.limit, BEGIN);
    segt_free(t);
}

/* The end of the configuration, and of what the window field can say. */
static void it_ends_somewhere(void)
{
    struct segt *t = segt_established_with("ws=2 ts=100,0");
    t->env.params.rcvbuf_max = 400000;
    round_trip(t, 1, true);
    round_trip(t, 200, true);
    round_trip(t, 1, true);
    EXPECT_EQ(t->conn.rcv.limit, 400000);
    segt_free(t);
    t = segt_established_with("ts=100,0"); /* no window scale */
    round_trip(t, 1, true);
    round_trip(t, 200, true);
    round_trip(t, 1, true);
    EXPECT_EQ(t->conn.rcv.limit, BEGIN);
    segt_free(t);
}

static void it_does_not_grow_while_memory_is_tight(void)
{
    struct segt *t = segt_established_with("ws=2 ts=100,0");
    mem_set_limit(t->mem, 100000);
    void *other = mem_alloc(t->mem, 80000);
    round_trip(t, 1, true);
    round_trip(t, 200, true);
    round_trip(t, 1, true);
    EXPECT_EQ(t->conn.rcv.limit, BEGIN);
    mem_free(t->mem, other, 80000);
    round_trip(t, 200, true);
    round_trip(t, 1, true);
    EXPECT_EQ(t->conn.rcv.limit, 4 * 200 * 1000 + SLACK);
    segt_free(t);
}

static void a_fixed_size_stays(void)
{
    struct segt *t = segt_established_with("ws=2 ts=100,0");
    t->conn.rcv.is_auto = t->conn.snd.is_auto = false;
    round_trip(t, 1, true);
    round_trip(t, 200, true);
    round_trip(t, 1, true);
    EXPECT_EQ(t->conn.rcv.limit, BEGIN);
    t->conn.cwnd = 1000000;
    tune_snd(&t->env, &t->conn);
    EXPECT_EQ(t->conn.snd.limit, BEGIN);
    segt_free(t);
}

static void what_it_begins_with_says_whether_it_grows(void)
{
    struct tcp_params p = {.rcvbuf = 5000, .rcvbuf_max = 5000, .sndbuf = 6000, .sndbuf_max = 7000};
    struct segt *t = segt_new();
    tune_init(&t->conn, &p);
    EXPECT_EQ(t->conn.rcv.limit, 5000);
    EXPECT_EQ(t->conn.snd.limit, 6000);
    CU_ASSERT(!t->conn.rcv.is_auto && t->conn.snd.is_auto);
    EXPECT_EQ(tune_rcvbuf_most(&p), 5000);
    p.rcvbuf_max = 9000;
    EXPECT_EQ(tune_rcvbuf_most(&p), 9000);
    segt_free(t);
}

/* A full send buffer becomes two congestion windows large. */
static void the_send_buffer_follows_cwnd(void)
{
    struct segt *t = segt_established_with("ws=4");
    segt_write(t, 60000);
    t->conn.cwnd = 300000;
    seg_in(t, "A 1 ack=1001");
    EXPECT_EQ(t->conn.snd.limit, BEGIN); /* there was room */
    while (tcp_writable(&t->conn) > 0)
        segt_write(t, 60000);
    uint32_t cwnd = t->conn.cwnd;
    seg_in(t, "A 1 ack=3001");
    EXPECT_EQ(t->conn.snd.limit, 2 * cwnd);
    CU_ASSERT(t->conn.ready & TCP_READY_OUT);
    t->env.params.sndbuf_max = 700000;
    t->conn.cwnd = 500000;
    tune_snd(&t->env, &t->conn);
    EXPECT_EQ(t->conn.snd.limit, 700000);
    segt_free(t);
}

/* Without memory for a larger ring what is queued is all that fits, until some of it has gone. */
static void a_buffer_without_memory_is_full(bool is_auto)
{
    struct segt *t = segt_established_with("ws=4");
    struct tcp_conn *c = &t->conn;
    c->snd.is_auto = is_auto;
    CU_ASSERT_FATAL(segt_write(t, 3000) == 3000);
    mem_set_limit(t->mem, mem_in_use(t->mem) + 1);
    while (segt_write(t, 1000) > 0)
        continue;
    EXPECT_EQ(segt_write(t, 1000), -EAGAIN);
    EXPECT_EQ(tcp_writable(c), 0);
    EXPECT_EQ(tune_sndbuf(c), BEGIN);
    c->ready = 0;
    seg_in(t, "A 1 ack=1001");
    CU_ASSERT(c->ready & TCP_READY_OUT);
    CU_ASSERT(tcp_writable(c) >= 1000);
    EXPECT_EQ(segt_write(t, 2000), 1000); /* into the room of what was acknowledged */
    EXPECT_EQ(segt_write(t, 1000), -EAGAIN);
    mem_set_limit(t->mem, 0);
    seg_in(t, "A 1 ack=2001");
    EXPECT_EQ(c->snd.limit, BEGIN);
    EXPECT_EQ(segt_write(t, 60000), 60000);
    segt_free(t);
}

static void without_memory_the_send_buffer_is_full(void)
{
    a_buffer_without_memory_is_full(true);
    a_buffer_without_memory_is_full(false);
}

static void a_size_given_without_memory_holds(void)
{
    struct segt *t = segt_established_with("ws=4");
    CU_ASSERT_FATAL(segt_write(t, 3000) == 3000);
    mem_set_limit(t->mem, 1);
    while (segt_write(t, 1000) > 0)
        continue;
    tune_fix(&t->conn, false, 50000);
    EXPECT_EQ(tune_sndbuf(&t->conn), 50000);
    EXPECT_EQ(segt_write(t, 1000), -EAGAIN);
    seg_in(t, "A 1 ack=1001");
    EXPECT_EQ(t->conn.snd.limit, 50000);
    segt_free(t);
}

/* Over a round trip of 200 ms 256 KB would carry 20 MB in 15 s. */
static void a_long_path_is_filled(void)
{
    struct pair_conf conf = {.delay_us = 100000, .us_per_kb = 80, .n_bytes = {20000000, 0}};
    struct pair *p = pair_new(&conf, 1);
    uint64_t took_us = pair_run(p, 60000000);
    CU_ASSERT(took_us < 5000000);
    CU_ASSERT(p->end[1].conn.rcv.limit > 2000000 && p->end[0].conn.snd.limit > 2000000);
    CU_ASSERT(pair_end_well(p));
}

TEST_SUITE(tune, TEST_CASE(the_window_follows_what_is_read),
           TEST_CASE(without_timestamps_the_clock_measures),
           TEST_CASE(who_does_not_read_gets_no_larger_window), TEST_CASE(it_ends_somewhere),
           TEST_CASE(it_does_not_grow_while_memory_is_tight), TEST_CASE(a_fixed_size_stays),
           TEST_CASE(what_it_begins_with_says_whether_it_grows),
           TEST_CASE(the_send_buffer_follows_cwnd),
           TEST_CASE(without_memory_the_send_buffer_is_full),
           TEST_CASE(a_size_given_without_memory_holds), TEST_CASE(a_long_path_is_filled));

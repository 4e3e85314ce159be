/*
 * What a meter makes of segments, each written out: numbers count payload bytes from 0, times are
 * milliseconds. Both initial sequence numbers and the clock are about to wrap.
 */
#include "tests/test.h"

#include "apps/tcpstat/meter.h"

#include <string.h>

#define CLI MOS_SIDE_CLI
#define SVR MOS_SIDE_SVR
#define ISN 0xffffff80u

static struct totals totals;
static struct meter m;

static void begin(void)
{
    meter_free(&m);
    totals_init(&totals);
    meter_init(&m, &totals);
}

struct say {
    uint32_t ms;
    uint8_t flags; /* with SEG_ACK when it has an ack */
    int64_t off;   /* of the payload; SYN: -1 */
    uint32_t len;
    int64_t ack;
    int wnd; /* 0: 1000; -1: closed */
    bool sack;
};

static void say(int from, const struct say *x)
{
    static const uint8_t sack[] = {1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    struct segment s = {
        .at_us = 0xffff0000u + x->ms * 1000,
        .flags = x->flags,
        .seq = ISN + 1 + (uint32_t)x->off,
        .ack = ISN + 1 + (uint32_t)x->ack,
        .len = x->len,
        .wnd = x->wnd == 0  ? 1000
               : x->wnd < 0 ? 0
                            : (uint16_t)x->wnd,
        .options = sack,
        .options_len = x->sack ? sizeof(sack) : 2,
    };
    meter_segment(&m, from, &s);
}

#define FROM(side, ...) say(side, &(struct say){__VA_ARGS__})
#define DATA(side, at, from, n, upto)                                                              \
    FROM(side, .ms = (at), .flags = SEG_ACK, .off = (from), .len = (n), .ack = (upto))
#define ACK(side, at, from, upto)                                                                  \
    FROM(side, .ms = (at), .flags = SEG_ACK, .off = (from), .ack = (upto))

/* 20 ms from the SYN to the client's ACK. */
static void handshake(void)
{
    begin();
    FROM(CLI, .ms = 0, .flags = SEG_SYN, .off = -1);
    FROM(SVR, .ms = 1, .flags = SEG_SYN | SEG_ACK, .off = -1);
    ACK(CLI, 20, 0, 0);
}

static uint64_t counted(int side, enum count what)
{
    EXPECT_EQ(totals.count[side][what], m.host[side].count[what]);
    return m.host[side].count[what];
}

/* All that was sent again by that side, by reason. */
static void expect_again(int side, uint64_t fast, uint64_t timer, uint64_t spurious,
                         uint64_t overtaken)
{
    EXPECT_EQ(counted(side, COUNT_AGAIN_FAST), fast);
    EXPECT_EQ(counted(side, COUNT_AGAIN_TIMER), timer);
    EXPECT_EQ(counted(side, COUNT_AGAIN_SPURIOUS), spurious);
    EXPECT_EQ(counted(side, COUNT_OUT_OF_ORDER), overtaken);
}

/* ---- times ---- */

static void handshakes(void)
{
    handshake();
    EXPECT_EQ(m.has_handshake, true);
    EXPECT_EQ(m.handshake_us, 20000);
    EXPECT_EQ(totals.handshake.n, 1);
    ACK(CLI, 50, 0, 0);
    EXPECT_EQ(totals.handshake.n, 1);
    /* From the first SYN, whichever was answered. */
    begin();
    FROM(CLI, .ms = 0, .flags = SEG_SYN, .off = -1);
    FROM(CLI, .ms = 1000, .flags = SEG_SYN, .off = -1);
    FROM(SVR, .ms = 1001, .flags = SEG_SYN | SEG_ACK, .off = -1);
    ACK(CLI, 1020, 0, 0);
    EXPECT_EQ(m.handshake_us, 1020000);
    EXPECT_EQ(counted(CLI, COUNT_AGAIN_CONTROL), 1);
    /* Refused: none. */
    begin();
    FROM(CLI, .ms = 0, .flags = SEG_SYN, .off = -1);
    FROM(SVR, .ms = 1, .flags = SEG_RST | SEG_ACK, .off = 0);
    EXPECT_EQ(totals.handshake.n, 0);
}

static void round_trips(void)
{
    handshake();
    DATA(SVR, 30, 0, 100, 0);
    DATA(SVR, 31, 100, 100, 0); /* one is timed at a time */
    ACK(CLI, 45, 0, 100);
    EXPECT_EQ(m.host[CLI].rtt.n, 1);
    EXPECT_EQ(m.host[CLI].rtt.last, 15000);
    ACK(CLI, 50, 0, 200);
    EXPECT_EQ(m.host[CLI].rtt.n, 1);
    DATA(CLI, 60, 0, 10, 200);
    ACK(SVR, 61, 200, 10);
    EXPECT_EQ(m.host[SVR].rtt.last, 1000);
    DATA(SVR, 70, 200, 100, 10);
    DATA(SVR, 71, 300, 100, 10);
    ACK(CLI, 101, 10, 400); /* covers more than was timed */
    EXPECT_EQ(m.host[CLI].rtt.n, 2);
    EXPECT_EQ(m.host[CLI].rtt.min, 15000);
    EXPECT_EQ(m.host[CLI].rtt.max, 31000);
    EXPECT_EQ(m.host[CLI].rtt.smoothed, 15000 + 31000 / 8 - 15000 / 8);
    EXPECT_EQ(totals.rtt[CLI].n, 2);
    EXPECT_EQ(totals.rtt[SVR].n, 1);
}

/* Of what was sent twice nobody knows which copy is acknowledged. */
static void no_round_trip_of_what_was_sent_again(void)
{
    handshake();
    DATA(SVR, 30, 0, 100, 0);
    DATA(SVR, 500, 0, 100, 0);
    ACK(CLI, 501, 0, 100);
    EXPECT_EQ(m.host[CLI].rtt.n, 0);
}

/* ---- sent again ---- */

static void fast(void)
{
    handshake();
    for (uint32_t i = 0; i < 5; i++)
        DATA(SVR, 30, 100 * (int64_t)i, 100, 0);
    ACK(CLI, 50, 0, 100);
    for (int i = 0; i < 3; i++)
        ACK(CLI, 51, 0, 100);
    EXPECT_EQ(counted(CLI, COUNT_DUP_ACKS), 3);
    DATA(SVR, 52, 100, 100, 0);
    ACK(CLI, 70, 0, 300);
    DATA(SVR, 71, 300, 100, 0); /* the next hole of the same recovery */
    expect_again(SVR, 2, 0, 0, 0);
    EXPECT_EQ(counted(SVR, COUNT_BYTES), 500);
    /* Duplicates before progress say nothing of what comes after it. */
    ACK(CLI, 72, 0, 300);
    ACK(CLI, 90, 0, 500);
    DATA(SVR, 91, 500, 100, 0);
    DATA(SVR, 131, 500, 100, 0);
    expect_again(SVR, 2, 1, 0, 0);
}

static void timer(void)
{
    handshake();
    DATA(SVR, 30, 0, 100, 0);
    DATA(SVR, 30, 100, 100, 0);
    DATA(SVR, 300, 0, 100, 0);
    ACK(CLI, 320, 0, 100);
    DATA(SVR, 321, 100, 100, 0);
    expect_again(SVR, 0, 2, 0, 0);
    /* A probe for the tail comes before the timeout, and after no duplicate either. */
    handshake();
    DATA(SVR, 30, 0, 100, 0);
    DATA(SVR, 70, 0, 100, 0);
    expect_again(SVR, 0, 1, 0, 0);
    /* A timeout in the middle of a fast recovery. */
    handshake();
    DATA(SVR, 30, 0, 100, 0);
    DATA(SVR, 30, 100, 100, 0);
    ACK(CLI, 50, 0, 0);
    DATA(SVR, 51, 0, 100, 0);
    DATA(SVR, 351, 0, 100, 0);
    expect_again(SVR, 1, 1, 0, 0);
}

static void spurious(void)
{
    handshake();
    DATA(SVR, 30, 0, 100, 0);
    ACK(CLI, 50, 0, 100);
    DATA(SVR, 60, 0, 100, 0);
    expect_again(SVR, 0, 0, 1, 0);
}

/* What is lost before the monitor leaves a hole, and what fills it came again. */
static void lost_before(void)
{
    handshake();
    DATA(CLI, 30, 0, 100, 0);
    DATA(CLI, 30, 200, 100, 0);
    ACK(SVR, 31, 0, 100);
    ACK(SVR, 31, 0, 100);
    DATA(CLI, 51, 100, 100, 0); /* more than a round trip later */
    expect_again(CLI, 1, 0, 0, 0);
    /* Within a round trip it was overtaken. */
    handshake();
    DATA(CLI, 30, 200, 100, 0);
    DATA(CLI, 49, 100, 100, 0);
    expect_again(CLI, 0, 0, 0, 1);
    /* Without a handshake 3 ms are taken for one. */
    begin();
    DATA(CLI, 30, 0, 100, 0);
    DATA(CLI, 30, 200, 100, 0);
    DATA(CLI, 34, 100, 50, 0);
    DATA(CLI, 31, 150, 50, 0);
    expect_again(CLI, 0, 1, 0, 1);
    EXPECT_EQ(counted(CLI, COUNT_BYTES), 300);
}

/* A FIN came before the payload that it ends. */
static void behind_a_fin(void)
{
    handshake();
    DATA(CLI, 30, 0, 100, 0);
    FROM(CLI, .ms = 30, .flags = SEG_FIN | SEG_ACK, .off = 200);
    FROM(CLI, .ms = 49, .flags = SEG_FIN | SEG_ACK, .off = 150, .len = 50);
    expect_again(CLI, 0, 0, 0, 1);
    DATA(CLI, 51, 100, 50, 0);
    expect_again(CLI, 0, 1, 0, 1);
    /* Nothing but the number of an ACK says that there was something. */
    handshake();
    DATA(CLI, 30, 0, 100, 0);
    ACK(CLI, 31, 200, 0);
    DATA(CLI, 60, 100, 100, 0);
    expect_again(CLI, 0, 1, 0, 0);
}

static void duplicates(void)
{
    handshake();
    ACK(CLI, 21, 0, 0); /* nothing is out */
    DATA(SVR, 30, 0, 100, 0);
    DATA(CLI, 31, 0, 10, 0);                                                /* payload */
    FROM(CLI, .ms = 32, .flags = SEG_ACK, .off = 10, .ack = 0, .wnd = 999); /* window */
    FROM(CLI, .ms = 33, .flags = SEG_ACK | SEG_FIN, .off = 10, .ack = 0, .wnd = 999);
    EXPECT_EQ(counted(CLI, COUNT_DUP_ACKS), 0);
    FROM(CLI, .ms = 34, .flags = SEG_ACK, .off = 11, .ack = 0, .wnd = 998, .sack = true);
    EXPECT_EQ(counted(CLI, COUNT_DUP_ACKS), 1);
}

static void control(void)
{
    handshake();
    FROM(SVR, .ms = 21, .flags = SEG_SYN | SEG_ACK, .off = -1);
    EXPECT_EQ(counted(SVR, COUNT_AGAIN_CONTROL), 1);
    FROM(SVR, .ms = 30, .flags = SEG_FIN | SEG_ACK, .off = 0, .len = 10);
    FROM(SVR, .ms = 230, .flags = SEG_FIN | SEG_ACK, .off = 0, .len = 10);
    expect_again(SVR, 0, 1, 0, 0);
    FROM(SVR, .ms = 430, .flags = SEG_FIN | SEG_ACK, .off = 10);
    EXPECT_EQ(counted(SVR, COUNT_AGAIN_CONTROL), 2);
}

/* ---- windows and probes ---- */

static void closed_windows(void)
{
    handshake();
    DATA(SVR, 30, 0, 100, 0);
    FROM(CLI, .ms = 31, .flags = SEG_ACK, .off = 0, .ack = 100, .wnd = -1);
    DATA(SVR, 300, 100, 1, 0);
    FROM(CLI, .ms = 301, .flags = SEG_ACK, .off = 0, .ack = 100, .wnd = -1);
    DATA(SVR, 900, 100, 1, 0);
    FROM(CLI, .ms = 901, .flags = SEG_RST, .off = 0, .wnd = -1);
    EXPECT_EQ(counted(CLI, COUNT_ZERO_WINDOW), 2);
    EXPECT_EQ(counted(SVR, COUNT_PROBES), 2);
    expect_again(SVR, 0, 0, 0, 0);
    /* A window that was not announced yet is not a closed one. */
    begin();
    DATA(CLI, 30, 0, 1, 0);
    EXPECT_EQ(counted(CLI, COUNT_PROBES), 0);
}

static void keep_alive(void)
{
    handshake();
    DATA(SVR, 30, 0, 100, 0);
    ACK(CLI, 31, 0, 100);
    ACK(SVR, 7000, 99, 0);
    DATA(SVR, 8000, 99, 1, 0);
    EXPECT_EQ(counted(SVR, COUNT_PROBES), 2);
    expect_again(SVR, 0, 0, 0, 0);
}

static void sums(void)
{
    static struct totals other;

    handshake();
    DATA(SVR, 30, 0, 100, 0);
    ACK(CLI, 45, 0, 100);
    EXPECT_EQ(counted(CLI, COUNT_SEGMENTS), 3);
    totals_init(&other);
    other.n_begun = 5;
    totals_merge(&other, &totals);
    totals_merge(&other, &totals);
    EXPECT_EQ(other.n_begun, 5);
    EXPECT_EQ(other.count[SVR][COUNT_BYTES], 200);
    EXPECT_EQ(other.rtt[CLI].n, 2);
    EXPECT_EQ(other.handshake.max, 20000);
    meter_free(&m);
}

TEST_SUITE(tcpstat_meter, TEST_CASE(handshakes), TEST_CASE(round_trips),
           TEST_CASE(no_round_trip_of_what_was_sent_again), TEST_CASE(fast), TEST_CASE(timer),
           TEST_CASE(spurious), TEST_CASE(lost_before), TEST_CASE(behind_a_fin),
           TEST_CASE(duplicates), TEST_CASE(control), TEST_CASE(closed_windows),
           TEST_CASE(keep_alive), TEST_CASE(sums));

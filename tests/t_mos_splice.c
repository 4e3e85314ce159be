/* Replaced bytes of one direction, against what a plain array of them says. */
#include "mos/splice.h"
#include "mtcp/base/rng.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STREAM 4000u
#define ROOM   (4u * STREAM)

static struct mem *mem;
static struct splices p;
static struct rng rng;
static uint8_t sent[STREAM];          /* by the sender */
static uint8_t got[ROOM];             /* what the receiver is to get for it */
static uint64_t n_sent, n_got, acked; /* acked: what the receiver has acknowledged */

static void begin(uint64_t seed)
{
    mem = mem_create(0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mem);
    memset(&p, 0, sizeof(p));
    rng_init(&rng, seed);
    n_sent = n_got = acked = 0;
    for (uint32_t i = 0; i < STREAM; i++)
        sent[i] = (uint8_t)rng_u32(&rng);
}

static void end(void)
{
    splices_fini(&p, mem);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

/* The sender sends some more, which passes as it is. */
static void send_more(uint32_t len)
{
    CU_ASSERT_FATAL(n_sent + len <= STREAM && n_got + len <= ROOM);
    memcpy(got + n_got, sent + n_sent, len);
    n_got += len;
    n_sent += len;
}

/* In the newest segment, which began at `from` (the receiver's: from_r), at `at` of what it holds
 * now. */
static int change(uint64_t from, uint64_t from_r, uint64_t at, uint32_t del, uint32_t ins)
{
    static uint8_t before[ROOM];
    uint64_t tail = n_got - (from_r + at + del);
    memcpy(before, got, n_got);
    memmove(got + from_r + at + ins, got + from_r + at + del, tail);
    for (uint32_t i = 0; i < ins; i++)
        got[from_r + at + i] = (uint8_t)rng_u32(&rng);
    struct splice_edit e = {.from = from,
                            .end = n_sent,
                            .r = from_r + at,
                            .del = del,
                            .ins = ins,
                            .payload = got + from_r,
                            .payload_r = from_r};
    int rc = splices_edit(&p, mem, &e);
    if (rc == 0)
        n_got = n_got - del + ins;
    else
        memcpy(got, before, n_got);
    return rc;
}

/* Everything that is asked of a stretch of the stream. */
static void check_range(uint64_t s, uint32_t len)
{
    static uint8_t out[ROOM];
    int64_t r = splices_to_r(&p, (tcp_off_t)s);
    int64_t n = splices_apply(&p, s, sent + s, len, out, ROOM);
    CU_ASSERT_FATAL(n >= 0 && r >= 0 && r + n <= (int64_t)n_got);
    EXPECT_EQ(memcmp(out, got + r, (size_t)n), 0);
    if (n > 0)
        EXPECT_EQ(splices_apply(&p, s, sent + s, len, out, (uint32_t)n - 1), -1);
    if (!splices_touch(&p, s, len)) {
        EXPECT_EQ(n, len);
        EXPECT_EQ(memcmp(out, sent + s, len), 0);
    }
    CU_ASSERT_TRUE(splices_to_r(&p, (tcp_off_t)(s + len)) <= r + n);
}

/* Nothing is acknowledged of which something is missing, and everything else is. */
static void check_ack(uint64_t r)
{
    static uint8_t out[ROOM];
    tcp_off_t s = splices_acked(&p, (tcp_off_t)r), up = splices_beyond(&p, (tcp_off_t)r);
    CU_ASSERT_FATAL(s >= (tcp_off_t)p.floor && s <= (tcp_off_t)n_sent && up <= (tcp_off_t)n_sent);
    CU_ASSERT_TRUE(splices_to_r(&p, s) <= (tcp_off_t)r);
    if (s < (tcp_off_t)n_sent)
        CU_ASSERT_TRUE(splices_to_r(&p, s) +
                           splices_apply(&p, (uint64_t)s, sent + s, 1, out, ROOM) >
                       (tcp_off_t)r);
    CU_ASSERT_TRUE(splices_to_r(&p, up) >= (tcp_off_t)r);
    if (splices_to_r(&p, s) == (tcp_off_t)r)
        CU_ASSERT_TRUE(up <= s);
}

static void check(void)
{
    for (unsigned i = 0; i < 30 && n_sent > p.floor; i++) {
        uint64_t s = p.floor + rng_below(&rng, (uint32_t)(n_sent - p.floor));
        check_range(s, 1 + rng_below(&rng, (uint32_t)(n_sent - s)));
    }
    for (unsigned i = 0; i < 30; i++)
        check_ack(acked + rng_below(&rng, (uint32_t)(n_got - acked) + 1));
    check_ack(acked);
    check_ack(n_got);
    EXPECT_EQ(splices_acked(&p, (tcp_off_t)n_got), n_sent);
    EXPECT_EQ(splices_to_r(&p, (tcp_off_t)n_sent), n_got);
}

static void change_at_random(uint64_t from, uint64_t from_r)
{
    uint32_t has = (uint32_t)(n_got - from_r), at = rng_below(&rng, has + 1);
    uint32_t del = rng_below(&rng, 3) ? 0 : rng_below(&rng, has - at + 1);
    uint32_t ins = rng_below(&rng, 3) ? 0 : rng_below(&rng, 40);
    if (rng_below(&rng, 8) == 0)
        del = has - at; /* often all of it */
    if (n_got + ins < ROOM && (del || ins))
        EXPECT_EQ(change(from, from_r, at, del, ins), 0);
}

static void one_stream(uint64_t seed)
{
    begin(seed);
    while (n_sent + 200 < STREAM) {
        uint64_t from = n_sent, from_r = n_got;
        send_more(1 + rng_below(&rng, 200));
        for (unsigned i = rng_below(&rng, 5); i > 0; i--)
            change_at_random(from, from_r);
        check();
        if (rng_below(&rng, 3) > 0)
            continue;
        acked += rng_below(&rng, (uint32_t)(n_got - acked) + 1);
        splices_forget(&p, mem, acked);
        check();
    }
    splices_forget(&p, mem, n_got);
    EXPECT_EQ(p.n, 0);
    EXPECT_EQ(p.n_bytes, 0);
    EXPECT_EQ(p.base, (int64_t)n_got - (int64_t)n_sent);
    end();
}

static void random_changes(void)
{
    for (unsigned i = 0; i < 100; i++)
        one_stream(test_seed() + i);
}

/* A splice goes when all of it was acknowledged, and the difference stays. */
static void acknowledged_ones_are_forgotten(void)
{
    begin(1);
    send_more(100);
    EXPECT_EQ(change(0, 0, 50, 0, 10), 0);
    EXPECT_EQ(splices_acked(&p, 49), 49);
    EXPECT_EQ(splices_acked(&p, 59), 49); /* the byte beside is part of it */
    EXPECT_EQ(splices_acked(&p, 60), 50);
    splices_forget(&p, mem, 59);
    EXPECT_EQ(p.n, 1);
    splices_forget(&p, mem, 60);
    EXPECT_EQ(p.n, 0);
    EXPECT_EQ(p.base, 10);
    EXPECT_EQ(p.floor, 50);
    EXPECT_EQ(splices_acked(&p, 110), 100);
    EXPECT_EQ(splices_to_r(&p, 100), 110);
    end();
}

/* The sender never sends bytes again that were acknowledged for it: those taken out are, at once.
 */
static void bytes_taken_out_need_no_acknowledgement(void)
{
    begin(1);
    send_more(100);
    EXPECT_EQ(change(0, 0, 90, 10, 0), 0);
    EXPECT_EQ(splices_acked(&p, 89), 89);
    EXPECT_EQ(splices_acked(&p, 90), 100);
    EXPECT_EQ(splices_beyond(&p, 90), 90);
    end();
}

static void something_must_be_beside(void)
{
    begin(1);
    struct splice_edit e = {.from = 7, .end = 7, .r = 7, .ins = 3, .payload = got, .payload_r = 7};
    EXPECT_EQ(splices_edit(&p, mem, &e), -ENODATA);
    EXPECT_EQ(p.n, 0);
    end();
}

static void what_was_not_forwarded_is_undone(void)
{
    begin(1);
    send_more(100);
    EXPECT_EQ(change(0, 0, 50, 1, 10), 0);
    send_more(100);
    EXPECT_EQ(change(100, 109, 50, 1, 10), 0);
    splices_undo(&p, mem, 100);
    EXPECT_EQ(p.n, 1);
    EXPECT_EQ(splices_to_r(&p, 200), 209);
    end();
}

/* A segment that was overtaken: what touches it lies in another one, whose bytes are not at hand.
 */
static void splices_of_another_segment_stay(void)
{
    uint8_t *payload = malloc(50);
    CU_ASSERT_PTR_NOT_NULL_FATAL(payload);
    begin(1);
    send_more(100);
    EXPECT_EQ(change(50, 50, 0, 10, 10), 0);
    memcpy(payload, sent, 50);
    memset(payload + 45, 'x', 5);
    struct splice_edit e = {
        .from = 0, .end = 50, .r = 45, .del = 5, .ins = 5, .payload = payload, .payload_r = 0};
    EXPECT_EQ(splices_edit(&p, mem, &e), 0);
    EXPECT_EQ(p.n, 2);
    EXPECT_EQ(p.at[0].ins, 5);
    EXPECT_EQ(memcmp(p.at[0].bytes, "xxxxx", 5), 0);
    EXPECT_EQ(p.at[1].s, 50);
    EXPECT_EQ(p.at[1].r, 50);
    free(payload);
    end();
}

static void there_is_a_bound(void)
{
    uint8_t x[2] = {1, 2};
    begin(1);
    for (uint64_t i = 0; i <= SPLICES_MAX; i++) {
        struct splice_edit e = {.from = 3 * i,
                                .end = 3 * i + 3,
                                .r = 3 * i + 1,
                                .del = 1,
                                .ins = 1,
                                .payload = x,
                                .payload_r = 3 * i};
        EXPECT_EQ(splices_edit(&p, mem, &e), i < SPLICES_MAX ? 0 : -ENOBUFS);
    }
    EXPECT_EQ(p.n, SPLICES_MAX);
    end();
}

TEST_SUITE(mos_splice, TEST_CASE(random_changes), TEST_CASE(acknowledged_ones_are_forgotten),
           TEST_CASE(bytes_taken_out_need_no_acknowledgement), TEST_CASE(something_must_be_beside),
           TEST_CASE(what_was_not_forwarded_is_undone), TEST_CASE(splices_of_another_segment_stay),
           TEST_CASE(there_is_a_bound));

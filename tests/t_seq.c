/* Sequence numbers around the wrap, and their stream offsets. */
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/wire/seq.h"

static void order_holds_across_the_wrap(void)
{
    static const uint32_t bases[] = {0,          1,          0x7ffffffe, 0x7fffffff,
                                     0x80000000, 0xfffffffe, 0xffffffff};
    for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        tcp_seq_t a = seq_make(bases[i]);
        CU_ASSERT_FALSE(seq_lt(a, a));
        CU_ASSERT(seq_leq(a, a));
        CU_ASSERT(seq_eq(a, a));
        for (unsigned bit = 0; bit < 31; bit++) {
            tcp_seq_t b = seq_add(a, 1u << bit);
            CU_ASSERT(seq_lt(a, b));
            CU_ASSERT(seq_leq(a, b));
            CU_ASSERT_FALSE(seq_lt(b, a));
            CU_ASSERT_FALSE(seq_leq(b, a));
            CU_ASSERT_FALSE(seq_eq(a, b));
            EXPECT_EQ(seq_diff(b, a), 1u << bit);
            EXPECT_EQ(seq_diff(a, b), -(int64_t)(1u << bit));
        }
    }
}

static void half_the_space_away_is_never_equal(void)
{
    tcp_seq_t a = seq_make(5), b = seq_add(a, 0x7fffffff), c = seq_add(a, 0x80000001);
    CU_ASSERT(seq_lt(a, b));
    CU_ASSERT(seq_lt(c, a));
}

static void first_byte_is_offset_zero(void)
{
    tcp_seq_t isn = seq_make(0xfffffffe);
    EXPECT_EQ(seq_of_off(isn, -1).v, 0xfffffffe); /* the SYN */
    EXPECT_EQ(seq_of_off(isn, 0).v, 0xffffffff);
    EXPECT_EQ(seq_of_off(isn, 1).v, 0);
    EXPECT_EQ(off_of_seq(isn, isn, 0), -1);
    EXPECT_EQ(off_of_seq(isn, seq_make(0), 0), 1);
}

/* The offset that a sequence number stands for is found from any point within 2^31 of it. */
static void offsets_go_round_beyond_4_gigabytes(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 100000; i++) {
        tcp_seq_t isn = seq_make(rng_u32(&r));
        tcp_off_t off = (tcp_off_t)(rng_u64(&r) >> (2 + rng_below(&r, 60)));
        tcp_off_t near = off + (int32_t)rng_u32(&r);
        if (near - off == INT32_MIN)
            continue;
        EXPECT_EQ(off_of_seq(isn, seq_of_off(isn, off), near), off);
    }
}

static void offsets_at_the_edges_of_the_window(void)
{
    tcp_seq_t isn = seq_make(0x7ffffffe);
    for (tcp_off_t near = 0; near < (tcp_off_t)5 << 32; near += ((tcp_off_t)1 << 31) - 1) {
        EXPECT_EQ(off_of_seq(isn, seq_of_off(isn, near + INT32_MAX), near), near + INT32_MAX);
        EXPECT_EQ(off_of_seq(isn, seq_of_off(isn, near - INT32_MAX), near), near - INT32_MAX);
    }
}

TEST_SUITE(seq, TEST_CASE(order_holds_across_the_wrap),
           TEST_CASE(half_the_space_away_is_never_equal), TEST_CASE(first_byte_is_offset_zero),
           TEST_CASE(offsets_go_round_beyond_4_gigabytes),
           TEST_CASE(offsets_at_the_edges_of_the_window));

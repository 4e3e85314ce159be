/* Initial sequence numbers and timestamp offsets: a clock, and a hash that needs the key. */
#include "mtcp/tcp/isn.h"

#include "tests/test.h"

#include <string.h>

static struct flow_tuple tuple(void)
{
    return (struct flow_tuple){.local = ip_addr_v4(be32_make(0x0a000001)),
                               .remote = ip_addr_v4(be32_make(0x0a000002)),
                               .local_port = 80,
                               .remote_port = 40000};
}

static struct tcp_env env_of(uint64_t k0, uint64_t k1)
{
    return (struct tcp_env){.now_us = 1000000, .secret = {k0, k1}};
}

/* One every 4 us, round the whole space in 4.77 hours. (RFC 9293 MUST-8) */
static void numbers_follow_the_clock(void)
{
    struct tcp_env e = env_of(1, 2);
    struct flow_tuple t = tuple();
    tcp_seq_t first = tcp_isn(&e, &t);
    e.now_us += 3;
    EXPECT_EQ(tcp_isn(&e, &t).v, first.v);
    e.now_us += 1;
    EXPECT_EQ(tcp_isn(&e, &t).v, first.v + 1);
    e.now_us += 4ull << 32;
    EXPECT_EQ(tcp_isn(&e, &t).v, first.v + 1);
}

/* Both halves of the key are drawn, and drawn anew for each stack. (RFC 9293 MUST-9) */
static void each_stack_has_a_key_of_its_own(void)
{
    struct tcp_env a, b;
    tcp_env_init(&a, NULL, 1, 0);
    tcp_env_init(&b, NULL, 2, 0);
    CU_ASSERT(a.secret.k0 != b.secret.k0 && a.secret.k1 != b.secret.k1);
    CU_ASSERT(a.secret.k0 != a.secret.k1);
}

/* Each member of the tuple, and each of the keys: the difference of two numbers of one instant
 * tells nothing. (RFC 9293 MUST-9, SHLD-1) */
static void numbers_need_the_key(void)
{
    struct tcp_env e = env_of(1, 2), other[] = {env_of(2, 2), env_of(1, 3)};
    struct flow_tuple t = tuple(), near[4] = {t, t, t, t};
    near[0].local_port++;
    near[1].remote_port++;
    near[2].local.b[15]++;
    near[3].remote.b[15]++;
    for (unsigned i = 0; i < 2; i++)
        CU_ASSERT(tcp_isn(&e, &t).v != tcp_isn(&other[i], &t).v);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t here = tcp_isn(&e, &near[i]).v - tcp_isn(&e, &t).v;
        uint32_t there = tcp_isn(&other[0], &near[i]).v - tcp_isn(&other[0], &t).v;
        CU_ASSERT(here > 1 && here != UINT32_MAX);
        CU_ASSERT(here != there);
    }
}

/* Timestamps of one connection tell nothing of another's, nor of the sequence numbers. (RFC 7323
 * 7.1-1) */
static void timestamps_have_offsets_of_their_own(void)
{
    struct tcp_env e = env_of(1, 2), other = env_of(2, 2);
    struct flow_tuple t = tuple(), near = t;
    near.remote_port++;
    CU_ASSERT(tcp_ts_offset(&e, &t) != tcp_ts_offset(&e, &near));
    CU_ASSERT(tcp_ts_offset(&e, &t) != tcp_ts_offset(&other, &t));
    CU_ASSERT(tcp_ts_offset(&e, &t) + (uint32_t)(e.now_us / 4) != tcp_isn(&e, &t).v);
}

TEST_SUITE(isn, TEST_CASE(numbers_follow_the_clock), TEST_CASE(numbers_need_the_key),
           TEST_CASE(each_stack_has_a_key_of_its_own),
           TEST_CASE(timestamps_have_offsets_of_their_own));

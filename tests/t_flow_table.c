/* The flow table against a linear scan; its memory; chains made on purpose. */
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/net/flow_table.h"
#include "mtcp/tcp/tcp.h"

#include <stdlib.h>
#include <string.h>

static const struct hash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

/* One record of any kind, and whether the model says it is in the table. */
struct rec {
    union {
        struct flow flow;
        struct tcp_half_open half_open;
        struct tcp_conn conn;
        struct tcp_time_wait6 time_wait;
    };
    struct flow_tuple tuple;
    uint32_t hash;
    bool is_in, was_seen;
};

static void tuple_of(struct flow_tuple *t, unsigned i, bool is_v4)
{
    memset(t, 0, sizeof(*t));
    if (is_v4) {
        t->local = ip_addr_v4(be32_make(0x0a000001));
        t->remote = ip_addr_v4(be32_make(0x0a010000 + i / 7));
    } else {
        t->local.b[0] = t->remote.b[0] = 0xfd;
        t->remote.w[3] = be32_make(i / 7);
    }
    t->local_port = 80;
    t->remote_port = (uint16_t)(1000 + i % 7);
}

static void rec_init(struct rec *r, enum flow_kind kind, const struct flow_tuple *t)
{
    memset(r, 0, sizeof(*r));
    r->tuple = *t;
    r->flow.kind = (uint8_t)kind;
    if (kind == FLOW_HALF_OPEN) {
        r->half_open.tuple = *t;
    } else if (kind == FLOW_CONN) {
        r->conn.tuple = *t;
    } else {
        r->time_wait.tw.is_v6 = !ip_addr_is_v4(&t->local);
        r->time_wait.tw.local = t->local.w[3];
        r->time_wait.tw.remote = t->remote.w[3];
        r->time_wait.local = t->local;
        r->time_wait.remote = t->remote;
        r->time_wait.tw.local_port = t->local_port;
        r->time_wait.tw.remote_port = t->remote_port;
    }
}

/* Records 0 .. n-1 with different tuples, kinds and families mixed. */
static struct rec *recs_create(const struct flow_table *t, unsigned n)
{
    struct rec *recs = calloc(n, sizeof(*recs));
    CU_ASSERT_PTR_NOT_NULL_FATAL(recs);
    for (unsigned i = 0; i < n; i++) {
        enum flow_kind kind = (enum flow_kind)(i % 3);
        struct flow_tuple tuple;
        tuple_of(&tuple, i, i % 2 == 0);
        rec_init(&recs[i], kind, &tuple);
        recs[i].hash = flow_table_hash(t, &tuple);
    }
    return recs;
}

static void rec_put(struct flow_table *t, struct rec *r)
{
    flow_table_insert(t, &r->flow, r->hash);
    r->is_in = true;
}

static void rec_take(struct flow_table *t, struct rec *r)
{
    flow_table_remove(t, &r->flow);
    r->is_in = false;
}

/* Does the table say of every record what the model says? The number of wrong answers. */
static unsigned n_wrong(const struct flow_table *t, struct rec *recs, unsigned n)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct flow *f = flow_table_find(t, &recs[i].tuple, recs[i].hash);
        wrong += f != (recs[i].is_in ? &recs[i].flow : NULL);
    }
    return wrong;
}

static void against_a_linear_scan(void)
{
    enum { N = 3000, STEPS = 60000 };
    struct mem *mem = mem_create(0);
    struct flow_table *t = flow_table_create(mem, &key);
    struct rec *recs = recs_create(t, N);
    struct rng rng;
    rng_init(&rng, test_seed());
    size_t count = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        struct rec *r = &recs[rng_below(&rng, N)];
        /* Tides: mostly in, then mostly out, so that the table grows and shrinks. */
        bool put = rng_below(&rng, 8) < (i / 10000 % 2 ? 1u : 7u);
        if (put && !r->is_in) {
            rec_put(t, r);
            count++;
        } else if (!put && r->is_in) {
            rec_take(t, r);
            count--;
        }
        EXPECT_EQ(flow_table_count(t), count);
        if (i % 1000 == 0)
            EXPECT_EQ(n_wrong(t, recs, N), 0);
    }
    for (unsigned i = 0; i < N; i++)
        if (recs[i].is_in)
            rec_take(t, &recs[i]);
    EXPECT_EQ(n_wrong(t, recs, N), 0);
    free(recs);
    flow_table_destroy(t);
    EXPECT_EQ(mem_in_use(mem), 0);
    mem_destroy(mem);
}

/* A peer that found collisions after all: every tuple is still told apart. */
static void equal_hashes_are_told_apart(void)
{
    enum { N = 300 };
    struct mem *mem = mem_create(0);
    struct flow_table *t = flow_table_create(mem, &key);
    struct rec *recs = recs_create(t, N);
    for (unsigned i = 0; i < N; i++) {
        recs[i].hash = 0xffffffff;
        rec_put(t, &recs[i]);
    }
    EXPECT_EQ(n_wrong(t, recs, N), 0);
    for (unsigned i = 0; i < N; i += 2)
        rec_take(t, &recs[i]);
    EXPECT_EQ(n_wrong(t, recs, N), 0);
    for (unsigned i = 1; i < N; i += 2)
        rec_take(t, &recs[i]);
    free(recs);
    flow_table_destroy(t);
    mem_destroy(mem);
}

static void a_flow_costs_at_most_eight_bytes(void)
{
    enum { N = 20000 };
    struct mem *mem = mem_create(0);
    struct flow_table *t = flow_table_create(mem, &key);
    size_t empty = flow_table_mem(t);
    struct rec *recs = recs_create(t, N);
    for (unsigned i = 0; i < N; i++)
        rec_put(t, &recs[i]);
    EXPECT_EQ(flow_table_mem(t), mem_in_use(mem));
    CU_ASSERT(flow_table_mem(t) <= empty + 8 * N);
    CU_ASSERT(flow_table_mem(t) >= 5 * N); /* or chains get long */
    for (unsigned i = 0; i < N; i++)
        rec_take(t, &recs[i]);
    CU_ASSERT(flow_table_mem(t) <= empty + 2 * 4096); /* the directory, and a spare segment */
    EXPECT_EQ(flow_table_mem(t), mem_in_use(mem));
    free(recs);
    flow_table_destroy(t);
    mem_destroy(mem);
}

static void without_memory_chains_get_longer(void)
{
    enum { N = 4000 };
    struct mem *mem = mem_create(0);
    struct flow_table *t = flow_table_create(mem, &key);
    struct rec *recs = recs_create(t, N);
    mem_set_limit(mem, mem_in_use(mem));
    for (unsigned i = 0; i < N; i++)
        rec_put(t, &recs[i]);
    EXPECT_EQ(n_wrong(t, recs, N), 0);
    mem_set_limit(mem, 0);
    rec_take(t, &recs[0]);
    rec_put(t, &recs[0]);
    EXPECT_EQ(n_wrong(t, recs, N), 0);
    for (unsigned i = 0; i < N; i++)
        rec_take(t, &recs[i]);
    free(recs);
    flow_table_destroy(t);
    mem_destroy(mem);
}

static void replace_puts_one_record_for_another(void)
{
    struct mem *mem = mem_create(0);
    struct flow_table *t = flow_table_create(mem, &key);
    struct flow_tuple tuple;
    struct rec recs[3], time_wait;
    for (unsigned i = 0; i < 3; i++) {
        tuple_of(&tuple, i, true);
        rec_init(&recs[i], FLOW_HALF_OPEN, &tuple);
        recs[i].hash = 7;
        rec_put(t, &recs[i]);
    }
    rec_init(&time_wait, FLOW_TIME_WAIT, &recs[1].tuple);
    flow_table_replace(t, &recs[1].flow, &time_wait.flow);
    CU_ASSERT_PTR_EQUAL(flow_table_find(t, &recs[1].tuple, 7), &time_wait.flow);
    recs[1].is_in = false;
    EXPECT_EQ(n_wrong(t, &recs[0], 1) + n_wrong(t, &recs[2], 1), 0);
    EXPECT_EQ(flow_table_count(t), 3);
    EXPECT_EQ(time_wait.flow.hash, 7);
    flow_table_remove(t, &time_wait.flow);
    rec_take(t, &recs[0]);
    rec_take(t, &recs[2]);
    flow_table_destroy(t);
    mem_destroy(mem);
}

/* The IPv4 address in the last word of an IPv6 address is none. */
static void a_time_wait_record_is_told_apart(void)
{
    struct mem *mem = mem_create(0);
    struct flow_table *t = flow_table_create(mem, &key);
    struct flow_tuple v4, v6;
    struct rec r;
    tuple_of(&v4, 5, true);
    v6 = v4;
    v6.local.q[0] = v6.remote.q[0] = 1;
    rec_init(&r, FLOW_TIME_WAIT, &v4);
    r.hash = 9;
    rec_put(t, &r);
    CU_ASSERT_PTR_NULL(flow_table_find(t, &v6, 9));
    for (unsigned i = 0; i < 4; i++) {
        struct flow_tuple other = v4;
        *(uint8_t *[]){&other.local.b[15], &other.remote.b[15], (uint8_t *)&other.local_port,
                       (uint8_t *)&other.remote_port}[i] ^= 1;
        CU_ASSERT_PTR_NULL(flow_table_find(t, &other, 9));
    }
    CU_ASSERT_PTR_EQUAL(flow_table_find(t, &v4, 9), &r.flow);
    rec_take(t, &r);
    flow_table_destroy(t);
    mem_destroy(mem);
}

struct sweep {
    struct flow_table *t;
    unsigned n_seen;
};

static bool take_half_open(void *arg, struct flow *f)
{
    struct sweep *s = arg;
    struct rec *r = (struct rec *)(void *)f;
    if (!r->was_seen)
        s->n_seen++;
    r->was_seen = true;
    if (f->kind != FLOW_HALF_OPEN)
        return false;
    rec_take(s->t, r);
    return true;
}

static void each_may_remove(void)
{
    enum { N = 6000 };
    struct mem *mem = mem_create(0);
    struct flow_table *t = flow_table_create(mem, &key);
    struct rec *recs = recs_create(t, N);
    for (unsigned i = 0; i < N; i++)
        rec_put(t, &recs[i]);
    struct sweep s = {t, 0};
    flow_table_each(t, take_half_open, &s);
    EXPECT_EQ(s.n_seen, N);
    EXPECT_EQ(flow_table_count(t), N - N / 3);
    EXPECT_EQ(n_wrong(t, recs, N), 0);
    for (unsigned i = 0; i < N; i++)
        if (recs[i].is_in)
            rec_take(t, &recs[i]);
    free(recs);
    flow_table_destroy(t);
    mem_destroy(mem);
}

static void every_member_of_the_tuple_counts(void)
{
    struct mem *mem = mem_create(0);
    struct hash_key other_key = {key.k0 ^ 1, key.k1};
    struct flow_table *t = flow_table_create(mem, &key);
    struct flow_table *other = flow_table_create(mem, &other_key);
    for (unsigned v4 = 0; v4 < 2; v4++) {
        struct flow_tuple a, b[4];
        tuple_of(&a, 0, v4);
        for (unsigned i = 0; i < 4; i++)
            b[i] = a;
        b[0].local.b[15] ^= 1;
        b[1].remote.b[15] ^= 1;
        b[2].local_port ^= 1;
        b[3].remote_port ^= 1;
        for (unsigned i = 0; i < 4; i++)
            CU_ASSERT(flow_table_hash(t, &a) != flow_table_hash(t, &b[i]));
        CU_ASSERT(flow_table_hash(t, &a) != flow_table_hash(other, &a));
    }
    flow_table_destroy(t);
    flow_table_destroy(other);
    mem_destroy(mem);
}

TEST_SUITE(flow_table, TEST_CASE(against_a_linear_scan), TEST_CASE(equal_hashes_are_told_apart),
           TEST_CASE(a_flow_costs_at_most_eight_bytes), TEST_CASE(without_memory_chains_get_longer),
           TEST_CASE(replace_puts_one_record_for_another),
           TEST_CASE(a_time_wait_record_is_told_apart), TEST_CASE(each_may_remove),
           TEST_CASE(every_member_of_the_tuple_counts));

/* Ends of records: no segment crosses one, sent for the first time or again. */
#include "mtcp/tcp/eor.h"

#include "mtcp/tcp/tcp.h"
#include "tests/seg.h"

#include <stdio.h>

#define MS 1000u

/* Written behind what is sent, so that it waits. */
static void record(struct segt *t, uint32_t len)
{
    uint8_t buf[2000];
    for (uint32_t i = 0; i < len; i++)
        buf[i] = seg_byte(t->written++);
    EXPECT_EQ(tcp_send(&t->env, &t->conn, buf, len), len);
    tcp_mark_eor(&t->env, &t->conn);
}

static void small_records_go_by_themselves(void)
{
    struct segt *t = segt_established_with("sackok");
    record(t, 400);
    record(t, 1400); /* more than a segment: cut, and its end is an end */
    record(t, 300);
    segt_write(t, 100); /* no record: waits for the ACK, as Nagle has it */
    seg_expect(t, "PA 1+400");
    seg_expect(t, "A 401+1000");
    seg_expect(t, "PA 1401+400");
    seg_expect(t, "PA 1801+300");
    seg_silence(t);
    EXPECT_EQ(t->conn.ext->eor.n, 0);
    seg_in(t, "A 1 ack=2101");
    seg_expect(t, "PA 2101+100");
    segt_free(t);
}

static void they_stay_apart_when_they_go_again(void)
{
    struct segt *t = segt_established_with("sackok");
    t->conn.flags |= TCF_NODELAY;
    for (int i = 0; i < 5; i++)
        record(t, 200);
    segt_flush(t);
    t->at_tx = t->n_tx = 0;
    segt_advance(t, 10 * MS);
    seg_in(t, "A 1 ack=201 sack=601-1001");
    segt_advance(t, 10 * MS);
    seg_expect(t, "PA 201+200");
    seg_in(t, "A 1 ack=401 sack=601-1001");
    seg_expect(t, "PA 401+200");
    seg_silence(t);
    segt_free(t);
}

/* A device that cuts is given no more than a record either; the FIN goes with the last. */
static void large_ones_end_where_they_end(void)
{
    struct segt *t = segt_established_with("sackok");
    t->max_len = 10000;
    t->env.params.min_tso_segs = 64;
    record(t, 1900);
    record(t, 2000);
    tcp_close(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "PA 1+1900");
    seg_expect(t, "FPA 1901+2000");
    seg_silence(t);
    segt_free(t);
}

static void there_may_be_many(void)
{
    struct segt *t = segt_established_with("sackok");
    size_t before = mem_in_use(t->mem);
    t->conn.snd_wnd = 0;
    t->conn.flags |= TCF_NODELAY;
    for (int i = 0; i < 50; i++)
        record(t, 10);
    EXPECT_EQ(t->conn.ext->eor.n, 50);
    segt_flush(t);
    seg_silence(t);
    seg_in(t, "A 1 ack=1 win=60000");
    for (int i = 0; i < 50; i++) {
        char s[40];
        snprintf(s, sizeof(s), "PA %d+10", 1 + 10 * i);
        seg_expect(t, s);
    }
    CU_ASSERT_PTR_NULL(t->conn.ext->eor.at);
    seg_in(t, "A 1 ack=501 win=60000");
    CU_ASSERT(mem_in_use(t->mem) - before < 1024);
    segt_free(t);
}

TEST_SUITE(eor, TEST_CASE(small_records_go_by_themselves),
           TEST_CASE(they_stay_apart_when_they_go_again), TEST_CASE(large_ones_end_where_they_end),
           TEST_CASE(there_may_be_many));

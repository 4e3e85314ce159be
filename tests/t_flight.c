/* The scoreboard against a model: one state per byte. */
#include "mtcp/tcp/flight.h"

#include "mtcp/base/rng.h"
#include "tests/test.h"

#include <string.h>

#define BASE 0xfffff000u /* offsets wrap in every test */
#define SPAN 60000u

enum { M_NONE, M_OUT, M_SACKED, M_LOST, M_RESENT };

struct model {
    struct mem *mem;
    struct tcp_flight *f;
    uint32_t una, max; /* relative to BASE */
    uint8_t byte[SPAN];
    uint32_t now;
};

static void setup(struct model *m)
{
    memset(m, 0, sizeof(*m));
    m->mem = mem_create(0);
    m->f = flight_new(m->mem);
    m->now = 0xffffff00u;
}

static void finish(struct model *m)
{
    flight_free(m->f, m->mem);
    EXPECT_EQ(mem_in_use(m->mem), 0);
    mem_destroy(m->mem);
}

static void push(struct model *m, uint32_t len)
{
    flight_push(&m->f, m->mem, BASE + m->una, BASE + m->max + len, m->now);
    memset(m->byte + m->max, M_OUT, len);
    m->max += len;
}

static uint8_t state_of(const struct rec *r)
{
    if (r->flags & REC_SACKED)
        return M_SACKED;
    if (r->flags & REC_LOST)
        return M_LOST;
    return r->flags & REC_REXMITTED ? M_RESENT : M_OUT;
}

/* Records without gaps from una to max, sums right, runs truthful. */
static bool agrees(const struct model *m)
{
    const struct tcp_flight *f = m->f;
    uint32_t at = m->una, sacked = 0, lost = 0, n_sacked = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct rec *r = flight_peek(f, i);
        if (r->start - BASE != at || !off_lt(r->start, r->end))
            return false;
        for (; at < r->end - BASE; at++)
            if (m->byte[at] != state_of(r))
                return false;
        sacked += r->flags & REC_SACKED ? rec_len(r) : 0;
        lost += r->flags & REC_LOST ? rec_len(r) : 0;
        n_sacked += (r->flags & REC_SACKED) != 0;
        for (uint32_t k = 0; (r->flags & REC_SACKED) && k < flight_run(f, i); k++)
            if (!(flight_peek(f, i + k)->flags & REC_SACKED))
                return false;
    }
    const struct rec *first = flight_first_lost(f);
    const uint8_t *lost_at = memchr(m->byte + m->una, M_LOST, m->max - m->una);
    if ((first != NULL) != (lost_at != NULL) ||
        (first && first->start - BASE != (uint32_t)(lost_at - m->byte)))
        return false;
    return at == m->max && sacked == f->sacked_bytes && lost == f->lost_bytes &&
           n_sacked == f->n_sacked;
}

/* ---- one thing at a time ---- */

static void the_block_doubles(void)
{
    struct model m;
    setup(&m);
    EXPECT_EQ(mem_in_use(m.mem), 256);
    uint32_t n = m.f->cap;
    CU_ASSERT(n >= 8);
    for (uint32_t i = 0; i < n; i++)
        push(&m, 1);
    EXPECT_EQ(mem_in_use(m.mem), 256);
    push(&m, 1);
    EXPECT_EQ(mem_in_use(m.mem), 512);
    EXPECT_EQ(m.f->n, n + 1);
    CU_ASSERT(agrees(&m));
    finish(&m);
}

static void without_memory_records_merge(void)
{
    struct model m;
    setup(&m);
    uint32_t n = m.f->cap;
    for (uint32_t i = 0; i < n; i++)
        push(&m, 100);
    mem_set_limit(m.mem, 1);
    push(&m, 100);
    EXPECT_EQ(m.f->n, n);
    uint32_t start = flight_at(m.f, n - 1)->start;
    EXPECT_EQ(rec_len(flight_at(m.f, n - 1)), 200);
    CU_ASSERT(!flight_split(&m.f, m.mem, start + 50));
    flight_mark_sacked(m.f, flight_at(m.f, n - 1));
    push(&m, 50); /* what is not known to be SACKed must not count as such */
    CU_ASSERT(agrees(&m));
    mem_set_limit(m.mem, 0);
    CU_ASSERT(flight_split(&m.f, m.mem, start + 50));
    EXPECT_EQ(m.f->n, n + 1);
    CU_ASSERT(agrees(&m));
    finish(&m);
}

static void the_number_of_records_is_bounded(void)
{
    struct model m;
    setup(&m);
    for (uint32_t i = 0; i < 70000; i++)
        flight_push(&m.f, m.mem, BASE, BASE + i + 1, m.now);
    CU_ASSERT(m.f->n < 70000);
    EXPECT_EQ(flight_at(m.f, m.f->n - 1)->end, BASE + 70000);
    CU_ASSERT(mem_in_use(m.mem) <= FLIGHT_BLOCK_MAX);
    finish(&m);
}

static void retransmissions_come_back_in_order_of_time(void)
{
    struct model m;
    setup(&m);
    for (int i = 0; i < 10; i++)
        push(&m, 100);
    static const uint32_t order[] = {7, 2, 5, 0};
    for (int i = 0; i < 4; i++) {
        struct rec *r = flight_at(m.f, order[i]);
        flight_mark_lost(m.f, r);
        flight_mark_resent(m.f, m.mem, r, m.now + (uint32_t)i);
    }
    EXPECT_EQ(flight_oldest_rexmit(m.f)->start, BASE + 700);
    flight_mark_sacked(m.f, flight_at(m.f, 7));
    EXPECT_EQ(flight_oldest_rexmit(m.f)->start, BASE + 200);
    flight_mark_lost(m.f, flight_at(m.f, 2)); /* lost again */
    EXPECT_EQ(flight_oldest_rexmit(m.f)->start, BASE + 500);
    flight_trim(m.f, BASE + 600);
    CU_ASSERT(flight_oldest_rexmit(m.f) == NULL);
    finish(&m);
}

/* ---- everything at random ---- */

static void set_range(struct model *m, const struct rec *r, uint8_t state)
{
    memset(m->byte + (r->start - BASE), state, rec_len(r));
}

static void step_mark(struct model *m, struct rng *rng)
{
    struct rec *r = flight_at(m->f, rng_below(rng, m->f->n));
    switch (rng_below(rng, 3)) {
    case 0:
        if (r->flags & REC_SACKED)
            break;
        flight_mark_sacked(m->f, r);
        set_range(m, r, M_SACKED);
        break;
    case 1:
        if (r->flags & (REC_SACKED | REC_LOST))
            break;
        flight_mark_lost(m->f, r);
        set_range(m, r, M_LOST);
        break;
    default:
        r = (struct rec *)(uintptr_t)flight_first_lost(m->f);
        if (!r)
            break;
        flight_mark_resent(m->f, m->mem, r, m->now);
        set_range(m, r, M_RESENT);
    }
}

static void step_all(struct model *m, struct rng *rng)
{
    if (rng_below(rng, 40) == 0) {
        flight_forget_sacks(m->f, m->now);
        for (uint32_t i = m->una; i < m->max; i++)
            if (m->byte[i] == M_SACKED)
                m->byte[i] = M_RESENT;
    }
    if (rng_below(rng, 40) == 0) {
        flight_unmark_lost(m->f);
        for (uint32_t i = 0; i < m->f->n; i++)
            if (m->byte[flight_at(m->f, i)->start - BASE] == M_LOST)
                set_range(m, flight_at(m->f, i), state_of(flight_at(m->f, i)));
    }
    if (rng_below(rng, 40) == 0) {
        flight_mark_all_lost(m->f);
        for (uint32_t i = m->una; i < m->max; i++)
            if (m->byte[i] != M_SACKED)
                m->byte[i] = M_LOST;
    }
}

static void step(struct model *m, struct rng *rng)
{
    uint32_t pick = rng_below(rng, 10);
    m->now += rng_below(rng, 100);
    if (pick < 3 && m->max < SPAN - 300) {
        push(m, 1 + rng_below(rng, 300));
    } else if (pick == 3 && m->max > m->una) {
        m->una += 1 + rng_below(rng, m->max - m->una);
        flight_trim(m->f, BASE + m->una);
    } else if (pick == 4 && m->max > m->una) {
        uint32_t off = BASE + m->una + rng_below(rng, m->max - m->una);
        CU_ASSERT(flight_split(&m->f, m->mem, off));
    } else if (m->f->n > 0) {
        step_mark(m, rng);
    }
    step_all(m, rng);
}

static void random_steps_agree_with_the_model(void)
{
    struct rng rng;
    rng_init(&rng, test_seed());
    for (int run = 0; run < 60; run++) {
        struct model m;
        setup(&m);
        bool good = true;
        for (int i = 0; i < 400 && good; i++) {
            step(&m, &rng);
            good = agrees(&m);
        }
        CU_ASSERT(good);
        finish(&m);
    }
}

static void finding_agrees_with_looking(void)
{
    struct model m;
    setup(&m);
    struct rng rng;
    rng_init(&rng, test_seed());
    for (int i = 0; i < 100; i++)
        push(&m, 1 + rng_below(&rng, 50));
    flight_trim(m.f, BASE + 40);
    m.una = 40;
    for (uint32_t off = 0; off < m.max + 10; off++) {
        uint32_t i = 0;
        while (i < m.f->n && !off_lt(BASE + off, flight_at(m.f, i)->end))
            i++;
        if (flight_find(m.f, BASE + off) != i)
            CU_FAIL("flight_find");
    }
    finish(&m);
}

TEST_SUITE(flight, TEST_CASE(the_block_doubles), TEST_CASE(without_memory_records_merge),
           TEST_CASE(the_number_of_records_is_bounded),
           TEST_CASE(retransmissions_come_back_in_order_of_time),
           TEST_CASE(random_steps_agree_with_the_model), TEST_CASE(finding_agrees_with_looking));

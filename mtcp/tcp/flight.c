/* The scoreboard: a ring of records in one block that doubles. Knows nothing of TCP's rules. */
#include "mtcp/tcp/flight.h"

#include "mtcp/base/bug.h"

#include <string.h>

enum {
    BLOCK_MIN = 256,
    REXMITS_MIN = 16,
    REXMITS_MAX = 8192,
};

/* ---- the block ---- */

static uint32_t cap_of(size_t block)
{
    return (uint32_t)((block - sizeof(struct tcp_flight)) / sizeof(struct rec));
}

static size_t block_of(uint32_t cap)
{
    size_t block = BLOCK_MIN;
    while (cap_of(block) < cap)
        block *= 2;
    return block;
}

struct tcp_flight *flight_new(struct mem *mem)
{
    struct tcp_flight *f = mem_alloc(mem, BLOCK_MIN);
    if (f == NULL)
        return NULL;
    memset(f, 0, sizeof(*f));
    f->cap = cap_of(BLOCK_MIN);
    f->reo_mult = 1;
    return f;
}

void flight_free(struct tcp_flight *f, struct mem *mem)
{
    if (f == NULL)
        return;
    mem_free(mem, f->rexmits, f->rexmit_cap * sizeof(f->rexmits[0]));
    mem_free(mem, f, block_of(f->cap));
}

/* The next larger block, the ring's records at its beginning. */
static bool flight_grow(struct tcp_flight **fp, struct mem *mem)
{
    struct tcp_flight *f = *fp;
    size_t block = block_of(f->cap);
    if (block >= FLIGHT_BLOCK_MAX)
        return false;
    struct tcp_flight *g = mem_alloc(mem, 2 * block);
    if (g == NULL)
        return false;
    *g = *f;
    uint32_t to_end = f->cap - f->first;
    uint32_t head = f->n < to_end ? f->n : to_end;
    memcpy(g->rec, f->rec + f->first, head * sizeof(f->rec[0]));
    memcpy(g->rec + head, f->rec, (f->n - head) * sizeof(f->rec[0]));
    g->first = 0;
    g->cap = cap_of(2 * block);
    mem_free(mem, f, block);
    *fp = g;
    return true;
}

/* ---- adding, finding, splitting ---- */

/* No place for another record: the last one covers more. */
static void extend_last(struct tcp_flight *f, uint32_t to, uint32_t now_us)
{
    struct rec *r = flight_at(f, f->n - 1);
    if (r->flags & REC_SACKED) {
        f->sacked_bytes -= rec_len(r);
        f->n_sacked--;
    } else if (r->flags & REC_LOST) {
        f->lost_bytes += to - r->end;
    }
    r->flags &= (uint8_t)~REC_SACKED;
    r->at_us = now_us;
    r->end = to;
}

void flight_push(struct tcp_flight **fp, struct mem *mem, uint32_t from, uint32_t to,
                 uint32_t now_us)
{
    struct tcp_flight *f = *fp;
    if (unlikely(f->n == f->cap)) {
        if (!flight_grow(fp, mem)) {
            extend_last(f, to, now_us);
            return;
        }
        f = *fp;
    }
    if (f->n > 0)
        from = flight_at(f, f->n - 1)->end;
    *flight_at(f, f->n++) = (struct rec){.start = from, .end = to, .at_us = now_us};
}

uint32_t flight_find(const struct tcp_flight *f, uint32_t off)
{
    uint32_t lo = 0, hi = f->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (off_lt(off, flight_peek(f, mid)->end))
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Copies record i to i + 1, after those behind it have moved up by one. */
static void open_gap(struct tcp_flight *f, uint32_t i)
{
    for (uint32_t j = f->n; j > i; j--)
        *flight_at(f, j) = *flight_at(f, j - 1);
    f->n++;
}

bool flight_split(struct tcp_flight **fp, struct mem *mem, uint32_t off)
{
    uint32_t i = flight_find(*fp, off);
    if (i == (*fp)->n || off_leq(off, flight_peek(*fp, i)->start))
        return true;
    if (flight_peek(*fp, i)->flags & REC_SACKED)
        return true; /* nobody needs to know its parts */
    if ((*fp)->n == (*fp)->cap && !flight_grow(fp, mem))
        return false;
    open_gap(*fp, i);
    flight_at(*fp, i)->end = off;
    flight_at(*fp, i)->psh = false;
    flight_at(*fp, i + 1)->start = off;
    return true;
}

/* ---- forgetting ---- */

static inline void sums_take(struct tcp_flight *f, const struct rec *r, uint32_t len)
{
    if (r->flags & REC_SACKED)
        f->sacked_bytes -= len;
    else if (r->flags & REC_LOST)
        f->lost_bytes -= len;
}

void flight_trim(struct tcp_flight *f, uint32_t off)
{
    while (f->n > 0) {
        struct rec *r = &f->rec[f->first];
        if (off_lt(off, r->end)) {
            if (unlikely(off_lt(r->start, off))) {
                sums_take(f, r, off - r->start);
                r->start = off;
            }
            return;
        }
        if (unlikely(r->flags != 0)) {
            sums_take(f, r, rec_len(r));
            f->n_sacked -= (r->flags & REC_SACKED) != 0;
        }
        f->n--;
        f->first = f->first + 1 < f->cap ? f->first + 1 : 0;
    }
    f->first = 0;
}

/* ---- what is known of a record ---- */

void flight_mark_sacked(struct tcp_flight *f, struct rec *r)
{
    ASSERT(!(r->flags & REC_SACKED));
    if (r->flags & REC_LOST)
        f->lost_bytes -= rec_len(r);
    r->flags = (uint8_t)((r->flags & ~REC_LOST) | REC_SACKED);
    r->n_run = 1;
    f->sacked_bytes += rec_len(r);
    f->n_sacked++;
}

void flight_mark_lost(struct tcp_flight *f, struct rec *r)
{
    ASSERT(!(r->flags & (REC_SACKED | REC_LOST)));
    if (f->lost_bytes == 0 || off_lt(r->start, f->lost_from))
        f->lost_from = r->start;
    f->lost_bytes += rec_len(r);
    r->flags |= REC_LOST;
}

void flight_mark_all_lost(struct tcp_flight *f)
{
    f->rexmit_first = f->rexmit_n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        struct rec *r = flight_at(f, i);
        if (!(r->flags & (REC_SACKED | REC_LOST)))
            flight_mark_lost(f, r);
    }
}

void flight_unmark_lost(struct tcp_flight *f)
{
    for (uint32_t i = 0; i < f->n && f->lost_bytes > 0; i++) {
        struct rec *r = flight_at(f, i);
        if (r->flags & REC_LOST)
            f->lost_bytes -= rec_len(r);
        r->flags &= (uint8_t)~REC_LOST;
    }
}

void flight_forget_sacks(struct tcp_flight *f, uint32_t now_us)
{
    for (uint32_t i = 0; i < f->n; i++) {
        struct rec *r = flight_at(f, i);
        if (r->flags & REC_SACKED) {
            r->flags = (uint8_t)((r->flags & ~REC_SACKED) | REC_REXMITTED);
            r->at_us = now_us; /* n_run stood in its place; no sample may come of it */
        }
    }
    f->sacked_bytes = 0;
    f->n_sacked = 0;
}

const struct rec *flight_first_lost(const struct tcp_flight *f)
{
    if (f->lost_bytes == 0)
        return NULL;
    for (uint32_t i = flight_find(f, f->lost_from); i < f->n;) {
        const struct rec *r = flight_peek(f, i);
        if (r->flags & REC_LOST)
            return r;
        i += (r->flags & REC_SACKED) ? flight_run(f, i) : 1;
    }
    return NULL;
}

/* ---- retransmissions in order of time ---- */

static bool rexmits_grow(struct tcp_flight *f, struct mem *mem)
{
    uint32_t cap = f->rexmit_cap ? 2u * f->rexmit_cap : REXMITS_MIN;
    if (cap > REXMITS_MAX)
        return false;
    struct rexmit *q = mem_alloc(mem, cap * sizeof(*q));
    if (q == NULL)
        return false;
    for (uint32_t i = 0; i < f->rexmit_n; i++)
        q[i] = f->rexmits[(f->rexmit_first + i) & (f->rexmit_cap - 1u)];
    mem_free(mem, f->rexmits, f->rexmit_cap * sizeof(*q));
    f->rexmits = q;
    f->rexmit_cap = (uint16_t)cap;
    f->rexmit_first = 0;
    return true;
}

/* One that finds no place is not watched by RACK: the timeout watches it. */
static void rexmits_push(struct tcp_flight *f, struct mem *mem, struct rexmit x)
{
    if (f->rexmit_n == f->rexmit_cap && !rexmits_grow(f, mem))
        return;
    f->rexmits[(f->rexmit_first + f->rexmit_n) & (f->rexmit_cap - 1u)] = x;
    f->rexmit_n++;
}

void flight_pop_rexmit(struct tcp_flight *f)
{
    ASSERT(f->rexmit_n > 0);
    f->rexmit_first = (uint16_t)((f->rexmit_first + 1u) & (f->rexmit_cap - 1u));
    f->rexmit_n--;
}

struct rec *flight_oldest_rexmit(struct tcp_flight *f)
{
    while (f->rexmit_n > 0) {
        struct rexmit x = f->rexmits[f->rexmit_first];
        uint32_t i = flight_find(f, x.start);
        if (i < f->n) {
            struct rec *r = flight_at(f, i);
            if (r->start == x.start && r->flags == REC_REXMITTED && r->at_us == x.at_us)
                return r;
        }
        flight_pop_rexmit(f);
    }
    return NULL;
}

void flight_mark_resent(struct tcp_flight *f, struct mem *mem, struct rec *r, uint32_t now_us)
{
    ASSERT(!(r->flags & REC_SACKED));
    if (r->flags & REC_LOST) {
        f->lost_bytes -= rec_len(r);
        f->lost_from = r->end; /* the first LOST one is always the one to go */
    }
    r->flags = REC_REXMITTED;
    r->at_us = now_us;
    rexmits_push(f, mem, (struct rexmit){r->start, now_us});
}

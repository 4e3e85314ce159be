/* Replaced bytes of one direction: a sorted array, searched by halves. */
#include "mos/splice.h"

#include <errno.h>
#include <string.h>

static uint64_t s_end(const struct splice *x)
{
    return x->s + x->del;
}

static uint64_t r_end(const struct splice *x)
{
    return x->r + x->ins;
}

/* r - s between splice i - 1 and splice i. */
static int64_t delta(const struct splices *p, uint32_t i)
{
    if (i == 0)
        return p->base;
    const struct splice *x = &p->at[i - 1];
    return (int64_t)(r_end(x) - s_end(x));
}

/* ---- searching ------------------------------------------------------------------------------- */

/* The first that ends beyond an offset of the sender's. */
static uint32_t first_beyond(const struct splices *p, tcp_off_t s)
{
    uint32_t lo = 0, hi = p->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((tcp_off_t)s_end(&p->at[mid]) <= s)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* How many are over at an offset of the receiver's. One that puts nothing in is over where it
 * begins; with `is_start` not yet there. */
static uint32_t n_over(const struct splices *p, tcp_off_t r, bool is_start)
{
    uint32_t lo = 0, hi = p->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const struct splice *x = &p->at[mid];
        tcp_off_t end = (tcp_off_t)r_end(x);
        if (end < r || (end == r && !(is_start && x->ins == 0)))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* ---- translating ----------------------------------------------------------------------------- */

tcp_off_t splices_to_r(const struct splices *p, tcp_off_t s)
{
    uint32_t i = first_beyond(p, s);
    if (i < p->n && (tcp_off_t)p->at[i].s < s)
        return (tcp_off_t)p->at[i].r;
    return s + delta(p, i);
}

tcp_off_t splices_acked(const struct splices *p, tcp_off_t r)
{
    uint32_t i = n_over(p, r, false);
    if (i < p->n && (tcp_off_t)p->at[i].r < r)
        return (tcp_off_t)p->at[i].s;
    return r - delta(p, i);
}

tcp_off_t splices_beyond(const struct splices *p, tcp_off_t r)
{
    uint32_t i = n_over(p, r, true);
    if (i < p->n && (tcp_off_t)p->at[i].r < r)
        return (tcp_off_t)s_end(&p->at[i]);
    return r - delta(p, i);
}

bool splices_touch(const struct splices *p, uint64_t s, uint32_t len)
{
    uint32_t i = first_beyond(p, (tcp_off_t)s);
    return i < p->n && p->at[i].s < s + len;
}

int64_t splices_apply(const struct splices *p, uint64_t s, const uint8_t *payload, uint32_t len,
                      uint8_t *out, uint32_t room)
{
    uint64_t at = s, end = s + len, n = 0;
    for (uint32_t i = first_beyond(p, (tcp_off_t)s); at < end; i++) {
        const struct splice *x = i < p->n && p->at[i].s < end ? &p->at[i] : NULL;
        uint64_t stop = x ? x->s : end, plain = stop > at ? stop - at : 0;
        uint32_t ins = x ? x->ins : 0;
        if (n + plain + ins > room)
            return -1;
        if (plain > 0)
            memcpy(out + n, payload + (at - s), plain);
        if (ins > 0)
            memcpy(out + n + plain, x->bytes, ins);
        n += plain + ins;
        at = x ? s_end(x) : end;
    }
    return (int64_t)n;
}

/* ---- noting ---------------------------------------------------------------------------------- */

/* What a change makes of splices [i, j): one, from s0 and q0 (the receiver's, before the change) to
 * s1 and q1. */
struct merge {
    uint32_t i, j;
    uint64_t s0, s1, q0, q1;
};

static struct merge merge_of(const struct splices *p, const struct splice_edit *e)
{
    struct merge m = {.q0 = e->r, .q1 = e->r + e->del};
    m.i = first_beyond(p, (tcp_off_t)e->from);
    while (m.i < p->n && r_end(&p->at[m.i]) < e->r)
        m.i++;
    m.j = m.i;
    while (m.j < p->n && p->at[m.j].s < e->end && p->at[m.j].r <= m.q1)
        m.j++;
    m.s0 = m.q0 - (uint64_t)delta(p, m.i);
    m.s1 = m.q1 - (uint64_t)delta(p, m.j);
    if (m.i < m.j && p->at[m.i].r <= m.q0) {
        m.s0 = p->at[m.i].s;
        m.q0 = p->at[m.i].r;
    }
    if (m.i < m.j && r_end(&p->at[m.j - 1]) >= m.q1) {
        m.s1 = s_end(&p->at[m.j - 1]);
        m.q1 = r_end(&p->at[m.j - 1]);
    }
    return m;
}

/* The byte before, or the one behind, is replaced by itself as well. */
static int merge_anchor(struct merge *m, const struct splice_edit *e)
{
    if (m->s1 > m->s0)
        return 0;
    if (m->s0 > e->from) {
        m->s0--;
        m->q0--;
    } else if (m->s1 < e->end) {
        m->s1++;
        m->q1++;
    } else {
        return -ENODATA;
    }
    return 0;
}

static int reserve(struct splices *p, struct mem *mem)
{
    if (p->n < p->room)
        return 0;
    uint32_t room = p->room ? 2 * p->room : 8;
    struct splice *at = mem_alloc(mem, room * sizeof(*at));
    if (!at)
        return -ENOMEM;
    if (p->n > 0)
        memcpy(at, p->at, p->n * sizeof(*at));
    mem_free(mem, p->at, p->room * sizeof(*at));
    p->at = at;
    p->room = room;
    return 0;
}

static uint32_t bytes_of(const struct splices *p, uint32_t i, uint32_t j)
{
    uint32_t n = 0;
    for (; i < j; i++)
        n += p->at[i].ins;
    return n;
}

/* Takes [i, j) out. */
static void drop(struct splices *p, struct mem *mem, uint32_t i, uint32_t j)
{
    if (i == j)
        return;
    p->n_bytes -= bytes_of(p, i, j);
    for (uint32_t k = i; k < j; k++)
        mem_free(mem, p->at[k].bytes, p->at[k].ins);
    memmove(&p->at[i], &p->at[j], (p->n - j) * sizeof(p->at[0]));
    p->n -= j - i;
}

/* In the place of those that were merged; what lies behind moves. */
static void put(struct splices *p, struct mem *mem, const struct merge *m, const struct splice *x,
                int64_t by)
{
    drop(p, mem, m->i, m->j);
    memmove(&p->at[m->i + 1], &p->at[m->i], (p->n - m->i) * sizeof(p->at[0]));
    p->at[m->i] = *x;
    p->n++;
    p->n_bytes += x->ins;
    for (uint32_t k = m->i + 1; k < p->n; k++)
        p->at[k].r += (uint64_t)by;
}

int splices_edit(struct splices *p, struct mem *mem, const struct splice_edit *e)
{
    struct merge m = merge_of(p, e);
    int rc = merge_anchor(&m, e);
    if (rc == 0)
        rc = reserve(p, mem);
    if (rc != 0)
        return rc;
    int64_t by = (int64_t)e->ins - (int64_t)e->del;
    struct splice x = {.s = m.s0, .r = m.q0, .del = (uint32_t)(m.s1 - m.s0)};
    x.ins = (uint32_t)((int64_t)(m.q1 - m.q0) + by);
    if (p->n - (m.j - m.i) >= SPLICES_MAX ||
        p->n_bytes - bytes_of(p, m.i, m.j) + x.ins > SPLICE_BYTES_MAX)
        return -ENOBUFS;
    if (x.ins > 0) {
        x.bytes = mem_alloc(mem, x.ins);
        if (!x.bytes)
            return -ENOMEM;
        memcpy(x.bytes, e->payload + (m.q0 - e->payload_r), x.ins);
    }
    put(p, mem, &m, &x, by);
    return 0;
}

/* ---- forgetting ------------------------------------------------------------------------------ */

void splices_undo(struct splices *p, struct mem *mem, uint64_t from)
{
    uint32_t i = p->n;
    while (i > 0 && p->at[i - 1].s >= from)
        i--;
    drop(p, mem, i, p->n);
}

void splices_forget(struct splices *p, struct mem *mem, uint64_t acked)
{
    uint32_t n = n_over(p, (tcp_off_t)acked, false);
    if (n == 0)
        return;
    p->floor = s_end(&p->at[n - 1]);
    p->base = delta(p, n);
    drop(p, mem, 0, n);
    if (p->n == 0) {
        mem_free(mem, p->at, p->room * sizeof(*p->at));
        p->at = NULL;
        p->room = 0;
    }
}

void splices_fini(struct splices *p, struct mem *mem)
{
    drop(p, mem, 0, p->n);
    mem_free(mem, p->at, p->room * sizeof(*p->at));
    *p = (struct splices){0};
}

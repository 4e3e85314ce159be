/* A small sorted array of disjoint, non-touching ranges. */
#include "mtcp/base/ranges.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct ranges {
    uint32_t n, cap;
    uint64_t turn; /* so that a block of three, seven, fifteen … ranges is a power of two */
    struct range r[];
};

_Static_assert(sizeof(struct ranges) == sizeof(struct range), "capacities make powers of two");

enum { CAP_FIRST = 3 };

static size_t size_of(uint32_t cap)
{
    return sizeof(struct ranges) + cap * sizeof(struct range);
}

unsigned ranges_count(const struct ranges *s)
{
    return s == NULL ? 0 : s->n;
}

struct range ranges_at(const struct ranges *s, unsigned i)
{
    BUG_ON(i >= ranges_count(s));
    return s->r[i];
}

uint64_t ranges_turn(const struct ranges *s)
{
    return s == NULL ? 0 : s->turn;
}

void ranges_set_turn(struct ranges *s, uint64_t turn)
{
    if (s != NULL)
        s->turn = turn;
}

/* Index of the first range whose end is above off (n when there is none). */
static unsigned first_ending_above(const struct ranges *s, uint64_t off)
{
    unsigned lo = 0, hi = s->n;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (s->r[mid].end > off)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Index of the first range whose end is at or above off: it overlaps or touches what starts there.
 */
static unsigned first_reaching(const struct ranges *s, uint64_t off)
{
    unsigned i = first_ending_above(s, off);
    return i > 0 && s->r[i - 1].end == off ? i - 1 : i;
}

/* Room for one more range. */
static int grow(struct ranges **sp, struct mem *mem)
{
    struct ranges *s = *sp;
    if (s != NULL && s->n < s->cap)
        return 0;
    uint32_t n = ranges_count(s);
    if (n >= RANGES_MAX)
        return -ENOSPC;
    uint32_t cap = n == 0 ? CAP_FIRST : 2 * n + 1;
    if (cap > RANGES_MAX)
        cap = RANGES_MAX;
    struct ranges *t = mem_alloc(mem, size_of(cap));
    if (t == NULL)
        return -ENOMEM;
    t->n = n;
    t->cap = cap;
    t->turn = s != NULL ? s->turn : 0;
    if (s != NULL) {
        memcpy(t->r, s->r, n * sizeof(s->r[0]));
        mem_free(mem, s, size_of(s->cap));
    }
    *sp = t;
    return 0;
}

static void delete_span(struct ranges *s, unsigned from, unsigned to)
{
    memmove(&s->r[from], &s->r[to], (s->n - to) * sizeof(s->r[0]));
    s->n -= to - from;
}

static void insert_at(struct ranges *s, unsigned i, uint64_t start, uint64_t end)
{
    ASSERT(s->n < s->cap);
    memmove(&s->r[i + 1], &s->r[i], (s->n - i) * sizeof(s->r[0]));
    s->r[i] = (struct range){start, end};
    s->n++;
}

int ranges_reserve(struct ranges **sp, struct mem *mem, uint64_t start, uint64_t end)
{
    const struct ranges *s = *sp;
    if (s != NULL) {
        unsigned i = first_reaching(s, start);
        if (i < s->n && s->r[i].start <= end)
            return 0;
    }
    return grow(sp, mem);
}

int ranges_add(struct ranges **sp, struct mem *mem, uint64_t start, uint64_t end)
{
    ASSERT(start < end);
    int rc = ranges_reserve(sp, mem, start, end);
    if (rc != 0)
        return rc;
    struct ranges *s = *sp;
    unsigned i = first_reaching(s, start);
    if (i == s->n || s->r[i].start > end) {
        insert_at(s, i, start, end);
        return 0;
    }
    unsigned last = i;
    while (last + 1 < s->n && s->r[last + 1].start <= end)
        last++;
    if (s->r[i].start > start)
        s->r[i].start = start;
    s->r[i].end = s->r[last].end > end ? s->r[last].end : end;
    delete_span(s, i + 1, last + 1);
    return 0;
}

void ranges_clear(struct ranges **sp, struct mem *mem)
{
    if (*sp == NULL)
        return;
    mem_free(mem, *sp, size_of((*sp)->cap));
    *sp = NULL;
}

void ranges_remove_below(struct ranges **sp, struct mem *mem, uint64_t off)
{
    struct ranges *s = *sp;
    if (s == NULL)
        return;
    delete_span(s, 0, first_ending_above(s, off));
    if (s->n == 0)
        ranges_clear(sp, mem);
    else if (s->r[0].start < off)
        s->r[0].start = off;
}

/* Takes [start, end) out of the middle of range i. */
static int split(struct ranges **sp, struct mem *mem, unsigned i, struct range hole)
{
    int rc = grow(sp, mem);
    if (rc != 0)
        return rc;
    struct ranges *s = *sp;
    insert_at(s, i + 1, hole.end, s->r[i].end);
    s->r[i].end = hole.start;
    return 0;
}

int ranges_remove(struct ranges **sp, struct mem *mem, uint64_t start, uint64_t end)
{
    struct ranges *s = *sp;
    if (s == NULL || start >= end)
        return 0;
    unsigned i = first_ending_above(s, start);
    if (i < s->n && s->r[i].start < start) {
        if (s->r[i].end > end)
            return split(sp, mem, i, (struct range){start, end});
        s->r[i++].end = start;
    }
    unsigned to = first_ending_above(s, end);
    if (to < s->n && s->r[to].start < end)
        s->r[to].start = end;
    delete_span(s, i, to);
    if (s->n == 0)
        ranges_clear(sp, mem);
    return 0;
}

bool ranges_next(const struct ranges *s, uint64_t off, struct range *out)
{
    if (s == NULL)
        return false;
    unsigned i = first_ending_above(s, off);
    if (i == s->n)
        return false;
    *out = s->r[i];
    return true;
}

bool ranges_find(const struct ranges *s, uint64_t off, struct range *out)
{
    struct range r;
    if (!ranges_next(s, off, &r) || r.start > off)
        return false;
    *out = r;
    return true;
}

bool ranges_covers(const struct ranges *s, uint64_t start, uint64_t end)
{
    struct range r;
    return start >= end || (ranges_find(s, start, &r) && r.end >= end);
}

bool ranges_touches(const struct ranges *s, uint64_t start, uint64_t end)
{
    if (s == NULL || start >= end)
        return false;
    unsigned i = first_ending_above(s, start);
    return i < s->n && s->r[i].start < end;
}

uint64_t ranges_bytes(const struct ranges *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < ranges_count(s); i++)
        n += s->r[i].end - s->r[i].start;
    return n;
}

size_t ranges_mem(const struct ranges *s)
{
    return s == NULL ? 0 : size_of(s->cap);
}

#include "apps/track/seen.h"

#include <stdlib.h>
#include <string.h>

void seen_init(struct seen *s, uint32_t base)
{
    *s = (struct seen){.base = base};
}

void seen_free(struct seen *s)
{
    free(s->runs);
    s->runs = NULL;
    s->n_runs = s->room = 0;
}

int64_t seen_off(const struct seen *s, uint32_t seq)
{
    return (int64_t)s->end + (int32_t)(seq - s->base - (uint32_t)s->end);
}

/* ---- runs: sorted, apart from each other, all beyond next ---- */

static bool runs_reserve(struct seen *s)
{
    uint32_t room = s->room ? s->room * 2 : 4;

    if (s->n_runs < s->room)
        return true;
    if (s->room >= SEEN_RUNS_MAX)
        return false;
    struct seen_run *runs = realloc(s->runs, room * sizeof(*runs));
    if (runs == NULL)
        return false;
    s->runs = runs;
    s->room = room;
    return true;
}

/* How many bytes of [from, to) lie in runs; *first: of the first run that touches it or lies
 * beyond, *n: how many touch it. */
static uint64_t runs_meet(const struct seen *s, uint64_t from, uint64_t to, uint32_t *first,
                          uint32_t *n)
{
    uint64_t sum = 0;
    uint32_t i = s->n_runs;

    while (i > 0 && s->runs[i - 1].end >= from)
        i--;
    *first = i;
    for (*n = 0; i < s->n_runs && s->runs[i].start <= to; i++, ++*n) {
        uint64_t start = s->runs[i].start > from ? s->runs[i].start : from;
        uint64_t end = s->runs[i].end < to ? s->runs[i].end : to;
        sum += end > start ? end - start : 0;
    }
    return sum;
}

static void runs_remove(struct seen *s, uint32_t first, uint32_t n)
{
    memmove(&s->runs[first], &s->runs[first + n], (s->n_runs - first - n) * sizeof(*s->runs));
    s->n_runs -= n;
}

/* Takes [from, to) in, together with the n runs from `first` on that it touches. */
static void runs_take(struct seen *s, struct seen_run r, uint32_t first, uint32_t n)
{
    if (n > 0) {
        if (s->runs[first].start < r.start)
            r.start = s->runs[first].start;
        if (s->runs[first + n - 1].end > r.end)
            r.end = s->runs[first + n - 1].end;
        runs_remove(s, first + 1, n - 1);
    } else if (runs_reserve(s)) {
        memmove(&s->runs[first + 1], &s->runs[first], (s->n_runs - first) * sizeof(*s->runs));
        s->n_runs++;
    } else if (s->n_runs > 0) {
        first = first < s->n_runs ? first : s->n_runs - 1;
        r.start = r.start < s->runs[first].start ? r.start : s->runs[first].start;
        r.end = r.end > s->runs[first].end ? r.end : s->runs[first].end;
    } else {
        s->next = r.end;
        return;
    }
    s->runs[first] = r;
}

/* The first runs may have become part of what is before next. */
static void next_advance(struct seen *s)
{
    uint32_t n = 0;

    while (n < s->n_runs && s->runs[n].start <= s->next) {
        if (s->runs[n].end > s->next)
            s->next = s->runs[n].end;
        n++;
    }
    if (n > 0)
        runs_remove(s, 0, n);
}

/* ---- segments ---- */

static unsigned add_beyond_next(struct seen *s, uint64_t from, uint64_t to)
{
    uint32_t first, n;
    unsigned what = 0;
    uint64_t known = runs_meet(s, from, to, &first, &n);
    uint64_t end = s->end;

    if (known > 0)
        what |= SEEN_AGAIN;
    if (known < to - from)
        what |= SEEN_NEW;
    if (from > end)
        what |= SEEN_AHEAD;
    if (from < end && known < (to < end ? to : end) - from)
        what |= SEEN_FILLS;
    if (from == s->next)
        s->next = to;
    else
        runs_take(s, (struct seen_run){from, to}, first, n);
    next_advance(s);
    return what;
}

unsigned seen_add(struct seen *s, int64_t from, uint64_t len)
{
    int64_t to = from + (int64_t)len;
    uint64_t start = from > 0 ? (uint64_t)from : 0;
    unsigned what = 0;

    if (len == 0)
        return 0;
    if (to <= 0 || (uint64_t)to <= s->next)
        return SEEN_AGAIN;
    if (from < 0 || start < s->next) {
        what = SEEN_AGAIN;
        start = s->next;
    }
    what |= add_beyond_next(s, start, (uint64_t)to);
    if ((uint64_t)to > s->end)
        s->end = (uint64_t)to;
    return what;
}

uint64_t seen_give_up(struct seen *s, int64_t to)
{
    uint32_t first, n;

    if (to <= 0 || (uint64_t)to <= s->next)
        return 0;
    uint64_t end = (uint64_t)to;
    uint64_t missing = end - s->next - runs_meet(s, s->next, end, &first, &n);
    s->next = end;
    next_advance(s);
    if (s->end < s->next)
        s->end = s->next;
    return missing;
}

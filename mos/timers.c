/* Timers by id. */
#include "mos/timers.h"

#include <errno.h>
#include <string.h>

#define ROOM_MIN  16u
#define PTR_BYTES sizeof(void *)

struct mon_timer {
    uint64_t at_us, nth; /* nth: how many were set before */
    callback_t cb;
    struct mon_timer *next; /* in its bucket */
    int id;
    unsigned at; /* in the heap */
};

void mon_timers_init(struct mon_timers *t, struct mem *mem)
{
    memset(t, 0, sizeof(*t));
    t->mem = mem;
    pool_init(&t->pool, mem, sizeof(struct mon_timer), 0);
}

/* ---- the heap -------------------------------------------------------------------------------- */

static bool is_before(const struct mon_timer *a, const struct mon_timer *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->nth < b->nth;
}

static void heap_put(struct mon_timers *t, unsigned at, struct mon_timer *x)
{
    t->heap[at] = x;
    x->at = at;
}

/* x takes its place, from `at` towards the root. */
static void heap_rise(struct mon_timers *t, unsigned at, struct mon_timer *x)
{
    while (at > 0 && is_before(x, t->heap[(at - 1) / 2])) {
        heap_put(t, at, t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(t, at, x);
}

/* The same from `at` towards the leaves. */
static void heap_sink(struct mon_timers *t, unsigned at, struct mon_timer *x)
{
    for (;;) {
        unsigned child = 2 * at + 1;
        if (child + 1 < t->n && is_before(t->heap[child + 1], t->heap[child]))
            child++;
        if (child >= t->n || is_before(x, t->heap[child]))
            break;
        heap_put(t, at, t->heap[child]);
        at = child;
    }
    heap_put(t, at, x);
}

static void heap_remove(struct mon_timers *t, const struct mon_timer *x)
{
    struct mon_timer *last = t->heap[--t->n];
    if (last == x)
        return;
    if (is_before(last, x))
        heap_rise(t, x->at, last);
    else
        heap_sink(t, x->at, last);
}

/* ---- ids ------------------------------------------------------------------------------------- */

/* Where the timer of an id is linked, or would be. */
static struct mon_timer **find(const struct mon_timers *t, int id)
{
    uint32_t h = (uint32_t)id * 0x9e3779b1u; /* 2^32 over the golden ratio: spreads small numbers */
    struct mon_timer **at = &t->bucket[(h ^ h >> 16) & (t->room - 1)];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static int resize(struct mon_timers *t, unsigned room)
{
    size_t bytes = room * PTR_BYTES, old = t->room * PTR_BYTES;
    struct mon_timer **heap = mem_alloc(t->mem, bytes);
    struct mon_timer **bucket = mem_zalloc(t->mem, bytes);
    if (!heap || !bucket) {
        mem_free(t->mem, heap, bytes);
        mem_free(t->mem, bucket, bytes);
        return -ENOMEM;
    }
    if (t->n > 0)
        memcpy(heap, t->heap, t->n * PTR_BYTES);
    mem_free(t->mem, t->heap, old);
    mem_free(t->mem, t->bucket, old);
    t->heap = heap;
    t->bucket = bucket;
    t->room = room;
    for (unsigned i = 0; i < t->n; i++) {
        heap[i]->next = NULL;
        *find(t, heap[i]->id) = heap[i];
    }
    return 0;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void arm(struct mon_timers *t, struct mon_timer *x, uint64_t at_us, callback_t cb)
{
    x->at_us = at_us;
    x->nth = t->n_set++;
    x->cb = cb;
    heap_rise(t, t->n++, x);
}

int mon_timer_set(struct mon_timers *t, int id, uint64_t at_us, callback_t cb)
{
    struct mon_timer *x = t->room ? *find(t, id) : NULL;
    if (x) {
        heap_remove(t, x);
        arm(t, x, at_us, cb);
        return 0;
    }
    if (t->n == t->room && resize(t, t->room ? 2 * t->room : ROOM_MIN) < 0)
        return -ENOMEM;
    x = pool_get(&t->pool);
    if (!x)
        return -ENOMEM;
    x->id = id;
    x->next = NULL;
    *find(t, id) = x;
    arm(t, x, at_us, cb);
    return 0;
}

static void disarm(struct mon_timers *t, struct mon_timer *x)
{
    *find(t, x->id) = x->next;
    heap_remove(t, x);
    pool_put(&t->pool, x);
    if (t->room > ROOM_MIN && t->n < t->room / 4)
        (void)!resize(t, t->room / 2); /* then it stays larger */
}

int mon_timer_cancel(struct mon_timers *t, int id)
{
    struct mon_timer *x = t->room ? *find(t, id) : NULL;
    if (!x)
        return -ENOENT;
    disarm(t, x);
    return 0;
}

bool mon_timers_take(struct mon_timers *t, uint64_t now_us, uint64_t among, int *id, callback_t *cb)
{
    struct mon_timer *x = t->n > 0 ? t->heap[0] : NULL;
    if (!x || x->at_us > now_us || x->nth >= among)
        return false;
    *id = x->id;
    *cb = x->cb;
    disarm(t, x);
    return true;
}

uint64_t mon_timers_next_us(const struct mon_timers *t)
{
    return t->n > 0 ? t->heap[0]->at_us : MON_TIMERS_NEVER_US;
}

void mon_timers_fini(struct mon_timers *t)
{
    for (unsigned i = 0; i < t->n; i++)
        pool_put(&t->pool, t->heap[i]);
    mem_free(t->mem, t->heap, t->room * PTR_BYTES);
    mem_free(t->mem, t->bucket, t->room * PTR_BYTES);
    pool_fini(&t->pool);
}

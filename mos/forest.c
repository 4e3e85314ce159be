/* The forest of events: an array in chunks that never move, and a hash table of what is in it. */
#include "mos/forest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN   64u /* events in the first chunk; each has twice as many as the one before */
#define CHUNKS      25u
#define BUCKETS_MIN 64u

#define ROOTS                                                                                      \
    (MOS_ON_PKT_IN | MOS_ON_CONN_START | MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR |                     \
     MOS_ON_TCP_STATE_CHANGE | MOS_ON_ORPHAN | MOS_ON_REXMIT | MOS_ON_CONN_END |                   \
     MOS_ON_PKT_NOTABLE)

/* Built-in events have one bit: this and an index above 0 never do. */
#define USER_EVENT (1ull << 63)

static struct forest {
    pthread_mutex_t lock;
    _Atomic uint32_t n; /* what lies below it is there for all threads */
    struct event_def **chunk[CHUNKS];
    struct event_def **bucket;
    uint32_t n_buckets;
} forest = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- by id ----------------------------------------------------------------------------------- */

event_t event_id(const struct event_def *def)
{
    return USER_EVENT | (def->index + 1ull);
}

static unsigned chunk_of(uint32_t index)
{
    return 31u - (unsigned)__builtin_clz(index / CHUNK_MIN + 1);
}

static uint32_t place_in_chunk(uint32_t index)
{
    return index - CHUNK_MIN * ((1u << chunk_of(index)) - 1);
}

const struct event_def *event_find(event_t event)
{
    uint64_t nth = event & ~USER_EVENT;
    if (!(event & USER_EVENT) || nth == 0 ||
        nth > atomic_load_explicit(&forest.n, memory_order_acquire))
        return NULL;
    uint32_t index = (uint32_t)nth - 1;
    return forest.chunk[chunk_of(index)][place_in_chunk(index)];
}

const struct event_def *event_ancestor(const struct event_def *def, uint32_t depth)
{
    while (def->depth > depth)
        def = def->base;
    return def;
}

/* ---- by content ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static uint64_t hash(const struct event_def *d)
{
    const uint8_t *bytes = d->arg.arg;
    uint64_t h = mix(d->base ? event_id(d->base) : d->root, (uintptr_t)d->filter);
    for (size_t i = 0; i < d->arg.len; i++)
        h = mix(h, bytes[i]);
    return h;
}

static struct event_def **bucket_of(const struct event_def *d)
{
    return &forest.bucket[hash(d) & (forest.n_buckets - 1)];
}

static bool is_same(const struct event_def *a, const struct event_def *b)
{
    return a->base == b->base && a->root == b->root && a->filter == b->filter &&
           a->arg.len == b->arg.len &&
           (a->arg.len == 0 || memcmp(a->arg.arg, b->arg.arg, a->arg.len) == 0);
}

static const struct event_def *find_same(const struct event_def *want)
{
    if (forest.n_buckets == 0)
        return NULL;
    const struct event_def *d = *bucket_of(want);
    while (d && !is_same(d, want))
        d = d->next;
    return d;
}

/* ---- growing --------------------------------------------------------------------------------- */

static int make_buckets(uint32_t n)
{
    struct event_def **old = forest.bucket, *d, *next;
    uint32_t n_old = forest.n_buckets;
    struct event_def **bucket = calloc(n, sizeof(struct event_def *));
    if (!bucket)
        return -ENOMEM;
    forest.bucket = bucket;
    forest.n_buckets = n;
    for (uint32_t i = 0; i < n_old; i++)
        for (d = old[i]; d; d = next) {
            struct event_def **at = bucket_of(d);
            next = d->next;
            d->next = *at;
            *at = d;
        }
    free(old);
    return 0;
}

/* Room for one more. */
static int make_room(uint32_t index)
{
    unsigned c = chunk_of(index);
    if (c >= CHUNKS)
        return -ENOMEM;
    if (!forest.chunk[c])
        forest.chunk[c] = calloc((size_t)CHUNK_MIN << c, sizeof(struct event_def *));
    if (!forest.chunk[c])
        return -ENOMEM;
    if (index < forest.n_buckets)
        return 0;
    return make_buckets(forest.n_buckets ? 2 * forest.n_buckets : BUCKETS_MIN);
}

/* A copy with bytes of its own. */
static struct event_def *copy_of(const struct event_def *want)
{
    size_t len = want->arg.len;
    struct event_def *d = malloc(sizeof(*d) + len);
    if (!d)
        return NULL;
    *d = *want;
    d->arg.arg = len > 0 ? d->bytes : NULL;
    if (len > 0)
        memcpy(d->bytes, want->arg.arg, len);
    return d;
}

static int add(struct event_def *want, const struct event_def **out)
{
    want->index = atomic_load_explicit(&forest.n, memory_order_relaxed);
    if (make_room(want->index) < 0)
        return -ENOMEM;
    struct event_def *d = copy_of(want);
    if (!d)
        return -ENOMEM;
    if (d->filter) { /* what is to be raised is another one each time */
        struct event_def **at = bucket_of(d);
        d->next = *at;
        *at = d;
    }
    forest.chunk[chunk_of(d->index)][place_in_chunk(d->index)] = d;
    atomic_store_explicit(&forest.n, d->index + 1, memory_order_release);
    *out = d;
    return 0;
}

static int find_or_add(struct event_def *want, event_t *out)
{
    const struct event_def *d;
    int rc = 0;
    pthread_mutex_lock(&forest.lock);
    d = find_same(want);
    if (!d)
        rc = add(want, &d);
    pthread_mutex_unlock(&forest.lock);
    if (rc == 0)
        *out = event_id(d);
    return rc;
}

static bool is_root(event_t event)
{
    return (event & ROOTS) == event && event != 0 && (event & (event - 1)) == 0;
}

/* Hangs it below `base`. 0 or -EINVAL. */
static int set_base(struct event_def *d, event_t base)
{
    d->base = event_find(base);
    if (!d->base && !is_root(base))
        return -EINVAL;
    d->root = d->base ? d->base->root : base;
    d->depth = d->base ? d->base->depth + 1 : 1;
    return 0;
}

int event_define(event_t base, filter_t filter, const struct filter_arg *arg, event_t *out)
{
    struct event_def want = {.filter = filter};
    if (!filter || (arg && !arg->arg && arg->len > 0))
        return -EFAULT;
    if (arg && arg->len > SIZE_MAX / 2)
        return -ENOMEM; /* nobody has as many */
    if (arg)
        want.arg = *arg;
    int rc = set_base(&want, base);
    return rc ? rc : find_or_add(&want, out);
}

int event_alloc(event_t parent, event_t *out)
{
    struct event_def want = {0};
    int rc = set_base(&want, parent);
    return rc ? rc : find_or_add(&want, out);
}

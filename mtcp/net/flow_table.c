/*
 * Linear hashing (Litwin 1980; Larson, CACM 31(4), 1988): buckets 0 .. 2^k + split - 1 exist, those
 * below `split` and their twins above 2^k are addressed with one bit more. The table grows by
 * splitting the bucket at `split` in two, and shrinks by merging the last one into its twin, so
 * every step costs one chain. Buckets lie in segments of one page; a directory finds those.
 */
#include "mtcp/net/flow_table.h"

#include "mtcp/base/bug.h"
#include "mtcp/tcp/dormant.h"
#include "mtcp/tcp/tcp.h"

#include <string.h>

enum {
    SEG_LOG2 = 9,
    SEG_BUCKETS = 1 << SEG_LOG2,
    SEG_MASK = SEG_BUCKETS - 1,
    DIR_MIN = 8, /* segments that the first directory can name */
};

struct segment {
    struct flow *head[SEG_BUCKETS];
};

struct flow_table {
    struct segment **dir;
    uint32_t mask;      /* 2^k - 1: the bits of a hash that every bucket has */
    uint32_t split;     /* the next bucket to be split, <= mask */
    uint32_t n_buckets; /* mask + 1 + split */
    uint32_t dir_max;
    size_t n_flows;
    unsigned n_walks; /* running flow_table_each(): buckets stay where they are */
    struct hash_key key;
    struct mem *mem;
};

/* All but TIME_WAIT records carry the full tuple at the same place. */
_Static_assert(offsetof(struct tcp_half_open, tuple) == offsetof(struct tcp_conn, tuple),
               "one comparison for all kinds");
_Static_assert(offsetof(struct tcp_dormant, tuple) == offsetof(struct tcp_conn, tuple), "likewise");
_Static_assert(sizeof(struct segment) == 4096, "a segment is one page");

/* ---- hashing and comparing ------------------------------------------------------------------ */

/* IPv4 in 12 bytes instead of 36: most of what there is. */
struct key4 {
    be32_t local, remote;
    uint16_t local_port, remote_port;
};

uint32_t flow_table_hash(const struct flow_table *t, const struct flow_tuple *tuple)
{
    if (likely(ip_addr_is_v4(&tuple->local))) {
        struct key4 k = {tuple->local.w[3], tuple->remote.w[3], tuple->local_port,
                         tuple->remote_port};
        return (uint32_t)hash_siphash13(&t->key, &k, sizeof(k));
    }
    return (uint32_t)hash_siphash13(&t->key, tuple, FLOW_TUPLE_BYTES);
}

static bool time_wait_is(const struct flow *f, const struct flow_tuple *tuple)
{
    const struct tcp_time_wait *w = (const void *)f;
    struct flow_tuple mine = tcp_time_wait_tuple(w);
    return flow_tuple_eq(&mine, tuple);
}

static inline bool flow_is(const struct flow *f, const struct flow_tuple *tuple)
{
    if (unlikely(f->kind == FLOW_TIME_WAIT))
        return time_wait_is(f, tuple);
    return flow_tuple_eq(&((const struct tcp_conn *)(const void *)f)->tuple, tuple);
}

/* ---- buckets -------------------------------------------------------------------------------- */

static inline struct flow **bucket_at(const struct flow_table *t, uint32_t i)
{
    return &t->dir[i >> SEG_LOG2]->head[i & SEG_MASK];
}

static inline struct flow **bucket_of(const struct flow_table *t, uint32_t hash)
{
    uint32_t i = hash & (t->mask << 1 | 1);
    return bucket_at(t, i < t->n_buckets ? i : hash & t->mask);
}

static bool dir_grow(struct flow_table *t)
{
    size_t bytes = t->dir_max * sizeof(struct segment *);
    struct segment **dir = mem_zalloc(t->mem, 2 * bytes);
    if (!dir)
        return false;
    memcpy(dir, t->dir, bytes);
    mem_free(t->mem, t->dir, bytes);
    t->dir = dir;
    t->dir_max *= 2;
    return true;
}

/* Makes sure that the bucket n_buckets has a place. */
static bool bucket_make_room(struct flow_table *t)
{
    uint32_t seg = t->n_buckets >> SEG_LOG2;
    if (t->n_buckets == UINT32_MAX / 2 || (seg == t->dir_max && !dir_grow(t)))
        return false;
    if (!t->dir[seg])
        t->dir[seg] = mem_zalloc(t->mem, sizeof(struct segment));
    return t->dir[seg] != NULL;
}

/* Splits one bucket: the records whose next hash bit is set go to the new one. */
static void table_grow(struct flow_table *t)
{
    if (!bucket_make_room(t))
        return;
    uint32_t bit = t->mask + 1;
    struct flow **stay = bucket_at(t, t->split), **go = bucket_at(t, t->n_buckets);
    for (struct flow *f = *stay; f; f = f->chain) {
        struct flow ***end = f->hash & bit ? &go : &stay;
        **end = f;
        *end = &f->chain;
    }
    *stay = *go = NULL;
    t->n_buckets++;
    if (++t->split == bit) {
        t->mask = t->mask << 1 | 1;
        t->split = 0;
    }
}

/* Merges the last bucket into the one it came from. */
static void table_shrink(struct flow_table *t)
{
    if (t->split == 0) {
        t->mask >>= 1;
        t->split = t->mask + 1;
    }
    t->split--;
    t->n_buckets--;
    struct flow **end = bucket_at(t, t->split), **last = bucket_at(t, t->n_buckets);
    while (*end)
        end = &(*end)->chain;
    *end = *last;
    *last = NULL;
    /* The segment behind the last one is kept, so that a count that swings allocates nothing. */
    uint32_t seg = (t->n_buckets >> SEG_LOG2) + 1;
    if ((t->n_buckets & SEG_MASK) == 0 && seg < t->dir_max && t->dir[seg]) {
        mem_free(t->mem, t->dir[seg], sizeof(struct segment));
        t->dir[seg] = NULL;
    }
}

/* Load between 0.75 and 1.5 records per bucket: 5 to 11 bytes each while the count falls, 5 to 8
 * while it grows. A record removed makes room for 4/3 merges. */
static void table_fit(struct flow_table *t)
{
    for (unsigned i = 0; i < 2; i++) {
        if (t->n_buckets == SEG_BUCKETS || t->n_flows * 4 >= (size_t)t->n_buckets * 3)
            return;
        table_shrink(t);
    }
}

/* ---- the table ------------------------------------------------------------------------------ */

struct flow_table *flow_table_create(struct mem *mem, const struct hash_key *key)
{
    struct flow_table *t = mem_zalloc(mem, sizeof(*t));
    if (!t)
        return NULL;
    t->mem = mem;
    t->key = *key;
    t->mask = SEG_MASK;
    t->n_buckets = SEG_BUCKETS;
    t->dir_max = DIR_MIN;
    t->dir = mem_zalloc(mem, DIR_MIN * sizeof(struct segment *));
    if (t->dir)
        t->dir[0] = mem_zalloc(mem, sizeof(struct segment));
    if (t->dir && t->dir[0])
        return t;
    mem_free(mem, t->dir, DIR_MIN * sizeof(struct segment *));
    mem_free(mem, t, sizeof(*t));
    return NULL;
}

void flow_table_destroy(struct flow_table *t)
{
    if (!t)
        return;
    ASSERT(t->n_flows == 0);
    for (uint32_t i = 0; i < t->dir_max; i++)
        mem_free(t->mem, t->dir[i], sizeof(struct segment));
    mem_free(t->mem, t->dir, t->dir_max * sizeof(struct segment *));
    mem_free(t->mem, t, sizeof(*t));
}

void flow_table_prefetch(const struct flow_table *t, uint32_t hash)
{
    __builtin_prefetch(bucket_of(t, hash));
}

void flow_table_prefetch_flow(const struct flow_table *t, uint32_t hash)
{
    uintptr_t f = (uintptr_t)*bucket_of(t, hash); /* a number: nothing lies beyond no flow */
    __builtin_prefetch((const void *)f);
    __builtin_prefetch((const void *)(f + 64));
}

struct flow *flow_table_find(const struct flow_table *t, const struct flow_tuple *tuple,
                             uint32_t hash)
{
    for (struct flow *f = *bucket_of(t, hash); f; f = f->chain)
        if (f->hash == hash && likely(flow_is(f, tuple)))
            return f;
    return NULL;
}

void flow_table_insert(struct flow_table *t, struct flow *f, uint32_t hash)
{
    struct flow **head = bucket_of(t, hash);
    f->hash = hash;
    f->chain = *head;
    *head = f;
    t->n_flows++;
    if (t->n_flows * 2 > (size_t)t->n_buckets * 3 && t->n_walks == 0)
        table_grow(t);
}

/* The link that points to f. */
static struct flow **link_of(struct flow_table *t, const struct flow *f)
{
    struct flow **at = bucket_of(t, f->hash);
    while (*at != f) {
        BUG_ON(!*at);
        at = &(*at)->chain;
    }
    return at;
}

void flow_table_remove(struct flow_table *t, struct flow *f)
{
    *link_of(t, f) = f->chain;
    f->chain = NULL;
    t->n_flows--;
    if (likely(t->n_walks == 0))
        table_fit(t);
}

void flow_table_replace(struct flow_table *t, struct flow *from, struct flow *to)
{
    to->hash = from->hash;
    to->chain = from->chain;
    *link_of(t, from) = to;
    from->chain = NULL;
}

size_t flow_table_count(const struct flow_table *t)
{
    return t->n_flows;
}

size_t flow_table_mem(const struct flow_table *t)
{
    size_t bytes = sizeof(*t) + t->dir_max * sizeof(struct segment *);
    for (uint32_t i = 0; i < t->dir_max && t->dir[i]; i++)
        bytes += sizeof(struct segment);
    return bytes;
}

/* The chain may be another one after each change. */
static void bucket_each(struct flow_table *t, uint32_t i, bool (*fn)(void *arg, struct flow *f),
                        void *arg)
{
    struct flow *f = *bucket_at(t, i);
    while (f)
        f = fn(arg, f) ? *bucket_at(t, i) : f->chain;
}

void flow_table_each(struct flow_table *t, bool (*fn)(void *arg, struct flow *f), void *arg)
{
    t->n_walks++;
    for (uint32_t i = 0; i < t->n_buckets; i++)
        bucket_each(t, i, fn, arg);
    t->n_walks--;
    while (t->n_walks == 0 && t->n_buckets > SEG_BUCKETS &&
           t->n_flows * 4 < (size_t)t->n_buckets * 3)
        table_shrink(t);
}

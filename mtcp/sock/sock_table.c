/*
 * Ids and their records. Records live in chunks of 64 that come and go with their ids, so that an
 * idle program with a large max_concurrency holds next to nothing. A chunk goes only in
 * sock_reclaim(), so that a record stays readable to the end of the call that freed it.
 */
#include "mtcp/sock/sock.h"

#include "mtcp/sock/prep.h"
#include "mtcp/tcp/hook.h"

#include <limits.h>
#include <string.h>

#define CHUNK       SOCK_CHUNK
#define CHUNK_BYTES (CHUNK * sizeof(struct sock))

#define MON_SPAN_MIN 4096u /* slots for monitors' sockets that are gone over when few are taken */

/* ---- slots ----------------------------------------------------------------------------------- */

static int slots_init(struct sock_slots *t, struct mem *mem, uint32_t n)
{
    memset(t, 0, sizeof(*t));
    t->n_chunks = (n + CHUNK - 1) / CHUNK;
    if (ids_init(&t->ids, mem, n) < 0)
        return -ENOMEM;
    t->chunks = mem_zalloc(mem, t->n_chunks * sizeof(struct sock *));
    if (t->chunks)
        return 0;
    ids_fini(&t->ids, mem);
    return -ENOMEM;
}

static void slots_fini(struct sock_slots *t, struct mem *mem)
{
    for (uint32_t i = 0; i < t->n_chunks; i++)
        mem_free(mem, t->chunks[i], CHUNK_BYTES);
    mem_free(mem, t->spare, CHUNK_BYTES);
    mem_free(mem, t->chunks, t->n_chunks * sizeof(struct sock *));
    ids_fini(&t->ids, mem);
}

static bool chunk_ensure(struct sock_slots *t, struct mem *mem, uint32_t at)
{
    if (likely(t->chunks[at] != NULL))
        return true;
    struct sock *chunk = t->spare;
    t->spare = NULL;
    if (!chunk)
        chunk = mem_alloc(mem, CHUNK_BYTES);
    if (!chunk)
        return false;
    memset(chunk, 0, CHUNK_BYTES);
    t->chunks[at] = chunk;
    if (at >= t->n_top)
        t->n_top = at + 1;
    return true;
}

/* The first free slot from `from` on. */
static struct sock *slots_take(struct sock_slots *t, struct mem *mem, uint32_t from, int *err)
{
    int id = ids_next(&t->ids, from);
    *err = -EMFILE;
    if (id < 0)
        return NULL;
    *err = -ENOMEM;
    if (!chunk_ensure(t, mem, (uint32_t)id / CHUNK))
        return NULL;
    ids_take(&t->ids, (uint32_t)id);
    struct sock *s = &t->chunks[(uint32_t)id / CHUNK][(uint32_t)id % CHUNK];
    memset(s, 0, sizeof(*s));
    s->id = id;
    return s;
}

static void slots_give(struct sock_slots *t, struct mem *mem, uint32_t slot)
{
    ids_give(&t->ids, slot);
    uint32_t at = slot / CHUNK;
    if (t->ids.level[0][at] != UINT64_MAX)
        return;
    if (t->spare)
        mem_free(mem, t->chunks[at], CHUNK_BYTES);
    else
        t->spare = t->chunks[at];
    t->chunks[at] = NULL;
}

static inline struct sock *slots_at(const struct sock_slots *t, uint32_t slot)
{
    struct sock *chunk = t->chunks[slot / CHUNK];
    return chunk ? &chunk[slot % CHUNK] : NULL;
}

/* ---- the endpoint's ids ---------------------------------------------------------------------- */

struct sock *sock_new(struct mtcp_ctx *ctx, enum socket_type type, int *err)
{
    *err = -EACCES;
    if (unlikely(ctx->is_ending))
        return NULL;
    struct sock *s = slots_take(&ctx->socks->own, ctx->mem, 0, err);
    if (s)
        s->type = (uint8_t)type;
    return s;
}

void sock_free(struct mtcp_ctx *ctx, struct sock *s)
{
    struct sock_table *t = ctx->socks;
    s->type = MOS_SOCK_UNUSED;
    s->freed_next = t->freed;
    t->freed = s;
}

void sock_reclaim(struct mtcp_ctx *ctx)
{
    struct sock_table *t = ctx->socks;
    for (struct sock *s = t->freed, *next; unlikely(s != NULL); s = next) {
        next = s->freed_next;
        if ((uint32_t)s->id < t->n_own)
            slots_give(&t->own, ctx->mem, (uint32_t)s->id);
        else
            slots_give(&t->mons, ctx->mem,
                       ((uint32_t)s->id - t->mon_base) & ((1u << t->mon_shift) - 1));
    }
    t->freed = NULL;
}

static struct sock *find_monitor(const struct sock_table *t, int id)
{
    uint32_t at = (uint32_t)id - t->mon_base;
    if (id < 0 || (uint32_t)id < t->mon_base || (at >> t->mon_shift) >= t->n_mon_gens)
        return NULL;
    uint32_t slot = at & ((1u << t->mon_shift) - 1);
    if (slot / CHUNK >= t->mons.n_chunks)
        return NULL;
    struct sock *s = slots_at(&t->mons, slot);
    return s && s->type != MOS_SOCK_UNUSED && s->id == id ? s : NULL;
}

struct sock *sock_find(const struct mtcp_ctx *ctx, int id)
{
    const struct sock_table *t = ctx->socks;
    if (unlikely((uint32_t)id >= t->n_own))
        return find_monitor(t, id);
    struct sock *s = slots_at(&t->own, (uint32_t)id);
    return likely(s && s->type != MOS_SOCK_UNUSED) ? s : NULL;
}

struct sock *sock_next(const struct mtcp_ctx *ctx, int *id)
{
    const struct sock_table *t = ctx->socks;
    for (uint32_t i = (uint32_t)(*id + 1); i < t->n_own; i++) {
        struct sock *s = slots_at(&t->own, i);
        if (!s)
            i |= CHUNK - 1; /* the chunk's last */
        else if (s->type != MOS_SOCK_UNUSED) {
            *id = (int)i;
            return s;
        }
    }
    return NULL;
}

/* ---- monitors' ids --------------------------------------------------------------------------- */

/* Slots are taken in turn, round and round, and each round is a generation: so that a stale id
 * meets a new socket as late as can be. A round goes over twice as many slots as are taken, no
 * more, or sockets that live long would lie in a chunk each. */
static uint32_t mon_slot_from(struct mtcp_ctx *ctx)
{
    struct sock_table *t = ctx->socks;
    uint32_t n_taken = ctx->config.max_monitor_socks - t->mons.ids.n_free;
    uint32_t span = n_taken < MON_SPAN_MIN / 2 ? MON_SPAN_MIN : 2 * n_taken;
    int next = ids_next(&t->mons.ids, t->mon_from);
    if (next >= 0 && (uint32_t)next < span)
        return (uint32_t)next;
    t->mon_gen = t->mon_gen + 1 == t->n_mon_gens ? 0 : t->mon_gen + 1;
    return 0;
}

static int mon_alloc(struct mtcp_ctx *ctx, int type, const struct hook_sock_ops *ops, void *arg)
{
    struct sock_table *t = ctx->socks;
    int err;
    struct sock *s = slots_take(&t->mons, ctx->mem, mon_slot_from(ctx), &err);
    if (!s)
        return -1;
    t->mon_from = (uint32_t)s->id + 1;
    s->id = (int32_t)(t->mon_base + (t->mon_gen << t->mon_shift) + (uint32_t)s->id);
    s->type = (uint8_t)type;
    s->mon_ops = ops;
    s->mon_arg = arg;
    return s->id;
}

/* The generation tells a stale id, so the slot is free at once. */
static void mon_free(struct mtcp_ctx *ctx, int id)
{
    struct sock_table *t = ctx->socks;
    struct sock *s = find_monitor(t, id);
    if (!s)
        return;
    s->type = MOS_SOCK_UNUSED;
    slots_give(&t->mons, ctx->mem, ((uint32_t)id - t->mon_base) & ((1u << t->mon_shift) - 1));
}

static void *mon_arg(struct mtcp_ctx *ctx, int id, int *type)
{
    const struct sock *s = sock_find(ctx, id);
    *type = s ? s->type : -1;
    return s && sock_is_monitor(s) ? s->mon_arg : NULL;
}

/* ---- news from below ------------------------------------------------------------------------- */

static uint32_t events_of_ready(uint32_t ready)
{
    uint32_t ev = 0;
    if (ready & TCP_READY_IN)
        ev |= MOS_EPOLLIN;
    if (ready & (TCP_READY_OUT | TCP_READY_CONNECTED))
        ev |= MOS_EPOLLOUT;
    if (ready & TCP_READY_FIN)
        ev |= MOS_EPOLLIN | MOS_EPOLLRDHUP | MOS_EPOLLHUP;
    if (ready & TCP_READY_URGENT)
        ev |= MOS_EPOLLPRI;
    if (ready & TCP_READY_ERR)
        ev |= MOS_EPOLLERR | MOS_EPOLLIN | MOS_EPOLLOUT;
    if (ready & TCP_READY_ZEROCOPY)
        ev |= MOS_EPOLLERR;
    if (ready & TCP_READY_CLOSED)
        ev |= MOS_EPOLLIN | MOS_EPOLLOUT | MOS_EPOLLRDHUP | MOS_EPOLLHUP;
    return ev;
}

static void harvest_conn(struct mtcp_ctx *ctx, struct tcp_conn *c)
{
    uint32_t ready = c->ready;
    c->ready = 0;
    c->flags &= ~(uint32_t)TCF_ON_READY;
    struct sock *s = c->sock >= 0 ? sock_find(ctx, c->sock) : NULL;
    if (s && sock_has_conn(s) && s->conn == c && s->items)
        sock_wake(s, events_of_ready(ready));
}

static void harvest(struct mtcp_ctx *ctx)
{
    struct net *n = &ctx->net;
    struct tcp_env *e = &n->env;
    ctx->socks->n_again = 0;
    preps_reap(ctx);
    struct tcp_conn *c = e->ready_head;
    e->ready_head = NULL;
    e->ready_tail = &e->ready_head;
    while (c) {
        struct tcp_conn *next = c->ready_next;
        harvest_conn(ctx, c);
        c = next;
    }
    struct list_node *at;
    while (unlikely((at = list_pop_head(&n->ready_listeners)) != NULL)) {
        struct sock *s = sock_find(ctx, container_of(at, struct net_listener, ready)->sock);
        if (s)
            sock_wake(s, MOS_EPOLLIN);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void sock_table_destroy(struct mtcp_ctx *ctx)
{
    struct sock_table *t = ctx->socks;
    sock_reclaim(ctx);
    pool_fini(&t->pipes);
    pool_fini(&t->items);
    pool_fini(&t->epolls);
    pool_fini(&t->preps);
    slots_fini(&t->mons, ctx->mem);
    slots_fini(&t->own, ctx->mem);
    mem_free(ctx->mem, t, sizeof(*t));
    ctx->sock_ops = NULL;
    ctx->socks = NULL;
}

static const struct ctx_sock_ops sock_ops = {harvest, mon_alloc, mon_free, mon_arg,
                                             sock_table_destroy};

/* Where monitors' ids lie, and how many generations fit an int. */
static void mon_layout(struct sock_table *t, uint32_t n_mons)
{
    t->mon_base = t->n_own;
    while ((1u << t->mon_shift) < n_mons)
        t->mon_shift++;
    t->n_mon_gens = ((uint32_t)INT_MAX - t->mon_base) >> t->mon_shift;
}

static int slots_create(struct mtcp_ctx *ctx, struct sock_table *t)
{
    if (slots_init(&t->own, ctx->mem, ctx->config.max_concurrency) < 0)
        return -ENOMEM;
    if (slots_init(&t->mons, ctx->mem, ctx->config.max_monitor_socks) == 0)
        return 0;
    slots_fini(&t->own, ctx->mem);
    return -ENOMEM;
}

int sock_table_create(struct mtcp_ctx *ctx)
{
    struct sock_table *t = mem_zalloc(ctx->mem, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->n_own = ctx->config.max_concurrency;
    mon_layout(t, ctx->config.max_monitor_socks);
    if (slots_create(ctx, t) < 0) {
        mem_free(ctx->mem, t, sizeof(*t));
        return -ENOMEM;
    }
    pool_init(&t->preps, ctx->mem, sizeof(struct prep), 0);
    pool_init(&t->epolls, ctx->mem, epoll_size(), 0);
    pool_init(&t->items, ctx->mem, epoll_item_size(), 0);
    pool_init(&t->pipes, ctx->mem, pipe_size(), 0);
    for (unsigned i = 0; i < SOCK_PORT_BUCKETS; i++)
        list_init(&t->bound[i]);
    list_init(&t->doomed);
    t->doze_at_us = ctx->config.dormant_after_us ? 0 : WHEEL_NEVER_US;
    ctx->socks = t;
    ctx->sock_ops = &sock_ops;
    ctx->net.on_wake = sock_is_awake;
    ctx->net.on_wake_arg = ctx;
    return 0;
}

/*
 * Handles. The table is static and its slots are given out in turn, so that a handle kept after its
 * context's end stays stale for as long as possible.
 *
 * Slots are taken and left under a lock; ctx_of() and signal handlers only read. Owners change only
 * while nobody runs the context.
 *
 * A child of fork() shares its parent's devices and their memory: would it send for a connection,
 * or end a device, its parent would pay. So to the child all handles are stale.
 */
#include "mtcp/core/ctx.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_SLOTS 1024u

struct slot {
    struct mtcp_context pub; /* first: what a mctx_t points to */
    _Atomic pid_t owner;
    struct mtcp_ctx *_Atomic ctx; /* NULL: free */
};
_Static_assert(sizeof(struct slot) == 16, "a handle's slot is found by shifting");

static struct {
    struct slot slots[N_SLOTS];
    pthread_mutex_t lock;
    unsigned next, n_used;
    bool minds_forks; /* child_begin() is called in children */
    /* Signal handlers and other threads are looking at contexts: none may be freed meanwhile. */
    _Atomic unsigned n_looking;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local pid_t this_tid;

pid_t ctx_this_thread(void)
{
    if (unlikely(this_tid == 0))
        this_tid = (pid_t)syscall(SYS_gettid);
    return this_tid;
}

static inline struct slot *slot_of(struct mtcp_context *mctx)
{
    uintptr_t off = (uintptr_t)mctx - (uintptr_t)table.slots;
    if (off >= sizeof(table.slots) || off % sizeof(struct slot) != 0)
        return NULL;
    return &table.slots[off / sizeof(struct slot)];
}

struct mtcp_ctx *ctx_of(struct mtcp_context *mctx)
{
    struct slot *s = slot_of(mctx);
    struct mtcp_ctx *ctx = s ? atomic_load_explicit(&s->ctx, memory_order_acquire) : NULL;
    if (unlikely(!ctx)) {
        errno = EACCES;
        return NULL;
    }
    if (unlikely(atomic_load_explicit(&s->owner, memory_order_relaxed) != ctx_this_thread())) {
        errno = EPERM;
        return NULL;
    }
    return ctx;
}

struct mtcp_ctx *ctx_of_live(struct mtcp_context *mctx)
{
    struct slot *s = (struct slot *)(void *)mctx;
    return atomic_load_explicit(&s->ctx, memory_order_relaxed);
}

static void child_begin(void)
{
    this_tid = 0;
    table.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    table.n_used = 0;
    atomic_store(&table.n_looking, 0);
    for (unsigned i = 0; i < N_SLOTS; i++)
        atomic_store(&table.slots[i].ctx, NULL);
}

struct mtcp_context *ctx_table_add(struct mtcp_ctx *ctx, int cpu)
{
    struct slot *s = NULL;
    pthread_mutex_lock(&table.lock);
    if (!table.minds_forks)
        table.minds_forks = pthread_atfork(NULL, NULL, child_begin) == 0;
    for (unsigned i = 0; i < N_SLOTS && !s; i++) {
        struct slot *at = &table.slots[table.next++ % N_SLOTS];
        s = atomic_load(&at->ctx) ? NULL : at;
    }
    if (s) {
        s->pub.cpu = cpu;
        atomic_store(&s->owner, ctx_this_thread());
        atomic_store_explicit(&s->ctx, ctx, memory_order_release);
        table.n_used++;
    }
    pthread_mutex_unlock(&table.lock);
    return s ? &s->pub : NULL;
}

void ctx_table_remove(struct mtcp_context *mctx)
{
    struct slot *s = slot_of(mctx);
    BUG_ON(!s);
    pthread_mutex_lock(&table.lock);
    atomic_store(&s->ctx, NULL);
    table.n_used--;
    pthread_mutex_unlock(&table.lock);
    while (atomic_load(&table.n_looking) != 0)
        usleep(10); /* they saw it before it went */
}

void ctx_set_owner(struct mtcp_context *mctx, pid_t tid)
{
    atomic_store(&slot_of(mctx)->owner, tid);
}

pid_t ctx_owner(struct mtcp_context *mctx)
{
    struct slot *s = slot_of(mctx);
    return s ? atomic_load(&s->owner) : 0;
}

struct mtcp_ctx *ctx_of_home(struct mtcp_context *mctx)
{
    struct slot *s = slot_of(mctx);
    struct mtcp_ctx *ctx = NULL;
    atomic_fetch_add(&table.n_looking, 1);
    if (s && (ctx = atomic_load(&s->ctx)) && ctx->home != ctx_this_thread())
        ctx = NULL;
    atomic_fetch_sub(&table.n_looking, 1);
    return ctx;
}

struct mtcp_context *ctx_table_next_own(unsigned *i)
{
    for (; *i < N_SLOTS; (*i)++) {
        struct slot *s = &table.slots[*i];
        if (atomic_load(&s->ctx) && atomic_load(&s->owner) == ctx_this_thread()) {
            (*i)++;
            return &s->pub;
        }
    }
    return NULL;
}

bool ctx_table_uses(const struct mtcp_io *io)
{
    bool found = false;
    atomic_fetch_add(&table.n_looking, 1);
    for (unsigned i = 0; i < N_SLOTS && !found; i++) {
        const struct mtcp_ctx *ctx = atomic_load(&table.slots[i].ctx);
        for (unsigned d = 0; ctx && d < ctx->n_ios && !found; d++)
            found = ctx->ios[d] == io;
    }
    atomic_fetch_sub(&table.n_looking, 1);
    return found;
}

unsigned ctx_table_count(void)
{
    pthread_mutex_lock(&table.lock);
    unsigned n = table.n_used;
    pthread_mutex_unlock(&table.lock);
    return n;
}

void ctx_interrupt_all(unsigned why)
{
    atomic_fetch_add(&table.n_looking, 1);
    for (unsigned i = 0; i < N_SLOTS; i++) {
        struct mtcp_ctx *ctx = atomic_load(&table.slots[i].ctx);
        if (!ctx)
            continue;
        atomic_fetch_or(&ctx->interrupts, why);
        ctx_wake(ctx);
    }
    atomic_fetch_sub(&table.n_looking, 1);
}

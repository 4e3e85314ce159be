/*
 * A context: everything of one core, and its loop. Owns the stack; knows nothing of sockets but the
 * opaque table that sock/ hangs here, and the calls it registers with it.
 *
 *   ctx_poll(ctx)      one turn: clock, receive burst, timers, monitor, flush, monitor, sockets
 *   ctx_idle(ctx, us)  nothing to do: spins, then sleeps until a packet, a timer or `until`
 *
 * A handle (mctx_t) is the address of a slot in a static table. It is compared against the table
 * before it is used, so NULL, stale and foreign handles are told, never followed.
 */
#ifndef MTCP_CORE_CTX_H
#define MTCP_CORE_CTX_H

#include "mtcp/base/bug.h"
#include "mtcp/core/config.h"
#include "mtcp/core/stats.h"
#include "mtcp/net/net.h"
#include "mtcp_io.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mtcp_ctx;
struct sock_table; /* sock/sock.h */
struct hook_sock_ops;

/* What sock/ does for the loop and for the monitor. */
struct ctx_sock_ops {
    /* Once per turn, after the monitor's last phase: takes the ready lists of tcp/ and net/. */
    void (*harvest)(struct mtcp_ctx *ctx);
    /* Ids of monitors; as the functions of the same name in struct hook_services. */
    int (*sock_alloc)(struct mtcp_ctx *ctx, int type, const struct hook_sock_ops *ops, void *arg);
    void (*sock_free)(struct mtcp_ctx *ctx, int sock);
    void *(*sock_arg)(struct mtcp_ctx *ctx, int sock, int *type);
    /* The context ends: connections and monitors are gone. */
    void (*fini)(struct mtcp_ctx *ctx);
};

/* Why blocking calls end. */
enum ctx_interrupt {
    CTX_INT_SIGNAL = 1 << 0, /* a registered signal came: one blocking call ends with EINTR */
    CTX_INT_END = 1 << 1,    /* mtcp_destroy: every blocking call does */
};

struct mtcp_ctx {
    struct net net; /* first: the loop's own */
    struct mtcp_context *handle;
    const struct ctx_sock_ops *sock_ops; /* NULL: no sockets (yet) */
    struct sock_table *socks;            /* sock/ */
    struct mtcp_env world;
    struct mem *mem;
    void *mon;        /* the attached monitor, hook_monitor.attach()'s; NULL: none yet */
    bool in_poll;     /* the loop is running: calls that would run it fail with EDEADLK */
    bool has_run;     /* a turn: mtcp_app_join does not move it to another thread */
    bool is_blocking; /* a blocking call runs the loop */
    bool is_ending;   /* no new sockets */
    _Atomic unsigned interrupts; /* enum ctx_interrupt; also written by signal handlers */
    bool follows_capture;        /* its clock is that of the packets, until they are over */
    uint64_t clock_ahead_us;     /* ... and goes on from there: this much before the world's */
    uint64_t idle_since_us;      /* of the clock; 0: the last turn had work */
    /* What the idle loop sleeps on (loop.c); -1: not made */
    int epoll_fd, wake_fd;
    int io_fd[NET_IF_MAX];
    struct mtcp_io *ios[NET_IF_MAX];
    unsigned n_ios;
    pid_t home;       /* mtcp_app_join: the thread that gets the context back; 0: not moved */
    pthread_t runner; /* ... and the one that runs it meanwhile */
    struct stats_printer stats;
    struct log log;
    int log_fd; /* -1: nothing is logged */
    struct config config;
};

/* ---- life (ctx.c) ---------------------------------------------------------------------------- */

/* A context over devices, owned by the calling thread; not yet one with sockets. NULL with *err
 * (positive errno) and one line in `msg`. */
struct ctx_create {
    int cpu;
    const struct config *conf; /* copied */
    struct mtcp_io *const *ios;
    unsigned n_ios;
    const struct mtcp_env *world; /* copied; NULL: the system's */
    const struct net_steer *steer; /* NULL: the only core */
    char *msg;
    size_t msg_len;
};
struct mtcp_ctx *ctx_create(const struct ctx_create *how, int *err);

/* Ends every connection at once (no packets), the monitor, and what sock/ has; frees all, closes
 * the devices. The handle is stale from now on. */
void ctx_destroy(struct mtcp_ctx *ctx);

/* Loads the monitors of the configuration. 0, or -errno with one line in msg. (monitor.c) */
MUST_CHECK int ctx_load_monitors(struct mtcp_ctx *ctx, char *msg, size_t msg_len);

/* Attaches the monitor, if it is not. 0, -ENOSYS (none is linked in), -ENOMEM, ... (monitor.c) */
MUST_CHECK int ctx_attach_monitor(struct mtcp_ctx *ctx);

/* ---- handles (ctx_table.c) ------------------------------------------------------------------- */

/* The live context of a handle if the calling thread owns it: NULL with errno EACCES (NULL, stale
 * or foreign handle; compared, never dereferenced) or EPERM (another thread's). */
struct mtcp_ctx *ctx_of(struct mtcp_context *mctx);

/* The context of a handle that is known to be live, as hooks hand it out. */
struct mtcp_ctx *ctx_of_live(struct mtcp_context *mctx);

/* A slot for a context and its handle; NULL when all are taken. Any thread. */
struct mtcp_context *ctx_table_add(struct mtcp_ctx *ctx, int cpu);
void ctx_table_remove(struct mtcp_context *mctx);

/* Hands a context to another thread: the calling thread by its id, or nobody (0). */
pid_t ctx_this_thread(void);
void ctx_set_owner(struct mtcp_context *mctx, pid_t tid);
pid_t ctx_owner(struct mtcp_context *mctx);

/* The context whose loop another thread runs for the calling one (mtcp_app_join), or NULL. */
struct mtcp_ctx *ctx_of_home(struct mtcp_context *mctx);

/* The next context that the calling thread owns, at or after *i, which moves on; NULL: no more. */
struct mtcp_context *ctx_table_next_own(unsigned *i);

/* Does a live context use the device? */
bool ctx_table_uses(const struct mtcp_io *io);
unsigned ctx_table_count(void);

/* Ends blocking calls of every context, `why` = enum ctx_interrupt. May be called by a signal
 * handler and by any thread. */
void ctx_interrupt_all(unsigned why);

/* ---- the loop (loop.c) ----------------------------------------------------------------------- */

/* One turn. Packets received; 0 when nothing came and nothing was sent: an idle turn. Not to be
 * called while in_poll or while a monitor's code runs. */
unsigned ctx_poll(struct mtcp_ctx *ctx);
void ctx_idle(struct mtcp_ctx *ctx, uint64_t until_us);
uint64_t ctx_now_us(const struct mtcp_ctx *ctx); /* the clock, read now */

/* Are all its devices captures that were read to the end? */
bool ctx_is_over(const struct mtcp_ctx *ctx);

/* A kernel descriptor whose readiness ends the sleep; or only its becoming ready once more, for who
 * looks at it before each sleep or does not care. 0 or -errno. */
MUST_CHECK int ctx_wake_on(struct mtcp_ctx *ctx, int fd);
MUST_CHECK int ctx_wake_on_news(struct mtcp_ctx *ctx, int fd);
void ctx_wake_off(struct mtcp_ctx *ctx, int fd);

/* May the calling code run the loop? False inside a callback and inside the loop itself. */
static inline bool ctx_may_run(const struct mtcp_ctx *ctx)
{
    return !ctx->in_poll && ctx->net.env.user_depth == 0;
}

/* ---- descriptors of the loop, opened on first use (loop.c) ----------------------------------- */
void ctx_loop_init(struct mtcp_ctx *ctx);
void ctx_loop_fini(struct mtcp_ctx *ctx);
void ctx_wake(struct mtcp_ctx *ctx); /* ends a sleep; any thread, signal handlers */

#endif

/*
 * A context: everything of one core, and its loop. Owns the stack; knows nothing of sockets but the
 * opaque table that sock/ hangs here.
 *
 *   ctx_poll(ctx)      one turn: clock, receive burst, timers, monitor, flush, monitor
 *   ctx_idle(ctx, us)  nothing to do: spins, then sleeps until a packet, a timer or `until`
 */
#ifndef MTCP_CORE_CTX_H
#define MTCP_CORE_CTX_H

#include "mtcp/base/bug.h"
#include "mtcp/core/config.h"
#include "mtcp/net/net.h"
#include "mtcp_io.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sock_table; /* sock/sock.h */

/* What sock/ gives the loop: called once per turn, after the monitor's last phase and before the
 * application's events. */
struct mtcp_ctx {
    struct mtcp_context pub; /* first: what a mctx_t points to */
    struct net net;
    struct mem *mem;
    struct config config;
    struct log log;
    struct mtcp_env world;
    struct mtcp_io *ios[NET_IF_MAX];
    unsigned n_ios;
    pid_t owner_tid;
    struct sock_table *socks;
    void *mon; /* the attached monitor, hook_monitor.attach()'s */
    bool in_poll;      /* the loop is running: calls that would run it fail with EDEADLK */
    bool interrupted;  /* a registered signal or mtcp_destroy: blocking calls end with EINTR */
    int epoll_fd;      /* the kernel descriptors the idle loop sleeps on */
    uint64_t idle_since_us;
};

/* ---- life (ctx.c) ---- */
struct mtcp_ctx *ctx_create(int cpu, const struct config *conf, struct mtcp_io *const *ios,
                            unsigned n, const struct mtcp_env *world, int *err);
void ctx_destroy(struct mtcp_ctx *ctx);

/* The live context of a handle if the calling thread owns it: NULL with errno EACCES (NULL, stale or
 * foreign handle; compared, never dereferenced) or EPERM (another thread's). */
struct mtcp_ctx *ctx_of(struct mtcp_context *mctx);

/* ---- the loop (loop.c) ---- */
unsigned ctx_poll(struct mtcp_ctx *ctx); /* packets received plus timers run: 0 = an idle turn */
void ctx_idle(struct mtcp_ctx *ctx, uint64_t until_us);
uint64_t ctx_now_us(struct mtcp_ctx *ctx); /* the clock, read now */

#endif

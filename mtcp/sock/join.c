/*
 * mtcp_app_join: the loop of programs that only monitor. Such programs create all contexts on one
 * thread and join them one after the other; so the first join gives the others threads of their
 * own, pinned to their cores, and the later joins wait for these.
 */
#include "mtcp/sock/life.h"

#include <sched.h>

static void run_until_interrupted(struct mtcp_ctx *ctx)
{
    sock_reclaim(ctx);
    ctx->is_blocking = true;
    for (;;) {
        unsigned work = ctx_poll(ctx);
        if (sock_interrupted(ctx) || (!work && ctx_is_over(ctx)))
            break;
        if (!work)
            ctx_idle(ctx, UINT64_MAX);
    }
    ctx->is_blocking = false;
}

/* A thread that runs a context for its home thread. */
static void *runner(void *arg)
{
    struct mtcp_ctx *ctx = arg;
    mtcp_core_affinitize(ctx->handle->cpu); /* not allowed: it runs where the system puts it */
    ctx_set_owner(ctx->handle, ctx_this_thread());
    run_until_interrupted(ctx);
    ctx_set_owner(ctx->handle, ctx->home);
    return NULL;
}

static void move_away(struct mtcp_ctx *ctx)
{
    ctx->home = ctx_this_thread();
    ctx_set_owner(ctx->handle, 0);
    if (pthread_create(&ctx->runner, NULL, runner, ctx) == 0)
        return;
    ctx_set_owner(ctx->handle, ctx->home); /* it runs when it is joined */
    ctx->home = 0;
}

void context_join(struct mtcp_context *mctx)
{
    struct mtcp_ctx *ctx = ctx_of_home(mctx);
    if (!ctx)
        return;
    pthread_join(ctx->runner, NULL);
    ctx->home = 0;
}

void mtcp_app_join(mctx_t mctx)
{
    int saved = errno;
    if (ctx_of_home(mctx)) {
        context_join(mctx);
        return;
    }
    struct mtcp_ctx *ctx = ctx_of(mctx);
    if (!ctx)
        return;
    if (!ctx_may_run(ctx)) {
        errno = EDEADLK;
        return;
    }
    struct mtcp_context *other;
    for (unsigned i = 0; (other = ctx_table_next_own(&i));)
        if (other != mctx && !ctx_of_live(other)->has_run)
            move_away(ctx_of_live(other));
    run_until_interrupted(ctx);
    errno = saved;
}

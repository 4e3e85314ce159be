/* Blocking: running the loop until something is true. */
#include "mtcp/sock/sock.h"

bool sock_interrupted(struct mtcp_ctx *ctx)
{
    if (likely(atomic_load_explicit(&ctx->interrupts, memory_order_relaxed) == 0))
        return false;
    return atomic_fetch_and(&ctx->interrupts, ~(unsigned)CTX_INT_SIGNAL) != 0;
}

static int wait_loop(struct mtcp_ctx *ctx, struct sock *s, const struct sock_wait *w)
{
    uint64_t deadline_us = w->deadline_us ? w->deadline_us : UINT64_MAX;
    for (;;) {
        unsigned work = ctx_poll(ctx);
        if (s->type == MOS_SOCK_UNUSED)
            return -EBADF;
        if (w->is_done(s, w->arg))
            return 0;
        if (sock_interrupted(ctx))
            return -EINTR;
        if (ctx->net.env.now_us >= deadline_us)
            return -ETIMEDOUT;
        if (!work)
            ctx_idle(ctx, deadline_us);
    }
}

int sock_wait(struct mtcp_ctx *ctx, struct sock *s, const struct sock_wait *w)
{
    if (!ctx_may_run(ctx))
        return -EDEADLK;
    sock_reclaim(ctx);
    ctx->is_blocking = true;
    int err = wait_loop(ctx, s, w);
    ctx->is_blocking = false;
    return err;
}

int sock_would_block(struct mtcp_ctx *ctx)
{
    if (unlikely(++ctx->socks->n_again >= SOCK_AGAIN_TURN) && ctx_may_run(ctx))
        ctx_poll(ctx);
    return -EAGAIN;
}

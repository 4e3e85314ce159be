/* Contexts over devices that the caller brings, and the end of contexts. No DPDK is needed here. */
#include "mtcp/sock/life.h"

#include "mtcp/net/flow_table.h"
#include "mtcp/tcp/hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- beginning ------------------------------------------------------------------------------- */

/* Sockets and monitors come to a context. 0 or -errno with a line in how->msg. */
static int context_furnish(struct mtcp_ctx *ctx, const struct ctx_create *how)
{
    int err = sock_table_create(ctx);
    if (err < 0) {
        snprintf(how->msg, how->msg_len,
                 "no memory for the ids of %u sockets; a smaller max_concurrency or "
                 "max_monitor_socks helps",
                 ctx->config.max_concurrency);
        return err;
    }
    return ctx_load_monitors(ctx, how->msg, how->msg_len);
}

/* As long as there is a net to tell. */
static void close_all(struct mtcp_ctx *ctx)
{
    struct sock *s;
    ctx->is_ending = true;
    for (int i = -1; ctx->socks && (s = sock_next(ctx, &i));)
        sock_close(ctx, s);
}

struct mtcp_context *context_create(struct ctx_create *how)
{
    char msg[320] = "";
    int err = 0;
    how->msg = msg;
    how->msg_len = sizeof(msg);
    struct mtcp_ctx *ctx = ctx_create(how, &err);
    if (ctx && (err = -context_furnish(ctx, how)) != 0) {
        close_all(ctx);
        ctx_destroy(ctx);
        ctx = NULL;
    }
    how->msg = NULL;
    if (ctx)
        return ctx->handle;
    dprintf(STDERR_FILENO, "mtcp: %s\n", msg);
    errno = err;
    return NULL;
}

mctx_t mtcp_create_context_io(int cpu, const char *config, struct mtcp_io *const *ios, unsigned n,
                              const struct mtcp_env *env)
{
    char msg[320] = "";
    if (!ios) {
        errno = EFAULT;
        return NULL;
    }
    if (n < 1 || n > NET_IF_MAX) {
        errno = EINVAL;
        return NULL;
    }
    struct config *conf = malloc(sizeof(*conf));
    int err = conf ? config_load_text(conf, config, msg, sizeof(msg)) : -ENOMEM;
    if (err < 0) {
        dprintf(STDERR_FILENO, "mtcp: %s\n", msg[0] ? msg : "no memory");
        free(conf);
        errno = -err;
        return NULL;
    }
    int saved = errno;
    struct ctx_create how = {.cpu = cpu, .conf = conf, .ios = ios, .n_ios = n, .world = env};
    mctx_t mctx = context_create(&how);
    free(conf);
    if (mctx)
        errno = saved;
    return mctx;
}

/* ---- end ------------------------------------------------------------------------------------- */

/* Has a connection something to tell its peer that the peer has not acknowledged? */
static bool count_unfinished(void *arg, struct flow *f)
{
    const struct tcp_conn *c = conn_of_flow(f);
    if (f->kind == FLOW_CONN && !(c->flags & (TCF_DEAD | TCF_FIN_ACKED)))
        ++*(unsigned *)arg;
    return false;
}

static bool reset_open(void *arg, struct flow *f)
{
    struct mtcp_ctx *ctx = arg;
    if (f->kind == FLOW_CONN && conn_of_flow(f)->state != TCPS_TIME_WAIT)
        tcp_abort(&ctx->net.env, conn_of_flow(f), HOOK_END_ABORT, 0);
    return false;
}

/* Runs the loop until everything is acknowledged, or the time is over. */
static void context_drain(struct mtcp_ctx *ctx)
{
    enum { LOOK_EVERY_US = 1000 };
    ctx_poll(ctx);
    uint64_t deadline = ctx->net.env.now_us + ctx->config.close_wait_us;
    for (uint64_t look_at = 0;; ctx_poll(ctx)) {
        uint64_t now = ctx->net.env.now_us;
        unsigned n = 0;
        if (now >= look_at) {
            flow_table_each(ctx->net.flows, count_unfinished, &n);
            look_at = now + LOOK_EVERY_US;
            if (n == 0)
                return;
        }
        if (now >= deadline)
            return;
        ctx_idle(ctx, look_at < deadline ? look_at : deadline);
    }
}

/* What is left is reset; the last segments leave. */
static void context_reset(struct mtcp_ctx *ctx)
{
    enum { TURNS = 1000 }; /* a device that takes nothing must not hold us */
    flow_table_each(ctx->net.flows, reset_open, ctx);
    for (unsigned i = 0; i < TURNS && net_has_work(&ctx->net); i++)
        ctx_poll(ctx);
}

void context_end(struct mtcp_ctx *ctx)
{
    ctx->is_blocking = true;
    close_all(ctx);
    context_drain(ctx);
    context_reset(ctx);
    ctx_destroy(ctx);
}

int mtcp_destroy_context(mctx_t mctx)
{
    int saved = errno;
    context_join(mctx);
    struct mtcp_ctx *ctx = ctx_of(mctx);
    if (!ctx)
        return -1;
    if (!ctx_may_run(ctx))
        return (int)sock_result(-EDEADLK);
    context_end(ctx);
    errno = saved;
    return 0;
}

/* ---- counting -------------------------------------------------------------------------------- */

uint32_t mtcp_get_connection_cnt(mctx_t mctx)
{
    const struct mtcp_ctx *ctx = ctx_of(mctx);
    return ctx ? (uint32_t)net_n_conns(&ctx->net) : 0;
}

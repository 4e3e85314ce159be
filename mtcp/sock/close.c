/* The end of sockets and connections: close, abort, shutdown. */
#include "mtcp/sock/prep.h"
#include "mtcp/sock/sock.h"

#include "mtcp/tcp/hook.h"

void sock_let_go(struct mtcp_ctx *ctx, struct tcp_conn *c)
{
    tcp_close(&ctx->net.env, c);
    net_conn_release(&ctx->net, c);
}

/* False: it dozes, and there is no memory to wake it. sock_close() resets it then. */
static bool awaken(struct mtcp_ctx *ctx, const struct sock *s)
{
    return likely(!(s->flags & SOCKF_DORMANT)) || sock_rouse(ctx, s);
}

void sock_close(struct mtcp_ctx *ctx, struct sock *s)
{
    switch (s->type) {
    case MOS_SOCK_STREAM:
    case MOS_SOCK_STREAM_LISTEN:
        epoll_forget(ctx, s);
        if (!awaken(ctx, s))
            net_dormant_reset(&ctx->net, s->dormant);
        else if (sock_has_conn(s))
            sock_let_go(ctx, s->conn);
        else
            prep_free(ctx, s->prep);
        break;
    case MOS_SOCK_EPOLL:
        epoll_close(ctx, s);
        break;
    default:
        epoll_forget(ctx, s);
        pipe_close(ctx, s);
        break;
    }
    sock_free(ctx, s);
}

/* ---- close ----------------------------------------------------------------------------------- */

/* Has the peer everything, our FIN included? Or will it never? */
static bool is_flushed(const struct sock *s, size_t arg)
{
    (void)arg;
    return conn_is_over(s->conn) || (s->conn->flags & TCF_FIN_ACKED);
}

/* Seconds to wait for; 0: don't. */
static uint32_t linger_of(const struct sock *s)
{
    if (!sock_has_conn(s) || !s->conn->ext || s->conn->ext->linger_s <= 0)
        return 0;
    bool has_more = s->conn->state >= TCPS_ESTABLISHED && !is_flushed(s, 0) &&
                    tcp_readable(s->conn) == 0; /* else a RST, and nothing to wait for */
    return has_more ? (uint32_t)s->conn->ext->linger_s : 0;
}

/* SO_LINGER: the id stays until it is over. 0 or -errno; then the id is free all the same, but for
 * -EDEADLK. */
static int close_lingering(struct mtcp_ctx *ctx, struct sock *s, uint32_t linger_s)
{
    if (!ctx_may_run(ctx))
        return -EDEADLK;
    int err = tcp_shutdown(&ctx->net.env, s->conn, SHUT_WR);
    struct sock_wait w = {is_flushed, 0, ctx_now_us(ctx) + linger_s * 1000000ull};
    if (err == 0)
        err = sock_wait(ctx, s, &w);
    if (err == -EBADF)
        return 0; /* a monitor's code closed it meanwhile */
    sock_close(ctx, s);
    return err == -ETIMEDOUT ? -EWOULDBLOCK : err;
}

int mtcp_close(mctx_t mctx, int sockid)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_asleep_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (sock_is_monitor(s))
        return s->mon_ops->close(s->mon_arg, sockid);
    uint32_t linger_s = awaken(ctx, s) ? linger_of(s) : 0;
    if (linger_s)
        return (int)sock_result(close_lingering(ctx, s, linger_s));
    sock_close(ctx, s);
    return 0;
}

/* ---- abort, shutdown ------------------------------------------------------------------------- */

int mtcp_abort(mctx_t mctx, int sockid)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_asleep_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (s->type != MOS_SOCK_STREAM)
        return (int)sock_result(-ENOTSOCK);
    if (awaken(ctx, s) && (s->flags & SOCKF_CONN))
        tcp_abort(&ctx->net.env, s->conn, HOOK_END_ABORT, 0);
    sock_close(ctx, s);
    return 0;
}

/* As Linux, an attempt to connect ends, in whatever direction it is shut down: the socket is as
 * new, but for the error. */
static int shutdown_connecting(struct mtcp_ctx *ctx, struct sock *s)
{
    int err = prep_return(ctx, s);
    if (err < 0)
        return err;
    s->prep->err = ECONNRESET;
    sock_wake(s, MOS_EPOLLERR | MOS_EPOLLHUP | MOS_EPOLLOUT);
    return 0;
}

/* As Linux: who takes no more connections listens no more. */
static int shutdown_listener(struct mtcp_ctx *ctx, struct sock *s, int how)
{
    if (how == SHUT_WR)
        return 0;
    int err = prep_unlisten(ctx, s);
    if (err == 0)
        sock_wake(s, MOS_EPOLLHUP | MOS_EPOLLOUT);
    return err;
}

/* A connection that is over is ENOTCONN. Who polls is woken: what the socket is ready for has
 * changed, and the peer may never be heard again. */
static int shutdown_stream(struct mtcp_ctx *ctx, struct sock *s, int how)
{
    if (s->type == MOS_SOCK_STREAM_LISTEN)
        return shutdown_listener(ctx, s, how);
    if (!sock_has_conn(s) || conn_is_over(s->conn))
        return -ENOTCONN;
    if (s->conn->state == TCPS_SYN_SENT)
        return shutdown_connecting(ctx, s);
    int err = tcp_shutdown(&ctx->net.env, s->conn, how);
    if (err == 0)
        conn_mark_ready(&ctx->net.env, s->conn, TCP_READY_OUT | TCP_READY_FIN);
    return err;
}

int mtcp_shutdown(mctx_t mctx, int sockid, int how)
{
    struct mtcp_ctx *ctx;
    struct sock *s = stream_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return (int)sock_result(-EINVAL);
    return (int)sock_result(shutdown_stream(ctx, s, how));
}

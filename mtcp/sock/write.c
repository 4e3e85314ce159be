/* Bytes from the application: write, send, writev. */
#include "mtcp/sock/sock.h"

#include "mtcp/sock/errqueue.h"
#include "mtcp/tcp/fastopen.h"

#include <limits.h>
#include <sys/socket.h>

#define LEN_MAX 0x7ffff000u /* bytes in one call, as Linux */

/* What is to be sent: pieces, of which `done` bytes are queued. */
struct source {
    const struct iovec *iov;
    unsigned n_iov, at;
    size_t in_at, done;
    int flags; /* MSG_... of the call */
};

/* Why nothing can be queued any more: -errno; 0: it can. */
static int conn_refuses(struct tcp_conn *c)
{
    int err = conn_take_error(c);
    if (err)
        return -err;
    return conn_is_over(c) || (c->flags & TCF_SND_FIN) ? -EPIPE : 0;
}

/* Queues what there is room for: 0 when all is queued, -EAGAIN, or why it is refused. */
static int conn_write(struct mtcp_ctx *ctx, struct tcp_conn *c, struct source *src)
{
    int err = conn_refuses(c);
    if (err < 0)
        return err;
    for (; src->at < src->n_iov; src->at++, src->in_at = 0) {
        const struct iovec *v = &src->iov[src->at];
        while (src->in_at < v->iov_len) {
            size_t left = v->iov_len - src->in_at;
            if (sock_room(c) == 0)
                return -EAGAIN;
            int64_t n = tcp_send(&ctx->net.env, c, (const char *)v->iov_base + src->in_at,
                                 left < LEN_MAX ? (uint32_t)left : LEN_MAX);
            if (n <= 0) /* still connecting, or full */
                return n == -ENOTCONN || n == 0 ? -EAGAIN : (int)n;
            src->in_at += (size_t)n;
            src->done += (size_t)n;
        }
    }
    return 0;
}

static bool can_go_on(const struct sock *s, size_t arg)
{
    (void)arg;
    const struct tcp_conn *c = s->conn;
    return c->err || conn_is_over(c) || (c->flags & TCF_SND_FIN) ||
           ((c->state >= TCPS_ESTABLISHED || fastopen_is_pending(c)) && sock_room(c) > 0);
}

static int64_t stream_send(struct mtcp_ctx *ctx, struct sock *s, struct source *src)
{
    bool blocks = !(s->flags & SOCKF_NONBLOCK) && !(src->flags & MSG_DONTWAIT);
    for (;;) {
        struct tcp_conn *c = s->conn;
        c->is_unpushed = (src->flags & MSG_MORE) != 0;
        c->flags = c->is_unpushed ? c->flags | TCF_MORE : c->flags & ~(uint32_t)TCF_MORE;
        int err = conn_write(ctx, c, src);
        if (unlikely(c->marks & FASTOPEN_DEFERRED) && src->done > 0) {
            c->marks &= (uint8_t)~FASTOPEN_DEFERRED;
            net_connect_start(&ctx->net, c);
        }
        if (err == -EAGAIN && blocks)
            err = sock_wait(ctx, s, &(struct sock_wait){can_go_on, 0, 0});
        else if (err == -EAGAIN && !src->done)
            err = sock_would_block(ctx);
        else if (err == 0)
            return (int64_t)src->done;
        if (err < 0)
            return src->done ? (int64_t)src->done : err;
    }
}

static bool pipe_has_room(const struct sock *s, size_t arg)
{
    (void)arg;
    return pipe_poll(s) != 0;
}

/* Blocking: until all is in the pipe. */
static int64_t pipe_send(struct mtcp_ctx *ctx, struct sock *s, struct source *src)
{
    while (src->at < src->n_iov) {
        const struct iovec *v = &src->iov[src->at];
        int64_t n =
            pipe_write(ctx, s, (const char *)v->iov_base + src->in_at, v->iov_len - src->in_at);
        if (n >= 0) {
            src->done += (size_t)n;
            src->in_at += (size_t)n;
            if (src->in_at == v->iov_len) {
                src->at++;
                src->in_at = 0;
            }
            continue;
        }
        if (n == -EAGAIN && !(s->flags & SOCKF_NONBLOCK))
            n = sock_wait(ctx, s, &(struct sock_wait){pipe_has_room, 0, 0});
        else if (n == -EAGAIN && !src->done)
            n = sock_would_block(ctx);
        if (n < 0)
            return src->done ? (int64_t)src->done : n;
    }
    return (int64_t)src->done;
}

/* 0, -EFAULT, -EINVAL. */
static int source_check(const struct source *src)
{
    size_t sum = 0;
    for (unsigned i = 0; i < src->n_iov; i++) {
        if (!src->iov[i].iov_base && src->iov[i].iov_len)
            return -EFAULT;
        if (src->iov[i].iov_len > SSIZE_MAX - sum)
            return -EINVAL;
        sum += src->iov[i].iov_len;
    }
    return 0;
}

static int64_t sock_write(struct mtcp_ctx *ctx, struct sock *s, struct source *src)
{
    int err = source_check(src);
    if (err < 0)
        return err;
    if (s->type == MOS_SOCK_PIPE)
        return pipe_send(ctx, s, src);
    return sock_has_conn(s) ? stream_send(ctx, s, src) : -ENOTCONN;
}

/* With flags; of a stream socket. */
static int64_t stream_write(struct mtcp_ctx *ctx, struct sock *s, struct source *src)
{
    int flags = src->flags;
    if (flags &
        ~(MSG_MORE | MSG_NOSIGNAL | MSG_DONTWAIT | MSG_OOB | MSG_FASTOPEN | MSG_ZEROCOPY | MSG_EOR))
        return -EOPNOTSUPP;
    int64_t n = sock_write(ctx, s, src);
    if (n <= 0 || !sock_has_conn(s)) /* a monitor's code may have closed it meanwhile */
        return n;
    if ((flags & MSG_OOB) && !conn_is_over(s->conn))
        tcp_mark_urgent(&ctx->net.env, s->conn);
    if ((flags & MSG_EOR) && src->at == src->n_iov && !conn_is_over(s->conn))
        tcp_mark_eor(&ctx->net.env, s->conn);
    if (flags & MSG_ZEROCOPY)
        errqueue_sent(s);
    return n;
}

static bool can_write(const struct sock *s)
{
    return s->type == MOS_SOCK_STREAM || s->type == MOS_SOCK_STREAM_LISTEN ||
           s->type == MOS_SOCK_PIPE;
}

ssize_t mtcp_write(mctx_t mctx, int sockid, const char *buf, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len < LEN_MAX ? len : LEN_MAX};
    return mtcp_writev(mctx, sockid, &iov, 1);
}

ssize_t mtcp_send(mctx_t mctx, int sockid, const char *buf, size_t len, int flags)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (s->type != MOS_SOCK_STREAM && s->type != MOS_SOCK_STREAM_LISTEN)
        return sock_result(-ENOTSOCK);
    struct iovec iov = {(void *)(uintptr_t)buf, len < LEN_MAX ? len : LEN_MAX};
    struct source src = {.iov = &iov, .n_iov = 1, .flags = flags};
    return sock_result(stream_write(ctx, s, &src));
}

/* Control messages of other levels are nothing to TCP; of SOL_SOCKET's none is there. */
static bool has_unknown_control(const struct msghdr *msg)
{
    struct msghdr m = *msg;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
        if (h->cmsg_level == SOL_SOCKET)
            return true;
    return false;
}

ssize_t mtcp_sendmsg(mctx_t mctx, int sockid, const struct msghdr *msg, int flags)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (s->type != MOS_SOCK_STREAM && s->type != MOS_SOCK_STREAM_LISTEN)
        return sock_result(-ENOTSOCK);
    if (!msg || (!msg->msg_iov && msg->msg_iovlen))
        return sock_result(-EFAULT);
    if (msg->msg_iovlen > IOV_MAX)
        return sock_result(-EMSGSIZE);
    if (msg->msg_control && has_unknown_control(msg))
        return sock_result(-EINVAL);
    struct source src = {.iov = msg->msg_iov, .n_iov = (unsigned)msg->msg_iovlen, .flags = flags};
    return sock_result(stream_write(ctx, s, &src));
}

ssize_t mtcp_writev(mctx_t mctx, int sockid, const struct iovec *iov, int iovcnt)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!can_write(s))
        return sock_result(-ENOTSOCK);
    if (iovcnt < 0 || iovcnt > IOV_MAX)
        return sock_result(-EINVAL);
    if (!iov && iovcnt)
        return sock_result(-EFAULT);
    struct source src = {.iov = iov, .n_iov = (unsigned)iovcnt};
    return sock_result(sock_write(ctx, s, &src));
}

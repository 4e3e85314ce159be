/* Bytes from the application: write, send, writev. */
#include "mtcp/sock/prep.h"
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
    size_t most;               /* that is queued; SIZE_MAX: no limit but the buffer's */
    int flags;                 /* MSG_... of the call */
    const struct sockaddr *to; /* MSG_FASTOPEN; NULL: none */
    socklen_t tolen;
};

/* Why nothing can be queued any more: -errno; 0: it can. */
static int conn_refuses(struct tcp_conn *c)
{
    int err = conn_take_error(c);
    if (err)
        return -err;
    return conn_is_over(c) || (c->flags & TCF_SND_FIN) ? -EPIPE : 0;
}

/* As tcp_send(), of bytes that need not be copied. */
static __attribute__((noinline)) int64_t lend_or_send(struct tcp_env *e, struct tcp_conn *c,
                                                      const char *data, uint32_t len)
{
    int64_t n = tcp_lend(e, c, data, len);
    if (n > 0)
        return n;
    n = tcp_send(e, c, data, len);
    if (n > 0)
        tcp_zerocopy_copied(c);
    return n;
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
            uint32_t room = sock_room(c);
            if (unlikely(left > src->most - src->done))
                left = src->most - src->done;
            if (room == 0 || left == 0)
                return -EAGAIN;
            const char *data = (const char *)v->iov_base + src->in_at;
            uint32_t len = left < room ? (uint32_t)left : room;
            int64_t n = unlikely(src->flags & MSG_ZEROCOPY)
                            ? lend_or_send(&ctx->net.env, c, data, len)
                            : tcp_send(&ctx->net.env, c, data, len);
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
           ((c->state >= TCPS_ESTABLISHED || fastopen_is_pending(c)) && sock_has_room(c, 1));
}

static bool may_block(const struct sock *s, const struct source *src)
{
    return !(s->flags & SOCKF_NONBLOCK) && !(src->flags & MSG_DONTWAIT);
}

static int64_t stream_send(struct mtcp_ctx *ctx, struct sock *s, struct source *src)
{
    bool blocks = may_block(s, src);
    for (;;) {
        struct tcp_conn *c = s->conn;
        c->is_unpushed = (src->flags & MSG_MORE) != 0;
        c->flags = c->is_unpushed ? c->flags | TCF_MORE : c->flags & ~(uint32_t)TCF_MORE;
        int err = conn_write(ctx, c, src);
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

/* Connects, with as much in the SYN as goes there (RFC 7413 4.2.1). What does not has to wait for
 * the handshake, as in Linux: so a nonblocking call says how much of its bytes are in the SYN. */
static int64_t stream_send_fast(struct mtcp_ctx *ctx, struct sock *s, struct source *src)
{
    bool blocks = may_block(s, src);
    if (blocks && !ctx_may_run(ctx))
        return -EDEADLK;
    int err = sock_fast_prepare(ctx, s, src->to, src->tolen);
    if (err < 0)
        return err;
    struct tcp_conn *c = s->conn;
    if (c->marks & FASTOPEN_DEFERRED) {
        src->most = c->ext->fastopen.mss > 0 ? fastopen_syn_room(c) : 0;
        err = conn_write(ctx, c, src);
        src->most = SIZE_MAX;
        c->ext->fastopen.has_more = blocks && err == -EAGAIN;
        if (err < 0 && err != -EAGAIN)
            return err;
    }
    err = sock_fast_connect(ctx, s, blocks);
    if (err == -EINPROGRESS && src->done > 0)
        return (int64_t)src->done;
    return err < 0 ? err : stream_send(ctx, s, src);
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

static bool is_deferred(const struct sock *s)
{
    return sock_has_conn(s) && (s->conn->marks & FASTOPEN_DEFERRED);
}

static int64_t sock_write(struct mtcp_ctx *ctx, struct sock *s, struct source *src)
{
    int err = source_check(src);
    if (err < 0)
        return err;
    if (s->type == MOS_SOCK_PIPE)
        return pipe_send(ctx, s, src);
    if (unlikely((src->flags & MSG_FASTOPEN) || is_deferred(s)))
        return stream_send_fast(ctx, s, src);
    if (likely(sock_has_conn(s)))
        return stream_send(ctx, s, src);
    int pending = prep_take_error(s->prep);
    return pending ? -pending : -EPIPE; /* as Linux, which takes it for shut down */
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
    return mtcp_sendto(mctx, sockid, buf, len, flags, NULL, 0);
}

ssize_t mtcp_sendto(mctx_t mctx, int sockid, const char *buf, size_t len, int flags,
                    const struct sockaddr *to, socklen_t tolen)
{
    struct mtcp_ctx *ctx;
    struct sock *s = stream_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    struct iovec iov = {(void *)(uintptr_t)buf, len < LEN_MAX ? len : LEN_MAX};
    struct source src = {
        .iov = &iov, .n_iov = 1, .most = SIZE_MAX, .flags = flags, .to = to, .tolen = tolen};
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
    struct sock *s = stream_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!msg || (!msg->msg_iov && msg->msg_iovlen))
        return sock_result(-EFAULT);
    if (msg->msg_iovlen > IOV_MAX)
        return sock_result(-EMSGSIZE);
    if (msg->msg_control && has_unknown_control(msg))
        return sock_result(-EINVAL);
    struct source src = {.iov = msg->msg_iov,
                         .n_iov = (unsigned)msg->msg_iovlen,
                         .most = SIZE_MAX,
                         .flags = flags,
                         .to = msg->msg_name,
                         .tolen = msg->msg_namelen};
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
    struct source src = {.iov = iov, .n_iov = (unsigned)iovcnt, .most = SIZE_MAX};
    return sock_result(sock_write(ctx, s, &src));
}

/* Bytes to the application: read, recv, readv, recvmsg. */
#include "mtcp/sock/prep.h"
#include "mtcp/sock/sock.h"

#include "mtcp/sock/errqueue.h"

#include <limits.h>
#include <netinet/tcp.h>

#define LEN_MAX 0x7ffff000u /* bytes in one call, as Linux */

/* Where bytes go: pieces, of which `done` bytes are filled. */
struct dest {
    const struct iovec *iov;
    unsigned n_iov;
    unsigned at;  /* the piece being filled */
    size_t in_at; /* bytes of it that are */
    size_t len;   /* of all */
    size_t done;
};

/* Copies [off, off + n) of the receive stream on. */
static void dest_fill(struct dest *d, const struct stream *s, uint64_t off, size_t n)
{
    for (size_t left = n; left > 0;) {
        const struct iovec *v = &d->iov[d->at];
        /* n is never more than d has room for, so v is one of its pieces. */
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
        size_t part = v->iov_len - d->in_at < left ? v->iov_len - d->in_at : left;
        uint32_t got = stream_copy(s, off, (char *)v->iov_base + d->in_at, (uint32_t)part);
        BUG_ON(got != part);
        off += part;
        left -= part;
        d->in_at += part;
        if (d->in_at == v->iov_len) {
            d->at++;
            d->in_at = 0;
        }
    }
    d->done += n;
}

/* Has the stream come to its end for the reader? */
static bool is_at_end(const struct tcp_conn *c)
{
    return conn_is_over(c) || (c->flags & (TCF_RCV_FIN | TCF_SHUT_RD));
}

/* Why there is nothing to read: 0 (the end), -errno, -EAGAIN. Order as Linux: a FIN hides errors,
 * and bytes already taken come before them. */
static int64_t nothing_to_read(struct tcp_conn *c, const struct dest *d)
{
    if ((c->flags & TCF_RCV_FIN) || (d->done && (c->err || is_at_end(c))))
        return 0;
    int err = conn_take_error(c);
    if (err)
        return -err;
    return is_at_end(c) ? 0 : -EAGAIN;
}

/* As many of `n` bytes as lie before the last urgent one, so that a reader finds that place
 * (SIOCATMARK, as Linux); all when it is the next, or passed. */
static size_t up_to_mark(const struct tcp_conn *c, size_t skip, size_t n)
{
    uint64_t left = tcp_urgent_left(c);
    return likely(left <= skip + 1) || n < left - 1 - skip ? n : (size_t)(left - 1 - skip);
}

/* Fills with what is there beyond what `d` has: the number of bytes, or as nothing_to_read(). With
 * MSG_PEEK the bytes stay. */
static int64_t conn_read(struct mtcp_ctx *ctx, struct tcp_conn *c, struct dest *d, int flags)
{
    uint32_t there = tcp_readable(c);
    size_t skip = flags & MSG_PEEK ? d->done : 0;
    if (there <= skip)
        return nothing_to_read(c, d);
    size_t n = there - skip < d->len - d->done ? there - skip : d->len - d->done;
    n = up_to_mark(c, skip, n);
    ctx->socks->n_again = 0;
    dest_fill(d, &c->rcv, stream_read(&c->rcv) + skip, n);
    if (!(flags & MSG_PEEK))
        tcp_consumed(&ctx->net.env, c, (uint32_t)n);
    return (int64_t)n;
}

/* Is there something beyond the bytes that were peeked at already? */
static bool has_news(const struct sock *s, size_t peeked)
{
    return tcp_readable(s->conn) > peeked || s->conn->err || is_at_end(s->conn);
}

static int64_t stream_recv(struct mtcp_ctx *ctx, struct sock *s, struct dest *d, int flags)
{
    bool blocks = !(s->flags & SOCKF_NONBLOCK) && !(flags & MSG_DONTWAIT);
    bool all = blocks && (flags & MSG_WAITALL);
    if ((flags & MSG_PEEK) && d->len > s->conn->rcv.limit)
        d->len = s->conn->rcv.limit; /* more never lies there at once */
    for (;;) {
        int64_t n = conn_read(ctx, s->conn, d, flags);
        if (n == 0 || (n > 0 && (!all || d->done == d->len)))
            return (int64_t)d->done;
        size_t peeked = flags & MSG_PEEK ? d->done : 0;
        if (n == -EAGAIN)
            n = blocks ? sock_wait(ctx, s, &(struct sock_wait){has_news, peeked, 0})
                       : sock_would_block(ctx);
        if (n < 0)
            return d->done ? (int64_t)d->done : n;
    }
}

/* A pipe's reading end: a byte, or no writer. */
static bool pipe_has_news(const struct sock *s, size_t arg)
{
    (void)arg;
    return pipe_poll(s) != 0;
}

static int64_t pipe_recv(struct mtcp_ctx *ctx, struct sock *s, struct dest *d)
{
    for (;;) {
        int64_t n = 0;
        for (unsigned i = 0; i < d->n_iov; i++) {
            n = pipe_read(ctx, s, d->iov[i].iov_base, d->iov[i].iov_len);
            if (n < 0 || (n == 0 && d->iov[i].iov_len > 0))
                break;
            d->done += (size_t)n;
        }
        if (d->done || n != -EAGAIN)
            return d->done ? (int64_t)d->done : n;
        if (s->flags & SOCKF_NONBLOCK)
            return sock_would_block(ctx);
        int err = sock_wait(ctx, s, &(struct sock_wait){pipe_has_news, 0, 0});
        if (err < 0)
            return err;
    }
}

/* Adds up the pieces. 0, -EFAULT, -EINVAL. */
static int dest_init(struct dest *d, const struct iovec *iov, unsigned n)
{
    *d = (struct dest){.iov = iov, .n_iov = n};
    size_t sum = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!iov[i].iov_base && iov[i].iov_len)
            return -EFAULT;
        if (iov[i].iov_len > SSIZE_MAX - sum)
            return -EINVAL;
        sum += iov[i].iov_len;
    }
    d->len = sum < LEN_MAX ? sum : LEN_MAX;
    while (d->at < n && iov[d->at].iov_len == 0)
        d->at++;
    return 0;
}

static int64_t sock_read(struct mtcp_ctx *ctx, struct sock *s, struct dest *d, int flags)
{
    if (s->type == MOS_SOCK_PIPE)
        return pipe_recv(ctx, s, d);
    if (likely(sock_has_conn(s)))
        return d->len ? stream_recv(ctx, s, d, flags) : 0;
    int pending = prep_take_error(s->prep);
    return pending ? -pending : -ENOTCONN;
}

static bool can_read(const struct sock *s)
{
    return s->type == MOS_SOCK_STREAM || s->type == MOS_SOCK_STREAM_LISTEN ||
           s->type == MOS_SOCK_PIPE;
}

static ssize_t read_iov(mctx_t mctx, int sockid, const struct iovec *iov, int iovcnt)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    struct dest d;
    if (!can_read(s))
        return sock_result(-ENOTSOCK);
    if (iovcnt < 0 || iovcnt > IOV_MAX)
        return sock_result(-EINVAL);
    if (!iov && iovcnt)
        return sock_result(-EFAULT);
    int err = dest_init(&d, iov, (unsigned)iovcnt);
    return sock_result(err < 0 ? err : sock_read(ctx, s, &d, 0));
}

ssize_t mtcp_read(mctx_t mctx, int sockid, char *buf, size_t len)
{
    struct iovec iov = {buf, len < LEN_MAX ? len : LEN_MAX};
    return read_iov(mctx, sockid, &iov, 1);
}

ssize_t mtcp_readv(mctx_t mctx, int sockid, const struct iovec *iov, int iovcnt)
{
    return read_iov(mctx, sockid, iov, iovcnt);
}

/* 0; -EINVAL: urgent data is in line (as Linux, where SO_OOBINLINE is on); -EOPNOTSUPP. Those that
 * mean nothing here are taken. */
static int check_flags(int flags, int more)
{
    more |= MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;
    if (flags & MSG_OOB)
        return -EINVAL;
    return flags & ~more ? -EOPNOTSUPP : 0;
}

ssize_t mtcp_recv(mctx_t mctx, int sockid, char *buf, size_t len, int flags)
{
    struct mtcp_ctx *ctx;
    struct sock *s = stream_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    int err = check_flags(flags, 0);
    if (err < 0)
        return sock_result(err);
    struct iovec iov = {buf, len < LEN_MAX ? len : LEN_MAX};
    struct dest d;
    err = dest_init(&d, &iov, 1);
    return sock_result(err < 0 ? err : sock_read(ctx, s, &d, flags));
}

/* What is left behind the bytes that were read; the end counts as one (as Linux). */
static void tell_inq(const struct tcp_conn *c, struct cmsg_out *out)
{
    int n = (int)tcp_readable(c) + ((c->flags & TCF_RCV_FIN) ? 1 : 0);
    if (c->ext != NULL && c->ext->has_inq)
        cmsg_add(out, IPPROTO_TCP, TCP_CM_INQ, &n, sizeof(n));
}

static int64_t stream_recvmsg(struct mtcp_ctx *ctx, struct sock *s, struct msghdr *msg, int flags)
{
    struct dest d;
    struct cmsg_out out = {.msg = msg};
    if (flags & MSG_ERRQUEUE)
        return errqueue_read(s, msg);
    int err = dest_init(&d, msg->msg_iov, (unsigned)msg->msg_iovlen);
    int64_t n = err < 0 ? err : sock_read(ctx, s, &d, flags);
    if (n < 0)
        return n;
    msg->msg_flags = 0;
    msg->msg_namelen = 0;
    if (sock_has_conn(s)) /* a monitor's code may have closed it meanwhile */
        tell_inq(s->conn, &out);
    msg->msg_controllen = out.used;
    return n;
}

ssize_t mtcp_recvmsg(mctx_t mctx, int sockid, struct msghdr *msg, int flags)
{
    struct mtcp_ctx *ctx;
    struct sock *s = stream_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!msg || (!msg->msg_iov && msg->msg_iovlen))
        return sock_result(-EFAULT);
    if (msg->msg_iovlen > IOV_MAX)
        return sock_result(-EMSGSIZE);
    int err = check_flags(flags, MSG_ERRQUEUE);
    return sock_result(err < 0 ? err : stream_recvmsg(ctx, s, msg, flags));
}

/* The next completed connection of a listener. */
#include "mtcp/sock/prep.h"
#include "mtcp/sock/sock.h"
#include "mtcp/sock/sock_addr.h"

#include <limits.h>

static bool has_waiting(const struct sock *s, size_t arg)
{
    (void)arg;
    return s->type != MOS_SOCK_STREAM_LISTEN || !list_is_empty(&s->prep->l.accept);
}

/* What the listener's options say and net/ does not know. */
static void inherit(const struct prep *p, struct tcp_conn *c)
{
    c->tos = p->tos;
    c->ttl = p->ttl;
}

/* A socket for the oldest connection, which stays queued when there is no id for it. */
static int take(struct mtcp_ctx *ctx, struct sock *listener, unsigned flags)
{
    int err;
    if (listener->type != MOS_SOCK_STREAM_LISTEN)
        return -EINVAL; /* shut down meanwhile, by a monitor's code */
    struct sock *s = sock_new(ctx, MOS_SOCK_STREAM, &err);
    if (!s)
        return err;
    struct tcp_conn *c = net_accept(&ctx->net, &listener->prep->l);
    if (!c) {
        sock_free(ctx, s);
        return -EAGAIN;
    }
    c->sock = s->id;
    s->conn = c;
    s->flags = (uint16_t)(SOCKF_CONN | (listener->flags & (SOCKF_V6 | SOCKF_V6ONLY)));
    if (flags & SOCK_NONBLOCK)
        s->flags |= SOCKF_NONBLOCK;
    if (!conn_is_over(c))
        inherit(listener->prep, c);
    return s->id;
}

static int check(const struct sock *s, const struct sockaddr *addr, const socklen_t *addrlen,
                 int flags)
{
    if (s->type != MOS_SOCK_STREAM && s->type != MOS_SOCK_STREAM_LISTEN)
        return -ENOTSOCK;
    if (addr && !addrlen)
        return -EFAULT;
    if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
        return -EINVAL;
    if (s->type != MOS_SOCK_STREAM_LISTEN || (addr && *addrlen > INT_MAX))
        return -EINVAL;
    return 0;
}

int mtcp_accept4(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen, int flags)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    int err = check(s, addr, addrlen, flags);
    if (err == 0 && !has_waiting(s, 0))
        err = s->flags & SOCKF_NONBLOCK ? sock_would_block(ctx)
                                        : sock_wait(ctx, s, &(struct sock_wait){has_waiting, 0, 0});
    int id = err < 0 ? err : take(ctx, s, (unsigned)flags);
    if (id >= 0 && addr) {
        const struct sock *new = sock_find(ctx, id);
        sock_addr_put(&new->conn->tuple.remote, new->conn->tuple.remote_port, new->flags &SOCKF_V6,
                      addr, addrlen);
    }
    return (int)sock_result(id);
}

int mtcp_accept(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen)
{
    return mtcp_accept4(mctx, sockid, addr, addrlen, 0);
}

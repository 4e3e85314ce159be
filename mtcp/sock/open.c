/* Sockets come into being: socket, bind, listen, connect. */
#include "mtcp/sock/prep.h"
#include "mtcp/sock/sock.h"
#include "mtcp/sock/sock_addr.h"

#include "mtcp/net/fastopen.h"

#include "mtcp/tcp/hook.h"

#include <netinet/in.h>

/* ---- socket ---------------------------------------------------------------------------------- */

/* A monitor's socket: the monitor module makes it. The id, or -errno. */
static int socket_monitor(struct mtcp_ctx *ctx, int domain, int type)
{
    int err = ctx_attach_monitor(ctx);
    if (err < 0)
        return err;
    int id = hook_monitor.socket(ctx->mon, domain, type);
    return id < 0 ? -errno : id;
}

static int check_protocol(int type, int protocol)
{
    if (type == SOCK_DGRAM || type == SOCK_RAW)
        return -EPROTONOSUPPORT;
    if (type != SOCK_STREAM && type != MOS_SOCK_STREAM)
        return -EINVAL;
    return protocol == 0 || protocol == IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
}

static int socket_stream(struct mtcp_ctx *ctx, int domain, unsigned flags)
{
    int err;
    struct sock *s = sock_new(ctx, MOS_SOCK_STREAM, &err);
    if (!s)
        return err;
    if (domain == AF_INET6)
        s->flags |= SOCKF_V6;
    if (flags & SOCK_NONBLOCK)
        s->flags |= SOCKF_NONBLOCK;
    err = prep_new(ctx, s);
    if (err == 0)
        return s->id;
    sock_free(ctx, s);
    return err;
}

int mtcp_socket(mctx_t mctx, int domain, int type, int protocol)
{
    struct mtcp_ctx *ctx = ctx_of(mctx);
    if (!ctx)
        return -1;
    unsigned flags = (unsigned)type & (SOCK_NONBLOCK | SOCK_CLOEXEC);
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    /* SOCK_RAW is 3, as MOS_SOCK_MONITOR_STREAM: the family tells */
    bool is_monitor = type == MOS_SOCK_MONITOR_STREAM || type == MOS_SOCK_MONITOR_RAW;
    if (domain != AF_INET && domain != AF_INET6 && !(domain == AF_UNSPEC && is_monitor))
        return (int)sock_result(-EAFNOSUPPORT);
    if (is_monitor)
        return (int)sock_result(protocol == IPPROTO_TCP || protocol == 0
                                    ? socket_monitor(ctx, domain, type)
                                    : -EPROTONOSUPPORT);
    int err = check_protocol(type, protocol);
    return (int)sock_result(err < 0 ? err : socket_stream(ctx, domain, flags));
}

/* ---- bind ------------------------------------------------------------------------------------ */

static bool is_stream(const struct sock *s)
{
    return s->type == MOS_SOCK_STREAM || s->type == MOS_SOCK_STREAM_LISTEN;
}

int mtcp_bind(mctx_t mctx, int sockid, const struct sockaddr *addr, socklen_t addrlen)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!is_stream(s))
        return (int)sock_result(-ENOTSOCK);
    if (!addr)
        return (int)sock_result(-EFAULT);
    struct ip_addr ip;
    uint16_t port;
    int err = sock_addr_get(addr, addrlen, s->flags & SOCKF_V6, &ip, &port);
    if (err < 0)
        return (int)sock_result(err);
    if (s->type != MOS_SOCK_STREAM || (s->flags & SOCKF_CONN) || s->prep->port)
        return (int)sock_result(-EINVAL);
    if ((s->flags & SOCKF_V6ONLY) && ip_addr_is_v4(&ip))
        return (int)sock_result(-EINVAL);
    return (int)sock_result(prep_bind(ctx, s, &ip, port));
}

/* ---- listen ---------------------------------------------------------------------------------- */

static int listen_begin(struct mtcp_ctx *ctx, struct sock *s, uint32_t backlog)
{
    struct ip_addr any = {0};
    struct prep *p = s->prep;
    bool was_bound = p->port != 0;
    if (!(s->flags & SOCKF_V6))
        any = ip_addr_v4(be32_make(0));
    p->l.is_v6only = s->flags & SOCKF_V6ONLY;
    int err = was_bound ? 0 : prep_bind(ctx, s, &any, 0);
    if (err < 0)
        return err;
    p->l.shares = p->flags & SOCKF_REUSEPORT;
    if (fastopen_is_for_all(&ctx->net) && p->l.fastopen_qlen == 0)
        p->l.fastopen_qlen = backlog;
    err = net_listen(&ctx->net, &p->l, &p->addr, p->port, backlog);
    if (err == 0) {
        s->type = MOS_SOCK_STREAM_LISTEN;
        p->is_listening = true;
    } else if (!was_bound) {
        list_del(&p->bound);
        p->port = 0;
    }
    return err;
}

int mtcp_listen(mctx_t mctx, int sockid, int backlog)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!is_stream(s))
        return (int)sock_result(-ENOTSOCK);
    if (s->type == MOS_SOCK_STREAM && (s->flags & SOCKF_CONN))
        return (int)sock_result(-EINVAL);
    uint32_t n = backlog < 1 ? 1 : (uint32_t)backlog;
    if (s->type == MOS_SOCK_STREAM)
        return (int)sock_result(listen_begin(ctx, s, n));
    s->prep->l.backlog = n;
    return 0;
}

/* ---- connect --------------------------------------------------------------------------------- */

static bool is_decided(const struct sock *s, size_t arg)
{
    (void)arg;
    return s->conn->state >= TCPS_ESTABLISHED || conn_is_over(s->conn);
}

/* The outcome of connecting is told: 0, or the error, and then the socket may try again. */
static int connect_outcome(struct mtcp_ctx *ctx, struct sock *s)
{
    struct tcp_conn *c = s->conn;
    if (!conn_is_over(c)) {
        s->flags &= (uint16_t)~SOCKF_CONNECTING;
        return 0;
    }
    int err = conn_take_error(c);
    if (prep_return(ctx, s) < 0)
        return -ENOMEM;
    return err ? -err : -ECONNABORTED;
}

/* Blocking: until it is decided. Nonblocking: what there is to say now. */
static int connect_finish(struct mtcp_ctx *ctx, struct sock *s, int not_yet, bool blocks)
{
    if (!is_decided(s, 0)) {
        if (!blocks) {
            if (not_yet == -EALREADY)
                sock_would_block(ctx);
            return not_yet;
        }
        int err = sock_wait(ctx, s, &(struct sock_wait){is_decided, 0, 0});
        if (err < 0)
            return err;
    }
    return connect_outcome(ctx, s);
}

/* The socket has a connection to there, still in CLOSED: 0 or -errno. */
static int connect_prepare(struct mtcp_ctx *ctx, struct sock *s, const struct net_end *remote)
{
    struct prep *p = s->prep;
    struct net_end local = {p->addr, p->port};
    int err = 0;
    if (remote->port == 0)
        return -EINVAL;
    if ((s->flags & SOCKF_V6ONLY) && ip_addr_is_v4(&remote->addr))
        return -ENETUNREACH;
    struct tcp_conn *c = net_connect_prepare(&ctx->net, &local, remote, &err);
    if (!c)
        return err < 0 ? err : -err;
    c->sock = s->id;
    err = prep_to_conn(ctx, p, c);
    if (err < 0) {
        sock_let_go(ctx, c);
        return err;
    }
    s->flags |= SOCKF_CONN;
    if (p->port != 0)
        s->flags |= ip_addr_is_any(&p->addr) ? SOCKF_BOUND : SOCKF_BOUND | SOCKF_BOUND_ADDR;
    prep_free(ctx, p);
    s->conn = c;
    return 0;
}

static void connect_start(struct mtcp_ctx *ctx, struct sock *s)
{
    s->conn->marks &= (uint8_t)~FASTOPEN_DEFERRED;
    s->flags |= SOCKF_CONNECTING;
    net_connect_start(&ctx->net, s->conn);
}

static int connect_begin(struct mtcp_ctx *ctx, struct sock *s, const struct net_end *remote)
{
    bool blocks = !(s->flags & SOCKF_NONBLOCK);
    if (blocks && !ctx_may_run(ctx))
        return -EDEADLK;
    int err = connect_prepare(ctx, s, remote);
    if (err < 0)
        return err;
    struct tcp_conn *c = s->conn;
    if (c->ext && c->ext->fastopen.is_wanted && fastopen_prepare(&ctx->net, c)) {
        c->marks |= FASTOPEN_DEFERRED; /* as Linux: connected, as far as the application can tell */
        return 0;
    }
    connect_start(ctx, s);
    return connect_finish(ctx, s, -EINPROGRESS, blocks);
}

int mtcp_connect(mctx_t mctx, int sockid, const struct sockaddr *addr, socklen_t addrlen)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!is_stream(s))
        return (int)sock_result(-ENOTSOCK);
    if (!addr)
        return (int)sock_result(-EFAULT);
    struct net_end remote;
    int err = sock_addr_get(addr, addrlen, s->flags & SOCKF_V6, &remote.addr, &remote.port);
    if (err < 0)
        return (int)sock_result(err);
    if (s->type == MOS_SOCK_STREAM_LISTEN)
        return (int)sock_result(-EISCONN);
    if (!(s->flags & SOCKF_CONN))
        return (int)sock_result(connect_begin(ctx, s, &remote));
    if (!(s->flags & SOCKF_CONNECTING))
        return (int)sock_result(-EISCONN);
    return (int)sock_result(connect_finish(ctx, s, -EALREADY, !(s->flags & SOCKF_NONBLOCK)));
}

/* ---- connecting by the first write ----------------------------------------------------------- */

int sock_fast_prepare(struct mtcp_ctx *ctx, struct sock *s, const struct sockaddr *to,
                      socklen_t tolen)
{
    struct net_end remote;
    if (!(ctx->net.conf.fastopen & NET_FASTOPEN_CLIENT) ||
        (to && tolen >= sizeof(to->sa_family) && to->sa_family == AF_UNSPEC))
        return -EOPNOTSUPP;
    if (s->type == MOS_SOCK_STREAM_LISTEN)
        return -EISCONN;
    if (s->flags & SOCKF_CONN)
        return (s->flags & SOCKF_CONNECTING) || (s->conn->marks & FASTOPEN_DEFERRED) ? 0 : -EISCONN;
    if (!to)
        return -EINVAL;
    int err = sock_addr_get(to, tolen, s->flags & SOCKF_V6, &remote.addr, &remote.port);
    if (err < 0)
        return err;
    s->prep->l.has_ext = true;
    err = connect_prepare(ctx, s, &remote);
    if (err < 0)
        return err;
    (void)fastopen_prepare(&ctx->net, s->conn); /* without a cookie the SYN asks for one */
    s->conn->marks |= FASTOPEN_DEFERRED;
    return 0;
}

int sock_fast_connect(struct mtcp_ctx *ctx, struct sock *s, bool blocks)
{
    if (!(s->conn->marks & FASTOPEN_DEFERRED))
        return connect_finish(ctx, s, -EALREADY, blocks);
    connect_start(ctx, s);
    return connect_finish(ctx, s, -EINPROGRESS, blocks);
}

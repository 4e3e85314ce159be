/* Addresses of sockets, and ioctl. */
#include "mtcp/sock/prep.h"
#include "mtcp/sock/sock.h"
#include "mtcp/sock/sock_addr.h"

#include "mtcp/tcp/hook.h"

#include <limits.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

static bool is_stream(const struct sock *s)
{
    return s->type == MOS_SOCK_STREAM || s->type == MOS_SOCK_STREAM_LISTEN;
}

/* ---- names ----------------------------------------------------------------------------------- */

int mtcp_getsockname(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen)
{
    struct mtcp_ctx *ctx;
    const struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!is_stream(s))
        return (int)sock_result(-ENOTSOCK);
    if (!addr || !addrlen)
        return (int)sock_result(-EFAULT);
    if (*addrlen > INT_MAX)
        return (int)sock_result(-EINVAL);
    bool is_v6 = s->flags & SOCKF_V6;
    if (s->flags & SOCKF_CONN)
        sock_addr_put(&s->conn->tuple.local, s->conn->tuple.local_port, is_v6, addr, addrlen);
    else
        sock_addr_put(&s->prep->addr, s->prep->port, is_v6, addr, addrlen);
    return 0;
}

/* Has a peer: open, or closing on either side. */
static bool has_peer(const struct sock *s)
{
    return sock_has_conn(s) && !conn_is_over(s->conn) && s->conn->state >= TCPS_ESTABLISHED;
}

static int peer_of_stream(const struct sock *s, struct sockaddr *addr, socklen_t *addrlen)
{
    bool is_v6 = s->flags & SOCKF_V6;
    if (!addr || !addrlen)
        return -EFAULT;
    if (*addrlen > INT_MAX || *addrlen < sock_addr_size(is_v6))
        return -EINVAL;
    if (!has_peer(s))
        return -ENOTCONN;
    sock_addr_put(&s->conn->tuple.remote, s->conn->tuple.remote_port, is_v6, addr, addrlen);
    return 0;
}

int mtcp_getpeername(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen, int side)
{
    struct mtcp_ctx *ctx;
    const struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (sock_is_monitor(s))
        return s->mon_ops->getpeername(s->mon_arg, sockid, addr, addrlen, side);
    if (!is_stream(s))
        return (int)sock_result(-ENOTSOCK);
    return (int)sock_result(peer_of_stream(s, addr, addrlen));
}

/* ---- ioctl ----------------------------------------------------------------------------------- */

/* Bytes that a read would give. */
static int64_t n_to_read(const struct sock *s)
{
    if (s->type == MOS_SOCK_PIPE)
        return pipe_readable(s);
    return sock_has_conn(s) ? tcp_readable(s->conn) : 0;
}

/* Bytes the peer has not acknowledged, sent or not. */
static int64_t n_to_acknowledge(const struct sock *s)
{
    return sock_has_conn(s) && !(s->conn->flags & TCF_DEAD) ? s->conn->snd.unread : 0;
}

/* Is the next byte the last urgent one? */
static bool is_at_mark(const struct sock *s)
{
    return sock_has_conn(s) && tcp_urgent_left(s->conn) == 1;
}

static bool ioctl_is_question(int request)
{
    return request == FIONREAD || request == SIOCOUTQ || request == SIOCATMARK;
}

static int ioctl_ask(const struct sock *s, int request, int *n)
{
    if (s->type == MOS_SOCK_STREAM_LISTEN || (s->type == MOS_SOCK_PIPE && request != FIONREAD))
        return -EINVAL;
    if (request == SIOCATMARK)
        *n = is_at_mark(s);
    else
        *n = (int)(request == FIONREAD ? n_to_read(s) : n_to_acknowledge(s));
    return 0;
}

static void set_nonblock(struct sock *s, bool on)
{
    s->flags = (uint16_t)(on ? s->flags | SOCKF_NONBLOCK : s->flags & ~SOCKF_NONBLOCK);
}

int mtcp_ioctl(mctx_t mctx, int sockid, int request, void *argp)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!is_stream(s) && s->type != MOS_SOCK_PIPE)
        return (int)sock_result(-ENOTSOCK);
    if (!argp)
        return (int)sock_result(-EFAULT);
    if (ioctl_is_question(request))
        return (int)sock_result(ioctl_ask(s, request, argp));
    if (request != FIONBIO)
        return (int)sock_result(-EINVAL);
    set_nonblock(s, *(int *)argp != 0);
    return 0;
}

int mtcp_setsock_nonblock(mctx_t mctx, int sockid)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    if (!is_stream(s) && s->type != MOS_SOCK_PIPE)
        return (int)sock_result(-ENOTSOCK);
    set_nonblock(s, true);
    return 0;
}

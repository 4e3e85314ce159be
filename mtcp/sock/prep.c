/* Before there is a connection: address and options. */
#include "mtcp/sock/prep.h"

#undef TCP_MSS_DEFAULT /* <netinet/tcp.h> has one, too */
#include "mtcp/tcp/handshake.h"
#include "mtcp/tcp/tune.h"

#include <string.h>

/* Options that are flags of the connection. */
#define OPTION_FLAGS (TCF_NODELAY | TCF_CORK | TCF_KEEPALIVE | TCF_QUICKACK)

int prep_new(struct mtcp_ctx *ctx, struct sock *s)
{
    struct prep *p = pool_get(&ctx->socks->preps);
    if (!p)
        return -ENOMEM;
    memset(p, 0, sizeof(*p));
    p->l.params = ctx->net.env.params;
    p->l.ext = tcp_opt_ext_default();
    p->l.sock = s->id;
    p->ttl = 64;
    list_node_init(&p->bound);
    s->prep = p;
    s->flags &= (uint16_t)~SOCKF_CONN;
    return 0;
}

void prep_free(struct mtcp_ctx *ctx, struct prep *p)
{
    list_del(&p->bound);
    if (p->is_listening && ctx->in_poll) {
        list_push_tail(&ctx->socks->doomed, &p->bound);
        return;
    }
    if (p->is_listening)
        net_unlisten(&ctx->net, &p->l);
    pool_put(&ctx->socks->preps, p);
}

void preps_reap(struct mtcp_ctx *ctx)
{
    struct list_node *at;
    while (unlikely((at = list_pop_head(&ctx->socks->doomed)) != NULL)) {
        struct prep *p = container_of(at, struct prep, bound);
        net_unlisten(&ctx->net, &p->l);
        pool_put(&ctx->socks->preps, p);
    }
}

/* ---- binding --------------------------------------------------------------------------------- */

/* Does an address bound by a socket with these flags take in another one? */
static bool addr_takes(const struct ip_addr *bound, unsigned flags, const struct ip_addr *a)
{
    if (ip_addr_eq(bound, a))
        return true;
    if (!ip_addr_is_any(bound))
        return false;
    if (ip_addr_is_v4(bound) || (flags & SOCKF_V6ONLY))
        return ip_addr_is_v4(bound) == ip_addr_is_v4(a);
    return true;
}

/* May both hold the port at once? As Linux: both say SO_REUSEPORT, or both SO_REUSEADDR and neither
 * listens. */
static bool may_share(const struct prep *p, unsigned flags)
{
    if (p->flags & flags & SOCKF_REUSEPORT)
        return true;
    return (p->flags & flags & SOCKF_REUSEADDR) && !p->is_listening;
}

static bool port_is_taken(const struct mtcp_ctx *ctx, const struct sock *s,
                          const struct ip_addr *addr, uint16_t port)
{
    const struct list_node *bucket = &ctx->socks->bound[port % SOCK_PORT_BUCKETS];
    LIST_FOREACH (at, bucket) {
        const struct prep *p = container_of(at, struct prep, bound);
        if (p != s->prep && p->port == port &&
            (addr_takes(&p->addr, p->flags, addr) || addr_takes(addr, s->flags, &p->addr)) &&
            !may_share(p, s->flags))
            return true;
    }
    return false;
}

/* A free port of the configured range, from a random one on; 0: none. */
static uint16_t port_choose(struct mtcp_ctx *ctx, const struct sock *s, const struct ip_addr *addr)
{
    const struct net_conf *conf = &ctx->net.conf;
    uint32_t n = conf->port_max - conf->port_min + 1u;
    uint32_t at = rng_below(&ctx->net.env.rng, n);
    for (uint32_t i = 0; i < n; i++) {
        uint16_t port = (uint16_t)(conf->port_min + (at + i) % n);
        if (!port_is_taken(ctx, s, addr, port) && !net_port_is_bound(&ctx->net, addr, port))
            return port;
    }
    return 0;
}

int prep_bind(struct mtcp_ctx *ctx, struct sock *s, const struct ip_addr *addr, uint16_t port)
{
    struct prep *p = s->prep;
    if (!net_addr_is_local(&ctx->net, addr))
        return -EADDRNOTAVAIL;
    if (port == 0)
        port = port_choose(ctx, s, addr);
    else if (port_is_taken(ctx, s, addr, port))
        port = 0;
    if (port == 0)
        return -EADDRINUSE;
    p->addr = *addr;
    p->port = port;
    p->flags = s->flags;
    list_push_tail(&ctx->socks->bound[port % SOCK_PORT_BUCKETS], &p->bound);
    return 0;
}

/* ---- to a connection and back ---------------------------------------------------------------- */

int prep_to_conn(struct mtcp_ctx *ctx, const struct prep *p, struct tcp_conn *c)
{
    const struct net_listener *l = &p->l;
    if (l->has_ext) {
        c->ext = mem_alloc(ctx->mem, sizeof(*c->ext));
        if (!c->ext)
            return -ENOMEM;
        *c->ext = l->ext;
    }
    c->flags |= l->conn_flags;
    tune_init(c, &l->params);
    c->rcv_wscale = tcp_wscale_for(tune_rcvbuf_most(&l->params));
    c->cc_ops = l->params.cc;
    c->user_mss = p->l.user_mss & TCP_MSS_USER_MAX;
    c->tos = p->tos;
    c->ttl = p->ttl;
    return 0;
}

static void prep_from_conn(struct prep *p, const struct tcp_conn *c)
{
    struct net_listener *l = &p->l;
    l->conn_flags = c->flags & OPTION_FLAGS;
    if (!c->rcv.is_auto)
        l->params.rcvbuf = l->params.rcvbuf_max = c->rcv.limit;
    if (!c->snd.is_auto)
        l->params.sndbuf = l->params.sndbuf_max = tune_sndbuf(c);
    l->params.cc = c->cc_ops;
    l->has_ext = c->ext != NULL;
    if (c->ext)
        l->ext = *c->ext;
    l->ext.eor = (struct tcp_eor){.at = NULL};
    l->ext.zc = (struct tcp_zerocopy){.lent = NULL};
    p->l.user_mss = c->user_mss;
    p->tos = c->tos;
    p->ttl = c->ttl;
}

int prep_return(struct mtcp_ctx *ctx, struct sock *s)
{
    struct tcp_conn *c = s->conn;
    struct ip_addr any = {0};
    if (prep_new(ctx, s) < 0) {
        s->conn = c;
        s->flags |= SOCKF_CONN;
        return -ENOMEM;
    }
    prep_from_conn(s->prep, c);
    if (!(s->flags & SOCKF_V6))
        any = ip_addr_v4(be32_make(0));
    const struct ip_addr *addr = s->flags & SOCKF_BOUND_ADDR ? &c->tuple.local : &any;
    if ((s->flags & SOCKF_BOUND) && prep_bind(ctx, s, addr, c->tuple.local_port) < 0)
        s->prep->port = 0; /* somebody has taken it meanwhile */
    s->flags &= (uint16_t) ~(SOCKF_CONNECTING | SOCKF_BOUND | SOCKF_BOUND_ADDR);
    sock_let_go(ctx, c);
    return 0;
}

int prep_unlisten(struct mtcp_ctx *ctx, struct sock *s)
{
    struct prep *old = s->prep;
    if (prep_new(ctx, s) < 0) {
        s->prep = old;
        return -ENOMEM;
    }
    struct prep *p = s->prep;
    p->l.params = old->l.params;
    p->l.conn_flags = old->l.conn_flags;
    p->l.user_mss = old->l.user_mss;
    p->l.has_ext = old->l.has_ext;
    p->l.ext = old->l.ext;
    p->l.fastopen_qlen = old->l.fastopen_qlen;
    p->addr = old->addr;
    p->port = old->port;
    p->flags = old->flags;
    p->tos = old->tos;
    p->ttl = old->ttl;
    list_push_tail(&ctx->socks->bound[p->port % SOCK_PORT_BUCKETS], &p->bound);
    s->type = MOS_SOCK_STREAM;
    prep_free(ctx, old);
    return 0;
}

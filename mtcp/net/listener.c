/* Listeners: a short list per port bucket, the accept queue, the queue of monitored TIME_WAITs. */
#include "mtcp/net/listener.h"

#include "mtcp/net/conn_end.h"
#include "mtcp/net/half_open.h"
#include "mtcp/tcp/state.h"

#include <errno.h>

/* ---- bound addresses ------------------------------------------------------------------------ */

static struct list_node *bucket_of(const struct net *n, uint16_t port)
{
    return (struct list_node *)&n->listeners[port % NET_LISTENER_BUCKETS];
}

/* How well a listening address fits: 0 not at all, 3 exactly. :: takes both families, or IPv6. */
static unsigned addr_fit(const struct ip_addr *bound, bool is_v6only, const struct ip_addr *a)
{
    if (ip_addr_eq(bound, a))
        return 3;
    if (!ip_addr_is_any(bound))
        return 0;
    if (ip_addr_is_v4(bound))
        return ip_addr_is_v4(a) ? 2 : 0;
    return is_v6only && ip_addr_is_v4(a) ? 0 : 1;
}

static unsigned listener_fit(const struct net_listener *l, const struct ip_addr *addr,
                             uint16_t port)
{
    return l->port == port ? addr_fit(&l->addr, l->is_v6only, addr) : 0;
}

struct net_listener *listener_find(struct net *n, const struct ip_addr *addr, uint16_t port,
                                   uint32_t hash)
{
    struct net_listener *best = NULL;
    unsigned best_fit = 0, n_best = 0;
    LIST_FOREACH (at, bucket_of(n, port)) {
        struct net_listener *l = container_of(at, struct net_listener, node);
        unsigned fit = listener_fit(l, addr, port);
        if (fit > best_fit) {
            best = l;
            best_fit = fit;
            n_best = 0;
        }
        n_best += fit == best_fit;
    }
    if (likely(!best || n_best == 1))
        return best;
    uint32_t skip = (uint32_t)((uint64_t)hash * n_best >> 32);
    LIST_FOREACH (at, bucket_of(n, port)) {
        best = container_of(at, struct net_listener, node);
        if (listener_fit(best, addr, port) == best_fit && skip-- == 0)
            break;
    }
    return best;
}

/* As Linux: who shares (SO_REUSEPORT) does so with those that share. */
static bool port_is_bound(const struct net *n, const struct ip_addr *a,
                          const struct net_listener *l, uint16_t port)
{
    LIST_FOREACH (at, bucket_of(n, port)) {
        const struct net_listener *other = container_of(at, struct net_listener, node);
        if (other->port == port && !(l->shares && other->shares) &&
            (addr_fit(&other->addr, other->is_v6only, a) ||
             addr_fit(a, l->is_v6only, &other->addr)))
            return true;
    }
    return false;
}

bool net_port_is_bound(const struct net *n, const struct ip_addr *a, uint16_t port)
{
    static const struct net_listener any;
    return port_is_bound(n, a, &any, port);
}

/* ---- listening ------------------------------------------------------------------------------ */

int net_listen(struct net *n, struct net_listener *l, const struct ip_addr *addr, uint16_t port,
               uint32_t backlog)
{
    if (!net_addr_is_local(n, addr))
        return -EADDRNOTAVAIL;
    if (port_is_bound(n, addr, l, port))
        return -EADDRINUSE;
    l->addr = *addr;
    l->port = port;
    l->backlog = backlog ? backlog : 1;
    l->n_half_open = l->n_accept = 0;
    list_init(&l->accept);
    list_node_init(&l->ready);
    list_push_tail(bucket_of(n, port), &l->node);
    return 0;
}

struct walk {
    struct net *n;
    const struct net_listener *l;
};

static bool end_half_open_of(void *arg, struct flow *f)
{
    const struct walk *w = arg;
    struct tcp_half_open *h = (struct tcp_half_open *)(void *)f;
    return f->kind == FLOW_HALF_OPEN && h->listener == w->l && half_open_abandon(w->n, h);
}

void net_unlisten(struct net *n, struct net_listener *l)
{
    struct tcp_conn *c;
    struct walk w = {n, l};
    list_del(&l->node);
    list_del(&l->ready);
    if (l->n_half_open > 0)
        flow_table_each(n->flows, end_half_open_of, &w);
    while ((c = net_accept(n, l)) != NULL) {
        if (!(c->flags & TCF_DEAD))
            tcp_abort(&n->env, c, HOOK_END_ABORT, ECONNABORTED);
        net_conn_release(n, c);
    }
}

/* ---- waiting -------------------------------------------------------------------------------- */

void listener_enqueue(struct net *n, struct net_listener *l, struct net_waiting *w)
{
    w->listener = l;
    list_push_tail(&l->accept, &w->node);
    l->n_accept++;
    if (!list_is_linked(&l->ready))
        list_push_tail(&n->ready_listeners, &l->ready);
}

void waiting_leave(struct net *n, struct tcp_conn *c)
{
    struct net_waiting *w = waiting_of(c);
    if (!w)
        return;
    if (w->listener)
        w->listener->n_accept--;
    else
        n->n_mon_time_wait--;
    list_del(&w->node);
    pool_put(&n->waitings, w);
    c->listener = NULL;
}

struct tcp_conn *net_accept(struct net *n, struct net_listener *l)
{
    if (list_is_empty(&l->accept))
        return NULL;
    struct tcp_conn *c = container_of(l->accept.next, struct net_waiting, node)->conn;
    waiting_leave(n, c);
    return c;
}

void mon_time_wait_add(struct net *n, struct tcp_conn *c)
{
    if (c->listener)
        return; /* not accepted yet: the accept queue bounds these */
    struct net_waiting *w = pool_get(&n->waitings);
    if (!w)
        return;
    *w = (struct net_waiting){.conn = c};
    list_push_tail(&n->mon_time_waits, &w->node);
    c->listener = w;
    if (++n->n_mon_time_wait <= n->conf.max_mon_time_wait)
        return;
    struct tcp_conn *oldest = container_of(n->mon_time_waits.next, struct net_waiting, node)->conn;
    waiting_leave(n, oldest);
    conn_die(&n->env, oldest, HOOK_END_EVICTED, 0);
}

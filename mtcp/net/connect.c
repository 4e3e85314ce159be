/* Active opens: addresses by route, ephemeral ports by RFC 6056 3.3.3 (a keyed hash of the tuple's
 * other members, plus a counter), tuples that are free or whose TIME_WAIT may be cut short. */
#include "mtcp/net/netif.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/net/route.h"
#include "mtcp/net/source.h"
#include "mtcp/net/time_wait.h"

#include <errno.h>

/* Is nobody using the tuple? A TIME_WAIT record that may be reused is ended for it. */
static bool tuple_take(struct net *n, const struct flow_tuple *t, uint32_t hash)
{
    struct flow *f = flow_table_find(n->flows, t, hash);
    if (!f)
        return true;
    struct tcp_time_wait *w = (struct tcp_time_wait *)(void *)f;
    if (f->kind != FLOW_TIME_WAIT || !time_wait_may_reuse(n, w))
        return false;
    time_wait_end(n, w);
    return true;
}

/* Of a tuple whose local port is still 0. */
static uint32_t port_offset(const struct net *n, const struct flow_tuple *t)
{
    return (uint32_t)(hash_siphash24(&n->env.secret, t, FLOW_TUPLE_BYTES) >> 32);
}

/* Will what the peer sends come to this core? */
static bool is_home(const struct net *n, const struct flow_tuple *t)
{
    return likely(!n->steer) || n->steer->is_home(n->steer->arg, t);
}

/* Completes the tuple with a port of the range. The hash of it, or false when all are taken. */
static bool port_choose(struct net *n, struct flow_tuple *t, uint32_t *hash)
{
    uint32_t min = n->conf.port_min, count = (uint32_t)n->conf.port_max - min + 1;
    uint32_t offset = port_offset(n, t);
    for (uint32_t i = 0; i < count; i++) {
        t->local_port = (uint16_t)(min + (offset + n->next_ephemeral++) % count);
        *hash = flow_table_hash(n->flows, t);
        if (is_home(n, t) && !net_port_is_bound(n, &t->local, t->local_port) &&
            tuple_take(n, t, *hash))
            return true;
    }
    return false;
}

/* The address to open from, or its errno. */
static int tuple_addresses(struct net *n, const struct net_hop *hop, const struct ip_addr *local,
                           struct flow_tuple *t)
{
    const struct net_addr *ours = source_for_soon(n, &n->ifs[hop->netif], &t->remote);
    if (!ip_addr_is_any(local))
        t->local = *local;
    else if (ours)
        t->local = ours->ip;
    if (ip_addr_is_any(&t->local) || !net_addr_is_local(n, &t->local))
        return EADDRNOTAVAIL;
    return ip_addr_is_v4(&t->local) == ip_addr_is_v4(&t->remote) ? 0 : EINVAL;
}

/* A connection object for the tuple, in the flow table. */
static struct tcp_conn *conn_create(struct net *n, const struct flow_tuple *t, uint32_t hash,
                                    const struct net_if *nif)
{
    if (n->conf.max_conns && net_n_conns(n) >= n->conf.max_conns)
        return NULL;
    struct tcp_conn *c = pool_get(&n->conns);
    if (!c)
        return NULL;
    struct tcp_open open = {.tuple = *t, .mtu = netif_mtu(nif, &t->local), .is_active = true};
    c->flow = (struct flow){.kind = FLOW_CONN, .netif = nif->index};
    tcp_conn_init(&n->env, c, &open);
    pmtu_begin(n, c);
    flow_table_insert(n->flows, &c->flow, hash);
    return c;
}

static int tuple_complete(struct net *n, struct flow_tuple *t, uint32_t *hash)
{
    if (t->local_port == 0)
        return port_choose(n, t, hash) ? 0 : EADDRNOTAVAIL;
    if (!is_home(n, t))
        return EADDRNOTAVAIL;
    *hash = flow_table_hash(n->flows, t);
    return tuple_take(n, t, *hash) ? 0 : EADDRINUSE;
}

struct tcp_conn *net_connect_prepare(struct net *n, const struct net_end *local,
                                     const struct net_end *remote, int *err)
{
    uint32_t hash;
    struct flow_tuple t = {
        .local_port = local->port, .remote = remote->addr, .remote_port = remote->port};
    *err = EINVAL;
    if (ip_addr_is_any(&remote->addr) || remote->port == 0)
        return NULL;
    const struct net_hop *hop = route_hop(n, &remote->addr);
    *err = ENETUNREACH;
    if (!hop || n->is_ending)
        return NULL;
    *err = tuple_addresses(n, hop, &local->addr, &t);
    if (!*err)
        *err = tuple_complete(n, &t, &hash);
    if (*err)
        return NULL;
    struct tcp_conn *c = conn_create(n, &t, hash, &n->ifs[hop->netif]);
    if (!c) {
        n->stats.conn_nomem++;
        *err = ENOMEM;
    }
    return c;
}

void net_connect_start(struct net *n, struct tcp_conn *c)
{
    tcp_connect(&n->env, c);
}

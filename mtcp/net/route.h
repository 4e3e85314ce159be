/* Routes (longest prefix wins) and the cache of next hops in front of them. */
#ifndef MTCP_NET_ROUTE_H
#define MTCP_NET_ROUTE_H

#include "mtcp/net/net.h"

/* The route for an address, or NULL. Linear in the number of routes. */
const struct net_route *route_find(const struct net *n, const struct ip_addr *dst);

/* Takes away the route that a router had said (is_dynamic), if it is there. */
void route_del_dynamic(struct net *n, const struct net_route *r);

/* The slow path of route_hop(): finds and caches the next hop. */
const struct net_hop *route_hop_fill(struct net *n, struct net_hop *slot,
                                     const struct ip_addr *remote);

/* The next hop for a remote address; NULL when there is no route, or no place for its neighbour.
 * Valid until anything is added or a neighbour ends. */
static inline const struct net_hop *route_hop(struct net *n, const struct ip_addr *remote)
{
    struct net_hop *slot = &n->hops[remote->w[3].raw * 0x9e3779b1u >> 24];
    _Static_assert(NET_HOPS == 1 << 8, "the top 8 bits of the product");
    if (likely(slot->epoch == n->hop_epoch && ip_addr_eq(&slot->remote, remote)))
        return slot;
    return route_hop_fill(n, slot, remote);
}

/* Every cached hop may be wrong now. */
static inline void route_hops_forget(struct net *n)
{
    n->hop_epoch++;
}

#endif

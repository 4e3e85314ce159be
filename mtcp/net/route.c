/* Routes: an array by falling prefix length, so that the first match is the longest. */
#include "mtcp/net/route.h"

#include "mtcp/net/arp.h"
#include "mtcp/net/netif.h"

#include <errno.h>
#include <string.h>

#define ROUTES_MIN 8u

/* ---- prefixes ------------------------------------------------------------------------------- */

/* The prefix length within 128 bits. */
static unsigned bits_of(const struct net_route *r)
{
    return r->prefix_len + (ip_addr_is_v4(&r->dst) ? 96u : 0u);
}

static bool prefix_covers(const struct ip_addr *prefix, unsigned bits, const struct ip_addr *a)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(prefix->b, a->b, bytes) != 0)
        return false;
    return rest == 0 || ((prefix->b[bytes] ^ a->b[bytes]) & (uint8_t)(0xff00u >> rest)) == 0;
}

/* The address with all bits behind the prefix zero. */
static struct ip_addr prefix_mask(const struct ip_addr *a, unsigned bits)
{
    struct ip_addr m = *a;
    unsigned bytes = bits / 8, rest = bits % 8;
    if (rest)
        m.b[bytes++] &= (uint8_t)(0xff00u >> rest);
    memset(m.b + bytes, 0, sizeof(m.b) - bytes);
    return m;
}

static bool route_is_valid(const struct net *n, const struct net_route *r)
{
    if (r->netif >= n->n_ifs || bits_of(r) > 128)
        return false;
    return ip_addr_is_any(&r->gateway) || ip_addr_is_v4(&r->gateway) == ip_addr_is_v4(&r->dst);
}

/* ---- the table ------------------------------------------------------------------------------ */

static int routes_make_room(struct net *n)
{
    if (n->n_routes < n->max_routes)
        return 0;
    unsigned max = n->max_routes ? 2 * n->max_routes : ROUTES_MIN;
    struct net_route *routes = mem_alloc(n->env.mem, max * sizeof(*routes));
    if (!routes)
        return -ENOMEM;
    if (n->n_routes > 0)
        memcpy(routes, n->routes, n->n_routes * sizeof(*routes));
    mem_free(n->env.mem, n->routes, n->max_routes * sizeof(*routes));
    n->routes = routes;
    n->max_routes = max;
    return 0;
}

int net_route_add(struct net *n, const struct net_route *r)
{
    if (!route_is_valid(n, r))
        return -EINVAL;
    struct net_route new = *r;
    new.dst = prefix_mask(&r->dst, bits_of(r));
    unsigned at = 0;
    while (at < n->n_routes && bits_of(&n->routes[at]) >= bits_of(&new)) {
        const struct net_route *old = &n->routes[at++];
        if (bits_of(old) == bits_of(&new) && ip_addr_eq(&old->dst, &new.dst))
            return -EEXIST;
    }
    int err = routes_make_room(n);
    if (err)
        return err;
    memmove(&n->routes[at + 1], &n->routes[at], (n->n_routes - at) * sizeof(new));
    n->routes[at] = new;
    n->n_routes++;
    route_hops_forget(n);
    return 0;
}

const struct net_route *route_find(const struct net *n, const struct ip_addr *dst)
{
    for (unsigned i = 0; i < n->n_routes; i++) {
        const struct net_route *r = &n->routes[i];
        if (prefix_covers(&r->dst, bits_of(r), dst) && ip_addr_is_v4(&r->dst) == ip_addr_is_v4(dst))
            return r;
    }
    return NULL;
}

/* ---- next hops ------------------------------------------------------------------------------ */

const struct net_hop *route_hop_fill(struct net *n, struct net_hop *slot,
                                     const struct ip_addr *remote)
{
    const struct net_route *r = route_find(n, remote);
    if (!r || !netif_addr_is_host(remote))
        return NULL;
    const struct ip_addr *next = ip_addr_is_any(&r->gateway) ? remote : &r->gateway;
    struct arp_entry *neigh = arp_get(n, r->netif, next);
    if (!neigh)
        return NULL;
    *slot = (struct net_hop){
        .remote = *remote, .neigh = neigh, .epoch = n->hop_epoch, .netif = r->netif};
    return slot;
}

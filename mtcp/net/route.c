/* Routes: an array by falling prefix length, so that the first match is the longest. */
#include "mtcp/net/route.h"

#include "mtcp/net/neigh.h"
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

/* The route to the same network, or where it would go: before it the longer ones. */
static unsigned route_place(const struct net *n, const struct net_route *r, bool *is_there)
{
    unsigned at = 0;
    *is_there = false;
    for (; at < n->n_routes && bits_of(&n->routes[at]) >= bits_of(r); at++) {
        const struct net_route *old = &n->routes[at];
        *is_there = bits_of(old) == bits_of(r) && ip_addr_eq(&old->dst, &r->dst) &&
                    ip_addr_is_v4(&old->dst) == ip_addr_is_v4(&r->dst);
        if (*is_there)
            break;
    }
    return at;
}

/* The route as it is kept: masked, with the zones of its interface. */
static struct net_route route_plain(const struct net *n, const struct net_route *r)
{
    const struct net_if *nif = &n->ifs[r->netif];
    struct net_route plain = *r;
    struct ip_addr dst = netif_zoned(nif, &r->dst);
    plain.dst = prefix_mask(&dst, bits_of(r));
    plain.gateway = netif_zoned(nif, &r->gateway);
    return plain;
}

int net_route_add(struct net *n, const struct net_route *r)
{
    if (!route_is_valid(n, r))
        return -EINVAL;
    struct net_route new = route_plain(n, r);
    bool is_there;
    unsigned at = route_place(n, &new, &is_there);
    if (is_there && (new.is_dynamic || !n->routes[at].is_dynamic))
        return -EEXIST;
    int err = is_there ? 0 : routes_make_room(n);
    if (err)
        return err;
    if (!is_there) {
        memmove(&n->routes[at + 1], &n->routes[at], (n->n_routes - at) * sizeof(new));
        n->n_routes++;
    }
    n->routes[at] = new;
    route_hops_forget(n);
    return 0;
}

void route_del_dynamic(struct net *n, const struct net_route *r)
{
    struct net_route plain = route_plain(n, r);
    bool is_there;
    unsigned at = route_place(n, &plain, &is_there);
    if (!is_there || !n->routes[at].is_dynamic || n->routes[at].netif != r->netif)
        return;
    n->n_routes--;
    memmove(&n->routes[at], &n->routes[at + 1], (n->n_routes - at) * sizeof(plain));
    route_hops_forget(n);
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
    if (!r || !netif_addr_is_host(remote) || netif_is_broadcast(n, remote))
        return NULL;
    const struct ip_addr *next = ip_addr_is_any(&r->gateway) ? remote : &r->gateway;
    struct neigh *neigh = neigh_get(n, r->netif, next);
    if (!neigh)
        return NULL;
    *slot = (struct net_hop){
        .remote = *remote, .neigh = neigh, .epoch = n->hop_epoch, .netif = r->netif};
    return slot;
}

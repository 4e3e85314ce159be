/*
 * What routers say (RFC 4861 6.3, RFC 4862 5.5): a default route through the first that answers,
 * on-link prefixes, addresses when they are wanted, the link's MTU and times. All of it ages.
 */
#include "mtcp/net/ndp.h"

#include "mtcp/net/neigh.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/net/route.h"
#include "mtcp/wire/build.h"

#include <errno.h>

#define REACHABLE_MAX_MS 3600000u /* RFC 4861 6.2.1 */
#define RETRANS_MIN_MS   100u     /* less would have us flood the link */
#define RETRANS_MAX_MS   60000u
#define TWO_HOURS_US     7200000000u

/* The time that a lifetime in seconds ends at. */
static uint64_t end_of(const struct net *n, uint32_t lifetime_s)
{
    return lifetime_s == UINT32_MAX ? UINT64_MAX : n->env.now_us + lifetime_s * 1000000ull;
}

/* ---- asking for routers --------------------------------------------------------------------- */

static const struct net_addr *own_link_local(const struct net_if *nif)
{
    for (unsigned i = 0; i < nif->n_addrs; i++)
        if (nif->addrs[i].state == NET_ADDR_VALID && ip_addr_is_link_local(&nif->addrs[i].ip))
            return &nif->addrs[i];
    return NULL;
}

void ndp_router_ask(struct net *n, struct net_if *nif)
{
    struct ndp *ndp = nif->ndp;
    const struct net_addr *from = own_link_local(nif);
    struct build_ndp b = {.l2.src = nif->mac,
                          .dst = {.b = {0xff, 2, [15] = 2}}, /* all routers */
                          .type = NDP_ROUTER_SOLICIT,
                          .has_lladdr = from != NULL};
    if (from)
        b.src = from->ip;
    b.l2.dst = mac_of_multicast6(&b.dst);
    ndp_send(nif, &b);
    ndp->router_ask_at_us = ++ndp->n_router_asks < NDP_ROUTER_ASK_TRIES
                                ? n->env.now_us + NDP_ROUTER_ASK_US
                                : UINT64_MAX;
}

/* ---- default routers ------------------------------------------------------------------------ */

static struct ndp_router *router_find(struct ndp *ndp, const struct ip_addr *ip)
{
    for (unsigned i = 0; i < ndp->n_routers; i++)
        if (ip_addr_eq(&ndp->routers[i].ip, ip))
            return &ndp->routers[i];
    return NULL;
}

/* The router that the default route should lead to: the first that is not known to be lost. */
static const struct ndp_router *router_best(const struct net *n, uint8_t *netif)
{
    const struct ndp_router *best = NULL;
    for (unsigned i = 0; i < n->n_ifs; i++) {
        const struct ndp *ndp = n->ifs[i].ndp;
        for (unsigned k = 0; ndp && k < ndp->n_routers; k++) {
            if (best && !(best->is_lost && !ndp->routers[k].is_lost))
                continue;
            best = &ndp->routers[k];
            *netif = (uint8_t)i;
        }
    }
    return best;
}

/* Nothing is left of a route that a router's advertisement made, and the best one is made; unless
 * the configuration has one, which net_route_add() keeps. */
static void default_route_choose(struct net *n)
{
    struct net_route r = {.is_dynamic = true};
    for (unsigned i = 0; i < n->n_ifs; i++) {
        r.netif = (uint8_t)i;
        route_del_dynamic(n, &r);
    }
    const struct ndp_router *best = router_best(n, &r.netif);
    if (!best)
        return;
    r.gateway = best->ip;
    int err = net_route_add(n, &r);
    if (err && err != -EEXIST && n->log)
        log_line(n->log, LOG_WARN, "%s: no memory for the router's route", n->ifs[r.netif].name);
}

static void router_remove(struct net *n, struct ndp *ndp, struct ndp_router *r)
{
    *r = ndp->routers[--ndp->n_routers];
    default_route_choose(n);
}

void ndp_router_gone(struct net *n, struct net_if *nif, const struct ip_addr *ip)
{
    struct ndp_router *r = nif->ndp ? router_find(nif->ndp, ip) : NULL;
    if (r)
        router_remove(n, nif->ndp, r);
}

void ndp_router_lost(struct net *n, struct net_if *nif, const struct ip_addr *ip)
{
    struct ndp_router *r = nif->ndp ? router_find(nif->ndp, ip) : NULL;
    if (!r)
        return;
    r->is_lost = true;
    default_route_choose(n);
}

static void router_heard(struct net *n, struct net_if *nif, const struct packet *p)
{
    struct ndp *ndp = nif->ndp;
    struct ndp_router *r = router_find(ndp, &p->src);
    if (p->ndp.lifetime_s == 0) {
        if (r)
            router_remove(n, ndp, r);
        return;
    }
    ndp->router_ask_at_us = UINT64_MAX;
    bool is_news = !r || r->is_lost;
    if (!r && ndp->n_routers == NDP_ROUTERS)
        return;
    if (!r)
        r = &ndp->routers[ndp->n_routers++];
    *r = (struct ndp_router){.ip = p->src, .until_us = end_of(n, p->ndp.lifetime_s)};
    if (is_news)
        default_route_choose(n);
}

/* ---- prefixes ------------------------------------------------------------------------------- */

static struct net_route route_of(const struct net_if *nif, const struct ndp_onlink *o)
{
    return (struct net_route){
        .dst = o->prefix, .prefix_len = o->len, .netif = nif->index, .is_dynamic = true};
}

static struct ndp_onlink *onlink_find(struct ndp *ndp, const struct ndp_prefix *x)
{
    for (unsigned i = 0; i < ndp->n_prefixes; i++)
        if (ndp->prefixes[i].len == x->len && ip_addr_eq(&ndp->prefixes[i].prefix, &x->prefix))
            return &ndp->prefixes[i];
    return NULL;
}

static void onlink_remove(struct net *n, struct net_if *nif, struct ndp_onlink *o)
{
    struct net_route r = route_of(nif, o);
    route_del_dynamic(n, &r);
    *o = nif->ndp->prefixes[--nif->ndp->n_prefixes];
}

static void onlink_heard(struct net *n, struct net_if *nif, const struct ndp_prefix *x)
{
    struct ndp *ndp = nif->ndp;
    struct ndp_onlink *o = onlink_find(ndp, x);
    if (x->valid_s == 0) {
        if (o)
            onlink_remove(n, nif, o);
        return;
    }
    if (o) {
        o->until_us = end_of(n, x->valid_s);
        return;
    }
    if (x->len == 0 || ndp->n_prefixes == NDP_PREFIXES)
        return; /* that everything were on this link is no router's to say */
    struct ndp_onlink new = {x->prefix, x->len, end_of(n, x->valid_s)};
    struct net_route r = route_of(nif, &new);
    if (net_route_add(n, &r) == 0) /* else a configured route is there */
        ndp->prefixes[ndp->n_prefixes++] = new;
}

/* RFC 4862 5.5.3 e: what nobody has signed can't shorten an address's life below two hours. */
static void addr_renew(const struct net *n, struct net_addr *a, const struct ndp_prefix *x)
{
    uint64_t two_hours_us = n->env.now_us + TWO_HOURS_US, until_us = end_of(n, x->valid_s);
    a->preferred_until_us = end_of(n, x->preferred_s);
    if (until_us > two_hours_us || until_us > a->valid_until_us)
        a->valid_until_us = until_us;
    else if (a->valid_until_us > two_hours_us)
        a->valid_until_us = two_hours_us;
}

static void autoconf_heard(struct net *n, struct net_if *nif, const struct ndp_prefix *x)
{
    enum { PREFIX_BITS = 64 }; /* what our identifier leaves (RFC 2464 4) */
    if (x->len != PREFIX_BITS)
        return;
    struct ip_addr ip = ndp_addr_of_prefix(nif, &x->prefix);
    struct net_addr *a = netif_addr_find(nif, &ip);
    if (a) {
        if (a->is_auto)
            addr_renew(n, a, x);
        return;
    }
    a = x->valid_s > 0 ? netif_addr_new(nif, &ip, PREFIX_BITS) : NULL;
    if (!a)
        return;
    a->is_auto = true;
    a->valid_until_us = end_of(n, x->valid_s);
    a->preferred_until_us = end_of(n, x->preferred_s);
    ndp_probe(n, nif, a);
}

/* ---- advertisements ------------------------------------------------------------------------- */

/* Times and MTU; what is beyond reason is not heard. */
static void link_heard(struct net *n, struct net_if *nif, const struct ndp_msg *m)
{
    struct ndp *ndp = nif->ndp;
    if (m->reachable_ms > 0 && m->reachable_ms <= REACHABLE_MAX_MS)
        ndp->base_reachable_us = m->reachable_ms * 1000;
    /* Between half and one and a half of it (RFC 4861 6.3.2), so that hosts don't ask in step. */
    ndp->reachable_us =
        (uint64_t)ndp->base_reachable_us / 2 + rng_below(&n->env.rng, ndp->base_reachable_us);
    if (m->retrans_ms >= RETRANS_MIN_MS && m->retrans_ms <= RETRANS_MAX_MS)
        ndp->retrans_us = m->retrans_ms * 1000;
    if (m->mtu >= PMTU_MIN6 && m->mtu <= nif->mtu)
        nif->mtu6 = (uint16_t)m->mtu;
}

void ndp_router_advert_in(struct net *n, struct net_if *nif, const struct packet *p)
{
    struct ndp_msg m = p->ndp;
    struct ndp_prefix x;
    if (netif_addr_find(nif, &p->src))
        return;
    struct neigh *e = neigh_of_sender(n, nif->index, &p->src);
    if (e) {
        e->is_router = true;
        if (m.has_lladdr)
            neigh_hint(n, e, &m.lladdr);
    }
    router_heard(n, nif, p);
    link_heard(n, nif, &m);
    while (ndp_next_prefix(&m, &x)) {
        if (x.is_on_link)
            onlink_heard(n, nif, &x);
        if (x.is_autonomous && nif->ndp->is_autoconf)
            autoconf_heard(n, nif, &x);
    }
    ndp_rearm(n, nif->ndp);
}

/* ---- age ------------------------------------------------------------------------------------ */

void ndp_router_expire(struct net *n, struct net_if *nif)
{
    struct ndp *ndp = nif->ndp;
    for (unsigned i = 0; i < ndp->n_routers;)
        if (ndp->routers[i].until_us <= n->env.now_us)
            router_remove(n, ndp, &ndp->routers[i]);
        else
            i++;
    for (unsigned i = 0; i < ndp->n_prefixes;)
        if (ndp->prefixes[i].until_us <= n->env.now_us)
            onlink_remove(n, nif, &ndp->prefixes[i]);
        else
            i++;
}

uint64_t ndp_router_next_us(const struct ndp *ndp)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < ndp->n_routers; i++)
        next = ndp->routers[i].until_us < next ? ndp->routers[i].until_us : next;
    for (unsigned i = 0; i < ndp->n_prefixes; i++)
        next = ndp->prefixes[i].until_us < next ? ndp->prefixes[i].until_us : next;
    return next;
}

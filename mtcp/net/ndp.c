/*
 * Neighbour discovery: solicitations and advertisements, duplicate address detection, the timer.
 * What a neighbour's answer does to its entry is RFC 4861 7.2.5; the states are neigh.c's.
 */
#include "mtcp/net/ndp.h"

#include "mtcp/net/neigh.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/source.h"
#include "mtcp/net/timer_kind.h"
#include "mtcp/tcp/state.h"
#include "mtcp/wire/build.h"

#include <errno.h>

static const struct ip_addr all_nodes = {.b = {0xff, 2, [15] = 1}};
static const struct ip_addr link_local_prefix = {.b = {0xfe, 0x80}};

/* ---- out ------------------------------------------------------------------------------------ */

void ndp_send(struct net_if *nif, const struct build_ndp *b)
{
    struct mtcp_pkt *pkt = netif_alloc(nif);
    if (!pkt)
        return;
    if (pkt->room < BUILD_NDP_MAX) {
        nif->io->free(nif->io, pkt);
        return;
    }
    pkt->len = build_ndp(pkt->data, b);
    netif_send(nif, pkt);
}

bool ndp_ask(struct net *n, struct net_if *nif, const struct ip_addr *ip, const struct mac_addr *to)
{
    const struct net_addr *from = source_for(n, nif, ip);
    if (!from)
        return false;
    struct build_ndp b = {.l2.src = nif->mac,
                          .src = from->ip,
                          .dst = *ip,
                          .type = NDP_SOLICIT,
                          .has_lladdr = true,
                          .target = *ip};
    if (to) {
        b.l2.dst = *to;
    } else {
        b.dst = ip_addr_solicited_node(ip);
        b.l2.dst = mac_of_multicast6(&b.dst);
    }
    ndp_send(nif, &b);
    return true;
}

/* Who has no address yet hears it with everybody else (RFC 4861 7.2.4). */
static void advertise(struct net_if *nif, const struct packet *p)
{
    bool to_all = ip_addr_is_any(&p->src);
    struct build_ndp b = {.l2 = {.src = nif->mac, .dst = p->eth_src},
                          .src = p->ndp.target,
                          .dst = p->src,
                          .type = NDP_ADVERT,
                          .is_solicited = !to_all,
                          .is_override = true,
                          .has_lladdr = true,
                          .target = p->ndp.target};
    if (p->ndp.has_lladdr)
        b.l2.dst = p->ndp.lladdr;
    if (to_all) {
        b.dst = all_nodes;
        b.l2.dst = mac_of_multicast6(&all_nodes);
    }
    ndp_send(nif, &b);
}

/* ---- our addresses -------------------------------------------------------------------------- */

/* Asks whether anybody else has the address (RFC 4862 5.4.2). */
static void send_probe(struct net_if *nif, const struct net_addr *a)
{
    struct build_ndp b = {.l2.src = nif->mac,
                          .dst = ip_addr_solicited_node(&a->ip),
                          .type = NDP_SOLICIT,
                          .target = a->ip};
    b.l2.dst = mac_of_multicast6(&b.dst);
    ndp_send(nif, &b);
}

void ndp_probe(struct net *n, struct net_if *nif, struct net_addr *a)
{
    a->n_probes = 0;
    a->state = n->conf.dad_probes ? NET_ADDR_TENTATIVE : NET_ADDR_VALID;
    a->probe_at_us = n->env.now_us;
    if (a->probe_at_us < nif->ndp->start_at_us)
        a->probe_at_us = nif->ndp->start_at_us;
    ndp_rearm(n, nif->ndp);
}

static void probe_due(struct net *n, struct net_if *nif, struct net_addr *a)
{
    if (a->n_probes >= n->conf.dad_probes) {
        a->state = NET_ADDR_VALID;
        return;
    }
    a->n_probes++;
    a->probe_at_us = n->env.now_us + nif->ndp->retrans_us;
    send_probe(nif, a);
}

/* For a walk over the flows. */
struct addr_walk {
    struct net *n;
    const struct ip_addr *ip;
};

static bool end_conn_from(void *arg, struct flow *f)
{
    const struct addr_walk *walk = arg;
    struct tcp_conn *c = conn_of_flow(f);
    if (f->kind == FLOW_CONN && ip_addr_eq(&c->tuple.local, walk->ip))
        conn_die(&walk->n->env, c, HOOK_END_ABORT, EADDRNOTAVAIL);
    return false;
}

/* Connections that waited for the address end: their answers would be another host's. */
static void addr_is_duplicate(struct net *n, const struct net_if *nif, struct net_addr *a)
{
    char text[IP_ADDR_STRLEN];
    struct addr_walk walk = {n, &a->ip};
    a->state = NET_ADDR_DUPLICATE;
    if (n->log)
        log_line(n->log, LOG_ERROR, "%s: another host has the address %s, which is not used",
                 nif->name, ip_addr_str(&a->ip, text));
    flow_table_each(n->flows, end_conn_from, &walk);
}

struct ip_addr ndp_addr_of_prefix(const struct net_if *nif, const struct ip_addr *prefix)
{
    const uint8_t *mac = nif->mac.b;
    uint8_t id[8] = {mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
    struct ip_addr a = *prefix;
    memcpy(a.b + 8, id, sizeof(id));
    return a;
}

/* ---- the interface -------------------------------------------------------------------------- */

static bool has_link_local(const struct net_if *nif)
{
    for (unsigned i = 0; i < nif->n_addrs; i++)
        if (ip_addr_is_link_local(&nif->addrs[i].ip))
            return true;
    return false;
}

static int link_local_add(struct net *n, struct net_if *nif)
{
    struct ip_addr prefix = netif_zoned(nif, &link_local_prefix);
    struct net_route on_link = {.dst = prefix, .prefix_len = 64, .netif = nif->index};
    if (!has_link_local(nif)) {
        struct ip_addr ip = ndp_addr_of_prefix(nif, &prefix);
        struct net_addr *a = netif_addr_new(nif, &ip, 64);
        if (!a)
            return -ENOSPC;
        ndp_probe(n, nif, a);
    }
    int err = net_route_add(n, &on_link);
    return err == -EEXIST ? 0 : err;
}

int ndp_enable(struct net *n, struct net_if *nif)
{
    if (nif->ndp)
        return 0;
    struct ndp *ndp = mem_zalloc(n->env.mem, sizeof(*ndp));
    if (!ndp)
        return -ENOMEM;
    timer_init(&ndp->timer, NET_TIMER_NDP);
    ndp->netif = nif->index;
    ndp->retrans_us = NDP_RETRANS_US;
    ndp->reachable_us = ndp->base_reachable_us = NDP_REACHABLE_US;
    ndp->start_at_us = n->env.now_us;
    if (n->conf.dad_probes)
        ndp->start_at_us += rng_below(&n->env.rng, NDP_START_DELAY_US);
    ndp->router_ask_at_us =
        ndp->start_at_us + n->conf.dad_probes * (uint64_t)NDP_RETRANS_US + NDP_RETRANS_US / 10;
    nif->ndp = ndp;
    return link_local_add(n, nif);
}

int ndp_autoconf(struct net *n, struct net_if *nif)
{
    int err = ndp_enable(n, nif);
    if (!err)
        nif->ndp->is_autoconf = true;
    return err;
}

void ndp_disable(struct net *n, struct net_if *nif)
{
    if (!nif->ndp)
        return;
    wheel_cancel(&n->env.wheel, &nif->ndp->timer);
    mem_free(n->env.mem, nif->ndp, sizeof(*nif->ndp));
    nif->ndp = NULL;
}

/* ---- time ----------------------------------------------------------------------------------- */

void ndp_rearm(struct net *n, struct ndp *ndp)
{
    const struct net_if *nif = &n->ifs[ndp->netif];
    uint64_t next = ndp_router_next_us(ndp);
    if (ndp->router_ask_at_us < next)
        next = ndp->router_ask_at_us;
    for (unsigned i = 0; i < nif->n_addrs; i++) {
        const struct net_addr *a = &nif->addrs[i];
        uint64_t at = a->state == NET_ADDR_TENTATIVE ? a->probe_at_us : a->valid_until_us;
        next = at < next ? at : next;
    }
    if (next == UINT64_MAX)
        wheel_cancel(&n->env.wheel, &ndp->timer);
    else
        wheel_arm(&n->env.wheel, &ndp->timer, next);
}

static void addr_remove(struct net_if *nif, unsigned i)
{
    nif->n_addrs--;
    memmove(&nif->addrs[i], &nif->addrs[i + 1], (nif->n_addrs - i) * sizeof(nif->addrs[0]));
    nif->addr = nif->n_addrs > 0 ? nif->addrs[0].ip : (struct ip_addr){0};
}

static void addrs_due(struct net *n, struct net_if *nif)
{
    uint64_t now_us = n->env.now_us;
    for (unsigned i = 0; i < nif->n_addrs;) {
        struct net_addr *a = &nif->addrs[i];
        if (a->valid_until_us <= now_us) {
            addr_remove(nif, i);
            continue;
        }
        if (a->state == NET_ADDR_TENTATIVE && a->probe_at_us <= now_us)
            probe_due(n, nif, a);
        i++;
    }
}

void ndp_timer(struct net *n, struct ndp *ndp)
{
    struct net_if *nif = &n->ifs[ndp->netif];
    addrs_due(n, nif);
    if (ndp->router_ask_at_us <= n->env.now_us)
        ndp_router_ask(n, nif);
    ndp_router_expire(n, nif);
    ndp_rearm(n, ndp);
}

/* ---- in ------------------------------------------------------------------------------------- */

bool ndp_is_in_group(const struct net_if *nif, const struct ip_addr *group)
{
    if (!nif->ndp || group->b[0] != 0xff)
        return false;
    if (ip_addr_eq(group, &all_nodes))
        return true;
    for (unsigned i = 0; i < nif->n_addrs; i++) {
        struct ip_addr mine = ip_addr_solicited_node(&nif->addrs[i].ip);
        if (!ip_addr_is_v4(&nif->addrs[i].ip) && ip_addr_eq(group, &mine))
            return true;
    }
    return false;
}

/* Somebody asks for an address of ours, or wants one that we are about to take (RFC 4862 5.4.3). */
static void solicit_in(struct net *n, struct net_if *nif, const struct packet *p)
{
    struct net_addr *mine = netif_addr_find(nif, &p->ndp.target);
    if (!mine || mine->state == NET_ADDR_DUPLICATE)
        return;
    if (mine->state == NET_ADDR_TENTATIVE) {
        if (ip_addr_is_any(&p->src))
            addr_is_duplicate(n, nif, mine);
        return;
    }
    if (p->ndp.has_lladdr) {
        struct neigh *e = neigh_of_sender(n, nif->index, &p->src);
        if (e)
            neigh_hint(n, e, &p->ndp.lladdr);
    }
    advertise(nif, p);
}

/* RFC 4861 7.2.5, for an entry that has no address yet. */
static void advert_first(struct net *n, struct neigh *e, const struct ndp_msg *m)
{
    if (!m->has_lladdr)
        return;
    e->is_router = m->is_router;
    if (m->is_solicited)
        neigh_confirm(n, e, &m->lladdr);
    else
        neigh_hint(n, e, &m->lladdr);
}

/* The same for one that has: another address than it has counts only when it overrides. */
static void advert_again(struct net *n, struct neigh *e, const struct ndp_msg *m)
{
    struct mac_addr mac = m->has_lladdr ? m->lladdr : e->mac;
    bool is_other = memcmp(&mac, &e->mac, sizeof(mac)) != 0;
    if (is_other && !m->is_override) {
        if (e->state == NEIGH_REACHABLE)
            e->fresh_until_us = 0; /* asked again when it is used */
        return;
    }
    bool was_router = e->is_router;
    e->is_router = m->is_router;
    if (m->is_solicited)
        neigh_confirm(n, e, &mac);
    else
        neigh_hint(n, e, &mac);
    if (was_router && !m->is_router)
        ndp_router_gone(n, &n->ifs[e->netif], &e->ip);
}

static void advert_in(struct net *n, struct net_if *nif, const struct packet *p)
{
    struct net_addr *mine = netif_addr_find(nif, &p->ndp.target);
    if (mine) {
        if (mine->state == NET_ADDR_TENTATIVE)
            addr_is_duplicate(n, nif, mine);
        return;
    }
    struct neigh *e = neigh_find(n, nif->index, &p->ndp.target);
    if (!e || e->is_static || e->state == NEIGH_NONE)
        return;
    if (e->state == NEIGH_INCOMPLETE)
        advert_first(n, e, &p->ndp);
    else
        advert_again(n, e, &p->ndp);
}

void ndp_in(struct net *n, const struct rx *x)
{
    struct net_if *nif = x->nif;
    bool is_to_us =
        nif->ndp && (ndp_is_in_group(nif, &x->p.dst) || netif_addr_find(nif, &x->p.dst));
    /* A frame of our own that came back says nothing of others (RFC 4862 appendix A). */
    if (!is_to_us || memcmp(&x->p.eth_src, &nif->mac, sizeof(nif->mac)) == 0)
        return;
    switch (x->p.ndp.type) {
    case NDP_SOLICIT:
        solicit_in(n, nif, &x->p);
        break;
    case NDP_ADVERT:
        advert_in(n, nif, &x->p);
        break;
    case NDP_ROUTER_ADVERT:
        ndp_router_advert_in(n, nif, &x->p);
        break;
    default: /* router solicitations are for routers */
        break;
    }
}

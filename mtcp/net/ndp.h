/*
 * Neighbour discovery (RFC 4861) and what hosts do with it (RFC 4862): IPv6 neighbours are asked,
 * and ask us; our addresses are probed before they are ours; routers say where the ways out are,
 * which prefixes are on the link and what it takes (ndp_router.c). The neighbours' table: neigh.h.
 *
 * An interface has this from its first IPv6 address on. What is configured always wins over what a
 * router says, and what all routers of a link can make us keep is bounded.
 */
#ifndef MTCP_NET_NDP_H
#define MTCP_NET_NDP_H

#include "mtcp/net/packet_in.h"

#define NDP_ROUTERS  4u /* of one interface; more are not heard */
#define NDP_PREFIXES 8u

#define NDP_RETRANS_US       1000000u  /* RETRANS_TIMER (RFC 4861 10) */
#define NDP_REACHABLE_US     30000000u /* REACHABLE_TIME */
#define NDP_START_DELAY_US   1000000u  /* at most, before the first packet (RFC 4862 5.4.2) */
#define NDP_ROUTER_ASK_US    4000000u  /* RTR_SOLICITATION_INTERVAL */
#define NDP_ROUTER_ASK_TRIES 3u

struct build_ndp; /* wire/build.h */

struct ndp_router {
    struct ip_addr ip;
    uint64_t until_us;
    bool is_lost; /* it does not answer: the last choice (RFC 4861 6.3.6) */
};

struct ndp_onlink {
    struct ip_addr prefix;
    uint8_t len;
    uint64_t until_us;
};

/* What an interface keeps for IPv6. */
struct ndp {
    struct timer timer; /* the next of the times below and of the addresses' */
    uint8_t netif;
    bool is_autoconf;          /* addresses from the routers' prefixes */
    uint8_t n_router_asks;     /* router solicitations sent */
    uint64_t start_at_us;      /* nothing goes out before */
    uint64_t router_ask_at_us; /* UINT64_MAX: never (again) */
    uint32_t retrans_us, base_reachable_us;
    uint64_t reachable_us; /* as drawn from the base: up to one and a half of it */
    unsigned n_routers, n_prefixes;
    struct ndp_router routers[NDP_ROUTERS];
    struct ndp_onlink prefixes[NDP_PREFIXES];
};

/* ---- an interface ---- */

/* IPv6 begins: the link-local address, the search for routers. 0 (also when it has begun), -ENOMEM,
 * -ENOSPC. */
MUST_CHECK int ndp_enable(struct net *n, struct net_if *nif);
MUST_CHECK int ndp_autoconf(struct net *n, struct net_if *nif);
void ndp_disable(struct net *n, struct net_if *nif); /* frees; harmless without IPv6 */

/* A new address: is it ours alone? Until that is known it is tentative. */
void ndp_probe(struct net *n, struct net_if *nif, struct net_addr *a);

/* The address that the interface's own identifier makes of a prefix of 64 bits (RFC 4291 2.5.1). */
struct ip_addr ndp_addr_of_prefix(const struct net_if *nif, const struct ip_addr *prefix);

void ndp_timer(struct net *n, struct ndp *ndp);

/* The timer fires when the next thing is due: to be called after any of the times has changed. */
void ndp_rearm(struct net *n, struct ndp *ndp);

static inline uint32_t ndp_retrans_us(const struct net_if *nif)
{
    return nif->ndp ? nif->ndp->retrans_us : NDP_RETRANS_US;
}

static inline uint64_t ndp_reachable_us(const struct net_if *nif)
{
    return nif->ndp ? nif->ndp->reachable_us : NDP_REACHABLE_US;
}

/* ---- packets ---- */

/* Sends a message; it is lost when the device has no packet for it. */
void ndp_send(struct net_if *nif, const struct build_ndp *b);

/* Asks the neighbour's group (to NULL), or the neighbour itself. False: the interface has no
 * address yet that it could ask from. */
bool ndp_ask(struct net *n, struct net_if *nif, const struct ip_addr *ip,
             const struct mac_addr *to);

/* A message came in. */
void ndp_in(struct net *n, const struct rx *x);

/* Does the interface listen to this multicast group? */
bool ndp_is_in_group(const struct net_if *nif, const struct ip_addr *group);

/* ---- routers (ndp_router.c) ---- */

void ndp_router_ask(struct net *n, struct net_if *nif);
void ndp_router_advert_in(struct net *n, struct net_if *nif, const struct packet *p);

/* A router does not answer, or says that it is none any more: another takes its place. */
void ndp_router_lost(struct net *n, struct net_if *nif, const struct ip_addr *ip);
void ndp_router_gone(struct net *n, struct net_if *nif, const struct ip_addr *ip);

/* Forgets what is past its time; the time of what comes next. */
void ndp_router_expire(struct net *n, struct net_if *nif);
uint64_t ndp_router_next_us(const struct ndp *ndp);

#endif

/*
 * Neighbours on the link and their MAC addresses: one bounded table for both families, in the
 * states of RFC 4861 7.3.2. How a neighbour is asked differs: arp.c (RFC 826, RFC 1122 2.3.2) and
 * ndp.c (RFC 4861). An address in use is asked for again now and then. While an address is being
 * asked for, connections wait before they build a segment (so any number can, and they hear when it
 * fails); other packets wait built, a bounded number, and half-open connections beyond it unbuilt.
 */
#ifndef MTCP_NET_NEIGH_H
#define MTCP_NET_NEIGH_H

#include "mtcp/net/net.h"

#include <string.h>

#define NEIGH_MAX         1024u
#define NEIGH_MAX_WAITING 256u /* packets in all queues */
#define NEIGH_WAITING     16u  /* packets in one queue; the oldest goes first */
#define NEIGH_TRIES       3u   /* requests before the neighbour counts as unreachable */

#define ARP_RETRY_US 1000000u  /* apart (RFC 1122 2.3.2.1: at most one per second) */
#define ARP_FRESH_US 60000000u /* how long an answer is believed unasked */
#define NDP_DELAY_US 5000000u  /* DELAY_FIRST_PROBE_TIME (RFC 4861 10) */

enum neigh_state {
    NEIGH_NONE,       /* no address, nobody asks */
    NEIGH_INCOMPLETE, /* no address, requests go out, packets wait */
    NEIGH_REACHABLE,  /* an address, believed until fresh_until_us; later it counts as stale */
    NEIGH_STALE,      /* an address that nobody has confirmed */
    NEIGH_DELAY,      /* in use though stale, and about to be asked (IPv6) */
    NEIGH_PROBE,      /* an address, requests go out, packets go to it meanwhile */
};

struct neigh {
    uint64_t fresh_until_us; /* before it frames go to mac without a thought; 0: at once not */
    struct mac_addr mac;
    uint8_t state; /* enum neigh_state */
    uint8_t netif;
    struct ip_addr ip;
    uint8_t n_tries, n_waiting;
    bool is_static, is_used; /* used: packets of ours went there */
    bool is_router;          /* says that it is one (IPv6) */
    struct mtcp_pkt *wait_head, *wait_tail;
    struct tcp_conn *parked, **parked_tail; /* linked by out_next, TCF_ON_OUT */
    struct neigh *chain;
    struct list_node age; /* in order of the last answer, or of when it did not come */
    struct timer timer;
};

MUST_CHECK int neigh_init(struct net *n);
void neigh_fini(struct net *n);

/* The entry of a neighbour that we want to send to, made when there is none (another may have to
 * end for it); NULL when there is no place. */
struct neigh *neigh_get(struct net *n, uint8_t netif, const struct ip_addr *ip);

/* The entry that there is, or NULL. */
struct neigh *neigh_find(struct net *n, uint8_t netif, const struct ip_addr *ip);

/* An entry for a neighbour that made itself known and is on this link: the one there is or a new
 * one, for which nobody has to end; NULL when there is none. */
struct neigh *neigh_of_sender(struct net *n, uint8_t netif, const struct ip_addr *ip);

static inline bool neigh_is_fresh(const struct net *n, const struct neigh *e)
{
    return n->env.now_us < e->fresh_until_us;
}

/* Can frames go there, though it may be time to ask again? */
static inline bool neigh_is_known(const struct neigh *e)
{
    return e->state >= NEIGH_REACHABLE;
}

static inline void neigh_address_frame(const struct neigh *e, struct mtcp_pkt *pkt)
{
    memcpy(pkt->data, e->mac.b, sizeof(e->mac.b));
}

/* What is sent there gets no answer: it is asked whether it is still there. */
static inline void neigh_doubt(const struct net *n, struct neigh *e)
{
    if (e->state == NEIGH_REACHABLE && !e->is_static)
        e->fresh_until_us = n->env.now_us;
}

/* What to do with a frame for a neighbour that is not fresh. True: it has its address now and can
 * go. False: it waits (or, beyond the bounds, was freed and counted). */
bool neigh_resolve(struct net *n, struct neigh *e, struct mtcp_pkt *pkt);

/* Its address will be needed: it is asked for, unless it is known or has been asked for. */
void neigh_want(struct net *n, struct neigh *e);

/* Would a frame for it push out another one that waits, or not be kept? */
bool neigh_queue_is_full(const struct net *n, const struct neigh *e);

/* The connection waits for the neighbour's address: marked for output again when there is one, told
 * EHOSTUNREACH when there is none. One that is marked already, by what a monitor had queued, is not
 * put on a second list: the next flush brings it back. */
void neigh_park(struct net *n, struct neigh *e, struct tcp_conn *c);

/* Marks every waiting connection for output now. */
void neigh_unpark_all(struct net *n);

/* It answered: the address is believed for a while, and what waited for it goes. */
void neigh_confirm(struct net *n, struct neigh *e, const struct mac_addr *mac);

/* Its address came up unasked: news is taken, and confirmed when it is used (RFC 4861 7.2.3). */
void neigh_hint(struct net *n, struct neigh *e, const struct mac_addr *mac);

/* The timer of an entry came due. */
void neigh_timer(struct net *n, struct neigh *e);

#endif

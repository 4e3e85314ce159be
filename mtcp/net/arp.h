/*
 * Neighbours on the link and their MAC addresses (RFC 826, RFC 1122 2.3.2). A bounded table; an
 * address in use is asked for again now and then. While an address is being asked for, connections
 * wait before they build a segment (so any number can, and they hear when it fails); other packets
 * wait built, a bounded number.
 */
#ifndef MTCP_NET_ARP_H
#define MTCP_NET_ARP_H

#include "mtcp/net/net.h"
#include "mtcp/wire/parse.h"

#include <string.h>

#define ARP_MAX_ENTRIES   1024u
#define ARP_MAX_WAITING   256u      /* packets in all queues */
#define ARP_ENTRY_WAITING 16u       /* packets in one queue; the oldest goes first */
#define ARP_TRIES         3u        /* requests before the neighbour counts as unreachable */
#define ARP_RETRY_US      1000000u  /* apart (RFC 1122 2.3.2.1: at most one per second) */
#define ARP_FRESH_US      60000000u /* how long an answer is believed unasked */

enum arp_state {
    ARP_IDLE,    /* no address, nobody asks */
    ARP_ASKING,  /* no address, requests go out, packets wait */
    ARP_KNOWN,   /* an address, believed until fresh_until_us */
    ARP_RECHECK, /* an address, requests go out, packets go to it meanwhile */
};

struct arp_entry {
    uint64_t fresh_until_us; /* before it frames go to mac without a thought; 0: no address */
    struct mac_addr mac;
    uint8_t state; /* enum arp_state */
    uint8_t netif;
    be32_t ip;
    uint8_t n_tries, n_waiting;
    bool is_static, is_used; /* used: packets of ours went there */
    struct mtcp_pkt *wait_head, *wait_tail;
    struct tcp_conn *parked, **parked_tail; /* linked by out_next, TCF_ON_OUT */
    struct arp_entry *chain;
    struct list_node age; /* in order of the last answer */
    struct timer timer;
};

MUST_CHECK int arp_init(struct net *n);
void arp_fini(struct net *n);

/* The entry of a neighbour that we want to send to, made when there is none (another may have to
 * end for it); NULL when there is no place or it is not an IPv4 address. */
struct arp_entry *arp_get(struct net *n, uint8_t netif, const struct ip_addr *ip);

static inline bool arp_is_fresh(const struct net *n, const struct arp_entry *e)
{
    return n->env.now_us < e->fresh_until_us;
}

/* Can frames go there, though it may be time to ask again? */
static inline bool arp_is_known(const struct arp_entry *e)
{
    return e->state == ARP_KNOWN || e->state == ARP_RECHECK;
}

static inline void arp_address_frame(const struct arp_entry *e, struct mtcp_pkt *pkt)
{
    memcpy(pkt->data, e->mac.b, sizeof(e->mac.b));
}

/* What to do with a frame for a neighbour that is not fresh. True: it has its address now and can
 * go. False: it waits (or, beyond the bounds, was freed and counted). */
bool arp_resolve(struct net *n, struct arp_entry *e, struct mtcp_pkt *pkt);

/* The connection waits for the neighbour's address: marked for output again when there is one, told
 * EHOSTUNREACH when there is none. One that is marked already, by what a monitor had queued, is not
 * put on a second list: the next flush brings it back. */
void arp_park(struct net *n, struct arp_entry *e, struct tcp_conn *c);

/* Marks every waiting connection for output now. */
void arp_unpark_all(struct net *n);

/* An ARP packet came in: answers, learns what is for us or known already. */
void arp_in(struct net *n, struct net_if *nif, const struct packet *p);

/* The request timer of an entry came due. */
void arp_timer(struct net *n, struct arp_entry *e);

/* Tells the link about our address (gratuitous ARP, RFC 5227 2.3). */
void arp_announce(struct net *n, struct net_if *nif);

#endif

/* Interfaces: our addresses, and the burst of frames that waits for each device. */
#ifndef MTCP_NET_NETIF_H
#define MTCP_NET_NETIF_H

#include "mtcp/net/net.h"

/* Hands what waits to the device; what that refuses stays, in order. */
void netif_flush(struct net_if *nif);

/* Can one more frame wait? Asked before a frame is built, so that none is built in vain. */
static inline bool netif_has_room(struct net_if *nif)
{
    if (unlikely(nif->n_tx == NET_TX_BURST))
        netif_flush(nif);
    return nif->n_tx < NET_TX_BURST;
}

/* An empty packet that may be sent, or NULL (counted): no buffer, or the device takes no more. */
struct mtcp_pkt *netif_alloc(struct net_if *nif);

/* Queues a finished frame for the device; it is gone. Dropped and counted when there is no room. */
void netif_send(struct net_if *nif, struct mtcp_pkt *pkt);

/* Sends a finished frame whose destination MAC address depends on the hop: now, or when the address
 * has been resolved. */
void netif_send_to(struct net *n, const struct net_hop *hop, struct mtcp_pkt *pkt);

/* Is it an address of one of our interfaces? */
bool netif_owns(const struct net *n, const struct ip_addr *a);

/* Is it the address of a host: not unspecified, broadcast, multicast, loopback or of class E? */
bool netif_addr_is_host(const struct ip_addr *a);

#endif

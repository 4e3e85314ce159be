/* Interfaces: our addresses, and the burst of frames that waits for each device. */
#ifndef MTCP_NET_NETIF_H
#define MTCP_NET_NETIF_H

#include "mtcp/net/net.h"

/* Frees what an interface holds. */
void netif_fini(struct net *n, struct net_if *nif);

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

/* The monitor sees a frame of the device. It may do anything but send at once: the caller holds on
 * to nothing that another call of net/ could change, neighbours excepted (neigh.c evicts none). */
void netif_show(const struct net_if *nif, const struct mtcp_pkt *pkt, enum hook_dir dir);

/* Queues a finished frame for the device; it is gone. Dropped and counted when there is no room. */
void netif_send(struct net_if *nif, struct mtcp_pkt *pkt);

/* Sends a finished frame whose destination MAC address depends on the hop: now, or when the address
 * has been resolved. */
void netif_send_to(struct net *n, const struct net_hop *hop, struct mtcp_pkt *pkt);

/* The address of the interface that this is, whatever its state, or NULL. */
struct net_addr *netif_addr_find(const struct net_if *nif, const struct ip_addr *a);

/* One more address, whose uniqueness is nobody's question here; NULL: there are too many. */
struct net_addr *netif_addr_new(struct net_if *nif, const struct ip_addr *ip, uint8_t prefix_len);

/* The interface's zone (addr.h), and an address with it if that is link-local. */
static inline uint16_t netif_zone(const struct net_if *nif)
{
    return (uint16_t)(nif->index + 1u);
}

static inline struct ip_addr netif_zoned(const struct net_if *nif, const struct ip_addr *a)
{
    struct ip_addr zoned = *a;
    ip_addr_set_zone(&zoned, netif_zone(nif));
    return zoned;
}

/* Bytes of IP per packet. */
static inline uint16_t netif_mtu(const struct net_if *nif, const struct ip_addr *local)
{
    return ip_addr_is_v4(local) ? nif->mtu : nif->mtu6;
}

/* Is it an address of one of our interfaces, and ours alone as far as we know? */
bool netif_owns(const struct net *n, const struct ip_addr *a);

/* Is it everybody on the link of one of our interfaces (RFC 1122 3.2.1.3)? */
bool netif_is_broadcast(const struct net *n, const struct ip_addr *a);

/* Is it the address of a host: not unspecified, broadcast, multicast, loopback or of class E? */
bool netif_addr_is_host(const struct ip_addr *a);

#endif

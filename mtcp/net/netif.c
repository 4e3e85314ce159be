/* Interfaces: set-up, addresses, and the last step of a frame before the device. */
#include "mtcp/net/netif.h"

#include "mtcp/net/arp.h"
#include "mtcp/net/route.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <string.h>

#define MTU_MIN      576u /* what every IPv4 host takes (RFC 791 3.2); less is a mistake */
#define IP_MAX       65535u
#define TCP_HDRS_MAX (IPV6_HDR_LEN + TCP_HDR_LEN + TCP_OPT_MAX)

/* ---- set-up --------------------------------------------------------------------------------- */

/* The device cuts what it also sums; anything else is done as MTU frames. */
static uint32_t tso_len_of(const struct mtcp_io *io)
{
    uint32_t max = io->tso_max < IP_MAX ? io->tso_max : IP_MAX;
    bool cuts = (io->caps & MTCP_IO_TSO) && (io->caps & MTCP_IO_TX_TCP_CSUM);
    return cuts && max > io->mtu ? max - TCP_HDRS_MAX : 0;
}

static int netif_add_route(struct net *n, const struct net_if *nif)
{
    if (ip_addr_is_any(&nif->addr))
        return 0;
    struct net_route r = {.dst = nif->addr, .prefix_len = nif->prefix_len, .netif = nif->index};
    int err = net_route_add(n, &r);
    return err == -EEXIST ? 0 : err; /* a second interface on the same link */
}

int net_if_add(struct net *n, struct mtcp_io *io, const char *name, const struct ip_addr *addr,
               uint8_t prefix_len)
{
    if (n->n_ifs == NET_IF_MAX)
        return -ENOSPC;
    if (io->mtu < MTU_MIN)
        return -EINVAL;
    struct net_if *nif = &n->ifs[n->n_ifs];
    *nif = (struct net_if){
        .io = io,
        .name = name,
        .mtu = io->mtu,
        .index = (uint8_t)n->n_ifs,
        .addr = *addr,
        .prefix_len = prefix_len,
        .announce_due = ip_addr_is_v4(addr) && !ip_addr_is_any(addr),
        .tso_len = tso_len_of(io),
    };
    memcpy(nif->mac.b, io->mac, sizeof(nif->mac.b));
    n->n_ifs++;
    int err = netif_add_route(n, nif);
    if (err) {
        n->n_ifs--;
        return err;
    }
    return nif->index;
}

/* ---- addresses ------------------------------------------------------------------------------ */

bool netif_owns(const struct net *n, const struct ip_addr *a)
{
    for (unsigned i = 0; i < n->n_ifs; i++)
        if (ip_addr_eq(&n->ifs[i].addr, a))
            return !ip_addr_is_any(a);
    return false;
}

bool net_addr_is_local(const struct net *n, const struct ip_addr *a)
{
    return ip_addr_is_any(a) || netif_owns(n, a);
}

bool netif_addr_is_host(const struct ip_addr *a)
{
    if (ip_addr_is_any(a))
        return false;
    if (!ip_addr_is_v4(a))
        return a->b[0] != 0xff && !(a->q[0] == 0 && a->w[2].raw == 0 && be32_get(a->w[3]) == 1);
    return a->b[12] != 0 && a->b[12] != 127 && a->b[12] < 224;
}

/* ---- frames out ----------------------------------------------------------------------------- */

static uint64_t burst_bytes(const struct net_if *nif)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < nif->n_tx; i++)
        bytes += nif->tx[i]->len;
    return bytes;
}

void netif_flush(struct net_if *nif)
{
    if (nif->n_tx == 0)
        return;
    uint64_t bytes = burst_bytes(nif);
    unsigned sent = nif->io->tx_burst(nif->io, nif->tx, nif->n_tx);
    sent = sent < nif->n_tx ? sent : nif->n_tx;
    nif->n_tx -= sent;
    nif->tx_packets += sent;
    if (unlikely(nif->n_tx > 0)) {
        nif->tx_refused += nif->n_tx;
        for (unsigned i = 0; i < nif->n_tx; i++)
            nif->tx[i] = nif->tx[i + sent];
        bytes -= burst_bytes(nif);
    }
    nif->tx_bytes += bytes;
}

struct mtcp_pkt *netif_alloc(struct net_if *nif)
{
    struct mtcp_pkt *pkt = likely(netif_has_room(nif)) ? nif->io->alloc(nif->io) : NULL;
    if (unlikely(!pkt))
        nif->tx_no_buffer++;
    return pkt;
}

void netif_send(struct net_if *nif, struct mtcp_pkt *pkt)
{
    if (unlikely(!netif_has_room(nif))) {
        nif->io->free(nif->io, pkt);
        nif->tx_no_buffer++;
        return;
    }
    nif->tx[nif->n_tx++] = pkt;
}

void netif_send_to(struct net *n, const struct net_hop *hop, struct mtcp_pkt *pkt)
{
    struct net_if *nif = &n->ifs[hop->netif];
    if (likely(arp_is_fresh(n, hop->neigh)))
        arp_address_frame(hop->neigh, pkt);
    else if (!arp_resolve(n, hop->neigh, pkt))
        return;
    netif_send(nif, pkt);
}

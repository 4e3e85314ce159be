/* Interfaces: set-up, addresses, and the last step of a frame before the device. */
#include "mtcp/net/netif.h"

#include "mtcp/net/ndp.h"
#include "mtcp/net/neigh.h"
#include "mtcp/net/own_packet.h"
#include "mtcp/net/pmtu.h"
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

static int netif_add_route(struct net *n, const struct net_if *nif, const struct ip_addr *addr,
                           uint8_t prefix_len)
{
    struct net_route r = {.dst = *addr, .prefix_len = prefix_len, .netif = nif->index};
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
        .mtu6 = io->mtu,
        .index = (uint8_t)n->n_ifs,
        .tso_len = tso_len_of(io),
        .takes_pieces = (io->caps & MTCP_IO_TX_PIECES) && (io->caps & MTCP_IO_TX_TCP_CSUM),
        .watcher = n->is_watched ? n : NULL,
    };
    memcpy(nif->mac.b, io->mac, sizeof(nif->mac.b));
    n->n_ifs++;
    int err = ip_addr_is_any(addr) ? 0 : net_addr_add(n, nif->index, addr, prefix_len);
    if (err) {
        ndp_disable(n, nif);
        n->n_ifs--;
        return err;
    }
    return nif->index;
}

int net_wire(struct net *n, bool forward)
{
    if (forward && n->n_ifs != 2)
        return -EINVAL;
    for (unsigned i = 0; i < n->n_ifs; i++) {
        n->ifs[i].is_wire = true;
        n->ifs[i].forward_to = forward ? &n->ifs[1 - i] : NULL;
    }
    return 0;
}

void netif_fini(struct net *n, struct net_if *nif)
{
    for (unsigned i = 0; i < nif->n_tx; i++)
        nif->io->free(nif->io, nif->tx[i]);
    nif->n_tx = 0;
    own_packets_drop(nif);
    ndp_disable(n, nif);
}

int net_if_autoconf(struct net *n, uint8_t netif)
{
    if (netif >= n->n_ifs || n->ifs[netif].mtu < PMTU_MIN6)
        return -EINVAL;
    return ndp_autoconf(n, &n->ifs[netif]);
}

/* ---- addresses ------------------------------------------------------------------------------ */

struct net_addr *netif_addr_find(const struct net_if *nif, const struct ip_addr *a)
{
    for (unsigned i = 0; i < nif->n_addrs; i++)
        if (ip_addr_eq(&nif->addrs[i].ip, a))
            return (struct net_addr *)&nif->addrs[i];
    return NULL;
}

struct net_addr *netif_addr_new(struct net_if *nif, const struct ip_addr *ip, uint8_t prefix_len)
{
    if (nif->n_addrs == NET_ADDRS_MAX)
        return NULL;
    struct net_addr *a = &nif->addrs[nif->n_addrs];
    *a = (struct net_addr){.ip = *ip,
                           .prefix_len = prefix_len,
                           .preferred_until_us = UINT64_MAX,
                           .valid_until_us = UINT64_MAX};
    if (nif->n_addrs++ == 0)
        nif->addr = *ip;
    return a;
}

static bool addr_is_possible(const struct net *n, uint8_t netif, const struct ip_addr *addr,
                             uint8_t prefix_len)
{
    if (netif >= n->n_ifs || ip_addr_is_any(addr) || ip_addr_is_multicast(addr))
        return false;
    if (ip_addr_is_v4(addr))
        return prefix_len <= 32;
    return prefix_len <= 128 && n->ifs[netif].mtu >= PMTU_MIN6;
}

int net_addr_add(struct net *n, uint8_t netif, const struct ip_addr *addr, uint8_t prefix_len)
{
    if (!addr_is_possible(n, netif, addr, prefix_len))
        return -EINVAL;
    struct net_if *nif = &n->ifs[netif];
    struct ip_addr ip = netif_zoned(nif, addr);
    bool is_v4 = ip_addr_is_v4(&ip);
    if (netif_addr_find(nif, &ip))
        return -EEXIST;
    struct net_addr *a = netif_addr_new(nif, &ip, prefix_len);
    if (!a)
        return -ENOSPC;
    int err = is_v4 ? 0 : ndp_enable(n, nif);
    if (!err)
        err = netif_add_route(n, nif, &ip, prefix_len);
    if (!err && !is_v4)
        ndp_probe(n, nif, a);
    nif->announce_due |= !err && is_v4;
    return err;
}

bool netif_owns(const struct net *n, const struct ip_addr *a)
{
    for (unsigned i = 0; i < n->n_ifs; i++) {
        const struct net_addr *mine = netif_addr_find(&n->ifs[i], a);
        if (mine)
            return mine->state == NET_ADDR_VALID;
    }
    return false;
}

bool net_addr_is_local(const struct net *n, const struct ip_addr *a)
{
    for (unsigned i = 0; i < n->n_ifs; i++) {
        const struct net_addr *mine = netif_addr_find(&n->ifs[i], a);
        if (mine)
            return mine->state != NET_ADDR_DUPLICATE;
    }
    return ip_addr_is_any(a);
}

bool netif_is_broadcast(const struct net *n, const struct ip_addr *a)
{
    if (!ip_addr_is_v4(a))
        return false;
    for (unsigned i = 0; i < n->n_ifs; i++)
        for (unsigned k = 0; k < n->ifs[i].n_addrs; k++) {
            const struct net_addr *mine = &n->ifs[i].addrs[k];
            if (!ip_addr_is_v4(&mine->ip) || mine->prefix_len >= 31) /* RFC 3021 */
                continue;
            uint32_t hosts = UINT32_MAX >> mine->prefix_len;
            if ((be32_get(mine->ip.w[3]) | hosts) == be32_get(a->w[3]))
                return true;
        }
    return false;
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

void netif_show(const struct net_if *nif, const struct mtcp_pkt *pkt, enum hook_dir dir)
{
    const struct net *n = nif->watcher;
    struct hook_seg f = {
        .dir = dir,
        .frame = pkt->data,
        .frame_len = pkt->len,
        .l3_off = pkt->len < ETH_HDR_LEN ? 0 : ETH_HDR_LEN,
        .netif = nif->index,
        .now_us = n->env.now_us,
    };
    n->env.hooks->frame(n->env.mon, &f);
}

/* The last frame goes now, with what waits before it, or is made one that can wait: where its
 * pieces lie other bytes may be soon. */
static __attribute__((noinline)) void send_pieces(struct net_if *nif)
{
    netif_flush(nif);
    if (nif->n_tx > 0)
        mtcp_pkt_join(nif->tx[nif->n_tx - 1]);
}

void netif_send(struct net_if *nif, struct mtcp_pkt *pkt)
{
    if (unlikely(!netif_has_room(nif))) {
        nif->io->free(nif->io, pkt);
        nif->tx_no_buffer++;
        return;
    }
    nif->tx[nif->n_tx++] = pkt;
    if (unlikely(nif->watcher != NULL))
        netif_show(nif, pkt, HOOK_OUT);
    else if (unlikely(pkt->flags & MTCP_PKT_TX_PIECES))
        send_pieces(nif);
}

/* It may have to wait. */
static bool resolve(struct net *n, const struct net_hop *hop, struct mtcp_pkt *pkt)
{
    if (pkt->flags & MTCP_PKT_TX_PIECES)
        mtcp_pkt_join(pkt);
    return neigh_resolve(n, hop->neigh, pkt);
}

void netif_send_to(struct net *n, const struct net_hop *hop, struct mtcp_pkt *pkt)
{
    struct net_if *nif = &n->ifs[hop->netif];
    if (likely(neigh_is_fresh(n, hop->neigh)))
        neigh_address_frame(hop->neigh, pkt);
    else if (!resolve(n, hop, pkt))
        return;
    netif_send(nif, pkt);
}

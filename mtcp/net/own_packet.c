/* Packets of a monitor's own. */
#include "mtcp/net/own_packet.h"

#include "mtcp/net/netif.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/net/route.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/parse.h"

#include <errno.h>
#include <string.h>

/* The Ethernet header that was given, or one without a destination. */
static void write_eth(uint8_t *at, const struct net_if *nif, const uint8_t *eth, bool is_v4)
{
    struct eth_hdr h = {.src = nif->mac};
    h.type = be16_make(is_v4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    memcpy(at, eth ? eth : (const uint8_t *)&h, sizeof(h));
}

/* A packet with room for a frame of that length; NULL: there is none. */
static struct mtcp_pkt *alloc(struct net_if *nif, uint32_t len)
{
    struct mtcp_pkt *pkt = nif->io->alloc(nif->io);
    if (pkt && pkt->room < len) {
        nif->io->free(nif->io, pkt);
        pkt = NULL;
    }
    if (!pkt)
        nif->tx_no_buffer++;
    return pkt;
}

static void push(struct net *n, struct net_if *nif, struct mtcp_pkt *pkt)
{
    n->has_own = true;
    pkt->next = NULL;
    if (nif->own_head)
        nif->own_last->next = pkt;
    else
        nif->own_head = pkt;
    nif->own_last = pkt;
}

/* May who finds it too long on the way cut it (RFC 791 2.3, RFC 8200 4.5)? */
static bool may_be_cut(const uint8_t *ip, uint32_t len)
{
    const struct ipv4_hdr *h = (const void *)ip;
    return len >= IPV4_HDR_LEN && ip[0] >> 4 == 4 && !(be16_get(h->frag_off) & IPV4_DF);
}

static uint32_t longest(const struct net *n, const struct net_if *nif, const struct ip_addr *to,
                        bool is_cut)
{
    uint16_t mtu = netif_mtu(nif, to);
    return is_cut ? mtu : pmtu_of(n, to, mtu);
}

int net_send_own(struct net *n, const struct ip_addr *to, const uint8_t *eth, const uint8_t *ip,
                 uint32_t len)
{
    const struct net_route *r = route_find(n, to);
    if (!r || (!eth && !netif_addr_is_host(to)))
        return -EHOSTUNREACH;
    struct net_if *nif = &n->ifs[r->netif];
    if (len > longest(n, nif, to, may_be_cut(ip, len)))
        return -EMSGSIZE;
    struct mtcp_pkt *pkt = alloc(nif, ETH_HDR_LEN + len);
    if (!pkt)
        return -ENOBUFS;
    write_eth(pkt->data, nif, eth, ip_addr_is_v4(to));
    memcpy(pkt->data + ETH_HDR_LEN, ip, len);
    pkt->len = ETH_HDR_LEN + len;
    push(n, nif, pkt);
    return 0;
}

int net_send_frame(struct net *n, uint8_t netif, const uint8_t *frame, uint32_t len)
{
    struct net_if *nif = &n->ifs[netif];
    if (len > ETH_HDR_LEN + (uint32_t)nif->mtu)
        return -EMSGSIZE;
    struct mtcp_pkt *pkt = alloc(nif, len);
    if (!pkt)
        return -ENOBUFS;
    memcpy(pkt->data, frame, len);
    pkt->len = len;
    push(n, nif, pkt);
    return 0;
}

/* Its destination is what it says itself, unless its Ethernet header was given. */
static void send_one(struct net *n, struct net_if *nif, struct mtcp_pkt *pkt)
{
    static const struct mac_addr none;
    struct packet p;
    if (nif->is_wire || memcmp(pkt->data, &none, sizeof(none)) != 0) {
        netif_send(nif, pkt);
        return;
    }
    const struct net_hop *hop = NULL;
    if (packet_parse(&p, pkt->data, pkt->len, PACKET_CSUM_GOOD) == 0) {
        struct ip_addr to = netif_zoned(nif, &p.dst);
        hop = route_hop(n, &to);
    }
    if (hop && hop->netif == nif->index) {
        netif_send_to(n, hop, pkt);
        return;
    }
    n->stats.no_route++; /* since it was taken */
    nif->io->free(nif->io, pkt);
}

void own_packets_flush(struct net *n)
{
    n->has_own = false;
    for (unsigned i = 0; i < n->n_ifs; i++) {
        struct net_if *nif = &n->ifs[i];
        struct mtcp_pkt *pkt = nif->own_head, *next;
        nif->own_head = NULL;
        for (; pkt; pkt = next) {
            next = pkt->next;
            send_one(n, nif, pkt);
        }
    }
}

void own_packets_drop(struct net_if *nif)
{
    for (struct mtcp_pkt *pkt = nif->own_head, *next; pkt; pkt = next) {
        next = pkt->next;
        nif->io->free(nif->io, pkt);
    }
    nif->own_head = NULL;
}

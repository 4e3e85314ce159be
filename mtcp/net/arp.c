/* ARP: requests, answers, announcements. */
#include "mtcp/net/arp.h"

#include "mtcp/net/neigh.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/source.h"
#include "mtcp/wire/build.h"

/* ---- out ------------------------------------------------------------------------------------ */

static void send_arp(struct net_if *nif, const struct build_arp *a)
{
    struct mtcp_pkt *pkt = netif_alloc(nif);
    if (!pkt)
        return;
    pkt->len = build_arp(pkt->data, a);
    netif_send(nif, pkt);
}

bool arp_ask(struct net *n, struct net_if *nif, const struct ip_addr *ip, const struct mac_addr *to)
{
    const struct net_addr *from = source_for(n, nif, ip);
    if (!from)
        return false;
    struct build_arp a = {
        .sender_mac = nif->mac, .sender_ip = from->ip.w[3], .target_ip = ip->w[3]};
    if (to)
        a.target_mac = *to;
    send_arp(nif, &a);
    return true;
}

void arp_announce(struct net *n, struct net_if *nif)
{
    (void)n;
    for (unsigned i = 0; i < nif->n_addrs; i++) {
        be32_t ip = nif->addrs[i].ip.w[3];
        if (ip_addr_is_v4(&nif->addrs[i].ip))
            send_arp(nif,
                     &(struct build_arp){.sender_mac = nif->mac, .sender_ip = ip, .target_ip = ip});
    }
}

static void send_reply(struct net_if *nif, const struct packet *request)
{
    struct build_arp a = {.is_reply = true,
                          .sender_mac = nif->mac,
                          .sender_ip = request->arp.target_ip.w[3],
                          .target_mac = request->arp.sender_mac,
                          .target_ip = request->arp.sender_ip.w[3]};
    send_arp(nif, &a);
}

/* ---- in ------------------------------------------------------------------------------------- */

static bool sender_is_sane(const struct net_if *nif, const struct packet *p)
{
    static const struct mac_addr none;
    const struct mac_addr *mac = &p->arp.sender_mac;
    return (mac->b[0] & 1) == 0 && memcmp(mac, &none, sizeof(none)) != 0 &&
           !netif_addr_find(nif, &p->arp.sender_ip);
}

void arp_in(struct net *n, struct net_if *nif, const struct packet *p)
{
    if (!sender_is_sane(nif, p))
        return;
    bool asks_us = !p->arp.is_reply && netif_addr_find(nif, &p->arp.target_ip);
    struct neigh *e = asks_us ? neigh_of_sender(n, nif->index, &p->arp.sender_ip)
                              : neigh_find(n, nif->index, &p->arp.sender_ip);
    if (e)
        neigh_confirm(n, e, &p->arp.sender_mac); /* who asks will soon be answered */
    if (asks_us)
        send_reply(nif, p);
}

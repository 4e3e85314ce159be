/* ARP (RFC 826, RFC 5227): IPv4 neighbours are asked, and ask us. Their table: neigh.h. */
#ifndef MTCP_NET_ARP_H
#define MTCP_NET_ARP_H

#include "mtcp/net/net.h"
#include "mtcp/wire/parse.h"

/* Asks everybody (to NULL), or the neighbour itself. False: the interface has no IPv4 address. */
bool arp_ask(struct net *n, struct net_if *nif, const struct ip_addr *ip,
             const struct mac_addr *to);

/* An ARP packet came in: answers, learns what is for us or known already. */
void arp_in(struct net *n, struct net_if *nif, const struct packet *p);

/* Tells the link about our addresses (gratuitous ARP, RFC 5227 2.3). */
void arp_announce(struct net *n, struct net_if *nif);

#endif

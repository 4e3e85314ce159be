/* ICMP (RFC 792, 1122 3.2.2): answers echo requests, hands errors to the connections they are
 * about. */
#ifndef MTCP_NET_ICMP_H
#define MTCP_NET_ICMP_H

#include "mtcp/net/packet_in.h"

void icmp_in(struct net *n, const struct rx *x);

/* Tells the sender of an IPv6 packet (PACKET_PROBLEM) why it was discarded. */
void icmp_problem(struct net *n, const struct rx *x);

#endif

/* Packets that a monitor has built: they wait here until the flush at the end of the turn, since a
 * monitor's code runs while others hold on to routes and frames. net_send_own() is in net.h. */
#ifndef MTCP_NET_OWN_PACKET_H
#define MTCP_NET_OWN_PACKET_H

#include "mtcp/net/net.h"

/* Sends what waits now; what a monitor adds meanwhile is for the next flush. */
void own_packets_flush(struct net *n);

void own_packets_drop(struct net_if *nif);

#endif

/*
 * Interfaces that only look: a wire between two of them, a mirror port, a capture. No packet is
 * ours and nothing is answered; each is shown to the monitor, and those of a pair go on to the
 * other interface as they came.
 */
#ifndef MTCP_NET_WIRE_H
#define MTCP_NET_WIRE_H

#include "mtcp/net/net.h"

/* A burst of an interface with is_wire: the number of packets. */
unsigned wire_rx(struct net *n, struct net_if *nif);

#endif

/* What is left of a connection on which nothing happens (tcp/dormant.h); the calls are in net.h. */
#ifndef MTCP_NET_DORMANT_H
#define MTCP_NET_DORMANT_H

#include "mtcp/net/net.h"

struct tcp_dormant_timed;

/* Ends it, for good and without a packet. */
void dormant_end(struct net *n, struct tcp_dormant *d);

/* Its deadline has come: it wakes. NULL, without memory: later. */
struct tcp_conn *dormant_timer(struct net *n, struct tcp_dormant_timed *d);

#endif

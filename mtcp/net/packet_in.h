/* A received packet on its way from the burst to whoever takes it. */
#ifndef MTCP_NET_PACKET_IN_H
#define MTCP_NET_PACKET_IN_H

#include "mtcp/net/net.h"
#include "mtcp/wire/parse.h"

struct rx {
    struct mtcp_pkt *pkt;
    struct net_if *nif;
    uint32_t hash; /* of the flow, when it is TCP */
    struct packet p;
};

/* What a hook gets to see of the packet: everything but accepted, has_off and off. */
struct hook_seg rx_hook_seg(const struct net *n, const struct rx *x);

/* A monitor has changed the packet: *changed is `x` as it is now, and hs speaks of that one. */
void rx_changed(struct rx *changed, const struct rx *x, struct hook_seg *hs);

/* A packet that no connection takes, for the monitors. */
void rx_orphan(struct net *n, const struct rx *x);

/* tcp_input() for a connection, and what its answer asks of net/. `hs`: what the monitor was asked
 * about with pkt(), NULL for an unmonitored connection. */
void rx_give_to_conn(struct net *n, struct tcp_conn *c, const struct rx *x,
                     const struct hook_seg *hs);

#endif

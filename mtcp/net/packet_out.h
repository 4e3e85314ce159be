/* Segments out: the frame around a segment, the monitor's word on it, the way to the device. */
#ifndef MTCP_NET_PACKET_OUT_H
#define MTCP_NET_PACKET_OUT_H

#include "mtcp/net/net.h"

enum out_result {
    OUT_PASSED,
    OUT_DROPPED,   /* a monitor dropped it */
    OUT_NO_BUFFER, /* no packet buffer, or the device takes no more: worth another try */
    OUT_LOST,      /* the same, for too long */
    OUT_NO_ROUTE,
};

/* Sends a segment that is not a connection's: a half-open record's, a TIME_WAIT record's, a RST for
 * nobody. `mon`: where the record keeps its monitor's handle, NULL when it has none. */
enum out_result segment_send(struct net *n, void *const *mon, struct tcp_tx *tx);

/* The RST for a segment that its receiver doesn't take, rate limited. `mon` as above. */
void segment_reset(struct net *n, void *const *mon, const struct seg *s);

enum conn_send_result {
    CONN_SENT,   /* all it has to send now */
    CONN_MORE,   /* there is more, for the next turn */
    CONN_PARKED, /* it waits for its neighbour's address (neigh.h) */
};
enum conn_send_result conn_send(struct net *n, struct tcp_conn *c);

/* What a connection has to send now counts as lost. */
void conn_send_failed(struct net *n, struct tcp_conn *c);

#endif

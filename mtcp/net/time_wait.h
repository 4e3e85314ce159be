/* Compact TIME_WAIT records: for each family a queue in order of expiry with a timer; one bound. */
#ifndef MTCP_NET_TIME_WAIT_H
#define MTCP_NET_TIME_WAIT_H

#include "mtcp/net/packet_in.h"

void time_waits_init(struct net *n);

/* Puts a record in the place of a connection that tcp_time_wait_fits(); false (without memory): the
 * connection stays. The connection is on the dead list then. */
bool time_wait_take(struct net *n, struct tcp_conn *c);

/* A segment for the record. True: the record has ended, the segment is a new connection's SYN, and
 * *used the first number of ours that the old one did not use. */
bool time_wait_in(struct net *n, struct tcp_time_wait *w, const struct rx *x, tcp_seq_t *used);

/* May an active open have the tuple of this record? (RFC 6191, as Linux's tcp_tw_reuse) */
bool time_wait_may_reuse(const struct net *n, const struct tcp_time_wait *w);

/* Ends the record: out of the table and the queue. */
void time_wait_end(struct net *n, struct tcp_time_wait *w);

/* The timer of a queue. */
void time_waits_timer(struct net *n, struct net_time_waits *q);

/* How many there are, with the empty places (time_wait.c), of which a queue has one at the most. */
size_t time_waits_count(const struct net *n);

/* Ends them all. */
void time_waits_fini(struct net *n);

#endif

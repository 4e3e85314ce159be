/* Half-open records: from the SYN that a listener takes to the connection, or to nothing. */
#ifndef MTCP_NET_HALF_OPEN_H
#define MTCP_NET_HALF_OPEN_H

#include "mtcp/net/packet_in.h"

/* A SYN of no known flow for a listener. `used`: up to where the sequence numbers of a TIME_WAIT go
 * that it has ended, or NULL. */
void half_open_begin(struct net *n, struct net_listener *l, const struct rx *x,
                     const tcp_seq_t *used);

/* A segment of no known flow for a listener, with ACK and without SYN or RST: does it answer a SYN
 * cookie? Then it is taken, and the connection made. */
bool half_open_from_cookie(struct net *n, struct net_listener *l, const struct rx *x);

/* A segment for the record. */
void half_open_in(struct net *n, struct tcp_half_open *h, const struct rx *x);

/* The SYN-ACK was not answered in time. */
void half_open_timer(struct net *n, struct tcp_half_open *h);

/* Its listener goes: ends it, or while a monitor's code runs marks it to end soon (false). */
bool half_open_abandon(struct net *n, struct tcp_half_open *h);

/* Forgets the record; the monitor hears dying(). */
void half_open_end(struct net *n, struct tcp_half_open *h, enum hook_end reason);

#endif

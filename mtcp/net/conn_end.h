/*
 * How connections leave: out of the flow table with the monitor told (forgotten), then freed when
 * no owner (a socket, an accept queue) and no work list holds them any more.
 */
#ifndef MTCP_NET_CONN_END_H
#define MTCP_NET_CONN_END_H

#include "mtcp/net/net.h"

/* A dead connection leaves the flow table; the monitor hears dying(). Harmless when it has. */
void conn_forget(struct net *n, struct tcp_conn *c);

/* A connection whose place in the flow table was taken by its TIME_WAIT record: freed with the next
 * reaping, as a dead one. */
void conn_discard(struct net *n, struct tcp_conn *c);

/* Connections without an owner need no news: takes those that are through off the ready list. */
void conns_prune_ready(struct net *n);

/* Forgets every dead connection and frees those without an owner. After the output flush and
 * conns_prune_ready(). */
void conns_reap(struct net *n);

#endif

/*
 * Listening addresses and the queues of established connections that wait to be accepted; and the
 * other queue that connections wait in, that of monitored ones in TIME_WAIT.
 */
#ifndef MTCP_NET_LISTENER_H
#define MTCP_NET_LISTENER_H

#include "mtcp/net/net.h"

/* The place of a connection in a queue. conn.listener points to it: to find it when the connection
 * ends or is accepted. */
struct net_waiting {
    struct list_node node;
    struct tcp_conn *conn;
    struct net_listener *listener; /* NULL: in net.mon_time_waits */
};

static inline struct net_waiting *waiting_of(const struct tcp_conn *c)
{
    return c->listener;
}

/* Does the connection wait to be accepted? */
static inline bool conn_waits_for_accept(const struct tcp_conn *c)
{
    return c->listener && waiting_of(c)->listener;
}

/* Who takes a flow (local address and port, keyed hash): an exact address wins over any of the
 * family, that over any of both; the hash chooses among those that share one. */
struct net_listener *listener_find(struct net *n, const struct ip_addr *addr, uint16_t port,
                                   uint32_t hash);

static inline bool listener_is_full(const struct net_listener *l)
{
    return l->n_accept >= l->backlog;
}

/* The connection joins the queue of those to be accepted. */
void listener_enqueue(struct net *n, struct net_listener *l, struct net_waiting *w);

/* A monitored connection entered TIME_WAIT: bounds how many there are. */
void mon_time_wait_add(struct net *n, struct tcp_conn *c);

/* Takes the connection off the queue that it waits in, if any. */
void waiting_leave(struct net *n, struct tcp_conn *c);

#endif

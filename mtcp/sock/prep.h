/*
 * What a stream socket is before there is a connection: its address and options, which go over to
 * the connection with mtcp_connect, or to those that a listener accepts.
 */
#ifndef MTCP_SOCK_PREP_H
#define MTCP_SOCK_PREP_H

#include "mtcp/sock/sock.h"

struct prep {
    struct net_listener l;  /* its options hold for connections to come; net/'s while it listens */
    struct list_node bound; /* on sock_table.bound when it has a port */
    struct ip_addr addr;    /* bound to; unspecified: any */
    uint16_t port;          /* 0: not bound */
    uint16_t flags; /* of the socket, as far as binding looks at them (SOCKF_REUSE...) */
    uint8_t tos, ttl;
    bool is_listening;
};

/* A new one with the context's defaults, hung to the socket; 0 or -ENOMEM. */
MUST_CHECK int prep_new(struct mtcp_ctx *ctx, struct sock *s);

/* Stops listening and frees. While the loop runs (a monitor's code closed the socket) net/ may be
 * in the middle of something with the listener: then it stays until preps_reap() at the turn's end.
 */
void prep_free(struct mtcp_ctx *ctx, struct prep *p);
void preps_reap(struct mtcp_ctx *ctx);

/* Binds to an address and port (0: an ephemeral one). 0, -EADDRINUSE, -EADDRNOTAVAIL. */
MUST_CHECK int prep_bind(struct mtcp_ctx *ctx, struct sock *s, const struct ip_addr *addr,
                         uint16_t port);

/* The options go over to a connection that has just been made: 0 or -ENOMEM. */
MUST_CHECK int prep_to_conn(struct mtcp_ctx *ctx, const struct prep *p, struct tcp_conn *c);

/* The options of a connection that failed go back, so that the socket can try again. */
void prep_from_conn(struct prep *p, const struct tcp_conn *c);

#endif

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
    uint16_t err;   /* pending: of a connection attempt that was shut down */
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

/* The pending error, cleared: 0 or a positive errno. */
static inline int prep_take_error(struct prep *p)
{
    int err = p->err;
    p->err = 0;
    return err;
}

/* The options go over to a connection that has just been made: 0 or -ENOMEM. */
MUST_CHECK int prep_to_conn(struct mtcp_ctx *ctx, const struct prep *p, struct tcp_conn *c);

/* The socket lets go of its connection, which failed or is to end, and is what it was before: options,
 * the address and port that it was bound to (if nobody took them meanwhile), so that it can try again.
 * 0, or -ENOMEM: nothing has changed. */
MUST_CHECK int prep_return(struct mtcp_ctx *ctx, struct sock *s);

/* The listener listens no more; bound and with its options it may do so again. 0, or -ENOMEM: nothing
 * has changed. */
MUST_CHECK int prep_unlisten(struct mtcp_ctx *ctx, struct sock *s);

#endif

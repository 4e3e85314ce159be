/*
 * Bytes of the send stream that stay in the application's memory until they are acknowledged
 * (MSG_ZEROCOPY). The send buffer keeps their place, so that they can be copied after all: when the
 * application lets go of the socket. Monitored connections copy at once, for monitors peek into the
 * buffer. A connection without any pays a branch.
 */
#ifndef MTCP_TCP_ZEROCOPY_H
#define MTCP_TCP_ZEROCOPY_H

#include "mtcp/tcp/conn.h"

/* Shorter pieces are copied: that costs less, and a segment is made of few pieces. */
#define ZEROCOPY_MIN 16384u

/* A segment's payload of up to 64 KB is in so many pieces at most: five that are lent, four runs of
 * the buffer between them, and one more where that wraps. */
#define TCP_TX_PIECES 10

static inline bool zerocopy_is_used(const struct tcp_conn *c)
{
    return unlikely(c->ext != NULL) && c->ext->zc.lent != NULL;
}

/* tx->iov becomes [off, off + len) of the send stream; zerocopy_is_used(). */
struct tcp_tx;
void zerocopy_fill(const struct tcp_conn *c, tcp_off_t off, uint32_t len, struct tcp_tx *tx);

/* What is acknowledged is the application's again, or all of it, for the connection is over. */
void zerocopy_acked(struct tcp_env *e, struct tcp_conn *c);
void zerocopy_over(struct tcp_env *e, struct tcp_conn *c);

/* The application lets go: what its memory holds is copied, and nothing is told any more. */
void zerocopy_copy_all(struct tcp_env *e, struct tcp_conn *c);

/* Gives back what the spans took. */
void zerocopy_fini(struct tcp_env *e, struct tcp_conn *c);

#endif

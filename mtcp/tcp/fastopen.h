/*
 * TCP Fast Open (RFC 7413), what it knows of one connection: cookies, data in the SYN, and a
 * server's connection that lives before its handshake is over. Who remembers cookies, and how many
 * such connections there may be, is net/fastopen.c's.
 *
 * Server: a connection in SYN_RCVD with FASTOPEN_ON is a full one: its first bytes can be read,
 * and what is written goes out. Offset 0 counts as acknowledged (snd_una) from the start; the
 * SYN-ACK is sent again until an ACK comes.
 *
 * Client: FASTOPEN_ON in SYN_SENT says that the first SYN carries the option, and data when
 * ext->fastopen has a cookie. What the SYN-ACK does not acknowledge is sent again at once.
 */
#ifndef MTCP_TCP_FASTOPEN_H
#define MTCP_TCP_FASTOPEN_H

#include "mtcp/tcp/tcp.h"

#define FASTOPEN_COOKIE_LEN 8u /* of ours */

/* How long a cookie of ours is good, at least and at most: the hour it was made in and the next. */
#define FASTOPEN_ROTATE_US (3600ull * 1000000)

/* The cookie for a peer: a keyed hash of both addresses and the hour (RFC 7413 4.1.2). */
void fastopen_cookie(const struct tcp_env *e, const struct flow_tuple *t, uint8_t *to);

/* Is the SYN's cookie one of ours, of this hour or the last? */
bool fastopen_is_ours(const struct tcp_env *e, const struct seg *syn);

/* *c, just promoted from the half-open record of `syn`, which had a good cookie: takes the SYN's
 * data and is a connection before the handshake is over. */
void tcp_fastopen_accept(struct tcp_env *e, struct tcp_conn *c, const struct seg *syn);

/* Is it a server's connection whose handshake is not over? */
static inline bool fastopen_is_pending(const struct tcp_conn *c)
{
    return (c->marks & FASTOPEN_ON) && !(c->flags & TCF_ACTIVE);
}

/* A client's SYN, to be sent: the option and the data that go with the first one. */
void fastopen_fill_syn(const struct tcp_conn *c, struct tcp_tx *tx);

#endif

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

#define FASTOPEN_COOKIE_LEN 8u  /* of ours */
#define FASTOPEN_KEY_LEN    16u /* bytes, as applications see one */
#define FASTOPEN_KEYS_MAX   2u

/* Keys of cookies: the first makes those that are given out; what the others make is good, too. */
struct fastopen_keys {
    struct hash_key key[FASTOPEN_KEYS_MAX];
    uint8_t n; /* 0: none are set */
};

/* The keys when nobody set any: drawn from the secret for every hour, this one's and the last's. So
 * a cookie is good for an hour at least and two at most. */
#define FASTOPEN_ROTATE_US (3600ull * 1000000)
struct fastopen_keys fastopen_keys_drawn(const struct tcp_env *e);

/* FASTOPEN_KEY_LEN bytes are a key as Linux reads them, so that servers behind one address can
 * share it; *to gets as many for *k. */
struct hash_key fastopen_key_of(const void *bytes);
void fastopen_key_bytes(const struct hash_key *k, void *to);

/* The cookie for a peer, FASTOPEN_COOKIE_LEN bytes: a keyed hash of both addresses (RFC
 * 7413 4.1.2), Linux's. */
void fastopen_cookie(const struct hash_key *k, const struct flow_tuple *t, uint8_t *to);

/* Which of the keys, from 1, made the SYN's cookie; 0: none. */
unsigned fastopen_key_used(const struct fastopen_keys *k, const struct seg *syn);

/* *c, just promoted from the half-open record of `syn`, which had a good cookie: takes the SYN's
 * data and is a connection before the handshake is over. A new cookie goes with the SYN-ACK when
 * one is in c->ext->fastopen. */
void tcp_fastopen_accept(struct tcp_env *e, struct tcp_conn *c, const struct seg *syn);

/* Is it a server's connection whose handshake is not over? */
static inline bool fastopen_is_pending(const struct tcp_conn *c)
{
    return (c->marks & FASTOPEN_ON) && !(c->flags & TCF_ACTIVE);
}

/* How much a client's SYN could carry, had it been written. */
uint32_t fastopen_syn_room(const struct tcp_conn *c);

/* Broken middleboxes, which are most often near the client, swallow such connections: at their
 * SYN, or later. As Linux: then none are tried to anywhere for params.fastopen_pause_us, for twice
 * as long the next time and so on, until one of those tried after a pause gets data.
 *
 * fastopen_timed_out: a timeout, the `n`th in a row from 0, after which the connection may be given
 * up. fastopen_strange_reset: a RST in the window that is not believed. fastopen_client_ends: it is
 * over. All of a connection with c->ext->fastopen.is_used. */
void fastopen_timed_out(struct tcp_env *e, const struct tcp_conn *c, uint32_t n, bool is_given_up);
void fastopen_strange_reset(struct tcp_env *e, const struct tcp_conn *c);
void fastopen_client_ends(struct tcp_env *e, const struct tcp_conn *c);

static inline bool fastopen_is_used(const struct tcp_conn *c)
{
    return unlikely(c->ext != NULL) && c->ext->fastopen.is_used;
}

/* What this host takes per segment, for its SYN or SYN-ACK. */
static inline uint16_t fastopen_own_mss(const struct tcp_conn *c)
{
    return fastopen_is_pending(c) && c->ext ? c->ext->fastopen.mss : c->mss;
}

/* A SYN or SYN-ACK with FASTOPEN_ON, to be sent: the option, and of a client the data, that go with
 * the first one. */
void fastopen_fill_syn(const struct tcp_conn *c, struct tcp_tx *tx);

#endif

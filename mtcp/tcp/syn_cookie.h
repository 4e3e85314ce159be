/*
 * SYN cookies (RFC 4987 3.6): when there is no room for another half-open record, the SYN-ACK holds
 * all that is needed to make the connection from the ACK that answers it.
 *
 *   sequence number   a keyed mask of tuple and the peer's number, added to
 *                     [31:27] when, in units of 64 s   [26:24] which MSS   [23:0] keyed hash of it
 * all timestamp         its low six bits: window scale (15: none), SACK, ECN
 *
 * Without timestamps the connection does without the three. Pure.
 */
#ifndef MTCP_TCP_SYN_COOKIE_H
#define MTCP_TCP_SYN_COOKIE_H

#include "mtcp/base/bug.h"
#include "mtcp/tcp/tcp.h"

/* How long a cookie is good, at least and at most: the present unit of time and the one before. */
#define SYN_COOKIE_UNIT_US UINT64_C(64000000)
#define SYN_COOKIE_LIFE_US (2 * SYN_COOKIE_UNIT_US)

/* *h: what tcp_half_open_init() made of the SYN. Makes it what can be told again from the ACK, and
 * builds the SYN-ACK. */
void syn_cookie_synack(const struct tcp_env *e, struct tcp_half_open *h, struct tcp_tx *tx);

/* Does the segment answer a cookie of ours in time? Then *syn is the SYN as far as the cookie tells
 * of it (numbers, MSS, window scale, SACK, timestamp, ECN; the window is the segment's). */
MUST_CHECK bool syn_cookie_check(const struct tcp_env *e, const struct seg *ack, struct seg *syn);

#endif

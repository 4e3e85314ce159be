/*
 * Fast Open (RFC 7413) beyond one connection: whose SYN's data is taken, and the cookies of
 * servers, in a small direct-mapped cache. What a connection does with them: tcp/fastopen.h.
 */
#ifndef MTCP_NET_FASTOPEN_H
#define MTCP_NET_FASTOPEN_H

#include "mtcp/net/net.h"

/* Is the data of the SYN taken at once? When not, *h says whether the answer offers a cookie.
 * Pending Fast Opens of all listeners count against each one's limit (RFC 7413 5.1). */
bool fastopen_is_accepted(struct net *n, const struct net_listener *l, const struct seg *syn,
                          struct tcp_half_open *h);

/* An active open with c->ext, between net_connect_prepare() and net_connect_start(): true when its
 * SYN may carry data, so that it had better wait for some; else the SYN asks for a cookie, if
 * anything. */
bool fastopen_prepare(struct net *n, struct tcp_conn *c);

/* tcp_input() said TCP_IN_FASTOPEN (`what`) about the segment. */
void fastopen_ended(struct net *n, struct tcp_conn *c, const struct seg *s, unsigned what);

#endif

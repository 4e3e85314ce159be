/*
 * Fast Open (RFC 7413) beyond one connection: whose SYN's data is taken. What a connection does
 * with it: tcp/fastopen.h.
 */
#ifndef MTCP_NET_FASTOPEN_H
#define MTCP_NET_FASTOPEN_H

#include "mtcp/net/net.h"

/* Is the data of the SYN taken at once? When not, *h says whether the answer offers a cookie.
 * Pending Fast Opens of all listeners count against each one's limit (RFC 7413 5.1). */
bool fastopen_is_accepted(struct net *n, const struct net_listener *l, const struct seg *syn,
                          struct tcp_half_open *h);

/* tcp_input() said TCP_IN_FASTOPEN. */
void fastopen_ended(struct net *n, struct tcp_conn *c, const struct seg *s);

#endif

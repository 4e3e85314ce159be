/* Which address of ours a packet comes from (RFC 6724 5, as far as it applies to one interface). */
#ifndef MTCP_NET_SOURCE_H
#define MTCP_NET_SOURCE_H

#include "mtcp/net/net.h"

/* The address of the interface to reach `dst` from, or NULL. */
const struct net_addr *source_for(const struct net *n, const struct net_if *nif,
                                  const struct ip_addr *dst);

/* The same, but for a packet that goes out later: an address whose uniqueness is still being found
 * out will do, because until then no neighbour is asked and nothing is sent. */
const struct net_addr *source_for_soon(const struct net *n, const struct net_if *nif,
                                       const struct ip_addr *dst);

#endif

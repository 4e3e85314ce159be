/* Between options.c (which option, which way, how long) and tcp_info.c. */
#ifndef MTCP_SOCK_OPTIONS_H
#define MTCP_SOCK_OPTIONS_H

#include "mtcp/sock/sock.h"

#include <sys/socket.h>

/* Value of TCP_INFO, cut to *len, which becomes its size. Less than the fields that every Linux
 * has: -EINVAL. */
MUST_CHECK int tcp_info_get(const struct mtcp_ctx *ctx, const struct sock *s, void *val,
                            socklen_t *len);

/* What the path of a connection takes, in bytes of IP per packet: IP_MTU, tcpi_pmtu. */
int sock_path_mtu(const struct mtcp_ctx *ctx, const struct tcp_conn *c);

#endif

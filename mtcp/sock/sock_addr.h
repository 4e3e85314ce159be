/* struct sockaddr and struct ip_addr, both ways. */
#ifndef MTCP_SOCK_SOCK_ADDR_H
#define MTCP_SOCK_SOCK_ADDR_H

#include "mtcp/base/bug.h"
#include "mtcp/wire/addr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* 0; -EINVAL: too short, or link-local without the number of its netdev (from 1) as scope id;
 * -EAFNOSUPPORT: another family than the socket's (is_v6). Addresses of sockaddr_in, and v4-mapped
 * ones, come out v4-mapped. */
MUST_CHECK int sock_addr_get(const struct sockaddr *sa, socklen_t len, bool is_v6,
                             struct ip_addr *addr, uint16_t *port);

/* Writes the address in the socket's family, cut to *len bytes; *len becomes its whole size. */
void sock_addr_put(const struct ip_addr *addr, uint16_t port, bool is_v6, struct sockaddr *sa,
                   socklen_t *len);

/* The whole size. */
socklen_t sock_addr_size(bool is_v6);

#endif

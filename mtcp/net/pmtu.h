/*
 * What paths take: the MTU of each destination that takes less than its interface gives, learnt
 * from ICMP (RFC 1191, 8201) or from segments that are swallowed (RFC 4821's black holes). A small
 * direct-mapped cache: a destination that is crowded out is learnt again.
 *
 * Nothing here has a timer. A connection with a lowered MSS (TCF_MTU_LOW) asks again whenever it
 * sends; the interface's MTU is what it hears when the entry has aged (RFC 1191 6.3).
 */
#ifndef MTCP_NET_PMTU_H
#define MTCP_NET_PMTU_H

#include "mtcp/net/net.h"

#define PMTU_MIN4 552u  /* as Linux's min_pmtu: less is an attack or a mistake */
#define PMTU_MIN6 1280u /* RFC 8200 5 */

/* What the path to `remote` takes now, at most `if_mtu`. */
uint16_t pmtu_of(const struct net *n, const struct ip_addr *remote, uint16_t if_mtu);

/* Connections whose application does not want their MSS to follow the path (IP_MTU_DISCOVER) keep
 * what the interface gives; the cache learns from them. */

/* A connection begins: does its path take less than its interface? */
void pmtu_begin(const struct net *n, struct tcp_conn *c);

/* The path of the connection takes `mtu`, as a message says that was validated against it. Believed
 * when it lowers what is known of the path or what the connection knows of it; less than PMTU_MIN4
 * counts as that, less than PMTU_MIN6 is not heard (RFC 8201 4). What is lost is sent again at
 * once. */
void pmtu_learn(struct net *n, struct tcp_conn *c, uint16_t mtu);

/* Adjusts the MSS to what is known now. For connections with TCF_MTU_LOW. */
void pmtu_refresh(struct net *n, struct tcp_conn *c);

/* The retransmission timer fired once more, the third time in a row or later: full-sized segments
 * that vanish again and again may be too large for a path that does not say so (RFC 4821 7.7). */
void pmtu_suspect(struct net *n, struct tcp_conn *c);

#endif

/*
 * What a SYN offers and what both sides then use: MSS (RFC 9293 3.7.1, 6691), window scale and
 * timestamps (RFC 7323), SACK (RFC 2018). Shared by active opens (input.c) and half-open records.
 */
#ifndef MTCP_TCP_HANDSHAKE_H
#define MTCP_TCP_HANDSHAKE_H

#include "mtcp/tcp/conn.h"
#include "mtcp/tcp/isn.h"

#define TCP_MSS_DEFAULT  536u /* IPv4, when the peer says nothing (RFC 9293 MUST-15) */
#define TCP_MSS_DEFAULT6 1220u
#define TCP_MSS_MIN      48u /* a smaller one is not believed, as Linux */

/* Payload bytes per segment without options: what our SYN announces. */
uint16_t tcp_mss_of_mtu(const struct ip_addr *local, uint16_t mtu);
uint16_t tcp_mss_default(const struct ip_addr *local);

/* The peer's MSS option, or the default when there is none; never below TCP_MSS_MIN. */
uint16_t tcp_mss_offered(const struct ip_addr *local, const struct tcp_opts *o);

/* The smallest shift that lets a 16-bit window announce `bytes`. */
uint8_t tcp_wscale_for(uint32_t bytes);

/* TCF_TS | TCF_SACK | TCF_WSCALE as far as the peer's SYN offers what we are willing to use. */
uint32_t tcp_opts_agreed(const struct tcp_params *p, const struct tcp_opts *o);

/* Payload bytes per segment when the path takes `mss` without options: no more than the peer's MSS
 * and TCP_MAXSEG, less what timestamps take. */
uint16_t tcp_mss_agreed(const struct tcp_conn *c, uint32_t mss);

/* Both SYNs are known (c->flags, mss_peer, scales, timestamps set): fixes mss, the receive window's
 * scale and the initial congestion window (RFC 6928; one segment after a lost SYN, RFC 5681 3.1). */
void tcp_handshake_done(struct tcp_env *e, struct tcp_conn *c, bool syn_was_lost);

#endif

/*
 * Explicit congestion notification (RFC 3168): who may use it is settled by the SYNs (handshake),
 * routers then mark data instead of dropping it, the receiver echoes the mark until the sender says
 * that it has slowed down. What the echo costs is recovery.c's (recovery_ecn_echo).
 *
 * TCF_ECN is the one flag that the data path asks for; everything here is for connections that have
 * it. As Linux: no ECT on SYNs, retransmissions, probes and segments without data (RFC 3168 6.1.4,
 * 6.1.5, 6.1.6), and a SYN that is sent again does not ask any more (6.1.1.1).
 */
#ifndef MTCP_TCP_ECN_H
#define MTCP_TCP_ECN_H

#include "mtcp/tcp/tcp.h"

/* The IP header's two bits. */
enum { IP_ECN_MASK = 3, IP_ECT_0 = 2, IP_CE = 3 };

/* Does a SYN ask for ECN, and do we agree (tcp_ecn)? One that is itself marked ECT comes from a
 * path or a host that gets it wrong. */
static inline bool ecn_agrees(const struct tcp_params *p, const struct seg *syn)
{
    return p->ecn && (syn->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR) &&
           !(syn->tos & IP_ECN_MASK);
}

/* What the answer to our SYN says: a SYN-ACK with ECE alone; in a simultaneous open the peer's SYN
 * with both. An answer that mirrors both flags is from a host that mirrors all (RFC 3168 6.1.1). */
void ecn_take_answer(struct tcp_conn *c, const struct seg *s);

/* A data segment was accepted: its mark, and the peer's word that it has slowed down. */
void ecn_data_in(struct tcp_env *e, struct tcp_conn *c, const struct seg *s);

/* A segment is about to go out: the echo goes with every acknowledgement, ECT with new data, CWR
 * with the first of it since the window was reduced. */
void ecn_mark(const struct tcp_conn *c, struct tcp_tx *tx);

/* How long a segment of new data may be: a device that cuts frames would repeat CWR in each. */
static inline uint32_t ecn_max_len(const struct tcp_conn *c, uint32_t max_len)
{
    return (c->marks & ECN_CWR) ? 0 : max_len;
}

#endif

/*
 * Was a retransmission needless? Then the reduction of cwnd that went with it was, too, and is
 * taken back. Three witnesses: the ACK echoes a timestamp from before it (Eifel, RFC 3522, 4015),
 * the peer reports every one of the retransmitted segments as a duplicate (RFC 2883, 3708), or
 * after a timeout segments are SACKed that were sent once only (RFC 5682's reasoning). Part of
 * recovery.c's work.
 */
#ifndef MTCP_TCP_UNDO_H
#define MTCP_TCP_UNDO_H

#include "mtcp/tcp/conn.h"
#include "mtcp/tcp/flight.h"

/* cwnd is about to be reduced for a loss. */
void undo_begin(struct tcp_conn *c);

/* `len` bytes were sent again. */
void undo_note_resent(struct tcp_conn *c, uint32_t len);

/* The peer got a segment twice: true when that were all that were sent again. */
bool undo_all_were_needless(struct tcp_conn *c);

/* Does this ACK of retransmitted segments, the first one, answer what was sent before the first of
 * them was sent again, resent_age_us ago? */
bool undo_echo_is_older(const struct tcp_env *e, struct tcp_conn *c, const struct seg *s,
                        uint32_t resent_age_us);

/* Takes the reduction back; what was believed lost is believed in flight again. */
void undo_apply(struct tcp_env *e, struct tcp_conn *c);

#endif

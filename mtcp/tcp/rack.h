/* Loss detection in order of time, for connections with SACK (RFC 8985 section 6). Part of
 * recovery.c's work: writes rack_*, fack, reordering_seen, reo_mult and marks records LOST. */
#ifndef MTCP_TCP_RACK_H
#define MTCP_TCP_RACK_H

#include "mtcp/tcp/conn.h"
#include "mtcp/tcp/flight.h"

/* So many SACKed segments mean loss without waiting, as long as no reordering was seen (6.2 step 4;
 * RFC 5681's three duplicate ACKs). */
#define RACK_DUP_THRESH 3u

/* The reordering window is at most so many quarters of the least round trip, and at most SRTT. */
#define RACK_MULT_MAX 64u

/* A record was delivered, by the ACK in `s` (steps 1 to 3). */
void rack_note(const struct tcp_env *e, struct tcp_conn *c, const struct seg *s,
               const struct rec *r);

/* Marks what is lost. In how many us to look again; 0: no need (step 5). */
uint32_t rack_detect(const struct tcp_env *e, struct tcp_conn *c);

/* A D-SACK came: something was sent again without need, so more patience, once per recovery (step
 * 4; the RFC takes it back after 16 recoveries, here it lasts as long as data stays in flight). */
void rack_note_dsack(struct tcp_conn *c);

/* Disorder begins, or was a false alarm: what is known of earlier times is too old to compare with.
 */
void rack_reset(struct tcp_conn *c);

#endif

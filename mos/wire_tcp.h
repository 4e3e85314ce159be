/*
 * What can be known of two hosts from between them: would the receiver take this segment, what does
 * a segment say, which bytes does it bring. The observer sees a segment before its receiver does,
 * and never learns whether it arrived, but for the acknowledgements.
 */
#ifndef MOS_WIRE_TCP_H
#define MOS_WIRE_TCP_H

#include "mos/wire.h"

/* Will the receiver act on it (RFC 9293 3.10.7.4, RFC 5961, RFC 7323 5)? Changes nothing. */
bool wire_accepts(const struct wire_conn *w, const struct hook_seg *s);

/* By how much a host's windows are scaled; do both use timestamps? */
unsigned wire_shift(const struct wire_conn *w, int side);
bool wire_has_ts(const struct wire_conn *w);

/* Where a host's window ends: an offset of the other's bytes. */
tcp_off_t wire_edge(const struct wire_conn *w, int side);

/* What a segment that is accepted says of its sender. */
void wire_note(struct wire_conn *w, const struct hook_seg *s);

/* A SYN with another number, before the first one was answered: which of them the server took, its
 * answer tells. */
void wire_note_other_syn(struct wire_conn *w, const struct seg *syn);

/* A capture without the SYN-ACK: its number, if the segment allows the conclusion. */
void wire_guess_isn(struct wire_conn *w, const struct seg *seg);

/* Bytes for the receiver's stream, and errors that they cause. Those of a SYN wait for the answer.
 */
void wire_text(struct wire_conn *w, const struct hook_seg *s);
void wire_syn_data_drop(struct wire_conn *w);

/* Bytes that a side has acknowledged but that were not seen: NEW_DATA tells of what comes before
 * each gap, then the stream goes on behind it, and the gap counts as missed. */
void wire_close_gaps(struct wire_conn *w, int side);

/* What the segment means for its sender and receiver (PEER_BIT) beside what its flags say. */
unsigned wire_events_of_sender(const struct wire_conn *w, const struct seg *seg);
unsigned wire_events_of_receiver(const struct wire_conn *w, const struct seg *seg);

#endif

/*
 * Segments that the monitor sends in the name of a host of the wire, to the other one: resets and
 * acknowledgements. They leave with the flush of the turn, behind what was forwarded before, and
 * are lost if there is no buffer for them, as a frame may be.
 */
#ifndef MOS_FORGE_H
#define MOS_FORGE_H

#include "mos/wire.h"

/* A reset for each host that was heard of, where the other's next octet is expected (RFC 5961 3.2):
 * that is somewhere between what it has acknowledged and what was forwarded to it in order. */
void forge_resets(struct wire_conn *w);

/* The answer to a segment of a connection that is none any more (RFC 9293 3.10.7.1); none to a
 * reset. */
void forge_answer(struct wire_conn *w, const struct seg *seg);

/* An acknowledgement of what a host has sent, up to an offset as it counts, and a window of so many
 * bytes. */
void forge_ack(struct wire_conn *w, int to, tcp_off_t acked, uint64_t wnd);

#endif

/*
 * The urgent pointer (RFC 9293 3.8.5, RFC 6093), in both directions: up to where data is urgent.
 * The bytes stay in line. A connection without urgent data pays a branch.
 */
#ifndef MTCP_TCP_URGENT_H
#define MTCP_TCP_URGENT_H

#include "mtcp/tcp/input.h"
#include "mtcp/tcp/tcp.h"

/* A segment with URG came: when its pointer lies beyond what was read and beyond the last one, the
 * socket hears of it. */
void urgent_in(struct tcp_env *e, struct tcp_conn *c, const struct in *in);

/* The most that a segment may hold: one that is cut by the device would have one pointer in all its
 * pieces. */
uint32_t urgent_max_len(const struct tcp_conn *c, uint32_t max_len);

/* Flag and pointer of a segment that comes before the end of what is urgent. */
void urgent_mark(const struct tcp_conn *c, struct tcp_tx *tx);

#endif

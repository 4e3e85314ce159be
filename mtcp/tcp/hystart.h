/* HyStart++ (RFC 9406): the initial slow start ends before the queue overflows, when round trips
 * grow longer. Writes cc.hystart; part of cc_cubic.c. */
#ifndef MTCP_TCP_HYSTART_H
#define MTCP_TCP_HYSTART_H

#include "mtcp/tcp/conn.h"

void hystart_init(struct tcp_conn *c);

/* An ACK: by how much cwnd grows. rtt_us 0: no sample. */
uint32_t hystart_acked(struct tcp_conn *c, uint32_t acked_bytes, uint32_t rtt_us);

/* Has conservative slow start lasted its rounds? Then congestion avoidance begins. */
bool hystart_is_over(const struct tcp_conn *c);

#endif

/* RTT estimation and the retransmission timeout (RFC 6298, Linux's limits). Writes srtt_us,
 * rttvar_us, min_rtt_us, rto_shift. */
#ifndef MTCP_TCP_RTT_H
#define MTCP_TCP_RTT_H

#include "mtcp/tcp/conn.h"

void rtt_init(const struct tcp_env *e, struct tcp_conn *c);
void rtt_sample(const struct tcp_env *e, struct tcp_conn *c, uint32_t rtt_us);

/* The handshake's first segment was lost. Unless timestamps have measured a round trip, data begins
 * with a timeout of three seconds (RFC 6298 5.7). */
void rtt_no_sample(struct tcp_conn *c);

/* The retransmission timeout without back-off: srtt plus a variance term that is at least
 * min_rto_us; init_rto_us before the first sample. */
uint32_t rtt_rto_base(const struct tcp_env *e, const struct tcp_conn *c);

/* What was sent again is acknowledged: the timeouts in a row are over, but what is sent next waits as
 * long as the last did, until a sample says better (Karn; RFC 6298 section 5). */
void rtt_keep_backoff(struct tcp_conn *c);

/* The same with the present back-off and what is kept of earlier ones, bounded by max_rto_us. */
uint32_t rtt_rto(const struct tcp_env *e, const struct tcp_conn *c);

#endif

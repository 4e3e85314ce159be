/* Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 5.4): keyed hashes of the
 * tuple; the ISN advances every 4 us. */
#ifndef MTCP_TCP_ISN_H
#define MTCP_TCP_ISN_H

#include "mtcp/tcp/conn.h"

tcp_seq_t tcp_isn(const struct tcp_env *e, const struct flow_tuple *t);
uint32_t tcp_ts_offset(const struct tcp_env *e, const struct flow_tuple *t);

#endif

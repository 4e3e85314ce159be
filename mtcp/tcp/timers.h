/* The deadlines of one connection and the single wheel entry that serves them. Deadlines that move
 * later are not re-armed: the entry fires, finds nothing due and arms again (lazy). */
#ifndef MTCP_TCP_TIMERS_H
#define MTCP_TCP_TIMERS_H

#include "mtcp/tcp/conn.h"

void timers_init(struct tcp_conn *c);
void timers_set_rtx(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us);
void timers_set_delack(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us);
void timers_set_aux(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us); /* NEVER: off */
void timers_clear_rtx(struct tcp_conn *c);
void timers_stop_all(struct tcp_env *e, struct tcp_conn *c);

#endif

/*
 * The deadlines of one connection and the single wheel entry that serves them. Deadlines that move
 * later are not re-armed: the entry fires, finds nothing due and arms again (lazy).
 *
 *   rtx     retransmission, RACK's reordering timer, tail loss probe; or persist (TCF_PERSIST)
 *   delack  a delayed ACK; counts only while TCF_ACK_DELAYED is set
 *   aux     FIN_WAIT_2 of orphans, TIME_WAIT, keepalive, idle timeout
 *
 * rtx and delack are kept as the low 32 bits of wheel ticks, good for 38 hours either way from now,
 * and from the time that the entry was armed for when it fires. So it must fire before a deadline is
 * set or asked for more than a day late: net_clock() sees to that.
 */
#ifndef MTCP_TCP_TIMERS_H
#define MTCP_TCP_TIMERS_H

#include "mtcp/tcp/conn.h"

void timers_init(struct tcp_conn *c);
void timers_set_rtx(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us);
void timers_set_delack(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us);
void timers_set_aux(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us); /* NEVER: off */
void timers_stop_all(struct tcp_env *e, struct tcp_conn *c);

/* Nothing is outstanding any more: neither retransmission nor persist. */
static inline void timers_clear_rtx(struct tcp_conn *c)
{
    c->rtx_tick = 0;
    c->flags &= ~(uint32_t)TCF_PERSIST;
}

static inline bool timers_rtx_is_set(const struct tcp_conn *c)
{
    return c->rtx_tick != 0;
}

/* When it is due; WHEEL_NEVER_US: off. */
uint64_t timers_rtx_at(const struct tcp_env *e, const struct tcp_conn *c);

/* Data waits and nothing is in flight: probes the peer's window, and pushes what corking or silly
 * window avoidance holds back (RFC 9293 3.8.6.1, 3.8.6.2.1). */
void timers_start_persist(struct tcp_env *e, struct tcp_conn *c);

/* Does aux serve keepalive or the idle timeout? */
static inline bool timers_has_idle_duty(const struct tcp_env *e, const struct tcp_conn *c)
{
    return (c->flags & TCF_KEEPALIVE) || e->params.idle_timeout_us;
}

/* Keepalive and the idle timeout, from the options as they are now: call when these changed. States
 * that need aux for themselves keep it. */
void timers_watch_idle(struct tcp_env *e, struct tcp_conn *c);

#endif

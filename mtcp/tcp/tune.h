/*
 * Buffers that follow the traffic, unless the application or the configuration fixed their size
 * (stream.is_auto). The receive buffer, which is the window: what the application reads per round
 * trip, and as much again, so that a sender whose window doubles is never held up (dynamic
 * right-sizing; Fisk and Feng 2001). The send buffer: two congestion windows, one in flight and one
 * for the round trip to come. Both only grow, up to rcvbuf_max and sndbuf_max, and not while memory
 * is tight. A promise alone holds no memory.
 */
#ifndef MTCP_TCP_TUNE_H
#define MTCP_TCP_TUNE_H

#include "mtcp/tcp/conn.h"

/* The largest receive buffer a connection begun with these may get: what its window scale is for.
 */
static inline uint32_t tune_rcvbuf_most(const struct tcp_params *p)
{
    return p->rcvbuf > p->rcvbuf_max ? p->rcvbuf : p->rcvbuf_max;
}

/* Sets both buffers to what they begin with. */
void tune_init(struct tcp_conn *c, const struct tcp_params *p);

/* The measure of what is read begins, or begins again. */
void tune_rcv_begin(const struct tcp_env *e, struct tcp_conn *c);

/* Did a round trip pass since? The peer's segment echoes a later timestamp;
 * without timestamps: by the clock. 16 bits of milliseconds: after an idle time of more than half a
 * minute one measurement may be missed or come early. */
static inline bool tune_rcv_is_due(const struct tcp_env *e, const struct tcp_conn *c,
                                   const struct seg *s)
{
    if (!c->rcv.is_auto)
        return false;
    if (likely((c->flags & TCF_TS) && s->opt.has_ts))
        return (int16_t)((uint16_t)s->opt.ts_ecr - c->rcv.mark_at) > 0;
    return (uint16_t)((uint16_t)conn_ts_now(e, c) - c->rcv.mark_at) > c->srtt_us / 1000;
}

/* A round trip passed. */
void tune_rcv(const struct tcp_env *e, struct tcp_conn *c);

/* The send buffer was full, and bytes were acknowledged. */
void tune_snd(const struct tcp_env *e, struct tcp_conn *c);

/* There is no memory for more than what is queued, which is something: the send buffer is full
 * until some of it is acknowledged. (snd.mark: its size meanwhile; 0: it is not cut) */
void tune_snd_cut(struct tcp_conn *c);
static inline uint32_t tune_sndbuf(const struct tcp_conn *c)
{
    return c->snd.mark ? c->snd.mark : c->snd.limit;
}

/* The application gives a buffer a size, which it keeps. */
void tune_fix(struct tcp_conn *c, bool is_rcv, uint32_t size);

#endif

/*
 * What happens when nothing happens: retransmission with back-off (RFC 6298 5), window probes (RFC
 * 9293 3.8.6.1), delayed ACKs (RFC 1122 4.2.3.2), keepalive (RFC 9293 3.8.4), user timeout (RFC
 * 5482), the ends of FIN_WAIT_2 and TIME_WAIT. Which of the retransmission timer's three causes
 * fired, and what is resent, is recovery.c's business.
 */
#include "mtcp/tcp/timers.h"

#include "mtcp/tcp/fastopen.h"
#include "mtcp/tcp/recovery.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/state.h"
#include "mtcp/tcp/tcp.h"

#include <errno.h>

#define SEC_US 1000000ull

/* Linux's keepalive when the options say nothing. */
enum { KEEP_IDLE_S = 7200, KEEP_INTVL_S = 75, KEEP_CNT = 9 };

/* ---- deadlines ---- */

/* Rounded up: a deadline is never early. 0 is kept free for "off". */
static inline uint32_t tick_of(uint64_t at_us)
{
    uint32_t tick = (uint32_t)((at_us + WHEEL_TICK_US - 1) / WHEEL_TICK_US);
    return tick != 0 ? tick : 1;
}

/* The whole of a deadline that is less than 38 hours from `near_us`. */
static inline uint64_t tick_at_us(uint32_t tick, uint64_t near_us)
{
    uint64_t near = near_us / WHEEL_TICK_US;
    return (near + (uint64_t)(int64_t)(int32_t)(tick - (uint32_t)near)) * WHEEL_TICK_US;
}

/* The wheel's entry fires at `at_us` or before. */
static inline void wake_by(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us)
{
    if (likely(timer_is_armed(&c->timer) && c->timer.at_us <= at_us))
        return;
    if (at_us != WHEEL_NEVER_US)
        wheel_arm(&e->wheel, &c->timer, at_us);
}

void timers_init(struct tcp_conn *c)
{
    timer_init(&c->timer, TIMER_CONN);
    c->rtx_tick = c->delack_tick = 0;
    c->aux_at = WHEEL_NEVER_US;
}

void timers_set_rtx(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us)
{
    c->rtx_tick = tick_of(at_us);
    wake_by(e, c, at_us);
}

void timers_set_delack(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us)
{
    c->delack_tick = tick_of(at_us);
    wake_by(e, c, at_us);
}

void timers_set_aux(struct tcp_env *e, struct tcp_conn *c, uint64_t at_us)
{
    if (c->flags & TCF_DEAD)
        return; /* the field links the dead */
    c->aux_at = at_us;
    wake_by(e, c, at_us);
}

void timers_stop_all(struct tcp_env *e, struct tcp_conn *c)
{
    timers_clear_rtx(c);
    if (!(c->flags & TCF_DEAD))
        c->aux_at = WHEEL_NEVER_US;
    c->flags &= ~(uint32_t)TCF_ACK_DELAYED;
    wheel_cancel(&e->wheel, &c->timer);
}

uint64_t timers_rtx_at(const struct tcp_env *e, const struct tcp_conn *c)
{
    return c->rtx_tick ? tick_at_us(c->rtx_tick, e->now_us) : WHEEL_NEVER_US;
}

/* ---- giving up ---- */

static void give_up(struct tcp_env *e, struct tcp_conn *c)
{
    e->stats.conns_timed_out++;
    conn_die(e, c, HOOK_END_TIMEOUT, c->soft_err ? c->soft_err : ETIMEDOUT);
}

/* The same with a RST, for a peer that may still be there. */
static void give_up_aloud(struct tcp_env *e, struct tcp_conn *c)
{
    e->stats.conns_timed_out++;
    tcp_abort(e, c, HOOK_END_TIMEOUT, ETIMEDOUT);
}

static uint32_t retries_allowed(const struct tcp_env *e, const struct tcp_conn *c)
{
    const struct tcp_params *p = &e->params;
    if (c->state == TCPS_SYN_SENT)
        return c->ext && c->ext->syn_retries ? c->ext->syn_retries : p->syn_retries;
    if (c->state == TCPS_SYN_RCVD)
        return p->synack_retries;
    return (c->flags & TCF_ORPHAN) ? p->orphan_retries : p->data_retries;
}

/* How long the peer has been silent after `n` timeouts in a row. */
static uint64_t silence_us(const struct tcp_env *e, const struct tcp_conn *c, uint32_t n)
{
    uint64_t rto = rtt_rto_base(e, c), sum = 0;
    for (uint32_t i = 0; i <= n && i < 64; i++) {
        sum += rto;
        rto = 2 * rto < e->params.max_rto_us ? 2 * rto : e->params.max_rto_us;
    }
    return sum;
}

/* RFC 5482: the user timeout replaces the number of retries. */
static bool is_given_up(const struct tcp_env *e, const struct tcp_conn *c, uint32_t n)
{
    if (c->ext && c->ext->user_timeout_ms && c->state >= TCPS_ESTABLISHED)
        return silence_us(e, c, n) >= (uint64_t)c->ext->user_timeout_ms * 1000;
    return n >= retries_allowed(e, c);
}

/* ---- retransmission ---- */

static inline void backoff_grow(struct tcp_conn *c)
{
    if (c->backoff < UINT8_MAX)
        c->backoff++;
}

/* RFC 6298 5.4 to 5.6, for the SYN too. */
static void rto_fired(struct tcp_env *e, struct tcp_conn *c)
{
    bool is_over = is_given_up(e, c, c->backoff);
    if (unlikely(fastopen_is_used(c)))
        fastopen_timed_out(e, c, c->backoff, is_over);
    if (is_over) {
        give_up(e, c);
        return;
    }
    e->stats.rto++;
    if (c->state < TCPS_ESTABLISHED)
        c->flags |= TCF_NEEDS_SYN;
    else
        recovery_timeout(e, c);
    backoff_grow(c);
    timers_set_rtx(e, c, e->now_us + rtt_rto(e, c));
    conn_mark_output(e, c);
}

/* ---- persist ---- */

void timers_start_persist(struct tcp_env *e, struct tcp_conn *c)
{
    c->flags |= TCF_PERSIST;
    timers_set_rtx(e, c, e->now_us + rtt_rto(e, c));
}

/* An orphan whose peer keeps its window shut holds memory for nobody: bounded even when the peer
 * answers (RFC 6429). */
static bool orphan_waited_enough(const struct tcp_env *e, const struct tcp_conn *c)
{
    return (c->flags & TCF_ORPHAN) && c->backoff >= e->params.orphan_retries &&
           rtt_rto(e, c) >= e->params.max_rto_us;
}

/* A window may stay shut for ever as long as the peer answers probes (RFC 9293 MUST-37); one that
 * does not answer is given up like one that does not acknowledge. */
static void persist_fired(struct tcp_env *e, struct tcp_conn *c)
{
    if (orphan_waited_enough(e, c)) {
        give_up_aloud(e, c);
        return;
    }
    if (c->n_probes > 0 && is_given_up(e, c, c->n_probes)) {
        give_up(e, c);
        return;
    }
    if (c->n_probes < UINT8_MAX)
        c->n_probes++;
    c->flags |= TCF_PROBE | TCF_PERSIST;
    conn_mark_output(e, c);
    backoff_grow(c);
    timers_set_rtx(e, c, e->now_us + rtt_rto(e, c));
}

static void rtx_fired(struct tcp_env *e, struct tcp_conn *c)
{
    c->rtx_tick = 0;
    /* Sent data that the peer's window has shrunk away from is probed for, not resent (RFC 9293
     * 3.8.6). */
    if ((c->flags & TCF_PERSIST) || (c->snd_wnd == 0 && c->state >= TCPS_ESTABLISHED))
        persist_fired(e, c);
    else if (c->state < TCPS_ESTABLISHED || (c->snd_una < c->snd_max && !recovery_timer(e, c)))
        rto_fired(e, c);
}

/* ---- keepalive, idle timeout ---- */

struct keepalive {
    uint64_t idle_us, intvl_us;
    uint32_t cnt;
};

static struct keepalive keepalive_of(const struct tcp_conn *c)
{
    const struct tcp_opt_ext *x = c->ext;
    return (struct keepalive){
        .idle_us = (x && x->keep_idle_s ? x->keep_idle_s : KEEP_IDLE_S) * SEC_US,
        .intvl_us = (x && x->keep_intvl_s ? x->keep_intvl_s : KEEP_INTVL_S) * SEC_US,
        .cnt = x && x->keep_cnt ? x->keep_cnt : KEEP_CNT,
    };
}

/* Data in flight or waiting: the retransmission or persist timer watches the peer. */
static bool is_watched_otherwise(const struct tcp_conn *c)
{
    return c->snd_una != c->snd_max || timers_rtx_is_set(c);
}

/* When keepalive acts next: first after idle_us, then every intvl_us. Its probes are not counted
 * but told from the time that has passed, since a probe does not change last_active_us. */
static uint64_t keepalive_next_us(const struct tcp_env *e, const struct tcp_conn *c)
{
    struct keepalive k = keepalive_of(c);
    uint64_t at = c->last_active_us + k.idle_us;
    if (at <= e->now_us)
        at += ((e->now_us - at) / k.intvl_us + 1) * k.intvl_us;
    return at;
}

void timers_watch_idle(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->state < TCPS_ESTABLISHED || c->state == TCPS_TIME_WAIT ||
        (c->state == TCPS_FIN_WAIT_2 && (c->flags & TCF_ORPHAN)))
        return;
    uint64_t at = WHEEL_NEVER_US;
    if (c->flags & TCF_KEEPALIVE)
        at = keepalive_next_us(e, c);
    if (e->params.idle_timeout_us) {
        uint64_t end = c->last_active_us + e->params.idle_timeout_us;
        if (end < at)
            at = end > e->now_us ? end : e->now_us + 1;
    }
    timers_set_aux(e, c, at);
}

/* True when the connection is over. */
static bool keepalive_acts(struct tcp_env *e, struct tcp_conn *c)
{
    struct keepalive k = keepalive_of(c);
    uint64_t idle = e->now_us - c->last_active_us;
    if (idle < k.idle_us || is_watched_otherwise(c))
        return false;
    uint64_t n_sent = (idle - k.idle_us) / k.intvl_us;
    bool over = n_sent >= k.cnt;
    if (c->ext && c->ext->user_timeout_ms) /* RFC 5482 4.2 */
        over = n_sent > 0 && idle >= (uint64_t)c->ext->user_timeout_ms * 1000;
    if (over) {
        give_up_aloud(e, c);
        return true;
    }
    c->flags |= TCF_PROBE;
    conn_mark_output(e, c);
    return false;
}

static void idle_fired(struct tcp_env *e, struct tcp_conn *c)
{
    uint64_t idle = e->now_us - c->last_active_us;
    if (e->params.idle_timeout_us && idle >= e->params.idle_timeout_us) {
        give_up_aloud(e, c);
        return;
    }
    if ((c->flags & TCF_KEEPALIVE) && keepalive_acts(e, c))
        return;
    timers_watch_idle(e, c);
}

static void aux_fired(struct tcp_env *e, struct tcp_conn *c)
{
    c->aux_at = WHEEL_NEVER_US;
    if (c->state == TCPS_TIME_WAIT)
        conn_die(e, c, HOOK_END_FIN, 0); /* 2 MSL are over (RFC 9293 3.6.1) */
    else if (c->state == TCPS_FIN_WAIT_2 && (c->flags & TCF_ORPHAN))
        conn_die(e, c, HOOK_END_TIMEOUT, 0);
    else
        idle_fired(e, c);
}

/* ---- the wheel's entry ---- */

static void delack_fired(struct tcp_env *e, struct tcp_conn *c)
{
    c->flags = (c->flags & ~(uint32_t)TCF_ACK_DELAYED) | TCF_ACK_NOW;
    conn_mark_output(e, c);
}

static bool is_over(const struct tcp_conn *c)
{
    return c->flags & (TCF_DEAD | TCF_SEND_RST);
}

static void arm_next(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->flags & TCF_ACK_DELAYED)
        wake_by(e, c, tick_at_us(c->delack_tick, e->now_us));
    if (c->rtx_tick)
        wake_by(e, c, tick_at_us(c->rtx_tick, e->now_us));
    wake_by(e, c, c->aux_at);
}

void tcp_timer(struct tcp_env *e, struct tcp_conn *c)
{
    /* Now may be days later: the deadlines are near the time that the entry was armed for. */
    uint64_t armed_us = c->timer.at_us;
    if (is_over(c))
        return;
    if ((c->flags & TCF_ACK_DELAYED) && tick_at_us(c->delack_tick, armed_us) <= e->now_us)
        delack_fired(e, c);
    if (c->rtx_tick && tick_at_us(c->rtx_tick, armed_us) <= e->now_us)
        rtx_fired(e, c);
    if (!is_over(c) && c->aux_at <= e->now_us)
        aux_fired(e, c);
    if (!is_over(c))
        arm_next(e, c);
}

/*
 * Data in flight. The usual ACK (nothing lost, nothing SACKed) takes ack_open(): trim, sample,
 * grow, arm. Any other takes ack_disordered(), the steps of which are: what was delivered
 * (delivery.c), what does that say of loss (RACK or NewReno), which phase are we in, how large is
 * cwnd (PRR in recovery), when do we look again.
 *
 * Work per ACK is bounded by what it newly delivers: runs of SACKed records are skipped, RACK
 * judges each transmission once.
 */
#include "mtcp/tcp/recovery.h"

#include "mtcp/tcp/delivery.h"
#include "mtcp/tcp/flight.h"
#include "mtcp/tcp/rack.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/timers.h"
#include "mtcp/tcp/tune.h"
#include "mtcp/tcp/undo.h"

enum {
    REO_MARGIN_US = 2000,   /* beyond RACK's reordering window: it is late, not on time */
    TLP_MARGIN_US = 2000,   /* beyond 2 SRTT ... */
    TLP_DELACK_US = 200000, /* ... and when one segment is in flight: its ACK may be delayed */
    TS_TICK_US = 1000,      /* of the timestamps clock */
    TS_FLOOR_US = 500,      /* a round trip that it can't tell from none */
};

static inline uint32_t now32(const struct tcp_env *e)
{
    return (uint32_t)e->now_us;
}

static inline uint32_t max32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline tcp_off_t max_off(tcp_off_t a, tcp_off_t b)
{
    return a > b ? a : b;
}

static inline tcp_off_t min_off(tcp_off_t a, tcp_off_t b)
{
    return a < b ? a : b;
}

static inline uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- how much is in flight, how much may be ---- */

uint32_t recovery_flight_bytes(const struct tcp_conn *c)
{
    uint32_t n = delivery_outstanding(c);
    const struct tcp_flight *f = c->flight;
    if (f == NULL)
        return n;
    uint32_t gone = f->sacked_bytes + f->lost_bytes;
    return gone < n ? n - gone : 0;
}

uint32_t recovery_oldest_len(const struct tcp_conn *c)
{
    return c->flight != NULL && c->flight->n > 0 ? rec_len(flight_peek(c->flight, 0))
                                                 : delivery_outstanding(c);
}

bool recovery_in_recovery(const struct tcp_conn *c)
{
    return c->flight != NULL && c->flight->phase >= PHASE_RECOVERY;
}

/* What cwnd is after an idle time: data has not been sent for longer than a timeout, so what was
 * known of the path is void (RFC 5681 4.1). Asked when nothing is in flight. (The clock's low half
 * comes round after 71 minutes; within a timeout of that, an idle time goes unnoticed.) */
static inline bool restart_is_due(const struct tcp_env *e, const struct tcp_conn *c)
{
    if (likely(c->cwnd <= (uint32_t)c->mss * e->params.init_cwnd) || !e->params.idle_restart)
        return false;
    return now32(e) - c->snd_at_us > rtt_rto_base(e, c);
}

bool recovery_probe_is_new(const struct tcp_conn *c)
{
    return c->flight && c->flight->tlp_is_due && !c->flight->tlp_is_rexmit;
}

uint32_t recovery_cwnd_room(const struct tcp_env *e, const struct tcp_conn *c)
{
    uint32_t cwnd = c->cwnd;
    if (c->snd_una == c->snd_max)
        return restart_is_due(e, c) ? (uint32_t)c->mss * e->params.init_cwnd : cwnd;
    uint32_t pipe = recovery_flight_bytes(c);
    if (unlikely(recovery_probe_is_new(c)))
        cwnd = max32(cwnd, pipe + c->mss);
    return cwnd > pipe ? cwnd - pipe : 0;
}

static void restart_after_idle(struct tcp_env *e, struct tcp_conn *c)
{
    if (likely(!restart_is_due(e, c)))
        return;
    c->ssthresh = max32(c->ssthresh, c->cwnd / 4 * 3); /* what was reached is aimed at again */
    c->cwnd = (uint32_t)c->mss * e->params.init_cwnd;
    c->cc_ops->idle(c, e->now_us, now32(e) - c->snd_at_us);
}

/* A round trip in which cwnd was not used up does not count for congestion control. */
static __attribute__((noinline)) void tell_unlimited(struct tcp_env *e, struct tcp_conn *c)
{
    static const struct tcp_cc_ack unlimited = {.cwnd_limited = false};
    c->cc_ops->acked(c, &unlimited, e->now_us);
}

/* What is outstanding up to `to`, in segments; more than 16 bits are no less. */
static inline uint16_t segments16(const struct tcp_conn *c, tcp_off_t to)
{
    uint32_t n = ((uint32_t)(to - c->snd_una) + c->mss - 1) / c->mss;
    return n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}

/* How far cwnd is used, for the round trip that this segment begins or goes on (as Linux): was it
 * the limit (TCF_CWND_LIMITED), or, in slow start, how much was outstanding at most. `pipe` counts
 * the segment. */
static inline void note_usage(struct tcp_env *e, struct tcp_conn *c, const struct tcp_sent *s,
                              uint32_t pipe)
{
    struct tcp_flight *f = c->flight;
    bool is_full = pipe + c->mss > c->cwnd;
    if (likely(f == NULL)) { /* nothing else is in flight */
        c->flags = is_full ? c->flags | TCF_CWND_LIMITED : c->flags & ~(uint32_t)TCF_CWND_LIMITED;
        return;
    }
    bool was_limited = c->flags & TCF_CWND_LIMITED;
    bool is_new_round = !off_lt((uint32_t)c->snd_una, f->round_end);
    uint16_t n = is_full || c->cwnd >= c->ssthresh ? 0 : segments16(c, s->to);
    if (is_new_round && !was_limited && !is_full && n == 0)
        tell_unlimited(e, c);
    if (!is_new_round && !is_full && (was_limited || n <= f->round_most))
        return;
    c->flags = is_full ? c->flags | TCF_CWND_LIMITED : c->flags & ~(uint32_t)TCF_CWND_LIMITED;
    f->round_most = n;
    f->round_end = (uint32_t)s->to;
}

/* May cwnd grow? In slow start up to twice what was outstanding, since it doubles (RFC 7661). */
static inline bool is_cwnd_limited(const struct tcp_conn *c)
{
    if (c->flags & TCF_CWND_LIMITED)
        return true;
    return c->flight != NULL && c->cwnd < c->ssthresh &&
           c->cwnd < 2ull * c->flight->round_most * c->mss;
}

/* TCF_REXMIT spares output.c the question. */
static void note_rexmit(struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;
    if (f != NULL && (f->lost_bytes > 0 || f->tlp_is_due))
        c->flags |= TCF_REXMIT;
    else
        c->flags &= ~(uint32_t)TCF_REXMIT;
}

/* ssthresh was lowered on the peer's ECN echo, and what was in flight then is not acknowledged yet.
 */
static inline bool is_reducing(const struct tcp_conn *c)
{
    return c->flight != NULL && off_lt((uint32_t)c->snd_una, c->flight->cwr_end);
}

/* The new ssthresh for a loss, or what counts as one. The peer hears of it (RFC 3168 6.1.2). */
static void ssthresh_lower(struct tcp_env *e, struct tcp_conn *c)
{
    c->ssthresh = c->cc_ops->ssthresh(c, e->now_us);
    c->marks |= ECN_CWR;
}

/* ---- timers ---- */

/* Nothing but the reduction is going on. */
static inline bool cwr_is_undisturbed(const struct tcp_flight *f)
{
    return f->phase == PHASE_CWR && f->sacked_bytes == 0 && !f->tlp_is_pending;
}

/* RFC 8985 7.2, and the conditions of 7.3: no probe is in flight (the phase), and a round trip was
 * measured since the last one, so that probes do not keep SRTT from following a longer path. */
static inline bool tlp_is_possible(const struct tcp_conn *c, const struct tcp_flight *f)
{
    return (f == NULL || f->phase == PHASE_OPEN || cwr_is_undisturbed(f)) &&
           (c->flags & TCF_SACK) && c->srtt_us != 0 && !(c->marks & TLP_UNMEASURED);
}

/* How long a tail loss probe waits when so many bytes are in flight (RFC 8985 7.2). */
static inline uint32_t tlp_wait_us(const struct tcp_conn *c, uint32_t in_flight)
{
    return 2 * c->srtt_us + (in_flight <= c->mss ? TLP_DELACK_US : TLP_MARGIN_US);
}

/* After an ACK of new data: a tail loss probe where one is possible, else the timeout (RFC 6298
 * 5.3). */
static void arm(struct tcp_env *e, struct tcp_conn *c, uint32_t in_flight)
{
    struct tcp_flight *f = c->flight;
    uint32_t after = rtt_rto(e, c);
    bool is_probe = tlp_is_possible(c, f);
    if (is_probe)
        after = min32(after, tlp_wait_us(c, in_flight)); /* RFC 8985 7.2: at the latest then */
    if (f != NULL)
        f->timer = is_probe ? FLIGHT_TIMER_TLP : FLIGHT_TIMER_RTO;
    timers_set_rtx(e, c, e->now_us + after);
}

/* New data went out and the timer runs already: the timeout stays where it is, a probe moves later.
 */
static inline void arm_behind(struct tcp_env *e, struct tcp_conn *c, uint32_t in_flight)
{
    struct tcp_flight *f = c->flight;
    if (unlikely(f == NULL) || !tlp_is_possible(c, f) || f->tlp_armed_us == now32(e))
        return; /* no memory for a scoreboard; not; or for this burst */
    uint64_t at = e->now_us + tlp_wait_us(c, in_flight);
    if (f->timer != FLIGHT_TIMER_TLP && at >= timers_rtx_at(e, c))
        return;
    f->timer = FLIGHT_TIMER_TLP;
    if (in_flight > c->mss)
        f->tlp_armed_us = now32(e);
    timers_set_rtx(e, c, at);
}

static void arm_rto(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->flight != NULL)
        c->flight->timer = FLIGHT_TIMER_RTO;
    timers_set_rtx(e, c, e->now_us + rtt_rto(e, c));
}

/* RACK looks again when the oldest suspect's time is over (RFC 8985 6.2 step 5). */
static void arm_reo(struct tcp_env *e, struct tcp_conn *c, uint32_t after_us)
{
    c->flight->timer = FLIGHT_TIMER_REO;
    timers_set_rtx(e, c, e->now_us + after_us + REO_MARGIN_US);
}

/* ---- what was sent ---- */

/* The scoreboard; one segment in flight alone has none until something happens. False: no memory,
 * so that all that is in flight counts as one segment, sent when the last of it was. */
static bool flight_open(struct tcp_env *e, struct tcp_conn *c)
{
    if (likely(c->flight != NULL))
        return true;
    c->flight = flight_new(e->mem);
    if (unlikely(c->flight == NULL)) {
        e->stats.nomem_drops++;
        return false;
    }
    c->flight->round_end = c->flight->cwr_end = (uint32_t)c->snd_una;
    if (c->snd_una < c->snd_max) {
        flight_push(&c->flight, e->mem, (uint32_t)c->snd_una, (uint32_t)c->snd_max, c->snd_at_us);
        flight_at(c->flight, 0)->psh = true; /* recovery_sent_new(): it had one */
    }
    return true;
}

static void mark_resent(struct tcp_env *e, struct tcp_conn *c, uint32_t from, uint32_t to)
{
    if (c->flight == NULL)
        return;
    (void)flight_split(&c->flight, e->mem, from);
    (void)flight_split(&c->flight, e->mem,
                       to); /* without memory all of the record counts as resent */
    struct tcp_flight *f = c->flight;
    uint32_t i = flight_find(f, from);
    if (i < f->n && !(flight_at(f, i)->flags & REC_SACKED))
        flight_mark_resent(f, e->mem, flight_at(f, i), now32(e));
    note_rexmit(c);
}

static void recovery_resent(struct tcp_env *e, struct tcp_conn *c, uint32_t from, uint32_t to)
{
    mark_resent(e, c, from, to);
    struct tcp_flight *f = c->flight;
    if (f == NULL)
        return;
    f->prr_out += to - from;
    if (f->tlp_is_due)
        f->tlp_is_due = false;
    else
        undo_note_resent(c, to - from);
    note_rexmit(c);
    if (from == (uint32_t)c->snd_una && (c->flags & TCF_SACK))
        arm_rto(e, c); /* the oldest segment gets a full timeout again; NewReno: see timer_step() */
}

static void push_new(struct tcp_env *e, struct tcp_conn *c, const struct tcp_sent *s)
{
    uint32_t from = (uint32_t)s->from, to = (uint32_t)s->to;
    if (unlikely(!flight_open(e, c)))
        return;
    flight_push(&c->flight, e->mem, from, to, now32(e));
    struct tcp_flight *f = c->flight;
    flight_at(f, f->n - 1)->psh = s->psh;
    f->prr_out += to - from;
    if (unlikely(f->tlp_is_due)) {
        f->tlp_is_due = false;
        f->tlp_end = to;
        note_rexmit(c);
    }
}

static inline void recovery_sent_new(struct tcp_env *e, struct tcp_conn *c,
                                     const struct tcp_sent *s)
{
    uint32_t len = (uint32_t)(s->to - s->from);
    bool is_alone = c->snd_una == c->snd_max;
    if (is_alone)
        restart_after_idle(e, c);
    uint32_t pipe = recovery_flight_bytes(c) + len;
    if (!is_alone || c->flight != NULL || len > c->mss || !s->psh)
        push_new(e, c, s);
    note_usage(e, c, s, pipe);
    c->snd_at_us = now32(e);
}

bool recovery_was_pushed(const struct tcp_conn *c, tcp_off_t to)
{
    uint32_t i = c->flight ? flight_find(c->flight, (uint32_t)to - 1) : 0;
    if (!c->flight || i == c->flight->n)
        return false;
    const struct rec *r = flight_peek(c->flight, i);
    return r->psh && r->end == (uint32_t)to;
}

uint32_t recovery_probe_len(const struct tcp_conn *c)
{
    return min32(recovery_oldest_len(c), c->mss);
}

void recovery_sent(struct tcp_env *e, struct tcp_conn *c, const struct tcp_sent *s)
{
    if (unlikely(s->probe)) {
        mark_resent(e, c, (uint32_t)s->from, (uint32_t)s->to);
        return;
    }
    if (unlikely(s->rexmit))
        recovery_resent(e, c, (uint32_t)s->from, (uint32_t)s->to);
    else
        recovery_sent_new(e, c, s);
    if (unlikely(c->flags & TCF_PERSIST)) { /* the window lets data go again */
        timers_clear_rtx(c);
        c->backoff = 0;
    }
    uint32_t in_flight = (uint32_t)(max_off(s->to, c->snd_max) - c->snd_una);
    if (!timers_rtx_is_set(c))
        arm(e, c, in_flight); /* RFC 6298 5.1 */
    else
        arm_behind(e, c, in_flight);
}

/* ---- what to send again ---- */

static tcp_off_t off_of_low(const struct tcp_conn *c, uint32_t low)
{
    return c->snd_una + (int32_t)(low - (uint32_t)c->snd_una);
}

/* The first lost record, as far as cwnd goes; one segment when nothing else is in flight. */
static bool next_lost(const struct tcp_conn *c, tcp_off_t *from, tcp_off_t *to)
{
    const struct rec *r = flight_first_lost(c->flight);
    if (r == NULL)
        return false;
    uint32_t pipe = recovery_flight_bytes(c);
    uint32_t room = c->cwnd > pipe ? c->cwnd - pipe : 0;
    uint32_t len = rec_len(r);
    if (len > room) {
        if (room < c->mss && (pipe > 0 || len < c->mss))
            return false;
        /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): mss is at least TCP_MSS_MIN */
        len = max32(room - room % c->mss, min32(len, c->mss));
    }
    *from = off_of_low(c, r->start);
    *to = *from + len;
    return true;
}

/* A tail loss probe with nothing new to send: the last segment again. */
static bool next_probe(const struct tcp_conn *c, tcp_off_t *from, tcp_off_t *to)
{
    const struct tcp_flight *f = c->flight;
    if (!f->tlp_is_due || !f->tlp_is_rexmit || f->n == 0)
        return false;
    const struct rec *r = flight_peek(f, f->n - 1);
    if (r->flags & REC_SACKED)
        return false;
    *to = off_of_low(c, r->end);
    *from = *to - min32(rec_len(r), c->mss);
    return true;
}

bool recovery_next(const struct tcp_env *e, const struct tcp_conn *c, tcp_off_t *from,
                   tcp_off_t *to)
{
    (void)e;
    if (likely(!(c->flags & TCF_REXMIT)))
        return false;
    return next_lost(c, from, to) || next_probe(c, from, to);
}

/* ---- samples ---- */

/* The round trip by timestamps, for ACKs of retransmitted data (RFC 7323 4.1). 0: none.
 * An echo of a time before the retransmission either answers the first transmission, and then comes
 * sooner after the second than any answer to that could, or the first answer was lost and the peer
 * repeats it: that would measure our own timeout, and the next timeout would be longer still. */
static uint32_t rtt_by_timestamp(const struct tcp_env *e, const struct tcp_conn *c,
                                 const struct seg *s, uint32_t resent_age_us)
{
    if (!(c->flags & TCF_TS) || !s->opt.has_ts || s->opt.ts_ecr == 0)
        return 0;
    int32_t ms = (int32_t)(conn_ts_now(e, c) - s->opt.ts_ecr);
    if (ms < 0 || ms > (int32_t)(e->params.max_rto_us / 1000))
        return 0;
    uint32_t rtt_us = ms > 0 ? (uint32_t)ms * 1000u : TS_FLOOR_US;
    bool is_of_first = rtt_us > resent_age_us + TS_TICK_US;
    return is_of_first && resent_age_us >= c->min_rtt_us ? 0 : rtt_us;
}

static void cc_acked(struct tcp_env *e, struct tcp_conn *c, const struct delivery *d)
{
    struct tcp_cc_ack a = {.acked_bytes = d->delivered,
                           .flight_bytes = d->prior_pipe,
                           .rtt_us = d->rtt_us,
                           .cwnd_limited = true};
    if (likely(!is_reducing(c)))
        c->cc_ops->acked(c, &a, e->now_us);
}

static inline void take_sample(struct tcp_env *e, struct tcp_conn *c, uint32_t rtt_us)
{
    rtt_sample(e, c, rtt_us);
    if (unlikely(c->marks & TLP_UNMEASURED))
        c->marks &= (uint8_t)~TLP_UNMEASURED;
}

/* ---- the usual ACK ---- */

/* Forgets what is acknowledged; the round trip of the first of it, when it was sent once. 0: none.
 */
static inline uint32_t trim_open(struct tcp_env *e, struct tcp_conn *c, tcp_off_t ack)
{
    struct tcp_flight *f = c->flight;
    uint32_t rtt_us = 0;
    if (f == NULL)
        return ack == c->snd_max ? max32(now32(e) - c->snd_at_us, 1) : 0;
    const struct rec *first = flight_peek(f, 0);
    if (likely(!off_lt((uint32_t)ack, first->end) && first->flags == 0))
        rtt_us = max32(now32(e) - first->at_us, 1);
    flight_trim(f, (uint32_t)ack);
    return rtt_us;
}

static inline void ack_open(struct tcp_env *e, struct tcp_conn *c, tcp_off_t ack)
{
    struct delivery d = {.delivered = (uint32_t)(ack - c->snd_una),
                         .prior_pipe = delivery_outstanding(c)};
    d.rtt_us = trim_open(e, c, ack);
    delivery_una(e, c, ack);
    if (likely(d.rtt_us != 0))
        take_sample(e, c, d.rtt_us);
    if (unlikely(is_cwnd_limited(c)))
        cc_acked(e, c, &d);
    if (c->snd_una == c->snd_max)
        timers_clear_rtx(c);
    else
        arm(e, c, delivery_outstanding(c));
}

/* ---- phases ---- */

static void recovery_enter(struct tcp_env *e, struct tcp_conn *c, uint32_t delivered)
{
    struct tcp_flight *f = c->flight;
    f->phase = PHASE_RECOVERY;
    f->recover = (uint32_t)c->snd_max;
    /* RFC 9937 section 6: what was SACKed before will not be delivered in this recovery. */
    f->recover_fs = max32(
        delivery_outstanding(c) - min32(f->sacked_bytes, delivery_outstanding(c)) + delivered, 1);
    f->prr_delivered = f->prr_out = 0; /* also of a reduction that goes on (PHASE_CWR) */
    f->partial_seen = false;
    f->tlp_is_pending = f->tlp_is_due = false;
    f->dsack_noted = false;
    undo_begin(c);
    if (!is_reducing(c)) /* else this window has been answered for */
        ssthresh_lower(e, c);
    e->stats.rexmit_fast++;
}

static bool is_quiet(const struct tcp_flight *f)
{
    return f->sacked_bytes == 0 && f->n_dup_acks == 0 && f->lost_bytes == 0 && !f->tlp_is_pending;
}

/* Everything that was outstanding when recovery began is acknowledged. */
static void recovery_leave(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    if (f->phase == PHASE_RECOVERY)
        c->cwnd = c->ssthresh; /* RFC 9937 section 6.2 */
    if (!(c->flags & TCF_SACK)) {
        f->guard = true;
        f->sacked_bytes = 0;
    }
    f->phase = PHASE_DISORDER;
}

/* RFC 9937 (PRR): cwnd so that over the recovery ssthresh / recover_fs of what is delivered is
 * sent. */
static void prr_update(struct tcp_conn *c, const struct delivery *d, bool must_send)
{
    struct tcp_flight *f = c->flight;
    uint32_t pipe = recovery_flight_bytes(c);
    int64_t n;
    f->prr_delivered += d->delivered;
    if (pipe > c->ssthresh) {
        uint64_t share = (uint64_t)f->prr_delivered * c->ssthresh + f->recover_fs - 1;
        n = (int64_t)(share / f->recover_fs) - f->prr_out;
    } else {
        int64_t limit = (int64_t)f->prr_delivered - f->prr_out;
        limit = limit > d->delivered ? limit : d->delivered;
        /* Recovery goes well (SafeACK); without one there is nothing to catch up with. */
        if (d->acked > 0 && !d->has_losses && f->phase == PHASE_RECOVERY)
            limit += c->mss;
        n = c->ssthresh - pipe < limit ? c->ssthresh - pipe : limit;
    }
    int64_t least = must_send ? c->mss : 0;
    n = n > least ? n : least;
    c->cwnd = max32(pipe + (uint32_t)n, c->mss);
}

/* NewReno's loss detection (RFC 6582 3.2 steps 2, 3 and 5): the third duplicate ACK, and every
 * partial ACK in recovery, say that the first outstanding segment is lost. */
static void reno_detect(struct tcp_env *e, struct tcp_conn *c, const struct delivery *d)
{
    struct tcp_flight *f = c->flight;
    bool third = f->phase < PHASE_RECOVERY && f->n_dup_acks >= RACK_DUP_THRESH && !f->guard;
    bool partial =
        f->phase == PHASE_RECOVERY && d->acked > 0 && off_lt((uint32_t)c->snd_una, f->recover);
    if (!(third || partial) || f->n == 0)
        return;
    uint32_t end = flight_at(f, 0)->start + min32(rec_len(flight_at(f, 0)), c->mss);
    (void)flight_split(&c->flight, e->mem, end);
    struct rec *r = flight_at(c->flight, 0);
    if (r->flags == 0)
        flight_mark_lost(c->flight, r);
}

/* RFC 8985 7.4.2: did a tail loss probe repair a loss that nobody noticed? */
static void tlp_take_ack(struct tcp_env *e, struct tcp_conn *c, const struct delivery *d)
{
    struct tcp_flight *f = c->flight;
    if (!f->tlp_is_pending || off_lt((uint32_t)c->snd_una, f->tlp_end))
        return;
    if (!f->tlp_is_rexmit || d->has_dsack || f->tlp_is_due) {
        f->tlp_is_pending = f->tlp_is_due = false;
    } else if (off_lt(f->tlp_end, (uint32_t)c->snd_una)) {
        f->tlp_is_pending = false;
        ssthresh_lower(e, c);
        c->cwnd = min32(c->cwnd, c->ssthresh);
    } else if (d->is_dup && !d->has_sack) {
        f->tlp_is_pending = false;
    }
}

/* Was the last retransmission needless? Without SACK an ACK of more than was resent says nothing:
 * the rest may have come earlier. */
static void undo_step(struct tcp_env *e, struct tcp_conn *c, const struct seg *s,
                      const struct delivery *d)
{
    struct tcp_flight *f = c->flight;
    bool is_needless = false;
    if (!f->undo_is_possible)
        return;
    if (off_lt(f->recover + f->undo_cwnd, (uint32_t)c->snd_una))
        f->undo_is_possible = false; /* long past: what is reported now is something else */
    if (d->is_ambiguous)
        is_needless = undo_echo_is_older(e, c, s, d->oldest_age_us);
    if (d->has_dsack)
        is_needless |= undo_all_were_needless(c);
    if (f->phase == PHASE_LOSS && (c->flags & TCF_SACK))
        is_needless |= d->has_original;
    if (is_needless)
        undo_apply(e, c);
}

/* The phase after this ACK. */
static void phase_step(struct tcp_env *e, struct tcp_conn *c, const struct delivery *d)
{
    struct tcp_flight *f = c->flight;
    uint32_t una = (uint32_t)c->snd_una;
    if (f->guard && f->phase < PHASE_RECOVERY && off_lt(f->recover, una))
        f->guard = false;
    if (f->phase >= PHASE_RECOVERY && !off_lt(una, f->recover))
        recovery_leave(c);
    if (f->phase < PHASE_RECOVERY && f->lost_bytes > 0)
        recovery_enter(e, c, d->delivered);
    else if (f->phase == PHASE_CWR && is_reducing(c))
        return;
    else if (f->phase < PHASE_RECOVERY)
        f->phase = is_quiet(f) && !f->guard ? PHASE_OPEN : PHASE_DISORDER;
}

/* cwnd after this ACK, which found the connection in phase `before`. */
static void cwnd_step(struct tcp_env *e, struct tcp_conn *c, struct delivery *d, uint8_t before)
{
    if (c->flight->phase == PHASE_RECOVERY) {
        if (d->delivered == 0 && before == PHASE_RECOVERY)
            return;
        /* The fast retransmission goes in any case, and without SACK that of every partial ACK. */
        bool is_partial = d->acked > 0 && !(c->flags & TCF_SACK);
        prr_update(c, d, before != PHASE_RECOVERY || is_partial);
        return;
    }
    if (c->flight->phase == PHASE_CWR) { /* RFC 9937: the same for a reduction without a loss */
        if (d->delivered > 0)
            prr_update(c, d, false);
        return;
    }
    if (before == PHASE_CWR)
        c->cwnd = c->ssthresh;
    if (d->acked == 0 || before == PHASE_CWR)
        return;
    if (before >= PHASE_RECOVERY && !(c->flags & TCF_SACK))
        d->delivered = min32(d->delivered, c->mss); /* most came earlier (RFC 3465 2.3) */
    if (is_cwnd_limited(c) || before == PHASE_LOSS)
        cc_acked(e, c, d);
}

/* When to look again. Without SACK only the first partial ACK restarts the timer, so that many
 * losses in one window end in a timeout (RFC 6582 section 4, "impatient"). */
static void timer_step(struct tcp_env *e, struct tcp_conn *c, const struct delivery *d,
                       uint32_t wait_us)
{
    struct tcp_flight *f = c->flight;
    bool restarts = d->acked > 0;
    if (c->snd_una == c->snd_max) {
        timers_clear_rtx(c);
        return;
    }
    if (restarts && f->phase == PHASE_RECOVERY && !(c->flags & TCF_SACK)) {
        restarts = !f->partial_seen;
        f->partial_seen = true;
    }
    if (restarts)
        arm(e, c, delivery_outstanding(c));
    if (wait_us != 0)
        arm_reo(e, c, wait_us);
}

static void sample_step(struct tcp_env *e, struct tcp_conn *c, const struct seg *s,
                        const struct delivery *d)
{
    uint32_t rtt_us = d->rtt_us;
    if (d->is_ambiguous)
        rtt_us = rtt_by_timestamp(e, c, s, d->resent_age_us); /* Karn (RFC 6298 section 3) */
    if (rtt_us != 0)
        take_sample(e, c, rtt_us);
}

static bool is_dup_ack(const struct tcp_conn *c, const struct tcp_ack *a)
{
    return a->ack == c->snd_una && !a->has_data && !a->window_changed;
}

static void disorder_begin(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    f->phase = PHASE_DISORDER;
    rack_reset(c);
}

static void ack_disordered(struct tcp_env *e, struct tcp_conn *c, const struct tcp_ack *a)
{
    if (!flight_open(e, c)) {
        if (a->ack > c->snd_una)
            ack_open(e, c, a->ack);
        return;
    }
    if (c->flight->phase == PHASE_OPEN)
        disorder_begin(c);
    struct delivery d = {.prior_pipe = recovery_flight_bytes(c), .is_dup = is_dup_ack(c, a)};
    e->stats.dup_acks_in += d.is_dup;
    if (a->ack > c->snd_una)
        delivery_cumulative(e, c, a, &d);
    uint32_t wait_us = 0, lost;
    if (c->flags & TCF_SACK) {
        delivery_sacks(e, c, a, &d);
        sample_step(e, c, a->seg, &d);
        undo_step(e, c, a->seg, &d);
        lost = c->flight->lost_bytes;
        wait_us = rack_detect(e, c);
    } else {
        if (d.acked > 0)
            delivery_take_back(c, &d);
        else if (d.is_dup)
            delivery_dup_ack(c, &d);
        sample_step(e, c, a->seg, &d);
        undo_step(e, c, a->seg, &d);
        lost = c->flight->lost_bytes;
        reno_detect(e, c, &d);
    }
    d.has_losses = c->flight->lost_bytes > lost;
    tlp_take_ack(e, c, &d);
    uint8_t before = c->flight->phase;
    phase_step(e, c, &d);
    cwnd_step(e, c, &d, before);
    timer_step(e, c, &d, wait_us);
    note_rexmit(c);
    conn_mark_output(e, c);
}

/* Nothing is in flight, but the last word on a tail loss probe may still come. */
static void ack_late(struct tcp_env *e, struct tcp_conn *c, const struct tcp_ack *a)
{
    struct delivery d = {.is_dup = is_dup_ack(c, a), .has_dsack = delivery_is_dsack(a->seg)};
    tlp_take_ack(e, c, &d);
    note_rexmit(c);
    conn_mark_output(e, c); /* so that the scoreboard goes back */
}

/* The window had shrunk to nothing over data in flight, and opens again: what was sent beyond it is
 * gone (RFC 9293 3.8.6). */
static void window_reopened(struct tcp_env *e, struct tcp_conn *c)
{
    c->flags &= ~(uint32_t)TCF_PERSIST;
    c->backoff = 0;
    recovery_timeout(e, c);
    arm_rto(e, c);
    conn_mark_output(e, c);
}

void recovery_ack(struct tcp_env *e, struct tcp_conn *c, const struct tcp_ack *a)
{
    const struct tcp_flight *f = c->flight;
    c->n_probes = 0; /* the peer is there */
    if (c->snd_una == c->snd_max) {
        if (unlikely(f != NULL))
            ack_late(e, c, a);
        return;
    }
    bool is_open = f == NULL || f->phase == PHASE_OPEN;
    if (likely(is_open && a->seg->opt.n_sack == 0 && a->ack > c->snd_una))
        ack_open(e, c, a->ack);
    else if (!is_open || a->seg->opt.n_sack != 0 || is_dup_ack(c, a))
        ack_disordered(e, c, a);
    if (unlikely((c->flags & TCF_PERSIST) && c->snd_wnd > 0 && c->snd_una < c->snd_max))
        window_reopened(e, c);
}

/* Proportional rate reduction takes cwnd down to the new ssthresh (RFC 9937, as Linux). Of one
 * segment in flight alone there is no scoreboard, and no window that lasts: its ACK ends it. */
void recovery_ecn_echo(struct tcp_env *e, struct tcp_conn *c, tcp_off_t ack)
{
    struct tcp_flight *f = c->flight;
    if (c->snd_una == c->snd_max || (f != NULL && f->phase >= PHASE_RECOVERY))
        return;
    if (!off_lt(f != NULL ? f->cwr_end : (uint32_t)c->snd_una, (uint32_t)ack))
        return;
    if (f != NULL && f->phase == PHASE_CWR)
        c->cwnd = c->ssthresh; /* the last reduction ends with this ACK */
    ssthresh_lower(e, c);
    e->stats.ecn_reductions++;
    if (f == NULL) {
        c->cwnd = min32(c->cwnd, c->ssthresh);
        return;
    }
    if (f->phase == PHASE_OPEN)
        disorder_begin(c);
    f->phase = PHASE_CWR;
    f->cwr_end = (uint32_t)c->snd_max;
    f->recover_fs = max32(recovery_flight_bytes(c), 1);
    f->prr_delivered = f->prr_out = 0;
    f->undo_is_possible = false;
}

/* ---- timeouts ---- */

/* The peer may drop what it has SACKed; it has, when what it waits for is SACKed (RFC 2018 section
 * 8). Otherwise its reports are still good. */
static void survive_reneging(struct tcp_env *e, struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    if (!(c->flags & TCF_SACK))
        f->sacked_bytes = 0;
    else if (flight_at(f, 0)->flags & REC_SACKED)
        flight_forget_sacks(f, now32(e));
}

void recovery_timeout(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->snd_una == c->snd_max || !flight_open(e, c))
        return;
    struct tcp_flight *f = c->flight;
    if (f->phase < PHASE_RECOVERY)
        undo_begin(c);
    /* RFC 5681 equation 4, once per loss: what fast recovery did not repair is not another one. */
    if (f->phase < PHASE_RECOVERY || (f->phase == PHASE_LOSS && c->backoff == 0))
        ssthresh_lower(e, c);
    survive_reneging(e, c);
    flight_mark_all_lost(f);
    f->rack_from = (uint32_t)c->snd_max;
    f->phase = PHASE_LOSS;
    f->recover = (uint32_t)c->snd_max;
    f->n_dup_acks = 0;
    f->tlp_is_pending = f->tlp_is_due = false;
    f->timer = FLIGHT_TIMER_RTO;
    c->cwnd = c->mss;
    c->cc_ops->rto(c, e->now_us);
    note_rexmit(c);
}

static void reo_fired(struct tcp_env *e, struct tcp_conn *c)
{
    struct delivery none = {.prior_pipe = recovery_flight_bytes(c)};
    uint32_t wait_us = rack_detect(e, c);
    uint8_t before = c->flight->phase;
    phase_step(e, c, &none);
    cwnd_step(e, c, &none, before);
    if (wait_us != 0)
        arm_reo(e, c, wait_us);
    else
        arm_rto(e, c);
}

/* RFC 8985 7.3: a new segment if there is one, however short, else the last one again. */
static void tlp_fired(struct tcp_env *e, struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    tcp_off_t unsent = min_off((tcp_off_t)stream_next(&c->snd) - c->snd_max, c->mss);
    tcp_off_t room = c->snd_una + c->snd_wnd - c->snd_max;
    f->tlp_is_pending = f->tlp_is_due = true;
    f->tlp_is_rexmit = unsent <= 0 || room < unsent;
    f->tlp_end = (uint32_t)c->snd_max;
    c->marks |= TLP_UNMEASURED;
    if (f->phase == PHASE_OPEN)
        disorder_begin(c);
    arm_rto(e, c);
}

bool recovery_timer(struct tcp_env *e, struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    if (f == NULL && (!tlp_is_possible(c, f) || !flight_open(e, c)))
        return false;
    if (f == NULL)
        c->flight->timer = FLIGHT_TIMER_TLP; /* of one segment alone: arm() */
    f = c->flight;
    if (f->n == 0 || f->timer == FLIGHT_TIMER_RTO)
        return false;
    if (f->timer == FLIGHT_TIMER_REO)
        reo_fired(e, c);
    else
        tlp_fired(e, c);
    note_rexmit(c);
    conn_mark_output(e, c);
    return true;
}

void recovery_mtu_lowered(struct tcp_env *e, struct tcp_conn *c, uint16_t was)
{
    c->cwnd = (uint32_t)((uint64_t)c->cwnd * c->mss / was);
    if (c->snd_una == c->snd_max || c->snd_una < 0 || !flight_open(e, c))
        return;
    struct tcp_flight *f = c->flight;
    for (uint32_t i = 0; i < f->n; i++) {
        struct rec *r = flight_at(f, i);
        if (rec_len(r) > c->mss && !(r->flags & (REC_SACKED | REC_LOST)))
            flight_mark_lost(f, r);
    }
    if (f->lost_bytes > 0 && f->phase < PHASE_RECOVERY) {
        if (f->phase == PHASE_OPEN)
            disorder_begin(c);
        f->phase = PHASE_LOSS; /* resend in order; cwnd stays, and does not grow meanwhile */
        f->recover = (uint32_t)c->snd_max;
        c->ssthresh = min32(c->ssthresh, c->cwnd);
    }
    note_rexmit(c);
    conn_mark_output(e, c);
}

void recovery_syn_data_lost(struct tcp_env *e, struct tcp_conn *c)
{
    arm_rto(e, c);
    if (!flight_open(e, c))
        return; /* the timeout sees to it */
    struct tcp_flight *f = c->flight;
    flight_mark_all_lost(f);
    f->rack_from = (uint32_t)c->snd_max;
    f->phase = PHASE_LOSS;
    f->recover = (uint32_t)c->snd_max;
    note_rexmit(c);
    conn_mark_output(e, c);
}

/* ---- for TCP_INFO ---- */

static uint32_t segments(const struct tcp_conn *c, uint32_t bytes)
{
    return (bytes + c->mss - 1) / c->mss;
}

void recovery_info(const struct tcp_conn *c, struct tcp_recovery_info *info)
{
    const struct tcp_flight *f = c->flight;
    *info = (struct tcp_recovery_info){.reordering = RACK_DUP_THRESH};
    if (f == NULL)
        return;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct rec *r = flight_peek(f, i);
        uint32_t n = segments(c, rec_len(r));
        info->sacked += r->flags & REC_SACKED ? n : 0;
        if (r->flags & REC_SACKED)
            continue;
        info->lost += r->flags != 0 && f->phase >= PHASE_RECOVERY ? n : 0;
        info->retrans += r->flags == REC_REXMITTED ? n : 0;
    }
    if (!(c->flags & TCF_SACK))
        info->sacked = segments(c, f->sacked_bytes);
    if (f->reordering > info->reordering)
        info->reordering = f->reordering;
    info->is_disordered = f->phase == PHASE_DISORDER;
    info->is_reducing = f->phase == PHASE_CWR;
    info->is_in_loss = f->phase == PHASE_LOSS;
}

/* ---- memory ---- */

void recovery_release(struct tcp_env *e, struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    if (f == NULL || f->n > 0 || f->guard || f->tlp_is_pending)
        return;
    recovery_fini(e, c);
}

void recovery_fini(struct tcp_env *e, struct tcp_conn *c)
{
    flight_free(c->flight, e->mem);
    c->flight = NULL;
    c->flags &= ~(uint32_t)TCF_REXMIT;
}

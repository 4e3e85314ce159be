/*
 * RACK (RFC 8985 section 6): what was sent before something that has been delivered, and is late,
 * is lost. A transmission is judged once: those sent for the first time lie in order of time, so a
 * cursor moves over them; retransmissions have a queue of their own (flight.h).
 */
#include "mtcp/tcp/rack.h"

/* Times are the low 32 bits of the clock. What lies further back than this says nothing: it could
 * seem to lie ahead (a process may be stopped for any time). */
#define RACK_AGE_MAX_US (1u << 30)

static inline bool rack_is_past(const struct tcp_env *e, uint32_t at_us)
{
    return (uint32_t)e->now_us - at_us > RACK_AGE_MAX_US;
}

static bool rack_says_something(const struct tcp_env *e, struct tcp_conn *c)
{
    if (c->flight->rack_valid && unlikely(rack_is_past(e, c->flight->rack_at_us)))
        rack_reset(c);
    return c->flight->rack_valid;
}

/* Was the first transmission sent after the second? */
static inline bool rack_sent_after(uint32_t at1, uint32_t end1, uint32_t at2, uint32_t end2)
{
    return off_lt(at2, at1) || (at1 == at2 && off_lt(end2, end1));
}

/* An ACK of a retransmitted segment may be one of its first transmission: then it echoes an older
 * timestamp, or comes sooner than any ACK could (RFC 8985 6.2 step 2). */
static bool rack_is_spurious(const struct tcp_env *e, const struct tcp_conn *c, const struct seg *s,
                             uint32_t rtt_us)
{
    if ((c->flags & TCF_TS) && s->opt.has_ts) {
        uint32_t sent_ts = conn_ts_now(e, c) - rtt_us / 1000 - 1;
        if ((int32_t)(s->opt.ts_ecr - sent_ts) < 0)
            return true;
    }
    return rtt_us < c->min_rtt_us;
}

static void note_reordering(struct tcp_conn *c, uint32_t distance)
{
    struct tcp_flight *f = c->flight;
    uint32_t segments = (distance + c->mss - 1) / c->mss;
    f->reordering_seen = true;
    if (segments > f->reordering)
        f->reordering = segments < UINT8_MAX ? (uint8_t)segments : UINT8_MAX;
}

/* A segment was delivered: the newest one delivered is the measure of the others (6.2 steps 1-3).
 */
void rack_note(const struct tcp_env *e, struct tcp_conn *c, const struct seg *s,
               const struct rec *r)
{
    struct tcp_flight *f = c->flight;
    uint32_t rtt_us = (uint32_t)e->now_us - r->at_us;
    bool was_resent = r->flags & REC_REXMITTED, is_valid = rack_says_something(e, c);
    if (is_valid && off_lt(r->end, f->fack)) {
        if (!was_resent)
            note_reordering(c, f->fack - r->start);
    } else {
        f->fack = r->end;
    }
    if (rack_is_past(e, r->at_us) || (was_resent && rack_is_spurious(e, c, s, rtt_us)))
        return;
    f->rack_rtt_us = rtt_us; /* also of one that is not the newest: the path may be that slow */
    if (is_valid && !rack_sent_after(r->at_us, r->end, f->rack_at_us, f->rack_end))
        return;
    f->rack_at_us = r->at_us;
    f->rack_end = r->end;
    f->rack_valid = true;
}

/* How late a segment may be before it counts as lost (6.2 step 4). */
static uint32_t rack_window_us(const struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;
    bool many = f->n_sacked >= RACK_DUP_THRESH || f->sacked_bytes > (RACK_DUP_THRESH - 1u) * c->mss;
    if (!f->reordering_seen && (f->phase >= PHASE_RECOVERY || many))
        return 0;
    if (c->min_rtt_us == UINT32_MAX)
        return c->srtt_us;
    uint64_t w = (uint64_t)f->reo_mult * (c->min_rtt_us / 4);
    return w < c->srtt_us ? (uint32_t)w : c->srtt_us;
}

/* The judgement on one transmission. */
enum verdict { VERDICT_NEWER, VERDICT_WAIT, VERDICT_LOST };

static enum verdict rack_judge(const struct tcp_env *e, const struct tcp_conn *c,
                               const struct rec *r, uint32_t window_us, uint32_t *wait_us)
{
    const struct tcp_flight *f = c->flight;
    if (!rack_sent_after(f->rack_at_us, f->rack_end, r->at_us, r->end))
        return VERDICT_NEWER;
    int32_t left = (int32_t)(r->at_us + f->rack_rtt_us + window_us - (uint32_t)e->now_us);
    if (left <= 0)
        return VERDICT_LOST;
    *wait_us = (uint32_t)left;
    return VERDICT_WAIT;
}

/* Those that were sent once lie in order of time: judged from where the last ACK left off. */
static uint32_t rack_judge_originals(const struct tcp_env *e, struct tcp_conn *c,
                                     uint32_t window_us)
{
    struct tcp_flight *f = c->flight;
    uint32_t wait_us = 0, i = flight_find(f, f->rack_from);
    while (i < f->n) {
        struct rec *r = flight_at(f, i);
        if (r->flags & REC_SACKED) {
            i += flight_run(f, i);
            continue;
        }
        if (r->flags == 0) {
            if (rack_judge(e, c, r, window_us, &wait_us) != VERDICT_LOST)
                break;
            flight_mark_lost(f, r);
        }
        i++;
    }
    f->rack_from = i < f->n ? flight_at(f, i)->start : (uint32_t)c->snd_max;
    return wait_us;
}

/* Retransmissions, in the order in which they were sent: lost again? */
static uint32_t rack_judge_rexmits(const struct tcp_env *e, struct tcp_conn *c, uint32_t window_us)
{
    struct tcp_flight *f = c->flight;
    uint32_t wait_us = 0;
    struct rec *r;
    while ((r = flight_oldest_rexmit(f)) != NULL) {
        if (rack_judge(e, c, r, window_us, &wait_us) != VERDICT_LOST)
            break;
        flight_mark_lost(f, r);
        flight_pop_rexmit(f);
    }
    return wait_us;
}

/* Marks what is lost; when to look again in us, 0: no need. (6.2 step 5) */
uint32_t rack_detect(const struct tcp_env *e, struct tcp_conn *c)
{
    if (!rack_says_something(e, c))
        return 0;
    uint32_t window_us = rack_window_us(c);
    uint32_t a = rack_judge_originals(e, c, window_us);
    uint32_t b = rack_judge_rexmits(e, c, window_us);
    return a == 0 || (b != 0 && b < a) ? b : a;
}

void rack_note_dsack(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    if (f->dsack_noted || f->reo_mult >= RACK_MULT_MAX)
        return;
    f->dsack_noted = true;
    f->reo_mult++;
}

void rack_reset(struct tcp_conn *c)
{
    c->flight->rack_valid = false;
    c->flight->rack_from = (uint32_t)c->snd_una;
}

/* Spurious retransmissions are found out, and what they cost is given back. */
#include "mtcp/tcp/undo.h"

#include "mtcp/tcp/rack.h"

void undo_begin(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    f->undo_cwnd = c->cwnd;
    f->undo_ssthresh = c->ssthresh;
    f->n_undo = 0;
    f->undo_is_asked = false;
    f->undo_is_possible = true;
}

void undo_note_resent(struct tcp_conn *c, uint32_t len)
{
    struct tcp_flight *f = c->flight;
    uint32_t n = f->n_undo + (len + c->mss - 1) / c->mss;
    f->n_undo = (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
}

bool undo_all_were_needless(struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    if (!f->undo_is_possible || f->n_undo == 0)
        return false;
    return --f->n_undo == 0;
}

bool undo_echo_is_older(const struct tcp_env *e, struct tcp_conn *c, const struct seg *s,
                        uint32_t resent_age_us)
{
    struct tcp_flight *f = c->flight;
    if (f->undo_is_asked)
        return false;
    f->undo_is_asked = true;                                           /* RFC 3522 3.2 step 5 */
    uint32_t resent_ts = conn_ts_now(e, c) - resent_age_us / 1000 - 1; /* or the tick after it */
    return (c->flags & TCF_TS) && s->opt.has_ts && s->opt.ts_ecr != 0 &&
           (int32_t)(s->opt.ts_ecr - resent_ts) < 0;
}

void undo_apply(struct tcp_env *e, struct tcp_conn *c)
{
    struct tcp_flight *f = c->flight;
    c->cwnd = c->cwnd > f->undo_cwnd ? c->cwnd : f->undo_cwnd;
    c->ssthresh = c->ssthresh > f->undo_ssthresh ? c->ssthresh : f->undo_ssthresh;
    f->undo_is_possible = false;
    f->reordering_seen = true; /* else the same would happen again at once */
    f->phase = PHASE_DISORDER;
    flight_unmark_lost(f);
    rack_reset(c);
    c->cc_ops->idle(c, e->now_us, 0); /* what it made of the loss is void */
    e->stats.undone++;
}

/* What an ACK delivers. */
#include "mtcp/tcp/delivery.h"

#include "mtcp/tcp/flight.h"
#include "mtcp/tcp/rack.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/tune.h"
#include "mtcp/tcp/zerocopy.h"

static inline uint32_t now32(const struct tcp_env *e)
{
    return (uint32_t)e->now_us;
}

static inline uint32_t max32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void delivery_una(struct tcp_env *e, struct tcp_conn *c, tcp_off_t ack)
{
    struct stream *s = &c->snd;
    tcp_off_t written = (tcp_off_t)stream_next(s);
    bool was_full = s->unread >= s->limit;
    if (unlikely(ack > written)) {
        c->flags |= TCF_FIN_ACKED;
        stream_consume(s, s->unread);
    } else {
        stream_consume(s, (uint64_t)ack - stream_read(s));
    }
    c->snd_una = ack;
    if (unlikely(c->backoff > 0))
        rtt_keep_backoff(c);
    c->soft_err = 0; /* the path is there, whatever ICMP said */
    if (unlikely(was_full))
        tune_snd(e, c);
    if (unlikely(was_full || c->ext != NULL)) { /* options may say that room is more than a byte */
        conn_mark_ready(e, c, TCP_READY_OUT);
        zerocopy_acked(e, c);
    }
    conn_mark_output(e, c);
}

/* ---- the scoreboard ---- */

static void deliver(struct tcp_env *e, struct tcp_conn *c, const struct seg *s, const struct rec *r,
                    struct delivery *d)
{
    d->delivered += rec_len(r);
    if (!(r->flags & REC_REXMITTED)) {
        d->has_original |= off_leq(r->end, c->flight->recover);
        if (d->rtt_us == 0)
            d->rtt_us = max32(now32(e) - r->at_us, 1);
    }
    if (c->flags & TCF_SACK)
        rack_note(e, c, s, r);
}

static void note_ambiguous(struct delivery *d, uint32_t age_us)
{
    if (!d->is_ambiguous || age_us < d->resent_age_us)
        d->resent_age_us = age_us;
    d->oldest_age_us = max32(d->oldest_age_us, age_us);
    d->is_ambiguous = true;
}

void delivery_cumulative(struct tcp_env *e, struct tcp_conn *c, const struct tcp_ack *a,
                         struct delivery *d)
{
    struct tcp_flight *f = c->flight;
    uint32_t i;
    d->acked = (uint32_t)(a->ack - c->snd_una);
    for (i = 0; i < f->n && !off_lt((uint32_t)a->ack, flight_at(f, i)->end); i++) {
        const struct rec *r = flight_at(f, i);
        if (r->flags & REC_REXMITTED)
            note_ambiguous(d, now32(e) - r->at_us);
        if (!(r->flags & REC_SACKED))
            deliver(e, c, a->seg, r, d);
    }
    if (i < f->n && off_lt(flight_at(f, i)->start, (uint32_t)a->ack) &&
        !(flight_at(f, i)->flags & REC_SACKED)) /* a part of what went as one large segment */
        d->delivered += (uint32_t)a->ack - flight_at(f, i)->start;
    flight_trim(f, (uint32_t)a->ack);
    delivery_una(e, c, a->ack);
    f->n_dup_acks = 0;
}

/* A SACK block's edge on the boundary of a segment within its record, outside the block when it
 * lies in between: only whole segments are taken from the scoreboard. */
static uint32_t segment_boundary(const struct tcp_conn *c, uint32_t off, bool is_start)
{
    const struct tcp_flight *f = c->flight;
    uint32_t i = flight_find(f, off);
    if (i == f->n)
        return off;
    const struct rec *r = flight_peek(f, i);
    if (off_leq(off, r->start) || (r->flags & REC_SACKED))
        return off;
    uint32_t down = r->start + (off - r->start) / c->mss * c->mss;
    if (down == off || !is_start)
        return down;
    return r->end - down <= c->mss ? r->end : down + c->mss;
}

/* Marks the records that lie within [from, to). */
static void sack_records(struct tcp_env *e, struct tcp_conn *c, const struct seg *s, uint32_t from,
                         uint32_t to, struct delivery *d)
{
    struct tcp_flight *f = c->flight;
    uint32_t first = flight_find(f, from), i;
    if (first < f->n && off_lt(flight_at(f, first)->start, from) &&
        !(flight_at(f, first)->flags & REC_SACKED))
        first++; /* no memory to split it */
    for (i = first; i < f->n && off_leq(flight_at(f, i)->end, to);) {
        struct rec *r = flight_at(f, i);
        if (r->flags & REC_SACKED) {
            i += flight_run(f, i);
            continue;
        }
        deliver(e, c, s, r, d);
        flight_mark_sacked(f, r);
        d->has_sack = true;
        i++;
    }
    if (i > first)
        flight_at(f, first)->n_run = i - first;
}

static void take_block(struct tcp_env *e, struct tcp_conn *c, const struct seg *s,
                       struct sack_block b, struct delivery *d)
{
    int32_t len = seq_diff(b.end, b.start);
    tcp_off_t start = off_of_seq(c->iss, b.start, c->snd_una);
    tcp_off_t end = start + len;
    if (len <= 0 || end > c->snd_max || end <= c->snd_una)
        return; /* impossible, or old */
    if (start < c->snd_una)
        start = c->snd_una;
    uint32_t from = segment_boundary(c, (uint32_t)start, true);
    uint32_t to = segment_boundary(c, (uint32_t)end, false);
    if (!off_lt(from, to))
        return;
    (void)flight_split(&c->flight, e->mem, from);
    (void)flight_split(&c->flight, e->mem, to);
    sack_records(e, c, s, from, to, d);
}

/* RFC 2883 section 4: a first block below the ACK, or inside the second block, reports a duplicate.
 */
bool delivery_is_dsack(const struct seg *s)
{
    const struct sack_block *b = s->opt.sack;
    if (s->opt.n_sack == 0 || !seq_lt(b[0].start, b[0].end))
        return false;
    if (seq_leq(b[0].end, s->ack))
        return true;
    return s->opt.n_sack > 1 && seq_leq(b[1].start, b[0].start) && seq_leq(b[0].end, b[1].end);
}

void delivery_sacks(struct tcp_env *e, struct tcp_conn *c, const struct tcp_ack *a,
                    struct delivery *d)
{
    const struct tcp_opts *o = &a->seg->opt;
    d->has_dsack = delivery_is_dsack(a->seg);
    if (d->has_dsack)
        rack_note_dsack(c);
    for (unsigned i = 0; i < o->n_sack; i++)
        take_block(e, c, a->seg, o->sack[i], d);
}

/* Without SACK a duplicate ACK says that one segment more has left the network. */
void delivery_dup_ack(struct tcp_conn *c, struct delivery *d)
{
    struct tcp_flight *f = c->flight;
    uint32_t most =
        delivery_outstanding(c) - min32(delivery_outstanding(c), c->mss); /* the hole itself */
    uint32_t before = f->sacked_bytes;
    f->sacked_bytes = min32(before + c->mss, most);
    d->delivered += f->sacked_bytes - before;
    if (f->n_dup_acks < UINT8_MAX)
        f->n_dup_acks++;
}

/* ... and a cumulative ACK beyond the hole takes back as many as were reported that way. */
void delivery_take_back(struct tcp_conn *c, struct delivery *d)
{
    struct tcp_flight *f = c->flight;
    uint32_t beyond = d->acked > c->mss ? d->acked - c->mss : 0;
    uint32_t told = min32(f->sacked_bytes, beyond);
    f->sacked_bytes -= told;
    f->sacked_bytes = min32(f->sacked_bytes, delivery_outstanding(c));
    d->delivered -= min32(d->delivered, told);
}

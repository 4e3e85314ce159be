#include "apps/tcpstat/meter.h"

#include <string.h>

#define OVERTAKEN_US 3000   /* when no round trip is known */
#define RTO_MIN_US   200000 /* who was silent for so long waited for a timer */

struct step {
    struct meter *m;
    const struct segment *s;
    struct meter_host *from, *peer;
    int side; /* of from */
};

void meter_init(struct meter *m, struct totals *totals)
{
    memset(m, 0, sizeof(*m));
    m->totals = totals;
    m->host[0].fin_off = m->host[1].fin_off = -1;
    m->host[0].wnd = m->host[1].wnd = 1; /* not known to be closed */
}

void meter_free(struct meter *m)
{
    seen_free(&m->host[0].seen);
    seen_free(&m->host[1].seen);
}

static void count(const struct step *t, enum count what, uint64_t n)
{
    t->from->count[what] += n;
    t->m->totals->count[t->side][what] += n;
}

/* ---- times ---- */

static void rtt_add(const struct step *t, uint32_t us)
{
    struct meter_rtt *r = &t->from->rtt; /* who acknowledges is who was gone to */

    r->smoothed = r->n == 0 ? us : r->smoothed + us / 8 - r->smoothed / 8;
    if (r->n == 0 || us < r->min)
        r->min = us;
    if (us > r->max)
        r->max = us;
    r->last = us;
    r->n++;
    histogram_add(&t->m->totals->rtt[t->side], us);
}

/* From the first SYN to the client's answer to the SYN-ACK. */
static void handshake_note(const struct step *t)
{
    struct meter *m = t->m;
    uint8_t flags = t->s->flags;

    if (m->has_handshake || flags & SEG_RST)
        return;
    if (t->side == MOS_SIDE_SVR) {
        m->has_syn_ack |= (flags & (SEG_SYN | SEG_ACK)) == (SEG_SYN | SEG_ACK);
    } else if (flags & SEG_SYN && !m->has_syn) {
        m->has_syn = true;
        m->syn_us = t->s->at_us;
    } else if (!(flags & SEG_SYN) && flags & SEG_ACK && m->has_syn && m->has_syn_ack) {
        m->has_handshake = true;
        m->handshake_us = t->s->at_us - m->syn_us;
        histogram_add(&m->totals->handshake, m->handshake_us);
    }
}

/* ---- numbers ---- */

static void host_begin(struct meter_host *h, uint32_t base)
{
    seen_free(&h->seen);
    seen_init(&h->seen, base);
    h->sent_end = h->acked = h->again_end = h->timed_end = 0;
    h->fin_off = -1;
    h->has_begun = true;
}

static void numbers_begin(const struct step *t)
{
    const struct segment *s = t->s;

    if (s->flags & SEG_SYN) {
        if (t->from->has_begun && t->from->seen.base == s->seq + 1)
            count(t, COUNT_AGAIN_CONTROL, 1);
        else
            host_begin(t->from, s->seq + 1);
    } else if (!t->from->has_begun) {
        host_begin(t->from, s->seq);
    }
    if (s->flags & SEG_ACK && !t->peer->has_begun)
        host_begin(t->peer, s->ack);
}

/* ---- acknowledgements ---- */

/* RFC 5681 2, or with SACK blocks whatever the window (RFC 6675 2). */
static bool is_dup_ack(const struct step *t, int64_t ack)
{
    const struct segment *s = t->s;

    return ack == t->peer->acked && s->len == 0 && !(s->flags & (SEG_SYN | SEG_FIN)) &&
           (int64_t)t->peer->seen.end > ack && (s->wnd == t->from->wnd || segment_has_sack(s));
}

static void ack_note(const struct step *t)
{
    struct meter_host *peer = t->peer;

    if (!(t->s->flags & SEG_ACK) || t->s->flags & SEG_RST)
        return;
    int64_t ack = seen_off(&peer->seen, t->s->ack);
    if (is_dup_ack(t, ack)) {
        peer->dup_acks++;
        count(t, COUNT_DUP_ACKS, 1);
    }
    if (ack <= peer->acked)
        return;
    peer->acked = ack;
    peer->dup_acks = 0;
    if (peer->timed_end > 0 && ack >= peer->timed_end) {
        rtt_add(t, t->s->at_us - peer->timed_us);
        peer->timed_end = 0;
    }
}

static void window_note(const struct step *t)
{
    if (t->s->wnd == 0 && !(t->s->flags & (SEG_SYN | SEG_FIN | SEG_RST)))
        count(t, COUNT_ZERO_WINDOW, 1);
    if (!(t->s->flags & SEG_RST))
        t->from->wnd = t->s->wnd;
}

/* ---- payload ---- */

/* Why it is sent again. What begins with duplicate ACKs, or with a timer, goes on with the same
 * reason as far as had been sent by then. */
static enum count again_why(const struct step *t, int64_t off, int64_t end)
{
    struct meter_host *h = t->from;
    bool was_silent = t->s->at_us - h->last_us >= RTO_MIN_US;

    if (end <= h->acked)
        return COUNT_AGAIN_SPURIOUS;
    if (was_silent || (h->dup_acks == 0 && off >= h->again_end))
        h->again = COUNT_AGAIN_TIMER;
    else if (h->dup_acks > 0)
        h->again = COUNT_AGAIN_FAST;
    if (h->sent_end > h->again_end)
        h->again_end = h->sent_end;
    return (enum count)h->again;
}

static bool was_overtaken(const struct step *t)
{
    const struct meter *m = t->m;
    bool is_known = m->has_handshake && m->host[MOS_SIDE_CLI].count[COUNT_AGAIN_CONTROL] == 0 &&
                    m->host[MOS_SIDE_SVR].count[COUNT_AGAIN_CONTROL] == 0;

    return t->s->at_us - t->from->newest_us < (is_known ? m->handshake_us : OVERTAKEN_US);
}

/* A byte before the first that is missed, or without any; or one into a closed window. */
static bool is_probe(const struct step *t, int64_t off)
{
    const struct meter_host *h = t->from;
    const struct segment *s = t->s;

    if (s->len > 1 || s->flags & (SEG_SYN | SEG_FIN | SEG_RST))
        return false;
    if (off == h->acked - 1 && (int64_t)h->seen.end <= h->acked)
        return true;
    return s->len == 1 && t->peer->wnd == 0 && off == h->acked;
}

/* What was not seen and lies below what the sender is known to have sent fills a hole: also when
 * only an ACK's sequence number, or a FIN, has told of that. */
static unsigned payload_see(const struct step *t, int64_t off)
{
    unsigned what = seen_add(&t->from->seen, off, t->s->len);

    return what & SEEN_NEW && off < t->from->sent_end ? what | SEEN_FILLS : what;
}

static void payload_note(const struct step *t, int64_t off)
{
    struct meter_host *h = t->from;
    uint64_t before = h->seen.end;
    int64_t end = off + (int64_t)t->s->len;
    unsigned what = payload_see(t, off);

    count(t, COUNT_BYTES, h->seen.end - before);
    if (is_probe(t, off)) {
        count(t, COUNT_PROBES, 1);
    } else if (what & SEEN_FILLS && !(what & SEEN_AGAIN) && was_overtaken(t)) {
        count(t, COUNT_OUT_OF_ORDER, 1);
    } else if (what & (SEEN_AGAIN | SEEN_FILLS)) {
        count(t, again_why(t, off, end), 1);
        h->timed_end = 0;
    } else if (what != 0 && h->timed_end == 0) {
        h->timed_end = end;
        h->timed_us = t->s->at_us;
    }
}

static void sent_note(const struct step *t, int64_t off)
{
    int64_t end = off + (int64_t)t->s->len + (t->s->flags & SEG_FIN ? 1 : 0);

    if (end <= t->from->sent_end)
        return;
    t->from->sent_end = end;
    t->from->newest_us = t->s->at_us;
}

static void fin_note(const struct step *t, int64_t off)
{
    int64_t fin_off = off + (int64_t)t->s->len;

    if (!(t->s->flags & SEG_FIN))
        return;
    if (t->from->fin_off == fin_off && t->s->len == 0)
        count(t, COUNT_AGAIN_CONTROL, 1);
    t->from->fin_off = fin_off;
}

void meter_segment(struct meter *m, int from, const struct segment *s)
{
    const struct step t = {
        .m = m, .s = s, .from = &m->host[from], .peer = &m->host[!from], .side = from};

    count(&t, COUNT_SEGMENTS, 1);
    handshake_note(&t);
    numbers_begin(&t);
    ack_note(&t);
    window_note(&t);
    if (!(s->flags & SEG_RST)) {
        int64_t off = seen_off(&t.from->seen, s->seq + (s->flags & SEG_SYN ? 1u : 0));
        payload_note(&t, off);
        fin_note(&t, off);
        sent_note(&t, off);
    }
    t.from->last_us = s->at_us;
}

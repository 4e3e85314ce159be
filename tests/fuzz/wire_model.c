/*
 * A receiver for each side of each connection of fuzz_wire, made of what was forwarded: an array of
 * bytes, each of which is what came first, and the edge up to which there is no hole. It knows
 * connections where hosts do nothing odd; as soon as one does (a RST, a FIN that contradicts, more
 * than the window, an acknowledgement of what was not there ...) it has its doubts, and from then
 * on only holds that no byte is invented or in the wrong place.
 */
#include "tests/fuzz/wire.h"

#include "mtcp/wire/hdr.h"

#include <stdio.h>
#include <string.h>

#define NONE     (-1)
#define LATE_MAX 50u /* segments out of order; more are too many holes some time */

/* What one side receives. Offsets of that stream. */
struct way {
    uint32_t isn;
    bool has_isn, has_fin;
    uint64_t next, end, fin_off; /* no hole before; nothing was sent beyond */
    uint64_t acked, edge;
    int8_t copy[SEEN_MAX];
};

static struct model {
    struct way way[SIDES]; /* by receiver */
    bool is_known, is_doubtful, is_ignored;
    bool has_wscale[SIDES]; /* by sender */
    uint8_t wscale[SIDES];
    unsigned n_late;
} models[SLOTS];

void model_reset(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        models[i].is_known = models[i].is_ignored = false;
}

void model_begin(unsigned slot)
{
    struct model *m = &models[slot];
    bool is_ignored = m->is_ignored;
    memset(m, 0, sizeof(*m));
    for (int side = 0; side < SIDES; side++)
        memset(m->way[side].copy, NONE, SEEN_MAX);
    m->is_known = true;
    m->is_ignored = is_ignored; /* what was done to its frames may still come */
}

void model_end(unsigned slot)
{
    models[slot].is_known = false;
}

void model_doubt(unsigned slot)
{
    models[slot].is_doubtful = true;
}

void model_ignore(unsigned slot)
{
    models[slot].is_ignored = models[slot].is_doubtful = true;
}

/* ---- segments -------------------------------------------------------------------------------- */

static uint64_t window_of(const struct model *m, int from, const struct seg *s)
{
    bool is_scaled = m->has_wscale[0] && m->has_wscale[1] && !(s->flags & TCP_SYN);
    return (uint64_t)s->wnd << (is_scaled ? m->wscale[from] : 0);
}

/* The two of a handshake; true: it is one of them. */
static bool take_syn(struct model *m, int from, const struct seg *s)
{
    struct way *way = &m->way[other(from)], *back = &m->way[from];
    const uint8_t control = s->flags & (TCP_SYN | TCP_ACK | TCP_FIN);
    bool is_first = from == MOS_SIDE_CLI && control == TCP_SYN && !back->has_isn;
    bool is_answer = from == MOS_SIDE_SVR && control == (TCP_SYN | TCP_ACK) && back->has_isn &&
                     s->ack.v == back->isn + 1;
    if (way->has_isn || s->len > 0 || !(is_first || is_answer))
        return false;
    way->isn = s->seq.v;
    way->has_isn = true;
    m->has_wscale[from] = s->opt.has_wscale;
    m->wscale[from] = s->opt.wscale > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : s->opt.wscale;
    back->edge = s->wnd;
    return true;
}

/* Would anybody wonder about it? `off`: of its first byte. */
static bool is_odd(const struct model *m, int from, const struct seg *s, int64_t off, int64_t ack)
{
    const struct way *way = &m->way[other(from)], *back = &m->way[from];
    int64_t end = off + s->len;
    bool is_fin_in = back->has_fin && back->next == back->fin_off;
    if (!(s->flags & TCP_ACK) || (s->opt.has_ts && s->opt.ts_val != 1000))
        return true;
    if (ack < (int64_t)back->acked || ack > (int64_t)back->next + is_fin_in)
        return true;
    if (off < 0 || end > (int64_t)way->edge || end > (int64_t)SEEN_MAX)
        return true;
    if (way->has_fin && (end > (int64_t)way->fin_off))
        return true;
    if ((s->flags & TCP_FIN) &&
        (end < (int64_t)way->end || (way->has_fin && end != (int64_t)way->fin_off)))
        return true;
    return (w.head.conf & CONF_SMALL) && off > (int64_t)way->next;
}

static void take_bytes(struct model *m, struct way *way, const struct seg *s, uint64_t off)
{
    if (off > way->next && ++m->n_late > LATE_MAX)
        m->is_doubtful = true;
    for (uint32_t i = 0; i < s->len; i++)
        if (way->copy[off + i] == NONE)
            way->copy[off + i] = s->payload[i] & 7;
    if (off + s->len > way->end)
        way->end = off + s->len;
    while (way->next < SEEN_MAX && way->copy[way->next] != NONE)
        way->next++;
    if (s->flags & TCP_FIN) {
        way->has_fin = true;
        way->fin_off = off + s->len;
    }
}

/* Two SYNs that differ: who knows which of them counts? */
static void take_odd_syn(struct model *m, int from, const struct seg *s)
{
    const struct way *way = &m->way[other(from)];
    m->is_doubtful = true;
    m->is_ignored |= !way->has_isn || s->seq.v != way->isn;
}

static void take(struct model *m, int from, const struct seg *s)
{
    struct way *way = &m->way[other(from)], *back = &m->way[from];
    if ((s->flags & TCP_RST) || !way->has_isn || !back->has_isn) {
        m->is_doubtful = true;
        return;
    }
    int64_t off = (int32_t)(s->seq.v - way->isn - 1), ack = (int32_t)(s->ack.v - back->isn - 1);
    if (is_odd(m, from, s, off, ack)) {
        m->is_doubtful = true;
        return;
    }
    if (off + s->len + !!(s->flags & TCP_FIN) < (int64_t)way->acked)
        return; /* all of it is old */
    back->acked = (uint64_t)ack;
    if (back->acked + window_of(m, from, s) > back->edge)
        back->edge = back->acked + window_of(m, from, s);
    take_bytes(m, way, s, (uint64_t)off);
}

void model_frame(const struct in *f)
{
    struct packet p;
    unsigned slot;
    int side;
    enum packet_csum csum =
        f->pkt.flags & MTCP_PKT_RX_CSUM_GOOD ? PACKET_CSUM_GOOD : PACKET_CSUM_UNKNOWN;
    if (f->is_dropped || f->is_frag || packet_parse(&p, f->now, f->now_len, csum) != 0 ||
        p.kind != PACKET_TCP || !host_find(&p.seg, &slot, &side) || !models[slot].is_known)
        return;
    if (f->is_longer)
        model_ignore(slot);
    if (w.verbose)
        fprintf(stderr, "%u %s: flags %02x seq %u ack %u len %u wnd %u\n", slot,
                side ? "svr" : "cli", p.seg.flags, p.seg.seq.v, p.seg.ack.v, p.seg.len, p.seg.wnd);
    if (p.seg.flags & TCP_SYN) {
        if (!take_syn(&models[slot], side, &p.seg))
            take_odd_syn(&models[slot], side, &p.seg);
    } else if (!models[slot].is_doubtful) {
        take(&models[slot], side, &p.seg);
    }
}

/* ---- what the monitor has -------------------------------------------------------------------- */

static bool byte_is_right(const struct model *m, const struct way *way, uint64_t off, uint8_t b)
{
    if (b >> 3 != host_byte((uint32_t)(way->isn + 1 + off), 0) >> 3)
        return false;
    if (m->is_doubtful || w.has_policy || (w.head.conf & CONF_LAST) || off >= SEEN_MAX)
        return true;
    return way->copy[off] == NONE || way->copy[off] == (b & 7); /* NONE: the frame in hand has it */
}

void model_compare(unsigned slot, int side, uint64_t off, const uint8_t *bytes, size_t n)
{
    const struct model *m = &models[slot];
    const struct way *way = &m->way[side];
    if (!m->is_known || m->is_ignored || !way->has_isn)
        return;
    for (size_t i = 0; i < n; i++)
        HOLDS(byte_is_right(m, way, off + i, bytes[i]));
}

void model_check(unsigned slot, int side, uint64_t n)
{
    const struct model *m = &models[slot];
    if (m->is_known && !m->is_doubtful && !w.was_starved)
        HOLDS(n == m->way[side].next);
}

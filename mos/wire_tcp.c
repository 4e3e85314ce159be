/* Two hosts seen from between them. */
#include "mos/wire_tcp.h"

#include "mos/conns.h"
#include "mos/order.h"
#include "mos/peer.h"

#include <string.h>

#define UNKNOWN_WSCALE 14u
#define PAWS_IDLE_US   (UINT64_C(24) * 86400 * 1000000) /* RFC 7323 5.5 */
#define GAP_MAX        (1u << 24) /* more than that was not lost at once: the number is wrong */

static const struct mon_host *mon_host(const struct wire_conn *w, int side)
{
    return &w->conn->host[side];
}

static tcp_off_t next_of(const struct wire_conn *w, int side)
{
    return (tcp_off_t)stream_next(&w->host[side].rcv);
}

/* The offset in a side's own stream that is acknowledged. */
static tcp_off_t ack_off(const struct wire_conn *w, int side, tcp_seq_t ack)
{
    return off_of_seq(mon_host(w, side)->isn, ack, (tcp_off_t)w->host[side].sent);
}

/* One past the last octet, the FIN counted. */
static tcp_off_t seg_end(const struct hook_seg *s)
{
    return s->off + seg_seq_len(s->seg);
}

/* ---- SYN ------------------------------------------------------------------------------------- */

/* Without the option: RFC 9293 3.7.1. */
static uint16_t mss_of(const struct seg *seg)
{
    if (seg->opt.has_mss)
        return seg->opt.mss;
    return ip_addr_is_v4(&seg->tuple.local) ? 536 : 1220;
}

static struct wire_syn syn_of(const struct seg *seg)
{
    return (struct wire_syn){
        .isn = seg->seq,
        .mss = mss_of(seg),
        .wscale = seg->opt.wscale < TCP_WSCALE_MAX ? seg->opt.wscale : TCP_WSCALE_MAX,
        .has_wscale = seg->opt.has_wscale,
        .has_ts = seg->opt.has_ts,
    };
}

static bool answers_other_syn(const struct wire_conn *w, const struct seg *seg)
{
    return w->has_other_syn && w->sender == MOS_SIDE_SVR && (seg->flags & TCP_ACK) &&
           seq_eq(seg->ack, seq_add(w->other_syn.isn, 1));
}

/* A SYN-ACK; a SYN that crosses another; the SYN-ACKs that follow these. */
static bool accepts_syn(const struct wire_conn *w, const struct seg *seg)
{
    int to = side_other(w->sender);
    const struct mon_host *from = mon_host(w, w->sender);
    if (seg->flags & TCP_ACK) {
        tcp_off_t ack = ack_off(w, to, seg->ack);
        bool is_answer = ack >= 0 && ack <= (tcp_off_t)w->host[to].sent;
        if (!is_answer && (from->syn_seen || !answers_other_syn(w, seg)))
            return false;
    }
    if (!from->syn_seen)
        return true;
    return (seg->flags & TCP_ACK) && seq_eq(seg->seq, from->isn) &&
           mon_host(w, to)->state == MOS_TCPS_SYN_RCVD;
}

/* ---- RST ------------------------------------------------------------------------------------- */

/* Exactly where the receiver is (RFC 5961 3.2): between what it has acknowledged and what it may
 * have received. */
static bool accepts_rst(const struct wire_conn *w, const struct hook_seg *s)
{
    int to = side_other(w->sender);
    const struct wire_host *h = &w->host[to];
    uint8_t state = mon_host(w, to)->state;
    if (state == MOS_TCPS_SYN_SENT) {
        tcp_off_t ack = ack_off(w, to, s->seg->ack);
        return (s->seg->flags & TCP_ACK) && ack >= 0 && ack <= (tcp_off_t)h->sent;
    }
    if (!s->has_off || state == MOS_TCPS_TIME_WAIT || state == MOS_TCPS_CLOSED)
        return false;
    tcp_off_t next = next_of(w, to) + h->fin_taken;
    return s->off >= (tcp_off_t)h->acked &&
           s->off <= (next > (tcp_off_t)h->acked ? next : (tcp_off_t)h->acked);
}

/* ---- the others ------------------------------------------------------------------------------ */

bool wire_has_ts(const struct wire_conn *w)
{
    return w->host[MOS_SIDE_CLI].syn.has_ts && w->host[MOS_SIDE_SVR].syn.has_ts;
}

static bool is_too_old(const struct wire_conn *w, const struct hook_seg *s)
{
    const struct wire_host *h = &w->host[w->sender];
    if (!wire_has_ts(w) || !s->seg->opt.has_ts || h->ts_at_us == 0)
        return false;
    return (int32_t)(s->seg->opt.ts_val - h->ts_recent) < 0 &&
           s->now_us - h->ts_at_us < PAWS_IDLE_US;
}

/* RFC 5961 5.2; a capture may lack what is acknowledged. */
static bool accepts_ack(const struct wire_conn *w, const struct seg *seg)
{
    int to = side_other(w->sender);
    const struct wire_host *from = &w->host[w->sender];
    tcp_off_t ack = ack_off(w, to, seg->ack), sent = (tcp_off_t)w->host[to].sent;
    if (ack > sent && (w->conn->mon->wire->conf.forwards || ack > sent + GAP_MAX))
        return false;
    return ack + (tcp_off_t)from->max_wnd >= (tcp_off_t)from->acked;
}

tcp_off_t wire_edge(const struct wire_conn *w, int side)
{
    return w->is_guessed ? INT64_MAX / 2 : (tcp_off_t)w->host[side].edge;
}

/* Up to where everything is old to the receiver. In a capture the acknowledgement may stand before
 * what it acknowledges. */
static tcp_off_t old_end(const struct wire_conn *w, int side)
{
    tcp_off_t acked = (tcp_off_t)w->host[side].acked, next = next_of(w, side);
    return next < acked && !w->conn->mon->wire->conf.forwards ? next : acked;
}

/* As the endpoint has it (tcp/input.c): not wholly before what was acknowledged, so that the ACK in
 * a full duplicate still counts, and not beyond the window. The ACK after a FIN is one beyond. */
static bool accepts_place(const struct wire_conn *w, const struct hook_seg *s)
{
    int to = side_other(w->sender);
    tcp_off_t old = old_end(w, to), edge = wire_edge(w, to);
    if (edge < old)
        edge = old;
    return seg_end(s) >= old && s->off <= edge + (s->seg->len == 0);
}

bool wire_accepts(const struct wire_conn *w, const struct hook_seg *s)
{
    const struct seg *seg = s->seg;
    if (seg->flags & TCP_RST)
        return accepts_rst(w, s);
    if (seg->flags & TCP_SYN)
        return accepts_syn(w, seg);
    if (!(seg->flags & TCP_ACK) || !s->has_off || !mon_host(w, side_other(w->sender))->syn_seen)
        return false;
    return !is_too_old(w, s) && accepts_ack(w, seg) && accepts_place(w, s);
}

/* ---- what a segment says --------------------------------------------------------------------- */

unsigned wire_shift(const struct wire_conn *w, int side)
{
    if (w->is_guessed)
        return UNKNOWN_WSCALE;
    if (!w->host[MOS_SIDE_CLI].syn.has_wscale || !w->host[MOS_SIDE_SVR].syn.has_wscale)
        return 0;
    return w->host[side].syn.wscale;
}

static unsigned shift_of(const struct wire_conn *w, const struct seg *seg)
{
    return seg->flags & TCP_SYN ? 0 : wire_shift(w, w->sender); /* RFC 7323 2.2 */
}

static void note_window(struct wire_conn *w, const struct seg *seg, tcp_off_t ack)
{
    struct wire_host *h = &w->host[w->sender];
    uint32_t wnd = (uint32_t)seg->wnd << shift_of(w, seg);
    if (ack >= 0 && (uint64_t)ack + wnd > h->edge)
        h->edge = (uint64_t)ack + wnd;
    if (wnd > h->max_wnd)
        h->max_wnd = wnd;
}

/* A FIN with bytes behind it that were received was none. */
static void refute_fin(struct wire_conn *w, int side, tcp_off_t ack)
{
    struct mon_host *from = &w->conn->host[side];
    if (likely(!from->fin_seen || ack <= (tcp_off_t)from->fin_off + 1))
        return;
    from->fin_seen = false;
    w->host[side_other(side)].fin_taken = false;
}

static void note_ack(struct wire_conn *w, const struct seg *seg)
{
    int to = side_other(w->sender);
    struct wire_host *h = &w->host[w->sender];
    tcp_off_t ack = ack_off(w, to, seg->ack);
    note_window(w, seg, ack);
    refute_fin(w, to, ack);
    if (ack <= (tcp_off_t)h->acked)
        return;
    h->acked = (uint64_t)ack;
    if (h->acked > w->host[to].sent)
        w->host[to].sent = h->acked;
    if (ack > next_of(w, w->sender)) /* there may be a gap */
        mon_conn_due(w->conn);
}

/* What a host has echoed it has received, which is more than can be said of what was sent to it. */
static void note_ts(struct wire_conn *w, const struct hook_seg *s)
{
    struct wire_host *from = &w->host[w->sender], *to = &w->host[side_other(w->sender)];
    const struct tcp_opts *o = &s->seg->opt;
    if (!o->has_ts)
        return;
    if (!from->has_ts_sent || (int32_t)(o->ts_val - from->ts_sent) > 0)
        from->ts_sent = o->ts_val;
    from->has_ts_sent = true;
    if (!(s->seg->flags & TCP_ACK) || !to->has_ts_sent || (int32_t)(o->ts_ecr - to->ts_sent) > 0)
        return;
    if (to->ts_at_us != 0 && (int32_t)(o->ts_ecr - to->ts_recent) < 0)
        return;
    to->ts_recent = o->ts_ecr;
    to->ts_at_us = s->now_us;
}

void wire_note(struct wire_conn *w, const struct hook_seg *s)
{
    struct wire_host *h = &w->host[w->sender];
    const struct seg *seg = s->seg;
    if (seg->flags & TCP_RST) {
        w->was_reset = true;
        return;
    }
    if (seg->flags & TCP_SYN) {
        h->syn = syn_of(seg);
        if (answers_other_syn(w, seg)) {
            w->host[MOS_SIDE_CLI].syn = w->other_syn;
            w->conn->host[MOS_SIDE_CLI].isn = w->other_syn.isn;
            wire_syn_data_drop(w);
        }
        w->has_other_syn &= w->sender != MOS_SIDE_SVR;
    }
    tcp_off_t end = seg_end(s);
    if (end > (tcp_off_t)h->sent)
        h->sent = (uint64_t)end;
    note_ts(w, s);
    if (seg->flags & TCP_ACK)
        note_ack(w, seg);
    else
        note_window(w, seg, 0);
}

void wire_note_other_syn(struct wire_conn *w, const struct seg *syn)
{
    w->other_syn = syn_of(syn);
    w->has_other_syn = true;
}

/* ---- captures with gaps ---------------------------------------------------------------------- */

void wire_guess_isn(struct wire_conn *w, const struct seg *seg)
{
    struct mon_host *svr = &w->conn->host[MOS_SIDE_SVR];
    if (svr->syn_seen || (seg->flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK)
        return;
    svr->isn =
        w->sender == MOS_SIDE_CLI ? seq_add(seg->ack, UINT32_MAX) : seq_add(seg->seq, UINT32_MAX);
    svr->syn_seen = true;
    w->is_guessed = true;
}

/* Up to where bytes are known to have been received. */
static uint64_t known_end(const struct wire_conn *w, int side)
{
    const struct mon_host *from = mon_host(w, side_other(side));
    uint64_t acked = w->host[side].acked;
    return from->fin_seen && acked > from->fin_off ? from->fin_off : acked;
}

static void consume(struct stream *s)
{
    stream_consume(s, stream_next(s) - stream_read(s));
}

/* Over a gap; what was kept of before it goes. */
static void skip(struct wire_conn *w, int side, uint64_t to)
{
    struct stream *s = &w->host[side].rcv;
    order_new_data(w->conn, side);
    consume(s);
    if (stream_head(s) < stream_next(s))
        order_error(w->conn, side, HOOK_OVERRUN, stream_next(s));
    stream_skip(s, w->conn->mon->mem, to);
}

void wire_close_gaps(struct wire_conn *w, int side)
{
    struct stream *s = &w->host[side].rcv;
    uint64_t end = known_end(w, side);
    while (stream_next(s) < end) {
        struct range r = {end, end};
        (void)ranges_next(s->ooo, stream_next(s), &r);
        skip(w, side, r.start < end ? r.start : end);
    }
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Room up to `end`, where unread bytes of this turn may have to go first. False: there is none. */
static bool make_room(struct wire_conn *w, int side, uint64_t end)
{
    struct stream *s = &w->host[side].rcv;
    if (likely(end <= stream_edge(s)))
        return true;
    order_new_data(w->conn, side);
    consume(s);
    if (end > stream_edge(s))
        wire_close_gaps(w, side);
    consume(s);
    return end <= stream_edge(s);
}

static void store(struct wire_conn *w, int side, uint64_t off, const uint8_t *data, uint32_t len)
{
    struct stream *s = &w->host[side].rcv;
    struct stream_insert what;
    if (!make_room(w, side, off + len))
        return;
    uint64_t after = stream_head_after(s, off + len);
    if (after > stream_head(s))
        order_error(w->conn, side, HOOK_OVERRUN, after);
    if (stream_insert(s, w->conn->mon->mem, off, data, len, &what) != 0)
        return; /* as if it had not been seen: a gap, if it is acknowledged */
    if (unlikely(what.inconsistent))
        order_error(w->conn, side, HOOK_INCONSISTENT, 0);
}

void wire_syn_data_drop(struct wire_conn *w)
{
    mem_free(w->conn->mon->mem, w->syn_data, w->syn_len);
    w->syn_data = NULL;
    w->syn_len = 0;
}

/* Data of the client's SYN waits for what the server says to it (RFC 7413 4.2). */
static void syn_data_keep(struct wire_conn *w, const struct seg *seg)
{
    if (w->sender != MOS_SIDE_CLI || (seg->flags & TCP_ACK) || w->syn_data)
        return;
    w->syn_data = mem_alloc(w->conn->mon->mem, seg->len);
    if (!w->syn_data)
        return; /* as if it had not been seen */
    w->syn_len = seg->len;
    memcpy(w->syn_data, seg->payload, seg->len);
}

static void syn_data_take(struct wire_conn *w)
{
    uint64_t n = known_end(w, MOS_SIDE_SVR);
    if (n == 0)
        return;
    store(w, MOS_SIDE_SVR, 0, w->syn_data, n < w->syn_len ? (uint32_t)n : w->syn_len);
    wire_syn_data_drop(w);
}

void wire_text(struct wire_conn *w, const struct hook_seg *s)
{
    int side = side_other(w->sender);
    const struct mon_host *from = mon_host(w, w->sender);
    tcp_off_t off = s->off, end = s->off + s->seg->len;
    tcp_off_t edge = wire_edge(w, side);
    if (unlikely(w->syn_data != NULL))
        syn_data_take(w);
    if (s->seg->len == 0 || (s->seg->flags & TCP_RST))
        return;
    if (s->seg->flags & TCP_SYN) {
        syn_data_keep(w, s->seg);
        return;
    }
    if (from->fin_seen && end > (tcp_off_t)from->fin_off)
        end = (tcp_off_t)from->fin_off; /* nothing lies beyond a FIN */
    if (end > edge) {
        order_error(w->conn, side, HOOK_BEYOND_WINDOW, 0);
        end = edge;
    }
    if (off < 0)
        off = 0;
    if (off < end)
        store(w, side, (uint64_t)off, s->seg->payload + (off - s->off), (uint32_t)(end - off));
}

/* ---- states ---------------------------------------------------------------------------------- */

/* It acknowledges a SYN that was not seen, or a FIN that had no place in order. */
unsigned wire_events_of_sender(const struct wire_conn *w, const struct seg *seg)
{
    const struct mon_host *from = mon_host(w, w->sender), *to = mon_host(w, side_other(w->sender));
    unsigned ev = 0;
    if ((seg->flags & (TCP_ACK | TCP_SYN | TCP_RST)) != TCP_ACK)
        return 0;
    if (from->state == MOS_TCPS_SYN_SENT)
        ev |= PEER_BIT(PEER_GOT_SYNACK);
    if (to->fin_seen && !w->host[w->sender].fin_taken &&
        ack_off(w, side_other(w->sender), seg->ack) == (tcp_off_t)to->fin_off + 1)
        ev |= PEER_BIT(PEER_GOT_FIN);
    return ev;
}

/* The FIN counts when its turn has come. */
unsigned wire_events_of_receiver(const struct wire_conn *w, const struct seg *seg)
{
    int side = side_other(w->sender);
    const struct mon_host *from = mon_host(w, w->sender), *to = mon_host(w, side);
    unsigned ev = 0;
    if (seg->flags & TCP_RST)
        return 0;
    if (to->state == MOS_TCPS_SYN_SENT && !(seg->flags & TCP_SYN))
        ev |= PEER_BIT(PEER_GOT_SYNACK);
    if (from->fin_seen && !w->host[side].fin_taken && next_of(w, side) >= (tcp_off_t)from->fin_off)
        ev |= PEER_BIT(PEER_GOT_FIN);
    return ev;
}

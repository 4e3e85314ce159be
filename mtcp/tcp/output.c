/*
 * One segment out. tcp_output_next() decides and changes nothing; the order of its questions is the
 * order of what matters: a reset, a SYN, what is lost, what is new, a probe, a bare ACK.
 * tcp_output_sent() commits. What may be resent and how much cwnd lets go is recovery.c's.
 *
 * RFC 9293 3.8.6 (windows, silly window avoidance, probes), 3.7.4 (Nagle), 3.10.5 (reset), RFC 7323
 * (scaling, timestamps), RFC 2018 and 2883 (SACK).
 */
#include "mtcp/tcp/output.h"

#include "mtcp/tcp/ecn.h"
#include "mtcp/tcp/eor.h"
#include "mtcp/tcp/fastopen.h"
#include "mtcp/tcp/handshake.h"
#include "mtcp/tcp/recovery.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/state.h"
#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/timers.h"
#include "mtcp/tcp/urgent.h"
#include "mtcp/tcp/zerocopy.h"

#include <string.h>

enum {
    SACK_BLOCKS_MAX = 4, /* that fit 40 bytes of options; one less beside timestamps */
    SACK_MSS_MIN = 256,  /* smaller segments have no bytes to give to SACK blocks beside data */
};

static inline tcp_off_t min_off(tcp_off_t a, tcp_off_t b)
{
    return a < b ? a : b;
}

static inline tcp_off_t max_off(tcp_off_t a, tcp_off_t b)
{
    return a > b ? a : b;
}

/* ---- the receive side of a segment ---- */

/* RCV.NXT: the peer's FIN counts. */
static inline tcp_off_t rcv_nxt(const struct tcp_conn *c)
{
    return (tcp_off_t)stream_next(&c->rcv) + ((c->flags & TCF_RCV_FIN) ? 1 : 0);
}

/* The right edge to promise: the buffer's when that is a worthwhile step, else the present one. */
static inline tcp_off_t window_edge(const struct tcp_conn *c)
{
    tcp_off_t edge = (tcp_off_t)stream_edge(&c->rcv);
    tcp_off_t step = c->rcv.limit / 2 < c->rcv_mss ? c->rcv.limit / 2 : c->rcv_mss;
    return edge - c->rcv_adv >= step ? edge : c->rcv_adv;
}

uint16_t output_window(const struct tcp_conn *c)
{
    tcp_off_t next = (tcp_off_t)stream_next(&c->rcv);
    uint64_t wnd = (uint64_t)max_off(window_edge(c) - next, 0);
    uint64_t units = wnd >> c->rcv_wscale;
    /* Rounding must not take back what was promised (RFC 7323 2.4). */
    if (next + (tcp_off_t)(units << c->rcv_wscale) < c->rcv_adv)
        units++;
    return units < UINT16_MAX ? (uint16_t)units : UINT16_MAX;
}

static struct sack_block block_of(const struct tcp_conn *c, struct range r)
{
    return (struct sack_block){seq_of_off(c->irs, (tcp_off_t)r.start),
                               seq_of_off(c->irs, (tcp_off_t)r.end)};
}

static inline unsigned sack_blocks_max(const struct tcp_conn *c)
{
    return (c->flags & TCF_TS) ? SACK_BLOCKS_MAX - 1 : SACK_BLOCKS_MAX;
}

static void add_block(const struct tcp_conn *c, struct tcp_opts *o, struct range r)
{
    struct sack_block b = block_of(c, r);
    for (unsigned i = c->n_dsack; i < o->n_sack; i++)
        if (seq_eq(o->sack[i].start, b.start))
            return;
    o->sack[o->n_sack++] = b;
}

/* RFC 2018 section 4: the runs with the latest bytes first; before them a duplicate that just came
 * (RFC 2883). The others in turn: each is told of again and again, for ACKs are lost, late, or one
 * for many segments. */
static void fill_sack(const struct tcp_conn *c, struct tcp_tx *tx)
{
    struct tcp_opts *o = &tx->seg.opt;
    tcp_seq_t latest[] = {c->dsack_start, c->dsack_end};
    unsigned n = ranges_count(c->rcv.ooo), max = sack_blocks_max(c);
    uint64_t turn = ranges_turn(c->rcv.ooo);
    if (c->n_dsack)
        o->sack[o->n_sack++] = (struct sack_block){c->dsack_start, c->dsack_end};
    for (unsigned i = 0; i < 2; i++) {
        struct range r;
        tcp_off_t off = off_of_seq(c->irs, latest[i], (tcp_off_t)stream_next(&c->rcv));
        if (ranges_find(c->rcv.ooo, (uint64_t)off, &r))
            add_block(c, o, r);
    }
    for (unsigned i = 0; i < n && o->n_sack < max; i++)
        add_block(c, o, ranges_at(c->rcv.ooo, (unsigned)((turn + i) % n)));
}

/* ---- headers ---- */

static void fill_head(const struct tcp_env *e, const struct tcp_conn *c, struct tcp_tx *tx)
{
    struct seg *s = &tx->seg;
    s->tuple = c->tuple;
    s->urg = 0;
    s->tos = c->tos;
    s->ttl = c->ttl;
    s->may_be_cut = unlikely(c->ext != NULL) && c->ext->mtu_discover == TCP_MTU_DONT;
    tcp_opts_clear(&s->opt);
    s->payload = NULL;
    s->len = 0;
    tx->mss = c->mss;
    tx->rexmit = false;
    tx->probe = false;
    tx->iov = tx->span;
    tx->n_iov = 0;
    if (c->flags & TCF_TS) {
        s->opt.has_ts = true;
        s->opt.ts_val = conn_ts_now(e, c);
        s->opt.ts_ecr = c->ts_recent;
    }
}

static inline bool has_sack_news(const struct tcp_conn *c)
{
    return (c->flags & TCF_SACK) && (c->rcv.ooo != NULL || c->n_dsack);
}

/* The header of a segment of a synchronized connection, at stream offset `off`. */
static void fill_ack(const struct tcp_env *e, const struct tcp_conn *c, tcp_off_t off,
                     struct tcp_tx *tx)
{
    fill_head(e, c, tx);
    tx->off = off;
    tx->seg.seq = seq_of_off(c->iss, off);
    tx->seg.ack = seq_of_off(c->irs, rcv_nxt(c));
    tx->seg.flags = TCP_ACK;
    tx->seg.wnd = output_window(c);
}

/* Where a segment without sequence space of its own lies: SND.NXT, unless the peer's window has
 * shrunk below it and would refuse the ACK. */
static tcp_off_t acceptable_off(const struct tcp_conn *c)
{
    tcp_off_t edge = c->snd_una + c->snd_wnd;
    return edge < c->snd_nxt && c->snd_una >= 0 ? edge : c->snd_nxt;
}

/* ---- reset and SYN ---- */

/* RFC 9293 3.10.5: <SEQ=SND.NXT><CTL=RST>; with an ACK, as Linux, which does no harm. */
static bool next_rst(const struct tcp_env *e, const struct tcp_conn *c, struct tcp_tx *tx)
{
    fill_ack(e, c, acceptable_off(c), tx);
    tx->seg.flags = TCP_RST | TCP_ACK;
    tx->seg.wnd = 0;
    return true;
}

/* What a SYN asks for, or a SYN-ACK agrees to. */
static uint32_t syn_offers(const struct tcp_env *e, const struct tcp_conn *c)
{
    if (c->state != TCPS_SYN_SENT)
        return c->flags;
    const struct tcp_params *p = &e->params;
    return (p->timestamps ? (uint32_t)TCF_TS : 0) | (p->sack ? (uint32_t)TCF_SACK : 0) |
           (p->wscale ? (uint32_t)TCF_WSCALE : 0);
}

static void fill_syn_opts(const struct tcp_env *e, const struct tcp_conn *c, struct tcp_opts *o)
{
    uint32_t offers = syn_offers(e, c);
    uint16_t mss = unlikely(c->marks & FASTOPEN_ON) ? fastopen_own_mss(c) : c->mss;
    o->has_mss = true;
    o->mss = c->user_mss && c->user_mss < mss ? c->user_mss : mss;
    o->sack_permitted = offers & TCF_SACK;
    o->has_wscale = offers & TCF_WSCALE;
    o->wscale = c->rcv_wscale;
    o->has_ts = offers & TCF_TS;
    o->ts_val = conn_ts_now(e, c);
    o->ts_ecr = c->state == TCPS_SYN_SENT ? 0 : c->ts_recent;
}

/* A SYN asks for ECN once: the next one might be lost for the same reason (RFC 3168 6.1.1.1). */
static uint8_t syn_ecn_flags(const struct tcp_conn *c)
{
    if (c->state != TCPS_SYN_SENT)
        return TCP_ECE;
    return c->backoff == 0 ? TCP_ECE | TCP_CWR : 0;
}

/* What the receive buffer takes, unscaled (RFC 7323 2.2). */
static uint16_t syn_window(const struct tcp_conn *c)
{
    uint64_t wnd = stream_edge(&c->rcv) - stream_next(&c->rcv);
    return wnd < UINT16_MAX ? (uint16_t)wnd : UINT16_MAX;
}

/* SYN, or SYN-ACK when both sides have sent a SYN (RFC 9293 figure 7). */
static bool next_syn(const struct tcp_env *e, const struct tcp_conn *c, struct tcp_tx *tx)
{
    fill_head(e, c, tx);
    tx->off = -1;
    tx->rexmit = c->backoff > 0;
    tx->seg.seq = c->iss;
    tx->seg.ack = c->state == TCPS_SYN_SENT ? seq_make(0) : seq_of_off(c->irs, rcv_nxt(c));
    tx->seg.flags = c->state == TCPS_SYN_SENT ? TCP_SYN : TCP_SYN | TCP_ACK;
    if (c->flags & TCF_ECN)
        tx->seg.flags |= syn_ecn_flags(c);
    tx->seg.wnd = syn_window(c);
    fill_syn_opts(e, c, &tx->seg.opt);
    if (unlikely(c->marks & FASTOPEN_ON))
        fastopen_fill_syn(c, tx);
    return true;
}

static bool next_control(const struct tcp_env *e, const struct tcp_conn *c, struct tcp_tx *tx)
{
    if (c->flags & TCF_SEND_RST)
        return next_rst(e, c, tx);
    return (c->state == TCPS_SYN_SENT || c->state == TCPS_SYN_RCVD) && next_syn(e, c, tx);
}

/* ---- data ---- */

/* The header, payload and FIN of [off, off + len), where len counts the FIN. */
static void fill_data(const struct tcp_env *e, const struct tcp_conn *c, tcp_off_t off,
                      uint32_t len, struct tcp_tx *tx)
{
    tcp_off_t written = (tcp_off_t)stream_next(&c->snd);
    fill_ack(e, c, off, tx);
    if (off + len >= written) {
        if (written > off && !c->is_unpushed)
            tx->seg.flags |= TCP_PSH; /* the last of what is written */
        if (off + len > written) {
            tx->seg.flags |= TCP_FIN;
            len--;
        }
    }
    tx->seg.len = len;
    if (unlikely(zerocopy_is_used(c)))
        zerocopy_fill(c, off, len, tx);
    else
        tx->n_iov = stream_span(&c->snd, (uint64_t)off, len, tx->span);
}

/* Options that SACK blocks beside data take. */
static inline uint32_t sack_space(const struct tcp_conn *c)
{
    if (likely(!has_sack_news(c)) || c->mss < SACK_MSS_MIN)
        return 0;
    unsigned n = c->n_dsack + ranges_count(c->rcv.ooo), max = sack_blocks_max(c);
    return 4 + 8 * (n < max ? n : max);
}

/* How many payload bytes go into one segment, and into one tcp_tx. */
struct room {
    uint32_t mss, most;
};

static inline struct room room_of(uint32_t mss, uint32_t max_len)
{
    return (struct room){.mss = mss, .most = max_len < 2 * mss ? mss : max_len};
}

/* As many whole segments as len (at least one) has. */
static inline uint32_t whole_segments(uint32_t len, struct room r)
{
    if (len > r.most)
        len = r.most;
    return len < 2 * r.mss ? r.mss : len - len % r.mss;
}

/* How much of max_len one tcp_tx takes, as Linux sizes what it gives a device to cut: about a
 * millisecond's worth, more where round trips are short; at most half of cwnd (`wnd`), so that one
 * is sent while the ACKs of another come. */
static uint32_t tso_len(const struct tcp_env *e, const struct tcp_conn *c, uint32_t max_len,
                        uint32_t wnd)
{
    enum { RTT_SHIFT = 9, SHIFT_MAX = 16 };
    uint32_t shift = c->min_rtt_us >> RTT_SHIFT;
    uint32_t bytes = shift < SHIFT_MAX ? max_len >> shift : 0;
    if (c->srtt_us >= 1000)
        bytes +=
            (uint32_t)((uint64_t)c->cwnd * 1000 * (c->cwnd < c->ssthresh / 2 ? 2 : 1) / c->srtt_us);
    uint32_t least = (uint32_t)e->params.min_tso_segs * c->mss;
    bytes = bytes > least ? bytes : least;
    bytes = bytes < wnd / 2 ? bytes : wnd / 2;
    return bytes < max_len ? bytes : max_len;
}

/* Does what is written end here? */
static inline bool is_last_written(const struct tcp_conn *c, tcp_off_t end)
{
    return end == (tcp_off_t)stream_next(&c->snd);
}

/* May a segment that is not full go, being all there is? Corking; Nagle (RFC 9293 3.7.4) as
 * Minshall has it, and Linux: it waits only for what may be another such segment. */
static inline bool tail_may_go(const struct tcp_conn *c)
{
    if (unlikely((c->flags & TCF_REXMIT) && recovery_probe_is_new(c)))
        return true;
    if (c->flags & (TCF_SND_FIN | TCF_CORK | TCF_MORE))
        return c->flags & TCF_SND_FIN;
    return (c->flags & TCF_NODELAY) || c->snd_una == c->snd_nxt || !(c->marks & SHORT_IN_FLIGHT);
}

/* How much of `avail` new bytes goes when the windows let `usable` go. Silly window avoidance (RFC
 * 9293 3.8.6.2.1): full segments, or all there is (or all of a record that others follow), or half
 * of the peer's largest window; the rest waits for ACKs or for the persist timer. */
static inline uint32_t new_len(const struct tcp_conn *c, tcp_off_t avail, uint32_t usable,
                               struct room r)
{
    if (avail <= usable) {
        uint32_t len = (uint32_t)avail;
        if (len <= r.most && (tail_may_go(c) || !is_last_written(c, c->snd_nxt + avail)))
            return len;
        return len >= r.mss ? whole_segments(len, r) : 0;
    }
    if (usable >= r.mss)
        return whole_segments(usable, r);
    return usable >= c->snd_wnd_max / 2 ? usable : 0;
}

/* Nothing is in flight, and what is there may have waited for silly window avoidance, Nagle or the
 * cork long enough: the persist timer pushes it. */
static inline bool is_pushed(const struct tcp_conn *c)
{
    return (c->flags & TCF_PROBE) && c->snd_una == c->snd_nxt;
}

static uint32_t pushed_len(tcp_off_t avail, tcp_off_t wnd, struct room r)
{
    return (uint32_t)min_off(min_off(avail, wnd), r.mss);
}

/* Is there a byte, or a FIN, that has never been sent? */
static inline bool has_new(const struct tcp_conn *c)
{
    tcp_off_t written = (tcp_off_t)stream_next(&c->snd);
    return c->snd_nxt < written || (c->snd_nxt == written && (c->flags & TCF_SND_FIN));
}

static inline bool next_new(const struct tcp_env *e, const struct tcp_conn *c, uint32_t max_len,
                            struct tcp_tx *tx)
{
    tcp_off_t avail = eor_left(c, (tcp_off_t)stream_next(&c->snd) - c->snd_nxt);
    tcp_off_t wnd = c->snd_una + c->snd_wnd - c->snd_nxt;
    if (unlikely(wnd <= 0))
        return false;
    uint32_t usable = recovery_cwnd_room(e, c);
    if (max_len > c->mss)
        max_len = tso_len(e, c, max_len, c->snd_una == c->snd_nxt ? usable : c->cwnd);
    struct room r = room_of(c->mss - sack_space(c), max_len);
    uint32_t len = 0;
    if (likely(avail > 0)) {
        if (unlikely(is_pushed(c)))
            len = pushed_len(avail, wnd, r);
        else
            len = new_len(c, avail, (uint32_t)min_off(wnd, usable), r);
        if (len == 0)
            return false;
    }
    bool fin = (c->flags & TCF_SND_FIN) && is_last_written(c, c->snd_nxt + len) &&
               wnd > (tcp_off_t)len && c->state != TCPS_SYN_RCVD;
    fill_data(e, c, c->snd_nxt, len + fin, tx);
    tx->mss = (uint16_t)r.mss;
    if (len > r.mss || eor_is_at(c, c->snd_nxt + len) || unlikely(is_pushed(c) && c->n_probes > 0))
        tx->seg.flags |= TCP_PSH; /* as Linux: a receiver that merges segments goes no further */
    if (unlikely(has_sack_news(c)))
        fill_sack(c, tx);
    return true;
}

/* Never beyond the peer's window (RFC 9293 3.8.6), even when it has shrunk. */
static bool next_rexmit(const struct tcp_env *e, const struct tcp_conn *c, uint32_t max_len,
                        struct tcp_tx *tx)
{
    tcp_off_t from, to;
    if (likely(!recovery_next(e, c, &from, &to)))
        return false;
    to = min_off(to, c->snd_una + c->snd_wnd);
    if (to <= from)
        return false;
    struct room r = room_of(c->mss, max_len);
    uint32_t payload = (uint32_t)(min_off(to, (tcp_off_t)stream_next(&c->snd)) - from);
    if (payload > r.most)
        to = from + whole_segments(payload, r);
    fill_data(e, c, from, (uint32_t)(to - from), tx);
    tx->rexmit = true;
    if (tx->seg.len > r.mss || recovery_was_pushed(c, to))
        tx->seg.flags |= TCP_PSH;
    if (has_sack_news(c) && tx->seg.len + sack_space(c) <= c->mss)
        fill_sack(c, tx);
    return true;
}

/* ---- segments without data ---- */

/* A window or keepalive probe: an old sequence number, which every peer answers with an ACK (RFC
 * 9293 3.8.4). Over what a window has shrunk away from, the oldest segment, as Linux: a peer that
 * has room after all acknowledges it. An ACK without news might not do: when both sides have data
 * in flight that was lost, it lies before the segment that the window was last taken from. */
static bool next_probe(const struct tcp_env *e, const struct tcp_conn *c, struct tcp_tx *tx)
{
    if ((c->flags & TCF_PERSIST) && c->snd_una < c->snd_max) {
        fill_data(e, c, c->snd_una, recovery_probe_len(c), tx);
        tx->rexmit = true;
    } else {
        fill_ack(e, c, c->snd_una - 1, tx);
    }
    tx->probe = true;
    return true;
}

static __attribute__((noinline)) bool next_ack(const struct tcp_env *e, const struct tcp_conn *c,
                                               struct tcp_tx *tx)
{
    fill_ack(e, c, acceptable_off(c), tx);
    if (unlikely(has_sack_news(c)))
        fill_sack(c, tx);
    return true;
}

/* Without SACK the peer counts duplicate ACKs, and those that carry data are none (RFC 5681 section
 * 2): each goes by itself, before data. */
static inline bool dup_ack_is_due(const struct tcp_conn *c)
{
    return (c->flags & (TCF_ACK_NOW | TCF_SACK)) == TCF_ACK_NOW && c->n_dup_owed > 0;
}

/* A server's Fast Open sends before the handshake is over, but no FIN: the state for that comes
 * later. */
static bool may_send_data(const struct tcp_conn *c)
{
    return c->state > TCPS_SYN_RCVD ||
           (fastopen_is_pending(c) && (tcp_off_t)stream_next(&c->snd) > c->snd_nxt);
}

/* The same questions as below, when more than new data and ACKs may be due. */
static bool next_any(const struct tcp_env *e, const struct tcp_conn *c, uint32_t max_len,
                     struct tcp_tx *tx)
{
    if (c->flags & TCF_DEAD)
        return false;
    if (c->flags & (TCF_SEND_RST | TCF_NEEDS_SYN))
        return next_control(e, c, tx);
    if (c->state < TCPS_SYN_RCVD)
        return false;
    if (may_send_data(c) && !dup_ack_is_due(c)) {
        if (next_rexmit(e, c, max_len, tx) || (has_new(c) && next_new(e, c, max_len, tx)))
            return true;
        if (c->flags & TCF_PROBE)
            return next_probe(e, c, tx);
    }
    return (c->flags & TCF_ACK_NOW) && next_ack(e, c, tx);
}

static __attribute__((noinline)) bool next_rare(const struct tcp_env *e, const struct tcp_conn *c,
                                                uint32_t max_len, struct tcp_tx *tx)
{
    if (!(c->flags & (TCF_ECN | TCF_URGENT)))
        return next_any(e, c, max_len, tx);
    if (c->flags & TCF_ECN)
        max_len = ecn_max_len(c, max_len);
    if (!next_any(e, c, urgent_max_len(c, max_len), tx))
        return false;
    if (c->flags & TCF_ECN)
        ecn_mark(c, tx);
    urgent_mark(c, tx);
    return true;
}

static __attribute__((noinline)) bool next_new_or_ack(const struct tcp_env *e,
                                                      const struct tcp_conn *c, uint32_t max_len,
                                                      struct tcp_tx *tx)
{
    if (likely(!dup_ack_is_due(c)) && next_new(e, c, max_len, tx))
        return true;
    return (c->flags & TCF_ACK_NOW) && next_ack(e, c, tx);
}

/* Asked twice or thrice per turn of a connection, to be told "nothing" all but once: that answer
 * needs no stack frame. */
bool tcp_output_next(const struct tcp_env *e, const struct tcp_conn *c, uint32_t max_len,
                     struct tcp_tx *tx)
{
    const uint32_t rare =
        TCF_SEND_RST | TCF_NEEDS_SYN | TCF_DEAD | TCF_REXMIT | TCF_PROBE | TCF_ECN | TCF_URGENT;
    if (unlikely((c->flags & rare) || c->state < TCPS_ESTABLISHED))
        return next_rare(e, c, max_len, tx);
    if (has_new(c))
        return next_new_or_ack(e, c, max_len, tx);
    if (c->flags & TCF_ACK_NOW)
        return next_ack(e, c, tx);
    return false;
}

/* ---- commit ---- */

/* One D-SACK was reported, if the segment had room, or one of several duplicate ACKs. */
static void sent_news(struct tcp_conn *c, const struct seg *s)
{
    if (c->flags & TCF_SACK)
        c->n_dsack = s->opt.n_sack == 0;
    else if (seg_seq_len(s) == 0 && --c->n_dup_owed > 0)
        c->flags |= TCF_ACK_NOW;
}

/* What the header told the peer. */
static inline void sent_ack(struct tcp_conn *c, const struct seg *s)
{
    tcp_off_t next = (tcp_off_t)stream_next(&c->rcv);
    c->rcv_acked = rcv_nxt(c);
    c->rcv_adv = max_off(c->rcv_adv, next + ((tcp_off_t)s->wnd << c->rcv_wscale));
    c->flags &= ~(uint32_t)(TCF_ACK_NOW | TCF_ACK_DELAYED);
    if (unlikely(s->opt.n_sack > 0))
        ranges_set_turn(c->rcv.ooo, ranges_turn(c->rcv.ooo) + 1);
    if (unlikely(c->n_dsack > 0))
        sent_news(c, s);
}

static void sent_syn(struct tcp_env *e, struct tcp_conn *c, const struct seg *s, bool passed)
{
    uint32_t len = passed ? s->len : 0;
    c->flags &= ~(uint32_t)(TCF_NEEDS_SYN | TCF_ACK_NOW | TCF_ACK_DELAYED);
    c->snd_nxt = max_off(c->snd_nxt, len);
    c->snd_at_us = (uint32_t)e->now_us;
    e->stats.bytes_out += len;
    c->rcv_acked = rcv_nxt(c);
    c->rcv_adv = max_off(c->rcv_adv, (tcp_off_t)stream_next(&c->rcv) + s->wnd);
    if (!timers_rtx_is_set(c))
        timers_set_rtx(e, c, e->now_us + rtt_rto(e, c));
}

/* PSH for the application's sake (fill_data()), not because the device cuts (next_new()). */
static inline bool is_last(const struct tcp_conn *c, const struct tcp_tx *tx)
{
    tcp_off_t end = tx->off + tx->seg.len;
    return is_last_written(c, end) || eor_is_at(c, end);
}

/* Does a segment that is not full go, or are all that is in flight full? */
static inline void note_short(struct tcp_conn *c, const struct tcp_tx *tx)
{
    if (tx->seg.len < tx->mss || tx->seg.len % tx->mss != 0)
        c->marks |= SHORT_IN_FLIGHT;
    else if (tx->off == c->snd_una)
        c->marks &= (uint8_t)~SHORT_IN_FLIGHT;
}

/* New data that did not pass was never sent: what passed stays one prefix of the stream, and the
 * retransmission or the persist timer tries again. */
static void sent_data(struct tcp_env *e, struct tcp_conn *c, const struct tcp_tx *tx, bool passed)
{
    if (unlikely(!passed && !tx->rexmit))
        return;
    tcp_off_t end = tx->off + seg_seq_len(&tx->seg);
    recovery_sent(e, c,
                  &(struct tcp_sent){.from = tx->off,
                                     .to = end,
                                     .rexmit = tx->rexmit,
                                     .probe = tx->probe,
                                     .psh = (tx->seg.flags & TCP_PSH) && is_last(c, tx)});
    if (unlikely(tx->rexmit)) {
        e->stats.rexmit_segs++;
        return;
    }
    e->stats.bytes_out += tx->seg.len;
    note_short(c, tx);
    if (unlikely(tx->seg.flags & TCP_CWR))
        c->marks &= (uint8_t)~ECN_CWR;
    c->snd_nxt = end;
    if (unlikely(c->ext != NULL))
        eor_passed(e, c);
}

void tcp_output_sent(struct tcp_env *e, struct tcp_conn *c, const struct tcp_tx *tx, bool passed)
{
    const struct seg *s = &tx->seg;
    e->stats.segs_out += passed;
    if (unlikely(s->flags & TCP_RST)) {
        conn_die(e, c, c->end_reason ? (enum hook_end)c->end_reason : HOOK_END_RST_OUT, 0);
        return;
    }
    if (unlikely(s->flags & TCP_SYN)) {
        sent_syn(e, c, s, passed);
    } else {
        sent_ack(c, s);
        if (seg_seq_len(s) > 0)
            sent_data(e, c, tx, passed);
    }
    if (unlikely(c->flags & TCF_PROBE)) {
        e->stats.zero_window_probes += tx->probe && (c->flags & TCF_PERSIST);
        c->flags &= ~(uint32_t)TCF_PROBE;
    }
    if (!tx->probe)
        c->last_active_us = e->now_us;
}

/* ---- the end of a flush ---- */

/* A buffer is about to go back or shrink: a monitor hears first of what it has not peeked. */
static void warn_release(struct tcp_env *e, struct tcp_conn *c, const struct stream *s)
{
    uint64_t head = stream_head(s), after = stream_head_released(s);
    if (after > head)
        e->hooks->error(e->mon, c->mon, HOOK_OVERRUN, s == &c->rcv, head, after);
}

static inline void release(struct tcp_env *e, struct tcp_conn *c, struct stream *s)
{
    if (s->ring == NULL)
        return;
    if (conn_tells_overruns(c))
        warn_release(e, c, s);
    stream_release(s, e->mem);
}

/* Something waits, nothing is in flight, so no ACK will come: the persist timer acts (RFC
 * 9293 3.8.6.1 for a shut window; 3.8.6.2.1 for a small one; the cork's limit). */
static inline bool persist_is_due(const struct tcp_conn *c)
{
    return has_new(c) && c->snd_una == c->snd_nxt && !timers_rtx_is_set(c) &&
           c->state >= TCPS_ESTABLISHED;
}

void tcp_output_done(struct tcp_env *e, struct tcp_conn *c)
{
    if (unlikely(c->flags & (TCF_DEAD | TCF_SEND_RST)))
        return;
    if (unlikely(persist_is_due(c)))
        timers_start_persist(e, c);
    if (unlikely(timers_has_idle_duty(e, c)) && c->aux_at == WHEEL_NEVER_US)
        timers_watch_idle(e, c);
    release(e, c, &c->rcv);
    if (tcp_readable(c) > 0)
        return; /* whoever reads that marks it again, and may answer with what would go back here */
    if (likely(!zerocopy_is_used(c))) /* a smaller buffer would be filled with what is not there */
        release(e, c, &c->snd);
    if (unlikely(c->flight != NULL))
        recovery_release(e, c);
}

/* ---- path MTU ---- */

/* A SYN with data does not get through. Without data it would, but as in Linux its MSS, too,
 * becomes what the path takes: the way back is most often the same. */
static void syn_data_is_too_big(struct tcp_env *e, struct tcp_conn *c, uint16_t mss)
{
    if (mss >= c->mss)
        return;
    c->mss = mss;
    c->flags |= TCF_NEEDS_SYN;
    conn_mark_output(e, c);
}

void tcp_mtu_changed(struct tcp_env *e, struct tcp_conn *c, uint16_t mtu)
{
    if (unlikely(c->state == TCPS_SYN_SENT && c->snd_max > 0))
        syn_data_is_too_big(e, c, tcp_mss_of_mtu(&c->tuple.local, mtu));
    if (c->state < TCPS_ESTABLISHED)
        return;
    uint16_t was = c->mss;
    c->mss = tcp_mss_agreed(c, tcp_mss_of_mtu(&c->tuple.local, mtu));
    if (c->mss < was)
        recovery_mtu_lowered(e, c, was);
}

bool tcp_full_segment_is_stuck(const struct tcp_conn *c)
{
    return c->backoff > 0 && c->state >= TCPS_ESTABLISHED && recovery_oldest_len(c) >= c->mss &&
           !(c->flags & (TCF_DEAD | TCF_SEND_RST | TCF_PERSIST));
}

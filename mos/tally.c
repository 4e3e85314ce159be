/* Counting packets. */
#include "mos/tally.h"

#include <string.h>

enum tally_kind { KIND_ACK = 1 << 0, KIND_DATA = 1 << 1 };

#define CONTROL (TCP_SYN | TCP_FIN | TCP_RST | TCP_URG | TCP_ACK)

/* A SYN cookie's has no frame. */
static uint32_t ip_bytes(const struct hook_seg *s)
{
    return s->frame_len > s->l3_off ? s->frame_len - s->l3_off : 0;
}

/* ---- round trips ----------------------------------------------------------------------------- */

static void rtt_begin(struct tally_host *h, uint64_t now_us)
{
    h->is_timed = true;
    h->timed_end = h->end;
    h->timed_us = (uint32_t)now_us;
}

/* The host `by` acknowledged what `of` sent: the way went to `by` and back. */
static void rtt_end(struct tally_host *by, struct tally_host *of, uint64_t now_us)
{
    uint32_t us = (uint32_t)now_us - of->timed_us;
    of->is_timed = false;
    by->rtt_us = by->rtt_n == 0 ? us : by->rtt_us + us / 8 - by->rtt_us / 8;
    if (by->rtt_n == 0 || us < by->rtt_min_us)
        by->rtt_min_us = us;
    if (us > by->rtt_max_us)
        by->rtt_max_us = us;
    by->rtt_n++;
    by->rtt_sum_us += us;
}

static void acked_to(struct tally_host *by, struct tally_host *of, tcp_seq_t ack, uint64_t now_us)
{
    of->acked = ack;
    if (of->is_timed && seq_leq(of->timed_end, ack))
        rtt_end(by, of, now_us);
}

/* ---- plain ones ------------------------------------------------------------------------------ */

bool tally_plain(struct tally *t, int from, const struct hook_seg *s)
{
    const struct seg *seg = s->seg;
    struct tally_host *h = &t->host[from], *peer = &t->host[!from];
    if (unlikely(!t->is_steady || (seg->flags & CONTROL) != TCP_ACK || seg->wnd == 0 ||
                 !seq_eq(seg->seq, h->end) || !s->accepted))
        return false;
    uint32_t acks = seg->ack.v - peer->acked.v;
    if (unlikely(acks > peer->end.v - peer->acked.v))
        return false;
    if (unlikely(seg->len > 0 ? !(h->kinds & KIND_DATA) : !(h->kinds & KIND_ACK) || acks == 0))
        return false;
    h->packets++;
    h->ip_bytes += ip_bytes(s);
    h->bytes += seg->len;
    h->last_us = s->now_us;
    h->wnd = seg->wnd;
    h->end.v += seg->len;
    if (seg->len > 0 && !h->is_timed)
        rtt_begin(h, s->now_us);
    if (acks > 0)
        acked_to(h, peer, seg->ack, s->now_us);
    return true;
}

/* ---- the others ------------------------------------------------------------------------------ */

/* A SYN says where the numbers begin. */
static void note_syn(struct tally *t, struct tally_host *h, const struct seg *seg)
{
    tcp_seq_t first = seq_add(seg->seq, 1);
    if (h->has_begun) {
        t->is_odd |= !seq_eq(first, h->first);
        return;
    }
    h->has_begun = true;
    h->first = h->acked = first;
    h->end = seq_add(first, seg->len);
}

static void note_payload(struct tally_host *h, const struct tally_host *peer,
                         const struct hook_seg *s)
{
    const struct seg *seg = s->seg;
    tcp_seq_t from = seq_add(seg->seq, seg->flags & TCP_SYN ? 1 : 0),
              to = seq_add(seg->seq, seg_seq_len(seg));
    bool is_new = !seq_lt(from, h->end);
    h->has_hole |= seq_lt(h->end, from);
    if (seq_lt(h->end, to))
        h->end = to;
    if (seg->len == 0)
        return;
    if (!is_new)
        h->is_timed = false;
    else if (!h->is_timed && peer->wnd != 0)
        rtt_begin(h, s->now_us);
}

/* Of a capture the bytes may be missing. */
static void note_ack(struct tally_host *by, struct tally_host *of, const struct hook_seg *s)
{
    tcp_seq_t ack = s->seg->ack;
    if (!of->has_begun || !seq_lt(of->acked, ack))
        return;
    if (seq_lt(of->end, ack))
        of->end = ack;
    acked_to(by, of, ack, s->now_us);
    of->has_hole &= !seq_eq(ack, of->end);
}

/* Numbers that TCP takes no notice of, but a monitor that looks at segments may. */
static bool is_strange(const struct tally_host *h, const struct tally_host *peer,
                       const struct seg *seg)
{
    if (!h->has_begun || seq_lt(h->end, seq_add(seg->seq, seg_seq_len(seg))))
        return true;
    return (seg->flags & TCP_ACK) && (!peer->has_begun || seq_lt(peer->end, seg->ack));
}

static void note_numbers(struct tally *t, int from, const struct hook_seg *s)
{
    struct tally_host *h = &t->host[from], *peer = &t->host[!from];
    const struct seg *seg = s->seg;
    if (seg->flags & (TCP_RST | TCP_FIN))
        t->is_odd = true;
    if (seg->flags & TCP_RST)
        return;
    if (seg->flags & TCP_SYN)
        note_syn(t, h, seg);
    if (!s->accepted) {
        t->is_odd |= is_strange(h, peer, seg);
        return;
    }
    h->wnd = seg->wnd;
    if (h->has_begun)
        note_payload(h, peer, s);
    if (seg->flags & TCP_ACK)
        note_ack(h, peer, s);
}

static uint8_t kind_of(const struct seg *seg)
{
    if ((seg->flags & CONTROL) != TCP_ACK)
        return 0;
    return seg->len > 0 ? KIND_DATA : KIND_ACK;
}

static bool host_is_steady(const struct tally_host *h)
{
    return h->has_begun && !h->has_hole && h->wnd != 0;
}

void tally_notable(struct tally *t, int from, const struct hook_seg *s, bool is_open)
{
    struct tally_host *h = &t->host[from];
    h->other_packets++;
    h->other_ip_bytes += ip_bytes(s);
    h->other_bytes += s->seg->len;
    h->last_us = s->now_us;
    h->kinds |= kind_of(s->seg);
    note_numbers(t, from, s);
    t->is_steady = is_open && !t->is_odd && host_is_steady(&t->host[MOS_SIDE_CLI]) &&
                   host_is_steady(&t->host[MOS_SIDE_SVR]);
}

/* ---- what it comes to ------------------------------------------------------------------------ */

void tally_read(const struct tally *t, int side, struct mos_traffic *out)
{
    const struct tally_host *h = &t->host[side], *peer = &t->host[!side];
    *out = (struct mos_traffic){
        .packets = h->packets + h->other_packets,
        .ip_bytes = h->ip_bytes + h->other_ip_bytes,
        .payload_bytes = h->bytes + h->other_bytes,
        .plain_packets = h->packets,
        .plain_bytes = h->bytes,
        .last_us = h->last_us,
        .rtt_n = h->rtt_n,
        .rtt_sum_us = h->rtt_sum_us,
        .rtt_us = h->rtt_us,
        .rtt_min_us = h->rtt_min_us,
        .rtt_max_us = h->rtt_max_us,
        .next_seq = h->end.v,
        .ack_seq = peer->acked.v,
        .window = h->wnd,
    };
}

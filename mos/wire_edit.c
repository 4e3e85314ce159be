/* Packets of changed connections. */
#include "mos/wire_edit.h"

#include "mos/forge.h"
#include "mos/lastpkt.h"
#include "mos/wire_tcp.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static struct wire_edits *edits_of(const struct wire_conn *w, int side)
{
    return w->host[side].edits;
}

static struct mem *mem_of(const struct wire_conn *w)
{
    return w->conn->mon->mem;
}

static struct edit_frame frame_of(const struct hook_seg *s)
{
    return (struct edit_frame){
        .at = s->frame,
        .len = s->frame_len,
        .room = s->frame_room,
        .l3 = s->l3_off,
        .l4 = s->l4_off,
        .payload = s->frame_len - s->seg->len,
        .is_v6 = !ip_addr_is_v4(&s->seg->tuple.local),
    };
}

/* ---- in -------------------------------------------------------------------------------------- */

/* Where the packet in hand lies for its sender, without what was acknowledged. */
static struct wire_own place_of(const struct wire_conn *w, const struct seg *seg)
{
    const struct splices *p = &edits_of(w, w->sender)->splices;
    tcp_off_t next = (tcp_off_t)stream_next(&w->host[side_other(w->sender)].rcv);
    struct wire_own own = {.len = seg->len};
    own.off = off_of_seq(w->conn->host[w->sender].isn, seg->seq, splices_acked(p, next));
    if (seg->len == 0 || own.off >= (tcp_off_t)p->floor)
        return own;
    uint64_t old = p->floor - (uint64_t)own.off;
    own.n_old = old < seg->len ? (uint32_t)old : seg->len;
    own.off += own.n_old;
    own.len -= own.n_old;
    return own;
}

/* The receiver's number of the first byte. What was acknowledged altogether asks for another
 * acknowledgement, as a keepalive does (RFC 9293 3.8.4). */
static tcp_off_t off_for_receiver(const struct splices *p, const struct wire_own *own,
                                  const struct seg *seg)
{
    tcp_off_t off = splices_to_r(p, own->off);
    bool asks = own->n_old > 0 && own->len == 0 && !(seg->flags & TCP_FIN);
    return asks ? splices_to_r(p, (tcp_off_t)p->floor) - 1 : off;
}

/* The urgent pointer counts from the first byte. */
static uint16_t urg_for_receiver(const struct splices *p, const struct wire_own *own,
                                 const struct seg *seg, tcp_off_t off)
{
    tcp_off_t urg = splices_to_r(p, own->off - own->n_old + seg->urg) - off;
    return urg < 0 ? 0 : urg > UINT16_MAX ? UINT16_MAX : (uint16_t)urg;
}

/* The same frame with the payload that the receiver is to get. */
static bool payload_replace(const struct wire_conn *w, const struct hook_seg *s,
                            struct edit_frame *f)
{
    const struct wire_own *own = &w->own;
    uint32_t hdrs = f->payload - f->l3;
    uint8_t *to = wire_frame_room(w->conn->mon);
    if (!to || hdrs > EDIT_IP_MAX) /* of fragments, IPv6 puts more together (RFC 8200 3) */
        return false;
    int64_t n =
        splices_apply(&edits_of(w, w->sender)->splices, (uint64_t)own->off,
                      s->seg->payload + own->n_old, own->len, to + f->payload, EDIT_IP_MAX - hdrs);
    if (n < 0)
        return false;
    memcpy(to, f->at, f->payload);
    f->at = to;
    f->room = WIRE_FRAME_ROOM;
    f->len = f->payload + (uint32_t)n;
    edit_lengths(f);
    return true;
}

bool wire_edit_in(struct wire_conn *w, struct hook_seg *s)
{
    const struct wire_edits *ed = edits_of(w, w->sender);
    const struct seg *seg = s->seg;
    if (!s->frame)
        return false;
    if (!ed || (seg->flags & TCP_SYN))
        return true;
    const struct splices *p = &ed->splices;
    w->own = place_of(w, seg);
    const struct wire_own *own = &w->own;
    struct edit_frame f = frame_of(s);
    if ((own->n_old > 0 || (own->len > 0 && splices_touch(p, (uint64_t)own->off, own->len))) &&
        !payload_replace(w, s, &f))
        return false;
    tcp_off_t off = off_for_receiver(p, own, seg);
    tcp_seq_t seq = seq_of_off(w->conn->host[w->sender].isn, off);
    if (f.at == s->frame && seq_eq(seq, seg->seq))
        return true;
    edit_seq(&f, seq, seg->flags & TCP_URG ? urg_for_receiver(p, own, seg, off) : seg->urg);
    lastpkt_adopt(w->conn->mon, s, &f);
    return true;
}

void wire_edit_clip(struct wire_conn *w, struct hook_seg *s)
{
    tcp_off_t end = s->off + s->seg->len, edge = wire_edge(w, side_other(w->sender));
    uint32_t keep = edge > s->off ? (uint32_t)(edge - s->off) : 0;
    bool is_probe = keep == 0 && s->seg->len == 1; /* of a closed window (RFC 9293 3.8.6.1) */
    if (!edits_of(w, w->sender) || end <= edge || is_probe || s->frame_room == 0 ||
        s->seg->len == 0 || (s->seg->flags & (TCP_SYN | TCP_RST)))
        return;
    struct edit_frame f = frame_of(s);
    f.len = f.payload + keep;
    edit_flags(&f, s->seg->flags & (uint8_t) ~(TCP_FIN | TCP_PSH));
    edit_lengths(&f);
    lastpkt_adopt(w->conn->mon, s, &f);
}

/* ---- out ------------------------------------------------------------------------------------- */

/* The sender of the packet has room up to `edge`; how much is that to whom it tells so? A window
 * that is open stays so: what was begun to be put in can only come with bytes that are sent. */
static uint16_t window_to_sender(const struct wire_conn *w, const struct hook_seg *s,
                                 const struct splices *p, tcp_off_t ack)
{
    const unsigned shift = wire_shift(w, w->sender);
    if (s->seg->wnd == 0)
        return 0;
    tcp_off_t edge = splices_beyond(p, ack + ((tcp_off_t)s->seg->wnd << shift));
    tcp_off_t wnd = (edge - splices_acked(p, ack) + (1 << shift) - 1) >> shift;
    return wnd < 1 ? 1 : wnd > UINT16_MAX ? UINT16_MAX : (uint16_t)wnd;
}

/* SACK blocks of which something is left. */
static unsigned sacks_to_sender(const struct wire_conn *w, const struct tcp_opts *o,
                                const struct splices *p, struct sack_block *out)
{
    int to = side_other(w->sender);
    tcp_seq_t isn = w->conn->host[to].isn;
    tcp_off_t near = (tcp_off_t)w->host[to].sent;
    unsigned n = 0;
    for (unsigned i = 0; i < o->n_sack; i++) {
        tcp_off_t start = splices_beyond(p, off_of_seq(isn, o->sack[i].start, near));
        tcp_off_t end = splices_acked(p, off_of_seq(isn, o->sack[i].end, near));
        if (start < end)
            out[n++] = (struct sack_block){seq_of_off(isn, start), seq_of_off(isn, end)};
    }
    return n;
}

/* What the packet acknowledges, as the host that it goes to counts its bytes. */
static void acks_to_sender(struct wire_conn *w, const struct hook_seg *s, struct edit_frame *f)
{
    int to = side_other(w->sender);
    struct wire_edits *ed = edits_of(w, to);
    const struct splices *p = &ed->splices;
    tcp_seq_t isn = w->conn->host[to].isn;
    tcp_off_t ack = off_of_seq(isn, s->seg->ack, (tcp_off_t)w->host[to].sent);
    tcp_off_t means = splices_acked(p, ack);
    struct sack_block sacks[TCP_SACK_MAX];
    edit_ack(f, seq_of_off(isn, means), window_to_sender(w, s, p, ack));
    if (s->seg->opt.n_sack > 0)
        edit_sacks(f, sacks, sacks_to_sender(w, &s->seg->opt, p, sacks));
    if (s->accepted && means > (tcp_off_t)ed->told)
        ed->told = (uint64_t)means;
}

/* Bytes that were taken out are acknowledged at once: their receiver will not do it. */
static void acknowledge_removed(struct wire_conn *w)
{
    struct wire_edits *ed = edits_of(w, w->sender);
    const struct wire_host *other = &w->host[side_other(w->sender)];
    const struct splices *p = &ed->splices;
    tcp_off_t means = splices_acked(p, (tcp_off_t)other->acked);
    if (means <= (tcp_off_t)ed->told)
        return;
    ed->told = (uint64_t)means;
    tcp_off_t room = splices_beyond(p, (tcp_off_t)other->edge) - means;
    forge_ack(w, w->sender, means, room > 0 ? (uint64_t)room : 0);
}

static void note_forwarded(struct wire_conn *w, const struct hook_seg *s)
{
    struct wire_edits *ed = edits_of(w, w->sender);
    uint32_t len = w->own.len + !!(s->seg->flags & TCP_FIN);
    if (len > 0 && w->own.off >= 0 && (uint64_t)w->own.off + len > ed->top)
        ed->top = (uint64_t)w->own.off + len;
    acknowledge_removed(w);
}

void wire_edit_out(struct wire_conn *w, struct hook_seg *s)
{
    struct wire_edits *mine = edits_of(w, w->sender), *others = edits_of(w, side_other(w->sender));
    struct edit_frame f = frame_of(s);
    if (s->seg->flags & TCP_SYN)
        return;
    if (others && (s->seg->flags & TCP_ACK))
        acks_to_sender(w, s, &f);
    edit_checksums(&f, MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM);
    if (mine && s->accepted)
        note_forwarded(w, s);
    for (int side = 0; side < SIDES; side++)
        if (w->host[side].edits)
            splices_forget(&w->host[side].edits->splices, mem_of(w),
                           w->host[side_other(side)].acked);
}

/* Where the quoted segment begins, behind ICMP's header. */
static uint32_t quote_off(const uint8_t *quote)
{
    return quote[0] >> 4 == 6 ? IPV6_HDR_LEN : (quote[0] & 0x0fu) * 4u;
}

enum hook_verdict wire_edit_quote(const struct wire_conn *w, const struct hook_seg *s,
                                  const struct packet *p)
{
    const struct wire_edits *ed = edits_of(w, w->sender);
    tcp_seq_t isn = w->conn->host[w->sender].isn;
    if (!ed || !s->frame)
        return HOOK_PASS;
    tcp_off_t off = off_of_seq(isn, p->icmp.seq, (tcp_off_t)w->host[w->sender].sent);
    tcp_seq_t own = seq_of_off(isn, splices_acked(&ed->splices, off));
    if (seq_eq(own, p->icmp.seq))
        return HOOK_PASS;
    uint8_t *icmp = s->frame + p->l4_off, *quote = icmp + sizeof(struct icmp_hdr);
    edit_quoted_seq(icmp, quote + quote_off(quote) + offsetof(struct tcp_hdr, seq), own);
    return HOOK_CHANGED;
}

void wire_edit_undo(struct wire_conn *w)
{
    struct wire_edits *ed = edits_of(w, w->sender);
    if (ed)
        splices_undo(&ed->splices, mem_of(w), ed->top);
}

/* ---- changes --------------------------------------------------------------------------------- */

/* What was forwarded lies before this, as the sender counts while nothing was changed. An empty
 * segment says nothing: it has the number of the next byte, whatever became of those before. */
static uint64_t top_of_unchanged(const struct wire_conn *w)
{
    const struct mon_host *from = &w->conn->host[w->sender];
    uint64_t end = stream_end(&w->host[side_other(w->sender)].rcv);
    return from->fin_seen && from->fin_off >= end ? from->fin_off + 1 : end;
}

/* ... as the receiver counts. */
static uint64_t top_for_receiver(const struct wire_conn *w)
{
    const struct wire_edits *ed = edits_of(w, w->sender);
    return ed ? (uint64_t)splices_to_r(&ed->splices, (tcp_off_t)ed->top) : top_of_unchanged(w);
}

/* Bytes that were forwarded before: to overwrite them is in vain, unless it is with the same. 1: it
 * is; 0: they were not. */
static int check_forwarded(const struct wire_conn *w, const struct hook_seg *s,
                           const struct edit *e)
{
    uint64_t r = (uint64_t)(s->off + e->offset);
    if (!stream_has_any(&w->host[side_other(w->sender)].rcv, r, r + e->len))
        return 0;
    return memcmp(s->seg->payload + e->offset, e->data, e->len) == 0 ? 1 : -EALREADY;
}

/* The first change makes it a connection that is translated. */
static struct wire_edits *edits_make(struct wire_conn *w, const struct hook_seg *s)
{
    struct wire_host *h = &w->host[w->sender];
    if (h->edits)
        return h->edits;
    h->edits = mem_zalloc(mem_of(w), sizeof(*h->edits));
    if (!h->edits)
        return NULL;
    h->edits->top = top_of_unchanged(w);
    h->edits->told = w->host[side_other(w->sender)].acked;
    w->own = (struct wire_own){.off = s->off, .len = s->seg->len};
    w->is_edited = true;
    return h->edits;
}

static void edits_free(struct wire_conn *w, int side)
{
    struct wire_edits *ed = edits_of(w, side);
    if (!ed)
        return;
    splices_fini(&ed->splices, mem_of(w));
    mem_free(mem_of(w), ed, sizeof(*ed));
    w->host[side].edits = NULL;
    w->is_edited = edits_of(w, side_other(side)) != NULL;
}

static int note(struct wire_conn *w, const struct hook_seg *s, const struct edit *e,
                const struct edit_frame *now)
{
    bool keeps_length = e->option & MOS_OVERWRITE;
    bool is_first = !edits_of(w, w->sender);
    struct wire_edits *ed = edits_make(w, s);
    if (!ed)
        return -ENOMEM;
    struct splice_edit what = {
        .from = (uint64_t)w->own.off,
        .end = (uint64_t)w->own.off + w->own.len,
        .r = (uint64_t)(s->off + e->offset),
        .del = e->option & MOS_INSERT ? 0 : e->len,
        .ins = e->option & MOS_CHOMP ? 0 : e->len,
        .payload = now->at + now->payload,
        .payload_r = (uint64_t)s->off,
    };
    if (!keeps_length && what.from < ed->top)
        what.from = ed->top;
    int rc = splices_edit(&ed->splices, mem_of(w), &what);
    if (rc < 0 && is_first)
        edits_free(w, w->sender); /* nothing was changed: nothing is to be translated */
    return rc == -ENODATA ? -EALREADY : rc;
}

int wire_edit_note(struct wire_conn *w, const struct hook_seg *s, const struct edit *e,
                   const struct edit_frame *now)
{
    bool keeps_length = e->option & MOS_OVERWRITE;
    bool is_placed = s->has_off && s->off >= 0 && !(s->seg->flags & (TCP_SYN | TCP_RST));
    uint32_t len = edits_of(w, w->sender) ? w->own.len : s->seg->len;
    if (e->len == 0)
        return 0;
    if (!w->conn->mon->wire->conf.forwards || !is_placed)
        return keeps_length ? 0 : -EPERM;
    int rc = keeps_length ? check_forwarded(w, s, e) : 0;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (!s->accepted || len == 0)
        return keeps_length ? 0 : -EPERM;
    if (!keeps_length && (uint64_t)(s->off + e->offset) < top_for_receiver(w))
        return -EALREADY;
    return note(w, s, e, now);
}

/* ---- life ------------------------------------------------------------------------------------ */

tcp_seq_t wire_edit_last_seq(const struct wire_conn *w, int side)
{
    const struct wire_host *h = &w->host[side];
    return seq_of_off(w->conn->host[side].isn, (tcp_off_t)(h->edits ? h->edits->top : h->sent));
}

void wire_edit_free(struct wire_conn *w)
{
    for (int side = 0; side < SIDES; side++)
        edits_free(w, side);
}

/* The packet of the running callback. */
#include "mos/lastpkt.h"

#include "mos/as_sent.h"
#include "mos/conns.h"
#include "mos/dispatch.h"
#include "mos/wire_edit.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <string.h>

/* Where a frame and its headers lie. */
struct frame {
    uint8_t *at;
    uint32_t len;
    uint16_t l3_off, l4_off;
};

/* ---- frames that lie in pieces --------------------------------------------------------------- */

/* The payload of a segment that goes out is still in the send stream. */
static bool copy_payload(const struct mon_conn *c, const struct hook_seg *s, uint8_t *to)
{
    struct tcp_flow_view v;
    if (s->seg->len == 0)
        return true;
    if (s->seg->payload) {
        memcpy(to, s->seg->payload, s->seg->len);
        return true;
    }
    mon_conn_view(c, &v);
    return v.snd && s->off >= 0 &&
           stream_copy(v.snd, (uint64_t)s->off, to, s->seg->len) == s->seg->len;
}

struct frame_copy {
    struct frame_copy *next; /* in mon.copies */
    const struct hook_seg *of;
    struct frame f;
    uint32_t room;
    _Alignas(16) uint8_t bytes[];
};

static void copy_free(struct mon *m, struct frame_copy *copy)
{
    mem_free(m->mem, copy, sizeof(*copy) + copy->room);
}

static int assemble(struct mon *m, const struct mon_conn *c, const struct hook_seg *s)
{
    struct seg seg = seg_as_sent(s);
    uint32_t room = BUILD_HDR_MAX + seg.len;
    struct frame_copy *copy = mem_alloc(m->mem, sizeof(*copy) + room);
    if (!copy)
        return -ENOMEM;
    *copy = (struct frame_copy){.next = m->copies, .of = s, .room = room};
    struct build_lens lens = build_tcp(copy->bytes, NULL, &seg, 0);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    if (!copy_payload(c, s, copy->bytes + hdrs)) {
        copy_free(m, copy);
        return -ENODATA;
    }
    build_tcp_csum(copy->bytes, lens, seg.len, (struct build_offload){0});
    copy->f = (struct frame){copy->bytes, hdrs + seg.len, lens.l2, (uint16_t)(lens.l2 + lens.l3)};
    m->copies = copy;
    return 0;
}

/* The same one for who asks again: what was shown stays where it is until the callback returns. */
static int assembled(struct mon *m, const struct mon_conn *c, const struct hook_seg *s,
                     struct frame *f)
{
    if (!m->copies || m->copies->of != s) {
        int rc = assemble(m, c, s);
        if (rc != 0)
            return rc;
    }
    *f = m->copies->f;
    return 0;
}

void lastpkt_forget(struct mon *m)
{
    for (struct frame_copy *copy; (copy = m->copies) != NULL;) {
        m->copies = copy->next;
        copy_free(m, copy);
    }
}

/* ---- looking --------------------------------------------------------------------------------- */

static uint16_t cap16(uint32_t n)
{
    return n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}

static void info_tcp(const struct hook_seg *s, const struct frame *f, struct pkt_info *out)
{
    const struct seg *seg = s->seg;
    out->offset = s->has_off && s->off > 0 ? (uint64_t)s->off : 0;
    out->payloadlen = cap16(seg->len);
    out->seq = seg->seq.v;
    out->ack_seq = seg->ack.v;
    out->window = seg->wnd;
    out->tcph = (void *)(f->at + f->l4_off);
    out->payload = f->at + (f->len - seg->len);
}

/* Bytes of the IP packet in a frame that may hold anything; 0: it holds none, not even a header. */
static uint32_t ip_len_of(const struct frame *f)
{
    const uint8_t *ip = f->at + f->l3_off;
    uint32_t room = f->len - f->l3_off, len = 0;
    uint16_t type = f->l3_off > 0 ? be16_get(((const struct eth_hdr *)(void *)f->at)->type) : 0;
    uint8_t version = room > 0 ? ip[0] >> 4 : 0;
    if (room >= IPV4_HDR_LEN && version == 4 && (type == ETH_TYPE_IPV4 || f->l3_off == 0))
        len = be16_get(((const struct ipv4_hdr *)(const void *)ip)->total_len);
    else if (room >= IPV6_HDR_LEN && version == 6 && (type == ETH_TYPE_IPV6 || f->l3_off == 0))
        len = IPV6_HDR_LEN + be16_get(((const struct ipv6_hdr *)(const void *)ip)->payload_len);
    return len < room ? len : room;
}

static void info_fill(const struct hook_seg *s, const struct frame *f, struct pkt_info *out)
{
    uint32_t ip_len = s->seg ? f->len - f->l3_off : ip_len_of(f);
    *out = (struct pkt_info){
        .cur_ts = (uint32_t)s->now_us,
        .in_ifidx = s->dir == HOOK_IN ? (int8_t)s->netif : -1,
        .eth_len = cap16(f->len),
        .ip_len = cap16(ip_len),
        .ethh = f->l3_off > 0 ? (void *)f->at : NULL,
        .iph = ip_len > 0 ? (void *)(f->at + f->l3_off) : NULL,
    };
}

/* The dispatch in whose callback we are, if it is about that connection, or shown to that socket.
 */
static struct mon_dispatch *running(const struct mon *m, const struct mon_conn *c,
                                    const struct mon_passive *p)
{
    struct mon_dispatch *d = m->now;
    return d && d->seg && d->conn == c && d->passive == p ? d : NULL;
}

int lastpkt_get(struct mon *m, const struct mon_conn *c, const struct mon_passive *p,
                struct pkt_info *out)
{
    const struct mon_dispatch *d = running(m, c, p);
    if (!d)
        return -ENODATA;
    const struct hook_seg *s = d->seg;
    if (s->is_rebuilt)
        return -ENODATA;
    struct frame f = {s->frame, s->frame_len, s->l3_off, s->l4_off};
    if (!s->frame) {
        int rc = s->seg && c ? assembled(m, c, s, &f) : -ENODATA;
        if (rc != 0)
            return rc;
    }
    info_fill(s, &f, out);
    if (s->seg && !(p && p->is_raw))
        info_tcp(s, &f, out);
    return 0;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static int parse(struct packet *p, const struct hook_seg *s, const uint8_t *frame, uint32_t len)
{
    return s->l3_off > 0 ? packet_parse(p, frame, len, PACKET_CSUM_GOOD)
                         : packet_parse_ip(p, frame, len, PACKET_CSUM_GOOD);
}

static bool opts_mean_the_same(const struct tcp_opts *a, const struct tcp_opts *b)
{
    if (a->n_sack != b->n_sack || a->has_ts != b->has_ts)
        return false;
    if (a->n_sack > 0 && memcmp(a->sack, b->sack, a->n_sack * sizeof(a->sack[0])) != 0)
        return false;
    return !a->has_ts || (a->ts_val == b->ts_val && a->ts_ecr == b->ts_ecr);
}

/* Is it still the same segment of the same connection? Timestamps count as part of the sequence
 * number (RFC 7323 5.1), SACK blocks as part of the acknowledgement. */
static bool means_the_same(const struct packet *was, const struct packet *now)
{
    const uint8_t control = TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK;
    const struct seg *a = &was->seg, *b = &now->seg;
    if (now->kind != PACKET_TCP || now->frame_len - now->l3_off > UINT16_MAX)
        return false;
    return ip_addr_eq(&was->src, &now->src) && ip_addr_eq(&was->dst, &now->dst) &&
           a->tuple.local_port == b->tuple.local_port &&
           a->tuple.remote_port == b->tuple.remote_port && seq_eq(a->seq, b->seq) &&
           seq_eq(a->ack, b->ack) && (a->flags & control) == (b->flags & control) &&
           opts_mean_the_same(&a->opt, &b->opt);
}

static bool is_of_wire(const struct mon_conn *c)
{
    return c && c->wire;
}

/* What is known without a look at the frame: on an endpoint's connection both ends have to count
 * the same bytes, and what was built for the device and the path keeps its length. */
static bool is_possible(const struct mon_conn *c, const struct hook_seg *s, int option)
{
    if (s->dir == HOOK_OUT)
        return (option & MOS_OVERWRITE) && !(option & MOS_TCP_PAYLOAD);
    return (option & MOS_OVERWRITE) || !(option & MOS_TCP_PAYLOAD) || is_of_wire(c);
}

/* The changed frame, in a buffer of its own. */
static int change_copy(const struct hook_seg *s, const struct edit *e, struct edit_frame *f)
{
    struct packet was, now;
    memcpy(f->at, s->frame, s->frame_len);
    if (parse(&was, s, f->at, s->frame_len) != 0 || was.kind != PACKET_TCP)
        return -EPERM;
    *f = edit_frame_of(&was, f->at, f->room);
    int rc = edit_apply(f, e);
    if (rc != 0)
        return rc;
    edit_checksums(f, e->option & ~((s->ip_csum_due ? MOS_UPDATE_IP_CHKSUM : 0) |
                                    (s->tcp_csum_due ? MOS_UPDATE_TCP_CHKSUM : 0)));
    if (parse(&now, s, f->at, f->len) != 0 || !means_the_same(&was, &now))
        return -EPERM;
    bool is_shorter_or_longer = (e->option & MOS_TCP_PAYLOAD) && !(e->option & MOS_OVERWRITE);
    return now.seg.len == was.seg.len || is_shorter_or_longer ? 0 : -EPERM;
}

/* Where the changed frame is to lie: there is room at the frame, or the wire's. */
static int change_room(struct mon *m, const struct mon_conn *c, const struct hook_seg *s,
                       struct edit_frame *to)
{
    to->at = s->frame;
    to->room = s->frame_room;
    if (likely(to->len <= to->room))
        return 0;
    if (!is_of_wire(c))
        return -EINVAL;
    to->at = wire_frame_room(m);
    to->room = WIRE_FRAME_ROOM;
    return to->at ? 0 : -ENOMEM;
}

/* Does the connection bear it? Then the frame takes the place of the one that there was. */
static int change_keep(struct mon *m, const struct mon_conn *c, struct hook_seg *s,
                       const struct edit *e, const struct edit_frame *f)
{
    struct edit_frame to = *f;
    int rc = change_room(m, c, s, &to);
    if (rc == 0 && is_of_wire(c) && (e->option & MOS_TCP_PAYLOAD))
        rc = wire_edit_note(c->wire, s, e, f);
    if (rc != 0)
        return rc;
    memcpy(to.at, f->at, f->len);
    lastpkt_adopt(m, s, &to);
    return 0;
}

static int change(struct mon *m, const struct mon_conn *c, struct hook_seg *s, const struct edit *e)
{
    if (!is_possible(c, s, e->option))
        return -EPERM;
    if (!s->frame)
        return -ENODATA;
    if (s->frame_room == 0)
        return -EPERM;
    uint32_t room = s->frame_len + e->len;
    struct edit_frame f = {.at = mem_alloc(m->mem, room), .room = room};
    if (!f.at)
        return -ENOMEM;
    uint8_t *copy = f.at;
    int rc = change_copy(s, e, &f);
    if (rc == 0)
        rc = change_keep(m, c, s, e, &f);
    mem_free(m->mem, copy, room);
    return rc;
}

void lastpkt_adopt(struct mon *m, struct hook_seg *s, const struct edit_frame *f)
{
    struct flow_tuple tuple = s->seg->tuple; /* with the zone of a link-local address */
    s->frame = f->at;
    s->frame_len = f->len;
    s->frame_room = f->room;
    s->l4_off = (uint16_t)f->l4;
    (void)!parse(&m->changed, s, s->frame, s->frame_len); /* it was parsed before it changed */
    m->changed.seg.tuple = tuple;
    s->seg = &m->changed.seg;
}

int lastpkt_set(struct mon *m, const struct mon_conn *c, const struct mon_passive *p,
                const struct edit *e)
{
    if (!edit_option_is_valid(e->option))
        return -EINVAL;
    struct mon_dispatch *d = running(m, c, p);
    if (!d)
        return -ENODATA;
    if (!d->verdict)
        return -EPERM;
    if (e->option & MOS_DROP) {
        d->drop = true;
        return 0;
    }
    int rc = change(m, c, d->verdict, e);
    d->changed |= rc == 0;
    return rc;
}

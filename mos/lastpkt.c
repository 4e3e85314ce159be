/* The packet of the running callback. */
#include "mos/lastpkt.h"

#include "mos/as_sent.h"
#include "mos/conns.h"
#include "mos/dispatch.h"
#include "mos/edit.h"
#include "mtcp/wire/build.h"

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

/* Room that lasts until the callback has returned. */
static uint8_t *frame_alloc(struct mon *m, uint32_t room)
{
    if (m->frame)
        mem_free(m->mem, m->frame, m->frame_room);
    m->frame = mem_alloc(m->mem, room);
    m->frame_room = room;
    return m->frame;
}

static int assemble(struct mon *m, const struct mon_conn *c, const struct hook_seg *s,
                    struct frame *f)
{
    struct seg seg = seg_as_sent(s);
    uint8_t *at = frame_alloc(m, BUILD_HDR_MAX + seg.len);
    if (!at)
        return -ENOMEM;
    struct build_lens lens = build_tcp(at, NULL, &seg, 0);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    if (!copy_payload(c, s, at + hdrs))
        return -ENODATA;
    build_tcp_csum(at, lens, seg.len, (struct build_offload){0});
    *f = (struct frame){at, hdrs + seg.len, lens.l2, (uint16_t)(lens.l2 + lens.l3)};
    return 0;
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

static void info_fill(const struct hook_seg *s, const struct frame *f, struct pkt_info *out)
{
    *out = (struct pkt_info){
        .cur_ts = (uint32_t)s->now_us,
        .in_ifidx = s->dir == HOOK_IN ? (int8_t)s->netif : -1,
        .eth_len = cap16(f->len),
        .ip_len = cap16(f->len - f->l3_off),
        .ethh = f->l3_off > 0 ? (void *)f->at : NULL,
        .iph = (void *)(f->at + f->l3_off),
    };
    if (s->seg)
        info_tcp(s, f, out);
}

/* The dispatch in whose callback we are, if it is about that connection or orphan. */
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
    struct frame f = {(uint8_t *)(uintptr_t)s->frame, s->frame_len, s->l3_off, s->l4_off};
    if (!s->frame) {
        int rc = s->seg && c ? assemble(m, c, s, &f) : -ENODATA;
        if (rc != 0)
            return rc;
    }
    info_fill(s, &f, out);
    return 0;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

int lastpkt_set(struct mon *m, const struct mon_conn *c, int option)
{
    if (!edit_option_is_valid(option))
        return -EINVAL;
    struct mon_dispatch *d = running(m, c, NULL);
    if (!d)
        return -ENODATA;
    if (!d->is_verdict || !(option & MOS_DROP))
        return -EPERM;
    d->drop = true;
    return 0;
}

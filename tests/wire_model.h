/*
 * What t_parse.c and t_build.c share: random segments that a correct stack might send, and what it
 * means for two of them to be the same.
 */
#ifndef TESTS_WIRE_MODEL_H
#define TESTS_WIRE_MODEL_H

#include "mtcp/base/rng.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/parse.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MODEL_PAYLOAD_MAX 1400u
#define MODEL_FRAME_MAX   (BUILD_HDR_MAX + MODEL_PAYLOAD_MAX)

static inline void model_bytes(struct rng *r, void *out, uint32_t n)
{
    uint8_t *p = out;
    while (n-- > 0)
        *p++ = (uint8_t)rng_u32(r);
}

static inline bool model_coin(struct rng *r)
{
    return rng_below(r, 2) == 0;
}

/* Options that fit into 40 bytes together. */
static inline void model_opts(struct rng *r, struct tcp_opts *o)
{
    *o = (struct tcp_opts){0};
    if ((o->has_mss = model_coin(r)))
        o->mss = (uint16_t)rng_u32(r);
    if ((o->has_wscale = model_coin(r)))
        o->wscale = (uint8_t)rng_below(r, TCP_WSCALE_MAX + 1);
    if ((o->has_ts = model_coin(r))) {
        o->ts_val = rng_u32(r);
        o->ts_ecr = rng_u32(r);
    }
    o->sack_permitted = model_coin(r);
    uint32_t room = TCP_OPT_MAX - build_tcp_opts_len(o);
    uint32_t fit = room < 12 ? 0 : (room - 4) / 8;
    o->n_sack = (uint8_t)rng_below(r, (fit > TCP_SACK_MAX ? TCP_SACK_MAX : fit) + 1);
    for (unsigned i = 0; i < o->n_sack; i++) {
        o->sack[i].start = seq_make(rng_u32(r));
        o->sack[i].end = seq_make(rng_u32(r));
    }
}

/* A segment with `payload` of random length; of the sender (local = source). */
static inline void model_seg(struct rng *r, struct seg *s, uint8_t payload[MODEL_PAYLOAD_MAX])
{
    *s = (struct seg){0};
    if (model_coin(r)) {
        s->tuple.local = ip_addr_v4(be32_make(rng_u32(r)));
        s->tuple.remote = ip_addr_v4(be32_make(rng_u32(r)));
    } else {
        model_bytes(r, s->tuple.local.b, 16);
        model_bytes(r, s->tuple.remote.b, 16);
        s->tuple.local.b[0] &= 0x7f; /* nobody sends as a group, and zones are not on the wire */
        ip_addr_set_zone(&s->tuple.remote, 0);
    }
    s->tuple.local_port = (uint16_t)rng_u32(r);
    s->tuple.remote_port = (uint16_t)rng_u32(r);
    s->seq = seq_make(rng_u32(r));
    s->ack = seq_make(rng_u32(r));
    s->wnd = (uint16_t)rng_u32(r);
    s->urg = (uint16_t)rng_u32(r);
    s->flags = (uint8_t)rng_u32(r);
    s->tos = (uint8_t)rng_u32(r);
    s->ttl = (uint8_t)rng_u32(r);
    model_opts(r, &s->opt);
    s->len = model_coin(r) ? 0 : rng_below(r, MODEL_PAYLOAD_MAX + 1);
    model_bytes(r, payload, s->len);
    s->payload = payload;
}

static const struct build_l2 model_l2 = {.src = {{2, 1, 2, 3, 4, 5}}, .dst = {{2, 6, 7, 8, 9, 10}}};

/* The frame of a segment, checksums filled in; l2 NULL: the IP packet. Returns its length. */
static inline uint32_t model_frame(uint8_t *frame, const struct build_l2 *l2, const struct seg *s,
                                   uint16_t ip_id)
{
    struct build_lens lens = build_tcp(frame, l2, s, ip_id);
    uint32_t hdr_len = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    if (s->len > 0)
        memcpy(frame + hdr_len, s->payload, s->len);
    build_tcp_csum(frame, lens, s->len, (struct build_offload){0});
    return hdr_len + s->len;
}

/* An IPv6 packet as somebody else may send it: `payload` (extension headers and all) behind the
 * header. Returns the frame's length. */
struct model_ip6 {
    struct ip_addr src, dst;
    uint8_t next_hdr, hop_limit;
};

static inline uint32_t model_ip6_frame(uint8_t *frame, const struct build_l2 *l2,
                                       const struct model_ip6 *m, const uint8_t *payload,
                                       uint32_t len)
{
    struct ipv6_hdr *h = (void *)(frame + ETH_HDR_LEN);
    struct eth_hdr *eth = (void *)frame;
    *eth = (struct eth_hdr){l2->dst, l2->src, be16_make(ETH_TYPE_IPV6)};
    *h = (struct ipv6_hdr){.ver_class_flow = be32_make(6u << 28),
                           .payload_len = be16_make((uint16_t)len),
                           .next_hdr = m->next_hdr,
                           .hop_limit = m->hop_limit};
    memcpy(h->src, m->src.b, 16);
    memcpy(h->dst, m->dst.b, 16);
    if (len > 0)
        memcpy(frame + ETH_HDR_LEN + IPV6_HDR_LEN, payload, len);
    return ETH_HDR_LEN + IPV6_HDR_LEN + len;
}

/* The same for an ICMPv6 message, whose checksum is filled in. */
static inline uint32_t model_icmp6_frame(uint8_t *frame, const struct build_l2 *l2,
                                         const struct model_ip6 *m, const uint8_t *msg,
                                         uint32_t len)
{
    struct model_ip6 to = *m;
    to.next_hdr = IP_PROTO_ICMPV6;
    uint32_t frame_len = model_ip6_frame(frame, l2, &to, msg, len);
    uint8_t *icmp = frame + ETH_HDR_LEN + IPV6_HDR_LEN;
    icmp[2] = icmp[3] = 0;
    uint16_t csum =
        csum_fold(csum_add(csum_pseudo(&m->src, &m->dst, IP_PROTO_ICMPV6, len), icmp, len));
    memcpy(icmp + 2, &csum, sizeof(csum));
    return frame_len;
}

static inline bool model_opts_eq(const struct tcp_opts *a, const struct tcp_opts *b)
{
    if (a->has_mss != b->has_mss || a->has_wscale != b->has_wscale || a->has_ts != b->has_ts ||
        a->sack_permitted != b->sack_permitted || a->n_sack != b->n_sack || a->mss != b->mss ||
        a->wscale != b->wscale || a->ts_val != b->ts_val || a->ts_ecr != b->ts_ecr)
        return false;
    for (unsigned i = 0; i < a->n_sack; i++)
        if (!seq_eq(a->sack[i].start, b->sack[i].start) || !seq_eq(a->sack[i].end, b->sack[i].end))
            return false;
    return true;
}

/* Is `in`, as the receiver parsed it, what the sender made of `out`? */
static inline bool model_seg_arrived(const struct seg *out, const struct seg *in)
{
    return ip_addr_eq(&out->tuple.local, &in->tuple.remote) &&
           ip_addr_eq(&out->tuple.remote, &in->tuple.local) &&
           out->tuple.local_port == in->tuple.remote_port &&
           out->tuple.remote_port == in->tuple.local_port && seq_eq(out->seq, in->seq) &&
           seq_eq(out->ack, in->ack) && out->wnd == in->wnd && out->urg == in->urg &&
           out->flags == in->flags && out->tos == in->tos && out->ttl == in->ttl &&
           out->len == in->len && model_opts_eq(&out->opt, &in->opt) &&
           (out->len == 0 || memcmp(out->payload, in->payload, out->len) == 0);
}

#endif

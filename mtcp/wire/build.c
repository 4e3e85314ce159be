/*
 * Checked structs to frames (RFC 894, 826, 791, 792, 8200, 4443, 4861, 9293). Headers are written
 * whole, each field once; what the caller asks for beyond the protocol's limits is a bug of the
 * caller. Not here: the payload, fragments, IPv6 extension headers.
 */
#include "mtcp/wire/build.h"

#include "mtcp/base/bug.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/icmp6.h"

#include <stddef.h>
#include <string.h>

#define OPT_NOP_NOP       0x01010000u
#define OPT_MSS           0x02040000u
#define OPT_NOP_WSCALE    0x01030300u
#define OPT_SACK_PERM     0x0402u
#define OPT_SACK          0x0500u
#define OPT_TS            0x080au
#define OPT_FASTOPEN      0x2200u
#define OPT_EXP_FASTOPEN  0xfe00f989u /* RFC 6994: 254, and what it stands for */
#define OPT_SACK_BASE_LEN 4u
#define OPT_SACK_LEN      8u
#define OPT_TS_LEN        12u

static inline uint8_t *put_be32(uint8_t *at, uint32_t v)
{
    be32_t be = be32_make(v);
    memcpy(at, &be, sizeof(be));
    return at + sizeof(be);
}

/* ---- TCP options ---------------------------------------------------------------------------- */

/* Before the cookie. */
static inline uint32_t opt_fastopen_base(const struct tcp_opts *o)
{
    return o->fastopen_is_exp ? 4u : 2u;
}

/* Padded at its end, as Linux does. */
static uint32_t opt_fastopen_len(const struct tcp_opts *o)
{
    return (opt_fastopen_base(o) + o->fastopen_len + 3u) & ~3u;
}

static uint8_t *put_fastopen(uint8_t *at, const struct tcp_opts *o)
{
    uint32_t base = opt_fastopen_base(o), len = base + o->fastopen_len;
    uint32_t padded = opt_fastopen_len(o);
    memset(at, 1, padded); /* NOPs */
    uint32_t head = o->fastopen_is_exp ? OPT_EXP_FASTOPEN | len << 16 : (OPT_FASTOPEN | len) << 16;
    be32_t be = be32_make(head);
    memcpy(at, &be, base);
    if (o->fastopen_len > 0)
        memcpy(at + base, o->fastopen_cookie, o->fastopen_len);
    return at + padded;
}

/* Everything but SACK blocks. SACK-permitted takes the place of the nops before the timestamps. */
static inline uint32_t opts_fixed_len(const struct tcp_opts *o)
{
    uint32_t len = o->has_mss ? 4u : 0u;
    len += o->has_ts ? OPT_TS_LEN : o->sack_permitted ? 4u : 0u;
    len += o->has_wscale ? 4u : 0u;
    return len + (unlikely(o->has_fastopen) ? opt_fastopen_len(o) : 0u);
}

/* SACK blocks that fit behind `used` bytes of other options; the first ones are the newest. */
static inline uint32_t opts_n_sack(const struct tcp_opts *o, uint32_t used)
{
    uint32_t fit = (TCP_OPT_MAX - used - OPT_SACK_BASE_LEN) / OPT_SACK_LEN;
    return o->n_sack < fit ? o->n_sack : fit;
}

uint32_t build_tcp_opts_len(const struct tcp_opts *o)
{
    uint32_t len = opts_fixed_len(o);
    uint32_t n = opts_n_sack(o, len);
    return n > 0 ? len + OPT_SACK_BASE_LEN + n * OPT_SACK_LEN : len;
}

static uint8_t *put_sack(uint8_t *at, const struct tcp_opts *o, uint32_t n)
{
    at = put_be32(at, OPT_NOP_NOP | OPT_SACK | (2u + n * OPT_SACK_LEN));
    for (uint32_t i = 0; i < n; i++) {
        at = put_be32(at, o->sack[i].start.v);
        at = put_be32(at, o->sack[i].end.v);
    }
    return at;
}

uint32_t build_tcp_opts(uint8_t *at, const struct tcp_opts *o)
{
    uint8_t *const start = at;
    if (o->has_mss)
        at = put_be32(at, OPT_MSS | o->mss);
    if (o->has_ts) {
        at = put_be32(at, (o->sack_permitted ? OPT_SACK_PERM << 16 : OPT_NOP_NOP) | OPT_TS);
        at = put_be32(at, o->ts_val);
        at = put_be32(at, o->ts_ecr);
    } else if (o->sack_permitted) {
        at = put_be32(at, OPT_NOP_NOP | OPT_SACK_PERM);
    }
    if (o->has_wscale)
        at = put_be32(at, OPT_NOP_WSCALE | o->wscale);
    if (unlikely(o->has_fastopen))
        at = put_fastopen(at, o);
    uint32_t n = opts_n_sack(o, (uint32_t)(at - start));
    if (n > 0)
        at = put_sack(at, o, n);
    return (uint32_t)(at - start);
}

/* ---- headers -------------------------------------------------------------------------------- */

static void put_eth(uint8_t *at, const struct build_l2 *l2, uint16_t type)
{
    struct eth_hdr *h = (void *)at;
    h->dst = l2->dst;
    h->src = l2->src;
    h->type = be16_make(type);
}

/* What differs between the IPv4 packets of this stack. */
struct ipv4_fields {
    uint8_t tos, ttl, proto;
    bool may_be_cut;
    uint16_t id;
    be32_t src, dst;
};

/* DF set unless it may be cut, no options; the header checksum is left zero. */
static inline void put_ipv4(uint8_t *at, struct ipv4_fields f, uint32_t total_len)
{
    struct ipv4_hdr *h = (void *)at;
    h->ver_ihl = 4u << 4 | IPV4_HDR_LEN / 4;
    h->tos = f.tos;
    h->total_len = be16_make((uint16_t)total_len);
    h->id = be16_make(f.id);
    h->frag_off = be16_make(f.may_be_cut ? 0 : IPV4_DF);
    h->ttl = f.ttl;
    h->proto = f.proto;
    h->csum = be16_make(0);
    h->src = f.src;
    h->dst = f.dst;
}

/* What differs between the IPv6 packets of this stack. */
struct ipv6_fields {
    uint8_t tos, hop_limit, proto;
    const struct ip_addr *src, *dst;
};

/* Without the zone of a link-local address, which is nobody else's business (RFC 4007). */
static inline void put_addr6(uint8_t *at, const struct ip_addr *a)
{
    struct ip_addr plain = *a;
    ip_addr_set_zone(&plain, 0);
    memcpy(at, plain.b, sizeof(plain.b));
}

static inline void put_ipv6(uint8_t *at, struct ipv6_fields f, uint32_t payload_len)
{
    struct ipv6_hdr *h = (void *)at;
    h->ver_class_flow = be32_make(6u << 28 | (uint32_t)f.tos << 20);
    h->payload_len = be16_make((uint16_t)payload_len);
    h->next_hdr = f.proto;
    h->hop_limit = f.hop_limit;
    put_addr6(h->src, f.src);
    put_addr6(h->dst, f.dst);
}

/* Header and options, the checksum left zero; returns their length. */
static inline uint16_t put_tcp(uint8_t *at, const struct seg *s)
{
    uint32_t len = TCP_HDR_LEN + build_tcp_opts(at + TCP_HDR_LEN, &s->opt);
    struct tcp_hdr *h = (void *)at;
    h->src_port = be16_make(s->tuple.local_port);
    h->dst_port = be16_make(s->tuple.remote_port);
    h->seq = be32_make(s->seq.v);
    h->ack = be32_make(s->ack.v);
    h->doff_ns = (uint8_t)(len / 4 << 4);
    h->flags = s->flags;
    h->wnd = be16_make(s->wnd);
    h->csum = be16_make(0);
    h->urg = be16_make(s->urg);
    return (uint16_t)len;
}

struct build_lens build_tcp(uint8_t *at, const struct build_l2 *l2, const struct seg *s,
                            uint16_t ip_id)
{
    const struct flow_tuple *t = &s->tuple;
    bool is_v4 = ip_addr_is_v4(&t->local);
    ASSERT(is_v4 == ip_addr_is_v4(&t->remote));
    struct build_lens lens = {
        .l2 = l2 ? ETH_HDR_LEN : 0,
        .l3 = is_v4 ? IPV4_HDR_LEN : IPV6_HDR_LEN,
    };
    if (l2)
        put_eth(at, l2, is_v4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    uint8_t *ip = at + lens.l2;
    lens.l4 = put_tcp(ip + lens.l3, s);
    uint32_t l4_len = lens.l4 + s->len;
    ASSERT(lens.l3 + l4_len <= UINT16_MAX);
    if (is_v4)
        put_ipv4(ip,
                 (struct ipv4_fields){.tos = s->tos,
                                      .ttl = s->ttl,
                                      .may_be_cut = s->may_be_cut,
                                      .proto = IP_PROTO_TCP,
                                      .id = ip_id,
                                      .src = t->local.w[3],
                                      .dst = t->remote.w[3]},
                 IPV4_HDR_LEN + l4_len);
    else
        put_ipv6(ip,
                 (struct ipv6_fields){.tos = s->tos,
                                      .hop_limit = s->ttl,
                                      .proto = IP_PROTO_TCP,
                                      .src = &t->local,
                                      .dst = &t->remote},
                 l4_len);
    return lens;
}

/* ---- checksums ------------------------------------------------------------------------------ */

static void put_csum(uint8_t *field, uint16_t csum)
{
    memcpy(field, &csum, sizeof(csum));
}

static void ipv4_csum(uint8_t *ip)
{
    uint8_t *field = ip + offsetof(struct ipv4_hdr, csum);
    put_csum(field, 0);
    put_csum(field, csum_fold(csum_add(0, ip, IPV4_HDR_LEN)));
}

/* The pseudo header of a frame of ours: both addresses lie side by side in either family. */
static inline uint64_t frame_pseudo(const uint8_t *ip, uint16_t l3_len, uint8_t proto,
                                    uint32_t l4_len)
{
    uint64_t sum = (uint64_t)be32_make(l4_len).raw + be32_make(proto).raw;
    return l3_len == IPV4_HDR_LEN
               ? csum_add(sum, ip + offsetof(struct ipv4_hdr, src), 2 * sizeof(be32_t))
               : csum_add(sum, ip + offsetof(struct ipv6_hdr, src), 2 * sizeof(struct ip_addr));
}

void build_tcp_csum(uint8_t *at, struct build_lens lens, uint32_t payload_len,
                    struct build_offload off)
{
    uint8_t *ip = at + lens.l2;
    uint8_t *tcp = ip + lens.l3;
    uint8_t *field = tcp + offsetof(struct tcp_hdr, csum);
    uint32_t l4_len = lens.l4 + payload_len;
    if (lens.l3 == IPV4_HDR_LEN) {
        if (off.ip_csum)
            put_csum(ip + offsetof(struct ipv4_hdr, csum), 0);
        else
            ipv4_csum(ip);
    }
    uint64_t sum = frame_pseudo(ip, lens.l3, IP_PROTO_TCP, l4_len);
    if (off.tcp_csum) {
        put_csum(field, (uint16_t)~csum_fold(sum));
        return;
    }
    put_csum(field, 0);
    put_csum(field, csum_fold(csum_add(sum, tcp, l4_len)));
}

/* ---- ARP, ICMP, neighbour discovery
 * --------------------------------------------------------------------------- */

uint32_t build_arp(uint8_t *at, const struct build_arp *a)
{
    static const struct mac_addr none, broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    struct build_l2 l2 = {.src = a->sender_mac, .dst = a->target_mac};
    if (memcmp(&l2.dst, &none, sizeof(none)) == 0)
        l2.dst = broadcast;
    put_eth(at, &l2, ETH_TYPE_ARP);
    struct arp_hdr *h = (void *)(at + ETH_HDR_LEN);
    h->hw_type = be16_make(1);
    h->proto_type = be16_make(ETH_TYPE_IPV4);
    h->hw_len = sizeof(struct mac_addr);
    h->proto_len = sizeof(be32_t);
    h->op = be16_make(a->is_reply ? 2 : 1);
    h->sender_mac = a->sender_mac;
    h->sender_ip = a->sender_ip;
    h->target_mac = a->target_mac;
    h->target_ip = a->target_ip;
    return ETH_HDR_LEN + (uint32_t)sizeof(*h);
}

/* The IP header; returns the sum that the ICMP checksum starts with. */
static uint64_t put_icmp_ip(uint8_t *ip, const struct build_icmp *i, uint32_t icmp_len)
{
    if (!ip_addr_is_v4(&i->src)) {
        put_ipv6(ip,
                 (struct ipv6_fields){
                     .hop_limit = i->ttl, .proto = IP_PROTO_ICMPV6, .src = &i->src, .dst = &i->dst},
                 icmp_len);
        return frame_pseudo(ip, IPV6_HDR_LEN, IP_PROTO_ICMPV6, icmp_len);
    }
    put_ipv4(ip,
             (struct ipv4_fields){.ttl = i->ttl,
                                  .proto = IP_PROTO_ICMP,
                                  .src = i->src.w[3],
                                  .dst = i->dst.w[3]},
             IPV4_HDR_LEN + icmp_len);
    ipv4_csum(ip);
    return 0;
}

uint32_t build_icmp(uint8_t *at, const struct build_icmp *i)
{
    bool is_v4 = ip_addr_is_v4(&i->src);
    uint8_t *ip = at + ETH_HDR_LEN;
    uint8_t *icmp = ip + (is_v4 ? IPV4_HDR_LEN : IPV6_HDR_LEN);
    uint32_t icmp_len = (uint32_t)offsetof(struct icmp_hdr, id) + i->len;
    /* First the data, which may lie in the frame that is being answered. */
    if (i->len > 0)
        memmove(icmp + offsetof(struct icmp_hdr, id), i->data, i->len);
    put_eth(at, &i->l2, is_v4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    uint64_t sum = put_icmp_ip(ip, i, icmp_len);
    icmp[offsetof(struct icmp_hdr, type)] = i->type;
    icmp[offsetof(struct icmp_hdr, code)] = i->code;
    put_csum(icmp + offsetof(struct icmp_hdr, csum), 0);
    put_csum(icmp + offsetof(struct icmp_hdr, csum), csum_fold(csum_add(sum, icmp, icmp_len)));
    return (uint32_t)(icmp - at) + icmp_len;
}

uint32_t build_ndp(uint8_t *at, const struct build_ndp *b)
{
    enum { SOLICITED = 0x40, OVERRIDE = 0x20, SOURCE_LLADDR = 1, TARGET_LLADDR = 2 };
    uint8_t data[4 + sizeof(struct ip_addr) + 8] = {0};
    uint32_t len = 4;
    data[0] = (uint8_t)((b->is_solicited ? SOLICITED : 0) | (b->is_override ? OVERRIDE : 0));
    if (b->type != NDP_ROUTER_SOLICIT) {
        put_addr6(data + len, &b->target);
        len += (uint32_t)sizeof(b->target);
    }
    if (b->has_lladdr) {
        data[len] = b->type == NDP_ADVERT ? TARGET_LLADDR : SOURCE_LLADDR;
        data[len + 1] = 1; /* times 8 bytes */
        memcpy(data + len + 2, b->l2.src.b, sizeof(b->l2.src.b));
        len += 8;
    }
    struct build_icmp i = {.l2 = b->l2,
                           .src = b->src,
                           .dst = b->dst,
                           .type = b->type,
                           .ttl = NDP_HOP_LIMIT,
                           .data = data,
                           .len = len};
    return build_icmp(at, &i);
}

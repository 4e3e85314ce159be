/*
 * Frames to checked structs (RFC 894, 826, 791, 792, 8200, 9293; what only IPv6 has: ext_hdr.c and
 * icmp6.c). Each function gets a piece of the
 * frame with its length, reads a header only after that length was checked, and hands the rest on.
 * Not here: reassembly, whether an address is ours, what a segment means.
 */
#include "mtcp/wire/parse.h"

#include "mtcp/wire/csum.h"
#include "mtcp/wire/ext_hdr.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/piece.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define IPV4_FRAG_MASK     0x3fffu /* MF and the offset */
#define IPV4_FRAG_OFF_MASK 0x1fffu
#define IPV4_MF            0x2000u

#define ARP_HW_ETHERNET 1
#define ARP_OP_REQUEST  1
#define ARP_OP_REPLY    2

#define ICMP_HDR_LEN      8u
#define ICMP_QUOTE_L4_LEN 8u /* what RFC 792 promises of the quoted transport header */

enum icmp_type {
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_SOURCE_QUENCH = 4,
    ICMP_ECHO = 8,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER_PROBLEM = 12,
};
#define ICMP_CODE_FRAG_NEEDED 4

enum tcp_opt_kind {
    OPT_EOL = 0,
    OPT_NOP = 1,
    OPT_MSS = 2,
    OPT_WSCALE = 3,
    OPT_SACK_PERMITTED = 4,
    OPT_SACK = 5,
    OPT_TS = 8,
    OPT_FASTOPEN = 34,
    OPT_EXPERIMENT = 254, /* several things: RFC 6994 */
};
#define OPT_NOP_NOP_TS_LEN  12u
#define EXPERIMENT_FASTOPEN 0xf989u /* before 34 was assigned (RFC 7413 7) */

/* ---- TCP options ---------------------------------------------------------------------------- */

static void opt_sack(struct tcp_opts *o, const uint8_t *opt, uint32_t size)
{
    uint32_t n = (size - 2) / 8;
    if (n == 0 || n > TCP_SACK_MAX || (size - 2) % 8 != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        o->sack[i].start = seq_make(load_be32(opt + 2 + i * 8));
        o->sack[i].end = seq_make(load_be32(opt + 6 + i * 8));
    }
    o->n_sack = (uint8_t)n;
}

/* A cookie has 4 to 16 bytes, an even number; none asks for one (RFC 7413 4.1.1). */
static void opt_fastopen(struct tcp_opts *o, const uint8_t *cookie, uint32_t len)
{
    if (len != 0 && (len < 4 || len > TCP_FASTOPEN_COOKIE_MAX || len % 2 != 0))
        return;
    o->has_fastopen = true;
    o->fastopen_is_exp = false;
    o->fastopen_len = (uint8_t)len;
    o->fastopen_cookie = cookie;
}

static void opt_experiment(struct tcp_opts *o, const uint8_t *opt, uint32_t size)
{
    if (size < 4 || load_be16(opt + 2) != EXPERIMENT_FASTOPEN || o->has_fastopen)
        return;
    opt_fastopen(o, opt + 4, size - 4);
    o->fastopen_is_exp = o->has_fastopen;
}

/* One option of `size` >= 2 bytes. One of the wrong size for its kind is as good as absent. */
static void opt_one(struct tcp_opts *o, const uint8_t *opt, uint32_t size)
{
    switch (opt[0]) {
    case OPT_MSS:
        if (size != 4)
            return;
        o->has_mss = true;
        o->mss = load_be16(opt + 2);
        return;
    case OPT_WSCALE:
        if (size != 3)
            return;
        o->has_wscale = true;
        o->wscale = opt[2] > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : opt[2]; /* RFC 7323 2.3 */
        return;
    case OPT_SACK_PERMITTED:
        if (size == 2)
            o->sack_permitted = true;
        return;
    case OPT_SACK:
        opt_sack(o, opt, size);
        return;
    case OPT_TS:
        if (size != 10)
            return;
        o->has_ts = true;
        o->ts_val = load_be32(opt + 2);
        o->ts_ecr = load_be32(opt + 6);
        return;
    case OPT_FASTOPEN:
        opt_fastopen(o, opt + 2, size - 2);
        return;
    case OPT_EXPERIMENT:
        opt_experiment(o, opt, size);
        return;
    default:
        return;
    }
}

/* The form that nearly every segment carries (RFC 7323 appendix A): nop, nop, timestamps. */
static inline bool opts_start_with_ts(const uint8_t *opt, uint32_t len)
{
    return len >= OPT_NOP_NOP_TS_LEN && load_be32(opt) == 0x0101080au;
}

void tcp_opts_parse(struct tcp_opts *o, const uint8_t *opt, uint32_t len)
{
    tcp_opts_clear(o);
    if (likely(opts_start_with_ts(opt, len))) {
        o->has_ts = true;
        o->ts_val = load_be32(opt + 4);
        o->ts_ecr = load_be32(opt + 8);
        opt += OPT_NOP_NOP_TS_LEN;
        len -= OPT_NOP_NOP_TS_LEN;
    }
    while (len > 0 && opt[0] != OPT_EOL) {
        uint32_t size = 1;
        if (opt[0] != OPT_NOP) {
            if (len < 2 || opt[1] < 2 || opt[1] > len)
                return;
            size = opt[1];
            opt_one(o, opt, size);
        }
        opt += size;
        len -= size;
    }
}

/* ---- transports ----------------------------------------------------------------------------- */

static int parse_tcp(struct packet *p, struct piece l4, enum packet_csum csum)
{
    if (unlikely(l4.len < TCP_HDR_LEN))
        return -EBADMSG;
    const struct tcp_hdr *h = (const void *)l4.at;
    uint32_t hdr_len = (h->doff_ns >> 4) * 4u;
    if (unlikely(hdr_len < TCP_HDR_LEN || hdr_len > l4.len))
        return -EBADMSG;
    if (csum == PACKET_CSUM_UNKNOWN &&
        csum_fold(csum_add(csum_pseudo(&p->src, &p->dst, IP_PROTO_TCP, l4.len), l4.at, l4.len)))
        return -EILSEQ;
    struct seg *s = &p->seg;
    s->tuple.local = p->dst;
    s->tuple.remote = p->src;
    s->tuple.local_port = be16_get(h->dst_port);
    s->tuple.remote_port = be16_get(h->src_port);
    s->seq = seq_make(be32_get(h->seq));
    s->ack = seq_make(be32_get(h->ack));
    s->wnd = be16_get(h->wnd);
    s->urg = be16_get(h->urg);
    s->flags = h->flags;
    s->joined_mss = 0;
    tcp_opts_parse(&s->opt, l4.at + TCP_HDR_LEN, hdr_len - TCP_HDR_LEN);
    s->payload = l4.at + hdr_len;
    s->len = l4.len - hdr_len;
    p->kind = PACKET_TCP;
    return 0;
}

/* The start of the packet that an ICMP error quotes, sent by us as far as the router says. Its
 * checksum and length are not believed: the TTL was changed on the way and the rest cut off. */
static void parse_icmp_quote(struct packet *p, struct piece quote)
{
    if (quote.len < IPV4_HDR_LEN)
        return;
    const struct ipv4_hdr *h = (const void *)quote.at;
    uint32_t hdr_len = (h->ver_ihl & 0x0fu) * 4u;
    if (h->ver_ihl >> 4 != 4 || hdr_len < IPV4_HDR_LEN || h->proto != IP_PROTO_TCP ||
        (be16_get(h->frag_off) & IPV4_FRAG_OFF_MASK) != 0)
        return;
    if (hdr_len + ICMP_QUOTE_L4_LEN > quote.len ||
        be16_get(h->total_len) < hdr_len + ICMP_QUOTE_L4_LEN)
        return;
    const uint8_t *tcp = quote.at + hdr_len;
    p->icmp.has_tcp = true;
    p->icmp.tuple.local = ip_addr_v4(h->src);
    p->icmp.tuple.remote = ip_addr_v4(h->dst);
    p->icmp.tuple.local_port = load_be16(tcp);
    p->icmp.tuple.remote_port = load_be16(tcp + 2);
    p->icmp.seq = seq_make(load_be32(tcp + 4));
}

static int parse_icmp(struct packet *p, struct piece l4, enum packet_csum csum)
{
    if (l4.len < ICMP_HDR_LEN)
        return -EBADMSG;
    if (csum == PACKET_CSUM_UNKNOWN && csum_fold(csum_add(0, l4.at, l4.len)) != 0)
        return -EILSEQ;
    const struct icmp_hdr *h = (const void *)l4.at;
    memset(&p->icmp, 0, sizeof(p->icmp));
    p->icmp.type = h->type;
    p->icmp.code = h->code;
    p->icmp.data = l4.at + offsetof(struct icmp_hdr, id);
    p->icmp.len = l4.len - (uint32_t)offsetof(struct icmp_hdr, id);
    switch (h->type) {
    case ICMP_ECHO:
    case ICMP_ECHO_REPLY:
        p->kind = PACKET_ICMP_ECHO;
        return 0;
    case ICMP_UNREACHABLE:
        if (h->code == ICMP_CODE_FRAG_NEEDED)
            p->icmp.mtu = be16_get(h->seq); /* RFC 1191 4 */
        break;
    case ICMP_SOURCE_QUENCH:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETER_PROBLEM:
        break;
    default:
        return 0;
    }
    p->kind = PACKET_ICMP_ERROR;
    parse_icmp_quote(p, (struct piece){l4.at + ICMP_HDR_LEN, l4.len - ICMP_HDR_LEN});
    return 0;
}

/* ---- networks ------------------------------------------------------------------------------- */

static int parse_ipv4(struct packet *p, struct piece l3, enum packet_csum csum)
{
    if (unlikely(l3.len < IPV4_HDR_LEN))
        return -EBADMSG;
    const struct ipv4_hdr *h = (const void *)l3.at;
    uint32_t hdr_len = (h->ver_ihl & 0x0fu) * 4u;
    uint32_t total_len = be16_get(h->total_len);
    if (unlikely(h->ver_ihl >> 4 != 4 || hdr_len < IPV4_HDR_LEN || total_len < hdr_len ||
                 total_len > l3.len))
        return -EBADMSG;
    if (csum == PACKET_CSUM_UNKNOWN && csum_fold(csum_add(0, l3.at, hdr_len)) != 0)
        return -EILSEQ;
    p->frame_len = p->l3_off + total_len;
    p->l4_off = (uint16_t)(p->l3_off + hdr_len);
    p->ip_proto = h->proto;
    p->ip_id = be16_get(h->id);
    p->src = ip_addr_v4(h->src);
    p->dst = ip_addr_v4(h->dst);
    if (unlikely((be16_get(h->frag_off) & IPV4_FRAG_MASK) != 0)) {
        p->kind = PACKET_FRAGMENT;
        p->frag.id = p->ip_id;
        p->frag.off = (be16_get(h->frag_off) & IPV4_FRAG_OFF_MASK) * 8u;
        p->frag.more = be16_get(h->frag_off) & IPV4_MF;
        p->frag.ecn = h->tos & 3;
        p->frag.data = l3.at + hdr_len;
        p->frag.len = total_len - hdr_len;
        return 0;
    }
    struct piece l4 = {l3.at + hdr_len, total_len - hdr_len};
    if (likely(h->proto == IP_PROTO_TCP)) {
        p->seg.tos = h->tos;
        p->seg.ttl = h->ttl;
        p->seg.may_be_cut = !(be16_get(h->frag_off) & IPV4_DF);
        return parse_tcp(p, l4, csum);
    }
    return h->proto == IP_PROTO_ICMP ? parse_icmp(p, l4, csum) : 0;
}

/* The fragment header lies in the last eight bytes of the chain. */
static void parse_ipv6_fragment(struct packet *p, struct piece ip, const struct ext_chain *chain)
{
    const struct ipv6_hdr *h = (const void *)ip.at;
    const uint8_t *hdr = ip.at + chain->len - 8;
    p->kind = PACKET_FRAGMENT;
    p->frag.id = load_be32(hdr + 4);
    p->frag.off = load_be16(hdr + 2) & 0xfff8u;
    p->frag.more = hdr[3] & 1;
    p->frag.ecn = be32_get(h->ver_class_flow) >> 20 & 3;
    p->frag.next_hdr_off = (uint16_t)(p->l3_off + chain->frag_ref);
    p->frag.data = ip.at + chain->len;
    p->frag.len = ip.len - chain->len;
}

/* An IPv6 packet that does not begin with its TCP header. */
static int parse_ipv6_chain(struct packet *p, struct piece ip, enum packet_csum csum)
{
    const struct ipv6_hdr *h = (const void *)ip.at;
    struct ext_chain chain;
    int err = ext_hdr_walk(&chain, ip);
    if (err)
        return err;
    p->ip_proto = chain.proto;
    p->l4_off = (uint16_t)(p->l3_off + chain.len);
    if (chain.end == EXT_PROBLEM) {
        p->kind = PACKET_PROBLEM;
        p->problem.code = chain.code;
        p->problem.pointer = chain.pointer;
        return 0;
    }
    if (chain.end == EXT_FRAGMENT) {
        parse_ipv6_fragment(p, ip, &chain);
        return 0;
    }
    struct piece l4 = piece_skip(ip, chain.len);
    if (chain.proto == IP_PROTO_TCP) {
        p->seg.tos = (uint8_t)(be32_get(h->ver_class_flow) >> 20);
        p->seg.ttl = h->hop_limit;
        p->seg.may_be_cut = false;
        return parse_tcp(p, l4, csum);
    }
    struct icmp6_from from = {.hop_limit = h->hop_limit,
                              .has_fragment = chain.has_fragment,
                              .verify = csum == PACKET_CSUM_UNKNOWN};
    return chain.proto == IP_PROTO_ICMPV6 ? icmp6_parse(p, l4, from) : 0;
}

/* Mapped addresses stand for IPv4 in here: on the wire they would let an IPv6 packet pass for a
 * segment of an IPv4 connection (RFC 4942 2.2). So would bits where a zone is kept (addr.h) let one
 * link's packet pass for another's. Nobody sends as a group (RFC 4291 2.7). */
static inline int ipv6_addrs_check(const struct packet *p)
{
    if (unlikely(p->src.b[0] == 0xff))
        return -EBADMSG;
    if (unlikely(ip_addr_is_v4(&p->src) || ip_addr_is_v4(&p->dst) ||
                 (ip_addr_is_link_local(&p->src) && ip_addr_zone(&p->src)) ||
                 (ip_addr_is_link_local(&p->dst) && ip_addr_zone(&p->dst))))
        return -ENOTSUP;
    return 0;
}

static int parse_ipv6(struct packet *p, struct piece l3, enum packet_csum csum)
{
    if (unlikely(l3.len < IPV6_HDR_LEN))
        return -EBADMSG;
    const struct ipv6_hdr *h = (const void *)l3.at;
    uint32_t vcf = be32_get(h->ver_class_flow);
    uint32_t payload_len = be16_get(h->payload_len);
    if (unlikely(vcf >> 28 != 6 || payload_len > l3.len - IPV6_HDR_LEN))
        return -EBADMSG;
    memcpy(p->src.b, h->src, sizeof(h->src));
    memcpy(p->dst.b, h->dst, sizeof(h->dst));
    int err = ipv6_addrs_check(p);
    if (unlikely(err))
        return err;
    if (unlikely(payload_len == 0 && h->next_hdr == 0 && l3.len > IPV6_HDR_LEN))
        return -ENOTSUP; /* a jumbogram, says its receiver perhaps, and takes all there is */
    struct piece ip = {l3.at, IPV6_HDR_LEN + payload_len};
    p->frame_len = p->l3_off + ip.len;
    if (unlikely(h->next_hdr != IP_PROTO_TCP))
        return parse_ipv6_chain(p, ip, csum);
    p->l4_off = (uint16_t)(p->l3_off + IPV6_HDR_LEN);
    p->ip_proto = IP_PROTO_TCP;
    p->seg.tos = (uint8_t)(vcf >> 20);
    p->seg.ttl = h->hop_limit;
    return parse_tcp(p, piece_skip(ip, IPV6_HDR_LEN), csum);
}

static int parse_arp(struct packet *p, struct piece l3)
{
    if (l3.len < sizeof(struct arp_hdr))
        return -EBADMSG;
    const struct arp_hdr *h = (const void *)l3.at;
    uint16_t op = be16_get(h->op);
    if (be16_get(h->hw_type) != ARP_HW_ETHERNET || be16_get(h->proto_type) != ETH_TYPE_IPV4 ||
        h->hw_len != sizeof(struct mac_addr) || h->proto_len != sizeof(be32_t) ||
        (op != ARP_OP_REQUEST && op != ARP_OP_REPLY))
        return 0;
    p->kind = PACKET_ARP;
    p->frame_len = p->l3_off + (uint32_t)sizeof(struct arp_hdr);
    p->arp.is_reply = op == ARP_OP_REPLY;
    p->arp.sender_mac = h->sender_mac;
    p->arp.sender_ip = ip_addr_v4(h->sender_ip);
    p->arp.target_ip = ip_addr_v4(h->target_ip);
    return 0;
}

/* ---- frames --------------------------------------------------------------------------------- */

/* What holds until a deeper header says otherwise; the union is filled where the kind is set. */
static inline void packet_init(struct packet *p, uint32_t len)
{
    memset(p, 0, offsetof(struct packet, seg));
    p->kind = PACKET_OTHER;
    p->frame_len = len;
}

int packet_parse(struct packet *p, const uint8_t *frame, uint32_t len, enum packet_csum csum)
{
    packet_init(p, len);
    if (unlikely(len < ETH_HDR_LEN))
        return -EBADMSG;
    const struct eth_hdr *h = (const void *)frame;
    p->eth_dst = h->dst;
    p->eth_src = h->src;
    p->eth_type = be16_get(h->type);
    p->l3_off = ETH_HDR_LEN;
    struct piece l3 = {frame + ETH_HDR_LEN, len - ETH_HDR_LEN};
    switch (p->eth_type) {
    case ETH_TYPE_IPV4:
        return parse_ipv4(p, l3, csum);
    case ETH_TYPE_IPV6:
        return parse_ipv6(p, l3, csum);
    case ETH_TYPE_ARP:
        return parse_arp(p, l3);
    default:
        return 0;
    }
}

int packet_parse_ip(struct packet *p, const uint8_t *ip, uint32_t len, enum packet_csum csum)
{
    packet_init(p, len);
    if (unlikely(len == 0))
        return -EBADMSG;
    struct piece l3 = {ip, len};
    switch (ip[0] >> 4) {
    case 4:
        return parse_ipv4(p, l3, csum);
    case 6:
        return parse_ipv6(p, l3, csum);
    default:
        return -EBADMSG;
    }
}

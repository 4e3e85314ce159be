/*
 * ICMPv6 and neighbour discovery from bytes (RFC 4443, 4861, 6980). A message that the RFCs want
 * discarded without a word is malformed here.
 */
#include "mtcp/wire/icmp6.h"

#include "mtcp/wire/csum.h"
#include "mtcp/wire/ext_hdr.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/parse.h"

#include <errno.h>
#include <stddef.h>

#define ICMP6_HDR_LEN 8u /* type, code, checksum, and four bytes that depend on the type */
#define QUOTE_TCP_LEN 8u /* ports and sequence number */

enum ndp_opt_kind {
    NDP_OPT_SOURCE_LLADDR = 1,
    NDP_OPT_TARGET_LLADDR = 2,
    NDP_OPT_PREFIX = 3,
    NDP_OPT_MTU = 5,
};
enum { NDP_OPT_UNIT = 8, NDP_OPT_PREFIX_LEN = 32 };

static struct ip_addr load_addr(const uint8_t *p)
{
    struct ip_addr a;
    memcpy(a.b, p, sizeof(a.b));
    return a;
}

/* ---- errors --------------------------------------------------------------------------------- */

/* The start of the packet that an error quotes; its lengths are not believed. */
static void parse_quote(struct packet *p, struct piece quote)
{
    struct ext_chain chain;
    if (quote.len < IPV6_HDR_LEN || quote.at[0] >> 4 != 6 || ext_hdr_walk(&chain, quote) < 0)
        return;
    if (chain.end != EXT_UPPER || chain.proto != IP_PROTO_TCP ||
        quote.len - chain.len < QUOTE_TCP_LEN)
        return;
    const uint8_t *tcp = quote.at + chain.len;
    p->icmp.tuple.local = load_addr(quote.at + offsetof(struct ipv6_hdr, src));
    p->icmp.tuple.remote = load_addr(quote.at + offsetof(struct ipv6_hdr, dst));
    /* Mapped ones stand for IPv4 in here, whose errors have other numbers. */
    p->icmp.has_tcp = !ip_addr_is_v4(&p->icmp.tuple.local) && !ip_addr_is_v4(&p->icmp.tuple.remote);
    p->icmp.tuple.local_port = load_be16(tcp);
    p->icmp.tuple.remote_port = load_be16(tcp + 2);
    p->icmp.seq = seq_make(load_be32(tcp + 4));
}

/* Echo and errors. */
static int parse_plain(struct packet *p, struct piece l4, bool is_error)
{
    uint32_t word = load_be32(l4.at + 4);
    memset(&p->icmp, 0, sizeof(p->icmp));
    p->icmp.type = l4.at[0];
    p->icmp.code = l4.at[1];
    p->icmp.data = l4.at + 4;
    p->icmp.len = l4.len - 4;
    p->kind = is_error ? PACKET_ICMP_ERROR : PACKET_ICMP_ECHO;
    if (!is_error)
        return 0;
    if (p->icmp.type == ICMP6_PACKET_TOO_BIG)
        p->icmp.mtu = word > UINT16_MAX ? UINT16_MAX : (uint16_t)word;
    parse_quote(p, piece_skip(l4, ICMP6_HDR_LEN));
    return 0;
}

/* ---- neighbour discovery: options ----------------------------------------------------------- */

static int opt_lladdr(struct ndp_msg *m, const uint8_t *opt, uint32_t size)
{
    static const struct mac_addr none;
    if (size != NDP_OPT_UNIT)
        return 0; /* of another kind of link than Ethernet */
    memcpy(m->lladdr.b, opt + 2, sizeof(m->lladdr.b));
    m->has_lladdr = true;
    bool is_host = (m->lladdr.b[0] & 1) == 0 && memcmp(&m->lladdr, &none, sizeof(none)) != 0;
    return is_host ? 0 : -EBADMSG;
}

/* Every option has a length that is not 0 and lies in the message (RFC 4861 4.6); the kinds that
 * are not for this message are skipped. */
static int parse_options(struct ndp_msg *m, struct piece opts)
{
    uint8_t lladdr_kind = m->type == NDP_ADVERT ? NDP_OPT_TARGET_LLADDR : NDP_OPT_SOURCE_LLADDR;
    while (opts.len > 0) {
        uint32_t size = opts.len < 2 ? 0 : opts.at[1] * (uint32_t)NDP_OPT_UNIT;
        if (size == 0 || size > opts.len)
            return -EBADMSG;
        int err = 0;
        if (opts.at[0] == lladdr_kind)
            err = opt_lladdr(m, opts.at, size);
        else if (opts.at[0] == NDP_OPT_MTU && m->type == NDP_ROUTER_ADVERT && size == NDP_OPT_UNIT)
            m->mtu = load_be32(opts.at + 4);
        if (err)
            return err;
        opts = piece_skip(opts, size);
    }
    return 0;
}

/* Is it a prefix that a host can do something with? */
static bool prefix_is_sane(const struct ndp_prefix *x)
{
    return x->len <= 128 && !ip_addr_is_link_local(&x->prefix) && x->prefix.b[0] != 0xff &&
           !ip_addr_is_v4(&x->prefix) && x->preferred_s <= x->valid_s;
}

bool ndp_next_prefix(struct ndp_msg *m, struct ndp_prefix *out)
{
    enum { ON_LINK = 0x80, AUTONOMOUS = 0x40 };
    while (m->opts_len > 0) { /* parse_options() has checked every length */
        const uint8_t *opt = m->opts;
        uint32_t size = opt[1] * (uint32_t)NDP_OPT_UNIT;
        m->opts += size;
        m->opts_len -= size;
        if (opt[0] != NDP_OPT_PREFIX || size != NDP_OPT_PREFIX_LEN)
            continue;
        *out = (struct ndp_prefix){.prefix = load_addr(opt + 16),
                                   .len = opt[2],
                                   .is_on_link = opt[3] & ON_LINK,
                                   .is_autonomous = opt[3] & AUTONOMOUS,
                                   .valid_s = load_be32(opt + 4),
                                   .preferred_s = load_be32(opt + 8)};
        if (prefix_is_sane(out))
            return true;
    }
    return false;
}

/* ---- neighbour discovery: messages ---------------------------------------------------------- */

/* A target is a unicast address, and not one that stands for IPv4 in here. */
static bool target_is_sane(const struct ip_addr *a)
{
    bool zone_is_free = !ip_addr_is_link_local(a) || ip_addr_zone(a) == 0;
    return a->b[0] != 0xff && !ip_addr_is_v4(a) && !ip_addr_is_any(a) && zone_is_free;
}

/* RFC 4861 7.1.1: who has no address yet asks the group, and does not say where it is. */
static bool solicit_is_sane(const struct packet *p, const struct ndp_msg *m)
{
    struct ip_addr group = ip_addr_solicited_node(&m->target);
    if (!ip_addr_is_any(&p->src))
        return true;
    return !m->has_lladdr && ip_addr_eq(&p->dst, &group);
}

static int parse_neighbour(struct packet *p, struct ndp_msg *m, struct piece l4)
{
    enum { MSG_LEN = 24, ROUTER = 0x80, SOLICITED = 0x40, OVERRIDE = 0x20 };
    if (l4.len < MSG_LEN)
        return -EBADMSG;
    m->target = load_addr(l4.at + 8);
    if (m->type == NDP_ADVERT) {
        m->is_router = l4.at[4] & ROUTER;
        m->is_solicited = l4.at[4] & SOLICITED;
        m->is_override = l4.at[4] & OVERRIDE;
    }
    if (!target_is_sane(&m->target) || parse_options(m, piece_skip(l4, MSG_LEN)) < 0)
        return -EBADMSG;
    bool is_sane =
        m->type == NDP_SOLICIT ? solicit_is_sane(p, m) : !(m->is_solicited && p->dst.b[0] == 0xff);
    return is_sane ? 0 : -EBADMSG;
}

/* RFC 4861 6.1.1. */
static int parse_router_solicit(const struct packet *p, struct ndp_msg *m, struct piece l4)
{
    int err = parse_options(m, piece_skip(l4, ICMP6_HDR_LEN));
    return ip_addr_is_any(&p->src) && m->has_lladdr ? -EBADMSG : err;
}

/* RFC 4861 6.1.2. */
static int parse_router_advert(const struct packet *p, struct ndp_msg *m, struct piece l4)
{
    enum { MSG_LEN = 16 };
    if (l4.len < MSG_LEN || !ip_addr_is_link_local(&p->src))
        return -EBADMSG;
    m->lifetime_s = load_be16(l4.at + 6);
    m->reachable_ms = load_be32(l4.at + 8);
    m->retrans_ms = load_be32(l4.at + 12);
    m->opts = l4.at + MSG_LEN;
    m->opts_len = l4.len - MSG_LEN;
    return parse_options(m, piece_skip(l4, MSG_LEN));
}

static int parse_ndp(struct packet *p, struct piece l4, struct icmp6_from from)
{
    struct ndp_msg m = {.type = l4.at[0]};
    int err;
    if (from.hop_limit != NDP_HOP_LIMIT || from.has_fragment || l4.at[1] != 0)
        return -EBADMSG;
    if (m.type == NDP_ROUTER_SOLICIT)
        err = parse_router_solicit(p, &m, l4);
    else if (m.type == NDP_ROUTER_ADVERT)
        err = parse_router_advert(p, &m, l4);
    else
        err = parse_neighbour(p, &m, l4);
    if (err)
        return err;
    p->kind = PACKET_NDP;
    p->ndp = m;
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------ */

int icmp6_parse(struct packet *p, struct piece l4, struct icmp6_from from)
{
    if (l4.len < ICMP6_HDR_LEN)
        return -EBADMSG;
    uint64_t sum = csum_pseudo(&p->src, &p->dst, IP_PROTO_ICMPV6, l4.len);
    if (from.verify && csum_fold(csum_add(sum, l4.at, l4.len)) != 0)
        return -EILSEQ;
    switch (l4.at[0]) {
    case ICMP6_UNREACHABLE:
    case ICMP6_PACKET_TOO_BIG:
    case ICMP6_TIME_EXCEEDED:
    case ICMP6_PARAMETER_PROBLEM:
        return parse_plain(p, l4, true);
    case ICMP6_ECHO:
    case ICMP6_ECHO_REPLY:
        return parse_plain(p, l4, false);
    case NDP_ROUTER_SOLICIT:
    case NDP_ROUTER_ADVERT:
    case NDP_SOLICIT:
    case NDP_ADVERT:
        return parse_ndp(p, l4, from);
    default: /* redirects, group membership */
        return 0;
    }
}

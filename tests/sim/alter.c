/* What the link does to the bytes of a frame. Nothing here keeps state or loses anything. */
#include "tests/sim/sim.h"

#include "mtcp/wire/build.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/parse.h"

#include <string.h>

#define FAR_BYTES     (1u << 24) /* farther than any stream is long, or any window wide */
#define FRAG_HDR_LEN  8u
#define IPV6_FRAGMENT 44
#define IPV4_MF       0x2000u

static bool parse_tcp(struct packet *p, const uint8_t *frame, uint32_t len)
{
    return packet_parse(p, frame, len, PACKET_CSUM_GOOD) == 0 && p->kind == PACKET_TCP;
}

/* The segment's tuple as its sender sees it, for build_tcp(). */
static struct flow_tuple sent_tuple(const struct packet *p)
{
    return (struct flow_tuple){p->src, p->dst, p->seg.tuple.remote_port, p->seg.tuple.local_port};
}

uint32_t alter_evade(struct rng *r, uint8_t *to, const uint8_t *frame, uint32_t len)
{
    struct packet p;
    if (!parse_tcp(&p, frame, len) || p.seg.len < 2 || (p.seg.flags & TCP_SYN))
        return 0;
    struct seg s = p.seg;
    s.tuple = sent_tuple(&p);
    s.flags &= (uint8_t)~TCP_FIN;
    uint32_t cut = rng_below(r, s.len);
    s.seq = seq_add(s.seq, rng_below(r, 2) ? cut : 0);
    s.len -= cut;
    struct build_l2 l2 = {.src = p.eth_src, .dst = p.eth_dst};
    uint8_t head[BUILD_HDR_MAX];
    struct build_lens lens = build_tcp(head, &l2, &s, p.ip_id);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    if (hdrs + s.len > LINK_ROOM)
        return 0;
    memcpy(to, head, hdrs);
    for (uint32_t i = 0; i < s.len; i++)
        to[hdrs + i] = (uint8_t)rng_u32(r);
    build_tcp_csum(to, lens, s.len, (struct build_offload){0});
    return hdrs + s.len;
}

uint32_t alter_reset(struct rng *r, uint8_t *to, const uint8_t *frame, uint32_t len)
{
    struct packet p;
    if (!parse_tcp(&p, frame, len) || p.seg.len == 0 || (p.seg.flags & TCP_SYN))
        return 0;
    bool is_broken = rng_below(r, 2);
    uint32_t far = FAR_BYTES + rng_below(r, FAR_BYTES);
    struct seg s = p.seg;
    s.tuple = sent_tuple(&p);
    s.flags = TCP_RST | (rng_below(r, 2) ? TCP_ACK : 0);
    if (!is_broken)
        s.seq = seq_add(s.seq, rng_below(r, 2) ? far : 0u - far);
    s.len = 0;
    struct build_l2 l2 = {.src = p.eth_src, .dst = p.eth_dst};
    struct build_lens lens = build_tcp(to, &l2, &s, p.ip_id);
    build_tcp_csum(to, lens, 0, (struct build_offload){0});
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    if (is_broken)
        to[hdrs - lens.l4 + 16] ^= 1;
    return hdrs;
}

static void ipv4_sum(uint8_t *ip)
{
    ip[10] = ip[11] = 0;
    uint16_t sum = csum_fold(csum_add(0, ip, IPV4_HDR_LEN));
    memcpy(ip + 10, &sum, sizeof(sum));
}

bool alter_mark(uint8_t *frame, uint32_t len)
{
    uint8_t *ip = frame + ETH_HDR_LEN;
    if (len >= ETH_HDR_LEN + IPV6_HDR_LEN && ip[0] >> 4 == 6 && (ip[1] & 0x30)) {
        ip[1] |= 0x30;
        return true;
    }
    if (len < ETH_HDR_LEN + IPV4_HDR_LEN || ip[0] != 0x45 || !(ip[1] & 3))
        return false;
    ip[1] |= 3;
    ipv4_sum(ip);
    return true;
}

bool alter_window(struct rng *r, uint8_t *frame, uint32_t len)
{
    struct packet p;
    if (!parse_tcp(&p, frame, len) || (p.seg.flags & (TCP_SYN | TCP_RST)) || p.seg.wnd == 0)
        return false;
    uint8_t *tcp = frame + p.l4_off;
    uint32_t l4_len = p.frame_len - p.l4_off;
    uint32_t wnd = rng_below(r, 4) ? rng_below(r, p.seg.wnd) : 0;
    tcp[14] = (uint8_t)(wnd >> 8);
    tcp[15] = (uint8_t)wnd;
    tcp[16] = tcp[17] = 0;
    uint16_t sum =
        csum_fold(csum_add(csum_pseudo(&p.src, &p.dst, IP_PROTO_TCP, l4_len), tcp, l4_len));
    memcpy(tcp + 16, &sum, sizeof(sum));
    return true;
}

uint32_t alter_too_big(uint8_t *to, const uint8_t *frame, uint32_t len, uint16_t mtu)
{
    enum { QUOTED = 500 };
    struct packet p;
    uint8_t data[4 + QUOTED] = {0};
    if (!parse_tcp(&p, frame, len))
        return 0;
    uint32_t quoted = len - ETH_HDR_LEN < QUOTED ? len - ETH_HDR_LEN : QUOTED;
    data[2] = (uint8_t)(mtu >> 8);
    data[3] = (uint8_t)mtu;
    memcpy(data + 4, frame + ETH_HDR_LEN, quoted);
    bool is_v4 = ip_addr_is_v4(&p.src);
    return build_icmp(to, &(struct build_icmp){.l2 = {.src = p.eth_dst, .dst = p.eth_src},
                                               .src = p.dst, /* of a router; whose, nobody asks */
                                               .dst = p.src,
                                               .type = is_v4 ? 3 : ICMP6_PACKET_TOO_BIG,
                                               .code = is_v4 ? 4 : 0,
                                               .ttl = 64,
                                               .data = data,
                                               .len = 4 + quoted});
}

/* ---- fragments ---- */

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* RFC 791 3.2. */
static uint32_t fragment_v4(uint8_t *to, const uint8_t *frame, const struct packet *p,
                            struct alter_cut c)
{
    uint8_t *ip = to + ETH_HDR_LEN;
    uint32_t left = p->frame_len - p->l4_off - c.off, n = left < c.size ? left : c.size;
    memcpy(to, frame, ETH_HDR_LEN + IPV4_HDR_LEN);
    put16(ip + 2, IPV4_HDR_LEN + n);
    put16(ip + 4, c.id);
    put16(ip + 6, (n < left ? IPV4_MF : 0) | c.off / 8);
    ipv4_sum(ip);
    memcpy(ip + IPV4_HDR_LEN, frame + p->l4_off + c.off, n);
    return ETH_HDR_LEN + IPV4_HDR_LEN + n;
}

/* RFC 8200 4.5. */
static uint32_t fragment_v6(uint8_t *to, const uint8_t *frame, const struct packet *p,
                            struct alter_cut c)
{
    uint8_t *ip = to + ETH_HDR_LEN, *h = ip + IPV6_HDR_LEN;
    uint32_t left = p->frame_len - p->l4_off - c.off, n = left < c.size ? left : c.size;
    memcpy(to, frame, ETH_HDR_LEN + IPV6_HDR_LEN);
    put16(ip + 4, FRAG_HDR_LEN + n);
    ip[6] = IPV6_FRAGMENT;
    h[0] = IP_PROTO_TCP;
    h[1] = 0;
    put16(h + 2, c.off | (n < left));
    put16(h + 4, c.id >> 16);
    put16(h + 6, c.id);
    memcpy(h + FRAG_HDR_LEN, frame + p->l4_off + c.off, n);
    return ETH_HDR_LEN + IPV6_HDR_LEN + FRAG_HDR_LEN + n;
}

uint32_t alter_fragment(uint8_t *to, const uint8_t *frame, uint32_t len, struct alter_cut c)
{
    struct packet p;
    if (!parse_tcp(&p, frame, len) || p.frame_len - p.l4_off <= c.off)
        return 0;
    uint32_t l3_len = p.l4_off - (uint32_t)ETH_HDR_LEN;
    if (ip_addr_is_v4(&p.src))
        return l3_len == IPV4_HDR_LEN ? fragment_v4(to, frame, &p, c) : 0;
    return l3_len == IPV6_HDR_LEN ? fragment_v6(to, frame, &p, c) : 0;
}

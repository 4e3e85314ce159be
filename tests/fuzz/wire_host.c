/* What the hosts of fuzz_wire say: segments with numbers around those that would be right. */
#include "tests/fuzz/wire.h"

#include "mtcp/wire/build.h"

#include <string.h>

#define MSS         1460u
#define FRAG_HDR    8u
#define IP_FRAGMENT 44

/* What a host has said, and what it can know. */
struct host {
    uint32_t isn, nxt, last; /* own numbers */
    uint32_t acked, edge;    /* own numbers that the other side has acknowledged, has room for */
    uint8_t wscale;
};

static struct host hosts[SLOTS][SIDES];
static uint16_t ip_id;

void host_reset(void)
{
    static const uint32_t bases[3] = {1000000, 0xffffff00, 0x7fffff00};
    memset(hosts, 0, sizeof(hosts));
    ip_id = 1;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        for (int side = 0; side < SIDES; side++) {
            struct host *h = &hosts[slot][side];
            h->isn = bases[(side ? w.head.isns >> 4 : w.head.isns & 15) % 3] + slot * 64;
            h->nxt = h->last = h->acked = h->isn;
            h->edge = h->isn + 65535;
        }
}

/* ---- tuples ---------------------------------------------------------------------------------- */

static struct ip_addr addr_of(unsigned slot, int side)
{
    struct ip_addr a = ip_addr_v4(be32_make(side == MOS_SIDE_CLI ? 0x0a000002 : 0x0a000001));
    if (slot == SLOTS - 1)
        HOLDS(ip_addr_parse(side == MOS_SIDE_CLI ? "fd00::2" : "fd00::1", &a) == 0);
    return a;
}

static uint16_t port_of(unsigned slot, int side)
{
    return (uint16_t)(side == MOS_SIDE_CLI ? CLI_PORT + slot : SVR_PORT);
}

bool host_find(const struct seg *s, unsigned *slot, int *side)
{
    uint16_t from = s->tuple.remote_port, to = s->tuple.local_port;
    *side = to == SVR_PORT ? MOS_SIDE_CLI : MOS_SIDE_SVR;
    uint16_t port = *side == MOS_SIDE_CLI ? from : to;
    if (port < CLI_PORT || port >= CLI_PORT + SLOTS)
        return false;
    *slot = port - CLI_PORT;
    struct ip_addr src = addr_of(*slot, *side), dst = addr_of(*slot, other(*side));
    return ip_addr_eq(&src, &s->tuple.remote) && ip_addr_eq(&dst, &s->tuple.local) &&
           from == port_of(*slot, *side) && to == port_of(*slot, other(*side));
}

/* ---- segments -------------------------------------------------------------------------------- */

static uint32_t seq_of(const struct step *s, const struct host *h)
{
    const uint32_t bases[SEQ_N] = {h->nxt, h->last, h->acked, h->isn, h->edge};
    return bases[(s->base & 15) % SEQ_N] + (uint32_t)(int32_t)s->seq;
}

static uint32_t ack_of(const struct step *s, const struct host *peer)
{
    const uint32_t bases[ACK_N] = {peer->nxt, peer->last,
                                   peer->acked + (peer->nxt - peer->acked) / 2, peer->isn, 0};
    return bases[(s->base >> 4) % ACK_N] + (uint32_t)(int32_t)s->ack;
}

static struct tcp_opts opts_of(const struct step *s, const struct host *h)
{
    struct tcp_opts o = {.has_ts = s->opts & OPT_TS,
                         .ts_val = 1000 + (s->opts & OPT_TS_ODD ? s->arg2 - 128u : 0),
                         .ts_ecr = 1000,
                         .has_mss = s->opts & OPT_MSS,
                         .mss = 1460,
                         .has_wscale = s->opts & OPT_WSCALE,
                         .wscale = s->arg >> 4,
                         .sack_permitted = s->opts & OPT_SACK_OK};
    if (s->opts & OPT_SACK) {
        o.n_sack = 1;
        o.sack[0] = (struct sack_block){seq_make(h->nxt), seq_make(h->nxt + s->arg)};
    }
    return o;
}

/* What the host and its peer know after it. */
static void note(const struct seg *s, struct host *h, struct host *peer)
{
    uint32_t seq = s->seq.v, end = seq + seg_seq_len(s);
    h->last = seq;
    if (s->flags & TCP_SYN)
        h->isn = seq;
    if ((s->flags & TCP_SYN) && s->opt.has_wscale)
        h->wscale = s->opt.wscale;
    if ((s->flags & TCP_SYN) || seq == h->nxt)
        h->nxt = end;
    if (s->flags & TCP_ACK) {
        peer->acked = s->ack.v;
        peer->edge = s->ack.v + ((uint32_t)s->wnd << (h->wscale & 7));
    }
}

static struct seg seg_make(const struct step *s, unsigned slot, int side)
{
    struct host *h = &hosts[slot][side], *peer = &hosts[slot][other(side)];
    struct seg seg = {.tuple = {.local = addr_of(slot, side),
                                .remote = addr_of(slot, other(side)),
                                .local_port = port_of(slot, side),
                                .remote_port = port_of(slot, other(side))},
                      .flags = s->flags,
                      .wnd = s->wnd,
                      .ttl = 64,
                      .may_be_cut = s->opts & OPT_CUT,
                      .opt = opts_of(s, h),
                      .len = s->len % (MSS + 1)};
    seg.seq = seq_make(seq_of(s, h));
    if (s->flags & TCP_ACK)
        seg.ack = seq_make(ack_of(s, peer));
    note(&seg, h, peer);
    return seg;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static uint32_t frame_make(uint8_t *at, const struct seg *s, uint8_t copy)
{
    const struct build_l2 l2 = {{{2, 0, 0, 0, 0, 9}}, {{2, 0, 0, 0, 0, 8}}};
    struct build_lens lens = build_tcp(at, &l2, s, ip_id++);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    uint32_t first = s->seq.v + (s->flags & TCP_SYN ? 1 : 0);
    for (uint32_t i = 0; i < s->len; i++)
        at[hdrs + i] = host_byte(first + i, copy);
    build_tcp_csum(at, lens, s->len, (struct build_offload){0});
    return hdrs + s->len;
}

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* Bytes [off, off + len) of what lies behind the IP header. */
struct cut {
    uint32_t off, len;
    bool more;
};

static uint32_t cut_v4(uint8_t *to, const uint8_t *frame, struct cut c)
{
    uint8_t *ip = to + ETH_HDR_LEN;
    uint32_t sum = 0;
    memcpy(to, frame, ETH_HDR_LEN + IPV4_HDR_LEN);
    put16(ip + 2, IPV4_HDR_LEN + c.len);
    put16(ip + 6, (c.more ? 0x2000u : 0) | c.off / 8);
    put16(ip + 10, 0);
    for (unsigned i = 0; i < IPV4_HDR_LEN; i += 2)
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    put16(ip + 10, ~((sum & 0xffff) + (sum >> 16)));
    memcpy(ip + IPV4_HDR_LEN, frame + ETH_HDR_LEN + IPV4_HDR_LEN + c.off, c.len);
    return ETH_HDR_LEN + IPV4_HDR_LEN + c.len;
}

static uint32_t cut_v6(uint8_t *to, const uint8_t *frame, struct cut c)
{
    uint8_t *ip = to + ETH_HDR_LEN, *h = ip + IPV6_HDR_LEN;
    memcpy(to, frame, ETH_HDR_LEN + IPV6_HDR_LEN);
    put16(ip + 4, FRAG_HDR + c.len);
    ip[6] = IP_FRAGMENT;
    h[0] = IP_PROTO_TCP;
    h[1] = 0;
    put16(h + 2, c.off | c.more);
    put16(h + 4, 0);
    put16(h + 6, ip_id);
    memcpy(h + FRAG_HDR, frame + ETH_HDR_LEN + IPV6_HDR_LEN + c.off, c.len);
    return ETH_HDR_LEN + IPV6_HDR_LEN + FRAG_HDR + c.len;
}

static void send_cut(int side, const uint8_t *frame, struct cut c, bool is_other)
{
    uint8_t part[FRAME_MAX];
    bool is_v4 = frame[ETH_HDR_LEN] >> 4 == 4;
    uint32_t len = is_v4 ? cut_v4(part, frame, c) : cut_v6(part, frame, c);
    if (is_other)
        part[len - 1] ^= 1;
    link_send(side, part, len, 0);
}

static void send_fragments(const struct step *s, int side, const uint8_t *frame, uint32_t len)
{
    uint32_t hdrs = ETH_HDR_LEN + (frame[ETH_HDR_LEN] >> 4 == 4 ? IPV4_HDR_LEN : IPV6_HDR_LEN);
    uint32_t all = len - hdrs, at = 8 * (1 + s->arg % 16u);
    if (at >= all)
        at = 8;
    struct cut first = {0, at, true}, rest = {at, all - at, false};
    if ((s->arg2 & FRAG_OVERLAP) && at >= 16) {
        rest.off -= 8;
        rest.len += 8;
    }
    if (s->arg2 & FRAG_SWAPPED)
        send_cut(side, frame, rest, false);
    if (!(s->arg2 & FRAG_LOST))
        send_cut(side, frame, first, false);
    if (s->arg2 & FRAG_TWICE)
        send_cut(side, frame, first, true);
    if (!(s->arg2 & FRAG_SWAPPED))
        send_cut(side, frame, rest, false);
}

/* ---- steps ----------------------------------------------------------------------------------- */

void host_segment(const struct step *s)
{
    uint8_t frame[FRAME_MAX];
    unsigned slot = s->slot & STEP_SLOT;
    int side = s->slot & STEP_SERVER ? MOS_SIDE_SVR : MOS_SIDE_CLI;
    struct seg seg = seg_make(s, slot, side);
    uint32_t len = frame_make(frame, &seg, s->copy);
    if (s->slot & STEP_BAD_SUM)
        frame[len - 1] ^= 0x55;
    if ((s->slot & STEP_BAD_SUM) && (s->slot & STEP_CSUM_OK))
        model_ignore(slot);
    if (s->op % OP_N != OP_SEG)
        model_doubt(slot);
    if (s->op % OP_N == OP_PATCH) {
        model_ignore(slot);
        frame[s->arg % len] = s->arg2;
    }
    if (s->op % OP_N == OP_FRAG)
        send_fragments(s, side, frame, len);
    else
        link_send(side, frame, len, s->slot & STEP_CSUM_OK ? MTCP_PKT_RX_CSUM_GOOD : 0);
}

void host_open(const struct step *s)
{
    static const uint8_t flags[3] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};
    struct step one = *s;
    one.op = OP_SEG;
    one.seq = one.ack = 0;
    one.len = 0;
    one.base = 0;
    one.slot &= (uint8_t) ~(STEP_SERVER | STEP_BAD_SUM | STEP_CSUM_OK);
    one.opts &= (uint8_t)~OPT_TS_ODD;
    if (one.wnd < 2000)
        one.wnd = 60000;
    for (unsigned i = 0; i < 3; i++) {
        one.flags = flags[i];
        if (i == 2)
            one.opts &= OPT_TS;
        one.slot = (uint8_t)((one.slot & ~STEP_SERVER) | (i == 1 ? STEP_SERVER : 0));
        host_segment(&one);
        if (!(s->slot & STEP_BURST))
            world_turn();
    }
}

void host_raw(const struct step *s)
{
    size_t left = (size_t)(w.end - w.at) * STEP_BYTES;
    uint32_t len = s->len % 1514u + 1;
    if (len > left)
        len = (uint32_t)left;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        model_ignore(slot);
    link_send(s->slot & STEP_SERVER ? MOS_SIDE_SVR : MOS_SIDE_CLI, (const uint8_t *)w.at, len,
              s->slot & STEP_CSUM_OK ? MTCP_PKT_RX_CSUM_GOOD : 0);
    w.at += (len + STEP_BYTES - 1) / STEP_BYTES;
}

/* Strangers. */
void host_flood(const struct step *s)
{
    for (unsigned i = 0; i < s->arg; i++) {
        uint8_t frame[FRAME_MAX];
        struct seg seg = {.tuple = {.local = addr_of(0, MOS_SIDE_CLI),
                                    .remote = addr_of(0, MOS_SIDE_SVR),
                                    .local_port = (uint16_t)(1000 + s->len % 1000 + i),
                                    .remote_port = SVR_PORT},
                          .flags = TCP_SYN,
                          .wnd = 1000,
                          .ttl = 64,
                          .len = s->flags & 1 ? 16 : 0};
        uint32_t len = frame_make(frame, &seg, 0);
        if (s->flags & 1)
            send_cut(MOS_SIDE_CLI, frame, (struct cut){0, 24, true}, false);
        else
            link_send(MOS_SIDE_CLI, frame, len, 0);
    }
}

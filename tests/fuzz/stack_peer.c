/* What the peer says: segments whose numbers count from what both sides said before, so that they
 * come close to every edge, and frames of any bytes. */
#include "tests/fuzz/stack.h"

#include "mtcp/wire/build.h"
#include "mtcp/wire/icmp6.h"

#include <stdio.h>
#include <string.h>

#define OPT_BYTES_MAX 40u

static const uint32_t our_ip = 0x0a000001, peer_ip = 0x0a000002;

const struct ip_addr peer_our_v6 = {{.b = {[0] = 0xfd, [15] = 1}}},
                     peer_v6 = {{.b = {[0] = 0xfd, [15] = 2}}};

static struct ip_addr ip_ours(unsigned slot)
{
    return slot_is_v6(slot) ? peer_our_v6 : ip_addr_v4(be32_make(our_ip));
}

static struct ip_addr ip_of_peer(unsigned slot)
{
    return slot_is_v6(slot) ? peer_v6 : ip_addr_v4(be32_make(peer_ip));
}

static tcp_seq_t first_isn(void)
{
    static const uint32_t isn[ISN_N] = {0x12345678, 0xffffff80, 0x7fffff80, 0};
    return seq_make(isn[(w.head.isns & 15) % ISN_N]);
}

void peer_reset(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *c = &w.slot[i];
        c->isn = c->last = first_isn();
        c->nxt = c->after = c->edge = seq_add(c->isn, 1);
        c->mss_most = slot_is_v6(i) ? 1220 : 536; /* without the option (RFC 9293 3.7.1) */
        c->mon_sock = -1;
        c->port = slot_is_active(i) ? 0 : LISTEN_PORT;
    }
}

/* ---- numbers --------------------------------------------------------------------------------- */

static tcp_seq_t seq_of(const struct slot *c, const struct step *s)
{
    const tcp_seq_t base[SEQ_BASE_N] = {
        [SEQ_NEXT] = c->nxt,  [SEQ_ISN] = c->isn,   [SEQ_AFTER] = c->after,
        [SEQ_EDGE] = c->edge, [SEQ_LAST] = c->last, [SEQ_FIRST] = seq_add(c->isn, 1),
        [SEQ_ZERO] = {0},
    };
    uint32_t delta = (uint32_t)(int32_t)s->seq << ((s->scale & 15) * 2 % 20);
    return seq_add(base[(s->base & 15) % SEQ_BASE_N], delta);
}

static tcp_seq_t ack_of(const struct slot *c, const struct step *s)
{
    uint32_t flight = c->sent.v - c->una.v;
    const tcp_seq_t base[ACK_BASE_N] = {
        [ACK_ALL] = c->sent, [ACK_UNA] = c->una,
        [ACK_ISS] = c->iss,  [ACK_HALF] = seq_add(c->una, flight / 2),
        [ACK_ZERO] = {0},
    };
    uint32_t delta = (uint32_t)(int32_t)s->ack << ((s->scale >> 4) * 2 % 20);
    return seq_add(base[(s->base >> 4) % ACK_BASE_N], delta);
}

/* ---- options --------------------------------------------------------------------------------- */

static struct sack_block sack_of(const struct slot *c, unsigned kind, uint32_t unit, unsigned i)
{
    tcp_seq_t una = c->una, sent = c->sent;
    switch (kind) {
    case SACK_BELOW:
        return (struct sack_block){seq_add(una, 0u - unit * (i + 1)), seq_add(una, 0u - unit * i)};
    case SACK_ABOVE:
        return (struct sack_block){seq_add(sent, unit * i), seq_add(sent, unit * (i + 1))};
    case SACK_INVERTED:
        return (struct sack_block){seq_add(una, 2 * unit), seq_add(una, unit)};
    case SACK_WRAPPED:
        return (struct sack_block){seq_add(una, unit), seq_add(una, unit + 0x80000000u - i)};
    case SACK_OVERLAP:
        return (struct sack_block){seq_add(una, 1 + i * unit / 2), seq_add(sent, 0u - i)};
    case SACK_EMPTY:
        return (struct sack_block){seq_add(una, unit * i), seq_add(una, unit * i)};
    case SACK_DSACK: /* the first block repeats a part of the second */
        return (struct sack_block){seq_add(una, unit), seq_add(una, i ? 3 * unit : 2 * unit)};
    default:
        return (struct sack_block){seq_add(una, unit * (2 * i + 1)),
                                   seq_add(una, unit * (2 * i + 2))};
    }
}

static void options_of(struct slot *c, const struct step *s, struct tcp_opts *o)
{
    static const uint16_t unit[8] = {1, 100, 500, 1000, 1448, 2896, 5000, 60000};
    if (s->opts & OPT_TS) {
        o->has_ts = true;
        o->ts_val =
            (uint32_t)(w.now_us / 1000) + ((s->opts & OPT_TS_OLD) ? 0u - s->arg2 * 997u : 0);
        o->ts_ecr = (s->opts & OPT_TS_ECR) ? (uint32_t)s->wnd * 0x10001u : c->ts_val;
    }
    if (s->opts & OPT_SACK) {
        unsigned max = o->has_ts ? 3 : 4, n = (s->arg2 & 3) + 1;
        o->n_sack = (uint8_t)(n < max ? n : max);
        for (unsigned i = 0; i < o->n_sack; i++)
            o->sack[i] = sack_of(c, s->arg2 >> 2 & 7, unit[s->arg2 >> 5], i);
    }
    if (s->opts & OPT_MSS) {
        o->has_mss = true;
        o->mss = prog_mss[s->arg & 15];
    }
    if (s->opts & OPT_WSCALE) {
        o->has_wscale = true;
        o->wscale = s->arg >> 4;
    }
    o->sack_permitted = s->opts & OPT_SACK_OK;
    if (o->n_sack && (o->has_mss || o->has_wscale || o->sack_permitted))
        o->n_sack = 0; /* no room for all */
}

/* ---- segments -------------------------------------------------------------------------------- */

/* The peer remembers what it said, so that what follows can follow it. */
static void note(struct slot *c, const struct seg *s, const struct step *st)
{
    if ((s->flags & TCP_SYN) && (st->base & 15) % SEQ_BASE_N == SEQ_ISN) {
        c->isn = s->seq;
        if (!c->has_ack)
            c->nxt = seq_add(s->seq, 1);
    }
    if ((s->flags & TCP_SYN) && s->opt.has_mss && s->opt.mss > c->mss_most)
        c->mss_most = s->opt.mss;
    c->last = s->seq;
    c->after = seq_add(s->seq, seg_seq_len(s));
    if (s->flags & TCP_ACK)
        c->una = s->ack;
}

static struct seg segment_of(struct slot *c, const struct step *s)
{
    unsigned i = (unsigned)(c - w.slot);
    struct seg seg = {.flags = s->flags, .ttl = 64, .wnd = s->wnd};
    seg.tos = (s->slot & STEP_CE) ? 3 : 0;
    seg.tuple = (struct flow_tuple){
        .local = ip_of_peer(i),
        .remote = ip_ours(i),
        .local_port = (uint16_t)((slot_is_active(i) ? PORT_ACTIVE : PORT_PASSIVE) + i),
        .remote_port = c->port,
    };
    seg.seq = seq_of(c, s);
    seg.ack = (s->flags & TCP_ACK) ? ack_of(c, s) : seq_make(0);
    if (s->opts & OPT_URG) {
        seg.flags |= TCP_URG;
        seg.urg = s->arg2;
    }
    seg.len = s->len % 1461u;
    return seg;
}

/* Options of any bytes, in the place of the next steps. */
static uint32_t raw_options(const struct step *s, uint8_t *to)
{
    uint32_t n = s->arg2 % (OPT_BYTES_MAX + 1) / 4 * 4;
    uint32_t there = (uint32_t)((const uint8_t *)w.end - (const uint8_t *)w.at);
    if (n > there)
        n = there / 4 * 4;
    memcpy(to, w.at, n);
    w.at += (n + STEP_BYTES - 1) / STEP_BYTES;
    return n;
}

/* The length in an IP header grows by n. */
static void ip_len_add(uint8_t *ip, uint16_t l3, int n)
{
    uint8_t *at = ip + (l3 == IPV6_HDR_LEN ? 4 : 2);
    uint16_t len = (uint16_t)((at[0] << 8 | at[1]) + n);
    at[0] = (uint8_t)(len >> 8);
    at[1] = (uint8_t)len;
}

/* Makes the headers longer by n bytes of options, behind those that are there (none). */
static void insert_options(uint8_t *frame, struct build_lens *lens, const uint8_t *opts, uint32_t n)
{
    uint8_t *ip = frame + lens->l2, *tcp = ip + lens->l3;
    memcpy(tcp + TCP_HDR_LEN, opts, n);
    tcp[12] = (uint8_t)((TCP_HDR_LEN + n) / 4 << 4);
    ip_len_add(ip, lens->l3, (int)n);
    lens->l4 = (uint16_t)(TCP_HDR_LEN + n);
}

static void show(const struct step *st, const struct seg *s)
{
    char flags[9] = "FSRPAUEC";
    for (unsigned i = 0; i < 8; i++)
        if (!(s->flags & 1u << i))
            flags[i] = '.';
    printf("%10.6f  in  %u > %u %s seq %u+%u ack %u win %u op %u sack %u%s\n",
           (double)w.now_us / 1e6, s->tuple.local_port, s->tuple.remote_port, flags, s->seq.v,
           s->len, s->ack.v, s->wnd, st->op, s->opt.n_sack, s->opt.has_ts ? " ts" : "");
}

/* One fragment of a frame: `len` bytes from `off` of what is behind its IP header. */
static void fragment(const uint8_t *frame, struct build_lens lens, const struct step *st,
                     const uint32_t part[3])
{
    uint32_t head = (uint32_t)lens.l2 + lens.l3, off = part[0], len = part[1], more = part[2];
    struct mtcp_pkt *p = link_frame();
    if (!p)
        return;
    uint8_t *ip = p->data + lens.l2, *to = p->data + head;
    memcpy(p->data, frame, head);
    ip_len_add(ip, lens.l3, -(int)lens.l4);
    if (lens.l3 == IPV6_HDR_LEN) {
        const uint8_t hdr[8] = {ip[6], 0, (uint8_t)(off >> 8),
                                (uint8_t)(off | more), [7] = st->arg};
        ip_len_add(ip, lens.l3, 8);
        memcpy(to, hdr, sizeof(hdr));
        ip[6] = 44;
        to += sizeof(hdr);
    } else {
        ip[6] = (uint8_t)(off / 8 >> 8 | more << 5);
        ip[7] = (uint8_t)(off / 8);
        ip[5] = st->arg;
    }
    ip_len_add(ip, lens.l3, (int)len);
    memcpy(to, frame + head + off, len);
    p->len = (uint32_t)(to - p->data) + len;
    p->flags = MTCP_PKT_RX_CSUM_GOOD;
}

/* The frame that is ready to go goes in two pieces, which may be swapped, overlap or miss. */
static void in_fragments(struct mtcp_pkt *p, struct build_lens lens, const struct step *st)
{
    static uint8_t whole[2048];
    uint32_t head = (uint32_t)lens.l2 + lens.l3, n = p->len - head;
    uint32_t cut = ((st->arg2 & 31) + 1) * 8, back = (st->arg2 >> 5 & FRAG_OVERLAP) ? 8 : 0;
    if (cut >= n)
        return;
    memcpy(whole, p->data, p->len);
    p->len = 0; /* no frame at all: too short */
    lens.l4 = (uint16_t)n;
    uint32_t part[2][3] = {{0, cut, 1}, {cut - back, n - cut + back, 0}};
    bool is_swapped = st->arg2 >> 5 & FRAG_SWAPPED;
    fragment(whole, lens, st, part[is_swapped]);
    if (!(st->arg2 >> 5 & FRAG_ONE))
        fragment(whole, lens, st, part[!is_swapped]);
}

static void fill(uint8_t *to, const struct seg *s, uint8_t copy)
{
    uint32_t seq = s->seq.v + ((s->flags & TCP_SYN) ? 1u : 0u);
    for (uint32_t i = 0; i < s->len; i++)
        to[i] = peer_byte(seq + i, copy);
}

void peer_segment(const struct step *st)
{
    struct slot *c = &w.slot[(st->slot & STEP_SLOT) % SLOTS];
    struct mtcp_pkt *p = link_frame();
    uint8_t opts[OPT_BYTES_MAX];
    uint32_t n_opts = st->op == OP_SEG_OPTS ? raw_options(st, opts) : 0;
    if (!p)
        return;
    struct seg s = segment_of(c, st);
    if (st->op != OP_SEG_OPTS)
        options_of(c, st, &s.opt);
    if (w.verbose)
        show(st, &s);
    struct build_l2 l2 = {.src = link_peer_mac, .dst = link_our_mac};
    struct build_lens lens = build_tcp(p->data, &l2, &s, 1);
    if (n_opts)
        insert_options(p->data, &lens, opts, n_opts);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    fill(p->data + hdrs, &s, st->arg & 7);
    build_tcp_csum(p->data, lens, s.len, (struct build_offload){0});
    p->len = hdrs + s.len;
    w.has_lied |= st->op == OP_SEG_PATCH;
    if (st->op == OP_SEG_PATCH)
        p->data[ETH_HDR_LEN + st->arg % (hdrs - ETH_HDR_LEN)] = st->arg2;
    if (st->op == OP_SEG_PATCH || (st->slot & STEP_CSUM_OK))
        p->flags = MTCP_PKT_RX_CSUM_GOOD;
    if (st->slot & STEP_BAD_SUM)
        p->flags = MTCP_PKT_RX_CSUM_BAD;
    if (n_opts || (st->op == OP_SEG_PATCH && (s.flags & TCP_SYN)))
        c->mss_most = UINT16_MAX; /* whatever the bytes say */
    if (st->op == OP_SEG_FRAG)
        in_fragments(p, lens, st);
    note(c, &s, st);
}

/* The peer's part of a handshake: SYN and ACK, or, to the stack's SYN, SYN-ACK and what follows. */
void peer_open(const struct step *st)
{
    struct slot *c = &w.slot[(st->slot & STEP_SLOT) % SLOTS];
    struct step s = *st;
    s.op = OP_SEG;
    s.len = 0;
    s.slot &= STEP_SLOT;
    s.scale = 0;
    s.base = SEQ_ISN | ACK_ALL << 4;
    s.seq = s.ack = 0;
    s.flags = TCP_SYN | (slot_is_active((unsigned)(c - w.slot)) ? TCP_ACK : 0);
    peer_segment(&s);
    world_turn();
    s.base = SEQ_NEXT | ACK_ALL << 4;
    s.opts &= OPT_TS;
    s.flags = TCP_ACK;
    s.len = st->len;
    peer_segment(&s);
    world_turn();
}

/* ---- other frames ---------------------------------------------------------------------------- */

void peer_raw(const struct step *st)
{
    struct mtcp_pkt *p = link_frame();
    uint32_t there = (uint32_t)((const uint8_t *)w.end - (const uint8_t *)w.at);
    uint32_t n = st->len % 256u;
    if (n > there)
        n = there;
    if (!p)
        return;
    w.has_lied = true;
    memcpy(p->data, w.at, n);
    w.at += (n + STEP_BYTES - 1) / STEP_BYTES;
    if (n >= ETH_HDR_LEN && (st->flags & 1)) { /* it shall get past the first look */
        memcpy(p->data, &link_our_mac, 6);
        p->data[12] = 8;
        p->data[13] = (st->flags & 2) ? 6 : 0;
    }
    p->len = n;
    p->flags = (st->slot & STEP_CSUM_OK) ? MTCP_PKT_RX_CSUM_GOOD : 0;
}

void peer_icmp(const struct step *st)
{
    unsigned slot = (st->slot & STEP_SLOT) % SLOTS;
    struct slot *c = &w.slot[slot];
    struct mtcp_pkt *p = link_frame();
    uint8_t data[4 + BUILD_HDR_MAX] = {0};
    if (!p)
        return;
    struct seg s = segment_of(c, st), quoted = s;
    quoted.tuple =
        (struct flow_tuple){s.tuple.remote, s.tuple.local, s.tuple.remote_port, s.tuple.local_port};
    quoted.seq = ack_of(c, st);
    quoted.len = 0;
    data[2] = (uint8_t)(st->wnd >> 8); /* of the next hop: its MTU */
    data[3] = (uint8_t)st->wnd;
    if (slot_is_v6(slot)) /* 32 bits of it */
        data[1] = st->arg2;
    build_tcp(data + 4, NULL, &quoted, 1);
    struct build_icmp i = {
        .l2 = {.src = link_peer_mac, .dst = link_our_mac},
        .src = (st->arg & 1) ? ip_ours(slot + 1) : ip_of_peer(slot),
        .dst = ip_ours(slot),
        .type = (st->arg & 2)   ? st->flags
                : (st->arg & 4) ? (slot_is_v6(slot) ? ICMP6_ECHO : 8)
                                : (slot_is_v6(slot) ? ICMP6_PACKET_TOO_BIG : 3),
        .code = st->opts % 20,
        .ttl = 64,
        .data = data,
        .len = 4 + (st->len % 4 == 0 ? (slot_is_v6(slot) ? IPV6_HDR_LEN : IPV4_HDR_LEN) + 8
                                     : st->len % (BUILD_HDR_MAX - 20)),
    };
    p->len = build_icmp(p->data, &i);
}

void peer_ndp_answer(const struct ip_addr *to)
{
    struct mtcp_pkt *p = link_frame();
    struct build_ndp b = {.l2 = {.src = link_peer_mac, .dst = link_our_mac},
                          .src = peer_v6,
                          .dst = *to,
                          .type = NDP_ADVERT,
                          .is_solicited = true,
                          .is_override = true,
                          .has_lladdr = true,
                          .target = peer_v6};
    if (p)
        p->len = build_ndp(p->data, &b);
}

/* Solicitations and advertisements that may be right, and router advertisements of any bytes. */
static void peer_ndp(const struct step *st)
{
    struct mtcp_pkt *p = link_frame();
    struct build_ndp b = {.l2 = {.src = link_peer_mac, .dst = link_our_mac},
                          .src = (st->arg & 1) ? peer_our_v6 : peer_v6,
                          .dst = peer_our_v6,
                          .type = (uint8_t)(NDP_ROUTER_SOLICIT + (st->arg >> 4 & 3)),
                          .is_solicited = st->arg & 2,
                          .is_override = st->arg & 4,
                          .has_lladdr = st->arg & 8,
                          .target = (st->arg2 & 1) ? peer_our_v6 : peer_v6};
    if (!p)
        return;
    b.l2.src.b[5] = (uint8_t)(b.l2.src.b[5] + (st->flags >> 4));
    bool is_router = b.type == NDP_ROUTER_ADVERT;
    if (is_router)
        b.type = NDP_ADVERT;
    p->len = build_ndp(p->data, &b);
    if (!is_router)
        return;
    p->data[ETH_HDR_LEN + IPV6_HDR_LEN] = NDP_ROUTER_ADVERT;
    uint32_t there = (uint32_t)((const uint8_t *)w.end - (const uint8_t *)w.at);
    uint32_t at = ETH_HDR_LEN + IPV6_HDR_LEN + 4, n = st->len % 96u;
    memset(p->data + ETH_HDR_LEN + 8, 0, 16); /* from a link-local address */
    p->data[ETH_HDR_LEN + 8] = 0xfe;
    p->data[ETH_HDR_LEN + 9] = 0x80;
    p->data[ETH_HDR_LEN + 23] = 2;
    n = n < there ? n : there;
    memcpy(p->data + at, w.at, n);
    w.at += (n + STEP_BYTES - 1) / STEP_BYTES;
    p->data[ETH_HDR_LEN + 4] = 0;
    p->data[ETH_HDR_LEN + 5] = (uint8_t)(4 + n);
    p->len = at + n;
    p->flags = MTCP_PKT_RX_CSUM_GOOD;
}

void peer_arp(const struct step *st)
{
    if ((w.head.conf2 & CONF2_V6) && (st->opts & 1)) {
        peer_ndp(st);
        return;
    }
    struct mtcp_pkt *p = link_frame();
    w.is_hidden = st->flags & 4;
    if (!p)
        return;
    struct build_arp a = {.is_reply = st->flags & 1,
                          .sender_mac = link_peer_mac,
                          .target_mac = (st->flags & 2) ? link_our_mac : (struct mac_addr){{0}},
                          .sender_ip = be32_make(peer_ip + (st->arg & 3)),
                          .target_ip = be32_make(our_ip + (st->arg2 & 1))};
    a.sender_mac.b[5] = (uint8_t)(a.sender_mac.b[5] + (st->flags >> 4));
    p->len = build_arp(p->data, &a);
}

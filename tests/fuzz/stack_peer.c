/* What the peer says: segments whose numbers count from what both sides said before, so that they
 * come close to every edge, and frames of any bytes. */
#include "tests/fuzz/stack.h"

#include "mtcp/wire/build.h"

#include <stdio.h>
#include <string.h>

#define OPT_BYTES_MAX 40u

static const uint32_t our_ip = 0x0a000001, peer_ip = 0x0a000002;

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
        c->mss_most = 536;
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
        .local = ip_addr_v4(be32_make(peer_ip)),
        .remote = ip_addr_v4(be32_make(our_ip)),
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

/* Makes the headers longer by n bytes of options, behind those that are there (none). */
static void insert_options(uint8_t *frame, struct build_lens *lens, const uint8_t *opts, uint32_t n)
{
    uint8_t *ip = frame + lens->l2, *tcp = ip + lens->l3;
    uint16_t total = (uint16_t)((ip[2] << 8 | ip[3]) + (int)n);
    memcpy(tcp + TCP_HDR_LEN, opts, n);
    tcp[12] = (uint8_t)((TCP_HDR_LEN + n) / 4 << 4);
    ip[2] = (uint8_t)(total >> 8);
    ip[3] = (uint8_t)total;
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
    if (n_opts)
        c->mss_most = UINT16_MAX; /* whatever the bytes say */
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
    struct slot *c = &w.slot[(st->slot & STEP_SLOT) % SLOTS];
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
    build_tcp(data + 4, NULL, &quoted, 1);
    struct build_icmp i = {
        .l2 = {.src = link_peer_mac, .dst = link_our_mac},
        .src = ip_addr_v4(be32_make((st->arg & 1) ? 0x0a000003 : peer_ip)),
        .dst = ip_addr_v4(be32_make(our_ip)),
        .type = (st->arg & 2)   ? st->flags
                : (st->arg & 4) ? 8
                                : 3,
        .code = st->opts % 20,
        .ttl = 64,
        .data = data,
        .len = 4 + (st->len % 4 == 0 ? IPV4_HDR_LEN + 8 : st->len % (BUILD_HDR_MAX - 20)),
    };
    p->len = build_icmp(p->data, &i);
}

void peer_arp(const struct step *st)
{
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

/* The device of fuzz_stack: frames in as the program says, frames out are checked. */
#include "tests/fuzz/stack.h"

#include "mtcp/wire/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_ROOM 2048u
#define QUEUE      64u
#define KEPT       16u

struct frame {
    struct mtcp_pkt pkt; /* first */
    uint64_t n_begun;    /* connections, when it was made */
    uint8_t buf[FRAME_ROOM];
};

/* A frame that was there: the peer's last ones, and the stack's last one. */
struct copy {
    uint32_t len, flags;
    uint8_t buf[FRAME_ROOM];
};

static struct {
    struct frame *in[QUEUE];
    unsigned n_in, n_pkts, no_pkts, no_tx;
    uint64_t n_sent, n_kept;
} l;
static struct copy kept[KEPT], sent;

const struct mac_addr link_our_mac = {{2, 0, 0, 0, 0, 1}}, link_peer_mac = {{2, 0, 0, 0, 0, 2}};

/* ---- frames ---------------------------------------------------------------------------------- */

static struct mtcp_pkt *frame_new(void)
{
    struct frame *f = malloc(sizeof(*f));
    HOLDS(f);
    memset(&f->pkt, 0, sizeof(f->pkt));
    f->pkt.data = f->buf;
    f->pkt.room = FRAME_ROOM;
    f->n_begun = who_has_begun();
    l.n_pkts++;
    return &f->pkt;
}

static struct mtcp_pkt *link_alloc(struct mtcp_io *io)
{
    (void)io;
    if (l.no_pkts) {
        l.no_pkts--;
        return NULL;
    }
    return frame_new();
}

static void link_free(struct mtcp_io *io, struct mtcp_pkt *p)
{
    (void)io;
    HOLDS(l.n_pkts > 0);
    l.n_pkts--;
    free(p);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void keep(struct copy *to, const struct mtcp_pkt *p)
{
    to->len = p->len;
    to->flags = p->flags & (MTCP_PKT_RX_CSUM_GOOD | MTCP_PKT_RX_CSUM_BAD);
    memcpy(to->buf, p->data, p->len);
}

static unsigned link_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io;
    unsigned got = 0;
    for (; got < n && got < l.n_in; got++) {
        pkts[got] = &l.in[got]->pkt;
        keep(&kept[l.n_kept++ % KEPT], pkts[got]);
    }
    l.n_in -= got;
    memmove(l.in, l.in + got, l.n_in * sizeof(l.in[0]));
    return got;
}

struct mtcp_pkt *link_frame(void)
{
    if (l.n_in == QUEUE)
        return NULL;
    struct mtcp_pkt *p = frame_new();
    l.in[l.n_in++] = (struct frame *)(void *)p;
    return p;
}

static void give(const struct copy *c)
{
    struct mtcp_pkt *p = c->len ? link_frame() : NULL;
    if (!p)
        return;
    p->len = c->len;
    p->flags = c->flags;
    memcpy(p->data, c->buf, c->len);
}

void link_again(unsigned which)
{
    if (l.n_kept)
        give(&kept[(l.n_kept - 1 - which % (l.n_kept < KEPT ? l.n_kept : KEPT)) % KEPT]);
}

void link_reflect(void)
{
    give(&sent);
}

/* ---- out: what the stack says ---------------------------------------------------------------- */

static struct slot *slot_of(const struct seg *s)
{
    uint16_t peer = s->tuple.local_port; /* the receiver's */
    if (peer >= PORT_PASSIVE && peer < PORT_PASSIVE + SLOTS_PASSIVE)
        return &w.slot[peer - PORT_PASSIVE];
    if (peer >= PORT_ACTIVE + SLOTS_PASSIVE && peer < PORT_ACTIVE + SLOTS)
        return &w.slot[peer - PORT_ACTIVE];
    return NULL;
}

static void heard_syn(struct slot *c, const struct seg *s)
{
    if (!c->has_iss || !seq_eq(c->iss, s->seq))
        c->una = s->seq;
    c->iss = s->seq;
    c->has_iss = true;
    c->has_ack = false;
    c->port = s->tuple.remote_port;
    c->wscale = s->opt.has_wscale ? s->opt.wscale : 0;
    c->sent = seq_add(s->seq, 1);
}

/* What was acknowledged and promised is never taken back. */
static void heard_ack(struct slot *c, const struct seg *s)
{
    bool is_syn = s->flags & TCP_SYN;
    tcp_seq_t edge = seq_add(s->ack, (uint32_t)s->wnd << (is_syn ? 0 : c->wscale));
    if (c->has_ack) {
        HOLDS(seq_leq(c->nxt, s->ack));
        HOLDS(slot_is_active((unsigned)(c - w.slot)) || seq_leq(c->edge, edge));
    }
    c->has_ack = true;
    c->nxt = s->ack;
    c->edge = edge;
}

static void heard_data(struct slot *c, const struct seg *s)
{
    uint32_t off = s->seq.v + (s->flags & TCP_SYN ? 1u : 0u) - (c->iss.v + 1);
    if (!c->has_iss)
        return; /* the SYN-ACK was dropped here, and the peer guessed right */
    HOLDS(s->len <= (c->mss_most < 48 ? 48u : c->mss_most));
    for (uint32_t i = 0; i < s->len; i++)
        HOLDS(s->payload[i] == app_byte(off + i));
}

/* A segment of the connection that now has the tuple? Its RSTs and what a full device held back may
 * be of one that is gone. */
static bool is_of_now(struct slot *c, const struct seg *s, uint64_t n_begun)
{
    struct flow_tuple t = {s->tuple.remote, s->tuple.local, s->tuple.remote_port,
                           s->tuple.local_port};
    uint64_t who = who_is_at(&t);
    if (!who || who > n_begun || s->flags & TCP_RST)
        return false;
    if (c->who != who)
        c->has_iss = c->has_ack = false;
    c->who = who;
    return true;
}

static void heard(const struct seg *s, uint64_t n_begun)
{
    struct slot *c = slot_of(s);
    if (!c || !(s->flags & TCP_SYN || s->tuple.remote_port == c->port) || !is_of_now(c, s, n_begun))
        return;
    if (s->flags & TCP_SYN)
        heard_syn(c, s);
    if (s->flags & TCP_ACK)
        heard_ack(c, s);
    if (s->len)
        heard_data(c, s);
    tcp_seq_t end = seq_add(s->seq, seg_seq_len(s));
    if (seq_lt(c->sent, end))
        c->sent = end;
    if (s->opt.has_ts)
        c->ts_val = s->opt.ts_val;
}

static void show(const struct seg *s)
{
    char flags[9] = "FSRPAUEC";
    for (unsigned i = 0; i < 8; i++)
        if (!(s->flags & 1u << i))
            flags[i] = '.';
    printf("%10.6f  out %u > %u %s seq %u+%u ack %u win %u sack %u\n", (double)w.now_us / 1e6,
           s->tuple.remote_port, s->tuple.local_port, flags, s->seq.v, s->len, s->ack.v, s->wnd,
           s->opt.n_sack);
}

static unsigned link_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    if (l.no_tx) {
        l.no_tx--;
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        struct packet p;
        HOLDS(packet_parse(&p, pkts[i]->data, pkts[i]->len, PACKET_CSUM_UNKNOWN) == 0);
        if (p.kind == PACKET_TCP) {
            if (w.verbose)
                show(&p.seg);
            heard(&p.seg, ((struct frame *)(void *)pkts[i])->n_begun);
        } else if (p.kind == PACKET_ARP && !p.arp.is_reply && !w.is_hidden) {
            peer_arp(&(struct step){.flags = 3});
        } else if (p.kind == PACKET_NDP && p.ndp.type == NDP_SOLICIT && !w.is_hidden &&
                   ip_addr_eq(&p.ndp.target, &peer_v6)) {
            peer_ndp_answer(&p.src);
        }
        keep(&sent, pkts[i]);
        link_free(io, pkts[i]);
    }
    l.n_sent += n;
    return n;
}

/* ---- life ------------------------------------------------------------------------------------ */

void link_starve(unsigned n_pkts, unsigned n_bursts)
{
    l.no_pkts = n_pkts;
    l.no_tx = n_bursts;
}

uint64_t link_n_sent(void)
{
    return l.n_sent;
}

void link_open(struct mtcp_io *io)
{
    memset(&l, 0, sizeof(l));
    sent.len = 0;
    *io = (struct mtcp_io){.rx_burst = link_rx,
                           .tx_burst = link_tx,
                           .alloc = link_alloc,
                           .free = link_free,
                           .mtu = 1500,
                           .name = "fuzz0",
                           .caps = MTCP_IO_NO_WAKEUP};
    memcpy(io->mac, &link_our_mac, 6);
}

void link_close(void)
{
    while (l.n_in)
        link_free(NULL, &l.in[--l.n_in]->pkt);
    HOLDS(l.n_pkts == 0);
}

/* The devices of fuzz_wire: each frame that comes out is one that went in, once, as it was left. */
#include "tests/fuzz/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE  512u
#define FRAMES 3000u /* of a run */

/* A frame on its way out. */
struct out {
    struct mtcp_pkt pkt; /* first */
    struct in *of;       /* NULL: the monitor's own */
    uint8_t mem[FRAME_MAX];
};

static struct {
    struct in *all[FRAMES];
    unsigned n_all;
    struct in *queue[SIDES][QUEUE]; /* to be received */
    unsigned n_queue[SIDES];
    struct in *work[QUEUE]; /* received, not given back */
    unsigned n_work;
    unsigned n_out, no_pkts;
    bool is_user;
} l;

/* ---- in -------------------------------------------------------------------------------------- */

static bool is_fragment(const struct in *f)
{
    struct packet p;
    return packet_parse(&p, f->was, f->was_len, PACKET_CSUM_GOOD) == 0 && p.kind == PACKET_FRAGMENT;
}

static bool is_good(const uint8_t *frame, uint32_t len)
{
    struct packet p;
    return packet_parse(&p, frame, len, PACKET_CSUM_UNKNOWN) == 0;
}

/* At any address, with nothing behind it. */
bool link_send(int side, const uint8_t *frame, uint32_t len, uint32_t flags)
{
    if (l.n_all == FRAMES || l.n_queue[side] == QUEUE || len == 0 || len > FRAME_MAX)
        return false;
    struct in *f = calloc(1, sizeof(*f));
    uint32_t room = len + (w.head.conf & CONF_ROOM ? 64 : 0), shift = l.n_all % 4;
    HOLDS(f);
    f->mem = malloc(shift + room);
    HOLDS(f->mem);
    f->pkt = (struct mtcp_pkt){.data = f->mem + shift, .len = len, .room = room, .flags = flags};
    f->from = side;
    memcpy(f->pkt.data, frame, len);
    memcpy(f->was, frame, len);
    f->was_len = len;
    f->is_frag = is_fragment(f);
    f->is_good = is_good(frame, len);
    l.all[l.n_all++] = f;
    l.queue[side][l.n_queue[side]++] = f;
    return true;
}

void link_again(unsigned which)
{
    if (l.n_all == 0)
        return;
    const struct in *f = l.all[l.n_all - 1 - which % (l.n_all < 16 ? l.n_all : 16)];
    link_send(f->from, f->was, f->was_len, f->pkt.flags);
}

static unsigned link_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    int side = (int)(intptr_t)io->priv;
    HOLDS(l.n_work == 0);
    if (n > l.n_queue[side])
        n = l.n_queue[side];
    for (unsigned i = 0; i < n; i++) {
        l.work[i] = l.queue[side][i];
        pkts[i] = &l.work[i]->pkt;
    }
    l.n_work = n;
    l.n_queue[side] -= n;
    memmove(l.queue[side], l.queue[side] + n, l.n_queue[side] * sizeof(l.queue[side][0]));
    return n;
}

bool link_waits(void)
{
    return l.n_queue[0] + l.n_queue[1] > 0;
}

struct in *link_current(void)
{
    return l.n_work > 0 ? l.work[0] : NULL;
}

void link_user(bool is_in)
{
    l.is_user = is_in;
}

/* The wire is done with it. */
static void in_done(struct in *f)
{
    HOLDS(f == link_current());
    HOLDS(f->pkt.len <= f->pkt.room && f->pkt.len <= FRAME_MAX);
    l.n_work--;
    memmove(l.work, l.work + 1, l.n_work * sizeof(l.work[0]));
    f->now_len = f->pkt.len;
    memcpy(f->now, f->pkt.data, f->pkt.len);
    if (!f->is_changed && !w.has_edits)
        HOLDS(f->now_len == f->was_len && memcmp(f->now, f->was, f->was_len) == 0);
    free(f->mem);
    f->mem = NULL;
    model_frame(f);
}

/* ---- out ------------------------------------------------------------------------------------- */

static struct mtcp_pkt *link_alloc(struct mtcp_io *io)
{
    int side = (int)(intptr_t)io->priv;
    struct in *f = link_current();
    if (l.no_pkts > 0) {
        l.no_pkts--;
        return NULL;
    }
    struct out *o = malloc(sizeof(*o));
    HOLDS(o);
    o->pkt = (struct mtcp_pkt){.data = o->mem, .room = FRAME_MAX};
    o->of = f && !l.is_user && f->from != side ? f : NULL;
    l.n_out++;
    return &o->pkt;
}

static void link_free(struct mtcp_io *io, struct mtcp_pkt *p)
{
    (void)io;
    for (unsigned i = 0; i < l.n_work; i++)
        if (&l.work[i]->pkt == p) {
            in_done(l.work[i]);
            return;
        }
    HOLDS(l.n_out > 0);
    l.n_out--;
    free(p);
}

/* It is one of the fragments that have come and waited. */
static void check_fragment(const struct mtcp_pkt *p, int from)
{
    for (unsigned i = 0; i < l.n_all; i++) {
        struct in *f = l.all[i];
        if (f->is_frag && f->from == from && f->n_out == 0 && f->was_len == p->len &&
            memcmp(f->was, p->data, p->len) == 0) {
            f->n_out++;
            return;
        }
    }
    fuzz_failed("a fragment that came in", __FILE__, __LINE__);
}

/* A reset that the wire sends by itself. */
static bool is_forged(const struct mtcp_pkt *p)
{
    struct packet parsed;
    return w.has_reset && packet_parse(&parsed, p->data, p->len, PACKET_CSUM_UNKNOWN) == 0 &&
           parsed.kind == PACKET_TCP && (parsed.seg.flags & TCP_RST) && parsed.seg.len == 0;
}

static void check_out(const struct out *o)
{
    struct in *f = o->of;
    if (!f || is_forged(&o->pkt)) {
        HOLDS(is_good(o->pkt.data, o->pkt.len));
        return;
    }
    HOLDS(!f->is_dropped);
    if (w.has_edits) {
        HOLDS(!f->is_good || is_good(o->pkt.data, o->pkt.len));
        return;
    }
    if (f->is_frag) {
        check_fragment(&o->pkt, f->from);
        return;
    }
    HOLDS(++f->n_out == 1);
    HOLDS(o->pkt.len == f->now_len && memcmp(o->pkt.data, f->now, f->now_len) == 0);
    if (f->is_good)
        HOLDS(is_good(o->pkt.data, o->pkt.len));
}

static unsigned link_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        check_out((struct out *)(void *)pkts[i]);
        link_free(io, pkts[i]);
    }
    return n;
}

void link_starve(unsigned n_pkts)
{
    l.no_pkts = n_pkts;
}

/* ---- life ------------------------------------------------------------------------------------ */

void link_open(struct mtcp_io *io, int side)
{
    if (side == 0)
        memset(&l, 0, sizeof(l));
    *io = (struct mtcp_io){.rx_burst = link_rx,
                           .tx_burst = link_tx,
                           .alloc = link_alloc,
                           .free = link_free,
                           .mtu = 1500,
                           .mac = {2, 0, 0, 0, 0, (uint8_t)(1 + side)},
                           .name = side == 0 ? "fuzz0" : "fuzz1",
                           .priv = (void *)(intptr_t)side};
}

void link_close(void)
{
    HOLDS(l.n_out == 0 && l.n_work == 0);
    for (unsigned i = 0; i < l.n_all; i++) {
        free(l.all[i]->mem);
        free(l.all[i]);
    }
    l.n_all = 0;
}

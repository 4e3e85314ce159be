/* The impaired link: two mtcp_io ends, frames scheduled for delivery in virtual time. */
#include "tests/sim/sim.h"

#include "mtcp/wire/hdr.h"

#include <stdlib.h>
#include <string.h>

struct frame {
    struct mtcp_pkt pkt; /* first */
    struct frame *next;
    uint64_t due_us;
    struct link *link;
    uint8_t buf[LINK_ROOM];
};

struct end {
    struct mtcp_io io; /* first */
    struct link *link;
    struct frame *inbox; /* frames on their way to this end, by due time */
    struct frame *last;  /* of them, when there is one */
    uint64_t free_at_us; /* the transmitter towards this end is busy until then */
    uint32_t queued;     /* bytes waiting for it */
    uint32_t burst_left;
};

struct link {
    struct sim *sim;
    struct link_conf conf;
    struct end end[2];
    struct link_stats stats;
    uint64_t mtu_until_us;
    uint32_t frag_id;
    uint16_t mtu; /* what it takes now */
    size_t n_out;
};

static struct mtcp_pkt *link_alloc(struct mtcp_io *io)
{
    struct link *l = ((struct end *)(void *)io)->link;
    struct frame *f = malloc(sizeof(*f));
    if (!f)
        return NULL;
    memset(&f->pkt, 0, sizeof(f->pkt));
    f->link = l;
    f->pkt.data = f->buf;
    f->pkt.room = LINK_ROOM;
    l->n_out++;
    return &f->pkt;
}

static void link_free(struct mtcp_io *io, struct mtcp_pkt *p)
{
    (void)io;
    struct frame *f = (struct frame *)(void *)p;
    f->link->n_out--;
    free(f);
}

static void frame_schedule(struct end *to, struct frame *f, uint64_t due_us)
{
    struct frame **at = &to->inbox;
    f->due_us = due_us;
    if (to->inbox && to->last->due_us <= due_us)
        at = &to->last->next;
    while (*at && (*at)->due_us <= due_us)
        at = &(*at)->next;
    f->next = *at;
    *at = f;
    if (!f->next)
        to->last = f;
}

static struct end *end_other(struct link *l, const struct end *e)
{
    return &l->end[e == &l->end[0] ? 1 : 0];
}

static struct frame *frame_new(struct link *l)
{
    return (struct frame *)(void *)link_alloc(&l->end[0].io);
}

/* A frame of no bytes was made of something that it can't be made of. */
static void frame_schedule_or_free(struct end *to, struct frame *f, uint64_t due_us)
{
    if (f->pkt.len > 0)
        frame_schedule(to, f, due_us);
    else
        link_free(NULL, &f->pkt);
}

static struct frame *frame_copy(struct link *l, const struct frame *f)
{
    struct frame *c = frame_new(l);
    if (!c)
        return NULL;
    c->pkt.len = f->pkt.len;
    memcpy(c->buf, f->pkt.data, f->pkt.len);
    return c;
}

/* When the last bit of the frame leaves, or 0 when the queue is full. */
static uint64_t transmit_end(struct link *l, struct end *to, uint32_t len)
{
    uint64_t now = l->sim->now_us;
    if (!l->conf.bytes_per_sec)
        return now;
    uint64_t start = to->free_at_us > now ? to->free_at_us : now;
    uint64_t waiting = (start - now) * l->conf.bytes_per_sec / 1000000;
    if (waiting > l->conf.queue_bytes) {
        l->stats.queue_drops++;
        return 0;
    }
    to->free_at_us = start + (uint64_t)len * 1000000 / l->conf.bytes_per_sec;
    return to->free_at_us;
}

static bool frame_is_lost(struct link *l, struct end *to)
{
    struct rng *r = &l->sim->rng;
    if (to->burst_left) {
        to->burst_left--;
        return true;
    }
    if (sim_chance(r, l->conf.burst_ppm))
        to->burst_left = 1 + rng_below(r, l->conf.burst_len);
    return sim_chance(r, l->conf.loss_ppm);
}

static void frame_corrupt(struct link *l, struct frame *f)
{
    struct rng *r = &l->sim->rng;
    f->pkt.data[rng_below(r, f->pkt.len)] ^= (uint8_t)(1u << rng_below(r, 8));
    l->stats.corrupted++;
}

static bool frame_is_too_big(struct link *l, struct end *to, struct frame *f)
{
    struct rng *r = &l->sim->rng;
    const struct link_conf *c = &l->conf;
    if (c->mtu_change_us && l->sim->now_us >= l->mtu_until_us) {
        l->mtu = (uint16_t)(c->mtu_min + rng_below(r, c->mtu - c->mtu_min + 1u));
        l->mtu_until_us = l->sim->now_us + 1 + rng_below(r, (uint32_t)c->mtu_change_us);
    }
    if (f->pkt.len <= l->mtu + ETH_HDR_LEN)
        return false;
    l->stats.too_big++;
    struct frame *e = c->is_black_hole ? NULL : frame_new(l);
    if (e) {
        e->pkt.len = alter_too_big(e->buf, f->pkt.data, f->pkt.len, l->mtu);
        frame_schedule_or_free(end_other(l, to), e, l->sim->now_us + c->delay_us);
    }
    return true;
}

/* A copy before or behind the frame, with other bytes, some with a wrong checksum; or a reset. */
static void frame_evade(struct link *l, struct end *to, const struct frame *f, uint64_t due)
{
    struct rng *r = &l->sim->rng;
    struct frame *e = frame_new(l);
    if (!e)
        return;
    if (rng_below(r, 8) == 0) {
        e->pkt.len = alter_reset(r, e->buf, f->pkt.data, f->pkt.len);
        l->stats.resets += e->pkt.len > 0;
    } else {
        e->pkt.len = alter_evade(r, e->buf, f->pkt.data, f->pkt.len);
        l->stats.evasions += e->pkt.len > 0;
        if (e->pkt.len > 0 && rng_below(r, 8) == 0)
            e->buf[e->pkt.len - 1] ^= 1;
    }
    frame_schedule_or_free(to, e, rng_below(r, 2) || due == 0 ? due : due - 1);
}

/* The frame in pieces, which overtake each other and are lost as other frames are; false: it is
 * nothing that can be cut. */
static bool frame_cut(struct link *l, struct end *to, const struct frame *f, uint64_t due)
{
    struct rng *r = &l->sim->rng;
    struct alter_cut cut = {
        .size = 8 * (rng_below(r, 8) ? 25 + rng_below(r, 75) : 1 + rng_below(r, 25)),
        .id = ++l->frag_id};
    unsigned n = 0;
    for (struct frame *piece; (piece = frame_new(l)) != NULL; cut.off += cut.size, n++) {
        piece->pkt.len = alter_fragment(piece->buf, f->pkt.data, f->pkt.len, cut);
        if (piece->pkt.len == 0) {
            link_free(NULL, &piece->pkt);
            break;
        }
        if (cut.off > 0 && frame_is_lost(l, to))
            link_free(NULL, &piece->pkt);
        else
            frame_schedule(to, piece, due + rng_below(r, 3));
    }
    l->stats.fragments += n;
    return n > 0;
}

static uint64_t frame_due(struct link *l, uint64_t out)
{
    uint64_t due = out + l->conf.delay_us;
    if (l->conf.jitter_us && sim_chance(&l->sim->rng, l->conf.reorder_ppm)) {
        due += rng_below(&l->sim->rng, (uint32_t)l->conf.jitter_us);
        l->stats.reordered++;
    }
    return due;
}

/* What goes on from where it was not lost. Takes the frame. */
static void link_carry(struct link *l, struct end *to, struct frame *f, uint64_t due)
{
    struct rng *r = &l->sim->rng;
    const struct link_conf *c = &l->conf;
    if (sim_chance(r, c->ce_ppm))
        l->stats.marked += alter_mark(f->pkt.data, f->pkt.len);
    if (sim_chance(r, c->shrink_ppm))
        l->stats.shrunk += alter_window(r, f->pkt.data, f->pkt.len);
    if (sim_chance(r, c->evade_ppm))
        frame_evade(l, to, f, due);
    if (sim_chance(r, c->dup_ppm)) {
        struct frame *d = frame_copy(l, f);
        if (d) {
            frame_schedule(to, d, due + rng_below(r, (uint32_t)c->delay_us + 1));
            l->stats.duplicated++;
        }
    }
    if (sim_chance(r, c->frag_ppm) && frame_cut(l, to, f, due)) {
        link_free(NULL, &f->pkt);
        return;
    }
    if (sim_chance(r, c->corrupt_ppm))
        frame_corrupt(l, f);
    frame_schedule(to, f, due);
}

/* Sends one frame through every impairment towards `to`. Takes the frame. */
static void link_send(struct link *l, struct end *to, struct frame *f)
{
    l->stats.sent++;
    uint64_t out = frame_is_too_big(l, to, f) ? 0 : transmit_end(l, to, f->pkt.len);
    if (out && frame_is_lost(l, to)) {
        l->stats.lost++;
        out = 0;
    }
    if (out)
        link_carry(l, to, f, frame_due(l, out));
    else
        link_free(NULL, &f->pkt);
}

void link_inject(struct link *l, unsigned end, const uint8_t *frame, uint32_t len)
{
    struct frame *f = frame_new(l);
    if (!f)
        return;
    memcpy(f->buf, frame, len);
    f->pkt.len = len;
    link_send(l, &l->end[end], f);
}

static unsigned link_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct end *from = (struct end *)(void *)io;
    struct link *l = from->link;
    struct end *to = end_other(l, from);
    for (unsigned i = 0; i < n; i++)
        link_send(l, to, (struct frame *)(void *)pkts[i]);
    return n;
}

static unsigned link_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct end *e = (struct end *)(void *)io;
    unsigned got = 0;
    while (got < n && e->inbox && e->inbox->due_us <= e->link->sim->now_us) {
        struct frame *f = e->inbox;
        e->inbox = f->next;
        f->pkt.flags = 0;
        pkts[got++] = &f->pkt;
        e->link->stats.delivered++;
    }
    return got;
}

struct link *link_create(struct sim *s, const struct link_conf *conf)
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->sim = s;
    l->conf = *conf;
    l->mtu = conf->mtu;
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &l->end[i];
        e->link = l;
        e->io = (struct mtcp_io){.rx_burst = link_rx,
                                 .tx_burst = link_tx,
                                 .alloc = link_alloc,
                                 .free = link_free,
                                 .mtu = conf->mtu,
                                 .mac = {2, 0, 0, 0, 0, (uint8_t)(i + 1)},
                                 .name = "sim0",
                                 .caps = MTCP_IO_NO_WAKEUP};
    }
    return l;
}

void link_destroy(struct link *l)
{
    for (unsigned i = 0; i < 2; i++)
        while (l->end[i].inbox) {
            struct frame *f = l->end[i].inbox;
            l->end[i].inbox = f->next;
            link_free(NULL, &f->pkt);
        }
    free(l);
}

struct mtcp_io *link_end(struct link *l, unsigned end)
{
    return &l->end[end].io;
}

uint64_t link_next_us(const struct link *l)
{
    uint64_t next = SIM_NEVER;
    for (unsigned i = 0; i < 2; i++)
        if (l->end[i].inbox && l->end[i].inbox->due_us < next)
            next = l->end[i].inbox->due_us;
    return next;
}

const struct link_stats *link_stats(const struct link *l)
{
    return &l->stats;
}

size_t link_pkts_out(const struct link *l)
{
    size_t waiting = 0;
    for (unsigned i = 0; i < 2; i++)
        for (const struct frame *f = l->end[i].inbox; f; f = f->next)
            waiting++;
    return l->n_out - waiting;
}

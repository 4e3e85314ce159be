/* The impaired link: two mtcp_io ends, frames scheduled for delivery in virtual time. */
#include "tests/sim/sim.h"

#include "mtcp/wire/build.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/parse.h"

#include <stdlib.h>
#include <string.h>

#define LINK_ROOM 2048u

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

static struct frame *frame_copy(struct link *l, const struct frame *f)
{
    struct frame *c = (struct frame *)(void *)link_alloc(&l->end[0].io);
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
    if (waiting > l->conf.queue_bytes)
        return 0;
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

/* A copy of a data segment with other bytes, perhaps shifted into its neighbour: valid in every
 * other respect, as an evader would send it. */
static struct frame *frame_evasion(struct link *l, const struct frame *f)
{
    struct rng *r = &l->sim->rng;
    struct packet p;
    if (packet_parse(&p, f->pkt.data, f->pkt.len, PACKET_CSUM_GOOD) < 0 || p.kind != PACKET_TCP ||
        p.seg.len < 2 || (p.seg.flags & TCP_SYN))
        return NULL;
    struct frame *c = frame_copy(l, f);
    if (!c)
        return NULL;
    struct seg s = p.seg;
    s.tuple = (struct flow_tuple){p.src, p.dst, p.seg.tuple.remote_port, p.seg.tuple.local_port};
    s.flags &= (uint8_t)~TCP_FIN;
    uint32_t cut = rng_below(r, s.len);
    s.seq = seq_add(s.seq, rng_below(r, 2) ? cut : 0);
    s.len -= cut;
    struct build_l2 l2 = {.src = p.eth_src, .dst = p.eth_dst};
    struct build_lens lens = build_tcp(c->buf, &l2, &s, p.ip_id);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    if (hdrs + s.len > LINK_ROOM) {
        link_free(NULL, &c->pkt);
        return NULL;
    }
    for (uint32_t i = 0; i < s.len; i++)
        c->buf[hdrs + i] = (uint8_t)rng_u32(r);
    build_tcp_csum(c->buf, lens, s.len, (struct build_offload){0});
    c->pkt.len = hdrs + s.len;
    return c;
}

static void frame_corrupt(struct link *l, struct frame *f)
{
    struct rng *r = &l->sim->rng;
    f->pkt.data[rng_below(r, f->pkt.len)] ^= (uint8_t)(1u << rng_below(r, 8));
    l->stats.corrupted++;
}

/* A router's mark instead of a loss, on what says that it may be marked (RFC 3168 5). */
static void frame_mark(struct link *l, struct frame *f)
{
    uint8_t *ip = f->pkt.data + ETH_HDR_LEN;
    if (f->pkt.len >= ETH_HDR_LEN + IPV6_HDR_LEN && ip[0] >> 4 == 6 && (ip[1] & 0x30)) {
        ip[1] |= 0x30;
        l->stats.marked++;
        return;
    }
    if (f->pkt.len < ETH_HDR_LEN + IPV4_HDR_LEN || ip[0] != 0x45 || !(ip[1] & 3))
        return;
    ip[1] |= 3;
    ip[10] = ip[11] = 0;
    uint16_t sum = csum_fold(csum_add(0, ip, IPV4_HDR_LEN));
    memcpy(ip + 10, &sum, sizeof(sum));
    l->stats.marked++;
}

/* Sends one frame through every impairment towards `to`. Takes the frame. */
static void link_send(struct link *l, struct end *to, struct frame *f)
{
    struct rng *r = &l->sim->rng;
    const struct link_conf *c = &l->conf;
    l->stats.sent++;
    uint64_t out = transmit_end(l, to, f->pkt.len);
    if (!out) {
        l->stats.queue_drops++;
        link_free(NULL, &f->pkt);
        return;
    }
    if (frame_is_lost(l, to)) {
        l->stats.lost++;
        link_free(NULL, &f->pkt);
        return;
    }
    uint64_t due = out + c->delay_us;
    if (c->jitter_us && sim_chance(r, c->reorder_ppm)) {
        due += rng_below(r, (uint32_t)c->jitter_us);
        l->stats.reordered++;
    }
    if (sim_chance(r, c->ce_ppm))
        frame_mark(l, f);
    if (sim_chance(r, c->evade_ppm)) {
        struct frame *e = frame_evasion(l, f);
        if (e) {
            frame_schedule(to, e, rng_below(r, 2) || due == 0 ? due : due - 1);
            l->stats.evasions++;
        }
    }
    if (sim_chance(r, c->dup_ppm)) {
        struct frame *d = frame_copy(l, f);
        if (d) {
            frame_schedule(to, d, due + rng_below(r, (uint32_t)c->delay_us + 1));
            l->stats.duplicated++;
        }
    }
    if (sim_chance(r, c->corrupt_ppm))
        frame_corrupt(l, f);
    frame_schedule(to, f, due);
}

static unsigned link_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct end *from = (struct end *)(void *)io;
    struct link *l = from->link;
    struct end *to = &l->end[from == &l->end[0] ? 1 : 0];
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

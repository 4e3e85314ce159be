/*
 * Two ends of an in-memory link. Each end has a pool of packets and a ring of received frames; a
 * frame that is sent moves, uncopied, into the other end's ring, and comes home to the pool it was
 * taken from when it is freed, at whichever end. Nothing is lost, delayed or reordered here: a test
 * that wants that puts its own link between two devices.
 *
 * Offloads are the link's: a frame whose checksum was left to the device arrives as verified, one
 * to be cut arrives uncut. What is asked for without the capability is not done.
 */
#include "mtcp/io/io.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ETH_LEN         14u
#define MTU_DEFAULT     1500u
#define TSO_MAX_DEFAULT 65535u
#define CACHE_LINE      64u

struct pair_pkt {
    alignas(CACHE_LINE) struct mtcp_pkt pkt;
    struct pair_end *home;
    bool is_free;
    alignas(CACHE_LINE) uint8_t bytes[];
};

struct pair_end {
    struct mtcp_io io;
    struct pair_end *peer;
    struct mtcp_pkt *free_list;
    struct mtcp_pkt **ring; /* frames sent by the peer, not yet received */
    unsigned head, n_ring, depth;
    uint32_t room;
    struct mtcp_io_stats stats;
};

struct mtcp_io_pair {
    struct pair_end ends[2];
    uint8_t *memory; /* the packets of both ends */
};

static struct pair_end *end_of(struct mtcp_io *io)
{
    return io->priv;
}

static void pkt_go_home(struct mtcp_pkt *pkt)
{
    struct pair_pkt *pp = (struct pair_pkt *)(void *)pkt;
    ASSERT(!pp->is_free);
    pp->is_free = true;
    pkt->next = pp->home->free_list;
    pp->home->free_list = pkt;
    pp->home->stats.pkts_free++;
}

static struct mtcp_pkt *pair_alloc(struct mtcp_io *io)
{
    struct pair_end *e = end_of(io);
    struct mtcp_pkt *pkt = e->free_list;
    if (!pkt)
        return NULL;
    struct pair_pkt *pp = (struct pair_pkt *)(void *)pkt;
    e->free_list = pkt->next;
    e->stats.pkts_free--;
    pp->is_free = false;
    *pkt = (struct mtcp_pkt){.data = pp->bytes, .room = e->room};
    return pkt;
}

static void pair_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    (void)io;
    pkt_go_home(pkt);
}

static unsigned pair_rx_burst(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct pair_end *e = end_of(io);
    if (n > e->n_ring)
        n = e->n_ring;
    for (unsigned i = 0; i < n; i++) {
        pkts[i] = e->ring[e->head];
        e->head = e->head + 1 == e->depth ? 0 : e->head + 1;
        e->stats.rx_bytes += pkts[i]->len;
    }
    e->n_ring -= n;
    e->stats.rx_packets += n;
    return n;
}

/* Does the frame fit the link: its MTU, or with TSO the largest packet the device would cut? */
static bool frame_fits(const struct pair_end *e, const struct mtcp_pkt *pkt)
{
    bool is_tso = (pkt->flags & MTCP_PKT_TX_TSO) && (e->io.caps & MTCP_IO_TSO);
    return pkt->len <= ETH_LEN + (is_tso ? e->io.tso_max : e->io.mtu);
}

/* What the receiving device says of a frame that was sent with `flags`. */
static uint32_t rx_flags(const struct pair_end *from, uint32_t flags)
{
    bool ip = (flags & MTCP_PKT_TX_IP_CSUM) && (from->io.caps & MTCP_IO_TX_IP_CSUM);
    bool tcp = (flags & MTCP_PKT_TX_TCP_CSUM) && (from->io.caps & MTCP_IO_TX_TCP_CSUM);
    bool tso = (flags & MTCP_PKT_TX_TSO) && (from->io.caps & MTCP_IO_TSO);
    return ip || tcp || tso ? MTCP_PKT_RX_CSUM_GOOD | MTCP_PKT_RX_CSUM_OPEN : 0;
}

static void ring_push(struct pair_end *to, struct mtcp_pkt *pkt)
{
    unsigned at = to->head + to->n_ring;
    to->ring[at >= to->depth ? at - to->depth : at] = pkt;
    to->n_ring++;
}

static unsigned pair_tx_burst(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct pair_end *e = end_of(io);
    for (unsigned i = 0; i < n; i++) {
        struct mtcp_pkt *pkt = pkts[i];
        if (e->peer->n_ring == e->peer->depth)
            return i;
        if (!frame_fits(e, pkt)) {
            e->stats.tx_dropped++;
            pkt_go_home(pkt);
            continue;
        }
        e->stats.tx_packets++;
        e->stats.tx_bytes += pkt->len;
        if (pkt->flags & MTCP_PKT_TX_PIECES)
            mtcp_pkt_join(pkt);
        pkt->flags = rx_flags(e, pkt->flags);
        pkt->next = NULL;
        ring_push(e->peer, pkt);
    }
    return n;
}

static int pair_sleep_begin(struct mtcp_io *io, bool *ready)
{
    *ready = end_of(io)->n_ring > 0;
    return -1;
}

static void pair_sleep_end(struct mtcp_io *io)
{
    (void)io;
}

static void pair_stats(struct mtcp_io *io, struct mtcp_io_stats *out)
{
    *out = end_of(io)->stats;
}

static void end_init(struct pair_end *e, const struct mtcp_io_pair_conf *conf, unsigned index)
{
    e->io = (struct mtcp_io){
        .rx_burst = pair_rx_burst,
        .tx_burst = pair_tx_burst,
        .alloc = pair_alloc,
        .free = pair_free,
        .sleep_begin = pair_sleep_begin,
        .sleep_end = pair_sleep_end,
        .stats = pair_stats,
        .caps = conf->caps | MTCP_IO_NO_WAKEUP,
        .mtu = conf->mtu ? conf->mtu : MTU_DEFAULT,
        .tso_max = conf->tso_max ? conf->tso_max : TSO_MAX_DEFAULT,
        .mac = {0x02, 0, 0, 0, 0, (uint8_t)(index + 1)}, /* locally administered */
        .name = index == 0 ? "pair0" : "pair1",
        .priv = e,
    };
    uint32_t ip_max = e->io.mtu;
    if ((conf->caps & MTCP_IO_TSO) && e->io.tso_max > ip_max)
        ip_max = e->io.tso_max;
    e->room = ETH_LEN + ip_max;
    e->depth = conf->depth;
    e->stats.pkts_total = conf->n_pkts;
}

static size_t pkt_stride(const struct pair_end *e)
{
    size_t size = sizeof(struct pair_pkt) + e->room;
    return (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

/* Cuts `memory` into the end's packets, the first of which is handed out first. */
static void end_fill(struct pair_end *e, uint8_t *memory)
{
    size_t stride = pkt_stride(e);
    for (size_t i = e->stats.pkts_total; i-- > 0;) {
        struct pair_pkt *pp = (struct pair_pkt *)(void *)(memory + i * stride);
        pp->home = e;
        pp->is_free = false;
        pkt_go_home(&pp->pkt);
    }
}

struct mtcp_io_pair *mtcp_io_pair_create(const struct mtcp_io_pair_conf *conf)
{
    struct mtcp_io_pair *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    for (unsigned i = 0; i < 2; i++) {
        end_init(&p->ends[i], conf, i);
        p->ends[i].peer = &p->ends[1 - i];
        p->ends[i].ring = calloc(conf->depth ? conf->depth : 1, sizeof(struct mtcp_pkt *));
    }
    size_t pool_bytes = pkt_stride(&p->ends[0]) * conf->n_pkts;
    p->memory = aligned_alloc(CACHE_LINE, pool_bytes ? 2 * pool_bytes : CACHE_LINE);
    if (!p->memory || !p->ends[0].ring || !p->ends[1].ring) {
        mtcp_io_pair_destroy(p);
        return NULL;
    }
    end_fill(&p->ends[0], p->memory);
    end_fill(&p->ends[1], p->memory + pool_bytes);
    return p;
}

struct mtcp_io *mtcp_io_pair_end(struct mtcp_io_pair *p, unsigned end)
{
    if (end > 1) {
        errno = EINVAL;
        return NULL;
    }
    return &p->ends[end].io;
}

void mtcp_io_pair_destroy(struct mtcp_io_pair *p)
{
    if (!p)
        return;
    free(p->ends[0].ring);
    free(p->ends[1].ring);
    free(p->memory);
    free(p);
}

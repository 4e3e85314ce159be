/*
 * Steering. Copies lie in slots of one block, which every core takes from and gives back to over a
 * ring; what does not fit a slot (a packet put together of fragments, a device's large frame) gets
 * memory of its own. A port's packets are told apart by their address: in the block, or its
 * queue's.
 */
#include "mtcp/core/steer.h"

#include "mtcp/io/io.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/parse.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_PKTS      1024u /* that wait for one core, of one device */
#define SLOTS_PER_CORE 2048u /* and device: what waits for a core, and for its device */
#define SLOT_BYTES     2048u
#define WRONG_MAX      64u        /* hashes of a device until it is believed no longer */
#define ALL            UINT32_MAX /* cores */
#define ANY            (UINT32_MAX - 1)

struct slot {
    struct mtcp_pkt pkt; /* first */
    uint8_t *big;        /* its bytes, when they do not fit; NULL: they do */
    uint8_t bytes[];
};

#define SLOT_ROOM ((uint32_t)(SLOT_BYTES - sizeof(struct slot)))

struct port {
    struct mtcp_io io; /* first: the interface is the port */
    struct steer *steer;
    struct mtcp_io *own; /* the core's queue of the device, or NULL */
    struct io_ring *inbox, *outbox;
    unsigned dev, core;
    int epoll_fd, event_fd, own_fd; /* own_fd: in epoll_fd, or -1 */
    _Atomic bool is_open, is_asleep;
    atomic_flag is_used_for; /* another core uses the queue, for this one does not run */
    bool own_sleeps;         /* its sleep_begin() was called */
    uint64_t rx_packets, rx_bytes, rx_lost, tx_packets, tx_lost;
    unsigned n_wrong; /* of the device's hashes, of flows that were not known here */
};

struct core {
    struct steer *steer;
    unsigned index;
    struct net_steer net;
};

struct steer {
    unsigned n_cores, n_devs;
    struct hash_toeplitz hash;
    uint16_t *owner; /* of a flow with this hash, modulo n_buckets */
    uint32_t n_buckets;
    uint8_t *block; /* of slots */
    size_t n_slots;
    struct io_ring *free;
    struct port *ports; /* [dev][core] */
    struct core *cores;
    unsigned n_queues;              /* of all devices */
    _Atomic unsigned n_queues_open; /* whose cores run */
};

static struct port *port_of(struct mtcp_io *io)
{
    return (struct port *)(void *)io;
}

static struct port *port_at(const struct steer *s, unsigned dev, unsigned core)
{
    return &s->ports[(size_t)dev * s->n_cores + core];
}

/* ---- whose is it? ---------------------------------------------------------------------------- */

static unsigned owner_of_hash(const struct steer *s, uint32_t hash)
{
    return s->owner[hash & (s->n_buckets - 1)];
}

/* Addresses and ports as they are in the header of what arrives. */
uint32_t steer_hash(const struct steer *s, const struct flow_tuple *t)
{
    uint8_t in[HASH_TOEPLITZ_BYTES], *at = in;
    const struct ip_addr *ends[2] = {&t->remote, &t->local};
    const be16_t ports[2] = {be16_make(t->remote_port), be16_make(t->local_port)};
    unsigned skip = ip_addr_is_v4(&t->local) ? 12 : 0;
    for (unsigned i = 0; i < 2; i++) {
        struct ip_addr plain = *ends[i];
        ip_addr_set_zone(&plain, 0);
        memcpy(at, plain.b + skip, sizeof(plain.b) - skip);
        at += sizeof(plain.b) - skip;
    }
    memcpy(at, ports, sizeof(ports));
    return hash_toeplitz(&s->hash, in, (unsigned)(at - in) + sizeof(ports));
}

unsigned steer_owner(const struct steer *s, const struct flow_tuple *t)
{
    return owner_of_hash(s, steer_hash(s, t));
}

/* All fragments of a packet meet; who puts it together hands it over. */
static unsigned owner_of_fragment(const struct steer *s, const struct packet *p)
{
    struct flow_tuple t = {.local = p->dst,
                           .remote = p->src,
                           .local_port = (uint16_t)p->frag.id,
                           .remote_port = (uint16_t)(p->frag.id >> 16)};
    return steer_owner(s, &t);
}

/* A core, ALL, or ANY: whoever has it may keep it. */
static unsigned owner_of(const struct steer *s, const struct packet *p)
{
    switch (p->kind) {
    case PACKET_TCP:
        return steer_owner(s, &p->seg.tuple);
    case PACKET_ICMP_ERROR:
        return p->icmp.has_tcp ? steer_owner(s, &p->icmp.tuple) : ANY;
    case PACKET_FRAGMENT:
        return owner_of_fragment(s, p);
    case PACKET_ARP:
    case PACKET_NDP:
        return ALL;
    default:
        return ANY;
    }
}

static unsigned owner_of_frame(const struct steer *s, const struct mtcp_pkt *pkt)
{
    struct packet p;
    if (packet_parse(&p, pkt->data, pkt->len, PACKET_CSUM_GOOD) < 0)
        return ANY; /* whoever takes it counts it */
    return owner_of(s, &p);
}

/* ---- copies ---------------------------------------------------------------------------------- */

static bool is_copy(const struct steer *s, const struct mtcp_pkt *pkt)
{
    uintptr_t off = (uintptr_t)pkt - (uintptr_t)s->block;
    return off < s->n_slots * SLOT_BYTES;
}

/* A slot with room for len bytes, or NULL. */
static struct slot *slot_take(struct steer *s, uint32_t len)
{
    void *at;
    uint8_t *big = NULL;
    if (len > SLOT_ROOM && !(big = malloc(len)))
        return NULL;
    if (io_ring_get(s->free, &at, 1) == 0) {
        free(big);
        return NULL;
    }
    struct slot *slot = at;
    slot->big = big;
    slot->pkt = (struct mtcp_pkt){.data = big ? big : slot->bytes, .room = big ? len : SLOT_ROOM};
    return slot;
}

static void slot_give(struct steer *s, struct slot *slot)
{
    free(slot->big);
    BUG_ON(!io_ring_put(s->free, slot)); /* it has room for all */
}

static struct slot *slot_of(struct mtcp_pkt *pkt)
{
    return (struct slot *)(void *)pkt;
}

static void wake(struct port *p)
{
    uint64_t one = 1;
    atomic_thread_fence(memory_order_seq_cst); /* pairs with port_sleep_begin()'s */
    if (atomic_load_explicit(&p->is_asleep, memory_order_relaxed)) {
        ssize_t n = write(p->event_fd, &one, sizeof(one));
        (void)n; /* full: it is awake */
    }
}

/* The bytes and all that is known of them; there is room. */
static void copy_to(struct mtcp_pkt *to, const struct mtcp_pkt *from)
{
    memcpy(to->data, from->data, from->len);
    to->len = from->len;
    to->flags = from->flags;
    to->l2_len = from->l2_len;
    to->l3_len = from->l3_len;
    to->l4_len = from->l4_len;
    to->tso_mss = from->tso_mss;
    to->rx_us = from->rx_us;
    to->rss_hash = from->rss_hash;
}

/* NULL, and counted: none can be made. */
static struct slot *copy_of(struct port *me, const struct mtcp_pkt *pkt)
{
    struct slot *slot = slot_take(me->steer, pkt->len);
    if (unlikely(!slot)) {
        me->rx_lost++;
        return NULL;
    }
    copy_to(&slot->pkt, pkt);
    return slot;
}

/* A copy for another core; `me` counts what is lost. */
static void hand_copy(struct port *me, struct port *to, const struct mtcp_pkt *pkt)
{
    struct slot *slot = copy_of(me, pkt);
    if (unlikely(!slot))
        return;
    if (unlikely(!io_ring_put(to->inbox, slot))) {
        slot_give(me->steer, slot);
        me->rx_lost++;
        return;
    }
    wake(to);
}

static bool port_is_open(const struct port *p)
{
    return atomic_load_explicit(&p->is_open, memory_order_acquire);
}

/* Hands the packet to whoever it is for; true: to this core as well, or to it alone. The share of a
 * core that does not run stays where it arrives. */
static bool steer_packet(struct port *me, const struct mtcp_pkt *pkt)
{
    const struct steer *s = me->steer;
    if (pkt->flags & MTCP_PKT_RX_RSS && owner_of_hash(s, pkt->rss_hash) == me->core &&
        likely(me->n_wrong < WRONG_MAX))
        return true; /* by the device's word; a flow that is not known here is asked about again */
    unsigned owner = owner_of_frame(s, pkt);
    if (likely(owner == me->core) || owner == ANY)
        return true;
    if (owner != ALL) {
        struct port *to = port_at(s, me->dev, owner);
        if (!port_is_open(to))
            return true;
        hand_copy(me, to, pkt);
        return false;
    }
    for (unsigned i = 0; i < s->n_cores; i++)
        if (i != me->core && port_is_open(port_at(s, me->dev, i)))
            hand_copy(me, port_at(s, me->dev, i), pkt);
    return true;
}

/* ---- bursts ---------------------------------------------------------------------------------- */

/* Sends a copy by the port's queue, whose packet it becomes. The device may refuse: then it is
 * lost, as on a full link. */
static void copy_send(struct port *p, struct mtcp_pkt *copy)
{
    struct mtcp_pkt *pkt = p->own->alloc(p->own);
    bool fits = pkt && pkt->room >= copy->len;
    if (fits)
        copy_to(pkt, copy);
    slot_give(p->steer, slot_of(copy));
    if (fits && p->own->tx_burst(p->own, &pkt, 1) == 1)
        return;
    p->tx_lost++;
    if (pkt)
        p->own->free(p->own, pkt);
}

/* What cores without a queue send; some of it. */
static unsigned outbox_send(struct port *p)
{
    void *copies[IO_BURST];
    unsigned n = io_ring_get(p->outbox, copies, IO_BURST);
    for (unsigned i = 0; i < n; i++)
        copy_send(p, copies[i]);
    return n;
}

/* The queue of a core that does not run: nobody else uses it between these. False: the core runs,
 * or another is at it. */
static bool orphan_take(struct port *of)
{
    if (atomic_flag_test_and_set(&of->is_used_for))
        return false;
    if (!port_is_open(of))
        return true;
    atomic_flag_clear(&of->is_used_for);
    return false;
}

static void orphan_leave(struct port *of)
{
    atomic_flag_clear(&of->is_used_for);
}

/* Up to n packets of the core's own queue, of which those that are not for it are handed on. */
static unsigned own_read(struct port *p, struct mtcp_pkt **pkts, unsigned n)
{
    struct mtcp_pkt *raw[IO_BURST];
    unsigned n_raw = p->own->rx_burst(p->own, raw, n), k = 0;
    for (unsigned i = 0; i < n_raw; i++)
        if (likely(steer_packet(p, raw[i])))
            pkts[k++] = raw[i];
        else
            p->own->free(p->own, raw[i]);
    return k;
}

static bool is_first_open(const struct port *p)
{
    for (unsigned i = 0; i < p->core; i++)
        if (port_is_open(port_at(p->steer, p->dev, i)))
            return false;
    return true;
}

/* Are there queues that nobody else reads? */
static bool has_orphans(const struct port *p)
{
    const struct steer *s = p->steer;
    return unlikely(atomic_load_explicit(&s->n_queues_open, memory_order_acquire) < s->n_queues) &&
           is_first_open(p);
}

/* The same of a queue whose core does not run: what is kept is kept as a copy. A core that begins
 * waits until this is over (steer_port()). */
static unsigned orphan_read(struct port *p, struct port *of, struct mtcp_pkt **pkts, unsigned n)
{
    struct mtcp_pkt *raw[IO_BURST];
    unsigned k = 0;
    if (!orphan_take(of))
        return 0;
    unsigned n_raw = of->own->rx_burst(of->own, raw, n);
    for (unsigned i = 0; i < n_raw; i++) {
        struct slot *kept = steer_packet(p, raw[i]) ? copy_of(p, raw[i]) : NULL;
        of->own->free(of->own, raw[i]);
        if (kept)
            pkts[k++] = &kept->pkt;
    }
    orphan_leave(of);
    return k;
}

static unsigned orphans_read(struct port *p, struct mtcp_pkt **pkts, unsigned n)
{
    unsigned k = 0;
    for (unsigned i = 0; i < p->steer->n_cores && k < n; i++) {
        struct port *of = port_at(p->steer, p->dev, i);
        if (of->own && !port_is_open(of))
            k += orphan_read(p, of, pkts + k, n - k);
    }
    return k;
}

static unsigned port_rx_burst(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct port *p = port_of(io);
    n = n < IO_BURST ? n : IO_BURST;
    /* What others bring leaves room for the queue. */
    unsigned k = io_ring_get(p->inbox, (void **)pkts, p->own ? (n + 1) / 2 : n);
    if (p->own) {
        (void)outbox_send(p);
        if (k < n)
            k += own_read(p, pkts + k, n - k);
    }
    if (k < n && has_orphans(p))
        k += orphans_read(p, pkts + k, n - k);
    for (unsigned i = 0; i < k; i++)
        p->rx_bytes += pkts[i]->len;
    p->rx_packets += k;
    return k;
}

static void port_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    struct port *p = port_of(io);
    if (is_copy(p->steer, pkt))
        slot_give(p->steer, slot_of(pkt));
    else
        p->own->free(p->own, pkt);
}

static struct mtcp_pkt *port_alloc(struct mtcp_io *io)
{
    struct port *p = port_of(io);
    if (p->own)
        return p->own->alloc(p->own);
    struct slot *slot = slot_take(p->steer, ETH_HDR_LEN + (uint32_t)io->mtu);
    return slot ? &slot->pkt : NULL;
}

/* The longest run of packets that the queue takes as they are. */
static unsigned own_tx(struct port *p, struct mtcp_pkt **pkts, unsigned n)
{
    unsigned n_own = 0;
    while (n_own < n && !is_copy(p->steer, pkts[n_own]))
        n_own++;
    if (n_own > 0)
        return p->own->tx_burst(p->own, pkts, n_own);
    copy_send(p, pkts[0]);
    return 1; /* or it is lost */
}

/* Who sends for a core without a queue: one that runs, if there is one. */
static struct port *sender_of(const struct port *p)
{
    struct port *found = NULL;
    for (unsigned i = 0; i < p->steer->n_cores; i++) {
        struct port *at = port_at(p->steer, p->dev, (p->core + i) % p->steer->n_cores);
        if (at->own && port_is_open(at))
            return at;
        if (at->own)
            found = at;
    }
    return found;
}

/* The core that was to send does not run, or has just ended. */
static void orphan_send(struct port *of)
{
    if (!orphan_take(of))
        return;
    while (outbox_send(of) > 0)
        ;
    orphan_leave(of);
}

static unsigned other_tx(struct port *p, struct mtcp_pkt **pkts, unsigned n)
{
    struct port *sender = sender_of(p);
    unsigned sent = 0;
    while (sent < n && io_ring_put(sender->outbox, pkts[sent]))
        sent++;
    p->tx_packets += sent;
    if (likely(port_is_open(sender)))
        wake(sender);
    else
        orphan_send(sender);
    return sent;
}

static unsigned port_tx_burst(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct port *p = port_of(io);
    if (!p->own)
        return other_tx(p, pkts, n);
    unsigned sent = 0, k;
    while (sent < n && (k = own_tx(p, pkts + sent, n - sent)) > 0)
        sent += k;
    return sent;
}

/* ---- sleep ----------------------------------------------------------------------------------- */

static void events_forget(struct port *p)
{
    struct epoll_event ev[4];
    uint64_t count;
    if (epoll_wait(p->epoll_fd, ev, 4, 0) <= 0)
        return;
    ssize_t n = read(p->event_fd, &count, sizeof(count));
    (void)n; /* there may have been none */
}

/* The queue's own descriptor is the same each time. An edge that was forgotten with the others is
 * seen here: some descriptors stay readable until their packet is read. False: it can't be slept
 * on. */
static bool own_watch(struct port *p, int fd, bool *ready)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    struct pollfd now = {.fd = fd, .events = POLLIN};
    if (fd < 0)
        return false; /* nothing tells of its packets: a nap */
    if (p->own_fd != fd && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return false;
    p->own_fd = fd;
    *ready = poll(&now, 1, 0) == 1;
    return !*ready;
}

static int port_sleep_begin(struct mtcp_io *io, bool *ready)
{
    struct port *p = port_of(io);
    events_forget(p);
    atomic_store_explicit(&p->is_asleep, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    *ready = !io_ring_is_empty(p->inbox) || !io_ring_is_empty(p->outbox);
    if (*ready || has_orphans(p))
        return -1; /* orphans: a nap */
    if (!p->own)
        return p->epoll_fd;
    p->own_sleeps = p->own->sleep_begin != NULL;
    int fd = p->own_sleeps ? p->own->sleep_begin(p->own, ready) : -1;
    return *ready || !own_watch(p, fd, ready) ? -1 : p->epoll_fd;
}

static void port_sleep_end(struct mtcp_io *io)
{
    struct port *p = port_of(io);
    atomic_store_explicit(&p->is_asleep, false, memory_order_relaxed);
    if (p->own_sleeps && p->own->sleep_end)
        p->own->sleep_end(p->own);
    p->own_sleeps = false;
}

/* ---- the core's side ------------------------------------------------------------------------- */

static bool core_is_home(void *arg, const struct flow_tuple *t)
{
    const struct core *c = arg;
    return steer_owner(c->steer, t) == c->index;
}

static bool core_hand_over(void *arg, unsigned dev, const struct packet *p, struct mtcp_pkt *pkt)
{
    const struct core *c = arg;
    unsigned owner = owner_of(c->steer, p);
    if (owner == c->index || owner >= c->steer->n_cores)
        return false;
    struct port *to = port_at(c->steer, dev, owner), *me = port_at(c->steer, dev, c->index);
    if (!port_is_open(to))
        return false;
    bool is_wrong =
        (pkt->flags & MTCP_PKT_RX_RSS) && owner_of_hash(c->steer, pkt->rss_hash) == c->index;
    me->n_wrong += is_wrong && me->n_wrong < WRONG_MAX;
    hand_copy(me, to, pkt);
    return true;
}

const struct net_steer *steer_of_core(struct steer *s, unsigned core)
{
    return &s->cores[core].net;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void ring_drain(struct steer *s, struct io_ring *r)
{
    void *at;
    while (r && io_ring_get(r, &at, 1) == 1)
        slot_give(s, at);
}

static void events_destroy(struct port *p)
{
    if (p->epoll_fd >= 0)
        close(p->epoll_fd);
    if (p->event_fd >= 0)
        close(p->event_fd);
    p->epoll_fd = p->event_fd = -1;
}

static void others_wake(const struct port *p)
{
    for (unsigned i = 0; i < p->steer->n_cores; i++)
        if (port_is_open(port_at(p->steer, p->dev, i)))
            wake(port_at(p->steer, p->dev, i));
}

/* Waits until no other core uses the queue: a burst at most. */
static void queue_acquire(struct port *p)
{
    while (atomic_flag_test_and_set(&p->is_used_for))
        ;
}

static void port_close(struct mtcp_io *io)
{
    struct port *p = port_of(io);
    if (!port_is_open(p))
        return;
    if (p->own_fd >= 0)
        epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, p->own_fd, NULL);
    p->own_fd = -1;
    queue_acquire(p);
    atomic_store(&p->is_open, false);
    if (p->own) {
        while (outbox_send(p) > 0)
            ; /* the last that others have to say */
        if (p->own->close)
            p->own->close(p->own);
        atomic_fetch_sub(&p->steer->n_queues_open, 1);
    }
    orphan_leave(p);
    ring_drain(p->steer, p->inbox);
    others_wake(p); /* the first of them reads the queue from now on */
}

static void port_stats(struct mtcp_io *io, struct mtcp_io_stats *out)
{
    const struct port *p = port_of(io);
    memset(out, 0, sizeof(*out));
    if (p->own && p->own->stats)
        p->own->stats(p->own, out);
    if (!p->own)
        out->tx_packets = p->tx_packets;
    out->rx_packets = p->rx_packets;
    out->rx_bytes = p->rx_bytes;
    out->rx_dropped += p->rx_lost;
    out->tx_dropped += p->tx_lost;
}

/* They stay until the end: a core that hands over may be late. */
static int events_create(struct port *p)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->epoll_fd >= 0 && p->event_fd >= 0 &&
        epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->event_fd, &ev) == 0)
        return 0;
    events_destroy(p);
    return -1;
}

struct mtcp_io *steer_port(struct steer *s, unsigned dev, unsigned core)
{
    struct port *p = port_at(s, dev, core);
    if (port_is_open(p))
        return &p->io;
    if (p->epoll_fd < 0 && events_create(p) < 0)
        return NULL;
    ring_drain(s, p->inbox); /* what came too late for the last one */
    queue_acquire(p);
    p->n_wrong = 0;
    atomic_store(&p->is_open, true);
    if (p->own)
        atomic_fetch_add(&s->n_queues_open, 1);
    orphan_leave(p);
    return &p->io;
}

static void port_init(struct port *p, const struct steer_dev *d)
{
    bool has_queue = p->core < d->n;
    p->own = has_queue ? d->queues[p->core] : NULL;
    p->io = *d->queues[has_queue ? p->core : 0];
    p->steer->n_queues += has_queue;
    if (!has_queue)
        p->io.caps = 0; /* what a copy needs is done before it is one */
    p->io.rx_burst = port_rx_burst;
    p->io.tx_burst = port_tx_burst;
    p->io.alloc = port_alloc;
    p->io.free = port_free;
    p->io.sleep_begin = port_sleep_begin;
    p->io.sleep_end = port_sleep_end;
    p->io.close = port_close;
    p->io.stats = port_stats;
    p->io.priv = p;
}

static bool slots_create(struct steer *s)
{
    s->n_slots = (size_t)s->n_cores * s->n_devs * SLOTS_PER_CORE;
    s->free = io_ring_create((unsigned)s->n_slots);
    s->block = aligned_alloc(64, s->n_slots * SLOT_BYTES);
    if (!s->free || !s->block)
        return false;
    for (size_t i = 0; i < s->n_slots; i++)
        BUG_ON(!io_ring_put(s->free, s->block + i * SLOT_BYTES));
    return true;
}

static bool ports_create(struct steer *s, const struct steer_dev *devs)
{
    s->ports = calloc((size_t)s->n_devs * s->n_cores, sizeof(*s->ports));
    for (unsigned dev = 0; s->ports && dev < s->n_devs; dev++)
        for (unsigned core = 0; core < s->n_cores; core++) {
            struct port *p = port_at(s, dev, core);
            *p = (struct port){.steer = s, .dev = dev, .core = core};
            p->epoll_fd = p->event_fd = p->own_fd = -1;
            port_init(p, &devs[dev]);
            p->inbox = io_ring_create(RING_PKTS);
            p->outbox = io_ring_create(RING_PKTS);
            if (!p->inbox || !p->outbox)
                return false;
        }
    return s->ports != NULL;
}

static bool owners_create(struct steer *s, const struct steer_rss *rss)
{
    hash_toeplitz_init(&s->hash, rss->key);
    s->n_buckets = rss->n_buckets;
    s->owner = calloc(s->n_buckets, sizeof(*s->owner));
    for (unsigned i = 0; s->owner && i < s->n_buckets; i++)
        s->owner[i] = (uint16_t)(i % s->n_cores);
    return s->owner != NULL;
}

unsigned steer_owner_of_bucket(const struct steer *s, unsigned bucket)
{
    return s->owner[bucket];
}

struct steer *steer_create(unsigned n_cores, const struct steer_dev *devs, unsigned n_devs,
                           const struct steer_rss *rss)
{
    struct steer *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->n_cores = n_cores;
    s->n_devs = n_devs;
    s->cores = calloc(n_cores, sizeof(*s->cores));
    if (!s->cores || !owners_create(s, rss) || !slots_create(s) || !ports_create(s, devs)) {
        steer_destroy(s);
        return NULL;
    }
    for (unsigned i = 0; i < n_cores; i++) {
        struct core *c = &s->cores[i];
        *c = (struct core){s, i, {core_is_home, core_hand_over, c}};
    }
    return s;
}

static void port_fini(struct port *p)
{
    ring_drain(p->steer, p->inbox);
    ring_drain(p->steer, p->outbox);
    io_ring_destroy(p->inbox);
    io_ring_destroy(p->outbox);
    if (p->steer) /* it was made */
        events_destroy(p);
}

void steer_destroy(struct steer *s)
{
    if (!s)
        return;
    for (unsigned i = 0; s->ports && i < s->n_devs * s->n_cores; i++)
        port_fini(&s->ports[i]);
    io_ring_destroy(s->free);
    free(s->block);
    free(s->owner);
    free(s->ports);
    free(s->cores);
    free(s);
}

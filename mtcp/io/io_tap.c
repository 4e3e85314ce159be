/*
 * A TAP of the host behind the burst interface. Each queue is a descriptor of /dev/net/tun; a frame
 * is one read or write, with a virtio-net header (vnet_hdr.h) by which the kernel and we leave
 * checksums and cutting to each other: between a socket of this host and a connection of ours a
 * segment of 64 KB goes as one frame, and nobody sums it. Where such a frame goes on from the
 * kernel's side into a real network, the kernel or its device cuts and sums it.
 *
 * Buffers have room for the largest frame. They are address space: memory comes with the first byte
 * of each page, and the last one freed is the next one used.
 *
 * Several queues. The kernel remembers for each flow the queue that sent on it last, for 3 s and
 * 4,096 flows; other flows go by a hash of both ends that it keeps to itself, and that is the same
 * for every packet of a flow. So all of a connection that a peer opened comes to one queue. One
 * that was opened here, beyond these bounds, may come to another queue.
 */
#include "mtcp/io/io.h"
#include "mtcp/io/io_devstr.h"
#include "mtcp/io/tap_if.h"
#include "mtcp/io/vnet_hdr.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ETH_LEN      14u
#define IP_MAX       65535u
#define ROOM         (ETH_LEN + IP_MAX)
#define MTU_MIN      576u /* what every host must take, RFC 791 */
#define QUEUES_MAX   64u
#define PKTS_DEFAULT 1024u
#define PKTS_MIN     256u
#define CACHE_LINE   64u
#define FRAME_AT     18u /* in tap_pkt.bytes: a header fits before it, and IP lies aligned */

/* A burst ends beyond so many bytes, so that it is read while it is in the cache. */
#define BURST_BYTES (256u << 10)

#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

struct tap_pkt {
    alignas(CACHE_LINE) struct mtcp_pkt pkt;
    alignas(CACHE_LINE) uint8_t bytes[FRAME_AT + ROOM];
};

/* The heads of buffers that lie side by side must not share cache sets. */
_Static_assert(sizeof(struct tap_pkt) % 4096 != 0, "a stride of pages");
_Static_assert(FRAME_AT >= VNET_HDR_LEN && (FRAME_AT + ETH_LEN) % 4 == 0, "room and alignment");

/* Written by the thread that uses it. */
struct tap_queue {
    struct mtcp_io io; /* first: the interface is the queue */
    int fd;
    bool is_gone; /* somebody has deleted the interface */
    struct mtcp_pkt *free_list;
    uint32_t n_fresh; /* the first of pkts, which nobody has had yet */
    struct tap_pkt *pkts;
    struct mtcp_io_stats stats;
};

struct io_tap {
    char name[64];
    char iface[IO_DEV_STR_MAX];
    unsigned n_queues;
    struct tap_queue queues[QUEUES_MAX];
};

static struct tap_queue *queue_of(struct mtcp_io *io)
{
    return (struct tap_queue *)(void *)io;
}

/* ---- buffers ------------------------------------------------------------------------------- */

static struct mtcp_pkt *tap_alloc(struct mtcp_io *io)
{
    struct tap_queue *q = queue_of(io);
    struct mtcp_pkt *pkt = q->free_list;

    if (likely(pkt != NULL))
        q->free_list = pkt->next;
    else if (q->n_fresh > 0)
        pkt = &q->pkts[--q->n_fresh].pkt;
    else
        return NULL;
    q->stats.pkts_free--;
    *pkt =
        (struct mtcp_pkt){.data = ((struct tap_pkt *)(void *)pkt)->bytes + FRAME_AT, .room = ROOM};
    return pkt;
}

static void tap_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    struct tap_queue *q = queue_of(io);

    pkt->next = q->free_list;
    q->free_list = pkt;
    q->stats.pkts_free++;
}

/* ---- bursts -------------------------------------------------------------------------------- */

/* One frame into pkt; false: there is none. */
static bool frame_read(struct tap_queue *q, struct mtcp_pkt *pkt)
{
    uint8_t *hdr = pkt->data - VNET_HDR_LEN;
    ssize_t n = read(q->fd, hdr, VNET_HDR_LEN + ROOM);

    if (n <= (ssize_t)VNET_HDR_LEN) {
        q->is_gone |= n < 0 && errno == EBADFD;
        return false;
    }
    pkt->len = (uint32_t)n - VNET_HDR_LEN;
    vnet_hdr_read(hdr, pkt);
    return true;
}

static unsigned tap_rx_burst(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct tap_queue *q = queue_of(io);
    uint32_t bytes = 0;
    unsigned k = 0;

    while (k < n && bytes < BURST_BYTES && (pkts[k] = tap_alloc(io)) != NULL) {
        if (!frame_read(q, pkts[k])) {
            tap_free(io, pkts[k]);
            break;
        }
        bytes += pkts[k++]->len;
    }
    q->stats.rx_packets += k;
    q->stats.rx_bytes += bytes;
    return k;
}

/* Does the kernel take nothing now, but may soon? */
static bool may_be_taken_later(int e)
{
    return e == EAGAIN || e == ENOBUFS || e == ENOMEM || e == EINTR;
}

static ssize_t frame_write(const struct tap_queue *q, uint8_t *hdr, const struct mtcp_pkt *pkt)
{
    struct iovec iov[1 + MTCP_PKT_PIECES_MAX];

    if (likely(!(pkt->flags & MTCP_PKT_TX_PIECES)))
        return write(q->fd, hdr, VNET_HDR_LEN + pkt->len);
    iov[0] = (struct iovec){hdr, VNET_HDR_LEN + pkt->l2_len + pkt->l3_len + pkt->l4_len};
    memcpy(iov + 1, pkt->pieces, pkt->n_pieces * sizeof(iov[0]));
    return writev(q->fd, iov, 1 + (int)pkt->n_pieces);
}

/* A frame that the kernel will never take, or not while the interface is down, is dropped. */
static unsigned tap_tx_burst(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct tap_queue *q = queue_of(io);

    for (unsigned i = 0; i < n; i++) {
        struct mtcp_pkt *pkt = pkts[i];
        uint8_t *hdr = pkt->data - VNET_HDR_LEN;
        vnet_hdr_make(hdr, pkt);
        if (likely(frame_write(q, hdr, pkt) >= 0)) {
            q->stats.tx_packets++;
            q->stats.tx_bytes += pkt->len;
        } else if (may_be_taken_later(errno)) {
            return i;
        } else {
            q->stats.tx_dropped++;
        }
        tap_free(io, pkt);
    }
    return n;
}

/* The descriptor stays readable while frames wait: there is nothing to prepare. That of an
 * interface that is gone stays so for ever. */
static int tap_sleep_begin(struct mtcp_io *io, bool *ready)
{
    const struct tap_queue *q = queue_of(io);

    *ready = false;
    return q->is_gone ? -1 : q->fd;
}

static void tap_stats(struct mtcp_io *io, struct mtcp_io_stats *out)
{
    *out = queue_of(io)->stats;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* What is opened, and where it is said what went wrong. */
struct opening {
    struct io_tap *t;
    const struct io_dev *dev;
    char *err;
    size_t err_len;
};

/* "netdev <name>: device <device>: <what>" */
static int fail(const struct opening *o, int error, const char *what)
{
    snprintf(o->err, o->err_len, "netdev %s: device %s: %s", o->t->name, o->dev->device, what);
    return error;
}

static int fail_errno(const struct opening *o, int error, const char *what)
{
    char line[256];

    snprintf(line, sizeof(line), "%.15s %s: %s", o->t->iface, what, strerror(-error));
    return fail(o, error, line);
}

/* One that was made before has the number of queues that its maker gave it: one, or several. */
static int queue_open(const struct opening *o, unsigned i, unsigned *flags)
{
    char why[256];
    const char *iface = o->t->iface;
    unsigned join = i > 0 ? TAP_IF_JOIN : 0;
    int fd = tap_if_open(iface, *flags | join, why, sizeof(why));

    if (fd == -EINVAL && i == 0) {
        *flags ^= TAP_IF_MULTI;
        fd = tap_if_open(iface, *flags, why, sizeof(why));
    }
    if (fd < 0)
        return fail(o, fd, why);
    o->t->queues[i].fd = fd;
    o->t->n_queues++;
    return 0;
}

static int queues_open(const struct opening *o)
{
    unsigned n = o->dev->n_queues;
    unsigned flags = TAP_IF_VNET | (n > 1 ? TAP_IF_MULTI : 0u);
    int rc = 0;

    n = n < QUEUES_MAX ? n : QUEUES_MAX;
    for (unsigned i = 0; rc == 0 && (i == 0 || i < n); i++) {
        rc = queue_open(o, i, &flags);
        if (!(flags & TAP_IF_MULTI))
            break;
    }
    return rc;
}

/* The same of all queues. A wire's frames are to go on as they are. */
static int headers_set(const struct opening *o)
{
    int len = VNET_HDR_LEN;
    unsigned offloads = o->dev->promiscuous ? 0 : OFFLOADS;

    for (unsigned i = 0; i < o->t->n_queues; i++) {
        int fd = o->t->queues[i].fd;
        if (ioctl(fd, TUNSETVNETHDRSZ, &len) != 0 || ioctl(fd, TUNSETOFFLOAD, offloads) != 0)
            return fail_errno(o, -errno, "refuses offloads");
    }
    return 0;
}

/* The kernel's interface comes up, if we may do that; else whoever made it does it. */
static int iface_set(const struct opening *o, uint32_t *mtu)
{
    const char *iface = o->t->iface;
    int rc = 0;

    *mtu = o->dev->mtu != 0 ? o->dev->mtu : tap_if_mtu(iface);
    if (*mtu < MTU_MIN || *mtu > IP_MAX)
        return fail(o, -EINVAL, "the MTU must be 576 to 65535");
    if (o->dev->mtu != 0)
        rc = tap_if_set_mtu(iface, *mtu);
    if (rc != 0)
        return fail_errno(o, rc, "does not take that MTU");
    rc = tap_if_up(iface);
    return rc != 0 && rc != -EPERM ? fail_errno(o, rc, "can't be set up") : 0;
}

/* Our end needs an address of its own beside the kernel's. */
static int mac_choose(const struct opening *o, uint8_t mac[6])
{
    if (o->dev->has_mac) {
        memcpy(mac, o->dev->mac, 6);
        return 0;
    }
    int rc = tap_if_mac(o->t->iface, mac);
    if (rc != 0)
        return fail_errno(o, rc, "does not tell its address");
    mac[0] = (uint8_t)((mac[0] | 0x02) & ~0x01);
    mac[5] ^= 0x01;
    return 0;
}

static int buffers_make(const struct opening *o, struct tap_queue *q)
{
    uint32_t n = o->dev->n_pkts != 0 ? o->dev->n_pkts : PKTS_DEFAULT;

    n = n > PKTS_MIN ? n : PKTS_MIN;
    void *pkts = mmap(NULL, n * sizeof(struct tap_pkt), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pkts == MAP_FAILED)
        return fail_errno(o, -errno, "gets no memory for its packets: lower packet_buffers");
    q->pkts = pkts;
    q->n_fresh = n;
    q->stats.pkts_total = q->stats.pkts_free = n;
    return 0;
}

static void queue_init(const struct opening *o, struct tap_queue *q, uint32_t mtu,
                       const uint8_t mac[6])
{
    q->io = (struct mtcp_io){
        .rx_burst = tap_rx_burst,
        .tx_burst = tap_tx_burst,
        .alloc = tap_alloc,
        .free = tap_free,
        .sleep_begin = tap_sleep_begin,
        .stats = tap_stats,
        .caps = MTCP_IO_TX_TCP_CSUM | MTCP_IO_TSO | MTCP_IO_TX_PIECES |
                (o->dev->promiscuous ? 0u : MTCP_IO_RX_CSUM),
        .mtu = (uint16_t)mtu,
        .tso_max = IP_MAX,
        .name = o->t->name,
        .priv = q,
    };
    memcpy(q->io.mac, mac, 6);
}

static int tap_open(const struct opening *o)
{
    uint8_t mac[6];
    uint32_t mtu = 0;
    int rc = queues_open(o);

    if (rc == 0)
        rc = headers_set(o);
    if (rc == 0)
        rc = iface_set(o, &mtu);
    if (rc == 0)
        rc = mac_choose(o, mac);
    for (unsigned i = 0; rc == 0 && i < o->t->n_queues; i++) {
        queue_init(o, &o->t->queues[i], mtu, mac);
        rc = buffers_make(o, &o->t->queues[i]);
    }
    return rc;
}

int io_tap_open(struct io_tap **tap, const struct io_dev *dev, char *err, size_t err_len)
{
    struct io_tap *t = calloc(1, sizeof(*t));
    struct opening o = {.t = t, .dev = dev, .err = err, .err_len = err_len};
    struct io_devstr s;
    char why[256];

    *tap = NULL;
    if (t == NULL) {
        snprintf(err, err_len, "no memory for a device");
        return -ENOMEM;
    }
    snprintf(t->name, sizeof(t->name), "%s", dev->name != NULL ? dev->name : "?");
    int rc = io_devstr_parse(&s, dev->device, why, sizeof(why));
    if (rc == 0) {
        io_devstr_iface(&s, t->iface, sizeof(t->iface));
        rc = tap_open(&o);
    } else {
        fail(&o, rc, why);
    }
    if (rc == 0)
        *tap = t;
    else
        io_tap_close(t);
    return rc;
}

void io_tap_close(struct io_tap *t)
{
    if (t == NULL)
        return;
    for (unsigned i = 0; i < t->n_queues; i++) {
        struct tap_queue *q = &t->queues[i];
        if (q->pkts != NULL)
            munmap(q->pkts, q->stats.pkts_total * sizeof(struct tap_pkt));
        close(q->fd);
    }
    free(t);
}

struct mtcp_io *io_tap_queue(struct io_tap *t, unsigned queue)
{
    return queue < t->n_queues ? &t->queues[queue].io : NULL;
}

unsigned io_tap_n_queues(const struct io_tap *t)
{
    return t->n_queues;
}

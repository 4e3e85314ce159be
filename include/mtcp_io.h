/*
 * mtcp_io.h - bring your own packets: the burst interface between a context and a device, and the
 * call that makes a context over it. The library's DPDK devices use the same interface; an embedder,
 * a simulator or a test brings its own.
 *
 * One struct mtcp_io is one receive/transmit queue pair, used by one thread. All functions are called
 * by the thread that owns the context, never from inside each other, and never block.
 */
#ifndef MTCP_IO_H
#define MTCP_IO_H

#include <mtcp_api.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mtcp_io;
struct mtcp_io_stats;

/* mtcp_pkt.flags */
enum mtcp_pkt_flag {
    MTCP_PKT_RX_CSUM_GOOD = 1 << 0, /* L3 and L4 checksums were verified, or need not be */
    MTCP_PKT_RX_CSUM_BAD = 1 << 1,  /* one of them is wrong: the packet is counted and dropped */
    MTCP_PKT_TX_IP_CSUM = 1 << 2,   /* the device fills the IPv4 header checksum */
    MTCP_PKT_TX_TCP_CSUM = 1 << 3,  /* the device completes the TCP checksum (field: pseudo sum) */
    MTCP_PKT_TX_TSO = 1 << 4,       /* the device cuts the payload into tso_mss pieces */
    MTCP_PKT_RX_CSUM_OPEN = 1 << 5, /* with RX_CSUM_GOOD: the sender left them to a device, and the
                                     * fields are not filled (TCP, UDP: the pseudo header's sum) */
    MTCP_PKT_TX_PIECES = 1 << 6,    /* the payload lies in `pieces`: see there */
    MTCP_PKT_RX_RSS = 1 << 7        /* a TCP segment, whose rss_hash the device has computed */
};

#define MTCP_PKT_PIECES_MAX 16

/* A frame in one piece. `data` points to its first byte; `room` is how many bytes fit at `data`.
 * A packet belongs to the device it came from: whoever holds it gives it to tx_burst or to free. */
struct mtcp_pkt {
    uint8_t *data;
    uint32_t len;
    uint32_t room;
    uint32_t flags;
    uint16_t l2_len, l3_len, l4_len; /* transmit, with the TX flags: header lengths in bytes */
    uint16_t tso_mss; /* payload bytes per segment: transmit, with MTCP_PKT_TX_TSO; receive, of a
                       * frame that was joined of several, or never cut. 0: it is one segment */
    struct mtcp_pkt *next;           /* for queues of whoever holds the packet */
    uint64_t rx_us; /* receive, with MTCP_IO_CAPTURE: when it was captured, microseconds since 1970 */
    /* Transmit, with MTCP_PKT_TX_PIECES: at `data` are the headers alone (l2_len + l3_len +
     * l4_len), the rest of `len` bytes is in up to MTCP_PKT_PIECES_MAX pieces. The device has
     * copied or sent them when tx_burst returns; what it does not accept has them still. */
    const struct iovec *pieces;
    unsigned n_pieces;
    uint32_t rss_hash; /* receive, with MTCP_PKT_RX_RSS: Toeplitz of source and destination address,
                        * source and destination port, with the key that the library gives to its own
                        * devices; others leave the flag alone */
};

/* Copies the pieces behind the headers, as the frame of a device without MTCP_IO_TX_PIECES has
 * them. */
static inline void mtcp_pkt_join(struct mtcp_pkt *pkt)
{
    uint8_t *to = pkt->data + pkt->l2_len + pkt->l3_len + pkt->l4_len;
    for (unsigned i = 0; i < pkt->n_pieces; to += pkt->pieces[i++].iov_len)
        memcpy(to, pkt->pieces[i].iov_base, pkt->pieces[i].iov_len);
    pkt->flags &= ~(uint32_t)MTCP_PKT_TX_PIECES;
}

/* mtcp_io.caps: what the device does itself; the rest is done in software */
enum mtcp_io_cap {
    MTCP_IO_TX_IP_CSUM = 1 << 0,
    MTCP_IO_TX_TCP_CSUM = 1 << 1,
    MTCP_IO_TSO = 1 << 2,
    MTCP_IO_RX_CSUM = 1 << 3,
    MTCP_IO_NO_WAKEUP = 1 << 4, /* no descriptor to wait on: the idle loop naps at most 1 ms */
    MTCP_IO_CAPTURE = 1 << 5,   /* packets of the past, which carry their time (rx_us): until they
                                 * are over it is the time of the context */
    MTCP_IO_TX_PIECES = 1 << 6  /* takes payload in pieces; used with MTCP_IO_TX_TCP_CSUM */
};

struct mtcp_io {
    /* Up to n received packets into pkts; the number. The caller owns them. */
    unsigned (*rx_burst)(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n);
    /* Sends packets in order; the number accepted. The device owns those; the caller the rest. */
    unsigned (*tx_burst)(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n);
    /* An empty packet (len 0, flags 0) with room for at least mtu + 14 bytes (with MTCP_IO_TSO:
     * tso_max + 14), or NULL when there is none. */
    struct mtcp_pkt *(*alloc)(struct mtcp_io *io);
    void (*free)(struct mtcp_io *io, struct mtcp_pkt *pkt);
    /* Before the loop sleeps: returns a descriptor that becomes readable when packets arrive, or -1
     * when there is none (or packets are there already, with *ready set). NULL: never a descriptor. */
    int (*sleep_begin)(struct mtcp_io *io, bool *ready);
    void (*sleep_end)(struct mtcp_io *io);
    /* Called once by mtcp_destroy_context(), may be NULL. */
    void (*close)(struct mtcp_io *io);
    /* Counters of the device, may be NULL. */
    void (*stats)(struct mtcp_io *io, struct mtcp_io_stats *out);
    uint32_t caps;
    uint16_t mtu;     /* bytes of IP per frame, e.g. 1500 */
    uint32_t tso_max; /* with MTCP_IO_TSO: largest IP packet handed over, at most 65535 */
    uint8_t mac[6];
    const char *name; /* the netdev section of the configuration this device belongs to */
    void *priv;       /* the implementation's own */
    bool is_over;     /* with MTCP_IO_CAPTURE: rx_burst has given all that there is */
};

struct mtcp_io_stats {
    uint64_t rx_packets, rx_bytes, rx_dropped;
    uint64_t tx_packets, tx_bytes, tx_dropped;
    uint64_t pkts_total, pkts_free; /* packet buffers of the device's pool */
};

/* The world of a context: time, sleep and randomness. With NULL members the system's are used
 * (CLOCK_MONOTONIC, epoll_wait, getrandom). A simulator gives all three and gets a run that only
 * depends on its seed. */
struct mtcp_env {
    uint64_t (*now_us)(void *arg); /* monotonic microseconds */
    /* Called when there is nothing to do before until_us (UINT64_MAX: no timer); may return early. */
    void (*wait)(void *arg, uint64_t until_us);
    void *arg;
    uint64_t seed; /* 0: from the system */
};

/* A context over devices that the caller brings; the calling thread becomes its owner.
 *   cpu       the number the context reports (mctx->cpu); the thread is not pinned
 *   config    configuration in the grammar of mos.conf(5), as text; NULL: defaults. Its netdev
 *             sections are matched with ios by name
 *   ios, n    the devices, 1 <= n <= 16; they stay the caller's and must outlive the context
 *   env       copied; NULL: the system's
 * Returns the context, to be ended with mtcp_destroy_context(); NULL with errno EINVAL (a bad
 * configuration, printed to stderr as with mtcp_init; n out of range), EFAULT (ios NULL), ENOMEM.
 * mtcp_init() need not have been called. Does not block. */
mctx_t mtcp_create_context_io(int cpu, const char *config, struct mtcp_io *const *ios, unsigned n,
                              const struct mtcp_env *env);

/* ---- an in-memory link ----------------------------------------------------------------------- */

struct mtcp_io_pair;

struct mtcp_io_pair_conf {
    unsigned n_pkts;  /* packet buffers per end */
    unsigned depth;   /* frames in flight per direction before tx_burst refuses */
    uint16_t mtu;     /* 0: 1500 */
    uint32_t caps;    /* enum mtcp_io_cap; with MTCP_IO_TSO frames go over uncut */
    uint32_t tso_max; /* 0: 65535 */
};

/* A perfect link between two contexts of one thread, for tests, benchmarks and embedders: frames sent
 * at one end are received at the other in order, at once. Its ends are the netdevs "pair0" and
 * "pair1".
 *   conf     copied; n_pkts and depth at least 1
 * Returns the link, to be ended with mtcp_io_pair_destroy() after both contexts; NULL with errno
 * ENOMEM. Does not block; any thread. */
struct mtcp_io_pair *mtcp_io_pair_create(const struct mtcp_io_pair_conf *conf);

/* The device at an end, 0 or 1, for mtcp_create_context_io(); NULL with errno EINVAL for another
 * number. */
struct mtcp_io *mtcp_io_pair_end(struct mtcp_io_pair *link, unsigned end);

/* Frees the link; NULL is allowed. */
void mtcp_io_pair_destroy(struct mtcp_io_pair *link);

#ifdef __cplusplus
}
#endif

#endif

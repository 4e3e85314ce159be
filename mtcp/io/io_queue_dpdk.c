/*
 * A queue pair of a DPDK port in use: bursts, packet buffers, sleep. A packet (struct mtcp_pkt)
 * lives in the private area of its mbuf, so that going from one to the other is an addition.
 *
 * Sleep. The descriptor handed out is an epoll of ours that holds the driver's descriptor
 * edge-triggered: it becomes readable on each new event, whatever the driver's is (an eventfd that
 * nobody drains, a socket, another epoll). sleep_begin forgets old events, switches the interrupt
 * on and then asks the queue once more: a packet that came before is found, one that comes after
 * makes an event.
 */
#include "mtcp/io/io_port.h"

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct io_queue *queue_of(struct mtcp_io *io)
{
    return (struct io_queue *)(void *)io;
}

static struct mtcp_pkt *pkt_of(struct rte_mbuf *m)
{
    return rte_mbuf_to_priv(m);
}

static struct rte_mbuf *mbuf_of(struct mtcp_pkt *pkt)
{
    return (struct rte_mbuf *)(void *)pkt - 1;
}

/* ---- receive ------------------------------------------------------------------------------- */

/* Only BAD is bad. NONE says that the field is not filled and the data are good; UNKNOWN says
 * nothing. A packet without an L4 checksum that the device knows stays unknown. */
static uint32_t rx_flags(uint64_t ol_flags)
{
    uint64_t ip = ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    uint64_t l4 = ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

    if (likely(ol_flags == 0))
        return 0;
    if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD || l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD)
        return MTCP_PKT_RX_CSUM_BAD;
    if (l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE)
        return MTCP_PKT_RX_CSUM_GOOD | MTCP_PKT_RX_CSUM_OPEN;
    if (l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
        return MTCP_PKT_RX_CSUM_GOOD;
    return 0;
}

static void pkt_from_mbuf(struct mtcp_pkt *pkt, struct rte_mbuf *m)
{
    pkt->data = (uint8_t *)m->buf_addr + m->data_off;
    pkt->len = m->data_len;
    pkt->room = (uint32_t)m->buf_len - m->data_off;
    pkt->flags = rx_flags(m->ol_flags);
    pkt->l2_len = pkt->l3_len = pkt->l4_len = 0;
    pkt->tso_mss = unlikely(m->ol_flags & RTE_MBUF_F_RX_LRO) ? m->tso_segsz : 0;
    pkt->next = NULL;
}

/* The device's hash of a TCP segment, if it is the one that was asked for. */
static void pkt_set_rss(struct mtcp_pkt *pkt, const struct rte_mbuf *m)
{
    uint32_t type = m->packet_type;

    if (!(m->ol_flags & RTE_MBUF_F_RX_RSS_HASH) || (type & RTE_PTYPE_TUNNEL_MASK) ||
        (type & RTE_PTYPE_L4_MASK) != RTE_PTYPE_L4_TCP)
        return;
    pkt->rss_hash = m->hash.rss;
    pkt->flags |= MTCP_PKT_RX_RSS;
}

static unsigned rx_convert(struct io_queue *q, struct rte_mbuf **mbufs, unsigned n,
                           struct mtcp_pkt **pkts)
{
    unsigned k = 0;

    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = mbufs[i];
        if (unlikely(m->nb_segs > 1) && rte_pktmbuf_linearize(m) != 0) {
            rte_pktmbuf_free(m);
            q->rx_dropped++;
            continue;
        }
        pkts[k] = pkt_of(m);
        pkt_from_mbuf(pkts[k], m);
        if (unlikely(q->has_rss))
            pkt_set_rss(pkts[k], m);
        q->rx_bytes += m->data_len;
        k++;
    }
    q->rx_packets += k;
    return k;
}

/* A capture gives what there is: nothing, with buffers to spare, is its end. */
static void capture_note(struct io_queue *q, struct mtcp_pkt **pkts, unsigned n, bool is_empty)
{
    if (is_empty && rte_mempool_avail_count(q->rx_pool) > 0)
        q->io.is_over = true;
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = mbuf_of(pkts[i]);
        bool has_time = q->time_flag && (m->ol_flags & q->time_flag);
        pkts[i]->rx_us = has_time ? *RTE_MBUF_DYNFIELD(m, q->time_off, uint64_t *) : 0;
    }
}

static unsigned queue_rx_burst(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct io_queue *q = queue_of(io);
    struct rte_mbuf *mbufs[IO_BURST];

    if (n > IO_BURST)
        n = IO_BURST;
    if (unlikely(q->i_stash < q->n_stash)) {
        unsigned k = q->n_stash - q->i_stash < n ? q->n_stash - q->i_stash : n;
        q->i_stash += k;
        return rx_convert(q, q->stash + q->i_stash - k, k, pkts);
    }
    n = rte_eth_rx_burst(q->port, q->queue, mbufs, (uint16_t)n);
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
    unsigned k = rx_convert(q, mbufs, n, pkts);
    if (unlikely(q->io.caps & MTCP_IO_CAPTURE))
        capture_note(q, pkts, k, n == 0);
    return k;
}

/* ---- transmit ------------------------------------------------------------------------------ */

static uint64_t tx_flags(const struct mtcp_pkt *pkt)
{
    bool v4 = pkt->len > pkt->l2_len && pkt->data[pkt->l2_len] >> 4 == 4;
    uint64_t f = v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;

    if (v4 && pkt->flags & (MTCP_PKT_TX_IP_CSUM | MTCP_PKT_TX_TSO))
        f |= RTE_MBUF_F_TX_IP_CKSUM;
    if (pkt->flags & (MTCP_PKT_TX_TCP_CSUM | MTCP_PKT_TX_TSO))
        f |= RTE_MBUF_F_TX_TCP_CKSUM;
    if (pkt->flags & MTCP_PKT_TX_TSO)
        f |= RTE_MBUF_F_TX_TCP_SEG;
    return f;
}

static struct rte_mbuf *pkt_to_mbuf(struct mtcp_pkt *pkt)
{
    struct rte_mbuf *m = mbuf_of(pkt);

    ASSERT(pkt->data >= (uint8_t *)m->buf_addr &&
           pkt->data + pkt->len <= (uint8_t *)m->buf_addr + m->buf_len);
    m->data_off = (uint16_t)(pkt->data - (uint8_t *)m->buf_addr);
    m->data_len = (uint16_t)pkt->len;
    m->pkt_len = pkt->len;
    m->ol_flags = 0;
    m->tx_offload = 0;
    if (pkt->flags & (MTCP_PKT_TX_IP_CSUM | MTCP_PKT_TX_TCP_CSUM | MTCP_PKT_TX_TSO)) {
        m->ol_flags = tx_flags(pkt);
        uint64_t mss = pkt->flags & MTCP_PKT_TX_TSO ? pkt->tso_mss : 0;
        m->tx_offload = rte_mbuf_tx_offload(pkt->l2_len, pkt->l3_len, pkt->l4_len, mss, 0, 0, 0);
    }
    return m;
}

/* Up to n <= IO_BURST. A packet that the driver refuses as malformed is dropped: it would block the
 * queue for ever. */
static unsigned tx_chunk(struct io_queue *q, struct mtcp_pkt **pkts, unsigned n)
{
    struct rte_mbuf *mbufs[IO_BURST];
    uint64_t bytes[IO_BURST + 1];
    unsigned ready = n;

    bytes[0] = 0;
    for (unsigned i = 0; i < n; i++) {
        mbufs[i] = pkt_to_mbuf(pkts[i]);
        bytes[i + 1] = bytes[i] + pkts[i]->len;
    }
    if (q->tx_prepare)
        ready = rte_eth_tx_prepare(q->port, q->queue, mbufs, (uint16_t)n);
    unsigned sent = ready == 0 ? 0 : rte_eth_tx_burst(q->port, q->queue, mbufs, (uint16_t)ready);
    q->tx_packets += sent;
    q->tx_bytes += bytes[sent];
    if (unlikely(sent == ready && ready < n)) {
        rte_pktmbuf_free(mbufs[sent]);
        q->tx_dropped++;
        sent++;
    }
    return sent;
}

static unsigned queue_tx_burst(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct io_queue *q = queue_of(io);
    unsigned sent = 0;

    while (sent < n) {
        unsigned want = n - sent < IO_BURST ? n - sent : IO_BURST;
        unsigned k = tx_chunk(q, pkts + sent, want);
        if (k == 0)
            break;
        sent += k;
    }
    return sent;
}

/* ---- buffers ------------------------------------------------------------------------------- */

static struct mtcp_pkt *queue_alloc(struct mtcp_io *io)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(queue_of(io)->pool);

    if (unlikely(m == NULL))
        return NULL;
    pkt_from_mbuf(pkt_of(m), m);
    return pkt_of(m);
}

static void queue_free(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    (void)io;
    rte_pktmbuf_free_seg(mbuf_of(pkt));
}

/* ---- sleep --------------------------------------------------------------------------------- */

static void events_forget(struct io_queue *q)
{
    struct epoll_event ev[4];
    uint64_t count;

    if (epoll_wait(q->wake_fd, ev, 4, 0) <= 0 || q->event_fd < 0)
        return;
    ssize_t n = read(q->event_fd, &count, sizeof(count));
    (void)n; /* non-blocking; there may have been none */
}

static int queue_sleep_begin(struct mtcp_io *io, bool *ready)
{
    struct io_queue *q = queue_of(io);

    *ready = q->i_stash < q->n_stash;
    if (*ready || q->wake_fd < 0 || !io_wake_hold(q))
        return -1;
    events_forget(q);
    if (q->intr)
        rte_eth_dev_rx_intr_enable(q->port, q->queue); /* ENOTSUP: always on */
    q->i_stash = 0;
    q->n_stash = rte_eth_rx_burst(q->port, q->queue, q->stash, IO_BURST);
    if (q->n_stash == 0)
        return q->wake_fd;
    *ready = true;
    return -1;
}

static void queue_sleep_end(struct mtcp_io *io)
{
    struct io_queue *q = queue_of(io);

    if (q->intr)
        rte_eth_dev_rx_intr_disable(q->port, q->queue);
}

/* ---- end and counters ---------------------------------------------------------------------- */

static void queue_close(struct mtcp_io *io)
{
    struct io_queue *q = queue_of(io);

    for (; q->i_stash < q->n_stash; q->i_stash++)
        rte_pktmbuf_free(q->stash[q->i_stash]);
    if (q->thread_registered)
        rte_thread_unregister();
    q->thread_registered = false;
}

/* The port's own losses are told once, by its first queue. */
static void queue_stats(struct mtcp_io *io, struct mtcp_io_stats *out)
{
    const struct io_queue *q = queue_of(io);
    struct rte_eth_stats port;

    *out = (struct mtcp_io_stats){.rx_packets = q->rx_packets,
                                  .rx_bytes = q->rx_bytes,
                                  .rx_dropped = q->rx_dropped,
                                  .tx_packets = q->tx_packets,
                                  .tx_bytes = q->tx_bytes,
                                  .tx_dropped = q->tx_dropped,
                                  .pkts_total = q->rx_pool->size,
                                  .pkts_free = rte_mempool_avail_count(q->rx_pool)};
    if (q->pool != q->rx_pool) {
        out->pkts_total += q->pool->size;
        out->pkts_free += rte_mempool_avail_count(q->pool);
    }
    if (q->queue == 0 && rte_eth_stats_get(q->port, &port) == 0)
        out->rx_dropped += port.imissed + port.ierrors + port.rx_nombuf;
}

/* Where the driver writes the time of a packet (net_pcap: microseconds since 1970). */
static void capture_init(struct io_queue *q)
{
    int flag = rte_mbuf_dynflag_lookup(RTE_MBUF_DYNFLAG_RX_TIMESTAMP_NAME, NULL);
    int off = rte_mbuf_dynfield_lookup(RTE_MBUF_DYNFIELD_TIMESTAMP_NAME, NULL);
    q->time_off = off >= 0 ? (size_t)off : 0;
    q->time_flag = flag >= 0 && off >= 0 ? UINT64_C(1) << flag : 0;
}

void io_queue_init(struct io_queue *q)
{
    if (q->io.caps & MTCP_IO_CAPTURE)
        capture_init(q);
    q->io.rx_burst = queue_rx_burst;
    q->io.tx_burst = queue_tx_burst;
    q->io.alloc = queue_alloc;
    q->io.free = queue_free;
    q->io.sleep_begin = q->wake_fd >= 0 ? queue_sleep_begin : NULL;
    q->io.sleep_end = q->wake_fd >= 0 ? queue_sleep_end : NULL;
    q->io.close = queue_close;
    q->io.stats = queue_stats;
    q->io.priv = q;
    if (q->wake_fd < 0)
        q->io.caps |= MTCP_IO_NO_WAKEUP;
}

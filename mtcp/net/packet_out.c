/*
 * Segments out. For each: the next hop (cached), a packet buffer, headers, the payload copied
 * behind them, checksums by the device or here, the monitor's verdict, the connection's commit, the
 * queue of the interface. A segment that can't be sent now is dropped before the connection has
 * moved.
 */
#include "mtcp/net/packet_out.h"

#include "mtcp/net/neigh.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/net/route.h"
#include "mtcp/tcp/zerocopy.h"
#include "mtcp/wire/build.h"

#include <string.h>

/* What one connection sends in one turn, so that a wide window does not starve the others. */
#define SEGMENTS_PER_TURN 64u

/* So many retransmissions in a row put the way into doubt: R1 (RFC 9293 3.8.3). */
#define R1_RETRIES 3u

_Static_assert(TCP_TX_PIECES <= MTCP_PKT_PIECES_MAX, "a payload's pieces");

/* How long a device may take nothing before what it was to take counts as lost. */
#define STUCK_US 1000000u

/* Payload that is longer is left where it lies, if the device takes it from there. */
#define PIECES_MIN 4096u

/* Every packet says don't-fragment, so its identification means nothing (RFC 6864 4.1); a counter
 * would tell others how much we send. */
#define ATOMIC_ID 0

/* A frame being made. */
struct out {
    const struct net_hop *hop;
    struct net_if *nif;
    struct mtcp_pkt *pkt;
    struct build_lens lens;
    bool is_seen; /* by a monitor, for which it has to be whole */
};

/* ---- the frame ------------------------------------------------------------------------------ */

/* Which checksums the device does; a frame that it cuts needs both. */
static struct build_offload offload_of(const struct mtcp_io *io, bool is_tso)
{
    return (struct build_offload){
        .ip_csum = is_tso || (io->caps & MTCP_IO_TX_IP_CSUM),
        .tcp_csum = is_tso || (io->caps & MTCP_IO_TX_TCP_CSUM),
    };
}

static void frame_finish(const struct out *o, const struct tcp_tx *tx)
{
    struct mtcp_pkt *pkt = o->pkt;
    bool is_tso = tx->seg.len > tx->mss && o->nif->tso_len > 0;
    struct build_offload off = offload_of(o->nif->io, is_tso);
    build_tcp_csum(pkt->data, o->lens, tx->seg.len, off);
    if (!off.ip_csum && !off.tcp_csum)
        return;
    pkt->l2_len = o->lens.l2;
    pkt->l3_len = o->lens.l3;
    pkt->l4_len = o->lens.l4;
    pkt->flags |= (off.ip_csum && o->lens.l3 == IPV4_HDR_LEN ? MTCP_PKT_TX_IP_CSUM : 0u) |
                  (off.tcp_csum ? MTCP_PKT_TX_TCP_CSUM : 0u);
    if (is_tso) {
        pkt->flags |= MTCP_PKT_TX_TSO;
        pkt->tso_mss = tx->mss;
    }
}

static __attribute__((noinline)) void copy_pieces(uint8_t *to, const struct tcp_tx *tx)
{
    for (unsigned i = 0; i < tx->n_iov; i++) {
        memcpy(to, tx->iov[i].iov_base, tx->iov[i].iov_len);
        to += tx->iov[i].iov_len;
    }
}

static inline void copy_payload(uint8_t *to, const struct tcp_tx *tx)
{
    if (likely(tx->n_iov == 1))
        memcpy(to, tx->iov[0].iov_base, tx->seg.len);
    else
        copy_pieces(to, tx);
}

/* A device that takes the payload from where it lies spares us a copy: worth it when it is long. */
static inline bool goes_in_pieces(const struct out *o, const struct tcp_tx *tx)
{
    return tx->seg.len >= PIECES_MIN && o->nif->takes_pieces && !o->is_seen && !o->nif->watcher;
}

static inline void add_payload(struct mtcp_pkt *pkt, const struct tcp_tx *tx, uint32_t hdr_len,
                               bool in_pieces)
{
    if (likely(!in_pieces)) {
        copy_payload(pkt->data + hdr_len, tx);
        return;
    }
    pkt->flags |= MTCP_PKT_TX_PIECES;
    pkt->pieces = tx->iov;
    pkt->n_pieces = tx->n_iov;
}

/* Builds the frame for o->hop into a new packet. Whatever is missing is said before anything has
 * changed. */
static enum out_result frame_build(struct net *n, struct tcp_tx *tx, struct out *o)
{
    o->nif = &n->ifs[o->hop->netif];
    o->pkt = netif_alloc(o->nif);
    if (unlikely(!o->pkt))
        return OUT_NO_BUFFER;
    struct build_l2 l2 = {.src = o->nif->mac};
    if (likely(o->pkt->room >= BUILD_HDR_MAX))
        o->lens = build_tcp(o->pkt->data, &l2, &tx->seg, ATOMIC_ID);
    uint32_t hdr_len = (uint32_t)o->lens.l2 + o->lens.l3 + o->lens.l4;
    if (unlikely(o->pkt->room < BUILD_HDR_MAX || o->pkt->room - hdr_len < tx->seg.len)) {
        o->nif->tx_no_buffer++; /* a device whose packets are smaller than it said */
        o->nif->io->free(o->nif->io, o->pkt);
        return OUT_NO_BUFFER;
    }
    tx->seg.payload = o->pkt->data + hdr_len;
    if (tx->seg.len > 0)
        add_payload(o->pkt, tx, hdr_len, goes_in_pieces(o, tx));
    o->pkt->len = hdr_len + tx->seg.len;
    frame_finish(o, tx);
    o->nif->stuck_since_us = 0;
    return OUT_PASSED;
}

static void frame_drop(struct net *n, const struct out *o)
{
    n->stats.hook_drops++;
    o->nif->io->free(o->nif->io, o->pkt);
}

/* After a monitor's code has run, which may have sent packets: the hop is looked up again. */
static void frame_send_after_hook(struct net *n, const struct tcp_tx *tx, const struct out *o)
{
    const struct net_hop *hop = route_hop(n, &tx->seg.tuple.remote);
    if (likely(hop && hop->netif == o->nif->index))
        netif_send_to(n, hop, o->pkt);
    else
        o->nif->io->free(o->nif->io, o->pkt);
}

/* ---- the monitor's view --------------------------------------------------------------------- */

static struct hook_seg hook_seg_out(const struct net *n, const struct tcp_tx *tx,
                                    const struct out *o)
{
    return (struct hook_seg){
        .dir = HOOK_OUT,
        .seg = &tx->seg,
        .frame = o->pkt->data,
        .frame_len = o->pkt->len,
        .frame_room = o->pkt->len,
        .l3_off = o->lens.l2,
        .l4_off = (uint16_t)(o->lens.l2 + o->lens.l3),
        .netif = o->nif->index,
        .accepted = true,
        .rexmit = tx->rexmit,
        .ip_csum_due = o->pkt->flags & MTCP_PKT_TX_IP_CSUM,
        .tcp_csum_due = o->pkt->flags & MTCP_PKT_TX_TCP_CSUM,
        .has_off = true,
        .off = tx->off,
        .now_us = n->env.now_us,
    };
}

/* ---- segments of records other than connections --------------------------------------------- */

static enum out_result segment_send_monitored(struct net *n, void *const *mon,
                                              const struct tcp_tx *tx, const struct out *o)
{
    const struct tcp_hooks *hooks = n->env.hooks;
    struct hook_seg hs = hook_seg_out(n, tx, o);
    if (hooks->pkt(n->env.mon, *mon, &hs) == HOOK_DROP) {
        frame_drop(n, o);
        return OUT_DROPPED;
    }
    if (*mon)
        hooks->pkt_done(n->env.mon, *mon, &hs);
    n->env.stats.segs_out++;
    frame_send_after_hook(n, tx, o);
    return OUT_PASSED;
}

enum out_result segment_send(struct net *n, void *const *mon, struct tcp_tx *tx)
{
    struct out o = {.hop = route_hop(n, &tx->seg.tuple.remote)};
    if (unlikely(!o.hop)) {
        n->stats.no_route++;
        return OUT_NO_ROUTE;
    }
    enum out_result r = frame_build(n, tx, &o);
    if (unlikely(r != OUT_PASSED))
        return r;
    if (unlikely(mon && *mon))
        return segment_send_monitored(n, mon, tx, &o);
    n->env.stats.segs_out++;
    netif_send_to(n, o.hop, o.pkt);
    return OUT_PASSED;
}

void segment_reset(struct net *n, void *const *mon, const struct seg *s)
{
    struct tcp_tx tx;
    if (!tcp_reset_for(s, &tx) || !netif_addr_is_host(&s->tuple.remote))
        return;
    if (!rate_limit_take(&n->rst_limit, n->env.now_us)) {
        n->stats.rst_limited++;
        return;
    }
    if (segment_send(n, mon, &tx) == OUT_PASSED)
        n->stats.rst_sent++;
}

/* ---- segments of connections ---------------------------------------------------------------- */

/* The SYN that makes a connection known: the monitor decides whether it wants it. */
static bool is_first_syn(const struct net *n, const struct tcp_conn *c, const struct tcp_tx *tx)
{
    return (tx->seg.flags & TCP_SYN) && (c->flags & TCF_ACTIVE) && n->env.hooks &&
           !(c->flow.marks & NET_MARK_BORN);
}

/* The verdict of the monitors, which are asked once per segment and before anything has moved. */
static enum hook_verdict conn_ask(struct net *n, struct tcp_conn *c, const struct tcp_tx *tx,
                                  struct hook_seg *hs)
{
    const struct tcp_hooks *hooks = n->env.hooks;
    if (is_first_syn(n, c, tx)) {
        enum hook_verdict v = hooks->born(n->env.mon, hs, &c->flow, &c->mon);
        if (v == HOOK_DROP) {
            c->mon = NULL; /* asked again when the SYN is retransmitted */
            return v;
        }
        c->flow.marks |= NET_MARK_BORN;
        if (c->mon)
            (void)hooks->pkt(n->env.mon, c->mon, hs);
        return v;
    }
    return hooks->pkt(n->env.mon, c->mon, hs);
}

static enum out_result conn_send_monitored(struct net *n, struct tcp_conn *c, struct tcp_tx *tx,
                                           const struct out *o)
{
    struct hook_seg hs = hook_seg_out(n, tx, o);
    bool passed = conn_ask(n, c, tx, &hs) != HOOK_DROP;
    tcp_output_sent(&n->env, c, tx, passed);
    if (!passed) {
        frame_drop(n, o);
        return OUT_DROPPED;
    }
    if (c->mon)
        n->env.hooks->pkt_done(n->env.mon, c->mon, &hs);
    frame_send_after_hook(n, tx, o);
    return OUT_PASSED;
}

/* Nothing can go at the moment. The connection has not moved and asks again next turn; only when
 * this lasts does the try count as lost, so that its timers see to it. */
static enum out_result conn_stuck(struct net *n, struct tcp_conn *c, const struct tcp_tx *tx,
                                  struct net_if *nif)
{
    nif->was_stuck = true;
    if (nif->stuck_since_us == 0)
        nif->stuck_since_us = n->env.now_us;
    if (n->env.now_us - nif->stuck_since_us < STUCK_US)
        return OUT_NO_BUFFER;
    tcp_output_sent(&n->env, c, tx, false);
    return OUT_LOST;
}

static enum out_result conn_send_one(struct net *n, struct tcp_conn *c, struct tcp_tx *tx,
                                     const struct net_hop *hop)
{
    struct out o = {.hop = hop, .is_seen = c->mon || is_first_syn(n, c, tx)};
    enum out_result r = frame_build(n, tx, &o);
    if (unlikely(r != OUT_PASSED))
        return conn_stuck(n, c, tx, o.nif);
    if (unlikely(tx->rexmit && c->backoff >= R1_RETRIES))
        neigh_doubt(n, hop->neigh);
    if (unlikely(o.is_seen)) {
        if (!c->mon || tcp_is_told(c, &tx->seg))
            return conn_send_monitored(n, c, tx, &o);
        tcp_tell_data(&n->env, c, &tx->seg, HOOK_OUT);
    }
    tcp_output_sent(&n->env, c, tx, true);
    netif_send_to(n, hop, o.pkt);
    return OUT_PASSED;
}

void conn_send_failed(struct net *n, struct tcp_conn *c)
{
    struct tcp_tx tx;
    tcp_run_queued(&n->env, c); /* while it waited for an address it was marked already */
    if (c->flags & TCF_DEAD)
        return;
    if (tcp_output_next(&n->env, c, c->mss, &tx))
        tcp_output_sent(&n->env, c, &tx, false);
    tcp_output_done(&n->env, c); /* also with nothing to send: its timers are set there */
}

/* The way is not known: nothing is built. */
static enum conn_send_result conn_send_nowhere(struct net *n, struct tcp_conn *c,
                                               const struct net_hop *hop)
{
    if (hop) {
        neigh_park(n, hop->neigh, c);
        return CONN_PARKED;
    }
    n->stats.no_route++;
    conn_send_failed(n, c);
    return CONN_SENT;
}

enum conn_send_result conn_send(struct net *n, struct tcp_conn *c)
{
    struct tcp_tx tx;
    if (unlikely(c->flags & TCF_MTU_LOW))
        pmtu_refresh(n, c);
    for (unsigned i = 0; i < SEGMENTS_PER_TURN; i++) {
        tcp_run_queued(&n->env, c);
        uint32_t tso_len = n->ifs[c->flow.netif].tso_len;
        uint32_t max_len = tso_len > 0 ? tso_len : c->mss;
        if ((c->flags & TCF_DEAD) || !tcp_output_next(&n->env, c, max_len, &tx))
            return CONN_SENT;
        const struct net_hop *hop = route_hop(n, &c->tuple.remote);
        if (unlikely(!hop || !neigh_is_known(hop->neigh)))
            return conn_send_nowhere(n, c, hop);
        enum out_result r = conn_send_one(n, c, &tx, hop);
        if (unlikely(r != OUT_PASSED))
            return r == OUT_NO_BUFFER ? CONN_MORE : CONN_SENT;
    }
    return CONN_MORE;
}

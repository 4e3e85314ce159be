/*
 * Packets in. A burst is gone through twice: first every packet is parsed and its flow's place in
 * the table prefetched, then each goes to whoever takes it. What is not for us is counted and
 * dropped.
 *
 * A segment goes to its connection, its half-open record, its TIME_WAIT record, a listener, or to
 * nobody: then it is answered with a RST.
 */
#include "mtcp/net/packet_in.h"

#include "mtcp/net/arp.h"
#include "mtcp/net/conn_end.h"
#include "mtcp/net/fastopen.h"
#include "mtcp/net/half_open.h"
#include "mtcp/net/icmp.h"
#include "mtcp/net/listener.h"
#include "mtcp/net/ndp.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/packet_out.h"
#include "mtcp/net/reass.h"
#include "mtcp/net/time_wait.h"
#include "mtcp/net/wire.h"
#include "mtcp/tcp/state.h"
#include "mtcp/wire/hdr.h"

#include <errno.h>

#define PREFETCH_AHEAD 3u
#define RX_BURSTS      8u /* per interface and turn */

/* ---- the monitor's view --------------------------------------------------------------------- */

struct hook_seg rx_hook_seg(const struct net *n, const struct rx *x)
{
    return (struct hook_seg){
        .dir = HOOK_IN,
        .seg = x->p.kind == PACKET_TCP ? &x->p.seg : NULL,
        .frame = x->pkt->data,
        .frame_len = x->p.frame_len,
        .frame_room = x->pkt->room > x->p.frame_len ? x->pkt->room : x->p.frame_len,
        .l3_off = x->p.l3_off,
        .l4_off = x->p.l4_off,
        .netif = x->nif->index,
        .now_us = n->env.now_us,
    };
}

void rx_changed(struct rx *changed, const struct rx *x, struct hook_seg *hs)
{
    *changed = *x;
    changed->p.seg = *hs->seg;
    changed->p.seg.joined_mss = x->p.seg.joined_mss;
    changed->p.frame_len = hs->frame_len;
    changed->p.l4_off = hs->l4_off;
    changed->pkt->len = hs->frame_len;
    hs->seg = &changed->p.seg;
}

void rx_orphan(struct net *n, const struct rx *x)
{
    if (likely(!n->env.hooks))
        return;
    struct hook_seg hs = rx_hook_seg(n, x);
    n->env.hooks->orphan(n->env.mon, &hs, &x->p);
}

static struct hook_seg conn_hook_seg(const struct net *n, const struct tcp_conn *c,
                                     const struct rx *x)
{
    struct hook_seg hs = rx_hook_seg(n, x);
    const struct seg *s = &x->p.seg;
    hs.accepted = tcp_acceptable(&n->env, c, s);
    if (c->flags & TCF_IRS) {
        hs.has_off = true;
        hs.off = off_of_seq(c->irs, s->seq, (tcp_off_t)stream_next(&c->rcv));
    } else if (s->flags & TCP_SYN) {
        hs.has_off = true;
        hs.off = -1;
    }
    return hs;
}

/* ---- segments of nobody --------------------------------------------------------------------- */

/* It may be the end of a handshake that nothing was kept of. */
static bool answers_cookie(struct net *n, const struct rx *x)
{
    const struct seg *s = &x->p.seg;
    if ((s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK || !n->conf.syn_cookies)
        return false;
    struct net_listener *l = listener_find(n, &s->tuple.local, s->tuple.local_port, x->hash);
    return l && half_open_from_cookie(n, l, x);
}

/* LISTEN (RFC 9293 3.10.7.2): a SYN begins a connection, unless it says FIN as well (as Linux);
 * without ACK or RST there is nothing else that is answered. `used`: as of half_open_begin(). */
static bool listener_takes(struct net *n, const struct rx *x, const tcp_seq_t *used)
{
    const struct seg *s = &x->p.seg;
    if (s->flags & (TCP_ACK | TCP_RST))
        return false;
    struct net_listener *l = listener_find(n, &s->tuple.local, s->tuple.local_port, x->hash);
    if (!l)
        return false;
    if (likely((s->flags & (TCP_SYN | TCP_FIN)) == TCP_SYN)) {
        half_open_begin(n, l, x, used);
        return true;
    }
    n->stats.orphan_segs++;
    rx_orphan(n, x);
    return true;
}

/* `used`: as of half_open_begin(). */
static void tcp_to_nobody(struct net *n, const struct rx *x, const tcp_seq_t *used)
{
    const struct seg *s = &x->p.seg;
    if (unlikely(!netif_addr_is_host(&s->tuple.remote) || !netif_addr_is_host(&s->tuple.local) ||
                 netif_owns(n, &s->tuple.remote))) {
        x->nif->rx_not_ours++; /* silently (RFC 9293 MUST-57, RFC 1122 4.2.3.10) */
        return;
    }
    if (listener_takes(n, x, used) || answers_cookie(n, x))
        return;
    n->stats.orphan_segs++;
    rx_orphan(n, x);
    segment_reset(n, NULL, s);
}

/* ---- segments of connections ---------------------------------------------------------------- */

/* The tuple begins anew: the old connection ends first, with its monitor told. */
static void conn_superseded(struct net *n, struct tcp_conn *c, const struct rx *x)
{
    tcp_seq_t used = seq_of_off(c->iss, c->snd_max);
    conn_die(&n->env, c, HOOK_END_FIN, 0);
    conn_forget(n, c);
    tcp_to_nobody(n, x, &used);
}

static void conn_after_input(struct net *n, struct tcp_conn *c, const struct rx *x, unsigned what)
{
    if (what & (TCP_IN_DIED | TCP_IN_TIME_WAIT))
        n->prune_ready = true;
    if (what & TCP_IN_FASTOPEN)
        fastopen_ended(n, c, &x->p.seg, what);
    if (what & TCP_IN_RESET)
        segment_reset(n, &c->mon, &x->p.seg);
    if ((what & TCP_IN_TIME_WAIT) && c->mon)
        mon_time_wait_add(n, c);
    if (what & TCP_IN_NEW_SYN)
        conn_superseded(n, c, x);
}

void rx_give_to_conn(struct net *n, struct tcp_conn *c, const struct rx *x,
                     const struct hook_seg *hs)
{
    unsigned what = tcp_input(&n->env, c, &x->p.seg);
    if (unlikely(hs != NULL)) {
        if (c->mon)
            n->env.hooks->pkt_done(n->env.mon, c->mon, hs);
        tcp_run_queued(&n->env, c);
    }
    if (unlikely(what & (TCP_IN_RESET | TCP_IN_DIED | TCP_IN_TIME_WAIT | TCP_IN_NEW_SYN |
                         TCP_IN_FASTOPEN)))
        conn_after_input(n, c, x, what);
}

/* A SYN in TIME_WAIT that begins a new connection belongs to that one: the old one's monitor does
 * not see it. */
static void tcp_to_monitored(struct net *n, struct tcp_conn *c, const struct rx *x)
{
    if (unlikely(tcp_superseded_by(c, &x->p.seg))) {
        conn_superseded(n, c, x);
        return;
    }
    struct hook_seg hs = conn_hook_seg(n, c, x);
    struct rx changed;
    enum hook_verdict v = n->env.hooks->pkt(n->env.mon, c->mon, &hs);
    if (v == HOOK_DROP) {
        n->stats.hook_drops++;
        tcp_run_queued(&n->env, c);
        return;
    }
    if (v == HOOK_CHANGED) {
        rx_changed(&changed, x, &hs);
        x = &changed;
    }
    rx_give_to_conn(n, c, x, &hs);
}

/* A segment that the monitor need not be told of; its code may run nevertheless, for the data. */
static void tcp_to_spared(struct net *n, struct tcp_conn *c, const struct rx *x)
{
    tcp_tell_data(&n->env, c, &x->p.seg, HOOK_IN);
    rx_give_to_conn(n, c, x, NULL);
    tcp_run_queued(&n->env, c);
}

static inline void tcp_to_conn(struct net *n, struct tcp_conn *c, const struct rx *x)
{
    if (unlikely(c->flags & TCF_DEAD)) { /* since this burst began */
        conn_forget(n, c);
        tcp_to_nobody(n, x, NULL);
    } else if (likely(c->mon == NULL)) {
        rx_give_to_conn(n, c, x, NULL);
    } else if (tcp_is_told(c, &x->p.seg)) {
        tcp_to_monitored(n, c, x);
    } else {
        tcp_to_spared(n, c, x);
    }
}

/* Without memory to wake it the segment is lost: the peer sends it again. */
static void tcp_to_dormant(struct net *n, struct flow *f, const struct rx *x)
{
    struct tcp_conn *c = net_conn_wake(n, (struct tcp_dormant *)(void *)f);
    if (c)
        tcp_to_conn(n, c, x);
}

/* Is it another core's? */
static bool is_handed_over(const struct net *n, const struct rx *x)
{
    return unlikely(n->steer != NULL) &&
           n->steer->hand_over(n->steer->arg, x->nif->index, &x->p, x->pkt);
}

/* A segment of a flow that is not known here, whether or not the device brought it to the right
 * core.
 */
static void tcp_to_stranger(struct net *n, const struct rx *x)
{
    if (!is_handed_over(n, x))
        tcp_to_nobody(n, x, NULL);
}

static void tcp_in(struct net *n, const struct rx *x)
{
    tcp_seq_t used;
    struct flow *f = flow_table_find(n->flows, &x->p.seg.tuple, x->hash);
    if (likely(f && f->kind == FLOW_CONN))
        tcp_to_conn(n, conn_of_flow(f), x);
    else if (!f)
        tcp_to_stranger(n, x);
    else if (f->kind == FLOW_HALF_OPEN)
        half_open_in(n, (struct tcp_half_open *)(void *)f, x);
    else if (f->kind == FLOW_DORMANT)
        tcp_to_dormant(n, f, x);
    else if (time_wait_in(n, (struct tcp_time_wait *)(void *)f, x, &used))
        tcp_to_nobody(n, x, &used);
}

/* ---- packets -------------------------------------------------------------------------------- */

static void fragment_in(struct net *n, const struct rx *x);

static void packet_in(struct net *n, const struct rx *x)
{
    switch (x->p.kind) {
    case PACKET_TCP:
        tcp_in(n, x);
        return;
    case PACKET_ARP:
        rx_orphan(n, x);
        arp_in(n, x->nif, &x->p);
        return;
    case PACKET_ICMP_ECHO:
    case PACKET_ICMP_ERROR:
        rx_orphan(n, x);
        icmp_in(n, x);
        return;
    case PACKET_PROBLEM:
        rx_orphan(n, x);
        icmp_problem(n, x);
        return;
    case PACKET_NDP:
        rx_orphan(n, x);
        ndp_in(n, x);
        return;
    case PACKET_FRAGMENT:
        fragment_in(n, x);
        return;
    case PACKET_OTHER:
        rx_orphan(n, x);
        return;
    }
}

static bool mac_eq(const struct mac_addr *a, const struct mac_addr *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Does a frame to many concern us? ARP does, and IPv6 to a group that we are in. */
static bool is_for_our_group(const struct rx *x)
{
    if (!(x->p.eth_dst.b[0] & 1))
        return false;
    return x->p.kind == PACKET_ARP || ((x->p.kind == PACKET_NDP || x->p.kind == PACKET_ICMP_ECHO) &&
                                       ndp_is_in_group(x->nif, &x->p.dst));
}

/* Is the packet addressed to this host? */
static bool is_for_us(const struct net *n, const struct rx *x)
{
    if (unlikely(!mac_eq(&x->p.eth_dst, &x->nif->mac)))
        return is_for_our_group(x);
    if (likely(x->p.kind == PACKET_TCP))
        return likely(ip_addr_eq(&x->p.dst, &x->nif->addr)) || netif_owns(n, &x->p.dst);
    return true;
}

/* Link-local addresses are those of the link that the packet came by (addr.h). */
static void packet_set_zone(struct packet *p, uint16_t zone)
{
    ip_addr_set_zone(&p->src, zone);
    ip_addr_set_zone(&p->dst, zone);
    struct flow_tuple *t = p->kind == PACKET_TCP          ? &p->seg.tuple
                           : p->kind == PACKET_ICMP_ERROR ? &p->icmp.tuple
                                                          : NULL;
    if (t) {
        ip_addr_set_zone(&t->local, zone);
        ip_addr_set_zone(&t->remote, zone);
    }
    if (p->kind == PACKET_NDP)
        ip_addr_set_zone(&p->ndp.target, zone);
}

/* The first pass over one packet: false when there is nothing more to do with it. */
static bool rx_parse(struct net *n, struct rx *x)
{
    struct net_if *nif = x->nif;
    if (unlikely(x->pkt->flags & MTCP_PKT_RX_CSUM_BAD)) {
        nif->rx_bad_csum++;
        return false;
    }
    enum packet_csum csum =
        x->pkt->flags & MTCP_PKT_RX_CSUM_GOOD ? PACKET_CSUM_GOOD : PACKET_CSUM_UNKNOWN;
    int err = packet_parse(&x->p, x->pkt->data, x->pkt->len, csum);
    if (unlikely(err)) {
        *(err == -EILSEQ ? &nif->rx_bad_csum : &nif->rx_malformed) += 1;
        return false;
    }
    if (x->p.eth_type == ETH_TYPE_IPV6)
        packet_set_zone(&x->p, netif_zone(nif));
    if (unlikely(!is_for_us(n, x))) {
        nif->rx_not_ours++;
        return false;
    }
    if (likely(x->p.kind == PACKET_TCP)) {
        x->p.seg.joined_mss = x->pkt->tso_mss;
        x->hash = flow_table_hash(n->flows, &x->p.seg.tuple);
        flow_table_prefetch(n->flows, x->hash);
    }
    return true;
}

/* The last fragment of a packet brings it in whole; its owner is whoever the whole is for. The
 * transport's checksum is verified now. */
static void fragment_in(struct net *n, const struct rx *x)
{
    struct mtcp_pkt whole = {0};
    struct rx joined = {.pkt = &whole, .nif = x->nif};
    if (is_handed_over(n, x)) /* a device took it for a segment */
        return;
    whole.data = reass_in(n, x, &whole.len);
    if (!whole.data)
        return;
    whole.room = whole.len;
    bool is_whole = rx_parse(n, &joined) && joined.p.kind != PACKET_FRAGMENT;
    if (is_whole && joined.p.kind != PACKET_NDP && /* not done in fragments (RFC 6980) */
        !is_handed_over(n, &joined))
        packet_in(n, &joined);
    mem_free(n->env.mem, whole.data, whole.room);
}

static void rx_prefetch_flow(const struct net *n, const struct rx *x)
{
    if (likely(x->pkt && x->p.kind == PACKET_TCP))
        flow_table_prefetch_flow(n->flows, x->hash);
}

/* A burst of one interface. */
static unsigned netif_rx(struct net *n, struct net_if *nif)
{
    struct mtcp_pkt *pkts[IO_BURST];
    struct rx rx[IO_BURST];
    if (unlikely(nif->is_wire))
        return wire_rx(n, nif);
    unsigned n_pkts = nif->io->rx_burst(nif->io, pkts, IO_BURST);
    for (unsigned i = 0; i < n_pkts; i++) {
        rx[i].pkt = pkts[i];
        rx[i].nif = nif;
        nif->rx_bytes += pkts[i]->len;
        if (unlikely(nif->watcher != NULL))
            netif_show(nif, pkts[i], HOOK_IN);
        if (unlikely(!rx_parse(n, &rx[i])))
            rx[i].pkt = NULL;
    }
    for (unsigned i = 0; i < PREFETCH_AHEAD && i < n_pkts; i++)
        rx_prefetch_flow(n, &rx[i]);
    for (unsigned i = 0; i < n_pkts; i++) {
        if (i + PREFETCH_AHEAD < n_pkts)
            rx_prefetch_flow(n, &rx[i + PREFETCH_AHEAD]);
        if (likely(rx[i].pkt != NULL))
            packet_in(n, &rx[i]);
        nif->io->free(nif->io, pkts[i]);
    }
    nif->rx_packets += n_pkts;
    return n_pkts;
}

/* A full burst may mean that more waits: that is taken in before anything is sent. */
static unsigned netif_rx_bursts(struct net *n, struct net_if *nif)
{
    unsigned n_pkts = 0, burst = IO_BURST;
    for (unsigned i = 0; i < RX_BURSTS && burst == IO_BURST; i++) {
        burst = netif_rx(n, nif);
        n_pkts += burst;
    }
    return n_pkts;
}

unsigned net_rx(struct net *n)
{
    unsigned n_pkts = 0;
    for (unsigned i = 0; i < n->n_ifs; i++)
        n_pkts += netif_rx_bursts(n, &n->ifs[i]);
    return n_pkts;
}

/*
 * Packets of a wire. The monitor judges what can be parsed; what can't be (a bad checksum, a length
 * that lies) is counted and goes on, because whoever it is for will not take it either, and a frame
 * that is not understood here is not ours to stop.
 *
 * Fragments go on one by one. The monitor gets the packet when the last one brings it in whole; its
 * verdict holds for that one, without which the packet is never complete, and for any that come
 * again. Of a packet that was given up (fragments that overlap, too many of them) nothing more goes
 * on.
 */
#include "mtcp/net/wire.h"

#include "mtcp/net/netif.h"
#include "mtcp/net/packet_in.h"
#include "mtcp/net/reass.h"

#include <errno.h>
#include <string.h>

/* Packets so close together are a burst: they may have changed places. */
#define CAPTURE_TURN_US 100u

/* May the packet be changed where it lies? */
enum judge_how { JUDGE_FRAME, JUDGE_COPY };

static enum hook_verdict judge_parsed(struct net *n, const struct rx *x, enum judge_how how)
{
    struct hook_seg hs = rx_hook_seg(n, x);
    if (how == JUDGE_COPY)
        hs.frame_room = 0;
    enum hook_verdict v = n->env.hooks->wire(n->env.mon, &hs, &x->p);
    if (unlikely(v == HOOK_CHANGED))
        x->pkt->len = hs.frame_len;
    return v;
}

static bool wire_parse(const struct net *n, struct rx *x)
{
    struct net_if *nif = x->nif;
    bool is_good = (x->pkt->flags & MTCP_PKT_RX_CSUM_GOOD) || n->conf.trust_csums;
    if (unlikely((x->pkt->flags & MTCP_PKT_RX_CSUM_BAD) && !is_good)) {
        nif->rx_bad_csum++;
        return false;
    }
    enum packet_csum csum = is_good ? PACKET_CSUM_GOOD : PACKET_CSUM_UNKNOWN;
    int err = packet_parse(&x->p, x->pkt->data, x->pkt->len, csum);
    if (likely(err == 0))
        return true;
    *(err == -EILSEQ ? &nif->rx_bad_csum : &nif->rx_malformed) += 1;
    return false;
}

/* The fragment that completes a packet is judged by the whole. */
static enum hook_verdict judge_fragment(struct net *n, const struct rx *x)
{
    struct mtcp_pkt whole = {0};
    struct rx joined = {.pkt = &whole, .nif = x->nif};
    enum hook_verdict v = HOOK_PASS;
    whole.data = reass_in(n, x, &whole.len);
    if (!whole.data)
        return reass_is_refused(n, x) ? HOOK_DROP : v;
    whole.room = whole.len;
    if (wire_parse(n, &joined) && joined.p.kind != PACKET_FRAGMENT)
        v = judge_parsed(n, &joined, JUDGE_COPY);
    mem_free(n->env.mem, whole.data, whole.room);
    if (v == HOOK_DROP)
        reass_refuse(n, x);
    return v;
}

static enum hook_verdict judge(struct net *n, struct net_if *nif, struct mtcp_pkt *pkt)
{
    struct rx x = {.pkt = pkt, .nif = nif};
    if (!n->env.hooks || !wire_parse(n, &x))
        return HOOK_PASS;
    return unlikely(x.p.kind == PACKET_FRAGMENT) ? judge_fragment(n, &x)
                                                 : judge_parsed(n, &x, JUDGE_FRAME);
}

/* A packet belongs to the device it came from: the other one gets a copy. */
static void forward(struct net_if *to, const struct mtcp_pkt *pkt)
{
    struct mtcp_pkt *copy = netif_alloc(to);
    if (unlikely(!copy))
        return;
    if (unlikely(copy->room < pkt->len)) {
        to->io->free(to->io, copy);
        to->tx_too_long++;
        return;
    }
    memcpy(copy->data, pkt->data, pkt->len);
    copy->len = pkt->len;
    netif_send(to, copy);
}

/* The clock of a capture goes on with its packets. What is due in between is done in between: what
 * is new is told, as at the end of a turn, and timers run. */
static void clock_follow(struct net *n, uint64_t at_us)
{
    const struct tcp_hooks *hooks = n->env.hooks;
    if (at_us <= n->env.now_us)
        return;
    if (hooks && hooks->turn && at_us - n->wire_turn_us >= CAPTURE_TURN_US) {
        hooks->turn(n->env.mon, HOOK_TURN_INPUT);
        n->wire_turn_us = at_us;
    }
    net_clock(n, at_us);
    if (net_next_us(n) <= at_us)
        net_timers(n);
}

unsigned wire_rx(struct net *n, struct net_if *nif)
{
    struct mtcp_pkt *pkts[IO_BURST];
    unsigned n_pkts = nif->io->rx_burst(nif->io, pkts, IO_BURST);
    bool is_capture = nif->io->caps & MTCP_IO_CAPTURE;
    for (unsigned i = 0; i < n_pkts; i++) {
        if (is_capture)
            clock_follow(n, pkts[i]->rx_us);
        nif->rx_bytes += pkts[i]->len;
        if (unlikely(nif->watcher != NULL))
            netif_show(nif, pkts[i], HOOK_IN);
        if (unlikely(judge(n, nif, pkts[i]) == HOOK_DROP))
            n->stats.hook_drops++;
        else if (nif->forward_to)
            forward(nif->forward_to, pkts[i]);
        nif->io->free(nif->io, pkts[i]);
    }
    nif->rx_packets += n_pkts;
    return n_pkts;
}

/*
 * Packets of a wire. The monitor judges what can be parsed; what can't be (a bad checksum, a length
 * that lies) is counted and goes on, because whoever it is for will not take it either, and a frame
 * that is not understood here is not ours to stop.
 *
 * Fragments wait until their packet is whole and the monitor has judged it: then they go on, as
 * they came, or none does. So does none of a packet that was given up: fragments that overlap, too
 * many of them or of others, one that is missing for too long. What their receiver would make of
 * them nobody has seen.
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

/* A packet belongs to the device it came from: the other one, if there is one, gets a copy.
 */
static void forward(struct net_if *to, const struct mtcp_pkt *pkt)
{
    struct mtcp_pkt *copy = to ? netif_alloc(to) : NULL;
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

/* The packet that they make was judged; one that can't be told what it is was not. */
static bool whole_goes_on(struct net *n, struct rx *whole)
{
    if (!wire_parse(n, whole))
        return true;
    return whole->p.kind != PACKET_FRAGMENT && judge_parsed(n, whole, JUDGE_COPY) != HOOK_DROP;
}

static void fragment_in(struct net *n, const struct rx *x)
{
    struct mtcp_pkt whole = {0};
    struct frag *frags;
    whole.data = reass_in_frags(n, x, &whole.len, &frags);
    if (!whole.data)
        return;
    whole.room = whole.len;
    if (!whole_goes_on(n, &(struct rx){.pkt = &whole, .nif = x->nif}))
        n->stats.hook_drops++;
    else
        for (struct frag *f = frags; f; f = f->next)
            forward(x->nif->forward_to, &(struct mtcp_pkt){.data = f->frame, .len = f->frame_len});
    reass_frags_free(n, frags);
    mem_free(n->env.mem, whole.data, whole.room);
}

/* Does the packet go on, now? */
static bool goes_on(struct net *n, struct net_if *nif, struct mtcp_pkt *pkt)
{
    struct rx x = {.pkt = pkt, .nif = nif};
    if (!n->env.hooks || !wire_parse(n, &x))
        return true;
    if (unlikely(x.p.kind == PACKET_FRAGMENT)) {
        fragment_in(n, &x);
        return false;
    }
    if (likely(judge_parsed(n, &x, JUDGE_FRAME) != HOOK_DROP))
        return true;
    n->stats.hook_drops++;
    return false;
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
        if (likely(goes_on(n, nif, pkts[i])))
            forward(nif->forward_to, pkts[i]);
        nif->io->free(nif->io, pkts[i]);
    }
    nif->rx_packets += n_pkts;
    return n_pkts;
}

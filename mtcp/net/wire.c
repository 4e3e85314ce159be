/*
 * Packets of a wire. The monitor judges what can be parsed; what can't be (a bad checksum, a length
 * that lies) is counted and goes on, because whoever it is for will not take it either, and a frame
 * that is not understood here is not ours to stop. One in which its receiver may find a segment
 * that the parser does not look for is stopped: nobody has judged it.
 *
 * Fragments wait until their packet is whole and the monitor has judged it: then they go on, as
 * they came, or none does. So does none of a packet that was given up: fragments that overlap, too
 * many of them or of others, one that is missing for too long. What their receiver would make of
 * them nobody has seen.
 */
#include "mtcp/net/wire.h"

#include "mtcp/net/netif.h"
#include "mtcp/net/open_csum.h"
#include "mtcp/net/packet_in.h"
#include "mtcp/net/reass.h"
#include "mtcp/wire/cut.h"

#include <errno.h>
#include <string.h>

/* Packets so close together are a burst: they may have changed places. */
#define CAPTURE_TURN_US 100u

static enum hook_verdict judge_parsed(struct net *n, const struct rx *x, struct hook_seg *hs)
{
    *hs = rx_hook_seg(n, x);
    return n->env.hooks->wire(n->env.mon, hs, &x->p);
}

/* As packet_parse(). */
static int wire_parse(const struct net *n, struct rx *x)
{
    struct net_if *nif = x->nif;
    bool is_good = (x->pkt->flags & MTCP_PKT_RX_CSUM_GOOD) || n->conf.trust_csums;
    if (unlikely((x->pkt->flags & MTCP_PKT_RX_CSUM_BAD) && !is_good)) {
        nif->rx_bad_csum++;
        return -EILSEQ;
    }
    enum packet_csum csum = is_good ? PACKET_CSUM_GOOD : PACKET_CSUM_UNKNOWN;
    int err = packet_parse(&x->p, x->pkt->data, x->pkt->len, csum);
    if (unlikely(err))
        *(err == -EILSEQ ? &nif->rx_bad_csum : &nif->rx_malformed) += 1;
    return err;
}

static enum hook_verdict judge_unparsed(int err)
{
    return err == -ENOTSUP ? HOOK_DROP : HOOK_PASS;
}

/* An empty packet of that device, if there is one and the frame fits it. */
static struct mtcp_pkt *room_for(struct net_if *to, uint32_t len)
{
    struct mtcp_pkt *pkt = netif_alloc(to);
    if (unlikely(!pkt))
        return NULL;
    if (likely(pkt->room >= len))
        return pkt;
    to->io->free(to->io, pkt);
    to->tx_too_long++;
    return NULL;
}

/* A packet belongs to the device it came from: the other one, if there is one, gets a copy.
 */
static void forward(struct net_if *to, const uint8_t *frame, uint32_t len, bool is_open)
{
    struct mtcp_pkt *copy = to ? room_for(to, len) : NULL;
    if (unlikely(!copy))
        return;
    memcpy(copy->data, frame, len);
    copy->len = len;
    if (unlikely(is_open))
        open_csum_close(to, copy);
    netif_send(to, copy);
}

static void forward_cut(struct net_if *to, const struct cut *c, uint32_t max)
{
    uint32_t n = max - (c->payload_off - c->l3_off);
    for (uint32_t at = c->payload_off, part = 0; at < c->len; at += n, part++) {
        uint32_t left = c->len - at;
        struct mtcp_pkt *pkt = room_for(to, c->payload_off + (left < n ? left : n));
        if (!pkt)
            return;
        pkt->len =
            cut_write(pkt->data, c, at - c->payload_off, left < n ? left : n, (uint16_t)part);
        netif_send(to, pkt);
    }
}

/* What a monitor has made of a packet, in as many as it takes. */
static void forward_changed(struct net_if *to, const struct hook_seg *hs, bool is_open)
{
    const struct seg *seg = hs->seg;
    uint32_t len = hs->frame_len - hs->l3_off, hdrs = len - (seg ? seg->len : 0);
    uint32_t max = to && (hs->cut_len == 0 || to->mtu < hs->cut_len) ? to->mtu : hs->cut_len;
    if (likely(len <= max || hdrs >= max || !seg || (seg->flags & (TCP_SYN | TCP_RST)) || !to)) {
        forward(to, hs->frame, hs->frame_len, is_open);
        return;
    }
    const struct cut c = {
        .frame = hs->frame,
        .len = hs->frame_len,
        .l3_off = hs->l3_off,
        .l4_off = hs->l4_off,
        .payload_off = (uint16_t)(hs->l3_off + hdrs),
        .is_v4 = ip_addr_is_v4(&seg->tuple.local),
    };
    forward_cut(to, &c, max);
}

/* The packet that they make was judged; one that can't be told what it is was not. */
static enum hook_verdict judge_whole(struct net *n, struct rx *whole, struct hook_seg *hs)
{
    int err = wire_parse(n, whole);
    if (err)
        return judge_unparsed(err);
    return whole->p.kind == PACKET_FRAGMENT ? HOOK_DROP : judge_parsed(n, whole, hs);
}

static void fragment_in(struct net *n, const struct rx *x)
{
    struct mtcp_pkt whole = {0};
    struct frag *frags;
    struct hook_seg hs;
    whole.data = reass_in_frags(n, x, &whole.len, &frags);
    if (!whole.data)
        return;
    whole.room = whole.len;
    enum hook_verdict v = judge_whole(n, &(struct rx){.pkt = &whole, .nif = x->nif}, &hs);
    if (v == HOOK_DROP)
        n->stats.hook_drops++;
    else if (v == HOOK_CHANGED)
        forward_changed(x->nif->forward_to, &hs, false);
    else
        for (struct frag *f = frags; f; f = f->next)
            forward(x->nif->forward_to, f->frame, f->frame_len, false);
    reass_frags_free(n, frags);
    mem_free(n->env.mem, whole.data, whole.room);
}

/* A packet goes on, or what a monitor makes of it, or it is kept for later. */
static void packet_in(struct net *n, struct net_if *nif, struct mtcp_pkt *pkt)
{
    struct rx x = {.pkt = pkt, .nif = nif};
    struct hook_seg hs;
    enum hook_verdict v = HOOK_PASS;
    bool is_open = open_csum_is(n, pkt);
    if (n->env.hooks) {
        int err = wire_parse(n, &x);
        if (err == 0 && unlikely(x.p.kind == PACKET_FRAGMENT)) {
            fragment_in(n, &x);
            return;
        }
        v = unlikely(err) ? judge_unparsed(err) : judge_parsed(n, &x, &hs);
    }
    if (unlikely(v == HOOK_DROP))
        n->stats.hook_drops++;
    else if (likely(v == HOOK_PASS))
        forward(nif->forward_to, pkt->data, pkt->len, is_open);
    else
        forward_changed(nif->forward_to, &hs, is_open);
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
        packet_in(n, nif, pkts[i]);
        nif->io->free(nif->io, pkts[i]);
    }
    nif->rx_packets += n_pkts;
    return n_pkts;
}

/*
 * Half-open records: what a listener keeps of a SYN until the handshake's ACK makes it a connection
 * (RFC 9293 3.10.7.2 and SYN-RECEIVED in 3.10.7.4, RFC 5961, RFC 7323). Pure but for init.
 */
#include "mtcp/tcp/ecn.h"
#include "mtcp/tcp/handshake.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/state.h"
#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/tune.h"

#include <string.h>

void tcp_half_open_offer(const struct tcp_env *e, struct tcp_half_open *h, const struct seg *syn,
                         const struct tcp_params *p)
{
    h->opts = (uint8_t)tcp_opts_agreed(&e->params, &syn->opt);
    h->has_ecn = ecn_agrees(&e->params, syn);
    h->mss_peer = tcp_mss_offered(&syn->tuple.local, &syn->opt);
    h->wnd_peer = syn->wnd;
    h->snd_wscale = (h->opts & TCF_WSCALE) ? syn->opt.wscale : 0;
    h->rcv_wscale = (h->opts & TCF_WSCALE) ? tcp_wscale_for(tune_rcvbuf_most(p)) : 0;
}

void tcp_half_open_init(struct tcp_env *e, struct tcp_half_open *h, const struct seg *syn,
                        uint16_t mtu, const struct tcp_params *p)
{
    struct flow flow = h->flow;
    memset(h, 0, sizeof(*h));
    h->flow = flow;
    h->tuple = syn->tuple;
    h->iss = tcp_isn(e, &syn->tuple);
    h->irs = syn->seq;
    h->ts_offset = tcp_ts_offset(e, &syn->tuple);
    h->ts_recent = syn->opt.ts_val;
    h->mtu = mtu;
    tcp_half_open_offer(e, h, syn, p);
    h->rcv_wnd = p->rcvbuf < UINT16_MAX ? p->rcvbuf : UINT16_MAX;
    h->born_us = e->now_us;
    timer_init(&h->timer, TIMER_HALF_OPEN);
}

void tcp_half_open_begin_after(struct tcp_half_open *h, tcp_seq_t used)
{
    enum { ISN_STEP = 65537 }; /* as Linux */
    if (seq_lt(h->iss, used))
        h->iss = seq_add(used, ISN_STEP);
}

static void half_open_tx(const struct tcp_env *e, const struct tcp_half_open *h, struct tcp_tx *tx)
{
    memset(tx, 0, sizeof(*tx));
    tx->seg.tuple = h->tuple;
    tx->seg.ttl = 64;
    tx->seg.may_be_cut = false;
    tx->seg.ack = seq_add(h->irs, 1);
    if (h->opts & TCF_TS) {
        tx->seg.opt.has_ts = true;
        tx->seg.opt.ts_val = (uint32_t)(e->now_us / 1000) + h->ts_offset;
        tx->seg.opt.ts_ecr = h->ts_recent;
    }
}

void tcp_half_open_synack(const struct tcp_env *e, const struct tcp_half_open *h, struct tcp_tx *tx)
{
    half_open_tx(e, h, tx);
    tx->off = -1;
    tx->rexmit = h->n_sent > 0;
    tx->seg.flags = (uint8_t)(TCP_SYN | TCP_ACK | (h->has_ecn ? TCP_ECE : 0));
    tx->seg.seq = h->iss;
    tx->seg.wnd = (uint16_t)h->rcv_wnd;
    tx->seg.opt.has_mss = true;
    tx->seg.opt.mss = tcp_mss_of_mtu(&h->tuple.local, h->mtu);
    if (h->user_mss && h->user_mss < tx->seg.opt.mss)
        tx->seg.opt.mss = h->user_mss;
    tx->seg.opt.sack_permitted = h->opts & TCF_SACK;
    tx->seg.opt.has_wscale = h->opts & TCF_WSCALE;
    tx->seg.opt.wscale = h->rcv_wscale;
}

void tcp_half_open_ack(const struct tcp_env *e, const struct tcp_half_open *h, struct tcp_tx *tx)
{
    half_open_tx(e, h, tx);
    tx->seg.flags = TCP_ACK;
    tx->seg.seq = seq_add(h->iss, 1);
    /* Up: rounding must not take back what the SYN-ACK promised (RFC 7323 2.4). */
    tx->seg.wnd = (uint16_t)((h->rcv_wnd + (1u << h->rcv_wscale) - 1) >> h->rcv_wscale);
}

static bool in_half_open_window(const struct tcp_half_open *h, const struct seg *s)
{
    int32_t off = seq_diff(s->seq, seq_add(h->irs, 1));
    int64_t end = (int64_t)off + seg_seq_len(s);
    return end >= 0 && off <= (int64_t)h->rcv_wnd;
}

/* Data or FIN that is no repetition. */
static bool has_news(const struct tcp_half_open *h, const struct seg *s)
{
    uint32_t len = seg_seq_len(s);
    return len > 0 && seq_diff(seq_add(s->seq, len), seq_add(h->irs, 1)) > 0;
}

enum tcp_half_open_verdict tcp_half_open_input(const struct tcp_env *e,
                                               const struct tcp_half_open *h, const struct seg *s)
{
    (void)e;
    if ((s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && seq_eq(s->seq, h->irs))
        return TCP_HO_SYNACK;
    if (!(s->flags & TCP_RST) && (h->opts & TCF_TS) && s->opt.has_ts &&
        (int32_t)(s->opt.ts_val - h->ts_recent) < 0)
        return TCP_HO_ACK; /* PAWS */
    if (!in_half_open_window(h, s))
        return (s->flags & TCP_RST) ? TCP_HO_DROP : TCP_HO_ACK;
    if (s->flags & TCP_RST)
        return seq_eq(s->seq, seq_add(h->irs, 1)) ? TCP_HO_CLOSED : TCP_HO_ACK;
    if (s->flags & TCP_SYN)
        return TCP_HO_ACK; /* RFC 5961 4.2 */
    if (!(s->flags & TCP_ACK))
        return TCP_HO_DROP;
    if (!seq_eq(s->ack, seq_add(h->iss, 1)))
        return TCP_HO_RESET;
    if (unlikely(h->n_timeouts < h->n_defer) && !has_news(h, s))
        return TCP_HO_WAIT;
    return TCP_HO_PROMOTE;
}

void tcp_half_open_acked(const struct tcp_env *e, struct tcp_half_open *h, const struct seg *s)
{
    if (h->is_acked)
        return;
    h->is_acked = true;
    if ((h->opts & TCF_TS) && s->opt.has_ts && s->opt.ts_ecr) {
        int32_t ms = (int32_t)((uint32_t)(e->now_us / 1000) + h->ts_offset - s->opt.ts_ecr);
        h->rtt_us = ms > 0 ? (uint32_t)ms * 1000u : 500u;
    } else { /* Karn */
        h->rtt_us = h->n_sent == 1 && !h->is_repeated ? e->now_us - h->born_us : 0;
    }
}

void tcp_half_open_promote(struct tcp_env *e, struct tcp_conn *c, const struct tcp_half_open *h)
{
    uint64_t born_us = h->is_acked || h->is_repeated ? e->now_us : h->born_us;
    c->iss = h->iss;
    c->irs = h->irs;
    c->flags |= TCF_IRS | h->opts | (h->has_ecn ? (uint32_t)TCF_ECN : 0);
    c->ts_offset = h->ts_offset;
    c->ts_recent = h->ts_recent;
    c->ts_recent_s = (uint32_t)(born_us / 1000000);
    c->mss_peer = h->mss_peer;
    c->user_mss = h->user_mss & TCP_MSS_USER_MAX;
    c->snd_wscale = h->snd_wscale;
    c->rcv_wscale = h->rcv_wscale;
    c->snd_wnd = c->snd_wnd_max = h->wnd_peer;
    c->snd_nxt = c->snd_max = 0;
    c->rcv_adv = h->rcv_wnd;
    c->rcv_acked = 0;
    if (h->is_acked && h->rtt_us != 0)
        rtt_sample(e, c, h->rtt_us < UINT32_MAX ? (uint32_t)h->rtt_us : UINT32_MAX);
    c->backoff = h->n_sent > 1 ? (uint8_t)(h->n_sent - 1) : 0;
    c->last_active_us = born_us; /* the handshake's RTT counts from it; now: no RTT */
    c->listener = h->listener;
    e->stats.conns_accepted++;
    conn_set_state(e, c, TCPS_SYN_RCVD);
    c->mon = h->mon; /* after: the monitor was told of SYN_RCVD when the SYN came */
}

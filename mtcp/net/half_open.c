/*
 * Half-open records. Bounded by the listener's backlog and by max_half_open over all: beyond either
 * a SYN is answered with a cookie and forgotten (tcp/syn_cookie.h), or dropped. The SYN-ACK is sent
 * at once and again with back-off (RFC 6298, 9293 3.8.1); the ACK that completes the handshake
 * makes a connection, unless the accept queue is full: then it is dropped, and the peer, who
 * believes to be connected, sends again (as Linux).
 */
#include "mtcp/net/half_open.h"

#include "mtcp/net/fastopen.h"
#include "mtcp/net/listener.h"
#include "mtcp/net/neigh.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/packet_out.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/net/route.h"
#include "mtcp/tcp/fastopen.h"
#include "mtcp/tcp/syn_cookie.h"
#include "mtcp/tcp/tune.h"

#include <errno.h>

static struct net_listener *listener_of(const struct tcp_half_open *h)
{
    return h->listener;
}

/* ---- the end -------------------------------------------------------------------------------- */

/* What ends it has been decided in a monitor's code: nothing more is done for it. */
static bool half_open_is_over(const struct tcp_half_open *h)
{
    return h->flow.marks & (NET_MARK_RESET | NET_MARK_END);
}

/* The record leaves the bounds; its listener may go then. */
static void half_open_uncount(struct net *n, struct tcp_half_open *h)
{
    if (h->listener)
        listener_of(h)->n_half_open--;
    h->listener = NULL;
    n->n_half_open--;
    wheel_cancel(&n->env.wheel, &h->timer);
}

void half_open_end(struct net *n, struct tcp_half_open *h, enum hook_end reason)
{
    flow_table_remove(n->flows, &h->flow);
    half_open_uncount(n, h);
    if (unlikely(h->mon != NULL))
        n->env.hooks->dying(n->env.mon, h->mon, reason);
    pool_put(&n->half_opens, h);
}

bool half_open_abandon(struct net *n, struct tcp_half_open *h)
{
    if (n->env.user_depth == 0) {
        half_open_end(n, h, HOOK_END_ABORT);
        return true;
    }
    listener_of(h)->n_half_open--;
    h->listener = NULL;
    h->flow.marks |= NET_MARK_END;
    wheel_arm(&n->env.wheel, &h->timer, 0);
    return false;
}

/* ---- SYN-ACKs ------------------------------------------------------------------------------- */

/* With a Fast Open cookie for who sent `syn`, unless that is NULL. */
static void send_synack(struct net *n, struct tcp_half_open *h, const struct seg *syn)
{
    struct tcp_tx tx;
    tcp_half_open_synack(&n->env, h, &tx);
    if (unlikely(syn != NULL))
        fastopen_offer(n, listener_of(h), syn, &tx.seg.opt, tx.cookie);
    (void)segment_send(n, &h->mon, &tx); /* what did not pass is sent again by the timer */
}

/* The time until the next SYN-ACK, doubled each time that it is over (RFC 6298 5.5). */
static uint64_t synack_timeout_us(const struct net *n, const struct tcp_half_open *h)
{
    const struct tcp_params *p = &n->env.params;
    unsigned shift = h->n_timeouts < 15 ? h->n_timeouts : 15u;
    uint64_t us = (uint64_t)p->init_rto_us << shift;
    return us < p->max_rto_us ? us : p->max_rto_us;
}

static void half_open_arm(struct net *n, struct tcp_half_open *h)
{
    wheel_arm(&n->env.wheel, &h->timer, n->env.now_us + synack_timeout_us(n, h));
}

/* Held ones look whether the address is there: first often, and in all not so often that a flood of
 * them costs more than its SYNs. */
static void look_again(struct net *n, struct tcp_half_open *h)
{
    enum { LOOK_AGAIN_US = 10000 };
    uint64_t us = (n->env.now_us - h->born_us) / 2, end = h->born_us + n->env.params.init_rto_us;
    uint64_t at_us = n->env.now_us + (us > LOOK_AGAIN_US ? us : LOOK_AGAIN_US);
    wheel_arm(&n->env.wheel, &h->timer, at_us < end ? at_us : end);
}

/* A burst of SYNs can come by a neighbour that has not told its address yet. SYN-ACKs for which it
 * has no place are not built until it has: a record is there anyway, and the peer would be
 * answered a second late. Not longer than that, nor when it is not asked any more. */
static bool hold_synack(struct net *n, struct tcp_half_open *h)
{
    const struct net_hop *hop = route_hop(n, &h->tuple.remote);
    uint64_t held_us = n->env.now_us - h->born_us;
    h->is_held = hop && !neigh_is_known(hop->neigh) && neigh_queue_is_full(n, hop->neigh) &&
                 h->n_sent == 0 && held_us < n->env.params.init_rto_us;
    if (likely(!h->is_held))
        return false;
    if (held_us == 0)
        neigh_want(n, hop->neigh);
    h->is_held = hop->neigh->state != NEIGH_NONE;
    if (h->is_held) {
        h->is_repeated = true; /* its time would be that of the neighbour */
        look_again(n, h);
    }
    return h->is_held;
}

static void send_synack_timed(struct net *n, struct tcp_half_open *h, const struct seg *syn)
{
    if (hold_synack(n, h))
        return;
    send_synack(n, h, syn);
    if (!h->is_acked && h->n_sent < UINT8_MAX)
        h->n_sent++;
    if (likely(!half_open_is_over(h)))
        half_open_arm(n, h);
}

/* TCP_SYNCNT of the listener, or the default. */
static unsigned synack_retries(const struct net *n, const struct tcp_half_open *h)
{
    const struct net_listener *l = listener_of(h);
    return l->has_ext && l->ext.syn_retries ? l->ext.syn_retries : n->env.params.synack_retries;
}

/* The peer has had its tries, and its time to send data if it is connected as far as it can tell.
 */
static bool half_open_is_late(const struct net *n, const struct tcp_half_open *h)
{
    return h->n_timeouts >= synack_retries(n, h) && (!h->is_acked || h->n_timeouts >= h->n_defer);
}

/* As Linux: while data is waited for after the ACK there is nothing to repeat but at the end, so
 * that the peer's answer makes the connection. */
static void half_open_timed_out(struct net *n, struct tcp_half_open *h)
{
    h->n_timeouts++;
    if (h->is_acked && h->n_timeouts < h->n_defer)
        half_open_arm(n, h);
    else
        send_synack_timed(n, h, NULL); /* a cookie may be why it was lost (RFC 7413 4.1.3) */
}

/* A RST as for a segment of no connection: the peer's next would be irs + 1, acknowledging iss + 1.
 */
static void reset_by_monitor(struct net *n, struct tcp_half_open *h)
{
    struct seg next = {
        .tuple = h->tuple, .seq = seq_add(h->irs, 1), .ack = seq_add(h->iss, 1), .flags = TCP_ACK};
    segment_reset(n, &h->mon, &next);
    half_open_end(n, h, HOOK_END_RESET_BY_MONITOR);
}

void half_open_timer(struct net *n, struct tcp_half_open *h)
{
    if (unlikely(h->flow.marks & NET_MARK_RESET))
        reset_by_monitor(n, h);
    else if (unlikely(h->flow.marks & NET_MARK_END))
        half_open_end(n, h, HOOK_END_ABORT);
    else if (h->is_held)
        send_synack_timed(n, h, NULL);
    else if (half_open_is_late(n, h))
        half_open_end(n, h, HOOK_END_TIMEOUT);
    else
        half_open_timed_out(n, h);
}

/* ---- the SYN -------------------------------------------------------------------------------- */

/* Is there room for what becomes of it? */
static bool listener_takes_conn(const struct net *n, const struct net_listener *l)
{
    return !listener_is_full(l) && (n->conf.max_conns == 0 || net_n_conns(n) < n->conf.max_conns);
}

/* Is there room for a record? */
static bool listener_takes_syn(const struct net *n, const struct net_listener *l)
{
    return l->n_half_open < l->backlog &&
           (n->conf.max_half_open == 0 || n->n_half_open < n->conf.max_half_open);
}

/* A record in no table yet; NULL: no memory, or no way to answer. */
static struct tcp_half_open *half_open_new(struct net *n, struct net_listener *l,
                                           const struct seg *syn)
{
    const struct net_hop *hop = route_hop(n, &syn->tuple.remote);
    if (!hop) {
        n->stats.no_route++;
        return NULL;
    }
    struct tcp_half_open *h = pool_get(&n->half_opens);
    if (!h) {
        n->stats.conn_nomem++;
        return NULL;
    }
    h->flow = (struct flow){.kind = FLOW_HALF_OPEN, .netif = hop->netif};
    uint16_t mtu = netif_mtu(&n->ifs[hop->netif], &syn->tuple.local);
    tcp_half_open_init(&n->env, h, syn, mtu, &l->params);
    h->user_mss = l->user_mss;
    h->n_defer = l->has_ext ? l->ext.defer_accept : 0;
    h->listener = l;
    return h;
}

static struct hook_seg half_open_hook_seg(const struct net *n, const struct tcp_half_open *h,
                                          const struct rx *x)
{
    struct hook_seg hs = rx_hook_seg(n, x);
    hs.has_off = true;
    hs.off = off_of_seq(h->irs, x->p.seg.seq, 0);
    return hs;
}

/* Is the connection to be? A monitor may want it not to, or may want to see it (mon). */
static enum hook_verdict half_open_ask(struct net *n, struct tcp_half_open *h, struct hook_seg *hs)
{
    const struct tcp_hooks *hooks = n->env.hooks;
    enum hook_verdict v = hooks->born(n->env.mon, hs, &h->flow, &h->mon);
    if (v == HOOK_DROP) {
        h->mon = NULL;
        n->stats.hook_drops++;
        return v;
    }
    if (h->mon)
        (void)hooks->pkt(n->env.mon, h->mon, hs); /* the verdict was born()'s */
    if (h->mon)
        hooks->state(n->env.mon, h->mon, TCPS_LISTEN, TCPS_SYN_RCVD);
    return v;
}

static void half_open_told(struct net *n, struct tcp_half_open *h, const struct hook_seg *hs)
{
    if (h->mon)
        n->env.hooks->pkt_done(n->env.mon, h->mon, hs);
}

static void half_open_insert(struct net *n, struct tcp_half_open *h, uint32_t hash)
{
    flow_table_insert(n->flows, &h->flow, hash);
    listener_of(h)->n_half_open++;
    n->n_half_open++;
}

static bool fastopen_begin(struct net *n, struct tcp_half_open *h, const struct rx *x,
                           const struct hook_seg *hs, bool is_renewed);

static void record_begin(struct net *n, struct net_listener *l, const struct rx *x,
                         const tcp_seq_t *used)
{
    struct tcp_half_open *h = half_open_new(n, l, &x->p.seg);
    if (unlikely(!h)) {
        rx_orphan(n, x);
        return;
    }
    if (unlikely(used != NULL))
        tcp_half_open_begin_after(h, *used);
    half_open_insert(n, h, x->hash);
    struct hook_seg hs = half_open_hook_seg(n, h, x);
    hs.accepted = true;
    enum hook_verdict v = HOOK_PASS;
    if (unlikely(n->env.hooks != NULL))
        v = half_open_ask(n, h, &hs);
    if (unlikely(v == HOOK_DROP)) {
        half_open_end(n, h, HOOK_END_ABORT);
        return;
    }
    struct rx changed;
    if (unlikely(v == HOOK_CHANGED)) {
        rx_changed(&changed, x, &hs);
        x = &changed;
        if (!half_open_is_over(h))
            tcp_half_open_offer(&n->env, h, &x->p.seg, &l->params);
    }
    enum fastopen_answer fast = fastopen_judge(n, l, &x->p.seg);
    if (unlikely(fast >= FASTOPEN_TAKEN) && fastopen_begin(n, h, x, &hs, fast == FASTOPEN_RENEWED))
        return;
    half_open_told(n, h, &hs);
    bool gives_cookie = fast != FASTOPEN_NONE && x->p.seg.opt.has_fastopen;
    if (likely(!half_open_is_over(h)))
        send_synack_timed(n, h, unlikely(gives_cookie) ? &x->p.seg : NULL);
}

/* The SYN is answered without a record; monitors hear of it when the answer comes back. */
static void cookie_begin(struct net *n, struct net_listener *l, const struct rx *x)
{
    const struct net_hop *hop = route_hop(n, &x->p.seg.tuple.remote);
    struct tcp_half_open h = {.flow.kind = FLOW_HALF_OPEN};
    struct tcp_tx tx;
    if (!hop) {
        n->stats.no_route++;
        return;
    }
    uint16_t mtu = netif_mtu(&n->ifs[hop->netif], &x->p.seg.tuple.local);
    tcp_half_open_init(&n->env, &h, &x->p.seg, mtu, &l->params);
    h.user_mss = l->user_mss;
    syn_cookie_synack(&n->env, &h, &tx);
    l->cookies_until_us = n->env.now_us + SYN_COOKIE_LIFE_US;
    n->stats.cookies_sent++;
    (void)segment_send(n, NULL, &tx);
}

void half_open_begin(struct net *n, struct net_listener *l, const struct rx *x,
                     const tcp_seq_t *used)
{
    bool has_room = n->conf.syn_cookies < 2 && listener_takes_syn(n, l);
    if (unlikely(!listener_takes_conn(n, l) || (!has_room && !n->conf.syn_cookies))) {
        n->stats.syn_dropped_backlog++;
        rx_orphan(n, x);
    } else if (likely(has_room)) {
        record_begin(n, l, x, used);
    } else {
        cookie_begin(n, l, x);
    }
}

/* ---- the connection ------------------------------------------------------------------------- */

/* What the listening socket's options say of its connections. */
static void conn_inherit(struct net *n, struct tcp_conn *c, const struct net_listener *l)
{
    tune_init(c, &l->params);
    if (l->params.cc)
        c->cc_ops = l->params.cc;
    c->flags |= l->conn_flags;
    if (!l->has_ext)
        return;
    c->ext = mem_alloc(n->env.mem, sizeof(*c->ext));
    if (c->ext)
        *c->ext = l->ext;
}

/* A connection in the place of the record, which is gone then. NULL without memory. */
static struct tcp_conn *half_open_promote(struct net *n, struct tcp_half_open *h)
{
    struct net_listener *l = listener_of(h);
    struct tcp_conn *c = pool_get(&n->conns);
    struct net_waiting *w = c ? pool_get(&n->waitings) : NULL;
    if (!w) {
        n->stats.conn_nomem++;
        if (c)
            pool_put(&n->conns, c);
        return NULL;
    }
    struct tcp_open open = {.tuple = h->tuple, .mtu = h->mtu};
    c->flow = h->flow;
    c->flow.kind = FLOW_CONN;
    c->flow.marks = 0;
    tcp_conn_init(&n->env, c, &open);
    conn_inherit(n, c, l);
    pmtu_begin(n, c);
    flow_table_replace(n->flows, &h->flow, &c->flow);
    tcp_half_open_promote(&n->env, c, h);
    *w = (struct net_waiting){.conn = c};
    c->listener = w;
    listener_enqueue(n, l, w);
    half_open_uncount(n, h);
    pool_put(&n->half_opens, h);
    if (unlikely(c->mon != NULL))
        n->env.hooks->moved(n->env.mon, c->mon, &c->flow);
    return c;
}

/* A new cookie goes with the SYN-ACK. Without memory the old one has to do. */
static void fastopen_renew(const struct net *n, const struct net_listener *l, struct tcp_conn *c,
                           const struct seg *syn)
{
    struct tcp_opts o;
    if (!c->ext)
        return;
    fastopen_offer(n, l, syn, &o, c->ext->fastopen.cookie);
    c->ext->fastopen.cookie_len = o.fastopen_len;
    c->ext->fastopen.is_exp = o.fastopen_is_exp;
}

/* The SYN's data is taken before the handshake is over (RFC 7413 4.2.2). False: no memory for the
 * connection, which then begins as any other. */
static bool fastopen_begin(struct net *n, struct tcp_half_open *h, const struct rx *x,
                           const struct hook_seg *hs, bool is_renewed)
{
    struct net_listener *l = listener_of(h);
    struct tcp_conn *c = half_open_is_over(h) ? NULL : half_open_promote(n, h);
    if (!c)
        return false;
    n->n_fastopen++;
    n->stats.fastopen_accepted++;
    tcp_fastopen_accept(&n->env, c, &x->p.seg);
    if (is_renewed)
        fastopen_renew(n, l, c, &x->p.seg);
    if (c->mon)
        n->env.hooks->pkt_done(n->env.mon, c->mon, hs);
    tcp_run_queued(&n->env, c);
    return true;
}

/* ---- segments ------------------------------------------------------------------------------- */

static enum tcp_half_open_verdict half_open_judge(struct net *n, const struct tcp_half_open *h,
                                                  const struct rx *x)
{
    if (unlikely(half_open_is_over(h)))
        return TCP_HO_DROP;
    enum tcp_half_open_verdict v = tcp_half_open_input(&n->env, h, &x->p.seg);
    if (v == TCP_HO_PROMOTE && listener_is_full(listener_of(h))) {
        n->stats.accept_dropped++;
        return TCP_HO_DROP;
    }
    return v;
}

/* Everything but the promotion. */
static void half_open_answer(struct net *n, struct tcp_half_open *h, const struct seg *s,
                             enum tcp_half_open_verdict v)
{
    struct tcp_tx tx;
    switch (v) {
    case TCP_HO_SYNACK:
        h->is_repeated = true;
        if (unlikely(h->is_held))
            send_synack_timed(n, h, NULL);
        else
            send_synack(n, h, NULL);
        return;
    case TCP_HO_ACK:
        if (!rate_limit_take(&n->rst_limit, n->env.now_us))
            return;
        tcp_half_open_ack(&n->env, h, &tx);
        (void)segment_send(n, &h->mon, &tx);
        return;
    case TCP_HO_RESET:
        segment_reset(n, &h->mon, s);
        return;
    case TCP_HO_CLOSED:
        half_open_end(n, h, HOOK_END_RST_IN);
        return;
    case TCP_HO_WAIT:
        n->stats.accept_deferred++;
        tcp_half_open_acked(&n->env, h, s);
        return;
    case TCP_HO_DROP:
    case TCP_HO_PROMOTE:
        return;
    }
}

/* `hs`: what the monitor was asked about, or NULL. */
static void half_open_act(struct net *n, struct tcp_half_open *h, const struct rx *x,
                          enum tcp_half_open_verdict v, const struct hook_seg *hs)
{
    struct tcp_conn *c = v == TCP_HO_PROMOTE ? half_open_promote(n, h) : NULL;
    if (c) {
        rx_give_to_conn(n, c, x, hs);
        return;
    }
    if (h->mon)
        n->env.hooks->pkt_done(n->env.mon, h->mon, hs);
    if (!half_open_is_over(h))
        half_open_answer(n, h, &x->p.seg, v);
}

static void half_open_in_monitored(struct net *n, struct tcp_half_open *h, const struct rx *x,
                                   enum tcp_half_open_verdict v)
{
    struct hook_seg hs = half_open_hook_seg(n, h, x);
    hs.accepted = v == TCP_HO_PROMOTE || v == TCP_HO_CLOSED;
    struct rx changed;
    enum hook_verdict said = n->env.hooks->pkt(n->env.mon, h->mon, &hs);
    if (said == HOOK_DROP) {
        n->stats.hook_drops++;
        return;
    }
    if (said == HOOK_CHANGED) {
        rx_changed(&changed, x, &hs);
        x = &changed;
    }
    if (half_open_is_over(h))
        v = TCP_HO_DROP;
    half_open_act(n, h, x, v, &hs);
}

void half_open_in(struct net *n, struct tcp_half_open *h, const struct rx *x)
{
    enum tcp_half_open_verdict v = half_open_judge(n, h, x);
    if (unlikely(h->mon != NULL))
        half_open_in_monitored(n, h, x, v);
    else
        half_open_act(n, h, x, v, NULL);
}

/* ---- cookies that come back ----------------------------------------------------------------- */

/* What monitors did not hear when the SYN came: SYN and SYN-ACK, put together again. False: one of
 * them does not want the connection to be. */
static bool cookie_told(struct net *n, struct tcp_half_open *h, const struct rx *x,
                        const struct seg *syn)
{
    struct tcp_tx tx;
    struct hook_seg hs = {.dir = HOOK_IN,
                          .seg = syn,
                          .netif = x->nif->index,
                          .accepted = true,
                          .is_rebuilt = true,
                          .has_off = true,
                          .off = -1,
                          .now_us = n->env.now_us};
    if (half_open_ask(n, h, &hs) == HOOK_DROP)
        return false;
    half_open_told(n, h, &hs);
    if (!h->mon)
        return true;
    tcp_half_open_synack(&n->env, h, &tx);
    hs.dir = HOOK_OUT;
    hs.seg = &tx.seg;
    (void)n->env.hooks->pkt(n->env.mon, h->mon, &hs); /* it is long gone */
    if (h->mon)
        n->env.hooks->pkt_done(n->env.mon, h->mon, &hs);
    return true;
}

/* The segment did not make a connection of the record: there was no memory for one. */
static void cookie_end(struct net *n, const struct rx *x)
{
    struct flow *f = flow_table_find(n->flows, &x->p.seg.tuple, x->hash);
    struct tcp_half_open *h = (struct tcp_half_open *)(void *)f;
    if (f && f->kind == FLOW_HALF_OPEN && !half_open_is_over(h))
        half_open_end(n, h, HOOK_END_ABORT);
}

bool half_open_from_cookie(struct net *n, struct net_listener *l, const struct rx *x)
{
    struct seg syn;
    if (l->cookies_until_us <= n->env.now_us)
        return false;
    if (!syn_cookie_check(&n->env, &x->p.seg, &syn)) {
        n->stats.cookies_bad++;
        return false;
    }
    if (!listener_takes_conn(n, l)) {
        n->stats.accept_dropped++;
        return true; /* the peer believes to be connected and sends again */
    }
    struct tcp_half_open *h = half_open_new(n, l, &syn);
    if (!h)
        return true;
    h->iss = seq_add(x->p.seg.ack, (uint32_t)-1);
    h->n_sent = 1;
    h->n_defer = 0; /* there is no room for who waits */
    half_open_insert(n, h, x->hash);
    n->stats.cookies_taken++;
    if (unlikely(n->env.hooks != NULL) && !cookie_told(n, h, x, &syn)) {
        half_open_end(n, h, HOOK_END_ABORT);
        return true;
    }
    half_open_in(n, h, x);
    cookie_end(n, x);
    return true;
}

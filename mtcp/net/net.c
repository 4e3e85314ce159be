/* The whole of net/: set-up and end, the timers of all kinds, the flush at the end of a turn. */
#include "mtcp/net/net.h"

#include "mtcp/net/ndp.h"
#include "mtcp/net/neigh.h"
#include "mtcp/net/arp.h"
#include "mtcp/net/conn_end.h"
#include "mtcp/net/dormant.h"
#include "mtcp/net/half_open.h"
#include "mtcp/net/listener.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/own_packet.h"
#include "mtcp/net/packet_out.h"
#include "mtcp/net/pmtu.h"
#include "mtcp/net/reass.h"
#include "mtcp/net/time_wait.h"
#include "mtcp/net/timer_kind.h"
#include "mtcp/tcp/dormant.h"
#include "mtcp/tcp/state.h"

#include <errno.h>
#include <string.h>

/* ---- set-up and end ------------------------------------------------------------------------- */

static void pools_init(struct net *n, struct mem *mem)
{
    pool_init(&n->conns, mem, sizeof(struct tcp_conn), 0);
    pool_init(&n->dormants[0], mem, sizeof(struct tcp_dormant), 0);
    pool_init(&n->dormants[1], mem, sizeof(struct tcp_dormant_timed), 0);
    pool_init(&n->half_opens, mem, sizeof(struct tcp_half_open), 0);
    pool_init(&n->waitings, mem, sizeof(struct net_waiting), 0);
}

int net_init(struct net *n, struct mem *mem, const struct net_conf *conf, uint64_t seed,
             uint64_t now_us)
{
    memset(n, 0, sizeof(*n));
    tcp_env_init(&n->env, mem, seed, now_us);
    n->conf = *conf;
    n->hop_epoch = 1;
    n->next_ephemeral = rng_u32(&n->env.rng);
    rate_limit_init(&n->rst_limit, conf->rst_per_sec);
    rate_limit_init(&n->icmp_limit, conf->rst_per_sec);
    for (unsigned i = 0; i < NET_LISTENER_BUCKETS; i++)
        list_init(&n->listeners[i]);
    list_init(&n->ready_listeners);
    list_init(&n->mon_time_waits);
    time_waits_init(n);
    pools_init(n, mem);
    struct hash_key key = {rng_u64(&n->env.rng), rng_u64(&n->env.rng)};
    n->flows = flow_table_create(mem, &key);
    if (n->flows && neigh_init(n) == 0)
        return 0;
    flow_table_destroy(n->flows);
    n->flows = NULL;
    return -ENOMEM;
}

/* Ends one record, for good and without a packet. */
static bool flow_end(void *arg, struct flow *f)
{
    struct net *n = arg;
    struct tcp_conn *c = conn_of_flow(f);
    if (f->kind == FLOW_HALF_OPEN) {
        half_open_end(n, (struct tcp_half_open *)(void *)f, HOOK_END_ABORT);
    } else if (f->kind == FLOW_CONN) {
        bool is_closed = c->state == TCPS_TIME_WAIT;
        conn_die(&n->env, c, is_closed ? HOOK_END_FIN : HOOK_END_ABORT, ECONNABORTED);
        conn_forget(n, c);
        c->sock = -1;
    } else if (f->kind == FLOW_DORMANT) {
        dormant_end(n, (struct tcp_dormant *)(void *)f);
    } else {
        return false;
    }
    return true;
}

static void conns_fini(struct net *n)
{
    n->is_ending = true;
    for (unsigned i = 0; i < NET_LISTENER_BUCKETS; i++)
        while (!list_is_empty(&n->listeners[i]))
            net_unlisten(n, container_of(n->listeners[i].next, struct net_listener, node));
    time_waits_fini(n);
    flow_table_each(n->flows, flow_end, n);
    neigh_unpark_all(n);
    for (struct tcp_conn *c = n->env.out_head; c; c = c->out_next)
        c->flags &= ~(uint32_t)TCF_ON_OUT;
    n->env.out_head = NULL;
    n->env.out_tail = &n->env.out_head;
    conns_prune_ready(n);
    conns_reap(n);
}

void net_fini(struct net *n)
{
    if (!n->flows)
        return;
    conns_fini(n);
    neigh_fini(n);
    reass_fini(n);
    for (unsigned i = 0; i < n->n_ifs; i++)
        netif_fini(n, &n->ifs[i]);
    mem_free(n->env.mem, n->routes, n->max_routes * sizeof(*n->routes));
    flow_table_destroy(n->flows);
    n->flows = NULL;
    pool_fini(&n->conns);
    pool_fini(&n->dormants[0]);
    pool_fini(&n->dormants[1]);
    pool_fini(&n->half_opens);
    pool_fini(&n->waitings);
}

/* ---- timers --------------------------------------------------------------------------------- */

static void conn_timer(struct net *n, struct tcp_conn *c)
{
    uint8_t backoff = c->backoff;
    tcp_timer(&n->env, c);
    if (unlikely(c->backoff > backoff))
        pmtu_suspect(n, c);
    tcp_run_queued(&n->env, c);
}

static void wheel_timers(struct net *n)
{
    struct timer *t;
    while ((t = wheel_expire(&n->env.wheel, n->env.now_us)) != NULL) {
        switch (t->kind) {
        case TIMER_CONN:
            conn_timer(n, container_of(t, struct tcp_conn, timer));
            break;
        case TIMER_HALF_OPEN:
            half_open_timer(n, container_of(t, struct tcp_half_open, timer));
            break;
        case NET_TIMER_TIME_WAIT:
            time_waits_timer(n, container_of(t, struct net_time_waits, timer));
            break;
        case NET_TIMER_REASS:
            reass_timer(n);
            break;
        case NET_TIMER_NEIGH:
            neigh_timer(n, container_of(t, struct neigh, timer));
            break;
        case NET_TIMER_DORMANT: {
            struct tcp_conn *c = dormant_timer(n, container_of(t, struct tcp_dormant_timed, timer));
            if (c)
                conn_timer(n, c);
            break;
        }
        case NET_TIMER_NDP:
            ndp_timer(n, container_of(t, struct ndp, timer));
            break;
        }
    }
}

void net_timers(struct net *n)
{
    const struct tcp_hooks *hooks = n->env.hooks;
    wheel_timers(n);
    if (unlikely(hooks != NULL) && hooks->timers)
        hooks->timers(n->env.mon, n->env.now_us);
}

void net_clock(struct net *n, uint64_t now_us)
{
    const uint64_t day_us = 86400ull * 1000000;
    bool is_late = now_us - n->env.now_us > day_us;
    n->env.now_us = now_us;
    if (unlikely(is_late))
        net_timers(n);
}

/* ---- the flush ------------------------------------------------------------------------------ */

/* Per turn; the connection that reaches it may send its own share beyond. */
#define FLUSH_SEGMENTS 128u

/* In TIME_WAIT, without an owner: the compact record takes over as soon as nothing holds the
 * connection. */
static void conn_shrink(struct net *n, struct tcp_conn *c)
{
    if (c->flags & TCF_ON_OUT)
        return;
    if (tcp_time_wait_fits(c)) {
        waiting_leave(n, c); /* a monitor that was there has let go */
        (void)time_wait_take(n, c);
    } else if ((c->flags & (TCF_ORPHAN | TCF_ON_READY)) == (TCF_ORPHAN | TCF_ON_READY)) {
        n->prune_ready = true; /* the next flush finds it off that list */
        conn_mark_output(&n->env, c);
    }
}

/* Everything that one marked connection has to send; then what is empty goes back. */
static void conn_flush(struct net *n, struct tcp_conn *c)
{
    enum conn_send_result r = conn_send(n, c);
    if (unlikely(r == CONN_MORE))
        conn_mark_output(&n->env, c);
    if (unlikely(r != CONN_SENT || (c->flags & TCF_DEAD)))
        return;
    tcp_output_done(&n->env, c);
    if (unlikely(c->state == TCPS_TIME_WAIT))
        conn_shrink(n, c);
}

/* The list is taken off first: what is marked again is for the next turn. So is what is beyond a
 * turn's share, in its order and before the new: receiving comes in between, or the peers' ACKs
 * would outrun the device's queue while we send. */
static void conns_flush(struct net *n)
{
    struct tcp_env *e = &n->env;
    struct tcp_conn *c = e->out_head, *next, **tail = e->out_tail;
    uint64_t until = e->stats.segs_out + FLUSH_SEGMENTS;
    e->out_head = NULL;
    e->out_tail = &e->out_head;
    for (; c && e->stats.segs_out < until; c = next) {
        next = c->out_next;
        __builtin_prefetch(next);
        c->flags &= ~(uint32_t)TCF_ON_OUT;
        conn_flush(n, c);
    }
    if (likely(!c))
        return;
    *tail = e->out_head;
    if (!e->out_head)
        e->out_tail = tail;
    e->out_head = c;
}

static uint64_t n_sent(const struct net *n)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < n->n_ifs; i++)
        sum += n->ifs[i].tx_packets;
    return sum;
}

void net_flush(struct net *n)
{
    uint64_t before = n_sent(n);
    if (unlikely(n->prune_ready || n->env.dead_head)) {
        conns_prune_ready(n);
        n->prune_ready = false;
    }
    conns_flush(n);
    if (unlikely(n->has_own))
        own_packets_flush(n);
    for (unsigned i = 0; i < n->n_ifs; i++) {
        struct net_if *nif = &n->ifs[i];
        if (unlikely(nif->stuck_since_us)) { /* unless somebody tried in vain again */
            nif->stuck_since_us = nif->was_stuck ? nif->stuck_since_us : 0;
            nif->was_stuck = false;
        }
        if (unlikely(nif->announce_due)) {
            nif->announce_due = false;
            arp_announce(n, nif);
        }
        netif_flush(nif);
    }
    n->has_moved = n_sent(n) != before;
    if (n->env.dead_head) {
        conns_prune_ready(n);
        conns_reap(n);
    }
}

uint64_t net_next_us(const struct net *n)
{
    const struct tcp_hooks *hooks = n->env.hooks;
    uint64_t next = wheel_next_us(&n->env.wheel);
    uint64_t of_mon = hooks && hooks->next_us ? hooks->next_us(n->env.mon) : WHEEL_NEVER_US;
    return of_mon < next ? of_mon : next;
}

bool net_has_work(const struct net *n)
{
    if (n->env.out_head || n->env.dead_head || n->has_own)
        return true;
    for (unsigned i = 0; i < n->n_ifs; i++)
        if (n->ifs[i].n_tx > 0 || n->ifs[i].announce_due)
            return true;
    return false;
}

bool net_is_stuck(const struct net *n)
{
    for (unsigned i = 0; i < n->n_ifs && !n->has_moved; i++)
        if (n->ifs[i].n_tx > 0 || n->ifs[i].stuck_since_us)
            return true;
    return false;
}

size_t net_n_conns(const struct net *n)
{
    size_t n_dormant = n->dormants[0].n_used + n->dormants[1].n_used;
    return n->conns.n_used + n_dormant + n->half_opens.n_used - n->n_forgotten - n->n_mon_time_wait;
}

/* ---- for monitors --------------------------------------------------------------------------- */

static struct stream *stream_of(struct flow *f, bool is_rcv)
{
    if (f->kind != FLOW_CONN)
        return NULL;
    struct tcp_conn *c = conn_of_flow(f);
    return is_rcv ? &c->rcv : &c->snd;
}

void net_flow_set_hist(struct flow *f, bool is_rcv, uint32_t bytes)
{
    struct stream *s = stream_of(f, is_rcv);
    if (s)
        stream_set_hist(s, bytes);
}

void net_flow_set_policy(struct flow *f, bool is_rcv, enum stream_policy p)
{
    struct stream *s = stream_of(f, is_rcv);
    if (s)
        s->policy = p == STREAM_LAST;
}

void net_flow_reset(struct net *n, struct flow *f)
{
    if (f->kind == FLOW_CONN) {
        tcp_abort(&n->env, conn_of_flow(f), HOOK_END_RESET_BY_MONITOR, ECONNRESET);
    } else if (f->kind == FLOW_HALF_OPEN) {
        struct tcp_half_open *h = (struct tcp_half_open *)(void *)f;
        f->marks |= NET_MARK_RESET;
        wheel_arm(&n->env.wheel, &h->timer, 0);
    }
}

void net_watch_frames(struct net *n, bool is_on)
{
    n->is_watched = is_on;
    for (unsigned i = 0; i < n->n_ifs; i++)
        n->ifs[i].watcher = is_on ? n : NULL;
}

void net_flow_spare(struct flow *f, unsigned what)
{
    f->spared = (uint8_t)what;
}

void net_flow_detach(struct flow *f)
{
    if (f->kind == FLOW_CONN)
        conn_of_flow(f)->mon = NULL;
    else if (f->kind == FLOW_HALF_OPEN)
        ((struct tcp_half_open *)(void *)f)->mon = NULL;
}

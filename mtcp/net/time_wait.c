/*
 * The queue of TIME_WAIT records, singly linked so that a record stays one cache line. Every record
 * lives equally long, so the queue is in order of expiry but for those that had to move; a record
 * that waits a little longer than it must does no harm.
 *
 * A record is taken out of the middle by moving its successor into its place. The last one can't go
 * that way: it stays as an empty place, which the next record that comes is written into.
 */
#include "mtcp/net/time_wait.h"

#include "mtcp/net/conn_end.h"
#include "mtcp/net/packet_out.h"
#include "mtcp/net/timer_kind.h"
#include "mtcp/tcp/isn.h"

#define EXPIRE_PER_TURN 256u /* bounds the work of one turn */
#define REUSE_AGE_MS    1000 /* timestamps have moved by then, also a peer's coarse ones */

static uint32_t now_ms(const struct net *n)
{
    return (uint32_t)(n->env.now_us / 1000);
}

static bool is_empty_place(const struct tcp_time_wait *w)
{
    return w->flow.marks & NET_MARK_FORGOTTEN;
}

void time_waits_init(struct net *n)
{
    n->tw_head = NULL;
    n->tw_last = NULL;
    timer_init(&n->tw_timer, NET_TIMER_TIME_WAIT);
}

/* ---- the queue ------------------------------------------------------------------------------ */

/* A place at the end of the queue, in no table yet. */
static struct tcp_time_wait *queue_append(struct net *n)
{
    struct tcp_time_wait *w = n->tw_last;
    if (w && is_empty_place(w)) {
        w->flow.marks = 0;
        return w;
    }
    w = pool_get(&n->time_waits);
    if (!w)
        return NULL;
    if (n->tw_last)
        n->tw_last->fifo_next = w;
    else
        n->tw_head = w;
    n->tw_last = w;
    return w;
}

static void queue_pop(struct net *n)
{
    struct tcp_time_wait *w = n->tw_head;
    n->tw_head = w->fifo_next;
    if (!n->tw_head)
        n->tw_last = NULL;
    if (!is_empty_place(w))
        flow_table_remove(n->flows, &w->flow);
    pool_put(&n->time_waits, w);
}

void time_wait_end(struct net *n, struct tcp_time_wait *w)
{
    struct tcp_time_wait *next = w->fifo_next;
    if (w == n->tw_head) {
        queue_pop(n);
        return;
    }
    flow_table_remove(n->flows, &w->flow);
    if (!next || is_empty_place(next)) {
        w->flow.marks |= NET_MARK_FORGOTTEN;
        w->fifo_next = NULL;
        n->tw_last = w;
    } else {
        flow_table_replace(n->flows, &next->flow, &w->flow);
        struct flow in_table = w->flow;
        *w = *next;
        w->flow.chain = in_table.chain;
        if (n->tw_last == next)
            n->tw_last = w;
    }
    if (next)
        pool_put(&n->time_waits, next);
}

/* ---- time ----------------------------------------------------------------------------------- */

static int32_t ms_left(const struct net *n, const struct tcp_time_wait *w)
{
    return (int32_t)(w->expires_ms - now_ms(n));
}

/* The end of a record that is less than 24 days from `near_us`. */
static uint64_t expires_us(const struct tcp_time_wait *w, uint64_t near_us)
{
    uint64_t near = near_us / 1000;
    return (near + (uint64_t)(int64_t)(int32_t)(w->expires_ms - (uint32_t)near)) * 1000;
}

/* Armed as long as there are records: for the end of the first, or before. */
static void timer_rearm(struct net *n, uint64_t near_us)
{
    if (n->tw_head)
        wheel_arm(&n->env.wheel, &n->tw_timer, expires_us(n->tw_head, near_us));
}

void time_waits_timer(struct net *n)
{
    /* Now may be months later: the records' ends are near the time that the timer was armed for. */
    uint64_t armed_us = n->tw_timer.at_us;
    for (unsigned i = 0; i < EXPIRE_PER_TURN; i++) {
        if (!n->tw_head || expires_us(n->tw_head, armed_us) > n->env.now_us)
            break;
        queue_pop(n);
    }
    timer_rearm(n, armed_us);
}

/* ---- records -------------------------------------------------------------------------------- */

/* A record at the end of the queue that says what `c` says, in the place of c in the table. */
bool time_wait_take(struct net *n, struct tcp_conn *c)
{
    if (n->conf.max_time_wait && n->time_waits.n_used >= n->conf.max_time_wait && n->tw_head)
        queue_pop(n);
    struct tcp_time_wait *w = queue_append(n);
    if (!w)
        return false;
    w->flow = (struct flow){.kind = FLOW_TIME_WAIT, .netif = c->flow.netif};
    tcp_time_wait_init(&n->env, w, c);
    w->fifo_next = NULL;
    flow_table_replace(n->flows, &c->flow, &w->flow);
    conn_discard(n, c);
    if (!timer_is_armed(&n->tw_timer))
        timer_rearm(n, n->env.now_us);
    return true;
}

/* A FIN again: the peer has not seen our last ACK, the wait begins anew (RFC 9293 3.10.7.4). The
 * record goes to the end of the queue, or it would hold up those behind it. */
static void time_wait_restart(struct net *n, struct tcp_time_wait *w)
{
    struct tcp_time_wait copy = *w;
    copy.expires_ms = (uint32_t)((n->env.now_us + n->env.params.tw_us) / 1000);
    copy.fifo_next = NULL;
    time_wait_end(n, w);
    w = queue_append(n);
    if (!w)
        return;
    *w = copy;
    flow_table_insert(n->flows, &w->flow, copy.flow.hash);
}

static void time_wait_ack(struct net *n, const struct tcp_time_wait *w)
{
    struct tcp_tx tx;
    if (!rate_limit_take(&n->rst_limit, n->env.now_us))
        return;
    tcp_time_wait_ack(&n->env, w, &tx);
    (void)segment_send(n, NULL, &tx);
}

bool time_wait_in(struct net *n, struct tcp_time_wait *w, const struct rx *x)
{
    const struct seg *s = &x->p.seg;
    unsigned what = tcp_time_wait_input(w, s);
    if (what & TCP_IN_NEW_SYN) {
        time_wait_end(n, w);
        return true;
    }
    if (what & TCP_IN_ACK_DUE) {
        time_wait_ack(n, w);
        if (s->flags & TCP_FIN)
            time_wait_restart(n, w);
    } else if (what & TCP_IN_RESET) {
        segment_reset(n, NULL, s);
    }
    return false;
}

/* The old incarnation's segments must look old to the peer: by their timestamps, which go on from
 * the same offset, and by their sequence numbers. */
bool time_wait_may_reuse(const struct net *n, const struct tcp_time_wait *w)
{
    struct flow_tuple t = tcp_time_wait_tuple(w);
    int32_t age_ms = (int32_t)(n->env.params.tw_us / 1000) - ms_left(n, w);
    return w->has_ts && age_ms >= REUSE_AGE_MS && seq_lt(w->snd_nxt, tcp_isn(&n->env, &t));
}

void time_waits_fini(struct net *n)
{
    while (n->tw_head)
        queue_pop(n);
    wheel_cancel(&n->env.wheel, &n->tw_timer);
}

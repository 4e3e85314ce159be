/*
 * The queues of TIME_WAIT records, one for each size, singly linked so that a record of IPv4 stays
 * one cache line. Every record lives equally long, so a queue is in order of expiry but for those
 * that had to move; a record that waits a little longer than it must does no harm.
 *
 * A record is taken out of the middle by moving its successor into its place. The last one can't go
 * that way: it stays as an empty place, which the next record that comes is written into.
 */
#include "mtcp/net/time_wait.h"

#include "mtcp/net/conn_end.h"
#include "mtcp/net/packet_out.h"
#include "mtcp/net/timer_kind.h"
#include "mtcp/tcp/isn.h"

#include <string.h>

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

static size_t record_bytes(const struct tcp_time_wait *w)
{
    return w->is_v6 ? sizeof(struct tcp_time_wait6) : sizeof(struct tcp_time_wait);
}

static struct net_time_waits *queue_of(struct net *n, const struct tcp_time_wait *w)
{
    return &n->time_waits[w->is_v6];
}

static void queue_init(struct net_time_waits *q, struct mem *mem, size_t bytes)
{
    q->head = q->last = NULL;
    timer_init(&q->timer, NET_TIMER_TIME_WAIT);
    pool_init(&q->records, mem, bytes, 0);
}

void time_waits_init(struct net *n)
{
    queue_init(&n->time_waits[0], n->env.mem, sizeof(struct tcp_time_wait));
    queue_init(&n->time_waits[1], n->env.mem, sizeof(struct tcp_time_wait6));
}

size_t time_waits_count(const struct net *n)
{
    return n->time_waits[0].records.n_used + n->time_waits[1].records.n_used;
}

/* ---- a queue -------------------------------------------------------------------------------- */

/* A place at the end of the queue, in no table yet. */
static struct tcp_time_wait *queue_append(struct net_time_waits *q)
{
    struct tcp_time_wait *w = q->last;
    if (w && is_empty_place(w)) {
        w->flow.marks = 0;
        return w;
    }
    w = pool_get(&q->records);
    if (!w)
        return NULL;
    if (q->last)
        q->last->fifo_next = w;
    else
        q->head = w;
    q->last = w;
    return w;
}

static void queue_pop(struct net *n, struct net_time_waits *q)
{
    struct tcp_time_wait *w = q->head;
    q->head = w->fifo_next;
    if (!q->head)
        q->last = NULL;
    if (!is_empty_place(w))
        flow_table_remove(n->flows, &w->flow);
    pool_put(&q->records, w);
}

/* The successor of a record moves into its place. */
static void record_move_up(struct net *n, struct tcp_time_wait *w, struct tcp_time_wait *next)
{
    flow_table_replace(n->flows, &next->flow, &w->flow);
    struct flow in_table = w->flow;
    memcpy(w, next, record_bytes(next));
    w->flow.chain = in_table.chain;
}

void time_wait_end(struct net *n, struct tcp_time_wait *w)
{
    struct net_time_waits *q = queue_of(n, w);
    struct tcp_time_wait *next = w->fifo_next;
    if (w == q->head) {
        queue_pop(n, q);
        return;
    }
    flow_table_remove(n->flows, &w->flow);
    if (!next || is_empty_place(next)) {
        w->flow.marks |= NET_MARK_FORGOTTEN;
        w->fifo_next = NULL;
        q->last = w;
    } else {
        record_move_up(n, w, next);
        if (q->last == next)
            q->last = w;
    }
    if (next)
        pool_put(&q->records, next);
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
static void timer_rearm(struct net *n, struct net_time_waits *q, uint64_t near_us)
{
    if (q->head)
        wheel_arm(&n->env.wheel, &q->timer, expires_us(q->head, near_us));
}

void time_waits_timer(struct net *n, struct net_time_waits *q)
{
    /* Now may be months later: the records' ends are near the time that the timer was armed for. */
    uint64_t armed_us = q->timer.at_us;
    for (unsigned i = 0; i < EXPIRE_PER_TURN; i++) {
        if (!q->head || expires_us(q->head, armed_us) > n->env.now_us)
            break;
        queue_pop(n, q);
    }
    timer_rearm(n, q, armed_us);
}

/* ---- records -------------------------------------------------------------------------------- */

/* Room within the bound, at the price of the record that ends next. */
static void make_room(struct net *n)
{
    struct net_time_waits *q = &n->time_waits[0], *other = &n->time_waits[1];
    if (!n->conf.max_time_wait || time_waits_count(n) < n->conf.max_time_wait)
        return;
    if (!q->head || (other->head && ms_left(n, other->head) < ms_left(n, q->head)))
        q = other;
    if (q->head)
        queue_pop(n, q);
}

/* A record at the end of its queue that says what `c` says, in the place of c in the table. */
bool time_wait_take(struct net *n, struct tcp_conn *c)
{
    struct net_time_waits *q = &n->time_waits[!ip_addr_is_v4(&c->tuple.local)];
    make_room(n);
    struct tcp_time_wait *w = queue_append(q);
    if (!w)
        return false;
    w->flow = (struct flow){.kind = FLOW_TIME_WAIT, .netif = c->flow.netif};
    tcp_time_wait_init(&n->env, w, c);
    w->fifo_next = NULL;
    flow_table_replace(n->flows, &c->flow, &w->flow);
    conn_discard(n, c);
    if (!timer_is_armed(&q->timer))
        timer_rearm(n, q, n->env.now_us);
    return true;
}

/* A FIN again: the peer has not seen our last ACK, the wait begins anew (RFC 9293 3.10.7.4). The
 * record goes to the end of the queue, or it would hold up those behind it. */
static void time_wait_restart(struct net *n, struct tcp_time_wait *w)
{
    struct tcp_time_wait6 copy; /* room for either family */
    struct net_time_waits *q = queue_of(n, w);
    memcpy(&copy, w, record_bytes(w));
    copy.tw.expires_ms = (uint32_t)((n->env.now_us + n->env.params.tw_us) / 1000);
    copy.tw.fifo_next = NULL;
    time_wait_end(n, w);
    w = queue_append(q);
    if (!w)
        return;
    memcpy(w, &copy, record_bytes(&copy.tw));
    flow_table_insert(n->flows, &w->flow, copy.tw.flow.hash);
}

static void time_wait_ack(struct net *n, const struct tcp_time_wait *w)
{
    struct tcp_tx tx;
    if (!rate_limit_take(&n->rst_limit, n->env.now_us))
        return;
    tcp_time_wait_ack(&n->env, w, &tx);
    (void)segment_send(n, NULL, &tx);
}

bool time_wait_in(struct net *n, struct tcp_time_wait *w, const struct rx *x, tcp_seq_t *used)
{
    const struct seg *s = &x->p.seg;
    unsigned what = tcp_time_wait_input(w, s);
    if (what & TCP_IN_NEW_SYN) {
        *used = w->snd_nxt;
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

static void queue_fini(struct net *n, struct net_time_waits *q)
{
    while (q->head)
        queue_pop(n, q);
    wheel_cancel(&n->env.wheel, &q->timer);
    pool_fini(&q->records);
}

void time_waits_fini(struct net *n)
{
    queue_fini(n, &n->time_waits[0]);
    queue_fini(n, &n->time_waits[1]);
}

#include "mtcp/net/dormant.h"

#include "mtcp/net/packet_out.h"
#include "mtcp/net/timer_kind.h"
#include "mtcp/tcp/dormant.h"
#include "mtcp/tcp/timers.h"

/* Those with a deadline are longer. */
static struct pool *pool_for(struct net *n, bool is_timed)
{
    return &n->dormants[is_timed];
}

static struct tcp_dormant_timed *timed(struct tcp_dormant *d)
{
    return (struct tcp_dormant_timed *)d;
}

static void record_free(struct net *n, struct tcp_dormant *d)
{
    if (d->is_timed)
        wheel_cancel(&n->env.wheel, &timed(d)->timer);
    pool_put(pool_for(n, d->is_timed), d);
}

static void deadline_arm(struct net *n, struct tcp_dormant_timed *d)
{
    uint64_t at_us = d->timer.at_us;
    timer_init(&d->timer, NET_TIMER_DORMANT);
    wheel_arm(&n->env.wheel, &d->timer, at_us);
}

struct tcp_dormant *net_conn_doze(struct net *n, struct tcp_conn *c)
{
    struct pool *records = pool_for(n, tcp_dormant_is_timed(c));
    struct tcp_dormant *d = pool_get(records);
    if (!d)
        return NULL;
    if (c->sock < 0 || !tcp_dormant_init(d, c)) {
        pool_put(records, d);
        return NULL;
    }
    if (d->is_timed)
        deadline_arm(n, timed(d));
    flow_table_replace(n->flows, &c->flow, &d->flow);
    wheel_cancel(&n->env.wheel, &c->timer);
    pool_put(&n->conns, c);
    n->stats.dozed++;
    return d;
}

struct tcp_conn *net_conn_wake(struct net *n, struct tcp_dormant *d)
{
    struct tcp_conn *c = pool_get(&n->conns);
    if (!c) {
        n->stats.conn_nomem++;
        return NULL;
    }
    tcp_dormant_wake(d, c);
    timers_set_aux(&n->env, c, c->aux_at);
    flow_table_replace(n->flows, &d->flow, &c->flow);
    record_free(n, d);
    if (n->on_wake)
        n->on_wake(n->on_wake_arg, c);
    return c;
}

void dormant_end(struct net *n, struct tcp_dormant *d)
{
    struct tcp_conn c;
    tcp_dormant_wake(d, &c);
    if (fastopen_is_used(&c))
        fastopen_client_ends(&n->env, &c);
    flow_table_remove(n->flows, &d->flow);
    tcp_conn_fini(&n->env, &c);
    n->env.stats.conns_closed++;
    record_free(n, d);
}

struct tcp_conn *dormant_timer(struct net *n, struct tcp_dormant_timed *d)
{
    enum { RETRY_US = 1000000 };
    struct tcp_conn *c = net_conn_wake(n, &d->d);
    if (!c)
        wheel_arm(&n->env.wheel, &d->timer, n->env.now_us + RETRY_US);
    return c;
}

void net_dormant_reset(struct net *n, struct tcp_dormant *d)
{
    struct tcp_conn c;
    struct tcp_tx tx;
    tcp_dormant_wake(d, &c);
    c.flags |= TCF_SEND_RST;
    if (n->env.user_depth == 0 && tcp_output_next(&n->env, &c, c.mss, &tx))
        (void)segment_send(n, NULL, &tx);
    n->env.stats.conns_reset_out++;
    dormant_end(n, d);
}

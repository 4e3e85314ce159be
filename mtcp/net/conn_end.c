/* The end of connections. The rule: net_conn_release() in net.h. */
#include "mtcp/net/conn_end.h"

#include "mtcp/net/neigh.h"
#include "mtcp/net/listener.h"
#include "mtcp/tcp/fastopen.h"

static bool conn_has_owner(const struct tcp_conn *c)
{
    return c->sock >= 0 || conn_waits_for_accept(c);
}

void conn_forget(struct net *n, struct tcp_conn *c)
{
    if (c->flow.marks & NET_MARK_FORGOTTEN)
        return;
    if (!conn_waits_for_accept(c))
        waiting_leave(n, c);
    flow_table_remove(n->flows, &c->flow);
    c->flow.marks |= NET_MARK_FORGOTTEN;
    n->n_forgotten++;
    if (unlikely(fastopen_is_pending(c)))
        n->n_fastopen--;
    c->marks &= (uint8_t)~FASTOPEN_ON;
    if (unlikely(fastopen_is_used(c)))
        fastopen_client_ends(&n->env, c);
    if (unlikely(c->mon != NULL)) {
        n->env.hooks->dying(n->env.mon, c->mon, (enum hook_end)c->end_reason);
        c->mon = NULL;
    }
}

static void dead_push(struct tcp_env *e, struct tcp_conn *c)
{
    c->dead_next = e->dead_head;
    e->dead_head = c;
}

void conn_discard(struct net *n, struct tcp_conn *c)
{
    n->env.stats.conns_closed++;
    c->flags |= TCF_DEAD;
    c->flow.marks |= NET_MARK_FORGOTTEN;
    n->n_forgotten++;
    dead_push(&n->env, c);
}

static bool needs_no_news(const struct tcp_conn *c)
{
    return !conn_has_owner(c) && ((c->flags & TCF_DEAD) || (c->flags & TCF_ORPHAN));
}

void conns_prune_ready(struct net *n)
{
    struct tcp_env *e = &n->env;
    struct tcp_conn **at = &e->ready_head;
    while (*at) {
        struct tcp_conn *c = *at;
        if (!needs_no_news(c)) {
            at = &c->ready_next;
            continue;
        }
        *at = c->ready_next;
        c->ready_next = NULL;
        c->flags &= ~(uint32_t)TCF_ON_READY;
    }
    e->ready_tail = at;
}

static void conn_free(struct net *n, struct tcp_conn *c)
{
    n->n_forgotten--;
    tcp_conn_fini(&n->env, c);
    pool_put(&n->conns, c);
}

/* It is still on a list: with the next flush it is not. */
static void conn_free_later(struct net *n, struct tcp_conn *c)
{
    if (c->flags & TCF_ON_OUT)
        neigh_unpark_all(n);
    dead_push(&n->env, c);
}

void conns_reap(struct net *n)
{
    struct tcp_conn *c = n->env.dead_head, *next;
    n->env.dead_head = NULL;
    for (; c; c = next) {
        next = c->dead_next;
        conn_forget(n, c);
        if (conn_has_owner(c))
            c->flow.marks |= NET_MARK_HELD;
        else if (c->flags & (TCF_ON_OUT | TCF_ON_READY))
            conn_free_later(n, c);
        else
            conn_free(n, c);
    }
}

/* Freed with the next flush, when it is on no list. */
void net_conn_release(struct net *n, struct tcp_conn *c)
{
    c->sock = -1;
    if (!(c->flow.marks & NET_MARK_HELD))
        return;
    c->flow.marks &= (uint8_t)~NET_MARK_HELD;
    dead_push(&n->env, c);
}

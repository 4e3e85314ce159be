/* Monitored connections. */
#include "mos/conns.h"

#include "mos/dispatch.h"
#include "mos/mon_opt.h"
#include "mos/passive.h"
#include "mos/tally.h"
#include "mos/wire.h"

#include <string.h>

void mon_conn_view(const struct mon_conn *c, struct tcp_flow_view *v)
{
    if (c->flow) {
        c->mon->sv->view(c->mon->ctx, c->flow, v);
        return;
    }
    *v = (struct tcp_flow_view){.sock = -1, .local_is_cli = true};
    if (c->wire)
        v->tuple = c->wire->tuple;
}

void mon_conn_due_side(struct mon_conn *c, int side)
{
    c->due_sides |= (uint8_t)(1u << side);
    if (!list_is_linked(&c->due))
        list_push_tail(&c->mon->due, &c->due);
}

void mon_conn_due(struct mon_conn *c)
{
    mon_conn_due_side(c, MOS_SIDE_CLI);
    mon_conn_due_side(c, MOS_SIDE_SVR);
}

void mon_conn_heed(struct mon_conn *c)
{
    if (!c->flow)
        return;
    c->mon->sv->spare(c->mon->ctx, c->flow, 0);
    c->spare_due = true;
    mon_conn_due(c);
}

/* ---- watches --------------------------------------------------------------------------------- */

static void watch_inherit(struct watch *w, struct mon_passive *p)
{
    w->passive = p;
    w->set = cb_set_get(p->set);
    for (int side = 0; side < SIDES; side++) {
        if (p->hist[side] > 0)
            w->hist[side] = (uint32_t)p->hist[side];
        w->no_peek[side] = p->hist[side] == 0;
        if (p->policy[side] >= 0)
            w->conn->host[side].policy = (uint8_t)p->policy[side];
    }
}

/* An active socket, at *at in the connection's list; NULL: no memory or no id. */
static struct watch *watch_create(struct mon_conn *c, struct mon_passive *p, struct watch **at)
{
    struct mon *m = c->mon;
    struct watch *w = pool_get(&m->watches);
    if (!w)
        return NULL;
    memset(w, 0, sizeof(*w));
    w->sock = m->sv->sock_alloc(m->ctx, MOS_SOCK_MONITOR_STREAM_ACTIVE, &mon_active_ops, w);
    if (w->sock < 0) {
        pool_put(&m->watches, w);
        return NULL;
    }
    w->conn = c;
    watch_inherit(w, p);
    list_push_tail(&p->watches, &w->of_passive);
    *at = w;
    return w;
}

static void watch_unlink(struct watch *w)
{
    struct watch **at = &w->conn->watches;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    list_del(&w->of_passive);
}

void watch_free(struct watch *w)
{
    struct mon_conn *c = w->conn;
    struct mon *m = c->mon;
    const uint32_t hist[SIDES] = {w->hist[0], w->hist[1]};
    watch_unlink(w);
    m->sv->sock_free(m->ctx, w->sock);
    cb_set_put(&m->sets, w->set);
    pool_put(&m->watches, w);
    for (int side = 0; side < SIDES; side++)
        if (hist[side] > 0)
            mon_conn_apply_hist(c, side);
    if (c->watches)
        mon_conn_heed(c); /* nobody may want any more what this one did */
    else
        mon_conn_due(c);
}

/* ---- what is asked of the endpoint ----------------------------------------------------------- */

void mon_conn_apply_hist(struct mon_conn *c, int side)
{
    uint32_t most = 0;
    if (!mon_conn_lives(c))
        return;
    for (const struct watch *w = c->watches; w; w = w->next)
        if (w->hist[side] > most)
            most = w->hist[side];
    if (c->wire)
        stream_set_hist(&c->wire->host[side].rcv, most);
    else
        c->mon->sv->set_hist(c->mon->ctx, c->flow, side == c->real, most);
}

void mon_conn_apply_policy(struct mon_conn *c, int side)
{
    enum stream_policy p = (enum stream_policy)c->host[side].policy;
    if (c->wire)
        c->wire->host[side].rcv.policy = p == STREAM_LAST;
    else if (c->flow && side == c->real) /* of what is sent there are no two copies */
        c->mon->sv->set_policy(c->mon->ctx, c->flow, true, p);
}

static bool any_hist(const struct mon_conn *c, int side)
{
    for (const struct watch *w = c->watches; w; w = w->next)
        if (w->hist[side] > 0)
            return true;
    return false;
}

void mon_conn_apply(struct mon_conn *c)
{
    for (int side = 0; side < SIDES; side++) {
        if (any_hist(c, side))
            mon_conn_apply_hist(c, side);
        if (c->host[side].policy != MOS_OVERLAP_POLICY_FIRST)
            mon_conn_apply_policy(c, side);
    }
}

/* ---- connections ----------------------------------------------------------------------------- */

static int real_side(const struct mon_origin *of, const struct hook_seg *syn)
{
    if (of->wire)
        return -1;
    return syn->dir == HOOK_IN ? MOS_SIDE_SVR : MOS_SIDE_CLI;
}

static struct mon_conn *conn_alloc(struct mon *m, const struct mon_origin *of,
                                   const struct hook_seg *syn)
{
    struct mon_conn *c = pool_get(&m->conns);
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    list_node_init(&c->due);
    c->mon = m;
    c->flow = of->flow;
    c->wire = of->wire;
    c->is_starting = c->verdict_given = true;
    c->real = real_side(of, syn);
    c->host[MOS_SIDE_CLI].state = MOS_TCPS_CLOSED;
    c->host[MOS_SIDE_SVR].state = MOS_TCPS_LISTEN;
    c->last_active_us = syn->now_us;
    return c;
}

void mon_conn_missed(struct mon *m)
{
    if (m->n_missed_conns++ == 0)
        m->sv->warn(m->ctx, "a connection is not monitored: no socket is left for it "
                            "(max_monitor_socks), or no memory. The next ones are counted");
}

static void conn_add_watch(struct mon_conn *c, struct mon_passive *p)
{
    struct watch **at = &c->watches;
    while (*at)
        at = &(*at)->next;
    if (!watch_create(c, p, at))
        mon_conn_missed(c->mon);
}

bool mon_conn_is_wanted(const struct mon *m, const struct hook_seg *syn)
{
    LIST_FOREACH (n, &m->passives)
        if (passive_wants(container_of(n, struct mon_passive, node), syn))
            return true;
    return false;
}

/* For those who asked before it began. Without memory nothing is counted, and every packet is
 * notable. */
static void conn_count(struct mon_conn *c)
{
    for (const struct watch *w = c->watches; w && !c->tally; w = w->next)
        if (cb_set_wants(w->set, SLOT_NOTABLE))
            c->tally = pool_get(&c->mon->tallies);
    if (c->tally)
        memset(c->tally, 0, sizeof(*c->tally));
}

struct mon_conn *mon_conn_create(struct mon *m, const struct mon_origin *of,
                                 const struct hook_seg *syn)
{
    struct mon_conn *c = NULL;
    LIST_FOREACH (n, &m->passives) {
        struct mon_passive *p = container_of(n, struct mon_passive, node);
        if (!passive_wants(p, syn))
            continue;
        if (!c)
            c = conn_alloc(m, of, syn);
        if (c)
            conn_add_watch(c, p);
        else
            mon_conn_missed(m);
    }
    if (c && !c->watches) {
        c->wire = NULL; /* it is its caller's still */
        mon_conn_free(c);
        return NULL;
    }
    if (c) {
        conn_count(c);
        mon_conn_apply(c);
    }
    return c;
}

/* Nothing of it is to be called or looked at any more. */
static void conn_die(struct mon_conn *c)
{
    struct mon *m = c->mon;
    c->flow = NULL;
    if (c->wire)
        wire_conn_free(c->wire);
    list_del(&c->due);
    if (m->pkt_conn == c) {
        m->pkt = NULL;
        m->pkt_conn = NULL;
    }
}

void mon_conn_blind(struct mon_conn *c)
{
    struct mon *m = c->mon;
    while (c->watches)
        watch_free(c->watches);
    if (m->pkt_conn == c) {
        m->pkt = NULL;
        m->pkt_conn = NULL;
    }
}

static void conn_put(struct mon_conn *c)
{
    if (c->tally)
        pool_put(&c->mon->tallies, c->tally);
    pool_put(&c->mon->conns, c);
}

void mon_conn_free(struct mon_conn *c)
{
    struct mon *m = c->mon;
    conn_die(c);
    if (m->depth > 0) {
        for (struct watch *w = c->watches; w; w = w->next)
            watch_stop(w);
        list_push_tail(&m->graves, &c->due);
        return;
    }
    while (c->watches)
        watch_free(c->watches);
    list_del(&c->due);
    conn_put(c);
}

void mon_conns_bury(struct mon *m)
{
    struct list_node *n;
    while ((n = list_pop_head(&m->graves)) != NULL)
        conn_put(container_of(n, struct mon_conn, due));
}

void mon_conn_let_go(struct mon_conn *c)
{
    if (c->flow)
        c->mon->sv->detach(c->mon->ctx, c->flow);
    mon_conn_free(c);
}

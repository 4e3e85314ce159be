/* Delivery of events, and what waits for its end. */
#include "mos/dispatch.h"

#include "mos/conns.h"
#include "mos/lastpkt.h"
#include "mos/passive.h"
#include "mos/user_events.h"

#include <errno.h>

/* A callback set that will be replaced when no callback runs. */
struct change {
    struct list_node node;
    struct cb_set **at, *set;
};

/* ---- settling -------------------------------------------------------------------------------- */

static void settle_changes(struct mon *m)
{
    struct list_node *n;
    while ((n = list_pop_head(&m->changes)) != NULL) {
        struct change *c = container_of(n, struct change, node);
        cb_set_put(&m->sets, *c->at);
        *c->at = c->set;
        mem_free(m->mem, c, sizeof(*c));
    }
}

static void settle_closed(struct mon *m)
{
    LIST_FOREACH_SAFE (n, &m->passives) {
        struct mon_passive *p = container_of(n, struct mon_passive, node);
        if (p->is_closed)
            passive_free(p);
    }
    m->has_closed = false;
}

static void settle(struct mon *m)
{
    struct list_node *n;
    settle_changes(m);
    while ((n = list_pop_head(&m->stopped)) != NULL)
        watch_free(container_of(n, struct watch, of_passive));
    if (m->has_closed)
        settle_closed(m);
    if (m->copies)
        lastpkt_forget(m);
}

static void enter(struct mon *m)
{
    m->depth++;
}

static bool is_settled(const struct mon *m)
{
    return list_is_empty(&m->changes) && list_is_empty(&m->stopped) && !m->has_closed && !m->copies;
}

static void leave(struct mon *m)
{
    if (--m->depth == 0 && unlikely(!is_settled(m)))
        settle(m);
}

/* ---- delivery -------------------------------------------------------------------------------- */

static bool watch_wants(const struct watch *w, const struct mon_dispatch *d)
{
    if (w->stopped[d->side])
        return false;
    if (d->error != HOOK_OVERRUN)
        return true;
    return !w->no_peek[d->side] && w->peek[d->side] < d->overrun_to;
}

void mon_dispatch(struct mon *m, struct mon_dispatch *d)
{
    enter(m);
    for (struct watch *w = d->conn->watches; w; w = w->next) {
        if (!cb_set_wants(w->set, d->slot) || !watch_wants(w, d))
            continue;
        d->watch = w;
        if (unlikely(w->set->users >> d->slot & 1))
            user_events_fire(m, d, w);
        else
            mon_call(m, d, w->sock, w->set->cb[d->slot]);
    }
    leave(m);
}

/* A packet that is shown to sockets and not to connections. */
static void dispatch_packet(struct mon *m, enum mon_slot slot, const struct hook_seg *s,
                            const struct packet *p)
{
    struct mon_dispatch d = {.slot = slot, .side = MOS_SIDE_BOTH, .seg = s};
    enter(m);
    LIST_FOREACH (n, &m->passives) {
        struct mon_passive *x = container_of(n, struct mon_passive, node);
        if (!cb_set_wants(x->set, slot) || x->is_closed || !filter_match(x->orphan, s, p))
            continue;
        d.passive = x;
        if (unlikely(x->set->users >> slot & 1))
            user_events_fire(m, &d, NULL);
        else
            mon_call(m, &d, x->sock, x->set->cb[slot]);
    }
    leave(m);
}

void mon_dispatch_frame(struct mon *m, const struct hook_seg *f)
{
    dispatch_packet(m, SLOT_PKT_IN_RAW, f, NULL);
}

void mon_dispatch_orphan(struct mon *m, const struct hook_seg *s, const struct packet *p)
{
    dispatch_packet(m, SLOT_ORPHAN, s, p);
}

static void call_timer(struct mon *m, int id, callback_t cb)
{
    filter_arg_t arg = {0};
    int saved = errno;
    enter(m);
    m->sv->user_begin(m->ctx);
    cb(m->ctx, id, MOS_SIDE_BOTH, MOS_ON_TIMEOUT, &arg);
    m->sv->user_end(m->ctx);
    leave(m);
    errno = saved;
}

void mon_dispatch_timers(struct mon *m, uint64_t now_us)
{
    uint64_t among = m->timers.n_set;
    callback_t cb;
    int id;
    while (mon_timers_take(&m->timers, now_us, among, &id, &cb))
        call_timer(m, id, cb);
}

/* ---- changes --------------------------------------------------------------------------------- */

static struct change *change_of(const struct mon *m, struct cb_set *const *set)
{
    LIST_FOREACH (n, &m->changes) {
        struct change *c = container_of(n, struct change, node);
        if (c->at == set)
            return c;
    }
    return NULL;
}

struct cb_set *mon_set_next(const struct mon *m, struct cb_set *const *set)
{
    const struct change *c = change_of(m, set);
    return c ? c->set : *set;
}

static struct change *change_add(struct mon *m, struct cb_set **set, callback_t cb)
{
    struct change *c = cb ? mem_alloc(m->mem, sizeof(*c)) : mem_alloc_over(m->mem, sizeof(*c));
    if (!c)
        return NULL;
    c->at = set;
    c->set = cb_set_get(*set);
    list_push_tail(&m->changes, &c->node);
    return c;
}

int mon_set_change(struct mon *m, struct cb_set **set, const struct cb_at *where, callback_t cb)
{
    struct cb_set **at = set;
    if (m->depth > 0) {
        struct change *c = change_of(m, set);
        if (!c)
            c = change_add(m, set, cb);
        if (!c)
            return -ENOMEM;
        at = &c->set;
    }
    struct cb_set *next;
    int rc = cb_set_with(&m->sets, *at, where, cb, &next);
    if (rc != 0)
        return rc;
    cb_set_put(&m->sets, *at);
    *at = next;
    return 0;
}

void watch_stop(struct watch *w)
{
    struct mon *m = w->conn->mon;
    w->stopped[MOS_SIDE_CLI] = w->stopped[MOS_SIDE_SVR] = true;
    if (m->depth == 0) {
        watch_free(w);
        return;
    }
    list_del(&w->of_passive);
    list_push_tail(&m->stopped, &w->of_passive);
}

void passive_stop(struct mon_passive *p)
{
    struct mon *m = p->mon;
    p->is_closed = true;
    if (p->is_raw && --m->n_raw == 0)
        m->sv->watch_frames(m->ctx, false);
    m->sv->sock_free(m->ctx, p->sock);
    while (!list_is_empty(&p->watches))
        watch_stop(container_of(p->watches.next, struct watch, of_passive));
    if (m->depth == 0)
        passive_free(p);
    else
        m->has_closed = true; /* it stays where it is: a loop may stand on it */
}

/* Delivery of user-defined events. */
#include "mos/user_events.h"

#include <errno.h>
#include <string.h>

#define RAISED_MIN 16u

/*
 * The run through the nodes of one socket's set. What was raised lies on one stack for all runs
 * that are under way, the innermost on top: nodes still to come, the nearest on top.
 */
struct mon_run {
    const struct cb_set *set;
    int sock;
    const struct watch *watch;       /* NULL: an orphan's passive socket */
    const struct event_def *running; /* whose filter or callback is running; NULL: the slot's own */
    uint32_t below, below_end;       /* nodes below that event */
    unsigned raised;                 /* where this run's begin on the stack */
};

/* ---- what was raised ------------------------------------------------------------------------- */

static int raised_grow(struct mon *m)
{
    unsigned room = m->raised_room ? 2 * m->raised_room : RAISED_MIN;
    uint32_t *raised = mem_alloc(m->mem, room * sizeof(*raised));
    if (!raised)
        return -ENOMEM;
    if (m->n_raised > 0)
        memcpy(raised, m->raised, m->n_raised * sizeof(*raised));
    mem_free(m->mem, m->raised, m->raised_room * sizeof(*raised));
    m->raised = raised;
    m->raised_room = room;
    return 0;
}

static int raised_add(struct mon *m, const struct mon_run *r, uint32_t node)
{
    unsigned i = m->n_raised;
    while (i > r->raised && m->raised[i - 1] < node)
        i--;
    if (i > r->raised && m->raised[i - 1] == node)
        return 0;
    if (m->n_raised == m->raised_room && raised_grow(m) < 0)
        return -ENOMEM;
    memmove(&m->raised[i + 1], &m->raised[i], (m->n_raised - i) * sizeof(*m->raised));
    m->raised[i] = node;
    m->n_raised++;
    return 0;
}

/* The next raised node at or after `at`; UINT32_MAX: none. What lies before is forgotten. */
static uint32_t raised_from(struct mon *m, const struct mon_run *r, uint32_t at)
{
    while (m->n_raised > r->raised && m->raised[m->n_raised - 1] < at)
        m->n_raised--;
    return m->n_raised > r->raised ? m->raised[m->n_raised - 1] : UINT32_MAX;
}

/* Is it one to be raised, and a child of the event whose filter or callback is running? */
static bool may_raise(const struct mon_dispatch *d, const struct event_def *child)
{
    const struct event_def *running = d->run ? d->run->running : NULL;
    return child && !child->filter && child->base == running && child->root == slot_event(d->slot);
}

int user_event_raise(struct mon *m, event_t child)
{
    const struct mon_dispatch *d = m->now;
    const struct event_def *def = event_find(child);
    if (!d)
        return -EPERM;
    if (!may_raise(d, def))
        return -EINVAL;
    const struct mon_run *r = d->run;
    if (!r)
        return 0; /* nobody asked for it or for what is below */
    uint32_t i = cb_set_child(r->set, r->below, r->below_end, def);
    if (i == r->below_end || r->set->node[i].def != def)
        return 0;
    return raised_add(m, r, i);
}

void user_events_fini(struct mon *m)
{
    mem_free(m->mem, m->raised, m->raised_room * sizeof(*m->raised));
}

/* ---- delivery -------------------------------------------------------------------------------- */

static bool is_stopped(const struct mon_dispatch *d)
{
    const struct watch *w = d->run->watch;
    return w ? w->stopped[d->side] : d->passive->is_closed;
}

/* Does its filter let it fire? */
static bool node_asks(struct mon *m, struct mon_dispatch *d, const struct event_def *def)
{
    filter_arg_t arg = def->arg; /* its own: what it writes to it nobody else sees */
    if (!def->filter)
        return true;
    int saved = mon_user_begin(m, d);
    bool answer = def->filter(m->ctx, d->run->sock, d->side, event_id(def), &arg);
    mon_user_end(m, d, saved);
    return answer;
}

static void node_calls(struct mon *m, struct mon_dispatch *d, const struct cb_node *x)
{
    filter_arg_t arg = x->def->arg;
    int saved = mon_user_begin(m, d);
    x->cb(m->ctx, d->run->sock, d->side, event_id(x->def), &arg);
    mon_user_end(m, d, saved);
}

/* A node whose turn it is, and the next one. */
static uint32_t node_fire(struct mon *m, struct mon_dispatch *d, uint32_t i)
{
    struct mon_run *r = d->run;
    const struct cb_node *x = &r->set->node[i];
    r->running = x->def;
    r->below = i + 1;
    r->below_end = i + x->size;
    if (!node_asks(m, d, x->def))
        return i + x->size; /* and what it raised is passed by */
    if (x->cb && !is_stopped(d))
        node_calls(m, d, x);
    return i + 1;
}

/* The first node at or after i that has a filter or was raised. */
static uint32_t skip_unraised(struct mon *m, const struct mon_run *r, uint32_t i, uint32_t end)
{
    uint32_t raised = raised_from(m, r, i);
    while (i < end && i < raised && !r->set->node[i].def->filter)
        i += r->set->node[i].jump;
    return i < raised ? i : raised;
}

void user_events_fire(struct mon *m, struct mon_dispatch *d, const struct watch *w)
{
    struct mon_run r = {
        .set = w ? w->set : d->passive->set,
        .sock = w ? w->sock : d->passive->sock,
        .watch = w,
        .raised = m->n_raised,
    };
    uint32_t i = r.set->first[d->slot], end = r.set->first[d->slot + 1];
    r.below = i;
    r.below_end = end;
    d->run = &r;
    if (r.set->cb[d->slot])
        mon_call(m, d, r.sock, r.set->cb[d->slot]);
    while ((i = skip_unraised(m, &r, i, end)) < end && !is_stopped(d))
        i = node_fire(m, d, i);
    m->n_raised = r.raised;
    d->run = NULL;
}

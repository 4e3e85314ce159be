/*
 * Calls callbacks: one event, at one hook point, for one side, to every monitor of a connection in
 * creation order. What callbacks ask for and can't have while they run (changed sets, sockets that
 * end) is carried out when the outermost dispatch is done.
 */
#ifndef MOS_DISPATCH_H
#define MOS_DISPATCH_H

#include "mos/mon.h"

#include <errno.h>

/* What is being delivered. The caller fills the first part; `now` of the monitor points to it. */
struct mon_dispatch {
    struct mon_conn *conn; /* NULL: an orphan, or a frame */
    enum mon_slot slot;
    int side;
    const struct hook_seg *seg; /* the packet; NULL: none */
    struct hook_seg *verdict;   /* the same while it may be dropped or changed, else NULL */
    enum hook_error error;      /* SLOT_ERROR */
    uint64_t overrun_to;        /* HOOK_OVERRUN: only to those that have not peeked below this */
    /* answers and links */
    bool drop, changed;
    struct mon_passive *passive; /* an orphan's or frame's monitor */
    struct watch *watch;         /* ... or the monitor of a connection whose callback runs */
    struct mon_dispatch *outer;
    struct mon_run *run; /* user_events.c; NULL: only the slot's own callback */
};

/* Around each call of the user's code in a dispatch. Begin gives what end takes. */
static inline int mon_user_begin(struct mon *m, struct mon_dispatch *d)
{
    d->outer = m->now;
    m->now = d;
    m->sv->user_begin(m->ctx);
    return errno;
}

static inline void mon_user_end(struct mon *m, struct mon_dispatch *d, int saved)
{
    m->sv->user_end(m->ctx);
    m->now = d->outer;
    errno = saved;
}

/* The callback of the slot's own event. */
static inline void mon_call(struct mon *m, struct mon_dispatch *d, int sock, callback_t cb)
{
    filter_arg_t arg = {0};
    int saved = mon_user_begin(m, d);
    cb(m->ctx, sock, d->side, slot_event(d->slot), &arg);
    mon_user_end(m, d, saved);
}

/* To every monitor of d->conn. */
void mon_dispatch(struct mon *m, struct mon_dispatch *d);

/* A frame, to every raw socket that wants it. */
void mon_dispatch_frame(struct mon *m, const struct hook_seg *f);

/* A packet of no connection, to every passive or raw socket that wants it. */
void mon_dispatch_orphan(struct mon *m, const struct hook_seg *s, const struct packet *p);

/* The callbacks of mtcp_settimer that are due; a timer that one of them sets is for a later turn.
 */
void mon_dispatch_timers(struct mon *m, uint64_t now_us);

/* `*set` becomes the set with another callback: at once, or when the running dispatch is done.
 * 0 or -ENOMEM, as cb_set_with(). */
MUST_CHECK int mon_set_change(struct mon *m, struct cb_set **set, const struct cb_at *where,
                              callback_t cb);

/* The set that *set will be. */
struct cb_set *mon_set_next(const struct mon *m, struct cb_set *const *set);

/* Ends an active socket: no event any more, the id is free when the running callback returns. */
void watch_stop(struct watch *w);

/* The same for a passive one and all its active ones; its own id is free at once. */
void passive_stop(struct mon_passive *p);

#endif

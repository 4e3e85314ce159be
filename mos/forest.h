/*
 * The events that programs define: one forest for the whole process, whose roots are the built-in
 * events. It only grows, and what is in it does not change: so a definition, once found, is read
 * without a lock by any thread for ever. Defining takes the lock; finding does not.
 */
#ifndef MOS_FOREST_H
#define MOS_FOREST_H

#include "mos_api.h"
#include "mtcp/base/bug.h"

#include <stddef.h>
#include <stdint.h>

struct event_def {
    const struct event_def *base; /* NULL: the root */
    event_t root;                 /* the built-in event */
    uint32_t index;               /* in order of definition */
    uint32_t depth;               /* 1: its base is the root */
    filter_t filter;              /* NULL: it fires when it is raised (mtcp_alloc_event) */
    filter_arg_t arg;             /* its bytes: below */
    struct event_def *next;       /* forest.c */
    _Alignas(max_align_t) uint8_t bytes[];
};

event_t event_id(const struct event_def *def);

/* The definition of a user-defined event; NULL: it is none. */
const struct event_def *event_find(event_t event);

/* mtcp_define_event (filter not NULL) and mtcp_alloc_event: 0, -EINVAL (base), -EFAULT (arg),
 * -ENOMEM. Any thread. */
MUST_CHECK int event_define(event_t base, filter_t filter, const struct filter_arg *arg,
                            event_t *out);
MUST_CHECK int event_alloc(event_t parent, event_t *out);

/* The event at `depth` (1 ... def->depth) on the way from the root to `def`, which is the last. */
const struct event_def *event_ancestor(const struct event_def *def, uint32_t depth);

#endif

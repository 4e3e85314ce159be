/*
 * Which callback is called for which event at which hook point: immutable sets, shared by
 * reference. A change makes another set, and a set that exists already is found instead of made, so
 * a million connections with the same callbacks hold one set. Knows nothing of connections.
 *
 * NULL is the empty set.
 */
#ifndef MOS_CBSET_H
#define MOS_CBSET_H

#include "mos_api.h"
#include "mtcp/base/bug.h"
#include "mtcp/base/list.h"
#include "mtcp/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

/* The pairs of a built-in event and a hook point that can fire. */
enum mon_slot {
    SLOT_PKT_IN_SND,
    SLOT_PKT_IN_RCV,
    SLOT_PKT_IN_RAW, /* of raw monitors */
    SLOT_CONN_START_SND,
    SLOT_CONN_START_RCV,
    SLOT_NEW_DATA,
    SLOT_ERROR,
    SLOT_STATE_SND,
    SLOT_STATE_RCV,
    SLOT_ORPHAN,
    SLOT_REXMIT_RCV,
    SLOT_CONN_END_SND,
    SLOT_CONN_END_RCV,
    SLOT_N
};

/* The slot of a pair, or -1: it can't fire. */
int slot_find(event_t event, int hook_point);
event_t slot_event(enum mon_slot slot);

struct cb_set {
    struct list_node node; /* in cb_sets.all */
    uint32_t refs;
    uint32_t mask; /* bit per slot that has a callback */
    callback_t cb[SLOT_N];
};

struct cb_sets {
    struct mem *mem;
    struct list_node all;
};

void cb_sets_init(struct cb_sets *r, struct mem *mem);

/* The set that is like `from` but for one callback (NULL: none), with a reference for the caller:
 * 0, or -ENOMEM. */
MUST_CHECK int cb_set_with(struct cb_sets *r, const struct cb_set *from, enum mon_slot slot,
                           callback_t cb, struct cb_set **out);

struct cb_set *cb_set_get(struct cb_set *set);
void cb_set_put(struct cb_sets *r, struct cb_set *set);

static inline callback_t cb_set_find(const struct cb_set *set, enum mon_slot slot)
{
    return set ? set->cb[slot] : NULL;
}

/* Has it a callback for anything that a connection does? */
static inline bool cb_set_wants_conns(const struct cb_set *set)
{
    return set && (set->mask & ~(1u << SLOT_ORPHAN));
}

#endif

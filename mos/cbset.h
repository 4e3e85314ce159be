/*
 * Which callback is called for which event at which hook point: immutable sets, shared by
 * reference. A change makes another set, and a set that exists already is found instead of made, so
 * a million connections with the same callbacks hold one set. Knows nothing of connections.
 *
 * Of the events that programs define, a set holds per slot the part of the forest that has a
 * callback, with what lies between it and the root, in preorder and siblings in order of
 * definition:
 *
 *         root                    node   A    B    C    D
 *        /    \                   size   3    1    1    1     nodes of the subtree
 *       A      D
 *      / \                        A's filter is false: on with D, size nodes further
 *     B   C
 *
 * NULL is the empty set.
 */
#ifndef MOS_CBSET_H
#define MOS_CBSET_H

#include "mos/forest.h"
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
    SLOT_NOTABLE,
    SLOT_N
};

event_t slot_event(enum mon_slot slot);

/* Where a callback is registered. */
struct cb_at {
    enum mon_slot slot;
    const struct event_def *def; /* NULL: for the slot's own, built-in event */
};

/* The place of an event at a hook point: 0, or -EINVAL: no such event, or it can't fire there. */
MUST_CHECK int cb_at_find(event_t event, int hook_point, struct cb_at *at);

/* A user-defined event in a set. */
struct cb_node {
    const struct event_def *def;
    callback_t cb; /* NULL: only something below it has one */
    uint32_t size; /* nodes of its subtree, itself included */
    uint32_t jump; /* nodes to the next sibling with a filter, or beyond the last sibling */
};

struct cb_set {
    struct list_node in_bucket; /* of cb_sets */
    uint64_t hash;
    uint32_t refs;
    uint32_t wants; /* bit per slot: there is a callback, of its own event or one that is defined */
    uint32_t users; /* bit per slot: there are nodes */
    uint32_t room;  /* for nodes */
    callback_t cb[SLOT_N];
    uint32_t first[SLOT_N + 1]; /* nodes of a slot: [first[slot], first[slot + 1]) */
    struct cb_node node[];
};

#define CB_BUCKETS 256u
#define CB_STEPS   64u

/* A change that was made before: it needs no new set, and nothing to be compared. */
struct cb_step {
    const struct cb_set *from; /* both live, or are the empty set */
    struct cb_set *to;
    struct cb_at at;
    callback_t cb;
    bool is_known;
};

struct cb_sets {
    struct mem *mem;
    uint32_t n; /* sets there are */
    struct list_node bucket[CB_BUCKETS];
    struct cb_step step[CB_STEPS]; /* the newest of its hash */
};

void cb_sets_init(struct cb_sets *r, struct mem *mem);

/* The set that is like `from` but for one callback (NULL: none), with a reference for the caller:
 * 0, or -ENOMEM; with NULL only when the system has no memory, whatever the budget. */
MUST_CHECK int cb_set_with(struct cb_sets *r, const struct cb_set *from, const struct cb_at *at,
                           callback_t cb, struct cb_set **out);

struct cb_set *cb_set_get(struct cb_set *set);
void cb_set_put(struct cb_sets *r, struct cb_set *set);

/* The callback that is registered there, or NULL. */
callback_t cb_set_find(const struct cb_set *set, const struct cb_at *at);

/* The first of the nodes [lo, hi), a run of siblings with what is below them, that belongs to `def`
 * or to a sibling defined after it; hi: none. */
uint32_t cb_set_child(const struct cb_set *set, uint32_t lo, uint32_t hi,
                      const struct event_def *def);

/* Is there a callback for a slot's own event, or for one that comes from it? */
static inline bool cb_set_wants(const struct cb_set *set, enum mon_slot slot)
{
    return set && (set->wants >> slot & 1);
}

/* Has it a callback for anything that a connection does? */
static inline bool cb_set_wants_conns(const struct cb_set *set)
{
    return set && (set->wants & ~(1u << SLOT_ORPHAN));
}

#endif

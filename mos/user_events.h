/*
 * Delivery of the events that programs define, to one monitor socket in one dispatch: the part of
 * the forest that its callback set holds, base before children. A filter is asked when its base has
 * fired; false leaves out all below it. An event of mtcp_alloc_event fires when it was raised, by
 * the filter or the callback of its parent.
 */
#ifndef MOS_USER_EVENTS_H
#define MOS_USER_EVENTS_H

#include "mos/dispatch.h"

/* Calls the callback of the slot's own event, if there is one, and then what lies below: of an
 * active socket, or (NULL) of the passive one in `d`. */
void user_events_fire(struct mon *m, struct mon_dispatch *d, const struct watch *w);

/* mtcp_raise_event: 0, -EPERM (no filter or callback of an event is running), -EINVAL (not a child
 * of that event, or not one to be raised), -ENOMEM. */
MUST_CHECK int user_event_raise(struct mon *m, event_t child);

void user_events_fini(struct mon *m);

#endif

/*
 * Hierarchical timer wheel: arm, move and cancel in constant time, expiry in order of the tick.
 * A timer never fires early; it fires at most WHEEL_TICK_US late (plus how late it is asked).
 * Time is an argument. A struct timer is embedded in its owner; `kind` tells the owner's type, so
 * that whoever runs the wheel needs no function pointer.
 */
#ifndef MTCP_BASE_WHEEL_H
#define MTCP_BASE_WHEEL_H

#include "mtcp/base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_US  64u
#define WHEEL_LEVELS   6u
#define WHEEL_SLOTS    64u
#define WHEEL_NEVER_US UINT64_MAX

struct timer {
    struct list_node node;
    uint64_t at_us;
    uint32_t kind;
    uint32_t slot; /* the wheel's own: level and slot where it waits or last did */
};

struct wheel {
    uint64_t tick; /* everything before it has expired */
    uint64_t occupied[WHEEL_LEVELS];
    struct list_node slot[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list_node due;  /* expired, not yet handed out */
    struct list_node soon; /* armed for the past: due at the next turn */
    uint64_t wake_us;      /* before it wheel_expire() has nothing to do */
    uint64_t n_armed;
    bool is_draining; /* between the first timer of a turn and its NULL */
};

void wheel_init(struct wheel *w, uint64_t now_us);

/* A timer must be initialised once before it is armed. */
void timer_init(struct timer *t, uint32_t kind);

static inline bool timer_is_armed(const struct timer *t)
{
    return list_is_linked(&t->node);
}

/* Arms, or moves when armed. A time in the past fires at the next wheel_expire(). */
void wheel_arm(struct wheel *w, struct timer *t, uint64_t at_us);
void wheel_cancel(struct wheel *w, struct timer *t); /* harmless when not armed */

/* The next timer with at_us <= now_us, disarmed; NULL when there is none. Call until NULL; timers
 * may be armed and cancelled in between (one armed for now or earlier fires at the next turn). */
struct timer *wheel_expire(struct wheel *w, uint64_t now_us);

/* Before this time wheel_expire() hands out nothing; the first timer expires then, or (when it is
 * far away, or a timer before it was cancelled) at most one slot of its level later; asking again
 * then gives a later time. 0 when timers are due already, WHEEL_NEVER_US when none is armed. */
uint64_t wheel_next_us(const struct wheel *w);

#endif

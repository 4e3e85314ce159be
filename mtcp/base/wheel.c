/*
 * Hierarchical timer wheel (Varghese & Lauck 1987, scheme 7). A timer's tick is written in base 64;
 * it waits at the level of the highest digit that differs from the current tick's, in the slot of
 * that digit. So
 *   - level 0 holds the ticks of the current 64 exactly, in order;
 *   - all of level l is earlier than all of level l + 1, and slots never wrap around: the first
 * timer is in the lowest set bit of the lowest non-empty level;
 *   - when the current tick reaches a slot of a higher level, its timers move down.
 * Timers further away than all levels reach wait in the last slot and are placed again from there.
 */
#include "mtcp/base/wheel.h"

#include "mtcp/base/bug.h"

enum {
    DIGIT_BITS = 6,
    SLOT_MASK = WHEEL_SLOTS - 1,
    TICK_LOG2 = 6,
};

_Static_assert(1u << DIGIT_BITS == WHEEL_SLOTS, "one bitmap word per level");
_Static_assert(1u << TICK_LOG2 == WHEEL_TICK_US, "ticks by shifting");

#define RANGE_TICKS ((uint64_t)1 << (DIGIT_BITS * WHEEL_LEVELS))

/* The first tick that does not begin before at_us: never early. */
static inline uint64_t tick_of(uint64_t at_us)
{
    return (at_us >> TICK_LOG2) + ((at_us & (WHEEL_TICK_US - 1)) != 0);
}

void wheel_init(struct wheel *w, uint64_t now_us)
{
    w->tick = now_us >> TICK_LOG2;
    w->wake_us = WHEEL_NEVER_US;
    w->n_armed = 0;
    w->is_draining = false;
    list_init(&w->due);
    list_init(&w->soon);
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        w->occupied[l] = 0;
        for (unsigned i = 0; i < WHEEL_SLOTS; i++)
            list_init(&w->slot[l][i]);
    }
}

void timer_init(struct timer *t, uint32_t kind)
{
    *t = (struct timer){.kind = kind};
    list_node_init(&t->node);
}

/* Puts the timer into its slot; its tick is not before the current one. */
static inline void place(struct wheel *w, struct timer *t, uint64_t tick)
{
    uint64_t diff = tick ^ w->tick;
    if (unlikely(diff >= RANGE_TICKS)) {
        tick = w->tick | (RANGE_TICKS - 1);
        diff = tick ^ w->tick;
    }
    unsigned level = (63u - (unsigned)__builtin_clzll(diff | 1)) / DIGIT_BITS;
    unsigned i = (unsigned)(tick >> (level * DIGIT_BITS)) & SLOT_MASK;
    t->slot = level * WHEEL_SLOTS + i;
    w->occupied[level] |= (uint64_t)1 << i;
    list_push_tail(&w->slot[level][i], &t->node);
}

/* Takes an armed timer off whatever list it is on: its slot's, or `due` or `soon`, for which
 * clearing the bit of an empty slot changes nothing. */
static inline void unlink_timer(struct wheel *w, struct timer *t)
{
    list_del(&t->node);
    unsigned level = t->slot / WHEEL_SLOTS, i = t->slot & SLOT_MASK;
    if (list_is_empty(&w->slot[level][i]))
        w->occupied[level] &= ~((uint64_t)1 << i);
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t at_us)
{
    if (timer_is_armed(t))
        unlink_timer(w, t);
    else
        w->n_armed++;
    t->at_us = at_us;
    uint64_t tick = tick_of(at_us);
    if (unlikely(tick < w->tick)) {
        list_push_tail(&w->soon, &t->node);
        w->wake_us = 0;
        return;
    }
    place(w, t, tick);
    uint64_t wake_us = tick << TICK_LOG2;
    if (wake_us < w->wake_us)
        w->wake_us = wake_us;
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
    if (!timer_is_armed(t))
        return;
    unlink_timer(w, t);
    w->n_armed--;
}

/* The first occupied slot in time: its level and the tick at which it begins. */
static bool first_slot(const struct wheel *w, unsigned *level, uint64_t *begin)
{
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        if (w->occupied[l] == 0)
            continue;
        unsigned shift = l * DIGIT_BITS;
        uint64_t i = (uint64_t)__builtin_ctzll(w->occupied[l]);
        *begin = (((w->tick >> shift) & ~(uint64_t)SLOT_MASK) | i) << shift;
        *level = l;
        return true;
    }
    return false;
}

/* The current tick becomes `tick`, where slot i of the level begins, and its timers go on: from
 * level 0 they are due, from the others they move down. */
static void open_slot(struct wheel *w, unsigned level, uint64_t tick)
{
    unsigned i = (unsigned)(tick >> (level * DIGIT_BITS)) & SLOT_MASK;
    struct list_node all;
    list_init(&all);
    list_splice_tail(&all, &w->slot[level][i]);
    w->occupied[level] &= ~((uint64_t)1 << i);
    w->tick = level == 0 ? tick + 1 : tick;
    for (struct list_node *n; (n = list_pop_head(&all)) != NULL;) {
        struct timer *t = container_of(n, struct timer, node);
        uint64_t at = tick_of(t->at_us);
        if (at >= w->tick)
            place(w, t, at);
        else
            list_push_tail(&w->due, &t->node);
    }
}

/* Collects in `due` all that expires at or before the tick `now`. */
static void advance(struct wheel *w, uint64_t now)
{
    unsigned level;
    uint64_t begin;
    list_splice_tail(&w->due, &w->soon);
    if (now < w->tick)
        return;
    while (first_slot(w, &level, &begin) && begin < now + (level == 0 ? 1 : 2))
        open_slot(w, level, begin);
    w->tick = now + 1;
}

/* The time before which nothing in the slots can be due. */
static uint64_t slots_next_us(const struct wheel *w)
{
    unsigned level;
    uint64_t begin;
    return first_slot(w, &level, &begin) ? begin << TICK_LOG2 : WHEEL_NEVER_US;
}

struct timer *wheel_expire(struct wheel *w, uint64_t now_us)
{
    if (likely(now_us < w->wake_us))
        return NULL;
    if (!w->is_draining)
        advance(w, now_us >> TICK_LOG2);
    struct list_node *n = list_pop_head(&w->due);
    w->is_draining = n != NULL;
    if (n == NULL) {
        w->wake_us = list_is_empty(&w->soon) ? slots_next_us(w) : 0;
        return NULL;
    }
    w->n_armed--;
    return container_of(n, struct timer, node);
}

uint64_t wheel_next_us(const struct wheel *w)
{
    if (w->n_armed == 0)
        return WHEEL_NEVER_US;
    if (!list_is_empty(&w->due) || !list_is_empty(&w->soon))
        return 0;
    uint64_t next_us = slots_next_us(w);
    return next_us > w->wake_us ? next_us : w->wake_us;
}

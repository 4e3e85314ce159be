/*
 * One-shot timers by id, to the microsecond: a binary heap ordered by deadline, then by the order
 * in which they were set, and a hash table of ids. Time is an argument; calls nothing.
 */
#ifndef MOS_TIMERS_H
#define MOS_TIMERS_H

#include "mos_api.h"
#include "mtcp/base/bug.h"
#include "mtcp/base/mem.h"
#include "mtcp/base/pool.h"

#include <stdbool.h>
#include <stdint.h>

#define MON_TIMERS_NEVER_US UINT64_MAX

struct mon_timer;

struct mon_timers {
    struct mem *mem;
    struct pool pool;
    struct mon_timer **heap, **bucket; /* both have `room`, a power of two; NULL: 0 */
    unsigned n, room;
    uint64_t n_set; /* ever */
};

void mon_timers_init(struct mon_timers *t, struct mem *mem);
void mon_timers_fini(struct mon_timers *t); /* none of them fires */

/* Arms the timer of an id, anew when it runs. 0, or -ENOMEM and nothing has changed. */
MUST_CHECK int mon_timer_set(struct mon_timers *t, int id, uint64_t at_us, callback_t cb);

/* 0, or -ENOENT: no timer of that id runs. */
MUST_CHECK int mon_timer_cancel(struct mon_timers *t, int id);

/* Takes the next one that is due at now_us and was among the first `among` ever set (n_set of the
 * time when the asking began: what is set meanwhile is for the next turn). False: none. */
bool mon_timers_take(struct mon_timers *t, uint64_t now_us, uint64_t among, int *id,
                     callback_t *cb);

/* When the next one is due. */
uint64_t mon_timers_next_us(const struct mon_timers *t);

#endif

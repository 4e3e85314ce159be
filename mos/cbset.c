/* Shared sets of callbacks. Sets are few, however many connections there are: a list will do. */
#include "mos/cbset.h"

#include <errno.h>
#include <string.h>

static const struct {
    event_t event;
    int hook_point;
} pairs[SLOT_N] = {
    [SLOT_PKT_IN_SND] = {MOS_ON_PKT_IN, MOS_HK_SND},
    [SLOT_PKT_IN_RCV] = {MOS_ON_PKT_IN, MOS_HK_RCV},
    [SLOT_PKT_IN_RAW] = {MOS_ON_PKT_IN, MOS_NULL},
    [SLOT_CONN_START_SND] = {MOS_ON_CONN_START, MOS_HK_SND},
    [SLOT_CONN_START_RCV] = {MOS_ON_CONN_START, MOS_HK_RCV},
    [SLOT_NEW_DATA] = {MOS_ON_CONN_NEW_DATA, MOS_NULL},
    [SLOT_ERROR] = {MOS_ON_ERROR, MOS_NULL},
    [SLOT_STATE_SND] = {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND},
    [SLOT_STATE_RCV] = {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV},
    [SLOT_ORPHAN] = {MOS_ON_ORPHAN, MOS_NULL},
    [SLOT_REXMIT_RCV] = {MOS_ON_REXMIT, MOS_HK_RCV},
    [SLOT_CONN_END_SND] = {MOS_ON_CONN_END, MOS_HK_SND},
    [SLOT_CONN_END_RCV] = {MOS_ON_CONN_END, MOS_HK_RCV},
};

int slot_find(event_t event, int hook_point)
{
    for (int i = 0; i < SLOT_N; i++)
        if (pairs[i].event == event && pairs[i].hook_point == hook_point)
            return i;
    return -1;
}

event_t slot_event(enum mon_slot slot)
{
    return pairs[slot].event;
}

void cb_sets_init(struct cb_sets *r, struct mem *mem)
{
    r->mem = mem;
    list_init(&r->all);
}

static struct cb_set *find_equal(struct cb_sets *r, const struct cb_set *want)
{
    LIST_FOREACH (n, &r->all) {
        struct cb_set *s = container_of(n, struct cb_set, node);
        if (s->mask == want->mask && memcmp(s->cb, want->cb, sizeof(s->cb)) == 0)
            return s;
    }
    return NULL;
}

static struct cb_set *make(struct cb_sets *r, const struct cb_set *want)
{
    struct cb_set *s = mem_alloc(r->mem, sizeof(*s));
    if (!s)
        return NULL;
    *s = *want;
    s->refs = 0;
    list_push_tail(&r->all, &s->node);
    return s;
}

int cb_set_with(struct cb_sets *r, const struct cb_set *from, enum mon_slot slot, callback_t cb,
                struct cb_set **out)
{
    struct cb_set want = from ? *from : (struct cb_set){0};
    want.cb[slot] = cb;
    want.mask = cb ? want.mask | 1u << slot : want.mask & ~(1u << slot);
    struct cb_set *s = NULL;
    if (want.mask) {
        s = find_equal(r, &want);
        if (!s)
            s = make(r, &want);
        if (!s)
            return -ENOMEM;
    }
    *out = cb_set_get(s);
    return 0;
}

struct cb_set *cb_set_get(struct cb_set *set)
{
    if (set)
        set->refs++;
    return set;
}

void cb_set_put(struct cb_sets *r, struct cb_set *set)
{
    if (!set || --set->refs > 0)
        return;
    list_del(&set->node);
    mem_free(r->mem, set, sizeof(*set));
}

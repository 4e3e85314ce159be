/* Shared sets of callbacks. */
#include "mos/cbset.h"

#include <errno.h>
#include <string.h>

_Static_assert(SLOT_N <= 32, "cb_set.wants has a bit for each slot");

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
    [SLOT_NOTABLE] = {MOS_ON_PKT_NOTABLE, MOS_HK_RCV},
};

event_t slot_event(enum mon_slot slot)
{
    return pairs[slot].event;
}

int cb_at_find(event_t event, int hook_point, struct cb_at *at)
{
    at->def = event_find(event);
    event_t root = at->def ? at->def->root : event;
    for (int i = 0; i < SLOT_N; i++)
        if (pairs[i].event == root && pairs[i].hook_point == hook_point) {
            at->slot = (enum mon_slot)i;
            return 0;
        }
    return -EINVAL;
}

/* ---- looking --------------------------------------------------------------------------------- */

/* Preorder keeps the nodes sorted by their ancestor at any one depth. */
uint32_t cb_set_child(const struct cb_set *set, uint32_t lo, uint32_t hi,
                      const struct event_def *def)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (event_ancestor(set->node[mid].def, def->depth)->index < def->index)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Where `at->def` is or belongs. *depth: of the first on the way to it that is not there. */
static uint32_t find(const struct cb_set *set, const struct cb_at *at, uint32_t *depth)
{
    uint32_t lo = set->first[at->slot], hi = set->first[at->slot + 1];
    for (*depth = 1;; ++*depth) {
        const struct event_def *def = event_ancestor(at->def, *depth);
        lo = cb_set_child(set, lo, hi, def);
        if (lo == hi || set->node[lo].def != def)
            return lo;
        if (def == at->def)
            break;
        hi = lo + set->node[lo].size;
        lo++;
    }
    ++*depth;
    return lo;
}

callback_t cb_set_find(const struct cb_set *set, const struct cb_at *at)
{
    uint32_t depth;
    if (!set)
        return NULL;
    if (!at->def)
        return set->cb[at->slot];
    uint32_t i = find(set, at, &depth);
    return depth > at->def->depth ? set->node[i].cb : NULL;
}

/* ---- a set in the making --------------------------------------------------------------------- */

static uint32_t n_nodes(const struct cb_set *set)
{
    return set->first[SLOT_N];
}

/* n nodes appear in front of node i (n < 0: vanish from there), in that slot. */
static void shift(struct cb_set *set, enum mon_slot slot, uint32_t i, int n)
{
    uint32_t from = n < 0 ? i - (uint32_t)n : i;
    memmove(&set->node[from + (uint32_t)n], &set->node[from],
            (n_nodes(set) - from) * sizeof(struct cb_node));
    for (unsigned s = slot + 1; s <= SLOT_N; s++)
        set->first[s] += (uint32_t)n;
}

/* The subtrees of those above `depth` on the way to `at->def` have n nodes more. */
static void sizes_add(struct cb_set *set, const struct cb_at *at, uint32_t depth, int n)
{
    uint32_t lo = set->first[at->slot], hi = set->first[at->slot + 1];
    for (uint32_t d = 1; d < depth; d++) {
        lo = cb_set_child(set, lo, hi, event_ancestor(at->def, d));
        hi = lo + set->node[lo].size;
        set->node[lo++].size += (uint32_t)n;
    }
}

/* Nodes that a callback there needs and that are not there. */
static uint32_t n_missing(const struct cb_set *set, const struct cb_at *at)
{
    uint32_t depth;
    if (!at->def)
        return 0;
    if (!set)
        return at->def->depth;
    (void)find(set, at, &depth);
    return at->def->depth + 1 - depth;
}

static void node_put(struct cb_set *set, const struct cb_at *at, callback_t cb)
{
    uint32_t depth, i = find(set, at, &depth);
    uint32_t n = at->def->depth + 1 - depth; /* that are missing */
    if (n > 0) {
        sizes_add(set, at, depth, (int)n);
        shift(set, at->slot, i, (int)n);
    }
    for (uint32_t k = 0; k < n; k++)
        set->node[i + k] =
            (struct cb_node){.def = event_ancestor(at->def, depth + k), .size = n - k};
    set->node[n > 0 ? i + n - 1 : i].cb = cb;
}

/* Also those above it that were there for it alone. */
static void node_take(struct cb_set *set, struct cb_at at)
{
    uint32_t depth, i = find(set, &at, &depth);
    if (depth <= at.def->depth)
        return;
    set->node[i].cb = NULL;
    while (at.def && !set->node[i].cb && set->node[i].size == 1) {
        sizes_add(set, &at, at.def->depth, -1);
        shift(set, at.slot, i, -1);
        at.def = at.def->base;
        if (at.def)
            i = find(set, &at, &depth);
    }
}

/* The ways over what is not raised. */
static void set_jumps(struct cb_set *set, enum mon_slot slot)
{
    for (uint32_t i = set->first[slot + 1]; i-- > set->first[slot];) {
        struct cb_node *x = &set->node[i];
        const struct cb_node *after = x + x->size;
        x->jump = x->size;
        if (i + x->size < set->first[slot + 1] && after->def->base == x->def->base &&
            !after->def->filter)
            x->jump += after->jump;
    }
}

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static void finish(struct cb_set *set, enum mon_slot slot)
{
    set_jumps(set, slot);
    set->wants = set->users = 0;
    set->hash = 0;
    for (unsigned s = 0; s < SLOT_N; s++) {
        bool has_nodes = set->first[s] < set->first[s + 1];
        set->wants |= (uint32_t)(set->cb[s] || has_nodes) << s;
        set->users |= (uint32_t)has_nodes << s;
        set->hash = mix(set->hash, (uintptr_t)set->cb[s]);
        set->hash = mix(set->hash, set->first[s]);
    }
    for (uint32_t i = 0; i < n_nodes(set); i++) {
        set->hash = mix(set->hash, set->node[i].def->index);
        set->hash = mix(set->hash, (uintptr_t)set->node[i].cb);
    }
}

/* ---- sharing --------------------------------------------------------------------------------- */

void cb_sets_init(struct cb_sets *r, struct mem *mem)
{
    r->mem = mem;
    r->n = 0;
    for (unsigned i = 0; i < CB_BUCKETS; i++)
        list_init(&r->bucket[i]);
    memset(r->step, 0, sizeof(r->step));
}

static bool is_equal(const struct cb_set *a, const struct cb_set *b)
{
    return a->hash == b->hash && memcmp(a->cb, b->cb, sizeof(a->cb)) == 0 &&
           memcmp(a->first, b->first, sizeof(a->first)) == 0 &&
           memcmp(a->node, b->node, n_nodes(a) * sizeof(struct cb_node)) == 0;
}

static struct cb_set *find_equal(struct cb_sets *r, const struct cb_set *want)
{
    LIST_FOREACH (n, &r->bucket[want->hash % CB_BUCKETS]) {
        struct cb_set *s = container_of(n, struct cb_set, in_bucket);
        if (is_equal(s, want))
            return s;
    }
    return NULL;
}

static size_t set_bytes(uint32_t nodes)
{
    return sizeof(struct cb_set) + nodes * sizeof(struct cb_node);
}

/* A copy of `from` (NULL: empty) with room for a callback there; for NULL beyond the budget, too.
 */
static struct cb_set *copy(struct cb_sets *r, const struct cb_set *from, const struct cb_at *at,
                           callback_t cb)
{
    uint32_t n = from ? n_nodes(from) : 0, more = cb ? n_missing(from, at) : 0;
    struct cb_set *set =
        cb ? mem_alloc(r->mem, set_bytes(n + more)) : mem_alloc_over(r->mem, set_bytes(n));
    if (!set)
        return NULL;
    if (from)
        memcpy(set, from, set_bytes(n));
    else
        memset(set, 0, sizeof(*set));
    set->room = n + more;
    set->refs = 0;
    return set;
}

/* The set itself, or the one that is like it, or NULL for the empty one. */
static struct cb_set *share(struct cb_sets *r, struct cb_set *set)
{
    struct cb_set *same = set->wants ? find_equal(r, set) : NULL;
    if (same || !set->wants) {
        mem_free(r->mem, set, set_bytes(set->room));
        return same;
    }
    r->n++;
    list_push_tail(&r->bucket[set->hash % CB_BUCKETS], &set->in_bucket);
    return set;
}

/* ---- changes that were made before ----------------------------------------------------------- */

static struct cb_step *step_of(struct cb_sets *r, const struct cb_step *x)
{
    uint64_t h =
        mix(mix(mix(x->at.slot, (uintptr_t)x->from), (uintptr_t)x->at.def), (uintptr_t)x->cb);
    return &r->step[h % CB_STEPS];
}

static bool step_is(const struct cb_step *a, const struct cb_step *b)
{
    return a->is_known && a->from == b->from && a->at.slot == b->at.slot &&
           a->at.def == b->at.def && a->cb == b->cb;
}

static void steps_forget(struct cb_sets *r, const struct cb_set *set)
{
    for (unsigned i = 0; i < CB_STEPS; i++)
        if (r->step[i].from == set || r->step[i].to == set)
            r->step[i].is_known = false;
}

int cb_set_with(struct cb_sets *r, const struct cb_set *from, const struct cb_at *at, callback_t cb,
                struct cb_set **out)
{
    struct cb_step x = {.from = from, .at = *at, .cb = cb, .is_known = true};
    struct cb_step *step = step_of(r, &x);
    if (!step_is(step, &x)) {
        struct cb_set *set = copy(r, from, at, cb);
        if (!set)
            return -ENOMEM;
        if (!at->def)
            set->cb[at->slot] = cb;
        else if (cb)
            node_put(set, at, cb);
        else
            node_take(set, *at);
        finish(set, at->slot);
        x.to = share(r, set);
        *step = x;
    }
    *out = cb_set_get(step->to);
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
    r->n--;
    steps_forget(r, set);
    list_del(&set->in_bucket);
    mem_free(r->mem, set, set_bytes(set->room));
}

/* Passive and raw sockets. */
#include "mos/passive.h"

#include "mos/mon_opt.h"

#include <errno.h>

int passive_create(struct mon *m, int type)
{
    struct mon_passive *p = mem_zalloc(m->mem, sizeof(*p));
    if (!p) {
        errno = ENOMEM;
        return -1;
    }
    p->mon = m;
    p->is_raw = type == MOS_SOCK_MONITOR_RAW;
    list_init(&p->watches);
    for (int side = 0; side < SIDES; side++)
        p->hist[side] = p->policy[side] = -1;
    p->sock = m->sv->sock_alloc(m->ctx, type, p->is_raw ? &mon_raw_ops : &mon_passive_ops, p);
    if (p->sock < 0) {
        mem_free(m->mem, p, sizeof(*p));
        errno = EMFILE;
        return -1;
    }
    list_push_tail(&m->passives, &p->node);
    if (p->is_raw && m->n_raw++ == 0)
        m->sv->watch_frames(m->ctx, true);
    return p->sock;
}

void passive_free(struct mon_passive *p)
{
    struct mon *m = p->mon;
    list_del(&p->node);
    cb_set_put(&m->sets, p->set);
    filter_free(m->mem, p->syn);
    filter_free(m->mem, p->orphan);
    mem_free(m->mem, p, sizeof(*p));
}

int passive_bind(struct mon_passive *p, const union monitor_filter *ft)
{
    struct mem *mem = p->mon->mem;
    struct filter *syn = NULL, *orphan = NULL;
    int rc = 0;
    if (ft && p->is_raw) {
        rc = filter_compile(mem, ft->raw_pkt_filter, &orphan);
    } else if (ft) {
        rc = filter_compile(mem, ft->stream_syn_filter, &syn);
        if (rc == 0)
            rc = filter_compile(mem, ft->stream_orphan_filter, &orphan);
    }
    if (rc != 0) {
        filter_free(mem, syn);
        return rc;
    }
    filter_free(mem, p->syn);
    filter_free(mem, p->orphan);
    p->syn = syn;
    p->orphan = orphan;
    return 0;
}

bool passive_wants(const struct mon_passive *p, const struct hook_seg *syn)
{
    return !p->is_raw && cb_set_wants_conns(p->set) && filter_match(p->syn, syn, NULL);
}

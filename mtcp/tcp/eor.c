/* Ends of records: a ring of offsets in ascending order; its size is a power of two. */
#include "mtcp/tcp/eor.h"

#include "mtcp/tcp/tcp.h"

#include <string.h>

enum { FIRST_CAP = 16, MOST = 1 << 16 };

static size_t ring_size(const struct tcp_eor *r)
{
    return r->cap * sizeof(r->at[0]);
}

/* Room for one more. */
static bool ring_grow(struct tcp_env *e, struct tcp_eor *r)
{
    if (r->n < r->cap)
        return true;
    struct tcp_eor new = {.n = r->n, .cap = r->cap ? 2 * r->cap : FIRST_CAP};
    new.at = new.cap <= MOST ? mem_alloc(e->mem, ring_size(&new)) : NULL;
    if (new.at == NULL)
        return false;
    for (uint32_t i = 0; i < r->n; i++)
        new.at[i] = r->at[(r->first + i) & (r->cap - 1)];
    mem_free(e->mem, r->at, ring_size(r));
    *r = new;
    return true;
}

void tcp_mark_eor(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->snd_nxt >= (tcp_off_t)stream_next(&c->snd))
        return; /* nothing waits that could be joined to what comes */
    struct tcp_opt_ext *x = conn_ext(e, c);
    if (x == NULL || !ring_grow(e, &x->eor)) {
        e->stats.nomem_drops++;
        return;
    }
    x->eor.at[(x->eor.first + x->eor.n++) & (x->eor.cap - 1)] = (uint32_t)stream_next(&c->snd);
}

void eor_passed(struct tcp_env *e, struct tcp_conn *c)
{
    struct tcp_eor *r = &c->ext->eor;
    if (r->n == 0)
        return;
    while (r->n > 0 && (int32_t)(r->at[r->first] - (uint32_t)c->snd_nxt) <= 0) {
        r->first = (r->first + 1) & (r->cap - 1);
        r->n--;
    }
    if (r->n == 0)
        eor_fini(e, c);
}

void eor_fini(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->ext == NULL || c->ext->eor.at == NULL)
        return;
    mem_free(e->mem, c->ext->eor.at, ring_size(&c->ext->eor));
    c->ext->eor = (struct tcp_eor){.at = NULL};
}

/* Where bytes of the send stream lie outside of it. */
#include "mtcp/tcp/zerocopy.h"

#include "mtcp/tcp/tcp.h"

#include <string.h>

enum { FIRST_CAP = 4, MOST = 1 << 16 };

struct span {
    tcp_off_t from, to;  /* of the send stream */
    const uint8_t *data; /* of `from` */
    uint32_t call;       /* which one it was */
};

/* What a connection has in use, in the stream's order; never empty. */
struct tcp_lent {
    uint32_t n, cap, first;
    struct iovec pieces[TCP_TX_PIECES + 1]; /* of the segment in hand */
    struct span at[];
};

static size_t lent_size(uint32_t cap)
{
    return sizeof(struct tcp_lent) + cap * sizeof(struct span);
}

static void lent_free(struct tcp_env *e, struct tcp_zerocopy *z)
{
    if (z->lent != NULL)
        mem_free(e->mem, z->lent, lent_size(z->lent->cap));
    z->lent = NULL;
}

/* Twice the room. */
static bool lent_grow(struct tcp_env *e, struct tcp_zerocopy *z)
{
    struct tcp_lent *old = z->lent;
    uint32_t cap = old != NULL ? 2 * old->cap : FIRST_CAP;
    struct tcp_lent *new = cap <= MOST ? mem_alloc(e->mem, lent_size(cap)) : NULL;
    if (new == NULL)
        return false;
    *new = (struct tcp_lent){.n = old != NULL ? old->n : 0, .cap = cap};
    if (old != NULL)
        memcpy(new->at, old->at + old->first, old->n * sizeof(struct span));
    lent_free(e, z);
    z->lent = new;
    return true;
}

/* Room for one more behind the last. */
static bool lent_has_room(struct tcp_env *e, struct tcp_zerocopy *z)
{
    struct tcp_lent *l = z->lent;
    if (l == NULL || l->n == l->cap)
        return lent_grow(e, z);
    if (l->first + l->n == l->cap) {
        memmove(l->at, l->at + l->first, l->n * sizeof(struct span));
        l->first = 0;
    }
    return true;
}

static void lent_add(struct tcp_lent *l, struct span s)
{
    l->at[l->first + l->n++] = s;
}

/* ---- bytes in ---- */

static bool may_lend(const struct tcp_conn *c, uint32_t len)
{
    return len >= ZEROCOPY_MIN && c->mon == NULL &&
           (c->state == TCPS_ESTABLISHED || c->state == TCPS_CLOSE_WAIT) &&
           !(c->flags & (TCF_SND_FIN | TCF_SEND_RST | TCF_RST_QUEUED | TCF_CLOSE_QUEUED));
}

uint32_t tcp_lend(struct tcp_env *e, struct tcp_conn *c, const void *data, uint32_t len)
{
    uint32_t room = tcp_writable(c), n = len < room ? len : room;
    if (c->ext == NULL || !c->ext->is_zerocopy || n == 0)
        return 0;
    struct tcp_zerocopy *z = &c->ext->zc;
    if (!may_lend(c, n) || !stream_append_blank(&c->snd, e->mem, n))
        return 0;
    tcp_off_t end = (tcp_off_t)stream_next(&c->snd);
    if (lent_has_room(e, z)) {
        lent_add(z->lent, (struct span){end - n, end, data, z->calls});
    } else {
        stream_fill(&c->snd, (uint64_t)(end - n), data, n);
        tcp_zerocopy_copied(c);
    }
    conn_mark_output(e, c);
    return n;
}

void tcp_zerocopy_copied(struct tcp_conn *c)
{
    if (c->ext != NULL && c->ext->is_zerocopy)
        c->ext->zc.copied = c->ext->zc.calls + 1;
}

/* The calls before the first whose bytes are in use are done; are there more of them now? */
static bool calls_done(struct tcp_zerocopy *z)
{
    uint32_t was = z->done;
    z->done = z->lent != NULL ? z->lent->at[z->lent->first].call : z->calls;
    return z->done != was;
}

bool tcp_zerocopy_called(struct tcp_conn *c)
{
    if (c->ext == NULL || !c->ext->is_zerocopy)
        return false;
    c->ext->zc.calls++;
    return calls_done(&c->ext->zc);
}

/* ---- bytes out ---- */

/* The first span that ends beyond off. */
static uint32_t span_at(const struct tcp_lent *l, tcp_off_t off)
{
    uint32_t low = l->first, high = l->first + l->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (l->at[mid].to <= off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static inline tcp_off_t min_off(tcp_off_t a, tcp_off_t b)
{
    return a < b ? a : b;
}

__attribute__((noinline)) void zerocopy_fill(const struct tcp_conn *c, tcp_off_t off, uint32_t len,
                                             struct tcp_tx *tx)
{
    struct tcp_lent *l = c->ext->zc.lent;
    tcp_off_t end = off + len;
    unsigned n = 0;
    for (uint32_t i = span_at(l, off); off < end; i++) {
        bool is_last = i == l->first + l->n;
        tcp_off_t from = is_last ? end : min_off(l->at[i].from, end);
        if (off < from) {
            n += stream_span(&c->snd, (uint64_t)off, (uint32_t)(from - off), l->pieces + n);
            off = from;
        }
        if (off < end) {
            tcp_off_t to = min_off(l->at[i].to, end);
            const uint8_t *data = l->at[i].data + (off - l->at[i].from);
            l->pieces[n++] = (struct iovec){(void *)(uintptr_t)data, (size_t)(to - off)};
            off = to;
        }
    }
    ASSERT(n <= TCP_TX_PIECES);
    tx->iov = l->pieces;
    tx->n_iov = n;
}

/* ---- the end ---- */

/* What ends up to `to` is the application's again. */
static __attribute__((noinline)) void release(struct tcp_env *e, struct tcp_conn *c, tcp_off_t to)
{
    struct tcp_zerocopy *z = &c->ext->zc;
    struct tcp_lent *l = z->lent;
    for (; l->n > 0 && l->at[l->first].to <= to; l->n--)
        l->first++;
    if (l->n == 0)
        lent_free(e, z);
    if (calls_done(z))
        conn_mark_ready(e, c, TCP_READY_ZEROCOPY);
}

void zerocopy_acked(struct tcp_env *e, struct tcp_conn *c)
{
    if (zerocopy_is_used(c))
        release(e, c, (tcp_off_t)stream_read(&c->snd));
}

void zerocopy_over(struct tcp_env *e, struct tcp_conn *c)
{
    if (zerocopy_is_used(c))
        release(e, c, (tcp_off_t)stream_next(&c->snd));
}

void zerocopy_copy_all(struct tcp_env *e, struct tcp_conn *c)
{
    if (!zerocopy_is_used(c))
        return;
    const struct tcp_lent *l = c->ext->zc.lent;
    tcp_off_t una = (tcp_off_t)stream_read(&c->snd);
    for (uint32_t i = l->first; i < l->first + l->n; i++) {
        const struct span *s = &l->at[i];
        tcp_off_t from = s->from > una ? s->from : una;
        stream_fill(&c->snd, (uint64_t)from, s->data + (from - s->from), (uint32_t)(s->to - from));
    }
    zerocopy_fini(e, c);
}

void zerocopy_fini(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->ext != NULL)
        lent_free(e, &c->ext->zc);
}

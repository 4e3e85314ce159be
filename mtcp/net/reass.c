/*
 * Reassembly. A packet's fragments are kept as they came, in order of offset, and copied once, into
 * one frame, when the last hole is filled.
 */
#include "mtcp/net/reass.h"

#include "mtcp/base/hash.h"
#include "mtcp/net/netif.h"
#include "mtcp/net/timer_kind.h"
#include "mtcp/wire/frag.h"

#include <string.h>

#define REASS_TIMEOUT_US                                                                           \
    UINT64_C(30000000) /* Linux's ipfrag_time; RFC 791 3.2 says 15 s at least */
#define REASS_BUCKETS   256u
#define REASS_PACKETS   1024u
#define REASS_FRAGMENTS 64u /* of one packet: 64 KB in Ethernet's frames are 45 */
#define IP_PAYLOAD_MAX  65535u

struct frag_key {
    struct ip_addr src, dst;
    uint32_t id;
    uint8_t proto; /* IPv6: 0 */
    uint8_t wire;  /* the interface and 1; not a wire's: 0 */
    uint8_t zero[2];
};

struct partial {
    struct list_node age;  /* reass.oldest */
    struct partial *chain; /* in its bucket */
    struct frag_key key;
    uint64_t expires_us;
    struct frag *frags;
    unsigned n_frags;
    uint32_t have, total; /* bytes; total 0: the last fragment has not come */
    uint8_t ecn_seen;     /* bit i: a fragment came with ECN bits i */
    uint8_t head_len;     /* 0: the first fragment has not come */
    uint8_t head[FRAG_HEAD_MAX];
};

struct reass {
    struct list_node oldest;
    struct timer timer;
    struct hash_key hash_key;
    uint64_t bytes;
    unsigned n;
    struct partial *buckets[REASS_BUCKETS];
};

/* ---- the table ------------------------------------------------------------------------------ */

static struct reass *reass_of(struct net *n)
{
    if (n->reass)
        return n->reass;
    struct reass *r = mem_zalloc(n->env.mem, sizeof(*r));
    if (!r)
        return NULL;
    list_init(&r->oldest);
    timer_init(&r->timer, NET_TIMER_REASS);
    r->hash_key = (struct hash_key){rng_u64(&n->env.rng), rng_u64(&n->env.rng)};
    n->reass = r;
    return r;
}

static struct partial **bucket_of(struct reass *r, const struct frag_key *k)
{
    return &r->buckets[hash_siphash13(&r->hash_key, k, sizeof(*k)) % REASS_BUCKETS];
}

/* The record goes, its fragments are the caller's. */
static struct frag *partial_disband(struct net *n, struct partial *p)
{
    struct reass *r = n->reass;
    struct frag *frags = p->frags;
    struct partial **at = bucket_of(r, &p->key);
    while (*at != p)
        at = &(*at)->chain;
    *at = p->chain;
    list_del(&p->age);
    for (const struct frag *f = frags; f; f = f->next)
        r->bytes -= sizeof(*f) + f->frame_len;
    r->bytes -= sizeof(*p);
    r->n--;
    mem_free(n->env.mem, p, sizeof(*p));
    return frags;
}

void reass_frags_free(struct net *n, struct frag *frags)
{
    for (struct frag *f = frags, *next; f; f = next) {
        next = f->next;
        mem_free(n->env.mem, f, sizeof(*f) + f->frame_len);
    }
}

static void partial_end(struct net *n, struct partial *p)
{
    reass_frags_free(n, partial_disband(n, p));
}

static struct partial *partial_oldest(struct reass *r)
{
    return list_is_empty(&r->oldest) ? NULL : container_of(r->oldest.next, struct partial, age);
}

/* Room for so many bytes more, at the cost of who waits longest. */
static void make_room(struct net *n, uint64_t bytes)
{
    struct reass *r = n->reass;
    while (r->n > 0 && (r->bytes + bytes > n->conf.max_fragment_bytes || r->n >= REASS_PACKETS)) {
        n->stats.fragments_dropped += partial_oldest(r)->n_frags;
        partial_end(n, partial_oldest(r));
    }
}

static struct partial *partial_find(struct reass *r, const struct frag_key *k)
{
    struct partial *p = *bucket_of(r, k);
    while (p && memcmp(&p->key, k, sizeof(*k)) != 0)
        p = p->chain;
    return p;
}

static struct partial *partial_new(struct net *n, const struct frag_key *k)
{
    struct reass *r = n->reass;
    make_room(n, sizeof(struct partial));
    struct partial *p = mem_zalloc(n->env.mem, sizeof(*p));
    if (!p)
        return NULL;
    p->key = *k;
    p->expires_us = n->env.now_us + REASS_TIMEOUT_US;
    p->chain = *bucket_of(r, k);
    *bucket_of(r, k) = p;
    list_push_tail(&r->oldest, &p->age);
    r->bytes += sizeof(*p);
    r->n++;
    if (!timer_is_armed(&r->timer))
        wheel_arm(&n->env.wheel, &r->timer, p->expires_us);
    return p;
}

void reass_timer(struct net *n)
{
    struct partial *p;
    while ((p = partial_oldest(n->reass)) != NULL && p->expires_us <= n->env.now_us) {
        n->stats.fragments_dropped += p->n_frags;
        n->stats.reass_timeouts++;
        partial_end(n, p);
    }
    if (p)
        wheel_arm(&n->env.wheel, &n->reass->timer, p->expires_us);
}

void reass_fini(struct net *n)
{
    struct reass *r = n->reass;
    if (!r)
        return;
    while (r->n > 0)
        partial_end(n, partial_oldest(r));
    wheel_cancel(&n->env.wheel, &r->timer);
    mem_free(n->env.mem, r, sizeof(*r));
    n->reass = NULL;
}

/* ---- one fragment --------------------------------------------------------------------------- */

enum place { PLACE_OK, PLACE_COPY, PLACE_BAD };

/* Can the fragment be part of that packet, and where does it go? */
static enum place frag_place(struct partial *p, const struct packet *f, struct frag ***at)
{
    uint32_t off = f->frag.off, end = off + f->frag.len;
    if (p->total && (end > p->total || (!f->frag.more && end != p->total)))
        return PLACE_BAD;
    for (*at = &p->frags; **at; *at = &(**at)->next) {
        const struct frag *o = **at;
        if (o->off == off && o->len == f->frag.len)
            return PLACE_COPY;
        if (o->off < end && off < o->off + o->len)
            return PLACE_BAD;
        if (!f->frag.more && o->off >= end)
            return PLACE_BAD; /* something lies beyond the last one */
        if (o->off > off)
            break;
    }
    return p->n_frags < REASS_FRAGMENTS ? PLACE_OK : PLACE_BAD;
}

static uint32_t kept_len(const struct rx *x)
{
    return x->nif->is_wire ? x->pkt->len : x->p.frag.len;
}

static bool frag_store(struct net *n, struct partial *p, const struct rx *x, struct frag **at)
{
    const struct packet *f = &x->p;
    const uint8_t *kept = x->nif->is_wire ? x->pkt->data : f->frag.data;
    uint32_t len = kept_len(x);
    struct frag *new = mem_alloc(n->env.mem, sizeof(*new) + len);
    if (!new)
        return false;
    *new = (struct frag){.next = *at,
                         .off = f->frag.off,
                         .len = f->frag.len,
                         .head_len = (uint32_t)(f->frag.data - kept),
                         .frame_len = len};
    memcpy(new->frame, kept, len);
    *at = new;
    p->n_frags++;
    p->have += new->len;
    p->ecn_seen |= (uint8_t)(1u << f->frag.ecn);
    if (!f->frag.more)
        p->total = new->off + new->len;
    n->reass->bytes += sizeof(*new) + len;
    return true;
}

/* What a fragment may look like at all (RFC 791 3.2, RFC 8200 4.5). */
static bool frag_is_sane(const struct net *n, const struct rx *x)
{
    const struct packet *f = &x->p;
    if (!(x->nif->is_wire || netif_owns(n, &f->dst)) || !netif_addr_is_host(&f->src) ||
        f->frag.len == 0)
        return false;
    if (f->frag.more && f->frag.len % 8 != 0)
        return false;
    return f->frag.off + f->frag.len <= IP_PAYLOAD_MAX - (f->l4_off - f->l3_off) &&
           (f->frag.off > 0 || frag_head_len(f) > 0);
}

static struct frag_key key_of(const struct rx *x)
{
    const struct packet *f = &x->p;
    struct frag_key k;
    memset(&k, 0, sizeof(k));
    k.src = f->src;
    k.dst = f->dst;
    k.id = f->frag.id;
    k.proto = ip_addr_is_v4(&f->src) ? f->ip_proto : 0;
    k.wire = x->nif->is_wire ? x->nif->index + 1 : 0;
    return k;
}

/* ---- the whole ------------------------------------------------------------------------------ */

enum { ECN_NOT_ECT = 1 << 0, ECN_ANY_CE = 1 << 3 };

/* One of the fragments says that it can't be marked and another is: somebody has tampered with it
 * (RFC 3168 5.3). */
static bool ecn_is_contradictory(const struct partial *p)
{
    return (p->ecn_seen & ECN_ANY_CE) && (p->ecn_seen & ECN_NOT_ECT);
}

static uint8_t *join(struct net *n, struct partial *p, uint32_t *len)
{
    *len = p->head_len + p->total;
    uint8_t *frame = mem_alloc(n->env.mem, *len);
    if (!frame)
        return NULL;
    memcpy(frame, p->head, p->head_len);
    for (const struct frag *f = p->frags; f; f = f->next)
        memcpy(frame + p->head_len + f->off, f->frame + f->head_len, f->len);
    frag_finish(frame, p->head_len, p->total, p->ecn_seen & ECN_ANY_CE);
    n->stats.reassembled++;
    return frame;
}

static bool is_whole(const struct partial *p)
{
    return p->total && p->have == p->total && p->head_len > 0;
}

/* The fragment joins its packet; false: the packet is given up. */
static bool partial_take(struct net *n, struct partial *p, const struct rx *x)
{
    struct frag **at;
    enum place where = frag_place(p, &x->p, &at);
    if (where == PLACE_COPY)
        return true;
    if (where == PLACE_BAD || !frag_store(n, p, x, at))
        return false;
    if (x->p.frag.off == 0) {
        frag_head(p->head, x->pkt->data, &x->p);
        p->head_len = (uint8_t)frag_head_len(&x->p);
    }
    return true;
}

/* Where the fragment belongs; NULL: it can be part of nothing, or there is no memory. */
static struct partial *partial_of(struct net *n, const struct rx *x)
{
    struct frag_key k = key_of(x);
    if (!frag_is_sane(n, x) || !reass_of(n))
        return NULL;
    make_room(n, sizeof(struct frag) + kept_len(x));
    struct partial *p = partial_find(n->reass, &k);
    return p ? p : partial_new(n, &k);
}

uint8_t *reass_in_frags(struct net *n, const struct rx *x, uint32_t *len, struct frag **frags)
{
    uint8_t *frame = NULL;
    *frags = NULL;
    n->stats.fragments_in++;
    struct partial *p = partial_of(n, x);
    if (!p) {
        n->stats.fragments_dropped++;
        return NULL;
    }
    bool is_good = partial_take(n, p, x);
    if (is_good && !is_whole(p))
        return NULL;
    if (is_good && !ecn_is_contradictory(p))
        frame = join(n, p, len);
    if (frame) {
        *frags = partial_disband(n, p);
        return frame;
    }
    n->stats.fragments_dropped += p->n_frags;
    partial_end(n, p);
    return NULL;
}

uint8_t *reass_in(struct net *n, const struct rx *x, uint32_t *len)
{
    struct frag *frags;
    uint8_t *frame = reass_in_frags(n, x, len, &frags);
    reass_frags_free(n, frags);
    return frame;
}

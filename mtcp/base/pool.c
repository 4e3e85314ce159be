/*
 * Objects of one size from slabs. A slab is a power of two, aligned to its size, so that an
 * object's slab is found by masking its address; its header comes first, objects follow.
 */
#include "mtcp/base/pool.h"

#include "mtcp/base/bug.h"
#include "mtcp/base/poison.h"

enum {
    SLAB_MIN = 4096,
    SLAB_NEXT = 16384, /* 8 KB that are aligned cost as much: jemalloc has no such size */
    SLAB_MAX = 65536,
    SLAB_OBJECTS = 32, /* aimed at, where SLAB_MAX allows */
    CACHE_LINE = 64,
};

/* A free object begins with this. */
struct hole {
    struct hole *next;
};

struct slab {
    struct list_node node; /* on pool.partial while there is room */
    struct hole *free;     /* objects that were put back */
    char *fresh;           /* objects from here on have never been handed out */
    uint32_t n_used;
};

static size_t align_of(const struct pool *p)
{
    return (p->obj_size & (CACHE_LINE - 1)) == 0 ? CACHE_LINE : 16;
}

static size_t header_size(const struct pool *p)
{
    return (sizeof(struct slab) + align_of(p) - 1) & ~(align_of(p) - 1);
}

void pool_init(struct pool *p, struct mem *mem, size_t obj_size, size_t n_max)
{
    *p = (struct pool){.mem = mem, .n_max = n_max, .slab_size = SLAB_MIN};
    p->obj_size = (obj_size + 15) & ~(size_t)15;
    list_init(&p->partial);
    size_t header = header_size(p);
    while (p->slab_size < SLAB_MAX && header + SLAB_OBJECTS * p->obj_size > p->slab_size)
        p->slab_size = p->slab_size == SLAB_MIN ? SLAB_NEXT : 2 * p->slab_size;
    BUG_ON(obj_size == 0 || header + p->obj_size > p->slab_size);
    p->n_per_slab = (uint32_t)((p->slab_size - header) / p->obj_size);
}

static void slab_free(struct pool *p, struct slab *s)
{
    list_del(&s->node);
    p->n_empty_slabs--;
    unpoison(s, p->slab_size);
    mem_free(p->mem, s, p->slab_size);
}

void pool_fini(struct pool *p)
{
    ASSERT(p->n_used == 0);
    LIST_FOREACH_SAFE (n, &p->partial) {
        struct slab *s = container_of(n, struct slab, node);
        if (s->n_used == 0)
            slab_free(p, s);
    }
}

static bool slab_add(struct pool *p)
{
    struct slab *s = mem_alloc_aligned(p->mem, p->slab_size, p->slab_size);
    if (s == NULL)
        return false;
    s->free = NULL;
    s->fresh = (char *)s + header_size(p);
    s->n_used = 0;
    list_push_head(&p->partial, &s->node);
    p->n_empty_slabs++;
    poison(s->fresh, p->slab_size - header_size(p));
    return true;
}

static inline void *slab_take(struct pool *p, struct slab *s)
{
    struct hole *h = s->free;
    if (likely(h != NULL)) {
        unpoison(h, p->obj_size);
        s->free = h->next;
        return h;
    }
    void *obj = s->fresh;
    s->fresh += p->obj_size;
    unpoison(obj, p->obj_size);
    return obj;
}

void *pool_get(struct pool *p)
{
    if (unlikely(p->n_max != 0 && p->n_used >= p->n_max))
        return NULL;
    if (unlikely(list_is_empty(&p->partial)) && !slab_add(p))
        return NULL;
    struct slab *s = container_of(p->partial.next, struct slab, node);
    void *obj = slab_take(p, s);
    p->n_used++;
    if (s->n_used++ == 0)
        p->n_empty_slabs--;
    if (unlikely(s->n_used == p->n_per_slab))
        list_del(&s->node);
    return obj;
}

/* The last object of a slab came back: one such slab is kept, last in the list. */
static void slab_emptied(struct pool *p, struct slab *s)
{
    p->n_empty_slabs++;
    if (p->n_empty_slabs > 1) {
        slab_free(p, s);
        return;
    }
    list_del(&s->node);
    list_push_tail(&p->partial, &s->node);
}

void pool_put(struct pool *p, void *obj)
{
    struct slab *s = (struct slab *)(void *)((uintptr_t)obj & ~(p->slab_size - 1));
    struct hole *h = obj;
    ASSERT(s->n_used > 0 && p->n_used > 0);
    h->next = s->free;
    s->free = h;
    poison(obj, p->obj_size);
    p->n_used--;
    if (unlikely(s->n_used-- == p->n_per_slab))
        list_push_head(&p->partial, &s->node);
    if (unlikely(s->n_used == 0))
        slab_emptied(p, s);
}

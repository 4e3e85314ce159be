/* The memory of one context: budget, cache of freed blocks. Where blocks come from: mem_sys.h. */
#include "mtcp/base/mem.h"

#include "mtcp/base/bug.h"
#include "mtcp/base/mem_sys.h"

#include <stdlib.h>
#include <string.h>

enum {
    ALIGN_MIN = 16,
    CLASS_MIN = 6,  /* log2 of the smallest block that is cached */
    CLASS_MAX = 22, /* and of the largest: a buffer at full speed */
    N_CLASSES = CLASS_MAX - CLASS_MIN + 1,
    CLASS_BLOCKS = 512,         /* a class keeps at most so many blocks: a burst of connections */
    CLASS_BYTES = 1024u * 1024, /* and at most so many bytes, ... */
    CLASS_LEAST = 2,            /* ... but so many blocks */
};

/* A freed block in the cache; the rest of it is free. */
struct block {
    struct block *next;
};

struct size_class {
    struct block *head;
    uint32_t n, n_max;
};

struct mem {
    size_t in_use;
    size_t limit;  /* SIZE_MAX: none */
    size_t cached; /* bytes in the classes */
    struct size_class classes[N_CLASSES];
    uint64_t n_failed;
    struct mem_sys sys;
};

struct mem *mem_create(size_t limit_bytes)
{
    struct mem *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    if (!mem_sys_init(&m->sys)) {
        free(m);
        return NULL;
    }
    mem_set_limit(m, limit_bytes);
    for (unsigned i = 0; MEM_SYS_CACHES && i < N_CLASSES; i++) {
        uint32_t n = CLASS_BYTES >> (i + CLASS_MIN);
        n = n > CLASS_LEAST ? n : CLASS_LEAST;
        m->classes[i].n_max = n < CLASS_BLOCKS ? n : CLASS_BLOCKS;
    }
    return m;
}

void mem_destroy(struct mem *m)
{
    if (m == NULL)
        return;
    ASSERT(m->in_use == 0);
    mem_trim(m);
    mem_sys_fini(&m->sys);
    free(m);
}

/* The class that caches blocks of this size, or NULL. */
static struct size_class *class_of(struct mem *m, size_t size)
{
    if ((size & (size - 1)) != 0 || size < (1u << CLASS_MIN) || size > (1u << CLASS_MAX))
        return NULL;
    return &m->classes[__builtin_ctzl(size) - CLASS_MIN];
}

static bool is_within_budget(const struct mem *m, size_t size)
{
    return size <= m->limit && m->in_use <= m->limit - size;
}

/* Would the system's memory be beyond the budget, with the cache? */
static bool is_beyond(const struct mem *m, size_t size)
{
    return m->in_use + m->cached + size > m->limit;
}

/* A block from the system; when that has none, once more without our cache. */
static void *alloc_from_sys(struct mem *m, size_t size, size_t align)
{
    if (size == 0)
        size = 1;
    void *p = mem_sys_alloc(&m->sys, size, align);
    if (likely(p != NULL))
        return p;
    mem_trim(m);
    return mem_sys_alloc(&m->sys, size, align);
}

void *mem_alloc_aligned(struct mem *m, size_t size, size_t align)
{
    if (unlikely(!is_within_budget(m, size)))
        goto failed;
    if (align < ALIGN_MIN)
        align = ALIGN_MIN;
    struct size_class *c = class_of(m, size);
    void *p;
    if (c != NULL && c->head != NULL && ((uintptr_t)c->head & (align - 1)) == 0) {
        p = c->head;
        c->head = c->head->next;
        c->n--;
        m->cached -= size;
    } else {
        if (unlikely(is_beyond(m, size)))
            mem_trim(m);
        p = alloc_from_sys(m, size, align);
        if (unlikely(p == NULL))
            goto failed;
    }
    m->in_use += size;
    return p;
failed:
    m->n_failed++;
    return NULL;
}

void *mem_alloc(struct mem *m, size_t size)
{
    return mem_alloc_aligned(m, size, ALIGN_MIN);
}

void *mem_zalloc(struct mem *m, size_t size)
{
    void *p = mem_alloc(m, size);
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

void *mem_alloc_over(struct mem *m, size_t size)
{
    size_t limit = m->limit;
    m->limit = SIZE_MAX;
    void *p = mem_alloc(m, size);
    m->limit = limit;
    return p;
}

void mem_free(struct mem *m, void *p, size_t size)
{
    if (p == NULL)
        return;
    ASSERT(m->in_use >= size);
    m->in_use -= size;
    struct size_class *c = class_of(m, size);
    if (c == NULL || c->n >= c->n_max || unlikely(is_beyond(m, size))) {
        mem_sys_free(&m->sys, p);
        return;
    }
    struct block *b = p;
    b->next = c->head;
    c->head = b;
    c->n++;
    m->cached += size;
}

size_t mem_in_use(const struct mem *m)
{
    return m->in_use;
}

size_t mem_cached(const struct mem *m)
{
    return m->cached;
}

void mem_set_limit(struct mem *m, size_t limit_bytes)
{
    m->limit = limit_bytes == 0 ? SIZE_MAX : limit_bytes;
}

bool mem_is_tight(const struct mem *m)
{
    return m->in_use > m->limit / 4 * 3;
}

void mem_trim(struct mem *m)
{
    for (unsigned i = 0; i < N_CLASSES; i++) {
        struct size_class *c = &m->classes[i];
        for (struct block *b = c->head, *next; b != NULL; b = next) {
            next = b->next;
            mem_sys_free(&m->sys, b);
        }
        c->head = NULL;
        c->n = 0;
    }
    m->cached = 0;
}

uint64_t mem_n_failed(const struct mem *m)
{
    return m->n_failed;
}

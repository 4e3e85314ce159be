/*
 * Objects of one size from slabs of a mem; get and put cost a few instructions, an empty slab goes
 * back to the mem (one is kept as a spare), so that memory returns after a peak.
 * Objects are cache-line aligned when their size is a multiple of 64, else 16-byte aligned.
 */
#ifndef MTCP_BASE_POOL_H
#define MTCP_BASE_POOL_H

#include "mtcp/base/list.h"
#include "mtcp/base/mem.h"

#include <stddef.h>
#include <stdint.h>

struct pool {
    struct mem *mem;
    struct list_node partial; /* slabs with room; full slabs are on no list */
    size_t obj_size;
    size_t n_used;
    size_t n_max; /* 0: bounded by the mem alone */
    size_t n_empty_slabs;
    size_t slab_size; /* a power of two; slabs are aligned to it */
    uint32_t n_per_slab;
};

/* obj_size > 0, at most 60 KB. */
void pool_init(struct pool *p, struct mem *mem, size_t obj_size, size_t n_max);

/* Frees the spare slab. Every object must have been put back (ASSERTed). */
void pool_fini(struct pool *p);

/* An uninitialised object, or NULL beyond n_max or without memory. */
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *obj);

#endif

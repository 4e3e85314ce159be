/*
 * The memory of one context: blocks with a byte budget, a small cache of freed power-of-two blocks
 * so that a request-response turn makes no allocator call, and slabs for the pools.
 *
 * mem_sys.h is the one file that knows jemalloc (an arena per context, decay 0); with -DMEM_PLAIN
 * it uses malloc and nothing is cached, for sanitizers and valgrind. Not thread safe: one context,
 * one thread.
 */
#ifndef MTCP_BASE_MEM_H
#define MTCP_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem;

/* A new allocator that hands out at most limit_bytes (0: no limit). NULL when there is no memory.
 */
struct mem *mem_create(size_t limit_bytes);

/* Gives everything back to the system. Every block must have been freed (ASSERTed). */
void mem_destroy(struct mem *m);

/* `size` bytes, uninitialised, 16-byte aligned; NULL beyond the budget or when the system has none.
 * The caller owns the block and frees it with the same size. */
void *mem_alloc(struct mem *m, size_t size);
void mem_free(struct mem *m, void *p, size_t size); /* p may be NULL */

/* As mem_alloc, zeroed. */
void *mem_zalloc(struct mem *m, size_t size);

/* As mem_alloc with a power-of-two alignment up to 64 KB; freed by mem_free. */
void *mem_alloc_aligned(struct mem *m, size_t size, size_t align);

/* As mem_alloc, but refused only when the system has none: a few bytes for who is about to use less.
 */
void *mem_alloc_over(struct mem *m, size_t size);

/* Bytes handed out and not freed (the cache of freed blocks not counted). */
size_t mem_in_use(const struct mem *m);

/* Changes the budget. Below mem_in_use() nothing is taken away, but nothing is handed out either.
 */
void mem_set_limit(struct mem *m, size_t limit_bytes);

/* Is less than a quarter of the budget left? */
bool mem_is_tight(const struct mem *m);

/* The cache of freed blocks: bytes in it (at most 24 MB, and with those in use no more than the
 * budget), and how to empty it. */
size_t mem_cached(const struct mem *m);
void mem_trim(struct mem *m);

/* Number of calls so far that returned NULL. */
uint64_t mem_n_failed(const struct mem *m);

#endif

/*
 * Where a struct mem gets its blocks from: an arena of jemalloc, or with -DMEM_PLAIN the C library
 * (sanitizers and valgrind see nothing inside jemalloc). Included by mem.c alone.
 *
 * The arena's decay times are 0: a freed extent is given back at once instead of waiting in the
 * arena where it would starve other sizes. MEM_SYS_CACHES says whether freed blocks may be kept for
 * the next request: not where a tool watches every block's life.
 */
#ifndef MTCP_BASE_MEM_SYS_H
#define MTCP_BASE_MEM_SYS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef MEM_PLAIN

#include <stdlib.h>

#define MEM_SYS_CACHES false

struct mem_sys {
    char none;
};

static inline bool mem_sys_init(struct mem_sys *sys)
{
    sys->none = 0;
    return true;
}

static inline void mem_sys_fini(struct mem_sys *sys)
{
    (void)sys;
}

static inline void *mem_sys_alloc(const struct mem_sys *sys, size_t size, size_t align)
{
    void *p;
    (void)sys;
    return posix_memalign(&p, align, size) == 0 ? p : NULL;
}

static inline void mem_sys_free(const struct mem_sys *sys, void *p)
{
    (void)sys;
    free(p);
}

#else

#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <sys/types.h>

#define MEM_SYS_CACHES true

struct mem_sys {
    unsigned arena;
    int flags;
};

static inline bool mem_sys_set(const struct mem_sys *sys, const char *what, ssize_t ms)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "arena.%u.%s", sys->arena, what);
    return mallctl(name, NULL, NULL, &ms, sizeof(ms)) == 0;
}

static inline void mem_sys_fini(struct mem_sys *sys)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "arena.%u.destroy", sys->arena);
    (void)mallctl(name, NULL, NULL, NULL, 0);
}

static inline bool mem_sys_init(struct mem_sys *sys)
{
    size_t len = sizeof(sys->arena);
    if (mallctl("arenas.create", &sys->arena, &len, NULL, 0) != 0)
        return false;
    sys->flags = MALLOCX_ARENA(sys->arena) | MALLOCX_TCACHE_NONE;
    if (mem_sys_set(sys, "dirty_decay_ms", 0) && mem_sys_set(sys, "muzzy_decay_ms", 0))
        return true;
    mem_sys_fini(sys);
    return false;
}

static inline void *mem_sys_alloc(const struct mem_sys *sys, size_t size, size_t align)
{
    return mallocx(size, sys->flags | MALLOCX_ALIGN(align));
}

static inline void mem_sys_free(const struct mem_sys *sys, void *p)
{
    dallocx(p, sys->flags);
}

#endif
#endif

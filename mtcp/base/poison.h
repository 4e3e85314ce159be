/*
 * Tells AddressSanitizer which memory nobody may touch, where we hand out pieces of a larger block
 * ourselves. Costs and does nothing in other builds.
 */
#ifndef MTCP_BASE_POISON_H
#define MTCP_BASE_POISON_H

#include <stddef.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define POISON_WITH_ASAN
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define POISON_WITH_ASAN
#endif

#ifdef POISON_WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

static inline void poison(const void *p, size_t len)
{
#ifdef POISON_WITH_ASAN
    __asan_poison_memory_region(p, len);
#endif
    (void)p, (void)len;
}

static inline void unpoison(const void *p, size_t len)
{
#ifdef POISON_WITH_ASAN
    __asan_unpoison_memory_region(p, len);
#endif
    (void)p, (void)len;
}

#endif

/*
 * Assert tiers. Neither is for anything that a peer, a file or a caller controls: those get an
 * error, a counter or a dropped segment.
 *
 *   BUG_ON(x)   a broken invariant that no input can trigger; kept in every build, traps.
 *   ASSERT(x)   a costly check of the same kind; only with -DMTCP_ASSERT (tests, sanitizers, fuzz).
 */
#ifndef MTCP_BASE_BUG_H
#define MTCP_BASE_BUG_H

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define BUG_ON(x)                                                                                  \
    do {                                                                                           \
        if (unlikely(x))                                                                           \
            __builtin_trap();                                                                      \
    } while (0)

#ifdef MTCP_ASSERT
#define ASSERT(x) BUG_ON(!(x))
#else
#define ASSERT(x) ((void)sizeof(x))
#endif

#define MUST_CHECK __attribute__((warn_unused_result))

#endif

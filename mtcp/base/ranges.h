/*
 * A small sorted set of disjoint, non-touching half-open ranges [start, end) of 64-bit offsets:
 * what lies beyond the in-order edge of a stream, and what the peer has SACKed. At most RANGES_MAX;
 * the set says no beyond that instead of growing. Memory comes with the first range and goes with
 * the last, so an in-order stream holds none. Knows nothing of TCP.
 */
#ifndef MTCP_BASE_RANGES_H
#define MTCP_BASE_RANGES_H

#include "mtcp/base/bug.h"
#include "mtcp/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MAX 64

struct range {
    uint64_t start, end;
};

struct ranges; /* NULL is the empty set */

unsigned ranges_count(const struct ranges *s);

/* The i-th range in ascending order, i < ranges_count(). */
struct range ranges_at(const struct ranges *s, unsigned i);

/* A number of the owner's, who tells of the ranges in turn; 0 in a new set. */
uint64_t ranges_turn(const struct ranges *s);
void ranges_set_turn(struct ranges *s, uint64_t turn);

/* Adds [start, end), start < end, merging with what overlaps or touches.
 * 0; -ENOSPC when it would make more than RANGES_MAX ranges; -ENOMEM. On failure nothing changed.
 */
MUST_CHECK int ranges_add(struct ranges **s, struct mem *mem, uint64_t start, uint64_t end);

/* The question of ranges_add alone: after 0, ranges_add of the same range can't fail. Adds nothing;
 * but a set that was NULL may now hold memory for the range that is to follow. */
MUST_CHECK int ranges_reserve(struct ranges **s, struct mem *mem, uint64_t start, uint64_t end);

/* Forgets everything below `off`; the set becomes NULL when that empties it. */
void ranges_remove_below(struct ranges **s, struct mem *mem, uint64_t off);

/* Takes [start, end) out, which may split one range. 0, -ENOSPC, -ENOMEM; on failure unchanged. */
MUST_CHECK int ranges_remove(struct ranges **s, struct mem *mem, uint64_t start, uint64_t end);

void ranges_clear(struct ranges **s, struct mem *mem);

/* The range that contains off, if any. */
bool ranges_find(const struct ranges *s, uint64_t off, struct range *out);

/* The first range that ends above off, if any: it contains off or lies beyond it. */
bool ranges_next(const struct ranges *s, uint64_t off, struct range *out);

/* Is all of [start, end) in the set? Does any of it lie in the set? */
bool ranges_covers(const struct ranges *s, uint64_t start, uint64_t end);
bool ranges_touches(const struct ranges *s, uint64_t start, uint64_t end);

/* Bytes in the set, and bytes of memory it holds. */
uint64_t ranges_bytes(const struct ranges *s);
size_t ranges_mem(const struct ranges *s);

#endif

/*
 * A set of free ids 0 .. n-1 that finds the next one: bitmaps over bitmaps, so that neither finding
 * nor taking nor returning one depends on how many there are.
 */
#ifndef MTCP_SOCK_IDS_H
#define MTCP_SOCK_IDS_H

#include "mtcp/base/bug.h"
#include "mtcp/base/mem.h"

#include <stdint.h>

#define IDS_LEVELS 4u
#define IDS_MAX    (1u << 24) /* 64^4 */

struct ids {
    uint64_t *level[IDS_LEVELS]; /* [0]: a bit per id, 1 = free; above: a bit per word below */
    uint32_t n_words[IDS_LEVELS];
    uint32_t n_free;
};

/* All of 0 .. n-1 free, 1 <= n <= IDS_MAX. 0 or -ENOMEM. */
MUST_CHECK int ids_init(struct ids *s, struct mem *mem, uint32_t n);
void ids_fini(struct ids *s, struct mem *mem);

/* The lowest free id from `from` on; -1: none. */
int ids_next(const struct ids *s, uint32_t from);

void ids_take(struct ids *s, uint32_t id); /* must be free */
void ids_give(struct ids *s, uint32_t id); /* must be taken */

#endif

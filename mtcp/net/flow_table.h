/*
 * The flow table: tuple to record (half-open, connection or TIME_WAIT). Keyed hash (SipHash-1-3),
 * so that a peer can't choose collisions; linear hashing, so that it grows and shrinks one bucket
 * at a time and no packet pays for a rehash. Chains run through struct flow: no memory of its own
 * per flow but the bucket.
 */
#ifndef MTCP_NET_FLOW_TABLE_H
#define MTCP_NET_FLOW_TABLE_H

#include "mtcp/base/hash.h"
#include "mtcp/base/mem.h"
#include "mtcp/tcp/flow.h"
#include "mtcp/wire/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow_table;

/* NULL without memory. */
struct flow_table *flow_table_create(struct mem *mem, const struct hash_key *key);
void flow_table_destroy(struct flow_table *t); /* must be empty */

uint32_t flow_table_hash(const struct flow_table *t, const struct flow_tuple *tuple);

/* Ahead of flow_table_find(): first the bucket, then (with that there) the first record of its
 * chain. */
void flow_table_prefetch(const struct flow_table *t, uint32_t hash);
void flow_table_prefetch_flow(const struct flow_table *t, uint32_t hash);

/* The record with this tuple, or NULL. */
struct flow *flow_table_find(const struct flow_table *t, const struct flow_tuple *tuple,
                             uint32_t hash);

/* Inserts; the tuple must not be in the table. Sets f->hash. Can't fail: without memory for more
 * buckets the chains get longer. */
void flow_table_insert(struct flow_table *t, struct flow *f, uint32_t hash);
void flow_table_remove(struct flow_table *t, struct flow *f);

/* Puts `to` in the place of `from` (same tuple). Sets to->hash. */
void flow_table_replace(struct flow_table *t, struct flow *from, struct flow *to);

size_t flow_table_count(const struct flow_table *t);

/* Bytes of memory held now. */
size_t flow_table_mem(const struct flow_table *t);

/* Calls fn for every record. fn may change the table, and says so: true. Records that come
 * meanwhile may be left out, those for which it says false may be asked about again. */
void flow_table_each(struct flow_table *t, bool (*fn)(void *arg, struct flow *f), void *arg);

#endif

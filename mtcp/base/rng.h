/* A seeded random generator (xoshiro256**): reproducible, one per context, not for secrets alone:
 * whatever a peer must not guess goes through a keyed hash (hash.h) with a key from the system. */
#ifndef MTCP_BASE_RNG_H
#define MTCP_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint32_t rng_u32(struct rng *r);

/* Uniform in [0, bound); bound > 0. */
uint32_t rng_below(struct rng *r, uint32_t bound);

#endif

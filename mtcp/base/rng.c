/* xoshiro256** (Blackman & Vigna 2018), seeded through SplitMix64 (Steele, Lea & Flood 2014). */
#include "mtcp/base/rng.h"

#include "mtcp/base/bug.h"

static uint64_t rotl(uint64_t x, unsigned n)
{
    return (x << n) | (x >> (64 - n));
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        r->s[i] = splitmix64(&seed);
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t out = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

uint32_t rng_u32(struct rng *r)
{
    return (uint32_t)(rng_u64(r) >> 32);
}

/* Multiply and shift; the few values that would favour some results are drawn again (Lemire 2019).
 */
uint32_t rng_below(struct rng *r, uint32_t bound)
{
    BUG_ON(bound == 0);
    uint64_t m = (uint64_t)rng_u32(r) * bound;
    if (unlikely((uint32_t)m < bound)) {
        uint32_t skip = -bound % bound;
        while ((uint32_t)m < skip)
            m = (uint64_t)rng_u32(r) * bound;
    }
    return (uint32_t)(m >> 32);
}

/*
 * The Internet checksum (RFC 1071). Words are added as they lie in memory, 64 bits at a time: the
 * low and the high half of each go into accumulators of their own, so that no carry is ever lost
 * and the compiler can do it in vector registers. Good for 16 GB in one call.
 */
#include "mtcp/wire/csum.h"

#include <string.h>

#define CSUM_BLOCK_WORDS 8
#define CSUM_BLOCK_BYTES ((size_t)CSUM_BLOCK_WORDS * 8)

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* Whole blocks of 64 bytes. */
static uint64_t csum_blocks(const uint8_t *p, size_t n_blocks)
{
    uint64_t lo[CSUM_BLOCK_WORDS] = {0}, hi[CSUM_BLOCK_WORDS] = {0};
    for (; n_blocks > 0; n_blocks--, p += CSUM_BLOCK_BYTES) {
        for (size_t i = 0; i < CSUM_BLOCK_WORDS; i++) {
            uint64_t w = load64(p + i * 8);
            lo[i] += w & 0xffffffffu;
            hi[i] += w >> 32;
        }
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < CSUM_BLOCK_WORDS; i++)
        sum += lo[i] + hi[i];
    return sum;
}

/* The last 0 to 7 bytes. An odd one is the first of a pair whose second is zero. */
static inline uint64_t csum_tail(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;
    if (len & 4) {
        uint32_t w;
        memcpy(&w, p, sizeof(w));
        sum += w;
        p += 4;
    }
    if (len & 2) {
        uint16_t w;
        memcpy(&w, p, sizeof(w));
        sum += w;
        p += 2;
    }
    return len & 1 ? sum + *p : sum;
}

uint64_t csum_add(uint64_t sum, const void *data, size_t len)
{
    const uint8_t *p = data;
    if (len >= CSUM_BLOCK_BYTES) {
        size_t n = len / CSUM_BLOCK_BYTES;
        sum += csum_blocks(p, n);
        p += n * CSUM_BLOCK_BYTES;
        len %= CSUM_BLOCK_BYTES;
    }
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t w = load64(p);
        sum += (w & 0xffffffffu) + (w >> 32);
    }
    return sum + csum_tail(p, len);
}

uint16_t csum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (uint16_t)~sum;
}

uint64_t csum_pseudo(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                     uint32_t len)
{
    uint64_t sum = (uint64_t)be32_make(len).raw + be32_make(proto).raw;
    if (ip_addr_is_v4(dst))
        return sum + src->w[3].raw + dst->w[3].raw;
    for (unsigned i = 0; i < 4; i++)
        sum += (uint64_t)src->w[i].raw + dst->w[i].raw;
    return sum;
}

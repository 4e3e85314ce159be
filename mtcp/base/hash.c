/* SipHash (Aumasson & Bernstein, "SipHash: a fast short-input PRF", 2012), and Toeplitz. */
#include "mtcp/base/hash.h"

#include <endian.h>
#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned n)
{
    return (x << n) | (x >> (64 - n));
}

static inline void sip_rounds(struct sip *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        s->v0 += s->v1;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v2 = rotl(s->v2, 32);
    }
}

/* The last word: what is left below eight bytes, and the length in the top byte. */
static inline uint64_t last_word(const uint8_t *p, size_t len)
{
    uint64_t w = (uint64_t)len << 56;
    unsigned shift = 0;
    if (len & 4) {
        uint32_t half;
        memcpy(&half, p, sizeof(half));
        w |= le32toh(half);
        p += 4;
        shift = 32;
    }
    for (size_t i = 0; i < (len & 3); i++, shift += 8)
        w |= (uint64_t)p[i] << shift;
    return w;
}

/* n_c rounds per word and n_d at the end; both constant where this is inlined. */
static inline __attribute__((always_inline)) uint64_t
siphash(const struct hash_key *key, const uint8_t *p, size_t len, unsigned n_c, unsigned n_d)
{
    struct sip s = {key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                    key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
    for (size_t left = len; left >= 8; left -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, sizeof(w));
        w = le64toh(w);
        s.v3 ^= w;
        sip_rounds(&s, n_c);
        s.v0 ^= w;
    }
    uint64_t w = last_word(p, len);
    s.v3 ^= w;
    sip_rounds(&s, n_c);
    s.v0 ^= w;
    s.v2 ^= 0xff;
    sip_rounds(&s, n_d);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_siphash24(const struct hash_key *key, const void *data, size_t len)
{
    return siphash(key, data, len, 2, 4);
}

uint64_t hash_siphash13(const struct hash_key *key, const void *data, size_t len)
{
    return siphash(key, data, len, 1, 3);
}

/* ---- Toeplitz -------------------------------------------------------------------------------- */

/* 32 bits of the key from a bit on. */
static uint32_t key_window(const uint8_t *key, unsigned bit)
{
    uint64_t w = 0;
    for (unsigned i = 0; i < 5; i++)
        w = w << 8 | key[bit / 8 + i];
    return (uint32_t)(w >> (8 - bit % 8));
}

/* Every bit of the input that is set adds the 32 bits of the key that begin where it is. */
void hash_toeplitz_init(struct hash_toeplitz *h, const uint8_t key[HASH_TOEPLITZ_KEY])
{
    for (unsigned i = 0; i < HASH_TOEPLITZ_BYTES * 2; i++)
        for (unsigned v = 0; v < 16; v++) {
            uint32_t sum = 0;
            for (unsigned bit = 0; bit < 4; bit++)
                sum ^= v & (8u >> bit) ? key_window(key, i * 4 + bit) : 0;
            h->part[i / 2][i % 2][v] = sum;
        }
}

uint32_t hash_toeplitz(const struct hash_toeplitz *h, const uint8_t *bytes, unsigned n)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum ^= h->part[i][0][bytes[i] >> 4] ^ h->part[i][1][bytes[i] & 15];
    return sum;
}

/* What one bit of the input adds. */
static uint32_t bit_part(const struct hash_toeplitz *h, unsigned byte, unsigned bit)
{
    return h->part[byte][bit < 4][1u << bit % 4];
}

/* The rank of what the 14 low bits of a port at `byte` add to the low bits of the hash. */
static unsigned port_rank(const struct hash_toeplitz *h, unsigned byte, uint32_t low)
{
    uint32_t lead[32] = {0}; /* by its highest bit */
    unsigned rank = 0;
    for (unsigned bit = 0; bit < 14; bit++) {
        uint32_t v = bit_part(h, byte + (bit < 8), bit % 8) & low;
        while (v && lead[31 - __builtin_clz(v)])
            v ^= lead[31 - __builtin_clz(v)];
        if (!v)
            continue;
        lead[31 - __builtin_clz(v)] = v;
        rank++;
    }
    return rank;
}

bool hash_toeplitz_has_ports(const struct hash_toeplitz *h, unsigned n_bits)
{
    static const uint8_t ports[] = {8, 10, 32, 34};
    for (unsigned i = 0; i < sizeof(ports); i++)
        if (port_rank(h, ports[i], (1u << n_bits) - 1) < n_bits)
            return false;
    return true;
}

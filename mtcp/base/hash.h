/* Keyed hashing: SipHash-2-4 for what a peer must not predict (ISN, cookies) and SipHash-1-3 for
 * tables whose keys a peer chooses (Aumasson & Bernstein 2012). */
#ifndef MTCP_BASE_HASH_H
#define MTCP_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_siphash24(const struct hash_key *key, const void *data, size_t len);
uint64_t hash_siphash13(const struct hash_key *key, const void *data, size_t len);

#endif

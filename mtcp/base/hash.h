/* Keyed hashing: SipHash-2-4 for what a peer must not predict (ISN, cookies) and SipHash-1-3 for
 * tables whose keys a peer chooses (Aumasson & Bernstein 2012); the Toeplitz hash by which network
 * cards choose a queue (receive side scaling). */
#ifndef MTCP_BASE_HASH_H
#define MTCP_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_siphash24(const struct hash_key *key, const void *data, size_t len);
uint64_t hash_siphash13(const struct hash_key *key, const void *data, size_t len);

#define HASH_TOEPLITZ_KEY   40u /* bytes */
#define HASH_TOEPLITZ_BYTES 36u /* at most: two IPv6 addresses and two ports */

/* What each half of each byte adds. */
struct hash_toeplitz {
    uint32_t part[HASH_TOEPLITZ_BYTES][2][16];
};

void hash_toeplitz_init(struct hash_toeplitz *h, const uint8_t key[HASH_TOEPLITZ_KEY]);
uint32_t hash_toeplitz(const struct hash_toeplitz *h, const uint8_t *bytes, unsigned n);

/* Do the 14 low bits of either port, behind addresses of either family, make any value of the
 * hash's n_bits low ones (at most 10)? The hash is linear: with some keys they don't. */
bool hash_toeplitz_has_ports(const struct hash_toeplitz *h, unsigned n_bits);

#endif

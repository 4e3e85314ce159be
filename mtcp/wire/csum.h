/* The Internet checksum (RFC 1071). Sums are kept in the byte order of the bytes as they lie. */
#ifndef MTCP_WIRE_CSUM_H
#define MTCP_WIRE_CSUM_H

#include "mtcp/wire/addr.h"

#include <stddef.h>
#include <stdint.h>

/* Adds len bytes to an unfolded sum. Pieces but the last must have even length. */
uint64_t csum_add(uint64_t sum, const void *data, size_t len);

/* Folds and complements: the value to store in a checksum field as it is. */
uint16_t csum_fold(uint64_t sum);

/* The pseudo header of either family (RFC 9293 3.1); len = transport header + payload. */
uint64_t csum_pseudo(const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto,
                     uint32_t len);

#endif

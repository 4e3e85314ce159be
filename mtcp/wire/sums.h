/* Checksums of a packet where it lies, whatever IP options or extension headers it has. */
#ifndef MTCP_WIRE_SUMS_H
#define MTCP_WIRE_SUMS_H

#include <stdbool.h>
#include <stdint.h>

/* The header's, of IPv4. */
void sums_write_ipv4(uint8_t *ip, uint32_t hdr_len);

/* That of TCP or UDP (`proto`) in the IP packet at `ip`: the transport's header begins at l4 and
 * the packet has `len` bytes. An IPv6 routing header that is still under way is not looked at. */
void sums_write_l4(uint8_t *ip, uint32_t l4, uint32_t len, uint8_t proto);

/* What a device that completes the checksum wants to find there: the sum of the pseudo header. */
void sums_write_pseudo(uint8_t *ip, uint32_t l4, uint32_t len, uint8_t proto);
bool sums_is_pseudo(const uint8_t *ip, uint32_t l4, uint32_t len, uint8_t proto);

#endif

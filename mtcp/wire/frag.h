/*
 * The head of a packet that came in fragments: the first fragment's Ethernet and IP headers, made
 * to say that the packet is whole (RFC 791 3.2, RFC 8200 4.5). No state; who collects the fragments
 * is net/reass.c.
 */
#ifndef MTCP_WIRE_FRAG_H
#define MTCP_WIRE_FRAG_H

#include "mtcp/wire/parse.h"

/* Ethernet, and the longest IPv4 header; for IPv6 112 bytes of extension headers, which is more
 * than a fragment in earnest has. */
#define FRAG_HEAD_MAX 166u

/* Bytes of the whole packet's headers, `p` being its first fragment; 0: more than FRAG_HEAD_MAX. */
uint32_t frag_head_len(const struct packet *p);

/* Writes them to `to`; `frame` is what p was parsed from. */
void frag_head(uint8_t *to, const uint8_t *frame, const struct packet *p);

/* `frame` is a head of frag_head() with payload_len bytes behind it: fills in lengths, the mark of
 * congestion that one of the fragments had, and IPv4's checksum. */
void frag_finish(uint8_t *frame, uint32_t head_len, uint32_t payload_len, bool is_marked);

#endif

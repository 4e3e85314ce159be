/*
 * A TCP segment that is longer than a packet may be, cut into several (as a device does that is
 * left to do it: TSO). No state.
 */
#ifndef MTCP_WIRE_CUT_H
#define MTCP_WIRE_CUT_H

#include <stdbool.h>
#include <stdint.h>

/* A frame whose headers are right but for the checksums. */
struct cut {
    const uint8_t *frame;
    uint32_t len;
    uint16_t l3_off, l4_off;
    uint16_t payload_off;
    bool is_v4;
};

/* Writes the frame with the payload bytes [at, at + n) of it, checksums right; its length. `part`
 * counts from 0. FIN and PSH are the last one's, CWR the first one's (RFC 3168 6.1.2). */
uint32_t cut_write(uint8_t *out, const struct cut *c, uint32_t at, uint32_t n, uint16_t part);

#endif

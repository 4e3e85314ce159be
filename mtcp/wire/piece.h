/* A piece of a frame, and how its bytes are read. For the parsers only. */
#ifndef MTCP_WIRE_PIECE_H
#define MTCP_WIRE_PIECE_H

#include "mtcp/wire/endian.h"

#include <stdint.h>
#include <string.h>

/* `len` bytes from `at` may be read. */
struct piece {
    const uint8_t *at;
    uint32_t len;
};

/* What is left behind the first n <= len bytes. */
static inline struct piece piece_skip(struct piece p, uint32_t n)
{
    return (struct piece){p.at + n, p.len - n};
}

static inline uint16_t load_be16(const uint8_t *p)
{
    be16_t v;
    memcpy(&v, p, sizeof(v));
    return be16_get(v);
}

static inline uint32_t load_be32(const uint8_t *p)
{
    be32_t v;
    memcpy(&v, p, sizeof(v));
    return be32_get(v);
}

#endif

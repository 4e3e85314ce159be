/* Big-endian values as types of their own, so that a raw wire value can't be used as a number. */
#ifndef MTCP_WIRE_ENDIAN_H
#define MTCP_WIRE_ENDIAN_H

#include <stdint.h>

typedef struct {
    uint16_t raw;
} be16_t;
typedef struct {
    uint32_t raw;
} be32_t;

static inline uint16_t be16_get(be16_t v)
{
    return __builtin_bswap16(v.raw);
}

static inline uint32_t be32_get(be32_t v)
{
    return __builtin_bswap32(v.raw);
}

static inline be16_t be16_make(uint16_t v)
{
    return (be16_t){__builtin_bswap16(v)};
}

static inline be32_t be32_make(uint32_t v)
{
    return (be32_t){__builtin_bswap32(v)};
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "be16_t and be32_t swap bytes");

#endif

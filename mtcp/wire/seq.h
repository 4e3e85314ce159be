/*
 * TCP sequence numbers: 32-bit, wrapping (RFC 9293 section 3.4), as a type of their own so that `<`
 * can't be used on them. Only wire/ and the edges of tcp/ (input, output) know them: everything
 * else counts in 64-bit stream offsets (tcp_off_t) that never wrap.
 */
#ifndef MTCP_WIRE_SEQ_H
#define MTCP_WIRE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t v;
} tcp_seq_t;

/* Stream offset: 0 is the first payload byte, -1 the SYN; the FIN is the offset after the last byte. */
typedef int64_t tcp_off_t;

static inline tcp_seq_t seq_make(uint32_t v)
{
    return (tcp_seq_t){v};
}

static inline tcp_seq_t seq_add(tcp_seq_t a, uint32_t n)
{
    return (tcp_seq_t){a.v + n};
}

/* a - b, correct while they are within 2^31 of each other. */
static inline int32_t seq_diff(tcp_seq_t a, tcp_seq_t b)
{
    return (int32_t)(a.v - b.v);
}

static inline bool seq_lt(tcp_seq_t a, tcp_seq_t b)
{
    return seq_diff(a, b) < 0;
}

static inline bool seq_leq(tcp_seq_t a, tcp_seq_t b)
{
    return seq_diff(a, b) <= 0;
}

static inline bool seq_eq(tcp_seq_t a, tcp_seq_t b)
{
    return a.v == b.v;
}

/* The sequence number of a stream offset, given the initial sequence number. */
static inline tcp_seq_t seq_of_off(tcp_seq_t isn, tcp_off_t off)
{
    return (tcp_seq_t){isn.v + 1u + (uint32_t)(uint64_t)off};
}

/* The stream offset of a sequence number: the one nearest to `near` (within 2^31 of it). */
static inline tcp_off_t off_of_seq(tcp_seq_t isn, tcp_seq_t seq, tcp_off_t near)
{
    return near + seq_diff(seq, seq_of_off(isn, near));
}

#endif

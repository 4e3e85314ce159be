/*
 * A segment, as mtcp_getlastpkt shows it to a callback of MOS_ON_PKT_IN: the numbers that those who
 * follow a connection by its segments need.
 */
#ifndef TRACK_SEGMENT_H
#define TRACK_SEGMENT_H

#include <mtcp_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As in the header (RFC 9293 3.1). */
enum segment_flag {
    SEG_FIN = 0x01,
    SEG_SYN = 0x02,
    SEG_RST = 0x04,
    SEG_ACK = 0x10,
};

struct segment {
    uint32_t at_us; /* when, on the stack's clock; wraps */
    uint32_t seq, ack;
    uint32_t len; /* bytes of payload */
    uint32_t ip_len;
    const uint8_t *options; /* until the callback returns */
    uint8_t options_len;
    uint8_t flags;
    uint16_t wnd; /* as on the wire */
};

/* Sequence numbers that it takes (SYN and FIN one each). The payload of a RST is none of the
 * stream's. */
static inline uint32_t segment_seq_len(const struct segment *s)
{
    return (s->flags & SEG_RST ? 0 : s->len) + (s->flags & SEG_SYN ? 1u : 0) +
           (s->flags & SEG_FIN ? 1u : 0);
}

/* Does it say what arrived out of order (RFC 2018)? */
bool segment_has_sack(const struct segment *s);

/*
 * The packet of the running callback of MOS_ON_PKT_IN at MOS_HK_RCV, received by `side`. The SYN
 * and SYN-ACK of a connection that began with a SYN cookie are not there any more: they are put
 * together of what is known, without a length.
 *
 *   returns  false: nothing is known of it
 */
bool segment_get(mctx_t mctx, int sock, int side, struct segment *s);

#endif

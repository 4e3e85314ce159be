/*
 * A TCP segment as checked values: what the parser makes of a frame and what the builder makes a
 * frame of. Illegal segments can't be built: lengths were checked against the frame, options are
 * decoded, addresses are those of the flow seen from this host.
 */
#ifndef MTCP_WIRE_SEG_H
#define MTCP_WIRE_SEG_H

#include "mtcp/wire/addr.h"
#include "mtcp/wire/seq.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum tcp_flag {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_PSH = 0x08,
    TCP_ACK = 0x10,
    TCP_URG = 0x20,
    TCP_ECE = 0x40,
    TCP_CWR = 0x80,
};

#define TCP_SACK_MAX    4
#define TCP_WSCALE_MAX  14
#define TCP_FASTOPEN_COOKIE_MAX 16

struct sack_block {
    tcp_seq_t start, end;
};

struct tcp_opts {
    bool has_mss, has_wscale, has_ts, sack_permitted, has_fastopen;
    uint8_t wscale; /* as sent; > 14 counts as 14 (RFC 7323 2.3) */
    uint8_t n_sack;
    uint8_t fastopen_len; /* 0: a cookie is asked for (RFC 7413 4.1.1) */
    bool fastopen_is_exp; /* as the experimental option (RFC 6994) that came before it */
    uint16_t mss;
    uint32_t ts_val, ts_ecr;
    const uint8_t *fastopen_cookie; /* into the frame; to be built: of whom builds */
    struct sack_block sack[TCP_SACK_MAX];
};

/* No options: what only counts when another member says so (cookie, SACK blocks) stays unset. */
static inline void tcp_opts_clear(struct tcp_opts *o)
{
    memset(o, 0, offsetof(struct tcp_opts, fastopen_cookie));
}

struct seg {
    struct flow_tuple tuple; /* local = destination on input, source on output */
    tcp_seq_t seq, ack;
    uint16_t wnd; /* as on the wire, unscaled */
    uint16_t urg;
    uint8_t flags;
    uint8_t tos; /* DSCP and ECN */
    uint8_t ttl;
    bool may_be_cut; /* IPv4 without DF */
    uint16_t joined_mss; /* of several segments that a device joined: payload of each; 0: of one */
    struct tcp_opts opt;
    const uint8_t *payload; /* into the frame */
    uint32_t len;           /* payload bytes */
};

/* Sequence space the segment occupies: payload, SYN and FIN (RFC 9293 SEG.LEN). */
static inline uint32_t seg_seq_len(const struct seg *s)
{
    return s->len + ((s->flags & TCP_SYN) ? 1u : 0u) + ((s->flags & TCP_FIN) ? 1u : 0u);
}

#endif

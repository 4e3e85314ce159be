/*
 * What passed between the two hosts of a connection, counted packet by packet, so that no monitor
 * needs a callback for each: how much, where the numbers stand, round trips; and which packet is a
 * plain one.
 *
 * A packet is plain when nothing about it is worth a word (mtcp_getsockopt(3), MOS_TRAFFIC_CLI): of
 * an established connection, in sequence, with new bytes or an acknowledgement of new ones, and not
 * the first of its kind. Any other is notable. As long as a host's bytes have a hole, or a window
 * is closed, every packet is; and for good after a RST, a FIN, or a refused segment whose numbers
 * lie beyond what is known: what a monitor makes of these is its own affair, so it gets them all.
 *
 * A round trip is timed from payload to the acknowledgement that covers it, one at a time, and not
 * over what was sent again (RFC 6298 3).
 */
#ifndef MOS_TALLY_H
#define MOS_TALLY_H

#include "mos_api.h"
#include "mtcp/tcp/hook.h"

#include <stdbool.h>
#include <stdint.h>

/* What one host sent, and what is known of that. */
struct tally_host {
    uint64_t packets, ip_bytes, bytes; /* plain ones */
    uint64_t other_packets, other_ip_bytes, other_bytes;
    uint64_t last_us;
    uint64_t rtt_n, rtt_sum_us; /* to it and back */
    uint32_t rtt_min_us, rtt_max_us, rtt_us;
    uint32_t timed_us; /* when the bytes before timed_end left, low half */
    tcp_seq_t first;   /* sequence number of the first byte */
    tcp_seq_t end;     /* ... after the last that was seen or acknowledged */
    tcp_seq_t acked;   /* by the other host */
    tcp_seq_t timed_end;
    uint16_t wnd;
    uint8_t kinds; /* enum tally_kind: that came */
    bool has_begun, has_hole, is_timed;
};

struct tally {
    struct tally_host host[2]; /* MOS_SIDE_CLI, MOS_SIDE_SVR */
    bool is_steady;            /* a packet may be plain */
    bool is_odd;               /* none is any more */
};

/* Is it a plain packet from that side? Then it is counted. */
bool tally_plain(struct tally *t, int from, const struct hook_seg *s);

/* Counts any other, when its callbacks have run. is_open: both hosts are ESTABLISHED now. */
void tally_notable(struct tally *t, int from, const struct hook_seg *s, bool is_open);

/* What that side sent. */
void tally_read(const struct tally *t, int side, struct mos_traffic *out);

#endif

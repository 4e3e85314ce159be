/*
 * What the segments of a connection tell about it, seen from where the monitor is: round trips,
 * what was sent again and why, what was overtaken, closed windows. Knows neither the library nor
 * the output.
 *
 * A round trip is the time from payload to the ACK that covers it, one at a time, and none of
 * payload that was sent again (RFC 6298 3). At an endpoint the one to the peer is the connection's,
 * and the one to this host what the host takes to acknowledge.
 *
 * What fills a hole was overtaken when it comes within a round trip of the handshake (or 3 ms)
 * after what overtook it; else the first copy was lost before it came here, and this is the second.
 */
#ifndef TCPSTAT_METER_H
#define TCPSTAT_METER_H

#include "apps/tcpstat/totals.h"
#include "apps/track/seen.h"
#include "apps/track/segment.h"

#include <stdbool.h>
#include <stdint.h>

/* Round trips to one side; us. */
struct meter_rtt {
    uint32_t last, min, max, smoothed;
    uint64_t n;
};

/* One host: what it sent, and what is known of that. */
struct meter_host {
    uint64_t count[COUNT_KINDS];
    struct seen seen;
    struct meter_rtt rtt; /* to it and back */
    int64_t sent_end;     /* one past the highest sequence number used, FIN counted */
    int64_t acked;        /* of what it sent, by the other */
    int64_t again_end;    /* of what was sent when it began to send again: as far as that goes */
    int64_t fin_off;      /* -1: no FIN yet */
    int64_t timed_end;    /* of the payload whose ACK is waited for; 0: none is */
    uint32_t timed_us;
    uint32_t last_us, newest_us; /* of its last segment, and of the one that went furthest */
    uint32_t dup_acks;           /* that it got since the last progress */
    uint16_t wnd;                /* that it announced last, as on the wire */
    uint8_t again;               /* enum count: why it began to send again */
    bool has_begun;
};

struct meter {
    struct totals *totals;
    struct meter_host host[2]; /* MOS_SIDE_CLI, MOS_SIDE_SVR */
    uint32_t syn_us, handshake_us;
    bool has_syn, has_syn_ack, has_handshake; /* the last: handshake_us is known */
};

void meter_init(struct meter *m, struct totals *totals);
void meter_free(struct meter *m);

/* A segment that the host `from` sent. */
void meter_segment(struct meter *m, int from, const struct segment *s);

#endif

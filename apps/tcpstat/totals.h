/* What is counted of a connection's hosts, and of all of them together. */
#ifndef TCPSTAT_TOTALS_H
#define TCPSTAT_TOTALS_H

#include "apps/epclient/histogram.h"

#include <stdint.h>

/* Of what one host sent. */
enum count {
    COUNT_SEGMENTS,
    COUNT_BYTES,          /* of payload, each once */
    COUNT_AGAIN_CONTROL,  /* SYN, or a FIN without payload, that was sent before */
    COUNT_AGAIN_FAST,     /* payload sent again because duplicate ACKs asked for it */
    COUNT_AGAIN_TIMER,    /* ... without: a timer ran out */
    COUNT_AGAIN_SPURIOUS, /* ... that was acknowledged already */
    COUNT_OUT_OF_ORDER,   /* payload that was overtaken */
    COUNT_DUP_ACKS,
    COUNT_ZERO_WINDOW, /* segments that announce one */
    COUNT_PROBES,      /* keep-alive and zero-window probes */
    COUNT_KINDS,
};

/* Of one context. Indices: MOS_SIDE_CLI, MOS_SIDE_SVR. */
struct totals {
    uint64_t n_begun, n_ended;
    uint64_t count[2][COUNT_KINDS];
    struct histogram rtt[2]; /* us, from the monitor to that side and back */
    struct histogram handshake;
};

void totals_init(struct totals *t);
void totals_merge(struct totals *t, const struct totals *other);

#endif

/* Segments of no connection: the RST of RFC 9293 section 3.10.7.1. */
#include "mtcp/tcp/tcp.h"

#include <string.h>

bool tcp_reset_for(const struct seg *s, struct tcp_tx *tx)
{
    if (s->flags & TCP_RST)
        return false;
    memset(tx, 0, sizeof(*tx));
    tx->seg.tuple = s->tuple;
    tx->seg.ttl = 64;
    tx->seg.may_be_cut = false;
    if (s->flags & TCP_ACK) {
        tx->seg.flags = TCP_RST;
        tx->seg.seq = s->ack;
    } else {
        tx->seg.flags = TCP_RST | TCP_ACK;
        tx->seg.ack = seq_add(s->seq, seg_seq_len(s));
    }
    return true;
}

/* A segment at a hook as its sender built it: the tuple's local end is the source. */
#ifndef MOS_AS_SENT_H
#define MOS_AS_SENT_H

#include "mtcp/tcp/hook.h"

static inline struct seg seg_as_sent(const struct hook_seg *s)
{
    struct seg seg = *s->seg;
    if (s->dir == HOOK_IN) {
        seg.tuple.local = s->seg->tuple.remote;
        seg.tuple.remote = s->seg->tuple.local;
        seg.tuple.local_port = s->seg->tuple.remote_port;
        seg.tuple.remote_port = s->seg->tuple.local_port;
    }
    return seg;
}

#endif

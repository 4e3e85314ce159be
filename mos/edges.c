/* The streams of both sides. */
#include "mos/edges.h"

#include "mos/conns.h"
#include "mos/wire.h"

#include <string.h>

static void edges_real(const struct stream *s, struct mon_edges *e)
{
    *e = (struct mon_edges){stream_head(s), stream_read(s), stream_next(s), stream_end(s), s};
}

static void edges_emulated(const struct stream *s, uint64_t snd_max, struct mon_edges *e)
{
    *e = (struct mon_edges){stream_head(s), snd_max, snd_max, snd_max, s};
}

static void edges_wire(const struct stream *s, struct mon_edges *e)
{
    *e = (struct mon_edges){stream_head(s), stream_next(s), stream_next(s), stream_end(s), s};
}

static void edges_remember(struct mon_host *h, const struct mon_edges *e)
{
    h->next = e->next;
    h->unread = (uint32_t)(e->next - e->read);
    h->ahead = (uint32_t)(e->end - e->next);
}

void mon_edges(struct mon_conn *c, int side, struct mon_edges *e)
{
    struct mon_host *h = &c->host[side];
    struct hook_streams s = {0};
    if (c->flow)
        c->mon->sv->streams(c->mon->ctx, c->flow, &s);
    if (c->wire)
        edges_wire(&c->wire->host[side].rcv, e);
    else if (side == c->real && s.rcv)
        edges_real(s.rcv, e);
    else if (side != c->real && s.snd)
        edges_emulated(s.snd, s.snd_max, e);
    else
        *e = (struct mon_edges){h->next, h->next - h->unread, h->next, h->next + h->ahead, NULL};
    edges_remember(h, e);
}

unsigned mon_edges_span(const struct mon_edges *e, uint64_t off, size_t len, struct iovec iov[2])
{
    if (!e->stream || off >= e->end)
        return 0;
    uint64_t n = e->end - off;
    if (len < n)
        n = len;
    return stream_span(e->stream, off, (uint32_t)n, iov);
}

/* Bytes that were written but never sent are no run, nor part of one. */
static unsigned clip(const struct mon_edges *e, struct range *runs, unsigned max)
{
    if (e->head >= e->end)
        return 0;
    if (max > 0)
        runs[0] = (struct range){e->head, e->end};
    return 1;
}

unsigned mon_edges_runs(const struct mon_edges *e, struct range *runs, unsigned max)
{
    if (!e->stream)
        return 0;
    if (stream_end(e->stream) > e->end)
        return clip(e, runs, max);
    return stream_runs(e->stream, runs, max);
}

static bool span_differs(const struct mon_edges *e, uint64_t off, const uint8_t *data, uint32_t len)
{
    struct iovec iov[2];
    unsigned n = mon_edges_span(e, off, len, iov);
    for (unsigned i = 0; i < n; data += iov[i].iov_len, i++)
        if (memcmp(iov[i].iov_base, data, iov[i].iov_len) != 0)
            return true;
    return false;
}

bool mon_edges_differ(const struct mon_edges *e, uint64_t off, const uint8_t *data, uint32_t len)
{
    struct range runs[RANGES_MAX + 1];
    unsigned n = mon_edges_runs(e, runs, RANGES_MAX + 1);
    for (unsigned i = 0; i < n; i++) {
        uint64_t from = off > runs[i].start ? off : runs[i].start;
        uint64_t to = off + len < runs[i].end ? off + len : runs[i].end;
        if (from < to && span_differs(e, from, data + (from - off), (uint32_t)(to - from)))
            return true;
    }
    return false;
}

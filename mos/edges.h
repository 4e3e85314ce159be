/*
 * Where the stream of a side stands, whichever side is ours:
 *
 *   real side       the receive stream of the endpoint: read trails next by what the application
 *                   has yet to read, end lies beyond next when something came out of order
 *   emulated side   a view on the endpoint's send stream: read = next = end = the highest offset
 *                   ever passed out; what was written but not sent is not visible
 *
 *   of the wire     both sides are emulated, each with a stream of its own: read = next
 *
 * A record without streams answers with the edges last seen.
 */
#ifndef MOS_EDGES_H
#define MOS_EDGES_H

#include "mos/mon.h"

struct mon_edges {
    uint64_t head, read, next, end;
    const struct stream *stream; /* NULL: nothing is stored, head == next */
};

/* Also remembers them. */
void mon_edges(struct mon_conn *c, int side, struct mon_edges *e);

/* Bytes at `off` to the end of their run, at most len, in place; the number of pieces. */
unsigned mon_edges_span(const struct mon_edges *e, uint64_t off, size_t len, struct iovec iov[2]);

/* Does any stored byte differ from the copy at `data`, whose first byte is at `off`? */
bool mon_edges_differ(const struct mon_edges *e, uint64_t off, const uint8_t *data, uint32_t len);

/* Every maximal run of stored bytes in ascending order; as stream_runs(). */
unsigned mon_edges_runs(const struct mon_edges *e, struct range *runs, unsigned max);

#endif

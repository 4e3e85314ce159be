/*
 * Packets that come in fragments (RFC 791, 815, 8200 4.5, 8900), of either family, put together
 * with bounds: on the memory of all (conf.max_fragment_bytes; the oldest packet goes first), on the
 * fragments of one, on time. Fragments that overlap give their packet away (RFC 5722): nobody sends
 * them in good faith. Exact copies are ignored.
 *
 * Nothing is allocated before the first fragment.
 */
#ifndef MTCP_NET_REASS_H
#define MTCP_NET_REASS_H

#include "mtcp/net/packet_in.h"

/* A fragment as it is kept: on a wire with the frame that it came in, to go on as it came. */
struct frag {
    struct frag *next; /* by offset */
    uint32_t off, len; /* of the packet's payload */
    uint32_t head_len; /* bytes in front of the payload */
    uint32_t frame_len;
    uint8_t frame[];
};

/* Takes a fragment (PACKET_FRAGMENT). When the packet is whole: *frame, mem_alloc'ed, of *len
 * bytes, which the caller frees; NULL otherwise. */
uint8_t *reass_in(struct net *n, const struct rx *x, uint32_t *len);

/* The same on a wire, where each interface has packets of its own: with the packet come its
 * fragments, one for each byte of it, which the caller frees with reass_frags_free(). */
uint8_t *reass_in_frags(struct net *n, const struct rx *x, uint32_t *len, struct frag **frags);
void reass_frags_free(struct net *n, struct frag *frags);

/* The oldest packet's time is over. */
void reass_timer(struct net *n);

void reass_fini(struct net *n);

#endif

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

/* Takes a fragment (PACKET_FRAGMENT). When the packet is whole: *frame, mem_alloc'ed, of *len
 * bytes, which the caller frees; NULL otherwise. */
uint8_t *reass_in(struct net *n, const struct rx *x, uint32_t *len);

/* On a wire: does the fragment belong to a packet of which none is to go on, because it was given
 * up or refused? Refused is the one that reass_in() has just brought in whole. Until its time is
 * over. */
bool reass_is_refused(const struct net *n, const struct rx *x);
void reass_refuse(struct net *n, const struct rx *x);

/* The oldest packet's time is over. */
void reass_timer(struct net *n);

void reass_fini(struct net *n);

#endif

/*
 * Payload that was put in, taken out or replaced on its way between two hosts. From then on each
 * packet of the connection is translated: where its bytes lie when it comes in, so that monitors,
 * states and streams only know what receivers get; what it acknowledges when it goes on, so that
 * its receiver hears of what it has sent itself. Bytes that are sent again are replaced again.
 *
 * A change of length moves everything behind it, so there is none before a byte that was forwarded
 * already.
 */
#ifndef MOS_WIRE_EDIT_H
#define MOS_WIRE_EDIT_H

#include "mos/edit.h"
#include "mos/splice.h"
#include "mos/wire.h"

/* Of one host's bytes, in its own offsets. */
struct wire_edits {
    struct splices splices;
    uint64_t top;  /* what was forwarded lies before this (the FIN counts) */
    uint64_t told; /* what it was told that the other has */
};

/* The packet as its receiver will number it; its payload may lie elsewhere then. False: it can't be
 * had (no memory, longer than IP bears) and is as if lost. */
MUST_CHECK bool wire_edit_in(struct wire_conn *w, struct hook_seg *s);

/* The verdict was given, and the packet reaches beyond the receiver's window, as what was put in
 * before makes it do. Who knows whether that is taken? It will be sent again. */
void wire_edit_clip(struct wire_conn *w, struct hook_seg *s);

/* Before the packet goes on: acknowledgements as the receiver of the packet numbers them,
 * checksums, and what is no longer needed is forgotten. The frame may be changed in any case. */
void wire_edit_out(struct wire_conn *w, struct hook_seg *s);

/* An ICMP error about a segment of w->sender's: it knows it by its own number. HOOK_CHANGED: now.
 */
enum hook_verdict wire_edit_quote(const struct wire_conn *w, const struct hook_seg *s,
                                  const struct packet *p);

/* The packet was dropped: what was changed in it was not. */
void wire_edit_undo(struct wire_conn *w);

/* A monitor changes the payload as `e` says (not dropped): `now` is the packet after that. 0;
 * -EALREADY: bytes of it were forwarded before, differently or (where lengths change) with bytes
 * behind them; -EPERM: not in this packet (SYN, RST, no payload, not to be accepted); -ENOBUFS,
 * -ENOMEM. */
MUST_CHECK int wire_edit_note(struct wire_conn *w, const struct hook_seg *s, const struct edit *e,
                              const struct edit_frame *now);

/* The sequence number behind what a host has sent, as it counts. */
tcp_seq_t wire_edit_last_seq(const struct wire_conn *w, int side);

void wire_edit_free(struct wire_conn *w);

#endif

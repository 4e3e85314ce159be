/*
 * Changes of a frame with a TCP segment in it: bytes overwritten, taken out or put in, in one of
 * its headers or its payload. Lengths in the headers are kept right, checksums are computed when
 * asked. Pure; whether a connection allows a change is lastpkt.c's business.
 */
#ifndef MOS_EDIT_H
#define MOS_EDIT_H

#include "mos_api.h"
#include "mtcp/base/bug.h"
#include "mtcp/wire/parse.h"

#include <stdbool.h>
#include <stdint.h>

#define EDIT_IP_MAX  65535u
#define EDIT_ETH_MAX 22u /* two tags (IEEE 802.1Q, 802.1ad) between the addresses and the type */

/* A frame and where its parts begin, l3 <= l4 <= payload <= len <= room. */
struct edit_frame {
    uint8_t *at;
    uint32_t len, room;       /* bytes that it has, bytes that fit */
    uint32_t l3, l4, payload; /* l3 is 0 without an Ethernet header */
    bool is_v6;
};

/* The arguments of mtcp_setlastpkt. */
struct edit {
    int option;          /* valid, and not MOS_DROP */
    int64_t offset;      /* from the start of the place that the option names */
    const uint8_t *data; /* outside of the frame; not looked at by MOS_CHOMP */
    uint32_t len;
};

/* One action, one place (none with MOS_DROP), and no bit that means nothing? */
bool edit_option_is_valid(int option);

/* The frame at `at` that `p` is the parse of (PACKET_TCP). */
struct edit_frame edit_frame_of(const struct packet *p, uint8_t *at, uint32_t room);

/*
 * Carries the change out and moves the parts behind it. 0; -EINVAL and the frame is as it was: the
 * bytes do not lie in the place, a header would have no such length, the fixed part of a header (of
 * Ethernet: the addresses) would not be only overwritten, or the frame would not fit its room or
 * 65,535 bytes of IP.
 *
 * An overwrite that lies about lengths is carried out: who parses the frame next finds it.
 */
MUST_CHECK int edit_apply(struct edit_frame *f, const struct edit *e);

/* The checksums of MOS_UPDATE_IP_CHKSUM, MOS_UPDATE_TCP_CHKSUM. */
void edit_checksums(const struct edit_frame *f, int option);

/* The lengths of the headers and of the packet. */
void edit_lengths(const struct edit_frame *f);

/* Flags and numbers of the TCP header; SACK blocks, in the place of those that there are, of which
 * there are not fewer. */
void edit_flags(const struct edit_frame *f, uint8_t flags);
void edit_seq(const struct edit_frame *f, tcp_seq_t seq, uint16_t urg);
void edit_ack(const struct edit_frame *f, tcp_seq_t ack, uint16_t wnd);
void edit_sacks(const struct edit_frame *f, const struct sack_block *b, unsigned n);

/* The sequence number, at `at`, in what the ICMP message (of either family) quotes. */
void edit_quoted_seq(uint8_t *icmp, uint8_t *at, tcp_seq_t seq);

#endif

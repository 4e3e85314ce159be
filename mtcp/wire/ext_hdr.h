/*
 * The chain of extension headers between an IPv6 header and what it carries (RFC 8200 4): skipped
 * as far as this stack needs nothing of them. A bounded walk over checked lengths.
 */
#ifndef MTCP_WIRE_EXT_HDR_H
#define MTCP_WIRE_EXT_HDR_H

#include "mtcp/base/bug.h"
#include "mtcp/wire/piece.h"

#include <stdbool.h>
#include <stdint.h>

/* More than any sane sender has (each kind once, destination options twice: 5). */
#define EXT_HDR_MAX 8u

enum ext_end {
    EXT_UPPER,    /* the chain ends with a header that is none of extension */
    EXT_FRAGMENT, /* what follows is a part of a packet */
    EXT_PROBLEM,  /* to be discarded, and the sender told (ICMPv6 parameter problem) */
};

struct ext_chain {
    enum ext_end end;
    uint8_t proto;     /* what follows the chain; EXT_FRAGMENT: as the fragment header says */
    bool has_fragment; /* there was a fragment header, if only of a whole packet (RFC 6946) */
    uint32_t len;      /* bytes from the start of the IPv6 header to what follows the chain */
    uint8_t code;      /* EXT_PROBLEM: the message's code */
    uint32_t pointer;  /* EXT_PROBLEM: where it lies, from the start of the IPv6 header */
    uint32_t frag_ref; /* EXT_FRAGMENT: where the field lies that names the fragment header, which
                          takes the last eight bytes of `len` */
};

/* Walks the chain of an IPv6 packet, whose header the caller has checked; `ip` ends where the
 * packet does. 0; -EBADMSG: a header is cut, or an option wants the packet discarded without a word;
 * -ENOTSUP: there are too many. */
MUST_CHECK int ext_hdr_walk(struct ext_chain *c, struct piece ip);

#endif

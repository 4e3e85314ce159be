/*
 * Messages of ICMPv6 (RFC 4443) and of neighbour discovery (RFC 4861) as checked values. What the
 * checks of RFC 4861 6.1 and 7.1 refuse never gets this far.
 */
#ifndef MTCP_WIRE_ICMP6_H
#define MTCP_WIRE_ICMP6_H

#include "mtcp/base/bug.h"
#include "mtcp/wire/addr.h"
#include "mtcp/wire/piece.h"

#include <stdbool.h>
#include <stdint.h>

enum icmp6_type {
    ICMP6_UNREACHABLE = 1,
    ICMP6_PACKET_TOO_BIG = 2,
    ICMP6_TIME_EXCEEDED = 3,
    ICMP6_PARAMETER_PROBLEM = 4,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    NDP_ROUTER_SOLICIT = 133,
    NDP_ROUTER_ADVERT = 134,
    NDP_SOLICIT = 135,
    NDP_ADVERT = 136,
};

#define NDP_HOP_LIMIT 255 /* no router has passed it on (RFC 4861 3.1) */

struct ndp_msg {
    uint8_t type;                              /* the NDP_ ones of enum icmp6_type */
    bool is_router, is_solicited, is_override; /* advert: R, S, O */
    bool has_lladdr;                           /* a source (advert: target) link-layer address */
    struct mac_addr lladdr;                    /* of one host */
    struct ip_addr target;                     /* solicit and advert */
    uint16_t lifetime_s;                       /* router advert: as a default router */
    uint32_t reachable_ms, retrans_ms;         /* router advert; 0: not said */
    uint32_t mtu;                              /* router advert; 0: not said */
    const uint8_t *opts;                       /* router advert: for ndp_next_prefix() */
    uint32_t opts_len;
};

/* A prefix that a router advertises (RFC 4861 4.6.2). */
struct ndp_prefix {
    struct ip_addr prefix;
    uint8_t len;
    bool is_on_link, is_autonomous;
    uint32_t valid_s, preferred_s; /* UINT32_MAX: for ever */
};

struct packet;

/* How a message came, as far as it matters. */
struct icmp6_from {
    uint8_t hop_limit;
    bool has_fragment; /* in a fragment header: neighbour discovery is not (RFC 6980) */
    bool verify;       /* the checksum is not known to be good */
};

/* The message in `l4`, of a packet whose addresses are in p->src and p->dst: sets p->kind and what
 * goes with it. 0, -EBADMSG, -EILSEQ as packet_parse(). */
MUST_CHECK int icmp6_parse(struct packet *p, struct piece l4, struct icmp6_from from);

/* The next prefix of a router's advertisement; false: no more. Sane ones only: no longer than 128
 * bits, not link-local, not multicast, preferred no longer than valid. */
bool ndp_next_prefix(struct ndp_msg *m, struct ndp_prefix *out);

#endif

/*
 * Bytes to checked structs. The only code that reads wire bytes: every length is checked against
 * the frame, it fails closed, and it always advances. No state.
 */
#ifndef MTCP_WIRE_PARSE_H
#define MTCP_WIRE_PARSE_H

#include "mtcp/base/bug.h"
#include "mtcp/wire/addr.h"
#include "mtcp/wire/icmp6.h"
#include "mtcp/wire/seg.h"

#include <stdbool.h>
#include <stdint.h>

enum packet_kind {
    PACKET_TCP,
    PACKET_ARP,
    PACKET_ICMP_ECHO,  /* a request or reply: see icmp.type, whose numbers are the family's */
    PACKET_ICMP_ERROR, /* unreachable, packet too big, source quench, time exceeded, parameter
                          problem: with the tuple of the segment inside. Redirects are
                          PACKET_OTHER */
    PACKET_NDP,        /* neighbour discovery but for redirects: `ndp` */
    PACKET_FRAGMENT,   /* a fragment of either family (offset != 0 or MF) */
    PACKET_PROBLEM,    /* IPv6 that can't be taken: the sender is to be told `problem` */
    PACKET_OTHER,      /* well formed as far as it was read, but nothing this stack speaks */
};

/* What the device said of the checksums. */
enum packet_csum { PACKET_CSUM_UNKNOWN, PACKET_CSUM_GOOD };

struct packet {
    enum packet_kind kind;
    uint16_t l3_off, l4_off; /* from the start of the frame; 0 when there is none. Padding bytes of
                                the tuples below are unset: compare and hash by field */
    uint8_t ip_proto;
    uint16_t ip_id;
    uint32_t frame_len; /* Ethernet padding cut off */
    struct mac_addr eth_src, eth_dst;
    uint16_t eth_type;
    struct ip_addr src, dst;
    union {
        struct seg seg;
        struct ndp_msg ndp;
        struct { /* the part of the packet that the fragment holds */
            uint32_t id, off, len; /* off: bytes from the start of what was fragmented */
            const uint8_t *data;
            uint16_t next_hdr_off; /* IPv6: of the field that names the fragment header */
            uint8_t ecn;           /* of the IP header */
            bool more;
        } frag;
        struct { /* of an ICMPv6 parameter problem (RFC 4443 3.4) */
            uint8_t code;
            uint32_t pointer; /* from the IPv6 header */
        } problem;
        struct {
            bool is_reply;
            struct mac_addr sender_mac;
            struct ip_addr sender_ip, target_ip;
        } arp;
        struct {
            uint8_t type, code;
            uint16_t mtu; /* fragmentation needed, packet too big: next-hop MTU, 0 when not given */
            const uint8_t *data; /* what follows type, code and checksum: see build_icmp */
            uint32_t len;
            bool has_tcp; /* error: it quotes a TCP header; whether of ours, the caller checks */
            struct flow_tuple tuple; /* error: local = source of the quoted segment */
            tcp_seq_t seq;           /* error: sequence number of the quoted segment */
        } icmp;
    };
};

/* Parses an Ethernet frame. 0; -EBADMSG: malformed (a length lies, a header is short, a bad
 * version); -ENOTSUP: nothing for us, but its receiver may find a segment in it (more headers of
 * extension than are walked here, RFC 8883; a length of 0 as of a jumbogram; IPv6 addresses that
 * mean something else in here); -EILSEQ: a checksum is wrong. `csum` says whether L3/L4 sums still
 * need to be verified.
 */
MUST_CHECK int packet_parse(struct packet *p, const uint8_t *frame, uint32_t len,
                            enum packet_csum csum);

/* The same for a raw IP packet (no Ethernet header: l3_off is 0, eth_* are zero). */
MUST_CHECK int packet_parse_ip(struct packet *p, const uint8_t *ip, uint32_t len,
                               enum packet_csum csum);

/* Decodes TCP options: always advances; a length of 0, 1 or beyond the end stops the decoding and
 * what was read before counts (as Linux does). */
void tcp_opts_parse(struct tcp_opts *o, const uint8_t *opt, uint32_t len);

#endif

/*
 * Checked structs to bytes. The caller gives a buffer with room for the longest header
 * (BUILD_HDR_MAX); the payload is written by the caller behind it. No state.
 */
#ifndef MTCP_WIRE_BUILD_H
#define MTCP_WIRE_BUILD_H

#include "mtcp/wire/addr.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/seg.h"

#include <stdbool.h>
#include <stdint.h>

#define BUILD_HDR_MAX (ETH_HDR_LEN + IPV6_HDR_LEN + TCP_HDR_LEN + TCP_OPT_MAX)

/* Bytes of TCP options that build_tcp_opts would write (a multiple of 4, <= 40). */
uint32_t build_tcp_opts_len(const struct tcp_opts *o);

/* Writes options in Linux's order and padding: SYN mss,sackOK,TS,nop,wscale and a Fast Open
 * cookie; else nop,nop,TS and
 * nop,nop,SACK. SACK blocks that don't fit into 40 bytes are left out, the last ones first. Returns
 * bytes written. */
uint32_t build_tcp_opts(uint8_t *at, const struct tcp_opts *o);

struct build_l2 {
    struct mac_addr src, dst;
};

/* Which checksums the device fills in: the TCP field then holds the folded pseudo-header sum. */
struct build_offload {
    bool ip_csum, tcp_csum;
};

struct build_lens {
    uint16_t l2, l3, l4;
};

/* Writes Ethernet (when l2 is given), IP and TCP headers for `s` (source = tuple.local) in front of
 * s->len payload bytes that the caller has placed, or will place before build_tcp_csum, right
 * behind the headers. IPv4: DF set unless s->may_be_cut, `ip_id` as given. Returns the header lengths. Checksums are NOT
 * filled: call build_tcp_csum when the payload is there. */
struct build_lens build_tcp(uint8_t *at, const struct build_l2 *l2, const struct seg *s,
                            uint16_t ip_id);

/* Fills IP and TCP checksums of the frame that starts at `at`, or what offload needs. */
void build_tcp_csum(uint8_t *at, struct build_lens lens, uint32_t payload_len,
                    struct build_offload off);

/* A whole ARP frame (42 bytes); returns its length. target_mac zero for requests. */
struct build_arp {
    bool is_reply;
    struct mac_addr sender_mac, target_mac;
    be32_t sender_ip, target_ip;
};
uint32_t build_arp(uint8_t *at, const struct build_arp *a);

/* A whole ICMP frame of the addresses' family: `data` is everything behind the ICMP type, code and
 * checksum (for echo: id, sequence, data; for errors: 4 bytes unused/MTU, then the quoted packet).
 * IPv4: DF set, identification 0.
 * Returns its length; the caller has room for ETH + IP header + 4 + len bytes. `data` may lie in
 * the frame at `at` (an echo answered in place). */
struct build_icmp {
    struct build_l2 l2;
    struct ip_addr src, dst;
    uint8_t type, code, ttl;
    const uint8_t *data;
    uint32_t len;
};
uint32_t build_icmp(uint8_t *at, const struct build_icmp *i);

/* A whole frame of neighbour discovery: a router or neighbour solicitation, or a neighbour
 * advertisement (enum icmp6_type). Returns its length, at most BUILD_NDP_MAX. */
struct build_ndp {
    struct build_l2 l2;
    struct ip_addr src, dst;
    uint8_t type;
    bool is_solicited, is_override; /* an advertisement's flags */
    bool has_lladdr;                /* with the option that says l2.src */
    struct ip_addr target;          /* but for a router's */
};
#define BUILD_NDP_MAX (ETH_HDR_LEN + IPV6_HDR_LEN + 32u)
uint32_t build_ndp(uint8_t *at, const struct build_ndp *b);

#endif

/* Header layouts as they lie on the wire. Only parse.c and build.c touch them. */
#ifndef MTCP_WIRE_HDR_H
#define MTCP_WIRE_HDR_H

#include "mtcp/wire/addr.h"
#include "mtcp/wire/endian.h"

#include <stdint.h>

#define ETH_HDR_LEN       14u
#define ETH_TYPE_IPV4     0x0800
#define ETH_TYPE_ARP      0x0806
#define ETH_TYPE_IPV6     0x86dd
#define IPV4_HDR_LEN      20u
#define IPV4_DF           0x4000u /* of frag_off */
#define IPV6_HDR_LEN      40u
#define TCP_HDR_LEN       20u
#define TCP_OPT_MAX       40u
#define IP_PROTO_ICMP     1
#define IP_PROTO_TCP      6
#define IP_PROTO_UDP      17
#define UDP_HDR_LEN       8u
#define UDP_CSUM_OFF      6u /* of the checksum in its header (RFC 768) */
#define IP_PROTO_ICMPV6   58

struct eth_hdr {
    struct mac_addr dst, src;
    be16_t type;
} __attribute__((packed));

struct ipv4_hdr {
    uint8_t ver_ihl, tos;
    be16_t total_len, id, frag_off;
    uint8_t ttl, proto;
    be16_t csum; /* ones-complement sums are byte-order neutral; see csum.h */
    be32_t src, dst;
} __attribute__((packed));

struct ipv6_hdr {
    be32_t ver_class_flow;
    be16_t payload_len;
    uint8_t next_hdr, hop_limit;
    uint8_t src[16], dst[16];
} __attribute__((packed));

struct tcp_hdr {
    be16_t src_port, dst_port;
    be32_t seq, ack;
    uint8_t doff_ns, flags;
    be16_t wnd, csum, urg;
} __attribute__((packed));

struct arp_hdr { /* RFC 826, Ethernet and IPv4 */
    be16_t hw_type, proto_type;
    uint8_t hw_len, proto_len;
    be16_t op;
    struct mac_addr sender_mac;
    be32_t sender_ip;
    struct mac_addr target_mac;
    be32_t target_ip;
} __attribute__((packed));

struct icmp_hdr { /* RFC 792 */
    uint8_t type, code;
    be16_t csum;
    be16_t id, seq; /* echo; for errors: unused, next-hop MTU */
} __attribute__((packed));

_Static_assert(sizeof(struct eth_hdr) == 14, "Ethernet header");
_Static_assert(sizeof(struct ipv4_hdr) == 20, "IPv4 header");
_Static_assert(sizeof(struct ipv6_hdr) == 40, "IPv6 header");
_Static_assert(sizeof(struct tcp_hdr) == 20, "TCP header");
_Static_assert(sizeof(struct arp_hdr) == 28, "ARP packet");
_Static_assert(sizeof(struct icmp_hdr) == 8, "ICMP header");

#endif

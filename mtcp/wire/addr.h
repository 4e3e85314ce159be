/*
 * Addresses and flows. IPv4 addresses are held v4-mapped (::ffff:a.b.c.d, RFC 4291 2.5.5.2), so
 * that one type and one table serve both families.
 *
 * A link-local IPv6 address means a host only together with its link (RFC 4007). In here the link,
 * a zone number that is never 0, lies in the 16 bits behind the prefix fe80::/10 and its padding,
 * which are zero on the wire: so tables and comparisons need not know of it. The parser refuses
 * addresses that have something there, net/ puts the zone in, the builder takes it out.
 */
#ifndef MTCP_WIRE_ADDR_H
#define MTCP_WIRE_ADDR_H

#include "mtcp/wire/endian.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A half of an address; aligned as its words, so that a flow tuple has no padding. */
typedef uint64_t ip_addr_half_t __attribute__((aligned(4)));

struct ip_addr {
    union {
        uint8_t b[16];
        be32_t w[4];
        ip_addr_half_t q[2];
    };
};

struct mac_addr {
    uint8_t b[6];
};

/* A connection as this host sees it; ports in host order. */
struct flow_tuple {
    struct ip_addr local, remote;
    uint16_t local_port, remote_port;
};

/* What a hash of a tuple covers: all of it. */
#define FLOW_TUPLE_BYTES 36u
_Static_assert(sizeof(struct flow_tuple) == FLOW_TUPLE_BYTES, "no padding");

static inline struct ip_addr ip_addr_v4(be32_t a)
{
    struct ip_addr ip = {.b = {[10] = 0xff, [11] = 0xff}};
    ip.w[3] = a;
    return ip;
}

static inline bool ip_addr_is_v4(const struct ip_addr *a)
{
    return a->q[0] == 0 && a->w[2].raw == 0xffff0000u;
}

static inline bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
    return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

static inline bool flow_tuple_eq(const struct flow_tuple *a, const struct flow_tuple *b)
{
    return ip_addr_eq(&a->local, &b->local) && ip_addr_eq(&a->remote, &b->remote) &&
           a->local_port == b->local_port && a->remote_port == b->remote_port;
}

/* Unspecified: 0.0.0.0 (mapped) or ::. */
static inline bool ip_addr_is_any(const struct ip_addr *a)
{
    return a->q[0] == 0 && (a->q[1] == 0 || (a->w[2].raw == 0xffff0000u && a->w[3].raw == 0));
}

static inline bool ip_addr_is_multicast(const struct ip_addr *a)
{
    return a->b[0] == 0xff || (ip_addr_is_v4(a) && a->b[12] >> 4 == 0xe);
}

/* fe80::/10 */
static inline bool ip_addr_is_link_local(const struct ip_addr *a)
{
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* Of a link-local address: its zone; 0: not said. */
static inline uint16_t ip_addr_zone(const struct ip_addr *a)
{
    return (uint16_t)(a->b[2] << 8 | a->b[3]);
}

/* Sets the zone of a link-local address; others stay as they are. */
static inline void ip_addr_set_zone(struct ip_addr *a, uint16_t zone)
{
    if (!ip_addr_is_link_local(a))
        return;
    a->b[2] = (uint8_t)(zone >> 8);
    a->b[3] = (uint8_t)zone;
}

/* ff02::1:ffXX:XXXX, where the owner of an address hears neighbour solicitations (RFC 4291 2.7.1).
 */
static inline struct ip_addr ip_addr_solicited_node(const struct ip_addr *a)
{
    return (struct ip_addr){.b = {0xff, 2, [11] = 1, 0xff, a->b[13], a->b[14], a->b[15]}};
}

/* The Ethernet address of an IPv6 multicast group (RFC 2464 7). */
static inline struct mac_addr mac_of_multicast6(const struct ip_addr *group)
{
    return (struct mac_addr){{0x33, 0x33, group->b[12], group->b[13], group->b[14], group->b[15]}};
}

#define IP_ADDR_STRLEN 46
/* The usual text form (IPv4 dotted when mapped), without a zone; returns buf. */
const char *ip_addr_str(const struct ip_addr *a, char buf[IP_ADDR_STRLEN]);

/* 0, or -EINVAL. Both families; a link-local address comes without a zone. */
int ip_addr_parse(const char *text, struct ip_addr *out);

#endif

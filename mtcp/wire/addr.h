/* Addresses and flows. IPv4 addresses are held v4-mapped (::ffff:a.b.c.d, RFC 4291 2.5.5.2), so that
 * one type and one table serve both families. */
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

#define IP_ADDR_STRLEN 46
/* The usual text form (IPv4 dotted when mapped); returns buf. */
const char *ip_addr_str(const struct ip_addr *a, char buf[IP_ADDR_STRLEN]);

/* 0, or -EINVAL. Both families. */
int ip_addr_parse(const char *text, struct ip_addr *out);

#endif

/* Checksums in place (RFC 1071, 9293 3.1, 768). */
#include "mtcp/wire/sums.h"

#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"

#include <stddef.h>
#include <string.h>

static void put(uint8_t *field, uint16_t sum)
{
    memcpy(field, &sum, sizeof(sum));
}

/* Where the checksum lies in the transport's header. */
static uint32_t field_off(uint8_t proto)
{
    return proto == IP_PROTO_TCP ? (uint32_t)offsetof(struct tcp_hdr, csum) : UDP_CSUM_OFF;
}

static uint64_t pseudo_of(const uint8_t *ip, uint32_t len, uint8_t proto)
{
    struct ip_addr src, dst;
    if (ip[0] >> 4 == 6) {
        memcpy(src.b, ip + offsetof(struct ipv6_hdr, src), sizeof(src.b));
        memcpy(dst.b, ip + offsetof(struct ipv6_hdr, dst), sizeof(dst.b));
    } else {
        const struct ipv4_hdr *h = (const void *)ip;
        src = ip_addr_v4(h->src);
        dst = ip_addr_v4(h->dst);
    }
    return csum_pseudo(&src, &dst, proto, len);
}

void sums_write_ipv4(uint8_t *ip, uint32_t hdr_len)
{
    uint8_t *field = ip + offsetof(struct ipv4_hdr, csum);
    put(field, 0);
    put(field, csum_fold(csum_add(0, ip, hdr_len)));
}

void sums_write_l4(uint8_t *ip, uint32_t l4, uint32_t len, uint8_t proto)
{
    uint8_t *field = ip + l4 + field_off(proto);
    put(field, 0);
    uint16_t sum = csum_fold(csum_add(pseudo_of(ip, len - l4, proto), ip + l4, len - l4));
    put(field, sum == 0 && proto == IP_PROTO_UDP ? 0xffff : sum); /* 0: there is none (RFC 768) */
}

static uint16_t pseudo_folded(const uint8_t *ip, uint32_t len, uint8_t proto)
{
    return (uint16_t)~csum_fold(pseudo_of(ip, len, proto));
}

void sums_write_pseudo(uint8_t *ip, uint32_t l4, uint32_t len, uint8_t proto)
{
    put(ip + l4 + field_off(proto), pseudo_folded(ip, len - l4, proto));
}

bool sums_is_pseudo(const uint8_t *ip, uint32_t l4, uint32_t len, uint8_t proto)
{
    uint16_t field;
    memcpy(&field, ip + l4 + field_off(proto), sizeof(field));
    return field == pseudo_folded(ip, len - l4, proto);
}

/* Segments cut into smaller ones. */
#include "mtcp/wire/cut.h"

#include "mtcp/wire/hdr.h"
#include "mtcp/wire/seg.h"
#include "mtcp/wire/sums.h"

#include <string.h>

static void write_ip(uint8_t *ip, const struct cut *c, uint32_t len, uint16_t part)
{
    if (!c->is_v4) {
        struct ipv6_hdr *h = (void *)ip;
        h->payload_len = be16_make((uint16_t)(len - IPV6_HDR_LEN));
        return;
    }
    struct ipv4_hdr *h = (void *)ip;
    h->total_len = be16_make((uint16_t)len);
    h->id = be16_make((uint16_t)(be16_get(h->id) + part));
}

static void write_tcp(uint8_t *tcp, uint32_t at, bool is_last)
{
    struct tcp_hdr *h = (void *)tcp;
    uint16_t urg = be16_get(h->urg);
    h->seq = be32_make(be32_get(h->seq) + at);
    if (at > 0)
        h->flags &= (uint8_t)~TCP_CWR;
    if (!is_last)
        h->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if ((h->flags & TCP_URG) && urg < at)
        h->flags &= (uint8_t)~TCP_URG;
    else if (h->flags & TCP_URG)
        h->urg = be16_make((uint16_t)(urg - at));
}

uint32_t cut_write(uint8_t *out, const struct cut *c, uint32_t at, uint32_t n, uint16_t part)
{
    uint8_t *ip = out + c->l3_off;
    uint32_t len = c->payload_off + n;
    memcpy(out, c->frame, c->payload_off);
    memcpy(out + c->payload_off, c->frame + c->payload_off + at, n);
    write_ip(ip, c, len - c->l3_off, part);
    write_tcp(out + c->l4_off, at, c->payload_off + at + n == c->len);
    if (c->is_v4)
        sums_write_ipv4(ip, (uint32_t)c->l4_off - c->l3_off);
    sums_write_l4(ip, (uint32_t)c->l4_off - c->l3_off, len - c->l3_off, IP_PROTO_TCP);
    return len;
}

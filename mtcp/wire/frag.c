/* Headers of packets put together from fragments. */
#include "mtcp/wire/frag.h"

#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"

#include <string.h>

#define FRAG_HDR6_LEN 8u
#define IP_CE_BITS    3u

static bool is_v4(const struct packet *p)
{
    return p->eth_type == ETH_TYPE_IPV4;
}

uint32_t frag_head_len(const struct packet *p)
{
    uint32_t len = p->l4_off - (is_v4(p) ? 0 : FRAG_HDR6_LEN);
    return len <= FRAG_HEAD_MAX ? len : 0;
}

void frag_head(uint8_t *to, const uint8_t *frame, const struct packet *p)
{
    memcpy(to, frame, frag_head_len(p));
    if (!is_v4(p))
        to[p->frag.next_hdr_off] = p->ip_proto; /* the fragment header is left out of the chain */
}

static void finish_v4(uint8_t *ip, uint32_t hdr_len, uint32_t payload_len, bool is_marked)
{
    struct ipv4_hdr *h = (void *)ip;
    h->total_len = be16_make((uint16_t)(hdr_len + payload_len));
    h->frag_off = be16_make(0);
    if (is_marked)
        h->tos |= IP_CE_BITS;
    h->csum = be16_make(0);
    uint16_t sum = csum_fold(csum_add(0, ip, hdr_len));
    memcpy(&h->csum, &sum, sizeof(sum));
}

void frag_finish(uint8_t *frame, uint32_t head_len, uint32_t payload_len, bool is_marked)
{
    uint8_t *ip = frame + ETH_HDR_LEN;
    uint32_t hdr_len = head_len - ETH_HDR_LEN;
    if (ip[0] >> 4 == 4) {
        finish_v4(ip, hdr_len, payload_len, is_marked);
        return;
    }
    struct ipv6_hdr *h = (void *)ip;
    h->payload_len = be16_make((uint16_t)(hdr_len - IPV6_HDR_LEN + payload_len));
    if (is_marked)
        h->ver_class_flow = be32_make(be32_get(h->ver_class_flow) | IP_CE_BITS << 20);
}

/* Open checksums are closed. */
#include "mtcp/net/open_csum.h"

#include "mtcp/wire/hdr.h"
#include "mtcp/wire/parse.h"
#include "mtcp/wire/sums.h"

#include <string.h>

#define TAG_LEN   4u
#define TYPE_VLAN 0x8100 /* IEEE 802.1Q */
#define TYPE_QINQ 0x88a8 /* IEEE 802.1ad */

/* Where the headers lie; l4 and len count from the IP header. */
struct place {
    uint32_t l3, l4, len;
    uint8_t proto;
    bool is_v4;
};

static bool is_tagged(const uint8_t *frame, uint32_t l3)
{
    be16_t type;
    memcpy(&type, frame + l3 - sizeof(type), sizeof(type));
    return be16_get(type) == TYPE_VLAN || be16_get(type) == TYPE_QINQ;
}

/* False: it is no whole packet of TCP or UDP. */
static bool place_of(const uint8_t *frame, uint32_t len, struct place *at)
{
    struct packet p;
    uint32_t l3 = ETH_HDR_LEN;
    if (len < l3)
        return false;
    while (l3 <= len && is_tagged(frame, l3))
        l3 += TAG_LEN;
    if (l3 >= len || packet_parse_ip(&p, frame + l3, len - l3, PACKET_CSUM_GOOD) != 0)
        return false;
    bool is_udp = p.kind == PACKET_OTHER && p.ip_proto == IP_PROTO_UDP;
    *at = (struct place){l3, p.l4_off, p.frame_len, p.ip_proto, frame[l3] >> 4 == 4};
    return p.kind == PACKET_TCP || (is_udp && p.frame_len >= p.l4_off + UDP_HDR_LEN);
}

static bool has_pseudo_sum(const uint8_t *frame, uint32_t len)
{
    struct place at;
    return place_of(frame, len, &at) && sums_is_pseudo(frame + at.l3, at.l4, at.len, at.proto);
}

bool open_csum_is(const struct net *n, const struct mtcp_pkt *pkt)
{
    if (pkt->flags & MTCP_PKT_RX_CSUM_OPEN)
        return true;
    return unlikely(n->conf.trust_csums) && has_pseudo_sum(pkt->data, pkt->len);
}

void open_csum_close(const struct net_if *nif, struct mtcp_pkt *pkt)
{
    struct place at;
    if (!place_of(pkt->data, pkt->len, &at))
        return;
    uint8_t *ip = pkt->data + at.l3;
    if (at.is_v4)
        sums_write_ipv4(ip, at.l4);
    if (at.proto == IP_PROTO_UDP || !(nif->io->caps & MTCP_IO_TX_TCP_CSUM)) {
        sums_write_l4(ip, at.l4, at.len, at.proto);
        return;
    }
    const struct tcp_hdr *tcp = (const void *)(ip + at.l4);
    sums_write_pseudo(ip, at.l4, at.len, at.proto);
    pkt->flags |= MTCP_PKT_TX_TCP_CSUM;
    pkt->l2_len = (uint16_t)at.l3;
    pkt->l3_len = (uint16_t)at.l4;
    pkt->l4_len = (uint16_t)((tcp->doff_ns >> 4) * 4);
}

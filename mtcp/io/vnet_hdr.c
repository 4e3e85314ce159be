/* The header before each frame of a TAP: made and read. */
#include "mtcp/io/vnet_hdr.h"

#include "mtcp/base/bug.h"

#include <linux/virtio_net.h>
#include <stddef.h>
#include <string.h>

/* Where the fields are that are needed of a frame (RFC 791 3.1, RFC 9293 3.1). */
enum {
    IP_CSUM_AT = 10,
    TCP_FLAGS_AT = 13,
    TCP_CSUM_AT = 16,
    TCP_FLAG_CWR = 0x80,
};

_Static_assert(sizeof(struct virtio_net_hdr) == VNET_HDR_LEN, "the kernel's default");

/* RFC 1071, of a header. */
static void ip_csum_fill(uint8_t *ip, size_t len)
{
    uint32_t sum = 0;
    memset(ip + IP_CSUM_AT, 0, 2);
    for (size_t i = 0; i + 1 < len; i += 2) {
        uint16_t word;
        memcpy(&word, ip + i, sizeof(word));
        sum += word;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t csum = (uint16_t) ~(sum + (sum >> 16));
    memcpy(ip + IP_CSUM_AT, &csum, sizeof(csum));
}

/* A segment that says CWR is cut such that the first one alone says so (RFC 3168 6.1.2). */
static uint8_t gso_type(const struct mtcp_pkt *pkt)
{
    const uint8_t *ip = pkt->data + pkt->l2_len, *tcp = ip + pkt->l3_len;
    unsigned type = ip[0] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    return (uint8_t)(type | (tcp[TCP_FLAGS_AT] & TCP_FLAG_CWR ? VIRTIO_NET_HDR_GSO_ECN : 0u));
}

void vnet_hdr_make(uint8_t *hdr, struct mtcp_pkt *pkt)
{
    struct virtio_net_hdr h = {0};
    uint32_t hdrs_len = (uint32_t)pkt->l2_len + pkt->l3_len + pkt->l4_len;
    if (pkt->flags & MTCP_PKT_TX_IP_CSUM)
        ip_csum_fill(pkt->data + pkt->l2_len, pkt->l3_len);
    if (pkt->flags & (MTCP_PKT_TX_TCP_CSUM | MTCP_PKT_TX_TSO)) {
        h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        h.hdr_len = (uint16_t)hdrs_len;
        h.csum_start = (uint16_t)(pkt->l2_len + pkt->l3_len);
        h.csum_offset = TCP_CSUM_AT;
    }
    /* What fits one segment is none to cut: the kernel would refuse it. */
    if ((pkt->flags & MTCP_PKT_TX_TSO) && pkt->len - hdrs_len > pkt->tso_mss) {
        h.gso_type = gso_type(pkt);
        h.gso_size = pkt->tso_mss;
    }
    memcpy(hdr, &h, sizeof(h));
}

void vnet_hdr_read(const uint8_t *hdr, struct mtcp_pkt *pkt)
{
    struct virtio_net_hdr h;
    memcpy(&h, hdr, sizeof(h));
    bool is_good = h.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
    pkt->flags = is_good ? MTCP_PKT_RX_CSUM_GOOD : 0;
    pkt->tso_mss = h.gso_type != VIRTIO_NET_HDR_GSO_NONE ? h.gso_size : 0;
}

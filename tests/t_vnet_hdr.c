/* The header before a TAP's frames: against the kernel's struct, and random sizes. */
#include "tests/test.h"

#include "mtcp/base/rng.h"
#include "mtcp/io/vnet_hdr.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <string.h>

#define FRAME_MAX (14 + 65535)
#define GUARD     0xa5

static uint8_t frame[FRAME_MAX], before[FRAME_MAX];
static struct mtcp_pkt pkt;

/* A segment of ours as packet_out.c leaves it. */
static void segment(bool v6, uint16_t l4_len, uint32_t payload, uint32_t flags)
{
    uint16_t l3_len = v6 ? 40 : 20;
    memset(frame, 0, 14u + l3_len + l4_len);
    frame[14] = v6 ? 0x60 : 0x45;
    frame[14 + l3_len + 12] = (uint8_t)(l4_len / 4 << 4);
    pkt = (struct mtcp_pkt){
        .data = frame,
        .len = 14u + l3_len + l4_len + payload,
        .flags = flags,
        .l2_len = 14,
        .l3_len = l3_len,
        .l4_len = l4_len,
        .tso_mss = 1448,
    };
}

static struct virtio_net_hdr make(void)
{
    struct virtio_net_hdr h;
    uint8_t bytes[VNET_HDR_LEN + 2] = {[0] = GUARD, [VNET_HDR_LEN + 1] = GUARD};
    vnet_hdr_make(bytes + 1, &pkt);
    EXPECT_EQ(bytes[0], GUARD);
    EXPECT_EQ(bytes[VNET_HDR_LEN + 1], GUARD);
    memcpy(&h, bytes + 1, sizeof(h));
    return h;
}

#define CSUM  MTCP_PKT_TX_TCP_CSUM
#define TSO   (MTCP_PKT_TX_TSO | MTCP_PKT_TX_TCP_CSUM)
#define TSO_4 (TSO | MTCP_PKT_TX_IP_CSUM)

static void says_nothing_of_a_finished_frame(void)
{
    static const struct virtio_net_hdr none;
    segment(false, 32, 1448, 0);
    struct virtio_net_hdr h = make();
    EXPECT_EQ(memcmp(&h, &none, sizeof(h)), 0);
}

static void leaves_the_checksum_to_the_kernel(void)
{
    segment(true, 32, 5, CSUM);
    struct virtio_net_hdr h = make();
    EXPECT_EQ(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    EXPECT_EQ(h.csum_start, 54);
    EXPECT_EQ(h.csum_offset, 16);
    EXPECT_EQ(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    EXPECT_EQ(h.gso_size, 0);
}

static void leaves_the_cutting_to_the_kernel(void)
{
    segment(false, 32, 1449, TSO_4);
    struct virtio_net_hdr h = make();
    EXPECT_EQ(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    EXPECT_EQ(h.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    EXPECT_EQ(h.gso_size, 1448);
    EXPECT_EQ(h.hdr_len, 66);
    EXPECT_EQ(h.csum_start, 34);
    segment(true, 20, 60000, TSO);
    h = make();
    EXPECT_EQ(h.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
    EXPECT_EQ(h.hdr_len, 74);
}

/* The kernel refuses a frame that it is to cut into one. */
static void has_one_segment_not_cut(void)
{
    segment(false, 32, 1448, TSO_4);
    struct virtio_net_hdr h = make();
    EXPECT_EQ(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    EXPECT_EQ(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

static void says_that_cwr_is_the_first_segments(void)
{
    segment(false, 20, 3000, TSO_4);
    frame[34 + 13] = 0x90;
    EXPECT_EQ(make().gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
    frame[34 + 13] = 0x10;
    EXPECT_EQ(make().gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
}

/* Only NEEDS_CSUM and DATA_VALID vouch for a frame, whatever else is said. */
static void reads_what_the_kernel_vouches_for(void)
{
    for (unsigned flags = 0; flags < 256; flags++) {
        struct virtio_net_hdr h = {.flags = (uint8_t)flags, .gso_type = (uint8_t)(flags * 7)};
        uint8_t bytes[VNET_HDR_LEN];
        h.gso_size = 1448;
        memcpy(bytes, &h, sizeof(h));
        pkt = (struct mtcp_pkt){.flags = UINT32_MAX, .tso_mss = 99};
        vnet_hdr_read(bytes, &pkt);
        EXPECT_EQ(pkt.flags, flags & 3 ? MTCP_PKT_RX_CSUM_GOOD : 0);
        EXPECT_EQ(pkt.tso_mss, h.gso_type ? 1448 : 0);
    }
}

static void random_segment(struct rng *r)
{
    bool v6 = rng_below(r, 2);
    uint16_t l4_len = (uint16_t)(20 + 4 * rng_below(r, 11));
    uint32_t hdrs = 14u + (v6 ? 40 : 20) + l4_len;
    uint32_t payload = rng_below(r, 3) ? rng_below(r, FRAME_MAX - hdrs + 1) : rng_below(r, 3000);
    uint32_t flags = rng_below(r, 2) ? TSO : rng_below(r, 2) ? CSUM : 0;
    if (!v6 && ((flags & MTCP_PKT_TX_TSO) || rng_below(r, 2)))
        flags |= MTCP_PKT_TX_IP_CSUM;
    segment(v6, l4_len, payload, flags);
    for (uint32_t i = 0; i < hdrs; i++) {
        if (i != 14 && i != 14u + pkt.l3_len + 12)
            frame[i] = (uint8_t)rng_u64(r);
    }
    pkt.tso_mss = (uint16_t)(48 + rng_below(r, 9000));
}

/* Whatever its sizes: the header is one that the kernel takes (drivers/net/tun.c,
 * include/linux/virtio_net.h), and of the frame only IPv4's checksum has changed, and is right. */
static void takes_any_size(void)
{
    struct rng r;
    rng_init(&r, test_seed());
    for (unsigned i = 0; i < 20000; i++) {
        random_segment(&r);
        uint32_t hdrs = 14u + pkt.l3_len + pkt.l4_len;
        bool cut = (pkt.flags & MTCP_PKT_TX_TSO) && pkt.len - hdrs > pkt.tso_mss;
        bool csum = pkt.flags & (MTCP_PKT_TX_TCP_CSUM | MTCP_PKT_TX_TSO);
        memcpy(before, frame, hdrs);
        struct virtio_net_hdr h = make();
        EXPECT_EQ(h.gso_type != VIRTIO_NET_HDR_GSO_NONE, cut);
        EXPECT_EQ(h.gso_size, cut ? pkt.tso_mss : 0);
        EXPECT_EQ(h.flags, csum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0);
        EXPECT_EQ(h.hdr_len, csum ? hdrs : 0);
        CU_ASSERT_TRUE((uint32_t)h.csum_start + h.csum_offset + 2 <= pkt.len);
        if (pkt.flags & MTCP_PKT_TX_IP_CSUM) {
            EXPECT_EQ(csum_fold(csum_add(0, frame + 14, 20)), 0);
            memcpy(before + 14 + 10, frame + 14 + 10, 2);
        }
        EXPECT_EQ(memcmp(before, frame, hdrs), 0);
    }
}

TEST_SUITE(vnet_hdr, TEST_CASE(says_nothing_of_a_finished_frame),
           TEST_CASE(leaves_the_checksum_to_the_kernel),
           TEST_CASE(leaves_the_cutting_to_the_kernel), TEST_CASE(has_one_segment_not_cut),
           TEST_CASE(says_that_cwr_is_the_first_segments),
           TEST_CASE(reads_what_the_kernel_vouches_for), TEST_CASE(takes_any_size));

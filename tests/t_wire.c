/* Frames between two devices without an endpoint (net/wire.c): what goes on, and what does not. */
#include "mtcp/core/ctx.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"
#include "mtcp/wire/parse.h"
#include "mtcp/wire/sums.h"
#include "tests/capture.h"
#include "tests/test.h"
#include "tests/trio.h"

#include <mos_api.h>
#include <mtcp_epoll.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#define ROOM 2048u

static struct trio t;
static unsigned n_seen, n_orphans;
static bool drops;

static void cb(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)arg;
    n_seen += ev == MOS_ON_PKT_IN;
    n_orphans += ev == MOS_ON_ORPHAN;
    if (drops && ev == MOS_ON_PKT_IN)
        EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP), 0);
}

static void begin(bool has_monitor)
{
    trio_open(&t, &(struct trio_conf){.no_server = true, .no_client = true});
    n_seen = n_orphans = 0;
    drops = false;
    if (!has_monitor)
        return;
    int s = mtcp_socket(t.m[TRIO_MID], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_register_callback(t.m[TRIO_MID], s, MOS_ON_PKT_IN, MOS_HK_SND, cb), 0);
    EXPECT_EQ(mtcp_register_callback(t.m[TRIO_MID], s, MOS_ON_ORPHAN, MOS_NULL, cb), 0);
}

static void end(void)
{
    uint8_t buf[ROOM];
    EXPECT_EQ(trio_receive(&t, TRIO_SRV, buf, ROOM), 0);
    EXPECT_EQ(trio_receive(&t, TRIO_CLI, buf, ROOM), 0);
    trio_close(&t);
}

static void expect_passes(enum trio_role from, const uint8_t *frame, uint32_t len)
{
    uint8_t buf[ROOM] = {0};
    trio_send(&t, from, frame, len);
    trio_step(&t, 0);
    EXPECT_EQ(trio_receive(&t, from == TRIO_SRV ? TRIO_CLI : TRIO_SRV, buf, ROOM), len);
    EXPECT_EQ(memcmp(buf, frame, len), 0);
    EXPECT_EQ(trio_receive(&t, from, buf, ROOM), 0);
}

static uint32_t build(uint8_t *frame, uint8_t flags, uint32_t seq, const char *data)
{
    struct build_l2 l2 = {.src = {.b = {2, 0, 0, 0, 0, 9}}, .dst = {.b = {2, 0, 0, 0, 0, 8}}};
    struct seg s = {
        .tuple = {ip_addr_v4(be32_make(0x0a000002)), ip_addr_v4(be32_make(0x0a000001)), 4000, 80},
        .seq = seq_make(seq),
        .flags = flags,
        .wnd = 1000,
        .ttl = 64,
        .len = (uint32_t)strlen(data),
    };
    struct build_lens lens = build_tcp(frame, &l2, &s, 7);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    memcpy(frame + hdrs, data, s.len);
    build_tcp_csum(frame, lens, s.len, (struct build_offload){0});
    return hdrs + s.len;
}

/* ---- forwarding ------------------------------------------------------------------------------ */

static void random_frames(void)
{
    uint8_t frame[1514];
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t len = i < 60 ? i + 1 : 1 + rng_below(&t.rng, sizeof(frame));
        for (uint32_t k = 0; k < len; k++)
            frame[k] = (uint8_t)rng_u32(&t.rng);
        if (i % 3 == 0 && len > 20) { /* as if it were IP or ARP */
            frame[12] = 8;
            frame[13] = i % 2 ? 6 : 0;
            frame[14] = 0x45;
        }
        expect_passes(i % 2 ? TRIO_SRV : TRIO_CLI, frame, len);
    }
}

static void any_frame_goes_on_as_it_is(void)
{
    begin(false);
    random_frames();
    end();
    begin(true);
    random_frames();
    end();
}

/* A TCP segment behind n destination options headers of IPv6. */
static uint32_t build_behind(uint8_t *frame, unsigned n)
{
    uint8_t whole[ROOM];
    struct build_l2 l2 = {.src = {.b = {2, 0, 0, 0, 0, 9}}, .dst = {.b = {2, 0, 0, 0, 0, 8}}};
    struct seg s = {.flags = TCP_SYN, .wnd = 1000, .ttl = 64};
    s.tuple = (struct flow_tuple){.local_port = 4000, .remote_port = 80};
    EXPECT_EQ(ip_addr_parse("fd00::2", &s.tuple.local), 0);
    EXPECT_EQ(ip_addr_parse("fd00::1", &s.tuple.remote), 0);
    struct build_lens lens = build_tcp(whole, &l2, &s, 7);
    build_tcp_csum(whole, lens, 0, (struct build_offload){0});
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3;
    memcpy(frame, whole, hdrs);
    uint8_t *ip = frame + lens.l2, *opt = frame + hdrs;
    for (unsigned i = 0; i < n; i++, opt += 8) /* the next header; PadN of six */
        memcpy(opt, (uint8_t[8]){i + 1 < n ? 60 : 6, 0, 1, 4}, 8);
    memcpy(opt, whole + hdrs, lens.l4);
    ip[5] = (uint8_t)(8 * n + lens.l4);
    ip[6] = n ? 60 : 6;
    return hdrs + 8 * n + lens.l4;
}

static void expect_stays(const uint8_t *frame, uint32_t len);

/* What receivers may find a segment in, and the parser does not: more headers than it walks, a
 * length of 0 that a header of hop-by-hop options makes a jumbogram's, a link-local address with
 * something behind its prefix. */
static void what_is_not_looked_into_stays_here(void)
{
    uint8_t frame[ROOM];
    begin(true);
    uint32_t len = build_behind(frame, 1);
    frame[ETH_HDR_LEN + 4] = frame[ETH_HDR_LEN + 5] = frame[ETH_HDR_LEN + 6] = 0;
    expect_stays(frame, len);
    len = build_behind(frame, 0);
    memcpy(frame + ETH_HDR_LEN + 8, (uint8_t[4]){0xfe, 0x80, 0, 1}, 4);
    expect_stays(frame, len);
    EXPECT_EQ(n_seen, 0);
    EXPECT_EQ(ctx_of(t.m[TRIO_MID])->net.stats.hook_drops, 2);
    end();
    begin(true);
    expect_passes(TRIO_CLI, frame, build_behind(frame, 8));
    EXPECT_EQ(n_seen, 1);
    expect_stays(frame, build_behind(frame, 9));
    EXPECT_EQ(n_seen, 1);
    EXPECT_EQ(ctx_of(t.m[TRIO_MID])->net.stats.hook_drops, 1);
    end();
    begin(false);
    expect_passes(TRIO_CLI, frame, build_behind(frame, 9));
    end();
}

/* Its own addresses are nobody's: ARP for anything, and frames to the device's MAC, go on. */
static void nothing_is_answered(void)
{
    uint8_t frame[ROOM];
    begin(true);
    struct build_arp arp = {.sender_mac = {.b = {2, 0, 0, 0, 0, 9}},
                            .sender_ip = be32_make(0x0a000002),
                            .target_ip = be32_make(0x0a000001)};
    expect_passes(TRIO_CLI, frame, build_arp(frame, &arp));
    uint32_t len = build(frame, TCP_SYN, 1, "");
    memcpy(frame, t.end[2].real->mac, 6);
    expect_passes(TRIO_CLI, frame, len);
    EXPECT_EQ(n_orphans, 1);
    EXPECT_EQ(n_seen, 1);
    end();
}

static void bad_checksum_goes_on_unseen(void)
{
    uint8_t frame[ROOM];
    begin(true);
    uint32_t len = build(frame, TCP_SYN, 1, "");
    frame[50] ^= 1;
    expect_passes(TRIO_CLI, frame, len);
    EXPECT_EQ(n_seen, 0);
    EXPECT_EQ(n_orphans, 0);
    end();
}

static void dropped_packet_stays_here(void)
{
    uint8_t frame[ROOM];
    begin(true);
    expect_passes(TRIO_CLI, frame, build(frame, TCP_SYN, 1, ""));
    drops = true;
    trio_send(&t, TRIO_CLI, frame, build(frame, TCP_SYN, 1, ""));
    trio_step(&t, 0);
    EXPECT_EQ(n_seen, 2);
    EXPECT_EQ(trio_receive(&t, TRIO_SRV, frame, ROOM), 0);
    drops = false;
    expect_passes(TRIO_CLI, frame, build(frame, TCP_SYN, 1, ""));
    end();
}

static void shout(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    byte loud[] = "HELLO";
    const int how = MOS_OVERWRITE | MOS_TCP_PAYLOAD | MOS_UPDATE_TCP_CHKSUM;
    struct pkt_info p;
    (void)ev, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.payloadlen == 5)
        EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 0, loud, 5, how), 0);
}

static char heard[8];

static void hear(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ev, (void)arg;
    EXPECT_EQ(mtcp_peek(m, sock, side, heard, 7), 5);
}

/* As an endpoint's incoming packet: what goes on is what the stream has. */
static void changed_packet_goes_on_changed(void)
{
    uint8_t frame[ROOM], want[ROOM];
    begin(true);
    int s = mtcp_socket(t.m[TRIO_MID], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_register_callback(t.m[TRIO_MID], s, MOS_ON_PKT_IN, MOS_HK_SND, shout), 0);
    EXPECT_EQ(mtcp_register_callback(t.m[TRIO_MID], s, MOS_ON_CONN_NEW_DATA, MOS_NULL, hear), 0);
    expect_passes(TRIO_CLI, frame, build(frame, TCP_SYN, 0, ""));
    uint32_t len = build(frame, TCP_SYN | TCP_ACK, 0, "");
    uint8_t *ip = frame + ETH_HDR_LEN; /* the other way */
    uint8_t tmp[4];
    memcpy(tmp, ip + 12, 4);
    memcpy(ip + 12, ip + 16, 4);
    memcpy(ip + 16, tmp, 4);
    memcpy(tmp, ip + 20, 2);
    memcpy(ip + 20, ip + 22, 2);
    memcpy(ip + 22, tmp, 2);
    ip[20 + 11] = 1; /* acknowledges the SYN: 0 + 1 ... */
    ip[20 + 17] = (uint8_t)(ip[20 + 17] - 1);
    expect_passes(TRIO_SRV, frame, len);
    trio_send(&t, TRIO_CLI, frame, build(frame, TCP_ACK | TCP_PSH, 1, "hello"));
    trio_step(&t, 0);
    len = build(want, TCP_ACK | TCP_PSH, 1, "HELLO");
    EXPECT_EQ(trio_receive(&t, TRIO_SRV, frame, ROOM), len);
    EXPECT_EQ(memcmp(frame, want, len), 0);
    CU_ASSERT_STRING_EQUAL(heard, "HELLO");
    end();
}

/* Two fragments, `cut` bytes of the TCP segment in the first one; the second brings it in whole. */
static uint32_t fragment_at(uint8_t *out, const uint8_t *whole, uint32_t len, uint32_t cut,
                            bool first)
{
    const uint32_t hdrs = ETH_HDR_LEN + 20;
    uint32_t from = first ? 0 : cut, n = first ? cut : len - hdrs - cut;
    memcpy(out, whole, hdrs);
    memcpy(out + hdrs, whole + hdrs + from, n);
    uint16_t total = (uint16_t)(20 + n), off = (uint16_t)((first ? 0x2000 : 0) | from / 8);
    uint8_t *ip = out + ETH_HDR_LEN;
    ip[2] = (uint8_t)(total >> 8);
    ip[3] = (uint8_t)total;
    ip[6] = (uint8_t)(off >> 8);
    ip[7] = (uint8_t)off;
    ip[10] = ip[11] = 0;
    uint32_t sum = 0;
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
    return hdrs + n;
}

static uint32_t fragment(uint8_t *out, const uint8_t *whole, uint32_t len, bool first)
{
    return fragment_at(out, whole, len, 24, first);
}

static void expect_stays(const uint8_t *frame, uint32_t len)
{
    uint8_t room[ROOM];
    trio_send(&t, TRIO_CLI, frame, len);
    trio_step(&t, 0);
    EXPECT_EQ(trio_receive(&t, TRIO_SRV, room, ROOM), 0);
}

static void expect_comes(const uint8_t *frame, uint32_t len)
{
    uint8_t room[ROOM] = {0};
    EXPECT_EQ(trio_receive(&t, TRIO_SRV, room, ROOM), len);
    EXPECT_EQ(memcmp(room, frame, len), 0);
}

/* In either order, each once. */
static void fragments_go_on_when_they_were_seen_whole(void)
{
    uint8_t whole[ROOM], frag[2][ROOM];
    begin(true);
    uint32_t len = build(whole, TCP_SYN, 1, "data in a SYN");
    for (unsigned last = 0; last < 2; last++) {
        uint32_t len0 = fragment(frag[0], whole, len, true);
        uint32_t len1 = fragment(frag[1], whole, len, false);
        expect_stays(frag[!last], last ? len0 : len1);
        EXPECT_EQ(n_seen, last);
        trio_send(&t, TRIO_CLI, frag[last], last ? len1 : len0);
        trio_step(&t, 0);
        EXPECT_EQ(n_seen, last + 1);
        expect_comes(frag[0], len0);
        expect_comes(frag[1], len1);
    }
    drops = true;
    expect_stays(frag[0], fragment(frag[0], whole, len, true));
    expect_stays(frag[1], fragment(frag[1], whole, len, false));
    EXPECT_EQ(n_seen, 3);
    expect_stays(frag[1], fragment(frag[1], whole, len, false));
    end();
}

static void nobody_waits_without_a_monitor(void)
{
    uint8_t whole[ROOM], frame[ROOM];
    begin(false);
    uint32_t len = build(whole, TCP_SYN, 1, "data in a SYN");
    expect_passes(TRIO_CLI, frame, fragment(frame, whole, len, true));
    expect_passes(TRIO_CLI, frame, fragment(frame, whole, len, false));
    end();
}

/* A monitor has no say in what is not TCP, but it may hear of it; a bad checksum is for its
 * receiver to find. */
static void fragments_of_other_packets_go_on(void)
{
    uint8_t whole[ROOM], frag[2][ROOM];
    begin(true);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t len = build(whole, TCP_SYN, 1, "data in a SYN");
        if (i == 0)
            whole[ETH_HDR_LEN + 9] = 17;
        else
            whole[len - 1] ^= 1;
        uint32_t len0 = fragment(frag[0], whole, len, true);
        uint32_t len1 = fragment(frag[1], whole, len, false);
        expect_stays(frag[0], len0);
        trio_send(&t, TRIO_CLI, frag[1], len1);
        trio_step(&t, 0);
        expect_comes(frag[0], len0);
        expect_comes(frag[1], len1);
    }
    EXPECT_EQ(n_seen, 0);
    EXPECT_EQ(n_orphans, 1);
    end();
}

static uint64_t n_fragments_lost(void)
{
    return ctx_of(t.m[TRIO_MID])->net.stats.fragments_dropped;
}

/* Were the first part let through, and forgotten in the flood, the second would make a packet that
 * nobody has judged. */
static void flood_of_fragments_lets_nothing_through(void)
{
    uint8_t whole[ROOM], frame[ROOM], other[ROOM];
    begin(true);
    uint32_t len = build(whole, TCP_SYN, 1, "data in a SYN");
    expect_stays(frame, fragment(frame, whole, len, true));
    memcpy(other, whole, len);
    for (uint16_t id = 0; id < 1024; id++) {
        other[ETH_HDR_LEN + 4] = (uint8_t)(0x80 | id >> 8);
        other[ETH_HDR_LEN + 5] = (uint8_t)id;
        expect_stays(frame, fragment(frame, other, len, true));
    }
    EXPECT_EQ(n_fragments_lost(), 1);
    expect_stays(frame, fragment(frame, whole, len, false));
    EXPECT_EQ(n_seen, 0);
    end();
}

/* Its receiver may be more patient than we are. */
static void late_fragment_lets_nothing_through(void)
{
    uint8_t whole[ROOM], frame[ROOM];
    begin(true);
    uint32_t len = build(whole, TCP_SYN, 1, "data in a SYN");
    expect_stays(frame, fragment(frame, whole, len, true));
    trio_step(&t, 31000000);
    trio_step(&t, 0);
    expect_stays(frame, fragment(frame, whole, len, false));
    EXPECT_EQ(n_seen, 0);
    EXPECT_EQ(n_fragments_lost(), 1);
    end();
}

/* What was given up here, because it can't be judged, might be whole elsewhere. */
static void fragments_that_contradict_stay_here(void)
{
    uint8_t whole[ROOM], frame[ROOM];
    begin(true);
    uint32_t len = build(whole, TCP_SYN, 1, "data in a SYN");
    expect_stays(frame, fragment(frame, whole, len, true));
    expect_stays(frame, fragment_at(frame, whole, len, 16, false));
    expect_stays(frame, fragment(frame, whole, len, false));
    EXPECT_EQ(n_seen, 0);
    end();
}

/* The same place with other bytes: only those that were judged go on. */
static void second_copy_of_a_fragment_stays_here(void)
{
    uint8_t whole[ROOM], frag[2][ROOM], forged[ROOM];
    begin(true);
    uint32_t len = build(whole, TCP_SYN, 1, "data in a SYN");
    uint32_t len0 = fragment(frag[0], whole, len, true);
    uint32_t len1 = fragment(frag[1], whole, len, false);
    memcpy(forged, frag[1], len1);
    forged[len1 - 1] ^= 0x20;
    expect_stays(frag[1], len1);
    expect_stays(forged, len1);
    trio_send(&t, TRIO_CLI, frag[0], len0);
    trio_step(&t, 0);
    expect_comes(frag[0], len0);
    expect_comes(frag[1], len1);
    expect_stays(forged, len1);
    EXPECT_EQ(n_seen, 1);
    end();
}

/* A host behind the other device has no part in it. */
static void fragments_of_two_devices_are_two_packets(void)
{
    uint8_t whole[ROOM], frame[ROOM];
    begin(true);
    uint32_t len = build(whole, TCP_SYN, 1, "data in a SYN");
    expect_stays(frame, fragment(frame, whole, len, true));
    trio_send(&t, TRIO_SRV, frame, fragment(frame, whole, len, false));
    trio_step(&t, 0);
    EXPECT_EQ(n_seen, 0);
    end();
}

static void longer_than_the_other_device_takes(void)
{
    struct mtcp_io_pair_conf wide = {.n_pkts = 8, .depth = 8, .mtu = 9000};
    struct mtcp_io_pair_conf narrow = {.n_pkts = 8, .depth = 8};
    struct mtcp_io_pair *a = mtcp_io_pair_create(&wide), *b = mtcp_io_pair_create(&narrow);
    CU_ASSERT_FATAL(a && b);
    struct mtcp_io *ios[2] = {mtcp_io_pair_end(a, 1), mtcp_io_pair_end(b, 0)};
    struct mtcp_io *from = mtcp_io_pair_end(a, 0), *to = mtcp_io_pair_end(b, 1);
    mctx_t m = mtcp_create_context_io(0, "mos { forward = 1 netdev pair1 { } netdev pair0 { } }",
                                      ios, 2, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    const uint32_t lens[] = {9014, 1514};
    struct mtcp_pkt *pkt;
    for (unsigned i = 0; i < 2; i++) {
        pkt = from->alloc(from);
        memset(pkt->data, 1, lens[i]);
        pkt->len = lens[i];
        EXPECT_EQ(from->tx_burst(from, &pkt, 1), 1);
    }
    struct mtcp_epoll_event ev;
    (void)mtcp_epoll_wait(m, mtcp_epoll_create(m, 1), &ev, 1, 0);
    CU_ASSERT_EQUAL_FATAL(to->rx_burst(to, &pkt, 1), 1);
    EXPECT_EQ(pkt->len, 1514);
    to->free(to, pkt);
    EXPECT_EQ(to->rx_burst(to, &pkt, 1), 0);
    EXPECT_EQ(mtcp_destroy_context(m), 0);
    mtcp_io_pair_destroy(a);
    mtcp_io_pair_destroy(b);
}

/* ---- checksums that a sender left to its device ---------------------------------------------- */

/* A wire between two links with such capabilities. */
static struct {
    struct mtcp_io_pair *a, *b;
    mctx_t m;
    int ep;
} cable;

static void cable_open(uint32_t caps_a, uint32_t caps_b, const char *conf)
{
    struct mtcp_io_pair_conf a = {.n_pkts = 16, .depth = 8, .caps = caps_a}, b = a;
    char text[200];
    b.caps = caps_b;
    cable.a = mtcp_io_pair_create(&a);
    cable.b = mtcp_io_pair_create(&b);
    CU_ASSERT_FATAL(cable.a && cable.b);
    struct mtcp_io *ios[2] = {mtcp_io_pair_end(cable.a, 1), mtcp_io_pair_end(cable.b, 0)};
    snprintf(text, sizeof(text), "mos { forward = 1 %s netdev pair1 { } netdev pair0 { } }", conf);
    cable.m = mtcp_create_context_io(0, text, ios, 2, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cable.m);
    cable.ep = mtcp_epoll_create(cable.m, 1);
}

static void cable_close(void)
{
    EXPECT_EQ(mtcp_destroy_context(cable.m), 0);
    mtcp_io_pair_destroy(cable.a);
    mtcp_io_pair_destroy(cable.b);
}

/* What comes out of a frame that goes in with these flags; its flags at the other end. */
static uint32_t through(const uint8_t *frame, uint32_t len, uint32_t flags, uint8_t *out)
{
    struct mtcp_io *in = mtcp_io_pair_end(cable.a, 0), *to = mtcp_io_pair_end(cable.b, 1);
    struct mtcp_pkt *pkt = in->alloc(in);
    struct mtcp_epoll_event ev;
    CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
    memcpy(pkt->data, frame, len);
    pkt->len = len;
    pkt->flags = flags;
    EXPECT_EQ(in->tx_burst(in, &pkt, 1), 1);
    (void)mtcp_epoll_wait(cable.m, cable.ep, &ev, 1, 0);
    CU_ASSERT_EQUAL_FATAL(to->rx_burst(to, &pkt, 1), 1);
    EXPECT_EQ(pkt->len, len);
    memcpy(out, pkt->data, len);
    flags = pkt->flags;
    to->free(to, pkt);
    return flags;
}

#define LEFT (MTCP_PKT_TX_IP_CSUM | MTCP_PKT_TX_TCP_CSUM)
#define CAPS (MTCP_IO_TX_IP_CSUM | MTCP_IO_TX_TCP_CSUM)

/* The frame with right checksums, and as a sender hands it to a device that fills them. */
static uint32_t build_open(uint8_t *right, uint8_t *open)
{
    uint32_t len = build(right, TCP_SYN, 1, "some data");
    struct packet p;
    EXPECT_EQ(packet_parse(&p, right, len, PACKET_CSUM_UNKNOWN), 0);
    memcpy(open, right, len);
    sums_write_pseudo(open + p.l3_off, p.l4_off - p.l3_off, len - p.l3_off, IP_PROTO_TCP);
    return len;
}

static void open_checksums_are_filled(void)
{
    uint8_t right[ROOM], open[ROOM], out[ROOM];
    uint32_t len = build_open(right, open);
    cable_open(CAPS, 0, "");
    memset(open + ETH_HDR_LEN + 10, 0, 2); /* the IP header's */
    EXPECT_EQ(through(open, len, LEFT, out), 0);
    EXPECT_EQ(memcmp(out, right, len), 0);
    uint8_t tagged[ROOM], want[ROOM]; /* behind a VLAN tag */
    const uint8_t tag[4] = {0x81, 0, 0, 5};
    memcpy(tagged, open, 12);
    memcpy(tagged + 12, tag, 4);
    memcpy(tagged + 16, open + 12, len - 12);
    memcpy(want, tagged, 16);
    memcpy(want + 16, right + 12, len - 12);
    (void)through(tagged, len + 4, LEFT, out);
    EXPECT_EQ(memcmp(out, want, len + 4), 0);
    cable_close();
}

static void open_checksums_are_left_to_a_device(void)
{
    uint8_t right[ROOM], open[ROOM], out[ROOM];
    uint32_t len = build_open(right, open);
    cable_open(CAPS, CAPS, "");
    CU_ASSERT_TRUE(through(open, len, LEFT, out) & MTCP_PKT_RX_CSUM_OPEN);
    EXPECT_EQ(memcmp(out, open, len), 0);
    cable_close();
}

static void open_checksums_of_udp_are_filled(void)
{
    uint8_t right[ROOM], open[ROOM], out[ROOM];
    uint32_t len = build_open(right, open);
    uint8_t *udp = right + ETH_HDR_LEN + 20;
    right[ETH_HDR_LEN + 9] = IP_PROTO_UDP;
    udp[4] = 0;
    udp[5] = (uint8_t)(len - ETH_HDR_LEN - 20);
    sums_write_ipv4(right + ETH_HDR_LEN, 20);
    memcpy(open, right, len);
    sums_write_pseudo(open + ETH_HDR_LEN, 20, len - ETH_HDR_LEN, IP_PROTO_UDP);
    sums_write_l4(right + ETH_HDR_LEN, 20, len - ETH_HDR_LEN, IP_PROTO_UDP);
    const struct ip_addr none = ip_addr_v4(be32_make(0)); /* both lie before the header */
    uint32_t udp_len = len - ETH_HDR_LEN - 20;
    uint64_t sum = csum_pseudo(&none, &none, IP_PROTO_UDP, udp_len);
    EXPECT_EQ(csum_fold(csum_add(sum, right + ETH_HDR_LEN + 12, 8 + udp_len)), 0);
    cable_open(CAPS, CAPS, "");
    EXPECT_EQ(through(open, len, LEFT, out), 0);
    EXPECT_EQ(memcmp(out, right, len), 0);
    cable_close();
}

/* A device that can't say so: only with trust_checksums, and only what looks like it. */
static void open_checksums_without_a_flag(void)
{
    uint8_t right[ROOM], open[ROOM], out[ROOM];
    uint32_t len = build_open(right, open);
    cable_open(0, 0, "");
    (void)through(open, len, 0, out);
    EXPECT_EQ(memcmp(out, open, len), 0);
    cable_close();
    cable_open(0, 0, "trust_checksums = 1");
    (void)through(open, len, 0, out);
    EXPECT_EQ(memcmp(out, right, len), 0);
    open[len - 1] ^= 1;
    open[ETH_HDR_LEN + 20 + 16] ^= 1; /* of the checksum: plainly wrong */
    (void)through(open, len, 0, out);
    EXPECT_EQ(memcmp(out, open, len), 0);
    cable_close();
}

/* A device without an address is looked at, whatever it is. */
static void mirror_port(void)
{
    struct mtcp_io_pair_conf conf = {.n_pkts = 64, .depth = 32};
    struct mtcp_io_pair *link = mtcp_io_pair_create(&conf);
    CU_ASSERT_PTR_NOT_NULL_FATAL(link);
    struct mtcp_io *io = mtcp_io_pair_end(link, 1), *far = mtcp_io_pair_end(link, 0);
    mctx_t m = mtcp_create_context_io(0, "mos { netdev pair1 { } }", &io, 1, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    int s = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    n_seen = 0;
    drops = false;
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_PKT_IN, MOS_HK_SND, cb), 0);
    struct mtcp_pkt *pkt = far->alloc(far);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
    pkt->len = build(pkt->data, TCP_SYN, 1, "");
    EXPECT_EQ(far->tx_burst(far, &pkt, 1), 1);
    struct mtcp_epoll_event ev;
    (void)mtcp_epoll_wait(m, mtcp_epoll_create(m, 1), &ev, 1, 0);
    EXPECT_EQ(n_seen, 1);
    EXPECT_EQ(mtcp_destroy_context(m), 0);
    EXPECT_EQ(far->rx_burst(far, &pkt, 1), 0);
    mtcp_io_pair_destroy(link);
}

/* ---- captures -------------------------------------------------------------------------------- */

static uint64_t saw_at[3]; /* start, end, timer: of the packet, of the clock, of the clock */
static uint32_t clock_at[3];

static void note_time(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    unsigned i = ev == MOS_ON_CONN_START ? 0 : ev == MOS_ON_CONN_END ? 1 : 2;
    socklen_t len = sizeof(saw_at[i]);
    (void)side, (void)arg;
    clock_at[i] = mtcp_cb_get_ts(m);
    if (i == 2)
        return;
    EXPECT_EQ(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TIMESTAMP, &saw_at[i], &len), 0);
    struct timeval soon = {30, 0};
    if (i == 0)
        EXPECT_EQ(mtcp_settimer(m, 77, &soon, note_time), 0);
}

/* Time is the packets' until they are over; then the program hears of the end. */
static void a_capture_has_its_own_time(void)
{
    const uint64_t t0 = UINT64_C(1700000000000000), second = 1000000;
    struct mtcp_io *io = capture_begin();
    capture_add(t0, true, TCP_SYN, 100, 0, "");
    capture_add(t0 + second, false, TCP_SYN | TCP_ACK, 500, 101, "");
    capture_add(t0 + 2 * second, true, TCP_ACK | TCP_FIN, 101, 501, "");
    capture_add(t0 + 3 * second, false, TCP_ACK | TCP_FIN, 501, 102, "");
    capture_add(t0 + 4 * second, true, TCP_ACK, 102, 502, "");
    capture_add(t0 + 100 * second, true, TCP_ACK, 7777, 1, "");
    mctx_t m = mtcp_create_context_io(0, "mos { netdev cap { } }", &io, 1, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    int s = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_CONN_START, MOS_HK_SND, note_time), 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_CONN_END, MOS_HK_SND, note_time), 0);
    mtcp_app_join(m);
    CU_ASSERT_TRUE(io->is_over);
    EXPECT_EQ(saw_at[0], t0);
    EXPECT_EQ(clock_at[0], (uint32_t)t0);
    EXPECT_EQ(saw_at[1], t0 + 4 * second);
    EXPECT_EQ(clock_at[1], (uint32_t)(t0 + 100 * second)); /* its TIME_WAIT was over */
    EXPECT_EQ(clock_at[2],
              (uint32_t)(t0 + 100 * second)); /* the first time that it was past 30 s */
    EXPECT_EQ(mtcp_destroy_context(m), 0);
}

TEST_SUITE(wire, TEST_CASE(changed_packet_goes_on_changed), TEST_CASE(a_capture_has_its_own_time),
           TEST_CASE(any_frame_goes_on_as_it_is), TEST_CASE(what_is_not_looked_into_stays_here),
           TEST_CASE(nothing_is_answered), TEST_CASE(bad_checksum_goes_on_unseen),
           TEST_CASE(dropped_packet_stays_here),
           TEST_CASE(fragments_go_on_when_they_were_seen_whole),
           TEST_CASE(nobody_waits_without_a_monitor), TEST_CASE(fragments_of_other_packets_go_on),
           TEST_CASE(flood_of_fragments_lets_nothing_through),
           TEST_CASE(late_fragment_lets_nothing_through),
           TEST_CASE(fragments_that_contradict_stay_here),
           TEST_CASE(second_copy_of_a_fragment_stays_here),
           TEST_CASE(fragments_of_two_devices_are_two_packets),
           TEST_CASE(open_checksums_are_filled), TEST_CASE(open_checksums_are_left_to_a_device),
           TEST_CASE(open_checksums_of_udp_are_filled), TEST_CASE(open_checksums_without_a_flag),
           TEST_CASE(longer_than_the_other_device_takes), TEST_CASE(mirror_port));

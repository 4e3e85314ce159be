/* Packets of a monitor's own (mos/sendpkt.c): what contradicts itself is refused. */
#include "mos/sendpkt.h"
#include "mtcp/wire/hdr.h"
#include "tests/mos_world.h"

/* Pieces, each somewhere else and at an odd address. */
static uint8_t eth[15], ip[61], tcp[61], payload[2000];
static struct pkt_info pkt;

static void pieces_make(bool is_v6, uint16_t payload_len)
{
    struct build_l2 l2 = {.src = {{2, 0, 0, 0, 0, 1}}, .dst = {{2, 0, 0, 0, 0, 2}}};
    uint8_t hdrs[BUILD_HDR_MAX];
    struct seg s = {.tuple = {.local_port = 80, .remote_port = 40000},
                    .seq = seq_make(77),
                    .flags = TCP_FIN | TCP_URG | TCP_ACK,
                    .ttl = 3,
                    .opt = {.has_ts = true, .ts_val = 5},
                    .len = payload_len};
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse(is_v6 ? "fe80::1" : "10.0.0.1", &s.tuple.local), 0);
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse(is_v6 ? "fe80::2" : "10.0.0.2", &s.tuple.remote), 0);
    struct build_lens lens = build_tcp(hdrs, &l2, &s, 9);
    memcpy(eth + 1, hdrs, lens.l2);
    memcpy(ip + 1, hdrs + lens.l2, lens.l3);
    memcpy(tcp + 1, hdrs + lens.l2 + lens.l3, lens.l4);
    memset(payload, 'p', sizeof(payload));
    pkt = (struct pkt_info){.payloadlen = payload_len,
                            .ethh = (void *)(eth + 1),
                            .iph = (void *)(ip + 1),
                            .tcph = (void *)(tcp + 1),
                            .payload = payload_len ? payload : NULL};
}

static void packets_go_as_built(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct packet p;
        w_begin(false);
        pieces_make(v6, 5);
        EXPECT_EQ(sendpkt(w.m, NULL, &pkt), 0);
        EXPECT_EQ(w.n_sent, 1);
        CU_ASSERT(w.sent_eth);
        EXPECT_EQ(packet_parse_ip(&p, w.sent, w.sent_len, PACKET_CSUM_UNKNOWN), 0);
        EXPECT_EQ(p.kind, PACKET_TCP);
        CU_ASSERT(ip_addr_eq(&p.dst, &w.sent_to));
        EXPECT_EQ(p.seg.flags, TCP_FIN | TCP_URG | TCP_ACK);
        EXPECT_EQ(p.seg.seq.v, 77);
        EXPECT_EQ(p.seg.ttl, 3);
        EXPECT_EQ(p.seg.opt.ts_val, 5);
        EXPECT_EQ(p.seg.len, 5);
        EXPECT_EQ(memcmp(p.seg.payload, "ppppp", 5), 0);
        pkt.ethh = NULL;
        EXPECT_EQ(sendpkt(w.m, NULL, &pkt), 0);
        CU_ASSERT(!w.sent_eth);
        w_end();
    }
}

/* Reserved bits, unknown options, nonsense flags: the caller's business. */
static void nothing_is_corrected(void)
{
    w_begin(false);
    pieces_make(false, 0);
    tcp[1 + 12] |= 0x0f;
    tcp[1 + 13] = 0xff;
    tcp[1 + 20] = 99;
    ip[1 + 6] = 0x80; /* the bit of RFC 3514 */
    EXPECT_EQ(sendpkt(w.m, NULL, &pkt), 0);
    EXPECT_EQ(w.sent[6], 0x80);
    EXPECT_EQ(w.sent[20 + 12], 0x8f);
    EXPECT_EQ(w.sent[20 + 13], 0xff);
    EXPECT_EQ(w.sent[20 + 20], 99);
    w_end();
}

static void ip_options_go_along(void)
{
    struct packet p;
    w_begin(false);
    pieces_make(false, 1);
    memset(ip + 21, 1, 20); /* as long as IPv6's header */
    ip[1] = 0x4a;
    ip[1 + 3] = (uint8_t)(ip[1 + 3] + 20);
    EXPECT_EQ(sendpkt(w.m, NULL, &pkt), 0);
    EXPECT_EQ(packet_parse_ip(&p, w.sent, w.sent_len, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(p.l4_off, 40);
    EXPECT_EQ(p.seg.len, 1);
    w_end();
}

static void refuses(int err)
{
    EXPECT_EQ(sendpkt(w.m, NULL, &pkt), -err);
    EXPECT_EQ(w.n_sent, 0);
}

static void pointers_that_are_needed(void)
{
    w_begin(false);
    EXPECT_EQ(sendpkt(w.m, NULL, NULL), -EFAULT);
    pieces_make(false, 1);
    pkt.iph = NULL;
    refuses(EFAULT);
    pieces_make(false, 1);
    pkt.tcph = NULL;
    refuses(EFAULT);
    pieces_make(false, 1);
    pkt.payload = NULL;
    refuses(EFAULT);
    w_end();
}

/* One byte that contradicts the rest. */
static void headers_that_contradict_each_other(void)
{
    static const struct {
        bool is_v6;
        uint8_t *at, to;
    } row[] = {
        {false, ip + 1, 0x65},      {false, ip + 1, 0x44},       {false, ip + 1, 0x46},
        {false, ip + 1 + 3, 54},    {false, ip + 1 + 9, 17},     {false, ip + 1 + 6, 0x20},
        {false, ip + 1 + 7, 1},     {false, tcp + 1 + 12, 0x40}, {false, tcp + 1 + 12, 0x50},
        {false, tcp + 1 + 12, 0},   {false, eth + 1 + 12, 0x86}, {true, ip + 1, 0x45},
        {true, ip + 1 + 5, 30},     {true, ip + 1 + 6, 17},      {true, ip + 1 + 6, 0},
        {true, tcp + 1 + 12, 0x70}, {true, eth + 1 + 12, 8},
    };
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        w_begin(false);
        pieces_make(row[i].is_v6, 1);
        *row[i].at = row[i].to;
        refuses(EINVAL);
        w_end();
    }
}

static void what_the_endpoint_says_is_passed_on(void)
{
    w_begin(false);
    pieces_make(false, 1);
    w.send_rc = -EHOSTUNREACH;
    EXPECT_EQ(sendpkt(w.m, NULL, &pkt), -EHOSTUNREACH);
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(sendpkt(w.m, NULL, &pkt), -ENOBUFS);
    mem_set_limit(w.mem, 0);
    w_end();
}

/* A link-local destination is on the connection's link. */
static void link_local_destinations_have_the_connections_zone(void)
{
    w_begin(false);
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse("fe80::1", &w.f.view.tuple.local), 0);
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse("fe80::2", &w.f.view.tuple.remote), 0);
    ip_addr_set_zone(&w.f.view.tuple.local, 3);
    ip_addr_set_zone(&w.f.view.tuple.remote, 3);
    w_monitor(MOS_ON_CONN_START);
    w_accept();
    pieces_make(true, 1);
    EXPECT_EQ(sendpkt(w.m, w.f.handle, &pkt), 0);
    EXPECT_EQ(ip_addr_zone(&w.sent_to), 3);
    EXPECT_EQ(sendpkt(w.m, NULL, &pkt), 0);
    EXPECT_EQ(ip_addr_zone(&w.sent_to), 0);
    w.text_len = 0;
    w_end();
}

TEST_SUITE(mos_sendpkt, TEST_CASE(packets_go_as_built), TEST_CASE(nothing_is_corrected),
           TEST_CASE(ip_options_go_along), TEST_CASE(pointers_that_are_needed),
           TEST_CASE(headers_that_contradict_each_other),
           TEST_CASE(what_the_endpoint_says_is_passed_on),
           TEST_CASE(link_local_destinations_have_the_connections_zone));

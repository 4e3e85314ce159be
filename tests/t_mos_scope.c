/* Which connections and orphans a monitor sees: filters in pcap's language. */
#include "tests/mos_world.h"

static int passive;

static void begin(uint64_t events)
{
    w_begin(false);
    passive = w_monitor(events);
}

static int bind_filter(char *syn, char *orphan)
{
    union monitor_filter ft = {.stream_syn_filter = syn, .stream_orphan_filter = orphan};
    return passive_bind(mon_passive(w.m, passive, ENOTSOCK), &ft);
}

/* Is the connection from 10.0.0.2:40000 to 10.0.0.1:80 in the scope? */
static bool sees(char *filter)
{
    EXPECT_EQ(bind_filter(filter, NULL), 0);
    w.text_len = 0;
    IN(.flags = TCP_SYN);
    bool yes = w.f.handle != NULL;
    CU_ASSERT_EQUAL(yes, w.text_len > 0);
    if (yes)
        w_die(HOOK_END_TIMEOUT);
    return yes;
}

static void filters_of_connections(void)
{
    begin(MOS_ON_CONN_START);
    CU_ASSERT_TRUE(sees(NULL));
    CU_ASSERT_TRUE(sees(""));
    CU_ASSERT_TRUE(sees("tcp"));
    CU_ASSERT_TRUE(sees("tcp dst port 80 and src host 10.0.0.2"));
    CU_ASSERT_TRUE(sees("(dst port 80 || dst port 81) && src net 10.0.0.0/24"));
    CU_ASSERT_TRUE(sees("tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"));
    CU_ASSERT_TRUE(sees("ip and len <= 60"));
    CU_ASSERT_FALSE(sees("tcp dst port 81"));
    CU_ASSERT_FALSE(sees("src host 10.0.0.1"));
    CU_ASSERT_FALSE(sees("udp"));
    CU_ASSERT_FALSE(sees("ip6"));
    CU_ASSERT_FALSE(sees("tcp and udp")); /* nothing matches: no error of syntax */
    w_end();
}

static void outgoing_syn_is_seen_as_it_is_sent(void)
{
    w_begin(true);
    passive = w_monitor(MOS_ON_CONN_START);
    EXPECT_EQ(bind_filter("src host 10.0.0.1 and dst port 80", NULL), 0);
    OUT(.flags = TCP_SYN);
    CU_ASSERT_PTR_NOT_NULL(w.f.handle);
    w_end();
}

static void ipv6(void)
{
    begin(MOS_ON_CONN_START);
    EXPECT_EQ(ip_addr_parse("2001:db8::1", &w.f.view.tuple.local), 0);
    EXPECT_EQ(ip_addr_parse("2001:db8::2", &w.f.view.tuple.remote), 0);
    CU_ASSERT_TRUE(sees("ip6 src host 2001:db8::2 and tcp dst port 80"));
    CU_ASSERT_FALSE(sees("ip"));
    w_end();
}

static void bad_syntax_keeps_the_scope(void)
{
    begin(MOS_ON_CONN_START);
    EXPECT_EQ(bind_filter("tcp dst port 81", NULL), 0);
    EXPECT_EQ(bind_filter("tcp dst prt 80", NULL), -EINVAL);
    EXPECT_EQ(bind_filter("tcp", "(("), -EINVAL);
    IN(.flags = TCP_SYN);
    CU_ASSERT_PTR_NULL(w.f.handle);
    EXPECT_EQ(passive_bind(mon_passive(w.m, passive, ENOTSOCK), NULL), 0); /* everything */
    IN(.flags = TCP_SYN);
    CU_ASSERT_PTR_NOT_NULL(w.f.handle);
    w_end();
}

static void filter_is_judged_once(void)
{
    begin(MOS_ON_PKT_IN);
    EXPECT_EQ(bind_filter("tcp dst port 80", NULL), 0);
    IN(.flags = TCP_SYN);
    EXPECT_EQ(bind_filter("tcp dst port 81", NULL), 0);
    w.text_len = 0;
    OUT(.flags = TCP_SYN | TCP_ACK);
    EXPECT_EVENTS("SS PKT_IN; RC PKT_IN;");
    w_end();
}

static void each_monitor_has_its_scope(void)
{
    begin(MOS_ON_CONN_START);
    EXPECT_EQ(bind_filter("dst port 81", NULL), 0);
    passive = w_monitor(MOS_ON_CONN_START);
    EXPECT_EQ(bind_filter("dst port 80", NULL), 0);
    IN(.flags = TCP_SYN);
    EXPECT_EVENTS("SC START SYN_SENT; RS START SYN_RCVD;");
    const struct mon_conn *c = w.f.handle;
    EXPECT_EQ(c->watches->passive->sock, passive);
    CU_ASSERT_PTR_NULL(c->watches->next);
    w_end();
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* A frame in hand, with or without Ethernet header. */
static bool frame_matches(const char *filter, bool has_eth)
{
    uint8_t frame[BUILD_HDR_MAX];
    struct build_l2 l2 = {.dst = {{1, 2, 3, 4, 5, 6}}};
    struct packet p;
    struct filter *f;
    struct seg seg;
    struct hook_seg s;
    w_build(&seg, &s, HOOK_OUT, &(struct wseg){.flags = TCP_SYN});
    struct build_lens lens = build_tcp(frame, has_eth ? &l2 : NULL, &seg, 0);
    build_tcp_csum(frame, lens, 0, (struct build_offload){0});
    s.frame = frame;
    s.frame_len = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    s.l3_off = lens.l2;
    EXPECT_EQ(filter_compile(w.mem, filter, &f), 0);
    int rc = has_eth ? packet_parse(&p, frame, s.frame_len, PACKET_CSUM_UNKNOWN)
                     : packet_parse_ip(&p, frame, s.frame_len, PACKET_CSUM_UNKNOWN);
    EXPECT_EQ(rc, 0);
    bool with_seg = filter_match(f, &s, &p);
    s.seg = NULL; /* as an orphan that is not TCP */
    CU_ASSERT_EQUAL(filter_match(f, &s, &p), with_seg);
    filter_free(w.mem, f);
    return with_seg;
}

static void frames_with_and_without_ethernet(void)
{
    begin(0);
    CU_ASSERT_TRUE(frame_matches("tcp src port 80", true));
    CU_ASSERT_TRUE(frame_matches("tcp src port 80", false));
    CU_ASSERT_FALSE(frame_matches("tcp src port 81", true));
    CU_ASSERT_FALSE(frame_matches("tcp src port 81", false));
    CU_ASSERT_TRUE(frame_matches("ether dst 01:02:03:04:05:06", true));
    w_end();
}

static void nothing_to_look_at_does_not_match(void)
{
    struct hook_seg s = {0};
    struct filter *f;
    begin(0);
    EXPECT_EQ(filter_compile(w.mem, "tcp", &f), 0);
    CU_ASSERT_FALSE(filter_match(f, &s, NULL));
    CU_ASSERT_TRUE(filter_match(NULL, &s, NULL));
    filter_free(w.mem, f);
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(filter_compile(w.mem, "tcp", &f), -ENOMEM);
    w_end();
}

/* ---- orphans --------------------------------------------------------------------------------- */

static void orphan(bool is_tcp)
{
    struct seg seg;
    struct hook_seg s;
    struct packet p = {.kind = is_tcp ? PACKET_TCP : PACKET_OTHER};
    w_build(&seg, &s, HOOK_IN, &(struct wseg){.flags = TCP_ACK});
    if (!is_tcp)
        s.seg = NULL;
    w.hooks->orphan(w.m, &s, &p);
}

static void on_orphan(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)arg;
    w_say("%d:%d:%d ", sock == passive, side, (int)ev);
    if (w.in_callback)
        w.in_callback(sock, side, ev);
}

static void orphans_go_to_passive_sockets(void)
{
    begin(MOS_ON_PKT_IN);
    orphan(true);
    EXPECT_EVENTS("");
    EXPECT_EQ(w_register(passive, MOS_ON_ORPHAN, MOS_NULL, on_orphan), 0);
    size_t before = mem_in_use(w.mem);
    orphan(true);
    EXPECT_EVENTS("1:2:256");
    orphan(false);
    EXPECT_EVENTS("1:2:256");
    EXPECT_EQ(mem_in_use(w.mem), before);
    EXPECT_EQ(bind_filter(NULL, "tcp dst port 80"), 0);
    orphan(true);
    EXPECT_EVENTS("1:2:256");
    EXPECT_EQ(bind_filter(NULL, "tcp dst port 81"), 0);
    orphan(true);
    EXPECT_EVENTS("");
    EXPECT_EQ(w_close(passive), 0);
    orphan(true);
    EXPECT_EVENTS("");
    w_end();
}

static struct pkt_info seen;

static void look_at_orphan(int sock, int side, event_t ev)
{
    (void)side, (void)ev;
    struct mon_passive *p = mon_passive(w.m, sock, ENOTSOCK), other = *p;
    EXPECT_EQ(lastpkt_get(w.m, NULL, &other, &seen), -ENODATA); /* not shown to that one */
    memset(&seen, 0, sizeof(seen));
    w_say("(%d) ", lastpkt_get(w.m, NULL, p, &seen));
}

static void packet_of_an_orphan(void)
{
    uint8_t frame[BUILD_HDR_MAX];
    struct build_l2 l2 = {0};
    struct packet p = {.kind = PACKET_TCP};
    struct seg seg;
    struct hook_seg s;
    begin(0);
    EXPECT_EQ(w_register(passive, MOS_ON_ORPHAN, MOS_NULL, on_orphan), 0);
    w_build(&seg, &s, HOOK_IN, &(struct wseg){.flags = TCP_ACK});
    struct build_lens lens = build_tcp(frame, &l2, &seg, 0);
    s.frame = frame;
    s.frame_len = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    s.l3_off = lens.l2;
    s.l4_off = (uint16_t)(lens.l2 + lens.l3);
    s.has_off = false;
    w.in_callback = look_at_orphan;
    w.hooks->orphan(w.m, &s, &p);
    EXPECT_EVENTS("1:2:256 (0)");
    EXPECT_EQ(seen.seq, seg.seq.v);
    CU_ASSERT_PTR_EQUAL(seen.iph, frame + 14);
    s.seg = NULL;
    w.hooks->orphan(w.m, &s, &p);
    CU_ASSERT_PTR_NULL(seen.tcph);
    CU_ASSERT_PTR_EQUAL(seen.iph, frame + 14);
    s.frame = NULL; /* neither frame nor segment */
    w.text_len = 0;
    w.hooks->orphan(w.m, &s, &p);
    EXPECT_EVENTS("1:2:256 (-61)");
    w.in_callback = NULL;
    w_end();
}

static void close_all(int sock, int side, event_t ev)
{
    (void)sock, (void)side, (void)ev;
    for (unsigned i = 0; i < W_SOCKS; i++)
        if (w.socks[i].type == MOS_SOCK_MONITOR_STREAM)
            EXPECT_EQ(w.socks[i].ops->close(w.socks[i].arg, 0), 0);
}

static void all_monitors_close_in_an_orphan_callback(void)
{
    begin(0);
    EXPECT_EQ(w_register(passive, MOS_ON_ORPHAN, MOS_NULL, on_orphan), 0);
    for (int i = 0; i < 3; i++) {
        int other = w_monitor(0);
        EXPECT_EQ(w_register(other, MOS_ON_ORPHAN, MOS_NULL, on_orphan), 0);
    }
    w.in_callback = close_all;
    orphan(true);
    w.in_callback = NULL;
    EXPECT_EVENTS("1:2:256");
    EXPECT_EQ(w.n_socks, 0);
    w_end();
}

TEST_SUITE(mos_scope, TEST_CASE(filters_of_connections),
           TEST_CASE(outgoing_syn_is_seen_as_it_is_sent), TEST_CASE(ipv6),
           TEST_CASE(bad_syntax_keeps_the_scope), TEST_CASE(filter_is_judged_once),
           TEST_CASE(each_monitor_has_its_scope), TEST_CASE(frames_with_and_without_ethernet),
           TEST_CASE(nothing_to_look_at_does_not_match), TEST_CASE(orphans_go_to_passive_sockets),
           TEST_CASE(packet_of_an_orphan), TEST_CASE(all_monitors_close_in_an_orphan_callback));

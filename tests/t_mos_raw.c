/* Raw monitors: every frame of a device (MONITOR.md "Sockets"). */
#include "mtcp/wire/hdr.h"
#include "tests/mos_world.h"

static int raw(void)
{
    int sock = hook_monitor.socket(w.m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW);
    CU_ASSERT_TRUE_FATAL(sock >= 1000);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_NULL, w_cb_null), 0);
    return sock;
}

static struct mon_passive *record_of(int sock)
{
    return mon_passive(w.m, sock, ENOTSOCK);
}

/* A segment's frame with two bytes of payload; its length. */
static uint32_t tcp_frame(uint8_t *to, bool is_v6)
{
    struct build_l2 l2 = {.src = {{2, 0, 0, 0, 0, 2}}, .dst = {{2, 0, 0, 0, 0, 1}}};
    struct seg s = {.tuple = {.local_port = 7, .remote_port = 80}, .flags = TCP_ACK, .len = 2};
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse(is_v6 ? "fd00::2" : "10.0.0.2", &s.tuple.local), 0);
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse(is_v6 ? "fd00::1" : "10.0.0.1", &s.tuple.remote), 0);
    struct build_lens lens = build_tcp(to, &l2, &s, 0);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    memcpy(to + hdrs, "ab", 2);
    build_tcp_csum(to, lens, 2, (struct build_offload){0});
    return hdrs + 2;
}

static uint32_t arp_frame(uint8_t *to)
{
    struct build_arp a = {.sender_ip = be32_make(0x0a000002), .target_ip = be32_make(0x0a000001)};
    return build_arp(to, &a);
}

/* ---- frames --------------------------------------------------------------------------------- */

static struct pkt_info seen;
static int seen_rc;

static void look(int sock, int side, event_t ev)
{
    (void)side, (void)ev;
    memset(&seen, 0xee, sizeof(seen));
    seen_rc = lastpkt_get(w.m, NULL, record_of(sock), &seen);
}

static void every_frame_both_ways(void)
{
    uint8_t b[256];
    w_begin(false);
    raw();
    w_frame(HOOK_IN, b, tcp_frame(b, false));
    EXPECT_EVENTS("NB PKT_IN;");
    w_frame(HOOK_OUT, b, tcp_frame(b, true));
    EXPECT_EVENTS("NB PKT_IN;");
    w_frame(HOOK_IN, b, arp_frame(b));
    EXPECT_EVENTS("NB PKT_IN;");
    w_end();
}

static void expect_shown(enum hook_dir dir, const uint8_t *b, uint32_t len, uint32_t ip_len)
{
    w.in_callback = look;
    w_frame(dir, b, len);
    w.in_callback = NULL;
    EXPECT_EQ(seen_rc, 0);
    EXPECT_EQ(seen.in_ifidx, dir == HOOK_IN ? 2 : -1);
    EXPECT_EQ(seen.eth_len, len);
    EXPECT_EQ(seen.ip_len, ip_len);
    EXPECT_EQ(seen.cur_ts, (uint32_t)w.now);
    EXPECT_EQ(seen.ethh != NULL, len >= 14);
    EXPECT_EQ(seen.iph != NULL, ip_len > 0);
    CU_ASSERT(!seen.iph || (uint8_t *)seen.iph == (uint8_t *)seen.ethh + 14);
    EXPECT_EQ(seen.seq | seen.ack_seq | seen.window | seen.payloadlen, 0);
    EXPECT_EQ(seen.offset, 0);
    CU_ASSERT(!seen.tcph && !seen.payload);
}

/* Of layers 2 and 3 only, and of layer 3 only when there is a header of it. */
static void what_is_known_of_a_frame(void)
{
    uint8_t b[256] = {0};
    w_begin(false);
    raw();
    uint32_t n = tcp_frame(b, false);
    expect_shown(HOOK_IN, b, n, n - 14);
    expect_shown(HOOK_OUT, b, n, n - 14);
    expect_shown(HOOK_IN, b, n + 4, n - 14);  /* padding */
    expect_shown(HOOK_IN, b, n - 10, n - 24); /* cut off */
    expect_shown(HOOK_IN, b, 34, 20);
    expect_shown(HOOK_IN, b, 33, 0);
    expect_shown(HOOK_IN, b, 14, 0);
    expect_shown(HOOK_IN, b, 13, 0);
    expect_shown(HOOK_IN, b, 0, 0);
    b[14] = 0x65;
    expect_shown(HOOK_IN, b, n, 0);
    n = tcp_frame(b, true);
    expect_shown(HOOK_IN, b, n, n - 14);
    expect_shown(HOOK_IN, b, 54, 40);
    expect_shown(HOOK_IN, b, 53, 0);
    n = arp_frame(b);
    b[14] = 0x45;
    expect_shown(HOOK_IN, b, n, 0);
    w.text_len = 0;
    w_end();
}

static void raw_filters(void)
{
    char arp[] = "arp", bad[] = "no such thing", port[] = "tcp dst port 80 and ip6";
    union monitor_filter ft = {.raw_pkt_filter = arp};
    uint8_t v4[256], v6[256], a[64];
    uint32_t n4 = tcp_frame(v4, false), n6 = tcp_frame(v6, true), na = arp_frame(a);
    w_begin(false);
    struct mon_passive *p = record_of(raw());
    for (unsigned i = 0; i < 4; i++) {
        static const char *const want[] = {"NB PKT_IN;", "NB PKT_IN;", "NB PKT_IN;",
                                           "NB PKT_IN; NB PKT_IN; NB PKT_IN;"};
        ft.raw_pkt_filter = i == 1 ? bad : i == 2 ? port : arp;
        EXPECT_EQ(passive_bind(p, i == 3 ? NULL : &ft), i == 1 ? -EINVAL : 0);
        w_frame(HOOK_IN, v4, n4);
        w_frame(HOOK_OUT, i == 2 ? v6 : v4, i == 2 ? n6 : n4);
        w_frame(HOOK_IN, a, na);
        w_frame(HOOK_IN, a, 0); /* no filter matches, nor fails */
        if (i == 3)
            w.text_len -= strlen("NB PKT_IN; ");
        EXPECT_EVENTS(want[i]);
    }
    w_end();
}

/* ---- sockets -------------------------------------------------------------------------------- */

/* Frames are asked for as long as somebody wants them. */
static void frames_cost_nothing_without_a_raw_monitor(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    CU_ASSERT(!w.watches_frames);
    int a = raw(), b = raw();
    CU_ASSERT(w.watches_frames);
    EXPECT_EQ(w_close(a), 0);
    CU_ASSERT(w.watches_frames);
    EXPECT_EQ(w_close(b), 0);
    CU_ASSERT(!w.watches_frames);
    raw();
    CU_ASSERT(w.watches_frames);
    w_end();
    CU_ASSERT(!w.watches_frames);
}

static int socks[4];
static unsigned n_socks;

static void note(int sock, int side, event_t ev)
{
    (void)side, (void)ev;
    if (n_socks < 4)
        socks[n_socks++] = sock;
}

static void several_are_called_in_creation_order(void)
{
    uint8_t b[64];
    w_begin(false);
    int first = raw(), second = raw();
    n_socks = 0;
    w.in_callback = note;
    w_frame(HOOK_IN, b, arp_frame(b));
    w_frame(HOOK_OUT, b, arp_frame(b));
    w.in_callback = NULL;
    EXPECT_EQ(n_socks, 4);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(socks[i], i % 2 ? second : first);
    w.text_len = 0;
    w_end();
}

static int to_close;

static void close_one(int sock, int side, event_t ev)
{
    (void)sock, (void)side, (void)ev;
    if (w_sock(to_close))
        EXPECT_EQ(w_close(to_close), 0);
}

static void closing_in_a_callback(void)
{
    uint8_t b[64];
    for (unsigned i = 0; i < 3; i++) {
        w_begin(false);
        int s[3] = {raw(), raw(), raw()};
        to_close = s[i];
        w.in_callback = close_one;
        w_frame(HOOK_IN, b, arp_frame(b));
        EXPECT_EVENTS(i == 0 ? "NB PKT_IN; NB PKT_IN; NB PKT_IN;" : "NB PKT_IN; NB PKT_IN;");
        w_frame(HOOK_IN, b, arp_frame(b));
        EXPECT_EVENTS("NB PKT_IN; NB PKT_IN;");
        w.in_callback = NULL;
        w_end();
    }
}

/* What can fire on which kind of socket. */
static void pairs_of_raw_sockets(void)
{
    w_begin(false);
    int r = raw(), p = w_monitor(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(r, MOS_ON_ORPHAN, MOS_NULL, w_cb_null), 0);
    EXPECT_EQ(w_register(r, MOS_ON_PKT_IN, MOS_HK_SND, w_cb_snd), -EINVAL);
    EXPECT_EQ(w_register(r, MOS_ON_PKT_IN, MOS_HK_RCV, w_cb_rcv), -EINVAL);
    EXPECT_EQ(w_register(r, MOS_ON_CONN_START, MOS_HK_SND, w_cb_snd), -EINVAL);
    EXPECT_EQ(w_register(r, MOS_ON_CONN_NEW_DATA, MOS_NULL, w_cb_null), -EINVAL);
    EXPECT_EQ(w_register(r, MOS_ON_ERROR, MOS_NULL, w_cb_null), -EINVAL);
    EXPECT_EQ(w_register(p, MOS_ON_PKT_IN, MOS_NULL, w_cb_null), -EINVAL);
    w_accept();
    EXPECT_EQ(w_register(w_active(), MOS_ON_PKT_IN, MOS_NULL, w_cb_null), -EINVAL);
    w.text_len = 0;
    w_end();
}

static void a_raw_socket_has_no_connections(void)
{
    w_begin(false);
    raw();
    w_accept();
    CU_ASSERT_PTR_NULL(w.f.handle);
    EXPECT_EVENTS("");
    w_end();
}

static void options_are_not_for_raw_sockets(void)
{
    char room[64];
    socklen_t len = sizeof(room);
    w_begin(false);
    int r = raw(), v = 1;
    const struct wsock *s = w_sock(r);
    static const int names[] = {MOS_CLIBUF, MOS_SVROVERLAP, MOS_STOP_MON, MOS_REAL_SIDE, 99};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        EXPECT_EQ(s->ops->getsockopt(s->arg, r, SOL_MONSOCKET, names[i], room, &len), -1);
        EXPECT_EQ(errno, ENOTSOCK);
        EXPECT_EQ(s->ops->setsockopt(s->arg, r, SOL_MONSOCKET, names[i], &v, sizeof(v)), -1);
        EXPECT_EQ(errno, ENOTSOCK);
    }
    EXPECT_EQ(s->ops->getsockopt(s->arg, r, 12345, 1, room, &len), -1);
    EXPECT_EQ(errno, ENOSYS);
    EXPECT_EQ(s->ops->setsockopt(s->arg, r, 12345, 1, &v, sizeof(v)), -1);
    EXPECT_EQ(errno, ENOSYS);
    EXPECT_EQ(s->ops->getpeername(s->arg, r, (void *)room, &len, MOS_SIDE_CLI), -1);
    EXPECT_EQ(errno, ENOTSOCK);
    EXPECT_EQ(len, sizeof(room));
    w_end();
}

/* ---- the packet of a callback --------------------------------------------------------------- */

static void try_changes(int sock, int side, event_t ev)
{
    const struct edit drop = {.option = MOS_DROP},
                      over = {.option = MOS_OVERWRITE | MOS_IP_HDR, .data = (const uint8_t *)"x"};
    (void)side, (void)ev;
    EXPECT_EQ(lastpkt_set(w.m, NULL, record_of(sock), &drop), -EPERM);
    EXPECT_EQ(lastpkt_set(w.m, NULL, record_of(sock), &over), -EPERM);
}

/* The verdict is asked of connections' monitors. */
static void frames_are_not_changed(void)
{
    const struct edit drop = {.option = MOS_DROP};
    uint8_t b[256];
    w_begin(false);
    int r = raw();
    EXPECT_EQ(lastpkt_set(w.m, NULL, record_of(r), &drop), -ENODATA);
    EXPECT_EQ(lastpkt_get(w.m, NULL, record_of(r), &seen), -ENODATA);
    w.in_callback = try_changes;
    w_frame(HOOK_IN, b, tcp_frame(b, false));
    w.in_callback = NULL;
    EXPECT_EVENTS("NB PKT_IN;");
    w_end();
}

/* Within the same scope, and no more is known of them. */
static void orphans_of_raw_sockets(void)
{
    char udp[] = "udp", tcp[] = "tcp";
    uint8_t b[256];
    struct packet p;
    w_begin(false);
    int r = raw();
    EXPECT_EQ(w_register(r, MOS_ON_ORPHAN, MOS_NULL, w_cb_null), 0);
    uint32_t n = tcp_frame(b, false);
    EXPECT_EQ(packet_parse(&p, b, n, PACKET_CSUM_UNKNOWN), 0);
    struct hook_seg s = {.dir = HOOK_IN,
                         .seg = &p.seg,
                         .frame = b,
                         .frame_len = n,
                         .l3_off = 14,
                         .l4_off = 34,
                         .netif = 1};
    w.in_callback = look;
    w.hooks->orphan(w.m, &s, &p);
    EXPECT_EVENTS("NB ORPHAN;");
    EXPECT_EQ(seen_rc, 0);
    EXPECT_EQ(seen.ip_len, n - 14);
    CU_ASSERT(!seen.tcph && !seen.payload && seen.payloadlen == 0);
    w.in_callback = NULL;
    union monitor_filter ft = {.raw_pkt_filter = udp};
    EXPECT_EQ(passive_bind(record_of(r), &ft), 0);
    w.hooks->orphan(w.m, &s, &p);
    EXPECT_EVENTS("");
    ft.raw_pkt_filter = tcp;
    EXPECT_EQ(passive_bind(record_of(r), &ft), 0);
    w.hooks->orphan(w.m, &s, &p);
    EXPECT_EVENTS("NB ORPHAN;");
    w_end();
}

TEST_SUITE(mos_raw, TEST_CASE(every_frame_both_ways), TEST_CASE(what_is_known_of_a_frame),
           TEST_CASE(raw_filters), TEST_CASE(frames_cost_nothing_without_a_raw_monitor),
           TEST_CASE(several_are_called_in_creation_order), TEST_CASE(closing_in_a_callback),
           TEST_CASE(pairs_of_raw_sockets), TEST_CASE(a_raw_socket_has_no_connections),
           TEST_CASE(options_are_not_for_raw_sockets), TEST_CASE(frames_are_not_changed),
           TEST_CASE(orphans_of_raw_sockets));

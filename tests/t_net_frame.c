/* Frames and monitors: each is seen once, and a monitor sends some of its own (net/own_packet.c).
 */
#include "tests/net_world.h"
#include "tests/test.h"

#include "mtcp/net/neigh.h"
#include "mtcp/wire/build.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A monitor that writes down the frames that it sees. */
static struct world w;
static struct tape {
    char text[1024];
    size_t len;
    const char *own; /* whom it sends a packet to whenever it sees a frame go out, n_own times */
    unsigned n_own;
} tape;

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(tape.text + tape.len, sizeof(tape.text) - tape.len, fmt, ap);
    va_end(ap);
    tape.len += (size_t)n;
    CU_ASSERT_FATAL(tape.len < sizeof(tape.text));
}

#define EXPECT_TAPE(want) expect_tape(want, __LINE__)
static void expect_tape(const char *want, int line)
{
    bool same = strcmp(tape.text, want) == 0;
    if (!same)
        fprintf(stderr, "\n%s:%d: heard %s\nexpected %s\n", __FILE__, line, tape.text, want);
    CU_assertImplementation(same, (unsigned)line, "the tape", __FILE__, "", CU_FALSE);
    tape.len = 0;
    tape.text[0] = 0;
}

static enum hook_verdict on_born(void *mon, struct hook_seg *s, struct flow *f, void **handle)
{
    (void)mon, (void)s, (void)f;
    *handle = NULL;
    note("born; ");
    return HOOK_PASS;
}

static void on_orphan(void *mon, const struct hook_seg *s, const struct packet *p)
{
    (void)mon, (void)s;
    note("orphan %d; ", (int)p->kind);
}

static int send_own(const char *to);

static void on_frame(void *mon, const struct hook_seg *f)
{
    (void)mon;
    CU_ASSERT(f->seg == NULL && f->frame != NULL);
    EXPECT_EQ(f->now_us, w.net.env.now_us);
    note("%s %u; ", f->dir == HOOK_IN ? "in" : "out", f->frame_len);
    if (f->dir == HOOK_OUT && tape.n_own > 0) {
        tape.n_own--;
        w.net.env.user_depth++;
        EXPECT_EQ(send_own(tape.own), 0);
        w.net.env.user_depth--;
    }
}

static void up(const struct world_opts *o)
{
    static const struct tcp_hooks hooks = {.born = on_born, .orphan = on_orphan, .frame = on_frame};
    world_up(&w, o);
    while (world_out(&w))
        ;
    memset(&tape, 0, sizeof(tape));
    w.net.env.hooks = &hooks;
    w.net.env.mon = &tape;
    net_watch_frames(&w.net, true);
}

/* ---- frames --------------------------------------------------------------------------------- */

/* Whatever comes and whatever goes, each once and as long as it is wanted. */
static void every_frame_is_seen_once(void)
{
    struct net_listener l;
    uint8_t junk[60] = {0};
    up(NULL);
    world_listen(&w, &l, 10);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    EXPECT_TAPE("in 58; born; out 58; ");
    world_in_frame(&w, junk, 3, 0);  /* no frame at all */
    world_in_frame(&w, junk, 60, 0); /* somebody else's */
    world_in_frame(&w, junk, 60, MTCP_PKT_RX_CSUM_BAD);
    world_arp(&w, 2, false, "10.0.0.1");
    world_seg(&w, 4001, TCP_ACK, 1, 1);
    world_turn(&w);
    EXPECT_TAPE("in 3; in 60; in 60; in 42; in 54; orphan 1; out 42; orphan 0; out 54; ");
    world_seg(&w, 4001, TCP_ACK, 1, 1);
    w.dev.rx[0]->data[53] ^= 1; /* the checksum is wrong: no orphan either */
    world_turn(&w);
    EXPECT_TAPE("in 54; ");
    EXPECT_EQ(w.net.ifs[0].rx_bad_csum, 2);
    net_watch_frames(&w.net, false);
    world_syn(&w, 4002, 1000);
    world_turn(&w);
    EXPECT_TAPE("born; ");
    world_down(&w);
}

static void an_interface_that_comes_later_is_watched(void)
{
    struct ip_addr none = {0};
    up(NULL);
    struct mtcp_io io = w.dev.io;
    EXPECT_EQ(net_if_add(&w.net, &io, "more", &none, 0), 1);
    CU_ASSERT_PTR_EQUAL(w.net.ifs[1].watcher, &w.net);
    net_watch_frames(&w.net, false);
    CU_ASSERT_PTR_NULL(w.net.ifs[1].watcher);
    world_down(&w);
}

/* When its neighbour is known, and not again when the device has no room. */
static void a_frame_that_waits_is_seen_when_it_goes(void)
{
    struct world_opts o = {.conf = world_conf, .no_arp = true};
    struct net_listener l;
    up(&o);
    world_listen(&w, &l, 10);
    world_syn(&w, 4000, 1000);
    world_turn(&w);
    EXPECT_TAPE("in 58; born; out 42; "); /* the question */
    w.dev.tx_room = 0;
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    EXPECT_TAPE("in 42; orphan 1; out 58; ");
    world_turn(&w);
    w.dev.tx_room = 9;
    world_turn(&w);
    EXPECT_TAPE("");
    EXPECT_EQ(world_out(&w)->kind, PACKET_ARP);
    (void)world_expect(&w, 4000, TCP_SYN | TCP_ACK);
    world_silence(&w);
    world_down(&w);
}

/* What is too late for a full queue never was a frame. */
static void what_finds_no_room_is_not_seen(void)
{
    unsigned n_out = 0;
    up(NULL);
    w.dev.tx_room = 0;
    for (unsigned i = 0; i < NET_TX_BURST + 8; i++)
        world_arp(&w, 2, false, "10.0.0.1");
    world_turn(&w);
    for (const char *at = tape.text; (at = strstr(at, "out 42; ")) != NULL; at++)
        n_out++;
    EXPECT_EQ(n_out, NET_TX_BURST);
    w.dev.tx_room = UINT32_MAX;
    world_turn(&w);
    while (n_out-- > 0)
        CU_ASSERT_PTR_NOT_NULL(world_out(&w));
    world_silence(&w);
    world_down(&w);
}

/* An entry for a neighbour does not make room for what a monitor's code asks for. */
static void no_neighbour_ends_for_a_monitors_code(void)
{
    struct ip_addr ip = world_ip("10.0.0.3");
    up(NULL);
    w.net.env.user_depth = 1;
    unsigned n = 0;
    while (n <= NEIGH_MAX && neigh_get(&w.net, 0, &ip)) {
        ip.b[14] = (uint8_t)(1 + n / 256);
        ip.b[15] = (uint8_t)n++;
    }
    CU_ASSERT(n > NEIGH_MAX / 2 && n <= NEIGH_MAX);
    w.net.env.user_depth = 0;
    CU_ASSERT_PTR_NOT_NULL(neigh_get(&w.net, 0, &ip));
    world_down(&w);
}

/* ---- packets of a monitor's own ------------------------------------------------------------- */

static const char own_payload[] = "own";

/* An IP packet with three bytes for port 9 of the host; its length. */
static uint32_t own_packet(uint8_t *at, const char *to, struct ip_addr *dst)
{
    struct seg s = {
        .tuple = {.local_port = 1, .remote_port = 9}, .flags = TCP_RST | TCP_SYN, .len = 3};
    *dst = s.tuple.remote = world_ip(to);
    s.tuple.local = world_ip(ip_addr_is_v4(dst) ? "10.0.0.77" : "fd00::77");
    struct build_lens lens = build_tcp(at, NULL, &s, 0);
    memcpy(at + lens.l3 + lens.l4, own_payload, 3);
    build_tcp_csum(at, lens, 3, (struct build_offload){0});
    return (uint32_t)lens.l3 + lens.l4 + 3;
}

static int send_own(const char *to)
{
    uint8_t b[128];
    struct ip_addr dst;
    uint32_t len = own_packet(b, to, &dst);
    return net_send_own(&w.net, &dst, NULL, b, len);
}

static void expect_own(void)
{
    const struct seg *s = world_expect(&w, 9, TCP_RST | TCP_SYN);
    EXPECT_EQ(s->len, 3);
    CU_ASSERT(s->len == 3 && memcmp(s->payload, own_payload, 3) == 0);
}

static void an_own_packet_leaves_with_the_flush(void)
{
    up(NULL);
    EXPECT_EQ(send_own("10.0.0.2"), 0);
    EXPECT_EQ(send_own("10.0.0.2"), 0);
    CU_ASSERT(net_has_work(&w.net));
    EXPECT_TAPE("");
    world_turn(&w);
    EXPECT_TAPE("out 57; out 57; ");
    expect_own();
    EXPECT_EQ(memcmp(w.frame, "\2\0\0\0\0\2\2\0\0\0\0\1\x08", 13), 0);
    expect_own();
    world_silence(&w);
    CU_ASSERT(!net_has_work(&w.net));
    world_turn(&w);
    world_silence(&w);
    world_down(&w);
}

static void own_packets_go_the_stacks_way(void)
{
    struct world_opts o = {.conf = world_conf, .no_arp = true, .is_v6 = true};
    up(&o);
    EXPECT_EQ(send_own("10.0.0.2"), 0);
    world_turn(&w);
    EXPECT_EQ(world_out(&w)->kind, PACKET_ARP);
    world_silence(&w);
    world_arp(&w, 2, true, "10.0.0.1");
    world_turn(&w);
    expect_own();
    EXPECT_EQ(send_own("fd00::2"), 0);
    world_turn(&w);
    EXPECT_EQ(world_out(&w)->kind, PACKET_NDP);
    EXPECT_EQ(send_own("10.0.0.2"), 0); /* never leaves: the end comes first */
    world_silence(&w);
    world_down(&w);
}

/* Whatever it says, it goes there. */
static void a_given_ethernet_header_is_kept(void)
{
    static const uint8_t eth[] = {2, 9, 9, 9, 9, 9, 2, 8, 8, 8, 8, 8, 8, 0};
    struct world_opts o = {.conf = world_conf, .no_arp = true};
    uint8_t b[128];
    struct ip_addr dst;
    up(&o);
    uint32_t len = own_packet(b, "10.0.0.2", &dst);
    EXPECT_EQ(net_send_own(&w.net, &dst, eth, b, len), 0);
    world_turn(&w);
    expect_own();
    EXPECT_EQ(memcmp(w.frame, eth, sizeof(eth)), 0);
    world_silence(&w);
    world_down(&w);
}

static void own_packets_that_cannot_go(void)
{
    static uint8_t big[1501];
    struct ip_addr dst = world_ip("10.0.0.2");
    up(NULL);
    EXPECT_EQ(send_own("192.0.2.1"), -EHOSTUNREACH);
    EXPECT_EQ(send_own("fd00::2"), -EHOSTUNREACH);
    EXPECT_EQ(send_own("0.0.0.0"), -EHOSTUNREACH);
    EXPECT_EQ(net_send_own(&w.net, &dst, NULL, big, 1501), -EMSGSIZE);
    EXPECT_EQ(net_send_own(&w.net, &dst, NULL, big, 1500), 0); /* but is no packet */
    world_turn(&w);
    EXPECT_EQ(w.net.stats.no_route, 1);
    w.dev.no_pkts = true;
    EXPECT_EQ(send_own("10.0.0.2"), -ENOBUFS);
    w.dev.no_pkts = false;
    w.dev.room = 56;
    EXPECT_EQ(send_own("10.0.0.2"), -ENOBUFS);
    w.dev.room = 57;
    EXPECT_EQ(send_own("10.0.0.2"), 0);
    world_turn(&w);
    expect_own();
    world_silence(&w);
    world_down(&w);
}

/* Who answers each frame with another is answered turn by turn. */
static void own_packets_of_callbacks_wait_for_the_next_flush(void)
{
    up(NULL);
    tape.own = "10.0.0.2";
    tape.n_own = 3;
    EXPECT_EQ(send_own("10.0.0.2"), 0);
    for (unsigned i = 0; i < 4; i++) {
        CU_ASSERT(net_has_work(&w.net));
        world_turn(&w);
        EXPECT_TAPE("out 57; ");
        expect_own();
        world_silence(&w);
    }
    CU_ASSERT(!net_has_work(&w.net));
    world_down(&w);
}

TEST_SUITE(net_frame, TEST_CASE(every_frame_is_seen_once),
           TEST_CASE(an_interface_that_comes_later_is_watched),
           TEST_CASE(a_frame_that_waits_is_seen_when_it_goes),
           TEST_CASE(what_finds_no_room_is_not_seen),
           TEST_CASE(no_neighbour_ends_for_a_monitors_code),
           TEST_CASE(an_own_packet_leaves_with_the_flush), TEST_CASE(own_packets_go_the_stacks_way),
           TEST_CASE(a_given_ethernet_header_is_kept), TEST_CASE(own_packets_that_cannot_go),
           TEST_CASE(own_packets_of_callbacks_wait_for_the_next_flush));

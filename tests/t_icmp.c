/* ICMP: echo, errors that are believed and errors that are not, limits. */
#include "tests/net_world.h"
#include "tests/test.h"
#include "tests/wire_model.h"

#include "mtcp/wire/build.h"

#include <errno.h>
#include <string.h>

enum {
    UNREACHABLE = 3,
    SOURCE_QUENCH = 4,
    ECHO_REPLY = 0,
    ECHO = 8,
    TIME_EXCEEDED = 11,
    PARAMETER_PROBLEM = 12
};

static void icmp_in_from(struct world *w, const char *src, uint8_t type, uint8_t code,
                         const void *data, uint32_t len)
{
    uint8_t frame[WORLD_ROOM];
    struct build_icmp i = {.l2 = {.src = world_mac(2), .dst = world_mac(1)},
                           .src = world_ip(src),
                           .dst = world_ip("10.0.0.1"),
                           .type = type,
                           .code = code,
                           .ttl = 64,
                           .data = data,
                           .len = len};
    world_in_frame(w, frame, build_icmp(frame, &i), 0);
}

/* An error about a segment of ours to the peer: what a router quotes of it. */
static void error_in(struct world *w, uint8_t type, uint8_t code, const struct seg *quoted,
                     uint16_t mtu)
{
    uint8_t data[4 + BUILD_HDR_MAX] = {0};
    data[2] = (uint8_t)(mtu >> 8);
    data[3] = (uint8_t)mtu;
    (void)build_tcp(data + 4, NULL, quoted, 7);
    icmp_in_from(w, "192.0.2.9", type, code, data, 4 + 28);
    world_turn(w);
}

/* The quoted segment of a connection: its tuple, and this sequence number. */
static struct seg quote(const struct tcp_conn *c, tcp_seq_t seq)
{
    return (struct seg){.tuple = c->tuple, .seq = seq, .flags = TCP_ACK, .ttl = 1};
}

/* ---- echo ----------------------------------------------------------------------------------- */

static void echo_is_answered_with_its_data(void)
{
    struct world w;
    world_up(&w, NULL);
    icmp_in_from(&w, "10.0.0.2", ECHO, 0, "\x12\x34\x00\x01payload", 11);
    world_turn(&w);
    const struct packet *p = world_out(&w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    EXPECT_EQ(p->kind, PACKET_ICMP_ECHO);
    EXPECT_EQ(p->icmp.type, ECHO_REPLY);
    EXPECT_EQ(p->icmp.len, 11);
    EXPECT_EQ(memcmp(p->icmp.data, "\x12\x34\x00\x01payload", 11), 0);
    EXPECT_EQ(p->eth_dst.b[5], 2);
    EXPECT_EQ(p->src.b[15], 1);
    EXPECT_EQ(p->dst.b[15], 2);
    icmp_in_from(&w, "10.0.0.2", ECHO_REPLY, 0, "\x12\x34\x00\x01", 4);
    world_turn(&w);
    world_silence(&w);
    EXPECT_EQ(w.net.stats.icmp_in, 2);
    EXPECT_EQ(w.net.stats.icmp_out, 1);
    world_down(&w);
}

static void echo_that_does_not_fit_is_dropped(void)
{
    struct world w;
    uint8_t data[1500] = {0};
    world_up(&w, NULL);
    icmp_in_from(&w, "10.0.0.2", ECHO, 0, data, 1500 - 24);
    icmp_in_from(&w, "10.0.0.2", ECHO, 0, data, 1500 - 24 + 1);
    icmp_in_from(&w, "224.0.0.1", ECHO, 0, data, 4);
    icmp_in_from(&w, "192.0.2.9", ECHO, 0, data, 4); /* no way back */
    world_turn(&w);
    const struct packet *p = world_out(&w);
    CU_ASSERT(p && p->frame_len == 1514);
    world_silence(&w);
    world_down(&w);
}

/* An interface without an address has none to be asked under. */
static void no_address_is_no_address(void)
{
    struct world w;
    uint8_t frame[64];
    struct ip_addr none = world_ip("0.0.0.0");
    struct build_icmp i = {.l2 = {.src = world_mac(2), .dst = world_mac(1)},
                           .src = world_ip("10.0.0.2"),
                           .dst = none,
                           .type = ECHO,
                           .ttl = 64,
                           .data = (const uint8_t *)"\x12\x34\x00\x01",
                           .len = 4};
    world_up(&w, NULL);
    EXPECT_EQ(net_if_add(&w.net, &w.dev.io, "bare", &none, 0), 1);
    world_in_frame(&w, frame, build_icmp(frame, &i), 0);
    world_turn(&w);
    world_silence(&w);
    world_down(&w);
}

static void answers_are_rate_limited(void)
{
    struct world w;
    struct world_opts o = {.conf = world_conf};
    o.conf.rst_per_sec = 100;
    world_up(&w, &o);
    for (unsigned i = 0; i < 50; i++)
        icmp_in_from(&w, "10.0.0.2", ECHO, 0, "\x12\x34\x00\x01", 4);
    world_turn(&w);
    world_turn(&w);
    EXPECT_EQ(w.net.stats.icmp_in, 50);
    EXPECT_EQ(w.net.stats.icmp_out, 11); /* one, and what a tenth of a second saves up */
    world_down(&w);
}

/* ---- errors --------------------------------------------------------------------------------- */

/* RFC 9293 MUST-54, SHLD-26 */
static void a_hard_error_ends_a_connection_attempt(void)
{
    static const struct {
        uint8_t code;
        int err;
    } hard[] = {{2, ENOPROTOOPT},
                {3, ECONNREFUSED},
                {9, ENETUNREACH},
                {10, EHOSTUNREACH},
                {13, EHOSTUNREACH}};
    for (unsigned i = 0; i < sizeof(hard) / sizeof(hard[0]); i++) {
        struct world w;
        world_up(&w, NULL);
        struct tcp_conn *c = world_connect(&w);
        struct seg q = quote(c, c->iss);
        error_in(&w, UNREACHABLE, hard[i].code, &q, 0);
        EXPECT_EQ(c->state, TCPS_CLOSED);
        EXPECT_EQ(c->err, hard[i].err);
        net_conn_release(&w.net, c);
        world_down(&w);
    }
}

/* RFC 9293 MUST-54, MUST-56 */
static void a_soft_error_is_remembered(void)
{
    static const struct {
        uint8_t type, code;
        int err;
    } soft[] = {{UNREACHABLE, 0, ENETUNREACH},
                {UNREACHABLE, 1, EHOSTUNREACH},
                {UNREACHABLE, 5, EOPNOTSUPP},
                {TIME_EXCEEDED, 0, EHOSTUNREACH},
                {PARAMETER_PROBLEM, 0, EPROTO}};
    for (unsigned i = 0; i < sizeof(soft) / sizeof(soft[0]); i++) {
        struct world w;
        world_up(&w, NULL);
        struct tcp_conn *c = world_connect(&w);
        struct seg q = quote(c, c->iss);
        error_in(&w, soft[i].type, soft[i].code, &q, 0);
        EXPECT_EQ(c->state, TCPS_SYN_SENT);
        EXPECT_EQ(c->err, 0);
        EXPECT_EQ(c->soft_err, soft[i].err);
        world_down(&w);
    }
}

/* As Linux has it: who has sent a SYN and can't be reached is forgotten, and sends it again if it
 * can; its port has nothing to do with that. */
static void a_half_open_record_ends(void)
{
    static const struct {
        uint8_t type, code;
        uint32_t off;
        bool ends;
    } row[] = {{UNREACHABLE, 0, 0, true},   {UNREACHABLE, 1, 0, true},
               {UNREACHABLE, 3, 0, false},  {TIME_EXCEEDED, 0, 0, true},
               {UNREACHABLE, 1, 1, false},  {PARAMETER_PROBLEM, 0, 0, true},
               {SOURCE_QUENCH, 0, 0, false}};
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct world w;
        struct net_listener l;
        world_up(&w, NULL);
        world_listen(&w, &l, 10);
        world_syn(&w, 4000, 100);
        world_turn(&w);
        struct seg q = *world_expect(&w, 4000, TCP_SYN | TCP_ACK);
        q.tuple = (struct flow_tuple){world_ip("10.0.0.1"), world_ip("10.0.0.2"), 80, 4000};
        uint32_t iss = q.seq.v;
        q.seq = seq_add(q.seq, row[i].off);
        error_in(&w, row[i].type, row[i].code, &q, 0);
        EXPECT_EQ(w.net.n_half_open, !row[i].ends);
        EXPECT_EQ(w.net.stats.icmp_out_of_window, row[i].off > 0);
        world_seg(&w, 4000, TCP_ACK, 101, iss + 1);
        world_turn(&w);
        if (row[i].ends)
            EXPECT_EQ(world_expect(&w, 4000, TCP_RST)->seq.v, iss + 1);
        world_silence(&w);
        world_down(&w);
    }
}

/* A server's Fast Open that nobody has accepted yet is as good as half open; once accepted it is a
 * connection, which soft errors do not end. */
static void a_fast_open_ends_unless_accepted(void)
{
    for (unsigned accepted = 0; accepted < 2; accepted++) {
        struct world w;
        struct net_listener l;
        struct world_opts o = {.conf = world_conf};
        o.conf.fastopen = NET_FASTOPEN_SERVER | NET_FASTOPEN_SERVER_BLIND;
        world_up(&w, &o);
        world_listen(&w, &l, 10);
        l.fastopen_qlen = 1;
        struct seg s = {.tuple.local_port = 4000,
                        .flags = TCP_SYN,
                        .seq = seq_make(100),
                        .payload = (const uint8_t *)"hi",
                        .len = 2};
        world_in(&w, &s);
        world_turn(&w);
        struct seg q = *world_expect(&w, 4000, TCP_SYN | TCP_ACK);
        q.tuple = (struct flow_tuple){world_ip("10.0.0.1"), world_ip("10.0.0.2"), 80, 4000};
        struct tcp_conn *c = accepted ? net_accept(&w.net, &l) : NULL;
        if (c)
            c->sock = 1;
        q.seq = seq_add(q.seq, 1);
        error_in(&w, UNREACHABLE, 1, &q, 0);
        EXPECT_EQ(w.net.stats.icmp_out_of_window, 1);
        q.seq = seq_add(q.seq, (uint32_t)-1);
        error_in(&w, UNREACHABLE, 1, &q, 0);
        if (!c)
            c = net_accept(&w.net, &l);
        c->sock = 1;
        EXPECT_EQ(c->state, accepted ? TCPS_SYN_RCVD : TCPS_CLOSED);
        EXPECT_EQ(c->err, accepted ? 0 : EHOSTUNREACH);
        EXPECT_EQ(tcp_readable(c), 2);
        EXPECT_EQ(w.net.n_fastopen, accepted);
        if (!accepted)
            net_conn_release(&w.net, c);
        world_down(&w);
    }
}

/* RFC 9293 MUST-55 */
static void source_quench_is_ignored(void)
{
    struct world w;
    world_up(&w, NULL);
    struct tcp_conn *c = world_connect(&w);
    struct seg q = quote(c, c->iss);
    error_in(&w, SOURCE_QUENCH, 0, &q, 0);
    EXPECT_EQ(c->state, TCPS_SYN_SENT);
    EXPECT_EQ(c->err, 0);
    EXPECT_EQ(c->soft_err, 0);
    world_down(&w);
}

static struct tcp_conn *established(struct world *w, struct net_listener *l)
{
    world_listen(w, l, 10);
    world_handshake(w, 4000);
    struct tcp_conn *c = net_accept(&w->net, l);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->sock = 1;
    EXPECT_EQ(tcp_send(&w->net.env, c, "hello", 5), 5);
    world_turn(w);
    while (world_out(w))
        ;
    return c;
}

/* RFC 9293 MUST-56 */
static void nothing_ends_an_established_connection(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    struct tcp_conn *c = established(&w, &l);
    struct seg q = quote(c, seq_add(c->iss, 1));
    for (uint8_t code = 0; code < 20; code++)
        if (code != 4)
            error_in(&w, UNREACHABLE, code, &q, 0);
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    EXPECT_EQ(c->err, 0);
    world_down(&w);
}

static void an_error_about_nothing_in_flight_is_not_believed(void)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    struct tcp_conn *c = world_connect(&w);
    struct seg q = quote(c, seq_add(c->iss, 1));
    error_in(&w, UNREACHABLE, 3, &q, 0); /* beyond what was sent */
    q.seq = seq_add(c->iss, (uint32_t)-1);
    error_in(&w, UNREACHABLE, 3, &q, 0); /* before it */
    q.seq = c->iss;
    q.tuple.local_port ^= 1;
    error_in(&w, UNREACHABLE, 3, &q, 0); /* another connection's */
    EXPECT_EQ(c->state, TCPS_SYN_SENT);
    EXPECT_EQ(c->soft_err, 0);
    uint16_t mss = c->mss;
    struct tcp_conn *e = established(&w, &l);
    q = quote(e, seq_add(e->iss, 1 + 5));
    error_in(&w, UNREACHABLE, 4, &q, 1000);
    EXPECT_EQ(e->mss, mss);
    q.seq = seq_add(e->iss, 0);
    error_in(&w, UNREACHABLE, 4, &q, 1000);
    EXPECT_EQ(e->mss, mss);
    world_down(&w);
}

static void garbage_is_harmless(void)
{
    struct world w;
    uint8_t data[64];
    world_up(&w, NULL);
    struct tcp_conn *c = world_connect(&w);
    for (unsigned len = 0; len < sizeof(data); len++) {
        memset(data, 0x45, sizeof(data));
        icmp_in_from(&w, "10.0.0.2", UNREACHABLE, 3, data, len);
        icmp_in_from(&w, "10.0.0.2", (uint8_t)len, 0, data, len);
        world_turn(&w);
    }
    while (world_out(&w))
        ;
    EXPECT_EQ(c->state, TCPS_SYN_SENT);
    world_down(&w);
}

/* ---- path MTU ------------------------------------------------------------------------------- */

static uint16_t mss_after(uint16_t mtu)
{
    struct world w;
    struct net_listener l;
    world_up(&w, NULL);
    struct tcp_conn *c = established(&w, &l);
    struct seg q = quote(c, seq_add(c->iss, 1));
    error_in(&w, UNREACHABLE, 4, &q, mtu);
    uint16_t mss = c->mss;
    EXPECT_EQ(c->state, TCPS_ESTABLISHED);
    world_down(&w);
    return mss;
}

static void the_path_mtu_is_taken(void)
{
    EXPECT_EQ(mss_after(1400), 1360);
    EXPECT_EQ(mss_after(1500), 1460); /* not less: no news */
    EXPECT_EQ(mss_after(9000), 1460);
    EXPECT_EQ(mss_after(68), 512); /* what no sane path has counts as 552 */
    EXPECT_EQ(mss_after(0), 536);  /* a router that says nothing */
}

/* Who floods us with echo requests does not keep the path's word from us. */
static void a_flood_drowns_no_error(void)
{
    struct world w;
    struct net_listener l;
    struct world_opts o = {.conf = world_conf};
    o.conf.rst_per_sec = 100;
    world_up(&w, &o);
    struct tcp_conn *c = established(&w, &l);
    for (unsigned i = 0; i < 50; i++)
        icmp_in_from(&w, "10.0.0.2", ECHO, 0, "\x12\x34\x00\x01", 4);
    struct seg q = quote(c, seq_add(c->iss, 1));
    error_in(&w, UNREACHABLE, 4, &q, 1400);
    EXPECT_EQ(c->mss, 1360);
    world_down(&w);
}

/* ---- IPv6 ----------------------------------------------------------------------------------- */

static const struct world_opts with_v6 = {.conf = {.max_half_open = 100,
                                                   .port_min = 32768,
                                                   .port_max = 60999,
                                                   .rst_per_sec = 1000,
                                                   .pmtu_expires_s = 600},
                                          .is_v6 = true};

static void icmp6_in(struct world *w, const char *dst, uint8_t type, uint8_t code, const void *data,
                     uint32_t len)
{
    uint8_t frame[WORLD_ROOM];
    struct build_icmp i = {.l2 = {.src = world_mac(2), .dst = world_mac(1)},
                           .src = world_ip("fd00::2"),
                           .dst = world_ip(dst),
                           .type = type,
                           .code = code,
                           .ttl = 64,
                           .data = data,
                           .len = len};
    if (i.dst.b[0] == 0xff)
        i.l2.dst = mac_of_multicast6(&i.dst);
    world_in_frame(w, frame, build_icmp(frame, &i), 0);
    world_turn(w);
}

static void echo6_is_answered_with_its_data(void)
{
    static const char *const dst[] = {"fd00::1", "ff02::1"};
    struct world w;
    world_up(&w, &with_v6);
    for (unsigned i = 0; i < 2; i++) { /* all nodes are we, too (RFC 4443 4.2) */
        icmp6_in(&w, dst[i], ICMP6_ECHO, 0, "\x12\x34\x00\x01payload", 11);
        const struct packet *p = world_out(&w);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        EXPECT_EQ(p->kind, PACKET_ICMP_ECHO);
        EXPECT_EQ(p->icmp.type, ICMP6_ECHO_REPLY);
        EXPECT_EQ(memcmp(p->icmp.data, "\x12\x34\x00\x01payload", 11), 0);
        struct ip_addr us = world_ip("fd00::1"), peer = world_ip("fd00::2");
        CU_ASSERT(ip_addr_eq(&p->src, &us) && ip_addr_eq(&p->dst, &peer));
    }
    icmp6_in(&w, "fd00::1", ICMP6_ECHO_REPLY, 0, "\x12\x34\x00\x01", 4);
    icmp6_in(&w, "fd00::7", ICMP6_ECHO, 0, "\x12\x34\x00\x01", 4);
    icmp6_in(&w, "ff02::1:ff00:7", ICMP6_ECHO, 0, "\x12\x34\x00\x01", 4);
    world_silence(&w);
    world_down(&w);
}

/* An error about a segment of ours. */
static void error6_in(struct world *w, uint8_t type, uint8_t code, const struct seg *quoted,
                      uint32_t mtu)
{
    uint8_t data[4 + BUILD_HDR_MAX] = {0};
    be32_t word = be32_make(mtu);
    memcpy(data, &word, 4);
    (void)build_tcp(data + 4, NULL, quoted, 7);
    icmp6_in(w, "fd00::1", type, code, data, 4 + 60);
}

static void errors6_reach_their_connection(void)
{
    static const struct {
        uint8_t type, code;
        int err;
        bool is_hard;
    } errors[] = {{1, 0, ENETUNREACH, false},  {1, 1, EACCES, true},
                  {1, 3, EHOSTUNREACH, false}, {1, 4, ECONNREFUSED, true},
                  {3, 0, EHOSTUNREACH, false}, {4, 0, EPROTO, false}};
    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct world w;
        world_up(&w, &with_v6);
        struct tcp_conn *c = world_connect(&w);
        struct seg q = quote(c, c->iss);
        error6_in(&w, errors[i].type, errors[i].code, &q, 0);
        EXPECT_EQ((c->flags & TCF_DEAD) != 0, errors[i].is_hard);
        EXPECT_EQ(errors[i].is_hard ? c->err : c->soft_err, errors[i].err);
        if (!(c->flags & TCF_DEAD))
            tcp_abort(&w.net.env, c, HOOK_END_ABORT, ECONNABORTED);
        net_conn_release(&w.net, c);
        world_turn(&w);
        world_down(&w);
    }
}

static void a_packet_too_big_lowers_the_mss(void)
{
    struct world w;
    struct net_listener l;
    uint8_t bytes[100] = {0};
    world_up(&w, &with_v6);
    world_listen(&w, &l, 10);
    world_handshake(&w, 4000);
    struct tcp_conn *c = net_accept(&w.net, &l);
    c->sock = 1;
    EXPECT_EQ(c->mss, 1440);
    EXPECT_EQ(tcp_send(&w.net.env, c, bytes, sizeof(bytes)), 100);
    world_turn(&w);
    struct seg q = quote(c, seq_add(c->iss, 1000));
    error6_in(&w, ICMP6_PACKET_TOO_BIG, 0, &q, 1400); /* not in flight */
    EXPECT_EQ(c->mss, 1440);
    q.seq = seq_add(c->iss, 1);
    error6_in(&w, ICMP6_PACKET_TOO_BIG, 0, &q, 1400);
    EXPECT_EQ(c->mss, 1340);
    error6_in(&w, ICMP6_PACKET_TOO_BIG, 0, &q, 1279); /* no link takes less: RFC 8201 4 */
    EXPECT_EQ(c->mss, 1340);
    error6_in(&w, ICMP6_PACKET_TOO_BIG, 0, &q, 1280);
    EXPECT_EQ(c->mss, 1220);
    tcp_abort(&w.net.env, c, HOOK_END_ABORT, ECONNABORTED);
    net_conn_release(&w.net, c);
    net_unlisten(&w.net, &l);
    world_turn(&w);
    world_down(&w);
}

static void what_can_not_be_taken_is_told(void)
{
    uint8_t frame[200], options[16] = {IP_PROTO_TCP, 1, 0x85, 12};
    struct model_ip6 m = {world_ip("fd00::2"), world_ip("fd00::1"), 60, 64};
    struct build_l2 l2 = {.src = world_mac(2), .dst = world_mac(1)};
    struct world w;
    world_up(&w, &with_v6);
    uint32_t len = model_ip6_frame(frame, &l2, &m, options, sizeof(options));
    world_in_frame(&w, frame, len, 0);
    world_turn(&w);
    const struct packet *p = world_out(&w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    EXPECT_EQ(p->kind, PACKET_ICMP_ERROR);
    EXPECT_EQ(p->icmp.type, ICMP6_PARAMETER_PROBLEM);
    EXPECT_EQ(p->icmp.code, 2);
    EXPECT_EQ(p->icmp.data[3], 42);
    EXPECT_EQ(memcmp(p->icmp.data + 4, frame + ETH_HDR_LEN, len - ETH_HDR_LEN), 0);
    m.dst = world_ip("fd00::7"); /* not to us */
    world_in_frame(&w, frame, model_ip6_frame(frame, &l2, &m, options, sizeof(options)), 0);
    m.dst = world_ip("fd00::1");
    m.src = world_ip("::"); /* nobody to tell */
    world_in_frame(&w, frame, model_ip6_frame(frame, &l2, &m, options, sizeof(options)), 0);
    world_turn(&w);
    world_silence(&w);
    world_down(&w);
}

TEST_SUITE(icmp, TEST_CASE(a_half_open_record_ends), TEST_CASE(a_fast_open_ends_unless_accepted),
           TEST_CASE(echo_is_answered_with_its_data), TEST_CASE(echo_that_does_not_fit_is_dropped),
           TEST_CASE(no_address_is_no_address), TEST_CASE(answers_are_rate_limited),
           TEST_CASE(a_hard_error_ends_a_connection_attempt), TEST_CASE(a_soft_error_is_remembered),
           TEST_CASE(nothing_ends_an_established_connection),
           TEST_CASE(an_error_about_nothing_in_flight_is_not_believed),
           TEST_CASE(garbage_is_harmless), TEST_CASE(the_path_mtu_is_taken),
           TEST_CASE(echo6_is_answered_with_its_data), TEST_CASE(errors6_reach_their_connection),
           TEST_CASE(a_packet_too_big_lowers_the_mss), TEST_CASE(a_flood_drowns_no_error),
           TEST_CASE(what_can_not_be_taken_is_told), TEST_CASE(source_quench_is_ignored));

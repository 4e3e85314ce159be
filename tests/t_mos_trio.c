/*
 * A monitor in the wire between two endpoints that have monitors of their own: all three see the
 * same, and the bytes that the one in the middle sees are those that the applications read.
 */
#include "mtcp/base/mem.h"
#include "mtcp/core/ctx.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/parse.h"
#include "tests/test.h"
#include "tests/trio.h"

#include <mos_api.h>
#include <mtcp_epoll.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct trio t;
struct view {
    char text[4096];
    size_t len;
};
static struct view saw[TRIO_N], ended[TRIO_N]; /* CONN_END comes at different times */

static enum trio_role role_of(mctx_t m)
{
    enum trio_role r = TRIO_SRV;
    while (t.m[r] != m)
        r++;
    return r;
}

static int get_int(mctx_t m, int sock, int name)
{
    int v = -12345;
    socklen_t len = sizeof(v);
    return mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, &v, &len) == 0 ? v : -12345;
}

/* ---- three views ----------------------------------------------------------------------------- */

static void record(mctx_t m, char hook, int sock, int side, event_t ev)
{
    static const char *const events[] = {"PKT", "",      "START", "",       "DATA", "ERROR",
                                         "",    "STATE", "",      "REXMIT", "END"};
    enum trio_role r = role_of(m);
    int value = 0;
    if (ev == MOS_ON_TCP_STATE_CHANGE)
        value = get_int(m, sock, side == MOS_SIDE_SVR ? MOS_TCP_STATE_SVR : MOS_TCP_STATE_CLI);
    else if (ev == MOS_ON_CONN_END)
        value = get_int(m, sock, MOS_END_REASON);
    struct view *v = ev == MOS_ON_CONN_END ? &ended[r] : &saw[r];
    v->len += (size_t)snprintf(v->text + v->len, sizeof(v->text) - v->len, "%c%c %s %d; ", hook,
                               "CS"[side], events[__builtin_ctzll(ev)], value);
    CU_ASSERT_FATAL(v->len < sizeof(v->text));
}

static void cb_snd(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)arg;
    record(m, 'S', sock, side, ev);
}

static void cb_rcv(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)arg;
    record(m, 'R', sock, side, ev);
}

static void cb_null(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char buf[64];
    (void)arg;
    record(m, 'N', sock, side, ev);
    while (mtcp_peek(m, sock, side, buf, sizeof(buf)) > 0)
        ;
}

static void watch_all(void)
{
    for (unsigned r = 0; r < TRIO_N; r++) {
        int s = mtcp_socket(t.m[r], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        CU_ASSERT_FATAL(s >= 0);
        const event_t both[] = {MOS_ON_PKT_IN, MOS_ON_CONN_START, MOS_ON_TCP_STATE_CHANGE,
                                MOS_ON_CONN_END};
        for (unsigned i = 0; i < 4; i++) {
            EXPECT_EQ(mtcp_register_callback(t.m[r], s, both[i], MOS_HK_SND, cb_snd), 0);
            EXPECT_EQ(mtcp_register_callback(t.m[r], s, both[i], MOS_HK_RCV, cb_rcv), 0);
        }
        EXPECT_EQ(mtcp_register_callback(t.m[r], s, MOS_ON_REXMIT, MOS_HK_RCV, cb_rcv), 0);
        EXPECT_EQ(mtcp_register_callback(t.m[r], s, MOS_ON_CONN_NEW_DATA, MOS_NULL, cb_null), 0);
        EXPECT_EQ(mtcp_register_callback(t.m[r], s, MOS_ON_ERROR, MOS_NULL, cb_null), 0);
    }
    memset(saw, 0, sizeof(saw));
    memset(ended, 0, sizeof(ended));
}

static void expect_same(enum trio_role a, enum trio_role b, int line)
{
    bool same = saw[a].len > 0 && strcmp(saw[a].text, saw[b].text) == 0;
    if (!same)
        fprintf(stderr, "\n%s:%d: %d saw\n  %s\n%d saw\n  %s\n", __FILE__, line, a, saw[a].text, b,
                saw[b].text);
    CU_assertImplementation(same, (unsigned)line, "views", __FILE__, "", CU_FALSE);
}

static void forget(void)
{
    memset(saw, 0, sizeof(saw));
}

/* Sooner or later, TIME_WAIT's end included, and for what it was. */
static void all_have_ended(int srv, int mid, int cli)
{
    const int why[TRIO_N] = {[TRIO_SRV] = srv, [TRIO_MID] = mid, [TRIO_CLI] = cli};
    char want[128];
    for (unsigned i = 0; i < 70; i++)
        trio_step(&t, 1000000);
    for (unsigned r = 0; r < TRIO_N; r++) {
        snprintf(want, sizeof(want), "RC END %d; SC END %d; RS END %d; SS END %d; ", why[r], why[r],
                 why[r], why[r]);
        if (strcmp(ended[r].text, want) != 0)
            fprintf(stderr, "\n%s: view %u ended with\n  %s\nexpected\n  %s\n", __FILE__, r,
                    ended[r].text, want);
        CU_ASSERT_STRING_EQUAL(ended[r].text, want);
    }
}

#define ALL_SAW_THE_SAME()                                                                         \
    do {                                                                                           \
        expect_same(TRIO_SRV, TRIO_MID, __LINE__);                                                 \
        expect_same(TRIO_CLI, TRIO_MID, __LINE__);                                                 \
        forget();                                                                                  \
    } while (0)

static int srv_sock, cli_sock;

static void connection(void)
{
    int l = trio_listen(&t, 80);
    cli_sock = trio_connect(&t, 80);
    trio_run(&t, 10000);
    srv_sock = mtcp_accept4(t.m[TRIO_SRV], l, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT_FATAL(srv_sock >= 0);
}

static void begin(void)
{
    trio_open(&t, NULL);
    watch_all();
    connection();
    ALL_SAW_THE_SAME();
}

static void client_closes_first(void)
{
    char buf[16];
    begin();
    EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], cli_sock, "hello", 5), 5);
    trio_run(&t, 100000);
    EXPECT_EQ(mtcp_write(t.m[TRIO_SRV], srv_sock, "world", 5), 5);
    trio_run(&t, 100000);
    EXPECT_EQ(mtcp_read(t.m[TRIO_SRV], srv_sock, buf, sizeof(buf)), 5);
    EXPECT_EQ(mtcp_shutdown(t.m[TRIO_CLI], cli_sock, SHUT_WR), 0);
    trio_run(&t, 100000);
    EXPECT_EQ(mtcp_write(t.m[TRIO_SRV], srv_sock, "more", 4), 4);
    trio_run(&t, 100000);
    EXPECT_EQ(mtcp_close(t.m[TRIO_SRV], srv_sock), 0);
    trio_run(&t, 100000);
    ALL_SAW_THE_SAME();
    EXPECT_EQ(mtcp_read(t.m[TRIO_CLI], cli_sock, buf, sizeof(buf)), 9);
    EXPECT_EQ(ended[TRIO_MID].len, 0); /* it waits for TIME_WAIT, which is not the server's */
    EXPECT_EQ(mtcp_close(t.m[TRIO_CLI], cli_sock), 0);
    all_have_ended(MOS_END_FIN, MOS_END_FIN, MOS_END_FIN);
    trio_close(&t);
}

static void server_closes_first(void)
{
    begin();
    EXPECT_EQ(mtcp_close(t.m[TRIO_SRV], srv_sock), 0);
    trio_run(&t, 100000);
    EXPECT_EQ(mtcp_close(t.m[TRIO_CLI], cli_sock), 0);
    trio_run(&t, 100000);
    ALL_SAW_THE_SAME();
    EXPECT_EQ(ended[TRIO_MID].len, 0);
    all_have_ended(MOS_END_FIN, MOS_END_FIN, MOS_END_FIN);
    trio_close(&t);
}

/* A packet that one end lacks: the other one and who sees it pass say the same. */
static void retransmission(void)
{
    char buf[16];
    begin();
    t.cut[TRIO_CLI] = true; /* the acknowledgement does not come */
    EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], cli_sock, "hello", 5), 5);
    trio_run(&t, 60000);
    t.cut[TRIO_CLI] = false;
    trio_run(&t, 1000000);
    CU_ASSERT_PTR_NOT_NULL(strstr(saw[TRIO_MID].text, "SC PKT 0; RS REXMIT 0; RS PKT 0; "));
    expect_same(TRIO_SRV, TRIO_MID, __LINE__);
    forget();
    t.cut[TRIO_SRV] = true; /* the data does not */
    EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], cli_sock, "world", 5), 5);
    trio_run(&t, 60000);
    t.cut[TRIO_SRV] = false;
    trio_run(&t, 1000000);
    CU_ASSERT_PTR_NOT_NULL(strstr(saw[TRIO_MID].text, "SC PKT 0; RS REXMIT 0; RS PKT 0; "));
    expect_same(TRIO_CLI, TRIO_MID, __LINE__);
    EXPECT_EQ(mtcp_read(t.m[TRIO_SRV], srv_sock, buf, sizeof(buf)), 10);
    EXPECT_EQ(mtcp_abort(t.m[TRIO_SRV], srv_sock), 0);
    EXPECT_EQ(mtcp_close(t.m[TRIO_CLI], cli_sock), 0);
    trio_close(&t);
}

/* FINs that cross: each end has sent its own first; in between one of them comes first. */
static void both_close_at_once(void)
{
    struct mtcp_epoll_event ev;
    begin();
    EXPECT_EQ(mtcp_close(t.m[TRIO_SRV], srv_sock), 0);
    EXPECT_EQ(mtcp_close(t.m[TRIO_CLI], cli_sock), 0);
    mtcp_epoll_wait(t.m[TRIO_SRV], t.ep[TRIO_SRV], &ev, 1, 0);
    mtcp_epoll_wait(t.m[TRIO_CLI], t.ep[TRIO_CLI], &ev, 1, 0);
    trio_run(&t, 100000);
    CU_ASSERT_PTR_NOT_NULL(strstr(saw[TRIO_MID].text, "STATE 8; "));
    expect_same(saw[TRIO_MID].text[1] == 'S' ? TRIO_SRV : TRIO_CLI, TRIO_MID, __LINE__);
    all_have_ended(MOS_END_FIN, MOS_END_FIN, MOS_END_FIN);
    trio_close(&t);
}

static void abort_by_the_client(void)
{
    begin();
    EXPECT_EQ(mtcp_abort(t.m[TRIO_CLI], cli_sock), 0);
    trio_run(&t, 100000);
    expect_same(TRIO_SRV, TRIO_MID, __LINE__); /* the client's own end is told by CONN_END */
    EXPECT_EQ(mtcp_close(t.m[TRIO_SRV], srv_sock), 0);
    all_have_ended(MOS_END_RST_IN, MOS_END_RST_IN, MOS_END_ABORT);
    trio_close(&t);
}

static void refused_by_the_server(void)
{
    trio_open(&t, NULL);
    watch_all();
    cli_sock = trio_connect(&t, 81);
    trio_run(&t, 100000);
    expect_same(TRIO_CLI, TRIO_MID, __LINE__);
    EXPECT_EQ(mtcp_close(t.m[TRIO_CLI], cli_sock), 0);
    trio_close(&t);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static uint8_t byte_at(int side, uint64_t off)
{
    return (uint8_t)(off * 131 + off / 251 + (uint64_t)side * 77);
}

static uint64_t mon_off[2]; /* what the monitor has read of each side */
static unsigned n_wrong, n_lost, n_ended;

static void read_new(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    uint8_t buf[4096];
    ssize_t n;
    (void)arg;
    if (ev == MOS_ON_CONN_END) {
        n_ended++;
        return;
    }
    while ((n = mtcp_peek(m, sock, side, (char *)buf, sizeof(buf))) > 0)
        for (ssize_t i = 0; i < n; i++)
            n_wrong += buf[i] != byte_at(side, mon_off[side]++);
    n_lost += n < -1;
}

static void watch_bytes(void)
{
    mctx_t m = t.m[TRIO_MID];
    int s = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_CONN_NEW_DATA, MOS_NULL, read_new), 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_CONN_END, MOS_HK_RCV, read_new), 0);
    mon_off[0] = mon_off[1] = 0;
    n_wrong = n_lost = n_ended = 0;
}

/* One direction of one connection; `side` receives. */
struct flow_of_bytes {
    enum trio_role from, to;
    int tx, rx, side;
    uint64_t total, written, read;
};

static void move_bytes(struct flow_of_bytes *f)
{
    uint8_t buf[3000];
    uint64_t n = f->total - f->written;
    if (n > sizeof(buf))
        n = 1 + rng_below(&t.rng, sizeof(buf));
    for (uint64_t i = 0; i < n; i++)
        buf[i] = byte_at(f->side, f->written + i);
    ssize_t done = n ? mtcp_write(t.m[f->from], f->tx, (char *)buf, n) : 0;
    f->written += done > 0 ? (uint64_t)done : 0;
    if (rng_below(&t.rng, 4) == 0)
        return;
    done = mtcp_read(t.m[f->to], f->rx, (char *)buf, 1 + rng_below(&t.rng, sizeof(buf)));
    for (ssize_t i = 0; i < done; i++)
        n_wrong += buf[i] != byte_at(f->side, f->read++);
    if (f->read > mon_off[f->side])
        n_wrong++; /* the application was first */
}

static void lossy(uint64_t seed)
{
    trio_open(&t, NULL);
    watch_bytes();
    size_t mem = mem_in_use(ctx_of(t.m[TRIO_MID])->mem);
    connection();
    rng_init(&t.rng, seed);
    t.per_mille = rng_below(&t.rng, 60);
    struct flow_of_bytes f[2] = {
        {TRIO_CLI, TRIO_SRV, cli_sock, srv_sock, MOS_SIDE_SVR, rng_below(&t.rng, 150000), 0, 0},
        {TRIO_SRV, TRIO_CLI, srv_sock, cli_sock, MOS_SIDE_CLI, rng_below(&t.rng, 150000), 0, 0}};
    for (unsigned i = 0; i < 100000 && f[0].read + f[1].read < f[0].total + f[1].total; i++) {
        move_bytes(&f[0]);
        move_bytes(&f[1]);
        trio_step(&t, 1000);
    }
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ(f[i].read, f[i].total);
        EXPECT_EQ(mon_off[f[i].side], f[i].total);
    }
    EXPECT_EQ(mtcp_close(t.m[TRIO_CLI], cli_sock), 0);
    EXPECT_EQ(mtcp_close(t.m[TRIO_SRV], srv_sock), 0);
    trio_run(&t, 1000000);
    t.per_mille = 0;
    for (unsigned i = 0; i < 300; i++)
        trio_step(&t, 1000000);
    EXPECT_EQ(n_wrong, 0);
    EXPECT_EQ(n_lost, 0);
    EXPECT_EQ(n_ended, 2);
    CU_ASSERT_TRUE(mem_in_use(ctx_of(t.m[TRIO_MID])->mem) < mem + 3000000); /* the tables */
    if (n_wrong || n_lost || n_ended != 2)
        fprintf(stderr, "lossy: seed %llu\n", (unsigned long long)seed);
    trio_close(&t);
}

static void bytes_through_a_bad_link(void)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < 12; i++)
        lossy(seed + i);
}

/* ---- a sender that wants to be misread ------------------------------------------------------- */

#define STREAM_MAX 100000u

static uint8_t mon_bytes[STREAM_MAX], app_bytes[STREAM_MAX];
static uint64_t n_mon, n_app;
static uint32_t srv_isn;

static void keep_new(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    ssize_t n;
    (void)arg, (void)ev;
    if (side != MOS_SIDE_SVR)
        return;
    while ((n = mtcp_peek(m, sock, side, (char *)mon_bytes + n_mon, STREAM_MAX - n_mon)) > 0)
        n_mon += (uint64_t)n;
    n_lost += n < -1;
}

static void say_nothing(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)ev, (void)arg;
}

static void watch_with_policy(enum trio_role r, int policy, callback_t cb)
{
    int s = mtcp_socket(t.m[r], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_register_callback(t.m[r], s, MOS_ON_CONN_NEW_DATA, MOS_NULL, cb), 0);
    EXPECT_EQ(mtcp_setsockopt(t.m[r], s, SOL_MONSOCKET, MOS_SVROVERLAP, &policy, sizeof(policy)),
              0);
}

/* A segment of the client, which begins at offset `off` of its stream. */
static void evil_sends(uint8_t flags, int64_t off, int64_t ack, uint32_t len, bool is_broken)
{
    uint8_t frame[2048];
    struct build_l2 l2 = {.src = {.b = {2, 0, 0, 0, 0, 2}}};
    memcpy(l2.dst.b, t.end[0].real->mac, 6);
    struct seg s = {
        .tuple = {ip_addr_v4(be32_make(0x0a000002)), ip_addr_v4(be32_make(0x0a000001)), 4000, 80},
        .seq = seq_of_off(seq_make(0xfffff000), off),
        .ack = seq_of_off(seq_make(srv_isn), ack),
        .flags = flags,
        .wnd = 30000,
        .ttl = 64,
        .len = len,
    };
    struct build_lens lens = build_tcp(frame, &l2, &s, 7);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    for (uint32_t i = 0; i < len; i++)
        frame[hdrs + i] = (uint8_t)rng_u32(&t.rng);
    build_tcp_csum(frame, lens, len, (struct build_offload){0});
    if (is_broken)
        frame[hdrs - 1] ^= 0x10;
    trio_send(&t, TRIO_CLI, frame, hdrs + len);
}

static void evil_connects(void)
{
    uint8_t frame[2048];
    struct packet p = {0};
    evil_sends(TCP_SYN, -1, 0, 0, false);
    trio_step(&t, 1000);
    uint32_t len;
    do
        len = trio_receive(&t, TRIO_CLI, frame, sizeof(frame));
    while (len > 0 &&
           (packet_parse(&p, frame, len, PACKET_CSUM_UNKNOWN) != 0 || p.kind != PACKET_TCP));
    CU_ASSERT_FATAL(len > 0);
    srv_isn = p.seg.seq.v;
    evil_sends(TCP_ACK, 0, 0, 0, false);
    trio_step(&t, 1000);
}

static void app_reads(uint32_t max)
{
    ssize_t n = mtcp_read(t.m[TRIO_SRV], srv_sock, (char *)app_bytes + n_app, max);
    n_app += n > 0 ? (uint64_t)n : 0;
}

static void evil_tries(void)
{
    int64_t near = (int64_t)n_mon;
    int64_t off = near - 50 + (int64_t)rng_below(&t.rng, 150);
    uint32_t len = 1 + rng_below(&t.rng, 60);
    switch (rng_below(&t.rng, 16)) {
    case 0:
        evil_sends(TCP_RST, near + 200 + (int64_t)rng_below(&t.rng, 100), 0, 0, false);
        break;
    case 1:
        evil_sends(TCP_ACK, off, 1 + (int64_t)rng_below(&t.rng, 100), len, false);
        break;
    case 2:
        evil_sends(TCP_ACK, off, -40000, len, false);
        break;
    case 3:
        evil_sends(TCP_ACK, near + (int64_t)rng_below(&t.rng, 200000), 0, len, false);
        break;
    case 4:
        evil_sends(0, off, 0, len, false);
        break;
    case 5:
        evil_sends(TCP_SYN | TCP_ACK, off, 0, len, false);
        break;
    case 6:
        evil_sends(TCP_ACK, off, 0, len, true);
        break;
    case 7:
        evil_sends(TCP_ACK | TCP_URG, off, 0, len, false);
        break;
    case 8:
        evil_sends(TCP_ACK, near - 1, 0, 0, false);
        break;
    case 9:
        evil_sends(TCP_ACK | TCP_FIN, near - 30, 0, 10, false);
        break;
    default:
        evil_sends(TCP_ACK, off, 0, len, false);
        break;
    }
}

static void evil(uint64_t seed, int policy)
{
    uint8_t frame[2048];
    trio_open(&t, &(struct trio_conf){
                      .ends = "rmem_size = 4096 arp \"10.0.0.2\" { mac = \"02:00:00:00:00:02\" "
                              "netdev = pair0 }",
                      .no_client = true});
    rng_init(&t.rng, seed);
    n_mon = n_app = 0;
    n_lost = 0;
    watch_with_policy(TRIO_MID, policy, keep_new);
    watch_with_policy(TRIO_SRV, policy, say_nothing);
    int l = trio_listen(&t, 80);
    evil_connects();
    srv_sock = mtcp_accept4(t.m[TRIO_SRV], l, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT_FATAL(srv_sock >= 0);
    for (unsigned i = 0; i < 600; i++) {
        evil_tries();
        if (rng_below(&t.rng, 3) > 0)
            trio_step(&t, 1 + rng_below(&t.rng, 3000));
        if (rng_below(&t.rng, 3) == 0)
            app_reads(1 + rng_below(&t.rng, 200));
        while (trio_receive(&t, TRIO_CLI, frame, sizeof(frame)) > 0)
            ;
    }
    trio_step(&t, 1000);
    for (uint64_t before = 1; before != n_app;) {
        before = n_app;
        app_reads(STREAM_MAX / 2);
        trio_step(&t, 1000);
    }
    EXPECT_EQ(n_app, n_mon);
    EXPECT_EQ(n_lost, 0);
    CU_ASSERT_TRUE(n_app > 500);
    EXPECT_EQ(memcmp(app_bytes, mon_bytes, n_app < n_mon ? n_app : n_mon), 0);
    if (n_app != n_mon || n_lost || memcmp(app_bytes, mon_bytes, n_app) != 0)
        fprintf(stderr, "evil: seed %llu policy %d\n", (unsigned long long)seed, policy);
    EXPECT_EQ(mtcp_abort(t.m[TRIO_SRV], srv_sock), 0);
    trio_close(&t);
}

static void evasive_overlaps(void)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < 20; i++) {
        evil(seed + i, MOS_OVERLAP_POLICY_FIRST);
        evil(seed + i, MOS_OVERLAP_POLICY_LAST);
    }
}

TEST_SUITE(mos_trio, TEST_CASE(client_closes_first), TEST_CASE(server_closes_first),
           TEST_CASE(retransmission), TEST_CASE(both_close_at_once), TEST_CASE(abort_by_the_client),
           TEST_CASE(refused_by_the_server), TEST_CASE(bytes_through_a_bad_link),
           TEST_CASE(evasive_overlaps));

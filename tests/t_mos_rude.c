/*
 * Monitors that misbehave, inside real endpoints and between them: in each callback a few calls of
 * any kind, with any argument, on any socket, also one that is gone. Connections and bytes are as
 * without them, unless what they ask for is their end; and then nothing is left of these.
 */
#include "mtcp/base/rng.h"
#include "tests/duo.h"
#include "tests/test.h"
#include "tests/trio.h"

#include <mos_api.h>
#include <mtcp_epoll.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define SOCKS      32
#define EVENTS     16
#define APPS       16
#define ROUNDS_MAX 100 /* until what chance brings is enough */

static struct duo d;
static struct trio t;
static struct rng rng;
static unsigned n_calls, n_filters, n_timers;
static bool is_ending; /* the contexts are */
static bool may_end;   /* what callbacks do may end connections */
static bool may_drop;  /* ... or cost them a packet */

/* Ids that were seen, of both contexts: many of them are stale. */
static int socks[SOCKS];

/* Built-in events first, then such as callbacks have defined. */
static event_t events[EVENTS];

static void on_any(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg);
static bool on_filter(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg);

static int any_sock(int now)
{
    switch (rng_below(&rng, 4)) {
    case 0:
        return socks[rng_below(&rng, SOCKS)];
    case 1:
        return (int)rng_u32(&rng);
    default:
        return now;
    }
}

static const int hooks[] = {MOS_HK_SND, MOS_HK_RCV, MOS_NULL, 0};

static void monitor_open(mctx_t m)
{
    int type = rng_below(&rng, 4) ? MOS_SOCK_MONITOR_STREAM : MOS_SOCK_MONITOR_RAW;
    int s = mtcp_socket(m, AF_UNSPEC, type, 0);
    for (unsigned bit = 0; s >= 0 && bit < 12; bit++)
        for (unsigned i = 0; i < 3; i++)
            (void)mtcp_register_callback(m, s, 1ull << bit, hooks[i], on_any);
    socks[rng_below(&rng, SOCKS)] = s;
}

/* ---- rude calls ------------------------------------------------------------------------------ */

static event_t any_event(void)
{
    return rng_below(&rng, 8) ? events[rng_below(&rng, EVENTS)] : rng_u64(&rng);
}

static void rude_callbacks(mctx_t m, int sock)
{
    event_t ev = any_event();
    int hook = hooks[rng_below(&rng, 4)];
    if (rng_below(&rng, 3))
        (void)mtcp_register_callback(m, sock, ev, hook, on_any);
    else
        (void)mtcp_unregister_callback(m, sock, ev, hook);
}

/* Defined and raised where they run, whatever they come from. */
static void rude_events(mctx_t m)
{
    uint32_t number = rng_below(&rng, 4);
    struct filter_arg arg = {.arg = &number, .len = sizeof(number)};
    event_t ev = rng_below(&rng, 2) ? mtcp_alloc_event(any_event())
                                    : mtcp_define_event(any_event(), on_filter, &arg);
    if (ev != 0)
        events[12 + rng_below(&rng, EVENTS - 12)] = ev;
    for (unsigned i = 0; i < EVENTS; i++)
        (void)mtcp_raise_event(m, events[i]);
    (void)mtcp_define_event(any_event(), NULL, &arg);
    (void)mtcp_raise_event(m, rng_u64(&rng));
}

static void on_timer(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    n_timers++;
    (void)mtcp_canceltimer(m, id);
    (void)mtcp_raise_event(m, events[0]);
    if (rng_below(&rng, 3) == 0)
        (void)mtcp_settimer(m, id, &(struct timeval){0}, on_timer);
    on_any(m, id, side, ev, arg);
}

static void rude_timers(mctx_t m)
{
    struct timeval in = {0, (suseconds_t)rng_below(&rng, 3000)};
    int id = (int)rng_below(&rng, 8);
    if (rng_below(&rng, 4))
        (void)mtcp_settimer(m, id, &in, on_timer);
    else
        (void)mtcp_canceltimer(m, id);
    (void)mtcp_settimer(m, id, &in, NULL);
    (void)mtcp_settimer(m, id, NULL, on_timer);
}

static void rude_filters(mctx_t m, int sock)
{
    static char text[][24] = {"tcp", "host (", "", "port 80 or ip6"};
    union monitor_filter ft = {.stream_syn_filter = text[rng_below(&rng, 4)],
                               .stream_orphan_filter = text[rng_below(&rng, 4)]};
    (void)mtcp_bind_monitor_filter(m, mtcp_get_passive(m, sock), &ft);
    (void)mtcp_bind_monitor_filter(m, sock, &ft);
}

/* All ids that there are, and back. */
static void rude_exhaustion(mctx_t m)
{
    int more[64], n = 0;
    while (n < 64 &&
           (more[n] = mtcp_socket(m, AF_UNSPEC,
                                  n % 2 ? MOS_SOCK_MONITOR_RAW : MOS_SOCK_MONITOR_STREAM, 0)) >= 0)
        n++;
    while (n-- > 0)
        EXPECT_EQ(mtcp_close(m, more[n]), 0);
}

static void rude_peeks(mctx_t m, int sock)
{
    static const uint64_t far[] = {0, 1, UINT32_MAX, 1ull << 40, INT64_MAX, UINT64_MAX};
    char buf[64];
    struct iovec iov[2];
    int side = (int)rng_below(&rng, 4) - 1;
    (void)mtcp_ppeek(m, sock, side, buf, rng_below(&rng, sizeof(buf)), far[rng_below(&rng, 6)]);
    (void)mtcp_ppeek(m, sock, side, buf, sizeof(buf), rng_u64(&rng) >> rng_below(&rng, 64));
    (void)mtcp_ppeek(m, sock, side, NULL, SIZE_MAX, 0);
    (void)mtcp_peek(m, sock, side, NULL, 1);
    (void)mtcp_peek_iov(m, sock, side, NULL);
    (void)mtcp_peek_consume(m, sock, side, SIZE_MAX >> rng_below(&rng, 64));
    if (rng_below(&rng, 2))
        (void)mtcp_peek(m, sock, side, buf, rng_below(&rng, sizeof(buf)));
    (void)mtcp_peek_iov(m, sock, side, iov);
}

static void rude_options(mctx_t m, int sock)
{
    static const int sizes[] = {0, 1, 4096, 1 << 20, INT32_MAX, -1};
    int name = (int)rng_below(&rng, 0x18), size = sizes[rng_below(&rng, 6)];
    char buf[256];
    socklen_t len = rng_below(&rng, 2) ? rng_below(&rng, sizeof(buf)) : 4;
    struct tcp_ring_fragment runs[4];
    socklen_t n = rng_below(&rng, 5);
    if (name != MOS_STOP_MON || rng_below(&rng, 8) == 0) {
        int value = name == MOS_STOP_MON ? (int)rng_below(&rng, 4) : size;
        (void)mtcp_setsockopt(m, sock, SOL_MONSOCKET, name, &value, sizeof(value));
        (void)mtcp_setsockopt(m, sock, SOL_MONSOCKET, name, NULL, sizeof(value));
    }
    if (name == MOS_FRAGINFO_CLIBUF || name == MOS_FRAGINFO_SVRBUF)
        (void)mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, runs, &n);
    else
        (void)mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, buf, &len);
}

static void rude_packets(mctx_t m, int sock)
{
    struct pkt_info p;
    byte data[4] = {0};
    int side = (int)rng_below(&rng, 4) - 1;
    (void)mtcp_getlastpkt(m, sock, side, &p);
    (void)mtcp_getlastpkt(m, sock, side, NULL);
    (void)mtcp_setlastpkt(m, sock, side, (off_t)rng_u64(&rng), data, sizeof(data), MOS_OVERWRITE);
    (void)mtcp_setlastpkt(m, sock, side, 0, NULL, 4, MOS_INSERT | MOS_TCP_PAYLOAD);
    (void)mtcp_setlastpkt(m, sock, side, 0, data, 4, MOS_DROP | MOS_INSERT);
}

/* What would run the loop, or end it, from inside. */
static void rude_loops(mctx_t m)
{
    struct mtcp_epoll_event ev;
    int ep = m == t.m[TRIO_MID] ? t.ep[TRIO_MID] : m == d.srv ? d.srv_ep : d.cli_ep;
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, -1), -1);
    CU_ASSERT(errno == EDEADLK || is_ending); /* its epoll may be gone then */
    EXPECT_EQ(mtcp_destroy_context(m), -1);
    EXPECT_EQ(errno, EDEADLK);
}

static void rude_sockets(mctx_t m, int sock)
{
    int passive = mtcp_get_passive(m, sock);
    mtcp_set_uctx(m, sock, &d);
    (void)mtcp_get_uctx(m, passive);
    switch (rng_below(&rng, 12)) {
    case 0:
        (void)mtcp_close(m, passive);
        monitor_open(m);
        break;
    case 1:
        monitor_open(m);
        break;
    case 2:
    case 3:
        if (mtcp_get_passive(m, sock) >= 0) /* a monitor's, not the endpoint's */
            (void)mtcp_close(m, sock);
        break;
    default:
        break;
    }
}

/* ---- the application's calls, from anywhere ------------------------------------------------- */

/* Its sockets, listeners too. All write the same, so that everybody knows what is to be read. */
static struct app {
    int sock;
    uint64_t written, got;
} apps[2][APPS];
static unsigned n_opened, n_resets, n_drops;
static uint64_t n_bytes;

static char byte_at(uint64_t off, unsigned key)
{
    return (char)((off * 2654435761u >> 7) + key);
}

static struct app *any_app(mctx_t m)
{
    return &apps[m == d.cli][rng_below(&rng, APPS)];
}

static void app_take(mctx_t m, int sock)
{
    struct app *a = any_app(m);
    int old = a->sock;
    if (sock < 0)
        return;
    *a = (struct app){.sock = sock}; /* first: callbacks run while a listener is closed */
    n_opened++;
    (void)mtcp_close(m, old);
}

static void app_open(mctx_t m)
{
    struct sockaddr_in to = duo_addr(rng_below(&rng, 8) ? "10.0.0.1" : "10.0.0.77", 80);
    int on = 1, s = mtcp_socket(m, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s < 0)
        return;
    (void)mtcp_setsockopt(m, s, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (m == d.cli)
        (void)mtcp_connect(m, s, (struct sockaddr *)&to, sizeof(to));
    else if (mtcp_bind(m, s, (struct sockaddr *)&to, sizeof(to)) == 0)
        (void)mtcp_listen(m, s, 1 + (int)rng_below(&rng, 4));
    app_take(m, s);
}

static void app_write(mctx_t m, struct app *a)
{
    char buf[2000];
    size_t n = rng_below(&rng, sizeof(buf));
    for (size_t i = 0; i < n; i++)
        buf[i] = byte_at(a->written + i, 0);
    ssize_t done = mtcp_write(m, a->sock, buf, n);
    a->written += done > 0 ? (uint64_t)done : 0;
}

static void app_read(mctx_t m, struct app *a)
{
    char buf[3000];
    ssize_t n = mtcp_read(m, a->sock, buf, rng_below(&rng, sizeof(buf)));
    for (ssize_t i = 0; i < n; i++)
        CU_ASSERT(buf[i] == byte_at(a->got++, 0));
    n_bytes += n > 0 ? (uint64_t)n : 0;
}

static void app_gone(mctx_t m, struct app *a, int (*how)(mctx_t, int))
{
    int sock = a->sock;
    a->sock = -1;
    if (how(m, sock) < 0) /* a listener is not aborted */
        (void)mtcp_close(m, sock);
}

static void app_call(mctx_t m)
{
    struct app *a = any_app(m);
    switch (rng_below(&rng, 16)) {
    case 0:
        app_gone(m, a, mtcp_close);
        break;
    case 1:
        app_gone(m, a, mtcp_abort);
        break;
    case 2:
        (void)mtcp_shutdown(m, a->sock, (int)rng_below(&rng, 3));
        break;
    case 3:
    case 4:
        app_open(m);
        break;
    case 5:
    case 6:
    case 7:
        app_take(m, mtcp_accept4(m, a->sock, NULL, NULL, SOCK_NONBLOCK));
        break;
    case 8:
    case 9:
    case 10:
        app_read(m, a);
        break;
    default:
        app_write(m, a);
        break;
    }
}

/* ---- what ends connections, or harms them ---------------------------------------------------- */

/* The packet once more, or what is left of it. */
static void send_again(mctx_t m, int sock, int side)
{
    struct pkt_info p;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.tcph)
        (void)mtcp_sendpkt(m, sock, &p);
}

static void end_something(mctx_t m, int sock, int side)
{
    byte junk[8] = {0};
    switch (rng_below(&rng, 8)) {
    case 0:
        n_resets += mtcp_reset_conn(m, any_sock(sock)) == 0;
        break;
    case 1:
        n_drops += mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP) == 0;
        break;
    case 2:
        (void)mtcp_setlastpkt(m, sock, side, (off_t)rng_below(&rng, 60), junk, 4,
                              MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_TCP_CHKSUM);
        break;
    case 3:
        send_again(m, sock, side);
        break;
    default:
        app_call(m);
        break;
    }
}

static void rude_call(mctx_t m, int sock)
{
    switch (rng_below(&rng, 11)) {
    case 0:
        rude_callbacks(m, sock);
        break;
    case 1:
        rude_peeks(m, sock);
        break;
    case 2:
        rude_options(m, sock);
        break;
    case 3:
        rude_packets(m, sock);
        break;
    case 4:
        rude_loops(m);
        break;
    case 5:
    case 6:
        rude_events(m);
        break;
    case 7:
        rude_timers(m);
        break;
    case 8:
        rude_filters(m, sock);
        break;
    case 9:
        rude_exhaustion(m);
        break;
    default:
        rude_sockets(m, sock);
        break;
    }
}

static void on_any(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)side, (void)ev, (void)arg;
    n_calls++;
    socks[rng_below(&rng, SOCKS)] = sock;
    for (unsigned i = rng_below(&rng, 3); i > 0; i--)
        rude_call(m, any_sock(sock));
    if (may_drop && rng_below(&rng, 100) == 0)
        n_drops += mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP) == 0;
    if (may_end && rng_below(&rng, 12) == 0)
        end_something(m, sock, side);
}

static bool on_filter(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    EXPECT_EQ(arg->len, sizeof(uint32_t));
    n_filters++;
    on_any(m, sock, side, ev, arg);
    return rng_below(&rng, 3) > 0;
}

/* ---- the endpoint ---------------------------------------------------------------------------- */

/* One direction of a connection. */
struct way {
    mctx_t from, to;
    int out, in;
    unsigned key;
    uint64_t len, sent, got;
    bool is_done;
};

static void way_write(struct way *w)
{
    char buf[3000];
    uint64_t left = w->len - w->sent;
    size_t n = 1 + rng_below(&rng, sizeof(buf));
    if (n > left)
        n = left;
    for (size_t i = 0; i < n; i++)
        buf[i] = byte_at(w->sent + i, w->key);
    ssize_t done = n > 0 ? mtcp_write(w->from, w->out, buf, n) : 0;
    if (done > 0)
        w->sent += (uint64_t)done;
    if (w->sent == w->len && left > 0)
        EXPECT_EQ(mtcp_shutdown(w->from, w->out, SHUT_WR), 0);
}

static void way_read(struct way *w)
{
    char buf[4000];
    ssize_t n = w->is_done ? -1 : mtcp_read(w->to, w->in, buf, 1 + rng_below(&rng, sizeof(buf)));
    bool is_right = true;
    for (ssize_t i = 0; i < n; i++)
        is_right = is_right && buf[i] == byte_at(w->got + (uint64_t)i, w->key);
    CU_ASSERT(is_right);
    if (n > 0)
        w->got += (uint64_t)n;
    if (n == 0)
        w->is_done = true;
    else if (n < 0 && !w->is_done)
        EXPECT_EQ(errno, EAGAIN);
}

/* Bytes both ways; `step` lets time pass. All comes. */
static void exchange(struct way ways[2], void (*step)(void))
{
    for (int i = 0; i < 2; i++)
        ways[i].len = 1 + rng_below(&rng, rng_below(&rng, 2) ? 200 : 60000);
    for (unsigned turn = 0; turn < 400000 && !(ways[0].is_done && ways[1].is_done); turn++) {
        for (int i = 0; i < 2; i++) {
            way_write(&ways[i]);
            if (rng_below(&rng, 3))
                way_read(&ways[i]);
        }
        step();
    }
    EXPECT_EQ(ways[0].got, ways[0].len);
    EXPECT_EQ(ways[1].got, ways[1].len);
    EXPECT_EQ(mtcp_close(ways[0].from, ways[0].out), 0);
    EXPECT_EQ(mtcp_close(ways[0].to, ways[0].in), 0);
}

static void step_with_losses(void)
{
    d.cut_cli = rng_below(&rng, 40) == 0;
    d.cut_srv = rng_below(&rng, 40) == 0;
    duo_step(&d, 1000);
}

/* A connection, some frames lost, closed by both. */
static void connection(int listener)
{
    int c, s = duo_pair(&d, listener, &c);
    exchange((struct way[]){{.from = d.cli, .to = d.srv, .out = c, .in = s, .key = 1},
                            {.from = d.srv, .to = d.cli, .out = s, .in = c, .key = 2}},
             step_with_losses);
    d.cut_cli = d.cut_srv = false;
    duo_run(&d, 10000);
}

static void step_between(void)
{
    trio_step(&t, 1000);
}

/* The same through a wire with monitors. */
static void connection_through(int listener)
{
    const mctx_t cli = t.m[TRIO_CLI], srv = t.m[TRIO_SRV];
    int c = trio_connect(&t, 80), s = -1;
    for (unsigned i = 0; i < 1000 && s < 0; i++) {
        trio_step(&t, 100000);
        s = mtcp_accept4(srv, listener, NULL, NULL, SOCK_NONBLOCK);
    }
    CU_ASSERT_FATAL(s >= 0);
    t.per_mille = 10;
    exchange((struct way[]){{.from = cli, .to = srv, .out = c, .in = s, .key = 1},
                            {.from = srv, .to = cli, .out = s, .in = c, .key = 2}},
             step_between);
    t.per_mille = 0;
    for (unsigned i = 0; i < 100; i++) /* what was dropped of the end is sent again */
        trio_step(&t, 500000);
}

static void state_reset(void)
{
    memset(socks, 0xff, sizeof(socks));
    for (unsigned i = 0; i < EVENTS; i++)
        events[i] = 1ull << i % 12;
    is_ending = may_end = may_drop = false;
}

static void begin(void)
{
    state_reset();
    duo_open(&d, "tcp_tw_interval = 1 max_monitor_socks = 60");
}

/* Is what random monitors and applications did enough to say something? */
static bool were_rude(void)
{
    return n_calls > 1000 && n_filters > 10 && n_timers > 10;
}

static bool has_ended_many(void)
{
    return n_opened > 500 && n_resets > 10 && n_drops > 10 && n_bytes > 100000;
}

static void connections_are_as_without_them(void)
{
    rng_init(&rng, test_seed());
    n_calls = n_filters = n_timers = 0;
    for (int round = 0; round < 10 || (round < ROUNDS_MAX && !were_rude()); round++) {
        begin();
        int l = duo_listen(&d, 80);
        for (int i = 0; i < 5; i++) {
            monitor_open(d.srv);
            monitor_open(d.cli);
            connection(l);
        }
        is_ending = true;
        duo_close(&d);
    }
    CU_ASSERT(were_rude());
}

/* The same between two others, where a packet that is dropped is sent again. */
static void others_are_as_without_them(void)
{
    rng_init(&rng, test_seed());
    n_calls = n_filters = n_timers = n_drops = 0;
    for (int round = 0; round < 5 || (round < ROUNDS_MAX && !(were_rude() && n_drops > 0));
         round++) {
        state_reset();
        may_drop = true;
        trio_open(&t, &(struct trio_conf){.ends = "tcp_tw_interval = 1",
                                          .mid = "tcp_tw_interval = 1 max_monitor_socks = 60"});
        int l = trio_listen(&t, 80);
        for (int i = 0; i < 4; i++) {
            monitor_open(t.m[TRIO_MID]);
            connection_through(l);
        }
        is_ending = true;
        trio_close(&t);
        memset(&t, 0, sizeof(t));
    }
    CU_ASSERT(were_rude() && n_drops > 0);
}

/* Whatever they do to them, connections end, and nothing is left. */
static void connections_that_they_end(void)
{
    const mctx_t *const m[2] = {&d.srv, &d.cli};
    rng_init(&rng, test_seed());
    n_opened = n_resets = n_drops = 0;
    n_bytes = 0;
    for (int round = 0; round < 20 || (round < ROUNDS_MAX && !has_ended_many()); round++) {
        begin();
        memset(apps, 0xff, sizeof(apps));
        may_end = true;
        for (unsigned turn = 0; turn < 600; turn++) {
            if (turn % 100 == 0)
                monitor_open(*m[turn / 100 % 2]);
            for (unsigned i = rng_below(&rng, 6); i > 0; i--)
                app_call(*m[rng_below(&rng, 2)]);
            duo_step(&d, rng_below(&rng, 20000));
        }
        may_end = false;
        for (unsigned i = 0; i < 2; i++)
            for (unsigned k = 0; k < APPS; k++)
                (void)mtcp_close(*m[i], apps[i][k].sock);
        for (unsigned i = 0; i < 1000; i++)
            duo_step(&d, 1000000);
        EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 0);
        EXPECT_EQ(mtcp_get_connection_cnt(d.cli), 0);
        may_end = is_ending = true;
        duo_close(&d);
    }
    CU_ASSERT(has_ended_many());
}

TEST_SUITE(mos_rude, TEST_CASE(connections_are_as_without_them),
           TEST_CASE(others_are_as_without_them), TEST_CASE(connections_that_they_end));

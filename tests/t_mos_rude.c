/*
 * Monitors that misbehave, inside real endpoints: in each callback a few calls of any kind, with
 * any argument, on any socket, also one that is gone. Connections and bytes are as without them.
 */
#include "mtcp/base/rng.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <mos_api.h>
#include <mtcp_epoll.h>

#include <errno.h>
#include <string.h>

#define SOCKS 32

static struct duo d;
static struct rng rng;
static unsigned n_calls;
static bool is_ending; /* the contexts are */

/* Ids that were seen, of both contexts: many of them are stale. */
static int socks[SOCKS];

static void on_any(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg);

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
    int s = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    for (unsigned bit = 0; s >= 0 && bit < 12; bit++)
        for (unsigned i = 0; i < 3; i++)
            (void)mtcp_register_callback(m, s, 1ull << bit, hooks[i], on_any);
    socks[rng_below(&rng, SOCKS)] = s;
}

/* ---- rude calls ------------------------------------------------------------------------------ */

static void rude_callbacks(mctx_t m, int sock)
{
    event_t ev = rng_below(&rng, 8) ? 1ull << rng_below(&rng, 12) : rng_u64(&rng);
    int hook = hooks[rng_below(&rng, 4)];
    if (rng_below(&rng, 3))
        (void)mtcp_register_callback(m, sock, ev, hook, on_any);
    else
        (void)mtcp_unregister_callback(m, sock, ev, hook);
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
    EXPECT_EQ(mtcp_epoll_wait(m, m == d.srv ? d.srv_ep : d.cli_ep, &ev, 1, -1), -1);
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

static void on_any(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)side, (void)ev, (void)arg;
    n_calls++;
    socks[rng_below(&rng, SOCKS)] = sock;
    for (unsigned i = rng_below(&rng, 3); i > 0; i--)
        switch (rng_below(&rng, 6)) {
        case 0:
            rude_callbacks(m, any_sock(sock));
            break;
        case 1:
            rude_peeks(m, any_sock(sock));
            break;
        case 2:
            rude_options(m, any_sock(sock));
            break;
        case 3:
            rude_packets(m, any_sock(sock));
            break;
        case 4:
            rude_loops(m);
            break;
        default:
            rude_sockets(m, any_sock(sock));
            break;
        }
}

/* ---- the endpoint ---------------------------------------------------------------------------- */

static char byte_at(uint64_t off, unsigned key)
{
    return (char)((off * 2654435761u >> 7) + key);
}

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

/* A connection with bytes both ways, some frames lost, closed by both: all comes. */
static void connection(int listener)
{
    int c, s = duo_pair(&d, listener, &c);
    struct way ways[2] = {{.from = d.cli, .to = d.srv, .out = c, .in = s, .key = 1},
                          {.from = d.srv, .to = d.cli, .out = s, .in = c, .key = 2}};
    for (int i = 0; i < 2; i++)
        ways[i].len = 1 + rng_below(&rng, rng_below(&rng, 2) ? 200 : 60000);
    for (unsigned turn = 0; turn < 20000 && !(ways[0].is_done && ways[1].is_done); turn++) {
        for (int i = 0; i < 2; i++) {
            way_write(&ways[i]);
            if (rng_below(&rng, 3))
                way_read(&ways[i]);
        }
        d.cut_cli = rng_below(&rng, 40) == 0;
        d.cut_srv = rng_below(&rng, 40) == 0;
        duo_step(&d, 1000);
    }
    d.cut_cli = d.cut_srv = false;
    EXPECT_EQ(ways[0].got, ways[0].len);
    EXPECT_EQ(ways[1].got, ways[1].len);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_run(&d, 10000);
}

static void connections_are_as_without_them(void)
{
    rng_init(&rng, test_seed());
    n_calls = 0;
    for (int round = 0; round < 10; round++) {
        is_ending = false;
        duo_open(&d, "tcp_tw_interval = 1");
        memset(socks, 0xff, sizeof(socks));
        int l = duo_listen(&d, 80);
        for (int i = 0; i < 5; i++) {
            monitor_open(d.srv);
            monitor_open(d.cli);
            connection(l);
        }
        is_ending = true;
        duo_close(&d);
    }
    CU_ASSERT(n_calls > 1000);
}

TEST_SUITE(mos_rude, TEST_CASE(connections_are_as_without_them));

/* Connections that doze, through the socket API: who does, what wakes them, and what nobody sees.
 */
#include "mtcp/core/ctx.h"
#include "mtcp/sock/sock.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <mtcp_epoll.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

static struct duo d;
static int l, s, c;

static const struct net *net_of(mctx_t m)
{
    return &ctx_of_live(m)->net;
}

static size_t n_dormant(mctx_t m)
{
    return net_of(m)->dormants[0].n_used + net_of(m)->dormants[1].n_used;
}

/* One byte from one end to the other, which is waiting for it. */
static void send_octet(mctx_t from, int out, mctx_t to, int in)
{
    char octet = 0;
    EXPECT_EQ(mtcp_write(from, out, "x", 1), 1);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(to, in, &octet, 1), 1);
    EXPECT_EQ(octet, 'x');
}

static void both_send(void)
{
    send_octet(d.cli, c, d.srv, s);
    send_octet(d.srv, s, d.cli, c);
}

/* A connection that has carried something, and time for it to doze. */
static void begin(const char *conf)
{
    duo_open(&d, conf);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    both_send();
    duo_run(&d, 3000000);
}

static void idle_connections_doze(void)
{
    begin(NULL);
    EXPECT_EQ(n_dormant(d.srv), 1);
    EXPECT_EQ(n_dormant(d.cli), 1);
    EXPECT_EQ(net_of(d.srv)->conns.n_used, 0);
    EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 1);
    for (int i = 0; i < 3; i++) {
        both_send();
        EXPECT_EQ(n_dormant(d.srv) + n_dormant(d.cli), 0);
        EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 1);
        duo_run(&d, 3000000);
        EXPECT_EQ(n_dormant(d.srv), 1);
    }
    EXPECT_EQ(net_of(d.srv)->stats.dozed, 4);
    EXPECT_EQ(net_of(d.srv)->env.stats.rexmit_segs, 0);
    duo_close(&d);
}

static void so_do_those_that_carried_nothing(void)
{
    duo_open(&d, NULL);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    EXPECT_EQ(n_dormant(d.cli), 1);
    both_send();
    duo_close(&d);
}

static void of_ipv6_too(void)
{
    struct sockaddr_in6 a = duo_addr6("fd00::1", 81);
    duo_open_v6(&d, NULL);
    l = mtcp_socket(d.srv, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_bind(d.srv, l, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(mtcp_listen(d.srv, l, 4), 0);
    c = mtcp_socket(d.cli, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)mtcp_connect(d.cli, c, (struct sockaddr *)&a, sizeof(a));
    duo_run(&d, 10000);
    s = mtcp_accept4(d.srv, l, NULL, NULL, SOCK_NONBLOCK);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    both_send();
    EXPECT_EQ(n_dormant(d.srv), 0);
    duo_close(&d);
}

/* Not before the time that is configured, nor after a second of traffic. */
static void not_too_early(void)
{
    begin("dormant_after_ms = 5000\n");
    EXPECT_EQ(n_dormant(d.srv), 0);
    duo_run(&d, 4000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    for (int i = 0; i < 10; i++) {
        both_send();
        duo_run(&d, 4000000);
        EXPECT_EQ(n_dormant(d.srv), 0);
    }
    duo_close(&d);
}

static void never_when_off(void)
{
    begin("dormant_after_ms = 0\n");
    duo_run(&d, 100000000);
    EXPECT_EQ(n_dormant(d.srv) + n_dormant(d.cli), 0);
    both_send();
    duo_close(&d);
}

static void not_with_something_to_read(void)
{
    char octet;
    begin(NULL);
    EXPECT_EQ(mtcp_write(d.cli, c, "y", 1), 1);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 0);
    EXPECT_EQ(n_dormant(d.cli), 1);
    EXPECT_EQ(mtcp_read(d.srv, s, &octet, 1), 1);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    duo_close(&d);
}

/* A program whose connection can't doze sleeps for as long as nothing happens. */
static void looking_for_them_wakes_nobody(void)
{
    struct mtcp_epoll_event ev;
    begin("dormant_after_ms = 10\n");
    EXPECT_EQ(mtcp_write(d.cli, c, "y", 1), 1);
    duo_step(&d, 0);
    int ep = mtcp_epoll_create(d.srv, 1);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 1000), 0);
    EXPECT_EQ(n_dormant(d.srv), 0);
    EXPECT_EQ(sock_doze_us(ctx_of_live(d.srv)), WHEEL_NEVER_US);
    EXPECT_EQ(mtcp_read(d.srv, s, &(char){0}, 1), 1);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 5), 0);
    CU_ASSERT(sock_doze_us(ctx_of_live(d.srv)) < WHEEL_NEVER_US);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 1000), 0);
    EXPECT_EQ(n_dormant(d.srv), 1);
    duo_close(&d);
}

/* The server waits, and time goes on to where it wants to be woken; how often that was. */
static unsigned wait_jumping(int ep, int ms)
{
    struct mtcp_epoll_event ev;
    d.jumps = true;
    d.n_waits = 0;
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, ms), 0);
    d.jumps = false;
    return (unsigned)d.n_waits;
}

/* Nor does one whose connection is not to doze for an hour. */
static void nobody_looks_before_the_time(void)
{
    begin("dormant_after_ms = 3600000\n");
    unsigned n = wait_jumping(mtcp_epoll_create(d.srv, 1), 100000);
    CU_ASSERT(n < 10);
    duo_close(&d);
}

/* Who is awake and could doze is looked at soon. */
static void somebody_looks(struct duo *at)
{
    CU_ASSERT(n_dormant(at->srv) == 4 || sock_doze_us(ctx_of_live(at->srv)) < at->now_us + 200000);
}

/* A deadline that activity has put off: nothing comes of its timer. */
static void who_is_woken_for_nothing_dozes_again(void)
{
    int out[4], in[4];
    duo_open(&d, "tcp_timeout = 60 dormant_after_ms = 100\n");
    int ep = mtcp_epoll_create(d.srv, 1);
    l = duo_listen(&d, 80);
    for (int i = 0; i < 4; i++) {
        in[i] = duo_pair(&d, l, &out[i]);
        duo_run(&d, 80000);
    }
    (void)wait_jumping(ep, 50000);
    for (int i = 0; i < 4; i++)
        send_octet(d.cli, out[i], d.srv, in[i]);
    d.on_wait = somebody_looks;
    (void)wait_jumping(ep, 15000);
    d.on_wait = NULL;
    EXPECT_EQ(n_dormant(d.srv), 4);
    EXPECT_EQ(net_of(d.srv)->stats.dozed, 12);
    duo_close(&d);
}

static void not_with_something_in_flight(void)
{
    begin(NULL);
    d.cut_cli = true;
    EXPECT_EQ(mtcp_write(d.srv, s, "y", 1), 1);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 0);
    duo_close(&d);
}

/* ... also if the last write said that more follows, which never came. */
static void with_an_announcement_that_nothing_followed(void)
{
    char octet;
    begin(NULL);
    EXPECT_EQ(mtcp_send(d.cli, c, "y", 1, MSG_MORE), 1);
    duo_run(&d, 1000000);
    EXPECT_EQ(mtcp_read(d.srv, s, &octet, 1), 1);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.cli), 1);
    both_send();
    duo_close(&d);
}

/* What was urgent has arrived. */
static void with_something_urgent_long_ago(void)
{
    char octet;
    begin(NULL);
    EXPECT_EQ(mtcp_send(d.cli, c, "!", 1, MSG_OOB), 1);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.srv, s, &octet, 1), 1);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.cli), 1);
    EXPECT_EQ(n_dormant(d.srv), 1);
    both_send();
    duo_close(&d);
}

static void keep_alive(int idle_s)
{
    int on = 1;
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(on)), 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_TCP, TCP_KEEPINTVL, &on, sizeof(on)), 0);
}

/* Probes go on, in time, and find out that the peer is gone. */
static void keepalive_wakes_it(void)
{
    char octet;
    begin(NULL);
    keep_alive(20);
    duo_run(&d, 13000000); /* of 20, counted from the last segment, 16 have passed */
    EXPECT_EQ(n_dormant(d.srv), 1);
    EXPECT_EQ(n_dormant(d.cli), 1);
    uint64_t segs = net_of(d.srv)->env.stats.segs_out;
    duo_run(&d, 3990000);
    EXPECT_EQ(net_of(d.srv)->env.stats.segs_out, segs);
    duo_run(&d, 20000);
    EXPECT_EQ(net_of(d.srv)->env.stats.segs_out, segs + 1);
    duo_run(&d, 4000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    d.cut_cli = true;
    duo_run(&d, 60000000);
    EXPECT_EQ(mtcp_read(d.srv, s, &octet, 1), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    duo_close(&d);
}

/* Woken by a segment, and kept awake by what it brought. */
static void its_deadline_wakes_with_it(void)
{
    int err = 0;
    socklen_t len = sizeof(err);
    begin(NULL);
    keep_alive(20);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
    duo_step(&d, 0);
    EXPECT_EQ(n_dormant(d.srv), 0);
    d.cut_cli = true;
    duo_run(&d, 60000000);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, SOL_SOCKET, SO_ERROR, &err, &len), 0);
    EXPECT_EQ(err, ETIMEDOUT);
    duo_close(&d);
}

static void idle_timeouts_end_it(void)
{
    begin("tcp_timeout = 60\n");
    EXPECT_EQ(n_dormant(d.srv), 1);
    duo_run(&d, 56000000);
    EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 1);
    duo_run(&d, 2000000);
    EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 0);
    duo_close(&d);
}

static void not_when_half_closed(void)
{
    char octet;
    begin(NULL);
    EXPECT_EQ(mtcp_shutdown(d.cli, c, SHUT_WR), 0);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv) + n_dormant(d.cli), 0);
    EXPECT_EQ(mtcp_read(d.srv, s, &octet, 1), 0);
    send_octet(d.srv, s, d.cli, c);
    duo_close(&d);
}

/* What it had before is what it has after. */
static void options_and_counters_stay(void)
{
    struct tcp_info before, after;
    struct sockaddr_in a[2];
    socklen_t len = sizeof(before), alen = sizeof(a[0]);
    int on = 1, tos = 0x28, rcvbuf = 50000, v = 0;
    begin(NULL);
    both_send();
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_TCP, TCP_USER_TIMEOUT, &rcvbuf, sizeof(on)), 0);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, IPPROTO_TCP, TCP_INFO, &before, &len), 0);
    EXPECT_EQ(mtcp_getpeername(d.srv, s, (struct sockaddr *)&a[0], &alen, MOS_SIDE_BOTH), 0);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, IPPROTO_TCP, TCP_INFO, &after, &len), 0);
    EXPECT_EQ(n_dormant(d.srv), 0);
    EXPECT_EQ(mtcp_getpeername(d.srv, s, (struct sockaddr *)&a[1], &alen, MOS_SIDE_BOTH), 0);
    EXPECT_EQ(memcmp(&a[0], &a[1], sizeof(a[0])), 0);
    CU_ASSERT(after.tcpi_last_data_sent >= before.tcpi_last_data_sent + 3000);
    after.tcpi_last_data_sent = before.tcpi_last_data_sent;
    after.tcpi_last_data_recv = before.tcpi_last_data_recv;
    after.tcpi_last_ack_recv = before.tcpi_last_ack_recv;
    EXPECT_EQ(memcmp(&before, &after, sizeof(after)), 0);
    len = sizeof(v);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, IPPROTO_IP, IP_TOS, &v, &len), 0);
    EXPECT_EQ(v, tos);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, IPPROTO_TCP, TCP_USER_TIMEOUT, &v, &len), 0);
    EXPECT_EQ(v, rcvbuf);
    duo_close(&d);
}

static int reported(int ep)
{
    struct mtcp_epoll_event ev = {0};
    return mtcp_epoll_wait(d.srv, ep, &ev, 1, 0) == 1 ? (int)ev.events : 0;
}

static void epolls_see_no_difference(void)
{
    struct mtcp_epoll_event in = {.events = MOS_EPOLLIN},
                            out = {.events = MOS_EPOLLIN | MOS_EPOLLOUT},
                            edge = {.events = MOS_EPOLLIN | MOS_EPOLLOUT | MOS_EPOLLET};
    char octet;
    begin(NULL);
    int ep[3] = {mtcp_epoll_create(d.srv, 1), mtcp_epoll_create(d.srv, 1),
                 mtcp_epoll_create(d.srv, 1)};
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep[0], MOS_EPOLL_CTL_ADD, s, &in), 0);
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep[1], MOS_EPOLL_CTL_ADD, s, &out), 0);
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep[2], MOS_EPOLL_CTL_ADD, s, &edge), 0);
    EXPECT_EQ(reported(ep[2]), MOS_EPOLLOUT);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    EXPECT_EQ(reported(ep[0]), 0);
    EXPECT_EQ(reported(ep[1]), MOS_EPOLLOUT);
    EXPECT_EQ(reported(ep[2]), 0);
    EXPECT_EQ(n_dormant(d.srv), 1);
    EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
    duo_step(&d, 0);
    EXPECT_EQ(reported(ep[0]), MOS_EPOLLIN);
    EXPECT_EQ(reported(ep[1]), MOS_EPOLLIN | MOS_EPOLLOUT);
    EXPECT_EQ(reported(ep[2]), MOS_EPOLLIN | MOS_EPOLLOUT);
    EXPECT_EQ(mtcp_read(d.srv, s, &octet, 1), 1);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 1);
    mtcp_abort(d.cli, c);
    duo_step(&d, 0);
    CU_ASSERT(reported(ep[0]) & MOS_EPOLLERR);
    duo_close(&d);
}

/* The peer hears of the end, whichever end it is. */
static void the_end_wakes_it(void)
{
    char octet;
    begin(NULL);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.cli, c, &octet, 1), 0);
    mtcp_close(d.cli, c);
    duo_close(&d);
    begin(NULL);
    EXPECT_EQ(mtcp_abort(d.srv, s), 0);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.cli, c, &octet, 1), -1);
    EXPECT_EQ(errno, ECONNRESET);
    duo_close(&d);
    begin(NULL);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_step(&d, 0);
    EXPECT_EQ(n_dormant(d.srv), 0);
    EXPECT_EQ(mtcp_read(d.srv, s, &octet, 1), 0);
    duo_close(&d);
}

/* Contexts end with many of them. */
static void a_context_ends_with_dormant_ones(void)
{
    int cs[20], got = 0;
    char octet;
    begin(NULL);
    for (int i = 0; i < 20; i++)
        CU_ASSERT(duo_pair(&d, l, &cs[i]) >= 0);
    duo_run(&d, 3000000);
    EXPECT_EQ(n_dormant(d.srv), 21);
    mtcp_destroy_context(d.srv);
    d.srv = NULL;
    for (int i = 0; i < 20; i++)
        got += mtcp_read(d.cli, cs[i], &octet, 1) == 0;
    EXPECT_EQ(got, 20);
    duo_close(&d);
}

/* ---- without memory -------------------------------------------------------------------------- */

static void *taken[1000];
static unsigned n_taken;

/* A connection dozes, and there is no control block left. */
static void begin_poor(void)
{
    begin(NULL);
    struct mtcp_ctx *ctx = ctx_of_live(d.srv);
    mem_set_limit(ctx->mem, mem_in_use(ctx->mem));
    while (n_taken < 1000 && (taken[n_taken] = pool_get(&ctx->net.conns)))
        n_taken++;
}

static void be_rich(void)
{
    struct mtcp_ctx *ctx = ctx_of_live(d.srv);
    mem_set_limit(ctx->mem, 0);
    while (n_taken > 0)
        pool_put(&ctx->net.conns, taken[--n_taken]);
}

static void without_memory_it_sleeps_on(void)
{
    char octet;
    begin_poor();
    EXPECT_EQ(mtcp_write(d.srv, s, "x", 1), -1);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
    duo_step(&d, 0);
    EXPECT_EQ(n_dormant(d.srv), 1);
    CU_ASSERT(net_of(d.srv)->stats.conn_nomem >= 2);
    be_rich();
    duo_run(&d, 3000000);
    EXPECT_EQ(mtcp_read(d.srv, s, &octet, 1), 1);
    both_send();
    duo_close(&d);
}

static void without_memory_an_end_is_a_reset(void)
{
    char octet;
    int (*const ends[])(mctx_t, int) = {mtcp_close, mtcp_abort};
    for (int i = 0; i < 2; i++) {
        begin_poor();
        EXPECT_EQ(ends[i](d.srv, s), 0);
        EXPECT_EQ(n_dormant(d.srv), 0);
        duo_step(&d, 0);
        EXPECT_EQ(mtcp_read(d.cli, c, &octet, 1), -1);
        EXPECT_EQ(errno, ECONNRESET);
        be_rich();
        duo_close(&d);
    }
}

/* ---- the same calls in a world where connections doze and in one where they don't ------------ */

enum { PAIRS = 4, EPOLLS = 2, CALLS = 400, MOST = 60000 };

struct world {
    struct duo d;
    int l, ep[2][EPOLLS], sock[2][PAIRS];
};

struct call {
    int kind, side, i; /* which call, of whose socket */
    uint32_t a, b;     /* its arguments */
};

/* What it answered. */
struct answer {
    int64_t ret;
    int err;
    uint32_t len;
    char out[MOST];
};

static char bytes[MOST + 7]; /* what is sent */

static mctx_t ctx_at(const struct world *w, int side)
{
    return side == 0 ? w->d.srv : w->d.cli;
}

static void world_open(struct world *w, const char *conf)
{
    memset(w, 0, sizeof(*w));
    duo_open(&w->d, conf);
    w->l = duo_listen(&w->d, 80);
    for (int i = 0; i < EPOLLS; i++) {
        w->ep[0][i] = mtcp_epoll_create(w->d.srv, 1);
        w->ep[1][i] = mtcp_epoll_create(w->d.cli, 1);
    }
    for (int i = 0; i < PAIRS; i++)
        w->sock[0][i] = duo_pair(&w->d, w->l, &w->sock[1][i]);
}

/* In the place of one that is over. */
static void replace(struct world *w, const struct call *q, struct answer *r)
{
    r->ret = q->b % 2 ? mtcp_close(ctx_at(w, q->side), w->sock[q->side][q->i])
                      : mtcp_abort(ctx_at(w, q->side), w->sock[q->side][q->i]);
    mtcp_close(ctx_at(w, !q->side), w->sock[!q->side][q->i]);
    w->sock[1][q->i] = duo_connect(&w->d, 80);
    duo_run(&w->d, 100000);
    w->sock[0][q->i] = mtcp_accept4(w->d.srv, w->l, NULL, NULL, SOCK_NONBLOCK); /* -1: it is late */
}

static void set_option(mctx_t m, int sock, const struct call *q, struct answer *r)
{
    static const struct {
        int level, name, v[2];
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, {0, 1}},         {IPPROTO_TCP, TCP_KEEPIDLE, {2, 20}},
        {IPPROTO_TCP, TCP_KEEPINTVL, {1, 5}},       {IPPROTO_TCP, TCP_NODELAY, {0, 1}},
        {IPPROTO_TCP, TCP_QUICKACK, {0, 1}},        {IPPROTO_TCP, TCP_MAXSEG, {300, 1400}},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, {0, 5000}}, {IPPROTO_TCP, TCP_NOTSENT_LOWAT, {0, 1000}},
        {SOL_SOCKET, SO_SNDBUF, {5000, 100000}},    {SOL_SOCKET, SO_RCVBUF, {5000, 100000}},
    };
    uint32_t i = q->a % (sizeof(options) / sizeof(options[0]));
    r->ret = mtcp_setsockopt(m, sock, options[i].level, options[i].name, &options[i].v[q->b % 2],
                             sizeof(int));
}

/* In the order of sockets: timers of the same time come in any. */
static void wait_for_news(mctx_t m, int ep, struct answer *r)
{
    struct mtcp_epoll_event ev[PAIRS];
    uint64_t of[PAIRS] = {0};
    r->ret = mtcp_epoll_wait(m, ep, ev, PAIRS, 0);
    for (int64_t i = 0; i < r->ret; i++)
        of[ev[i].data.sock] = ev[i].events;
    r->len = sizeof(of);
    memcpy(r->out, of, sizeof(of));
}

static void ask(struct world *w, const struct call *q, struct answer *r)
{
    static const int in[] = {0, MSG_PEEK, MSG_OOB, 0}, out[] = {0, MSG_MORE, MSG_OOB, MSG_EOR},
                     ctl[] = {MOS_EPOLL_CTL_ADD, MOS_EPOLL_CTL_MOD, MOS_EPOLL_CTL_ADD,
                              MOS_EPOLL_CTL_DEL};
    static const uint32_t how[] = {0, MOS_EPOLLET, MOS_EPOLLONESHOT};
    mctx_t m = ctx_at(w, q->side);
    int sock = w->sock[q->side][q->i], ep = w->ep[q->side][q->a % EPOLLS];
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN | (q->b & MOS_EPOLLOUT) | how[q->a % 3]};
    socklen_t len = sizeof(struct tcp_info);
    ev.data.sock = q->i;
    errno = 0;
    r->len = 0;
    if (q->kind < 3)
        r->ret = mtcp_send(m, sock, bytes + q->b % 7, q->a % 3 ? q->b % 300 : q->b % MOST,
                           out[q->a % 4]);
    else if (q->kind < 6)
        r->ret = mtcp_recv(m, sock, r->out, MOST, in[q->a % 4]);
    else if (q->kind < 8)
        wait_for_news(m, ep, r);
    else if (q->kind < 10)
        r->ret = mtcp_epoll_ctl(m, ep, ctl[q->b % 4], sock, &ev);
    else if (q->kind == 10)
        set_option(m, sock, q, r);
    else if (q->kind == 11 &&
             (r->ret = mtcp_getsockopt(m, sock, IPPROTO_TCP, TCP_INFO, r->out, &len)) == 0)
        r->len = len;
    else if (q->kind == 12 && q->a % 4 == 0)
        r->ret = mtcp_shutdown(m, sock, (int)(q->b % 3));
    else if (q->kind == 13 && q->a % 4 == 0)
        replace(w, q, r);
    r->err = r->ret < 0 ? errno : 0;
    if (q->kind >= 3 && q->kind < 6 && r->ret > 0)
        r->len = (uint32_t)r->ret;
}

/* Some time, from none to some minutes; frames of one end may get lost meanwhile. */
static void pass(struct world *w, uint32_t how, uint32_t us)
{
    static const uint32_t n[] = {0, 0, 3, 20, 20, 300}, most[] = {1, 1, 1000, 1000, 50000, 500000};
    w->d.cut_srv = how / 6 % 16 == 0;
    w->d.cut_cli = how / 6 % 16 == 1;
    for (uint32_t i = 0; i <= n[how % 6]; i++)
        duo_step(&w->d, us % most[how % 6]);
    w->d.cut_srv = w->d.cut_cli = false;
}

static void nobody_sees_a_difference(void)
{
    static struct world w[2];
    static struct answer r[2];
    struct rng rng;
    rng_init(&rng, test_seed());
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)rng_u32(&rng);
    world_open(&w[0], "dormant_after_ms = 0\n");
    world_open(&w[1], "dormant_after_ms = 1\n");
    for (int n = 0; n < CALLS; n++) {
        struct call q = {(int)rng_below(&rng, 14), (int)rng_below(&rng, 2),
                         (int)rng_below(&rng, PAIRS), rng_u32(&rng), rng_u32(&rng)};
        uint32_t how = rng_u32(&rng), us = rng_u32(&rng);
        for (int i = 0; i < 2; i++) {
            ask(&w[i], &q, &r[i]);
            pass(&w[i], how, us);
        }
        EXPECT_EQ(r[1].ret, r[0].ret);
        EXPECT_EQ(r[1].err, r[0].err);
        EXPECT_EQ(r[1].len, r[0].len);
        EXPECT_EQ(memcmp(r[1].out, r[0].out, r[0].len), 0);
        for (int side = 0; side < 2; side++)
            EXPECT_EQ(memcmp(&net_of(ctx_at(&w[1], side))->env.stats,
                             &net_of(ctx_at(&w[0], side))->env.stats, sizeof(struct tcp_stats)),
                      0);
    }
    CU_ASSERT(net_of(w[1].d.srv)->stats.dozed > 0);
    duo_close(&w[0].d);
    duo_close(&w[1].d);
}

TEST_SUITE(doze, TEST_CASE(idle_connections_doze), TEST_CASE(so_do_those_that_carried_nothing),
           TEST_CASE(of_ipv6_too), TEST_CASE(not_too_early), TEST_CASE(never_when_off),
           TEST_CASE(not_with_something_to_read), TEST_CASE(looking_for_them_wakes_nobody),
           TEST_CASE(nobody_looks_before_the_time), TEST_CASE(who_is_woken_for_nothing_dozes_again),
           TEST_CASE(not_with_something_in_flight),
           TEST_CASE(with_an_announcement_that_nothing_followed),
           TEST_CASE(with_something_urgent_long_ago), TEST_CASE(keepalive_wakes_it),
           TEST_CASE(its_deadline_wakes_with_it), TEST_CASE(idle_timeouts_end_it),
           TEST_CASE(not_when_half_closed), TEST_CASE(options_and_counters_stay),
           TEST_CASE(epolls_see_no_difference), TEST_CASE(the_end_wakes_it),
           TEST_CASE(a_context_ends_with_dormant_ones), TEST_CASE(without_memory_it_sleeps_on),
           TEST_CASE(without_memory_an_end_is_a_reset), TEST_CASE(nobody_sees_a_difference));

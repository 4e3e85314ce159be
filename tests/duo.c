/* Two contexts linked in memory, one fake clock, one thread. */
#include "tests/duo.h"

#include "tests/test.h"

#include <mtcp_epoll.h>
#include <mtcp_io.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITS_MAX 10000000u

static uint64_t now_us(void *arg)
{
    return ((struct duo *)arg)->now_us;
}

static int turn(mctx_t mctx, int ep)
{
    struct mtcp_epoll_event ev;
    return mctx ? mtcp_epoll_wait(mctx, ep, &ev, 1, 0) : 0;
}

static uint64_t n_frames(const struct duo *d)
{
    struct mtcp_io_stats a, b;
    d->io[0].stats(mtcp_io_pair_end(d->pair, 0), &a);
    d->io[1].stats(mtcp_io_pair_end(d->pair, 1), &b);
    return a.rx_packets + a.tx_packets + b.rx_packets + b.tx_packets;
}

/* Turns of both until no frame moves. */
static void settle(struct duo *d)
{
    uint64_t before;
    do {
        before = n_frames(d);
        turn(d->srv, d->srv_ep);
        turn(d->cli, d->cli_ep);
    } while (n_frames(d) != before);
}

/* The blocking context has nothing to do: the other one runs, then time passes. Which one blocks
 * does not matter: its own turn is refused. */
static void wait_until(void *arg, uint64_t until_us)
{
    struct duo *d = arg;
    if (++d->n_waits > WAITS_MAX) {
        fprintf(stderr, "duo: a blocking call waits for ever\n");
        abort();
    }
    if (d->on_wait)
        d->on_wait(d);
    if (d->is_stepping)
        return;
    d->is_stepping = true;
    uint64_t before = n_frames(d);
    turn(d->srv, d->srv_ep);
    turn(d->cli, d->cli_ep);
    d->is_stepping = false;
    uint64_t soon = d->now_us + 100;
    if (n_frames(d) == before)
        d->now_us = (until_us < soon || d->jumps) && until_us > d->now_us ? until_us : soon;
}

/* ---- a link that can be cut ------------------------------------------------------------------ */

static unsigned rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct duo *d = io->priv;
    struct mtcp_io *end = mtcp_io_pair_end(d->pair, io == &d->io[1]);
    return end->rx_burst(end, pkts, n);
}

static unsigned tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    struct duo *d = io->priv;
    struct mtcp_io *end = mtcp_io_pair_end(d->pair, io == &d->io[1]);
    if (io == &d->io[0] && d->is_full)
        return 0;
    if (!(io == &d->io[0] ? d->cut_srv : d->cut_cli))
        return end->tx_burst(end, pkts, n);
    for (unsigned i = 0; i < n; i++)
        end->free(end, pkts[i]);
    return n;
}

static struct mtcp_pkt *alloc(struct mtcp_io *io)
{
    struct duo *d = io->priv;
    struct mtcp_io *end = mtcp_io_pair_end(d->pair, io == &d->io[1]);
    return end->alloc(end);
}

static void give_back(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    struct duo *d = io->priv;
    struct mtcp_io *end = mtcp_io_pair_end(d->pair, io == &d->io[1]);
    end->free(end, pkt);
}

static void end_open(struct duo *d, unsigned i)
{
    d->io[i] = *mtcp_io_pair_end(d->pair, i);
    d->io[i].rx_burst = rx;
    d->io[i].tx_burst = tx;
    d->io[i].alloc = alloc;
    d->io[i].free = give_back;
    d->io[i].sleep_begin = NULL;
    d->io[i].sleep_end = NULL;
    d->io[i].priv = d;
}

/* ---- life ------------------------------------------------------------------------------------ */

static mctx_t context_open(struct duo *d, unsigned i, const char *conf, bool is_v6)
{
    char text[4096];
    struct mtcp_io *ios[1] = {&d->io[i]};
    struct mtcp_env env = {now_us, wait_until, d, 1 + i};
    char v6[64] = "";
    if (is_v6)
        snprintf(v6, sizeof(v6), ", \"fd00::%u/64\"", i + 1);
    snprintf(text, sizeof(text),
             "mos { %s\n%s netdev \"pair%u\" { address = {\"10.0.0.%u/24\"%s} } }",
             conf ? conf : "", is_v6 ? " ipv6_dad_probes = 0\n" : "", i, i + 1, v6);
    return mtcp_create_context_io((int)i, text, ios, 1, &env);
}

static void open_over(struct duo *d, const struct mtcp_io_pair_conf *link, const char *srv_conf,
                      const char *cli_conf, bool is_v6)
{
    memset(d, 0, sizeof(*d));
    d->now_us = 1000000;
    d->pair = mtcp_io_pair_create(link);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d->pair);
    end_open(d, 0);
    end_open(d, 1);
    d->srv = context_open(d, 0, srv_conf, is_v6);
    d->cli = context_open(d, 1, cli_conf, is_v6);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d->srv);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d->cli);
    d->srv_ep = mtcp_epoll_create(d->srv, 1);
    d->cli_ep = mtcp_epoll_create(d->cli, 1);
    settle(d);
}

static void open_both(struct duo *d, const char *srv_conf, const char *cli_conf, bool is_v6)
{
    open_over(d, &(struct mtcp_io_pair_conf){.n_pkts = 1024, .depth = 512}, srv_conf, cli_conf,
              is_v6);
}

void duo_open_tso(struct duo *d, const char *conf)
{
    struct mtcp_io_pair_conf link = {
        .n_pkts = 256,
        .depth = 128,
        .caps = MTCP_IO_TX_TCP_CSUM | MTCP_IO_TSO | MTCP_IO_RX_CSUM | MTCP_IO_TX_PIECES,
    };
    open_over(d, &link, conf, conf, false);
}

void duo_open(struct duo *d, const char *conf)
{
    open_both(d, conf, conf, false);
}

void duo_open_srv(struct duo *d, const char *conf)
{
    open_both(d, conf, NULL, false);
}

void duo_open_v6(struct duo *d, const char *conf)
{
    open_both(d, conf, conf, true);
}

void duo_close(struct duo *d)
{
    mctx_t srv = d->srv;
    if (d->cli)
        EXPECT_EQ(mtcp_destroy_context(d->cli), 0);
    d->cli = d->srv = NULL;
    if (srv)
        EXPECT_EQ(mtcp_destroy_context(srv), 0);
    mtcp_io_pair_destroy(d->pair);
}

void duo_step(struct duo *d, uint64_t us)
{
    int saved = errno;
    settle(d);
    d->now_us += us;
    errno = saved;
}

void duo_run(struct duo *d, uint64_t us)
{
    uint64_t until = d->now_us + us;
    while (d->now_us < until)
        duo_step(d, until - d->now_us < 1000 ? until - d->now_us : 1000);
    duo_step(d, 0);
}

/* ---- sockets --------------------------------------------------------------------------------- */

struct sockaddr_in duo_addr(const char *ip, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET, ip, &a.sin_addr), 1);
    return a;
}

struct sockaddr_in6 duo_addr6(const char *ip, uint16_t port)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, ip, &a.sin6_addr), 1);
    return a;
}

int duo_listen(struct duo *d, uint16_t port)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", port);
    int s = mtcp_socket(d->srv, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_bind(d->srv, s, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(mtcp_listen(d->srv, s, 128), 0);
    return s;
}

int duo_connect(struct duo *d, uint16_t port)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", port);
    int s = mtcp_socket(d->cli, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_connect(d->cli, s, (struct sockaddr *)&a, sizeof(a)), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    return s;
}

int duo_pair(struct duo *d, int listener, int *cli)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    EXPECT_EQ(mtcp_getsockname(d->srv, listener, (struct sockaddr *)&a, &len), 0);
    *cli = duo_connect(d, ntohs(a.sin_port));
    duo_step(d, 0);
    int s = mtcp_accept4(d->srv, listener, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT_FATAL(s >= 0);
    return s;
}

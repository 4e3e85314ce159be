/*
 * The in-memory benchmark (PERFORMANCE.md W9, W5): a server and a client context on one thread, an
 * in-memory link between them, no device and no system call. Under callgrind its instruction counts
 * repeat to the digit, so it is the regression gate; on its own it prints a rate.
 *
 *   mem_rpc rpc  CONNS TRANSACTIONS [MONITOR]   1 byte each way, round robin over CONNS connections
 *   mem_rpc http CONNS TRANSACTIONS [MONITOR]   connect, 64 bytes each way, close
 *   mem_rpc bulk BYTES 0 [MONITOR]              one stream to the server
 *   mem_rpc idle CONNS 0                        CONNS established connections; bytes each
 *   MONITOR: none (default), attached, log, peek
 *
 * server_turn() is everything the server side does: callgrind counts it with --toggle-collect.
 */
#include "mtcp_epoll.h"
#include "mtcp_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PORT      7
#define EVENTS    512
#define BULK_SIZE 65536u

struct bench {
    mctx_t server, client;
    int server_ep, client_ep, listener;
    struct mtcp_io_pair *link;
    unsigned n_conns, n_open;
    uint64_t wanted, done, started;
    uint32_t req_bytes;
    bool close_each;
    uint64_t bulk_in, bulk_out;
    uint64_t n_events; /* seen by the monitor */
};

static struct bench b;
static char buf[BULK_SIZE];

static void fail(const char *what)
{
    fprintf(stderr, "mem_rpc: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- the server: echoes ---- */

static void server_accept(void)
{
    int s;
    while ((s = mtcp_accept4(b.server, b.listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data.sock = s};
        if (mtcp_epoll_ctl(b.server, b.server_ep, MOS_EPOLL_CTL_ADD, s, &ev) < 0)
            fail("epoll_ctl");
    }
}

static void server_echo(int s)
{
    ssize_t n = mtcp_read(b.server, s, buf, sizeof(buf));
    if (n > 0 && b.req_bytes) {
        if (mtcp_write(b.server, s, buf, (size_t)n) != n)
            fail("write");
    } else if (n > 0) {
        b.bulk_in += (uint64_t)n;
    } else if (n == 0 || errno != EAGAIN) {
        mtcp_close(b.server, s);
    }
}

__attribute__((noinline)) static void server_turn(void)
{
    struct mtcp_epoll_event ev[EVENTS];
    int n = mtcp_epoll_wait(b.server, b.server_ep, ev, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.sock == b.listener)
            server_accept();
        else
            server_echo(ev[i].data.sock);
    }
}

/* ---- the client ---- */

static void client_open(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    to.sin_addr.s_addr = htonl(0x0a000002u + (b.started / 20000 % 64) * 0x100);
    int s = mtcp_socket(b.client, AF_INET, SOCK_STREAM, 0);
    if (s < 0)
        fail("socket");
    mtcp_setsock_nonblock(b.client, s);
    if (mtcp_connect(b.client, s, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
        fail("connect");
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLOUT, .data.sock = s};
    if (mtcp_epoll_ctl(b.client, b.client_ep, MOS_EPOLL_CTL_ADD, s, &ev) < 0)
        fail("epoll_ctl");
    b.started++;
}

static void client_request(int s)
{
    if (b.req_bytes && mtcp_write(b.client, s, buf, b.req_bytes) != (ssize_t)b.req_bytes)
        fail("request");
}

static void client_connected(int s)
{
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data.sock = s};
    mtcp_epoll_ctl(b.client, b.client_ep, MOS_EPOLL_CTL_MOD, s, &ev);
    b.n_open++;
    if (b.wanted)
        client_request(s);
}

static void client_answer(int s)
{
    ssize_t n = mtcp_read(b.client, s, buf, sizeof(buf));
    if (n <= 0)
        fail("answer");
    b.done++;
    if (b.close_each) {
        mtcp_close(b.client, s);
        if (b.started < b.wanted)
            client_open();
    } else if (b.done < b.wanted) {
        client_request(s);
    }
}

static void client_turn(void)
{
    struct mtcp_epoll_event ev[EVENTS];
    int n = mtcp_epoll_wait(b.client, b.client_ep, ev, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        if (ev[i].events & MOS_EPOLLOUT)
            client_connected(ev[i].data.sock);
        else
            client_answer(ev[i].data.sock);
    }
}

/* ---- a monitor, to measure what it costs ---- */

static void on_log(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    b.n_events++;
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static char seen[BULK_SIZE];
    (void)event, (void)arg;
    while (mtcp_peek(m, sock, side, seen, sizeof(seen)) > 0)
        b.n_events++;
}

static void monitor_attach(const char *how)
{
    if (strcmp(how, "none") == 0)
        return;
    int m = mtcp_socket(b.server, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (m < 0)
        fail("monitor socket");
    if (strcmp(how, "log") == 0 || strcmp(how, "peek") == 0) {
        mtcp_register_callback(b.server, m, MOS_ON_CONN_START, MOS_HK_RCV, on_log);
        mtcp_register_callback(b.server, m, MOS_ON_CONN_END, MOS_HK_RCV, on_log);
        mtcp_register_callback(b.server, m, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_log);
    }
    if (strcmp(how, "peek") == 0)
        mtcp_register_callback(b.server, m, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data);
}

/* ---- set-up ---- */

static mctx_t context(unsigned end, const char *address)
{
    char conf[512];
    snprintf(conf, sizeof(conf),
             "mos {\n netdev \"pair%u\" { address = {%s} }\n max_concurrency = 11000000\n"
             " rmem_size = 65536\n wmem_size = 65536\n tcp_tw_interval = 1\n}\n",
             end, address);
    struct mtcp_io *io = mtcp_io_pair_end(b.link, end);
    mctx_t m = mtcp_create_context_io((int)end, conf, &io, 1, NULL);
    if (!m)
        fail("context");
    return m;
}

static void set_up(const char *monitor)
{
    struct mtcp_io_pair_conf pc = {.n_pkts = 8192, .depth = 4096,
                                   .caps = MTCP_IO_TX_IP_CSUM | MTCP_IO_TX_TCP_CSUM | MTCP_IO_RX_CSUM};
    b.link = mtcp_io_pair_create(&pc);
    if (!b.link)
        fail("link");
    b.server = context(0, "\"10.0.0.2/16\"");
    b.client = context(1, "\"10.0.0.1/16\"");
    b.server_ep = mtcp_epoll_create(b.server, 1);
    b.client_ep = mtcp_epoll_create(b.client, 1);
    monitor_attach(monitor);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    b.listener = mtcp_socket(b.server, AF_INET, SOCK_STREAM, 0);
    if (mtcp_bind(b.server, b.listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        mtcp_listen(b.server, b.listener, 4096) < 0)
        fail("listen");
    mtcp_setsock_nonblock(b.server, b.listener);
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data.sock = b.listener};
    mtcp_epoll_ctl(b.server, b.server_ep, MOS_EPOLL_CTL_ADD, b.listener, &ev);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long rss_kb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * 4;
}

static void turns_until_open(unsigned n)
{
    while (b.n_open < n) {
        for (int i = 0; i < 64 && b.started < n; i++)
            client_open();
        client_turn();
        server_turn();
    }
}

static void run_rpc(unsigned conns, uint64_t transactions, uint32_t bytes)
{
    b.req_bytes = bytes;
    b.wanted = transactions;
    b.n_conns = conns;
    double t0 = now_s();
    for (unsigned i = 0; i < conns; i++)
        client_open();
    while (b.done < b.wanted) {
        client_turn();
        server_turn();
    }
    double t = now_s() - t0;
    printf("transactions %llu  seconds %.3f  per_second %.0f  monitor_events %llu\n",
           (unsigned long long)b.done, t, (double)b.done / t, (unsigned long long)b.n_events);
}

static void run_bulk(uint64_t bytes)
{
    turns_until_open(1);
    double t0 = now_s();
    while (b.bulk_in < bytes) {
        while (b.bulk_out < bytes) {
            ssize_t n = mtcp_write(b.client, 1, buf, sizeof(buf));
            if (n <= 0)
                break;
            b.bulk_out += (uint64_t)n;
        }
        client_turn();
        server_turn();
    }
    double t = now_s() - t0;
    printf("bytes %llu  seconds %.3f  gbit_per_second %.2f\n", (unsigned long long)b.bulk_in, t,
           (double)b.bulk_in * 8 / t / 1e9);
}

static void run_idle(unsigned conns)
{
    turns_until_open(conns / 10);
    long rss0 = rss_kb();
    unsigned n0 = b.n_open;
    double t0 = now_s();
    turns_until_open(conns);
    double t = now_s() - t0;
    double each = (double)(rss_kb() - rss0) * 1024 / (double)(b.n_open - n0);
    printf("connections %u  opened_per_second %.0f  bytes_per_pair %.0f  bytes_each %.0f\n", b.n_open,
           (double)(b.n_open - n0) / t, each, each / 2);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: mem_rpc rpc|http|bulk|idle N M [none|attached|log|peek]\n");
        return 2;
    }
    uint64_t n = strtoull(argv[2], NULL, 0), m = strtoull(argv[3], NULL, 0);
    set_up(argc > 4 ? argv[4] : "none");
    if (strcmp(argv[1], "rpc") == 0) {
        run_rpc((unsigned)n, m, 1);
    } else if (strcmp(argv[1], "http") == 0) {
        b.close_each = true;
        run_rpc((unsigned)n, m, 64);
    } else if (strcmp(argv[1], "bulk") == 0) {
        run_bulk(n);
    } else {
        run_idle((unsigned)n);
    }
    return 0;
}

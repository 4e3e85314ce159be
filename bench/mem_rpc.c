/*
 * The in-memory benchmark (docs/performance.md): a server and a client context on one thread, an
 * in-memory link between them, no device, no system call, a clock that moves with the turns. Under
 * callgrind its instruction counts repeat to the digit; on its own it prints a rate.
 *
 *   mem_rpc rpc   CONNS TRANSACTIONS [MONITOR]   1 byte each way, round robin over CONNS connections
 *   mem_rpc cores N TRANSACTIONS                 the same on N threads at once, each with a server, a
 *                                                client, a link and 256 connections of its own
 *   mem_rpc http  CONNS TRANSACTIONS [MONITOR]   connect, 64 bytes each way, the server closes
 *   mem_rpc in    BYTES 0 [MONITOR]              one stream to the server
 *   mem_rpc out   BYTES 0 [MONITOR]              one stream from the server
 *   mem_rpc idle  FIRST LAST [MONITOR]           memory of the established connections from the
 *                                                FIRST to the LAST, of both ends
 *
 *   MONITOR: none (default), attached, log, peek; or a plugin of the server's and its args, as one
 *   argument: "build/release/connlog.so file=/dev/null"
 *
 * server_turn() is everything the server side does: callgrind counts it with --toggle-collect.
 */
#include "bench/watch.h"
#include "mtcp_epoll.h"
#include "mtcp_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PORT           7
#define EVENTS         512
#define BLOCK          65536u
#define CONNS_PER_PORT 20000u /* less than there are ephemeral ports */
#define OPENS_PER_TURN 8u     /* fewer frames than a turn receives */
#define TURN_US        20u    /* what a turn takes when every one is full */
#define HTTP_TURN_US   250u   /* longer, so that TIME_WAIT ends within a short run */

#define CORES_MAX   64u
#define CORES_CONNS 256u

enum mode { RPC, HTTP, IN, OUT, IDLE, CORES };

struct bench {
    enum mode mode;
    mctx_t server, client;
    int server_ep, client_ep;
    struct mtcp_io_pair *link;
    unsigned n_listeners; /* sockets 1 .. n_listeners of the server: the first it makes */
    unsigned n_open;
    uint64_t wanted, done, started; /* transactions; bytes with IN and OUT */
    uint32_t msg_bytes;
    uint64_t now_us;
};

static _Thread_local struct bench b;
static _Thread_local char buf[BLOCK];
static _Thread_local unsigned core; /* of this thread: 0, 1, ... */

static void fail(const char *what)
{
    fprintf(stderr, "mem_rpc: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(mctx_t m, int ep, int op, int s, uint32_t events)
{
    struct mtcp_epoll_event ev = {.events = events, .data.sock = s};
    if (mtcp_epoll_ctl(m, ep, op, s, &ev) < 0)
        fail("epoll_ctl");
}

/* Writes until the socket takes no more or `left` are written; how many were. */
static uint64_t pump(mctx_t m, int s, uint64_t left)
{
    uint64_t sum = 0;
    while (sum < left) {
        ssize_t n = mtcp_write(m, s, buf, left - sum < BLOCK ? left - sum : BLOCK);
        if (n < 0 && errno != EAGAIN)
            fail("write");
        if (n <= 0)
            break;
        sum += (uint64_t)n;
    }
    return sum;
}

/* ---- the server: echoes, sinks or sends ---- */

static void server_accept(int listener)
{
    int s;
    while ((s = mtcp_accept4(b.server, listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        watch(b.server, b.server_ep, MOS_EPOLL_CTL_ADD, s,
              b.mode == OUT ? MOS_EPOLLOUT : MOS_EPOLLIN);
}

static void server_answer(int s)
{
    ssize_t n = mtcp_read(b.server, s, buf, sizeof(buf));
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            mtcp_close(b.server, s);
        return;
    }
    if (b.mode == IN) {
        b.done += (uint64_t)n;
        return;
    }
    if (mtcp_write(b.server, s, buf, (size_t)n) != n)
        fail("answer");
    if (b.mode == HTTP)
        mtcp_close(b.server, s);
}

static void server_event(const struct mtcp_epoll_event *ev)
{
    int s = ev->data.sock;
    if (s <= (int)b.n_listeners)
        server_accept(s);
    else if (b.mode == OUT)
        b.started += pump(b.server, s, b.wanted - b.started);
    else
        server_answer(s);
}

__attribute__((noinline)) static void server_turn(void)
{
    struct mtcp_epoll_event ev[EVENTS];
    int n = mtcp_epoll_wait(b.server, b.server_ep, ev, EVENTS, 0);
    for (int i = 0; i < n; i++)
        server_event(&ev[i]);
}

/* ---- the client ---- */

/* Connection number i goes to a port of its own twenty thousand: they share a source port. */
static uint16_t port_of(uint64_t i)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): set_up() makes at least one listener */
    return (uint16_t)(PORT + i / CONNS_PER_PORT % b.n_listeners);
}

static void client_open(uint64_t i)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port_of(i))};
    to.sin_addr.s_addr = htonl(0x0a000002);
    int s = mtcp_socket(b.client, AF_INET, SOCK_STREAM, 0);
    if (s < 0)
        fail("socket");
    mtcp_setsock_nonblock(b.client, s);
    if (mtcp_connect(b.client, s, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
        fail("connect");
    watch(b.client, b.client_ep, MOS_EPOLL_CTL_ADD, s, MOS_EPOLLOUT);
}

static void client_request(int s)
{
    if (mtcp_write(b.client, s, buf, b.msg_bytes) != (ssize_t)b.msg_bytes)
        fail("request");
}

/* It stays in the set, for input only; the stream to the server goes on as there is room. */
static void client_connected(int s)
{
    if (b.mode != IN)
        watch(b.client, b.client_ep, MOS_EPOLL_CTL_MOD, s, MOS_EPOLLIN);
    b.n_open++;
    if (b.mode == RPC || b.mode == HTTP)
        client_request(s);
}

static void client_done(int s, ssize_t n)
{
    if (n != (ssize_t)b.msg_bytes) {
        errno = EPROTO;
        fail("answer");
    }
    b.done++;
    if (b.mode == RPC && b.done < b.wanted)
        client_request(s);
}

static void client_read(int s)
{
    ssize_t n = mtcp_read(b.client, s, buf, sizeof(buf));
    if (n < 0 && errno != EAGAIN)
        fail("read");
    if (n > 0 && b.mode == OUT)
        b.done += (uint64_t)n;
    else if (n > 0)
        client_done(s, n);
    if (n == 0 || (n > 0 && b.mode == HTTP)) {
        mtcp_close(b.client, s);
        if (b.started < b.wanted)
            client_open(b.started++);
    }
}

static void client_event(const struct mtcp_epoll_event *ev)
{
    int s = ev->data.sock;
    if (!(ev->events & MOS_EPOLLOUT)) {
        client_read(s);
        return;
    }
    if (b.mode != IN || b.n_open == 0)
        client_connected(s);
    if (b.mode == IN)
        b.started += pump(b.client, s, b.wanted - b.started);
}

static void client_turn(void)
{
    struct mtcp_epoll_event ev[EVENTS];
    int n = mtcp_epoll_wait(b.client, b.client_ep, ev, EVENTS, 0);
    for (int i = 0; i < n; i++)
        client_event(&ev[i]);
}

static void both_turn(void)
{
    client_turn();
    server_turn();
    b.now_us += b.mode == HTTP ? HTTP_TURN_US : TURN_US;
}

static void turns_until_open(uint64_t n)
{
    uint64_t n_started = b.n_open;
    while (b.n_open < n) {
        for (unsigned i = 0; i < OPENS_PER_TURN && n_started < n; i++)
            client_open(n_started++);
        both_turn();
    }
}

/* ---- set-up ---- */

static uint64_t turn_clock(void *arg)
{
    return ((const struct bench *)arg)->now_us;
}

static bool is_plugin(const char *monitor)
{
    return strstr(monitor, ".so") != NULL;
}

/* "FILE ARGS" as a section of the configuration. */
static void plugin_section(char *text, size_t room, const char *monitor)
{
    int len = (int)strcspn(monitor, " ");
    const char *args = monitor[len] != '\0' ? monitor + len + 1 : "";
    snprintf(text, room, "monitor \"m\" { plugin = \"%.*s\" args = \"%s\" }", len, monitor, args);
}

static mctx_t context(unsigned end, const char *address, const char *monitor)
{
    struct mtcp_env env = {.now_us = turn_clock, .arg = &b, .seed = 1 + end};
    char conf[2048], section[1024] = "";
    if (is_plugin(monitor))
        plugin_section(section, sizeof(section), monitor);
    snprintf(conf, sizeof(conf),
             "mos {\n netdev \"pair%u\" { address = \"%s\" }\n max_concurrency = 11000000\n"
             " rmem_size = 65536\n wmem_size = 65536\n tcp_tw_interval = 1\n%s\n}\n",
             end, address, section);
    struct mtcp_io *io = mtcp_io_pair_end(b.link, end);
    mctx_t m = mtcp_create_context_io((int)(2 * core + end), conf, &io, 1, &env);
    if (!m)
        fail("context");
    return m;
}

static void listen_on(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int s = mtcp_socket(b.server, AF_INET, SOCK_STREAM, 0);
    if (s < 0 || mtcp_bind(b.server, s, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        mtcp_listen(b.server, s, 4096) < 0)
        fail("listen");
    mtcp_setsock_nonblock(b.server, s);
    watch(b.server, b.server_ep, MOS_EPOLL_CTL_ADD, s, MOS_EPOLLIN);
}

static void set_up(uint64_t n_conns, const char *monitor)
{
    struct mtcp_io_pair_conf pc = {.n_pkts = 8192,
                                   .depth = 4096,
                                   .caps =
                                       MTCP_IO_TX_IP_CSUM | MTCP_IO_TX_TCP_CSUM | MTCP_IO_RX_CSUM};
    b.now_us = 1000000;
    b.link = mtcp_io_pair_create(&pc);
    if (!b.link)
        fail("link");
    b.server = context(0, "10.0.0.2/16", monitor);
    b.client = context(1, "10.0.0.1/16", "none");
    b.server_ep = mtcp_epoll_create(b.server, 1);
    b.client_ep = mtcp_epoll_create(b.client, 1);
    b.n_listeners = (unsigned)(n_conns / CONNS_PER_PORT) + 1;
    for (unsigned i = 0; i < b.n_listeners; i++)
        listen_on((uint16_t)(PORT + i));
    if (strcmp(monitor, "none") != 0 && !is_plugin(monitor) &&
        mos_monitor_init(b.server, monitor) < 0)
        fail("monitor");
}

/* ---- runs ---- */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the server's device moved: frames in and out. */
static void print_frames(void)
{
    struct mtcp_io *io = mtcp_io_pair_end(b.link, 0);
    struct mtcp_io_stats st;
    io->stats(io, &st);
    printf("frames_in %llu  frames_out %llu  monitor_events %llu\n",
           (unsigned long long)st.rx_packets, (unsigned long long)st.tx_packets,
           (unsigned long long)watch_n_events);
}

static void run_transactions(unsigned conns, uint64_t transactions)
{
    b.msg_bytes = b.mode == RPC ? 1 : 64;
    b.wanted = transactions;
    b.started = conns;
    double t0 = now_s();
    turns_until_open(conns);
    while (b.done < b.wanted)
        both_turn();
    double t = now_s() - t0;
    printf("transactions %llu  seconds %.3f  per_second %.0f\n", (unsigned long long)b.done, t,
           (double)b.done / t);
}

/* ---- several cores: each thread has connections, contexts and a link of its own ---- */

static struct {
    pthread_barrier_t all_open, all_done;
    uint64_t transactions;
} cores;

/* Until every thread has its connections, and then until every one is done. */
static void *core_run(void *arg)
{
    core = (unsigned)(uintptr_t)arg;
    b.mode = RPC;
    b.msg_bytes = 1;
    b.wanted = UINT64_MAX;
    set_up(CORES_CONNS, "none");
    turns_until_open(CORES_CONNS);
    pthread_barrier_wait(&cores.all_open);
    b.wanted = b.done + cores.transactions;
    while (b.done < b.wanted)
        both_turn();
    pthread_barrier_wait(&cores.all_done);
    return NULL;
}

static void run_cores(unsigned n, uint64_t transactions)
{
    pthread_t thread[CORES_MAX];
    cores.transactions = transactions;
    if (n == 0 || n > CORES_MAX || pthread_barrier_init(&cores.all_open, NULL, n + 1) != 0 ||
        pthread_barrier_init(&cores.all_done, NULL, n + 1) != 0)
        fail("cores");
    for (unsigned i = 0; i < n; i++)
        if ((errno = pthread_create(&thread[i], NULL, core_run, (void *)(uintptr_t)i)) != 0)
            fail("thread");
    pthread_barrier_wait(&cores.all_open);
    double t0 = now_s();
    pthread_barrier_wait(&cores.all_done);
    double t = now_s() - t0;
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    unsigned long long sum = n * (unsigned long long)transactions;
    printf("transactions %llu  seconds %.3f  per_second %.0f\n", sum, t, (double)sum / t);
}

static void run_stream(uint64_t bytes)
{
    b.wanted = bytes;
    double t0 = now_s();
    client_open(0);
    while (b.done < b.wanted)
        both_turn();
    double t = now_s() - t0;
    printf("bytes %llu  seconds %.3f  gbit_per_second %.2f\n", (unsigned long long)b.done, t,
           (double)b.done * 8 / t / 1e9);
}

static double rss_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        fail("statm");
    fclose(f);
    return (double)pages * 4096;
}

/* What the allocator has handed out, rounded up to its sizes; 0 when it is the C library's. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));

static double allocated_bytes(void)
{
    uint64_t epoch = 1;
    size_t allocated = 0, len = sizeof(allocated);
    if (!mallctl)
        return 0;
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    mallctl("stats.allocated", &allocated, &len, NULL, 0);
    return (double)allocated;
}

/* Nothing happens, until every connection dozes. */
static void rest(void)
{
    uint64_t until = b.now_us + 3000000 + b.n_open * 10ull;
    for (; b.now_us < until; b.now_us += 1000) {
        client_turn();
        server_turn();
    }
}

static void print_memory(const char *when, double rss, double allocated, double n)
{
    printf("%s_rss_bytes_each_end %.1f  %s_allocator_bytes_each_end %.1f\n", when,
           (rss_bytes() - rss) / n / 2, when, (allocated_bytes() - allocated) / n / 2);
}

static void run_idle(uint64_t first, uint64_t last)
{
    turns_until_open(first);
    rest();
    double rss = rss_bytes(), allocated = allocated_bytes(), t0 = now_s();
    turns_until_open(last);
    double t = now_s() - t0, n = (double)(last - first);
    printf("connections %u  opened_per_second %.0f\n", b.n_open, n / t);
    print_memory("open", rss, allocated, n);
    rest();
    print_memory("idle", rss, allocated, n);
}

static int mode_of(const char *name)
{
    static const char *const names[] = {[RPC] = "rpc", [HTTP] = "http", [IN] = "in",
                                        [OUT] = "out", [IDLE] = "idle", [CORES] = "cores"};
    for (int i = RPC; i <= CORES; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

int main(int argc, char **argv)
{
    int mode = argc < 4 ? -1 : mode_of(argv[1]);
    if (mode < 0) {
        fprintf(stderr,
                "usage: mem_rpc rpc|http|in|out|idle|cores N M [none|attached|log|peek|PLUGIN]\n");
        return 2;
    }
    uint64_t n = strtoull(argv[2], NULL, 0), m = strtoull(argv[3], NULL, 0);
    if (mode == CORES) {
        run_cores((unsigned)n, m);
        return 0;
    }
    b.mode = (enum mode)mode;
    set_up(m, argc > 4 ? argv[4] : "none");
    if (mode == RPC || mode == HTTP)
        run_transactions((unsigned)n, m);
    else if (mode == IDLE)
        run_idle(n, m);
    else
        run_stream(n);
    print_frames();
    return 0;
}

/* The loop: the order of a turn, what an idle context waits for, contexts that begin, move and end.
 */
#include "mtcp/core/ctx.h"
#include "mtcp/tcp/hook.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <mos_api.h>
#include <mtcp_api.h>
#include <mtcp_io.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* ---- a device that notes what it is asked ---------------------------------------------------- */

static char trace[512];
static uint64_t clock_us, waited_until;
static uint8_t frame[2048];
static struct mtcp_pkt pkt;
static int wake_fd;
static bool wake_ready, is_full;
static unsigned n_begin, n_end, n_closed;
static _Atomic unsigned n_rx;

static void note(const char *what)
{
    strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
}

static unsigned rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io, (void)pkts, (void)n;
    n_rx++;
    note("rx ");
    return 0;
}

static unsigned tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io, (void)pkts;
    note("tx ");
    return is_full ? 0 : n;
}

static struct mtcp_pkt *alloc(struct mtcp_io *io)
{
    (void)io;
    pkt = (struct mtcp_pkt){.data = frame, .room = sizeof(frame)};
    return &pkt;
}

static void free_pkt(struct mtcp_io *io, struct mtcp_pkt *p)
{
    (void)io, (void)p;
}

static int sleep_begin(struct mtcp_io *io, bool *ready)
{
    (void)io;
    n_begin++;
    *ready = wake_ready;
    return wake_fd;
}

static void sleep_end(struct mtcp_io *io)
{
    (void)io;
    n_end++;
}

static void close_io(struct mtcp_io *io)
{
    (void)io;
    n_closed++;
}

static struct mtcp_io dev = {
    .rx_burst = rx,
    .tx_burst = tx,
    .alloc = alloc,
    .free = free_pkt,
    .sleep_begin = sleep_begin,
    .sleep_end = sleep_end,
    .close = close_io,
    .mtu = 1500,
    .mac = {2, 0, 0, 0, 0, 1},
    .name = "dev",
};
static struct mtcp_io *const devs[] = {&dev};

static uint64_t fake_now(void *arg)
{
    (void)arg;
    note("clock ");
    return clock_us;
}

static void fake_wait(void *arg, uint64_t until_us)
{
    (void)arg;
    note("wait ");
    waited_until = until_us;
    if (until_us != UINT64_MAX)
        clock_us = until_us;
}

static const struct mtcp_env fake = {fake_now, fake_wait, NULL, 1};

#define CONF "mos { %s netdev dev { address = 10.0.0.1/24 } }"

static mctx_t create(const char *conf, const struct mtcp_env *env)
{
    char text[512];
    snprintf(text, sizeof(text), CONF, conf);
    clock_us = 1000000;
    wake_fd = -1;
    wake_ready = false;
    n_begin = n_end = n_closed = 0;
    n_rx = 0;
    trace[0] = '\0';
    mctx_t m = mtcp_create_context_io(3, text, devs, 1, env);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

static void turn(void *mon, enum hook_phase phase)
{
    (void)mon;
    note(phase == HOOK_TURN_INPUT ? "input " : "output ");
}

static void timers(void *mon, uint64_t now_us)
{
    (void)mon;
    EXPECT_EQ(now_us, clock_us);
    note("timers ");
}

static const struct ctx_sock_ops *real_sock_ops;

static void harvest(struct mtcp_ctx *ctx)
{
    note("events ");
    real_sock_ops->harvest(ctx);
}

static void each_turn_keeps_the_order(void)
{
    static const struct tcp_hooks hooks = {.turn = turn, .timers = timers};
    struct mtcp_epoll_event ev;
    mctx_t m = create("", &fake);
    struct mtcp_ctx *ctx = ctx_of(m);
    EXPECT_EQ(m->cpu, 3);
    int ep = mtcp_epoll_create(m, 1);
    real_sock_ops = ctx->sock_ops;
    struct ctx_sock_ops sock_ops = *real_sock_ops;
    sock_ops.harvest = harvest;
    ctx->sock_ops = &sock_ops;
    ctx->net.env.hooks = &hooks;
    trace[0] = '\0';
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 0), 0);
    CU_ASSERT_STRING_EQUAL(
        trace, "clock rx timers input tx output events "); /* tx: says who has the address */
    trace[0] = '\0';
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 0), 0);
    CU_ASSERT_STRING_EQUAL(trace, "clock rx timers input output events ");
    ctx->net.env.hooks = NULL;
    ctx->sock_ops = real_sock_ops;
    EXPECT_EQ(mtcp_destroy_context(m), 0);
    EXPECT_EQ(n_closed, 1);
}

/* ---- idle ------------------------------------------------------------------------------------ */

static void the_world_waits_for_the_next_thing(void)
{
    struct mtcp_epoll_event ev;
    mctx_t m = create("stat_print = 1", &fake);
    struct mtcp_ctx *ctx = ctx_of(m);
    struct timer t;
    int ep = mtcp_epoll_create(m, 1);
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 5), 0);
    EXPECT_EQ(waited_until, 1005000);
    timer_init(&t, TIMER_OTHER);
    ctx->stats.next_us = UINT64_MAX; /* nothing to print */
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 100), 0);
    EXPECT_EQ(waited_until, 1105000);
    ctx->stats.next_us = 1150000;
    int saved = dup(STDERR_FILENO), null = eventfd(0, 0);
    dup2(null, STDERR_FILENO); /* the line goes nowhere */
    ctx_idle(ctx, UINT64_MAX);
    EXPECT_EQ(waited_until, 1150000);
    ctx_poll(ctx);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(null);
    EXPECT_EQ(ctx->stats.next_us, 2150000);
    mtcp_destroy_context(m);
}

static uint64_t next_us(void *mon)
{
    (void)mon;
    return 1000077;
}

static void the_world_waits_for_the_monitors_timer(void)
{
    static const struct tcp_hooks hooks = {.next_us = next_us};
    mctx_t m = create("", &fake);
    struct mtcp_ctx *ctx = ctx_of(m);
    ctx_poll(ctx);
    ctx->net.env.hooks = &hooks;
    ctx_idle(ctx, UINT64_MAX);
    EXPECT_EQ(waited_until, 1000077);
    ctx->net.env.hooks = NULL;
    mtcp_destroy_context(m);
}

static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A sleep that nothing ends would last this long; each test's end comes from something else. */
#define LONG_US 30000000

static void idle_for_long(struct mtcp_ctx *ctx)
{
    uint64_t begun = real_ms();
    ctx_poll(ctx);
    ctx_poll(ctx);
    ctx_idle(ctx, ctx_now_us(ctx) + LONG_US);
    CU_ASSERT(real_ms() - begun < LONG_US / 1000 / 2);
    EXPECT_EQ(n_begin, n_end);
}

static void sleep_ends_by_the_device(void)
{
    mctx_t m = create("spin_us = 0", NULL);
    struct mtcp_ctx *ctx = ctx_of(m);
    int silent = eventfd(0, 0);
    wake_fd = eventfd(1, 0);
    idle_for_long(ctx);
    EXPECT_EQ(n_begin, 1);
    int other = eventfd(1, 0); /* another descriptor than last time */
    wake_fd = other;
    idle_for_long(ctx);
    wake_fd = -1; /* none: a nap */
    idle_for_long(ctx);
    wake_ready = true; /* packets are there already, and nothing more comes */
    wake_fd = silent;
    idle_for_long(ctx);
    EXPECT_EQ(n_begin, 4);
    wake_ready = false; /* the one that is readable is not the device's any more: it sleeps on */
    wake_fd = other;
    idle_for_long(ctx);
    wake_fd = silent;
    uint64_t until = ctx_now_us(ctx) + 20000;
    ctx_poll(ctx);
    ctx_idle(ctx, until); /* the first time it may only note that it is idle */
    ctx_idle(ctx, until);
    CU_ASSERT(ctx_now_us(ctx) >= until);
    close(other);
    close(silent);
    mtcp_destroy_context(m);
}

static long shortest_ns, longest_ns; /* of the first ten naps; of all */
static unsigned n_naps;

/* The loop's own sleep. */
int epoll_pwait2(int epfd, struct epoll_event *ev, int n, const struct timespec *ts,
                 const sigset_t *mask)
{
    long ns = ts ? ts->tv_sec * 1000000000 + ts->tv_nsec : 0;
    shortest_ns = n_naps++ < 10 && ns < shortest_ns ? ns : shortest_ns;
    longest_ns = ns > longest_ns ? ns : longest_ns;
    return (int)syscall(SYS_epoll_pwait2, epfd, ev, n, ts, mask, sizeof(long));
}

/* By a device that can't wake anybody: at first for a short time, never for more than 1 ms. */
static void naps_are_short_at_first(void)
{
    struct mtcp_epoll_event ev;
    mctx_t m = create("spin_us = 0", NULL);
    wake_fd = -1;
    shortest_ns = 1000000000;
    longest_ns = n_naps = 0;
    EXPECT_EQ(mtcp_epoll_wait(m, mtcp_epoll_create(m, 1), &ev, 1, 100), 0);
    CU_ASSERT(shortest_ns < 1000000);
    EXPECT_EQ(longest_ns, 1000000);
    CU_ASSERT(n_rx < 1000);
    mtcp_destroy_context(m);
}

/* What it has to say nobody takes: no reason to spin. */
static void who_can_not_send_naps(void)
{
    struct mtcp_epoll_event ev;
    mctx_t m = create("spin_us = 0", NULL);
    wake_fd = eventfd(0, 0);
    is_full = true;
    EXPECT_EQ(mtcp_epoll_wait(m, mtcp_epoll_create(m, 1), &ev, 1, 100), 0);
    CU_ASSERT(net_has_work(&ctx_of(m)->net));
    CU_ASSERT(n_rx < 1000);
    is_full = false;
    mtcp_destroy_context(m);
    close(wake_fd);
}

static unsigned takes_all(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io, (void)pkts;
    return n;
}

/* One device takes nothing: what another one does is work all the same. */
static void one_full_device_lets_nobody_nap(void)
{
    struct mtcp_io other = dev;
    struct mtcp_io *const two[] = {&dev, &other};
    other.tx_burst = takes_all;
    other.name = "other";
    is_full = true;
    clock_us = 1000000;
    mctx_t m = mtcp_create_context_io(
        3, "mos { netdev dev { address = 10.0.0.1/24 } netdev other { address = 10.0.1.1/24 } }",
        two, 2, &fake);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    struct mtcp_ctx *ctx = ctx_of(m);
    ctx_poll(ctx);
    ctx_poll(ctx);
    CU_ASSERT_TRUE(net_is_stuck(&ctx->net));
    EXPECT_EQ(ctx_poll(ctx), 0);
    EXPECT_EQ(net_send_frame(&ctx->net, 1, frame, 60), 0);
    EXPECT_EQ(ctx_poll(ctx), 0); /* it leaves at the end of the turn */
    CU_ASSERT_FALSE(net_is_stuck(&ctx->net));
    CU_ASSERT(ctx_poll(ctx) > 0);
    CU_ASSERT_TRUE(net_is_stuck(&ctx->net));
    is_full = false;
    mtcp_destroy_context(m);
}

static void sleep_ends_by_a_kernel_descriptor(void)
{
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data = {.u64 = 99}};
    struct itimerspec soon = {.it_value = {.tv_nsec = 2000000}};
    mctx_t m = create("spin_us = 0", NULL);
    int fd = timerfd_create(CLOCK_MONOTONIC, 0), ep = mtcp_epoll_create(m, 1);
    wake_fd = eventfd(0, 0); /* the device could wake us, and never does */
    EXPECT_EQ(mtcp_epoll_add_fd(m, ep, fd, &ev), 0);
    EXPECT_EQ(timerfd_settime(fd, 0, &soon, NULL), 0);
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, LONG_US / 1000), 1);
    EXPECT_EQ(ev.data.u64, 99);
    CU_ASSERT(n_rx < 100); /* it slept */
    close(fd);
    mtcp_destroy_context(m);
    close(wake_fd);
}

static void *wake_later(void *arg)
{
    while (n_begin == 0)
        usleep(100);
    usleep(1000);
    atomic_fetch_or(&((struct mtcp_ctx *)arg)->interrupts, CTX_INT_SIGNAL);
    ctx_wake(arg);
    return NULL;
}

static void sleep_ends_by_an_interrupt(void)
{
    struct mtcp_epoll_event ev;
    pthread_t t;
    mctx_t m = create("spin_us = 0", NULL);
    int ep = mtcp_epoll_create(m, 1);
    wake_fd = eventfd(0, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, wake_later, ctx_of(m)), 0);
    uint64_t begun = real_ms();
    errno = 0;
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, LONG_US / 1000), -1);
    EXPECT_EQ(errno, EINTR);
    CU_ASSERT(real_ms() - begun < LONG_US / 1000 / 2);
    pthread_join(t, NULL);
    mtcp_destroy_context(m);
    close(wake_fd);
}

static void raises_a_signal(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)id, (void)side, (void)ev, (void)arg;
    raise(SIGUSR2);
}

static void got_signal(int signum)
{
    (void)signum;
}

/* A program that only monitors, on a device that never wakes it. */
static void sleep_ends_by_a_monitors_timer(void)
{
    struct timeval soon = {0, 2000};
    mctx_t m = create("spin_us = 0", NULL);
    wake_fd = eventfd(0, 0);
    mtcp_register_signal(SIGUSR2, got_signal);
    EXPECT_EQ(mtcp_settimer(m, 1, &soon, raises_a_signal), 0);
    uint64_t begun = real_ms();
    mtcp_app_join(m);
    CU_ASSERT(real_ms() - begun < LONG_US / 1000 / 2);
    CU_ASSERT(n_rx < 100); /* it slept */
    mtcp_register_signal(SIGUSR2, SIG_DFL);
    mtcp_destroy_context(m);
    close(wake_fd);
}

static void spinning_never_sleeps(void)
{
    mctx_t m = create("idle = spin spin_us = 0", NULL);
    struct mtcp_ctx *ctx = ctx_of(m);
    for (int i = 0; i < 100; i++) {
        ctx_poll(ctx);
        ctx_idle(ctx, UINT64_MAX);
    }
    EXPECT_EQ(n_begin, 0);
    mtcp_destroy_context(m);
    m = create("spin_us = 1000000", NULL); /* adaptive: a second to go */
    ctx = ctx_of(m);
    for (int i = 0; i < 100; i++) {
        ctx_poll(ctx);
        ctx_idle(ctx, UINT64_MAX);
    }
    EXPECT_EQ(n_begin, 0);
    mtcp_destroy_context(m);
}

/* ---- statistics ------------------------------------------------------------------------------ */

static void some_buffers(struct mtcp_io *io, struct mtcp_io_stats *out)
{
    (void)io;
    *out = (struct mtcp_io_stats){.pkts_total = 4096, .pkts_free = 4000};
}

static void a_line_tells_rates(void)
{
    char line[320];
    dev.stats = some_buffers;
    mctx_t m = create("", &fake);
    struct mtcp_ctx *ctx = ctx_of(m);
    stats_init(ctx);
    ctx->net.env.now_us = ctx->stats.last_us + 2000000;
    ctx->net.ifs[0].rx_packets += 2000;
    ctx->net.ifs[0].rx_bytes += 2000000;
    ctx->net.env.stats.conns_accepted += 10;
    stats_line(ctx, line, sizeof(line));
    CU_ASSERT(strstr(line, "[cpu 3] conns 0 ") == line);
    CU_ASSERT(strstr(line, " accepted 5/s ") != NULL);
    CU_ASSERT(strstr(line, " rx 1000 pps 8.0 Mbps ") != NULL);
    CU_ASSERT(strstr(line, " pkts 4000/4096") != NULL);
    dev.stats = NULL;
    mtcp_destroy_context(m);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* What creating a context with a bad configuration prints, and errno. */
static int fails_with(const char *conf, char *said, size_t len)
{
    int p[2], saved = dup(STDERR_FILENO);
    CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
    dup2(p[1], STDERR_FILENO);
    errno = 0;
    mctx_t m = mtcp_create_context_io(0, conf, devs, 1, &fake);
    int e = errno;
    dup2(saved, STDERR_FILENO);
    close(p[1]);
    ssize_t n = read(p[0], said, len - 1);
    said[n > 0 ? n : 0] = '\0';
    close(p[0]);
    close(saved);
    CU_ASSERT_PTR_NULL(m);
    return e;
}

static void failures_say_one_line(void)
{
    char said[512];
    EXPECT_EQ(fails_with("mos { x = 1 }", said, sizeof(said)), EINVAL);
    CU_ASSERT_STRING_EQUAL(said,
                           "mtcp: config:1: x: unknown; mos.conf(5) lists what mos may hold\n");
    EXPECT_EQ(fails_with("mos { netdev other { } }", said, sizeof(said)), EINVAL);
    CU_ASSERT(strstr(said, "no device for netdev other") != NULL);
    EXPECT_EQ(fails_with("mos { mem_limit = 100K }", said, sizeof(said)), ENOMEM);
    CU_ASSERT(strstr(said, "no memory") != NULL && strstr(said, "max_") != NULL);
    EXPECT_EQ(fails_with("mos { mos_log = \"/nonexistent/x\" }", said, sizeof(said)), ENOENT);
    CU_ASSERT(strstr(said, "mos_log /nonexistent/x: No such file") != NULL);
    EXPECT_EQ(fails_with("mos { netdev dev { address = 10.0.0.1/24 }\n"
                         "route 10.0.0.0/24 { } }",
                         said, sizeof(said)),
              EEXIST);
    EXPECT_EQ(ctx_table_count(), 0);
    EXPECT_EQ(fails_with("mos { netdev dev { } monitor m { plugin = \"/nonexistent.so\" } }", said,
                         sizeof(said)) != 0,
              1);
    CU_ASSERT(strstr(said, "monitor \"m\": ") != NULL && strchr(said, '\n')[1] == '\0');
    EXPECT_EQ(ctx_table_count(), 0);
}

static void messages_go_to_the_log(void)
{
    char path[] = "/tmp/t_loop_XXXXXX", conf[128], line[128] = "";
    int fd = mkstemp(path);
    snprintf(conf, sizeof(conf), "mos_log = \"%s\" log_level = warning", path);
    mctx_t m = create(conf, &fake);
    log_line(&ctx_of(m)->log, LOG_WARN, "n is %d", 5);
    log_line(&ctx_of(m)->log, LOG_INFO, "not this");
    mtcp_destroy_context(m);
    EXPECT_EQ(read(fd, line, sizeof(line) - 1), 24);
    CU_ASSERT_STRING_EQUAL(line, "[cpu 3] warning: n is 5\n");
    close(fd);
    unlink(path);
}

static void slots_are_given_out_in_turn(void)
{
    mctx_t first = create("max_concurrency = 16 max_monitor_socks = 16", &fake);
    mtcp_destroy_context(first);
    for (int i = 0; i < 100; i++) {
        mctx_t m = create("max_concurrency = 16 max_monitor_socks = 16", &fake);
        CU_ASSERT(m != first);
        mtcp_destroy_context(m);
    }
    EXPECT_EQ(mtcp_epoll_create(first, 1), -1);
    EXPECT_EQ(errno, EACCES);
}

static unsigned tx_refused(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io, (void)pkts, (void)n;
    return 0;
}

/* What waits for the device must not hold a clock that goes on in wait() only. */
static void a_full_device_does_not_stop_the_clock(void)
{
    struct mtcp_epoll_event ev;
    mctx_t m = create("", &fake);
    dev.tx_burst = tx_refused; /* not even the ARP of the address leaves */
    int ep = mtcp_epoll_create(m, 1);
    uint64_t begun = clock_us;
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 50), 0);
    CU_ASSERT(clock_us - begun >= 50000 && clock_us - begun < 60000);
    dev.tx_burst = tx;
    EXPECT_EQ(mtcp_destroy_context(m), 0);
}

/* ---- destroying gracefully ------------------------------------------------------------------- */

static void what_is_queued_leaves_before_the_end(void)
{
    static char big[200000], buf[10000];
    struct duo d;
    int c;
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.srv, s, big, sizeof(big)), sizeof(big));
    mctx_t srv = d.srv;
    d.srv = NULL;
    EXPECT_EQ(mtcp_destroy_context(srv), 0);
    size_t n = 0;
    ssize_t k;
    while ((k = mtcp_read(d.cli, c, buf, sizeof(buf))) > 0)
        n += (size_t)k;
    EXPECT_EQ(k, 0); /* a FIN, no reset */
    EXPECT_EQ(n, sizeof(big));
    duo_close(&d);
}

static void a_full_link_does_not_hold_up_the_end(void)
{
    static char big[200000];
    struct duo d;
    int c;
    duo_open(&d, "close_wait_ms = 300");
    int l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    d.io[0].tx_burst = tx_refused;
    EXPECT_EQ(mtcp_write(d.srv, s, big, sizeof(big)), sizeof(big));
    mctx_t srv = d.srv;
    d.srv = NULL;
    uint64_t begun = d.now_us;
    EXPECT_EQ(mtcp_destroy_context(srv), 0);
    CU_ASSERT(d.now_us - begun >= 300000 && d.now_us - begun < 310000);
    duo_close(&d);
}

static void what_can_not_leave_is_reset(void)
{
    static char big[200000], buf[10000];
    struct duo d;
    int c;
    duo_open(&d, "close_wait_ms = 300 rmem_size = 16K");
    int l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.srv, s, big, sizeof(big)), sizeof(big)); /* nobody reads */
    mctx_t srv = d.srv;
    d.srv = NULL;
    uint64_t begun = d.now_us;
    EXPECT_EQ(mtcp_destroy_context(srv), 0);
    CU_ASSERT(d.now_us - begun >= 300000 && d.now_us - begun < 310000);
    duo_step(&d, 0);
    ssize_t k;
    while ((k = mtcp_read(d.cli, c, buf, sizeof(buf))) > 0)
        continue;
    EXPECT_EQ(k, -1);
    EXPECT_EQ(errno, ECONNRESET);
    duo_close(&d);
}

/* ---- mtcp_app_join --------------------------------------------------------------------------- */

static _Atomic unsigned n_polled[2];
static pid_t polled_by[2];
static _Atomic bool has_raised;

static unsigned rx_join(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    unsigned i = *(unsigned *)io->priv;
    (void)pkts, (void)n;
    polled_by[i] = ctx_this_thread();
    n_polled[i]++;
    if (i == 0 && n_polled[0] > 10 && n_polled[1] > 10 && !atomic_exchange(&has_raised, true))
        raise(SIGUSR2);
    return 0;
}

static void contexts_of_one_thread_are_joined_one_by_one(void)
{
    static unsigned index[2] = {0, 1};
    struct mtcp_io io[2] = {dev, dev};
    mctx_t m[2];
    for (int i = 0; i < 2; i++) {
        struct mtcp_io *list[1] = {&io[i]};
        io[i].rx_burst = rx_join;
        io[i].priv = &index[i];
        m[i] = mtcp_create_context_io(i, "mos { netdev dev { } }", list, 1, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(m[i]);
    }
    mtcp_register_signal(SIGUSR2, got_signal);
    errno = 0;
    mtcp_app_join(m[0]);
    mtcp_app_join(m[1]);
    EXPECT_EQ(errno, 0);
    EXPECT_EQ(polled_by[0], ctx_this_thread());
    CU_ASSERT(polled_by[1] != 0 && polled_by[1] != ctx_this_thread());
    mtcp_register_signal(SIGUSR2, SIG_DFL);
    EXPECT_EQ(mtcp_destroy_context(m[0]), 0);
    EXPECT_EQ(mtcp_destroy_context(m[1]), 0); /* it came home */
}

TEST_SUITE(loop, TEST_CASE(each_turn_keeps_the_order),
           TEST_CASE(the_world_waits_for_the_next_thing),
           TEST_CASE(the_world_waits_for_the_monitors_timer), TEST_CASE(sleep_ends_by_the_device),
           TEST_CASE(naps_are_short_at_first), TEST_CASE(who_can_not_send_naps),
           TEST_CASE(one_full_device_lets_nobody_nap), TEST_CASE(sleep_ends_by_a_kernel_descriptor),
           TEST_CASE(sleep_ends_by_an_interrupt), TEST_CASE(sleep_ends_by_a_monitors_timer),
           TEST_CASE(spinning_never_sleeps), TEST_CASE(a_line_tells_rates),
           TEST_CASE(failures_say_one_line), TEST_CASE(messages_go_to_the_log),
           TEST_CASE(slots_are_given_out_in_turn), TEST_CASE(what_is_queued_leaves_before_the_end),
           TEST_CASE(a_full_device_does_not_stop_the_clock),
           TEST_CASE(a_full_link_does_not_hold_up_the_end), TEST_CASE(what_can_not_leave_is_reset),
           TEST_CASE(contexts_of_one_thread_are_joined_one_by_one));

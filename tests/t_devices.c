/* mtcp_init to mtcp_destroy, with DPDK's side played by this file: what is asked of it, and when.
 */
#include "mtcp/io/io.h"
#include "tests/plugin.h"
#include "tests/test.h"

#include <mtcp_api.h>
#include <mtcp_epoll.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAYS(e, call)                                                                              \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, e);                                                                       \
    } while (0)

/* ---- the devices ----------------------------------------------------------------------------- */

enum { N_QUEUES = 4 };
static struct mtcp_io queues[N_QUEUES];
static struct io_dev asked; /* of the first device */
static char asked_name[32], asked_device[64];
static unsigned n_starts, n_stops, n_queues;
static int start_fails;         /* errno */
static unsigned queues_missing; /* fewer than it is asked for */
static unsigned rss_buckets;    /* of the device */
static unsigned rss_n;          /* in how many it was told to sort flows, and where they lead */
static uint16_t rss_queue[4096];
static uint8_t rss_key[IO_RSS_KEY];
static bool hugepages;

static unsigned n_rx;

static unsigned rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io, (void)pkts, (void)n;
    n_rx++;
    errno = EAGAIN; /* as a driver leaves it that reads a TAP */
    return 0;
}

static unsigned tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io, (void)pkts;
    return n;
}

static struct mtcp_pkt *alloc(struct mtcp_io *io)
{
    (void)io;
    return NULL;
}

static void free_pkt(struct mtcp_io *io, struct mtcp_pkt *pkt)
{
    (void)io, (void)pkt;
}

int io_dpdk_start(const struct io_conf *conf, char *err, size_t err_len)
{
    n_starts++;
    asked = conf->devs[0];
    snprintf(asked_name, sizeof(asked_name), "%s", conf->devs[0].name);
    snprintf(asked_device, sizeof(asked_device), "%s", conf->devs[0].device);
    hugepages = conf->hugepages;
    memcpy(rss_key, conf->rss_key, sizeof(rss_key));
    n_queues = conf->devs[0].n_queues - queues_missing;
    if (!start_fails)
        return 0;
    snprintf(err, err_len, "it is broken");
    errno = start_fails;
    return -1;
}

struct mtcp_io *io_dpdk_queue(unsigned dev, unsigned queue)
{
    if (dev != 0 || queue >= n_queues || queue >= N_QUEUES)
        return NULL;
    queues[queue] = (struct mtcp_io){.rx_burst = rx,
                                     .tx_burst = tx,
                                     .alloc = alloc,
                                     .free = free_pkt,
                                     .mtu = 1500,
                                     .mac = {2},
                                     .name = asked_name};
    return &queues[queue];
}

struct mtcp_io *io_dpdk_look(unsigned dev, unsigned queue)
{
    return io_dpdk_queue(dev, queue);
}

unsigned io_dpdk_n_queues(unsigned dev)
{
    return dev == 0 ? n_queues : 0;
}

unsigned io_dpdk_rss_buckets(unsigned dev)
{
    return dev == 0 ? rss_buckets : 0;
}

bool io_dpdk_rss_spread(unsigned dev, const uint16_t *queue, unsigned n)
{
    EXPECT_EQ(dev, 0);
    rss_n = n;
    memcpy(rss_queue, queue, n * sizeof(*queue));
    return true;
}

void io_dpdk_stop(void)
{
    n_stops++;
}

/* ---- a configuration ------------------------------------------------------------------------- */

static char path[64], said[512];

/* mtcp_init of a path; `said` is what it printed. */
static int init_file(const char *file)
{
    int p[2], saved = dup(STDERR_FILENO);
    CU_ASSERT_FATAL(pipe(p) == 0);
    dup2(p[1], STDERR_FILENO);
    int r = mtcp_init(file);
    int e = errno;
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(p[1]);
    ssize_t n = read(p[0], said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    close(p[0]);
    errno = e;
    return r;
}

static int init_with(const char *text)
{
    strcpy(path, "/tmp/t_devices_XXXXXX");
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int r = init_file(path);
    int e = errno;
    unlink(path);
    errno = e;
    return r;
}

#define NULL_DEV "netdev n0 { device = net_null0 address = 10.0.0.1/24 }"

static void begin(const char *conf)
{
    char text[512];
    snprintf(text, sizeof(text), "mos { %s " NULL_DEV " }", conf);
    n_starts = n_stops = 0;
    start_fails = 0;
    queues_missing = rss_buckets = rss_n = 0;
    EXPECT_EQ(init_with(text), 0);
    CU_ASSERT_STRING_EQUAL(said, "");
}

/* ---- init ------------------------------------------------------------------------------------ */

static void nothing_works_before_init(void)
{
    struct mtcp_conf conf;
    SAYS(EACCES, mtcp_getconf(&conf));
    SAYS(EACCES, mtcp_setconf(&conf));
    SAYS(EACCES, mtcp_destroy());
    errno = 0;
    CU_ASSERT_PTR_NULL(mtcp_create_context(0));
    EXPECT_EQ(errno, EACCES);
}

static void init_checks_the_file(void)
{
    SAYS(ENOENT, init_file("/nonexistent/mos.conf"));
    SAYS(EISDIR, init_file("/tmp"));
    SAYS(EINVAL, init_with("mos { x = 1 }"));
    CU_ASSERT(strncmp(said, "mtcp: /tmp/t_devices_", 21) == 0);
    CU_ASSERT(strstr(said, ":1: x: unknown; ") != NULL);
    SAYS(EINVAL, init_with("mos {\n num_cores = 1000\n}"));
    CU_ASSERT(strstr(said, ": num_cores: this process may use ") != NULL);
    CU_ASSERT(strchr(said, '\n') == said + strlen(said) - 1); /* one line */
    SAYS(EINVAL, init_with("mos {\n netdev a {\n device = \"net_null0 x\" } }"));
    CU_ASSERT(strstr(said, ":3: device: ") != NULL);
    errno = 0;
    EXPECT_EQ(init_with("mos { netdev a { device = \"0000:ff:1f.7\" } }"), -1);
    CU_ASSERT(errno != 0 && strstr(said, ":1: device: ") != NULL); /* no such card */
    struct mtcp_conf conf;
    SAYS(EACCES, mtcp_getconf(&conf)); /* as if nothing had been tried */
}

static void init_comes_once(void)
{
    begin("");
    SAYS(EALREADY, mtcp_init(NULL));
    EXPECT_EQ(n_starts, 0); /* devices start with the first context */
    EXPECT_EQ(mtcp_destroy(), 0);
    EXPECT_EQ(n_stops, 0);
    SAYS(EACCES, mtcp_destroy());
    begin("");
    EXPECT_EQ(mtcp_destroy(), 0);
}

/* ---- the configuration in force -------------------------------------------------------------- */

static void every_field_goes_both_ways(void)
{
    struct mtcp_conf c, back;
    begin("num_cores = 1 max_concurrency = 500 rmem_size = 4K wmem_size = 8K tcp_timeout = 30 "
          "tcp_tw_interval = 7 cpu_mask = 3 max_num_buffers = 20");
    SAYS(EFAULT, mtcp_getconf(NULL));
    SAYS(EFAULT, mtcp_setconf(NULL));
    EXPECT_EQ(mtcp_getconf(&c), 0);
    EXPECT_EQ(c.num_cores, 1);
    EXPECT_EQ(c.max_concurrency, 500);
    EXPECT_EQ(c.cpu_mask, 3);
    EXPECT_EQ(c.max_num_buffers, 20);
    EXPECT_EQ(c.rcvbuf_size, 4096);
    EXPECT_EQ(c.sndbuf_size, 8192);
    EXPECT_EQ(c.tcp_timewait, 7);
    EXPECT_EQ(c.tcp_timeout, 30);
    c = (struct mtcp_conf){.num_cores = 1,
                           .max_concurrency = 600,
                           .cpu_mask = 1,
                           .max_num_buffers = 30,
                           .rcvbuf_size = 5000,
                           .sndbuf_size = 6000,
                           .tcp_timewait = 0,
                           .tcp_timeout = -1};
    EXPECT_EQ(mtcp_setconf(&c), 0);
    EXPECT_EQ(mtcp_getconf(&back), 0);
    CU_ASSERT(memcmp(&c, &back, sizeof(c)) == 0);
    EXPECT_EQ(mtcp_destroy(), 0);
}

static void fields_have_bounds(void)
{
    struct mtcp_conf good, c, back;
    begin("");
    EXPECT_EQ(mtcp_getconf(&good), 0);
#define REFUSED(field, v)                                                                          \
    do {                                                                                           \
        c = good;                                                                                  \
        c.field = v;                                                                               \
        SAYS(EINVAL, mtcp_setconf(&c));                                                            \
    } while (0)
    REFUSED(num_cores, 0);
    REFUSED(num_cores, 100000);
    REFUSED(max_concurrency, 15);
    REFUSED(max_concurrency, (1 << 24) + 1);
    REFUSED(max_num_buffers, 0);
    REFUSED(rcvbuf_size, 100);
    REFUSED(sndbuf_size, -1);
    REFUSED(tcp_timewait, -1);
    REFUSED(tcp_timewait, 3601);
    REFUSED(tcp_timeout, -2);
    EXPECT_EQ(mtcp_getconf(&back), 0);
    CU_ASSERT(memcmp(&good, &back, sizeof(good)) == 0);
    EXPECT_EQ(mtcp_setconf(&good), 0);
    EXPECT_EQ(mtcp_destroy(), 0);
}

/* ---- contexts -------------------------------------------------------------------------------- */

static void contexts_get_their_queues(void)
{
    struct mtcp_conf c;
    begin("hugepages = 1");
    EXPECT_EQ(mtcp_getconf(&c), 0);
    errno = 7777;
    mctx_t m = mtcp_create_context(0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    EXPECT_EQ(errno, 7777);
    EXPECT_EQ(m->cpu, 0);
    EXPECT_EQ(n_starts, 1);
    EXPECT_EQ(asked.n_queues, 1);
    CU_ASSERT_STRING_EQUAL(asked_name, "n0");
    CU_ASSERT_STRING_EQUAL(asked_device, "net_null0");
    CU_ASSERT(hugepages);
    errno = 0;
    CU_ASSERT_PTR_NULL(mtcp_create_context(0));
    EXPECT_EQ(errno, EBUSY);
    CU_ASSERT_PTR_NULL(mtcp_create_context(1));
    EXPECT_EQ(errno, EINVAL);
    CU_ASSERT_PTR_NULL(mtcp_create_context(-1));
    EXPECT_EQ(errno, EINVAL);
    SAYS(EBUSY, mtcp_setconf(&c));
    EXPECT_EQ(mtcp_destroy_context(m), 0);
    m = mtcp_create_context(0); /* the queue is free again */
    CU_ASSERT_PTR_NOT_NULL(m);
    EXPECT_EQ(n_starts, 1);
    EXPECT_EQ(mtcp_destroy(), 0); /* ends it, too */
    EXPECT_EQ(n_stops, 1);
    SAYS(EACCES, mtcp_epoll_create(m, 1));
}

/* mtcp_create_context(0); `said` is what it printed. */
static mctx_t create_0(void)
{
    int p[2], saved = dup(STDERR_FILENO);
    CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
    dup2(p[1], STDERR_FILENO);
    errno = 0;
    mctx_t m = mtcp_create_context(0);
    int e = errno;
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(p[1]);
    ssize_t n = read(p[0], said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    close(p[0]);
    errno = e;
    return m;
}

static void a_device_that_does_not_start(void)
{
    begin("");
    start_fails = ENODEV;
    CU_ASSERT_PTR_NULL(create_0());
    EXPECT_EQ(errno, ENODEV);
    CU_ASSERT_STRING_EQUAL(said, "mtcp: it is broken\n");
    EXPECT_EQ(mtcp_destroy(), 0);
    EXPECT_EQ(n_stops, 0);
}

static void a_device_with_fewer_queues_than_cores_is_shared(void)
{
    begin("num_cores = 2");
    queues_missing = 1;
    mctx_t m = create_0(), other = mtcp_create_context(1);
    CU_ASSERT_PTR_NOT_NULL(m);
    CU_ASSERT_PTR_NOT_NULL(other);
    EXPECT_EQ(mtcp_destroy_context(other), 0);
    other = mtcp_create_context(1); /* again */
    CU_ASSERT_PTR_NOT_NULL(other);
    CU_ASSERT_PTR_NULL(mtcp_create_context(1));
    EXPECT_EQ(errno, EBUSY);
    EXPECT_EQ(mtcp_destroy(), 0);
    EXPECT_EQ(n_stops, 1);
}

/* A card sorts flows as the cores do, by a key of this run alone; those of a core without a queue
 * come by another's. */
static void a_card_is_told_whose_flows_are(void)
{
    uint8_t last[IO_RSS_KEY];
    for (unsigned i = 0; i < 2; i++) {
        memcpy(last, rss_key, sizeof(last));
        begin("num_cores = 2");
        queues_missing = i;
        rss_buckets = 256;
        CU_ASSERT_PTR_NOT_NULL(create_0());
        EXPECT_EQ(rss_n, 256);
        for (unsigned k = 0; k < rss_n; k++)
            EXPECT_EQ(rss_queue[k], i ? 0 : k % 2); /* with one queue all come by it */
        CU_ASSERT(memcmp(last, rss_key, sizeof(last)) != 0);
        EXPECT_EQ(mtcp_destroy(), 0);
    }
}

/* ---- plugins that start ---------------------------------------------------------------------- */

/* What a plugin's start may ask for, and does not get. */
int plugin_start_asks(mctx_t m);
int plugin_start_asks(mctx_t m)
{
    struct mtcp_epoll_event ev;
    struct mtcp_conf c;
    EXPECT_EQ(mtcp_getconf(&c), 0);
    SAYS(EBUSY, mtcp_setconf(&c));
    SAYS(EALREADY, mtcp_init(NULL));
    CU_ASSERT_PTR_NULL(mtcp_create_context(0));
    EXPECT_EQ(errno, EBUSY);
    SAYS(EDEADLK, mtcp_destroy_context(m));
    int ep = mtcp_epoll_create(m, 1);
    SAYS(EDEADLK, mtcp_epoll_wait(m, ep, &ev, 1, 0));
    return mtcp_close(m, ep);
}

static void a_plugin_that_starts_can_not_end_its_context(void)
{
    char conf[256];
    if (plugin_build("#include <stdlib.h>\n"
                     "int mos_monitor_init(void *c, const char *a)"
                     "{ return ((int (*)(void *))strtoul(a, NULL, 16))(c); }\n")) {
        snprintf(conf, sizeof(conf), "monitor x { plugin = \"%s\" args = \"%llx\" }", plugin_path,
                 (unsigned long long)(uintptr_t)plugin_start_asks);
        begin(conf);
        mctx_t m = create_0();
        CU_ASSERT_PTR_NOT_NULL(m);
        CU_ASSERT_STRING_EQUAL(said, "");
        EXPECT_EQ(mtcp_destroy_context(m), 0);
        EXPECT_EQ(mtcp_destroy(), 0);
    }
    plugin_clean();
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* What `check` says in a child: its process's exit status. It ends as another program, so that
 * valgrind does not miss there what belongs to the parent. */
static int in_child(bool (*check)(mctx_t), mctx_t m)
{
    int status = -1;
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        const char *end = check(m) ? "true" : "false";
        execlp(end, end, (char *)NULL);
        _exit(2);
    }
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return status;
}

static bool has_nothing(mctx_t m)
{
    bool stale = mtcp_socket(m, AF_INET, SOCK_STREAM, 0) == -1 && errno == EACCES;
    stale &= mtcp_destroy_context(m) == -1 && errno == EACCES;
    stale &= mtcp_create_context(0) == NULL && errno == EACCES;
    return stale && mtcp_destroy() == -1 && errno == EACCES && n_stops == 0;
}

static void a_child_has_nothing_of_its_parents_contexts(void)
{
    begin("");
    mctx_t m = mtcp_create_context(0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    EXPECT_EQ(in_child(has_nothing, m), 0);
    EXPECT_EQ(mtcp_socket(m, AF_INET, SOCK_STREAM, 0), 0);
    EXPECT_EQ(mtcp_destroy(), 0);
    EXPECT_EQ(n_stops, 1);
}

static bool begins_by_itself(mctx_t none)
{
    mctx_t m = mtcp_create_context(0);
    return !none && m && mtcp_destroy_context(m) == 0 && mtcp_destroy() == 0 && n_stops == 1;
}

static void a_child_may_begin_what_its_parent_has_not(void)
{
    begin("");
    EXPECT_EQ(in_child(begins_by_itself, NULL), 0);
    EXPECT_EQ(n_starts, 0);
    EXPECT_EQ(mtcp_destroy(), 0);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void waiting_leaves_errno_alone(void)
{
    struct mtcp_epoll_event ev;
    begin("");
    mctx_t m = mtcp_create_context(0);
    int ep = mtcp_epoll_create(m, 1);
    errno = 7777;
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 0), 0);
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 3), 0); /* sleeps */
    EXPECT_EQ(errno, 7777);
    EXPECT_EQ(mtcp_destroy(), 0);
}

/* A descriptor that is ready in one epoll keeps nobody awake who waits for another. */
static void a_ready_descriptor_elsewhere_lets_sleep(void)
{
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN};
    const uint64_t one = 1;
    int fd = eventfd(0, EFD_NONBLOCK);
    begin("");
    mctx_t m = mtcp_create_context(0);
    int ep = mtcp_epoll_create(m, 1), other = mtcp_epoll_create(m, 1);
    EXPECT_EQ(mtcp_epoll_add_fd(m, other, fd, &ev), 0);
    EXPECT_EQ(write(fd, &one, sizeof(one)), sizeof(one));
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 1), 0);
    n_rx = 0;
    EXPECT_EQ(mtcp_epoll_wait(m, ep, &ev, 1, 100), 0);
    CU_ASSERT(n_rx < 1000); /* naps of 1 ms: the device here can't wake */
    EXPECT_EQ(mtcp_epoll_wait(m, other, &ev, 1, -1), 1); /* it was not forgotten */
    EXPECT_EQ(mtcp_epoll_wait(m, other, &ev, 1, -1), 1);
    EXPECT_EQ(mtcp_destroy(), 0);
    close(fd);
}

/* ---- the end --------------------------------------------------------------------------------- */

static int destroyed; /* what mtcp_destroy gave in the handler */

static void destroy_in_handler(int signum)
{
    (void)signum;
    destroyed = mtcp_destroy();
}

static _Atomic bool is_serving;

static void *serve(void *arg)
{
    struct mtcp_epoll_event ev;
    (void)arg;
    mctx_t m = mtcp_create_context(0);
    CU_ASSERT_PTR_NOT_NULL(m);
    int ep = mtcp_epoll_create(m, 1);
    is_serving = true;
    SAYS(EINTR, mtcp_epoll_wait(m, ep, &ev, 1, -1));
    SAYS(EINTR, mtcp_epoll_wait(m, ep, &ev, 1, -1)); /* and again: it is over */
    EXPECT_EQ(mtcp_destroy_context(m), 0);
    return NULL;
}

static void destroy_ends_other_threads_loops(void)
{
    pthread_t t;
    begin("");
    is_serving = false;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, serve, NULL), 0);
    while (!is_serving)
        usleep(100);
    EXPECT_EQ(mtcp_destroy(), 0); /* waits for the thread's context */
    EXPECT_EQ(n_stops, 1);
    pthread_join(t, NULL);
    struct mtcp_conf c;
    SAYS(EACCES, mtcp_getconf(&c));
}

static void destroy_in_a_handler_only_interrupts(void)
{
    struct mtcp_epoll_event ev;
    begin("");
    mctx_t m = mtcp_create_context(0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    int ep = mtcp_epoll_create(m, 1);
    destroyed = -2;
    mtcp_register_signal(SIGUSR1, destroy_in_handler);
    raise(SIGUSR1);
    EXPECT_EQ(destroyed, 0);
    EXPECT_EQ(n_stops, 0);
    SAYS(EINTR, mtcp_epoll_wait(m, ep, &ev, 1, -1));
    mtcp_register_signal(SIGUSR1, SIG_DFL);
    EXPECT_EQ(mtcp_destroy(), 0);
    EXPECT_EQ(n_stops, 1);
}

TEST_SUITE(devices, TEST_CASE(nothing_works_before_init), TEST_CASE(init_checks_the_file),
           TEST_CASE(init_comes_once), TEST_CASE(every_field_goes_both_ways),
           TEST_CASE(fields_have_bounds), TEST_CASE(contexts_get_their_queues),
           TEST_CASE(a_device_that_does_not_start),
           TEST_CASE(a_device_with_fewer_queues_than_cores_is_shared),
           TEST_CASE(a_card_is_told_whose_flows_are),
           TEST_CASE(a_plugin_that_starts_can_not_end_its_context),
           TEST_CASE(a_child_has_nothing_of_its_parents_contexts),
           TEST_CASE(a_child_may_begin_what_its_parent_has_not),
           TEST_CASE(waiting_leaves_errno_alone),
           TEST_CASE(a_ready_descriptor_elsewhere_lets_sleep),
           TEST_CASE(destroy_ends_other_threads_loops),
           TEST_CASE(destroy_in_a_handler_only_interrupts));

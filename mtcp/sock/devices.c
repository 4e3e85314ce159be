/*
 * The process: mtcp_init, the configuration in force, contexts over DPDK devices. The one file of
 * sock/ that needs DPDK when a program is linked; a program that brings its own devices
 * (mtcp_create_context_io) does without.
 *
 * Devices start with the first context, because mtcp_setconf may still change the number of cores;
 * that they exist and may be used is checked by mtcp_init.
 */
#include "mtcp/io/io.h"
#include "mtcp/io/io_devstr.h"
#include "mtcp/net/route.h"
#include "mtcp/sock/life.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    bool is_init, is_started;
    struct config conf; /* the parsed configuration */
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void say(const char *line)
{
    dprintf(STDERR_FILENO, "mtcp: %s\n", line);
}

static int n_cpus(void)
{
    cpu_set_t set;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    return n > 0 ? (int)n : 1;
}

/* ---- init
 * ----------------------------------------------------------------------------------------- */

/* Is the device there, and may it be used? 0 or -errno with a line in err. */
static int check_device(const struct config_netdev *d, const char *file, char *err, size_t err_len)
{
    char why[256] = "";
    struct io_devstr *dev = malloc(sizeof(*dev));
    int e = dev ? io_devstr_parse(dev, d->device, why, sizeof(why)) : -ENOMEM;
    if (e == 0)
        e = io_devstr_check(dev, why, sizeof(why));
    free(dev);
    if (e == 0)
        return 0;
    if (d->line)
        snprintf(err, err_len, "%s:%u: device: %s", file, d->line, why);
    else
        snprintf(err, err_len, "netdev \"%s\": device: %s", d->name, why);
    return e;
}

static int load(const char *file, char *err, size_t err_len)
{
    struct config *c = &process.conf;
    int e = config_load_file(c, file, err, err_len);
    if (e < 0)
        return e;
    if (c->n_netdevs == 0)
        config_default_netdev(c);
    if ((int)c->num_cores > n_cpus()) {
        snprintf(err, err_len, "%s: num_cores: this process may use %d; write at most that",
                 file ? file : "config", n_cpus());
        return -EINVAL;
    }
    for (unsigned i = 0; i < c->n_netdevs && e == 0; i++)
        e = check_device(&c->netdev[i], file, err, err_len);
    return e;
}

int mtcp_init(const char *config_file)
{
    char err[512] = "no memory";
    int saved = errno;
    pthread_mutex_lock(&process.lock);
    int e = process.is_init ? -EALREADY : load(config_file, err, sizeof(err));
    process.is_init |= e == 0;
    pthread_mutex_unlock(&process.lock);
    errno = saved;
    if (e < 0 && e != -EALREADY)
        say(err);
    return (int)sock_result(e);
}

/* ---- the configuration in force
 * ------------------------------------------------------------------- */

static int clamp_int(uint64_t v)
{
    return v > INT32_MAX ? INT32_MAX : (int)v;
}

int mtcp_getconf(struct mtcp_conf *conf)
{
    const struct config *c = &process.conf;
    if (!process.is_init)
        return (int)sock_result(-EACCES);
    if (!conf)
        return (int)sock_result(-EFAULT);
    uint64_t idle_s = c->tcp.idle_timeout_us / 1000000u;
    memset(conf, 0, sizeof(*conf));
    conf->num_cores = (int)c->num_cores;
    conf->max_concurrency = (int)c->max_concurrency;
    conf->cpu_mask = c->cpu_mask;
    conf->max_num_buffers = clamp_int(c->max_num_buffers ? c->max_num_buffers : c->max_concurrency);
    conf->rcvbuf_size = (int)c->tcp.rcvbuf;
    conf->sndbuf_size = (int)c->tcp.sndbuf;
    conf->tcp_timewait = (int)(c->tcp.tw_us / 1000000u);
    conf->tcp_timeout = idle_s ? clamp_int(idle_s) : -1;
    return 0;
}

static bool in_range(int v, int min, int max)
{
    return v >= min && v <= max;
}

static bool conf_is_valid(const struct mtcp_conf *n)
{
    enum { BUF_MIN = 2048, BUF_MAX = 1 << 30, SOCKS_MIN = 16, SOCKS_MAX = 1 << 24, TW_MAX = 3600 };
    if (!in_range(n->num_cores, 1, n_cpus()) ||
        (n->cpu_mask && __builtin_popcountll(n->cpu_mask) < n->num_cores))
        return false;
    return in_range(n->max_concurrency, SOCKS_MIN, SOCKS_MAX) &&
           in_range(n->max_num_buffers, 1, INT32_MAX) &&
           in_range(n->rcvbuf_size, BUF_MIN, BUF_MAX) &&
           in_range(n->sndbuf_size, BUF_MIN, BUF_MAX) && in_range(n->tcp_timewait, 0, TW_MAX) &&
           in_range(n->tcp_timeout, -1, INT32_MAX);
}

static int conf_change(const struct mtcp_conf *n)
{
    struct config *c = &process.conf;
    if (process.is_started || ctx_table_count() > 0)
        return -EBUSY;
    c->num_cores = (unsigned)n->num_cores;
    c->max_concurrency = (uint32_t)n->max_concurrency;
    c->cpu_mask = n->cpu_mask;
    c->max_num_buffers = (uint32_t)n->max_num_buffers;
    c->tcp.rcvbuf = (uint32_t)n->rcvbuf_size;
    c->tcp.sndbuf = (uint32_t)n->sndbuf_size;
    c->tcp.tw_us = (uint32_t)n->tcp_timewait * 1000000u;
    c->tcp.idle_timeout_us = n->tcp_timeout > 0 ? (uint64_t)n->tcp_timeout * 1000000u : 0;
    return 0;
}

int mtcp_setconf(const struct mtcp_conf *conf)
{
    if (!process.is_init)
        return (int)sock_result(-EACCES);
    if (!conf)
        return (int)sock_result(-EFAULT);
    if (!conf_is_valid(conf))
        return (int)sock_result(-EINVAL);
    pthread_mutex_lock(&process.lock);
    int err = conf_change(conf);
    pthread_mutex_unlock(&process.lock);
    return (int)sock_result(err);
}

/* ---- contexts over devices
 * ------------------------------------------------------------------------ */

static int devices_start(void)
{
    const struct config *c = &process.conf;
    struct io_dpdk_dev devs[NET_IF_MAX];
    for (unsigned i = 0; i < c->n_netdevs; i++) {
        const struct config_netdev *d = &c->netdev[i];
        devs[i] = (struct io_dpdk_dev){
            .name = d->name,
            .device = d->device,
            .n_queues = c->num_cores,
            .mtu = d->mtu,
            .n_rxd = d->n_rxd,
            .n_txd = d->n_txd,
            .n_pkts = c->n_pkts,
            .has_mac = d->has_mac,
        };
        memcpy(devs[i].mac, d->mac, sizeof(d->mac));
    }
    struct io_dpdk_conf conf = {
        .devs = devs,
        .n_devs = c->n_netdevs,
        .mem_mb = c->packet_mem_mb,
        .hugepages = c->hugepages,
        .extra_args = c->eal_args[0] ? c->eal_args : NULL,
    };
    char err[512] = "the devices did not start";
    if (io_dpdk_start(&conf, err, sizeof(err)) == 0)
        return 0;
    int e = errno ? errno : ENODEV;
    say(err);
    return -e;
}

/* This core's queue of every device. 0 or -EBUSY. */
static int devices_queues(int cpu, struct mtcp_io **ios)
{
    for (unsigned i = 0; i < process.conf.n_netdevs; i++) {
        ios[i] = io_dpdk_queue(i, (unsigned)cpu);
        if (!ios[i] || ctx_table_uses(ios[i]))
            return -EBUSY;
    }
    return 0;
}

/* With the lock. The handle, or NULL with *err. */
static mctx_t context_begin(int cpu, int *err)
{
    struct mtcp_io *ios[NET_IF_MAX];
    if (!process.is_init)
        *err = -EACCES;
    else if (cpu < 0 || cpu >= (int)process.conf.num_cores)
        *err = -EINVAL;
    else if (!process.is_started && (*err = devices_start()) == 0)
        process.is_started = true;
    if (*err == 0)
        *err = devices_queues(cpu, ios);
    if (*err < 0)
        return NULL;
    struct ctx_create how = {
        .cpu = cpu, .conf = &process.conf, .ios = ios, .n_ios = process.conf.n_netdevs};
    mctx_t mctx = context_create(&how);
    if (!mctx)
        *err = -errno;
    return mctx;
}

mctx_t mtcp_create_context(int cpu)
{
    int saved = errno, err = 0;
    pthread_mutex_lock(&process.lock);
    mctx_t mctx = context_begin(cpu, &err);
    pthread_mutex_unlock(&process.lock);
    errno = err < 0 ? -err : saved;
    return mctx;
}

/* ---- the end
 * -------------------------------------------------------------------------------------- */

/* Does this thread run a loop right now? Then it is a signal handler, or a callback, that calls. */
static bool thread_is_busy(bool *in_callback)
{
    bool busy = signal_is_handled();
    struct mtcp_context *mctx;
    for (unsigned i = 0; (mctx = ctx_table_next_own(&i));) {
        const struct mtcp_ctx *ctx = ctx_of_live(mctx);
        busy |= ctx->is_blocking || ctx->in_poll;
        *in_callback |= ctx->net.env.user_depth > 0;
    }
    return busy;
}

static void end_own_contexts(void)
{
    struct mtcp_context *mctx;
    for (unsigned i = 0; (mctx = ctx_table_next_own(&i));)
        context_end(ctx_of_live(mctx));
}

int mtcp_destroy(void)
{
    enum { NAP_US = 1000 };
    bool in_callback = false;
    int saved = errno;
    if (!process.is_init)
        return (int)sock_result(-EACCES);
    bool busy = thread_is_busy(&in_callback);
    if (in_callback)
        return (int)sock_result(-EDEADLK);
    ctx_interrupt_all(CTX_INT_END);
    if (busy)
        return 0;
    end_own_contexts();
    while (ctx_table_count() > 0) {
        usleep(NAP_US);
        end_own_contexts(); /* one that another thread ran for us may be back */
    }
    pthread_mutex_lock(&process.lock);
    if (process.is_started)
        io_dpdk_stop();
    process.is_started = process.is_init = false;
    pthread_mutex_unlock(&process.lock);
    errno = saved;
    return 0;
}

/* ---- source addresses
 * ----------------------------------------------------------------------------- */

static int check_sources(const struct net *n, in_addr_t base, int num_addr)
{
    if (base == INADDR_ANY)
        return 0;
    for (int i = 0; i < num_addr; i++) {
        be32_t first = {base};
        struct ip_addr a = ip_addr_v4(be32_make(be32_get(first) + (uint32_t)i));
        if (!net_addr_is_local(n, &a))
            return -EADDRNOTAVAIL;
    }
    return 0;
}

/* Connections choose ports that come back to their own core by themselves, so that there is nothing
 * to reserve; what the caller says is checked. */
int mtcp_init_rss(mctx_t mctx, in_addr_t saddr_base, int num_addr, in_addr_t daddr, in_addr_t dport)
{
    struct mtcp_ctx *ctx = ctx_of(mctx);
    (void)dport;
    if (!ctx)
        return -1;
    if (num_addr < 1)
        return (int)sock_result(-EINVAL);
    int err = check_sources(&ctx->net, saddr_base, num_addr);
    struct ip_addr to = ip_addr_v4((be32_t){daddr});
    if (err == 0 && !route_find(&ctx->net, &to))
        err = -ENETUNREACH;
    return (int)sock_result(err);
}

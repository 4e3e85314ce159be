/*
 * mtcp_init, mtcp_destroy and contexts over devices. The one file of sock/ that needs DPDK
 * when a program is linked; one that brings its own devices (mtcp_create_context_io) does without.
 *
 * Devices start with the first context, because mtcp_setconf may still change the number of cores;
 * that they exist and may be used is checked by mtcp_init.
 */
#include "mtcp/core/steer.h"
#include "mtcp/io/io.h"
#include "mtcp/io/io_devstr.h"
#include "mtcp/sock/life.h"
#include "mtcp/sock/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define CORES_MAX   1024u /* of num_cores */
#define BUCKETS_MAX 4096u /* of flows: so that each of many cores has a fair share */

_Static_assert(IO_RSS_KEY == HASH_TOEPLITZ_KEY, "one key for devices and cores");

static void say(const char *line)
{
    dprintf(STDERR_FILENO, "mtcp: %s\n", line);
}

/* ---- init ------------------------------------------------------------------------------------ */

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
    struct config *c = &the_process.conf;
    int e = config_load_file(c, file, err, err_len);
    if (e < 0)
        return e;
    if (c->n_netdevs == 0)
        config_default_netdev(c);
    if ((int)c->num_cores > process_n_cpus()) {
        snprintf(err, err_len, "%s: num_cores: this process may use %d; write at most that",
                 file ? file : "config", process_n_cpus());
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
    pthread_mutex_lock(&the_process.lock);
    int e = the_process.is_init ? -EALREADY : load(config_file, err, sizeof(err));
    the_process.is_init |= e == 0;
    process_mind_forks();
    pthread_mutex_unlock(&the_process.lock);
    errno = saved;
    if (e < 0 && e != -EALREADY)
        say(err);
    return (int)sock_result(e);
}

/* ---- contexts over devices ------------------------------------------------------------------- */

/* A random key by which every core has ports to any other host. */
static bool rss_key_draw(uint8_t key[IO_RSS_KEY], unsigned n_cores)
{
    struct hash_toeplitz h;
    unsigned n_bits = 0;
    while (n_cores > 1u << n_bits)
        n_bits++;
    do {
        if (getrandom(key, IO_RSS_KEY, 0) != IO_RSS_KEY)
            return false;
        hash_toeplitz_init(&h, key);
    } while (!hash_toeplitz_has_ports(&h, n_bits));
    return true;
}

static int devices_start(void)
{
    const struct config *c = &the_process.conf;
    struct io_dev devs[NET_IF_MAX];
    for (unsigned i = 0; i < c->n_netdevs; i++) {
        const struct config_netdev *d = &c->netdev[i];
        devs[i] = (struct io_dev){
            .name = d->name,
            .device = d->device,
            .n_queues = c->num_cores,
            .mtu = d->mtu,
            .n_rxd = d->n_rxd,
            .n_txd = d->n_txd,
            .n_pkts = c->n_pkts,
            .has_mac = d->has_mac,
            .promiscuous = config_is_wire(c),
        };
        memcpy(devs[i].mac, d->mac, sizeof(d->mac));
    }
    struct io_conf conf = {
        .devs = devs,
        .n_devs = c->n_netdevs,
        .mem_mb = c->packet_mem_mb,
        .hugepages = c->hugepages,
        .extra_args = c->eal_args[0] ? c->eal_args : NULL,
        .rss_key = the_process.rss_key,
    };
    char err[512] = "the devices did not start";
    if (!rss_key_draw(the_process.rss_key, c->num_cores))
        return -EAGAIN;
    if (io_devices_start(&conf, err, sizeof(err)) == 0)
        return 0;
    int e = errno ? errno : ENODEV;
    say(err);
    return -e;
}

/* ---- several cores --------------------------------------------------------------------------- */

/* A capture is one stream, with one clock. */
static int capture_complain(unsigned dev)
{
    char line[160];
    snprintf(line, sizeof(line),
             "netdev %s: a capture is for one core, not for %u: lower num_cores",
             the_process.conf.netdev[dev].name, the_process.conf.num_cores);
    say(line);
    return -EBUSY;
}

/* As many as every device has, if they are enough for all cores to have about the same share. */
static unsigned rss_buckets(const struct config *c)
{
    enum { SHARE = 8 };
    unsigned n = BUCKETS_MAX;
    for (unsigned i = 0; i < c->n_netdevs; i++) {
        unsigned has = io_devices_rss_buckets(i);
        n = has >= SHARE * c->num_cores && has < n ? has : n;
    }
    return n;
}

/* The packets of cores without a queue come by the others'. */
static void rss_spread(unsigned dev, unsigned n_buckets)
{
    uint16_t queue[BUCKETS_MAX];
    unsigned n_queues = io_devices_n_queues(dev);
    for (unsigned i = 0; i < n_buckets; i++) {
        unsigned owner = steer_owner_of_bucket(the_process.steer, i);
        queue[i] = (uint16_t)(owner < n_queues ? owner : i / the_process.conf.num_cores % n_queues);
    }
    (void)io_devices_rss_spread(dev, queue, n_buckets); /* refused: packets are handed over */
}

static int steer_make(void)
{
    const struct config *c = &the_process.conf;
    static struct mtcp_io *queues[NET_IF_MAX][CORES_MAX];
    struct steer_dev devs[NET_IF_MAX];
    struct steer_rss rss = {.n_buckets = rss_buckets(c)};
    for (unsigned i = 0; i < c->n_netdevs; i++) {
        devs[i] = (struct steer_dev){queues[i], io_devices_n_queues(i)};
        for (unsigned k = 0; k < devs[i].n; k++)
            queues[i][k] = io_devices_look(i, k);
        if (queues[i][0]->caps & MTCP_IO_CAPTURE)
            return capture_complain(i);
    }
    memcpy(rss.key, the_process.rss_key, sizeof(rss.key));
    the_process.steer = steer_create(c->num_cores, devs, c->n_netdevs, &rss);
    for (unsigned i = 0; the_process.steer && i < c->n_netdevs; i++)
        rss_spread(i, rss.n_buckets);
    return the_process.steer ? 0 : -ENOMEM;
}

/* The device as this core uses it. NULL with *err. */
static struct mtcp_io *device_of_core(unsigned dev, unsigned cpu, int *err)
{
    struct mtcp_io *own = io_devices_queue(dev, cpu);
    struct mtcp_io *io = the_process.steer ? steer_port(the_process.steer, dev, cpu) : own;
    if (!io)
        *err = -EMFILE;
    else if (ctx_table_uses(io))
        *err = -EBUSY;
    return *err < 0 ? NULL : io;
}

/* The first n are no context's. */
static void devices_give_back(struct mtcp_io **ios, unsigned n)
{
    for (unsigned i = 0; the_process.steer && i < n; i++)
        ios[i]->close(ios[i]);
}

static int devices_of_core(int cpu, struct mtcp_io **ios)
{
    int err = 0;
    for (unsigned i = 0; i < the_process.conf.n_netdevs; i++)
        if (!(ios[i] = device_of_core(i, (unsigned)cpu, &err))) {
            devices_give_back(ios, i);
            break;
        }
    return err;
}

/* With the lock. The handle, or NULL with *err. */
static mctx_t context_begin(int cpu, int *err)
{
    struct mtcp_io *ios[NET_IF_MAX];
    if (!the_process.is_init)
        *err = -EACCES;
    else if (cpu < 0 || cpu >= (int)the_process.conf.num_cores)
        *err = -EINVAL;
    else if (!the_process.is_started && (*err = devices_start()) == 0)
        the_process.is_started = true;
    if (*err == 0 && the_process.conf.num_cores > 1 && !the_process.steer)
        *err = steer_make();
    if (*err == 0)
        *err = devices_of_core(cpu, ios);
    if (*err < 0)
        return NULL;
    struct ctx_create how = {
        .cpu = cpu, .conf = &the_process.conf, .ios = ios, .n_ios = the_process.conf.n_netdevs};
    if (the_process.steer)
        how.steer = steer_of_core(the_process.steer, (unsigned)cpu);
    mctx_t mctx = context_create(&how);
    if (!mctx) {
        *err = -errno;
        devices_give_back(ios, how.n_ios);
    }
    return mctx;
}

mctx_t mtcp_create_context(int cpu)
{
    int saved = errno, err = 0;
    pthread_mutex_lock(&the_process.lock);
    mctx_t mctx = context_begin(cpu, &err);
    pthread_mutex_unlock(&the_process.lock);
    errno = err < 0 ? -err : saved;
    return mctx;
}

/* ---- the end --------------------------------------------------------------------------------- */

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
    if (!the_process.is_init)
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
    pthread_mutex_lock(&the_process.lock);
    steer_destroy(the_process.steer);
    the_process.steer = NULL;
    if (the_process.is_started)
        io_devices_stop();
    the_process.is_started = the_process.is_init = false;
    pthread_mutex_unlock(&the_process.lock);
    errno = saved;
    return 0;
}

/*
 * DPDK devices behind the burst interface: start, queues, stop. There is one EAL per process, so
 * there is one set of ports; both are written by io_dpdk_start() and io_dpdk_stop() alone.
 */
#include "mtcp/io/io.h"
#include "mtcp/io/io_port.h"

#include <rte_config.h>
#include <rte_cycles.h>
#include <rte_lcore.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MTU_MIN        576  /* what every host must take, RFC 791 */
#define KERNEL_MTU_MAX 9000 /* of a loopback's 64 KB no more than a jumbo frame is used */
#define EAL_OWN_MB     24   /* what EAL and the drivers take besides packet buffers */

static struct {
    unsigned n;
    struct io_port port[IO_PORTS_MAX];
} ports;

static int dev_parse(struct io_port *p, const struct io_dev *conf, char *err, size_t err_len)
{
    int rc = io_devstr_parse(&p->dev, conf->device, err, err_len);

    if (rc == 0)
        rc = io_devstr_check(&p->dev, err, err_len);
    if (rc != 0)
        return rc;
    uint32_t kernel_mtu = io_devstr_kernel_mtu(&p->dev);
    if (kernel_mtu > KERNEL_MTU_MAX)
        kernel_mtu = KERNEL_MTU_MAX;
    p->mtu = conf->mtu != 0 ? conf->mtu : (uint16_t)kernel_mtu;
    if (p->mtu != 0 && p->mtu < MTU_MIN)
        rc = -EINVAL;
    else
        rc = io_devstr_complete(&p->dev, conf->n_queues, p->mtu);
    if (rc == -EINVAL)
        snprintf(err, err_len, "an MTU of %u is too small: at least %d", p->mtu, MTU_MIN);
    else if (rc != 0)
        snprintf(err, err_len, "too many arguments");
    return rc;
}

static int dev_unique(unsigned i, char *err, size_t err_len)
{
    for (unsigned j = 0; j < i; j++) {
        if (strcmp(ports.port[i].dev.name, ports.port[j].dev.name) != 0)
            continue;
        snprintf(err, err_len, "netdev %s has a device of this name already", ports.port[j].name);
        return -EINVAL;
    }
    return 0;
}

static int devs_parse(const struct io_conf *conf, char *err, size_t err_len)
{
    if (conf->n_devs == 0 || conf->n_devs > IO_PORTS_MAX) {
        snprintf(err, err_len, "%u devices: expected 1 to %d", conf->n_devs, IO_PORTS_MAX);
        return -EINVAL;
    }
    for (unsigned i = 0; i < conf->n_devs; i++) {
        const struct io_dev *d = &conf->devs[i];
        struct io_port *p = &ports.port[i];
        char what[768];
        memset(p, 0, sizeof(*p));
        snprintf(p->name, sizeof(p->name), "%s", d->name != NULL ? d->name : "?");
        int rc = dev_parse(p, d, what, sizeof(what));
        if (rc == 0)
            rc = dev_unique(i, what, sizeof(what));
        if (rc == 0)
            continue;
        snprintf(err, err_len, "netdev %s: device %s: %s", p->name,
                 d->device != NULL ? d->device : "", what);
        return rc;
    }
    return 0;
}

static int eal_start(const struct io_conf *conf, char *err, size_t err_len)
{
    struct eal_conf eal = {.hugepages = conf->hugepages,
                           .n_cpus_max = RTE_MAX_LCORE,
                           .extra_args = conf->extra_args,
                           .log = conf->log};
    uint64_t bytes = 0;

    for (unsigned i = 0; i < conf->n_devs; i++) {
        bytes += io_port_mem(&ports.port[i], &conf->devs[i]);
        if (ports.port[i].dev.is_pci)
            eal.pci[eal.n_pci++] = ports.port[i].dev.text;
    }
    eal.mem_mb = conf->mem_mb != 0 ? conf->mem_mb : (bytes >> 20) + 1 + EAL_OWN_MB;
    return io_eal_start(&eal, err, err_len);
}

/* DPDK's threads inherit the mask, so that signals reach the program's own threads; and a
 * vhost-user peer that is gone must not end this process by SIGPIPE. */
static void signals_block(sigset_t *old)
{
    sigset_t set;

    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGABRT);
    pthread_sigmask(SIG_BLOCK, &set, old);
}

static void signals_restore(const sigset_t *old)
{
    const struct timespec now = {0};
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!sigismember(old, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &now) == SIGPIPE)
            ;
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

static void ports_close(void)
{
    for (unsigned i = 0; i < ports.n; i++)
        io_port_close(&ports.port[i]);
    ports.n = 0;
    rte_delay_us_sleep(50000); /* a memif control thread still looks at what was closed */
    io_eal_stop();
}

static int ports_open(const struct io_conf *conf, char *err, size_t err_len)
{
    int rc = devs_parse(conf, err, err_len);

    if (rc == 0)
        rc = eal_start(conf, err, err_len);
    if (rc != 0)
        return rc;
    while (rc == 0 && ports.n < conf->n_devs) {
        rc = io_port_open(&ports.port[ports.n], &conf->devs[ports.n], conf->rss_key, err, err_len);
        ports.n += rc == 0;
    }
    if (rc != 0)
        ports_close();
    return rc;
}

int io_dpdk_start(const struct io_conf *conf, char *err, size_t err_len)
{
    sigset_t signals;

    if (ports.n != 0) {
        snprintf(err, err_len, "DPDK is running already");
        errno = EBUSY;
        return -1;
    }
    signals_block(&signals);
    int rc = ports_open(conf, err, err_len);
    signals_restore(&signals);
    if (rc == 0)
        return 0;
    errno = -rc;
    return -1;
}

unsigned io_dpdk_n_queues(unsigned dev)
{
    return dev < ports.n ? ports.port[dev].n_queues : 0;
}

/* A thread known to EAL has a cache of packet buffers; without one everything works, slower. */
struct mtcp_io *io_dpdk_look(unsigned dev, unsigned queue)
{
    return queue < io_dpdk_n_queues(dev) ? &ports.port[dev].queues[queue].io : NULL;
}

struct mtcp_io *io_dpdk_queue(unsigned dev, unsigned queue)
{
    if (queue >= io_dpdk_n_queues(dev))
        return NULL;
    struct io_queue *q = &ports.port[dev].queues[queue];
    if (rte_lcore_id() == LCORE_ID_ANY)
        q->thread_registered = rte_thread_register() == 0;
    return &q->io;
}

unsigned io_dpdk_rss_buckets(unsigned dev)
{
    return dev < ports.n ? ports.port[dev].rss_buckets : 0;
}

bool io_dpdk_rss_spread(unsigned dev, const uint16_t *queue, unsigned n)
{
    return dev < ports.n && io_rss_spread(&ports.port[dev], queue, n);
}

void io_dpdk_stop(void)
{
    sigset_t signals;

    if (ports.n == 0)
        return;
    signals_block(&signals);
    ports_close();
    signals_restore(&signals);
}

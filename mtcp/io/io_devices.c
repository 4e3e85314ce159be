/*
 * The devices of a configuration, whichever kind each is. EAL is one per process, so is this table,
 * which io_devices_start() and io_devices_stop() alone write.
 */
#include "mtcp/io/io.h"
#include "mtcp/io/io_devstr.h"

#include <errno.h>
#include <stdio.h>

#define DEVICES_MAX 16

static struct {
    unsigned n, n_dpdk;
    struct {
        struct io_tap *tap; /* NULL: DPDK's */
        unsigned dpdk;      /* its number there */
    } dev[DEVICES_MAX];
} devices;

/* One that can't be taken apart is left to DPDK's side, which says why. */
static bool is_own(const struct io_dev *dev)
{
    struct io_devstr s;
    char why[256];

    return io_devstr_parse(&s, dev->device, why, sizeof(why)) == 0 && s.drv->is_own;
}

/* Opens the device if it is of our own, else adds it to those of DPDK. 0 or -errno. */
static int device_begin(const struct io_dev *dev, struct io_dev *dpdk, char *err, size_t err_len)
{
    unsigned i = devices.n;

    devices.dev[i].tap = NULL;
    devices.dev[i].dpdk = devices.n_dpdk;
    if (is_own(dev)) {
        int rc = io_tap_open(&devices.dev[i].tap, dev, err, err_len);
        if (rc != 0)
            return rc;
    } else {
        dpdk[devices.n_dpdk++] = *dev;
    }
    devices.n++;
    return 0;
}

int io_devices_start(const struct io_conf *conf, char *err, size_t err_len)
{
    struct io_dev dpdk[DEVICES_MAX];
    struct io_conf rest = *conf;
    int rc = 0;

    if (devices.n != 0 || conf->n_devs == 0 || conf->n_devs > DEVICES_MAX) {
        errno = devices.n != 0 ? EBUSY : EINVAL;
        snprintf(err, err_len, "%s",
                 devices.n != 0 ? "the devices run already" : "expected 1 to 16 devices");
        return -1;
    }
    for (unsigned i = 0; i < conf->n_devs && rc == 0; i++)
        rc = device_begin(&conf->devs[i], dpdk, err, err_len);
    rest.devs = dpdk;
    rest.n_devs = devices.n_dpdk;
    if (rc == 0 && rest.n_devs > 0 && io_dpdk_start(&rest, err, err_len) != 0) {
        rc = errno != 0 ? -errno : -ENODEV;
        devices.n_dpdk = 0;
    }
    if (rc == 0)
        return 0;
    io_devices_stop();
    errno = -rc;
    return -1;
}

struct mtcp_io *io_devices_queue(unsigned dev, unsigned queue)
{
    if (dev >= devices.n)
        return NULL;
    struct io_tap *tap = devices.dev[dev].tap;
    return tap != NULL ? io_tap_queue(tap, queue) : io_dpdk_queue(devices.dev[dev].dpdk, queue);
}

struct mtcp_io *io_devices_look(unsigned dev, unsigned queue)
{
    if (dev >= devices.n)
        return NULL;
    struct io_tap *tap = devices.dev[dev].tap;
    return tap != NULL ? io_tap_queue(tap, queue) : io_dpdk_look(devices.dev[dev].dpdk, queue);
}

unsigned io_devices_n_queues(unsigned dev)
{
    if (dev >= devices.n)
        return 0;
    const struct io_tap *tap = devices.dev[dev].tap;
    return tap != NULL ? io_tap_n_queues(tap) : io_dpdk_n_queues(devices.dev[dev].dpdk);
}

unsigned io_devices_rss_buckets(unsigned dev)
{
    if (dev >= devices.n || devices.dev[dev].tap != NULL)
        return 0;
    return io_dpdk_rss_buckets(devices.dev[dev].dpdk);
}

bool io_devices_rss_spread(unsigned dev, const uint16_t *queue, unsigned n)
{
    return io_devices_rss_buckets(dev) > 0 &&
           io_dpdk_rss_spread(devices.dev[dev].dpdk, queue, n);
}

void io_devices_stop(void)
{
    for (unsigned i = 0; i < devices.n; i++)
        io_tap_close(devices.dev[i].tap);
    if (devices.n_dpdk > 0)
        io_dpdk_stop();
    devices.n = devices.n_dpdk = 0;
}

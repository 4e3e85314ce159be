/*
 * Devices behind the burst interface of mtcp_io.h: the ones the library brings.
 *
 *   io_devices.c  those of a configuration, of both kinds:
 *   io_tap.c        a TAP of the host with virtio-net headers: frames up to 64 KB
 *   io_dpdk.c       any DPDK device, by PCI address or virtual-device string
 *   io_pair.c     two ends of an in-memory link, for tests and benchmarks
 *   io_ring_dpdk.c  how cores hand things to each other
 */
#ifndef MTCP_IO_IO_H
#define MTCP_IO_IO_H

#include "mtcp/base/bug.h"
#include "mtcp/base/log.h"
#include "mtcp_io.h"

#include <stdbool.h>
#include <stdint.h>

#define IO_BURST   32
#define IO_RSS_KEY 40

/* ---- what is asked for ---------------------------------------------------------------------- */

struct io_dev {
    const char *name;      /* the netdev section's title: names messages and the port */
    const char *device;    /* "tap0", "net_tap0,iface=dtap0", "0000:03:00.0", ... */
    unsigned n_queues;     /* one per core; fewer when the device has fewer */
    uint16_t mtu;          /* 0: the device's own, or that of the kernel interface beneath */
    uint16_t n_rxd, n_txd; /* descriptors per queue; 0: default */
    uint32_t n_pkts;       /* packet buffers per queue, raised when too few; 0: default */
    bool has_mac;          /* else the device's, on a TAP one beside the kernel's; given, it is also
                            * beside that of the kernel interface beneath */
    uint8_t mac[6];
    bool promiscuous; /* frames to other hosts too, if the device can, and each as on a wire: whole,
                       * with its checksums, of the MTU's size */
};

struct io_conf {
    const struct io_dev *devs;
    unsigned n_devs;
    /* For devices of DPDK: */
    uint64_t mem_mb;        /* memory for packets; 0: computed from the above */
    bool hugepages;         /* use hugepages when the system has them */
    const char *extra_args; /* more EAL arguments, separated by blanks; NULL: none */
    /* Copied; NULL: none. EAL's and drivers' messages at LOG_DEBUG, ours at their level. The sink
     * may be called by a thread of DPDK, by one at a time. */
    const struct log *log;
    /* Receive side scaling of devices with several queues: IO_RSS_KEY bytes; NULL: their own. */
    const uint8_t *rss_key;
};

/* ---- io_devices.c --------------------------------------------------------------------------- */

/* Opens all devices; DPDK starts only when one needs it. 0, or -1 with errno set and one line for
 * people (what, where, what to do) in err, for which 512 bytes are enough; nothing is open then.
 * Errors as of io_dpdk_start(). Not thread safe; call once before io_devices_queue(). */
MUST_CHECK int io_devices_start(const struct io_conf *conf, char *err, size_t err_len);

/* As io_dpdk_queue(), io_dpdk_look() and io_dpdk_n_queues(), of a device of the configuration. */
struct mtcp_io *io_devices_queue(unsigned dev, unsigned queue);
struct mtcp_io *io_devices_look(unsigned dev, unsigned queue);
unsigned io_devices_n_queues(unsigned dev);

/* As io_dpdk_rss_buckets() and io_dpdk_rss_spread(). */
unsigned io_devices_rss_buckets(unsigned dev);
bool io_devices_rss_spread(unsigned dev, const uint16_t *queue, unsigned n);

/* Closes all. Idempotent. Each queue's close() comes before, called by the thread that used it. */
void io_devices_stop(void);

/* ---- io_tap.c ------------------------------------------------------------------------------- */

struct io_tap;

/* Makes a TAP of this host, or takes one that was made for us, and sets it up. The other end is the
 * kernel's interface; what goes over is not summed and, up to 64 KB, not cut. 0 or -errno with a
 * line in err (as above); *tap is to be closed, which ends its queues. */
MUST_CHECK int io_tap_open(struct io_tap **tap, const struct io_dev *dev, char *err,
                           size_t err_len);
void io_tap_close(struct io_tap *tap); /* NULL is allowed */

/* A queue pair, for one thread; NULL when there are fewer. The kernel hands a flow to the queue
 * that it was last sent on, a new one to any. While the interface is down frames are dropped. */
struct mtcp_io *io_tap_queue(struct io_tap *tap, unsigned queue);
unsigned io_tap_n_queues(const struct io_tap *tap);

/* ---- io_dpdk.c: no <rte_*.h> here ----------------------------------------------------------- */

/* Starts EAL (once per process) and opens the devices. 0, or -1 with errno set and one line for
 * people (what, where, what to do) in err, for which 512 bytes are enough.
 *
 * What can be asked of the system is asked before EAL starts, so that most mistakes can be
 * corrected and tried again: EINVAL (device string, MTU, EAL argument), ENODEV, ENOENT, EPERM,
 * EACCES, EBUSY, EADDRINUSE, ECONNREFUSED (the device), ENOMEM. A failure after that uses EAL up:
 * EBUSY from then on. The client ends of memif and vhost-user fail when the server is not there
 * yet.
 *
 * Affinity and signal mask of the caller are as before; DPDK's threads have all signals blocked.
 * Not thread safe; call once before io_dpdk_queue(). */
MUST_CHECK int io_dpdk_start(const struct io_conf *conf, char *err, size_t err_len);

/* The queue pair `queue` of device `dev` as a burst interface for the calling thread, which becomes
 * known to DPDK (it gets a cache of packet buffers); NULL when the device has fewer queues. Valid
 * until io_dpdk_stop(). tx_burst accepts nothing while the other end is absent or the interface is
 * down: drop then. sleep_begin returns the same descriptor each time. */
struct mtcp_io *io_dpdk_queue(unsigned dev, unsigned queue);

/* The same without a thread that uses it: to look at, or to read when no other thread does. */
struct mtcp_io *io_dpdk_look(unsigned dev, unsigned queue);

/* Number of queue pairs that the device really has. */
unsigned io_dpdk_n_queues(unsigned dev);

/* Receive side scaling: into how many buckets the device sorts TCP segments by their hash with
 * io_conf's key, modulo that number, a power of two. 0: it does not, or with a key of its own. */
unsigned io_dpdk_rss_buckets(unsigned dev);

/* From now on what has hash i modulo n comes by queue[i]; n is a power of two. If it is more than
 * the above, the device looks at fewer bits of the hash: at the first of these queues. False: the
 * device refuses, and spreads as before. */
bool io_dpdk_rss_spread(unsigned dev, const uint16_t *queue, unsigned n);

/* Stops and closes the ports; waits 50 ms; cleans up EAL and its runtime directory. Idempotent.
 * Each queue's close() comes before, called by the thread that used it. EAL can't be started again
 * in the process: io_dpdk_start() then fails with EBUSY. */
void io_dpdk_stop(void);

/* ---- io_ring_dpdk.c ------------------------------------------------------------------------- */

struct io_ring;

/* With room for at least n pointers; NULL: no memory. */
struct io_ring *io_ring_create(unsigned n);
void io_ring_destroy(struct io_ring *r); /* NULL is allowed */

/* From any thread to any. put: false when it is full; get: how many of up to n came, in order. */
MUST_CHECK bool io_ring_put(struct io_ring *r, void *what);
unsigned io_ring_get(struct io_ring *r, void **what, unsigned n);
bool io_ring_is_empty(const struct io_ring *r);

#endif

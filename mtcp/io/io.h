/*
 * Devices behind the burst interface of mtcp_io.h: the ones the library brings.
 *
 *   io_dpdk.c   any DPDK device, by PCI address or virtual-device string
 *   io_pair.c   two ends of an in-memory link, for tests and benchmarks
 */
#ifndef MTCP_IO_IO_H
#define MTCP_IO_IO_H

#include "mtcp/base/bug.h"
#include "mtcp/base/log.h"
#include "mtcp_io.h"

#include <stdbool.h>
#include <stdint.h>

#define IO_BURST 32

/* ---- io_dpdk.c: no <rte_*.h> here ----------------------------------------------------------- */

struct io_dpdk_dev {
    const char *name;      /* the netdev section's title: names messages and the port */
    const char *device;    /* "net_tap0,iface=dtap0", "0000:03:00.0", ... */
    unsigned n_queues;     /* one per core; fewer when the device has fewer */
    uint16_t mtu;          /* 0: the device's own, or that of the kernel interface beneath */
    uint16_t n_rxd, n_txd; /* descriptors per queue; 0: default */
    uint32_t n_pkts;       /* packet buffers per queue, raised when too few; 0: default */
    bool has_mac;          /* else the device's; on a TAP one of our own beside the kernel's */
    uint8_t mac[6];
    bool promiscuous; /* frames to other hosts too, if the device can */
};

struct io_dpdk_conf {
    const struct io_dpdk_dev *devs;
    unsigned n_devs;
    uint64_t mem_mb;        /* memory for packets; 0: computed from the above */
    bool hugepages;         /* use hugepages when the system has them */
    const char *extra_args; /* more EAL arguments, separated by blanks; NULL: none */
    /* Copied; NULL: none. EAL's and drivers' messages at LOG_DEBUG, ours at their level. The sink
     * may be called by a thread of DPDK, by one at a time. */
    const struct log *log;
};

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
MUST_CHECK int io_dpdk_start(const struct io_dpdk_conf *conf, char *err, size_t err_len);

/* The queue pair `queue` of device `dev` as a burst interface for the calling thread, which becomes
 * known to DPDK (it gets a cache of packet buffers); NULL when the device has fewer queues. Valid
 * until io_dpdk_stop(). tx_burst accepts nothing while the other end is absent or the interface is
 * down: drop then. sleep_begin returns the same descriptor each time. */
struct mtcp_io *io_dpdk_queue(unsigned dev, unsigned queue);

/* Number of queue pairs that the device really has. */
unsigned io_dpdk_n_queues(unsigned dev);

/* Stops and closes the ports; waits 50 ms; cleans up EAL and its runtime directory. Idempotent.
 * Each queue's close() comes before, called by the thread that used it. EAL can't be started again
 * in the process: io_dpdk_start() then fails with EBUSY. */
void io_dpdk_stop(void);

#endif

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

/* ---- io_dpdk.c: no <rte_*.h> here --------------------------------------------------------------- */

struct io_dpdk_dev {
    const char *name;   /* the netdev section's title: names messages and the port */
    const char *device; /* "net_tap0,iface=dtap0", "0000:03:00.0", ... */
    unsigned n_queues;  /* one per core; fewer when the device has fewer */
    uint16_t mtu;       /* 0: the device's own */
    uint16_t n_rxd, n_txd; /* descriptors per queue; 0: default */
    uint32_t n_pkts;    /* packet buffers per queue; 0: default */
    bool has_mac;
    uint8_t mac[6];
};

struct io_dpdk_conf {
    const struct io_dpdk_dev *devs;
    unsigned n_devs;
    uint64_t mem_mb;        /* memory for packets; 0: computed from the above */
    bool hugepages;         /* use hugepages when the system has them */
    const char *extra_args; /* more EAL arguments, separated by blanks; NULL: none */
    const struct log *log;  /* EAL's and drivers' messages at LOG_DEBUG, ours at their level */
};

/* Starts EAL (once per process) and opens the devices. 0, or -1 with errno set and one line for
 * people (what, where, what to do) in err. EAL is never started with arguments it would refuse by
 * printing its usage. Not thread safe; call once before io_dpdk_queue(). */
MUST_CHECK int io_dpdk_start(const struct io_dpdk_conf *conf, char *err, size_t err_len);

/* The queue pair `queue` of device `dev` as a burst interface for the calling thread; NULL when the
 * device has fewer queues. Valid until io_dpdk_stop(). */
struct mtcp_io *io_dpdk_queue(unsigned dev, unsigned queue);

/* Number of queue pairs that the device really has. */
unsigned io_dpdk_n_queues(unsigned dev);

/* Stops and closes the ports; waits 50 ms; cleans up EAL and its runtime directory. Idempotent.
 * EAL can't be started again in the process: io_dpdk_start() then fails with EBUSY. */
void io_dpdk_stop(void);

#endif

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

/* ---- io_pair.c ---------------------------------------------------------------------------------- */

struct io_pair_conf {
    unsigned n_pkts;  /* packet buffers per end */
    unsigned depth;   /* frames in flight per direction before tx_burst refuses */
    uint16_t mtu;     /* 0: 1500 */
    uint32_t caps;    /* enum mtcp_io_cap; with MTCP_IO_TSO frames go over uncut */
    uint32_t tso_max; /* 0: 65535 */
};

struct io_pair;

/* A perfect in-memory link; NULL without memory. Frames sent at one end are received at the other
 * in order, at once. end 0 and 1 may belong to contexts of one thread. */
struct io_pair *io_pair_create(const struct io_pair_conf *conf);
struct mtcp_io *io_pair_end(struct io_pair *p, unsigned end);
void io_pair_destroy(struct io_pair *p);

#endif

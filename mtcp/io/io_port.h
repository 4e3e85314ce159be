/*
 * What the files of the DPDK device share: EAL's start and stop (io_eal_dpdk.c), one port
 * (io_port_dpdk.c) and a queue pair in use (io_queue_dpdk.c). No <rte_*.h> here.
 */
#ifndef MTCP_IO_IO_PORT_H
#define MTCP_IO_IO_PORT_H

#include "mtcp/base/bug.h"
#include "mtcp/io/io.h"
#include "mtcp/io/io_devstr.h"
#include "mtcp/io/io_eal_args.h"
#include "mtcp_io.h"

#include <stdbool.h>
#include <stdint.h>

#define IO_PORTS_MAX  16
#define IO_QUEUES_MAX 64

struct rte_mbuf;
struct rte_mempool;

/* One receive/transmit queue pair; written by the thread that uses it. */
struct io_queue {
    struct mtcp_io io; /* first: the interface is the queue */
    uint16_t port, queue;
    bool tx_prepare; /* the driver wants to see packets with offload flags first */
    bool thread_registered;
    struct rte_mempool *pool;
    uint64_t rx_packets, rx_bytes, rx_dropped;
    uint64_t tx_packets, tx_bytes, tx_dropped;
    int wake_fd;               /* an epoll descriptor of ours that holds the driver's; or -1 */
    int event_fd;              /* written when the link's state changes; or -1 */
    bool intr;                 /* the driver's interrupts are to be switched on before sleep */
    unsigned n_stash, i_stash; /* packets that sleep_begin found */
    struct rte_mbuf *stash[IO_BURST];
};

struct io_port {
    struct io_devstr dev;
    char name[64]; /* of the netdev section */
    uint16_t id;
    bool is_open, is_probed, has_callback;
    unsigned n_queues;
    struct io_queue *queues;
};

/* ---- io_port_dpdk.c ---- */

/* Bytes of packet memory that the device will take. */
uint64_t io_port_mem(const struct io_dpdk_dev *conf, const struct io_devstr *dev);

/* Opens and starts the device, EAL running. 0, or -errno with a line in err; closed then. */
MUST_CHECK int io_port_open(struct io_port *p, const struct io_dpdk_dev *conf, char *err,
                            size_t err_len);
void io_port_close(struct io_port *p); /* harmless when not open */

/* ---- io_queue_dpdk.c ---- */

/* Fills in the functions of q->io. */
void io_queue_init(struct io_queue *q);

/* ---- io_eal_dpdk.c ---- */

MUST_CHECK int io_eal_start(const struct eal_conf *conf, char *err, size_t err_len);
void io_eal_stop(void);

/* The last line that EAL or a driver logged, copied; "" when there was none since the last call. */
void io_eal_last_line(char *line, size_t len);

#endif

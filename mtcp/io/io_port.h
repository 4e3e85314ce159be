/*
 * What the files of the DPDK device share. No <rte_*.h> here.
 *
 *   io_dpdk.c        the contract of io.h: all ports, start and stop
 *   io_eal_dpdk.c    EAL: log, runtime directory, start and stop
 *   io_port_dpdk.c   one port: from a device string to started queues, and back
 *   io_rss_dpdk.c    which of its queues a flow comes by
 *   io_wake_dpdk.c   what an idle queue waits on
 *   io_queue_dpdk.c  a queue pair in use: bursts, buffers, sleep
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

#define IO_PORTS_MAX   16
#define IO_QUEUES_MAX  64
#define IO_SOCKETS_MAX 64
#define IO_RSS_KEY_MAX 64 /* of devices, whose keys go on behind what TCP needs */

struct rte_mbuf;
struct rte_mempool;

/* One receive/transmit queue pair; written by the thread that uses it. */
struct io_queue {
    struct mtcp_io io; /* first: the interface is the queue */
    uint16_t port, queue;
    bool tx_prepare; /* the driver wants to see packets with offload flags first */
    bool thread_registered;
    bool intr;                   /* interrupts are to be switched on before sleep */
    bool has_rss;                /* hashes that come with packets are of our key */
    struct rte_mempool *pool;    /* what alloc takes from */
    struct rte_mempool *rx_pool; /* what the driver receives into; may be the same */
    uint64_t rx_packets, rx_bytes, rx_dropped;
    uint64_t tx_packets, tx_bytes, tx_dropped;
    size_t time_off; /* of a capture: where an mbuf has its time, if the flag is set */
    uint64_t time_flag;
    int wake_fd;               /* an epoll descriptor of ours that holds the driver's; or -1 */
    int driver_fd;             /* ... but not before the first sleep; then -1 */
    int event_fd;              /* written when the link's state changes; or -1 */
    unsigned n_stash, i_stash; /* packets that sleep_begin found */
    struct rte_mbuf *stash[IO_BURST];
};

/* Descriptors of sockets of one family, ascending. */
struct io_sockets {
    unsigned n;
    int fd[IO_SOCKETS_MAX];
};

struct io_port {
    struct io_devstr dev;
    char name[64]; /* of the netdev section */
    uint16_t mtu;  /* wanted: given, or of the kernel interface beneath; 0: the device's own */
    uint16_t id;
    bool is_probed, is_started, has_callback, is_promiscuous;
    unsigned n_queues;
    struct io_queue *queues;
    uint8_t rss_key[IO_RSS_KEY_MAX];
    uint64_t rss_hf; /* what the device was asked to hash */
    unsigned rss_buckets; /* see io_dpdk_rss_buckets() */
};

/* ---- io_port_dpdk.c ---- */

/* Bytes of packet memory that the device will take. */
uint64_t io_port_mem(const struct io_port *p, const struct io_dev *conf);

/* Opens and starts the device, EAL running; rss_key as io_conf's. 0, or -errno with a line in err;
 * closed then. */
MUST_CHECK int io_port_open(struct io_port *p, const struct io_dev *conf, const uint8_t *rss_key,
                            char *err, size_t err_len);
void io_port_close(struct io_port *p); /* harmless when not open */

/* ---- io_rss_dpdk.c ---- */

/* Of a started port with p->rss_key: whether the device has that key, and its buckets. */
void io_rss_confirm(struct io_port *p);
bool io_rss_spread(const struct io_port *p, const uint16_t *queue, unsigned n);

/* ---- io_wake_dpdk.c ---- */

/* The sockets of the family that the process has now. */
void io_wake_sockets(struct io_sockets *s, int family);

/* Gives every queue of the started port what it can wait on; without any it works too, its user
 * naps. `before`: io_wake_sockets() from before the device was opened. */
void io_wake_open(struct io_port *p, bool interrupts, const struct io_sockets *before);
void io_wake_close(struct io_port *p);

/* Before it sleeps: its wake_fd holds the driver's descriptor from now on. Whoever never sleeps is
 * spared that each packet's sender tells that epoll. False: it can't be. */
bool io_wake_hold(struct io_queue *q);

/* ---- io_queue_dpdk.c ---- */

/* Fills in the functions of q->io. */
void io_queue_init(struct io_queue *q);

/* ---- io_eal_dpdk.c ---- */

/* Starts EAL, once per process. 0, or -errno with a line in err; -EBUSY when it ran before. */
MUST_CHECK int io_eal_start(const struct eal_conf *conf, char *err, size_t err_len);
void io_eal_stop(void);

/* Copies what a driver, or else EAL, said last since the last call; "" when nothing. */
void io_eal_last_words(char *line, size_t len);

#endif

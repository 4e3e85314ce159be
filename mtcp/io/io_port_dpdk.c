/*
 * One DPDK port: from a device string to started queues, and back. Every offload is optional.
 */
#include "mtcp/io/io_port.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PKT_PRIV_SIZE RTE_ALIGN_CEIL(sizeof(struct mtcp_pkt), RTE_CACHE_LINE_SIZE)
#define POOL_CACHE    256
#define DESCS_DEFAULT 512
#define PKTS_DEFAULT  4096
#define MTU_DEFAULT   1500u
#define L2_MAX        26u /* Ethernet, two VLAN tags, FCS */

/* What is decided on the way; lives as long as the opening. */
struct opening {
    struct io_port *p;
    const struct io_dpdk_dev *conf;
    struct rte_eth_dev_info info;
    struct rte_eth_conf eth;
    uint16_t n_rxd, n_txd, mtu;
    char *err;
    size_t err_len;
};

/* "netdev <name>: device <device>: <what>[: <the driver's last words>]" */
__attribute__((format(printf, 3, 4))) static int fail(const struct opening *o, int error,
                                                      const char *fmt, ...)
{
    char what[256], why[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    io_eal_last_line(why, sizeof(why));
    snprintf(o->err, o->err_len, "netdev %s: device %s: %s (%s)%s%s", o->p->name, o->p->dev.text,
             what, strerror(-error), why[0] != '\0' ? ": " : "", why);
    return error;
}

/* ---- sizes ------------------------------------------------------------------------------------
 */

static uint16_t or_default(uint16_t given, uint16_t otherwise)
{
    return given != 0 ? given : otherwise;
}

static uint16_t n_descs(uint16_t given, const struct io_devstr *dev)
{
    return or_default(or_default(dev->drv->n_rxd, given), DESCS_DEFAULT);
}

static uint32_t pkt_room(uint16_t mtu)
{
    uint32_t room = (mtu > MTU_DEFAULT ? mtu : MTU_DEFAULT) + L2_MAX;

    return RTE_PKTMBUF_HEADROOM + RTE_ALIGN_CEIL(RTE_MAX(room, 2048u), RTE_CACHE_LINE_SIZE);
}

static uint32_t n_pkts(const struct io_dpdk_dev *conf, uint16_t n_rxd, uint16_t n_txd)
{
    uint32_t least = (uint32_t)n_rxd + n_txd + 2 * IO_BURST + 2 * POOL_CACHE;

    return RTE_MAX(conf->n_pkts != 0 ? conf->n_pkts : PKTS_DEFAULT, least);
}

uint64_t io_port_mem(const struct io_dpdk_dev *conf, const struct io_devstr *dev)
{
    uint64_t per_pkt = sizeof(struct rte_mbuf) + PKT_PRIV_SIZE + pkt_room(conf->mtu) + 256;
    uint32_t n = n_pkts(conf, n_descs(conf->n_rxd, dev), n_descs(conf->n_txd, dev));

    return per_pkt * n * RTE_MAX(conf->n_queues, 1u);
}

/* ---- probing ----------------------------------------------------------------------------------
 */

/* net_tap takes the first free real-time signal for a signal per frame, and polls when there is
 * none. Polling is cheaper, and the program keeps its signals: none is free while it opens. */
static void signals_hide(struct sigaction *old, bool *changed)
{
    for (int s = SIGRTMIN; s <= SIGRTMAX; s++) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        changed[s] = sigaction(s, NULL, &old[s]) == 0 && old[s].sa_handler == SIG_DFL &&
                     sigaction(s, &ignore, NULL) == 0;
    }
}

static void signals_show(const struct sigaction *old, const bool *changed)
{
    for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
        if (changed[s])
            sigaction(s, &old[s], NULL);
}

static int port_probe(struct opening *o)
{
    struct io_port *p = o->p;
    int rc = 0;

    if (!p->dev.is_pci)
        rc = rte_dev_probe(p->dev.text);
    if (rc != 0)
        return fail(o, rc, "the driver refuses it");
    p->is_probed = true;
    rc = rte_eth_dev_get_port_by_name(p->dev.name, &p->id);
    if (rc != 0)
        return fail(o, rc, "no driver took it");
    rc = rte_eth_dev_info_get(p->id, &o->info);
    return rc != 0 ? fail(o, rc, "the driver does not describe it") : 0;
}

/* ---- configuration ----------------------------------------------------------------------------
 */

static void choose_offloads(struct opening *o)
{
    uint64_t tx = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
    uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;

    if (o->p->dev.drv->soft_csum)
        return;
    o->eth.txmode.offloads = tx & o->info.tx_offload_capa;
    o->eth.rxmode.offloads = rx & o->info.rx_offload_capa;
}

static void choose_rss(struct opening *o)
{
    uint64_t hash = (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP) & o->info.flow_type_rss_offloads;

    if (o->p->n_queues < 2 || hash == 0 || o->p->dev.drv->kernel_side)
        return;
    o->eth.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    o->eth.rx_adv_conf.rss_conf.rss_hf = hash;
}

static uint16_t choose_mtu(const struct opening *o)
{
    uint16_t own = (uint16_t)MTU_DEFAULT;

    if (o->conf->mtu != 0)
        return o->conf->mtu;
    rte_eth_dev_get_mtu(o->p->id, &own);
    return own < o->info.max_mtu ? own : o->info.max_mtu;
}

static uint16_t choose_n_queues(const struct opening *o)
{
    unsigned n = RTE_MAX(o->conf->n_queues, 1u);

    n = RTE_MIN(n, (unsigned)IO_QUEUES_MAX);
    n = RTE_MIN(n, (unsigned)o->info.max_rx_queues);
    return (uint16_t)RTE_MIN(n, (unsigned)o->info.max_tx_queues);
}

static int port_configure(struct opening *o)
{
    struct io_port *p = o->p;
    uint16_t n = choose_n_queues(o);

    p->n_queues = n;
    o->mtu = choose_mtu(o);
    o->eth.rxmode.mtu = o->mtu;
    o->eth.intr_conf.rxq = p->dev.drv->wake == IO_WAKE_INTR;
    choose_offloads(o);
    choose_rss(o);
    int rc = rte_eth_dev_configure(p->id, n, n, &o->eth);
    if (rc != 0 && o->eth.intr_conf.rxq != 0) {
        o->eth.intr_conf.rxq = 0;
        rc = rte_eth_dev_configure(p->id, n, n, &o->eth);
    }
    if (rc != 0)
        return fail(o, rc, "it can't be configured with %u queues and an MTU of %u", n, o->mtu);
    o->n_rxd = n_descs(o->conf->n_rxd, &p->dev);
    o->n_txd = n_descs(o->conf->n_txd, &p->dev);
    rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &o->n_rxd, &o->n_txd);
    return rc != 0 ? fail(o, rc, "its number of descriptors can't be chosen") : 0;
}

static struct rte_mempool *pool_make(struct opening *o, unsigned queue)
{
    char name[RTE_MEMPOOL_NAMESIZE];
    uint32_t n = n_pkts(o->conf, o->n_rxd, o->n_txd);

    snprintf(name, sizeof(name), "pkts-%u-%u", o->p->id, queue);
    return rte_pktmbuf_pool_create(name, n, POOL_CACHE, PKT_PRIV_SIZE, (uint16_t)pkt_room(o->mtu),
                                   rte_eth_dev_socket_id(o->p->id));
}

static int queue_setup(struct opening *o, uint16_t i)
{
    struct io_queue *q = &o->p->queues[i];
    uint16_t port = o->p->id;
    int socket = rte_eth_dev_socket_id(port);

    q->port = port;
    q->queue = i;
    q->wake_fd = q->event_fd = -1;
    q->pool = pool_make(o, i);
    if (q->pool == NULL)
        return fail(o, -rte_errno, "no memory for %u packet buffers of queue %u",
                    n_pkts(o->conf, o->n_rxd, o->n_txd), i);
    struct rte_eth_rxconf rx = o->info.default_rxconf;
    rx.offloads = o->eth.rxmode.offloads;
    int rc = rte_eth_rx_queue_setup(port, i, o->n_rxd, (unsigned)socket, &rx, q->pool);
    if (rc != 0)
        return fail(o, rc, "receive queue %u can't be set up", i);
    struct rte_eth_txconf tx = o->info.default_txconf;
    tx.offloads = o->eth.txmode.offloads;
    rc = rte_eth_tx_queue_setup(port, i, o->n_txd, (unsigned)socket, &tx);
    return rc != 0 ? fail(o, rc, "transmit queue %u can't be set up", i) : 0;
}

static int queues_setup(struct opening *o)
{
    int rc = 0;

    o->p->queues = calloc(o->p->n_queues, sizeof(struct io_queue));
    if (o->p->queues == NULL)
        return fail(o, -ENOMEM, "no memory for %u queues", o->p->n_queues);
    for (uint16_t i = 0; i < o->p->n_queues; i++)
        o->p->queues[i].wake_fd = o->p->queues[i].event_fd = -1;
    for (uint16_t i = 0; i < o->p->n_queues && rc == 0; i++)
        rc = queue_setup(o, i);
    return rc;
}

/* ---- address, MTU -----------------------------------------------------------------------------
 */

/* Our end of a TAP needs an address of its own: the device's is the kernel's interface. */
static void mac_other_end(uint8_t mac[6])
{
    mac[0] = (uint8_t)((mac[0] | 0x02) & ~0x01);
    mac[5] ^= 0x01;
}

static int port_address(struct opening *o, uint8_t mac[6])
{
    struct io_port *p = o->p;
    struct rte_ether_addr addr;
    char remote[8];
    int rc = rte_eth_macaddr_get(p->id, &addr);

    if (rc != 0)
        return fail(o, rc, "it has no address");
    memcpy(mac, addr.addr_bytes, 6);
    if (!o->conf->has_mac) {
        if (p->dev.drv->kernel_side && !io_devstr_arg(&p->dev, "remote", remote, sizeof(remote)))
            mac_other_end(mac);
        return 0;
    }
    memcpy(mac, o->conf->mac, 6);
    if (p->dev.drv->kernel_side)
        return 0;
    memcpy(addr.addr_bytes, mac, 6);
    if (rte_eth_dev_default_mac_addr_set(p->id, &addr) != 0)
        rte_eth_promiscuous_enable(p->id);
    return 0;
}

/* ---- waking -----------------------------------------------------------------------------------
 */

static int link_changed(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
    const struct io_port *p = arg;
    const uint64_t one = 1;

    (void)port, (void)type, (void)ret;
    for (unsigned i = 0; i < p->n_queues; i++)
        if (p->queues[i].event_fd >= 0 &&
            write(p->queues[i].event_fd, &one, sizeof(one)) != sizeof(one))
            continue;
    return 0;
}

static void callbacks_register(struct io_port *p)
{
    rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_LSC, link_changed, p);
    rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_QUEUE_STATE, link_changed, p);
    p->has_callback = true;
}

static void callbacks_unregister(struct io_port *p)
{
    if (!p->has_callback)
        return;
    rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_LSC, link_changed, p);
    rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_QUEUE_STATE, link_changed, p);
    p->has_callback = false;
}

static int epoll_hold(int epoll_fd, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

static void wake_close(struct io_queue *q)
{
    if (q->wake_fd >= 0)
        close(q->wake_fd);
    if (q->event_fd >= 0)
        close(q->event_fd);
    q->wake_fd = q->event_fd = -1;
}

/* Without a descriptor the queue works too: its user naps. */
static void queue_wake(struct io_queue *q, int driver_fd)
{
    q->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->wake_fd < 0 || q->event_fd < 0 || epoll_hold(q->wake_fd, driver_fd) != 0 ||
        epoll_hold(q->wake_fd, q->event_fd) != 0)
        wake_close(q);
}

static void port_wake(struct opening *o)
{
    struct io_port *p = o->p;

    for (uint16_t i = 0; i < p->n_queues; i++) {
        struct io_queue *q = &p->queues[i];
        int fd = o->eth.intr_conf.rxq ? rte_eth_dev_rx_intr_ctl_q_get_fd(p->id, i) : -1;
        q->intr = fd >= 0;
        if (fd >= 0)
            queue_wake(q, fd);
    }
}

/* ---- open and close ---------------------------------------------------------------------------
 */

static void queues_finish(struct opening *o, const uint8_t mac[6])
{
    struct io_port *p = o->p;
    uint64_t tx = o->eth.txmode.offloads, rx = o->eth.rxmode.offloads;
    uint32_t caps = 0;

    caps |= tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM ? MTCP_IO_TX_IP_CSUM : 0;
    caps |= tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM ? MTCP_IO_TX_TCP_CSUM : 0;
    caps |= rx & RTE_ETH_RX_OFFLOAD_TCP_CKSUM ? MTCP_IO_RX_CSUM : 0;
    for (unsigned i = 0; i < p->n_queues; i++) {
        struct io_queue *q = &p->queues[i];
        q->tx_prepare = tx != 0;
        q->io.caps = caps;
        q->io.mtu = o->mtu;
        memcpy(q->io.mac, mac, 6);
        q->io.name = p->name;
        io_queue_init(q);
    }
}

static int port_start(struct opening *o)
{
    struct io_port *p = o->p;
    uint8_t mac[6];
    int rc = port_address(o, mac);

    if (rc != 0)
        return rc;
    rc = rte_eth_dev_start(p->id);
    if (rc != 0)
        return fail(o, rc, "it can't be started");
    p->is_open = true;
    if (rte_eth_allmulticast_enable(p->id) != 0)
        rte_eth_promiscuous_enable(p->id); /* for neighbour discovery; best effort */
    port_wake(o);
    callbacks_register(p);
    queues_finish(o, mac);
    return 0;
}

static int port_open(struct opening *o)
{
    int rc = port_probe(o);

    if (rc == 0)
        rc = port_configure(o);
    if (rc == 0)
        rc = queues_setup(o);
    return rc == 0 ? port_start(o) : rc;
}

int io_port_open(struct io_port *p, const struct io_dpdk_dev *conf, char *err, size_t err_len)
{
    struct opening o = {.p = p, .conf = conf, .err = err, .err_len = err_len};
    struct sigaction old[NSIG];
    bool changed[NSIG];
    bool hide = p->dev.drv->async_signal;

    if (hide)
        signals_hide(old, changed);
    int rc = port_open(&o);
    if (hide)
        signals_show(old, changed);
    if (rc != 0)
        io_port_close(p);
    return rc;
}

void io_port_close(struct io_port *p)
{
    callbacks_unregister(p);
    if (p->is_open)
        rte_eth_dev_stop(p->id);
    if (p->is_probed)
        rte_eth_dev_close(p->id);
    for (unsigned i = 0; i < p->n_queues && p->queues != NULL; i++)
        wake_close(&p->queues[i]);
    free(p->queues);
    p->queues = NULL;
    p->n_queues = 0;
    p->is_open = p->is_probed = false;
}

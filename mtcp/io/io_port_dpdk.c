/*
 * One DPDK port: from a device string to started queues, and back. Every offload is optional, and
 * so are receive interrupts: a device that can't start with them starts without.
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PKT_PRIV_SIZE  RTE_ALIGN_CEIL(sizeof(struct mtcp_pkt), RTE_CACHE_LINE_SIZE)
#define POOL_CACHE     256u
#define POOL_CACHE_BIG 32u
#define DESCS_DEFAULT  512
#define PKTS_DEFAULT   4096u
#define PKTS_BIG       1024u
#define MTU_DEFAULT    1500u
#define L2_LEN         14u
#define L2_MAX         26u /* Ethernet, two VLAN tags, FCS */
#define ROOM_DEFAULT   2048u
#define PAGE_BYTES     4096ull
#define DRIVER_BYTES   (1u << 20) /* what drivers take for a queue */
/* A frame of a segmenting device, as much as a buffer's 16-bit length takes. */
#define ROOM_BIG (RTE_ALIGN_FLOOR(65535u, RTE_CACHE_LINE_SIZE) - RTE_PKTMBUF_HEADROOM)

/* What is decided on the way; lives as long as the opening. */
struct opening {
    struct io_port *p;
    const struct io_dev *conf;
    struct rte_eth_dev_info info;
    struct rte_eth_conf eth;
    uint16_t n_rxd, n_txd, mtu;
    bool tso, has_rss_key;
    const uint8_t *rss_key; /* or NULL */
    char *err;
    size_t err_len;
};

/* "netdev <name>: device <device>: <what> (<errno>)[: <the driver's last words>]" */
__attribute__((format(printf, 3, 4))) static int fail(const struct opening *o, int error,
                                                      const char *fmt, ...)
{
    char what[256], why[256], number[128] = "";
    va_list ap;

    if (error >= -1) /* many drivers say no more */
        error = -ENODEV;
    else
        snprintf(number, sizeof(number), " (%s)", strerror(-error));
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    io_eal_last_words(why, sizeof(why));
    snprintf(o->err, o->err_len, "netdev %s: device %s: %s%s%s%s", o->p->name, o->p->dev.text, what,
             number, why[0] != '\0' ? ": " : "", why);
    return error;
}

static void forget_words(void)
{
    char line[8];

    io_eal_last_words(line, sizeof(line));
}

/* ---- sizes --------------------------------------------------------------------------------- */

static uint16_t n_descs(const struct io_devstr *dev, uint16_t given)
{
    if (dev->drv->n_rxd != 0)
        return dev->drv->n_rxd;
    return given != 0 ? given : DESCS_DEFAULT;
}

/* Room for a frame; a packet ring copies up to a slot of its own into it. */
static uint32_t frame_room(const struct io_port *p, uint32_t mtu)
{
    uint32_t room = RTE_MAX(mtu, MTU_DEFAULT) + L2_MAX;

    room = RTE_MAX(room, ROOM_DEFAULT);
    room = RTE_MAX(room, io_devstr_number(&p->dev, "framesz"));
    return RTE_MIN(RTE_ALIGN_CEIL(room, (uint32_t)RTE_CACHE_LINE_SIZE), ROOM_BIG);
}

/* A vhost-user server that offers segmentation receives frames of 64 KB. */
static bool rx_is_big(const struct io_port *p)
{
    return io_devstr_number(&p->dev, "tso") != 0;
}

static bool tx_may_be_big(const struct io_port *p)
{
    return p->dev.drv->tso_one_piece;
}

static uint32_t n_pkts(const struct io_port *p, const struct io_dev *conf)
{
    uint32_t descs = (uint32_t)n_descs(&p->dev, conf->n_rxd) + n_descs(&p->dev, conf->n_txd);
    uint32_t n = conf->n_pkts;

    if (n == 0)
        n = rx_is_big(p) ? PKTS_BIG : PKTS_DEFAULT;
    return RTE_MAX(n, descs + 2 * IO_BURST + POOL_CACHE * 3 / 2); /* a cache takes as many */
}

/* Without hugepages no buffer that fits a page crosses one, and larger ones begin on one. */
static uint64_t pool_bytes(uint64_t n, uint32_t room)
{
    uint64_t one = sizeof(struct rte_mbuf) + PKT_PRIV_SIZE + RTE_PKTMBUF_HEADROOM + room + 256;
    uint64_t per_page = RTE_MAX(PAGE_BYTES / one, 1u);

    return (n + per_page - 1) / per_page * RTE_ALIGN_CEIL(one * per_page, PAGE_BYTES);
}

uint64_t io_port_mem(const struct io_port *p, const struct io_dev *conf)
{
    uint32_t room = rx_is_big(p) ? ROOM_BIG : frame_room(p, p->mtu);
    uint64_t bytes = pool_bytes(n_pkts(p, conf), room);

    if (tx_may_be_big(p))
        bytes += pool_bytes(PKTS_BIG, ROOM_BIG);
    bytes += DRIVER_BYTES;
    return bytes * RTE_MAX(conf->n_queues, 1u);
}

/* ---- probing ------------------------------------------------------------------------------- */

static int port_probe(struct opening *o)
{
    struct io_port *p = o->p;
    int rc = 0;

    forget_words();
    if (!p->dev.is_pci)
        rc = rte_dev_probe(p->dev.text);
    if (rc != 0)
        return fail(o, rc, "the driver refuses it");
    rc = rte_eth_dev_get_port_by_name(p->dev.name, &p->id);
    if (rc != 0)
        return fail(o, rc, "no driver took it");
    p->is_probed = true;
    rc = rte_eth_dev_info_get(p->id, &o->info);
    return rc != 0 ? fail(o, rc, "the driver does not describe it") : 0;
}

/* ---- choices ------------------------------------------------------------------------------- */

static void choose_offloads(struct opening *o)
{
    const struct io_driver *drv = o->p->dev.drv;
    uint64_t tx = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
    uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
    uint64_t tso = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;

    if (drv->soft_csum)
        return;
    o->tso = drv->tso_one_piece && (o->info.tx_offload_capa & tso) == tso;
    if (o->tso)
        tx |= tso;
    o->eth.txmode.offloads = tx & o->info.tx_offload_capa;
    o->eth.rxmode.offloads = rx & o->info.rx_offload_capa;
}

/* The key goes on behind what the tuple of a TCP segment needs, for devices whose key is longer.
 * One that does not say how long its key is is asked when it runs (io_rss_confirm()). */
static void choose_rss_key(struct opening *o)
{
    struct rte_eth_rss_conf *rss = &o->eth.rx_adv_conf.rss_conf;
    uint8_t len = o->info.hash_key_size;

    if (!(rss->rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_TCP) || len > IO_RSS_KEY_MAX ||
        strcmp(o->info.driver_name, "net_axgbe") == 0) /* it takes the key's address for the key */
        return;
    for (unsigned i = 0; i < IO_RSS_KEY_MAX; i++)
        o->p->rss_key[i] = o->rss_key[i % IO_RSS_KEY];
    if (len >= IO_RSS_KEY) {
        rss->rss_key = o->p->rss_key;
        rss->rss_key_len = len;
    }
    o->has_rss_key = true;
    o->p->rss_hf = rss->rss_hf;
    o->eth.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH & o->info.rx_offload_capa;
}

static void choose_rss(struct opening *o)
{
    uint64_t hash = (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP) & o->info.flow_type_rss_offloads;

    if (o->p->n_queues < 2 || hash == 0 || o->p->dev.drv->kernel_side)
        return; /* in a TAP the kernel spreads flows by itself */
    o->eth.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    o->eth.rx_adv_conf.rss_conf.rss_hf = hash;
    if (o->rss_key != NULL)
        choose_rss_key(o);
}

/* The largest MTU that ethdev will take: it checks frames against the driver's word. */
static uint32_t mtu_limit(const struct rte_eth_dev_info *info)
{
    uint32_t overhead = L2_LEN + RTE_ETHER_CRC_LEN;

    if (info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu)
        overhead = info->max_rx_pktlen - info->max_mtu;
    return RTE_MIN(info->max_rx_pktlen - overhead, (uint32_t)info->max_mtu);
}

static void choose_mtu(struct opening *o)
{
    uint16_t own = (uint16_t)MTU_DEFAULT;
    uint32_t limit = mtu_limit(&o->info);

    rte_eth_dev_get_mtu(o->p->id, &own);
    o->mtu = o->p->mtu != 0 ? o->p->mtu : (uint16_t)RTE_MIN((uint32_t)own, limit);
    o->eth.rxmode.mtu = o->p->dev.drv->mtu_free ? RTE_MIN((uint32_t)o->mtu, limit) : o->mtu;
}

static unsigned choose_n_queues(const struct opening *o)
{
    unsigned n = RTE_MAX(o->conf->n_queues, 1u);

    n = RTE_MIN(n, (unsigned)IO_QUEUES_MAX);
    n = RTE_MIN(n, (unsigned)o->info.max_rx_queues);
    return RTE_MIN(n, (unsigned)o->info.max_tx_queues);
}

static int port_choose(struct opening *o)
{
    struct io_port *p = o->p;

    p->n_queues = choose_n_queues(o);
    if (p->n_queues == 0)
        return fail(o, -ENODEV, "it has no queue to receive from, or none to send to");
    p->queues = calloc(p->n_queues, sizeof(struct io_queue));
    if (p->queues == NULL)
        return fail(o, -ENOMEM, "no memory for %u queues", p->n_queues);
    for (unsigned i = 0; i < p->n_queues; i++)
        p->queues[i].wake_fd = p->queues[i].event_fd = -1;
    o->n_rxd = n_descs(&p->dev, o->conf->n_rxd);
    o->n_txd = n_descs(&p->dev, o->conf->n_txd);
    choose_mtu(o);
    choose_offloads(o);
    choose_rss(o);
    return 0;
}

/* ---- packet buffers ------------------------------------------------------------------------ */

static struct rte_mempool *pool_make(const struct opening *o, unsigned queue, uint32_t n,
                                     uint32_t room)
{
    char name[RTE_MEMPOOL_NAMESIZE];
    bool big = room == ROOM_BIG;

    snprintf(name, sizeof(name), "pkts-%u-%u%s", o->p->id, queue, big ? "-big" : "");
    return rte_pktmbuf_pool_create(name, n, big ? POOL_CACHE_BIG : POOL_CACHE, PKT_PRIV_SIZE,
                                   (uint16_t)(RTE_PKTMBUF_HEADROOM + room),
                                   rte_eth_dev_socket_id(o->p->id));
}

static int pools_make(struct opening *o)
{
    struct io_port *p = o->p;
    uint32_t n = n_pkts(p, o->conf);
    uint32_t room = rx_is_big(p) ? ROOM_BIG : frame_room(p, o->mtu);

    for (unsigned i = 0; i < p->n_queues; i++) {
        struct io_queue *q = &p->queues[i];
        forget_words();
        q->pool = q->rx_pool = pool_make(o, i, n, room);
        if (o->tso && q->rx_pool != NULL && !rx_is_big(p))
            q->pool = pool_make(o, i, PKTS_BIG, ROOM_BIG);
        if (q->pool == NULL)
            return fail(o, -ENOMEM,
                        "the memory for packets is too small for %u buffers of %u bytes", n, room);
    }
    return 0;
}

/* ---- queues -------------------------------------------------------------------------------- */

static int port_configure(struct opening *o)
{
    struct io_port *p = o->p;
    uint16_t n = (uint16_t)p->n_queues;

    forget_words();
    int rc = rte_eth_dev_configure(p->id, n, n, &o->eth);
    if (rc != 0 && o->mtu != MTU_DEFAULT)
        return fail(o, rc, "it can't be configured with an MTU of %u (its limit is %u)", o->mtu,
                    mtu_limit(&o->info));
    if (rc != 0)
        return fail(o, rc, "it can't be configured with %u queues", n);
    rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &o->n_rxd, &o->n_txd);
    return rc != 0 ? fail(o, rc, "it has no number of descriptors to offer") : 0;
}

static int queue_setup(struct opening *o, uint16_t i)
{
    struct io_queue *q = &o->p->queues[i];
    uint16_t port = o->p->id;
    unsigned socket = (unsigned)rte_eth_dev_socket_id(port);
    struct rte_eth_rxconf rx = o->info.default_rxconf;
    struct rte_eth_txconf tx = o->info.default_txconf;

    q->port = port;
    q->queue = i;
    rx.offloads = o->eth.rxmode.offloads;
    tx.offloads = o->eth.txmode.offloads;
    int rc = rte_eth_rx_queue_setup(port, i, o->n_rxd, socket, &rx, q->rx_pool);
    if (rc != 0)
        return fail(o, rc, "receive queue %u can't be set up", i);
    rc = rte_eth_tx_queue_setup(port, i, o->n_txd, socket, &tx);
    return rc != 0 ? fail(o, rc, "transmit queue %u can't be set up", i) : 0;
}

/* Configured anew for each try. */
static int port_start(struct opening *o, bool interrupts)
{
    struct io_port *p = o->p;

    o->eth.intr_conf.rxq = interrupts;
    int rc = port_configure(o);
    for (uint16_t i = 0; i < p->n_queues && rc == 0; i++)
        rc = queue_setup(o, i);
    if (rc != 0)
        return rc;
    rc = rte_eth_dev_start(p->id);
    if (rc != 0)
        return fail(o, rc, "it can't be started");
    p->is_started = true;
    return 0;
}

/* ---- address and MTU ----------------------------------------------------------------------- */

/* Our end of a TAP needs an address of its own: the device's is the kernel's interface. */
static void mac_other_end(uint8_t mac[6])
{
    mac[0] = (uint8_t)((mac[0] | 0x02) & ~0x01);
    mac[5] ^= 0x01;
}

/* The configured address. A kernel interface keeps its own beside it, which is the kernel's: to
 * which our frames are nobody's then, thrown away before its IP looks at them. */
static void mac_own(struct io_port *p, struct rte_ether_addr *addr)
{
    if (p->dev.drv->kernel_side)
        return;
    if (!p->dev.drv->kernel_iface && rte_eth_dev_default_mac_addr_set(p->id, addr) == 0)
        return;
    if (rte_eth_promiscuous_enable(p->id) == 0) /* best effort: some have no filter to open */
        p->is_promiscuous = true;
}

static void port_mac(const struct opening *o, uint8_t mac[6])
{
    struct io_port *p = o->p;
    struct rte_ether_addr addr;
    char remote[IF_NAMESIZE];

    if (o->conf->has_mac) {
        memcpy(mac, o->conf->mac, 6);
        memcpy(addr.addr_bytes, mac, 6);
        mac_own(p, &addr);
        return;
    }
    if (rte_eth_macaddr_get(p->id, &addr) != 0 || rte_is_zero_ether_addr(&addr))
        rte_eth_random_addr(addr.addr_bytes);
    memcpy(mac, addr.addr_bytes, 6);
    if (p->dev.drv->kernel_side && !io_devstr_arg(&p->dev, "remote", remote, sizeof(remote)))
        mac_other_end(mac);
}

/* A given MTU is the kernel interface's as well. */
static int kernel_mtu_set(struct opening *o)
{
    struct ifreq ifr = {.ifr_mtu = o->mtu};
    const struct io_devstr *dev = &o->p->dev;

    if (o->conf->mtu == 0 || !dev->drv->kernel_iface || io_devstr_kernel_mtu(dev) == o->mtu ||
        !io_devstr_arg(dev, "iface", ifr.ifr_name, sizeof(ifr.ifr_name)))
        return 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = fd >= 0 && ioctl(fd, SIOCSIFMTU, &ifr) == 0 ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    return rc != 0 ? fail(o, rc, "the MTU of %s can't be set to %u", ifr.ifr_name, o->mtu) : 0;
}

/* ---- open and close ------------------------------------------------------------------------ */

/* A file that ends, not an interface or a file that is played for ever. */
static bool is_capture(const struct io_devstr *dev)
{
    char path[IO_DEV_STR_MAX];
    return strcmp(dev->drv->name, "net_pcap") == 0 &&
           io_devstr_arg(dev, "rx_pcap", path, sizeof(path)) &&
           io_devstr_number(dev, "infinite_rx") == 0;
}

static void queues_finish(struct opening *o)
{
    struct io_port *p = o->p;
    uint64_t tx = o->eth.txmode.offloads, rx = o->eth.rxmode.offloads;
    uint32_t caps = 0;
    uint8_t mac[6];

    port_mac(o, mac);
    caps |= tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM ? MTCP_IO_TX_IP_CSUM : 0;
    caps |= tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM ? MTCP_IO_TX_TCP_CSUM : 0;
    caps |= rx & RTE_ETH_RX_OFFLOAD_TCP_CKSUM ? MTCP_IO_RX_CSUM : 0;
    caps |= o->tso ? MTCP_IO_TSO : 0;
    caps |= is_capture(&p->dev) ? MTCP_IO_CAPTURE : 0;
    for (unsigned i = 0; i < p->n_queues; i++) {
        struct io_queue *q = &p->queues[i];
        q->tx_prepare = tx != 0;
        q->io.caps = caps;
        q->io.mtu = o->mtu;
        q->io.tso_max = o->tso ? ROOM_BIG - L2_LEN : 0;
        memcpy(q->io.mac, mac, 6);
        q->io.name = p->name;
        io_queue_init(q);
    }
}

static int port_open(struct opening *o)
{
    struct io_port *p = o->p;
    struct io_sockets before;
    bool interrupts = p->dev.drv->wake == IO_WAKE_INTR;

    io_wake_sockets(&before, p->dev.drv->wake_family);
    int rc = port_probe(o);
    if (rc == 0)
        rc = port_choose(o);
    if (rc == 0)
        rc = pools_make(o);
    if (rc == 0)
        rc = port_start(o, interrupts);
    if (rc != 0 && interrupts && p->queues != NULL && p->queues[p->n_queues - 1].pool != NULL) {
        interrupts = false;
        rc = port_start(o, false);
    }
    if (rc == 0)
        rc = kernel_mtu_set(o);
    if (rc != 0)
        return rc;
    if (o->has_rss_key)
        io_rss_confirm(p);
    bool all = o->conf->promiscuous;
    all |= rte_eth_allmulticast_enable(p->id) != 0; /* for neighbour discovery; best effort */
    p->is_promiscuous = all && rte_eth_promiscuous_enable(p->id) == 0;
    io_wake_open(p, interrupts, &before);
    queues_finish(o);
    return 0;
}

/* net_tap takes the first free real-time signal for a signal per frame, and polls when there is
 * none. Polling is cheaper and leaves the program its signals: none is free while it opens. */
static void signals_hide(struct sigaction *old, bool *changed, void (*handler)(int))
{
    for (int s = SIGRTMIN; s <= SIGRTMAX; s++) {
        struct sigaction taken = {.sa_handler = handler, .sa_flags = SA_RESTART};
        changed[s] = sigaction(s, NULL, &old[s]) == 0 && old[s].sa_handler == SIG_DFL &&
                     sigaction(s, &taken, NULL) == 0;
    }
}

static void signals_show(const struct sigaction *old, const bool *changed)
{
    for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
        if (changed[s])
            sigaction(s, &old[s], NULL);
}

static void signal_nothing(int sig)
{
    (void)sig;
}

int io_port_open(struct io_port *p, const struct io_dev *conf, const uint8_t *rss_key, char *err,
                 size_t err_len)
{
    struct opening o = {.p = p, .conf = conf, .rss_key = rss_key, .err = err, .err_len = err_len};
    struct sigaction old[NSIG];
    bool changed[NSIG];
    bool hide = p->dev.drv->async_signal;

    if (hide)
        signals_hide(old, changed, signal_nothing);
    int rc = port_open(&o);
    if (hide)
        signals_show(old, changed);
    if (rc != 0)
        io_port_close(p);
    return rc;
}

void io_port_close(struct io_port *p)
{
    io_wake_close(p);
    if (p->is_promiscuous) /* a kernel interface outlives us */
        rte_eth_promiscuous_disable(p->id);
    p->is_promiscuous = false;
    if (p->is_started)
        rte_eth_dev_stop(p->id);
    if (p->is_probed)
        rte_eth_dev_close(p->id);
    free(p->queues);
    p->queues = NULL;
    p->n_queues = p->rss_buckets = 0;
    p->is_started = p->is_probed = false;
}

/*
 * io_probe - drives a device through the burst interface, with no TCP: for the tests of the I/O.
 *
 *   io_probe [options] DEVICE
 *     -a ADDR     answer ARP and ICMP echo for this IPv4 address (default 10.77.0.2)
 *     -p ADDR     send an ICMP echo to ADDR every -i ms and count the replies
 *     -n COUNT    with -p: stop after so many replies
 *     -i MS       with -p: interval (default 10)
 *     -s SIZE     with -p: bytes of payload (default 56)
 *     -T          with -p: TCP segments of -s bytes, to be cut by the device, instead of echoes
 *     -q N        queues, one thread each          -t SEC    stop after SEC (default: SIGINT)
 *     -M MTU      MTU                              -b N      packet buffers per queue
 *     -e MAC      Ethernet address
 *     -m MB       packet memory                    -H        hugepages if there are any
 *     -x ARGS     more DPDK arguments              -v        messages to stderr
 *
 * Prints "ready ..." when packets flow and "stats ..." at the end. Exit status 0; 1 when the device
 * can't be had (one line on stderr); 2 for wrong options; 3 when -n was not reached.
 */
#include "mtcp/io/io.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/ether.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define QUEUES_MAX   16
#define SPIN_US      50
#define FRAME_ECHO   (sizeof(struct eth_hdr) + sizeof(struct ipv4_hdr) + sizeof(struct icmp_hdr))
#define FRAME_TCP    (sizeof(struct eth_hdr) + sizeof(struct ipv4_hdr) + sizeof(struct tcp_hdr))
#define FRAME_ARP    (sizeof(struct eth_hdr) + sizeof(struct arp_hdr))
#define ARP_REQUEST  1
#define ARP_REPLY    2
#define ICMP_REPLY   0
#define ICMP_REQUEST 8

struct options {
    struct io_dev dev;
    struct io_conf conf;
    be32_t addr, peer;
    bool ping, tso;
    uint64_t n_replies, interval_us, for_us;
    size_t size;
};

struct worker {
    const struct options *opt;
    unsigned queue;
    struct mtcp_io *io;
    pthread_t thread;
    bool has_peer_mac;
    struct mac_addr peer_mac;
    uint64_t next_ping_us, asked_us, rtt_us, n_sent, n_replies, n_echoed, n_sleeps, n_good;
    uint32_t len_max;
    uint16_t seq;
};

static int stop_fd = -1;

static void stop_all(int sig)
{
    const uint64_t one = 1;

    (void)sig;
    if (write(stop_fd, &one, sizeof(one)) < 0)
        _exit(4);
}

static bool stopped(void)
{
    struct pollfd p = {.fd = stop_fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void log_print(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s: %s\n", log_level_name(level), line);
}

/* ---- frames -------------------------------------------------------------------------------- */

static void pkt_send(struct worker *w, struct mtcp_pkt *pkt)
{
    if (w->io->tx_burst(w->io, &pkt, 1) != 1)
        w->io->free(w->io, pkt);
}

static struct mac_addr own_mac(const struct worker *w)
{
    struct mac_addr m;

    memcpy(&m, w->io->mac, sizeof(m));
    return m;
}

static bool same_ip(be32_t a, be32_t b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static bool on_arp(struct worker *w, struct mtcp_pkt *pkt)
{
    struct eth_hdr *eth = (struct eth_hdr *)(void *)pkt->data;
    struct arp_hdr *arp = (struct arp_hdr *)(void *)(eth + 1);

    if (pkt->len < FRAME_ARP || !same_ip(arp->target_ip, w->opt->addr))
        return false;
    if (same_ip(arp->sender_ip, w->opt->peer)) {
        w->peer_mac = arp->sender_mac;
        w->has_peer_mac = true;
    }
    if (be16_get(arp->op) != ARP_REQUEST)
        return false;
    be32_t asked = arp->target_ip;
    eth->dst = arp->sender_mac;
    eth->src = own_mac(w);
    arp->op = be16_make(ARP_REPLY);
    arp->target_mac = arp->sender_mac;
    arp->target_ip = arp->sender_ip;
    arp->sender_mac = own_mac(w);
    arp->sender_ip = asked;
    pkt->len = FRAME_ARP;
    return true;
}

/* Turns a request into its reply; false when it is not one (a reply to us is counted). */
static bool on_ipv4(struct worker *w, struct mtcp_pkt *pkt)
{
    struct eth_hdr *eth = (struct eth_hdr *)(void *)pkt->data;
    struct ipv4_hdr *ip = (struct ipv4_hdr *)(void *)(eth + 1);
    struct icmp_hdr *icmp = (struct icmp_hdr *)(void *)(ip + 1);

    if (pkt->len < FRAME_ECHO || ip->ver_ihl != 0x45 || ip->proto != IP_PROTO_ICMP ||
        !same_ip(ip->dst, w->opt->addr))
        return false;
    size_t len = be16_get(ip->total_len);
    if (len < sizeof(*ip) + sizeof(*icmp) || len + sizeof(*eth) > pkt->len)
        return false;
    bool good = csum_fold(csum_add(0, icmp, len - sizeof(*ip))) == 0;
    if (icmp->type == ICMP_REPLY && good) {
        w->n_replies++;
        w->rtt_us += now_us() - w->asked_us;
    }
    if (icmp->type != ICMP_REQUEST || !good)
        return false;
    be32_t dst = ip->dst;
    ip->dst = ip->src;
    ip->src = dst;
    eth->dst = eth->src;
    eth->src = own_mac(w);
    icmp->type = ICMP_REPLY;
    icmp->csum = (be16_t){0};
    uint16_t sum = csum_fold(csum_add(0, icmp, len - sizeof(*ip)));
    memcpy(&icmp->csum, &sum, sizeof(sum));
    pkt->len = (uint32_t)(len + sizeof(*eth));
    w->n_echoed++;
    return true;
}

static void on_pkt(struct worker *w, struct mtcp_pkt *pkt)
{
    const struct eth_hdr *eth = (const struct eth_hdr *)(void *)pkt->data;
    bool answer = false;

    w->len_max = pkt->len > w->len_max ? pkt->len : w->len_max;
    w->n_good += (pkt->flags & MTCP_PKT_RX_CSUM_GOOD) != 0;
    pkt->flags = 0;
    if (pkt->len >= sizeof(*eth) && be16_get(eth->type) == ETH_TYPE_ARP)
        answer = on_arp(w, pkt);
    else if (pkt->len >= sizeof(*eth) && be16_get(eth->type) == ETH_TYPE_IPV4)
        answer = on_ipv4(w, pkt);
    if (answer)
        pkt_send(w, pkt);
    else
        w->io->free(w->io, pkt);
}

static void arp_ask(struct worker *w)
{
    struct mtcp_pkt *pkt = w->io->alloc(w->io);
    if (pkt == NULL)
        return;
    struct eth_hdr *eth = (struct eth_hdr *)(void *)pkt->data;
    struct arp_hdr *arp = (struct arp_hdr *)(void *)(eth + 1);

    memset(pkt->data, 0, FRAME_ARP);
    memset(&eth->dst, 0xff, sizeof(eth->dst));
    eth->src = own_mac(w);
    eth->type = be16_make(ETH_TYPE_ARP);
    arp->hw_type = be16_make(1);
    arp->proto_type = be16_make(ETH_TYPE_IPV4);
    arp->hw_len = 6;
    arp->proto_len = 4;
    arp->op = be16_make(ARP_REQUEST);
    arp->sender_mac = own_mac(w);
    arp->sender_ip = w->opt->addr;
    arp->target_ip = w->opt->peer;
    pkt->len = FRAME_ARP;
    pkt_send(w, pkt);
}

/* An IPv4 header for a payload of len bytes; what is behind it. */
static void *ip_make(const struct worker *w, struct mtcp_pkt *pkt, uint8_t proto, size_t len)
{
    struct eth_hdr *eth = (struct eth_hdr *)(void *)pkt->data;
    struct ipv4_hdr *ip = (struct ipv4_hdr *)(void *)(eth + 1);

    pkt->len = (uint32_t)(sizeof(*eth) + sizeof(*ip) + len);
    memset(pkt->data, 0, pkt->len);
    eth->dst = w->peer_mac;
    eth->src = own_mac(w);
    eth->type = be16_make(ETH_TYPE_IPV4);
    *ip = (struct ipv4_hdr){.ver_ihl = 0x45, .ttl = 64, .proto = proto};
    ip->total_len = be16_make((uint16_t)(sizeof(*ip) + len));
    ip->src = w->opt->addr;
    ip->dst = w->opt->peer;
    uint16_t sum = csum_fold(csum_add(0, ip, sizeof(*ip)));
    memcpy(&ip->csum, &sum, sizeof(sum));
    return ip + 1;
}

static void echo_make(struct worker *w, struct mtcp_pkt *pkt)
{
    size_t len = sizeof(struct icmp_hdr) + w->opt->size;
    struct icmp_hdr *icmp = ip_make(w, pkt, IP_PROTO_ICMP, len);

    icmp->type = ICMP_REQUEST;
    icmp->seq = be16_make(w->seq++);
    uint16_t sum = csum_fold(csum_add(0, icmp, len));
    memcpy(&icmp->csum, &sum, sizeof(sum));
}

static void segment_make(const struct worker *w, struct mtcp_pkt *pkt)
{
    size_t len = sizeof(struct tcp_hdr) + w->opt->size;
    struct tcp_hdr *tcp = ip_make(w, pkt, IP_PROTO_TCP, len);
    struct ip_addr src = ip_addr_v4(w->opt->addr), dst = ip_addr_v4(w->opt->peer);

    tcp->doff_ns = 5 << 4;
    tcp->flags = 0x10;
    uint16_t sum = (uint16_t)~csum_fold(csum_pseudo(&src, &dst, IP_PROTO_TCP, (uint32_t)len));
    memcpy(&tcp->csum, &sum, sizeof(sum));
    pkt->flags = MTCP_PKT_TX_TSO | MTCP_PKT_TX_TCP_CSUM;
    pkt->l2_len = sizeof(struct eth_hdr);
    pkt->l3_len = sizeof(struct ipv4_hdr);
    pkt->l4_len = sizeof(struct tcp_hdr);
    pkt->tso_mss = (uint16_t)(w->io->mtu - sizeof(struct ipv4_hdr) - sizeof(struct tcp_hdr));
}

static void ask(struct worker *w)
{
    struct mtcp_pkt *pkt = w->io->alloc(w->io);

    if (pkt == NULL || pkt->room < FRAME_TCP + w->opt->size)
        abort();
    if (w->opt->tso)
        segment_make(w, pkt);
    else
        echo_make(w, pkt);
    w->n_sent++;
    w->n_replies += w->opt->tso;
    w->asked_us = now_us();
    pkt_send(w, pkt);
}

/* ---- a queue's loop ------------------------------------------------------------------------ */

static uint64_t timers(struct worker *w, uint64_t now)
{
    if (!w->opt->ping || w->queue != 0)
        return UINT64_MAX;
    if (now < w->next_ping_us)
        return w->next_ping_us;
    if (w->has_peer_mac)
        ask(w);
    else
        arp_ask(w);
    w->next_ping_us = now + w->opt->interval_us;
    return w->next_ping_us;
}

static void wait_on(int fd, uint64_t timeout_us)
{
    struct pollfd p[2] = {{.fd = stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    struct timespec ts = {.tv_sec = (time_t)(timeout_us / 1000000),
                          .tv_nsec = (long)(timeout_us % 1000000) * 1000};

    ppoll(p, fd >= 0 ? 2 : 1, timeout_us > 3600000000u ? NULL : &ts, NULL);
}

static void idle(struct worker *w, uint64_t timeout_us)
{
    bool ready = false;
    int fd = -1;

    if (w->io->sleep_begin != NULL)
        fd = w->io->sleep_begin(w->io, &ready);
    if (fd < 0 && timeout_us > 1000)
        timeout_us = 1000;
    if (!ready) {
        w->n_sleeps++;
        wait_on(fd, timeout_us);
    }
    if (w->io->sleep_end != NULL)
        w->io->sleep_end(w->io);
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    struct mtcp_pkt *pkts[IO_BURST];
    uint64_t start = now_us(), busy = start, end = UINT64_MAX, turn = 0;

    w->io = io_devices_queue(0, w->queue);
    if (w->opt->for_us != 0)
        end = start + w->opt->for_us;
    for (;;) {
        unsigned n = w->io->rx_burst(w->io, pkts, IO_BURST);
        for (unsigned i = 0; i < n; i++)
            on_pkt(w, pkts[i]);
        uint64_t now = now_us(), next = timers(w, now);
        if (n > 0)
            busy = now;
        if (now >= end || (w->opt->n_replies != 0 && w->n_replies >= w->opt->n_replies))
            stop_all(0);
        if ((++turn & 1023) == 0 || now - busy >= SPIN_US)
            if (stopped())
                break;
        if (now - busy < SPIN_US)
            continue;
        next = next < end ? next : end;
        idle(w, next > now ? next - now : 0);
    }
    return NULL;
}

/* ---- main ---------------------------------------------------------------------------------- */

static void ready_print(const struct options *opt, const struct mtcp_io *io)
{
    printf("ready dev=%s queues=%u mtu=%u mac=%02x:%02x:%02x:%02x:%02x:%02x caps=%s%s%s%s%s\n",
           opt->dev.device, io_devices_n_queues(0), io->mtu, io->mac[0], io->mac[1], io->mac[2],
           io->mac[3], io->mac[4], io->mac[5], io->caps & MTCP_IO_TX_IP_CSUM ? "ip," : "",
           io->caps & MTCP_IO_TX_TCP_CSUM ? "tcp," : "", io->caps & MTCP_IO_TSO ? "tso," : "",
           io->caps & MTCP_IO_RX_CSUM ? "rx," : "", io->caps & MTCP_IO_NO_WAKEUP ? "nap" : "wake");
    fflush(stdout);
}

static void stats_add(struct mtcp_io_stats *sum, const struct mtcp_io_stats *s)
{
    sum->rx_packets += s->rx_packets;
    sum->rx_dropped += s->rx_dropped;
    sum->tx_packets += s->tx_packets;
    sum->tx_dropped += s->tx_dropped;
    sum->pkts_total += s->pkts_total;
    sum->pkts_free += s->pkts_free;
}

static void worker_add(struct worker *sum, const struct worker *w)
{
    sum->n_echoed += w->n_echoed;
    sum->n_sent += w->n_sent;
    sum->n_replies += w->n_replies;
    sum->n_sleeps += w->n_sleeps;
    sum->n_good += w->n_good;
    sum->rtt_us += w->rtt_us;
    sum->len_max = w->len_max > sum->len_max ? w->len_max : sum->len_max;
}

static uint64_t stats_print(const struct worker *w, unsigned n)
{
    struct mtcp_io_stats sum = {0}, s;
    struct worker all = {0};

    printf("stats per_queue=");
    for (unsigned i = 0; i < n; i++) {
        w[i].io->stats(w[i].io, &s);
        stats_add(&sum, &s);
        worker_add(&all, &w[i]);
        printf("%s%" PRIu64, i > 0 ? "," : "", s.rx_packets);
    }
    uint64_t rtt_us = all.n_replies > 0 ? all.rtt_us / all.n_replies : 0;
    printf(" rx=%" PRIu64 " rx_dropped=%" PRIu64 " len_max=%" PRIu32 " csum_good=%" PRIu64,
           sum.rx_packets, sum.rx_dropped, all.len_max, all.n_good);
    printf(" tx=%" PRIu64 " tx_dropped=%" PRIu64 " echoed=%" PRIu64 " sent=%" PRIu64,
           sum.tx_packets, sum.tx_dropped, all.n_echoed, all.n_sent);
    printf(" replies=%" PRIu64 " rtt_us=%" PRIu64 " sleeps=%" PRIu64 " pkts=%" PRIu64 "/%" PRIu64
           "\n",
           all.n_replies, rtt_us, all.n_sleeps, sum.pkts_free, sum.pkts_total);
    return all.n_replies;
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static bool option(struct options *o, int c, const char *value)
{
    switch (c) {
    case 'a':
        return inet_pton(AF_INET, value, &o->addr) == 1;
    case 'p':
        o->ping = true;
        return inet_pton(AF_INET, value, &o->peer) == 1;
    case 'n':
        o->n_replies = number(value);
        return true;
    case 'T':
        o->tso = true;
        return true;
    case 'i':
        o->interval_us = number(value) * 1000;
        return true;
    case 's':
        o->size = number(value);
        return true;
    case 'q':
        o->dev.n_queues = (unsigned)number(value);
        return o->dev.n_queues <= QUEUES_MAX;
    case 't':
        o->for_us = number(value) * 1000000;
        return true;
    case 'M':
        o->dev.mtu = (uint16_t)number(value);
        return true;
    case 'b':
        o->dev.n_pkts = (uint32_t)number(value);
        return true;
    case 'm':
        o->conf.mem_mb = number(value);
        return true;
    case 'e':
        o->dev.has_mac = true;
        return ether_aton_r(value, (struct ether_addr *)(void *)o->dev.mac) != NULL;
    case 'H':
        o->conf.hugepages = true;
        return true;
    case 'x':
        o->conf.extra_args = value;
        return true;
    default:
        return false;
    }
}

static int run(const struct options *opt)
{
    static struct worker workers[QUEUES_MAX];
    unsigned n = io_devices_n_queues(0);

    ready_print(opt, io_devices_queue(0, 0));
    for (unsigned i = 0; i < n; i++) {
        workers[i] = (struct worker){.opt = opt, .queue = i};
        if (i > 0 && pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) != 0)
            abort();
    }
    worker_run(&workers[0]);
    for (unsigned i = 1; i < n; i++)
        pthread_join(workers[i].thread, NULL);
    uint64_t replies = stats_print(workers, n);
    for (unsigned i = 0; i < n; i++)
        if (workers[i].io->close != NULL)
            workers[i].io->close(workers[i].io);
    return replies >= opt->n_replies ? 0 : 3;
}

int main(int argc, char **argv)
{
    static const struct log log = {.sink = log_print, .level = LOG_DEBUG};
    struct options o = {.interval_us = 10000, .size = 56};
    struct sigaction sa = {.sa_handler = stop_all};
    char err[512];
    int c;

    inet_pton(AF_INET, "10.77.0.2", &o.addr);
    o.dev.n_queues = 1;
    while ((c = getopt(argc, argv, "a:p:n:i:s:Tq:t:M:b:e:m:Hx:v")) != -1) {
        if (c == 'v')
            o.conf.log = &log;
        else if (!option(&o, c, optarg))
            return 2;
    }
    if (optind != argc - 1)
        return 2;
    o.dev.name = "probe";
    o.dev.device = argv[optind];
    o.conf.devs = &o.dev;
    o.conf.n_devs = 1;
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    if (io_devices_start(&o.conf, err, sizeof(err)) != 0) {
        fprintf(stderr, "io_probe: %s\n", err);
        return 1;
    }
    int rc = run(&o);
    io_devices_stop();
    return rc;
}

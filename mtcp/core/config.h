/*
 * The configuration: mos.conf read by us, parsed by libconfuse, checked key by key. An empty file
 * or none gives the embedded default: one TAP, no DPDK. Every complaint is one
 * line: file, line, key, and what to write instead. (docs/man/mos.conf.5)
 */
#ifndef MTCP_CORE_CONFIG_H
#define MTCP_CORE_CONFIG_H

#include "mtcp/base/bug.h"
#include "mtcp/base/log.h"
#include "mtcp/net/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_MAX_ROUTES   64
#define CONFIG_MAX_ARP      64
#define CONFIG_MAX_MONITORS 16

#define CONFIG_MAX_ADDRS 4

struct config_addr {
    struct ip_addr ip;
    uint8_t prefix_len;
};

struct config_netdev {
    char name[32];
    char device[256]; /* vdev string or PCI address */
    struct config_addr addr[CONFIG_MAX_ADDRS];
    unsigned n_addrs;
    bool autoconf; /* IPv6 addresses from routers' prefixes */
    uint16_t mtu;  /* 0: the device's */
    uint16_t n_rxd, n_txd;
    unsigned line; /* of `device` in the file; 0: not from a file */
    bool has_mac;
    uint8_t mac[6];
};

struct config_route {
    char netdev[32];
    struct net_route route; /* route.netif is filled when interfaces exist */
};

struct config_arp {
    char netdev[32];
    struct ip_addr ip;
    struct mac_addr mac;
};

struct config_monitor {
    char name[32];
    char plugin[256];
    char args[256];
};

enum config_idle { CONFIG_IDLE_ADAPTIVE, CONFIG_IDLE_SPIN };

struct config {
    struct config_netdev netdev[NET_IF_MAX];
    unsigned n_netdevs;
    struct config_route route[CONFIG_MAX_ROUTES];
    unsigned n_routes;
    struct config_arp arp[CONFIG_MAX_ARP];
    unsigned n_arps;
    struct config_monitor monitor[CONFIG_MAX_MONITORS];
    unsigned n_monitors;
    struct tcp_params tcp; /* rmem_size, wmem_size, tcp_tw_interval, tcp_timeout, ... */
    struct net_conf net;
    uint32_t max_concurrency; /* endpoint sockets per core */
    uint32_t max_monitor_socks;
    uint32_t max_num_buffers; /* connections that may hold buffers at once; 0: all */
    unsigned num_cores;
    uint64_t cpu_mask;        /* 0: num_cores from the first */
    uint64_t mem_limit_bytes; /* per core, buffers and control blocks; 0: none */
    uint64_t packet_mem_mb;   /* 0: computed */
    uint32_t n_pkts;          /* packet buffers per queue; 0: default */
    bool hugepages;
    bool forward; /* no endpoint: what one of the two devices receives leaves by the other */
    enum config_idle idle;
    uint32_t spin_us;       /* adaptive: how long to spin before sleeping */
    uint32_t close_wait_us; /* mtcp_destroy_context: how long it flushes */
    uint64_t dormant_after_us; /* nothing has happened on a connection; 0: never */
    bool stat_print;
    enum log_level log_level;
    char log_file[256]; /* "stderr" or a path; "": nothing is logged */
    char eal_args[256];
};

/* Everything at its default; no netdev. */
void config_default(struct config *c);

/* The embedded default's device, for a configuration that names none: netdev "tap0". */
void config_default_netdev(struct config *c);

/* Reads a file (NULL: defaults) or a text (NULL: defaults). 0, or -errno with one line in err. */
MUST_CHECK int config_load_file(struct config *c, const char *path, char *err, size_t err_len);
MUST_CHECK int config_load_text(struct config *c, const char *text, char *err, size_t err_len);

/* Is there no endpoint: no device with an address, nor one that will get one? */
bool config_is_wire(const struct config *c);

/* What the context may allocate in bytes, from mem_limit and max_num_buffers; 0: no limit. */
uint64_t config_mem_limit(const struct config *c);

#endif

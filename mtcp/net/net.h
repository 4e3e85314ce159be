/*
 * Joins packets and connections: interfaces, routes, ARP, ICMP, listeners, the flow table, and the
 * path of a packet in (pkt_in) and of a segment out. One struct net per context, one thread.
 *
 *   net_rx      a received burst: parse, look up, monitor's verdict, tcp_input, act on its verdict
 *   net_timers  every timer of the wheel that is due
 *   net_flush   what input, timers and the application marked for output, in bursts; then the dead
 */
#ifndef MTCP_NET_NET_H
#define MTCP_NET_NET_H

#include "mtcp/base/bug.h"
#include "mtcp/base/list.h"
#include "mtcp/base/log.h"
#include "mtcp/base/pool.h"
#include "mtcp/io/io.h"
#include "mtcp/net/flow_table.h"
#include "mtcp/tcp/tcp.h"

#include <stdbool.h>
#include <stdint.h>

#define NET_IF_MAX   16
#define NET_TX_BURST 32

struct arp; /* arp.c */

struct net_if {
    struct mtcp_io *io;
    const char *name;
    struct mac_addr mac;
    uint16_t mtu;
    uint8_t index;
    struct ip_addr addr; /* unspecified: none */
    uint8_t prefix_len;  /* of addr, counted within IPv4's 32 bits when it is IPv4 */
    struct mtcp_pkt *tx[NET_TX_BURST]; /* built, not yet handed to the device */
    unsigned n_tx;
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
    uint64_t rx_malformed, rx_bad_csum, rx_not_ours, tx_no_buffer, tx_refused;
};

struct net_route {
    struct ip_addr dst;
    uint8_t prefix_len; /* 0: default route */
    struct ip_addr gateway; /* unspecified: on link */
    uint8_t netif;
};

/* A listening address. Half-open and completed connections are bounded separately by `backlog`. */
struct net_listener {
    struct list_node node; /* in its port's bucket */
    struct ip_addr addr;   /* unspecified: every address */
    uint16_t port;
    uint32_t backlog;
    uint32_t n_half_open, n_accept;
    struct list_node accept; /* established, not accepted: struct net_waiting (listener.c) */
    struct list_node ready;  /* on net.ready_listeners since a connection came; sock/ takes it off */
    struct tcp_params params;   /* what accepted connections start with (buffer sizes, cc) */
    uint32_t conn_flags;        /* TCF_NODELAY, TCF_KEEPALIVE ... inherited */
    struct tcp_opt_ext ext;     /* inherited when has_ext */
    bool has_ext;
    int sock; /* the listening socket's id */
};

struct net_conf {
    uint32_t max_conns;      /* half-open, established and closing together; 0: no limit */
    uint32_t max_time_wait;  /* compact records; beyond it the oldest end early */
    uint32_t max_mon_time_wait;
    uint32_t max_half_open;  /* over all listeners */
    uint32_t rst_per_sec;    /* resets to unknown segments, and ICMP errors; 0: no limit */
    uint16_t port_min, port_max; /* ephemeral ports */
};

struct net_stats {
    uint64_t orphan_segs, rst_sent, rst_limited, syn_dropped_backlog, accept_dropped;
    uint64_t no_route, arp_failed, arp_queue_full, icmp_in, icmp_out, fragments_dropped;
    uint64_t conn_nomem, hook_drops;
};

struct net {
    struct tcp_env env; /* first: timers and tcp/ see this part only */
    struct net_conf conf;
    const struct log *log;
    struct net_if ifs[NET_IF_MAX];
    unsigned n_ifs;
    struct net_route *routes; /* by falling prefix length */
    unsigned n_routes;
    struct arp *arp;
    struct flow_table *flows;
    struct pool conns, half_opens, time_waits;
    struct tcp_time_wait *tw_head, **tw_tail; /* in order of expiry */
    struct timer tw_timer;
    struct list_node listeners[64]; /* by port */
    struct list_node ready_listeners;
    uint32_t n_half_open;
    uint32_t n_mon_time_wait;
    uint16_t ip_id;
    struct net_stats stats;
};

/* ---- set-up ---- */

/* Everything empty. env.hooks/mon may be set later. 0 or -ENOMEM. The secret and the random
 * generator come from `seed` expanded by the caller into e.secret afterwards if it wants better. */
MUST_CHECK int net_init(struct net *n, struct mem *mem, const struct net_conf *conf, uint64_t seed,
                        uint64_t now_us);

/* Ends every connection at once, without packets; frees all. Hooks get dying(). */
void net_fini(struct net *n);

/* Adds an interface over a device; a route to its prefix comes with it. Its index, -ENOSPC, -ENOMEM.
 * Announces the address (gratuitous ARP) with the first flush. */
MUST_CHECK int net_if_add(struct net *n, struct mtcp_io *io, const char *name,
                          const struct ip_addr *addr, uint8_t prefix_len);
MUST_CHECK int net_route_add(struct net *n, const struct net_route *r);   /* -EEXIST, -ENOMEM */
MUST_CHECK int net_arp_add(struct net *n, uint8_t netif, const struct ip_addr *ip,
                           const struct mac_addr *mac);                    /* static entry */

/* ---- one turn ---- */

/* Receives one burst from every interface; the number of packets. */
unsigned net_rx(struct net *n);
void net_timers(struct net *n);
void net_flush(struct net *n);

/* When something is due next (WHEEL_NEVER_US: nothing), and whether output waits. */
uint64_t net_next_us(const struct net *n);
bool net_has_work(const struct net *n);

/* ---- listeners ---- */

/* *l (zeroed but for params, conn_flags, ext, sock) listens. 0, -EADDRINUSE, -EADDRNOTAVAIL. */
MUST_CHECK int net_listen(struct net *n, struct net_listener *l, const struct ip_addr *addr,
                          uint16_t port, uint32_t backlog);

/* Stops listening: half-open records are forgotten, what was not accepted is reset. */
void net_unlisten(struct net *n, struct net_listener *l);

/* The oldest established connection, which then belongs to the caller; NULL when there is none. */
struct tcp_conn *net_accept(struct net *n, struct net_listener *l);

/* ---- active opens ---- */

/* A connection to remote:port from local (unspecified address: by route; port 0: ephemeral, RFC
 * 6056), in CLOSED: the caller sets its options, then net_connect_start(). NULL with *err: ENETUNREACH, EADDRNOTAVAIL,
 * EADDRINUSE, ENOMEM (memory or max_conns), EINVAL (remote unspecified or port 0). */
struct tcp_conn *net_connect_prepare(struct net *n, const struct ip_addr *local, uint16_t local_port,
                                     const struct ip_addr *remote, uint16_t remote_port, int *err);
void net_connect_start(struct net *n, struct tcp_conn *c);

/* Is the local address one of ours (or unspecified)? Is the port free to bind? */
bool net_addr_is_local(const struct net *n, const struct ip_addr *a);
bool net_port_is_bound(const struct net *n, const struct ip_addr *a, uint16_t port);

/* ---- counting ---- */
size_t net_n_conns(const struct net *n); /* endpoint connections: half-open, established, closing */

#endif

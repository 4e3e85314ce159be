/*
 * Joins packets and connections: interfaces, routes, neighbours, ICMP, listeners, the flow table,
 * and the path of a packet in (pkt_in) and of a segment out. One struct net per context, one
 * thread.
 *
 *   net_clock   what time it is
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
#include "mtcp/net/limit.h"
#include "mtcp/tcp/fastopen.h"
#include "mtcp/tcp/tcp.h"

#include <stdbool.h>
#include <stdint.h>

#define NET_IF_MAX           16
#define NET_ADDRS_MAX        8 /* of one interface */
#define NET_TX_BURST         32
#define NET_HOPS             256 /* cached next hops (route.c), a power of two */
#define NET_PMTUS            256 /* cached path MTUs (pmtu.c), a power of two */
#define NET_FASTOPEN_PEERS   64  /* cached cookies (fastopen.c), a power of two */
#define NET_LISTENER_BUCKETS 64

struct tcp_dormant; /* tcp/dormant.h */
struct neigh;       /* neigh.h */
struct neigh_table; /* neigh.c */
struct ndp;         /* ndp.h */
struct net_waiting; /* listener.c */
struct reass;       /* reass.c */

enum net_addr_state {
    NET_ADDR_VALID,
    NET_ADDR_TENTATIVE, /* IPv6: whether somebody else has it is being found out (RFC 4862 5.4) */
    NET_ADDR_DUPLICATE, /* somebody else has */
};

/* An address of ours. One from a router's prefix ages: first it is not chosen any more, then it
 * goes. */
struct net_addr {
    struct ip_addr ip;
    uint8_t prefix_len;                          /* counted within IPv4's 32 bits when it is IPv4 */
    uint8_t state;                               /* enum net_addr_state */
    uint8_t n_probes;                            /* tentative: sent */
    bool is_auto;                                /* formed here (RFC 4862 5.5) */
    uint64_t probe_at_us;                        /* tentative: the next probe, or the end */
    uint64_t preferred_until_us, valid_until_us; /* UINT64_MAX: for ever */
};

struct net_if {
    struct mtcp_io *io;
    struct mac_addr mac;
    uint16_t mtu;
    uint16_t mtu6; /* of IPv6: what a router said, at most mtu */
    uint8_t index;
    bool announce_due;         /* the gratuitous ARP of a new address */
    bool is_wire;              /* nothing is ours here (wire.h) */
    struct net_if *forward_to; /* of a wire: where its frames go on; NULL: nowhere */
    struct ip_addr addr;       /* the first of addrs, compared first; unspecified: none */
    struct net_addr addrs[NET_ADDRS_MAX];
    unsigned n_addrs;
    struct ndp *ndp;  /* NULL: no IPv6 here */
    bool takes_pieces; /* of payload, from where it lies: MTCP_IO_TX_PIECES, and it sums */
    uint32_t tso_len; /* payload bytes that fit one frame to be cut by the device; 0: no TSO */
    unsigned n_tx;
    struct mtcp_pkt *tx[NET_TX_BURST]; /* built, not yet taken by the device */
    uint64_t stuck_since_us;           /* no packet could be had since then; 0: it could */
    bool was_stuck;                    /* nor in this flush */
    const char *name;
    struct net *watcher;                  /* whose monitor sees each frame; NULL: none does */
    struct mtcp_pkt *own_head, *own_last; /* packets of a monitor's own (own_packet.c), in order */
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
    uint64_t rx_malformed, rx_bad_csum, rx_not_ours, tx_no_buffer, tx_refused;
    uint64_t tx_too_long; /* forwarded frames that are longer than the device takes */
};

struct net_route {
    struct ip_addr dst;
    uint8_t prefix_len;     /* 0: default route; as in net_addr */
    struct ip_addr gateway; /* unspecified: on link */
    uint8_t netif;
    bool is_dynamic; /* a router said so: gives way to one that is not */
};

/* Where packets to one address go: a slot of a small direct-mapped cache, so that a packet pays for
 * neither a route nor a neighbour's lookup. Valid while `epoch` is the net's (route.c). */
struct net_hop {
    struct ip_addr remote;
    struct neigh *neigh;
    uint32_t epoch;
    uint8_t netif;
};

/* The compact TIME_WAIT records of one family, in order of expiry (time_wait.c). */
struct net_time_waits {
    struct tcp_time_wait *head, *last;
    struct timer timer;
    struct pool records;
};

/* What the path to one address takes (pmtu.c); nothing when the time is over. */
struct net_pmtu {
    struct ip_addr remote;
    uint64_t expires_us;
    uint16_t mtu;
};

/* What is known of a server's Fast Open (fastopen.c). */
struct net_fastopen_peer {
    struct ip_addr remote;
    uint64_t disabled_until_us; /* SYNs with the option get lost on the way */
    uint16_t mss;               /* as it said last */
    uint8_t n_lost;
    bool is_exp;        /* the cookie, or what to ask with next: as the experimental option */
    bool is_exp_tried;  /* ... in vain: asked with no more */
    uint8_t cookie_len; /* 0: none is known */
    uint8_t cookie[TCP_FASTOPEN_COOKIE_MAX];
};

/* flow.marks */
enum net_mark {
    NET_MARK_FORGOTTEN = 1 << 0, /* a dead connection: out of the flow table, the monitor told */
    NET_MARK_HELD = 1 << 1,      /* ... and off the dead list: its owner has not let go yet */
    NET_MARK_BORN = 1 << 2,      /* the monitor has been asked about the first SYN */
    NET_MARK_RESET = 1 << 3,     /* a half-open record that a monitor wants reset */
    NET_MARK_END = 1 << 4,       /* a half-open record without a listener */
};

/* A listening address. Half-open and completed connections are bounded separately by `backlog`. */
struct net_listener {
    struct list_node node; /* in its port's bucket */
    struct ip_addr addr;   /* 0.0.0.0: every one of IPv4; "::": of both families */
    uint16_t port;
    bool is_v6only; /* "::": of IPv6 alone */
    uint32_t backlog;
    uint32_t n_half_open, n_accept;
    struct list_node accept; /* established, not accepted: struct net_waiting (listener.c). One that
                              * was reset meanwhile stays: accept() returns it with its error */
    struct list_node ready; /* on net.ready_listeners since a connection came; sock/ takes it off */
    struct tcp_params params; /* what accepted connections start with (buffer sizes, cc) */
    uint32_t conn_flags;      /* TCF_NODELAY, TCF_KEEPALIVE ... inherited */
    uint16_t user_mss;        /* TCP_MAXSEG: what SYN-ACKs offer at most; 0: the route's */
    struct tcp_opt_ext ext;   /* inherited when has_ext */
    bool has_ext;
    bool shares;            /* its address and port with others that do (SO_REUSEPORT) */
    uint32_t fastopen_qlen; /* Fast Opens whose handshake is not over; 0: none (TCP_FASTOPEN) */
    struct fastopen_keys fastopen_keys; /* n 0: those of all listeners (TCP_FASTOPEN_KEY) */
    uint64_t cookies_until_us;          /* cookies that were sent may come back until then */
    int sock;                           /* the listening socket's id */
};

/* Bits of net_conf.fastopen, with Linux's values. */
enum net_fastopen {
    NET_FASTOPEN_CLIENT = 1,
    NET_FASTOPEN_SERVER = 2,
    NET_FASTOPEN_CLIENT_BLIND = 4,     /* data in the SYN without a cookie */
    NET_FASTOPEN_SERVER_BLIND = 0x200, /* data in a SYN is taken without a cookie */
    NET_FASTOPEN_SERVER_ALL = 0x400,   /* listeners need not ask for it */
};

struct net_conf {
    uint32_t max_conns;     /* half-open, established and closing together; 0: no limit */
    uint32_t max_time_wait; /* compact records; beyond it the oldest end early */
    uint32_t max_mon_time_wait;
    uint32_t max_half_open;      /* over all listeners */
    uint32_t rst_per_sec;        /* resets to unknown segments, and ICMP errors; 0: no limit */
    uint16_t port_min, port_max; /* ephemeral ports */
    uint64_t max_fragment_bytes; /* packets that are not whole, all together */
    uint32_t pmtu_expires_s;     /* how long a path MTU is believed (RFC 1191 6.3) */
    uint32_t fastopen;           /* as Linux's tcp_fastopen: enum net_fastopen */
    struct fastopen_keys fastopen_keys; /* n 0: drawn */
    uint8_t syn_cookies;   /* as Linux's tcp_syncookies: 0 never, 1 when full, 2 always */
    bool trust_csums;      /* of a wire: what senders left to their devices is not there yet */
    bool pmtu_black_holes; /* look for paths that swallow large segments */
    uint8_t dad_probes;    /* before an IPv6 address is ours (RFC 4862 5.1); 0: it is at once */
};

struct net_stats {
    uint64_t orphan_segs, rst_sent, rst_limited, syn_dropped_backlog, accept_dropped,
        accept_deferred;
    uint64_t no_route, neigh_failed, neigh_queue_full, icmp_in, icmp_out, icmp_out_of_window;
    uint64_t fragments_in, fragments_dropped, reassembled, reass_timeouts;
    uint64_t conn_nomem, hook_drops, pmtu_lowered, dozed;
    uint64_t cookies_sent, cookies_taken, cookies_bad;
    uint64_t fastopen_accepted, fastopen_refused, fastopen_full;
};

/* Several cores behind one device (core/steer.c): whose a flow is, and the way there. */
struct net_steer {
    bool (*is_home)(void *arg, const struct flow_tuple *t);
    /* A packet that was put together here, or whose flow is not known here, or a part of one; false:
     * it stays. `netif` is its interface's index. */
    bool (*hand_over)(void *arg, unsigned netif, const struct packet *p, struct mtcp_pkt *pkt);
    void *arg;
};

struct net {
    struct tcp_env env; /* first: timers and tcp/ see this part only */
    struct flow_table *flows;
    unsigned n_ifs;
    uint32_t hop_epoch;
    struct pool conns, half_opens, dormants[2];     /* those without and with a deadline */
    void (*on_wake)(void *arg, struct tcp_conn *c); /* from dormancy; NULL: nobody asks */
    void *on_wake_arg;
    struct net_time_waits time_waits[2];              /* of IPv4, of IPv6 */
    struct list_node listeners[NET_LISTENER_BUCKETS]; /* by port */
    struct list_node ready_listeners;
    struct pool waitings;
    struct list_node mon_time_waits; /* monitored connections in TIME_WAIT: struct net_waiting */
    uint32_t n_mon_time_wait;
    uint32_t n_half_open;
    uint32_t n_fastopen;   /* servers' Fast Opens whose handshake is not over */
    uint32_t n_forgotten;  /* connections with NET_MARK_FORGOTTEN */
    uint64_t wire_turn_us; /* wire.c: of a capture's clock, when news were told last */
    bool is_ending;        /* net_fini() runs */
    bool is_watched;       /* a monitor sees each frame of every interface */
    bool has_own;          /* a monitor's own packets wait to be sent */
    bool has_moved;        /* a device took something in the last flush */
    bool prune_ready;      /* connections without an owner may be on the ready list */
    uint32_t next_ephemeral;
    struct rate_limit rst_limit, icmp_limit;
    struct neigh_table *neighs;
    struct reass *reass;      /* NULL: no fragment has come yet */
    struct net_route *routes; /* by falling prefix length */
    unsigned n_routes, max_routes;
    const struct net_steer *steer; /* NULL: this is the only core */
    const struct log *log;
    struct net_conf conf;
    struct net_stats stats;
    struct net_hop hops[NET_HOPS];
    struct net_pmtu pmtus[NET_PMTUS];
    struct net_fastopen_peer fastopen_peers[NET_FASTOPEN_PEERS];
    struct net_if ifs[NET_IF_MAX];
};

/* ---- set-up ---- */

/* Everything empty. env.hooks/mon may be set later. 0 or -ENOMEM. The secret and the random
 * generator come from `seed` expanded by the caller into e.secret afterwards if it wants better. */
MUST_CHECK int net_init(struct net *n, struct mem *mem, const struct net_conf *conf, uint64_t seed,
                        uint64_t now_us);

/* Ends every connection at once, without packets; frees all. Hooks get dying(). The owners of dead
 * connections have called net_conn_release() before. */
void net_fini(struct net *n);

/* Adds an interface over a device; a route to its prefix comes with it. Its index, -ENOSPC,
 * -ENOMEM. Announces the address (gratuitous ARP) with the first flush. */
MUST_CHECK int net_if_add(struct net *n, struct mtcp_io *io, const char *name,
                          const struct ip_addr *addr, uint8_t prefix_len);

/* One more address of an interface, which may be down to its first of IPv6: then it gets a
 * link-local one as well, and looks for routers. 0, -EEXIST, -ENOSPC, -ENOMEM, -EINVAL (no such
 * interface, prefix too long, an MTU below IPv6's 1280). */
MUST_CHECK int net_addr_add(struct net *n, uint8_t netif, const struct ip_addr *addr,
                            uint8_t prefix_len);

/* IPv6 on the interface, with addresses from the prefixes that routers advertise (RFC 4862 5.5).
 * 0, -ENOMEM, -EINVAL as above. */
MUST_CHECK int net_if_autoconf(struct net *n, uint8_t netif);

/* A link-local gateway is one of the route's interface. 0, -EEXIST, -ENOMEM, -EINVAL (no such
 * interface, prefix too long, families differ). */
MUST_CHECK int net_route_add(struct net *n, const struct net_route *r);

/* A static neighbour. 0, -ENOSPC (table full), -EINVAL (no such interface, no host's address). */
MUST_CHECK int net_neigh_add(struct net *n, uint8_t netif, const struct ip_addr *ip,
                             const struct mac_addr *mac);

/* No endpoint here: what the interfaces receive is shown to the monitor, on behalf of both its
 * hosts, and nothing is ours. With `forward` there are two, and each sends what the other receives.
 * 0, -EINVAL (not two). */
MUST_CHECK int net_wire(struct net *n, bool forward);

/* ---- one turn ---- */

/* Time goes on. After a gap of more than a day since the last turn, timers run at once: some keep
 * 32 bits of their deadlines, which input could no longer tell from those that it sets. */
void net_clock(struct net *n, uint64_t now_us);

/* Receives what has come, at most some bursts from every interface; the number of packets. */
unsigned net_rx(struct net *n);
void net_timers(struct net *n); /* the stack's, then the monitor's */
void net_flush(struct net *n);

/* When something is due next (WHEEL_NEVER_US: nothing), and whether output waits. */
uint64_t net_next_us(const struct net *n);
bool net_has_work(const struct net *n);

/* Did a device not take all of the last flush, or have no packet for it? Then another turn alone
 * changes nothing. */
bool net_is_stuck(const struct net *n);

/* ---- listeners ---- */

/* *l (zeroed but for is_v6only, shares, params, conn_flags, ext, sock) listens. 0, -EADDRINUSE,
 * -EADDRNOTAVAIL. */
MUST_CHECK int net_listen(struct net *n, struct net_listener *l, const struct ip_addr *addr,
                          uint16_t port, uint32_t backlog);

/* Stops listening: half-open records are forgotten, what was not accepted is reset. *l may go then,
 * also when a monitor's code calls. */
void net_unlisten(struct net *n, struct net_listener *l);

/* The oldest connection that waits, which then belongs to the caller, who sets c->sock at once (or
 * aborts it and calls net_conn_release); NULL when there is none. It may have died while it waited
 * (TCF_DEAD): its bytes can be read and its error is c->err, as with any other. */
struct tcp_conn *net_accept(struct net *n, struct net_listener *l);

/* The owner lets go of a connection, after tcp_close() or tcp_abort(): net/ frees it when it has
 * died. A connection belongs to an owner while c->sock >= 0 or it waits to be accepted. When it
 * dies with an owner it leaves the flow table with the next flush (the monitor hears dying() then)
 * but stays readable until this call; without one that flush frees it. c must not be used
 * afterwards. */
void net_conn_release(struct net *n, struct tcp_conn *c);

/* ---- dormant connections (tcp/dormant.h) ---- */

/* A record in the place of a connection with an owner on which nothing happens; c is no more then.
 * NULL: it has something to do, a monitor, or there is no memory. Not in the middle of a turn. */
struct tcp_dormant *net_conn_doze(struct net *n, struct tcp_conn *c);

/* The connection again, as it was; net->on_wake() has heard. A segment does this, too. NULL:
 * no memory, and it goes on being dormant. */
struct tcp_conn *net_conn_wake(struct net *n, struct tcp_dormant *d)
    __attribute__((cold, noinline));

/* Resets it, for who can't wake it; inside a monitor's code, silently. */
void net_dormant_reset(struct net *n, struct tcp_dormant *d);

/* ---- active opens ---- */

/* The two ends of an active open: local.addr unspecified: by route; local.port 0: ephemeral. */
struct net_end {
    struct ip_addr addr;
    uint16_t port;
};

/* A connection from local to remote (ephemeral ports: RFC 6056 3.3.3), in CLOSED and in the flow
 * table: the caller sets c->sock and options, then net_connect_start(). NULL with *err: ENETUNREACH
 * (no route, or no host's address), EADDRNOTAVAIL (local is not ours, or the ports are used up),
 * EADDRINUSE (this tuple exists), ENOMEM (memory or max_conns), EINVAL (remote unspecified or port
 * 0, families differ). */
struct tcp_conn *net_connect_prepare(struct net *n, const struct net_end *local,
                                     const struct net_end *remote, int *err);
void net_connect_start(struct net *n, struct tcp_conn *c);

/* Is the local address one of ours (or unspecified, or about to be ours)? Is the port free to bind?
 */
bool net_addr_is_local(const struct net *n, const struct ip_addr *a);
bool net_port_is_bound(const struct net *n, const struct ip_addr *a, uint16_t port);

/* ---- for hook_services: what a monitor may ask of a flow, whichever record it is ---- */

/* The view is tcp_flow_view() (tcp/tcp.h). A half-open record has no streams: for it set_hist and
 * set_policy do nothing, and the monitor asks again when it has moved(). */
void net_flow_set_hist(struct flow *f, bool is_rcv, uint32_t bytes);
void net_flow_set_policy(struct flow *f, bool is_rcv, enum stream_policy p);
void net_flow_reset(struct net *n, struct flow *f); /* carried out when no monitor's code runs */
void net_flow_detach(struct flow *f);
void net_flow_spare(struct flow *f, unsigned what); /* enum hook_spare */

/* Is the monitor's frame() to be called? */
void net_watch_frames(struct net *n, bool is_on);

/* A packet of a monitor's own: `len` bytes of IP at `ip` for `to`, checksums right, copied and sent
 * as they are with the next flush. `eth`: its Ethernet header, or NULL to have it made. No
 * connection takes part. 0, -EHOSTUNREACH (no route), -EMSGSIZE (the device's MTU, or
 * the path's when nobody may cut it), -ENOBUFS. */
MUST_CHECK int net_send_own(struct net *n, const struct ip_addr *to, const uint8_t *eth,
                            const uint8_t *ip, uint32_t len);

/* The same for a frame that is complete and has its interface. 0, -EMSGSIZE, -ENOBUFS. */
MUST_CHECK int net_send_frame(struct net *n, uint8_t netif, const uint8_t *frame, uint32_t len);

/* ---- counting ---- */
/* Endpoint connections: half-open, established, closing. Those in TIME_WAIT have bounds of their
 * own: compact records and monitored connections don't count. */
size_t net_n_conns(const struct net *n);

#endif

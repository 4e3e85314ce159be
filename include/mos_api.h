/*
 * The monitor: what happens on every connection, as the endpoint of this process sees it, or as two
 * hosts do when nothing of it ends here. A passive socket (MOS_SOCK_MONITOR_STREAM) is a filter and
 * a set of callbacks; each connection in its scope gets an active socket
 * (MOS_SOCK_MONITOR_STREAM_ACTIVE), the `sock` that callbacks receive, alive from MOS_ON_CONN_START
 * to the end of the last MOS_ON_CONN_END. A raw socket (MOS_SOCK_MONITOR_RAW) sees every frame.
 *
 * Sides are named by who receives: "side's stream" and "side's buffer" are the bytes that were sent
 * to that side. CLI is the host whose SYN was seen first. All stream offsets count payload bytes
 * from 0; SYN and FIN are not counted.
 *
 * The common rules of mtcp_api.h hold. Callbacks run on the owning thread, inside the blocking call
 * or mtcp_epoll_wait, before the application sees the event. In them, changes to callbacks and
 * options take effect from the next event on. `active`, `passive`, `raw` below say which sockets a
 * call is for.
 */
#ifndef MOS_API_H
#define MOS_API_H

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

/* <netinet/tcp.h> and <linux/tcp.h> exclude each other; whichever the program chose first stays. */
#if !defined(_LINUX_TCP_H) && !defined(_UAPI_LINUX_TCP_H)
#include <netinet/tcp.h>
#define _LINUX_TCP_H
#define _UAPI_LINUX_TCP_H
#endif

#include "mtcp_api.h"
#include "mtcp_epoll.h"

#ifdef __cplusplus
#define MOS_PROMISE(what) static_assert(what, #what)
#else
#define MOS_PROMISE(what) _Static_assert(what, #what)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- states ---------------------------------------------------------------------------------- */

/* Value of MOS_TCP_STATE_CLI and MOS_TCP_STATE_SVR. */
enum tcpstate {
    MOS_TCPS_CLOSED = 0,
    MOS_TCPS_LISTEN = 1,
    MOS_TCPS_SYN_SENT = 2,
    MOS_TCPS_SYN_RCVD = 3,
    MOS_TCPS_ESTABLISHED = 4,
    MOS_TCPS_FIN_WAIT_1 = 5,
    MOS_TCPS_FIN_WAIT_2 = 6,
    MOS_TCPS_CLOSE_WAIT = 7,
    MOS_TCPS_CLOSING = 8,
    MOS_TCPS_LAST_ACK = 9,
    MOS_TCPS_TIME_WAIT = 10,
};

/*
 * The names that programs use. <netinet/tcp.h> has some of them with other values; it is included
 * above so that these, being macros, win in any order of includes.
 */
#define TCP_CLOSED      MOS_TCPS_CLOSED
#define TCP_LISTEN      MOS_TCPS_LISTEN
#define TCP_SYN_SENT    MOS_TCPS_SYN_SENT
#define TCP_SYN_RCVD    MOS_TCPS_SYN_RCVD
#define TCP_ESTABLISHED MOS_TCPS_ESTABLISHED
#define TCP_FIN_WAIT_1  MOS_TCPS_FIN_WAIT_1
#define TCP_FIN_WAIT_2  MOS_TCPS_FIN_WAIT_2
#define TCP_FINE_WAIT_2 MOS_TCPS_FIN_WAIT_2 /* as mOS's manual page spells it */
#define TCP_CLOSE_WAIT  MOS_TCPS_CLOSE_WAIT
#define TCP_CLOSING     MOS_TCPS_CLOSING
#define TCP_LAST_ACK    MOS_TCPS_LAST_ACK
#define TCP_TIME_WAIT   MOS_TCPS_TIME_WAIT

/* tcpi_state of TCP_INFO keeps Linux's numbers; these are their names while the above hide them. */
enum mos_tcpi_state {
    MOS_TCPI_ESTABLISHED = 1,
    MOS_TCPI_SYN_SENT = 2,
    MOS_TCPI_SYN_RECV = 3,
    MOS_TCPI_FIN_WAIT1 = 4,
    MOS_TCPI_FIN_WAIT2 = 5,
    MOS_TCPI_TIME_WAIT = 6,
    MOS_TCPI_CLOSE = 7,
    MOS_TCPI_CLOSE_WAIT = 8,
    MOS_TCPI_LAST_ACK = 9,
    MOS_TCPI_LISTEN = 10,
    MOS_TCPI_CLOSING = 11,
};

/* ---- events, hook points, sides -------------------------------------------------------------- */

/* One bit for a built-in event, any other value for an event of mtcp_define_event. 0: none. */
typedef uint64_t event_t;

/* Several events of one packet at one hook point come lowest bit first. */
enum mos_event_type {
    MOS_NULL_EVENT = 0,
    MOS_ON_PKT_IN = 0x1,            /* SND, RCV: each packet, both directions. NULL on raw */
    MOS_ON_PKT_OUT = 0x2,           /* reserved */
    MOS_ON_CONN_START = 0x4,        /* SND (client), RCV (server): the first SYN */
    MOS_ON_CONN_SETUP = 0x8,        /* deprecated, never fires */
    MOS_ON_CONN_NEW_DATA = 0x10,    /* NULL: new in-order bytes of a side, once per turn */
    MOS_ON_ERROR = 0x20,            /* NULL: see MOS_LASTERROR */
    MOS_ON_TIMEOUT = 0x40,          /* what the callback of mtcp_settimer receives */
    MOS_ON_TCP_STATE_CHANGE = 0x80, /* SND, RCV: after each transition */
    MOS_ON_ORPHAN = 0x100,          /* NULL: a packet of no known connection */
    MOS_ON_REXMIT = 0x200,          /* RCV: payload, SYN or FIN that was seen before */
    MOS_ON_CONN_END = 0x400,        /* SND, RCV: the connection is about to be forgotten */
    MOS_ON_DEBUG_MESSAGE = 0x800,   /* reserved */
    MOS_ON_PKT_NOTABLE = 0x1000,    /* RCV: each packet that is not a plain one */
};

/* Where an event is seen: at its sender (SND), at its receiver (RCV), at neither (NULL). */
enum mtcp_hook_point {
    MOS_NULL = 1 << 29,
    MOS_HK_RCV = 1 << 30,
};
#define MOS_HK_SND ((int)(1u << 31)) /* bit 31 of the int that mtcp_register_callback takes */

enum mos_side {
    MOS_SIDE_CLI = 0,
    MOS_SIDE_SVR = 1,
    MOS_SIDE_BOTH = 2,
};

/* ---- options --------------------------------------------------------------------------------- */

/* The level of a monitor's options for mtcp_getsockopt and mtcp_setsockopt. */
#define SOL_MONSOCKET 0xfffe

/* "CLIBUF" concerns the bytes the server sent, "SVRBUF" those the client sent. */
enum mos_socket_opts {
    MOS_FRAGINFO_CLIBUF = 0x01, /* get: struct tcp_ring_fragment[]; *optlen counts elements */
    MOS_FRAGINFO_SVRBUF = 0x02,
    MOS_INFO_CLIBUF = 0x03, /* get: struct tcp_buf_info */
    MOS_INFO_SVRBUF = 0x04,
    MOS_TCP_STATE_CLI = 0x05, /* get: int, enum tcpstate */
    MOS_TCP_STATE_SVR = 0x06,
    MOS_TIMESTAMP = 0x07, /* get: uint64_t, us of the last activity, monotonic */
    MOS_CLIBUF = 0x09,    /* get, set: int, bytes kept peekable for this monitor; 0: never peeks */
    MOS_SVRBUF = 0x0a,
    MOS_STOP_MON = 0x0c,   /* set: int, enum mos_side: no further event of that side */
    MOS_CLIOVERLAP = 0x0f, /* get, set: int, enum mos_overlap_policy; belongs to the connection */
    MOS_SVROVERLAP = 0x10,
    MOS_MISSED_CLIBUF = 0x11, /* get: uint64_t, bytes that were gone before this monitor's peek */
    MOS_MISSED_SVRBUF = 0x12,
    MOS_LASTERROR = 0x13,     /* get, in MOS_ON_ERROR: int, enum mos_error */
    MOS_END_REASON = 0x14,    /* get, in MOS_ON_CONN_END: int, enum mos_end_reason */
    MOS_ENDPOINT_SOCK = 0x15, /* get: int, the endpoint's id; -1: none, or not accepted yet */
    MOS_REAL_SIDE = 0x16,     /* get: int, MOS_SIDE_CLI, MOS_SIDE_SVR; -1: both are emulated */
    MOS_NOW = 0x17,           /* get: uint64_t, us: the clock of MOS_TIMESTAMP now */
    MOS_TRAFFIC_CLI = 0x18,   /* get: struct mos_traffic, what that side sent */
    MOS_TRAFFIC_SVR = 0x19,
};

/* Which of two differing copies of a byte is kept, as long as it is not in order yet. */
enum mos_overlap_policy {
    MOS_OVERLAP_POLICY_FIRST = 0,
    MOS_OVERLAP_POLICY_LAST = 1,
    MOS_OVERLAP_CNT = 2, /* how many there are */
};

enum mos_error {
    MOS_ERROR_NONE = 0,
    MOS_ERROR_OVERRUN = 1,       /* bytes this monitor has not peeked are about to go */
    MOS_ERROR_BEYOND_WINDOW = 2, /* data lies beyond the receiver's window */
    MOS_ERROR_INCONSISTENT = 3,  /* two copies of a byte differ */
};

enum mos_end_reason {
    MOS_END_NONE = 0,
    MOS_END_FIN = 1,
    MOS_END_RST_IN = 2, /* without an endpoint: of either host */
    MOS_END_RST_OUT = 3,
    MOS_END_TIMEOUT = 4,
    MOS_END_ABORT = 5,            /* by the application; without an endpoint: the context ended */
    MOS_END_EVICTED = 6,          /* its (TIME_WAIT) record made room for another */
    MOS_END_RESET_BY_MONITOR = 7, /* mtcp_reset_conn */
};

/*
 * Value of MOS_INFO_CLIBUF and MOS_INFO_SVRBUF: TCP sequence numbers as on the wire (mod 2^32),
 * each the first one NOT covered. next - read: bytes the application has yet to read. received >
 * next: something arrived out of order.
 */
struct tcp_buf_info {
    uint32_t tcpbi_init_seq;           /* of the first payload byte: ISN + 1 */
    uint32_t tcpbi_last_byte_read;     /* end of what the application has read */
    uint32_t tcpbi_next_byte_expected; /* end of the in-order bytes */
    uint32_t tcpbi_last_byte_received; /* end of all stored bytes */
};
MOS_PROMISE(sizeof(struct tcp_buf_info) == 16);
MOS_PROMISE(offsetof(struct tcp_buf_info, tcpbi_last_byte_received) == 12);

/*
 * Value of MOS_TRAFFIC_CLI and MOS_TRAFFIC_SVR: what one side sent, of packets that came to the
 * other. Counted on connections where a monitor had a callback of MOS_ON_PKT_NOTABLE when they
 * began; in that callback without the packet it is about. Plain packets are those for which it does
 * not fire.
 */
struct mos_traffic {
    uint64_t packets;       /* all, what was refused or sent again too */
    uint64_t ip_bytes;      /* of IP, with headers */
    uint64_t payload_bytes; /* of payload, as often as it was sent */
    uint64_t plain_packets; /* of these packets, the plain ones; each goes on where the last ended */
    uint64_t plain_bytes;   /* payload of these */
    uint64_t last_us;       /* when the last came, on the clock of MOS_TIMESTAMP */
    uint64_t rtt_n;         /* round trips to this side and back that were timed */
    uint64_t rtt_sum_us;    /* ... and all of them together */
    uint32_t rtt_us;        /* ... smoothed */
    uint32_t rtt_min_us;
    uint32_t rtt_max_us;
    uint32_t next_seq; /* sequence number after the last byte it is known to have sent */
    uint32_t ack_seq;  /* up to where it has acknowledged */
    uint16_t window;   /* of its last packet that was not refused, as on the wire */
};
MOS_PROMISE(offsetof(struct mos_traffic, window) == 84);

/* Value of MOS_FRAGINFO_*BUF: a maximal run of stored bytes; mtcp_ppeek takes it as it is. */
struct tcp_ring_fragment {
    uint64_t offset; /* stream offset of its first byte */
    uint32_t len;    /* bytes */
};
MOS_PROMISE(sizeof(struct tcp_ring_fragment) == 16);
MOS_PROMISE(offsetof(struct tcp_ring_fragment, len) == 8);

/* ---- packets --------------------------------------------------------------------------------- */

/* `option` of mtcp_setlastpkt: one action, one place (not with MOS_DROP), any of the checksums. */
#define MOS_ETH_HDR           (1 << 0) /* place: the Ethernet header */
#define MOS_IP_HDR            (1 << 1) /* place: the IP header with what extends it */
#define MOS_TCP_HDR           (1 << 2) /* place: the TCP header with its options */
#define MOS_TCP_PAYLOAD       (1 << 3) /* place: the payload */
#define MOS_UPDATE_IP_CHKSUM  (1 << 4) /* recompute the IPv4 header checksum after the change */
#define MOS_UPDATE_TCP_CHKSUM (1 << 5) /* recompute the TCP checksum after the change */
#define MOS_DROP              (1 << 6) /* action: the packet never existed */
#define MOS_OVERWRITE         (1 << 7) /* action: replace datalen bytes */
#define MOS_CHOMP             (1 << 8) /* action: remove datalen bytes */
#define MOS_INSERT            (1 << 9) /* action: insert datalen bytes */

/*
 * A packet: numbers in host byte order, headers in place (in network byte order). Of a raw socket
 * only cur_ts, in_ifidx, eth_len, ip_len, ethh and iph have a meaning, the rest is 0 and NULL.
 */
struct pkt_info {
    uint32_t cur_ts;     /* when it was received or built, us, wraps */
    int8_t in_ifidx;     /* index of the device it came from; -1: built here */
    uint16_t eth_len;    /* bytes of the frame with its Ethernet header; at most 65535 is said */
    uint16_t ip_len;     /* bytes of the IP packet with its header; 0: there is none */
    uint64_t offset;     /* stream offset of its first payload byte */
    uint16_t payloadlen; /* bytes of payload */
    uint32_t seq;
    uint32_t ack_seq;
    uint16_t window;     /* as on the wire, not scaled */
    struct ethhdr *ethh; /* NULL when the device has no Ethernet header */
    struct iphdr *iph;   /* of either version: look at iph->version, 6 means a struct ip6_hdr. NULL:
                            no whole header of IP */
    struct tcphdr *tcph;
    uint8_t *payload;
};
/* Bytes of the numbers, before the pointers. */
#define PKT_INFO_LEN offsetof(struct pkt_info, ethh)

/* A packet on its way through: the form that bulk handlers of mOS know. */
struct pkt_ctx {
    struct pkt_info p;
    int8_t direction;   /* side that sent it: MOS_SIDE_CLI, MOS_SIDE_SVR */
    uint8_t forward;    /* 0: dropped, 1: goes on */
    int8_t out_ifidx;   /* index of the device it leaves by; -1: none */
    int8_t batch_index; /* its place in the receive burst */
};
MOS_PROMISE(offsetof(struct pkt_info, in_ifidx) == 4);
MOS_PROMISE(offsetof(struct pkt_info, eth_len) == 6);
MOS_PROMISE(offsetof(struct pkt_info, ip_len) == 8);
MOS_PROMISE(offsetof(struct pkt_info, offset) == 16);
MOS_PROMISE(offsetof(struct pkt_info, payloadlen) == 24);
MOS_PROMISE(offsetof(struct pkt_info, seq) == 28);
MOS_PROMISE(offsetof(struct pkt_info, ack_seq) == 32);
MOS_PROMISE(offsetof(struct pkt_info, window) == 36);
MOS_PROMISE(PKT_INFO_LEN == 40);
MOS_PROMISE(offsetof(struct pkt_info, payload) == 40 + 3 * sizeof(void *));
MOS_PROMISE(offsetof(struct pkt_ctx, direction) == 40 + 4 * sizeof(void *));
MOS_PROMISE(offsetof(struct pkt_ctx, batch_index) == 43 + 4 * sizeof(void *));

/* ---- scope and callbacks --------------------------------------------------------------------- */

/* What an event's filter looks at beside the connection: the definition's copy of the bytes, for
 * all threads and not to be written to. NULL and 0 when there are none: of built-in events, of those
 * of mtcp_alloc_event, in timers. */
typedef struct filter_arg {
    void *arg;
    size_t len; /* bytes at arg */
} filter_arg_t;

/*
 * A callback: `sock` is the active (or raw) socket, or the id of a timer; `side` the side it
 * concerns: MOS_SIDE_CLI, MOS_SIDE_SVR, or MOS_SIDE_BOTH on raw sockets and for timers.
 */
typedef void (*callback_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/*
 * The condition of a user-defined event, which `event` is. Runs when the event's base has fired, at
 * most once per socket, hook point and side, and only if a callback of this event or of one below it
 * is registered there. False: neither it nor any below it fires. It may do what a callback may.
 */
typedef bool (*filter_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/* Scope of a monitor, in pcap-filter(7)'s language; NULL: everything. */
union monitor_filter {
    char *raw_pkt_filter; /* raw: asked for each frame */
    __extension__ struct {
        char *stream_syn_filter;    /* passive: asked once per connection, for its first SYN */
        char *stream_orphan_filter; /* passive: asked for each packet of no known connection */
    };
};
typedef union monitor_filter *monitor_filter_t;
MOS_PROMISE(sizeof(union monitor_filter) == 2 * sizeof(char *));

/*
 * Set the scope of a passive or raw monitor, for what begins after. The strings are copied. Does
 * not block.
 *
 *   ft       the filter; NULL: everything
 *   returns  0, or -1 and the scope is as before
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EINVAL syntax of a filter; ENOMEM
 *   source   mOS
 */
int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t ft);

/*
 * Call `cb` when `event` fires at `hook_point`; replaces the callback of that pair. On a passive
 * socket: for its connections that begin later; on an active one: for that connection alone. Any
 * monitor socket. Does not block.
 *
 *   event       one built-in event or one of mtcp_define_event, mtcp_alloc_event
 *   hook_point  MOS_HK_SND, MOS_HK_RCV or MOS_NULL
 *   cb          NULL: deregister
 *   returns     0 or -1
 *   errors      EACCES; EPERM; EBADF; ENOTSOCK; EINVAL no such event, or it can't fire at that
 *               hook point or on such a socket; ENOMEM
 *   source      mOS
 */
int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook_point, callback_t cb);

/*
 * Take a callback back. Does not block. Any monitor socket.
 *
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EINVAL a pair that can't fire; ENOENT no callback
 *            there; ENOMEM the system has no memory (the context's budget does not count)
 *   source   mOS
 */
int mtcp_unregister_callback(mctx_t mctx, int sock, event_t event, int hook_point);

/*
 * Define an event that fires when `base` fires and `filter` is true. It is registered at the hook
 * points of the built-in event it comes from. A base fires before what is defined on it, that in
 * order of definition. For the whole process and its lifetime; equal (base, filter, bytes of arg)
 * give the same event. Any thread. Does not block.
 *
 *   base     a built-in event with a hook point, or a user-defined one
 *   arg      handed to the filter and the callbacks; its bytes are copied. NULL: none
 *   returns  the event, or 0
 *   errors   EINVAL base; EFAULT filter is NULL, or arg->arg with arg->len > 0; ENOMEM
 *   source   mOS
 */
event_t mtcp_define_event(event_t base, filter_t filter, struct filter_arg *arg);

/*
 * Create an event that fires only when the filter or a callback of `parent` raises it: another one
 * at each call. For the whole process and its lifetime. Any thread. Does not block.
 *
 *   parent   a built-in event with a hook point, or a user-defined one
 *   returns  the event, or 0
 *   errors   EINVAL parent; ENOMEM
 *   source   mOS
 */
event_t mtcp_alloc_event(event_t parent);

/*
 * Let an event fire, for the socket, hook point and side whose filter or callback is running: after
 * that, in order of definition, once however often it is raised. Not if the filter then says false.
 * Does not block.
 *
 *   child    an event of mtcp_alloc_event whose parent's filter or callback is running
 *   returns  0, also if nobody has registered for it; or -1
 *   errors   EACCES; EPERM not inside the filter or callback of an event; EINVAL not a child of that
 *            event, or one that has a filter; ENOMEM
 *   source   mOS
 */
int mtcp_raise_event(mctx_t mctx, event_t child);

/*
 * Keep one pointer with a monitor socket, shared by both sides; NULL on a new active socket.
 * Active, passive, raw. Does not block. The stack never looks at it nor frees it: free it in the
 * last MOS_ON_CONN_END, or before MOS_STOP_MON with MOS_SIDE_BOTH.
 *
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK (through errno)
 *   source   mOS
 */
void mtcp_set_uctx(mctx_t mctx, int sock, void *uctx);

/*
 * Read the pointer of mtcp_set_uctx. Active, passive, raw. Does not block.
 *
 *   returns  the pointer; NULL also on failure: then errno is set
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK
 *   source   mOS
 */
void *mtcp_get_uctx(mctx_t mctx, int sock);

/*
 * Find the passive socket that an active one was made for. Active. Does not block.
 *
 *   returns  its id or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK
 *   source   ours
 */
int mtcp_get_passive(mctx_t mctx, int sock);

/* ---- bytes ----------------------------------------------------------------------------------- */

/*
 * Copy in-order bytes of a side's stream from this monitor's own offset on, and move the offset.
 * Never blocks, never takes a byte from the application. Active.
 *
 *   side     MOS_SIDE_CLI, MOS_SIDE_SVR
 *   buf      receives up to len bytes
 *   returns  bytes copied (0 only with len 0); -1; or, with ENODATA, minus the number of bytes that
 *            were gone before this monitor peeked them: then the offset has moved to the oldest
 *            byte kept and the next call goes on there. MOS_MISSED_*BUF tells a loss of 1 byte
 *            from -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL side, or this monitor has set the
 *            side's buffer to 0; ENODATA nothing new, or a hole comes next
 *   source   mOS
 */
ssize_t mtcp_peek(mctx_t mctx, int sock, int side, char *buf, size_t len);

/*
 * Copy bytes from any stream offset, out-of-order runs included; moves nothing. Never blocks.
 * Active.
 *
 *   buf      receives up to len bytes, none beyond the end of the run that holds `off`
 *   off      stream offset: 0 is the first payload byte
 *   returns  bytes copied (0 only with len 0) or -1
 *   errors   EACCES; EPERM; EBADF; ESOCKTNOSUPPORT not an active socket; EFAULT; EINVAL side, or
 *            this monitor has set the side's buffer to 0; ENODATA no byte is stored at off
 *   source   mOS
 */
ssize_t mtcp_ppeek(mctx_t mctx, int sock, int side, char *buf, size_t len, uint64_t off);

/*
 * mtcp_peek without the copy: where the new in-order bytes are. Moves nothing. Never blocks.
 * Active.
 *
 *   iov      receives one or two pieces, the first byte first; unused ones get length 0. Read-only,
 *            valid until the callback returns
 *   returns  the bytes in both; or as mtcp_peek -1, or minus the bytes missed
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL side, or this monitor has set the
 *            side's buffer to 0; ENODATA nothing new, or a hole comes next
 *   source   ours
 */
ssize_t mtcp_peek_iov(mctx_t mctx, int sock, int side, struct iovec iov[2]);

/*
 * Move this monitor's offset over bytes that mtcp_peek_iov has shown. Never blocks. Active.
 *
 *   len      bytes; no more than are there in order
 *   returns  len or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EINVAL side, len, or this monitor has set the side's
 *            buffer to 0
 *   source   ours
 */
ssize_t mtcp_peek_consume(mctx_t mctx, int sock, int side, size_t len);

/* ---- packets --------------------------------------------------------------------------------- */

/*
 * Look at the packet of the current callback, in place; a frame that lies in pieces is put together
 * first. Does not block. Active, raw; passive in MOS_ON_ORPHAN.
 *
 *   side     MOS_SIDE_CLI, MOS_SIDE_SVR: the same packet; ignored on raw and passive sockets
 *   p        filled; its pointers are valid until the callback returns
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL side; ENODATA no packet's callback is
 *            running, or it is about another connection, or the packet was not kept (SYN cookie)
 *   source   mOS
 */
int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *p);

/*
 * Drop or change the packet of the current callback; on a connection of this process's endpoint
 * only in MOS_ON_PKT_IN at MOS_HK_SND, before any TCP state moves. There incoming packets can have
 * their payload overwritten, and headers of both directions be changed as long as it stays the same
 * segment of the same connection. Between two devices payload can be put in and taken out as well,
 * and the connection goes on: see mtcp_setlastpkt(3). Does not block. Active; on a raw socket it
 * fails with EPERM, because connections' monitors are asked.
 *
 *   side     as mtcp_getlastpkt
 *   offset   bytes from the start of the place that `option` names, within which it stays
 *   data     datalen bytes; NULL with MOS_CHOMP and MOS_DROP
 *   option   one of MOS_DROP, MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT; without MOS_DROP one of
 *            MOS_ETH_HDR, MOS_IP_HDR, MOS_TCP_HDR, MOS_TCP_PAYLOAD; and MOS_UPDATE_IP_CHKSUM,
 *            MOS_UPDATE_TCP_CHKSUM as wanted. Lengths in headers are kept right
 *   returns  0 or -1 with the packet as it was
 *   errors   EACCES; EPERM also a change that the connection does not allow, or not in this
 *            callback; EALREADY bytes that were forwarded before, or that lie before such; ENOBUFS
 *            too many changes that are not acknowledged; EBADF; ENOTSOCK; EFAULT; EINVAL option, side, bytes beyond the place,
 *            a header or a frame of impossible length; ENODATA no packet's callback is running, or
 *            the packet was not kept (SYN cookie); ENOMEM
 *   source   mOS
 */
int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset, byte *data, uint16_t datalen,
                    int option);

/*
 * Send a packet as built: ports, numbers, flags, options and payload untouched, checksums filled.
 * Copied; leaves at the end of the turn, at most once, by the route of its destination. Raw
 * monitors see it, connections and their monitors do not. Does not block. Active, raw.
 *
 *   pkt      iph, tcph and payload with payloadlen are used, and ethh: NULL, or with a destination
 *            of zeros, it is filled in
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT pkt, or what is needed of it, is NULL; EINVAL
 *            the headers contradict each other; EMSGSIZE larger than the device's MTU, or the
 *            path's and not to be cut on the way; EHOSTUNREACH no route, or the destination is no
 *            host; ENOBUFS
 *   source   mOS
 */
int mtcp_sendpkt(mctx_t mctx, int sock, const struct pkt_info *pkt);

/*
 * End a connection. Of this process's endpoint: RST to the peer, what the application has not read
 * is discarded, it gets ECONNRESET and no further byte. Between two devices: RST to both hosts, the
 * packet in hand goes no further. Legal in every callback. Does not block. Active.
 *
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EOPNOTSUPP nothing is forwarded here;
 *            ENOTCONN it is over
 *   source   ours
 */
int mtcp_reset_conn(mctx_t mctx, int sock);

/* ---- time ------------------------------------------------------------------------------------ */

/*
 * Call `cb` once after `timeout`, on the owning thread and before the application's events of that
 * turn: with `id` as its sock, MOS_SIDE_BOTH, MOS_ON_TIMEOUT and an empty arg. Replaces a timer of
 * that id that runs. Never early; in the order of time, then of setting. Gone with the context.
 * Does not block.
 *
 *   id       any number, of this context; usually a socket's id
 *   timeout  seconds and microseconds from now, monotonic; 0: in the next turn
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EFAULT; EINVAL a negative time, or 1,000,000 us and more; ENOMEM
 *   source   mOS
 */
int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout, callback_t cb);

/*
 * Cancel the timer of an id, which then does not fire any more, also when it is due already. Does
 * not block.
 *
 *   returns  0 or -1
 *   errors   EACCES; EPERM; ENOENT none runs
 *   source   ours
 */
int mtcp_canceltimer(mctx_t mctx, int id);

/*
 * Read the clock of the current turn. Does not block.
 *
 *   returns  microseconds, monotonic; wraps after 71 minutes (MOS_TIMESTAMP has 64 bits). 0 with
 *            errno on failure
 *   errors   EACCES; EPERM
 *   source   mOS
 */
uint32_t mtcp_cb_get_ts(mctx_t mctx);

/* ---- plugins --------------------------------------------------------------------------------- */

/*
 * What a monitor in a shared object defines; the library calls it once per context, on its thread,
 * before the first packet. Named by a `monitor` section of the configuration. Calls that would run
 * the loop, or end the context, fail with EDEADLK.
 *
 *   args     the section's args; a string, never NULL
 *   returns  0; anything else: mtcp_create_context fails
 *   errors   none of the library's: leave errno for the message
 *   source   ours
 */
int mos_monitor_init(mctx_t mctx, const char *args);

/*
 * What it may define: called once per context before the context ends. Its sockets still answer.
 *
 *   errors   none
 *   source   ours
 */
void mos_monitor_fini(mctx_t mctx);

#undef MOS_PROMISE

#ifdef __cplusplus
}
#endif

#endif

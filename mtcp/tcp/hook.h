/*
 * The monitor's window into the endpoint, and the only header of tcp/ that a monitor includes.
 *
 *   struct tcp_hooks      into the monitor: what happens to connections, as it happens
 *   struct hook_services  for the monitor: what it may ask of the endpoint
 *
 * The endpoint never names a monitor: it finds one through hook_monitor, a weak symbol that is NULL
 * when no monitor is linked in. An unmonitored connection (handle NULL) pays one branch.
 *
 * Hooks run on the owning thread in the middle of input or output and before the application's
 * event. They observe; the one decision is the verdict of pkt(), asked before any TCP state moves.
 * While a hook runs nothing is freed: what a callback closes, aborts or resets is marked and torn
 * down after the current packet (DESIGN.md section 7).
 *
 * Order of one incoming segment:   pkt(IN) [state()* error()*] pkt_done(IN), with the same hook_seg
 * Order of one outgoing segment:   pkt(OUT) pkt_done(OUT)       (state() came when the cause came)
 * Of either when it is spared:     data()
 * Order of one turn: receive burst, the endpoint's timers, timers(), turn(HOOK_TURN_INPUT), output
 *                    flush, turn(HOOK_TURN_OUTPUT), then the application's events.
 */
#ifndef MTCP_TCP_HOOK_H
#define MTCP_TCP_HOOK_H

#include "mtcp/base/hash.h"
#include "mtcp/base/stream.h"
#include "mtcp/wire/addr.h"
#include "mtcp/wire/parse.h"
#include "mtcp/wire/seg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct mtcp_context;
struct flow;

enum hook_dir { HOOK_IN, HOOK_OUT };
/* HOOK_CHANGED: the packet passes as the hook_seg and its frame say now. A monitor writes the frame
 * in place, and sets frame_len and seg (what the parser makes of it, valid until pkt_done());
 * headers may be longer or shorter then. Never changed: addresses and ports, sequence and
 * acknowledgement number, SYN, FIN, RST and ACK, SACK blocks, timestamps, the number of payload
 * bytes; of what goes out no byte of payload and no length. */
enum hook_verdict { HOOK_PASS, HOOK_DROP, HOOK_CHANGED };
enum hook_error { HOOK_OVERRUN = 1, HOOK_BEYOND_WINDOW = 2, HOOK_INCONSISTENT = 3 };
enum hook_phase { HOOK_TURN_INPUT, HOOK_TURN_OUTPUT };

/* What a monitor need not be told of a connection (hook_services.spare); new records spare nothing.
 */
enum hook_spare {
    /* Segments that make no state move: neither pkt() nor pkt_done(), but data() when there is
     * payload. Those with SYN, FIN or RST come in any case, and those that may bring an early FIN's
     * turn. */
    HOOK_SPARE_SEGS = 1 << 0,
    HOOK_SPARE_DATA = 1 << 1, /* no data(), and no HOOK_OVERRUN */
};

/* Why a connection ended (MOS_END_REASON has the same values). */
enum hook_end {
    HOOK_END_FIN = 1,
    HOOK_END_RST_IN,
    HOOK_END_RST_OUT,
    HOOK_END_TIMEOUT,
    HOOK_END_ABORT,
    HOOK_END_EVICTED,
    HOOK_END_RESET_BY_MONITOR,
};

/* A connection as it is now, whichever record holds it. Filled by hook_services.view(). */
struct tcp_flow_view {
    struct flow_tuple tuple;
    tcp_seq_t local_isn, remote_isn;
    bool has_local_isn, has_remote_isn;
    bool local_is_cli; /* this host sent the first SYN seen */
    uint8_t state;     /* of the local (real) side, enum tcpstate */
    int sock;          /* the endpoint's socket id; -1: not accepted yet, or closed */
    /* What the local side receives and sends; NULL while the record has none (half-open). */
    const struct stream *rcv, *snd;
    uint64_t snd_max;    /* one past the highest data offset ever passed out */
    bool snd_fin_passed; /* our FIN was passed out (its offset: stream_end(snd)) */
    bool snd_fin_acked;  /* ... and acknowledged */
    bool rcv_fin;        /* the peer's FIN was taken in order */
    uint64_t last_active_us;
};

/* The streams alone: as in tcp_flow_view, which is much more. */
struct hook_streams {
    const struct stream *rcv, *snd;
    uint64_t snd_max;
};

/* A segment at a hook. */
struct hook_seg {
    enum hook_dir dir;
    const struct seg *seg;
    uint8_t *frame; /* NULL: the frame lies in pieces or there is none */
    uint32_t frame_len;
    uint32_t frame_room; /* bytes that a changed frame may have; 0: it is not to be changed */
    uint16_t l3_off, l4_off;
    uint8_t netif;
    bool accepted;   /* IN: the segment passed the acceptability checks and will move TCP state */
    bool rexmit;     /* OUT: some of it was passed out before. IN: left to the monitor, see off */
    bool is_rebuilt; /* a SYN or SYN-ACK put together again from a SYN cookie: there is no frame */
    bool ip_csum_due, tcp_csum_due; /* OUT: the device fills it in */
    bool has_off;                   /* the ISN of the sender is known, so off is valid */
    tcp_off_t off;    /* stream offset of the first payload byte (SYN counted as -1) */
    uint16_t cut_len; /* of a wire, changed: bytes of IP in each packet it is cut into, at most */
    uint64_t now_us;
};

struct tcp_hooks {
    /* The first SYN of a connection, in or out, before any record of it moved: the verdict step.
     * HOOK_DROP: the packet never was, nor the connection. *handle is what pkt() and the others
     * get; left NULL when no monitor wants the connection. */
    enum hook_verdict (*born)(void *mon, struct hook_seg *s, struct flow *flow, void **handle);
    /* A segment of a monitored connection (the first SYN too, right after born()). For the first
     * SYN the verdict was given and is not asked again. */
    enum hook_verdict (*pkt)(void *mon, void *handle, struct hook_seg *s);
    /* The receiver of that segment has been updated. */
    void (*pkt_done)(void *mon, void *handle, const struct hook_seg *s);
    /* A segment that was spared brings payload, to the local side or from it. */
    void (*data)(void *mon, void *handle, enum hook_dir dir);
    /* The local side's state machine moved. */
    void (*state)(void *mon, void *handle, uint8_t from, uint8_t to);
    /* HOOK_OVERRUN: bytes [from, to) of the local receive (is_rcv) or send stream are about to be
     * overwritten; the others: where the offending bytes lie. */
    void (*error)(void *mon, void *handle, enum hook_error kind, bool is_rcv, uint64_t from,
                  uint64_t to);
    /* The record changed: half-open to connection, connection to TIME_WAIT. */
    void (*moved)(void *mon, void *handle, struct flow *flow);
    /* The last call for this handle; the flow is readable until it returns. */
    void (*dying)(void *mon, void *handle, enum hook_end reason);
    /* A packet of no known connection (seg NULL in `s` when it is not TCP). */
    void (*orphan)(void *mon, const struct hook_seg *s, const struct packet *p);
    /* A frame of a device, each once (seg NULL): in, before it is looked at; out, when it is
     * complete. Only while watch_frames() wants it. */
    void (*frame)(void *mon, const struct hook_seg *f);
    /* A packet between two other hosts (no endpoint is here): of a connection, whose every event it
     * brings, or an orphan. HOOK_DROP: it is not forwarded. HOOK_CHANGED: what goes on is s->frame,
     * which may lie elsewhere then (until the next call) and be longer than a packet: see cut_len.
     * Numbers and payload may have changed too. */
    enum hook_verdict (*wire)(void *mon, struct hook_seg *s, const struct packet *p);
    void (*turn)(void *mon, enum hook_phase phase);
    /* Once per turn, for timers of the monitor's own; and when the next of them is due, so that a
     * sleeping loop wakes up for it: 0: at once, UINT64_MAX: none runs. Both or neither. */
    void (*timers)(void *mon, uint64_t now_us);
    uint64_t (*next_us)(void *mon);
};

/* What the sockets of a monitor do when the public calls that exist for every socket reach them.
 * Each returns as the public call does: -1 and errno. `arg` is the id's own argument. */
struct hook_sock_ops {
    int (*getsockopt)(void *arg, int sock, int level, int name, void *val, socklen_t *len);
    int (*setsockopt)(void *arg, int sock, int level, int name, const void *val, socklen_t len);
    int (*getpeername)(void *arg, int sock, struct sockaddr *addr, socklen_t *len, int side);
    int (*close)(void *arg, int sock);
};

/* How a monitor without an endpoint keeps its connections. */
struct hook_wire_conf {
    bool forwards; /* every packet goes through here; else some may be missing, as in a capture */
    uint32_t max_conns, max_buffer_bytes; /* of one stream */
    uint64_t idle_us, tw_us;              /* idle 0: for ever */
    struct hash_key key;
};

struct hook_services {
    /* Fills *v from whichever record the flow is. */
    void (*view)(struct mtcp_context *ctx, const struct flow *flow, struct tcp_flow_view *v);
    void (*streams)(struct mtcp_context *ctx, const struct flow *flow, struct hook_streams *s);
    /* What is spared from now on, of this record: enum hook_spare. */
    void (*spare)(struct mtcp_context *ctx, struct flow *flow, unsigned what);
    /* How many consumed bytes of a stream stay stored; takes effect when no hook runs. */
    void (*set_hist)(struct mtcp_context *ctx, struct flow *flow, bool is_rcv, uint32_t bytes);
    void (*set_policy)(struct mtcp_context *ctx, struct flow *flow, bool is_rcv,
                       enum stream_policy p);
    /* RST out, unread bytes discarded, the application gets ECONNRESET; after the current hook. */
    void (*reset)(struct mtcp_context *ctx, struct flow *flow);
    /* The monitor wants no more of this connection: its handle is NULL from now on. */
    void (*detach)(struct mtcp_context *ctx, struct flow *flow);
    /* Sends an IP packet of the monitor's own as it is, at the end of the turn. `eth`: 14 bytes in
     * front of it, NULL: made. Copied. 0, -EHOSTUNREACH, -EMSGSIZE, -ENOBUFS. */
    int (*send)(struct mtcp_context *ctx, const struct ip_addr *to, const uint8_t *eth,
                const uint8_t *ip, uint32_t len);
    /* Between two devices: sends a frame out of an interface as it is, at the end of the turn.
     * Copied. 0, -EMSGSIZE, -ENOBUFS. */
    int (*send_frame)(struct mtcp_context *ctx, uint8_t netif, const uint8_t *frame, uint32_t len);
    /* Is frame() to be called? */
    void (*watch_frames)(struct mtcp_context *ctx, bool is_on);
    /* Socket ids above the endpoint's, with a generation. -1: the budget is used up. */
    int (*sock_alloc)(struct mtcp_context *ctx, int type, const struct hook_sock_ops *ops,
                      void *arg);
    void (*sock_free)(struct mtcp_context *ctx, int sock);
    /* The argument given at sock_alloc and the socket's type (MOS_SOCK_*); NULL: not a monitor's
     * socket, with *type then the type of the socket that has this id, or -1. */
    void *(*sock_arg)(struct mtcp_context *ctx, int sock, int *type);
    void (*wire_conf)(struct mtcp_context *ctx, struct hook_wire_conf *conf);
    /* The clock of this turn; the clock read now. */
    uint64_t (*now_us)(struct mtcp_context *ctx);
    uint64_t (*clock_us)(struct mtcp_context *ctx);
    struct mem *(*mem)(struct mtcp_context *ctx);
    /* A line for who reads the log. */
    void (*warn)(struct mtcp_context *ctx, const char *line);
    /* Is this handle valid and owned by the calling thread? 0, -EACCES, -EPERM. */
    int (*check)(struct mtcp_context *ctx);
    /* Between begin and end user code runs: calls that would run the loop fail with EDEADLK. */
    void (*user_begin)(struct mtcp_context *ctx);
    void (*user_end)(struct mtcp_context *ctx);
};

/* A monitor module: one per program, found by the weak symbol below. */
struct hook_monitor {
    /* A monitor for one context, with the hooks it wants called; NULL and errno on failure. Called
     * with the first monitor socket (or plugin) of the context. */
    void *(*attach)(struct mtcp_context *ctx, const struct hook_services *sv,
                    const struct tcp_hooks **hooks);
    void (*detach)(void *mon);
    /* mtcp_socket() of a monitor type: the new socket's id, or -1 and errno. */
    int (*socket)(void *mon, int domain, int type);
    /* A `monitor` section of the configuration: 0, or -1 with errno and one line in err. */
    int (*plugin_load)(void *mon, const char *path, const char *args, char *err, size_t err_len);
};

extern const struct hook_monitor hook_monitor __attribute__((weak));

/* The monitor of a context, or NULL with errno as `check` gives it. Attaches it on first use, NULL
 * and ENOMEM when it can't. For the monitor's own public calls. (core/) */
void *hook_monitor_of(struct mtcp_context *ctx);

#endif

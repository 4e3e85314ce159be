/*
 * One TCP connection's control block, and what all connections of a context share. No sockets, no
 * devices, no clock: time, randomness and memory come through struct tcp_env.
 *
 * Offsets: everything after the edges of input.c and output.c counts in 64-bit stream offsets
 * (tcp_off_t: 0 = first payload byte, -1 = SYN, FIN = offset after the last byte).
 *
 * An idle connection holds no buffers and no `flight`; the whole block is bounded by an assertion.
 */
#ifndef MTCP_TCP_CONN_H
#define MTCP_TCP_CONN_H

#include "mtcp/base/hash.h"
#include "mtcp/base/list.h"
#include "mtcp/base/mem.h"
#include "mtcp/base/rng.h"
#include "mtcp/base/stream.h"
#include "mtcp/base/wheel.h"
#include "mtcp/tcp/flow.h"
#include "mtcp/tcp/hook.h"
#include "mtcp/wire/seg.h"

#include <stdbool.h>
#include <stdint.h>

/* The numbers of enum tcpstate in mos_api.h. */
enum tcp_state {
    TCPS_CLOSED,
    TCPS_LISTEN,
    TCPS_SYN_SENT,
    TCPS_SYN_RCVD,
    TCPS_ESTABLISHED,
    TCPS_FIN_WAIT_1,
    TCPS_FIN_WAIT_2,
    TCPS_CLOSE_WAIT,
    TCPS_CLOSING,
    TCPS_LAST_ACK,
    TCPS_TIME_WAIT,
    TCPS_N
};

/* Kinds of struct timer in the context's wheel. */
enum tcp_timer_kind { TIMER_CONN, TIMER_HALF_OPEN, TIMER_OTHER };

struct tcp_conn;
struct tcp_flight; /* recovery.h: what is known of data in flight */

/* Congestion control: cwnd and ssthresh in bytes, written by nobody else (cc_*.c, recovery.c). */
struct tcp_cc_ack {
    uint32_t acked_bytes;  /* newly acknowledged, cumulatively or by SACK */
    uint32_t flight_bytes; /* in flight before this ACK */
    uint32_t rtt_us;       /* this ACK's sample; 0: none */
    bool cwnd_limited;     /* the window was the limit since the last ACK */
};

struct tcp_cc_ops {
    const char *name;
    void (*init)(struct tcp_conn *c);
    void (*acked)(struct tcp_conn *c, const struct tcp_cc_ack *a, uint64_t now_us);
    uint32_t (*ssthresh)(struct tcp_conn *c, uint64_t now_us); /* on loss: the new ssthresh */
    void (*rto)(struct tcp_conn *c, uint64_t now_us);          /* after cwnd went to one segment */
    void (*idle)(struct tcp_conn *c, uint64_t now_us, uint32_t idle_us); /* restart after idle */
};

extern const struct tcp_cc_ops tcp_cc_cubic, tcp_cc_newreno;
#define TCP_CC_N 2
extern const struct tcp_cc_ops *const tcp_cc_all[TCP_CC_N];
const struct tcp_cc_ops *tcp_cc_find(const char *name); /* NULL: none of that name */

/* Defaults for new connections; from the configuration. Times in microseconds. */
struct tcp_params {
    uint32_t rcvbuf, sndbuf;         /* bytes */
    uint32_t rcvbuf_max, sndbuf_max; /* up to which they grow by themselves; not above: fixed */
    uint32_t tw_us, fin_wait2_us;
    uint32_t min_rto_us, max_rto_us, init_rto_us, delack_us;
    uint8_t syn_retries, synack_retries, data_retries, orphan_retries;
    uint8_t init_cwnd;    /* segments */
    uint8_t min_tso_segs; /* segments, at least, in one frame for the device to cut */
    bool timestamps, sack, wscale;
    bool idle_restart; /* cwnd starts anew after an idle time (RFC 5681 4.1) */
    uint8_t ecn;       /* as Linux's tcp_ecn: 0 never, 1 ask for it and agree to it, 2 agree only */
    uint32_t max_orphans;       /* connections without a socket; 0: no limit */
    uint64_t idle_timeout_us;   /* 0: idle connections live for ever */
    uint64_t fastopen_pause_us; /* after a black hole at first; 0: none (fastopen.h) */
    const struct tcp_cc_ops *cc;
};

struct tcp_stats {
    uint64_t segs_in, segs_out, bytes_in, bytes_out;
    uint64_t conns_opened, conns_accepted, conns_closed, conns_reset_in, conns_reset_out,
        conns_timed_out;
    uint64_t rexmit_segs, rexmit_fast, rto, undone, dup_acks_in, ooo_in, dup_bytes_in,
        out_of_window_in;
    uint64_t paws_drops, challenge_acks, zero_window_probes, nomem_drops, ranges_full;
    uint64_t overruns, inconsistent, ring_resizes;
    uint64_t ecn_marks_in, ecn_reductions, orphans_reset;
};

struct tcp_env {
    uint64_t now_us; /* read once per turn */
    struct mem *mem;
    struct rng rng;
    struct hash_key secret;
    struct wheel wheel;
    struct tcp_params params;
    const struct tcp_hooks *hooks; /* NULL: no monitor attached */
    void *mon;
    unsigned user_depth; /* > 0: a monitor's code is running: tear nothing down */
    /* Work lists, singly linked, in FIFO order. A connection on a list is not freed. */
    struct tcp_conn *out_head, **out_tail;     /* something to send (conn.out_next) */
    struct tcp_conn *ready_head, **ready_tail; /* news for its socket (conn.ready_next) */
    struct tcp_conn *dead_head; /* closed: net frees at the end of a turn (dead_next) */
    uint32_t n_orphans;         /* connections with TCF_ORPHAN */
    struct {                    /* clients' Fast Opens (fastopen.c) */
        uint64_t paused_until_us;
        uint32_t n_black_holes; /* since one was seen to work */
    } fastopen;
    struct tcp_stats stats;
};

#define TCP_MSS_USER_MAX 32767u /* TCP_MAXSEG, as Linux */

/* conn.flags */
enum tcp_conn_flag {
    TCF_ACTIVE = 1 << 0,      /* this host sent the first SYN */
    TCF_TS = 1 << 1,          /* timestamps negotiated */
    TCF_SACK = 1 << 2,        /* SACK negotiated */
    TCF_WSCALE = 1 << 3,      /* window scaling negotiated */
    TCF_ACK_NOW = 1 << 4,     /* an ACK must go out with the next flush */
    TCF_ACK_DELAYED = 1 << 5, /* an ACK is owed; delack_tick says when at the latest */
    TCF_SND_FIN = 1 << 6,     /* the application closed its side: FIN after the last byte */
    TCF_RCV_FIN = 1 << 7,     /* the peer's FIN was taken in order */
    TCF_FIN_ACKED = 1 << 8,   /* our FIN was acknowledged */
    TCF_NODELAY = 1 << 9,     /* Nagle off */
    TCF_CORK = 1 << 10,       /* hold partial segments */
    TCF_MORE = 1 << 11,       /* the last write said MSG_MORE, and no segment has come since */
    TCF_SHUT_RD = 1 << 12,    /* readers do not wait for bytes any more */
    TCF_ORPHAN = 1 << 13,     /* no socket any more (closed by the application) */
    TCF_SEND_RST = 1 << 14,   /* a RST goes out with the next flush, then the record dies */
    TCF_CWND_LIMITED = 1 << 15,
    TCF_PERSIST = 1 << 16, /* rtx_tick is the persist timer */
    TCF_KEEPALIVE = 1 << 17,
    TCF_PROBE = 1 << 18,        /* the next flush sends a window or keepalive probe */
    TCF_QUICKACK = 1 << 19,     /* delayed ACKs off (TCP_QUICKACK) */
    TCF_DEAD = 1 << 20,         /* on the dead list */
    TCF_RST_QUEUED = 1 << 21,   /* a monitor or the application asked for a reset inside a hook */
    TCF_CLOSE_QUEUED = 1 << 22, /* the application closed inside a hook */
    TCF_FIN_OOO = 1 << 23,      /* a FIN beyond next was seen: fin_off */
    TCF_ON_OUT = 1 << 24,       /* on env.out_head */
    TCF_ON_READY = 1 << 25,     /* on env.ready_head */
    TCF_REXMIT = 1 << 26,       /* something is due to be sent again (recovery.c) */
    TCF_NEEDS_SYN = 1 << 27,    /* SYN or SYN-ACK (re)transmission is due */
    TCF_IRS = 1 << 28,          /* the peer's SYN was seen: irs is valid */
    TCF_ECN = 1 << 29,          /* ECN negotiated; in SYN_SENT: asked for */
    TCF_MTU_LOW = 1 << 30,      /* the path takes less than the interface: net/pmtu.c */
};
#define TCF_URGENT (1u << 31) /* something urgent was written: ext->snd_up */

/* conn.marks: what few connections need; ECN_ while TCF_ECN (ecn.h), TLP_ (recovery.c) */
enum tcp_conn_mark {
    ECN_ECHO = 1 << 0,          /* CE came: ECE in every ACK until the peer says CWR */
    ECN_CWR = 1 << 1,           /* cwnd was reduced: CWR goes with the next new data */
    ECN_SEEN = 1 << 2,          /* the peer's data carries ECT */
    FASTOPEN_SYN_DATA = 1 << 3, /* data in a SYN was accepted, ours or the peer's */
    FASTOPEN_DEFERRED = 1 << 4, /* client: the SYN waits for the first bytes */
    FASTOPEN_ON = 1 << 5,       /* in SYN_RCVD, SYN_SENT: fastopen.h */
    TLP_UNMEASURED = 1 << 6,    /* no round trip was measured since the last tail loss probe */
    SHORT_IN_FLIGHT = 1 << 7,   /* one not full was sent since nothing was in flight (output.c) */
};

/* conn.ready: news for the socket, cleared by whoever harvests. */
enum tcp_ready {
    TCP_READY_IN = 1 << 0,     /* new bytes in order */
    TCP_READY_OUT = 1 << 1,    /* room in the send buffer, or connected */
    TCP_READY_FIN = 1 << 2,    /* the peer closed its side */
    TCP_READY_ERR = 1 << 3,    /* conn.err was set */
    TCP_READY_CLOSED = 1 << 4, /* the state machine reached CLOSED or TIME_WAIT */
    TCP_READY_CONNECTED = 1 << 5,
    TCP_READY_URGENT = 1 << 6,   /* the peer's urgent pointer moved on */
    TCP_READY_ZEROCOPY = 1 << 7, /* calls with MSG_ZEROCOPY are done */
};

/* Who starts anew after losing its memory may hit upon a tuple in TIME_WAIT with a SYN that looks
 * old. It resets what its SYN is answered with; its next one is let in. */
enum tw_syn {
    TW_SYN_NONE,
    TW_SYN_ANSWERED, /* one that looked old was acknowledged */
    TW_SYN_AWAITED   /* and that was reset: the peer knows nothing of the old connection */
};

/* IP_MTU_DISCOVER's values. Only the first lets routers cut what is sent; beyond TCP_MTU_DO
 * segments are as large as the interface takes, whatever is known of the path. */
enum tcp_mtu_discover {
    TCP_MTU_DONT,
    TCP_MTU_WANT,
    TCP_MTU_DO,
    TCP_MTU_PROBE,
    TCP_MTU_INTERFACE,
    TCP_MTU_OMIT
};

/* Ends of records that are not sent yet (eor.c): low halves of offsets, a ring. */
struct tcp_eor {
    uint32_t *at; /* NULL: none */
    uint32_t n, cap, first;
};

/* Calls with MSG_ZEROCOPY, and bytes of theirs that are in use (zerocopy.c). */
struct tcp_zerocopy {
    struct tcp_lent *lent;      /* NULL: none */
    uint32_t calls, done, told; /* so far; those before the first in use; of these, told (sock/) */
    uint32_t copied;            /* the call behind the last that was copied, or in part */
};

/* Per-socket options that are off their defaults, and what else few connections have; allocated on
 * first use, freed with the connection. Only sock/ writes it, but for what is urgent.c's. */
struct tcp_opt_ext {
    struct tcp_eor eor;
    struct tcp_zerocopy zc;
    tcp_off_t rcv_up, snd_up; /* where urgent data ends: offset of the byte behind it (urgent.c) */
    uint32_t keep_idle_s, keep_intvl_s, keep_cnt; /* RFC 9293 3.8.4 */
    uint32_t user_timeout_ms;                     /* RFC 5482; 0: none */
    uint32_t notsent_lowat;                       /* 0: none */
    int32_t linger_s;                             /* -1: off */
    struct {                  /* what the SYN carries, or a server's SYN-ACK (fastopen.h) */
        uint16_t mss;         /* of the peer, when the cookie came; 0: no data */
        uint16_t syn_acked;   /* client: bytes that the SYN-ACK acknowledged */
        bool is_wanted;       /* TCP_FASTOPEN_CONNECT */
        bool needs_no_cookie; /* TCP_FASTOPEN_NO_COOKIE */
        bool is_exp;          /* as the experimental option */
        bool has_more;        /* client: a call waits with what the SYN did not take */
        bool is_used;         /* client: the SYN has had the option, or data */
        bool is_trial;        /* ... when there had been black holes (tcp_env.fastopen) */
        uint8_t cookie_len;
        uint8_t cookie[TCP_FASTOPEN_COOKIE_MAX];
    } fastopen;
    uint8_t syn_retries;  /* 0: default */
    uint8_t defer_accept; /* timeouts of the SYN-ACK for which a listener waits for data; 0: none */
    uint8_t mtu_discover; /* enum tcp_mtu_discover */
    bool is_zerocopy, has_inq; /* SO_ZEROCOPY, TCP_INQ */
    uint32_t mark;             /* SO_MARK: kept for who asks */
};

struct tcp_conn {
    /* -- identity and the receive path's first line -- */
    struct flow flow; /* first: net/ casts */
    struct flow_tuple tuple;
    uint8_t state;         /* state.c alone */
    uint8_t rcv_wscale;    /* ours: shift of the window we announce */
    uint8_t snd_wscale;    /* the peer's */
    uint8_t backoff;       /* consecutive timeouts of the current cause (timers.c) */
    uint32_t flags;        /* enum tcp_conn_flag */
    uint8_t ready;         /* enum tcp_ready */
    uint8_t n_quick : 5;   /* quick-ACK segments left */
    uint8_t rto_shift : 3; /* the back-off that is kept until a round trip is measured (rtt.c) */
    uint16_t rcv_mss;      /* largest segment seen: what "full sized" means for delayed ACKs */
    struct stream rcv;     /* input.c, sock reads */
    /* -- receive -- */
    tcp_off_t rcv_adv;   /* right edge promised, never moves left (output.c) */
    tcp_off_t rcv_acked; /* the acknowledgement last sent (output.c) */
    tcp_off_t fin_off;   /* offset of the peer's FIN (TCF_RCV_FIN, TCF_FIN_OOO) */
    tcp_seq_t iss, irs;
    /* The range that the last anomaly concerned: a duplicate, to be reported while n_dsack is 1
     * (RFC 2883); else dsack_start and dsack_end lie in the runs beyond a hole that got bytes last
     * and before that (RFC 2018: they go first). */
    tcp_seq_t dsack_start, dsack_end;
    uint32_t ts_recent, ts_offset; /* RFC 7323; ours = clock_ms + ts_offset */
    uint32_t ts_recent_s; /* since when, of the clock: milliseconds come round in 49 days */
    union {
        uint8_t n_dsack;
        uint8_t n_dup_owed; /* without SACK: duplicate ACKs owed, one per segment beyond a hole */
    };
    union {
        uint8_t n_probes; /* window probes since the peer was last heard (timers.c) */
        uint8_t tw_syn;   /* TIME_WAIT: enum tw_syn */
    };
    uint16_t mss; /* payload bytes per full segment, options taken off (output.c) */
    /* -- send -- */
    struct stream snd; /* read = acknowledged, next = written */
    tcp_off_t snd_una;
    union {
        tcp_off_t snd_nxt; /* never pulled back: a retransmission takes nothing from it ... */
        tcp_off_t snd_max; /* ... so the two names of RFC 9293 and 5681 are one edge (output.c) */
    };
    uint32_t snd_wnd, snd_wnd_max; /* bytes, scaled */
    tcp_seq_t snd_wl1, snd_wl2;
    uint32_t srtt_us, rttvar_us, min_rtt_us; /* rtt.c */
    uint32_t cwnd, ssthresh;                 /* bytes; cc_*.c, recovery.c */
    union tcp_cc_state {
        struct {
            uint32_t w_max;    /* bytes */
            uint32_t w_est;    /* segments, 16.16 */
            uint32_t k_ms;     /* from the epoch to w_max */
            uint32_t epoch_ms; /* 0: none yet */
        } cubic;
        struct { /* cubic's initial slow start, while ssthresh is UINT32_MAX (hystart.c) */
            uint32_t round_end;   /* low half of an offset */
            uint32_t last_min_us; /* of the last round; in CSS: of the round that led there */
            uint32_t min_us;      /* of this round */
            uint8_t n_samples;
            uint8_t n_css; /* rounds of conservative slow start left, 0: not in it */
        } hystart;
        struct {
            uint32_t acked;
        } newreno;
    } cc;
    uint32_t snd_at_us; /* when new data was last sent, low 32 bits (recovery.c) */
    const struct tcp_cc_ops *cc_ops;
    struct tcp_flight *flight; /* recovery.c; NULL: nothing, or one segment, sent at snd_at_us */
    /* -- timers: one wheel entry at the earliest deadline (timers.c) -- */
    union {
        uint64_t aux_at; /* FIN_WAIT_2, TIME_WAIT, keepalive, idle; WHEEL_NEVER_US: off */
        struct tcp_conn *dead_next; /* on env.dead_head: no deadlines any more */
    };
    struct timer timer;
    uint64_t last_active_us; /* last segment in or out */
    /* -- lists and owners -- */
    struct tcp_conn *out_next, *ready_next;
    void *mon;               /* the monitor's handle; NULL: unmonitored */
    void *listener;          /* net/: whose accept queue it waits in; NULL once accepted */
    struct tcp_opt_ext *ext; /* NULL: all default */
    /* Deadlines in wheel ticks, the low 32 bits (timers.h). rtx: 0 is off; delack: off unless
     * TCF_ACK_DELAYED. */
    uint32_t rtx_tick, delack_tick;
    int sock;                 /* the endpoint's socket id, -1: none */
    uint16_t err;             /* pending errno of the connection, set once (state.c) */
    uint16_t mss_peer;        /* what the peer's SYN offered */
    uint16_t user_mss : 15;   /* TCP_MAXSEG, 0: none */
    uint16_t is_unpushed : 1; /* the last write said MSG_MORE: its end is no place for a PSH */
    uint8_t end_reason;       /* enum hook_end, once known */
    uint8_t challenge_slot;   /* half second of the last challenge ACK (RFC 5961 section 7) */
    uint8_t soft_err;         /* errno of a soft network error, reported by a timeout */
    uint8_t tos, ttl;
    uint8_t marks; /* enum tcp_conn_mark */
};

_Static_assert(sizeof(struct tcp_conn) <= 416,
               "an idle connection must stay small (PERFORMANCE.md W5)");

/* Is there a monitor that wants to know what is overwritten? */
static inline bool conn_tells_overruns(const struct tcp_conn *c)
{
    return unlikely(c->mon != NULL) && !(c->flow.spared & HOOK_SPARE_DATA);
}

static inline struct tcp_conn *conn_of_flow(struct flow *f)
{
    return (struct tcp_conn *)(void *)f;
}

/* Queues the connection for the flush at the end of this turn. */
static inline void conn_mark_output(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->flags & (TCF_ON_OUT | TCF_DEAD))
        return;
    c->flags |= TCF_ON_OUT;
    c->out_next = NULL;
    *e->out_tail = c;
    e->out_tail = &c->out_next;
}

/* Tells the socket layer, which harvests once per turn. */
static inline void conn_mark_ready(struct tcp_env *e, struct tcp_conn *c, uint32_t what)
{
    c->ready = (uint8_t)(c->ready | what);
    if (c->flags & TCF_ON_READY)
        return;
    c->flags |= TCF_ON_READY;
    c->ready_next = NULL;
    *e->ready_tail = c;
    e->ready_tail = &c->ready_next;
}

/* Timestamps clock: milliseconds plus the connection's random offset (RFC 7323 5.4). */
static inline uint32_t conn_ts_now(const struct tcp_env *e, const struct tcp_conn *c)
{
    return (uint32_t)(e->now_us / 1000) + c->ts_offset;
}

/* Does the MSS follow what the path takes (RFC 1191)? */
static inline bool conn_follows_path_mtu(const struct tcp_conn *c)
{
    return likely(c->ext == NULL) || c->ext->mtu_discover == TCP_MTU_WANT ||
           c->ext->mtu_discover == TCP_MTU_DO;
}

/* The options that nobody set. */
struct tcp_opt_ext tcp_opt_ext_default(void);

/* The connection's, made on first use; NULL: no memory. */
struct tcp_opt_ext *conn_ext(struct tcp_env *e, struct tcp_conn *c);

void tcp_env_init(struct tcp_env *e, struct mem *mem, uint64_t seed, uint64_t now_us);
void tcp_params_default(struct tcp_params *p);

#endif

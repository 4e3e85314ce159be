/*
 * What net/ and sock/ call: the life of a connection, one segment in, one segment out, a timer.
 * Nothing here allocates or frees a connection, knows a table, a device or a socket.
 *
 * Output is a pair of functions around the caller's frame: tcp_output_next() decides one segment
 * without changing the connection, the caller builds it (and may fail, or a monitor may drop it),
 * tcp_output_sent() commits. Input and the application only mark (conn_mark_output); the caller
 * flushes at the end of the turn, so an ACK rides on the response.
 */
#ifndef MTCP_TCP_TCP_H
#define MTCP_TCP_TCP_H

#include "mtcp/base/bug.h"
#include "mtcp/tcp/conn.h"
#include "mtcp/wire/seg.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* ---- a segment to send ---- */

struct tcp_tx {
    struct seg seg; /* header values and options; seg.payload unused, seg.len = payload bytes */
    const struct iovec *iov; /* the payload; valid until the connection changes: ... */
    struct iovec span[2];    /* ... in the buffer ... */
    unsigned n_iov;          /* ... or in up to TCP_TX_PIECES (zerocopy.h) */
    uint8_t cookie[TCP_FASTOPEN_COOKIE_MAX]; /* of seg.opt, when it is made here */
    uint16_t mss;  /* payload bytes per segment on the wire; seg.len may be a multiple (TSO) */
    tcp_off_t off; /* stream offset of the payload (-1: SYN, whose payload begins at 0) */
    bool rexmit;   /* nothing in it is new */
    bool probe;    /* window or keepalive probe: commits no sequence space */
};

/* ---- connections ---- */

/* What is known when a connection begins. */
struct tcp_open {
    struct flow_tuple tuple;
    uint16_t mtu; /* of the route: bytes of IP per packet */
    bool is_active;
};

/* Sets every field of *c (not c->flow) to a closed connection with the context's defaults. */
void tcp_conn_init(struct tcp_env *e, struct tcp_conn *c, const struct tcp_open *o);

/* Releases what the connection holds (buffers, flight, ext, timer). It must be on no work list but
 * the dead list. Does not free *c. */
void tcp_conn_fini(struct tcp_env *e, struct tcp_conn *c);

/* Active open: chooses the ISN, SYN_SENT, marks output. (RFC 9293 3.10.1) */
void tcp_connect(struct tcp_env *e, struct tcp_conn *c);

/* Queues bytes to send. The number taken (may be short), -EAGAIN when the buffer is full, or
 * there is no memory for more of it; -ENOMEM when there is none for its first byte; -EPIPE after
 * shutdown or reset; -ENOTCONN before the connection is established. */
MUST_CHECK int64_t tcp_send(struct tcp_env *e, struct tcp_conn *c, const void *data, uint32_t len);

/* The same for a call with MSG_ZEROCOPY: `data` stays in use, not copied, until it is acknowledged,
 * the connection is over, or tcp_close(). 0: that can't be done, it is to be copied. */
MUST_CHECK uint32_t tcp_lend(struct tcp_env *e, struct tcp_conn *c, const void *data, uint32_t len);

/* It was copied, then. */
void tcp_zerocopy_copied(struct tcp_conn *c);

/* Such a call has taken bytes, and is over. Is there news of calls that are done? */
bool tcp_zerocopy_called(struct tcp_conn *c);

/* Bytes the application can read now. */
static inline uint32_t tcp_readable(const struct tcp_conn *c)
{
    return c->rcv.unread;
}

/* The application consumed n bytes (copied out through stream_copy/stream_span): moves `read`, and
 * marks output when the window update is worth sending (RFC 9293 3.8.6.2.2). */
void tcp_consumed(struct tcp_env *e, struct tcp_conn *c, uint32_t n);

/* TCP_NODELAY was set: what is written goes, also when it is corked (as Linux), unless something is
 * in flight whose ACK will come. */
void tcp_push(struct tcp_env *e, struct tcp_conn *c);

/* Room in the send buffer, in bytes. */
static inline uint32_t tcp_writable(const struct tcp_conn *c)
{
    return c->snd.unread >= c->snd.limit ? 0 : c->snd.limit - c->snd.unread;
}

/* All bytes written so far are urgent (RFC 9293 3.10.2). Without memory they go all the same, and
 * the peer does not hear that they are; counted. */
void tcp_mark_urgent(struct tcp_env *e, struct tcp_conn *c);

/* A record ends with the bytes written so far: no segment holds bytes from both sides of it
 * (MSG_EOR). Without memory the end is forgotten; counted. */
void tcp_mark_eor(struct tcp_env *e, struct tcp_conn *c);

/* How many of the next bytes to be read, arrived or not, the peer calls urgent. */
static inline uint64_t tcp_urgent_left(const struct tcp_conn *c)
{
    if (likely(c->ext == NULL) || c->ext->rcv_up <= (tcp_off_t)stream_read(&c->rcv))
        return 0;
    return (uint64_t)c->ext->rcv_up - stream_read(&c->rcv);
}

/* SHUT_WR: FIN after what is queued. SHUT_RD: a reader finds the end when nothing is there
 * (what arrives later can be read all the same, as Linux). With both, arriving
 * bytes are answered by RST and the application gets ECONNRESET. 0, -ENOTCONN. */
MUST_CHECK int tcp_shutdown(struct tcp_env *e, struct tcp_conn *c, int how);

/* The application lets go (TCF_ORPHAN): FIN after what is queued; RST instead when unread data is
 * left (RFC 9293 3.10.4, 1122 4.2.2.13) or linger 0 was set. Inside a monitor's code: queued. */
void tcp_close(struct tcp_env *e, struct tcp_conn *c);

/* RST out (when the state has one to send), everything queued is dropped, the record dies with the
 * next flush. `reason` is the end reason, `err` what the application gets (0: it asked for it).
 * Inside a monitor's code: queued. */
void tcp_abort(struct tcp_env *e, struct tcp_conn *c, enum hook_end reason, int err);

/* Carries out what was queued inside a monitor's code. net/ calls it when user_depth is 0 again. */
void tcp_run_queued(struct tcp_env *e, struct tcp_conn *c);

/* A hard or soft error from below (ARP gave up, ICMP unreachable). Before the connection is
 * established a hard error ends it; later it is remembered for the timeout's error. */
void tcp_net_error(struct tcp_env *e, struct tcp_conn *c, int err, bool is_hard);

/* What the path takes now, in bytes of IP per packet. The MSS follows, within what the SYNs and
 * TCP_MAXSEG say; what was sent in larger segments is lost and sent again at once, which says
 * nothing of congestion (RFC 1191 6.5). Before the connection is established nothing happens: the
 * MSS of a SYN is what this host takes; but a SYN with data is sent again without. */
void tcp_mtu_changed(struct tcp_env *e, struct tcp_conn *c, uint16_t mtu);

/* Is the oldest segment in flight a full one, sent again and again? */
bool tcp_full_segment_is_stuck(const struct tcp_conn *c);

/* ---- one segment in ---- */

enum tcp_in {
    TCP_IN_DROPPED = 1 << 0,   /* not acceptable: moved nothing */
    TCP_IN_RESET = 1 << 1,     /* the caller answers with tcp_reset_for() */
    TCP_IN_DIED = 1 << 2,      /* the record reached CLOSED: on the dead list */
    TCP_IN_TIME_WAIT = 1 << 3, /* entered TIME_WAIT */
    TCP_IN_FASTOPEN = 1 << 5,  /* a Fast Open came to an end: server, the handshake is over; client,
                                * the SYN was answered ... */
    TCP_IN_SYN_LOST = 1 << 6,  /* ... only when it was sent again, without the option */
    TCP_IN_NEW_SYN = 1 << 4, /* TIME_WAIT: the caller ends the record and takes this as a new SYN */
};

/* The pure part, asked before anything moves: would tcp_input() take the segment? */
bool tcp_acceptable(const struct tcp_env *e, const struct tcp_conn *c, const struct seg *s);

/* Likewise: would it answer TCP_IN_NEW_SYN? */
bool tcp_superseded_by(const struct tcp_conn *c, const struct seg *s);

/* The steps of RFC 9293 3.10.7.3 and 3.10.7.4 in the RFC's order; enum tcp_in bits. */
unsigned tcp_input(struct tcp_env *e, struct tcp_conn *c, const struct seg *s);

/* The RST of RFC 9293 3.10.7.1 for a segment that belongs to nothing. False: none is due (it is a
 * RST itself). */
bool tcp_reset_for(const struct seg *s, struct tcp_tx *tx);

/* ---- segments out ---- */

/* The next segment the connection should send now, as a pure question; false when there is none.
 * `max_len` bounds seg.len (the device's TSO size; mss when it has none). */
bool tcp_output_next(const struct tcp_env *e, const struct tcp_conn *c, uint32_t max_len,
                     struct tcp_tx *tx);

/* It was handed to the device (or dropped by a monitor or for lack of packet buffers, `passed`
 * false: then the try counts, timers are armed and the flush of this connection ends). Moves
 * snd_nxt, snd_max, ack and window edges, arms timers. */
void tcp_output_sent(struct tcp_env *e, struct tcp_conn *c, const struct tcp_tx *tx, bool passed);

/* After the flush: buffers that are empty go back, per-turn marks are cleared. */
void tcp_output_done(struct tcp_env *e, struct tcp_conn *c);

/* ---- time ---- */

/* The connection's timer came due: handles every deadline that has passed, re-arms for the next. */
void tcp_timer(struct tcp_env *e, struct tcp_conn *c);

/* ---- half-open records (SYN received by a listener) ---- */

struct tcp_half_open {
    struct flow flow;
    struct flow_tuple tuple;
    tcp_seq_t iss, irs;
    uint32_t ts_recent, ts_offset;
    uint32_t rcv_wnd; /* announced, bytes */
    uint16_t mss_peer, mtu;
    uint16_t user_mss; /* TCP_MAXSEG of the listener; 0: none */
    uint16_t wnd_peer; /* as in the SYN, unscaled */
    uint8_t snd_wscale, rcv_wscale;
    uint8_t opts;       /* TCF_TS | TCF_SACK | TCF_WSCALE: all below 1 << 8 */
    uint8_t n_sent;     /* SYN-ACKs, until one is acknowledged */
    uint8_t n_timeouts; /* ... and how often the time for what makes a connection of it was over */
    uint8_t n_defer;    /* until so many, the handshake's ACK needs data (TCP_DEFER_ACCEPT) */
    bool has_ecn : 1;
    bool is_acked : 1;    /* the handshake's ACK came, and data is waited for */
    bool is_repeated : 1; /* the SYN came again and was answered: no RTT can be told (Karn) */
    bool is_held : 1;     /* net/: the first SYN-ACK waits for the neighbour's address */
    struct timer timer;   /* next retransmission */
    union {
        uint64_t born_us; /* when the SYN came and the first SYN-ACK went */
        uint64_t rtt_us;  /* is_acked: of the handshake; 0: not known */
    };
    void *listener; /* net/ */
    void *mon;
};

_Static_assert(sizeof(struct tcp_half_open) <= 144, "a half-open record must stay small");

/* From a SYN that a listener takes. The buffers are those of its connections. */
void tcp_half_open_init(struct tcp_env *e, struct tcp_half_open *h, const struct seg *syn,
                        uint16_t mtu, const struct tcp_params *p);

/* What the SYN offers, read again because a monitor has changed it. Before the first SYN-ACK. */
void tcp_half_open_offer(const struct tcp_env *e, struct tcp_half_open *h, const struct seg *syn,
                         const struct tcp_params *p);

/* The tuple's last incarnation used the numbers before `used`: this one begins beyond them, as it
 * must when it ends a TIME_WAIT (RFC 1122 4.2.2.13). Before the first SYN-ACK. */
void tcp_half_open_begin_after(struct tcp_half_open *h, tcp_seq_t used);

/* The SYN-ACK to send now (first or again). */
void tcp_half_open_synack(const struct tcp_env *e, const struct tcp_half_open *h,
                          struct tcp_tx *tx);

enum tcp_half_open_verdict {
    TCP_HO_DROP,    /* not acceptable and nothing to say */
    TCP_HO_SYNACK,  /* SYN retransmitted: send the SYN-ACK again */
    TCP_HO_ACK,     /* challenge ACK: tcp_half_open_ack() */
    TCP_HO_RESET,   /* unacceptable ACK: tcp_reset_for() */
    TCP_HO_CLOSED,  /* acceptable RST: forget the record */
    TCP_HO_PROMOTE, /* acceptable ACK: make a connection, give the segment to tcp_input() */
    TCP_HO_WAIT,    /* acceptable ACK without data, which is waited for: tcp_half_open_acked() */
};
enum tcp_half_open_verdict tcp_half_open_input(const struct tcp_env *e,
                                               const struct tcp_half_open *h, const struct seg *s);

/* The handshake is over for the peer, but not for the listener. */
void tcp_half_open_acked(const struct tcp_env *e, struct tcp_half_open *h, const struct seg *s);

void tcp_half_open_ack(const struct tcp_env *e, const struct tcp_half_open *h, struct tcp_tx *tx);

/* *c (initialised by tcp_conn_init) becomes the connection of *h, in SYN_RCVD. Takes over mon. */
void tcp_half_open_promote(struct tcp_env *e, struct tcp_conn *c, const struct tcp_half_open *h);

/* ---- TIME_WAIT records (RFC 9293 3.10.7.4, 6191, 1337) ---- */

struct tcp_time_wait {
    struct flow flow;
    be32_t local, remote; /* IPv4; of IPv6: struct tcp_time_wait6 */
    uint16_t local_port, remote_port;
    tcp_seq_t snd_nxt, rcv_nxt;
    uint32_t ts_recent, ts_offset; /* ts_offset 0 and !has_ts: none were negotiated */
    uint32_t expires_ms;           /* low 32 bits of the context's clock in ms */
    uint16_t wnd;                  /* last window announced, unscaled */
    uint8_t syn;                   /* enum tw_syn */
    bool has_ts, is_v6;
    struct tcp_time_wait *fifo_next; /* net/: in order of expiry */
};

/* What a record with is_v6 is the beginning of. */
struct tcp_time_wait6 {
    struct tcp_time_wait tw;
    struct ip_addr local, remote;
};

_Static_assert(sizeof(struct tcp_time_wait) <= 64, "a TIME_WAIT record is one cache line");
_Static_assert(sizeof(struct tcp_time_wait6) <= 96, "the addresses of IPv6 take half of another");

/* May the connection become a compact record? (TIME_WAIT, orphan, unmonitored, nothing owed) */
bool tcp_time_wait_fits(const struct tcp_conn *c);

/* *w is large enough for the connection's family. */
void tcp_time_wait_init(const struct tcp_env *e, struct tcp_time_wait *w, const struct tcp_conn *c);
struct flow_tuple tcp_time_wait_tuple(const struct tcp_time_wait *w);

/* enum tcp_in: 0 nothing to do; TCP_IN_RESET; TCP_IN_NEW_SYN; TCP_IN_ACK_DUE below. */
#define TCP_IN_ACK_DUE (1u << 8) /* answer with tcp_time_wait_ack(); a FIN restarts the timer */
unsigned tcp_time_wait_input(struct tcp_time_wait *w, const struct seg *s);
void tcp_time_wait_ack(const struct tcp_env *e, const struct tcp_time_wait *w, struct tcp_tx *tx);

/* ---- for the monitor's view and TCP_INFO ---- */
void tcp_flow_view(const struct flow *f, struct tcp_flow_view *v);
void tcp_flow_streams(const struct flow *f, struct hook_streams *s);

/* Is the monitor of a connection told of this segment, in or out? One that is not may be worth its
 * data(): tcp_tell_data(). */
static inline bool tcp_is_told(const struct tcp_conn *c, const struct seg *s)
{
    return !(c->flow.spared & HOOK_SPARE_SEGS) || (s->flags & (TCP_SYN | TCP_FIN | TCP_RST)) ||
           (c->flags & TCF_FIN_OOO);
}

static inline void tcp_tell_data(struct tcp_env *e, const struct tcp_conn *c, const struct seg *s,
                                 enum hook_dir dir)
{
    if (s->len > 0 && !(c->flow.spared & HOOK_SPARE_DATA))
        e->hooks->data(e->mon, c->mon, dir);
}

uint16_t tcp_mss_announced(const struct tcp_conn *c, uint16_t mtu); /* what our SYN said */

#endif

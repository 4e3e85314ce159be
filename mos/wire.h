/*
 * Connections between two other hosts, seen on the wire or in a capture: found by their tuple, made
 * by the first SYN, ended by FIN, RST, time, or to make room. Both hosts are emulated, each with a
 * stream of its own; what happens becomes events in order.c, as an endpoint's does.
 *
 * One that a monitor resets leaves its record behind for a while: what its hosts still send is
 * answered with resets and goes no further, since a reset may be lost or miss (RFC 5961).
 *
 * A connection that no monitor wants leaves no record, nor does one whose beginning was not seen:
 * their packets are orphans.
 */
#ifndef MOS_WIRE_H
#define MOS_WIRE_H

#include "mos/mon.h"
#include "mtcp/base/wheel.h"

#define WIRE_FRAME_ROOM (65535u + 22u) /* of IP, and of Ethernet with two tags */

struct wire_edits; /* wire_edit.h */

/* What a SYN says of its sender. */
struct wire_syn {
    tcp_seq_t isn;
    uint16_t mss;
    uint8_t wscale;
    bool has_wscale, has_ts;
};

/* How a host's frames come in. */
struct wire_link {
    struct mac_addr src, dst;
    uint8_t netif;
    bool is_known;
};

/* Where a segment lies as its sender counts. */
struct wire_own {
    tcp_off_t off;
    uint32_t len, n_old; /* payload bytes; and before them, those that were acknowledged already */
};

/* One host, beside what struct mon_host has of it. Offsets of its own bytes, or of the other's. */
struct wire_host {
    struct stream rcv; /* what it receives; consumed at the end of each turn */
    struct wire_syn syn;
    struct wire_link link;
    uint64_t passed;    /* other's: everything before this was forwarded to it (the FIN counts) */
    uint64_t sent;      /* own: it has sent everything before this (the FIN counts) */
    uint64_t acked;     /* other's: it has acknowledged everything before this */
    uint64_t edge;      /* other's: it has room for everything before this */
    uint32_t max_wnd;   /* the largest window that it told */
    uint32_t ts_sent;   /* the newest timestamp that it has sent, if it has */
    uint32_t ts_recent; /* ... and that the other is known to have received; none comes before it */
    uint64_t ts_at_us;  /* when that was known; 0: it is not */
    struct wire_edits *edits; /* what monitors made of its bytes; NULL: nothing */
    bool has_ts_sent;
    bool fin_taken; /* it has received the other's FIN in order */
};

struct wire_conn {
    struct wire_conn *chain;
    uint32_t hash;
    int sender;              /* the side that the packet in hand comes from */
    struct flow_tuple tuple; /* local: the client */
    struct mon_conn *conn;
    struct list_node recent; /* in wire.recent[] */
    struct timer timer;
    struct wire_host host[SIDES];
    struct wire_syn other_syn; /* the client has sent another SYN before the answer to its first */
    uint8_t *syn_data; /* of the client's SYN, while the server has not acknowledged any of it */
    uint32_t syn_len;
    bool has_other_syn;
    bool is_guessed; /* a capture lacks the SYN-ACK: its sequence number is taken from what follows,
                      * and nothing is known of windows */
    bool was_reset;
    uint16_t ip_len;     /* of the packet in hand, as it came */
    struct wire_own own; /* ... if its sender has edits */
    bool is_edited;      /* a host has: packets are translated */
    bool reset_due;      /* a monitor wants it reset */
    bool is_cut;         /* ... and it was: all that is known of it is that it is no more */
};

/* Who goes first when there is no room: a flood of SYNs takes no open connection's place. */
enum wire_rank { WIRE_OVER, WIRE_OPENING, WIRE_OPEN, WIRE_RANKS };

/* The connections of one monitor. */
struct wire {
    struct hook_wire_conf conf;
    struct wheel wheel;
    struct pool conns;
    struct list_node recent[WIRE_RANKS]; /* the one that was silent longest first */
    uint32_t n_conns, mask;              /* of the buckets: a power of two minus 1 */
    struct wire_conn **buckets;
    uint8_t *frame; /* of a packet that has grown; NULL: none has */
};

/* A packet of the wire, with all its events. HOOK_DROP: it is not forwarded. */
enum hook_verdict wire_packet(struct mon *m, struct hook_seg *s, const struct packet *p);

/* A monitor wants the connection reset: after the packet in hand, which goes no further, or at the
 * end of the turn. 0; -ENOTCONN: it is over; -EOPNOTSUPP: nothing is forwarded here. */
MUST_CHECK int wire_reset(struct wire_conn *w);

/* The record is still needed when no monitor watches it. */
static inline bool wire_conn_stays(const struct wire_conn *w)
{
    return w->is_cut || w->is_edited;
}

/* WIRE_FRAME_ROOM bytes for the packet in hand; NULL: no memory. */
uint8_t *wire_frame_room(struct mon *m);

/* The end of a turn for a connection that it brought something: gaps that are known to stay are
 * given up, new bytes are told, and what nobody keeps goes. */
void wire_conn_turn(struct wire_conn *w);

/* Silence that lasted too long. */
void wire_timers(struct mon *m, uint64_t now_us);
uint64_t wire_next_us(const struct mon *m); /* WHEEL_NEVER_US: nothing is due */

/* The record goes; its mon_conn does not. */
void wire_conn_free(struct wire_conn *w);

/* Ends all connections, with their events, and frees what is left. */
void wire_fini(struct mon *m);

#endif

/*
 * The records of the monitor, one set per context:
 *
 *   struct mon          the monitor of a context
 *   struct mon_passive  a passive or raw socket: scope, callbacks, policies for its connections
 *   struct mon_conn     a monitored connection: the handle that the endpoint keeps for us, or one
 *                       of two other hosts (wire.h)
 *   struct watch        one monitor's interest in one connection: an active socket
 *
 * A mon_conn has a watch for each passive socket whose scope it is in, in the order in which these
 * were created. It outlives its last watch until the end of the turn, because the endpoint holds
 * the handle while a packet is worked on.
 */
#ifndef MOS_MON_H
#define MOS_MON_H

#include "mos/cbset.h"
#include "mos/filter.h"
#include "mos/peer.h"
#include "mos/timers.h"
#include "mos_api.h"
#include "mtcp/base/list.h"
#include "mtcp/base/pool.h"
#include "mtcp/tcp/hook.h"

#include <stdbool.h>
#include <stdint.h>

#define SIDES 2 /* MOS_SIDE_CLI, MOS_SIDE_SVR */

struct mon_dispatch; /* dispatch.h */
struct frame_copy;   /* lastpkt.c */
struct wire;         /* wire.h */
struct tally;        /* tally.h */
struct wire_conn;

struct mon {
    struct mtcp_context *ctx;
    const struct hook_services *sv;
    struct mem *mem;
    struct cb_sets sets;
    struct pool conns, watches, tallies;
    struct mon_timers timers;
    struct list_node passives; /* in creation order */
    struct list_node due;      /* mon_conn.due: to be looked at in the next turn() */
    struct list_node graves;   /* mon_conn.due: died inside a callback, freed in the next turn() */
    struct list_node plugins;  /* plugin.c */
    struct wire *wire;         /* connections of other hosts; NULL: none came by */
    /* Running user code; what it asked for and has to wait until it is done (dispatch.c). */
    unsigned depth;
    struct mon_dispatch *now;
    uint32_t *raised; /* events, as indexes (user_events.c) */
    unsigned n_raised, raised_room;
    struct list_node changes; /* of callback sets */
    struct list_node stopped; /* watch.of_passive */
    bool has_closed;          /* a passive socket */
    unsigned n_raw;           /* raw sockets */
    /* The packet whose hooks run, and frames put together for callbacks (lastpkt.c). */
    const struct hook_seg *pkt;
    struct mon_conn *pkt_conn;
    struct frame_copy *copies;
    struct packet changed;   /* the packet as a callback left it at its verdict (lastpkt.c) */
    uint64_t n_missed_conns; /* the budget of ids or memory was used up */
};

/* A raw socket is one, with another scope and no connections. */
struct mon_passive {
    struct list_node node;    /* in mon.passives */
    struct list_node watches; /* watch.of_passive */
    struct mon *mon;
    struct cb_set *set;
    struct filter *syn, *orphan; /* raw: orphan is raw_pkt_filter, also of frames */
    void *uctx;
    int sock;
    int32_t hist[SIDES];   /* MOS_*BUF; -1: not set */
    int32_t policy[SIDES]; /* MOS_*OVERLAP; -1: not set */
    bool is_closed, is_raw;
};

/* One of the two hosts of a connection. */
struct mon_host {
    /* what it sent */
    tcp_seq_t isn;
    uint64_t fin_off;
    bool syn_seen, fin_seen;
    /* what callbacks see of it */
    uint8_t state; /* enum tcpstate */
    /* its receive stream */
    uint8_t policy;         /* enum mos_overlap_policy */
    uint32_t unread, ahead; /* next - read, end - next; with next: the edges when last seen */
    uint64_t next;
    uint64_t told; /* NEW_DATA was delivered up to here */
};

struct mon_conn {
    struct list_node due; /* in mon.due or mon.graves */
    struct mon *mon;
    struct flow *flow;      /* the endpoint's record */
    struct wire_conn *wire; /* ... or that of two other hosts. Both NULL: it died */
    struct tally *tally;    /* what passed; NULL: nobody asks */
    struct watch *watches;  /* in creation order of their passive sockets */
    struct mon_host host[SIDES];
    uint64_t last_active_us;
    int real;             /* the side that is this endpoint's own; -1: none */
    uint8_t end_reason;   /* enum hook_end, while it ends */
    bool is_starting;     /* the first SYN is on its way through the hooks */
    bool verdict_given;   /* ... and was asked about already */
    bool spare_due;       /* what the endpoint may spare us is to be looked at anew in turn() */
    uint8_t due_sides;    /* bit per side, while it is due: where new data may be */
    struct moves pending; /* states of the real side that were not reported yet */
};

struct watch {
    struct watch *next; /* of the connection */
    struct list_node of_passive;
    struct mon_conn *conn;
    struct mon_passive *passive;
    struct cb_set *set;
    void *uctx;
    uint64_t peek[SIDES];
    uint64_t missed[SIDES]; /* counted when peek was moved over them */
    uint32_t hist[SIDES];
    int sock;
    bool no_peek[SIDES]; /* MOS_*BUF was set to 0 */
    bool stopped[SIDES]; /* MOS_STOP_MON */
};

static inline bool mon_conn_lives(const struct mon_conn *c)
{
    return c->flow || c->wire;
}

static inline bool side_is_one(int side)
{
    return side == MOS_SIDE_CLI || side == MOS_SIDE_SVR;
}

static inline int side_other(int side)
{
    return side == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI;
}

#endif

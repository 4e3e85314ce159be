/*
 * The simulation: two hosts with the whole stack, an impaired link between them, random
 * applications on both, monitors on both, one clock that only the simulation moves. One seed
 * reproduces a run.
 *
 *   plan.c    what a seed means: the link, the hosts' settings
 *   link.c    the link: delay, rate, queue, MTU, loss, bursts, reordering, duplication,
 *             corruption
 *   alter.c   what it does to their bytes: marks, evasion, fragments, smaller windows
 *   options.c random socket options
 *   traffic.c the applications: who sends how much, when, how it reads, how it ends; checks bytes
 *   lend.c    their writes with MSG_ZEROCOPY
 *   watch.c   the monitors: what each sees must be what the application reads, to the byte
 *   sim.c     one run; main.c: many
 *   hosts.c   two hosts and a link without all that, for the runs of their own: goodput.c, flood.c
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "mtcp/base/rng.h"
#include "mtcp_epoll.h"
#include "mtcp_io.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_CONNS_MAX 16
#define SIM_CHUNK     65536u /* bytes at most that are written, read or peeked in one call */
#define SIM_NEVER     UINT64_MAX

struct sim;

/* ---- plan.c ---- */

struct link_conf;
void plan_run(struct sim *s); /* what is to be known first */
void plan_link(struct sim *s, struct link_conf *c);
void plan_host(struct sim *s, unsigned i, char *text, size_t room); /* a configuration file */

/* The bulk run's: 2 % loss, 2 % reordering, 20 ms; and what a host is like by default. */
void plan_bulk_link(struct link_conf *c);
void plan_bulk_host(struct sim *s, unsigned i, char *text, size_t room);

/* ---- link.c ---- */

struct link_conf {
    uint64_t delay_us, jitter_us; /* jitter reorders */
    uint64_t bytes_per_sec;       /* 0: no limit */
    uint32_t queue_bytes;         /* tail drop beyond it */
    uint32_t loss_ppm, burst_ppm; /* random loss; start of a burst of losses */
    uint32_t burst_len;
    uint32_t dup_ppm, corrupt_ppm, reorder_ppm;
    uint32_t ce_ppm;     /* packets that may be marked are */
    uint32_t evade_ppm;  /* a copy of a data segment with other bytes, shifted or cut, before it; or
                          * one with a wrong checksum, or a reset that is none */
    uint32_t shrink_ppm; /* the window that a segment offers is taken back, or some of it */
    uint32_t frag_ppm;   /* segments that arrive in IP fragments */
    uint16_t mtu;        /* of the devices */
    uint16_t mtu_min;    /* of the path, which changes: at least so much */
    uint64_t mtu_change_us; /* at least once in so long; 0: never */
    bool is_black_hole;     /* nobody tells the sender */
};

struct link_stats {
    uint64_t sent, delivered, lost, duplicated, corrupted, reordered, evasions, resets, queue_drops,
        marked, too_big, shrunk, fragments;
};

struct link;
struct link *link_create(struct sim *s, const struct link_conf *conf);
void link_destroy(struct link *l);
struct mtcp_io *link_end(struct link *l, unsigned end);
uint64_t link_next_us(const struct link *l);
const struct link_stats *link_stats(const struct link *l);
size_t link_pkts_out(const struct link *l); /* packet buffers not given back */

/* A frame from somewhere else joins those on the way to an end. */
void link_inject(struct link *l, unsigned end, const uint8_t *frame, uint32_t len);

/* ---- alter.c ---- */

#define LINK_ROOM 2048u /* of a frame */

/* A copy of a data segment with other bytes, perhaps shifted into its neighbour: valid in every
 * other respect, as an evader would send it. Its length; 0: it is no data segment. */
uint32_t alter_evade(struct rng *r, uint8_t *to, const uint8_t *frame, uint32_t len);

/* A reset from where its receiver is not, or, with a checksum that is wrong, from where it may be.
 * Its length; 0: the frame is no data segment. */
uint32_t alter_reset(struct rng *r, uint8_t *to, const uint8_t *frame, uint32_t len);

/* A router's mark instead of a loss, on what says that it may be marked (RFC 3168 5). */
bool alter_mark(uint8_t *frame, uint32_t len);

/* The window's right edge moves to the left, perhaps to the acknowledgement itself. */
bool alter_window(struct rng *r, uint8_t *frame, uint32_t len);

/* The message of a router that can't pass on the frame: fragmentation needed (RFC 1191), packet too
 * big (RFC 8201). Its length; 0: the frame is no TCP segment. */
uint32_t alter_too_big(uint8_t *to, const uint8_t *frame, uint32_t len, uint16_t mtu);

/* The fragment of a segment's packet with `size` bytes (a multiple of 8) from `off` on. Its length;
 * 0: there is none, or it is no TCP segment. */
struct alter_cut {
    uint32_t off, size, id;
};
uint32_t alter_fragment(uint8_t *to, const uint8_t *frame, uint32_t len, struct alter_cut c);

/* ---- traffic.c ---- */

enum abort_by {
    ABORT_BY_CALL,   /* mtcp_abort() */
    ABORT_BY_LINGER, /* SO_LINGER with no time, and close */
    ABORT_BY_CLOSE,  /* close: what was written still goes out */
    N_ABORT_BY,
};

/* What one side of one connection does; both sides are decided when the run begins. */
struct plan {
    uint64_t total; /* bytes to send */
    uint32_t write_max, read_max;
    uint32_t pause_ppm; /* per action: stop for pause_us */
    uint64_t pause_us;
    unsigned n_pauses;    /* at most: a slow reader is not to read for an hour */
    bool half_close;      /* SHUT_WR after the last byte, then read to the end; else close at once
                             when the peer's end was read */
    uint64_t abort_after; /* bytes sent after which it aborts; UINT64_MAX: never */
    uint64_t abort_us;    /* time after which it does, whatever happens; SIM_NEVER */
    enum abort_by abort_by;
    uint32_t option_ppm;     /* per action: another socket option */
    uint32_t flags_ppm;      /* per write and read: MSG_MORE, MSG_OOB, MSG_PEEK */
    uint32_t rcvbuf, sndbuf; /* 0: default */
};

/* One side of one connection, as the run goes. */
struct flow_side {
    struct plan plan;
    int sock; /* -1: none (yet, or any more) */
    bool connected, sent_all, got_end, closed, failed;
    uint64_t sent, got; /* bytes written to and read from the socket */
    uint64_t resume_us;
    struct {
        struct lent *first, *last; /* bytes that the stack may use */
        uint32_t n_calls, n_told;
    } lent;         /* lend.c */
    uint8_t *bytes; /* what was read (evasive runs: the truth for the monitor) */
    size_t bytes_room;
    int error;
};

struct sim_conn {
    unsigned id;
    uint16_t port; /* the client's: how both ends and the monitors find it */
    uint64_t start_us;
    struct flow_side side[2]; /* 0 client, 1 server */
};

/* Is it one of IPv6? The connection of a client's port and family (an IPv4 address may be mapped);
 * NULL: none. */
bool sim_conn_is_v6(const struct sim *s, const struct sim_conn *c);
struct sim_conn *sim_conn_of(struct sim *s, const struct sockaddr_in6 *client);

/* What `side` of connection `id` sends from an offset on: SIM_CHUNK bytes of it. */
const char *sim_bytes(const struct sim *s, unsigned id, unsigned side, uint64_t off);

void traffic_plan(struct sim *s);
bool traffic_step(struct sim *s); /* lets every application act once; did anything happen? */
bool traffic_done(const struct sim *s);
uint64_t traffic_next_us(const struct sim *s);
void traffic_check_end(struct sim *s);

/* ---- lend.c ---- */

/* As mtcp_send() with flags. */
ssize_t lend_write(struct sim *s, unsigned host, struct flow_side *f, const char *data, size_t n,
                   int flags);
void lend_collect(struct sim *s, unsigned host, struct flow_side *f); /* what is told */
void lend_end(struct flow_side *f);                                   /* the socket is closed */

/* ---- options.c ---- */

/* What a program may ask of its sockets, at random: before listen(), before connect() or after
 * accept(), and while data flows. */
void options_listen(struct sim *s, int sock);
void options_begin(struct sim *s, unsigned host, int sock, const struct plan *p);
void options_change(struct sim *s, unsigned host, int sock);

/* ---- goodput.c ---- */

/* The table of goodput by congestion control, buffer, round trip, loss and reordering; one line per
 * cell. With a file that holds an earlier table: prints the cells that differ by more than a sixth
 * (deterministic, but every change shifts which segments are lost), false when there are any. */
bool goodput_table(const char *file);

/* ---- flood.c ---- */

/* Spoofed SYNs for a server that serves: are its connections as fast as without them, do newcomers
 * get through, is its memory what it was? Prints a line per family and what fails; false: something
 * does. */
bool flood_run(uint64_t n_syns);

/* ---- watch.c ---- */
void watch_attach(struct sim *s, unsigned host);
void watch_check_end(struct sim *s);
uint64_t watch_seed_spared(uint64_t n); /* of a run whose monitors ask for no packets */

/* ---- sim.c ---- */

struct host {
    mctx_t mctx;
    int epid, listener;
    uint64_t mem_start;
};

/* What a set of runs must have seen at least once (TESTING.md). */
struct sim_seen {
    uint64_t drops, ooo, overlaps, resizes, rtos, zero_windows, resets, fast_rexmits, events, conns,
        bytes, inconsistent, rewritten, forged_resets, ecn_reductions, shrunk, reassembled,
        mtu_lowered, cookies, fastopens, lent, dozed;
};

struct sim {
    uint64_t seed, now_us;
    struct rng rng;
    bool evasive, isn_wrap, verbose;
    bool is_v6;         /* hosts with both families; most connections are of IPv6 */
    bool is_black_hole; /* the link's MTU changes and nobody says so */
    bool fastopen;      /* both ways; so data of a SYN may come twice (RFC 7413 2.1) */
    int lender;         /* the host whose long writes are lent; -1: none */
    int unwatched;      /* the lender or another, whose connections doze; -1: none */
    uint64_t bulk; /* bytes each way over one connection and a fixed bad link; 0: a random run */
    unsigned n_conns;
    struct sim_conn conn[SIM_CONNS_MAX];
    struct host host[2]; /* 0 client, 1 server */
    struct link *link;
    struct sim_seen seen;
    bool is_told;   /* one more monitor asks for packets, so that nothing is spared */
    uint64_t trace; /* of what the first ones heard and saw */
    unsigned n_failures;
};

/* A failed check: printed with the seed, counted; the run goes on. */
void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One run; false when a check failed. Adds to *seen. */
bool sim_run(uint64_t seed, bool verbose, struct sim_seen *seen);

/* Twice the same run, the first time with monitors that are told little (watch.c: of those there is
 * a run for each n), then with others beside them that are told all. False when the first ones
 * heard or saw anything else, or a check failed. */
bool sim_run_spared(uint64_t n, bool verbose, struct sim_seen *seen);

/* The bulk run: `bytes` each way over one connection, hosts with defaults and one bad link. */
bool sim_run_bulk(uint64_t bytes, bool is_v6, struct sim_seen *seen);

/* ---- hosts.c ---- */

/* 10.0.0.1 or fd00::1, 10.0.0.2 or fd00::2, with a clock that only hosts_tick() moves. */
struct hosts {
    struct sim sim; /* its clock, its random numbers, its link */
    mctx_t m[2];
    int epid[2];
};

/* `conf`: more lines of both configurations. Without success the program ends. */
void hosts_open(struct hosts *h, const struct link_conf *lc, bool is_v6, const char *conf);
void hosts_turn(struct hosts *h);                    /* one of each stack */
void hosts_tick(struct hosts *h, uint64_t until_us); /* to when something is due */
void hosts_close(struct hosts *h);

static inline bool sim_chance(struct rng *r, uint32_t ppm)
{
    return ppm && rng_below(r, 1000000) < ppm;
}

#endif

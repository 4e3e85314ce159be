/*
 * The scoreboard of one connection: one record per segment sent and not yet cumulatively
 * acknowledged, in order of sequence and without gaps, in a ring inside one block of memory that
 * doubles as needed. Plus the variables of loss recovery, which are recovery.c's. Private to
 * flight.c, recovery.c and their tests.
 *
 * Offsets are the low 32 bits of stream offsets; all that is in flight lies within 2^31.
 *
 * Memory: the first block is 256 bytes and comes from the cache of freed blocks. When none can be
 * had, records are merged into the last one: coarser knowledge, not less safety.
 */
#ifndef MTCP_TCP_FLIGHT_H
#define MTCP_TCP_FLIGHT_H

#include "mtcp/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define FLIGHT_BLOCK_MAX (1u << 20) /* about 65,500 records */

enum rec_flag {
    REC_SACKED = 1 << 0,
    REC_LOST = 1 << 1,      /* believed lost and not sent again since */
    REC_REXMITTED = 1 << 2, /* sent more than once: no RTT from it (Karn) */
};

struct rec {
    uint32_t start, end;
    union {
        uint32_t at_us; /* last sent, low 32 bits of the clock */
        uint32_t n_run; /* SACKED: it and n_run - 1 records behind it are SACKED (at least) */
    };
    uint8_t flags; /* enum rec_flag */
    bool psh;      /* it ends with a PSH, also when it is sent again */
    uint8_t pad[2];
};

/* Retransmissions in the order in which they were sent, for RACK. */
struct rexmit {
    uint32_t start, at_us;
};

enum flight_phase {
    PHASE_OPEN,     /* nothing unusual: no SACKed or lost record, no duplicate ACK */
    PHASE_CWR,      /* cwnd shrinks on the peer's ECN echo, until `cwr_end` is acknowledged */
    PHASE_DISORDER, /* something was SACKed or acknowledged twice, nothing is believed lost */
    PHASE_RECOVERY, /* fast recovery until `recover` is acknowledged */
    PHASE_LOSS,     /* after a timeout, until `recover` is acknowledged */
};

/* What the retransmission timer waits for. */
enum flight_timer { FLIGHT_TIMER_RTO, FLIGHT_TIMER_REO, FLIGHT_TIMER_TLP };

struct tcp_flight {
    /* -- the ring (flight.c) -- */
    uint32_t n, cap, first;
    uint32_t sacked_bytes; /* without SACK: what duplicate ACKs tell of */
    uint32_t lost_bytes;
    uint32_t n_sacked;  /* SACKED records */
    uint32_t lost_from; /* no LOST record lies below */
    /* -- recovery.c -- */
    uint32_t rack_from; /* records below it that were sent once are judged */
    uint32_t rack_at_us, rack_end, rack_rtt_us;  /* RFC 8985: RACK.xmit_ts, .end_seq, .rtt */
    uint32_t fack;                               /* highest offset SACKed or acknowledged */
    uint32_t recover;                            /* snd_max when recovery began (RFC 6582, 6675) */
    uint32_t prr_delivered, prr_out, recover_fs; /* RFC 9937 */
    uint32_t round_end;                /* snd_max when cwnd was last found used most ... */
    uint32_t tlp_end;                  /* snd_max when a tail loss probe was sent */
    uint32_t cwr_end;                  /* snd_max when an ECN echo last lowered ssthresh */
    uint32_t undo_cwnd, undo_ssthresh; /* undo.c: before the reduction */
    uint32_t tlp_armed_us;  /* when the timer was last set behind a burst of new segments */
    struct rexmit *rexmits; /* ring of rexmit_cap; NULL: none */
    uint16_t rexmit_first, rexmit_n;
    uint16_t rexmit_cap;
    uint16_t round_most; /* ... in slow start: segments that were outstanding then */
    uint16_t n_undo;     /* segments sent again that the peer has not reported as duplicates */
    uint8_t phase : 4, timer : 4; /* enum flight_phase, flight_timer */
    bool rack_valid : 1;          /* rack_* and fack say something */
    bool reordering_seen : 1, dsack_noted : 1;
    bool guard : 1;        /* without SACK: no fast retransmit at or below `recover` (RFC 6582) */
    bool partial_seen : 1; /* a partial ACK came in this recovery (RFC 6582 step 3) */
    bool tlp_is_pending : 1, tlp_is_rexmit : 1;
    bool tlp_is_due : 1;                          /* the next flush sends a probe */
    bool undo_is_possible : 1, undo_is_asked : 1; /* asked: the first ACK that can tell has come */
    uint8_t n_dup_acks;
    uint8_t reo_mult;   /* RFC 8985: RACK.reo_wnd_mult */
    uint8_t reordering; /* segments, the largest distance; TCP_INFO's */
    struct rec rec[];
};

_Static_assert(sizeof(struct tcp_flight) + sizeof(struct rec) <= 128,
               "a ping-pong takes one block");

/* A new scoreboard; NULL when there is no memory. */
struct tcp_flight *flight_new(struct mem *mem);
void flight_free(struct tcp_flight *f, struct mem *mem);

static inline bool off_lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool off_leq(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

/* The i-th record in order, i < f->n. */
static inline struct rec *flight_at(struct tcp_flight *f, uint32_t i)
{
    uint32_t at = f->first + i;
    return &f->rec[at < f->cap ? at : at - f->cap];
}

static inline const struct rec *flight_peek(const struct tcp_flight *f, uint32_t i)
{
    uint32_t at = f->first + i;
    return &f->rec[at < f->cap ? at : at - f->cap];
}

static inline uint32_t rec_len(const struct rec *r)
{
    return r->end - r->start;
}

/* How many SACKed records begin with the i-th. */
static inline uint32_t flight_run(const struct tcp_flight *f, uint32_t i)
{
    uint32_t n = flight_peek(f, i)->n_run;
    return n < f->n - i ? n : f->n - i;
}

/* Appends what was sent for the first time: from the last record's end (or `from`) to `to`. May
 * move *fp. */
void flight_push(struct tcp_flight **fp, struct mem *mem, uint32_t from, uint32_t to,
                 uint32_t now_us);

/* Index of the record that holds `off`, f->n when it lies beyond the last; the first one's for
 * everything below. */
uint32_t flight_find(const struct tcp_flight *f, uint32_t off);

/* Makes `off` a boundary, if memory allows: the record that holds it becomes two. False: it is
 * none. */
bool flight_split(struct tcp_flight **fp, struct mem *mem, uint32_t off);

/* Forgets everything below `off`. */
void flight_trim(struct tcp_flight *f, uint32_t off);

/* Changes what is known of a record, and the sums. */
void flight_mark_sacked(struct tcp_flight *f, struct rec *r);
void flight_mark_lost(struct tcp_flight *f, struct rec *r);

/* It was sent again. Of LOST records, the first. */
void flight_mark_resent(struct tcp_flight *f, struct mem *mem, struct rec *r, uint32_t now_us);

/* Everything that is not SACKED is lost (after a timeout); the record of retransmissions is void.
 */
void flight_mark_all_lost(struct tcp_flight *f);

/* Nothing is lost after all. */
void flight_unmark_lost(struct tcp_flight *f);

/* SACK information is void: the peer may have dropped what it reported (RFC 2018 section 8). */
void flight_forget_sacks(struct tcp_flight *f, uint32_t now_us);

/* The first LOST record at or above lost_from; NULL: none. */
const struct rec *flight_first_lost(const struct tcp_flight *f);

/* The oldest retransmission that is neither acknowledged, SACKED, nor lost again; NULL: none.
 * flight_pop_rexmit() passes over it. */
struct rec *flight_oldest_rexmit(struct tcp_flight *f);
void flight_pop_rexmit(struct tcp_flight *f);

#endif

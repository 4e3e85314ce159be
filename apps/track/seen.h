/*
 * Which bytes of one direction of a connection have passed by, for a monitor that only sees
 * segments: which part of a segment is new, which came again, what is missing before it, and what
 * was acknowledged without having been seen. Knows neither packets nor the library.
 *
 * Offsets count payload bytes from 0; SYN is at -1, FIN follows the last byte. They have 64 bits: a
 * sequence number is taken for the one nearest to the highest offset seen (RFC 9293 3.4).
 */
#ifndef TRACK_SEEN_H
#define TRACK_SEEN_H

#include <stdbool.h>
#include <stdint.h>

/* So many runs beyond a hole are told apart; beyond that the last hole counts as seen. */
#define SEEN_RUNS_MAX 1024u

struct seen_run {
    uint64_t start, end;
};

struct seen {
    uint32_t base; /* sequence number of offset 0 */
    uint64_t next; /* everything before was seen, or given up */
    uint64_t end;  /* one past the highest byte seen; runs lie between the two */
    struct seen_run *runs;
    uint32_t n_runs, room;
};

/* What a segment's payload was. */
enum seen_what {
    SEEN_NEW = 1 << 0,   /* has bytes that were never seen */
    SEEN_AGAIN = 1 << 1, /* has bytes that were seen before */
    SEEN_AHEAD = 1 << 2, /* begins beyond the highest byte seen: a hole lies before it */
    SEEN_FILLS = 1 << 3, /* has new bytes below the highest byte seen: from a hole */
};

/* base: the sequence number after the SYN's. No memory is held before a hole appears. */
void seen_init(struct seen *s, uint32_t base);
void seen_free(struct seen *s);

/* The offset of a sequence number. */
int64_t seen_off(const struct seen *s, uint32_t seq);

/* Bytes [from, from + len) pass by: enum seen_what, 0 for len 0. Without memory for a run, the hole
 * before it counts as seen. */
unsigned seen_add(struct seen *s, int64_t from, uint64_t len);

/* All before `to` was received by the peer: gives up what was not seen of it, and says how much
 * that is. */
uint64_t seen_give_up(struct seen *s, int64_t to);

#endif

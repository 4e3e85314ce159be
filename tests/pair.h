/*
 * Two connections, a link between them that delays, loses, reorders and duplicates, and one clock:
 * all of tcp/ against itself, without packets, sockets or tables. Each end writes its bytes, shuts
 * down, reads; every byte is checked. The simulation (tests/sim) does the same with the whole
 * stack; this one is for loss recovery, where a number of a scoreboard matters more than a frame.
 */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include "mtcp/tcp/tcp.h"

#include <stdbool.h>
#include <stdint.h>

#define PAIR_FRAMES_MAX 4096

struct pair_conf {
    uint32_t delay_us, jitter_us; /* one way; jitter reorders */
    uint32_t us_per_kb;           /* 0: no limit of rate */
    uint32_t queue_us;            /* tail drop when the queue is longer; 0: never */
    uint32_t loss_ppm, dup_ppm;
    uint32_t max_len;  /* of a segment given to the link, which cuts it; 0: mss */
    uint32_t read_max; /* bytes an application reads per turn; 0: all there is */
    uint64_t n_bytes[2];
    uint32_t rcvbuf, sndbuf; /* fixed; 0: default */
    bool no_sack, no_ts, no_wscale;
    bool mem_is_short;           /* now and then there is no memory */
    const struct tcp_cc_ops *cc; /* NULL: default */
};

struct pair_end {
    struct tcp_env env;
    struct tcp_conn conn;
    struct mem *mem;
    uint64_t n_written, n_read;
    bool is_shut;
    uint64_t n_frames, n_lost;
};

struct pair_frame {
    uint64_t at_us;
    unsigned to;
    struct seg seg;
    uint8_t *bytes;
};

struct pair {
    struct pair_end end[2]; /* 0 opens actively */
    struct pair_conf conf;
    struct rng rng;
    struct pair_frame frame[PAIR_FRAMES_MAX]; /* by time of arrival, the next one last */
    unsigned n_frames;
    uint64_t busy_until_us[2];
    uint64_t now_us;
    const char *failure; /* what went wrong first; NULL: nothing */
    /* Decides the fate of one segment, NULL: chance does. True: lost. */
    bool (*drops)(struct pair *p, unsigned from, const struct seg *s, uint64_t nth);
};

/* Connected, nothing sent. */
struct pair *pair_new(const struct pair_conf *conf, uint64_t seed);

/* Lets time pass until both have everything and are closed, or `limit_us` is over. When it
 * happened. */
uint64_t pair_run(struct pair *p, uint64_t limit_us);

/* Did all go well: every byte right, both ends closed, no memory left? Frees the pair. */
bool pair_end_well(struct pair *p);

#endif

/*
 * What a line of the log says of a connection, gathered segment by segment: the states of both
 * hosts, the history, bytes and packets. The rules are those that Zeek documents for its conn.log,
 * and where the documentation leaves something open, what Zeek does:
 *
 *   letter           what                                     how often
 *   S H A D F R      SYN, SYN-ACK, bare ACK, payload, FIN,    A, D once; S, H, F, R again when the
 *                    RST (a FIN or RST with payload is no D)  sequence number is another one
 *   T W G            payload that came again, zero window,    the 1st, 10th, 100th, ... time
 *                    bytes acknowledged but never seen
 *   I Q              FIN and RST; SYN and FIN, SYN and RST    once
 *
 * Of the originator in capitals, of the responder in small letters. C (bad checksum) and ^ (roles
 * turned round) don't occur: the monitor sees no packet with a bad checksum, and knows who is who.
 * Knows neither the library nor the output.
 */
#ifndef CONNLOG_RECORD_H
#define CONNLOG_RECORD_H

#include "apps/track/seen.h"
#include "apps/track/segment.h"

#include <stdbool.h>
#include <stdint.h>

/* Letters that are kept; who sends FINs of ever new sequence numbers gets no more. */
#define HISTORY_MAX 79

/* Zeek's states of an endpoint. */
enum host_state {
    HOST_INACTIVE, /* nothing seen of it */
    HOST_SYN_SENT,
    HOST_SYN_ACK_SENT, /* the originator began with a SYN-ACK */
    HOST_PARTIAL,      /* the connection was there before */
    HOST_ESTABLISHED,
    HOST_CLOSED, /* sent a FIN */
    HOST_RESET,  /* sent a RST */
};

enum record_who { ORIGINATOR, RESPONDER };

/* An event that is written at its 1st, 10th, 100th, ... time. */
struct record_count {
    uint32_t n, next; /* 0: the first */
};

/* One host: what it sent. */
struct record_host {
    struct seen seen;
    int64_t end;   /* offset after the last sequence number used, FIN counted */
    int64_t acked; /* ... acknowledged by the other host */
    uint64_t n_pkts, n_ip_bytes;
    uint64_t n_plain, n_plain_bytes;       /* of those, what record_plain() was told of */
    uint32_t last_syn, last_fin, last_rst; /* sequence numbers, of those that are in the history */
    struct record_count again, zero_window, gap;
    uint8_t state, before; /* enum host_state */
    uint8_t letters;       /* enum in record.c: those that came */
    bool has_begun;        /* its numbers are known */
    bool has_fin, has_rst;
    bool is_done; /* its last word, FIN or RST, was said */
};

/* What a host sent that is no news: packets in sequence, of which the letters are known. */
struct record_plain {
    uint64_t packets, bytes; /* so far */
    uint32_t next_seq, ack;  /* after the last of them */
};

struct record {
    struct record_host host[2]; /* enum record_who */
    uint64_t missed;            /* bytes in gaps */
    uint32_t last_us;           /* clock of the last segment that counts for the duration */
    uint8_t n_history;
    char history[HISTORY_MAX + 1];
};

void record_init(struct record *r, uint32_t now_us);
void record_free(struct record *r);

/* A segment that `from` sent. */
void record_segment(struct record *r, enum record_who from, const struct segment *s);

/* Segments of both hosts that were not shown to record_segment(), before the next that is: those
 * for which MOS_ON_PKT_NOTABLE does not fire. By who sent them; at_us: of the last. */
void record_plain(struct record *r, const struct record_plain plain[2], uint32_t at_us);

/* "SF", "S0", ...: of the 13 that Zeek has. */
const char *record_state(const struct record *r);

/* Bytes of payload by sequence numbers. */
uint64_t record_bytes(const struct record *r, enum record_who of);

#endif

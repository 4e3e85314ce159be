/*
 * Segment tests: one connection, no network, no sockets, a clock that stands still. Send exactly this
 * segment, expect exactly these, and then silence.
 *
 *     struct segt *t = segt_established();
 *     seg_in(t, "PA 1+100 ack=1 win=5000");        100 bytes from the peer's offset 0
 *     seg_expect(t, "A 1 ack=101");                one pure ACK ...
 *     seg_silence(t);                              ... and nothing else
 *
 * A segment is FLAGS SEQ[+LEN] and then, in any order, ack= win= mss= ws= sackok ts=val,ecr
 * sack=a-b,c-d urg= joined= (payload of each of several that a device joined) ecn (both flags, in a SYN) and the IP header's notect, ect0, ce. Numbers count from each side's initial sequence number (0 = SYN, 1 = first byte).
 * Flags: S F R P A U E C, `.` for none. In expectations only what is written is compared, but flags,
 * seq and len always; payload bytes are always checked against the pattern seg_byte().
 * The initial sequence numbers of both sides lie just below 2^32 unless SEGT_ISN says otherwise.
 */
#ifndef TESTS_SEG_H
#define TESTS_SEG_H

#include "mtcp/tcp/tcp.h"
#include "tests/test.h"

#define SEGT_TX_MAX 256

struct segt {
    struct tcp_env env;
    struct tcp_conn conn;
    struct tcp_half_open half;
    struct mem *mem;
    uint32_t our_isn, peer_isn;
    struct tcp_tx tx[SEGT_TX_MAX]; /* sent, not yet expected */
    unsigned n_tx, at_tx;
    unsigned last_in; /* what tcp_input returned last */
    uint64_t written; /* bytes written by segt_write */
    uint32_t max_len; /* bound on segments; 0: mss */
    bool drop_output; /* packets can't be built: tcp_output_sent(passed = false) */
};

/* A byte of the pattern that both sides send: by stream offset. */
uint8_t seg_byte(uint64_t off);

/* A connection in CLOSED; `params` may be changed before the first use. */
struct segt *segt_new(void);

/* Ready-made: listener side or client side, handshake done and nothing pending. Peer: mss 1000,
 * window 50000, no options but those of the string ("" or e.g. "ts=100,0 ws=2 sackok"). */
struct segt *segt_established_with(const char *syn_opts);
struct segt *segt_established(void);

/* Active open, SYN expected and taken. */
struct segt *segt_syn_sent(void);

/* Brought to a state by segments alone. */
struct segt *segt_in_state(enum tcp_state s);

void segt_free(struct segt *t); /* checks that no memory is left */

/* One segment in, then a flush. */
void seg_in(struct segt *t, const char *segment);
/* Several in one burst: no flush in between. */
void seg_in_burst(struct segt *t, const char *const *segments, unsigned n);
/* Payload from `payload` instead of the pattern. */
void seg_in_bytes(struct segt *t, const char *segment, const char *payload);

void seg_expect_at(struct segt *t, const char *segment, const char *file, int line);
#define seg_expect(t, s) seg_expect_at(t, s, __FILE__, __LINE__)
void seg_silence_at(struct segt *t, const char *file, int line);
#define seg_silence(t) seg_silence_at(t, __FILE__, __LINE__)

/* The application: writes the next n bytes of the pattern; reads and checks up to n bytes. */
int64_t segt_write(struct segt *t, uint32_t n);
uint32_t segt_read(struct segt *t, uint32_t n);
void segt_flush(struct segt *t);

/* Time passes: timers run as they come due, each followed by a flush. */
void segt_advance(struct segt *t, uint64_t us);

#define expect_state(t, s) EXPECT_EQ((t)->conn.state, s)

#endif

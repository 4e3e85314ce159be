/*
 * An established connection on which nothing happens, in half the bytes: nothing is stored or in
 * flight in either direction, nothing is owed and no monitor listens. It is made from the
 * connection when, and only when, waking it gives back the connection as it was, byte for byte.
 */
#ifndef MTCP_TCP_DORMANT_H
#define MTCP_TCP_DORMANT_H

#include "mtcp/tcp/conn.h"

enum { DORMANT_RCV, DORMANT_SND, DORMANT_STREAMS };

struct tcp_dormant {
    struct flow flow;
    struct flow_tuple tuple; /* where a connection has it */
    uint32_t flags;
    uint64_t next[DORMANT_STREAMS];
    uint64_t last_active_us;
    struct tcp_opt_ext *ext;
    uint32_t limit[DORMANT_STREAMS], mark[DORMANT_STREAMS];
    uint32_t rcv_room; /* rcv_adv beyond next */
    tcp_seq_t iss, irs;
    uint32_t ts_recent, ts_offset, ts_recent_s;
    uint32_t snd_wnd, snd_wnd_max;
    tcp_seq_t snd_wl1;
    uint32_t srtt_us, rttvar_us, min_rtt_us;
    uint32_t cwnd, ssthresh;
    union tcp_cc_state cc;
    uint32_t snd_at_us;
    int sock;
    uint16_t mark_at[DORMANT_STREAMS];
    uint16_t mss, rcv_mss, mss_peer;
    uint16_t user_mss : 15;
    uint16_t is_unpushed : 1;
    uint8_t alloc_log2[DORMANT_STREAMS];
    uint8_t rcv_policy : 1, rcv_is_auto : 1, snd_policy : 1, snd_is_auto : 1;
    uint8_t cc_index : 3; /* in tcp_cc_all */
    uint8_t is_timed : 1; /* it is a struct tcp_dormant_timed */
    uint8_t rcv_wscale, snd_wscale;
    uint8_t n_quick : 5;
    uint8_t rto_shift : 3;
    uint8_t challenge_slot;
    uint8_t tos, ttl;
    uint8_t marks;
};
_Static_assert(sizeof(struct tcp_dormant) <= 208,
               "a dormant connection is small (PERFORMANCE.md W5)");

/* One with a deadline (keepalive, idle timeout): that is what the timer, once armed, is armed for.
 */
struct tcp_dormant_timed {
    struct tcp_dormant d;
    struct timer timer;
};

/* Would c need one? */
static inline bool tcp_dormant_is_timed(const struct tcp_conn *c)
{
    return c->aux_at != WHEEL_NEVER_US;
}

/* Fills *d with what c is, the timer not armed; false: c is not at rest. Pure but for *d. */
MUST_CHECK bool tcp_dormant_init(struct tcp_dormant *d, const struct tcp_conn *c);

/* Sets *c to what it was, its timer not armed; c->ext belongs to c from now on. */
void tcp_dormant_wake(const struct tcp_dormant *d, struct tcp_conn *c);

#endif

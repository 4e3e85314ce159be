/*
 * What is known of data in flight, and what an ACK says about it: the scoreboard of sent segments,
 * loss detection (SACK: RACK's time order with the duplicate-ACK threshold, RFC 8985 and 6675;
 * without SACK: NewReno, RFC 6582), tail loss probes (RFC 8985 7), fast recovery with proportional
 * rate reduction (RFC 9937), limited transmit (RFC 3042), the response to a timeout (RFC 6298
 * 5.4-5.7, 5681). Calls congestion control; decides nothing about new data.
 *
 * struct tcp_flight (flight.h) is private to recovery.c and holds one record per segment sent and
 * not yet cumulatively acknowledged; it comes with the first byte in flight and goes with the last,
 * at the end of that turn.
 */
#ifndef MTCP_TCP_RECOVERY_H
#define MTCP_TCP_RECOVERY_H

#include "mtcp/tcp/conn.h"

/* What input.c found in an acceptable ACK (offsets already unwrapped and checked: snd_una <= ack <=
 * snd_max). SACK blocks are as received: recovery_ack() discards the impossible ones. */
struct tcp_ack {
    tcp_off_t ack;
    const struct seg *seg;
    bool has_data;       /* the segment carries payload, SYN or FIN, or is late: no duplicate ACK */
    bool window_changed; /* likewise */
};

/* Takes the ACK: advances snd_una, trims the send buffer and the scoreboard, samples the RTT, runs
 * loss detection and congestion control, manages the retransmission timer. */
void recovery_ack(struct tcp_env *e, struct tcp_conn *c, const struct tcp_ack *a);

/* An acceptable ACK carries ECE: cwnd is reduced, once per window of data (RFC 3168 6.1.2). Before
 * recovery_ack(). */
void recovery_ecn_echo(struct tcp_env *e, struct tcp_conn *c, tcp_off_t ack);

/* The next range to retransmit, if one is due and cwnd (or PRR) lets it go: [*from, *to). */
bool recovery_next(const struct tcp_env *e, const struct tcp_conn *c, tcp_off_t *from,
                   tcp_off_t *to);

/* Bytes of new data that the congestion window lets go now. */
uint32_t recovery_cwnd_room(const struct tcp_env *e, const struct tcp_conn *c);

/* The next segment of new data goes as a tail loss probe: nothing but the peer's window holds it
 * back (RFC 8985 7.3). */
bool recovery_probe_is_new(const struct tcp_conn *c);

/* How much of what is in flight probes a window that was shut over it: at most one segment. */
uint32_t recovery_probe_len(const struct tcp_conn *c);

/* [from, to) was sent (again): remembers it and arms the timer. FIN counts as one byte of sequence
 * space at its offset. Called before snd_max moves. */
struct tcp_sent {
    tcp_off_t from, to;
    bool rexmit, psh;
    bool probe; /* of a shut window: the persist timer goes on */
};
void recovery_sent(struct tcp_env *e, struct tcp_conn *c, const struct tcp_sent *s);

/* What was sent once and ended at `to`: did it end with a PSH? */
bool recovery_was_pushed(const struct tcp_conn *c, tcp_off_t to);

/* The retransmission timer fired: everything outstanding counts as lost, cwnd 1 segment. */
void recovery_timeout(struct tcp_env *e, struct tcp_conn *c);

/* The timer fired: was it RACK's reordering timer or that of a tail loss probe? Then it is handled
 * here and armed again; false: it is a retransmission timeout. */
bool recovery_timer(struct tcp_env *e, struct tcp_conn *c);

/* The path takes segments of c->mss only, no longer `was`: what is in flight in larger ones is
 * lost, which says nothing of congestion (RFC 1191 6.5). cwnd stays as many segments as it was (RFC
 * 5681 3.1). */
void recovery_mtu_lowered(struct tcp_env *e, struct tcp_conn *c, uint16_t was);

/* The peer did not take (all) the data that went with our SYN, which is sent again; that says nothing
 * of congestion. */
void recovery_syn_data_lost(struct tcp_env *e, struct tcp_conn *c);

/* Length of the oldest record in flight (perhaps several segments); 0: none. */
uint32_t recovery_oldest_len(const struct tcp_conn *c);

/* Bytes believed to be in the network (RFC 6675's pipe). */
uint32_t recovery_flight_bytes(const struct tcp_conn *c);
bool recovery_in_recovery(const struct tcp_conn *c);

/* What is known of what is in flight, in segments as Linux counts them: `lost` until acknowledged,
 * also when sent again; `reordering` the largest distance seen since there was nothing in flight. */
struct tcp_recovery_info {
    uint32_t sacked, lost, retrans, reordering;
    bool is_reducing, is_disordered, is_in_loss;
};
void recovery_info(const struct tcp_conn *c, struct tcp_recovery_info *info);

/* End of a turn: gives the scoreboard back when nothing is in flight. */
void recovery_release(struct tcp_env *e, struct tcp_conn *c);

/* Frees the scoreboard. */
void recovery_fini(struct tcp_env *e, struct tcp_conn *c);

#endif

/*
 * What an ACK delivers: cumulatively, by SACK (RFC 2018, 2883), by a duplicate ACK (RFC 5681), and
 * what the scoreboard knows after it. Part of recovery.c's work, which draws the conclusions.
 */
#ifndef MTCP_TCP_DELIVERY_H
#define MTCP_TCP_DELIVERY_H

#include "mtcp/tcp/recovery.h"

struct delivery {
    uint32_t acked;     /* bytes, cumulatively */
    uint32_t delivered; /* bytes, cumulatively or by SACK, that were not known before */
    uint32_t prior_pipe;
    uint32_t rtt_us;        /* of a segment sent once; 0: none */
    bool is_ambiguous;      /* a retransmitted segment was cumulatively acknowledged (Karn) */
    uint32_t resent_age_us; /* ... which was sent again so long ago, the latest if several */
    uint32_t oldest_age_us; /* ... the first if several */
    bool has_sack, has_dsack;
    bool has_original; /* a segment sent once, before recovery began, was not known before */
    bool is_dup;       /* a duplicate ACK (RFC 5681 section 2) */
    bool has_losses;   /* more is believed lost than before it */
};

/* Bytes sent and not cumulatively acknowledged. */
static inline uint32_t delivery_outstanding(const struct tcp_conn *c)
{
    return c->snd_una >= 0 ? (uint32_t)(c->snd_max - c->snd_una) : 0;
}

/* snd_una moves: bytes leave the send buffer, which may have room now. */
void delivery_una(struct tcp_env *e, struct tcp_conn *c, tcp_off_t ack);

/* With a scoreboard: what is acknowledged cumulatively leaves it; what the SACK blocks report is
 * marked. Without SACK a duplicate ACK says that one segment more has left the network, and a
 * cumulative ACK beyond the hole takes back as many as were reported that way. Each adds to *d. */
void delivery_cumulative(struct tcp_env *e, struct tcp_conn *c, const struct tcp_ack *a,
                         struct delivery *d);
void delivery_sacks(struct tcp_env *e, struct tcp_conn *c, const struct tcp_ack *a,
                    struct delivery *d);
void delivery_dup_ack(struct tcp_conn *c, struct delivery *d);
void delivery_take_back(struct tcp_conn *c, struct delivery *d);

/* Does the ACK report that something came twice? */
bool delivery_is_dsack(const struct seg *s);

#endif

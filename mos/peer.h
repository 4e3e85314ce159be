/*
 * The state of the host at the other end, as far as segments show it: what it must have moved
 * through when it sent the segments that were accepted from it, and when it received those that
 * were sent to it. A table, not a second TCP: losses are not modelled.
 */
#ifndef MOS_PEER_H
#define MOS_PEER_H

#include <stdint.h>

/* What a segment means for the host, lowest first: the order in which RFC 9293 3.10.7.4 takes it.
 */
enum peer_event {
    PEER_RST,        /* it sent or received a reset */
    PEER_SENT_SYN,   /* it sent a SYN */
    PEER_GOT_SYN,    /* it received a SYN */
    PEER_GOT_SYNACK, /* it received the answer to its SYN */
    PEER_SYN_ACKED,  /* it received an acknowledgement, which covers its SYN */
    PEER_FIN_ACKED,  /* ... and its FIN */
    PEER_SENT_FIN,
    PEER_GOT_FIN,
};

#define PEER_BIT(event) (1u << (event))
#define MOVES_MAX       8 /* longer than any path through the states of RFC 9293 figure 5 */

/* The states that a host moves through, in order (enum tcpstate). */
struct moves {
    uint8_t n;
    uint8_t to[MOVES_MAX];
};

/* What the events (PEER_BIT) of one segment do to a host in `state`. */
struct moves peer_move(uint8_t state, unsigned events);

#endif

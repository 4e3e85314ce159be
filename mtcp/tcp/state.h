/* The one setter of conn.state, with the table of legal moves (RFC 9293 figure 5). */
#ifndef MTCP_TCP_STATE_H
#define MTCP_TCP_STATE_H

#include "mtcp/tcp/conn.h"

/* Moves the state machine, tells the monitor and the socket (TCP_READY_CLOSED ...). An illegal move
 * is a bug here, never a peer's doing: BUG_ON. To CLOSED: timers off, dead list. */
void conn_set_state(struct tcp_env *e, struct tcp_conn *c, enum tcp_state to);

/* Ends the connection: end_reason (the first one counts), err for the application (0: none), CLOSED. */
void conn_die(struct tcp_env *e, struct tcp_conn *c, enum hook_end reason, int err);

bool tcp_state_move_is_legal(enum tcp_state from, enum tcp_state to);
const char *tcp_state_name(enum tcp_state s);

/* May the application's bytes still be sent? Has the handshake been done? */
static inline bool tcp_state_is_synchronized(uint8_t s)
{
    return s >= TCPS_ESTABLISHED;
}

#endif

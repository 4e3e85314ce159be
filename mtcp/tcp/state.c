/*
 * The connection state machine: one setter, one table (RFC 9293 figure 5). What follows from a state
 * for timers and for the socket happens here; what leads to it is decided in input.c and user.c.
 */
#include "mtcp/tcp/state.h"

#include "mtcp/tcp/timers.h"
#include "mtcp/tcp/zerocopy.h"

#define TO(s) (1u << (s))

/* From each state, the states it may move to. CLOSED can be reached from everywhere (RST, abort). */
static const uint16_t legal[TCPS_N] = {
    [TCPS_CLOSED] = TO(TCPS_SYN_SENT) | TO(TCPS_SYN_RCVD) | TO(TCPS_CLOSED),
    [TCPS_LISTEN] = 0,
    [TCPS_SYN_SENT] = TO(TCPS_SYN_RCVD) | TO(TCPS_ESTABLISHED) | TO(TCPS_CLOSED),
    [TCPS_SYN_RCVD] = TO(TCPS_ESTABLISHED) | TO(TCPS_FIN_WAIT_1) | TO(TCPS_CLOSED),
    [TCPS_ESTABLISHED] = TO(TCPS_FIN_WAIT_1) | TO(TCPS_CLOSE_WAIT) | TO(TCPS_CLOSED),
    [TCPS_FIN_WAIT_1] =
        TO(TCPS_FIN_WAIT_2) | TO(TCPS_CLOSING) | TO(TCPS_TIME_WAIT) | TO(TCPS_CLOSED),
    [TCPS_FIN_WAIT_2] = TO(TCPS_TIME_WAIT) | TO(TCPS_CLOSED),
    [TCPS_CLOSE_WAIT] = TO(TCPS_LAST_ACK) | TO(TCPS_CLOSED),
    [TCPS_CLOSING] = TO(TCPS_TIME_WAIT) | TO(TCPS_CLOSED),
    [TCPS_LAST_ACK] = TO(TCPS_CLOSED),
    [TCPS_TIME_WAIT] = TO(TCPS_CLOSED),
};

static const char *const names[TCPS_N] = {
    "CLOSED",     "LISTEN",     "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1",
    "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING",  "LAST_ACK", "TIME_WAIT",
};

bool tcp_state_move_is_legal(enum tcp_state from, enum tcp_state to)
{
    return from < TCPS_N && to < TCPS_N && (legal[from] & TO(to));
}

const char *tcp_state_name(enum tcp_state s)
{
    return s < TCPS_N ? names[s] : "?";
}

static void conn_enter_closed(struct tcp_env *e, struct tcp_conn *c)
{
    timers_stop_all(e, c);
    if (!c->end_reason)
        c->end_reason = HOOK_END_FIN;
    c->flags |= TCF_DEAD;
    c->dead_next = e->dead_head;
    e->dead_head = c;
    e->stats.conns_closed++;
    conn_mark_ready(e, c, TCP_READY_CLOSED);
}

static void conn_enter_time_wait(struct tcp_env *e, struct tcp_conn *c)
{
    timers_clear_rtx(c);
    timers_set_aux(e, c, e->now_us + e->params.tw_us);
    c->tw_syn = TW_SYN_NONE;
    conn_mark_ready(e, c, TCP_READY_CLOSED);
}

void conn_set_state(struct tcp_env *e, struct tcp_conn *c, enum tcp_state to)
{
    enum tcp_state from = c->state;
    BUG_ON(!tcp_state_move_is_legal(from, to));
    c->state = (uint8_t)to;
    if (unlikely(c->mon != NULL))
        e->hooks->state(e->mon, c->mon, (uint8_t)from, (uint8_t)to);
    if (to == TCPS_CLOSED)
        conn_enter_closed(e, c);
    else if (to == TCPS_TIME_WAIT)
        conn_enter_time_wait(e, c);
    else if (to == TCPS_ESTABLISHED)
        conn_mark_ready(e, c, TCP_READY_CONNECTED | TCP_READY_OUT);
}

void conn_die(struct tcp_env *e, struct tcp_conn *c, enum hook_end reason, int err)
{
    if (c->flags & TCF_DEAD)
        return;
    if (!c->end_reason)
        c->end_reason = (uint8_t)reason;
    if (err && !c->err) {
        c->err = (uint16_t)err;
        conn_mark_ready(e, c, TCP_READY_ERR);
    }
    zerocopy_over(e, c);
    conn_set_state(e, c, TCPS_CLOSED);
}

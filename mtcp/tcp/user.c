/*
 * What the application asks of a connection (RFC 9293 section 3.10.1 to 3.10.6): open, send,
 * receive, close, abort. Everything here only moves state and marks the connection; segments leave
 * with the flush at the end of the turn.
 */
#include "mtcp/tcp/fastopen.h"
#include "mtcp/tcp/handshake.h"
#include "mtcp/tcp/recovery.h"
#include "mtcp/tcp/state.h"
#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/timers.h"
#include "mtcp/tcp/tune.h"
#include "mtcp/tcp/zerocopy.h"

#include <errno.h>
#include <sys/socket.h>

void tcp_connect(struct tcp_env *e, struct tcp_conn *c)
{
    c->iss = tcp_isn(e, &c->tuple);
    c->flags |= TCF_NEEDS_SYN;
    if (e->params.wscale)
        c->flags |= TCF_WSCALE;
    if (e->params.ecn == 1)
        c->flags |= TCF_ECN;
    e->stats.conns_opened++;
    conn_set_state(e, c, TCPS_SYN_SENT);
    conn_mark_output(e, c);
}

/* Acknowledged bytes that a monitor may not have peeked are about to make room for new ones. */
static void warn_overrun(struct tcp_env *e, struct tcp_conn *c, uint32_t len)
{
    uint64_t head = stream_head(&c->snd);
    uint64_t after = stream_head_after(&c->snd, stream_next(&c->snd) + len);
    if (after > head)
        e->hooks->error(e->mon, c->mon, HOOK_OVERRUN, false, head, after);
}

static bool may_send(const struct tcp_conn *c)
{
    return (c->state == TCPS_ESTABLISHED || c->state == TCPS_CLOSE_WAIT || fastopen_is_pending(c) ||
            (c->marks & FASTOPEN_DEFERRED)) &&
           !(c->flags & (TCF_SND_FIN | TCF_SEND_RST | TCF_RST_QUEUED | TCF_CLOSE_QUEUED));
}

int64_t tcp_send(struct tcp_env *e, struct tcp_conn *c, const void *data, uint32_t len)
{
    if (c->state == TCPS_SYN_SENT || (c->state == TCPS_SYN_RCVD && !fastopen_is_pending(c)))
        return -ENOTCONN;
    if (!may_send(c))
        return -EPIPE;
    uint32_t room = tcp_writable(c);
    if (room == 0)
        return -EAGAIN;
    uint32_t n = len < room ? len : room;
    if (conn_tells_overruns(c)) {
        warn_overrun(e, c, n);
        if (!may_send(c))
            return -EPIPE; /* a monitor's code ended it */
    }
    int64_t taken = stream_append(&c->snd, e->mem, data, n);
    if (taken > 0)
        conn_mark_output(e, c);
    if (likely(taken != -ENOMEM) || c->snd.unread == 0)
        return taken;
    tune_snd_cut(c);
    return -EAGAIN;
}

void tcp_push(struct tcp_env *e, struct tcp_conn *c)
{
    c->flags &= ~(uint32_t)TCF_MORE;
    if ((c->flags & TCF_CORK) && may_send(c) && c->snd_una == c->snd_nxt && c->snd_wnd > 0 &&
        c->snd_nxt < (tcp_off_t)stream_next(&c->snd))
        c->flags |= TCF_PROBE; /* as the persist timer does */
    conn_mark_output(e, c);
}

/* Is telling the peer about the new window worth a segment (RFC 9293 3.8.6.2.2: half the buffer or
 * a full segment, here two so that reading segment by segment does not double the ACKs; one when
 * the peer sees less than a segment)? */
static bool window_update_is_due(const struct tcp_conn *c)
{
    uint64_t edge = stream_edge(&c->rcv);
    uint64_t sayable = stream_next(&c->rcv) + ((uint64_t)UINT16_MAX << c->rcv_wscale);
    uint64_t adv = (uint64_t)c->rcv_adv;
    if (edge > sayable)
        edge = sayable;
    if (edge <= adv)
        return false;
    uint64_t gain = edge - adv;
    uint64_t open = adv - stream_next(&c->rcv);
    uint64_t mss = c->rcv_mss;
    return gain >= (edge - stream_next(&c->rcv) + tcp_readable(c)) / 2 ||
           (open < mss ? gain >= mss : gain >= 4 * mss && open < gain);
}

void tcp_consumed(struct tcp_env *e, struct tcp_conn *c, uint32_t n)
{
    stream_consume(&c->rcv, n);
    if (c->flags & (TCF_DEAD | TCF_RCV_FIN)) {
        if (tcp_readable(c) == 0)
            conn_mark_output(e, c); /* so that the empty buffer goes back */
        return;
    }
    if (window_update_is_due(c))
        c->flags |= TCF_ACK_NOW;
    else if (tcp_readable(c) != 0)
        return;
    conn_mark_output(e, c);
}

/* Our side is done: FIN after what is queued; in SYN_RCVD the state moves with the handshake's end
 * (RFC 9293 3.10.4, in_establish()). */
static void conn_finish_sending(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->flags & TCF_SND_FIN)
        return;
    c->flags |= TCF_SND_FIN;
    c->flags &= ~(uint32_t)(TCF_MORE | TCF_CORK);
    c->is_unpushed = false;
    if (c->state == TCPS_ESTABLISHED)
        conn_set_state(e, c, TCPS_FIN_WAIT_1);
    else if (c->state == TCPS_CLOSE_WAIT)
        conn_set_state(e, c, TCPS_LAST_ACK);
    conn_mark_output(e, c);
}

int tcp_shutdown(struct tcp_env *e, struct tcp_conn *c, int how)
{
    if (c->state < TCPS_SYN_RCVD || (c->flags & TCF_DEAD))
        return -ENOTCONN;
    if (how == SHUT_RD || how == SHUT_RDWR) {
        c->flags |= TCF_SHUT_RD;
        conn_mark_ready(e, c, TCP_READY_FIN);
    }
    if (how == SHUT_WR || how == SHUT_RDWR)
        conn_finish_sending(e, c);
    return 0;
}

/* A closed socket's connection lives on for a bounded time only. */
static void conn_become_orphan(struct tcp_env *e, struct tcp_conn *c)
{
    if (!(c->flags & TCF_ORPHAN))
        e->n_orphans++;
    c->flags |= TCF_ORPHAN;
    c->sock = -1;
    if (c->state == TCPS_FIN_WAIT_2)
        timers_set_aux(e, c, e->now_us + e->params.fin_wait2_us);
}

/* Peers that let connections end slowly, or not at all, must not fill the memory with them (Linux's
 * tcp_max_orphans). In TIME_WAIT there is nobody left to tell. */
static bool is_orphan_too_many(struct tcp_env *e, const struct tcp_conn *c)
{
    if (likely(!e->params.max_orphans || e->n_orphans <= e->params.max_orphans) ||
        c->state == TCPS_TIME_WAIT)
        return false;
    e->stats.orphans_reset++;
    return true;
}

static bool close_loses_data(const struct tcp_conn *c)
{
    return tcp_readable(c) > 0 || (c->ext && c->ext->linger_s == 0);
}

void tcp_close(struct tcp_env *e, struct tcp_conn *c)
{
    if (!(c->flags & (TCF_DEAD | TCF_SEND_RST)))
        zerocopy_copy_all(e, c);
    if (e->user_depth) {
        c->flags |= TCF_CLOSE_QUEUED;
        conn_mark_output(e, c);
        return;
    }
    conn_become_orphan(e, c);
    if (c->flags & (TCF_DEAD | TCF_SEND_RST))
        return;
    if (c->state == TCPS_CLOSED || c->state == TCPS_SYN_SENT)
        conn_die(e, c, HOOK_END_ABORT, 0);
    else if (close_loses_data(c) || is_orphan_too_many(e, c))
        tcp_abort(e, c, HOOK_END_RST_OUT, 0);
    else
        conn_finish_sending(e, c);
    conn_mark_output(e, c); /* a TIME_WAIT may become a compact record now */
}

/* States in which an abort is worth a RST (RFC 9293 3.10.5). CLOSING and LAST_ACK begin when the
 * application closes; in the RFC's sense they do when the FIN has left. */
static bool abort_sends_rst(const struct tcp_conn *c)
{
    if (c->state == TCPS_CLOSING || c->state == TCPS_LAST_ACK)
        return c->snd_nxt <= (tcp_off_t)stream_next(&c->snd);
    return (1u << c->state) &
           (1u << TCPS_SYN_RCVD | 1u << TCPS_ESTABLISHED | 1u << TCPS_FIN_WAIT_1 |
            1u << TCPS_FIN_WAIT_2 | 1u << TCPS_CLOSE_WAIT);
}

/* From the moment when a monitor resets the connection the application gets no further byte: also
 * when the reset itself has to wait for a turn, or when the connection is ending for another reason
 * already. */
static void abort_discard(struct tcp_conn *c, enum hook_end reason)
{
    if (reason == HOOK_END_RESET_BY_MONITOR)
        stream_consume(&c->rcv, tcp_readable(c));
}

void tcp_abort(struct tcp_env *e, struct tcp_conn *c, enum hook_end reason, int err)
{
    abort_discard(c, reason);
    if (c->flags & (TCF_DEAD | TCF_SEND_RST))
        return;
    if (!c->end_reason)
        c->end_reason = (uint8_t)reason;
    if (err && !c->err) {
        c->err = (uint16_t)err;
        conn_mark_ready(e, c, TCP_READY_ERR);
    }
    if (e->user_depth) {
        c->flags |= TCF_RST_QUEUED;
        conn_mark_output(e, c);
        return;
    }
    if (!abort_sends_rst(c)) {
        conn_die(e, c, reason, err);
        return;
    }
    timers_stop_all(e, c);
    c->flags |= TCF_SEND_RST;
    e->stats.conns_reset_out++;
    conn_mark_output(e, c);
}

void tcp_run_queued(struct tcp_env *e, struct tcp_conn *c)
{
    uint32_t queued = c->flags & (TCF_RST_QUEUED | TCF_CLOSE_QUEUED);
    if (likely(queued == 0))
        return;
    c->flags &= ~queued;
    if (queued & TCF_RST_QUEUED) {
        abort_discard(c, (enum hook_end)c->end_reason); /* what came with the packet in hand */
        tcp_abort(e, c, (enum hook_end)c->end_reason, c->err);
    }
    if (queued & TCF_CLOSE_QUEUED)
        tcp_close(e, c);
}

void tcp_net_error(struct tcp_env *e, struct tcp_conn *c, int err, bool is_hard)
{
    if (is_hard && (c->state == TCPS_SYN_SENT || c->state == TCPS_SYN_RCVD))
        conn_die(e, c, HOOK_END_TIMEOUT, err);
    else
        c->soft_err = (uint8_t)err;
}

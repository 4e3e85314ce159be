#include "mtcp/tcp/dormant.h"

#include "mtcp/tcp/cc.h"
#include "mtcp/tcp/timers.h"

#include <string.h>

/* Whoever has one of these has something to do, or is about to end. The rest of what keeps a
 * connection awake is not 0, and the record has no place for it. */
#define BUSY                                                                                       \
    (TCF_ACK_NOW | TCF_ACK_DELAYED | TCF_SND_FIN | TCF_RCV_FIN | TCF_FIN_ACKED | TCF_SHUT_RD |     \
     TCF_ORPHAN | TCF_SEND_RST | TCF_PERSIST | TCF_PROBE | TCF_DEAD | TCF_RST_QUEUED |             \
     TCF_CLOSE_QUEUED | TCF_FIN_OOO | TCF_ON_OUT | TCF_ON_READY | TCF_REXMIT | TCF_NEEDS_SYN)

/* ---- streams --------------------------------------------------------------------------------- */

static void stream_pack(struct tcp_dormant *d, unsigned i, const struct stream *s)
{
    d->next[i] = s->next;
    d->limit[i] = s->limit;
    d->mark[i] = s->mark;
    d->mark_at[i] = s->mark_at;
    d->alloc_log2[i] = s->alloc_log2;
}

static void stream_unpack(const struct tcp_dormant *d, unsigned i, struct stream *s)
{
    s->next = d->next[i];
    s->limit = d->limit[i];
    s->mark = d->mark[i];
    s->mark_at = d->mark_at[i];
    s->alloc_log2 = d->alloc_log2[i];
}

/* ---- there ----------------------------------------------------------------------------------- */

static unsigned cc_index(const struct tcp_cc_ops *ops)
{
    unsigned i = 0;
    while (tcp_cc_all[i] != ops)
        i++;
    return i;
}

static void pack_paths(struct tcp_dormant *d, const struct tcp_conn *c)
{
    d->ts_recent = c->ts_recent;
    d->ts_offset = c->ts_offset;
    d->ts_recent_s = c->ts_recent_s;
    d->srtt_us = c->srtt_us;
    d->rttvar_us = c->rttvar_us;
    d->min_rtt_us = c->min_rtt_us;
    d->cwnd = c->cwnd;
    d->ssthresh = c->ssthresh;
    d->cc_index = cc_index(c->cc_ops) & 7u;
    d->cc = c->cc;
    d->mss = c->mss;
    d->mss_peer = c->mss_peer;
    d->rcv_mss = c->rcv_mss;
    d->user_mss = c->user_mss;
    d->is_unpushed = c->is_unpushed;
    d->n_quick = c->n_quick;
    d->rto_shift = c->rto_shift;
    d->challenge_slot = c->challenge_slot;
    d->tos = c->tos;
    d->ttl = c->ttl;
}

static void pack_deadline(struct tcp_dormant *d, const struct tcp_conn *c)
{
    d->is_timed = tcp_dormant_is_timed(c);
    if (d->is_timed)
        ((struct tcp_dormant_timed *)d)->timer.at_us = c->aux_at;
}

static void pack(struct tcp_dormant *d, const struct tcp_conn *c)
{
    d->flow = c->flow;
    d->flow.kind = FLOW_DORMANT;
    d->tuple = c->tuple;
    d->flags = c->flags;
    d->marks = c->marks;
    d->ext = c->ext;
    d->sock = c->sock;
    d->last_active_us = c->last_active_us;
    stream_pack(d, DORMANT_RCV, &c->rcv);
    d->rcv_policy = c->rcv.policy;
    d->rcv_is_auto = c->rcv.is_auto;
    d->rcv_room = (uint32_t)((uint64_t)c->rcv_adv - c->rcv.next);
    d->rcv_wscale = c->rcv_wscale;
    d->irs = c->irs;
    stream_pack(d, DORMANT_SND, &c->snd);
    d->snd_policy = c->snd.policy;
    d->snd_is_auto = c->snd.is_auto;
    d->iss = c->iss;
    d->snd_wscale = c->snd_wscale;
    d->snd_wnd = c->snd_wnd;
    d->snd_wnd_max = c->snd_wnd_max;
    d->snd_wl1 = c->snd_wl1;
    d->snd_at_us = c->snd_at_us;
    pack_paths(d, c);
    pack_deadline(d, c);
}

/* ---- and back -------------------------------------------------------------------------------- */

static void unpack_paths(const struct tcp_dormant *d, struct tcp_conn *c)
{
    c->ts_recent = d->ts_recent;
    c->ts_offset = d->ts_offset;
    c->ts_recent_s = d->ts_recent_s;
    c->srtt_us = d->srtt_us;
    c->rttvar_us = d->rttvar_us;
    c->min_rtt_us = d->min_rtt_us;
    c->cwnd = d->cwnd;
    c->ssthresh = d->ssthresh;
    c->cc_ops = tcp_cc_all[d->cc_index];
    c->cc = d->cc;
    c->mss = d->mss;
    c->mss_peer = d->mss_peer;
    c->rcv_mss = d->rcv_mss;
    c->user_mss = d->user_mss;
    c->is_unpushed = d->is_unpushed;
    c->n_quick = d->n_quick;
    c->rto_shift = d->rto_shift;
    c->challenge_slot = d->challenge_slot;
    c->tos = d->tos;
    c->ttl = d->ttl;
}

static void unpack_send(const struct tcp_dormant *d, struct tcp_conn *c)
{
    stream_unpack(d, DORMANT_SND, &c->snd);
    c->snd.policy = d->snd_policy;
    c->snd.is_auto = d->snd_is_auto;
    c->snd_una = c->snd_nxt = (tcp_off_t)d->next[DORMANT_SND];
    c->iss = d->iss;
    c->snd_wscale = d->snd_wscale;
    c->snd_wnd = d->snd_wnd;
    c->snd_wnd_max = d->snd_wnd_max;
    c->snd_wl1 = d->snd_wl1;
    c->snd_wl2 = seq_of_off(c->iss, c->snd_una);
    c->snd_at_us = d->snd_at_us;
}

void tcp_dormant_wake(const struct tcp_dormant *d, struct tcp_conn *c)
{
    memset(c, 0, sizeof(*c));
    c->flow = d->flow;
    c->flow.kind = FLOW_CONN;
    c->tuple = d->tuple;
    c->state = TCPS_ESTABLISHED;
    c->flags = d->flags;
    c->marks = d->marks;
    c->ext = d->ext;
    c->sock = d->sock;
    c->last_active_us = d->last_active_us;
    stream_unpack(d, DORMANT_RCV, &c->rcv);
    c->rcv.policy = d->rcv_policy;
    c->rcv.is_auto = d->rcv_is_auto;
    c->rcv_acked = (tcp_off_t)c->rcv.next;
    c->rcv_adv = c->rcv_acked + d->rcv_room;
    c->rcv_wscale = d->rcv_wscale;
    c->irs = d->irs;
    unpack_send(d, c);
    unpack_paths(d, c);
    timers_init(c);
    if (d->is_timed)
        c->aux_at = ((const struct tcp_dormant_timed *)d)->timer.at_us;
}

/* ---- the condition --------------------------------------------------------------------------- */

/* What says nothing while a connection rests: links of lists it is not on, a deadline that is off,
 * a wheel entry that is left of one, where the last of the holes were that there are none of. */
static void clear_moot(struct tcp_conn *c)
{
    memset(&c->timer, 0, sizeof(c->timer));
    c->delack_tick = 0;
    c->dsack_start = c->dsack_end = seq_make(0);
    c->out_next = c->ready_next = NULL;
}

bool tcp_dormant_init(struct tcp_dormant *d, const struct tcp_conn *c)
{
    struct tcp_conn is, woken;
    if (c->state != TCPS_ESTABLISHED || (c->flags & BUSY))
        return false;
    pack(d, c);
    memcpy(&is, c, sizeof(is));
    tcp_dormant_wake(d, &woken);
    clear_moot(&is);
    clear_moot(&woken);
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): padding that differs keeps it awake */
    return memcmp(&is, &woken, sizeof(is)) == 0;
}

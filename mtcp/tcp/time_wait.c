/*
 * TIME_WAIT (RFC 9293 3.10.7.4, 3.6.1), as a full connection or as a compact record of one cache
 * line (IPv6: one and a half): acknowledge what is old, ignore resets (RFC 1337), let a newer SYN in
 * (RFC 6191).
 */
#include "mtcp/tcp/input.h"
#include "mtcp/tcp/output.h"
#include "mtcp/tcp/tcp.h"

#include <string.h>

static bool is_pure_syn(const struct seg *s)
{
    return (s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* A SYN that can't belong to the old incarnation: a newer timestamp, or, when timestamps do not
 * tell, a sequence number beyond everything the old one used (RFC 6191 section 2, 1122 4.2.2.13);
 * or one from a peer that has said it is new. */
static bool syn_is_new(const struct tw_facts *w, const struct seg *s)
{
    if (!is_pure_syn(s))
        return false;
    if (w->syn == TW_SYN_AWAITED)
        return true;
    if (w->has_ts && s->opt.has_ts && s->opt.ts_val != w->ts_recent)
        return (int32_t)(s->opt.ts_val - w->ts_recent) > 0;
    return seq_lt(w->rcv_nxt, s->seq);
}

unsigned tw_judge(const struct tw_facts *w, const struct seg *s)
{
    if (s->flags & TCP_RST)
        return 0;
    if (syn_is_new(w, s))
        return TCP_IN_NEW_SYN;
    if (s->flags & (TCP_SYN | TCP_FIN) || s->len > 0)
        return TCP_IN_ACK_DUE;
    /* A bare ACK of what we sent is the normal end; any other is answered once per arrival. */
    if ((s->flags & TCP_ACK) && seq_eq(s->seq, w->rcv_nxt) && seq_leq(s->ack, w->snd_nxt))
        return 0;
    return TCP_IN_ACK_DUE;
}

/* The wait itself goes on: a reset by old duplicates must not end it (RFC 1337), and a half-open
 * connection of an old SYN comes to nothing. */
enum tw_syn tw_syn_after(const struct tw_facts *w, const struct seg *s)
{
    if (w->syn == TW_SYN_ANSWERED && (s->flags & TCP_RST) && seq_eq(s->seq, w->rcv_nxt))
        return TW_SYN_AWAITED;
    return w->syn == TW_SYN_NONE && is_pure_syn(s) ? TW_SYN_ANSWERED : w->syn;
}

bool tcp_time_wait_fits(const struct tcp_conn *c)
{
    return c->state == TCPS_TIME_WAIT && (c->flags & TCF_ORPHAN) && !c->mon &&
           !(c->flags & (TCF_ACK_NOW | TCF_ON_READY));
}

static void set_addresses(struct tcp_time_wait *w, const struct flow_tuple *t)
{
    struct tcp_time_wait6 *w6 = (void *)w;
    w->is_v6 = !ip_addr_is_v4(&t->local);
    if (w->is_v6) {
        w6->local = t->local;
        w6->remote = t->remote;
    } else {
        w->local = t->local.w[3];
        w->remote = t->remote.w[3];
    }
}

void tcp_time_wait_init(const struct tcp_env *e, struct tcp_time_wait *w, const struct tcp_conn *c)
{
    struct flow flow = w->flow;
    uint64_t left = c->aux_at > e->now_us ? c->aux_at : e->now_us;
    *w = (struct tcp_time_wait){
        .flow = flow,
        .local_port = c->tuple.local_port,
        .remote_port = c->tuple.remote_port,
        .snd_nxt = seq_of_off(c->iss, c->snd_max),
        .rcv_nxt = seq_of_off(c->irs, (tcp_off_t)stream_next(&c->rcv) + 1),
        .ts_recent = c->ts_recent,
        .ts_offset = c->ts_offset,
        .expires_ms = (uint32_t)(left / 1000),
        .wnd = output_window(c),
        .has_ts = (c->flags & TCF_TS) != 0,
        .syn = c->tw_syn,
    };
    set_addresses(w, &c->tuple);
}

struct flow_tuple tcp_time_wait_tuple(const struct tcp_time_wait *w)
{
    const struct tcp_time_wait6 *w6 = (const void *)w;
    return (struct flow_tuple){.local = w->is_v6 ? w6->local : ip_addr_v4(w->local),
                               .remote = w->is_v6 ? w6->remote : ip_addr_v4(w->remote),
                               .local_port = w->local_port,
                               .remote_port = w->remote_port};
}

unsigned tcp_time_wait_input(struct tcp_time_wait *w, const struct seg *s)
{
    struct tw_facts f = {w->rcv_nxt, w->snd_nxt, w->has_ts, w->ts_recent, (enum tw_syn)w->syn};
    w->syn = (uint8_t)tw_syn_after(&f, s);
    return tw_judge(&f, s);
}

void tcp_time_wait_ack(const struct tcp_env *e, const struct tcp_time_wait *w, struct tcp_tx *tx)
{
    memset(tx, 0, sizeof(*tx));
    tx->seg.tuple = tcp_time_wait_tuple(w);
    tx->seg.ttl = 64;
    tx->seg.may_be_cut = false;
    tx->seg.flags = TCP_ACK;
    tx->seg.seq = w->snd_nxt;
    tx->seg.ack = w->rcv_nxt;
    tx->seg.wnd = w->wnd;
    if (w->has_ts) {
        tx->seg.opt.has_ts = true;
        tx->seg.opt.ts_val = (uint32_t)(e->now_us / 1000) + w->ts_offset;
        tx->seg.opt.ts_ecr = w->ts_recent;
    }
}

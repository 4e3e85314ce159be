/* A connection as a monitor sees it, whichever record holds it. */
#include "mtcp/tcp/tcp.h"

#include <string.h>

/* One past the last byte of data that was ever passed out: a FIN takes a number and is none. */
static uint64_t data_sent(const struct tcp_conn *c)
{
    uint64_t written = stream_next(&c->snd);
    uint64_t max = c->snd_max > 0 ? (uint64_t)c->snd_max : 0;
    return max < written ? max : written;
}

static void view_conn(const struct tcp_conn *c, struct tcp_flow_view *v)
{
    v->tuple = c->tuple;
    v->local_isn = c->iss;
    v->remote_isn = c->irs;
    v->has_local_isn = c->state != TCPS_CLOSED || c->end_reason != 0;
    v->has_remote_isn = c->flags & TCF_IRS;
    v->local_is_cli = c->flags & TCF_ACTIVE;
    v->state = c->state;
    v->sock = c->sock;
    v->rcv = &c->rcv;
    v->snd = &c->snd;
    v->snd_max = data_sent(c);
    v->snd_fin_passed = (c->flags & TCF_SND_FIN) && c->snd_max > (tcp_off_t)stream_next(&c->snd);
    v->snd_fin_acked = c->flags & TCF_FIN_ACKED;
    v->rcv_fin = c->flags & TCF_RCV_FIN;
    v->last_active_us = c->last_active_us;
}

static void view_half_open(const struct tcp_half_open *h, struct tcp_flow_view *v)
{
    v->tuple = h->tuple;
    v->local_isn = h->iss;
    v->remote_isn = h->irs;
    v->has_local_isn = v->has_remote_isn = true;
    v->state = TCPS_SYN_RCVD;
    v->sock = -1;
    v->last_active_us = h->born_us;
}

static void view_time_wait(const struct tcp_time_wait *w, struct tcp_flow_view *v)
{
    v->tuple = tcp_time_wait_tuple(w);
    v->state = TCPS_TIME_WAIT;
    v->sock = -1;
    v->snd_fin_passed = v->snd_fin_acked = v->rcv_fin = true;
}

void tcp_flow_view(const struct flow *f, struct tcp_flow_view *v)
{
    memset(v, 0, sizeof(*v));
    switch ((enum flow_kind)f->kind) {
    case FLOW_CONN:
        view_conn((const struct tcp_conn *)(const void *)f, v);
        break;
    case FLOW_HALF_OPEN:
        view_half_open((const struct tcp_half_open *)(const void *)f, v);
        break;
    case FLOW_DORMANT: /* no monitor listens to it */
        break;
    case FLOW_TIME_WAIT:
        view_time_wait((const struct tcp_time_wait *)(const void *)f, v);
        break;
    }
}

void tcp_flow_streams(const struct flow *f, struct hook_streams *s)
{
    *s = (struct hook_streams){0};
    if (f->kind == FLOW_CONN) {
        const struct tcp_conn *c = (const struct tcp_conn *)(const void *)f;
        *s = (struct hook_streams){&c->rcv, &c->snd, data_sent(c)};
    }
}

/* Buffers that follow the traffic. Writes rcv.limit, snd.limit and the mark of rcv. */
#include "mtcp/tcp/tune.h"

/* A few segments more than twice what was read: what is on its way while the window is told. */
enum { SLACK_SEGMENTS = 16 };

void tune_init(struct tcp_conn *c, const struct tcp_params *p)
{
    stream_set_limit(&c->rcv, p->rcvbuf);
    stream_set_limit(&c->snd, p->sndbuf);
    c->rcv.is_auto = p->rcvbuf < p->rcvbuf_max;
    c->snd.is_auto = p->sndbuf < p->sndbuf_max;
}

void tune_rcv_begin(const struct tcp_env *e, struct tcp_conn *c)
{
    c->rcv.mark = (uint32_t)stream_read(&c->rcv);
    c->rcv.mark_at = (uint16_t)conn_ts_now(e, c);
}

static void grow(const struct tcp_env *e, struct stream *s, uint64_t want, uint64_t most)
{
    if (want > most)
        want = most;
    if (want > s->limit && !mem_is_tight(e->mem))
        stream_set_limit(s, (uint32_t)want);
}

void tune_rcv(const struct tcp_env *e, struct tcp_conn *c)
{
    uint64_t n_read = (uint32_t)stream_read(&c->rcv) - c->rcv.mark;
    uint64_t slack = SLACK_SEGMENTS * (uint64_t)c->rcv_mss;
    uint64_t most = (uint64_t)UINT16_MAX << c->rcv_wscale; /* more can't be told */
    tune_rcv_begin(e, c);
    if (most > e->params.rcvbuf_max)
        most = e->params.rcvbuf_max;
    if (2 * n_read + slack > c->rcv.limit) /* twice that for the round trip until it takes effect */
        grow(e, &c->rcv, 4 * n_read + slack, most);
}

void tune_snd_cut(struct tcp_conn *c)
{
    if (c->snd.mark == 0)
        c->snd.mark = c->snd.limit;
    stream_set_limit(&c->snd, c->snd.unread);
}

static void uncut(struct tcp_conn *c)
{
    if (likely(c->snd.mark == 0))
        return;
    stream_set_limit(&c->snd, c->snd.mark);
    c->snd.mark = 0;
}

void tune_fix(struct tcp_conn *c, bool is_rcv, uint32_t size)
{
    struct stream *s = is_rcv ? &c->rcv : &c->snd;
    if (!is_rcv)
        uncut(c);
    stream_set_limit(s, size);
    s->is_auto = false;
}

void tune_snd(const struct tcp_env *e, struct tcp_conn *c)
{
    uncut(c);
    if (c->snd.is_auto)
        grow(e, &c->snd, 2 * (uint64_t)c->cwnd, e->params.sndbuf_max);
}

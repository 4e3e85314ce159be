/* The life of a control block, and what all connections of a context share. */
#include "mtcp/tcp/conn.h"

#include "mtcp/tcp/eor.h"

#include "mtcp/tcp/recovery.h"
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/timers.h"
#include "mtcp/tcp/tune.h"
#include "mtcp/tcp/zerocopy.h"

#include "mtcp/tcp/handshake.h"

#include <string.h>

#define SEC_US 1000000u

/* What Linux does, because that is what the other end expects (sources: RFC 6298, 1122, 6928). */
void tcp_params_default(struct tcp_params *p)
{
    *p = (struct tcp_params){
        .rcvbuf = 256 * 1024,
        .sndbuf = 256 * 1024,
        .rcvbuf_max = 6 * 1024 * 1024,
        .sndbuf_max = 4 * 1024 * 1024,
        .tw_us = 60 * SEC_US,
        .fin_wait2_us = 60 * SEC_US,
        .min_rto_us = 200 * 1000,
        .max_rto_us = 120 * SEC_US,
        .init_rto_us = SEC_US,
        .delack_us = 40 * 1000,
        .syn_retries = 6,
        .synack_retries = 5,
        .data_retries = 15,
        .orphan_retries = 8,
        .max_orphans = 65536,
        .init_cwnd = 10,
        .min_tso_segs = 2,
        .timestamps = true,
        .sack = true,
        .wscale = true,
        .idle_restart = true,
        .fastopen_pause_us = 3600ull * SEC_US,
        .ecn = 2,
        .cc = &tcp_cc_cubic,
    };
}

struct tcp_opt_ext tcp_opt_ext_default(void)
{
    return (struct tcp_opt_ext){
        .keep_idle_s = 7200,
        .keep_intvl_s = 75,
        .keep_cnt = 9,
        .linger_s = -1,
        .mtu_discover = TCP_MTU_WANT,
    };
}

struct tcp_opt_ext *conn_ext(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->ext == NULL) {
        c->ext = mem_alloc(e->mem, sizeof(*c->ext));
        if (c->ext != NULL)
            *c->ext = tcp_opt_ext_default();
    }
    return c->ext;
}

void tcp_env_init(struct tcp_env *e, struct mem *mem, uint64_t seed, uint64_t now_us)
{
    memset(e, 0, sizeof(*e));
    e->now_us = now_us;
    e->mem = mem;
    rng_init(&e->rng, seed);
    e->secret.k0 = rng_u64(&e->rng);
    e->secret.k1 = rng_u64(&e->rng);
    wheel_init(&e->wheel, now_us);
    tcp_params_default(&e->params);
    e->out_tail = &e->out_head;
    e->ready_tail = &e->ready_head;
}

void tcp_conn_init(struct tcp_env *e, struct tcp_conn *c, const struct tcp_open *o)
{
    struct flow flow = c->flow;
    memset(c, 0, sizeof(*c));
    c->flow = flow;
    c->tuple = o->tuple;
    c->flags = o->is_active ? TCF_ACTIVE : 0;
    stream_init(&c->rcv, e->params.rcvbuf);
    stream_init(&c->snd, e->params.sndbuf);
    tune_init(c, &e->params);
    c->snd_una = c->snd_nxt = c->snd_max = -1;
    c->mss = tcp_mss_of_mtu(&o->tuple.local, o->mtu);
    c->mss_peer = tcp_mss_default(&o->tuple.local);
    c->rcv_mss = TCP_MSS_DEFAULT;
    c->rcv_wscale = tcp_wscale_for(tune_rcvbuf_most(&e->params));
    c->cc_ops = e->params.cc;
    c->sock = -1;
    c->ttl = 64;
    c->ts_offset = tcp_ts_offset(e, &o->tuple);
    c->last_active_us = e->now_us;
    rtt_init(e, c);
    timers_init(c);
}

void tcp_conn_fini(struct tcp_env *e, struct tcp_conn *c)
{
    if (c->flags & TCF_ORPHAN)
        e->n_orphans--;
    timers_stop_all(e, c);
    recovery_fini(e, c);
    stream_fini(&c->rcv, e->mem);
    stream_fini(&c->snd, e->mem);
    eor_fini(e, c);
    zerocopy_fini(e, c);
    mem_free(e->mem, c->ext, sizeof(*c->ext));
    c->ext = NULL;
}

/* RTT estimation and the retransmission timeout (RFC 6298). */
#include "mtcp/tcp/rtt.h"

/* A sample beyond this is a clock's error or a peer's lie; keeps every sum within 32 bits. */
#define RTT_MAX_US (600u * 1000 * 1000)

/* The timeout of data when the handshake's was too short and nothing is known (RFC 6298 5.7). */
#define RTO_UNMEASURED_US (3u * 1000 * 1000)

void rtt_init(const struct tcp_env *e, struct tcp_conn *c)
{
    (void)e;
    c->srtt_us = 0;
    c->rttvar_us = 0;
    c->min_rtt_us = UINT32_MAX;
}

/* RFC 6298 2.2. */
static void rtt_first_sample(struct tcp_conn *c, uint32_t rtt_us)
{
    c->srtt_us = rtt_us;
    c->rttvar_us = rtt_us / 2;
}

/* RFC 6298 2.3: RTTVAR moves by a quarter, and before SRTT, which moves by an eighth. */
static inline void rtt_next_sample(struct tcp_conn *c, uint32_t rtt_us)
{
    int32_t err = (int32_t)(rtt_us - c->srtt_us);
    int32_t abs = err < 0 ? -err : err;
    c->rttvar_us = (uint32_t)((int32_t)c->rttvar_us + (abs - (int32_t)c->rttvar_us) / 4);
    c->srtt_us = (uint32_t)((int32_t)c->srtt_us + err / 8);
}

void rtt_no_sample(struct tcp_conn *c)
{
    if (c->srtt_us == 0)
        c->rttvar_us = RTO_UNMEASURED_US;
}

void rtt_sample(const struct tcp_env *e, struct tcp_conn *c, uint32_t rtt_us)
{
    (void)e;
    if (unlikely(rtt_us > RTT_MAX_US))
        rtt_us = RTT_MAX_US;
    if (unlikely(rtt_us == 0))
        rtt_us = 1; /* srtt_us 0 means: no sample yet */
    c->rto_shift = 0;
    if (rtt_us < c->min_rtt_us)
        c->min_rtt_us = rtt_us;
    if (likely(c->srtt_us != 0))
        rtt_next_sample(c, rtt_us);
    else
        rtt_first_sample(c, rtt_us);
    if (unlikely(c->srtt_us == 0))
        c->srtt_us = 1;
}

uint32_t rtt_rto_base(const struct tcp_env *e, const struct tcp_conn *c)
{
    const struct tcp_params *p = &e->params;
    if (unlikely(c->srtt_us == 0))
        return c->rttvar_us != 0 ? c->rttvar_us : p->init_rto_us;
    uint32_t var = 4 * c->rttvar_us; /* RFC 6298 2.3: K = 4 */
    uint32_t rto = c->srtt_us + (var > p->min_rto_us ? var : p->min_rto_us);
    return rto < p->max_rto_us ? rto : p->max_rto_us;
}

void rtt_keep_backoff(struct tcp_conn *c)
{
    enum { SHIFT_MAX = 7 };
    unsigned shift = c->rto_shift + c->backoff;
    c->rto_shift = shift < SHIFT_MAX ? shift & SHIFT_MAX : SHIFT_MAX;
    c->backoff = 0;
}

uint32_t rtt_rto(const struct tcp_env *e, const struct tcp_conn *c)
{
    uint32_t rto = rtt_rto_base(e, c);
    uint32_t shift = (uint32_t)c->backoff + c->rto_shift;
    if (likely(shift == 0))
        return rto;
    if (shift > 31)
        shift = 31;
    uint64_t backed_off = (uint64_t)rto << shift; /* RFC 6298 5.5 */
    return backed_off < e->params.max_rto_us ? (uint32_t)backed_off : e->params.max_rto_us;
}

/* What a SYN offers and what both sides then use. */
#include "mtcp/tcp/handshake.h"

#include "mtcp/tcp/tcp.h"
#include "mtcp/tcp/tune.h"
#include "mtcp/wire/hdr.h"

#define TS_OPTION_LEN 12u /* with its two NOPs */

uint16_t tcp_mss_of_mtu(const struct ip_addr *local, uint16_t mtu)
{
    uint32_t hdrs = (ip_addr_is_v4(local) ? IPV4_HDR_LEN : IPV6_HDR_LEN) + TCP_HDR_LEN;
    return mtu > hdrs + TCP_MSS_MIN ? (uint16_t)(mtu - hdrs) : (uint16_t)TCP_MSS_MIN;
}

uint16_t tcp_mss_announced(const struct tcp_conn *c, uint16_t mtu)
{
    uint16_t mss = tcp_mss_of_mtu(&c->tuple.local, mtu);
    return c->user_mss && c->user_mss < mss ? c->user_mss : mss;
}

uint16_t tcp_mss_default(const struct ip_addr *local)
{
    return ip_addr_is_v4(local) ? TCP_MSS_DEFAULT : TCP_MSS_DEFAULT6;
}

uint16_t tcp_mss_offered(const struct ip_addr *local, const struct tcp_opts *o)
{
    if (!o->has_mss || o->mss == 0)
        return tcp_mss_default(local);
    return o->mss < TCP_MSS_MIN ? TCP_MSS_MIN : o->mss;
}

uint8_t tcp_wscale_for(uint32_t bytes)
{
    uint8_t shift = 0;
    while (shift < TCP_WSCALE_MAX && (bytes >> shift) > UINT16_MAX)
        shift++;
    return shift;
}

uint32_t tcp_opts_agreed(const struct tcp_params *p, const struct tcp_opts *o)
{
    uint32_t f = 0;
    if (p->timestamps && o->has_ts)
        f |= TCF_TS;
    if (p->sack && o->sack_permitted)
        f |= TCF_SACK;
    if (p->wscale && o->has_wscale)
        f |= TCF_WSCALE;
    return f;
}

uint16_t tcp_mss_agreed(const struct tcp_conn *c, uint32_t mss)
{
    if (c->mss_peer < mss)
        mss = c->mss_peer;
    if (c->user_mss && c->user_mss < mss)
        mss = c->user_mss;
    if (c->flags & TCF_TS)
        mss = mss > TCP_MSS_MIN + TS_OPTION_LEN ? mss - TS_OPTION_LEN : TCP_MSS_MIN;
    return (uint16_t)mss;
}

void tcp_handshake_done(struct tcp_env *e, struct tcp_conn *c, bool syn_was_lost)
{
    c->mss = tcp_mss_agreed(c, c->mss);
    if (!(c->flags & TCF_WSCALE))
        c->rcv_wscale = c->snd_wscale = 0;
    c->cwnd = syn_was_lost ? c->mss : (uint32_t)c->mss * e->params.init_cwnd;
    c->ssthresh = UINT32_MAX;
    c->n_quick = 16; /* acknowledge at once while the peer's window opens */
    tune_rcv_begin(e, c);
    c->cc_ops->init(c);
}

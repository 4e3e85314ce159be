/* The path MTU cache, and what connections make of it. */
#include "mtcp/net/pmtu.h"

#include "mtcp/net/netif.h"

#define SEC_US 1000000ull

/* Where a black hole is looked for: what tunnels leave of 1500 and more, then the floor. */
#define PMTU_PROBE4 1064u /* Linux's tcp_base_mss and headers */

static struct net_pmtu *slot_of(const struct net *n, const struct ip_addr *remote)
{
    uint32_t h =
        (remote->w[0].raw ^ remote->w[1].raw ^ remote->w[2].raw ^ remote->w[3].raw) * 0x9e3779b1u;
    _Static_assert(NET_PMTUS == 1 << 8, "the top 8 bits of the product");
    return (struct net_pmtu *)&n->pmtus[h >> 24];
}

uint16_t pmtu_of(const struct net *n, const struct ip_addr *remote, uint16_t if_mtu)
{
    const struct net_pmtu *p = slot_of(n, remote);
    if (likely(p->expires_us <= n->env.now_us) || p->mtu >= if_mtu ||
        !ip_addr_eq(&p->remote, remote))
        return if_mtu;
    return p->mtu;
}

static uint16_t mtu_of_if(const struct net *n, const struct tcp_conn *c)
{
    return netif_mtu(&n->ifs[c->flow.netif], &c->tuple.local);
}

void pmtu_begin(const struct net *n, struct tcp_conn *c)
{
    if (unlikely(pmtu_of(n, &c->tuple.remote, mtu_of_if(n, c)) < mtu_of_if(n, c)) &&
        conn_follows_path_mtu(c))
        c->flags |= TCF_MTU_LOW;
}

void pmtu_refresh(struct net *n, struct tcp_conn *c)
{
    uint16_t mtu = pmtu_of(n, &c->tuple.remote, mtu_of_if(n, c));
    if (mtu == mtu_of_if(n, c))
        c->flags &= ~(uint32_t)TCF_MTU_LOW;
    tcp_mtu_changed(&n->env, c, mtu);
}

static void remember(struct net *n, const struct ip_addr *remote, uint16_t mtu)
{
    *slot_of(n, remote) =
        (struct net_pmtu){.remote = *remote,
                          .mtu = mtu,
                          .expires_us = n->env.now_us + n->conf.pmtu_expires_s * SEC_US};
    n->stats.pmtu_lowered++;
}

void pmtu_learn(struct net *n, struct tcp_conn *c, uint16_t mtu)
{
    const struct ip_addr *remote = &c->tuple.remote;
    if (mtu < PMTU_MIN6 && !ip_addr_is_v4(remote))
        return;
    if (mtu < PMTU_MIN4)
        mtu = PMTU_MIN4;
    if (mtu < pmtu_of(n, remote, mtu_of_if(n, c)))
        remember(n, remote, mtu);
    if (!conn_follows_path_mtu(c))
        return;
    c->flags |= TCF_MTU_LOW; /* what is known already may be news to this connection */
    pmtu_refresh(n, c);
}

void pmtu_suspect(struct net *n, struct tcp_conn *c)
{
    enum { FIRST_TRY = 3, SECOND_TRY = 5 }; /* timeouts in a row */
    bool is_v4 = ip_addr_is_v4(&c->tuple.remote);
    if (!n->conf.pmtu_black_holes || !conn_follows_path_mtu(c) || !tcp_full_segment_is_stuck(c))
        return;
    if (c->backoff == FIRST_TRY)
        pmtu_learn(n, c, is_v4 ? PMTU_PROBE4 : PMTU_MIN6);
    else if (c->backoff == SECOND_TRY)
        pmtu_learn(n, c, is_v4 ? PMTU_MIN4 : PMTU_MIN6);
}

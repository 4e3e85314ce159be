/* Whose Fast Open is taken, and where one may be tried. */
#include "mtcp/net/fastopen.h"

#include "mtcp/net/netif.h"
#include "mtcp/net/pmtu.h"

#undef TCP_MSS_DEFAULT /* <netinet/tcp.h> has one, too */
#include "mtcp/tcp/handshake.h"

#include <string.h>

/* ---- servers -------------------------------------------------------------------------------- */

static bool needs_no_cookie(const struct net *n, const struct net_listener *l)
{
    return (n->conf.fastopen & NET_FASTOPEN_SERVER_BLIND) ||
           (l->has_ext && l->ext.fastopen.needs_no_cookie);
}

struct fastopen_keys fastopen_keys_of(const struct net *n, const struct net_listener *l)
{
    if (l->fastopen_keys.n > 0)
        return l->fastopen_keys;
    return n->conf.fastopen_keys.n > 0 ? n->conf.fastopen_keys : fastopen_keys_drawn(&n->env);
}

/* The limit comes first, as in Linux: a flood shall not cost hashes. */
static bool is_within_limit(struct net *n, const struct net_listener *l)
{
    if (n->n_fastopen < l->fastopen_qlen)
        return true;
    n->stats.fastopen_full++;
    return false;
}

enum fastopen_answer fastopen_judge(struct net *n, const struct net_listener *l,
                                    const struct seg *syn)
{
    if (likely(!syn->opt.has_fastopen && syn->len == 0) || l->fastopen_qlen == 0 ||
        !(n->conf.fastopen & NET_FASTOPEN_SERVER) || !is_within_limit(n, l))
        return FASTOPEN_NONE;
    if (needs_no_cookie(n, l))
        return FASTOPEN_TAKEN;
    if (!syn->opt.has_fastopen)
        return FASTOPEN_NONE;
    if (syn->opt.fastopen_len == 0)
        return FASTOPEN_COOKIE;
    struct fastopen_keys k = fastopen_keys_of(n, l);
    unsigned used = fastopen_key_used(&k, syn);
    n->stats.fastopen_refused += used == 0;
    return used == 0 ? FASTOPEN_COOKIE : used == 1 ? FASTOPEN_TAKEN : FASTOPEN_RENEWED;
}

void fastopen_offer(const struct net *n, const struct net_listener *l, const struct seg *syn,
                    struct tcp_opts *o, uint8_t *cookie)
{
    struct fastopen_keys k = fastopen_keys_of(n, l);
    fastopen_cookie(&k.key[0], &syn->tuple, cookie);
    o->has_fastopen = true;
    o->fastopen_is_exp = syn->opt.fastopen_is_exp;
    o->fastopen_len = FASTOPEN_COOKIE_LEN;
    o->fastopen_cookie = cookie;
}

/* ---- clients -------------------------------------------------------------------------------- */

static struct net_fastopen_peer *slot_of(struct net *n, const struct ip_addr *remote)
{
    uint32_t h =
        (remote->w[0].raw ^ remote->w[1].raw ^ remote->w[2].raw ^ remote->w[3].raw) * 0x9e3779b1u;
    _Static_assert(NET_FASTOPEN_PEERS == 1 << 6, "the top 6 bits of the product");
    return &n->fastopen_peers[h >> 26];
}

/* Is the option, or data, not to be tried to there now? */
static bool is_avoided(struct net *n, const struct net_fastopen_peer *p)
{
    return n->env.fastopen.paused_until_us > n->env.now_us ||
           (p && p->disabled_until_us > n->env.now_us);
}

/* What the peer takes per segment, and the path there, as far as they are known. */
static uint16_t mss_for(const struct net *n, const struct tcp_conn *c,
                        const struct net_fastopen_peer *p)
{
    uint16_t if_mtu = netif_mtu(&n->ifs[c->flow.netif], &c->tuple.local);
    uint16_t path = tcp_mss_of_mtu(&c->tuple.local, pmtu_of(n, &c->tuple.remote, if_mtu));
    uint16_t mss = p && p->mss > 0 ? p->mss : c->mss_peer; /* which is the default, so far */
    return mss < path ? mss : path;
}

bool fastopen_prepare(struct net *n, struct tcp_conn *c)
{
    const struct net_fastopen_peer *slot = slot_of(n, &c->tuple.remote);
    const struct net_fastopen_peer *p = ip_addr_eq(&slot->remote, &c->tuple.remote) ? slot : NULL;
    struct tcp_opt_ext *x = c->ext;
    bool is_blind = (n->conf.fastopen & NET_FASTOPEN_CLIENT_BLIND) || x->fastopen.needs_no_cookie;
    x->fastopen.mss = 0;
    x->fastopen.cookie_len = 0;
    x->fastopen.is_used = false;
    if (!(n->conf.fastopen & NET_FASTOPEN_CLIENT) || is_avoided(n, p))
        return false;
    c->marks |= FASTOPEN_ON;
    x->fastopen.is_used = true;
    x->fastopen.is_trial = n->env.fastopen.n_black_holes > 0;
    x->fastopen.is_exp = p && p->is_exp;
    if (!is_blind && p && p->cookie_len > 0) {
        x->fastopen.cookie_len = p->cookie_len;
        memcpy(x->fastopen.cookie, p->cookie, p->cookie_len);
    } else if (!is_blind) {
        return false;
    }
    x->fastopen.mss = mss_for(n, c, p);
    return true;
}

/* The option or the data seems not to get through: not tried again there for the pause, then for
 * twice as long, ... sixteen times at the most (RFC 7413 4.1.3.1). */
static void peer_lost(const struct net *n, struct net_fastopen_peer *p)
{
    enum { SHIFT_MAX = 4 };
    p->disabled_until_us = n->env.now_us + (n->env.params.fastopen_pause_us << p->n_lost);
    if (p->n_lost < SHIFT_MAX)
        p->n_lost++;
}

static void peer_learn(struct net_fastopen_peer *p, const struct seg *s)
{
    p->is_exp = s->opt.fastopen_is_exp;
    p->cookie_len = s->opt.fastopen_len;
    memcpy(p->cookie, s->opt.fastopen_cookie, p->cookie_len);
}

/* Asked for a cookie in vain: perhaps it knows the experimental option only, so that is asked with
 * next, once (as Linux). */
static void peer_has_none(struct net_fastopen_peer *p)
{
    p->is_exp_tried |= p->is_exp;
    p->is_exp = !p->is_exp_tried;
}

/* A cookie that was not asked for is not taken; one is kept although its data was refused: a server
 * that wants another says so. */
static void client_ended(struct net *n, const struct tcp_conn *c, const struct seg *s,
                         bool syn_was_lost)
{
    struct net_fastopen_peer *p = slot_of(n, &c->tuple.remote);
    bool had_cookie = c->ext->fastopen.cookie_len > 0, had_data = c->ext->fastopen.mss > 0;
    if (!ip_addr_eq(&p->remote, &c->tuple.remote))
        *p = (struct net_fastopen_peer){.remote = c->tuple.remote};
    p->mss = c->mss_peer;
    if (s->opt.has_fastopen && s->opt.fastopen_len > 0 && (had_cookie || !had_data))
        peer_learn(p, s);
    else if (syn_was_lost && !(c->marks & FASTOPEN_SYN_DATA))
        peer_lost(n, p);
    else if (!had_data && !s->opt.has_fastopen)
        peer_has_none(p);
    if (!syn_was_lost)
        p->n_lost = 0;
}

void fastopen_ended(struct net *n, struct tcp_conn *c, const struct seg *s, unsigned what)
{
    if (c->flags & TCF_ACTIVE)
        client_ended(n, c, s, what & TCP_IN_SYN_LOST);
    else
        n->n_fastopen--;
}

/* Whose Fast Open is taken, and where one may be tried. */
#include "mtcp/net/fastopen.h"

#include "mtcp/tcp/fastopen.h"

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

bool fastopen_prepare(struct net *n, struct tcp_conn *c)
{
    const struct net_fastopen_peer *p = slot_of(n, &c->tuple.remote);
    bool is_known = ip_addr_eq(&p->remote, &c->tuple.remote);
    c->ext->fastopen.mss = 0;
    c->ext->fastopen.cookie_len = 0;
    if (!(n->conf.fastopen & NET_FASTOPEN_CLIENT) ||
        (is_known && p->disabled_until_us > n->env.now_us))
        return false;
    c->marks |= FASTOPEN_ON;
    if ((n->conf.fastopen & NET_FASTOPEN_CLIENT_BLIND) || c->ext->fastopen.needs_no_cookie) {
        c->ext->fastopen.mss = is_known && p->mss > 0 ? p->mss : c->mss_peer; /* the default */
    } else if (is_known && p->mss > 0) {
        c->ext->fastopen.mss = p->mss;
        c->ext->fastopen.cookie_len = p->cookie_len;
        memcpy(c->ext->fastopen.cookie, p->cookie, p->cookie_len);
    }
    return c->ext->fastopen.mss > 0;
}

/* The option or the data seems not to get through: not tried again for an hour, then for two, ...
 * sixteen at the most (RFC 7413 4.1.3). */
static void peer_lost(const struct net *n, struct net_fastopen_peer *p)
{
    enum { HOUR_SHIFT_MAX = 4 };
    p->mss = 0;
    p->disabled_until_us = n->env.now_us + (3600ull * 1000000 << p->n_lost);
    if (p->n_lost < HOUR_SHIFT_MAX)
        p->n_lost++;
}

static void peer_learn(struct net_fastopen_peer *p, const struct tcp_conn *c, const struct seg *s)
{
    p->n_lost = 0;
    p->mss = c->mss_peer;
    p->cookie_len = s->opt.fastopen_len;
    memcpy(p->cookie, s->opt.fastopen_cookie, p->cookie_len);
}

static void client_ended(struct net *n, struct tcp_conn *c, const struct seg *s, bool syn_was_lost)
{
    struct net_fastopen_peer *p = slot_of(n, &c->tuple.remote);
    if (!ip_addr_eq(&p->remote, &c->tuple.remote))
        *p = (struct net_fastopen_peer){.remote = c->tuple.remote};
    if (syn_was_lost)
        peer_lost(n, p);
    else if (s->opt.has_fastopen && s->opt.fastopen_len > 0)
        peer_learn(p, c, s);
    else if (c->ext->fastopen.cookie_len > 0 && !(c->marks & FASTOPEN_SYN_DATA))
        p->mss = 0; /* the server does not know its cookie any more, nor give another */
}

void fastopen_ended(struct net *n, struct tcp_conn *c, const struct seg *s, unsigned what)
{
    if (c->flags & TCF_ACTIVE)
        client_ended(n, c, s, what & TCP_IN_SYN_LOST);
    else
        n->n_fastopen--;
}

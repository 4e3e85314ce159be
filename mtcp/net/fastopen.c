/* Whose Fast Open is taken. */
#include "mtcp/net/fastopen.h"

#include "mtcp/tcp/fastopen.h"

static bool is_asked_for(const struct net *n, const struct net_listener *l, const struct seg *syn)
{
    if (likely(!syn->opt.has_fastopen && syn->len == 0) || l->fastopen_qlen == 0)
        return false;
    return (n->conf.fastopen & NET_FASTOPEN_SERVER) &&
           (syn->opt.has_fastopen || (n->conf.fastopen & NET_FASTOPEN_SERVER_BLIND));
}

bool fastopen_is_accepted(struct net *n, const struct net_listener *l, const struct seg *syn,
                          struct tcp_half_open *h)
{
    if (likely(!is_asked_for(n, l, syn)))
        return false;
    if (!(n->conf.fastopen & NET_FASTOPEN_SERVER_BLIND) && !fastopen_is_ours(&n->env, syn)) {
        n->stats.fastopen_refused += syn->opt.fastopen_len > 0;
        h->offers_cookie = true;
        return false;
    }
    if (n->n_fastopen >= l->fastopen_qlen) {
        n->stats.fastopen_full++;
        return false;
    }
    return true;
}

void fastopen_ended(struct net *n, struct tcp_conn *c, const struct seg *s)
{
    (void)s;
    if (!(c->flags & TCF_ACTIVE))
        n->n_fastopen--;
}

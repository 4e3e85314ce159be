/* mtcp_init_rss: source addresses for connections that shall come back to their own core. */
#include "mtcp/net/route.h"
#include "mtcp/sock/sock.h"

static int check_sources(const struct net *n, in_addr_t base, int num_addr)
{
    if (base == INADDR_ANY)
        return 0;
    for (int i = 0; i < num_addr; i++) {
        be32_t first = {base};
        struct ip_addr a = ip_addr_v4(be32_make(be32_get(first) + (uint32_t)i));
        if (!net_addr_is_local(n, &a))
            return -EADDRNOTAVAIL;
    }
    return 0;
}

/* Connections choose ports that come back to their own core by themselves, so that there is nothing
 * to reserve; what the caller says is checked. */
int mtcp_init_rss(mctx_t mctx, in_addr_t saddr_base, int num_addr, in_addr_t daddr, in_addr_t dport)
{
    struct mtcp_ctx *ctx = ctx_of(mctx);
    (void)dport;
    if (!ctx)
        return -1;
    if (num_addr < 1)
        return (int)sock_result(-EINVAL);
    int err = check_sources(&ctx->net, saddr_base, num_addr);
    struct ip_addr to = ip_addr_v4((be32_t){daddr});
    if (err == 0 && !route_find(&ctx->net, &to))
        err = -ENETUNREACH;
    return (int)sock_result(err);
}

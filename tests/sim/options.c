/* Random socket options: whatever a program sets, every byte arrives. */
#include "tests/sim/sim.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum when { OPEN = 1, BEGIN = 2, LATER = 4 }; /* before the handshake, behind it, any time */

/* Those of one number: a value from min to max, on one socket in so many. */
static const struct option {
    int level, name;
    uint32_t min, max, one_in;
    unsigned when;
} options[] = {
    {IPPROTO_TCP, TCP_NODELAY, 0, 1, 3, OPEN | BEGIN | LATER},
    {IPPROTO_TCP, TCP_CORK, 0, 1, 8, OPEN | BEGIN | LATER},
    {IPPROTO_TCP, TCP_QUICKACK, 0, 1, 4, OPEN | BEGIN | LATER},
    {IPPROTO_TCP, TCP_MAXSEG, 200, 1460, 8, OPEN},
    {IPPROTO_TCP, TCP_SYNCNT, 4, 10, 8, OPEN},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 30000, 300000, 8, OPEN | BEGIN | LATER},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1, 100000, 8, OPEN | BEGIN | LATER},
    {IPPROTO_IP, IP_TOS, 0, 255, 6, OPEN | BEGIN | LATER},
    {IPPROTO_IP, IP_TTL, 1, 255, 6, OPEN | BEGIN | LATER},
    {IPPROTO_IPV6, IPV6_TCLASS, 0, 255, 6, OPEN | BEGIN | LATER},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 1, 255, 6, OPEN | BEGIN | LATER},
    {SOL_SOCKET, SO_RCVBUF, 2048, 200000, 16, LATER},
    {SOL_SOCKET, SO_SNDBUF, 2048, 200000, 16, LATER},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static void option_set(struct sim *s, unsigned host, int sock, const struct option *o)
{
    mctx_t m = s->host[host].mctx;
    int v = (int)(o->min + rng_below(&s->rng, o->max - o->min + 1)), family = 0;
    socklen_t len = sizeof(family);
    if (mtcp_getsockopt(m, sock, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0)
        sim_fail(s, "SO_DOMAIN: %s", strerror(errno));
    if (o->level == IPPROTO_IPV6 && family != AF_INET6)
        return;
    if (mtcp_setsockopt(m, sock, o->level, o->name, &v, sizeof(v)) < 0)
        sim_fail(s, "option %d of level %d: %s", o->name, o->level, strerror(errno));
}

static void congestion_set(struct sim *s, unsigned host, int sock)
{
    const char *cc = rng_below(&s->rng, 2) ? "cubic" : "reno";
    if (mtcp_setsockopt(s->host[host].mctx, sock, IPPROTO_TCP, TCP_CONGESTION, cc,
                        (socklen_t)strlen(cc)) < 0)
        sim_fail(s, "TCP_CONGESTION %s: %s", cc, strerror(errno));
}

static void int_set(struct sim *s, unsigned host, int sock, int name, int v)
{
    if (mtcp_setsockopt(s->host[host].mctx, sock, IPPROTO_TCP, name, &v, sizeof(v)) < 0)
        sim_fail(s, "option %d: %s", name, strerror(errno));
}

static void options_draw(struct sim *s, unsigned host, int sock, enum when when)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if ((options[i].when & when) && rng_below(&s->rng, options[i].one_in) == 0)
            option_set(s, host, sock, &options[i]);
    if (rng_below(&s->rng, 4) == 0)
        congestion_set(s, host, sock);
}

void options_listen(struct sim *s, int sock)
{
    if (s->bulk)
        return;
    options_draw(s, 1, sock, OPEN);
    if (s->fastopen)
        int_set(s, 1, sock, TCP_FASTOPEN, 1 + (int)rng_below(&s->rng, 8));
}

void options_begin(struct sim *s, unsigned host, int sock, const struct plan *p)
{
    if (s->bulk)
        return;
    options_draw(s, host, sock, host == 0 ? OPEN : BEGIN);
    /* with nothing to write there would be no SYN */
    if (s->fastopen && host == 0 && p->total > 0 && rng_below(&s->rng, 4))
        int_set(s, host, sock, TCP_FASTOPEN_CONNECT, 1);
}

void options_change(struct sim *s, unsigned host, int sock)
{
    uint32_t which = rng_below(&s->rng, N_OPTIONS + 1);
    if (which == N_OPTIONS)
        congestion_set(s, host, sock);
    else if (options[which].when & LATER)
        option_set(s, host, sock, &options[which]);
}

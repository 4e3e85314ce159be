/*
 * Who lets connections doze, and where their sockets find them. All sockets are gone over in
 * rounds, some at a time, so that neither many of them nor few cost much; and nothing is done per
 * segment.
 */
#include "mtcp/sock/sock.h"

#include "mtcp/tcp/dormant.h"

#define STEP_US  1000u    /* between two looks ... */
#define ROUND_US 1000000u /* ... and two rounds, at the most */

enum {
    CHUNKS_LOOKED_AT = 2,  /* at a time: 128 sockets, some microseconds */
    CHUNKS_PASSED_BY = 512 /* without a socket */
};

static __attribute__((cold)) bool may_doze(struct mtcp_ctx *ctx, const struct sock *s)
{
    if (s->type != MOS_SOCK_STREAM || (s->flags & (SOCKF_CONN | SOCKF_DORMANT)) != SOCKF_CONN)
        return false;
    if (s->conn->state != TCPS_ESTABLISHED || s->conn->mon || sock_poll(s) != MOS_EPOLLOUT)
        return false;
    if (ctx->net.env.now_us - s->conn->last_active_us >= ctx->config.dormant_after_us)
        return true;
    sock_doze_news(ctx);
    return false;
}

static void doze(struct mtcp_ctx *ctx, struct sock *s)
{
    struct tcp_dormant *d = may_doze(ctx, s) ? net_conn_doze(&ctx->net, s->conn) : NULL;
    if (!d)
        return;
    s->dormant = d;
    s->flags |= SOCKF_DORMANT;
}

static void look(struct mtcp_ctx *ctx)
{
    struct sock_table *t = ctx->socks;
    unsigned n_looked = 0, n_passed = 0;
    for (; t->doze_chunk < t->own.n_top; t->doze_chunk++) {
        struct sock *chunk = t->own.chunks[t->doze_chunk];
        if (n_looked == CHUNKS_LOOKED_AT || n_passed == CHUNKS_PASSED_BY)
            return;
        n_looked += chunk != NULL;
        n_passed += chunk == NULL;
        for (unsigned i = 0; chunk && i < SOCK_CHUNK; i++)
            doze(ctx, &chunk[i]);
    }
}

static void round_end(struct sock_table *t)
{
    t->doze_chunk = 0;
    while (t->own.n_top > 0 && !t->own.chunks[t->own.n_top - 1])
        t->own.n_top--;
}

static uint64_t round_us(const struct mtcp_ctx *ctx)
{
    return ctx->config.dormant_after_us < ROUND_US ? ctx->config.dormant_after_us : ROUND_US;
}

void sock_doze(struct mtcp_ctx *ctx)
{
    struct sock_table *t = ctx->socks;
    uint64_t now = ctx->net.env.now_us;
    if (t->doze_chunk == 0)
        t->doze_is_news = false;
    look(ctx);
    t->doze_at_us = now + STEP_US;
    if (t->doze_chunk >= t->own.n_top) {
        round_end(t);
        t->doze_at_us = now + round_us(ctx);
    }
}

uint64_t sock_doze_us(const struct mtcp_ctx *ctx)
{
    const struct sock_table *t = ctx->socks;
    bool is_idle = t->doze_chunk == 0 && !t->doze_is_news;
    return is_idle || ctx->net.conns.n_used == 0 ? WHEEL_NEVER_US : t->doze_at_us;
}

bool sock_rouse(struct mtcp_ctx *ctx, const struct sock *s)
{
    return net_conn_wake(&ctx->net, s->dormant) != NULL;
}

void sock_is_awake(void *arg, struct tcp_conn *c)
{
    struct sock *s = sock_find(arg, c->sock);
    s->conn = c;
    s->flags &= (uint16_t)~SOCKF_DORMANT;
}

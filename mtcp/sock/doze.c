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
    uint64_t from_us = s->conn->last_active_us + ctx->config.dormant_after_us;
    if (from_us <= ctx->net.env.now_us)
        return true;
    if (from_us < ctx->socks->doze_from_us)
        ctx->socks->doze_from_us = from_us;
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
        t->doze_from_us = WHEEL_NEVER_US;
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
    if (ctx->net.conns.n_used == 0)
        return WHEEL_NEVER_US;
    bool is_round = t->doze_chunk > 0;
    return is_round || t->doze_from_us < t->doze_at_us ? t->doze_at_us : t->doze_from_us;
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
    sock_doze_news(arg); /* a timer may have woken it, and nothing comes of that */
}

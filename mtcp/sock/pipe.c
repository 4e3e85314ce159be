/*
 * Pipes inside a context: two sockets and a ring between them, which exists while it holds bytes.
 * Writes of up to PIPE_BUF bytes are not split (POSIX).
 */
#include "mtcp/sock/sock.h"

#include <limits.h>
#include <string.h>

#define RING_BYTES 65536u

struct pipe {
    uint8_t *ring; /* NULL while empty */
    uint32_t head, n_bytes;
    struct sock *reader, *writer; /* NULL: closed */
};

size_t pipe_size(void)
{
    return sizeof(struct pipe);
}

int mtcp_pipe(mctx_t mctx, int pipeid[2])
{
    struct mtcp_ctx *ctx = ctx_of(mctx);
    if (!ctx)
        return -1;
    if (!pipeid)
        return (int)sock_result(-EFAULT);
    if (ctx->socks->own.ids.n_free < 2)
        return (int)sock_result(-EMFILE);
    struct pipe *p = pool_get(&ctx->socks->pipes);
    int err = -ENOMEM;
    struct sock *r = p ? sock_new(ctx, MOS_SOCK_PIPE, &err) : NULL;
    struct sock *w = r ? sock_new(ctx, MOS_SOCK_PIPE, &err) : NULL;
    if (!w) {
        if (r)
            sock_free(ctx, r);
        if (p)
            pool_put(&ctx->socks->pipes, p);
        return (int)sock_result(err);
    }
    *p = (struct pipe){.reader = r, .writer = w};
    r->pipe = w->pipe = p;
    w->flags = SOCKF_WRITE_END;
    pipeid[0] = r->id;
    pipeid[1] = w->id;
    return 0;
}

uint32_t pipe_readable(const struct sock *s)
{
    return s->flags & SOCKF_WRITE_END ? 0 : s->pipe->n_bytes;
}

uint32_t pipe_poll(const struct sock *s)
{
    const struct pipe *p = s->pipe;
    if (s->flags & SOCKF_WRITE_END)
        return (RING_BYTES - p->n_bytes >= PIPE_BUF ? MOS_EPOLLOUT : 0u) |
               (p->reader ? 0u : MOS_EPOLLERR);
    return (p->n_bytes ? MOS_EPOLLIN : 0u) | (p->writer ? 0u : MOS_EPOLLHUP);
}

static void ring_release(struct mtcp_ctx *ctx, struct pipe *p)
{
    mem_free(ctx->mem, p->ring, RING_BYTES);
    p->ring = NULL;
    p->head = 0;
}

int64_t pipe_read(struct mtcp_ctx *ctx, struct sock *s, void *buf, size_t len)
{
    struct pipe *p = s->pipe;
    if (s->flags & SOCKF_WRITE_END)
        return -EBADF;
    if (len == 0)
        return 0;
    if (p->n_bytes == 0)
        return p->writer ? -EAGAIN : 0;
    uint32_t n = len < p->n_bytes ? (uint32_t)len : p->n_bytes;
    uint32_t first = RING_BYTES - p->head < n ? RING_BYTES - p->head : n;
    memcpy(buf, p->ring + p->head, first);
    memcpy((char *)buf + first, p->ring, n - first);
    p->head = (p->head + n) % RING_BYTES;
    p->n_bytes -= n;
    if (p->n_bytes == 0)
        ring_release(ctx, p);
    if (p->writer)
        sock_wake(p->writer, MOS_EPOLLOUT);
    return n;
}

static void ring_append(struct pipe *p, const void *buf, uint32_t n)
{
    uint32_t tail = (p->head + p->n_bytes) % RING_BYTES;
    uint32_t first = RING_BYTES - tail < n ? RING_BYTES - tail : n;
    memcpy(p->ring + tail, buf, first);
    memcpy(p->ring, (const char *)buf + first, n - first);
    p->n_bytes += n;
}

int64_t pipe_write(struct mtcp_ctx *ctx, struct sock *s, const void *buf, size_t len)
{
    struct pipe *p = s->pipe;
    if (!(s->flags & SOCKF_WRITE_END))
        return -EBADF;
    if (!p->reader)
        return -EPIPE;
    if (len == 0)
        return 0;
    uint32_t room = RING_BYTES - p->n_bytes;
    if (room == 0 || (len <= PIPE_BUF && room < len))
        return -EAGAIN;
    if (!p->ring && !(p->ring = mem_alloc(ctx->mem, RING_BYTES)))
        return -ENOMEM;
    uint32_t n = len < room ? (uint32_t)len : room;
    ring_append(p, buf, n);
    sock_wake(p->reader, MOS_EPOLLIN);
    return n;
}

void pipe_close(struct mtcp_ctx *ctx, struct sock *s)
{
    struct pipe *p = s->pipe;
    if (s->flags & SOCKF_WRITE_END) {
        p->writer = NULL;
        if (p->reader)
            sock_wake(p->reader, MOS_EPOLLHUP);
    } else {
        p->reader = NULL;
        if (p->writer)
            sock_wake(p->writer, MOS_EPOLLERR | MOS_EPOLLOUT);
    }
    if (p->reader || p->writer)
        return;
    ring_release(ctx, p);
    pool_put(&ctx->socks->pipes, p);
}

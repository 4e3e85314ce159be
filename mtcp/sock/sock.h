/*
 * Sockets: the table of ids, what an id stands for, and what the files of this folder share.
 *
 *   sock_table.c  ids and their records             sock_poll.c  what is a socket ready for
 *   sock_wait.c   blocking calls                    prep.c       before there is a connection
 *   open.c accept.c close.c read.c write.c names.c  the calls    options.c  socket options
 *   epoll.c       waiting for many                  pipe.c       pipes
 *   life.c join.c contexts                          devices.c    mtcp_init: the one file that needs
 *   signals.c     signals, affinity                              DPDK at link time
 *   rss.c         source addresses                  process.c    the configuration in force
 *   errqueue.c    MSG_ERRQUEUE, control messages    doze.c       connections that do nothing
 *
 * Inside, functions return 0 (or a count) or -errno; sock_result() makes the public form of it.
 */
#ifndef MTCP_SOCK_SOCK_H
#define MTCP_SOCK_SOCK_H

#include "mtcp/base/bug.h"
#include "mtcp/base/list.h"
#include "mtcp/base/pool.h"
#include "mtcp/core/ctx.h"
#include "mtcp/sock/ids.h"
#include "mtcp/tcp/tcp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct epoll;
struct epoll_item;
struct pipe;
struct prep;
struct hook_sock_ops;

enum sock_flag {
    SOCKF_NONBLOCK = 1 << 0,
    SOCKF_V6 = 1 << 1, /* AF_INET6 */
    SOCKF_V6ONLY = 1 << 2,
    SOCKF_REUSEADDR = 1 << 3,
    SOCKF_REUSEPORT = 1 << 4,
    SOCKF_CONN = 1 << 5,       /* a stream with a connection: conn; without: prep */
    SOCKF_CONNECTING = 1 << 6, /* mtcp_connect has not told its outcome yet */
    SOCKF_WRITE_END = 1 << 7,  /* of a pipe */
    SOCKF_BOUND = 1 << 8,      /* with a connection: the port is what mtcp_bind gave ... */
    SOCKF_BOUND_ADDR = 1 << 9, /* ... and so is the address */
    SOCKF_DORMANT = 1 << 10,   /* with a connection, which is dormant (doze.c) */
};

struct sock {
    uint8_t type;   /* enum socket_type; MOS_SOCK_UNUSED: free, or waiting to be given out again */
    uint16_t flags; /* enum sock_flag */
    int32_t id;     /* of a monitor's: with its generation */
    union {
        struct tcp_conn *conn;       /* MOS_SOCK_STREAM with SOCKF_CONN ... */
        struct tcp_dormant *dormant; /* ... and with SOCKF_DORMANT */
        struct prep *prep;           /* MOS_SOCK_STREAM without, MOS_SOCK_STREAM_LISTEN */
        struct epoll *epoll;
        struct pipe *pipe;
        const struct hook_sock_ops *mon_ops;
    };
    union {
        struct epoll_item *items; /* one per epoll that watches the socket */
        void *mon_arg;
        struct sock *freed_next; /* on sock_table.freed: it is watched no more */
    };
};
_Static_assert(sizeof(struct sock) <= 24, "a socket is small (PERFORMANCE.md W5)");

#define SOCK_CHUNK 64u

/* Records of ids 0 .. n-1, in chunks that exist while one of their ids is in use. */
struct sock_slots {
    struct ids ids;
    struct sock **chunks;
    uint32_t n_chunks;
    uint32_t n_top;     /* from here on there are none; a round of doze.c lowers it */
    struct sock *spare; /* a chunk kept for the next use */
};

#define SOCK_PORT_BUCKETS 64u

struct sock_table {
    struct sock_slots own;  /* endpoint, listening, epoll and pipe sockets */
    struct sock_slots mons; /* sockets of monitors, ids from mon_base on */
    uint32_t n_own;         /* ids of the endpoint: 0 .. n_own-1 */
    uint32_t mon_base;
    unsigned mon_shift; /* id = mon_base + (generation << mon_shift | slot) */
    uint32_t mon_gen, n_mon_gens;
    uint32_t mon_from;  /* the slot that is tried next */
    struct sock *freed; /* ids that the next blocking call makes usable again */
    struct pool preps, epolls, items, pipes;
    struct list_node bound[SOCK_PORT_BUCKETS]; /* bound and not connected: struct prep */
    struct list_node doomed; /* listeners closed in the middle of a turn: struct prep */
    uint64_t doze_at_us;     /* when some are looked at for those that could doze ... */
    uint32_t doze_chunk;     /* ... and which of own.chunks come first */
    uint64_t doze_from_us;   /* before that nobody could doze, if nothing happens */
    unsigned n_again;        /* calls in a row that found nothing since the last turn */
};

/* ---- the table (sock_table.c) ---------------------------------------------------------------- */

/* Makes ctx->socks and registers with the context, which ends it. 0 or -ENOMEM. */
MUST_CHECK int sock_table_create(struct mtcp_ctx *ctx);

/* A new socket of a type with the lowest free id, zeroed otherwise; NULL with *err -EMFILE,
 * -ENOMEM. */
struct sock *sock_new(struct mtcp_ctx *ctx, enum socket_type type, int *err);

/* Gives the id back: usable again after sock_reclaim(). The record's owner things are gone already.
 */
void sock_free(struct mtcp_ctx *ctx, struct sock *s);
void sock_reclaim(struct mtcp_ctx *ctx); /* what was freed may be used again */

/* The socket of an id, monitors' too; NULL: out of range, unused or stale. */
struct sock *sock_find(const struct mtcp_ctx *ctx, int id);

/* The endpoint's id after *id that is in use, or NULL: for (int i = -1; (s = sock_next(ctx, &i));)
 */
struct sock *sock_next(const struct mtcp_ctx *ctx, int *id);

static inline bool sock_is_monitor(const struct sock *s)
{
    return s->type == MOS_SOCK_MONITOR_STREAM || s->type == MOS_SOCK_MONITOR_STREAM_ACTIVE ||
           s->type == MOS_SOCK_MONITOR_RAW;
}

static inline bool sock_has_conn(const struct sock *s)
{
    return s->type == MOS_SOCK_STREAM && (s->flags & SOCKF_CONN);
}

/* ---- dormant connections (doze.c) ------------------------------------------------------------ */

/* Looks at some connections, and lets those doze on which nothing has happened for a while. Nobody
 * may hold on to a connection then: mtcp_epoll_wait calls it between turns, at its time. */
void sock_doze(struct mtcp_ctx *ctx) __attribute__((cold));

static inline bool sock_doze_is_due(const struct mtcp_ctx *ctx)
{
    return ctx->net.env.now_us >= ctx->socks->doze_at_us;
}

/* When that has a use, for who sleeps; WHEEL_NEVER_US: not before something happens. */
uint64_t sock_doze_us(const struct mtcp_ctx *ctx);

/* Something happened: segments, calls. */
static inline void sock_doze_news(struct mtcp_ctx *ctx)
{
    ctx->socks->doze_from_us = 0;
}

/* The connection of a socket with SOCKF_DORMANT is awake. False: no memory. */
bool sock_rouse(struct mtcp_ctx *ctx, const struct sock *s) __attribute__((cold, noinline));

/* net->on_wake. */
void sock_is_awake(void *ctx, struct tcp_conn *c) __attribute__((cold));

/* ---- the public calls' beginning and end ----------------------------------------------------- */

static inline int64_t sock_result(int64_t r)
{
    if (likely(r >= 0))
        return r;
    errno = (int)-r;
    return -1;
}

/* The socket of a public call's arguments and its context, as it is, be its connection dormant;
 * NULL with errno EACCES, EPERM, EBADF. */
static inline struct sock *sock_asleep_of_call(struct mtcp_context *mctx, int id,
                                               struct mtcp_ctx **ctx)
{
    *ctx = ctx_of(mctx);
    if (unlikely(!*ctx))
        return NULL;
    struct sock *s = sock_find(*ctx, id);
    if (unlikely(!s))
        errno = EBADF;
    return s;
}

/* The same with its connection awake; NULL also with ENOMEM. */
static inline struct sock *sock_of_call(struct mtcp_context *mctx, int id, struct mtcp_ctx **ctx)
{
    struct sock *s = sock_asleep_of_call(mctx, id, ctx);
    if (likely(!s || !(s->flags & SOCKF_DORMANT)) || sock_rouse(*ctx, s))
        return s;
    errno = ENOMEM;
    return NULL;
}

/* Likewise for calls that only streams and listeners have; else errno ENOTSOCK. */
static inline struct sock *stream_of_call(struct mtcp_context *mctx, int id, struct mtcp_ctx **ctx)
{
    struct sock *s = sock_of_call(mctx, id, ctx);
    if (!s || likely(s->type == MOS_SOCK_STREAM || s->type == MOS_SOCK_STREAM_LISTEN))
        return s;
    errno = ENOTSOCK;
    return NULL;
}

/* ---- readiness (sock_poll.c) ----------------------------------------------------------------- */

/* What the socket is ready for now: MOS_EPOLLIN, OUT, ERR, HUP, RDHUP. */
uint32_t sock_poll(const struct sock *s);

/* Bytes that a write would take now. */
uint32_t sock_room(const struct tcp_conn *c);

/* Is there room, and `times` as much as was not sent yet below TCP_NOTSENT_LOWAT? Who polls is
 * woken at half of it, as by Linux (2); who waits in a call, at once (1). */
bool sock_has_room(const struct tcp_conn *c, unsigned times);

/* Is the connection over for the application, whatever is still to be sent? */
static inline bool conn_is_over(const struct tcp_conn *c)
{
    return c->flags & (TCF_DEAD | TCF_SEND_RST | TCF_RST_QUEUED);
}

/* The one pending error, cleared: 0 or a positive errno. */
int conn_take_error(struct tcp_conn *c);

/* ---- blocking (sock_wait.c) ------------------------------------------------------------------ */

/* What a blocking call waits for. */
struct sock_wait {
    bool (*is_done)(const struct sock *s, size_t arg);
    size_t arg;
    uint64_t deadline_us; /* of the clock; 0: none */
};

/* Runs the loop until is_done says so (at least one turn): 0, -ETIMEDOUT at the deadline, -EINTR,
 * -EBADF when the socket was closed meanwhile (by a monitor's code), -EDEADLK inside a callback. */
MUST_CHECK int sock_wait(struct mtcp_ctx *ctx, struct sock *s, const struct sock_wait *w);

/* For a call that found nothing and may not block: -EAGAIN. A program that only polls sockets would
 * never run the loop; every SOCK_AGAIN_TURN such calls in a row run one turn. */
#define SOCK_AGAIN_TURN 64u
int sock_would_block(struct mtcp_ctx *ctx);

/* Was the loop interrupted? Takes a signal's mark with it. */
bool sock_interrupted(struct mtcp_ctx *ctx);

/* ---- connecting by the first write (open.c) -------------------------------------------------- */

/* MSG_FASTOPEN, or a connection that TCP_FASTOPEN_CONNECT made wait (FASTOPEN_DEFERRED). 0: there
 * is a connection, and while it is FASTOPEN_DEFERRED what is queued goes in its SYN. `to` may be
 * NULL. -EOPNOTSUPP, -EISCONN, -EINVAL, or as mtcp_connect. */
MUST_CHECK int sock_fast_prepare(struct mtcp_ctx *ctx, struct sock *s, const struct sockaddr *to,
                                 socklen_t tolen);

/* Connects, after that: 0, connected; -EINPROGRESS, -EALREADY; or the error, the socket being as if
 * it had never been connected. */
MUST_CHECK int sock_fast_connect(struct mtcp_ctx *ctx, struct sock *s, bool blocks);

/* ---- waking (epoll.c) ------------------------------------------------------------------------ */

/* Something may have become true: queues the socket's entries that wait for one of `events`. */
void sock_wake(struct sock *s, uint32_t events);

/* Takes the socket out of every epoll. */
void epoll_forget(struct mtcp_ctx *ctx, struct sock *s);
void epoll_close(struct mtcp_ctx *ctx, struct sock *s);
size_t epoll_size(void);
size_t epoll_item_size(void);

/* ---- pipes (pipe.c) -------------------------------------------------------------------------- */
uint32_t pipe_poll(const struct sock *s);
int64_t pipe_read(struct mtcp_ctx *ctx, struct sock *s, void *buf, size_t len);
int64_t pipe_write(struct mtcp_ctx *ctx, struct sock *s, const void *buf, size_t len);
uint32_t pipe_readable(const struct sock *s);
void pipe_close(struct mtcp_ctx *ctx, struct sock *s);
size_t pipe_size(void);

/* ---- closing (close.c) ----------------------------------------------------------------------- */

/* Ends an endpoint's socket without waiting and frees its id. */
void sock_close(struct mtcp_ctx *ctx, struct sock *s);

/* The connection's socket is no more. */
void sock_let_go(struct mtcp_ctx *ctx, struct tcp_conn *c);

#endif

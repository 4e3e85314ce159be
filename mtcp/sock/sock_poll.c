/* What a socket is ready for, from the state it is in (as Linux's tcp_poll answers). */
#include "mtcp/sock/sock.h"

#include "mtcp/sock/errqueue.h"
#include "mtcp/sock/prep.h"
#include "mtcp/tcp/fastopen.h"

int conn_take_error(struct tcp_conn *c)
{
    int err = c->err;
    c->err = 0;
    return err;
}

/* ---- room for what is written ---------------------------------------------------------------- */

static inline uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static inline uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Bytes written and never sent. */
static uint64_t unsent(const struct tcp_conn *c)
{
    return less(stream_next(&c->snd), c->snd_nxt > 0 ? (uint64_t)c->snd_nxt : 0);
}

/* What the windows let go now, in whole segments. */
static uint64_t sendable(const struct tcp_conn *c)
{
    uint64_t room = less(min32(c->cwnd, c->snd_wnd), (uint64_t)(c->snd_nxt - c->snd_una));
    return c->mss ? room - room % c->mss : room;
}

/* The size of a long write's parts: what one large segment takes, at most half of the peer's
 * window. */
static uint64_t part_len(const struct tcp_conn *c)
{
    uint32_t most = min32(c->snd_wnd_max / 2, UINT16_MAX);
    return most > c->mss && c->mss ? most - most % c->mss : most + !most;
}

/* With TCP_NOTSENT_LOWAT, as Linux: what can go out now does not count, and a part that is begun is
 * filled. */
static uint64_t lowat_room(const struct tcp_conn *c, uint32_t lowat)
{
    uint64_t waiting = unsent(c), part = part_len(c), now = sendable(c);
    uint64_t left = less(waiting, now);
    uint64_t most = left > lowat ? left : lowat;
    most += part - 1;
    return less(now + most - most % part, waiting);
}

uint32_t sock_room(const struct tcp_conn *c)
{
    uint32_t room = tcp_writable(c);
    if (likely(!c->ext || !c->ext->notsent_lowat))
        return room;
    uint64_t most = lowat_room(c, c->ext->notsent_lowat);
    return room < most ? room : (uint32_t)most;
}

bool sock_has_room(const struct tcp_conn *c, unsigned times)
{
    bool is_low = !c->ext || !c->ext->notsent_lowat || unsent(c) * times < c->ext->notsent_lowat;
    return is_low && tcp_writable(c) > 0;
}

/* ---- readiness ------------------------------------------------------------------------------- */

static bool is_connecting(const struct tcp_conn *c)
{
    return (c->state == TCPS_CLOSED || c->state == TCPS_SYN_SENT || c->state == TCPS_SYN_RCVD) &&
           !fastopen_is_pending(c);
}

static uint32_t conn_poll(const struct tcp_conn *c)
{
    bool over = conn_is_over(c);
    bool no_more_in = over || (c->flags & (TCF_RCV_FIN | TCF_SHUT_RD));
    bool no_more_out = over || (c->flags & TCF_SND_FIN);
    uint32_t ev = c->err || errqueue_has(c) ? MOS_EPOLLERR : 0;
    if (no_more_in)
        ev |= MOS_EPOLLIN | MOS_EPOLLRDHUP;
    if (no_more_in && no_more_out)
        ev |= MOS_EPOLLHUP;
    if (!over && is_connecting(c))
        return c->marks & FASTOPEN_DEFERRED ? ev | MOS_EPOLLOUT : ev;
    if (tcp_readable(c) > 0)
        ev |= MOS_EPOLLIN;
    if (tcp_urgent_left(c) > 0 && !no_more_in)
        ev |= MOS_EPOLLPRI;
    if (no_more_out || sock_has_room(c, 2))
        ev |= MOS_EPOLLOUT;
    return ev;
}

uint32_t sock_poll(const struct sock *s)
{
    switch (s->type) {
    case MOS_SOCK_STREAM:
        if (likely((s->flags & (SOCKF_CONN | SOCKF_DORMANT)) == SOCKF_CONN))
            return conn_poll(s->conn);
        if (s->flags & SOCKF_CONN)
            return MOS_EPOLLOUT; /* else it would not be dormant */
        /* Linux: a socket that is not connected */
        return MOS_EPOLLOUT | MOS_EPOLLHUP | (s->prep->err ? MOS_EPOLLERR : 0);
    case MOS_SOCK_STREAM_LISTEN:
        return list_is_empty(&s->prep->l.accept) ? 0 : MOS_EPOLLIN;
    case MOS_SOCK_PIPE:
        return pipe_poll(s);
    default:
        return 0;
    }
}

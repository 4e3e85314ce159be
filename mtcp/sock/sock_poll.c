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

/* Bytes written and never sent. */
static uint64_t unsent(const struct tcp_conn *c)
{
    uint64_t sent = c->snd_nxt > 0 ? (uint64_t)c->snd_nxt : 0;
    uint64_t written = stream_next(&c->snd);
    return written > sent ? written - sent : 0;
}

uint32_t sock_room(const struct tcp_conn *c)
{
    uint32_t room = tcp_writable(c);
    if (unlikely(c->ext != NULL) && c->ext->notsent_lowat && unsent(c) >= c->ext->notsent_lowat)
        return 0;
    return room;
}

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
    if (no_more_out || sock_room(c) > 0)
        ev |= MOS_EPOLLOUT;
    return ev;
}

uint32_t sock_poll(const struct sock *s)
{
    switch (s->type) {
    case MOS_SOCK_STREAM:
        if (likely(s->flags & SOCKF_CONN))
            return conn_poll(s->conn);
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

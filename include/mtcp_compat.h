/*
 * mTCP's spellings, so that a program written for mTCP compiles unchanged once it includes this
 * header: MTCP_EPOLL*, MTCP_SOCK_*, mtcp_socket_ioctl, EventToString, and mtcp_getpeername with
 * four arguments. (`data.sockid` of an epoll event needs no help.) Values are ours: recompile.
 * Programs written for mOS need nothing of it.
 */
#ifndef MTCP_COMPAT_H
#define MTCP_COMPAT_H

#include "mtcp_api.h"
#include "mtcp_epoll.h"

#define MTCP_EPOLL_CTL_ADD MOS_EPOLL_CTL_ADD
#define MTCP_EPOLL_CTL_DEL MOS_EPOLL_CTL_DEL
#define MTCP_EPOLL_CTL_MOD MOS_EPOLL_CTL_MOD

#define MTCP_EPOLLNONE    MOS_EPOLLNONE
#define MTCP_EPOLLIN      MOS_EPOLLIN
#define MTCP_EPOLLPRI     MOS_EPOLLPRI
#define MTCP_EPOLLOUT     MOS_EPOLLOUT
#define MTCP_EPOLLRDNORM  MOS_EPOLLRDNORM
#define MTCP_EPOLLRDBAND  MOS_EPOLLRDBAND
#define MTCP_EPOLLWRNORM  MOS_EPOLLWRNORM
#define MTCP_EPOLLWRBAND  MOS_EPOLLWRBAND
#define MTCP_EPOLLMSG     MOS_EPOLLMSG
#define MTCP_EPOLLERR     MOS_EPOLLERR
#define MTCP_EPOLLHUP     MOS_EPOLLHUP
#define MTCP_EPOLLRDHUP   MOS_EPOLLRDHUP
#define MTCP_EPOLLONESHOT MOS_EPOLLONESHOT
#define MTCP_EPOLLET      MOS_EPOLLET

#define MTCP_SOCK_UNUSED   MOS_SOCK_UNUSED
#define MTCP_SOCK_STREAM   MOS_SOCK_STREAM
#define MTCP_SOCK_PROXY    MOS_SOCK_PROXY
#define MTCP_SOCK_LISTENER MOS_SOCK_STREAM_LISTEN
#define MTCP_SOCK_EPOLL    MOS_SOCK_EPOLL
#define MTCP_SOCK_PIPE     MOS_SOCK_PIPE

#define mtcp_socket_ioctl mtcp_ioctl

/* The fifth argument picks a side of a monitored connection; endpoints, all mTCP has, ignore it. */
#define MTCP_GETPEERNAME_4(mctx, sockid, addr, addrlen)                                            \
    (mtcp_getpeername)(mctx, sockid, addr, addrlen, MOS_SIDE_BOTH)
#define MTCP_GETPEERNAME_5(mctx, sockid, addr, addrlen, side)                                      \
    (mtcp_getpeername)(mctx, sockid, addr, addrlen, side)
#define MTCP_GETPEERNAME_PICK(a, b, c, d, e, name, ...) name
#define mtcp_getpeername(...)                                                                      \
    MTCP_GETPEERNAME_PICK(__VA_ARGS__, MTCP_GETPEERNAME_5, MTCP_GETPEERNAME_4, 0)(__VA_ARGS__)

/* The name of one epoll event, for messages. Static storage, nothing to free. */
static inline const char *EventToString(uint64_t event)
{
    switch (event) {
    case MOS_EPOLLNONE:
        return "MOS_EPOLLNONE";
    case MOS_EPOLLIN:
        return "MOS_EPOLLIN";
    case MOS_EPOLLOUT:
        return "MOS_EPOLLOUT";
    case MOS_EPOLLERR:
        return "MOS_EPOLLERR";
    case MOS_EPOLLHUP:
        return "MOS_EPOLLHUP";
    case MOS_EPOLLRDHUP:
        return "MOS_EPOLLRDHUP";
    default:
        return "several or unknown";
    }
}

#endif

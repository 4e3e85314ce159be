/*
 * Waiting for many sockets at once, as with Linux's epoll: level triggered unless MOS_EPOLLET, one
 * entry per socket with all its ready bits merged, MOS_EPOLLERR and MOS_EPOLLHUP always reported.
 * The cost of a wait is proportional to the sockets that are ready. The common rules of mtcp_api.h
 * hold.
 */
#ifndef MTCP_EPOLL_H
#define MTCP_EPOLL_H

#include "mtcp_api.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mtcp_epoll_op {
    MOS_EPOLL_CTL_ADD = 1,
    MOS_EPOLL_CTL_DEL = 2,
    MOS_EPOLL_CTL_MOD = 3,
};

enum epoll_event_type {
    MOS_EPOLLNONE = 0x1,        /* no event: asks for nothing */
    MOS_EPOLLIN = 0x2,          /* bytes, the end of the stream, a connection to accept */
    MOS_EPOLLPRI = 0x4,         /* urgent data that was not read yet */
    MOS_EPOLLOUT = 0x8,         /* room to write; connecting has finished */
    MOS_EPOLLRDNORM = 0x10,     /* accepted, never reported */
    MOS_EPOLLRDBAND = 0x20,     /* accepted, never reported */
    MOS_EPOLLWRNORM = 0x40,     /* accepted, never reported */
    MOS_EPOLLWRBAND = 0x80,     /* accepted, never reported */
    MOS_EPOLLMSG = 0x100,       /* accepted, never reported */
    MOS_EPOLLERR = 0x200,       /* an error is pending (SO_ERROR); stays while it is */
    MOS_EPOLLHUP = 0x400,       /* both directions have ended */
    MOS_EPOLLRDHUP = 0x800,     /* the peer has ended its direction */
    MOS_EPOLLONESHOT = 1 << 30, /* one report, then silence until MOS_EPOLL_CTL_MOD */
};
#define MOS_EPOLLET (1u << 31) /* edge triggered: a report per new readiness */

typedef union mtcp_epoll_data {
    void *ptr;
    int sock;
    int sockid; /* the same under mTCP's name */
    uint32_t u32;
    uint64_t u64;
} mtcp_epoll_data_t;

struct mtcp_epoll_event {
    uint64_t events; /* bits of epoll_event_type */
    mtcp_epoll_data_t data;
};

/*
 * Create an epoll socket; any number per context. mtcp_close frees it. Does not block.
 *
 *   size     a hint that means nothing, above 0
 *   returns  its id or -1
 *   errors   EACCES; EPERM; EINVAL size; EMFILE every id is in use; ENOMEM
 *   source   Linux
 */
int mtcp_epoll_create(mctx_t mctx, int size);

/*
 * mtcp_epoll_create with flags instead of a size.
 *
 *   flags    0 (EPOLL_CLOEXEC means nothing)
 *   returns  its id or -1
 *   errors   EACCES; EPERM; EINVAL other flags; EMFILE every id is in use; ENOMEM
 *   source   Linux
 */
int mtcp_epoll_create1(mctx_t mctx, int flags);

/*
 * Add, change or remove a socket of an epoll. Does not block. A closed socket is removed by itself.
 *
 *   epid     the epoll
 *   op       MOS_EPOLL_CTL_ADD, MOS_EPOLL_CTL_MOD, MOS_EPOLL_CTL_DEL
 *   sockid   a stream, listening or pipe socket
 *   event    the bits to wait for, and the data to hand back; may be NULL with DEL
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF either id; ENOTSOCK epid is no epoll, or sockid is an epoll or a
 *            monitor; EFAULT; EINVAL op; EEXIST ADD of one that is in; ENOENT MOD or DEL of one
 *            that is not; ENOMEM
 *   source   Linux
 */
int mtcp_epoll_ctl(mctx_t mctx, int epid, int op, int sockid, struct mtcp_epoll_event *event);

/*
 * Run the stack's loop until something is ready. Blocks up to `timeout`.
 *
 *   events     receives up to maxevents entries
 *   maxevents  above 0
 *   timeout    milliseconds, monotonic; 0: exactly one turn of the loop; -1: no limit
 *   returns    the number of entries, 0 when the time is over, or -1
 *   errors     EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL maxevents; EINTR; EDEADLK
 *   source     Linux
 */
int mtcp_epoll_wait(mctx_t mctx, int epid, struct mtcp_epoll_event *events, int maxevents,
                    int timeout);

/*
 * Wait for a kernel descriptor together with sockets: a file that poll(2) works on, a timerfd, a
 * signalfd, a socket of the kernel. Added again: its event is changed. Does not block. The
 * descriptor stays the caller's: mtcp_epoll_del_fd before close.
 *
 *   fd       the kernel's descriptor; its numbers have nothing to do with socket ids
 *   event    the bits to wait for, and the data to hand back (choose data that tells it apart)
 *   returns  0 or -1
 *   errors   EACCES; EPERM also a descriptor that can't be polled; EBADF also fd; ENOTSOCK;
 *            EFAULT; ENOMEM; ENOSPC the kernel's limit of watches
 *   source   ours
 */
int mtcp_epoll_add_fd(mctx_t mctx, int epid, int fd, struct mtcp_epoll_event *event);

/*
 * Stop waiting for a kernel descriptor. Does not block.
 *
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF also fd; ENOTSOCK; ENOENT fd was not added
 *   source   ours
 */
int mtcp_epoll_del_fd(mctx_t mctx, int epid, int fd);

#ifdef __cplusplus
}
#endif

#endif

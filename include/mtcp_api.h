/*
 * The endpoint: contexts, sockets, their options. This header alone gives every public name but
 * those of mtcp_io.h (own packet sources) and mtcp_compat.h (mTCP's spellings); the monitor's are
 * in mos_api.h, epoll's in mtcp_epoll.h, and both come with this one.
 *
 * Common rules. Every call below obeys them; its comment names only what they don't say.
 *
 *  - Failure is -1 (NULL for pointers) and errno; success leaves errno as it was. On failure
 *    nothing is written through the caller's pointers, neither value nor length.
 *  - Checks, in this order:
 *        EACCES    mctx is NULL, was destroyed, or never was a context; or it is that of a parent
 *                  of this process: fork() hands on no context
 *        EPERM     the calling thread does not own mctx (the thread that created it does)
 *        EBADF     the id is out of range, unused, or of a monitored connection that has ended
 *        ENOMEM    a dormant connection (mos.conf(5)) can't be woken; to close it is to reset it
 *        ENOSYS    the option level is unknown
 *        ENOTSOCK  the id is of a kind that the call or the option level is not for
 *        ENOSYS    the option name is unknown
 *        EPERM     the option is known, but not in this direction
 *        EFAULT    NULL where a pointer is needed
 *        EINVAL    a bad length or value
 *        ENODATA   nothing there yet
 *  - Inside a monitor's callback or filter, a call that would have to run the stack's loop fails
 *    with EDEADLK; the other calls on endpoint sockets take effect when the packet is done with.
 *  - "Blocks" means: runs the stack's loop on the calling thread until it can finish. EINTR ends
 *    it when a signal that mtcp_register_signal knows arrives, or mtcp_destroy is called.
 *    Sockets block unless made nonblocking by SOCK_NONBLOCK in the type, mtcp_setsock_nonblock
 *    or FIONBIO.
 *  - Ids of endpoint, listening, epoll and pipe sockets are small and dense: the lowest free one of
 *    0 .. max_concurrency-1. A freed id is used again only from the next mtcp_epoll_wait or
 *    blocking call on, so an array of events in hand never names a newer socket. Ids of monitors
 *    lie above, have their own budget and carry a generation: a stale one is EBADF.
 *
 * In the comments, `source` says whose call it is: POSIX or Linux (the call of that name without
 * "mtcp_", on a TCP socket, errno for errno), mTCP, mOS, or ours. An `errors` line lists the codes
 * of the common rules bare and says of the others what they mean here.
 */
#ifndef MTCP_API_H
#define MTCP_API_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One stack on one core: what a thread creates, owns, and passes to every call. Read-only. */
struct mtcp_context {
    int cpu; /* the core it was created for */
};
typedef struct mtcp_context *mctx_t;

typedef unsigned char byte;

/* The port to bind when any will do. */
#ifndef INPORT_ANY
#define INPORT_ANY ((uint16_t)0)
#endif

/* Kinds of sockets. mtcp_socket takes MOS_SOCK_STREAM and the two passive monitors as its type. */
enum socket_type {
    MOS_SOCK_UNUSED = 0,
    MOS_SOCK_STREAM_LISTEN = 1,         /* a stream socket after mtcp_listen */
    MOS_SOCK_PROXY_LISTEN = 2,          /* reserved */
    MOS_SOCK_MONITOR_STREAM = 3,        /* passive monitor: a filter and its callbacks */
    MOS_SOCK_STREAM = 4,                /* an endpoint's connection */
    MOS_SOCK_PROXY = 5,                 /* reserved */
    MOS_SOCK_MONITOR_STREAM_ACTIVE = 6, /* one monitored connection: the id callbacks receive */
    MOS_SOCK_MONITOR_RAW = 7,           /* monitor of every frame of a device */
    MOS_SOCK_EPOLL = 8,
    MOS_SOCK_PIPE = 9,
};

/* What a program may ask about and change of the configuration; times in seconds. */
struct mtcp_conf {
    int num_cores;       /* cores to use, 1 .. number of CPUs */
    int max_concurrency; /* endpoint, listening, epoll and pipe ids per core */
    uint64_t cpu_mask;   /* bit i: core i may be used; 0: any */
    int max_num_buffers; /* connections per core that may hold buffers at the same time */
    int rcvbuf_size;     /* receive buffer of a connection, bytes */
    int sndbuf_size;     /* send buffer of a connection, bytes */
    int tcp_timewait;    /* how long TIME_WAIT lasts; 0: not at all */
    int tcp_timeout;     /* how long a connection may be idle; -1: for ever */
};

typedef void (*mtcp_sighandler_t)(int);

/* ---- life cycle ------------------------------------------------------------------------------ */

/*
 * Read the configuration and prepare the process. Once, before every other call but
 * mtcp_core_affinitize. Does not block.
 *
 *   config_file  path of a mos.conf, or NULL for the defaults
 *   returns      0, or -1 with one line on stderr naming file, line, key and what to write instead
 *   errors       ENOENT, EACCES, EISDIR the file can't be read; EINVAL its content is refused;
 *                EALREADY called before; ENOMEM; ENODEV no such device
 *   source       mTCP
 */
int mtcp_init(const char *config_file);

/*
 * Undo mtcp_init: interrupt every context (their blocking calls return EINTR), wait until their
 * threads have destroyed them, destroy those of the calling thread, stop the devices. The one call
 * that a signal handler or a thread without a context may make to end the program's loops.
 *
 *   returns  0 or -1
 *   errors   EACCES mtcp_init was not called; EDEADLK inside a callback
 *   source   mTCP
 */
int mtcp_destroy(void);

/*
 * Read the configuration in force. Does not block; any thread.
 *
 *   conf     filled completely
 *   returns  0 or -1
 *   errors   EACCES mtcp_init was not called; EFAULT
 *   source   mTCP
 */
int mtcp_getconf(struct mtcp_conf *conf);

/*
 * Change the configuration: all fields of `conf`, so get it first. Before the first
 * mtcp_create_context; any thread. Does not block.
 *
 *   returns  0 or -1 with nothing changed
 *   errors   EACCES mtcp_init was not called; EFAULT; EINVAL a field is out of its range;
 *            EBUSY a context exists
 *   source   mTCP
 */
int mtcp_setconf(const struct mtcp_conf *conf);

/*
 * Pin the calling thread to a core. May be called at any time. Does not block.
 *
 *   cpu      number of the core, from 0
 *   returns  0 or -1
 *   errors   EINVAL no such core, or not allowed for this process
 *   source   mTCP
 */
int mtcp_core_affinitize(int cpu);

/*
 * Create a context; the calling thread becomes its owner. One per core is usual; several on one
 * thread work too. Does not block.
 *
 *   cpu      the core it is for: 0 .. num_cores-1. The thread is not moved (mtcp_core_affinitize)
 *   returns  the context, or NULL
 *   errors   EACCES mtcp_init was not called; EINVAL cpu; EBUSY no free queue or slot,
 *            or mtcp_destroy has stopped the devices before: DPDK starts once in a process;
 *            ENOMEM; ENODEV the device did not start
 *   source   mTCP
 */
mctx_t mtcp_create_context(int cpu);

/*
 * End a context and all its sockets. Blocks for at most the configured time, to send what is queued
 * and the FINs; what is left after that is reset.
 *
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EDEADLK inside a callback
 *   source   mTCP
 */
int mtcp_destroy_context(mctx_t mctx);

/*
 * Run the stack's loop until a registered signal or mtcp_destroy interrupts it, or, when all its
 * devices are captures, until these were read to their ends: the body of a program that only
 * monitors. Blocks. The thread's other contexts that are not running yet are
 * moved to pinned threads of their own first, so a program may create all its contexts and then
 * join them one after the other.
 *
 *   errors   EACCES; EPERM; EDEADLK inside a callback (all through errno; the call then returns
 *            at once)
 *   source   mOS
 */
void mtcp_app_join(mctx_t mctx);

/*
 * Set a handler for a signal, and let that signal end blocking calls with EINTR. The handler
 * runs in signal context. Any thread. Does not block.
 *
 *   signum   SIGINT, SIGTERM, SIGHUP, SIGUSR1 and other signals that can be caught
 *   handler  a function, SIG_IGN or SIG_DFL
 *   returns  the previous handler (SIG_DFL at first), or SIG_ERR
 *   errors   EINVAL signum
 *   source   mTCP
 */
mtcp_sighandler_t mtcp_register_signal(int signum, mtcp_sighandler_t handler);

/*
 * Count the context's endpoint connections: half-open, open and closing, without TIME_WAIT.
 * Exact. Does not block.
 *
 *   returns  the number; 0 with errno on failure
 *   errors   EACCES; EPERM
 *   source   mOS
 */
uint32_t mtcp_get_connection_cnt(mctx_t mctx);

/*
 * Reserve source addresses for mtcp_connect, so that connections to one destination come back on
 * this context's own receive queue. Optional: mtcp_connect chooses its ports that way by itself.
 * Does not block.
 *
 *   saddr_base  first source address, network byte order; INADDR_ANY: the device's own
 *   num_addr    how many consecutive addresses
 *   daddr       destination address, network byte order
 *   dport       destination port, network byte order
 *   returns     0 or -1
 *   errors      EACCES; EPERM; EINVAL num_addr < 1; EADDRNOTAVAIL an address is not ours;
 *               ENETUNREACH no route to daddr; ENOMEM
 *   source      mTCP
 */
int mtcp_init_rss(mctx_t mctx, in_addr_t saddr_base, int num_addr, in_addr_t daddr,
                  in_addr_t dport);

/* ---- endpoint sockets ------------------------------------------------------------------------ */

/*
 * Create a socket. Does not block.
 *
 *   domain    AF_INET; AF_INET6 (dual stack unless IPV6_V6ONLY); AF_UNSPEC for monitors only
 *   type      SOCK_STREAM or MOS_SOCK_STREAM: an endpoint; MOS_SOCK_MONITOR_STREAM,
 *             MOS_SOCK_MONITOR_RAW: a monitor. SOCK_NONBLOCK may be added for an endpoint
 *             (SOCK_CLOEXEC too; it means nothing)
 *   protocol  0 or IPPROTO_TCP
 *   returns   the id or -1
 *   errors    EACCES; EPERM; EAFNOSUPPORT domain; EPROTONOSUPPORT SOCK_DGRAM, SOCK_RAW and
 *             unknown protocols; EINVAL other types; EMFILE every id is in use; ENOMEM
 *   source    POSIX, mOS
 */
int mtcp_socket(mctx_t mctx, int domain, int type, int protocol);

/*
 * Give an endpoint socket its local address. Does not block. Sockets: stream, not yet connected.
 *
 *   addr     sockaddr_in or sockaddr_in6; port 0 (INPORT_ANY): one is chosen
 *   addrlen  its size in bytes
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL addrlen, or already bound or
 *            connected; EAFNOSUPPORT; EADDRINUSE; EADDRNOTAVAIL the address is not ours
 *   source   POSIX
 */
int mtcp_bind(mctx_t mctx, int sockid, const struct sockaddr *addr, socklen_t addrlen);

/*
 * Make a stream socket accept connections. An unbound one gets a port. Again on a listener: changes
 * its backlog. Every core that shall accept calls it. Does not block.
 *
 *   backlog  bounds half-open and completed connections, each by itself; values below 1 mean 1
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EINVAL connected or connecting; EADDRINUSE; ENOMEM
 *   source   POSIX
 */
int mtcp_listen(mctx_t mctx, int sockid, int backlog);

/*
 * Take the next completed connection of a listener. Blocks unless the listener is nonblocking. The
 * new socket blocks, whatever the listener does.
 *
 *   addr     receives the remote address, cut to fit; NULL: not wanted
 *   addrlen  in: bytes of room; out: bytes of the whole address. Needed with addr
 *   returns  the id of the connection or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL not listening, *addrlen negative;
 *            EAGAIN none there (nonblocking); EMFILE every id is in use (the connection stays
 *            queued); ENOMEM; EINTR; EDEADLK
 *   source   POSIX
 */
int mtcp_accept(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen);

/*
 * mtcp_accept with flags for the new socket.
 *
 *   flags    0 or SOCK_NONBLOCK (SOCK_CLOEXEC means nothing)
 *   returns  as mtcp_accept
 *   errors   as mtcp_accept: EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL also other flags;
 *            EAGAIN; EMFILE; ENOMEM; EINTR; EDEADLK
 *   source   Linux
 */
int mtcp_accept4(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen, int flags);

/*
 * Open a connection. Blocks until it is open or has failed; a nonblocking socket returns at once
 * with EINPROGRESS and reports by MOS_EPOLLOUT and SO_ERROR. Sockets: stream, bound or not.
 *
 *   addr     sockaddr_in or sockaddr_in6 of the peer
 *   addrlen  its size in bytes
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL addrlen, or port 0; EAFNOSUPPORT;
 *            EISCONN connected or listening; EALREADY still connecting; EINPROGRESS;
 *            EADDRNOTAVAIL no free port, or the bound one is another core's;
 *            EADDRINUSE the bound port is in use to that peer;
 *            ENETUNREACH; EHOSTUNREACH; ECONNREFUSED; ETIMEDOUT; EINTR (connecting goes on);
 *            EDEADLK; ENOMEM
 *   source   POSIX
 */
int mtcp_connect(mctx_t mctx, int sockid, const struct sockaddr *addr, socklen_t addrlen);

/*
 * Free the id. Does not block unless SO_LINGER asks for it. Sockets: every kind.
 *   stream           what is queued is sent, then FIN; RST instead if received data is unread or
 *                    SO_LINGER is on with 0 seconds
 *   listener         connections not accepted yet are reset
 *   passive monitor  ends its callbacks on all its connections
 *   active monitor   the same as MOS_STOP_MON with MOS_SIDE_BOTH
 *
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; EWOULDBLOCK SO_LINGER ran out (the id is free); EINTR;
 *            EDEADLK it would linger inside a callback
 *   source   POSIX
 */
int mtcp_close(mctx_t mctx, int sockid);

/*
 * Reset the connection: drop what is queued, send RST, free the id. Does not block. Sockets:
 * stream.
 *
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK
 *   source   mTCP
 */
int mtcp_abort(mctx_t mctx, int sockid);

/*
 * End one or both directions; the id stays. Does not block. Sockets: stream.
 *
 *   how      SHUT_RD: reads give what is queued, then 0; SHUT_WR: what is queued is sent, then FIN;
 *            SHUT_RDWR: both, and bytes that still arrive reset the connection. As on Linux, an
 *            attempt to connect ends with any of them, and ECONNRESET is pending; a listener ends
 *            listening with SHUT_RD and SHUT_RDWR. Both are sockets as before then, with their port
 *            and options
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EINVAL how; ENOTCONN; ENOMEM
 *   source   POSIX
 */
int mtcp_shutdown(mctx_t mctx, int sockid, int how);

/*
 * Read received bytes. Blocks until there is one, unless nonblocking. Sockets: stream, pipe.
 * After a FIN: 0. After a RST: what is queued, then ECONNRESET once, then 0.
 *
 *   buf      receives up to len bytes
 *   returns  the number of bytes, 0 at the end of the stream (or with len 0), or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EAGAIN nothing there (nonblocking);
 *            ENOTCONN; ECONNRESET; ETIMEDOUT; ECONNREFUSED; EHOSTUNREACH; ENETUNREACH the pending
 *            error of the socket; EINTR; EDEADLK
 *   source   POSIX
 */
ssize_t mtcp_read(mctx_t mctx, int sockid, char *buf, size_t len);

/*
 * mtcp_read with flags. Sockets: stream.
 *
 *   flags    MSG_PEEK: leave the bytes; MSG_DONTWAIT: don't block; MSG_WAITALL: block until len
 *            bytes are there, or the end, or an error; MSG_NOSIGNAL and MSG_CMSG_CLOEXEC mean
 *            nothing
 *   returns  as mtcp_read
 *   errors   as mtcp_read: EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EAGAIN; ENOTCONN; ECONNRESET;
 *            ETIMEDOUT; ECONNREFUSED; EHOSTUNREACH; ENETUNREACH; EINTR; EDEADLK; and
 *            EINVAL MSG_OOB: urgent data is in line; EOPNOTSUPP other flags
 *   source   POSIX
 */
ssize_t mtcp_recv(mctx_t mctx, int sockid, char *buf, size_t len, int flags);

/*
 * mtcp_read into several buffers, filled one after the other.
 *
 *   iov      iovcnt buffers
 *   iovcnt   0 .. IOV_MAX
 *   returns  the sum of bytes, as mtcp_read
 *   errors   as mtcp_read: EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EAGAIN; ENOTCONN; ECONNRESET;
 *            ETIMEDOUT; ECONNREFUSED; EHOSTUNREACH; ENETUNREACH; EINTR; EDEADLK; and
 *            EINVAL iovcnt, or the lengths overflow ssize_t
 *   source   POSIX
 */
ssize_t mtcp_readv(mctx_t mctx, int sockid, const struct iovec *iov, int iovcnt);

/*
 * mtcp_recv into several buffers, with control messages. Sockets: stream.
 *
 *   msg      msg_iov: the buffers; msg_control: receives a TCP_CM_INQ message (an int: how much is
 *            left, a FIN counting as one) while TCP_INQ is set; msg_flags: MSG_CTRUNC it had no room
 *   flags    as mtcp_recv; MSG_ERRQUEUE: not bytes but an IP_RECVERR (IPV6_RECVERR) message that says
 *            which calls with MSG_ZEROCOPY are done with their buffers, as Linux; never blocks
 *   returns  as mtcp_recv; 0 with MSG_ERRQUEUE
 *   errors   as mtcp_read: EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EAGAIN; ENOTCONN; ECONNRESET;
 *            ETIMEDOUT; ECONNREFUSED; EHOSTUNREACH; ENETUNREACH; EINTR; EDEADLK; and
 *            EOPNOTSUPP other flags; EMSGSIZE more than IOV_MAX buffers; EINVAL their lengths
 *            overflow ssize_t
 *   source   POSIX, Linux
 */
ssize_t mtcp_recvmsg(mctx_t mctx, int sockid, struct msghdr *msg, int flags);

/*
 * Queue bytes for sending. Blocks until all are queued; nonblocking: queues what there is room for.
 * They leave at the end of the turn. No SIGPIPE is raised. Sockets: stream, pipe.
 *
 *   buf      len bytes, copied
 *   returns  the number of bytes queued, or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EAGAIN no room (nonblocking); EPIPE not
 *            connected, after SHUT_WR, after a RST, or no reader (pipe); ECONNRESET; ETIMEDOUT;
 *            ECONNREFUSED; EHOSTUNREACH; ENETUNREACH the pending error of the socket; EINTR;
 *            EDEADLK; ENOMEM no memory for the first byte
 *   source   POSIX
 */
ssize_t mtcp_write(mctx_t mctx, int sockid, const char *buf, size_t len);

/*
 * mtcp_write with flags. Sockets: stream.
 *
 *   flags    MSG_MORE: more follows, hold back a partial segment; MSG_DONTWAIT: don't block;
 *            MSG_OOB: what is written up to the last byte is urgent; MSG_NOSIGNAL: means nothing;
 *            MSG_FASTOPEN: as mtcp_sendto;
 *            MSG_EOR: a record ends with the last byte, no segment crosses that place;
 *            MSG_ZEROCOPY: after SO_ZEROCOPY, buf stays in use, and the error queue tells when it
 *            is the caller's again; mtcp_close and mtcp_abort make it so at once
 *   returns  as mtcp_write
 *   errors   as mtcp_write: EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EAGAIN; EPIPE; ECONNRESET;
 *            ETIMEDOUT; ECONNREFUSED; EHOSTUNREACH; ENETUNREACH; EINTR; EDEADLK;
 *            ENOMEM; and EOPNOTSUPP other flags
 *   source   POSIX
 */
ssize_t mtcp_send(mctx_t mctx, int sockid, const char *buf, size_t len, int flags);

/*
 * mtcp_send that may also connect: with MSG_FASTOPEN an unconnected socket connects to `to`, and as
 * many of the bytes as fit go in its SYN if the server gave a cookie before; else the SYN asks for
 * one. Blocks until it is connected and all is queued. Nonblocking: what went in the SYN, and
 * EINPROGRESS when that was nothing. Without MSG_FASTOPEN `to` is ignored. Sockets: stream.
 *
 *   to       tolen bytes: an address as mtcp_connect's
 *   returns  as mtcp_send
 *   errors   as mtcp_send and mtcp_connect; EOPNOTSUPP other flags, tcp_fastopen without 1,
 *            AF_UNSPEC; EISCONN connected; EINVAL no address; EINPROGRESS; EALREADY it is
 *            connecting (nonblocking)
 *   source   Linux
 */
ssize_t mtcp_sendto(mctx_t mctx, int sockid, const char *buf, size_t len, int flags,
                    const struct sockaddr *to, socklen_t tolen);

/*
 * mtcp_write from several buffers, one after the other.
 *
 *   iov      iovcnt buffers
 *   iovcnt   0 .. IOV_MAX
 *   returns  the sum of bytes queued, as mtcp_write
 *   errors   as mtcp_write: EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EAGAIN; EPIPE; ECONNRESET;
 *            ETIMEDOUT; ECONNREFUSED; EHOSTUNREACH; ENETUNREACH; EINTR; EDEADLK;
 *            ENOMEM; and EINVAL iovcnt, or the lengths overflow ssize_t
 *   source   POSIX
 */
ssize_t mtcp_writev(mctx_t mctx, int sockid, const struct iovec *iov, int iovcnt);

/*
 * mtcp_sendto from several buffers. Sockets: stream.
 *
 *   msg      msg_iov: the buffers; msg_name: as mtcp_sendto's `to`; control messages of SOL_SOCKET
 *            are not there, others mean nothing
 *   flags    as mtcp_sendto
 *   returns  as mtcp_sendto
 *   errors   as mtcp_write: EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EAGAIN; EPIPE;
 *            ECONNRESET; ETIMEDOUT; ECONNREFUSED; EHOSTUNREACH; ENETUNREACH; EINTR; EDEADLK;
 *            ENOMEM; and EOPNOTSUPP other flags; EMSGSIZE more than IOV_MAX buffers; EINVAL their
 *            lengths overflow ssize_t, or a control message
 *   source   POSIX, Linux
 */
ssize_t mtcp_sendmsg(mctx_t mctx, int sockid, const struct msghdr *msg, int flags);

/*
 * Read the local address of a stream or listening socket. Does not block.
 *
 *   addr     receives it, cut to fit
 *   addrlen  in: bytes of room; out: bytes of the whole address
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL *addrlen negative
 *   source   POSIX
 */
int mtcp_getsockname(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen);

/*
 * Read the remote address of a stream socket, or the addresses of a monitored connection. Does not
 * block.
 *
 *   addr     receives one address; two, client first, of an active monitor socket with
 *            MOS_SIDE_BOTH
 *   addrlen  in: bytes of room; out: bytes stored
 *   side     of an active monitor socket: MOS_SIDE_CLI, MOS_SIDE_SVR or MOS_SIDE_BOTH; ignored
 *            for a stream socket
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL too little room, or side; ENOTCONN
 *   source   mOS
 */
int mtcp_getpeername(mctx_t mctx, int sockid, struct sockaddr *addr, socklen_t *addrlen, int side);

/*
 * Ask or set what is not a socket option. Does not block. Sockets: stream, listening, pipe.
 *
 *   request  FIONREAD: bytes a read would give; SIOCOUTQ: bytes not acknowledged by the peer;
 *            SIOCATMARK: 1 when the next byte is the last urgent one; FIONBIO: nonblocking if
 *            *argp is not 0, else blocking
 *   argp     int *, read by the last, written by the others
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK; EFAULT; EINVAL another request, or one that asks
 *            on a listener
 *   source   Linux, mOS
 */
int mtcp_ioctl(mctx_t mctx, int sockid, int request, void *argp);

/*
 * Make a socket nonblocking. Does not block. Sockets: stream, listening, pipe.
 *
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EBADF; ENOTSOCK
 *   source   mTCP
 */
int mtcp_setsock_nonblock(mctx_t mctx, int sockid);

/*
 * Create a pipe inside the context; its ends can be read, written, closed and waited for as sockets
 * can. Does not block.
 *
 *   pipeid   [0] receives the id of the reading end, [1] that of the writing end
 *   returns  0 or -1
 *   errors   EACCES; EPERM; EFAULT; EMFILE fewer than two free ids; ENOMEM
 *   source   mTCP
 */
int mtcp_pipe(mctx_t mctx, int pipeid[2]);

/*
 * Read an option. Does not block.
 *   SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6   stream and listening sockets
 *   SOL_MONSOCKET (mos_api.h)                          active monitor sockets; what is a policy
 *                                                      also passive ones
 * SO_ERROR gives the one pending error of the socket and clears it; whichever comes first delivers
 * it, SO_ERROR or the failing read, write or connect. Without one it gives, once, what ICMP has lately
 * said of a connection that goes on. 0: nothing.
 *
 *   optval   receives the value. NULL only with MOS_FRAGINFO_*BUF: the count alone
 *   optlen   in: bytes of room; out: bytes of the value. With MOS_FRAGINFO_*BUF: elements
 *   returns  0 or -1
 *   errors   EACCES; EPERM also a set-only option; EBADF; ENOSYS unknown level or name; ENOTSOCK;
 *            EFAULT; EINVAL too little room; ENODATA that side has no such information yet
 *   source   POSIX, mOS
 */
int mtcp_getsockopt(mctx_t mctx, int sockid, int level, int optname, void *optval,
                    socklen_t *optlen);

/*
 * Set an option. Does not block. Levels and sockets as for mtcp_getsockopt; MOS_CLIBUF, MOS_SVRBUF
 * and MOS_*OVERLAP are policies: on a passive monitor socket they hold for its future connections.
 *
 *   optval   the value
 *   optlen   its size in bytes; more than needed is accepted
 *   returns  0 or -1 with nothing changed
 *   errors   EACCES; EPERM also a get-only option; EBADF; ENOSYS unknown level or name; ENOTSOCK;
 *            EFAULT; EINVAL length or value; ENOMEM; EISCONN an option for before the connection;
 *            ENOENT no such TCP_CONGESTION algorithm
 *   source   POSIX, mOS
 */
int mtcp_setsockopt(mctx_t mctx, int sockid, int level, int optname, const void *optval,
                    socklen_t optlen);

#ifdef __cplusplus
}
#endif

#include "mos_api.h"
#include "mtcp_epoll.h"

#endif

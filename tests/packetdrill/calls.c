/*
 * packetdrill's calls (interface.h) on the stack's sockets. A socket is an eventfd of the kernel to
 * packetdrill, which closes it itself at times; the table here says which socket of the stack it
 * stands for. The stack's sockets never block; a call that shall block waits here (world.h).
 */
#include "tests/packetdrill/calls.h"
#include "tests/packetdrill/device.h"
#include "tests/packetdrill/interface.h"
#include "tests/packetdrill/world.h"

#include "mtcp/sock/sock.h"

#include <errno.h>
#include <mtcp_epoll.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FDS_MAX 4096

static struct entry {
    bool is_used, is_nonblock;
    int id; /* the stack's */
} entries[FDS_MAX];

/* ---- descriptors ----------------------------------------------------------------------------- */

static struct entry *entry_of(int fd)
{
    return fd >= 0 && fd < FDS_MAX && entries[fd].is_used ? &entries[fd] : NULL;
}

/* The stack's id; -1, which is EBADF to every call, for what is no socket of ours. */
static int id_of(int fd)
{
    struct entry *e = entry_of(fd);
    return e ? e->id : -1;
}

/* A descriptor for the id; with id -1 only -1, errno kept. */
static int fd_new(int id, bool is_nonblock)
{
    if (id < 0)
        return -1;
    int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0 || fd >= FDS_MAX) {
        mtcp_close(world_ctx, id);
        errno = EMFILE;
        return -1;
    }
    entries[fd] = (struct entry){.is_used = true, .is_nonblock = is_nonblock, .id = id};
    return fd;
}

/* Did the call find nothing to do, and may it wait? Then it has waited and tries again. */
static bool tries_again(int fd, int flags)
{
    struct entry *e = entry_of(fd);
    if ((errno != EAGAIN && errno != EALREADY && errno != EINPROGRESS) || !e || e->is_nonblock ||
        (flags & MSG_DONTWAIT))
        return false;
    return world_wait(WORLD_NEVER);
}

bool packetdrill_owns(int fd)
{
    return entry_of(fd) != NULL;
}

/* ---- sockets --------------------------------------------------------------------------------- */

static int call_socket(void *u, int domain, int type, int protocol)
{
    (void)u;
    world_enter();
    int fd = fd_new(mtcp_socket(world_ctx, domain, type | SOCK_NONBLOCK, protocol),
                    (type & SOCK_NONBLOCK) != 0);
    world_leave();
    return fd;
}

static int call_bind(void *u, int fd, const struct sockaddr *addr, socklen_t len)
{
    (void)u;
    world_enter();
    int rc = mtcp_bind(world_ctx, id_of(fd), addr, len);
    world_leave();
    return rc;
}

static int call_listen(void *u, int fd, int backlog)
{
    (void)u;
    world_enter();
    int rc = mtcp_listen(world_ctx, id_of(fd), backlog);
    world_leave();
    return rc;
}

static int call_accept(void *u, int fd, struct sockaddr *addr, socklen_t *len)
{
    (void)u;
    int id;
    world_enter();
    do
        id = mtcp_accept4(world_ctx, id_of(fd), addr, len, SOCK_NONBLOCK);
    while (id < 0 && tries_again(fd, 0));
    int new = fd_new(id, false);
    world_leave();
    return new;
}

static int call_connect(void *u, int fd, const struct sockaddr *addr, socklen_t len)
{
    (void)u;
    int rc;
    world_enter();
    do
        rc = mtcp_connect(world_ctx, id_of(fd), addr, len);
    while (rc < 0 && tries_again(fd, 0));
    world_leave();
    return rc;
}

static int call_shutdown(void *u, int fd, int how)
{
    (void)u;
    world_enter();
    int rc = mtcp_shutdown(world_ctx, id_of(fd), how);
    world_leave();
    return rc;
}

static int call_close(void *u, int fd)
{
    (void)u;
    world_enter();
    int rc = mtcp_close(world_ctx, id_of(fd));
    if (entry_of(fd)) {
        entries[fd].is_used = false;
        close(fd);
    }
    world_leave();
    return rc;
}

/* ---- bytes in -------------------------------------------------------------------------------- */

static ssize_t receive_msg(int fd, struct msghdr *msg, int flags)
{
    ssize_t got;
    world_enter();
    do
        got = mtcp_recvmsg(world_ctx, id_of(fd), msg, flags);
    while (got < 0 && !(flags & MSG_ERRQUEUE) && tries_again(fd, flags));
    world_leave();
    return got;
}

static ssize_t receive(int fd, void *buf, size_t n, int flags)
{
    ssize_t got, done = 0;
    world_enter();
    for (;;) {
        got = mtcp_recv(world_ctx, id_of(fd), (char *)buf + done, n - (size_t)done,
                        flags & ~MSG_WAITALL);
        if (got > 0)
            done += got;
        bool is_whole = !(flags & MSG_WAITALL) || (size_t)done == n;
        if (got == 0 || (got > 0 && is_whole))
            break;
        if (got < 0 && !tries_again(fd, flags))
            break;
    }
    world_leave();
    return done > 0 ? done : got;
}

static ssize_t call_recv(void *u, int fd, void *buf, size_t n, int flags)
{
    (void)u;
    return receive(fd, buf, n, flags);
}

static ssize_t call_recvfrom(void *u, int fd, void *buf, size_t n, int flags, struct sockaddr *from,
                             socklen_t *len)
{
    (void)u;
    (void)from; /* a connected socket leaves it alone */
    if (len)
        *len = 0;
    return receive(fd, buf, n, flags);
}

static ssize_t call_readv(void *u, int fd, const struct iovec *iov, int n_iov)
{
    (void)u;
    ssize_t got;
    world_enter();
    do
        got = mtcp_readv(world_ctx, id_of(fd), iov, n_iov);
    while (got < 0 && tries_again(fd, 0));
    world_leave();
    return got;
}

static ssize_t call_read(void *u, int fd, void *buf, size_t n)
{
    struct iovec iov = {buf, n};
    return call_readv(u, fd, &iov, 1);
}

static ssize_t call_recvmsg(void *u, int fd, struct msghdr *msg, int flags)
{
    (void)u;
    return receive_msg(fd, msg, flags);
}

/* Bytes of all pieces. */
static size_t pieces_len(const struct msghdr *msg)
{
    size_t n = 0;
    for (size_t i = 0; i < msg->msg_iovlen; i++)
        n += msg->msg_iov[i].iov_len;
    return n;
}

/* ---- bytes out ------------------------------------------------------------------------------- */

struct bytes {
    const char *at;
    size_t n;
    const struct sockaddr *to;
    socklen_t tolen;
};

/* A call that blocks does so until what it has begun is connected, whatever went in the SYN: 0,
 * also when it is connected, or -1. */
static int await_connected(int fd, int flags)
{
    int rc;
    do
        rc = (int)mtcp_sendto(world_ctx, id_of(fd), "", 0, MSG_FASTOPEN, NULL, 0);
    while (rc < 0 && errno == EALREADY && tries_again(fd, flags));
    return rc < 0 && errno != EISCONN && errno != EOPNOTSUPP ? -1 : 0;
}

static bool blocks(int fd, int flags)
{
    struct entry *e = entry_of(fd);
    return e && !e->is_nonblock && !(flags & MSG_DONTWAIT);
}

/* As the stack's own call that blocks (sock/write.c): the rest waits for the handshake. */
static void note_rest(int fd, size_t rest)
{
    const struct sock *s = sock_find(ctx_of(world_ctx), id_of(fd));
    if (rest > 0 && s && s->conn && s->conn->ext)
        s->conn->ext->fastopen.has_more = true;
}

static ssize_t transmit(int fd, struct bytes b, int flags)
{
    ssize_t put, done = 0;
    world_enter();
    for (;;) {
        put = mtcp_sendto(world_ctx, id_of(fd), b.at ? b.at + done : NULL, b.n - (size_t)done,
                          flags, b.to, b.tolen);
        if (put > 0)
            done += put;
        bool has_begun = put > 0 || errno == EINPROGRESS;
        if (has_begun && blocks(fd, flags))
            note_rest(fd, b.n - (size_t)done);
        if (has_begun && blocks(fd, flags) && await_connected(fd, flags) < 0) {
            done = 0;
            put = -1;
            break;
        }
        if (put == 0 || (size_t)done == b.n)
            break;
        if (has_begun) {
            errno = put > 0 ? EAGAIN : EINPROGRESS; /* no room for the rest; or the SYN's bytes */
            flags &= blocks(fd, flags) ? ~MSG_FASTOPEN : ~0;
        }
        if (!tries_again(fd, flags))
            break;
    }
    world_leave();
    return done > 0 ? done : put;
}

ssize_t packetdrill_send(int fd, const void *buf, size_t n)
{
    return transmit(fd, (struct bytes){.at = buf, .n = n}, 0);
}

static ssize_t call_write(void *u, int fd, const void *buf, size_t n)
{
    (void)u;
    return transmit(fd, (struct bytes){.at = buf, .n = n}, 0);
}

static ssize_t call_send(void *u, int fd, const void *buf, size_t n, int flags)
{
    (void)u;
    return transmit(fd, (struct bytes){.at = buf, .n = n}, flags);
}

static ssize_t call_sendto(void *u, int fd, const void *buf, size_t n, int flags,
                           const struct sockaddr *to, socklen_t len)
{
    (void)u;
    return transmit(fd, (struct bytes){buf, n, to, len}, flags);
}

static ssize_t call_sendmsg(void *u, int fd, const struct msghdr *msg, int flags)
{
    size_t n = pieces_len(msg), at = 0;
    char *buf = malloc(n ? n : 1);
    if (!buf) {
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        memcpy(buf + at, msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len);
        at += msg->msg_iov[i].iov_len;
    }
    ssize_t put = call_sendto(u, fd, buf, n, flags, msg->msg_name, msg->msg_namelen);
    free(buf);
    return put;
}

static ssize_t call_writev(void *u, int fd, const struct iovec *iov, int n_iov)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n_iov};
    return call_sendmsg(u, fd, &msg, 0);
}

/* ---- what a socket is ------------------------------------------------------------------------ */

static int call_fcntl(void *u, int fd, int cmd, ...)
{
    (void)u;
    va_list ap;
    va_start(ap, cmd);
    int arg = cmd == F_SETFL ? va_arg(ap, int) : 0;
    va_end(ap);
    struct entry *e = entry_of(fd);
    if (!e) {
        errno = EBADF;
        return -1;
    }
    if (cmd == F_GETFL)
        return O_RDWR | (e->is_nonblock ? O_NONBLOCK : 0);
    if (cmd != F_SETFL) {
        errno = EINVAL;
        return -1;
    }
    e->is_nonblock = (arg & O_NONBLOCK) != 0;
    return 0;
}

static int call_ioctl(void *u, int fd, unsigned long request, ...)
{
    (void)u;
    va_list ap;
    va_start(ap, request);
    int *value = va_arg(ap, int *);
    va_end(ap);
    struct entry *e = entry_of(fd);
    if (e && request == FIONBIO) {
        e->is_nonblock = *value != 0;
        return 0;
    }
    world_enter();
    int rc = mtcp_ioctl(world_ctx, id_of(fd), (int)request, value);
    world_leave();
    return rc;
}

int packetdrill_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
    world_enter();
    int rc = mtcp_getsockopt(world_ctx, id_of(fd), level, name, val, len);
    if (rc < 0 && errno == ENOSYS)
        errno = ENOPROTOOPT; /* as the kernel says it */
    world_leave();
    return rc;
}

static int call_getsockopt(void *u, int fd, int level, int name, void *val, socklen_t *len)
{
    (void)u;
    return packetdrill_getsockopt(fd, level, name, val, len);
}

static int call_setsockopt(void *u, int fd, int level, int name, const void *val, socklen_t len)
{
    (void)u;
    world_enter();
    int rc = mtcp_setsockopt(world_ctx, id_of(fd), level, name, val, len);
    if (rc < 0 && errno == ENOSYS)
        errno = ENOPROTOOPT;
    world_leave();
    return rc;
}

/* ---- readiness ------------------------------------------------------------------------------- */

static const struct {
    uint32_t ours, kernels;
} bits[] = {
    {MOS_EPOLLIN, EPOLLIN},           {MOS_EPOLLPRI, EPOLLPRI}, {MOS_EPOLLOUT, EPOLLOUT},
    {MOS_EPOLLERR, EPOLLERR},         {MOS_EPOLLHUP, EPOLLHUP}, {MOS_EPOLLRDHUP, EPOLLRDHUP},
    {MOS_EPOLLONESHOT, EPOLLONESHOT}, {MOS_EPOLLET, EPOLLET},
};

static uint32_t to_ours(uint32_t kernels)
{
    uint32_t ours = 0;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        ours |= kernels & bits[i].kernels ? bits[i].ours : 0;
    return ours;
}

static uint32_t to_kernels(uint64_t ours)
{
    uint32_t kernels = 0;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        kernels |= ours & bits[i].ours ? bits[i].kernels : 0;
    return kernels;
}

static int call_epoll_create(void *u, int size)
{
    (void)u;
    world_enter();
    int fd = fd_new(mtcp_epoll_create(world_ctx, size), true);
    world_leave();
    return fd;
}

static int call_epoll_ctl(void *u, int ep, int op, int fd, struct epoll_event *ev)
{
    (void)u;
    static const int ops[] = {[EPOLL_CTL_ADD] = MOS_EPOLL_CTL_ADD,
                              [EPOLL_CTL_MOD] = MOS_EPOLL_CTL_MOD,
                              [EPOLL_CTL_DEL] = MOS_EPOLL_CTL_DEL};
    struct mtcp_epoll_event ours = {0};
    if (ev)
        ours = (struct mtcp_epoll_event){to_ours(ev->events), {.u64 = ev->data.u64}};
    world_enter();
    int rc = mtcp_epoll_ctl(world_ctx, id_of(ep), op > 0 && op <= EPOLL_CTL_MOD ? ops[op] : op,
                            id_of(fd), ev ? &ours : NULL);
    world_leave();
    return rc;
}

static uint64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? WORLD_NEVER : world_now() + (uint64_t)timeout_ms * 1000u;
}

static int call_epoll_wait(void *u, int ep, struct epoll_event *ev, int max, int timeout_ms)
{
    (void)u;
    struct mtcp_epoll_event ours[64];
    world_enter();
    uint64_t deadline = deadline_of(timeout_ms);
    int n;
    do
        n = mtcp_epoll_wait(world_ctx, id_of(ep), ours, max < 64 ? max : 64, 0);
    while (n == 0 && timeout_ms != 0 && world_wait(deadline));
    for (int i = 0; i < n; i++)
        ev[i] = (struct epoll_event){to_kernels(ours[i].events), {.u64 = ours[i].data.u64}};
    world_leave();
    return n;
}

/* POLLIN and the others have the values of EPOLLIN and the others. */
static int poll_once(int ep, struct pollfd *fds, nfds_t n)
{
    int n_ready = 0;
    struct mtcp_epoll_event ev;
    for (nfds_t i = 0; i < n; i++) {
        struct mtcp_epoll_event want = {to_ours((uint16_t)fds[i].events), {.u64 = i}};
        fds[i].revents = 0;
        if (fds[i].fd < 0)
            continue;
        if (mtcp_epoll_ctl(world_ctx, ep, MOS_EPOLL_CTL_ADD, id_of(fds[i].fd), &want) < 0)
            fds[i].revents = POLLNVAL;
        else if (mtcp_epoll_wait(world_ctx, ep, &ev, 1, 0) > 0)
            fds[i].revents =
                (short)(to_kernels(ev.events) & ((uint16_t)fds[i].events | POLLERR | POLLHUP));
        mtcp_epoll_ctl(world_ctx, ep, MOS_EPOLL_CTL_DEL, id_of(fds[i].fd), NULL);
        n_ready += fds[i].revents != 0;
    }
    return n_ready;
}

static int call_poll(void *u, struct pollfd *fds, nfds_t n, int timeout_ms)
{
    (void)u;
    world_enter();
    uint64_t deadline = deadline_of(timeout_ms);
    int ready, ep = mtcp_epoll_create(world_ctx, 1);
    do
        ready = poll_once(ep, fds, n);
    while (ready == 0 && timeout_ms != 0 && world_wait(deadline));
    mtcp_close(world_ctx, ep);
    world_leave();
    return ready;
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static int call_pipe(void *u, int fds[2])
{
    (void)u;
    int ids[2];
    world_enter();
    int rc = mtcp_pipe(world_ctx, ids);
    for (int i = 0; i < 2 && rc == 0; i++)
        fds[i] = fd_new(ids[i], false);
    world_leave();
    return rc;
}

static int call_splice(void *u, int in, loff_t *in_off, int out, loff_t *out_off, size_t n,
                       unsigned int flags)
{
    (void)u, (void)in, (void)in_off, (void)out, (void)out_off, (void)n, (void)flags;
    errno = ENOSYS;
    return -1;
}

/* ---- packets and time ------------------------------------------------------------------------ */

static int call_netdev_send(void *u, const void *buf, size_t n)
{
    (void)u;
    world_enter();
    bool is_sent = device_send(buf, n);
    world_leave();
    return is_sent ? 0 : -1;
}

static int call_netdev_receive(void *u, void *buf, size_t *n, long long *at_us)
{
    (void)u;
    uint64_t at = 0;
    world_enter();
    *n = world_receive(buf, *n, &at);
    *at_us = (long long)at;
    world_leave();
    return 0;
}

static int call_usleep(void *u, useconds_t us)
{
    (void)u;
    world_enter();
    world_sleep(us);
    world_leave();
    return 0;
}

static int call_gettimeofday(void *u, struct timeval *tv, struct timezone *tz)
{
    (void)u;
    (void)tz;
    uint64_t now = world_clock();
    *tv = (struct timeval){(time_t)(now / 1000000), (suseconds_t)(now % 1000000)};
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void call_free(void *u)
{
    (void)u;
    world_close();
}

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *table)
{
    unsetenv("LD_PRELOAD"); /* meant for packetdrill, not for what its scripts start */
    if (!world_open(flags)) {
        fprintf(stderr, "packetdrill: the stack does not start: %s\n", strerror(errno));
        _exit(2);
    }
    *table = (struct packetdrill_interface){
        .free = call_free,
        .socket = call_socket,
        .bind = call_bind,
        .listen = call_listen,
        .accept = call_accept,
        .connect = call_connect,
        .read = call_read,
        .readv = call_readv,
        .recv = call_recv,
        .recvfrom = call_recvfrom,
        .recvmsg = call_recvmsg,
        .write = call_write,
        .writev = call_writev,
        .send = call_send,
        .sendto = call_sendto,
        .sendmsg = call_sendmsg,
        .fcntl = call_fcntl,
        .ioctl = call_ioctl,
        .close = call_close,
        .shutdown = call_shutdown,
        .getsockopt = call_getsockopt,
        .setsockopt = call_setsockopt,
        .poll = call_poll,
        .netdev_send = call_netdev_send,
        .netdev_receive = call_netdev_receive,
        .usleep = call_usleep,
        .gettimeofday = call_gettimeofday,
        .epoll_create = call_epoll_create,
        .epoll_ctl = call_epoll_ctl,
        .epoll_wait = call_epoll_wait,
        .pipe = call_pipe,
        .splice = call_splice,
    };
}

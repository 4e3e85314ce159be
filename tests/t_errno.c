/*
 * The errors of the public calls, in the order of the common rules of mtcp_api.h: each call with
 * everything right but one thing. A failure writes nothing, a success leaves errno alone.
 */
#include "tests/duo.h"
#include "tests/test.h"

#include <mos_api.h>
#include <mtcp_api.h>
#include <mtcp_io.h>

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static struct duo d;

enum { UNBOUND, LISTENER, STREAM, EPOLL, PIPE_RD, PIPE_WR, PASSIVE, N_KINDS };
static const char *const kinds[N_KINDS] = {"unbound", "listener", "stream",         "epoll",
                                           "pipe rd", "pipe wr",  "passive monitor"};
static int sock[N_KINDS], peer;

static void world_open(void)
{
    int p[2];
    duo_open(&d, NULL);
    sock[LISTENER] = duo_listen(&d, 80);
    sock[STREAM] = duo_pair(&d, sock[LISTENER], &peer);
    sock[UNBOUND] = mtcp_socket(d.srv, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sock[EPOLL] = mtcp_epoll_create(d.srv, 1);
    EXPECT_EQ(mtcp_pipe(d.srv, p), 0);
    sock[PIPE_RD] = p[0];
    sock[PIPE_WR] = p[1];
    mtcp_setsock_nonblock(d.srv, p[0]);
    mtcp_setsock_nonblock(d.srv, p[1]);
    sock[PASSIVE] = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT_FATAL(sock[PASSIVE] >= 100000); /* above every endpoint's id */
}

/* ---- every call that takes a socket ---------------------------------------------------------- */

static char room[256];
static struct sockaddr_in any = {.sin_family = AF_INET};
static struct iovec iov[1] = {{room, 1}};

static int64_t call_bind(mctx_t m, int s)
{
    return mtcp_bind(m, s, (struct sockaddr *)&any, sizeof(any));
}

static int64_t call_listen(mctx_t m, int s)
{
    return mtcp_listen(m, s, 1);
}

static int64_t call_accept(mctx_t m, int s)
{
    return mtcp_accept(m, s, NULL, NULL);
}

static int64_t call_accept4(mctx_t m, int s)
{
    return mtcp_accept4(m, s, NULL, NULL, SOCK_NONBLOCK);
}

static int64_t call_connect(mctx_t m, int s)
{
    struct sockaddr_in a = duo_addr("10.0.0.2", 9);
    return mtcp_connect(m, s, (struct sockaddr *)&a, sizeof(a));
}

static int64_t call_shutdown(mctx_t m, int s)
{
    return mtcp_shutdown(m, s, SHUT_WR);
}

static int64_t call_read(mctx_t m, int s)
{
    return mtcp_read(m, s, room, 1);
}

static int64_t call_recv(mctx_t m, int s)
{
    return mtcp_recv(m, s, room, 1, 0);
}

static int64_t call_readv(mctx_t m, int s)
{
    return mtcp_readv(m, s, iov, 1);
}

static int64_t call_write(mctx_t m, int s)
{
    return mtcp_write(m, s, room, 1);
}

static int64_t call_send(mctx_t m, int s)
{
    return mtcp_send(m, s, room, 1, 0);
}

static int64_t call_writev(mctx_t m, int s)
{
    return mtcp_writev(m, s, iov, 1);
}

static int64_t call_getsockname(mctx_t m, int s)
{
    socklen_t len = sizeof(room);
    return mtcp_getsockname(m, s, (struct sockaddr *)room, &len);
}

static int64_t call_getpeername(mctx_t m, int s)
{
    socklen_t len = sizeof(room);
    return mtcp_getpeername(m, s, (struct sockaddr *)room, &len, MOS_SIDE_CLI);
}

static int64_t call_fionread(mctx_t m, int s)
{
    return mtcp_ioctl(m, s, FIONREAD, room);
}

static int64_t call_siocoutq(mctx_t m, int s)
{
    return mtcp_ioctl(m, s, SIOCOUTQ, room);
}

static int64_t call_nonblock(mctx_t m, int s)
{
    return mtcp_setsock_nonblock(m, s);
}

static int64_t call_getsockopt(mctx_t m, int s)
{
    socklen_t len = sizeof(room);
    return mtcp_getsockopt(m, s, SOL_SOCKET, SO_ERROR, room, &len);
}

static int64_t call_setsockopt(mctx_t m, int s)
{
    int on = 0;
    return mtcp_setsockopt(m, s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static int64_t call_add(mctx_t m, int s)
{
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data = {.u64 = 0}};
    return mtcp_epoll_ctl(m, sock[EPOLL], MOS_EPOLL_CTL_ADD, s, &ev);
}

static int64_t call_wait(mctx_t m, int s)
{
    struct mtcp_epoll_event ev;
    return mtcp_epoll_wait(m, s, &ev, 1, 0);
}

static int64_t call_ctl(mctx_t m, int s)
{
    return mtcp_epoll_ctl(m, s, MOS_EPOLL_CTL_DEL, sock[UNBOUND], NULL);
}

static int64_t call_add_fd(mctx_t m, int s)
{
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data = {.u64 = 0}};
    return mtcp_epoll_add_fd(m, s, -1, &ev);
}

static int64_t call_del_fd(mctx_t m, int s)
{
    return mtcp_epoll_del_fd(m, s, -1);
}

static int64_t call_abort(mctx_t m, int s)
{
    return mtcp_abort(m, s);
}

static int64_t call_close(mctx_t m, int s)
{
    return mtcp_close(m, s);
}

/* What each call says of each kind of socket: an errno, 0 for success, ANY: not asked here. */
#define ANY -1
#define NS  ENOTSOCK
#define NC  ENOTCONN
static const struct {
    const char *name;
    int64_t (*call)(mctx_t m, int s);
    int says[N_KINDS];
} calls[] = {
    /*                unbound listener stream  epoll rd      wr      passive */
    {"getsockname", call_getsockname, {0, 0, 0, NS, NS, NS, NS}},
    {"getpeername", call_getpeername, {NC, NC, 0, NS, NS, NS, NS}},
    {"FIONREAD", call_fionread, {0, EINVAL, 0, NS, 0, 0, NS}},
    {"SIOCOUTQ", call_siocoutq, {0, EINVAL, 0, NS, EINVAL, EINVAL, NS}},
    {"setsock_nonblock", call_nonblock, {0, 0, 0, NS, 0, 0, NS}},
    {"getsockopt", call_getsockopt, {0, 0, 0, NS, NS, NS, NS}},
    {"setsockopt", call_setsockopt, {0, 0, 0, NS, NS, NS, NS}},
    {"accept", call_accept, {EINVAL, EAGAIN, EINVAL, NS, NS, NS, NS}},
    {"accept4", call_accept4, {EINVAL, EAGAIN, EINVAL, NS, NS, NS, NS}},
    {"read", call_read, {NC, NC, EAGAIN, NS, EAGAIN, EBADF, NS}},
    {"recv", call_recv, {NC, NC, EAGAIN, NS, NS, NS, NS}},
    {"readv", call_readv, {NC, NC, EAGAIN, NS, EAGAIN, EBADF, NS}},
    {"write", call_write, {EPIPE, EPIPE, 0, NS, EBADF, 0, NS}},
    {"send", call_send, {EPIPE, EPIPE, 0, NS, NS, NS, NS}},
    {"writev", call_writev, {EPIPE, EPIPE, 0, NS, EBADF, 0, NS}},
    {"epoll_wait", call_wait, {NS, NS, NS, 0, NS, NS, NS}},
    {"epoll_ctl on", call_ctl, {NS, NS, NS, ENOENT, NS, NS, NS}},
    {"epoll_add_fd", call_add_fd, {NS, NS, NS, EBADF, NS, NS, NS}},
    {"epoll_del_fd", call_del_fd, {NS, NS, NS, EBADF, NS, NS, NS}},
    {"epoll_ctl of", call_add, {0, 0, 0, NS, 0, 0, NS}},
    {"shutdown", call_shutdown, {NC, 0, 0, NS, NS, NS, NS}},
    {"bind", call_bind, {0, EINVAL, EINVAL, NS, NS, NS, NS}},
    {"connect", call_connect, {EINPROGRESS, EISCONN, EISCONN, NS, NS, NS, NS}},
    {"listen", call_listen, {EINVAL, 0, EINVAL, NS, NS, NS, NS}},
    {"abort", call_abort, {0, NS, 0, NS, NS, NS, NS}},
    {"close", call_close, {EBADF, 0, EBADF, 0, 0, 0, 0}}, /* two are gone by now */
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static void expect(unsigned i, const char *of, mctx_t m, int s, int want)
{
    errno = 7777;
    int64_t r = calls[i].call(m, s);
    int got = r < 0 ? errno : 0;
    if (got != want)
        fprintf(stderr, "\nmtcp_%s of %s: %s, expected %s\n", calls[i].name, of, strerror(got),
                strerror(want));
    EXPECT_EQ(got, want);
    EXPECT_EQ(errno, want ? want : 7777); /* a success leaves it */
}

static void each_kind_of_socket_has_its_answer(void)
{
    world_open();
    for (unsigned i = 0; i < N_CALLS; i++)
        for (unsigned k = 0; k < N_KINDS; k++)
            expect(i, kinds[k], d.srv, sock[k], calls[i].says[k]);
    duo_close(&d);
}

static void ids_that_are_none_are_ebadf(void)
{
    static const int bad[] = {-1, INT_MIN, INT_MAX, 50, 99999, 100000 + 5};
    world_open();
    for (unsigned i = 0; i < N_CALLS; i++)
        for (unsigned k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
            expect(i, "no socket", d.srv, bad[k], EBADF);
    int gone = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_close(d.srv, gone), 0);
    int fresh = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT(fresh != gone); /* the same place, another generation */
    for (unsigned i = 0; i < N_CALLS; i++)
        expect(i, "stale monitor", d.srv, gone, EBADF);
    duo_close(&d);
}

/* ---- contexts -------------------------------------------------------------------------------- */

/* Calls without a socket; 0 or -errno. */
static int others_say(mctx_t m)
{
    int p[2], want = 0;
    struct {
        int64_t r;
        int e;
    } got[9];
    unsigned n = 0;
#define TRY(call) (errno = 0, got[n].r = (call), got[n++].e = errno)
    TRY(mtcp_socket(m, AF_INET, SOCK_STREAM, 0));
    TRY(mtcp_pipe(m, p));
    TRY(mtcp_epoll_create(m, 1));
    TRY(mtcp_epoll_create1(m, 0));
    TRY(mtcp_init_rss(m, INADDR_ANY, 1, 0, 0));
    TRY(mtcp_destroy_context(m));
    TRY(mtcp_get_connection_cnt(m) == 0 ? -1 : 0);
    TRY((mtcp_app_join(m), -1));
    TRY(mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0));
    want = got[0].e;
    for (unsigned i = 0; i < n; i++) {
        EXPECT_EQ(got[i].r, -1);
        EXPECT_EQ(got[i].e, want);
    }
    return -want;
}

static void handles_that_are_none_are_eacces(void)
{
    struct mtcp_context mine = {0};
    world_open();
    mctx_t bad[] = {NULL,
                    &mine,
                    (mctx_t)(uintptr_t)1,
                    (mctx_t)((char *)d.srv + 1),
                    (mctx_t)((char *)d.srv + 4),
                    d.srv + 1};
    for (unsigned k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        for (unsigned i = 0; i < N_CALLS; i++)
            expect(i, "no context", bad[k], -1, EACCES);
        EXPECT_EQ(others_say(bad[k]), -EACCES);
    }
    mctx_t stale = d.srv;
    duo_close(&d);
    for (unsigned i = 0; i < N_CALLS; i++)
        expect(i, "stale context", stale, sock[STREAM], EACCES);
    EXPECT_EQ(others_say(stale), -EACCES);
}

static void *other_thread(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < N_CALLS; i++) {
        expect(i, "another thread's", d.srv, sock[STREAM], EPERM);
        expect(i, "another thread's", d.srv, -1, EPERM);
    }
    EXPECT_EQ(others_say(d.srv), -EPERM);
    return NULL;
}

static void other_threads_are_eperm(void)
{
    pthread_t t;
    world_open();
    CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, other_thread, NULL), 0);
    pthread_join(t, NULL);
    duo_close(&d);
}

/* ---- arguments ------------------------------------------------------------------------------- */

#define SAYS(e, call)                                                                              \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, e);                                                                       \
    } while (0)

static void null_is_efault(void)
{
    mctx_t m;
    socklen_t len = sizeof(room);
    world_open();
    m = d.srv;
    struct sockaddr *sa = (struct sockaddr *)room;
    struct iovec hole[2] = {{room, 1}, {NULL, 1}};
    SAYS(EFAULT, mtcp_bind(m, sock[UNBOUND], NULL, sizeof(any)));
    SAYS(EFAULT, mtcp_connect(m, sock[UNBOUND], NULL, sizeof(any)));
    SAYS(EFAULT, mtcp_accept(m, sock[LISTENER], sa, NULL));
    SAYS(EFAULT, mtcp_accept4(m, sock[LISTENER], sa, NULL, 0));
    SAYS(EFAULT, mtcp_read(m, sock[STREAM], NULL, 1));
    SAYS(EFAULT, mtcp_recv(m, sock[STREAM], NULL, 1, 0));
    SAYS(EFAULT, mtcp_readv(m, sock[STREAM], NULL, 1));
    SAYS(EFAULT, mtcp_readv(m, sock[STREAM], hole, 2));
    SAYS(EFAULT, mtcp_write(m, sock[STREAM], NULL, 1));
    SAYS(EFAULT, mtcp_send(m, sock[STREAM], NULL, 1, 0));
    SAYS(EFAULT, mtcp_writev(m, sock[STREAM], NULL, 1));
    SAYS(EFAULT, mtcp_writev(m, sock[STREAM], hole, 2));
    SAYS(EFAULT, mtcp_read(m, sock[PIPE_RD], NULL, 1));
    SAYS(EFAULT, mtcp_write(m, sock[PIPE_WR], NULL, 1));
    SAYS(EFAULT, mtcp_getsockname(m, sock[STREAM], NULL, &len));
    SAYS(EFAULT, mtcp_getsockname(m, sock[STREAM], sa, NULL));
    SAYS(EFAULT, mtcp_getpeername(m, sock[STREAM], NULL, &len, 0));
    SAYS(EFAULT, mtcp_getpeername(m, sock[STREAM], sa, NULL, 0));
    SAYS(EFAULT, mtcp_ioctl(m, sock[STREAM], FIONREAD, NULL));
    SAYS(EFAULT, mtcp_pipe(m, NULL));
    SAYS(EFAULT, mtcp_epoll_ctl(m, sock[EPOLL], MOS_EPOLL_CTL_ADD, sock[STREAM], NULL));
    SAYS(EFAULT, mtcp_epoll_ctl(m, sock[EPOLL], MOS_EPOLL_CTL_MOD, sock[STREAM], NULL));
    SAYS(EFAULT, mtcp_epoll_wait(m, sock[EPOLL], NULL, 1, 0));
    SAYS(EFAULT, mtcp_epoll_add_fd(m, sock[EPOLL], 0, NULL));
    EXPECT_EQ(mtcp_read(m, sock[STREAM], NULL, 0), 0);
    EXPECT_EQ(mtcp_write(m, sock[STREAM], NULL, 0), 0);
    errno = 0;
    CU_ASSERT_PTR_NULL(mtcp_create_context_io(0, NULL, NULL, 1, NULL));
    EXPECT_EQ(errno, EFAULT);
    duo_close(&d);
}

static void bad_values_are_einval(void)
{
    mctx_t m;
    socklen_t len = sizeof(room), huge = (socklen_t)-1;
    world_open();
    m = d.srv;
    struct sockaddr *sa = (struct sockaddr *)room;
    struct iovec long_iov[2] = {{room, SSIZE_MAX}, {room, 1}};
    struct sockaddr_in zero = duo_addr("10.0.0.2", 0);
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    SAYS(EINVAL, mtcp_bind(m, sock[UNBOUND], (struct sockaddr *)&any, sizeof(any) - 1));
    SAYS(EINVAL, mtcp_bind(m, sock[UNBOUND], (struct sockaddr *)&any, 0));
    SAYS(EINVAL, mtcp_connect(m, sock[UNBOUND], (struct sockaddr *)&any, 1));
    SAYS(EINVAL, mtcp_connect(m, sock[UNBOUND], (struct sockaddr *)&zero, sizeof(zero)));
    SAYS(EAFNOSUPPORT, mtcp_bind(m, sock[UNBOUND], (struct sockaddr *)&v6, sizeof(v6)));
    SAYS(EAFNOSUPPORT, mtcp_connect(m, sock[UNBOUND], (struct sockaddr *)&v6, sizeof(v6)));
    SAYS(EINVAL, mtcp_accept(m, sock[LISTENER], sa, &huge));
    SAYS(EINVAL, mtcp_accept4(m, sock[LISTENER], sa, &len, 0x40000000));
    SAYS(EINVAL, mtcp_getsockname(m, sock[STREAM], sa, &huge));
    SAYS(EINVAL, mtcp_getpeername(m, sock[STREAM], sa, &huge, 0));
    EXPECT_EQ(huge, (socklen_t)-1);
    SAYS(EINVAL, mtcp_shutdown(m, sock[STREAM], 3));
    SAYS(EINVAL, mtcp_shutdown(m, sock[STREAM], -1));
    SAYS(EINVAL, mtcp_readv(m, sock[STREAM], iov, -1));
    SAYS(EINVAL, mtcp_readv(m, sock[STREAM], iov, IOV_MAX + 1));
    SAYS(EINVAL, mtcp_readv(m, sock[STREAM], long_iov, 2));
    SAYS(EINVAL, mtcp_writev(m, sock[STREAM], iov, -1));
    SAYS(EINVAL, mtcp_writev(m, sock[STREAM], iov, IOV_MAX + 1));
    SAYS(EINVAL, mtcp_writev(m, sock[STREAM], long_iov, 2));
    SAYS(EINVAL, mtcp_recv(m, sock[STREAM], room, 1, MSG_OOB));
    SAYS(EOPNOTSUPP, mtcp_recv(m, sock[STREAM], room, 1, MSG_DONTROUTE));
    SAYS(EAGAIN, mtcp_recv(m, sock[STREAM], room, 1, MSG_NOSIGNAL));
    SAYS(EOPNOTSUPP, mtcp_send(m, sock[STREAM], room, 1, MSG_DONTROUTE));
    SAYS(EINVAL, mtcp_ioctl(m, sock[STREAM], 4711, room));
    SAYS(EINVAL, mtcp_epoll_create(m, 0));
    SAYS(EINVAL, mtcp_epoll_create1(m, 4711));
    SAYS(EINVAL, mtcp_epoll_ctl(m, sock[EPOLL], 4, sock[STREAM], (void *)room));
    SAYS(EINVAL, mtcp_epoll_ctl(m, sock[EPOLL], 0, sock[STREAM], (void *)room));
    SAYS(EINVAL, mtcp_epoll_wait(m, sock[EPOLL], (void *)room, 0, 0));
    SAYS(EINVAL, mtcp_epoll_wait(m, sock[EPOLL], (void *)room, -1, 0));
    SAYS(EINVAL, mtcp_init_rss(m, INADDR_ANY, 0, 0, 0));
    SAYS(EADDRNOTAVAIL, mtcp_init_rss(m, htonl(0x7f000001), 1, htonl(0x0a000002), 0));
    SAYS(ENETUNREACH, mtcp_init_rss(m, INADDR_ANY, 1, htonl(0x08080808), 0));
    EXPECT_EQ(mtcp_init_rss(m, htonl(0x0a000001), 1, htonl(0x0a000002), htons(80)), 0);
    errno = 0;
    CU_ASSERT_PTR_NULL(mtcp_create_context_io(0, NULL, (struct mtcp_io *[1]){NULL}, 0, NULL));
    EXPECT_EQ(errno, EINVAL);
    duo_close(&d);
}

static void families_and_types(void)
{
    mctx_t m;
    world_open();
    m = d.srv;
    SAYS(EAFNOSUPPORT, mtcp_socket(m, AF_UNIX, SOCK_STREAM, 0));
    SAYS(EAFNOSUPPORT, mtcp_socket(m, AF_UNSPEC, SOCK_STREAM, 0));
    SAYS(EAFNOSUPPORT, mtcp_socket(m, -1, MOS_SOCK_MONITOR_STREAM, 0));
    SAYS(EPROTONOSUPPORT, mtcp_socket(m, AF_INET, SOCK_DGRAM, 0));
    SAYS(EPROTONOSUPPORT, mtcp_socket(m, AF_INET, SOCK_STREAM, IPPROTO_UDP));
    SAYS(EINVAL, mtcp_socket(m, AF_INET, SOCK_SEQPACKET, 0));
    SAYS(EINVAL, mtcp_socket(m, AF_INET, MOS_SOCK_EPOLL, 0));
    SAYS(EINVAL, mtcp_socket(m, AF_INET, 99, 0));
    CU_ASSERT(mtcp_socket(m, AF_INET, MOS_SOCK_STREAM, IPPROTO_TCP) >= 0);
    CU_ASSERT(mtcp_socket(m, AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
    duo_close(&d);
}

/* The first thing wrong in the order of the rules is what is told. */
static void the_order_is_kept(void)
{
    mctx_t m;
    socklen_t len = 1;
    world_open();
    m = d.srv;
    SAYS(EACCES, mtcp_getsockopt(NULL, -1, 4711, 4711, NULL, NULL));
    SAYS(EBADF, mtcp_getsockopt(m, -1, 4711, 4711, NULL, NULL));
    SAYS(ENOSYS, mtcp_getsockopt(m, sock[EPOLL], 4711, 4711, NULL, NULL));
    SAYS(ENOTSOCK, mtcp_getsockopt(m, sock[EPOLL], SOL_SOCKET, 4711, NULL, NULL));
    SAYS(ENOSYS, mtcp_getsockopt(m, sock[STREAM], SOL_SOCKET, 4711, NULL, NULL));
    SAYS(EPERM, mtcp_setsockopt(m, sock[STREAM], SOL_SOCKET, SO_ERROR, NULL, 0));
    SAYS(EFAULT, mtcp_getsockopt(m, sock[STREAM], SOL_SOCKET, SO_ERROR, NULL, &len));
    SAYS(EINVAL, mtcp_getsockopt(m, sock[STREAM], SOL_SOCKET, SO_ERROR, room, &len));
    SAYS(ENOTSOCK, mtcp_getsockopt(m, sock[PASSIVE], SOL_SOCKET, SO_ERROR, NULL, NULL));
    SAYS(ENOTSOCK, mtcp_getsockopt(m, sock[PASSIVE], IPPROTO_TCP, 4711, NULL, NULL));
    SAYS(ENOTSOCK, mtcp_getsockopt(m, sock[STREAM], SOL_MONSOCKET, 4711, NULL, NULL));
    SAYS(ENOTSOCK, mtcp_bind(m, sock[EPOLL], NULL, 0));
    SAYS(EFAULT, mtcp_bind(m, sock[STREAM], NULL, 0));
    SAYS(EBADF, mtcp_epoll_wait(m, -1, NULL, 0, 0));
    SAYS(ENOTSOCK, mtcp_epoll_wait(m, sock[STREAM], NULL, 0, 0));
    SAYS(EFAULT, mtcp_epoll_wait(m, sock[EPOLL], NULL, 0, 0));
    SAYS(EBADF, mtcp_epoll_ctl(m, sock[STREAM], 99, -1, NULL));
    SAYS(EBADF, mtcp_epoll_ctl(m, -1, 99, sock[STREAM], NULL));
    SAYS(ENOTSOCK, mtcp_epoll_ctl(m, sock[STREAM], 99, sock[STREAM], NULL));
    EXPECT_EQ(len, 1);
    duo_close(&d);
}

/* ---- inside a callback ----------------------------------------------------------------------- */

static unsigned n_called;
static int blocking_listener, blocking_stream, lingering;

static void in_callback(mctx_t m, int s, int side, event_t ev, filter_arg_t *arg)
{
    struct mtcp_epoll_event out;
    struct sockaddr_in a = duo_addr("10.0.0.2", 9);
    (void)s, (void)side, (void)ev, (void)arg;
    if (n_called++)
        return;
    SAYS(EDEADLK, mtcp_epoll_wait(m, sock[EPOLL], &out, 1, 0));
    SAYS(EDEADLK, mtcp_accept(m, blocking_listener, NULL, NULL));
    SAYS(EDEADLK, mtcp_read(m, blocking_stream, room, 1));
    SAYS(EDEADLK, mtcp_recv(m, blocking_stream, room, 1, MSG_WAITALL));
    int block = mtcp_socket(m, AF_INET, SOCK_STREAM, 0);
    SAYS(EDEADLK, mtcp_connect(m, block, (struct sockaddr *)&a, sizeof(a)));
    EXPECT_EQ(mtcp_close(m, block), 0);
    SAYS(EDEADLK, mtcp_close(m, lingering));
    SAYS(EDEADLK, mtcp_destroy_context(m));
    errno = 0;
    mtcp_app_join(m);
    EXPECT_EQ(errno, EDEADLK);
    static char big[1000000];
    EXPECT_EQ(mtcp_write(m, blocking_stream, big, sizeof(big)), 262144); /* what fits */
    SAYS(EDEADLK, mtcp_write(m, blocking_stream, big, 1));
    SAYS(EAGAIN, mtcp_recv(m, blocking_stream, room, 1, MSG_DONTWAIT));
    EXPECT_EQ(mtcp_close(m, sock[STREAM]), 0);
}

static void callbacks_can_not_run_the_loop(void)
{
    int off = 0, p2, p3;
    struct linger x = {1, 5};
    world_open();
    blocking_listener = duo_listen(&d, 81);
    blocking_stream = duo_pair(&d, sock[LISTENER], &p2);
    lingering = duo_pair(&d, sock[LISTENER], &p3);
    mtcp_ioctl(d.srv, blocking_listener, FIONBIO, &off);
    mtcp_ioctl(d.srv, blocking_stream, FIONBIO, &off);
    mtcp_setsockopt(d.srv, lingering, SOL_SOCKET, SO_LINGER, &x, sizeof(x));
    n_called = 0;
    EXPECT_EQ(
        mtcp_register_callback(d.srv, sock[PASSIVE], MOS_ON_CONN_START, MOS_HK_RCV, in_callback),
        0);
    duo_connect(&d, 80);
    duo_step(&d, 0);
    EXPECT_EQ(n_called, 1);
    SAYS(EBADF, mtcp_read(d.srv, sock[STREAM], room, 1));
    EXPECT_EQ(mtcp_read(d.cli, peer, room, 1), 0); /* the close was carried out */
    x.l_onoff = 0;
    mtcp_setsockopt(d.srv, lingering, SOL_SOCKET, SO_LINGER, &x, sizeof(x));
    duo_close(&d);
}

/* ---- interruption ---------------------------------------------------------------------------- */

static unsigned n_signals;

static void on_signal(int signum)
{
    EXPECT_EQ(signum, SIGUSR1);
    n_signals++;
}

static void raise_late(struct duo *world)
{
    if (world->now_us > 2000000) {
        world->on_wait = NULL;
        raise(SIGUSR1);
    }
}

static void signals_interrupt(void)
{
    struct mtcp_epoll_event ev;
    int off = 0;
    world_open();
    n_signals = 0;
    CU_ASSERT(mtcp_register_signal(SIGUSR1, on_signal) == SIG_DFL);
    mtcp_ioctl(d.srv, sock[STREAM], FIONBIO, &off);
    d.on_wait = raise_late;
    SAYS(EINTR, mtcp_read(d.srv, sock[STREAM], room, 1));
    EXPECT_EQ(n_signals, 1);
    d.on_wait = raise_late;
    d.now_us += 2000000;
    SAYS(EINTR, mtcp_epoll_wait(d.srv, sock[EPOLL], &ev, 1, -1)); /* pending at the client, too */
    d.on_wait = raise_late;
    errno = 0;
    mtcp_app_join(d.srv);
    EXPECT_EQ(errno, 0);
    EXPECT_EQ(n_signals, 3);
    raise(SIGUSR1); /* outside: ends the next call that waits, once */
    SAYS(EINTR, mtcp_epoll_wait(d.srv, sock[EPOLL], &ev, 1, 50));
    EXPECT_EQ(mtcp_epoll_wait(d.srv, sock[EPOLL], &ev, 1, 50), 0);
    CU_ASSERT(mtcp_register_signal(SIGUSR1, SIG_DFL) == on_signal);
    errno = 0;
    CU_ASSERT(mtcp_register_signal(SIGKILL, on_signal) == SIG_ERR);
    EXPECT_EQ(errno, EINVAL);
    CU_ASSERT(mtcp_register_signal(0, on_signal) == SIG_ERR);
    CU_ASSERT(mtcp_register_signal(NSIG, on_signal) == SIG_ERR);
    CU_ASSERT(mtcp_register_signal(-1, on_signal) == SIG_ERR);
    duo_close(&d);
}

static void cores_that_are_none_are_einval(void)
{
    SAYS(EINVAL, mtcp_core_affinitize(-1));
    SAYS(EINVAL, mtcp_core_affinitize(INT_MAX));
    SAYS(EINVAL, mtcp_core_affinitize(1000));
}

/* Ids of monitors' sockets come again after millions of others, not after thousands. */
static void a_stale_monitor_meets_no_new_one(void)
{
    static const int kept[] = {0, 1, 3000}; /* sockets that live meanwhile */
    for (unsigned i = 0; i < 3; i++) {
        duo_open(&d, NULL);
        for (int k = 0; k < kept[i]; k++)
            CU_ASSERT(mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0) >= 0);
        int gone = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        EXPECT_EQ(mtcp_close(d.srv, gone), 0);
        bool met = false;
        for (int k = 0; k < 200000 && !met; k++) {
            int s = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
            met = s < 0 || s == gone;
            EXPECT_EQ(mtcp_close(d.srv, s), 0);
        }
        CU_ASSERT_FALSE(met);
        duo_close(&d);
    }
}

TEST_SUITE(errno_, TEST_CASE(each_kind_of_socket_has_its_answer),
           TEST_CASE(ids_that_are_none_are_ebadf), TEST_CASE(handles_that_are_none_are_eacces),
           TEST_CASE(other_threads_are_eperm), TEST_CASE(null_is_efault),
           TEST_CASE(bad_values_are_einval), TEST_CASE(families_and_types),
           TEST_CASE(the_order_is_kept), TEST_CASE(callbacks_can_not_run_the_loop),
           TEST_CASE(signals_interrupt), TEST_CASE(cores_that_are_none_are_einval),
           TEST_CASE(a_stale_monitor_meets_no_new_one));

/* Endpoint sockets over two contexts linked in memory: each call does what POSIX and Linux say. */
#include "tests/duo.h"
#include "tests/test.h"

#include "mtcp/sock/sock.h"

#include <mtcp_api.h>
#include <mtcp_io.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static struct duo d;

#define EXPECT_ERR(call, e)                                                                        \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, e);                                                                       \
    } while (0)

static int so_error(mctx_t m, int s)
{
    int v = -1;
    socklen_t len = sizeof(v);
    EXPECT_EQ(mtcp_getsockopt(m, s, SOL_SOCKET, SO_ERROR, &v, &len), 0);
    return v;
}

static int readable(mctx_t m, int s)
{
    int n = -1;
    EXPECT_EQ(mtcp_ioctl(m, s, FIONREAD, &n), 0);
    return n;
}

static void set_blocking(mctx_t m, int s)
{
    int off = 0;
    EXPECT_EQ(mtcp_ioctl(m, s, FIONBIO, &off), 0);
}

static void set_linger(mctx_t m, int s, int seconds)
{
    struct linger l = {1, seconds};
    EXPECT_EQ(mtcp_setsockopt(m, s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
}

static int stream(mctx_t m)
{
    int s = mtcp_socket(m, AF_INET, SOCK_STREAM, 0);
    CU_ASSERT_FATAL(s >= 0);
    return s;
}

static int bind_to(mctx_t m, int s, const char *ip, uint16_t port)
{
    struct sockaddr_in a = duo_addr(ip, port);
    return mtcp_bind(m, s, (struct sockaddr *)&a, sizeof(a));
}

static int connect_to(mctx_t m, int s, const char *ip, uint16_t port)
{
    struct sockaddr_in a = duo_addr(ip, port);
    return mtcp_connect(m, s, (struct sockaddr *)&a, sizeof(a));
}

/* ---- a connection ---------------------------------------------------------------------------- */

static void bytes_go_both_ways(void)
{
    char buf[16];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    EXPECT_ERR(mtcp_read(d.srv, s, buf, sizeof(buf)), EAGAIN);
    EXPECT_EQ(mtcp_write(d.cli, c, "hello", 5), 5);
    duo_step(&d, 0);
    EXPECT_EQ(readable(d.srv, s), 5);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 5);
    CU_ASSERT(memcmp(buf, "hello", 5) == 0);
    EXPECT_EQ(readable(d.srv, s), 0);
    EXPECT_EQ(mtcp_write(d.srv, s, "world!", 6), 6);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 3), 3);
    EXPECT_EQ(mtcp_read(d.cli, c, buf + 3, sizeof(buf) - 3), 3);
    CU_ASSERT(memcmp(buf, "world!", 6) == 0);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 0), 0);
    EXPECT_EQ(mtcp_write(d.cli, c, buf, 0), 0);
    duo_close(&d);
}

static void names_are_told(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80);
    c = duo_connect(&d, 80);
    EXPECT_ERR(mtcp_getpeername(d.cli, c, (struct sockaddr *)&a, &len, 0), ENOTCONN);
    duo_step(&d, 0);
    int s = mtcp_accept(d.srv, l, (struct sockaddr *)&a, &len);
    EXPECT_EQ(len, sizeof(a));
    EXPECT_EQ(a.sin_addr.s_addr, inet_addr("10.0.0.2"));
    uint16_t port = a.sin_port;
    EXPECT_EQ(mtcp_getsockname(d.srv, s, (struct sockaddr *)&a, &len), 0);
    EXPECT_EQ(a.sin_addr.s_addr, inet_addr("10.0.0.1"));
    EXPECT_EQ(ntohs(a.sin_port), 80);
    EXPECT_EQ(mtcp_getpeername(d.srv, s, (struct sockaddr *)&a, &len, 77), 0);
    EXPECT_EQ(a.sin_port, port);
    EXPECT_EQ(mtcp_getsockname(d.cli, c, (struct sockaddr *)&a, &len), 0);
    EXPECT_EQ(a.sin_port, port);
    CU_ASSERT(ntohs(port) >= 32768 && ntohs(port) <= 60999);
    len = 3; /* cut, the whole size told */
    memset(&a, 0xee, sizeof(a));
    EXPECT_EQ(mtcp_getsockname(d.cli, c, (struct sockaddr *)&a, &len), 0);
    EXPECT_EQ(len, sizeof(a));
    EXPECT_EQ(((unsigned char *)&a)[3], 0xee);
    len = sizeof(a) - 1;
    EXPECT_ERR(mtcp_getpeername(d.cli, c, (struct sockaddr *)&a, &len, 0), EINVAL);
    EXPECT_EQ(mtcp_getsockname(d.srv, l, (struct sockaddr *)&a, &len), 0);
    len = sizeof(a);
    EXPECT_ERR(mtcp_getpeername(d.srv, l, (struct sockaddr *)&a, &len, 0), ENOTCONN);
    duo_close(&d);
}

static void vectors_gather_and_scatter(void)
{
    char a[3], b[4], e[9];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    struct iovec out[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}};
    EXPECT_EQ(mtcp_writev(d.cli, c, out, 3), 8);
    duo_step(&d, 0);
    struct iovec in[4] = {{NULL, 0}, {a, 3}, {b, 4}, {e, 9}};
    EXPECT_EQ(mtcp_readv(d.srv, s, in, 4), 8);
    CU_ASSERT(memcmp(a, "abc", 3) == 0 && memcmp(b, "defg", 4) == 0 && e[0] == 'h');
    EXPECT_EQ(mtcp_readv(d.srv, s, in, 0), 0);
    EXPECT_EQ(mtcp_writev(d.srv, s, out, 0), 0);
    duo_close(&d);
}

static void peeking_leaves_the_bytes(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    mtcp_write(d.cli, c, "abcdef", 6);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, 4, MSG_PEEK), 4);
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT), 6);
    EXPECT_EQ(readable(d.srv, s), 6);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 2), 2);
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, sizeof(buf), MSG_PEEK), 4);
    CU_ASSERT(memcmp(buf, "cdef", 4) == 0);
    duo_close(&d);
}

static void more_is_held_back(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_send(d.cli, c, "ab", 2, MSG_MORE), 2);
    duo_step(&d, 0);
    EXPECT_ERR(mtcp_read(d.srv, s, buf, sizeof(buf)), EAGAIN);
    EXPECT_EQ(mtcp_send(d.cli, c, "cd", 2, MSG_NOSIGNAL), 2);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 4);
    duo_close(&d);
}

/* ---- the end of a connection ----------------------------------------------------------------- */

static void a_fin_ends_the_stream(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    mtcp_write(d.cli, c, "bye", 3);
    EXPECT_EQ(mtcp_shutdown(d.cli, c, SHUT_WR), 0);
    EXPECT_ERR(mtcp_write(d.cli, c, "x", 1), EPIPE);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 3);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 0);
    EXPECT_EQ(mtcp_write(d.srv, s, "still", 5), 5); /* half closed */
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, sizeof(buf)), 5);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, sizeof(buf)), 0);
    EXPECT_EQ(so_error(d.cli, c), 0);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_close(&d);
}

/* RFC 9293 MUST-12 */
static void a_reset_is_told_once(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    mtcp_write(d.cli, c, "abc", 3);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_abort(d.cli, c), 0);
    duo_step(&d, 0);
    EXPECT_EQ(readable(d.srv, s), 3);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 2), 2); /* what is queued stays */
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 2), 1);
    EXPECT_ERR(mtcp_read(d.srv, s, buf, 2), ECONNRESET);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 2), 0);
    EXPECT_EQ(so_error(d.srv, s), 0);
    EXPECT_ERR(mtcp_write(d.srv, s, "x", 1), EPIPE);
    EXPECT_ERR(mtcp_shutdown(d.srv, s, SHUT_WR), ENOTCONN);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_close(&d);
}

/* After a FIN the stream has ended, whatever comes then. */
static void a_fin_hides_a_later_reset(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    mtcp_shutdown(d.cli, c, SHUT_WR);
    duo_step(&d, 0);
    mtcp_abort(d.cli, c);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 2), 0);
    EXPECT_EQ(so_error(d.srv, s) != 0, 1); /* not lost */
    EXPECT_ERR(mtcp_write(d.srv, s, "x", 1), EPIPE);
    duo_close(&d);
}

static void so_error_takes_the_pending_error(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    EXPECT_EQ(so_error(d.srv, s), 0);
    mtcp_abort(d.cli, c);
    duo_step(&d, 0);
    EXPECT_EQ(so_error(d.srv, s), ECONNRESET);
    EXPECT_EQ(so_error(d.srv, s), 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 2), 0);
    EXPECT_EQ(so_error(d.srv, l), 0);
    duo_close(&d);
}

static void a_write_takes_the_pending_error(void)
{
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    mtcp_abort(d.cli, c);
    duo_step(&d, 0);
    EXPECT_ERR(mtcp_write(d.srv, s, "x", 1), ECONNRESET);
    EXPECT_ERR(mtcp_write(d.srv, s, "x", 1), EPIPE);
    EXPECT_EQ(so_error(d.srv, s), 0);
    duo_close(&d);
}

/* RFC 9293 SHLD-3 */
static void closing_with_unread_bytes_resets(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    mtcp_write(d.cli, c, "abc", 3);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_step(&d, 0);
    EXPECT_ERR(mtcp_read(d.cli, c, buf, 2), ECONNRESET);
    duo_close(&d);
}

static void closing_sends_what_is_queued(void)
{
    static char big[100000], got[100001];
    size_t n = 0;
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7 + i / 251);
    EXPECT_EQ(mtcp_write(d.srv, s, big, sizeof(big)), sizeof(big));
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    for (ssize_t k; n < sizeof(got); n += (size_t)k) {
        duo_run(&d, 1000);
        k = mtcp_read(d.cli, c, got + n, sizeof(got) - n);
        if (k <= 0)
            break;
    }
    EXPECT_EQ(n, sizeof(big));
    CU_ASSERT(memcmp(big, got, sizeof(big)) == 0);
    EXPECT_EQ(mtcp_read(d.cli, c, got, 1), 0);
    duo_close(&d);
}

/* As Linux: the end comes when nothing is there. */
static void shut_rd_hands_out_what_arrives_later(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    mtcp_write(d.cli, c, "ab", 2);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_shutdown(d.srv, s, SHUT_RD), 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 2);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 0);
    mtcp_write(d.cli, c, "cd", 2);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 2);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 0);
    EXPECT_EQ(mtcp_write(d.srv, s, "x", 1), 1);
    duo_close(&d);
}

/* As Linux (RFC 1122 4.2.2.13): nobody will read them, so the peer is told. */
static void bytes_after_both_ends_are_shut_reset(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_shutdown(d.srv, s, SHUT_RDWR), 0);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 8), 0);
    EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
    duo_step(&d, 0);
    EXPECT_ERR(mtcp_write(d.cli, c, "x", 1), EPIPE);
    EXPECT_EQ(so_error(d.srv, s), ECONNRESET);
    EXPECT_EQ(mtcp_get_connection_cnt(d.cli), 0);
    duo_close(&d);
}

static void linger_zero_resets(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    set_linger(d.srv, s, 0);
    mtcp_write(d.srv, s, "abc", 3);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_step(&d, 0);
    ssize_t n = mtcp_read(d.cli, c, buf, 8);
    CU_ASSERT(n == -1 && errno == ECONNRESET);
    duo_close(&d);
}

static void linger_waits_for_the_peer(void)
{
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    set_linger(d.srv, s, 5);
    mtcp_write(d.srv, s, "abc", 3);
    uint64_t begun = d.now_us;
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    CU_ASSERT(d.now_us - begun < 1000000);
    EXPECT_EQ(readable(d.cli, c), 3);
    EXPECT_ERR(mtcp_close(d.srv, s), EBADF);
    duo_close(&d);
}

static void linger_gives_up(void)
{
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    set_linger(d.srv, s, 2);
    mtcp_write(d.srv, s, "abc", 3);
    d.cut_cli = true;
    uint64_t begun = d.now_us;
    EXPECT_ERR(mtcp_close(d.srv, s), EWOULDBLOCK);
    CU_ASSERT(d.now_us - begun >= 2000000 && d.now_us - begun < 2100000);
    EXPECT_ERR(mtcp_read(d.srv, s, NULL, 0), EBADF);
    d.cut_cli = false;
    duo_close(&d);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void refusal_is_told_by_connect(void)
{
    duo_open(&d, NULL);
    int c = stream(d.cli);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 81), ECONNREFUSED);
    EXPECT_EQ(so_error(d.cli, c), 0);
    duo_listen(&d, 81); /* and may be tried again */
    EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", 81), 0);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 81), EISCONN);
    duo_close(&d);
}

static void refusal_is_told_by_so_error(void)
{
    char buf[4];
    duo_open(&d, NULL);
    int c = duo_connect(&d, 81);
    EXPECT_EQ(so_error(d.cli, c), 0);
    EXPECT_ERR(mtcp_read(d.cli, c, buf, 4), EAGAIN);
    EXPECT_ERR(mtcp_write(d.cli, c, buf, 4), EAGAIN);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 81), EALREADY);
    duo_step(&d, 0);
    EXPECT_EQ(so_error(d.cli, c), ECONNREFUSED);
    EXPECT_EQ(so_error(d.cli, c), 0);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 4), 0);
    EXPECT_ERR(mtcp_write(d.cli, c, buf, 4), EPIPE);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 81), ECONNABORTED); /* as Linux */
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 81), EINPROGRESS);
    duo_step(&d, 0);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 81), ECONNREFUSED);
    duo_close(&d);
}

/* The port that it was bound to stays the socket's (as Linux). */
static void a_refused_socket_stays_bound(void)
{
    static const char *const bound[] = {"10.0.0.2", "0.0.0.0"};
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    for (int i = 0; i < 2; i++) {
        duo_open(&d, NULL);
        int c = stream(d.cli);
        EXPECT_EQ(bind_to(d.cli, c, bound[i], 5555), 0);
        EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 81), ECONNREFUSED);
        EXPECT_EQ(mtcp_getsockname(d.cli, c, (struct sockaddr *)&a, &len), 0);
        EXPECT_EQ(ntohs(a.sin_port), 5555);
        EXPECT_EQ(a.sin_addr.s_addr, inet_addr(bound[i]));
        EXPECT_ERR(bind_to(d.cli, c, bound[i], 5556), EINVAL);
        duo_listen(&d, 81);
        EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", 81), 0);
        EXPECT_EQ(mtcp_getsockname(d.cli, c, (struct sockaddr *)&a, &len), 0);
        EXPECT_EQ(ntohs(a.sin_port), 5555);
        duo_close(&d);
    }
}

/* As Linux: for writing it counts as shut down, for reading as not connected. */
static void unconnected_sockets_write_nothing(void)
{
    char b = 'x';
    duo_open(&d, NULL);
    int c = stream(d.cli), l = duo_listen(&d, 80);
    EXPECT_ERR(mtcp_write(d.cli, c, &b, 1), EPIPE);
    EXPECT_ERR(mtcp_write(d.cli, c, &b, 0), EPIPE);
    EXPECT_ERR(mtcp_send(d.cli, c, &b, 1, MSG_NOSIGNAL), EPIPE);
    EXPECT_ERR(mtcp_write(d.srv, l, &b, 1), EPIPE);
    EXPECT_ERR(mtcp_read(d.cli, c, &b, 1), ENOTCONN);
    EXPECT_ERR(mtcp_recv(d.srv, l, &b, 1, 0), ENOTCONN);
    EXPECT_ERR(mtcp_shutdown(d.cli, c, SHUT_RDWR), ENOTCONN);
    duo_close(&d);
}

/* As Linux: in whatever direction. The socket is as new, but for one error. */
static void an_attempt_to_connect_is_shut_down(void)
{
    char b = 'x';
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        duo_open(&d, NULL);
        duo_listen(&d, 80);
        d.cut_cli = true;
        int c = stream(d.cli), ep = mtcp_epoll_create1(d.cli, 0);
        mtcp_setsock_nonblock(d.cli, c);
        struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data = {.sock = c}};
        EXPECT_EQ(bind_to(d.cli, c, "10.0.0.2", 5555), 0);
        EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 80), EINPROGRESS);
        EXPECT_EQ(mtcp_epoll_ctl(d.cli, ep, MOS_EPOLL_CTL_ADD, c, &ev), 0);
        EXPECT_EQ(mtcp_epoll_wait(d.cli, ep, &ev, 1, 0), 0);
        EXPECT_EQ(mtcp_shutdown(d.cli, c, how), 0);
        EXPECT_EQ(mtcp_epoll_wait(d.cli, ep, &ev, 1, 0), 1);
        EXPECT_EQ(mtcp_get_connection_cnt(d.cli), 0);
        EXPECT_EQ(ev.events, MOS_EPOLLERR | MOS_EPOLLHUP);
        if (how == SHUT_RD)
            EXPECT_EQ(so_error(d.cli, c), ECONNRESET);
        else if (how == SHUT_WR)
            EXPECT_ERR(mtcp_write(d.cli, c, &b, 1), ECONNRESET);
        else
            EXPECT_ERR(mtcp_read(d.cli, c, &b, 1), ECONNRESET);
        EXPECT_EQ(so_error(d.cli, c), 0);
        EXPECT_ERR(mtcp_write(d.cli, c, &b, 1), EPIPE);
        EXPECT_ERR(mtcp_read(d.cli, c, &b, 1), ENOTCONN);
        EXPECT_ERR(mtcp_shutdown(d.cli, c, how), ENOTCONN);
        d.cut_cli = false;
        set_blocking(d.cli, c);
        EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", 80), 0);
        EXPECT_EQ(mtcp_write(d.cli, c, &b, 1), 1);
        EXPECT_EQ(mtcp_getsockname(d.cli, c, (struct sockaddr *)&a, &len), 0);
        EXPECT_EQ(ntohs(a.sin_port), 5555);
        duo_close(&d);
    }
}

/* As Linux: who takes no more connections listens no more, and may do so again. */
static void a_listener_is_shut_down(void)
{
    int on = 1, v = -1;
    socklen_t len = sizeof(v);
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80);
    EXPECT_EQ(mtcp_setsockopt(d.srv, l, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    EXPECT_EQ(mtcp_shutdown(d.srv, l, SHUT_WR), 0); /* means nothing */
    int c = duo_connect(&d, 80);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_shutdown(d.srv, l, SHUT_RD), 0);
    duo_step(&d, 0);
    EXPECT_EQ(so_error(d.cli, c), ECONNRESET);
    EXPECT_EQ(mtcp_getsockopt(d.srv, l, SOL_SOCKET, SO_ACCEPTCONN, &v, &len), 0);
    EXPECT_EQ(v, 0);
    EXPECT_ERR(mtcp_accept(d.srv, l, NULL, NULL), EINVAL);
    EXPECT_ERR(mtcp_shutdown(d.srv, l, SHUT_RD), ENOTCONN);
    c = duo_connect(&d, 80);
    duo_step(&d, 0);
    EXPECT_EQ(so_error(d.cli, c), ECONNREFUSED);
    EXPECT_ERR(bind_to(d.srv, l, "10.0.0.1", 81), EINVAL); /* it keeps its port */
    EXPECT_EQ(mtcp_listen(d.srv, l, 5), 0);
    c = duo_connect(&d, 80);
    duo_step(&d, 0);
    int s = mtcp_accept(d.srv, l, NULL, NULL);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, IPPROTO_TCP, TCP_NODELAY, &v, &len), 0);
    EXPECT_EQ(v, 1);
    duo_close(&d);
}

static void connecting_reports_by_a_second_call(void)
{
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80), c = duo_connect(&d, 80);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 80), EALREADY);
    duo_step(&d, 0);
    EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", 80), 0);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 80), EISCONN);
    EXPECT_EQ(mtcp_close(d.srv, l), 0);
    duo_close(&d);
}

static void a_silent_peer_times_out(void)
{
    duo_open(&d, "tcp_syn_retries = 2");
    struct linger off = {0, 0};
    int c = stream(d.cli);
    EXPECT_EQ(mtcp_setsockopt(d.cli, c, SOL_SOCKET, SO_LINGER, &off, sizeof(off)), 0);
    duo_listen(&d, 80);
    d.cut_srv = true;
    EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", 80), -1);
    CU_ASSERT(errno == ETIMEDOUT || errno == EHOSTUNREACH); /* ARP was answered before, or not */
    d.cut_srv = false;
    duo_close(&d);
}

static void nobody_there_is_unreachable(void)
{
    duo_open(&d, NULL);
    int c = stream(d.cli);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.99", 80), EHOSTUNREACH);
    EXPECT_ERR(connect_to(d.cli, c, "192.168.7.7", 80), ENETUNREACH);
    duo_close(&d);
}

/* What ICMP says of a connection that goes on. (RFC 9293 MUST-47, SHLD-25) */
static void a_soft_error_can_be_asked_for(void)
{
    char buf[4];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    struct mtcp_ctx *ctx = ctx_of(d.cli);
    struct tcp_conn *conn = sock_find(ctx, c)->conn;
    tcp_net_error(&ctx->net.env, conn, EHOSTUNREACH, false);
    EXPECT_ERR(mtcp_read(d.cli, c, buf, 4), EAGAIN); /* it is no failure */
    EXPECT_EQ(so_error(d.cli, c), EHOSTUNREACH);
    EXPECT_EQ(so_error(d.cli, c), 0);
    tcp_net_error(&ctx->net.env, conn, EHOSTUNREACH, false);
    mtcp_write(d.cli, c, "x", 1);
    duo_step(&d, 0);
    EXPECT_EQ(so_error(d.cli, c), 0); /* it was acknowledged: that is over */
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_close(&d);
}

/* RFC 9293 MUST-42 */
static void a_port_is_listened_on_while_it_connects(void)
{
    int on = 1;
    duo_open(&d, NULL);
    duo_listen(&d, 80);
    int c = stream(d.cli), l = stream(d.cli);
    mtcp_setsockopt(d.cli, c, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    mtcp_setsockopt(d.cli, l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    EXPECT_EQ(bind_to(d.cli, c, "10.0.0.2", 5555), 0);
    mtcp_setsock_nonblock(d.cli, c);
    EXPECT_ERR(connect_to(d.cli, c, "10.0.0.1", 80), EINPROGRESS); /* SYN_SENT */
    EXPECT_EQ(bind_to(d.cli, l, "10.0.0.2", 5555), 0);
    EXPECT_EQ(mtcp_listen(d.cli, l, 5), 0);
    mtcp_setsock_nonblock(d.cli, l);
    duo_step(&d, 0);
    EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", 80), 0);
    int p = stream(d.srv);
    mtcp_setsock_nonblock(d.srv, p);
    EXPECT_ERR(connect_to(d.srv, p, "10.0.0.2", 5555), EINPROGRESS);
    duo_step(&d, 0);
    CU_ASSERT(mtcp_accept(d.cli, l, NULL, NULL) >= 0);
    duo_close(&d);
}

static void bound_sockets_connect_from_their_port(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    duo_open(&d, NULL);
    duo_listen(&d, 80);
    int c = stream(d.cli);
    EXPECT_EQ(bind_to(d.cli, c, "10.0.0.2", 5555), 0);
    EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", 80), 0);
    EXPECT_EQ(mtcp_getsockname(d.cli, c, (struct sockaddr *)&a, &len), 0);
    EXPECT_EQ(ntohs(a.sin_port), 5555);
    int e = stream(d.cli);
    int on = 1;
    mtcp_setsockopt(d.cli, e, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    EXPECT_EQ(bind_to(d.cli, e, "0.0.0.0", 5555), 0);
    EXPECT_ERR(connect_to(d.cli, e, "10.0.0.1", 80), EADDRINUSE);
    duo_close(&d);
}

static void ports_are_taken_once(void)
{
    duo_open(&d, NULL);
    int a = stream(d.srv), b = stream(d.srv), c = stream(d.srv);
    EXPECT_ERR(bind_to(d.srv, a, "10.0.0.77", 80), EADDRNOTAVAIL);
    EXPECT_EQ(bind_to(d.srv, a, "10.0.0.1", 80), 0);
    EXPECT_ERR(bind_to(d.srv, a, "10.0.0.1", 81), EINVAL);
    EXPECT_ERR(bind_to(d.srv, b, "10.0.0.1", 80), EADDRINUSE);
    EXPECT_ERR(bind_to(d.srv, b, "0.0.0.0", 80), EADDRINUSE);
    EXPECT_EQ(bind_to(d.srv, b, "0.0.0.0", 81), 0);
    EXPECT_EQ(mtcp_listen(d.srv, a, 1), 0);
    EXPECT_EQ(mtcp_listen(d.srv, a, 5), 0);
    EXPECT_ERR(bind_to(d.srv, c, "0.0.0.0", 80), EADDRINUSE);
    EXPECT_EQ(mtcp_close(d.srv, a), 0);
    EXPECT_EQ(bind_to(d.srv, c, "10.0.0.1", 80), 0);
    EXPECT_EQ(mtcp_listen(d.srv, c, 1), 0);
    duo_close(&d);
}

static void reuseaddr_shares_until_one_listens(void)
{
    int on = 1;
    duo_open(&d, NULL);
    int a = stream(d.srv), b = stream(d.srv), c = stream(d.srv);
    mtcp_setsockopt(d.srv, a, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    mtcp_setsockopt(d.srv, b, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    mtcp_setsockopt(d.srv, c, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    EXPECT_EQ(bind_to(d.srv, a, "10.0.0.1", 80), 0);
    EXPECT_EQ(bind_to(d.srv, b, "10.0.0.1", 80), 0);
    EXPECT_EQ(mtcp_listen(d.srv, a, 1), 0);
    EXPECT_ERR(mtcp_listen(d.srv, b, 1), EADDRINUSE);
    EXPECT_ERR(bind_to(d.srv, c, "10.0.0.1", 80), EADDRINUSE);
    duo_close(&d);
}

static int listen_shared(const char *ip, bool is_shared)
{
    int on = is_shared, s = stream(d.srv);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    int rc = bind_to(d.srv, s, ip, 80);
    if (rc == 0)
        rc = mtcp_listen(d.srv, s, 64);
    if (rc == 0)
        return s;
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    return -1;
}

static void reuseport_listeners_share_the_connections(void)
{
    enum { CONNS = 60 };
    int l[2], n[2] = {0, 0};
    duo_open(&d, NULL);
    for (int i = 0; i < 2; i++) {
        l[i] = listen_shared("10.0.0.1", true);
        CU_ASSERT_FATAL(l[i] >= 0);
        mtcp_setsock_nonblock(d.srv, l[i]);
    }
    EXPECT_EQ(listen_shared("10.0.0.1", false), -1);
    EXPECT_EQ(listen_shared("0.0.0.0", false), -1);
    for (int i = 0; i < CONNS; i++)
        (void)duo_connect(&d, 80);
    duo_run(&d, 100000);
    for (int i = 0; i < 2; i++)
        while (mtcp_accept(d.srv, l[i], NULL, NULL) >= 0)
            n[i]++;
    EXPECT_EQ(n[0] + n[1], CONNS);
    CU_ASSERT(n[0] > CONNS / 6 && n[1] > CONNS / 6);
    EXPECT_EQ(mtcp_close(d.srv, l[0]), 0);
    EXPECT_EQ(listen_shared("10.0.0.1", false), -1);
    EXPECT_EQ(mtcp_close(d.srv, l[1]), 0);
    CU_ASSERT(listen_shared("10.0.0.1", false) >= 0);
    duo_close(&d);
}

static void an_unbound_listener_gets_a_port(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    duo_open(&d, NULL);
    int l = stream(d.srv);
    EXPECT_EQ(mtcp_listen(d.srv, l, 1), 0);
    EXPECT_EQ(mtcp_getsockname(d.srv, l, (struct sockaddr *)&a, &len), 0);
    CU_ASSERT(ntohs(a.sin_port) >= 32768);
    EXPECT_EQ(a.sin_addr.s_addr, INADDR_ANY);
    int c = stream(d.cli);
    EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", ntohs(a.sin_port)), 0);
    duo_close(&d);
}

static void many_listeners_accept(void)
{
    int l[50], c[50];
    duo_open(&d, NULL);
    for (int i = 0; i < 50; i++)
        l[i] = duo_listen(&d, (uint16_t)(100 + i));
    for (int i = 0; i < 50; i++)
        c[i] = duo_connect(&d, (uint16_t)(100 + i));
    duo_run(&d, 3000000); /* ARP lets few packets wait */
    for (int i = 0; i < 50; i++) {
        CU_ASSERT(mtcp_accept(d.srv, l[i], NULL, NULL) >= 0);
        EXPECT_ERR(mtcp_accept(d.srv, l[i], NULL, NULL), EAGAIN);
        EXPECT_EQ(so_error(d.cli, c[i]), 0);
    }
    duo_close(&d);
}

static void closing_a_listener_resets_the_waiting(void)
{
    char buf[4];
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80), c = duo_connect(&d, 80);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_close(d.srv, l), 0);
    duo_step(&d, 0);
    EXPECT_ERR(mtcp_read(d.cli, c, buf, 4), ECONNRESET);
    EXPECT_ERR(mtcp_accept(d.srv, l, NULL, NULL), EBADF);
    c = duo_connect(&d, 80);
    duo_step(&d, 0);
    EXPECT_EQ(so_error(d.cli, c), ECONNREFUSED);
    duo_close(&d);
}

static void the_reset_are_accepted_with_their_error(void)
{
    char buf[4];
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80), c = duo_connect(&d, 80);
    duo_step(&d, 0);
    mtcp_abort(d.cli, c);
    duo_step(&d, 0);
    int s = mtcp_accept4(d.srv, l, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT(s >= 0);
    EXPECT_ERR(mtcp_read(d.srv, s, buf, 4), ECONNRESET);
    duo_close(&d);
}

/* ---- blocking -------------------------------------------------------------------------------- */

static int late_sock;
static uint64_t late_at;

/* The client writes when the time has come. */
static void write_late(struct duo *world)
{
    if (late_at && world->now_us >= late_at) {
        late_at = 0;
        mtcp_write(world->cli, late_sock, "late", 4);
    }
}

static void reads_block(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80), c = duo_connect(&d, 80);
    duo_step(&d, 0);
    int s = mtcp_accept(d.srv, l, NULL, NULL); /* it blocks, though its listener does not */
    int spare = stream(d.srv);
    EXPECT_EQ(mtcp_close(d.srv, spare), 0);
    late_sock = c;
    late_at = d.now_us + 300000;
    d.on_wait = write_late;
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 4);
    CU_ASSERT(d.now_us >= 1300000 && d.now_us < 1400000);
    EXPECT_EQ(stream(d.srv), spare); /* a blocking call makes ids free again */
    EXPECT_ERR(mtcp_recv(d.srv, s, buf, 8, MSG_DONTWAIT), EAGAIN);
    duo_close(&d);
}

static void waitall_waits_for_all(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    set_blocking(d.srv, s);
    mtcp_write(d.cli, c, "earl", 4);
    duo_step(&d, 0);
    late_sock = c;
    late_at = d.now_us + 300000;
    d.on_wait = write_late;
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, 7, MSG_WAITALL | MSG_PEEK), 7);
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, 8, MSG_WAITALL), 8);
    CU_ASSERT(memcmp(buf, "earllate", 8) == 0);
    mtcp_write(d.cli, c, "xy", 2);
    mtcp_close(d.cli, c);
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, 8, MSG_WAITALL), 2); /* the end comes first */
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, 8, MSG_WAITALL), 0);
    duo_close(&d);
}

/* An error that cuts a MSG_WAITALL short is kept for the next call. */
static void waitall_keeps_the_error(void)
{
    char buf[8];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    set_blocking(d.srv, s);
    mtcp_write(d.cli, c, "abc", 3);
    duo_step(&d, 0);
    mtcp_abort(d.cli, c);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, 8, MSG_WAITALL), 3);
    EXPECT_ERR(mtcp_recv(d.srv, s, buf, 8, MSG_WAITALL), ECONNRESET);
    duo_close(&d);
}

static void accepts_and_connects_block(void)
{
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80);
    set_blocking(d.srv, l);
    int c = duo_connect(&d, 80);
    int s = mtcp_accept(d.srv, l, NULL, NULL);
    CU_ASSERT(s >= 0);
    EXPECT_EQ(connect_to(d.cli, c, "10.0.0.1", 80), 0);
    int e = stream(d.cli);
    EXPECT_EQ(connect_to(d.cli, e, "10.0.0.1", 80), 0);
    duo_close(&d);
}

static size_t n_drained;

/* The server reads as it comes. */
static void drain(struct duo *world)
{
    char buf[3000];
    ssize_t n = mtcp_read(world->srv, late_sock, buf, sizeof(buf));
    n_drained += n > 0 ? (size_t)n : 0;
}

static void writes_block_until_all_is_queued(void)
{
    static char big[3000000];
    duo_open(&d, "rmem_size = 64K wmem_size = 64K");
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    ssize_t room = mtcp_write(d.cli, c, big, sizeof(big)); /* nonblocking: what there is room for */
    EXPECT_EQ(room, 65536);
    EXPECT_ERR(mtcp_write(d.cli, c, big, 1), EAGAIN);
    EXPECT_ERR(mtcp_send(d.cli, c, big, 1, MSG_DONTWAIT), EAGAIN);
    set_blocking(d.cli, c);
    late_sock = s;
    n_drained = 0;
    d.on_wait = drain;
    EXPECT_EQ(mtcp_write(d.cli, c, big, sizeof(big)), sizeof(big));
    int n = -1;
    EXPECT_EQ(mtcp_ioctl(d.cli, c, SIOCOUTQ, &n), 0);
    CU_ASSERT(n > 0 && n <= 65536);
    EXPECT_EQ(mtcp_shutdown(d.cli, c, SHUT_WR), 0);
    for (int i = 0; i < 2000 && n_drained < sizeof(big) + 65536; i++) {
        duo_run(&d, 1000);
        drain(&d);
    }
    EXPECT_EQ(n_drained, sizeof(big) + 65536);
    EXPECT_EQ(mtcp_ioctl(d.cli, c, SIOCOUTQ, &n), 0);
    EXPECT_EQ(n, 0);
    duo_close(&d);
}

static void polling_alone_makes_progress(void)
{
    char buf[4];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    mtcp_write(d.cli, c, "abc", 3);
    ssize_t n = -1; /* neither side waits for anything, both only ask again and again */
    for (int i = 0; i < 1000 && n < 0; i++) {
        EXPECT_ERR(mtcp_read(d.cli, c, buf, 4), EAGAIN);
        n = mtcp_read(d.srv, s, buf, 4);
    }
    EXPECT_EQ(n, 3);
    duo_close(&d);
}

/* ---- ids ------------------------------------------------------------------------------------- */

static void ids_are_the_lowest_free(void)
{
    duo_open(&d, "max_concurrency = 16");
    int id[15]; /* one is the epoll's: 0 */
    for (int i = 0; i < 15; i++) {
        id[i] = stream(d.srv);
        EXPECT_EQ(id[i], i + 1);
    }
    EXPECT_ERR(mtcp_socket(d.srv, AF_INET, SOCK_STREAM, 0), EMFILE);
    EXPECT_ERR(mtcp_epoll_create(d.srv, 1), EMFILE);
    mtcp_close(d.srv, id[9]);
    mtcp_close(d.srv, id[3]);
    EXPECT_ERR(mtcp_socket(d.srv, AF_INET, SOCK_STREAM, 0), EMFILE); /* not before the next wait */
    EXPECT_ERR(mtcp_close(d.srv, id[3]), EBADF);
    duo_step(&d, 0);
    EXPECT_EQ(stream(d.srv), id[3]);
    int p[2];
    EXPECT_ERR(mtcp_pipe(d.srv, p), EMFILE);
    EXPECT_EQ(stream(d.srv), id[9]);
    duo_close(&d);
}

static void accept_without_an_id_leaves_it_queued(void)
{
    duo_open(&d, "max_concurrency = 16");
    int l = duo_listen(&d, 80);
    duo_connect(&d, 80);
    duo_step(&d, 0);
    int last = -1, s;
    while ((s = mtcp_socket(d.srv, AF_INET, SOCK_STREAM, 0)) >= 0)
        last = s;
    EXPECT_ERR(mtcp_accept(d.srv, l, NULL, NULL), EMFILE);
    mtcp_close(d.srv, last);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_accept(d.srv, l, NULL, NULL), last);
    duo_close(&d);
}

static void nothing_is_left_behind(void)
{
    duo_open(&d, "tcp_tw_interval = 1");
    int l = duo_listen(&d, 80);
    for (int round = 0; round < 3; round++) {
        int c[200], s[200];
        for (int i = 0; i < 200; i++)
            s[i] = duo_pair(&d, l, &c[i]);
        EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 200);
        EXPECT_EQ(mtcp_get_connection_cnt(d.cli), 200);
        for (int i = 0; i < 200; i++) {
            mtcp_close(d.cli, c[i]);
            mtcp_close(d.srv, s[i]);
        }
        duo_run(&d, 3000000);
        EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 0);
        EXPECT_EQ(mtcp_get_connection_cnt(d.cli), 0);
        int lowest = stream(d.cli);
        EXPECT_EQ(lowest, 1);
        mtcp_close(d.cli, lowest);
    }
    duo_close(&d);
}

/* ---- what a monitor's code may do to them ---------------------------------------------------- */

static int to_close[3];
static unsigned n_calls;

static void close_them(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)ev, (void)arg;
    if (n_calls++ > 0)
        return;
    for (int i = 0; i < 3; i++)
        if (to_close[i] >= 0)
            EXPECT_EQ(mtcp_close(m, to_close[i]), 0);
}

/* The server's sockets a, b and c are closed at the next event that a monitor sees. */
static void close_next(int a, int b, int c)
{
    to_close[0] = a;
    to_close[1] = b;
    to_close[2] = c;
    n_calls = 0;
}

static void monitor_for(event_t ev)
{
    int hook = ev == MOS_ON_CONN_NEW_DATA ? MOS_NULL : MOS_HK_RCV;
    int mon = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_register_callback(d.srv, mon, ev, hook, close_them), 0);
    close_next(-1, -1, -1);
}

static void a_listener_is_closed_while_it_listens(void)
{
    static const event_t at[] = {MOS_ON_CONN_START, MOS_ON_PKT_IN, MOS_ON_TCP_STATE_CHANGE};
    for (unsigned i = 0; i < 3; i++) {
        duo_open(&d, NULL);
        int l = duo_listen(&d, 80), other = duo_connect(&d, 80);
        duo_step(&d, 0); /* waits to be accepted */
        monitor_for(at[i]);
        close_next(l, -1, -1);
        int c = duo_connect(&d, 80);
        duo_run(&d, 10000);
        CU_ASSERT(n_calls >= 1);
        EXPECT_EQ(so_error(d.cli, other), ECONNRESET);
        EXPECT_EQ(so_error(d.cli, c) != 0, 1);
        EXPECT_ERR(mtcp_accept(d.srv, l, NULL, NULL), EBADF);
        l = duo_listen(&d, 80); /* the port is free */
        EXPECT_EQ(mtcp_close(d.srv, duo_pair(&d, l, &c)), 0);
        duo_close(&d);
    }
}

/* What a call waits for is closed under it. */
static void the_waiting_call_ends(void)
{
    char buf[4];
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data = {.u64 = 0}};
    duo_open(&d, NULL);
    monitor_for(MOS_ON_CONN_NEW_DATA);
    int c, p, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    int blocked = duo_pair(&d, l, &p), ep = mtcp_epoll_create(d.srv, 1);
    set_blocking(d.srv, blocked);
    mtcp_write(d.cli, c, "x", 1);
    close_next(blocked, s, l);
    EXPECT_ERR(mtcp_read(d.srv, blocked, buf, 4), EBADF);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.cli, p, buf, 4), 0);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep, MOS_EPOLL_CTL_ADD, s, &ev), 0);
    mtcp_write(d.cli, c, "x", 1);
    close_next(ep, s, -1);
    EXPECT_ERR(mtcp_epoll_wait(d.srv, ep, &ev, 1, -1), EBADF);
    duo_close(&d);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static void pipes_carry_bytes(void)
{
    static char big[70000];
    char buf[8];
    int p[2];
    duo_open(&d, NULL);
    EXPECT_EQ(mtcp_pipe(d.srv, p), 0);
    mtcp_setsock_nonblock(d.srv, p[0]);
    mtcp_setsock_nonblock(d.srv, p[1]);
    EXPECT_ERR(mtcp_read(d.srv, p[0], buf, 8), EAGAIN);
    EXPECT_ERR(mtcp_read(d.srv, p[1], buf, 8), EBADF);
    EXPECT_ERR(mtcp_write(d.srv, p[0], buf, 8), EBADF);
    EXPECT_EQ(mtcp_write(d.srv, p[1], "hello", 5), 5);
    EXPECT_EQ(readable(d.srv, p[0]), 5);
    EXPECT_EQ(mtcp_read(d.srv, p[0], buf, 8), 5);
    EXPECT_EQ(mtcp_write(d.srv, p[1], big, sizeof(big)), 65536);
    EXPECT_ERR(mtcp_write(d.srv, p[1], big, 1), EAGAIN);
    EXPECT_EQ(mtcp_read(d.srv, p[0], big, 4095), 4095);
    EXPECT_ERR(mtcp_write(d.srv, p[1], big, 4096), EAGAIN); /* not split */
    EXPECT_EQ(mtcp_write(d.srv, p[1], big, 4097), 4095);
    EXPECT_EQ(mtcp_close(d.srv, p[1]), 0);
    for (ssize_t n, sum = 0; (n = mtcp_read(d.srv, p[0], big, 1000)) != 0; sum += n)
        CU_ASSERT_FATAL(n > 0 && sum < 65536);
    EXPECT_EQ(mtcp_pipe(d.srv, p), 0);
    EXPECT_EQ(mtcp_close(d.srv, p[0]), 0);
    EXPECT_ERR(mtcp_write(d.srv, p[1], "x", 1), EPIPE);
    duo_close(&d);
}

static void pipes_scatter(void)
{
    char a[2], b[4];
    struct iovec iov[4] = {{NULL, 0}, {a, 2}, {NULL, 0}, {b, 4}};
    int p[2];
    duo_open(&d, NULL);
    EXPECT_EQ(mtcp_pipe(d.srv, p), 0);
    mtcp_setsock_nonblock(d.srv, p[0]);
    EXPECT_ERR(mtcp_readv(d.srv, p[0], iov, 4), EAGAIN);
    EXPECT_EQ(mtcp_write(d.srv, p[1], "hello", 5), 5);
    EXPECT_EQ(mtcp_readv(d.srv, p[0], iov, 1), 0);
    EXPECT_EQ(mtcp_readv(d.srv, p[0], iov, 4), 5);
    CU_ASSERT(memcmp(a, "he", 2) == 0 && memcmp(b, "llo", 3) == 0);
    duo_close(&d);
}

TEST_SUITE(sock, TEST_CASE(bytes_go_both_ways), TEST_CASE(names_are_told),
           TEST_CASE(vectors_gather_and_scatter), TEST_CASE(peeking_leaves_the_bytes),
           TEST_CASE(more_is_held_back), TEST_CASE(a_fin_ends_the_stream),
           TEST_CASE(a_reset_is_told_once), TEST_CASE(a_fin_hides_a_later_reset),
           TEST_CASE(so_error_takes_the_pending_error), TEST_CASE(a_write_takes_the_pending_error),
           TEST_CASE(closing_with_unread_bytes_resets), TEST_CASE(closing_sends_what_is_queued),
           TEST_CASE(shut_rd_hands_out_what_arrives_later),
           TEST_CASE(bytes_after_both_ends_are_shut_reset), TEST_CASE(linger_zero_resets),
           TEST_CASE(linger_waits_for_the_peer), TEST_CASE(linger_gives_up),
           TEST_CASE(refusal_is_told_by_connect), TEST_CASE(refusal_is_told_by_so_error),
           TEST_CASE(a_refused_socket_stays_bound), TEST_CASE(unconnected_sockets_write_nothing),
           TEST_CASE(an_attempt_to_connect_is_shut_down), TEST_CASE(a_listener_is_shut_down),
           TEST_CASE(connecting_reports_by_a_second_call), TEST_CASE(a_silent_peer_times_out),
           TEST_CASE(nobody_there_is_unreachable), TEST_CASE(bound_sockets_connect_from_their_port),
           TEST_CASE(ports_are_taken_once), TEST_CASE(reuseaddr_shares_until_one_listens),
           TEST_CASE(reuseport_listeners_share_the_connections),
           TEST_CASE(an_unbound_listener_gets_a_port), TEST_CASE(many_listeners_accept),
           TEST_CASE(closing_a_listener_resets_the_waiting),
           TEST_CASE(the_reset_are_accepted_with_their_error), TEST_CASE(reads_block),
           TEST_CASE(waitall_waits_for_all), TEST_CASE(waitall_keeps_the_error),
           TEST_CASE(accepts_and_connects_block), TEST_CASE(writes_block_until_all_is_queued),
           TEST_CASE(polling_alone_makes_progress), TEST_CASE(ids_are_the_lowest_free),
           TEST_CASE(accept_without_an_id_leaves_it_queued), TEST_CASE(nothing_is_left_behind),
           TEST_CASE(a_listener_is_closed_while_it_listens), TEST_CASE(the_waiting_call_ends),
           TEST_CASE(pipes_carry_bytes), TEST_CASE(pipes_scatter),
           TEST_CASE(a_soft_error_can_be_asked_for),
           TEST_CASE(a_port_is_listened_on_while_it_connects));

/* Socket options: what is set is told, is bounded, and changes what the stack does. */
#include "tests/duo.h"
#include "tests/test.h"

#include <mtcp_api.h>

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static struct duo d;
static int s, c, l;

#define EXPECT_ERR(call, e)                                                                        \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, e);                                                                       \
    } while (0)

static int set(mctx_t m, int sock, int level, int name, int v)
{
    return mtcp_setsockopt(m, sock, level, name, &v, sizeof(v));
}

static int get(mctx_t m, int sock, int level, int name)
{
    int v[2] = {-12345, -1};
    socklen_t len = sizeof(v);
    EXPECT_EQ(mtcp_getsockopt(m, sock, level, name, v, &len), 0);
    EXPECT_EQ(len, sizeof(int));
    EXPECT_EQ(v[1], -1);
    return v[0];
}

static int stream(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CU_ASSERT_FATAL(sock >= 0);
    return sock;
}

static void open_pair(const char *conf)
{
    duo_open(&d, conf);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
}

static struct tcp_info info_of(mctx_t m, int sock)
{
    struct tcp_info t;
    socklen_t len = sizeof(t);
    memset(&t, 0xee, sizeof(t));
    EXPECT_EQ(mtcp_getsockopt(m, sock, IPPROTO_TCP, TCP_INFO, &t, &len), 0);
    EXPECT_EQ(len, sizeof(t));
    return t;
}

/* ---- the table ------------------------------------------------------------------------------- */

#define NONE INT32_MIN

/* Defaults, a value that is taken and one that is not; bool: any number is 1. */
static const struct {
    int level, name, initial, value, told, refused;
} ints[] = {
    {SOL_SOCKET, SO_REUSEADDR, 0, 7, 1, NONE},
    {SOL_SOCKET, SO_REUSEPORT, 0, 1, 1, NONE},
    {SOL_SOCKET, SO_KEEPALIVE, 0, 1, 1, NONE},
    {SOL_SOCKET, SO_SNDBUF, 262144, 100000, 100000, -1},
    {SOL_SOCKET, SO_RCVBUF, 262144, 1, 2048, -1},
    {SOL_SOCKET, SO_RCVBUF, 2048, INT32_MAX, 1 << 30, -2},
    {IPPROTO_TCP, TCP_NODELAY, 0, 1, 1, NONE},
    {IPPROTO_TCP, TCP_CORK, 0, 1, 1, NONE},
    {IPPROTO_TCP, TCP_CORK, 1, 0, 0, NONE},
    {IPPROTO_TCP, TCP_QUICKACK, 0, 1, 1, NONE},
    {IPPROTO_TCP, TCP_KEEPIDLE, 7200, 1, 1, 0},
    {IPPROTO_TCP, TCP_KEEPINTVL, 75, 32767, 32767, 32768},
    {IPPROTO_TCP, TCP_KEEPCNT, 9, 127, 127, 128},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 30000, 30000, -1},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0, 16384, 16384, -1},
    {IPPROTO_TCP, TCP_SYNCNT, 6, 3, 3, 128},
    {IPPROTO_IP, IP_TOS, 0, 0x28 + 3, 0x28, 256},
    {IPPROTO_IP, IP_TTL, 64, 255, 255, 256},
    {IPPROTO_IP, IP_TTL, 255, -1, 64, 0},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, IP_PMTUDISC_DO, IP_PMTUDISC_DO, 6},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO, 5, 5, -1},
    {IPPROTO_IPV6, IPV6_TCLASS, 0x28, 0x48, 0x48, 256},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, 3, 3, -2},
};

static void check_ints(mctx_t m, int sock)
{
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        int level = ints[i].level, name = ints[i].name;
        if (get(m, sock, level, name) != ints[i].initial)
            fprintf(stderr, "\noption %d/%d begins with %d\n", level, name,
                    get(m, sock, level, name));
        EXPECT_EQ(get(m, sock, level, name), ints[i].initial);
        if (ints[i].refused != NONE)
            EXPECT_ERR(set(m, sock, level, name, ints[i].refused), EINVAL);
        EXPECT_EQ(get(m, sock, level, name), ints[i].initial);
        EXPECT_EQ(set(m, sock, level, name, ints[i].value), 0);
        EXPECT_EQ(get(m, sock, level, name), ints[i].told);
        char v[4] = {1, 2, 3, 4};
        socklen_t len = level == IPPROTO_IP ? 0 : 3; /* IP's options come as a byte as well */
        socklen_t short_len = len;
        EXPECT_ERR(mtcp_getsockopt(m, sock, level, name, v, &len), EINVAL);
        EXPECT_EQ(len, short_len);
        CU_ASSERT(memcmp(v, "\1\2\3\4", 4) == 0);
        EXPECT_ERR(mtcp_setsockopt(m, sock, level, name, v, len), EINVAL);
        EXPECT_ERR(mtcp_setsockopt(m, sock, level, name, NULL, 4), EFAULT);
        EXPECT_ERR(mtcp_getsockopt(m, sock, level, name, NULL, &len), EFAULT);
        EXPECT_ERR(mtcp_getsockopt(m, sock, level, name, v, NULL), EFAULT);
    }
}

static void each_int_is_set_told_and_bounded(void)
{
    open_pair(NULL);
    check_ints(d.srv, stream(d.srv)); /* nothing yet */
    check_ints(d.srv, s);             /* a connection that was accepted */
    check_ints(d.cli, c);
    check_ints(d.srv, l);
    duo_close(&d);
}

static void ip_options_are_bytes_too(void)
{
    uint8_t v = 9, told = 0;
    socklen_t len = 1;
    open_pair(NULL);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_IP, IP_TTL, &v, 1), 0);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, IPPROTO_IP, IP_TTL, &told, &len), 0);
    EXPECT_EQ(told, 9);
    EXPECT_EQ(len, 1);
    EXPECT_EQ(get(d.srv, s, IPPROTO_IP, IP_TTL), 9);
    duo_close(&d);
}

static void what_can_only_be_asked_is_refused(void)
{
    static const int only[][2] = {{SOL_SOCKET, SO_ERROR},      {SOL_SOCKET, SO_TYPE},
                                  {SOL_SOCKET, SO_PROTOCOL},   {SOL_SOCKET, SO_DOMAIN},
                                  {IPPROTO_TCP, TCP_INFO},     {IPPROTO_IP, IP_MTU},
                                  {SOL_SOCKET, SO_ACCEPTCONN}, {IPPROTO_IPV6, IPV6_MTU}};
    open_pair(NULL);
    for (size_t i = 0; i < sizeof(only) / sizeof(only[0]); i++)
        EXPECT_ERR(set(d.srv, s, only[i][0], only[i][1], 0), EPERM);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_DOMAIN), AF_INET);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_ACCEPTCONN), 0);
    EXPECT_EQ(get(d.srv, l, SOL_SOCKET, SO_ACCEPTCONN), 1);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_ERROR), 0);
    EXPECT_EQ(get(d.srv, s, IPPROTO_IP, IP_MTU), 1500);
    int v;
    socklen_t len = sizeof(v);
    EXPECT_ERR(mtcp_getsockopt(d.srv, l, IPPROTO_IP, IP_MTU, &v, &len), ENOTCONN);
    duo_close(&d);
}

/* As Linux: seconds become the SYN-ACK timeouts that they reach into, and these seconds again. */
static void seconds_of_deferring_are_timeouts(void)
{
    static const int row[][2] = {{0, 0}, {1, 1},   {2, 3},     {3, 3},
                                 {4, 7}, {10, 15}, {130, 247}, {-5, 0}};
    open_pair(NULL);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        EXPECT_EQ(set(d.srv, l, IPPROTO_TCP, TCP_DEFER_ACCEPT, row[i][0]), 0);
        EXPECT_EQ(get(d.srv, l, IPPROTO_TCP, TCP_DEFER_ACCEPT), row[i][1]);
    }
    EXPECT_EQ(set(d.srv, l, IPPROTO_TCP, TCP_DEFER_ACCEPT, INT_MAX), 0);
    CU_ASSERT(get(d.srv, l, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 20000);
    duo_close(&d);
}

/* The listener hears of a connection when there is something to read. */
static void accepting_can_wait_for_data(void)
{
    char buf[8];
    duo_open(&d, NULL);
    l = duo_listen(&d, 80);
    EXPECT_EQ(set(d.srv, l, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5), 0);
    c = duo_connect(&d, 80);
    duo_run(&d, 50000);
    EXPECT_EQ(get(d.cli, c, SOL_SOCKET, SO_ERROR), 0);
    EXPECT_ERR(mtcp_accept(d.srv, l, NULL, NULL), EAGAIN);
    EXPECT_EQ(mtcp_write(d.cli, c, "hello", 5), 5);
    duo_run(&d, 1000);
    s = mtcp_accept4(d.srv, l, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 5);
    EXPECT_EQ(get(d.srv, s, IPPROTO_TCP, TCP_DEFER_ACCEPT), 7); /* inherited, as Linux */
    duo_close(&d);
}

/* Once the connection is not new any more, a small segment's ACK waits for the next, or for data.
 */
static void quickack_answers_at_once(void)
{
    open_pair(NULL);
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
        duo_run(&d, 50000);
    }
    for (int on = 0; on < 2; on++) {
        EXPECT_EQ(set(d.srv, s, IPPROTO_TCP, TCP_QUICKACK, on), 0);
        EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
        duo_step(&d, 0);
        EXPECT_EQ(info_of(d.cli, c).tcpi_unacked, on ? 0 : 1);
        duo_run(&d, 50000);
    }
    duo_close(&d);
}

/* A new connection answers at once, but for who says that it will answer itself. */
static void who_answers_itself_says_so(void)
{
    for (int answers = 0; answers < 2; answers++) {
        open_pair(NULL);
        if (answers)
            EXPECT_EQ(set(d.srv, s, IPPROTO_TCP, TCP_QUICKACK, 0), 0);
        EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
        duo_step(&d, 0);
        EXPECT_EQ(info_of(d.cli, c).tcpi_unacked, answers);
        EXPECT_EQ(mtcp_write(d.srv, s, "y", 1), 1);
        duo_step(&d, 0);
        EXPECT_EQ(info_of(d.cli, c).tcpi_unacked, 0);
        duo_close(&d);
    }
}

/* Whoever accepts it is likely to answer. */
static void what_waits_to_be_accepted_is_not_acknowledged_at_once(void)
{
    duo_open(&d, NULL);
    l = duo_listen(&d, 80);
    c = duo_connect(&d, 80);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
    duo_step(&d, 0);
    EXPECT_EQ(info_of(d.cli, c).tcpi_unacked, 1);
    duo_run(&d, 50000);
    EXPECT_EQ(info_of(d.cli, c).tcpi_unacked, 0);
    mtcp_close(d.srv, l);
    duo_close(&d);
}

/* What TCP does not act on yet says so, instead of pretending. */
static void what_is_not_there_is_unknown(void)
{
    int v = 1;
    socklen_t len = sizeof(v);
    open_pair(NULL);
    EXPECT_ERR(set(d.srv, s, SOL_SOCKET, SO_RCVTIMEO, 1), ENOSYS);
    EXPECT_ERR(set(d.srv, s, SOL_SOCKET, 9999, 1), ENOSYS);
    EXPECT_ERR(mtcp_getsockopt(d.srv, s, SOL_SOCKET, 9999, NULL, NULL), ENOSYS);
    EXPECT_ERR(mtcp_getsockopt(d.srv, s, 4711, SO_ERROR, &v, &len), ENOSYS);
    EXPECT_ERR(mtcp_setsockopt(d.srv, s, 4711, SO_ERROR, &v, len), ENOSYS);
    EXPECT_ERR(mtcp_getsockopt(d.srv, s, SOL_MONSOCKET, MOS_TIMESTAMP, &v, &len), ENOTSOCK);
    EXPECT_ERR(mtcp_setsockopt(d.srv, s, SOL_MONSOCKET, MOS_CLIBUF, &v, len), ENOTSOCK);
    duo_close(&d);
}

/* ---- values that are no int ------------------------------------------------------------------ */

static void linger_is_a_struct(void)
{
    struct linger x = {5, 5}, on = {3, 77}, off = {0, 77}, bad = {1, -1};
    socklen_t len = sizeof(x);
    open_pair(NULL);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &x, &len), 0);
    EXPECT_EQ(x.l_onoff, 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &on, sizeof(on)), 0);
    EXPECT_ERR(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &bad, sizeof(bad)), EINVAL);
    EXPECT_ERR(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &on, sizeof(on) - 1), EINVAL);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &x, &len), 0);
    EXPECT_EQ(x.l_onoff, 1);
    EXPECT_EQ(x.l_linger, 77);
    EXPECT_EQ(len, sizeof(x));
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &off, sizeof(off)), 0);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &x, &len), 0);
    EXPECT_EQ(x.l_onoff, 0);
    duo_close(&d);
}

static void congestion_control_has_a_name(void)
{
    char name[20];
    socklen_t len = sizeof(name);
    open_pair(NULL);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    CU_ASSERT_STRING_EQUAL(name, "cubic");
    EXPECT_EQ(len, 16);
    EXPECT_ERR(mtcp_setsockopt(d.srv, s, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6), ENOENT);
    EXPECT_ERR(mtcp_setsockopt(d.srv, s, IPPROTO_TCP, TCP_CONGESTION, "", 0), EINVAL);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_TCP, TCP_CONGESTION, "newreno", 7), 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, l, IPPROTO_TCP, TCP_CONGESTION, "newreno", 8), 0);
    len = 8;
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    CU_ASSERT_STRING_EQUAL(name, "newreno");
    len = 7;
    EXPECT_ERR(mtcp_getsockopt(d.srv, s, IPPROTO_TCP, TCP_CONGESTION, name, &len), EINVAL);
    int other = duo_pair(&d, l, &c);
    len = sizeof(name);
    EXPECT_EQ(mtcp_getsockopt(d.srv, other, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    CU_ASSERT_STRING_EQUAL(name, "newreno");
    duo_close(&d);
}

/* ---- what they do ---------------------------------------------------------------------------- */

/* RFC 9293 MUST-48, MUST-49 */
static void accepted_sockets_inherit(void)
{
    duo_open(&d, NULL);
    l = duo_listen(&d, 80);
    set(d.srv, l, IPPROTO_TCP, TCP_NODELAY, 1);
    set(d.srv, l, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(d.srv, l, SOL_SOCKET, SO_RCVBUF, 30000);
    set(d.srv, l, SOL_SOCKET, SO_SNDBUF, 40000);
    set(d.srv, l, IPPROTO_TCP, TCP_KEEPIDLE, 77);
    set(d.srv, l, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
    set(d.srv, l, IPPROTO_IP, IP_TTL, 9);
    set(d.srv, l, IPPROTO_IP, IP_TOS, 0x10);
    set(d.srv, l, IPPROTO_TCP, TCP_MAXSEG, 600);
    struct linger x = {1, 3};
    mtcp_setsockopt(d.srv, l, SOL_SOCKET, SO_LINGER, &x, sizeof(x));
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(get(d.srv, s, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_RCVBUF), 30000);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_SNDBUF), 40000);
    EXPECT_EQ(get(d.srv, s, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    EXPECT_EQ(get(d.srv, s, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
    EXPECT_EQ(get(d.srv, s, IPPROTO_IP, IP_TTL), 9);
    EXPECT_EQ(get(d.srv, s, IPPROTO_IP, IP_TOS), 0x10);
    CU_ASSERT(get(d.srv, s, IPPROTO_TCP, TCP_MAXSEG) <= 600);
    socklen_t len = sizeof(x);
    x = (struct linger){0, 0};
    mtcp_getsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &x, &len);
    EXPECT_EQ(x.l_linger, 3);
    x.l_onoff = 0;
    mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_LINGER, &x, sizeof(x));
    duo_close(&d);
}

static void options_survive_connecting(void)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", 81);
    duo_open(&d, NULL);
    c = stream(d.cli);
    set(d.cli, c, IPPROTO_TCP, TCP_NODELAY, 1);
    set(d.cli, c, SOL_SOCKET, SO_RCVBUF, 30000);
    set(d.cli, c, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(d.cli, c, IPPROTO_TCP, TCP_MAXSEG, 700);
    set(d.cli, c, IPPROTO_IP, IP_TTL, 9);
    for (int round = 0; round < 2; round++) { /* also across a refusal and another try */
        mtcp_connect(d.cli, c, (struct sockaddr *)&a, sizeof(a));
        duo_step(&d, 0);
        if (round == 0)
            EXPECT_ERR(mtcp_connect(d.cli, c, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED);
        EXPECT_EQ(get(d.cli, c, IPPROTO_TCP, TCP_NODELAY), 1);
        EXPECT_EQ(get(d.cli, c, SOL_SOCKET, SO_RCVBUF), 30000);
        EXPECT_EQ(get(d.cli, c, IPPROTO_TCP, TCP_KEEPCNT), 3);
        CU_ASSERT(get(d.cli, c, IPPROTO_TCP, TCP_MAXSEG) <= 700);
        EXPECT_EQ(get(d.cli, c, IPPROTO_IP, IP_TTL), 9);
        if (round == 0)
            duo_listen(&d, 81);
    }
    EXPECT_EQ(mtcp_connect(d.cli, c, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_ERR(set(d.cli, c, IPPROTO_TCP, TCP_MAXSEG, 500), EISCONN);
    duo_close(&d);
}

static void the_receive_buffer_bounds_what_waits(void)
{
    static char buf[100000];
    int n = 0;
    duo_open(&d, NULL);
    l = duo_listen(&d, 80);
    set(d.srv, l, SOL_SOCKET, SO_RCVBUF, 10000);
    s = duo_pair(&d, l, &c);
    mtcp_write(d.cli, c, buf, sizeof(buf));
    duo_run(&d, 1000000);
    EXPECT_EQ(mtcp_ioctl(d.srv, s, FIONREAD, &n), 0);
    CU_ASSERT(n > 8000 && n <= 10000);
    set(d.srv, s, SOL_SOCKET, SO_RCVBUF, 50000); /* and does not grow by itself */
    mtcp_read(d.srv, s, buf, 10000);
    duo_run(&d, 1000000);
    EXPECT_EQ(mtcp_ioctl(d.srv, s, FIONREAD, &n), 0);
    CU_ASSERT(n > 40000 && n <= 50000);
    duo_close(&d);
}

/* A large buffer can only be announced with the scale that the SYN said. */
static void a_large_buffer_scales_the_window(void)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", 80);
    open_pair(NULL);
    int e = stream(d.cli);
    set(d.cli, e, SOL_SOCKET, SO_RCVBUF, 8 << 20);
    mtcp_connect(d.cli, e, (struct sockaddr *)&a, sizeof(a));
    duo_step(&d, 0);
    EXPECT_EQ(info_of(d.cli, c).tcpi_rcv_wscale, 7); /* for rmem_max */
    EXPECT_EQ(info_of(d.cli, e).tcpi_rcv_wscale, 8);
    duo_close(&d);
}

static void corks_hold_until_pulled(void)
{
    char buf[8];
    open_pair(NULL);
    set(d.cli, c, IPPROTO_TCP, TCP_CORK, 1);
    mtcp_write(d.cli, c, "abc", 3);
    duo_step(&d, 0);
    EXPECT_ERR(mtcp_read(d.srv, s, buf, 8), EAGAIN);
    set(d.cli, c, IPPROTO_TCP, TCP_CORK, 0);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 3);
    duo_close(&d);
}

static void keepalive_finds_the_dead(void)
{
    open_pair(NULL);
    set(d.srv, s, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(d.srv, s, IPPROTO_TCP, TCP_KEEPIDLE, 10);
    set(d.srv, s, IPPROTO_TCP, TCP_KEEPINTVL, 2);
    set(d.srv, s, IPPROTO_TCP, TCP_KEEPCNT, 3);
    duo_run(&d, 60000000);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_ERROR), 0); /* the peer answers */
    d.cut_cli = true;
    duo_run(&d, 12000000);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_ERROR), 0);
    duo_run(&d, 8000000);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_ERROR), ETIMEDOUT);
    d.cut_cli = false;
    duo_close(&d);
}

static void the_user_timeout_gives_up(void)
{
    open_pair(NULL);
    set(d.srv, s, IPPROTO_TCP, TCP_USER_TIMEOUT, 3000);
    d.cut_cli = true;
    mtcp_write(d.srv, s, "x", 1);
    duo_run(&d, 2500000);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_ERROR), 0);
    duo_run(&d, 8000000);
    EXPECT_EQ(get(d.srv, s, SOL_SOCKET, SO_ERROR), ETIMEDOUT);
    d.cut_cli = false;
    duo_close(&d);
}

static void syncnt_bounds_connecting(void)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", 80);
    open_pair(NULL); /* so that the address is known */
    int e = stream(d.cli);
    set(d.cli, e, IPPROTO_TCP, TCP_SYNCNT, 1);
    d.cut_srv = true;
    mtcp_connect(d.cli, e, (struct sockaddr *)&a, sizeof(a));
    duo_run(&d, 2500000);
    EXPECT_EQ(get(d.cli, e, SOL_SOCKET, SO_ERROR), 0);
    duo_run(&d, 1500000);
    EXPECT_EQ(get(d.cli, e, SOL_SOCKET, SO_ERROR), ETIMEDOUT);
    d.cut_srv = false;
    duo_close(&d);
}

static int unsent(void)
{
    int queued;
    EXPECT_EQ(mtcp_ioctl(d.cli, c, SIOCOUTQ, &queued), 0);
    return queued - (int)info_of(d.cli, c).tcpi_unacked * 1448;
}

/* As Linux: 10 segments go out at once, then comes as much as reaches the mark, in parts of half of
 * the window; and who polls is woken when less than half of the mark is left. */
static void notsent_lowat_holds_writers(void)
{
    enum { MARK = 80000, MSS = 1448, PART = 65535 / 2 / MSS * MSS };
    static char buf[400000];
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLOUT, .data = {.u64 = 1}};
    open_pair(NULL);
    set(d.cli, c, IPPROTO_TCP, TCP_NOTSENT_LOWAT, MARK);
    EXPECT_EQ(mtcp_write(d.cli, c, buf, sizeof(buf)), 10 * MSS + 3 * PART);
    EXPECT_ERR(mtcp_write(d.cli, c, buf, 1), EAGAIN);
    int ep = mtcp_epoll_create(d.cli, 1);
    EXPECT_EQ(mtcp_epoll_ctl(d.cli, ep, MOS_EPOLL_CTL_ADD, c, &ev), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.cli, ep, &ev, 1, 0), 0);
    while (unsent() >= MARK / 2) {
        EXPECT_EQ(mtcp_epoll_wait(d.cli, ep, &ev, 1, 0), 0);
        mtcp_read(d.srv, s, buf, sizeof(buf));
        duo_run(&d, 100);
    }
    EXPECT_EQ(mtcp_epoll_wait(d.cli, ep, &ev, 1, 0), 1);
    CU_ASSERT(mtcp_write(d.cli, c, buf, sizeof(buf)) >= MARK / 2);
    duo_close(&d);
}

/* TCP_NODELAY lets go what is corked, once (as Linux); MSG_MORE holds the first bytes back. */
static void nodelay_pushes_what_waits(void)
{
    char buf[100] = {0};
    open_pair(NULL);
    duo_run(&d, 100000);
    set(d.srv, s, IPPROTO_TCP, TCP_CORK, 1);
    EXPECT_EQ(mtcp_write(d.srv, s, buf, 100), 100);
    duo_run(&d, 1000);
    EXPECT_ERR(mtcp_read(d.cli, c, buf, 100), EAGAIN);
    set(d.srv, s, IPPROTO_TCP, TCP_NODELAY, 1);
    duo_run(&d, 1000);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 100), 100);
    EXPECT_EQ(mtcp_write(d.srv, s, buf, 100), 100);
    duo_run(&d, 1000);
    EXPECT_ERR(mtcp_read(d.cli, c, buf, 100), EAGAIN);
    set(d.srv, s, IPPROTO_TCP, TCP_CORK, 0);
    duo_run(&d, 1000);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 100), 100);
    EXPECT_EQ(mtcp_send(d.srv, s, buf, 100, MSG_MORE), 100);
    duo_run(&d, 1000);
    EXPECT_ERR(mtcp_read(d.cli, c, buf, 100), EAGAIN);
    duo_close(&d);
}

/* ---- TCP_INFO -------------------------------------------------------------------------------- */

/* A member that libc's struct does not have. */
static uint32_t delivered_of(mctx_t m, int sock)
{
    enum { OFFSET = 192 };
    char buf[400];
    uint32_t n = 0;
    socklen_t len = sizeof(buf);
    EXPECT_EQ(mtcp_getsockopt(m, sock, IPPROTO_TCP, TCP_INFO, buf, &len), 0);
    memcpy(&n, buf + OFFSET, sizeof(n));
    return n;
}

static void info_is_what_the_stack_knows(void)
{
    char buf[5000] = {0};
    open_pair(NULL);
    EXPECT_EQ(info_of(d.srv, stream(d.srv)).tcpi_state, MOS_TCPI_CLOSE);
    EXPECT_EQ(info_of(d.srv, l).tcpi_state, MOS_TCPI_LISTEN);
    EXPECT_EQ(info_of(d.srv, l).tcpi_sacked, 128);
    duo_connect(&d, 80);
    duo_step(&d, 0);
    EXPECT_EQ(info_of(d.srv, l).tcpi_unacked, 1);
    struct tcp_info t = info_of(d.cli, c);
    EXPECT_EQ(t.tcpi_state, MOS_TCPI_ESTABLISHED);
    EXPECT_EQ(t.tcpi_options & 7, 7);
    EXPECT_EQ(t.tcpi_snd_cwnd, 10);
    EXPECT_EQ(t.tcpi_snd_mss, 1448);
    EXPECT_EQ(t.tcpi_pmtu, 1500);
    EXPECT_EQ(t.tcpi_unacked, 0);
    EXPECT_EQ(delivered_of(d.cli, c), 1); /* the SYN */
    d.cut_srv = true;
    mtcp_write(d.cli, c, buf, 5000);
    duo_step(&d, 0);
    EXPECT_EQ(info_of(d.cli, c).tcpi_unacked, 4);
    duo_run(&d, 3000000);
    t = info_of(d.cli, c);
    CU_ASSERT(t.tcpi_backoff > 0);
    CU_ASSERT(t.tcpi_rto >= 400000);
    d.cut_srv = false;
    duo_run(&d, 20000000);
    t = info_of(d.cli, c);
    EXPECT_EQ(t.tcpi_unacked, 0);
    CU_ASSERT(delivered_of(d.cli, c) >= 5); /* and 5,000 bytes, in small segments by now */
    EXPECT_EQ(t.tcpi_backoff, 0);
    mtcp_shutdown(d.cli, c, SHUT_WR);
    duo_step(&d, 0);
    EXPECT_EQ(info_of(d.cli, c).tcpi_state, MOS_TCPI_FIN_WAIT2);
    EXPECT_EQ(info_of(d.srv, s).tcpi_state, MOS_TCPI_CLOSE_WAIT);
    socklen_t len = 20;
    EXPECT_ERR(mtcp_getsockopt(d.cli, c, IPPROTO_TCP, TCP_INFO, buf, &len), EINVAL);
    len = sizeof(buf); /* a program that knows more fields gets them */
    EXPECT_EQ(mtcp_getsockopt(d.cli, c, IPPROTO_TCP, TCP_INFO, buf, &len), 0);
    CU_ASSERT(len >= 200 && len < 400);
    duo_close(&d);
}

TEST_SUITE(options, TEST_CASE(each_int_is_set_told_and_bounded),
           TEST_CASE(ip_options_are_bytes_too), TEST_CASE(what_can_only_be_asked_is_refused),
           TEST_CASE(quickack_answers_at_once), TEST_CASE(who_answers_itself_says_so),
           TEST_CASE(what_waits_to_be_accepted_is_not_acknowledged_at_once), TEST_CASE(what_is_not_there_is_unknown),
           TEST_CASE(seconds_of_deferring_are_timeouts), TEST_CASE(accepting_can_wait_for_data),
           TEST_CASE(linger_is_a_struct), TEST_CASE(nodelay_pushes_what_waits),
           TEST_CASE(congestion_control_has_a_name), TEST_CASE(accepted_sockets_inherit),
           TEST_CASE(options_survive_connecting), TEST_CASE(the_receive_buffer_bounds_what_waits),
           TEST_CASE(a_large_buffer_scales_the_window), TEST_CASE(corks_hold_until_pulled),
           TEST_CASE(keepalive_finds_the_dead), TEST_CASE(the_user_timeout_gives_up),
           TEST_CASE(syncnt_bounds_connecting), TEST_CASE(notsent_lowat_holds_writers),
           TEST_CASE(info_is_what_the_stack_knows));

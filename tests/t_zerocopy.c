/* Bytes that are sent from where the application has them (MSG_ZEROCOPY), and when it is told that
 * they are its own again. */
#include "tests/duo.h"
#include "tests/test.h"

#include "mtcp/base/rng.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <mos_api.h>
#include <mtcp_epoll.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define LONG 40000u

static struct duo d;
static int s, c;
static char buf[LONG];

static void pair_begin(void)
{
    int on = 1, l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    mtcp_close(d.srv, l);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)), 0);
    memset(buf, 'a', sizeof(buf));
}

static ssize_t lend(const char *data, size_t len)
{
    return mtcp_send(d.srv, s, data, len, MSG_ZEROCOPY);
}

/* The error queue: nothing (-1), or calls first..last are done: were bytes copied? */
static int told(uint32_t first, uint32_t last)
{
    char control[128];
    struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
    struct sock_extended_err e;
    if (mtcp_recvmsg(d.srv, s, &msg, MSG_ERRQUEUE) != 0)
        return -1;
    memcpy(&e, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(e));
    EXPECT_EQ(e.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
    EXPECT_EQ(e.ee_info, first);
    EXPECT_EQ(e.ee_data, last);
    return e.ee_code == SO_EE_CODE_ZEROCOPY_COPIED;
}

/* Reads all that there is: how much, when every byte of it is `what`; else -1. */
static ssize_t all_read_is(char what)
{
    char in[4096];
    ssize_t n, sum = 0;
    while ((n = mtcp_read(d.cli, c, in, sizeof(in))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (in[i] != what)
                return -1;
        sum += n;
        duo_step(&d, 0);
    }
    return sum;
}

static void stays_where_it_is(void)
{
    pair_begin();
    EXPECT_EQ(lend(buf, LONG), LONG);
    EXPECT_EQ(told(0, 0), -1);
    memset(buf, 'b', sizeof(buf)); /* not to be done: it shows where the bytes are */
    duo_step(&d, 0);
    EXPECT_EQ(all_read_is('b'), LONG);
    EXPECT_EQ(told(0, 0), 0);
    EXPECT_EQ(told(1, 1), -1);
    duo_close(&d);
}

static void long_bytes_stay_where_they_are(void)
{
    duo_open(&d, NULL);
    stays_where_it_is();
    duo_open_tso(&d, NULL);
    stays_where_it_is();
}

/* In the order of the calls, also those that were copied. */
static void calls_are_done_in_order(void)
{
    duo_open(&d, NULL);
    pair_begin();
    EXPECT_EQ(lend(buf, 100), 100);
    EXPECT_EQ(told(0, 0), 1);
    EXPECT_EQ(lend(buf, LONG), LONG);
    EXPECT_EQ(lend(buf, 100), 100);
    EXPECT_EQ(told(1, 1), -1);
    duo_step(&d, 0);
    EXPECT_EQ(all_read_is('a'), LONG + 200);
    EXPECT_EQ(told(1, 2), 1);
    duo_close(&d);
}

/* What is told first does not hide that a call of the next range was copied. */
static void copies_are_told_with_their_calls(void)
{
    duo_open_tso(&d, "rmem_size = 32768\n");
    pair_begin();
    EXPECT_EQ(lend(buf, 20000), 20000);
    EXPECT_EQ(lend(buf, LONG), LONG);
    EXPECT_EQ(lend(buf, 100), 100);
    duo_step(&d, 0); /* the peer's window takes the first, and no other */
    CU_ASSERT(told(0, 0) >= 0);
    EXPECT_EQ(all_read_is('a'), 20000 + LONG + 100);
    EXPECT_EQ(told(1, 2), 1);
    duo_close(&d);
}

/* A call that failed is none, and copied nothing. */
static void a_call_before_the_connection_is_none(void)
{
    struct sockaddr_in a = duo_addr("10.0.0.2", 80);
    int on = 1;
    duo_open_tso(&d, NULL);
    int l = mtcp_socket(d.cli, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_bind(d.cli, l, (struct sockaddr *)&a, sizeof(a)), 0);
    EXPECT_EQ(mtcp_listen(d.cli, l, 1), 0);
    s = mtcp_socket(d.srv, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)), 0);
    EXPECT_EQ(mtcp_connect(d.srv, s, (struct sockaddr *)&a, sizeof(a)), -1);
    EXPECT_EQ(lend(buf, LONG), -1);
    duo_step(&d, 0);
    c = mtcp_accept4(d.cli, l, NULL, NULL, SOCK_NONBLOCK);
    EXPECT_EQ(lend(buf, LONG), LONG);
    duo_step(&d, 0);
    EXPECT_EQ(told(0, 0), 0);
    duo_close(&d);
}

static void what_was_lost_comes_from_there(void)
{
    duo_open_tso(&d, NULL);
    pair_begin();
    EXPECT_EQ(lend(buf, LONG), LONG);
    d.cut_srv = true;
    duo_step(&d, 0);
    d.cut_srv = false;
    EXPECT_EQ(told(0, 0), -1);
    memset(buf, 'b', sizeof(buf));
    duo_run(&d, 2000000);
    EXPECT_EQ(all_read_is('b'), LONG);
    EXPECT_EQ(told(0, 0), 0);
    duo_close(&d);
}

static void close_copies_what_is_not_acknowledged(void)
{
    duo_open_tso(&d, NULL);
    pair_begin();
    EXPECT_EQ(mtcp_write(d.srv, s, buf, 10), 10);
    EXPECT_EQ(lend(buf, LONG), LONG);
    EXPECT_EQ(lend(buf, 20000), 20000);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    memset(buf, 'b', sizeof(buf));
    duo_step(&d, 0);
    EXPECT_EQ(all_read_is('a'), 10 + LONG + 20000);
    duo_close(&d);
}

static void the_end_of_a_connection_gives_back(void)
{
    duo_open(&d, NULL);
    pair_begin();
    EXPECT_EQ(lend(buf, LONG), LONG);
    mtcp_abort(d.cli, c);
    duo_step(&d, 0);
    EXPECT_EQ(told(0, 0), 0);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    pair_begin();
    EXPECT_EQ(lend(buf, LONG), LONG);
    EXPECT_EQ(mtcp_abort(d.srv, s), 0);
    pair_begin();
    EXPECT_EQ(lend(buf, LONG), LONG); /* still lent when the context ends */
    duo_close(&d);
}

static void who_polls_is_woken(void)
{
    struct mtcp_epoll_event ev = {MOS_EPOLLET | MOS_EPOLLIN, {.u64 = 7}};
    duo_open(&d, NULL);
    pair_begin();
    int ep = mtcp_epoll_create(d.srv, 1);
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep, MOS_EPOLL_CTL_ADD, s, &ev), 0);
    EXPECT_EQ(lend(buf, LONG), LONG);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 0);
    duo_step(&d, 0);
    EXPECT_EQ(all_read_is('a'), LONG);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 1);
    EXPECT_EQ(ev.events, MOS_EPOLLERR);
    EXPECT_EQ(told(0, 0), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 0);
    mtcp_close(d.srv, ep);
    duo_close(&d);
}

static void on_data(mctx_t m, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)events, (void)arg;
}

/* A monitor peeks into the send buffer. */
static void monitored_connections_copy(void)
{
    duo_open_tso(&d, NULL);
    int m = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_register_callback(d.srv, m, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data), 0);
    pair_begin();
    EXPECT_EQ(lend(buf, LONG), LONG);
    EXPECT_EQ(told(0, 0), 1);
    memset(buf, 'b', sizeof(buf));
    duo_step(&d, 0);
    EXPECT_EQ(all_read_is('a'), LONG);
    duo_close(&d);
}

/* A frame that the device did not take waits as it was. */
static void what_waits_for_the_device_is_whole(void)
{
    duo_open_tso(&d, NULL);
    pair_begin();
    EXPECT_EQ(lend(buf, 16384), 16384);
    d.is_full = true;
    duo_step(&d, 0);
    memset(buf, 'b', sizeof(buf));
    d.is_full = false;
    duo_step(&d, 0);
    ssize_t first = mtcp_read(d.cli, c, buf, 10); /* the initial window's part of it */
    EXPECT_EQ(first, 10);
    EXPECT_EQ(memcmp(buf, "aaaaaaaaaa", 10), 0);
    duo_close(&d);
}

/* Long and short pieces in any order, acknowledged at any place, over a buffer that wraps. */
static void pieces_of_both_kinds_are_one_stream(void)
{
    static char bytes[1 << 20], in[65536];
    struct rng r;
    size_t sent = 0, got = 0;
    uint32_t calls = 0;
    rng_init(&r, 7);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)rng_u32(&r);
    duo_open_tso(&d, NULL);
    pair_begin();
    while (got < sizeof(bytes)) {
        for (unsigned k = rng_below(&r, 12); k > 0 && sent < sizeof(bytes); k--) {
            uint32_t len = rng_below(&r, 2) ? 16384 + rng_below(&r, 20000) : 1 + rng_below(&r, 3);
            if (len > sizeof(bytes) - sent)
                len = (uint32_t)(sizeof(bytes) - sent);
            ssize_t n = mtcp_send(d.srv, s, bytes + sent, len,
                                  MSG_MORE | (rng_below(&r, 8) ? MSG_ZEROCOPY : 0));
            sent += n > 0 ? (size_t)n : 0;
        }
        if (sent == sizeof(bytes))
            (void)mtcp_send(d.srv, s, "", 0, 0);
        d.cut_srv = rng_below(&r, 20) == 0;
        duo_run(&d, 1000 * (1 + rng_below(&r, 300)));
        ssize_t n = mtcp_read(d.cli, c, in, 1 + rng_below(&r, sizeof(in)));
        if (n > 0) {
            CU_ASSERT_FATAL(memcmp(in, bytes + got, (size_t)n) == 0);
            got += (size_t)n;
        }
    }
    d.cut_srv = false;
    duo_run(&d, 3000000);
    struct msghdr msg = {.msg_iovlen = 0};
    while (mtcp_recvmsg(d.srv, s, &msg, MSG_ERRQUEUE) == 0)
        calls++;
    CU_ASSERT(calls > 0);
    duo_close(&d);
}

TEST_SUITE(zerocopy, TEST_CASE(long_bytes_stay_where_they_are), TEST_CASE(calls_are_done_in_order),
           TEST_CASE(copies_are_told_with_their_calls),
           TEST_CASE(a_call_before_the_connection_is_none),
           TEST_CASE(what_was_lost_comes_from_there),
           TEST_CASE(close_copies_what_is_not_acknowledged),
           TEST_CASE(the_end_of_a_connection_gives_back), TEST_CASE(who_polls_is_woken),
           TEST_CASE(monitored_connections_copy), TEST_CASE(what_waits_for_the_device_is_whole),
           TEST_CASE(pieces_of_both_kinds_are_one_stream));

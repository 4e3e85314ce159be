/* Urgent data: the pointer in both directions, and what the socket says of it. */
#include "mtcp/tcp/urgent.h"

#include "tests/duo.h"
#include "tests/seg.h"

#include <mtcp_api.h>
#include <mtcp_epoll.h>

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* ---- in ---- */

static bool was_told(struct segt *t)
{
    bool told = t->conn.ready & TCP_READY_URGENT;
    t->conn.ready = 0;
    return told;
}

/* RFC 9293 MUST-30, MUST-32, MUST-33, MUST-62 */
static void the_pointer_names_the_byte_behind(void)
{
    struct segt *t = segt_established();
    CU_ASSERT(!was_told(t));
    seg_in(t, "UPA 1+10 ack=1 urg=4");
    CU_ASSERT(was_told(t));
    EXPECT_EQ(tcp_urgent_left(&t->conn), 4);
    EXPECT_EQ(segt_read(t, 3), 3);
    EXPECT_EQ(tcp_urgent_left(&t->conn), 1);
    EXPECT_EQ(segt_read(t, 1), 1);
    EXPECT_EQ(tcp_urgent_left(&t->conn), 0);
    EXPECT_EQ(segt_read(t, 100), 6); /* in line */
    segt_free(t);
}

/* RFC 9293 MUST-32 */
static void it_is_told_when_it_moves_on(void)
{
    struct segt *t = segt_established();
    seg_in(t, "UA 1+10 ack=1 urg=5");
    CU_ASSERT(was_told(t));
    seg_in(t, "UA 1+10 ack=1 urg=5"); /* the same again */
    seg_in(t, "UA 11+10 ack=1 urg=0");
    CU_ASSERT(was_told(t));           /* to the first byte of the second ten */
    seg_in(t, "UA 1+10 ack=1 urg=5"); /* reordered */
    CU_ASSERT(!was_told(t));
    EXPECT_EQ(tcp_urgent_left(&t->conn), 10);
    seg_in(t, "UA 21+10 ack=1 urg=10");
    CU_ASSERT(was_told(t));
    EXPECT_EQ(tcp_urgent_left(&t->conn), 30);
    EXPECT_EQ(segt_read(t, 100), 30);
    seg_in(t, "UA 31+10 ack=1 urg=0"); /* nothing ahead of the reader */
    CU_ASSERT(!(t->conn.ready & TCP_READY_URGENT));
    segt_free(t);
}

/* The pointer runs ahead of the data, by as much as the field holds and more. (RFC 9293 MUST-31) */
static void it_may_be_long_and_far_ahead(void)
{
    struct segt *t = segt_established();
    seg_in(t, "UA 1 ack=1 urg=65535");
    EXPECT_EQ(tcp_urgent_left(&t->conn), 65535);
    seg_in(t, "UA 1+1000 ack=1 urg=65535");
    EXPECT_EQ(segt_read(t, 400), 400);
    EXPECT_EQ(tcp_urgent_left(&t->conn), 65135);
    seg_in(t, "UA 1001+1000 ack=1 urg=65535"); /* it has moved on by a segment */
    EXPECT_EQ(tcp_urgent_left(&t->conn), 66135);
    segt_free(t);
}

/* RFC 9293 MUST-66 */
static void a_shut_window_takes_urg_and_rst(void)
{
    struct segt *t = segt_established();
    stream_set_limit(&t->conn.rcv, 1000);
    t->conn.rcv_adv = 1000;
    t->conn.flags |= TCF_QUICKACK;
    seg_in(t, "A 1+1000 ack=1");
    seg_expect(t, "A 1 ack=1001 win=0");
    t->conn.ready = 0;
    seg_in(t, "UA 1001+10 ack=1 urg=10");
    CU_ASSERT(was_told(t));
    EXPECT_EQ(tcp_urgent_left(&t->conn), 1010);
    EXPECT_EQ(tcp_readable(&t->conn), 1000);
    seg_expect(t, "A 1 ack=1001 win=0");
    seg_in(t, "R 1001");
    expect_state(t, TCPS_CLOSED);
    EXPECT_EQ(t->conn.err, ECONNRESET);
    segt_free(t);
}

static void nothing_is_urgent_behind_a_fin(void)
{
    struct segt *t = segt_established();
    seg_in(t, "FA 1+10 ack=1");
    seg_in(t, "UA 12 ack=1 urg=50");
    EXPECT_EQ(tcp_urgent_left(&t->conn), 0);
    segt_free(t);
}

static void without_memory_it_is_not_told(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1+10 ack=1");
    mem_set_limit(t->mem, 1);
    seg_in(t, "UA 11+10 ack=1 urg=5");
    CU_ASSERT(!(t->conn.ready & TCP_READY_URGENT));
    EXPECT_EQ(tcp_readable(&t->conn), 20);
    EXPECT_EQ(t->env.stats.nomem_drops, 1);
    mem_set_limit(t->mem, 0);
    segt_free(t);
}

/* ---- out ---- */

/* What is written while the cork is in, and then marked. */
static struct segt *marked(uint32_t n, uint32_t max_len)
{
    struct segt *t = segt_established();
    t->max_len = max_len;
    t->conn.cwnd = 1u << 20;
    uint8_t buf[70000];
    for (uint32_t i = 0; i < n; i++)
        buf[i] = seg_byte(t->written + i);
    EXPECT_EQ(tcp_send(&t->env, &t->conn, buf, n), n);
    tcp_mark_urgent(&t->env, &t->conn);
    t->written = n;
    segt_flush(t);
    return t;
}

/* RFC 9293 MUST-30, MUST-62 */
static void what_is_marked_goes_as_urgent(void)
{
    struct segt *t = marked(300, 0);
    seg_expect(t, "UPA 1+300 urg=300");
    segt_write(t, 1000);
    seg_expect(t, "A 301+1000 urg=0");
    segt_advance(t, 300000);
    seg_expect(t, "UA 1+300 urg=300"); /* lost, and sent again */
    seg_in(t, "A 1 ack=1301");
    seg_silence(t);
    seg_in(t, "A 1+1000 ack=1301");
    seg_in(t, "A 1001+1000 ack=1301");
    seg_expect(t, "A 1301 ack=2001 urg=0");
    segt_free(t);
}

/* Each segment says where it ends, so a device that cuts gets them one by one. (RFC 9293 MUST-31)
 */
static void each_segment_has_its_own_pointer(void)
{
    struct segt *t = marked(3000, 4500);
    seg_expect(t, "UA 1+1000 urg=3000");
    seg_expect(t, "UA 1001+1000 urg=2000");
    seg_expect(t, "UPA 2001+1000 urg=1000");
    seg_in(t, "A 1 ack=3001");
    segt_write(t, 3000);
    seg_expect(t, "PA 3001+3000 urg=0");
    seg_silence(t);
    segt_free(t);
}

static void what_is_too_far_ahead_is_told_as_far_as_it_goes(void)
{
    struct segt *t = marked(66600, 0);
    seg_expect(t, "UA 1+1000 urg=65535");
    seg_expect(t, "UA 1001+1000 urg=65535");
    seg_expect(t, "UA 2001+1000 urg=64600");
    segt_free(t);
}

/* RFC 6093 3.1: the peer hears of it though it takes no data. */
static void a_shut_window_does_not_silence_it(void)
{
    struct segt *t = segt_established();
    seg_in(t, "A 1 ack=1 win=0");
    segt_write(t, 500);
    seg_silence(t);
    tcp_mark_urgent(&t->env, &t->conn);
    segt_flush(t);
    seg_expect(t, "UA 1 urg=500");
    segt_advance(t, 250000);
    seg_expect(t, "UA 0 urg=501"); /* the probe, too */
    segt_free(t);
}

static void without_memory_it_is_not_marked(void)
{
    struct segt *t = segt_established();
    segt_write(t, 100);
    mem_set_limit(t->mem, 1);
    tcp_mark_urgent(&t->env, &t->conn);
    EXPECT_EQ(t->env.stats.nomem_drops, 1);
    segt_flush(t);
    mem_set_limit(t->mem, 0);
    segt_free(t);
}

/* ---- sockets ---- */

static struct duo d;

static int at_mark(mctx_t m, int sock)
{
    int v = -1;
    EXPECT_EQ(mtcp_ioctl(m, sock, SIOCATMARK, &v), 0);
    return v;
}

static unsigned events(mctx_t m, int ep)
{
    struct mtcp_epoll_event ev = {0};
    return mtcp_epoll_wait(m, ep, &ev, 1, 0) == 1 ? (unsigned)ev.events : 0;
}

/* RFC 9293 MUST-30, MUST-32, MUST-33 */
static void a_reader_finds_the_urgent_byte(void)
{
    char buf[16];
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    int ep = mtcp_epoll_create1(d.srv, 0);
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLPRI | MOS_EPOLLET, .data = {.sock = s}};
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep, MOS_EPOLL_CTL_ADD, s, &ev), 0);
    EXPECT_EQ(mtcp_write(d.cli, c, "abc", 3), 3);
    duo_step(&d, 0);
    EXPECT_EQ(events(d.srv, ep), 0);
    EXPECT_EQ(at_mark(d.srv, s), 0);
    EXPECT_EQ(mtcp_send(d.cli, c, "de!", 3, MSG_OOB), 3);
    EXPECT_EQ(mtcp_write(d.cli, c, "fg", 2), 2);
    duo_step(&d, 0);
    EXPECT_EQ(events(d.srv, ep), MOS_EPOLLPRI);
    EXPECT_EQ(events(d.srv, ep), 0); /* told once */
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, 2, MSG_PEEK), 2);
    EXPECT_EQ(mtcp_recv(d.srv, s, buf, sizeof(buf), MSG_PEEK), 5);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 5); /* up to it */
    EXPECT_EQ(at_mark(d.srv, s), 1);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)) > 0, 1);
    EXPECT_EQ(buf[0], '!');
    EXPECT_EQ(at_mark(d.srv, s), 0);
    duo_close(&d);
}

static void the_calls_say_what_they_take(void)
{
    int v = 0, one = 1, zero = 0;
    socklen_t len = sizeof(v);
    duo_open(&d, NULL);
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_getsockopt(d.srv, s, SOL_SOCKET, SO_OOBINLINE, &v, &len), 0);
    EXPECT_EQ(v, 1);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)), 0);
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, SOL_SOCKET, SO_OOBINLINE, &zero, sizeof(zero)), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(mtcp_ioctl(d.srv, l, SIOCATMARK, &v), -1);
    EXPECT_EQ(errno, EINVAL);
    char b;
    EXPECT_EQ(mtcp_recv(d.srv, s, &b, 1, MSG_OOB), -1);
    EXPECT_EQ(errno, EINVAL);
    duo_close(&d);
}

TEST_SUITE(urgent, TEST_CASE(the_pointer_names_the_byte_behind),
           TEST_CASE(it_is_told_when_it_moves_on), TEST_CASE(it_may_be_long_and_far_ahead),
           TEST_CASE(a_shut_window_takes_urg_and_rst), TEST_CASE(nothing_is_urgent_behind_a_fin),
           TEST_CASE(without_memory_it_is_not_told), TEST_CASE(what_is_marked_goes_as_urgent),
           TEST_CASE(each_segment_has_its_own_pointer),
           TEST_CASE(what_is_too_far_ahead_is_told_as_far_as_it_goes),
           TEST_CASE(a_shut_window_does_not_silence_it), TEST_CASE(without_memory_it_is_not_marked),
           TEST_CASE(a_reader_finds_the_urgent_byte), TEST_CASE(the_calls_say_what_they_take));

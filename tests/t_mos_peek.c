/* Reading bytes through an active socket: the rows of the monitor's peek table, both sides. */
#include "tests/mos_world.h"

#define CLI MOS_SIDE_CLI
#define SVR MOS_SIDE_SVR

static char buf[4096];
static int sock;

static void begin(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR);
    w_accept();
    sock = w_active();
    memset(buf, 0, sizeof(buf));
    errno = 0;
}

/* The call fails with -1 and this errno. */
#define FAILS(call, err)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, err);                                                                     \
    } while (0)

static void in(int64_t off, const char *data)
{
    IN(.flags = TCP_ACK, .off = off, .data = data);
}

static void peek_moves_its_offset(void)
{
    begin();
    in(0, "hello");
    EXPECT_EQ(w_peek(sock, SVR, buf, 3), 3);
    EXPECT_EQ(memcmp(buf, "hel", 3), 0);
    EXPECT_EQ(w_peek(sock, SVR, buf, 100), 2);
    EXPECT_EQ(memcmp(buf, "lo", 2), 0);
    FAILS(w_peek(sock, SVR, buf, 100), ENODATA);
    in(5, "!");
    EXPECT_EQ(w_peek(sock, SVR, buf, 100), 1);
    w_end();
}

static void peek_takes_nothing_from_the_application(void)
{
    begin();
    in(0, "hello");
    EXPECT_EQ(w_peek(sock, SVR, buf, 100), 5);
    EXPECT_EQ(w.f.rcv.unread, 5);
    w_end();
}

static void peek_goes_on_after_the_application_has_read(void)
{
    begin();
    in(0, "hello");
    stream_consume(&w.f.rcv, 5);
    EXPECT_EQ(w_peek(sock, SVR, buf, 100), 5);
    w_end();
}

static void hole_stops_peek_but_not_ppeek(void)
{
    begin();
    in(3, "def");
    FAILS(w_peek(sock, SVR, buf, 10), ENODATA);
    FAILS(w_ppeek(sock, SVR, buf, 10, 0), ENODATA);
    EXPECT_EQ(w_ppeek(sock, SVR, buf, 10, 3), 3);
    EXPECT_EQ(w_ppeek(sock, SVR, buf, 10, 4), 2);
    EXPECT_EQ(memcmp(buf, "ef", 2), 0);
    FAILS(w_ppeek(sock, SVR, buf, 10, 6), ENODATA);
    FAILS(w_ppeek(sock, SVR, buf, 10, UINT64_MAX), ENODATA);
    in(8, "ij");
    EXPECT_EQ(w_ppeek(sock, SVR, buf, 10, 3), 3); /* to the end of that run */
    in(0, "abc");
    EXPECT_EQ(w_peek(sock, SVR, buf, 10), 6);
    EXPECT_EQ(memcmp(buf, "abcdef", 6), 0);
    EXPECT_EQ(w_ppeek(sock, SVR, buf, 2, 1), 2); /* moves nothing */
    FAILS(w_peek(sock, SVR, buf, 10), ENODATA);
    w_end();
}

static void missed_bytes_are_counted_to_the_byte(void)
{
    begin();
    in(0, "abcdef");
    EXPECT_EQ(w_peek(sock, SVR, buf, 2), 2);
    stream_consume(&w.f.rcv, 6);
    stream_release(&w.f.rcv, w.mem);
    EXPECT_EQ(stream_head(&w.f.rcv), 6);
    uint64_t missed = 0;
    socklen_t len = sizeof(missed);
    EXPECT_EQ(w_get(sock, MOS_MISSED_SVRBUF, &missed, &len), 0);
    EXPECT_EQ(missed, 4); /* also before a peek finds out */
    errno = 0;
    EXPECT_EQ(w_peek(sock, SVR, buf, 10), -4);
    EXPECT_EQ(errno, ENODATA);
    FAILS(w_peek(sock, SVR, buf, 10), ENODATA);
    FAILS(w_ppeek(sock, SVR, buf, 10, 2), ENODATA);
    EXPECT_EQ(w_get(sock, MOS_MISSED_SVRBUF, &missed, &len), 0);
    EXPECT_EQ(missed, 4);
    in(6, "gh");
    EXPECT_EQ(w_peek(sock, SVR, buf, 10), 2);
    EXPECT_EQ(memcmp(buf, "gh", 2), 0);
    w_end();
}

static void one_missed_byte_differs_from_nothing_new_by_the_total(void)
{
    begin();
    in(0, "a");
    stream_consume(&w.f.rcv, 1);
    stream_release(&w.f.rcv, w.mem);
    FAILS(w_peek(sock, SVR, buf, 10), ENODATA);
    uint64_t missed = 0;
    socklen_t len = sizeof(missed);
    EXPECT_EQ(w_get(sock, MOS_MISSED_SVRBUF, &missed, &len), 0);
    EXPECT_EQ(missed, 1);
    w_end();
}

static void length_zero(void)
{
    begin();
    EXPECT_EQ(w_peek(sock, SVR, buf, 0), 0);
    EXPECT_EQ(w_ppeek(sock, SVR, buf, 0, 77), 0);
    EXPECT_EQ(w_peek(sock, CLI, NULL, 0), 0);
    FAILS(w_peek(sock, MOS_SIDE_BOTH, buf, 0), EINVAL);
    w_end();
}

static void bad_arguments(void)
{
    begin();
    in(0, "abc");
    FAILS(w_peek(sock, SVR, NULL, 1), EFAULT);
    FAILS(w_ppeek(sock, SVR, NULL, 1, 0), EFAULT);
    FAILS(w_peek(sock, MOS_SIDE_BOTH, NULL, 1), EFAULT); /* before the side */
    FAILS(w_peek(sock, MOS_SIDE_BOTH, buf, 1), EINVAL);
    FAILS(w_ppeek(sock, MOS_SIDE_BOTH, buf, 1, 0), EINVAL);
    FAILS(w_peek(sock, -1, buf, 1), EINVAL);
    FAILS(w_ppeek(sock, 3, buf, 1, 0), EINVAL);
    w_end();
}

static void wrong_sockets(void)
{
    begin();
    int passive = mon_watch(w.m, sock, ENOTSOCK)->passive->sock;
    FAILS(w_peek(passive, SVR, buf, 1), ENOTSOCK);
    FAILS(w_ppeek(passive, SVR, buf, 1, 0), ESOCKTNOSUPPORT);
    FAILS(w_peek(3, SVR, buf, 1), ENOTSOCK);
    FAILS(w_ppeek(3, SVR, buf, 1, 0), ESOCKTNOSUPPORT);
    FAILS(w_peek(-1, SVR, buf, 1), EBADF);
    FAILS(w_ppeek(99, SVR, buf, 1, 0), EBADF);
    w_die(HOOK_END_TIMEOUT);
    FAILS(w_peek(sock, SVR, buf, 1), EBADF); /* stale */
    w_end();
}

static void disabled_side(void)
{
    begin();
    in(0, "abc");
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 0), 0);
    FAILS(w_peek(sock, SVR, buf, 1), EINVAL);
    FAILS(w_peek(sock, SVR, buf, 0), EINVAL);
    FAILS(w_ppeek(sock, SVR, buf, 1, 0), EINVAL);
    FAILS(w_peek(sock, CLI, buf, 1), ENODATA); /* the other one is as it was */
    w_end();
}

static void peeking_again_does_not_count_what_passed(void)
{
    begin();
    in(0, "abc");
    EXPECT_EQ(w_peek(sock, SVR, buf, 1), 1);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 0), 0);
    stream_consume(&w.f.rcv, 3);
    stream_release(&w.f.rcv, w.mem);
    uint64_t missed = 99;
    socklen_t len = sizeof(missed);
    EXPECT_EQ(w_get(sock, MOS_MISSED_SVRBUF, &missed, &len), 0);
    EXPECT_EQ(missed, 0);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 100), 0);
    EXPECT_EQ(w_get(sock, MOS_MISSED_SVRBUF, &missed, &len), 0);
    EXPECT_EQ(missed, 0);
    in(3, "def");
    EXPECT_EQ(w_peek(sock, SVR, buf, 10), 3);
    EXPECT_EQ(memcmp(buf, "def", 3), 0);
    w_end();
}

static void each_monitor_has_its_own_offset(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_NEW_DATA);
    w_monitor(MOS_ON_CONN_NEW_DATA);
    w_accept();
    struct mon_conn *c = w.f.handle;
    int a = c->watches->sock, b = c->watches->next->sock;
    in(0, "hello");
    EXPECT_EQ(w_peek(a, SVR, buf, 2), 2);
    EXPECT_EQ(w_peek(b, SVR, buf, 10), 5);
    EXPECT_EQ(w_peek(a, SVR, buf, 10), 3);
    EXPECT_EQ(w_set(a, MOS_SVRBUF, 0), 0);
    EXPECT_EQ(w_ppeek(b, SVR, buf, 10, 0), 5);
    w_end();
}

/* ---- the emulated side ----------------------------------------------------------------------- */

static void what_was_not_sent_is_not_there(void)
{
    begin();
    w_write("hello world");
    FAILS(w_peek(sock, CLI, buf, 20), ENODATA);
    FAILS(w_ppeek(sock, CLI, buf, 20, 0), ENODATA);
    OUT(.flags = TCP_ACK, .data = "hello");
    EXPECT_EQ(w_ppeek(sock, CLI, buf, 20, 0), 5);
    EXPECT_EQ(w_ppeek(sock, CLI, buf, 20, 4), 1);
    FAILS(w_ppeek(sock, CLI, buf, 20, 5), ENODATA);
    EXPECT_EQ(w_peek(sock, CLI, buf, 20), 5);
    EXPECT_EQ(memcmp(buf, "hello", 5), 0);
    OUT(.flags = TCP_ACK, .off = 5, .data = " world");
    EXPECT_EQ(w_peek(sock, CLI, buf, 20), 6);
    EXPECT_EQ(memcmp(buf, " world", 6), 0);
    w_end();
}

static void acknowledged_bytes_stay_until_room_is_needed(void)
{
    begin();
    w_write("hello");
    OUT(.flags = TCP_ACK, .data = "hello");
    IN(.flags = TCP_ACK, .ack = 5);
    EXPECT_EQ(stream_read(&w.f.snd), 5);
    EXPECT_EQ(w_peek(sock, CLI, buf, 20), 5);
    EXPECT_EQ(memcmp(buf, "hello", 5), 0);
    w_end();
}

static void released_bytes_of_the_emulated_side_are_missed(void)
{
    begin();
    w_write("hello");
    OUT(.flags = TCP_ACK, .data = "hello");
    IN(.flags = TCP_ACK, .ack = 5);
    stream_release(&w.f.snd, w.mem);
    w_write("next");
    errno = 0;
    EXPECT_EQ(w_peek(sock, CLI, buf, 20), -5);
    EXPECT_EQ(errno, ENODATA);
    OUT(.flags = TCP_ACK, .off = 5, .data = "next");
    EXPECT_EQ(w_peek(sock, CLI, buf, 20), 4);
    EXPECT_EQ(memcmp(buf, "next", 4), 0);
    w_end();
}

static void a_client_has_its_real_side_the_other_way(void)
{
    w_begin(true);
    w_monitor(MOS_ON_CONN_NEW_DATA);
    w_connect();
    sock = w_active();
    in(0, "to client");
    w_write("to server");
    OUT(.flags = TCP_ACK, .data = "to server");
    EXPECT_EQ(w_peek(sock, CLI, buf, 20), 9);
    EXPECT_EQ(memcmp(buf, "to client", 9), 0);
    EXPECT_EQ(w_peek(sock, SVR, buf, 20), 9);
    EXPECT_EQ(memcmp(buf, "to server", 9), 0);
    w_end();
}

static void no_streams_yet(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_NEW_DATA);
    IN(.flags = TCP_SYN);
    sock = w_active();
    FAILS(w_peek(sock, SVR, buf, 1), ENODATA);
    FAILS(w_peek(sock, CLI, buf, 1), ENODATA);
    FAILS(w_ppeek(sock, SVR, buf, 1, 0), ENODATA);
    w_end();
}

/* ---- in place -------------------------------------------------------------------------------- */

static struct watch *active(void)
{
    return mon_watch(w.m, sock, ENOTSOCK);
}

static void iov_shows_and_consume_moves(void)
{
    struct iovec iov[2];
    begin();
    in(0, "hello");
    EXPECT_EQ(watch_peek_iov(active(), SVR, iov), 5);
    EXPECT_EQ(iov[0].iov_len, 5);
    EXPECT_EQ(iov[1].iov_len, 0);
    EXPECT_EQ(memcmp(iov[0].iov_base, "hello", 5), 0);
    EXPECT_EQ(watch_peek_consume(active(), SVR, 2), 2);
    EXPECT_EQ(watch_peek_iov(active(), SVR, iov), 3);
    EXPECT_EQ(memcmp(iov[0].iov_base, "llo", 3), 0);
    FAILS(watch_peek_consume(active(), SVR, 4), EINVAL);
    FAILS(watch_peek_consume(active(), SVR, SIZE_MAX), EINVAL);
    EXPECT_EQ(watch_peek_consume(active(), SVR, 3), 3);
    FAILS(watch_peek_iov(active(), SVR, iov), ENODATA);
    FAILS(watch_peek_iov(active(), SVR, NULL), EFAULT);
    FAILS(watch_peek_iov(active(), 2, iov), EINVAL);
    FAILS(watch_peek_consume(active(), 2, 0), EINVAL);
    EXPECT_EQ(watch_peek_consume(active(), SVR, 0), 0);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 0), 0);
    FAILS(watch_peek_iov(active(), SVR, iov), EINVAL);
    FAILS(watch_peek_consume(active(), SVR, 0), EINVAL);
    w_end();
}

static void iov_has_two_pieces_where_the_ring_wraps(void)
{
    struct iovec iov[2];
    char chunk[1001];
    begin();
    memset(chunk, 'x', 1000);
    chunk[1000] = 0;
    for (int i = 0; i < 9; i++) { /* a ring of 2048 */
        chunk[0] = (char)('a' + i);
        in(1000 * i, chunk);
        stream_consume(&w.f.rcv, 1000);
        ssize_t n = watch_peek_iov(active(), SVR, iov);
        EXPECT_EQ(n, 1000);
        EXPECT_EQ(iov[0].iov_len + iov[1].iov_len, 1000);
        EXPECT_EQ(*(char *)iov[0].iov_base, 'a' + i);
        EXPECT_EQ(w_peek(sock, SVR, buf, sizeof(buf)), 1000);
        EXPECT_EQ(memcmp(buf, chunk, 1000), 0);
    }
    w_end();
}

static void iov_tells_missed_bytes_too(void)
{
    struct iovec iov[2];
    begin();
    in(0, "abc");
    stream_consume(&w.f.rcv, 3);
    stream_release(&w.f.rcv, w.mem);
    in(3, "de");
    EXPECT_EQ(watch_peek_iov(active(), SVR, iov), -3);
    EXPECT_EQ(watch_peek_iov(active(), SVR, iov), 2);
    w_end();
}

TEST_SUITE(mos_peek, TEST_CASE(peek_moves_its_offset),
           TEST_CASE(peek_takes_nothing_from_the_application),
           TEST_CASE(peek_goes_on_after_the_application_has_read),
           TEST_CASE(hole_stops_peek_but_not_ppeek),
           TEST_CASE(missed_bytes_are_counted_to_the_byte),
           TEST_CASE(one_missed_byte_differs_from_nothing_new_by_the_total), TEST_CASE(length_zero),
           TEST_CASE(bad_arguments), TEST_CASE(wrong_sockets), TEST_CASE(disabled_side),
           TEST_CASE(peeking_again_does_not_count_what_passed),
           TEST_CASE(each_monitor_has_its_own_offset), TEST_CASE(what_was_not_sent_is_not_there),
           TEST_CASE(acknowledged_bytes_stay_until_room_is_needed),
           TEST_CASE(released_bytes_of_the_emulated_side_are_missed),
           TEST_CASE(a_client_has_its_real_side_the_other_way), TEST_CASE(no_streams_yet),
           TEST_CASE(iov_shows_and_consume_moves),
           TEST_CASE(iov_has_two_pieces_where_the_ring_wraps),
           TEST_CASE(iov_tells_missed_bytes_too));

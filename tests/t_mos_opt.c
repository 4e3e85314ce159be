/* Options of monitor sockets: every row of the table, every errno in the order of the checks. */
#include "tests/mos_world.h"

#include <netinet/in.h>

#define CLI MOS_SIDE_CLI
#define SVR MOS_SIDE_SVR

static int sock, passive;

static void begin(void)
{
    w_begin(false);
    passive = w_monitor(MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR | MOS_ON_CONN_END | MOS_ON_PKT_IN);
    w_accept();
    sock = w_active();
    w.text_len = 0;
}

static int get(int s, int level, int name, void *val, socklen_t *len)
{
    struct wsock *x = w_sock(s);
    errno = 0;
    return x->ops->getsockopt(x->arg, s, level, name, val, len) == 0 ? 0 : errno;
}

static int set(int s, int level, int name, const void *val, socklen_t len)
{
    struct wsock *x = w_sock(s);
    errno = 0;
    return x->ops->setsockopt(x->arg, s, level, name, val, len) == 0 ? 0 : errno;
}

static struct tcp_buf_info info_of(int name)
{
    struct tcp_buf_info i;
    socklen_t len = 100;
    memset(&i, 0xee, sizeof(i));
    EXPECT_EQ(get(sock, SOL_MONSOCKET, name, &i, &len), 0);
    EXPECT_EQ(len, sizeof(i));
    return i;
}

static void in(int64_t off, const char *data)
{
    IN(.flags = TCP_ACK, .off = off, .data = data);
}

/* ---- MOS_INFO_* ------------------------------------------------------------------------------ */

/* The peer's ISN is 0xffffff00: its stream passes 2^32 after 255 bytes. */
static void info_of_the_real_side_across_the_wrap(void)
{
    char data[301];
    begin();
    memset(data, 'x', 300);
    data[300] = 0;
    struct tcp_buf_info i = info_of(MOS_INFO_SVRBUF);
    EXPECT_EQ(i.tcpbi_init_seq, 0xffffff01u);
    EXPECT_EQ(i.tcpbi_last_byte_read, 0xffffff01u);
    EXPECT_EQ(i.tcpbi_last_byte_received, 0xffffff01u);
    in(0, data);
    i = info_of(MOS_INFO_SVRBUF);
    EXPECT_EQ(i.tcpbi_init_seq, 0xffffff01u);
    EXPECT_EQ(i.tcpbi_last_byte_read, 0xffffff01u);
    EXPECT_EQ(i.tcpbi_next_byte_expected, 45);
    EXPECT_EQ(i.tcpbi_last_byte_received, 45);
    stream_consume(&w.f.rcv, 100);
    in(310, "ooo");
    i = info_of(MOS_INFO_SVRBUF);
    EXPECT_EQ(i.tcpbi_last_byte_read, 0xffffff65u);
    EXPECT_EQ(i.tcpbi_next_byte_expected - i.tcpbi_last_byte_read, w.f.rcv.unread);
    EXPECT_EQ(i.tcpbi_last_byte_received, 45 + 13);
    w_end();
}

static void info_of_the_emulated_side_across_the_wrap(void)
{
    begin();
    w_write("0123456789abcdefghij");
    OUT(.flags = TCP_ACK, .data = "0123456789abcdefgh");
    struct tcp_buf_info i = info_of(MOS_INFO_CLIBUF);
    EXPECT_EQ(i.tcpbi_init_seq, 0xfffffff1u);
    EXPECT_EQ(i.tcpbi_last_byte_read, 3); /* 0xfffffff1 + 18 */
    EXPECT_EQ(i.tcpbi_next_byte_expected, 3);
    EXPECT_EQ(i.tcpbi_last_byte_received, 3);
    w_end();
}

static void fin_is_not_counted(void)
{
    begin();
    IN(.flags = TCP_FIN | TCP_ACK, .data = "abc", .to = {MOS_TCPS_CLOSE_WAIT});
    EXPECT_EQ(info_of(MOS_INFO_SVRBUF).tcpbi_next_byte_expected, 0xffffff04u);
    w_state(MOS_TCPS_LAST_ACK);
    OUT(.flags = TCP_FIN | TCP_ACK, .ack = 4);
    EXPECT_EQ(info_of(MOS_INFO_CLIBUF).tcpbi_next_byte_expected, 0xfffffff1u);
    w_end();
}

static void info_before_the_isn(void)
{
    struct tcp_buf_info i;
    socklen_t len = sizeof(i);
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    IN(.flags = TCP_SYN);
    sock = w_active();
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_INFO_CLIBUF, &i, &len), ENODATA);
    EXPECT_EQ(info_of(MOS_INFO_SVRBUF).tcpbi_init_seq, 0xffffff01u);
    OUT(.flags = TCP_SYN | TCP_ACK);
    EXPECT_EQ(info_of(MOS_INFO_CLIBUF).tcpbi_init_seq, 0xfffffff1u);
    w_end();
}

static void edges_outlive_the_streams(void)
{
    begin();
    in(0, "abc");
    in(5, "f");
    w_turn();
    w.f.has_streams = false;
    struct tcp_buf_info i = info_of(MOS_INFO_SVRBUF);
    EXPECT_EQ(i.tcpbi_last_byte_read - i.tcpbi_init_seq, 0);
    EXPECT_EQ(i.tcpbi_next_byte_expected - i.tcpbi_init_seq, 3);
    EXPECT_EQ(i.tcpbi_last_byte_received - i.tcpbi_init_seq, 6);
    w_end();
}

/* ---- MOS_FRAGINFO_* -------------------------------------------------------------------------- */

static void fragments_of_the_real_side(void)
{
    struct tcp_ring_fragment f[8];
    char buf[16];
    socklen_t len = 8;
    begin();
    in(0, "abc");
    in(5, "fg");
    in(10, "k");
    memset(f, 0xee, sizeof(f));
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, f, &len), 0);
    EXPECT_EQ(len, 3);
    EXPECT_EQ(f[0].offset, 0);
    EXPECT_EQ(f[0].len, 3);
    EXPECT_EQ(f[1].offset, 5);
    EXPECT_EQ(f[1].len, 2);
    EXPECT_EQ(f[2].offset, 10);
    EXPECT_EQ(f[2].len, 1);
    struct tcp_ring_fragment clean = {.offset = 5, .len = 2};
    char zero[sizeof(clean)] = {0};
    memcpy(zero, &clean.offset, 8);
    memcpy(zero + 8, &clean.len, 4);
    EXPECT_EQ(memcmp(&f[1], zero, sizeof(zero)), 0); /* no padding leaks */
    EXPECT_EQ(f[3].len, 0xeeeeeeeeu);                /* no sentinel */
    for (unsigned i = 0; i < len; i++)
        EXPECT_EQ(w_ppeek(sock, SVR, buf, sizeof(buf), f[i].offset), f[i].len);
    w_end();
}

static void fragments_beyond_the_capacity(void)
{
    struct tcp_ring_fragment f[4];
    socklen_t len = 2;
    begin();
    in(0, "abc");
    in(5, "fg");
    in(10, "k");
    memset(f, 0xee, sizeof(f));
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, f, &len), 0);
    EXPECT_EQ(len, 2);
    EXPECT_EQ(f[1].offset, 5);
    EXPECT_EQ(f[2].offset, 0xeeeeeeeeeeeeeeeeull);
    len = 77;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, NULL, &len), 0);
    EXPECT_EQ(len, 3);
    len = 0;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, NULL, &len), 0);
    EXPECT_EQ(len, 3);
    w_end();
}

static void fragments_that_are_refused(void)
{
    struct tcp_ring_fragment f[2];
    socklen_t len = 0;
    begin();
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, f, &len), EINVAL);
    EXPECT_EQ(len, 0);
    len = (socklen_t)-1;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, f, &len), EINVAL);
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, f, NULL), EFAULT);
    int v = 1;
    EXPECT_EQ(set(sock, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, &v, sizeof(v)), EPERM);
    EXPECT_EQ(set(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, NULL, 0), EPERM);
    w_end();
}

static void no_fragments(void)
{
    struct tcp_ring_fragment f[2];
    socklen_t len = 2;
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    IN(.flags = TCP_SYN);
    sock = w_active();
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, f, &len), 0);
    EXPECT_EQ(len, 0);
    len = 2;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, f, &len), 0);
    EXPECT_EQ(len, 0);
    w_end();
    begin();
    in(0, "abc");
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 0), 0);
    len = 2;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, f, &len), 0);
    EXPECT_EQ(len, 0);
    w_end();
}

static void fragments_of_the_emulated_side(void)
{
    struct tcp_ring_fragment f[2];
    socklen_t len = 2;
    begin();
    w_write("hello world");
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, f, &len), 0);
    EXPECT_EQ(len, 0);
    OUT(.flags = TCP_ACK, .data = "hello");
    len = 2;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, f, &len), 0);
    EXPECT_EQ(len, 1);
    EXPECT_EQ(f[0].offset, 0);
    EXPECT_EQ(f[0].len, 5);
    len = 0;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, NULL, &len), 0);
    EXPECT_EQ(len, 1);
    OUT(.flags = TCP_ACK, .off = 5, .data = " world");
    len = 2;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, f, &len), 0);
    EXPECT_EQ(f[0].len, 11);
    w_end();
}

/* ---- single values --------------------------------------------------------------------------- */

static void states(void)
{
    begin();
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_CLI), MOS_TCPS_ESTABLISHED);
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_SVR), MOS_TCPS_ESTABLISHED);
    IN(.flags = TCP_FIN | TCP_ACK, .to = {MOS_TCPS_CLOSE_WAIT});
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_CLI), MOS_TCPS_FIN_WAIT_1);
    EXPECT_EQ(w_get_int(sock, MOS_TCP_STATE_SVR), MOS_TCPS_CLOSE_WAIT);
    w_end();
}

static void timestamp(void)
{
    uint64_t at = 0;
    socklen_t len = sizeof(at);
    begin();
    w.now = 77000;
    in(0, "x");
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_TIMESTAMP, &at, &len), 0);
    EXPECT_EQ(at, 77000);
    EXPECT_EQ(len, sizeof(at));
    len = 4;
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_TIMESTAMP, &at, &len), EINVAL);
    w_end();
}

static void history(void)
{
    begin();
    EXPECT_EQ(w_get_int(sock, MOS_SVRBUF), 0); /* nothing asked for */
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 5000), 0);
    EXPECT_EQ(w_get_int(sock, MOS_SVRBUF), 5000);
    EXPECT_EQ(w.f.hist_rcv, 5000);
    EXPECT_EQ(w.f.hist_snd, 0);
    EXPECT_EQ(w_set(sock, MOS_CLIBUF, 6000), 0);
    EXPECT_EQ(w.f.hist_snd, 6000);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, 0), 0);
    EXPECT_EQ(w_get_int(sock, MOS_SVRBUF), 0);
    EXPECT_EQ(w.f.hist_rcv, 0);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, -1), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, INT32_MAX), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(w_set(sock, MOS_SVRBUF, (int)STREAM_LIMIT_MAX), 0);
    w_end();
}

static void history_is_the_largest_among_monitors(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w_monitor(MOS_ON_PKT_IN);
    w_accept();
    struct mon_conn *c = w.f.handle;
    int a = c->watches->sock, b = c->watches->next->sock;
    EXPECT_EQ(w_set(a, MOS_SVRBUF, 100), 0);
    EXPECT_EQ(w_set(b, MOS_SVRBUF, 50), 0);
    EXPECT_EQ(w.f.hist_rcv, 100);
    EXPECT_EQ(w_set(a, MOS_SVRBUF, 0), 0);
    EXPECT_EQ(w.f.hist_rcv, 50);
    EXPECT_EQ(w_set(a, MOS_SVRBUF, 70), 0);
    EXPECT_EQ(w_close(a), 0);
    EXPECT_EQ(w.f.hist_rcv, 50);
    w_end();
}

static void policies_of_a_passive_socket_hold_for_its_connections(void)
{
    w_begin(false);
    passive = w_monitor(MOS_ON_PKT_IN);
    EXPECT_EQ(w_get_int(passive, MOS_SVRBUF), 0);
    EXPECT_EQ(w_get_int(passive, MOS_SVROVERLAP), MOS_OVERLAP_POLICY_FIRST);
    EXPECT_EQ(w_set(passive, MOS_SVRBUF, 3000), 0);
    EXPECT_EQ(w_set(passive, MOS_CLIBUF, 0), 0);
    EXPECT_EQ(w_set(passive, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
    EXPECT_EQ(w_set(passive, MOS_SVROVERLAP, 2), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(w_set(passive, MOS_SVRBUF, -2), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(w_get_int(passive, MOS_SVRBUF), 3000);
    EXPECT_EQ(w_get_int(passive, MOS_SVROVERLAP), MOS_OVERLAP_POLICY_LAST);
    w_accept();
    sock = w_active();
    EXPECT_EQ(w_get_int(sock, MOS_SVRBUF), 3000);
    EXPECT_EQ(w_get_int(sock, MOS_SVROVERLAP), MOS_OVERLAP_POLICY_LAST);
    EXPECT_EQ(w.f.hist_rcv, 3000); /* asked again when the record changed */
    EXPECT_EQ(w.f.policy, STREAM_LAST);
    char b[1];
    errno = 0;
    EXPECT_EQ(w_peek(sock, CLI, b, 1), -1);
    EXPECT_EQ(errno, EINVAL);
    w_end();
}

static void overlap_policy_belongs_to_the_connection(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w_monitor(MOS_ON_PKT_IN);
    w_accept();
    struct mon_conn *c = w.f.handle;
    int a = c->watches->sock, b = c->watches->next->sock;
    EXPECT_EQ(w_get_int(a, MOS_SVROVERLAP), MOS_OVERLAP_POLICY_FIRST);
    EXPECT_EQ(w_set(b, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
    EXPECT_EQ(w_get_int(a, MOS_SVROVERLAP), MOS_OVERLAP_POLICY_LAST);
    EXPECT_EQ(w.f.policy, STREAM_LAST);
    EXPECT_EQ(w_set(a, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_FIRST), 0);
    EXPECT_EQ(w.f.policy, STREAM_FIRST);
    EXPECT_EQ(w_set(a, MOS_SVROVERLAP, 2), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(w_set(a, MOS_SVROVERLAP, -1), -1);
    EXPECT_EQ(w_set(a, MOS_CLIOVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
    EXPECT_EQ(w_get_int(b, MOS_CLIOVERLAP), MOS_OVERLAP_POLICY_LAST);
    EXPECT_EQ(w.f.policy, STREAM_FIRST);
    w_end();
}

static void who_is_real(void)
{
    begin();
    EXPECT_EQ(w_get_int(sock, MOS_REAL_SIDE), SVR);
    EXPECT_EQ(w_get_int(sock, MOS_ENDPOINT_SOCK), -1);
    w.f.view.sock = 7;
    EXPECT_EQ(w_get_int(sock, MOS_ENDPOINT_SOCK), 7);
    w_end();
    w_begin(true);
    w_monitor(MOS_ON_PKT_IN);
    w_connect();
    EXPECT_EQ(w_get_int(w_active(), MOS_REAL_SIDE), CLI);
    w_end();
}

/* Also when nothing has moved for longer than 32 bits can count. */
static void what_time_it_is(void)
{
    uint64_t now = 0, active = 0;
    socklen_t len = sizeof(now);
    begin();
    w.now = UINT64_C(3) << 32 | 5;
    IN(.flags = TCP_ACK, .ack = 0);
    w.now += UINT64_C(2) << 32;
    EXPECT_EQ(w_get(sock, MOS_TIMESTAMP, &active, &len), 0);
    EXPECT_EQ(w_get(sock, MOS_NOW, &now, &len), 0);
    EXPECT_EQ(now, w.now);
    EXPECT_EQ(now - active, (UINT64_C(2) << 32) + 10);
    w_end();
}

static void no_error_here(int s, int side, event_t ev)
{
    int v;
    socklen_t len = sizeof(v);
    (void)side, (void)ev;
    EXPECT_EQ(get(s, SOL_MONSOCKET, MOS_LASTERROR, &v, &len), ENODATA);
    EXPECT_EQ(get(s, SOL_MONSOCKET, MOS_END_REASON, &v, &len), ENODATA);
}

static void values_of_one_moment(void)
{
    int v = 5;
    socklen_t len = sizeof(v);
    begin();
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_LASTERROR, &v, &len), ENODATA);
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_END_REASON, &v, &len), ENODATA);
    EXPECT_EQ(v, 5);
    EXPECT_EQ(len, sizeof(v));
    w.in_callback = no_error_here;
    in(0, "x");
    w_turn();
    w.in_callback = NULL;
    w_end();
}

/* ---- MOS_STOP_MON ---------------------------------------------------------------------------- */

static void stop_one_side(void)
{
    begin();
    EXPECT_EQ(w_set(sock, MOS_STOP_MON, CLI), 0);
    in(0, "x");
    w_turn();
    EXPECT_EVENTS("RS PKT_IN; NS DATA;");
    w_die(HOOK_END_FIN);
    EXPECT_EVENTS("RS END 1; SS END 1;");
    w_end();
}

static void stop_both(void)
{
    begin();
    EXPECT_EQ(w_set(sock, MOS_STOP_MON, 3), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(w_set(sock, MOS_STOP_MON, MOS_SIDE_BOTH), 0);
    CU_ASSERT_PTR_NULL(w_sock(sock));
    EXPECT_EQ(w.f.n_detached, 0);
    in(0, "x");
    EXPECT_EVENTS("");
    w_turn();
    EXPECT_EQ(w.f.n_detached, 1);
    CU_ASSERT_PTR_NULL(w.f.handle);
    w_end();
}

static void stop_in_callback(int s, int side, event_t ev)
{
    (void)side, (void)ev;
    EXPECT_EQ(w_set(s, MOS_STOP_MON, MOS_SIDE_BOTH), 0);
    EXPECT_EQ(w_get_int(s, MOS_TCP_STATE_CLI), MOS_TCPS_ESTABLISHED); /* it answers still */
    mon_watch(w.m, s, ENOTSOCK)->uctx = NULL;
}

static void stop_both_in_a_callback(void)
{
    begin();
    w.in_callback = stop_in_callback;
    in(0, "x");
    w.in_callback = NULL;
    EXPECT_EVENTS("SC PKT_IN;");
    CU_ASSERT_PTR_NULL(w_sock(sock));
    w_turn();
    EXPECT_EVENTS("");
    EXPECT_EQ(w.f.n_detached, 1);
    w_end();
}

static void close_of_an_active_socket_is_stop(void)
{
    begin();
    EXPECT_EQ(w_close(sock), 0);
    CU_ASSERT_PTR_NULL(w_sock(sock));
    w_die(HOOK_END_FIN); /* before the turn that lets go */
    EXPECT_EVENTS("");
    w_end();
}

/* ---- errors in order ------------------------------------------------------------------------- */

static void levels(void)
{
    int v;
    socklen_t len = sizeof(v);
    begin();
    const int foreign[] = {SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6};
    const int socks[] = {sock, passive};
    for (unsigned s = 0; s < 2; s++) {
        for (unsigned i = 0; i < 4; i++) {
            EXPECT_EQ(get(socks[s], foreign[i], SO_ERROR, &v, &len), ENOTSOCK);
            EXPECT_EQ(set(socks[s], foreign[i], SO_ERROR, &v, len), ENOTSOCK);
        }
        EXPECT_EQ(get(socks[s], 4711, MOS_TCP_STATE_CLI, &v, &len), ENOSYS);
        EXPECT_EQ(set(socks[s], 4711, MOS_STOP_MON, &v, len), ENOSYS);
        EXPECT_EQ(get(socks[s], 4711, MOS_TCP_STATE_CLI, NULL, NULL), ENOSYS);
    }
    w_end();
}

static void names_and_directions(void)
{
    int v = 0;
    socklen_t len = sizeof(v);
    begin();
    const int unknown[] = {0, 8, 0xb, 0xd, 0xe, 0x1a, -1};
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        EXPECT_EQ(get(sock, SOL_MONSOCKET, unknown[i], NULL, NULL), ENOSYS);
        EXPECT_EQ(set(sock, SOL_MONSOCKET, unknown[i], NULL, 0), ENOSYS);
    }
    EXPECT_EQ(get(sock, SOL_MONSOCKET, MOS_STOP_MON, NULL, NULL), EPERM);
    const int get_only[] = {MOS_FRAGINFO_CLIBUF, MOS_FRAGINFO_SVRBUF,
                            MOS_INFO_CLIBUF,     MOS_INFO_SVRBUF,
                            MOS_TCP_STATE_CLI,   MOS_TCP_STATE_SVR,
                            MOS_TIMESTAMP,       MOS_MISSED_CLIBUF,
                            MOS_MISSED_SVRBUF,   MOS_LASTERROR,
                            MOS_END_REASON,      MOS_ENDPOINT_SOCK,
                            MOS_REAL_SIDE,       MOS_NOW};
    for (unsigned i = 0; i < sizeof(get_only) / sizeof(get_only[0]); i++) {
        EXPECT_EQ(set(sock, SOL_MONSOCKET, get_only[i], NULL, 0), EPERM);
        EXPECT_EQ(set(sock, SOL_MONSOCKET, get_only[i], &v, len), EPERM);
    }
    w_end();
}

static void sockets_of_the_wrong_kind(void)
{
    int v = 0;
    socklen_t len = sizeof(v);
    begin();
    const int names[] = {MOS_FRAGINFO_CLIBUF, MOS_INFO_CLIBUF,   MOS_TCP_STATE_CLI, MOS_TIMESTAMP,
                         MOS_STOP_MON,        MOS_MISSED_SVRBUF, MOS_LASTERROR,     MOS_END_REASON,
                         MOS_ENDPOINT_SOCK,   MOS_REAL_SIDE,     MOS_NOW,           4711};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        EXPECT_EQ(get(passive, SOL_MONSOCKET, names[i], &v, &len), ENOTSOCK);
        EXPECT_EQ(set(passive, SOL_MONSOCKET, names[i], &v, len), ENOTSOCK);
    }
    w_end();
}

static void pointers_and_lengths(void)
{
    char v[32];
    begin();
    const struct {
        int name;
        socklen_t size;
    } rows[] = {{MOS_INFO_CLIBUF, 16},  {MOS_INFO_SVRBUF, 16},
                {MOS_TCP_STATE_CLI, 4}, {MOS_TCP_STATE_SVR, 4},
                {MOS_TIMESTAMP, 8},     {MOS_CLIBUF, 4},
                {MOS_SVRBUF, 4},        {MOS_CLIOVERLAP, 4},
                {MOS_SVROVERLAP, 4},    {MOS_MISSED_CLIBUF, 8},
                {MOS_MISSED_SVRBUF, 8}, {MOS_ENDPOINT_SOCK, 4},
                {MOS_REAL_SIDE, 4},     {MOS_NOW, 8}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        socklen_t len = rows[i].size;
        EXPECT_EQ(get(sock, SOL_MONSOCKET, rows[i].name, NULL, &len), EFAULT);
        EXPECT_EQ(get(sock, SOL_MONSOCKET, rows[i].name, v, NULL), EFAULT);
        len = rows[i].size - 1;
        memset(v, 0x55, sizeof(v));
        EXPECT_EQ(get(sock, SOL_MONSOCKET, rows[i].name, v, &len), EINVAL);
        EXPECT_EQ(len, rows[i].size - 1);
        EXPECT_EQ(v[0], 0x55);
        len = (socklen_t)-4;
        EXPECT_EQ(get(sock, SOL_MONSOCKET, rows[i].name, v, &len), EINVAL);
        len = sizeof(v);
        EXPECT_EQ(get(sock, SOL_MONSOCKET, rows[i].name, v, &len), 0);
        EXPECT_EQ(len, rows[i].size);
        EXPECT_EQ(v[rows[i].size], 0x55);
    }
    EXPECT_EQ(set(sock, SOL_MONSOCKET, MOS_CLIBUF, NULL, 4), EFAULT);
    EXPECT_EQ(set(sock, SOL_MONSOCKET, MOS_CLIBUF, v, 3), EINVAL);
    EXPECT_EQ(set(passive, SOL_MONSOCKET, MOS_CLIBUF, NULL, 4), EFAULT);
    EXPECT_EQ(set(passive, SOL_MONSOCKET, MOS_CLIBUF, v, 3), EINVAL);
    int val = 10;
    memcpy(v, &val, sizeof(val));
    EXPECT_EQ(set(sock, SOL_MONSOCKET, MOS_CLIBUF, v, sizeof(v)), 0); /* more is accepted */
    socklen_t len = 3;
    EXPECT_EQ(get(passive, SOL_MONSOCKET, MOS_CLIBUF, v, &len), EINVAL);
    EXPECT_EQ(get(passive, SOL_MONSOCKET, MOS_CLIBUF, NULL, &len), EFAULT);
    w_end();
}

static void errno_is_untouched_on_success(void)
{
    int v;
    socklen_t len = sizeof(v);
    begin();
    struct wsock *x = w_sock(sock);
    errno = 4242;
    EXPECT_EQ(x->ops->getsockopt(x->arg, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &v, &len), 0);
    EXPECT_EQ(errno, 4242);
    w_end();
}

/* ---- addresses ------------------------------------------------------------------------------- */

static int peername(int s, void *addr, socklen_t *len, int side)
{
    struct wsock *x = w_sock(s);
    errno = 0;
    return x->ops->getpeername(x->arg, s, addr, len, side) == 0 ? 0 : errno;
}

static void names_of_both_ends(void)
{
    struct sockaddr_in a[2];
    socklen_t len = sizeof(a);
    begin();
    EXPECT_EQ(peername(sock, a, &len, MOS_SIDE_BOTH), 0);
    EXPECT_EQ(len, sizeof(a));
    EXPECT_EQ(a[0].sin_family, AF_INET);
    EXPECT_EQ(ntohl(a[0].sin_addr.s_addr), 0x0a000002);
    EXPECT_EQ(ntohs(a[0].sin_port), 40000);
    EXPECT_EQ(ntohl(a[1].sin_addr.s_addr), 0x0a000001);
    EXPECT_EQ(ntohs(a[1].sin_port), 80);
    len = sizeof(a);
    EXPECT_EQ(peername(sock, a, &len, SVR), 0);
    EXPECT_EQ(len, sizeof(a[0]));
    EXPECT_EQ(ntohs(a[0].sin_port), 80);
    EXPECT_EQ(peername(sock, a, &len, CLI), 0);
    EXPECT_EQ(ntohs(a[0].sin_port), 40000);
    EXPECT_EQ(peername(sock, a, &len, MOS_SIDE_BOTH), EINVAL); /* room for one */
    EXPECT_EQ(len, sizeof(a[0]));
    EXPECT_EQ(peername(sock, NULL, &len, CLI), EFAULT);
    EXPECT_EQ(peername(sock, a, NULL, CLI), EFAULT);
    EXPECT_EQ(peername(sock, a, &len, 3), EINVAL);
    len = sizeof(a[0]) - 1;
    EXPECT_EQ(peername(sock, a, &len, CLI), EINVAL);
    EXPECT_EQ(peername(passive, a, &len, CLI), ENOTSOCK);
    w_end();
}

static void names_of_a_client_and_of_ipv6(void)
{
    struct sockaddr_in6 a[2];
    socklen_t len = sizeof(a);
    w_begin(true);
    EXPECT_EQ(ip_addr_parse("2001:db8::1", &w.f.view.tuple.local), 0);
    EXPECT_EQ(ip_addr_parse("2001:db8::2", &w.f.view.tuple.remote), 0);
    w_monitor(MOS_ON_PKT_IN);
    w_connect();
    EXPECT_EQ(peername(w_active(), a, &len, MOS_SIDE_BOTH), 0);
    EXPECT_EQ(len, sizeof(a));
    EXPECT_EQ(a[0].sin6_family, AF_INET6);
    EXPECT_EQ(a[0].sin6_addr.s6_addr[15], 1);
    EXPECT_EQ(ntohs(a[0].sin6_port), 40000);
    EXPECT_EQ(a[1].sin6_addr.s6_addr[15], 2);
    EXPECT_EQ(ntohs(a[1].sin6_port), 80);
    w_end();
}

TEST_SUITE(mos_opt, TEST_CASE(info_of_the_real_side_across_the_wrap),
           TEST_CASE(info_of_the_emulated_side_across_the_wrap), TEST_CASE(fin_is_not_counted),
           TEST_CASE(info_before_the_isn), TEST_CASE(edges_outlive_the_streams),
           TEST_CASE(fragments_of_the_real_side), TEST_CASE(fragments_beyond_the_capacity),
           TEST_CASE(fragments_that_are_refused), TEST_CASE(no_fragments),
           TEST_CASE(fragments_of_the_emulated_side), TEST_CASE(states), TEST_CASE(timestamp),
           TEST_CASE(history), TEST_CASE(history_is_the_largest_among_monitors),
           TEST_CASE(policies_of_a_passive_socket_hold_for_its_connections),
           TEST_CASE(overlap_policy_belongs_to_the_connection), TEST_CASE(who_is_real),
           TEST_CASE(what_time_it_is), TEST_CASE(values_of_one_moment), TEST_CASE(stop_one_side),
           TEST_CASE(stop_both), TEST_CASE(stop_both_in_a_callback),
           TEST_CASE(close_of_an_active_socket_is_stop), TEST_CASE(levels),
           TEST_CASE(names_and_directions), TEST_CASE(sockets_of_the_wrong_kind),
           TEST_CASE(pointers_and_lengths), TEST_CASE(errno_is_untouched_on_success),
           TEST_CASE(names_of_both_ends), TEST_CASE(names_of_a_client_and_of_ipv6));

/* The monitor inside real endpoints: public calls, two contexts over a link in memory. */
#include "tests/duo.h"
#include "tests/test.h"

#include <mos_api.h>
#include <mtcp_api.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static struct duo d;
static char text[2][4096]; /* what the monitors of server and client saw */
static size_t text_len[2];
static void (*in_callback)(mctx_t m, int sock, int side, event_t ev);

static int get_int(mctx_t m, int sock, int name)
{
    int v = -12345;
    socklen_t len = sizeof(v);
    return mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, &v, &len) == 0 ? v : -12345;
}

/* ---- the recorder ---------------------------------------------------------------------------- */

static void say(mctx_t m, const char *what)
{
    unsigned i = m == d.cli;
    int n = snprintf(text[i] + text_len[i], sizeof(text[i]) - text_len[i], "%s", what);
    text_len[i] += (size_t)n;
}

static void record(mctx_t m, char hook, int sock, int side, event_t ev)
{
    static const char *const events[] = {"PKT", "",      "START",  "",       "DATA", "ERROR",
                                         "",    "STATE", "ORPHAN", "REXMIT", "END"};
    static const char *const states[] = {"CLOSED",      "LISTEN",     "SYN_SENT",   "SYN_RCVD",
                                         "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT",
                                         "CLOSING",     "LAST_ACK",   "TIME_WAIT"};
    char line[64];
    const char *more = "";
    int state = get_int(m, sock, side == MOS_SIDE_SVR ? MOS_TCP_STATE_SVR : MOS_TCP_STATE_CLI);
    if (ev == MOS_ON_TCP_STATE_CHANGE && state >= 0 && state <= 10)
        more = states[state];
    snprintf(line, sizeof(line), "%c%c %s%s%s; ", hook, "CSB"[side], events[__builtin_ctzll(ev)],
             *more ? " " : "", more);
    say(m, line);
    if (in_callback)
        in_callback(m, sock, side, ev);
}

static void cb_snd(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)arg;
    record(m, 'S', sock, side, ev);
}

static void cb_rcv(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)arg;
    record(m, 'R', sock, side, ev);
}

static void cb_null(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)arg;
    record(m, 'N', sock, side, ev);
}

static int monitor(mctx_t m, uint64_t events)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT_FATAL(sock >= 0);
    for (unsigned bit = 0; bit < 11; bit++) {
        event_t ev = 1ull << bit;
        if (!(events & ev))
            continue;
        (void)mtcp_register_callback(m, sock, ev, MOS_HK_SND, cb_snd);
        (void)mtcp_register_callback(m, sock, ev, MOS_HK_RCV, cb_rcv);
        (void)mtcp_register_callback(m, sock, ev, MOS_NULL, cb_null);
    }
    return sock;
}

#define SERVER_SAW(want) expect_saw(0, want, __LINE__)
#define CLIENT_SAW(want) expect_saw(1, want, __LINE__)
static void expect_saw(unsigned i, const char *want, int line)
{
    if (strcmp(text[i], want) != 0)
        fprintf(stderr, "\n%s:%d: saw\n  %s\nexpected\n  %s\n", __FILE__, line, text[i], want);
    CU_assertImplementation(strcmp(text[i], want) == 0, (unsigned)line, "events", __FILE__, "",
                            CU_FALSE);
    text_len[i] = 0;
    text[i][0] = 0;
}

static void forget(void)
{
    text_len[0] = text_len[1] = 0;
    text[0][0] = text[1][0] = 0;
}

static void begin(void)
{
    duo_open(&d, NULL);
    in_callback = NULL;
    forget();
}

static int active; /* the last active socket of the server */

static void note_active(mctx_t m, int sock, int side, event_t ev)
{
    (void)side, (void)ev;
    if (m == d.srv)
        active = sock;
}

/* ---- traces ---------------------------------------------------------------------------------- */

#define TRACE                                                                                      \
    (MOS_ON_CONN_START | MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_NEW_DATA | MOS_ON_REXMIT |          \
     MOS_ON_CONN_END)

/* Both ends see the same connection; only what the application of the other end does is later. */
static void a_connection_from_both_ends(void)
{
    int c, s, l;
    char buf[16];
    begin();
    l = duo_listen(&d, 80);
    monitor(d.srv, TRACE);
    monitor(d.cli, TRACE);
    s = duo_pair(&d, l, &c);
    static const char handshake[] = "SC START; SC STATE SYN_SENT; RS START; RS STATE SYN_RCVD; "
                                    "RC STATE ESTABLISHED; RS STATE ESTABLISHED; ";
    SERVER_SAW(handshake);
    CLIENT_SAW(handshake);
    EXPECT_EQ(mtcp_write(d.cli, c, "hello", 5), 5);
    duo_run(&d, 100000);
    SERVER_SAW("NS DATA; ");
    CLIENT_SAW("NS DATA; ");
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 5);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_run(&d, 100000);
    SERVER_SAW("SC STATE FIN_WAIT_1; RS STATE CLOSE_WAIT; RC STATE FIN_WAIT_2; ");
    CLIENT_SAW("SC STATE FIN_WAIT_1; RS STATE CLOSE_WAIT; RC STATE FIN_WAIT_2; ");
    EXPECT_EQ(mtcp_write(d.srv, s, "bye", 3), 3);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_run(&d, 100000);
    forget();
    duo_run(&d, 200000000);
    duo_close(&d);
}

static void a_close_with_time_wait(void)
{
    int c, s, l;
    begin();
    l = duo_listen(&d, 80);
    monitor(d.srv, TRACE);
    monitor(d.cli, TRACE);
    s = duo_pair(&d, l, &c);
    forget();
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_run(&d, 100000);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_run(&d, 100000);
    SERVER_SAW("SS STATE FIN_WAIT_1; RC STATE CLOSE_WAIT; RS STATE FIN_WAIT_2; "
               "SC STATE LAST_ACK; RS STATE TIME_WAIT; RC STATE CLOSED; ");
    CLIENT_SAW("SS STATE FIN_WAIT_1; RC STATE CLOSE_WAIT; RS STATE FIN_WAIT_2; "
               "SC STATE LAST_ACK; RS STATE TIME_WAIT; RC STATE CLOSED; "
               "RC END; SC END; RS END; SS END; ");
    duo_run(&d, 200000000);
    SERVER_SAW("RC END; SC END; RS END; SS END; ");
    duo_close(&d);
}

static void an_abort(void)
{
    int c, s, l;
    begin();
    l = duo_listen(&d, 80);
    monitor(d.srv, TRACE);
    monitor(d.cli, TRACE);
    s = duo_pair(&d, l, &c);
    forget();
    EXPECT_EQ(mtcp_abort(d.cli, c), 0);
    duo_run(&d, 100000);
    SERVER_SAW("SC STATE CLOSED; RS STATE CLOSED; RC END; SC END; RS END; SS END; ");
    CLIENT_SAW("RS STATE CLOSED; RC END; SC END; RS END; SS END; ");
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_close(&d);
}

static void a_refused_connection(void)
{
    begin();
    union monitor_filter ft = {.stream_orphan_filter = "tcp"}; /* not the ARP before it */
    int passive = monitor(d.srv, TRACE | MOS_ON_ORPHAN);
    EXPECT_EQ(mtcp_bind_monitor_filter(d.srv, passive, &ft), 0);
    monitor(d.cli, TRACE);
    duo_connect(&d, 81);
    duo_run(&d, 100000);
    SERVER_SAW("NB ORPHAN; ");
    CLIENT_SAW("SC START; SC STATE SYN_SENT; RS START; RS STATE SYN_RCVD; "
               "SS STATE CLOSED; RC STATE CLOSED; RC END; SC END; RS END; SS END; ");
    duo_close(&d);
}

static void retransmissions_and_a_timeout(void)
{
    int c, s, l;
    begin();
    l = duo_listen(&d, 80);
    monitor(d.cli, TRACE);
    s = duo_pair(&d, l, &c);
    forget();
    d.cut_cli = true;
    EXPECT_EQ(mtcp_write(d.cli, c, "x", 1), 1);
    duo_run(&d, 300000);
    CLIENT_SAW("NS DATA; RS REXMIT; ");
    for (int i = 0; i < 3000; i++)
        duo_run(&d, 1000000);
    CU_ASSERT_PTR_NOT_NULL(strstr(text[1], "RS REXMIT; RC END; SC END; RS END; SS END; "));
    forget();
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_close(&d);
}

/* ---- bytes and edges ------------------------------------------------------------------------- */

static int endpoint; /* the application's socket at the server */

/* What is not read yet is what FIONREAD says, in every callback. */
static void edges_agree(mctx_t m, int sock, int side, event_t ev)
{
    struct tcp_buf_info i;
    socklen_t len = sizeof(i);
    int unread = -1;
    (void)side, (void)ev;
    if (endpoint < 0 || m != d.srv)
        return;
    EXPECT_EQ(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_SVRBUF, &i, &len), 0);
    EXPECT_EQ(mtcp_ioctl(m, endpoint, FIONREAD, &unread), 0);
    EXPECT_EQ(i.tcpbi_next_byte_expected - i.tcpbi_last_byte_read, (uint32_t)unread);
    EXPECT_EQ(get_int(m, sock, MOS_ENDPOINT_SOCK), endpoint);
    EXPECT_EQ(get_int(m, sock, MOS_REAL_SIDE), MOS_SIDE_SVR);
    EXPECT_EQ(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_CLIBUF, &i, &len), 0);
    EXPECT_EQ(i.tcpbi_next_byte_expected, i.tcpbi_last_byte_read);
}

static void unread_bytes_are_fionread(void)
{
    int c, l;
    char buf[700];
    begin();
    memset(buf, 'x', sizeof(buf));
    endpoint = -1;
    l = duo_listen(&d, 80);
    monitor(d.srv, TRACE | MOS_ON_PKT_IN);
    in_callback = edges_agree;
    endpoint = duo_pair(&d, l, &c);
    for (int i = 0; i < 200; i++) {
        CU_ASSERT(mtcp_write(d.cli, c, buf, 700) > 0);
        duo_run(&d, 1000);
        if (i % 3)
            CU_ASSERT(mtcp_read(d.srv, endpoint, buf, (size_t)(100 + i)) > 0);
    }
    CU_ASSERT(text_len[0] > 0);
    endpoint = -1;
    in_callback = NULL;
    forget();
    duo_close(&d);
}

static char peeked[2][64];
static size_t n_peeked[2];

static void peek_new(mctx_t m, int sock, int side, event_t ev)
{
    struct iovec iov[2];
    if (ev != MOS_ON_CONN_NEW_DATA)
        return;
    ssize_t n = mtcp_peek_iov(m, sock, side, iov);
    CU_ASSERT_FATAL(n > 0 && n_peeked[side] + (size_t)n <= sizeof(peeked[0]));
    n = mtcp_peek(m, sock, side, peeked[side] + n_peeked[side], 64 - n_peeked[side]);
    CU_ASSERT_FATAL(n > 0);
    n_peeked[side] += (size_t)n;
    EXPECT_EQ(mtcp_ppeek(m, sock, side, peeked[side], 1, 0), 1);
    EXPECT_EQ(mtcp_peek_consume(m, sock, side, 0), 0);
}

static void bytes_of_both_directions(void)
{
    int c, s, l;
    begin();
    n_peeked[0] = n_peeked[1] = 0;
    l = duo_listen(&d, 80);
    monitor(d.srv, MOS_ON_CONN_NEW_DATA);
    in_callback = peek_new;
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.cli, c, "ping", 4), 4);
    duo_run(&d, 1000);
    EXPECT_EQ(mtcp_write(d.srv, s, "pong!", 5), 5);
    duo_run(&d, 1000);
    in_callback = NULL;
    EXPECT_EQ(n_peeked[MOS_SIDE_SVR], 4);
    EXPECT_EQ(n_peeked[MOS_SIDE_CLI], 5);
    EXPECT_EQ(memcmp(peeked[MOS_SIDE_SVR], "ping", 4), 0);
    EXPECT_EQ(memcmp(peeked[MOS_SIDE_CLI], "pong!", 5), 0);
    duo_close(&d);
}

/* The application has read all and the buffer goes back: who has not peeked is told, and counts. */
static void bytes_that_nobody_peeked(void)
{
    int c, s, l;
    char buf[8];
    begin();
    l = duo_listen(&d, 80);
    monitor(d.srv, MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR);
    in_callback = note_active;
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.cli, c, "ping", 4), 4);
    duo_run(&d, 1000);
    SERVER_SAW("NS DATA; ");
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 4);
    duo_run(&d, 1000);
    SERVER_SAW("NS ERROR; ");
    uint64_t missed = 0;
    socklen_t len = sizeof(missed);
    EXPECT_EQ(mtcp_getsockopt(d.srv, active, SOL_MONSOCKET, MOS_MISSED_SVRBUF, &missed, &len), 0);
    EXPECT_EQ(missed, 4);
    EXPECT_EQ(mtcp_peek(d.srv, active, MOS_SIDE_SVR, buf, 8), -4);
    in_callback = NULL;
    duo_close(&d);
}

/* What is asked to be kept stays when the buffer would go. */
static void bytes_that_are_kept(void)
{
    int c, s, l, kept = 100;
    char buf[8];
    begin();
    l = duo_listen(&d, 80);
    int passive = monitor(d.srv, MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR);
    EXPECT_EQ(mtcp_setsockopt(d.srv, passive, SOL_MONSOCKET, MOS_SVRBUF, &kept, sizeof(kept)), 0);
    in_callback = note_active;
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.cli, c, "ping", 4), 4);
    duo_run(&d, 1000);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), 4);
    duo_run(&d, 1000);
    in_callback = NULL;
    SERVER_SAW("NS DATA; ");
    EXPECT_EQ(mtcp_peek(d.srv, active, MOS_SIDE_SVR, buf, 8), 4);
    EXPECT_EQ(memcmp(buf, "ping", 4), 0);
    duo_close(&d);
}

/* ---- the monitor's word ---------------------------------------------------------------------- */

static void drop_data(mctx_t m, int sock, int side, event_t ev)
{
    struct pkt_info p;
    if (ev != MOS_ON_PKT_IN || side != MOS_SIDE_CLI)
        return;
    EXPECT_EQ(mtcp_getlastpkt(m, sock, side, &p), 0);
    if (p.payloadlen > 0)
        EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP), 0);
}

static void dropped_data_never_arrives(void)
{
    int c, s, l, unread = -1;
    char buf[4];
    begin();
    l = duo_listen(&d, 80);
    int mon = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_register_callback(d.srv, mon, MOS_ON_PKT_IN, MOS_HK_SND, cb_snd), 0);
    s = duo_pair(&d, l, &c);
    in_callback = drop_data;
    EXPECT_EQ(mtcp_write(d.cli, c, "evil", 4), 4);
    duo_run(&d, 1000000);
    EXPECT_EQ(mtcp_ioctl(d.srv, s, FIONREAD, &unread), 0);
    EXPECT_EQ(unread, 0);
    in_callback = NULL; /* the sender is persistent */
    duo_run(&d, 2000000);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 4), 4);
    duo_close(&d);
}

static int lastpkt_rc;

static void look_at_start(mctx_t m, int sock, int side, event_t ev)
{
    struct pkt_info p;
    if (ev == MOS_ON_CONN_START)
        lastpkt_rc = mtcp_getlastpkt(m, sock, side, &p) < 0 ? errno : 0;
}

/* The server's monitor hears of a SYN that was answered with a cookie when the cookie comes back;
 * its filter is judged then, on what the cookie tells. */
static void a_handshake_by_cookie(void)
{
    static const struct {
        char *filter;
        const char *want;
    } row[] = {
        {"tcp[tcpflags] & tcp-syn != 0 and dst port 80 and src host 10.0.0.2",
         "SC START; SC STATE SYN_SENT; RS START; RS STATE SYN_RCVD; RC STATE ESTABLISHED; "
         "RS STATE ESTABLISHED; NS DATA; "},
        {"dst port 81", ""},
    };
    for (unsigned i = 0; i < 2; i++) {
        char buf[4];
        int c, s, l;
        duo_open(&d, "tcp_syncookies = 2");
        forget();
        l = duo_listen(&d, 80);
        int mon = monitor(d.srv, TRACE);
        union monitor_filter ft = {.stream_syn_filter = row[i].filter};
        EXPECT_EQ(mtcp_bind_monitor_filter(d.srv, mon, &ft), 0);
        lastpkt_rc = 0;
        in_callback = look_at_start;
        s = duo_pair(&d, l, &c);
        EXPECT_EQ(mtcp_write(d.cli, c, "ping", 4), 4);
        duo_run(&d, 10000);
        EXPECT_EQ(mtcp_read(d.srv, s, buf, 4), 4);
        in_callback = NULL;
        SERVER_SAW(row[i].want);
        EXPECT_EQ(lastpkt_rc, i == 0 ? ENODATA : 0);
        duo_close(&d);
    }
}

/* A client's socket that sends what is written with its SYN, when it has the server's cookie. */
static int fast_socket(void)
{
    struct sockaddr_in a = duo_addr("10.0.0.1", 80);
    int on = 1, c = mtcp_socket(d.cli, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_setsockopt(d.cli, c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)), 0);
    (void)mtcp_connect(d.cli, c, (struct sockaddr *)&a, sizeof(a));
    return c;
}

/* The SYN's bytes are new data as any others, for both ends. */
static void data_in_a_syn(void)
{
    static const char want[] = "SC START; SC STATE SYN_SENT; RS START; RS STATE SYN_RCVD; NS DATA; "
                               "RC STATE ESTABLISHED; RS STATE ESTABLISHED; ";
    int qlen = 5;
    duo_open(&d, "tcp_fastopen = 3");
    int l = duo_listen(&d, 80);
    EXPECT_EQ(mtcp_setsockopt(d.srv, l, IPPROTO_TCP, TCP_FASTOPEN, &qlen, sizeof(qlen)), 0);
    (void)fast_socket(); /* asks for the cookie */
    duo_run(&d, 50000);
    EXPECT_EQ(mtcp_close(d.srv, mtcp_accept4(d.srv, l, NULL, NULL, SOCK_NONBLOCK)), 0);
    int c = fast_socket();
    monitor(d.srv, TRACE);
    monitor(d.cli, TRACE);
    forget();
    n_peeked[0] = n_peeked[1] = 0;
    in_callback = peek_new;
    EXPECT_EQ(mtcp_write(d.cli, c, "ping", 4), 4);
    duo_run(&d, 50000);
    in_callback = NULL;
    SERVER_SAW(want);
    CLIENT_SAW(want);
    EXPECT_EQ(n_peeked[MOS_SIDE_SVR], 8); /* by one monitor and the other */
    EXPECT_EQ(memcmp(peeked[MOS_SIDE_SVR], "pingping", 8), 0);
    EXPECT_EQ(mtcp_write(d.srv, mtcp_accept4(d.srv, l, NULL, NULL, SOCK_NONBLOCK), "pong!", 5), 5);
    duo_run(&d, 50000);
    SERVER_SAW("NC DATA; ");
    CLIENT_SAW("NC DATA; ");
    duo_close(&d);
}

static void reset_at_new_data(mctx_t m, int sock, int side, event_t ev)
{
    if (ev == MOS_ON_CONN_NEW_DATA && side == MOS_SIDE_SVR)
        EXPECT_EQ(mtcp_reset_conn(m, sock), 0);
    if (ev == MOS_ON_CONN_END) {
        EXPECT_EQ(mtcp_reset_conn(m, sock), -1);
        EXPECT_EQ(errno, ENOTCONN);
        EXPECT_EQ(get_int(m, sock, MOS_END_REASON), MOS_END_RESET_BY_MONITOR);
    }
}

static void reset_by_the_monitor_leaves_nothing_to_read(void)
{
    int c, s, l;
    char buf[8];
    begin();
    l = duo_listen(&d, 80);
    monitor(d.srv, MOS_ON_CONN_NEW_DATA | MOS_ON_CONN_END);
    s = duo_pair(&d, l, &c);
    in_callback = reset_at_new_data;
    EXPECT_EQ(mtcp_write(d.cli, c, "evil", 4), 4);
    duo_run(&d, 100000);
    in_callback = NULL;
    SERVER_SAW("NS DATA; RC END; SC END; RS END; SS END; ");
    EXPECT_EQ(mtcp_read(d.srv, s, buf, 8), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 8), -1);
    EXPECT_EQ(errno, ECONNRESET);
    duo_close(&d);
}

/* ---- calls and errors ------------------------------------------------------------------------ */

#define FAILS(call, err)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ((intptr_t)(call), -1);                                                           \
        EXPECT_EQ(errno, err);                                                                     \
    } while (0)

/* Every call of the monitor with this context and socket fails with these. */
static void all_fail(mctx_t m, int sock, int err, int ppeek_err)
{
    char buf[4];
    struct iovec iov[2];
    struct pkt_info p;
    FAILS(mtcp_peek(m, sock, 0, buf, 1), err);
    FAILS(mtcp_ppeek(m, sock, 0, buf, 1, 0), ppeek_err);
    FAILS(mtcp_peek_iov(m, sock, 0, iov), err);
    FAILS(mtcp_peek_consume(m, sock, 0, 1), err);
    FAILS(mtcp_getlastpkt(m, sock, 0, &p), err);
    FAILS(mtcp_setlastpkt(m, sock, 0, 0, NULL, 0, MOS_DROP), err);
    FAILS(mtcp_sendpkt(m, sock, &p), err);
    FAILS(mtcp_reset_conn(m, sock), err);
    FAILS(mtcp_get_passive(m, sock), err);
}

static void all_of_any_monitor_fail(mctx_t m, int sock, int err)
{
    FAILS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, cb_snd), err);
    FAILS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND), err);
    FAILS(mtcp_bind_monitor_filter(m, sock, NULL), err);
    errno = 0;
    mtcp_set_uctx(m, sock, &d);
    EXPECT_EQ(errno, err);
    errno = 0;
    CU_ASSERT_PTR_NULL(mtcp_get_uctx(m, sock));
    EXPECT_EQ(errno, err);
}

static void *from_another_thread(void *arg)
{
    int sock = *(int *)arg;
    all_fail(d.srv, sock, EPERM, EPERM);
    all_of_any_monitor_fail(d.srv, sock, EPERM);
    errno = 0;
    EXPECT_EQ(mtcp_cb_get_ts(d.srv), 0);
    EXPECT_EQ(errno, EPERM);
    return NULL;
}

static void handles_and_ids(void)
{
    int c, l, s, passive;
    struct mtcp_context foreign = {0};
    pthread_t t;
    begin();
    l = duo_listen(&d, 80);
    passive = monitor(d.srv, MOS_ON_CONN_START);
    in_callback = note_active;
    s = duo_pair(&d, l, &c);
    in_callback = NULL;
    all_fail(NULL, active, EACCES, EACCES);
    all_fail(&foreign, active, EACCES, EACCES);
    all_of_any_monitor_fail(NULL, active, EACCES);
    EXPECT_EQ(pthread_create(&t, NULL, from_another_thread, &active), 0);
    pthread_join(t, NULL);
    all_fail(d.srv, passive, ENOTSOCK, ESOCKTNOSUPPORT);
    all_fail(d.srv, s, ENOTSOCK, ESOCKTNOSUPPORT);
    all_of_any_monitor_fail(d.srv, s, ENOTSOCK);
    all_fail(d.srv, -1, EBADF, EBADF);
    all_fail(d.srv, 1 << 30, EBADF, EBADF);
    all_of_any_monitor_fail(d.srv, 1 << 30, EBADF);
    FAILS(mtcp_bind_monitor_filter(d.srv, active, NULL), ENOTSOCK);
    EXPECT_EQ(mtcp_get_passive(d.srv, active), passive);
    EXPECT_EQ(mtcp_close(d.srv, active), 0);
    all_fail(d.srv, active, EBADF, EBADF);
    all_of_any_monitor_fail(d.srv, active, EBADF);
    duo_close(&d);
    all_fail(d.srv, active, EACCES, EACCES); /* a destroyed context */
}

static void arguments(void)
{
    int c, l;
    struct pkt_info p;
    begin();
    l = duo_listen(&d, 80);
    monitor(d.srv, MOS_ON_CONN_START);
    in_callback = note_active;
    duo_pair(&d, l, &c);
    in_callback = NULL;
    FAILS(mtcp_getlastpkt(d.srv, active, 0, NULL), EFAULT);
    FAILS(mtcp_getlastpkt(d.srv, active, 2, &p), EINVAL);
    FAILS(mtcp_getlastpkt(d.srv, active, 0, &p), ENODATA);
    FAILS(mtcp_setlastpkt(d.srv, active, 0, 0, NULL, 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD), EFAULT);
    FAILS(mtcp_setlastpkt(d.srv, active, 2, 0, NULL, 0, MOS_DROP), EINVAL);
    FAILS(mtcp_setlastpkt(d.srv, active, 0, 0, NULL, 0, MOS_DROP), ENODATA);
    errno = 77;
    mtcp_set_uctx(d.srv, active, &d);
    CU_ASSERT_PTR_EQUAL(mtcp_get_uctx(d.srv, active), &d);
    int passive = mtcp_get_passive(d.srv, active);
    CU_ASSERT_PTR_NULL(mtcp_get_uctx(d.srv, passive));
    mtcp_set_uctx(d.srv, passive, &c);
    CU_ASSERT_PTR_EQUAL(mtcp_get_uctx(d.srv, passive), &c);
    EXPECT_EQ(mtcp_cb_get_ts(d.srv), (uint32_t)d.now_us);
    EXPECT_EQ(errno, 77);
    duo_close(&d);
}

/* The common rules, through the public calls. */
static void levels_of_options(void)
{
    int c, l, v, s;
    socklen_t len = sizeof(v);
    begin();
    l = duo_listen(&d, 80);
    monitor(d.srv, MOS_ON_CONN_START);
    in_callback = note_active;
    s = duo_pair(&d, l, &c);
    in_callback = NULL;
    FAILS(mtcp_getsockopt(NULL, active, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &v, &len), EACCES);
    FAILS(mtcp_getsockopt(d.srv, -1, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &v, &len), EBADF);
    FAILS(mtcp_getsockopt(d.srv, active, 4711, MOS_TCP_STATE_CLI, &v, &len), ENOSYS);
    FAILS(mtcp_getsockopt(d.srv, s, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &v, &len), ENOTSOCK);
    FAILS(mtcp_getsockopt(d.srv, l, SOL_MONSOCKET, 4711, &v, &len), ENOTSOCK);
    FAILS(mtcp_getsockopt(d.srv, active, SOL_SOCKET, SO_ERROR, &v, &len), ENOTSOCK);
    FAILS(mtcp_getsockopt(d.srv, active, SOL_MONSOCKET, 4711, &v, &len), ENOSYS);
    FAILS(mtcp_getsockopt(d.srv, active, SOL_MONSOCKET, MOS_STOP_MON, &v, &len), EPERM);
    FAILS(mtcp_getsockopt(d.srv, active, SOL_MONSOCKET, MOS_TCP_STATE_CLI, NULL, &len), EFAULT);
    len = 3;
    FAILS(mtcp_getsockopt(d.srv, active, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &v, &len), EINVAL);
    len = 0;
    EXPECT_EQ(mtcp_getsockopt(d.srv, active, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, NULL, &len), 0);
    EXPECT_EQ(get_int(d.srv, active, MOS_TCP_STATE_SVR), TCP_ESTABLISHED);
    struct sockaddr_in a[2];
    len = sizeof(a);
    EXPECT_EQ(mtcp_getpeername(d.srv, active, (struct sockaddr *)a, &len, MOS_SIDE_BOTH), 0);
    EXPECT_EQ(ntohs(a[1].sin_port), 80);
    duo_close(&d);
}

/* ---- IPv6 ----------------------------------------------------------------------------------- */

static unsigned n_inspected;

static void inspect_v6(mctx_t m, int sock, int side, event_t ev)
{
    struct sockaddr_in6 a[2];
    socklen_t len = sizeof(a);
    struct pkt_info p;
    if (ev != MOS_ON_CONN_START || side != MOS_SIDE_SVR)
        return;
    EXPECT_EQ(mtcp_getpeername(m, sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH), 0);
    EXPECT_EQ(len, sizeof(a));
    CU_ASSERT(a[MOS_SIDE_CLI].sin6_family == AF_INET6 && a[MOS_SIDE_SVR].sin6_family == AF_INET6);
    EXPECT_EQ(a[MOS_SIDE_CLI].sin6_addr.s6_addr[15], 2);
    EXPECT_EQ(ntohs(a[MOS_SIDE_SVR].sin6_port), 80);
    EXPECT_EQ(mtcp_getlastpkt(m, sock, MOS_SIDE_CLI, &p), 0);
    EXPECT_EQ(*(const uint8_t *)p.iph >> 4, 6); /* 14 bytes into a frame: not aligned */
    EXPECT_EQ(p.ip_len, p.eth_len - 14);
    EXPECT_EQ((uint8_t *)p.tcph - (uint8_t *)p.iph, 40);
    EXPECT_EQ(((const uint8_t *)p.tcph)[13], 0x02); /* SYN */
    n_inspected++;
}

/* Filters of either family, both hosts' names, the packet of a callback, packets of nobody. */
static void ipv6_is_seen_as_ipv4_is(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_in6 to = duo_addr6("fd00::1", 80);
    union monitor_filter only6 = {.stream_syn_filter = "ip6 and tcp port 80",
                                  .stream_orphan_filter = "icmp6 and ip6[40] == 135"};
    duo_open_v6(&d, NULL);
    n_inspected = 0;
    in_callback = inspect_v6;
    forget();
    int passive = monitor(d.srv, MOS_ON_CONN_START | MOS_ON_ORPHAN);
    EXPECT_EQ(mtcp_bind_monitor_filter(d.srv, passive, &only6), 0);
    int l = mtcp_socket(d.srv, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_bind(d.srv, l, (struct sockaddr *)&any, sizeof(any)), 0);
    EXPECT_EQ(mtcp_listen(d.srv, l, 5), 0);
    duo_connect(&d, 80); /* of IPv4: nobody is told */
    duo_run(&d, 2000);
    SERVER_SAW("");
    int c = mtcp_socket(d.cli, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(mtcp_connect(d.cli, c, (struct sockaddr *)&to, sizeof(to)), -1);
    duo_run(&d, 2000);
    SERVER_SAW("NB ORPHAN; SC START; RS START; "); /* first the question for its neighbour */
    EXPECT_EQ(n_inspected, 1);
    in_callback = NULL;
    duo_close(&d);
}

TEST_SUITE(mos_duo, TEST_CASE(a_handshake_by_cookie), TEST_CASE(data_in_a_syn),
           TEST_CASE(a_connection_from_both_ends), TEST_CASE(a_close_with_time_wait),
           TEST_CASE(an_abort), TEST_CASE(a_refused_connection),
           TEST_CASE(retransmissions_and_a_timeout), TEST_CASE(unread_bytes_are_fionread),
           TEST_CASE(bytes_of_both_directions), TEST_CASE(bytes_that_nobody_peeked),
           TEST_CASE(bytes_that_are_kept), TEST_CASE(dropped_data_never_arrives),
           TEST_CASE(reset_by_the_monitor_leaves_nothing_to_read), TEST_CASE(handles_and_ids),
           TEST_CASE(arguments), TEST_CASE(levels_of_options), TEST_CASE(ipv6_is_seen_as_ipv4_is));

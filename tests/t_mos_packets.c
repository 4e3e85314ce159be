/* Packets through the public calls, inside real endpoints: seen, dropped, changed, sent. */
#include "tests/duo.h"
#include "tests/test.h"

#include <mos_api.h>
#include <mtcp_api.h>
#include <mtcp_epoll.h>

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#define FAILS(call, err)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ((intptr_t)(call), -1);                                                           \
        EXPECT_EQ(errno, err);                                                                     \
    } while (0)

static struct duo d;

/* A monitor with one callback. */
static int monitor(mctx_t m, int type, event_t ev, int hook, callback_t cb)
{
    int sock = mtcp_socket(m, AF_UNSPEC, type, 0);
    CU_ASSERT_FATAL(sock >= 0);
    EXPECT_EQ(mtcp_register_callback(m, sock, ev, hook, cb), 0);
    return sock;
}

static int at_verdict(mctx_t m, callback_t cb)
{
    return monitor(m, MOS_SOCK_MONITOR_STREAM, MOS_ON_PKT_IN, MOS_HK_SND, cb);
}

/* ---- raw ------------------------------------------------------------------------------------ */

static unsigned n_in, n_out, n_arp, n_other;

static void count_frame(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)arg;
    EXPECT_EQ(ev, MOS_ON_PKT_IN);
    EXPECT_EQ(side, MOS_SIDE_BOTH);
    EXPECT_EQ(mtcp_getlastpkt(m, sock, 99, &p), 0);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP), EPERM);
    *(p.in_ifidx >= 0 ? &n_in : &n_out) += 1;
    CU_ASSERT(p.ethh != NULL && p.eth_len >= 42 && p.tcph == NULL);
    n_arp += p.iph == NULL;
}

/* As many as the device counts; a raw monitor on each end, and one that is filtered. */
static void raw_monitors_see_every_frame(void)
{
    union monitor_filter arp = {.raw_pkt_filter = "arp"};
    struct mtcp_io_stats st, before;
    char buf[4096];
    int c, s, l;
    duo_open(&d, NULL);
    n_in = n_out = n_arp = 0;
    int raw = monitor(d.srv, MOS_SOCK_MONITOR_RAW, MOS_ON_PKT_IN, MOS_NULL, count_frame);
    mtcp_io_pair_end(d.pair, 0)->stats(mtcp_io_pair_end(d.pair, 0), &before);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    memset(buf, 'x', sizeof(buf));
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_EQ(mtcp_write(d.cli, c, buf, sizeof(buf)), sizeof(buf));
        duo_run(&d, 100000);
        while (mtcp_read(d.srv, s, buf, sizeof(buf)) > 0)
            ;
    }
    mtcp_io_pair_end(d.pair, 0)->stats(mtcp_io_pair_end(d.pair, 0), &st);
    EXPECT_EQ(n_in, st.rx_packets - before.rx_packets);
    EXPECT_EQ(n_out, st.tx_packets - before.tx_packets);
    CU_ASSERT(n_in > 60 && n_out > 20 && n_arp > 0);
    EXPECT_EQ(mtcp_bind_monitor_filter(d.srv, raw, &arp), 0);
    n_in = n_out = n_arp = 0;
    EXPECT_EQ(mtcp_write(d.cli, c, buf, 100), 100);
    duo_run(&d, 100000);
    EXPECT_EQ(n_in + n_out, n_arp);
    EXPECT_EQ(mtcp_close(d.srv, raw), 0);
    FAILS(mtcp_close(d.srv, raw), EBADF);
    duo_run(&d, 100000);
    duo_close(&d);
}

static void calls_of_raw_sockets(void)
{
    struct pkt_info p;
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    int v = 0;
    duo_open(&d, NULL);
    FAILS(mtcp_socket(d.srv, AF_UNIX, MOS_SOCK_MONITOR_RAW, 0), EAFNOSUPPORT);
    FAILS(mtcp_socket(d.srv, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, IPPROTO_UDP), EPROTONOSUPPORT);
    int raw = mtcp_socket(d.srv, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    CU_ASSERT_FATAL(raw >= 0);
    FAILS(mtcp_getlastpkt(d.srv, raw, 0, NULL), EFAULT);
    FAILS(mtcp_getlastpkt(d.srv, raw, 0, &p), ENODATA);
    FAILS(mtcp_setlastpkt(d.srv, raw, 0, 0, NULL, 0, 0), EINVAL);
    FAILS(mtcp_setlastpkt(d.srv, raw, 0, 0, NULL, 0, MOS_DROP), ENODATA);
    FAILS(mtcp_setlastpkt(d.srv, raw, 0, 0, NULL, 1, MOS_OVERWRITE | MOS_IP_HDR), EFAULT);
    FAILS(mtcp_peek(d.srv, raw, 0, (char *)&p, 1), ENOTSOCK);
    FAILS(mtcp_ppeek(d.srv, raw, 0, (char *)&p, 1, 0), ESOCKTNOSUPPORT);
    FAILS(mtcp_reset_conn(d.srv, raw), ENOTSOCK);
    FAILS(mtcp_get_passive(d.srv, raw), ENOTSOCK);
    FAILS(mtcp_getpeername(d.srv, raw, (struct sockaddr *)&a, &len, 0), ENOTSOCK);
    FAILS(mtcp_getsockopt(d.srv, raw, SOL_MONSOCKET, MOS_CLIBUF, &v, &len), ENOTSOCK);
    FAILS(mtcp_setsockopt(d.srv, raw, SOL_MONSOCKET, MOS_CLIBUF, &v, sizeof(v)), ENOTSOCK);
    FAILS(mtcp_getsockopt(d.srv, raw, SOL_SOCKET, SO_ERROR, &v, &len), ENOTSOCK);
    FAILS(mtcp_read(d.srv, raw, (char *)&p, 1), ENOTSOCK);
    FAILS(mtcp_register_callback(d.srv, raw, MOS_ON_PKT_IN, MOS_HK_SND, count_frame), EINVAL);
    mtcp_set_uctx(d.srv, raw, &d);
    CU_ASSERT_PTR_EQUAL(mtcp_get_uctx(d.srv, raw), &d);
    duo_close(&d);
}

static void do_much(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)ev, (void)arg;
    struct sockaddr_in a = duo_addr("10.0.0.2", 81);
    int s = mtcp_socket(m, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s < 0)
        return;
    FAILS(mtcp_connect(m, s, (struct sockaddr *)&a, sizeof(a)), EINPROGRESS);
    EXPECT_EQ(n_other++ % 2 ? mtcp_abort(m, s) : mtcp_close(m, s), 0);
    struct mtcp_epoll_event event;
    FAILS(mtcp_epoll_wait(m, d.srv_ep, &event, 1, 0), EDEADLK);
}

/* Its callbacks run in the middle of everything. */
static void a_raw_monitor_disturbs_nothing(void)
{
    char buf[9000] = "";
    int c, s, l, got = 0;
    duo_open(&d, NULL);
    n_other = 0;
    int raw = monitor(d.srv, MOS_SOCK_MONITOR_RAW, MOS_ON_PKT_IN, MOS_NULL, do_much);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.cli, c, buf, sizeof(buf)), sizeof(buf));
    duo_step(&d, 1000);
    EXPECT_EQ(mtcp_close(d.srv, raw), 0);
    duo_run(&d, 1000000);
    for (int n; (n = (int)mtcp_read(d.srv, s, buf, sizeof(buf))) > 0;)
        got += n;
    EXPECT_EQ(got, sizeof(buf));
    CU_ASSERT(n_other > 10);
    duo_close(&d);
}

/* ---- protection ----------------------------------------------------------------------------- */

static unsigned n_dropped;

/* An inline filter of one word. */
static void drop_evil(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)ev, (void)arg;
    EXPECT_EQ(mtcp_getlastpkt(m, sock, side, &p), 0);
    if (p.payloadlen > 0 && memmem(p.payload, p.payloadlen, "evil", 4)) {
        EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP), 0);
        n_dropped++;
    }
}

/* Whatever the sender tries, the application does not read it; other connections are served. */
static void a_packet_filter_inside_the_server(void)
{
    char buf[64];
    int c, s, l, other, from_other;
    duo_open(&d, NULL);
    n_dropped = 0;
    at_verdict(d.srv, drop_evil);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    from_other = duo_pair(&d, l, &other);
    EXPECT_EQ(mtcp_write(d.cli, c, "good ", 5), 5);
    duo_run(&d, 10000);
    EXPECT_EQ(mtcp_write(d.cli, c, "evil ", 5), 5);
    EXPECT_EQ(mtcp_write(d.cli, other, "fine", 4), 4);
    duo_run(&d, 30000000);
    EXPECT_EQ(mtcp_write(d.cli, c, "more", 4), 4);
    duo_run(&d, 3000000);
    CU_ASSERT(n_dropped > 3);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 5);
    EXPECT_EQ(memcmp(buf, "good ", 5), 0);
    FAILS(mtcp_read(d.srv, s, buf, sizeof(buf)), EAGAIN);
    EXPECT_EQ(mtcp_read(d.srv, from_other, buf, sizeof(buf)), 4);
    EXPECT_EQ(mtcp_abort(d.cli, c), 0);
    duo_run(&d, 100000);
    duo_close(&d);
}

static void drop_syns(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ev, (void)arg;
    EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP), 0);
    n_dropped++;
}

/* A firewall: the dropped SYN costs nothing and is not answered; it is asked again each time. */
static void dropped_syns_are_not_answered(void)
{
    duo_open(&d, NULL);
    n_dropped = 0;
    union monitor_filter ft = {.stream_syn_filter = "dst port 81"};
    int mon = at_verdict(d.srv, drop_syns);
    EXPECT_EQ(mtcp_bind_monitor_filter(d.srv, mon, &ft), 0);
    duo_listen(&d, 81);
    int l = duo_listen(&d, 80), c;
    duo_connect(&d, 81);
    duo_pair(&d, l, &c); /* not in scope */
    duo_run(&d, 8000000);
    CU_ASSERT(n_dropped >= 3 && n_dropped <= 5);
    EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 1);
    duo_close(&d);
}

/* ---- changes -------------------------------------------------------------------------------- */

static char peeked[64];

static void to_capitals(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    byte big[64];
    (void)ev, (void)arg;
    EXPECT_EQ(mtcp_getlastpkt(m, sock, side, &p), 0);
    if (side != MOS_SIDE_CLI || p.payloadlen == 0)
        return;
    for (unsigned i = 0; i < p.payloadlen; i++)
        big[i] = (byte)(p.payload[i] - 32);
    EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 0, big, p.payloadlen,
                              MOS_OVERWRITE | MOS_TCP_PAYLOAD | MOS_UPDATE_TCP_CHKSUM),
              0);
    FAILS(mtcp_setlastpkt(m, sock, side, 1, big, p.payloadlen, MOS_OVERWRITE | MOS_TCP_PAYLOAD),
          EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, big, 1, MOS_INSERT | MOS_TCP_PAYLOAD), EPERM);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, NULL, 1, MOS_CHOMP | MOS_TCP_PAYLOAD), EPERM);
    EXPECT_EQ(mtcp_getlastpkt(m, sock, side, &p), 0);
    EXPECT_EQ(memcmp(p.payload, big, p.payloadlen), 0);
}

static void peek_it(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ev, (void)arg;
    CU_ASSERT(mtcp_peek(m, sock, side, peeked, sizeof(peeked)) > 0);
}

static void the_application_reads_what_the_monitor_wrote(void)
{
    char buf[64];
    int c, s, l;
    duo_open(&d, NULL);
    at_verdict(d.srv, to_capitals);
    monitor(d.srv, MOS_SOCK_MONITOR_STREAM, MOS_ON_CONN_NEW_DATA, MOS_NULL, peek_it);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.cli, c, "hello", 5), 5);
    duo_run(&d, 100000);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 5);
    EXPECT_EQ(memcmp(buf, "HELLO", 5), 0);
    EXPECT_EQ(memcmp(peeked, "HELLO", 5), 0);
    EXPECT_EQ(mtcp_write(d.srv, s, "world", 5), 5);
    duo_run(&d, 100000);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, sizeof(buf)), 5);
    EXPECT_EQ(memcmp(buf, "world", 5), 0);
    duo_close(&d);
}

static int ttl_seen, tos_seen;

static void set_tos(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    byte tos = 0xb8, ttl = 7;
    const int ip = MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM;
    (void)ev, (void)arg;
    if (side != MOS_SIDE_SVR)
        return;
    EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 1, &tos, 1, ip), 0);
    EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 8, &ttl, 1, ip), 0);
    FAILS(mtcp_setlastpkt(m, sock, side, 16, &ttl, 1, ip), EPERM); /* for somebody else */
}

static void note_ip(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)ev, (void)arg;
    EXPECT_EQ(mtcp_getlastpkt(m, sock, side, &p), 0);
    if (side != MOS_SIDE_SVR)
        return;
    ttl_seen = ((const uint8_t *)p.iph)[8];
    tos_seen = ((const uint8_t *)p.iph)[1];
}

/* The other host gets what the monitor made of what went out. */
static void the_peer_gets_changed_headers(void)
{
    char buf[8];
    int c, s, l;
    duo_open(&d, NULL);
    ttl_seen = tos_seen = 0;
    at_verdict(d.srv, set_tos);
    at_verdict(d.cli, note_ip);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.srv, s, "hello", 5), 5);
    duo_run(&d, 100000);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, sizeof(buf)), 5);
    EXPECT_EQ(ttl_seen, 7);
    EXPECT_EQ(tos_seen, 0xb8);
    duo_close(&d);
}

static unsigned largest;

/* What routers in the middle do: a smaller MSS in the SYN (RFC 4459 3.2). */
static void clamp_mss(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    byte mss[] = {500 >> 8, 500 & 0xff};
    (void)ev, (void)arg;
    EXPECT_EQ(mtcp_getlastpkt(m, sock, side, &p), 0);
    if (((const uint8_t *)p.tcph)[13] == TH_SYN)
        EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 22, mss, 2,
                                  MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_TCP_CHKSUM),
                  0);
    if (side == MOS_SIDE_SVR && p.payloadlen > largest)
        largest = p.payloadlen;
}

static void a_changed_syn_changes_the_connection(void)
{
    char buf[4000] = "";
    int c, s, l;
    duo_open(&d, NULL);
    largest = 0;
    at_verdict(d.srv, clamp_mss);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.srv, s, buf, sizeof(buf)), sizeof(buf));
    duo_run(&d, 100000);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, sizeof(buf)), sizeof(buf));
    EXPECT_EQ(largest, 500 - 12); /* beside timestamps */
    duo_close(&d);
}

/* ---- packets of one's own ------------------------------------------------------------------- */

static unsigned n_again, n_rexmit;

/* Each packet with data goes out twice. */
static void send_again(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)ev, (void)arg;
    EXPECT_EQ(mtcp_getlastpkt(m, sock, side, &p), 0);
    if (side != MOS_SIDE_SVR || p.payloadlen == 0)
        return;
    EXPECT_EQ(mtcp_sendpkt(m, sock, &p), 0);
    n_again++;
}

static void note_rexmit(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)ev, (void)arg;
    n_rexmit++;
}

static void a_packet_goes_out_again(void)
{
    char buf[8];
    int c, s, l;
    duo_open(&d, NULL);
    n_again = n_rexmit = 0;
    at_verdict(d.srv, send_again);
    monitor(d.cli, MOS_SOCK_MONITOR_STREAM, MOS_ON_REXMIT, MOS_HK_RCV, note_rexmit);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.srv, s, "hello", 5), 5);
    duo_run(&d, 100000);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, sizeof(buf)), 5);
    FAILS(mtcp_read(d.cli, c, buf, sizeof(buf)), EAGAIN);
    EXPECT_EQ(n_again, 1);
    EXPECT_EQ(n_rexmit, 1);
    duo_close(&d);
}

static uint8_t rst_ip[60], rst_tcp[60];
static bool has_rst;

/* Makes, of the server's first packet with data, a RST that would come next. */
static void learn_rst(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    uint32_t next;
    uint16_t len;
    (void)ev, (void)arg;
    EXPECT_EQ(mtcp_getlastpkt(m, sock, side, &p), 0);
    if (side != MOS_SIDE_SVR || p.payloadlen == 0)
        return;
    memcpy(rst_ip, p.iph, 20);
    memcpy(rst_tcp, p.tcph, 20);
    next = htonl(p.seq + p.payloadlen);
    memcpy(rst_tcp + 4, &next, 4);
    rst_tcp[12] = 0x50;
    rst_tcp[13] = TH_RST;
    len = htons(40);
    memcpy(rst_ip + 2, &len, 2);
    has_rst = true;
}

/* By a raw monitor, outside of any callback. */
static void a_packet_made_by_hand(void)
{
    char buf[8];
    int c, s, l;
    duo_open(&d, NULL);
    has_rst = false;
    at_verdict(d.srv, learn_rst);
    int raw = mtcp_socket(d.srv, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    l = duo_listen(&d, 80);
    s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_write(d.srv, s, "hello", 5), 5);
    duo_run(&d, 100000);
    CU_ASSERT_FATAL(has_rst);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, sizeof(buf)), 5);
    struct pkt_info rst = {.iph = (struct iphdr *)(void *)rst_ip,
                           .tcph = (struct tcphdr *)(void *)rst_tcp};
    EXPECT_EQ(mtcp_sendpkt(d.srv, raw, &rst), 0);
    duo_run(&d, 10000);
    FAILS(mtcp_read(d.cli, c, buf, sizeof(buf)), ECONNRESET);
    FAILS(mtcp_read(d.srv, s, buf, sizeof(buf)), EAGAIN); /* it has not sent it */
    duo_close(&d);
}

static void calls_of_sendpkt(void)
{
    struct pkt_info p = {0};
    duo_open(&d, NULL);
    int raw = mtcp_socket(d.srv, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    int passive = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    int l = duo_listen(&d, 80);
    FAILS(mtcp_sendpkt(NULL, raw, &p), EACCES);
    FAILS(mtcp_sendpkt(d.srv, 1 << 30, &p), EBADF);
    FAILS(mtcp_sendpkt(d.srv, passive, &p), ENOTSOCK);
    FAILS(mtcp_sendpkt(d.srv, l, &p), ENOTSOCK);
    FAILS(mtcp_sendpkt(d.srv, raw, NULL), EFAULT);
    FAILS(mtcp_sendpkt(d.srv, raw, &p), EFAULT);
    memset(rst_ip, 0, sizeof(rst_ip));
    memset(rst_tcp, 0, sizeof(rst_tcp));
    p.iph = (struct iphdr *)(void *)rst_ip;
    p.tcph = (struct tcphdr *)(void *)rst_tcp;
    FAILS(mtcp_sendpkt(d.srv, raw, &p), EINVAL);
    memcpy(rst_ip, "\x45\0\0\x28\0\0\0\0\x40\6\0\0\x0a\0\0\1\xc0\0\2\1", 20);
    rst_tcp[12] = 0x50;
    FAILS(mtcp_sendpkt(d.srv, raw, &p), EHOSTUNREACH);
    memcpy(rst_ip + 16, "\x0a\0\0\2", 4);
    EXPECT_EQ(mtcp_sendpkt(d.srv, raw, &p), 0);
    static byte big[1461];
    p.payload = big;
    p.payloadlen = sizeof(big);
    FAILS(mtcp_sendpkt(d.srv, raw, &p), EINVAL);
    rst_ip[2] = 1501 >> 8;
    rst_ip[3] = 1501 & 0xff;
    FAILS(mtcp_sendpkt(d.srv, raw, &p), EMSGSIZE);
    duo_close(&d);
}

TEST_SUITE(mos_packets, TEST_CASE(raw_monitors_see_every_frame), TEST_CASE(calls_of_raw_sockets),
           TEST_CASE(a_raw_monitor_disturbs_nothing), TEST_CASE(a_packet_filter_inside_the_server),
           TEST_CASE(dropped_syns_are_not_answered),
           TEST_CASE(the_application_reads_what_the_monitor_wrote),
           TEST_CASE(the_peer_gets_changed_headers),
           TEST_CASE(a_changed_syn_changes_the_connection), TEST_CASE(a_packet_goes_out_again),
           TEST_CASE(a_packet_made_by_hand), TEST_CASE(calls_of_sendpkt));

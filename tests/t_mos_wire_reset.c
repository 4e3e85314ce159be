/* mtcp_reset_conn() between two other hosts: both are told, in time, and what they still send is
 * answered. */
#include "tests/test.h"
#include "tests/trio.h"

#include <mos_api.h>
#include <mtcp_epoll.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static struct trio t;
static int srv_sock, cli_sock, listener;
static event_t when; /* the event in whose callback the monitor resets; 0: it does not */
static int on_side;
static unsigned n_reset, n_ended, n_started, n_orphans;
static int reason, active;

static void cb(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    socklen_t len = sizeof(reason);
    (void)arg;
    active = sock;
    n_started += ev == MOS_ON_CONN_START;
    n_orphans += ev == MOS_ON_ORPHAN;
    if (ev == MOS_ON_CONN_END && n_ended++ == 0) {
        EXPECT_EQ(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_END_REASON, &reason, &len), 0);
        EXPECT_EQ(mtcp_reset_conn(m, sock), -1);
        EXPECT_EQ(errno, ENOTCONN);
    }
    if (ev == when && side == on_side) {
        EXPECT_EQ(mtcp_reset_conn(m, sock), 0);
        n_reset++;
    }
}

static void begin(void)
{
    mctx_t m;
    trio_open(&t, NULL);
    m = t.m[TRIO_MID];
    n_reset = n_ended = n_started = n_orphans = 0;
    when = 0;
    reason = -1;
    int s = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_PKT_IN, MOS_HK_SND, cb), 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_REXMIT, MOS_HK_RCV, cb), 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_CONN_START, MOS_HK_RCV, cb), 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_CONN_NEW_DATA, MOS_NULL, cb), 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_CONN_END, MOS_HK_RCV, cb), 0);
    EXPECT_EQ(mtcp_register_callback(m, s, MOS_ON_ORPHAN, MOS_NULL, cb), 0);
    listener = trio_listen(&t, 80);
    n_orphans = 0;
}

static void connection(void)
{
    cli_sock = trio_connect(&t, 80);
    trio_run(&t, 10000);
    srv_sock = mtcp_accept4(t.m[TRIO_SRV], listener, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT_FATAL(srv_sock >= 0);
}

static void expect_ended_once(void)
{
    EXPECT_EQ(n_reset, 1);
    EXPECT_EQ(n_ended, 2); /* both sides */
    EXPECT_EQ(reason, MOS_END_RESET_BY_MONITOR);
    EXPECT_EQ(mtcp_reset_conn(t.m[TRIO_MID], active), -1);
    EXPECT_EQ(errno, EBADF);
}

static void expect_dead(enum trio_role r, int sock, int bytes_before)
{
    char buf[64];
    if (bytes_before > 0)
        EXPECT_EQ(mtcp_read(t.m[r], sock, buf, sizeof(buf)), bytes_before);
    EXPECT_EQ(mtcp_read(t.m[r], sock, buf, sizeof(buf)), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(mtcp_close(t.m[r], sock), 0);
}

static void both_hosts_are_reset(void)
{
    for (int side = 0; side < 2; side++) {
        begin();
        connection();
        EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], cli_sock, "hello", 5), 5);
        EXPECT_EQ(mtcp_write(t.m[TRIO_SRV], srv_sock, "world", 5), 5);
        trio_run(&t, 100000);
        when = MOS_ON_CONN_NEW_DATA;
        on_side = side;
        EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], cli_sock, "more", 4), 4);
        EXPECT_EQ(mtcp_write(t.m[TRIO_SRV], srv_sock, "more", 4), 4);
        trio_step(&t, 0);
        expect_ended_once();
        expect_dead(TRIO_CLI, cli_sock, 9);
        expect_dead(TRIO_SRV, srv_sock, side == MOS_SIDE_SVR ? 9 : 5);
        trio_close(&t);
    }
}

/* A match at the verdict: the packet goes no further. */
static void packet_in_hand_stays_here(void)
{
    begin();
    connection();
    when = MOS_ON_PKT_IN;
    on_side = MOS_SIDE_CLI;
    EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], cli_sock, "evil", 4), 4);
    trio_step(&t, 0);
    expect_ended_once();
    expect_dead(TRIO_CLI, cli_sock, 0);
    expect_dead(TRIO_SRV, srv_sock, 0);
    trio_close(&t);
}

static void first_syn_is_refused(void)
{
    begin();
    when = MOS_ON_CONN_START;
    on_side = MOS_SIDE_SVR;
    cli_sock = trio_connect(&t, 80);
    trio_step(&t, 0);
    expect_ended_once();
    int err = 0;
    socklen_t len = sizeof(err);
    EXPECT_EQ(mtcp_getsockopt(t.m[TRIO_CLI], cli_sock, SOL_SOCKET, SO_ERROR, &err, &len), 0);
    EXPECT_EQ(err, ECONNREFUSED);
    EXPECT_EQ(mtcp_accept4(t.m[TRIO_SRV], listener, NULL, NULL, SOCK_NONBLOCK), -1);
    EXPECT_EQ(mtcp_close(t.m[TRIO_CLI], cli_sock), 0);
    trio_close(&t);
}

/* From a timer, or another connection's callback: with the next turn. */
static void reset_by_a_timer(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    (void)id, (void)side, (void)ev, (void)arg;
    EXPECT_EQ(mtcp_reset_conn(m, active), 0);
    n_reset++;
}

static void reset_outside_of_its_packets(void)
{
    struct timeval soon = {0, 50000};
    begin();
    connection();
    EXPECT_EQ(mtcp_settimer(t.m[TRIO_MID], 7, &soon, reset_by_a_timer), 0);
    trio_run(&t, 100000);
    expect_ended_once();
    expect_dead(TRIO_CLI, cli_sock, 0);
    expect_dead(TRIO_SRV, srv_sock, 0);
    trio_close(&t);
}

static void lost_resets_are_made_up_for(void)
{
    begin();
    connection();
    when = MOS_ON_PKT_IN;
    on_side = MOS_SIDE_CLI;
    EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], cli_sock, "evil", 4), 4);
    struct mtcp_epoll_event ev;
    mtcp_epoll_wait(t.m[TRIO_CLI], t.ep[TRIO_CLI], &ev, 1, 0);
    t.per_mille = 1000;
    mtcp_epoll_wait(t.m[TRIO_MID], t.ep[TRIO_MID], &ev, 1, 0);
    t.per_mille = 0;
    n_orphans = 0;
    expect_ended_once();
    trio_run(&t, 1000000); /* the client sends again */
    expect_dead(TRIO_CLI, cli_sock, 0);
    char buf[8];
    EXPECT_EQ(mtcp_read(t.m[TRIO_SRV], srv_sock, buf, sizeof(buf)), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(mtcp_write(t.m[TRIO_SRV], srv_sock, "evil", 4), 4);
    trio_run(&t, 100000);
    expect_dead(TRIO_SRV, srv_sock, 0);
    EXPECT_EQ(n_orphans, 0);
    trio_close(&t);
}

/* Data that was forwarded and lost: the reset lies beyond what the server expects, and its answer
 * (RFC 5961 3.2) brings the right one. */
static void reset_behind_lost_data(void)
{
    struct mtcp_epoll_event ev;
    begin();
    connection();
    EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], cli_sock, "lost", 4), 4);
    mtcp_epoll_wait(t.m[TRIO_CLI], t.ep[TRIO_CLI], &ev, 1, 0);
    t.per_mille = 1000;
    mtcp_epoll_wait(t.m[TRIO_MID], t.ep[TRIO_MID], &ev, 1, 0);
    t.per_mille = 0;
    EXPECT_EQ(mtcp_reset_conn(t.m[TRIO_MID], active), 0);
    n_reset++;
    trio_run(&t, 1000);
    expect_ended_once();
    expect_dead(TRIO_CLI, cli_sock, 0);
    expect_dead(TRIO_SRV, srv_sock, 0);
    trio_close(&t);
}

static void record_goes(void)
{
    begin();
    connection();
    EXPECT_EQ(mtcp_reset_conn(t.m[TRIO_MID], active), 0);
    n_reset++;
    trio_run(&t, 1000);
    expect_ended_once();
    expect_dead(TRIO_CLI, cli_sock, 0);
    expect_dead(TRIO_SRV, srv_sock, 0);
    connection(); /* another port */
    EXPECT_EQ(n_started, 2);
    EXPECT_EQ(mtcp_abort(t.m[TRIO_CLI], cli_sock), 0);
    for (unsigned i = 0; i < 140; i++)
        trio_step(&t, 1000000);
    EXPECT_EQ(n_ended, 4);
    EXPECT_EQ(mtcp_close(t.m[TRIO_SRV], srv_sock), 0);
    trio_close(&t);
}

TEST_SUITE(mos_wire_reset, TEST_CASE(both_hosts_are_reset), TEST_CASE(packet_in_hand_stays_here),
           TEST_CASE(first_syn_is_refused), TEST_CASE(reset_outside_of_its_packets),
           TEST_CASE(lost_resets_are_made_up_for), TEST_CASE(reset_behind_lost_data),
           TEST_CASE(record_goes));

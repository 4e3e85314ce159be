/* A server and a client as mTCP's users write them, with mtcp_compat.h, unchanged but for the world
 * they run in. */
#include <mtcp_api.h>
#include <mtcp_epoll.h>

#include <mtcp_compat.h>

#include "tests/duo.h"
#include "tests/test.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define MAX_EVENTS 16

static struct duo d;

/* One turn of an echo server: accept, read, write back, close. */
static void serve(mctx_t mctx, int ep, int listener)
{
    struct mtcp_epoll_event events[MAX_EVENTS], ev;
    struct sockaddr_in addr;
    socklen_t addrlen = sizeof(addr);
    char buf[64];
    int n = mtcp_epoll_wait(mctx, ep, events, MAX_EVENTS, 0);
    for (int i = 0; i < n; i++) {
        int sockid = events[i].data.sockid;
        if (sockid == listener) {
            int c = mtcp_accept(mctx, listener, NULL, NULL);
            CU_ASSERT(c >= 0);
            mtcp_setsock_nonblock(mctx, c);
            ev.events = MTCP_EPOLLIN;
            ev.data.sockid = c;
            EXPECT_EQ(mtcp_epoll_ctl(mctx, ep, MTCP_EPOLL_CTL_ADD, c, &ev), 0);
            EXPECT_EQ(mtcp_getpeername(mctx, c, (struct sockaddr *)&addr, &addrlen), 0);
            EXPECT_EQ(ntohl(addr.sin_addr.s_addr), 0x0a000002);
        } else if (events[i].events & MTCP_EPOLLIN) {
            int waiting = -1;
            EXPECT_EQ(mtcp_socket_ioctl(mctx, sockid, FIONREAD, &waiting), 0);
            ssize_t rd = mtcp_read(mctx, sockid, buf, sizeof(buf));
            EXPECT_EQ(rd, waiting);
            if (rd > 0)
                EXPECT_EQ(mtcp_write(mctx, sockid, buf, (size_t)rd), rd);
            else
                mtcp_close(mctx, sockid);
        }
    }
}

static int begin_serving(mctx_t mctx, int *listener)
{
    struct sockaddr_in saddr;
    struct mtcp_epoll_event ev;
    int ep = mtcp_epoll_create(mctx, MAX_EVENTS);
    *listener = mtcp_socket(mctx, AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(mtcp_setsock_nonblock(mctx, *listener), 0);
    saddr.sin_family = AF_INET;
    saddr.sin_addr.s_addr = INADDR_ANY;
    saddr.sin_port = htons(80);
    EXPECT_EQ(mtcp_bind(mctx, *listener, (struct sockaddr *)&saddr, sizeof(saddr)), 0);
    EXPECT_EQ(mtcp_listen(mctx, *listener, 4096), 0);
    ev.events = MTCP_EPOLLIN;
    ev.data.sockid = *listener;
    EXPECT_EQ(mtcp_epoll_ctl(mctx, ep, MTCP_EPOLL_CTL_ADD, *listener, &ev), 0);
    return ep;
}

static void an_mtcp_program_runs(void)
{
    struct mtcp_epoll_event events[MAX_EVENTS], ev;
    struct sockaddr_in addr = duo_addr("10.0.0.1", 80);
    int listener, n_echoed = 0;
    char buf[64];
    duo_open(&d, NULL);
    int ep = begin_serving(d.srv, &listener);
    mctx_t mctx = d.cli;
    EXPECT_EQ(mtcp_init_rss(mctx, INADDR_ANY, 1, addr.sin_addr.s_addr, addr.sin_port), 0);
    int cep = mtcp_epoll_create(mctx, MAX_EVENTS);
    int sockid = mtcp_socket(mctx, AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(mtcp_setsock_nonblock(mctx, sockid), 0);
    EXPECT_EQ(mtcp_connect(mctx, sockid, (struct sockaddr *)&addr, sizeof(addr)), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    ev.events = MTCP_EPOLLOUT;
    ev.data.sockid = sockid;
    EXPECT_EQ(mtcp_epoll_ctl(mctx, cep, MTCP_EPOLL_CTL_ADD, sockid, &ev), 0);
    for (int round = 0; round < 100 && !n_echoed; round++) {
        serve(d.srv, ep, listener);
        int n = mtcp_epoll_wait(mctx, cep, events, MAX_EVENTS, 0);
        for (int i = 0; i < n; i++) {
            CU_ASSERT_STRING_EQUAL(EventToString(events[i].events), events[i].events & MTCP_EPOLLIN
                                                                        ? "MOS_EPOLLIN"
                                                                        : "MOS_EPOLLOUT");
            if (events[i].events & MTCP_EPOLLOUT) {
                EXPECT_EQ(mtcp_write(mctx, sockid, "ping", 4), 4);
                ev.events = MTCP_EPOLLIN;
                EXPECT_EQ(mtcp_epoll_ctl(mctx, cep, MTCP_EPOLL_CTL_MOD, sockid, &ev), 0);
            } else if (events[i].events & MTCP_EPOLLIN) {
                n_echoed = (int)mtcp_read(mctx, sockid, buf, sizeof(buf));
            }
        }
    }
    EXPECT_EQ(n_echoed, 4);
    EXPECT_EQ(mtcp_epoll_ctl(mctx, cep, MTCP_EPOLL_CTL_DEL, sockid, NULL), 0);
    EXPECT_EQ(mtcp_close(mctx, sockid), 0);
    for (int round = 0; round < 10; round++) {
        serve(d.srv, ep, listener);
        duo_step(&d, 0);
    }
    EXPECT_EQ(mtcp_get_connection_cnt(d.srv), 0);
    duo_close(&d);
}

TEST_SUITE(compat, TEST_CASE(an_mtcp_program_runs));

/* Messages: several buffers with flags and control messages, and the error queue. */
#include "tests/duo.h"
#include "tests/test.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <mtcp_epoll.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define EXPECT_ERR(call, e)                                                                        \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, e);                                                                       \
    } while (0)

static struct duo d;
static int s, c;

static void pair_with(int level, int name)
{
    int on = 1;
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80);
    if (name) /* accepted sockets inherit it */
        EXPECT_EQ(mtcp_setsockopt(d.srv, l, level, name, &on, sizeof(on)), 0);
    s = duo_pair(&d, l, &c);
}

static ssize_t send_pieces(mctx_t m, int sock, const char *a, const char *b, int flags)
{
    struct iovec iov[] = {
        {NULL, 0}, {(void *)(uintptr_t)a, strlen(a)}, {NULL, 0}, {(void *)(uintptr_t)b, strlen(b)}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 4};
    return mtcp_sendmsg(m, sock, &msg, flags);
}

static void pieces_go_and_come_in_order(void)
{
    char a[3], b[8] = "";
    struct iovec iov[] = {{a, sizeof(a)}, {b, sizeof(b)}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2, .msg_namelen = 5, .msg_controllen = 0};
    pair_with(0, 0);
    EXPECT_EQ(send_pieces(d.cli, c, "abcd", "ef", 0), 6);
    EXPECT_EQ(send_pieces(d.cli, c, "", "", 0), 0);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_recvmsg(d.srv, s, &msg, MSG_PEEK), 6);
    EXPECT_EQ(mtcp_recvmsg(d.srv, s, &msg, 0), 6);
    CU_ASSERT(memcmp(a, "abc", 3) == 0 && memcmp(b, "def", 3) == 0);
    EXPECT_EQ(msg.msg_namelen, 0);
    EXPECT_EQ(msg.msg_flags, 0);
    EXPECT_ERR(mtcp_recvmsg(d.srv, s, &msg, 0), EAGAIN);
    duo_close(&d);
}

static void what_is_wrong_is_refused(void)
{
    char control[CMSG_SPACE(sizeof(int))] = "";
    struct cmsghdr *h = (void *)control;
    *h = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, 37};
    struct msghdr none = {.msg_iovlen = 1}, many = {.msg_iov = (void *)control, .msg_iovlen = 2000},
                  told = {.msg_control = control, .msg_controllen = sizeof(control)};
    pair_with(0, 0);
    EXPECT_ERR(mtcp_sendmsg(d.cli, c, NULL, 0), EFAULT);
    EXPECT_ERR(mtcp_recvmsg(d.cli, c, NULL, 0), EFAULT);
    EXPECT_ERR(mtcp_sendmsg(d.cli, c, &none, 0), EFAULT);
    EXPECT_ERR(mtcp_recvmsg(d.cli, c, &none, 0), EFAULT);
    EXPECT_ERR(mtcp_sendmsg(d.cli, c, &many, 0), EMSGSIZE);
    EXPECT_ERR(mtcp_recvmsg(d.cli, c, &many, 0), EMSGSIZE);
    EXPECT_ERR(mtcp_sendmsg(d.cli, c, &told, 0), EINVAL);
    EXPECT_ERR(mtcp_sendmsg(d.cli, c, &told, MSG_TRUNC), EINVAL);
    EXPECT_ERR(send_pieces(d.cli, c, "a", "b", MSG_TRUNC), EOPNOTSUPP);
    EXPECT_ERR(mtcp_recvmsg(d.cli, c, &told, MSG_OOB), EINVAL);
    EXPECT_ERR(mtcp_sendmsg(d.cli, 77, &told, 0), EBADF);
    EXPECT_ERR(mtcp_recvmsg(d.cli, 77, &told, 0), EBADF);
    h->cmsg_level = IPPROTO_IP; /* nothing to TCP */
    EXPECT_EQ(mtcp_sendmsg(d.cli, c, &told, 0), 0);
    duo_close(&d);
}

/* Reads n bytes: what is left as TCP_CM_INQ tells; -1: it does not. */
static int inq_after(size_t n, size_t control_room, int *flags)
{
    char buf[64], control[64];
    int left = -1;
    struct iovec iov = {buf, n};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = control_room};
    EXPECT_EQ(mtcp_recvmsg(d.srv, s, &msg, 0), n);
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
    if (h && h->cmsg_level == IPPROTO_TCP && h->cmsg_type == TCP_CM_INQ)
        memcpy(&left, CMSG_DATA(h), sizeof(left));
    *flags = msg.msg_flags;
    return left;
}

static void what_is_left_is_told(void)
{
    int flags;
    pair_with(IPPROTO_TCP, TCP_INQ);
    mtcp_write(d.cli, c, "0123456789", 10);
    duo_step(&d, 0);
    EXPECT_EQ(inq_after(3, 64, &flags), 7);
    EXPECT_EQ(flags, 0);
    EXPECT_EQ(inq_after(5, 8, &flags), -1);
    EXPECT_EQ(flags, MSG_CTRUNC);
    mtcp_close(d.cli, c);
    duo_step(&d, 0);
    EXPECT_EQ(inq_after(1, 64, &flags), 2); /* and the end */
    EXPECT_EQ(inq_after(1, 64, &flags), 1);
    EXPECT_EQ(inq_after(0, 64, &flags), 1);
    int off = 0;
    EXPECT_EQ(mtcp_setsockopt(d.srv, s, IPPROTO_TCP, TCP_INQ, &off, sizeof(off)), 0);
    EXPECT_EQ(inq_after(0, 64, &flags), -1);
    duo_close(&d);
}

/* Reads the error queue: does it say that the calls first..last are over? */
static bool is_told(uint32_t first, uint32_t last)
{
    char control[128];
    struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
    if (mtcp_recvmsg(d.srv, s, &msg, MSG_ERRQUEUE) != 0)
        return false;
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
    struct sock_extended_err e;
    memcpy(&e, CMSG_DATA(h), sizeof(e));
    return h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_RECVERR &&
           h->cmsg_len == CMSG_LEN(sizeof(e) + sizeof(struct sockaddr_in)) &&
           msg.msg_flags == MSG_ERRQUEUE && e.ee_errno == 0 &&
           e.ee_origin == SO_EE_ORIGIN_ZEROCOPY && e.ee_code == SO_EE_CODE_ZEROCOPY_COPIED &&
           e.ee_info == first && e.ee_data == last;
}

static void buffers_are_given_back(void)
{
    struct msghdr msg = {.msg_iovlen = 0};
    pair_with(SOL_SOCKET, SO_ZEROCOPY);
    EXPECT_ERR(mtcp_recvmsg(d.srv, s, &msg, MSG_ERRQUEUE), EAGAIN);
    EXPECT_EQ(mtcp_send(d.srv, s, "abc", 3, MSG_ZEROCOPY), 3);
    CU_ASSERT(is_told(0, 0));
    EXPECT_ERR(mtcp_recvmsg(d.srv, s, &msg, MSG_ERRQUEUE), EAGAIN);
    EXPECT_EQ(send_pieces(d.srv, s, "a", "b", MSG_ZEROCOPY), 2);
    EXPECT_EQ(send_pieces(d.srv, s, "", "", MSG_ZEROCOPY), 0); /* nothing to give back */
    EXPECT_EQ(mtcp_send(d.srv, s, "abc", 3, 0), 3);
    EXPECT_EQ(mtcp_send(d.srv, s, "abc", 3, MSG_ZEROCOPY), 3);
    CU_ASSERT(is_told(1, 2));
    EXPECT_EQ(mtcp_send(d.srv, s, "abc", 3, MSG_ZEROCOPY), 3);
    EXPECT_EQ(mtcp_recvmsg(d.srv, s, &msg, MSG_ERRQUEUE), 0);
    EXPECT_EQ(msg.msg_flags, MSG_ERRQUEUE | MSG_CTRUNC); /* it had no room, and is gone */
    EXPECT_ERR(mtcp_recvmsg(d.srv, s, &msg, MSG_ERRQUEUE), EAGAIN);
    EXPECT_EQ(mtcp_send(d.cli, c, "abc", 3, MSG_ZEROCOPY), 3); /* without the option: as none */
    EXPECT_ERR(mtcp_recvmsg(d.cli, c, &msg, MSG_ERRQUEUE), EAGAIN);
    duo_close(&d);
}

static void the_error_queue_wakes_once_per_edge(void)
{
    struct mtcp_epoll_event ev = {MOS_EPOLLET | MOS_EPOLLOUT, {.u64 = 7}};
    pair_with(SOL_SOCKET, SO_ZEROCOPY);
    int ep = mtcp_epoll_create(d.srv, 1);
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep, MOS_EPOLL_CTL_ADD, s, &ev), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 1);
    EXPECT_EQ(mtcp_send(d.srv, s, "abc", 3, MSG_ZEROCOPY), 3);
    EXPECT_EQ(mtcp_send(d.srv, s, "abc", 3, MSG_ZEROCOPY), 3);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 1);
    EXPECT_EQ(ev.events, MOS_EPOLLERR | MOS_EPOLLOUT);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 0);
    CU_ASSERT(is_told(0, 1));
    ev.events = MOS_EPOLLIN;
    EXPECT_EQ(mtcp_epoll_ctl(d.srv, ep, MOS_EPOLL_CTL_MOD, s, &ev), 0);
    EXPECT_EQ(mtcp_epoll_wait(d.srv, ep, &ev, 1, 0), 0); /* read, it is no error any more */
    mtcp_close(d.srv, ep);
    duo_close(&d);
}

TEST_SUITE(msg, TEST_CASE(pieces_go_and_come_in_order), TEST_CASE(what_is_wrong_is_refused),
           TEST_CASE(what_is_left_is_told), TEST_CASE(buffers_are_given_back),
           TEST_CASE(the_error_queue_wakes_once_per_edge));

/* The error queue, and control messages. */
#include "mtcp/sock/errqueue.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

void errqueue_sent(struct sock *s)
{
    struct tcp_opt_ext *x = s->conn->ext;
    if (!x || !x->is_zerocopy)
        return;
    x->zc_done++;
    sock_wake(s, MOS_EPOLLERR);
}

void cmsg_add(struct cmsg_out *out, int level, int type, const void *data, size_t len)
{
    struct msghdr *m = out->msg;
    struct cmsghdr *h = (void *)((char *)m->msg_control + out->used);
    size_t room =
        m->msg_control && m->msg_controllen > out->used ? m->msg_controllen - out->used : 0;
    if (room < CMSG_LEN(len)) {
        m->msg_flags |= MSG_CTRUNC;
        return;
    }
    *h = (struct cmsghdr){.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    memcpy(CMSG_DATA(h), data, len);
    out->used += room < CMSG_SPACE(len) ? CMSG_LEN(len) : CMSG_SPACE(len);
}

int errqueue_read(struct sock *s, struct msghdr *msg)
{
    struct tcp_opt_ext *x = sock_has_conn(s) ? s->conn->ext : NULL;
    if (!x || x->zc_told == x->zc_done)
        return -EAGAIN;
    struct { /* as Linux's: an address follows, which no one offended */
        struct sock_extended_err err;
        struct sockaddr_in6 offender;
    } e = {.err = {.ee_origin = SO_EE_ORIGIN_ZEROCOPY,
                   .ee_code = SO_EE_CODE_ZEROCOPY_COPIED,
                   .ee_info = x->zc_told,
                   .ee_data = x->zc_done - 1}};
    bool is_v6 = s->flags & SOCKF_V6;
    struct cmsg_out out = {.msg = msg};
    msg->msg_flags = MSG_ERRQUEUE;
    msg->msg_namelen = 0;
    cmsg_add(&out, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_RECVERR : IP_RECVERR, &e,
             sizeof(e.err) + (is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)));
    msg->msg_controllen = out.used;
    x->zc_told = x->zc_done;
    return 0;
}

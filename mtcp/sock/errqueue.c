/* The error queue, and control messages. */
#include "mtcp/sock/errqueue.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

void errqueue_sent(struct sock *s)
{
    if (tcp_zerocopy_called(s->conn))
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

/* Bytes of a call that is yet to be told? */
static bool is_copied(const struct tcp_zerocopy *z)
{
    return (int32_t)(z->copied - z->told) > 0;
}

int errqueue_read(struct sock *s, struct msghdr *msg)
{
    if (!sock_has_conn(s) || !errqueue_has(s->conn))
        return -EAGAIN;
    struct tcp_zerocopy *z = &s->conn->ext->zc;
    struct { /* as Linux's: an address follows, which no one offended */
        struct sock_extended_err err;
        struct sockaddr_in6 offender;
    } e = {.err = {.ee_origin = SO_EE_ORIGIN_ZEROCOPY,
                   .ee_code = is_copied(z) ? SO_EE_CODE_ZEROCOPY_COPIED : 0,
                   .ee_info = z->told,
                   .ee_data = z->done - 1}};
    bool is_v6 = s->flags & SOCKF_V6;
    struct cmsg_out out = {.msg = msg};
    msg->msg_flags = MSG_ERRQUEUE;
    msg->msg_namelen = 0;
    cmsg_add(&out, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_RECVERR : IP_RECVERR, &e,
             sizeof(e.err) + (is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)));
    msg->msg_controllen = out.used;
    z->told = z->done;
    if (!is_copied(z))
        z->copied = z->told; /* so that it never seems to lie ahead */
    return 0;
}

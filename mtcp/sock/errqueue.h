/*
 * What a socket's error queue holds (MSG_ERRQUEUE): which of the calls with MSG_ZEROCOPY are done
 * with their buffers. The numbers of the calls, counted from 0, are told as ranges, as Linux does
 * it, and in order. Control messages, for these and for TCP_INQ.
 */
#ifndef MTCP_SOCK_ERRQUEUE_H
#define MTCP_SOCK_ERRQUEUE_H

#include "mtcp/sock/sock.h"

#include <sys/socket.h>

/* Is there something in it? */
static inline bool errqueue_has(const struct tcp_conn *c)
{
    return unlikely(c->ext != NULL) && c->ext->zc.told != c->ext->zc.done;
}

/* A call with MSG_ZEROCOPY took bytes. Nothing happens without SO_ZEROCOPY. */
void errqueue_sent(struct sock *s);

/* recvmsg with MSG_ERRQUEUE: the oldest entry. 0 or -EAGAIN; never blocks. */
MUST_CHECK int errqueue_read(struct sock *s, struct msghdr *msg);

/* Fills msg->msg_control from *used on; MSG_CTRUNC when it does not fit. */
struct cmsg_out {
    struct msghdr *msg;
    size_t used;
};
void cmsg_add(struct cmsg_out *out, int level, int type, const void *data, size_t len);

#endif

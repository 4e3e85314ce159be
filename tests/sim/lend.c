/*
 * Writes with MSG_ZEROCOPY. Each has a copy of its bytes of its own, which is overwritten and freed
 * as soon as the stack says that it is done with it, or the socket is closed: what the stack takes
 * from there later is wrong at the receiver, or found by the sanitizer.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct lent {
    struct lent *next;
    uint32_t call;
    size_t len;
    char bytes[];
};

static void first_free(struct flow_side *f)
{
    struct lent *l = f->lent.first;
    f->lent.first = l->next;
    if (!l->next)
        f->lent.last = NULL;
    memset(l->bytes, 0xee, l->len);
    free(l);
}

static void told(struct sim *s, struct flow_side *f, const struct sock_extended_err *e)
{
    if (e->ee_origin != SO_EE_ORIGIN_ZEROCOPY || e->ee_info != f->lent.n_told ||
        e->ee_data - e->ee_info >= f->lent.n_calls - f->lent.n_told)
        sim_fail(s, "error queue: calls %u to %u, of %u to %u", e->ee_info, e->ee_data,
                 f->lent.n_told, f->lent.n_calls);
    f->lent.n_told = e->ee_data + 1;
    while (f->lent.first && (int32_t)(f->lent.first->call - f->lent.n_told) < 0)
        first_free(f);
}

void lend_collect(struct sim *s, unsigned host, struct flow_side *f)
{
    char control[128];
    struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
    while (f->lent.first && mtcp_recvmsg(s->host[host].mctx, f->sock, &msg, MSG_ERRQUEUE) == 0) {
        struct sock_extended_err e;
        memcpy(&e, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(e));
        told(s, f, &e);
        msg.msg_controllen = sizeof(control);
    }
}

ssize_t lend_write(struct sim *s, unsigned host, struct flow_side *f, const char *data, size_t n,
                   int flags)
{
    mctx_t m = s->host[host].mctx;
    int on = 1;
    struct lent *l = malloc(sizeof(*l) + n);
    if (!l || mtcp_setsockopt(m, f->sock, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) < 0) {
        sim_fail(s, "SO_ZEROCOPY: %s", strerror(errno));
        exit(1);
    }
    *l = (struct lent){.call = f->lent.n_calls, .len = n};
    memcpy(l->bytes, data, n);
    ssize_t w = mtcp_send(m, f->sock, l->bytes, n, flags | MSG_ZEROCOPY);
    if (w <= 0) {
        free(l);
        return w;
    }
    f->lent.n_calls++;
    s->seen.lent += (uint64_t)w;
    *(f->lent.last ? &f->lent.last->next : &f->lent.first) = l;
    f->lent.last = l;
    return w;
}

void lend_end(struct flow_side *f)
{
    while (f->lent.first)
        first_free(f);
}

/*
 * Writes of fuzz_stack's application with MSG_ZEROCOPY: each from memory of its own, which is gone
 * as soon as the stack is done with it or the socket is closed, so that the sanitizer finds what is
 * read later.
 */
#include "tests/fuzz/stack.h"

#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct lent {
    struct lent *next;
    uint32_t call;
    char bytes[];
};

static void first_free(struct lending *l)
{
    struct lent *first = l->first;
    l->first = first->next;
    free(first);
}

static void done_up_to(struct lending *l, const struct sock_extended_err *e)
{
    HOLDS(e->ee_origin == SO_EE_ORIGIN_ZEROCOPY);
    HOLDS(e->ee_info == l->n_told && e->ee_data - e->ee_info < l->n_calls - l->n_told);
    l->n_told = e->ee_data + 1;
    while (l->first && (int32_t)(l->first->call - l->n_told) < 0)
        first_free(l);
}

void lend_collect(struct lending *l, int id)
{
    char control[128];
    struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
    while (l->n_told != l->n_calls && mtcp_recvmsg(w.m, id, &msg, MSG_ERRQUEUE) == 0) {
        struct sock_extended_err e;
        memcpy(&e, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(e));
        done_up_to(l, &e);
        msg.msg_controllen = sizeof(control);
    }
}

ssize_t lend_write(struct lending *l, int id, uint64_t off, size_t n)
{
    struct lent *mine = malloc(sizeof(*mine) + n), **end = &l->first;
    int on = 1;
    HOLDS(mine);
    *mine = (struct lent){.call = l->n_calls};
    for (size_t i = 0; i < n; i++)
        mine->bytes[i] = (char)app_byte(off + i);
    while (*end)
        end = &(*end)->next;
    *end = mine;
    bool is_on = mtcp_setsockopt(w.m, id, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0;
    ssize_t done = mtcp_send(w.m, id, mine->bytes, n, is_on ? MSG_ZEROCOPY : 0);
    if (!l->first)
        return done; /* a callback has closed the socket */
    if (is_on && done > 0) {
        l->n_calls++;
        return done;
    }
    *end = NULL;
    free(mine);
    return done;
}

void lend_end(struct lending *l)
{
    while (l->first)
        first_free(l);
}

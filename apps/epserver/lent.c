#include "apps/epserver/lent.h"

#include "apps/epserver/worker.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One file of a connection's that is in use until a call is done; in the order of the calls. */
struct lent_file {
    struct lent_file *next;
    struct file *file;
    uint32_t call;
};

struct lent {
    uint32_t n_calls;
    struct lent_file *first, *last;
};

/* Of a connection that lends for the first time; NULL: it can't. */
static struct lent *lent_of(struct worker *w, struct conn *c)
{
    const int on = 1;

    if (c->http.lent == NULL &&
        mtcp_setsockopt(w->mctx, c->sock, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0)
        c->http.lent = calloc(1, sizeof(struct lent));
    return c->http.lent;
}

/* The entry of a file's next call: that of the call before, if it was the same file. */
static struct lent_file *entry_of(struct lent *l, struct file *f)
{
    if (l->last != NULL && l->last->file == f)
        return l->last;
    struct lent_file *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->file = f;
    e->call = l->n_calls;
    f->n_users++;
    *(l->last != NULL ? &l->last->next : &l->first) = e;
    l->last = e;
    return e;
}

ssize_t lent_write(struct worker *w, struct conn *c, struct file *f, const char *data, size_t len)
{
    struct lent *l = lent_of(w, c);
    struct lent_file *e = l != NULL ? entry_of(l, f) : NULL;

    if (e == NULL)
        return mtcp_write(w->mctx, c->sock, data, len);
    ssize_t n = mtcp_send(w->mctx, c->sock, data, len, MSG_ZEROCOPY);
    if (n > 0)
        e->call = l->n_calls++;
    return n;
}

static void first_give_back(struct worker *w, struct lent *l)
{
    struct lent_file *e = l->first;

    l->first = e->next;
    if (l->first == NULL)
        l->last = NULL;
    files_put(&w->files, e->file);
    free(e);
}

/* The calls up to `call` are done. */
static void done_up_to(struct worker *w, struct lent *l, uint32_t call)
{
    while (l->first != NULL && (int32_t)(l->first->call - call) <= 0)
        first_give_back(w, l);
}

void lent_collect(struct worker *w, struct conn *c)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
    } control;
    struct msghdr msg = {.msg_control = &control, .msg_controllen = sizeof(control)};

    if (c->http.lent == NULL || c->http.lent->first == NULL)
        return;
    while (mtcp_recvmsg(w->mctx, c->sock, &msg, MSG_ERRQUEUE) == 0) {
        struct sock_extended_err e;
        memcpy(&e, CMSG_DATA(&control.align), sizeof(e));
        done_up_to(w, c->http.lent, e.ee_data);
        msg.msg_controllen = sizeof(control);
    }
}

void lent_end(struct worker *w, struct conn *c)
{
    struct lent *l = c->http.lent;

    while (l != NULL && l->first != NULL)
        first_give_back(w, l);
    free(l);
}

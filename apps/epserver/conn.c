#include "apps/epserver/conn.h"

#include "apps/epserver/http.h"
#include "apps/epserver/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void list_remove(struct conn *c)
{
    if (c->list == NULL)
        return;
    *(c->prev != NULL ? &c->prev->next : &c->list->oldest) = c->next;
    *(c->next != NULL ? &c->next->prev : &c->list->newest) = c->prev;
    c->list = NULL;
}

void conn_touch(const struct worker *w, struct conn *c, struct conn_list *list)
{
    c->since_ms = w->now_ms;
    if (list->newest == c)
        return;
    list_remove(c);
    c->list = list;
    c->next = NULL;
    c->prev = list->newest;
    *(list->newest != NULL ? &list->newest->next : &list->oldest) = c;
    list->newest = c;
}

struct conn *conn_new(struct worker *w, int sock)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->sock = sock;
    if (w->args->mode == MODE_HTTP)
        http_begin(c);
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data.u64 = (uint64_t)sock};
    if (mtcp_epoll_ctl(w->mctx, w->epid, MOS_EPOLL_CTL_ADD, sock, &ev) < 0) {
        free(c);
        return NULL;
    }
    w->conns[sock] = c;
    w->n_conns++;
    conn_touch(w, c, &w->alive);
    return c;
}

static void conn_free(struct worker *w, struct conn *c)
{
    list_remove(c);
    if (w->args->mode == MODE_HTTP)
        http_end(w, c);
    w->conns[c->sock] = NULL;
    w->has_closed = true;
    w->n_conns--;
    free(c->rest);
    free(c);
}

void conn_close(struct worker *w, struct conn *c)
{
    mtcp_close(w->mctx, c->sock);
    conn_free(w, c);
}

void conn_abort(struct worker *w, struct conn *c)
{
    mtcp_abort(w->mctx, c->sock);
    conn_free(w, c);
}

bool conn_wait_for_room(struct worker *w, struct conn *c, bool for_room)
{
    if (c->waits_for_room == for_room)
        return true;
    struct mtcp_epoll_event ev = {.events = for_room ? MOS_EPOLLOUT : MOS_EPOLLIN,
                                  .data.u64 = (uint64_t)c->sock};
    if (mtcp_epoll_ctl(w->mctx, w->epid, MOS_EPOLL_CTL_MOD, c->sock, &ev) < 0) {
        conn_abort(w, c);
        return false;
    }
    c->waits_for_room = for_room;
    return true;
}

bool conn_keep(struct conn *c, const char *data, size_t len)
{
    c->rest = malloc(sizeof(*c->rest) + len);
    if (c->rest == NULL)
        return false;
    c->rest->at = 0;
    c->rest->len = len;
    memcpy(c->rest->data, data, len);
    return true;
}

ssize_t conn_read(struct worker *w, struct conn *c, char *buf, size_t room)
{
    ssize_t n = mtcp_read(w->mctx, c->sock, buf, room);

    if (n > 0)
        return n;
    if (n == 0) {
        c->peer_ended = true;
        return 0;
    }
    if (errno == EAGAIN)
        return -1;
    conn_close(w, c);
    return -2;
}

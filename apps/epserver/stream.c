#include "apps/epserver/stream.h"

#include "apps/epserver/worker.h"

#include <errno.h>
#include <stdlib.h>

/* Writes; the number of bytes taken, or -1 when the connection was broken and is freed. */
static ssize_t stream_write(struct worker *w, struct conn *c, const char *data, size_t len)
{
    ssize_t n = mtcp_write(w->mctx, c->sock, data, len);

    if (n < 0 && errno != EAGAIN) {
        conn_close(w, c);
        return -1;
    }
    conn_touch(w, c, &w->alive);
    return n < 0 ? 0 : n;
}

/* ---- echo ---- */

static void echo_more(struct worker *w, struct conn *c)
{
    ssize_t n = conn_read(w, c, w->input, WORKER_CHUNK);

    if (n == 0)
        conn_close(w, c);
    if (n <= 0)
        return;
    ssize_t sent = stream_write(w, c, w->input, (size_t)n);
    if (sent < 0 || sent == n)
        return;
    if (!conn_keep(c, w->input + sent, (size_t)(n - sent)))
        conn_abort(w, c);
    else
        conn_wait_for_room(w, c, true);
}

static void echo_rest(struct worker *w, struct conn *c)
{
    struct bytes *rest = c->rest;
    ssize_t sent = stream_write(w, c, rest->data + rest->at, rest->len - rest->at);

    if (sent < 0)
        return;
    rest->at += (size_t)sent;
    if (rest->at < rest->len)
        return;
    free(rest);
    c->rest = NULL;
    conn_wait_for_room(w, c, false);
}

void echo_ready(struct worker *w, struct conn *c)
{
    if (c->rest != NULL)
        echo_rest(w, c);
    else
        echo_more(w, c);
}

/* ---- rpc ---- */

/* Writes what is owed; false when the connection is gone. */
static bool rpc_pay(struct worker *w, struct conn *c)
{
    while (c->rpc.n_owed > 0) {
        size_t len = c->rpc.n_owed < WORKER_CHUNK ? (size_t)c->rpc.n_owed : WORKER_CHUNK;
        ssize_t n = stream_write(w, c, w->chunk, len);
        if (n < 0)
            return false;
        c->rpc.n_owed -= (uint64_t)n;
        if ((size_t)n < len)
            return conn_wait_for_room(w, c, true);
    }
    return conn_wait_for_room(w, c, false);
}

void rpc_ready(struct worker *w, struct conn *c)
{
    if (c->rpc.n_owed > 0) {
        rpc_pay(w, c);
        return;
    }
    ssize_t n = conn_read(w, c, w->input, WORKER_CHUNK);
    if (n == 0)
        conn_close(w, c);
    if (n <= 0)
        return;
    c->rpc.n_got += (uint64_t)n;
    c->rpc.n_owed = c->rpc.n_got / w->args->rpc_req * w->args->rpc_resp;
    c->rpc.n_got %= w->args->rpc_req;
    rpc_pay(w, c);
}

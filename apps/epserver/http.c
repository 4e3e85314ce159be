#include "apps/epserver/http.h"

#include "apps/epserver/lent.h"
#include "apps/epserver/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define READ_BYTES        16384 /* at a time: what waits behind a blocked response is at most this */
#define REQUESTS_KEPT_MAX 64
#define FIRST_REQUEST_MS  2000 /* whoever connects and sends nothing for so long is idle */
#define CHUNKS_PER_TURN   8    /* of one response, so that the others get their turn */

enum sent { SENT_ALL, SENT_SOME, SENT_FAILED };

/* ---- requests: one while it is being received ---- */

static struct request *request_take(struct worker *w)
{
    struct request *r = w->free_requests;

    if (r != NULL) {
        w->free_requests = r->next_free;
        w->n_free_requests--;
    } else {
        r = malloc(sizeof(*r));
    }
    if (r != NULL)
        request_begin(r);
    return r;
}

static void request_give(struct worker *w, struct request *r)
{
    if (w->n_free_requests >= REQUESTS_KEPT_MAX) {
        free(r);
        return;
    }
    r->next_free = w->free_requests;
    w->free_requests = r;
    w->n_free_requests++;
}

void http_fini(struct worker *w)
{
    while (w->free_requests != NULL) {
        struct request *r = w->free_requests;
        w->free_requests = r->next_free;
        free(r);
    }
}

/* ---- sending ---- */

/* What comes next of the file: *iov. In pieces also from memory: a send buffer that can't be had
 * for all of it may be had for a piece. False when it is shorter than it was: nothing can be right.
 */
static bool content_next(struct worker *w, const struct sending *s, struct iovec *iov)
{
    uint64_t left = s->end - s->at;
    size_t len = left < WORKER_CHUNK ? left : WORKER_CHUNK;

    if (s->file->content != NULL) {
        *iov = (struct iovec){s->file->content + s->at, len};
        return true;
    }
    ssize_t n = file_read(s->file, w->chunk, len, s->at);
    *iov = (struct iovec){w->chunk, n > 0 ? (size_t)n : 0};
    return n > 0;
}

static void sending_advance(struct sending *s, size_t n)
{
    size_t of_head = n < s->head_len ? n : s->head_len;

    s->head += of_head;
    s->head_len -= of_head;
    s->at += n - of_head;
}

static bool is_lent(const struct sending *s)
{
    return s->file != NULL && s->file->content != NULL && s->end - s->at >= LENT_MIN;
}

/* The head, then the content from where it lies. */
static enum sent send_lent(struct worker *w, struct conn *c, struct sending *s)
{
    bool has_head = s->head_len > 0;
    size_t want = has_head ? s->head_len : s->end - s->at;
    ssize_t n = has_head ? mtcp_send(w->mctx, c->sock, s->head, want, MSG_MORE)
                         : lent_write(w, c, s->file, s->file->content + s->at, want);

    if (n < 0)
        return errno == EAGAIN ? SENT_SOME : SENT_FAILED;
    sending_advance(s, (size_t)n);
    return (size_t)n == want ? SENT_ALL : SENT_SOME;
}

/* One write: the head and the piece of the file behind it. */
static enum sent send_piece(struct worker *w, struct conn *c, struct sending *s)
{
    if (is_lent(s))
        return send_lent(w, c, s);
    struct iovec iov[2] = {{(char *)(uintptr_t)s->head, s->head_len}};
    int n_iov = s->head_len > 0;

    if (s->at < s->end && !content_next(w, s, &iov[n_iov++]))
        return SENT_FAILED;
    size_t want = iov[0].iov_len + (n_iov > 1 ? iov[1].iov_len : 0);
    ssize_t n = mtcp_writev(w->mctx, c->sock, iov, n_iov);
    if (n < 0)
        return errno == EAGAIN ? SENT_SOME : SENT_FAILED;
    sending_advance(s, (size_t)n);
    return (size_t)n == want ? SENT_ALL : SENT_SOME;
}

static enum sent send_some(struct worker *w, struct conn *c, struct sending *s)
{
    for (int i = 0; i < CHUNKS_PER_TURN; i++) {
        enum sent sent = send_piece(w, c, s);
        if (sent != SENT_ALL)
            return sent;
        if (s->at == s->end)
            return SENT_ALL;
    }
    return SENT_SOME;
}

/* Whole or not, the response is over. */
static void sending_over(struct worker *w, const struct sending *s)
{
    if (s->log_line_len > 0) {
        size_t unsent = s->head_len < s->n_message ? s->head_len : s->n_message;
        accesslog_add(&w->log, s->log_line, s->log_line_len, s->at + s->n_message - unsent);
    }
    if (s->file != NULL)
        files_put(&w->files, s->file);
}

static void sending_free(struct worker *w, struct sending *s)
{
    if (s != NULL)
        sending_over(w, s);
    free(s);
}

/* The rest of a response that found no room: kept, with what is left of its head, and its line. */
static bool sending_keep(struct conn *c, const struct sending *s)
{
    struct sending *kept = malloc(sizeof(*kept) + s->head_len + s->log_line_len);

    if (kept == NULL)
        return false;
    *kept = *s;
    kept->head = memcpy(kept + 1, s->head, s->head_len);
    kept->log_line = memcpy((char *)(kept + 1) + s->head_len, s->log_line, s->log_line_len);
    c->http.out = kept;
    return true;
}

/* ---- the end of a connection ---- */

static bool has_unread(const struct worker *w, const struct conn *c)
{
    int n = 0;

    return mtcp_ioctl(w->mctx, c->sock, FIONREAD, &n) == 0 && n > 0;
}

/*
 * The last response is written. Closing with unread bytes would reset the connection under it
 * (RFC 9112 9.6): if the peer has sent more, it gets our end of the stream and we wait for its.
 */
static void last_response_sent(struct worker *w, struct conn *c, bool peer_has_more)
{
    if (!peer_has_more && !has_unread(w, c)) {
        conn_close(w, c);
        return;
    }
    if (mtcp_shutdown(w->mctx, c->sock, SHUT_WR) < 0) {
        conn_abort(w, c);
        return;
    }
    if (conn_wait_for_room(w, c, false))
        conn_touch(w, c, &w->lingering);
}

static void linger_read(struct worker *w, struct conn *c)
{
    ssize_t n = conn_read(w, c, w->input, WORKER_CHUNK);

    if (n == 0)
        conn_close(w, c);
}

/* ---- answering ---- */

static unsigned status_of_path(int rc)
{
    if (rc == -EACCES)
        return HTTP_STATUS_FORBIDDEN;
    return rc == -ENAMETOOLONG ? HTTP_STATUS_URI_TOO_LONG : HTTP_STATUS_BAD_REQUEST;
}

static unsigned status_of_file(int rc)
{
    switch (rc) {
    case 0:
        return HTTP_STATUS_OK;
    case -EISDIR:
        return HTTP_STATUS_MOVED_PERMANENTLY;
    case -ENOENT:
        return HTTP_STATUS_NOT_FOUND;
    case -EACCES:
        return HTTP_STATUS_FORBIDDEN;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return HTTP_STATUS_SERVICE_UNAVAILABLE;
    default:
        return HTTP_STATUS_INTERNAL_SERVER_ERROR;
    }
}

static bool is_unmodified(const struct request *r, const struct file *f)
{
    time_t since;

    return r->since_len > 0 && httpdate_parse(r->since, &since) && f->st.st_mtime <= since;
}

/* What the request gets: a status, and with 200 and 304 the file. */
static unsigned request_resolve(struct worker *w, const struct request *r, struct path *p,
                                struct file **f)
{
    if (r->status != HTTP_STATUS_OK)
        return r->status;
    int rc = path_parse(p, r->target, r->target_len);
    if (rc < 0)
        return status_of_path(rc);
    unsigned status = status_of_file(files_get(&w->files, p, w->turn, f));
    return status == HTTP_STATUS_OK && is_unmodified(r, *f) ? HTTP_STATUS_NOT_MODIFIED : status;
}

/* The response to a request, ready to be sent; its head is in w->head. */
static struct sending answer_prepare(struct worker *w, const struct request *r, bool keep_alive)
{
    struct path path;
    struct sending s = {
        .head = w->head,
        .log_line = w->log_line,
        .close_after = !keep_alive,
    };
    unsigned status = request_resolve(w, r, &path, &s.file);
    struct response resp = {
        .status = status,
        .is_head = r->is_head,
        .keep_alive = keep_alive,
        .is_http10 = r->is_http10,
        .file = s.file,
        .moved = status == HTTP_STATUS_MOVED_PERMANENTLY ? &path : NULL,
        .date = w->date,
    };

    s.head_len = response_write(&resp, w->head);
    s.n_message = response_message_len(&resp);
    s.status = status;
    if (status == HTTP_STATUS_OK && !r->is_head)
        s.end = (uint64_t)s.file->st.st_size;
    return s;
}

/* Sends what can be sent now. False: nothing more is to be read of this connection for now. */
static bool answer_send(struct worker *w, struct conn *c, struct sending *s, bool peer_has_more)
{
    enum sent sent = send_some(w, c, s);
    bool kept = sent == SENT_SOME && sending_keep(c, s);

    c->has_answered = true;
    if (!kept)
        sending_over(w, s);
    if (kept)
        conn_wait_for_room(w, c, true);
    else if (sent != SENT_ALL)
        conn_abort(w, c);
    else if (s->close_after)
        last_response_sent(w, c, peer_has_more);
    else
        return true;
    return false;
}

/* ---- receiving ---- */

static struct request *request_of(struct worker *w, struct conn *c)
{
    if (c->http.request == NULL) {
        c->http.request = request_take(w);
        conn_touch(w, c, &w->alive);
    }
    return c->http.request;
}

/* The line of the access log for a response; `is_bad`: its request is not whole. */
static void log_line_begin(struct worker *w, const struct conn *c, struct sending *s, bool is_bad)
{
    const http_parser *parser = &c->http.parser;
    const struct request *r = c->http.request;
    struct sockaddr_in6 peer;
    socklen_t len = sizeof(peer);
    struct access a = {
        .method = http_method_str((enum http_method)parser->method),
        .target = r->target,
        .target_len = r->target_len,
        .http_major = parser->http_major,
        .http_minor = parser->http_minor,
        .has_version = !is_bad,
        .status = s->status,
    };

    if (mtcp_getpeername(w->mctx, c->sock, (struct sockaddr *)&peer, &len, MOS_SIDE_CLI) == 0)
        a.peer = &peer;
    s->log_line_len = accesslog_begin(&w->log, w->log_line, &a, w->date_at);
}

/* A request is complete, or can't be. `left` bytes came behind it. As answer_send. */
static bool request_answer(struct worker *w, struct conn *c, bool is_bad, size_t left)
{
    struct request *r = c->http.request;
    struct sending s = answer_prepare(w, r, r->keep_alive && !is_bad);

    if (w->log.fd >= 0)
        log_line_begin(w, c, &s, is_bad);
    c->http.request = NULL;
    request_give(w, r);
    return answer_send(w, c, &s, is_bad || left > 0);
}

/* Requests, one after the other, until the bytes are used up or a response is blocked. */
static void input(struct worker *w, struct conn *c, const char *data, size_t len)
{
    while (len > 0) {
        size_t used;
        struct request *r = request_of(w, c);
        if (r == NULL) {
            conn_abort(w, c);
            return;
        }
        enum request_step step = request_feed(r, &c->http.parser, data, len, &used);
        if (step == REQUEST_MORE)
            return;
        data += used;
        len -= used;
        int sock = c->sock;
        if (request_answer(w, c, step == REQUEST_BAD, len))
            continue;
        c = w->conns[sock];
        if (c != NULL && c->http.out != NULL && len > 0 && !conn_keep(c, data, len))
            conn_abort(w, c);
        return;
    }
}

static void readable(struct worker *w, struct conn *c)
{
    ssize_t n = conn_read(w, c, w->input, READ_BYTES);

    if (n > 0)
        input(w, c, w->input, (size_t)n);
    else if (n == 0)
        conn_close(w, c);
}

/* The blocked response is out: the requests that came behind it get their turn. */
static void response_done(struct worker *w, struct conn *c)
{
    struct sending *s = c->http.out;
    struct bytes *rest = c->rest;
    bool close_after = s->close_after;

    c->http.out = NULL;
    c->rest = NULL;
    sending_free(w, s);
    conn_touch(w, c, &w->alive);
    if (close_after)
        last_response_sent(w, c, rest != NULL);
    else if (conn_wait_for_room(w, c, false) && rest != NULL)
        input(w, c, rest->data, rest->len);
    free(rest);
}

static void writable(struct worker *w, struct conn *c)
{
    struct sending *s = c->http.out;
    uint64_t before = s->at + (uint64_t)(uintptr_t)s->head;
    enum sent sent = send_some(w, c, s);

    if (sent == SENT_ALL)
        response_done(w, c);
    else if (sent == SENT_FAILED)
        conn_abort(w, c);
    else if (s->at + (uint64_t)(uintptr_t)s->head != before)
        conn_touch(w, c, &w->alive);
}

/* ---- what the worker calls ---- */

void http_begin(struct conn *c)
{
    request_parser_init(&c->http.parser);
}

void http_end(struct worker *w, struct conn *c)
{
    if (c->http.request != NULL)
        request_give(w, c->http.request);
    sending_free(w, c->http.out);
    lent_end(w, c);
}

void http_ready(struct worker *w, struct conn *c)
{
    lent_collect(w, c);
    if (c->list == &w->lingering)
        linger_read(w, c);
    else if (c->http.out != NULL)
        writable(w, c);
    else
        readable(w, c);
}

bool http_is_idle(const struct worker *w, const struct conn *c)
{
    bool is_waiting = c->http.request == NULL && c->http.out == NULL;

    return is_waiting && (c->has_answered || w->now_ms - c->since_ms >= FIRST_REQUEST_MS);
}

void http_timeout(struct worker *w, struct conn *c)
{
    if (c->list == &w->lingering || c->http.out != NULL) {
        conn_abort(w, c);
        return;
    }
    if (c->http.request == NULL) {
        conn_close(w, c);
        return;
    }
    c->http.request->status = HTTP_STATUS_REQUEST_TIMEOUT;
    request_answer(w, c, true, 0);
}

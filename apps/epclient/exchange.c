#include "apps/epclient/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum outcome outcome_of_errno(int err)
{
    switch (err) {
    case ECONNREFUSED:
        return FAILED_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EACCES: /* these three only ICMP says here */
    case ENOPROTOOPT:
    case EOPNOTSUPP:
        return FAILED_UNREACHABLE;
    case ETIMEDOUT:
        return FAILED_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return FAILED_RESET;
    default:
        return FAILED_LOCAL;
    }
}

/* ---- the requests on a connection ---- */

static struct request *ring_at(const struct worker *w, const struct conn *c, uint32_t i)
{
    uint64_t depth = w->args->pipeline;

    return &w->requests[(uint64_t)(c - w->conns) * depth + (c->first + i) % depth];
}

void exchange_add(struct worker *w, struct conn *c, const struct request *r)
{
    *ring_at(w, c, c->n_asked++) = *r;
    c->n_unsent++;
    w->n_asked++;
}

uint64_t exchange_since(const struct worker *w, const struct conn *c)
{
    return ring_at(w, c, 0)->start_us;
}

/* The oldest request has its outcome. */
static void answered(struct worker *w, struct conn *c, enum outcome outcome)
{
    w->results.outcomes[outcome]++;
    if (outcome == DONE)
        histogram_add(&w->results.latency, w->now_us - exchange_since(w, c));
    c->first = (uint32_t)((c->first + 1) % w->args->pipeline);
    c->n_asked--;
    w->n_asked--;
}

static void output_close(struct conn *c)
{
    if (c->out_fd >= 0 && close(c->out_fd) < 0)
        c->is_unwritten = true;
    c->out_fd = -1;
}

/* A response begins. */
static void content_begin(struct conn *c)
{
    c->n_got = 0;
    c->is_unwritten = false;
    if (c->hash != NULL)
        XXH64_reset(c->hash, 0);
}

void exchange_restart(struct conn *c)
{
    c->n_unsent = c->n_asked;
    c->n_sent = 0;
    c->is_complete = false;
    output_close(c);
    content_begin(c);
    http_parser_init(&c->parser, HTTP_RESPONSE);
}

void exchange_fail(struct worker *w, struct conn *c, enum outcome why)
{
    w->results.outcomes[why] += c->n_asked;
    w->n_asked -= c->n_asked;
    c->n_asked = 0;
    exchange_restart(c);
}

/* ---- what is sent ---- */

void exchange_prepare(struct worker *w)
{
    const struct args *a = w->args;
    const char *close = a->keep_alive ? "" : "Connection: close\r\n";
    char content[128] = "";

    if (a->upload_bytes > 0)
        snprintf(content, sizeof(content),
                 "Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n",
                 (unsigned long long)a->upload_bytes);
    if (!a->is_rpc)
        w->head_len = (size_t)snprintf(
            w->head, sizeof(w->head), "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n",
            a->upload_bytes > 0 ? "POST" : "GET", a->url.path, a->url.host, content, close);
    w->request_len = w->head_len + (a->is_rpc ? a->rpc_req : a->upload_bytes);
}

/* The next piece of the request: of its head, or of its content, which means nothing. */
static const char *request_piece(const struct worker *w, const struct conn *c, size_t *len)
{
    static const char zeros[WORKER_CHUNK];
    uint64_t left = w->request_len - c->n_sent;

    if (c->n_sent < w->head_len) {
        *len = w->head_len - (size_t)c->n_sent;
        return w->head + c->n_sent;
    }
    *len = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
    return zeros;
}

enum progress exchange_send(struct worker *w, struct conn *c, enum outcome *why)
{
    while (c->n_unsent > 0) {
        size_t len;
        const char *piece = request_piece(w, c, &len);
        ssize_t n = mtcp_write(w->mctx, c->sock, piece, len);
        if (n < 0 && errno == EAGAIN)
            return WAITS_FOR_ROOM;
        if (n < 0) {
            *why = outcome_of_errno(errno);
            return BROKEN;
        }
        w->results.n_sent += (uint64_t)n;
        c->n_sent += (uint64_t)n;
        if (c->n_sent < w->request_len)
            continue;
        c->n_sent = 0;
        c->n_unsent--;
    }
    return GOES_ON;
}

/* ---- what comes back ---- */

/* What a callback of the parser needs to know. */
struct reading {
    struct worker *w;
    struct conn *c;
};

static void content_take(struct conn *c, const char *at, size_t len)
{
    c->n_got += len;
    if (c->hash != NULL)
        XXH64_update(c->hash, at, len);
    while (c->out_fd >= 0 && len > 0) {
        ssize_t n = write(c->out_fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            output_close(c);
            c->is_unwritten = true;
            return;
        }
        at += n;
        len -= (size_t)n;
    }
}

static int on_message_begin(http_parser *parser)
{
    struct reading *r = parser->data;

    content_begin(r->c);
    return 0;
}

/* The content goes to a file: of the only request to that of the option, else to one of its own. */
static void output_open(const struct worker *w, struct conn *c)
{
    char name[PATH_MAX];
    const char *file = w->args->out_file;
    uint64_t number = ring_at(w, c, 0)->number + 1;
    int n = w->args->total == 1
                ? snprintf(name, sizeof(name), "%s", file)
                : snprintf(name, sizeof(name), "%s.%llu", file, (unsigned long long)number);

    if (n < (int)sizeof(name))
        c->out_fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    c->is_unwritten = c->out_fd < 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct reading *r = parser->data;

    if (r->w->args->out_file != NULL && parser->status_code / 100 == 2 && r->c->n_asked > 0)
        output_open(r->w, r->c);
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct reading *r = parser->data;

    content_take(r->c, at, len);
    return 0;
}

/* Before the final response any number of interim ones may come (RFC 9110 15.2); 101 is for those
 * who asked for it. */
static bool is_interim(const http_parser *parser)
{
    return parser->status_code / 100 == 1 && parser->status_code != 101;
}

static int on_message_complete(http_parser *parser)
{
    struct reading *r = parser->data;

    if (is_interim(parser))
        return 0;
    r->c->is_complete = true;
    r->c->is_kept = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static enum progress broken(enum outcome *why, enum outcome because)
{
    *why = because;
    return BROKEN;
}

static enum outcome content_outcome(struct worker *w, struct conn *c)
{
    uint64_t hash = c->hash != NULL ? XXH64_digest(c->hash) : 0;

    output_close(c);
    return c->is_unwritten ? FAILED_OUTPUT : results_check(&w->results, w->args, c->n_got, hash);
}

static enum outcome response_outcome(struct worker *w, struct conn *c, bool is_early)
{
    if (c->parser.status_code / 100 != 2)
        return FAILED_STATUS;
    enum outcome outcome = content_outcome(w, c);
    return is_early ? FAILED_RESPONSE : outcome; /* what it is about has not arrived */
}

/*
 * A response is complete. A server that does not keep the connection will answer no more requests
 * on it (RFC 9112 9.6), and one that has not read all of the request may not either.
 */
static enum progress http_answered(struct worker *w, struct conn *c, bool has_more,
                                   enum outcome *why)
{
    bool is_early = c->n_unsent == c->n_asked;

    c->is_complete = false;
    if (has_more && c->n_asked == 1) /* nobody asked for more */
        return broken(why, FAILED_RESPONSE);
    answered(w, c, response_outcome(w, c, is_early));
    return c->is_kept && !is_early && w->args->keep_alive ? GOES_ON : ENDED;
}

/* n bytes of responses; 0: the end of the stream. */
static enum progress http_take(struct worker *w, struct conn *c, size_t n, enum outcome *why)
{
    struct reading r = {w, c};
    size_t at = 0;
    enum progress p = GOES_ON;

    c->parser.data = &r;
    do {
        at += http_parser_execute(&c->parser, &settings, w->buf + at, n - at);
        enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);
        if (err == HPE_PAUSED)
            http_parser_pause(&c->parser, 0);
        else if (err != HPE_OK)
            return broken(why, n == 0 ? FAILED_CLOSED : FAILED_RESPONSE);
        if (!c->is_complete)
            return n == 0 ? broken(why, FAILED_CLOSED) : GOES_ON;
        p = http_answered(w, c, at < n, why);
    } while (p == GOES_ON && at < n);
    return p;
}

/* n bytes of answers. */
static enum progress rpc_take(struct worker *w, struct conn *c, size_t n, enum outcome *why)
{
    const char *at = w->buf;

    while (n > 0) {
        uint64_t left = w->args->rpc_resp - c->n_got;
        size_t len = left < n ? (size_t)left : n;
        if (c->n_unsent == c->n_asked) /* nobody asked for it */
            return broken(why, FAILED_RESPONSE);
        content_take(c, at, len);
        at += len;
        n -= len;
        if (c->n_got < w->args->rpc_resp)
            break;
        if (n > 0 && c->n_asked == 1)
            return broken(why, FAILED_RESPONSE);
        answered(w, c, content_outcome(w, c));
        content_begin(c);
    }
    return GOES_ON;
}

/* Between two requests, and of a response that has no other end (RFC 9112 6.3), it is none. */
static enum progress stream_ended(struct worker *w, struct conn *c, enum outcome *why)
{
    if (c->n_asked == 0)
        return ENDED;
    return w->args->is_rpc ? broken(why, FAILED_CLOSED) : http_take(w, c, 0, why);
}

enum progress exchange_receive(struct worker *w, struct conn *c, enum outcome *why)
{
    enum progress p = GOES_ON;

    while (p == GOES_ON) {
        ssize_t n = mtcp_read(w->mctx, c->sock, w->buf, sizeof(w->buf));
        if (n < 0)
            return errno == EAGAIN ? GOES_ON : broken(why, outcome_of_errno(errno));
        w->results.n_received += (uint64_t)n;
        if (n == 0)
            return stream_ended(w, c, why);
        if (c->n_asked == 0) /* a last word of a server that closes */
            return ENDED;
        p = w->args->is_rpc ? rpc_take(w, c, (size_t)n, why) : http_take(w, c, (size_t)n, why);
        if ((size_t)n < sizeof(w->buf))
            break;
    }
    return p;
}

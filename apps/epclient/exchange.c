#include "apps/epclient/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum outcome outcome_of_errno(int err)
{
    switch (err) {
    case ECONNREFUSED:
        return FAILED_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
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

/* ---- what is sent ---- */

void exchange_prepare(struct client *cl)
{
    const struct url *u = &cl->args->url;

    if (cl->args->is_rpc)
        cl->request_len = cl->args->rpc_req;
    else
        cl->request_len = (size_t)snprintf(
            cl->request, sizeof(cl->request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", u->path,
            u->host, cl->args->keep_alive ? "" : "Connection: close\r\n");
}

/* The next piece of the request. Of an RPC the content means nothing: it comes from a buffer that
 * is not written while an exchange is sent. */
static const char *request_piece(const struct client *cl, const struct conn *c, size_t *len)
{
    size_t left = cl->request_len - (size_t)c->n_sent;

    *len = left < sizeof(cl->request) ? left : sizeof(cl->request);
    return cl->args->is_rpc ? cl->request : cl->request + c->n_sent;
}

static enum progress send_on(struct client *cl, struct conn *c, enum outcome *why)
{
    while (c->n_sent < cl->request_len) {
        size_t len;
        const char *piece = request_piece(cl, c, &len);
        ssize_t n = mtcp_write(cl->mctx, c->sock, piece, len);
        if (n < 0 && errno == EAGAIN)
            return WAITS_FOR_ROOM;
        if (n < 0) {
            *why = outcome_of_errno(errno);
            return BROKEN;
        }
        c->n_sent += (uint64_t)n;
    }
    return WAITS_TO_READ;
}

/* ---- what comes back ---- */

/* Before the final response any number of interim ones may come (RFC 9110 15.2); 101 is for those
 * who asked for it. */
static bool is_interim(const http_parser *parser)
{
    return parser->status_code / 100 == 1 && parser->status_code != 101;
}

static int on_message_complete(http_parser *parser)
{
    struct conn *c = parser->data;

    if (is_interim(parser))
        return 0;
    c->n_got = http_should_keep_alive(parser) != 0 ? 2 : 1;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {.on_message_complete = on_message_complete};

static enum progress broken(enum outcome *why, enum outcome because)
{
    *why = because;
    return BROKEN;
}

/* n bytes of an HTTP response; 0: the end of the stream. n_got: 0 incomplete, 1 complete and to be
 * closed, 2 complete. */
static enum progress http_take(struct client *cl, struct conn *c, size_t n, enum outcome *why)
{
    c->parser.data = c;
    size_t used = http_parser_execute(&c->parser, &settings, cl->buf, n);
    enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);

    if (err == HPE_PAUSED)
        http_parser_pause(&c->parser, 0);
    else if (err != HPE_OK)
        return broken(why, n == 0 ? FAILED_CLOSED : FAILED_RESPONSE);
    if (c->n_got == 0)
        return n == 0 ? broken(why, FAILED_CLOSED) : WAITS_TO_READ;
    if (used < n) /* nobody asked for more */
        return broken(why, FAILED_RESPONSE);
    if (c->parser.status_code / 100 != 2)
        return broken(why, FAILED_STATUS);
    return c->n_got == 2 && cl->args->keep_alive ? FINISHED_KEEP : FINISHED_CLOSE;
}

static enum progress rpc_take(struct client *cl, struct conn *c, size_t n, enum outcome *why)
{
    c->n_got += n;
    if (n == 0)
        return broken(why, FAILED_CLOSED);
    if (c->n_got > cl->args->rpc_resp)
        return broken(why, FAILED_RESPONSE);
    return c->n_got == cl->args->rpc_resp ? FINISHED_KEEP : WAITS_TO_READ;
}

static enum progress receive_on(struct client *cl, struct conn *c, enum outcome *why)
{
    enum progress p = WAITS_TO_READ;

    while (p == WAITS_TO_READ) {
        ssize_t n = mtcp_read(cl->mctx, c->sock, cl->buf, sizeof(cl->buf));
        if (n < 0)
            return errno == EAGAIN ? WAITS_TO_READ : broken(why, outcome_of_errno(errno));
        cl->n_bytes += (uint64_t)n;
        p = cl->args->is_rpc ? rpc_take(cl, c, (size_t)n, why) : http_take(cl, c, (size_t)n, why);
        if ((size_t)n < sizeof(cl->buf))
            break;
    }
    return p;
}

/* ---- both ---- */

void exchange_begin(struct client *cl, struct conn *c)
{
    (void)cl;
    c->n_sent = 0;
    c->n_got = 0;
    http_parser_init(&c->parser, HTTP_RESPONSE);
}

enum progress exchange_go_on(struct client *cl, struct conn *c, enum outcome *why)
{
    enum progress p = send_on(cl, c, why);

    return p == WAITS_TO_READ ? receive_on(cl, c, why) : p;
}

/*
 * httplog - a monitor that writes one line per HTTP request of every connection:
 *
 *     time client method host target status request_bytes response_bytes first last note
 *
 *     monitor "httplog" { plugin = "httplog.so" args = "file=http.log" }      in mos.conf
 *
 *     file=PATH    where the lines go, at its end; without it stdout
 *
 * time is that of the request's first byte, in seconds since 1970. first and last are the seconds
 * from the request's last byte to the response's first and last. Bytes are those of the whole
 * messages, with headers. "-" stands for what is not known; note says what an exchange lacks. What
 * came from outside has spaces, control characters, backslashes and bytes beyond ASCII as \xNN.
 *
 * Nothing is copied but what is in the line: the bytes are read where the endpoint has them
 * (mtcp_peek_iov). A connection that is no HTTP is not looked at again.
 */
#include "apps/common/out.h"
#include "apps/common/plugin.h"
#include "apps/httplog/talk.h"

#include <mtcp_api.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct httplog {
    struct plugin plugin;
    bool will_flush; /* a timer runs */
    struct out out;
};

/* One per connection: the context pointer of its active socket. */
struct client {
    struct httplog *log;
    struct talk talk;
    char addr[PUT_ADDR_MAX];
};

/* ---- lines ----------------------------------------------------------------------------------- */

static char *put_since(char *at, uint64_t asked_at, uint64_t us)
{
    return us > 0 ? put_us(at, us - asked_at) : put_text(at, "-");
}

static char *put_request(char *at, const struct exchange *x)
{
    at = put_text(at, x->has_method ? http_method_str((enum http_method)x->method) : "-");
    *at++ = ' ';
    at = put_foreign(at, x->host.bytes, x->host.len, TALK_HOST_MAX);
    *at++ = ' ';
    return put_foreign(at, x->target.bytes, x->target.len, TALK_TARGET_MAX);
}

static char *put_response(char *at, const struct exchange *x)
{
    at = x->status > 0 ? put_u64(at, x->status) : put_text(at, "-");
    *at++ = ' ';
    at = put_u64(at, x->n_request);
    *at++ = ' ';
    at = put_u64(at, x->n_response);
    *at++ = ' ';
    at = put_since(at, x->asked_at, x->first_at);
    *at++ = ' ';
    return put_since(at, x->asked_at, x->is_answered ? x->last_at : 0);
}

static void on_exchange(void *arg, const struct exchange *x, const char *note)
{
    const struct client *c = arg;
    char *at = out_line(&c->log->out);

    at = put_us(at, plugin_epoch_us(x->begin_at));
    *at++ = ' ';
    at = put_text(at, c->addr);
    *at++ = ' ';
    at = put_request(at, x);
    *at++ = ' ';
    at = put_response(at, x);
    *at++ = ' ';
    at = put_text(at, note[0] != '\0' ? note : "-");
    out_line_end(&c->log->out, at);
}

static void on_flush(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct httplog *l = mtcp_get_uctx(mctx, sock); /* the timer has the passive socket's id */

    (void)side, (void)event, (void)arg;
    l->will_flush = false;
    out_flush(&l->out);
}

/* Lines are written together, but none waits long. */
static void log_flush_soon(struct httplog *l)
{
    struct timeval soon = {.tv_usec = 100000};

    if (l->will_flush || l->out.len == 0)
        return;
    l->will_flush = mtcp_settimer(l->plugin.mctx, l->plugin.sock, &soon, on_flush) == 0;
    if (!l->will_flush)
        out_flush(&l->out);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* The client of an event's socket; made at its first event. NULL without memory. */
static struct client *client_of(mctx_t mctx, int sock)
{
    struct client *c = mtcp_get_uctx(mctx, sock);

    if (c != NULL)
        return c;
    c = malloc(sizeof(*c));
    if (c == NULL)
        return NULL;
    c->log = (struct httplog *)plugin_of(mctx, sock);
    talk_begin(&c->talk, on_exchange, c);
    *put_addr(c->addr, mctx, sock, MOS_SIDE_CLI) = '\0';
    mtcp_set_uctx(mctx, sock, c);
    return c;
}

/* No further event of the connection. */
static void client_drop(struct client *c, mctx_t mctx, int sock)
{
    if (c != NULL) {
        log_flush_soon(c->log);
        talk_free(&c->talk);
        free(c);
    }
    mtcp_set_uctx(mctx, sock, NULL);
    plugin_stop(mctx, sock);
}

/* Bytes are gone: whatever came in them, it is not guessed. */
static void client_missed(struct client *c, uint64_t n)
{
    char note[64];

    snprintf(note, sizeof(note), "%llu bytes were missed", (unsigned long long)n);
    if (c->talk.head == NULL) {
        const struct exchange unknown = {.begin_at = c->talk.now};
        on_exchange(c, &unknown, note);
    }
    talk_end(&c->talk, false, note);
}

/* Reads what is new of a side. False: there is no more to learn from this connection. */
static bool side_read(struct client *c, mctx_t mctx, int sock, int side, uint64_t now_us)
{
    enum talk_from from = side == MOS_SIDE_SVR ? TALK_CLIENT : TALK_SERVER;
    struct iovec iov[2];
    ssize_t n = mtcp_peek_iov(mctx, sock, side, iov);

    if (n < 0) {
        uint64_t missed = plugin_option_u64(
            mctx, sock, side == MOS_SIDE_CLI ? MOS_MISSED_CLIBUF : MOS_MISSED_SVRBUF);
        if (missed > 0)
            client_missed(c, missed);
        return missed == 0;
    }
    for (int i = 0; i < 2; i++)
        if (iov[i].iov_len > 0 &&
            !talk_feed(&c->talk, from, iov[i].iov_base, iov[i].iov_len, now_us))
            return false;
    return mtcp_peek_consume(mctx, sock, side, (size_t)n) == n;
}

/* Requests first: a response that came with them in one burst belongs to them. */
static bool both_read(struct client *c, mctx_t mctx, int sock)
{
    uint64_t now_us = plugin_option_u64(mctx, sock, MOS_TIMESTAMP);

    return c != NULL && side_read(c, mctx, sock, MOS_SIDE_SVR, now_us) &&
           side_read(c, mctx, sock, MOS_SIDE_CLI, now_us);
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct client *c = client_of(mctx, sock);

    (void)side, (void)event, (void)arg;
    if (both_read(c, mctx, sock))
        log_flush_soon(c->log);
    else
        client_drop(c, mctx, sock);
}

/* Where both hosts are elsewhere a request and its response may come in one burst, which
 * MOS_ON_CONN_NEW_DATA tells of when it is over: only packets have times. */
static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (plugin_option(mctx, sock, MOS_REAL_SIDE) < 0)
        mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_data);
}

/* In TIME_WAIT both have said all; CONN_END may be a minute away. */
static void on_state(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    int option = side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR;
    struct client *c = mtcp_get_uctx(mctx, sock);

    (void)event, (void)arg;
    if (plugin_option(mctx, sock, option) != TCP_TIME_WAIT)
        return;
    if (both_read(c, mctx, sock))
        talk_end(&c->talk, true, NULL);
    client_drop(c, mctx, sock);
}

/* Each side has two; the last of the four is the server's as sender. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct client *c = mtcp_get_uctx(mctx, sock);
    int reason = plugin_option(mctx, sock, MOS_END_REASON);

    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || c == NULL)
        return;
    talk_end(&c->talk, reason == MOS_END_FIN || reason == MOS_END_EVICTED, NULL);
    client_drop(c, mctx, sock);
}

/* ---- start and end --------------------------------------------------------------------------- */

static bool log_begin(struct plugin *p, mctx_t mctx, const char *args, char *err, size_t err_len)
{
    static const struct plugin_call calls[] = {
        {MOS_ON_CONN_START, MOS_HK_SND, on_start},
        {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state},
        {MOS_ON_CONN_END, MOS_HK_SND, on_end},
    };
    struct httplog *l = (struct httplog *)p;
    char file[256] = "";
    const struct plugin_arg known[] = {{"file", "PATH", file, sizeof(file), NULL}};

    if (!plugin_args_read(args, known, 1, err, err_len))
        return false;
    if (!out_open(&l->out, "httplog", file)) {
        snprintf(err, err_len, "%s: %s", file, strerror(errno));
        return false;
    }
    return plugin_begin(p, mctx, calls, sizeof(calls) / sizeof(calls[0]));
}

static void log_end(struct plugin *p)
{
    out_close(&((struct httplog *)p)->out);
}

static const struct plugin_kind kind = {"httplog", sizeof(struct httplog), log_begin, log_end};

int mos_monitor_init(mctx_t mctx, const char *args)
{
    return plugin_init(&kind, mctx, args);
}

void mos_monitor_fini(mctx_t mctx)
{
    plugin_fini(&kind, mctx);
}

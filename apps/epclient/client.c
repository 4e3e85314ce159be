#include "apps/epclient/client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENTS_MAX  1024
#define TICK_MS     200 /* how often timeouts are looked at */
#define TRIES_MAX   64  /* requests of a connection that fail at once, in one turn */
#define DATA_SIGNAL UINT64_MAX

static uint64_t clock_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- one connection ---- */

static void conn_close(struct client *cl, struct conn *c, bool at_once)
{
    if (c->sock < 0)
        return;
    cl->by_sock[c->sock] = NULL;
    if (at_once)
        mtcp_abort(cl->mctx, c->sock);
    else
        mtcp_close(cl->mctx, c->sock);
    c->sock = -1;
    c->is_open = false;
}

static int conn_watch(struct client *cl, struct conn *c, int op, bool for_room)
{
    struct mtcp_epoll_event ev = {.events = for_room ? MOS_EPOLLOUT : MOS_EPOLLIN,
                                  .data.u64 = (uint64_t)c->sock};

    c->waits_for_room = for_room;
    return mtcp_epoll_ctl(cl->mctx, cl->epid, op, c->sock, &ev);
}

/* A socket on its way to the server; errno on failure. */
static bool conn_open(struct client *cl, struct conn *c)
{
    const int on = 1;
    const struct url *to = &cl->args->url;

    c->sock = mtcp_socket(cl->mctx, to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->sock < 0)
        return false;
    cl->by_sock[c->sock] = c;
    mtcp_setsockopt(cl->mctx, c->sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (mtcp_connect(cl->mctx, c->sock, (const struct sockaddr *)&to->addr, to->addr_len) < 0 &&
        errno != EINPROGRESS)
        return false;
    return conn_watch(cl, c, MOS_EPOLL_CTL_ADD, true) == 0;
}

static void outcome_count(struct client *cl, const struct conn *c, enum outcome outcome)
{
    cl->outcomes[outcome]++;
    if (outcome == DONE)
        histogram_add(&cl->latency, cl->now_us - c->start_us);
}

/* ---- one request after the other ---- */

/*
 * Begins the connection's next request, opening a socket if it has none. One that fails at once is
 * counted, and the next begun; when many do, the rest waits for the next turn, so that a signal is
 * seen. Without requests left the connection ends.
 */
static void conn_next(struct client *cl, struct conn *c)
{
    for (int n = 0; cl->n_left > 0 && !cl->is_interrupted; n++) {
        if (n == TRIES_MAX) {
            c->is_put_off = true;
            cl->n_put_off++;
            return;
        }
        cl->n_left--;
        c->start_us = cl->now_us;
        exchange_begin(cl, c);
        if (c->sock >= 0 || conn_open(cl, c))
            return;
        outcome_count(cl, c, outcome_of_errno(errno));
        conn_close(cl, c, true);
    }
    conn_close(cl, c, false);
    cl->n_busy--;
}

static void put_off_begin(struct client *cl)
{
    for (int i = 0; cl->n_put_off > 0 && i < cl->args->concurrency; i++) {
        struct conn *c = &cl->conns[i];
        if (!c->is_put_off)
            continue;
        c->is_put_off = false;
        cl->n_put_off--;
        conn_next(cl, c);
    }
}

static void conn_fail(struct client *cl, struct conn *c, enum outcome why)
{
    outcome_count(cl, c, why);
    conn_close(cl, c, true);
    conn_next(cl, c);
}

/* Is it connected? Its error, when it can't be. */
static bool conn_is_open(struct client *cl, struct conn *c, int *err)
{
    socklen_t len = sizeof(*err);

    *err = 0;
    if (!c->is_open && mtcp_getsockopt(cl->mctx, c->sock, SOL_SOCKET, SO_ERROR, err, &len) < 0)
        *err = errno;
    c->is_open = *err == 0;
    return c->is_open;
}

/* Goes on until the connection has to wait; on one that is kept, with the requests that follow. */
static void conn_go_on(struct client *cl, struct conn *c)
{
    enum outcome why = DONE;
    enum progress p;

    do {
        p = exchange_go_on(cl, c, &why);
        if (p != FINISHED_KEEP && p != FINISHED_CLOSE)
            break;
        outcome_count(cl, c, DONE);
        if (p == FINISHED_CLOSE)
            conn_close(cl, c, false);
        conn_next(cl, c);
    } while (p == FINISHED_KEEP && c->sock >= 0);
    if (p == BROKEN)
        conn_fail(cl, c, why);
    else if (c->is_open && (p == WAITS_FOR_ROOM) != c->waits_for_room)
        conn_watch(cl, c, MOS_EPOLL_CTL_MOD, p == WAITS_FOR_ROOM);
}

static void conn_ready(struct client *cl, struct conn *c)
{
    int err;

    if (conn_is_open(cl, c, &err))
        conn_go_on(cl, c);
    else
        conn_fail(cl, c, outcome_of_errno(err));
}

static void timeouts_check(struct client *cl)
{
    const uint64_t limit_us = cl->args->timeout_s * UINT64_C(1000000);

    for (int i = 0; i < cl->args->concurrency; i++)
        if (cl->conns[i].sock >= 0 && cl->now_us - cl->conns[i].start_us >= limit_us)
            conn_fail(cl, &cl->conns[i], FAILED_TIMEOUT);
}

/* ---- all of them ---- */

static bool complain(const char *what)
{
    fprintf(stderr, "epclient: %s: %s\n", what, strerror(errno));
    return false;
}

static bool client_open(struct client *cl)
{
    struct mtcp_conf conf;
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data.u64 = DATA_SIGNAL};

    if (mtcp_getconf(&conf) < 0)
        return complain("configuration");
    cl->max_socks = conf.max_concurrency;
    cl->conns = calloc((size_t)cl->args->concurrency, sizeof(*cl->conns));
    cl->by_sock = calloc((size_t)cl->max_socks, sizeof(struct conn *));
    if (cl->conns == NULL || cl->by_sock == NULL)
        return complain("connections");
    for (int i = 0; i < cl->args->concurrency; i++)
        cl->conns[i].sock = -1;
    cl->mctx = mtcp_create_context(0);
    if (cl->mctx == NULL)
        return false; /* it has said why */
    cl->epid = mtcp_epoll_create1(cl->mctx, 0);
    if (cl->epid < 0 || mtcp_epoll_add_fd(cl->mctx, cl->epid, cl->signal_fd, &ev) < 0)
        return complain("epoll");
    return true;
}

static void client_close(struct client *cl)
{
    for (int i = 0; cl->mctx != NULL && i < cl->args->concurrency; i++)
        conn_close(cl, &cl->conns[i], true);
    if (cl->mctx != NULL)
        mtcp_destroy_context(cl->mctx);
    free(cl->by_sock);
    free(cl->conns);
}

static void events_handle(struct client *cl, const struct mtcp_epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == DATA_SIGNAL)
            cl->is_interrupted = true;
        else if (cl->by_sock[events[i].data.u64] != NULL)
            conn_ready(cl, cl->by_sock[events[i].data.u64]);
    }
}

static void requests_begin(struct client *cl)
{
    cl->begun_us = cl->now_us = clock_us();
    cl->n_left = cl->args->total;
    cl->n_busy = cl->args->concurrency;
    for (int i = 0; i < cl->args->concurrency; i++)
        conn_next(cl, &cl->conns[i]);
}

static bool loop(struct client *cl)
{
    struct mtcp_epoll_event events[EVENTS_MAX];
    uint64_t check_us = cl->now_us;

    while (cl->n_busy > 0 && !cl->is_interrupted) {
        int timeout_ms = cl->n_put_off > 0 ? 0 : TICK_MS;
        int n = mtcp_epoll_wait(cl->mctx, cl->epid, events, EVENTS_MAX, timeout_ms);
        if (n < 0 && errno != EINTR)
            return complain("epoll");
        cl->now_us = clock_us();
        events_handle(cl, events, n);
        put_off_begin(cl);
        if (cl->now_us - check_us >= TICK_MS * UINT64_C(1000)) {
            check_us = cl->now_us;
            timeouts_check(cl);
        }
    }
    cl->ended_us = clock_us();
    return true;
}

bool client_run(struct client *cl)
{
    histogram_init(&cl->latency);
    exchange_prepare(cl);
    bool ok = client_open(cl);
    if (ok) {
        requests_begin(cl);
        ok = loop(cl);
    }
    client_close(cl);
    return ok;
}

#include "apps/epserver/worker.h"

#include "apps/epserver/http.h"
#include "apps/epserver/stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX    1024
#define ACCEPTS_MAX   256 /* at a time, so that the connections there are get their turn */
#define IDLE_SEARCH   64  /* connections that are looked at for one that may be closed */
#define LINGER_MS     2000
#define TICK_MS       500 /* how often timeouts are looked at, while there is a connection */
#define DATA_LISTENER UINT64_MAX
#define DATA_STOP     (UINT64_MAX - 1)

/* ---- start ---- */

static bool complain(const struct worker *w, const char *what)
{
    fprintf(stderr, "epserver: core %d: %s: %s\n", w->core, what, strerror(errno));
    return false;
}

/* Of both families. */
static bool listener_open(struct worker *w)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(w->args->port)};
    const int on = 1;
    char what[32];

    snprintf(what, sizeof(what), "port %u", w->args->port);
    w->listener = mtcp_socket(w->mctx, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (w->listener < 0)
        return complain(w, "listening socket");
    /* Accepted connections inherit it: responses are written in whole pieces. */
    if (mtcp_setsockopt(w->mctx, w->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        return complain(w, "TCP_NODELAY");
    if (mtcp_bind(w->mctx, w->listener, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        mtcp_listen(w->mctx, w->listener, w->args->backlog) < 0)
        return complain(w, what);
    return true;
}

static void listener_watch(struct worker *w, bool on)
{
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN, .data.u64 = DATA_LISTENER};

    if (w->is_listening != on &&
        mtcp_epoll_ctl(w->mctx, w->epid, on ? MOS_EPOLL_CTL_ADD : MOS_EPOLL_CTL_DEL, w->listener,
                       &ev) == 0)
        w->is_listening = on;
}

static bool epoll_open(struct worker *w)
{
    struct mtcp_epoll_event stop = {.events = MOS_EPOLLIN, .data.u64 = DATA_STOP};

    w->epid = mtcp_epoll_create1(w->mctx, 0);
    if (w->epid < 0 || mtcp_epoll_add_fd(w->mctx, w->epid, w->stop_fd, &stop) < 0)
        return complain(w, "epoll");
    listener_watch(w, true);
    return w->is_listening || complain(w, "epoll");
}

static bool worker_open(struct worker *w)
{
    struct mtcp_conf conf;

    mtcp_core_affinitize(w->core); /* not allowed here: it runs where the kernel puts it */
    w->mctx = mtcp_create_context(w->core);
    if (w->mctx == NULL)
        return false; /* it has said why */
    mtcp_getconf(&conf);
    w->max_conns = conf.max_concurrency;
    w->conns = calloc((size_t)w->max_conns, sizeof(struct conn *));
    if (w->conns == NULL)
        return complain(w, "connection table");
    return listener_open(w) && epoll_open(w);
}

/* ---- the loop ---- */

static void clock_read(struct worker *w)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    w->now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (ts.tv_sec != w->date_at)
        httpdate_format(w->date, ts.tv_sec);
    w->date_at = ts.tv_sec;
    w->turn++;
}

static void conn_ready(struct worker *w, struct conn *c)
{
    switch (w->args->mode) {
    case MODE_HTTP:
        http_ready(w, c);
        break;
    case MODE_ECHO:
        echo_ready(w, c);
        break;
    case MODE_RPC:
        rpc_ready(w, c);
        break;
    }
}

static void conn_expire(struct worker *w, struct conn *c)
{
    if (w->args->mode == MODE_HTTP)
        http_timeout(w, c);
    else
        conn_abort(w, c);
}

static void list_expire(struct worker *w, struct conn_list *list, uint64_t timeout_ms)
{
    while (list->oldest != NULL && w->now_ms - list->oldest->since_ms >= timeout_ms) {
        struct conn *c = list->oldest;
        conn_expire(w, c);
        if (list->oldest == c) /* it is still there, with a last word: 408 */
            conn_touch(w, c, list);
    }
}

/* Every id is in use: those that were closed in this turn are usable in the next; else one of the
 * oldest connections makes room if it is between two requests; else nobody is accepted for now. */
static void ids_exhausted(struct worker *w)
{
    struct conn *c = w->alive.oldest;

    if (w->has_closed)
        return;
    for (int i = 0; w->args->mode == MODE_HTTP && c != NULL && i < IDLE_SEARCH; i++, c = c->next)
        if (http_is_idle(w, c)) {
            conn_close(w, c);
            return;
        }
    listener_watch(w, false);
    w->n_conns_full = w->n_conns;
    w->full_ms = w->now_ms;
}

/* Accept again when a connection has gone, or after a while, when others may have become idle. */
static void listener_resume(struct worker *w)
{
    if (!w->is_listening && (w->n_conns < w->n_conns_full || w->now_ms - w->full_ms >= TICK_MS))
        listener_watch(w, true);
}

/* What comes is a request, whose ACK can ride on the answer; often it is there, with the packet that
 * opened the connection. */
static void accepted(struct worker *w, struct conn *c)
{
    const int off = 0;

    (void)mtcp_setsockopt(w->mctx, c->sock, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
    conn_ready(w, c);
}

static void accept_all(struct worker *w)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int sock = mtcp_accept4(w->mctx, w->listener, NULL, NULL, SOCK_NONBLOCK);
        if (sock < 0) {
            if (errno == EMFILE)
                ids_exhausted(w);
            return;
        }
        struct conn *c = sock < w->max_conns ? conn_new(w, sock) : NULL;
        if (c != NULL) {
            accepted(w, c);
            continue;
        }
        mtcp_abort(w->mctx, sock);
        w->has_closed = true;
    }
}

/* False: the end was asked for. */
static bool events_handle(struct worker *w, const struct mtcp_epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == DATA_STOP)
            return false;
        if (events[i].data.u64 == DATA_LISTENER)
            accept_all(w);
        else if (w->conns[events[i].data.u64] != NULL)
            conn_ready(w, w->conns[events[i].data.u64]);
    }
    return true;
}

/* Lines wait for others at most until the next tick, and not while nobody is connected. */
static void log_flush(struct worker *w)
{
    if (w->log.len == 0 || (w->n_conns > 0 && w->now_ms - w->log_ms < TICK_MS))
        return;
    accesslog_flush(&w->log);
    w->log_ms = w->now_ms;
}

static void worker_loop(struct worker *w)
{
    struct mtcp_epoll_event events[EVENTS_MAX];
    int n;

    do {
        listener_resume(w);
        log_flush(w);
        int timeout = w->n_conns > 0 || !w->is_listening ? TICK_MS : -1;
        w->has_closed = false;
        n = mtcp_epoll_wait(w->mctx, w->epid, events, EVENTS_MAX, timeout);
        if (n < 0 && errno != EINTR) {
            complain(w, "epoll");
            return;
        }
        clock_read(w);
        list_expire(w, &w->alive, w->args->timeout_s * UINT64_C(1000));
        list_expire(w, &w->lingering, LINGER_MS);
    } while (events_handle(w, events, n));
}

/* ---- end ---- */

static void worker_close(struct worker *w)
{
    for (int i = 0; w->conns != NULL && i < w->max_conns; i++)
        if (w->conns[i] != NULL)
            conn_close(w, w->conns[i]);
    if (w->mctx != NULL)
        mtcp_destroy_context(w->mctx); /* sends what is queued, and the FINs */
    accesslog_flush(&w->log);
    if (w->log.n_lost > 0) {
        fprintf(stderr, "epserver: core %d: access log: %s; %llu lines are lost\n", w->core,
                strerror(w->log.err), (unsigned long long)w->log.n_lost);
    }
    http_fini(w);
    files_fini(&w->files);
    free(w->conns);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    const uint64_t one = 1;

    clock_read(w);
    files_init(&w->files, w->root_fd);
    accesslog_init(&w->log, w->log_fd);
    w->failed = !worker_open(w);
    sem_post(&w->started);
    if (!w->failed)
        worker_loop(w);
    if (write(w->stop_fd, &one, sizeof(one)) < 0) /* whatever ended it ends the others too */
        complain(w, "eventfd");
    worker_close(w);
    return NULL;
}

bool worker_start(struct worker *w)
{
    sem_init(&w->started, 0, 0);
    int rc = pthread_create(&w->thread, NULL, worker_main, w);
    if (rc != 0) {
        errno = rc;
        return complain(w, "thread");
    }
    while (sem_wait(&w->started) < 0)
        continue;
    if (w->failed)
        pthread_join(w->thread, NULL);
    return !w->failed;
}

void worker_join(struct worker *w)
{
    pthread_join(w->thread, NULL);
}

#include "apps/epclient/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 1024
#define BEGINS_MAX                                                                                 \
    1024              /* requests that begin in one turn, so that answers and signals are seen     \
                       */
#define TICK_MS   200 /* how often timeouts are looked at */
#define DATA_STOP UINT64_MAX

uint64_t clock_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool complain(const struct worker *w, const char *what)
{
    fprintf(stderr, "epclient: core %d: %s: %s\n", w->core, what, strerror(errno));
    return false;
}

/* ---- connections that take a request ---- */

static void queue_push(struct worker *w, struct conn *c)
{
    if (c->is_queued || c->n_asked == w->args->pipeline)
        return;
    c->is_queued = true;
    c->next = NULL;
    *w->queue_end = c;
    w->queue_end = &c->next;
}

static struct conn *queue_pop(struct worker *w)
{
    struct conn *c = w->queue;

    w->queue = c->next;
    if (w->queue == NULL)
        w->queue_end = &w->queue;
    c->is_queued = false;
    return c;
}

/*
 * There was no port, id or memory for a connection, though there was for others. To try again at
 * once would fail again, and an attempt that looks at every port takes long: connections without a
 * socket rest until the next tick.
 */
static void short_of_sockets(struct worker *w)
{
    w->is_short = w->results.n_conns > 0;
}

static void queue_head_rest(struct worker *w)
{
    struct conn *c = queue_pop(w);

    c->next = w->resting;
    w->resting = c;
}

static void rest_end(struct worker *w)
{
    w->is_short = false;
    while (w->resting != NULL) {
        struct conn *c = w->resting;
        w->resting = c->next;
        queue_push(w, c);
    }
}

/* ---- one connection ---- */

static void conn_close(struct worker *w, struct conn *c, bool at_once)
{
    if (c->sock < 0)
        return;
    w->by_sock[c->sock] = NULL;
    if (at_once)
        mtcp_abort(w->mctx, c->sock);
    else
        mtcp_close(w->mctx, c->sock);
    c->sock = -1;
    c->is_open = false;
}

static int conn_watch(struct worker *w, struct conn *c, int op, bool for_room)
{
    struct mtcp_epoll_event ev = {
        .events = for_room ? MOS_EPOLLIN | MOS_EPOLLOUT : MOS_EPOLLIN,
        .data.u64 = (uint64_t)c->sock,
    };

    c->waits_for_room = for_room;
    return mtcp_epoll_ctl(w->mctx, w->epid, op, c->sock, &ev);
}

/* A socket on its way to one address; errno on failure. */
static bool conn_open_to(struct worker *w, struct conn *c, const struct url_addr *addr)
{
    const int on = 1;

    c->sock = mtcp_socket(w->mctx, addr->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->sock < 0)
        return false;
    w->by_sock[c->sock] = c;
    mtcp_setsockopt(w->mctx, c->sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (mtcp_connect(w->mctx, c->sock, (const struct sockaddr *)&addr->to, addr->len) < 0 &&
        errno != EINPROGRESS)
        return false;
    return conn_watch(w, c, MOS_EPOLL_CTL_ADD, true) == 0;
}

/* Of several addresses the first to which there is a way. */
static bool conn_open(struct worker *w, struct conn *c)
{
    const struct url *url = &w->args->url;

    exchange_restart(c);
    while (!conn_open_to(w, c, &url->addrs[w->addr_at])) {
        int err = errno;
        conn_close(w, c, true);
        errno = err;
        if (outcome_of_errno(err) != FAILED_UNREACHABLE || w->results.n_conns > 0 ||
            w->addr_at + 1 == url->n_addrs)
            return false;
        w->addr_at++;
    }
    w->results.n_conns++;
    return true;
}

/* Its requests have failed with it. */
static void conn_fail(struct worker *w, struct conn *c, enum outcome why)
{
    if (why == FAILED_LOCAL)
        short_of_sockets(w);
    exchange_fail(w, c, why);
    conn_close(w, c, true);
    queue_push(w, c);
}

/* The server ends the connection: requests that it will not answer there go to a new one. */
static void conn_end(struct worker *w, struct conn *c)
{
    conn_close(w, c, false);
    if (c->n_asked > 0 && !conn_open(w, c))
        conn_fail(w, c, outcome_of_errno(errno));
    queue_push(w, c);
}

/* What sending or receiving has come to. */
static void conn_step(struct worker *w, struct conn *c, enum progress p, enum outcome why)
{
    if (p == BROKEN) {
        conn_fail(w, c, why);
        return;
    }
    if (p == ENDED) {
        conn_end(w, c);
        return;
    }
    if ((c->n_unsent > 0) != c->waits_for_room)
        conn_watch(w, c, MOS_EPOLL_CTL_MOD, c->n_unsent > 0);
    queue_push(w, c);
}

static void conn_go_on(struct worker *w, struct conn *c)
{
    enum outcome why = DONE, send_why = DONE;
    enum progress sent = exchange_send(w, c, &send_why);
    enum progress p = exchange_receive(w, c, &why); /* also of a broken one: its last answers */

    if (p == GOES_ON && sent == BROKEN)
        conn_step(w, c, BROKEN, send_why);
    else
        conn_step(w, c, p, p == BROKEN && sent == BROKEN ? send_why : why);
}

/* Is it connected? Its error, when it can't be. */
static bool conn_is_open(struct worker *w, struct conn *c, int *err)
{
    socklen_t len = sizeof(*err);

    *err = 0;
    if (!c->is_open && mtcp_getsockopt(w->mctx, c->sock, SOL_SOCKET, SO_ERROR, err, &len) < 0)
        *err = errno;
    return *err == 0;
}

static enum outcome outcome_of_connect(int err)
{
    enum outcome why = outcome_of_errno(err);

    return why == FAILED_TIMEOUT ? FAILED_CONNECT : why;
}

static void conn_ready(struct worker *w, struct conn *c)
{
    int err;

    if (!conn_is_open(w, c, &err)) {
        conn_fail(w, c, outcome_of_connect(err));
        return;
    }
    c->is_open = true;
    conn_go_on(w, c);
}

/* Its oldest request has waited long enough. While connecting, ICMP may have said why. */
static void conn_timeout(struct worker *w, struct conn *c)
{
    int err = 0;

    if (c->is_open)
        conn_fail(w, c, FAILED_TIMEOUT);
    else if (conn_is_open(w, c, &err))
        conn_fail(w, c, FAILED_CONNECT);
    else
        conn_fail(w, c, outcome_of_connect(err));
}

/* One more request for it. */
static void conn_ask(struct worker *w, struct conn *c, const struct request *r)
{
    enum outcome why = DONE;

    exchange_add(w, c, r);
    if (c->sock < 0 && !conn_open(w, c))
        conn_fail(w, c, outcome_of_errno(errno));
    else if (c->is_open && !c->waits_for_room)
        conn_step(w, c, exchange_send(w, c, &why), why);
    queue_push(w, c);
}

/* ---- all of them ---- */

static uint64_t timeout_us(const struct worker *w)
{
    return w->args->timeout_s * 1000000;
}

/* Requests that are due, as far as connections take them. */
static void requests_begin(struct worker *w)
{
    struct request r;

    for (int n = 0; n < BEGINS_MAX && w->queue != NULL; n++) {
        if (w->is_short && w->queue->sock < 0) {
            queue_head_rest(w);
            continue;
        }
        if (!schedule_take(&w->schedule, w->now_us, &r))
            return;
        if (w->now_us - r.start_us >= timeout_us(w))
            w->results.outcomes[FAILED_LATE]++;
        else
            conn_ask(w, queue_pop(w), &r);
    }
}

/* Of requests on their way, and of those that are due and find no connection. */
static void timeouts_check(struct worker *w)
{
    const uint64_t limit_us = timeout_us(w);
    struct request r;

    for (uint32_t i = 0; i < w->n_conns; i++) {
        struct conn *c = &w->conns[i];
        if (c->n_asked > 0 && w->now_us - exchange_since(w, c) >= limit_us)
            conn_timeout(w, c);
    }
    if (w->schedule.rate == 0 || w->now_us < limit_us)
        return;
    while (schedule_take(&w->schedule, w->now_us - limit_us, &r))
        w->results.outcomes[FAILED_LATE]++;
}

/* Until when nothing is to be done but by events. In the last millisecond before a request is due
 * the loop spins, for it shall begin in time. */
static int wait_ms(const struct worker *w)
{
    uint64_t due_us = schedule_due(&w->schedule, w->now_us);

    if (w->queue == NULL || due_us == SCHEDULE_NEVER)
        return TICK_MS;
    if (due_us <= w->now_us)
        return 0;
    uint64_t ms = (due_us - w->now_us) / 1000;
    return ms < TICK_MS ? (int)ms : TICK_MS;
}

static void events_handle(struct worker *w, const struct mtcp_epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == DATA_STOP)
            w->is_stopped = true;
        else if (w->by_sock[events[i].data.u64] != NULL)
            conn_ready(w, w->by_sock[events[i].data.u64]);
    }
}

static void counters_show(struct worker *w)
{
    uint64_t n_done = w->results.outcomes[DONE], n_failed = results_errors(&w->results);

    atomic_store_explicit(&w->n_done, n_done, memory_order_relaxed);
    atomic_store_explicit(&w->n_failed, n_failed, memory_order_relaxed);
}

static bool is_finished(const struct worker *w)
{
    return w->n_asked == 0 && schedule_due(&w->schedule, w->now_us) == SCHEDULE_NEVER;
}

static bool worker_loop(struct worker *w)
{
    struct mtcp_epoll_event events[EVENTS_MAX];
    uint64_t check_us = w->now_us = clock_us();

    while (!is_finished(w)) {
        int n = mtcp_epoll_wait(w->mctx, w->epid, events, EVENTS_MAX, wait_ms(w));
        if (n < 0 && errno != EINTR)
            return complain(w, "epoll");
        w->now_us = clock_us();
        events_handle(w, events, n);
        if (w->is_stopped)
            break;
        requests_begin(w);
        if (w->now_us - check_us >= TICK_MS * UINT64_C(1000)) {
            check_us = w->now_us;
            timeouts_check(w);
            rest_end(w);
        }
        counters_show(w);
    }
    w->results.n_unfinished = w->n_asked;
    w->results.ended_us = clock_us();
    return true;
}

/* ---- begin and end ---- */

static bool conns_make(struct worker *w)
{
    w->conns = calloc(w->n_conns, sizeof(*w->conns));
    w->requests = calloc(w->n_conns * w->args->pipeline, sizeof(*w->requests));
    if (w->conns == NULL || w->requests == NULL)
        return complain(w, "connections");
    w->queue_end = &w->queue;
    for (uint32_t i = 0; i < w->n_conns; i++) {
        struct conn *c = &w->conns[i];
        c->sock = c->out_fd = -1;
        if (w->args->is_hashed && (c->hash = XXH64_createState()) == NULL)
            return complain(w, "connections");
        queue_push(w, c);
    }
    return true;
}

static bool worker_open(struct worker *w)
{
    struct mtcp_conf conf;
    struct mtcp_epoll_event stop = {.events = MOS_EPOLLIN, .data.u64 = DATA_STOP};

    if (mtcp_getconf(&conf) < 0)
        return complain(w, "configuration");
    if (conf.num_cores > 1) /* else it runs where the kernel puts it: a server may be here too */
        mtcp_core_affinitize(w->core);
    w->by_sock = calloc((size_t)conf.max_concurrency, sizeof(struct conn *));
    if (w->by_sock == NULL)
        return complain(w, "connections");
    if (!conns_make(w))
        return false;
    w->mctx = mtcp_create_context(w->core);
    if (w->mctx == NULL)
        return false; /* it has said why */
    w->epid = mtcp_epoll_create1(w->mctx, 0);
    if (w->epid < 0 || mtcp_epoll_add_fd(w->mctx, w->epid, w->stop_fd, &stop) < 0)
        return complain(w, "epoll");
    return true;
}

static void worker_close(struct worker *w)
{
    for (uint32_t i = 0; w->conns != NULL && i < w->n_conns; i++) {
        if (w->mctx != NULL)
            conn_close(w, &w->conns[i], w->conns[i].n_asked > 0);
        if (w->conns[i].out_fd >= 0)
            close(w->conns[i].out_fd);
        XXH64_freeState(w->conns[i].hash);
    }
    if (w->mctx != NULL)
        mtcp_destroy_context(w->mctx);
    free(w->by_sock);
    free(w->requests);
    free(w->conns);
}

static void tell(struct worker *w, int fd)
{
    const uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0)
        complain(w, "eventfd");
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    exchange_prepare(w);
    w->failed = !worker_open(w);
    sem_post(&w->started);
    while (!w->failed && sem_wait(&w->go) < 0)
        continue;
    if (!w->failed && !worker_loop(w))
        w->failed = true;
    if (w->failed)
        tell(w, w->stop_fd); /* what ends it ends the others too */
    worker_close(w);
    tell(w, w->done_fd);
    return NULL;
}

bool worker_start(struct worker *w)
{
    sem_init(&w->started, 0, 0);
    sem_init(&w->go, 0, 0);
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

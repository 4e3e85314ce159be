/*
 * many - a client on the kernel's sockets that holds many connections open at the same time.
 *
 *   many ADDR PORT PATH N [ROUNDS]
 *
 * Opens N connections; when all are established, sends one request on each and reads its response,
 * ROUNDS times over (default 2), all connections staying open. Prints one line; exit status 0 when
 * every response was a 200 of the same length.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 30000

struct conn {
    int fd;
    bool is_done; /* with this step */
    size_t n_got; /* of the response */
    size_t n_all; /* its length, once its head is there; else 0 */
    char head[512];
};

struct load {
    struct sockaddr_in to;
    int n, ep;
    struct conn *conns;
    char request[1024];
    size_t response_len; /* 0: not known yet */
    int n_failed;
};

static void conn_done(struct load *l, struct conn *c, bool ok, const char *why)
{
    if (!ok && l->n_failed++ < 5)
        fprintf(stderr, "many: %s: %s\n", why, strerror(errno));
    c->is_done = true;
}

static void conn_connected(struct load *l, struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof(err);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    errno = err;
    conn_done(l, c, err == 0, "connect");
}

/* The length of the whole response, when the head is complete; 0 before. */
static size_t response_length(const struct conn *c)
{
    const char *end = strstr(c->head, "\r\n\r\n"), *field = strstr(c->head, "Content-Length: ");

    if (end == NULL || field == NULL || field > end)
        return 0;
    return (size_t)(end - c->head) + 4 + (size_t)strtoul(field + 16, NULL, 10);
}

static void conn_read(struct load *l, struct conn *c)
{
    char buf[65536];
    ssize_t n = read(c->fd, buf, sizeof(buf));

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            conn_done(l, c, false, n == 0 ? "closed by the server" : "read");
        return;
    }
    for (ssize_t i = 0; i < n && c->n_got + (size_t)i < sizeof(c->head) - 1; i++)
        c->head[c->n_got + (size_t)i] = buf[i];
    c->n_got += (size_t)n;
    if (c->n_all == 0)
        c->n_all = response_length(c);
    if (c->n_all == 0 || c->n_got < c->n_all)
        return;
    if (l->response_len == 0)
        l->response_len = c->n_all;
    bool ok = strncmp(c->head, "HTTP/1.1 200 ", 13) == 0 && c->n_got == l->response_len;
    conn_done(l, c, ok, "another response");
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits until every connection is done with a step. */
static bool step_wait(struct load *l, uint32_t events, void (*ready)(struct load *, struct conn *))
{
    int n_waiting = 0;
    int64_t until = now_ms() + WAIT_MS;

    for (int i = 0; i < l->n; i++) {
        struct epoll_event ev = {.events = events, .data.ptr = &l->conns[i]};
        l->conns[i].is_done = false;
        epoll_ctl(l->ep, EPOLL_CTL_MOD, l->conns[i].fd, &ev);
        n_waiting++;
    }
    while (n_waiting > 0 && now_ms() < until) {
        struct epoll_event evs[512];
        int n = epoll_wait(l->ep, evs, 512, 1000);
        for (int i = 0; i < n; i++) {
            struct conn *c = evs[i].data.ptr;
            ready(l, c);
            if (!c->is_done)
                continue;
            epoll_ctl(l->ep, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){.data.ptr = c});
            n_waiting--;
        }
    }
    if (n_waiting > 0)
        fprintf(stderr, "many: %d connections still wait after %d s\n", n_waiting, WAIT_MS / 1000);
    l->n_failed += n_waiting;
    return l->n_failed == 0;
}

static bool all_open(struct load *l)
{
    for (int i = 0; i < l->n; i++) {
        struct conn *c = &l->conns[i];
        struct epoll_event ev = {.data.ptr = c};
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || epoll_ctl(l->ep, EPOLL_CTL_ADD, c->fd, &ev) < 0 ||
            (connect(c->fd, (const struct sockaddr *)&l->to, sizeof(l->to)) < 0 &&
             errno != EINPROGRESS)) {
            fprintf(stderr, "many: connection %d: %s\n", i, strerror(errno));
            return false;
        }
    }
    return step_wait(l, EPOLLOUT, conn_connected);
}

static bool all_ask(struct load *l)
{
    size_t len = strlen(l->request);

    for (int i = 0; i < l->n; i++) {
        struct conn *c = &l->conns[i];
        c->n_got = c->n_all = 0;
        memset(c->head, 0, sizeof(c->head));
        if (write(c->fd, l->request, len) != (ssize_t)len) {
            fprintf(stderr, "many: write: %s\n", strerror(errno));
            return false;
        }
    }
    return step_wait(l, EPOLLIN, conn_read);
}

static bool load_init(struct load *l, char **argv)
{
    struct rlimit lim;

    l->n = atoi(argv[4]);
    l->to.sin_family = AF_INET;
    l->to.sin_port = htons((uint16_t)atoi(argv[2]));
    l->ep = epoll_create1(EPOLL_CLOEXEC);
    l->conns = calloc((size_t)l->n, sizeof(*l->conns));
    snprintf(l->request, sizeof(l->request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", argv[3]);
    getrlimit(RLIMIT_NOFILE, &lim);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    return l->conns != NULL && inet_pton(AF_INET, argv[1], &l->to.sin_addr) == 1;
}

int main(int argc, char **argv)
{
    static struct load l;
    int rounds = argc > 5 ? atoi(argv[5]) : 2, done = 0;

    if (argc < 5 || !load_init(&l, argv)) {
        fprintf(stderr, "usage: many ADDR PORT PATH N [ROUNDS]\n");
        return 2;
    }
    bool ok = all_open(&l);
    while (ok && done < rounds) {
        ok = all_ask(&l);
        done += ok;
    }
    printf("many: %d connections open at once, %d of %d rounds served, %d failures\n", l.n, done,
           rounds, l.n_failed);
    return ok ? 0 : 1;
}

/* The application of fuzz_stack: sockets, and what it read compared with what the monitor saw. */
#include "tests/fuzz/stack.h"

#include <mtcp_epoll.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

#define APPS_MAX 16u
#define CHUNK    8192u

struct app {
    int id; /* -1: none */
    unsigned slot;
    uint64_t n_written;
    struct lending lent;
    struct life *life; /* NULL: nobody watches it, as far as is known */
};

static struct app apps[APPS_MAX];

/* ---- sockets --------------------------------------------------------------------------------- */

static struct app *app_of(unsigned slot)
{
    for (unsigned i = APPS_MAX; i-- > 0;)
        if (apps[i].id >= 0 && apps[i].slot == slot)
            return &apps[i];
    return NULL;
}

int app_sock(unsigned slot)
{
    const struct app *a = app_of(slot);
    return a ? a->id : -1;
}

/* Takes note of a new socket; one too many is closed. */
static struct app *app_add(int id, unsigned slot)
{
    struct mtcp_epoll_event ev = {.events = MOS_EPOLLIN | MOS_EPOLLOUT, .data.sock = id};
    for (unsigned i = 0; i < APPS_MAX; i++) {
        if (apps[i].id >= 0)
            continue;
        apps[i] = (struct app){.id = id, .slot = slot};
        mtcp_epoll_ctl(w.m, w.ep, MOS_EPOLL_CTL_ADD, id, &ev);
        return &apps[i];
    }
    mtcp_close(w.m, id);
    return NULL;
}

static struct life *life_of(struct app *a)
{
    if (!a->life)
        a->life = watch_life_of(a->id);
    return a->life;
}

static void app_listen(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(LISTEN_PORT)};
    w.listener = mtcp_socket(w.m, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (w.listener < 0)
        return; /* no memory */
    int on = 1;
    mtcp_setsockopt(w.m, w.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (w.head.conf2 & CONF2_FASTOPEN)
        mtcp_setsockopt(w.m, w.listener, IPPROTO_TCP, TCP_FASTOPEN, &(int){4}, sizeof(int));
    if (mtcp_bind(w.m, w.listener, (struct sockaddr *)&a, sizeof(a)) == 0 &&
        mtcp_listen(w.m, w.listener, (w.head.conf & CONF_BACKLOG_1) ? 1 : 8) == 0)
        return;
    mtcp_close(w.m, w.listener);
    w.listener = -1;
}

void app_accept(void)
{
    struct sockaddr_in6 a; /* the port is where it is in sockaddr_in */
    socklen_t len = sizeof(a);
    int id;
    if (!w.accepts || w.listener < 0)
        return;
    while ((id = mtcp_accept4(w.m, w.listener, (struct sockaddr *)&a, &len, SOCK_NONBLOCK)) >= 0) {
        len = sizeof(a);
        struct app *app = app_add(id, ntohs(a.sin6_port) - PORT_PASSIVE);
        if (app)
            (void)life_of(app);
    }
}

static void app_connect(unsigned slot)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_port = htons((uint16_t)(PORT_ACTIVE + slot))};
    int id = mtcp_socket(w.m, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (id < 0)
        return;
    inet_pton(AF_INET6, slot_is_v6(slot) ? "fd00::2" : "::ffff:10.0.0.2", &a.sin6_addr);
    if (w.head.conf2 & CONF2_FASTOPEN)
        mtcp_setsockopt(w.m, id, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int));
    if (mtcp_connect(w.m, id, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)
        mtcp_close(w.m, id);
    else
        app_add(id, slot);
}

static void app_close(struct app *a, bool by_abort)
{
    if (by_abort)
        mtcp_abort(w.m, a->id);
    else if (mtcp_close(w.m, a->id) < 0 && errno == EDEADLK)
        return; /* lingering, inside a callback */
    lend_end(&a->lent);
    a->id = -1;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static char buf[CHUNK];

/* What was read is the next of the connection's bytes. */
static void app_got(struct app *a, ssize_t n, bool is_peek)
{
    struct life *l = life_of(a);
    if (n <= 0 || !l)
        return;
    HOLDS(!l->is_reset); /* by a monitor: not one more byte */
    watch_compare(l, l->n_read, (uint8_t *)buf, (size_t)n);
    if (!is_peek)
        l->n_read += (uint64_t)n;
}

static void app_read(struct app *a, size_t len)
{
    app_got(a, mtcp_read(w.m, a->id, buf, len < CHUNK ? len : CHUNK), false);
}

static void app_read_all(struct app *a)
{
    ssize_t n;
    while ((n = mtcp_read(w.m, a->id, buf, CHUNK)) > 0)
        app_got(a, n, false);
}

static void app_readv(struct app *a, size_t len)
{
    size_t n = len < CHUNK ? len : CHUNK, half = n / 2;
    struct iovec iov[2] = {{buf, half}, {buf + half, n - half}};
    app_got(a, mtcp_readv(w.m, a->id, iov, 2), false);
}

static ssize_t copy_write(const struct app *a, size_t len)
{
    static char out[CHUNK];
    size_t n = len < CHUNK ? len : CHUNK;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)app_byte(a->n_written + i);
    return mtcp_write(w.m, a->id, out, n);
}

/* Not from inside a callback of another one: the order of the bytes would be anybody's guess. */
static void app_write(struct app *a, size_t len, bool lends)
{
    static bool is_writing;
    if (is_writing)
        return;
    is_writing = true;
    ssize_t done = lends ? lend_write(&a->lent, a->id, a->n_written, len) : copy_write(a, len);
    is_writing = false;
    if (done > 0)
        a->n_written += (uint64_t)done;
}

static void app_shut(struct app *a, unsigned how)
{
    struct life *l = life_of(a);
    if (l && how != SHUT_WR)
        l->has_shut = true;
    mtcp_shutdown(w.m, a->id, (int)how);
}

/* ---- options --------------------------------------------------------------------------------- */

static const struct {
    int level, name;
} options[] = {
    {SOL_SOCKET, SO_RCVBUF},          {SOL_SOCKET, SO_SNDBUF},    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_LINGER},          {IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_QUICKACK},      {IPPROTO_TCP, TCP_MAXSEG},  {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},     {IPPROTO_TCP, TCP_KEEPCNT}, {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT}, {IPPROTO_TCP, TCP_SYNCNT},  {IPPROTO_TCP, TCP_CONGESTION},
};

static void app_option(int id, const struct step *s)
{
    unsigned i = s->arg % (sizeof(options) / sizeof(options[0]));
    int v[2] = {(int)(int16_t)s->len, (s->arg2 & 3) == 3}; /* of SO_LINGER: off or on, seconds */
    if (options[i].name == SO_LINGER && options[i].level == SOL_SOCKET) {
        v[0] = s->arg2 & 1;
        v[1] = (s->arg2 & 2) ? s->len % 5 : 0;
        mtcp_setsockopt(w.m, id, SOL_SOCKET, SO_LINGER, v, sizeof(v));
    } else if (options[i].name == TCP_CONGESTION && options[i].level == IPPROTO_TCP) {
        const char *name = (s->arg2 & 1) ? "cubic" : "newreno";
        mtcp_setsockopt(w.m, id, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
    } else {
        v[0] *= 1 << (s->arg2 >> 4 & 7);
        mtcp_setsockopt(w.m, id, options[i].level, options[i].name, v, sizeof(v[0]));
    }
}

static void app_info(int id)
{
    struct tcp_info info;
    struct sockaddr_in6 a;
    socklen_t len = sizeof(info);
    mtcp_getsockopt(w.m, id, IPPROTO_TCP, TCP_INFO, &info, &len);
    int v;
    for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        len = sizeof(v);
        mtcp_getsockopt(w.m, id, options[i].level, options[i].name, &v, &len);
    }
    len = sizeof(v);
    mtcp_getsockopt(w.m, id, SOL_SOCKET, SO_ERROR, &v, &len);
    len = sizeof(a);
    mtcp_getsockname(w.m, id, (struct sockaddr *)&a, &len);
    mtcp_ioctl(w.m, id, FIONREAD, &v);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void sock_call(struct app *a, const struct step *s)
{
    lend_collect(&a->lent, a->id);
    switch (s->flags % APP_N) {
    case APP_READ:
        app_read(a, s->len);
        break;
    case APP_READ_ALL:
        app_read_all(a);
        break;
    case APP_READV:
        app_readv(a, s->len);
        break;
    case APP_WRITE:
        app_write(a, s->len, false);
        break;
    case APP_LEND:
        app_write(a, s->len, true);
        break;
    case APP_WRITE_MUCH:
        for (unsigned i = 0; i < 8; i++)
            app_write(a, CHUNK, false);
        break;
    case APP_PEEK:
        app_got(a, mtcp_recv(w.m, a->id, buf, s->len < CHUNK ? s->len : CHUNK, MSG_PEEK), true);
        break;
    case APP_SHUT:
        app_shut(a, s->arg % 3);
        break;
    case APP_CLOSE:
    case APP_ABORT:
        app_close(a, s->flags % APP_N == APP_ABORT);
        break;
    case APP_OPTION:
        app_option(a->id, s);
        break;
    default:
        app_info(a->id);
        break;
    }
}

void app_call(const struct step *s)
{
    unsigned slot = (s->slot & STEP_SLOT) % SLOTS;
    struct app *a = app_of(slot);
    switch (s->flags % APP_N) {
    case APP_CONNECT:
        app_connect(slot_is_active(slot) ? slot : SLOTS - 1);
        break;
    case APP_PAUSE_ACCEPT:
        w.accepts = s->arg & 1;
        break;
    case APP_RELISTEN:
        if (w.listener >= 0)
            mtcp_close(w.m, w.listener);
        w.listener = -1;
        if (s->arg & 1)
            app_listen();
        break;
    default:
        if (a)
            sock_call(a, s);
        else if (s->flags % APP_N == APP_OPTION && w.listener >= 0)
            app_option(w.listener, s);
    }
}

void app_start(void)
{
    for (unsigned i = 0; i < APPS_MAX; i++)
        apps[i].id = -1;
    w.accepts = true;
    app_listen();
    HOLDS(w.listener >= 0);
}

void app_end(void)
{
    struct linger now = {0};
    for (unsigned i = 0; i < APPS_MAX; i++) {
        if (apps[i].id < 0)
            continue;
        mtcp_setsockopt(w.m, apps[i].id, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        app_read_all(&apps[i]);
        lend_collect(&apps[i].lent, apps[i].id);
        app_close(&apps[i], false);
    }
    if (w.listener >= 0)
        mtcp_close(w.m, w.listener);
    w.listener = -1;
}

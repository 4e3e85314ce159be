/*
 * Random applications over the public socket calls: each side of each connection follows a plan
 * made from the seed. What is read is compared with what the other side's plan sends (in evasive
 * runs it is only recorded: there the monitor must agree with the application, not with the
 * sender).
 */
#include <netinet/tcp.h>

#include "tests/sim/sim.h"

#include "mtcp/sock/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SERVER_PORT 80

/* ---- what is sent ---- */

/* All streams are cut from one table of random bytes, each begins elsewhere in it. Its length is a
 * prime: no size of a buffer or a segment goes into it, so that a byte at another place shows. The
 * first bytes are there again behind the last, for what runs over the end. */
#define PATTERN_LEN 1000003u

static const char *pattern(void)
{
    static char bytes[PATTERN_LEN + SIM_CHUNK];
    static bool is_made;
    struct rng r;
    if (is_made)
        return bytes;
    rng_init(&r, PATTERN_LEN);
    for (size_t i = 0; i < PATTERN_LEN; i++)
        bytes[i] = (char)rng_u32(&r);
    memcpy(bytes + PATTERN_LEN, bytes, SIM_CHUNK);
    is_made = true;
    return bytes;
}

const char *sim_bytes(const struct sim *s, unsigned id, unsigned side, uint64_t off)
{
    uint64_t x = s->seed + id * 0x9e3779b97f4a7c15u + side * 0xbf58476d1ce4e5b9u;
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    return pattern() + (x % PATTERN_LEN + off) % PATTERN_LEN;
}

/* ---- plans ---- */

/* 0 to about 2 MB, log-uniform: as many tiny ones as large ones. */
static uint64_t plan_total(struct rng *r)
{
    uint32_t bits = rng_below(r, 22);
    return bits == 0 ? 0 : (1u << (bits - 1)) + rng_below(r, 1u << (bits - 1));
}

static void plan_side(struct rng *r, struct plan *p)
{
    static const uint32_t bufs[] = {0, 4096, 8192, 16384, 65536, 262144};
    p->total = plan_total(r);
    p->write_max = 1u << rng_below(r, 17);
    p->read_max = 1u << (3 + rng_below(r, 14));
    if (p->total > 8192 && p->write_max < 512)
        p->write_max = 512; /* a megabyte byte by byte takes for ever and shows nothing more */
    if (p->read_max < 256)
        p->read_max = p->total % 3 ? 256 : p->read_max;
    p->pause_ppm = rng_below(r, 3) ? 0 : 20000;
    p->pause_us = 1000 + rng_below(r, rng_below(r, 8) ? 100000 : 4000000);
    p->n_pauses = 60;
    p->half_close = rng_below(r, 2);
    p->abort_after = rng_below(r, 12) ? UINT64_MAX : rng_below(r, (uint32_t)p->total + 1);
    p->abort_us = rng_below(r, 12) ? SIM_NEVER : rng_below(r, 1u << (10 + rng_below(r, 14)));
    p->abort_by = (enum abort_by)rng_below(r, N_ABORT_BY);
    p->option_ppm = rng_below(r, 2) ? 0 : 3000;
    p->flags_ppm = rng_below(r, 2) ? 0 : 100000;
    p->rcvbuf = bufs[rng_below(r, 6)];
    p->sndbuf = bufs[rng_below(r, 6)];
}

/* Only long writes are not copied after all. */
static void plan_lender(struct rng *r, struct plan *p)
{
    if (rng_below(r, 2))
        p->write_max = SIM_CHUNK;
}

static void plan_bulk(struct sim *s)
{
    s->n_conns = 1;
    memset(&s->conn[0], 0, sizeof(s->conn[0]));
    s->conn[0].start_us = s->now_us;
    for (unsigned k = 0; k < 2; k++) {
        s->conn[0].side[k].sock = -1;
        s->conn[0].side[k].plan = (struct plan){.total = s->bulk,
                                                .write_max = SIM_CHUNK,
                                                .read_max = SIM_CHUNK,
                                                .half_close = true,
                                                .abort_after = UINT64_MAX,
                                                .abort_us = SIM_NEVER};
    }
}

void traffic_plan(struct sim *s)
{
    if (s->bulk) {
        plan_bulk(s);
        return;
    }
    s->n_conns = 4 + rng_below(&s->rng, 5);
    for (unsigned i = 0; i < s->n_conns; i++) {
        struct sim_conn *c = &s->conn[i];
        memset(c, 0, sizeof(*c));
        c->id = i;
        c->start_us = s->now_us + rng_below(&s->rng, 500000);
        for (unsigned k = 0; k < 2; k++) {
            plan_side(&s->rng, &c->side[k].plan);
            if (s->lender == (int)k)
                plan_lender(&s->rng, &c->side[k].plan);
            c->side[k].sock = -1;
        }
    }
}

/* ---- one side acts ---- */

static void side_close(struct sim *s, unsigned host, struct flow_side *f)
{
    if (mtcp_close(s->host[host].mctx, f->sock) < 0)
        sim_fail(s, "close: %s", strerror(errno));
    lend_end(f);
    f->sock = -1;
    f->closed = true;
}

/* Leaves in the middle, in one of three ways. */
static void side_abort(struct sim *s, unsigned host, struct flow_side *f)
{
    mctx_t m = s->host[host].mctx;
    struct linger l = {.l_onoff = 1};
    f->failed = true;
    if (f->plan.abort_by == ABORT_BY_LINGER &&
        mtcp_setsockopt(m, f->sock, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) < 0)
        sim_fail(s, "SO_LINGER: %s", strerror(errno));
    if (f->plan.abort_by == ABORT_BY_CALL)
        mtcp_abort(m, f->sock);
    else
        mtcp_close(m, f->sock);
    lend_end(f);
    f->sock = -1;
    f->closed = true;
}

static void side_failed(struct sim *s, unsigned host, struct flow_side *f, int err)
{
    if (err != ECONNRESET && err != EPIPE && err != ETIMEDOUT && err != ECONNREFUSED &&
        err != EHOSTUNREACH) /* every question for a neighbour may be lost */
        sim_fail(s, "host %u: unexpected error %d (%s)", host, err, strerror(err));
    f->failed = true;
    f->error = err;
    side_close(s, host, f);
}

static bool side_record(struct flow_side *f, const char *buf, size_t n)
{
    if (f->got + n > f->bytes_room) {
        size_t room = (f->got + n) * 2;
        uint8_t *p = realloc(f->bytes, room);
        if (!p)
            return false;
        f->bytes = p;
        f->bytes_room = room;
    }
    memcpy(f->bytes + f->got, buf, n);
    return true;
}

static void side_check(struct sim *s, struct sim_conn *c, unsigned k, const char *buf, size_t n)
{
    struct flow_side *f = &c->side[k];
    if (!s->bulk && !side_record(f, buf, n))
        sim_fail(s, "no memory to record");
    if (!s->evasive && memcmp(buf, sim_bytes(s, c->id, 1 - k, f->got), n) != 0)
        sim_fail(s, "conn %u side %u: a wrong byte in %llu + %zu", c->id, k,
                 (unsigned long long)f->got, n);
    f->got += n;
    s->seen.bytes += n;
    if (f->got > c->side[1 - k].sent && !s->evasive)
        sim_fail(s, "conn %u side %u: read more than was sent", c->id, k);
}

/* What a look leaves is what comes then; an error is told once, to whoever asks first. */
static void side_look(struct sim *s, struct sim_conn *c, unsigned k)
{
    static char buf[SIM_CHUNK];
    struct flow_side *f = &c->side[k];
    size_t want = 1 + rng_below(&s->rng, SIM_CHUNK);
    ssize_t n = mtcp_recv(s->host[k].mctx, f->sock, buf, want, MSG_PEEK);
    if (n > 0 && !s->evasive && memcmp(buf, sim_bytes(s, c->id, 1 - k, f->got), (size_t)n) != 0)
        sim_fail(s, "conn %u side %u: MSG_PEEK: a wrong byte in %llu + %zd", c->id, k,
                 (unsigned long long)f->got, n);
    if (n < 0 && errno != EAGAIN)
        side_failed(s, k, f, errno);
}

static bool side_read(struct sim *s, struct sim_conn *c, unsigned k)
{
    static char buf[SIM_CHUNK];
    struct flow_side *f = &c->side[k];
    if (f->got_end)
        return false;
    if (sim_chance(&s->rng, f->plan.flags_ppm))
        side_look(s, c, k);
    if (f->sock < 0)
        return true;
    uint32_t want = 1 + rng_below(&s->rng, f->plan.read_max);
    ssize_t n = mtcp_read(s->host[k].mctx, f->sock, buf, want < SIM_CHUNK ? want : SIM_CHUNK);
    if (n > 0) {
        side_check(s, c, k, buf, (size_t)n);
        return true;
    }
    if (n == 0) {
        f->got_end = true;
        if (!s->evasive && !c->side[1 - k].failed && f->got != c->side[1 - k].plan.total)
            sim_fail(s, "conn %u side %u: end after %llu of %llu bytes", c->id, k,
                     (unsigned long long)f->got, (unsigned long long)c->side[1 - k].plan.total);
        return true;
    }
    if (errno == EAGAIN)
        return false;
    side_failed(s, k, f, errno);
    return true;
}

static int write_flags(struct sim *s, const struct plan *p)
{
    static const int flags[] = {MSG_MORE, MSG_MORE, MSG_OOB, MSG_DONTWAIT};
    return sim_chance(&s->rng, p->flags_ppm) ? flags[rng_below(&s->rng, 4)] : 0;
}

static bool side_write(struct sim *s, struct sim_conn *c, unsigned k)
{
    struct flow_side *f = &c->side[k];
    if (f->sent_all)
        return false;
    if (f->sent >= f->plan.abort_after) {
        side_abort(s, k, f);
        return true;
    }
    uint64_t left = f->plan.total - f->sent;
    if (left == 0) {
        f->sent_all = true;
        if (f->plan.half_close && mtcp_shutdown(s->host[k].mctx, f->sock, SHUT_WR) < 0 &&
            errno != ENOTCONN)
            sim_fail(s, "shutdown: %s", strerror(errno));
        return true;
    }
    uint32_t n = 1 + rng_below(&s->rng, f->plan.write_max);
    n = n < left ? n : (uint32_t)left;
    n = n < SIM_CHUNK ? n : SIM_CHUNK;
    const char *bytes = sim_bytes(s, c->id, k, f->sent);
    int flags = write_flags(s, &f->plan);
    ssize_t w = s->lender == (int)k ? lend_write(s, k, f, bytes, n, flags)
                                    : mtcp_send(s->host[k].mctx, f->sock, bytes, n, flags);
    if (w > 0) {
        f->sent += (uint64_t)w;
        return true;
    }
    if (w < 0 && errno != EAGAIN && errno != ENOTCONN)
        side_failed(s, k, f, errno);
    return w < 0 && errno != EAGAIN && errno != ENOTCONN;
}

/* Everything is sent and the peer's end was read: close. Without half close the first side to have
 * sent everything closes only after the peer's end came too, unless the peer waits for the same. */
static bool side_end(struct sim *s, struct sim_conn *c, unsigned k)
{
    struct flow_side *f = &c->side[k];
    if (!f->sent_all)
        return false;
    bool peer_waits = !c->side[1 - k].plan.half_close && c->side[1 - k].sent_all &&
                      f->got == c->side[1 - k].plan.total && !c->side[1 - k].closed;
    if (!f->got_end && !(k == 0 && peer_waits))
        return false;
    side_close(s, k, f);
    return true;
}

static uint64_t side_abort_at(const struct sim_conn *c, const struct flow_side *f)
{
    return f->plan.abort_us == SIM_NEVER ? SIM_NEVER : c->start_us + f->plan.abort_us;
}

/* A call would wake it: one that only waits waits for a segment to do so. */
static bool dozes(const struct sim *s, unsigned k, const struct flow_side *f)
{
    return f->sent_all && (sock_find(ctx_of(s->host[k].mctx), f->sock)->flags & SOCKF_DORMANT) != 0;
}

static bool side_step(struct sim *s, struct sim_conn *c, unsigned k)
{
    struct flow_side *f = &c->side[k];
    if (f->sock < 0)
        return false;
    if (s->now_us >= side_abort_at(c, f)) {
        side_abort(s, k, f);
        return true;
    }
    if (dozes(s, k, f))
        return side_end(s, c, k);
    lend_collect(s, k, f);
    if (s->now_us < f->resume_us)
        return false;
    if (sim_chance(&s->rng, f->plan.option_ppm))
        options_change(s, k, f->sock);
    if (f->plan.n_pauses > 0 && sim_chance(&s->rng, f->plan.pause_ppm)) {
        f->plan.n_pauses--;
        f->resume_us = s->now_us + f->plan.pause_us;
        return true;
    }
    bool acted = side_read(s, c, k);
    if (f->sock >= 0)
        acted |= side_write(s, c, k);
    if (f->sock >= 0)
        acted |= side_end(s, c, k);
    return acted;
}

/* ---- connections ---- */

static void side_bufs(struct sim *s, unsigned host, const struct flow_side *f)
{
    mctx_t m = s->host[host].mctx;
    int v = (int)f->plan.rcvbuf;
    if (v && mtcp_setsockopt(m, f->sock, SOL_SOCKET, SO_RCVBUF, &v, sizeof(v)) < 0)
        sim_fail(s, "SO_RCVBUF: %s", strerror(errno));
    v = (int)f->plan.sndbuf;
    if (v && mtcp_setsockopt(m, f->sock, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)) < 0)
        sim_fail(s, "SO_SNDBUF: %s", strerror(errno));
}

/* A peer whose RST was lost must be found out: else a side that only waits would wait for ever. */
static void side_keepalive(struct sim *s, unsigned host, const struct flow_side *f)
{
    static const struct {
        int level, name, value;
    } opt[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
               {IPPROTO_TCP, TCP_KEEPIDLE, 60},
               {IPPROTO_TCP, TCP_KEEPINTVL, 10},
               {IPPROTO_TCP, TCP_KEEPCNT, 9}};
    for (unsigned i = 0; i < sizeof(opt) / sizeof(opt[0]); i++)
        if (mtcp_setsockopt(s->host[host].mctx, f->sock, opt[i].level, opt[i].name, &opt[i].value,
                            sizeof(opt[i].value)) < 0)
            sim_fail(s, "keepalive option %d: %s", opt[i].name, strerror(errno));
}

bool sim_conn_is_v6(const struct sim *s, const struct sim_conn *c)
{
    return s->is_v6 && c->id % 4 != 3;
}

/* Both families may use the same port at the same time. sin_port lies where sin6_port does. */
struct sim_conn *sim_conn_of(struct sim *s, const struct sockaddr_in6 *client)
{
    bool is_v6 = client->sin6_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&client->sin6_addr);
    for (unsigned i = 0; i < s->n_conns; i++)
        if (s->conn[i].port == ntohs(client->sin6_port) && sim_conn_is_v6(s, &s->conn[i]) == is_v6)
            return &s->conn[i];
    return NULL;
}

/* The server's address, of the connection's family; what it is long. */
static socklen_t server_addr(const struct sim *s, const struct sim_conn *c, struct sockaddr_in6 *a)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(SERVER_PORT)};
    if (sim_conn_is_v6(s, c)) {
        *a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(SERVER_PORT)};
        inet_pton(AF_INET6, "fd00::2", &a->sin6_addr);
        return sizeof(*a);
    }
    inet_pton(AF_INET, "10.0.0.2", &v4.sin_addr);
    memcpy(a, &v4, sizeof(v4));
    return sizeof(v4);
}

static bool client_start(struct sim *s, struct sim_conn *c)
{
    struct flow_side *f = &c->side[0];
    if (f->sock >= 0 || f->closed || s->now_us < c->start_us)
        return false;
    mctx_t m = s->host[0].mctx;
    struct sockaddr_in6 a;
    socklen_t len = server_addr(s, c, &a);
    f->sock = mtcp_socket(m, a.sin6_family, SOCK_STREAM, 0);
    if (f->sock < 0) {
        sim_fail(s, "socket: %s", strerror(errno));
        f->closed = true;
        return true;
    }
    mtcp_setsock_nonblock(m, f->sock);
    side_bufs(s, 0, f);
    side_keepalive(s, 0, f);
    options_begin(s, 0, f->sock, &f->plan);
    if (mtcp_connect(m, f->sock, (struct sockaddr *)&a, len) < 0 && errno != EINPROGRESS)
        sim_fail(s, "connect: %s", strerror(errno));
    len = sizeof(a);
    if (mtcp_getsockname(m, f->sock, (struct sockaddr *)&a, &len) < 0)
        sim_fail(s, "getsockname: %s", strerror(errno));
    c->port = ntohs(a.sin6_port); /* where sin_port is, too */
    s->seen.conns++;
    return true;
}

static bool server_accept(struct sim *s)
{
    mctx_t m = s->host[1].mctx;
    struct sockaddr_in6 a;
    socklen_t len = sizeof(a);
    int sock = mtcp_accept(m, s->host[1].listener, (struct sockaddr *)&a, &len);
    if (sock < 0)
        return false;
    mtcp_setsock_nonblock(m, sock);
    struct sim_conn *c = sim_conn_of(s, &a);
    struct flow_side *f = c ? &c->side[1] : NULL;
    if (!f)
        sim_fail(s, "accepted a connection from an unknown port %u", ntohs(a.sin6_port));
    if (!f || f->closed || f->sock >= 0) {
        /* an old copy of what opens a connection at one stroke: a SYN with data and a cookie
         * (RFC 7413 2.1), the answer to a SYN cookie */
        mtcp_close(m, sock);
        return true;
    }
    f->sock = sock;
    side_bufs(s, 1, f);
    side_keepalive(s, 1, f);
    options_begin(s, 1, f->sock, &f->plan);
    return true;
}

bool traffic_step(struct sim *s)
{
    bool acted = server_accept(s);
    for (unsigned i = 0; i < s->n_conns; i++) {
        acted |= client_start(s, &s->conn[i]);
        for (unsigned k = 0; k < 2; k++)
            acted |= side_step(s, &s->conn[i], k);
    }
    return acted;
}

bool traffic_done(const struct sim *s)
{
    for (unsigned i = 0; i < s->n_conns; i++) {
        const struct sim_conn *c = &s->conn[i];
        if (!c->side[0].closed)
            return false;
        if (!c->side[1].closed && c->side[1].sock >= 0)
            return false;
    }
    return true;
}

static uint64_t side_next_us(const struct sim *s, const struct sim_conn *c,
                             const struct flow_side *f, uint64_t next)
{
    if (f->sock < 0)
        return next;
    if (f->resume_us > s->now_us && f->resume_us < next)
        next = f->resume_us;
    uint64_t abort_at = side_abort_at(c, f);
    return abort_at > s->now_us && abort_at < next ? abort_at : next;
}

uint64_t traffic_next_us(const struct sim *s)
{
    uint64_t next = SIM_NEVER;
    for (unsigned i = 0; i < s->n_conns; i++) {
        const struct sim_conn *c = &s->conn[i];
        if (c->side[0].sock < 0 && !c->side[0].closed && c->start_us < next)
            next = c->start_us;
        for (unsigned k = 0; k < 2; k++)
            next = side_next_us(s, c, &c->side[k], next);
    }
    return next;
}

void traffic_check_end(struct sim *s)
{
    for (unsigned i = 0; i < s->n_conns; i++) {
        struct sim_conn *c = &s->conn[i];
        bool failed = c->side[0].failed || c->side[1].failed;
        for (unsigned k = 0; k < 2; k++) {
            struct flow_side *f = &c->side[k];
            if (!failed && !s->evasive && f->got != c->side[1 - k].plan.total)
                sim_fail(s, "conn %u side %u: got %llu of %llu bytes", i, k,
                         (unsigned long long)f->got, (unsigned long long)c->side[1 - k].plan.total);
            if (f->error == ECONNRESET)
                s->seen.resets++;
            free(f->bytes);
            f->bytes = NULL;
        }
    }
}

/*
 * A SYN flood: spoofed SYNs share the server's link with two connections that carry as much as they
 * can, one each way, and with newcomers that ask and are answered. Each family is run twice,
 * without the flood and with it: the connections must be as fast, every newcomer be served, and the
 * server's memory grow by no more than its half-open records.
 */
#include "tests/sim/sim.h"

#include "mtcp/core/ctx.h"
#include "mtcp/wire/build.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_US        10000000ull /* of flood, after what follows */
#define START_US      2000000ull
#define REST_US       5000000ull /* for the last newcomers */
#define NEWCOMER_US   10000u     /* one in so long */
#define NEWCOMERS_MAX 128u       /* at once */
#define TALK          1000u      /* bytes of a newcomer's question, and of its answer */
#define CHUNK         65536u
#define CHECKS        16 /* of two families */
#define BACKLOG       128
#define NEWCOMER_SLOW 200000u /* of a question and its answer; the round trip is 10 ms */
#define GOODPUT_LEAST 95u     /* per cent of what it is without the flood */
#define RECORDS_ROOM  262144u /* bytes, of the half-open records and neighbours looked for */
#define FLAT_ROOM     16384u  /* bytes, of a newcomer more */

struct client {
    int sock; /* -1: none */
    uint64_t start_us;
    bool has_asked;
    uint32_t got;
};

struct served {
    int sock; /* -1: none */
    uint32_t got;
};

struct run {
    struct hosts hosts;
    bool is_v6;
    uint64_t n_syns, n_sent;  /* spoofed ones */
    uint64_t start_us;        /* of the flood */
    int listener, bulk[2][2]; /* [way][host]: way 0 to the server */
    uint64_t got[2];
    struct client clients[NEWCOMERS_MAX];
    struct served served[NEWCOMERS_MAX];
    uint64_t next_newcomer_us, n_newcomers, n_done, n_slow, n_failed;
    size_t mem_most, mem_early; /* of the server; until a third of the flood is over */
};

static char bytes[CHUNK];

/* ---- the attacker ---------------------------------------------------------------------------- */

/* Most come from anywhere, some from neighbours that do not exist. */
static struct ip_addr spoofed_addr(struct run *r)
{
    struct rng *g = &r->hosts.sim.rng;
    bool is_near = rng_below(g, 16) == 0;
    uint32_t any = rng_u32(g);
    struct ip_addr a;
    if (!r->is_v6)
        return ip_addr_v4(
            be32_make(is_near ? 0x0a000003u + any % 250 : 0x0b000000u + any % 0x10000000u));
    (void)ip_addr_parse(is_near ? "fd00::" : "2001:db8::", &a);
    a.w[3] = be32_make(any | 0x10000u);
    return a;
}

static void spoof_syn(struct run *r)
{
    uint8_t frame[BUILD_HDR_MAX];
    struct rng *g = &r->hosts.sim.rng;
    struct build_l2 l2 = {.src = {{2, 0, 0, 0, 0, 1}}, .dst = {{2, 0, 0, 0, 0, 2}}};
    struct seg s = {.tuple = {.local = spoofed_addr(r),
                              .local_port = (uint16_t)(1024 + rng_below(g, 60000)),
                              .remote_port = 80},
                    .seq = seq_make(rng_u32(g)),
                    .flags = TCP_SYN,
                    .wnd = 64240,
                    .ttl = 64,
                    .opt = {.has_mss = true, .mss = 1460}};
    (void)ip_addr_parse(r->is_v6 ? "fd00::2" : "10.0.0.2", &s.tuple.remote);
    struct build_lens lens = build_tcp(frame, &l2, &s, (uint16_t)r->n_sent);
    build_tcp_csum(frame, lens, 0, (struct build_offload){0});
    link_inject(r->hosts.sim.link, 1, frame, (uint32_t)lens.l2 + lens.l3 + lens.l4);
}

/* As many as are due by now; when the next one is. */
static uint64_t flood_act(struct run *r)
{
    uint64_t now = r->hosts.sim.now_us;
    if (r->n_sent == r->n_syns)
        return SIM_NEVER;
    if (now < r->start_us)
        return r->start_us;
    for (; r->n_sent < r->n_syns && r->n_sent * RUN_US <= (now - r->start_us) * r->n_syns;
         r->n_sent++)
        spoof_syn(r);
    return now + RUN_US / r->n_syns + 1;
}

/* ---- the applications ------------------------------------------------------------------------ */

static socklen_t server_addr(const struct run *r, struct sockaddr_storage *ss)
{
    struct sockaddr_in *in = (void *)ss;
    struct sockaddr_in6 *in6 = (void *)ss;
    memset(ss, 0, sizeof(*ss));
    ss->ss_family = r->is_v6 ? AF_INET6 : AF_INET;
    if (r->is_v6) {
        in6->sin6_port = htons(80);
        inet_pton(AF_INET6, "fd00::2", &in6->sin6_addr);
        return sizeof(*in6);
    }
    in->sin_port = htons(80);
    inet_pton(AF_INET, "10.0.0.2", &in->sin_addr);
    return sizeof(*in);
}

static int client_connect(struct run *r)
{
    struct sockaddr_storage to;
    socklen_t len = server_addr(r, &to);
    mctx_t m = r->hosts.m[0];
    int sock = mtcp_socket(m, to.ss_family, SOCK_STREAM, 0);
    if (sock < 0)
        return -1;
    mtcp_setsock_nonblock(m, sock);
    if (mtcp_connect(m, sock, (struct sockaddr *)&to, len) == 0 || errno == EINPROGRESS)
        return sock;
    mtcp_close(m, sock);
    return -1;
}

/* The first two connections carry the bulk, one each way; the rest are newcomers. */
static void server_accept(struct run *r)
{
    int sock;
    mctx_t m = r->hosts.m[1];
    while ((sock = mtcp_accept(m, r->listener, NULL, NULL)) >= 0) {
        int *bulk = r->bulk[0][1] < 0 ? &r->bulk[0][1] : &r->bulk[1][1];
        mtcp_setsock_nonblock(m, sock);
        if (*bulk < 0) {
            *bulk = sock;
            continue;
        }
        unsigned i = 0;
        while (i < NEWCOMERS_MAX && r->served[i].sock >= 0)
            i++;
        if (i == NEWCOMERS_MAX)
            mtcp_abort(m, sock);
        else
            r->served[i] = (struct served){.sock = sock};
    }
}

static void served_act(struct run *r, struct served *s)
{
    mctx_t m = r->hosts.m[1];
    ssize_t n;
    while (s->sock >= 0 && (n = mtcp_read(m, s->sock, bytes, sizeof(bytes))) >= 0) {
        s->got += (uint32_t)n;
        if (n > 0 && s->got == TALK)
            (void)mtcp_write(m, s->sock, bytes, TALK); /* its first bytes: there is room */
        if (n == 0) {
            mtcp_close(m, s->sock);
            s->sock = -1;
        }
    }
    if (s->sock >= 0 && errno != EAGAIN) {
        mtcp_close(m, s->sock);
        s->sock = -1;
    }
}

static void client_end(struct run *r, struct client *c, bool is_good)
{
    uint64_t took = r->hosts.sim.now_us - c->start_us;
    mtcp_close(r->hosts.m[0], c->sock);
    c->sock = -1;
    r->n_done += is_good;
    r->n_failed += !is_good;
    r->n_slow += is_good && took > NEWCOMER_SLOW;
}

static void client_act(struct run *r, struct client *c)
{
    mctx_t m = r->hosts.m[0];
    c->has_asked = c->has_asked || mtcp_write(m, c->sock, bytes, TALK) > 0;
    ssize_t n = mtcp_read(m, c->sock, bytes, sizeof(bytes));
    if (n > 0)
        c->got += (uint32_t)n;
    if (c->got == TALK)
        client_end(r, c, true);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != ENOTCONN))
        client_end(r, c, false);
}

static uint64_t newcomers_act(struct run *r)
{
    uint64_t now = r->hosts.sim.now_us;
    bool is_due = now >= r->next_newcomer_us;
    for (unsigned i = 0; i < NEWCOMERS_MAX; i++) {
        struct client *c = &r->clients[i];
        if (c->sock >= 0)
            client_act(r, c);
        if (c->sock >= 0 || !is_due)
            continue;
        *c = (struct client){.sock = client_connect(r), .start_us = now};
        r->n_newcomers++;
        r->next_newcomer_us = now + NEWCOMER_US;
        r->n_failed += c->sock < 0;
        is_due = false;
    }
    if (is_due)
        r->next_newcomer_us = now + NEWCOMER_US; /* all places are taken */
    return r->next_newcomer_us;
}

static void bulk_act(struct run *r, unsigned way)
{
    unsigned from = way, to = 1 - way;
    mctx_t *m = r->hosts.m;
    ssize_t n;
    if (r->bulk[way][0] < 0 || r->bulk[way][1] < 0)
        return;
    while (mtcp_write(m[from], r->bulk[way][from], bytes, sizeof(bytes)) > 0)
        ;
    while ((n = mtcp_read(m[to], r->bulk[way][to], bytes, sizeof(bytes))) > 0)
        if (r->hosts.sim.now_us >= r->start_us)
            r->got[way] += (uint64_t)n;
}

/* ---- one run --------------------------------------------------------------------------------- */

static void run_open(struct run *r)
{
    struct link_conf lc = {.mtu = 1500,
                           .delay_us = 5000,
                           .bytes_per_sec = 125000000, /* 1 Gbit/s */
                           .queue_bytes = 1250000};
    char conf[128];
    struct sockaddr_storage at;
    socklen_t len = server_addr(r, &at);
    snprintf(conf, sizeof(conf),
             " max_concurrency = 256\n rmem_size = 256K\n wmem_size = 256K\n"
             " route \"default\" { gateway = \"%s\" }\n",
             r->is_v6 ? "fd00::1" : "10.0.0.1");
    hosts_open(&r->hosts, &lc, r->is_v6, conf);
    mctx_t m = r->hosts.m[1];
    r->listener = mtcp_socket(m, at.ss_family, SOCK_STREAM, 0);
    mtcp_setsock_nonblock(m, r->listener);
    if (mtcp_bind(m, r->listener, (struct sockaddr *)&at, len) < 0 ||
        mtcp_listen(m, r->listener, BACKLOG) < 0)
        perror("sim: flood");
    for (unsigned i = 0; i < NEWCOMERS_MAX; i++)
        r->clients[i].sock = r->served[i].sock = -1;
    r->bulk[0][1] = r->bulk[1][1] = -1;
    r->bulk[0][0] = client_connect(r);
    r->bulk[1][0] = client_connect(r);
    r->start_us = r->hosts.sim.now_us + START_US;
    r->next_newcomer_us = r->start_us;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Until `end`; newcomers come until the rest begins. */
static void run_until(struct run *r, uint64_t end)
{
    struct hosts *h = &r->hosts;
    while (h->sim.now_us < end) {
        uint64_t next = min_u64(end, flood_act(r));
        hosts_turn(h);
        server_accept(r);
        bulk_act(r, 0);
        bulk_act(r, 1);
        next = min_u64(next, newcomers_act(r));
        for (unsigned i = 0; i < NEWCOMERS_MAX; i++)
            if (r->served[i].sock >= 0)
                served_act(r, &r->served[i]);
        /* By a third each of the few socket ids was used once: their table has its full size. */
        size_t mem = mem_in_use(ctx_of(h->m[1])->mem);
        r->mem_most = mem > r->mem_most ? mem : r->mem_most;
        if (h->sim.now_us < r->start_us + RUN_US / 3)
            r->mem_early = r->mem_most;
        hosts_tick(h, next);
    }
}

static void run_close(struct run *r)
{
    mctx_t *m = r->hosts.m;
    for (unsigned i = 0; i < 2; i++)
        for (unsigned way = 0; way < 2; way++)
            if (r->bulk[way][i] >= 0)
                mtcp_abort(m[i], r->bulk[way][i]);
    for (unsigned i = 0; i < NEWCOMERS_MAX; i++) {
        if (r->clients[i].sock >= 0)
            mtcp_abort(m[0], r->clients[i].sock);
        if (r->served[i].sock >= 0)
            mtcp_abort(m[1], r->served[i].sock);
    }
    hosts_close(&r->hosts);
}

static void run(struct run *r, bool is_v6, uint64_t n_syns)
{
    memset(r, 0, sizeof(*r));
    r->is_v6 = is_v6;
    r->n_syns = n_syns;
    run_open(r);
    run_until(r, r->start_us + RUN_US);
    uint64_t got[2] = {r->got[0], r->got[1]};
    r->next_newcomer_us = SIM_NEVER;
    run_until(r, r->hosts.sim.now_us + REST_US);
    memcpy(r->got, got, sizeof(got));
}

/* ---- what it must show ----------------------------------------------------------------------- */

static unsigned check(bool ok, const char *what)
{
    if (!ok)
        fprintf(stderr, "sim: flood: %s\n", what);
    return !ok;
}

static unsigned family_check(const struct run *calm, const struct run *flood)
{
    const struct net_stats *s = &ctx_of(flood->hosts.m[1])->net.stats;
    unsigned bad = check(flood->n_sent == flood->n_syns && s->cookies_sent > flood->n_syns * 9 / 10,
                         "the SYNs did not arrive");
    for (unsigned way = 0; way < 2; way++)
        bad += check(flood->got[way] * 100 >= calm->got[way] * GOODPUT_LEAST,
                     way ? "goodput from the server fell" : "goodput to the server fell");
    bad += check(calm->n_done == calm->n_newcomers && calm->n_slow == 0,
                 "newcomers failed without a flood");
    bad += check(flood->n_done == flood->n_newcomers, "a newcomer was not served");
    bad += check(flood->n_slow * 100 <= flood->n_newcomers, "newcomers had to wait");
    bad += check(flood->mem_most <= calm->mem_most + RECORDS_ROOM, "the flood takes memory");
    bad += check(flood->mem_most <= flood->mem_early + FLAT_ROOM, "the server's memory grew");
    return bad;
}

static void print_run(const struct run *r)
{
    const struct net_stats *s = &ctx_of(r->hosts.m[1])->net.stats;
    printf("sim: flood: IPv%u, %7llu SYNs: %4llu Mbit/s to the server, %4llu from it; %llu of %llu "
           "newcomers served, %llu of them slowly; %zu bytes at most; %llu cookies, %llu taken\n",
           r->is_v6 ? 6 : 4, (unsigned long long)r->n_sent,
           (unsigned long long)(r->got[0] * 8 / RUN_US),
           (unsigned long long)(r->got[1] * 8 / RUN_US), (unsigned long long)r->n_done,
           (unsigned long long)r->n_newcomers, (unsigned long long)r->n_slow, r->mem_most,
           (unsigned long long)s->cookies_sent, (unsigned long long)s->cookies_taken);
}

bool flood_run(uint64_t n_syns)
{
    static struct run calm, flood;
    unsigned bad = 0;
    for (unsigned v6 = 0; v6 < 2; v6++) {
        run(&calm, v6, 0);
        run(&flood, v6, n_syns);
        print_run(&calm);
        print_run(&flood);
        bad += family_check(&calm, &flood);
        run_close(&calm);
        run_close(&flood);
    }
    printf("sim-flood: %u passed, %u failed\n", CHECKS - bad, bad);
    return bad == 0;
}

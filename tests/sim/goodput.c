/*
 * Goodput: one connection sends as much as it can for half a minute over a link with a rate, a
 * delay and a queue, that loses or reorders; how much does the other application get?
 * Deterministic, so that a change in loss recovery or congestion control shows as a changed cell.
 */
#include "tests/sim/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_US    30000000ull
#define CHUNK     65536u
#define TOLERANCE 6 /* one part in so many */

struct cell {
    const char *cc;
    uint32_t rate_mbit, rtt_ms;
    uint32_t loss_ppm, reorder_ppm;
    uint32_t buf_kb; /* fixed; 0: as the traffic needs */
    bool no_sack;
};

struct run {
    struct hosts hosts;
    int sock[2], listener;
};

/* ---- one cell -------------------------------------------------------------------------------- */

static void run_open(struct run *r, const struct cell *c)
{
    char conf[256], bufs[64] = "";
    uint64_t rate = c->rate_mbit * 125000ull;
    struct link_conf lc = {.mtu = 1500,
                           .delay_us = c->rtt_ms * 500u,
                           .bytes_per_sec = rate,
                           .queue_bytes = (uint32_t)(rate / 50), /* 20 ms */
                           .loss_ppm = c->loss_ppm,
                           .reorder_ppm = c->reorder_ppm,
                           .jitter_us = c->reorder_ppm ? c->rtt_ms * 250u : 0};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
    if (c->buf_kb)
        snprintf(bufs, sizeof(bufs), " rmem_size = %uK\n wmem_size = %uK\n", c->buf_kb, c->buf_kb);
    snprintf(conf, sizeof(conf),
             " max_concurrency = 16\n%s tcp_sack = %s\n tcp_congestion = \"%s\"\n", bufs,
             c->no_sack ? "false" : "true", c->cc);
    hosts_open(&r->hosts, &lc, false, conf);
    mctx_t *m = r->hosts.m;
    r->listener = mtcp_socket(m[1], AF_INET, SOCK_STREAM, 0);
    r->sock[0] = mtcp_socket(m[0], AF_INET, SOCK_STREAM, 0);
    r->sock[1] = -1;
    mtcp_setsock_nonblock(m[0], r->sock[0]);
    mtcp_setsock_nonblock(m[1], r->listener);
    inet_pton(AF_INET, "10.0.0.2", &a.sin_addr);
    if (mtcp_bind(m[1], r->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        mtcp_listen(m[1], r->listener, 1) < 0 ||
        (mtcp_connect(m[0], r->sock[0], (struct sockaddr *)&a, sizeof(a)) < 0 &&
         errno != EINPROGRESS))
        perror("sim: goodput");
}

static void run_close(struct run *r)
{
    mtcp_abort(r->hosts.m[0], r->sock[0]);
    if (r->sock[1] >= 0)
        mtcp_abort(r->hosts.m[1], r->sock[1]);
    hosts_close(&r->hosts);
}

/* Both applications act; what the receiver got. */
static uint64_t apps_act(struct run *r)
{
    static char buf[CHUNK];
    mctx_t *m = r->hosts.m;
    uint64_t got = 0;
    ssize_t n;
    while (mtcp_write(m[0], r->sock[0], buf, sizeof(buf)) > 0)
        ;
    if (r->sock[1] < 0) {
        r->sock[1] = mtcp_accept(m[1], r->listener, NULL, NULL);
        if (r->sock[1] < 0)
            return 0;
        mtcp_setsock_nonblock(m[1], r->sock[1]);
    }
    while ((n = mtcp_read(m[1], r->sock[1], buf, sizeof(buf))) > 0)
        got += (uint64_t)n;
    return got;
}

/* kbit/s. */
static uint64_t goodput(const struct cell *c)
{
    static struct run r;
    uint64_t got = 0;
    run_open(&r, c);
    uint64_t end = r.hosts.sim.now_us + RUN_US;
    while (r.hosts.sim.now_us < end) {
        hosts_turn(&r.hosts);
        got += apps_act(&r);
        hosts_tick(&r.hosts, SIM_NEVER);
    }
    run_close(&r);
    return got * 8 * 1000 / RUN_US;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* What an earlier table says of the cell, 0: nothing. */
static uint64_t earlier(FILE *f, const char *name)
{
    char line[128];
    size_t n = strlen(name);
    rewind(f);
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, name, n) == 0)
            return strtoull(line + n, NULL, 10);
    return 0;
}

/* False: the cell differs from the earlier table. */
static bool cell_run(const struct cell *c, FILE *f)
{
    char name[96], buf[16] = "auto";
    if (c->buf_kb)
        snprintf(buf, sizeof(buf), "%uK", c->buf_kb);
    snprintf(name, sizeof(name),
             "%-8s %4u Mbit/s %4u ms  loss %4.1f %%  reordered %4.1f %%  %5s %s ", c->cc,
             c->rate_mbit, c->rtt_ms, c->loss_ppm / 1e4, c->reorder_ppm / 1e4, buf,
             c->no_sack ? "nosack" : "sack  ");
    uint64_t now = goodput(c), was = f ? earlier(f, name) : 0;
    bool same = !f || (now > was - was / TOLERANCE && now < was + was / TOLERANCE);
    if (!f)
        printf("%s%8llu kbit/s\n", name, (unsigned long long)now);
    else if (!same)
        printf("%s%8llu kbit/s, was %llu\n", name, (unsigned long long)now,
               (unsigned long long)was);
    fflush(stdout);
    return same;
}

static unsigned cc_run(const char *cc, FILE *f, unsigned *n)
{
    static const uint32_t loss[] = {0, 1000, 10000, 30000}, rtt[] = {10, 50, 200}, buf[] = {0, 64},
                          reorder[] = {10000, 100000, 500000};
    unsigned bad = 0;
    for (unsigned i = 0; i < 4 * 3 * 2; i++, ++*n) {
        struct cell c = {cc, 100, rtt[i / 2 % 3], loss[i / 6], 0, buf[i % 2], false};
        bad += !cell_run(&c, f);
    }
    for (unsigned i = 0; i < 3; i++, ++*n) {
        struct cell c = {cc, 100, 50, 0, reorder[i], 0, false};
        bad += !cell_run(&c, f);
    }
    struct cell plain = {cc, 100, 50, 10000, 0, 0, true}, fast = {cc, 1000, 50, 10000, 0, 0, false};
    *n += 2;
    return bad + !cell_run(&plain, f) + !cell_run(&fast, f);
}

bool goodput_table(const char *file)
{
    FILE *f = file ? fopen(file, "r") : NULL;
    unsigned n = 0, bad = 0;
    if (file && !f) {
        perror(file);
        return false;
    }
    bad += cc_run("cubic", f, &n);
    bad += cc_run("newreno", f, &n);
    if (f) {
        printf("sim-goodput: %u passed, %u failed\n", n - bad, bad);
        fclose(f);
    }
    return bad == 0;
}

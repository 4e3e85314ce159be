/* One simulated run from one seed. */
#include "tests/sim/sim.h"

#include "mtcp/core/ctx.h"
#include "mtcp/tcp/isn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A day of virtual time: a run that needs more hangs. Without timestamps the back-off stays until a
 * packet comes through at once (RFC 6298 5.7), so where much is lost, a megabyte in small segments
 * can take many hours. */
#define RUN_MAX_US (24ull * 3600 * 1000000)
#define TURNS_MAX  30000000ull

/* ISNs close to the wrap in a quarter of the runs: the linker sends tcp_isn() here (--wrap). */
static bool isn_near_wrap;
tcp_seq_t __real_tcp_isn(const struct tcp_env *e, const struct flow_tuple *t);
tcp_seq_t __wrap_tcp_isn(const struct tcp_env *e, const struct flow_tuple *t);
tcp_seq_t __wrap_tcp_isn(const struct tcp_env *e, const struct flow_tuple *t)
{
    tcp_seq_t real = __real_tcp_isn(e, t);
    if (!isn_near_wrap)
        return real;
    uint32_t edge = (real.v & 1) ? 0u : 1u << 31;
    return seq_make(edge - 2 - (real.v >> 1) % 40000);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
    va_list ap;
    if (s->n_failures++ > 10)
        return;
    va_start(ap, fmt);
    fprintf(stderr, "sim: seed %llu at %.6f s: ", (unsigned long long)s->seed,
            (double)s->now_us / 1e6);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

static uint64_t sim_now(void *arg)
{
    return ((struct sim *)arg)->now_us;
}

/* Only the simulation moves the clock, but that a context which ends waits for connections that a
 * failed run has left. */
static void sim_wait(void *arg, uint64_t until_us)
{
    struct sim *s = arg;
    if (s->n_failures > 0 && until_us > s->now_us && until_us != SIM_NEVER)
        s->now_us = until_us;
}

/* ---- set-up ---- */

static bool host_start(struct sim *s, unsigned i)
{
    char text[1024];
    struct host *h = &s->host[i];
    struct mtcp_io *io = link_end(s->link, i);
    struct mtcp_env env = {
        .now_us = sim_now, .wait = sim_wait, .arg = s, .seed = rng_u64(&s->rng) | 1};
    if (s->bulk)
        plan_bulk_host(s, i, text, sizeof(text));
    else
        plan_host(s, i, text, sizeof(text));
    h->mctx = mtcp_create_context_io((int)i, text, &io, 1, &env);
    if (!h->mctx) {
        sim_fail(s, "no context: %s", strerror(errno));
        return false;
    }
    h->epid = mtcp_epoll_create(h->mctx, 1);
    return true;
}

static void server_listen(struct sim *s)
{
    struct host *h = &s->host[1];
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    const struct sockaddr *a = s->is_v6 ? (void *)&any6 : (void *)&any4;
    socklen_t len = s->is_v6 ? sizeof(any6) : sizeof(any4);
    h->listener = mtcp_socket(h->mctx, a->sa_family, SOCK_STREAM, 0);
    if (h->listener < 0 || mtcp_bind(h->mctx, h->listener, a, len) < 0 ||
        mtcp_listen(h->mctx, h->listener, 64) < 0)
        sim_fail(s, "listen: %s", strerror(errno));
    options_listen(s, h->listener);
    mtcp_setsock_nonblock(h->mctx, h->listener);
}

/* ---- the run ---- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static struct mtcp_ctx *ctx(struct sim *s, unsigned i)
{
    return ctx_of(s->host[i].mctx);
}

/* One turn of each host and of the applications; true when something happened. */
static bool sim_turn(struct sim *s)
{
    struct mtcp_epoll_event ev[8];
    for (unsigned i = 0; i < 2; i++)
        if (mtcp_epoll_wait(s->host[i].mctx, s->host[i].epid, ev, 8, 0) < 0)
            sim_fail(s, "epoll_wait: %s", strerror(errno));
    bool acted = traffic_step(s);
    return acted || net_has_work(&ctx(s, 0)->net) || net_has_work(&ctx(s, 1)->net);
}

static uint64_t sim_next_us(struct sim *s)
{
    uint64_t next = link_next_us(s->link);
    next = min_u64(next, net_next_us(&ctx(s, 0)->net));
    next = min_u64(next, net_next_us(&ctx(s, 1)->net));
    return min_u64(next, traffic_next_us(s));
}

static bool hosts_are_empty(struct sim *s)
{
    return net_n_conns(&ctx(s, 0)->net) == 0 && net_n_conns(&ctx(s, 1)->net) == 0;
}

/* What hangs, for the one who looks into it. */
static bool print_flow(void *arg, struct flow *f)
{
    const struct tcp_conn *c = conn_of_flow(f);
    if (f->kind != FLOW_CONN)
        return false;
    fprintf(
        stderr,
        "  host %u port %u>%u state %d flags %#x una %lld nxt %lld written %llu wnd %u cwnd %u | "
        "next %llu unread %u adv %lld limit %u | rtx %u aux %lld backoff %u\n",
        *(unsigned *)arg, c->tuple.local_port, c->tuple.remote_port, c->state, c->flags,
        (long long)c->snd_una, (long long)c->snd_nxt, (unsigned long long)stream_next(&c->snd),
        c->snd_wnd, c->cwnd, (unsigned long long)stream_next(&c->rcv), tcp_readable(c),
        (long long)c->rcv_adv, c->rcv.limit, c->rtx_tick, (long long)c->aux_at, c->backoff);
    return false;
}

static void print_hang(struct sim *s)
{
    for (unsigned i = 0; i < 2; i++)
        flow_table_each(ctx(s, i)->net.flows, print_flow, &i);
    for (unsigned i = 0; i < s->n_conns; i++)
        for (unsigned k = 0; k < 2; k++) {
            const struct flow_side *f = &s->conn[i].side[k];
            fprintf(stderr, "  conn %u side %u port %u sock %d sent %llu of %llu got %llu%s%s%s\n",
                    i, k, s->conn[i].port, f->sock, (unsigned long long)f->sent,
                    (unsigned long long)f->plan.total, (unsigned long long)f->got,
                    f->sent_all ? " sent-all" : "", f->got_end ? " got-end" : "",
                    f->closed ? " closed" : "");
        }
}

static void sim_loop(struct sim *s)
{
    uint64_t end = s->now_us + RUN_MAX_US;
    for (uint64_t turn = 0; turn < TURNS_MAX; turn++) {
        bool acted = sim_turn(s);
        if (traffic_done(s) && hosts_are_empty(s) && !acted)
            return;
        uint64_t next = sim_next_us(s);
        if (acted || next <= s->now_us) {
            s->now_us++; /* a turn takes a microsecond */
            continue;
        }
        if (next == SIM_NEVER || next > end)
            break;
        s->now_us = next;
    }
    sim_fail(s, "did not end: traffic %s, %zu and %zu connections left",
             traffic_done(s) ? "done" : "not done", net_n_conns(&ctx(s, 0)->net),
             net_n_conns(&ctx(s, 1)->net));
    print_hang(s);
}

static void host_collect(struct sim *s, unsigned i)
{
    const struct tcp_stats *t = &ctx(s, i)->net.env.stats;
    s->seen.ooo += t->ooo_in;
    s->seen.overlaps += t->dup_bytes_in;
    s->seen.rtos += t->rto;
    s->seen.zero_windows += t->zero_window_probes;
    s->seen.fast_rexmits += t->rexmit_fast;
    s->seen.resizes += t->ring_resizes;
    s->seen.ecn_reductions += t->ecn_reductions;
    const struct net_stats *n = &ctx(s, i)->net.stats;
    s->seen.reassembled += n->reassembled;
    s->seen.mtu_lowered += n->pmtu_lowered;
    s->seen.cookies += n->cookies_taken;
    s->seen.fastopens += n->fastopen_accepted;
    s->seen.dozed += n->dozed;
}

/* TIME_WAIT records end too; then the memory of a context is what it was. */
static void host_end(struct sim *s, unsigned i)
{
    struct host *h = &s->host[i];
    host_collect(s, i);
    mem_trim(ctx(s, i)->mem);
    size_t left = mem_in_use(ctx(s, i)->mem);
    if (left > h->mem_start + h->mem_start / 50 + 110000) /* each pool keeps a slab */
        sim_fail(s, "host %u: %zu bytes in use, %llu at the start", i, left,
                 (unsigned long long)h->mem_start);
    if (mtcp_destroy_context(h->mctx) < 0)
        sim_fail(s, "destroy_context: %s", strerror(errno));
}

/* Until TIME_WAIT records and packets of which fragments are missing are given up. */
static void drain(struct sim *s)
{
    for (unsigned i = 0; i < 20; i++) {
        s->now_us += link_stats(s->link)->fragments ? 4000000 : 200000;
        sim_turn(s);
    }
}

static void sim_add_seen(const struct sim *s, struct sim_seen *seen)
{
    const uint64_t *from = (const uint64_t *)(const void *)&s->seen;
    uint64_t *to = (uint64_t *)(void *)seen;
    for (size_t i = 0; i < sizeof(*seen) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

static void sim_report(const struct sim *s)
{
    const struct link_stats *l = link_stats(s->link);
    printf("seed %llu: %u connections, %llu bytes, %.3f s virtual; link sent %llu lost %llu queue "
           "%llu dup %llu corrupt %llu reordered %llu evasions %llu too big %llu shrunk %llu "
           "fragments %llu; ooo %llu rto %llu fast %llu\n",
           (unsigned long long)s->seed, s->n_conns, (unsigned long long)s->seen.bytes,
           (double)s->now_us / 1e6, (unsigned long long)l->sent, (unsigned long long)l->lost,
           (unsigned long long)l->queue_drops, (unsigned long long)l->duplicated,
           (unsigned long long)l->corrupted, (unsigned long long)l->reordered,
           (unsigned long long)l->evasions, (unsigned long long)l->too_big,
           (unsigned long long)l->shrunk, (unsigned long long)l->fragments,
           (unsigned long long)s->seen.ooo, (unsigned long long)s->seen.rtos,
           (unsigned long long)s->seen.fast_rexmits);
}

static void sim_finish(struct sim *s)
{
    traffic_check_end(s);
    if (link_pkts_out(s->link) != 0)
        sim_fail(s, "%zu packet buffers were not given back", link_pkts_out(s->link));
    const struct link_stats *l = link_stats(s->link);
    s->seen.drops += l->lost + l->queue_drops;
    s->seen.shrunk += l->shrunk;
    s->seen.forged_resets += l->resets;
}

static void sim_init(struct sim *s, uint64_t seed)
{
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    s->now_us = 1000000;
    s->lender = s->unwatched = -1;
    rng_init(&s->rng, seed);
}

static bool sim_go(struct sim *s, struct sim_seen *seen)
{
    struct link_conf lc;
    isn_near_wrap = s->isn_wrap;
    if (s->bulk)
        plan_bulk_link(&lc);
    else
        plan_link(s, &lc);
    s->link = link_create(s, &lc);
    if (!s->link || !host_start(s, 0) || !host_start(s, 1))
        return false;
    server_listen(s);
    watch_attach(s, 0);
    watch_attach(s, 1);
    for (unsigned i = 0; i < 2; i++)
        s->host[i].mem_start = mem_in_use(ctx(s, i)->mem);
    traffic_plan(s);
    sim_loop(s);
    drain(s);
    host_end(s, 0);
    host_end(s, 1);
    watch_check_end(s);
    sim_finish(s);
    if (s->verbose)
        sim_report(s);
    sim_add_seen(s, seen);
    link_destroy(s->link);
    return s->n_failures == 0;
}

bool sim_run(uint64_t seed, bool verbose, struct sim_seen *seen)
{
    static struct sim s;
    sim_init(&s, seed);
    plan_run(&s);
    s.verbose = verbose;
    return sim_go(&s, seen);
}

bool sim_run_spared(uint64_t n, bool verbose, struct sim_seen *seen)
{
    static struct sim s;
    uint64_t trace[2], seed = watch_seed_spared(n);
    bool is_well = true;
    for (int i = 0; i < 2; i++) {
        sim_init(&s, seed);
        plan_run(&s);
        s.verbose = verbose;
        s.is_told = i > 0;
        is_well &= sim_go(&s, seen);
        trace[i] = s.trace;
    }
    if (trace[0] != trace[1])
        sim_fail(&s, "a monitor that is spared packets hears or sees something else");
    return is_well && trace[0] == trace[1];
}

bool sim_run_bulk(uint64_t bytes, bool is_v6, struct sim_seen *seen)
{
    static struct sim s;
    sim_init(&s, 1);
    s.isn_wrap = true;
    s.is_v6 = is_v6;
    s.verbose = true;
    s.bulk = bytes;
    return sim_go(&s, seen);
}

/*
 * Fuzzes the whole input path in every state: one context, a peer, an application and up to three
 * monitors that do what a program says (stack_prog.h), in a world of its own (stack.h).
 *
 * Checked: nothing crashes, leaks or hangs; every segment that goes out is well formed and carries
 * the right bytes, and what was acknowledged or promised is never taken back; the monitor's bytes
 * are the application's, at the right offsets, and what a lazy one missed is told to the byte (the
 * promise of the monitor); edges, fragments and FIONREAD agree; states move as they may; every
 * connection ends, and is told to have.
 *
 *     fuzz_stack FILE             FUZZ_VERBOSE=1: shows segments and events
 */
#include "tests/fuzz/stack.h"

#include "mtcp/core/ctx.h"
#include "mtcp/tcp/isn.h"

#include <mtcp_epoll.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS_MAX    64u    /* until the stack has said all it has to */
#define WAITS_MAX    20000u /* of the loop in one step: more is not waiting */
#define END_US       (4 * 3600 * UINT64_C(1000000)) /* by then every connection has ended */
#define TIME_WAIT_US 61000000u
#define JUMP_MAX_US  (100 * 24 * 3600 * UINT64_C(1000000))
#define START_US     1000000u
#define DAD_US       3000000u /* until an IPv6 address may be used */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max, unsigned seed);

struct world w;
static struct mtcp_io device;
static unsigned n_waits;

_Noreturn void fuzz_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* ---- time and randomness --------------------------------------------------------------------- */

/* The stack's initial sequence numbers, near the wraps when the program says so (--wrap). */
tcp_seq_t __real_tcp_isn(const struct tcp_env *e, const struct flow_tuple *t);
tcp_seq_t __wrap_tcp_isn(const struct tcp_env *e, const struct flow_tuple *t);
tcp_seq_t __wrap_tcp_isn(const struct tcp_env *e, const struct flow_tuple *t)
{
    static const uint32_t isn[ISN_N] = {0, 0xffffff80, 0x7fffff80, 0};
    unsigned which = (w.head.isns >> 4) % ISN_N;
    if (which == ISN_ANY)
        return __real_tcp_isn(e, t);
    return seq_make(isn[which] + (uint32_t)((e->now_us - START_US) / 4));
}

static uint64_t world_now(void *arg)
{
    (void)arg;
    return w.now_us;
}

static void world_wait(void *arg, uint64_t until_us)
{
    (void)arg;
    HOLDS(++n_waits < WAITS_MAX);
    w.now_us = until_us > w.now_us ? until_us : w.now_us + 1;
}

void world_turn(void)
{
    struct mtcp_epoll_event ev[4];
    unsigned n = 0;
    uint64_t before;
    do {
        HOLDS(n++ < TURNS_MAX);
        before = link_n_sent();
        HOLDS(mtcp_epoll_wait(w.m, w.ep, ev, 4, 0) >= 0);
        app_accept();
    } while (link_n_sent() != before);
}

void world_run(uint64_t us)
{
    struct mtcp_epoll_event ev;
    uint64_t until = w.now_us + us;
    int ep = mtcp_epoll_create(w.m, 1); /* one without news, so that it waits */
    n_waits = 0;
    while (ep >= 0 && w.now_us < until)
        HOLDS(mtcp_epoll_wait(w.m, ep, &ev, 1, (int)((until - w.now_us + 999) / 1000)) >= 0);
    if (ep >= 0)
        mtcp_close(w.m, ep);
    else
        w.now_us = until;
    world_turn();
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void starve_end(void)
{
    mem_set_limit(ctx_of(w.m)->mem, 0);
    link_starve(0, 0);
}

static void starve(const struct step *s)
{
    struct mem *mem = ctx_of(w.m)->mem;
    starve_end();
    w.was_starved = true;
    switch (s->flags % STARVE_N) {
    case STARVE_PKTS:
        link_starve(s->arg, 0);
        break;
    case STARVE_TX:
        link_starve(0, s->arg);
        break;
    case STARVE_MEM:
        mem_set_limit(mem, mem_in_use(mem) + s->len);
        break;
    default:
        break;
    }
}

static void step_run(const struct step *s)
{
    switch (s->op % OP_N) {
    case OP_SEG:
    case OP_SEG_OPTS:
    case OP_SEG_PATCH:
    case OP_SEG_FRAG:
        peer_segment(s);
        break;
    case OP_AGAIN:
        if (s->flags & 128)
            link_reflect();
        else
            link_again(s->arg);
        break;
    case OP_OPEN:
        if (slot_is_active((s->slot & STEP_SLOT) % SLOTS)) {
            app_call(&(struct step){.slot = s->slot, .flags = APP_CONNECT});
            world_turn();
        }
        peer_open(s);
        break;
    case OP_RAW:
        peer_raw(s);
        break;
    case OP_ICMP:
        peer_icmp(s);
        break;
    case OP_ARP:
        peer_arp(s);
        break;
    case OP_TIME:
        world_run(((uint64_t)s->len + 1) << (s->arg & 15));
        break;
    case OP_JUMP:
        w.now_us += (((uint64_t)s->len + 1) << (s->arg & 31)) % JUMP_MAX_US;
        world_turn();
        break;
    case OP_APP:
        app_call(s);
        break;
    case OP_MON:
        watch_act(s);
        break;
    case OP_ARM:
        watch_arm(s);
        break;
    default:
        starve(s);
        break;
    }
}

/* ---- a run ----------------------------------------------------------------------------------- */

static mctx_t context_new(void)
{
    char conf[640];
    struct mtcp_io *ios[] = {&device};
    struct mtcp_env env = {.now_us = world_now, .wait = world_wait, .seed = 1u + w.head.seed};
    uint8_t c = w.head.conf, c2 = w.head.conf2;
    unsigned bytes = (c & CONF_TINY) ? 4096 : (c & CONF_LARGE) ? 1048576 : 16384;
    snprintf(conf, sizeof(conf),
             "mos { netdev \"fuzz0\" { address = { \"10.0.0.1/24\"%s } } max_concurrency = 32\n"
             "max_monitor_socks = 32\nrmem_size = %u\nwmem_size = %u\ntcp_timestamps = %u\n"
             "tcp_sack = %u\ntcp_window_scaling = %u\ntcp_congestion = \"%s\"\n"
             "tcp_ecn = %u\ntcp_syncookies = %u\nmax_half_open = %u\n"
             "tcp_fastopen = %u\ndormant_after_ms = %u }",
             (c2 & CONF2_V6) ? ", \"fd00::1/64\"" : "", bytes, bytes < 65536 ? bytes : 65536,
             !(c & CONF_NO_TS), !(c & CONF_NO_SACK), !(c & CONF_NO_WSCALE),
             (c & CONF_NEWRENO) ? "newreno" : "cubic", (c2 & CONF2_ECN) ? 1 : 2,
             (c2 & CONF2_COOKIES)      ? 2
             : (c2 & CONF2_NO_COOKIES) ? 0
                                       : 1,
             (c2 & CONF2_FEW_HALF_OPEN) ? 2 : 64, (c2 & CONF2_FASTOPEN) ? 0x207 : 1,
             (c2 & CONF2_DOZE) ? 100 : 1000);
    link_open(&device);
    return mtcp_create_context_io(0, conf, ios, 1, &env);
}

static void world_open(void)
{
    w.m = context_new();
    HOLDS(w.m);
    w.ep = mtcp_epoll_create(w.m, 1);
    HOLDS(w.ep >= 0);
    peer_reset();
    who_reset();
    if (!(w.head.conf & CONF_NO_MONITOR_FIRST))
        watch_start();
    app_start();
    if (w.head.conf & CONF_NO_MONITOR_FIRST)
        watch_start();
    world_turn();
    if (w.head.conf2 & CONF2_V6)
        world_run(DAD_US);
}

/* Everything is closed, the peer is silent: every connection ends, and nothing is left. */
static void world_close(void)
{
    uint64_t until = w.now_us + END_US;
    starve_end();
    w.armed.is_set = false;
    app_accept();
    app_end();
    while (mtcp_get_connection_cnt(w.m) > 0) {
        HOLDS(w.now_us < until);
        world_run(60 * 1000000);
    }
    world_run(TIME_WAIT_US);
    watch_end();
    n_waits = 0;
    HOLDS(mtcp_destroy_context(w.m) == 0);
    link_close();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct step steps[PROG_STEPS_MAX];
    if (size < sizeof(w.head))
        return 0;
    size_t n = (size - sizeof(w.head)) / STEP_BYTES;
    if (n > PROG_STEPS_MAX)
        n = PROG_STEPS_MAX;
    memset(&w, 0, sizeof(w));
    memcpy(&w.head, data, sizeof(w.head));
    memcpy(steps, data + sizeof(w.head), n * STEP_BYTES);
    w.verbose = getenv("FUZZ_VERBOSE");
    w.at = steps;
    w.end = steps + n;
    w.now_us = START_US;
    world_open();
    while (w.at < w.end) {
        const struct step *s = w.at++;
        step_run(s);
        if (!(s->slot & STEP_BURST))
            world_turn();
    }
    world_close();
    return 0;
}

/* ---- mutations: whole steps, and numbers that matter ----------------------------------------- */

static uint32_t mutate_state;

static uint32_t dice(uint32_t n)
{
    mutate_state = mutate_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)mutate_state * n) >> 32);
}

static struct step step_random(void)
{
    static const uint8_t ops[] = {
        OP_SEG,  OP_SEG,  OP_SEG, OP_SEG,  OP_SEG,    OP_SEG,  OP_SEG_OPTS, OP_SEG_PATCH, OP_AGAIN,
        OP_OPEN, OP_ICMP, OP_ARP, OP_TIME, OP_TIME,   OP_JUMP, OP_APP,      OP_APP,       OP_APP,
        OP_APP,  OP_MON,  OP_ARM, OP_ARM,  OP_STARVE, OP_RAW,  OP_SEG_FRAG};
    static const uint8_t flags[] = {TCP_ACK,           TCP_ACK,           TCP_ACK | TCP_PSH,
                                    TCP_ACK | TCP_FIN, TCP_SYN,           TCP_SYN | TCP_ACK,
                                    TCP_RST,           TCP_RST | TCP_ACK, TCP_FIN};
    static const uint16_t windows[] = {0, 1, 100, 1000, 16384, 65535};
    static const uint16_t lens[] = {0, 0, 1, 2, 100, 500, 536, 1000, 1448, 1460};
    struct step s = {.op = ops[dice(sizeof(ops))]};
    s.slot = (uint8_t)(dice(3) ? 0 : dice(SLOTS));
    s.slot |= dice(4) ? 0 : STEP_BURST;
    s.flags = s.op < OP_AGAIN ? flags[dice(sizeof(flags))] : (uint8_t)dice(256);
    s.opts = (uint8_t)(dice(2) ? OPT_TS : dice(256));
    s.base = (uint8_t)(dice(2) ? 0 : dice(SEQ_BASE_N) | dice(ACK_BASE_N) << 4);
    s.seq = (int16_t)(dice(2) ? 0 : dice(4) ? (int32_t)dice(4000) - 2000 : (int32_t)dice(65536));
    s.ack = (int16_t)(dice(3) ? 0 : (int32_t)dice(4000) - 2000);
    s.scale = (uint8_t)(dice(4) ? 0 : dice(256));
    s.wnd = windows[dice(6)];
    s.len = dice(4) ? lens[dice(10)] : (uint16_t)dice(65536);
    s.arg = (uint8_t)dice(256);
    s.arg2 = (uint8_t)dice(256);
    return s;
}

/* One field of a step becomes something else. */
static void step_tweak(struct step *s)
{
    struct step other = step_random();
    uint8_t *b = (uint8_t *)s;
    const uint8_t *from = (const uint8_t *)&other;
    unsigned at = dice(STEP_BYTES);
    switch (dice(4)) {
    case 0:
        b[at] = from[at];
        break;
    case 1:
        b[at] = (uint8_t)(b[at] + (dice(2) ? 1 : -1));
        break;
    case 2:
        b[at] ^= (uint8_t)(1u << dice(8));
        break;
    default:
        at &= ~1u;
        memcpy(b + at, from + at, 2);
        break;
    }
}

static size_t steps_mutate(struct step *s, size_t n, size_t max)
{
    size_t at = n ? dice((uint32_t)n) : 0, to = n ? dice((uint32_t)n) : 0;
    struct step one;
    switch (dice(n ? 8 : 1)) {
    case 0: /* a new one */
    case 1: /* one twice */
        if (n == max)
            return n;
        one = n && dice(2) ? s[to] : step_random();
        memmove(s + at + 1, s + at, (n - at) * sizeof(*s));
        s[at] = one;
        return n + 1;
    case 2: /* one less */
        memmove(s + at, s + at + 1, (n - at - 1) * sizeof(*s));
        return n - 1;
    case 3: /* another place */
        one = s[at];
        s[at] = s[to];
        s[to] = one;
        return n;
    case 4:
        LLVMFuzzerMutate((uint8_t *)&s[at], STEP_BYTES, STEP_BYTES);
        return n;
    default:
        step_tweak(&s[at]);
        return n;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    static struct step steps[PROG_STEPS_MAX + 1];
    mutate_state = seed;
    if (size < sizeof(w.head) || max < sizeof(w.head) + STEP_BYTES)
        return LLVMFuzzerMutate(data, size, max);
    size_t n = (size - sizeof(w.head)) / STEP_BYTES, n_max = (max - sizeof(w.head)) / STEP_BYTES;
    if (n_max > PROG_STEPS_MAX)
        n_max = PROG_STEPS_MAX;
    if (n > n_max)
        n = n_max;
    memcpy(steps, data + sizeof(w.head), n * STEP_BYTES);
    if (dice(16) == 0)
        data[dice(sizeof(w.head))] = (uint8_t)dice(256);
    for (unsigned i = 1 + dice(3); i > 0; i--)
        n = steps_mutate(steps, n, n_max);
    memcpy(data + sizeof(w.head), steps, n * STEP_BYTES);
    return sizeof(w.head) + n * STEP_BYTES;
}

/* The beginning of one, the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max, unsigned seed)
{
    mutate_state = seed;
    if (a_size < sizeof(w.head) || b_size < sizeof(w.head) || max < sizeof(w.head))
        return 0;
    size_t n_a = (a_size - sizeof(w.head)) / STEP_BYTES,
           n_b = (b_size - sizeof(w.head)) / STEP_BYTES;
    size_t n_max = (max - sizeof(w.head)) / STEP_BYTES;
    size_t take_a = dice((uint32_t)n_a + 1), skip_b = dice((uint32_t)n_b + 1);
    if (take_a > n_max)
        take_a = n_max;
    size_t take_b = n_b - skip_b < n_max - take_a ? n_b - skip_b : n_max - take_a;
    memcpy(out, a, sizeof(w.head) + take_a * STEP_BYTES);
    memcpy(out + sizeof(w.head) + take_a * STEP_BYTES, b + sizeof(w.head) + skip_b * STEP_BYTES,
           take_b * STEP_BYTES);
    return sizeof(w.head) + (take_a + take_b) * STEP_BYTES;
}

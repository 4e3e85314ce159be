/*
 * Fuzzes a wire: two devices, the hosts behind them, and monitors between, which do what a program
 * says (wire_prog.h), in a world of their own (wire.h).
 *
 * Checked: nothing crashes, leaks or hangs; what goes on is what came, once, as the monitor left
 * it, with right checksums if they were, and nothing that it has dropped; the watchful monitor's
 * bytes are those that were forwarded, at their place, all of them and the first copy of each where
 * hosts do nothing odd; connections begin and end in order, and all of them end; memory is bounded.
 *
 *     fuzz_wire FILE             FUZZ_VERBOSE=1: shows segments
 */
#include "tests/fuzz/wire.h"

#include "mtcp/core/ctx.h"

#include <mtcp_epoll.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS_MAX 64u
#define START_US  1000000u
#define IDLE_S    3600u
#define MEM_MAX   (48u << 20) /* 64 connections with full streams, and fragments */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max, unsigned seed);

struct world w;
static struct mtcp_io device[SIDES];

_Noreturn void fuzz_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t world_now(void *arg)
{
    (void)arg;
    return w.now_us;
}

static void world_wait(void *arg, uint64_t until_us)
{
    (void)arg, (void)until_us;
    fuzz_failed("nobody waits", __FILE__, __LINE__);
}

void world_turn(void)
{
    struct mtcp_epoll_event ev;
    unsigned n = 0;
    do {
        HOLDS(n++ < TURNS_MAX);
        HOLDS(mtcp_epoll_wait(w.m, w.ep, &ev, 1, 0) >= 0);
    } while (link_waits());
    watch_turn();
    HOLDS(mem_in_use(ctx_of(w.m)->mem) < MEM_MAX);
}

static void world_pass(uint64_t us)
{
    w.now_us += us;
    world_turn();
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void starve_end(void)
{
    mem_set_limit(ctx_of(w.m)->mem, 0);
    link_starve(0);
}

static void starve(const struct step *s)
{
    struct mem *mem = ctx_of(w.m)->mem;
    starve_end();
    w.was_starved = true;
    link_starve(s->arg);
    if (s->len > 0)
        mem_set_limit(mem, mem_in_use(mem) + s->len);
}

static void step_run(const struct step *s)
{
    switch (s->op % OP_N) {
    case OP_SEG:
    case OP_PATCH:
    case OP_FRAG:
        host_segment(s);
        break;
    case OP_OPEN:
        host_open(s);
        break;
    case OP_AGAIN:
        link_again(s->arg);
        break;
    case OP_RAW:
        host_raw(s);
        break;
    case OP_TIME:
        world_pass(((uint64_t)s->len + 1) << s->arg % 20u);
        break;
    case OP_ARM:
        watch_arm(s);
        break;
    case OP_ACT:
        watch_act(s);
        break;
    case OP_STARVE:
        starve(s);
        break;
    default:
        host_flood(s);
        break;
    }
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void world_open(void)
{
    char conf[400];
    struct mtcp_io *ios[SIDES] = {&device[0], &device[1]};
    struct mtcp_env env = {.now_us = world_now, .wait = world_wait, .seed = 1u + w.head.seed};
    uint8_t c = w.head.conf;
    snprintf(conf, sizeof(conf),
             "mos { forward = 1 netdev \"fuzz0\" { } netdev \"fuzz1\" { }\n"
             "max_connections = %u max_monitor_socks = %u rmem_size = 8192 rmem_max = %u\n"
             "tcp_timeout = %u max_fragment_bytes = 16384 }",
             c & CONF_FEW_CONNS ? 3 : 64, c & CONF_FEW_IDS ? 8 : 256,
             c & CONF_SMALL ? 8192 : 131072, c & CONF_IDLE ? 10 : IDLE_S);
    for (int side = 0; side < SIDES; side++)
        link_open(&device[side], side);
    w.m = mtcp_create_context_io(0, conf, ios, SIDES, &env);
    HOLDS(w.m);
    w.ep = mtcp_epoll_create(w.m, 1);
    HOLDS(w.ep >= 0);
    host_reset();
    model_reset();
    watch_start();
    world_turn();
}

/* The hosts are silent: every connection ends, and nothing is left. */
static void world_close(void)
{
    starve_end();
    world_turn();
    world_pass(2 * IDLE_S * UINT64_C(1000000));
    world_pass(1000000);
    watch_end();
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
    static const uint8_t ops[] = {OP_SEG,   OP_SEG,  OP_SEG,  OP_SEG,  OP_SEG,    OP_SEG,
                                  OP_PATCH, OP_FRAG, OP_OPEN, OP_OPEN, OP_AGAIN,  OP_TIME,
                                  OP_ARM,   OP_ARM,  OP_ACT,  OP_RAW,  OP_STARVE, OP_FLOOD};
    static const uint8_t flags[] = {
        TCP_ACK, TCP_ACK,           TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN,
        TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST, TCP_RST | TCP_ACK, TCP_FIN};
    static const uint16_t windows[] = {0, 1, 100, 1000, 16384, 65535};
    static const uint16_t lens[] = {0, 0, 1, 2, 8, 100, 536, 1000, 1448, 1460};
    struct step s = {.op = ops[dice(sizeof(ops))]};
    s.slot = (uint8_t)((dice(3) ? 0 : dice(SLOTS)) | (dice(2) ? STEP_SERVER : 0));
    s.slot |= dice(4) ? 0 : STEP_BURST;
    s.slot |= dice(12) ? 0 : dice(2) ? STEP_BAD_SUM : STEP_CSUM_OK;
    s.flags = s.op <= OP_FRAG ? flags[dice(sizeof(flags))] : (uint8_t)dice(256);
    s.opts = (uint8_t)(dice(2) ? 0 : dice(4) ? OPT_TS : dice(256));
    s.base = (uint8_t)(dice(2) ? 0 : dice(SEQ_N) | dice(ACK_N) << 4);
    s.seq = (int16_t)(dice(2) ? 0 : dice(4) ? (int32_t)dice(4000) - 1000 : (int32_t)dice(65536));
    s.ack = (int16_t)(dice(3) ? 0 : (int32_t)dice(4000) - 2000);
    s.copy = (uint8_t)(dice(2) ? 0 : dice(8));
    s.wnd = windows[dice(6)];
    s.len = dice(4) ? lens[dice(10)] : (uint16_t)dice(65536);
    s.arg = (uint8_t)(dice(2) ? dice(256) : dice(24));
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

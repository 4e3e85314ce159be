/* The stack, its device, its clock, and packetdrill's two threads (world.h). */
#include "tests/packetdrill/world.h"

#include "tests/packetdrill/device.h"
#include "tests/packetdrill/settings.h"

#include "mtcp/core/ctx.h"

#include <arpa/inet.h>
#include <errno.h>
#include <mtcp_epoll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define START_US  1000000000u
#define SILENT_US (4 * 3600 * UINT64_C(1000000)) /* nobody waits longer for a packet */
#define TURNS_MAX 1000u
#define SPINS     8u /* readings of the clock in a row before it goes on by itself */
#define REAL_S    2  /* for the second thread to do what it is waited for */
#define MTU       1500u

mctx_t world_ctx;

/* The second thread's call that has to wait. */
enum sleeper {
    SLEEPER_NONE,
    SLEEPER_WAITS,
    SLEEPER_TRIES,   /* told to look again */
    SLEEPER_RETURNS, /* has what it waited for, has not read the clock */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* sleeper, or what it waits for */
    pthread_t first;
    enum sleeper sleeper;
    uint64_t sleeper_until_us;
    uint64_t now_us;
    unsigned spins;
    int ep;
    char local[64], sysctl[256];
} w = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* ---- the clock ------------------------------------------------------------------------------- */

static uint64_t env_now(void *arg)
{
    (void)arg;
    return w.now_us;
}

/* Only while the context ends: no other call lets the stack wait. */
static void env_wait(void *arg, uint64_t until_us)
{
    (void)arg;
    w.now_us = until_us != WORLD_NEVER && until_us > w.now_us ? until_us : w.now_us + 1000;
}

/* Turns until nothing moves. */
static void settle(void)
{
    struct mtcp_epoll_event ev;
    uint64_t before;
    unsigned n = 0;
    do {
        before = device_n_moved();
        mtcp_epoll_wait(world_ctx, w.ep, &ev, 1, 0);
    } while (device_n_moved() != before && ++n < TURNS_MAX);
}

static void await_sleeper(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REAL_S;
    while (w.sleeper == SLEEPER_TRIES || w.sleeper == SLEEPER_RETURNS)
        if (pthread_cond_timedwait(&w.changed, &w.lock, &until) == ETIMEDOUT)
            w.sleeper = SLEEPER_NONE; /* it does not read the clock, then */
    ctx_set_owner(world_ctx, ctx_this_thread());
}

/* Everything that is due now happens, in the stack and in the waiting call. */
static void step(void)
{
    settle();
    if (w.sleeper == SLEEPER_WAITS)
        w.sleeper = SLEEPER_TRIES;
    pthread_cond_broadcast(&w.changed);
    await_sleeper();
}

/* When something happens by itself, at most `until_us`. */
static uint64_t next_us(uint64_t until_us)
{
    uint64_t next = net_next_us(&ctx_of(world_ctx)->net);
    if (w.sleeper == SLEEPER_WAITS && w.sleeper_until_us < next)
        next = w.sleeper_until_us;
    if (next <= w.now_us)
        next = w.now_us + 1; /* the wheel's slot before the deadline */
    return next < until_us ? next : until_us;
}

void world_sleep(uint64_t us)
{
    uint64_t until = w.now_us + us;
    for (;;) {
        step();
        if (w.now_us >= until)
            return;
        w.now_us = next_us(until);
    }
}

uint64_t world_now(void)
{
    return w.now_us;
}

uint64_t world_clock(void)
{
    pthread_mutex_lock(&w.lock);
    if (w.sleeper == SLEEPER_RETURNS && !pthread_equal(pthread_self(), w.first)) {
        w.sleeper = SLEEPER_NONE;
        pthread_cond_broadcast(&w.changed);
    } else if (++w.spins > SPINS) {
        ctx_set_owner(world_ctx, ctx_this_thread());
        world_sleep(1);
    }
    uint64_t now = w.now_us;
    pthread_mutex_unlock(&w.lock);
    return now;
}

size_t world_receive(void *buf, size_t room, uint64_t *at_us)
{
    uint64_t give_up_us = w.now_us + SILENT_US;
    for (;;) {
        step();
        size_t len = device_receive(buf, room, at_us);
        if (len > 0)
            return len;
        uint64_t next = next_us(WORLD_NEVER);
        if (next > give_up_us)
            return 0;
        w.now_us = next;
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

void world_enter(void)
{
    pthread_mutex_lock(&w.lock);
    w.spins = 0;
    ctx_set_owner(world_ctx, ctx_this_thread());
    int saved = errno;
    if (w.sysctl[0])
        settings_apply(world_ctx, w.sysctl);
    errno = saved;
}

void world_leave(void)
{
    int saved = errno;
    bool is_first = pthread_equal(pthread_self(), w.first);
    if (!is_first && w.sleeper == SLEEPER_TRIES)
        w.sleeper = SLEEPER_RETURNS;
    if (is_first) {
        step();
        if (w.sysctl[0])
            settings_report(world_ctx, w.sysctl);
    } else {
        settle();
    }
    pthread_cond_broadcast(&w.changed);
    pthread_mutex_unlock(&w.lock);
    errno = saved;
}

/* The first thread's call waits: time passes. */
static bool wait_first(uint64_t deadline_us)
{
    step();
    if (w.now_us >= deadline_us)
        return false;
    uint64_t next = next_us(deadline_us);
    if (next == WORLD_NEVER)
        return false;
    w.now_us = next;
    step();
    return true;
}

bool world_wait(uint64_t deadline_us)
{
    int saved = errno;
    bool goes_on = true;
    if (pthread_equal(pthread_self(), w.first)) {
        goes_on = wait_first(deadline_us);
    } else if (w.now_us >= deadline_us) {
        goes_on = false;
    } else {
        settle();
        w.sleeper = SLEEPER_WAITS;
        w.sleeper_until_us = deadline_us;
        pthread_cond_broadcast(&w.changed);
        while (w.sleeper == SLEEPER_WAITS)
            pthread_cond_wait(&w.changed, &w.lock);
        ctx_set_owner(world_ctx, ctx_this_thread());
    }
    errno = saved;
    return goes_on;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The value of a key in "key=value,key=value"; `fallback` when it is not there. */
static void flag_of(const char *flags, const char *key, const char *fallback, char *out,
                    size_t room)
{
    size_t n = strlen(key);
    snprintf(out, room, "%s", fallback);
    for (const char *at = flags; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, key, n) == 0 && at[n] == '=')
            snprintf(out, room, "%.*s", (int)strcspn(at + n + 1, ","), at + n + 1);
}

/* A neighbour that all packets go to, in the network of the local address. */
static bool gateway_of(const char *local, char *out, size_t room)
{
    struct in_addr a;
    if (inet_pton(AF_INET, local, &a) != 1)
        return false;
    a.s_addr ^= htonl(0x80);
    return inet_ntop(AF_INET, &a, out, (socklen_t)room) != NULL;
}

static mctx_t context_new(unsigned mtu, unsigned in_mss)
{
    char text[4096], keys[2048] = "", gateway[64];
    struct mtcp_io *ios[] = {device_open(mtu, in_mss)};
    struct mtcp_env env = {.now_us = env_now, .wait = env_wait, .seed = 1};
    if (!gateway_of(w.local, gateway, sizeof(gateway))) {
        fprintf(stderr, "packetdrill: local_ip=%s is not an IPv4 address\n", w.local);
        return NULL;
    }
    settings_text(w.sysctl[0] ? w.sysctl : NULL, keys, sizeof(keys));
    snprintf(text, sizeof(text),
             "mos {\n%s netdev \"" DEVICE_NAME "\" { address = \"%s/24\" }\n"
             "route \"default\" { gateway = \"%s\" }\n"
             "arp \"%s\" { mac = \"02:00:00:00:00:02\" netdev = \"" DEVICE_NAME "\" }\n"
             "close_wait_ms = 0\nrst_per_sec = 0\n}",
             keys, w.local, gateway, gateway);
    return mtcp_create_context_io(0, text, ios, 1, &env);
}

bool world_open(const char *flags)
{
    char mtu[16], mss[16];
    flag_of(flags, "local_ip", "192.168.0.1", w.local, sizeof(w.local));
    flag_of(flags, "sysctl", "", w.sysctl, sizeof(w.sysctl));
    flag_of(flags, "mtu", "0", mtu, sizeof(mtu));
    flag_of(flags, "mss", "0", mss, sizeof(mss));
    unsigned n = (unsigned)strtoul(mtu, NULL, 10);
    w.now_us = START_US;
    w.first = pthread_self();
    world_ctx = context_new(n >= 576 && n <= 9000 ? n : MTU, (unsigned)strtoul(mss, NULL, 10));
    if (!world_ctx)
        return false;
    w.ep = mtcp_epoll_create(world_ctx, 1);
    settle();
    return w.ep >= 0;
}

void world_close(void)
{
    pthread_mutex_lock(&w.lock);
    ctx_set_owner(world_ctx, ctx_this_thread());
    mtcp_destroy_context(world_ctx);
    world_ctx = NULL;
    device_close();
    pthread_mutex_unlock(&w.lock);
}

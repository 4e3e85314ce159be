/*
 * The loop: one turn, and what to do when a turn had nothing to do.
 *
 * Sleeping: every device is asked for a descriptor that becomes readable with its next packet; the
 * thread sleeps in epoll on these, on a wake-up of its own (signals, mtcp_destroy) and on the
 * kernel descriptors of the application, until the next timer. A device without a descriptor limits
 * the sleep to a nap.
 */
#include "mtcp/core/ctx.h"
#include "mtcp/tcp/hook.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NAP_US       1000u
#define NAP_MIN_US   20u
#define SLEEP_MAX_US 3600000000u

/* ---- the clock ------------------------------------------------------------------------------- */

static uint64_t world_now_us(const struct mtcp_ctx *ctx)
{
    if (ctx->world.now_us)
        return ctx->world.now_us(ctx->world.arg);
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t ctx_now_us(const struct mtcp_ctx *ctx)
{
    if (unlikely(ctx->follows_capture))
        return ctx->net.env.now_us;
    return world_now_us(ctx) + ctx->clock_ahead_us;
}

bool ctx_is_over(const struct mtcp_ctx *ctx)
{
    for (unsigned i = 0; i < ctx->n_ios; i++)
        if (!(ctx->ios[i]->caps & MTCP_IO_CAPTURE) || !ctx->ios[i]->is_over)
            return false;
    return true;
}

/* The past is over: time goes on by itself. */
static void clock_let_go(struct mtcp_ctx *ctx)
{
    if (!ctx_is_over(ctx))
        return;
    ctx->follows_capture = false;
    ctx->clock_ahead_us = ctx->net.env.now_us - world_now_us(ctx);
}

/* ---- one turn -------------------------------------------------------------------------------- */

static inline void monitor_turn(const struct net *n, enum hook_phase phase)
{
    if (unlikely(n->env.hooks != NULL) && n->env.hooks->turn)
        n->env.hooks->turn(n->env.mon, phase);
}

unsigned ctx_poll(struct mtcp_ctx *ctx)
{
    struct net *n = &ctx->net;
    int saved = errno; /* the caller's: drivers read and write devices that may have nothing */
    BUG_ON(!ctx_may_run(ctx));
    ctx->in_poll = true;
    ctx->has_run = true;
    net_clock(n, ctx_now_us(ctx));
    unsigned work = net_rx(n);
    if (unlikely(ctx->follows_capture))
        clock_let_go(ctx);
    net_timers(n);
    work += net_has_work(n) && !net_is_stuck(n);
    monitor_turn(n, HOOK_TURN_INPUT);
    net_flush(n);
    monitor_turn(n, HOOK_TURN_OUTPUT);
    if (likely(ctx->sock_ops != NULL))
        ctx->sock_ops->harvest(ctx);
    ctx->in_poll = false;
    stats_turn(ctx);
    if (work)
        ctx->idle_since_us = 0;
    errno = saved;
    return work;
}

/* ---- nothing to do --------------------------------------------------------------------------- */

void ctx_loop_init(struct mtcp_ctx *ctx)
{
    ctx->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    ctx->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (unsigned i = 0; i < NET_IF_MAX; i++)
        ctx->io_fd[i] = -1;
    if (ctx->wake_fd >= 0 && ctx_wake_on(ctx, ctx->wake_fd) < 0) {
        close(ctx->wake_fd);
        ctx->wake_fd = -1;
    }
}

void ctx_loop_fini(struct mtcp_ctx *ctx)
{
    if (ctx->wake_fd >= 0)
        close(ctx->wake_fd);
    if (ctx->epoll_fd >= 0)
        close(ctx->epoll_fd);
}

void ctx_wake(struct mtcp_ctx *ctx)
{
    int saved = errno; /* also for signal handlers */
    uint64_t one = 1;
    if (ctx->wake_fd >= 0 && write(ctx->wake_fd, &one, sizeof(one)) < 0)
        errno = saved; /* EAGAIN: it is awake already */
    errno = saved;
}

static int wake_on(const struct mtcp_ctx *ctx, int fd, uint32_t how)
{
    struct epoll_event ev = {.events = EPOLLIN | how, .data.fd = fd};
    if (epoll_ctl(ctx->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

int ctx_wake_on(struct mtcp_ctx *ctx, int fd)
{
    return wake_on(ctx, fd, 0);
}

int ctx_wake_on_news(struct mtcp_ctx *ctx, int fd)
{
    return wake_on(ctx, fd, EPOLLET);
}

void ctx_wake_off(struct mtcp_ctx *ctx, int fd)
{
    int saved = errno;
    epoll_ctl(ctx->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    errno = saved;
}

/* A device's descriptor may change, or be none (-1). Does it wake us? */
static bool wake_on_io(struct mtcp_ctx *ctx, unsigned i, int fd)
{
    if (fd == ctx->io_fd[i])
        return fd >= 0;
    if (ctx->io_fd[i] >= 0)
        ctx_wake_off(ctx, ctx->io_fd[i]);
    ctx->io_fd[i] = fd >= 0 && ctx_wake_on(ctx, fd) == 0 ? fd : -1;
    return ctx->io_fd[i] >= 0;
}

/* Where no device wakes us: a part of the time that nothing has happened, so that what comes waits
 * for no longer than it has been away. */
static uint64_t nap_us(const struct mtcp_ctx *ctx)
{
    uint64_t nap = (ctx->net.env.now_us - ctx->idle_since_us) / 2;
    return nap < NAP_MIN_US ? NAP_MIN_US : nap < NAP_US ? nap : NAP_US;
}

/* Prepares device i for sleep: false when it has packets already. Lowers *sleep_us to a nap when it
 * can't wake us. */
static bool io_sleep_begin(struct mtcp_ctx *ctx, unsigned i, uint64_t *sleep_us)
{
    struct mtcp_io *io = ctx->ios[i];
    bool ready = false;
    int fd = io->sleep_begin ? io->sleep_begin(io, &ready) : -1;
    if (ready)
        return false;
    bool wakes = wake_on_io(ctx, i, fd) && !(io->caps & MTCP_IO_NO_WAKEUP);
    if (!wakes && *sleep_us > nap_us(ctx))
        *sleep_us = nap_us(ctx);
    return true;
}

static void wait_kernel(struct mtcp_ctx *ctx, uint64_t sleep_us)
{
    struct epoll_event ev[8];
    struct timespec ts = {(time_t)(sleep_us / 1000000u), (long)(sleep_us % 1000000u) * 1000};
    int n = epoll_pwait2(ctx->epoll_fd, ev, 8, &ts, NULL);
    if (n < 0 && errno == ENOSYS) /* before Linux 5.11 */
        n = epoll_wait(ctx->epoll_fd, ev, 8, (int)((sleep_us + 999) / 1000));
    uint64_t count;
    for (int i = 0; i < n; i++)
        if (ev[i].data.fd == ctx->wake_fd && read(ctx->wake_fd, &count, sizeof(count)) < 0)
            break; /* nothing was in it */
}

static void sleep_for(struct mtcp_ctx *ctx, uint64_t sleep_us)
{
    unsigned n = 0;
    bool may_sleep = true;
    int saved = errno;
    while (may_sleep && n < ctx->n_ios)
        may_sleep = io_sleep_begin(ctx, n++, &sleep_us);
    if (may_sleep && atomic_load_explicit(&ctx->interrupts, memory_order_relaxed) == 0)
        wait_kernel(ctx, sleep_us);
    while (n-- > 0)
        if (ctx->ios[n]->sleep_end)
            ctx->ios[n]->sleep_end(ctx->ios[n]);
    errno = saved;
}

/* When the loop has to go on at the latest. */
static uint64_t wake_us(const struct mtcp_ctx *ctx, uint64_t until_us)
{
    uint64_t next = net_next_us(&ctx->net);
    if (ctx->stats.next_us < next)
        next = ctx->stats.next_us;
    return next < until_us ? next : until_us;
}

void ctx_idle(struct mtcp_ctx *ctx, uint64_t until_us)
{
    bool is_stuck = net_has_work(&ctx->net); /* the device takes nothing: perhaps after a nap */
    if (is_stuck && !net_is_stuck(&ctx->net))
        return;
    if (ctx->world.wait) {
        uint64_t nap_end = ctx->net.env.now_us + NAP_US;
        ctx->in_poll = true; /* what runs there can't run this loop */
        ctx->world.wait(ctx->world.arg,
                        wake_us(ctx, is_stuck && nap_end < until_us ? nap_end : until_us));
        ctx->in_poll = false;
        return;
    }
    __builtin_ia32_pause();
    if (ctx->config.idle == CONFIG_IDLE_SPIN)
        return;
    uint64_t now = ctx->net.env.now_us;
    if (ctx->idle_since_us == 0)
        ctx->idle_since_us = now ? now : 1;
    if (now - ctx->idle_since_us < ctx->config.spin_us)
        return;
    uint64_t wake = wake_us(ctx, until_us);
    if (is_stuck && now + nap_us(ctx) < wake)
        wake = now + nap_us(ctx);
    now = ctx_now_us(ctx);
    if (wake <= now)
        return;
    sleep_for(ctx, wake - now < SLEEP_MAX_US ? wake - now : SLEEP_MAX_US);
}

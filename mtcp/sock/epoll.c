/*
 * Waiting for many sockets. A socket has one entry per epoll that watches it; an entry that may
 * have something to report is on its epoll's ready list. mtcp_epoll_wait asks those entries'
 * sockets what they are ready for now, so that bits are merged and stale news is silent. A
 * level-triggered entry that reported stays on the list and is asked again; an edge-triggered one
 * comes back with the next news. Kernel descriptors are the kernel's epoll's: each epoll has one of
 * its own once needed.
 */
#include "mtcp/sock/sock.h"

#include "mtcp/sock/prep.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Bits that a report can have; the rest of what is asked for says how. */
#define REPORTED                                                                                   \
    (MOS_EPOLLIN | MOS_EPOLLPRI | MOS_EPOLLOUT | MOS_EPOLLERR | MOS_EPOLLHUP | MOS_EPOLLRDHUP)
#define HOW (MOS_EPOLLET | (uint32_t)MOS_EPOLLONESHOT)

struct epoll {
    struct list_node ready;
    int kernel_fd; /* the kernel's epoll for kernel descriptors; -1: none were added */
    unsigned n_fds;
    unsigned turn; /* odd: the descriptors get the odd place */
};

struct epoll_item {
    struct list_node ready;
    struct epoll_item *next; /* of the same socket */
    struct epoll *epoll;
    uint64_t data;
    uint32_t events; /* REPORTED and HOW bits; after a oneshot's report only HOW */
    int32_t sock;
};
_Static_assert(sizeof(struct epoll_item) <= 48, "an entry is small (PERFORMANCE.md W5)");

size_t epoll_size(void)
{
    return sizeof(struct epoll);
}

size_t epoll_item_size(void)
{
    return sizeof(struct epoll_item);
}

/* ---- entries --------------------------------------------------------------------------------- */

static void item_queue(struct epoll_item *it)
{
    if (!list_is_linked(&it->ready))
        list_push_tail(&it->epoll->ready, &it->ready);
}

void sock_wake(struct sock *s, uint32_t events)
{
    for (struct epoll_item *it = s->items; it; it = it->next)
        if (it->events & events)
            item_queue(it);
}

static void item_set(struct epoll_item *it, const struct sock *s, const struct mtcp_epoll_event *ev)
{
    it->events = (uint32_t)ev->events & (REPORTED | HOW);
    it->events |= MOS_EPOLLERR | MOS_EPOLLHUP;
    it->data = ev->data.u64;
    if (sock_poll(s) & it->events)
        item_queue(it);
}

static struct epoll_item **item_find(struct sock *s, const struct epoll *ep)
{
    struct epoll_item **at = &s->items;
    while (*at && (*at)->epoll != ep)
        at = &(*at)->next;
    return at;
}

static int item_add(struct mtcp_ctx *ctx, struct epoll *ep, struct sock *s,
                    const struct mtcp_epoll_event *ev)
{
    if (*item_find(s, ep))
        return -EEXIST;
    struct epoll_item *it = pool_get(&ctx->socks->items);
    if (!it)
        return -ENOMEM;
    memset(it, 0, sizeof(*it));
    list_node_init(&it->ready);
    it->epoll = ep;
    it->sock = s->id;
    it->next = s->items;
    s->items = it;
    item_set(it, s, ev);
    return 0;
}

static void item_remove(struct mtcp_ctx *ctx, struct epoll_item **at)
{
    struct epoll_item *it = *at;
    *at = it->next;
    list_del(&it->ready);
    pool_put(&ctx->socks->items, it);
}

void epoll_forget(struct mtcp_ctx *ctx, struct sock *s)
{
    while (s->items)
        item_remove(ctx, &s->items);
}

/* ---- epolls ---------------------------------------------------------------------------------- */

static int epoll_new(struct mtcp_ctx *ctx)
{
    int err = -ENOMEM;
    struct epoll *ep = pool_get(&ctx->socks->epolls);
    struct sock *s = ep ? sock_new(ctx, MOS_SOCK_EPOLL, &err) : NULL;
    if (!s) {
        if (ep)
            pool_put(&ctx->socks->epolls, ep);
        return err;
    }
    *ep = (struct epoll){.kernel_fd = -1};
    list_init(&ep->ready);
    s->epoll = ep;
    return s->id;
}

int mtcp_epoll_create(mctx_t mctx, int size)
{
    struct mtcp_ctx *ctx = ctx_of(mctx);
    if (!ctx)
        return -1;
    return (int)sock_result(size > 0 ? epoll_new(ctx) : -EINVAL);
}

int mtcp_epoll_create1(mctx_t mctx, int flags)
{
    struct mtcp_ctx *ctx = ctx_of(mctx);
    if (!ctx)
        return -1;
    return (int)sock_result(flags & ~EPOLL_CLOEXEC ? -EINVAL : epoll_new(ctx));
}

static void kernel_close(struct mtcp_ctx *ctx, struct epoll *ep)
{
    if (ep->kernel_fd < 0)
        return;
    ctx_wake_off(ctx, ep->kernel_fd);
    close(ep->kernel_fd);
    ep->kernel_fd = -1;
}

/* Rare, so its entries are looked for among all sockets. */
void epoll_close(struct mtcp_ctx *ctx, struct sock *s)
{
    struct sock *watched;
    for (int i = -1; (watched = sock_next(ctx, &i));) {
        struct epoll_item **at = item_find(watched, s->epoll);
        if (*at)
            item_remove(ctx, at);
    }
    kernel_close(ctx, s->epoll);
    pool_put(&ctx->socks->epolls, s->epoll);
}

/* ---- ctl ------------------------------------------------------------------------------------- */

static int ctl(struct mtcp_ctx *ctx, struct epoll *ep, int op, struct sock *s,
               const struct mtcp_epoll_event *ev)
{
    struct epoll_item **at = item_find(s, ep);
    if (op == MOS_EPOLL_CTL_ADD)
        return item_add(ctx, ep, s, ev);
    if (!*at)
        return -ENOENT;
    if (op == MOS_EPOLL_CTL_MOD)
        item_set(*at, s, ev);
    else
        item_remove(ctx, at);
    return 0;
}

static bool can_be_watched(const struct sock *s)
{
    return s->type == MOS_SOCK_STREAM || s->type == MOS_SOCK_STREAM_LISTEN ||
           s->type == MOS_SOCK_PIPE;
}

int mtcp_epoll_ctl(mctx_t mctx, int epid, int op, int sockid, struct mtcp_epoll_event *event)
{
    struct mtcp_ctx *ctx;
    struct sock *ep = sock_of_call(mctx, epid, &ctx);
    struct sock *s = ep ? sock_of_call(mctx, sockid, &ctx) : NULL;
    if (!s)
        return -1;
    if (ep->type != MOS_SOCK_EPOLL || !can_be_watched(s))
        return (int)sock_result(-ENOTSOCK);
    if (!event && (op == MOS_EPOLL_CTL_ADD || op == MOS_EPOLL_CTL_MOD))
        return (int)sock_result(-EFAULT);
    if (op < MOS_EPOLL_CTL_ADD || op > MOS_EPOLL_CTL_MOD)
        return (int)sock_result(-EINVAL);
    return (int)sock_result(ctl(ctx, ep->epoll, op, s, event));
}

/* ---- wait ------------------------------------------------------------------------------------ */

/* What is handed out. */
struct harvest {
    struct mtcp_ctx *ctx;
    struct mtcp_epoll_event *events;
    int n, max;
};

/* Asks one entry that was taken off the list; reports it or not, and puts it back as it shall be.
 */
static void item_report(struct epoll_item *it, struct harvest *h)
{
    uint32_t ev = sock_poll(sock_find(h->ctx, it->sock)) & it->events & REPORTED;
    if (!ev)
        return;
    h->events[h->n++] = (struct mtcp_epoll_event){.events = ev, .data = {.u64 = it->data}};
    if (it->events & MOS_EPOLLONESHOT)
        it->events &= HOW;
    else if (!(it->events & MOS_EPOLLET))
        item_queue(it);
}

/* Each entry that is on the list now is asked at most once. */
static void collect_socks(struct epoll *ep, struct harvest *h)
{
    struct list_node asked, *at;
    list_init(&asked);
    list_splice_tail(&asked, &ep->ready);
    while (h->n < h->max && (at = list_pop_head(&asked)) != NULL)
        item_report(container_of(at, struct epoll_item, ready), h);
    list_splice_tail(&asked, &ep->ready); /* those not asked come first next time */
    list_splice_tail(&ep->ready, &asked);
}

static const struct {
    uint32_t ours, kernels;
} bits[] = {
    {MOS_EPOLLIN, EPOLLIN},           {MOS_EPOLLPRI, EPOLLPRI}, {MOS_EPOLLOUT, EPOLLOUT},
    {MOS_EPOLLERR, EPOLLERR},         {MOS_EPOLLHUP, EPOLLHUP}, {MOS_EPOLLRDHUP, EPOLLRDHUP},
    {MOS_EPOLLONESHOT, EPOLLONESHOT}, {MOS_EPOLLET, EPOLLET},
};

static uint32_t to_kernel(uint64_t ours)
{
    uint32_t k = 0;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (ours & bits[i].ours)
            k |= bits[i].kernels;
    return k;
}

static uint32_t from_kernel(uint32_t k)
{
    uint32_t ours = 0;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (k & bits[i].kernels)
            ours |= bits[i].ours;
    return ours;
}

static void collect_fds(struct epoll *ep, struct harvest *h, int max)
{
    enum { BATCH = 64 };
    struct epoll_event ev[BATCH];
    if (max <= 0)
        return;
    int saved = errno;
    int n = epoll_wait(ep->kernel_fd, ev, max < BATCH ? max : BATCH, 0);
    errno = saved;
    for (int i = 0; i < n; i++)
        h->events[h->n++] = (struct mtcp_epoll_event){
            .events = from_kernel(ev[i].events),
            .data = {.u64 = ev[i].data.u64},
        };
}

/* Neither sockets nor descriptors can keep the others out: while both have something, each gets
 * half of the room, and they take turns at the odd place. */
static int collect(struct epoll *ep, struct harvest *h)
{
    h->n = 0;
    if (unlikely(ep->n_fds > 0)) {
        int half = (int)(((unsigned)h->max + (++ep->turn & 1)) / 2);
        collect_fds(ep, h, list_is_empty(&ep->ready) ? h->max : half);
    }
    collect_socks(ep, h);
    return h->n;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t deadline_of(const struct mtcp_ctx *ctx, int timeout_ms)
{
    return timeout_ms < 0 ? UINT64_MAX : ctx->net.env.now_us + (uint64_t)timeout_ms * 1000u;
}

/* Turns until something is there: the number of entries, 0 at the end of the time, -errno. */
static int wait_for(struct mtcp_ctx *ctx, struct sock *s, struct harvest *h, int timeout_ms)
{
    uint64_t deadline = 0;
    sock_doze_news(ctx);
    for (;;) {
        unsigned work = ctx_poll(ctx);
        if (work)
            sock_doze_news(ctx);
        if (unlikely(sock_doze_is_due(ctx)))
            sock_doze(ctx);
        if (s->type != MOS_SOCK_EPOLL)
            return -EBADF; /* a monitor's code closed it */
        if (collect(s->epoll, h) > 0)
            return h->n;
        if (sock_interrupted(ctx))
            return -EINTR;
        if (deadline == 0)
            deadline = deadline_of(ctx, timeout_ms);
        if (ctx->net.env.now_us >= deadline)
            return 0;
        if (!work)
            ctx_idle(ctx, min64(deadline, sock_doze_us(ctx)));
    }
}

int mtcp_epoll_wait(mctx_t mctx, int epid, struct mtcp_epoll_event *events, int maxevents,
                    int timeout)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, epid, &ctx);
    if (!s)
        return -1;
    if (s->type != MOS_SOCK_EPOLL)
        return (int)sock_result(-ENOTSOCK);
    if (!events)
        return (int)sock_result(-EFAULT);
    if (maxevents <= 0)
        return (int)sock_result(-EINVAL);
    struct harvest h = {.ctx = ctx, .events = events, .max = maxevents};
    if (!ctx_may_run(ctx))
        return (int)sock_result(-EDEADLK);
    sock_reclaim(ctx);
    ctx->is_blocking = true;
    int n = wait_for(ctx, s, &h, timeout);
    ctx->is_blocking = false;
    return (int)sock_result(n);
}

/* ---- kernel descriptors ---------------------------------------------------------------------- */

static int kernel_open(struct mtcp_ctx *ctx, struct epoll *ep)
{
    if (ep->kernel_fd >= 0)
        return 0;
    ep->kernel_fd = epoll_create1(EPOLL_CLOEXEC);
    if (ep->kernel_fd < 0)
        return -ENOMEM;
    /* Who waits for this epoll has asked it before sleeping; who waits for something else must not
     * be kept awake by what is ready here. */
    int err = ctx_wake_on_news(ctx, ep->kernel_fd);
    if (err < 0)
        kernel_close(ctx, ep);
    return err;
}

static int fd_add(struct mtcp_ctx *ctx, struct epoll *ep, int fd, const struct mtcp_epoll_event *ev)
{
    int err = kernel_open(ctx, ep);
    if (err < 0)
        return err;
    struct epoll_event k = {.events = to_kernel(ev->events), .data.u64 = ev->data.u64};
    int saved = errno;
    if (epoll_ctl(ep->kernel_fd, EPOLL_CTL_ADD, fd, &k) == 0) {
        ep->n_fds++;
        return 0;
    }
    if (errno == EEXIST && epoll_ctl(ep->kernel_fd, EPOLL_CTL_MOD, fd, &k) == 0) {
        errno = saved;
        return 0;
    }
    return -errno;
}

int mtcp_epoll_add_fd(mctx_t mctx, int epid, int fd, struct mtcp_epoll_event *event)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, epid, &ctx);
    if (!s)
        return -1;
    if (s->type != MOS_SOCK_EPOLL)
        return (int)sock_result(-ENOTSOCK);
    if (!event)
        return (int)sock_result(-EFAULT);
    return (int)sock_result(fd_add(ctx, s->epoll, fd, event));
}

int mtcp_epoll_del_fd(mctx_t mctx, int epid, int fd)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, epid, &ctx);
    if (!s)
        return -1;
    if (s->type != MOS_SOCK_EPOLL)
        return (int)sock_result(-ENOTSOCK);
    if (s->epoll->kernel_fd < 0)
        return (int)sock_result(fcntl(fd, F_GETFD) < 0 ? -EBADF : -ENOENT);
    if (epoll_ctl(s->epoll->kernel_fd, EPOLL_CTL_DEL, fd, NULL) < 0)
        return -1;
    s->epoll->n_fds--;
    return 0;
}

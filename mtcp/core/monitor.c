/* The endpoint's half of tcp/hook.h: what a monitor may ask of it, and how it is found. */
#include "mtcp/core/ctx.h"
#include "mtcp/tcp/hook.h"
#include "mtcp/tcp/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void sv_view(struct mtcp_context *mctx, const struct flow *flow, struct tcp_flow_view *v)
{
    (void)mctx;
    tcp_flow_view(flow, v);
}

static void sv_streams(struct mtcp_context *mctx, const struct flow *flow, struct hook_streams *s)
{
    (void)mctx;
    tcp_flow_streams(flow, s);
}

static void sv_spare(struct mtcp_context *mctx, struct flow *flow, unsigned what)
{
    (void)mctx;
    net_flow_spare(flow, what);
}

static void sv_set_hist(struct mtcp_context *mctx, struct flow *flow, bool is_rcv, uint32_t bytes)
{
    (void)mctx;
    net_flow_set_hist(flow, is_rcv, bytes);
}

static void sv_set_policy(struct mtcp_context *mctx, struct flow *flow, bool is_rcv,
                          enum stream_policy p)
{
    (void)mctx;
    net_flow_set_policy(flow, is_rcv, p);
}

static void sv_reset(struct mtcp_context *mctx, struct flow *flow)
{
    net_flow_reset(&ctx_of_live(mctx)->net, flow);
}

static void sv_detach(struct mtcp_context *mctx, struct flow *flow)
{
    (void)mctx;
    net_flow_detach(flow);
}

static int sv_send(struct mtcp_context *mctx, const struct ip_addr *to, const uint8_t *eth,
                   const uint8_t *ip, uint32_t len)
{
    return net_send_own(&ctx_of_live(mctx)->net, to, eth, ip, len);
}

static int sv_send_frame(struct mtcp_context *mctx, uint8_t netif, const uint8_t *frame,
                         uint32_t len)
{
    return net_send_frame(&ctx_of_live(mctx)->net, netif, frame, len);
}

static void sv_watch_frames(struct mtcp_context *mctx, bool is_on)
{
    net_watch_frames(&ctx_of_live(mctx)->net, is_on);
}

static int sv_sock_alloc(struct mtcp_context *mctx, int type, const struct hook_sock_ops *ops,
                         void *arg)
{
    struct mtcp_ctx *ctx = ctx_of_live(mctx);
    return ctx->sock_ops->sock_alloc(ctx, type, ops, arg);
}

static void sv_sock_free(struct mtcp_context *mctx, int sock)
{
    struct mtcp_ctx *ctx = ctx_of_live(mctx);
    ctx->sock_ops->sock_free(ctx, sock);
}

static void *sv_sock_arg(struct mtcp_context *mctx, int sock, int *type)
{
    struct mtcp_ctx *ctx = ctx_of_live(mctx);
    return ctx->sock_ops->sock_arg(ctx, sock, type);
}

static void sv_wire_conf(struct mtcp_context *mctx, struct hook_wire_conf *conf)
{
    struct mtcp_ctx *ctx = ctx_of_live(mctx);
    struct rng *rng = &ctx->net.env.rng;
    *conf = (struct hook_wire_conf){
        .forwards = ctx->config.forward,
        .max_conns = ctx->net.conf.max_conns,
        .max_buffer_bytes = ctx->config.tcp.rcvbuf_max,
        .idle_us = ctx->config.tcp.idle_timeout_us,
        .tw_us = ctx->config.tcp.tw_us,
        .key = {rng_u64(rng), rng_u64(rng)},
    };
}

static uint64_t sv_now_us(struct mtcp_context *mctx)
{
    return ctx_of_live(mctx)->net.env.now_us;
}

static uint64_t sv_clock_us(struct mtcp_context *mctx)
{
    return ctx_now_us(ctx_of_live(mctx));
}

static struct mem *sv_mem(struct mtcp_context *mctx)
{
    return ctx_of_live(mctx)->mem;
}

static void sv_warn(struct mtcp_context *mctx, const char *line)
{
    log_line(ctx_of_live(mctx)->net.log, LOG_WARN, "%s", line);
}

static int sv_check(struct mtcp_context *mctx)
{
    int saved = errno;
    int err = ctx_of(mctx) ? 0 : -errno;
    errno = saved;
    return err;
}

static void sv_user_begin(struct mtcp_context *mctx)
{
    ctx_of_live(mctx)->net.env.user_depth++;
}

static void sv_user_end(struct mtcp_context *mctx)
{
    struct tcp_env *e = &ctx_of_live(mctx)->net.env;
    BUG_ON(e->user_depth == 0);
    e->user_depth--;
}

static const struct hook_services services = {
    .view = sv_view,
    .streams = sv_streams,
    .spare = sv_spare,
    .set_hist = sv_set_hist,
    .set_policy = sv_set_policy,
    .reset = sv_reset,
    .detach = sv_detach,
    .send = sv_send,
    .send_frame = sv_send_frame,
    .watch_frames = sv_watch_frames,
    .sock_alloc = sv_sock_alloc,
    .sock_free = sv_sock_free,
    .sock_arg = sv_sock_arg,
    .wire_conf = sv_wire_conf,
    .now_us = sv_now_us,
    .clock_us = sv_clock_us,
    .mem = sv_mem,
    .warn = sv_warn,
    .check = sv_check,
    .user_begin = sv_user_begin,
    .user_end = sv_user_end,
};

int ctx_attach_monitor(struct mtcp_ctx *ctx)
{
    if (ctx->mon)
        return 0;
    if (&hook_monitor == NULL)
        return -ENOSYS;
    const struct tcp_hooks *hooks = NULL;
    ctx->mon = hook_monitor.attach(ctx->handle, &services, &hooks);
    if (!ctx->mon)
        return -(errno ? errno : ENOMEM);
    ctx->net.env.hooks = hooks;
    ctx->net.env.mon = ctx->mon;
    return 0;
}

void *hook_monitor_of(struct mtcp_context *mctx)
{
    struct mtcp_ctx *ctx = ctx_of(mctx);
    if (!ctx)
        return NULL;
    int err = ctx_attach_monitor(ctx);
    if (err < 0) {
        errno = -err;
        return NULL;
    }
    return ctx->mon;
}

static int load_monitors(struct mtcp_ctx *ctx, char *msg, size_t msg_len)
{
    for (unsigned i = 0; i < ctx->config.n_monitors; i++) {
        const struct config_monitor *m = &ctx->config.monitor[i];
        char why[256] = "";
        int err = ctx_attach_monitor(ctx);
        if (err == -ENOSYS)
            snprintf(why, sizeof(why), "no monitor is linked into this program");
        else if (err == 0 &&
                 (!hook_monitor.plugin_load ||
                  hook_monitor.plugin_load(ctx->mon, m->plugin, m->args, why, sizeof(why)) < 0))
            err = -(errno ? errno : EINVAL);
        if (err == 0)
            continue;
        snprintf(msg, msg_len, "monitor \"%s\": %s", m->name, why[0] ? why : strerror(-err));
        return err;
    }
    return 0;
}

int ctx_load_monitors(struct mtcp_ctx *ctx, char *msg, size_t msg_len)
{
    ctx->in_poll = true; /* a plugin that starts can neither run this loop nor end the context */
    int err = load_monitors(ctx, msg, msg_len);
    ctx->in_poll = false;
    return err;
}

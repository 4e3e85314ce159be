/* The life of a context: memory, interfaces, routes and static addresses from the configuration. */
#include "mtcp/core/ctx.h"

#include "mtcp/tcp/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- log ------------------------------------------------------------------------------------- */

static void log_to_fd(void *arg, enum log_level level, const char *line)
{
    const struct mtcp_ctx *ctx = arg;
    dprintf(ctx->log_fd, "[cpu %d] %s: %s\n", ctx->handle ? ctx->handle->cpu : -1,
            log_level_name(level), line);
}

/* 0 or -errno. */
static int log_open(struct mtcp_ctx *ctx)
{
    const char *path = ctx->config.log_file;
    ctx->log_fd = -1;
    if (path[0] == '\0')
        return 0;
    if (strcmp(path, "stderr") == 0)
        ctx->log_fd = dup(STDERR_FILENO);
    else
        ctx->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (ctx->log_fd < 0)
        return -errno;
    ctx->log = (struct log){log_to_fd, ctx, ctx->config.log_level};
    return 0;
}

/* ---- interfaces ------------------------------------------------------------------------------ */

/* The netdev section of the i-th device: by name; a device without a name: by its place. */
static const struct config_netdev *netdev_of(const struct mtcp_ctx *ctx, unsigned i)
{
    const struct config *c = &ctx->config;
    const char *name = ctx->ios[i]->name;
    if (!name)
        return i < c->n_netdevs ? &c->netdev[i] : NULL;
    for (unsigned d = 0; d < c->n_netdevs; d++)
        if (strcmp(c->netdev[d].name, name) == 0)
            return &c->netdev[d];
    return NULL;
}

static int add_interface(struct mtcp_ctx *ctx, unsigned i)
{
    static const struct config_netdev none;
    static const struct ip_addr no_addr;
    const struct config_netdev *d = netdev_of(ctx, i);
    struct mtcp_io *io = ctx->ios[i];
    const char *name = d ? d->name : io->name ? io->name : "?";
    if (!d)
        d = &none;
    int index = net_if_add(&ctx->net, io, name, &no_addr, 0);
    if (index < 0)
        return index;
    struct net_if *nif = &ctx->net.ifs[index];
    if (d->mtu && d->mtu < nif->mtu)
        nif->mtu = nif->mtu6 = d->mtu;
    int err = 0;
    for (unsigned a = 0; a < d->n_addrs && err == 0; a++)
        err = net_addr_add(&ctx->net, nif->index, &d->addr[a].ip, d->addr[a].prefix_len);
    return err == 0 && d->autoconf ? net_if_autoconf(&ctx->net, nif->index) : err;
}

/* The interface of a netdev section's name; -1: no device was given for it. */
static int interface_of(const struct mtcp_ctx *ctx, const char *name)
{
    for (unsigned i = 0; i < ctx->net.n_ifs; i++)
        if (strcmp(ctx->net.ifs[i].name, name) == 0)
            return (int)i;
    return -1;
}

static int complain(const struct ctx_create *how, int err, const char *what, const char *name)
{
    if (err == -ENOMEM)
        snprintf(how->msg, how->msg_len,
                 "no memory for %s %s; a smaller max_concurrency or a larger mem_limit helps", what,
                 name);
    else
        snprintf(how->msg, how->msg_len, "%s %s: %s", what, name, strerror(-err));
    return err;
}

static int add_interfaces(struct mtcp_ctx *ctx, const struct ctx_create *how)
{
    for (unsigned i = 0; i < ctx->n_ios; i++) {
        int err = add_interface(ctx, i);
        if (err < 0)
            return complain(how, err, "netdev", ctx->ios[i]->name ? ctx->ios[i]->name : "?");
    }
    for (unsigned i = 0; i < ctx->config.n_netdevs; i++) {
        const char *name = ctx->config.netdev[i].name;
        if (interface_of(ctx, name) < 0)
            return complain(how, -EINVAL, "no device for netdev", name);
    }
    if (!config_is_wire(&ctx->config))
        return 0;
    int err = net_wire(&ctx->net, ctx->config.forward);
    return err < 0 ? complain(how, err, "forward", "between two devices") : 0;
}

static int add_routes(struct mtcp_ctx *ctx, const struct ctx_create *how)
{
    for (unsigned i = 0; i < ctx->config.n_routes; i++) {
        struct config_route *r = &ctx->config.route[i];
        char dst[IP_ADDR_STRLEN];
        r->route.netif = (uint8_t)interface_of(ctx, r->netdev);
        int err = net_route_add(&ctx->net, &r->route);
        if (err < 0)
            return complain(how, err, "route", ip_addr_str(&r->route.dst, dst));
    }
    for (unsigned i = 0; i < ctx->config.n_arps; i++) {
        const struct config_arp *a = &ctx->config.arp[i];
        char ip[IP_ADDR_STRLEN];
        int err = net_neigh_add(&ctx->net, (uint8_t)interface_of(ctx, a->netdev), &a->ip, &a->mac);
        if (err < 0)
            return complain(how, err, "arp", ip_addr_str(&a->ip, ip));
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t seed_of(const struct mtcp_env *world)
{
    uint64_t seed = world->seed;
    while (seed == 0)
        if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
            seed = 0;
    return seed;
}

/* A key that a peer can't guess, unless the world is a simulated one. */
static void secret_from_system(struct mtcp_ctx *ctx)
{
    struct hash_key key;
    if (ctx->world.seed == 0 && getrandom(&key, sizeof(key), 0) == (ssize_t)sizeof(key))
        ctx->net.env.secret = key;
}

static int net_begin(struct mtcp_ctx *ctx)
{
    struct net_conf conf = ctx->config.net;
    if (conf.max_conns == 0)
        conf.max_conns = 2 * ctx->config.max_concurrency; /* as many again closing */
    int err = net_init(&ctx->net, ctx->mem, &conf, seed_of(&ctx->world), ctx_now_us(ctx));
    if (err < 0)
        return err;
    secret_from_system(ctx);
    ctx->net.env.params = ctx->config.tcp;
    ctx->net.log = &ctx->log;
    return 0;
}

static struct mtcp_ctx *ctx_alloc(const struct ctx_create *how)
{
    struct mtcp_ctx *ctx = calloc(1, sizeof(*ctx));
    if (!ctx)
        return NULL;
    ctx->mem = mem_create(config_mem_limit(how->conf));
    if (!ctx->mem) {
        free(ctx);
        return NULL;
    }
    ctx->config = *how->conf;
    ctx->n_ios = how->n_ios;
    for (unsigned i = 0; i < how->n_ios; i++) {
        ctx->ios[i] = how->ios[i];
        ctx->follows_capture |= config_is_wire(how->conf) && (how->ios[i]->caps & MTCP_IO_CAPTURE);
    }
    if (how->world)
        ctx->world = *how->world;
    return ctx;
}

static void ctx_release(struct mtcp_ctx *ctx)
{
    ctx_loop_fini(ctx);
    mem_destroy(ctx->mem);
    if (ctx->log_fd >= 0)
        close(ctx->log_fd);
    free(ctx);
}

/* Interfaces and routes once net is up; on failure the caller ends net. */
static int ctx_configure(struct mtcp_ctx *ctx, const struct ctx_create *how)
{
    ctx->net.steer = how->steer;
    int err = add_interfaces(ctx, how);
    if (err == 0)
        err = add_routes(ctx, how);
    if (err < 0)
        return err;
    ctx->handle = ctx_table_add(ctx, how->cpu);
    if (!ctx->handle)
        return complain(how, -EBUSY, "context", "");
    stats_init(ctx);
    return 0;
}

struct mtcp_ctx *ctx_create(const struct ctx_create *how, int *err)
{
    struct mtcp_ctx *ctx = ctx_alloc(how);
    if (!ctx) {
        *err = -complain(how, -ENOMEM, "the context of", "this core");
        return NULL;
    }
    ctx_loop_init(ctx);
    int e = log_open(ctx);
    if (e < 0)
        complain(how, e, "mos_log", ctx->config.log_file);
    else if ((e = net_begin(ctx)) < 0)
        complain(how, e, "the tables of", "this core");
    else if ((e = ctx_configure(ctx, how)) < 0)
        net_fini(&ctx->net);
    if (e == 0)
        return ctx;
    ctx_release(ctx);
    *err = -e;
    return NULL;
}

void ctx_destroy(struct mtcp_ctx *ctx)
{
    struct tcp_env *e = &ctx->net.env;
    ctx->is_ending = true;
    ctx->in_poll = true; /* the loop runs no more */
    net_fini(&ctx->net); /* the monitor hears of each connection's end */
    if (ctx->mon) {
        hook_monitor.detach(ctx->mon);
        e->hooks = NULL;
        e->mon = NULL;
    }
    if (ctx->sock_ops)
        ctx->sock_ops->fini(ctx);
    for (unsigned i = 0; i < ctx->n_ios; i++)
        if (ctx->ios[i]->close)
            ctx->ios[i]->close(ctx->ios[i]);
    ctx_table_remove(ctx->handle); /* from now on mtcp_destroy() may stop the devices */
    ctx_release(ctx);
}

/* The monitor module: what the endpoint finds by the symbol hook_monitor. */
#include "mos/monitor.h"

#include "mos/conns.h"
#include "mos/dispatch.h"
#include "mos/order.h"
#include "mos/passive.h"
#include "mos/plugin.h"
#include "mos/tally.h"
#include "mos/user_events.h"
#include "mos/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

/* ---- sockets by id --------------------------------------------------------------------------- */

/* Most calls are about the socket whose callback runs: its id stays until that returns. */
static struct watch *running(const struct mon *m, int sock)
{
    struct watch *w = m->now ? m->now->watch : NULL;
    return w && w->sock == sock ? w : NULL;
}

int mon_sock_find(struct mon *m, int sock, struct mon_sock *s)
{
    int type = -1;
    *s = (struct mon_sock){.watch = running(m, sock)};
    if (s->watch)
        return 0;
    void *arg = m->sv->sock_arg(m->ctx, sock, &type);
    if (arg && type == MOS_SOCK_MONITOR_STREAM_ACTIVE)
        s->watch = arg;
    else if (arg && (type == MOS_SOCK_MONITOR_STREAM || type == MOS_SOCK_MONITOR_RAW))
        s->passive = arg;
    else
        errno = type == -1 || type == MOS_SOCK_UNUSED ? EBADF : ENOTSOCK;
    return s->watch || s->passive ? 0 : -1;
}

struct watch *mon_watch(struct mon *m, int sock, int wrong_kind)
{
    struct mon_sock s;
    if (mon_sock_find(m, sock, &s) == 0 && s.watch)
        return s.watch;
    if (s.passive || errno != EBADF)
        errno = wrong_kind;
    return NULL;
}

struct mon_passive *mon_passive(struct mon *m, int sock, int wrong_kind)
{
    struct mon_sock s;
    if (mon_sock_find(m, sock, &s) == 0 && s.passive)
        return s.passive;
    if (s.watch || errno != EBADF)
        errno = wrong_kind;
    return NULL;
}

static struct cb_set **sock_set(const struct mon_sock *s)
{
    return s->watch ? &s->watch->set : &s->passive->set;
}

/* Can it fire on such a socket? Frames and orphans have no active one. */
static bool slot_is_for(const struct mon_sock *s, enum mon_slot slot)
{
    if (s->passive && s->passive->is_raw)
        return slot == SLOT_PKT_IN_RAW || slot == SLOT_ORPHAN;
    return slot != SLOT_PKT_IN_RAW && !(s->watch && slot == SLOT_ORPHAN);
}

int mon_sock_register(struct mon *m, const struct mon_sock *s, const struct cb_at *at,
                      callback_t cb)
{
    if (!slot_is_for(s, at->slot))
        return -EINVAL;
    if (s->watch && mon_conn_lives(s->watch->conn)) {
        mon_conn_heed(s->watch->conn);
        if (at->slot == SLOT_NEW_DATA)
            mon_conn_due(s->watch->conn); /* what came in this turn, when nobody wanted it */
    }
    return mon_set_change(m, sock_set(s), at, cb);
}

int mon_sock_unregister(struct mon *m, const struct mon_sock *s, const struct cb_at *at)
{
    if (!slot_is_for(s, at->slot))
        return -EINVAL;
    if (!cb_set_find(mon_set_next(m, sock_set(s)), at))
        return -ENOENT;
    if (s->watch && mon_conn_lives(s->watch->conn))
        mon_conn_heed(s->watch->conn);
    return mon_set_change(m, sock_set(s), at, NULL);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void *monitor_attach(struct mtcp_context *ctx, const struct hook_services *sv,
                            const struct tcp_hooks **hooks)
{
    struct mem *mem = sv->mem(ctx);
    struct mon *m = mem_zalloc(mem, sizeof(*m));
    if (!m) {
        errno = ENOMEM;
        return NULL;
    }
    m->ctx = ctx;
    m->sv = sv;
    m->mem = mem;
    cb_sets_init(&m->sets, mem);
    pool_init(&m->conns, mem, sizeof(struct mon_conn), 0);
    pool_init(&m->watches, mem, sizeof(struct watch), 0);
    pool_init(&m->tallies, mem, sizeof(struct tally), 0);
    mon_timers_init(&m->timers, mem);
    list_init(&m->passives);
    list_init(&m->due);
    list_init(&m->graves);
    list_init(&m->plugins);
    list_init(&m->changes);
    list_init(&m->stopped);
    *hooks = &order_hooks;
    return m;
}

/* Connections that are still there: the endpoint must not call us for them any more. */
static void conns_let_go(struct mon *m)
{
    struct list_node *n;
    while ((n = list_pop_head(&m->due)) != NULL) {
        struct mon_conn *c = container_of(n, struct mon_conn, due);
        if (!c->watches)
            mon_conn_let_go(c);
    }
}

static void tell_missed(const struct mon *m)
{
    char line[80];
    if (m->n_missed_conns == 0)
        return;
    (void)snprintf(line, sizeof(line), "%" PRIu64 " times a connection was not monitored",
                   m->n_missed_conns);
    m->sv->warn(m->ctx, line);
}

static void monitor_detach(void *mon)
{
    struct mon *m = mon;
    tell_missed(m);
    wire_fini(m);
    plugins_unload(m);
    while (!list_is_empty(&m->passives))
        passive_stop(container_of(m->passives.next, struct mon_passive, node));
    conns_let_go(m);
    mon_conns_bury(m);
    mon_timers_fini(&m->timers);
    user_events_fini(m);
    pool_fini(&m->tallies);
    pool_fini(&m->watches);
    pool_fini(&m->conns);
    mem_free(m->mem, m, sizeof(*m));
}

static int monitor_socket(void *mon, int domain, int type)
{
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNSPEC) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    if (type != MOS_SOCK_MONITOR_STREAM && type != MOS_SOCK_MONITOR_RAW) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    return passive_create(mon, type);
}

static int monitor_plugin_load(void *mon, const char *path, const char *args, char *err,
                               size_t err_len)
{
    return plugin_load(mon, path, args, err, err_len);
}

const struct hook_monitor hook_monitor = {
    .attach = monitor_attach,
    .detach = monitor_detach,
    .socket = monitor_socket,
    .plugin_load = monitor_plugin_load,
};

/*
 * Options of monitor sockets: one table. Checks come in the order of API.md's common rules: level
 * (ENOSYS), kind of socket (ENOTSOCK), name (ENOSYS), direction (EPERM), NULL (EFAULT), length and
 * value (EINVAL), nothing there yet (ENODATA). Nothing is written on failure.
 */
#include "mos/mon_opt.h"

#include "mos/conns.h"
#include "mos/dispatch.h"
#include "mos/edges.h"
#include "mos/peek.h"
#include "mos/tally.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

/* A value of any option but the fragment lists. */
union value {
    int i;
    uint64_t u64;
    struct tcp_buf_info info;
    struct mos_traffic traffic;
};

/* 0 or -errno. The fragment lists have a length instead of a size (opt_is_list). */
struct option {
    int name;
    int side; /* MOS_SIDE_BOTH: of the connection */
    size_t size;
    int (*get)(struct watch *w, int side, union value *v);
    int (*set)(struct watch *w, int side, int val);
    int (*passive_get)(const struct mon_passive *p, int side);
    int (*passive_set)(struct mon_passive *p, int side, int val);
};

/* To the caller's convention: 0, or -1 and errno. */
static int answer(int rc)
{
    if (rc == 0)
        return 0;
    errno = -rc;
    return -1;
}

/* ---- values ---------------------------------------------------------------------------------- */

static int get_info(struct watch *w, int side, union value *v)
{
    const struct mon_host *sender = &w->conn->host[side_other(side)];
    struct mon_edges e;
    if (!sender->syn_seen)
        return -ENODATA;
    mon_edges(w->conn, side, &e);
    uint32_t init = seq_of_off(sender->isn, 0).v;
    v->info.tcpbi_init_seq = init;
    v->info.tcpbi_last_byte_read = init + (uint32_t)e.read;
    v->info.tcpbi_next_byte_expected = init + (uint32_t)e.next;
    v->info.tcpbi_last_byte_received = init + (uint32_t)e.end;
    return 0;
}

static int get_state(struct watch *w, int side, union value *v)
{
    v->i = w->conn->host[side].state;
    return 0;
}

static int get_timestamp(struct watch *w, int side, union value *v)
{
    const struct mon_conn *c = w->conn;
    struct tcp_flow_view view;
    (void)side;
    mon_conn_view(c, &view); /* segments that were spared */
    v->u64 = view.last_active_us > c->last_active_us ? view.last_active_us : c->last_active_us;
    return 0;
}

static int get_traffic(struct watch *w, int side, union value *v)
{
    if (!w->conn->tally)
        return -ENODATA;
    tally_read(w->conn->tally, side, &v->traffic);
    return 0;
}

static int get_now(struct watch *w, int side, union value *v)
{
    const struct mon *m = w->conn->mon;
    (void)side;
    v->u64 = m->sv->now_us(m->ctx);
    return 0;
}

static int get_missed(struct watch *w, int side, union value *v)
{
    v->u64 = watch_missed(w, side);
    return 0;
}

static int get_last_error(struct watch *w, int side, union value *v)
{
    const struct mon_dispatch *now = w->conn->mon->now;
    (void)side;
    if (!now || now->conn != w->conn || now->slot != SLOT_ERROR)
        return -ENODATA;
    v->i = (int)now->error;
    return 0;
}

static int get_end_reason(struct watch *w, int side, union value *v)
{
    (void)side;
    if (!w->conn->end_reason)
        return -ENODATA;
    v->i = w->conn->end_reason;
    return 0;
}

static int get_endpoint_sock(struct watch *w, int side, union value *v)
{
    struct tcp_flow_view view;
    (void)side;
    mon_conn_view(w->conn, &view);
    v->i = view.sock;
    return 0;
}

static int get_real_side(struct watch *w, int side, union value *v)
{
    (void)side;
    v->i = w->conn->real;
    return 0;
}

static int get_hist(struct watch *w, int side, union value *v)
{
    v->i = (int)w->hist[side];
    return 0;
}

static bool hist_is_valid(int val)
{
    return val >= 0 && (unsigned)val <= STREAM_LIMIT_MAX;
}

static int set_hist(struct watch *w, int side, int val)
{
    if (!hist_is_valid(val))
        return -EINVAL;
    watch_set_peeking(w, side, val > 0);
    w->hist[side] = (uint32_t)val;
    mon_conn_apply_hist(w->conn, side);
    return 0;
}

static int get_policy(struct watch *w, int side, union value *v)
{
    v->i = w->conn->host[side].policy;
    return 0;
}

static bool policy_is_valid(int val)
{
    return val >= 0 && val < MOS_OVERLAP_CNT;
}

static int set_policy(struct watch *w, int side, int val)
{
    if (!policy_is_valid(val))
        return -EINVAL;
    w->conn->host[side].policy = (uint8_t)val;
    mon_conn_apply_policy(w->conn, side);
    return 0;
}

static int set_stop(struct watch *w, int side, int val)
{
    (void)side;
    if (val == MOS_SIDE_BOTH)
        watch_stop(w);
    else if (side_is_one(val))
        w->stopped[val] = true;
    else
        return -EINVAL;
    return 0;
}

/* ---- policies of a passive socket ------------------------------------------------------------ */

static int passive_get_hist(const struct mon_passive *p, int side)
{
    return p->hist[side] < 0 ? 0 : p->hist[side];
}

static int passive_set_hist(struct mon_passive *p, int side, int val)
{
    if (!hist_is_valid(val))
        return -EINVAL;
    p->hist[side] = val;
    return 0;
}

static int passive_get_policy(const struct mon_passive *p, int side)
{
    return p->policy[side] < 0 ? MOS_OVERLAP_POLICY_FIRST : p->policy[side];
}

static int passive_set_policy(struct mon_passive *p, int side, int val)
{
    if (!policy_is_valid(val))
        return -EINVAL;
    p->policy[side] = (int8_t)val;
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

#define CLI  MOS_SIDE_CLI
#define SVR  MOS_SIDE_SVR
#define BOTH MOS_SIDE_BOTH
#define LIST NULL, NULL, NULL, NULL
#define HIST get_hist, set_hist, passive_get_hist, passive_set_hist
#define OVER get_policy, set_policy, passive_get_policy, passive_set_policy

/* By name, so that none is searched for. */
#define OPTION(NAME, ...) [NAME] = {NAME, __VA_ARGS__}
static const struct option table[] = {
    OPTION(MOS_FRAGINFO_CLIBUF, CLI, 0, LIST),
    OPTION(MOS_FRAGINFO_SVRBUF, SVR, 0, LIST),
    OPTION(MOS_INFO_CLIBUF, CLI, sizeof(struct tcp_buf_info), get_info, NULL, NULL, NULL),
    OPTION(MOS_INFO_SVRBUF, SVR, sizeof(struct tcp_buf_info), get_info, NULL, NULL, NULL),
    OPTION(MOS_TCP_STATE_CLI, CLI, sizeof(int), get_state, NULL, NULL, NULL),
    OPTION(MOS_TCP_STATE_SVR, SVR, sizeof(int), get_state, NULL, NULL, NULL),
    OPTION(MOS_TIMESTAMP, BOTH, sizeof(uint64_t), get_timestamp, NULL, NULL, NULL),
    OPTION(MOS_CLIBUF, CLI, sizeof(int), HIST),
    OPTION(MOS_SVRBUF, SVR, sizeof(int), HIST),
    OPTION(MOS_STOP_MON, BOTH, sizeof(int), NULL, set_stop, NULL, NULL),
    OPTION(MOS_CLIOVERLAP, CLI, sizeof(int), OVER),
    OPTION(MOS_SVROVERLAP, SVR, sizeof(int), OVER),
    OPTION(MOS_MISSED_CLIBUF, CLI, sizeof(uint64_t), get_missed, NULL, NULL, NULL),
    OPTION(MOS_MISSED_SVRBUF, SVR, sizeof(uint64_t), get_missed, NULL, NULL, NULL),
    OPTION(MOS_LASTERROR, BOTH, sizeof(int), get_last_error, NULL, NULL, NULL),
    OPTION(MOS_END_REASON, BOTH, sizeof(int), get_end_reason, NULL, NULL, NULL),
    OPTION(MOS_ENDPOINT_SOCK, BOTH, sizeof(int), get_endpoint_sock, NULL, NULL, NULL),
    OPTION(MOS_REAL_SIDE, BOTH, sizeof(int), get_real_side, NULL, NULL, NULL),
    OPTION(MOS_NOW, BOTH, sizeof(uint64_t), get_now, NULL, NULL, NULL),
    OPTION(MOS_TRAFFIC_CLI, CLI, sizeof(struct mos_traffic), get_traffic, NULL, NULL, NULL),
    OPTION(MOS_TRAFFIC_SVR, SVR, sizeof(struct mos_traffic), get_traffic, NULL, NULL, NULL),
};

static const struct option *option_find(int name)
{
    if (name <= 0 || name >= (int)(sizeof(table) / sizeof(table[0])) || !table[name].name)
        return NULL;
    return &table[name];
}

static bool option_is_list(const struct option *o)
{
    return o->size == 0;
}

/* 0 when the level is ours; else it is unknown, or not for monitor sockets. */
static int level_check(int level)
{
    switch (level) {
    case SOL_MONSOCKET:
        return 0;
    case SOL_SOCKET:
    case IPPROTO_IP:
    case IPPROTO_TCP:
    case IPPROTO_IPV6:
        return -ENOTSOCK;
    default:
        return -ENOSYS;
    }
}

/* ---- fragment lists -------------------------------------------------------------------------- */

static void fragments_write(struct tcp_ring_fragment *to, const struct range *runs, unsigned n)
{
    memset(to, 0, n * sizeof(*to));
    for (unsigned i = 0; i < n; i++) {
        to[i].offset = runs[i].start;
        to[i].len = (uint32_t)(runs[i].end - runs[i].start);
    }
}

/* *len: in the room, out the number, both in elements. */
static int get_fragments(struct watch *w, int side, void *val, socklen_t *len)
{
    struct range runs[RANGES_MAX + 1];
    struct mon_edges e;
    unsigned n = 0;
    if (!len)
        return -EFAULT;
    if (val && (*len == 0 || *len > INT_MAX))
        return -EINVAL;
    if (!w->no_peek[side]) {
        mon_edges(w->conn, side, &e);
        n = mon_edges_runs(&e, runs, RANGES_MAX + 1);
    }
    if (val) {
        n = n < *len ? n : *len;
        fragments_write(val, runs, n);
    }
    *len = n;
    return 0;
}

/* ---- getsockopt, setsockopt ------------------------------------------------------------------ */

static int room_check(const struct option *o, const void *val, const socklen_t *len)
{
    if (!val || !len)
        return -EFAULT;
    return *len < o->size || *len > INT_MAX ? -EINVAL : 0;
}

static void value_out(const struct option *o, const union value *v, void *val, socklen_t *len)
{
    memcpy(val, v, o->size);
    *len = (socklen_t)o->size;
}

static int value_in(const void *val, socklen_t len, int *out)
{
    if (!val)
        return -EFAULT;
    if (len < sizeof(*out) || len > INT_MAX)
        return -EINVAL;
    memcpy(out, val, sizeof(*out));
    return 0;
}

static int active_get(struct watch *w, int name, void *val, socklen_t *len)
{
    union value v = {0};
    const struct option *o = option_find(name);
    if (!o)
        return -ENOSYS;
    if (option_is_list(o))
        return get_fragments(w, o->side, val, len);
    if (!o->get)
        return -EPERM;
    int rc = room_check(o, val, len);
    if (rc == 0)
        rc = o->get(w, o->side, &v);
    if (rc == 0)
        value_out(o, &v, val, len);
    return rc;
}

static int active_set(struct watch *w, int name, const void *val, socklen_t len)
{
    int v;
    const struct option *o = option_find(name);
    if (!o)
        return -ENOSYS;
    if (!o->set)
        return -EPERM;
    int rc = value_in(val, len, &v);
    return rc ? rc : o->set(w, o->side, v);
}

/* Of a passive socket only the policies; anything else is for active ones. */
static int passive_get(const struct mon_passive *p, int name, void *val, socklen_t *len)
{
    const struct option *o = option_find(name);
    if (!o || !o->passive_get)
        return -ENOTSOCK;
    int rc = room_check(o, val, len);
    if (rc == 0) {
        union value v = {.i = o->passive_get(p, o->side)};
        value_out(o, &v, val, len);
    }
    return rc;
}

static int passive_set(struct mon_passive *p, int name, const void *val, socklen_t len)
{
    int v;
    const struct option *o = option_find(name);
    if (!o || !o->passive_set)
        return -ENOTSOCK;
    int rc = value_in(val, len, &v);
    return rc ? rc : o->passive_set(p, o->side, v);
}

static int active_getsockopt(void *arg, int sock, int level, int name, void *val, socklen_t *len)
{
    int rc = level_check(level);
    (void)sock;
    return answer(rc ? rc : active_get(arg, name, val, len));
}

static int active_setsockopt(void *arg, int sock, int level, int name, const void *val,
                             socklen_t len)
{
    int rc = level_check(level);
    (void)sock;
    return answer(rc ? rc : active_set(arg, name, val, len));
}

static int passive_getsockopt(void *arg, int sock, int level, int name, void *val, socklen_t *len)
{
    int rc = level_check(level);
    (void)sock;
    return answer(rc ? rc : passive_get(arg, name, val, len));
}

static int passive_setsockopt(void *arg, int sock, int level, int name, const void *val,
                              socklen_t len)
{
    int rc = level_check(level);
    (void)sock;
    return answer(rc ? rc : passive_set(arg, name, val, len));
}

/* A raw one has none. */
static int raw_getsockopt(void *arg, int sock, int level, int name, void *val, socklen_t *len)
{
    int rc = level_check(level);
    (void)arg, (void)sock, (void)name, (void)val, (void)len;
    return answer(rc ? rc : -ENOTSOCK);
}

static int raw_setsockopt(void *arg, int sock, int level, int name, const void *val, socklen_t len)
{
    int rc = level_check(level);
    (void)arg, (void)sock, (void)name, (void)val, (void)len;
    return answer(rc ? rc : -ENOTSOCK);
}

/* ---- addresses, end -------------------------------------------------------------------------- */

static size_t sockaddr_write(void *to, const struct ip_addr *ip, uint16_t port)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = be16_make(port).raw};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = be16_make(port).raw};
    if (ip_addr_is_v4(ip)) {
        in4.sin_addr.s_addr = ip->w[3].raw;
        memcpy(to, &in4, sizeof(in4));
        return sizeof(in4);
    }
    struct ip_addr plain = *ip;
    if (ip_addr_is_link_local(ip))
        in6.sin6_scope_id = ip_addr_zone(ip);
    ip_addr_set_zone(&plain, 0);
    memcpy(&in6.sin6_addr, plain.b, sizeof(plain.b));
    memcpy(to, &in6, sizeof(in6));
    return sizeof(in6);
}

/* The address of one host, or both, client first; the number of bytes. */
static size_t conn_addrs(const struct mon_conn *c, int side, char *to)
{
    struct tcp_flow_view v;
    size_t n = 0;
    mon_conn_view(c, &v);
    const struct flow_tuple *t = &v.tuple;
    for (int s = 0; s < SIDES; s++) {
        if (side != s && side != MOS_SIDE_BOTH)
            continue;
        bool is_local = (s == MOS_SIDE_CLI) == v.local_is_cli;
        n += sockaddr_write(to + n, is_local ? &t->local : &t->remote,
                            is_local ? t->local_port : t->remote_port);
    }
    return n;
}

static int active_getpeername(void *arg, int sock, struct sockaddr *addr, socklen_t *len, int side)
{
    char addrs[SIDES * sizeof(struct sockaddr_in6)];
    const struct watch *w = arg;
    (void)sock;
    if (!addr || !len)
        return answer(-EFAULT);
    if (!side_is_one(side) && side != MOS_SIDE_BOTH)
        return answer(-EINVAL);
    if (!mon_conn_lives(w->conn))
        return answer(-ENOTCONN);
    size_t n = conn_addrs(w->conn, side, addrs);
    if (*len < n || *len > INT_MAX)
        return answer(-EINVAL);
    memcpy(addr, addrs, n);
    *len = (socklen_t)n;
    return 0;
}

static int passive_getpeername(void *arg, int sock, struct sockaddr *addr, socklen_t *len, int side)
{
    (void)arg, (void)sock, (void)addr, (void)len, (void)side;
    return answer(-ENOTSOCK);
}

static int active_close(void *arg, int sock)
{
    (void)sock;
    watch_stop(arg);
    return 0;
}

static int passive_close(void *arg, int sock)
{
    (void)sock;
    passive_stop(arg);
    return 0;
}

const struct hook_sock_ops mon_active_ops = {
    .getsockopt = active_getsockopt,
    .setsockopt = active_setsockopt,
    .getpeername = active_getpeername,
    .close = active_close,
};

const struct hook_sock_ops mon_passive_ops = {
    .getsockopt = passive_getsockopt,
    .setsockopt = passive_setsockopt,
    .getpeername = passive_getpeername,
    .close = passive_close,
};

const struct hook_sock_ops mon_raw_ops = {
    .getsockopt = raw_getsockopt,
    .setsockopt = raw_setsockopt,
    .getpeername = passive_getpeername,
    .close = passive_close,
};

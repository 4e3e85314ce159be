/*
 * Socket options: a table of what there is, and two functions that check a call against it. An
 * option is found in the connection when there is one, else in what the socket will give to it
 * (prep.h).
 */
#include "mtcp/sock/options.h"

#include "mtcp/net/fastopen.h"
#include "mtcp/sock/prep.h"
#include "mtcp/tcp/hook.h"
#include "mtcp/tcp/timers.h"
#include "mtcp/tcp/tune.h"

#include <limits.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define CC_NAME_MAX 16 /* bytes, as Linux */
#define BUF_MIN     2048u

/* The socket whose option it is: conn or prep is set. */
struct ref {
    struct mtcp_ctx *ctx;
    struct sock *s;
    struct tcp_conn *conn;
    struct prep *prep;
};

struct opt {
    int level, name;
    uint32_t arg; /* for its functions: a flag, an offset */
    int min, max; /* of an int that is set; both 0: any */
    int (*get)(const struct ref *r, uint32_t arg, int *v); /* NULL: can't be asked */
    int (*set)(const struct ref *r, uint32_t arg, int v);  /* NULL: can't be set */
    /* Values that are no int; then the two above are NULL. *len in: room, out: size. */
    int (*get_raw)(const struct ref *r, void *val, socklen_t *len);
    int (*set_raw)(const struct ref *r, const void *val, socklen_t len);
};

static struct ref ref_of(struct mtcp_ctx *ctx, struct sock *s)
{
    bool has_conn = sock_has_conn(s);
    return (struct ref){ctx, s, has_conn ? s->conn : NULL, has_conn ? NULL : s->prep};
}

/* ---- flags ----------------------------------------------------------------------------------- */

static int get_conn_flag(const struct ref *r, uint32_t flag, int *v)
{
    *v = ((r->conn ? r->conn->flags : r->prep->l.conn_flags) & flag) != 0;
    return 0;
}

/* What was held back may go out now. */
static void flag_changed(const struct ref *r, uint32_t flag)
{
    if (conn_is_over(r->conn))
        return;
    if (flag == TCF_KEEPALIVE)
        timers_watch_idle(&r->ctx->net.env, r->conn);
    else
        conn_mark_output(&r->ctx->net.env, r->conn);
}

static int set_conn_flag(const struct ref *r, uint32_t flag, int v)
{
    uint32_t *flags = r->conn ? &r->conn->flags : &r->prep->l.conn_flags;
    *flags = v ? *flags | flag : *flags & ~flag;
    if (r->conn && flag == TCF_NODELAY && v)
        tcp_push(&r->ctx->net.env, r->conn);
    if (r->conn)
        flag_changed(r, flag);
    return 0;
}

/* As Linux: whoever sets it to 0 answers, so that ACKs ride on what is said. */
static int set_quickack(const struct ref *r, uint32_t flag, int v)
{
    if (r->conn && !v)
        r->conn->n_quick = 0;
    return set_conn_flag(r, flag, v);
}

static int get_sock_flag(const struct ref *r, uint32_t flag, int *v)
{
    *v = (r->s->flags & flag) != 0;
    return 0;
}

static int set_sock_flag(const struct ref *r, uint32_t flag, int v)
{
    r->s->flags = (uint16_t)(v ? r->s->flags | flag : r->s->flags & ~flag);
    return 0;
}

/* ---- SOL_SOCKET ------------------------------------------------------------------------------ */

static int get_error(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = r->conn ? conn_take_error(r->conn) : prep_take_error(r->prep);
    if (r->conn && *v == 0) {
        *v = r->conn->soft_err;
        r->conn->soft_err = 0;
    }
    return 0;
}

static int get_type(const struct ref *r, uint32_t arg, int *v)
{
    (void)r;
    *v = (int)arg;
    return 0;
}

/* What it is, it stays. */
static int set_same(const struct ref *r, uint32_t arg, int v)
{
    (void)r;
    (void)arg;
    (void)v;
    return 0;
}

static int get_domain(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = r->s->flags & SOCKF_V6 ? AF_INET6 : AF_INET;
    return 0;
}

static int get_acceptconn(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = r->s->type == MOS_SOCK_STREAM_LISTEN;
    return 0;
}

static uint32_t clamp_buf(int v)
{
    uint32_t n = (uint32_t)v;
    return n < BUF_MIN ? BUF_MIN : n > STREAM_LIMIT_MAX ? STREAM_LIMIT_MAX : n;
}

static int get_buf(const struct ref *r, uint32_t is_rcv, int *v)
{
    if (r->conn)
        *v = (int)(is_rcv ? r->conn->rcv.limit : tune_sndbuf(r->conn));
    else
        *v = (int)(is_rcv ? r->prep->l.params.rcvbuf : r->prep->l.params.sndbuf);
    return 0;
}

static int set_buf(const struct ref *r, uint32_t is_rcv, int v)
{
    uint32_t n = clamp_buf(v);
    struct tcp_params *p = r->conn ? NULL : &r->prep->l.params;
    if (r->conn) {
        tune_fix(r->conn, is_rcv, n); /* the application knows better */
        conn_mark_ready(&r->ctx->net.env, r->conn, TCP_READY_OUT);
    } else if (is_rcv) {
        p->rcvbuf = p->rcvbuf_max = n;
    } else {
        p->sndbuf = p->sndbuf_max = n;
    }
    return 0;
}

/* ---- options that few change ----------------------------------------------------------------- */

static struct tcp_opt_ext ext_of(const struct ref *r)
{
    if (r->prep)
        return r->prep->l.ext;
    return r->conn->ext ? *r->conn->ext : tcp_opt_ext_default();
}

/* To be written; NULL without memory. */
static struct tcp_opt_ext *ext_edit(const struct ref *r)
{
    if (r->prep) {
        r->prep->l.has_ext = true;
        return &r->prep->l.ext;
    }
    return conn_ext(&r->ctx->net.env, r->conn);
}

static int get_ext(const struct ref *r, uint32_t off, int *v)
{
    struct tcp_opt_ext x = ext_of(r);
    memcpy(v, (const char *)&x + off, sizeof(*v));
    return 0;
}

static int set_ext(const struct ref *r, uint32_t off, int v)
{
    struct tcp_opt_ext *x = ext_edit(r);
    if (!x)
        return -ENOMEM;
    memcpy((char *)x + off, &v, sizeof(v));
    if (r->conn && !conn_is_over(r->conn))
        timers_watch_idle(&r->ctx->net.env, r->conn);
    return 0;
}

static int get_syncnt(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    struct tcp_opt_ext x = ext_of(r);
    *v = x.syn_retries ? x.syn_retries : r->ctx->net.env.params.syn_retries;
    return 0;
}

static int set_syncnt(const struct ref *r, uint32_t arg, int v)
{
    (void)arg;
    struct tcp_opt_ext *x = ext_edit(r);
    if (!x)
        return -ENOMEM;
    x->syn_retries = (uint8_t)v;
    return 0;
}

/* As Linux, seconds are kept as a number of the SYN-ACK's timeouts, which double from a second on.
 */
enum { DEFER_FIRST_S = 1, DEFER_MOST_S = 120 };

static int defer_next_s(int timeout_s)
{
    return 2 * timeout_s < DEFER_MOST_S ? 2 * timeout_s : DEFER_MOST_S;
}

static int get_defer_accept(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = 0;
    int timeout_s = DEFER_FIRST_S;
    for (unsigned n = ext_of(r).defer_accept; n > 0; n--) {
        *v += timeout_s;
        timeout_s = defer_next_s(timeout_s);
    }
    return 0;
}

static int set_defer_accept(const struct ref *r, uint32_t arg, int v)
{
    (void)arg;
    struct tcp_opt_ext *x = ext_edit(r);
    if (!x)
        return -ENOMEM;
    x->defer_accept = 0;
    for (int s = 0, timeout_s = DEFER_FIRST_S; s < v && x->defer_accept < UINT8_MAX;) {
        x->defer_accept++;
        s += timeout_s;
        timeout_s = defer_next_s(timeout_s);
    }
    return 0;
}

static int get_ext_bool(const struct ref *r, uint32_t off, int *v)
{
    struct tcp_opt_ext x = ext_of(r);
    bool is_on;
    memcpy(&is_on, (const char *)&x + off, sizeof(is_on));
    *v = is_on;
    return 0;
}

static int set_ext_bool(const struct ref *r, uint32_t off, int v)
{
    struct tcp_opt_ext *x = ext_edit(r);
    if (!x)
        return -ENOMEM;
    bool is_on = v != 0;
    memcpy((char *)x + off, &is_on, sizeof(is_on));
    return 0;
}

static int get_mtu_discover(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = ext_of(r).mtu_discover;
    return 0;
}

static int set_mtu_discover(const struct ref *r, uint32_t arg, int v)
{
    (void)arg;
    struct tcp_opt_ext *x = ext_edit(r);
    if (!x)
        return -ENOMEM;
    x->mtu_discover = (uint8_t)v;
    return 0;
}

static int get_linger(const struct ref *r, void *val, socklen_t *len)
{
    struct linger l = {0, 0};
    if (*len < sizeof(l))
        return -EINVAL;
    struct tcp_opt_ext x = ext_of(r);
    if (x.linger_s >= 0)
        l = (struct linger){1, x.linger_s};
    memcpy(val, &l, sizeof(l));
    *len = sizeof(l);
    return 0;
}

/* How many Fast Opens may be pending; of a listener, now or later. */
static int get_fastopen(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = r->prep ? (int)r->prep->l.fastopen_qlen : 0;
    return 0;
}

static int set_fastopen(const struct ref *r, uint32_t arg, int v)
{
    (void)arg;
    if (!r->prep)
        return -EINVAL;
    r->prep->l.fastopen_qlen = (uint32_t)v;
    return 0;
}

/* Of a socket that connects: with a cookie the SYN waits for the first bytes. */
static int get_fastopen_connect(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = ext_of(r).fastopen.is_wanted;
    return 0;
}

static int set_fastopen_connect(const struct ref *r, uint32_t arg, int v)
{
    (void)arg;
    if (!(r->ctx->net.conf.fastopen & NET_FASTOPEN_CLIENT))
        return -EOPNOTSUPP;
    if (!r->prep)
        return -EINVAL;
    ext_edit(r)->fastopen.is_wanted = v;
    return 0;
}

static int get_fastopen_no_cookie(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = ext_of(r).fastopen.needs_no_cookie;
    return 0;
}

static int set_fastopen_no_cookie(const struct ref *r, uint32_t arg, int v)
{
    (void)arg;
    if (!r->prep)
        return -EINVAL;
    ext_edit(r)->fastopen.needs_no_cookie = v;
    return 0;
}

/* As many of a listener's keys as there is room for: the first, and the one before it. */
static int get_fastopen_key(const struct ref *r, void *val, socklen_t *len)
{
    struct fastopen_keys k =
        r->prep ? fastopen_keys_of(&r->ctx->net, &r->prep->l) : (struct fastopen_keys){.n = 0};
    unsigned n = *len / FASTOPEN_KEY_LEN < k.n ? (unsigned)(*len / FASTOPEN_KEY_LEN) : k.n;
    if (n == 0)
        return -EINVAL;
    for (unsigned i = 0; i < n; i++)
        fastopen_key_bytes(&k.key[i], (char *)val + (size_t)i * FASTOPEN_KEY_LEN);
    *len = n * FASTOPEN_KEY_LEN;
    return 0;
}

static int set_fastopen_key(const struct ref *r, const void *val, socklen_t len)
{
    if (!r->prep || (len != FASTOPEN_KEY_LEN && len != FASTOPEN_KEYS_MAX * FASTOPEN_KEY_LEN))
        return -EINVAL;
    struct fastopen_keys *k = &r->prep->l.fastopen_keys;
    k->n = (uint8_t)(len / FASTOPEN_KEY_LEN);
    for (unsigned i = 0; i < k->n; i++)
        k->key[i] = fastopen_key_of((const char *)val + (size_t)i * FASTOPEN_KEY_LEN);
    return 0;
}

static int set_linger(const struct ref *r, const void *val, socklen_t len)
{
    struct linger l;
    if (len < sizeof(l))
        return -EINVAL;
    memcpy(&l, val, sizeof(l));
    if (l.l_onoff && l.l_linger < 0)
        return -EINVAL;
    struct tcp_opt_ext *x = ext_edit(r);
    if (!x)
        return -ENOMEM;
    x->linger_s = l.l_onoff ? l.l_linger : -1;
    return 0;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static int get_maxseg(const struct ref *r, uint32_t arg, int *v)
{
    enum { UNCONNECTED = 536 };
    (void)arg;
    if (r->conn)
        *v = r->conn->mss;
    else
        *v = r->prep->l.user_mss ? r->prep->l.user_mss : UNCONNECTED;
    return 0;
}

static int set_maxseg(const struct ref *r, uint32_t arg, int v)
{
    (void)arg;
    if (r->conn)
        return -EISCONN;
    r->prep->l.user_mss = (uint16_t)v;
    return 0;
}

static int get_congestion(const struct ref *r, void *val, socklen_t *len)
{
    char name[CC_NAME_MAX] = "";
    const struct tcp_cc_ops *cc = r->conn ? r->conn->cc_ops : r->prep->l.params.cc;
    strncpy(name, cc->name, sizeof(name) - 1);
    if (*len < strlen(name) + 1)
        return -EINVAL;
    *len = *len < sizeof(name) ? *len : (socklen_t)sizeof(name);
    memcpy(val, name, *len);
    return 0;
}

static int set_congestion(const struct ref *r, const void *val, socklen_t len)
{
    char name[CC_NAME_MAX] = "";
    if (len == 0)
        return -EINVAL;
    memcpy(name, val, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
    const struct tcp_cc_ops *cc = tcp_cc_find(name);
    if (!cc)
        return -ENOENT;
    if (r->prep) {
        r->prep->l.params.cc = cc;
    } else if (r->conn->cc_ops != cc) {
        r->conn->cc_ops = cc;
        cc->init(r->conn);
    }
    return 0;
}

static int get_info(const struct ref *r, void *val, socklen_t *len)
{
    return tcp_info_get(r->ctx, r->s, val, len);
}

/* ---- IP -------------------------------------------------------------------------------------- */

static int get_tos(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = r->conn ? r->conn->tos : r->prep->tos;
    return 0;
}

/* The ECN bits are TCP's own (as Linux). */
static int set_tos(const struct ref *r, uint32_t arg, int v)
{
    (void)arg;
    *(r->conn ? &r->conn->tos : &r->prep->tos) = (uint8_t)(v & 0xfc);
    return 0;
}

static int get_ttl(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    *v = r->conn ? r->conn->ttl : r->prep->ttl;
    return 0;
}

static int set_ttl(const struct ref *r, uint32_t arg, int v)
{
    enum { TTL_DEFAULT = 64 };
    (void)arg;
    if (v == 0 || v < -1)
        return -EINVAL;
    *(r->conn ? &r->conn->ttl : &r->prep->ttl) = (uint8_t)(v == -1 ? TTL_DEFAULT : v);
    return 0;
}

static int get_mtu(const struct ref *r, uint32_t arg, int *v)
{
    (void)arg;
    if (!r->conn)
        return -ENOTCONN;
    *v = sock_path_mtu(r->ctx, r->conn);
    return 0;
}

static int set_v6only(const struct ref *r, uint32_t arg, int v)
{
    if (!(r->s->flags & SOCKF_V6) || r->conn || r->prep->port)
        return -EINVAL;
    return set_sock_flag(r, arg, v);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define EXT(member) (uint32_t) offsetof(struct tcp_opt_ext, member)
#define FLAG(lv, nm, flag)                                                                         \
    {                                                                                              \
        lv, nm, flag, 0, 0, get_conn_flag, set_conn_flag, NULL, NULL                               \
    }
#define SFLAG(lv, nm, flag)                                                                        \
    {                                                                                              \
        lv, nm, flag, 0, 0, get_sock_flag, set_sock_flag, NULL, NULL                               \
    }
#define INT(lv, nm, arg, lo, hi, get, set)                                                         \
    {                                                                                              \
        lv, nm, arg, lo, hi, get, set, NULL, NULL                                                  \
    }
#define RAW(lv, nm, get, set)                                                                      \
    {                                                                                              \
        lv, nm, 0, 0, 0, NULL, NULL, get, set                                                      \
    }

static const struct opt opts[] = {
    INT(SOL_SOCKET, SO_ERROR, 0, 0, 0, get_error, NULL),
    INT(SOL_SOCKET, SO_TYPE, SOCK_STREAM, 0, 0, get_type, NULL),
    INT(SOL_SOCKET, SO_PROTOCOL, IPPROTO_TCP, 0, 0, get_type, NULL),
    INT(SOL_SOCKET, SO_DOMAIN, 0, 0, 0, get_domain, NULL),
    INT(SOL_SOCKET, SO_ACCEPTCONN, 0, 0, 0, get_acceptconn, NULL),
    INT(SOL_SOCKET, SO_OOBINLINE, 1, 1, 1, get_type, set_same),
    SFLAG(SOL_SOCKET, SO_REUSEADDR, SOCKF_REUSEADDR),
    SFLAG(SOL_SOCKET, SO_REUSEPORT, SOCKF_REUSEPORT),
    FLAG(SOL_SOCKET, SO_KEEPALIVE, TCF_KEEPALIVE),
    INT(SOL_SOCKET, SO_ZEROCOPY, EXT(is_zerocopy), 0, 1, get_ext_bool, set_ext_bool),
    INT(SOL_SOCKET, SO_MARK, EXT(mark), 0, 0, get_ext, set_ext),
    RAW(SOL_SOCKET, SO_LINGER, get_linger, set_linger),
    INT(SOL_SOCKET, SO_SNDBUF, 0, 0, INT_MAX, get_buf, set_buf),
    INT(SOL_SOCKET, SO_RCVBUF, 1, 0, INT_MAX, get_buf, set_buf),
    FLAG(IPPROTO_TCP, TCP_NODELAY, TCF_NODELAY),
    FLAG(IPPROTO_TCP, TCP_CORK, TCF_CORK),
    INT(IPPROTO_TCP, TCP_QUICKACK, TCF_QUICKACK, 0, 0, get_conn_flag, set_quickack),
    INT(IPPROTO_TCP, TCP_MAXSEG, 0, 48, TCP_MSS_USER_MAX, get_maxseg, set_maxseg),
    INT(IPPROTO_TCP, TCP_KEEPIDLE, EXT(keep_idle_s), 1, 32767, get_ext, set_ext),
    INT(IPPROTO_TCP, TCP_KEEPINTVL, EXT(keep_intvl_s), 1, 32767, get_ext, set_ext),
    INT(IPPROTO_TCP, TCP_KEEPCNT, EXT(keep_cnt), 1, 127, get_ext, set_ext),
    INT(IPPROTO_TCP, TCP_USER_TIMEOUT, EXT(user_timeout_ms), 0, INT_MAX, get_ext, set_ext),
    INT(IPPROTO_TCP, TCP_NOTSENT_LOWAT, EXT(notsent_lowat), 0, INT_MAX, get_ext, set_ext),
    INT(IPPROTO_TCP, TCP_INQ, EXT(has_inq), 0, 1, get_ext_bool, set_ext_bool),
    INT(IPPROTO_TCP, TCP_SYNCNT, 0, 1, 127, get_syncnt, set_syncnt),
    INT(IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, 0, 0, get_defer_accept, set_defer_accept),
    INT(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0, 0, 1, get_fastopen_connect, set_fastopen_connect),
    INT(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 0, 0, 1, get_fastopen_no_cookie,
        set_fastopen_no_cookie),
    INT(IPPROTO_TCP, TCP_FASTOPEN, 0, 0, INT_MAX, get_fastopen, set_fastopen),
    RAW(IPPROTO_TCP, TCP_FASTOPEN_KEY, get_fastopen_key, set_fastopen_key),
    RAW(IPPROTO_TCP, TCP_CONGESTION, get_congestion, set_congestion),
    RAW(IPPROTO_TCP, TCP_INFO, get_info, NULL),
    INT(IPPROTO_IP, IP_TOS, 0, 0, 255, get_tos, set_tos),
    INT(IPPROTO_IP, IP_TTL, 0, -1, 255, get_ttl, set_ttl),
    INT(IPPROTO_IP, IP_MTU_DISCOVER, 0, TCP_MTU_DONT, TCP_MTU_OMIT, get_mtu_discover,
        set_mtu_discover),
    INT(IPPROTO_IP, IP_MTU, 0, 0, 0, get_mtu, NULL),
    INT(IPPROTO_IPV6, IPV6_TCLASS, 0, 0, 255, get_tos, set_tos),
    INT(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0, -1, 255, get_ttl, set_ttl),
    INT(IPPROTO_IPV6, IPV6_MTU_DISCOVER, 0, TCP_MTU_DONT, TCP_MTU_OMIT, get_mtu_discover,
        set_mtu_discover),
    INT(IPPROTO_IPV6, IPV6_MTU, 0, 0, 0, get_mtu, NULL),
    INT(IPPROTO_IPV6, IPV6_V6ONLY, SOCKF_V6ONLY, 0, 0, get_sock_flag, set_v6only),
};

static const struct opt *opt_find(int level, int name)
{
    for (size_t i = 0; i < sizeof(opts) / sizeof(opts[0]); i++)
        if (opts[i].level == level && opts[i].name == name)
            return &opts[i];
    return NULL;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static bool is_our_level(int level)
{
    return level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_IP ||
           level == IPPROTO_IPV6;
}

/* Level and kind of socket, in this order: 0, -ENOSYS, -ENOTSOCK. */
static int check_level(const struct sock *s, int level)
{
    if (level != SOL_MONSOCKET && !is_our_level(level))
        return -ENOSYS;
    if ((level == SOL_MONSOCKET) != sock_is_monitor(s))
        return -ENOTSOCK;
    if (level == SOL_MONSOCKET || s->type == MOS_SOCK_STREAM || s->type == MOS_SOCK_STREAM_LISTEN)
        return 0;
    return -ENOTSOCK;
}

static int opt_get(const struct ref *r, const struct opt *o, void *val, socklen_t *len)
{
    if (!o)
        return -ENOSYS;
    if (!o->get && !o->get_raw)
        return -EPERM;
    if (!val || !len)
        return -EFAULT;
    if (o->get_raw)
        return o->get_raw(r, val, len);
    int v;
    bool is_byte = o->level == IPPROTO_IP && *len > 0 && *len < sizeof(v);
    if ((*len < sizeof(v) && !is_byte) || *len > INT_MAX)
        return -EINVAL;
    int err = o->get(r, o->arg, &v);
    if (err < 0)
        return err;
    uint8_t low = (uint8_t)v;
    *len = is_byte ? sizeof(low) : sizeof(v);
    memcpy(val, is_byte ? (const void *)&low : &v, *len);
    return 0;
}

static int opt_set(const struct ref *r, const struct opt *o, const void *val, socklen_t len)
{
    if (!o)
        return -ENOSYS;
    if (!o->set && !o->set_raw)
        return -EPERM;
    if (!val)
        return -EFAULT;
    if (len > INT_MAX)
        return -EINVAL;
    if (o->set_raw)
        return o->set_raw(r, val, len);
    int v;
    if (len >= sizeof(v))
        memcpy(&v, val, sizeof(v));
    else if (len > 0 && o->level == IPPROTO_IP) /* these take a byte as well */
        v = *(const uint8_t *)val;
    else
        return -EINVAL;
    if ((o->min || o->max) && (v < o->min || v > o->max))
        return -EINVAL;
    return o->set(r, o->arg, v);
}

int mtcp_getsockopt(mctx_t mctx, int sockid, int level, int optname, void *optval,
                    socklen_t *optlen)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    int err = check_level(s, level);
    if (err < 0)
        return (int)sock_result(err);
    if (level == SOL_MONSOCKET)
        return s->mon_ops->getsockopt(s->mon_arg, sockid, level, optname, optval, optlen);
    struct ref r = ref_of(ctx, s);
    return (int)sock_result(opt_get(&r, opt_find(level, optname), optval, optlen));
}

int mtcp_setsockopt(mctx_t mctx, int sockid, int level, int optname, const void *optval,
                    socklen_t optlen)
{
    struct mtcp_ctx *ctx;
    struct sock *s = sock_of_call(mctx, sockid, &ctx);
    if (!s)
        return -1;
    int err = check_level(s, level);
    if (err < 0)
        return (int)sock_result(err);
    if (level == SOL_MONSOCKET)
        return s->mon_ops->setsockopt(s->mon_arg, sockid, level, optname, optval, optlen);
    struct ref r = ref_of(ctx, s);
    return (int)sock_result(opt_set(&r, opt_find(level, optname), optval, optlen));
}

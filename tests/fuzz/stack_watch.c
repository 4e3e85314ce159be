/*
 * The monitors of fuzz_stack. The first one watches: at every event it checks the edges of both
 * sides, peeks at what is new and remembers it for the comparison with the application. The second
 * is lazy: it peeks too little, and accounts for what it misses. The third acts: it drops, resets,
 * stops, changes options and calls the application's sockets from inside its callbacks.
 */
#include "tests/fuzz/stack.h"

#include <mtcp_epoll.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define MONITORS_MAX 6u
#define CHUNK        4096u
#define PPEEK        32u /* bytes of a run that are looked at again */

/* What the lazy monitor knows of a connection. */
struct lazy {
    int real;
    uint32_t init_seq;
    bool has_init;
    uint64_t n_peeked[2], n_missed[2];
};

static struct {
    int passive[MONITORS_MAX];
    unsigned n_passive, n_lazy;
    unsigned n_events;
    unsigned n_inside; /* callbacks of the acting monitor */
    unsigned n_asked;  /* its filters */
    struct lazy lazy[LIVES_MAX];
} wm;
static uint8_t seen[LIVES_MAX][SEEN_MAX];
static char buf[CHUNK];

/* ---- questions ------------------------------------------------------------------------------- */

static int get_int(int sock, int name)
{
    int v = -1;
    socklen_t len = sizeof(v);
    return mtcp_getsockopt(w.m, sock, SOL_MONSOCKET, name, &v, &len) < 0 ? -1 : v;
}

static uint64_t get_missed(int sock, int side)
{
    uint64_t v = 0;
    socklen_t len = sizeof(v);
    int name = side == MOS_SIDE_CLI ? MOS_MISSED_CLIBUF : MOS_MISSED_SVRBUF;
    HOLDS(mtcp_getsockopt(w.m, sock, SOL_MONSOCKET, name, &v, &len) == 0);
    return v;
}

static bool get_info(int sock, int side, struct tcp_buf_info *b)
{
    socklen_t len = sizeof(*b);
    int name = side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;
    return mtcp_getsockopt(w.m, sock, SOL_MONSOCKET, name, b, &len) == 0;
}

/* An end of a monitored connection. */
static void end_of(int sock, int side, struct ip_addr *ip, uint16_t *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    socklen_t len = sizeof(a);
    HOLDS(mtcp_getpeername(w.m, sock, &a.any, &len, side) == 0);
    *port = ntohs(a.v4.sin_port);
    *ip = ip_addr_v4((be32_t){a.v4.sin_addr.s_addr});
    if (a.any.sa_family == AF_INET6)
        memcpy(ip->b, &a.v6.sin6_addr, sizeof(ip->b));
}

/* The slot of a monitored connection, and the connection: its ports tell. */
static struct flow_tuple tuple_of(int sock, int real)
{
    struct flow_tuple t;
    end_of(sock, real, &t.local, &t.local_port);
    end_of(sock, real == MOS_SIDE_SVR ? MOS_SIDE_CLI : MOS_SIDE_SVR, &t.remote, &t.remote_port);
    return t;
}

static unsigned slot_of(int sock, int real)
{
    unsigned peer = tuple_of(sock, real).remote_port;
    unsigned slot = real == MOS_SIDE_SVR ? peer - PORT_PASSIVE : peer - PORT_ACTIVE;
    return slot < SLOTS ? slot : 0;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void check_bytes(bool is_real, uint32_t init_seq, uint64_t off, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (is_real)
            HOLDS(w.has_lied ||
                  (uint8_t)b[i] >> 3 == peer_byte(init_seq + (uint32_t)(off + i), 0) >> 3);
        else
            HOLDS((uint8_t)b[i] == app_byte(off + i));
    }
}

void watch_compare(const struct life *l, uint64_t off, const uint8_t *bytes, size_t n)
{
    const uint8_t *mine = seen[l - w.life];
    uint64_t most = l->n_seen < SEEN_MAX ? l->n_seen : SEEN_MAX;
    if (wm.n_inside == 0)
        HOLDS(off + n <= l->n_seen); /* the monitor saw it first */
    for (size_t i = 0; i < n && off + i < most; i++)
        HOLDS(bytes[i] == mine[off + i]); /* the promise */
    if (l->has_init)
        check_bytes(true, l->init_seq, off, (const char *)bytes, n);
}

static void peek_all(struct life *l, int side)
{
    uint64_t *pos = side == l->real ? &l->n_seen : &l->n_seen_back;
    ssize_t n;
    while ((n = mtcp_peek(w.m, l->sock, side, buf, CHUNK)) > 0) {
        check_bytes(side == l->real, l->init_seq, *pos, buf, (size_t)n);
        for (ssize_t i = 0; side == l->real && i < n && *pos + (uint64_t)i < SEEN_MAX; i++)
            seen[l - w.life][*pos + (uint64_t)i] = (uint8_t)buf[i];
        *pos += (uint64_t)n;
    }
    HOLDS(n == -1 && errno == ENODATA);
    HOLDS(get_missed(l->sock, side) == 0); /* it peeks at every event */
}

/* ---- edges ----------------------------------------------------------------------------------- */

static void check_runs(const struct life *l, int side, const struct tcp_buf_info *b)
{
    struct tcp_ring_fragment frag[80];
    socklen_t n = 80;
    int name = side == MOS_SIDE_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF;
    HOLDS(mtcp_getsockopt(w.m, l->sock, SOL_MONSOCKET, name, frag, &n) == 0);
    for (socklen_t i = 0; i < n; i++) {
        HOLDS(frag[i].len > 0);
        HOLDS(i == 0 || frag[i].offset > frag[i - 1].offset + frag[i - 1].len);
        HOLDS((int32_t)(b->tcpbi_init_seq + (uint32_t)(frag[i].offset + frag[i].len) -
                        b->tcpbi_last_byte_received) <= 0);
        uint64_t at =
            frag[i].offset + (frag[i].len > PPEEK ? wm.n_events % (frag[i].len - PPEEK) : 0);
        ssize_t got = mtcp_ppeek(w.m, l->sock, side, buf, PPEEK, at);
        HOLDS(got == (ssize_t)(frag[i].len < PPEEK ? frag[i].len : PPEEK));
        check_bytes(side == l->real, b->tcpbi_init_seq, at, buf, (size_t)got);
    }
}

static void check_real(const struct life *l, const struct tcp_buf_info *b)
{
    int app = get_int(l->sock, MOS_ENDPOINT_SOCK), readable = -1;
    if (app < 0 || wm.n_inside)
        return;
    HOLDS(mtcp_ioctl(w.m, app, FIONREAD, &readable) == 0);
    HOLDS((uint32_t)readable == b->tcpbi_next_byte_expected - b->tcpbi_last_byte_read);
    if (l->has_app && !l->has_shut && !l->is_reset)
        HOLDS((uint32_t)l->n_read == b->tcpbi_last_byte_read - b->tcpbi_init_seq);
}

static void check_edges(struct life *l, int side)
{
    struct tcp_buf_info b;
    if (!get_info(l->sock, side, &b))
        return;
    uint32_t unread = b.tcpbi_next_byte_expected - b.tcpbi_last_byte_read;
    uint32_t hole = b.tcpbi_last_byte_received - b.tcpbi_next_byte_expected;
    HOLDS(unread <= 1u << 30 && hole <= 1u << 30);
    HOLDS(side == l->real || (unread == 0 && hole == 0));
    if (side == l->real) {
        HOLDS(!l->has_init || l->init_seq == b.tcpbi_init_seq);
        l->init_seq = b.tcpbi_init_seq;
        l->has_init = true;
        check_real(l, &b);
    }
    if (hole || wm.n_events++ % 8 == 0)
        check_runs(l, side, &b);
}

/* ---- the watchful monitor -------------------------------------------------------------------- */

static bool move_is_legal(int from, int to)
{
    static const uint16_t legal[11] = {
        [MOS_TCPS_CLOSED] = 1 << MOS_TCPS_SYN_SENT | 1 << MOS_TCPS_SYN_RCVD,
        [MOS_TCPS_LISTEN] = 1 << MOS_TCPS_SYN_RCVD,
        [MOS_TCPS_SYN_SENT] = 1 << MOS_TCPS_ESTABLISHED | 1 << MOS_TCPS_SYN_RCVD,
        [MOS_TCPS_SYN_RCVD] = 1 << MOS_TCPS_ESTABLISHED | 1 << MOS_TCPS_FIN_WAIT_1,
        [MOS_TCPS_ESTABLISHED] = 1 << MOS_TCPS_FIN_WAIT_1 | 1 << MOS_TCPS_CLOSE_WAIT,
        [MOS_TCPS_FIN_WAIT_1] = 1 << MOS_TCPS_FIN_WAIT_2 | 1 << MOS_TCPS_CLOSING,
        [MOS_TCPS_FIN_WAIT_2] = 1 << MOS_TCPS_TIME_WAIT,
        [MOS_TCPS_CLOSE_WAIT] = 1 << MOS_TCPS_LAST_ACK,
        [MOS_TCPS_CLOSING] = 1 << MOS_TCPS_TIME_WAIT,
    };
    return to == MOS_TCPS_CLOSED || (legal[from] & 1 << to);
}

static void on_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (mtcp_get_uctx(m, sock) || w.n_lives == LIVES_MAX)
        return; /* the other side's call of the same SYN */
    struct life *l = &w.life[w.n_lives++];
    int real = get_int(sock, MOS_REAL_SIDE);
    *l = (struct life){.sock = sock, .real = real, .slot = slot_of(sock, real)};
    l->state[MOS_SIDE_CLI] = MOS_TCPS_CLOSED;
    l->state[MOS_SIDE_SVR] = MOS_TCPS_LISTEN;
    mtcp_set_uctx(m, sock, l);
}

/* A passive connection has no place in the flow table yet when its CONN_START comes. */
static void learn_who(struct life *l)
{
    struct flow_tuple t = tuple_of(l->sock, l->real);
    if (!l->who)
        l->who = who_is_at(&t);
}

static void on_event(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)arg;
    struct life *l = mtcp_get_uctx(m, sock);
    if (!l)
        return;
    if (w.verbose)
        printf("%10.6f  event %#llx slot %u side %d states %d %d\n", (double)w.now_us / 1e6,
               (unsigned long long)event, l->slot, side, get_int(sock, MOS_TCP_STATE_CLI),
               get_int(sock, MOS_TCP_STATE_SVR));
    HOLDS(l->n_end == 0 && l->sock == sock);
    learn_who(l);
    check_edges(l, MOS_SIDE_CLI);
    check_edges(l, MOS_SIDE_SVR);
    HOLDS(event != MOS_ON_ERROR || get_int(sock, MOS_LASTERROR) != MOS_ERROR_OVERRUN);
    if (event == MOS_ON_CONN_NEW_DATA) {
        uint64_t before = l->n_seen + l->n_seen_back;
        peek_all(l, side);
        HOLDS(l->n_seen + l->n_seen_back > before);
    }
}

static void on_state(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct life *l = mtcp_get_uctx(m, sock);
    on_event(m, sock, side, event, arg);
    if (!l)
        return;
    int now = get_int(sock, side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR);
    HOLDS(now >= 0 && now <= MOS_TCPS_TIME_WAIT && move_is_legal(l->state[side], now));
    l->state[side] = (uint8_t)now;
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    struct tcp_buf_info b;
    struct life *l = mtcp_get_uctx(m, sock);
    if (!l)
        return;
    HOLDS(side == (l->n_end < 2 ? MOS_SIDE_CLI : MOS_SIDE_SVR));
    learn_who(l);
    HOLDS(get_int(sock, MOS_END_REASON) > 0);
    HOLDS(get_int(sock, side == l->real ? (side ? MOS_TCP_STATE_SVR : MOS_TCP_STATE_CLI)
                                        : MOS_REAL_SIDE) >= 0);
    check_edges(l, side);
    if (get_info(sock, l->real, &b)) /* nothing was left unseen */
        HOLDS((uint32_t)l->n_seen == b.tcpbi_next_byte_expected - b.tcpbi_init_seq);
    l->n_end++;
}

/* ---- the lazy monitor ------------------------------------------------------------------------ */

static struct lazy *lazy_of(int sock)
{
    struct lazy *z = mtcp_get_uctx(w.m, sock);
    struct tcp_buf_info b;
    if (!z && wm.n_lazy < LIVES_MAX) {
        z = &wm.lazy[wm.n_lazy++];
        *z = (struct lazy){.real = get_int(sock, MOS_REAL_SIDE)};
        mtcp_set_uctx(w.m, sock, z);
    }
    if (z && !z->has_init && get_info(sock, z->real, &b)) {
        z->init_seq = b.tcpbi_init_seq;
        z->has_init = true;
    }
    return z;
}

/* What it missed in the meantime is only what it had not asked to be kept. */
static void lazy_account(struct lazy *z, int sock, int side)
{
    struct tcp_buf_info b;
    uint64_t missed = get_missed(sock, side), pos = z->n_peeked[side] + z->n_missed[side];
    HOLDS(missed >= z->n_missed[side]);
    if (missed > z->n_missed[side] && get_info(sock, side, &b)) {
        uint32_t behind = b.tcpbi_next_byte_expected - b.tcpbi_init_seq - (uint32_t)pos;
        HOLDS(w.was_starved || behind > w.head.history * 64u);
    }
    z->n_missed[side] = missed;
}

static void lazy_peek(struct lazy *z, int sock, int side, size_t len)
{
    lazy_account(z, sock, side);
    ssize_t n = mtcp_peek(w.m, sock, side, buf, len < CHUNK ? len : CHUNK);
    if (n < 0) /* what is missed, if anything, was known before */
        HOLDS(errno == ENODATA && get_missed(sock, side) == z->n_missed[side]);
    if (n < -1)
        n = mtcp_peek(w.m, sock, side, buf, len < CHUNK ? len : CHUNK);
    if (n <= 0)
        return;
    check_bytes(side == z->real, z->init_seq, z->n_peeked[side] + z->n_missed[side], buf,
                (size_t)n);
    z->n_peeked[side] += (uint64_t)n;
}

static void on_lazy(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)arg;
    struct tcp_buf_info b;
    struct lazy *z = lazy_of(sock);
    if (!z)
        return;
    lazy_peek(z, sock, side, w.head.lazy * 4u + 1u);
    if (event != MOS_ON_CONN_END || !get_info(sock, side, &b))
        return;
    uint64_t before;
    do {
        before = z->n_peeked[side];
        lazy_peek(z, sock, side, CHUNK);
    } while (z->n_peeked[side] > before);
    HOLDS((uint32_t)(z->n_peeked[side] + z->n_missed[side]) ==
          b.tcpbi_next_byte_expected - b.tcpbi_init_seq);
}

/* ---- the acting monitor ---------------------------------------------------------------------- */

static void on_act(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg);

/* The last ones are defined by act_define(). */
enum { USER_EVENTS = 5, FIRST_USER = 8, ACT_EVENTS = FIRST_USER + USER_EVENTS };
static event_t act_events[ACT_EVENTS] = {MOS_ON_PKT_IN, MOS_ON_CONN_START, MOS_ON_TCP_STATE_CHANGE,
                                         MOS_ON_REXMIT, MOS_ON_CONN_END,   MOS_ON_CONN_NEW_DATA,
                                         MOS_ON_ERROR,  MOS_ON_ORPHAN};
static const int hooks[] = {MOS_HK_SND, MOS_HK_RCV, MOS_NULL};

/* Acts as a callback does, raises what it can, and is false now and then. */
static bool on_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    on_act(m, sock, side, event, arg);
    for (unsigned i = FIRST_USER; i < ACT_EVENTS; i++)
        mtcp_raise_event(m, act_events[i]);
    return wm.n_asked++ % 4 != 0;
}

/* Two bases, one below the other, and what each can raise. */
static void act_define(void)
{
    event_t *ev = &act_events[FIRST_USER];
    if (ev[0])
        return;
    ev[0] = mtcp_define_event(MOS_ON_PKT_IN, on_filter, NULL);
    ev[1] = mtcp_alloc_event(ev[0]);
    ev[2] = mtcp_define_event(ev[1], on_filter, NULL);
    ev[3] = mtcp_alloc_event(ev[2]);
    ev[4] = mtcp_define_event(MOS_ON_CONN_NEW_DATA, on_filter, NULL);
    for (unsigned i = 0; i < USER_EVENTS; i++)
        HOLDS(ev[i] != 0);
}

static void act_begin(void)
{
    if (wm.n_passive == MONITORS_MAX)
        return;
    int s = mtcp_socket(w.m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    if (s < 0)
        return;
    act_define();
    for (unsigned e = 0; e < ACT_EVENTS; e++)
        for (unsigned h = 0; h < 3; h++)
            mtcp_register_callback(w.m, s, act_events[e], hooks[h], on_act);
    wm.passive[wm.n_passive++] = s;
}

static void act_end(void)
{
    if (wm.n_passive < 3 || wm.passive[wm.n_passive - 1] < 0)
        return;
    mtcp_close(w.m, wm.passive[--wm.n_passive]);
}

/* A reset by a monitor: from now on the application gets nothing, also one that accepts only now.
 */
static void act_reset(int sock)
{
    if (mtcp_reset_conn(w.m, sock) < 0)
        return;
    struct flow_tuple t = tuple_of(sock, get_int(sock, MOS_REAL_SIDE));
    uint64_t who = who_is_at(&t);
    for (unsigned i = 0; who && i < w.n_lives; i++) {
        struct life *l = &w.life[i];
        if (l->n_end > 0)
            continue;
        learn_who(l);
        if (l->who == who)
            l->is_reset = true;
    }
}

static void act_callback(int sock, const struct step *s)
{
    event_t event = act_events[s->arg % ACT_EVENTS];
    int hook = hooks[(s->arg >> 4) % 3], to = (s->arg2 & 2) ? wm.passive[wm.n_passive - 1] : sock;
    if (s->arg2 & 1)
        mtcp_register_callback(w.m, to, event, hook, on_act);
    else
        mtcp_unregister_callback(w.m, to, event, hook);
    if (s->arg2 & 4)
        mtcp_settimer(w.m, sock, &(struct timeval){0, s->len}, on_act);
    if (s->arg2 & 8)
        mtcp_canceltimer(w.m, sock);
}

static void act_option(int sock, int name, int value, bool of_passive)
{
    int to = of_passive && wm.n_passive > 2 ? wm.passive[wm.n_passive - 1] : sock;
    mtcp_setsockopt(w.m, to, SOL_MONSOCKET, name, &value, sizeof(value));
}

static void act_ppeek(int sock, int side, const struct step *s)
{
    struct tcp_buf_info b;
    uint64_t off = (uint64_t)s->seq << (s->scale & 15);
    ssize_t n = mtcp_ppeek(w.m, sock, side, buf, s->len % CHUNK, off);
    int real = get_int(sock, MOS_REAL_SIDE);
    if (n > 0 && get_info(sock, side, &b))
        check_bytes(side == real, b.tcpbi_init_seq, off, buf, (size_t)n);
}

static void act_iov(int sock, int side, size_t len)
{
    struct iovec iov[2];
    ssize_t n = mtcp_peek_iov(w.m, sock, side, iov);
    if (n <= 0)
        return;
    HOLDS(iov[0].iov_len + iov[1].iov_len == (size_t)n);
    size_t take = len < (size_t)n ? len : (size_t)n;
    HOLDS(mtcp_peek_consume(w.m, sock, side, take) == (ssize_t)take);
    HOLDS(mtcp_peek_consume(w.m, sock, side, (size_t)n - take + 1) == -1 && errno == EINVAL);
}

static void act_lastpkt(int sock, int side)
{
    struct pkt_info p;
    if (mtcp_getlastpkt(w.m, sock, side, &p) < 0)
        return;
    HOLDS((p.iph != NULL) == (p.ip_len > 0) && p.ip_len <= p.eth_len); /* NULL: ARP */
    HOLDS(p.iph || !p.tcph);
    for (uint16_t i = 0; i < p.ip_len; i++) /* all of it can be read */
        buf[i % CHUNK] = (char)((const uint8_t *)p.iph)[i];
}

/* A change of the packet: any of what comes in; of SYNs and of what goes out only those that the
 * peer's checks of what the stack sends do not stumble over. With arg2 & 4 arguments that mean
 * nothing, as a rule. */
static void act_setpkt(int sock, int side, const struct step *s)
{
    static const int actions[] = {MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT};
    struct pkt_info p;
    if (mtcp_getlastpkt(w.m, sock, side, &p) < 0)
        return;
    bool is_any = p.tcph && side != get_int(sock, MOS_REAL_SIDE) &&
                  !(((const uint8_t *)p.tcph)[13] & TCP_SYN);
    int option = is_any ? 1 << (s->arg & 3) : MOS_IP_HDR;
    option |= actions[(s->arg >> 2) % 3] | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM;
    if (is_any && (s->arg2 & 4))
        option = s->wnd;
    memset(buf, (int)s->wnd, 64);
    if (mtcp_setlastpkt(w.m, sock, side, s->seq % 80, (byte *)buf, (uint16_t)(s->len % 64),
                        option) == 0)
        w.has_lied = true;
}

/* The packet again, from no connection of the peer's. */
static void act_sendpkt(int sock, int side)
{
    struct pkt_info p;
    uint8_t tcp[60];
    if (mtcp_getlastpkt(w.m, sock, side, &p) < 0 || !p.tcph)
        return;
    memcpy(tcp, p.tcph, (size_t)(p.payload - (uint8_t *)p.tcph));
    tcp[0] = tcp[2] = 0;
    p.tcph = (void *)tcp;
    mtcp_sendpkt(w.m, sock, &p);
}

/* The application's calls, from where it should not call. */
static void act_app(const struct step *s, unsigned call)
{
    struct step c = *s;
    c.flags = (uint8_t)call;
    app_call(&c);
}

static void act(int sock, int side, const struct step *s)
{
    struct mtcp_epoll_event ev;
    struct sockaddr_in6 a[2];
    socklen_t len = sizeof(a);
    switch (s->flags % ACT_N) {
    case ACT_DROP:
        mtcp_setlastpkt(w.m, sock, side, 0, NULL, 0, MOS_DROP);
        break;
    case ACT_RESET:
        act_reset(sock);
        break;
    case ACT_STOP_SIDE:
    case ACT_STOP:
        act_option(sock, MOS_STOP_MON, s->flags % ACT_N == ACT_STOP ? MOS_SIDE_BOTH : s->arg & 1,
                   false);
        break;
    case ACT_CALLBACK:
        act_callback(sock, s);
        break;
    case ACT_POLICY:
        act_option(sock, (s->arg & 1) ? MOS_SVROVERLAP : MOS_CLIOVERLAP, s->arg >> 1 & 1,
                   s->arg & 4);
        break;
    case ACT_HISTORY:
        act_option(sock, (s->arg & 1) ? MOS_SVRBUF : MOS_CLIBUF, s->len, s->arg & 4);
        break;
    case ACT_READ:
        act_app(s, APP_READ);
        break;
    case ACT_WRITE:
        act_app(s, APP_WRITE);
        break;
    case ACT_CLOSE:
        act_app(s, APP_CLOSE);
        break;
    case ACT_ABORT:
        act_app(s, APP_ABORT);
        break;
    case ACT_SHUT:
        act_app(s, APP_SHUT);
        break;
    case ACT_END:
        act_end();
        break;
    case ACT_BEGIN:
        act_begin();
        break;
    case ACT_LOOP:
        if (wm.n_inside)
            HOLDS(mtcp_epoll_wait(w.m, w.ep, &ev, 1, 0) == -1 && errno == EDEADLK);
        break;
    case ACT_LASTPKT:
        act_lastpkt(sock, side);
        break;
    case ACT_PPEEK:
        act_ppeek(sock, side, s);
        break;
    case ACT_SETPKT:
        act_setpkt(sock, side, s);
        if (s->arg2 & 8)
            act_sendpkt(sock, side);
        break;
    case ACT_ADDRS:
        mtcp_getpeername(w.m, sock, (struct sockaddr *)a, &len, s->arg % 3);
        break;
    default:
        act_iov(sock, side, s->len);
        break;
    }
}

static void on_act(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)arg;
    if (event == MOS_ON_CONN_START)
        w.slot[slot_of(sock, get_int(sock, MOS_REAL_SIDE))].mon_sock = sock;
    if (!w.armed.is_set || (w.armed.step.wnd && !(event & w.armed.step.wnd)))
        return;
    w.armed.is_set = false;
    wm.n_inside++;
    act(sock, side, &w.armed.step);
    wm.n_inside--;
}

void watch_act(const struct step *s)
{
    int sock = w.slot[(s->slot & STEP_SLOT) % SLOTS].mon_sock;
    if (wm.n_passive < 3)
        return;
    if (s->wnd & 1)
        sock = wm.passive[wm.n_passive - 1]; /* a passive one, where it should not be */
    act(sock, s->arg2 & 3, s);
}

void watch_arm(const struct step *s)
{
    w.armed = (struct armed){.step = *s, .is_set = true};
}

/* ---- life ------------------------------------------------------------------------------------ */

struct life *watch_life_of(int app)
{
    uint64_t who = who_has_sock(app);
    for (unsigned i = 0; who && i < w.n_lives; i++) {
        if (w.life[i].who == who) {
            w.life[i].has_app = true;
            return &w.life[i];
        }
    }
    return NULL;
}

static int monitor_new(void)
{
    int s = mtcp_socket(w.m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    HOLDS(s >= 0);
    wm.passive[wm.n_passive++] = s;
    return s;
}

static void on(int sock, event_t event, int hook, callback_t cb)
{
    HOLDS(mtcp_register_callback(w.m, sock, event, hook, cb) == 0);
}

static void watchful_start(void)
{
    int s = monitor_new();
    on(s, MOS_ON_CONN_START, MOS_HK_SND, on_start);
    on(s, MOS_ON_CONN_START, MOS_HK_RCV, on_start);
    on(s, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state);
    on(s, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state);
    if (!(w.head.monitors & MON_CALM)) {
        on(s, MOS_ON_PKT_IN, MOS_HK_SND, on_event);
        on(s, MOS_ON_PKT_IN, MOS_HK_RCV, on_event);
        on(s, MOS_ON_REXMIT, MOS_HK_RCV, on_event);
        on(s, MOS_ON_ERROR, MOS_NULL, on_event);
    }
    on(s, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_event);
    on(s, MOS_ON_CONN_END, MOS_HK_SND, on_end);
    on(s, MOS_ON_CONN_END, MOS_HK_RCV, on_end);
    if (w.head.monitors & MON_LAST_SVR)
        act_option(s, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST, false);
    if (w.head.monitors & MON_LAST_CLI)
        act_option(s, MOS_CLIOVERLAP, MOS_OVERLAP_POLICY_LAST, false);
}

static void lazy_start(void)
{
    int s = monitor_new();
    on(s, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_lazy);
    on(s, MOS_ON_CONN_END, MOS_HK_RCV, on_lazy);
    if (w.head.history) {
        act_option(s, MOS_SVRBUF, w.head.history * 64, false);
        act_option(s, MOS_CLIBUF, w.head.history * 64, false);
    }
}

void watch_start(void)
{
    unsigned n = w.head.monitors & MON_COUNT;
    memset(&wm, 0, sizeof(wm));
    if (n >= 1)
        watchful_start();
    if (n >= 2)
        lazy_start();
    if (n >= 3)
        act_begin();
}

void watch_end(void)
{
    for (unsigned i = 0; i < w.n_lives; i++)
        HOLDS(w.life[i].n_end == 4);
}

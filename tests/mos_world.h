/*
 * A world for the monitor's tests: fake services of an endpoint, one connection whose streams are
 * real, and a recorder. A test says what the endpoint does (a segment in or out, a state, a turn),
 * and reads what the callbacks saw as one text:
 *
 *     SC PKT_IN; SC START SYN_SENT; RS STATE SYN_RCVD;
 *
 * The first letter is the hook point (S snd, R rcv, N null), the second the side (C cli, S svr).
 */
#ifndef TESTS_MOS_WORLD_H
#define TESTS_MOS_WORLD_H

#include "mos/dispatch.h"
#include "mos/lastpkt.h"
#include "mos/monitor.h"
#include "mos/passive.h"
#include "mos/peek.h"
#include "mtcp/base/mem.h"
#include "mtcp/wire/build.h"
#include "tests/test.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define W_SOCKS 64
#define W_TEXT  8192

struct flow {
    struct tcp_flow_view view;
    struct stream rcv, snd;
    void *handle;
    bool has_streams;
    uint32_t hist_rcv, hist_snd;
    enum stream_policy policy;
    unsigned n_reset, n_detached;
    unsigned spared; /* enum hook_spare */
};

struct wsock {
    int type;
    const struct hook_sock_ops *ops;
    void *arg;
    unsigned generation;
};

static struct world {
    struct mtcp_context ctx;
    struct mem *mem;
    struct mon *m;
    const struct tcp_hooks *hooks;
    struct wsock socks[W_SOCKS];
    unsigned n_socks, max_socks;
    int user_depth, max_user_depth;
    uint64_t now;
    bool watches_frames;
    char warned[128]; /* the last line of the log */
    unsigned n_warned;
    uint8_t sent[2048]; /* the last packet of a monitor's own */
    uint32_t n_sent, sent_len;
    struct ip_addr sent_to;
    uint8_t sent_netif;
    bool sent_eth;
    int send_rc;
    struct flow f;
    struct hook_wire_conf wire; /* what a monitor without an endpoint is told */
    char text[W_TEXT];
    size_t text_len;
    void (*in_callback)(int sock, int side, event_t ev); /* what a test does inside callbacks */
} w;

/* ---- services -------------------------------------------------------------------------------- */

static inline void w_view(struct mtcp_context *ctx, const struct flow *f, struct tcp_flow_view *v)
{
    (void)ctx;
    *v = f->view;
    v->rcv = f->has_streams ? &f->rcv : NULL;
    v->snd = f->has_streams ? &f->snd : NULL;
}

static inline void w_streams(struct mtcp_context *ctx, const struct flow *f, struct hook_streams *s)
{
    (void)ctx;
    *s = (struct hook_streams){0};
    if (f->has_streams)
        *s = (struct hook_streams){&f->rcv, &f->snd, f->view.snd_max};
}

static inline void w_spare(struct mtcp_context *ctx, struct flow *f, unsigned what)
{
    (void)ctx;
    f->spared = what;
}

static inline void w_set_hist(struct mtcp_context *ctx, struct flow *f, bool is_rcv, uint32_t bytes)
{
    (void)ctx;
    if (f->has_streams) {
        *(is_rcv ? &f->hist_rcv : &f->hist_snd) = bytes;
        stream_set_hist(is_rcv ? &f->rcv : &f->snd, bytes);
    }
}

static inline void w_set_policy(struct mtcp_context *ctx, struct flow *f, bool is_rcv,
                                enum stream_policy p)
{
    (void)ctx;
    if (f->has_streams && is_rcv)
        f->policy = p;
}

static inline void w_reset(struct mtcp_context *ctx, struct flow *f)
{
    (void)ctx;
    f->n_reset++;
}

static inline void w_detach(struct mtcp_context *ctx, struct flow *f)
{
    (void)ctx;
    f->n_detached++;
    f->handle = NULL;
}

static inline int w_send(struct mtcp_context *ctx, const struct ip_addr *to, const uint8_t *eth,
                         const uint8_t *ip, uint32_t len)
{
    (void)ctx;
    CU_ASSERT_FATAL(len <= sizeof(w.sent));
    memcpy(w.sent, ip, len);
    w.sent_len = len;
    w.sent_to = *to;
    w.sent_eth = eth != NULL;
    w.n_sent++;
    return w.send_rc;
}

static inline int w_send_frame(struct mtcp_context *ctx, uint8_t netif, const uint8_t *frame,
                               uint32_t len)
{
    (void)ctx;
    CU_ASSERT_FATAL(len <= sizeof(w.sent));
    memcpy(w.sent, frame, len);
    w.sent_len = len;
    w.sent_netif = netif;
    w.n_sent++;
    return w.send_rc;
}

static inline void w_watch_frames(struct mtcp_context *ctx, bool is_on)
{
    (void)ctx;
    w.watches_frames = is_on;
}

/* An id: 1000 + slot + 100 * generation, so that a freed one is not known any more. */
static inline int w_sock_alloc(struct mtcp_context *ctx, int type, const struct hook_sock_ops *ops,
                               void *arg)
{
    (void)ctx;
    for (unsigned i = 0; i < W_SOCKS && w.n_socks < w.max_socks; i++) {
        struct wsock *s = &w.socks[i];
        if (s->type)
            continue;
        *s = (struct wsock){type, ops, arg, s->generation + 1};
        w.n_socks++;
        return (int)(1000 + i + 100 * s->generation);
    }
    return -1;
}

static inline struct wsock *w_sock(int sock)
{
    if (sock < 1000)
        return NULL;
    struct wsock *s = &w.socks[(unsigned)(sock - 1000) % 100 % W_SOCKS];
    return s->type && s->generation == (unsigned)(sock - 1000) / 100 ? s : NULL;
}

static inline void w_sock_free(struct mtcp_context *ctx, int sock)
{
    (void)ctx;
    struct wsock *s = w_sock(sock);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    s->type = 0;
    w.n_socks--;
}

/* Id 3 is an endpoint's. */
static inline void *w_sock_arg(struct mtcp_context *ctx, int sock, int *type)
{
    (void)ctx;
    const struct wsock *s = w_sock(sock);
    *type = s ? s->type : sock == 3 ? MOS_SOCK_STREAM : -1;
    return s ? s->arg : NULL;
}

static inline void w_wire_conf(struct mtcp_context *ctx, struct hook_wire_conf *conf)
{
    (void)ctx;
    *conf = w.wire;
}

static inline uint64_t w_now_us(struct mtcp_context *ctx)
{
    (void)ctx;
    return w.now;
}

static inline struct mem *w_mem(struct mtcp_context *ctx)
{
    (void)ctx;
    return w.mem;
}

static inline void w_warn(struct mtcp_context *ctx, const char *line)
{
    (void)ctx;
    snprintf(w.warned, sizeof(w.warned), "%s", line);
    w.n_warned++;
}

static inline int w_check(struct mtcp_context *ctx)
{
    (void)ctx;
    return 0;
}

static inline void w_user_begin(struct mtcp_context *ctx)
{
    (void)ctx;
    if (++w.user_depth > w.max_user_depth)
        w.max_user_depth = w.user_depth;
}

static inline void w_user_end(struct mtcp_context *ctx)
{
    (void)ctx;
    w.user_depth--;
}

static const struct hook_services w_services = {
    .view = w_view,
    .streams = w_streams,
    .spare = w_spare,
    .set_hist = w_set_hist,
    .set_policy = w_set_policy,
    .reset = w_reset,
    .detach = w_detach,
    .send = w_send,
    .send_frame = w_send_frame,
    .watch_frames = w_watch_frames,
    .sock_alloc = w_sock_alloc,
    .sock_free = w_sock_free,
    .sock_arg = w_sock_arg,
    .wire_conf = w_wire_conf,
    .now_us = w_now_us,
    .clock_us = w_now_us,
    .mem = w_mem,
    .warn = w_warn,
    .check = w_check,
    .user_begin = w_user_begin,
    .user_end = w_user_end,
};

/* ---- the public calls, as the layer above makes them ----------------------------------------- */

static inline int w_get(int sock, int name, void *val, socklen_t *len)
{
    struct wsock *s = w_sock(sock);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s->ops->getsockopt(s->arg, sock, SOL_MONSOCKET, name, val, len);
}

static inline int w_get_int(int sock, int name)
{
    int v = -12345;
    socklen_t len = sizeof(v);
    return w_get(sock, name, &v, &len) == 0 && len == sizeof(v) ? v : -12345;
}

static inline int w_set(int sock, int name, int val)
{
    struct wsock *s = w_sock(sock);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s->ops->setsockopt(s->arg, sock, SOL_MONSOCKET, name, &val, sizeof(val));
}

static inline int w_close(int sock)
{
    struct wsock *s = w_sock(sock);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s->ops->close(s->arg, sock);
}

static inline int w_register(int sock, event_t ev, int hook, callback_t cb)
{
    struct mon_sock s;
    struct cb_at at;
    if (mon_sock_find(w.m, sock, &s) < 0)
        return -errno;
    int rc = cb_at_find(ev, hook, &at);
    return rc ? rc : mon_sock_register(w.m, &s, &at, cb);
}

static inline int w_unregister(int sock, event_t ev, int hook)
{
    struct mon_sock s;
    struct cb_at at;
    if (mon_sock_find(w.m, sock, &s) < 0)
        return -errno;
    int rc = cb_at_find(ev, hook, &at);
    return rc ? rc : mon_sock_unregister(w.m, &s, &at);
}

static inline ssize_t w_peek(int sock, int side, char *buf, size_t len)
{
    struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    return x ? watch_peek(x, side, buf, len) : -1;
}

static inline ssize_t w_ppeek(int sock, int side, char *buf, size_t len, uint64_t off)
{
    struct watch *x = mon_watch(w.m, sock, ESOCKTNOSUPPORT);
    return x ? watch_ppeek(x, side, buf, len, off) : -1;
}

/* Of the packet whose callback runs: an option that needs no more. */
static inline int w_setpkt(const struct mon_conn *c, int option)
{
    return lastpkt_set(w.m, c, NULL, &(struct edit){.option = option});
}

/* ---- the recorder ---------------------------------------------------------------------------- */

static inline const char *w_state_name(int s)
{
    static const char *const names[] = {"CLOSED",      "LISTEN",     "SYN_SENT",   "SYN_RCVD",
                                        "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT",
                                        "CLOSING",     "LAST_ACK",   "TIME_WAIT"};
    return s >= 0 && s <= 10 ? names[s] : "?";
}

static inline const char *w_event_name(event_t ev)
{
    switch (ev) {
    case MOS_ON_PKT_IN:
        return "PKT_IN";
    case MOS_ON_CONN_START:
        return "START";
    case MOS_ON_CONN_NEW_DATA:
        return "DATA";
    case MOS_ON_ERROR:
        return "ERROR";
    case MOS_ON_TCP_STATE_CHANGE:
        return "STATE";
    case MOS_ON_ORPHAN:
        return "ORPHAN";
    case MOS_ON_REXMIT:
        return "REXMIT";
    case MOS_ON_CONN_END:
        return "END";
    case MOS_ON_PKT_NOTABLE:
        return "NOTABLE";
    default:
        return "?";
    }
}

__attribute__((format(printf, 1, 2))) static inline void w_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(w.text + w.text_len, W_TEXT - w.text_len, fmt, ap);
    va_end(ap);
    if (n > 0 && w.text_len + (size_t)n < W_TEXT)
        w.text_len += (size_t)n;
}

static inline void w_record(char hook, int sock, int side, event_t ev)
{
    int opt = side == MOS_SIDE_SVR ? MOS_TCP_STATE_SVR : MOS_TCP_STATE_CLI;
    w_say("%c%c %s", hook, "CSB"[side], w_event_name(ev));
    if (ev == MOS_ON_TCP_STATE_CHANGE || ev == MOS_ON_CONN_START)
        w_say(" %s", w_state_name(w_get_int(sock, opt)));
    if (ev == MOS_ON_ERROR)
        w_say(" %d", w_get_int(sock, MOS_LASTERROR));
    if (ev == MOS_ON_CONN_END)
        w_say(" %d", w_get_int(sock, MOS_END_REASON));
    w_say("; ");
    if (w.in_callback)
        w.in_callback(sock, side, ev);
}

static inline void w_cb_snd(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    CU_ASSERT_PTR_EQUAL(ctx, &w.ctx);
    CU_ASSERT_TRUE(arg && !arg->arg && !arg->len);
    w_record('S', sock, side, ev);
}

static inline void w_cb_rcv(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)arg;
    w_record('R', sock, side, ev);
}

static inline void w_cb_null(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)arg;
    w_record('N', sock, side, ev);
}

/* What was recorded since the last look is exactly this. */
#define EXPECT_EVENTS(want) w_expect(want, __FILE__, __LINE__)
static inline void w_expect(const char *want, const char *file, int line)
{
    size_t n = strlen(want);
    bool same =
        n == w.text_len - (w.text_len > 0 && n > 0 ? 1 : 0) && strncmp(w.text, want, n) == 0;
    if (n == 0)
        same = w.text_len == 0;
    if (!same)
        fprintf(stderr, "\n%s:%d: events\n  %s\nexpected\n  %s\n", file, line, w.text, want);
    CU_assertImplementation(same, (unsigned)line, "events", file, "", CU_FALSE);
    w.text_len = 0;
    w.text[0] = 0;
}

/* ---- a world --------------------------------------------------------------------------------- */

/* A passive socket with callbacks for `events` (MOS_ON_* or-ed) at every point where they fire. */
static inline int w_monitor(uint64_t events)
{
    int sock = hook_monitor.socket(w.m, AF_INET, MOS_SOCK_MONITOR_STREAM);
    CU_ASSERT_TRUE_FATAL(sock >= 1000);
    for (unsigned bit = 0; bit < 13; bit++) {
        event_t ev = 1ull << bit;
        if (!(events & ev))
            continue;
        (void)!w_register(sock, ev, MOS_HK_SND, w_cb_snd);
        (void)!w_register(sock, ev, MOS_HK_RCV, w_cb_rcv);
        (void)!w_register(sock, ev, MOS_NULL, w_cb_null);
    }
    return sock;
}

static inline void w_flow_init(struct flow *f, bool local_is_cli)
{
    memset(f, 0, sizeof(*f));
    f->view.tuple.local = ip_addr_v4(be32_make(0x0a000001));
    f->view.tuple.remote = ip_addr_v4(be32_make(0x0a000002));
    f->view.tuple.local_port = local_is_cli ? 40000 : 80;
    f->view.tuple.remote_port = local_is_cli ? 80 : 40000;
    f->view.local_isn = seq_make(0xfffffff0);
    f->view.remote_isn = seq_make(0xffffff00);
    f->view.local_is_cli = local_is_cli;
    f->view.state = local_is_cli ? MOS_TCPS_SYN_SENT : MOS_TCPS_SYN_RCVD;
    f->view.sock = -1;
    f->has_streams = local_is_cli;
    stream_init(&f->rcv, 8192);
    stream_init(&f->snd, 8192);
}

static inline void w_begin(bool local_is_cli)
{
    memset(&w, 0, sizeof(w));
    w.mem = mem_create(0);
    w.now = 1000;
    w.max_socks = W_SOCKS;
    w_flow_init(&w.f, local_is_cli);
    w.m = hook_monitor.attach(&w.ctx, &w_services, &w.hooks);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w.m);
}

static inline void w_end(void)
{
    w.text_len = 0;
    if (w.f.handle)
        w.hooks->dying(w.m, w.f.handle, HOOK_END_ABORT);
    w.f.handle = NULL;
    hook_monitor.detach(w.m);
    stream_fini(&w.f.rcv, w.mem);
    stream_fini(&w.f.snd, w.mem);
    EXPECT_EQ(w.n_socks, 0);
    EXPECT_EQ(w.user_depth, 0);
    EXPECT_EQ(mem_in_use(w.mem), 0);
    mem_destroy(w.mem);
}

/* ---- what the endpoint does ------------------------------------------------------------------ */

/* A segment. Offsets count payload bytes; the peer's or our FIN is one more. */
struct wseg {
    uint8_t flags;
    int64_t off;      /* of the payload */
    const char *data; /* or NULL */
    int64_t ack;      /* offset in the other direction */
    bool refused;     /* in: not acceptable */
    bool rexmit;      /* out */
    uint8_t to[3];    /* in: the states our side moves to */
};

static inline void w_build(struct seg *seg, struct hook_seg *s, enum hook_dir dir,
                           const struct wseg *x)
{
    bool in = dir == HOOK_IN;
    tcp_seq_t mine = in ? w.f.view.remote_isn : w.f.view.local_isn;
    tcp_seq_t other = in ? w.f.view.local_isn : w.f.view.remote_isn;
    int64_t off = x->flags & TCP_SYN ? -1 : x->off;
    *seg = (struct seg){
        .tuple = w.f.view.tuple,
        .seq = seq_of_off(mine, off),
        .ack = x->flags & TCP_ACK ? seq_of_off(other, x->ack) : seq_make(0),
        .wnd = 1000,
        .flags = x->flags,
        .ttl = 64,
        .payload = (const uint8_t *)x->data,
        .len = x->data ? (uint32_t)strlen(x->data) : 0,
    };
    *s = (struct hook_seg){
        .dir = dir,
        .seg = seg,
        .netif = 2,
        .accepted = !in || !x->refused,
        .rexmit = x->rexmit,
        .has_off = true,
        .off = off,
        .now_us = w.now,
    };
}

/* Tells our side's move. */
static inline void w_state(uint8_t to)
{
    uint8_t from = w.f.view.state;
    w.f.view.state = to;
    if (w.f.handle)
        w.hooks->state(w.m, w.f.handle, from, to);
}

static inline void w_receive(const struct hook_seg *s, const struct wseg *x)
{
    struct stream_insert what;
    for (unsigned i = 0; i < 3 && x->to[i]; i++)
        w_state(x->to[i] == 0xff ? MOS_TCPS_CLOSED : x->to[i]);
    if (s->seg->len > 0 && s->accepted && w.f.has_streams)
        EXPECT_EQ(stream_insert(&w.f.rcv, w.mem, (uint64_t)x->off, x->data, s->seg->len, &what), 0);
    if ((x->flags & TCP_ACK) && s->accepted && w.f.has_streams) {
        uint64_t acked = x->ack > 0 ? (uint64_t)x->ack : 0;
        if (acked > stream_next(&w.f.snd))
            acked = stream_next(&w.f.snd);
        if (acked > stream_read(&w.f.snd))
            stream_consume(&w.f.snd, acked - stream_read(&w.f.snd));
    }
}

static inline void w_transmit(const struct hook_seg *s, const struct wseg *x)
{
    uint64_t end = x->off > 0 ? (uint64_t)x->off + s->seg->len : s->seg->len;
    if (s->seg->len > 0 && end > w.f.view.snd_max)
        w.f.view.snd_max = end;
}

static inline enum hook_verdict w_step(enum hook_dir dir, const struct wseg *x)
{
    struct seg seg;
    struct hook_seg s;
    w_build(&seg, &s, dir, x);
    w.now += 10;
    if (!w.f.handle && (x->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
        w.hooks->born(w.m, &s, &w.f, &w.f.handle) == HOOK_DROP)
        return HOOK_DROP;
    if (w.f.handle && w.hooks->pkt(w.m, w.f.handle, &s) == HOOK_DROP)
        return HOOK_DROP;
    if (dir == HOOK_IN)
        w_receive(&s, x);
    else
        w_transmit(&s, x);
    if (w.f.handle)
        w.hooks->pkt_done(w.m, w.f.handle, &s);
    return HOOK_PASS;
}

#define IN(...)  w_step(HOOK_IN, &(struct wseg){__VA_ARGS__})
#define OUT(...) w_step(HOOK_OUT, &(struct wseg){__VA_ARGS__})

/* The application writes bytes; they are not sent by that. */
static inline void w_write(const char *data)
{
    EXPECT_EQ(stream_append(&w.f.snd, w.mem, data, (uint32_t)strlen(data)), (int64_t)strlen(data));
}

/* A frame of a device passes. */
static inline void w_frame(enum hook_dir dir, const void *bytes, uint32_t len)
{
    static uint8_t frame[2048];
    CU_ASSERT_FATAL(len <= sizeof(frame));
    memcpy(frame, bytes, len);
    struct hook_seg f = {.dir = dir,
                         .frame = frame,
                         .frame_len = len,
                         .l3_off = len < 14 ? 0 : 14,
                         .netif = 2,
                         .now_us = w.now};
    if (w.watches_frames)
        w.hooks->frame(w.m, &f);
}

static inline void w_promote(void)
{
    w.f.has_streams = true;
    if (w.f.handle)
        w.hooks->moved(w.m, w.f.handle, &w.f);
}

static inline void w_turn(void)
{
    w.hooks->turn(w.m, HOOK_TURN_INPUT);
    w.hooks->turn(w.m, HOOK_TURN_OUTPUT);
}

static inline void w_die(enum hook_end reason)
{
    w.hooks->dying(w.m, w.f.handle, reason);
    w.f.handle = NULL;
}

/* A server's connection, established. */
static inline void w_accept(void)
{
    IN(.flags = TCP_SYN);
    OUT(.flags = TCP_SYN | TCP_ACK);
    w_promote();
    IN(.flags = TCP_ACK, .to = {MOS_TCPS_ESTABLISHED});
}

/* A client's connection, established. */
static inline void w_connect(void)
{
    OUT(.flags = TCP_SYN);
    IN(.flags = TCP_SYN | TCP_ACK, .to = {MOS_TCPS_ESTABLISHED});
    OUT(.flags = TCP_ACK);
}

/* The newest active socket. */
static inline int w_active(void)
{
    const struct mon_conn *c = w.f.handle;
    return c && c->watches ? c->watches->sock : -1;
}

#endif

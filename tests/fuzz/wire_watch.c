/*
 * The monitors of fuzz_wire. The watchful one peeks everything and compares; the acting one does
 * what the program says, in callbacks and outside; a raw one looks.
 */
#include "tests/fuzz/wire.h"

#include "mtcp/wire/hdr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>

#define LIVES_MAX 256u

/* A connection of the watchful monitor, from CONN_START to the last CONN_END. */
struct life {
    int sock;          /* 0: none */
    int slot;          /* -1: a stranger's */
    uint64_t n[SIDES]; /* bytes that it has got of what the side receives */
    uint64_t n_missed[SIDES];
    unsigned n_start, n_end;
};

static struct {
    int watchful, acting, raw;
    struct life life[LIVES_MAX];
    struct step armed;
    bool is_armed;
    int last; /* active socket of the acting monitor */
} m;

static struct life *life_of(int sock)
{
    for (unsigned i = 0; i < LIVES_MAX; i++)
        if (m.life[i].sock == sock)
            return &m.life[i];
    return NULL;
}

/* ---- the watchful one ------------------------------------------------------------------------ */

/* Whose SYN is it? */
static int slot_of_packet(int sock)
{
    struct pkt_info info;
    struct packet p;
    unsigned slot;
    int side;
    HOLDS(mtcp_getlastpkt(w.m, sock, MOS_SIDE_CLI, &info) == 0 && info.ethh);
    HOLDS(packet_parse(&p, (const uint8_t *)info.ethh, info.eth_len, PACKET_CSUM_GOOD) == 0);
    HOLDS(p.kind == PACKET_TCP && (const void *)info.payload == p.seg.payload);
    return host_find(&p.seg, &slot, &side) && side == MOS_SIDE_CLI ? (int)slot : -1;
}

static void life_begin(int sock)
{
    struct life *l = life_of(0);
    HOLDS(l && !life_of(sock));
    *l = (struct life){.sock = sock, .slot = slot_of_packet(sock)};
    if (l->slot >= 0)
        model_begin((unsigned)l->slot);
}

/* RCV/CLI, SND/CLI, RCV/SVR, SND/SVR. */
static void life_end(struct life *l, int side)
{
    HOLDS(side == (l->n_end < 2 ? MOS_SIDE_CLI : MOS_SIDE_SVR));
    if (++l->n_end < 4)
        return;
    if (l->slot >= 0)
        model_end((unsigned)l->slot);
    l->sock = 0;
}

static uint64_t n_missed(int sock, int side)
{
    uint64_t n = 0;
    socklen_t len = sizeof(n);
    int name = side == MOS_SIDE_CLI ? MOS_MISSED_CLIBUF : MOS_MISSED_SVRBUF;
    HOLDS(mtcp_getsockopt(w.m, sock, SOL_MONSOCKET, name, &n, &len) == 0);
    return n;
}

/* -1 may be one byte that was missed, and not the end. */
static void read_new(struct life *l, int side)
{
    uint64_t missed;
    ssize_t n;
    do {
        char buf[700];
        missed = l->n_missed[side];
        n = mtcp_peek(w.m, l->sock, side, buf, sizeof(buf));
        HOLDS(n > 0 || (n < 0 && errno == ENODATA));
        l->n_missed[side] = n_missed(l->sock, side);
        uint64_t off = l->n[side] + l->n_missed[side];
        HOLDS(n > 0 ? l->n_missed[side] == missed
                    : l->n_missed[side] - missed == (uint64_t)-n || l->n_missed[side] == missed);
        if (n > 0 && l->slot >= 0)
            model_compare((unsigned)l->slot, side, off, (const uint8_t *)buf, (size_t)n);
        l->n[side] += n > 0 ? (uint64_t)n : 0;
    } while (n > 0 || l->n_missed[side] != missed);
    HOLDS(n == -1);
}

static void watch(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)arg;
    link_user(true);
    struct life *l = life_of(sock);
    if (ev == MOS_ON_CONN_START && side == MOS_SIDE_CLI)
        life_begin(sock);
    HOLDS(ev == MOS_ON_CONN_START || l);
    if (ev == MOS_ON_CONN_NEW_DATA)
        read_new(l, side);
    else if (ev == MOS_ON_CONN_END)
        life_end(l, side);
    link_user(false);
}

static void look(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info info;
    (void)arg;
    link_user(true);
    if (ev == MOS_ON_PKT_IN || ev == MOS_ON_ORPHAN)
        (void)mtcp_getlastpkt(ctx, sock, side, &info);
    link_user(false);
}

/* ---- the acting one -------------------------------------------------------------------------- */

/* What it did to the frame. */
static void changed(int option)
{
    const int sums = MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM;
    struct in *f = link_current();
    HOLDS(f);
    if (option & MOS_DROP) {
        f->is_dropped = true;
        return;
    }
    f->is_changed = true;
    if ((option & MOS_TCP_PAYLOAD) || !(option & MOS_OVERWRITE)) {
        w.has_edits = true;
        for (unsigned slot = 0; slot < SLOTS; slot++)
            model_doubt(slot);
    }
    f->is_longer |= (option & MOS_TCP_PAYLOAD) && !(option & MOS_OVERWRITE);
    if ((option & sums) == sums)
        return;
    f->is_good = false;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        model_doubt(slot);
}

static void set(int sock, int side, off_t offset, uint8_t *data, uint16_t len, int option)
{
    if (mtcp_setlastpkt(w.m, sock, side, offset, data, len, option) == 0)
        changed(option);
}

static void overwrite_payload(int sock, int side, const struct step *s)
{
    struct pkt_info p;
    uint8_t bytes[64];
    uint16_t n = 1 + s->len % sizeof(bytes);
    if (mtcp_getlastpkt(w.m, sock, side, &p) != 0)
        return;
    uint32_t at = p.payloadlen ? s->arg % p.payloadlen : 0;
    bool is_syn = p.tcph && (((const uint8_t *)p.tcph)[13] & TCP_SYN);
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = host_byte(p.seq + is_syn + at + i, s->copy);
    set(sock, side, at, bytes, n,
        MOS_OVERWRITE | MOS_TCP_PAYLOAD | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM);
}

static void edit(int sock, int side, const struct step *s)
{
    uint8_t bytes[256];
    memset(bytes, s->arg2, sizeof(bytes));
    for (unsigned slot = 0; slot < SLOTS; slot++)
        model_ignore(slot);
    set(sock, side, s->seq, bytes, s->len % sizeof(bytes), s->wnd | (int)s->arg << 4);
}

static void options(int sock, const struct step *s)
{
    int v = s->flags % ACT_N == ACT_HISTORY ? s->len % 4096 : s->len % 3;
    int name = s->flags % ACT_N == ACT_HISTORY ? (s->arg & 1 ? MOS_CLIBUF : MOS_SVRBUF)
                                               : (s->arg & 1 ? MOS_CLIOVERLAP : MOS_SVROVERLAP);
    if (s->flags % ACT_N == ACT_POLICY)
        for (unsigned slot = 0; slot < SLOTS; slot++)
            model_doubt(slot);
    w.has_policy |= s->flags % ACT_N == ACT_POLICY;
    (void)mtcp_setsockopt(w.m, sock, SOL_MONSOCKET, name, &v, sizeof(v));
}

static void act_cb(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg);

static void registering(int sock, const struct step *s, bool is_on)
{
    static const int hooks[] = {MOS_HK_SND, MOS_HK_RCV, MOS_NULL};
    event_t ev = UINT64_C(1) << s->arg % 12u;
    int hook = hooks[s->arg2 % 3u];
    if (is_on)
        (void)mtcp_register_callback(w.m, sock, ev, hook, act_cb);
    else
        (void)mtcp_unregister_callback(w.m, sock, ev, hook);
}

static void peeking(int sock, const struct step *s)
{
    char buf[512];
    struct iovec iov[2];
    if (s->arg & 1)
        (void)mtcp_peek_iov(w.m, sock, s->arg2 & 1, iov);
    else
        (void)mtcp_peek(w.m, sock, s->arg2 & 1, buf, s->len % sizeof(buf));
    (void)mtcp_peek_consume(w.m, sock, s->arg2 & 1, s->len % 64u);
}

static void send_again(int sock, int side)
{
    struct pkt_info p;
    if (mtcp_getlastpkt(w.m, sock, side, &p) == 0 && p.iph && p.tcph)
        (void)mtcp_sendpkt(w.m, sock, &p);
}

static void act(int sock, int side, const struct step *s)
{
    char buf[512];
    int both = MOS_SIDE_BOTH;
    struct timeval soon = {0, s->len};
    if (w.verbose)
        fprintf(stderr, "act %d\n", s->flags % ACT_N);
    switch (s->flags % ACT_N) {
    case ACT_DROP:
        set(sock, side, 0, NULL, 0, MOS_DROP);
        break;
    case ACT_PAYLOAD:
        overwrite_payload(sock, side, s);
        break;
    case ACT_HEADER:
        set(sock, side, s->arg % 64u, (uint8_t[]){s->arg2}, 1,
            MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM);
        break;
    case ACT_EDIT:
        edit(sock, side, s);
        break;
    case ACT_STOP:
        if (s->arg % 3 < 2)
            both = s->arg % 3;
        (void)mtcp_setsockopt(w.m, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
        break;
    case ACT_HISTORY:
    case ACT_POLICY:
        options(sock, s);
        break;
    case ACT_PEEK:
        peeking(sock, s);
        break;
    case ACT_PPEEK:
        (void)mtcp_ppeek(w.m, sock, s->arg & 1, buf, s->len % sizeof(buf), s->wnd);
        break;
    case ACT_REGISTER:
    case ACT_UNREGISTER:
        registering(s->arg2 & 128 ? m.acting : sock, s, s->flags % ACT_N == ACT_REGISTER);
        break;
    case ACT_SENDPKT:
        send_again(sock, side);
        break;
    case ACT_RESET:
        for (unsigned slot = 0; slot < SLOTS; slot++)
            model_ignore(slot);
        w.has_reset |= mtcp_reset_conn(w.m, sock) == 0;
        break;
    case ACT_TIMER:
        (void)mtcp_settimer(w.m, s->arg, &soon, act_cb);
        break;
    default:
        (void)mtcp_close(w.m, s->arg & 1 ? sock : m.acting);
        break;
    }
}

static void act_cb(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ctx, (void)arg;
    link_user(true);
    if (ev != MOS_ON_TIMEOUT && sock != m.acting)
        m.last = sock;
    if (m.is_armed && (ev & m.armed.wnd || ev == MOS_ON_TIMEOUT)) {
        struct step s = m.armed;
        m.is_armed = false;
        act(ev == MOS_ON_TIMEOUT ? m.last : sock, side, &s); /* a timer's callback has its own id */
    }
    link_user(false);
}

void watch_act(const struct step *s)
{
    act(m.last, s->arg2 & 1, s);
}

void watch_arm(const struct step *s)
{
    m.armed = *s;
    m.is_armed = true;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int monitor_new(int type, uint64_t events, callback_t cb)
{
    static const int hooks[] = {MOS_HK_SND, MOS_HK_RCV, MOS_NULL};
    int sock = mtcp_socket(w.m, AF_INET, type, 0);
    HOLDS(sock >= 0);
    for (unsigned bit = 0; bit < 12; bit++)
        for (unsigned i = 0; i < 3 && (events >> bit & 1); i++)
            (void)mtcp_register_callback(w.m, sock, UINT64_C(1) << bit, hooks[i], cb);
    return sock;
}

void watch_start(void)
{
    int hist = w.head.history * 64, last = MOS_OVERLAP_POLICY_LAST;
    memset(&m, 0, sizeof(m));
    m.watchful = monitor_new(MOS_SOCK_MONITOR_STREAM,
                             MOS_ON_CONN_START | MOS_ON_CONN_NEW_DATA | MOS_ON_CONN_END, watch);
    m.acting = monitor_new(MOS_SOCK_MONITOR_STREAM, 0xfff, act_cb);
    m.last = m.acting;
    if (hist > 0)
        (void)mtcp_setsockopt(w.m, m.acting, SOL_MONSOCKET, MOS_SVRBUF, &hist, sizeof(hist));
    for (int i = 0; i < 2 && (w.head.conf & CONF_LAST); i++)
        HOLDS(mtcp_setsockopt(w.m, m.watchful, SOL_MONSOCKET, i ? MOS_CLIOVERLAP : MOS_SVROVERLAP,
                              &last, sizeof(last)) == 0);
    if (w.head.conf & CONF_RAW)
        m.raw = monitor_new(MOS_SOCK_MONITOR_RAW, 0xfff, look);
}

void watch_turn(void)
{
    for (unsigned i = 0; i < LIVES_MAX; i++)
        for (int side = 0; side < SIDES && m.life[i].sock && m.life[i].slot >= 0; side++)
            model_check((unsigned)m.life[i].slot, side, m.life[i].n[side]);
}

void watch_end(void)
{
    for (unsigned i = 0; i < LIVES_MAX; i++)
        HOLDS(m.life[i].sock == 0);
}

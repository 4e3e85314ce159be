/*
 * Fuzzes the whole input path in every state: one context, a peer made of the input, an application
 * and a monitor. The input is a program: segments whose numbers are relative to what the stack last
 * sent (so that they come close to its windows), raw frames, time, and socket calls.
 *
 * Checked: nothing crashes or leaks; the monitor's bytes are the application's bytes (MONITOR.md, the
 * promise); the edges are in order; work per input is bounded.
 */
#include "mtcp/wire/build.h"
#include "mtcp/wire/parse.h"
#include "mtcp_epoll.h"
#include "mtcp_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_ROOM 2048u
#define QUEUE      64u
#define STREAM_MAX 65536u
#define STEPS_MAX  256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct frame {
    struct mtcp_pkt pkt; /* first */
    uint8_t buf[FRAME_ROOM];
};

struct world {
    const uint8_t *at, *end; /* the program */
    uint64_t now_us;
    struct mtcp_io io;
    struct frame *in[QUEUE];
    unsigned n_in;
    size_t n_pkts;
    mctx_t m;
    int ep, listener, sock;
    /* what the stack last sent: the peer's view */
    tcp_seq_t seq, ack;
    uint16_t port; /* the stack's */
    uint32_t ts_val;
    bool have_peer, active;
    tcp_seq_t isn; /* the peer's */
    /* the promise */
    uint8_t read[STREAM_MAX], seen[STREAM_MAX];
    size_t n_read, n_seen;
};

static struct world w;
static const struct mac_addr our_mac = {{2, 0, 0, 0, 0, 1}}, peer_mac = {{2, 0, 0, 0, 0, 2}};

/* ---- the program ---- */

static uint8_t u8(void)
{
    return w.at < w.end ? *w.at++ : 0;
}

static uint16_t u16(void)
{
    uint16_t hi = u8();
    return (uint16_t)(hi << 8 | u8());
}

/* Mostly small, sometimes large, sometimes anything: where the edges are. */
static uint32_t delta(void)
{
    uint8_t kind = u8();
    int8_t small = (int8_t)u8();
    switch (kind & 7) {
    case 0:
    case 1:
    case 2:
        return 0;
    case 3:
    case 4:
        return (uint32_t)(int32_t)small;
    case 5:
        return (uint32_t)((int32_t)small * 100);
    case 6:
        return (uint32_t)((int32_t)small * 65521);
    default:
        return (uint32_t)u16() << 16 | (uint8_t)small;
    }
}

/* ---- the device ---- */

static struct mtcp_pkt *fuzz_alloc(struct mtcp_io *io)
{
    (void)io;
    struct frame *f = malloc(sizeof(*f));
    if (!f)
        return NULL;
    memset(&f->pkt, 0, sizeof(f->pkt));
    f->pkt.data = f->buf;
    f->pkt.room = FRAME_ROOM;
    w.n_pkts++;
    return &f->pkt;
}

static void fuzz_free(struct mtcp_io *io, struct mtcp_pkt *p)
{
    (void)io;
    w.n_pkts--;
    free(p);
}

static unsigned fuzz_rx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    (void)io;
    unsigned got = 0;
    while (got < n && got < w.n_in) {
        pkts[got] = &w.in[got]->pkt;
        got++;
    }
    w.n_in -= got;
    memmove(w.in, w.in + got, w.n_in * sizeof(w.in[0]));
    return got;
}

static unsigned fuzz_tx(struct mtcp_io *io, struct mtcp_pkt **pkts, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct packet p;
        if (packet_parse(&p, pkts[i]->data, pkts[i]->len, PACKET_CSUM_UNKNOWN) < 0)
            __builtin_trap(); /* the stack sent something malformed */
        if (p.kind == PACKET_TCP && !(p.seg.flags & TCP_RST)) {
            w.seq = seq_add(p.seg.seq, seg_seq_len(&p.seg));
            if (p.seg.flags & TCP_ACK)
                w.ack = p.seg.ack;
            w.port = p.seg.tuple.remote_port;
            if (p.seg.opt.has_ts)
                w.ts_val = p.seg.opt.ts_val;
            w.have_peer = true;
        }
        fuzz_free(io, pkts[i]);
    }
    return n;
}

static struct frame *frame_new(void)
{
    if (w.n_in == QUEUE)
        return NULL;
    struct frame *f = (struct frame *)(void *)fuzz_alloc(NULL);
    if (f)
        w.in[w.n_in++] = f;
    return f;
}

/* ---- the peer ---- */

static void peer_arp(void)
{
    struct frame *f = frame_new();
    struct build_arp a = {.sender_mac = peer_mac,
                          .sender_ip = be32_make(0x0a000002),
                          .target_ip = be32_make(0x0a000001)};
    if (f)
        f->pkt.len = build_arp(f->buf, &a);
}

static void peer_options(struct tcp_opts *o, uint8_t which)
{
    if (which & 1) {
        o->has_ts = true;
        o->ts_val = 1000 + delta();
        o->ts_ecr = w.ts_val + delta();
    }
    if (which & 2) {
        o->n_sack = (uint8_t)(1 + (u8() & 3));
        for (unsigned i = 0; i < o->n_sack; i++) {
            o->sack[i].start = seq_add(w.seq, delta());
            o->sack[i].end = seq_add(o->sack[i].start, delta());
        }
    }
    if (which & 4) {
        o->has_mss = true;
        o->mss = u16();
    }
    if (which & 8) {
        o->has_wscale = true;
        o->wscale = u8() & 15;
    }
    o->sack_permitted = which & 16;
}

static void peer_segment(uint8_t flags)
{
    struct frame *f = frame_new();
    if (!f)
        return;
    struct seg s = {.tuple = {ip_addr_v4(be32_make(0x0a000002)), ip_addr_v4(be32_make(0x0a000001)),
                              40000, w.active ? w.port : 80},
                    .flags = flags,
                    .ttl = 64,
                    .wnd = u16()};
    if (w.active)
        s.tuple.local_port = 7777;
    s.seq = seq_add(w.have_peer && !(flags & TCP_SYN) ? w.ack : w.isn, delta());
    s.ack = seq_add(w.seq, delta());
    uint8_t which = u8();
    peer_options(&s.opt, which);
    s.len = (which & 32) ? u16() % 1300u : (which & 64) ? u8() : 0;
    struct build_l2 l2 = {.src = peer_mac, .dst = our_mac};
    struct build_lens lens = build_tcp(f->buf, &l2, &s, 1);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    uint8_t fill = u8();
    for (uint32_t i = 0; i < s.len; i++)
        f->buf[hdrs + i] = (uint8_t)(fill + ((s.seq.v - w.isn.v + i) & ((which & 128) ? 0xff : 0)));
    build_tcp_csum(f->buf, lens, s.len, (struct build_offload){0});
    f->pkt.len = hdrs + s.len;
    if (u8() == 255) /* now and then a byte of the headers is anything */
        f->buf[14 + u8() % (hdrs - 14)] = u8();
}

static void peer_raw(void)
{
    struct frame *f = frame_new();
    if (!f)
        return;
    uint32_t n = u8();
    for (uint32_t i = 0; i < n; i++)
        f->buf[i] = u8();
    if (n >= 14) {
        memcpy(f->buf, &our_mac, 6);
        f->buf[12] = 8;
        f->buf[13] = (n & 1) ? 0 : 6;
    }
    f->pkt.len = n;
    f->pkt.flags = (n & 2) ? MTCP_PKT_RX_CSUM_GOOD : 0;
}

/* ---- the monitor ---- */

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static char buf[4096];
    (void)event, (void)arg;
    int real = -1;
    socklen_t len = sizeof(real);
    mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_REAL_SIDE, &real, &len);
    ssize_t n;
    while ((n = mtcp_peek(m, sock, side, buf, sizeof(buf))) > 0) {
        if (side != real)
            continue;
        size_t room = STREAM_MAX - w.n_seen;
        size_t take = (size_t)n < room ? (size_t)n : room;
        memcpy(w.seen + w.n_seen, buf, take);
        w.n_seen += take;
    }
    if (n < -1)
        __builtin_trap(); /* it peeks at every event: nothing may be missed */
}

static void on_event(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    struct tcp_buf_info b;
    for (int name = MOS_INFO_CLIBUF; name <= MOS_INFO_SVRBUF; name++) {
        socklen_t len = sizeof(b);
        if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, &b, &len) < 0)
            continue;
        uint32_t unread = b.tcpbi_next_byte_expected - b.tcpbi_last_byte_read;
        uint32_t hole = b.tcpbi_last_byte_received - b.tcpbi_next_byte_expected;
        if (unread > 1u << 30 || hole > 1u << 30)
            __builtin_trap();
    }
    struct tcp_ring_fragment frag[66];
    socklen_t n = 66;
    mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, frag, &n);
}

static void monitor_start(void)
{
    int s = mtcp_socket(w.m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (s < 0)
        __builtin_trap();
    mtcp_register_callback(w.m, s, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data);
    mtcp_register_callback(w.m, s, MOS_ON_PKT_IN, MOS_HK_RCV, on_event);
    mtcp_register_callback(w.m, s, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_event);
    mtcp_register_callback(w.m, s, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_event);
    mtcp_register_callback(w.m, s, MOS_ON_ERROR, MOS_NULL, on_event);
    mtcp_register_callback(w.m, s, MOS_ON_REXMIT, MOS_HK_RCV, on_event);
    mtcp_register_callback(w.m, s, MOS_ON_CONN_END, MOS_HK_RCV, on_event);
}

/* ---- the application ---- */

static void app_read(size_t n)
{
    static char buf[4096];
    ssize_t got = mtcp_read(w.m, w.sock, buf, n < sizeof(buf) ? n : sizeof(buf));
    for (ssize_t i = 0; i < got && w.n_read < STREAM_MAX; i++)
        w.read[w.n_read++] = (uint8_t)buf[i];
}

static void app_call(uint8_t op)
{
    static char buf[8192];
    int v = u8() << (u8() & 15);
    if (w.sock < 0)
        return;
    switch (op & 7) {
    case 0:
    case 1:
        app_read(u16());
        break;
    case 2:
    case 3:
        (void)!mtcp_write(w.m, w.sock, buf, u16() % sizeof(buf));
        break;
    case 4:
        mtcp_shutdown(w.m, w.sock, u8() % 3);
        break;
    case 5:
        mtcp_setsockopt(w.m, w.sock, SOL_SOCKET, (v & 1) ? SO_RCVBUF : SO_SNDBUF, &v, sizeof(v));
        break;
    case 6:
        if (u8() < 32) {
            mtcp_close(w.m, w.sock);
            w.sock = -1;
        }
        break;
    default:
        if (u8() < 16) {
            mtcp_abort(w.m, w.sock);
            w.sock = -1;
        }
    }
}

/* ---- a run ---- */

static uint64_t fuzz_now(void *arg)
{
    (void)arg;
    return w.now_us;
}

static void fuzz_wait(void *arg, uint64_t until_us)
{
    (void)arg, (void)until_us;
}

static void turn(void)
{
    struct mtcp_epoll_event ev[4];
    mtcp_epoll_wait(w.m, w.ep, ev, 4, 0);
    if (w.sock < 0 && !w.active && w.listener >= 0)
        w.sock = mtcp_accept4(w.m, w.listener, NULL, NULL, SOCK_NONBLOCK);
    size_t both = w.n_read < w.n_seen ? w.n_read : w.n_seen;
    if (w.n_read > w.n_seen || memcmp(w.read, w.seen, both) != 0)
        __builtin_trap(); /* the promise */
}

static void start(uint8_t mode)
{
    static const char conf[] = "mos {\n netdev \"fuzz0\" { address = {\"10.0.0.1/24\"} }\n"
                               " max_concurrency = 16\n rmem_size = 16384\n wmem_size = 16384\n}\n";
    struct mtcp_env env = {.now_us = fuzz_now, .wait = fuzz_wait, .seed = 7};
    struct mtcp_io *io = &w.io;
    w.io = (struct mtcp_io){.rx_burst = fuzz_rx, .tx_burst = fuzz_tx, .alloc = fuzz_alloc,
                            .free = fuzz_free, .mtu = 1500, .name = "fuzz0",
                            .caps = MTCP_IO_NO_WAKEUP};
    memcpy(w.io.mac, &our_mac, 6);
    w.m = mtcp_create_context_io(0, conf, &io, 1, &env);
    if (!w.m)
        __builtin_trap();
    w.ep = mtcp_epoll_create(w.m, 1);
    monitor_start();
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
    w.active = mode & 1;
    w.sock = w.listener = -1;
    peer_arp();
    turn();
    if (w.active) {
        w.sock = mtcp_socket(w.m, AF_INET, SOCK_STREAM, 0);
        mtcp_setsock_nonblock(w.m, w.sock);
        a.sin_port = htons(7777);
        inet_pton(AF_INET, "10.0.0.2", &a.sin_addr);
        mtcp_connect(w.m, w.sock, (struct sockaddr *)&a, sizeof(a));
    } else {
        w.listener = mtcp_socket(w.m, AF_INET, SOCK_STREAM, 0);
        mtcp_setsock_nonblock(w.m, w.listener);
        if (mtcp_bind(w.m, w.listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
            mtcp_listen(w.m, w.listener, 8) < 0)
            __builtin_trap();
    }
    turn();
}

static void step(void)
{
    uint8_t op = u8();
    switch (op >> 5) {
    case 0:
    case 1:
    case 2:
        peer_segment(TCP_ACK | ((op & 1) ? TCP_PSH : 0));
        break;
    case 3:
        peer_segment(u8());
        break;
    case 4:
        if (op & 16)
            peer_raw();
        else
            peer_segment((op & 1) ? TCP_SYN : (op & 2) ? TCP_SYN | TCP_ACK : TCP_FIN | TCP_ACK);
        break;
    case 5:
        w.now_us += (uint64_t)u8() << (op & 15);
        break;
    default:
        app_call(op);
    }
    if (!(op & 16))
        turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    memset(&w, 0, sizeof(w));
    w.at = data;
    w.end = data + size;
    w.now_us = 1000000;
    uint8_t mode = u8();
    w.isn = seq_make((mode & 2) ? 0xfffffff0u : 0x7ffffff0u);
    w.ack = seq_add(w.isn, 1);
    start(mode);
    for (unsigned i = 0; i < STEPS_MAX && w.at < w.end; i++)
        step();
    turn();
    mtcp_destroy_context(w.m);
    while (w.n_in)
        fuzz_free(NULL, &w.in[--w.n_in]->pkt);
    if (w.n_pkts != 0)
        __builtin_trap();
    return 0;
}

/*
 * The monitors of the simulation: one on each host, attached to every connection through the public
 * API. At every event the four edges are checked against each other and against FIONREAD; at
 * NEW_DATA every byte is peeked and compared with what the sender's plan sends, and, for the real
 * side, at the end with what the application read: the promise of the monitor. In every fourth run
 * raw monitors count the frames, which the link counts as well.
 */
#include "tests/sim/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* One connection as one monitor sees it. */
struct watched {
    struct sim *sim;
    unsigned host;
    struct sim_conn *conn;
    uint64_t seen[2]; /* bytes peeked, by side (MOS_SIDE_CLI: what the server sent) */
    uint8_t *bytes;   /* what was peeked on the real side */
    size_t bytes_room;
    int state[2];
    unsigned n_end; /* CONN_END calls so far */
    struct mos_traffic shown[2]; /* packets, their bytes; plain_packets: those not shown */
    bool is_stray;               /* begun by an old copy of a SYN, after the connection */
    struct watched *next;
};

/* The simulation of a context: callbacks get nothing but the context. One run at a time. */
static struct sim *running;
static struct watched *all;

static uint64_t n_frames[2]; /* that raw monitors saw go out, come in */

static unsigned host_of(mctx_t m)
{
    return m == running->host[0].mctx ? 0 : 1;
}

static int get_int(mctx_t m, int sock, int name)
{
    int v = -1;
    socklen_t len = sizeof(v);
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, &v, &len) < 0)
        sim_fail(running, "getsockopt %#x: %s", name, strerror(errno));
    return v;
}

/* In half of the evasive runs; else the first. */
static bool last_copy_wins(const struct sim *s)
{
    return s->evasive && s->seed / 2 % 2;
}

/* ---- what was heard and seen ---- */

static void trace_add(struct sim *s, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        s->trace = (s->trace ^ p[i]) * 0x100000001b3u; /* FNV-1a */
}

/* An event: when, of whom, and the connection's states and edges then. */
static void trace(mctx_t m, int sock, const struct watched *w, int side, event_t event)
{
    struct sim *s = w->sim;
    struct tcp_buf_info b[2] = {{0}};
    for (int i = 0; i < 2; i++) {
        socklen_t len = sizeof(b[i]);
        (void)mtcp_getsockopt(m, sock, SOL_MONSOCKET, i ? MOS_INFO_SVRBUF : MOS_INFO_CLIBUF, &b[i],
                              &len);
    }
    uint64_t what[] = {s->now_us,
                       w->host,
                       w->conn->id,
                       (uint64_t)side,
                       (uint64_t)event,
                       (uint64_t)get_int(m, sock, MOS_TCP_STATE_CLI),
                       (uint64_t)get_int(m, sock, MOS_TCP_STATE_SVR),
                       w->seen[0],
                       w->seen[1]};
    trace_add(s, what, sizeof(what));
    trace_add(s, b, sizeof(b));
    if (s->verbose)
        printf(
            "%.6f host %u conn %u side %d event %#llx states %d %d peeked %llu %llu trace %llx\n",
            (double)s->now_us / 1e6, w->host, w->conn->id, side, (unsigned long long)event,
            (int)what[5], (int)what[6], (unsigned long long)w->seen[0],
            (unsigned long long)w->seen[1], (unsigned long long)s->trace);
}

/* ---- bytes ---- */

static bool watched_record(struct watched *w, const char *buf, size_t n, uint64_t off)
{
    if (off + n > w->bytes_room) {
        size_t room = (size_t)(off + n) * 2;
        uint8_t *p = realloc(w->bytes, room);
        if (!p)
            return false;
        w->bytes = p;
        w->bytes_room = room;
    }
    memcpy(w->bytes + off, buf, n);
    return true;
}

/* The real side of an evasive run is checked against the application at the end, not here. */
static bool bytes_are_planned(const struct watched *w, int side)
{
    return !w->sim->evasive || side != (int)w->host;
}

static void check_bytes(struct watched *w, int side, uint64_t off, const char *buf, size_t n)
{
    unsigned sender = side == MOS_SIDE_CLI ? 1 : 0;
    if (!bytes_are_planned(w, side))
        return;
    if (memcmp(buf, sim_bytes(w->sim, w->conn->id, sender, off), n) != 0)
        sim_fail(w->sim, "monitor %u conn %u side %d: a wrong byte in %llu + %zu", w->host,
                 w->conn->id, side, (unsigned long long)off, n);
}

static void peek_all(mctx_t m, int sock, struct watched *w, int side)
{
    static char buf[SIM_CHUNK];
    ssize_t n;
    while ((n = mtcp_peek(m, sock, side, buf, sizeof(buf))) > 0) {
        check_bytes(w, side, w->seen[side], buf, (size_t)n);
        if (!w->sim->bulk && side == (int)w->host &&
            !watched_record(w, buf, (size_t)n, w->seen[side]))
            sim_fail(w->sim, "no memory to record");
        w->seen[side] += (uint64_t)n;
    }
    if (n < -1)
        sim_fail(w->sim, "monitor %u conn %u side %d: missed %lld bytes after %llu", w->host,
                 w->conn->id, side, (long long)-n, (unsigned long long)w->seen[side]);
    else if (n < 0 && errno != ENODATA)
        sim_fail(w->sim, "mtcp_peek: %s", strerror(errno));
}

/* ---- edges ---- */

static void check_fionread(mctx_t m, int sock, struct watched *w, uint32_t unread)
{
    int app = get_int(m, sock, MOS_ENDPOINT_SOCK);
    int readable = -1;
    if (app < 0)
        return;
    if (mtcp_ioctl(m, app, FIONREAD, &readable) < 0)
        sim_fail(w->sim, "FIONREAD: %s", strerror(errno));
    else if ((uint32_t)readable != unread)
        sim_fail(w->sim, "monitor %u conn %u: next - read is %u, FIONREAD says %d", w->host,
                 w->conn->id, unread, readable);
}

static void check_runs(mctx_t m, int sock, struct watched *w, int side, bool expect_hole)
{
    static char buf[SIM_CHUNK];
    struct tcp_ring_fragment frag[70];
    socklen_t n = 70;
    int name = side == MOS_SIDE_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF;
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, frag, &n) < 0) {
        sim_fail(w->sim, "FRAGINFO: %s", strerror(errno));
        return;
    }
    for (socklen_t i = 0; i < n; i++) {
        if (i > 0 && frag[i].offset <= frag[i - 1].offset + frag[i - 1].len)
            sim_fail(w->sim, "FRAGINFO: runs touch or are out of order");
        for (uint32_t at = 0; at < frag[i].len;) {
            ssize_t got = mtcp_ppeek(m, sock, side, buf, sizeof(buf), frag[i].offset + at);
            if (got <= 0) {
                sim_fail(w->sim, "a listed run can't be peeked: %s", strerror(errno));
                return;
            }
            check_bytes(w, side, frag[i].offset + at, buf, (size_t)got);
            at += (uint32_t)got;
        }
    }
    if (expect_hole && n == 0)
        sim_fail(w->sim, "end > next, but no run is listed");
}

static void check_edges(mctx_t m, int sock, struct watched *w, int side)
{
    struct tcp_buf_info b;
    socklen_t len = sizeof(b);
    int name = side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, &b, &len) < 0) {
        if (errno != ENODATA)
            sim_fail(w->sim, "INFO: %s", strerror(errno));
        return;
    }
    uint32_t unread = b.tcpbi_next_byte_expected - b.tcpbi_last_byte_read;
    uint32_t hole = b.tcpbi_last_byte_received - b.tcpbi_next_byte_expected;
    if (unread > 1u << 30 || hole > 1u << 30)
        sim_fail(w->sim, "monitor %u conn %u side %d: edges out of order %u %u %u %u", w->host,
                 w->conn->id, side, b.tcpbi_init_seq, b.tcpbi_last_byte_read,
                 b.tcpbi_next_byte_expected, b.tcpbi_last_byte_received);
    if (side != (int)w->host && (unread || hole))
        sim_fail(w->sim, "an emulated side has unread bytes or a hole");
    if (side == (int)w->host)
        check_fionread(m, sock, w, unread);
    if (hole || rng_below(&w->sim->rng, 16) == 0)
        check_runs(m, sock, w, side, hole != 0);
}

/* ---- states ---- */

static bool move_is_legal(int from, int to)
{
    static const uint16_t legal[11] = {
        [MOS_TCPS_CLOSED] = 1 << MOS_TCPS_SYN_SENT | 1 << MOS_TCPS_SYN_RCVD | 1 << MOS_TCPS_LISTEN,
        [MOS_TCPS_LISTEN] = 1 << MOS_TCPS_SYN_RCVD,
        [MOS_TCPS_SYN_SENT] = 1 << MOS_TCPS_ESTABLISHED | 1 << MOS_TCPS_SYN_RCVD,
        [MOS_TCPS_SYN_RCVD] = 1 << MOS_TCPS_ESTABLISHED | 1 << MOS_TCPS_FIN_WAIT_1,
        [MOS_TCPS_ESTABLISHED] = 1 << MOS_TCPS_FIN_WAIT_1 | 1 << MOS_TCPS_CLOSE_WAIT,
        [MOS_TCPS_FIN_WAIT_1] =
            1 << MOS_TCPS_FIN_WAIT_2 | 1 << MOS_TCPS_CLOSING | 1 << MOS_TCPS_TIME_WAIT,
        [MOS_TCPS_FIN_WAIT_2] = 1 << MOS_TCPS_TIME_WAIT,
        [MOS_TCPS_CLOSE_WAIT] = 1 << MOS_TCPS_LAST_ACK,
        [MOS_TCPS_CLOSING] = 1 << MOS_TCPS_TIME_WAIT,
    };
    return to == MOS_TCPS_CLOSED || (legal[from] & 1 << to);
}

static void on_state(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)arg;
    struct watched *w = mtcp_get_uctx(m, sock);
    int now = get_int(m, sock, side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR);
    running->seen.events++;
    if (!w)
        return;
    if (now < 0 || now > MOS_TCPS_TIME_WAIT || !move_is_legal(w->state[side], now))
        sim_fail(w->sim, "monitor %u conn %u side %d: illegal move %d -> %d", w->host, w->conn->id,
                 side, w->state[side], now);
    w->state[side] = now;
    trace(m, sock, w, side, event);
}

/* ---- life ---- */

static bool is_watched(unsigned host, const struct sim_conn *c)
{
    const struct watched *w = all;
    while (w && (w->host != host || w->conn != c))
        w = w->next;
    return w != NULL;
}

static void on_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side;
    (void)event;
    (void)arg;
    struct sim *s = running;
    struct sockaddr_in6 a[2];
    socklen_t len = sizeof(a);
    s->seen.events++;
    if (mtcp_get_uctx(m, sock))
        return; /* the receiving side's call of the same SYN */
    if (mtcp_getpeername(m, sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH) < 0) {
        sim_fail(s, "getpeername of a monitor socket: %s", strerror(errno));
        return;
    }
    struct sim_conn *c = sim_conn_of(s, &a[0]);
    struct watched *w = c ? calloc(1, sizeof(*w)) : NULL;
    if (!w) {
        sim_fail(s, "a monitored connection from unknown port %u", ntohs(a[0].sin6_port));
        return;
    }
    *w = (struct watched){.sim = s, .host = host_of(m), .conn = c, .next = all};
    w->is_stray = is_watched(w->host, c);
    w->state[MOS_SIDE_CLI] = MOS_TCPS_CLOSED;
    w->state[MOS_SIDE_SVR] = MOS_TCPS_LISTEN;
    all = w;
    mtcp_set_uctx(m, sock, w);
}

static void on_event(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)arg;
    struct watched *w = mtcp_get_uctx(m, sock);
    running->seen.events++;
    if (!w)
        return;
    if (w->n_end)
        sim_fail(w->sim, "an event after CONN_END");
    check_edges(m, sock, w, MOS_SIDE_CLI);
    check_edges(m, sock, w, MOS_SIDE_SVR);
    if (event == MOS_ON_CONN_NEW_DATA) {
        uint64_t before = w->seen[side];
        peek_all(m, sock, w, side);
        if (w->seen[side] == before)
            sim_fail(w->sim, "NEW_DATA without new data");
        trace(m, sock, w, side, event);
    }
    if (event == MOS_ON_ERROR) {
        int kind = get_int(m, sock, MOS_LASTERROR);
        if (kind == MOS_ERROR_INCONSISTENT)
            w->sim->seen.inconsistent++;
        if (kind == MOS_ERROR_INCONSISTENT && side == (int)w->host && last_copy_wins(w->sim))
            w->sim->seen.rewritten++;
        if (kind == MOS_ERROR_INCONSISTENT && !w->sim->evasive)
            sim_fail(w->sim, "copies of a byte differ without an evader");
        if (kind == MOS_ERROR_OVERRUN)
            sim_fail(w->sim, "an overrun, though every byte was peeked at once");
    }
}

/* ---- packets ---- */

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct watched *w = mtcp_get_uctx(m, sock);
    struct pkt_info p;
    on_event(m, sock, side, event, arg);
    if (!w)
        return;
    struct mos_traffic *t = &w->shown[!side];
    t->packets++;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0) { /* else it is put together of a cookie */
        t->payload_bytes += p.payloadlen;
        t->ip_bytes += p.ip_len;
    }
}

static struct mos_traffic traffic_of(mctx_t m, int sock, int side)
{
    struct mos_traffic t = {0};
    socklen_t len = sizeof(t);
    int name = side == MOS_SIDE_CLI ? MOS_TRAFFIC_CLI : MOS_TRAFFIC_SVR;
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, &t, &len) < 0)
        sim_fail(running, "TRAFFIC: %s", strerror(errno));
    return t;
}

static void on_notable(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct watched *w = mtcp_get_uctx(m, sock);
    (void)event, (void)arg;
    if (!w)
        return;
    struct mos_traffic t = traffic_of(m, sock, !side);
    if (t.packets - t.plain_packets != w->shown[!side].plain_packets++)
        sim_fail(w->sim, "NOTABLE: %llu packets, %llu of them plain, at call %llu",
                 (unsigned long long)t.packets, (unsigned long long)t.plain_packets,
                 (unsigned long long)w->shown[!side].plain_packets);
}

/* Who looks at no packet is told of few (enum hook_spare): streams and states are to be right so.
 */
static bool looks_at_packets(const struct sim *s)
{
    return s->seed % 3 != 1;
}

uint64_t watch_seed_spared(uint64_t n)
{
    return 6 * n + 1;
}

/* Half of those that look at packets, and of those that don't. */
static bool counts_traffic(const struct sim *s)
{
    return s->seed / 3 % 2;
}

static void check_traffic(mctx_t m, int sock, struct watched *w, int side)
{
    struct mos_traffic t = traffic_of(m, sock, side), *shown = &w->shown[side];
    if (t.packets - t.plain_packets != shown->plain_packets)
        sim_fail(w->sim, "conn %u side %d: NOTABLE was called %llu times", w->conn->id, side,
                 (unsigned long long)shown->plain_packets);
    if (looks_at_packets(w->sim) &&
        (t.packets != shown->packets || t.payload_bytes != shown->payload_bytes ||
         t.ip_bytes != shown->ip_bytes))
        sim_fail(w->sim, "conn %u side %d: %llu packets, %llu bytes counted, %llu and %llu seen",
                 w->conn->id, side, (unsigned long long)t.packets, (unsigned long long)t.ip_bytes,
                 (unsigned long long)shown->packets, (unsigned long long)shown->ip_bytes);
    if (t.rtt_n && (t.rtt_min_us > t.rtt_us || t.rtt_us > t.rtt_max_us ||
                    t.rtt_sum_us < t.rtt_n * t.rtt_min_us || t.rtt_sum_us > t.rtt_n * t.rtt_max_us))
        sim_fail(w->sim, "conn %u side %d: round trips %u, %u, %u", w->conn->id, side, t.rtt_min_us,
                 t.rtt_us, t.rtt_max_us);
    struct tcp_buf_info b;
    socklen_t len = sizeof(b);
    int name = side == MOS_SIDE_CLI ? MOS_INFO_SVRBUF : MOS_INFO_CLIBUF;
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, &b, &len) == 0 &&
        (int32_t)(t.next_seq - b.tcpbi_last_byte_received) < 0)
        sim_fail(w->sim, "conn %u side %d: sent up to %u, received up to %u", w->conn->id, side,
                 t.next_seq, b.tcpbi_last_byte_received);
}

/* The last of the four CONN_END calls: what was peeked is what the application read. */
static void check_promise(struct watched *w)
{
    const struct flow_side *f = &w->conn->side[w->host];
    uint64_t both = w->seen[w->host] < f->got ? w->seen[w->host] : f->got;
    if (f->got > w->seen[w->host])
        sim_fail(w->sim, "conn %u host %u: the application read %llu, the monitor saw %llu",
                 w->conn->id, w->host, (unsigned long long)f->got,
                 (unsigned long long)w->seen[w->host]);
    if (both && f->bytes && memcmp(w->bytes, f->bytes, (size_t)both) != 0)
        sim_fail(w->sim, "conn %u host %u: monitor and application saw different bytes",
                 w->conn->id, w->host);
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)arg;
    struct watched *w = mtcp_get_uctx(m, sock);
    running->seen.events++;
    if (!w) {
        sim_fail(running, "CONN_END without CONN_START");
        return;
    }
    int expected = w->n_end < 2 ? MOS_SIDE_CLI : MOS_SIDE_SVR;
    if (side != expected)
        sim_fail(w->sim, "CONN_END number %u on side %d", w->n_end, side);
    int reason = get_int(m, sock, MOS_END_REASON);
    if (reason <= 0)
        sim_fail(w->sim, "CONN_END without a reason");
    if (w->sim->verbose && w->n_end == 0)
        printf("%.6f host %u conn %u ends: reason %d, states %d %d, peeked %llu and %llu\n",
               (double)w->sim->now_us / 1e6, w->host, w->conn->id, reason, w->state[0], w->state[1],
               (unsigned long long)w->seen[0], (unsigned long long)w->seen[1]);
    check_edges(m, sock, w, side);
    trace(m, sock, w, side, event);
    if (counts_traffic(w->sim))
        check_traffic(m, sock, w, side);
    if (++w->n_end == 4 && !w->is_stray)
        check_promise(w);
}

static void watch_register(struct sim *s, mctx_t m, int sock)
{
    static const event_t of_packets = MOS_ON_PKT_IN | MOS_ON_REXMIT | MOS_ON_ERROR;
    static const struct {
        event_t event;
        int hook;
        callback_t cb;
    } on[] = {
        {MOS_ON_CONN_START, MOS_HK_SND, on_start},
        {MOS_ON_CONN_START, MOS_HK_RCV, on_start},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state},
        {MOS_ON_PKT_IN, MOS_HK_RCV, on_packet},
        {MOS_ON_PKT_NOTABLE, MOS_HK_RCV, on_notable},
        {MOS_ON_REXMIT, MOS_HK_RCV, on_event},
        {MOS_ON_ERROR, MOS_NULL, on_event},
        {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_event},
        {MOS_ON_CONN_END, MOS_HK_SND, on_end},
        {MOS_ON_CONN_END, MOS_HK_RCV, on_end},
    };
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
        if ((on[i].event & of_packets) && !looks_at_packets(s))
            continue;
        if (on[i].event == MOS_ON_PKT_NOTABLE && !counts_traffic(s))
            continue;
        if (mtcp_register_callback(m, sock, on[i].event, on[i].hook, on[i].cb) < 0)
            sim_fail(s, "register_callback %#llx: %s", (unsigned long long)on[i].event,
                     strerror(errno));
    }
}

/* ---- frames ---- */

static bool counts_frames(const struct sim *s)
{
    return s->seed % 4 == 0;
}

static void on_frame(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) < 0)
        sim_fail(running, "getlastpkt of a frame: %s", strerror(errno));
    else
        n_frames[p.in_ifidx >= 0]++;
}

static void count_frames(struct sim *s, unsigned host)
{
    mctx_t m = s->host[host].mctx;
    int sock = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    if (sock < 0 || mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_NULL, on_frame) < 0)
        sim_fail(s, "raw monitor: %s", strerror(errno));
    if (host == 0)
        n_frames[0] = n_frames[1] = 0;
}

static void check_frames(struct sim *s)
{
    const struct link_stats *l = link_stats(s->link);
    if (n_frames[0] != l->sent || n_frames[1] != l->delivered)
        sim_fail(s, "raw monitors saw %llu frames go and %llu come, the link %llu and %llu",
                 (unsigned long long)n_frames[0], (unsigned long long)n_frames[1],
                 (unsigned long long)l->sent, (unsigned long long)l->delivered);
}

/* ---- life ---- */

static void watch_conns(struct sim *s, unsigned host)
{
    mctx_t m = s->host[host].mctx;
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0) {
        sim_fail(s, "monitor socket: %s", strerror(errno));
        return;
    }
    watch_register(s, m, sock);
    int policy = last_copy_wins(s) ? MOS_OVERLAP_POLICY_LAST : MOS_OVERLAP_POLICY_FIRST;
    int name = host == MOS_SIDE_SVR ? MOS_SVROVERLAP : MOS_CLIOVERLAP;
    if (mtcp_setsockopt(m, sock, SOL_MONSOCKET, name, &policy, sizeof(policy)) < 0)
        sim_fail(s, "overlap policy: %s", strerror(errno));
}

static void on_nothing(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
}

/* One that asks for packets, and so for all of every connection to be told. */
static void ask_for_packets(struct sim *s, unsigned host)
{
    mctx_t m = s->host[host].mctx;
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0 || mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_nothing) < 0)
        sim_fail(s, "a second monitor: %s", strerror(errno));
}

void watch_attach(struct sim *s, unsigned host)
{
    running = s;
    if (s->unwatched != (int)host)
        watch_conns(s, host);
    if (s->unwatched != (int)host && s->is_told)
        ask_for_packets(s, host);
    if (counts_frames(s))
        count_frames(s, host);
}

void watch_check_end(struct sim *s)
{
    if (counts_frames(s))
        check_frames(s);
    while (all) {
        struct watched *w = all;
        all = w->next;
        if (w->n_end != 4)
            sim_fail(s, "monitor %u conn %u: %u of 4 CONN_END calls", w->host, w->conn->id,
                     w->n_end);
        free(w->bytes);
        free(w);
    }
}

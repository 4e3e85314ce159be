/*
 * The tally of a connection: which packets are plain, what is counted, and that who hears only of
 * the others knows as much: connlog's record of random segments, shown all or only these.
 */
#include "tests/mos_world.h"

#include "apps/connlog/record.h"
#include "mos/tally.h"
#include "mtcp/base/rng.h"

#define CLI MOS_SIDE_CLI
#define SVR MOS_SIDE_SVR

static int sock;

static struct mos_traffic sent_by(int side)
{
    struct mos_traffic t;
    socklen_t len = sizeof(t);
    memset(&t, 0xee, sizeof(t));
    EXPECT_EQ(w_get(sock, side == CLI ? MOS_TRAFFIC_CLI : MOS_TRAFFIC_SVR, &t, &len), 0);
    EXPECT_EQ(len, sizeof(t));
    return t;
}

static void begin(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_NOTABLE);
    w_accept();
    sock = w_active();
    EXPECT_EVENTS("RS NOTABLE; RC NOTABLE; RS NOTABLE;");
}

/* The client asks, the server answers with an ACK in it: told once, counted each time. */
static void requests_are_plain_but_the_first(void)
{
    begin();
    for (int i = 0; i < 10; i++) {
        IN(.flags = TCP_ACK | TCP_PSH, .off = i * 3, .data = "abc", .ack = i * 2);
        w_write("de");
        OUT(.flags = TCP_ACK, .off = i * 2, .data = "de", .ack = i * 3 + 3);
        if (i == 0)
            EXPECT_EVENTS("RS NOTABLE; RC NOTABLE;");
    }
    EXPECT_EVENTS("");
    struct mos_traffic c = sent_by(CLI), s = sent_by(SVR);
    EXPECT_EQ(c.packets, 12);
    EXPECT_EQ(c.payload_bytes, 30);
    EXPECT_EQ(c.plain_packets, 9);
    EXPECT_EQ(c.plain_bytes, 27);
    EXPECT_EQ(c.next_seq, 0xffffff01u + 30);
    EXPECT_EQ(c.ack_seq, 0xfffffff1u + 18);
    EXPECT_EQ(c.window, 1000);
    EXPECT_EQ(s.packets, 11);
    EXPECT_EQ(s.payload_bytes, 20);
    EXPECT_EQ(s.plain_bytes, 18);
    /* Each segment takes 10 us: from a request to its answer, and from that to the next request. */
    EXPECT_EQ(s.rtt_n, 10);
    EXPECT_EQ(s.rtt_sum_us, 100);
    EXPECT_EQ(s.rtt_min_us, 10);
    EXPECT_EQ(s.rtt_max_us, 10);
    EXPECT_EQ(s.rtt_us, 10);
    EXPECT_EQ(c.rtt_n, 9);
    w_end();
}

static void what_is_notable(void)
{
    begin();
    IN(.flags = TCP_ACK, .off = 0, .data = "abc");
    EXPECT_EVENTS("RS NOTABLE;"); /* the first bytes */
    OUT(.flags = TCP_ACK, .ack = 3);
    EXPECT_EVENTS("RC NOTABLE;"); /* the first bare ACK */
    IN(.flags = TCP_ACK, .off = 3, .data = "def");
    OUT(.flags = TCP_ACK, .ack = 6);
    EXPECT_EVENTS("");
    OUT(.flags = TCP_ACK, .ack = 6);
    EXPECT_EVENTS("RC NOTABLE;"); /* acknowledges nothing */
    IN(.flags = TCP_ACK, .off = 3, .data = "def", .refused = true);
    EXPECT_EVENTS("RS NOTABLE;"); /* again */
    IN(.flags = TCP_ACK, .off = 8, .data = "x");
    IN(.flags = TCP_ACK, .off = 9, .data = "y");
    EXPECT_EVENTS("RS NOTABLE; RS NOTABLE;"); /* beyond a hole */
    IN(.flags = TCP_ACK, .off = 6, .data = "gh");
    EXPECT_EVENTS("RS NOTABLE;");
    OUT(.flags = TCP_ACK, .ack = 10); /* the hole is gone */
    EXPECT_EVENTS("RC NOTABLE;");
    IN(.flags = TCP_ACK, .off = 10, .data = "i");
    EXPECT_EVENTS("");
    IN(.flags = TCP_ACK, .off = 99, .refused = true); /* nobody knows what to make of that */
    IN(.flags = TCP_ACK, .off = 11, .data = "j");
    EXPECT_EVENTS("RS NOTABLE; RS NOTABLE;");
    w_end();
}

/* Who did not ask before it began is told that nothing was counted. */
static void only_for_who_asks(void)
{
    struct mos_traffic t;
    socklen_t len = sizeof(t);
    w_begin(false);
    w_monitor(MOS_ON_CONN_END);
    w_accept();
    sock = w_active();
    EXPECT_EQ(w_get(sock, MOS_TRAFFIC_CLI, &t, &len), -1);
    EXPECT_EQ(errno, ENODATA);
    w_end();
}

/* ---- what goes wrong, and what callbacks do -------------------------------------------------- */

static int get_errno(int s, void *val, socklen_t *len)
{
    errno = 0;
    return w_get(s, MOS_TRAFFIC_SVR, val, len) == 0 ? 0 : errno;
}

static void bad_arguments(void)
{
    struct mos_traffic t;
    socklen_t len = sizeof(t) - 1, full = sizeof(t);
    w_begin(false);
    int passive = w_monitor(MOS_ON_PKT_NOTABLE);
    w_accept();
    sock = w_active();
    EXPECT_EQ(get_errno(sock, &t, &len), EINVAL);
    EXPECT_EQ(get_errno(sock, NULL, &full), EFAULT);
    EXPECT_EQ(get_errno(sock, &t, NULL), EFAULT);
    EXPECT_EQ(get_errno(passive, &t, &full), ENOTSOCK);
    EXPECT_EQ(w_set(sock, MOS_TRAFFIC_CLI, 1), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_NOTABLE, MOS_HK_SND, w_cb_snd), -EINVAL);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_NOTABLE, MOS_NULL, w_cb_null), -EINVAL);
    w_end();
}

/* Whatever memory there is: who is told of packets can count on it. */
static void without_memory_every_packet_is_notable(void)
{
    unsigned n_counted = 0, n_not = 0;
    for (size_t room = 0; room < 65536; room += 64) {
        struct mos_traffic t;
        socklen_t len = sizeof(t);
        w_begin(false);
        w_monitor(MOS_ON_PKT_NOTABLE | MOS_ON_CONN_END);
        mem_set_limit(w.mem, mem_in_use(w.mem) + room);
        w_accept();
        mem_set_limit(w.mem, 0);
        sock = w_active();
        if (sock >= 0) {
            bool counted = get_errno(sock, &t, &len) == 0;
            IN(.flags = TCP_ACK, .off = 0, .data = "abc");
            w.text_len = 0;
            IN(.flags = TCP_ACK, .off = 3, .data = "abc");
            EXPECT_EVENTS(counted ? "" : "RS NOTABLE;");
            n_counted += counted;
            n_not += !counted;
        }
        w_end();
    }
    CU_ASSERT(n_counted > 0 && n_not > 0);
}

static int n_calls;

static void unregisters(int s, int side, event_t ev)
{
    (void)side, (void)ev;
    if (ev == MOS_ON_PKT_NOTABLE) {
        n_calls++;
        EXPECT_EQ(w_unregister(s, MOS_ON_PKT_NOTABLE, MOS_HK_RCV), 0);
        EXPECT_EQ(w_unregister(s, MOS_ON_PKT_NOTABLE, MOS_HK_RCV), -ENOENT);
    }
}

/* ... and counted all the same. */
static void a_callback_that_unregisters_itself(void)
{
    n_calls = 0;
    w_begin(false);
    w_monitor(MOS_ON_PKT_NOTABLE);
    w.in_callback = unregisters;
    w_accept();
    sock = w_active();
    EXPECT_EQ(n_calls, 1);
    EXPECT_EQ(sent_by(CLI).packets, 2);
    w_turn();
    EXPECT_EQ(w.f.spared & HOOK_SPARE_SEGS, 0);
    IN(.flags = TCP_ACK, .off = 0, .data = "abc");
    EXPECT_EQ(sent_by(CLI).packets, 3);
    w_end();
}

static void stops(int s, int side, event_t ev)
{
    (void)side;
    if (ev == MOS_ON_PKT_NOTABLE) {
        n_calls++;
        EXPECT_EQ(w_set(s, MOS_STOP_MON, MOS_SIDE_BOTH), 0);
    }
}

static void a_callback_that_stops_monitoring(void)
{
    n_calls = 0;
    w_begin(false);
    w_monitor(MOS_ON_PKT_NOTABLE);
    w.in_callback = stops;
    w_accept();
    IN(.flags = TCP_ACK, .off = 0, .data = "abc");
    w_turn();
    EXPECT_EQ(n_calls, 1);
    EXPECT_EQ(w.f.n_detached, 1);
    w_end();
}

static void asks_at_the_end(int s, int side, event_t ev)
{
    (void)side;
    if (ev == MOS_ON_CONN_END) {
        sock = s;
        n_calls++;
        EXPECT_EQ(sent_by(CLI).packets, 3);
        EXPECT_EQ(sent_by(SVR).packets, 2);
        EXPECT_EQ(sent_by(SVR).ack_seq, 0xffffff01u + 4);
    }
}

static void the_end_sees_all(void)
{
    n_calls = 0;
    w_begin(false);
    w_monitor(MOS_ON_PKT_NOTABLE | MOS_ON_CONN_END);
    w.in_callback = asks_at_the_end;
    w_accept();
    IN(.flags = TCP_ACK | TCP_FIN, .off = 0, .data = "abc", .to = {MOS_TCPS_CLOSE_WAIT});
    OUT(.flags = TCP_ACK, .ack = 4);
    w_die(HOOK_END_ABORT);
    EXPECT_EQ(n_calls, 4);
    w_end();
}

/* Registered for one connection after it began. */
static void who_asks_late_hears_of_every_packet(void)
{
    w_begin(false);
    w_monitor(MOS_ON_CONN_END);
    w_accept();
    sock = w_active();
    w_turn();
    EXPECT_EQ(w.f.spared & HOOK_SPARE_SEGS, HOOK_SPARE_SEGS);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_NOTABLE, MOS_HK_RCV, w_cb_rcv), 0);
    EXPECT_EQ(w.f.spared, 0);
    w_turn();
    EXPECT_EQ(w.f.spared & HOOK_SPARE_SEGS, 0);
    IN(.flags = TCP_ACK, .off = 0, .data = "abc");
    IN(.flags = TCP_ACK, .off = 3, .data = "abc");
    EXPECT_EVENTS("RS NOTABLE; RS NOTABLE;");
    EXPECT_EQ(w_unregister(sock, MOS_ON_PKT_NOTABLE, MOS_HK_RCV), 0);
    w_turn();
    EXPECT_EQ(w.f.spared & HOOK_SPARE_SEGS, HOOK_SPARE_SEGS);
    w_end();
}

/* Two monitors, of which one dropped the packet: it never came. */
static void drops_data(int s, int side, event_t ev)
{
    (void)s, (void)side;
    if (ev == MOS_ON_PKT_IN && w.m->now && w.m->now->verdict && w.m->now->seg->seg->len > 0)
        EXPECT_EQ(w_setpkt(w.m->now->conn, MOS_DROP), 0);
}

static void what_was_dropped_is_not_counted(void)
{
    w_begin(false);
    w_monitor(MOS_ON_PKT_NOTABLE);
    int dropper = w_monitor(0);
    EXPECT_EQ(w_register(dropper, MOS_ON_PKT_IN, MOS_HK_SND, w_cb_snd), 0);
    w_accept();
    sock = w_active();
    w.in_callback = drops_data;
    EXPECT_EQ(IN(.flags = TCP_ACK, .off = 0, .data = "abc"), HOOK_DROP);
    w.in_callback = NULL;
    w.text_len = 0;
    EXPECT_EQ(sent_by(CLI).packets, 2);
    EXPECT_EQ(sent_by(CLI).next_seq, 0xffffff01u);
    IN(.flags = TCP_ACK, .off = 0, .data = "abc");
    EXPECT_EQ(sent_by(CLI).packets, 3);
    w_end();
}

/* ---- as good as every packet ----------------------------------------------------------------- */

static struct pick {
    struct rng rng;
    struct tally tally;
    struct record all, some;
    uint32_t next[2], at_us;
    uint64_t n_plain, n;
} p;

static void catch_up(const struct mos_traffic sent[2])
{
    struct record_plain plain[2];
    uint64_t last_us = sent[0].last_us > sent[1].last_us ? sent[0].last_us : sent[1].last_us;
    for (int side = 0; side < 2; side++)
        plain[side] = (struct record_plain){sent[side].plain_packets, sent[side].plain_bytes,
                                            sent[side].next_seq, sent[side].ack_seq};
    record_plain(&p.some, plain, (uint32_t)last_us);
}

static void tally_read_both(struct mos_traffic sent[2])
{
    tally_read(&p.tally, CLI, &sent[CLI]);
    tally_read(&p.tally, SVR, &sent[SVR]);
}

static void show(int from, const struct segment *s, bool accepted)
{
    struct seg seg = {.seq = seq_make(s->seq),
                      .ack = seq_make(s->ack),
                      .wnd = s->wnd,
                      .flags = s->flags,
                      .len = s->len};
    struct hook_seg hs = {.dir = HOOK_IN, .seg = &seg, .accepted = accepted, .now_us = s->at_us};
    record_segment(&p.all, (enum record_who)from, s);
    p.n++;
    if (tally_plain(&p.tally, from, &hs)) {
        p.n_plain++;
        return;
    }
    struct mos_traffic sent[2];
    tally_read_both(sent);
    catch_up(sent);
    record_segment(&p.some, (enum record_who)from, s);
    tally_notable(&p.tally, from, &hs, p.n >= 3);
}

static uint32_t below(uint32_t n)
{
    return rng_below(&p.rng, n);
}

/* In sequence; one in `odds` is somewhat else. */
static void step(uint32_t odds)
{
    int from = (int)below(2);
    struct segment s = {.at_us = ++p.at_us,
                        .flags = SEG_ACK,
                        .seq = p.next[from],
                        .ack = p.next[!from],
                        .len = below(3) * below(1000),
                        .wnd = 1000};
    bool accepted = true;
    if (below(odds) == 0) {
        static const uint8_t flags[] = {SEG_ACK, SEG_SYN,           SEG_SYN | SEG_ACK,
                                        SEG_RST, SEG_FIN | SEG_ACK, 0};
        s.flags = below(4) ? SEG_ACK : flags[below(sizeof(flags))];
        s.seq += below(3) == 0 ? below(2000) - 1000 : 0;
        s.ack += below(3) == 0 ? below(2000) - 1000 : 0;
        s.wnd = below(4) ? 1000 : 0;
        accepted = below(3) > 0;
    }
    show(from, &s, accepted);
    if (s.flags == SEG_ACK && (int32_t)(s.seq + s.len - p.next[from]) > 0)
        p.next[from] = s.seq + s.len;
}

static void compare(const struct mos_traffic sent[2])
{
    EXPECT_EQ(strcmp(p.all.history, p.some.history), 0);
    EXPECT_EQ(strcmp(record_state(&p.all), record_state(&p.some)), 0);
    EXPECT_EQ(p.all.missed, p.some.missed);
    EXPECT_EQ(p.all.last_us, p.some.last_us);
    for (int side = 0; side < 2; side++) {
        EXPECT_EQ(record_bytes(&p.all, (enum record_who)side),
                  record_bytes(&p.some, (enum record_who)side));
        EXPECT_EQ(p.all.host[side].n_pkts, sent[side].packets);
    }
    record_free(&p.all);
    record_free(&p.some);
}

static void one(uint32_t odds)
{
    p.next[CLI] = rng_u32(&p.rng);
    p.next[SVR] = rng_u32(&p.rng);
    memset(&p.tally, 0, sizeof(p.tally));
    p.n = 0;
    record_init(&p.all, p.at_us);
    record_init(&p.some, p.at_us);
    show(CLI, &(struct segment){.at_us = p.at_us, .flags = SEG_SYN, .seq = p.next[CLI]++, .wnd = 9},
         true);
    show(SVR,
         &(struct segment){.at_us = p.at_us,
                           .flags = SEG_SYN | SEG_ACK,
                           .seq = p.next[SVR]++,
                           .ack = p.next[CLI],
                           .wnd = 9},
         true);
    for (uint32_t n = below(60); n > 0; n--)
        step(odds);
    struct mos_traffic sent[2];
    tally_read_both(sent);
    catch_up(sent);
    compare(sent);
}

static void who_hears_of_the_notable_knows_all(void)
{
    memset(&p, 0, sizeof(p));
    rng_init(&p.rng, test_seed());
    for (int i = 0; i < 20000; i++)
        one(i % 2 ? 40 : 8);
    CU_ASSERT(p.n_plain > 50000);
}

/* ---- between two other hosts ----------------------------------------------------------------- */

static struct segment shown_now(void)
{
    const struct seg *seg = w.m->pkt->seg;
    return (struct segment){.at_us = (uint32_t)w.m->pkt->now_us,
                            .seq = seg->seq.v,
                            .ack = seg->ack.v,
                            .len = seg->len,
                            .wnd = seg->wnd,
                            .flags = seg->flags};
}

static void sent_by_both(int s, struct mos_traffic sent[2])
{
    sock = s;
    sent[CLI] = sent_by(CLI);
    sent[SVR] = sent_by(SVR);
}

static void wire_packet_shown(int from, const struct segment *s)
{
    if (p.n++ == 0) {
        record_init(&p.all, s->at_us);
        record_init(&p.some, s->at_us);
    }
    record_segment(&p.all, (enum record_who)from, s);
    p.n_plain++;
}

static void on_wire(int s, int side, event_t ev)
{
    struct mos_traffic sent[2];
    if (ev == MOS_ON_PKT_IN) {
        struct segment seg = shown_now();
        wire_packet_shown(!side, &seg);
        return;
    }
    if (p.n == 0)
        return; /* the last of the four calls of CONN_END */
    sent_by_both(s, sent);
    catch_up(sent);
    if (ev == MOS_ON_PKT_NOTABLE) {
        struct segment seg = shown_now();
        record_segment(&p.some, (enum record_who) !side, &seg);
        p.n_plain--;
    } else {
        compare(sent);
        p.n = 0;
    }
}

struct wire_hosts {
    uint32_t next[2], acked[2];
};

static void sends(int from, struct seg *seg)
{
    static uint8_t zeros[2000];
    struct packet pkt = {.kind = PACKET_TCP, .eth_type = 0x0800};
    struct ip_addr cli = ip_addr_v4(be32_make(0x0a000002)), svr = ip_addr_v4(be32_make(0x0a000001));
    seg->tuple = from == CLI ? (struct flow_tuple){svr, cli, 80, 4000}
                             : (struct flow_tuple){cli, svr, 4000, 80};
    seg->payload = zeros;
    pkt.seg = *seg;
    pkt.src = seg->tuple.remote;
    pkt.dst = seg->tuple.local;
    struct hook_seg s = {
        .dir = HOOK_IN, .seg = &pkt.seg, .netif = (uint8_t)(from == CLI), .now_us = w.now};
    w.now += 10;
    (void)w.hooks->wire(w.m, &s, &pkt);
    w.text_len = 0;
}

/* In sequence and acknowledging what came; one in `odds` is somewhat else, one in `loss` unseen. */
static void wire_step(struct wire_hosts *h, uint32_t odds, uint32_t loss)
{
    static const uint8_t flags[] = {
        TCP_ACK, TCP_SYN,           TCP_SYN | TCP_ACK, TCP_RST,
        0,       TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_ACK | TCP_URG};
    int from = (int)below(2);
    struct seg s = {.flags = TCP_ACK,
                    .seq = seq_make(h->next[from]),
                    .ack = seq_make(below(3) ? h->next[!from] : h->acked[!from]),
                    .wnd = 60000,
                    .len = below(2) * below(1500)};
    h->acked[!from] = s.ack.v;
    if (below(odds) == 0) {
        s.flags = flags[below(3) ? 0 : below(sizeof(flags))];
        s.seq.v += below(2) ? below(6000) - 3000 : 0;
        s.ack.v += below(2) ? below(6000) - 3000 : 0;
        s.wnd = below(3) ? 60000 : 0;
    }
    if (!(s.flags & (TCP_SYN | TCP_RST)) && (int32_t)(s.seq.v + s.len - h->next[from]) > 0 &&
        s.seq.v - h->next[from] < 4000)
        h->next[from] = s.seq.v + s.len;
    if (below(loss))
        sends(from, &s);
    if (below(8) == 0)
        w_turn();
}

static void wire_handshake(struct wire_hosts *h)
{
    struct seg syn = {.flags = TCP_SYN, .seq = seq_make(h->next[CLI]++), .wnd = 60000};
    sends(CLI, &syn);
    struct seg synack = {.flags = TCP_SYN | TCP_ACK,
                         .seq = seq_make(h->next[SVR]++),
                         .ack = seq_make(h->next[CLI]),
                         .wnd = 60000};
    if (below(20))
        sends(SVR, &synack);
    struct seg ack = {.flags = TCP_ACK,
                      .seq = seq_make(h->next[CLI]),
                      .ack = seq_make(h->next[SVR]),
                      .wnd = 60000};
    sends(CLI, &ack);
}

static void one_of_the_wire(bool forwards, uint32_t odds, uint32_t loss)
{
    struct wire_hosts h = {.next = {rng_u32(&p.rng), rng_u32(&p.rng)}};
    p.n = 0;
    w_begin(false);
    w.in_callback = on_wire;
    w.wire = (struct hook_wire_conf){.forwards = forwards,
                                     .max_conns = 100,
                                     .max_buffer_bytes = 1 << 16,
                                     .tw_us = 60000000,
                                     .key = {1, 2}};
    int passive = w_monitor(MOS_ON_PKT_NOTABLE);
    EXPECT_EQ(w_register(passive, MOS_ON_PKT_IN, MOS_HK_RCV, w_cb_rcv), 0);
    EXPECT_EQ(w_register(passive, MOS_ON_CONN_END, MOS_HK_SND, w_cb_snd), 0);
    wire_handshake(&h);
    memcpy(h.acked, h.next, sizeof(h.acked));
    for (uint32_t n = below(100); n > 0; n--)
        wire_step(&h, odds, loss);
    w_turn();
    w_end();
}

static void so_it_is_on_a_wire(void)
{
    memset(&p, 0, sizeof(p));
    rng_init(&p.rng, test_seed());
    for (int i = 0; i < 6000; i++)
        one_of_the_wire(i % 2, i % 3 ? 20 : 200, i % 5 ? 1000 : 10);
    CU_ASSERT(p.n_plain > 50000);
}

TEST_SUITE(mos_tally, TEST_CASE(requests_are_plain_but_the_first), TEST_CASE(what_is_notable),
           TEST_CASE(only_for_who_asks), TEST_CASE(bad_arguments),
           TEST_CASE(without_memory_every_packet_is_notable),
           TEST_CASE(a_callback_that_unregisters_itself),
           TEST_CASE(a_callback_that_stops_monitoring), TEST_CASE(the_end_sees_all),
           TEST_CASE(who_asks_late_hears_of_every_packet),
           TEST_CASE(what_was_dropped_is_not_counted),
           TEST_CASE(who_hears_of_the_notable_knows_all), TEST_CASE(so_it_is_on_a_wire));

/* Changing the packet of a callback (mos/lastpkt.c): what an endpoint's connection allows. */
#include "mos/as_sent.h"
#include "mtcp/wire/csum.h"
#include "mtcp/wire/hdr.h"
#include "tests/mos_world.h"

#define OVER    MOS_OVERWRITE
#define PAYLOAD MOS_TCP_PAYLOAD
#define SUMS    (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)

static uint8_t frame[4096];
static struct packet parsed; /* hs.seg points into it, as the endpoint has it */
static struct hook_seg hs;

/* A frame of the connection as a hook gets it: with timestamps, a SACK block when it is an ACK. */
static void frame_make(enum hook_dir dir, const struct wseg *x)
{
    struct build_l2 l2 = {.src = {{2, 0, 0, 0, 0, 2}}, .dst = {{2, 0, 0, 0, 0, 1}}};
    struct seg seg;
    w_build(&seg, &hs, dir, x);
    seg.opt.has_ts = true;
    seg.opt.ts_val = 7;
    if (!(x->flags & TCP_SYN)) {
        seg.opt.n_sack = 1;
        seg.opt.sack[0] = (struct sack_block){seq_make(100), seq_make(200)};
    }
    struct seg sent = seg_as_sent(&hs);
    struct build_lens lens = build_tcp(frame, &l2, &sent, 0);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    memcpy(frame + hdrs, seg.payload ? seg.payload : frame, seg.len);
    build_tcp_csum(frame, lens, seg.len, (struct build_offload){0});
    CU_ASSERT_EQUAL_FATAL(packet_parse(&parsed, frame, hdrs + seg.len, PACKET_CSUM_UNKNOWN), 0);
    parsed.seg.tuple = seg.tuple;
    hs.seg = &parsed.seg;
    hs.frame = frame;
    hs.frame_len = hs.frame_room = hdrs + seg.len;
    if (dir == HOOK_IN)
        hs.frame_room = sizeof(frame);
    hs.l3_off = lens.l2;
    hs.l4_off = (uint16_t)(lens.l2 + lens.l3);
}

/* What callbacks do: the n-th does the n-th of these, the last again and again. */
static struct {
    struct edit e;
    int rc;
} todo[4];
static unsigned n_todo, n_done;

static void do_it(int sock, int side, event_t ev)
{
    const struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    (void)side, (void)ev;
    unsigned i = n_done < n_todo ? n_done : n_todo - 1;
    todo[i].rc = lastpkt_set(w.m, x->conn, NULL, &todo[i].e);
    n_done++;
}

static void plan(unsigned i, int option, int64_t offset, const void *data, uint32_t len)
{
    todo[i].e = (struct edit){.option = option, .offset = offset, .data = data, .len = len};
    todo[i].rc = 1;
    n_todo = i + 1;
    n_done = 0;
}

/* The frame passes the hooks, with what was planned. */
static enum hook_verdict pass(void)
{
    w.in_callback = do_it;
    enum hook_verdict v = w.hooks->pkt(w.m, w.f.handle, &hs);
    w.in_callback = NULL;
    w.hooks->pkt_done(w.m, w.f.handle, &hs);
    w.text_len = 0;
    return v;
}

static void to_v6(void)
{
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse("fe80::1", &w.f.view.tuple.local), 0);
    CU_ASSERT_EQUAL_FATAL(ip_addr_parse("fe80::2", &w.f.view.tuple.remote), 0);
    ip_addr_set_zone(&w.f.view.tuple.local, 3);
    ip_addr_set_zone(&w.f.view.tuple.remote, 3);
}

static void begin(bool is_v6)
{
    w_begin(false);
    if (is_v6)
        to_v6();
    int sock = w_monitor(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, NULL), 0);
    w_accept();
    w.text_len = 0;
}

/* ---- what is allowed ------------------------------------------------------------------------ */

struct row {
    const char *what;
    int option;
    int64_t offset;
    const char *data;
    uint32_t len;
    int rc;
};

/* After one change: the verdict says it, what failed has changed nothing, what succeeded is whole.
 */
static void check_row(const struct row *r, enum hook_dir dir)
{
    static uint8_t before[sizeof(frame)];
    frame_make(dir, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    const struct hook_seg was = hs;
    struct packet now;
    memcpy(before, frame, sizeof(frame));
    plan(0, r->option | SUMS, r->offset, r->data, r->len);
    enum hook_verdict v = pass();
    if (todo[0].rc != r->rc)
        fprintf(stderr, "\n%s, %s: %d\n", dir == HOOK_IN ? "in" : "out", r->what, todo[0].rc);
    EXPECT_EQ(todo[0].rc, r->rc);
    EXPECT_EQ(v, r->rc == 0 ? HOOK_CHANGED : HOOK_PASS);
    if (r->rc != 0) {
        EXPECT_EQ(memcmp(before, frame, sizeof(frame)), 0);
        EXPECT_EQ(memcmp(&was, &hs, sizeof(hs)), 0);
        return;
    }
    EXPECT_EQ(packet_parse(&now, frame, hs.frame_len, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(now.frame_len, hs.frame_len);
    EXPECT_EQ(now.l4_off, hs.l4_off);
    CU_ASSERT(flow_tuple_eq(&hs.seg->tuple, &w.f.view.tuple));
    EXPECT_EQ(hs.seg->len, 7);
    CU_ASSERT_PTR_EQUAL(hs.seg->payload, frame + hs.frame_len - 7);
    EXPECT_EQ(now.seg.wnd, hs.seg->wnd);
    EXPECT_EQ(now.seg.ttl, hs.seg->ttl);
}

static void check_rows(const struct row *rows, size_t n, enum hook_dir dir)
{
    for (size_t i = 0; i < n; i++)
        check_row(&rows[i], dir);
}
#define CHECK_ROWS(rows, dir) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), dir)

/* The TCP header: 20 bytes, timestamps at 22, a SACK block at 36. Either direction. */
static const struct row tcp_rows[] = {
    {"window", OVER | MOS_TCP_HDR, 14, "\1\2", 2, 0},
    {"urgent pointer", OVER | MOS_TCP_HDR, 18, "\1\2", 2, 0},
    {"PSH, URG, ECE, CWR", OVER | MOS_TCP_HDR, 13, "\xf8", 1, 0},
    {"an option to NOPs", OVER | MOS_TCP_HDR, 20, "\1\1", 2, 0},
    {"FIN", OVER | MOS_TCP_HDR, 13, "\x11", 1, -EPERM},
    {"SYN", OVER | MOS_TCP_HDR, 13, "\x12", 1, -EPERM},
    {"RST", OVER | MOS_TCP_HDR, 13, "\x14", 1, -EPERM},
    {"no ACK", OVER | MOS_TCP_HDR, 13, "\0", 1, -EPERM},
    {"source port", OVER | MOS_TCP_HDR, 1, "\xff", 1, -EPERM},
    {"destination port", OVER | MOS_TCP_HDR, 3, "\xff", 1, -EPERM},
    {"sequence number", OVER | MOS_TCP_HDR, 4, "\xee", 1, -EPERM},
    {"acknowledgement number", OVER | MOS_TCP_HDR, 8, "\xee", 1, -EPERM},
    {"data offset", OVER | MOS_TCP_HDR, 12, "\x50", 1, -EPERM},
    {"TSval", OVER | MOS_TCP_HDR, 24, "\1", 1, -EPERM},
    {"TSecr", OVER | MOS_TCP_HDR, 28, "\1", 1, -EPERM},
    {"no timestamps", OVER | MOS_TCP_HDR, 22, "\1\1\1\1\1\1\1\1\1\1", 10, -EPERM},
    {"a SACK block", OVER | MOS_TCP_HDR, 36, "\1", 1, -EPERM},
    {"no SACK blocks", OVER | MOS_TCP_HDR, 34, "\1\1\1\1\1\1\1\1\1\1", 10, -EPERM},
    {"beyond the header", OVER | MOS_TCP_HDR, 43, "ab", 2, -EINVAL},
    {"before it", OVER | MOS_TCP_HDR, -1, "ab", 2, -EINVAL},
};

static const struct row ip4_rows[] = {
    {"TOS", OVER | MOS_IP_HDR, 1, "\x20", 1, 0},
    {"TTL", OVER | MOS_IP_HDR, 8, "\x09", 1, 0},
    {"identification", OVER | MOS_IP_HDR, 4, "\1\1", 2, 0},
    {"no DF", OVER | MOS_IP_HDR, 6, "\0", 1, 0},
    {"version", OVER | MOS_IP_HDR, 0, "\x65", 1, -EPERM},
    {"header length", OVER | MOS_IP_HDR, 0, "\x46", 1, -EPERM},
    {"total length", OVER | MOS_IP_HDR, 3, "\x30", 1, -EPERM},
    {"MF", OVER | MOS_IP_HDR, 6, "\x20", 1, -EPERM},
    {"protocol", OVER | MOS_IP_HDR, 9, "\x11", 1, -EPERM},
    {"source", OVER | MOS_IP_HDR, 15, "\x09", 1, -EPERM},
    {"destination", OVER | MOS_IP_HDR, 19, "\x09", 1, -EPERM},
    {"source MAC", OVER | MOS_ETH_HDR, 6, "\2\2\2\2\2\2", 6, 0},
    {"EtherType", OVER | MOS_ETH_HDR, 12, "\x86\xdd", 2, -EPERM},
    {"a tag", MOS_INSERT | MOS_ETH_HDR, 12, "\x81\0\0\1", 4, -EPERM},
};

static const struct row ip6_rows[] = {
    {"traffic class", OVER | MOS_IP_HDR, 0, "\x62", 1, 0},
    {"flow label", OVER | MOS_IP_HDR, 2, "\x77", 1, 0},
    {"hop limit", OVER | MOS_IP_HDR, 7, "\x09", 1, 0},
    {"version", OVER | MOS_IP_HDR, 0, "\x45", 1, -EPERM},
    {"payload length", OVER | MOS_IP_HDR, 5, "\x30", 1, -EPERM},
    {"next header", OVER | MOS_IP_HDR, 6, "\x3a", 1, -EPERM},
    {"source", OVER | MOS_IP_HDR, 23, "\x09", 1, -EPERM},
    {"destination", OVER | MOS_IP_HDR, 39, "\x09", 1, -EPERM},
    {"destination, to an IPv4 one", OVER | MOS_IP_HDR, 24, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1",
     16, -EPERM},
};

static const struct row in_rows[] = {
    {"payload", OVER | PAYLOAD, 3, "LOAD", 4, 0},
    {"all of it", OVER | PAYLOAD, 0, "another", 7, 0},
    {"beyond it", OVER | PAYLOAD, 4, "LOAD", 4, -EINVAL},
    {"more payload", MOS_INSERT | PAYLOAD, 0, "x", 1, -EPERM},
    {"less payload", MOS_CHOMP | PAYLOAD, 0, NULL, 1, -EPERM},
    {"another option", MOS_INSERT | MOS_TCP_HDR, 20, "\1\1\1\1", 4, 0},
    {"half an option", MOS_INSERT | MOS_TCP_HDR, 20, "\1\1", 2, -EINVAL},
    {"no SACK blocks, shorter", MOS_CHOMP | MOS_TCP_HDR, 32, NULL, 12, -EPERM},
};

static const struct row out_rows[] = {
    {"payload", OVER | PAYLOAD, 3, "LOAD", 4, -EPERM},
    {"beyond it", OVER | PAYLOAD, 4, "LOAD", 4, -EPERM},
    {"more payload", MOS_INSERT | PAYLOAD, 0, "x", 1, -EPERM},
    {"less payload", MOS_CHOMP | PAYLOAD, 0, NULL, 1, -EPERM},
    {"another option", MOS_INSERT | MOS_TCP_HDR, 20, "\1\1\1\1", 4, -EPERM},
    {"fewer options", MOS_CHOMP | MOS_TCP_HDR, 20, NULL, 4, -EPERM},
    {"IP options", MOS_INSERT | MOS_IP_HDR, 20, "\1\1\1\1", 4, -EPERM},
};

static void headers_keep_their_meaning(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        begin(v6);
        for (unsigned dir = 0; dir < 2; dir++) {
            CHECK_ROWS(tcp_rows, (enum hook_dir)dir);
            if (v6)
                CHECK_ROWS(ip6_rows, (enum hook_dir)dir);
            else
                CHECK_ROWS(ip4_rows, (enum hook_dir)dir);
        }
        w_end();
    }
}

static void payload_is_overwritten_on_its_way_in_only(void)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        begin(v6);
        CHECK_ROWS(in_rows, HOOK_IN);
        CHECK_ROWS(out_rows, HOOK_OUT);
        w_end();
    }
}

/* What was put in can be taken out again; IP options as well. */
static void headers_grow_and_shrink_on_their_way_in(void)
{
    static const char ext[] = {6, 0, 1, 4, 0, 0, 0, 0};
    begin(false);
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    uint32_t len = hs.frame_len;
    plan(0, MOS_INSERT | MOS_IP_HDR | SUMS, 20, "\1\1\1\0", 4);
    EXPECT_EQ(pass(), HOOK_CHANGED);
    EXPECT_EQ(hs.frame_len, len + 4);
    EXPECT_EQ(hs.l4_off, 14 + 24);
    plan(0, MOS_CHOMP | MOS_IP_HDR | SUMS, 20, NULL, 4);
    EXPECT_EQ(pass(), HOOK_CHANGED);
    EXPECT_EQ(hs.frame_len, len);
    w_end();
    begin(true); /* an extension header needs two changes, and the first would break the packet */
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    plan(0, MOS_INSERT | MOS_IP_HDR | SUMS, 40, ext, sizeof(ext));
    EXPECT_EQ(pass(), HOOK_PASS);
    EXPECT_EQ(todo[0].rc, -EPERM);
    w_end();
}

static void frames_grow_as_far_as_their_room(void)
{
    begin(false);
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    hs.frame_room = hs.frame_len + 3;
    plan(0, MOS_INSERT | MOS_IP_HDR, 20, "\1\1\1\0", 4);
    EXPECT_EQ(pass(), HOOK_PASS);
    EXPECT_EQ(todo[0].rc, -EINVAL);
    hs.frame_room++;
    EXPECT_EQ(pass(), HOOK_CHANGED);
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    hs.frame_room = 0; /* not to be changed */
    plan(0, OVER | PAYLOAD, 0, "PAY", 3);
    EXPECT_EQ(pass(), HOOK_PASS);
    EXPECT_EQ(todo[0].rc, -EPERM);
    w_end();
}

/* ---- who sees it ---------------------------------------------------------------------------- */

static struct pkt_info seen;

static void look_after(int sock, int side, event_t ev)
{
    const struct watch *x = mon_watch(w.m, sock, ENOTSOCK);
    if (x == x->conn->watches)
        do_it(sock, side, ev);
    EXPECT_EQ(lastpkt_get(w.m, x->conn, NULL, &seen), 0);
    w_say("(%.*s %u) ", (int)seen.payloadlen, (const char *)seen.payload, seen.window);
}

/* The other monitor, and both when it has arrived. */
static void later_monitors_see_changes(void)
{
    begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w_die(HOOK_END_ABORT);
    w_flow_init(&w.f, false);
    w_accept();
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    w.text_len = 0;
    plan(0, OVER | PAYLOAD, 3, "LOAD", 4);
    w.in_callback = look_after;
    EXPECT_EQ(w.hooks->pkt(w.m, w.f.handle, &hs), HOOK_CHANGED);
    EXPECT_EVENTS("SC PKT_IN; (payLOAD 1000) SC PKT_IN; (payLOAD 1000)");
    w.in_callback = NULL;
    w.hooks->pkt_done(w.m, w.f.handle, &hs);
    EXPECT_EVENTS("RS PKT_IN;");
    w_end();
}

static void changes_add_up(void)
{
    begin(false);
    w_monitor(MOS_ON_PKT_IN);
    w_die(HOOK_END_ABORT);
    w_flow_init(&w.f, false);
    w_accept();
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    plan(0, OVER | PAYLOAD, 0, "PAY", 3);
    plan(1, OVER | MOS_TCP_HDR, 14, "\0\1", 2);
    EXPECT_EQ(pass(), HOOK_CHANGED);
    EXPECT_EQ(todo[0].rc, 0);
    EXPECT_EQ(todo[1].rc, 0);
    EXPECT_EQ(hs.seg->wnd, 1);
    EXPECT_EQ(memcmp(hs.seg->payload, "PAYload", 7), 0);
    w_end();
}

static void drop_wins_over_changes(void)
{
    for (unsigned first = 0; first < 2; first++) {
        begin(false);
        w_monitor(MOS_ON_PKT_IN);
        w_die(HOOK_END_ABORT);
        w_flow_init(&w.f, false);
        w_accept();
        frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
        plan(0, first ? MOS_DROP : OVER | PAYLOAD, 0, "PAY", 3);
        plan(1, first ? OVER | PAYLOAD : MOS_DROP, 0, "PAY", 3);
        w.in_callback = do_it;
        EXPECT_EQ(w.hooks->pkt(w.m, w.f.handle, &hs), HOOK_DROP);
        w.in_callback = NULL;
        EXPECT_EQ(todo[0].rc, 0);
        EXPECT_EQ(todo[1].rc, 0);
        w_end();
    }
}

/* ---- when, and with what -------------------------------------------------------------------- */

static void only_the_verdict_step_changes_packets(void)
{
    w_begin(false);
    int sock = w_monitor(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_SND, NULL), 0);
    w_accept();
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    plan(0, OVER | PAYLOAD, 0, "PAY", 3);
    EXPECT_EQ(w.hooks->pkt(w.m, w.f.handle, &hs), HOOK_PASS);
    w.in_callback = do_it;
    w.hooks->pkt_done(w.m, w.f.handle, &hs);
    w.in_callback = NULL;
    EXPECT_EQ(n_done, 1);
    EXPECT_EQ(todo[0].rc, -EPERM);
    w_end();
}

/* Of the first SYN: who is asked is born(). Its offers may change. */
static void the_first_syn_can_be_changed(void)
{
    w_begin(false);
    int sock = w_monitor(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, NULL), 0);
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_SYN});
    plan(0, MOS_INSERT | MOS_TCP_HDR, 20, "\2\4\2\0", 4);
    w.in_callback = do_it;
    EXPECT_EQ(w.hooks->born(w.m, &hs, &w.f, &w.f.handle), HOOK_CHANGED);
    EXPECT_EQ(hs.seg->opt.mss, 512);
    EXPECT_EQ(w.hooks->pkt(w.m, w.f.handle, &hs), HOOK_PASS); /* it was asked */
    w.in_callback = NULL;
    EXPECT_EQ(n_done, 1);
    w.hooks->pkt_done(w.m, w.f.handle, &hs);
    w_end();
}

static void what_was_not_kept_cannot_be_changed(void)
{
    struct seg syn;
    w_begin(false);
    int sock = w_monitor(MOS_ON_PKT_IN);
    EXPECT_EQ(w_register(sock, MOS_ON_PKT_IN, MOS_HK_RCV, NULL), 0);
    w_build(&syn, &hs, HOOK_IN, &(struct wseg){.flags = TCP_SYN});
    hs.is_rebuilt = true;
    plan(0, OVER | MOS_TCP_HDR, 14, "\1", 1);
    w.in_callback = do_it;
    EXPECT_EQ(w.hooks->born(w.m, &hs, &w.f, &w.f.handle), HOOK_PASS);
    w.in_callback = NULL;
    EXPECT_EQ(todo[0].rc, -ENODATA);
    w_end();
}

/* Checksums are computed when asked, and left alone when the device is going to. */
static void checksums_are_whose_they_are(void)
{
    static const struct {
        int sums;
        bool ip_due, tcp_due;
        int rc;
    } row[] = {{0, false, false, -EILSEQ},
               {MOS_UPDATE_IP_CHKSUM, false, false, -EILSEQ},
               {SUMS, false, false, 0},
               {SUMS, true, false, -EILSEQ},
               {SUMS, false, true, -EILSEQ}};
    begin(false);
    for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct packet p;
        frame_make(HOOK_OUT, &(struct wseg){.flags = TCP_ACK});
        hs.ip_csum_due = row[i].ip_due;
        hs.tcp_csum_due = row[i].tcp_due;
        plan(0, OVER | MOS_IP_HDR | row[i].sums, 8, "\1", 1);
        EXPECT_EQ(pass(), HOOK_CHANGED);
        plan(0, OVER | MOS_TCP_HDR | row[i].sums, 14, "\1\1", 2);
        EXPECT_EQ(pass(), HOOK_CHANGED);
        EXPECT_EQ(packet_parse(&p, frame, hs.frame_len, PACKET_CSUM_UNKNOWN), row[i].rc);
    }
    w_end();
}

/* The bytes may come from the packet itself, where getlastpkt showed them. */
static void data_may_lie_in_the_packet(void)
{
    begin(false);
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    plan(0, OVER | PAYLOAD, 1, frame + hs.frame_len - 7, 6);
    EXPECT_EQ(pass(), HOOK_CHANGED);
    EXPECT_EQ(memcmp(hs.seg->payload, "ppayloa", 7), 0);
    w_end();
}

static void without_memory_nothing_changes(void)
{
    begin(false);
    frame_make(HOOK_IN, &(struct wseg){.flags = TCP_ACK, .data = "payload"});
    plan(0, OVER | PAYLOAD, 0, "PAY", 3);
    mem_set_limit(w.mem, 1);
    EXPECT_EQ(pass(), HOOK_PASS);
    EXPECT_EQ(todo[0].rc, -ENOMEM);
    EXPECT_EQ(memcmp(frame + hs.frame_len - 7, "payload", 7), 0);
    mem_set_limit(w.mem, 0);
    w_end();
}

TEST_SUITE(mos_lastpkt, TEST_CASE(headers_keep_their_meaning),
           TEST_CASE(payload_is_overwritten_on_its_way_in_only),
           TEST_CASE(headers_grow_and_shrink_on_their_way_in),
           TEST_CASE(frames_grow_as_far_as_their_room), TEST_CASE(later_monitors_see_changes),
           TEST_CASE(changes_add_up), TEST_CASE(drop_wins_over_changes),
           TEST_CASE(only_the_verdict_step_changes_packets),
           TEST_CASE(the_first_syn_can_be_changed), TEST_CASE(what_was_not_kept_cannot_be_changed),
           TEST_CASE(checksums_are_whose_they_are), TEST_CASE(data_may_lie_in_the_packet),
           TEST_CASE(without_memory_nothing_changes));

/*
 * Payload that a monitor between two hosts puts in, takes out and replaces: the numbers that both
 * hosts get, to the byte, and streams of two real endpoints through a link that is bad.
 */
#include "mos/dispatch.h"
#include "mtcp/wire/build.h"
#include "mtcp/wire/parse.h"
#include "tests/test.h"
#include "tests/trio.h"

#include <mos_api.h>
#include <mtcp_epoll.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 2048u
#define SUM  (MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM)

static struct trio t;
static int active;                                  /* the monitor's socket of the connection */
static void (*judge)(int side, struct pkt_info *p); /* what it does with each packet */
static unsigned n_orphans;

static void at_verdict(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)arg;
    n_orphans += ev == MOS_ON_ORPHAN;
    if (ev == MOS_ON_ORPHAN)
        return;
    active = sock;
    CU_ASSERT_EQUAL_FATAL(mtcp_getlastpkt(m, sock, side, &p), 0);
    if (judge)
        judge(side, &p);
}

static int set(int side, uint32_t at, const void *data, uint32_t len, int option)
{
    return mtcp_setlastpkt(t.m[TRIO_MID], active, side, at, (byte *)(uintptr_t)data, (uint16_t)len,
                           option | MOS_TCP_PAYLOAD | SUM);
}

#define INSERTS(at, data)    set(side, at, data, (uint32_t)strlen(data), MOS_INSERT)
#define OVERWRITES(at, data) set(side, at, data, (uint32_t)strlen(data), MOS_OVERWRITE)
#define CHOMPS(at, len)      set(side, at, NULL, len, MOS_CHOMP)
#define FAILS(call, err)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, err);                                                                     \
    } while (0)

static int monitor(void)
{
    int s = mtcp_socket(t.m[TRIO_MID], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_register_callback(t.m[TRIO_MID], s, MOS_ON_PKT_IN, MOS_HK_SND, at_verdict), 0);
    EXPECT_EQ(mtcp_register_callback(t.m[TRIO_MID], s, MOS_ON_ORPHAN, MOS_NULL, at_verdict), 0);
    judge = NULL;
    return s;
}

/* ---- hosts that are the test's --------------------------------------------------------------- */

/* A segment; numbers are offsets of its sender's stream, and of the other's. */
struct says {
    uint8_t flags;
    int64_t off, ack;
    const char *data;
    uint32_t len; /* of data; 0: that of the text */
    uint16_t wnd;
    struct tcp_opts opt;
};

static const uint32_t isn[2] = {0xfffffff0, 0xffffff80}; /* of the client, of the server */

static void says(enum trio_role from, const struct says *x)
{
    const struct build_l2 l2[2] = {
        {.src = {.b = {2, 0, 0, 0, 0, 9}}, .dst = {.b = {2, 0, 0, 0, 0, 8}}},
        {.src = {.b = {2, 0, 0, 0, 0, 8}}, .dst = {.b = {2, 0, 0, 0, 0, 9}}}};
    struct ip_addr cli = ip_addr_v4(be32_make(0x0a000002)), svr = ip_addr_v4(be32_make(0x0a000001));
    uint8_t frame[ROOM];
    int i = from == TRIO_SRV;
    struct seg s = {
        .tuple = {i ? svr : cli, i ? cli : svr, i ? 80 : 4000, i ? 4000 : 80},
        .seq = seq_of_off(seq_make(isn[i]), x->off),
        .ack = seq_of_off(seq_make(isn[!i]), x->ack),
        .flags = x->flags,
        .wnd = x->wnd ? x->wnd : 60000,
        .ttl = 64,
        .opt = x->opt,
        .len = x->len    ? x->len
               : x->data ? (uint32_t)strlen(x->data)
                         : 0,
    };
    struct build_lens lens = build_tcp(frame, &l2[i], &s, 7);
    uint32_t hdrs = (uint32_t)lens.l2 + lens.l3 + lens.l4;
    if (s.len > 0)
        memcpy(frame + hdrs, x->data, s.len);
    build_tcp_csum(frame, lens, s.len, (struct build_offload){0});
    trio_send(&t, from, frame, hdrs + s.len);
    trio_step(&t, 10);
}

static struct packet heard;
static uint8_t heard_frame[ROOM];

static bool hears(enum trio_role r)
{
    uint32_t len = trio_receive(&t, r, heard_frame, ROOM);
    if (len == 0)
        return false;
    EXPECT_EQ(packet_parse(&heard, heard_frame, len, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(heard.kind, PACKET_TCP);
    return true;
}

static void expect_hears(enum trio_role r, const struct says *x, int line)
{
    int i = r == TRIO_CLI; /* it comes from the other */
    uint32_t len = x->len ? x->len : x->data ? (uint32_t)strlen(x->data) : 0;
    bool is_there = hears(r);
    CU_assertImplementation(is_there, (unsigned)line, "a segment", __FILE__, "", CU_TRUE);
    const struct seg *s = &heard.seg;
    int64_t off = off_of_seq(seq_make(isn[i]), s->seq, 0);
    int64_t ack = off_of_seq(seq_make(isn[!i]), s->ack, 0);
    bool same = off == x->off && (!(x->flags & TCP_ACK) || ack == x->ack) && s->flags == x->flags &&
                s->len == len && (len == 0 || memcmp(s->payload, x->data, len) == 0) &&
                (x->wnd == 0 || s->wnd == x->wnd);
    if (!same)
        fprintf(stderr, "\n%s:%d: flags %x off %lld ack %lld wnd %u: %.*s\n", __FILE__, line,
                s->flags, (long long)off, (long long)ack, s->wnd, (int)s->len, s->payload);
    CU_assertImplementation(same, (unsigned)line, "as expected", __FILE__, "", CU_FALSE);
}

#define CLI_SAYS(...)  says(TRIO_CLI, &(struct says){__VA_ARGS__})
#define SRV_SAYS(...)  says(TRIO_SRV, &(struct says){__VA_ARGS__})
#define CLI_HEARS(...) expect_hears(TRIO_CLI, &(struct says){__VA_ARGS__}, __LINE__)
#define SRV_HEARS(...) expect_hears(TRIO_SRV, &(struct says){__VA_ARGS__}, __LINE__)

static uint16_t srv_wnd; /* of the server's SYN-ACK; 0: plenty */

static void begin_with(const char *conf)
{
    const struct tcp_opts opt = {.has_mss = true, .mss = 1460, .sack_permitted = true};
    trio_open(&t, &(struct trio_conf){.no_server = true, .no_client = true, .mid = conf});
    monitor();
    CLI_SAYS(.flags = TCP_SYN, .off = -1, .opt = opt);
    SRV_HEARS(.flags = TCP_SYN, .off = -1);
    SRV_SAYS(.flags = TCP_SYN | TCP_ACK, .off = -1, .opt = opt, .wnd = srv_wnd);
    CLI_HEARS(.flags = TCP_SYN | TCP_ACK, .off = -1);
    CLI_SAYS(.flags = TCP_ACK);
    SRV_HEARS(.flags = TCP_ACK);
}

static void begin(void)
{
    begin_with(NULL);
}

static void end(void)
{
    CU_ASSERT_FALSE(hears(TRIO_CLI));
    CU_ASSERT_FALSE(hears(TRIO_SRV));
    EXPECT_EQ(n_orphans, 0);
    n_orphans = 0;
    trio_close(&t);
}

static void insert_xyz(int side, struct pkt_info *p)
{
    if (side == MOS_SIDE_CLI && p->payloadlen == 11 && p->offset == 0)
        EXPECT_EQ(INSERTS(5, "XYZ"), 0);
}

static void say_hello(void)
{
    judge = insert_xyz;
    CLI_SAYS(.flags = TCP_ACK | TCP_PSH, .data = "hello world");
    SRV_HEARS(.flags = TCP_ACK | TCP_PSH, .data = "helloXYZ world");
    judge = NULL;
}

static void begin_inserted(void)
{
    begin();
    say_hello();
}

static void numbers_of_both_directions_follow(void)
{
    begin_inserted();
    CLI_SAYS(.flags = TCP_ACK, .off = 11, .data = "more");
    SRV_HEARS(.flags = TCP_ACK, .off = 14, .data = "more");
    SRV_SAYS(.flags = TCP_ACK, .ack = 3);
    CLI_HEARS(.flags = TCP_ACK, .ack = 3);
    SRV_SAYS(.flags = TCP_ACK, .ack = 6); /* not yet all that stands for the byte before it */
    CLI_HEARS(.flags = TCP_ACK, .ack = 4);
    SRV_SAYS(.flags = TCP_ACK, .ack = 8, .data = "yes");
    CLI_HEARS(.flags = TCP_ACK, .ack = 5, .data = "yes");
    SRV_SAYS(.flags = TCP_ACK, .off = 3, .ack = 18);
    CLI_HEARS(.flags = TCP_ACK, .off = 3, .ack = 15);
    CLI_SAYS(.flags = TCP_ACK | TCP_FIN, .off = 15, .ack = 3);
    SRV_HEARS(.flags = TCP_ACK | TCP_FIN, .off = 18, .ack = 3);
    SRV_SAYS(.flags = TCP_ACK | TCP_FIN, .off = 3, .ack = 19);
    CLI_HEARS(.flags = TCP_ACK | TCP_FIN, .off = 3, .ack = 16);
    CLI_SAYS(.flags = TCP_ACK, .off = 16, .ack = 4);
    SRV_HEARS(.flags = TCP_ACK, .off = 19, .ack = 4);
    end();
}

static void bytes_sent_again_are_changed_again(void)
{
    begin_inserted();
    CLI_SAYS(.flags = TCP_ACK, .data = "hello world"); /* the monitor's change is not asked for */
    SRV_HEARS(.flags = TCP_ACK, .data = "helloXYZ world");
    CLI_SAYS(.flags = TCP_ACK, .off = 2, .data = "llo");
    SRV_HEARS(.flags = TCP_ACK, .off = 2, .data = "lloXYZ");
    CLI_SAYS(.flags = TCP_ACK, .off = 0, .data = "hell");
    SRV_HEARS(.flags = TCP_ACK, .off = 0, .data = "hell");
    CLI_SAYS(.flags = TCP_ACK, .off = 5, .data = " world, more");
    SRV_HEARS(.flags = TCP_ACK, .off = 8, .data = " world, more");
    /* What was acknowledged is known no more: nothing wrong is sent of it. */
    SRV_SAYS(.flags = TCP_ACK, .ack = 10);
    CLI_HEARS(.flags = TCP_ACK, .ack = 7);
    CLI_SAYS(.flags = TCP_ACK, .off = 0, .data = "hello world");
    SRV_HEARS(.flags = TCP_ACK, .off = 8, .data = " world");
    CLI_SAYS(.flags = TCP_ACK, .off = 0, .data = "hello");
    SRV_HEARS(.flags = TCP_ACK, .off = 7); /* asks for an acknowledgement */
    end();
}

static void chomp_all(int side, struct pkt_info *p)
{
    if (side == MOS_SIDE_CLI && p->payloadlen == 6)
        EXPECT_EQ(CHOMPS(0, 6), 0);
}

static void what_is_taken_out_is_acknowledged(void)
{
    begin();
    judge = chomp_all;
    CLI_SAYS(.flags = TCP_ACK, .data = "secret");
    SRV_HEARS(.flags = TCP_ACK);
    CLI_HEARS(.flags = TCP_ACK, .ack = 6, .wnd = 60000);
    CLI_SAYS(.flags = TCP_ACK, .off = 6, .data = "next");
    SRV_HEARS(.flags = TCP_ACK, .off = 0, .data = "next");
    CLI_SAYS(.flags = TCP_ACK, .off = 10, .data = "secret"); /* behind what is on its way */
    SRV_HEARS(.flags = TCP_ACK, .off = 4);
    SRV_SAYS(.flags = TCP_ACK, .ack = 4);
    CLI_HEARS(.flags = TCP_ACK, .ack = 16);
    CLI_SAYS(.flags = TCP_ACK | TCP_FIN, .off = 16);
    SRV_HEARS(.flags = TCP_ACK | TCP_FIN, .off = 4);
    SRV_SAYS(.flags = TCP_ACK, .ack = 5);
    CLI_HEARS(.flags = TCP_ACK, .ack = 17);
    end();
}

/* The acknowledgement of the monitor's was lost. */
static void what_was_taken_out_comes_again(void)
{
    begin();
    judge = chomp_all;
    CLI_SAYS(.flags = TCP_ACK, .data = "secret");
    SRV_HEARS(.flags = TCP_ACK);
    CLI_HEARS(.flags = TCP_ACK, .ack = 6);
    CLI_SAYS(.flags = TCP_ACK, .data = "secret");
    SRV_HEARS(.flags = TCP_ACK, .off = -1);
    SRV_SAYS(.flags = TCP_ACK);
    CLI_HEARS(.flags = TCP_ACK, .ack = 6);
    end();
}

static void replace(int side, struct pkt_info *p)
{
    const char *at = memmem(p->payload, p->payloadlen, "blue", 4);
    if (!at)
        return;
    uint32_t off = (uint32_t)((const uint8_t *)at - p->payload);
    EXPECT_EQ(CHOMPS(off, 4), 0);
    EXPECT_EQ(INSERTS(off, "violet"), 0);
}

static void both_directions_at_once(void)
{
    begin();
    judge = replace;
    CLI_SAYS(.flags = TCP_ACK, .data = "a blue sky");
    SRV_HEARS(.flags = TCP_ACK, .data = "a violet sky");
    SRV_SAYS(.flags = TCP_ACK, .ack = 12, .data = "blue");
    CLI_HEARS(.flags = TCP_ACK, .ack = 10, .data = "violet");
    CLI_SAYS(.flags = TCP_ACK, .off = 10, .ack = 6, .data = "blue blues");
    SRV_HEARS(.flags = TCP_ACK, .off = 12, .ack = 4, .data = "violet blues");
    SRV_SAYS(.flags = TCP_ACK, .off = 4, .ack = 24, .data = "bye");
    CLI_HEARS(.flags = TCP_ACK, .off = 6, .ack = 20, .data = "bye");
    CLI_SAYS(.flags = TCP_RST, .off = 20);
    SRV_HEARS(.flags = TCP_RST, .off = 24);
    end();
}

static void sack_blocks_are_translated(void)
{
    const struct tcp_opts sacks = {.n_sack = 3,
                                   .sack = {{seq_make(isn[0] + 1 + 8), seq_make(isn[0] + 1 + 10)},
                                            {seq_make(isn[0] + 1 + 5), seq_make(isn[0] + 1 + 7)},
                                            {seq_make(isn[0] + 1 + 2), seq_make(isn[0] + 1 + 6)}}};
    begin_inserted();
    SRV_SAYS(.flags = TCP_ACK, .opt = sacks);
    CLI_HEARS(.flags = TCP_ACK);
    const struct tcp_opts *o = &heard.seg.opt;
    CU_ASSERT_EQUAL_FATAL(o->n_sack, 2);
    EXPECT_EQ(o->sack[0].start.v - isn[0] - 1, 5); /* behind it */
    EXPECT_EQ(o->sack[0].end.v - isn[0] - 1, 7);
    EXPECT_EQ(o->sack[1].start.v - isn[0] - 1, 2); /* not what stands for byte 4 in part */
    EXPECT_EQ(o->sack[1].end.v - isn[0] - 1, 4);
    SRV_SAYS(.flags = TCP_ACK,
             .opt = {.n_sack = 1, .sack = {{seq_make(isn[0] + 1 + 5), seq_make(isn[0] + 1 + 7)}}});
    CLI_HEARS(.flags = TCP_ACK);
    EXPECT_EQ(heard.seg.opt.n_sack, 0);
    end();
}

static void windows_shrink_by_what_is_put_in(void)
{
    begin_inserted();
    SRV_SAYS(.flags = TCP_ACK, .ack = 3, .wnd = 100);
    CLI_HEARS(.flags = TCP_ACK, .ack = 3, .wnd = 97);
    SRV_SAYS(.flags = TCP_ACK, .ack = 3, .wnd = 2); /* into what stands for byte 4: that may come */
    CLI_HEARS(.flags = TCP_ACK, .ack = 3, .wnd = 2);
    SRV_SAYS(.flags = TCP_ACK, .ack = 6, .wnd = 1);
    CLI_HEARS(.flags = TCP_ACK, .ack = 4, .wnd = 1);
    SRV_SAYS(.flags = TCP_ACK, .ack = 14, .wnd = 100);
    CLI_HEARS(.flags = TCP_ACK, .ack = 11, .wnd = 100);
    end();
}

/* Who knows whether it would be taken? It is left for the client to send again. */
static void what_reaches_beyond_the_window_waits(void)
{
    srv_wnd = 12;
    begin();
    srv_wnd = 0;
    judge = insert_xyz;
    CLI_SAYS(.flags = TCP_ACK | TCP_PSH, .data = "hello world");
    SRV_HEARS(.flags = TCP_ACK, .data = "helloXYZ wor");
    CLI_SAYS(.flags = TCP_ACK | TCP_PSH, .off = 11, .data = "more");
    SRV_HEARS(.flags = TCP_ACK, .off = 14);
    SRV_SAYS(.flags = TCP_ACK, .ack = 12, .wnd = 100);
    CLI_HEARS(.flags = TCP_ACK, .ack = 9, .wnd = 100);
    CLI_SAYS(.flags = TCP_ACK | TCP_PSH, .off = 9, .data = "ldmore");
    SRV_HEARS(.flags = TCP_ACK | TCP_PSH, .off = 12, .data = "ldmore");
    end();
}

/* A router says that a segment was too long. */
static void icmp_errors_quote_what_the_sender_knows(void)
{
    uint8_t frame[ROOM], quote[4 + 28] = {0, 0, 5, 0};
    begin_inserted();
    CLI_SAYS(.flags = TCP_ACK, .off = 11, .data = "more");
    SRV_HEARS(.flags = TCP_ACK, .off = 14, .data = "more");
    memcpy(quote + 4, heard_frame + 14, 28);
    struct build_icmp i = {
        .l2 = {.src = {.b = {2, 0, 0, 0, 0, 8}}, .dst = {.b = {2, 0, 0, 0, 0, 9}}},
        .src = ip_addr_v4(be32_make(0x0a000001)),
        .dst = ip_addr_v4(be32_make(0x0a000002)),
        .type = 3,
        .code = 4,
        .ttl = 64,
        .data = quote,
        .len = sizeof(quote)};
    trio_send(&t, TRIO_SRV, frame, build_icmp(frame, &i));
    trio_step(&t, 10);
    uint32_t len = trio_receive(&t, TRIO_CLI, frame, ROOM);
    EXPECT_EQ(packet_parse(&heard, frame, len, PACKET_CSUM_UNKNOWN), 0);
    EXPECT_EQ(heard.kind, PACKET_ICMP_ERROR);
    EXPECT_EQ(heard.icmp.mtu, 1280);
    EXPECT_EQ(heard.icmp.seq.v, isn[0] + 1 + 11);
    EXPECT_EQ(n_orphans, 1);
    n_orphans = 0;
    end();
}

static char long_text[5000];

static void insert_long(int side, struct pkt_info *p)
{
    if (p->payloadlen > 4)
        EXPECT_EQ(set(side, 4, long_text, 3000, MOS_INSERT), 0);
}

/* What has grown beyond a packet goes on in several. */
static void long_segments_are_cut(void)
{
    char data[1460], all[sizeof(data) + 3000];
    begin();
    for (unsigned i = 0; i < sizeof(long_text); i++)
        long_text[i] = (char)('a' + i % 23);
    memset(data, '.', sizeof(data));
    memcpy(all, data, 4);
    memcpy(all + 4, long_text, 3000);
    memcpy(all + 3004, data + 4, sizeof(data) - 4);
    judge = insert_long;
    CLI_SAYS(.flags = TCP_ACK | TCP_PSH | TCP_FIN, .data = data, .len = sizeof(data));
    for (int i = 0; i < 4; i++)
        SRV_HEARS(.flags = i < 3 ? TCP_ACK : TCP_ACK | TCP_PSH | TCP_FIN, .off = 1460 * i,
                  .data = all + 1460 * i, .len = i < 3 ? 1460 : 80);
    SRV_SAYS(.flags = TCP_ACK, .ack = 4461);
    CLI_HEARS(.flags = TCP_ACK, .ack = 1461);
    end();
}

/* A small one may be small because the path is narrow. */
static void pieces_are_as_any_path_bears(void)
{
    unsigned n = 0, bytes = 0;
    begin();
    judge = insert_long;
    CLI_SAYS(.flags = TCP_ACK, .data = "0123456789");
    while (hears(TRIO_SRV)) {
        n++;
        bytes += heard.seg.len;
        CU_ASSERT_TRUE(heard.frame_len <= 14 + 576);
    }
    EXPECT_EQ(n, 6);
    EXPECT_EQ(bytes, 3010);
    end();
}

static int err_insert, err_chomp, err_same, err_other;

static int err_of(int rc)
{
    return rc == 0 ? 0 : errno;
}

static void try_all(int side, struct pkt_info *p)
{
    char same[2] = {p->payloadlen > 1 ? (char)p->payload[0] : 0, 0};
    err_same = err_of(OVERWRITES(0, same));
    err_other = err_of(OVERWRITES(0, "#"));
    err_insert = err_of(INSERTS(0, "new"));
    err_chomp = err_of(CHOMPS(0, 1));
}

#define EXPECT_ERRS(insert, chomp, same, other)                                                    \
    do {                                                                                           \
        EXPECT_EQ(err_insert, insert);                                                             \
        EXPECT_EQ(err_chomp, chomp);                                                               \
        EXPECT_EQ(err_same, same);                                                                 \
        EXPECT_EQ(err_other, other);                                                               \
    } while (0)

static void what_was_forwarded_stays(void)
{
    begin();
    CLI_SAYS(.flags = TCP_ACK, .data = "01234");
    SRV_HEARS(.flags = TCP_ACK, .data = "01234");
    CLI_SAYS(.flags = TCP_ACK, .off = 10, .data = "abcde");
    SRV_HEARS(.flags = TCP_ACK, .off = 10, .data = "abcde");
    judge = try_all;
    CLI_SAYS(.flags = TCP_ACK, .data = "01234"); /* sent again */
    SRV_HEARS(.flags = TCP_ACK, .data = "01234");
    EXPECT_ERRS(EALREADY, EALREADY, 0, EALREADY);
    CLI_SAYS(.flags = TCP_ACK, .off = 5, .data = "56789"); /* overtaken: no other length */
    SRV_HEARS(.flags = TCP_ACK, .off = 5, .data = "#6789");
    EXPECT_ERRS(EALREADY, EALREADY, 0, 0);
    judge = NULL;
    CLI_SAYS(.flags = TCP_ACK, .off = 4, .data = "4567"); /* and again, otherwise */
    SRV_HEARS(.flags = TCP_ACK, .off = 4, .data = "4#67");
    end();
}

static void some_packets_bear_no_other_length(void)
{
    begin();
    judge = try_all;
    CLI_SAYS(.flags = TCP_ACK);
    SRV_HEARS(.flags = TCP_ACK);
    EXPECT_EQ(err_insert, EPERM);
    CLI_SAYS(.flags = TCP_ACK, .off = 100000, .data = "out of the window");
    SRV_HEARS(.flags = TCP_ACK, .off = 100000, .data = "#ut of the window");
    EXPECT_EQ(err_insert, EPERM);
    EXPECT_EQ(err_chomp, EPERM);
    judge = NULL;
    end();
}

static void insert_and_drop(int side, struct pkt_info *p)
{
    (void)p;
    EXPECT_EQ(INSERTS(1, "new"), 0);
    EXPECT_EQ(mtcp_setlastpkt(t.m[TRIO_MID], active, side, 0, NULL, 0, MOS_DROP), 0);
}

static void what_was_dropped_was_not_changed(void)
{
    begin();
    judge = insert_and_drop;
    CLI_SAYS(.flags = TCP_ACK, .data = "01234");
    CU_ASSERT_FALSE(hears(TRIO_SRV));
    judge = NULL;
    CLI_SAYS(.flags = TCP_ACK, .data = "01234");
    SRV_HEARS(.flags = TCP_ACK, .data = "01234");
    end();
}

/* Its hosts count what was put in, whether anybody looks or not. */
static void numbers_are_translated_without_a_monitor_too(void)
{
    int both = MOS_SIDE_BOTH;
    begin_inserted();
    EXPECT_EQ(
        mtcp_setsockopt(t.m[TRIO_MID], active, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)),
        0);
    trio_step(&t, 1000);
    SRV_SAYS(.flags = TCP_ACK, .ack = 14);
    CLI_HEARS(.flags = TCP_ACK, .ack = 11);
    CLI_SAYS(.flags = TCP_ACK, .off = 11, .data = "more");
    SRV_HEARS(.flags = TCP_ACK, .off = 14, .data = "more");
    end();
}

static void resets_have_the_right_numbers(void)
{
    begin_inserted();
    SRV_SAYS(.flags = TCP_ACK, .ack = 14, .data = "yes");
    CLI_HEARS(.flags = TCP_ACK, .ack = 11, .data = "yes");
    CLI_SAYS(.flags = TCP_ACK, .off = 11, .ack = 3, .data = "!");
    SRV_HEARS(.flags = TCP_ACK, .off = 14, .ack = 3, .data = "!");
    EXPECT_EQ(mtcp_reset_conn(t.m[TRIO_MID], active), 0);
    trio_step(&t, 10);
    SRV_HEARS(.flags = TCP_RST, .off = 15);
    SRV_HEARS(.flags = TCP_RST, .off = 14);
    CLI_HEARS(.flags = TCP_RST, .off = 3);
    SRV_SAYS(.flags = TCP_ACK, .off = 3, .ack = 15);
    SRV_HEARS(.flags = TCP_RST, .off = 15);
    end();
}

/* When the record goes, no host can make sense of the other. */
static void forgotten_connections_are_reset(void)
{
    begin_with("tcp_timeout = 30");
    say_hello();
    for (unsigned i = 0; i < 32; i++)
        trio_step(&t, 1000000);
    SRV_HEARS(.flags = TCP_RST, .off = 14);
    SRV_HEARS(.flags = TCP_RST, .off = 0);
    CLI_HEARS(.flags = TCP_RST, .off = 0);
    end();
}

/* ---- streams of two endpoints ---------------------------------------------------------------- */

#define STREAM_MAX (6u << 20)

/* Of each side, what it is to receive. */
static struct stream_model {
    uint8_t *want;  /* what the monitor let pass */
    uint8_t *given; /* which of it */
    uint64_t top;   /* one past the last of it; what the sender had sent of its own by then */
    uint64_t sent;
    uint64_t peeked;
} model[2];

static unsigned n_wrong, n_edits, n_refused /* of new bytes */;
static unsigned how_often;   /* of 1000 packets are changed */
static bool must_have_order; /* overtaken packets are dropped, so that any can be changed */

static uint8_t byte_at(int side, uint64_t off)
{
    return (uint8_t)(off * 131 + off / 251 + (uint64_t)side * 77);
}

/* The packet before any change: what is new of it is what its sender sent. */
static uint64_t check_new(int to, const struct pkt_info *p)
{
    struct stream_model *m = &model[to];
    uint64_t end = p->offset + p->payloadlen, sent = m->sent;
    for (uint64_t r = m->top > p->offset ? m->top : p->offset; r < end; r++)
        n_wrong += p->payload[r - p->offset] != byte_at(to, m->sent + (r - m->top));
    if (end > m->top)
        sent += end - m->top;
    return sent;
}

static void change_one(int side, struct pkt_info *p)
{
    uint8_t bytes[3000];
    uint32_t len = p->payloadlen, at = rng_below(&t.rng, len + 1);
    uint32_t n = 1 + rng_below(&t.rng, rng_below(&t.rng, 8) ? 20 : sizeof(bytes) - 1);
    uint32_t del = 1 + rng_below(&t.rng, len);
    if (at == len)
        at--;
    if (del > len - at)
        del = len - at;
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)rng_u32(&t.rng);
    int rc = 0, kind = (int)rng_below(&t.rng, 5);
    if (kind == 0 || kind == 3)
        rc = set(side, at, bytes, n, MOS_INSERT);
    if (rc == 0 && (kind == 1 || kind == 3))
        rc = set(side, at, NULL, del, MOS_CHOMP);
    if (kind == 2)
        rc = set(side, at, bytes, n < len - at ? n : len - at, MOS_OVERWRITE);
    if (kind == 4)
        rc = set(side, 0, NULL, len, MOS_CHOMP);
    n_edits += rc == 0;
    if (rc != 0 && errno == EALREADY &&
        p->offset >= model[side == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI].top)
        n_refused++;
    n_wrong += rc != 0 && errno != EALREADY;
}

/* Will its receiver take it? What it will not, it does not matter how it passes. */
static bool is_accepted(void)
{
    const struct mon *m = hook_monitor_of(t.m[TRIO_MID]);
    return m->now->seg->accepted;
}

/* What goes on, as its receiver sees it. */
static void note_passed(mctx_t mctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct stream_model *m = &model[side];
    struct pkt_info p;
    (void)ev, (void)arg;
    CU_ASSERT_EQUAL_FATAL(mtcp_getlastpkt(mctx, sock, side, &p), 0);
    for (uint32_t i = 0; i < p.payloadlen && is_accepted(); i++) {
        uint64_t r = p.offset + i;
        CU_ASSERT_FATAL(r < STREAM_MAX);
        if (m->given[r])
            n_wrong += m->want[r] != p.payload[i];
        m->want[r] = p.payload[i];
        m->given[r] = 1;
    }
}

static void edit_at_random(int side, struct pkt_info *p)
{
    int to = side == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI;
    struct stream_model *m = &model[to];
    mctx_t mid = t.m[TRIO_MID];
    if (p->payloadlen == 0 || !is_accepted())
        return;
    bool is_late = p->offset > m->top;
    if ((is_late && must_have_order) || rng_below(&t.rng, 200) == 0) {
        EXPECT_EQ(mtcp_setlastpkt(mid, active, side, 0, NULL, 0, MOS_DROP), 0);
        return;
    }
    uint64_t sent = check_new(to, p);
    bool has_new = sent > m->sent;
    for (unsigned i = 0; i < 3 && rng_below(&t.rng, 1000) < how_often && p->payloadlen > 0; i++) {
        change_one(side, p);
        CU_ASSERT_EQUAL_FATAL(mtcp_getlastpkt(mid, active, side, p), 0);
    }
    if (has_new) {
        m->sent = sent;
        m->top = p->offset + p->payloadlen;
    }
}

static void peek_new(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    uint8_t buf[4096];
    ssize_t n;
    (void)ev, (void)arg;
    while ((n = mtcp_peek(m, sock, side, (char *)buf, sizeof(buf))) > 0) {
        n_wrong += memcmp(buf, model[side].want + model[side].peeked, (size_t)n) != 0;
        model[side].peeked += (uint64_t)n;
    }
    n_wrong += n < -1;
}

/* One direction; `side` receives. */
struct flow_of_bytes {
    enum trio_role from, to;
    int tx, rx, side;
    uint64_t total, written, read;
    bool is_shut, is_over;
};

static void move_bytes(struct flow_of_bytes *f)
{
    static uint8_t buf[40000];
    uint64_t n = f->total - f->written;
    if (n > sizeof(buf))
        n = 1 + rng_below(&t.rng, sizeof(buf));
    for (uint64_t i = 0; i < n; i++)
        buf[i] = byte_at(f->side, f->written + i);
    ssize_t done = n ? mtcp_write(t.m[f->from], f->tx, (char *)buf, n) : 0;
    f->written += done > 0 ? (uint64_t)done : 0;
    if (f->written == f->total && !f->is_shut) {
        EXPECT_EQ(mtcp_shutdown(t.m[f->from], f->tx, SHUT_WR), 0);
        f->is_shut = true;
    }
    if (f->is_over || rng_below(&t.rng, 4) == 0)
        return;
    done = mtcp_read(t.m[f->to], f->rx, (char *)buf, 1 + rng_below(&t.rng, sizeof(buf)));
    if (done > 0) {
        n_wrong += memcmp(buf, model[f->side].want + f->read, (size_t)done) != 0;
        f->read += (uint64_t)done;
    }
    f->is_over = done == 0;
}

static void models_begin(void)
{
    for (int i = 0; i < 2; i++) {
        model[i] =
            (struct stream_model){.want = calloc(STREAM_MAX, 1), .given = calloc(STREAM_MAX, 1)};
        CU_ASSERT_FATAL(model[i].want && model[i].given);
    }
    n_wrong = n_edits = n_refused = 0;
}

static void models_end(void)
{
    for (int i = 0; i < 2; i++) {
        free(model[i].want);
        free(model[i].given);
    }
}

/* Everything that was let pass has come, and the end of it; and all that was sent was looked at. */
static void expect_all(const struct flow_of_bytes *f)
{
    CU_ASSERT_TRUE(f->is_over);
    EXPECT_EQ(f->read, model[f->side].top);
    EXPECT_EQ(model[f->side].sent, f->total);
    EXPECT_EQ(model[f->side].peeked, model[f->side].top);
}

static uint32_t n_open(void)
{
    return mtcp_get_connection_cnt(t.m[TRIO_SRV]) + mtcp_get_connection_cnt(t.m[TRIO_CLI]);
}

static unsigned transfer(uint64_t seed, uint32_t max, const char *ends)
{
    int s, l, cli, srv;
    unsigned i_wait = 0;
    trio_open(&t, &(struct trio_conf){.ends = ends});
    models_begin();
    s = monitor();
    EXPECT_EQ(mtcp_register_callback(t.m[TRIO_MID], s, MOS_ON_CONN_NEW_DATA, MOS_NULL, peek_new),
              0);
    EXPECT_EQ(mtcp_register_callback(t.m[TRIO_MID], s, MOS_ON_PKT_IN, MOS_HK_RCV, note_passed), 0);
    judge = edit_at_random;
    rng_init(&t.rng, seed);
    l = trio_listen(&t, 80);
    cli = trio_connect(&t, 80);
    trio_run(&t, 10000);
    srv = mtcp_accept4(t.m[TRIO_SRV], l, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT_FATAL(srv >= 0);
    t.per_mille = rng_below(&t.rng, 3) ? rng_below(&t.rng, 30) : 0;
    how_often = rng_below(&t.rng, 2) ? 400 : 40;
    must_have_order = rng_below(&t.rng, 2);
    struct flow_of_bytes f[2] = {
        {TRIO_CLI, TRIO_SRV, cli, srv, MOS_SIDE_SVR, max / 8 + rng_below(&t.rng, max), 0, 0, 0, 0},
        {TRIO_SRV, TRIO_CLI, srv, cli, MOS_SIDE_CLI, max / 8 + rng_below(&t.rng, max), 0, 0, 0, 0}};
    for (unsigned i = 0; i < 400000 && !(f[0].is_over && f[1].is_over); i++) {
        move_bytes(&f[0]);
        move_bytes(&f[1]);
        trio_step(&t, 1000);
    }
    expect_all(&f[0]);
    expect_all(&f[1]);
    EXPECT_EQ(n_wrong, 0);
    if (must_have_order)
        EXPECT_EQ(n_refused, 0);
    if (n_wrong || !f[0].is_over || !f[1].is_over || (must_have_order && n_refused))
        fprintf(stderr, "transfer: seed %llu: %u wrong, %u edits, %u refused, loss %u\n",
                (unsigned long long)seed, n_wrong, n_edits, n_refused, t.per_mille);
    EXPECT_EQ(mtcp_close(t.m[TRIO_CLI], cli), 0);
    EXPECT_EQ(mtcp_close(t.m[TRIO_SRV], srv), 0);
    t.per_mille = 0;
    do /* a FIN that was lost is sent again after a timeout, which loss has made long */
        trio_run(&t, 3000000);
    while (n_open() > 0 && i_wait++ < 40);
    judge = NULL;
    n_orphans = 0;
    models_end();
    trio_close(&t);
    return n_edits;
}

static void streams_through_a_bad_link(void)
{
    uint64_t seed = test_seed();
    unsigned n = 0;
    for (unsigned i = 0; i < 12; i++)
        n += transfer(seed + i, 200000, i % 3 ? NULL : "tcp_sack = 0 tcp_timestamps = 0");
    CU_ASSERT_TRUE(n > 50);
}

static void small_windows(void)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < 4; i++)
        (void)transfer(seed + i, 40000, "rmem_size = 4096");
}

static void a_megabyte(void)
{
    CU_ASSERT_TRUE(transfer(test_seed(), 1000000, NULL) > 0);
}

TEST_SUITE(mos_wire_edit, TEST_CASE(numbers_of_both_directions_follow),
           TEST_CASE(bytes_sent_again_are_changed_again),
           TEST_CASE(what_is_taken_out_is_acknowledged), TEST_CASE(what_was_taken_out_comes_again),
           TEST_CASE(both_directions_at_once), TEST_CASE(sack_blocks_are_translated),
           TEST_CASE(windows_shrink_by_what_is_put_in),
           TEST_CASE(what_reaches_beyond_the_window_waits),
           TEST_CASE(icmp_errors_quote_what_the_sender_knows), TEST_CASE(long_segments_are_cut),
           TEST_CASE(pieces_are_as_any_path_bears), TEST_CASE(what_was_forwarded_stays),
           TEST_CASE(some_packets_bear_no_other_length),
           TEST_CASE(what_was_dropped_was_not_changed),
           TEST_CASE(numbers_are_translated_without_a_monitor_too),
           TEST_CASE(resets_have_the_right_numbers), TEST_CASE(forgotten_connections_are_reset),
           TEST_CASE(streams_through_a_bad_link), TEST_CASE(small_windows), TEST_CASE(a_megabyte));

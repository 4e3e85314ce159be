/* ids: its patterns, and the plugin between segments and an application. */
#include "tests/app_plugin.h"
#include "tests/capture.h"
#include "tests/hand.h"
#include "tests/test.h"
#include "tests/trio.h"

#include "apps/ids/matcher.h"
#include "mtcp/base/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- patterns -------------------------------------------------------------------------------- */

static struct matcher matcher;
static char err[400];

static bool matcher_of(const char *text)
{
    app_begin();
    app_file("patterns", text);
    bool ok = matcher_open(&matcher, app_path("patterns"), err, sizeof(err));
    app_end();
    return ok;
}

static void good_patterns(void)
{
    CU_ASSERT_FATAL(matcher_of("# what to look for\n"
                               "reset  svr  up    /\\.\\.\\/\\.\\.\\//   \r\n"
                               "\n"
                               "\tlog both #2 /a b#c/i\n"
                               "drop cli  x/y  /^x.y$/smu"));
    EXPECT_EQ(matcher.patterns.n, 3);
    const struct ids_pattern *p = matcher.patterns.list;
    EXPECT_EQ(p[0].action, IDS_RESET);
    EXPECT_EQ(p[0].line, 2);
    CU_ASSERT(p[0].is_for[MOS_SIDE_SVR] && !p[0].is_for[MOS_SIDE_CLI]);
    CU_ASSERT_STRING_EQUAL(p[0].name, "up");
    CU_ASSERT_STRING_EQUAL(p[0].regex, "\\.\\.\\/\\.\\.\\/");
    EXPECT_EQ(p[0].flags, HS_FLAG_SINGLEMATCH);
    CU_ASSERT(p[1].is_for[MOS_SIDE_SVR] && p[1].is_for[MOS_SIDE_CLI]);
    CU_ASSERT_STRING_EQUAL(p[1].name, "#2");
    CU_ASSERT_STRING_EQUAL(p[1].regex, "a b#c");
    EXPECT_EQ(p[1].flags, HS_FLAG_SINGLEMATCH | HS_FLAG_CASELESS);
    EXPECT_EQ(p[2].flags, HS_FLAG_SINGLEMATCH | HS_FLAG_DOTALL | HS_FLAG_MULTILINE | HS_FLAG_UTF8);
    CU_ASSERT(matcher.streams_to[MOS_SIDE_SVR] && matcher.streams_to[MOS_SIDE_CLI]);
    CU_ASSERT(!matcher.packets_to[MOS_SIDE_SVR] && matcher.packets_to[MOS_SIDE_CLI]);
    matcher_close(&matcher);
    CU_ASSERT_FATAL(matcher_of("log svr a /a/"));
    CU_ASSERT(matcher.streams_to[MOS_SIDE_SVR] && !matcher.streams_to[MOS_SIDE_CLI]);
    CU_ASSERT_PTR_NULL(matcher.packets);
    matcher_close(&matcher);
}

static void bad_patterns(void)
{
    static const struct {
        const char *line, *word, *fix;
    } rows[] = {
        {"alert svr a /a/", "'alert'", "write log, drop or reset"},
        {"log server a /a/", "'server'", "write svr, cli or both"},
        {"log", "''", "write svr, cli or both"},
        {"log svr /a/", "'/a/'", "write a word before the pattern"},
        {"log svr", "''", "write a word before the pattern"},
        {"log svr a", "''", "write /regular expression/"},
        {"log svr a b", "'b'", "write /regular expression/"},
        {"log svr a /b", "'/b'", "write /regular expression/"},
        {"log svr a //", "'//'", "write /regular expression/"},
        {"log svr a /b/x", "'/b", "write /regular expression/"},
        {"log svr a /b/i # c", "'/b/i # c'", "write /regular expression/"},
        {"log svr a /(b/", "'(b'", "parenthesis"},
        {"drop svr a /b(?=c)/", "'b(?=c)'", "not supported"},
        {"log svr a /b*/", "'b*'", "empty"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text), "# first\nlog svr ok /fine/\n%s\n", rows[i].line);
        CU_ASSERT_FALSE(matcher_of(text));
        bool is_told = strstr(err, "/patterns:3: ") && strstr(err, rows[i].word) &&
                       strstr(err, rows[i].fix) && !strchr(err, '\n');
        if (!is_told)
            fprintf(stderr, "%s: %s\n", rows[i].line, err);
        CU_ASSERT(is_told);
        matcher_close(&matcher);
    }
    CU_ASSERT_FALSE(matcher_of("# none\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "/patterns: no pattern in it"));
    matcher_close(&matcher);
    CU_ASSERT_FALSE(matcher_open(&matcher, "/nowhere/p", err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(err, "/nowhere/p: No such file or directory");
    matcher_close(&matcher);
}

/* ---- an endpoint ----------------------------------------------------------------------------- */

static struct hand h;

static void open_ids(const char *patterns)
{
    app_begin();
    app_file("patterns", patterns);
    hand_open(&h, app_conf("ids", "patterns=%s/patterns file=%s/out", app_dir, app_dir));
}

static void close_ids(void)
{
    (void)mtcp_abort(h.m, h.sock);
    hand_close(&h);
    app_end();
}

/* All that the application can read, and how it ends: "bytes|", "bytes|reset". */
static const char *app_reads(void)
{
    static char text[1024];
    size_t n = 0;
    ssize_t got;
    while ((got = mtcp_read(h.m, h.sock, text + n, sizeof(text) - 16 - n)) > 0)
        n += (size_t)got;
    strcpy(text + n, got < 0 && errno == ECONNRESET ? "|reset" : got == 0 ? "|fin" : "|");
    return text;
}

/* How many lines of the log have this. */
static unsigned n_lines(const char *what)
{
    unsigned n = 0;
    for (const char *at = app_text("out"); (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void what_is_clean_passes(void)
{
    open_ids("reset both evil /evil/\n");
    hand_send(&h, 0, "GET /ev");
    hand_send(&h, 8, "il HTTP");
    hand_send(&h, 7, "-");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "GET /ev-il HTTP|");
    EXPECT_EQ(mtcp_write(h.m, h.sock, "fine", 4), 4);
    hand_turn(&h);
    EXPECT_EQ(h.n_rst, 0);
    EXPECT_EQ(strlen(app_text("out")), 0);
    close_ids();
}

/* Of the bytes that complete a pattern none reaches the application. */
static void split_over_segments(void)
{
    open_ids("reset svr evil /evil/\n");
    hand_send(&h, 0, "GET /ev");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "GET /ev|");
    hand_send(&h, 7, "i");
    hand_turn(&h);
    hand_send(&h, 8, "l HTTP");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "|reset"); /* the i waited unread: it goes too */
    EXPECT_EQ(h.n_rst, 1);
    EXPECT_EQ(n_lines("10.0.0.2:40001 > 10.0.0.1:80 svr evil 9 reset\n"), 1);
    hand_connect(&h); /* others are served on */
    hand_send(&h, 0, "good");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "good|");
    close_ids();
}

static void reordered(void)
{
    open_ids("reset svr evil /evil/\n");
    hand_send(&h, 9, "TTP");
    hand_send(&h, 7, "il");
    hand_turn(&h);
    hand_send(&h, 5, "ev");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "|");
    hand_send(&h, 0, "GET /");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "|reset");
    EXPECT_EQ(h.n_rst, 1);
    EXPECT_EQ(n_lines(" svr evil 9 reset\n"), 1);
    close_ids();
}

/* Of two copies of a byte the first counts: for the application, and so for us. */
static void overlapped(void)
{
    open_ids("reset svr evil /evil/\n");
    hand_send(&h, 5, "evXX"); /* the copies that count spell no pattern */
    hand_send(&h, 3, " /evil");
    hand_turn(&h);
    hand_send(&h, 0, "GET /evil");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "GET /evXX|");
    EXPECT_EQ(strlen(app_text("out")), 0);
    hand_connect(&h);
    hand_send(&h, 6, "vi"); /* these do, though no segment has them all */
    hand_send(&h, 5, "eXXl");
    hand_turn(&h);
    hand_send(&h, 0, "GET /XXXX");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "|reset");
    EXPECT_EQ(n_lines(" svr evil 9 reset\n"), 1);
    close_ids();
}

/* A packet that has it alone never was; clean bytes may take its place. */
static void dropped_packets(void)
{
    open_ids("drop svr evil /evil/\n");
    hand_send(&h, 0, "GET /evil HTTP");
    hand_turn(&h);
    hand_send(&h, 14, "/1.1");
    hand_turn(&h);
    hand_send(&h, 0, "GET /evil HTTP"); /* again */
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "|");
    EXPECT_EQ(h.n_rst, 0);
    EXPECT_EQ(n_lines(" svr evil 9 dropped\n"), 2);
    hand_send(&h, 0, "GET /good HTTP");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "GET /good HTTP/1.1|");
    hand_send(&h, 18, "ev"); /* across packets only a reset helps */
    hand_send(&h, 20, "il");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "|reset");
    EXPECT_EQ(n_lines(" svr evil 22 reset\n"), 1);
    close_ids();
}

/* A log disturbs nobody, and names a stream once; sides are kept apart. */
static void logged(void)
{
    open_ids("log svr in /evil/\nlog cli out /evil/\nlog both end /bye$/\n");
    hand_send(&h, 0, "evil evil");
    hand_turn(&h);
    CU_ASSERT_STRING_EQUAL(app_reads(), "evil evil|");
    EXPECT_EQ(mtcp_write(h.m, h.sock, "x evil", 6), 6);
    EXPECT_EQ(mtcp_write(h.m, h.sock, "bye", 3), 3);
    hand_turn(&h);
    EXPECT_EQ(n_lines("\n"), 2);
    EXPECT_EQ(n_lines(" svr in 4 log\n"), 1);
    EXPECT_EQ(n_lines(" cli out 6 log\n"), 1);
    hand_send(&h, 9, "bye and more");
    hand_turn(&h);
    EXPECT_EQ(mtcp_abort(h.m, h.sock), 0);
    hand_turn(&h);
    EXPECT_EQ(n_lines(" cli end 9 log\n"), 1);
    EXPECT_EQ(n_lines("\n"), 3);
    close_ids();
}

/* What this host sends: a packet does not leave. */
static void dropped_on_the_way_out(void)
{
    open_ids("drop cli secret /secret/\n");
    EXPECT_EQ(mtcp_write(h.m, h.sock, "a secret", 8), 8);
    unsigned before = h.n_seg;
    hand_turn(&h);
    EXPECT_EQ(h.n_seg, before);
    EXPECT_EQ(n_lines(" cli secret 8 dropped\n"), 1);
    close_ids();
}

/* ---- any segmentation ------------------------------------------------------------------------ */

#define STREAM_LEN 200

/* Sends pieces of random place and length, overlapping, until all bytes were there; the application
 * reads now and then. Copies that come late are of other bytes than the first were. What it read of
 * the stream is checked. Returns how much that was. */
static size_t send_random(struct rng *rng, const char *stream)
{
    bool has[STREAM_LEN] = {false};
    size_t n_read = 0;
    for (size_t n_has = 0; n_has < STREAM_LEN && h.n_rst == 0;) {
        char piece[24];
        size_t at = rng_below(rng, STREAM_LEN), len = 1 + rng_below(rng, sizeof(piece) - 1);
        for (size_t i = 0; i < len && at + i < STREAM_LEN; i++) {
            piece[i] = has[at + i] ? '?' : stream[at + i];
            n_has += !has[at + i];
            has[at + i] = true;
        }
        hand_send_n(&h, (int64_t)at, piece, at + len < STREAM_LEN ? len : STREAM_LEN - at);
        if (rng_below(rng, 3) == 0)
            hand_turn(&h);
        if (rng_below(rng, 5) == 0) {
            const char *got = app_reads();
            size_t n = strcspn(got, "|");
            EXPECT_EQ(memcmp(got, stream + n_read, n), 0);
            n_read += n;
        }
    }
    hand_turn(&h);
    const char *got = app_reads();
    size_t n = strcspn(got, "|");
    EXPECT_EQ(memcmp(got, stream + n_read, n), 0);
    return n_read + n;
}

static void however_it_is_cut(void)
{
    struct rng rng;
    char stream[STREAM_LEN + 1];
    rng_init(&rng, test_seed());
    open_ids("reset svr evil /evil/\ndrop svr never /nevernever/\n");
    for (int round = 0; round < 200; round++) {
        size_t at = rng_below(&rng, STREAM_LEN - 4);
        bool is_evil = round % 4 != 0;
        for (size_t i = 0; i < STREAM_LEN; i++)
            stream[i] = "evi-"[rng_below(&rng, 4)]; /* much that begins like it */
        if (is_evil)
            memcpy(stream + at, "evil", 4);
        size_t n = send_random(&rng, stream);
        if (is_evil)
            CU_ASSERT(n < at + 4);
        EXPECT_EQ(h.n_rst, is_evil);
        if (!is_evil)
            EXPECT_EQ(n, STREAM_LEN);
        (void)mtcp_abort(h.m, h.sock);
        hand_turn(&h);
        hand_connect(&h);
    }
    close_ids();
}

/* ---- no endpoint: what was done, and no more, is in the line --------------------------------- */

static const char *conf_of(const char *patterns)
{
    app_begin();
    app_file("patterns", patterns);
    return app_conf("ids", "patterns=%s/patterns file=%s/out", app_dir, app_dir);
}

static void between_two_devices(void)
{
    struct trio t;
    const struct trio_conf conf = {.mid = conf_of("reset svr evil /evil/\n")};
    char buf[16];
    trio_open(&t, &conf);
    int l = trio_listen(&t, 80), c = trio_connect(&t, 80);
    trio_run(&t, 10000);
    int s = mtcp_accept4(t.m[TRIO_SRV], l, NULL, NULL, SOCK_NONBLOCK);
    CU_ASSERT_FATAL(s >= 0);
    EXPECT_EQ(mtcp_write(t.m[TRIO_CLI], c, "so evil", 7), 7);
    trio_run(&t, 10000);
    EXPECT_EQ(n_lines(" svr evil 7 reset\n"), 1);
    EXPECT_EQ(mtcp_read(t.m[TRIO_CLI], c, buf, sizeof(buf)), -1);
    EXPECT_EQ(errno, ECONNRESET);
    mtcp_close(t.m[TRIO_CLI], c);
    mtcp_close(t.m[TRIO_SRV], s);
    mtcp_close(t.m[TRIO_SRV], l);
    trio_close(&t);
    app_end();
}

static void of_the_past(void)
{
    char conf[2200];
    snprintf(conf, sizeof(conf), "mos { netdev cap { } %s }", conf_of("reset svr evil /evil/\n"));
    struct mtcp_io *io = capture_begin();
    capture_add(1000, true, TCP_SYN, 99, 0, "");
    capture_add(1010, false, TCP_SYN | TCP_ACK, 499, 100, "");
    capture_add(1020, true, TCP_ACK, 100, 500, "so evil, so evil");
    mctx_t m = mtcp_create_context_io(0, conf, &io, 1, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    mtcp_app_join(m);
    EXPECT_EQ(mtcp_destroy_context(m), 0);
    EXPECT_EQ(n_lines(" svr evil 7 log\n"), 1);
    EXPECT_EQ(n_lines("\n"), 1);
    app_end();
}

TEST_SUITE(ids_app, TEST_CASE(good_patterns), TEST_CASE(bad_patterns),
           TEST_CASE(what_is_clean_passes), TEST_CASE(split_over_segments), TEST_CASE(reordered),
           TEST_CASE(overlapped), TEST_CASE(dropped_packets), TEST_CASE(logged),
           TEST_CASE(between_two_devices), TEST_CASE(of_the_past),
           TEST_CASE(dropped_on_the_way_out), TEST_CASE(however_it_is_cut));

/* The lines of the log and its header, to the letter; its args. */
#include "tests/test.h"

#include "apps/connlog/line.h"
#include "apps/connlog/options.h"

#include <stdlib.h>
#include <string.h>

static struct record r;
static char out[LINE_MAX_BYTES + 1];

static struct line a_line(void)
{
    struct line l = {
        .start_us = 1591367999305988,
        .duration_us = 4042,
        .uid = "CMdzit1AMNsmfAIiQc",
        .addr = {"192.168.4.76", "fd00::53"},
        .port = {36844, 53},
        .service = "http",
        .local = RESPONDER,
        .record = &r,
    };

    record_init(&r, 0);
    strcpy(r.history, "ShAd");
    r.n_history = 4;
    r.host[ORIGINATOR].end = 62;
    r.host[RESPONDER].end = 141;
    r.host[ORIGINATOR].n_pkts = 2;
    r.host[ORIGINATOR].n_ip_bytes = 118;
    r.host[RESPONDER].n_pkts = 3;
    r.host[RESPONDER].n_ip_bytes = 197;
    return l;
}

static const char *written(enum line_format format, const struct line *l)
{
    out[line_write(format, l, out)] = '\0';
    return out;
}

static void tsv(void)
{
    struct line l = a_line();

    CU_ASSERT_STRING_EQUAL(
        written(LINE_TSV, &l),
        "1591367999.305988\tCMdzit1AMNsmfAIiQc\t192.168.4.76\t36844\tfd00::53\t53\ttcp\thttp\t"
        "0.004042\t62\t141\tOTH\tF\tT\t0\tShAd\t2\t118\t3\t197\n");
    l.service = NULL;
    l.duration_us = 0;
    l.local = -1;
    r.history[0] = '\0';
    r.n_history = 0;
    CU_ASSERT_STRING_EQUAL(
        written(LINE_TSV, &l),
        "1591367999.305988\tCMdzit1AMNsmfAIiQc\t192.168.4.76\t36844\tfd00::53\t53\ttcp\t-\t"
        "-\t-\t-\tOTH\t-\t-\t0\t-\t2\t118\t3\t197\n");
}

static void json(void)
{
    struct line l = a_line();

    CU_ASSERT_STRING_EQUAL(
        written(LINE_JSON, &l),
        "{\"ts\":1591367999.305988,\"uid\":\"CMdzit1AMNsmfAIiQc\",\"id.orig_h\":\"192.168.4.76\","
        "\"id.orig_p\":36844,\"id.resp_h\":\"fd00::53\",\"id.resp_p\":53,\"proto\":\"tcp\","
        "\"service\":\"http\",\"duration\":0.004042,\"orig_bytes\":62,\"resp_bytes\":141,"
        "\"conn_state\":\"OTH\",\"local_orig\":false,\"local_resp\":true,\"missed_bytes\":0,"
        "\"history\":\"ShAd\",\"orig_pkts\":2,\"orig_ip_bytes\":118,\"resp_pkts\":3,"
        "\"resp_ip_bytes\":197}\n");
    l.service = NULL;
    l.duration_us = 0;
    l.local = -1;
    CU_ASSERT_STRING_EQUAL(
        written(LINE_JSON, &l),
        "{\"ts\":1591367999.305988,\"uid\":\"CMdzit1AMNsmfAIiQc\",\"id.orig_h\":\"192.168.4.76\","
        "\"id.orig_p\":36844,\"id.resp_h\":\"fd00::53\",\"id.resp_p\":53,\"proto\":\"tcp\","
        "\"conn_state\":\"OTH\",\"missed_bytes\":0,\"history\":\"ShAd\",\"orig_pkts\":2,"
        "\"orig_ip_bytes\":118,\"resp_pkts\":3,\"resp_ip_bytes\":197}\n");
}

/* The longest values that there can be leave room. */
static void the_longest(void)
{
    struct line l = a_line();

    l.start_us = l.duration_us = UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        memset(l.addr[i], 'f', sizeof(l.addr[i]) - 1);
        l.port[i] = 65535;
        r.host[i].n_pkts = r.host[i].n_ip_bytes = UINT64_MAX;
        r.host[i].end = INT64_MAX;
    }
    memset(r.history, 'w', HISTORY_MAX);
    r.n_history = HISTORY_MAX;
    r.missed = UINT64_MAX;
    CU_ASSERT(line_write(LINE_TSV, &l, out) < LINE_MAX_BYTES - 1);
    size_t n = line_write(LINE_JSON, &l, out);
    CU_ASSERT(n < LINE_MAX_BYTES - 1);
    EXPECT_EQ(out[n - 1], '\n');
}

static unsigned tabs(const char *text)
{
    unsigned n = 0;

    for (; *text != '\n'; text++)
        n += *text == '\t';
    return n;
}

static void header(void)
{
    struct line l = a_line();

    setenv("TZ", "UTC", 1);
    size_t n = line_header(LINE_TSV, 1000000000, out);
    CU_ASSERT(n < LINE_MAX_BYTES - 1);
    out[n] = '\0';
    CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(out, "#fields\tts\tuid\tid.orig_h\t"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(out, "#types\ttime\tstring\taddr\tport\taddr\tport\tenum"));
    CU_ASSERT_EQUAL(strncmp(out, "#separator \\x09\n", 16), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n#path\tconn\n#open\t2001-09-09-01-46-40\n#fields"));
    unsigned fields = tabs(strstr(out, "#fields")), types = tabs(strstr(out, "#types"));
    EXPECT_EQ(fields, 20);
    EXPECT_EQ(types, 20);
    EXPECT_EQ(tabs(written(LINE_TSV, &l)), 19);
    out[line_footer(LINE_TSV, 1000000000, out)] = '\0';
    CU_ASSERT_STRING_EQUAL(out, "#close\t2001-09-09-01-46-40\n");
    EXPECT_EQ(line_header(LINE_JSON, 0, out), 0);
    EXPECT_EQ(line_footer(LINE_JSON, 0, out), 0);
}

static void names(void)
{
    char a[24], b[24];

    line_uid(a, 1, 1);
    EXPECT_EQ(strlen(a), 18);
    EXPECT_EQ(a[0], 'C');
    EXPECT_EQ(strspn(a, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), 18);
    line_uid(b, 1, 1);
    CU_ASSERT_STRING_EQUAL(a, b);
    line_uid(b, 1, 2);
    CU_ASSERT_STRING_NOT_EQUAL(a, b);
    line_uid(b, 2, 1);
    CU_ASSERT_STRING_NOT_EQUAL(a, b);
}

static void options(void)
{
    static const char *const wrong[] = {"file=", "file", "format=xml", "format", "json", "files=x"};
    struct connlog_options o;
    char err[200], args[400] = "file=";

    CU_ASSERT(connlog_options_read(&o, "", err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(o.file, "");
    EXPECT_EQ(o.format, LINE_TSV);
    CU_ASSERT(connlog_options_read(&o, " format=json  file=/tmp/x ", err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(o.file, "/tmp/x");
    EXPECT_EQ(o.format, LINE_JSON);
    CU_ASSERT(connlog_options_read(&o, "format=tsv", err, sizeof(err)));
    EXPECT_EQ(o.format, LINE_TSV);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        err[0] = '\0';
        CU_ASSERT_FALSE(connlog_options_read(&o, wrong[i], err, sizeof(err)));
        CU_ASSERT_PTR_NOT_NULL(strstr(err, wrong[i]));
    }
    memset(args + 5, 'a', sizeof(o.file));
    CU_ASSERT_FALSE(connlog_options_read(&o, args, err, sizeof(err)));
}

TEST_SUITE(connlog_line, TEST_CASE(tsv), TEST_CASE(json), TEST_CASE(the_longest), TEST_CASE(header),
           TEST_CASE(names), TEST_CASE(options));

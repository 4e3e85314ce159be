/* Rows: the first ones by any column, their text; the board that contexts share; reports, args. */
#include "tests/test.h"

#include "apps/tcpstat/board.h"
#include "apps/tcpstat/options.h"
#include "apps/tcpstat/report.h"

#include "mtcp/base/rng.h"

#include <mtcp_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 5000

static struct table t;

static struct row a_row(uint16_t port, uint64_t again)
{
    struct row r = {.host = {{.addr = {[12] = 10, 0, 0, 1}, .port = port, .is_v4 = true},
                             {.addr = {0xfd, [15] = 2}, .port = 80}},
                    .state = {MOS_TCPS_ESTABLISHED, MOS_TCPS_FIN_WAIT_1}};
    r.value[COLUMN_AGAIN] = again;
    return r;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x > y ? -1 : x < y;
}

/* The first TABLE_ROWS of many are those that sorting them all gives. */
static void the_first_of_many(void)
{
    static uint64_t all[N];
    struct rng rng;

    rng_init(&rng, test_seed());
    table_init(&t, COLUMN_AGAIN, false);
    for (int i = 0; i < N; i++) {
        all[i] = rng_below(&rng, 1000);
        struct row r = a_row((uint16_t)i, all[i]);
        table_add(&t, &r);
    }
    table_sort(&t);
    qsort(all, N, sizeof(all[0]), descending);
    EXPECT_EQ(t.n, TABLE_ROWS);
    for (unsigned i = 0; i < TABLE_ROWS; i++)
        EXPECT_EQ(t.row[i].value[COLUMN_AGAIN], all[i]);
    for (unsigned i = 1; i < TABLE_ROWS; i++) /* like ones by their addresses */
        CU_ASSERT(t.row[i].value[COLUMN_AGAIN] != t.row[i - 1].value[COLUMN_AGAIN] ||
                  t.row[i].host[0].port > t.row[i - 1].host[0].port);
}

static void by_any_column(void)
{
    for (int c = 0; c < COLUMNS; c++)
        for (int ascending = 0; ascending < 2; ascending++) {
            table_init(&t, (enum column)c, ascending);
            for (uint16_t i = 0; i < 3; i++) {
                struct row r = a_row(i, 0);
                r.host[COLUMN_SERVER].port = i;
                r.state[1] = (uint8_t)i;
                if (c >= COLUMN_AGE)
                    r.value[c] = i;
                table_add(&t, &r);
            }
            table_sort(&t);
            for (uint16_t i = 0; i < 3; i++)
                EXPECT_EQ(t.row[i].host[0].port, ascending ? i : 2 - i);
        }
}

static void names(void)
{
    enum column found;

    for (int c = 0; c < COLUMNS; c++) {
        CU_ASSERT(column_find(column_name((enum column)c), &found));
        EXPECT_EQ(found, c);
        CU_ASSERT(strlen(column_title((enum column)c)) <= (size_t)column_width((enum column)c));
    }
    CU_ASSERT_FALSE(column_find("nonsense", &found));
}

static void text_of(enum column c, uint64_t value, const char *want)
{
    char got[ROW_TEXT_MAX];
    struct row r = a_row(40000, 0);

    r.value[c] = value;
    row_text(&r, c, got);
    CU_ASSERT_STRING_EQUAL(got, want);
}

static void texts(void)
{
    text_of(COLUMN_CLIENT, 0, "10.0.0.1:40000");
    text_of(COLUMN_SERVER, 0, "[fd00::2]:80");
    text_of(COLUMN_STATE, 0, "ESTAB/FIN_1");
    text_of(COLUMN_AGE, 1234567, "1.2");
    text_of(COLUMN_AGE, 123456789012, "123456");
    text_of(COLUMN_RTT_CLI, 0, "-");
    text_of(COLUMN_RTT_CLI, 42, "0.042");
    text_of(COLUMN_RTT_CLI, 99999, "99.999");
    text_of(COLUMN_RTT_CLI, 123456, "123.4");
    text_of(COLUMN_TO_CLI, 999999, "999999");
    text_of(COLUMN_TO_CLI, 1048576, "1024K");
    text_of(COLUMN_AGAIN, 1048576, "1048K");
    text_of(COLUMN_TO_CLI, UINT64_MAX, "16383P");
}

/* Times of a row are of 32 bits, but for its age: here that of a month. */
static void numbers_fit(void)
{
    char got[ROW_TEXT_MAX];
    struct row r = a_row(1, 0);

    for (int c = COLUMN_STATE; c < COLUMNS; c++)
        for (uint64_t v = 1; v < UINT64_C(1) << 60; v *= 3) {
            if ((c >= COLUMN_HANDSHAKE && c <= COLUMN_RTT_SVR && v > UINT32_MAX) ||
                (c == COLUMN_AGE && v > UINT64_C(2592000000000)))
                continue;
            r.value[c] = v;
            row_text(&r, (enum column)c, got);
            CU_ASSERT(strlen(got) <= (size_t)column_width((enum column)c));
        }
}

/* ---- the board ---- */

static struct picture mine, all;
static struct board_slot slots[2];

static void put_one(struct board_slot *s, uint16_t port, bool is_open)
{
    struct row r = a_row(port, port);

    totals_init(&mine.totals);
    table_init(&mine.live, COLUMN_AGAIN, false);
    table_init(&mine.ended, COLUMN_AGAIN, false);
    mine.totals.n_begun = 1;
    table_add(is_open ? &mine.live : &mine.ended, &r);
    CU_ASSERT(board_put(s, &mine));
}

static void board(void)
{
    table_init(&all.live, COLUMN_AGAIN, true);
    table_init(&all.ended, COLUMN_AGAIN, true);
    board_join(&slots[0]);
    board_join(&slots[1]);
    CU_ASSERT(board_get(&all));
    EXPECT_EQ(all.totals.n_begun, 0);
    put_one(&slots[0], 7, true);
    put_one(&slots[1], 3, true);
    CU_ASSERT(board_get(&all));
    EXPECT_EQ(all.totals.n_begun, 2);
    EXPECT_EQ(all.live.n, 2);
    EXPECT_EQ(all.live.row[0].host[0].port, 3);
    put_one(&slots[1], 3, false); /* instead of the picture before */
    CU_ASSERT(board_get(&all));
    EXPECT_EQ(all.totals.n_begun, 2);
    EXPECT_EQ(all.live.n, 1);
    EXPECT_EQ(all.ended.n, 1);
    CU_ASSERT_FALSE(board_leave(&slots[1], &mine));
    CU_ASSERT(board_get(&all)); /* what was measured stays */
    EXPECT_EQ(all.totals.n_begun, 2);
    EXPECT_EQ(all.ended.n, 1);
    CU_ASSERT(board_leave(&slots[0], &mine));
    CU_ASSERT(board_get(&all));
    EXPECT_EQ(all.live.n, 0);
    EXPECT_EQ(all.ended.n, 2);
}

/* ---- reports ---- */

static const char *reported(enum report_format format, const struct totals *totals, unsigned n)
{
    static char text[16384];
    FILE *out = fmemopen(text, sizeof(text), "w");

    report_write(out, format, totals, &t, n);
    fclose(out);
    return text;
}

static void reports(void)
{
    static struct totals totals;
    struct row r = a_row(40000, 12);

    totals_init(&totals);
    totals.n_begun = 3;
    totals.n_ended = 2;
    totals.count[MOS_SIDE_CLI][COUNT_DUP_ACKS] = 77;
    histogram_add(&totals.handshake, 1500);
    table_init(&t, COLUMN_AGAIN, false);
    table_add(&t, &r);
    const char *text = reported(REPORT_TEXT, &totals, 5);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "connections            3 begun, 2 ended\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "\nduplicate ACKs                      77               0\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nhandshake              n 1  min 1.500  p50 1.500 "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nround trip to clients  none\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "\n10.0.0.1:40000        [fd00::2]:80          ESTAB/FIN_1"));
    text = reported(REPORT_JSON, &totals, 5);
    CU_ASSERT_EQUAL(strncmp(text, "{\"begun\":3,\"ended\":2,\"clients_sent\":{\"segments\":0,", 50),
                    0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"dup_acks\":77,"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ",\"handshake_us\":{\"n\":1,\"min\":1500,\"max\":1500,"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"rtt_cli_us\":{\"n\":0}"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "[{\"client\":\"10.0.0.1:40000\",\"server\":\"[fd00::2]:80\","));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"again\":12,"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reported(REPORT_JSON, &totals, 0), "\"connections\":[]}\n"));
}

static void options(void)
{
    static const char *const wrong[] = {
        "screens", "screen=", "report", "report=",    "format=x",     "sort=x",
        "sort",    "top=201", "top=",   "interval=9", "interval=1e3", "live"};
    struct tcpstat_options o;
    char err[400];

    CU_ASSERT(tcpstat_options_read(&o, "", err, sizeof(err)));
    EXPECT_EQ(o.has_screen, false);
    EXPECT_EQ(o.sort, COLUMN_AGAIN);
    EXPECT_EQ(o.top, 20);
    EXPECT_EQ(o.interval_ms, 1000);
    CU_ASSERT(tcpstat_options_read(
        &o, "screen report=/r format=json sort=rtt_cli_us top=0 interval=250", err, sizeof(err)));
    EXPECT_EQ(o.has_screen, true);
    CU_ASSERT_STRING_EQUAL(o.screen, "");
    CU_ASSERT_STRING_EQUAL(o.report, "/r");
    EXPECT_EQ(o.format, REPORT_JSON);
    EXPECT_EQ(o.sort, COLUMN_RTT_CLI);
    EXPECT_EQ(o.top, 0);
    EXPECT_EQ(o.interval_ms, 250);
    CU_ASSERT(tcpstat_options_read(&o, "screen=/dev/pts/3 format=text", err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(o.screen, "/dev/pts/3");
    EXPECT_EQ(o.format, REPORT_TEXT);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        err[0] = '\0';
        CU_ASSERT_FALSE(tcpstat_options_read(&o, wrong[i], err, sizeof(err)));
        CU_ASSERT_PTR_NOT_NULL(strstr(err, wrong[i]));
    }
}

TEST_SUITE(tcpstat_table, TEST_CASE(the_first_of_many), TEST_CASE(by_any_column), TEST_CASE(names),
           TEST_CASE(texts), TEST_CASE(numbers_fit), TEST_CASE(board), TEST_CASE(reports),
           TEST_CASE(options));

/* Lines reach the sink, or cost nothing. */
#include "tests/test.h"

#include "mtcp/base/log.h"

#include <string.h>

struct sink {
    unsigned n;
    enum log_level level;
    char line[1024];
};

static void sink_line(void *arg, enum log_level level, const char *line)
{
    struct sink *s = arg;
    s->n++;
    s->level = level;
    (void)strncpy(s->line, line, sizeof(s->line) - 1);
}

static void formats_for_the_sink(void)
{
    struct sink s = {0};
    struct log l = {sink_line, &s, LOG_INFO};
    log_line(&l, LOG_WARN, "%s has %d", "eth0", 7);
    EXPECT_EQ(s.n, 1);
    EXPECT_EQ(s.level, LOG_WARN);
    CU_ASSERT_STRING_EQUAL(s.line, "eth0 has 7");
}

static void drops_what_is_above_the_level(void)
{
    struct sink s = {0};
    struct log l = {sink_line, &s, LOG_WARN};
    log_line(&l, LOG_INFO, "no");
    EXPECT_EQ(s.n, 0);
    log_line(&l, LOG_ERROR, "yes");
    EXPECT_EQ(s.n, 1);
}

static void is_silent_without_a_sink(void)
{
    struct log l = {NULL, NULL, LOG_DEBUG};
    log_line(&l, LOG_ERROR, "nobody hears %s", "this");
    log_line(NULL, LOG_ERROR, "nor this");
}

static void one_call_is_one_printable_line(void)
{
    struct sink s = {0};
    struct log l = {sink_line, &s, LOG_DEBUG};
    log_line(&l, LOG_DEBUG, "a\nb\x1b[2J\x7f\tc");
    CU_ASSERT_STRING_EQUAL(s.line, "a b [2J  c");
}

static void cuts_long_lines(void)
{
    struct sink s = {0};
    struct log l = {sink_line, &s, LOG_DEBUG};
    log_line(&l, LOG_DEBUG, "%0900d", 1);
    EXPECT_EQ(strlen(s.line), 511);
}

static void names_its_levels(void)
{
    CU_ASSERT_STRING_EQUAL(log_level_name(LOG_ERROR), "error");
    CU_ASSERT_STRING_EQUAL(log_level_name(LOG_DEBUG), "debug");
    CU_ASSERT_STRING_EQUAL(log_level_name((enum log_level)99), "?");
}

TEST_SUITE(log, TEST_CASE(formats_for_the_sink), TEST_CASE(drops_what_is_above_the_level),
           TEST_CASE(is_silent_without_a_sink), TEST_CASE(one_call_is_one_printable_line),
           TEST_CASE(cuts_long_lines), TEST_CASE(names_its_levels));

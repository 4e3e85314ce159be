/* The args of flowlog. */
#include "tests/test.h"

#include "apps/flowlog/options.h"

#include <string.h>

static struct flowlog_options o;
static char err[200];

static void defaults(void)
{
    CU_ASSERT(flowlog_options_read(&o, "", err, sizeof(err)));
    CU_ASSERT(flowlog_options_read(&o, "   ", err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(o.file, "");
    EXPECT_EQ(o.events, FLOWLOG_ALL);
    EXPECT_EQ(o.edges, false);
}

static void each_word(void)
{
    CU_ASSERT(
        flowlog_options_read(&o, " edges  file=/tmp/x events=start,end,data ", err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(o.file, "/tmp/x");
    EXPECT_EQ(o.events, FLOWLOG_START | FLOWLOG_END | FLOWLOG_DATA);
    EXPECT_EQ(o.edges, true);
    EXPECT_EQ(o.n_lines, 0);
    CU_ASSERT(flowlog_options_read(&o, "lines=120", err, sizeof(err)));
    EXPECT_EQ(o.n_lines, 120);
    CU_ASSERT(flowlog_options_read(&o, "events=state,rexmit,error", err, sizeof(err)));
    EXPECT_EQ(o.events, FLOWLOG_STATE | FLOWLOG_REXMIT | FLOWLOG_ERROR);
}

static void wrong_words_are_named(void)
{
    static const char *const words[] = {"edge",        "edges=1",
                                        "file=",       "file",
                                        "events=",     "events=begin",
                                        "events=end,", "events=,end",
                                        "starting",    "events=start x",
                                        "lines=",      "lines=0",
                                        "lines=1x",    "lines=1000000000000000000000"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        err[0] = '\0';
        CU_ASSERT_FALSE(flowlog_options_read(&o, words[i], err, sizeof(err)));
        CU_ASSERT(strstr(err, strrchr(words[i], ' ') ? "'x'" : words[i]) != NULL);
    }
}

static void long_names_are_refused(void)
{
    char args[400] = "file=";

    memset(args + 5, 'a', sizeof(o.file));
    CU_ASSERT_FALSE(flowlog_options_read(&o, args, err, sizeof(err)));
    args[5 + sizeof(o.file) - 1] = '\0';
    CU_ASSERT(flowlog_options_read(&o, args, err, sizeof(err)));
    EXPECT_EQ(strlen(o.file), sizeof(o.file) - 1);
}

TEST_SUITE(flowlog_options, TEST_CASE(defaults), TEST_CASE(each_word),
           TEST_CASE(wrong_words_are_named), TEST_CASE(long_names_are_refused));

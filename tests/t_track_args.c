/* The words of a plugin's args. */
#include "tests/test.h"

#include "apps/track/args.h"

#include <string.h>

static void words(void)
{
    const char *at = "  live  file=/a=b x= =y";
    struct arg a;

    CU_ASSERT(arg_next(&at, &a));
    CU_ASSERT(arg_is_word(&a, "live"));
    CU_ASSERT_FALSE(arg_has_value(&a, "live"));
    CU_ASSERT_FALSE(arg_is_word(&a, "liv"));
    CU_ASSERT_FALSE(arg_is_word(&a, "lively"));
    CU_ASSERT(arg_next(&at, &a));
    CU_ASSERT(arg_has_value(&a, "file"));
    CU_ASSERT_FALSE(arg_is_word(&a, "file"));
    CU_ASSERT(arg_equals(&a, "/a=b"));
    CU_ASSERT_FALSE(arg_equals(&a, "/a="));
    EXPECT_EQ(a.len, 9);
    CU_ASSERT(arg_next(&at, &a));
    CU_ASSERT(arg_has_value(&a, "x"));
    EXPECT_EQ(a.value_len, 0);
    CU_ASSERT(arg_next(&at, &a));
    CU_ASSERT(arg_has_value(&a, ""));
    CU_ASSERT_FALSE(arg_next(&at, &a));
    CU_ASSERT_FALSE(arg_next(&at, &a));
}

static void texts(void)
{
    const char *at = "k=abc k= k";
    char to[4] = "";
    struct arg a;

    CU_ASSERT(arg_next(&at, &a));
    CU_ASSERT(arg_text(&a, to, 4));
    CU_ASSERT_STRING_EQUAL(to, "abc");
    CU_ASSERT_FALSE(arg_text(&a, to, 3));
    CU_ASSERT(arg_next(&at, &a));
    CU_ASSERT_FALSE(arg_text(&a, to, 4));
    CU_ASSERT(arg_next(&at, &a));
    CU_ASSERT_FALSE(arg_text(&a, to, 4));
}

static void numbers(void)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t n;
    } rows[] = {{"k=7", true, 7},   {"k=500", true, 500},
                {"k=6", false, 0},  {"k=501", false, 0},
                {"k=", false, 0},   {"k", false, 0},
                {"k=7x", false, 0}, {"k=-7", false, 0},
                {"k=07", true, 7},  {"k=18446744073709551623", false, 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *at = rows[i].text;
        struct arg a;
        uint64_t n = 0;
        CU_ASSERT(arg_next(&at, &a));
        CU_ASSERT_EQUAL(arg_number(&a, 7, 500, &n), rows[i].ok);
        if (rows[i].ok)
            EXPECT_EQ(n, rows[i].n);
    }
}

TEST_SUITE(track_args, TEST_CASE(words), TEST_CASE(texts), TEST_CASE(numbers));

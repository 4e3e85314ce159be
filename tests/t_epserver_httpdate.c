/* HTTP's dates, both ways. */
#include "tests/test.h"

#include "apps/epserver/httpdate.h"

#include "mtcp/base/rng.h"

static void the_known_one(void)
{
    char text[HTTPDATE_LEN + 1];

    httpdate_format(text, 784111777);
    CU_ASSERT_STRING_EQUAL(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    httpdate_format(text, 0);
    CU_ASSERT_STRING_EQUAL(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    httpdate_format(text, 1709164799); /* a leap day */
    CU_ASSERT_STRING_EQUAL(text, "Wed, 28 Feb 2024 23:59:59 GMT");
}

static void all_three_forms_are_read(void)
{
    static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    time_t t = 0;

    for (int i = 0; i < 3; i++) {
        CU_ASSERT(httpdate_parse(forms[i], &t));
        EXPECT_EQ(t, 784111777);
    }
    CU_ASSERT(httpdate_parse("Friday, 01-Jan-38 00:00:00 GMT", &t));
    EXPECT_EQ(t, 2145916800);
}

static void others_are_refused(void)
{
    static const char *const texts[] = {
        "",
        "now",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun Nov  6 08:49:37",
    };
    time_t t = 5;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        CU_ASSERT_FALSE(httpdate_parse(texts[i], &t));
    EXPECT_EQ(t, 5);
}

static void what_is_written_is_read(void)
{
    struct rng rng;
    char text[HTTPDATE_LEN + 1];

    rng_init(&rng, test_seed());
    for (int i = 0; i < 2000; i++) {
        time_t t = (time_t)rng_below(&rng, UINT32_MAX), back = 0;
        httpdate_format(text, t);
        CU_ASSERT(httpdate_parse(text, &back));
        EXPECT_EQ(back, t);
    }
}

TEST_SUITE(epserver_httpdate, TEST_CASE(the_known_one), TEST_CASE(all_three_forms_are_read),
           TEST_CASE(others_are_refused), TEST_CASE(what_is_written_is_read));

/* Guessing a protocol from the first bytes. */
#include "tests/test.h"

#include "apps/connlog/service.h"

#include <string.h>

static void known(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *name;
    } rows[] = {
        {"GET / HTTP/1.1\r\n", 16, "http"},     {"OPTIONS * HTTP/1", 16, "http"},
        {"HTTP/1.1 200 OK\r", 16, "http"},      {"SSH-2.0-OpenSSH_", 16, "ssh"},
        {"\x16\x03\x01\x02\x00\x01", 6, "ssl"}, {"\x16\x03\x03\x00\x7a\x02", 6, "ssl"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *name = NULL;
        EXPECT_EQ(service_guess(rows[i].bytes, rows[i].n, &name), SERVICE_KNOWN);
        CU_ASSERT_STRING_EQUAL(name, rows[i].name);
    }
}

/* Every beginning of a known one needs more; with one byte changed it is none. */
static void beginnings(void)
{
    static const char *const starts[] = {"DELETE ", "SSH-1.", "\x16\x03\x02\x11\x11\x02"};
    const char *name;

    for (size_t i = 0; i < 3; i++) {
        size_t len = i == 2 ? 6 : strlen(starts[i]);
        for (size_t n = 0; n < len; n++) {
            char other[16];
            EXPECT_EQ(service_guess(starts[i], n, &name), SERVICE_NEEDS_MORE);
            if (n == 0 || (i == 2 && n > 2))
                continue;
            memcpy(other, starts[i], n);
            other[n - 1] = '~';
            EXPECT_EQ(service_guess(other, n, &name), SERVICE_UNKNOWN);
        }
    }
}

static void unknown(void)
{
    const char *name;

    EXPECT_EQ(service_guess("\x16\x03\x01\x02\x00\x0b", 6, &name), SERVICE_UNKNOWN);
    EXPECT_EQ(service_guess("GETS", 4, &name), SERVICE_UNKNOWN);
    EXPECT_EQ(service_guess("get / HTTP/1.0\r\n", 16, &name), SERVICE_UNKNOWN);
    EXPECT_EQ(service_guess("220 mail ESMTP  ", SERVICE_BYTES, &name), SERVICE_UNKNOWN);
}

TEST_SUITE(connlog_service, TEST_CASE(known), TEST_CASE(beginnings), TEST_CASE(unknown));

/* Where to go, and what for. */
#include "tests/test.h"

#include "apps/epclient/url.h"

#include <arpa/inet.h>
#include <string.h>

static struct url url;

static void expect(const char *text, const char *host, uint16_t port, const char *path)
{
    CU_ASSERT(url_parse(&url, text));
    CU_ASSERT_STRING_EQUAL(url.host, host);
    CU_ASSERT_STRING_EQUAL(url.path, path);
    EXPECT_EQ(ntohs(url.addr.sin_port), port);
    EXPECT_EQ(url.addr.sin_family, AF_INET);
    EXPECT_EQ(ntohl(url.addr.sin_addr.s_addr), 0x0a090002);
}

static void good_ones(void)
{
    expect("http://10.9.0.2/", "10.9.0.2", 80, "/");
    expect("http://10.9.0.2", "10.9.0.2", 80, "/");
    expect("HTTP://10.9.0.2:8080/a/b?c#d", "10.9.0.2:8080", 8080, "/a/b?c");
    expect("10.9.0.2:9", "10.9.0.2:9", 9, "/");
    expect("http://10.9.0.2?x", "10.9.0.2", 80, "/?x");
}

static void wrong_ones(void)
{
    static const char *const texts[] = {
        "",
        "http://",
        "http:///a",
        "https://10.9.0.2/",
        "example.org",
        "10.9.0",
        "10.9.0.2:0",
        "10.9.0.2:65536",
        "10.9.0.2:",
        "10.9.0.2:8o",
        "10.9.0.2: 80",
        "10.9.0.2/a b",
        "10.9.0.2/a\r\nX: y",
        "10.9.0.256",
        "[::1]:80",
        "10.9.0.2:00000000000000000000000000000000000000000000000000000080",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        CU_ASSERT_FALSE(url_parse(&url, texts[i]));
}

static void long_paths_are_refused(void)
{
    char text[sizeof(url.path) + 32] = "10.9.0.2/";

    memset(text + strlen(text), 'a', sizeof(text) - 1 - strlen(text));
    text[strlen("10.9.0.2") + sizeof(url.path) - 2] = '\0';
    CU_ASSERT(url_parse(&url, text));
    EXPECT_EQ(strlen(url.path), sizeof(url.path) - 2);
    text[strlen(text)] = 'a';
    text[strlen("10.9.0.2") + sizeof(url.path) - 1] = '\0';
    CU_ASSERT_FALSE(url_parse(&url, text));
}

TEST_SUITE(epclient_url, TEST_CASE(good_ones), TEST_CASE(wrong_ones),
           TEST_CASE(long_paths_are_refused));

/* Where to go, and what for. */
#include "tests/test.h"

#include "apps/epclient/url.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

static struct url url;

static void expect(const char *text, const char *host, uint16_t port, const char *path)
{
    CU_ASSERT(url_parse(&url, text));
    CU_ASSERT_STRING_EQUAL(url.host, host);
    CU_ASSERT_STRING_EQUAL(url.path, path);
    CU_ASSERT_STRING_EQUAL(url.name, "");
    EXPECT_EQ(url.n_addrs, 1);
    const struct sockaddr_in *a = (const struct sockaddr_in *)&url.addrs[0].to;
    EXPECT_EQ(url.addrs[0].len, sizeof(*a));
    EXPECT_EQ(ntohs(a->sin_port), port);
    EXPECT_EQ(a->sin_family, AF_INET);
    EXPECT_EQ(ntohl(a->sin_addr.s_addr), 0x0a090002);
}

static void expect6(const char *text, const char *host, const char *addr, uint16_t port)
{
    char got[INET6_ADDRSTRLEN];
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&url.addrs[0].to;
    CU_ASSERT_FATAL(url_parse(&url, text));
    CU_ASSERT_STRING_EQUAL(url.host, host);
    EXPECT_EQ(url.addrs[0].len, sizeof(*a));
    EXPECT_EQ(a->sin6_family, AF_INET6);
    EXPECT_EQ(ntohs(a->sin6_port), port);
    CU_ASSERT_STRING_EQUAL(inet_ntop(AF_INET6, &a->sin6_addr, got, sizeof(got)), addr);
}

static void addresses_in_brackets(void)
{
    static const char *const wrong[] = {"[fd00::2",    "[fd00::2]x", "[fd00::2]:",  "[fd00::g]",
                                        "[10.9.0.2]",  "fd00::2",    "[fe80::1%]",  "[fe80::1%x]",
                                        "[fe80::1%0]", "[]",         "[fd00::2]:0", "[fd00::2]]"};
    expect6("http://[fd00::2]/x", "[fd00::2]", "fd00::2", 80);
    expect6("[fd00::2]:8080", "[fd00::2]:8080", "fd00::2", 8080);
    expect6("http://[fe80::1%3]:81/", "[fe80::1]:81", "fe80::1", 81);
    EXPECT_EQ(((struct sockaddr_in6 *)&url.addrs[0].to)->sin6_scope_id, 3);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CU_ASSERT_FALSE(url_parse(&url, wrong[i]));
}

static void good_ones(void)
{
    expect("http://10.9.0.2/", "10.9.0.2", 80, "/");
    expect("http://10.9.0.2", "10.9.0.2", 80, "/");
    expect("HTTP://10.9.0.2:8080/a/b?c#d", "10.9.0.2:8080", 8080, "/a/b?c");
    expect("10.9.0.2:9", "10.9.0.2:9", 9, "/");
    expect("http://10.9.0.2?x", "10.9.0.2", 80, "/?x");
}

static void names(void)
{
    CU_ASSERT(url_parse(&url, "http://www.example.org:8080/x"));
    CU_ASSERT_STRING_EQUAL(url.host, "www.example.org:8080");
    CU_ASSERT_STRING_EQUAL(url.name, "www.example.org");
    EXPECT_EQ(ntohs(url.port), 8080);
    EXPECT_EQ(url.n_addrs, 0);
    CU_ASSERT(url_parse(&url, "a_b-1.org."));
    CU_ASSERT_STRING_EQUAL(url.name, "a_b-1.org.");
    CU_ASSERT(url_parse(&url, "localhost"));
    CU_ASSERT_STRING_EQUAL(url.name, "localhost");
}

/* An address needs no resolver, and has its family. */
static void addresses_are_resolved(void)
{
    CU_ASSERT(url_parse(&url, "10.9.0.2:81"));
    EXPECT_EQ(url_resolve(&url, AF_UNSPEC), 0);
    EXPECT_EQ(url_resolve(&url, AF_INET), 0);
    EXPECT_EQ(url_resolve(&url, AF_INET6), EAI_ADDRFAMILY);
    EXPECT_EQ(url.n_addrs, 1);
    CU_ASSERT(url_parse(&url, "localhost:81")); /* which /etc/hosts has */
    EXPECT_EQ(url_resolve(&url, AF_INET), 0);
    EXPECT_EQ(url.addrs[0].to.ss_family, AF_INET);
    EXPECT_EQ(ntohs(((struct sockaddr_in *)&url.addrs[0].to)->sin_port), 81);
}

static void wrong_ones(void)
{
    static const char *const texts[] = {
        "",
        "http://",
        "http:///a",
        "https://10.9.0.2/",
        "10.9.0",
        "10.9.0.",
        "1.2.3.4.5",
        "12345",
        ".example.org",
        "-x.org",
        "a@example.org",
        "exa mple.org",
        "ex%61mple.org",
        "example.org:x",
        "10.9.0.2:0",
        "10.9.0.2:65536",
        "10.9.0.2:",
        "10.9.0.2:8o",
        "10.9.0.2: 80",
        "10.9.0.2/a b",
        "10.9.0.2/a\r\nX: y",
        "10.9.0.256",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        CU_ASSERT_FALSE(url_parse(&url, texts[i]));
}

static void long_names_are_refused(void)
{
    char text[sizeof(url.name) + 32];

    memset(text, 'a', sizeof(text));
    strcpy(text + sizeof(url.name) - 1, ":65535/x");
    CU_ASSERT(url_parse(&url, text));
    EXPECT_EQ(strlen(url.name), sizeof(url.name) - 1);
    strcpy(text + sizeof(url.name), "/x");
    text[sizeof(url.name) - 1] = 'a';
    CU_ASSERT_FALSE(url_parse(&url, text));
    memset(text, '0', sizeof(text)); /* a port of as many digits */
    memcpy(text, "10.9.0.2:", 9);
    strcpy(text + sizeof(url.host) - 2, "80");
    CU_ASSERT_FALSE(url_parse(&url, text));
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

TEST_SUITE(epclient_url, TEST_CASE(good_ones), TEST_CASE(names), TEST_CASE(addresses_are_resolved),
           TEST_CASE(addresses_in_brackets), TEST_CASE(wrong_ones),
           TEST_CASE(long_names_are_refused), TEST_CASE(long_paths_are_refused));

/* Requests as they arrive: whole, in every split, one behind the other, and wrong ones. */
#include "tests/test.h"

#include "apps/epserver/request.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct request req;
static http_parser parser;

static enum request_step feed(const char *text, size_t len, size_t *used)
{
    request_begin(&req);
    request_parser_init(&parser);
    return request_feed(&req, &parser, text, len, used);
}

/* The status that a request gets; *step what becomes of the connection. */
static unsigned status_of(const char *text, enum request_step *step)
{
    size_t used;

    *step = feed(text, strlen(text), &used);
    return req.status;
}

static void a_request_is_read(void)
{
    static const char text[] = "GET /a?b HTTP/1.1\r\nHost: x\r\n"
                               "if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
    size_t used;

    EXPECT_EQ(feed(text, strlen(text), &used), REQUEST_DONE);
    EXPECT_EQ(used, strlen(text));
    EXPECT_EQ(req.status, 200);
    EXPECT_EQ(req.target_len, 4);
    CU_ASSERT(memcmp(req.target, "/a?b", 4) == 0);
    CU_ASSERT_STRING_EQUAL(req.since, "Sun, 06 Nov 1994 08:49:37 GMT");
    CU_ASSERT(req.keep_alive && !req.is_head && !req.is_http10);
}

/* Fed in two pieces, cut anywhere, the result is the same. */
static void any_split_gives_the_same(void)
{
    static const char text[] = "HEAD /some/path HTTP/1.0\r\nX-Y: z\r\nConnection: keep-alive\r\n"
                               "If-Modified-Since: Sunday\r\n\r\n";
    const size_t len = strlen(text);

    for (size_t cut = 1; cut < len; cut++) {
        size_t used;
        EXPECT_EQ(feed(text, cut, &used), REQUEST_MORE);
        EXPECT_EQ(used, cut);
        EXPECT_EQ(request_feed(&req, &parser, text + cut, len - cut, &used), REQUEST_DONE);
        EXPECT_EQ(used, len - cut);
        EXPECT_EQ(req.target_len, 10);
        CU_ASSERT(memcmp(req.target, "/some/path", 10) == 0);
        CU_ASSERT_STRING_EQUAL(req.since, "Sunday");
        CU_ASSERT(req.is_head && req.is_http10 && req.keep_alive);
    }
}

static void pipelined_requests_come_apart(void)
{
    static const char text[] = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
                               "GET /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                               "GET /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "2\r\nab\r\n0\r\n\r\n\r\n"
                               "GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const char *at = text, *end = text + strlen(text);
    size_t used;

    request_parser_init(&parser);
    for (char n = '1'; n <= '4'; n++) {
        request_begin(&req);
        EXPECT_EQ(request_feed(&req, &parser, at, (size_t)(end - at), &used), REQUEST_DONE);
        EXPECT_EQ(req.status, 200);
        EXPECT_EQ(req.target[1], n);
        EXPECT_EQ(req.keep_alive, n < '4');
        at += used;
    }
    CU_ASSERT(at == end);
}

#define H11 " HTTP/1.1\r\nHost: x\r\n"

static const struct {
    const char *text;
    unsigned status;
    enum request_step step;
} refusals[] = {
    {"GET / HTTP/1.1\r\n\r\n", 400, REQUEST_DONE},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, REQUEST_DONE},
    {"GET / HTTP/1.0\r\n\r\n", 200, REQUEST_DONE},
    {"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400, REQUEST_DONE},
    {"POST /" H11 "\r\n", 405, REQUEST_DONE},
    {"POST /" H11 "Content-Length: 2\r\n\r\nab", 405, REQUEST_DONE},
    {"DELETE /" H11 "\r\n", 405, REQUEST_DONE},
    {"OPTIONS *" H11 "\r\n", 405, REQUEST_DONE},
    {"BREW /" H11 "\r\n", 501, REQUEST_BAD},
    {"get /" H11 "\r\n", 501, REQUEST_BAD},
    {"\x16\x03\x01\x02", 400, REQUEST_BAD},
    {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, REQUEST_DONE},
    {"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400, REQUEST_BAD},
    {"GET /" H11 "Content-Length: x\r\n\r\n", 400, REQUEST_BAD},
    {"GET /" H11 "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, REQUEST_BAD},
    {"GET /" H11 "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, REQUEST_BAD},
    {"GET /" H11 "Content-Length: 1048577\r\n\r\n", 413, REQUEST_BAD},
    {"GET /" H11 "Content-Length: 99999999999999999999999\r\n\r\n", 400, REQUEST_BAD},
    {"GET /" H11 "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 417, REQUEST_BAD},
    {"POST /" H11 "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 405, REQUEST_BAD},
    {"GET /" H11 "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", 417, REQUEST_BAD},
    {"GET /" H11 "Expect: 100-continue\r\n\r\n", 200, REQUEST_DONE},
    {"GET / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", 200, REQUEST_DONE},
};

static void wrong_requests_are_refused(void)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        enum request_step step;
        unsigned status = status_of(refusals[i].text, &step);
        if (status != refusals[i].status || step != refusals[i].step)
            printf("request %zu: %s\n", i, refusals[i].text);
        EXPECT_EQ(status, refusals[i].status);
        EXPECT_EQ(step, refusals[i].step);
    }
}

/* A request of `n` times the character `fill` at the %, fed in pieces of 1,000 bytes. */
static unsigned status_of_long(const char *before, size_t n, const char *after)
{
    size_t len = strlen(before) + n + strlen(after), used;
    char *text = malloc(len + 1);
    enum request_step step = REQUEST_MORE;

    memset(text, 'a', len);
    memcpy(text, before, strlen(before));
    memcpy(text + len - strlen(after), after, strlen(after));
    request_begin(&req);
    request_parser_init(&parser);
    for (size_t at = 0; at < len && step == REQUEST_MORE; at += used)
        step = request_feed(&req, &parser, text + at, len - at < 1000 ? len - at : 1000, &used);
    free(text);
    EXPECT_EQ(step, req.status == 200 ? REQUEST_DONE : REQUEST_BAD);
    return req.status;
}

static void sizes_are_bounded(void)
{
    static const char end[] = H11 "\r\n", header[] = "GET /" H11 "X: ";
    const size_t n_counted = strlen("HostxX");

    EXPECT_EQ(status_of_long("GET /", REQUEST_TARGET_MAX - 1, end), 200);
    EXPECT_EQ(status_of_long("GET /", REQUEST_TARGET_MAX, end), 414);
    EXPECT_EQ(status_of_long(header, REQUEST_HEADER_MAX - n_counted, "\r\n\r\n"), 200);
    EXPECT_EQ(status_of_long(header, REQUEST_HEADER_MAX - n_counted + 1, "\r\n\r\n"), 431);
    EXPECT_EQ(status_of_long("GET /" H11, 30000, ": x\r\n\r\n"), 431);
    EXPECT_EQ(status_of_long(header, 100000, "\r\n\r\n"), 431);
    EXPECT_EQ(status_of_long("GET /" H11 "If-Modified-Since: ", 200, "\r\n\r\n"), 200);
}

TEST_SUITE(epserver_request, TEST_CASE(a_request_is_read), TEST_CASE(any_split_gives_the_same),
           TEST_CASE(pipelined_requests_come_apart), TEST_CASE(wrong_requests_are_refused),
           TEST_CASE(sizes_are_bounded));

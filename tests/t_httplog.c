/* httplog: the HTTP of a connection, and the plugin in an endpoint. */
#include "tests/app_plugin.h"
#include "tests/capture.h"
#include "tests/duo.h"
#include "tests/test.h"

#include "apps/httplog/talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* ---- what is told: "GET h /path 200 40+90 asked+first+last note;" --------------------------- */

static struct talk talk;
static char told[8192];
static size_t told_len;
static uint64_t now;

static void on_exchange(void *arg, const struct exchange *x, const char *note)
{
    CU_ASSERT_PTR_EQUAL(arg, &talk);
    if (told_len > sizeof(told) - 2000)
        told_len = 0;
    told_len +=
        (size_t)snprintf(told + told_len, sizeof(told) - told_len, "%s %.*s %.*s %u %u+%u%s%s; ",
                         x->has_method ? http_method_str((enum http_method)x->method) : "-",
                         (int)x->host.len, x->host.bytes ? x->host.bytes : "", (int)x->target.len,
                         x->target.bytes ? x->target.bytes : "", x->status, (unsigned)x->n_request,
                         (unsigned)x->n_response, note[0] ? " " : "", note);
    CU_ASSERT_FATAL(told_len < sizeof(told));
}

static void begin(void)
{
    talk_free(&talk);
    talk_begin(&talk, on_exchange, &talk);
    told_len = 0;
    told[0] = '\0';
    now = 1000;
}

static bool client(const char *bytes)
{
    return talk_feed(&talk, TALK_CLIENT, bytes, strlen(bytes), now += 10);
}

static bool server(const char *bytes)
{
    return talk_feed(&talk, TALK_SERVER, bytes, strlen(bytes), now += 10);
}

#define TOLD(want) expect_told(want, __LINE__)
static void expect_told(const char *want, int line)
{
    if (strcmp(told, want) != 0)
        fprintf(stderr, "\n%s:%d: told\n  %s\nexpected\n  %s\n", __FILE__, line, told, want);
    CU_assertImplementation(strcmp(told, want) == 0, (unsigned)line, "told", __FILE__, "",
                            CU_FALSE);
    told_len = 0;
    told[0] = '\0';
}

#define GET  "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"            /* 32 bytes */
#define OK_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" /* 43 */

static void keep_alive(void)
{
    begin();
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(client(GET));
        TOLD("");
        CU_ASSERT(server(OK_5));
        TOLD("GET h /a?b=c 200 32+43; ");
    }
    talk_end(&talk, true, NULL);
    TOLD("");
    EXPECT_EQ(talk.n_bytes, 0);
}

/* However the bytes are cut. */
static void byte_by_byte(void)
{
    static const char post[] =
        "POST / HTTP/1.1\r\nX: y\r\nhOsT: \t h:80\r\nContent-Length: 3\r\n\r\nabc";
    static const char chunked[] = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "5;x=y\r\nhello\r\n0\r\nHost: trailer\r\n\r\n";
    begin();
    for (int round = 0; round < 2; round++) {
        for (const char *p = post; *p; p++)
            CU_ASSERT(talk_feed(&talk, TALK_CLIENT, p, 1, now));
        for (const char *p = chunked; *p; p++)
            CU_ASSERT(talk_feed(&talk, TALK_SERVER, p, 1, now));
        char want[100];
        snprintf(want, sizeof(want), "POST h:80 / 201 %zu+%zu; ", sizeof(post) - 1,
                 sizeof(chunked) - 1);
        TOLD(want);
    }
}

/* An empty one is none. */
static void empty_texts(void)
{
    begin();
    CU_ASSERT(client("GET / HTTP/1.1\r\nHost:\r\n\r\nGET / HTTP/1.1\r\nHost: \r\nHost: b\r\n\r\n"));
    CU_ASSERT(server(OK_5 OK_5));
    TOLD("GET  / 200 25+43; GET b / 200 35+43; ");
}

static void pipelined(void)
{
    begin();
    CU_ASSERT(
        client("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /2 HTTP/1.1\r\n\r\nHEAD /3 HTTP/1.1\r\n"
               "Host: i\r\n\r\nGET /4 HTT"));
    CU_ASSERT(server("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" OK_5
                     "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"));
    TOLD("GET h /1 404 28+38; GET  /2 200 21+43; HEAD i /3 200 29+41; ");
    CU_ASSERT(client("P/1.1\r\n\r\n"));
    CU_ASSERT(server(OK_5));
    TOLD("GET  /4 200 19+43; ");
}

/* HEAD, 204 and 304 have no body, whatever the headers say. */
static void responses_without_a_body(void)
{
    begin();
    CU_ASSERT(client("HEAD / HTTP/1.1\r\n\r\n" GET GET GET));
    CU_ASSERT(server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "HTTP/1.1 204 None\r\nContent-Length: 7\r\n\r\n"
                     "HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n" OK_5));
    TOLD("HEAD  / 200 19+47; GET h /a?b=c 204 32+40; GET h /a?b=c 304 32+40; "
         "GET h /a?b=c 200 32+43; ");
}

static void interim_responses(void)
{
    begin();
    CU_ASSERT(client("PUT / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"));
    CU_ASSERT(server("HTTP/1.1 100 Continue\r\n\r\n"));
    CU_ASSERT(client("data"));
    CU_ASSERT(server("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK_5));
    TOLD("PUT  / 200 63+108; ");
}

/* The response's time counts from the request's last byte before it. */
static void times(void)
{
    begin();
    CU_ASSERT(client("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n")); /* 1010 */
    CU_ASSERT(client("da"));                                           /* 1020 */
    CU_ASSERT(server("HTTP/1.1 100 Continue\r\n\r\n"));                /* 1030 */
    CU_ASSERT(client("ta"));                                           /* 1040 */
    CU_ASSERT(server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"));     /* 1050 */
    const struct exchange *x = talk.head;
    CU_ASSERT_PTR_NOT_NULL_FATAL(x);
    EXPECT_EQ(x->begin_at, 1010);
    EXPECT_EQ(x->asked_at, 1040);
    EXPECT_EQ(x->first_at, 1050);
    CU_ASSERT(server("\r\nhe"));
    EXPECT_EQ(x->first_at, 1050);
    EXPECT_EQ(x->last_at, 1060);
    CU_ASSERT(server("llo"));
    TOLD("POST  / 200 42+68; ");
}

/* The server answers before the request is whole: told when it is. */
static void early_response(void)
{
    begin();
    CU_ASSERT(client("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nd"));
    CU_ASSERT(server(OK_5));
    TOLD("");
    CU_ASSERT(client("ata"));
    TOLD("POST  / 200 42+43; ");
    CU_ASSERT(client("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nd"));
    CU_ASSERT(server(OK_5));
    talk_end(&talk, true, NULL);
    TOLD("POST  / 200 39+43 the request was cut; ");
}

static void a_body_until_the_end(void)
{
    begin();
    CU_ASSERT(client("GET / HTTP/1.0\r\n\r\n"));
    CU_ASSERT(server("HTTP/1.0 200 OK\r\n\r\nhello"));
    CU_ASSERT(server(" world"));
    TOLD("");
    talk_end(&talk, true, NULL);
    TOLD("GET  / 200 18+30; ");
    begin();
    CU_ASSERT(client("GET / HTTP/1.0\r\n\r\n"));
    CU_ASSERT(server("HTTP/1.0 200 OK\r\n\r\nhello"));
    talk_end(&talk, false, NULL); /* a reset: nobody knows */
    TOLD("GET  / 200 18+24 the response was cut; ");
}

static void what_is_cut(void)
{
    begin();
    CU_ASSERT(client(GET GET "GET /half"));
    CU_ASSERT(server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"));
    talk_end(&talk, true, NULL);
    TOLD("GET h /a?b=c 200 32+41 the response was cut; GET h /a?b=c 0 32+0 no response; "
         "GET  /half 0 9+0 no response; ");
    begin();
    CU_ASSERT(client(GET));
    talk_end(&talk, false, "7 bytes were missed");
    TOLD("GET h /a?b=c 0 32+0 7 bytes were missed; ");
}

static void what_is_no_http(void)
{
    static const char *const firsts[] = {"\x16\x03\x01\x02\x00", "SSH-2.0-x\r\n", "HELO x\r\n",
                                         "*1\r\n$4\r\nPING\r\n", "{}"};
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        begin();
        CU_ASSERT_FALSE(client(firsts[i]));
        talk_end(&talk, true, NULL);
        TOLD("");
    }
    begin();
    CU_ASSERT_FALSE(server("220 smtp\r\n")); /* who speaks first */
    TOLD("");
    begin();
    CU_ASSERT_FALSE(server(OK_5)); /* unasked */
    TOLD("");
    begin();
    CU_ASSERT(client(GET));
    CU_ASSERT_FALSE(server("+OK\r\n"));
    TOLD("GET h /a?b=c 0 32+0 the response is no HTTP; ");
}

/* What was asked before is answered still. */
static void a_client_that_stops_speaking_http(void)
{
    begin();
    CU_ASSERT(client(GET "\x16\x03\x01"));
    CU_ASSERT_FALSE(server(OK_5));
    TOLD("GET h /a?b=c 200 32+43; ");
    begin();
    CU_ASSERT(client("GET /x HTTP/7\r\n\r\n")); /* a bad request has its answer too */
    CU_ASSERT_FALSE(server("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"));
    CU_ASSERT(strncmp(told, "GET  /x 400 ", 12) == 0);
}

static void another_protocol(void)
{
    begin();
    CU_ASSERT(client("GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"));
    CU_ASSERT_FALSE(
        server("HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81"));
    TOLD("GET  / 101 59+60; ");
    begin(); /* not taken up: it goes on */
    CU_ASSERT(client("GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"));
    CU_ASSERT(server(OK_5));
    CU_ASSERT(client(GET));
    CU_ASSERT(server(OK_5));
    TOLD("GET  / 200 53+43; GET h /a?b=c 200 32+43; ");
    begin(); /* bytes of the tunnel in the same burst */
    CU_ASSERT(client("CONNECT h:443 HTTP/1.1\r\n\r\n\x16\x03\x01"));
    CU_ASSERT_FALSE(server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\x16\x03"));
    TOLD("CONNECT  h:443 200 26+38; ");
    begin();
    CU_ASSERT(client("CONNECT h:443 HTTP/1.1\r\n\r\nGETS"));
    CU_ASSERT_FALSE(server("HTTP/1.1 200 OK\r\n\r\n"));
    TOLD("CONNECT  h:443 200 26+19; ");
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void requests_that_wait_are_bounded(void)
{
    char many[5000 * 20];
    begin();
    for (int i = 0; i < 5000; i++)
        memcpy(many + 20L * i, "GET / HTTP/1.1\r\n\r\n\r\n", 20);
    bool ok = talk_feed(&talk, TALK_CLIENT, many, 20 * 200, now);
    CU_ASSERT(ok);
    CU_ASSERT(talk.n_bytes < TALK_BYTES_MAX);
    told_len = 0;
    talk_free(&talk);
    talk_begin(&talk, on_exchange, &talk);
    for (int i = 0; ok && i < 100; i++) { /* many small feeds, no answer */
        ok = talk_feed(&talk, TALK_CLIENT, many, 20 * 50, now);
        CU_ASSERT(talk.n_bytes <= TALK_BYTES_MAX + 4096);
    }
    CU_ASSERT_FALSE(ok);
    CU_ASSERT_PTR_NOT_NULL(strstr(told, "too many requests wait"));
    CU_ASSERT_PTR_NULL(talk.head);
    EXPECT_EQ(talk.n_bytes, 0);
    begin();
}

/* The target and the host are kept to their limits; the length that came is known. */
static void long_texts_are_cut(void)
{
    char text[9000];
    begin();
    CU_ASSERT(client("GET /"));
    memset(text, 'a', sizeof(text));
    text[8000] = '\0';
    CU_ASSERT(client(text));
    CU_ASSERT(client(" HTTP/1.1\r\nHost: "));
    CU_ASSERT(client(text));
    CU_ASSERT(client("\r\n\r\n"));
    EXPECT_EQ(talk.head->target.len, 8001);
    EXPECT_EQ(talk.head->target.room, TALK_TARGET_MAX);
    EXPECT_EQ(talk.head->host.len, 8000);
    EXPECT_EQ(talk.head->host.room, 256);
    talk.head->target.len = talk.head->host.len = 1;
    CU_ASSERT(server(OK_5));
    TOLD("GET a / 200 16026+43; ");
    CU_ASSERT_PTR_NULL(talk.spare); /* nor kept afterwards */
    begin();
}

/* ---- the plugin ------------------------------------------------------------------------------ */

static struct duo d;

static void open_log(void)
{
    app_begin();
    duo_open_srv(&d, app_conf("httplog", "file=%s/out", app_dir));
}

static void send_all(mctx_t m, int s, const char *text)
{
    EXPECT_EQ(mtcp_write(m, s, text, strlen(text)), (ssize_t)strlen(text));
    duo_run(&d, 2000);
}

/* The application reads, or the bytes stay in the buffer. */
static void read_all(mctx_t m, int s)
{
    char buf[4096];
    while (mtcp_read(m, s, buf, sizeof(buf)) > 0)
        continue;
}

/* Line `n` (from 0) behind its time, without the client's port; "": there is none. */
static const char *line_at(unsigned n)
{
    static char line[1024];
    const char *at = app_text("out");
    for (; n > 0 && (at = strchr(at, '\n')) != NULL; n--)
        at++;
    line[0] = '\0';
    if (at == NULL || *at == '\0')
        return "";
    const char *addr = strchr(at, ' ') + 1, *rest = strchr(addr, ' ') + 1;
    snprintf(line, sizeof(line), "%.*s %.*s", (int)strcspn(addr, ":"), addr,
             (int)strcspn(rest, "\n"), rest);
    return line;
}

static void line_is(unsigned n, const char *want)
{
    if (d.srv != NULL)
        duo_run(&d, 100000);
    if (strcmp(line_at(n), want) != 0)
        fprintf(stderr, "\nline %u is\n  %s\nexpected\n  %s\n", n, line_at(n), want);
    CU_ASSERT_STRING_EQUAL(line_at(n), want);
}

/* One line per exchange, when it is whole; what is no HTTP has none. */
static void requests_of_connections(void)
{
    open_log();
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    send_all(d.cli, c, "HELO x\r\n");
    send_all(d.srv, s, "250 y\r\n");
    int c2, s2 = duo_pair(&d, l, &c2);
    send_all(d.cli, c2, "GET /\xff\\ HTTP/1.1\r\nHost: a b\r\n\r\n" GET);
    read_all(d.srv, s2);
    duo_run(&d, 8000);
    send_all(d.srv, s2, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    send_all(d.srv, s2, "hello");
    send_all(d.srv, s2, OK_5);
    CU_ASSERT_STRING_EQUAL(app_text("out"), ""); /* written together, soon */
    line_is(0, "10.0.0.2 GET a\\x20b /\\xff\\x5c 200 31 43 0.010000 0.012000 -");
    line_is(1, "10.0.0.2 GET h /a?b=c 200 32 43 0.014000 0.014000 -");
    send_all(d.cli, c2, GET);
    duo_close(&d);
    line_is(2, "10.0.0.2 GET h /a?b=c - 32 0 - - no response");
    line_is(3, "");
    app_end();
}

/* A body that lasts until the end is known to be whole in TIME_WAIT, not a minute later. */
static void a_close_of_the_server(void)
{
    open_log();
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    send_all(d.cli, c, "GET / HTTP/1.0\r\n\r\n");
    read_all(d.srv, s);
    send_all(d.srv, s, "HTTP/1.0 200 OK\r\n\r\nhel");
    EXPECT_EQ(mtcp_write(d.srv, s, "lo", 2), 2);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_run(&d, 2000);
    line_is(0, "");
    read_all(d.cli, c);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    duo_run(&d, 2000);
    line_is(0, "10.0.0.2 GET - / 200 18 24 0.002000 0.004000 -");
    duo_run(&d, 70000000);
    duo_close(&d);
    line_is(1, "");
    app_end();
}

static void a_reset(void)
{
    open_log();
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    send_all(d.cli, c, "GET / HTTP/1.0\r\n\r\n");
    read_all(d.srv, s);
    send_all(d.srv, s, "HTTP/1.0 200 OK\r\n\r\nhel");
    EXPECT_EQ(mtcp_abort(d.cli, c), 0);
    duo_run(&d, 2000);
    line_is(0, "10.0.0.2 GET - / 200 18 22 0.002000 - the response was cut");
    duo_close(&d);
    app_end();
}

/* Two requests and answers, larger than the buffers, in both directions. */
static void large_bodies(void)
{
    static char body[100000];
    char head[100];
    open_log();
    int c, l = duo_listen(&d, 80), s = duo_pair(&d, l, &c);
    memset(body, '\n', sizeof(body));
    for (int i = 0; i < 2; i++) {
        mctx_t from = i ? d.srv : d.cli, to = i ? d.cli : d.srv;
        int out = i ? s : c, in = i ? c : s;
        snprintf(head, sizeof(head), "%s\r\nContent-Length: %zu\r\n\r\n",
                 i ? "HTTP/1.1 200 OK" : "PUT / HTTP/1.1", 5 * sizeof(body));
        send_all(from, out, head);
        for (size_t sent = 0; sent < 5 * sizeof(body);) {
            size_t left = 5 * sizeof(body) - sent;
            ssize_t n = mtcp_write(from, out, body, left < sizeof(body) ? left : sizeof(body));
            sent += n > 0 ? (size_t)n : 0;
            duo_run(&d, 1000);
            read_all(to, in);
        }
    }
    duo_run(&d, 1000000);
    CU_ASSERT_PTR_NOT_NULL(strstr(line_at(0), "PUT - / 200 500042 500043 "));
    CU_ASSERT_STRING_EQUAL(line_at(0) + strlen(line_at(0)) - 2, " -");
    duo_close(&d);
    app_end();
}

/* Two requests and both responses within one burst: each has the time of its own packet. */
static void times_of_a_burst(void)
{
    const uint64_t t0 = UINT64_C(1700000000000000);
    char conf[2200];
    app_begin();
    snprintf(conf, sizeof(conf), "mos { netdev cap { } %s }",
             app_conf("httplog", "file=%s/out", app_dir));
    struct mtcp_io *io = capture_begin();
    capture_add(t0, true, TCP_SYN, 99, 0, "");
    capture_add(t0 + 1, false, TCP_SYN | TCP_ACK, 499, 100, "");
    capture_add(t0 + 2, true, TCP_ACK, 100, 500, GET GET);
    capture_add(t0 + 5, false, TCP_ACK, 500, 164, OK_5);
    capture_add(t0 + 9, false, TCP_ACK, 543, 164, OK_5);
    mctx_t m = mtcp_create_context_io(0, conf, &io, 1, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    mtcp_app_join(m);
    EXPECT_EQ(mtcp_destroy_context(m), 0);
    line_is(0, "10.0.0.2 GET h /a?b=c 200 32 43 0.000003 0.000003 -");
    line_is(1, "10.0.0.2 GET h /a?b=c 200 32 43 0.000007 0.000007 -");
    app_end();
}

TEST_SUITE(httplog, TEST_CASE(keep_alive), TEST_CASE(byte_by_byte), TEST_CASE(pipelined),
           TEST_CASE(times_of_a_burst), TEST_CASE(empty_texts), TEST_CASE(responses_without_a_body),
           TEST_CASE(interim_responses), TEST_CASE(times), TEST_CASE(early_response),
           TEST_CASE(a_body_until_the_end), TEST_CASE(what_is_cut), TEST_CASE(what_is_no_http),
           TEST_CASE(a_client_that_stops_speaking_http), TEST_CASE(another_protocol),
           TEST_CASE(requests_that_wait_are_bounded), TEST_CASE(long_texts_are_cut),
           TEST_CASE(requests_of_connections), TEST_CASE(a_close_of_the_server), TEST_CASE(a_reset),
           TEST_CASE(large_bodies));

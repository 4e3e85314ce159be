/* One request and what comes back, byte by byte, from a server that the test plays. */
#include "apps/epclient/worker.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH 4

struct fixture {
    struct duo d;
    struct args args;
    struct worker *w;
    struct conn conn;
    struct request requests[DEPTH];
    int srv;
    uint64_t number; /* of the next request */
};

static void setup(struct fixture *f)
{
    int on = 1;
    memset(f, 0, sizeof(*f));
    duo_open(&f->d, NULL);
    f->srv = duo_pair(&f->d, duo_listen(&f->d, 80), &f->conn.sock);
    EXPECT_EQ(mtcp_setsockopt(f->d.srv, f->srv, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    CU_ASSERT_FATAL(url_parse(&f->args.url, "http://10.0.0.1/"));
    f->args.keep_alive = true;
    f->args.pipeline = DEPTH;
    f->w = calloc(1, sizeof(*f->w));
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->w);
    f->w->args = &f->args;
    f->w->mctx = f->d.cli;
    f->w->conns = &f->conn;
    f->w->requests = f->requests;
    f->w->now_us = 1000;
    results_init(&f->w->results);
    f->conn.out_fd = -1;
    exchange_restart(&f->conn);
}

static void teardown(struct fixture *f)
{
    XXH64_freeState(f->conn.hash);
    free(f->w);
    duo_close(&f->d);
}

/* One more request is on its way, begun at that time; what the server receives goes to `got`. */
static void ask(struct fixture *f, uint64_t start_us, char *got, size_t room)
{
    enum outcome why = DONE;
    struct request r = {.number = f->number++, .start_us = start_us};
    exchange_prepare(f->w);
    exchange_add(f->w, &f->conn, &r);
    EXPECT_EQ(exchange_send(f->w, &f->conn, &why), GOES_ON);
    duo_step(&f->d, 0);
    ssize_t n = mtcp_read(f->d.srv, f->srv, got, room - 1);
    got[n > 0 ? n : 0] = '\0';
}

/* The server sends `len` bytes in pieces of `piece`. What the exchange has come to. */
static enum progress answer_bytes(struct fixture *f, const char *data, size_t len, size_t piece,
                                  enum outcome *why)
{
    enum progress p = GOES_ON;
    for (size_t at = 0; at < len && p == GOES_ON; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        EXPECT_EQ(mtcp_write(f->d.srv, f->srv, data + at, n), (ssize_t)n);
        duo_step(&f->d, 0);
        p = exchange_receive(f->w, &f->conn, why);
    }
    return p;
}

static enum progress answer(struct fixture *f, const char *text, enum outcome *why)
{
    return answer_bytes(f, text, strlen(text), 1000, why);
}

static uint64_t outcomes(const struct fixture *f, enum outcome outcome)
{
    return f->w->results.outcomes[outcome];
}

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

static void the_request_is_as_it_should_be(void)
{
    struct fixture f;
    char got[256];
    setup(&f);
    ask(&f, 0, got, sizeof(got));
    CU_ASSERT_STRING_EQUAL(got, "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
    f.args.keep_alive = false;
    ask(&f, 0, got, sizeof(got));
    CU_ASSERT_STRING_EQUAL(got, "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n");
    f.args.keep_alive = true;
    f.args.upload_bytes = 3;
    ask(&f, 0, got, sizeof(got));
    CU_ASSERT_STRING_EQUAL(got, "POST / HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Type: "
                                "application/octet-stream\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(f.w->request_len, strlen(got) + 3); /* zeros */
    teardown(&f);
}

static void a_response_ends_the_exchange(void)
{
    struct fixture f;
    enum outcome why = DONE;
    char got[256];
    setup(&f);
    ask(&f, 400, got, sizeof(got));
    EXPECT_EQ(answer(&f, ok, &why), GOES_ON);
    EXPECT_EQ(f.conn.n_asked, 0);
    EXPECT_EQ(outcomes(&f, DONE), 1);
    EXPECT_EQ(f.w->results.latency.min, 600);
    EXPECT_EQ(f.w->results.content_bytes, 2);
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, "HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx", &why), GOES_ON);
    EXPECT_EQ(outcomes(&f, FAILED_STATUS), 1);
    EXPECT_EQ(f.w->results.latency.n, 1);
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", &why), GOES_ON);
    EXPECT_EQ(outcomes(&f, FAILED_LENGTH), 1);
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, "SMTP", &why), BROKEN);
    EXPECT_EQ(why, FAILED_RESPONSE);
    exchange_fail(f.w, &f.conn, why);
    EXPECT_EQ(outcomes(&f, FAILED_RESPONSE), 1);
    EXPECT_EQ(f.w->n_asked, 0);
    teardown(&f);
}

/* RFC 9110 15.2: any number of 1xx may come before the response; 101 is one. */
static void interim_responses_are_passed_over(void)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n"
                               "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
                               "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    struct fixture f;
    enum outcome why = DONE;
    char got[256];
    uint64_t n = 0;
    setup(&f);
    for (size_t piece = 1; piece < sizeof(text); piece += 7) {
        ask(&f, 0, got, sizeof(got));
        EXPECT_EQ(answer_bytes(&f, text, strlen(text), piece, &why), GOES_ON);
        EXPECT_EQ(outcomes(&f, DONE), ++n);
    }
    ask(&f, 0, got, sizeof(got));
    answer(&f, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", &why);
    EXPECT_EQ(outcomes(&f, FAILED_STATUS), 1);
    teardown(&f);
}

/* Responses to pipelined requests, cut anywhere, in one piece, each with its own latency. */
static void pipelined_responses(void)
{
    struct fixture f;
    enum outcome why = DONE;
    char got[256], text[4 * sizeof(ok)] = "";
    for (int i = 0; i < 3; i++)
        strcat(text, ok);
    for (size_t piece = 1; piece <= strlen(text); piece += 5) {
        setup(&f);
        for (uint64_t i = 0; i < 3; i++)
            ask(&f, 100 * i, got, sizeof(got));
        EXPECT_EQ(f.w->n_asked, 3);
        EXPECT_EQ(exchange_since(f.w, &f.conn), 0);
        EXPECT_EQ(answer_bytes(&f, text, strlen(text), piece, &why), GOES_ON);
        EXPECT_EQ(f.w->n_asked, 0);
        EXPECT_EQ(outcomes(&f, DONE), 3);
        EXPECT_EQ(f.w->results.latency.min, 800);
        EXPECT_EQ(f.w->results.latency.max, 1000);
        teardown(&f);
    }
}

static void more_than_was_asked_for(void)
{
    struct fixture f;
    enum outcome why = DONE;
    char got[256];
    setup(&f);
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiagain", &why), BROKEN);
    EXPECT_EQ(why, FAILED_RESPONSE);
    exchange_fail(f.w, &f.conn, why);
    EXPECT_EQ(outcomes(&f, DONE), 0);
    EXPECT_EQ(outcomes(&f, FAILED_RESPONSE), 1);
    teardown(&f);
}

/* A server that closes has answered one of three: the others are kept, to be sent again. */
static void requests_outlive_a_server_that_closes(void)
{
    struct fixture f;
    enum outcome why = DONE;
    char got[256];
    setup(&f);
    for (uint64_t i = 0; i < 3; i++)
        ask(&f, 100 * i, got, sizeof(got));
    EXPECT_EQ(answer(&f, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", &why),
              ENDED);
    EXPECT_EQ(outcomes(&f, DONE), 1);
    EXPECT_EQ(f.conn.n_asked, 2);
    exchange_restart(&f.conn);
    EXPECT_EQ(f.conn.n_unsent, 2);
    EXPECT_EQ(exchange_since(f.w, &f.conn), 100);
    EXPECT_EQ(exchange_send(f.w, &f.conn, &why), GOES_ON);
    duo_step(&f.d, 0);
    EXPECT_EQ(mtcp_read(f.d.srv, f.srv, got, sizeof(got)), (ssize_t)(2 * f.w->request_len));
    teardown(&f);
}

/* A response without a length ends with the stream; one with a length does not (RFC 9112 6.3). */
static void the_end_of_the_stream(void)
{
    struct fixture f;
    enum outcome why = DONE;
    char got[256];
    setup(&f);
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, "HTTP/1.1 200 OK\r\n\r\nhi", &why), GOES_ON);
    mtcp_close(f.d.srv, f.srv);
    duo_step(&f.d, 0);
    EXPECT_EQ(exchange_receive(f.w, &f.conn, &why), ENDED);
    EXPECT_EQ(outcomes(&f, DONE), 1);
    EXPECT_EQ(f.w->results.content_bytes, 2);
    teardown(&f);
    setup(&f);
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", &why), GOES_ON);
    mtcp_close(f.d.srv, f.srv);
    duo_step(&f.d, 0);
    EXPECT_EQ(exchange_receive(f.w, &f.conn, &why), BROKEN);
    EXPECT_EQ(why, FAILED_CLOSED);
    teardown(&f);
    setup(&f); /* between two requests it is a server that has waited long enough */
    mtcp_close(f.d.srv, f.srv);
    duo_step(&f.d, 0);
    EXPECT_EQ(exchange_receive(f.w, &f.conn, &why), ENDED);
    teardown(&f);
}

/* A response to a request that is still being sent: of an error, it is that; success it is none. */
static void early_responses(void)
{
    struct fixture f;
    enum outcome why = DONE;
    struct request r = {0};
    for (int is_error = 0; is_error < 2; is_error++) {
        setup(&f);
        f.args.upload_bytes = 100000000;
        exchange_prepare(f.w);
        exchange_add(f.w, &f.conn, &r);
        EXPECT_EQ(exchange_send(f.w, &f.conn, &why), WAITS_FOR_ROOM);
        EXPECT_EQ(answer(&f, is_error ? "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n" : ok, &why),
                  ENDED);
        EXPECT_EQ(outcomes(&f, is_error ? FAILED_STATUS : FAILED_RESPONSE), 1);
        EXPECT_EQ(f.conn.n_asked, 0);
        teardown(&f);
    }
}

/* The content's hash is that of its bytes, however they are cut and framed. */
static void contents_are_hashed(void)
{
    static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "1\r\nh\r\n1\r\ni\r\n0\r\n\r\n";
    struct fixture f;
    enum outcome why = DONE;
    char got[256];
    setup(&f);
    f.args.is_hashed = true;
    f.conn.hash = XXH64_createState();
    exchange_restart(&f.conn);
    for (size_t piece = 1; piece < 30; piece += 3) {
        ask(&f, 0, got, sizeof(got));
        EXPECT_EQ(answer_bytes(&f, piece % 2 ? ok : chunked, strlen(piece % 2 ? ok : chunked),
                               piece, &why),
                  GOES_ON);
    }
    EXPECT_EQ(outcomes(&f, DONE), 10);
    CU_ASSERT(f.w->results.content_hash == XXH64("hi", 2, 0));
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho", &why), GOES_ON);
    EXPECT_EQ(outcomes(&f, FAILED_HASH), 1);
    teardown(&f);
}

static void file_expect(const char *name, const char *want)
{
    char got[16] = "";
    FILE *file = fopen(name, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t n = fread(got, 1, sizeof(got) - 1, file);
    EXPECT_EQ(n, strlen(want));
    CU_ASSERT_STRING_EQUAL(got, want);
    fclose(file);
    unlink(name);
}

/* The content of one request goes to the file, of more to numbered ones; errors' go nowhere. */
static void contents_are_written(void)
{
    struct fixture f;
    enum outcome why = DONE;
    char got[256], dir[] = "/tmp/epclient.XXXXXX", file[64], name[80];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/x", dir);
    setup(&f);
    f.args.out_file = file;
    f.args.total = 1;
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, ok, &why), GOES_ON);
    file_expect(file, "hi");
    f.args.total = 0;
    ask(&f, 0, got, sizeof(got));
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, "HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx", &why), GOES_ON);
    EXPECT_EQ(answer(&f, ok, &why), GOES_ON);
    snprintf(name, sizeof(name), "%s.3", file);
    file_expect(name, "hi");
    EXPECT_EQ(rmdir(dir), 0); /* there is nothing else */
    ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(answer(&f, ok, &why), GOES_ON);
    EXPECT_EQ(outcomes(&f, FAILED_OUTPUT), 1);
    teardown(&f);
}

/* Answers of RPC have a length and nothing else. */
static void rpc_framing(void)
{
    struct fixture f;
    enum outcome why = DONE;
    char got[256];
    for (size_t piece = 1; piece <= 9; piece++) {
        setup(&f);
        f.args.is_rpc = true;
        f.args.rpc_req = 5;
        f.args.rpc_resp = 3;
        for (uint64_t i = 0; i < 3; i++) {
            ask(&f, 100 * i, got, sizeof(got));
            EXPECT_EQ(f.w->results.n_sent, 5 * (i + 1));
        }
        EXPECT_EQ(answer_bytes(&f, "abcdefghi", 9, piece, &why), GOES_ON);
        EXPECT_EQ(outcomes(&f, DONE), 3);
        EXPECT_EQ(f.w->results.latency.min, 800);
        EXPECT_EQ(f.w->results.content_bytes, 3);
        ask(&f, 0, got, sizeof(got));
        EXPECT_EQ(answer_bytes(&f, "abcd", 4, 4, &why), BROKEN);
        EXPECT_EQ(why, FAILED_RESPONSE);
        exchange_fail(f.w, &f.conn, why);
        EXPECT_EQ(outcomes(&f, DONE), 3);
        EXPECT_EQ(outcomes(&f, FAILED_RESPONSE), 1);
        ask(&f, 0, got, sizeof(got));
        EXPECT_EQ(answer_bytes(&f, "ab", 2, 2, &why), GOES_ON);
        mtcp_close(f.d.srv, f.srv);
        duo_step(&f.d, 0);
        EXPECT_EQ(exchange_receive(f.w, &f.conn, &why), BROKEN);
        EXPECT_EQ(why, FAILED_CLOSED);
        teardown(&f);
    }
}

static void a_reset_fails_what_is_on_its_way(void)
{
    struct fixture f;
    enum outcome why = DONE;
    char got[256];
    setup(&f);
    for (uint64_t i = 0; i < 3; i++)
        ask(&f, 0, got, sizeof(got));
    EXPECT_EQ(mtcp_write(f.d.srv, f.srv, ok, strlen(ok)), (ssize_t)strlen(ok));
    duo_step(&f.d, 0);
    mtcp_abort(f.d.srv, f.srv);
    duo_step(&f.d, 0);
    EXPECT_EQ(exchange_receive(f.w, &f.conn, &why), GOES_ON); /* what came before it counts */
    EXPECT_EQ(exchange_receive(f.w, &f.conn, &why), BROKEN);
    EXPECT_EQ(why, FAILED_RESET);
    exchange_fail(f.w, &f.conn, why);
    EXPECT_EQ(outcomes(&f, DONE), 1);
    EXPECT_EQ(outcomes(&f, FAILED_RESET), 2);
    teardown(&f);
}

TEST_SUITE(epclient_exchange, TEST_CASE(the_request_is_as_it_should_be),
           TEST_CASE(a_response_ends_the_exchange), TEST_CASE(interim_responses_are_passed_over),
           TEST_CASE(pipelined_responses), TEST_CASE(more_than_was_asked_for),
           TEST_CASE(requests_outlive_a_server_that_closes), TEST_CASE(the_end_of_the_stream),
           TEST_CASE(early_responses), TEST_CASE(contents_are_hashed),
           TEST_CASE(contents_are_written), TEST_CASE(rpc_framing),
           TEST_CASE(a_reset_fails_what_is_on_its_way));

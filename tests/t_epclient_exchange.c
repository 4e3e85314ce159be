/* One request and what comes back, byte by byte, from a server that the test plays. */
#include "apps/epclient/client.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct duo d;
    struct args args;
    struct client *cl;
    struct conn conn;
    int srv;
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
    f->cl = calloc(1, sizeof(*f->cl));
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->cl);
    f->cl->args = &f->args;
    f->cl->mctx = f->d.cli;
    exchange_prepare(f->cl);
}

static void teardown(struct fixture *f)
{
    free(f->cl);
    duo_close(&f->d);
}

/* The server answers with `text`, in pieces of `piece` bytes. How the exchange ended. */
static enum progress answer(struct fixture *f, const char *text, size_t piece, enum outcome *why)
{
    size_t len = strlen(text), at = 0;
    exchange_begin(f->cl, &f->conn);
    enum progress p = exchange_go_on(f->cl, &f->conn, why);
    EXPECT_EQ(p, WAITS_TO_READ);
    while (at < len && p == WAITS_TO_READ) {
        size_t n = len - at < piece ? len - at : piece;
        EXPECT_EQ(mtcp_write(f->d.srv, f->srv, text + at, n), (ssize_t)n);
        at += n;
        duo_step(&f->d, 0);
        p = exchange_go_on(f->cl, &f->conn, why);
    }
    return p;
}

static void a_response_ends_the_exchange(void)
{
    struct fixture f;
    enum outcome why = DONE;
    setup(&f);
    EXPECT_EQ(answer(&f, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 100, &why),
              FINISHED_KEEP);
    EXPECT_EQ(answer(&f, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 100, &why), BROKEN);
    EXPECT_EQ(why, FAILED_STATUS);
    EXPECT_EQ(answer(&f, "SMTP", 100, &why), BROKEN);
    EXPECT_EQ(why, FAILED_RESPONSE);
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
    setup(&f);
    for (size_t piece = 1; piece < sizeof(text); piece += 7)
        EXPECT_EQ(answer(&f, text, piece, &why), FINISHED_KEEP);
    EXPECT_EQ(answer(&f, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 100, &why),
              BROKEN);
    EXPECT_EQ(why, FAILED_STATUS);
    teardown(&f);
}

TEST_SUITE(epclient_exchange, TEST_CASE(a_response_ends_the_exchange),
           TEST_CASE(interim_responses_are_passed_over));

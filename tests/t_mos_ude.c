/* User-defined events through the public calls, inside real endpoints, as mOS's programs use them.
 */
#include "tests/duo.h"
#include "tests/test.h"

#include <mos_api.h>
#include <mtcp_api.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct duo d;
static char text[2048];
static int passive, listener, srv, cli;

static void say(const char *what, int sock, int side)
{
    (void)sock;
    size_t n = strlen(text);
    snprintf(text + n, sizeof(text) - n, "%s%s; ", what,
             side == MOS_SIDE_CLI   ? " cli"
             : side == MOS_SIDE_SVR ? " svr"
                                    : "");
}

#define SAW(want) expect_saw(want, __LINE__)
static void expect_saw(const char *want, int line)
{
    if (strcmp(text, want) != 0)
        fprintf(stderr, "\n%s:%d: saw\n  %s\nexpected\n  %s\n", __FILE__, line, text, want);
    CU_assertImplementation(strcmp(text, want) == 0, (unsigned)line, "events", __FILE__, "",
                            CU_FALSE);
    text[0] = '\0';
}

#define FAILS(call, err)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        EXPECT_EQ(call, -1);                                                                       \
        EXPECT_EQ(errno, err);                                                                     \
    } while (0)

static void begin(void)
{
    duo_open(&d, NULL);
    text[0] = '\0';
    passive = mtcp_socket(d.srv, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    CU_ASSERT_FATAL(passive >= 0);
}

static void on(event_t ev, int hook, callback_t cb)
{
    EXPECT_EQ(mtcp_register_callback(d.srv, passive, ev, hook, cb), 0);
}

static void open_connection(void)
{
    listener = duo_listen(&d, 80);
    srv = duo_pair(&d, listener, &cli);
}

static void client_sends(const char *bytes)
{
    EXPECT_EQ(mtcp_write(d.cli, cli, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
    duo_step(&d, 0);
}

/* The application's last word: what it could read. */
static void application_reads(const char *want)
{
    char buf[256] = "";
    ssize_t n = mtcp_read(d.srv, srv, buf, sizeof(buf) - 1);
    EXPECT_EQ(n, want ? (ssize_t)strlen(want) : -1);
    if (want)
        CU_ASSERT_STRING_EQUAL(buf, want);
}

/* ---- requests of a connection, told apart by one filter -------------------------------------- */

static event_t request, of_kind[2];
static const char *const kinds[2] = {"GET ", "POST"};

static bool is_request(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char bytes[64];
    CU_ASSERT(ev == request && arg->len == 0);
    if (side != MOS_SIDE_SVR || mtcp_peek(m, sock, side, bytes, sizeof(bytes)) < 4)
        return false;
    for (unsigned i = 0; i < 2; i++)
        if (memcmp(bytes, kinds[i], 4) == 0)
            EXPECT_EQ(mtcp_raise_event(m, of_kind[i]), 0);
    return true;
}

/* A rule: its arg is what to look for anywhere in what is kept. */
static bool holds_pattern(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char buf[256];
    (void)ev;
    ssize_t n = mtcp_ppeek(m, sock, side, buf, sizeof(buf), 0);
    return n > 0 && memmem(buf, (size_t)n, arg->arg, arg->len) != NULL;
}

static void on_request(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)arg;
    say(ev == request ? "request" : ev == of_kind[0] ? "get" : "post", sock, side);
}

static void on_pattern(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)ev;
    say("match", sock, side);
    EXPECT_EQ(arg->len, 6);
    EXPECT_EQ(mtcp_reset_conn(m, sock), 0); /* the application never sees it */
}

static void define_requests(void)
{
    char pattern[] = "attack";
    request = mtcp_define_event(MOS_ON_CONN_NEW_DATA, is_request, NULL);
    of_kind[0] = mtcp_alloc_event(request);
    of_kind[1] = mtcp_alloc_event(request);
    event_t bad =
        mtcp_define_event(of_kind[1], holds_pattern, &(filter_arg_t){pattern, strlen(pattern)});
    CU_ASSERT_FATAL(request && of_kind[0] && of_kind[1] && bad);
    memset(pattern, 0, sizeof(pattern));
    on(request, MOS_NULL, on_request);
    on(of_kind[0], MOS_NULL, on_request);
    on(of_kind[1], MOS_NULL, on_request);
    on(bad, MOS_NULL, on_pattern);
}

static void one_filter_many_events_and_a_rule_below(void)
{
    int keep = 256;
    begin();
    define_requests();
    EXPECT_EQ(mtcp_setsockopt(d.srv, passive, SOL_MONSOCKET, MOS_SVRBUF, &keep, sizeof(keep)), 0);
    open_connection();
    SAW("");
    client_sends("GET ");
    SAW("request svr; get svr; ");
    client_sends("HEAD");
    SAW("request svr; ");
    client_sends("attack"); /* not in a POST */
    SAW("request svr; ");
    application_reads("GET HEADattack");
    client_sends("POST");
    SAW("request svr; post svr; match svr; ");
    application_reads(NULL);
    EXPECT_EQ(errno, ECONNRESET);
    duo_close(&d);
}

/* ---- what may be done inside ----------------------------------------------------------------- */

static event_t later;

static bool always(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)ev, (void)arg;
    return true;
}

static void on_later(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)arg;
    say(ev == later ? "later" : "?", sock, side);
}

static void on_time(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)arg;
    EXPECT_EQ(ev, MOS_ON_TIMEOUT);
    say("time", sock, side);
}

/* Defines, registers on its own connection, sets a timer: all inside a filter. */
static bool prepares(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct timeval t = {0, 500};
    int nth = 7;
    (void)side, (void)arg;
    later = mtcp_define_event(ev, always, &(filter_arg_t){&nth, sizeof(nth)});
    EXPECT_EQ(mtcp_register_callback(m, sock, later, MOS_HK_RCV, on_later), 0);
    EXPECT_EQ(mtcp_settimer(m, sock, &t, on_time), 0);
    return true;
}

static void nothing(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)ev, (void)arg;
    say("fin", sock, side);
}

#define TCP_FIN_BIT 0x01

static bool is_fin(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)ev, (void)arg;
    return side == MOS_SIDE_SVR && mtcp_getlastpkt(m, sock, side, &p) == 0 &&
           (((const uint8_t *)p.tcph)[13] & TCP_FIN_BIT); /* the header lies where it lies */
}

static void filters_define_register_and_set_timers(void)
{
    begin();
    on(mtcp_define_event(MOS_ON_CONN_START, prepares, NULL), MOS_HK_RCV, nothing);
    on(mtcp_define_event(MOS_ON_PKT_IN, is_fin, NULL), MOS_HK_RCV, nothing);
    open_connection();
    SAW("fin svr; ");
    duo_step(&d, 500);
    duo_step(&d, 0);
    SAW("time; ");
    EXPECT_EQ(mtcp_shutdown(d.cli, cli, SHUT_WR), 0);
    duo_step(&d, 0);
    SAW("fin svr; ");
    duo_close(&d);
}

/* An IPS of one rule: the verdict of a filter keeps a packet from the endpoint. */
static bool is_evil(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)ev, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) < 0 || p.payloadlen < 4 || memcmp(p.payload, "evil", 4))
        return false;
    EXPECT_EQ(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP), 0);
    return true;
}

static void on_evil(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)m, (void)ev, (void)arg;
    say("evil", sock, side);
}

static void a_filter_keeps_a_packet_from_the_endpoint(void)
{
    begin();
    on(mtcp_define_event(MOS_ON_PKT_IN, is_evil, NULL), MOS_HK_SND, on_evil);
    open_connection();
    client_sends("evil");
    SAW("evil cli; ");
    application_reads(NULL);
    EXPECT_EQ(errno, EAGAIN);
    duo_close(&d);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void *of_another_thread(void *arg)
{
    (void)arg;
    FAILS(mtcp_raise_event(d.srv, of_kind[0]), EPERM);
    CU_ASSERT(mtcp_define_event(MOS_ON_CONN_NEW_DATA, is_request, NULL) == request);
    return NULL;
}

static void *heard_of_timer;

static void raises_in_a_timer(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)ev, (void)arg;
    FAILS(mtcp_raise_event(m, of_kind[0]), EPERM);
    heard_of_timer = m;
}

static void errors_are_told(void)
{
    struct timeval t = {0, 0};
    pthread_t thread;
    begin();
    define_requests();
    FAILS(mtcp_raise_event(NULL, of_kind[0]), EACCES);
    FAILS(mtcp_raise_event(d.srv, of_kind[0]), EPERM);
    FAILS(mtcp_raise_event(d.srv, 0), EPERM);
    FAILS(mtcp_register_callback(d.srv, passive, of_kind[0], MOS_HK_SND, on_request), EINVAL);
    FAILS(mtcp_register_callback(d.srv, passive, of_kind[1] + 1000, MOS_NULL, on_request), EINVAL);
    FAILS(mtcp_unregister_callback(d.srv, passive, of_kind[0], MOS_HK_SND), EINVAL);
    EXPECT_EQ(mtcp_unregister_callback(d.srv, passive, of_kind[0], MOS_NULL), 0);
    FAILS(mtcp_unregister_callback(d.srv, passive, of_kind[0], MOS_NULL), ENOENT);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, of_another_thread, NULL), 0);
    pthread_join(thread, NULL);
    EXPECT_EQ(mtcp_settimer(d.srv, 1, &t, raises_in_a_timer), 0);
    duo_step(&d, 0);
    CU_ASSERT_PTR_EQUAL(heard_of_timer, d.srv);
    duo_close(&d);
}

/* An event that one context uses is there for another. */
static void events_are_the_processs(void)
{
    begin();
    define_requests();
    int other = mtcp_socket(d.cli, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    EXPECT_EQ(mtcp_register_callback(d.cli, other, request, MOS_NULL, on_request), 0);
    open_connection();
    client_sends("GET "); /* of the client's monitor the server is the emulated side */
    SAW("request svr; request svr; get svr; ");
    duo_close(&d);
}

TEST_SUITE(mos_ude, TEST_CASE(one_filter_many_events_and_a_rule_below),
           TEST_CASE(filters_define_register_and_set_timers),
           TEST_CASE(a_filter_keeps_a_packet_from_the_endpoint), TEST_CASE(errors_are_told),
           TEST_CASE(events_are_the_processs));

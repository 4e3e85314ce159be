/*
 * What the plugins of apps/ keep: after thousands of connections of every kind the program holds as
 * many bytes as before them, to the byte, in the context's memory and from malloc().
 */
#include "mtcp/core/ctx.h"
#include "tests/app_plugin.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <mtcp_api.h>

#include <errno.h>

#define CONNS 2000 /* so many warm up, as many again leave nothing */

static struct duo d;
static int listener;

/* ---- bytes that malloc() has handed out ------------------------------------------------------ */

/* jemalloc's; with AddressSanitizer its own; elsewhere nobody counts. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static uint64_t counter(const char *name)
{
    uint64_t n = 0;
    size_t len = sizeof(n);
    return mallctl(name, &n, &len, NULL, 0) == 0 ? n : 0;
}

static uint64_t live_bytes(void)
{
    mem_trim(ctx_of_live(d.srv)->mem);
    mem_trim(ctx_of_live(d.cli)->mem);
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    return mallctl ? counter("thread.allocated") - counter("thread.deallocated") : 0;
}

/* ---- connections ----------------------------------------------------------------------------- */

enum kind { CLIENT_CLOSES, SERVER_CLOSES, CLIENT_ABORTS, SERVER_ABORTS, HOLE, REFUSED, KINDS };

static void say(mctx_t m, int s, const char *text)
{
    EXPECT_EQ(mtcp_write(m, s, text, strlen(text)), (ssize_t)strlen(text));
    duo_step(&d, 10);
}

static void take(mctx_t m, int s)
{
    char buf[4096];
    while (mtcp_read(m, s, buf, sizeof(buf)) > 0)
        continue;
}

/* What comes second arrives, what came first is sent again. */
static void say_with_a_hole(int c)
{
    d.cut_cli = true;
    say(d.cli, c, "GET /hole HTTP/1.1\r\n");
    d.cut_cli = false;
    say(d.cli, c, "Host: here\r\n\r\n");
    duo_run(&d, 300000);
}

static void converse(enum kind kind, int s, int c)
{
    if (kind == HOLE)
        say_with_a_hole(c);
    else
        say(d.cli, c, "GET /what?secret HTTP/1.1\r\nHost: here\r\n\r\n");
    take(d.srv, s);
    say(d.srv, s, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    if (kind != CLIENT_ABORTS)
        take(d.cli, c);
    say(d.cli, c, "GET /unanswered");
}

static void end(enum kind kind, int s, int c)
{
    if (kind == CLIENT_ABORTS) {
        EXPECT_EQ(mtcp_abort(d.cli, c), 0);
        duo_step(&d, 10);
        EXPECT_EQ(mtcp_close(d.srv, s), 0);
    } else if (kind == SERVER_ABORTS) {
        EXPECT_EQ(mtcp_abort(d.srv, s), 0);
        duo_step(&d, 10);
        EXPECT_EQ(mtcp_close(d.cli, c), 0);
    } else {
        take(d.srv, s);
        EXPECT_EQ(kind == SERVER_CLOSES ? mtcp_close(d.srv, s) : mtcp_close(d.cli, c), 0);
        duo_step(&d, 10);
        EXPECT_EQ(kind == SERVER_CLOSES ? mtcp_close(d.cli, c) : mtcp_close(d.srv, s), 0);
    }
    duo_step(&d, 10);
}

static void one(enum kind kind)
{
    if (kind == REFUSED) {
        int c = duo_connect(&d, 81);
        duo_step(&d, 10);
        EXPECT_EQ(mtcp_close(d.cli, c), 0);
        return;
    }
    int c, s = duo_pair(&d, listener, &c);
    converse(kind, s, c);
    end(kind, s, c);
}

/* n of them, and until TIME_WAIT and every timer of a plugin is over. */
static void many(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        one((enum kind)(i % KINDS));
    duo_run(&d, 3000000);
}

static void given_back(const char *plugin, const char *args)
{
    char conf[2100];
    snprintf(conf, sizeof(conf), "tcp_tw_interval = 1\n%s", app_conf(plugin, "%s", args));
    duo_open_srv(&d, conf);
    listener = duo_listen(&d, 80);
    many(CONNS);
    uint64_t live = live_bytes(), in_use = mem_in_use(ctx_of_live(d.srv)->mem);
    many(CONNS);
    EXPECT_EQ(live_bytes(), live);
    EXPECT_EQ(mem_in_use(ctx_of_live(d.srv)->mem), in_use);
    duo_close(&d);
}

/* ---- plugins --------------------------------------------------------------------------------- */

static void of_connlog(void)
{
    given_back("connlog", "file=/dev/null");
}

static void of_tcpstat(void)
{
    given_back("tcpstat", "report=/dev/null");
}

static void of_httplog(void)
{
    given_back("httplog", "file=/dev/null");
}

static void of_flowlog(void)
{
    given_back("flowlog", "file=/dev/null edges");
}

static void of_firewall(void)
{
    char args[200];
    app_begin();
    app_file("rules", "DROP 192.168.0.0/16 any dport:80\nACCEPT any any\n");
    snprintf(args, sizeof(args), "rules=%s file=/dev/null", app_path("rules"));
    given_back("firewall", args);
    app_end();
}

static void of_ids(void)
{
    char args[200];
    app_begin();
    app_file("patterns", "log both a /secret/\nlog cli b /hel+o/\ndrop svr c /never/\n");
    snprintf(args, sizeof(args), "patterns=%s file=/dev/null", app_path("patterns"));
    given_back("ids", args);
    app_end();
}

TEST_SUITE(apps_memory, TEST_CASE(of_connlog), TEST_CASE(of_tcpstat), TEST_CASE(of_httplog),
           TEST_CASE(of_flowlog), TEST_CASE(of_firewall), TEST_CASE(of_ids));

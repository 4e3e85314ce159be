/* flowlog and connlog in the contexts of a duo: what is in their files; tcpstat that can't begin.
 */
#include "tests/app_plugin.h"
#include "tests/duo.h"
#include "tests/test.h"

#include <dlfcn.h>
#include <mtcp_api.h>
#include <signal.h>

static struct duo d;

/* A connection on which the client says five bytes, and both close. */
static void talk(void)
{
    int l = duo_listen(&d, 80), c, s = duo_pair(&d, l, &c);
    char buf[8];
    EXPECT_EQ(mtcp_write(d.cli, c, "hello", 5), 5);
    duo_run(&d, 10000);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 5);
    EXPECT_EQ(mtcp_close(d.cli, c), 0);
    EXPECT_EQ(mtcp_close(d.srv, s), 0);
    duo_run(&d, 100000);
}

static unsigned n_of(const char *text, const char *what)
{
    unsigned n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

static void events(void)
{
    static const char *const want[] = {"  start  the server is this host\n",
                                       "  state  svr ESTABLISHED\n",
                                       "  data   to svr 5 bytes, 5 in all\n",
                                       "  edges  svr init ",
                                       " runs 0+5\n",
                                       "  end    FIN; to svr 5 bytes, to cli 0 bytes, 0.11"};
    app_begin();
    duo_open_srv(&d, app_conf("flowlog", "file=%s/out edges", app_dir));
    talk();
    duo_close(&d);
    const char *text = app_text("out");
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(text, want[i]));
    EXPECT_EQ(n_of(text, " #1 10.0.0.2:"), n_of(text, "\n"));
    EXPECT_EQ(n_of(text, " > 10.0.0.1:80  "), n_of(text, "\n"));
    app_end();
}

static void some_events(void)
{
    app_begin();
    duo_open_srv(&d, app_conf("flowlog", "file=%s/out events=start,state lines=3", app_dir));
    talk();
    duo_close(&d);
    EXPECT_EQ(n_of(app_text("out"), "\n"), 3);
    EXPECT_EQ(n_of(app_text("out"), "  state  "), 2);
    app_end();
}

/* Both contexts write to the file: one header, one footer, a line of each. */
static void a_file_of_two_contexts(void)
{
    app_begin();
    duo_open(&d, app_conf("connlog", "file=%s/out", app_dir));
    EXPECT_EQ(n_of(app_text("out"), "#fields\t"), 1); /* before any connection */
    talk();
    duo_close(&d);
    const char *text = app_text("out");
    EXPECT_EQ(strncmp(text, "#separator \\x09\n", 16), 0);
    EXPECT_EQ(n_of(text, "#fields\t"), 1);
    EXPECT_EQ(n_of(text, "\t80\ttcp\t"), 2);
    EXPECT_EQ(n_of(text, "\tSF\tT\tF\t0\t"), 1);
    EXPECT_EQ(n_of(text, "\tSF\tF\tT\t0\t"), 1);
    EXPECT_EQ(n_of(text, "#close\t"), 1);
    const char *close = strstr(text, "#close\t");
    CU_ASSERT_FATAL(close != NULL);
    EXPECT_EQ(n_of(close, "\n"), 1); /* nothing behind it */
    app_end();
}

static void *plugin_load(const char *name, int (**init)(mctx_t mctx, const char *args))
{
    char path[1100];
    ssize_t n = readlink("/proc/self/exe", path, 1024);
    CU_ASSERT_FATAL(n > 0);
    path[n] = '\0';
    sprintf(strrchr(path, '/'), "/%s.so", name);
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(lib);
    *(void **)init = dlsym(lib, "mos_monitor_init");
    CU_ASSERT_FATAL(*init != NULL);
    return lib;
}

static void a_disk_without_room_for_the_header(void)
{
    int (*init)(mctx_t mctx, const char *args);
    void *lib = plugin_load("connlog", &init);
    app_begin();
    stderr_begin();
    EXPECT_EQ(init(NULL, "file=/dev/full"), -1);
    CU_ASSERT_STRING_EQUAL(stderr_end(), "connlog: /dev/full: No space left on device\n");
    app_end();
    dlclose(lib);
}

/* The age of a connection that was silent for longer than 32 bits of microseconds. */
static void a_long_silence(void)
{
    app_begin();
    duo_open_srv(&d, app_conf("flowlog", "file=%s/out events=end", app_dir));
    int l = duo_listen(&d, 80), c, s = duo_pair(&d, l, &c);
    duo_run(&d, 100000);
    d.now_us += UINT64_C(10000000000);
    EXPECT_EQ(mtcp_abort(d.srv, s), 0);
    duo_close(&d);
    CU_ASSERT_PTR_NOT_NULL(strstr(app_text("out"), ", 10000.1"));
    app_end();
}

/* A plugin that can't begin is unloaded: no signal may find its handler. */
static void a_start_that_fails_leaves_no_handler(void)
{
    int (*init)(mctx_t mctx, const char *args);
    struct sigaction usr1;
    void *lib = plugin_load("tcpstat", &init);
    app_begin();
    stderr_begin();
    EXPECT_EQ(init(NULL, "screen=/dev/null"), -1);
    CU_ASSERT_STRING_EQUAL(stderr_end(),
                           "tcpstat: screen: /dev/null: Inappropriate ioctl for device\n");
    app_end();
    sigaction(SIGUSR1, NULL, &usr1);
    CU_ASSERT(usr1.sa_handler == SIG_DFL);
    dlclose(lib);
}

TEST_SUITE(apps_logs, TEST_CASE(events), TEST_CASE(some_events), TEST_CASE(a_file_of_two_contexts),
           TEST_CASE(a_disk_without_room_for_the_header), TEST_CASE(a_long_silence),
           TEST_CASE(a_start_that_fails_leaves_no_handler));

/* What plugins have in common: the words of their args, and the lines they write. */
#include "tests/app_plugin.h"
#include "tests/test.h"

#include "apps/common/lines.h"
#include "apps/common/out.h"
#include "apps/common/plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

/* ---- args ------------------------------------------------------------------------------------ */

static bool number_read(void *to, const char *value)
{
    return plugin_arg_number(value, 7, 500, to);
}

static void args(void)
{
    char path[8] = "", err[400], want[400];
    bool flag = false;
    uint64_t n = 0;
    const struct plugin_arg known[] = {
        {"file", "PATH", path, sizeof(path), NULL},
        {"file", NULL, &flag, 0, NULL},
        {"n", "7..500", &n, 0, number_read},
    };
    CU_ASSERT(plugin_args_read("  ", known, 3, err, sizeof(err)));
    CU_ASSERT(plugin_args_read(" file=12 file=a=b  ", known, 3, err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(path, "a=b"); /* the last one */
    CU_ASSERT_FALSE(flag);
    EXPECT_EQ(n, 0);
    CU_ASSERT(plugin_args_read("file n=33 file=1234567", known, 3, err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(path, "1234567");
    CU_ASSERT(flag);
    EXPECT_EQ(n, 33);
    static const char *const bad[] = {
        "file=12345678", "file=", "filex=1", "files", "fil", "n", "n=", "n=6", "n=7x", "="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(want, sizeof(want), "'%s' is none of file=PATH, file, n=7..500", bad[i]);
        CU_ASSERT_FALSE(plugin_args_read(bad[i], known, 3, err, sizeof(err)));
        CU_ASSERT_STRING_EQUAL(err, want);
    }
    CU_ASSERT_FALSE(plugin_args_read("n=x", known, 3, err, 12));
    CU_ASSERT_STRING_EQUAL(err, "'n=x' is no");
}

static bool any_text(void *to, const char *value)
{
    *(size_t *)to = strlen(value);
    return true;
}

static void long_values(void)
{
    char text[PLUGIN_VALUE_MAX + 3] = "k=", err[400];
    size_t len = 0;
    const struct plugin_arg known = {"k", "TEXT", &len, 0, any_text};

    memset(text + 2, 'a', PLUGIN_VALUE_MAX);
    CU_ASSERT_FALSE(plugin_args_read(text, &known, 1, err, sizeof(err)));
    text[PLUGIN_VALUE_MAX + 1] = '\0';
    CU_ASSERT(plugin_args_read(text, &known, 1, err, sizeof(err)));
    EXPECT_EQ(len, PLUGIN_VALUE_MAX - 1);
}

static void numbers(void)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t n;
    } rows[] = {{"7", true, 7},
                {"07", true, 7},
                {"999999999999999999", true, 999999999999999999},
                {"6", false, 0},
                {"", false, 0},
                {"7x", false, 0},
                {"-7", false, 0},
                {"18446744073709551623", false, 0}}; /* 7 more than 2^64 */

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t n = 0;
        CU_ASSERT_EQUAL(plugin_arg_number(rows[i].text, 7, UINT64_MAX, &n), rows[i].ok);
        if (rows[i].ok)
            EXPECT_EQ(n, rows[i].n);
    }
    uint64_t n;
    CU_ASSERT_FALSE(plugin_arg_number("501", 7, 500, &n));
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const char *foreign(const char *text, size_t n, size_t max)
{
    static char buf[200];
    *put_foreign(buf, text, n, max) = '\0';
    return buf;
}

static void what_a_line_is_made_of(void)
{
    char buf[100];
    CU_ASSERT_STRING_EQUAL(foreign("/a\x01 b\\\x7f\xff\n", 9, 99),
                           "/a\\x01\\x20b\\x5c\\x7f\\xff\\x0a");
    CU_ASSERT_STRING_EQUAL(foreign("", 0, 99), "-");
    CU_ASSERT_STRING_EQUAL(foreign("abcdef", 6, 6), "abcdef");
    CU_ASSERT_STRING_EQUAL(foreign("abcdef", 6, 5), "abcde...");
    *put_u64(buf, UINT64_MAX) = '\0';
    CU_ASSERT_STRING_EQUAL(buf, "18446744073709551615");
    *put_u64(buf, 0) = '\0';
    CU_ASSERT_STRING_EQUAL(buf, "0");
    *put_us(buf, 1000000001000007) = '\0';
    CU_ASSERT_STRING_EQUAL(buf, "1000000001.000007");
    *put_us(buf, 42) = '\0';
    CU_ASSERT_STRING_EQUAL(buf, "0.000042");
}

/* Lines come whole and in order, however many. */
static void lines_of_a_file(void)
{
    static struct out out;
    app_begin();
    CU_ASSERT_FATAL(out_open(&out, "test", app_path("out")));
    for (unsigned i = 0; i < 5000; i++) {
        char *at = put_u64(out_line(&out), 1000000 + i);
        memset(at, 'x', 100);
        out_line_end(&out, at + 100);
    }
    out_close(&out);
    FILE *f = fopen(app_path("out"), "r");
    char line[200];
    unsigned n = 0;
    while (fgets(line, sizeof(line), f)) {
        EXPECT_EQ(strlen(line), 108);
        EXPECT_EQ(atoi(line), 1000000 + (int)n);
        n++;
    }
    EXPECT_EQ(n, 5000);
    fclose(f);
    app_end();
    CU_ASSERT_FALSE(out_open(&out, "test", "/nowhere/x"));
    EXPECT_EQ(errno, ENOENT);
    out_close(&out);
}

static void line(struct out *o, const char *text)
{
    out_line_end(o, put_text(out_line(o), text));
}

/* It is said once, and how many at the end. */
static void lines_that_cannot_be_written(void)
{
    static struct out out;
    app_begin();
    stderr_begin();
    CU_ASSERT_FATAL(out_open(&out, "test", "/dev/full"));
    line(&out, "lost");
    CU_ASSERT_FALSE(out_flush(&out));
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_EQ(out.n_lost, 1);
    line(&out, "lost");
    line(&out, "lost");
    out_close(&out);
    CU_ASSERT_STRING_EQUAL(stderr_end(),
                           "test: /dev/full: No space left on device; lines are missing there\n"
                           "test: /dev/full: 3 lines are missing\n");
    app_end();
}

/* The disk is full in the midst of a line, and has room again later: lines are whole, but that. */
static void a_disk_that_is_full_for_a_while(void)
{
    static struct out out;
    struct rlimit before, small;
    app_begin();
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
    void (*xfsz)(int) = signal(SIGXFSZ, SIG_IGN);
    stderr_begin();
    CU_ASSERT_FATAL(out_open(&out, "test", app_path("out")));
    setrlimit(RLIMIT_FSIZE, &small);
    line(&out, "first");
    line(&out, "second");
    line(&out, "third");
    CU_ASSERT_FALSE(out_flush(&out));
    EXPECT_EQ(out.n_lost, 2);
    line(&out, "fourth");
    CU_ASSERT_FALSE(out_flush(&out));
    EXPECT_EQ(out.n_lost, 3);
    CU_ASSERT_FALSE(out_flush(&out)); /* the newline alone */
    EXPECT_EQ(out.n_lost, 3);
    setrlimit(RLIMIT_FSIZE, &before);
    line(&out, "fifth");
    CU_ASSERT(out_flush(&out));
    out_close(&out);
    CU_ASSERT_PTR_NOT_NULL(strstr(stderr_end(), "3 lines are missing"));
    signal(SIGXFSZ, xfsz);
    CU_ASSERT_STRING_EQUAL(app_text("out"), "first\nseco\nfifth\n");
    app_end();
}

/* ---- files that people write ----------------------------------------------------------------- */

static const char *take_good(void *arg, char *line, unsigned number, const char **word)
{
    unsigned *n = arg;
    line[strcspn(line, "\n")] = '\0';
    EXPECT_EQ(number, ++*n);
    *word = line;
    return strcmp(line, "bad") == 0 ? "is no good" : NULL;
}

static void lines_of_a_file_that_is_read(void)
{
    char err[400] = "", want[400];
    unsigned n = 0;
    app_begin();
    app_file("in", "one\n\nthree");
    CU_ASSERT(lines_read(app_path("in"), take_good, &n, err, sizeof(err)));
    EXPECT_EQ(n, 3);
    CU_ASSERT_STRING_EQUAL(err, "");
    app_file("in", "one\nbad\nthree\n");
    n = 0;
    CU_ASSERT_FALSE(lines_read(app_path("in"), take_good, &n, err, sizeof(err)));
    EXPECT_EQ(n, 2);
    snprintf(want, sizeof(want), "%s:2: 'bad' is no good", app_path("in"));
    CU_ASSERT_STRING_EQUAL(err, want);
    CU_ASSERT_FALSE(lines_read(app_dir, take_good, &n, err, sizeof(err)));
    snprintf(want, sizeof(want), "%s: Is a directory", app_dir);
    CU_ASSERT_STRING_EQUAL(err, want);
    CU_ASSERT_FALSE(lines_read("/none/x", take_good, &n, err, sizeof(err)));
    CU_ASSERT_STRING_EQUAL(err, "/none/x: No such file or directory");
    app_end();
}

TEST_SUITE(apps_common, TEST_CASE(args), TEST_CASE(long_values), TEST_CASE(numbers),
           TEST_CASE(lines_of_a_file_that_is_read), TEST_CASE(what_a_line_is_made_of),
           TEST_CASE(lines_of_a_file), TEST_CASE(lines_that_cannot_be_written),
           TEST_CASE(a_disk_that_is_full_for_a_while));

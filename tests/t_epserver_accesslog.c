/* Lines of the access log, and what becomes of them. */
#include "tests/test.h"

#include "apps/epserver/accesslog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct accesslog alog;
static char line[ACCESSLOG_LINE_ROOM + 1];

static const char *begin(const char *peer, const char *target, size_t target_len, bool has_version)
{
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6};
    struct access a = {
        .peer = peer ? &addr : NULL,
        .method = "GET",
        .target = target,
        .target_len = target_len,
        .http_major = 1,
        .http_minor = 1,
        .has_version = has_version,
        .status = 200,
    };

    if (peer)
        inet_pton(AF_INET6, peer, &addr.sin6_addr);
    line[accesslog_begin(&alog, line, &a, 971211336)] = '\0';
    return line;
}

static void lines_are_of_the_common_format(void)
{
    accesslog_init(&alog, -1);
    CU_ASSERT_STRING_EQUAL(begin("::ffff:10.9.0.1", "/a?b", 4, true),
                           "10.9.0.1 - - [10/Oct/2000:20:55:36 +0000] \"GET /a?b HTTP/1.1\" 200 ");
    CU_ASSERT_STRING_EQUAL(begin("fd00::1", "/", 1, true),
                           "fd00::1 - - [10/Oct/2000:20:55:36 +0000] \"GET / HTTP/1.1\" 200 ");
    CU_ASSERT_STRING_EQUAL(begin(NULL, "/", 1, false),
                           "- - - [10/Oct/2000:20:55:36 +0000] \"GET /\" 200 ");
    CU_ASSERT_STRING_EQUAL(begin(NULL, "", 0, true),
                           "- - - [10/Oct/2000:20:55:36 +0000] \"-\" 200 ");
}

/* Nobody writes lines of his own. */
static void what_comes_from_outside_is_escaped(void)
{
    accesslog_init(&alog, -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(begin(NULL, "/\" 200 1\n\\\x7f\xff\0x", 14, false),
                                  "\"GET /\\\" 200 1\\x0a\\\\\\x7f\\xff\\x00x\""));
}

static void the_longest_line_fits(void)
{
    char target[REQUEST_TARGET_MAX];

    memset(target, 1, sizeof(target));
    accesslog_init(&alog, -1);
    size_t len =
        strlen(begin("1111:2222:3333:4444:5555:6666:7777:8888", target, sizeof(target), true));
    CU_ASSERT(len > 4 * sizeof(target) && len < ACCESSLOG_LINE_ROOM);
    CU_ASSERT(len + 32 <= ACCESSLOG_ROOM);
}

static void lines_are_written_whole(void)
{
    char path[] = "/tmp/accesslog.XXXXXX", got[256] = "";
    int fd = mkstemp(path), n = 0;

    CU_ASSERT_FATAL(fd >= 0);
    accesslog_init(&alog, accesslog_open(path));
    accesslog_add(&alog, "a ", 2, 0);
    accesslog_add(&alog, "b ", 2, UINT64_MAX);
    EXPECT_EQ(read(fd, got, sizeof(got)), 0);
    accesslog_flush(&alog);
    EXPECT_EQ(read(fd, got, sizeof(got)), 27);
    CU_ASSERT_STRING_EQUAL(got, "a -\nb 18446744073709551615\n");
    accesslog_flush(&alog);
    EXPECT_EQ(read(fd, got, sizeof(got)), 0);
    /* Full, it is written; lines are not cut. */
    memset(line, 'x', 1000);
    for (n = 0; lseek(fd, 0, SEEK_END) == 27; n++)
        accesslog_add(&alog, line, 1000, 7);
    EXPECT_EQ((lseek(fd, 0, SEEK_END) - 27) % 1002, 0);
    EXPECT_EQ((lseek(fd, 0, SEEK_END) - 27) / 1002, n - 1);
    close(alog.fd);
    close(fd);
    unlink(path);
}

static void lines_that_are_lost_are_counted(void)
{
    accesslog_init(&alog, open("/dev/full", O_WRONLY));
    accesslog_add(&alog, "a ", 2, 0);
    accesslog_add(&alog, "b ", 2, 1);
    accesslog_flush(&alog);
    EXPECT_EQ(alog.n_lost, 2);
    accesslog_add(&alog, "c ", 2, 1);
    accesslog_flush(&alog);
    EXPECT_EQ(alog.n_lost, 3);
    EXPECT_EQ(alog.err, ENOSPC);
    EXPECT_EQ(alog.len, 0);
    close(alog.fd);
    CU_ASSERT(accesslog_open("/nowhere/log") == -ENOENT);
}

TEST_SUITE(epserver_accesslog, TEST_CASE(lines_are_of_the_common_format),
           TEST_CASE(what_comes_from_outside_is_escaped), TEST_CASE(the_longest_line_fits),
           TEST_CASE(lines_are_written_whole), TEST_CASE(lines_that_are_lost_are_counted));

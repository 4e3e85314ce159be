/* The command line. What is wrong prints its line on stderr, which is out of sight here. */
#include "tests/test.h"

#include "apps/epclient/args.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

static struct args a;

/* Words between blanks. */
static enum args_result read_line(const char *line)
{
    static char text[512]; /* what was read points into it */
    char *argv[32] = {"epclient"};
    int argc = 1, saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

    strcpy(text, line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    dup2(null, STDERR_FILENO);
    optind = 0;
    enum args_result result = args_read(&a, argc, argv);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(null);
    return result;
}

static void defaults(void)
{
    EXPECT_EQ(read_line("http://10.0.0.1/ 5"), ARGS_RUN);
    EXPECT_EQ(a.total, 5);
    EXPECT_EQ(a.concurrency, 1);
    EXPECT_EQ(a.n_cores, 0);
    EXPECT_EQ(a.timeout_s, 10);
    EXPECT_EQ(a.pipeline, 1);
    EXPECT_EQ(a.rate, 0);
    EXPECT_EQ(a.duration_s, 0);
    EXPECT_EQ(a.upload_bytes, 0);
    CU_ASSERT_PTR_NULL(a.conf_file);
    CU_ASSERT_PTR_NULL(a.out_file);
    CU_ASSERT_FALSE(a.keep_alive || a.is_rpc || a.any_length || a.is_json || a.is_hashed);
}

static void each_option(void)
{
    EXPECT_EQ(read_line("-c 8 -d 9 -f m.conf -k -l -N 2 -o out -r 7 -t 6 -6 --pipeline 5 --upload "
                        "4 --hash=00000000000000fF --json http://name/x 0"),
              ARGS_RUN);
    EXPECT_EQ(a.total, 0);
    EXPECT_EQ(a.concurrency, 8);
    EXPECT_EQ(a.duration_s, 9);
    EXPECT_EQ(a.n_cores, 2);
    EXPECT_EQ(a.rate, 7);
    EXPECT_EQ(a.timeout_s, 6);
    EXPECT_EQ(a.family, AF_INET6);
    EXPECT_EQ(a.pipeline, 5);
    EXPECT_EQ(a.upload_bytes, 4);
    EXPECT_EQ(a.hash, 255);
    CU_ASSERT(a.keep_alive && a.any_length && a.is_json && a.is_hashed && a.has_hash);
    CU_ASSERT_STRING_EQUAL(a.conf_file, "m.conf");
    CU_ASSERT_STRING_EQUAL(a.out_file, "out");
    CU_ASSERT_STRING_EQUAL(a.url.name, "name");
}

static void rpc(void)
{
    EXPECT_EQ(read_line("--rpc 64:1073741824 10.0.0.1:7 3 --hash"), ARGS_RUN);
    CU_ASSERT(a.is_rpc && a.keep_alive && a.is_hashed && !a.has_hash);
    EXPECT_EQ(a.rpc_req, 64);
    EXPECT_EQ(a.rpc_resp, 1073741824);
}

static void pipelining_keeps_connections(void)
{
    EXPECT_EQ(read_line("http://10.0.0.1/ 5 --pipeline 2"), ARGS_RUN);
    CU_ASSERT(a.keep_alive);
}

static void wrong_lines(void)
{
    static const char *const lines[] = {
        "",
        "http://10.0.0.1/",
        "http://10.0.0.1/ 1 2",
        "http://10.0.0.1/ -1",
        "http://10.0.0.1/ 1x",
        "http://10.0.0.1/ 9223372036854775808",
        "https://10.0.0.1/ 1",
        "-c 0 http://10.0.0.1/ 1",
        "-c 1000001 http://10.0.0.1/ 1",
        "-r 1.5 http://10.0.0.1/ 1",
        "-d 0 http://10.0.0.1/ 1",
        "-t 3601 http://10.0.0.1/ 1",
        "-N 65 -c 100 http://10.0.0.1/ 1",
        "-N 3 -c 2 http://10.0.0.1/ 1",
        "--pipeline 0 http://10.0.0.1/ 1",
        "--hash=00000000000000f http://10.0.0.1/ 1",
        "--hash=0x000000000000ff http://10.0.0.1/ 1",
        "--rpc 1 10.0.0.1:7 1",
        "--rpc 1: 10.0.0.1:7 1",
        "--rpc :1 10.0.0.1:7 1",
        "--rpc 0:1 10.0.0.1:7 1",
        "--rpc 1:1073741825 10.0.0.1:7 1",
        "--rpc 1:1 --upload 1 10.0.0.1:7 1",
        "--rpc 1:1 --download 10.0.0.1:7 1",
        "--rpc 1:1 -o x 10.0.0.1:7 1",
        "--upload 1 --download http://10.0.0.1/ 1",
        "-z http://10.0.0.1/ 1",
        "--uplod 1 http://10.0.0.1/ 1",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (read_line(lines[i]) != ARGS_WRONG)
            CU_FAIL(lines[i]);
}

TEST_SUITE(epclient_args, TEST_CASE(defaults), TEST_CASE(each_option), TEST_CASE(rpc),
           TEST_CASE(pipelining_keeps_connections), TEST_CASE(wrong_lines));

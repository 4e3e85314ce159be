/* Counts, exit statuses, contents that must be the same, the report, the progress line. */
#include "tests/test.h"

#include "apps/epclient/progress.h"
#include "apps/epclient/report.h"

#include <stdlib.h>
#include <string.h>

static struct results r, other;
static struct args args;

static void setup(void)
{
    memset(&args, 0, sizeof(args));
    args.total = 10;
    results_init(&r);
    results_init(&other);
}

static int status_of(enum outcome outcome, uint64_t n, uint64_t n_done, int signal)
{
    setup();
    r.outcomes[outcome] = n;
    r.outcomes[DONE] = n_done;
    return results_status(&r, &args, signal);
}

static void statuses(void)
{
    EXPECT_EQ(status_of(DONE, 10, 10, 0), STATUS_DONE);
    EXPECT_EQ(status_of(FAILED_STATUS, 1, 9, 0), STATUS_FAILED);
    EXPECT_EQ(status_of(FAILED_RESET, 10, 0, 0), STATUS_FAILED);
    EXPECT_EQ(status_of(FAILED_REFUSED, 10, 0, 0), STATUS_UNREACHED);
    EXPECT_EQ(status_of(FAILED_UNREACHABLE, 10, 0, 0), STATUS_UNREACHED);
    EXPECT_EQ(status_of(FAILED_CONNECT, 10, 0, 0), STATUS_UNREACHED);
    EXPECT_EQ(status_of(FAILED_REFUSED, 9, 1, 0), STATUS_FAILED);
    EXPECT_EQ(status_of(DONE, 5, 5, 2), STATUS_SIGNAL + 2);
    EXPECT_EQ(status_of(DONE, 0, 0, 15), STATUS_SIGNAL + 15);
    EXPECT_EQ(status_of(FAILED_RESET, 1, 5, 2), STATUS_FAILED); /* failures go before signals */
    EXPECT_EQ(status_of(DONE, 0, 0, 0), STATUS_FAILED);
    setup();
    args.total = 0;
    r.outcomes[DONE] = 5;
    EXPECT_EQ(results_status(&r, &args, 2), STATUS_DONE);
}

static void the_first_content_is_the_measure(void)
{
    setup();
    EXPECT_EQ(results_check(&r, &args, 64, 0), DONE);
    EXPECT_EQ(results_check(&r, &args, 64, 0), DONE);
    EXPECT_EQ(results_check(&r, &args, 65, 0), FAILED_LENGTH);
    args.any_length = true;
    EXPECT_EQ(results_check(&r, &args, 65, 0), DONE);
    setup();
    args.is_hashed = true;
    EXPECT_EQ(results_check(&r, &args, 64, 7), DONE);
    EXPECT_EQ(results_check(&r, &args, 64, 8), FAILED_HASH);
}

static void a_hash_that_is_given(void)
{
    setup();
    args.is_hashed = args.has_hash = true;
    args.hash = 7;
    EXPECT_EQ(results_check(&r, &args, 64, 8), FAILED_HASH);
    CU_ASSERT_FALSE(r.has_content);
    EXPECT_EQ(results_check(&r, &args, 63, 7), DONE);
    EXPECT_EQ(results_check(&r, &args, 63, 8), FAILED_HASH);
}

static void workers_add_up(void)
{
    setup();
    r.begun_us = 5;
    r.ended_us = 9;
    other.begun_us = 4;
    other.ended_us = 8;
    results_check(&r, &args, 64, 0);
    results_check(&other, &args, 64, 0);
    r.outcomes[DONE] = 3;
    other.outcomes[DONE] = 4;
    other.outcomes[FAILED_RESET] = 2;
    other.n_unfinished = 1;
    histogram_add(&other.latency, 100);
    results_merge(&r, &other, &args);
    EXPECT_EQ(r.outcomes[DONE], 7);
    EXPECT_EQ(results_errors(&r), 2);
    EXPECT_EQ(r.n_unfinished, 1);
    EXPECT_EQ(r.begun_us, 4);
    EXPECT_EQ(r.ended_us, 9);
    EXPECT_EQ(r.latency.n, 1);
}

static void a_worker_that_saw_other_contents_has_failed(void)
{
    setup();
    results_check(&r, &args, 64, 0);
    results_check(&other, &args, 65, 0);
    r.outcomes[DONE] = 3;
    other.outcomes[DONE] = 4;
    histogram_add(&other.latency, 100);
    results_merge(&r, &other, &args);
    EXPECT_EQ(r.outcomes[DONE], 3);
    EXPECT_EQ(r.outcomes[FAILED_LENGTH], 4);
    EXPECT_EQ(r.latency.n, 0);
}

static char *report(bool is_interrupted)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    report_print(to, &r, &args, is_interrupted);
    fclose(to);
    return text;
}

static void results_make(void)
{
    setup();
    args.rate = 50;
    strcpy(args.url.host, "a\"b\\");
    strcpy(args.url.path, "/x");
    r.outcomes[DONE] = 2;
    r.outcomes[FAILED_RESET] = 1;
    r.n_conns = 3;
    r.n_unfinished = 4;
    r.begun_us = 1000000;
    r.ended_us = 1500000;
    r.n_received = 1000000;
    r.n_sent = 500000;
    results_check(&r, &args, 64, 0);
    histogram_add(&r.latency, 100);
    histogram_add(&r.latency, 110);
}

static void as_text(void)
{
    results_make();
    char *text = report(true);
    CU_ASSERT_STRING_EQUAL(
        text, "requests 2 of 10 in 0.500 s over 3 connections, interrupted\n"
              "rate     4.0 requests/s of 50, 2.000 MB/s received, 1.000 MB/s sent\n"
              "latency  min 100  mean 105  p50 100  p90 110  p99 110  p99.9 110  p99.99 110  "
              "max 110 us\n"
              "content  64 bytes each\n"
              "unfinished 4\n"
              "errors   1\n"
              "         1 connection reset\n");
    free(text);
}

static void as_json(void)
{
    results_make();
    args.is_json = true;
    char *text = report(false);
    CU_ASSERT_STRING_EQUAL(
        text,
        "{\"host\": \"a\\\"b\\\\\", \"path\": \"/x\", \"total\": 10, \"done\": 2, "
        "\"unfinished\": 4, \"connections\": 3, \"interrupted\": false, \"seconds\": 0.500000, "
        "\"rate\": 4.000, \"rate_wanted\": 50, \"bytes_received\": 1000000, \"bytes_sent\": "
        "500000, \"content_bytes\": 64, \"latency_us\": {\"min\": 100, \"mean\": 105, \"p50\": "
        "100, \"p90\": 110, \"p99\": 110, \"p99.9\": 110, \"p99.99\": 110, \"max\": 110}, "
        "\"errors\": {\"all\": 1, \"refused\": 0, \"unreachable\": 0, \"connect_timeout\": 0, "
        "\"timeout\": 0, \"late\": 0, \"reset\": 1, \"closed\": 0, \"response\": 0, \"status\": "
        "0, \"length\": 0, \"hash\": 0, \"output\": 0, \"local\": 0}}\n");
    free(text);
}

static void progress(void)
{
    struct progress_at at = {.n_done = 300, .elapsed_us = 3000000, .last_us = 2000000};
    char line[128];

    setup();
    args.total = 12300;
    at.last_done = 250;
    progress_line(line, sizeof(line), &args, &at);
    CU_ASSERT_STRING_EQUAL(line, "epclient: 300 of 12300 requests, 50/s, 2:01 left");
    at.n_failed = 3;
    args.total = 0;
    progress_line(line, sizeof(line), &args, &at);
    CU_ASSERT_STRING_EQUAL(line, "epclient: 300 requests, 50/s, 3 failed");
    args.duration_s = 5;
    EXPECT_EQ(progress_eta_s(&args, &at), 2);
    at.elapsed_us = 6000000;
    EXPECT_EQ(progress_eta_s(&args, &at), 0);
    args.duration_s = 1000;
    args.total = 606;
    EXPECT_EQ(progress_eta_s(&args, &at), 7);
    at.n_done = 603;
    EXPECT_EQ(progress_eta_s(&args, &at), 0);
    at = (struct progress_at){0};
    args.duration_s = 0;
    CU_ASSERT(progress_eta_s(&args, &at) == UINT64_MAX);
}

TEST_SUITE(epclient_results, TEST_CASE(statuses), TEST_CASE(the_first_content_is_the_measure),
           TEST_CASE(a_hash_that_is_given), TEST_CASE(workers_add_up),
           TEST_CASE(a_worker_that_saw_other_contents_has_failed), TEST_CASE(as_text),
           TEST_CASE(as_json), TEST_CASE(progress));

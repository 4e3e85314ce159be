/*
 * Runs every suite that tests/t_*.c registered.
 *
 *   unit             all           unit -l          list
 *   unit SUITE       one suite     unit SUITE TEST  one test
 *   unit -p I N      every N-th suite from the I-th on (0 <= I < N): a part of all
 *
 * Exit status 0 when nothing failed. The last line is the tier's summary.
 */
#include "tests/test.h"

#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct test_suite *suites;
static uint64_t seed;

void test_suite_add(struct test_suite *s)
{
    struct test_suite **at = &suites;
    while (*at && strcmp((*at)->name, s->name) < 0)
        at = &(*at)->next;
    s->next = *at;
    *at = s;
}

uint64_t test_seed(void)
{
    return seed;
}

void test_expect_eq(int64_t got, int64_t want, const char *what, const char *file, int line)
{
    if (got != want)
        fprintf(stderr, "\n%s:%d: %s is %lld, expected %lld\n", file, line, what, (long long)got,
                (long long)want);
    CU_assertImplementation(got == want, (unsigned)line, what, file, "", CU_FALSE);
}

static int suite_register(const struct test_suite *s, const char *only)
{
    CU_pSuite cu = CU_add_suite(s->name, NULL, NULL);
    if (!cu)
        return -1;
    int n = 0;
    for (unsigned i = 0; i < s->n_cases; i++) {
        if (only && strcmp(only, s->cases[i].name) != 0)
            continue;
        if (!CU_add_test(cu, s->cases[i].name, s->cases[i].run))
            return -1;
        n++;
    }
    return n;
}

static void list_all(void)
{
    for (const struct test_suite *s = suites; s; s = s->next)
        for (unsigned i = 0; i < s->n_cases; i++)
            printf("%s %s\n", s->name, s->cases[i].name);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "-l") == 0) {
        list_all();
        return 0;
    }
    bool is_part = argc == 4 && strcmp(argv[1], "-p") == 0;
    unsigned n_parts = is_part ? (unsigned)atoi(argv[3]) : 1;
    unsigned at = is_part ? (unsigned)atoi(argv[2]) : 0;
    const char *suite = argc > 1 && !is_part ? argv[1] : NULL;
    const char *env = getenv("UNIT_SEED");
    seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    int n = 0;
    for (const struct test_suite *s = suites; s && n_parts; s = s->next, at++)
        if (at % n_parts == 0 && (!suite || strcmp(suite, s->name) == 0))
            n += suite_register(s, suite ? argv[2] : NULL);
    if (n <= 0) {
        fprintf(stderr, "unit: no such test; `unit -l` lists them\n");
        return 2;
    }
    CU_basic_set_mode(CU_BRM_SILENT);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_tests_failed();
    for (CU_pFailureRecord f = CU_get_failure_list(); f; f = f->pNext)
        fprintf(stderr, "FAIL %s/%s  %s:%u  %s\n", f->pSuite ? f->pSuite->pName : "?",
                f->pTest ? f->pTest->pName : "?", f->strFileName ? f->strFileName : "?",
                f->uiLineNumber, f->strCondition ? f->strCondition : "");
    printf("unit: %u passed, %u failed (seed UNIT_SEED=%llu)\n",
           CU_get_number_of_tests_run() - failed, failed, (unsigned long long)seed);
    CU_cleanup_registry();
    return failed ? 1 : 0;
}

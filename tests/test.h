/*
 * The test language: a suite is a table of named functions; a file tests/t_<module>.c declares one
 * with TEST_SUITE and the runner (unit_main.c) finds it. Assertions are CUnit's.
 *
 *     static void adds_at_the_tail(void) { CU_ASSERT_EQUAL(1 + 1, 2); }
 *     TEST_SUITE(list, TEST_CASE(adds_at_the_tail));
 *
 * Random tests take their seed from test_seed(), which prints it when the test fails.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <CUnit/CUnit.h>
#include <stdint.h>

struct test_case {
    const char *name;
    void (*run)(void);
};

struct test_suite {
    const char *name;
    const struct test_case *cases;
    unsigned n_cases;
    struct test_suite *next;
};

void test_suite_add(struct test_suite *s);

/* The seed of this run: UNIT_SEED from the environment, else from the clock; printed at the start. */
uint64_t test_seed(void);

#define TEST_CASE(fn) {#fn, fn}
#define TEST_SUITE(id, ...)                                                                        \
    static const struct test_case id##_cases[] = {__VA_ARGS__};                                    \
    static struct test_suite id##_suite = {                                                        \
        #id, id##_cases, sizeof(id##_cases) / sizeof(id##_cases[0]), NULL};                        \
    __attribute__((constructor)) static void id##_register(void)                                   \
    {                                                                                              \
        test_suite_add(&id##_suite);                                                               \
    }                                                                                              \
    struct test_suite_end_of_declaration

/* Compare two integers and say both when they differ. */
#define EXPECT_EQ(got, want) test_expect_eq((int64_t)(got), (int64_t)(want), #got, __FILE__, __LINE__)
void test_expect_eq(int64_t got, int64_t want, const char *what, const char *file, int line);

#endif

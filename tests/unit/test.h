/*
 * Assertions for unit tests. A test is a C program: main() calls its cases through RUN(case) and
 * returns test_done(). A failed CHECK prints where and what, ends that case and makes the program
 * exit with 1.
 */
#ifndef SLIPWAY_TEST_H
#define SLIPWAY_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int test_failures, test_cases;
static const char *test_case __attribute__((unused));

#define TEST_FAIL_(...)                                                                            \
    do {                                                                                           \
        test_failures++;                                                                           \
        printf("%s:%d: %s: ", __FILE__, __LINE__, test_case ? test_case : "main");                 \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        return;                                                                                    \
    } while (0)

/* The condition holds. */
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            TEST_FAIL_("%s", #cond);                                                               \
    } while (0)

/* Two integers are equal; prints both in hex. */
#define CHECK_EQ(got, want)                                                                        \
    do {                                                                                           \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                 \
        if (got_ != want_)                                                                         \
            TEST_FAIL_("%s is 0x%" PRIx64 ", not 0x%" PRIx64, #got, got_, want_);                  \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *got_ = (got), *want_ = (want);                                                 \
        if (strcmp(got_, want_))                                                                   \
            TEST_FAIL_("%s is '%s', not '%s'", #got, got_, want_);                                 \
    } while (0)

#define RUN(fn)                                                                                    \
    do {                                                                                           \
        test_case = #fn;                                                                           \
        test_cases++;                                                                              \
        fn();                                                                                      \
        test_case = NULL;                                                                          \
    } while (0)

static inline int test_done(void)
{
    printf("%d cases, %d failed\n", test_cases, test_failures);
    return test_failures != 0;
}

#endif

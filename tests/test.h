/* SPDX-License-Identifier: Apache-2.0 */
/* test.h — the harness of unit tests.
 *
 *   #include "kernel/base/str.c"      the code under test, so that its statics are in reach
 *   #include "tests/test.h"
 *   TEST(trims_both_ends) { EXPECT_STR(str_trim(S(" a ")), S("a")); }
 *
 * A failed EXPECT_ says where and what, counts, and the test goes on; a failed REQUIRE ends it.
 * ONLY=word runs the tests whose file or name holds the word; SEED=n repeats a run.
 * The closing line is `N passed, N failed` (tests/main.c). */
#pragma once
#include "kernel/base/base.h"

struct test {
    const char *file, *name;
    void (*run)(void);
    struct test *next;
};
void test_add(struct test *t);
void test_fail(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define TEST(name_)                                                                                \
    static void test_##name_(void);                                                                \
    __attribute__((constructor)) static void test_add_##name_(void) {                              \
        static struct test t = {__FILE__, #name_, test_##name_, NULL};                             \
        test_add(&t);                                                                              \
    }                                                                                              \
    static void test_##name_(void)

#define EXPECT(e)                                                                                  \
    do {                                                                                           \
        if (!(e)) test_fail(__FILE__, __LINE__, "%s", #e);                                         \
    } while (0)
#define REQUIRE(e)                                                                                 \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            test_fail(__FILE__, __LINE__, "%s", #e);                                               \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define EXPECT_EQ(got_, want_)                                                                     \
    do {                                                                                           \
        s64 g_ = (s64)(got_), w_ = (s64)(want_);                                                   \
        if (g_ != w_)                                                                              \
            test_fail(__FILE__, __LINE__, "%s is %lld (0x%llx), not %s = %lld (0x%llx)", #got_,    \
                      (long long)g_, (unsigned long long)g_, #want_, (long long)w_,                \
                      (unsigned long long)w_);                                                     \
    } while (0)
#define EXPECT_RC(got_, want_)                                                                     \
    do {                                                                                           \
        rc_t g_ = (got_), w_ = (want_);                                                            \
        if (g_ != w_)                                                                              \
            test_fail(__FILE__, __LINE__, "%s is %s, not %s", #got_, rc_name(g_), rc_name(w_));    \
    } while (0)
#define EXPECT_OK(got_) EXPECT_RC(got_, RC_OK)
#define EXPECT_STR(got_, want_)                                                                    \
    do {                                                                                           \
        str g_ = (got_), w_ = (want_);                                                             \
        if (!str_eq(g_, w_))                                                                       \
            test_fail(__FILE__, __LINE__, "%s is \"%.*s\", not \"%.*s\"", #got_, STR(g_),          \
                      STR(w_));                                                                    \
    } while (0)
#define CHECK_EQ EXPECT_EQ
#define CHECK_STR EXPECT_STR
#define CHECK_RC EXPECT_RC
#define CHECK_TRUE EXPECT

/* A copy of `s` that ends at an unmapped page: reading one byte too far faults. Lives until the
 * test ends; at most 1 MiB. */
str test_at_page_end(str s);
/* The same before: the byte before the copy is unmapped. */
str test_at_page_start(str s);
/* Does `fn(arg)` panic? Runs it in a child process; true when panic() was reached and its message
 * holds `word`. */
bool test_panics(void (*fn)(void *arg), void *arg, const char *word);
#define EXPECT_PANIC(fn, arg, word)                                                                \
    do {                                                                                           \
        if (!test_panics((fn), (arg), (word)))                                                     \
            test_fail(__FILE__, __LINE__, "%s does not panic with \"%s\"", #fn, (word));           \
    } while (0)

void test_exit(int status) NORETURN; /* for a fake platform_die: leaves at once, keeps coverage */

u64 test_seed(void);   /* of this run; printed at its start */
u64 test_random(void); /* from the seed: the same in every run with it */

/* The nth malloc, calloc or realloc from now (1: the next) of anything linked into the test
 * finds no memory, with for_ever all after it; 0: none fails any more. Returns how many failed
 * since it was last set: none means the case never got so far. */
u64 test_malloc_fail(u64 nth, bool for_ever);

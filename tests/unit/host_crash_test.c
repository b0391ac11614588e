/* SPDX-License-Identifier: Apache-2.0 */
/* host_crash_test.c — last words: a panic names where it happened, a fault becomes one, a reader
 * that never reads cannot hold the end up, and the status says whether a test watched. */
#include "kernel/host/host_impl.h"
#include <stdio.h>
#include <unistd.h>
#include "tests/test.h"
#define _exit(status) test_exit(status)
#include "kernel/host/crash.c"
#undef _exit
#include <sys/wait.h>

static char said[1 << 18];
static int ended;
static void in_child(void (*fn)(void)) {
    int out[2], status = 0;
    size_t n = 0;
    fflush(NULL);
    REQUIRE(pipe(out) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        close(out[0]);
        host_crash_start();
        fn();
        test_exit(0);
    }
    close(out[1]);
    for (ssize_t got; (got = read(out[0], said + n, sizeof said - 1 - n)) > 0;) n += (size_t)got;
    said[n] = 0;
    close(out[0]);
    waitpid(child, &status, 0);
    ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Not static and never inlined, so that the frame has this name in every build. */
void a_place_with_a_name(void);
__attribute__((noinline)) void a_place_with_a_name(void) {
    panic("on purpose");
}
static void unwatched(void) {
    host_options.test = false;
    a_place_with_a_name();
}
static void watched(void) {
    host_options.test = true;
    a_place_with_a_name();
}

TEST(a_panic_says_where) {
    in_child(unwatched);
    EXPECT_EQ(ended, EXIT_RESET); /* the machine starts again */
    EXPECT(strstr(said, "PANIC on purpose") && strstr(said, "a_place_with_a_name+0x"));
    in_child(watched);
    EXPECT_EQ(ended, EXIT_BROKEN);
}

static void touch_nothing(void) {
    host_options.test = true;
    static char *volatile nowhere = (char *)8;
    *nowhere = 1;
}
static void divide(void) {
    host_options.test = true;
    raise(SIGFPE);
}
TEST(a_fault_ends_with_words_and_not_in_silence) {
    in_child(touch_nothing);
    EXPECT(ended != 0);
#ifdef SANITIZER_HANDLES_FAULTS
    EXPECT(strstr(said, "AddressSanitizer") != NULL); /* it says more than we could */
#else
    EXPECT_EQ(ended, EXIT_BROKEN);
    EXPECT(strstr(said, "signal 11 (SIGSEGV) at address 0x8 on thread 0") != NULL);
    in_child(divide);
    EXPECT_EQ(ended, EXIT_BROKEN);
    EXPECT(strstr(said, "SIGFPE") != NULL);
#endif
    (void)divide;
}

static void nobody_reads(void) {
    static char much[150000];
    int full[2];
    if (pipe(full)) return;
    dup2(full[1], 2); /* its reader is us, who never read */
    memset(much, 'x', sizeof much);
    u64 began = host_real_ns();
    platform_last_words(str_of(much, sizeof much));
    u64 took = host_real_ns() - began;
    bool fine = took > READER_NS / 2 && took < 2 * READER_NS;
    test_exit(fine ? 42 : 43);
}
static void closed(void) {
    close(2);
    platform_last_words(S("to nobody\n"));
    test_exit(42);
}
TEST(a_reader_that_does_not_read_is_not_waited_for_long) {
    in_child(nobody_reads);
    EXPECT_EQ(ended, 42);
    in_child(closed);
    EXPECT_EQ(ended, 42);
    EXPECT(strstr(said, "to nobody") != NULL); /* the console has it */
}

TEST(names_are_found_by_address_or_not_at_all) {
    u64 offset = 0;
    load_symbols();
    const char *name = name_of((u64)(uintptr_t)a_place_with_a_name + 1, &offset);
    EXPECT(name && strcmp(name, "a_place_with_a_name") == 0);
    EXPECT_EQ(offset, 1);
    EXPECT(name_of(1, &offset) == NULL);
}

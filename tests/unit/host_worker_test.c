/* SPDX-License-Identifier: Apache-2.0 */
/* host_worker_test.c — the lock excludes, a wake before the park is kept, a stack has its guard;
 * and the machine's own corners: clock, entropy, flags that make no sense, faults with names. */
#include "kernel/host/worker.c"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "tests/test.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#define THREADS 4
static struct platform_lock lock;
static u64 counter;
static u32 threads_left;

static void *add_many(void *unused) {
    (void)unused;
    for (u32 i = 0; i < 50000; i++) {
        platform_lock(&lock);
        counter++;
        platform_unlock(&lock);
    }
    __atomic_sub_fetch(&threads_left, 1, __ATOMIC_SEQ_CST);
    return NULL;
}
TEST(the_lock_excludes) {
    pthread_t t[THREADS];
    counter = 0;
    threads_left = THREADS;
    for (u32 i = 0; i < THREADS; i++) pthread_create(&t[i], NULL, add_many, NULL);
    for (u32 i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    EXPECT_EQ(counter, THREADS * 50000);
    EXPECT_EQ(lock.word, 0);
}

static u32 rounds;
static void *parker(void *unused) {
    (void)unused;
    for (u32 i = 0; i < 20000; i++) {
        platform_worker_park(0);
        __atomic_add_fetch(&rounds, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}
TEST(no_wake_is_lost) {
    pthread_t t;
    pthread_create(&t, NULL, parker, NULL);
    for (u32 i = 0; i < 20000; i++) {
        platform_worker_wake(0);
        platform_worker_wake(0); /* two before a return are one */
        u64 until = host_real_ns() + 10 * NS_PER_S;
        while (__atomic_load_n(&rounds, __ATOMIC_SEQ_CST) <= i && host_real_ns() < until) {
            if (__atomic_load_n(&parks[0], __ATOMIC_SEQ_CST) == 2) platform_worker_wake(0);
        }
        if (__atomic_load_n(&rounds, __ATOMIC_SEQ_CST) <= i) break;
    }
    EXPECT(rounds >= 19999);
    for (u32 i = 0; i < 3; i++) platform_worker_wake(0), usleep(1000);
    pthread_join(t, NULL);
}

static void touch(void *at) { *(volatile char *)at = 1; }
static bool dies(void (*fn)(void *), void *arg) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", 2);
        dup2(null, 2);
        fn(arg);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status != 0;
}
TEST(a_stack_has_a_guard_below) {
    char *stack = platform_stack(65536);
    REQUIRE(stack);
    stack[0] = stack[65535] = 1;
    EXPECT(!dies(touch, stack));
    EXPECT(dies(touch, stack - 1));
    EXPECT(dies(touch, stack - 4096));
    EXPECT(platform_stack((size_t)1 << 60) == NULL);
}

TEST(clock_and_entropy) {
    u64 a = platform_clock_ns(), wall = platform_wall_ns();
    EXPECT(wall > 1600000000ull * NS_PER_S);
    EXPECT(platform_clock_ns() >= a);
    platform_wall_set(wall + 3600 * NS_PER_S);
    EXPECT(platform_wall_ns() >= wall + 3600 * NS_PER_S);
    platform_wall_set(wall);
    u8 x[600], y[600];
    EXPECT_OK(platform_entropy(x, sizeof x));
    EXPECT_OK(platform_entropy(y, sizeof y));
    EXPECT(memcmp(x, y, sizeof x) != 0);
    EXPECT(platform_memory_used() > MIB(1));
    EXPECT_EQ(platform_thread(), 0);
    host_options.cpus = 1;
    EXPECT_EQ(platform_worker_count(), 1);
    host_options.cpus = 100;
    EXPECT_EQ(platform_worker_count(), WORKER_MAX);
    EXPECT_RC(platform_worker_start(WORKER_MAX, NULL, NULL), RC_INVALID);
}

/* ---- Flags ----------------------------------------------------------------------------------- */

int host_main(int argc, char **argv);
static const char *const *words;
static void run_main(void *unused) {
    (void)unused;
    static char copies[16][128];
    char *argv[17] = {0};
    int argc = 0;
    for (; words[argc]; argc++) {
        EXPECT_OK(str_to_c(str_from_c(words[argc]), copies[argc], sizeof copies[argc]));
        argv[argc] = copies[argc];
    }
    _exit(host_main(argc, argv));
}
static int exit_of(const char *const *argv) {
    words = argv;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++) dup2(null, fd);
        alarm(20);
        run_main(NULL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
#define EXIT_OF(...) exit_of((const char *const[]){"openpolicy", __VA_ARGS__, NULL})

TEST(flags_that_make_no_sense_are_refused) {
    EXPECT_EQ(EXIT_OF("--help"), 0);
    EXPECT_EQ(EXIT_OF("--nonsense"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("stray"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--memory", "0"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--memory", "12x"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--cpus", "9"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--https", "65536"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--https", "-1"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--net", "carrier-pigeon"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--net", "tap:"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--disk-size", "0"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--disk-size", "99999999999T"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--disk-size", "G"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--config", "/nonexistent"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--config", "/dev/zero"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--disk", "/nonexistent/x"), EXIT_USAGE);
    EXPECT_EQ(EXIT_OF("--disk", "a", "--disk", "b", "--disk", "c", "--disk", "d", "--disk", "e"),
              EXIT_USAGE);
}

/* ---- Last words ------------------------------------------------------------------------------ */

static void panics(void *unused) {
    (void)unused;
    host_options.test = true;
    host_crash_start();
    log_info("test", "a line before the end", "n=%d", 1);
    panic("the %s broke", "teapot");
}
TEST(a_panic_names_its_functions_and_the_log) {
    EXPECT_PANIC(panics, NULL, "the teapot broke");
    EXPECT_PANIC(panics, NULL, "panics+0x"); /* a static function, by name */
    EXPECT_PANIC(panics, NULL, "a line before the end");
}

static void ends(void *status) { platform_exit((int)(intptr_t)status); }
static int status_of(void (*fn)(void *), void *arg) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++) dup2(null, fd);
        fn(arg);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static void panics_untested(void *unused) {
    (void)unused;
    host_options.test = false;
    panic("reset me");
}
TEST(exit_statuses) {
    EXPECT_EQ(status_of(ends, (void *)0), 0);
    EXPECT_EQ(status_of(ends, (void *)3), 3);
    EXPECT_EQ(status_of(ends, (void *)(intptr_t)PLATFORM_EXIT_RESET), EXIT_RESET);
    EXPECT_EQ(status_of(panics, NULL), EXIT_BROKEN);
    EXPECT_EQ(status_of(panics_untested, NULL), EXIT_RESET);
}

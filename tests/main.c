/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — runs the tests that TEST() registered, in the order of the file.
 *
 * Each test has TEST_SECONDS of processor time, and HANG_SECONDS whatever it does: a busy machine
 * makes no test fail; an endless loop and a wait for nothing do, and name the test. Output is a
 * line per failed check, then `N passed, N failed`; the exit status is 0 only when nothing failed
 * and something ran. */
#include "tests/test.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_SECONDS 60u
#define HANG_SECONDS 240u
#define GUARDED_MAX 64u

static struct test *first, **last = &first, *current;
static u32 failed_checks;
static u64 seed, random_state;
static struct {
    void *at;
    size_t bytes;
} guarded[GUARDED_MAX];
static u32 guarded_count;

void test_add(struct test *t) {
    *last = t;
    last = &t->next;
}

void test_fail(const char *file, int line, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    printf("%s:%d: %s: ", file, line, current ? current->name : "?");
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
    failed_checks++;
}

/* ---- Memory that runs out: the linker sends every malloc of the test here -------------------- */

static u64 fail_nth, fail_count; /* relaxed: faults are for tests whose code runs on one thread */
static bool fail_for_ever;

u64 test_malloc_fail(u64 nth, bool for_ever) {
    u64 failed = fail_count;
    fail_count = 0;
    fail_for_ever = for_ever;
    __atomic_store_n(&fail_nth, nth, __ATOMIC_RELAXED);
    return failed;
}

static bool fails_now(void) {
    u64 nth = __atomic_load_n(&fail_nth, __ATOMIC_RELAXED);
    if (__builtin_expect(nth == 0, 1)) return false;
    if (nth > 1) {
        __atomic_store_n(&fail_nth, nth - 1, __ATOMIC_RELAXED);
        return false;
    }
    if (!fail_for_ever) __atomic_store_n(&fail_nth, 0, __ATOMIC_RELAXED);
    fail_count++;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n) {
    return fails_now() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size) {
    return fails_now() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n) {
    return fails_now() ? NULL : __real_realloc(p, n);
}

/* ---- Pages that end where they end ----------------------------------------------------------- */

/* [unmapped | pages | unmapped]; the pages hold s.len bytes, rounded up. */
static char *guard(size_t len, size_t *out_bytes) {
    size_t bytes = ALIGN_UP(len ? len : 1, (size_t)4096);
    char *all = mmap(NULL, bytes + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || guarded_count == GUARDED_MAX || bytes > MIB(1) + 4096 ||
        mprotect(all + 4096, bytes, PROT_READ | PROT_WRITE)) {
        printf("test: no guarded pages left in this test\n");
        exit(1);
    }
    guarded[guarded_count].at = all;
    guarded[guarded_count++].bytes = bytes + 8192;
    *out_bytes = bytes;
    return all + 4096;
}

str test_at_page_end(str s) {
    size_t bytes;
    char *at = guard(s.len, &bytes) + (ALIGN_UP(s.len ? s.len : 1, (size_t)4096) - s.len);
    if (s.len) memcpy(at, s.ptr, s.len);
    return (str){at, s.len};
}

str test_at_page_start(str s) {
    size_t bytes;
    char *at = guard(s.len, &bytes);
    if (s.len) memcpy(at, s.ptr, s.len);
    return (str){at, s.len};
}

bool test_panics(void (*fn)(void *arg), void *arg, const char *word) {
    int out[2];
    fflush(stdout);
    if (pipe(out)) return false;
    pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        close(out[0]);
        fn(arg);
        test_exit(0);
    }
    close(out[1]);
    static char text[65536];
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], text + n, sizeof text - 1 - n)) > 0;) n += (size_t)got;
    text[n] = 0;
    close(out[0]);
    int status;
    waitpid(child, &status, 0);
    bool ended_badly = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    char *panic_at = strstr(text, "PANIC");
    return ended_badly && panic_at && strstr(panic_at, word);
}

#ifdef COVERAGE
void __gcov_dump(void);
#endif
void test_exit(int status) {
#ifdef COVERAGE
    __gcov_dump();
#endif
    _exit(status);
}

u64 test_seed(void) { return seed; }
u64 test_random(void) { /* splitmix64 */
    u64 z = random_state += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static void too_long(int signal_number) {
    static const char said[] = "test: ran out of time: ";
    (void)signal_number;
    if (write(1, said, sizeof said - 1) < 0 || write(1, current->name, strlen(current->name)) < 0 ||
        write(1, "\n", 1) < 0)
        _exit(2);
    _exit(1);
}

static void watch(u32 cpu_seconds, u32 seconds) {
    struct itimerval t = {.it_value.tv_sec = cpu_seconds};
    (void)setitimer(ITIMER_PROF, &t, NULL);
    alarm(seconds);
}

int main(void) {
    const char *only = getenv("ONLY"), *given = getenv("SEED");
    seed = given ? strtoull(given, NULL, 0) : (u64)time(NULL) * 2654435761u ^ (u64)getpid();
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %llu\n", (unsigned long long)seed);
    signal(SIGALRM, too_long);
    signal(SIGPROF, too_long);
    u32 passed = 0, failed = 0;
    for (struct test *t = first; t; t = t->next) {
        if (only && !strstr(t->file, only) && !strstr(t->name, only)) continue;
        current = t;
        failed_checks = 0;
        (void)test_malloc_fail(0, false);
        random_state = seed;
        watch(TEST_SECONDS, HANG_SECONDS);
        t->run();
        watch(0, 0);
        *(failed_checks ? &failed : &passed) += 1;
        while (guarded_count) {
            guarded_count--;
            munmap(guarded[guarded_count].at, guarded[guarded_count].bytes);
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed || !passed ? 1 : 0;
}

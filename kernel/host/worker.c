/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c — the other cores: POSIX threads; a lock of one word; stacks for fibers.
 *
 *   lock word:  0 free, 1 held, 2 held and somebody sleeps on it (futex)
 *   park word:  0 nothing, 1 woken since the last return, 2 asleep (futex)
 *
 * Always true: a wake before the park is kept; unlocking wakes only when somebody sleeps. */
#include "kernel/host/host_impl.h"
#include "kernel/base/limits.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

static _Thread_local u32 this_thread; /* 0: the loop, or a helper of a back end */

struct start {
    void (*entry)(void *arg);
    void *arg;
    u32 thread;
};
static struct start starts[WORKER_MAX];
static u32 parks[WORKER_MAX];

static void futex_wait(u32 *word, u32 while_it_is) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_it_is, NULL, NULL, 0);
}
static void futex_wake_one(u32 *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

u32 platform_thread(void) { return this_thread; }
void host_thread_set(u32 thread) { this_thread = thread; }

u32 platform_worker_count(void) {
    if (host_sim) return host_sim->worker_count();
    u32 others = host_options.cpus > 1 ? host_options.cpus - 1 : 1;
    return MIN(others, (u32)WORKER_MAX);
}

rc_t host_thread_start(void *(*entry)(void *), void *arg) {
    sigset_t asking, old; /* what asks for something is the loop's; what is a fault stays open */
    sigfillset(&asking);
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) sigdelset(&asking, faults[i]);
    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, &asking, &old);
    int failed = pthread_create(&thread, NULL, entry, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed) return RC_NO_MEMORY;
    pthread_detach(thread);
    return RC_OK;
}

static void *thread_main(void *arg) {
    struct start *s = arg;
    this_thread = s->thread;
    host_crash_thread_start();
    s->entry(s->arg);
    return NULL;
}

rc_t platform_worker_start(u32 worker, void (*entry)(void *arg), void *arg) {
    if (host_sim) return host_sim->worker_start(worker, entry, arg);
    if (worker >= WORKER_MAX) return RC_INVALID;
    starts[worker] = (struct start){entry, arg, worker + 1};
    return host_thread_start(thread_main, &starts[worker]);
}

void platform_worker_park(u32 worker) {
    if (host_sim) {
        host_sim->worker_park(worker);
        return;
    }
    u32 *park = &parks[worker];
    for (;;) {
        u32 woken = 1, nothing = 0;
        if (__atomic_compare_exchange_n(park, &woken, 0, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return;
        if (woken == 2 || __atomic_compare_exchange_n(park, &nothing, 2, false, __ATOMIC_RELAXED,
                                                      __ATOMIC_RELAXED))
            futex_wait(park, 2);
    }
}

void platform_worker_wake(u32 worker) {
    if (host_sim) {
        host_sim->worker_wake(worker);
        return;
    }
    CHECK(worker < WORKER_MAX);
    if (__atomic_exchange_n(&parks[worker], 1, __ATOMIC_RELEASE) == 2)
        futex_wake_one(&parks[worker]);
}

void platform_lock(struct platform_lock *lock) {
    u32 free = 0;
    if (__atomic_compare_exchange_n(&lock->word, &free, 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0) futex_wait(&lock->word, 2);
}

void platform_unlock(struct platform_lock *lock) {
    if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2) futex_wake_one(&lock->word);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

#define GUARD_BYTES 4096u

void *platform_stack(size_t bytes) {
    CHECK(bytes && bytes % 4096 == 0);
    char *p = mmap(NULL, GUARD_BYTES + bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    if (mprotect(p + GUARD_BYTES, bytes, PROT_READ | PROT_WRITE)) {
        munmap(p, GUARD_BYTES + bytes);
        return NULL;
    }
#ifdef __SANITIZE_ADDRESS__
    /* What only a parked fiber points to is no leak. */
    __lsan_register_root_region(p + GUARD_BYTES, bytes);
#endif
    return p + GUARD_BYTES;
}

u64 platform_memory_used(void) {
    unsigned long long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    if (fscanf(f, "%llu %llu", &pages, &resident) != 2) resident = 0;
    fclose(f);
    return resident * 4096;
}

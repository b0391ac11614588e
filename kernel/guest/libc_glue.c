/* SPDX-License-Identifier: Apache-2.0 */
/* libc_glue.c — what picolibc asks of a machine: memory, locks, a console, the time, an end.
 * malloc grows through sbrk over the heap range of ram.c and is shared by the loop and the
 * workers; its lock, like all of the library's, is a platform_lock, so its holder is never
 * preempted. errno and friends are thread-local (smp.c makes the blocks). */
#include "kernel/guest/guest.h"
#include "kernel/platform.h"
#include <stdio.h>
#include <sys/lock.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- Memory and the end ---------------------------------------------------------------------- */

void *sbrk(ptrdiff_t more) { return ram_sbrk(more); }

void _exit(int status) { panic("The C library ended the program with status %d.", status); }

/* ---- Locks: recursive, because the library's own is ------------------------------------------ */

struct __lock {
    struct platform_lock lock;
    u32 owner; /* thread + 1, 0: free */
    u32 depth;
};
struct __lock __lock___libc_recursive_mutex;

void __retarget_lock_acquire_recursive(_LOCK_T l) {
    u32 me = platform_thread() + 1;
    if (__atomic_load_n(&l->owner, __ATOMIC_RELAXED) != me) {
        platform_lock(&l->lock);
        __atomic_store_n(&l->owner, me, __ATOMIC_RELAXED);
    }
    l->depth++;
}

void __retarget_lock_release_recursive(_LOCK_T l) {
    if (--l->depth) return;
    __atomic_store_n(&l->owner, 0, __ATOMIC_RELAXED);
    platform_unlock(&l->lock);
}

void __retarget_lock_acquire(_LOCK_T l) { __retarget_lock_acquire_recursive(l); }
void __retarget_lock_release(_LOCK_T l) { __retarget_lock_release_recursive(l); }

/* Locks made at run time (files): the library never frees what it opens here, and opens nothing. */
void __retarget_lock_init(_LOCK_T *l) { *l = &__lock___libc_recursive_mutex; }
void __retarget_lock_init_recursive(_LOCK_T *l) { *l = &__lock___libc_recursive_mutex; }
void __retarget_lock_close(_LOCK_T l) { (void)l; }
void __retarget_lock_close_recursive(_LOCK_T l) { (void)l; }

/* ---- Standard streams: whole lines to the console -------------------------------------------- */

static char line[256];
static size_t line_bytes;
static struct platform_lock line_lock;

static int line_flush(FILE *file) {
    (void)file;
    char copy[sizeof line];
    platform_lock(&line_lock);
    size_t n = line_bytes;
    memcpy(copy, line, n);
    line_bytes = 0;
    platform_unlock(&line_lock);
    if (n) platform_console_put((str){copy, n});
    return 0;
}

static int line_put(char c, FILE *file) {
    platform_lock(&line_lock);
    if (line_bytes < sizeof line) line[line_bytes++] = c;
    bool full = c == '\n' || line_bytes == sizeof line;
    platform_unlock(&line_lock);
    if (full) line_flush(file);
    return (unsigned char)c;
}

static int nothing_get(FILE *file) {
    (void)file;
    return _FDEV_EOF;
}

static FILE console = FDEV_SETUP_STREAM(line_put, nothing_get, line_flush, _FDEV_SETUP_RW);
FILE *const stdin = &console;
FILE *const stdout = &console;
FILE *const stderr = &console;

/* ---- Time ------------------------------------------------------------------------------------ */

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    (void)zone;
    u64 ns = platform_wall_ns();
    to->tv_sec = (time_t)(ns / NS_PER_S);
    to->tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US);
    return 0;
}

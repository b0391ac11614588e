/* SPDX-License-Identifier: Apache-2.0 */
/* panic.c — last words: one line that says what was broken, the backtrace, the log's tail; to the
 * console first, then to the crash record on disk, then the machine ends. Uses no heap and takes no
 * lock.
 *
 * The first thread to panic speaks; others wait for the end it brings, and bring it themselves
 * if it does not come within OTHERS_NS. A panic inside a panic stores what has been said and
 * ends. */
#include "kernel/base/panic.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"
#include <stdarg.h>
#include <stdio.h>

static const char *nobodys(const void *address) {
    (void)address;
    return NULL;
}
const char *(*panic_stack_owner)(const void *address) = nobodys;

static char record[CRASH_RECORD_BYTES] __attribute__((aligned(4096)));
static size_t record_len;
static u32 record_disk, record_block_bytes; /* 0 bytes: nowhere to store */
static u64 record_block;
static u32 speaker; /* 1 + the thread that panics; 0: nobody */
static bool again, stored;
#define OTHERS_NS (5 * NS_PER_S)

void panic_record_at(u32 disk, u64 block, u32 block_bytes) {
    CHECK(block_bytes && CRASH_RECORD_BYTES % block_bytes == 0);
    record_disk = disk;
    record_block = block;
    record_block_bytes = block_bytes;
}

static void say(str text) {
    platform_last_words(text);
    size_t n = MIN(text.len, sizeof record - record_len);
    memcpy(record + record_len, text.ptr, n);
    record_len += n;
}

static void store(void) {
    if (!record_block_bytes || stored) return;
    stored = true; /* a disk that panics is not asked again */
    if (platform_disk_emergency_write(record_disk, record_block, record,
                                      CRASH_RECORD_BYTES / record_block_bytes))
        platform_last_words(S("The crash record could not be written.\n"));
}

/* Returns once, on the thread that panicked first. */
static void become_speaker(void) {
    u32 nobody = 0, self = 1 + platform_thread();
    if (__atomic_compare_exchange_n(&speaker, &nobody, self, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        return;
    if (nobody == self && !again) {
        again = true;
        platform_last_words(S("\nPANIC inside a panic\n"));
        store();
    }
    u64 until_ns = nobody == self ? 0 : platform_clock_ns() + OTHERS_NS;
    while (platform_clock_ns() < until_ns) __builtin_ia32_pause();
    platform_die();
}

void panic(const char *fmt, ...) {
    become_speaker();
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    memcpy(record, "PANIC ", 6);
    record_len = 6;
    platform_last_words(S("\nPANIC "));
    say(str_from_c(line));
    say(S("\n"));
    platform_backtrace(say);
    say(S("-- last log lines --\n"));
    log_tail(3072, say);
    say(S("-- end --\n"));
    store();
    platform_die();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* panic.c — last words: one line that says what was broken, the backtrace, the log's tail; to the
 * console first, then to the crash record on disk, then the machine ends.
 * A panic inside a panic skips straight to the end. Uses no heap and takes no lock. */
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
static u32 depth;

void panic_record_at(u32 disk, u64 block, u32 block_bytes) {
    CHECK(block_bytes && CRASH_RECORD_BYTES % block_bytes == 0);
    record_disk = disk;
    record_block = block;
    record_block_bytes = block_bytes;
}

static void say(str text) {
    platform_console_put(text);
    size_t n = MIN(text.len, sizeof record - record_len);
    memcpy(record + record_len, text.ptr, n);
    record_len += n;
}

void panic(const char *fmt, ...) {
    u32 nth = __atomic_add_fetch(&depth, 1, __ATOMIC_SEQ_CST);
    if (nth > 2) platform_die();
    if (nth == 2) {
        platform_console_put(S("\nPANIC inside a panic\n"));
        platform_die();
    }
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    say(S("\nPANIC "));
    record_len = 0;
    memcpy(record, "PANIC ", 6);
    record_len = 6;
    say(str_from_c(line));
    say(S("\n"));
    platform_backtrace(say);
    say(S("-- last log lines --\n"));
    log_tail(3072, say);
    say(S("-- end --\n"));
    if (record_block_bytes)
        if (platform_disk_emergency_write(record_disk, record_block, record,
                                          CRASH_RECORD_BYTES / record_block_bytes))
            platform_console_put(S("The crash record could not be written.\n"));
    platform_die();
}

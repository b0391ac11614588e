/* SPDX-License-Identifier: Apache-2.0 */
/* base_log_test.c — the log ring and last words, with a machine of the test's own: a clock that is
 * set, a console that is kept, a disk that may refuse. */
#include "kernel/base/log.c"
#include "kernel/base/panic.c"
#include "tests/test.h"
#include <stdlib.h>
#include <unistd.h>

static u64 now_ns = 1500000, wall_ns;
static char console[65536];
static size_t console_len;
static bool console_is_real; /* in a child that panics: the parent reads it */
static rc_t disk_says = RC_OK;

static u64 ns_per_look; /* virtual time that passes with each look at the clock */
static u32 this_thread;

u64 platform_clock_ns(void) { return now_ns += ns_per_look; }
u32 platform_thread(void) { return this_thread; }
u64 platform_wall_ns(void) { return wall_ns; }
void platform_lock(struct platform_lock *lock) { CHECK(lock->word++ == 0); }
void platform_unlock(struct platform_lock *lock) { CHECK(--lock->word == 0); }
void platform_console_put(str bytes) {
    if (console_is_real) {
        if (write(1, bytes.ptr, bytes.len) < 0) _exit(9);
        return;
    }
    size_t n = MIN(bytes.len, sizeof console - console_len);
    memcpy(console + console_len, bytes.ptr, n);
    console_len += n;
}
void platform_last_words(str bytes) { platform_console_put(bytes); }
void platform_backtrace(void (*put)(str)) { put(S("  #0 somewhere\n")); }
rc_t platform_disk_emergency_write(u32 disk, u64 block, const void *data, u32 count) {
    printf("disk %u block %llu count %u: %.40s\n", disk, (unsigned long long)block, count,
           (const char *)data);
    fflush(stdout);
    return disk_says;
}
void platform_die(void) { test_exit(70); }

static void fresh(void) {
    memset(&ring, 0, sizeof ring);
    log_level_set(LOG_INFO);
    log_console_level_set(LOG_WARN);
    log_request_id = no_request;
    console_len = 0;
    wall_ns = 0;
}
static char line_bytes[LOG_LINE_MAX + 8];
static str line_at(u64 seq) {
    size_t n = 0;
    rc_t rc = log_read(&seq, line_bytes, sizeof line_bytes, &n);
    EXPECT_OK(rc);
    return (str){line_bytes, rc ? 0 : n};
}

TEST(a_line_has_time_level_area_sentence_fields) {
    fresh();
    log_info("storage", "opened", "blocks=%d", 12);
    EXPECT_STR(line_at(0), S("+0.001500s info  storage \"opened\" blocks=12"));
    wall_ns = 1769860800123456789ull;
    log_warn("net", "no fields");
    EXPECT_STR(line_at(1), S("2026-01-31T12:00:00.123Z warn  net \"no fields\""));
    EXPECT_EQ(log_next_seq(), 2);
}

static str some_request(void) { return S("01J"); }
TEST(the_request_is_named) {
    fresh();
    log_request_id = some_request;
    log_error("app", "failed", "rc=%s", rc_name(RC_IO));
    EXPECT(str_ends(line_at(0), S("\"failed\" rc=RC_IO request_id=01J")));
}

TEST(levels_choose_what_is_kept_and_shown) {
    fresh();
    log_debug("a", "not kept");
    log_info("a", "kept");
    EXPECT_EQ(log_next_seq(), 1);
    EXPECT_EQ(console_len, 0);
    log_warn("a", "shown");
    EXPECT(console_len > 0 && console[console_len - 1] == '\n');
    enum log_level level;
    EXPECT(log_level_parse(S("debug"), &level) && level == LOG_DEBUG);
    EXPECT(log_level_parse(S("error"), &level) && level == LOG_ERROR);
    EXPECT(!log_level_parse(S("Error"), &level));
    EXPECT(!log_level_parse(S(""), &level));
    EXPECT_STR(log_level_name(LOG_WARN), S("warn"));
    log_level_set(LOG_ERROR);
    log_warn("a", "dropped");
    EXPECT_EQ(log_next_seq(), 2);
}

TEST(one_line_stays_one_line) {
    fresh();
    log_info("a", "b", "x=%s", "1\n2026-01-01 forged\x7F\t");
    EXPECT(str_ends(line_at(0), S("x=1?2026-01-01 forged??")));
}

TEST(long_lines_are_cut_and_marked) {
    fresh();
    log_info("a", "b", "x=%02000d", 1);
    str line = line_at(0);
    EXPECT_EQ(line.len, LOG_LINE_MAX - 1);
    EXPECT_EQ(line.ptr[line.len - 1], '~');
    log_warn("a", "b", "x=%02000d", 1); /* and reaches the console with its newline */
    EXPECT_EQ(console[console_len - 1], '\n');
    EXPECT_EQ(console_len, LOG_LINE_MAX);
    static char area[LOG_LINE_MAX * 2];
    memset(area, 'a', sizeof area - 1);
    log_request_id = some_request;
    log_info(area, "b", "x=1");
    EXPECT(str_ends(line_at(2), S("a~")));
    log_request_id = no_request;
}

TEST(text_from_outside_is_quoted_and_cut) {
    char to[24];
    EXPECT_STR(str_from_c(log_quote(S("a\"b\\c\n\x7F"), to, sizeof to)),
               S("\"a\\\"b\\\\c\\x0a\\x7f\""));
    EXPECT_STR(str_from_c(log_quote(S(""), to, 8)), S("\"\""));
    for (size_t room = 8; room <= sizeof to; room++) {
        str all = S("\x01\x02\x03\x04\x05\x06\x07\x08");
        str at_end = test_at_page_end((str){to, room});
        const char *quoted = log_quote(all, (char *)(uintptr_t)at_end.ptr, room);
        EXPECT(strlen(quoted) < room);
        EXPECT(strlen(quoted) >= 2 && quoted[strlen(quoted) - 1] == '"');
    }
    EXPECT_STR(str_from_c(LOGSTR(S("x"))), S("\"x\""));
}

TEST(the_ring_keeps_the_newest_whole_lines) {
    fresh();
    u64 written = LOG_LINES_MAX * 5 + 3;
    for (u64 i = 0; i < written; i++)
        log_info("a", "b", "n=%llu pad=%0*d", (unsigned long long)i, (int)(i % 150), 0);
    u64 seq = 0;
    size_t n;
    EXPECT_RC(log_read(&seq, line_bytes, sizeof line_bytes, &n), RC_LIMIT);
    EXPECT(seq > 0 && seq < written);
    EXPECT(written - seq <= LOG_LINES_MAX);
    EXPECT(written - seq > LOG_LINES_MAX / 8);
    for (; seq < written; seq++) {
        char want[64];
        snprintf(want, sizeof want, " n=%llu pad=", (unsigned long long)seq);
        str line = line_at(seq);
        if (str_find(line, str_from_c(want)) == line.len) EXPECT_STR(line, str_from_c(want));
    }
    EXPECT_RC(log_read(&seq, line_bytes, sizeof line_bytes, &n), RC_NOT_FOUND);
    seq--;
    EXPECT_OK(log_read(&seq, line_bytes, 5, &n)); /* a small room gets the line's beginning */
    EXPECT_EQ(n, 5);
}

static size_t tail_len, tail_lines;
static void tail_put(str s) {
    tail_len += s.len;
    tail_lines += str_eq(s, S("\n"));
}
TEST(the_tail_fits_what_was_asked) {
    fresh();
    for (u32 i = 0; i < 100; i++) log_info("a", "b", "n=%u", i);
    for (size_t room = 0; room < 400; room += 13) {
        tail_len = tail_lines = 0;
        log_tail(room, tail_put);
        EXPECT(tail_len <= room);
        EXPECT(tail_len + 40 > room); /* one more line would not fit */
    }
    ring.index[99 % LOG_LINES_MAX].length = 0xFFFFFFFF; /* a damaged ring ends the tail, no more */
    tail_len = 0;
    log_tail(3000, tail_put);
    EXPECT(tail_len <= 3000);
}

static void do_panic(void *arg) {
    console_is_real = true;
    if (arg) panic_record_at(1, 34, 512);
    log_warn("a", "the last line");
    panic("unique words %d", 7);
}
TEST(panic_says_what_where_and_what_came_before) {
    fresh();
    EXPECT_PANIC(do_panic, NULL, "unique words 7");
    EXPECT_PANIC(do_panic, NULL, "#0 somewhere");
    EXPECT_PANIC(do_panic, NULL, "the last line");
    EXPECT(!test_panics(do_panic, NULL, "disk 1"));
    EXPECT_PANIC(do_panic, &disk_says, "disk 1 block 34 count 16: PANIC unique words 7");
    disk_says = RC_IO;
    EXPECT_PANIC(do_panic, &disk_says, "could not be written");
    disk_says = RC_OK;
}
static void panic_again(void) { panic("second"); }

/* Inside the first panic of the same thread: what has been said so far is stored. */
static void do_nested(void *arg) {
    console_is_real = true;
    panic_record_at(1, 34, 512);
    again = *(u32 *)arg > 1;
    speaker = 1;
    record_len = (size_t)sprintf(record, "PANIC the first one");
    printf("PANIC depth\n");
    fflush(stdout);
    panic_again();
}
TEST(a_panic_inside_a_panic_stores_what_was_said_and_ends) {
    EXPECT_PANIC(do_nested, &(u32){1}, "PANIC inside a panic");
    EXPECT_PANIC(do_nested, &(u32){1}, "disk 1 block 34 count 16: PANIC the first one");
    EXPECT(!test_panics(do_nested, &(u32){2}, "inside a panic"));
    EXPECT(!test_panics(do_nested, &(u32){2}, "disk 1"));
}

/* Another thread is about to speak: this one must not end the machine before it has. */
static void do_second_thread(void *arg) {
    (void)arg;
    console_is_real = true;
    speaker = 1;
    this_thread = 3;
    ns_per_look = NS_PER_S;
    printf("PANIC elsewhere\n");
    fflush(stdout);
    panic_again(); /* waits in virtual time, then ends without a word */
}
TEST(a_second_thread_lets_the_first_speak) {
    EXPECT_PANIC(do_second_thread, NULL, "elsewhere");
    EXPECT(!test_panics(do_second_thread, NULL, "second"));
}
static void bad_record(void *arg) {
    console_is_real = true;
    panic_record_at(0, 0, *(u32 *)arg);
}
TEST(a_record_is_whole_blocks) {
    EXPECT_PANIC(bad_record, &(u32){0}, "CHECK");
    EXPECT_PANIC(bad_record, &(u32){3000}, "CHECK");
    panic_record_at(0, 0, 4096);
    record_block_bytes = 0;
}

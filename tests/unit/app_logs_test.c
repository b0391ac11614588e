/* SPDX-License-Identifier: Apache-2.0 */
/* app_logs_test.c — lines of the ring taken apart as they were put together. */
#include "app/logs/logs.c"
#include "tests/test.h"

static void expect_line(const char *text, const char *level, const char *area, const char *message,
                        const char *fields) {
    struct line l = split(test_at_page_end(str_from_c(text)));
    EXPECT_STR(l.level, str_from_c(level));
    EXPECT_STR(l.area, str_from_c(area));
    EXPECT_STR(l.message, str_from_c(message));
    EXPECT_STR(l.fields, str_from_c(fields));
}

TEST(splits_what_the_log_writes) {
    expect_line("2026-01-31T12:00:00.123Z warn  storage \"disk read failed\" block=12 rc=RC_IO",
                "warn", "storage", "disk read failed", "block=12 rc=RC_IO");
    expect_line("t error net \"a \\\"quoted\\\" word\"", "error", "net", "a \\\"quoted\\\" word",
                "");
    expect_line("t info boot plain x=1", "info", "boot", "plain", "x=1");
}

TEST(survives_any_line) {
    const char *odd[] = {"", " ", "t", "t info", "t info a", "t info a \"", "t info a \"\\",
                         "t info a \"unfinished", "\"\"\"\"", "t  info  a  \"m\"  "};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) (void)split(test_at_page_end(str_from_c(odd[i])));
    for (int i = 0; i < 5000; i++) {
        char bytes[32];
        size_t n = test_random() % sizeof bytes;
        char *from = bytes + sizeof bytes - n; /* so that the red zone begins where the line ends */
        for (size_t k = 0; k < n; k++) from[k] = " \"\\a="[test_random() % 5];
        (void)split(str_of(from, n));
    }
}

TEST(reads_from_a_sequence_and_counts_what_is_lost) {
    struct json_writer w;
    for (int i = 0; i < 10; i++) log_info("test", "line", "n=%d", i);
    log_warn("test", "important");
    struct reading r = {.seq = log_next_seq() - 11, .limit = 4, .least = LOG_DEBUG};
    json_open(&w, MIB(1));
    json_array(&w, NULL);
    write_lines(&w, &r);
    EXPECT_EQ(r.given, 4);
    EXPECT_EQ(r.seq, log_next_seq() - 7);
    r = (struct reading){.seq = 0, .limit = 1000, .least = LOG_WARN};
    write_lines(&w, &r);
    EXPECT_EQ(r.given, 1);
    EXPECT_EQ(r.seq, log_next_seq());
    for (int i = 0; i < 20000; i++) log_info("test", "filling the ring over and over", "n=%d", i);
    r = (struct reading){.seq = 0, .limit = 5, .least = LOG_DEBUG};
    write_lines(&w, &r);
    EXPECT_EQ(r.given, 5);
    EXPECT(r.lost > 1000);
    json_array_end(&w);
    EXPECT(!w.out.failed);
    json_close(&w);
}

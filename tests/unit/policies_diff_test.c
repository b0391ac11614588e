/* SPDX-License-Identifier: Apache-2.0 */
/* policies_diff_test.c — line differences: known ones, and that any script rebuilds the new text.
 */
#include "app/policies/diff.c"
#include "tests/test.h"
#include <stdio.h>

static struct diff_stats stats;
static char text_out[1 << 20];

static str diff_text(str from, str to) {
    struct json_writer w;
    json_open(&w, sizeof text_out);
    json_object(&w, NULL);
    EXPECT_OK(diff_json(&w, from, to, &stats));
    json_object_end(&w);
    EXPECT(!w.out.failed);
    size_t n = w.out.len;
    memcpy(text_out, w.out.ptr, n);
    json_close(&w);
    return str_of(text_out, n);
}

TEST(equal_texts_have_no_hunks) {
    EXPECT_STR(diff_text(S("a\nb\n"), S("a\nb\n")), S("{\"hunks\":[]}"));
    EXPECT_STR(diff_text(S(""), S("")), S("{\"hunks\":[]}"));
    EXPECT_STR(diff_text(S("a\r\nb"), S("a\nb\n")),
               S("{\"hunks\":[]}")); /* line ends do not count */
}

TEST(a_changed_line_has_context) {
    EXPECT_STR(diff_text(S("1\n2\n3\n4\nold\n6\n7\n8\n9\n"), S("1\n2\n3\n4\nnew\n6\n7\n8\n9\n")),
               S("{\"hunks\":[{\"from_line\":2,\"to_line\":2,\"lines\":["
                 "{\"op\":\"equal\",\"text\":\"2\"},{\"op\":\"equal\",\"text\":\"3\"},"
                 "{\"op\":\"equal\",\"text\":\"4\"},{\"op\":\"remove\",\"text\":\"old\"},"
                 "{\"op\":\"add\",\"text\":\"new\"},{\"op\":\"equal\",\"text\":\"6\"},"
                 "{\"op\":\"equal\",\"text\":\"7\"},{\"op\":\"equal\",\"text\":\"8\"}]}]}"));
    EXPECT_EQ(stats.added, 1);
    EXPECT_EQ(stats.removed, 1);
}

TEST(everything_new_and_everything_gone) {
    diff_text(S(""), S("a\nb"));
    EXPECT_EQ(stats.added, 2);
    EXPECT_EQ(stats.removed, 0);
    diff_text(S("a\nb"), S(""));
    EXPECT_EQ(stats.added, 0);
    EXPECT_EQ(stats.removed, 2);
}

TEST(far_changes_make_two_hunks) {
    char from[400] = "", to[400] = "";
    for (int i = 0; i < 30; i++) {
        char line[16];
        snprintf(line, sizeof line, "%d\n", i);
        strcat(from, line);
        strcat(to, i == 2 || i == 25 ? "x\n" : line);
    }
    str json = diff_text(str_from_c(from), str_from_c(to));
    size_t hunks = 0;
    for (size_t i = 0; i < json.len; i++)
        hunks += str_starts(str_skip(json, i), S("{\"from_line\""));
    EXPECT_EQ(hunks, 2);
}

/* Applies the script: the equal and added lines must be the new text, equal and removed the old. */
static void check_script(str from, str to, bool shortest_wanted, size_t edits_most) {
    struct diff d = {0};
    size_t x = 0, y = 0, edits = 0;
    REQUIRE(split(from, &d.a) == RC_OK && split(to, &d.b) == RC_OK);
    REQUIRE((d.script = malloc(d.a.count + d.b.count + 1)) != NULL);
    EXPECT_OK(make_script(&d));
    for (size_t i = 0; i < d.length; i++) {
        if (d.script[i] == OP_EQUAL) {
            REQUIRE(x < d.a.count && y < d.b.count);
            EXPECT_STR(d.a.line[x], d.b.line[y]);
        } else {
            edits++;
        }
        x += d.script[i] != OP_ADD;
        y += d.script[i] != OP_REMOVE;
    }
    EXPECT_EQ(x, d.a.count);
    EXPECT_EQ(y, d.b.count);
    if (shortest_wanted) EXPECT(edits <= edits_most);
    free(d.script), free(d.a.line), free(d.b.line);
}

TEST(random_edits_are_found_and_not_exceeded) {
    static char from[8192], to[8192];
    for (int round = 0; round < 500; round++) {
        size_t n = 0, m = 0, made = 0;
        int lines = (int)(test_random() % 120);
        for (int i = 0; i < lines; i++) {
            n += (size_t)snprintf(from + n, sizeof from - n, "%d\n", (int)(test_random() % 20));
        }
        str rest = str_of(from, n), line;
        while (rest.len && str_split(&rest, '\n', &line)) {
            u64 what = test_random() % 10;
            if (what == 0) { /* removed */
                made++;
                continue;
            }
            if (what == 1) m += (size_t)snprintf(to + m, sizeof to - m, "new\n"), made++;
            m += (size_t)snprintf(to + m, sizeof to - m, "%.*s\n", STR(line));
            if (!rest.ptr) break;
        }
        check_script(str_of(from, n), str_of(to, m), true, made);
    }
}

TEST(texts_too_different_are_replaced_whole) {
    static char from[40000], to[40000];
    size_t n = 0, m = 0;
    for (int i = 0; i < 2000; i++) {
        n += (size_t)snprintf(from + n, sizeof from - n, "a%d\n", i);
        m += (size_t)snprintf(to + m, sizeof to - m, "b%d\n", i);
    }
    check_script(str_of(from, n), str_of(to, m), false, 0);
    diff_text(str_of(from, n), str_of(to, m));
    EXPECT_EQ(stats.added, 2000);
    EXPECT_EQ(stats.removed, 2000);
}

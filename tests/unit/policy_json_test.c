/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to values and back, and the outside suite of texts (JSONTestSuite) when its files are at
 * hand: CONFORMANCE_DIR, or ../shared/conformance. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "app/policy/value/json_text.c"
#include "app/policy/value/json_write.c"
#include "tests/test.h"

static struct heap heap_of_test;
static struct heap *fresh(void) {
    static bool open;
    if (!open) heap_open(&heap_of_test, 64 << 20);
    open = true;
    heap_rewind(&heap_of_test);
    return &heap_of_test;
}

static void expect_json(const char *text, unsigned flags, const char *want, int line) {
    struct diag why = {0};
    struct buf b;
    value v;
    buf_open(&b, 1 << 20);
    if (json_text_read(fresh(), NULL, str_from_c(text), &v, &why))
        test_fail(__FILE__, line, "%s: %s", text, why.text);
    json_text_write(&b, v, flags);
    if (!str_eq(buf_str(&b), str_from_c(want))) test_fail(__FILE__, line, "%s gives %.*s, not %s", text, STR(buf_str(&b)), want);
    buf_close(&b);
}
#define EXPECT_JSON(text, flags, want) expect_json(text, flags, want, __LINE__)

TEST(text_goes_round) {
    EXPECT_JSON(" {\"b\": [1, 2.50, -0, 1e2, null, true, false], \"a\": \"x\"} ", 0,
                "{\"a\":\"x\",\"b\":[1,2.50,-0,1e2,null,true,false]}");
    EXPECT_JSON("{\"a\": 1, \"a\": 2}", 0, "{\"a\":2}");
    EXPECT_JSON("[]", JSON_TEXT_INDENT, "[]");
    EXPECT_JSON("{\"a\":[1,{}],\"b\":{\"c\":null}}", JSON_TEXT_INDENT,
                "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n  }\n}");
}

TEST(strings_hold_all_of_unicode) {
    EXPECT_JSON("\"\\u0041\\n\\/\\\"\\\\\\b\\f\\r\\t\\u0001\"", 0, "\"A\\n/\\\"\\\\\\b\\f\\r\\t\\u0001\"");
    EXPECT_JSON("\"\\ud83d\\ude00 \xC3\xA9\"", 0, "\"\xF0\x9F\x98\x80 \xC3\xA9\"");
    EXPECT_JSON("\"\\ud83d\"", 0, "\"\xEF\xBF\xBD\"");
    EXPECT_JSON("\"\\ude00\\ud83dx\"", 0, "\"\xEF\xBF\xBD\xEF\xBF\xBDx\"");
    EXPECT_JSON("\"\xFF\xC3\"", 0, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    EXPECT_JSON("\"<&>\xE2\x80\xA8\"", JSON_TEXT_ESCAPE_HTML, "\"\\u003c\\u0026\\u003e\\u2028\"");
    EXPECT_JSON("\"<&>\x7F\"", 0, "\"<&>\x7F\"");
}

TEST(errors_have_a_place) {
    static const struct { const char *text; int line, column; } wrong[] = {
        {"", 1, 1}, {"{", 1, 2}, {"[1,\n 2,]", 2, 4}, {"{\"a\" 1}", 1, 6}, {"{1: 2}", 1, 2}, {"[1 2]", 1, 4}, {"\"a\nb\"", 1, 3},
        {"\"a", 1, 2}, {"\"\\x\"", 1, 3}, {"tru", 1, 1}, {"1 2", 1, 3}, {"01", 1, 1}, {"{\"a\":1,}", 1, 8}, {"nul", 1, 1}, {"\"\\u12g4\"", 1, 3}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct diag why = {0};
        value v;
        EXPECT_RC(json_text_read(fresh(), NULL, str_from_c(wrong[i].text), &v, &why), RC_INVALID);
        EXPECT_EQ(why.line, wrong[i].line);
        EXPECT_EQ(why.column, wrong[i].column);
        EXPECT(why.text[0]);
        EXPECT(!value_defined(v));
    }
}

TEST(depth_is_bounded) {
    char text[2 * VALUE_DEPTH_MAX + 8];
    value v;
    memset(text, '[', sizeof text);
    EXPECT_RC(json_text_read(fresh(), NULL, str_of(text, sizeof text), &v, NULL), RC_LIMIT);
    memset(text + VALUE_DEPTH_MAX, ']', VALUE_DEPTH_MAX);
    EXPECT_OK(json_text_read(fresh(), NULL, str_of(text, 2 * VALUE_DEPTH_MAX), &v, NULL));
}

TEST(what_json_cannot_say_is_written_as_text) {
    struct heap *h = fresh();
    struct buf b;
    value key = value_array(h, (value[]){value_integer(1), value_string_c(h, "x")}, 2);
    value o = value_object(h, &key, (value[]){value_set(h, (value[]){value_null()}, 1)}, 1);
    buf_open(&b, 4096);
    json_text_write(&b, o, 0);
    EXPECT_STR(buf_str(&b), S("{\"[1,\\\"x\\\"]\":[null]}"));
    buf_clear(&b);
    value_write(&b, o);
    EXPECT_STR(buf_str(&b), S("{[1, \"x\"]: {null}}"));
    buf_close(&b);
    buf_open(&b, 4);
    json_text_write(&b, o, 0);
    EXPECT(b.failed);
    buf_close(&b);
}

static str read_file(const char *path, struct buf *into) {
    FILE *f = fopen(path, "rb");
    char part[4096];
    size_t n;
    buf_open(into, 1 << 24);
    while (f && (n = fread(part, 1, sizeof part, f)) > 0) (void)buf_add(into, str_of(part, n));
    if (f) fclose(f);
    return buf_str(into);
}

TEST(the_outside_suite) {
    char folder[512], path[1024];
    const char *base = getenv("CONFORMANCE_DIR");
    snprintf(folder, sizeof folder, "%s/json/test_parsing", base ? base : "../shared/conformance");
    DIR *d = opendir(folder);
    if (!d) {
        printf("skipped: the_outside_suite: there is no %s; set CONFORMANCE_DIR\n", folder);
        return;
    }
    int seen = 0;
    for (struct dirent *e; (e = readdir(d));) {
        struct buf text;
        value v;
        if (!strstr(e->d_name, ".json")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        rc_t rc = json_text_read(fresh(), NULL, read_file(path, &text), &v, NULL);
        if (e->d_name[0] == 'y' && rc) test_fail(__FILE__, __LINE__, "%s is refused: %s", e->d_name, rc_name(rc));
        if (e->d_name[0] == 'n' && !rc) test_fail(__FILE__, __LINE__, "%s is accepted", e->d_name);
        buf_close(&text);
        seen++;
    }
    closedir(d);
    EXPECT(seen > 300);
}

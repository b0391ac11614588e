/* SPDX-License-Identifier: Apache-2.0 */
/* app_json_writer_test.c — what the writer writes is JSON, whatever the values hold. */
#include "app/json_writer.c"
#include "tests/test.h"

TEST(writes_nested_values_with_commas) {
    struct json_writer w;
    json_open(&w, 4096);
    json_object(&w, NULL);
    json_text(&w, "a", S("x"));
    json_array(&w, "b");
    json_int(&w, NULL, 1);
    json_int(&w, NULL, INT64_MIN);
    json_int(&w, NULL, INT64_MAX);
    json_object(&w, NULL);
    json_object_end(&w);
    json_array_end(&w);
    json_bool(&w, "c", true);
    json_null(&w, "d");
    json_real(&w, "e", 1.5);
    json_real(&w, "f", 0.0 / 0.0);
    json_raw(&w, "g", S("[1]"));
    json_text(&w, "h", (str){NULL, 0});
    json_object_end(&w);
    EXPECT_STR(buf_str(&w.out),
               S("{\"a\":\"x\",\"b\":[1,-9223372036854775808,9223372036854775807,{}],\"c\":true,"
                 "\"d\":null,\"e\":1.5,\"f\":null,\"g\":[1],\"h\":null}"));
    EXPECT_EQ(w.depth, 0);
    json_close(&w);
}

static void expect_text(str value, str wanted) {
    struct json_writer w;
    struct diag why;
    json_open(&w, 4096);
    json_text(&w, NULL, test_at_page_end(value));
    EXPECT_STR(buf_str(&w.out), wanted);
    EXPECT_OK(json_scan(buf_str(&w.out), &why));
    json_close(&w);
}

TEST(escapes_what_must_be) {
    expect_text(S(""), S("\"\""));
    expect_text(S("a\"b\\c"), S("\"a\\\"b\\\\c\""));
    expect_text(S("\n\t\x01\x7F"), S("\"\\n\\u0009\\u0001\\u007f\""));
    expect_text(str_of("a\0b", 3), S("\"a\\u0000b\""));
    expect_text(S("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
                S("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""));
}

TEST(broken_utf8_becomes_the_replacement_character) {
    expect_text(S("a\xFF"), S("\"a\xEF\xBF\xBD\""));
    expect_text(S("\xC3"), S("\"\xEF\xBF\xBD\""));
    expect_text(S("\xE2\x82"), S("\"\xEF\xBF\xBD\xEF\xBF\xBD\""));
    expect_text(S("\xED\xA0\x80z"), S("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\""));
}

TEST(any_bytes_scan) {
    for (int i = 0; i < 2000; i++) {
        char bytes[24];
        struct json_writer w;
        struct diag why;
        size_t n = test_random() % sizeof bytes;
        for (size_t k = 0; k < n; k++) bytes[k] = (char)test_random();
        json_open(&w, 4096);
        json_text(&w, NULL, str_of(bytes, n));
        EXPECT_OK(json_scan(buf_str(&w.out), &why));
        json_close(&w);
    }
}

TEST(times_are_rfc_3339) {
    static const struct {
        u64 ns;
        const char *text;
    } cases[] = {
        {1000000, "\"1970-01-01T00:00:00.001Z\""},
        {951782400000000000ull, "\"2000-02-29T00:00:00.000Z\""},
        {1709251199999000000ull, "\"2024-02-29T23:59:59.999Z\""},
        {4107542400000000000ull, "\"2100-03-01T00:00:00.000Z\""},
        {0, "null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_writer w;
        json_open(&w, 100);
        json_time(&w, NULL, cases[i].ns);
        EXPECT_STR(buf_str(&w.out), str_from_c(cases[i].text));
        json_close(&w);
    }
}

TEST(a_full_buffer_is_remembered) {
    struct json_writer w;
    json_open(&w, 16);
    json_array(&w, NULL);
    for (int i = 0; i < 100; i++) json_int(&w, NULL, i);
    json_array_end(&w);
    EXPECT(w.out.failed);
    json_close(&w);
}

static void close_too_often(void *arg) { json_object_end(arg); }
TEST(closing_what_is_not_open_is_a_defect) {
    struct json_writer w;
    json_open(&w, 16);
    EXPECT_PANIC(close_too_often, &w, "depth");
    json_close(&w);
}

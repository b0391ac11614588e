/* SPDX-License-Identifier: Apache-2.0 */
/* app_json_test.c — the strict scan, the tree's own refusals, and JSONTestSuite (nst/JSONTestSuite,
 * MIT) when its files are at hand: CONFORMANCE_DIR, or ../shared/conformance. */
#include "app/json.c"
#include "tests/test.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static rc_t scan(const char *text) {
    struct diag why;
    return json_scan(test_at_page_end(str_from_c(text)), &why);
}

static rc_t parse(const char *text, struct diag *why) {
    struct arena a;
    cJSON *root = NULL;
    arena_open(&a, NULL, 0, KIB(64));
    rc_t rc = json_parse(&a, test_at_page_end(str_from_c(text)), &root, why);
    arena_close(&a);
    return rc;
}

TEST(accepts_every_kind_of_value) {
    const char *good[] = {"null",  "true",  "false",     "0",         "-0",
                          "12",    "-1.5",  "1e9",       "1E+9",      "1.5e-3",
                          "\"\"",  "\"a\"", "[]",        "{}",        " [1, 2] ",
                          "[[],{}]", "{\"a\":{\"b\":[1,{}]},\"c\":null}", "\"\\u00e9\\n\"",
                          "\"\\ud83d\\ude00\"", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
                          "\t\r\n{ \"a\" : 1 }\n"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        rc_t rc = scan(good[i]);
        if (rc) test_fail(__FILE__, __LINE__, "%s: %s", good[i], rc_name(rc));
    }
}

TEST(refuses_everything_else) {
    const char *bad[] = {"",
                         " ",
                         "nul",
                         "True",
                         "01",
                         "-",
                         "1.",
                         ".5",
                         "1e",
                         "1e+",
                         "+1",
                         "0x1",
                         "\"",
                         "\"\\",
                         "\"\\x\"",
                         "\"\\u12\"",
                         "\"\\u12g4\"",
                         "\"\t\"",
                         "[",
                         "]",
                         "[1",
                         "[1,",
                         "[1,]",
                         "[,1]",
                         "[1 2]",
                         "{",
                         "}",
                         "{\"a\"",
                         "{\"a\":",
                         "{\"a\":1",
                         "{\"a\":1,",
                         "{\"a\":1,}",
                         "{a:1}",
                         "{\"a\" 1}",
                         "{1:1}",
                         "[1}",
                         "{\"a\":1]",
                         "1 2",
                         "[] x",
                         "\"\\ud800\"",
                         "\"\\udc00\"",
                         "\"\\ud800\\u0041\"",
                         "\"\\ud800\\",
                         "nan",
                         "Infinity",
                         "'a'",
                         "//\n1",
                         "\xEF\xBB\xBF{}",
                         "\"\xC0\x80\"",
                         "\"\xED\xA0\x80\"",
                         "\"\xF4\x90\x80\x80\"",
                         "\"\xE0\x80\x80\"",
                         "\"\xF0\x80\x80\x80\"",
                         "\"\xFF\"",
                         "\"\xC3\"",
                         "\"\xE2\x82\"",
                         "\"\xF0\x9F\x98\"",
                         "\"\x80\"",
                         "[1,2"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (scan(bad[i]) != RC_INVALID) test_fail(__FILE__, __LINE__, "accepted: %s", bad[i]);
    EXPECT_RC(json_scan(test_at_page_end(str_of("\"a\0b\"", 5)), NULL), RC_INVALID);
}

TEST(says_where) {
    struct diag why = {0};
    EXPECT_RC(json_scan(S("{\n  \"\xC3\xA9\": ?\n}"), &why), RC_INVALID);
    EXPECT_EQ(why.line, 2);
    EXPECT_EQ(why.column, 8); /* the two-byte letter counts once */
    EXPECT(strstr(why.text, "line 2, column 8") != NULL);
}

TEST(depth_is_bounded_and_exact) {
    char text[2 * JSON_DEPTH_MAX + 4];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    EXPECT_OK(json_scan(str_of(text, 2 * JSON_DEPTH_MAX), NULL));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    EXPECT_RC(json_scan(str_of(text, 2 * JSON_DEPTH_MAX + 2), NULL), RC_LIMIT);
}

TEST(builds_a_tree) {
    struct arena a;
    cJSON *root;
    arena_open(&a, NULL, 0, KIB(64));
    EXPECT_OK(json_parse(&a, S("{\"a\":[1,2.5,\"\\u00e9\"],\"b\":true}"), &root, NULL));
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "a");
    REQUIRE(cJSON_GetArraySize(list) == 3);
    EXPECT(cJSON_GetArrayItem(list, 1)->valuedouble == 2.5);
    EXPECT_STR(str_from_c(cJSON_GetArrayItem(list, 2)->valuestring), S("\xC3\xA9"));
    EXPECT(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "b")));
    arena_close(&a);
}

static void check_string(const char *json, const char *wanted) {
    struct arena a;
    cJSON *root;
    arena_open(&a, NULL, 0, KIB(64));
    EXPECT_OK(json_parse(&a, str_from_c(json), &root, NULL));
    EXPECT_STR(str_from_c(cJSON_GetArrayItem(root, 0)->valuestring), str_from_c(wanted));
    EXPECT_STR(str_from_c(cJSON_GetArrayItem(root, 1)->valuestring), S("next"));
    arena_close(&a);
}

TEST(strings_with_and_without_escapes) {
    check_string("[\"\",\"next\"]", "");
    check_string("[\"plain text, longer than eight\",\"next\"]", "plain text, longer than eight");
    check_string("[\"a \\\"quoted\\\" word\",\"next\"]", "a \"quoted\" word");
    check_string("[\"\\\\\",\"next\"]", "\\");
    check_string("[\"\\\"\",\"next\"]", "\"");
    check_string("[\"d\xC3\xA9j\xC3\xA0 vu\",\"next\"]", "d\xC3\xA9j\xC3\xA0 vu");
    check_string("[\"rub\x7Fout then \\n a line\",\"next\"]", "rub\x7Fout then \n a line");
}

TEST(refuses_what_a_tree_would_hide) {
    struct diag why = {0};
    EXPECT_RC(parse("{\"a\":1,\"a\":2}", &why), RC_INVALID);
    EXPECT(strstr(why.text, "\"a\" appears twice") != NULL);
    EXPECT_RC(parse("[{\"x\":{\"k\":1,\"j\":2,\"\\u006b\":3}}]", &why), RC_INVALID);
    EXPECT_RC(parse("{\"a\\u0000b\":1}", &why), RC_INVALID);
    EXPECT_OK(parse("{\"a\\\\u0000b\":1}", &why)); /* an escaped backslash, then plain text */
    EXPECT_RC(parse("[1e999]", &why), RC_INVALID);
    EXPECT(strstr(why.text, "too large") != NULL);
    EXPECT_RC(parse("[1e999", &why), RC_INVALID); /* grammar is looked at first */
}

TEST(memory_is_bounded) {
    struct arena a;
    struct diag why = {0};
    cJSON *root;
    char text[4095]; /* [0,0, ... ,0] */
    memset(text, '0', sizeof text);
    for (size_t i = 2; i < sizeof text; i += 2) text[i] = ',';
    text[0] = '[', text[sizeof text - 1] = ']';
    arena_open(&a, NULL, 0, KIB(16));
    EXPECT_RC(json_parse(&a, str_of(text, sizeof text), &root, &why), RC_LIMIT);
    EXPECT(strstr(why.text, "too large to hold") != NULL);
    arena_close(&a);
    arena_open(&a, NULL, 0, MIB(2));
    EXPECT_OK(json_parse_parked(&a, str_of(text, sizeof text), &root, &why)); /* no fiber: here */
    arena_close(&a);
}

TEST(many_members_stay_quick_and_distinct) {
    struct buf b;
    struct arena a;
    cJSON *root;
    buf_open(&b, MIB(1));
    EXPECT_OK(buf_add(&b, S("{")));
    for (int i = 0; i < 5000; i++) EXPECT_OK(buf_printf(&b, "%s\"k%d\":%d", i ? "," : "", i, i));
    arena_open(&a, NULL, 0, MIB(8));
    EXPECT_OK(buf_add(&b, S("}")));
    EXPECT_OK(json_parse(&a, buf_str(&b), &root, NULL));
    b.len--;
    EXPECT_OK(buf_add(&b, S(",\"k4321\":0}")));
    EXPECT_RC(json_parse(&a, buf_str(&b), &root, NULL), RC_INVALID);
    arena_close(&a);
    buf_close(&b);
}

/* ---- JSONTestSuite ------------------------------------------------------------------------- */

static str read_file(const char *path, char *to, size_t room) {
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(to, 1, room, f) : 0;
    if (f) fclose(f);
    return str_of(to, n);
}

TEST(json_test_suite) {
    static char bytes[MIB(1)];
    char folder[512], path[1024];
    const char *base = getenv("CONFORMANCE_DIR");
    snprintf(folder, sizeof folder, "%s/json/test_parsing", base ? base : "../shared/conformance");
    DIR *d = opendir(folder);
    if (!d) {
        printf("skip  json_test_suite: %s is not there\n", folder);
        return;
    }
    int accepted = 0, refused = 0, either = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strstr(e->d_name, ".json")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        str text = read_file(path, bytes, sizeof bytes);
        rc_t rc = json_scan(text, NULL);
        if (e->d_name[0] == 'y' && rc) test_fail(path, 0, "must be accepted: %s", rc_name(rc));
        if (e->d_name[0] == 'n' && !rc) test_fail(path, 0, "must be refused");
        accepted += e->d_name[0] == 'y';
        refused += e->d_name[0] == 'n';
        either += e->d_name[0] == 'i';
        struct arena a; /* and the tree never does worse than refuse */
        cJSON *root;
        arena_open(&a, NULL, 0, MIB(8));
        if (!json_parse(&a, text, &root, NULL)) EXPECT(rc == RC_OK);
        arena_close(&a);
    }
    closedir(d);
    EXPECT_EQ(accepted, 95);
    EXPECT_EQ(refused, 188);
    EXPECT_EQ(either, 35);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of documents as URLs have them: escapes part by part, numbers, quotes, ends. */
#include "app/rego/path.c"
#include "tests/test.h"

static struct heap h;
static struct arena a;

static void begin(void) {
    heap_close(&h), heap_open(&h, MIB(1));
    arena_close(&a), arena_open(&a, NULL, 0, MIB(1));
}

static str of(const char *target, const char *param) {
    static const struct route route = {.pattern = "/v1/data/{path...}"};
    static struct http_request http;
    static struct request rq;
    http = (struct http_request){.target = str_from_c(target)};
    rq = (struct request){
        .http = &http, .route = &route, .params = {str_from_c(param)}, .param_count = 1};
    return rego_path_of(&rq);
}

TEST(a_path_is_kept_as_it_was_sent) {
    static const struct { const char *target, *param, *path; } rows[] = {
        {"/v1/data/a/b", "a/b", "a/b"},           {"/v1/data/a/b/?x=%2F", "a/b/", "a/b"},
        {"/v1/data/a%2Fb/c", "a%2Fb/c", "a%2Fb/c"}, {"/v1/data/%61", "a", "%61"},
        {"/v1/data//a%20b//", "a b/", "a%20b"},   {"/v1%2Fdata/a%20b", "a b", "a b"},
        {"/v1/data//", "/", ""},                  {"/v1/data/%2F?", "%2F", "%2F"}};
    begin();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT_STR(of(rows[i].target, rows[i].param), str_from_c(rows[i].path));
    struct request none = {0};
    EXPECT_STR(rego_path_of(&none), S(""));
}

TEST(its_parts_are_keys) {
    static const struct { const char *path, *query, *pointer; } rows[] = {
        {"", "data", ""},
        {"a/b", "data.a.b", "/a/b"},
        {"a%2Fb/c", "data[\"a/b\"].c", "/a~1b/c"},
        {"a/0/-7/x", "data.a[0][-7].x", "/a/0/-7/x"},
        {"a%7Eb/~", "data[\"a~b\"][\"~\"]", "/a~0b/~0"},
        {"a%zz/%", "data[\"a%zz\"][\"%\"]", "/a%zz/%"},
        {"%C3%A9", "data[\"é\"]", "/é"},
        {"a%00b", "data[\"a%00b\"]", "/a%00b"},
        {"99999999999999999999", "data[\"99999999999999999999\"]", "/99999999999999999999"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin();
        EXPECT_STR(rego_path_query(&h, str_from_c(rows[i].path)), str_from_c(rows[i].query));
        EXPECT_STR(rego_path_pointer(&a, str_from_c(rows[i].path)), str_from_c(rows[i].pointer));
        EXPECT_STR(rego_path_dotted(&a, str_from_c(rows[i].path)), str_from_c(rows[i].query));
    }
    begin();
    EXPECT_STR(rego_path_query(&h, S("a//b/")), S("data.a.b"));
    EXPECT_STR(rego_path_pointer(&a, S("a//b")), S("/a//b")); /* an empty name is a name of data */
}

TEST(what_is_no_path_is_said) {
    value keys[4];
    struct diag why = {0};
    u32 count;
    begin();
    EXPECT_RC(rego_path_keys(&h, S("a/b%22c"), keys, 4, &count, &why), RC_INVALID);
    EXPECT_STR(str_from_c(why.text), S("invalid path: invalid ref term 'b\"c'"));
    EXPECT_RC(rego_path_keys(&h, S("\""), keys, 4, &count, NULL), RC_INVALID);
    EXPECT_RC(rego_path_keys(&h, S("a/b/c/d/e"), keys, 4, &count, &why), RC_LIMIT);
    EXPECT_STR(rego_path_query(&h, S("x/\"")), S(""));
    EXPECT_STR(rego_path_dotted(&a, S("x/\"")), S("x/\""));
    heap_close(&h), heap_open(&h, 16);
    EXPECT_RC(rego_path_keys(&h, S("abc%20d"), keys, 4, &count, &why), RC_NO_MEMORY);
    heap_close(&h), arena_close(&a);
}

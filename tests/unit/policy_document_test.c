/* SPDX-License-Identifier: Apache-2.0 */
/* Base documents: a change makes a new version and leaves the old one as it was; all or nothing;
 * what is shared is shared; versions go when nobody holds them (the address sanitizer looks on). */
#include <stdio.h>
#include "app/policy/value/document.c"
#include "tests/test.h"

static struct heap heap_of_test;
static value json(const char *text) {
    value v;
    if (!heap_of_test.bytes_max) heap_open(&heap_of_test, 16 << 20);
    if (json_text_read(&heap_of_test, NULL, str_from_c(text), &v, NULL)) test_fail(__FILE__, __LINE__, "%s", text);
    return v;
}

static struct document *document(const char *text) {
    struct document *d = NULL;
    EXPECT_OK(document_open(&d, json(text), 1 << 20));
    return d;
}

static void expect_root(const struct document *d, const char *want, int line) {
    struct buf b;
    buf_open(&b, 1 << 16);
    json_text_write(&b, document_root(d), 0);
    if (!str_eq(buf_str(&b), str_from_c(want))) test_fail(__FILE__, line, "is %.*s, not %s", STR(buf_str(&b)), want);
    buf_close(&b);
}
#define EXPECT_ROOT(d, want) expect_root(d, want, __LINE__)

/* One change by pointer; gives the next version, the first stays held by the caller. */
static rc_t change(struct document *d, enum document_op op, const char *pointer, const char *v, bool make_path,
                   struct document **out) {
    value keys[16];
    struct document_change c = {.op = op, .path = keys, .v = v ? json(v) : UNDEFINED};
    rc_t rc = document_path(&heap_of_test, str_from_c(pointer), keys, ARRAY_LEN(keys), &c.count);
    return rc ? rc : document_change(d, &c, 1, make_path, out, NULL);
}

TEST(each_change_is_a_new_version) {
    static const struct { enum document_op op; const char *path, *v, *want; } rows[] = {
        {DOCUMENT_ADD, "/a/z", "9", "{\"a\":{\"b\":[1,2],\"c\":3,\"z\":9},\"d\":{\"e\":null}}"},
        {DOCUMENT_ADD, "/a/c", "9", "{\"a\":{\"b\":[1,2],\"c\":9},\"d\":{\"e\":null}}"},
        {DOCUMENT_REPLACE, "/a/c", "[9]", "{\"a\":{\"b\":[1,2],\"c\":[9]},\"d\":{\"e\":null}}"},
        {DOCUMENT_REMOVE, "/a/c", NULL, "{\"a\":{\"b\":[1,2]},\"d\":{\"e\":null}}"},
        {DOCUMENT_ADD, "/a/b/0", "0", "{\"a\":{\"b\":[0,1,2],\"c\":3},\"d\":{\"e\":null}}"},
        {DOCUMENT_ADD, "/a/b/2", "3", "{\"a\":{\"b\":[1,2,3],\"c\":3},\"d\":{\"e\":null}}"},
        {DOCUMENT_ADD, "/a/b/-", "3", "{\"a\":{\"b\":[1,2,3],\"c\":3},\"d\":{\"e\":null}}"},
        {DOCUMENT_REPLACE, "/a/b/1", "7", "{\"a\":{\"b\":[1,7],\"c\":3},\"d\":{\"e\":null}}"},
        {DOCUMENT_REMOVE, "/a/b/0", NULL, "{\"a\":{\"b\":[2],\"c\":3},\"d\":{\"e\":null}}"},
        {DOCUMENT_ADD, "/x~1y~0z", "1", "{\"a\":{\"b\":[1,2],\"c\":3},\"d\":{\"e\":null},\"x/y~z\":1}"},
        {DOCUMENT_ADD, "", "{\"k\":1}", "{\"k\":1}"},
        {DOCUMENT_REMOVE, "", NULL, "{}"}};
    struct document *d = document("{\"a\": {\"b\": [1, 2], \"c\": 3}, \"d\": {\"e\": null}}"), *next;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        REQUIRE(change(d, rows[i].op, rows[i].path, rows[i].v, false, &next) == RC_OK);
        EXPECT_ROOT(next, rows[i].want);
        EXPECT_ROOT(d, "{\"a\":{\"b\":[1,2],\"c\":3},\"d\":{\"e\":null}}");
        if (rows[i].path[0] == '/' && rows[i].path[1] == 'a')
            EXPECT(value_get_str(document_root(next), S("d")).object == value_get_str(document_root(d), S("d")).object);
        document_drop(next);
    }
    document_drop(d);
}

TEST(what_cannot_be_changed_is_refused_and_nothing_happens) {
    struct document *d = document("{\"a\": {\"b\": [1, 2], \"c\": 3}}"), *next = NULL;
    EXPECT_RC(change(d, DOCUMENT_REMOVE, "/a/x", NULL, false, &next), RC_NOT_FOUND);
    EXPECT_RC(change(d, DOCUMENT_REPLACE, "/a/x", "1", false, &next), RC_NOT_FOUND);
    EXPECT_RC(change(d, DOCUMENT_ADD, "/x/y", "1", false, &next), RC_NOT_FOUND);
    EXPECT_RC(change(d, DOCUMENT_ADD, "/a/c/y", "1", true, &next), RC_NOT_FOUND);
    EXPECT_RC(change(d, DOCUMENT_ADD, "/a/c/y/z", "1", true, &next), RC_NOT_FOUND);
    EXPECT_RC(change(d, DOCUMENT_ADD, "/a/b/3", "1", false, &next), RC_NOT_FOUND);
    EXPECT_RC(change(d, DOCUMENT_ADD, "/a/b/01", "1", false, &next), RC_NOT_FOUND);
    EXPECT_RC(change(d, DOCUMENT_ADD, "/a/b/7/x", "1", true, &next), RC_NOT_FOUND);
    EXPECT_RC(change(d, DOCUMENT_REPLACE, "/a/b/2", "1", false, &next), RC_INVALID);
    EXPECT_RC(change(d, DOCUMENT_REMOVE, "/a/b/-", NULL, false, &next), RC_INVALID);
    EXPECT_RC(change(d, DOCUMENT_ADD, "", "[]", false, &next), RC_INVALID);
    EXPECT_RC(change(d, DOCUMENT_ADD, "a", "1", false, &next), RC_INVALID);
    EXPECT(!next);
    value a[] = {json("\"a\""), json("\"n\"")}, wrong[] = {json("\"q\""), json("\"r\"")};
    struct document_change both[] = {{DOCUMENT_ADD, a, 2, json("1")}, {DOCUMENT_REMOVE, wrong, 2, UNDEFINED}};
    struct diag why = {0};
    EXPECT_RC(document_change(d, both, 2, false, &next, &why), RC_NOT_FOUND);
    EXPECT_STR(str_from_c(why.text), S("storage_not_found_error: document does not exist"));
    value end[] = {json("\"a\""), json("\"b\""), json("\"-\"")};
    struct document_change past = {DOCUMENT_REMOVE, end, 3, UNDEFINED};
    EXPECT_RC(document_change(d, &past, 1, false, &next, &why), RC_INVALID);
    EXPECT_STR(str_from_c(why.text), S("storage_invalid_patch_error: /a/b/-: invalid patch path"));
    end[2] = json("\"x\""), past.op = DOCUMENT_ADD, past.v = json("1");
    EXPECT_RC(document_change(d, &past, 1, false, &next, &why), RC_NOT_FOUND);
    EXPECT_STR(str_from_c(why.text), S("storage_not_found_error: /a/b/x: array index must be integer"));
    end[2] = json("\"9\"");
    EXPECT_RC(document_change(d, &past, 1, false, &next, &why), RC_NOT_FOUND);
    EXPECT_STR(str_from_c(why.text), S("storage_not_found_error: /a/b/9: array index out of range"));
    EXPECT_ROOT(d, "{\"a\":{\"b\":[1,2],\"c\":3}}");
    document_drop(d);
}

TEST(missing_objects_are_made_when_asked_for) {
    struct document *d = document("{}"), *next;
    EXPECT_OK(change(d, DOCUMENT_ADD, "/x/y/z", "{\"k\": 1}", true, &next));
    EXPECT_ROOT(next, "{\"x\":{\"y\":{\"z\":{\"k\":1}}}}");
    value path[] = {json("\"x\""), json("\"y\""), json("\"z\""), json("\"k\"")};
    EXPECT_EQ(document_get(document_root(next), path, 4).integer, 1);
    EXPECT(!value_defined(document_get(document_root(d), path, 4)));
    document_drop(d);
    EXPECT_ROOT(next, "{\"x\":{\"y\":{\"z\":{\"k\":1}}}}");
    document_drop(next);
}

TEST(a_long_chain_is_compacted_into_one) {
    struct document *d = document("{\"n\": 0, \"list\": []}"), *next;
    char text[16];
    for (int i = 1; i <= 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        EXPECT_OK(change(d, DOCUMENT_REPLACE, "/n", text, false, &next));
        document_drop(d);
        d = next;
        EXPECT_OK(change(d, DOCUMENT_ADD, "/list/-", text, false, &next));
        document_drop(d);
        d = next;
    }
    EXPECT_EQ(document_chain(d), 201);
    size_t bytes = document_bytes(d);
    struct document *old = document_hold(d);
    EXPECT_OK(document_compact(d, &next));
    EXPECT_EQ(document_chain(next), 1);
    EXPECT(document_bytes(next) < bytes);
    EXPECT(value_equal(document_root(next), document_root(old)));
    document_drop(old);
    document_drop(d);
    EXPECT_EQ(value_get_str(document_root(next), S("n")).integer, 100);
    document_drop(next);
}

TEST(without_memory_there_is_no_new_version) {
    struct document *d, *next = NULL;
    EXPECT_RC(document_open(&d, json("{\"a\": \"some text that does not fit in so little\"}"), 64), RC_NO_MEMORY);
    EXPECT_OK(document_open(&d, json("{\"a\": 1}"), 6000));
    char big[9000];
    snprintf(big, sizeof big, "\"%08000d\"", 1);
    EXPECT_RC(change(d, DOCUMENT_ADD, "/b", big, false, &next), RC_NO_MEMORY);
    EXPECT(!next);
    EXPECT_ROOT(d, "{\"a\":1}");
    document_drop(d);
}

/* Records as services keep them: their keys lie once for all of them, their cells beside. */
TEST(little_data_takes_little) {
    struct document *d;
    EXPECT_OK(document_open(&d, json("{\"networks\": [\"10.0.0.0/8\", \"172.16.0.0/12\"]}"), MIB(1)));
    EXPECT(document_bytes(d) <= 2048);
    document_drop(d);
}

TEST(records_take_less_than_three_times_their_text) {
    struct heap h;
    struct buf text;
    struct diag why;
    value root;
    struct document *d;
    heap_open(&h, MIB(64));
    buf_open(&text, MIB(4));
    (void)buf_add(&text, S("{\"users\":["));
    for (u32 i = 0; i < 8000; i++)
        (void)buf_printf(&text,
                         "%s{\"id\":%u,\"name\":\"user%u\",\"email\":\"user%u@example.com\",\"roles\":"
                         "[\"dev\",\"ops\"],\"department\":\"eng\",\"active\":true,\"level\":%u}",
                         i ? "," : "", i, i, i, i % 5);
    (void)buf_add(&text, S("]}"));
    EXPECT_EQ(json_text_read(&h, NULL, buf_str(&text), &root, &why), RC_OK);
    EXPECT_EQ(document_open(&d, root, MIB(64)), RC_OK);
    EXPECT(2 * document_bytes(d) < 5 * text.len);
    EXPECT(value_equal(document_root(d), root));
    value users = value_get_str(document_root(d), S("users"));
    EXPECT(value_item(users, 0).object->keys == value_item(users, 7999).object->keys);
    document_drop(d);
    buf_close(&text);
    heap_close(&h);
}

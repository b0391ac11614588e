/* SPDX-License-Identifier: Apache-2.0 */
/* policy_compile_type_test.c — types: read and written without loss, united, unified; and what
 * every builtin is declared as can be read. */
#include "app/policy/compile/type.c"
#include "app/policy/builtin/builtin.h"
#include "tests/test.h"

static struct heap heap;

static const struct type *read(const char *text) {
    const struct type *t = NULL;
    struct diag why;
    rc_t rc = type_parse(&heap, str_from_c(text), &t, &why);
    if (rc) test_fail(__FILE__, __LINE__, "%s: %s", rc_name(rc), text);
    return t;
}

static void same_text(const struct type *t, const char *want) {
    struct buf b;
    buf_open(&b, KIB(64));
    type_write(&b, t);
    EXPECT_STR(buf_str(&b), str_from_c(want));
    buf_close(&b);
}

TEST(types_are_written_as_they_are_read) {
    static const char *const texts[] = {
        "any",
        "null",
        "boolean",
        "number",
        "string",
        "any<string>",
        "any<number, string>",
        "array[any]",
        "array<number, string>",
        "array<number>[string]",
        "set[any]",
        "object[string: any]",
        "object<a: number, b: string>",
        "object<a: number>[string: any]",
        "(number, string) => boolean",
        "array[object[string: any<null, number>]]",
        "() => any",
    };
    heap_open(&heap, MIB(1));
    for (u32 i = 0; i < ARRAY_LEN(texts); i++) same_text(read(texts[i]), texts[i]);
    same_text(read("(x: number, y: any) => z: string"), "(number, any) => string");
    same_text(read("(any...)"), "(any...) => ???");
    same_text(NULL, "???");
    heap_close(&heap);
}

TEST(what_is_no_type_is_refused) {
    static const char *const texts[] = {"",        "num",           "array<",       "array<>x",
                                        "set",     "set[",          "object<a>",    "any<>",
                                        "(number", "(any..., any)", "number number"};
    heap_open(&heap, MIB(1));
    for (u32 i = 0; i < ARRAY_LEN(texts); i++) {
        const struct type *t;
        struct diag why;
        EXPECT_RC(type_parse(&heap, test_at_page_end(str_from_c(texts[i])), &t, &why), RC_INVALID);
    }
    heap_close(&heap);
}

TEST(deep_notation_is_refused) {
    static char text[4000];
    const struct type *t;
    struct diag why;
    heap_open(&heap, MIB(1));
    for (u32 i = 0; i + 4 < sizeof text; i += 4) memcpy(text + i, "set[", 4);
    EXPECT_RC(type_parse(&heap, str_of(text, sizeof text - 8), &t, &why), RC_INVALID);
    heap_close(&heap);
}

TEST(every_builtin_has_a_type) {
    heap_open(&heap, MIB(4));
    for (u32 i = 0; i < builtins_count; i++) {
        const struct type *t = read(builtins[i].type);
        if (!t) continue;
        if (t->kind != TYPE_FUNCTION || t->count != builtins[i].arity)
            test_fail(__FILE__, __LINE__, "%s: %s", builtins[i].name, builtins[i].type);
    }
    heap_close(&heap);
}

TEST(union_is_sorted_and_small) {
    heap_open(&heap, MIB(1));
    const struct type *t = type_or(&heap, &type_string, &type_number);
    same_text(t, "any<number, string>");
    same_text(type_or(&heap, t, &type_null), "any<null, number, string>");
    EXPECT(type_or(&heap, t, &type_string) == t);
    same_text(type_or(&heap, t, &type_any), "any");
    same_text(type_or(&heap, &type_any, t), "any");
    EXPECT(type_or(&heap, NULL, t) == t && type_or(&heap, t, NULL) == t);
    same_text(type_or(&heap, read("(number) => number"), read("(string) => null")),
              "(any<number, string>) => any<null, number>");
    EXPECT(!type_or(&heap, read("(number) => number"), &type_number));
    EXPECT(!type_or(&heap, read("(number) => number"), read("(number, number) => number")));
    heap_close(&heap);
}

TEST(selection_and_enumeration) {
    heap_open(&heap, MIB(1));
    const struct type *o = read("object<a: number>[string: set[null]]");
    EXPECT(type_select(&heap, o, value_string_c(&heap, "a"))->kind == TYPE_NUMBER);
    EXPECT(type_select(&heap, o, value_string_c(&heap, "b"))->kind == TYPE_SET);
    EXPECT(!type_select(&heap, o, value_integer(1)));
    same_text(type_keys(&heap, o), "string");
    same_text(type_values(&heap, o), "any<number, set[null]>");
    const struct type *a = read("array<number>[string]");
    same_text(type_select(&heap, a, value_integer(0)), "number");
    same_text(type_select(&heap, a, value_integer(7)), "string");
    EXPECT(!type_select(&heap, a, value_integer(-1)));
    EXPECT(!type_keys(&heap, &type_number) && !type_values(&heap, &type_string));
    same_text(type_select(&heap, read("set[any<number, string>]"), value_integer(1)), "number");
    EXPECT(!type_select(&heap, read("set[string]"), value_integer(1)));
    heap_close(&heap);
}

TEST(unification) {
    static const struct {
        const char *a, *b;
        bool can;
    } cases[] = {
        {"number", "string", false},
        {"number", "any", true},
        {"any<number, string>", "string", true},
        {"any<number, string>", "any<null, boolean>", false},
        {"array[any]", "array<number>", true},
        {"array<number>", "array<string>", false},
        {"array<number>", "array<number, number>", false},
        {"array<number>[number]", "array<number, number>", true},
        {"set[number]", "array[number]", false},
        {"object<a: number>", "object<a: number>", true},
        {"object<a: number>", "object<b: number>", false},
        {"object<a: number>", "object[string: any]", true},
        {"object<a: number>", "object[string: string]", false},
        {"object<a: string>[string: any]", "object<a: number>", false},
        {"(number) => any", "(any) => string", true},
        {"(number) => any", "any", false},
    };
    heap_open(&heap, MIB(1));
    for (u32 i = 0; i < ARRAY_LEN(cases); i++) {
        const struct type *a = read(cases[i].a), *b = read(cases[i].b);
        if (type_unifies(&heap, a, b) != cases[i].can || type_unifies(&heap, b, a) != cases[i].can)
            test_fail(__FILE__, __LINE__, "%s and %s", cases[i].a, cases[i].b);
    }
    EXPECT(!type_unifies(&heap, NULL, &type_any));
    heap_close(&heap);
}

TEST(types_that_wrap_each_other_end) {
    heap_open(&heap, MIB(64));
    const struct type *t = &type_number;
    for (int i = 0; i < 1000 && t; i++) {
        const struct type *two[2] = {t, t};
        t = type_array(&heap, two, 2, NULL);
        REQUIRE(t && t->depth <= TYPE_DEPTH_MAX && t->size <= TYPE_SIZE_MAX);
    }
    const struct type *any = type_or(&heap, &type_number, &type_string);
    for (int i = 0; i < 2000 && any->count; i++) {
        struct type_property p = {value_integer(i), &type_null};
        any = type_or(&heap, any, type_object(&heap, &p, 1, NULL, NULL));
    }
    EXPECT(type_is_anything(any));
    heap_close(&heap);
}

TEST(no_memory_is_told) {
    for (size_t bytes = 0; bytes < 1024; bytes += 64) {
        const struct type *t;
        struct diag why;
        heap_open(&heap, bytes);
        rc_t rc = type_parse(
            &heap, S("(x: array<number, string>, y: object<a: set[any]>) => z: any<null, string>"),
            &t, &why);
        EXPECT(rc == RC_NO_MEMORY || rc == RC_OK);
        heap_close(&heap);
    }
}

TEST(json_form) {
    heap_open(&heap, MIB(1));
    value v = type_json(&heap, read("(x: array[number]) => object<a: string>[string: any]"));
    value args = value_get_str(v, S("args")), result = value_get_str(v, S("result"));
    REQUIRE(value_count(args) == 1);
    EXPECT_STR(value_str(value_get_str(value_item(args, 0), S("name"))), S("x"));
    EXPECT_STR(
        value_str(value_get_str(value_get_str(value_item(args, 0), S("dynamic")), S("type"))),
        S("number"));
    EXPECT(value_count(value_get_str(result, S("static"))) == 1);
    EXPECT(value_defined(value_get_str(value_get_str(result, S("dynamic")), S("key"))));
    heap_close(&heap);
}

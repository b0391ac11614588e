/* SPDX-License-Identifier: Apache-2.0 */
/* policy_compile_check_test.c — type errors with the lines below them; schemas. */
#include "app/policy/compile/check.c"
#include "app/policy/value/json_text.h"
#include "tests/unit/policy_compile.h"

static void expect_details(const char *file, int line, const char *source, const char *message,
                           const char *want) {
    struct compile_case t;
    struct buf b;
    case_open(&t);
    buf_open(&b, KIB(64));
    case_add(&t, source);
    rc_t rc = case_run(&t);
    if (rc != RC_INVALID || t.errors.count != 1) {
        str got = case_errors(&t);
        test_fail(file, line, "%s: %s: %.*s", rc_name(rc), source, STR(got));
    } else {
        const struct policy_error *e = &t.errors.items[0];
        for (u32 i = 0; i < e->detail_count; i++) {
            rc = buf_printf(&b, "%s%.*s", i ? "\n" : "", STR(e->details[i]));
            if (rc) test_fail(file, line, "details are too long");
        }
        str got = buf_str(&b);
        if (!str_eq(e->message, str_from_c(message)) || !str_eq(got, str_from_c(want)))
            test_fail(file, line, "%s\n%.*s\n%.*s\nnot %s\n%s", source, STR(e->message), STR(got),
                      message, want);
    }
    buf_close(&b);
    case_close(&t);
}
#define EXPECT_DETAILS(source, message, want)                                                      \
    expect_details(__FILE__, __LINE__, source, message, want)

TEST(refs_that_cannot_be) {
    EXPECT_DETAILS("package a\np if {\n\tarr = [1, 2, 3]\n\tarr[0].deadbeef = 1\n}",
                   "undefined ref: arr[0].deadbeef", "arr[0].deadbeef\n^^^^^^\nhave: number");
    EXPECT_DETAILS("package a\np if {\n\tfoo = [[1]]\n\tbar = \"bar\"\n\tfoo[0][bar]\n}",
                   "undefined ref: foo[0][bar]",
                   "foo[0][bar]\n       ^\n       have (type): string\n       want (type): number");
    EXPECT_DETAILS(
        "package a\nq := {\"x\": 1, \"w\": 2}\np := q.y", "undefined ref: data.a.q.y",
        "data.a.q.y\n         ^\n         have: \"y\"\n         want (one of): [\"w\" \"x\"]");
    EXPECT_DETAILS("package a\nf(x) := x\np := f",
                   "function data.a.f used as reference, not called",
                   "data.a.f\n^^^^^^^^\nhave: (any) => any");
    EXPECT_DETAILS("package a\np := [1, 2][i][j]", "undefined ref: [1, 2][i][j]",
                   "[1, 2][i][j]\n^^^^^^^^^\nhave: number");
}

TEST(terms_that_cannot_be_equal) {
    EXPECT_DETAILS("package a\np if \"a\" = 1", "match error", "left  : string\nright : number");
    EXPECT_DETAILS("package a\nq := {1, 2}\np if q = [1]", "match error",
                   "left  : set[number]\nright : array<number>");
    EXPECT_DETAILS("package a\np if { x = {\"a\": 1}; x = {\"b\": 1} }", "match error",
                   "left  : object<a: number>\nright : object<b: number>");
}

TEST(arguments_that_do_not_fit) {
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a\np := upper(1)\nq := [x | x := lower([])]");
    EXPECT_RC(case_run(&t), RC_INVALID);
    EXPECT_STR(case_errors(&t), S("2:6 rego_type_error upper: invalid argument(s)\n"
                                  "3:16 rego_type_error lower: invalid argument(s)"));
    REQUIRE(t.errors.items[0].detail_count == 2);
    EXPECT_STR(t.errors.items[0].details[0], S("have: (number, ??\?)"));
    case_close(&t);
}

TEST(names_of_results_stay_with_the_function) {
    EXPECT_DETAILS("package a\np if { x := upper(input.a); x = 3 }", "match error",
                   "left  : string\nright : number");
}

TEST(a_mistake_is_told_once) {
    EXPECT_DETAILS("package a\nq := 1 + \"a\"\np := q + 1\nr := q.x", "plus: invalid argument(s)",
                   "have: (number, string, ??\?)\nwant: (x: number, y: number, z: number)");
}

TEST(rules_of_one_name_give_either) {
    EXPECT_DETAILS("package a\nq := 1 if input.x\nq := \"s\" if input.y\np if q = null",
                   "match error", "left  : any<number, string>\nright : null");
    EXPECT_DETAILS("package a\nq[x] := 1 if x := input.k[_]\nq.y.z := \"s\"\np if q = null",
                   "match error",
                   "left  : object[any: any<number, object[string: string]>]\nright : null");
}

TEST(with_may_change_types) {
    EXPECT_BODY("package a\nq := 1\np if { q = \"a\" with data.a.q as \"a\" }", 1,
                "data.a.q = \"a\" with data.a.q as \"a\"");
    EXPECT_BODY("package a\nf(_) := true\nq := f(1)\np if { q = \"a\" with f as \"a\" }", 2,
                "data.a.q = \"a\" with data.a.f as \"a\"");
}

static value json(struct compile_case *t, const char *text) {
    value v;
    struct diag why;
    rc_t rc = json_text_read(&t->heap, NULL, str_from_c(text), &v, &why);
    if (rc) test_fail(__FILE__, __LINE__, "%s: %s", text, why.text);
    return v;
}

TEST(schema_of_the_input) {
    struct compile_case t;
    case_open(&t);
    t.options.schemas = json(&t, "{\"schema\": {\"type\": \"object\", \"properties\": {\"a\": "
                                 "{\"$ref\": \"#/definitions/s\"},"
                                 "\"l\": {\"type\": \"array\", \"items\": {\"type\": "
                                 "\"integer\"}}, \"self\": {\"$ref\": \"#\"}},"
                                 "\"definitions\": {\"s\": {\"type\": \"string\"}}}}");
    case_add(&t, "package a\np if input.a = 1\nq if input.b\nr if input.l[_] = \"x\"\ns if "
                 "input.self.self.a");
    EXPECT_RC(case_run(&t), RC_INVALID);
    EXPECT_STR(case_errors(&t),
               S("2:6 rego_type_error match error\n3:6 rego_type_error undefined ref: input.b\n"
                 "4:6 rego_type_error match error"));
    case_close(&t);
}

TEST(schemas_of_annotations) {
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a\n# METADATA\n# schemas:\n# - input: {type: object, properties: {x: "
                 "{type: number}}}\n"
                 "p if input.y\n\nq if input.y");
    EXPECT_RC(case_run(&t), RC_INVALID);
    EXPECT_STR(case_errors(&t), S("5:6 rego_type_error undefined ref: input.y"));
    case_close(&t);
}

TEST(schemas_that_are_wrong) {
    struct compile_case t;
    case_open(&t);
    t.options.schemas = json(&t, "{\"schema\": {\"type\": \"objekt\"}}");
    case_add(&t, "package a\np := 1");
    EXPECT_RC(case_run(&t), RC_INVALID);
    EXPECT_EQ(t.errors.count, 1);
    case_close(&t);
    case_open(&t);
    t.options.schemas = json(&t, "{\"schema\": {\"$ref\": \"#/nowhere\"}}");
    case_add(&t, "package a\np := 1");
    EXPECT_RC(case_run(&t), RC_INVALID);
    case_close(&t);
}

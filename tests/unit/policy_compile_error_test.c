/* SPDX-License-Identifier: Apache-2.0 */
/* policy_compile_error_test.c — what is refused, where, in which words: the reference's. */
#include "app/policy/compile/safety.c"
#include "tests/unit/policy_compile.h"

TEST(unsafe_variables) {
    EXPECT_ERRORS("package a\np if { a.b.c = 1 }", "2:8 rego_unsafe_var_error var a is unsafe");
    EXPECT_ERRORS("package a\np if { a = [1]; not a[i] = x }",
                  "2:17 rego_unsafe_var_error var i is unsafe\n"
                  "2:17 rego_unsafe_var_error var x is unsafe");
    EXPECT_ERRORS("package a\np if { count([1, x], x) }",
                  "2:8 rego_unsafe_var_error var x is unsafe");
    EXPECT_ERRORS("package a\np if { x = \"a\"; [{x: y, z: a}] = [{\"a\": 1, \"b\": 2}] }",
                  "2:17 rego_unsafe_var_error var a is unsafe\n"
                  "2:17 rego_unsafe_var_error var y is unsafe\n"
                  "2:17 rego_unsafe_var_error var z is unsafe");
    EXPECT_ERRORS("package a\np if { x = \"a\"; [{x, y}] = [{1, 2}] }",
                  "2:17 rego_unsafe_var_error var y is unsafe");
    EXPECT_ERRORS("package a\np if { x = data.t with input as x }",
                  "2:8 rego_unsafe_var_error var x is unsafe");
    EXPECT_ERRORS("package a\nf(x) := [y, z] if split(x, y, z)",
                  "2:19 rego_unsafe_var_error var y is unsafe\n"
                  "2:19 rego_unsafe_var_error var z is unsafe");
    EXPECT_ERRORS("package a\np if { false } else if { count(x, 1) }",
                  "2:26 rego_unsafe_var_error var x is unsafe");
}

TEST(unsafe_variables_of_closures) {
    EXPECT_ERRORS("package a\np if { _ = [x | x = data.a[_]; y > 1] }",
                  "2:32 rego_unsafe_var_error var y is unsafe");
    EXPECT_ERRORS("package a\np if { _ = [x | y = [a | a = z[i]]] }",
                  "2:8 rego_unsafe_var_error var x is unsafe\n"
                  "2:26 rego_unsafe_var_error var a is unsafe\n"
                  "2:26 rego_unsafe_var_error var i is unsafe\n"
                  "2:26 rego_unsafe_var_error var z is unsafe");
    EXPECT_ERRORS("package a\np if { x = [x | x = 1] }",
                  "2:8 rego_unsafe_var_error var x is unsafe");
    EXPECT_ERRORS("package a\np if { x = y; x = [y | y = 1] }",
                  "2:8 rego_unsafe_var_error var x is unsafe\n"
                  "2:8 rego_unsafe_var_error var y is unsafe");
    EXPECT_ERRORS("package a\np if { every y in [10] { x > y } }",
                  "2:26 rego_unsafe_var_error var x is unsafe");
    EXPECT_ERRORS("package a\np if { {1, {p|x}} }", "2:15 rego_unsafe_var_error var x is unsafe");
}

TEST(unsafe_variables_of_heads) {
    EXPECT_ERRORS("package a\n\np := x if {\n\ttrue\n}",
                  "3:6 rego_unsafe_var_error var x is unsafe");
    EXPECT_ERRORS("package a\np contains {\"foo\": dead[i]} if true",
                  "2:12 rego_unsafe_var_error var dead is unsafe\n"
                  "2:12 rego_unsafe_var_error var i is unsafe");
    EXPECT_ERRORS("package a\np if { f(x, x) } f(x) := x",
                  "2:8 rego_unsafe_var_error var x is unsafe in rule p");
}

TEST(assignments_bind_one_way) {
    EXPECT_ERRORS("package a\np if { x := y; z := x }",
                  "2:8 rego_unsafe_var_error var y is unsafe");
    EXPECT_BODY("package a\np if { 1 = x; y := x }", 0, "1 = x; __local0__ = x");
}

TEST(ten_errors_and_a_word) {
    char source[1024] = "package a\n";
    for (int i = 0; i < 12; i++) snprintf(source + strlen(source), 64, "p%d if { x }\n", i);
    struct compile_case t;
    case_open(&t);
    case_add(&t, source);
    EXPECT_RC(case_run(&t), RC_INVALID);
    REQUIRE(t.errors.count == 11);
    EXPECT_STR(t.errors.items[10].message, S("error limit reached"));
    case_close(&t);
    case_open(&t);
    t.options.all_errors = true;
    case_add(&t, source);
    EXPECT_RC(case_run(&t), RC_INVALID);
    EXPECT_EQ(t.errors.count, 12);
    case_close(&t);
}

TEST(the_earliest_stage_is_told) {
    EXPECT_ERRORS("package a\np if x > 1\nq if { y := 1; y := 2 }\nr := foo(1)",
                  "3:16 rego_compile_error var y assigned above");
}

TEST(declarations) {
    EXPECT_ERRORS("package a\np if { some x; true }",
                  "2:8 rego_compile_error declared var x unused");
    EXPECT_ERRORS("package a\np if {\n\tevery k, v in [1] { v >= 1 }\n}",
                  "3:22 rego_compile_error declared var k unused");
    EXPECT_ERRORS("package a\np if { y = x; x := 2 }",
                  "2:15 rego_compile_error var x referenced above");
    EXPECT_ERRORS("package a\np if { some x; x = 1; x := 2 }",
                  "2:23 rego_compile_error var x declared above");
    EXPECT_ERRORS("package a\nf(x) if { x := 1 }", "2:11 rego_compile_error arg x redeclared");
    EXPECT_ERRORS("package a\np if { not x := 1 }",
                  "2:8 rego_compile_error cannot assign vars inside negated expression");
    EXPECT_ERRORS("package a\np if { {x} := {1} }", "2:8 rego_compile_error cannot assign to set");
    EXPECT_ERRORS("package a\nf(g(1)) := 1\ng(x) := x",
                  "2:3 rego_compile_error rule arguments cannot contain calls");
    EXPECT_ERRORS("package a\nf(x) := x\np if { f := 1; y := [f(2)] }",
                  "3:22 rego_compile_error called function f shadowed");
    EXPECT_ERRORS("package a\np if { every x in [1] { true } }",
                  "2:25 rego_compile_error declared var x unused");
}

TEST(strict_mode) {
    EXPECT_ERRORS("package a\nimport data.foo\np := 1",
                  "2:1 rego_compile_error import data.foo unused", .strict = true);
    EXPECT_ERRORS(
        "package a\nf(x, y) := 1 if y",
        "2:1 rego_compile_error unused argument x. (hint: use _ (wildcard variable) instead)",
        .strict = true);
    EXPECT_ERRORS("package a\np if { x := 1 }", "2:8 rego_compile_error assigned var x unused",
                  .strict = true);
    EXPECT_BODY("package a\nf(_, y) := y", 0, "true", .strict = true);
}

TEST(an_argument_only_hidden_by_a_comprehension_is_unused) {
    EXPECT_ERRORS(
        "package a\nm := {1}\nf(k) := {k | k := 2; m[k]} if input.b",
        "3:1 rego_compile_error unused argument k. (hint: use _ (wildcard variable) instead)",
        .strict = true);
    EXPECT_BODY("package a\nf(k) := [v | v := [1, 2][k]] if input.b", 0,
                "input.b; __local3__ = [__local1__ | __local2__ = [1, 2]; __local1__ = "
                "__local2__[__local0__]]",
                .strict = true);
}

TEST(what_takes_no_arguments_is_no_function_even_replaced) {
    EXPECT_ERRORS("package a\none() := 1\ntwo() := 2\np if one() with one as two",
                  "4:6 rego_type_error undefined function data.a.one");
}

TEST(of_two_packages_the_upper_ones_rule_is_told) {
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a.b\nc.d if true");
    case_add(&t, "package a\n\nb.c.d(_) := 2");
    EXPECT_RC(case_run(&t), RC_INVALID);
    REQUIRE(t.errors.count == 1);
    EXPECT_STR(t.errors.items[0].message, S("conflicting rules data.a.b.c.d found"));
    EXPECT_EQ(t.errors.items[0].at.row, 3);
    case_close(&t);
}

TEST(shadowing) {
    EXPECT_ERRORS("package a\ninput := 1",
                  "2:1 rego_compile_error rules must not shadow input (use a different rule name)");
    EXPECT_ERRORS(
        "package a\np if { data := 1 }",
        "2:8 rego_compile_error variables must not shadow data (use a different variable name)");
    EXPECT_ERRORS(
        "package a\nf(input) := 1",
        "2:1 rego_compile_error args must not shadow input (use a different variable name)");
    EXPECT_ERRORS("package a\nimport data.x\nimport data.y.x\np := x",
                  "3:1 rego_compile_error import must not shadow import data.x");
}

TEST(conflicts) {
    EXPECT_ERRORS("package a\np := 1\np contains 2",
                  "2:1 rego_type_error conflicting rules data.a.p found");
    EXPECT_ERRORS("package a\nf(x) := 1\nf(x, y) := 2",
                  "2:1 rego_type_error conflicting rules data.a.f found");
    EXPECT_ERRORS(
        "package a\np.q.r := 1\np.q := 2",
        "3:1 rego_type_error rule data.a.p.q conflicts with:\n  rule data.a.p.q.r at a.rego:2");
    EXPECT_ERRORS(
        "package a\ndefault p := 1\ndefault p := 2",
        "1:1 rego_type_error multiple default rules data.a.p found at a.rego:2, a.rego:3");
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a\nb := 1");
    case_add(&t, "package a.b\nc := 1");
    EXPECT_RC(case_run(&t), RC_INVALID);
    EXPECT_STR(case_errors(&t),
               S("2:1 rego_type_error rule data.a.b conflicts with:\n"
                 "  rule data.a.b.c at b.rego:2\n"
                 "1:1 rego_type_error package a.b conflicts with rule b defined at a.rego:2"));
    case_close(&t);
}

TEST(conflicts_with_documents) {
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a\nb := 1");
    value keys[] = {value_string_c(&t.heap, "b")}, values[] = {value_integer(1)};
    value inner = value_object(&t.heap, keys, values, 1);
    keys[0] = value_string_c(&t.heap, "a");
    t.options.data = value_object(&t.heap, keys, &inner, 1);
    EXPECT_RC(case_run(&t), RC_INVALID);
    EXPECT_STR(case_errors(&t),
               S("2:1 rego_compile_error conflicting rule for data path a/b found"));
    case_close(&t);
}

TEST(recursion) {
    EXPECT_ERRORS(
        "package a\np := q\nq := p",
        "2:1 rego_recursion_error rule data.a.p is recursive: data.a.p -> data.a.q -> data.a.p\n"
        "3:1 rego_recursion_error rule data.a.q is recursive: data.a.q -> data.a.p -> data.a.q");
    EXPECT_ERRORS("package a\np if data[x][y]",
                  "2:1 rego_recursion_error rule data.a.p is recursive: data.a.p -> data.a.p");
    EXPECT_ERRORS("package a\np if { false } else if { p }",
                  "2:16 rego_recursion_error rule data.a.p is recursive: data.a.p -> data.a.p");
}

TEST(functions) {
    EXPECT_ERRORS("package a\np := foo(1)", "2:6 rego_type_error undefined function foo");
    EXPECT_ERRORS("package a\nf(x) := x\np := f(1, 2, 3)",
                  "3:6 rego_type_error function data.a.f has arity 1, got 3 arguments");
    EXPECT_ERRORS("package a\nf(x, y, z) := x\np := f(1)",
                  "3:6 rego_type_error function data.a.f has arity 3, got 1 argument");
    EXPECT_ERRORS("package a\np := count()", "2:6 rego_type_error count: arity mismatch");
    EXPECT_ERRORS("package a\np := print(1)", "2:6 rego_type_error print(1) used as value");
    EXPECT_ERRORS("package a\np := any([true])",
                  "2:6 rego_type_error deprecated built-in function calls in expression: any");
    static const char *const unsafe[] = {"http.send", NULL};
    EXPECT_ERRORS("package a\np := http.send({})",
                  "2:6 rego_type_error unsafe built-in function calls in expression: http.send",
                  .unsafe_builtins = unsafe);
}

TEST(with) {
    EXPECT_ERRORS("package a\np if { true with foo as 1 }",
                  "2:18 rego_type_error with keyword target must reference existing input, data, "
                  "or a function");
    EXPECT_ERRORS(
        "package a\nq := {\"a\": 1}\np if { true with data.a.q.a as 1 }",
        "3:18 rego_compile_error with keyword cannot partially replace virtual document(s)");
    EXPECT_ERRORS("package a\np if { true with walk as 1 }",
                  "2:18 rego_compile_error with keyword replacing built-in function: target must "
                  "not be a relation");
    EXPECT_ERRORS("package a\np if { true with print as 1 }",
                  "2:18 rego_compile_error with keyword replacing built-in function: target must "
                  "not be a void function");
    EXPECT_ERRORS("package a\np if { true with eq as 1 }",
                  "2:18 rego_compile_error with keyword replacing built-in function: replacement "
                  "of \"eq\" invalid");
    EXPECT_ERRORS("package a\nf(x, y) := x\np if { count([]) with count as f }",
                  "3:18 rego_type_error count: arity mismatch");
}

TEST(prints_are_not_reordered) {
    EXPECT_ERRORS("package a\np if { print(x); x := 1 }",
                  "2:18 rego_compile_error var x referenced above", .keep_print = true);
    EXPECT_ERRORS("package a\np if { print(x); x = 1 }",
                  "2:14 rego_compile_error var x is undeclared", .keep_print = true);
}

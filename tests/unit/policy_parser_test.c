/* SPDX-License-Identifier: Apache-2.0 */
/* The parser: what texts mean, what is wrong with others and in which words, and that hostile ones
 * end soon. All modules of the reference's published cases parse when they are at hand:
 * CONFORMANCE_DIR, or ../shared/conformance. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/lang/parser.c"
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"
#include "tests/test.h"

static struct heap heap_of_test;
static struct heap *fresh(void) {
    static bool open;
    if (!open) heap_open(&heap_of_test, 256 << 20);
    open = true;
    heap_rewind(&heap_of_test);
    return &heap_of_test;
}
enum { V0 = 1, LOGICAL = 2, NOTES = 4, FUTURE = 8 };
static struct parse_options options_of(int how) {
    return (struct parse_options){.version = how & V0 ? REGO_V0 : REGO_V1,
                                  .logical_keywords = how & LOGICAL,
                                  .annotations = how & NOTES,
                                  .all_future_keywords = how & FUTURE};
}

/* ---- What texts mean ---- */

static void expect_body(const char *text, int how, const char *want, int line) {
    struct policy_errors errors;
    struct parse_options o = options_of(how);
    struct ast_body *b;
    struct buf out;
    policy_errors_open(&errors, fresh(), 0);
    buf_open(&out, 1 << 20);
    if (parse_body(&heap_of_test, str_from_c(text), &o, &b, &errors))
        policy_errors_write(&out, &errors);
    else ast_body_write(&out, b);
    if (!str_eq(buf_str(&out), str_from_c(want)))
        test_fail(__FILE__, line, "%s means\n%.*s\nnot\n%s", text, STR(buf_str(&out)), want);
    buf_close(&out);
}
#define EXPECT_BODY(text, want) expect_body(text, 0, want, __LINE__)

static void expect_module(const char *text, int how, const char *want, int line) {
    struct policy_errors errors;
    struct parse_options o = options_of(how);
    struct ast_module *m;
    struct buf out;
    policy_errors_open(&errors, fresh(), 0);
    buf_open(&out, 1 << 20);
    if (parse_module(&heap_of_test, S("t.rego"), str_from_c(text), &o, &m, &errors))
        policy_errors_write(&out, &errors);
    else ast_module_write(&out, m);
    if (!str_eq(buf_str(&out), str_from_c(want)))
        test_fail(__FILE__, line, "%s\ngives\n%.*s\nnot\n%s", text, STR(buf_str(&out)), want);
    buf_close(&out);
}
#define EXPECT_RULES(how, text, want)                                                              \
    expect_module("package t\n" text, how, "package t\n\n" want, __LINE__)
#define EXPECT_FAULTS(how, text, want) expect_module("package t\n" text, how, want, __LINE__)

TEST(operators_group_to_the_left_by_rank) {
    EXPECT_BODY("1 + 2 * 6 / 3", "plus(1, div(mul(2, 6), 3))");
    EXPECT_BODY("x * y / z % w", "rem(div(mul(x, y), z), w)");
    EXPECT_BODY("z - x + y", "plus(minus(z, x), y)");
    EXPECT_BODY("z & x & y", "and(and(z, x), y)");
    EXPECT_BODY("x + 1 | 2 & 3", "or(plus(x, 1), and(2, 3))");
    EXPECT_BODY("x == y != z", "neq(equal(x, y), z)");
    EXPECT_BODY("(((1 + 2) * (6 / (3))) > 4) != false",
                "neq(gt(mul(plus(1, 2), div(6, 3)), 4), false)");
    EXPECT_BODY("1 + x = 2 - y", "plus(1, x) = minus(2, y)");
    EXPECT_BODY("x := y >= 1", "assign(x, gte(y, 1))");
    EXPECT_BODY("x <= y; x < y", "lte(x, y); lt(x, y)");
    EXPECT_BODY("-x + -1", "plus(minus(0, x), -1)");
    EXPECT_BODY("-input.a.b", "minus(0, input.a.b)");
}
TEST(membership_takes_one_or_two_on_its_left) {
    EXPECT_BODY("x in xs", "internal.member_2(x, xs)");
    EXPECT_BODY("k, v in xs", "internal.member_3(k, v, xs)");
    EXPECT_BODY("x in xs in ys", "internal.member_2(internal.member_2(x, xs), ys)");
    EXPECT_BODY("x + 1 in xs | ys", "internal.member_2(plus(x, 1), or(xs, ys))");
    EXPECT_BODY("f(1, 2 in xs)", "f(1, internal.member_2(2, xs))");
    EXPECT_BODY("f((1, 2 in xs))", "f(internal.member_3(1, 2, xs))");
    EXPECT_BODY("{(k, v in xs): 1}", "{internal.member_3(k, v, xs): 1}");
}
TEST(references_take_calls_and_brackets) {
    EXPECT_BODY("x[1][y + z[w + 1]].b", "x[1][plus(y, z[plus(w, 1)])].b");
    EXPECT_BODY("foo.bar(1)[0](1).baz", "foo.bar(1)[0](1).baz");
    EXPECT_BODY("f(x)\n [1]", "f(x); [1]");
    EXPECT_BODY("data.p.q\n {1}", "data.p.q; {1}");
    EXPECT_BODY("input\n {1}", "input; {1}");
    EXPECT_BODY("data; input", "data; input");
    EXPECT_BODY("{\"a\": 1}[\"a\"]; [1, 2][0]; {1}[x]; [x | x = 1][0]",
                "{\"a\": 1}.a; [1, 2][0]; {1}[x]; [x | x = 1][0]");
    EXPECT_BODY("x[\"a b\"][\"not\"].if", "x[\"a b\"][\"not\"][\"if\"]");
    EXPECT_BODY("not.x == 1; if.every; default[\"a\"]",
                "equal(not.x, 1); if[\"every\"]; default.a");
    EXPECT_BODY("set()", "set()");
    EXPECT_BODY("x[set()]", "x[set()]");
    EXPECT_BODY("f(x,)", "f(x)");
    EXPECT_BODY("x[`a\\n`]", "x[\"a\\\\n\"]");
    EXPECT_BODY("_ = [_, _]", "_ = [_, _]");
}
TEST(collections_are_sorted_and_without_repeats) {
    EXPECT_BODY("{3, 1, 2, 1.0}", "{1, 2, 3}");
    EXPECT_BODY("{\"b\": 1, \"a\": 2, \"b\": 3}", "{\"a\": 2, \"b\": 3}");
    EXPECT_BODY("{y, x, \"s\", 1, null, true, [1], {}, set(), f(x), a.b}",
                "{null, true, 1, \"s\", x, y, a.b, [1], {}, set(), f(x)}");
    EXPECT_BODY("[, 1, 2,]", "[1, 2]");
    EXPECT_BODY("{, 1}", "{1}");
    EXPECT_BODY("{}; []", "{}; []");
    EXPECT_BODY("{\"a\": 1,}", "{\"a\": 1}");
    EXPECT_BODY("{{1}: {2}, [x]: y}", "{[x]: y, {1}: {2}}");
}
TEST(bars_are_comprehensions_or_operators) {
    EXPECT_BODY("[x | x = 1]", "[x | x = 1]");
    EXPECT_BODY("{x | x = 1; y}", "{x | x = 1; y}");
    EXPECT_BODY("{k: v | v = k}", "{k: v | v = k}");
    EXPECT_BODY("[x|y,z]", "[or(x, y), z]");
    EXPECT_BODY("[z,x|y]", "[z, or(x, y)]");
    EXPECT_BODY("[x|y,]", "[or(x, y)]");
    EXPECT_BODY("{x|y,z}", "{z, or(x, y)}");
    EXPECT_BODY("{z,x|y,a}", "{a, z, or(x, y)}");
    EXPECT_BODY("{x:y|z,a:b}", "{a: b, x: or(y, z)}");
    EXPECT_BODY("{x:y|z,}", "{x: or(y, z)}");
    EXPECT_BODY("{a+1: b | b = 2}", "{plus(a, 1): b | b = 2}");
    EXPECT_BODY("[x |\n x = 1 # one\n y\n]", "[x | x = 1; y]");
    EXPECT_BODY("[{a | a = [b | b]} | c]", "[{a | a = [b | b]} | c]");
}
TEST(expressions_have_words) {
    EXPECT_BODY("some x, y", "some x, y");
    EXPECT_BODY("some x in xs", "some x in xs");
    EXPECT_BODY("some k, v in xs with input as 1", "some k, v in xs with input as 1");
    EXPECT_BODY("every x in xs { x > 1; y }", "every x in xs { gt(x, 1); y }");
    EXPECT_BODY("every k, v in xs { k }", "every k, v in xs { k }");
    EXPECT_BODY("not x = y", "not x = y");
    EXPECT_BODY("x with p[q] as f([x+1]) with input.a as {}",
                "x with p[q] as f([plus(x, 1)]) with input.a as {}");
    EXPECT_BODY("x = 1 ; # comment\ny = 2 # another\nz", "x = 1; y = 2; z");
    EXPECT_BODY("", "");
    EXPECT_BODY("contains(x, y)", "contains(x, y)");
}
TEST(not_may_hold_a_body) {
    EXPECT_RULES(0, "import future.keywords.not\np if not { x; y }",
                 "import future.keywords[\"not\"]\n\np = true if { not {x; y} }");
    EXPECT_RULES(0, "import future.keywords.not\np if not x with input as 1",
                 "import future.keywords[\"not\"]\n\np = true if { not x with input as 1 }");
    EXPECT_RULES(LOGICAL, "import future.keywords\np if not (a or b)",
                 "import future.keywords\n\np = true if { not (a or b) }");
    EXPECT_RULES(0, "p if not { x }", "p = true if { not {x} }");
}
TEST(conditions_combine) {
#define L "import future.keywords\n"
#define WANT(rule) "import future.keywords\n\n" rule
    EXPECT_RULES(LOGICAL, L "p if a and b or c", WANT("p = true if { a and b or c }"));
    EXPECT_RULES(LOGICAL, L "p if a or b and c or d", WANT("p = true if { a or b and c or d }"));
    EXPECT_RULES(LOGICAL, L "p if a and (b or c)", WANT("p = true if { a and (b or c) }"));
    EXPECT_RULES(LOGICAL, L "p if (a or b) and c with input as 1",
                 WANT("p = true if { (a or b) and c with input as 1 }"));
    EXPECT_RULES(LOGICAL, L "p if {a; b} and {c}", WANT("p = true if { { a; b } and { c } }"));
    EXPECT_RULES(LOGICAL, L "p if { {a} or b }", WANT("p = true if { { a } or b }"));
    EXPECT_RULES(LOGICAL, L "p if ((a or b))", WANT("p = true if { a or b }"));
    EXPECT_RULES(LOGICAL, L "p if not a and not { b }", WANT("p = true if { not a and not {b} }"));
    EXPECT_RULES(LOGICAL, L "p if (a with input as 1) and b",
                 WANT("p = true if { (a with input as 1) and b }"));
    EXPECT_RULES(LOGICAL, L "p if (a == b)", WANT("p = true if { equal(a, b) }"));
    EXPECT_RULES(LOGICAL, L "p if ({1}) and b", WANT("p = true if { ({1}) and b }"));
    EXPECT_RULES(LOGICAL, L "p := and({1}, {2}) | or({1}, {2})",
                 WANT("p := or(and({1}, {2}), or({1}, {2})) if { true }"));
    EXPECT_RULES(LOGICAL, L "p if (not a) or b", WANT("p = true if { not a or b }"));
    EXPECT_RULES(LOGICAL, L "p if {x | x}", WANT("p = true if { {x | x} }"));
    EXPECT_RULES(0, "p := and or := 1", "p := and if { true }\nor := 1 if { true }");
#undef WANT
}
TEST(heads_follow_the_reference) {
    EXPECT_RULES(0, "p := 1\nq if true\nr.s.t := 2\nu contains 3",
                 "p := 1 if { true }\nq = true if { true }\n"
                 "r.s.t := 2 if { true }\nu contains 3 if { true }");
    EXPECT_RULES(0, "p[x] if x\np[x] := y if x\np.q contains x if x\np[x].q := 1",
                 "p[x] = true if { x }\np[x] := y if { x }\np.q contains x if { x }\np[x].q := 1 "
                 "if { true }");
    EXPECT_RULES(0, "f(x, _) := x if x\nf(1)\ng() := 1",
                 "f(x, _) := x if { x }\nf(1) = true if { true }\ng := 1 if { true }");
    EXPECT_RULES(0, "default p := {1}\ndefault f(_) := 2", "default p := {1}\ndefault f(_) := 2");
    EXPECT_RULES(0, "p := 1 if a\nelse := 2 if { b }\nelse := 3",
                 "p := 1 if { a } else = 2 if { b } else = 3 if { true }");
    EXPECT_RULES(V0,
                 "p[x] { x }\np { q } { r }\np = x { x } else = y { y }\nf(x) { x "
                 "}\np[1]\nq.r.s\np[x] = 1 { x }",
                 "p[x] { x }\np = true { q }\np = true { r }\np = x { x } else = y { y }\nf(x) = "
                 "true { x }\n"
                 "p[1] { true }\nq.r.s = true { true }\np[x] = 1 { x }");
    EXPECT_RULES(V0, "contains { if }\nevery = in { in = 1 }",
                 "contains = true { if }\nevery = in { in = 1 }");
    EXPECT_RULES(V0, "import rego.v1\np contains 1 if { 1 in [1] }",
                 "import rego.v1\n\np contains 1 if { internal.member_2(1, [1]) }");
    EXPECT_RULES(V0, "import future.keywords.if\np if { x }",
                 "import future.keywords[\"if\"]\n\np = true { x }");
    EXPECT_RULES(
        0,
        "if.x := 1\nimport.y if true\npackage.z contains 1\ndefault.a := 2\ndefault default.b := 3",
        "if.x := 1 if { true }\nimport.y = true if { true }\npackage.z contains 1 if { true }\n"
        "default.a := 2 if { true }\ndefault default.b := 3");
    EXPECT_RULES(0, "p if { {1} }\nq if {\"a\": 1}\nr if {x | x}",
                 "p = true if { {1} }\nq = true if { {\"a\": 1} }\nr = true if { {x | x} }");
    EXPECT_RULES(0, "p if { x } { y }", "p = true if { x }\np = true if { y }");
    EXPECT_RULES(0, "f(_, x) if { x } { not x }",
                 "f(_, x) = true if { x }\nf(_, x) = true if { not x }");
    EXPECT_RULES(0, "else.p if true\nq if true\nelse.r if true",
                 "else.p = true if { true }\nq = true if { true }\nelse.r = true if { true }");
}
TEST(packages_and_imports) {
    expect_module("package a.b[\"c d\"].if\nimport data.x.y as z\nimport input\nimport data.not.a",
                  0,
                  "package a.b[\"c d\"][\"if\"]\n\nimport data.x.y as z\nimport input\nimport "
                  "data[\"not\"].a\n",
                  __LINE__);
    expect_module("\xef\xbb\xbfpackage a", 0, "package a\n", __LINE__);
    expect_module("# c\npackage a # d\n", 0, "package a\n", __LINE__);
}
TEST(template_strings_have_parts) {
    EXPECT_BODY("$\"a{x}b\"", "$\"a{x}b\"");
    EXPECT_BODY("$\"\"; $``", "$\"\"; $\"\"");
    EXPECT_BODY("$\"{1} {true} {null} {\"s\"}\"", "$\"1 true null s\"");
    EXPECT_BODY("$\"{# c\n1}\"", "$\"{1}\"");
    EXPECT_BODY("$\"\\{{x}\\n\\u00e9\"", "$\"\\{{x}\\n\xc3\xa9\"");
    EXPECT_BODY("$`a\\{\n{x + 1}\\n`", "$\"a\\{\\n{plus(x, 1)}\\\\n\"");
    EXPECT_BODY("$\"{f(x) with input as 1}{$\"{y}\"}\"", "$\"{f(x) with input as 1}{$\"{y}\"}\"");
    EXPECT_BODY("$\"{ {x | x} }{[1][0]}\"", "$\"{{x | x}}{[1][0]}\"");
}
TEST(strings_and_numbers_keep_what_they_are) {
    EXPECT_BODY("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\ud800x\"",
                "\"a\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbdx\"");
    EXPECT_BODY("\"raw\ttab\"", "\"raw\\ttab\"");
    EXPECT_BODY("1.50; 1e5; -0; .5; -.5; 1E-3; 0.1; 123456789012345678901234567890",
                "1.50; 1e5; -0; 0.5; -0.5; 1E-3; 0.1; 123456789012345678901234567890");
}

/* ---- What is wrong with others ---- */

#define ONE(place, message) "1 error occurred: t.rego:" place ": rego_parse_error: " message
TEST(errors_name_the_token_and_show_the_line) {
    EXPECT_FAULTS(0, "p if { x := }",
                  ONE("2", "unexpected } token\n\tp if { x := }\n\t            ^"));
    EXPECT_FAULTS(
        0, "p if { x y }",
        ONE("2",
            "unexpected identifier token: expected \\n or ; or }\n\tp if { x y }\n\t         ^"));
    EXPECT_FAULTS(0, "\t\tp if {", ONE("2", "unexpected eof token\n\tp if {\n\t     ^"));
    EXPECT_RULES(0, "p if {}", "p = true if { {} }");
    EXPECT_FAULTS(0, "p := {1, 2]",
                  "2 errors occurred:\nt.rego:2: rego_parse_error: unexpected ] token: expected "
                  "\",\" or \"}\"\n"
                  "\tp := {1, 2]\n\t          ^\nt.rego:2: rego_parse_error: unexpected ] token: "
                  "expected rule value term "
                  "(e.g., p := <VALUE> { ... })\n\tp := {1, 2]\n\t          ^");
    EXPECT_FAULTS(0, "p if x[1",
                  ONE("2", "unexpected eof token: expected [\n\tp if x[1\n\t       ^"));
    EXPECT_FAULTS(0, "p if (x", ONE("2", "non-terminated expression\n\tp if (x\n\t      ^"));
    EXPECT_FAULTS(
        0, "p if x. y",
        ONE("2", "unexpected whitespace token: expected identifier\n\tp if x. y\n\t      ^"));
    EXPECT_FAULTS(
        0, "p := 1.x",
        "4 errors occurred:\nt.rego:2: rego_parse_error: expected fraction\n\tp := 1.x\n\t     ^\n"
        "t.rego:2: rego_parse_error: illegal number format\n\tp := 1.x\n\t     ^\n"
        "t.rego:2: rego_parse_error: illegal token\n\tp := 1.x\n\t     ^\n"
        "t.rego:2: rego_parse_error: illegal token\n\tp := 1.x\n\t     ^");
    EXPECT_FAULTS(0, "p if \"a\".x",
                  ONE("2", "illegal ref (head cannot be string)\n\tp if \"a\".x\n\t     ^"));
    EXPECT_FAULTS(0, "p if every x { y }",
                  ONE("2", "unexpected { token: expected `x[, y] in xs { ... }` expression\n"
                           "\tp if every x { y }\n\t             ^"));
    EXPECT_FAULTS(0, "p if every 1 in xs { y }",
                  ONE("2", "unexpected { token: expected value to be a variable\n"
                           "\tp if every 1 in xs { y }\n\t                   ^"));
    EXPECT_FAULTS(0, "p if every 1, x in xs { y }",
                  ONE("2", "unexpected { token: expected key to be a variable\n"
                           "\tp if every 1, x in xs { y }\n\t                      ^"));
    EXPECT_FAULTS(
        0, "p if every x in xs",
        ONE("2", "unexpected eof token: missing body\n\tp if every x in xs\n\t                 ^"));
    EXPECT_FAULTS(0, "p if some internal.member_2()",
                  ONE("2", "unexpected eof token: illegal domain\n"
                           "\tp if some internal.member_2()\n\t                            ^"));
    EXPECT_FAULTS(0, "p if some f(x)",
                  ONE("2", "unexpected eof token: expected `x in xs` or `x, y in xs` expression\n"
                           "\tp if some f(x)\n\t             ^"));
    EXPECT_FAULTS(0, "p if some 1",
                  ONE("2", "unexpected number token: expected var\n\tp if some 1\n\t          ^"));
    EXPECT_FAULTS(0, "p if not some x in y",
                  ONE("2", "unexpected some keyword: illegal negation of 'some'\n"
                           "\tp if not some x in y\n\t         ^"));
    EXPECT_FAULTS(0, "p if not every x in y { z }",
                  ONE("2", "unexpected every keyword: illegal negation of 'every'\n"
                           "\tp if not every x in y { z }\n\t         ^"));
    EXPECT_FAULTS(
        0, "p if x with 1 as y",
        ONE("2", "unexpected number token: expected ident\n\tp if x with 1 as y\n\t            ^"));
    EXPECT_FAULTS(
        0, "p if x with y",
        ONE("2", "unexpected eof token: expected as keyword\n\tp if x with y\n\t            ^"));
    EXPECT_FAULTS(0, "p if x with f(1) as y",
                  ONE("2", "unexpected as keyword: expected with target path\n"
                           "\tp if x with f(1) as y\n\t                 ^"));
    EXPECT_FAULTS(0, "p if {\"a\": 1, \"b\" 2}",
                  ONE("2", "unexpected : token: expected \\n or ; or }\n"
                           "\tp if {\"a\": 1, \"b\" 2}\n\t         ^"));
}
TEST(errors_of_heads) {
    EXPECT_FAULTS(
        0, "p :=",
        "2 errors occurred:\nt.rego:2: rego_parse_error: unexpected eof token\n\tp :=\n\t   ^\n"
        "t.rego:2: rego_parse_error: unexpected eof token: expected rule value term (e.g., p := "
        "<VALUE> { ... })\n"
        "\tp :=\n\t   ^");
    EXPECT_FAULTS(0, "f(x) contains y if true",
                  ONE("2", "unexpected contains keyword: the contains keyword can only be used "
                           "with multi-value rule definitions (e.g., f contains <VALUE> { ... "
                           "})\n\tf(x) contains y if true\n\t     ^"));
    EXPECT_FAULTS(0, "p[x] if { x } else := 1",
                  ONE("2", "else keyword cannot be used on rules with variables in head\n"
                           "\tp[x] if { x } else := 1\n\t              ^"));
    EXPECT_FAULTS(0, "p contains 1 if { x } else := 1",
                  ONE("2", "else keyword cannot be used on multi-value rules\n"
                           "\tp contains 1 if { x } else := 1\n\t                      ^"));
    EXPECT_FAULTS(0, "p if { x } else y",
                  ONE("2", "unexpected identifier token: expected else value term or rule body\n"
                           "\tp if { x } else y\n\t                ^"));
    EXPECT_FAULTS(0, "p if { x } else := 1 if",
                  ONE("2", "unexpected eof token: rule body expected\n"
                           "\tp if { x } else := 1 if\n\t                      ^"));
    EXPECT_FAULTS(
        V0, "p { x } else = 1 { y } { z }",
        ONE("2",
            "expected else keyword\n\tp { x } else = 1 { y } { z }\n\t                       ^"));
    EXPECT_FAULTS(
        0, "default p := x",
        ONE("2", "illegal default rule (value cannot contain var)\n\tdefault p := x\n\t^"));
    EXPECT_FAULTS(0, "default p := [data.x, f(1)]",
                  "2 errors occurred:\n"
                  "t.rego:2: rego_parse_error: illegal default rule (value cannot contain "
                  "ref)\n\tdefault p := [data.x, f(1)]\n\t^\n"
                  "t.rego:2: rego_parse_error: illegal default rule (value cannot contain "
                  "call)\n\tdefault p := [data.x, f(1)]\n\t^");
    EXPECT_FAULTS(
        0, "default f(x, x) := 1",
        ONE("2",
            "illegal default rule (arguments cannot be repeated x)\n\tdefault f(x, x) := 1\n\t^"));
    EXPECT_FAULTS(
        0, "default f(1) := 1",
        ONE("2",
            "illegal default rule (arguments cannot contain number)\n\tdefault f(1) := 1\n\t^"));
    EXPECT_FAULTS(0, "default p[x]",
                  ONE("2", "illegal default rule (must have a value)\n\tdefault p[x]\n\t^"));
    EXPECT_FAULTS(V0, "import rego.v1\np if {\n\tx\n} if {\n\ty\n}",
                  ONE("5", "unexpected if keyword\n\t} if {\n\t  ^"));
}
TEST(bare_expressions_that_are_no_rules) {
    EXPECT_FAULTS(0, "x", ONE("2", "var cannot be used for rule name"));
    EXPECT_FAULTS(0, "data", ONE("2", "refs cannot be used for rule head"));
    EXPECT_FAULTS(
        0, "1\n\"a\"\n[1]\nnot x\nx with input as 1\nsome x\nevery x in y { z }",
        "7 errors occurred:\nt.rego:2: rego_parse_error: number cannot be used for rule name\n"
        "t.rego:3: rego_parse_error: string cannot be used for rule name\n"
        "t.rego:4: rego_parse_error: array cannot be used for rule name\n"
        "t.rego:5: rego_parse_error: negated expressions cannot be used for rule head\n"
        "t.rego:6: rego_parse_error: expressions using with keyword cannot be used for rule head\n"
        "t.rego:7: rego_parse_error: 'some' declarations cannot be used for rule head\n"
        "t.rego:8: rego_parse_error: expression cannot be used for rule head");
    EXPECT_FAULTS(0, "count(1)\nf()\n1 := 2\nx; y", "4 errors occurred:\n"
                  "t.rego:2: rego_parse_error: rule name conflicts with built-in function\n"
                  "t.rego:3: rego_parse_error: rule argument list must take at least one argument\n"
                  "t.rego:4: rego_parse_error: number cannot be used for rule name\n"
                  "t.rego:5: rego_parse_error: multiple expressions cannot be used for rule head");
    EXPECT_FAULTS(0, "[1][0] := 1\n[1].a.b",
                  "2 errors occurred:\nt.rego:2: rego_parse_error: invalid rule head: [1][0]\n"
                  "t.rego:3: rego_parse_error: invalid rule head: [1].a.b");
}
TEST(v1_asks_for_its_keywords) {
    EXPECT_FAULTS(
        0, "p { x }\nf(x) { x }\nq[x] { x }\nr if { x } else { y }",
        "5 errors occurred:\n"
        "t.rego:2: rego_parse_error: `if` keyword is required before rule body\n"
        "t.rego:3: rego_parse_error: `if` keyword is required before function body\n"
        "t.rego:4: rego_parse_error: `if` keyword is required before rule body\n"
        "t.rego:4: rego_parse_error: `contains` keyword is required for partial set rules\n"
        "t.rego:5: rego_parse_error: `if` keyword is required before rule body");
    EXPECT_FAULTS(V0, "import rego.v1\nin := 1",
                  ONE("3", "in keyword cannot be used for rule name"));
    EXPECT_FAULTS(
        0, "p.q\np.q.r",
        "2 errors occurred:\n"
        "t.rego:2: rego_parse_error: `contains` keyword is required for partial set rules\n"
        "t.rego:3: rego_parse_error: rule must have value assignment and/or body declaration");
}
TEST(errors_of_packages_and_imports) {
    expect_module("", 0, "1 error occurred: t.rego:0: rego_parse_error: empty module", __LINE__);
    expect_module("p := 1", 0, "1 error occurred: t.rego:1: rego_parse_error: package expected",
                  __LINE__);
    expect_module("import data.x\np := 1", 0,
                  "1 error occurred: t.rego:1: rego_parse_error: package expected", __LINE__);
    expect_module("package", 0, ONE("1", "unexpected eof token\n\tpackage\n\t      ^"), __LINE__);
    expect_module("package a[x]", 0,
                  ONE("1", "unexpected var token: expecting string\n\tpackage a[x]\n\t          ^"),
                  __LINE__);
    expect_module("package 1", 0, ONE("1", "unexpected number token\n\tpackage 1\n\t        ^"),
                  __LINE__);
    expect_module("package e().s", 0,
                  ONE("1", "unexpected call token: expecting var\n\tpackage e().s\n\t        ^"),
                  __LINE__);
    EXPECT_FAULTS(0, "package u",
                  "1 error occurred: t.rego:2: rego_parse_error: unexpected package");
    EXPECT_FAULTS(
        0, "import foo.bar",
        ONE("2",
            "unexpected import path, must begin with one of: {data, future, input, rego}, got: foo "
            "(hint: if this is unexpected, try updating OPA)\n\timport foo.bar\n\t       ^"));
    EXPECT_FAULTS(0, "import input.foo[0]",
                  ONE("2", "unexpected number token: expecting string\n\timport input.foo[0]\n\t   "
                           "              ^"));
    EXPECT_FAULTS(
        0, "import input as 1",
        ONE("2",
            "unexpected number token: expected var\n\timport input as 1\n\t                ^"));
    EXPECT_FAULTS(
        0, "import data.if",
        ONE("2", "unexpected import path, must not end with a keyword, got: if (hint: import a "
                 "different path or use an alias)\n\timport data.if\n\t            ^"));
    EXPECT_FAULTS(
        0, "import future",
        ONE("2", "invalid import, must be `future.keywords`\n\timport future\n\t       ^"));
    EXPECT_FAULTS(0, "import future.keywords.xyz",
                  ONE("2", "unexpected keyword, must be one of [contains every if in not]\n"
                           "\timport future.keywords.xyz\n\t       ^"));
    EXPECT_RULES(0, "import future.keywords.and\np if 1 and 2",
                 "import future.keywords.and\n\np = true if { 1 and 2 }");
    EXPECT_FAULTS(LOGICAL, "import future.keywords.x",
                  ONE("2", "unexpected keyword, must be one of [and contains every if in not or]\n"
                           "\timport future.keywords.x\n\t       ^"));
    EXPECT_FAULTS(V0, "import future.keywords.in as xyz",
                  ONE("2", "`future` imports cannot be aliased\n"
                           "\timport future.keywords.in as xyz\n\t       ^"));
    EXPECT_FAULTS(
        V0, "import rego.foo",
        ONE("2", "invalid import `rego.foo`, must be `rego.v1`\n\timport rego.foo\n\t       ^"));
    EXPECT_FAULTS(V0, "import rego.v1 as x",
                  ONE("2", "`rego` imports cannot be aliased\n\timport rego.v1 as x\n\t       ^"));
}
TEST(errors_of_the_lexer) {
    EXPECT_FAULTS(0, "p if ! x",
                  "2 errors occurred:\nt.rego:2: rego_parse_error: illegal ! character\n\tp if ! "
                  "x\n\t     ^\n"
                  "t.rego:2: rego_parse_error: illegal token\n\tp if ! x\n\t     ^");
    EXPECT_FAULTS(
        0, "p if $x",
        "2 errors occurred:\nt.rego:2: rego_parse_error: illegal $ character\n\tp if $x\n\t     ^\n"
        "t.rego:2: rego_parse_error: illegal token\n\tp if $x\n\t     ^");
    EXPECT_FAULTS(
        0, "p if 01",
        ONE("2",
            "unexpected number token: expected number without leading zero\n\tp if 01\n\t     ^"));
    EXPECT_FAULTS(0, "p if 1e99999", ONE("2", "number too big\n\tp if 1e99999\n\t     ^"));
    EXPECT_FAULTS(0, "p if 1e2147483640",
                  ONE("2", "number too big\n\tp if 1e2147483640\n\t     ^"));
    EXPECT_FAULTS(0, "p if 1e2147483648",
                  ONE("2", "unexpected number token: invalid float\n\tp if 1e2147483648\n\t     ^"));
    EXPECT_FAULTS(0, "p if \"\\ud8\\n\"",
                  ONE("2", "illegal string literal: \"\\ud8\\n\"\n\tp if \"\\ud8\\n\"\n\t     ^"));
    EXPECT_FAULTS(0, "p if - x.",
                  ONE("2", "unexpected eof token: expected identifier\n\tp if - x.\n\t        ^"));
    EXPECT_FAULTS(0, "p if -\"x\"",
                  ONE("2", "unexpected string token: expected number\n\tp if -\"x\"\n\t      ^"));
    EXPECT_FAULTS(0, "p if -.x",
                  ONE("2", "unexpected identifier token: expected number\n\tp if -.x\n\t       ^"));
}
TEST(errors_of_templates) {
    EXPECT_FAULTS(0, "p if $\"{x := 1}\"",
                  ONE("2", "unexpected assignment (':=') in template-string expression\n"
                           "\tp if $\"{x := 1}\"\n\t        ^"));
    EXPECT_FAULTS(0, "p if $\"{x = 1}\"",
                  ONE("2", "unexpected unification ('=') in template-string expression\n"
                           "\tp if $\"{x = 1}\"\n\t        ^"));
    EXPECT_FAULTS(0, "p if $\"{not x}\"",
                  ONE("2", "unexpected negation ('not') in template-string expression\n"
                           "\tp if $\"{not x}\"\n\t        ^"));
    EXPECT_FAULTS(0, "p if $\"{some x}\"",
                  ONE("2", "unexpected 'some' in template-string expression\n"
                           "\tp if $\"{some x}\"\n\t        ^"));
    EXPECT_FAULTS(0, "p if $\"{every x in y { z }}\"",
                  ONE("2", "unexpected 'every' in template-string expression\n"
                           "\tp if $\"{every x in y { z }}\"\n\t        ^"));
    EXPECT_FAULTS(
        0, "p if $\"{x y}\"",
        ONE("2", "expected } to end template string expression\n\tp if $\"{x y}\"\n\t          ^"));
    EXPECT_FAULTS(0, "p if $\"{}\"",
                  "2 errors occurred:\nt.rego:2: rego_parse_error: unexpected } token\n\tp if "
                  "$\"{}\"\n\t        ^\n"
                  "t.rego:2: rego_parse_error: invalid template-string expression\n\tp if "
                  "$\"{}\"\n\t        ^");
}
TEST(errors_of_conditions_say_what_to_write) {
    EXPECT_FAULTS(LOGICAL, L "p if a with input as 1 and b",
                  ONE("3", "`with` modifier is not allowed on operand of `and` (hint: Wrap the "
                           "operand in `(...)` or `{...}` to scope, or move `with` after the `and` "
                           "expression to apply it to the whole expression)\n"
                           "\tp if a with input as 1 and b\n\t       ^"));
    EXPECT_FAULTS(LOGICAL, L "p if a and {1, 2}",
                  ONE("3", "operand of `and` cannot begin with `{` unless the braces hold a body "
                           "(hint: wrap the operand to keep the value: `({1, 2}) and ...`)\n\tp if "
                           "a and {1, 2}\n\t           ^"));
    EXPECT_FAULTS(
        LOGICAL, L "p if not {1, 2}",
        ONE("3", "`{...}` in an operand position must contain expression(s), got: set (hint: write "
                 "`not ({1, 2})` to negate the value, or `not {{1, 2}}` for a body holding "
                 "it)\n\tp if not {1, 2}\n\t         ^"));
    EXPECT_FAULTS(
        LOGICAL, L "p if a and {x | y}",
        ONE("3",
            "ambiguous `{ ... | ... }` operand: read as a body holding a set-union expression, "
            "not as a comprehension (hint: write `({x | y})` for the comprehension, or `{(x | y)}` "
            "for the set union)\n"
            "\tp if a and {x | y}\n\t           ^"));
    EXPECT_FAULTS(
        LOGICAL, L "p if a and print(1)",
        ONE("3", "operand of `and` cannot consist only of calls to `print` (hint: `print` produces "
                 "no value and always succeeds, so the operand can never fail; move it out of the "
                 "operand, or add an expression that can "
                 "fail)\n\tp if a and print(1)\n\t           ^"));
    EXPECT_FAULTS(LOGICAL, L "p if a and ()",
                  ONE("3", "empty parenthesized group\n\tp if a and ()\n\t           ^"));
    EXPECT_FAULTS(
        LOGICAL, L "p if (a or b",
        ONE("3", "expected ) to close parenthesized group\n\tp if (a or b\n\t           ^"));
    EXPECT_FAULTS(LOGICAL, L "p if a and ({x := 1})",
                  ONE("3",
                      "`(...)` in an operand position cannot contain a body (hint: drop the parens "
                      "to keep the body: `{x := 1}`)\n\tp if a and ({x := 1})\n\t           ^"));
}
TEST(v0_hints_at_imports) {
    EXPECT_FAULTS(V0, "p {\n\tevery x, y in {\"foo\": \"bar\"} { is_string(x); is_string(y) }\n}",
                  ONE("3", "unexpected identifier token: expected \\n or ; or } (hint: `import "
                           "future.keywords.every` for "
                           "`every x in xs { ... }` expressions)\n\tevery x, y in {\"foo\": "
                           "\"bar\"} { is_string(x); is_string(y) }\n\t      ^"));
    EXPECT_FAULTS(
        V0, "p {\n\tevery x\n}",
        ONE("3", "unexpected identifier token: expected \\n or ; or }\n\tevery x\n\t      ^"));
    EXPECT_FAULTS(V0, "p {\n\tsome x in xs\n}",
                  ONE("3", "unexpected identifier token: expected \\n or ; or } (hint: "
                           "`import future.keywords.in` for `some x in xs` expressions)\n\tsome x "
                           "in xs\n\t       ^"));
}

/* ---- Annotations ---- */

TEST(annotations_hang_on_what_is_below) {
    EXPECT_RULES(NOTES,
                 "# METADATA\n# title: One\n# authors:\n# - Jane Doe <jane@x.y>\n# - {name: "
                 "Joe}\n# organizations: [a, 1]\n"
                 "# related_resources:\n# - http://a.b/c\n# - {ref: d, description: e}\n# custom: "
                 "{k: [1, x]}\np := 1\np := 2",
                 "# METADATA\n# {\"authors\":[{\"email\":\"jane@x.y\",\"name\":\"Jane "
                 "Doe\"},{\"name\":\"Joe\"}],\"custom\":{\"k\":[1,\"x\"]},"
                 "\"organizations\":[\"a\",\"1\"],\"related_resources\":[{\"ref\":\"http://a.b/"
                 "c\"},{\"description\":\"e\",\"ref\":\"d\"}],"
                 "\"scope\":\"rule\",\"title\":\"One\"}\np := 1 if { true }\np := 2 if { true }");
    EXPECT_RULES(
        NOTES, "# METADATA\n# scope: document\n# description: D\np := 1\np := 2",
        "# METADATA\n# {\"description\":\"D\",\"scope\":\"document\"}\np := 1 if { true }\n"
        "# METADATA\n# {\"description\":\"D\",\"scope\":\"document\"}\np := 2 if { true }");
    EXPECT_RULES(NOTES, "# METADATA\n# entrypoint: true\np := 1",
                 "# METADATA\n# {\"entrypoint\":true,\"scope\":\"document\"}\np := 1 if { true }");
    EXPECT_RULES(NOTES,
                 "# METADATA\n# schemas:\n# - input: schema.a\n# - data.b: {type: string}\np := 1",
                 "# METADATA\n# "
                 "{\"schemas\":[{\"path\":[\"input\"],\"schema\":[\"schema\",\"a\"]},{"
                 "\"definition\":{\"type\":\"string\"},"
                 "\"path\":[\"data\",\"b\"]}],\"scope\":\"rule\"}\np := 1 if { true }");
    expect_module("# METADATA\n# title: P\npackage a\n# METADATA\n# title: Q\np := 1", NOTES,
                  "# METADATA\n# {\"scope\":\"package\",\"title\":\"P\"}\npackage a\n\n# "
                  "METADATA\n# {\"scope\":\"rule\",\"title\":\"Q\"}\n"
                  "p := 1 if { true }",
                  __LINE__);
}
TEST(errors_of_annotations) {
    EXPECT_FAULTS(NOTES, "# METADATA\np := 1",
                  ONE("2", "expected METADATA block, found whitespace\n\t# METADATA\n\t^"));
    EXPECT_FAULTS(NOTES, "# METADATA\n# scope: package\np := 1",
                  "1 error occurred: t.rego:2: rego_parse_error: annotation scope 'package' must "
                  "be applied to package (have rule)");
    EXPECT_FAULTS(NOTES, "# METADATA\n# scope: x\np := 1",
                  "1 error occurred: t.rego:2: rego_parse_error: invalid annotation scope 'x'. "
                  "Use one of 'rule', 'document', 'package', or 'subpackages'");
    EXPECT_FAULTS(NOTES, "# METADATA\n# scope: rule\n# entrypoint: true\np := 1",
                  "1 error occurred: t.rego:2: rego_parse_error: "
                  "annotation entrypoint applied to non-document or package scope 'rule'");
    EXPECT_FAULTS(NOTES, "# METADATA\n# title: x\n",
                  "1 error occurred: t.rego:2: rego_parse_error: invalid annotation scope ''. "
                  "Use one of 'rule', 'document', 'package', or 'subpackages'");
    EXPECT_FAULTS(NOTES, "# METADATA\n# title: [1]\np := 1",
                  ONE("3", "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into string"
                           "\n\t# title: [1]\n\t^"));
    EXPECT_FAULTS(NOTES, "# METADATA\n# authors:\n# - 1\np := 1",
                  ONE("2", "invalid author definition %!s(int=1): invalid value type, must "
                           "be string or map\n\t# METADATA\n\t^"));
    EXPECT_FAULTS(NOTES, "# METADATA\n# authors: ['']\np := 1",
                  ONE("2", "invalid author definition : author is an empty string"
                           "\n\t# METADATA\n\t^"));
    EXPECT_FAULTS(NOTES, "# METADATA\n# authors: [{x: 1}]\np := 1",
                  ONE("2", "invalid author definition map[x:%!s(int=1)]: 'name' and/or 'email' "
                           "values required in object\n\t# METADATA\n\t^"));
    EXPECT_FAULTS(NOTES, "# METADATA\n# related_resources: [{x: z}]\np := 1",
                  ONE("2", "invalid related-resource definition map[x:z]: 'ref' value "
                           "required in object\n\t# METADATA\n\t^"));
    EXPECT_FAULTS(NOTES, "# METADATA\n# schemas: [{x: schema}]\np := 1",
                  ONE("2", "invalid document reference\n\t# METADATA\n\t^"));
    EXPECT_FAULTS(NOTES, "# METADATA\n# schemas: [{input: foo}]\np := 1",
                  ONE("2", "invalid schema reference\n\t# METADATA\n\t^"));
    EXPECT_FAULTS(NOTES, "# METADATA\n# schemas: [{input: 1}]\np := 1",
                  ONE("2", "invalid schema declaration for path \"input\"\n\t# METADATA\n\t^"));
}

/* ---- Places ---- */

TEST(places_count_characters) {
    struct policy_errors errors;
    struct parse_options o = options_of(0);
    struct ast_module *m;
    policy_errors_open(&errors, fresh(), 0);
    REQUIRE(parse_module(&heap_of_test, S("x"),
                         S("package a\n\np := \"\xc3\xa9\xc3\xa9\" if { y == (z) }"), &o, &m,
                         &errors) == RC_OK);
    const struct ast_rule *r = m->rules[0];
    const struct ast_expr *e = r->body->exprs[0];
    EXPECT_EQ(r->at.row, 3);
    EXPECT_EQ(r->at.column, 1);
    EXPECT_EQ(e->at.column, 16);
    EXPECT_EQ(e->at.len, 8);
    EXPECT_EQ(e->terms[2]->at.column, 22);
    EXPECT_EQ(e->terms[2]->at.len, 3);
    EXPECT_EQ(e->terms[2]->at.head, e->terms[2]->at.offset + 1);
    EXPECT_EQ(m->package_at.len, 7);
}

/* ---- Terms alone, limits ---- */

TEST(terms_alone) {
    struct policy_errors errors;
    struct parse_options o = options_of(0);
    struct ast_term *t;
    policy_errors_open(&errors, fresh(), 0);
    EXPECT_OK(parse_term(&heap_of_test, S("data.a[\"b\"]"), &o, &t, &errors));
    EXPECT_EQ(t->kind, AST_REF);
    EXPECT_EQ(t->count, 3);
    EXPECT_RC(parse_term(&heap_of_test, S("a; b"), &o, &t, &errors), RC_INVALID);
    EXPECT_RC(parse_term(&heap_of_test, S("a = b"), &o, &t, &errors), RC_INVALID);
    EXPECT_RC(parse_term(&heap_of_test, S("("), &o, &t, &errors), RC_INVALID);
    struct ast_body *b;
    EXPECT_RC(parse_body(&heap_of_test, S("package x"), &o, &b, &errors), RC_INVALID);
    EXPECT_RC(parse_body(&heap_of_test, S("import data.x"), &o, &b, &errors), RC_INVALID);
}

/* `start` many times, then nothing: an error, soon, and no stack lost. */
static void expect_too_deep(const char *start, int line) {
    static char text[300000];
    struct policy_errors errors;
    struct parse_options o = options_of(LOGICAL | FUTURE);
    struct ast_module *m;
    size_t n = strlen(start), at = 0;
    at += (size_t)sprintf(text, "package t\nimport future.keywords\np := ");
    while (at + n < sizeof(text)) memcpy(text + at, start, n), at += n;
    policy_errors_open(&errors, fresh(), 0);
    if (parse_module(&heap_of_test, S("x"), str_of(text, at), &o, &m, &errors) != RC_INVALID)
        test_fail(__FILE__, line, "%s...: no error", start);
}
TEST(nesting_is_bounded) {
    static const char *const starts[] = {"(",
                                         "[",
                                         "{",
                                         "f(",
                                         "-",
                                         "not ",
                                         "{\"a\":",
                                         "x[",
                                         "[x|",
                                         "{x|",
                                         "$\"{",
                                         "a+",
                                         "{a:b|",
                                         "({",
                                         "not {",
                                         "a and (",
                                         "every x in [1] {",
                                         "[[x|",
                                         "a.b(c)[",
                                         "else := 1 ",
                                         "{x|{y:z|"};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) expect_too_deep(starts[i], __LINE__);
}
TEST(attempts_within_attempts_stay_linear) {
    char text[4096] = "package t\np if {\n";
    for (int i = 0; i < 40; i++) strcat(text, "[1|");
    strcat(text, "x");
    for (int i = 0; i < 40; i++) strcat(text, ",1]");
    strcat(text, "\n}\nq if ");
    for (int i = 0; i < 30; i++) strcat(text, "{a:1|");
    strcat(text, "x");
    for (int i = 0; i < 30; i++) strcat(text, ",b:1}");
    struct policy_errors errors;
    struct parse_options o = options_of(0);
    struct ast_module *m;
    policy_errors_open(&errors, fresh(), 0);
    (void)parse_module(&heap_of_test, S("x"), str_from_c(text), &o, &m, &errors);
    EXPECT(heap_of_test.used < 4 << 20);
}

static const char everything[] =
    "# METADATA\n# title: t\n# schemas: [{input: schema.x}]\n# authors: [a b]\npackage a.b\nimport "
    "data.x as y\nimport future.keywords\n"
    "p := {\"a\": [1, {x | x in y}], \"b\": $\"a{x}b{f(1)}\"} if { some k, v in y; not { k }; "
    "every z in v { z } with input as 1 }\n"
    "else := 2 if (a or b) and {c}\nq[x].r contains y if { x.y[_](z)[1] == -y; [a|b, c] }\nf(_, "
    "[x]) if x { y }\n"
    "default g(_) := {1, 2, 2}\n";
TEST(any_lack_of_memory_is_told) {
    struct parse_options o = options_of(LOGICAL | NOTES);
    rc_t rc = RC_NO_MEMORY;
    for (size_t bytes = 256; rc == RC_NO_MEMORY && bytes < 1 << 20; bytes += 256) {
        struct heap h;
        struct policy_errors errors;
        struct ast_module *m;
        heap_open(&h, bytes);
        policy_errors_open(&errors, &h, 0);
        rc = parse_module(&h, S("t.rego"), str_from_c(everything), &o, &m, &errors);
        EXPECT(rc == RC_NO_MEMORY || rc == RC_OK);
        if (rc == RC_OK)
            EXPECT(value_is(ast_module_json(&h, m, true), VALUE_OBJECT) || h.exhausted);
        heap_close(&h);
    }
    EXPECT_OK(rc);
}

/* ---- The reference's cases ---- */

static u32 modules_parsed;
static void parse_cases(const char *path, bool v0) {
    static char text[8 << 20];
    struct heap h;
    struct diag why = {0};
    value doc;
    FILE *f = fopen(path, "r");
    if (!f) return;
    size_t n = fread(text, 1, sizeof(text), f);
    fclose(f);
    heap_open(&h, 256 << 20);
    if (yaml_text_read(&h, str_of(text, n), &doc, &why))
        test_fail(__FILE__, __LINE__, "%s: %s", path, why.text);
    value cases = value_get_str(doc, S("cases"));
    for (u32 i = 0; cases.kind == VALUE_ARRAY && i < value_count(cases); i++) {
        value one = value_item(cases, i), modules = value_get_str(one, S("modules"));
        struct parse_options o = {
            .version = v0 ? REGO_V0 : REGO_V1,
            .annotations = true,
            .logical_keywords = value_is_true(value_get_str(one, S("experimental_keywords")))};
        for (u32 k = 0; modules.kind == VALUE_ARRAY && k < value_count(modules);
             k++, modules_parsed++) {
            struct policy_errors errors;
            struct ast_module *m;
            struct buf out;
            policy_errors_open(&errors, &h, 0);
            buf_open(&out, 1 << 20);
            if (parse_module(&h, S("m.rego"), value_str(value_item(modules, k)), &o, &m, &errors)) {
                policy_errors_write(&out, &errors);
                test_fail(__FILE__, __LINE__, "%s: %.*s", path, STR(buf_str(&out)));
            }
            buf_close(&out);
        }
        struct policy_errors errors;
        struct ast_body *b;
        policy_errors_open(&errors, &h, 0);
        value query = value_get_str(one, S("query"));
        if (query.kind == VALUE_STRING && parse_body(&h, value_str(query), &o, &b, &errors))
            test_fail(__FILE__, __LINE__, "%s: query %.*s", path, STR(value_str(query)));
    }
    heap_close(&h);
}
static void walk_cases(const char *dir, bool v0) {
    DIR *d = opendir(dir);
    char path[1024];
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        if (e->d_name[0] == '.' ||
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path))
            continue;
        if (stat(path, &st)) continue;
        if (S_ISDIR(st.st_mode)) walk_cases(path, v0);
        else if (str_ends(str_from_c(path), S(".yaml"))) parse_cases(path, v0);
    }
    if (d) closedir(d);
}
/* The body of `p if { TEXT }` is what TEXT is alone: that it was first taken for a set is not seen. */
static void expect_same_in_braces(const char *text, int line) {
    struct policy_errors errors;
    struct parse_options o = options_of(0);
    struct ast_module *m = NULL;
    struct ast_body *b = NULL;
    struct buf alone, within;
    char module[256];
    snprintf(module, sizeof module, "package t\np if {%s\n}\n", text);
    policy_errors_open(&errors, fresh(), 0);
    buf_open(&alone, KIB(4)), buf_open(&within, KIB(4));
    if (parse_body(&heap_of_test, str_from_c(text), &o, &b, &errors) ||
        parse_module(&heap_of_test, S("t.rego"), str_from_c(module), &o, &m, &errors))
        test_fail(__FILE__, line, "does not parse: %s", text);
    ast_body_write(&alone, b);
    ast_body_write(&within, m->rules[0]->body);
    if (!str_eq(buf_str(&alone), buf_str(&within)))
        test_fail(__FILE__, line, "%s means\n%.*s\nbut in braces\n%.*s", text,
                  STR(buf_str(&alone)), STR(buf_str(&within)));
    CHECK_EQ(m->comment_count, strchr(text, '#') ? 1u : 0u);
    u32 behind = text[0] == '\n';
    CHECK_EQ(m->rules[0]->body->exprs[0]->at.row, 2 + behind);
    CHECK_EQ(m->rules[0]->body->exprs[0]->terms[0]->at.row, 2 + behind);
    buf_close(&alone), buf_close(&within);
}
TEST(what_begins_like_a_set_may_be_a_body) {
    static const char *const firsts[] = {
        "x == 1",           "_ == _",   "k, v in xs", "a == b, c in xs",  "x in xs",
        "x in xs in ys",    "x + y",    "x := f(_)",  "(a == b)",         "-x == 1",
        "input.a[_].b == _", "{1} == x", "f(x)",       "[y | y = 1] == x", "x = {1: _}",
    };
    static const char *const rests[] = {"",      "\ny == 2",    "; _ == 2", " # c\nz",
                                        " with input as 1", "\nk, v in ys", " ; x, y in zs"};
    char text[128];
    for (size_t i = 0; i < ARRAY_LEN(firsts); i++)
        for (size_t k = 0; k < ARRAY_LEN(rests); k++) {
            snprintf(text, sizeof text, "%s%s", firsts[i], rests[k]);
            expect_same_in_braces(text, __LINE__);
            snprintf(text, sizeof text, "\n\t%s%s", firsts[i], rests[k]);
            expect_same_in_braces(text, __LINE__);
        }
    EXPECT_RULES(0, "p if {x | x = 1}", "p = true if { {x | x = 1} }");
    EXPECT_RULES(0, "p if {1, 2} == q", "p = true if { equal({1, 2}, q) }");
}
TEST(every_published_module_parses) {
    const char *base = getenv("CONFORMANCE_DIR");
    char dir[512];
    modules_parsed = 0;
    for (int v = 0; v < 2; v++) {
        snprintf(dir, sizeof(dir), "%s/rego/v%d", base ? base : "../shared/conformance", v);
        walk_cases(dir, v == 0);
    }
    if (!modules_parsed)
        printf("skipped: every_published_module_parses: there is no %s; set CONFORMANCE_DIR\n",
               dir);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The formatter: each layout rule once, what v1 forbids in v0 texts, trees that programs made; and
 * that every module of the reference's published cases means the same after it:
 * CONFORMANCE_DIR, or ../shared/conformance. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/lang/format.c"
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
enum { READ_V0 = 1, WRITE_V0 = 2, WRITE_BOTH = 4, DROP = 8, LOGICAL = 16 };
/* The text in the common layout, or the errors that keep it from it. */
static rc_t lay_out(int how, str text, struct buf *out) {
    struct parse_options p = {.version = how & READ_V0 ? REGO_V0 : REGO_V1,
                              .logical_keywords = how & LOGICAL};
    struct format_options o = {.version = how & WRITE_V0     ? REGO_V0
                                          : how & WRITE_BOTH ? REGO_V0_COMPAT_V1
                                                             : REGO_V1,
                               .drop_v0_imports = how & DROP};
    struct policy_errors errors;
    policy_errors_open(&errors, fresh(), 0);
    rc_t rc = format_source(&heap_of_test, S("t.rego"), text, &p, &o, out, &errors);
    if (rc == RC_INVALID) buf_clear(out), policy_errors_write(out, &errors);
    return rc;
}
static void expect_layout(int how, const char *text, const char *want, int line) {
    struct buf out;
    buf_open(&out, 1 << 20);
    (void)lay_out(how, str_from_c(text), &out);
    if (!str_eq(buf_str(&out), str_from_c(want)))
        test_fail(__FILE__, line, "%s\n--- is laid out as\n%.*s\n--- not\n%s", text,
                  STR(buf_str(&out)), want);
    buf_close(&out);
}

/* ---- Layout ---- */

TEST(imports_are_sorted_in_groups) {
    expect_layout(0,
        "package   a.b[\"c-d\"].e\nimport input.z as zz\nimport data.b\n"
        "import data.a   # of a\n# above c\nimport data.c\n\nimport rego.v1\n"
        "import future.keywords.in\np:=1\nimport data.late\nq:=2\n",
        "package a.b[\"c-d\"].e\n\nimport data.a # of a\nimport data.b\n"
        "import input.z as zz\n\n# above c\nimport data.c\n\nimport rego.v1\n\np := 1\n\n"
        "import data.late\n\nq := 2\n", __LINE__);
}
TEST(heads_of_rules) {
    expect_layout(0,
        "package a\ndefault p:=false\ndefault f(_):=1\n"
        "p.q.r[\"s t\"][x]:={\"a\":1}if{x:=1}\np contains   x   if x:=1\np contains \"b\"\n"
        "f(x,[y,z])=y if{x;z}\ng:=true\nh if{1==1}\nh if{\n1==1}\nk.l contains 1 if true\n"
        "m[\"in\"].every := 1\nn if { not x } else := 2 if y else = 3\n",
        "package a\n\ndefault p := false\n\ndefault f(_) := 1\n\n"
        "p.q.r[\"s t\"][x] := {\"a\": 1} if x := 1\np contains x if x := 1\n"
        "p contains \"b\"\n\nf(x, [y, z]) := y if {\n\tx\n\tz\n}\n\ng := true\nh if 1 == 1\n"
        "h if {\n\t1 == 1\n}\n\nk.l contains 1\nm[\"in\"].every := 1\n\nn if not x\n\n"
        "else := 2 if y\n\nelse := 3\n", __LINE__);
}
TEST(bodies_on_one_line_stay_there) {
    expect_layout(0,
        "package a\np if x == 1\np if { x == 1; y == 2 }\np if { x == 1\ny == 2 }\np if {\n"
        "\nx == 1\n\n\ny == 2\n\n}\np if { {1} }\np if {{\"a\": 1}}\np if not {1}\n"
        "q := 1 if x\nq contains y if some y in z\n",
        "package a\n\np if x == 1\n\np if {\n\tx == 1\n\ty == 2\n}\n\np if {\n\tx == 1\n"
        "\ty == 2\n}\n\np if {\n\tx == 1\n\n\ty == 2\n}\n\np if {\n\t{1}\n}\n\n"
        "p if {\"a\": 1}\np if not {1}\nq := 1 if x\nq contains y if some y in z\n", __LINE__);
}
TEST(else_chains) {
    expect_layout(
        0,
        "package a\np := 1 if { x } else := 2 if { y } else := 3\nq if { x\n} else if { y\n"
        "}\nelse := [1] if {\n  z\n}\nf(x) := 1 if { x > 1 } else := 2 if x < 1 else := 0\n"
        "r if x else := false\ns if x\n# between\nelse := 2 if {\ny # behind\n}\n",
        "package a\n\np := 1 if x\n\nelse := 2 if y\n\nelse := 3\n\nq if x\n else if y\n\n"
        "else := [1] if {\n\tz\n}\n\nf(x) := 1 if x > 1\n\nelse := 2 if x < 1\n\nelse := 0\n"
        "\nr if x\n\nelse := false\n\ns if x\n\n# between\nelse := 2 if {\n\ty # behind\n}\n",
        __LINE__);
}
TEST(operators_and_calls) {
    expect_layout(0,
        "package a\np if {\nx:=1+2*3-(4-5)\ny = (1 + 2)*3\nz := {1}|{2}&{3}\n{x|y}|z == 1\n"
        "a.b.c(1,2)\nf(1)[2] == 1\nf( 1 , [2 ,3] , {\"a\":b} )\n-x==1\nx := -y\nx == -1\n"
        "1 in [1]\n1,2 in {3:4}\nx := 1 in [1]\nx := (1, 2 in [1])\nf((1, 2 in [1]))\n"
        "[1 in [1], (1, 2 in [3])]\nnot x in y\n(x == y) == z\nplus(1,2,z)\nplus(1,2)==z\n"
        "eq(x, y)\nx != y; x >= y; x<=y; x<y; x>y; x/y==1; x%y==1\n\"a\" == `b`\n"
        "x.y[\"z\"][\"a-b\"][c][1][\"if\"].if\n_ = x[_]\n}\n",
        "package a\n\np if {\n\tx := (1 + (2 * 3)) - (4 - 5)\n\ty = (1 + 2) * 3\n"
        "\tz := {1} | ({2} & {3})\n\t{x | y} | z == 1\n\ta.b.c(1, 2)\n\tf(1)[2] == 1\n"
        "\tf(1, [2, 3], {\"a\": b}) - x == 1\n\tx := 0 - y\n\tx == -1\n\t1 in [1]\n"
        "\t1, 2 in {3: 4}\n\tx := 1 in [1]\n\tx := (1, 2 in [1])\n\tf((1, 2 in [1]))\n"
        "\t[1 in [1], (1, 2 in [3])]\n\tnot x in y\n\tx == y == z\n\tz = 1 + 2\n"
        "\t1 + 2 == z\n\tx = y\n\tx != y\n\tx >= y\n\tx <= y\n\tx < y\n\tx > y\n"
        "\tx / y == 1\n\tx % y == 1\n\t\"a\" == `b`\n\tx.y.z[\"a-b\"][c][1][\"if\"].if\n"
        "\t_ = x[_]\n}\n", __LINE__);
}
TEST(statements) {
    expect_layout(0,
        "package a\np if {\nsome x\nsome y,z\nsome a in b\nsome c,d in e\n"
        "every x in xs{x>1}\nevery k,v in xs{x>1;y\nz}\nx with input as 1\n"
        "y with input.a.b as 1 with data.c as [1,\n2]\ny with input as {\"a\":1}\n"
        "  with input as 2\nnot x with input as 1\n}\n",
        "package a\n\np if {\n\tsome x\n\tsome y, z\n\tsome a in b\n\tsome c, d in e\n"
        "\tevery x in xs { x > 1 }\n\tevery k, v in xs {\n\t\tx > 1\n\t\ty\n\t\tz\n\t}\n"
        "\tx with input as 1\n\ty with input.a.b as 1 with data.c as [\n\t\t1,\n\t\t2,\n"
        "\t]\n\ty with input as {\"a\": 1}\n\t\twith input as 2\n\tnot x with input as 1\n"
        "}\n", __LINE__);
}
TEST(collections) {
    expect_layout(0,
        "package a\na:=[]\nb:={}\nc:=set()\nd:=[1,2,\n3]\ne:=[\n1,2,3]\nf:=[1,\n2]\n"
        "g:={\"b\":1,\"a\":2}\nh:={\n\"b\":1,\"a\":2,\n\n\"c\":{\n1,2,3}}\ni:={1,2,{3\n}}\n"
        "j:=[x|x:=1]\nk:={x|x:=1;y}\nl:={x:y|\nx:=1\ny:=2\n}\nm:=[{\"a\":[1,2]},\n"
        "{\"b\":3}]\nn:={\"a\":\n\"b\"}\no := f(1,\n2)\np := f(\n1,\n2\n)\nq := [1, # one\n"
        "2, # two\n# above three\n3 # three\n# end\n]\nr := {\"a\": 1, # one\n# b\n"
        "\"b\": 2,}\ns := {{x|x}|y | z}\nt := [x|\n# in comp\nx := 1 # behind\n]\n",
        "package a\n\na := []\nb := {}\nc := set()\nd := [\n\t1, 2,\n\t3,\n]\n\ne := [\n"
        "\t1, 2, 3,\n]\n\nf := [\n\t1,\n\t2,\n]\n\ng := {\"b\": 1, \"a\": 2}\nh := {\n"
        "\t\"b\": 1, \"a\": 2,\n\t\"c\": {\n\t\t1, 2, 3,\n\t},\n}\n\ni := {1, 2, {3}}\n\n"
        "j := [x | x := 1]\nk := {x | x := 1; y}\nl := {x: y |\n\tx := 1\n\ty := 2\n}\n\n"
        "m := [\n\t{\"a\": [1, 2]},\n\t{\"b\": 3},\n]\n\nn := {\"a\": \"b\"}\n\no := f(\n"
        "\t1,\n\t2,\n)\n\np := f(\n\t1,\n\t2,\n)\n\nq := [\n\t1, # one\n\t2, # two\n"
        "\t# above three\n\t3, # three\n\t# end\n]\n\nr := {\n\t\"a\": 1, # one\n\t# b\n"
        "\t\"b\": 2,\n}\n\ns := {{x | x} | y | z}\nt := [x |\n\t# in comp\n"
        "\tx := 1 # behind\n]\n", __LINE__);
}
TEST(comments) {
    expect_layout(0,
        "# first\n\n# second\npackage a # of a\n# imports\nimport data.x # of x\n\n# lone\n"
        "\n# of p\np := 1 # behind p\n\n# of q\nq if { # behind head\n# first in body\n"
        "x # behind x\n\n# lone in body\n\ny\n# last in body\n} # behind q\n#no space\n#\n"
        "#\ttab\n# METADATA\n# title: x\nr := 1\n\n# METADATA\n# title: y\n\n"
        "s if true # the end\nt contains x if { # y\nx := 1 }\n\n# very last\n",
        "# first\n\n# second\npackage a # of a\n\n# imports\nimport data.x # of x\n\n"
        "# lone\n\n# of p\np := 1 # behind p\n\n# of q\nq if { # behind head\n"
        "\t# first in body\n\tx # behind x\n\n\t# lone in body\n\n\ty\n\t# last in body\n"
        "} # behind q\n\n#no space\n#\n#\ttab\n# METADATA\n# title: x\nr := 1\n\n"
        "# METADATA\n# title: y\n\ns := true # the end\nt contains x if { # y\n\tx := 1\n}\n"
        "\n# very last\n", __LINE__);
}
TEST(strings) {
    expect_layout(0,
        "package a\na := \"a\\u00e9\\n\\t\\\"b\"\nb := `raw\n  text`\n"
        "c := $\"a{x}b{ y + 1 }c\"\nd := $`a{x}\n b \\{`\ne := $\"{f(\"x\")}\\{ {[1,2]}\"\n"
        "f := \"\xc3\xa9\"\ng := 1e10\nh := 0.50\ni := -1.5E-3\n",
        "package a\n\na := \"a\\u00e9\\n\\t\\\"b\"\nb := `raw\n  text`\n\n"
        "c := $\"a{x}b{y + 1}c\"\nd := $`a{x}\n b \\{`\n\ne := $\"{f(\"x\")}\\{ {[1, 2]}\"\n"
        "f := \"\xc3\xa9\"\ng := 1e10\nh := 0.50\ni := -1.5E-3\n", __LINE__);
}
TEST(v0_stays_v0) {
    expect_layout(READ_V0 | WRITE_V0,
        "package a\nimport future.keywords.if\nimport data.x\np { true }\np[x] { x=1 }\n"
        "p = x { x=1 } { x=2 }\nq[x]=y{ x=1;y=2 }\nf(x)=y{x=y}else=2{false}\nr = {x|x=1}\n"
        "default s=1\nt { input.a[_]==1;any([true]) }\n",
        "package a\n\nimport data.x\nimport future.keywords.if\n\np = true\n\np[x] {\n"
        "\tx = 1\n}\n\np = x if x = 1\n\np = x if x = 2\n\nq[x] = y if {\n\tx = 1\n\ty = 2\n"
        "}\n\nf(x) = y if x = y\n\nelse = 2 if false\n\nr = {x | x = 1}\n\ndefault s = 1\n\n"
        "t if {\n\tinput.a[_] == 1\n\tany([true])\n}\n", __LINE__);
}
TEST(v0_becomes_v1) {
    expect_layout(READ_V0,
        "package a\nimport future.keywords.if\nimport future.keywords.in\nimport data.x\n"
        "p { true }\np[x] { x=1 }\np = x { x=1 } { x=2 }\nq[x]=y{ x=1;y=2 }\n"
        "f(x)=y{x=y}else=2{false}\nr = {x|x=1}\ndefault s=1\nt[1]\nu.v[x] { x = 1 }\n"
        "w { v := {1}; v[_] }\n",
        "package a\n\nimport data.x\nimport future.keywords.if\nimport future.keywords.in\n"
        "\np := true\np contains x if x = 1\np := x if x = 1\n\np := x if x = 2\n\n"
        "q[x] := y if {\n\tx = 1\n\ty = 2\n}\n\nf(x) := y if x = y\n\nelse := 2 if false\n\n"
        "r := {x | x = 1}\n\ndefault s := 1\n\nt contains 1\nu.v[x] if x = 1\n\nw if {\n"
        "\tv := {1}\n\tv[_]\n}\n", __LINE__);
}
TEST(v0_becomes_both) {
    expect_layout(READ_V0 | WRITE_BOTH,
        "package a\nimport future.keywords.if\nimport data.x\np { true }\np[x] { x=1 }\n"
        "q.r[x] = 1 { x = 1 }\n",
        "package a\n\nimport data.x\nimport rego.v1\n\np := true\np contains x if x = 1\n"
        "q.r[x] := 1 if x = 1\n", __LINE__);
}
TEST(v0_becomes_both_dropping) {
    expect_layout(READ_V0 | DROP,
        "package a\nimport rego.v1\nimport future.keywords.if\nimport future.keywords.in\n"
        "import data.x\np if { true }\n",
        "package a\n\nimport data.x\n\np := true\n", __LINE__);
}
TEST(v1_drops_imports) {
    expect_layout(DROP,
        "package a\n# c\nimport rego.v1\nimport future.keywords.if # d\nimport data.x\n"
        "p if { true }\n",
        "package a\n\n# c\n\n# d\nimport data.x\n\np := true\n", __LINE__);
}
TEST(logical) {
    expect_layout(
        LOGICAL,
        "package a\nimport future.keywords\np if { x   and y or z }\n"
        "q if (x or y) and not z\nr if { {x; y} or {z\nw} }\ns if { not {x;y} }\n"
        "t if { not { x\ny } }\nu if x and\ny and\nz\nv if { (x with input as 1) and y }\n"
        "w if not (x and y)\n",
        "package a\n\nimport future.keywords\n\np if x and y or z\nq if (x or y) and not z\n"
        "r if { x; y } or {\n\tz\n\tw\n}\n\ns if not { x; y }\nt if not {\n\tx\n\ty\n}\n\n"
        "u if x and\n\ty and\n\tz\n\nv if (x with input as 1) and y\nw if not (x and y)\n",
        __LINE__);
}


/* ---- What cannot be laid out ---- */

TEST(operators_take_their_number_of_arguments) {
    expect_layout(0,
        "package a\np if plus(1)\nq := minus(1, x, [1 | true]) + 1\nr if internal.member_2(1)\n"
        "s := internal.member_3({a: b | c}, `a`)\n",
        "4 errors occurred:\nt.rego:2: rego_type_error: plus: arity mismatch\n\thave: (number)\n"
        "\twant: (number,number)\nt.rego:3: rego_type_error: minus: arity mismatch\n"
        "\thave: (number,var,arraycomprehension)\n"
        "\twant: (any<number, set[any]>,any<number, set[any]>)\n"
        "t.rego:4: rego_type_error: internal.member_2: arity mismatch\n\thave: (number)\n"
        "\twant: (any,any)\nt.rego:5: rego_type_error: internal.member_3: arity mismatch\n"
        "\thave: (objectcomprehension,string)\n\twant: (any,any,any)", __LINE__);
}
TEST(what_v1_forbids_is_told) {
    expect_layout(
        READ_V0,
        "package a\nimport data.x\nimport data.y as x\nimport data.z.x\ninput = 1\ndata { true }\n"
        "p { input := 1; data := 2; any([true]) }\nq = all([cast_null(1)])\nif = 1\n"
        "r(data) = 2 { set_diff({1}, {2}) } else = 3 { re_match(``, ``) }\n",
        "13 errors occurred:\n"
        "t.rego:3: rego_compile_error: import must not shadow import data.x\n"
        "t.rego:4: rego_compile_error: import must not shadow import data.x\n"
        "t.rego:5: rego_compile_error: rules must not shadow input (use a different rule name)\n"
        "t.rego:6: rego_compile_error: rules must not shadow data (use a different rule name)\n"
        "t.rego:10: rego_compile_error: args must not shadow data (use a different variable name)\n"
        "t.rego:7: rego_compile_error: variables must not shadow input (use a different variable "
        "name)\n"
        "t.rego:7: rego_compile_error: variables must not shadow data (use a different variable "
        "name)\n"
        "t.rego:7: rego_type_error: deprecated built-in function calls in expression: any\n"
        "t.rego:8: rego_type_error: deprecated built-in function calls in expression: all\n"
        "t.rego:8: rego_type_error: deprecated built-in function calls in expression: cast_null\n"
        "t.rego:10: rego_type_error: deprecated built-in function calls in expression: set_diff\n"
        "t.rego:10: rego_type_error: deprecated built-in function calls in expression: re_match\n"
        "t.rego:9: rego_parse_error: if keyword cannot be used for rule name",
        __LINE__);
    expect_layout(
        READ_V0, "package a\np[",
        "2 errors occurred:\n"
        "t.rego:2: rego_parse_error: unexpected eof token\n\tp[\n\t ^\n"
        "t.rego:2: rego_parse_error: unexpected eof token: expected rule head name\n\tp[\n\t ^",
        __LINE__);
}

/* ---- Trees that programs made ---- */

static struct ast_body *query(const char *text) {
    struct parse_options o = {.version = REGO_V1, .logical_keywords = true};
    struct policy_errors errors;
    struct ast_body *b;
    policy_errors_open(&errors, fresh(), 0);
    return parse_body(&heap_of_test, str_from_c(text), &o, &b, &errors) ? NULL : b;
}
#define EXPECT_LAID(format, node, o, want)                                                         \
    do {                                                                                           \
        struct policy_errors found;                                                                \
        struct buf out;                                                                            \
        policy_errors_open(&found, &heap_of_test, 0);                                              \
        buf_open(&out, 4096);                                                                      \
        EXPECT_OK(format(&heap_of_test, node, o, &out, &found));                                   \
        EXPECT_STR(buf_str(&out), S(want));                                                        \
        buf_close(&out);                                                                           \
    } while (0)
TEST(parts_of_policies_alone) {
    struct format_options o = {.version = REGO_V1},
                          flat = {.version = REGO_V1, .ignore_locations = true};
    EXPECT_LAID(format_body, query("x=1;y\n\nz"), &o, "x = 1\ny\n\nz\n");
    EXPECT_LAID(format_expr, query("x  with input as 1")->exprs[0], &o, "x with input as 1");
    EXPECT_LAID(format_term, query("[1,\n2]")->exprs[0]->terms[0], &o, "[\n\t1,\n\t2,\n]");
    EXPECT_LAID(format_term, query("[1,\n2]")->exprs[0]->terms[0], &flat, "[1, 2]");
    EXPECT_LAID(format_expr, query("{x |\n y; z}")->exprs[0], &flat, "{x | y; z}");
    struct ast_term *t = ast_of_value(fresh(), NULL, value_string(&heap_of_test, S("a")));
    EXPECT_LAID(format_term, ast_list(&heap_of_test, NULL, AST_ARRAY, &t, 1), &o, "[\"a\"]");
    EXPECT_LAID(format_expr,
                ast_expr_call(&heap_of_test, NULL, S("eq"), (struct ast_term *[]){t, t}, 2), &o,
                "\"a\" = \"a\"");
    struct parse_options p = {.version = REGO_V1};
    struct policy_errors errors;
    struct ast_module *m;
    policy_errors_open(&errors, fresh(), 0);
    REQUIRE(parse_module(&heap_of_test, S("x"),
                         S("package a\np := x if { x := [1,\n2]\nx[_] } else := 3"), &p, &m,
                         &errors) == RC_OK);
    EXPECT_LAID(format_rule, m->rules[0], &flat,
                "p := x if {\n\tx := [1, 2]\n\tx[_]\n}\n\nelse := 3\n");
}
/* Names the parser gave to wildcards are `_` again; one that stands twice keeps a name. */
TEST(wildcards_that_stand_twice_get_names) {
    struct format_options o = {.version = REGO_V1};
    struct ast_body *b = query("x[_][_]; y[_]");
    b->exprs[1]->terms[0]->terms[1]->var = b->exprs[0]->terms[0]->terms[2]->var;
    EXPECT_LAID(format_body, b, &o, "x[_][_1]\ny[_1]\n");
}
TEST(a_buffer_or_heap_that_ends_is_told) {
    struct format_options o = {.version = REGO_V1};
    struct parse_options p = {.version = REGO_V1};
    const char *text =
        "package a\n# c\np := [1, {2: 3}, $`a{b}`] if { some x in y # d\nnot x } else := x | y\n";
    rc_t rc = RC_NO_MEMORY;
    for (size_t bytes = 512; rc == RC_NO_MEMORY && bytes < 1 << 20; bytes += 512) {
        struct heap h;
        struct policy_errors errors;
        struct buf out;
        heap_open(&h, bytes);
        buf_open(&out, 4096);
        policy_errors_open(&errors, &h, 0);
        rc = format_source(&h, S("t"), str_from_c(text), &p, &o, &out, &errors);
        buf_close(&out);
        heap_close(&h);
    }
    EXPECT_OK(rc);
    struct policy_errors errors;
    struct buf out;
    buf_open(&out, 8);
    policy_errors_open(&errors, fresh(), 0);
    EXPECT_RC(format_source(&heap_of_test, S("t"), str_from_c(text), &p, &o, &out, &errors),
              RC_LIMIT);
    buf_close(&out);
}

/* ---- The reference's cases ---- */

static u32 modules_laid_out;
/* `=` and `:=` are one in heads, and v1 writes the latter; imports are sorted. */
static void write_tree(struct buf *to, struct ast_module *m) {
    for (u32 i = 0; i < m->rule_count; i++)
        for (struct ast_rule *r = m->rules[i]; r; r = r->otherwise) r->head->assign = false;
    m->import_count = 0;
    ast_module_write(to, m);
}
/* Laid out it means the same: the tree printed, places aside. The reference writes `1, (2 in x) in
 * y` without its parentheses, and so do we. */
static void expect_same(str text, bool v0, bool logical, const char *path) {
    struct parse_options p = {.version = v0 ? REGO_V0 : REGO_V1, .logical_keywords = logical};
    struct format_options o = {.version = p.version};
    struct policy_errors errors;
    struct ast_module *m;
    struct buf before, laid, after;
    buf_open(&before, 1 << 20), buf_open(&laid, 1 << 20), buf_open(&after, 1 << 20);
    policy_errors_open(&errors, fresh(), 0);
    if (parse_module(&heap_of_test, S("m"), text, &p, &m, &errors) == RC_OK) {
        modules_laid_out++;
        write_tree(&before, m);
        rc_t rc = format_source(&heap_of_test, S("m"), text, &p, &o, &laid, &errors);
        if (rc == RC_OK) rc = parse_module(&heap_of_test, S("l"), buf_str(&laid), &p, &m, &errors);
        if (rc == RC_OK) write_tree(&after, m);
        else policy_errors_write(&after, &errors);
        if (!str_eq(buf_str(&before), buf_str(&after)) &&
            !str_ends(str_from_c(path), S("/test-membership.yaml")))
            test_fail(__FILE__, __LINE__, "%s: laid out as\n%.*s\nmeans\n%.*s\nnot\n%.*s", path,
                      STR(buf_str(&laid)), STR(buf_str(&after)), STR(buf_str(&before)));
    }
    buf_close(&before), buf_close(&laid), buf_close(&after);
}
static void lay_out_cases(const char *path, bool v0) {
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
        bool logical = value_is_true(value_get_str(one, S("experimental_keywords")));
        for (u32 k = 0; modules.kind == VALUE_ARRAY && k < value_count(modules); k++)
            expect_same(value_str(value_item(modules, k)), v0, logical, path);
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
        else if (str_ends(str_from_c(path), S(".yaml"))) lay_out_cases(path, v0);
    }
    if (d) closedir(d);
}
TEST(every_published_module_means_the_same) {
    const char *base = getenv("CONFORMANCE_DIR");
    char dir[512];
    modules_laid_out = 0;
    for (int v = 0; v < 2; v++) {
        snprintf(dir, sizeof(dir), "%s/rego/v%d", base ? base : "../shared/conformance", v);
        walk_cases(dir, v == 0);
    }
    if (!modules_laid_out)
        printf(
            "skipped: every_published_module_means_the_same: there is no %s; set CONFORMANCE_DIR\n",
            dir);
}

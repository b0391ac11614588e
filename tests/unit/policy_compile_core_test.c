/* SPDX-License-Identifier: Apache-2.0 */
/* policy_compile_core_test.c — what rules become: the core that the planner takes. Queries; the
 * tree of rules; ten thousand rules; no memory at any step. */
#include "app/policy/compile/compile.c"
#include "tests/unit/policy_compile.h"

TEST(names_are_resolved) {
    EXPECT_BODY(
        "package a.b\nimport data.foo.bar as baz\np if { q[x]; baz[x] == input.y }\nq contains 1",
        0, "data.a.b.q[x]; data.foo.bar[x] = input.y");
}

/* Of many names, or of one whose letters others share, none is missed. */
TEST(each_name_of_many_is_resolved) {
    for (u32 count = 1; count <= 130; count += 43) {
        struct compile_case t;
        struct buf source;
        case_open(&t);
        buf_open(&source, KIB(16));
        CHECK_EQ(buf_printf(&source, "package a\nall := ["), RC_OK);
        for (u32 i = 0; i < count; i++)
            CHECK_EQ(buf_printf(&source, "%sr%u_%c", i ? ", " : "", i, 'a' + (char)(i % 26)), RC_OK);
        CHECK_EQ(buf_printf(&source, "]\n"), RC_OK);
        for (u32 i = 0; i < count; i++)
            CHECK_EQ(buf_printf(&source, "r%u_%c := %u\n", i, 'a' + (char)(i % 26), i), RC_OK);
        CHECK_EQ(buf_add(&source, str_of("", 1)), RC_OK);
        case_add(&t, buf_str(&source).ptr);
        EXPECT_OK(case_run(&t));
        const struct ast_rule *all = t.program->modules[0]->rules[0];
        u32 refs = 0; /* each of them pulled out of the array */
        for (u32 i = 0; i < all->body->count; i++)
            refs += all->body->exprs[i]->terms[2]->kind == AST_REF;
        EXPECT_EQ(refs, count);
        buf_close(&source);
        case_close(&t);
    }
}

/* What a rule has is told before names mean anything: that it needs others is told behind it. */
TEST(needs_are_seen_wherever_a_name_stands) {
    static const char *const bodies[] = {
        "q",          "q == 1",      "not q",      "f(q)",          "input.a[q]",
        "[q] == [1]", "{y | y = q}", "x := [q]",   "some x in q",   "every x in q { x }",
        "1 > 2 else := q", "$\"{q}\" == \"\"", "input with input as q", "data.a.q", "data[\"a\"].q",
        "n", "n.q",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct compile_case t;
        char source[512];
        case_open(&t);
        snprintf(source, sizeof source,
                 "package a\nimport data.a as n\nf(x) := x\np := 1 if %s\nq := p", bodies[i]);
        case_add(&t, source);
        if (case_run(&t) != RC_INVALID || !strstr(case_errors(&t).ptr, "rego_recursion_error"))
            test_fail(__FILE__, __LINE__, "%s: not seen to be recursive", bodies[i]);
        case_close(&t);
    }
}

/* Names that are declared hide rules and imports, wherever in the rule that is. */
TEST(declarations_are_seen_wherever_they_stand) {
    EXPECT_BODY("package a\nq := 1\np if { q := 2; q == 2 }", 1, "__local0__ = 2; __local0__ = 2");
    EXPECT_BODY("package a\nq := 1\np if { some q; input[q] == q }", 1,
                "input[__local0__] = __local0__");
    EXPECT_BODY("package a\nq := 1\np if { some q in input; q == 2 }", 1,
                "__local2__ = input[__local1__]; __local2__ = 2");
    EXPECT_BODY("package a\nq := 1\np if { input.x == q }", 1, "input.x = data.a.q");
    EXPECT_ERRORS("package a\np if { data := 2; data == 2 }",
                  "2:8 rego_compile_error variables must not shadow data (use a different variable "
                  "name)");
    EXPECT_ERRORS("package a\np := [1 | input := 2]",
                  "2:11 rego_compile_error variables must not shadow input (use a different "
                  "variable name)");
}

TEST(locals_get_their_own_names) {
    EXPECT_BODY("package a\np if { x := 1; y = [x | x := 2] }", 0,
                "__local0__ = 1; y = [__local1__ | __local1__ = 2]");
    EXPECT_BODY("package a\np if { some i, x in input.a; i < x }", 0,
                "__local1__ = input.a[__local0__]; lt(__local0__, __local1__)");
    EXPECT_BODY("package a\nf(x, [y]) := z if z := x + y", 0,
                "plus(__local0__, __local1__, __local3__); __local2__ = __local3__");
}

TEST(calls_leave_terms) {
    EXPECT_BODY(
        "package a\np := count([x | x := upper(input.a[_])]) + 1", 0,
        "__local5__ = [__local0__ | __local4__ = input.a[_]; upper(__local4__, __local1__); "
        "__local0__ = __local1__]; count(__local5__, __local2__); plus(__local2__, 1, __local3__)");
}

TEST(bodies_are_ordered) {
    EXPECT_BODY("package a\np if { x > 1; x = input.a }", 0, "x = input.a; gt(x, 1)");
    EXPECT_BODY("package a\np if { not q[y]; y = input.z }\nq contains 1", 0,
                "y = input.z; not data.a.q[y]");
}

TEST(with_values_are_bound) {
    EXPECT_BODY("package a\np if { data.q.r with input as data.z }", 0,
                "__local0__ = data.z; data.q.r with input as __local0__");
    EXPECT_BODY("package a\np if { count([]) with count as upper }", 0,
                "count([]) with count as upper");
}

TEST(heads_are_plain) {
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a\np[input.x].q := input.y if input.z");
    EXPECT_OK(case_run(&t));
    const struct ast_rule *r = t.program->modules[0]->rules[0];
    buf_clear(&t.text);
    ast_term_write(&t.text, r->head->ref);
    EXPECT_STR(buf_str(&t.text), S("data.a.p[__local0__].q"));
    EXPECT_EQ(r->head->value->kind, AST_VAR);
    case_close(&t);
}

TEST(prints_go_or_stay) {
    EXPECT_BODY("package a\np if { print(input.x); true }", 0, "true");
    EXPECT_BODY("package a\np if { print(input.x) }", 0,
                "__local1__ = {__local0__ | __local0__ = input.x}; internal.print([__local1__])",
                .keep_print = true);
}

TEST(templates_are_calls) {
    EXPECT_BODY("package a\np if { x := 1; y := $\"a{x}\" }", 0,
                "__local0__ = 1; internal.template_string([\"a\", {__local0__}], __local2__); "
                "__local1__ = __local2__");
}

TEST(tree_of_rules) {
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a.b\nz := 1\np[x] := 1 if x := input.k\np.q.r := 2");
    case_add(&t, "package system.x\nq := 1");
    EXPECT_OK(case_run(&t));
    const struct rule_node *n = t.program->root;
    REQUIRE(n && n->child_count == 2);
    EXPECT(n->children[1]->hide && !n->children[0]->hide);
    n = rule_node_find(n, value_string_c(&t.heap, "a"));
    n = n ? rule_node_find(n, value_string_c(&t.heap, "b")) : NULL;
    REQUIRE(n && n->child_count == 2);
    EXPECT_STR(value_str(n->children[0]->key), S("p"));
    EXPECT(n->children[0]->has_ref_rules && n->children[0]->rule_count == 1);
    EXPECT(!rule_node_find(n, value_string_c(&t.heap, "y")));
    EXPECT_EQ(t.program->order_count, 4);
    case_close(&t);
}

TEST(callees_come_first) {
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a\np := q\nq := r\nr := 1");
    EXPECT_OK(case_run(&t));
    REQUIRE(t.program->order_count == 3);
    EXPECT(t.program->order[0] == t.program->modules[0]->rules[2]);
    EXPECT(t.program->order[2] == t.program->modules[0]->rules[0]);
    case_close(&t);
}

static str query(struct compile_case *t, const char *text, rc_t want) {
    struct ast_body *body;
    struct compiled_query q = {0};
    buf_clear(&t->text);
    t->errors.count = 0;
    EXPECT_OK(parse_body(&t->heap, str_from_c(text), &t->parse, &body, &t->errors));
    EXPECT_RC(compile_query(&t->heap, t->program, body, NULL, NULL, 0, &q, &t->errors), want);
    if (want) return case_errors(t);
    ast_body_write(&t->text, q.body);
    for (u32 i = 0; i < q.name_count; i++) {
        rc_t rc =
            buf_printf(&t->text, " %.*s:%.*s", STR(q.names[i].rewritten), STR(q.names[i].written));
        if (rc) test_fail(__FILE__, __LINE__, "names are too long");
    }
    return buf_str(&t->text);
}

TEST(queries) {
    struct compile_case t;
    case_open(&t);
    case_add(&t, "package a\nf(x) := x\nq := {\"k\": 1}");
    EXPECT_OK(case_run(&t));
    EXPECT_STR(query(&t, "x := data.a.q; y = x.k", RC_OK),
               S("__localq0__ = data.a.q; y = __localq0__.k __localq0__:x"));
    EXPECT_STR(query(&t, "data.a.f(1) == 1", RC_OK),
               S("data.a.f(1, __localq0__); equal(__localq0__, 1)"));
    EXPECT_STR(query(&t, "x > 1", RC_INVALID), S("1:1 rego_unsafe_var_error var x is unsafe"));
    EXPECT_STR(query(&t, "data.a.f(1, 2, 3)", RC_INVALID),
               S("1:1 rego_type_error function data.a.f has arity 1, got 3 arguments"));
    EXPECT_STR(query(&t, "data.a.q.z", RC_INVALID),
               S("1:1 rego_type_error undefined ref: data.a.q.z"));
    case_close(&t);
}

TEST(capabilities_limit) {
    struct compile_case t;
    case_open(&t);
    value empty = value_empty_array(), keys[] = {value_string_c(&t.heap, "builtins")};
    t.options.capabilities = value_object(&t.heap, keys, &empty, 1);
    case_add(&t, "package a\np := count([])\nq := $\"{input.x}\"");
    EXPECT_RC(case_run(&t), RC_INVALID);
    EXPECT_STR(case_errors(&t), S("3:6 rego_compile_error template-strings are not supported"));
    case_close(&t);
}

TEST(metadata) {
    EXPECT_BODY("# METADATA\n# title: T\npackage a\n\n# METADATA\n# title: R\np := "
                "rego.metadata.rule().title",
                0,
                "__local1__ = {\"scope\": \"rule\", \"title\": \"R\"}; __local0__ = __local1__; "
                "__local2__ = __local0__.title");
}

TEST(many_rules) {
    struct compile_case t;
    enum { RULES = 3000 };
    struct buf b;
    case_open(&t);
    buf_open(&b, MIB(4));
    rc_t rc = buf_printf(&b, "package a\n");
    for (int i = 0; i < RULES && !rc; i++)
        rc = buf_printf(&b, "p%d if { input.a == \"x%d\"; q[%d] }\nq contains %d\n", i, i, i, i);
    rc = buf_add_byte(&b, 0);
    REQUIRE(!rc);
    t.heap.bytes_max = MIB(256);
    case_add(&t, b.ptr);
    EXPECT_OK(case_run(&t));
    EXPECT_EQ(t.program->order_count, 2 * RULES);
    buf_close(&b);
    case_close(&t);
}

TEST(no_memory_at_any_step) {
    static const char source[] =
        "# METADATA\n# title: T\npackage a\nimport data.x as y\n"
        "p contains x if { some x in y; not q(x); every k, v in x { k != v } }\n"
        "q(x) := [z | z := x[_]; count(z) > 1] if print(x)\n"
        "r[u].v := {$\"a{u}\": rego.metadata.chain()} if { u := input.k with data.y as {1 + "
        "input.z} }\n"
        "s := 1 if { p } else := 2 if { r }";
    for (size_t bytes = 4096; bytes < MIB(2); bytes += bytes < KIB(256) ? 977 : 40009) {
        struct compile_case t;
        case_open(&t);
        t.heap.bytes_max = bytes;
        t.options.keep_print = true;
        struct ast_module *m = NULL;
        rc_t rc = parse_module(&t.heap, S("a.rego"), (str){source, sizeof source - 1}, &t.parse, &m,
                               &t.errors);
        if (!rc) rc = compile_modules(&t.heap, &m, 1, &t.options, &t.program, &t.errors);
        EXPECT(rc == RC_NO_MEMORY || rc == RC_OK);
        case_close(&t);
    }
}

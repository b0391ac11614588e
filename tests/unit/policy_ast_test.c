/* SPDX-License-Identifier: Apache-2.0 */
/* Trees: made, copied, compared, looked at, walked; as JSON; and lists of errors. */
#include <stdio.h>
#include "app/policy/lang/annotations.h"
#include "app/policy/lang/parse.h"
#include "app/policy/value/json_text.h"
#include "kernel/base/buf.h"
#include "kernel/base/limits.h"
#include "tests/test.h"

static struct heap heap_of_test, *const h = &heap_of_test;
static void fresh(void) {
    static bool open;
    if (!open) heap_open(h, 64 << 20);
    open = true;
    heap_rewind(h);
}
static const struct parse_options how = {
    .version = REGO_V1, .logical_keywords = true, .annotations = true};
static struct ast_term *term(const char *text) { /* in a list: calls alone are expressions */
    struct policy_errors errors;
    struct ast_term *t = NULL;
    char list[256];
    policy_errors_open(&errors, h, 0);
    str copy = value_str(
        value_string(h, str_of(list, (size_t)snprintf(list, sizeof(list), "[%s]", text))));
    if (parse_term(h, copy, &how, &t, &errors))
        test_fail(__FILE__, __LINE__, "%s is no term", text);
    return t && t->count == 1 ? t->terms[0] : ast_scalar(h, NULL, UNDEFINED);
}
static struct ast_module *module(const char *text) {
    struct policy_errors errors;
    struct ast_module *m = NULL;
    policy_errors_open(&errors, h, 0);
    if (parse_module(h, S("t.rego"), str_from_c(text), &how, &m, &errors))
        test_fail(__FILE__, __LINE__, "%s is no policy", text);
    return m;
}
static const char everything[] =
    "package a.b\nimport data.x as y\nimport future.keywords\n"
    "p := {\"a\": [1, {x | x in y}], \"b\": $\"a{x}b{f(1)}\", \"c\": {k: null | k}} if {\n"
    "  some k, v in y; not { k }; every i, z in v { z } with input as 1\n}\n"
    "else := 2 if (a or b) and {c}\nq[x].r contains y if { x.y[_](z)[1] == -y; [a | b]; true; 1.5 "
    "}\n"
    "f(_, [x]) if x { some a; every z in y { z } }\ndefault g(_) := {1, 2, 2}\n";

/* ---- Making and looking ---- */

TEST(makers) {
    fresh();
    struct ast_location at = {.row = 7};
    struct ast_term *one = ast_scalar(h, &at, value_integer(1)), *x = ast_var(h, NULL, S("x"));
    EXPECT_EQ(one->kind, AST_NUMBER);
    EXPECT_EQ(one->at.row, 7);
    EXPECT_EQ(ast_scalar(h, NULL, UNDEFINED)->kind, AST_NULL);
    EXPECT_EQ(ast_scalar(h, NULL, value_empty_object())->kind, AST_VALUE);
    struct ast_term *list = ast_list(h, &at, AST_ARRAY, (struct ast_term *[]){one, x}, 2);
    EXPECT_EQ(list->depth, 1);
    EXPECT(!ast_list(h, &at, AST_ARRAY, (struct ast_term *[]){one, NULL}, 2));
    struct ast_expr *e = ast_expr_call(h, &at, S("io.jwt.decode"), (struct ast_term *[]){list}, 1);
    EXPECT_EQ(e->count, 2);
    EXPECT_EQ(e->depth, 1);
    EXPECT_EQ(e->terms[0]->count, 3);
    EXPECT(!ast_expr_call(h, NULL, S("f"), (struct ast_term *[]){NULL}, 1));
    struct ast_term *deep = list; /* a program may build deeper than any text: the depth stops */
    for (int i = 0; i < 300; i++) deep = ast_list(h, NULL, AST_ARRAY, &deep, 1);
    EXPECT_EQ(deep->depth, 255);
}
TEST(ground_and_constant) {
    static const struct { const char *text; bool ground, constant;
    } all[] = {{"1", 1, 1},
               {"x", 0, 0},
               {"null", 1, 1},
               {"data.a[1]", 1, 0},
               {"data.a[x]", 0, 0},
               {"[1, \"a\"]", 1, 1},
               {"[1, x]", 0, 0},
               {"{1, [2]}", 1, 1},
               {"{1, [x]}", 0, 0},
               {"{\"a\": 1}", 1, 1},
               {"{\"a\": x}", 0, 0},
               {"{x: 1}", 0, 0},
               {"[x | x]", 0, 0},
               {"{x | x}", 0, 0},
               {"{x: 1 | x}", 0, 0},
               {"f(1)", 1, 0},
               {"f(x)", 0, 0},
               {"$\"a{f(1)}\"", 1, 0},
               {"$\"a{f(x)}\"", 0, 0},
               {"$\"a{x}\"", 0, 0},
               {"$\"a{1}\"", 1, 0}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        fresh();
        struct ast_term *t = term(all[i].text);
        if (ast_term_is_ground(t) != all[i].ground || ast_term_is_constant(t) != all[i].constant)
            test_fail(__FILE__, __LINE__, "%s: ground %d constant %d", all[i].text,
                      ast_term_is_ground(t), ast_term_is_constant(t));
        EXPECT_EQ(value_defined(ast_term_value(h, t)), all[i].constant);
    }
}
static void expect_both_ways(const char *text) {
    struct buf a, b;
    fresh();
    buf_open(&a, 4096), buf_open(&b, 4096);
    struct ast_term *t = term(text);
    value v = ast_term_value(h, t);
    struct ast_location at = {.row = 3};
    struct ast_term *back = ast_of_value(h, &at, v);
    ast_term_write(&a, t);
    ast_term_write(&b, back);
    EXPECT_STR(buf_str(&a), buf_str(&b));
    EXPECT_EQ(ast_term_compare(t, back), 0);
    EXPECT_EQ(back->depth, t->depth);
    buf_clear(&b);
    ast_term_write(&b, ast_scalar(h, NULL, v)); /* a value inside a tree prints as one */
    if (v.kind >= VALUE_ARRAY) EXPECT_STR(buf_str(&a), buf_str(&b));
    buf_close(&a), buf_close(&b);
}
TEST(values_become_terms_and_back) {
    static const char *const all[] = {"1",
                                      "\"a\\n\\u00e9\"",
                                      "null",
                                      "true",
                                      "-1.50e7",
                                      "[]",
                                      "{}",
                                      "set()",
                                      "[1, [2, {3}], {\"a\": {1: 2}}]",
                                      "{[1], {2}, {\"x\": null}}"};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) expect_both_ways(all[i]);
}
TEST(order_of_terms) {
    static const char *const rising[] = {
        "null",      "false",      "true",       "1",       "2",      "\"a\"",   "\"b\"",
        "$\"a{x}\"", "$\"b{x}\"",  "x",          "y",       "data.a", "data.b",  "data.b[1]",
        "data.b.c",  "[]",         "[1]",        "[1, 1]",  "[2]",    "{}",      "{1: 1}",
        "{1: 2}",    "{2: 1}",     "set()",      "{1}",     "{2}",    "[x | x]", "[x | y]",
        "[y | x]",   "{x: y | x}", "{x: z | x}", "{x | x}", "f(1)",   "f(2)",    "g(1)"};
    for (size_t i = 0; i < ARRAY_LEN(rising); i++)
        for (size_t k = 0; k < ARRAY_LEN(rising); k++) {
            fresh();
            int d = ast_term_compare(term(rising[i]), term(rising[k]));
            if ((d > 0) - (d < 0) != (i > k) - (i < k))
                test_fail(__FILE__, __LINE__, "%s and %s: %d", rising[i], rising[k], d);
        }
    fresh();
    EXPECT(ast_ref_starts(term("data.a.b"), term("data.a")));
    EXPECT(!ast_ref_starts(term("data.a"), term("data.a.b")));
    EXPECT(!ast_ref_starts(term("data.b.c"), term("data.a")));
    EXPECT(!ast_ref_starts(term("1"), term("data.a")));
}
TEST(order_of_bodies) {
    static const char *const bodies[] = {"x",
                                         "y",
                                         "not x",
                                         "x; y",
                                         "f(x)",
                                         "x = 1",
                                         "some x",
                                         "some x in y",
                                         "every x in y { x }",
                                         "every x in y { z }",
                                         "every k, x in y { x }",
                                         "x with input as 1",
                                         "x with input as 2",
                                         "x with data.a as 1",
                                         "x with input as 1 with data.a as 2"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        for (size_t k = 0; k < ARRAY_LEN(bodies); k++) {
            struct policy_errors errors;
            struct ast_body *a, *b;
            fresh();
            policy_errors_open(&errors, h, 0);
            REQUIRE(parse_body(h, str_from_c(bodies[i]), &how, &a, &errors) == RC_OK);
            REQUIRE(parse_body(h, str_from_c(bodies[k]), &how, &b, &errors) == RC_OK);
            int d = ast_body_compare(a, b), back = ast_body_compare(b, a);
            if ((d == 0) != (i == k) || (d > 0) != (back < 0))
                test_fail(__FILE__, __LINE__, "%s and %s: %d, %d", bodies[i], bodies[k], d, back);
        }
}

/* ---- Copies and walks ---- */

TEST(copies_print_the_same_and_share_nothing) {
    struct buf a, b;
    fresh();
    buf_open(&a, 1 << 16), buf_open(&b, 1 << 16);
    struct ast_module *m = module(everything);
    for (u32 i = 0; i < m->rule_count; i++) {
        buf_clear(&a), buf_clear(&b);
        ast_rule_write(&a, m->rules[i]);
        struct ast_rule *copy = ast_rule_copy(h, m->rules[i]);
        ast_rule_write(&b, copy);
        EXPECT_STR(buf_str(&a), buf_str(&b));
        EXPECT(copy->head != m->rules[i]->head && copy->body->exprs != m->rules[i]->body->exprs);
        EXPECT_EQ(ast_body_compare(copy->body, m->rules[i]->body), 0);
    }
    buf_close(&a), buf_close(&b);
}
TEST(copies_without_memory_are_null) {
    fresh();
    struct ast_module *m = module(everything);
    for (u32 i = 0; i < m->rule_count; i++) {
        struct ast_rule *copy = NULL;
        for (size_t bytes = 0; !copy && bytes < 1 << 18; bytes += 64) {
            struct heap small;
            heap_open(&small, bytes);
            copy = ast_rule_copy(&small, m->rules[i]);
            EXPECT((copy != NULL) == !small.exhausted);
            heap_close(&small);
        }
        EXPECT(copy);
    }
}
struct counts { u32 terms, exprs, bodies, rules; bool stop; };
static bool count_term(struct ast_walk *w, struct ast_term **t) {
    struct counts *c = w->arg;
    c->terms += (*t)->kind == AST_VAR && !str_eq((*t)->var, S("p"));
    return true;
}
static bool count_expr(struct ast_walk *w, struct ast_expr *e) {
    struct counts *c = w->arg;
    (void)e;
    c->exprs++;
    return !c->stop;
}
static bool count_body(struct ast_walk *w, struct ast_body *b) {
    struct counts *c = w->arg;
    c->bodies++;
    return b->count > 0;
}
static bool count_rule(struct ast_walk *w, struct ast_rule *r) {
    struct counts *c = w->arg;
    c->rules += r->head != NULL;
    return true;
}
TEST(walks_see_everything) {
    fresh();
    struct ast_module *m =
        module("package a\nimport future.keywords\np := {\"k\": [v1], v2: {v3 | v4}} if {\n "
               "f(v5)\n $\"{v6}\"\n"
               " every v7, v8 in v9 { v10 } with input as v11\n not { v12 }\n (v13 or v14)\n"
               " some v15\n} else := v16 if v17");
    struct counts c = {0};
    struct ast_walk w = {count_term, count_expr, count_body, count_rule, &c};
    ast_walk_rule(&w, m->rules[0]);
    EXPECT_EQ(c.rules, 2);
    EXPECT(c.terms >= 17);
    u32 exprs = c.exprs, bodies = c.bodies;
    EXPECT(exprs >= 12);
    EXPECT(bodies >= 6);
    c = (struct counts){.stop = true};
    ast_walk_rule(&w, m->rules[0]);
    EXPECT(c.exprs < exprs);
    struct ast_walk none = {0};
    ast_walk_rule(&none, m->rules[0]);
    ast_walk_term(&w, &m->rules[0]->head->value);
}

/* ---- JSON ---- */

static void expect_json(const char *text, bool places, const char *want, int line) {
    struct buf out;
    fresh();
    buf_open(&out, 1 << 16);
    json_text_write(&out, ast_module_json(h, module(text), places), 0);
    if (!str_eq(buf_str(&out), str_from_c(want)))
        test_fail(__FILE__, line, "%s is\n%.*s\nnot\n%s", text, STR(buf_str(&out)), want);
    buf_close(&out);
}
TEST(modules_as_json) {
    expect_json("package a", false,
        "{\"package\":{\"path\":[{\"type\":\"var\",\"value\":\"data\"},{\"type\":\"string\",\"v"
        "alue\":\"a\"}]}}", __LINE__);
    expect_json("package a\nimport data.b as c\np := 1", true,
        "{\"imports\":[{\"alias\":\"c\",\"location\":{\"col\":1,\"file\":\"t.rego\",\"row\":2,"
        "\"text\":\"aW1wb3J0\"},\"path\":{\"location\":{\"col\":8,\"file\":\"t.rego\",\"row\":2"
        ",\"text\":\"ZGF0YS5i\"},\"type\":\"ref\",\"value\":[{\"location\":{\"col\":8,\"file\":"
        "\"t.rego\",\"row\":2,\"text\":\"ZGF0YQ==\"},\"type\":\"var\",\"value\":\"data\"},{\"lo"
        "cation\":{\"col\":13,\"file\":\"t.rego\",\"row\":2,\"text\":\"Yg==\"},\"type\":\"strin"
        "g\",\"value\":\"b\"}]}}],\"package\":{\"location\":{\"col\":1,\"file\":\"t.rego\",\"ro"
        "w\":1,\"text\":\"cGFja2FnZQ==\"},\"path\":[{\"location\":{\"col\":9,\"file\":\"t.rego"
        "\",\"row\":1,\"text\":\"YQ==\"},\"type\":\"var\",\"value\":\"data\"},{\"location\":{\""
        "col\":9,\"file\":\"t.rego\",\"row\":1,\"text\":\"YQ==\"},\"type\":\"string\",\"value\""
        ":\"a\"}]},\"rules\":[{\"body\":[{\"index\":0,\"location\":{\"col\":6,\"file\":\"t.rego"
        "\",\"row\":3,\"text\":\"MQ==\"},\"terms\":{\"location\":{\"col\":6,\"file\":\"t.rego\""
        ",\"row\":3,\"text\":\"MQ==\"},\"type\":\"boolean\",\"value\":true}}],\"head\":{\"assig"
        "n\":true,\"location\":{\"col\":1,\"file\":\"t.rego\",\"row\":3,\"text\":\"cCA6PSAx\"},"
        "\"name\":\"p\",\"ref\":[{\"location\":{\"col\":1,\"file\":\"t.rego\",\"row\":3,\"text"
        "\":\"cA==\"},\"type\":\"var\",\"value\":\"p\"}],\"value\":{\"location\":{\"col\":6,\"f"
        "ile\":\"t.rego\",\"row\":3,\"text\":\"MQ==\"},\"type\":\"number\",\"value\":1}},\"loca"
        "tion\":{\"col\":1,\"file\":\"t.rego\",\"row\":3,\"text\":\"cCA6PSAx\"}}]}", __LINE__);
    expect_json(
        "package a\nimport future.keywords\n"
        "p := {\"a\": null} if { not x; some y; every k, v in z { k } with input as [1] }\n",
        false,
        "{\"imports\":[{\"path\":{\"type\":\"ref\",\"value\":[{\"type\":\"var\",\"value\":\"fut"
        "ure\"},{\"type\":\"string\",\"value\":\"keywords\"}]}}],\"package\":{\"path\":[{\"type"
        "\":\"var\",\"value\":\"data\"},{\"type\":\"string\",\"value\":\"a\"}]},\"rules\":[{\"b"
        "ody\":[{\"index\":0,\"terms\":{\"body\":[{\"index\":0,\"terms\":{\"type\":\"var\",\"va"
        "lue\":\"x\"}}],\"explicit_body\":false,\"type\":\"not\"}},{\"index\":1,\"terms\":{\"sy"
        "mbols\":[{\"type\":\"var\",\"value\":\"y\"}]}},{\"index\":2,\"terms\":{\"body\":[{\"in"
        "dex\":0,\"terms\":{\"type\":\"var\",\"value\":\"k\"}}],\"domain\":{\"type\":\"var\",\""
        "value\":\"z\"},\"key\":{\"type\":\"var\",\"value\":\"k\"},\"value\":{\"type\":\"var\","
        "\"value\":\"v\"}},\"with\":[{\"target\":{\"type\":\"ref\",\"value\":[{\"type\":\"var\""
        ",\"value\":\"input\"}]},\"value\":{\"type\":\"array\",\"value\":[{\"type\":\"number\","
        "\"value\":1}]}}]}],\"head\":{\"assign\":true,\"name\":\"p\",\"ref\":[{\"type\":\"var\""
        ",\"value\":\"p\"}],\"value\":{\"type\":\"object\",\"value\":[[{\"type\":\"string\",\"v"
        "alue\":\"a\"},{\"type\":\"null\",\"value\":{}}]]}}}]}",
        __LINE__);
    expect_json(
        "package a\nimport future.keywords\np contains 1 if { x or {y}; not { z; w } } # c\n",
        false,
        "{\"comments\":[{\"Location\":{\"col\":44,\"file\":\"t.rego\",\"row\":3},\"Text\":\"IGM"
        "=\"}],\"imports\":[{\"path\":{\"type\":\"ref\",\"value\":[{\"type\":\"var\",\"value\":"
        "\"future\"},{\"type\":\"string\",\"value\":\"keywords\"}]}}],\"package\":{\"path\":[{"
        "\"type\":\"var\",\"value\":\"data\"},{\"type\":\"string\",\"value\":\"a\"}]},\"rules\""
        ":[{\"body\":[{\"index\":0,\"terms\":{\"explicit_rhs\":true,\"lhs\":[{\"index\":0,\"ter"
        "ms\":{\"type\":\"var\",\"value\":\"x\"}}],\"rhs\":[{\"index\":0,\"terms\":{\"type\":\""
        "var\",\"value\":\"y\"}}],\"type\":\"or\"}},{\"index\":1,\"terms\":{\"body\":[{\"index"
        "\":0,\"terms\":{\"type\":\"var\",\"value\":\"z\"}},{\"index\":1,\"terms\":{\"type\":\""
        "var\",\"value\":\"w\"}}],\"explicit_body\":true,\"type\":\"not\"}}],\"head\":{\"key\":"
        "{\"type\":\"number\",\"value\":1},\"name\":\"p\",\"ref\":[{\"type\":\"var\",\"value\":"
        "\"p\"}]}}]}",
        __LINE__);
    expect_json(
        "package a\nf(x) if $\"a{x}\" == {y: z | [1 | y]} else if { 1 }\ndefault q := false", false,
        "{\"package\":{\"path\":[{\"type\":\"var\",\"value\":\"data\"},{\"type\":\"string\",\"v"
        "alue\":\"a\"}]},\"rules\":[{\"body\":[{\"index\":0,\"terms\":[{\"type\":\"ref\",\"valu"
        "e\":[{\"type\":\"var\",\"value\":\"equal\"}]},{\"type\":\"templatestring\",\"value\":{"
        "\"multi_line\":false,\"parts\":[{\"type\":\"string\",\"value\":\"a\"},{\"index\":0,\"t"
        "erms\":{\"type\":\"var\",\"value\":\"x\"}}]}},{\"type\":\"objectcomprehension\",\"valu"
        "e\":{\"body\":[{\"index\":0,\"terms\":{\"type\":\"arraycomprehension\",\"value\":{\"bo"
        "dy\":[{\"index\":0,\"terms\":{\"type\":\"var\",\"value\":\"y\"}}],\"term\":{\"type\":"
        "\"number\",\"value\":1}}}}],\"key\":{\"type\":\"var\",\"value\":\"y\"},\"value\":{\"ty"
        "pe\":\"var\",\"value\":\"z\"}}}]}],\"else\":{\"body\":[{\"index\":0,\"terms\":{\"type"
        "\":\"number\",\"value\":1}}],\"head\":{\"args\":[{\"type\":\"var\",\"value\":\"x\"}],"
        "\"name\":\"f\",\"ref\":[{\"type\":\"var\",\"value\":\"f\"}],\"value\":{\"type\":\"bool"
        "ean\",\"value\":true}}},\"head\":{\"args\":[{\"type\":\"var\",\"value\":\"x\"}],\"name"
        "\":\"f\",\"ref\":[{\"type\":\"var\",\"value\":\"f\"}],\"value\":{\"type\":\"boolean\","
        "\"value\":true}}},{\"body\":[{\"index\":0,\"terms\":{\"type\":\"boolean\",\"value\":tr"
        "ue}}],\"default\":true,\"head\":{\"assign\":true,\"name\":\"q\",\"ref\":[{\"type\":\"v"
        "ar\",\"value\":\"q\"}],\"value\":{\"type\":\"boolean\",\"value\":false}}}]}",
        __LINE__);
    expect_json(
        "# METADATA\n# title: t\n# authors: [a <b@c>, d]\n# schemas: [{input: schema.x}, {data.y: "
        "{type: string}}]\n"
        "package a\n# METADATA\n# scope: rule\n# custom: {k: [1]}\np := 1",
        false,
        "{\"annotations\":[{\"authors\":[{\"email\":\"b@c\",\"name\":\"a\"},{\"name\":\"d\"}],"
        "\"schemas\":[{\"path\":[{\"type\":\"var\",\"value\":\"input\"}],\"schema\":[{\"type\":"
        "\"var\",\"value\":\"schema\"},{\"type\":\"string\",\"value\":\"x\"}]},{\"definition\":"
        "{\"type\":\"string\"},\"path\":[{\"type\":\"var\",\"value\":\"data\"},{\"type\":\"stri"
        "ng\",\"value\":\"y\"}]}],\"scope\":\"package\",\"title\":\"t\"},{\"custom\":{\"k\":[1]"
        "},\"scope\":\"rule\"}],\"comments\":[{\"Location\":{\"col\":1,\"file\":\"t.rego\",\"ro"
        "w\":1},\"Text\":\"IE1FVEFEQVRB\"},{\"Location\":{\"col\":1,\"file\":\"t.rego\",\"row\""
        ":2},\"Text\":\"IHRpdGxlOiB0\"},{\"Location\":{\"col\":1,\"file\":\"t.rego\",\"row\":3}"
        ",\"Text\":\"IGF1dGhvcnM6IFthIDxiQGM+LCBkXQ==\"},{\"Location\":{\"col\":1,\"file\":\"t."
        "rego\",\"row\":4},\"Text\":\"IHNjaGVtYXM6IFt7aW5wdXQ6IHNjaGVtYS54fSwge2RhdGEueToge3R5c"
        "GU6IHN0cmluZ319XQ==\"},{\"Location\":{\"col\":1,\"file\":\"t.rego\",\"row\":6},\"Text"
        "\":\"IE1FVEFEQVRB\"},{\"Location\":{\"col\":1,\"file\":\"t.rego\",\"row\":7},\"Text\":"
        "\"IHNjb3BlOiBydWxl\"},{\"Location\":{\"col\":1,\"file\":\"t.rego\",\"row\":8},\"Text\""
        ":\"IGN1c3RvbToge2s6IFsxXX0=\"}],\"package\":{\"path\":[{\"type\":\"var\",\"value\":\"d"
        "ata\"},{\"type\":\"string\",\"value\":\"a\"}]},\"rules\":[{\"annotations\":[{\"custom"
        "\":{\"k\":[1]},\"scope\":\"rule\"}],\"body\":[{\"index\":0,\"terms\":{\"type\":\"boole"
        "an\",\"value\":true}}],\"head\":{\"assign\":true,\"name\":\"p\",\"ref\":[{\"type\":\"v"
        "ar\",\"value\":\"p\"}],\"value\":{\"type\":\"number\",\"value\":1}}}]}",
        __LINE__);
}
TEST(values_in_trees_as_json) {
    fresh();
    struct ast_module *m = module("package a\np := 1");
    m->rules[0]->head->value = ast_scalar(h, NULL, ast_term_value(h, term("[1, {2}]")));
    value head = value_get_str(
        value_item(value_get_str(ast_module_json(h, m, true), S("rules")), 0), S("head"));
    struct buf out;
    buf_open(&out, 4096);
    json_text_write(&out, value_get_str(head, S("value")), 0);
    EXPECT_STR(
        buf_str(&out),
        S("{\"type\":\"array\",\"value\":[{\"type\":\"number\",\"value\":1},{\"type\":\"set\",\"v"
          "alue\":[{\"type\":\"number\",\"value\":2}]}]}"));
    buf_close(&out);
}

/* ---- Errors ---- */

TEST(errors_are_sorted_counted_and_written) {
    static const struct ast_file file = {.name = {"b.rego", 6}}, early = {.name = {"a.rego", 6}},
                                 query = {0};
    struct ast_location at[] = {{&file, 2, 1, 0, 0, 0},  {&file, 1, 9, 0, 0, 0},
                                {&early, 9, 1, 0, 0, 0}, {&file, 1, 2, 0, 0, 0},
                                {&file, 1, 2, 0, 0, 0},  {0}};
    struct policy_errors errors;
    struct buf out;
    fresh();
    buf_open(&out, 1 << 16);
    policy_errors_open(&errors, h, 0);
    policy_errors_write(&out, &errors);
    EXPECT_STR(buf_str(&out), S("no error(s)"));
    for (u32 i = 0; i < ARRAY_LEN(at); i++)
        policy_error_add(&errors, i == 4 ? POLICY_PARSE_ERROR : POLICY_TYPE_ERROR, &at[i],
                         "number %u", i);
    policy_error_add(&errors, POLICY_COMPILE_ERROR, NULL, "nowhere");
    policy_errors_sort(&errors);
    buf_clear(&out);
    policy_errors_write(&out, &errors);
    EXPECT_STR(buf_str(&out),
               S("7 errors occurred:\na.rego:9: rego_type_error: number 2\n"
                 "b.rego:1: rego_parse_error: number 4\nb.rego:1: rego_type_error: number 3\n"
                 "b.rego:1: rego_type_error: number 1\nb.rego:2: rego_type_error: number 0\n"
                 "rego_type_error: number 5\nrego_compile_error: nowhere"));
    struct ast_location in_query = {&query, 1, 4, 0, 0, 0};
    policy_errors_open(&errors, h, 0);
    policy_error_show_line(&errors, policy_error_add(&errors, EVAL_CONFLICT_ERROR, &in_query, "x"),
                           S("\tp = }  \n"), 7);
    buf_clear(&out);
    policy_errors_write(&out, &errors);
    EXPECT_STR(buf_str(&out),
               S("1 error occurred: 1:4: eval_conflict_error: x\n\tp = }  \n\t    ^"));
    buf_clear(&out);
    json_text_write(&out, policy_errors_json(h, &errors), 0);
    EXPECT_STR(
        buf_str(&out),
        S("[{\"code\":\"eval_conflict_error\",\"details\":{\"idx\":5,\"line\":\"\\tp = }  \"},"
          "\"location\":{\"col\":4,\"file\":\"\",\"row\":1},\"message\":\"x\"}]"));
    policy_error_show_line(&errors, &errors.items[0], S(""), 0);
    buf_close(&out);
}
TEST(errors_end_at_a_limit) {
    struct policy_errors errors;
    fresh();
    policy_errors_open(&errors, h, 2);
    EXPECT(policy_error_add(&errors, POLICY_TYPE_ERROR, NULL, "a"));
    EXPECT(policy_error_add(&errors, POLICY_TYPE_ERROR, NULL, "b"));
    policy_error_add(&errors, POLICY_TYPE_ERROR, NULL, "c");
    EXPECT(!policy_error_add(&errors, POLICY_TYPE_ERROR, NULL, "d"));
    EXPECT_EQ(errors.count, 3);
    EXPECT_STR(errors.items[2].message, S("error limit reached"));
}
TEST(errors_have_codes) {
    EXPECT_STR(str_from_c(policy_code_name(POLICY_PARSE_ERROR)), S("rego_parse_error"));
    EXPECT_STR(str_from_c(policy_code_name(EVAL_WITH_MERGE_ERROR)), S("eval_with_merge_error"));
}

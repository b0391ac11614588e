/* SPDX-License-Identifier: Apache-2.0 */
/* From policies to answers: the planner and the machine together, by the language's own constructs;
 * then limits, exhausted memory, and that evaluators may be used again. */
#include "app/policy/machine/run.c"
#include "app/policy/policy.h"
#include "app/policy/value/json_text.h"
#include "tests/test.h"

struct world {
    struct heap heap;
    struct policy_errors errors;
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct policy_ask ask;
    struct buf text;
};

static void world_open(struct world *w, const char *policy) {
    *w = (struct world){0};
    heap_open(&w->heap, MIB(64));
    policy_errors_open(&w->errors, &w->heap, 10);
    buf_open(&w->text, MIB(1));
    struct policy_source source = {S("test.rego"), str_from_c(policy)};
    struct policy_load_options o = {0};
    EXPECT_OK(policy_load(&source, 1, &o, &w->program, &w->errors));
    for (u32 i = 0; i < w->errors.count; i++)
        test_fail(__FILE__, __LINE__, "%.*s", STR(w->errors.items[i].message));
    EXPECT_OK(policy_evaluator_open(&w->evaluator, MIB(16)));
    w->ask = (struct policy_ask){.data = value_empty_object(), .data_version = 1};
}

static void world_close(struct world *w) {
    policy_evaluator_close(w->evaluator);
    policy_drop(w->program);
    buf_close(&w->text);
    heap_close(&w->heap);
}

static value json(struct world *w, const char *text) {
    value v = UNDEFINED;
    struct diag why;
    EXPECT_OK(json_text_read(&w->heap, NULL, str_from_c(text), &v, &why));
    return v;
}

/* The rows' bindings, or an error's message. */
static str answer(struct world *w, const char *query) {
    struct policy_query *q = NULL;
    struct policy_answer a;
    struct policy_error error = {0};
    buf_clear(&w->text);
    w->errors.count = 0;
    if (policy_prepare(w->program, str_from_c(query), &q, &w->errors))
        return w->errors.count ? w->errors.items[0].message : S("refused");
    rc_t rc = policy_ask(w->evaluator, q, &w->ask, &a, &error);
    if (rc) EXPECT_OK(buf_add(&w->text, error.message));
    for (u32 i = 0; !rc && i < a.count; i++) {
        if (i) EXPECT_OK(buf_add(&w->text, S(" ")));
        value_write(&w->text, a.results[i].bindings);
    }
    policy_query_drop(q);
    return buf_str(&w->text);
}

#define POLICY "package t\n"
/* The document data.t.p of a policy. */
static void expect_p(const char *file, int line, const char *policy, const char *data, const char *input,
                     const char *want) {
    struct world w;
    struct buf text;
    buf_open(&text, MIB(1));
    EXPECT_OK(buf_printf(&text, POLICY "%s\n", policy));
    EXPECT_OK(buf_add_byte(&text, 0));
    world_open(&w, text.ptr);
    if (data) w.ask.data = json(&w, data);
    w.ask.input = input ? json(&w, input) : UNDEFINED;
    for (int round = 0; w.program && round < 3; round++) { /* the same again with what was remembered */
        str got = answer(&w, "data.t.p = x");
        if (str_starts(got, S("{\"x\": ")))
            got = (str){got.ptr + 6, got.len - 7};
        if (!str_eq(got, str_from_c(want)))
            test_fail(file, line, "%s is \"%.*s\", not \"%s\"", policy, STR(got), want);
    }
    world_close(&w);
    buf_close(&text);
}
#define P(policy, want) expect_p(__FILE__, __LINE__, policy, NULL, NULL, want)
#define PD(policy, data, want) expect_p(__FILE__, __LINE__, policy, data, NULL, want)
#define PI(policy, input, want) expect_p(__FILE__, __LINE__, policy, NULL, input, want)

TEST(machine_complete_rules) {
    P("p := 1", "1");
    P("p if false", "");
    P("default p := 2\np := 1 if false", "2");
    P("p := 1 if true\np := 1 if true", "1");
    P("p := 1 if true\np := 2 if true", "complete rules must not produce multiple outputs");
    P("p := x if { some x in [1, 2] }", "complete rules must not produce multiple outputs");
    P("p := 1 if { false } else := 2 if { true } else := 3", "2");
    P("p := 1 if { false } else := 3\np := 3 if true", "3");
    P("p := q + 1\nq := r + 1\nr := 1", "3");
    PI("p if input.a == 1", "{\"a\": 1}", "true");
    PI("p if input.a == 1", "{\"a\": 2}", "");
    PI("p if not input.a", "{\"a\": false}", "true");
    PI("p if input.a", "{\"a\": false}", "");
    PI("p if input.a.b", "{\"a\": {\"b\": null}}", "true");
}

TEST(machine_iteration) {
    PD("p := [x | some x in data.xs]", "{\"xs\": [3, 1, 2]}", "[3, 1, 2]");
    PD("p := {k: v | some k, v in data.o}", "{\"o\": {\"b\": 1, \"a\": 2}}", "{\"a\": 2, \"b\": 1}");
    PD("p := {k | data.o[k] > 1}", "{\"o\": {\"b\": 1, \"a\": 2}}", "{\"a\"}");
    PD("p := [[i, j] | data.m[i][j] == 2]", "{\"m\": [[1, 2], [2, 2]]}", "[[0, 1], [1, 0], [1, 1]]");
    P("p := [x | x := {1, 2, 3}[_]; x > 1]", "[2, 3]");
    P("p if { every x in [1, 2] { x > 0 } }", "true");
    P("p if { every x in [1, 2] { x > 1 } }", "");
    P("p if { every x in [] { x > 1 } }", "true");
    P("p if { every k, v in {\"a\": 1} { k == \"a\"; v == 1 } }", "true");
    P("p if { 2 in [1, 2] }", "true");
    P("p if { not 3 in {1, 2} }", "true");
    P("p if { \"k\", 1 in {\"k\": 1} }", "true");
    P("p := count([1 | some x in numbers.range(1, 100); x % 2 == 0])", "50");
    P("p := {x: y | some x in [1, 1]; some y in [1, 2]}", "object keys must be unique");
}

TEST(machine_unification) {
    P("p := [x, y] if { [x, [y, 2]] = [1, [3, 2]] }", "[1, 3]");
    P("p := x if { {\"a\": x, \"b\": 2} = {\"b\": 2, \"a\": 7} }", "7");
    PI("p if { {\"a\": 1} = input }", "{\"a\": 1, \"b\": 2}", "");
    PI("p := x if { {\"a\": x} = input }", "{\"a\": 1}", "1");
    P("p := x if { [x, y] = [y, 1] }", "1");
    P("p := x if { [x, y, z] = [y, z, 5] }", "5");
    P("p := x if { [x, x] = [1, 1] }", "1");
    P("p := x if { [x, x] = [1, 2] }", "");
    /* A key that is a set with something unknown in it is no member: what follows is never reached. */
    P("p if { d = q[{2, a}]; every v in d { v != a }; a = 1 }\nq contains {1, 2}", "");
    P("p := {c | d = q[{2, [a]}]; not d[a]; c = 1; a = 1 }\nq contains {2, [1]}", "set()");
    PD("p := [i | data.xs[i] = [i, _]]", "{\"xs\": [[0, 1], [5, 1], [2, 2]]}", "[0, 2]");
    PD("p := {x | [x, 1] = data.xs[_]}", "{\"xs\": [[3, 1], [5, 2], 7, [4, 1]]}", "{3, 4}");
}

TEST(machine_partial_rules) {
    P("p contains x if { some x in [1, 2] }\np contains 3", "{1, 2, 3}");
    P("p[k] := v if { some k, v in [5, 6] }", "{0: 5, 1: 6}");
    P("p[k] := v if { some k in [1, 1]; some v in [1, 2] }", "object keys must be unique");
    P("p := q[1]\nq[k] := v if { some k, v in [5, 6] }", "6");
    P("p := q[1]\nq[k] := v if { k := 1; some v in [5, 6] }", "object keys must be unique");
    P("p if q[2]\nq contains x if { some x in [1, 2] }", "true");
    P("p := [x | q[x]]\nq contains x if { some x in [2, 1] }", "[1, 2]");
    P("p := q\nq[x].b := 1 if { some x in [1, 2] }\nq.z.c := 3", "{1: {\"b\": 1}, 2: {\"b\": 1}, \"z\": {\"c\": 3}}");
    P("p := q[1].b\nq[x].b := x if { some x in [1, 2] }", "1");
    P("p := q\nq[x] contains y if { some x in [1, 2]; some y in [x, 3] }", "{1: {1, 3}, 2: {2, 3}}");
    P("p if q[1][3]\nq[x] contains y if { some x in [1, 2]; some y in [x, 3] }", "true");
    P("p := q\nq.a := 1\nq[x].b := 2 if { x := \"a\" }", "object keys must be unique");
    P("p := {x: y | q[x] = y}\nq[x] := y if { some x, y in {\"a\": 1, \"b\": 2} }", "{\"a\": 1, \"b\": 2}");
}

TEST(machine_functions) {
    P("p := f(2)\nf(x) := x * 2", "4");
    P("p := f(1)\nf(1) := \"one\"\nf(2) := \"two\"", "\"one\"");
    P("p := f(3)\nf(1) := \"one\"\nf(2) := \"two\"", "");
    P("p := f([1, 2])\nf([x, y]) := x + y", "3");
    P("p := f(3)\ndefault f(_) := 9\nf(1) := 1", "9");
    P("p := f(3)\nf(x) := 1\nf(x) := 2", "functions must not produce multiple outputs for same inputs");
    P("p := f(1)\nf(x) := 1 if { x > 1 } else := 2", "2");
    P("p if { f(1) }\nf(x) if { x == 2 }", "");
    P("p if { not f(1) }\nf(x) := false", "true");
    P("p := [f(x) | some x in [1, 2, 1]]\nf(x) := x + 1", "[2, 3, 2]");
}

TEST(machine_with) {
    P("p if { q with input as {\"a\": 1} }\nq if input.a == 1", "true");
    P("p := [x | some i in [1, 2]; x := q with input.a as i]\nq := input.a + 1", "[2, 3]");
    P("p := [q, r] if { r := q with input as 3 }\ndefault q := 0\nq := input", "[0, 3]");
    PD("p := x if { x := data.a.b with data.a.b as 5 }", "{\"a\": {\"b\": 1}}", "5");
    PD("p := x if { x := data.a with data.a.b as 5 }", "{\"a\": {\"b\": 1, \"c\": 2}}", "{\"b\": 5, \"c\": 2}");
    P("p := x if { x := q with data.t.q as 7 }\nq := 1", "7");
    P("p := x if { x := f(1) with f as 7 }\nf(x) := x", "7");
    P("p := x if { x := f(1) with f as g }\nf(x) := x\ng(x) := x + 10", "11");
    P("p := x if { x := count([1]) with count as f }\nf(x) := 42", "42");
    P("p := x if { x := f(1) with f as count }\nf(x) := x", "");
    P("p := [x, y] if { x := {i | q[i]} with input as [1, 2]; y := count(q) with input as [] }\n"
      "q contains x if { some x in input }", "[{1, 2}, 0]");
    P("p := [x | x = q[_] with data.t.q as [1, 2]]\nq := [9]", "[1, 2]");
    P("p if { not q with input as 1 }\nq if input == 2", "true");
}

TEST(machine_documents) {
    PD("p := data.b", "{\"b\": {\"x\": 1}}", "{\"x\": 1}");
    PD("p := {k | data.b[k]}", "{\"b\": {\"x\": 1, \"y\": 2}}", "{\"x\", \"y\"}");
    P("p := x if { x := data.t.q }\nq := {\"a\": 1}", "{\"a\": 1}");
    struct world w;
    world_open(&w, "package a.b\nq := 1\nr contains 2\nf(x) := x\nu if false");
    w.ask.data = json(&w, "{\"a\": {\"z\": 0, \"b\": {\"y\": 3}}}");
    EXPECT_STR(answer(&w, "data.a = x"), S("{\"x\": {\"b\": {\"q\": 1, \"r\": {2}, \"y\": 3}, \"z\": 0}}"));
    EXPECT_STR(answer(&w, "data.a.b[x]"), S("{\"x\": \"y\"} {\"x\": \"q\"} {\"x\": \"r\"}"));
    EXPECT_STR(answer(&w, "data.a[x].q = y"), S("{\"x\": \"b\", \"y\": 1} {\"x\": \"b\", \"y\": 1}"));
    EXPECT_STR(answer(&w, "data.a.b.r[2]; x := 1"), S("{\"x\": 1}"));
    EXPECT_STR(answer(&w, "data.a.b.u"), S(""));
    EXPECT_STR(answer(&w, "data.a.b.q > 5"), S("{}"));
    EXPECT_STR(answer(&w, "data.a.b.q > 5; true"), S(""));
    world_close(&w);
}

/* Enough rules for an index; each answer as without one. */
TEST(machine_rule_index) {
    struct buf text;
    struct world w;
    buf_open(&text, MIB(1));
    EXPECT_OK(buf_add(&text, S("package t\n")));
    for (int i = 0; i < 40; i++) {
        EXPECT_OK(buf_printf(&text, "eq contains %d if { input.a == \"k%d\"; input.b == %d }\n", i, i % 8, i % 5));
        EXPECT_OK(buf_printf(&text, "pre contains %d if startswith(input.path, \"%.*s\")\n", i, 1 + i % 6, "/a/b/c"));
        EXPECT_OK(buf_printf(&text, "suf contains %d if endswith(input.path, \"%.*s\")\n", i, 1 + i % 3, "c/b"));
        EXPECT_OK(buf_printf(&text, "mem contains %d if input.b in {%d, %d}\n", i, i, i + 1));
        EXPECT_OK(buf_printf(&text, "f(%d) := \"n%d\"\n", i, i));
    }
    EXPECT_OK(buf_add(&text, S("mem contains 99 if input.a\neq contains 99 if true\ng := f(input.b)\n")));
    EXPECT_OK(buf_add_byte(&text, 0));
    world_open(&w, text.ptr);
    w.ask.input = json(&w, "{\"a\": \"k3\", \"b\": 3, \"path\": \"/a/b\"}");
    EXPECT_STR(answer(&w, "data.t.eq = x"), S("{\"x\": {3, 99}}"));
    EXPECT_STR(answer(&w, "data.t.mem = x"), S("{\"x\": {2, 3, 99}}"));
    EXPECT_STR(answer(&w, "count(data.t.pre, x)"), S("{\"x\": 28}"));
    EXPECT_STR(answer(&w, "data.t.g = x"), S("{\"x\": \"n3\"}"));
    w.ask.input = json(&w, "{\"b\": 3.0, \"path\": \"c/b\"}");
    EXPECT_STR(answer(&w, "data.t.eq = x"), S("{\"x\": {99}}"));
    EXPECT_STR(answer(&w, "data.t.mem = x"), S("{\"x\": {2, 3}}"));
    EXPECT_STR(answer(&w, "count(data.t.pre, x)"), S("{\"x\": 0}"));
    EXPECT_STR(answer(&w, "data.t.g = x"), S("{\"x\": \"n3\"}"));
    w.ask.input = UNDEFINED;
    EXPECT_STR(answer(&w, "data.t.eq = x"), S("{\"x\": {99}}"));
    EXPECT_STR(answer(&w, "data.t.suf = x"), S("{\"x\": set()}"));
    world_close(&w);
    buf_close(&text);
}

/* The third question uses the index the second made; without a version there is none. */
TEST(machine_data_index) {
    struct world w;
    struct buf text;
    buf_open(&text, MIB(1));
    world_open(&w, "package t\n"
                   "eq contains r.id if { some r in data.rows; r.m == input.m }\n"
                   "pre contains r.id if { some r in data.rows; startswith(input.path, r.p) }\n"
                   "mem contains r.id if { some r in data.rows; input.m in r.s }\n");
    EXPECT_OK(buf_add(&text, S("{\"rows\": [")));
    for (int i = 0; i < 100; i++)
        EXPECT_OK(buf_printf(&text, "%s{\"id\": %d, \"m\": %d, \"p\": \"/%d\", \"s\": [%d, %d]}", i ? "," : "", i, i % 50, i, i, i + 1));
    EXPECT_OK(buf_add(&text, S(",{\"id\": 100}, 7, {\"id\": 101, \"m\": [1], \"p\": 1, \"s\": 1}]}")));
    EXPECT_OK(buf_add_byte(&text, 0));
    w.ask.data = json(&w, text.ptr);
    w.ask.input = json(&w, "{\"m\": 3, \"path\": \"/42/x\"}");
    for (int version = 1; version >= 0; version--) {
        w.ask.data_version = (u64)version;
        for (int round = 0; round < 4; round++) {
            EXPECT_STR(answer(&w, "data.t.eq = x"), S("{\"x\": {3, 53}}"));
            EXPECT_STR(answer(&w, "data.t.pre = x"), S("{\"x\": {4, 42}}"));
            EXPECT_STR(answer(&w, "data.t.mem = x"), S("{\"x\": {2, 3}}"));
        }
    }
    w.ask.data_version = 2;
    w.ask.input = json(&w, "{\"m\": [1]}");
    for (int round = 0; round < 3; round++) EXPECT_STR(answer(&w, "data.t.eq = x"), S("{\"x\": {101}}"));
    world_close(&w);
    buf_close(&text);
}

static bool stop_now(void *arg) { return ++*(int *)arg > 1; }
static u64 late(void) { return 1000; }

/* What is asked for each of a loop is gone over once: each turn would cost as many steps. */
TEST(machine_groups) {
    struct world w;
    world_open(&w, "package t\n"
                   "pairs := [{\"a\": x % 10, \"b\": x} | some x in numbers.range(1, 1000)]\n"
                   "by[k] := n if { some k in numbers.range(1, 100); l := [p.b | some p in pairs; "
                   "p.a == k]; n := count(l) }\n"
                   "same[k] := n if { some k in numbers.range(1, 100); l := {i | pairs[i].a = k}; "
                   "n := count(l) }\n"
                   "plain[k] := n if { some k in numbers.range(1, 100); l := [p.b | some p in pairs; "
                   "p.a == k; not p.b == 7]; n := count(l) }\n");
    w.ask.limits.steps_max = 20000;
    EXPECT_STR(answer(&w, "x := [data.t.by[1], data.t.by[9], data.t.by[10]]; count(data.t.by, 100)"),
               S("{\"x\": [100, 100, 0]}"));
    EXPECT_STR(answer(&w, "x := [data.t.same[1], data.t.same[9], data.t.same[10]]; "
                          "count(data.t.same, 100)"),
               S("{\"x\": [100, 100, 0]}"));
    EXPECT_STR(answer(&w, "count(data.t.plain, x)"),
               S("the steps allowed for a query are used up"));
    world_close(&w);
    PI("p := [[x, ys] | some x in [1, \"b\", 1.0, 7]; ys := [k | input.m[k] == x]]",
       "{\"m\": {\"a\": 1, \"b\": \"b\", \"c\": 1.0}}",
       "[[1, [\"a\", \"c\"]], [\"b\", [\"b\"]], [1.0, [\"a\", \"c\"]], [7, []]]");
    PI("p := {x: ys | some x in input.xs; ys := {e.to | some e in input.es; e.from == x}}",
       "{\"xs\": [1, 2], \"es\": [{\"from\": 1, \"to\": 2}, {\"from\": 1, \"to\": 3}, {\"to\": 1}]}",
       "{1: {2, 3}, 2: set()}");
    PI("q[x] := n if { some x in [1, 2]; l := [y | input.m[y] = x]; n := count(l) }\n"
       "p := [q[2], q] if q[1] == 2",
       "{\"m\": {\"a\": 1, \"b\": 2, \"c\": 1}}", "[1, {1: 2, 2: 1}]");
    PI("p := [l | some x in [1, 2]; l := [y | input.m[y] = x] with input as {\"m\": [x]}]",
       "{\"m\": {\"a\": 1}}", "[[0], [0]]");
}

TEST(machine_limits) {
    struct world w;
    world_open(&w, "package t\np := [x | some x in numbers.range(1, 100); some y in numbers.range(1, 1000)]\n"
                   "big := [[x, y] | some x in numbers.range(1, 300); some y in numbers.range(1, 300)]\n");
    w.ask.limits.steps_max = 5000;
    EXPECT_STR(answer(&w, "data.t.p = x"), S("the steps allowed for a query are used up"));
    w.ask.limits.steps_max = 0, w.ask.limits.bytes_max = 100000;
    EXPECT_STR(answer(&w, "data.t.big = x"), S("the memory allowed for a query is used up"));
    w.ask.limits.bytes_max = MIB(64), w.ask.limits.deadline_ns = 500, w.ask.clock_ns = late;
    EXPECT_STR(answer(&w, "data.t.p = x"), S("context deadline exceeded"));
    int asked = 0;
    w.ask.limits.deadline_ns = 0, w.ask.cancelled = stop_now, w.ask.arg = &asked;
    EXPECT_STR(answer(&w, "data.t.p = x"), S("caller cancelled query execution"));
    w.ask.cancelled = NULL;
    EXPECT_STR(answer(&w, "count(data.t.p, x)"), S("{\"x\": 100000}"));
    world_close(&w);
}

/* The query is gone when its errors are told. */
TEST(machine_errors_outlive_the_query) {
    struct world w;
    struct policy_query *q = NULL;
    char query[64];
    world_open(&w, "package t\n");
    snprintf(query, sizeof query, "x = [1, 2");
    EXPECT_RC(policy_prepare(w.program, str_from_c(query), &q, &w.errors), RC_INVALID);
    memset(query, '!', sizeof query);
    policy_errors_write(&w.text, &w.errors);
    EXPECT_STR(buf_str(&w.text),
               S("1 error occurred: 1:9: rego_parse_error: unexpected eof token: expected \",\" or "
                 "\"]\"\n\tx = [1, 2\n\t        ^"));
    world_close(&w);
}

/* However little memory there is, the answer is an error or right. */
TEST(machine_survives_any_heap) {
    struct world w;
    world_open(&w, "package t\np[x] contains [x, y, z] if { some x in [1, 2]; some y in {3, 4}; z := {x: y} }\n"
                   "q := {k: v | some k, v in p with input as {\"a\": [1, 2, 3]}}\n");
    for (size_t bytes = 64; bytes < 40000; bytes += 208) {
        w.ask.limits.bytes_max = bytes;
        str got = answer(&w, "data.t.q = x");
        if (!str_starts(got, S("{\"x\": {1: {[1, 3, {1: 3}]")) &&
            !str_eq(got, S("the memory allowed for a query is used up")))
            test_fail(__FILE__, __LINE__, "%zu bytes: %.*s", bytes, STR(got));
    }
    world_close(&w);
}

TEST(machine_program_survives_any_heap) {
    struct policy_source source = {S("a.rego"), S("package t\np[x] := y if { some x, y in input }\n"
                                                 "f(1) := 2\nq if { not p[f(1)] with input as [3] }\n")};
    for (size_t bytes = 64; bytes < 400000; bytes += bytes / 8 + 100) {
        struct heap h;
        struct policy_errors errors;
        struct policy_program *p = NULL;
        heap_open(&h, MIB(1));
        policy_errors_open(&errors, &h, 10);
        struct policy_load_options o = {.bytes_max = bytes};
        rc_t rc = policy_load(&source, 1, &o, &p, &errors);
        if (rc == RC_OK) policy_drop(p);
        else EXPECT(errors.count > 0);
        heap_close(&h);
    }
}

TEST(machine_decides_paths) {
    struct world w;
    world_open(&w, "package t\np if input.ok\nq[x] := 1 if { some x in [1, 2] }\nf(x) := x");
    w.ask.data = json(&w, "{\"d\": [10, 20]}");
    w.ask.input = json(&w, "{\"ok\": true}");
    static const struct { const char *path[3]; const char *want; } cases[] = {
        {{"t", "p"}, "true"}, {{"t", "q"}, "{1: 1, 2: 1}"}, {{"d"}, "[10, 20]"},
        {{"t", "f"}, ""},     {{"none"}, ""},              {{"t"}, "{\"p\": true, \"q\": {1: 1, 2: 1}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        value keys[3], v;
        u32 n = 0;
        struct policy_query *q;
        struct policy_error error;
        while (n < 3 && cases[i].path[n]) {
            keys[n] = value_string_c(&w.heap, cases[i].path[n]);
            n++;
        }
        EXPECT_OK(policy_prepare_path(w.program, keys, n, &q, &w.errors));
        EXPECT_OK(policy_decide(w.evaluator, q, &w.ask, &v, &error));
        buf_clear(&w.text);
        if (value_defined(v)) value_write(&w.text, v);
        EXPECT_STR(buf_str(&w.text), str_from_c(cases[i].want));
        policy_query_drop(q);
    }
    world_close(&w);
}

static struct buf told;
static void tell_line(struct policy_trace *t, const struct policy_event *e) {
    (void)t;
    EXPECT_OK(buf_printf(&told, "%c%u ", "EXVRFNI"[e->op], e->at ? e->at->row : 0));
}

TEST(machine_tells) {
    struct world w = {0};
    struct policy_trace trace = {.event = tell_line};
    heap_open(&w.heap, MIB(8));
    policy_errors_open(&w.errors, &w.heap, 10);
    buf_open(&w.text, MIB(1)), buf_open(&told, MIB(1));
    struct policy_source source = {S("a.rego"), S("package t\np if {\n some x in [1, 2]\n x > 1\n}\nq if {\n p\n input.a\n}\n")};
    struct policy_load_options o = {.trace = true};
    EXPECT_OK(policy_load(&source, 1, &o, &w.program, &w.errors));
    EXPECT_OK(policy_evaluator_open(&w.evaluator, MIB(1)));
    w.ask = (struct policy_ask){.data = value_empty_object(), .trace = &trace};
    EXPECT_STR(answer(&w, "data.t.q"), S(""));
    EXPECT_STR(buf_str(&told), S("I0 E6 V7 I0 E2 V3 V3 V4 F4 R3 V4 X2 V8 F8 R7 "));
    buf_close(&told);
    world_close(&w);
}

/* Bodies have numbers; what is bound is told by the name it was written with. */
static void tell_bodies(struct policy_trace *t, const struct policy_event *e) {
    (void)t;
    EXPECT_OK(buf_printf(&told, "%c%u<%u", "EXVRFNI"[e->op], e->query, e->parent));
    for (u32 i = 0; i < e->local_count; i++) {
        if (str_starts(e->locals[i].written, S("__local")) || !value_defined(e->locals[i].v)) continue;
        EXPECT_OK(buf_printf(&told, " %.*s=", STR(e->locals[i].written)));
        value_write(&told, e->locals[i].v);
    }
    EXPECT_OK(buf_add(&told, S("; ")));
}

TEST(machine_tells_bodies_and_locals) {
    struct world w = {0};
    struct policy_trace trace = {.event = tell_bodies, .locals = true};
    heap_open(&w.heap, MIB(8));
    policy_errors_open(&w.errors, &w.heap, 10);
    buf_open(&told, MIB(1));
    struct policy_source source = {S("a.rego"), S("package t\nf(x) := y if { y := x }\n")};
    struct policy_load_options o = {.trace = true};
    struct policy_query_options with = {.trace = true};
    struct policy_query *q;
    struct policy_answer a;
    struct policy_error error = {0};
    EXPECT_OK(policy_load(&source, 1, &o, &w.program, &w.errors));
    EXPECT_OK(policy_evaluator_open(&w.evaluator, MIB(1)));
    EXPECT_OK(policy_prepare_with(w.program, S("not data.t.f(1) = 2; z := 3"), &with, &q, &w.errors));
    w.ask = (struct policy_ask){.data = value_empty_object(), .trace = &trace};
    EXPECT_OK(policy_ask(w.evaluator, q, &w.ask, &a, &error));
    EXPECT_STR(buf_str(&told),
               S("E0<0; V0<0; I0<0; E1<0 x=1; V1<0 x=1; X1<0 x=1 y=1; R1<0 x=1 y=1; V0<0; E2<0; V2<0; "
                 "F2<0; V0<0; X0<0 z=3; R0<0 z=3; R0<0 z=3; R0<0; R0<0; "));
    policy_query_drop(q);
    buf_close(&told);
    policy_evaluator_close(w.evaluator);
    policy_drop(w.program);
    heap_close(&w.heap);
}

TEST(machine_bounds_paths_and_patterns) {
    struct buf text;
    struct world w;
    buf_open(&text, MIB(1));
    EXPECT_OK(buf_add(&text, S("package a")));
    for (int i = 0; i < POLICY_PATH_DEPTH_MAX + 5; i++) EXPECT_OK(buf_add(&text, S(".a")));
    EXPECT_OK(buf_add(&text, S("\np := 1\n")));
    struct policy_source source = {S("deep.rego"), buf_str(&text)};
    struct policy_load_options o = {0};
    struct policy_program *p = NULL;
    world_open(&w, "package t\np := count({x | some i in numbers.range(1, 30000); x := regex.match(sprintf(\"a%d\", [i]), \"a\")})");
    EXPECT_RC(policy_load(&source, 1, &o, &p, &w.errors), RC_INVALID);
    w.ask.limits.bytes_max = MIB(256);
    EXPECT_STR(answer(&w, "data.t.p = x"), S("too many patterns and keys are used in one query"));
    EXPECT_STR(answer(&w, "regex.match(\"b\", \"b\") = x"), S("{\"x\": true}"));
    world_close(&w);
    buf_close(&text);
}

static void keep_told(void *arg, const struct policy_error *e) {
    buf_clear(arg);
    EXPECT_RC(buf_add(arg, e->message), RC_OK);
}

/* Whether anybody reads why a call failed changes from question to question. */
TEST(machine_words_of_a_failed_call) {
    struct world w;
    struct buf words;
    buf_open(&words, KIB(1));
    world_open(&w, "package t\nends if endswith(input.n, \"y\")\n"
                   "web := http.send({\"method\": \"get\", \"url\": \"http://x/\", "
                   "\"raise_error\": false}).error.message\n"
                   "whole := internal.template_string([{1, 2}])");
    w.ask.input = json(&w, "{\"n\": 1, \"xs\": [1, 2]}");
    for (u32 i = 0; i < 3; i++) {
        w.ask.strict_errors = false, w.ask.builtin_error = NULL;
        EXPECT_STR(answer(&w, "data.t.ends = x"), S(""));
        EXPECT_STR(answer(&w, "data.t.whole = x"),
                   S("internal.template_string: "
                     "template-strings must not produce multiple outputs"));
        EXPECT_STR(answer(&w, "data.t.web = x"),
                   S("{\"x\": \"Get \\\"http://x/\\\": this evaluation may not send requests\"}"));
        w.ask.builtin_error = keep_told, w.ask.arg = &words;
        EXPECT_STR(answer(&w, "data.t.ends = x"), S(""));
        EXPECT_STR(buf_str(&words), S("endswith: operand 1 must be string but got number"));
        w.ask.builtin_error = NULL, w.ask.strict_errors = true;
        EXPECT_STR(answer(&w, "data.t.ends = x"),
                   S("endswith: operand 1 must be string but got number"));
    }
    world_close(&w);
    buf_close(&words);
}

TEST(machine_strict_errors) {
    struct world w;
    world_open(&w, "package t\np := x if { x := 1 / input.n }\ndefault q := 3\nq := p");
    w.ask.input = json(&w, "{\"n\": 0}");
    EXPECT_STR(answer(&w, "data.t.q = x"), S("{\"x\": 3}"));
    w.ask.strict_errors = true;
    EXPECT_STR(answer(&w, "data.t.q = x"), S("div: divide by zero"));
    world_close(&w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations: the order of steps, what each mode keeps, the text and both JSON forms, and what
 * is left when memory runs out. */
#include "app/policy/trace_record.c"
#include "app/policy/policy.h"
#include "app/policy/value/json_text.h"
#include "tests/test.h"

struct recorded {
    struct heap heap;
    struct policy_errors errors;
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct policy_query *query;
    struct policy_record record;
    struct buf text;
};

static void recorded_open(struct recorded *w, const char *policy, const char *query, size_t bytes_max) {
    struct policy_source source = {S("a.rego"), str_from_c(policy)};
    struct policy_load_options o = {.trace = true};
    struct policy_query_options q = {.trace = true};
    struct policy_answer a;
    struct policy_error error = {0};
    *w = (struct recorded){0};
    heap_open(&w->heap, MIB(16));
    buf_open(&w->text, MIB(1));
    policy_errors_open(&w->errors, &w->heap, 10);
    policy_record_open(&w->record, bytes_max);
    EXPECT_OK(policy_load(&source, 1, &o, &w->program, &w->errors));
    EXPECT_OK(policy_evaluator_open(&w->evaluator, MIB(4)));
    EXPECT_OK(policy_prepare_with(w->program, str_from_c(query), &q, &w->query, &w->errors));
    struct policy_ask ask = {.data = value_empty_object(), .trace = &w->record.trace};
    EXPECT_OK(policy_ask(w->evaluator, w->query, &ask, &a, &error));
}

static void recorded_close(struct recorded *w) {
    policy_record_close(&w->record);
    policy_query_drop(w->query);
    policy_evaluator_close(w->evaluator);
    policy_drop(w->program);
    buf_close(&w->text);
    heap_close(&w->heap);
}

static void expect_text(struct recorded *w, enum policy_explain mode, const char *want) {
    policy_record_finish(&w->record, mode);
    buf_clear(&w->text);
    policy_record_write(&w->text, &w->record, false);
    EXPECT_STR(buf_str(&w->text), str_from_c(want));
}

TEST(record_shows_what_called_first) {
    struct recorded w;
    recorded_open(&w, "package t\np := q if { r }\nq := 1\nr if { not s }\ns if { input.s }\n", "data.t.p", 0);
    expect_text(&w, POLICY_EXPLAIN_FULL,
                "query:1      Enter data.t.p = _\n"
                "query:1      | Eval data.t.p = _\n"
                "query:1      | Index data.t.p (matched 1 rule)\n"
                "a.rego:2     | Enter data.t.p\n"
                "a.rego:2     | | Eval data.t.r\n"
                "a.rego:2     | | Index data.t.r (matched 1 rule, early exit)\n"
                "a.rego:4     | | Enter data.t.r\n"
                "a.rego:4     | | | Eval not data.t.s\n"
                "a.rego:4     | | | Enter data.t.s\n"
                "a.rego:4     | | | | Eval data.t.s\n"
                "a.rego:4     | | | | Index data.t.s (matched 1 rule, early exit)\n"
                "a.rego:5     | | | | Enter data.t.s\n"
                "a.rego:5     | | | | | Eval input.s\n"
                "a.rego:5     | | | | | Fail input.s\n"
                "a.rego:4     | | | | Fail data.t.s\n"
                "a.rego:4     | | | Exit data.t.r early\n"
                "a.rego:2     | | Eval __local0__ = data.t.q\n"
                "a.rego:2     | | Index data.t.q (matched 1 rule, early exit)\n"
                "a.rego:3     | | Enter data.t.q\n"
                "a.rego:3     | | | Eval true\n"
                "a.rego:3     | | | Exit data.t.q early\n"
                "a.rego:2     | | Exit data.t.p\n"
                "query:1      | Exit data.t.p = _\n"
                "query:1      Redo data.t.p = _\n"
                "query:1      | Redo data.t.p = _\n"
                "a.rego:2     | Redo data.t.p\n"
                "a.rego:2     | | Redo __local0__ = data.t.q\n"
                "a.rego:3     | | Redo data.t.q\n"
                "a.rego:3     | | | Redo true\n"
                "a.rego:2     | | Redo data.t.r\n"
                "a.rego:4     | | Redo data.t.r\n");
    expect_text(&w, POLICY_EXPLAIN_OFF, "");
    recorded_close(&w);
}

TEST(record_chooses) {
    struct recorded w;
    recorded_open(&w, "package t\np contains x if { some x in [1, 2]; trace(\"a\"); x > 1 }\n", "data.t.p", 0);
    expect_text(&w, POLICY_EXPLAIN_FAILS,
                "query:1      Enter data.t.p = _\n"
                "a.rego:2     | Enter data.t.p\n"
                "a.rego:2     | | Fail gt(x, 1)\n");
    expect_text(&w, POLICY_EXPLAIN_NOTES,
                "query:1      Enter data.t.p = _\n"
                "a.rego:2     | Enter data.t.p\n"
                "a.rego:2     | | Note \"a\"\n"
                "a.rego:2     | | Note \"a\"\n");
    expect_text(&w, POLICY_EXPLAIN_TESTS,
                "query:1      Enter data.t.p = _\n"
                "a.rego:2     | Enter data.t.p\n"
                "a.rego:2     | | Note \"a\"\n"
                "a.rego:2     | | Fail gt(x, 1)\n"
                "a.rego:2     | | Note \"a\"\n");
    recorded_close(&w);
}

TEST(record_json) {
    struct recorded w;
    recorded_open(&w, "package t\np := x if { x := 1 }\n", "data.t.p", 0);
    policy_record_finish(&w.record, POLICY_EXPLAIN_FULL);
    value rest = policy_record_json(&w.heap, &w.record, POLICY_RECORD_REST);
    EXPECT_EQ(value_count(rest), w.record.steps.count);
    value exit = UNDEFINED;
    for (u32 i = 0; i < value_count(rest); i++)
        if (str_eq(value_str(value_get_str(value_item(rest, i), S("op"))), S("exit")) && !value_defined(exit))
            exit = value_item(rest, i);
    EXPECT_STR(value_str(value_get_str(exit, S("type"))), S("rule"));
    buf_clear(&w.text);
    json_text_write(&w.text, value_get_str(exit, S("locals")), 0);
    EXPECT_STR(buf_str(&w.text), S("[{\"key\":{\"type\":\"var\",\"value\":\"__local0__\"},"
                                   "\"value\":{\"type\":\"number\",\"value\":1}}]"));
    EXPECT_EQ(value_get_str(exit, S("query_id")).integer, 1);
    value command = policy_record_json(&w.heap, &w.record, POLICY_RECORD_COMMAND);
    EXPECT_STR(value_str(value_get_str(value_item(command, 0), S("Op"))), S("Enter"));
    recorded_close(&w);
}

TEST(record_is_bounded) {
    struct recorded w;
    recorded_open(&w, "package t\np if { some i in numbers.range(1, 2000); i > 1999 }\n", "data.t.p", KIB(64));
    EXPECT(w.record.incomplete);
    policy_record_finish(&w.record, POLICY_EXPLAIN_FULL);
    EXPECT(w.record.steps.count <= w.record.told.count);
    recorded_close(&w);
    for (u64 nth = 1; nth < 6; nth++) {
        recorded_open(&w, "package t\np if { some i in numbers.range(1, 20); i > 19 }\n", "data.t.p", 0);
        (void)test_malloc_fail(nth, true);
        policy_record_finish(&w.record, POLICY_EXPLAIN_FAILS);
        (void)test_malloc_fail(0, false);
        EXPECT(w.record.incomplete || w.record.steps.count > 0);
        recorded_close(&w);
    }
}

TEST(record_json_is_cut) {
    struct recorded w;
    recorded_open(&w, "package t\np := count([1 | xs := numbers.range(1, 3000); some x in xs; x > 0])\n", "data.t.p",
                  MIB(64));
    policy_record_finish(&w.record, POLICY_EXPLAIN_FULL);
    struct heap h;
    heap_open(&h, MIB(512));
    value v = policy_record_json(&h, &w.record, POLICY_RECORD_REST);
    EXPECT(!h.exhausted && value_count(v) > 10 && value_count(v) < w.record.steps.count);
    heap_close(&h);
    recorded_close(&w);
}

TEST(explain_words) {
    enum policy_explain mode;
    EXPECT(policy_explain_of(S("debug"), &mode) && mode == POLICY_EXPLAIN_DEBUG);
    EXPECT(!policy_explain_of(S("Full"), &mode));
}

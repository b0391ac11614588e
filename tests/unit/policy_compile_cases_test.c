/* SPDX-License-Identifier: Apache-2.0 */
/* Tests as the test runner compiles them: unique names, and cases that are told before they fail. */
#include "app/policy/compile/test_cases.c"
#include "app/policy/policy.h"
#include "app/policy/value/json_text.h"
#include "tests/test.h"

struct cases {
    struct heap heap;
    struct policy_errors errors;
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct buf told;
};

static void cases_open(struct cases *w, const char *policy, bool test_cases) {
    struct policy_source source = {S("a_test.rego"), str_from_c(policy)};
    struct policy_load_options o = {.compile.test_cases = test_cases};
    *w = (struct cases){0};
    heap_open(&w->heap, MIB(8));
    buf_open(&w->told, MIB(1));
    policy_errors_open(&w->errors, &w->heap, 10);
    EXPECT_OK(policy_load(&source, 1, &o, &w->program, &w->errors));
    EXPECT_OK(policy_evaluator_open(&w->evaluator, MIB(1)));
}

static void cases_close(struct cases *w) {
    policy_evaluator_close(w->evaluator);
    policy_drop(w->program);
    buf_close(&w->told);
    heap_close(&w->heap);
}

static void tell(void *arg, value names) {
    struct cases *w = arg;
    value_write(&w->told, names);
}

static void expect_told(struct cases *w, const char *query, const char *want) {
    struct policy_ask ask = {.data = value_empty_object(), .test_case = tell, .arg = w};
    struct policy_query *q;
    struct policy_answer a;
    struct policy_error error = {0};
    EXPECT_OK(policy_prepare(w->program, str_from_c(query), &q, &w->errors));
    EXPECT_OK(policy_ask(w->evaluator, q, &ask, &a, &error));
    EXPECT_STR(buf_str(&w->told), str_from_c(want));
    policy_query_drop(q);
}

#define CASES                                                                                      \
    "package t\n"                                                                                  \
    "test_sum[tc.group][tc.note] if {\n"                                                           \
    "  some tc in [{\"group\": \"g\", \"note\": \"a\", \"n\": 1}, {\"group\": \"g\", \"note\": \"b\", \"n\": 2}]\n" \
    "  tc.n == 1\n"                                                                                \
    "  tc.n + 1 == 2\n"                                                                            \
    "}\n"

TEST(cases_are_told_before_they_fail) {
    struct cases w;
    cases_open(&w, CASES, true);
    expect_told(&w, "data.t.test_sum", "[\"g\", \"a\"][\"g\", \"b\"]");
    cases_close(&w);
    cases_open(&w, CASES, false);
    expect_told(&w, "data.t.test_sum", "");
    cases_close(&w);
}

TEST(cases_with_names_that_need_no_binding) {
    struct cases w;
    cases_open(&w, "package t\ntest_x[\"one\"] if 1 == 2\ntest_x[\"two\"] if true\n", true);
    expect_told(&w, "data.t.test_x", "[\"one\"][\"two\"]");
    cases_close(&w);
}

TEST(tests_of_one_name_are_two) {
    struct cases w;
    cases_open(&w, "package t\ntest_a if true\ntest_a if false\nb.test_a if true\nb.test_a := 1 if true\n"
                   "todo_test_a if true\ntodo_test_a if true\np := 1\n", true);
    const struct ast_module *m = policy_compiled(w.program)->modules[0];
    for (u32 i = 0; i < m->rule_count; i++) {
        ast_term_write(&w.told, m->rules[i]->head->ref);
        EXPECT_OK(buf_add(&w.told, S(" ")));
    }
    EXPECT_STR(buf_str(&w.told), S("data.t.test_a data.t[\"test_a#01\"] data.t.b.test_a data.t.b[\"test_a#01\"] "
                                   "data.t.todo_test_a data.t.todo_test_a data.t.p "));
    cases_close(&w);
}

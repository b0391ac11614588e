/* SPDX-License-Identifier: Apache-2.0 */
/* What questions came by: rules entered and held, lines evaluated, the report's ranges, and what
 * happens when there is no memory or too much to count. */
#include "app/policy/trace_cover.c"
#include "app/policy/policy.h"
#include "tests/test.h"

/* Line by line: */
#define POLICY \
    /*  1 */ "package t\n" \
    /*  2 */ "import rego.v1\n" \
    /*  3 */ "default allow := false\n" \
    /*  4 */ "allow if {\n" \
    /*  5 */ "  some r in input.roles\n" \
    /*  6 */ "  r == \"admin\"\n" \
    /*  7 */ "  input.x > 1\n" \
    /*  8 */ "}\n" \
    /*  9 */ "allow if {\n" \
    /* 10 */ "  never\n" \
    /* 11 */ "}\n" \
    /* 12 */ "never if 1 == input.never\n" \
    /* 13 */ "unused if {\n" \
    /* 14 */ "  some x\n" \
    /* 15 */ "  input[x] == 2\n" \
    /* 16 */ "}\n"

struct covered {
    struct heap heap;
    struct policy_errors errors;
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct policy_query *query;
    struct policy_ask ask;
    struct policy_cover cover;
};

static void covered_open(struct covered *w, u32 count_max) {
    struct policy_source source = {S("t.rego"), S(POLICY)};
    struct policy_load_options o = {.trace = true};
    struct policy_query_options q = {.trace = true};
    *w = (struct covered){0};
    heap_open(&w->heap, MIB(8));
    policy_errors_open(&w->errors, &w->heap, 10);
    EXPECT_OK(policy_load(&source, 1, &o, &w->program, &w->errors));
    EXPECT_OK(policy_evaluator_open(&w->evaluator, MIB(1)));
    EXPECT_OK(policy_prepare_with(w->program, S("data.t.allow"), &q, &w->query, &w->errors));
    policy_cover_open(&w->cover, count_max);
    w->ask = (struct policy_ask){.data = value_empty_object(), .trace = &w->cover.trace};
}

static void covered_close(struct covered *w) {
    policy_cover_close(&w->cover);
    policy_query_drop(w->query);
    policy_evaluator_close(w->evaluator);
    policy_drop(w->program);
    heap_close(&w->heap);
}

static void ask_with(struct covered *w, const char *role) {
    struct policy_answer a;
    struct policy_error error = {0};
    value keys[2] = {value_string_c(&w->heap, "roles"), value_string_c(&w->heap, "x")};
    value item = value_string_c(&w->heap, role), values[2] = {value_array(&w->heap, &item, 1), value_integer(2)};
    w->ask.input = value_object(&w->heap, keys, values, 2);
    EXPECT_OK(policy_ask(w->evaluator, w->query, &w->ask, &a, &error));
}

static const struct ast_rule *rule_at(struct covered *w, u32 row) {
    const struct ast_module *m = policy_compiled(w->program)->modules[0];
    for (u32 i = 0; i < m->rule_count; i++)
        if (m->rules[i]->at.row == row) return m->rules[i];
    return NULL;
}

TEST(cover_counts_rules_and_lines) {
    struct covered w;
    covered_open(&w, 0);
    EXPECT(policy_cover_of_rule(&w.cover, rule_at(&w, 4)) == NULL);
    ask_with(&w, "guest");
    ask_with(&w, "admin");
    const struct policy_cover_hit *h = policy_cover_of_rule(&w.cover, rule_at(&w, 4));
    EXPECT(h && h->entered == 2 && h->held == 1);
    EXPECT(policy_cover_of_rule(&w.cover, rule_at(&w, 13)) == NULL);
    const struct ast_file *file = rule_at(&w, 4)->at.file;
    h = policy_cover_of_line(&w.cover, file, 6);
    EXPECT(h && h->entered == 2 && h->failed == 1);
    h = policy_cover_of_line(&w.cover, file, 7);
    EXPECT(h && h->entered == 2 && h->failed == 0); /* x = input.x; x > 1 */
    policy_cover_clear(&w.cover);
    EXPECT(policy_cover_of_line(&w.cover, file, 7) == NULL);
    ask_with(&w, "admin");
    EXPECT(policy_cover_of_line(&w.cover, file, 7)->entered == 2);
    covered_close(&w);
}

static void expect_ranges(const struct policy_cover_range *r, u32 count, const char *want) {
    struct buf b;
    buf_open(&b, 4096);
    for (u32 i = 0; i < count; i++) EXPECT_OK(buf_printf(&b, "%u-%u ", r[i].first, r[i].last));
    EXPECT_STR(buf_str(&b), str_from_c(want));
    buf_close(&b);
}

TEST(cover_report) {
    struct covered w;
    struct ast_module *module;
    struct parse_options o = {0};
    struct policy_cover_lines lines;
    covered_open(&w, 0);
    ask_with(&w, "admin");
    EXPECT_OK(parse_module(&w.heap, S("t.rego"), S(POLICY), &o, &module, &w.errors));
    EXPECT_OK(policy_cover_lines(&w.cover, &w.heap, module, &lines));
    expect_ranges(lines.covered, lines.covered_count, "4-7 ");
    expect_ranges(lines.missed, lines.missed_count, "3-3 9-10 12-13 15-15 ");
    EXPECT_EQ(lines.covered_lines, 4);
    EXPECT_EQ(lines.missed_lines, 6);
    covered_close(&w);
}

TEST(cover_is_bounded) {
    struct covered w;
    covered_open(&w, 2);
    ask_with(&w, "admin");
    EXPECT(w.cover.incomplete && w.cover.count == 2);
    covered_close(&w);
    for (u64 nth = 1; nth < 4; nth++) {
        covered_open(&w, 0);
        ask_with(&w, "guest"); /* what the evaluator needs, it has */
        policy_cover_close(&w.cover);
        policy_cover_open(&w.cover, 0);
        (void)test_malloc_fail(nth, true);
        ask_with(&w, "guest");
        (void)test_malloc_fail(0, false);
        EXPECT(w.cover.incomplete || nth > 2);
        covered_close(&w);
    }
}

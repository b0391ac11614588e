/* SPDX-License-Identifier: Apache-2.0 */
/* test.h — the verb `test`: options and the order of tests (test.c), one test asked (test_run.c),
 * its verdict shown (test_report.c). */
#pragma once
#include "app/policy/regex/regex.h"
#include "tools/opctl/alloc.h"
#include "tools/opctl/eval.h"

enum verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_SKIP, VERDICT_ERROR };
enum test_format { TEST_PRETTY, TEST_JSON, TEST_GOBENCH };

struct result { /* of one test; lies in the heap of all */
    const struct ast_rule *rule;
    str package, name; /* data.a, "test_x" */
    enum verdict verdict;
    bool is_cases;     /* a partial object: one case per key */
    value cases;       /* name -> true, false or an object of cases; UNDEFINED: not asked */
    u64 ns;
    struct policy_error error;
    str output;        /* what it printed */
    str trace;         /* the steps the mode asks for, as text */
    value steps;       /* and as JSON */
    str failed_at;     /* with --var-values: the expression that failed, and what it held */
    struct timing timing; /* with --bench */
};
struct tests {
    struct bundle files;
    struct policy_load_options load;
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct regex *wanted; /* NULL: all */
    bool verbose, coverage, bench, benchmem, var_values, zero_on_skip, fail_on_empty, explain_set;
    enum policy_explain explain;
    enum test_format format;
    double threshold;
    u64 timeout_ns;
    s64 count;
    struct policy_cover cover;
    struct buf output;   /* what the current test printed */
    value told;          /* its cases, in the order they were told */
    struct value_builder report;
    struct result *results;
    u32 result_count, result_room;
    u32 counts[4];       /* cases count, where there are */
    bool any_line;
    str last_file;
};
bool test_is_traced(const struct tests *t);
/* Fills in everything but rule, package and name. */
void test_run(struct tests *t, struct result *r);
void test_shown(struct tests *t, const struct result *r); /* at once */
int test_summed(struct tests *t);                         /* at the end; the exit status */

/* SPDX-License-Identifier: Apache-2.0 */
/* eval.h — one question on the terminal: asked (eval.c) and shown (eval_output.c). */
#pragma once
#include "app/policy/trace_cover.h"
#include "app/policy/trace_record.h"
#include "tools/opctl/output.h"

enum { METRICS_MAX = 12, PROFILE_KEYS_MAX = 8 };
struct metric { const char *name; u64 n; };

struct profile_row { /* copied: the query it points to may be gone */
    str file, text;
    u32 row, column;
    u64 ns, evals, redos, exprs;
};
struct profile { struct profile_row *rows; u32 count; };

/* What was asked for beside the answer. */
struct watch {
    enum policy_explain explain;
    bool profile, coverage, metrics, instrument, variables;
    s64 profile_limit;
    const char *profile_sort[PROFILE_KEYS_MAX];
    u32 profile_sort_count;
};
/* And what came of it. */
struct watched {
    struct policy_record record;
    struct policy_cover cover;
    struct policy_tee tee;
    struct policy_errors builtin_errors;
    struct metric metric[METRICS_MAX];
    u32 metric_count;
    struct profile profile;
};
struct query_text {
    const struct ast_expr *exprs[64];
    u32 count;
};
/* One question's answer, with all that is shown with it. */
struct shown {
    const struct watch *watch;
    struct watched *watched;
    const struct policy_answer *answer; /* NULL: an error */
    const struct query_text *texts;
    const struct policy_errors *errors; /* NULL: none */
    const struct policy_source *sources; /* for the coverage */
    u32 source_count;
    const struct parse_options *parse;
    s64 pretty_limit;
    /* With --count: the times of each round; then metrics and profile are summed up. */
    const struct watched *rounds;
    u32 round_count;
};
void watched_open(struct watched *w, const struct watch *wanted, struct heap *h);
void watched_close(struct watched *w);
struct policy_trace *watched_trace(struct watched *w, const struct watch *wanted); /* NULL: none */
void watched_metric(struct watched *w, const char *name, u64 n);
/* Before the query is dropped. */
void watched_finish(struct watched *w, const struct watch *wanted, struct heap *h);
bool show(const struct shown *s, const char *format); /* false: not enough memory */
/* The report on lines, as the member "coverage" or, with key NULL, the whole. */
struct coverage_totals { u64 covered, missed; };
double coverage_percent(struct coverage_totals t);
rc_t coverage_put(struct json_out *o, const char *key, const struct policy_cover *c,
                  const struct policy_source *sources, u32 count, const struct parse_options *parse,
                  struct coverage_totals *totals);

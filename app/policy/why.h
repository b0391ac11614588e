/* SPDX-License-Identifier: Apache-2.0 */
/* why.h — why did it come out so? An evaluation that is watched, told to a person: in plain
 * sentences from the rules' annotations, with the rules that held, and the condition that failed
 * nearest to the answer that did not come.
 *
 *   struct policy_why *e;
 *   policy_why_open(&e, 0);
 *   ask.trace = policy_why_trace(e);
 *   ... policy_ask: "x := data.a.allow" ...          of a program loaded with trace, every_rule
 *   value report = policy_why_report(e, heap, &question);
 *   policy_why_close(e);
 *
 * The report, an object:
 *   outcome    "allowed": the answer is true, or {"allowed": true}; "denied": false or undefined;
 *              else "answered"
 *   sentences  at most `sentences_max`
 *   fired      rules that held for the answer: {rule, file, row, text, title?, description?,
 * value?} by         {rule, file, row, title?}: the rule that decided; or whose default stood; or
 * that came nearest nearest    when denied, the rule whose body got furthest: {rule, file, row,
 * title?, held, of, condition: {text, file, row}, values: [{name, value}], because?: the same of a
 * rule that condition needed} complete   false: the evaluation was too long to be watched to its
 * end Values that `shown` lacks or has otherwise than `input` are written "(masked)" everywhere. */
#pragma once
#include "app/policy/policy.h"
#include "app/policy/trace.h"

struct policy_why;
rc_t policy_why_open(struct policy_why **out, size_t bytes_max); /* 0: 16 MiB */
void policy_why_close(struct policy_why *e);                     /* NULL is fine */
struct policy_trace *policy_why_trace(struct policy_why *e);

struct policy_why_question {
    str path;        /* "a/allow", the document that was asked for */
    value input;     /* UNDEFINED: none */
    value shown;     /* the input as people may see it; UNDEFINED: as it is */
    value data;      /* base documents */
    value result;    /* UNDEFINED: no answer */
    u32 sentences_max; /* 0: 8 */
};
/* In `h`; while the program and the evaluation's answer are alive. */
value policy_why_report(const struct policy_why *e, struct heap *h,
                            const struct policy_why_question *q);
/* All of that at once: asks `watched` (loaded with trace and every_rule) for q->path with q->input
 * and q->data; `ask` says the rest. `*report` and `*result` (UNDEFINED: none) lie in `h`. As
 * policy_ask: RC_INVALID, RC_LIMIT, RC_TIMEOUT with `error`. */
rc_t policy_why(struct policy_program *watched, struct policy_evaluator *e,
                    const struct policy_ask *ask, struct policy_why_question *q,
                    struct heap *h, value *report, value *result, struct policy_error *error);
/* The sentences of a report, one line each. */
void policy_why_write(struct buf *to, value report);
/* Decisions that changed, by the rule that makes the difference: of a yes that became a no the one
 * that said yes; else the one that decides now. */
enum { POLICY_GROUPS_MAX = 64, POLICY_GROUP_IDS = 20 };
struct policy_groups {
    struct heap *heap;
    struct policy_group {
        value by;
        u64 count;
        value ids[POLICY_GROUP_IDS]; /* the first ones */
    } groups[POLICY_GROUPS_MAX];
    u32 count;
    u64 others; /* beyond POLICY_GROUPS_MAX, or not explained */
};
void policy_groups_open(struct policy_groups *g, struct heap *h);
/* Reports of both sides, UNDEFINED: none; the name of the decision. All live as long as `h`. */
void policy_groups_add(struct policy_groups *g, value before, value after, value id);
/* [{rule, file, row, title?, count, decision_ids}], the largest first; then, without a rule, the
 * others. */
value policy_groups_close(struct policy_groups *g);
/* What of a report stands beside a changed decision: {outcome, sentences, by?}. */
value policy_why_short(struct heap *h, value report);
/* "a/b" to `x := data["a"]["b"]`: the query to watch. */
void policy_why_query(struct buf *to, str path);
void policy_why_rule_name(struct buf *to, const struct ast_rule *r); /* data.a.b */

/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h — what an evaluation does, as it does it: for explanations, coverage and profiles.
 *
 * Only programs and queries prepared with `trace` tell; others run at full speed and say nothing.
 * The order is the reference's: a rule is entered, its expressions are evaluated, each fails or
 * lets the next begin, and is redone when the evaluation comes back to it; a rule that held exits.
 * Shortcuts are taken as ever: what the index left out or an early exit skipped does not show.
 * The whole query, a comprehension, a negation and the body of an `every` are entered and exited
 * as rules are. */
#pragma once
#include "app/policy/lang/ast.h"

enum policy_event_op {
    POLICY_ENTER,
    POLICY_EXIT,
    POLICY_EVAL,
    POLICY_REDO,
    POLICY_FAIL,
    POLICY_NOTE,
    POLICY_INDEX
};

struct policy_local { str name, written; value v; }; /* UNDEFINED: not bound (yet) */

struct policy_event {
    enum policy_event_op op;
    u32 depth;                   /* rules waiting for rules: 1 in the query itself */
    u32 query, parent;           /* numbers of the body at work and of the one that needs it */
    const struct ast_location *at; /* may be NULL, or without a file: made by the compiler */
    const struct ast_expr *expr; /* EVAL, REDO, FAIL: as the compiler left it */
    const struct ast_rule *rule; /* ENTER, EXIT, REDO of a rule; INDEX: the first of them */
    const struct ast_body *body; /* ENTER, EXIT, REDO of any other body */
    u32 count;                   /* INDEX: rules that may apply */
    bool early;                  /* EXIT: no other way to hold is looked for; INDEX: will be so */
    /* With `locals`: the variables bound and those of the expression or head, by the names the
     * compiler gave them and as written. Valid during the call; the values until the next question.
     */
    const struct policy_local *locals;
    u32 local_count;
    str message;                 /* NOTE */
};
struct policy_trace {
    void (*event)(struct policy_trace *t,
                  const struct policy_event *e); /* must not ask the evaluator */
    bool locals;                 /* wanted */
};
struct policy_tee { /* one sink that is several; they must outlive it */
    struct policy_trace trace;
    struct policy_trace *to[4];
    u32 count;
};
void policy_tee_add(struct policy_tee *t, struct policy_trace *to); /* from {0} on */
const char *policy_event_name(enum policy_event_op op); /* "Enter", as the reference's */

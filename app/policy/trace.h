/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h — what an evaluation does, as it does it: for explanations, coverage and profiles.
 *
 * Only programs and queries prepared with `trace` tell; others run at full speed and say nothing.
 * The order is the reference's: a rule is entered, its expressions are evaluated, each fails or
 * lets the next begin, and is redone when the evaluation comes back to it; a rule that held exits.
 * Shortcuts are taken as ever: what the index left out or an early exit skipped does not show. */
#pragma once
#include "app/policy/lang/ast.h"

enum policy_event_op { POLICY_ENTER, POLICY_EXIT, POLICY_EVAL, POLICY_REDO, POLICY_FAIL, POLICY_NOTE };

struct policy_event {
    enum policy_event_op op;
    u32 depth;                   /* rules waiting for rules: 1 in the query itself */
    const struct ast_location *at; /* may be NULL, or without a file: made by the compiler */
    const struct ast_expr *expr; /* EVAL, REDO, FAIL: as the compiler left it */
    const struct ast_rule *rule; /* ENTER, EXIT */
    str message;                 /* NOTE */
};
struct policy_trace {
    void (*event)(struct policy_trace *t, const struct policy_event *e); /* must not ask the evaluator */
};

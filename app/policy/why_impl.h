/* SPDX-License-Identifier: Apache-2.0 */
/* why_impl.h — what watching (why.c) leaves to telling (why_tell.c). */
#pragma once
#include "app/policy/why.h"

enum { WHY_ATTEMPTS_MAX = 1 << 16 };

/* One body at work: a rule's, a comprehension's, a negation's, the query's. */
struct attempt {
    u32 number, parent;           /* as the events number bodies */
    const struct ast_rule *rule;  /* or */
    const struct ast_body *body;
    const struct ast_expr *trigger; /* what the parent was at */
    const struct ast_expr *current;
    u32 reached;                  /* expressions before the one that failed furthest */
    bool held;
    u32 order;                    /* of holding: 1 for the first */
    const struct ast_expr *failed; /* NULL: none did */
    const struct policy_local *locals; /* as they were there, or where it held */
    u32 local_count;
    value held_value;             /* of a rule's head, where it can be told */
};
struct policy_why {
    struct policy_trace trace; /* first */
    struct heap heap;
    struct attempt *attempts;
    u32 count, room;
    u32 *index, index_room;    /* by number: place + 1 */
    u32 order;
    bool incomplete;
};
static inline const struct ast_body *attempt_body(const struct attempt *a) {
    return a->rule ? a->rule->body : a->body;
}
const struct attempt *attempt_of(const struct policy_why *e, u32 number); /* NULL */

/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h — from what partial evaluation left to the condition of a database.
 *
 *   queries:  input.fruits.name = "apple"; input.fruits.price < 10
 *     -> SQL    WHERE (fruits.name = 'apple' AND fruits.price < '10')
 *     -> UCAST  {"type": "compound", "operator": "and", "value": [{"type": "field", ...}, ...]}
 *
 * Not every query can be said that way; policy_filter_check tells what cannot, in the reference's
 * words and with the place in the policy. */
#pragma once
#include "app/policy/partial/partial.h"

enum policy_filter_kind { FILTER_UCAST, FILTER_SQL };
struct policy_filter_target {
    enum policy_filter_kind kind;
    const char *variant; /* "all", "prisma", "linq", "minimal"; "postgresql", "mysql", ... */
};
/* "sql", "postgresql" and the like. False: there is no such target. */
bool policy_filter_target_of(str kind, str variant, struct policy_filter_target *out);

/* Adds an error for each expression some target cannot take. `mappings`: as policy_filter_mappings
 * gets them; what they say of short names counts for all targets. */
void policy_filter_check(const struct partial_answer *a, const struct policy_filter_target *targets,
                         u32 count, value mappings, struct policy_errors *errors);
/* Of all mappings those of a target: by variant, by kind, or the whole. RC_INVALID: not an object
 */
rc_t policy_filter_mappings(value all, const struct policy_filter_target *t, value *out,
                            struct diag *why);
/* After policy_filter_check found nothing. The condition as UCAST; {}: always true. */
value policy_filter_ucast(struct heap *h, const struct partial_answer *a, value mappings);
/* UCAST as a WHERE clause; empty: always true. */
rc_t policy_filter_sql(value ucast, const char *dialect, struct buf *to, struct diag *why);

/* ---- What the policy's author says of a filter (METADATA's `compile`) ---- */
struct policy_filter_said {
    str unknowns[64];
    u32 unknown_count;
    str mask_rule; /* data...; empty: none */
};
/* Of the rules at a path and the packages around them. Errors: what is not a ref of input or data
 */
void policy_filter_said_of(struct heap *h, const struct compiled *program, const value *path,
                           u32 count, struct policy_filter_said *out, struct policy_errors *errors);

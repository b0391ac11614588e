/* SPDX-License-Identifier: Apache-2.0 */
/* advise.h — what could go? From recorded decisions: rules that never held, entries of role data
 * that no decision needed, inputs that were never allowed; each with its evidence and a proposed
 * minimal edit. Nothing is ever applied.
 *
 *   struct policy_advisor *a;
 *   policy_advise_open(&a, &options);
 *   policy_advise_add(a, record);            {path, input, result, timestamp, decision_id}
 *   value advice = policy_advise_report(a, evaluator, heap);
 *   policy_advise_close(a);
 *
 * An entry is needed when leaving it out alone changes the answer to any of the decisions, asked
 * again with today's policies: so the advice is exact for the record, whatever the policy does with
 * its data, and each edit stands alone: after one, ask again. */
#pragma once
#include "app/policy/policy.h"

struct policy_advise_options {
    struct policy_program *plain;   /* asked again and again */
    struct policy_program *watched; /* the same, loaded with trace; or told later */
    value data;                     /* base documents */
    /* "/a/roles": documents whose entries are tried; count 0: those named roles, groups, grants,
     * bindings, permissions, users, at the top or one level down. */
    const str *documents;
    u32 document_count;
    u64 (*clock_ns)(void); /* for the deadline; NULL: none */
    u64 deadline_ns;
};
enum { ADVISE_DECISIONS_MAX = 1000, ADVISE_ENTRIES_MAX = 256, ADVISE_LIST_MAX = 100 };

struct policy_advisor;
rc_t policy_advise_open(struct policy_advisor **out, const struct policy_advise_options *o);
void policy_advise_close(struct policy_advisor *a); /* NULL is fine */
/* Copied. False: not a record, or there are enough. */
bool policy_advise_add(struct policy_advisor *a, value record);
void policy_advise_watched(struct policy_advisor *a, struct policy_program *watched);
/* A document that stands in the policy rather than in data: what it is worth, and where data can
 * take the place of its members. */
void policy_advise_shipped(struct policy_advisor *a, value document, str at);
/* {"asked", "from", "to", "complete", "advice": [{"kind", "what", "evidence", "edit"}]}; in `h`. */
value policy_advise_report(struct policy_advisor *a, struct policy_evaluator *e, struct heap *h);

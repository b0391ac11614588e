/* SPDX-License-Identifier: Apache-2.0 */
/* trace_record.h — what an evaluation told, kept and shown: the reference's explanations.
 *
 *   policy_record_open(&r, 0);  ask.trace = &r.trace;  ... policy_ask ...
 *   policy_record_finish(&r, POLICY_EXPLAIN_FULL);
 *   policy_record_write(&text, &r, false)  or  policy_record_json(&heap, &r, POLICY_RECORD_REST)
 *
 * A record points into the program, the query and the evaluator's values: show it before the
 * query is dropped and before the evaluator is asked again. */
#pragma once
#include "app/policy/trace.h"

enum policy_explain {
    POLICY_EXPLAIN_OFF,
    POLICY_EXPLAIN_NOTES, /* notes, and what led to each */
    POLICY_EXPLAIN_FAILS, /* expressions that did not hold, and what led to each */
    POLICY_EXPLAIN_TESTS, /* both: what the reference's test runner shows */
    POLICY_EXPLAIN_FULL,
    POLICY_EXPLAIN_DEBUG, /* as FULL: steps of unification are not told */
};
/* False: not one of the reference's words ("off", "full", "notes", "fails", "debug"). */
bool policy_explain_of(str word, enum policy_explain *out);

struct policy_steps { struct policy_event **items; u32 count, room; };
struct policy_record {
    struct policy_trace trace;  /* first */
    struct heap heap;           /* of the steps, of lists of locals, of messages */
    struct policy_steps told;   /* as the machine told them */
    struct policy_steps steps;  /* as they are shown: after policy_record_finish */
    bool incomplete;            /* memory was used up: later steps are missing */
};
void policy_record_open(struct policy_record *r, size_t bytes_max); /* 0: POLICY_RECORD_BYTES_MAX */
void policy_record_close(struct policy_record *r);
/* Brings the steps into the reference's order and keeps those the mode asks for. Never fails:
 * without memory the record is incomplete. */
void policy_record_finish(struct policy_record *r, enum policy_explain mode);
/* A line per step: place, bars for depth, what happened, and with `variables` what they held. */
void policy_record_write(struct buf *to, const struct policy_record *r, bool variables);
/* The forms of its command ("Op", "QueryID") and of its server ("op", "query_id"). */
enum policy_record_form { POLICY_RECORD_COMMAND, POLICY_RECORD_REST };
/* Each step tells all its variables hold, so a long way with a large collection in hand is cut
 * where it would grow beyond some hundred MiB: the list is then shorter than r->steps. */
value policy_record_json(struct heap *h, const struct policy_record *r,
                         enum policy_record_form form);

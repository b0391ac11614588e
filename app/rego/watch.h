/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h — what a decision can say about itself: its steps, its cost. */
#pragma once
#include "app/policy/trace_cover.h"
#include "app/policy/trace_record.h"
#include "app/rego/rego_impl.h"

/* The state's policies, compiled to be watched; owned by its build. Parks the first time. */
rc_t rego_watched(struct rego_state *s, struct policy_program **out, struct policy_errors *errors);
/* A query of the watched policies; the caller drops it. Parks. `times` may be NULL. */
rc_t rego_watched_prepare(struct rego_state *s, str text, struct policy_times *times,
                          struct policy_query **out, struct policy_errors *errors);
/* The member "explanation": steps, or with `pretty` lines. Parks. */
void rego_put_explanation(struct buf *to, struct policy_record *r, const struct rego_options *o);

struct rego_metrics {
    struct { const char *name; u64 n; } items[12]; /* by name */
    u32 count;
};
void rego_metric(struct rego_metrics *m, const char *name, u64 n);
void rego_put_metrics(struct buf *to, const struct rego_metrics *m); /* the member "metrics" */

void rego_profile(struct request *rq);

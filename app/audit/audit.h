/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h — who did what to which, when, from where, with what result: one row each, appended in
 * the same transaction as the change it tells of, hash-chained so that tampering shows. */
#pragma once
#include "app/module.h"

struct audit_event {
    const char *action; /* "user.login" "policy.publish" ... */
    str resource;       /* "policy/0190..." */
    const char *result; /* "ok" "denied" "failed" */
    str detail;         /* JSON object text or empty; never a secret */
};
/* Inside the writer's transaction of the change. `rq` NULL: the appliance itself acted. */
rc_t audit_add(struct db_txn *t, struct request *rq, const struct audit_event *event);
/* In a transaction of its own (failed logins, denials); durable when it returns. */
rc_t audit_add_alone(struct request *rq, const struct audit_event *event);
/* Walks the chain; RC_CORRUPT: *out_row is the first row that does not fit. Parks often. */
rc_t audit_verify(u64 *out_rows, s64 *out_row);

extern const struct module audit_module;

/* SPDX-License-Identifier: Apache-2.0 */
/* target.h — what a path names: a collection, or a view of one. */
#pragma once
#include "app/data/data_impl.h"

struct target {
    struct collection *c;    /* whose records they are */
    struct collection *view; /* NULL: all of them */
};
/* false: answered 404. Both are the caller's: target_release. */
bool target_of(struct request *rq, struct db_txn *t, str name, struct target *out);
void target_release(struct target *t);
/* record_from, and what the view leaves out. */
rc_t target_from(struct request *rq, const struct target *t, const char *join, struct sql *s,
                 struct diag *why);
/* The selection asked for, or the view's; false: `flaws`. */
bool target_selection(const struct target *t, str asked, struct selection *out,
                      struct flaws *flaws);
/* For answers: a read that a rule forbids as a whole, or cannot be said. */
void reply_read(struct request *rq, rc_t rc, const struct diag *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* rules_impl.h — a condition on rows, between rules.c that asks for it and condition.c that writes
 * it. */
#pragma once
#include "app/data/data_impl.h"
#include "app/policy/partial/partial.h"

struct condition { /* "(f1 IS ? AND ...)", the values in order; in an arena */
    struct arena *arena;
    struct buf sql;
    struct db_value values[DATA_VALUES_MAX];
    u32 count;
    bool never; /* no row */
    struct diag *why;
};
/* RC_INVALID: it cannot be said; `why` has the place. RC_LIMIT: too long. */
rc_t condition_of(const struct collection *c, struct heap *h, const struct partial_answer *left,
                  struct condition *to);

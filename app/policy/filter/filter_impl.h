/* SPDX-License-Identifier: Apache-2.0 */
/* filter_impl.h — what the files of this folder share; for them alone. */
#pragma once
#include "app/policy/filter/filter.h"
#include "kernel/base/buf.h"

enum { FEATURE_NOT = 1, FEATURE_FIELD = 2, FEATURE_EXISTS = 4, FEATURES_ALL = 7 };

/* target.c: what is wrong is added to `why`, a line per target. */
bool target_takes_builtin(const struct policy_filter_target *targets, u32 count, str name,
                          struct buf *why);
bool target_takes_feature(const struct policy_filter_target *targets, u32 count, unsigned feature,
                          struct buf *why);
bool mapping_is_short(value all, str name);
value mapping_field(struct heap *h, value mappings, str field);

/* ucast.c */
str operator_name(const struct ast_expr *e, char *room, size_t size); /* empty: not a call */
bool ref_begins(const struct ast_term *t, const char *first);         /* input..., data... */

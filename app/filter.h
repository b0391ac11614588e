/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h — the WHERE of a list: conditions are constants of ours, values are always bound.
 *
 *   struct filter f;
 *   filter_open(&f, rq->arena);
 *   filter_add(&f, "status=?", DB_TEXT(status));                  // "?" becomes ?1, ?2 ...
 *   str sql = filter_sql(&f, "SELECT count(*) FROM policy p", "");
 *   db_query_values(t, &r, sql.ptr, f.values);
 *
 * Lives in the request's arena; nothing to close. */
#pragma once
#include "app/reply.h"

#define FILTER_VALUES_MAX 24u
struct filter {
    struct arena *arena;
    str where; /* " WHERE a=?1 AND b=?2", or empty; ptr NULL: out of memory */
    struct db_value values[FILTER_VALUES_MAX + 1]; /* DB_KIND_END after the last */
    u32 count;
};
void filter_open(struct filter *f, struct arena *arena);
/* Each '?' in `condition` stands for this value (numbered by us). No '?': the value is not used. */
void filter_add(struct filter *f, const char *condition, struct db_value value);
/* Binds a value for use outside the conditions (LIMIT, a cursor); returns its number. */
u32 filter_bind(struct filter *f, struct db_value value);
/* head + where + tail in the arena, NUL-ended; ptr NULL: out of memory. */
str filter_sql(const struct filter *f, const char *head, const char *tail);
/* A query parameter holding an RFC 3339 time, when present. false: answered 400. */
bool filter_time(struct request *rq, struct filter *f, const char *name, const char *condition);

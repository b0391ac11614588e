/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c — assembles WHERE clauses. Always true: SQL text comes from constants in our source, and
 * every byte a client sent is a bound value. */
#include "app/filter.h"
#include "app/utc.h"

void filter_open(struct filter *f, struct arena *arena) {
    *f = (struct filter){.arena = arena, .where = S("")};
}

u32 filter_bind(struct filter *f, struct db_value value) {
    CHECK(f->count < FILTER_VALUES_MAX);
    f->values[f->count++] = value;
    f->values[f->count] = (struct db_value){.kind = DB_KIND_END};
    return f->count;
}

static str numbered(struct arena *a, const char *condition, u32 number) {
    str rest = str_from_c(condition), part, sql = S("");
    bool first = true;
    while (sql.ptr && str_split(&rest, '?', &part)) {
        sql = first ? arena_copy(a, part)
                    : arena_printf(a, "%.*s?%u%.*s", STR(sql), number, STR(part));
        first = false;
    }
    return sql;
}

void filter_add(struct filter *f, const char *condition, struct db_value value) {
    u32 number = strchr(condition, '?') ? filter_bind(f, value) : 0;
    str sql = numbered(f->arena, condition, number);
    if (!sql.ptr || !f->where.ptr)
        f->where = str_of(NULL, 0);
    else
        f->where = arena_printf(f->arena, "%.*s %s %.*s", STR(f->where),
                                f->where.len ? "AND" : "WHERE", STR(sql));
}

str filter_sql(const struct filter *f, const char *head, const char *tail) {
    if (!f->where.ptr) return f->where;
    return arena_printf(f->arena, "%s%.*s%s", head, STR(f->where), tail);
}

bool filter_time(struct request *rq, struct filter *f, const char *name, const char *condition) {
    str text = {0};
    u64 at_ns;
    if (!request_query_text(rq, name, 40, &text)) return false;
    if (!text.ptr) return true;
    if (utc_parse(text, &at_ns)) {
        reply_problem(rq, 400, "bad_time",
                      "%s must be an RFC 3339 time such as 2026-01-31T12:00:00Z.", name);
        return false;
    }
    filter_add(f, condition, DB_INT(at_ns));
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* where.c — a filter as a condition of SQL.
 *
 *    userName eq "Ann@x" and not (active eq false)
 *    -> (email=lower(?1) AND NOT (state='active')=?2)
 *
 * Each attribute that can be asked for is a line of a table of ours (user.c, group.c): its SQL is a
 * constant, its values are bound, so nothing of the filter's text becomes SQL. Always true: a
 * comparison that means nothing (active gt 3) is refused rather than guessed at. */
#include "app/scim/scim_impl.h"
#include "app/utc.h"

struct making {
    struct filter *f;
    const struct scim_column *columns;
    struct diag *why;
};

static rc_t refuse(struct making *m, str path, const char *reason) {
    diag_set(m->why, "\"%.*s\" %s", STR(str_take(path, 60)), reason);
    return RC_INVALID;
}

/* The SQL with ?N in place of its '?'. */
static str bound(struct making *m, const char *sql, struct db_value value) {
    u32 number = filter_bind(m->f, value);
    str text = str_from_c(sql);
    size_t at = str_find_byte(text, '?');
    return arena_printf(m->f->arena, "%.*s?%u%.*s", STR(str_take(text, at)), number,
                        STR(str_skip(text, at + 1)));
}

static const char *const orders[] = {[SCIM_EQ] = "=",  [SCIM_NE] = "<>", [SCIM_GT] = ">",
                                     [SCIM_GE] = ">=", [SCIM_LT] = "<",  [SCIM_LE] = "<=",
                                     [SCIM_PR] = NULL};

static rc_t text_test(struct making *m, const struct scim_column *c, const struct scim_filter *t,
                      str *out) {
    static const struct {
        str before, between, after;
    } forms[] = {[SCIM_EQ] = {{"", 0}, {"=", 1}, {"", 0}},
                 [SCIM_NE] = {{"", 0}, {"<>", 2}, {"", 0}},
                 [SCIM_GT] = {{"", 0}, {">", 1}, {"", 0}},
                 [SCIM_GE] = {{"", 0}, {">=", 2}, {"", 0}},
                 [SCIM_LT] = {{"", 0}, {"<", 1}, {"", 0}},
                 [SCIM_LE] = {{"", 0}, {"<=", 2}, {"", 0}},
                 [SCIM_CO] = {{"instr(", 6}, {",", 1}, {")>0", 3}},
                 [SCIM_SW] = {{"instr(", 6}, {",", 1}, {")=1", 3}}};
    struct arena *a = m->f->arena;
    if (!cJSON_IsString(t->value)) return refuse(m, t->path, "is compared with a text");
    str left = str_from_c(c->sql), right;
    if (c->kind == SCIM_TEXT) left = arena_join(a, S("lower("), left, S(")"));
    right = bound(m, c->kind == SCIM_EXACT ? "?" : "lower(?)",
                  DB_TEXT(str_from_c(t->value->valuestring)));
    if (!left.ptr || !right.ptr) return RC_NO_MEMORY;
    if (t->op == SCIM_EW)
        *out = arena_join(a, S("(length("), left, S(")>=length("), right, S(") AND substr("), left,
                          S(",1+length("), left, S(")-length("), right, S("))="), right, S(")"));
    else
        *out = arena_join(a, forms[t->op].before, left, forms[t->op].between, right,
                          forms[t->op].after);
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t ordered_test(struct making *m, const struct scim_column *c,
                         const struct scim_filter *t, str *out) {
    struct db_value value;
    u64 at_ns;
    bool equal = t->op == SCIM_EQ || t->op == SCIM_NE;
    if (c->kind == SCIM_FLAG) {
        bool flag;
        if (!equal || !scim_flag(t->value, &flag)) return refuse(m, t->path, "is true or false");
        value = DB_INT(flag);
    } else {
        if (!cJSON_IsString(t->value) || utc_parse(str_from_c(t->value->valuestring), &at_ns) ||
            !orders[t->op])
            return refuse(m, t->path, "is compared with a time");
        value = DB_INT(at_ns);
    }
    str right = bound(m, "?", value);
    if (right.ptr) *out = arena_printf(m->f->arena, "(%s)%s%s", c->sql, orders[t->op], right.ptr);
    return right.ptr && out->ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t member_test(struct making *m, const struct scim_column *c, const struct scim_filter *t,
                        str *out) {
    if ((t->op != SCIM_EQ && t->op != SCIM_NE) || !cJSON_IsString(t->value))
        return refuse(m, t->path, "is compared with an id, by eq");
    str test = bound(m, c->sql, DB_TEXT(str_from_c(t->value->valuestring)));
    if (test.ptr && t->op == SCIM_NE) test = arena_join(m->f->arena, S("NOT "), test);
    *out = test;
    return test.ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t test_make(struct making *m, const struct scim_filter *t, str inside, str *out) {
    const struct scim_column *c = m->columns;
    str path = t->path;
    if (inside.len) path = arena_join(m->f->arena, inside, S("."), t->path);
    if (!path.ptr) return RC_NO_MEMORY;
    while (c->path && !str_eq_nocase(str_from_c(c->path), path)) c++;
    if (!c->path) return refuse(m, path, "cannot be asked for");
    if (t->op == SCIM_PR) {
        if (c->kind == SCIM_MEMBER) return refuse(m, path, "is compared with an id, by eq");
        bool text = c->kind == SCIM_TEXT || c->kind == SCIM_EXACT || c->kind == SCIM_LOWER;
        *out = text ? arena_printf(m->f->arena, "%s<>''", c->sql) : S("1");
        return out->ptr ? RC_OK : RC_NO_MEMORY;
    }
    if (c->kind == SCIM_MEMBER) return member_test(m, c, t, out);
    if (c->kind == SCIM_FLAG || c->kind == SCIM_TIME) return ordered_test(m, c, t, out);
    return text_test(m, c, t, out);
}

/* As deep as filter.c let it be. */
static rc_t make(struct making *m, const struct scim_filter *f, str inside, str *out) {
    str left, right;
    if (f->kind == SCIM_TEST) return test_make(m, f, inside, out);
    if (f->kind == SCIM_INSIDE)
        return inside.len ? refuse(m, f->path, "stands in brackets already")
                          : make(m, f->left, f->path, out);
    rc_t rc = make(m, f->left, inside, &left);
    if (rc == RC_OK && f->kind != SCIM_NOT) rc = make(m, f->right, inside, &right);
    if (rc) return rc;
    *out = f->kind == SCIM_NOT
               ? arena_join(m->f->arena, S("(NOT "), left, S(")"))
               : arena_join(m->f->arena, S("("), left, f->kind == SCIM_AND ? S(" AND ") : S(" OR "),
                            right, S(")"));
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

rc_t scim_where(struct filter *f, const struct scim_column *columns,
                const struct scim_filter *filter, struct diag *why) {
    struct making m = {f, columns, why};
    str sql;
    rc_t rc = make(&m, filter, S(""), &sql);
    if (rc) return rc;
    f->where = arena_join(f->arena, f->where, f->where.len ? S(" AND ") : S(" WHERE "), sql);
    return f->where.ptr ? RC_OK : RC_NO_MEMORY;
}

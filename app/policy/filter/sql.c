/* SPDX-License-Identifier: Apache-2.0 */
/* sql.c — UCAST as a WHERE clause, in the words of four databases.
 *
 * Values are written as literals, quoted as each database wants it, so that no value can be read as
 * anything else; numbers too, which databases convert by the column's type. Names of tables and
 * columns come from the policy and its mappings and are written as they are. */
#include "app/policy/filter/filter_impl.h"
#include "app/policy/value/json_text.h"

enum { SQL_DEPTH_MAX = 16 };
enum flavor { POSTGRESQL, MYSQL, SQLSERVER, SQLITE };

struct sql {
    struct buf *to;
    struct diag *why;
    enum flavor flavor;
    rc_t rc;
    u32 depth;
};

static enum flavor flavor_of(const char *dialect) {
    if (!strcmp(dialect, "postgresql")) return POSTGRESQL;
    if (!strcmp(dialect, "mysql")) return MYSQL;
    return strcmp(dialect, "sqlserver") ? SQLITE : SQLSERVER;
}

static void text(struct sql *s, str t) {
    (void)buf_add(s->to, t);
}

static void wrong(struct sql *s, const char *what) {
    if (!s->rc) diag_set(s->why, "convert to queries: %s", what);
    s->rc = RC_INVALID;
}

/* MySQL's and PostgreSQL's E'' strings have escapes; a NUL fits in neither of the others. */
static void put_escaped(struct sql *s, char c) {
    static const struct {
        char c;
        const char *escaped;
    } marks[] = {{'\0', "\\0"},   {'\b', "\\b"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"},
                 {'\x1a', "\\Z"}, {'\'', "\\'"}, {'"', "\\\""}, {'\\', "\\\\"}};
    for (u32 i = 0; i < ARRAY_LEN(marks); i++)
        if (marks[i].c == c) {
            text(s, str_from_c(marks[i].escaped));
            return;
        }
    text(s, str_of(&c, 1));
}

static void put_quoted(struct sql *s, str t) {
    if (s->flavor == POSTGRESQL) text(s, S("E"));
    if (s->flavor == SQLSERVER) text(s, S("N"));
    text(s, S("'"));
    for (size_t i = 0; i < t.len; i++) {
        char c = t.ptr[i];
        if (s->flavor == POSTGRESQL || s->flavor == MYSQL)
            put_escaped(s, c);
        else if (c == '\'')
            text(s, S("''"));
        else if (!c && s->flavor == SQLITE)
            text(s, S("'||char(0)||'"));
        else
            text(s, str_of(&c, 1));
    }
    text(s, S("'"));
}

static void put_value(struct sql *s, value v) {
    struct buf number;
    switch (v.kind) {
    case VALUE_NULL: text(s, S("NULL")); break;
    case VALUE_BOOLEAN: text(s, value_is_true(v) ? S("TRUE") : S("FALSE")); break;
    case VALUE_STRING: put_quoted(s, value_str(v)); break;
    case VALUE_NUMBER:
        buf_open(&number, KIB(64));
        json_text_write(&number, v, 0);
        if (number.failed)
            wrong(s, "a number is too long");
        else
            put_quoted(s, buf_str(&number));
        buf_close(&number);
        break;
    case VALUE_OBJECT:
        if (value_get_str(v, S("field")).kind == VALUE_STRING && value_count(v) == 1) {
            text(s, value_str(value_get_str(v, S("field"))));
            break;
        }
        wrong(s, "unsupported arguments: only scalars can be compared");
        break;
    default: wrong(s, "unsupported arguments: only byte slices are supported");
    }
}

/* ---- Fields ---- */

static void put_like(struct sql *s, str field, value v, str before, str after) {
    struct buf pattern;
    if (v.kind != VALUE_STRING) {
        wrong(s, "pattern requires string argument");
        return;
    }
    buf_open(&pattern, MIB(1));
    (void)buf_add(&pattern, before);
    for (size_t i = 0; i < value_str(v).len; i++) {
        char c = value_str(v).ptr[i];
        if (c == '\\' || c == '_' || c == '%') (void)buf_add(&pattern, S("\\"));
        (void)buf_add(&pattern, str_of(&c, 1));
    }
    (void)buf_add(&pattern, after);
    text(s, field);
    text(s, S(" LIKE "));
    if (pattern.failed)
        wrong(s, "a pattern is too long");
    else
        put_quoted(s, buf_str(&pattern));
    buf_close(&pattern);
}

static void put_in(struct sql *s, str field, value list) {
    if (list.kind != VALUE_ARRAY) {
        wrong(s, "field operator 'in' requires collection argument");
        return;
    }
    if (!value_count(list)) {
        text(s, S("0 = 1"));
        return;
    }
    text(s, field);
    text(s, S(" IN ("));
    for (u32 i = 0; i < value_count(list); i++) {
        if (i) text(s, S(", "));
        put_value(s, value_item(list, i));
    }
    text(s, S(")"));
}

static void put_field(struct sql *s, str op, str field, value v) {
    static const struct {
        const char *op, *sql;
    } signs[] = {{"eq", " = "}, {"ne", " <> "},  {"lt", " < "},
                 {"gt", " > "}, {"lte", " <= "}, {"gte", " >= "}};
    if (v.kind == VALUE_NULL) {
        text(s, field);
        if (str_eq(op, S("eq")))
            text(s, S(" IS NULL"));
        else if (str_eq(op, S("ne")))
            text(s, S(" IS NOT NULL"));
        else
            wrong(s, "null value can only be used with 'eq' or 'ne' operators");
        return;
    }
    if (str_eq(op, S("in")))
        put_in(s, field, v);
    else if (str_eq(op, S("startswith")))
        put_like(s, field, v, S(""), S("%"));
    else if (str_eq(op, S("endswith")))
        put_like(s, field, v, S("%"), S(""));
    else if (str_eq(op, S("contains")))
        put_like(s, field, v, S("%"), S("%"));
    else
        for (u32 i = 0; i < ARRAY_LEN(signs); i++)
            if (str_eq(op, str_from_c(signs[i].op))) {
                text(s, field);
                text(s, str_from_c(signs[i].sql));
                put_value(s, v);
            }
}

static void put_node(struct sql *s, value node) {
    value op = value_get_str(node, S("operator")), v = value_get_str(node, S("value"));
    value field = value_get_str(node, S("field"));
    if (op.kind != VALUE_STRING || ++s->depth > SQL_DEPTH_MAX) {
        wrong(s, "unrecognized operator");
        return;
    }
    bool not = str_eq(value_str(op), S("not")), or = str_eq(value_str(op), S("or"));
    if (field.kind == VALUE_STRING) {
        put_field(s, value_str(op), value_str(field), v);
    } else {
        text(s, not ? S("NOT ") : S("("));
        for (u32 i = 0; v.kind == VALUE_ARRAY && i < value_count(v); i++) {
            if (i) text(s, or ? S(" OR ") : S(" AND "));
            put_node(s, value_item(v, i));
        }
        if (!not ) text(s, S(")"));
    }
    s->depth--;
}

rc_t policy_filter_sql(value ucast, const char *dialect, struct buf *to, struct diag *why) {
    struct sql s = {.to = to, .why = why, .flavor = flavor_of(dialect)};
    if (ucast.kind != VALUE_OBJECT || !value_count(ucast)) return RC_OK;
    text(&s, S("WHERE "));
    put_node(&s, ucast);
    return s.rc ? s.rc : to->failed ? RC_LIMIT : RC_OK;
}

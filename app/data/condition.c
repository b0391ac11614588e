/* SPDX-License-Identifier: Apache-2.0 */
/* condition.c — what partial evaluation left of a `read` rule, as a condition on a table's rows.
 *
 *   input.record.status == "open"; input.record.owner == "0190..."
 *      -> (f1 IS ? AND f4 IS ?)
 *
 * A condition means exactly what the rule means, also where a field is empty: null equals null
 * alone, is below every number and text, begins with nothing. A comparison that the database would
 * understand differently (a text with a number, the inside of a JSON value) is refused: the rule
 * is then a no, and its author is told where. app/policy/filter writes conditions for databases of
 * others, in the reference's words and with its tolerance; this one decides what people see. */
#include <stdlib.h>
#include "app/data/rules_impl.h"
#include "app/policy/value/json_text.h"
#include "app/utc.h"

enum side { SIDE_COLUMN, SIDE_VALUE };
enum column_kind { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_BOOL, COLUMN_TIME_NS };
struct operand {
    enum side side;
    str column;
    enum column_kind kind;
    value v;
};

static rc_t refuse(struct condition *to, const struct ast_location *at, const char *what) {
    diag_set(to->why, "%s", what);
    to->why->line = (int)at->row, to->why->column = (int)at->column;
    return RC_INVALID;
}

static void put(struct condition *to, const char *text) {
    (void)buf_add(&to->sql, str_from_c(text));
}

static rc_t bind(struct condition *to, struct db_value v) {
    if (to->count == DATA_VALUES_MAX) return RC_LIMIT;
    if (v.kind == DB_KIND_TEXT) { /* of a heap that ends before the condition does */
        v.bytes = arena_copy(to->arena, v.bytes);
        if (!v.bytes.ptr) return RC_NO_MEMORY;
    }
    to->values[to->count++] = v;
    put(to, "?");
    return RC_OK;
}

/* ---- Operands -------------------------------------------------------------------------------- */

static bool system_column(str name, struct operand *out) {
    static const struct {
        const char *name, *column;
        enum column_kind kind;
    } all[] = {{"id", "id", COLUMN_TEXT},
               {"created_by", "owner_id", COLUMN_TEXT},
               {"version", "version", COLUMN_NUMBER},
               {"created_at", "created_ns", COLUMN_TIME_NS},
               {"updated_at", "updated_ns", COLUMN_TIME_NS}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (!str_eq(name, str_from_c(all[i].name))) continue;
        *out = (struct operand){SIDE_COLUMN, str_from_c(all[i].column), all[i].kind, UNDEFINED};
        return true;
    }
    return false;
}

static rc_t column_operand(const struct collection *c, const struct ast_term *t,
                           struct condition *to, struct operand *out) {
    bool record = t->count == 3 && t->terms[0]->kind == AST_VAR &&
                  str_eq(t->terms[0]->var, S("input")) && t->terms[1]->kind == AST_STRING &&
                  str_eq(value_str(t->terms[1]->scalar), S("record")) &&
                  t->terms[2]->kind == AST_STRING;
    if (!record) return refuse(to, &t->at, "only input.record.FIELD can be compared in `read`");
    str name = value_str(t->terms[2]->scalar);
    if (system_column(name, out)) return RC_OK;
    const struct field *f = collection_field(c, name);
    if (!f) return refuse(to, &t->at, "the collection has no such field");
    if (f->type == FIELD_JSON) return refuse(to, &t->at, "a JSON field cannot be compared");
    enum column_kind kind = f->type == FIELD_NUMBER || f->type == FIELD_INTEGER ? COLUMN_NUMBER
                            : f->type == FIELD_BOOL                             ? COLUMN_BOOL
                                                                                : COLUMN_TEXT;
    *out = (struct operand){SIDE_COLUMN, f->column, kind, UNDEFINED};
    return RC_OK;
}

static rc_t operand_of(const struct collection *c, struct heap *h, const struct ast_term *t,
                       struct condition *to, struct operand *out) {
    if (t->kind == AST_REF) return column_operand(c, t, to, out);
    value v = ast_term_value(h, t);
    if (!value_defined(v)) return refuse(to, &t->at, "this cannot be said to the database");
    *out = (struct operand){.side = SIDE_VALUE, .v = v};
    return RC_OK;
}

/* RC_PASS: it is of another type: never equal. */
static rc_t value_for(const struct operand *column, value v, struct db_value *out) {
    struct buf text;
    u64 at_ns;
    *out = DB_NULL;
    if (v.kind == VALUE_BOOLEAN && column->kind == COLUMN_BOOL) {
        *out = DB_INT(value_is_true(v));
    } else if (v.kind == VALUE_STRING && column->kind == COLUMN_TEXT) {
        *out = DB_TEXT(value_str(v));
    } else if (v.kind == VALUE_STRING && column->kind == COLUMN_TIME_NS) {
        if (utc_parse(value_str(v), &at_ns)) return RC_PASS;
        *out = DB_INT(at_ns);
    } else if (v.kind == VALUE_NUMBER && column->kind == COLUMN_NUMBER) {
        if (!v.boxed) {
            *out = DB_INT(v.integer);
            return RC_OK;
        }
        buf_open(&text, KIB(8));
        json_text_write(&text, v, 0);
        (void)buf_add_byte(&text, 0);
        *out = DB_REAL(text.failed ? 0 : strtod(text.ptr, NULL));
        bool failed = text.failed;
        buf_close(&text);
        return failed ? RC_LIMIT : RC_OK;
    } else {
        return RC_PASS;
    }
    return RC_OK;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

enum compare { EQ, NE, LT, LTE, GT, GTE, COMPARE_COUNT };
static const char *const compare_names[COMPARE_COUNT] = {"eq", "neq", "lt", "lte", "gt", "gte"};
static const char *const compare_sql[COMPARE_COUNT] = {" IS ", " IS NOT ", "<", "<=", ">", ">="};
static const enum compare turned[COMPARE_COUNT] = {EQ, NE, GT, GTE, LT, LTE};

static rc_t put_null(struct condition *to, const struct operand *a, enum compare op,
                     const struct ast_location *at) {
    if (op != EQ && op != NE) return refuse(to, at, "null is only equal or not equal");
    (void)buf_add(&to->sql, a->column);
    put(to, op == EQ ? " IS NULL" : " IS NOT NULL");
    return RC_OK;
}

static rc_t put_ordered(struct condition *to, const struct operand *a, enum compare op,
                        struct db_value v) {
    bool below = op == LT || op == LTE; /* null is below everything */
    put(to, "coalesce(");
    (void)buf_add(&to->sql, a->column);
    put(to, compare_sql[op]);
    rc_t rc = bind(to, v);
    put(to, below ? ",1)" : ",0)");
    return rc;
}

static rc_t put_columns(struct condition *to, const struct operand *a, const struct operand *b,
                        enum compare op, const struct ast_location *at) {
    if (a->kind != b->kind || op > NE)
        return refuse(to, at, "two fields can be equal or not, if they are of one type");
    (void)buf_add(&to->sql, a->column);
    put(to, compare_sql[op]);
    (void)buf_add(&to->sql, b->column);
    return RC_OK;
}

static rc_t put_compare(struct condition *to, struct operand *a, struct operand *b, enum compare op,
                        const struct ast_location *at) {
    struct db_value v;
    if (a->side == SIDE_VALUE) {
        struct operand other = *a;
        *a = *b, *b = other;
        op = turned[op];
    }
    if (a->side == SIDE_VALUE) return refuse(to, at, "one side must be a field of the record");
    if (b->side == SIDE_COLUMN) return put_columns(to, a, b, op, at);
    if (b->v.kind == VALUE_NULL) return put_null(to, a, op, at);
    rc_t rc = value_for(a, b->v, &v);
    if (rc == RC_PASS && op <= NE && a->kind != COLUMN_TIME_NS) {
        put(to, op == EQ ? "0" : "1");
        return RC_OK;
    }
    if (rc == RC_PASS || (op > NE && a->kind == COLUMN_BOOL))
        return refuse(to, at, "the field is of another type than what it is compared with");
    if (rc) return rc;
    if (op > NE) return put_ordered(to, a, op, v);
    (void)buf_add(&to->sql, a->column);
    put(to, compare_sql[op]);
    return bind(to, v);
}

static rc_t put_member(struct condition *to, const struct operand *a, const struct operand *b,
                       const struct ast_location *at) {
    struct db_value v;
    rc_t rc = RC_OK;
    bool null = false;
    if (a->side != SIDE_COLUMN || b->side != SIDE_VALUE ||
        (b->v.kind != VALUE_ARRAY && b->v.kind != VALUE_SET) || a->kind == COLUMN_TIME_NS)
        return refuse(to, at, "`in` wants a field on its left and a list of values on its right");
    put(to, "coalesce(");
    (void)buf_add(&to->sql, a->column);
    put(to, " IN (");
    u32 n = 0;
    for (u32 i = 0; !rc && i < value_count(b->v); i++) {
        value item = value_item(b->v, i);
        null |= item.kind == VALUE_NULL;
        if (item.kind == VALUE_NULL || value_for(a, item, &v) == RC_PASS) continue;
        if (n++) put(to, ",");
        rc = bind(to, v);
    }
    put(to, null ? "),1)" : "),0)"); /* an empty field is not in a list without null */
    return rc;
}

static rc_t put_part(struct condition *to, const struct operand *a, const struct operand *b,
                     str name, const struct ast_location *at) {
    if (a->side != SIDE_COLUMN || a->kind != COLUMN_TEXT || b->side != SIDE_VALUE ||
        b->v.kind != VALUE_STRING)
        return refuse(to, at, "a text field and a text are wanted here");
    struct db_value text = DB_TEXT(value_str(b->v));
    s64 n = 0;
    for (size_t i = 0; i < text.bytes.len; i++) n += ((u8)text.bytes.ptr[i] & 0xC0) != 0x80;
    rc_t rc = RC_OK;
    put(to, str_eq(name, S("contains")) ? "coalesce(instr(" : "coalesce(substr(");
    (void)buf_add(&to->sql, a->column);
    if (str_eq(name, S("contains"))) {
        put(to, ",");
        rc = bind(to, text);
        put(to, ")>0,0)");
        return rc;
    }
    bool end = str_eq(name, S("endswith"));
    put(to, end ? ",-max(1," : ",1,max(0,"); /* the last 0 would be all of it */
    rc = bind(to, DB_INT(n));
    put(to, end && !n ? "))IS NOT NULL,0)" : "))=");
    if (end && !n) return rc;
    if (!rc) rc = bind(to, text);
    put(to, ",0)");
    return rc;
}

/* ---- Expressions ----------------------------------------------------------------------------- */

static str operator_of(const struct ast_expr *e, char *room, size_t size) {
    const struct ast_term *op = e->terms[0];
    size_t n = 0;
    if (op->kind == AST_VAR) return op->var;
    for (u32 i = 0; op->kind == AST_REF && i < op->count; i++) {
        const struct ast_term *t = op->terms[i];
        str part = t->kind == AST_VAR      ? t->var
                   : t->kind == AST_STRING ? value_str(t->scalar)
                                           : S("?");
        if (n + part.len + 2 > size) return S("?");
        if (i) room[n++] = '.';
        memcpy(room + n, part.ptr, part.len);
        n += part.len;
    }
    return str_of(room, n);
}

static rc_t put_call(const struct collection *c, struct heap *h, const struct ast_expr *e,
                     struct condition *to) {
    char room[64];
    struct operand a, b;
    str op = operator_of(e, room, sizeof room);
    if (e->count != 3) return refuse(to, &e->at, "this call cannot be said to the database");
    rc_t rc = operand_of(c, h, e->terms[1], to, &a);
    if (!rc) rc = operand_of(c, h, e->terms[2], to, &b);
    if (rc) return rc;
    for (int i = 0; i < COMPARE_COUNT; i++)
        if (str_eq(op, str_from_c(compare_names[i])))
            return put_compare(to, &a, &b, (enum compare)i, &e->at);
    if (str_eq(op, S("internal.member_2"))) return put_member(to, &a, &b, &e->at);
    if (str_eq(op, S("startswith")) || str_eq(op, S("endswith")) || str_eq(op, S("contains")))
        return put_part(to, &a, &b, op, &e->at);
    return refuse(to, &e->at, "this call cannot be said to the database");
}

/* A field by itself holds unless it is false. */
static rc_t put_alone(const struct collection *c, const struct ast_expr *e, struct condition *to) {
    struct operand a;
    if (e->count != 1 || e->terms[0]->kind != AST_REF)
        return refuse(to, &e->at, "this cannot be said to the database");
    rc_t rc = column_operand(c, e->terms[0], to, &a);
    if (rc) return rc;
    if (a.kind != COLUMN_BOOL) {
        put(to, "1");
        return RC_OK;
    }
    (void)buf_add(&to->sql, a.column);
    put(to, " IS NOT 0");
    return RC_OK;
}

static rc_t put_expr(const struct collection *c, struct heap *h, const struct ast_expr *e,
                     struct condition *to) {
    rc_t rc;
    if (e->with_count) return refuse(to, &e->at, "`with` cannot be said to the database");
    put(to, e->negated ? "NOT(" : "(");
    if (e->kind == AST_EXPR_CALL)
        rc = put_call(c, h, e, to);
    else if (e->kind == AST_EXPR_TERM)
        rc = put_alone(c, e, to);
    else
        rc = refuse(to, &e->at, "this cannot be said to the database");
    put(to, ")");
    return rc;
}

rc_t condition_of(const struct collection *c, struct heap *h, const struct partial_answer *left,
                  struct condition *to) {
    rc_t rc = RC_OK;
    to->never = left->query_count == 0;
    put(to, "(");
    for (u32 i = 0; !rc && i < left->query_count; i++) {
        const struct ast_body *body = left->queries[i];
        put(to, i ? " OR (" : "(");
        for (u32 k = 0; !rc && k < body->count; k++) {
            if (k) put(to, " AND ");
            rc = put_expr(c, h, body->exprs[k], to);
        }
        put(to, body->count ? ")" : "1)");
    }
    put(to, left->query_count ? ")" : "0)");
    return rc ? rc : to->sql.failed ? RC_LIMIT : RC_OK;
}

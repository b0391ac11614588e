/* SPDX-License-Identifier: Apache-2.0 */
/* ucast.c — queries as a tree of conditions: fields compared with values, joined by and, or, not.
 * The form is UCAST's, which libraries of several languages turn into their own queries. */
#include "app/policy/filter/filter_impl.h"

str operator_name(const struct ast_expr *e, char *room, size_t size) {
    size_t n = 0;
    if (e->kind != AST_EXPR_CALL || !e->count) return S("");
    const struct ast_term *op = e->terms[0];
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
    return (str){room, n};
}

bool ref_begins(const struct ast_term *t, const char *first) {
    return t->kind == AST_REF && t->count && t->terms[0]->kind == AST_VAR &&
           str_eq(t->terms[0]->var, str_from_c(first));
}

struct fields {
    struct heap *h;
    value keys[4], values[4];
    u32 count;
};
static void put(struct fields *f, const char *key, value v) {
    f->keys[f->count] = value_string_c(f->h, key);
    f->values[f->count++] = v;
}
static value close(struct fields *f) {
    return value_object(f->h, f->keys, f->values, f->count);
}

static value compound(struct heap *h, const char *op, const value *items, u32 count) {
    struct fields f = {.h = h};
    put(&f, "type", value_string_c(h, "compound"));
    put(&f, "operator", value_string_c(h, op));
    put(&f, "value", value_array(h, items, count));
    return close(&f);
}

/* input.fruits.name -> "fruits.name" */
static value field_of(struct heap *h, const struct ast_term *ref, value mappings) {
    char text[1024];
    size_t n = 0;
    for (u32 i = 1; i < ref->count; i++) {
        const struct ast_term *t = ref->terms[i];
        str part = t->kind == AST_STRING ? value_str(t->scalar)
                   : t->kind == AST_VAR  ? t->var
                                         : S("");
        if (n + part.len + 2 > sizeof text) return UNDEFINED;
        if (i > 1) text[n++] = '.';
        memcpy(text + n, part.ptr, part.len);
        n += part.len;
    }
    return mapping_field(h, mappings, (str){text, n});
}

/* What JSON can say: sets as arrays. */
static value plain(struct heap *h, value v) {
    struct value_builder b;
    if (v.kind < VALUE_ARRAY) return v;
    value_builder_open(&b, h, v.kind == VALUE_OBJECT ? VALUE_OBJECT : VALUE_ARRAY);
    for (u32 i = 0; i < value_count(v); i++)
        if (v.kind == VALUE_OBJECT)
            value_builder_replace(&b, value_key_at(v, i), plain(h, value_value_at(v, i)));
        else
            value_builder_add(&b, plain(h, value_item(v, i)));
    return value_builder_close(&b);
}

struct op_name {
    const char *core, *ucast, *flipped;
};
static const struct op_name ops[] = {{"eq", "eq", "eq"},
                                     {"neq", "ne", "ne"},
                                     {"lt", "lt", "gte"},
                                     {"lte", "lte", "gt"},
                                     {"gt", "gt", "lte"},
                                     {"gte", "gte", "lt"},
                                     {"startswith", "startswith", "startswith"},
                                     {"endswith", "endswith", "endswith"},
                                     {"contains", "contains", "contains"},
                                     {"internal.member_2", "in", "in"}};

static value field_node(struct heap *h, const struct ast_expr *e, value mappings) {
    char room[128];
    str name = operator_name(e, room, sizeof room);
    bool flip = e->terms[1]->kind != AST_REF;
    const struct ast_term *ref = e->terms[flip ? 2 : 1], *other = e->terms[flip ? 1 : 2];
    const char *op = NULL;
    for (u32 i = 0; i < ARRAY_LEN(ops); i++)
        if (str_eq(name, str_from_c(ops[i].core))) op = flip ? ops[i].flipped : ops[i].ucast;
    if (!op || ref->kind != AST_REF) return UNDEFINED;
    value v = value_null();
    if (other->kind == AST_REF) {
        struct fields f = {.h = h};
        put(&f, "field", field_of(h, other, mappings));
        v = close(&f);
    } else if (other->kind == AST_VAR) { /* it is there at all */
        if (strcmp(op, "eq")) return UNDEFINED;
        op = "ne";
    } else {
        v = plain(h, ast_term_value(h, other));
        if (!value_defined(v)) return UNDEFINED;
    }
    struct fields f = {.h = h};
    put(&f, "type", value_string_c(h, "field"));
    put(&f, "operator", value_string_c(h, op));
    put(&f, "field", field_of(h, ref, mappings));
    put(&f, "value", v);
    return close(&f);
}

static value expr_node(struct heap *h, const struct ast_expr *e, value mappings) {
    if (e->kind != AST_EXPR_CALL || e->count != 3) return UNDEFINED;
    value v = field_node(h, e, mappings);
    return value_defined(v) && e->negated ? compound(h, "not", &v, 1) : v;
}

static value body_node(struct heap *h, const struct ast_body *b, value mappings) {
    if (b->count == 1) return expr_node(h, b->exprs[0], mappings);
    value *items = heap_alloc(h, MAX(b->count, 1u) * sizeof *items);
    if (!items || !b->count) return UNDEFINED;
    for (u32 i = 0; i < b->count; i++) {
        items[i] = expr_node(h, b->exprs[i], mappings);
        if (!value_defined(items[i])) return UNDEFINED;
    }
    return compound(h, "and", items, b->count);
}

value policy_filter_ucast(struct heap *h, const struct partial_answer *a, value mappings) {
    value v = UNDEFINED;
    value *items = heap_alloc(h, MAX(a->query_count, 1u) * sizeof *items);
    if (!items) return value_null();
    for (u32 i = 0; i < a->query_count; i++) {
        items[i] = v = body_node(h, a->queries[i], mappings);
        if (!value_defined(v)) return value_empty_object();
    }
    if (a->query_count > 1) v = compound(h, "or", items, a->query_count);
    return value_defined(v) ? v : value_empty_object();
}

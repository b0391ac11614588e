/* SPDX-License-Identifier: Apache-2.0 */
/* ast_compare.c — the order of terms, in which sets and objects of the tree are sorted: that of
 * values, with variables, references and the rest in between as the reference ranks them. Places
 * do not count. */
#include "app/policy/lang/ast.h"

/* null boolean number string template var ref array object set comprehensions call */
static int rank(const struct ast_term *t) {
    static const u8 ranks[] = {
        [AST_NULL] = 0, [AST_BOOLEAN] = 1, [AST_NUMBER] = 2, [AST_STRING] = 3,
        [AST_TEMPLATE_STRING] = 4, [AST_VAR] = 5, [AST_REF] = 6, [AST_ARRAY] = 7, [AST_OBJECT] = 8,
        [AST_SET] = 9, [AST_ARRAY_COMPREHENSION] = 10, [AST_OBJECT_COMPREHENSION] = 11,
        [AST_SET_COMPREHENSION] = 12, [AST_CALL] = 13};
    if (t->kind != AST_VALUE) return ranks[t->kind];
    return t->scalar.kind == VALUE_ARRAY ? 7 : t->scalar.kind == VALUE_OBJECT ? 8 : 9;
}

static int compare_counts(u32 a, u32 b) { return a < b ? -1 : a > b; }
static int compare_nullable(const struct ast_term *a, const struct ast_term *b) {
    if (!a || !b) return (a != NULL) - (b != NULL);
    return ast_term_compare(a, b);
}
static int compare_lists(struct ast_term *const *a, u32 na, struct ast_term *const *b, u32 nb) {
    for (u32 i = 0; i < na && i < nb; i++) {
        int d = ast_term_compare(a[i], b[i]);
        if (d) return d;
    }
    return compare_counts(na, nb);
}
/* Keys first, then values; as objects of values are ordered. */
static int compare_objects(const struct ast_term *a, const struct ast_term *b) {
    for (u32 i = 0; i < a->count && i < b->count; i++) {
        int d = ast_term_compare(a->pairs[i].key, b->pairs[i].key);
        if (!d) d = ast_term_compare(a->pairs[i].value, b->pairs[i].value);
        if (d) return d;
    }
    return compare_counts(a->count, b->count);
}

static int compare_bodies(const struct ast_body *a, const struct ast_body *b);
static int expr_rank(const struct ast_expr *e) {
    static const u8 ranks[] = {[AST_EXPR_SOME] = 0, [AST_EXPR_TERM] = 1, [AST_EXPR_CALL] = 2,
                               [AST_EXPR_EVERY] = 3, [AST_EXPR_NOT] = 4, [AST_EXPR_LOGICAL] = 5};
    return ranks[e->kind];
}
static int compare_every(const struct ast_every *a, const struct ast_every *b) {
    int d = compare_nullable(a->key, b->key);
    if (!d) d = ast_term_compare(a->value, b->value);
    if (!d) d = ast_term_compare(a->domain, b->domain);
    return d ? d : compare_bodies(a->body, b->body);
}
static int compare_logical(const struct ast_logical *a, const struct ast_logical *b) {
    int d = (int)a->op - (int)b->op;
    if (!d) d = compare_bodies(a->left, b->left);
    return d ? d : compare_bodies(a->right, b->right);
}
static int compare_with(const struct ast_expr *a, const struct ast_expr *b) {
    for (u32 i = 0; i < a->with_count && i < b->with_count; i++) {
        int d = ast_term_compare(a->with[i].target, b->with[i].target);
        if (!d) d = ast_term_compare(a->with[i].value, b->with[i].value);
        if (d) return d;
    }
    return compare_counts(a->with_count, b->with_count);
}
static int compare_exprs(const struct ast_expr *a, const struct ast_expr *b) {
    int d = expr_rank(a) - expr_rank(b);
    if (!d) d = compare_counts(a->index, b->index);
    if (!d) d = (int)a->negated - (int)b->negated;
    if (d) return d;
    switch (a->kind) {
    case AST_EXPR_EVERY: d = compare_every(a->every, b->every); break;
    case AST_EXPR_LOGICAL: d = compare_logical(a->logical, b->logical); break;
    case AST_EXPR_NOT: d = compare_bodies(a->not_body, b->not_body); break;
    default: d = compare_lists(a->terms, a->count, b->terms, b->count); break;
    }
    return d ? d : compare_with(a, b);
}
static int compare_bodies(const struct ast_body *a, const struct ast_body *b) {
    for (u32 i = 0; i < a->count && i < b->count; i++) {
        int d = compare_exprs(a->exprs[i], b->exprs[i]);
        if (d) return d;
    }
    return compare_counts(a->count, b->count);
}
int ast_body_compare(const struct ast_body *a, const struct ast_body *b) {
    return compare_bodies(a, b);
}

static int compare_templates(const struct ast_term *a, const struct ast_term *b) {
    for (u32 i = 0; i < a->count && i < b->count; i++) {
        const struct ast_part *x = &a->parts[i], *y = &b->parts[i];
        int d = (x->expr != NULL) - (y->expr != NULL);
        if (!d) d = x->expr ? compare_exprs(x->expr, y->expr) : ast_term_compare(x->text, y->text);
        if (d) return d;
    }
    return compare_counts(a->count, b->count);
}
static int compare_comprehensions(const struct ast_term *a, const struct ast_term *b) {
    int d = compare_nullable(a->comprehension.key, b->comprehension.key);
    if (!d) d = ast_term_compare(a->comprehension.head, b->comprehension.head);
    return d ? d : compare_bodies(a->comprehension.body, b->comprehension.body);
}

/* A folded collection beside one that is still a tree: member by member. */
static int compare_value(value a, const struct ast_term *b);
static int compare_member(value a, const struct ast_term *b) {
    if (b->kind <= AST_STRING || b->kind == AST_VALUE) return value_compare(a, b->scalar);
    static const u8 ranks[] = {[VALUE_ARRAY] = 7, [VALUE_OBJECT] = 8, [VALUE_SET] = 9};
    int d = (a.kind < VALUE_ARRAY ? -1 : (int)ranks[a.kind]) - rank(b);
    return d ? d : compare_value(a, b);
}
static int compare_value(value a, const struct ast_term *b) {
    u32 count = value_count(a);
    for (u32 i = 0; i < count && i < b->count; i++) {
        int d = a.kind == VALUE_OBJECT ? compare_member(value_key_at(a, i), b->pairs[i].key)
                                       : compare_member(value_item(a, i), b->terms[i]);
        if (!d && a.kind == VALUE_OBJECT)
            d = compare_member(value_value_at(a, i), b->pairs[i].value);
        if (d) return d;
    }
    return compare_counts(count, b->count);
}

int ast_term_compare(const struct ast_term *a, const struct ast_term *b) {
    if (a == b) return 0;
    int d = rank(a) - rank(b);
    if (d) return d;
    bool a_value = a->kind <= AST_STRING || a->kind == AST_VALUE;
    bool b_value = b->kind <= AST_STRING || b->kind == AST_VALUE;
    if (a_value && b_value) return value_compare(a->scalar, b->scalar);
    if (a_value) return compare_value(a->scalar, b);
    if (b_value) return -compare_value(b->scalar, a);
    switch (a->kind) {
    case AST_VAR: return str_cmp(a->var, b->var);
    case AST_OBJECT: return compare_objects(a, b);
    case AST_TEMPLATE_STRING: return compare_templates(a, b);
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: return compare_comprehensions(a, b);
    default: return compare_lists(a->terms, a->count, b->terms, b->count);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* term.c — terms as partial evaluation sees them: a constant is a value whatever its tree looks
 * like, and a collection is read the same way be it a value or a tree with variables in it. */
#include "app/policy/partial/partial_impl.h"

struct ast_term *term_of(struct partial *p, value v) {
    return ast_scalar(p->heap, NULL, v);
}

bool term_value(struct partial *p, const struct ast_term *t, value *v) {
    if (t->kind > AST_STRING && t->kind != AST_VALUE && !ast_term_is_constant(t)) return false;
    *v = ast_term_value(p->heap, t);
    return true;
}

enum shape term_shape(const struct ast_term *t) {
    switch (t->kind) {
    case AST_VAR: return SHAPE_VAR;
    case AST_REF: return SHAPE_REF;
    case AST_ARRAY: return SHAPE_ARRAY;
    case AST_OBJECT: return SHAPE_OBJECT;
    case AST_SET: return SHAPE_SET;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: return SHAPE_CLOSURE;
    case AST_CALL:
    case AST_TEMPLATE_STRING: return SHAPE_OTHER;
    default: break;
    }
    switch (t->scalar.kind) {
    case VALUE_ARRAY: return SHAPE_ARRAY;
    case VALUE_OBJECT: return SHAPE_OBJECT;
    case VALUE_SET: return SHAPE_SET;
    default: return SHAPE_SCALAR;
    }
}

u32 term_count(const struct ast_term *t) {
    return t->kind == AST_VALUE ? value_count(t->scalar) : t->count;
}

/* Of an array its positions, of a set its members. */
const struct ast_term *term_key(struct partial *p, const struct ast_term *t, u32 i) {
    switch (term_shape(t)) {
    case SHAPE_ARRAY: return term_of(p, value_integer(i));
    case SHAPE_OBJECT:
        return t->kind == AST_VALUE ? term_of(p, value_key_at(t->scalar, i)) : t->pairs[i].key;
    default: return term_item(p, t, i);
    }
}

const struct ast_term *term_item(struct partial *p, const struct ast_term *t, u32 i) {
    if (term_shape(t) == SHAPE_OBJECT)
        return t->kind == AST_VALUE ? term_of(p, value_value_at(t->scalar, i)) : t->pairs[i].value;
    return t->kind == AST_VALUE ? term_of(p, value_item(t->scalar, i)) : t->terms[i];
}

bool terms_equal(const struct ast_term *a, const struct ast_term *b) {
    return ast_term_compare(a, b) == 0;
}

struct ast_term *term_ref(struct partial *p, struct ast_term *const *terms, u32 count) {
    return ast_list(p->heap, NULL, AST_REF, terms, count);
}

struct ast_term *term_set_of(struct partial *p, const struct ast_term *only) {
    struct ast_term *one[] = {(struct ast_term *)only};
    return ast_list(p->heap, NULL, AST_SET, one, 1);
}

struct ast_term *term_wrap(struct partial *p, const struct ast_term *leaf,
                           struct ast_term *const *keys, u32 count) {
    struct ast_term *t = (struct ast_term *)leaf;
    for (u32 i = count; i-- > 0 && t;) {
        struct ast_term *outer = ast_list(p->heap, NULL, AST_OBJECT, NULL, 0);
        struct ast_pair *pair = partial_alloc(p, sizeof *pair);
        if (!outer || !pair) return NULL;
        *pair = (struct ast_pair){keys[i], t};
        outer->pairs = pair, outer->count = 1;
        outer->depth = (u8)MIN(t->depth + 1u, 255u);
        t = outer;
    }
    return t;
}

/* ---- Plain: as a parser would have made it ---- */

static void sort_members(struct ast_term *t) {
    u32 n = 0;
    for (u32 i = 0; i < t->count; i++) {
        struct ast_term *one = t->terms[i];
        u32 at = n;
        while (at > 0 && ast_term_compare(one, t->terms[at - 1]) < 0) at--;
        if (at > 0 && terms_equal(one, t->terms[at - 1])) continue;
        memmove(t->terms + at + 1, t->terms + at, (n - at) * sizeof(struct ast_term *));
        t->terms[at] = one;
        n++;
    }
    t->count = n;
}

static bool plain_term(struct ast_walk *w, struct ast_term **slot) {
    struct partial *p = w->arg;
    struct ast_term *t = *slot;
    if (t->kind == AST_VALUE) {
        struct ast_term *tree = ast_of_value(p->heap, &t->at, t->scalar);
        if (tree) *slot = tree;
        return false;
    }
    if (t->kind == AST_VAR && term_is_root(t)) {
        *slot = str_eq(t->var, S("input")) ? p->input_ref : p->data_ref;
        return false;
    }
    if (t->kind != AST_REF) return true;
    for (u32 i = term_is_root(t->terms[0]); i < t->count; i++) ast_walk_term(w, &t->terms[i]);
    return false;
}

static bool sort_term(struct ast_walk *w, struct ast_term **t) {
    (void)w;
    if ((*t)->kind == AST_SET) sort_members(*t);
    return true;
}

struct ast_term *term_plain(struct partial *p, const struct ast_term *t) {
    struct ast_term *made = t ? ast_term_copy(p->heap, t) : NULL;
    struct ast_walk w = {.term = plain_term, .arg = p}, sort = {.term = sort_term};
    if (made) ast_walk_term(&w, &made), ast_walk_term(&sort, &made);
    return made;
}

void body_plain(struct partial *p, struct ast_body *b) {
    struct ast_walk w = {.term = plain_term, .arg = p}, sort = {.term = sort_term};
    if (b) ast_walk_body(&w, b), ast_walk_body(&sort, b);
}

/* ---- Expressions ---- */

bool expr_is_call(const struct ast_expr *e, const char *op) {
    if (e->kind != AST_EXPR_CALL || !e->count) return false;
    const struct ast_term *name = e->terms[0];
    if (name->kind == AST_REF && name->count == 1) name = name->terms[0];
    return name->kind == AST_VAR && str_eq(name->var, str_from_c(op));
}

struct ast_expr *expr_eq(struct partial *p, const struct ast_term *a, const struct ast_term *b) {
    struct ast_term *sides[] = {(struct ast_term *)a, (struct ast_term *)b};
    if (!a || !b) return NULL;
    return ast_expr_call(p->heap, NULL, S("eq"), sides, 2);
}

struct ast_expr *expr_term(struct partial *p, const struct ast_term *t) {
    struct ast_expr *e = partial_alloc(p, sizeof *e);
    struct ast_term **list = partial_alloc(p, sizeof(struct ast_term *));
    if (!e || !list || !t) return NULL;
    list[0] = (struct ast_term *)t;
    e->kind = AST_EXPR_TERM, e->terms = list, e->count = 1, e->depth = t->depth;
    return e;
}

struct ast_expr *expr_call(struct partial *p, const struct ast_term *op,
                           struct ast_term *const *args, u32 count) {
    struct ast_expr *e = partial_alloc(p, sizeof *e);
    struct ast_term **list = partial_alloc(p, (count + 1) * sizeof(struct ast_term *));
    if (!e || !list || !op) return NULL;
    list[0] = (struct ast_term *)op;
    for (u32 i = 0; i < count; i++) {
        if (!args[i]) return NULL;
        list[i + 1] = args[i];
        e->depth = MAX(e->depth, args[i]->depth);
    }
    e->kind = AST_EXPR_CALL, e->terms = list, e->count = count + 1;
    return e;
}

struct ast_body *expr_body(struct partial *p, struct ast_expr *const *exprs, u32 count) {
    struct ast_body *b = partial_alloc(p, sizeof *b);
    struct ast_expr **list = partial_alloc(p, MAX(count, 1u) * sizeof(struct ast_expr *));
    if (!b || !list) return NULL;
    for (u32 i = 0; i < count; i++) {
        if (!exprs[i]) return NULL;
        list[i] = exprs[i];
        list[i]->index = i;
        b->depth = MAX(b->depth, list[i]->depth);
    }
    b->exprs = list, b->count = count;
    return b;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* unify.c — two terms made equal: variables are bound, refs read, collections taken apart; what
 * has something unknown in it is saved. */
#include "app/policy/partial/partial_impl.h"

static void unify_go(struct partial *p, struct goal *g) {
    partial_unify(p, g->at, g->a, g->b, g->next);
}

struct goal *goal_unify(struct partial *p, struct site at, struct closed a, struct closed b,
                        struct goal *next) {
    struct goal *g = goal_make(p, unify_go, at, next);
    if (g) g->a = a, g->b = b;
    return g;
}

static void unify_arrays(struct partial *p, struct site at, struct closed a, struct closed b,
                         struct goal *k) {
    u32 count = term_count(a.term);
    if (count != term_count(b.term)) {
        partial_fail(p);
        return;
    }
    for (u32 i = count; i-- > 0 && !partial_stopped(p);)
        k = goal_unify(p, at, (struct closed){term_item(p, a.term, i), a.env},
                       (struct closed){term_item(p, b.term, i), b.env}, k);
    goal_next(p, k);
}

/* Keys are known by now: safety has seen to it. */
static const struct ast_term *object_get(struct partial *p, struct closed object,
                                         const struct ast_term *key) {
    for (u32 i = 0; i < term_count(object.term); i++) {
        struct ast_term *have =
            bind_plug(p, (struct closed){term_key(p, object.term, i), object.env});
        if (have && terms_equal(have, key)) return term_item(p, object.term, i);
    }
    return NULL;
}

static void unify_objects(struct partial *p, struct site at, struct closed a, struct closed b,
                          struct goal *k) {
    u32 count = term_count(a.term);
    if (count != term_count(b.term)) {
        partial_fail(p);
        return;
    }
    for (u32 i = count; i-- > 0 && !partial_stopped(p);) {
        struct ast_term *key = bind_plug(p, (struct closed){term_key(p, a.term, i), a.env});
        const struct ast_term *other = key ? object_get(p, b, key) : NULL;
        if (!other) {
            partial_fail(p);
            return;
        }
        k = goal_unify(p, at, (struct closed){term_item(p, a.term, i), a.env},
                       (struct closed){other, b.env}, k);
    }
    goal_next(p, k);
}

static bool must_be_saved(struct partial *p, struct closed t) {
    return term_shape(t.term) == SHAPE_SET ? unknown_has_deep(p, t) : unknown_has(p, t);
}

static void unify_known(struct partial *p, struct site at, struct closed a, struct closed b,
                        struct goal *k) {
    bool var_a = a.term->kind == AST_VAR, var_b = b.term->kind == AST_VAR;
    (void)at;
    if (var_a && var_b && a.env == b.env && str_eq(a.term->var, b.term->var)) {
        goal_next(p, k);
    } else if (var_a || var_b) {
        if (var_a)
            bind_var(p, a, b);
        else
            bind_var(p, b, a);
        goal_next(p, k);
    } else {
        struct ast_term *x = bind_plug(p, a), *y = bind_plug(p, b);
        if (x && y && terms_equal(x, y))
            goal_next(p, k);
        else
            partial_fail(p);
    }
}

static void unify_values(struct partial *p, struct site at, struct closed a, struct closed b,
                         struct goal *k) {
    bool save_a = must_be_saved(p, a), save_b = must_be_saved(p, b);
    if (!save_a && a.term->kind == AST_REF)
        read_ref(p, at, a, b, k);
    else if (!save_b && b.term->kind == AST_REF)
        read_ref(p, at, b, a, k);
    else if (save_a || save_b)
        partial_save_closed(p, at, a, b, k);
    else if (term_shape(a.term) == SHAPE_CLOSURE)
        partial_unify_closure(p, at, a, b, false, k);
    else if (term_shape(b.term) == SHAPE_CLOSURE)
        partial_unify_closure(p, at, b, a, true, k);
    else
        unify_known(p, at, a, b, k);
}

static bool may_match(enum shape a, enum shape b, const struct ast_term *tb) {
    if (a == SHAPE_VAR || a == SHAPE_REF || a == SHAPE_CLOSURE || a == SHAPE_SET) return true;
    if (b == SHAPE_VAR || b == SHAPE_REF || a == b) return true;
    return (a == SHAPE_ARRAY && tb->kind == AST_ARRAY_COMPREHENSION) ||
           (a == SHAPE_OBJECT && tb->kind == AST_OBJECT_COMPREHENSION);
}

void partial_unify(struct partial *p, struct site at, struct closed a, struct closed b,
                   struct goal *k) {
    if (partial_stopped(p)) return;
    a = bind_apply(p, a), b = bind_apply(p, b);
    enum shape sa = term_shape(a.term), sb = term_shape(b.term);
    if (!may_match(sa, sb, b.term))
        partial_fail(p);
    else if (sa == SHAPE_ARRAY && sb == SHAPE_ARRAY)
        unify_arrays(p, at, a, b, k);
    else if (sa == SHAPE_OBJECT && sb == SHAPE_OBJECT)
        unify_objects(p, at, a, b, k);
    else
        unify_values(p, at, a, b, k);
}

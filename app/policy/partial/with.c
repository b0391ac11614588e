/* SPDX-License-Identifier: Apache-2.0 */
/* with.c — `with`: other documents and functions for one expression.
 *
 * The residue must mean the same under its `with`, which is evaluated later: so no ref in the
 * expression is put in place of, and documents are kept as they were. If a replacing value is not
 * known the expression is saved as it stands. */
#include "app/policy/partial/partial_impl.h"

static bool is_document(struct partial *p, const struct ast_term *t) {
    const struct ast_term *head = t->kind == AST_REF ? t->terms[0] : t;
    return term_is_root(head) && !is_function(p, t);
}

static bool disable_term(struct ast_walk *w, struct ast_term **t) {
    struct partial *p = w->arg;
    const struct ast_term *ref = *t;
    if (ref->kind == AST_VAR && term_is_root(ref))
        ref = str_eq(ref->var, S("input")) ? p->input_ref : p->data_ref;
    if (ref->kind != AST_REF) return true;
    u32 ground = 1;
    while (ground < ref->count && ast_term_is_ground(ref->terms[ground])) ground++;
    disabled_push(p, ref, ground, true);
    for (u32 i = 1; i < (*t)->count && (*t)->kind == AST_REF; i++)
        ast_walk_term(w, &(*t)->terms[i]);
    return false;
}

static void disable_in(struct partial *p, const struct ast_expr *e) {
    struct ast_walk w = {.term = disable_term, .arg = p};
    for (u32 i = 0; i < e->with_count; i++) {
        struct ast_term *target = e->with[i].target, *v = e->with[i].value;
        if (is_document(p, target)) ast_walk_term(&w, &target);
        ast_walk_term(&w, &v);
    }
    struct ast_expr bare = *e;
    bare.with = NULL, bare.with_count = 0;
    ast_walk_expr(&w, &bare);
}

static value patched(struct partial *p, value into, const struct ast_term *target, value v) {
    value path[POLICY_PATH_DEPTH_MAX];
    u32 count = 0;
    for (u32 i = 1; target->kind == AST_REF && i < target->count && count < ARRAY_LEN(path); i++)
        if (!term_value(p, target->terms[i], &path[count++])) return into;
    return value_patch(p->heap, into, path, count, v);
}

static void replace_one(struct partial *p, struct site at, const struct ast_with *w) {
    struct surroundings *to = &p->now.around;
    struct ast_term *by = bind_plug(p, (struct closed){w->value, at.visit->env});
    value v = UNDEFINED;
    if (!by) return;
    if (!is_document(p, w->target)) {
        struct replaced *m = partial_alloc(p, sizeof *m);
        if (!m) return;
        *m = (struct replaced){w->target, by, to->replaced};
        to->replaced = m;
    } else if (!term_value(p, by, &v)) {
        return;
    } else {
        const struct ast_term *ref = w->target->kind == AST_REF           ? w->target
                                     : str_eq(w->target->var, S("input")) ? p->input_ref
                                                                          : p->data_ref;
        if (str_eq(ref->terms[0]->var, S("input")))
            to->input = patched(p, to->input, ref, v);
        else
            to->data = patched(p, to->data, ref, v);
        struct target *t = partial_alloc(p, sizeof *t);
        if (!t) return;
        *t = (struct target){ref, to->targets};
        to->targets = t;
    }
}

void partial_step_with(struct partial *p, struct site at, struct goal *k) {
    const struct ast_expr *e = site_expr(at);
    for (u32 i = 0; i < e->with_count; i++) {
        struct closed v = {e->with[i].value, at.visit->env};
        if (!is_document(p, e->with[i].target) || !unknown_has_deep(p, v)) continue;
        if (e->kind == AST_EXPR_TERM) {
            unknown_vars_of(p, (struct closed){e->terms[0], at.visit->env});
        } else if (e->kind == AST_EXPR_CALL) {
            int arity = expr_is_call(e, "eq") ? 0 : call_arity(p, e->terms[0]);
            for (u32 j = (u32)(arity + 1); arity >= 0 && j < e->count; j++)
                unknown_vars_of(p, (struct closed){e->terms[j], at.visit->env});
        }
        if (e->kind != AST_EXPR_TERM && e->kind != AST_EXPR_CALL) {
            partial_save_bodies(p, at, k);
            return;
        }
        struct ast_expr *copy = ast_expr_copy(p->heap, e);
        for (u32 j = 0; copy && j < copy->count; j++)
            if (term_shape(copy->terms[j]) == SHAPE_CLOSURE)
                copy->terms[j] = partial_amend(p, (struct closed){e->terms[j], at.visit->env});
        if (partial_stopped(p)) return;
        save_expr(p, at, copy, at.visit->env, at.visit->env, k);
        return;
    }
    struct goal *back = goal_restore(p, k);
    p->now.around.known = partial_alloc(p, sizeof *p->now.around.known);
    if (!back || !p->now.around.known) return;
    for (u32 i = 0; i < e->with_count; i++) replace_one(p, at, e->with + i);
    disable_in(p, e);
    if (!partial_stopped(p)) partial_step(p, at, back);
}

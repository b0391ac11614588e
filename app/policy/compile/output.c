/* SPDX-License-Identifier: Apache-2.0 */
/* output.c — which variables an expression binds, given those that are bound before it.
 *
 *   x = y            binds x when y is bound, y when x is
 *   [x, 1] = data.a  binds x
 *   data.a[i][j]     binds i and j
 *   f(x, y)          with one argument: binds y, once x is bound
 *   not, with an unbound replacement, and, or: nothing
 *
 * Unification spreads along equalities between terms: x = [y, z] binds x once both are bound, and
 * both once x is. What waits for what is kept in a small list, and taken from it as it happens. */
#include "app/policy/compile/compile_impl.h"

/* ---- Refs that may be followed --------------------------------------------------------------- */

static bool vars_are_safe(struct compiler *c, const struct ast_term *t, const struct varset *safe) {
    struct varset vars;
    varset_open(&vars, &c->scratch);
    vars_of_term(c, &vars, t, SAFETY);
    return varset_within(&vars, safe);
}

static bool ref_is_safe(struct compiler *c, const struct ast_term *ref, const struct varset *safe) {
    const struct ast_term *head = ref->terms[0];
    return head->kind == AST_VAR ? varset_has(safe, head->var) : vars_are_safe(c, head, safe);
}

/* The variables in operands of refs whose heads are bound: following the ref binds them. */
struct refs {
    struct varset *to;
    const struct varset *safe;
};

static bool ref_outputs(struct walk *w, struct ast_term *t) {
    struct refs *r = w->arg;
    if (is_closure(t) || t->kind == AST_TEMPLATE_STRING) return true;
    if (t->kind != AST_REF) return false;
    if (!t->count || !ref_is_safe(w->c, t, r->safe)) return true;
    for (u32 i = 1; i < t->count; i++)
        if (t->terms[i]->kind == AST_VAR)
            varset_add(r->to, t->terms[i]->var);
        else if (!is_scalar(t->terms[i]))
            vars_of_term(w->c, r->to, t->terms[i], SKIP_REF_HEAD);
    return false;
}

static void outputs_of_refs(struct compiler *c, struct varset *to, const struct ast_term *t,
                            const struct varset *safe) {
    struct refs r = {to, safe};
    struct walk w = {.c = c, .term = ref_outputs, .arg = &r};
    if (!is_scalar(t) && t->kind != AST_VAR) walk_term(&w, (struct ast_term *)t); /* only looks */
}

/* ---- Unification ---------------------------------------------------------------------------- */

/* `what` becomes bound when none of `on` is left. */
struct waiting {
    str what;
    struct varset on;
    bool done;
};
struct unifier {
    struct compiler *c;
    const struct varset *safe;
    struct varset *bound;
    struct waiting *list;
    u32 count, room;
};

static void unify(struct unifier *u, const struct ast_term *a, const struct ast_term *b);

static bool is_bound(const struct unifier *u, str v) {
    return varset_has(u->safe, v) || varset_has(u->bound, v);
}

static struct waiting *waiting_of(struct unifier *u, str v) {
    for (u32 i = 0; i < u->count; i++)
        if (!u->list[i].done && str_eq(u->list[i].what, v)) return &u->list[i];
    return NULL;
}

static void wait_for(struct unifier *u, str v, str on) {
    struct waiting *w = waiting_of(u, v);
    if (!w) {
        if (u->count == u->room) {
            u32 room = u->room ? u->room * 2 : 8;
            struct waiting *list = heap_alloc(&u->c->scratch, room * sizeof *list);
            if (!list) return;
            if (u->count) memcpy(list, u->list, u->count * sizeof *list);
            u->list = list;
            u->room = room;
        }
        w = &u->list[u->count++];
        *w = (struct waiting){.what = v};
        varset_open(&w->on, &u->c->scratch);
    }
    varset_add(&w->on, on);
}

/* What x waited for is bound with it: the terms are equal. What waited for x alone, too. */
static void bind(struct unifier *u, str x) {
    varset_add(u->bound, x);
    if (!compile_enter(u->c)) {
        compile_leave(u->c);
        return;
    }
    struct waiting *w = waiting_of(u, x);
    if (w) {
        struct varset on = w->on;
        w->done = true;
        for (u32 i = 0; i < on.count; i++) bind(u, on.items[i]);
    }
    for (u32 i = 0; i < u->count; i++) {
        if (u->list[i].done || !varset_has(&u->list[i].on, x)) continue;
        varset_remove(&u->list[i].on, x);
        if (!u->list[i].on.count) bind(u, u->list[i].what);
    }
    compile_leave(u->c);
}

static void bind_all(struct unifier *u, const struct ast_term *t) {
    struct varset vars;
    varset_open(&vars, &u->c->scratch);
    vars_of_term(u->c, &vars, t, SKIP_REF_HEAD | SKIP_OBJECT_KEYS | SKIP_CLOSURES);
    for (u32 i = 0; i < vars.count; i++) bind(u, vars.items[i]);
}

static void unify_collection(struct unifier *u, str v, const struct ast_term *t) {
    if (is_bound(u, v)) {
        bind_all(u, t);
        return;
    }
    struct varset vars;
    bool waits = false;
    varset_open(&vars, &u->c->scratch);
    vars_of_term(u->c, &vars, t, SKIP_REF_HEAD | SKIP_OBJECT_KEYS | SKIP_CLOSURES);
    for (u32 i = 0; i < vars.count; i++) {
        if (is_bound(u, vars.items[i])) continue;
        wait_for(u, v, vars.items[i]);
        waits = true;
    }
    if (!waits) bind(u, v);
}

static bool is_collection(const struct ast_term *t) {
    return t->kind == AST_ARRAY || t->kind == AST_OBJECT;
}

static void unify_var(struct unifier *u, str a, const struct ast_term *b) {
    switch (b->kind) {
    case AST_VAR:
        if (is_bound(u, b->var))
            bind(u, a);
        else if (is_bound(u, a))
            bind(u, b->var);
        else
            wait_for(u, a, b->var), wait_for(u, b->var, a);
        break;
    case AST_ARRAY:
    case AST_OBJECT: unify_collection(u, a, b); break;
    case AST_REF:
        if (ref_is_safe(u->c, b, u->safe)) bind(u, a);
        break;
    case AST_CALL:
        if (vars_are_safe(u->c, b, u->safe)) bind(u, a);
        break;
    default: bind(u, a);
    }
}

/* a is a ref, a call or a comprehension that is safe to evaluate. */
static void unify_known(struct unifier *u, const struct ast_term *a, const struct ast_term *b) {
    bool any = !is_closure(a);
    if (b->kind == AST_VAR)
        bind(u, b->var);
    else if (b->kind == AST_ARRAY && (any || a->kind == AST_ARRAY_COMPREHENSION))
        bind_all(u, b);
    else if (b->kind == AST_OBJECT && (any || a->kind == AST_OBJECT_COMPREHENSION))
        bind_all(u, b);
}

static const struct ast_term *value_of_key(const struct ast_term *object,
                                           const struct ast_term *key) {
    for (u32 i = 0; i < object->count; i++)
        if (!ast_term_compare(object->pairs[i].key, key)) return object->pairs[i].value;
    return NULL;
}

static void unify_objects(struct unifier *u, const struct ast_term *a, const struct ast_term *b) {
    if (a->count != b->count) return;
    for (u32 i = 0; i < a->count && !compile_stopped(u->c); i++) {
        /* most objects are written in one order */
        const struct ast_term *key = a->pairs[i].key;
        const struct ast_term *other =
            !ast_term_compare(b->pairs[i].key, key) ? b->pairs[i].value : value_of_key(b, key);
        if (other) unify(u, a->pairs[i].value, other);
    }
}

static bool can_be_evaluated(struct unifier *u, const struct ast_term *t) {
    if (t->kind == AST_REF) return ref_is_safe(u->c, t, u->safe);
    if (t->kind == AST_CALL) return vars_are_safe(u->c, t, u->safe);
    return is_closure(t);
}

static void unify_with_collection(struct unifier *u, const struct ast_term *a,
                                  const struct ast_term *b) {
    if (b->kind == AST_VAR)
        unify_collection(u, b->var, a);
    else if (a->kind == AST_ARRAY && b->kind == AST_ARRAY && a->count == b->count)
        for (u32 i = 0; i < a->count; i++) unify(u, a->terms[i], b->terms[i]);
    else if (a->kind == AST_OBJECT && b->kind == AST_OBJECT)
        unify_objects(u, a, b);
    else if ((a->kind == AST_ARRAY || !is_closure(b)) && can_be_evaluated(u, b))
        bind_all(u, a);
}

static void unify(struct unifier *u, const struct ast_term *a, const struct ast_term *b) {
    if (compile_enter(u->c)) {
        if (a->kind == AST_VAR)
            unify_var(u, a->var, b);
        else if (is_collection(a))
            unify_with_collection(u, a, b);
        else if (a->kind == AST_REF || a->kind == AST_CALL || is_closure(a)) {
            if (can_be_evaluated(u, a)) unify_known(u, a, b);
        } else if (b->kind == AST_VAR)
            bind(u, b->var);
    }
    compile_leave(u->c);
}

/* ---- Expressions ---------------------------------------------------------------------------- */

void outputs_of_eq(struct compiler *c, struct varset *to, const struct ast_expr *e,
                   const struct varset *safe) {
    if (operand_count(e) != 2) {
        varset_add_all(to, safe);
        return;
    }
    struct varset basis, bound;
    varset_open(&basis, &c->scratch);
    varset_open(&bound, &c->scratch);
    outputs_of_refs(c, &basis, operands(e)[0], safe);
    outputs_of_refs(c, &basis, operands(e)[1], safe);
    for (u32 i = 0; i < e->with_count; i++) {
        outputs_of_refs(c, &basis, e->with[i].target, safe);
        outputs_of_refs(c, &basis, e->with[i].value, safe);
    }
    varset_add_all(&basis, safe);
    if (e->from_assignment) { /* := binds its left side alone: nothing comes back from it */
        struct varset left;
        varset_open(&left, &c->scratch);
        vars_of_term(c, &left, operands(e)[0], 0);
        for (u32 i = 0; i < left.count; i++) varset_remove(&basis, left.items[i]);
    }
    struct unifier u = {.c = c, .safe = &basis, .bound = &bound};
    unify(&u, operands(e)[0], operands(e)[1]);
    for (u32 i = 0; i < basis.count; i++)
        if (!varset_has(safe, basis.items[i])) varset_add(to, basis.items[i]);
    for (u32 i = 0; i < bound.count; i++)
        if (!varset_has(safe, bound.items[i])) varset_add(to, bound.items[i]);
}

static void outputs_of_call(struct compiler *c, struct varset *to, const struct ast_expr *e,
                            const struct varset *safe) {
    const unsigned skip = SKIP_CLOSURES | SKIP_SETS | SKIP_OBJECT_KEYS | SKIP_REF_HEAD;
    int arity = e->terms[0]->kind == AST_REF ? arity_of(c, e->terms[0]) : -1;
    if (arity < 0) return;
    struct varset found, inputs;
    varset_open(&found, &c->scratch);
    for (u32 i = 0; i < e->count; i++) outputs_of_refs(c, &found, e->terms[i], safe);
    for (u32 i = 0; i < e->with_count; i++) {
        outputs_of_refs(c, &found, e->with[i].target, safe);
        outputs_of_refs(c, &found, e->with[i].value, safe);
    }
    u32 first = (u32)arity + 1;
    if (first >= e->count) {
        varset_add_all(to, &found);
        return;
    }
    varset_open(&inputs, &c->scratch);
    for (u32 i = 0; i < first; i++) vars_of_term(c, &inputs, e->terms[i], skip);
    for (u32 i = 0; i < inputs.count; i++)
        if (!varset_has(&found, inputs.items[i]) && !varset_has(safe, inputs.items[i])) return;
    varset_add_all(to, &found);
    for (u32 i = first; i < e->count; i++) vars_of_term(c, to, e->terms[i], skip);
}

static bool withs_are_safe(struct compiler *c, const struct ast_expr *e,
                           const struct varset *safe) {
    for (u32 i = 0; i < e->with_count; i++) {
        struct varset vars;
        varset_open(&vars, &c->scratch);
        vars_of_with(c, &vars, &e->with[i], SAFETY);
        if (!varset_within(&vars, safe)) return false;
    }
    return true;
}

/* `to` must be another set than `safe`. */
void outputs_of_expr(struct compiler *c, struct varset *to, const struct ast_expr *e,
                     const struct varset *safe) {
    if (is_negated(e) || !withs_are_safe(c, e, safe)) return;
    switch (e->kind) {
    case AST_EXPR_TERM:
        outputs_of_refs(c, to, e->terms[0], safe);
        for (u32 i = 0; i < e->with_count; i++) outputs_of_refs(c, to, e->with[i].value, safe);
        break;
    case AST_EXPR_CALL:
        if (is_equality(e))
            outputs_of_eq(c, to, e, safe);
        else
            outputs_of_call(c, to, e, safe);
        break;
    case AST_EXPR_EVERY: outputs_of_refs(c, to, e->every->domain, safe); break;
    default: break;
    }
}

void outputs_of_body(struct compiler *c, struct varset *to, struct ast_expr *const *exprs,
                     u32 count, const struct varset *safe) {
    struct varset all, one;
    varset_open(&all, &c->scratch);
    varset_add_all(&all, safe);
    for (u32 i = 0; i < count && !compile_stopped(c); i++) {
        varset_open(&one, &c->scratch);
        outputs_of_expr(c, &one, exprs[i], &all);
        varset_add_all(&all, &one);
        for (u32 k = 0; k < one.count; k++)
            if (!varset_has(safe, one.items[k])) varset_add(to, one.items[k]);
    }
}

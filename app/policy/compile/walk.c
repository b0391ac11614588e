/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c — over a tree, parents first; and the variables in a part of it.
 *
 * What counts as a variable "in" something differs by question: safety does not look into
 * comprehensions, which may bind their own; a call's name is no variable; the keys of an object
 * are not bound by unification. The SKIP_ flags say so. */
#include "app/policy/compile/compile_impl.h"

/* ---- Walking ------------------------------------------------------------------------------- */

static bool enter(struct walk *w) {
    return !w->c || compile_enter(w->c);
}
static void leave(struct walk *w) {
    if (w->c) compile_leave(w->c);
}

static void walk_terms(struct walk *w, struct ast_term **terms, u32 count) {
    for (u32 i = 0; i < count; i++) walk_term(w, terms[i]);
}

static void walk_parts(struct walk *w, struct ast_term *t) {
    for (u32 i = 0; i < t->count; i++) {
        if (t->parts[i].expr)
            walk_expr(w, t->parts[i].expr);
        else
            walk_term(w, t->parts[i].text);
    }
}

void walk_term(struct walk *w, struct ast_term *t) {
    if (!t) return;
    if (t->kind <= AST_VAR) { /* most are: nothing lies beneath */
        if (w->term) (void)w->term(w, t);
        return;
    }
    if (!enter(w) || (w->term && w->term(w, t))) {
        leave(w);
        return;
    }
    switch (t->kind) {
    case AST_REF:
    case AST_ARRAY:
    case AST_SET:
    case AST_CALL: walk_terms(w, t->terms, t->count); break;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) {
            walk_term(w, t->pairs[i].key);
            walk_term(w, t->pairs[i].value);
        }
        break;
    case AST_OBJECT_COMPREHENSION: walk_term(w, t->comprehension.key); /* fall through */
    case AST_ARRAY_COMPREHENSION:
    case AST_SET_COMPREHENSION:
        walk_term(w, t->comprehension.head);
        walk_body(w, t->comprehension.body);
        break;
    case AST_TEMPLATE_STRING: walk_parts(w, t); break;
    default: break;
    }
    leave(w);
}

void walk_expr(struct walk *w, struct ast_expr *e) {
    if (!enter(w) || (w->expr && w->expr(w, e))) {
        leave(w);
        return;
    }
    switch (e->kind) {
    case AST_EXPR_EVERY:
        walk_term(w, e->every->key);
        walk_term(w, e->every->value);
        walk_term(w, e->every->domain);
        walk_body(w, e->every->body);
        break;
    case AST_EXPR_LOGICAL:
        walk_body(w, e->logical->left);
        walk_body(w, e->logical->right);
        break;
    case AST_EXPR_NOT: walk_body(w, e->not_body); break;
    default: walk_terms(w, e->terms, e->count);
    }
    for (u32 i = 0; i < e->with_count; i++) {
        if (w->with && w->with(w, &e->with[i])) continue;
        walk_term(w, e->with[i].target);
        walk_term(w, e->with[i].value);
    }
    leave(w);
}

void walk_body(struct walk *w, struct ast_body *b) {
    if (w->body && w->body(w, b)) return;
    for (u32 i = 0; i < b->count; i++) walk_expr(w, b->exprs[i]);
}

void walk_head(struct walk *w, struct ast_head *h) {
    walk_terms(w, h->args, h->arg_count);
    walk_term(w, h->key);
    walk_term(w, h->value);
}

void walk_rule(struct walk *w, struct ast_rule *r) {
    walk_head(w, r->head);
    walk_body(w, r->body);
}

/* ---- Variables ----------------------------------------------------------------------------- */

static void vars_of_terms(struct compiler *c, struct varset *to, struct ast_term *const *terms,
                          u32 count, unsigned skip) {
    for (u32 i = 0; i < count; i++) vars_of_term(c, to, terms[i], skip);
}

static void vars_of_call(struct compiler *c, struct varset *to, struct ast_term *const *terms,
                         u32 count, unsigned skip) {
    if (!count) return;
    if (!(skip & SKIP_CALL_HEAD))
        vars_of_term(c, to, terms[0], skip);
    else if (terms[0]->kind == AST_REF)
        vars_of_terms(c, to, terms[0]->terms + 1, terms[0]->count - 1, skip);
    vars_of_terms(c, to, terms + 1, count - 1, skip);
}

static void vars_of_parts(struct compiler *c, struct varset *to, const struct ast_term *t,
                          unsigned skip) {
    if (skip & (SKIP_CLOSURES | SKIP_TEMPLATES)) return;
    for (u32 i = 0; i < t->count; i++)
        if (t->parts[i].expr) vars_of_expr(c, to, t->parts[i].expr, skip);
}

void vars_of_term(struct compiler *c, struct varset *to, const struct ast_term *t, unsigned skip) {
    if (t->kind == AST_VAR) {
        varset_add(to, t->var);
        return;
    }
    if (is_scalar(t) || (is_closure(t) && skip & SKIP_CLOSURES)) return;
    if (!compile_enter(c)) {
        compile_leave(c);
        return;
    }
    switch (t->kind) {
    case AST_REF: {
        u32 from = skip & SKIP_REF_HEAD && t->count ? 1 : 0;
        vars_of_terms(c, to, t->terms + from, t->count - from, skip);
        break;
    }
    case AST_SET:
        if (skip & SKIP_SETS) break; /* fall through */
    case AST_ARRAY: vars_of_terms(c, to, t->terms, t->count, skip); break;
    case AST_CALL: vars_of_call(c, to, t->terms, t->count, skip); break;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) {
            if (!(skip & SKIP_OBJECT_KEYS)) vars_of_term(c, to, t->pairs[i].key, skip);
            vars_of_term(c, to, t->pairs[i].value, skip);
        }
        break;
    case AST_OBJECT_COMPREHENSION:
        vars_of_term(c, to, t->comprehension.key, skip); /* fall through */
    case AST_ARRAY_COMPREHENSION:
    case AST_SET_COMPREHENSION:
        vars_of_term(c, to, t->comprehension.head, skip);
        vars_of_body(c, to, t->comprehension.body, skip);
        break;
    case AST_TEMPLATE_STRING: vars_of_parts(c, to, t, skip); break;
    default: break;
    }
    compile_leave(c);
}

void vars_of_with(struct compiler *c, struct varset *to, const struct ast_with *w, unsigned skip) {
    if (!(skip & SKIP_CALL_HEAD)) {
        vars_of_term(c, to, w->target, skip);
        vars_of_term(c, to, w->value, skip);
        return;
    }
    /* A target, and a function in its place, are named by refs whose heads are no variables. */
    if (w->target->kind == AST_REF && w->target->count)
        vars_of_terms(c, to, w->target->terms + 1, w->target->count - 1, skip);
    if (w->value->kind == AST_REF && w->value->count)
        vars_of_terms(c, to, w->value->terms + 1, w->value->count - 1, skip);
    else
        vars_of_term(c, to, w->value, skip);
}

/* How often each variable of a body is seen, by expression; and which of them it binds itself. */
static void add_unbound(struct compiler *c, struct varset *to, const struct ast_body *b,
                        const struct varset *bound) {
    struct varset once, more, here;
    varset_open(&once, &c->scratch);
    varset_open(&more, &c->scratch);
    for (u32 i = 0; i < b->count; i++) {
        varset_open(&here, &c->scratch);
        vars_of_expr(c, &here, b->exprs[i], SAFETY);
        for (u32 k = 0; k < here.count; k++)
            if (!varset_add(&once, here.items[k])) varset_add(&more, here.items[k]);
    }
    for (u32 i = 0; i < once.count; i++)
        if (!varset_has(bound, once.items[i]) || !varset_has(&more, once.items[i]))
            varset_add(to, once.items[i]);
}

/* An operand without braces is one condition to its author, even when the compiler has pulled it
 * apart: its variables must come from outside, unless one of its expressions makes them for
 * another of them. */
static void promote(struct compiler *c, struct varset *to, const struct ast_body *b) {
    struct varset bound, none;
    varset_open(&bound, &c->scratch);
    varset_open(&none, &c->scratch);
    if (b->count == 1) {
        vars_of_expr(c, to, b->exprs[0], SAFETY);
        return;
    }
    for (u32 i = 0; i < b->count; i++) {
        const struct ast_expr *e = b->exprs[i];
        if (e->kind != AST_EXPR_CALL) continue;
        if (is_equality(e)) {
            outputs_of_eq(c, &bound, e, &none);
            continue;
        }
        int arity = e->terms[0]->kind == AST_REF ? arity_of(c, e->terms[0]) : -1;
        for (u32 k = arity < 0 ? e->count : (u32)arity + 1; k < e->count; k++)
            vars_of_term(c, &bound, e->terms[k],
                         SKIP_CLOSURES | SKIP_SETS | SKIP_OBJECT_KEYS | SKIP_REF_HEAD);
    }
    add_unbound(c, to, b, &bound);
}

static void vars_of_nested(struct compiler *c, struct varset *to, const struct ast_body *b,
                           bool braces, unsigned skip) {
    if (skip & PROMOTE) {
        if (!braces) promote(c, to, b);
    } else if (!(skip & SKIP_CLOSURES)) {
        vars_of_body(c, to, b, skip);
    }
}

static void vars_of_every(struct compiler *c, struct varset *to, const struct ast_every *e,
                          unsigned skip) {
    if (skip & SKIP_CLOSURES) {
        vars_of_term(c, to, e->domain, skip);
        return;
    }
    if (e->key) vars_of_term(c, to, e->key, skip);
    vars_of_term(c, to, e->value, skip);
    vars_of_term(c, to, e->domain, skip);
    vars_of_body(c, to, e->body, skip);
}

void vars_of_expr(struct compiler *c, struct varset *to, const struct ast_expr *e, unsigned skip) {
    if (!compile_enter(c)) {
        compile_leave(c);
        return;
    }
    switch (e->kind) {
    case AST_EXPR_CALL: vars_of_call(c, to, e->terms, e->count, skip); break;
    case AST_EXPR_EVERY: vars_of_every(c, to, e->every, skip); break;
    case AST_EXPR_NOT: vars_of_nested(c, to, e->not_body, e->explicit_body, skip); break;
    case AST_EXPR_LOGICAL:
        vars_of_nested(c, to, e->logical->left, e->logical->explicit_left, skip);
        vars_of_nested(c, to, e->logical->right, e->logical->explicit_right, skip);
        break;
    default: vars_of_terms(c, to, e->terms, e->count, skip);
    }
    /* Of `every ... with` the reference's look for safety ends with the domain. */
    bool withs = !(e->kind == AST_EXPR_EVERY && skip & SKIP_CLOSURES);
    for (u32 i = 0; withs && i < e->with_count; i++) vars_of_with(c, to, &e->with[i], skip);
    compile_leave(c);
}

void vars_of_body(struct compiler *c, struct varset *to, const struct ast_body *b, unsigned skip) {
    for (u32 i = 0; i < b->count; i++) vars_of_expr(c, to, b->exprs[i], skip);
}

void vars_of_args(struct compiler *c, struct varset *to, const struct ast_head *h, unsigned skip) {
    vars_of_terms(c, to, h->args, h->arg_count, skip);
}

void vars_of_head(struct compiler *c, struct varset *to, const struct ast_head *h) {
    vars_of_args(c, to, h, 0);
    if (h->key) vars_of_term(c, to, h->key, 0);
    if (h->value) vars_of_term(c, to, h->value, 0);
    if (h->ref && h->ref->count) vars_of_terms(c, to, h->ref->terms + 1, h->ref->count - 1, 0);
}

/* ---- Variables within closures; variables that are declared --------------------------------- */

struct closures {
    struct varset *to;
};

static bool closure_term(struct walk *w, struct ast_term *t) {
    if (!is_closure(t)) return false;
    vars_of_term(w->c, ((struct closures *)w->arg)->to, t, 0);
    return true;
}

static bool closure_expr(struct walk *w, struct ast_expr *e) {
    struct varset *to = ((struct closures *)w->arg)->to;
    switch (e->kind) {
    case AST_EXPR_EVERY:
        vars_of_body(w->c, to, e->every->body, 0);
        walk_term(w, e->every->domain);
        return true;
    case AST_EXPR_NOT: vars_of_body(w->c, to, e->not_body, 0); return true;
    case AST_EXPR_LOGICAL:
        vars_of_body(w->c, to, e->logical->left, 0);
        vars_of_body(w->c, to, e->logical->right, 0);
        return true;
    default: return false;
    }
}

void vars_of_closures(struct compiler *c, struct varset *to, const struct ast_expr *e) {
    struct closures all = {to};
    struct walk w = {.c = c, .term = closure_term, .expr = closure_expr, .arg = &all};
    walk_expr(&w, (struct ast_expr *)e); /* the hooks only look */
}

static bool declared_term(struct walk *w, struct ast_term *t) {
    (void)w;
    return is_closure(t);
}

static void declared_in_call(struct walk *w, const struct ast_term *call) {
    u32 last = call->count - 1; /* the collection */
    for (u32 i = last; i > 1; i--) vars_of_term(w->c, w->arg, call->terms[i - 1], 0);
}

static bool declared_expr(struct walk *w, struct ast_expr *e) {
    if (is_assignment(e) && operand_count(e) == 2) {
        vars_of_term(w->c, w->arg, operands(e)[0], 0);
    } else if (e->kind == AST_EXPR_SOME) {
        for (u32 i = 0; i < e->count; i++) {
            if (e->terms[i]->kind == AST_VAR)
                varset_add(w->arg, e->terms[i]->var);
            else if (e->terms[i]->kind == AST_CALL && e->terms[i]->count >= 3)
                declared_in_call(w, e->terms[i]);
        }
    }
    return false;
}

void declared_vars(struct compiler *c, struct varset *to, struct ast_body *b) {
    struct walk w = {.c = c, .term = declared_term, .expr = declared_expr, .arg = to};
    walk_body(&w, b);
}

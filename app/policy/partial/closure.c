/* SPDX-License-Identifier: Apache-2.0 */
/* closure.c — comprehensions, `every`, `not { }`, `and`, `or`: bodies within an expression. If
 * nothing in them is unknown they are worked out now; else they are saved whole, with the variables
 * of the surrounding body put in. */
#include "app/policy/partial/partial_impl.h"

/* ---- Comprehensions ---- */

struct gather {
    struct choice c;
    struct site at;
    const struct ast_term *t;
    struct env *env;
    struct value_builder b;
    struct closed other;
    struct goal *k;
    bool held; /* `every`, and the rest */
};

static void gather_go(struct partial *p, struct goal *g) {
    struct gather *t = g->arg;
    const struct ast_term *c = t->t;
    value v, key;
    struct ast_term *head = bind_plug(p, (struct closed){c->comprehension.head, t->env});
    if (!head || !term_value(p, head, &v)) return;
    if (c->kind != AST_OBJECT_COMPREHENSION) {
        value_builder_add(&t->b, v);
        return;
    }
    struct ast_term *name = bind_plug(p, (struct closed){c->comprehension.key, t->env});
    if (!name || !term_value(p, name, &key)) return;
    if (value_builder_put(&t->b, key, v) == RC_CONFLICT)
        partial_error(p, EVAL_CONFLICT_ERROR, &c->comprehension.key->at,
                      "object keys must be unique");
}

static void gather_done(struct partial *p, struct choice *c) {
    struct gather *t = (struct gather *)c;
    choice_pop(p, c);
    struct ast_term *made = term_of(p, value_builder_close(&t->b));
    if (made) partial_unify(p, t->at, (struct closed){made, p->root}, t->other, t->k);
}

static void closure_evaluate(struct partial *p, struct site at, struct closed a, struct closed b,
                             struct goal *k) {
    struct gather *t = partial_alloc(p, sizeof *t);
    struct visit *f = visit_make(p, a.term->comprehension.body, a.env);
    if (!t || !f) return;
    t->at = at, t->t = a.term, t->env = a.env, t->other = b, t->k = k;
    value_builder_open(&t->b, p->heap,
                       a.term->kind == AST_ARRAY_COMPREHENSION ? VALUE_ARRAY
                       : a.term->kind == AST_SET_COMPREHENSION ? VALUE_SET
                                                               : VALUE_OBJECT);
    struct goal *g = goal_make(p, gather_go, at, NULL);
    if (!g) return;
    g->arg = t;
    choice_push(p, &t->c, gather_done);
    goal_next(p, goal_body(p, f, g));
}

static bool names_of_term(struct ast_walk *w, struct ast_term **t) {
    if ((*t)->kind == AST_VAR) names_add(w->arg, (*t)->var);
    return true;
}

/* What the surrounding body has bound is said again within. */
struct ast_term *partial_amend(struct partial *p, struct closed a) {
    struct residual_names vars;
    struct ast_term *made = bind_plug_closure(p, a.term, a.env);
    if (!made) return NULL;
    names_open(&vars, p->heap);
    struct ast_term *plain = (struct ast_term *)a.term;
    struct ast_walk w = {.term = names_of_term, .arg = &vars};
    ast_walk_term(&w, &plain);
    struct ast_body *b = made->comprehension.body;
    u32 count = b->count, bound = 0;
    for (const struct binding *x = a.env->first; x; x = x->next) bound += names_has(&vars, x->name);
    struct ast_expr **exprs = partial_alloc(p, (count + bound) * sizeof(struct ast_expr *));
    if (!exprs) return NULL;
    memcpy(exprs, b->exprs, count * sizeof(struct ast_expr *));
    u32 at = count + bound;
    for (const struct binding *x = a.env->first; x; x = x->next) {
        if (!names_has(&vars, x->name)) continue;
        struct ast_term *var = ast_var(p->heap, NULL, x->name);
        struct ast_term *name = ast_var(p->heap, NULL, bind_name(p, x->name, a.env));
        if (!var || !name) return NULL;
        exprs[--at] = expr_eq(p, name, bind_plug_named(p, (struct closed){var, a.env}));
    }
    made->comprehension.body = expr_body(p, exprs, count + bound);
    return made->comprehension.body ? made : NULL;
}

void partial_save_closed(struct partial *p, struct site at, struct closed a, struct closed b,
                         struct goal *k) {
    if (term_shape(a.term) == SHAPE_CLOSURE) a.term = partial_amend(p, a);
    if (term_shape(b.term) == SHAPE_CLOSURE) b.term = partial_amend(p, b);
    if (a.term && b.term) save_unify(p, at, a, b, k);
}

void partial_unify_closure(struct partial *p, struct site at, struct closed a, struct closed b,
                           bool swapped, struct goal *k) {
    if (!unknown_in_term(p, a.term, a.env)) {
        closure_evaluate(p, at, a, b, k);
        return;
    }
    if (swapped)
        partial_save_closed(p, at, b, a, k);
    else
        partial_save_closed(p, at, a, b, k);
}

/* ---- every, not { }, and, or: saved ---- */

void partial_save_bodies(struct partial *p, struct site at, struct goal *k) {
    struct env *env = at.visit->env;
    struct ast_expr *e = site_expr(at)->negated ? NULL : ast_expr_copy(p->heap, site_expr(at));
    struct ast_body *whole = e ? expr_body(p, &e, 1) : NULL;
    struct ast_body *made = whole ? bind_plug_body(p, whole, env) : NULL;
    if (!made || !made->count || partial_stopped(p)) return;
    made->exprs[0]->index = 0;
    body_plain(p, made);
    save_expr(p, at, made->exprs[0], env, env, k);
}

/* ---- The same, known ---- */

static void held_go(struct partial *p, struct goal *g) {
    struct gather *t = g->arg;
    t->held = true;
    (void)p;
}

static struct gather *gather_make(struct partial *p, struct site at, struct goal *k) {
    struct gather *t = partial_alloc(p, sizeof *t);
    if (t) t->at = at, t->k = k;
    return t;
}

/* Whether the body holds: `done` is asked once all its ways were tried. */
static void body_try(struct partial *p, struct gather *t, const struct ast_body *b, struct env *env,
                     void (*done)(struct partial *, struct choice *)) {
    struct visit *f = visit_make(p, b, env);
    struct goal *g = goal_make(p, held_go, t->at, NULL);
    if (!f || !g) return;
    g->arg = t;
    t->held = false;
    choice_push(p, &t->c, done);
    goal_next(p, goal_body(p, f, g));
}

static void not_done(struct partial *p, struct choice *c) {
    struct gather *t = (struct gather *)c;
    choice_pop(p, c);
    if (!t->held) goal_next(p, t->k);
}

static void or_right(struct partial *p, struct choice *c) {
    struct gather *t = (struct gather *)c;
    choice_pop(p, c);
    if (t->held) goal_next(p, t->k);
}
static void or_left(struct partial *p, struct choice *c) {
    struct gather *t = (struct gather *)c;
    choice_pop(p, c);
    if (t->held)
        goal_next(p, t->k);
    else
        body_try(p, t, site_expr(t->at)->logical->right, t->at.visit->env, or_right);
}
static void and_left(struct partial *p, struct choice *c) {
    struct gather *t = (struct gather *)c;
    choice_pop(p, c);
    if (t->held) body_try(p, t, site_expr(t->at)->logical->right, t->at.visit->env, or_right);
}

struct all { /* the entries of a domain: each must have its body hold */
    struct gather g;
    const struct ast_every *every;
    struct ast_term *domain;
    struct site at;
    struct goal *k;
    u32 i;
};

static void all_next(struct partial *p, struct choice *c);

static void all_try(struct partial *p, struct all *a) {
    if (a->i == term_count(a->domain)) {
        goal_next(p, a->k);
        return;
    }
    u32 i = a->i++;
    struct env *env = a->at.visit->env;
    const struct ast_every *q = a->every;
    struct visit *f = visit_make(p, q->body, env);
    struct goal *g = goal_make(p, held_go, a->at, NULL);
    if (!f || !g) return;
    g->arg = &a->g, a->g.held = false;
    struct closed item = {term_item(p, a->domain, i), p->root},
                  key = {term_key(p, a->domain, i), p->root};
    g = goal_unify(p, a->at, (struct closed){q->value, env}, item, goal_body(p, f, g));
    if (q->key) g = goal_unify(p, a->at, (struct closed){q->key, env}, key, g);
    choice_push(p, &a->g.c, all_next);
    goal_next(p, g);
}

static void all_next(struct partial *p, struct choice *c) {
    struct all *a = (struct all *)c;
    choice_pop(p, c);
    if (a->g.held) all_try(p, a);
}

static void every_known(struct partial *p, struct site at, const struct ast_every *q,
                        struct goal *k) {
    struct all *a = partial_alloc(p, sizeof *a);
    if (!a) return;
    a->every = q, a->at = at, a->k = k;
    a->domain = bind_plug(p, (struct closed){q->domain, at.visit->env});
    partial_fail(p);
    if (!a->domain) return;
    enum shape shape = term_shape(a->domain);
    if (shape == SHAPE_ARRAY || shape == SHAPE_OBJECT || shape == SHAPE_SET) all_try(p, a);
}

void partial_every(struct partial *p, struct site at, struct goal *k) {
    const struct ast_expr *e = site_expr(at);
    struct env *env = at.visit->env;
    struct ast_expr bare = *e;
    bare.with = NULL, bare.with_count = 0;
    if (unknown_in_expr(p, &bare, env)) {
        partial_save_bodies(p, at, k);
        return;
    }
    if (e->kind == AST_EXPR_EVERY) {
        every_known(p, at, e->every, k);
        return;
    }
    struct gather *t = gather_make(p, at, k);
    if (!t) return;
    if (e->kind == AST_EXPR_NOT)
        body_try(p, t, e->not_body, env, not_done);
    else
        body_try(p, t, e->logical->left, env, e->logical->op == AST_AND ? and_left : or_left);
}

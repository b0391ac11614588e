/* SPDX-License-Identifier: Apache-2.0 */
/* solve.c — the loop: goals are taken from the front of a list until one fails; then the newest
 * choice puts back what it saved and tries its next way.
 *
 * Nothing here recurses with the policy: what must be worked out aside (a negation, a rule's value,
 * the rules of support) is a choice too, which learns that all ways were tried when it is the
 * newest again. */
#include <stdio.h>
#include "app/policy/partial/partial_impl.h"

bool partial_stopped(const struct partial *p) {
    return p->evaluation.rc || p->heap->exhausted;
}

void *partial_alloc(struct partial *p, size_t n) {
    void *at = heap_alloc(p->heap, n);
    if (at) memset(at, 0, n);
    return at;
}

void partial_error(struct partial *p, enum policy_code code, const struct ast_location *at,
                   const char *message) {
    machine_fail(&p->evaluation, code, at, "%s", message);
}

/* ---- Goals and choices ---- */

struct goal *goal_make(struct partial *p, void (*go)(struct partial *, struct goal *),
                       struct site at, struct goal *next) {
    struct goal *g = partial_alloc(p, sizeof *g);
    if (g) g->go = go, g->at = at, g->next = next;
    return g;
}

void goal_next(struct partial *p, struct goal *k) {
    p->now.goals = k;
}

bool choice_push(struct partial *p, struct choice *c,
                 void (*again)(struct partial *, struct choice *)) {
    *c = (struct choice){again, p->choices, p->now, p->bound};
    p->choices = c;
    return true;
}

void choice_pop(struct partial *p, struct choice *c) {
    p->choices = c->older;
}

static void go_back(struct partial *p, const struct choice *c) {
    while (p->bound != c->bound) {
        p->bound->owner->first = p->bound->next;
        p->bound = p->bound->older;
    }
    p->now = c->was;
}

void partial_fail(struct partial *p) {
    p->now.goals = NULL;
}

void partial_solve(struct partial *p) {
    while (!partial_stopped(p) && evaluation_tick(&p->evaluation, 1)) {
        struct goal *g = p->now.goals;
        if (g) {
            p->now.goals = g->next;
            g->go(p, g);
        } else if (p->choices) {
            struct choice *c = p->choices;
            go_back(p, c);
            p->now.goals = NULL;
            c->again(p, c);
        } else {
            return;
        }
    }
}

/* ---- Bodies ---- */

struct env *env_make(struct partial *p) {
    struct env *e = partial_alloc(p, sizeof *e);
    if (e) e->id = p->ids;
    return e;
}

struct visit *visit_make(struct partial *p, const struct ast_body *b, struct env *env) {
    struct visit *f = partial_alloc(p, sizeof *f);
    if (f) *f = (struct visit){b, env, p->ids++};
    return f;
}

static void body_go(struct partial *p, struct goal *g) {
    if (g->at.index >= g->at.visit->body->count) return;
    struct goal *rest = goal_make(p, body_go, g->at, g->next);
    if (!rest) return;
    rest->at.index++;
    if (site_expr(g->at)->with_count)
        partial_step_with(p, g->at, rest);
    else
        partial_step(p, g->at, rest);
}

struct goal *goal_body(struct partial *p, const struct visit *f, struct goal *next) {
    return f ? goal_make(p, body_go, (struct site){f, 0}, next) : NULL;
}

/* ---- One expression ---- */

static void term_go(struct partial *p, struct goal *g) {
    if (unknown_has(p, g->a)) {
        save_expr(p, g->at, expr_term(p, g->a.term), g->a.env, g->a.env, g->next);
        return;
    }
    struct ast_term *t = bind_plug(p, g->a);
    value v;
    if (t && term_value(p, t, &v) && value_is_false(v)) partial_fail(p);
}

/* A term alone holds unless it is false. It is given a variable of its own. */
static void step_term(struct partial *p, struct site at, const struct ast_term *t, struct goal *k) {
    char name[64];
    int n =
        snprintf(name, sizeof name, "$_term_%llu_%u", (unsigned long long)at.visit->id, at.index);
    value text = value_string(p->heap, (str){name, (size_t)n});
    if (text.kind != VALUE_STRING) return;
    struct closed var = {ast_var(p->heap, NULL, value_str(text)), at.visit->env};
    struct goal *test = goal_make(p, term_go, at, NULL);
    if (!var.term || !test) return;
    /* Whatever is behind the term may be false: a default of false makes no difference to it. */
    test->next = k;
    test->a = var;
    struct unknown *tested = partial_alloc(p, sizeof *tested);
    if (!tested) return;
    *tested = (struct unknown){var, p->now.tested};
    p->now.tested = tested;
    partial_unify(p, at, (struct closed){t, at.visit->env}, var, test);
}

void partial_step(struct partial *p, struct site at, struct goal *k) {
    const struct ast_expr *e = site_expr(at);
    struct env *env = at.visit->env;
    if (e->negated) {
        partial_negate(p, at, k);
        return;
    }
    switch ((enum ast_expr_kind)e->kind) {
    case AST_EXPR_TERM: step_term(p, at, e->terms[0], k); break;
    case AST_EXPR_CALL:
        if (expr_is_call(e, "eq") && e->count == 3)
            partial_unify(p, at, (struct closed){e->terms[1], env},
                          (struct closed){e->terms[2], env}, k);
        else
            partial_call(p, at, e->terms, e->count, k);
        break;
    case AST_EXPR_SOME: goal_next(p, k); break;
    default: partial_every(p, at, k); break;
    }
}

static void restore_go(struct partial *p, struct goal *g) {
    p->now.around = *(struct surroundings *)g->arg;
}

struct goal *goal_restore(struct partial *p, struct goal *next) {
    struct surroundings *was = partial_alloc(p, sizeof *was);
    struct goal *g = goal_make(p, restore_go, (struct site){0}, next);
    if (!was || !g) return NULL;
    *was = p->now.around;
    g->arg = was;
    return g;
}

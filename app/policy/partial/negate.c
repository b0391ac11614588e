/* SPDX-License-Identifier: Apache-2.0 */
/* negate.c — `not` over something unknown.
 *
 * What is negated is evaluated for what is left of it. Nothing left: it can never hold, and the
 * negation does. If what is left is simple, its negation is saved in place: not of (A and B) or (C)
 * is (not A and not C) or (not B and not C). Else it becomes rules of support, named after the
 * place, with the unknown variables as arguments. */
#include <stdio.h>
#include "app/policy/partial/partial_impl.h"

struct negation {
    struct choice c;
    struct site at;
    struct goal *k;
    struct residual_names unknowns;
    struct ast_body **bodies;
    u32 count, room, pick;
    u64 id;
    bool held; /* nothing was unknown: it simply held */
};

static struct ast_expr *bare_of(struct partial *p, const struct ast_expr *e) {
    struct ast_expr *bare = partial_alloc(p, sizeof *bare);
    if (!bare) return NULL;
    *bare = *e;
    bare->negated = false, bare->with = NULL, bare->with_count = 0;
    return bare;
}

/* ---- Known ---- */

static void known_held_go(struct partial *p, struct goal *g) {
    ((struct negation *)g->arg)->held = true;
    (void)p;
}
static void known_done(struct partial *p, struct choice *c) {
    struct negation *n = (struct negation *)c;
    choice_pop(p, c);
    if (!n->held) goal_next(p, n->k);
}

/* ---- What is left ---- */

static void left_go(struct partial *p, struct goal *g) {
    struct negation *n = g->arg;
    struct ast_body *b = save_settled(p, save_query(p));
    if (!b) return;
    if (!p->options->shallow) b = copy_propagate(p, b, &n->unknowns, &n->unknowns, true);
    if (n->count == n->room) {
        u32 room = n->room ? n->room * 2 : 8;
        struct ast_body **list = partial_alloc(p, room * sizeof(struct ast_body *));
        if (!list) return;
        if (n->room) memcpy(list, n->bodies, n->room * sizeof(struct ast_body *));
        n->bodies = list, n->room = room;
    }
    if (b) n->bodies[n->count++] = b;
}

/* ---- Can its negation stand in place? ---- */

static bool nested_term(struct ast_walk *w, struct ast_term **t) {
    if ((*t)->kind == AST_REF || (*t)->kind == AST_CALL) *(bool *)w->arg = true;
    return true;
}

/* A ref or call within an operand may itself be undefined: negating the whole would say less. */
static bool has_nested(const struct ast_expr *e) {
    bool found = false, eq = expr_is_call(e, "eq");
    struct ast_walk w = {.term = nested_term, .arg = &found};
    if (e->kind != AST_EXPR_TERM && e->kind != AST_EXPR_CALL) return true;
    for (u32 i = e->kind == AST_EXPR_CALL; i < e->count && !found; i++) {
        struct ast_term *t = e->terms[i];
        bool direct = t->kind == AST_REF && (eq || e->kind == AST_EXPR_TERM);
        for (u32 j = 1; direct && j < t->count; j++) ast_walk_term(&w, &t->terms[j]);
        if (!direct) ast_walk_term(&w, &t);
    }
    return found;
}

static bool can_stand(struct partial *p, const struct negation *n) {
    u32 ways = 1;
    for (u32 i = 0; i < n->count; i++) {
        ways *= n->bodies[i]->count;
        if (ways > PARTIAL_INLINE_NOT_MAX) return false;
        for (u32 j = 0; j < n->bodies[i]->count; j++) {
            const struct ast_expr *e = n->bodies[i]->exprs[j];
            if (has_nested(e) || e->with_count) return false;
            if (e->negated) continue;
            struct residual_names vars;
            names_open(&vars, p->heap);
            residual_needs(p->residual, e, &vars);
            for (u32 k = 0; k < vars.count; k++)
                if (!names_has(&n->unknowns, vars.items[k]) && !str_eq(vars.items[k], S("input")) &&
                    !str_eq(vars.items[k], S("data")))
                    return false;
        }
    }
    return true;
}

static const struct ast_with *withs_now(struct partial *p, struct site at, u32 *count) {
    const struct ast_expr *e = site_expr(at);
    struct ast_with *with = partial_alloc(p, MAX(e->with_count, 1u) * sizeof *with);
    *count = 0;
    for (u32 i = 0; with && i < e->with_count; i++) {
        const struct ast_term *t = e->with[i].target;
        if (!term_is_root(t->kind == AST_REF ? t->terms[0] : t) || is_function(p, t)) continue;
        with[*count] = e->with[i];
        with[(*count)++].value =
            bind_plug_named(p, (struct closed){e->with[i].value, at.visit->env});
    }
    return with;
}

/* Saves the negation of an expression that is final. */
static void save_negated(struct partial *p, struct site at, const struct ast_expr *e) {
    struct ast_expr *not = ast_expr_copy(p->heap, e);
    if (!not ) return;
    not ->negated = !e->negated;
    u32 count;
    const struct ast_with *with = withs_now(p, at, &count);
    not ->with = (struct ast_with *)with, not ->with_count = count;
    not ->at = site_expr(at)->at;
    save_expr(p, at, not, NULL, NULL, NULL);
}

/* The pick-th way: of each body one expression fails; the last body's changes first. */
static void way_again(struct partial *p, struct choice *c) {
    struct negation *n = (struct negation *)c;
    u32 ways = 1, pick = n->pick++;
    for (u32 i = 0; i < n->count; i++) ways *= n->bodies[i]->count;
    if (n->pick >= ways) choice_pop(p, c);
    if (pick >= ways) return;
    for (u32 i = 0, rest = ways; i < n->count; i++) {
        rest /= n->bodies[i]->count;
        save_negated(p, n->at, n->bodies[i]->exprs[pick / rest % n->bodies[i]->count]);
    }
    goal_next(p, n->k);
}

/* ---- Rules of support ---- */

static bool body_var(struct ast_walk *w, struct ast_term **t) {
    if ((*t)->kind == AST_VAR) names_add(w->arg, (*t)->var);
    return true;
}

static void sort_names(str *items, u32 count) {
    for (u32 i = 1; i < count; i++)
        for (u32 j = i; j > 0 && str_cmp(items[j], items[j - 1]) < 0; j--) {
            str swap = items[j];
            items[j] = items[j - 1], items[j - 1] = swap;
        }
}

static u32 arguments(struct partial *p, const struct negation *n, struct ast_term ***out) {
    struct residual_names used;
    names_open(&used, p->heap);
    struct ast_walk w = {.term = body_var, .arg = &used};
    for (u32 i = 0; i < n->count; i++) ast_walk_body(&w, n->bodies[i]);
    str *both = partial_alloc(p, MAX(n->unknowns.count, 1u) * sizeof *both);
    *out = partial_alloc(p, MAX(n->unknowns.count, 1u) * sizeof(struct ast_term *));
    if (!both || !*out) return 0;
    u32 count = 0;
    for (u32 i = 0; i < n->unknowns.count; i++)
        if (names_has(&used, n->unknowns.items[i])) both[count++] = n->unknowns.items[i];
    sort_names(both, count);
    for (u32 i = 0; i < count; i++) (*out)[i] = ast_var(p->heap, NULL, both[i]);
    return count;
}

static void negate_by_rules(struct partial *p, struct negation *n) {
    char text[96];
    int len = snprintf(text, sizeof text, "__not%llu_%u_%llu__",
                       (unsigned long long)n->at.visit->id, n->at.index, (unsigned long long)n->id);
    value name = value_string(p->heap, (str){text, (size_t)len});
    struct ast_term *path[] = {p->data_ref->terms[0],
                               term_of(p, value_string(p->heap, p->name_space)), term_of(p, name)};
    struct ast_term **args;
    u32 count = arguments(p, n, &args);
    struct ast_term *package = term_ref(p, path, 2), *ref = term_ref(p, path, 3);
    struct ast_term *var =
        name.kind == VALUE_STRING ? ast_var(p->heap, NULL, value_str(name)) : NULL;
    struct ast_head *head = partial_alloc(p, sizeof *head);
    if (!package || !ref || !var || !head) return;
    head->ref = term_ref(p, &var, 1), head->name = var->var, head->value = p->yes;
    head->args = args, head->arg_count = count, head->is_function = count > 0;
    if (!head->ref) return;
    for (u32 i = 0; i < n->count; i++) {
        struct ast_rule *r = partial_alloc(p, sizeof *r);
        if (!r) return;
        r->head = head, r->body = n->bodies[i];
        support_add(p, package, r);
    }
    save_negated(p, n->at, count ? expr_call(p, ref, args, count) : expr_term(p, ref));
    goal_next(p, n->k);
}

static void left_done(struct partial *p, struct choice *c) {
    struct negation *n = (struct negation *)c;
    choice_pop(p, c);
    if (!n->count) {
        goal_next(p, n->k);
    } else if (can_stand(p, n)) {
        partial_fail(p);
        choice_push(p, &n->c, way_again);
    } else {
        negate_by_rules(p, n);
    }
}

void partial_negate(struct partial *p, struct site at, struct goal *k) {
    const struct ast_expr *e = site_expr(at);
    struct negation *n = partial_alloc(p, sizeof *n);
    struct ast_expr *bare = bare_of(p, e);
    struct ast_body *body = bare ? expr_body(p, &bare, 1) : NULL;
    struct visit *f = body ? visit_make(p, body, at.visit->env) : NULL;
    if (!n || !f) return;
    bool unknown = unknown_in_expr(p, e, at.visit->env);
    struct goal *g = goal_make(p, unknown ? left_go : known_held_go, at, NULL);
    if (!g) return;
    g->arg = n;
    n->at = at, n->k = k, n->id = f->id;
    names_open(&n->unknowns, p->heap);
    if (unknown) unknown_names(p, &n->unknowns);
    choice_push(p, &n->c, unknown ? left_done : known_done);
    if (unknown) p->now.query = NULL;
    goal_next(p, goal_body(p, f, g));
}

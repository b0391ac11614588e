/* SPDX-License-Identifier: Apache-2.0 */
/* template.c — template strings become calls.
 *
 *   $"a {input.x} b {y}"  ->  internal.template_string(["a ", {z | z = input.x}, " b ", {y}])
 *
 * Each part is a set of what it gives: none if it is undefined, which the builtin writes as such,
 * instead of making the whole undefined. A part may only use variables that the body around it
 * binds. */
#include "app/policy/compile/compile_impl.h"

struct templates {
    struct compiler *c;
    const struct varset *safe;
};

bool rule_is_constant(const struct ast_rule *r) {
    const struct ast_term *v = r->head->value;
    if (!is_true_body(r->body) || !v) return false;
    bool collection = v->kind == AST_ARRAY || v->kind == AST_OBJECT || v->kind == AST_SET;
    return is_scalar(v) || v->kind == AST_VAR || (collection && ast_term_is_ground(v));
}

/* Rules that surely have a value: constant as written, a set, or with a default. */
bool place_is_always_defined(const struct place *p) {
    if (!p || !p->node.rule_count) return false;
    const struct ast_rule *first = p->node.rules[0];
    if (first->head->arg_count) return false;
    if (first->is_default || ast_rule_kind(first) == AST_MULTI_VALUE) return true;
    if (p->node.rule_count == 1) return notes_of(first)->constant;
    for (u32 i = 1; i < p->node.rule_count; i++)
        if (p->node.rules[i]->is_default) return true;
    return false;
}

static bool is_always_defined(const struct compiler *c, const struct ast_term *t) {
    if (t->kind != AST_REF || t->count < 2 || !is_var_named(t->terms[0], "data")) return false;
    return place_is_always_defined(place_of(c, t, t->count));
}

static struct ast_term *set_with(struct compiler *c, struct ast_term *only) {
    struct ast_term **terms = compile_alloc(c, sizeof *terms);
    terms[0] = only;
    return new_list(c, AST_SET, &only->at, terms, 1);
}

static void undeclared(struct templates *w, const struct ast_term *t) {
    struct compiler *c = w->c;
    struct varset vars;
    varset_open(&vars, &c->scratch);
    vars_of_term(c, &vars, t, SAFETY);
    if (varset_within(&vars, w->safe)) return;
    varset_sort(&vars);
    for (u32 i = 0; i < vars.count; i++) {
        if (varset_has(w->safe, vars.items[i])) continue;
        str name = written_name(c, vars.items[i]);
        if (is_wildcard(name)) name = S("_");
        compile_error(c, POLICY_COMPILE_ERROR, &t->at, "var %.*s is undeclared", STR(name));
    }
}

/* NULL: it cannot be a part, and that was said. */
static struct ast_term *part_term(struct templates *w, struct ast_expr *e) {
    struct compiler *c = w->c;
    if (e->kind == AST_EXPR_TERM) return e->terms[0];
    if (e->kind != AST_EXPR_CALL) {
        compile_error(c, POLICY_COMPILE_ERROR, &e->at,
                      "unexpected template-string expression type");
        return NULL;
    }
    const struct builtin *b = builtin_of_ref(c, e->terms[0]);
    if (b && b->flags & BUILTIN_RELATION) {
        compile_error(c, POLICY_COMPILE_ERROR, &e->at,
                      "illegal call to relation built-in '%s' that may cause multiple outputs",
                      b->name);
        return NULL;
    }
    return new_list(c, AST_CALL, &e->at, e->terms, e->count);
}

static struct ast_term *part_set(struct templates *w, struct ast_expr *e) {
    struct ast_term *t = part_term(w, e);
    if (!t) return NULL;
    if (t->kind == AST_VAR || is_always_defined(w->c, t)) return set_with(w->c, t);
    undeclared(w, t);
    return new_set_of(w->c, t, e->with, e->with_count);
}

static void rewrite_template(struct templates *w, struct ast_term *t) {
    struct compiler *c = w->c;
    if (!(c->features & FEATURE_TEMPLATE_STRINGS) ||
        !builtin_allowed(c, S("internal.template_string"))) {
        compile_error(c, POLICY_COMPILE_ERROR, &t->at, "template-strings are not supported");
        return;
    }
    u32 count = MAX(t->count, 1u), n = 0;
    struct ast_term **terms = compile_list(c, &count, sizeof *terms);
    for (u32 i = 0; i < t->count && n < count; i++) {
        struct ast_term *part = t->parts[i].expr ? part_set(w, t->parts[i].expr) : t->parts[i].text;
        if (part) terms[n++] = part;
    }
    if (!t->count && count) {
        terms[n] = new_term(c, AST_STRING, &t->at);
        terms[n++]->scalar = value_string(c->heap, (str){0});
    }
    struct ast_term **op = compile_alloc(c, 2 * sizeof *op),
                    **call = compile_alloc(c, 2 * sizeof *call);
    op[0] = new_var(c, S("internal"), &t->at);
    op[1] = new_term(c, AST_STRING, &t->at);
    op[1]->scalar = value_string(c->heap, S("template_string"));
    call[0] = new_list(c, AST_REF, &t->at, op, 2);
    call[1] = new_list(c, AST_ARRAY, &t->at, terms, n);
    t->kind = AST_CALL;
    t->terms = call;
    t->count = 2;
}

/* ---- Going through: each closure adds what its own body binds -------------------------------- */

static bool template_term(struct walk *w, struct ast_term *t);
static bool template_expr(struct walk *w, struct ast_expr *e);

static void templates_beneath(struct compiler *c, struct ast_body *b, const struct varset *outer,
                              struct ast_term *head, struct ast_term *key) {
    struct varset safe;
    varset_open(&safe, &c->scratch);
    outputs_of_body(c, &safe, b->exprs, b->count, outer);
    varset_add_all(&safe, outer);
    struct templates own = {c, &safe};
    struct walk w = {.c = c, .term = template_term, .expr = template_expr, .arg = &own};
    walk_body(&w, b);
    if (key) walk_term(&w, key);
    if (head) walk_term(&w, head);
}

static bool template_term(struct walk *w, struct ast_term *t) {
    struct templates *at = w->arg;
    if (t->kind == AST_TEMPLATE_STRING) rewrite_template(at, t);
    if (!is_closure(t)) return false;
    templates_beneath(w->c, t->comprehension.body, at->safe, t->comprehension.head,
                      t->kind == AST_OBJECT_COMPREHENSION ? t->comprehension.key : NULL);
    return true;
}

static bool template_expr(struct walk *w, struct ast_expr *e) {
    struct templates *at = w->arg;
    if (e->kind != AST_EXPR_EVERY) return false;
    struct varset safe;
    varset_open(&safe, &w->c->scratch);
    varset_add_all(&safe, at->safe);
    if (e->every->key) vars_of_term(w->c, &safe, e->every->key, 0);
    vars_of_term(w->c, &safe, e->every->value, 0);
    walk_term(w, e->every->domain);
    templates_beneath(w->c, e->every->body, &safe, NULL, NULL);
    return true;
}

void templates_in_body(struct compiler *c, struct ast_body *b, const struct varset *safe) {
    templates_beneath(c, b, safe, NULL, NULL);
}

void rewrite_templates(struct compiler *c, struct ast_rule *r) {
    struct varset args, safe;
    if (!(notes_of(r)->has & HAS_TEMPLATE)) return;
    varset_open(&args, &c->scratch);
    varset_open(&safe, &c->scratch);
    vars_of_args(c, &args, r->head, 0);
    varset_add(&args, S("data"));
    varset_add(&args, S("input"));
    outputs_of_body(c, &safe, r->body->exprs, r->body->count, &args);
    varset_add_all(&safe, &args);
    templates_in_body(c, r->body, &args);
    struct templates own = {c, &safe};
    struct walk w = {.c = c, .term = template_term, .expr = template_expr, .arg = &own};
    walk_head(&w, r->head);
    notes_of(r)->has |= HAS_CALL_TERM | HAS_CLOSURE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* with.c — what `with` may replace, and by what.
 *
 *   with input.a as v        any part of input, by a value
 *   with data.a as v         any part of data that is no part of a rule's value, by a value
 *   with data.f as g, with count as g      a function, by a function's name or by its answer
 *
 * A value that must be evaluated is bound before the expression: it is seen without the others. */
#include "app/policy/compile/compile_impl.h"

static bool starts_with(const struct ast_term *t, str name) {
    return t->kind == AST_REF && t->count && is_var_str(t->terms[0], name);
}

static bool is_function_at(const struct place *p) {
    for (u32 i = 0; p && i < p->node.rule_count; i++)
        if (p->node.rules[i]->head->arg_count) return true;
    return false;
}

/* The builtin that t names, as far as it may be replaced or used at all. False: refused. */
static bool named_builtin(struct compiler *c, const struct ast_term *t,
                          const struct builtin **out) {
    *out = NULL;
    if (t->kind != AST_REF && t->kind != AST_VAR) return true;
    if (c->options->unsafe_builtins) {
        str name = compile_term_text(c, t);
        for (const char *const *u = c->options->unsafe_builtins; *u; u++) {
            if (!str_eq(name, str_from_c(*u))) continue;
            compile_error(c, POLICY_COMPILE_ERROR, &t->at,
                          "with keyword replacing built-in function: target must not be unsafe: "
                          "\"%.*s\"",
                          STR(name));
            return false;
        }
    }
    *out = builtin_of_ref(c, t);
    return true;
}

static bool target_builtin_allowed(struct compiler *c, const struct builtin *b,
                                   const struct ast_term *target) {
    const char *why = NULL;
    str name = str_from_c(b->name);
    const struct type *type = builtin_type(c, b);
    if (str_eq(name, S("eq")) || str_starts(name, S("rego.metadata.")))
        compile_error(c, POLICY_COMPILE_ERROR, &target->at,
                      "with keyword replacing built-in function: replacement of \"%s\" invalid",
                      b->name);
    else if (str_starts(name, S("internal.")))
        compile_error(c, POLICY_COMPILE_ERROR, &target->at,
                      "with keyword replacing built-in function: replacement of internal function "
                      "\"%s\" invalid",
                      b->name);
    else if (b->flags & BUILTIN_RELATION)
        why = "target must not be a relation";
    else if (type->kind == TYPE_FUNCTION && !type->of)
        why = "target must not be a void function";
    else
        return true;
    if (why)
        compile_error(c, POLICY_COMPILE_ERROR, &target->at,
                      "with keyword replacing built-in function: %s", why);
    return false;
}

/* Does `t` name a function, a rule or a builtin: something that is not evaluated here? */
static bool names_function(struct compiler *c, const struct ast_term *t, bool *refused) {
    const struct builtin *b;
    if (t->kind == AST_REF && place_of(c, t, t->count)) return true;
    *refused = !named_builtin(c, t, &b);
    return b != NULL;
}

enum verdict { KEEP, BIND, REFUSED };

static enum verdict data_target(struct compiler *c, const struct ast_with *w) {
    const struct ast_term *target = w->target;
    const struct place *p = NULL;
    for (u32 i = 0; i + 1 < target->count; i++) {
        const struct place *next = place_of(c, target, i + 1);
        if (!next) break;
        p = next;
        if (!p->node.rule_count) continue;
        compile_error(c, POLICY_COMPILE_ERROR, &target->at,
                      "with keyword cannot partially replace virtual document(s)");
        return REFUSED;
    }
    bool refused = false;
    if (is_function_at(place_of(c, target, target->count)) && names_function(c, w->value, &refused))
        return KEEP;
    if (refused) return REFUSED;
    if (w->value->kind == AST_REF && is_function_at(place_of(c, w->value, w->value->count)))
        return KEEP;
    return needs_eval(w->value) ? BIND : KEEP;
}

static void var_to_ref(struct compiler *c, struct ast_term *t) {
    if (t->kind == AST_VAR) *t = *new_ref_to(c, t->var, &t->at);
}

static enum verdict judge(struct compiler *c, struct ast_with *w) {
    const struct builtin *b;
    if (w->value->kind == AST_VAR && builtin_allowed(c, w->value->var)) var_to_ref(c, w->value);
    if (!named_builtin(c, w->target, &b)) return REFUSED;
    if (starts_with(w->target, S("data"))) return data_target(c, w);
    if (starts_with(w->target, S("input"))) return needs_eval(w->value) ? BIND : KEEP;
    if (!b) {
        compile_error(c, POLICY_TYPE_ERROR, &w->target->at,
                      "with keyword target must reference existing input, data, or a function");
        return REFUSED;
    }
    var_to_ref(c, w->target);
    if (!target_builtin_allowed(c, b, w->target)) return REFUSED;
    bool refused = false;
    if (names_function(c, w->value, &refused)) return KEEP;
    return refused ? REFUSED : needs_eval(w->value) ? BIND : KEEP;
}

static bool with_body(struct walk *w, struct ast_body *b) {
    struct compiler *c = w->c;
    bool any = false;
    for (u32 i = 0; i < b->count; i++) any |= b->exprs[i]->with_count > 0;
    if (!any) return false;
    struct exprs out = {0};
    for (u32 i = 0; i < b->count && !compile_stopped(c); i++) {
        struct ast_expr *e = b->exprs[i];
        for (u32 k = 0; k < e->with_count; k++) {
            enum verdict v = judge(c, &e->with[k]);
            if (v == REFUSED) return false; /* one error for each body */
            if (v != BIND) continue;
            struct ast_expr *eq = new_capture(c, e->with[k].value);
            exprs_add(c, &out, eq);
            e->with[k].value = operands(eq)[0];
        }
        exprs_add(c, &out, e);
    }
    if (!compile_stopped(c)) body_set(c, b, &out);
    return false;
}

void withs_in_body(struct compiler *c, struct ast_body *b) {
    struct walk w = {.c = c, .body = with_body};
    walk_body(&w, b);
}

void rewrite_withs(struct compiler *c, struct ast_rule *r) {
    struct walk w = {.c = c, .body = with_body};
    if (notes_of(r)->has & HAS_WITH) walk_rule(&w, r);
}

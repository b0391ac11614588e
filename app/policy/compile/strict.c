/* SPDX-License-Identifier: Apache-2.0 */
/* strict.c — names and functions that are refused: `input` and `data` as names of rules,
 * arguments or variables and imports that hide each other (in v1 and in strict mode), builtins that
 * are deprecated (likewise) or that the caller calls unsafe (always). */
#include "app/policy/compile/compile_impl.h"

/* ---- input and data ------------------------------------------------------------------------- */

static void rule_overrides(struct compiler *c, const struct ast_rule *r) {
    const struct ast_term *name = r->head->ref->terms[0];
    if (is_var_named(name, "input") || is_var_named(name, "data"))
        compile_error(c, POLICY_COMPILE_ERROR, &r->at,
                      "rules must not shadow %.*s (use a different rule name)", STR(name->var));
    for (u32 i = 0; i < r->head->arg_count; i++) {
        const struct ast_term *arg = r->head->args[i];
        if (is_root_document(arg))
            compile_error(c, POLICY_COMPILE_ERROR, &arg->at,
                          "args must not shadow %.*s (use a different variable name)",
                          STR(arg->terms[0]->var));
    }
}

static bool assignment_overrides(struct walk *w, struct ast_expr *e) {
    if (!is_assignment(e) || !operand_count(e)) return false;
    const struct ast_term *t = operands(e)[0];
    if (is_root_document(t)) t = t->terms[0];
    if (is_var_named(t, "input") || is_var_named(t, "data"))
        compile_error(w->c, POLICY_COMPILE_ERROR, &e->at,
                      "variables must not shadow %.*s (use a different variable name)",
                      STR(t->var));
    return false;
}

void override_errors(struct compiler *c, struct ast_body *b) {
    struct walk w = {.c = c, .expr = assignment_overrides};
    walk_body(&w, b);
}

/* Of rules, then of what is assigned in them: `first` rules alone have names. */
void check_overrides(struct compiler *c, struct ast_rule *r, bool first) {
    struct walk w = {.c = c, .expr = assignment_overrides};
    if (!c->options->strict && !module_is_v1_compatible(r->module)) return;
    if (first) rule_overrides(c, r);
    if (notes_of(r)->has & HAS_DECLARED) walk_rule(&w, r);
}

/* ---- Imports -------------------------------------------------------------------------------- */

str import_name(const struct ast_import *i) {
    if (i->alias.len) return i->alias;
    const struct ast_term *path = i->path;
    if (path->kind == AST_VAR) return path->var;
    const struct ast_term *last = path->terms[path->count - 1];
    if (last->kind == AST_VAR) return last->var;
    return last->kind == AST_STRING ? value_str(last->scalar) : (str){0};
}

str import_text(struct compiler *c, const struct ast_import *i) {
    str path = compile_term_text(c, i->path);
    struct buf b;
    buf_open(&b, KIB(64));
    rc_t rc =
        buf_printf(&b, "import %.*s%s%.*s", STR(path), i->alias.len ? " as " : "", STR(i->alias));
    str text = compile_text(c, &b);
    buf_close(&b);
    (void)rc; /* cut at the limit: it is a message */
    return text;
}

static bool is_rego_v1(const struct ast_term *path) {
    return path->kind == AST_REF && path->count == 2 && is_var_named(path->terms[0], "rego") &&
           path->terms[1]->kind == AST_STRING && str_eq(value_str(path->terms[1]->scalar), S("v1"));
}

static void duplicate_imports(struct compiler *c, const struct ast_module *m) {
    struct heap_mark mark = heap_mark(&c->scratch);
    struct varset seen;
    varset_open(&seen, &c->scratch);
    for (u32 i = 0; i < m->import_count && !compile_stopped(c); i++) {
        str name = import_name(&m->imports[i]);
        if (varset_add(&seen, name)) continue;
        u32 k = 0;
        while (!str_eq(name, import_name(&m->imports[k]))) k++;
        str first = import_text(c, &m->imports[k]);
        if (!compile_error(c, POLICY_COMPILE_ERROR, &m->imports[i].at,
                           "import must not shadow %.*s", STR(first)))
            break;
    }
    heap_release(&c->scratch, mark);
}

static void check_v1_imports(struct compiler *c, struct ast_module *m) {
    bool v1 = c->features & (FEATURE_REGO_V1_IMPORT | FEATURE_REGO_V1);
    for (u32 i = 0; i < m->import_count && !v1; i++)
        if (is_rego_v1(m->imports[i].path))
            compile_error(c, POLICY_COMPILE_ERROR, &m->imports[i].at,
                          "rego.v1 import is not supported");
}

static void check_same_imports(struct compiler *c, struct ast_module *m) {
    if (c->options->strict || module_is_v1_compatible(m)) duplicate_imports(c, m);
}

void check_module_imports(struct compiler *c, struct ast_module *m) {
    check_v1_imports(c, m);
    check_same_imports(c, m);
}

void check_imports(struct compiler *c) {
    EACH_MODULE(c, m) check_v1_imports(c, m);
    EACH_MODULE(c, m) check_same_imports(c, m);
}

/* ---- Builtins ------------------------------------------------------------------------------- */

static bool is_unsafe(const struct compiler *c, str name) {
    for (const char *const *u = c->options->unsafe_builtins; u && *u; u++)
        if (str_eq(name, str_from_c(*u))) return true;
    return false;
}

static bool unsafe_call(struct walk *w, struct ast_expr *e) {
    if (e->kind != AST_EXPR_CALL) return false;
    str name = compile_term_text(w->c, e->terms[0]);
    if (is_unsafe(w->c, name))
        compile_error(w->c, POLICY_TYPE_ERROR, &e->at,
                      "unsafe built-in function calls in expression: %.*s", STR(name));
    return false;
}

void unsafe_builtins_in_body(struct compiler *c, struct ast_body *b) {
    struct walk w = {.c = c, .expr = unsafe_call};
    if (c->options->unsafe_builtins) walk_body(&w, b);
}

void check_unsafe_builtins(struct compiler *c, struct ast_rule *r) {
    struct walk w = {.c = c, .expr = unsafe_call};
    if (c->options->unsafe_builtins) walk_rule(&w, r);
}

static bool deprecated_call(struct walk *w, struct ast_expr *e) {
    if (e->kind != AST_EXPR_CALL) return false;
    const struct builtin *b = builtin_of_ref(w->c, e->terms[0]);
    if (b && b->flags & BUILTIN_DEPRECATED)
        compile_error(w->c, POLICY_TYPE_ERROR, &e->at,
                      "deprecated built-in function calls in expression: %s", b->name);
    return false;
}

void deprecated_builtins_in_body(struct compiler *c, struct ast_body *b) {
    struct walk w = {.c = c, .expr = deprecated_call};
    if (c->options->strict) walk_body(&w, b);
}

void check_deprecated_builtins(struct compiler *c, struct ast_rule *r) {
    struct walk w = {.c = c, .expr = deprecated_call};
    if (c->options->strict || module_is_v1_compatible(r->module)) walk_rule(&w, r);
}

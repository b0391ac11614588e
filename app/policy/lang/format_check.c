/* SPDX-License-Identifier: Apache-2.0 */
/* format_check.c — what keeps a v0 text from being written as v1: told instead of written. */
#include "app/policy/builtin/builtin.h"
#include "app/policy/lang/format_impl.h"
#include "app/policy/lang/token.h"

static str import_name(const struct ast_import *imp) {
    if (imp->alias.len) return imp->alias;
    const struct ast_term *last = imp->path->terms[imp->path->count - 1];
    return last->kind == AST_VAR ? last->var : value_str(last->scalar);
}
static void check_imports(struct ast_module *m, struct policy_errors *errors) {
    for (u32 i = 0; i < m->import_count; i++)
        for (u32 k = 0; k < i; k++) {
            if (!str_eq(import_name(&m->imports[i]), import_name(&m->imports[k]))) continue;
            struct buf b;
            buf_open(&b, 65536);
            ast_term_write(&b, m->imports[k].path);
            if (m->imports[k].alias.len) putf(&b, " as %.*s", STR(m->imports[k].alias));
            policy_error_add(errors, POLICY_COMPILE_ERROR, &m->imports[i].at, "import must not shadow import %.*s",
                             STR(buf_str(&b)));
            buf_close(&b);
            break;
        }
}

static bool is_root(str name) { return str_eq(name, S("data")) || str_eq(name, S("input")); }
static void check_roots(struct ast_rule *r, struct policy_errors *errors) {
    const struct ast_head *h = r->head;
    str name = h->ref->terms[0]->var;
    if (is_root(name))
        policy_error_add(errors, POLICY_COMPILE_ERROR, &r->at, "rules must not shadow %.*s (use a different rule name)",
                         STR(name));
    for (u32 i = 0; i < h->arg_count; i++)
        if (h->args[i]->kind == AST_REF && h->args[i]->count == 1 && is_root(h->args[i]->terms[0]->var))
            policy_error_add(errors, POLICY_COMPILE_ERROR, &h->args[i]->at,
                             "args must not shadow %.*s (use a different variable name)",
                             STR(h->args[i]->terms[0]->var));
}
static bool check_assignment(struct ast_walk *w, struct ast_expr *e) {
    u32 arity;
    const char *symbol = e->kind == AST_EXPR_CALL ? ast_infix_of(e->terms[0], &arity) : NULL;
    if (!symbol || strcmp(symbol, ":=") != 0 || e->count < 2) return true;
    const struct ast_term *left = e->terms[1];
    if (left->kind == AST_REF && left->count == 1 && left->terms[0]->kind == AST_VAR && is_root(left->terms[0]->var))
        policy_error_add(w->arg, POLICY_COMPILE_ERROR, &e->at,
                         "variables must not shadow %.*s (use a different variable name)",
                         STR(left->terms[0]->var));
    return true;
}

static bool is_deprecated(str name) {
    static const struct { const char *name; u8 flags; } all[] = {
#define BUILTIN(name, function, arity, type, flags) {name, flags},
#define BUILTIN_WITHOUT(name, arity, type, flags) {name, flags},
#include "app/policy/builtin/builtin.def"
#undef BUILTIN
#undef BUILTIN_WITHOUT
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if ((all[i].flags & BUILTIN_DEPRECATED) && str_eq(name, str_from_c(all[i].name))) return true;
    return false;
}
static void check_operator(struct policy_errors *errors, const struct ast_term *op, const struct ast_location *at) {
    struct buf b;
    buf_open(&b, 65536);
    ast_term_write(&b, op);
    if (is_deprecated(buf_str(&b)))
        policy_error_add(errors, POLICY_TYPE_ERROR, at, "deprecated built-in function calls in expression: %.*s",
                         STR(buf_str(&b)));
    buf_close(&b);
}
static bool check_call_expr(struct ast_walk *w, struct ast_expr *e) {
    if (e->kind == AST_EXPR_CALL) check_operator(w->arg, e->terms[0], &e->at);
    return true;
}
static bool check_call_term(struct ast_walk *w, struct ast_term **t) {
    if ((*t)->kind == AST_CALL) check_operator(w->arg, (*t)->terms[0], &(*t)->terms[0]->at);
    return true;
}

void format_check_v1(struct ast_module *m, struct policy_errors *errors) {
    struct ast_walk assignments = {.expr = check_assignment, .arg = errors};
    struct ast_walk calls = {.expr = check_call_expr, .term = check_call_term, .arg = errors};
    check_imports(m, errors);
    for (u32 i = 0; i < m->rule_count; i++) check_roots(m->rules[i], errors);
    for (u32 i = 0; i < m->rule_count; i++) ast_walk_rule(&assignments, m->rules[i]);
    for (u32 i = 0; i < m->rule_count; i++) ast_walk_rule(&calls, m->rules[i]);
    for (u32 i = 0; i < m->rule_count; i++) {
        const struct ast_rule *r = m->rules[i];
        if (r->head->ref->count < 2 && token_is_reserved(r->head->name, true, 0))
            policy_error_add(errors, POLICY_PARSE_ERROR, &r->at, "%.*s keyword cannot be used for rule name",
                             STR(r->head->name));
    }
}

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
            policy_error_add(errors, POLICY_COMPILE_ERROR, &m->imports[i].at,
                             "import must not shadow import %.*s", STR(buf_str(&b)));
            buf_close(&b);
            break;
        }
}

static bool is_root(str name) { return str_eq(name, S("data")) || str_eq(name, S("input")); }
static void check_roots(struct ast_rule *r, struct policy_errors *errors) {
    const struct ast_head *h = r->head;
    str name = h->ref->terms[0]->var;
    if (is_root(name))
        policy_error_add(errors, POLICY_COMPILE_ERROR, &r->at,
                         "rules must not shadow %.*s (use a different rule name)", STR(name));
    for (u32 i = 0; i < h->arg_count; i++)
        if (h->args[i]->kind == AST_REF && h->args[i]->count == 1 &&
            is_root(h->args[i]->terms[0]->var))
            policy_error_add(errors, POLICY_COMPILE_ERROR, &h->args[i]->at,
                             "args must not shadow %.*s (use a different variable name)",
                             STR(h->args[i]->terms[0]->var));
}
static bool check_assignment(struct ast_walk *w, struct ast_expr *e) {
    u32 arity;
    const char *symbol = e->kind == AST_EXPR_CALL ? ast_infix_of(e->terms[0], &arity) : NULL;
    if (!symbol || strcmp(symbol, ":=") != 0 || e->count < 2) return true;
    const struct ast_term *left = e->terms[1];
    if (left->kind == AST_REF && left->count == 1 && left->terms[0]->kind == AST_VAR &&
        is_root(left->terms[0]->var))
        policy_error_add(w->arg, POLICY_COMPILE_ERROR, &e->at,
                         "variables must not shadow %.*s (use a different variable name)",
                         STR(left->terms[0]->var));
    return true;
}

/* A function's declaration; NULL: there is none of that name. */
static const char *declared(str name, u8 *flags) {
    static const struct { const char *name, *type; u8 flags; } all[] = {
#define BUILTIN(name, function, arity, type, flags) {name, type, flags},
#define BUILTIN_WITHOUT(name, arity, type, flags) {name, type, flags},
#include "app/policy/builtin/builtin.def"
#undef BUILTIN
#undef BUILTIN_WITHOUT
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_eq(name, str_from_c(all[i].name))) {
            *flags = all[i].flags;
            return all[i].type;
        }
    return NULL;
}
static bool is_deprecated(str name) {
    u8 flags;
    return declared(name, &flags) && (flags & BUILTIN_DEPRECATED);
}
static void check_operator(struct policy_errors *errors, const struct ast_term *op,
                           const struct ast_location *at) {
    struct buf b;
    buf_open(&b, 65536);
    ast_term_write(&b, op);
    if (is_deprecated(buf_str(&b)))
        policy_error_add(errors, POLICY_TYPE_ERROR, at,
                         "deprecated built-in function calls in expression: %.*s",
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
            policy_error_add(errors, POLICY_PARSE_ERROR, &r->at,
                             "%.*s keyword cannot be used for rule name", STR(r->head->name));
    }
}

/* ---- Operators called with too few arguments, or too many ---- */

enum { ARGUMENTS_MAX = 8 };
/* The types in "(x: T, y: U) => V". */
static u32 argument_types(str type, str types[ARGUMENTS_MAX]) {
    u32 n = 0;
    int depth = 0;
    for (size_t i = 0, start = 1; i < type.len && n < ARGUMENTS_MAX; i++) {
        char c = type.ptr[i];
        depth += (c == '(' || c == '[' || c == '<') - (c == ')' || c == ']' || c == '>');
        if (c == ':' && depth == 1) start = i + 2;
        if ((c != ',' || depth != 1) && depth > 0) continue;
        types[n++] = str_of(type.ptr + start, i - start);
        start = i + 2;
        if (depth == 0) break;
    }
    return n;
}
static value names_json(struct heap *h, const str *names, u32 n) {
    value v[64];
    n = MIN(n, ARRAY_LEN(v));
    for (u32 i = 0; i < n; i++) v[i] = value_string(h, names[i]);
    return value_array(h, v, n);
}
static str names_line(struct heap *h, const char *what, const str *names, u32 n) {
    struct buf b;
    buf_open(&b, 4096);
    putf(&b, "%s: (", what);
    for (u32 i = 0; i < n; i++) putf(&b, "%s%.*s", i ? "," : "", STR(names[i]));
    put_c(&b, ')');
    char *copy = heap_alloc(h, b.len + 1);
    if (copy) memcpy(copy, b.ptr, b.len);
    str line = str_of(copy ? copy : "", copy ? b.len : 0);
    buf_close(&b);
    return line;
}
void format_arity_error(struct format *f, struct ast_term *const *operands, u32 count,
                        str name, const struct ast_location *at) {
    struct heap *h = f->heap;
    u8 flags;
    const char *type = declared(name, &flags);
    str want[ARGUMENTS_MAX];
    str *have = heap_alloc(h, (count + 1) * sizeof(*have)),
        *lines = heap_alloc(h, 2 * sizeof(*lines));
    struct policy_error *e = policy_error_add(f->errors, POLICY_TYPE_ERROR, at,
                                              "%.*s: arity mismatch", STR(name));
    if (!have || !lines || !e || !type) return;
    u32 wanted = argument_types(str_from_c(type), want);
    for (u32 i = 0; i < count; i++) have[i] = str_from_c(term_kind_name(operands[i]));
    lines[0] = names_line(h, "have", have, count), lines[1] = names_line(h, "want", want, wanted);
    e->details = lines, e->detail_count = 2;
    value keys[] = {value_string(h, S("have")), value_string(h, S("want"))};
    value values[] = {names_json(h, have, count), names_json(h, want, wanted)};
    e->detail = value_object(h, keys, values, 2);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* print.c — calls of print: erased, or kept in a form that cannot fail.
 *
 *   print("x:", input.x)  ->  internal.print([{y | y = "x:"}, {z | z = input.x}])
 *
 * Each operand is a set of what it gives, so that an undefined one is told instead of ending the
 * body. Operands must be bound by what stands before the call: nothing is reordered for it. */
#include "app/policy/compile/compile_impl.h"

static bool is_print(const struct ast_expr *e) {
    return is_call_of(e, "print");
}

/* ---- Erasing -------------------------------------------------------------------------------- */

static bool erase_in_body(struct walk *w, struct ast_body *b) {
    u32 kept = 0;
    for (u32 i = 0; i < b->count; i++)
        if (!is_print(b->exprs[i])) b->exprs[kept++] = b->exprs[i];
    if (kept == b->count) return false;
    if (!kept) {
        struct ast_term *t = new_term(w->c, AST_BOOLEAN, &b->exprs[0]->at);
        t->scalar = value_boolean(true);
        b->exprs[kept++] = new_term_expr(w->c, t);
    }
    b->count = kept;
    for (u32 i = 0; i < kept; i++) b->exprs[i]->index = i;
    return false;
}

void erase_prints(struct compiler *c, struct ast_body *b) {
    struct walk w = {.c = c, .body = erase_in_body};
    walk_body(&w, b);
}

/* ---- Keeping -------------------------------------------------------------------------------- */

struct prints {
    const struct varset *safe;
};

static void keep_body(struct compiler *c, struct ast_body *b, const struct varset *globals);

static bool keep_term(struct walk *w, struct ast_term *t) {
    if (!is_closure(t)) return false;
    keep_body(w->c, t->comprehension.body, ((struct prints *)w->arg)->safe);
    return true;
}

static bool keep_expr(struct walk *w, struct ast_expr *e) {
    const struct varset *safe = ((struct prints *)w->arg)->safe;
    struct varset own;
    switch (e->kind) {
    case AST_EXPR_EVERY:
        varset_open(&own, &w->c->scratch);
        varset_add_all(&own, safe);
        if (e->every->key) vars_of_term(w->c, &own, e->every->key, 0);
        vars_of_term(w->c, &own, e->every->value, 0);
        keep_body(w->c, e->every->body, &own);
        return true;
    case AST_EXPR_NOT: keep_body(w->c, e->not_body, safe); return true;
    case AST_EXPR_LOGICAL:
        keep_body(w->c, e->logical->left, safe);
        keep_body(w->c, e->logical->right, safe);
        return true;
    default: return false;
    }
}

static bool check_operands(struct compiler *c, const struct ast_expr *e,
                           const struct varset *safe) {
    bool good = true;
    for (u32 i = 0; i < operand_count(e); i++) {
        struct varset vars;
        varset_open(&vars, &c->scratch);
        vars_of_term(c, &vars, operands(e)[i], SAFETY);
        varset_sort(&vars);
        for (u32 k = 0; k < vars.count; k++) {
            if (varset_has(safe, vars.items[k])) continue;
            str name = written_name(c, vars.items[k]);
            if (is_wildcard(name)) name = S("_");
            compile_error(c, POLICY_COMPILE_ERROR, &operands(e)[i]->at, "var %.*s is undeclared",
                          STR(name));
            good = false;
        }
    }
    return good;
}

static struct ast_expr *kept_print(struct compiler *c, const struct ast_expr *e) {
    u32 n = operand_count(e);
    struct ast_term **sets = compile_list(c, &n, sizeof *sets);
    for (u32 i = 0; i < n; i++) sets[i] = new_set_of(c, operands(e)[i], NULL, 0);
    struct ast_term **op = compile_alloc(c, 2 * sizeof *op);
    op[0] = new_var(c, S("internal"), &e->at);
    op[1] = new_term(c, AST_STRING, &e->at);
    op[1]->scalar = value_string(c->heap, S("print"));
    struct ast_expr *out = new_expr(c, &e->at);
    out->kind = AST_EXPR_CALL;
    out->index = e->index;
    out->terms = compile_alloc(c, 2 * sizeof *out->terms);
    out->terms[0] = new_list(c, AST_REF, &e->at, op, 2);
    out->terms[1] = new_list(c, AST_ARRAY, &e->at, sets, n);
    out->count = 2;
    return out;
}

/* Variables bound so far: what the expressions before bind, and all the compiler made in them. */
static void keep_body(struct compiler *c, struct ast_body *b, const struct varset *globals) {
    struct varset safe, before;
    varset_open(&safe, &c->scratch);
    varset_add_all(&safe, globals);
    for (u32 i = 0; i < b->count && !compile_stopped(c); i++) {
        struct prints own = {&safe};
        struct walk w = {.c = c, .term = keep_term, .expr = keep_expr, .arg = &own};
        walk_expr(&w, b->exprs[i]);
        if (is_print(b->exprs[i])) {
            if (!check_operands(c, b->exprs[i], &safe)) return;
            b->exprs[i] = kept_print(c, b->exprs[i]);
            continue;
        }
        struct varset bound;
        varset_open(&bound, &c->scratch);
        outputs_of_expr(c, &bound, b->exprs[i], &safe);
        varset_add_all(&safe, &bound);
        varset_open(&before, &c->scratch);
        vars_of_expr(c, &before, b->exprs[i], 0);
        for (u32 k = 0; k < before.count; k++)
            if (is_generated(before.items[k])) varset_add(&safe, before.items[k]);
    }
}

void prints_in_body(struct compiler *c, struct ast_body *b, const struct varset *safe) {
    keep_body(c, b, safe);
}

static void keep_in_rule(struct compiler *c, struct ast_rule *r) {
    struct varset safe;
    struct prints own = {&safe};
    struct walk w = {.c = c, .term = keep_term, .expr = keep_expr, .arg = &own};
    varset_open(&safe, &c->scratch);
    vars_of_args(c, &safe, r->head, 0);
    varset_add(&safe, S("data"));
    varset_add(&safe, S("input"));
    walk_head(&w, r->head);
    keep_body(c, r->body, &safe);
}

void rewrite_prints(struct compiler *c, struct ast_rule *r) {
    struct walk erase = {.c = c, .body = erase_in_body};
    if (!(notes_of(r)->has & HAS_PRINT)) return;
    if (c->options->keep_print)
        keep_in_rule(c, r);
    else
        walk_rule(&erase, r);
    notes_of(r)->has |= HAS_CLOSURE;
}

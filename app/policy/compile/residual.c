/* SPDX-License-Identifier: Apache-2.0 */
/* residual.c — the compiler's knowledge, lent to partial evaluation.
 *
 * A compiler like the one that compiles queries: the program's tree, functions and types, memory of
 * its own. What it works out for one answer is dropped before the next. */
#include "app/policy/compile/residual.h"
#include "app/policy/compile/check_impl.h"

struct residual {
    struct compiler *c;
    struct policy_errors errors;
};

void names_open(struct residual_names *n, struct heap *h) {
    *n = (struct residual_names){.heap = h};
}
bool names_has(const struct residual_names *n, str name) {
    for (u32 i = 0; i < n->count; i++)
        if (str_eq(n->items[i], name)) return true;
    return false;
}
void names_add(struct residual_names *n, str name) {
    if (names_has(n, name)) return;
    if (n->count == n->room) {
        u32 room = n->room ? n->room * 2 : 16;
        str *items = heap_alloc(n->heap, room * sizeof *items);
        if (!items) return;
        if (n->count) memcpy(items, n->items, n->count * sizeof *items);
        n->items = items, n->room = room;
    }
    n->items[n->count++] = name;
}

rc_t residual_open(struct heap *h, const struct compiled *program, struct residual **out) {
    struct residual *r = heap_alloc(h, sizeof *r);
    if (!r) return RC_NO_MEMORY;
    policy_errors_open(&r->errors, h, 1);
    r->c = compile_borrow(h, program, &r->errors);
    if (!r->c) return RC_NO_MEMORY;
    *out = r;
    return RC_OK;
}

void residual_close(struct residual *r) {
    if (r) compile_return(r->c);
}

/* What never holds inside a `not { }`, an `every` or a comprehension still lets the body hold. */
bool residual_may_hold(struct residual *r, const struct ast_body *b) {
    struct compiler *c = r->c;
    struct checker k = {.c = c, .outermost = true};
    struct type_env *env = env_push(&k, c->types);
    for (u32 i = 0; i < b->count; i++) {
        const struct ast_expr *e = b->exprs[i];
        u32 before = k.found.count;
        check_body(&k, env, &(struct ast_body){.exprs = &b->exprs[i], .count = 1});
        bool within = e->kind == AST_EXPR_NOT || e->kind == AST_EXPR_LOGICAL ||
                      e->kind == AST_EXPR_EVERY;
        if (within) k.found.count = before;
    }
    bool holds = !k.found.count || compile_stopped(c);
    c->too_deep = false;
    heap_rewind(&c->scratch);
    return holds;
}

bool residual_is_safe(struct residual *r, struct ast_body *b, const struct residual_names *bound) {
    struct varset known;
    varset_open(&known, &r->c->scratch);
    varset_add(&known, S("input"));
    varset_add(&known, S("data"));
    for (u32 i = 0; i < bound->count; i++) varset_add(&known, bound->items[i]);
    bool safe = body_is_safe(r->c, b, &known) || compile_stopped(r->c);
    heap_rewind(&r->c->scratch);
    return safe;
}

int residual_arity(struct residual *r, const struct ast_term *function) {
    return arity_of(r->c, function);
}

static void names_of(const struct varset *from, struct residual_names *to) {
    for (u32 i = 0; i < from->count; i++) names_add(to, from->items[i]);
}

void residual_outputs(struct residual *r, const struct ast_expr *e,
                      const struct residual_names *safe, struct residual_names *to) {
    struct varset known, found;
    varset_open(&known, &r->c->scratch);
    varset_open(&found, &r->c->scratch);
    for (u32 i = 0; i < safe->count; i++) varset_add(&known, safe->items[i]);
    outputs_of_expr(r->c, &found, e, &known);
    names_of(&found, to);
    heap_rewind(&r->c->scratch);
}

void residual_needs(struct residual *r, const struct ast_expr *e, struct residual_names *to) {
    struct varset found;
    varset_open(&found, &r->c->scratch);
    vars_of_expr(r->c, &found, e, SAFETY);
    names_of(&found, to);
    heap_rewind(&r->c->scratch);
}

u32 residual_rule_count(struct residual *r) {
    return r->c->rule_count;
}
u32 residual_rule_number(const struct ast_rule *r) {
    return notes_of(r)->number;
}

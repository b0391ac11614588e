/* SPDX-License-Identifier: Apache-2.0 */
/* plan_group.c — comprehensions that ask the same question of every turn of a loop.
 *
 *   some x in nodes                              x = nodes[_]
 *   ys := [e.to | some e in edges; e.from == x]  l = [z | e = edges[_]; e.from = x; z = e.to]
 *
 * For each x all edges were gone over. Instead they are gone over once, at the first x, with x a
 * variable of the comprehension's own; what is found is kept in groups, one for each value that x
 * may have, in a register of the rule's frame. Each turn of the loop then takes its group.
 *
 * Only where nothing can be seen of it: the body has plain equations and comparisons, none of which
 * can end in an error; of the variables around it only one is used, once, as one side of an
 * equation whose other side is a ref; and that variable comes after a loop in the same body, or
 * there would be but one turn. Loops the data index answers are left to it (plan_look.c). */
#include "app/policy/machine/plan.h"

struct group {
    struct group *older;
    const struct ast_body *within;
    const struct ast_term *asked; /* the comprehension, */
    struct ast_term *own;         /* with a variable of its own instead */
    const struct ast_term *var;   /* of this one, */
    struct ast_term *own_var;     /* named so */
    u32 reg;                      /* undefined until the first turn */
};

/* ---- Which ---------------------------------------------------------------------------------- */

struct look_around {
    struct plan *pl;
    struct ast_body before; /* the expressions before the one looked at */
    const struct ast_term *outer;
    u32 outer_count, closures;
    bool several, found;
    str name;
};

static bool is_root_name(str s) { return str_eq(s, S("data")) || str_eq(s, S("input")); }

static bool name_term(struct ast_walk *w, struct ast_term **t) {
    struct look_around *l = w->arg;
    if ((*t)->kind == AST_VAR && str_eq((*t)->var, l->name)) l->found = true;
    return true;
}

static bool mentions(struct look_around *l, const struct ast_body *b, str name) {
    struct ast_walk w = {.term = name_term, .arg = l};
    l->name = name, l->found = false;
    for (u32 i = 0; i < b->count && !l->found; i++) ast_walk_expr(&w, b->exprs[i]);
    return l->found;
}

/* A variable that has a value before the comprehension is reached. */
static bool is_outer(struct look_around *l, const struct ast_term *t) {
    return !plan_is_unbound_var(l->pl, t) || mentions(l, &l->before, t->var);
}

static bool inner_term(struct ast_walk *w, struct ast_term **t) {
    struct look_around *l = w->arg;
    enum ast_term_kind kind = (*t)->kind;
    if (kind >= AST_ARRAY_COMPREHENSION && kind <= AST_SET_COMPREHENSION) l->closures++;
    if (kind == AST_CALL || kind == AST_TEMPLATE_STRING) l->closures++;
    if (kind != AST_VAR || is_root_name((*t)->var) || !is_outer(l, *t)) return true;
    if (l->outer && !str_eq(l->outer->var, (*t)->var)) l->several = true;
    l->outer = *t, l->outer_count++;
    return true;
}

static bool is_plain_call(const struct ast_expr *e) {
    static const char *const names[] = {"eq", "equal", "neq", "gt", "gte", "lt", "lte"};
    if (e->kind == AST_EXPR_TERM) return true;
    if (e->kind != AST_EXPR_CALL || e->count != 3) return false;
    const struct ast_term *op = e->terms[0];
    if (op->kind != AST_REF || op->count != 1) return false;
    for (u32 i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(op->terms[0]->var, str_from_c(names[i]))) return true;
    return false;
}

static bool is_equation(const struct ast_expr *e) {
    return e->kind == AST_EXPR_CALL && !e->negated && !e->with_count && is_plain_call(e) &&
           str_eq(e->terms[0]->terms[0]->var, S("eq"));
}

/* The equation between a ref and the outer variable; NULL: it is used otherwise. */
static const struct ast_term *ref_equal_to(const struct ast_body *b, const struct ast_term *var) {
    for (u32 i = 0; i < b->count; i++) {
        const struct ast_expr *e = b->exprs[i];
        if (!is_equation(e)) continue;
        for (u32 k = 1; k < 3; k++)
            if (e->terms[k] == var && e->terms[3 - k]->kind == AST_REF) return e->terms[3 - k];
    }
    return NULL;
}

static bool data_index_helps(struct plan *pl, const struct ast_body *b,
                             const struct ast_term *ref) {
    for (u32 i = 0; i < b->count; i++) {
        const struct ast_term *v = plan_base_loop(pl, b->exprs[i]);
        if (v && ref->terms[0]->kind == AST_VAR && str_eq(ref->terms[0]->var, v->var)) return true;
    }
    return false;
}

/* Some ref before has a variable that gets its value there: a loop. */
static bool comes_after_a_loop(struct plan *pl, const struct ast_body *b, u32 at) {
    for (u32 i = 0; i < at; i++) {
        struct look_around l = {.pl = pl, .before = {b->exprs, i, 0}};
        if (b->exprs[i]->kind != AST_EXPR_CALL || b->exprs[i]->negated) continue;
        bool loop = false;
        for (u32 k = 1; k < b->exprs[i]->count; k++) {
            const struct ast_term *t = b->exprs[i]->terms[k];
            for (u32 j = 1; t->kind == AST_REF && j < t->count; j++)
                loop |= t->terms[j]->kind == AST_VAR && !is_outer(&l, t->terms[j]);
        }
        if (loop) return true;
    }
    return false;
}

static const struct ast_term *comprehension_of(struct plan *pl, const struct ast_expr *e) {
    if (e->kind != AST_EXPR_CALL || e->count != 3) return NULL;
    for (u32 k = 1; k < 3; k++) {
        const struct ast_term *t = e->terms[k];
        if ((t->kind == AST_ARRAY_COMPREHENSION || t->kind == AST_SET_COMPREHENSION) &&
            is_equation(e) && plan_is_unbound_var(pl, e->terms[3 - k]))
            return t;
    }
    return NULL;
}

/* The one variable from outside; NULL: the comprehension stays as it is. */
static const struct ast_term *asked_for(struct plan *pl, const struct ast_body *b, u32 at,
                                        const struct ast_term *t) {
    const struct ast_body *inner = t->comprehension.body;
    struct look_around l = {.pl = pl, .before = {b->exprs, at, 0}};
    struct ast_walk w = {.term = inner_term, .arg = &l};
    for (u32 i = 0; i < inner->count; i++) {
        const struct ast_expr *e = inner->exprs[i];
        if (!is_plain_call(e) || e->negated || e->with_count) return NULL;
        for (u32 k = e->kind == AST_EXPR_CALL; k < e->count; k++) {
            struct ast_term *slot = e->terms[k];
            ast_walk_term(&w, &slot);
        }
    }
    if (l.outer_count != 1 || l.several || l.closures) return NULL;
    struct ast_term *head = t->comprehension.head;
    ast_walk_term(&w, &head);
    if (l.outer_count != 1 || l.closures || !plan_is_unbound_var(pl, l.outer)) return NULL;
    const struct ast_term *ref = ref_equal_to(inner, l.outer);
    return ref && !data_index_helps(pl, inner, ref) ? l.outer : NULL;
}

static bool rename_term(struct ast_walk *w, struct ast_term **t) {
    struct group *g = w->arg;
    if ((*t)->kind == AST_VAR && str_eq((*t)->var, g->var->var)) (*t)->var = g->own_var->var;
    return true;
}

static void group_open(struct plan *pl, const struct ast_body *b, const struct ast_term *t,
                       const struct ast_term *var) {
    struct heap *h = &pl->p->heap;
    struct group *g = heap_alloc(h, sizeof *g);
    char *name = heap_alloc(h, var->var.len + 1);
    if (!g || !name) return;
    memcpy(name, var->var.ptr, var->var.len);
    name[var->var.len] = '\'';
    *g = (struct group){.older = pl->groups, .within = b, .asked = t, .var = var};
    g->own = ast_term_copy(h, t);
    g->own_var = ast_var(h, &var->at, str_of(name, var->var.len + 1));
    if (!g->own || !g->own_var) return;
    struct ast_walk w = {.term = rename_term, .arg = g};
    struct ast_term *slot = g->own;
    ast_walk_term(&w, &slot);
    g->reg = plan_register(pl, 1);
    plan_emit(pl, OP_CLEAR, g->reg, 0, 0);
    pl->groups = g;
}

/* At the start of a body: registers for the groups of its comprehensions. */
void plan_groups(struct plan *pl, const struct ast_body *b) {
    for (struct group **g = &pl->groups; *g;) /* of another unit */
        if ((*g)->within == b) *g = (*g)->older;
        else g = &(*g)->older;
    if (pl->p->trace) return; /* who watches sees every turn */
    for (u32 i = 1; i < b->count; i++) {
        const struct ast_term *t = comprehension_of(pl, b->exprs[i]);
        if (!t || !comes_after_a_loop(pl, b, i)) continue;
        const struct ast_term *var = asked_for(pl, b, i, t);
        if (var) group_open(pl, b, t, var);
    }
}

/* ---- What is planned ------------------------------------------------------------------------- */

/* False: `t` is planned like any other. */
bool plan_grouped(struct plan *pl, const struct ast_term *t, u32 into) {
    const struct group *g = pl->groups;
    while (g && g->asked != t) g = g->older;
    if (!g || plan_is_unbound_var(pl, g->var)) return false;
    u16 kind = t->kind == AST_ARRAY_COMPREHENSION ? VALUE_ARRAY : VALUE_SET;
    u32 outer = pl->fail, end = plan_label(pl), have = plan_label(pl), mark = pl->log_count;
    u32 builder = plan_register(pl, 1), pair = plan_register(pl, 2), item = plan_register(pl, 1);
    plan_emit(pl, OP_IF_DEFINED, g->reg, 0, 0)->fail = have;
    plan_emit(pl, OP_BUILD, builder, 0, 0)->n = VALUE_ARRAY;
    pl->fail = end;
    plan_body(pl, g->own->comprehension.body);
    plan_term_into(pl, g->own_var, pair);
    plan_term_into(pl, g->own->comprehension.head, pair + 1);
    plan_emit(pl, OP_MAKE_ARRAY, item, pair, 0)->x = 2;
    plan_emit(pl, OP_ADD, builder, item, 0);
    plan_jump(pl, pl->fail);
    plan_unbind(pl, mark);
    plan_here(pl, end);
    pl->fail = outer;
    plan_emit(pl, OP_CLOSE, item, builder, 0);
    plan_emit(pl, OP_GROUP, g->reg, item, 0)->n = kind;
    plan_here(pl, have);
    plan_emit(pl, OP_GROUPED, into, g->reg, plan_term(pl, g->var, NOWHERE))->n = kind;
    return true;
}

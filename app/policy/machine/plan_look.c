/* SPDX-License-Identifier: Apache-2.0 */
/* plan_look.c — loops over base documents that can be looked up instead.
 *
 *   some r in data.rules            r = data.rules[_]
 *   r.method == input.method        input.method = r.method
 *   startswith(input.path, r.pre)   l1 = input.path; l2 = r.pre; startswith(l1, l2)
 *   input.role in r.roles           l3 = input.role; l4 = r.roles; internal.member_2(l3, l4)
 *
 * Before such a loop is planned, the rest of its body is searched for tests of a field of the
 * element against something known already. The loop then asks the machine's data index which
 * elements can pass (look.c); the tests themselves stay, so the index may name too many. It may
 * leave none out: only tests that every way through the body must pass count, and those that would
 * stop the evaluation with an error in strict mode keep the loop from using the index there. */
#include "app/policy/machine/plan.h"
#include "kernel/base/limits.h"

struct meaning { /* of a variable of the body */
    str name;
    const struct ast_term *term; /* field: constant key of the element; else what it is equal to */
    bool field;
};

struct looking {
    struct plan *pl;
    str element;
    struct meaning meanings[INDEX_BINDINGS_MAX];
    u32 meaning_count;
    struct look look;
    struct look_test tests[LOOK_TESTS_MAX];
};

bool plan_names(const struct ast_term *op, const char *first, const char *second) {
    if (op->kind != AST_REF || op->count != (second ? 2u : 1u) || op->terms[0]->kind != AST_VAR)
        return false;
    if (!str_eq(op->terms[0]->var, str_from_c(first))) return false;
    return !second || (op->terms[1]->kind == AST_STRING &&
                       str_eq(value_str(op->terms[1]->scalar), str_from_c(second)));
}

/* The key of element.key; NULL: something else. */
static const struct ast_term *field_of(const struct looking *l, const struct ast_term *t) {
    if (t->kind == AST_VAR) {
        for (u32 i = 0; i < l->meaning_count; i++)
            if (l->meanings[i].field && str_eq(l->meanings[i].name, t->var))
                return l->meanings[i].term;
        return NULL;
    }
    if (t->kind != AST_REF || t->count != 2 || t->terms[0]->kind != AST_VAR) return NULL;
    if (!str_eq(t->terms[0]->var, l->element) || t->terms[1]->kind != AST_STRING) return NULL;
    return t->terms[1];
}

/* What is known before the loop: a constant, a path of the input, a variable with a value. */
static const struct ast_term *known(const struct looking *l, const struct ast_term *t) {
    u32 path;
    value v;
    for (u32 i = 0; t->kind == AST_VAR && i < l->meaning_count; i++)
        if (!l->meanings[i].field && str_eq(l->meanings[i].name, t->var)) t = l->meanings[i].term;
    if (plan_is_constant(t, &v)) return t;
    if (t->kind == AST_VAR && !plan_is_unbound_var(l->pl, t) && plan_is_ready(l->pl, t)) return t;
    return plan_is_input(l->pl, t, &path) ? t : NULL;
}

static void add_test(struct looking *l, u8 kind, const struct ast_term *field,
                     const struct ast_term *with) {
    if (!field || !with || l->look.count == LOOK_TESTS_MAX) return;
    u32 operand = plan_term(l->pl, with, NOWHERE);
    l->tests[l->look.count++] = (struct look_test){kind, field->scalar, operand};
}

static void mean(struct looking *l, const struct ast_term *var, const struct ast_term *term,
                 bool field) {
    if (l->meaning_count < INDEX_BINDINGS_MAX)
        l->meanings[l->meaning_count++] = (struct meaning){var->var, term, field};
}

static void read_equal(struct looking *l, const struct ast_term *a, const struct ast_term *b) {
    const struct ast_term *field = field_of(l, a), *other = field ? b : a;
    if (!field) field = field_of(l, b);
    if (field && known(l, other)) add_test(l, LOOK_EQUAL, field, known(l, other));
    else if (field && plan_is_unbound_var(l->pl, other)) mean(l, other, field, true);
    else if (!field && plan_is_unbound_var(l->pl, a) && known(l, b)) mean(l, a, known(l, b), false);
    else if (!field && plan_is_unbound_var(l->pl, b) && known(l, a)) mean(l, b, known(l, a), false);
}

static void read_expr(struct looking *l, const struct ast_expr *e) {
    if (e->negated || e->with_count || e->kind != AST_EXPR_CALL || e->count != 3) return;
    const struct ast_term *op = e->terms[0], *a = e->terms[1], *b = e->terms[2];
    if (plan_names(op, "eq", NULL) || plan_names(op, "equal", NULL)) read_equal(l, a, b);
    else if (plan_names(op, "startswith", NULL))
        add_test(l, LOOK_PREFIX, field_of(l, b), known(l, a));
    else if (plan_names(op, "internal", "member_2"))
        add_test(l, LOOK_HOLDS, field_of(l, b), known(l, a));
}

/* The x of x = data.path[_], all of it base documents; NULL: something else. */
const struct ast_term *plan_base_loop(struct plan *pl, const struct ast_expr *e) {
    if (e->negated || e->with_count || e->kind != AST_EXPR_CALL || e->count != 3 ||
        !plan_names(e->terms[0], "eq", NULL))
        return NULL;
    const struct ast_term *var = e->terms[1], *ref = e->terms[2];
    if (var->kind != AST_VAR) var = e->terms[2], ref = e->terms[1];
    if (!plan_is_unbound_var(pl, var) || ref->kind != AST_REF || ref->count < 3) return NULL;
    if (ref->terms[0]->kind != AST_VAR || !str_eq(ref->terms[0]->var, S("data"))) return NULL;
    const struct node *n = pl->tree->root;
    value key;
    for (u32 i = 1; i + 1 < ref->count; i++) {
        if (!plan_is_constant(ref->terms[i], &key)) return NULL;
        n = n ? node_child(n, key) : NULL;
        if (n && n->has_rules) return NULL;
    }
    const struct ast_term *last = ref->terms[ref->count - 1];
    return !n && plan_is_unbound_var(pl, last) ? var : NULL;
}

/* Plans what the tests need, and says which look the loop is to use; NOWHERE: none. */
u32 plan_look(struct plan *pl, const struct ast_body *body, u32 at) {
    const struct ast_term *var = plan_base_loop(pl, body->exprs[at]);
    if (!var) return NOWHERE;
    struct looking *l = heap_alloc(&pl->p->heap, sizeof *l);
    if (!l) return NOWHERE;
    memset(l, 0, sizeof *l);
    l->pl = pl, l->element = var->var;
    for (u32 i = at + 1; i < body->count; i++) read_expr(l, body->exprs[i]);
    if (!l->look.count) return NOWHERE;
    l->look.tests = l->tests;
    return plan_look_add(pl, l->look);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* dynamic.c — the last of the rewriting: refs and comprehensions leave the operands of calls, and
 * of terms within terms; `==` in rules becomes unification.
 *
 *   count(data.a[x]) > 1   (already)  count(data.a[x], __local0__); __local0__ > 1
 *                            ->       __local1__ = data.a[x]; count(__local1__, __local0__); ...
 *   data.a[data.b] = [data.c]  ->     __local2__ = data.b; __local3__ = data.c;
 *                                     data.a[__local2__] = [__local3__]
 *
 * Only an equality, or an expression that is a term alone, may still hold a ref or comprehension
 * directly. It runs after safety, and puts each new expression right before its use.
 *
 * `==` in a rule becomes `=` here, for safety has seen that it binds nothing; in a query it stays,
 * since there it answers false, and is not undefined, when its sides differ. */
#include "app/policy/compile/compile_impl.h"

static struct ast_term *pull_one(struct compiler *c, const struct ast_expr *of, struct ast_term *t,
                                 struct exprs *out);

static struct ast_term *pull_out(struct compiler *c, const struct ast_expr *of, struct ast_term *t,
                                 struct exprs *out) {
    struct ast_expr *e = new_capture(c, t);
    e->with = of->with;
    e->with_count = of->with_count;
    exprs_add(c, out, e);
    struct local *l = local_of(c, operands(e)[0]->var);
    if (l) l->subject = t;
    return operands(e)[0];
}

static void pull_operands(struct compiler *c, const struct ast_expr *of, struct ast_term *ref,
                          struct exprs *out) {
    for (u32 i = 1; i < ref->count; i++) ref->terms[i] = pull_one(c, of, ref->terms[i], out);
}

static struct ast_term *pull_within(struct compiler *c, const struct ast_expr *of,
                                    struct ast_term *t, struct exprs *out) {
    switch (t->kind) {
    case AST_REF: pull_operands(c, of, t, out); return pull_out(c, of, t, out);
    case AST_ARRAY:
    case AST_SET:
        for (u32 i = 0; i < t->count; i++) t->terms[i] = pull_one(c, of, t->terms[i], out);
        return t;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) {
            t->pairs[i].key = pull_one(c, of, t->pairs[i].key, out);
            t->pairs[i].value = pull_one(c, of, t->pairs[i].value, out);
        }
        return t;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION:
        dynamics_in_body(c, t->comprehension.body);
        return pull_out(c, of, t, out);
    default: return t;
    }
}

static struct ast_term *pull_one(struct compiler *c, const struct ast_expr *of, struct ast_term *t,
                                 struct exprs *out) {
    if (is_scalar(t) || t->kind == AST_VAR) return t;
    if (compile_enter(c)) t = pull_within(c, of, t, out);
    compile_leave(c);
    return t;
}

/* An operand of an equality: it may be a ref or a comprehension itself. */
static struct ast_term *pull_from(struct compiler *c, const struct ast_expr *of, struct ast_term *t,
                                  struct exprs *out) {
    if (t->kind == AST_REF)
        pull_operands(c, of, t, out);
    else if (is_closure(t))
        dynamics_in_body(c, t->comprehension.body);
    else
        return pull_one(c, of, t, out);
    return t;
}

static void pull_expr(struct compiler *c, struct ast_expr *e, struct exprs *out) {
    switch (e->kind) {
    case AST_EXPR_TERM: e->terms[0] = pull_from(c, e, e->terms[0], out); break;
    case AST_EXPR_CALL:
        if (!c->outer && is_call_of(e, "equal") && operand_count(e) == 2)
            e->terms[0] = new_ref_to(c, S("eq"), &e->terms[0]->at);
        if (is_equality(e) && operand_count(e) != 2) break;
        for (u32 i = 0; i < operand_count(e); i++)
            operands(e)[i] = is_equality(e) ? pull_from(c, e, operands(e)[i], out)
                                            : pull_one(c, e, operands(e)[i], out);
        break;
    case AST_EXPR_EVERY:
        e->every->domain = pull_one(c, e, e->every->domain, out);
        dynamics_in_body(c, e->every->body);
        break;
    case AST_EXPR_NOT: dynamics_in_body(c, e->not_body); break;
    case AST_EXPR_LOGICAL:
        dynamics_in_body(c, e->logical->left);
        dynamics_in_body(c, e->logical->right);
        break;
    default: break;
    }
    exprs_add(c, out, e);
}

/* `input.method == "GET"`: nothing leaves it. */
static bool stays(const struct compiler *c, const struct ast_expr *e) {
    u32 i = e->kind == AST_EXPR_CALL;
    if (i && (e->count != 3 || !(is_equality(e) || (!c->outer && is_call_of(e, "equal")))))
        return false;
    if (!i && e->kind != AST_EXPR_TERM) return false;
    for (; i < e->count; i++) {
        const struct ast_term *t = e->terms[i];
        if (!is_scalar(t) && t->kind != AST_VAR && !is_input(t)) return false;
    }
    return true;
}

static bool body_stays(struct compiler *c, struct ast_body *b) {
    for (u32 i = 0; i < b->count; i++)
        if (!stays(c, b->exprs[i])) return false;
    for (u32 i = 0; i < b->count; i++) {
        struct ast_expr *e = b->exprs[i];
        e->index = i;
        if (e->kind != AST_EXPR_CALL || is_equality(e)) continue;
        struct ast_term *op = e->terms[0]->terms[0];
        *op = (struct ast_term){.kind = AST_VAR, .at = e->terms[0]->at, .var = S("eq")};
    }
    return true;
}

void dynamics_in_body(struct compiler *c, struct ast_body *b) {
    struct exprs out = {0};
    if (body_stays(c, b)) return;
    if (compile_enter(c))
        for (u32 i = 0; i < b->count && !compile_stopped(c); i++) pull_expr(c, b->exprs[i], &out);
    compile_leave(c);
    if (!compile_stopped(c)) body_set(c, b, &out);
}

void rewrite_dynamics(struct compiler *c, struct ast_rule *r) {
    if (!is_true_body(r->body)) dynamics_in_body(c, r->body);
}

/* ---- Conditions of tests, so that what they compare can be shown ------------------------------
 */

static void test_body(struct compiler *c, struct ast_body *b);

static struct ast_term *shown(struct compiler *c, const struct ast_expr *of, struct ast_term *t,
                              struct exprs *out) {
    return t->kind == AST_REF || is_closure(t) ? pull_out(c, of, t, out) : t;
}

static void test_expr(struct compiler *c, struct ast_expr *e, struct exprs *out) {
    if (!e->negated && !e->generated) {
        if (is_equality(e))
            for (u32 i = 0; i < operand_count(e); i++)
                operands(e)[i] = shown(c, e, operands(e)[i], out);
        else if (e->kind == AST_EXPR_EVERY)
            test_body(c, e->every->body);
    }
    exprs_add(c, out, e);
}

static void test_body(struct compiler *c, struct ast_body *b) {
    struct exprs out = {0};
    for (u32 i = 0; i < b->count && !compile_stopped(c); i++) test_expr(c, b->exprs[i], &out);
    if (!compile_stopped(c)) body_set(c, b, &out);
}

void rewrite_tests(struct compiler *c, struct ast_rule *r) {
    if (c->options->rewrite_tests && str_starts(r->head->name, S("test_"))) test_body(c, r->body);
}

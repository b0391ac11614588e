/* SPDX-License-Identifier: Apache-2.0 */
/* head.c — heads of rules made plain: their refs hold scalars and variables alone, and what must
 * be evaluated for a key, a value or an argument is bound in the body.
 *
 *   p[input.x].q := data.y      p[__local0__].q := __local1__
 *                                 { __local0__ = input.x; __local1__ = data.y } */
#include "app/policy/compile/compile_impl.h"

static bool ref_allowed(struct compiler *c, const struct ast_rule *r) {
    u32 all = FEATURE_REF_HEAD_STRING_PREFIXES | FEATURE_REF_HEADS | FEATURE_REGO_V1;
    if (c->features & all || r->head->name.len) return true;
    str text = compile_term_text(c, r->head->ref);
    compile_error(c, POLICY_COMPILE_ERROR, &r->at, "rule heads with refs are not supported: %.*s",
                  STR(text));
    return false;
}

/* Without the feature only the last term of a ref may be anything but a string. */
static bool term_allowed(struct compiler *c, const struct ast_rule *r, u32 i) {
    const struct ast_term *ref = r->head->ref;
    if (c->features & (FEATURE_REF_HEADS | FEATURE_REGO_V1)) return true;
    if (ref->terms[i]->kind == AST_STRING) return true;
    if (ast_rule_kind(r) == AST_SINGLE_VALUE && i == ref->count - 1) return true;
    str text = compile_term_text(c, ref);
    compile_error(c, POLICY_TYPE_ERROR, &r->at,
                  "rule heads with general refs (containing variables) are not supported: %.*s",
                  STR(text));
    return false;
}

static void plain_ref(struct compiler *c, struct ast_rule *r) {
    struct ast_term *ref = r->head->ref;
    struct exprs more = {0};
    for (u32 i = 1; i < ref->count; i++) {
        struct ast_term *t = ref->terms[i];
        if (!term_allowed(c, r, i) || t->kind == AST_VAR || is_scalar(t)) continue;
        struct ast_expr *e = new_capture(c, t);
        bool is_key = i == ref->count - 1 && r->head->key && !ast_term_compare(r->head->key, t);
        if (is_key) r->head->key = operands(e)[0];
        ref->terms[i] = operands(e)[0];
        exprs_add(c, &more, e);
    }
    body_append(c, r->body, &more);
}

void rewrite_head_ref(struct compiler *c, struct ast_rule *r) {
    if (r->head->ref->count == 1 && !c->features_limited) return;
    if (ref_allowed(c, r)) plain_ref(c, r);
}

static void capture(struct compiler *c, struct ast_term **t, struct exprs *more) {
    if (!needs_eval(*t)) return;
    struct ast_expr *e = new_capture(c, *t);
    *t = operands(e)[0];
    exprs_add(c, more, e);
}

void rewrite_head(struct compiler *c, struct ast_rule *r) {
    struct exprs more = {0};
    capture(c, &r->head->key, &more);
    capture(c, &r->head->value, &more);
    for (u32 i = 0; i < r->head->arg_count; i++) capture(c, &r->head->args[i], &more);
    body_append(c, r->body, &more);
}

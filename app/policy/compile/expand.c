/* SPDX-License-Identifier: Apache-2.0 */
/* expand.c — calls leave terms: each becomes an expression before the one that needs its result.
 *
 *   f(g(x)) + 1 > 2      ->  g(x, __local0__); f(__local0__, __local1__);
 *                            plus(__local1__, 1, __local2__); __local2__ > 2
 *   [1, 2][i]            ->  __local0__ = [1, 2]; __local0__[i]
 *   [f(x) | p[x]]        ->  [__local0__ | p[x]; f(x, __local0__)]
 *
 * `with` on an expression holds for what was taken out of it too. Later, what a comprehension
 * collects, if it must be evaluated, is bound in its body (rewrite_comprehensions). */
#include "app/policy/compile/compile_impl.h"

static struct ast_term *expand_term(struct compiler *c, struct ast_term *t, struct exprs *out);

static void expand_terms(struct compiler *c, struct ast_term **terms, u32 count,
                         struct exprs *out) {
    for (u32 i = 0; i < count; i++) terms[i] = expand_term(c, terms[i], out);
}

static void record_subject(struct compiler *c, const struct ast_term *local,
                           const struct ast_term *subject) {
    struct local *l = local->kind == AST_VAR ? local_of(c, local->var) : NULL;
    if (l) l->subject = subject;
}

static struct ast_term *expand_call(struct compiler *c, struct ast_term *t, struct exprs *out) {
    expand_terms(c, t->terms + 1, t->count - 1, out);
    struct ast_expr *e = new_expr(c, &t->at);
    u32 count = t->count + 1;
    e->kind = AST_EXPR_CALL;
    e->generated = true;
    e->terms = compile_list(c, &count, sizeof *e->terms);
    if (!count) return t;
    memcpy(e->terms, t->terms, t->count * sizeof *e->terms);
    struct ast_term *result = new_local(c, &t->at);
    e->terms[t->count] = result;
    e->count = count;
    exprs_add(c, out, e);
    return result;
}

/* What a ref starts with must be a name: a collection or a call there is bound first. */
static void expand_ref(struct compiler *c, struct ast_term *ref, struct exprs *out) {
    for (u32 i = 0; i < ref->count; i++) {
        struct ast_term *t = ref->terms[i];
        if (is_scalar(t) || t->kind == AST_VAR) continue;
        struct ast_term *call = t->kind == AST_CALL ? ast_term_copy(c->heap, t) : NULL;
        ref->terms[i] = expand_term(c, t, out);
        if (call) record_subject(c, ref->terms[i], call);
    }
    struct ast_term *head = ref->count ? ref->terms[0] : NULL;
    if (!head || head->kind == AST_VAR || is_scalar(head) || head->kind == AST_REF) return;
    struct ast_term *subject = ast_term_copy(c->heap, head);
    struct ast_expr *e = new_capture(c, head);
    exprs_add(c, out, e);
    ref->terms[0] = operands(e)[0];
    if (subject) record_subject(c, ref->terms[0], subject);
}

static void expand_comprehension(struct compiler *c, struct ast_term *t) {
    struct exprs more = {0};
    if (t->kind == AST_OBJECT_COMPREHENSION)
        t->comprehension.key = expand_term(c, t->comprehension.key, &more);
    t->comprehension.head = expand_term(c, t->comprehension.head, &more);
    body_append(c, t->comprehension.body, &more);
    calls_in_body(c, t->comprehension.body);
}

static struct ast_term *expand_within(struct compiler *c, struct ast_term *t, struct exprs *out) {
    switch (t->kind) {
    case AST_CALL: return expand_call(c, t, out);
    case AST_REF: expand_ref(c, t, out); break;
    case AST_ARRAY:
    case AST_SET: expand_terms(c, t->terms, t->count, out); break;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) {
            t->pairs[i].key = expand_term(c, t->pairs[i].key, out);
            t->pairs[i].value = expand_term(c, t->pairs[i].value, out);
        }
        break;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: expand_comprehension(c, t); break;
    default: break;
    }
    return t;
}

static struct ast_term *expand_term(struct compiler *c, struct ast_term *t, struct exprs *out) {
    if (is_scalar(t) || t->kind == AST_VAR) return t;
    if (compile_enter(c)) t = expand_within(c, t, out);
    compile_leave(c);
    return t;
}

/* ---- Expressions ---------------------------------------------------------------------------- */

static void expand_expr(struct compiler *c, struct ast_expr *e, struct exprs *out);

/* The domain of `every` is bound before it. */
static void expand_every(struct compiler *c, struct ast_expr *e, struct exprs *out) {
    struct ast_term *domain = e->every->domain;
    struct ast_expr *eq = new_capture(c, domain);
    eq->with = e->with;
    eq->with_count = e->with_count;
    e->every->domain = operands(eq)[0];
    expand_expr(c, eq, out);
    calls_in_body(c, e->every->body);
}

static void expand_operands(struct compiler *c, struct ast_expr *e, struct exprs *out) {
    u32 before = out->count;
    if (e->kind == AST_EXPR_CALL)
        expand_terms(c, operands(e), operand_count(e), out);
    else
        expand_terms(c, e->terms, e->count, out);
    for (u32 i = before; e->with_count && i < out->count; i++) {
        out->items[i]->with = e->with;
        out->items[i]->with_count = e->with_count;
    }
}

static void expand_expr(struct compiler *c, struct ast_expr *e, struct exprs *out) {
    for (u32 i = 0; i < e->with_count; i++)
        e->with[i].value = expand_term(c, e->with[i].value, out);
    switch (e->kind) {
    case AST_EXPR_EVERY: expand_every(c, e, out); break;
    case AST_EXPR_NOT: calls_in_body(c, e->not_body); break;
    case AST_EXPR_LOGICAL:
        calls_in_body(c, e->logical->left);
        calls_in_body(c, e->logical->right);
        break;
    default: expand_operands(c, e, out);
    }
    exprs_add(c, out, e);
}

/* Nothing to take out: the body stays as it is. */
static bool is_flat(const struct ast_body *b) {
    for (u32 i = 0; i < b->count; i++) {
        const struct ast_expr *e = b->exprs[i];
        if (e->kind != AST_EXPR_TERM && e->kind != AST_EXPR_CALL) return false;
        if (e->with_count) return false;
        for (u32 k = e->kind == AST_EXPR_CALL; k < e->count; k++) {
            const struct ast_term *t = e->terms[k];
            if (is_scalar(t) || t->kind == AST_VAR) continue;
            if (t->kind != AST_REF) return false;
            for (u32 n = 0; n < t->count; n++)
                if (!is_scalar(t->terms[n]) && t->terms[n]->kind != AST_VAR) return false;
            if (is_scalar(t->terms[0])) return false;
        }
    }
    return true;
}

void calls_in_body(struct compiler *c, struct ast_body *b) {
    struct exprs out = {0};
    if (is_flat(b)) return;
    if (compile_enter(c))
        for (u32 i = 0; i < b->count && !compile_stopped(c); i++) expand_expr(c, b->exprs[i], &out);
    compile_leave(c);
    if (!compile_stopped(c)) body_set(c, b, &out);
}

void rewrite_calls(struct compiler *c, struct ast_rule *r) {
    struct exprs more = {0};
    expand_terms(c, r->head->args, r->head->arg_count, &more);
    if (r->head->key) r->head->key = expand_term(c, r->head->key, &more);
    if (r->head->value) r->head->value = expand_term(c, r->head->value, &more);
    body_append(c, r->body, &more);
    calls_in_body(c, r->body);
}

/* ---- What comprehensions collect ------------------------------------------------------------- */

static struct ast_term *collected(struct compiler *c, struct ast_term *t, struct exprs *more) {
    if (!needs_eval(t)) return t;
    struct ast_expr *e = new_capture(c, t);
    exprs_add(c, more, e);
    return operands(e)[0];
}

static bool collect_term(struct walk *w, struct ast_term *t) {
    if (!is_closure(t)) return false;
    struct exprs more = {0};
    if (t->kind == AST_OBJECT_COMPREHENSION)
        t->comprehension.key = collected(w->c, t->comprehension.key, &more);
    t->comprehension.head = collected(w->c, t->comprehension.head, &more);
    body_append(w->c, t->comprehension.body, &more);
    return false;
}

void comprehensions_in_body(struct compiler *c, struct ast_body *b) {
    struct walk w = {.c = c, .term = collect_term};
    walk_body(&w, b);
}

void rewrite_comprehensions(struct compiler *c, struct ast_rule *r) {
    struct walk w = {.c = c, .term = collect_term};
    if (notes_of(r)->has & HAS_CLOSURE) walk_rule(&w, r);
}

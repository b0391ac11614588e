/* SPDX-License-Identifier: Apache-2.0 */
/* ast_walk.c — every node once, parents first. A hook may replace the term it is shown; the walk
 * then goes beneath the new one. */
#include "app/policy/lang/ast.h"

static void walk_terms(struct ast_walk *w, struct ast_term **terms, u32 count) {
    for (u32 i = 0; i < count; i++) ast_walk_term(w, &terms[i]);
}

void ast_walk_term(struct ast_walk *w, struct ast_term **slot) {
    if (w->term && !w->term(w, slot)) return;
    struct ast_term *t = *slot;
    switch (t->kind) {
    case AST_REF:
    case AST_ARRAY:
    case AST_SET:
    case AST_CALL: walk_terms(w, t->terms, t->count); break;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) {
            ast_walk_term(w, &t->pairs[i].key);
            ast_walk_term(w, &t->pairs[i].value);
        }
        break;
    case AST_TEMPLATE_STRING:
        for (u32 i = 0; i < t->count; i++) {
            if (t->parts[i].text) ast_walk_term(w, &t->parts[i].text);
            if (t->parts[i].expr) ast_walk_expr(w, t->parts[i].expr);
        }
        break;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION:
        if (t->comprehension.key) ast_walk_term(w, &t->comprehension.key);
        ast_walk_term(w, &t->comprehension.head);
        ast_walk_body(w, t->comprehension.body);
        break;
    default: break;
    }
}

void ast_walk_expr(struct ast_walk *w, struct ast_expr *e) {
    if (w->expr && !w->expr(w, e)) return;
    walk_terms(w, e->terms, e->count);
    if (e->every) {
        if (e->every->key) ast_walk_term(w, &e->every->key);
        ast_walk_term(w, &e->every->value);
        ast_walk_term(w, &e->every->domain);
        ast_walk_body(w, e->every->body);
    }
    if (e->logical) {
        ast_walk_body(w, e->logical->left);
        ast_walk_body(w, e->logical->right);
    }
    if (e->not_body) ast_walk_body(w, e->not_body);
    for (u32 i = 0; i < e->with_count; i++) {
        ast_walk_term(w, &e->with[i].target);
        ast_walk_term(w, &e->with[i].value);
    }
}

void ast_walk_body(struct ast_walk *w, struct ast_body *b) {
    if (w->body && !w->body(w, b)) return;
    for (u32 i = 0; i < b->count; i++) ast_walk_expr(w, b->exprs[i]);
}

static void walk_head(struct ast_walk *w, struct ast_head *h) {
    ast_walk_term(w, &h->ref);
    walk_terms(w, h->args, h->arg_count);
    if (h->key) ast_walk_term(w, &h->key);
    if (h->value) ast_walk_term(w, &h->value);
}
void ast_walk_rule(struct ast_walk *w, struct ast_rule *r) {
    for (; r; r = r->otherwise) {
        if (w->rule && !w->rule(w, r)) return;
        walk_head(w, r->head);
        ast_walk_body(w, r->body);
    }
}

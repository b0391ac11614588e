/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c — a syntax tree as an indented list of its nodes, a blank per level, as the reference
 * shows it:
 *
 *   module
 *    package
 *     ref
 *      data
 *      "a" */
#include <stdlib.h>
#include "tools/opctl/output.h"

struct tree { struct heap heap; int depth; };

static void node(const struct tree *t, const char *name) {
    printf("%*s%s\n", t->depth, "", name);
}

static void put_term(struct tree *t, const struct ast_term *term);
static void put_body(struct tree *t, const struct ast_body *b);
static void put_expr(struct tree *t, const struct ast_expr *e);

static int term_order(const void *a, const void *b) {
    return ast_term_compare(*(const struct ast_term *const *)a, *(const struct ast_term *const *)b);
}
static int pair_order(const void *a, const void *b) {
    return ast_term_compare(((const struct ast_pair *)a)->key, ((const struct ast_pair *)b)->key);
}

static void put_leaf(struct tree *t, const struct ast_term *term) {
    struct buf b;
    buf_open(&b, 1 << 26);
    ast_term_write(&b, term);
    printf("%*s%.*s\n", t->depth, "", STR(buf_str(&b)));
    buf_close(&b);
}

static void put_list(struct tree *t, struct ast_term *const *terms, u32 count) {
    t->depth++;
    for (u32 i = 0; i < count; i++) put_term(t, terms[i]);
    t->depth--;
}

static void put_set(struct tree *t, const struct ast_term *term) {
    struct ast_term **sorted = heap_alloc(&t->heap, (term->count + 1) * sizeof *sorted);
    if (!sorted) return;
    memcpy(sorted, term->terms, term->count * sizeof *sorted);
    if (term->count) qsort(sorted, term->count, sizeof *sorted, term_order);
    put_list(t, sorted, term->count);
}

static void put_object(struct tree *t, const struct ast_term *term) {
    struct ast_pair *sorted = heap_alloc(&t->heap, (term->count + 1) * sizeof *sorted);
    if (!sorted) return;
    memcpy(sorted, term->pairs, term->count * sizeof *sorted);
    if (term->count) qsort(sorted, term->count, sizeof *sorted, pair_order);
    t->depth++;
    for (u32 i = 0; i < term->count; i++) put_term(t, sorted[i].key), put_term(t, sorted[i].value);
    t->depth--;
}

static void put_comprehension(struct tree *t, const struct ast_term *term) {
    t->depth++;
    if (term->comprehension.key) put_term(t, term->comprehension.key);
    put_term(t, term->comprehension.head);
    put_body(t, term->comprehension.body);
    t->depth--;
}

static void put_term(struct tree *t, const struct ast_term *term) {
    if (term->kind < AST_REF || term->kind == AST_VALUE) {
        put_leaf(t, term);
        return;
    }
    node(t, term->kind == AST_TEMPLATE_STRING ? "templatestring" : term_kind_name(term));
    switch (term->kind) {
    case AST_SET: put_set(t, term); break;
    case AST_OBJECT: put_object(t, term); break;
    case AST_REF:
    case AST_ARRAY:
    case AST_CALL: put_list(t, term->terms, term->count); break;
    case AST_TEMPLATE_STRING:
        t->depth++;
        for (u32 i = 0; i < term->count; i++) {
            if (term->parts[i].text) put_term(t, term->parts[i].text);
            else put_expr(t, term->parts[i].expr);
        }
        t->depth--;
        break;
    default: put_comprehension(t, term); break;
    }
}

static void put_every(struct tree *t, const struct ast_every *e) {
    node(t, "every");
    t->depth++;
    if (e->key) put_term(t, e->key);
    put_term(t, e->value), put_term(t, e->domain), put_body(t, e->body);
    t->depth--;
}

static void put_expr(struct tree *t, const struct ast_expr *e) {
    printf("%*sexpr %sindex=%u\n", t->depth, "", e->negated ? "negated " : "", e->index);
    t->depth++;
    if (e->kind == AST_EXPR_SOME) node(t, "somedecl"), put_list(t, e->terms, e->count);
    else if (e->kind == AST_EXPR_EVERY) put_every(t, e->every);
    else if (e->kind == AST_EXPR_NOT)
        node(t, "not"), t->depth++, put_body(t, e->not_body), t->depth--;
    else if (e->kind == AST_EXPR_LOGICAL) {
        node(t, e->logical->op == AST_AND ? "and" : "or");
        t->depth++;
        put_body(t, e->logical->left), put_body(t, e->logical->right);
        t->depth--;
    } else
        for (u32 i = 0; i < e->count; i++) put_term(t, e->terms[i]);
    for (u32 i = 0; i < e->with_count; i++) {
        node(t, "with");
        t->depth++;
        put_term(t, e->with[i].target), put_term(t, e->with[i].value);
        t->depth--;
    }
    t->depth--;
}

static void put_body(struct tree *t, const struct ast_body *b) {
    node(t, "body");
    t->depth++;
    for (u32 i = 0; i < b->count; i++) put_expr(t, b->exprs[i]);
    t->depth--;
}

static void put_rule(struct tree *t, const struct ast_rule *r) {
    int depth = t->depth;
    for (; r; r = r->otherwise) { /* an else lies within the rule before it */
        node(t, "rule");
        t->depth++;
        node(t, "head");
        t->depth++;
        put_term(t, r->head->ref);
        if (r->head->arg_count) node(t, "args"), put_list(t, r->head->args, r->head->arg_count);
        if (r->head->value) put_term(t, r->head->value);
        t->depth--;
        put_body(t, r->body);
    }
    t->depth = depth;
}

void tree_print(const struct ast_module *m) {
    struct tree t = {.depth = 0};
    heap_open(&t.heap, (size_t)1 << 28);
    node(&t, "module");
    t.depth++;
    node(&t, "package");
    t.depth++, put_term(&t, m->package), t.depth--;
    for (u32 i = 0; i < m->import_count; i++) {
        node(&t, "import");
        t.depth++;
        put_term(&t, m->imports[i].path);
        printf("%*s%.*s\n", t.depth, "", STR(m->imports[i].alias));
        t.depth--;
    }
    for (u32 i = 0; i < m->rule_count; i++) put_rule(&t, m->rules[i]);
    for (u32 i = 0; i < m->annotation_count; i++) node(&t, "annotations");
    for (u32 i = 0; i < m->comment_count; i++) node(&t, "comment");
    heap_close(&t.heap);
}

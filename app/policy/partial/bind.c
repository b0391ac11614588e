/* SPDX-License-Identifier: Apache-2.0 */
/* bind.c — variables and what they are bound to.
 *
 * Each body that is entered has an environment of its own, since a rule may be in use twice at a
 * time. A binding names a term and the environment of that term's own variables; chains of them are
 * followed until there is a term, or a variable nobody has bound. In what is saved, variables of
 * all environments but the query's get the environment's number behind their name. */
#include <stdio.h>
#include "app/policy/partial/partial_impl.h"

bool term_is_root(const struct ast_term *t) {
    if (t->kind == AST_REF && t->count == 1) t = t->terms[0];
    return t->kind == AST_VAR && (str_eq(t->var, S("input")) || str_eq(t->var, S("data")));
}

struct closed bind_apply(struct partial *p, struct closed t) {
    while (t.term->kind == AST_VAR) {
        if (term_is_root(t.term)) {
            t.term = str_eq(t.term->var, S("input")) ? p->input_ref : p->data_ref;
            return t;
        }
        const struct binding *b = t.env ? t.env->first : NULL;
        while (b && !str_eq(b->name, t.term->var)) b = b->next;
        if (!b) return t;
        t = b->to;
    }
    return t;
}

void bind_var(struct partial *p, struct closed var, struct closed to) {
    struct binding *b = partial_alloc(p, sizeof *b);
    if (!b) return;
    *b = (struct binding){var.term->var, to, var.env, var.env->first, p->bound};
    var.env->first = b;
    p->bound = b;
}

str bind_name(struct partial *p, str name, const struct env *env) {
    if (!env || env == p->root || str_eq(name, S("input")) || str_eq(name, S("data"))) return name;
    char number[24];
    int n = snprintf(number, sizeof number, "%llu", (unsigned long long)env->id);
    char *text = partial_alloc(p, name.len + (size_t)n + 1);
    if (!text) return name;
    memcpy(text, name.ptr, name.len);
    memcpy(text + name.len, number, (size_t)n);
    return (str){text, name.len + (size_t)n};
}

/* ---- Plugging ---- */

struct plug {
    struct partial *p;
    bool named; /* free variables are named apart */
    bool enter; /* closures too */
    bool keep;  /* names alone: bound variables stay variables */
};

static struct ast_term *plug(struct plug *g, struct closed t);

static struct ast_term *plug_var(struct plug *g, struct closed t) {
    if (g->keep) {
        if (term_is_root(t.term)) return (struct ast_term *)t.term;
        return ast_var(g->p->heap, &t.term->at, bind_name(g->p, t.term->var, t.env));
    }
    struct closed to = bind_apply(g->p, t);
    if (to.term->kind != AST_VAR) return plug(g, to);
    if (!g->named) return (struct ast_term *)to.term;
    str name = bind_name(g->p, to.term->var, to.env);
    if (name.ptr == to.term->var.ptr) return (struct ast_term *)to.term;
    return ast_var(g->p->heap, &t.term->at, name);
}

static struct ast_term *plug_list(struct plug *g, struct closed t) {
    struct ast_term **list = partial_alloc(g->p, MAX(t.term->count, 1u) * sizeof *list);
    if (!list) return NULL;
    for (u32 i = 0; i < t.term->count; i++) {
        /* The head of a ref that is a root stays a variable. */
        if (!i && t.term->kind == AST_REF && term_is_root(t.term->terms[0]))
            list[i] = t.term->terms[0];
        else
            list[i] = plug(g, (struct closed){t.term->terms[i], t.env});
    }
    return ast_list(g->p->heap, &t.term->at, t.term->kind, list, t.term->count);
}

static struct ast_term *plug_pairs(struct plug *g, struct closed t) {
    struct ast_term *made = ast_list(g->p->heap, &t.term->at, AST_OBJECT, NULL, 0);
    struct ast_pair *pairs = partial_alloc(g->p, MAX(t.term->count, 1u) * sizeof *pairs);
    if (!made || !pairs) return NULL;
    for (u32 i = 0; i < t.term->count; i++) {
        pairs[i].key = plug(g, (struct closed){t.term->pairs[i].key, t.env});
        pairs[i].value = plug(g, (struct closed){t.term->pairs[i].value, t.env});
        if (!pairs[i].key || !pairs[i].value) return NULL;
        made->depth = MAX(made->depth, MAX(pairs[i].key->depth, pairs[i].value->depth));
    }
    made->pairs = pairs, made->count = t.term->count;
    if (made->depth < 255) made->depth++;
    return made;
}

static struct ast_body *plug_body(struct plug *g, const struct ast_body *b, struct env *env);

static struct ast_term *plug_comprehension(struct plug *g, struct closed t) {
    struct ast_term *made = ast_term_copy(g->p->heap, t.term);
    if (!made) return NULL;
    struct ast_term **head = &made->comprehension.head, **key = &made->comprehension.key;
    if (*head) *head = plug(g, (struct closed){*head, t.env});
    if (*key) *key = plug(g, (struct closed){*key, t.env});
    made->comprehension.body = plug_body(g, made->comprehension.body, t.env);
    return *head && made->comprehension.body ? made : NULL;
}

/* A constant becomes its value: sets lose what they now hold twice. */
static struct ast_term *plug_settle(struct plug *g, struct ast_term *t) {
    value v;
    if (!t || t->kind < AST_ARRAY || t->kind > AST_SET || !term_value(g->p, t, &v)) return t;
    return ast_scalar(g->p->heap, &t->at, v);
}

static struct ast_term *plug_collection(struct plug *g, struct closed t) {
    if (ast_term_is_constant(t.term)) return plug_settle(g, (struct ast_term *)t.term);
    return plug_settle(g, t.term->kind == AST_OBJECT ? plug_pairs(g, t) : plug_list(g, t));
}

static struct ast_term *plug(struct plug *g, struct closed t) {
    struct ast_term *made = (struct ast_term *)t.term;
    if (++g->p->depth > PARTIAL_DEPTH_MAX) {
        machine_stop(&g->p->evaluation, RC_LIMIT, "terms are nested too deeply");
    } else {
        switch (t.term->kind) {
        case AST_VAR: made = plug_var(g, t); break;
        case AST_REF: made = plug_list(g, t); break;
        case AST_ARRAY:
        case AST_SET:
        case AST_OBJECT: made = plug_collection(g, t); break;
        case AST_ARRAY_COMPREHENSION:
        case AST_OBJECT_COMPREHENSION:
        case AST_SET_COMPREHENSION:
            if (g->enter) made = plug_comprehension(g, t);
            break;
        case AST_CALL:
            if (g->enter) made = plug_list(g, t);
            break;
        default: break;
        }
    }
    g->p->depth--;
    return made;
}

struct ast_term *bind_plug(struct partial *p, struct closed t) {
    struct plug g = {.p = p};
    return plug(&g, t);
}
struct ast_term *bind_plug_named(struct partial *p, struct closed t) {
    struct plug g = {.p = p, .named = true};
    return plug(&g, t);
}

/* ---- Closures and the bodies of `every` ---- */

static void plug_operands(struct plug *g, struct ast_expr *e, struct env *env) {
    for (u32 i = e->kind == AST_EXPR_CALL; i < e->count; i++)
        if (e->terms[i]) e->terms[i] = plug(g, (struct closed){e->terms[i], env});
}

static bool plug_expr(struct plug *g, struct ast_expr *e, struct env *env) {
    if (e->kind == AST_EXPR_TERM || e->kind == AST_EXPR_CALL) plug_operands(g, e, env);
    if (e->kind == AST_EXPR_EVERY) {
        struct ast_every *q = e->every;
        if (q->key) q->key = plug(g, (struct closed){q->key, env});
        q->value = plug(g, (struct closed){q->value, env});
        q->domain = plug(g, (struct closed){q->domain, env});
        q->body = plug_body(g, q->body, env);
    }
    if (e->kind == AST_EXPR_NOT) e->not_body = plug_body(g, e->not_body, env);
    if (e->kind == AST_EXPR_LOGICAL) {
        e->logical->left = plug_body(g, e->logical->left, env);
        e->logical->right = plug_body(g, e->logical->right, env);
    }
    for (u32 i = 0; i < e->with_count; i++)
        e->with[i].value = plug(g, (struct closed){e->with[i].value, env});
    return !partial_stopped(g->p);
}

static struct ast_body *plug_body(struct plug *g, const struct ast_body *b, struct env *env) {
    struct ast_body *made = b ? ast_body_copy(g->p->heap, b) : NULL;
    if (!made) return NULL;
    if (++g->p->depth > PARTIAL_DEPTH_MAX)
        machine_stop(&g->p->evaluation, RC_LIMIT, "terms are nested too deeply");
    for (u32 i = 0; i < made->count; i++)
        if (!plug_expr(g, made->exprs[i], env)) break;
    g->p->depth--;
    return made;
}

struct ast_term *bind_plug_closure(struct partial *p, const struct ast_term *t, struct env *env) {
    struct plug g = {.p = p, .named = true, .enter = true, .keep = true};
    return plug(&g, (struct closed){t, env});
}

struct ast_body *bind_plug_body(struct partial *p, const struct ast_body *b, struct env *env) {
    struct plug g = {.p = p, .named = true, .enter = true};
    return plug_body(&g, b, env);
}

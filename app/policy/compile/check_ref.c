/* SPDX-License-Identifier: Apache-2.0 */
/* check_ref.c — refs that can never have a value: a key that is not there, a step into a number,
 * a function that is named but not called. Variables in them get the type of the keys there. */
#include "app/policy/compile/check_impl.h"

enum { LOOK_MAX = 64 }; /* children looked at for the types of variables alone */

struct ref_check {
    struct checker *k;
    struct type_env *env; /* where types of variables are found and kept */
};

/* ---- Keys a message offers ------------------------------------------------------------------- */

struct offer {
    value *keys;
    u32 count, room;
};

static void offer_key(struct compiler *c, struct offer *o, value key) {
    if (o->count == o->room) {
        u32 room = o->room ? o->room * 2 : 16;
        value *keys = heap_alloc(&c->scratch, room * sizeof *keys);
        if (!keys) return;
        if (o->count) memcpy(keys, o->keys, o->count * sizeof *keys);
        o->keys = keys;
        o->room = room;
    }
    o->keys[o->count++] = key;
}

static void sort_offer(struct compiler *c, struct offer *o) {
    value all = value_set(c->heap, o->keys, o->count); /* sorted, each once */
    o->count = value_count(all);
    for (u32 i = 0; i < o->count; i++) o->keys[i] = value_item(all, i);
}

static void offer_type(struct compiler *c, struct offer *o, const struct type *t) {
    if (t && t->kind == TYPE_OBJECT)
        for (u32 i = 0; i < t->count; i++) offer_key(c, o, t->properties[i].key);
    if (t && t->kind == TYPE_ANY)
        for (u32 i = 0; i < t->count; i++) offer_type(c, o, t->items[i]);
}

static void invalid_in_type(struct ref_check *r, const struct ast_term *ref, u32 i,
                            const struct type *have, const struct type *want,
                            const struct type *of) {
    struct offer o = {0};
    offer_type(r->k->c, &o, of);
    sort_offer(r->k->c, &o);
    problem_invalid(r->k, ref, i, have, want, o.keys, o.count);
}

static void invalid_in_tree(struct ref_check *r, const struct ast_term *ref, u32 i,
                            const struct type *have, const struct type *want,
                            const struct trie_node *n) {
    struct offer o = {0};
    for (const struct trie_node *kid = n->first; kid; kid = kid->next)
        offer_key(r->k->c, &o, kid->key);
    sort_offer(r->k->c, &o);
    problem_invalid(r->k, ref, i, have, want, o.keys, o.count);
}

/* ---- Below a leaf --------------------------------------------------------------------------- */

/* One step into a value of type `t`: the type of what is there; NULL: refused, and that was told.
 */
static const struct type *step(struct ref_check *r, const struct type *t,
                               const struct ast_term *ref, u32 i) {
    struct compiler *c = r->k->c;
    const struct ast_term *key = ref->terms[i];
    const struct type *keys = type_keys(c->heap, t), *have;
    if (!keys) {
        problem_unsupported(r->k, ref, i - 1, t);
        return NULL;
    }
    switch (key->kind) {
    case AST_VAR:
        have = env_var(r->env, key->var);
        if (!have)
            env_put_var(r->env, key->var, keys);
        else if (!type_unifies(c->heap, have, keys)) {
            invalid_in_type(r, ref, i, have, keys, t);
            return NULL;
        }
        break;
    case AST_REF:
        have = env_ref(r->k, r->env, key, key->count);
        if (have && !type_unifies(c->heap, have, keys)) {
            invalid_in_type(r, ref, i, have, keys, t);
            return NULL;
        }
        break;
    case AST_ARRAY:
    case AST_OBJECT:
    case AST_SET:
        if (!unify_with(r->k, r->env, key, keys, false)) {
            problem_invalid(r->k, ref, i, env_get(r->k, r->env, key), keys, NULL, 0);
            return NULL;
        }
        break;
    default:
        if (!is_scalar(key)) break;
        have = type_select(c->heap, t, key->scalar);
        if (!have) invalid_in_type(r, ref, i, NULL, keys, t);
        return have;
    }
    return type_values(c->heap, t);
}

static void check_leaf(struct ref_check *r, const struct type *t, const struct ast_term *ref,
                       u32 i) {
    for (; t && i < ref->count; i++) t = step(r, t, ref, i);
}

/* ---- Along a tree --------------------------------------------------------------------------- */

static void check_in(struct ref_check *r, struct type_env *layer, const struct trie_node *n,
                     const struct ast_term *ref, u32 i);

/* A variable in the middle of a path: it may be any of the keys there. */
static bool check_key_var(struct ref_check *r, const struct trie_node *n,
                          const struct ast_term *ref, u32 i) {
    struct compiler *c = r->k->c;
    const struct type *keys = env_extent_keys(c, n);
    const struct type *have = env_var(r->env, ref->terms[i]->var);
    if (!have)
        env_put_var(r->env, ref->terms[i]->var, keys);
    else if (!type_unifies(c->heap, keys, have)) {
        invalid_in_tree(r, ref, i, have, keys, n);
        return false;
    }
    return true;
}

static void check_next_layer(struct ref_check *r, struct type_env *layer, const struct trie_node *n,
                             const struct ast_term *ref, u32 i) {
    struct type_env *next = layer->next;
    while (next && !next->tree) next = next->next;
    if (next) {
        check_in(r, next, &next->tree->root, ref, 0);
        return;
    }
    if (!i) {
        check_leaf(r, &type_any, ref, 1);
        return;
    }
    /* No rule is meant for sure: what is beneath may tell the types of variables further on. */
    if (ref->terms[i]->kind != AST_VAR) return;
    u32 before = r->k->found.count, left = LOOK_MAX;
    for (const struct trie_node *kid = n->first; kid && left--; kid = kid->next)
        check_in(r, layer, kid, ref, i + 1);
    r->k->found.count = before;
}

static void check_in(struct ref_check *r, struct type_env *layer, const struct trie_node *n,
                     const struct ast_term *ref, u32 i) {
    if (i == ref->count) return;
    if (!compile_enter(r->k->c)) {
        compile_leave(r->k->c);
        return;
    }
    const struct ast_term *key = ref->terms[i];
    const struct trie_node *child =
        key->kind == AST_VAR && i ? NULL : trie_child_term(layer->tree, n, key);
    bool good = true;
    if ((i == 1 || i == 2) && key->kind != AST_VAR && key->kind != AST_STRING) {
        invalid_in_tree(r, ref, i, env_get(r->k, r->env, key), &type_string, n);
        good = false;
    } else if (key->kind == AST_VAR && i) {
        good = check_key_var(r, n, ref, i);
    }
    if (!good) {
    } else if (!child) {
        check_next_layer(r, layer, n, ref, i);
    } else if (is_type_leaf(child)) {
        check_leaf(r, child->thing, ref, i + 1);
    } else {
        check_in(r, layer, child, ref, i + 1);
    }
    compile_leave(r->k->c);
}

static void check_ref(struct ref_check *r, const struct ast_term *ref) {
    const struct ast_term *head = ref->terms[0];
    if (head->kind != AST_VAR) return;
    if (!is_var_named(head, "data") && !is_var_named(head, "input")) {
        const struct type *t = env_var(r->env, head->var);
        const struct builtin *b = t ? NULL : builtin_of_ref(r->k->c, ref);
        if (b) problem_unsupported(r->k, ref, ref->count - 1, builtin_type(r->k->c, b));
        if (!t && !b) env_put_var(r->env, head->var, &type_any);
        if (!b) check_leaf(r, t ? t : &type_any, ref, 1);
        return;
    }
    /* Functions of rules are found at their very path. */
    const struct type *whole = NULL;
    const struct place *p = place_of(r->k->c, ref, ref->count);
    if (p && p->node.rule_count && p->node.rules[0]->head->arg_count)
        whole = env_ref(r->k, r->env, ref, ref->count);
    if (whole && whole->kind == TYPE_FUNCTION) {
        problem_unsupported(r->k, ref, ref->count - 1, whole);
        return;
    }
    struct type_env *layer = r->env;
    while (layer && !layer->tree) layer = layer->next;
    if (layer) check_in(r, layer, &layer->tree->root, ref, 0);
}

/* ---- All refs of an expression --------------------------------------------------------------- */

static bool ref_term(struct walk *w, struct ast_term *t) {
    struct ref_check *r = w->arg;
    if (is_closure(t)) return true;
    if (t->kind != AST_REF || !t->count) return false;
    u32 before = r->k->found.count;
    check_ref(r, t);
    return r->k->found.count > before;
}

static bool ref_expr(struct walk *w, struct ast_expr *e) {
    if (e->kind != AST_EXPR_TERM && e->kind != AST_EXPR_CALL) return false;
    for (u32 i = e->kind == AST_EXPR_CALL; i < e->count; i++) walk_term(w, e->terms[i]);
    return true; /* neither the operator nor `with` */
}

void check_refs(struct checker *k, struct type_env *env, struct ast_expr *e) {
    struct ref_check r = {k, env};
    struct walk w = {.c = k->c, .term = ref_term, .expr = ref_expr, .arg = &r};
    walk_expr(&w, e);
}

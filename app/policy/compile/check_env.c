/* SPDX-License-Identifier: Apache-2.0 */
/* check_env.c — what is known of types: of variables, per body; of documents, in trees of paths.
 *
 * A path's type lies at its leaf: `data.a.p` is what rule p gives. Asked for `data.a`, the leaves
 * beneath make an object that may hold more, for base documents are not known. Several rules of
 * one path give either's type. A ref with variables in its head gives an object of any such keys,
 * with which rules within its extent merge. */
#include "app/policy/compile/check_impl.h"

enum {
    MERGE_MAX = 1000, /* leaves merged into one object: beyond, it may be anything */
    EXTENT_MAX = 500, /* children of a node that an object tells of */
};

/* ---- Variables ------------------------------------------------------------------------------ */

struct type_env *env_push(struct checker *k, struct type_env *next) {
    struct compiler *c = k->c;
    struct type_env *env = heap_alloc(&c->scratch, sizeof *env);
    if (!env) return next;
    *env = (struct type_env){.c = c, .next = next};
    varset_open(&env->vars.names, &c->scratch);
    return env;
}

void env_put_var(struct type_env *env, str v, const struct type *t) {
    struct var_types *vars = &env->vars;
    u32 i = varset_find(&vars->names, v);
    if (i == vars->names.count) {
        if (i == vars->room) {
            u32 room = vars->room ? vars->room * 2 : 8;
            const struct type **types = heap_alloc(&env->c->scratch, room * sizeof *types);
            if (!types) return;
            if (i) memcpy(types, vars->types, i * sizeof *types);
            vars->types = types;
            vars->room = room;
        }
        if (!varset_add(&vars->names, v)) return;
    }
    vars->types[i] = t;
}

const struct type *env_var(const struct type_env *env, str v) {
    for (; env; env = env->next) {
        u32 i = varset_find(&env->vars.names, v);
        if (i < env->vars.names.count) return env->vars.types[i];
    }
    return NULL;
}

/* ---- Trees ---------------------------------------------------------------------------------- */

bool is_type_leaf(const struct trie_node *n) {
    return n->thing != NULL;
}

static struct trie_node *make(struct trie *t, struct trie_node *n, const struct ast_term *key) {
    if (key->kind == AST_VAR) return trie_make_str(t, n, key->var);
    return is_scalar(key) ? trie_make(t, n, key->scalar) : NULL;
}

void tree_put(struct compiler *c, struct trie *t, const struct ast_term *ref, u32 len,
              const struct type *type) {
    (void)c;
    struct trie_node *n = &t->root;
    for (u32 i = 0; i < len && n; i++) n = make(t, n, ref->terms[i]);
    if (n) n->thing = (void *)type;
}

static const struct type *object_of(struct compiler *c, const struct type *known,
                                    const struct type *key, const struct type *of) {
    return type_object(c->heap, known ? known->properties : NULL, known ? known->count : 0, key,
                       of);
}

/* The object with a value of `type` somewhere at `keys` beneath. */
static const struct type *insert_into(struct compiler *c, const struct type *o, const value *keys,
                                      u32 count, const struct type *type) {
    if (!count || !o || o->kind != TYPE_OBJECT) return o;
    const struct type *key = type_of_value(c->heap, keys[0]), *of = type;
    if (count > 1) of = insert_into(c, object_of(c, NULL, NULL, NULL), keys + 1, count - 1, type);
    if (o->of) {
        key = type_or(c->heap, o->key, key);
        of = type_or(c->heap, o->of, of);
    }
    return object_of(c, o, key, of);
}

static const struct type *merge_objects(struct compiler *c, const struct type *a,
                                        const struct type *b);

/* `a` or `b`; sets and objects of any keys grow into one. */
static const struct type *merge(struct compiler *c, const struct type *a, const struct type *b) {
    if (!a || !b) return a ? a : b;
    if (a == b) return a;
    if (a->kind == TYPE_ANY && b->kind != TYPE_ANY) return merge(c, b, a);
    if (a->kind == TYPE_SET && b->kind == TYPE_SET)
        return type_set(c->heap, type_or(c->heap, a->of, b->of));
    if (a->kind != TYPE_OBJECT || a->count) return type_or(c->heap, a, b);
    if (b->kind == TYPE_OBJECT && !b->count) return merge_objects(c, a, b);
    if (b->kind != TYPE_ANY) return type_or(c->heap, a, b);
    const struct type *all = NULL;
    bool merged = false;
    for (u32 i = 0; i < b->count; i++) {
        const struct type *t = b->items[i];
        if (!merged && t->kind == TYPE_OBJECT && !t->count && a->of && t->of) {
            t = object_of(c, NULL, type_or(c->heap, t->key, a->key),
                          type_or(c->heap, t->of, a->of));
            merged = true;
        }
        all = all ? type_or(c->heap, all, t) : t;
    }
    return merged ? all : type_or(c->heap, a, b);
}

static const struct type *merge_objects(struct compiler *c, const struct type *a,
                                        const struct type *b) {
    if (!a->of || !b->of) return type_or(c->heap, a, b);
    const struct type *of = compile_enter(c) ? merge(c, a->of, b->of) : &type_any;
    compile_leave(c);
    return object_of(c, NULL, type_or(c->heap, a->key, b->key), of);
}

/* Every leaf beneath n becomes part of the object at `top`. */
static void merge_leaves(struct compiler *c, struct trie_node *top, const struct trie_node *n,
                         value *keys, u32 depth, u32 *left) {
    for (const struct trie_node *k = n->first; k && *left; k = k->next) {
        if (depth >= TYPE_DEPTH_MAX) return;
        keys[depth] = k->key;
        if (is_type_leaf(k)) {
            --*left;
            top->thing = (void *)insert_into(c, top->thing, keys, depth + 1, k->thing);
        } else {
            merge_leaves(c, top, k, keys, depth + 1, left);
        }
    }
}

void tree_insert(struct compiler *c, struct trie *t, const struct ast_term *ref, u32 len,
                 const struct type *type) {
    tree_insert_from(c, t, &t->root, 0, ref, len, type);
}

void tree_insert_from(struct compiler *c, struct trie *t, struct trie_node *n, u32 done,
                      const struct ast_term *ref, u32 len, const struct type *type) {
    UNINITIALIZED value keys[TYPE_DEPTH_MAX];
    for (u32 i = done; i < len; i++) {
        n = make(t, n, ref->terms[i]);
        if (!n) return;
        const struct type *here = n->thing;
        u32 rest = len - i - 1;
        if (!here || !rest || rest >= TYPE_DEPTH_MAX || here->kind != TYPE_OBJECT) continue;
        for (u32 k = 0; k < rest; k++) {
            const struct ast_term *key = ref->terms[i + 1 + k];
            keys[k] = is_scalar(key) ? key->scalar : value_null();
        }
        n->thing = (void *)insert_into(c, here, keys, rest, type);
    }
    n->thing = (void *)merge(c, n->thing, type);
    if (type->kind != TYPE_OBJECT || !n->first) return;
    u32 left = MERGE_MAX;
    merge_leaves(c, n, n, keys, 0, &left);
    if (!left) n->thing = (void *)&type_any;
}

/* What lies beneath a node that is no leaf: these keys, and any others. */
const struct type *env_extent(struct compiler *c, const struct trie_node *n) {
    if (is_type_leaf(n)) return n->thing;
    u32 count = n->child_count <= EXTENT_MAX ? n->child_count : 0, used = 0;
    struct type_property *p = compile_list(c, &count, sizeof *p);
    if (compile_enter(c))
        for (const struct trie_node *k = n->first; k && used < count; k = k->next)
            if (k->key.kind >= VALUE_BOOLEAN && k->key.kind <= VALUE_STRING)
                p[used++] = (struct type_property){k->key, env_extent(c, k)};
    compile_leave(c);
    return type_object(c->heap, p, used, &type_string, &type_any);
}

/* The keys such an object may have. */
const struct type *env_extent_keys(struct compiler *c, const struct trie_node *n) {
    if (is_type_leaf(n)) return type_keys(c->heap, n->thing);
    const struct type *keys = &type_string;
    if (n->key_kinds & 1u << VALUE_BOOLEAN) keys = type_or(c->heap, keys, &type_boolean);
    if (n->key_kinds & 1u << VALUE_NUMBER) keys = type_or(c->heap, keys, &type_number);
    return keys;
}

/* ---- Refs ----------------------------------------------------------------------------------- */

const struct type *select_ref(struct compiler *c, const struct type *t,
                              struct ast_term *const *keys, u32 count) {
    for (u32 i = 0; i < count && t; i++) {
        if (is_scalar(keys[i]))
            t = type_select(c->heap, t, keys[i]->scalar);
        else
            t = type_values(c->heap, t);
    }
    return t;
}

static bool is_document(const struct ast_term *head) {
    return is_var_named(head, "data") || is_var_named(head, "input");
}

/* In one layer's tree; `found` tells whether it had anything to say. */
static const struct type *ref_in_tree(struct compiler *c, const struct trie *t,
                                      const struct ast_term *ref, u32 len, bool *found) {
    const struct trie_node *n = trie_child_term(t, &t->root, ref->terms[0]);
    *found = n != NULL;
    for (u32 i = 1; n; i++) {
        if (i == len) return env_extent(c, n);
        const struct ast_term *key = ref->terms[i];
        const struct trie_node *child = key->kind == AST_VAR ? NULL : trie_child_term(t, n, key);
        if (is_type_leaf(n) && !child) return select_ref(c, n->thing, ref->terms + i, len - i);
        if (!is_scalar(key)) return select_ref(c, env_extent(c, n), ref->terms + i, len - i);
        if (!child) *found = false; /* perhaps a layer further out */
        n = child;
    }
    return NULL;
}

/* The type of the first `len` terms of a ref; NULL: not known. */
const struct type *env_ref(struct checker *k, struct type_env *env, const struct ast_term *ref,
                           u32 len) {
    struct compiler *c = k->c;
    const struct ast_term *head = ref->terms[0];
    if (head->kind != AST_VAR) return select_ref(c, env_get(k, env, head), ref->terms + 1, len - 1);
    for (struct type_env *e = env; e; e = e->next) {
        u32 i = varset_find(&e->vars.names, head->var);
        if (i < e->vars.names.count)
            return select_ref(c, e->vars.types[i], ref->terms + 1, len - 1);
        if (!e->tree) continue;
        bool found;
        const struct type *t = ref_in_tree(c, e->tree, ref, len, &found);
        if (found) return t;
    }
    if (is_document(head)) return &type_any;
    struct ast_term prefix = *ref;
    prefix.count = len;
    const struct builtin *b = builtin_of_ref(c, &prefix);
    return b ? builtin_type(c, b) : NULL;
}

/* ---- Terms ---------------------------------------------------------------------------------- */

static const struct type *type_of_array(struct checker *k, struct type_env *env,
                                        const struct ast_term *t) {
    u32 n = t->count;
    const struct type **items = compile_list(k->c, &n, sizeof *items);
    for (u32 i = 0; i < n; i++) items[i] = env_get(k, env, t->terms[i]);
    return type_array(k->c->heap, items, n, n ? NULL : &type_any);
}

static const struct type *type_of_set(struct checker *k, struct type_env *env,
                                      const struct ast_term *t) {
    const struct type *all = NULL;
    for (u32 i = 0; i < t->count; i++) all = type_or(k->c->heap, all, env_get(k, env, t->terms[i]));
    return type_set(k->c->heap, all ? all : &type_any);
}

static const struct type *type_of_object(struct checker *k, struct type_env *env,
                                         const struct ast_term *t) {
    struct compiler *c = k->c;
    u32 n = t->count, used = 0;
    struct type_property *p = compile_list(c, &n, sizeof *p);
    const struct type *key = NULL, *of = NULL;
    for (u32 i = 0; i < n; i++) {
        const struct type *v = env_get(k, env, t->pairs[i].value);
        if (ast_term_is_constant(t->pairs[i].key)) {
            p[used++] = (struct type_property){ast_term_value(c->heap, t->pairs[i].key), v};
        } else {
            key = env_get(k, env, t->pairs[i].key);
            of = v;
        }
    }
    if (!used && !key && !of) key = of = &type_any;
    return type_object(c->heap, p, used, key, of);
}

static const struct type *type_of_closure(struct checker *k, struct type_env *env,
                                          const struct ast_term *t) {
    struct compiler *c = k->c;
    u32 before = k->found.count;
    struct type_env *own = env_push(k, env);
    check_body(k, own, t->comprehension.body);
    if (k->found.count > before && !k->outermost) return NULL;
    /* What finds nothing is there, and equal to all other collections of nothing. */
    bool any = k->outermost;
    if (any) k->found.count = before;
    const struct type *of = any ? &type_any : env_get(k, own, t->comprehension.head);
    switch (t->kind) {
    case AST_ARRAY_COMPREHENSION: return type_array(c->heap, NULL, 0, of);
    case AST_SET_COMPREHENSION: return type_set(c->heap, of);
    default:
        return type_object(c->heap, NULL, 0,
                           any ? &type_any : env_get(k, own, t->comprehension.key), of);
    }
}

static u32 memo_slot(const struct checker *k, const struct ast_term *t) {
    u32 at = (u32)(((uintptr_t)t >> 4) * 0x9e3779b1u) & k->memo_mask;
    while (k->memo[at].closure && k->memo[at].closure != t) at = (at + 1) & k->memo_mask;
    return at;
}

static void memo_grow(struct checker *k) {
    struct closure_type *old = k->memo;
    u32 slots = old ? (k->memo_mask + 1) * 2 : 16, count = old ? k->memo_mask + 1 : 0;
    struct closure_type *memo = heap_alloc(&k->c->scratch, slots * sizeof *memo);
    if (!memo) return;
    memset(memo, 0, slots * sizeof *memo);
    k->memo = memo;
    k->memo_mask = slots - 1;
    for (u32 i = 0; i < count; i++)
        if (old[i].closure) k->memo[memo_slot(k, old[i].closure)] = old[i];
}

/* Each closure is checked once, though its type is asked for at every turn: otherwise the work
 * would multiply with every level of closures within closures. */
static const struct type *closure_type(struct checker *k, struct type_env *env,
                                       const struct ast_term *t) {
    if (!k->memo || k->memo_count * 2 > k->memo_mask) memo_grow(k);
    if (!k->memo) return NULL;
    u32 at = memo_slot(k, t);
    if (k->memo[at].closure) return k->memo[at].type;
    const struct type *type = type_of_closure(k, env, t);
    if (k->memo_count * 2 > k->memo_mask) memo_grow(k);
    at = memo_slot(k, t);
    if (!k->memo[at].closure) k->memo_count++;
    k->memo[at] = (struct closure_type){t, type};
    return type;
}

const struct type *env_get(struct checker *k, struct type_env *env, const struct ast_term *t) {
    const struct type *type = NULL;
    switch (t->kind) {
    case AST_NULL: return &type_null;
    case AST_BOOLEAN: return &type_boolean;
    case AST_NUMBER: return &type_number;
    case AST_STRING: return &type_string;
    case AST_VAR: return env_var(env, t->var);
    case AST_VALUE: return type_of_value(k->c->heap, t->scalar);
    default: break;
    }
    if (compile_enter(k->c)) {
        switch (t->kind) {
        case AST_REF: type = env_ref(k, env, t, t->count); break;
        case AST_ARRAY: type = type_of_array(k, env, t); break;
        case AST_SET: type = type_of_set(k, env, t); break;
        case AST_OBJECT: type = type_of_object(k, env, t); break;
        case AST_ARRAY_COMPREHENSION:
        case AST_OBJECT_COMPREHENSION:
        case AST_SET_COMPREHENSION: type = closure_type(k, env, t); break;
        default: break;
        }
    }
    compile_leave(k->c);
    return type;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* check_impl.h — the type checker's own: environments, and errors that are not yet told.
 *
 *   layer of a comprehension's body   vars
 *     -> layer of a rule's body       vars
 *       -> layer of schemas, `with`   tree: input.x, data.y
 *         -> the program              tree: every rule's type */
#pragma once
#include "app/policy/compile/compile_impl.h"

struct var_types {
    struct varset names;
    const struct type **types;
    u32 room;
};
struct type_env {
    struct compiler *c;
    struct type_env *next;
    struct var_types vars;
    struct trie *tree; /* thing: the type of a leaf; NULL: no tree in this layer */
};

struct problems {
    struct policy_error *items;
    u32 count, room;
};

struct checker {
    struct compiler *c;
    struct problems found; /* of the body that is looked at, its closures too */
    struct closure_type {
        const struct ast_term *closure;
        const struct type *type;
    } * memo;
    u32 memo_count, memo_mask; /* closures whose bodies were checked, by address */
    bool outermost;            /* errors within comprehensions do not count */
    u32 quiet;                 /* errors found now are told elsewhere */
};

struct type_env *env_push(struct checker *k, struct type_env *next);
void env_put_var(struct type_env *env, str v, const struct type *t);
const struct type *env_var(const struct type_env *env, str v);
const struct type *env_get(struct checker *k, struct type_env *env, const struct ast_term *t);
const struct type *env_ref(struct checker *k, struct type_env *env, const struct ast_term *ref,
                           u32 len);
const struct type *env_extent(struct compiler *c, const struct trie_node *n);
const struct type *env_extent_keys(struct compiler *c, const struct trie_node *n);
void tree_put(struct compiler *c, struct trie *t, const struct ast_term *ref, u32 len,
              const struct type *type);
void tree_insert(struct compiler *c, struct trie *t, const struct ast_term *ref, u32 len,
                 const struct type *type);
/* The same from node `n`, where `done` terms have led; no type lies there or above. */
void tree_insert_from(struct compiler *c, struct trie *t, struct trie_node *n, u32 done,
                      const struct ast_term *ref, u32 len, const struct type *type);
const struct type *select_ref(struct compiler *c, const struct type *t,
                              struct ast_term *const *keys, u32 count);
bool is_type_leaf(const struct trie_node *n);

/* Types `body` in `env`, which gets its variables; problems are added to k->found. */
void check_body(struct checker *k, struct type_env *env, const struct ast_body *body);
void check_refs(struct checker *k, struct type_env *env, struct ast_expr *e); /* check_ref.c */
bool unify_types(struct checker *k, struct type_env *env, const struct ast_term *a,
                 const struct type *ta, const struct ast_term *b,
                 const struct type *tb); /* check_unify.c */
bool unify_with(struct checker *k, struct type_env *env, const struct ast_term *t,
                const struct type *type, bool add);

struct policy_error *problem(struct checker *k, const struct ast_location *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void problem_args(struct checker *k, const struct ast_location *at, const struct ast_term *op,
                  const char *what, const struct type *const *have, u32 have_count,
                  const struct type *function, bool with_result);
void problem_match(struct checker *k, const struct ast_location *at, const struct type *left,
                   const struct type *right);
void problem_unsupported(struct checker *k, const struct ast_term *ref, u32 position,
                         const struct type *have);
void problem_invalid(struct checker *k, const struct ast_term *ref, u32 position,
                     const struct type *have, const struct type *want, const value *one_of,
                     u32 one_of_count);

/* Schemas (schema.c): of the whole input, and of what annotations say of a rule. */
void read_schemas(struct compiler *c);
struct type_env *env_of_schemas(struct checker *k, struct type_env *env, struct ast_rule *r);

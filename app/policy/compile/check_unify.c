/* SPDX-License-Identifier: Apache-2.0 */
/* check_unify.c — types of terms that must be equal: variables without a type get one.
 *
 *   x = data.a        x is of data.a's type
 *   [x, 1] = y        x is what y's first is; y must be an array, its second a number
 *
 * `add`: a variable met once for each of several types may be of any of them. */
#include "app/policy/compile/check_impl.h"

static bool with_array(struct checker *k, struct type_env *env, const struct ast_term *t,
                       const struct type *type, bool add) {
    if (t->count != type->count && !type->of) return false;
    for (u32 i = 0; i < t->count; i++)
        if (!unify_with(k, env, t->terms[i], i < type->count ? type->items[i] : type->of, add))
            return false;
    return true;
}

static bool with_object(struct checker *k, struct type_env *env, const struct ast_term *t,
                        const struct type *type, bool add) {
    if (t->count != type->count && !type->of) return false;
    for (u32 i = 0; i < t->count; i++) {
        const struct ast_term *key = t->pairs[i].key, *v = t->pairs[i].value;
        if (!ast_term_is_constant(key)) {
            unify_with(k, env, v, &type_any, add);
            continue;
        }
        const struct type *of = type_select(k->c->heap, type, ast_term_value(k->c->heap, key));
        if (!of || !unify_with(k, env, v, of, add)) return false;
    }
    return true;
}

static bool with_set(struct checker *k, struct type_env *env, const struct ast_term *t,
                     const struct type *type, bool add) {
    for (u32 i = 0; i < t->count; i++)
        if (!unify_with(k, env, t->terms[i], type->of, add)) return false;
    return true;
}

static void parts_may_be_anything(struct checker *k, struct type_env *env,
                                  const struct ast_term *t) {
    for (u32 i = 0; i < t->count; i++) {
        if (t->kind != AST_OBJECT) {
            unify_with(k, env, t->terms[i], &type_any, true);
            continue;
        }
        unify_with(k, env, t->pairs[i].key, &type_any, true);
        unify_with(k, env, t->pairs[i].value, &type_any, true);
    }
}

static bool with_collection(struct checker *k, struct type_env *env, const struct ast_term *t,
                            const struct type *type, bool add) {
    if (!type) return false;
    if (type->kind == TYPE_ANY) {
        bool one = !type->count;
        if (one) parts_may_be_anything(k, env, t);
        for (u32 i = 0; i < type->count; i++) one |= unify_with(k, env, t, type->items[i], true);
        return one;
    }
    if (t->kind == AST_ARRAY) return type->kind == TYPE_ARRAY && with_array(k, env, t, type, add);
    if (t->kind == AST_OBJECT)
        return type->kind == TYPE_OBJECT && with_object(k, env, t, type, add);
    return type->kind == TYPE_SET && with_set(k, env, t, type, add);
}

static bool with_var(struct checker *k, struct type_env *env, const struct ast_term *t,
                     const struct type *type, bool add) {
    const struct type *known = env_var(env, t->var);
    if (add)
        env_put_var(env, t->var, type_or(k->c->heap, known, type));
    else if (known)
        return type_unifies(k->c->heap, known, type);
    else
        env_put_var(env, t->var, type);
    return true;
}

bool unify_with(struct checker *k, struct type_env *env, const struct ast_term *t,
                const struct type *type, bool add) {
    if (t->kind == AST_VAR) return with_var(k, env, t, type, add);
    if (t->kind != AST_ARRAY && t->kind != AST_OBJECT && t->kind != AST_SET)
        return type_unifies(k->c->heap, env_get(k, env, t), type);
    bool good = compile_enter(k->c) && with_collection(k, env, t, type, add);
    compile_leave(k->c);
    return good;
}

/* ---- Two terms of which neither has a type ----------------------------------------------------
 */

static bool known_from(struct checker *k, struct type_env *env, const struct ast_term *a,
                       const struct ast_term *b) {
    return unify_with(k, env, a, &type_any, false) &&
           unify_with(k, env, b, env_get(k, env, a), false);
}

static bool unify_terms(struct checker *k, struct type_env *env, const struct ast_term *a,
                        const struct ast_term *b) {
    return unify_types(k, env, a, env_get(k, env, a), b, env_get(k, env, b));
}

static bool unify_arrays(struct checker *k, struct type_env *env, const struct ast_term *a,
                         const struct ast_term *b) {
    if (b->kind == AST_VAR) return known_from(k, env, a, b);
    if (b->kind != AST_ARRAY || a->count != b->count) return false;
    for (u32 i = 0; i < a->count; i++)
        if (!unify_terms(k, env, a->terms[i], b->terms[i])) return false;
    return true;
}

static bool unify_objects(struct checker *k, struct type_env *env, const struct ast_term *a,
                          const struct ast_term *b) {
    if (b->kind == AST_VAR) return known_from(k, env, a, b);
    if (b->kind != AST_OBJECT || a->count != b->count) return false;
    for (u32 i = 0; i < a->count; i++) {
        const struct ast_term *other = NULL;
        for (u32 n = 0; n < b->count && !other; n++) { /* mostly at the same place */
            u32 at = (i + n) % b->count;
            if (!ast_term_compare(a->pairs[i].key, b->pairs[at].key)) other = b->pairs[at].value;
        }
        if (!other || !unify_terms(k, env, a->pairs[i].value, other)) return false;
    }
    return true;
}

static bool unify_unknown(struct checker *k, struct type_env *env, const struct ast_term *a,
                          const struct type *ta, const struct ast_term *b, const struct type *tb) {
    if (a->kind == AST_ARRAY) return unify_arrays(k, env, a, b);
    if (a->kind == AST_OBJECT) return unify_objects(k, env, a, b);
    if (a->kind == AST_VAR) {
        if (b->kind == AST_VAR) return known_from(k, env, a, b);
        if (b->kind == AST_ARRAY) return unify_arrays(k, env, b, a);
        if (b->kind == AST_OBJECT) return unify_objects(k, env, b, a);
        if (!ta && tb) return unify_with(k, env, a, tb, false);
    }
    return b->kind == AST_VAR && !tb && ta && unify_with(k, env, b, ta, false);
}

bool unify_types(struct checker *k, struct type_env *env, const struct ast_term *a,
                 const struct type *ta, const struct ast_term *b, const struct type *tb) {
    bool no_a = type_unknown(ta), no_b = type_unknown(tb), good = false;
    if (no_a && !no_b) return unify_with(k, env, a, tb, false);
    if (no_b && !no_a) return unify_with(k, env, b, ta, false);
    if (!no_a) return type_unifies(k->c->heap, ta, tb);
    if (compile_enter(k->c)) good = unify_unknown(k, env, a, ta, b, tb);
    compile_leave(k->c);
    return good;
}

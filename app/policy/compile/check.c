/* SPDX-License-Identifier: Apache-2.0 */
/* check.c — static types: of every rule, callees first; errors where no value can ever fit.
 *
 *   p := count(1)           count: invalid argument(s)   have: (number, ???)  want: (...)
 *   p if "a" = 1            match error                  left: string  right: number
 *   p := q.x (q := 1)       undefined ref: data.a.q.x
 *
 * A body gives types to its variables as its expressions are looked at in order. Errors are
 * gathered, sorted by place, and told at the end. A rule with an error may give anything, so that
 * one mistake is told once. Of the bodies of every, not, and, or only the refs are looked at, as
 * the reference does. */
#include "app/policy/compile/check_impl.h"

/* ---- Calls ---------------------------------------------------------------------------------- */

static const struct type **types_of(struct checker *k, struct type_env *env,
                                    struct ast_term *const *terms, u32 *count) {
    const struct type **list = compile_list(k->c, count, sizeof *list);
    for (u32 i = 0; i < *count; i++) list[i] = env_get(k, env, terms[i]);
    return list;
}

static void check_eq(struct checker *k, struct type_env *env, const struct ast_expr *e) {
    const struct ast_term *a, *b;
    u32 n = operand_count(e);
    if (n != 2) {
        const struct type **have = types_of(k, env, operands(e), &n);
        problem_args(k, &e->at, e->terms[0], n < 2 ? "too few arguments" : "too many arguments",
                     have, n, builtin_type(k->c, builtin_find(S("eq"))), false);
        return;
    }
    a = operands(e)[0], b = operands(e)[1];
    const struct type *ta = env_get(k, env, a), *tb = env_get(k, env, b);
    if (!unify_types(k, env, a, ta, b, tb)) problem_match(k, &e->at, ta, tb);
}

static const struct type *wanted(const struct type *f, u32 i) {
    const struct type *t = i < f->count ? f->items[i] : i == f->count && f->of ? f->of : f->key;
    return type_bare(t); /* names stay with the function */
}

static void check_arguments(struct checker *k, struct type_env *env, const struct ast_expr *e,
                            const struct type *f) {
    u32 n = operand_count(e), most = f->count + (f->of ? 1 : 0);
    const char *wrong = n > most && !f->key ? "too many arguments"
                        : n < f->count      ? "too few arguments"
                                            : NULL;
    const struct type **have = types_of(k, env, operands(e), &n);
    for (u32 i = 0; i < n && !wrong; i++) {
        const struct type *want = wanted(f, i);
        if (have[i] && !type_unknown(have[i]) && !type_unifies(k->c->heap, have[i], want)) {
            wrong = "invalid argument(s)";
        } else if (!unify_with(k, env, operands(e)[i], want, false)) {
            wrong = "invalid argument(s)";
            have = types_of(k, env, operands(e), &n);
        }
    }
    if (wrong) problem_args(k, &e->at, e->terms[0], wrong, have, n, f, true);
}

/* `bare`: without what `with` replaces, which makes no rule a function. */
static void check_call(struct checker *k, struct type_env *env, struct type_env *bare,
                       const struct ast_expr *e) {
    const struct ast_term *op = e->terms[0];
    if (is_equality(e)) {
        check_eq(k, env, e);
        return;
    }
    const struct builtin *b = builtin_of_ref(k->c, op);
    const struct type *f = b ? builtin_type(k->c, b) : env_ref(k, env, op, op->count);
    if (type_is_anything(f) && bare != env) {
        const struct type *own = env_ref(k, bare, op, op->count);
        if (own && own->kind != TYPE_FUNCTION) f = own;
    }
    if (type_is_anything(f)) return; /* a rule with an error, or not known here */
    if (!f || f->kind != TYPE_FUNCTION) {
        str name = compile_term_text(k->c, op);
        problem(k, &e->at, "undefined function %.*s", STR(name));
        return;
    }
    check_arguments(k, env, e, f);
}

/* ---- with ----------------------------------------------------------------------------------- */

static const struct type *function_type(struct checker *k, struct type_env *env,
                                        const struct ast_term *t) {
    if (t->kind != AST_REF) return NULL;
    const struct builtin *b = builtin_of_ref(k->c, t);
    const struct type *f = b ? builtin_type(k->c, b) : env_ref(k, env, t, t->count);
    return f && f->kind == TYPE_FUNCTION ? f : NULL;
}

/* A function may be replaced by one that takes as much. False: it may not, and that was told. */
static bool check_withs(struct checker *k, struct type_env *env, const struct ast_expr *e) {
    for (u32 i = 0; i < e->with_count; i++) {
        const struct type *target = function_type(k, env, e->with[i].target);
        const struct type *by = target ? function_type(k, env, e->with[i].value) : NULL;
        if (!by || type_unifies(k->c->heap, target, by)) continue;
        problem_args(k, &e->with[i].at, e->with[i].target, "arity mismatch", by->items, by->count,
                     target, false);
        return false;
    }
    return true;
}

/* Where `with` replaces documents or functions, they and what depends on them may be anything. */
static struct type_env *env_with(struct checker *k, struct type_env *env,
                                 const struct ast_expr *e) {
    struct trie *tree = NULL;
    for (u32 i = 0; i < e->with_count; i++) {
        const struct ast_term *t = e->with[i].target;
        if (t->kind != AST_REF || !t->count || builtin_of_ref(k->c, t)) continue;
        bool data = is_var_named(t->terms[0], "data");
        if (!data && !is_var_named(t->terms[0], "input")) continue;
        if (!tree) {
            tree = heap_alloc(&k->c->scratch, sizeof *tree);
            if (!tree) return env;
            trie_open(tree, &k->c->scratch);
        }
        const struct type *type = &type_any;
        u32 len = data ? 1 : ref_ground_len(t);
        if (!data && len == t->count) {
            const struct type *by = env_get(k, env, e->with[i].value);
            const struct type *either =
                by ? type_or(k->c->heap, env_ref(k, env, t, len), by) : NULL;
            if (either) type = either;
        }
        tree_put(k->c, tree, t, len, type);
    }
    if (!tree) return env;
    struct type_env *layer = env_push(k, env);
    layer->tree = tree;
    return layer;
}

/* ---- Bodies --------------------------------------------------------------------------------- */

struct closures {
    struct checker *k;
    struct type_env *env;
};

static bool closure_term(struct walk *w, struct ast_term *t) {
    struct closures *at = w->arg;
    if (is_closure(t)) env_get(at->k, at->env, t);
    return is_closure(t);
}

/* Errors about types that are not known, where something more telling was found. */
static bool caused_by_unknown(const struct policy_error *e) {
    return e->code == POLICY_FORMAT_ERROR;
}

/* `input.method == "GET"`, most of what many rules ask: nothing to infer, nothing to refuse. */
static bool surely_right(const struct checker *k, const struct ast_expr *e) {
    if (k->c->any_schemas || k->c->input_type) return false; /* input is not just anything */
    if (e->with_count || !is_equality(e) || operand_count(e) != 2) return false;
    const struct ast_term *a = operands(e)[0], *b = operands(e)[1];
    return is_fixed(a) && is_fixed(b) && (is_input(a) || is_input(b));
}

static void check_expr(struct checker *k, struct type_env *env, struct ast_expr *e) {
    if (surely_right(k, e)) return;
    u32 before = k->found.count;
    struct type_env *own = e->with_count ? env_with(k, env, e) : env;
    struct closures at = {k, own};
    struct walk w = {.c = k->c, .term = closure_term, .arg = &at};
    walk_expr(&w, e);
    check_refs(k, own, e);
    u32 told = k->found.count;
    if (check_withs(k, env, e) && e->kind == AST_EXPR_CALL) check_call(k, own, env, e);
    for (u32 i = told; i < k->found.count; i++) {
        struct policy_error *p = &k->found.items[i];
        if (!caused_by_unknown(p)) continue;
        p->code = POLICY_TYPE_ERROR;
        if (told == before) continue;
        memmove(p, p + 1, (k->found.count - i - 1) * sizeof *p);
        k->found.count--, i--;
    }
    /* Variables belong to the body, not to the layer of its `with`. */
    for (u32 i = 0; own != env && i < own->vars.names.count; i++)
        env_put_var(env, own->vars.names.items[i], own->vars.types[i]);
}

void check_body(struct checker *k, struct type_env *env, const struct ast_body *body) {
    if (compile_enter(k->c))
        for (u32 i = 0; i < body->count && !compile_stopped(k->c); i++)
            check_expr(k, env, body->exprs[i]);
    compile_leave(k->c);
}

/* ---- Rules ---------------------------------------------------------------------------------- */

static bool argument_var(struct walk *w, struct ast_term *t) {
    struct type_env *env = w->arg;
    if (t->kind == AST_VAR && !env_var(env, t->var)) env_put_var(env, t->var, &type_any);
    return false;
}

static const struct type *type_of_function(struct checker *k, struct type_env *env,
                                           struct ast_head *h) {
    struct walk w = {.c = k->c, .term = argument_var, .arg = env};
    for (u32 i = 0; i < h->arg_count; i++) walk_term(&w, h->args[i]);
    u32 n = h->arg_count;
    const struct type **args = types_of(k, env, h->args, &n);
    return type_function(k->c->heap, args, n, h->value ? env_get(k, env, h->value) : NULL);
}

/* p[x][y] := v gives object[type of x: object[type of y: type of v]] */
static const struct type *nested_objects(struct checker *k, struct type_env *env,
                                         const struct ast_term *ref, u32 from,
                                         const struct type *t) {
    for (u32 i = ref->count; i-- > from && t;) {
        const struct type *key = env_get(k, env, ref->terms[i]);
        t = key ? type_object(k->c->heap, NULL, 0, key, t) : NULL;
    }
    return t;
}

static const struct type *type_of_rule(struct checker *k, struct type_env *env,
                                       struct ast_rule *r) {
    struct ast_head *h = r->head;
    const struct type *t;
    if (h->arg_count) return type_of_function(k, env, h);
    if (h->value) {
        t = env_get(k, env, h->value);
    } else {
        t = h->key ? env_get(k, env, h->key) : NULL;
        t = t ? type_set(k->c->heap, t) : NULL;
    }
    return nested_objects(k, env, h->ref, ref_ground_len(h->ref), t);
}

/* Gives the rule's path its type. Problems are kept until check_types tells them. */
void type_rule(struct compiler *c, struct ast_rule *r) {
    struct checker *k = c->checker;
    struct heap_mark mark = heap_mark(&c->scratch);
    if (!k || notes_of(r)->typed) return;
    notes_of(r)->typed = true;
    notes_of(r)->typed_first = !c->types->tree->count;
    k->memo = NULL;
    k->memo_count = k->memo_mask = 0;
    struct type_env *outer = env_of_schemas(k, c->types, r), *env = env_push(k, outer);
    u32 before = k->found.count;
    check_body(k, env, r->body);
    struct ast_term *full = rule_full_ref(c, r);
    u32 ground = rule_ground_len(r);
    bool failed = k->found.count > before || compile_stopped(c);
    const struct type *t = failed ? &type_any : type_of_rule(k, env, r);
    if (compile_stopped(c)) t = NULL; /* `full` may have gaps */
    bool put = t && !c->types_stand;
    if (put && failed) tree_put(c, c->types->tree, full, ground, t);
    if (put && !failed) tree_insert(c, c->types->tree, full, ground, t);
    notes_of(r)->type = failed ? NULL : t;
    heap_release(&c->scratch, mark);
}

void type_env_open(struct compiler *c) {
    u32 one = 1;
    struct type_env *env = own_list(c, &one, sizeof *env);
    env->c = c;
    varset_open(&env->vars.names, c->own);
    env->tree = own_list(c, &one, sizeof *env->tree);
    trie_open(env->tree, c->own);
    c->types = env;
}

/* ---- Telling -------------------------------------------------------------------------------- */

static int place_order(const struct policy_error *a, const struct policy_error *b) {
    if (a->at.file != b->at.file && a->at.file && b->at.file) {
        int cmp = str_cmp(a->at.file->name, b->at.file->name);
        if (cmp) return cmp;
    }
    if (a->at.row != b->at.row) return a->at.row < b->at.row ? -1 : 1;
    if (a->at.column != b->at.column) return a->at.column < b->at.column ? -1 : 1;
    return str_cmp(a->message, b->message);
}

static void tell(struct compiler *c, struct problems *all) {
    struct policy_error *p = all->items;
    for (u32 gap = all->count / 2; gap; gap /= 2)
        for (u32 i = gap; i < all->count; i++)
            for (u32 j = i; j >= gap && place_order(&p[j], &p[j - gap]) < 0; j -= gap) {
                struct policy_error swap = p[j];
                p[j] = p[j - gap], p[j - gap] = swap;
            }
    for (u32 i = 0; i < all->count && !compile_full(c); i++) {
        struct policy_error *e = compile_error(c, p[i].code, &p[i].at, "%.*s", STR(p[i].message));
        if (!e) return;
        e->details = p[i].details;
        e->detail_count = p[i].detail_count;
        e->detail = p[i].detail;
    }
}

void checker_open(struct compiler *c) {
    struct checker *k = heap_alloc(&c->lasting, sizeof *k);
    if (k) *k = (struct checker){.c = c};
    c->checker = k;
    read_schemas(c);
}

/* Callees first; rules that need none were typed while they were near. */
void check_types(struct compiler *c) {
    for (u32 i = 0; i < c->out->order_count && !compile_stopped(c); i++)
        type_rule(c, c->out->order[i]);
    if (c->checker) tell(c, &c->checker->found);
}

void types_of_query(struct compiler *c, struct ast_body *b) {
    struct checker k = {.c = c};
    struct type_env *env = env_push(&k, c->types);
    check_body(&k, env, b);
    for (u32 i = 0; i < k.found.count && !compile_full(c); i++) {
        const struct policy_error *p = &k.found.items[i];
        struct policy_error *e = compile_error(c, p->code, &p->at, "%.*s", STR(p->message));
        if (!e) return;
        e->details = p->details;
        e->detail_count = p->detail_count;
        e->detail = p->detail;
    }
}

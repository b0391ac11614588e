/* SPDX-License-Identifier: Apache-2.0 */
/* plan_term.c — terms: what holds a value, how a reference is followed, how two terms are unified.
 *
 * The compiler has ordered every body so that, read from the top, it is known of each variable
 * whether it has a value yet. So unification needs no run-time variables: a side without a value
 * is bound, patterns are taken apart item by item, all else is compared.
 *
 * A reference into the tree of rules is followed while it is planned as far as its keys are
 * constants; from the first unknown key on a register holds the place in the tree (CELL_TREE) and
 * the machine goes on from there. */
#include "app/policy/machine/plan.h"
#include "kernel/base/limits.h"

bool plan_is_constant(const struct ast_term *t, value *out) {
    if (t->kind > AST_STRING && t->kind != AST_VALUE) return false;
    *out = t->scalar;
    return true;
}

static bool is_root(const struct ast_term *t, str name) {
    return t->kind == AST_VAR && str_eq(t->var, name);
}

static bool is_document(const struct ast_term *t) {
    return is_root(t, S("data")) || is_root(t, S("input"));
}

bool plan_is_unbound_var(struct plan *pl, const struct ast_term *t) {
    return t->kind == AST_VAR && !is_document(t) && !plan_var(pl, t->var)->bound;
}

/* References may have variables among their operands that they themselves bind; closures likewise.
 */
bool plan_is_ready(struct plan *pl, const struct ast_term *t) {
    switch (t->kind) {
    case AST_VAR:
        return is_document(t) || plan_var(pl, t->var)->bound;
    case AST_REF:
        return plan_is_ready(pl, t->terms[0]);
    case AST_ARRAY:
    case AST_SET:
        for (u32 i = 0; i < t->count; i++)
            if (!plan_is_ready(pl, t->terms[i])) return false;
        return true;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++)
            if (!plan_is_ready(pl, t->pairs[i].key) || !plan_is_ready(pl, t->pairs[i].value))
                return false;
        return true;
    default:
        return true;
    }
}

static bool has_reference(const struct ast_term *t) {
    switch (t->kind) {
    case AST_REF:
    case AST_CALL:
        return true;
    case AST_ARRAY:
    case AST_SET:
        for (u32 i = 0; i < t->count; i++)
            if (has_reference(t->terms[i])) return true;
        return false;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++)
            if (has_reference(t->pairs[i].key) || has_reference(t->pairs[i].value)) return true;
        return false;
    default:
        return false;
    }
}

/* ---- References ---- */

struct walk { /* a reference half followed */
    const struct ast_term *ref;
    u32 i;         /* the next operand */
    u32 at;        /* operand that holds what was reached */
    bool maybe_tree;
    u32 want;
};

static u32 target(struct plan *pl, struct walk *w) {
    return w->i >= w->ref->count && !w->maybe_tree && w->want != NOWHERE ? w->want
                                                                         : plan_register(pl, 1);
}

/* Keys from operand `from` on that are constants. */
static u32 constant_keys(const struct ast_term *ref, u32 from, value *keys, u32 room) {
    u32 n = 0;
    while (from + n < ref->count && n < room && plan_is_constant(ref->terms[from + n], &keys[n]))
        n++;
    return n;
}

static void walk_input(struct plan *pl, struct walk *w) {
    UNINITIALIZED value keys[POLICY_PATH_DEPTH_MAX];
    u32 n = constant_keys(w->ref, 1, keys, ARRAY_LEN(keys));
    w->i = 1 + n;
    w->at = target(pl, w);
    u32 path = plan_path(pl, keys, n);
    plan_emit(pl, OP_INPUT, w->at, path, 0);
}

/* Operands usable as keys before the rules at `n` are evaluated. */
static u32 ready_keys(struct plan *pl, const struct node *n, const struct ast_term *ref, u32 from) {
    u32 count = 0;
    while (count < 2 && count < n->keys_max && from + count < ref->count &&
           !has_reference(ref->terms[from + count]) && plan_is_ready(pl, ref->terms[from + count]))
        count++;
    return count;
}

static void walk_rules(struct plan *pl, struct walk *w, const struct node *n) {
    if (n->is_function) { /* has no value of its own */
        plan_jump(pl, pl->fail);
        w->i = w->ref->count;
        w->at = plan_constant(pl, value_null());
        return;
    }
    u32 keys = n->is_partial ? ready_keys(pl, n, w->ref, w->i) : 0;
    if (!keys) {
        w->at = target(pl, w);
        plan_emit(pl, OP_RULE, w->at, n->id, 0);
        return;
    }
    u32 first = plan_register(pl, keys);
    for (u32 k = 0; k < keys; k++) plan_term_into(pl, w->ref->terms[w->i + k], first + k);
    w->i += keys;
    w->at = target(pl, w);
    plan_emit(pl, OP_RULE_KEYED, w->at, n->id, first)->n = (u16)keys;
}

static void walk_data(struct plan *pl, struct walk *w) {
    const struct node *n = pl->tree->root;
    value key;
    w->i = 1;
    while (w->i < w->ref->count && plan_is_constant(w->ref->terms[w->i], &key)) {
        const struct node *child = node_child(n, key);
        if (!child) {
            UNINITIALIZED value keys[POLICY_PATH_DEPTH_MAX];
            u32 count = constant_keys(w->ref, 1, keys, ARRAY_LEN(keys));
            w->i = 1 + count;
            w->at = target(pl, w);
            u32 path = plan_path(pl, keys, count);
            plan_emit(pl, OP_BASE, w->at, path, 0);
            return;
        }
        n = child, w->i++;
        if (n->has_rules) {
            walk_rules(pl, w, n);
            return;
        }
    }
    if (w->i == w->ref->count) {
        w->at = target(pl, w);
        plan_emit(pl, OP_EXTENT, w->at, n->id, 0);
        return;
    }
    w->maybe_tree = true;
    w->at = plan_register(pl, 1);
    plan_emit(pl, OP_TREE, w->at, n->id, 0);
}

/* x = xs[pattern]: every entry whose key matches. */
static void walk_iterate(struct plan *pl, struct walk *w, const struct ast_term *pattern) {
    u32 from = w->at, it = plan_register(pl, 3);
    w->i++;
    w->at = target(pl, w);
    bool looked = pl->look != NOWHERE;
    plan_emit(pl, looked ? OP_LOOK : OP_ITER, it, from, 0)->x = pl->look;
    pl->look = NOWHERE;
    u32 again = plan_label(pl);
    plan_here(pl, again);
    bool fresh = plan_is_unbound_var(pl, pattern);
    /* A variable nobody else reads needs no register, but that is not known here; it is cheap. */
    u32 key = plan_register(pl, 1);
    plan_emit(pl, looked ? OP_LOOK_NEXT : OP_NEXT, it, key, w->at);
    pl->fail = again;
    if (fresh) plan_bind(pl, plan_var(pl, pattern->var), key);
    else plan_match(pl, key, pattern);
}

static void walk_operand(struct plan *pl, struct walk *w) {
    const struct ast_term *t = w->ref->terms[w->i];
    value key;
    if (plan_is_constant(t, &key)) {
        u32 from = w->at, c = plan_constant(pl, key);
        w->i++;
        w->at = target(pl, w);
        struct insn *insn = plan_emit(pl, OP_FIELD, w->at, from, c);
        insn->x = pl->p->slot_count++;
        return;
    }
    if (!plan_is_ready(pl, t)) {
        walk_iterate(pl, w, t);
        return;
    }
    u32 k = plan_term(pl, t, NOWHERE), from = w->at;
    w->i++;
    w->at = target(pl, w);
    plan_emit(pl, OP_GET, w->at, from, k);
}

static u32 plan_ref(struct plan *pl, const struct ast_term *t, u32 want) {
    struct walk w = {.ref = t, .i = 1, .want = want};
    const struct ast_term *head = t->terms[0];
    if (is_root(head, S("input"))) walk_input(pl, &w);
    else if (is_root(head, S("data"))) walk_data(pl, &w);
    else w.at = plan_term(pl, head, NOWHERE);
    while (w.i < t->count && !pl->failed) walk_operand(pl, &w);
    if (!w.maybe_tree) return w.at;
    u32 to = want != NOWHERE ? want : plan_register(pl, 1);
    plan_emit(pl, OP_FINISH, to, w.at, 0);
    return to;
}

/* ---- Values ---- */

static u32 plan_list(struct plan *pl, const struct ast_term *t, u32 want) {
    u32 first = plan_register(pl, t->count);
    for (u32 i = 0; i < t->count; i++) plan_term_into(pl, t->terms[i], first + i);
    u32 to = want != NOWHERE ? want : plan_register(pl, 1);
    plan_emit(pl, t->kind == AST_ARRAY ? OP_MAKE_ARRAY : OP_MAKE_SET, to, first, 0)->x = t->count;
    return to;
}

static u32 plan_object(struct plan *pl, const struct ast_term *t, u32 want) {
    u32 first = plan_register(pl, t->count * 2);
    for (u32 i = 0; i < t->count; i++) {
        plan_term_into(pl, t->pairs[i].key, first + 2 * i);
        plan_term_into(pl, t->pairs[i].value, first + 2 * i + 1);
    }
    u32 to = want != NOWHERE ? want : plan_register(pl, 1);
    plan_emit(pl, OP_MAKE_OBJECT, to, first, 0)->x = t->count;
    return to;
}

static u32 plan_read_var(struct plan *pl, const struct ast_term *t, u32 want) {
    if (is_document(t)) {
        struct ast_term *self = (struct ast_term *)t;
        struct ast_term ref = {.kind = AST_REF, .count = 1, .at = t->at, .terms = &self};
        return plan_ref(pl, &ref, want);
    }
    struct plan_var *v = plan_var(pl, t->var);
    if (v->bound) return v->reg;
    if (!pl->failed && pl->errors)
        policy_error_add(pl->errors, EVAL_INTERNAL_ERROR, &t->at, "variable %.*s has no value yet",
                         STR(t->var));
    pl->failed = true;
    return plan_constant(pl, value_null());
}

u32 plan_term(struct plan *pl, const struct ast_term *t, u32 want) {
    value v;
    if (plan_is_constant(t, &v)) return plan_constant(pl, v);
    switch (t->kind) {
    case AST_VAR:
        return plan_read_var(pl, t, want);
    case AST_REF:
        return plan_ref(pl, t, want);
    case AST_ARRAY:
    case AST_SET:
    case AST_OBJECT:
        if (ast_term_is_constant(t)) {
            v = ast_term_value(&pl->p->heap, t);
            if (value_defined(v)) return plan_constant(pl, v);
        }
        return t->kind == AST_OBJECT ? plan_object(pl, t, want) : plan_list(pl, t, want);
    case AST_ARRAY_COMPREHENSION:
    case AST_SET_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
        if (want == NOWHERE) want = plan_register(pl, 1);
        plan_comprehension(pl, t, want);
        return want;
    case AST_CALL:
        if (want == NOWHERE) want = plan_register(pl, 1);
        plan_call(pl, t->terms, t->count, want, &t->at);
        return want;
    default:
        plan_fail(pl, "a term of this kind cannot be evaluated");
        return plan_constant(pl, value_null());
    }
}

void plan_term_into(struct plan *pl, const struct ast_term *t, u32 reg) {
    u32 from = plan_term(pl, t, reg);
    if (from != reg) plan_emit(pl, OP_MOVE, reg, from, 0);
}

/* input.a.b: nothing but constant keys. */
bool plan_is_input(struct plan *pl, const struct ast_term *t, u32 *path) {
    if (t->kind != AST_REF || t->count < 2 || !is_root(t->terms[0], S("input"))) return false;
    UNINITIALIZED value keys[POLICY_PATH_DEPTH_MAX];
    if (constant_keys(t, 1, keys, ARRAY_LEN(keys)) != t->count - 1) return false;
    *path = plan_path(pl, keys, t->count - 1);
    return true;
}

/* ---- Unification ---- */

/* input.a == "x", as one instruction. */
static bool unify_input(struct plan *pl, const struct ast_term *a, const struct ast_term *b) {
    u32 path;
    value v;
    if (!plan_is_constant(b, &v) || !plan_is_input(pl, a, &path)) return false;
    u32 c = plan_constant(pl, v);
    plan_emit(pl, OP_INPUT_EQUAL, 0, path, c);
    return true;
}

static void plan_equal(struct plan *pl, u32 a, u32 b) {
    if (a != b) plan_emit(pl, OP_EQUAL, 0, a, b);
}

static void match_array(struct plan *pl, u32 operand, const struct ast_term *pattern) {
    plan_emit(pl, OP_IS_ARRAY, 0, operand, 0)->x = pattern->count;
    for (u32 i = 0; i < pattern->count; i++) {
        u32 item = plan_register(pl, 1);
        plan_emit(pl, OP_ITEM, item, operand, 0)->x = i;
        plan_match(pl, item, pattern->terms[i]);
    }
}

static void match_object(struct plan *pl, u32 operand, const struct ast_term *pattern) {
    plan_emit(pl, OP_IS_OBJECT, 0, operand, 0)->x = pattern->count;
    for (u32 i = 0; i < pattern->count; i++) {
        u32 key = plan_term(pl, pattern->pairs[i].key, NOWHERE), item = plan_register(pl, 1);
        plan_emit(pl, OP_GET, item, operand, key);
        plan_match(pl, item, pattern->pairs[i].value);
    }
}

/* Nothing behind a match that cannot be runs, but what reads its variables is planned all the same.
 */
static void bind_unreached(struct plan *pl, const struct ast_term *t) {
    bool list = t->kind == AST_ARRAY || t->kind == AST_SET || t->kind == AST_REF;
    if (plan_is_unbound_var(pl, t))
        plan_bind(pl, plan_var(pl, t->var), plan_constant(pl, value_null()));
    for (u32 i = 0; list && i < t->count; i++) bind_unreached(pl, t->terms[i]);
    for (u32 i = 0; t->kind == AST_OBJECT && i < t->count; i++) {
        bind_unreached(pl, t->pairs[i].key);
        bind_unreached(pl, t->pairs[i].value);
    }
}

/* A set that is not known yet equals nothing: the reference's rule. */
static void match_unknown_set(struct plan *pl, const struct ast_term *pattern) {
    plan_jump(pl, pl->fail);
    bind_unreached(pl, pattern);
}

void plan_match(struct plan *pl, u32 operand, const struct ast_term *pattern) {
    if (pl->failed) return;
    if (plan_is_unbound_var(pl, pattern)) {
        plan_bind(pl, plan_var(pl, pattern->var), operand);
        return;
    }
    if (pattern->kind == AST_ARRAY && !plan_is_ready(pl, pattern))
        match_array(pl, operand, pattern);
    else if (pattern->kind == AST_OBJECT && !plan_is_ready(pl, pattern))
        match_object(pl, operand, pattern);
    else if (pattern->kind == AST_SET && !plan_is_ready(pl, pattern))
        match_unknown_set(pl, pattern);
    else plan_equal(pl, operand, plan_term(pl, pattern, NOWHERE));
}

static void bind_to(struct plan *pl, const struct ast_term *var, const struct ast_term *t) {
    u32 reg = plan_register(pl, 1);
    u32 from = plan_term(pl, t, reg);
    struct plan_var *v = plan_var(pl, var->var);
    if (v->bound) { /* t itself bound it, as in x = xs[x] */
        plan_equal(pl, v->reg, from);
        return;
    }
    /* Another variable's register stays as it is for as long as this one may be read. */
    plan_bind(pl, v, from);
}

/* Both without a value: from here on they are one. */
static void alias(struct plan *pl, const struct ast_term *a, const struct ast_term *b) {
    struct plan_var *va = plan_var(pl, a->var);
    u32 place = (u32)(va - pl->vars);
    struct plan_var *vb = plan_var(pl, b->var);
    va = pl->vars + place;
    if (va == vb || va == &pl->none || vb == &pl->none) return;
    u32 reg = vb->reg;
    plan_bind(pl, vb, reg); /* for the log alone */
    vb->bound = false;
    vb->alias = (u32)(plan_var(pl, a->var) - pl->vars) + 1;
}

struct pair { const struct ast_term *a, *b; };

/* One pair of terms. False: it has to wait until others have bound more. */
static bool unify_now(struct plan *pl, const struct ast_term *a, const struct ast_term *b,
                      bool last) {
    bool free_a = plan_is_unbound_var(pl, a), free_b = plan_is_unbound_var(pl, b);
    if (free_a && free_b) {
        if (!last) return false;
        alias(pl, a, b);
        return true;
    }
    bool ready_a = !free_a && plan_is_ready(pl, a), ready_b = !free_b && plan_is_ready(pl, b);
    if (free_a && ready_b) bind_to(pl, a, b);
    else if (free_b && ready_a) bind_to(pl, b, a);
    else if (ready_a && ready_b && (unify_input(pl, a, b) || unify_input(pl, b, a))) return true;
    else if (ready_a && ready_b) {
        u32 left = plan_term(pl, a, NOWHERE);
        plan_equal(pl, left, plan_term(pl, b, NOWHERE));
    } else if (ready_a) plan_match(pl, plan_term(pl, a, NOWHERE), b);
    else if (ready_b) plan_match(pl, plan_term(pl, b, NOWHERE), a);
    else return false;
    return true;
}

static void unify_lists(struct plan *pl, const struct ast_term *a, const struct ast_term *b);

static const struct ast_term *pair_of(const struct ast_term *object, const struct ast_term *key) {
    for (u32 i = 0; i < object->count; i++)
        if (!ast_term_compare(object->pairs[i].key, key)) return object->pairs[i].value;
    return NULL;
}

/* Items pairwise, those first of which one side is known. */
static void unify_pairs(struct plan *pl, struct pair *pairs, u32 count) {
    u32 left = count;
    for (bool progress = true, last = false; left && !pl->failed;) {
        progress = false;
        for (u32 i = 0; i < count; i++) {
            if (!pairs[i].a) continue;
            const struct ast_term *a = pairs[i].a, *b = pairs[i].b;
            bool lists = a->kind == b->kind && (a->kind == AST_ARRAY || a->kind == AST_OBJECT) &&
                         !plan_is_ready(pl, a) && !plan_is_ready(pl, b);
            if (lists && last) unify_lists(pl, a, b);
            else if (lists || !unify_now(pl, a, b, last)) continue;
            pairs[i].a = NULL, left--, progress = true;
            last = false;
            break;
        }
        if (!progress && last) plan_fail(pl, "terms cannot be unified");
        if (!progress) last = true;
    }
}

static void unify_lists(struct plan *pl, const struct ast_term *a, const struct ast_term *b) {
    if (a->count != b->count) {
        plan_jump(pl, pl->fail);
        return;
    }
    struct pair *pairs = heap_alloc(&pl->p->heap, (a->count ? a->count : 1) * sizeof *pairs);
    if (!pairs) {
        plan_fail(pl, "the program is too large");
        return;
    }
    for (u32 i = 0; i < a->count; i++) {
        if (a->kind == AST_ARRAY) {
            pairs[i] = (struct pair){a->terms[i], b->terms[i]};
            continue;
        }
        pairs[i] = (struct pair){a->pairs[i].value, pair_of(b, a->pairs[i].key)};
        if (!pairs[i].b) {
            plan_jump(pl, pl->fail);
            return;
        }
    }
    unify_pairs(pl, pairs, a->count);
}

void plan_unify(struct plan *pl, const struct ast_term *a, const struct ast_term *b) {
    if (a->kind == b->kind && (a->kind == AST_ARRAY || a->kind == AST_OBJECT) &&
        (!plan_is_ready(pl, a) || !plan_is_ready(pl, b))) {
        bool both = !plan_is_ready(pl, a) && !plan_is_ready(pl, b);
        if (both || a->kind == AST_ARRAY) {
            unify_lists(pl, a, b);
            return;
        }
    }
    struct pair one = {a, b};
    unify_pairs(pl, &one, 1);
}

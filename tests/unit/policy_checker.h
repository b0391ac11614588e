/* SPDX-License-Identifier: Apache-2.0 */
/* policy_checker.h — a second way to evaluate compiled policies, for comparison with the machine.
 *
 * It walks the compiler's trees: no registers, no plan, no index, nothing remembered. Variables are
 * looked up by name in a list; every way in which a term or body holds calls what comes next. It
 * knows the constructs that generated programs use; at anything else it gives up (`unknown`), which
 * is not a difference. */
#pragma once
#include "app/policy/machine/run.h"

enum { CHECKER_VARS = 256, CHECKER_STEPS = 200000 };

struct checker {
    struct heap *heap;
    const struct compiled *compiled;
    value input, data;
    struct { str name; value v; } vars[CHECKER_VARS];
    u32 count, frame; /* variables below `frame` belong to callers */
    u32 steps, depth;
    struct evaluation evaluation; /* for builtins: a budget without end */
    bool unknown, conflict, stop;
    bool keyed; /* some rules were asked for one key: those of others may conflict unseen */
};

/* What comes next: called once per way. */
struct next { void (*go)(struct checker *c, void *arg, value v); void *arg; };

static void check_term(struct checker *c, const struct ast_term *t, struct next k);
static void check_match(struct checker *c, const struct ast_term *pattern, value v, struct next k);
static void check_body(struct checker *c, const struct ast_body *b, u32 at, struct next k);
static value check_rules(struct checker *c, const struct rule_node *n, const value *args, u32 arg_count);

static bool checker_stops(struct checker *c) {
    if (++c->steps > CHECKER_STEPS || c->depth > 200 || c->heap->exhausted) c->unknown = true;
    return c->unknown || c->conflict || c->stop;
}

static value *checker_var(struct checker *c, str name) {
    for (u32 i = c->count; i > c->frame; i--)
        if (str_eq(c->vars[i - 1].name, name)) return &c->vars[i - 1].v;
    return NULL;
}

static bool checker_is(const struct ast_term *t, const char *name) {
    return t->kind == AST_VAR && str_eq(t->var, str_from_c(name));
}

static bool checker_free(struct checker *c, const struct ast_term *t) {
    return t->kind == AST_VAR && !checker_is(t, "input") && !checker_is(t, "data") && !checker_var(c, t->var);
}

static bool checker_ready(struct checker *c, const struct ast_term *t) {
    switch (t->kind) {
    case AST_VAR: return !checker_free(c, t);
    case AST_REF: return checker_ready(c, t->terms[0]);
    case AST_ARRAY:
    case AST_SET:
        for (u32 i = 0; i < t->count; i++)
            if (!checker_ready(c, t->terms[i])) return false;
        return true;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++)
            if (!checker_ready(c, t->pairs[i].key) || !checker_ready(c, t->pairs[i].value)) return false;
        return true;
    default: return true;
    }
}

static void checker_bind(struct checker *c, str name, value v, struct next k) {
    if (c->count == CHECKER_VARS) {
        c->unknown = true;
        return;
    }
    u32 mark = c->count;
    c->vars[c->count].name = name, c->vars[c->count++].v = v;
    k.go(c, k.arg, v);
    c->count = mark;
}

/* ---- Collections of terms: every combination ---- */

struct listing { const struct ast_term *t; u32 at; value items[64]; struct next k; };

static void list_next(struct checker *c, void *arg, value v) {
    struct listing *l = arg;
    l->items[l->at++] = v;
    u32 total = l->t->kind == AST_OBJECT ? 2 * l->t->count : l->t->count;
    if (l->at == total) {
        value made;
        if (l->t->kind == AST_OBJECT) {
            value keys[32], values[32];
            for (u32 i = 0; i < l->t->count; i++) keys[i] = l->items[2 * i], values[i] = l->items[2 * i + 1];
            made = value_object(c->heap, keys, values, l->t->count);
        } else {
            made = l->t->kind == AST_ARRAY ? value_array(c->heap, l->items, total) : value_set(c->heap, l->items, total);
        }
        l->k.go(c, l->k.arg, made);
    } else {
        const struct ast_term *t = l->t->kind == AST_OBJECT
                                       ? (l->at % 2 ? l->t->pairs[l->at / 2].value : l->t->pairs[l->at / 2].key)
                                       : l->t->terms[l->at];
        u32 at = l->at;
        check_term(c, t, (struct next){list_next, l});
        l->at = at;
    }
    l->at--;
}

static void check_list(struct checker *c, const struct ast_term *t, struct next k) {
    struct listing l = {.t = t, .k = k};
    if (t->count > 30) c->unknown = true;
    else if (!t->count)
        k.go(c, k.arg, t->kind == AST_ARRAY ? value_empty_array() : t->kind == AST_SET ? value_empty_set() : value_empty_object());
    else check_term(c, t->kind == AST_OBJECT ? t->pairs[0].key : t->terms[0], (struct next){list_next, &l});
}

/* ---- Comprehensions ---- */

struct gathering { const struct ast_term *t; struct value_builder b; value key; };

static void gather_value(struct checker *c, void *arg, value v) {
    struct gathering *g = arg;
    if (g->t->kind != AST_OBJECT_COMPREHENSION) value_builder_add(&g->b, v);
    else if (value_builder_put(&g->b, g->key, v) == RC_CONFLICT) c->conflict = true;
}
static void gather_key(struct checker *c, void *arg, value v) {
    struct gathering *g = arg;
    g->key = v;
    check_term(c, g->t->comprehension.head, (struct next){gather_value, g});
}
static void gather_body(struct checker *c, void *arg, value v) {
    struct gathering *g = arg;
    (void)v;
    if (g->t->kind == AST_OBJECT_COMPREHENSION) check_term(c, g->t->comprehension.key, (struct next){gather_key, g});
    else check_term(c, g->t->comprehension.head, (struct next){gather_value, g});
}

static void check_comprehension(struct checker *c, const struct ast_term *t, struct next k) {
    struct gathering g = {.t = t};
    value_builder_open(&g.b, c->heap, t->kind == AST_ARRAY_COMPREHENSION ? VALUE_ARRAY
                                      : t->kind == AST_SET_COMPREHENSION ? VALUE_SET : VALUE_OBJECT);
    check_body(c, t->comprehension.body, 0, (struct next){gather_body, &g});
    if (!checker_stops(c)) k.go(c, k.arg, value_builder_close(&g.b));
}

/* ---- References ---- */

struct following { const struct ast_term *ref; u32 at; value v; struct next k; };

static void follow(struct checker *c, const struct ast_term *ref, u32 at, value v, struct next k);

static void follow_key(struct checker *c, void *arg, value key) {
    struct following f = *(struct following *)arg;
    value v = value_get(f.v, key);
    if (value_defined(v)) follow(c, f.ref, f.at + 1, v, f.k);
}

static void follow(struct checker *c, const struct ast_term *ref, u32 at, value v, struct next k) {
    if (checker_stops(c)) return;
    if (at == ref->count) {
        k.go(c, k.arg, v);
        return;
    }
    struct following f = {ref, at, v, k};
    if (checker_ready(c, ref->terms[at])) {
        check_term(c, ref->terms[at], (struct next){follow_key, &f});
        return;
    }
    for (u32 i = 0, n = value_count(v); i < n && !checker_stops(c); i++) {
        value key = v.kind == VALUE_ARRAY ? value_integer(i) : v.kind == VALUE_OBJECT ? value_key_at(v, i) : value_item(v, i);
        check_match(c, ref->terms[at], key, (struct next){follow_key, &f});
    }
}

static bool checker_constant(const struct ast_term *t, value *v) {
    if (t->kind > AST_STRING && t->kind != AST_VALUE) return false;
    *v = t->scalar;
    return true;
}

/* data...: the rules as far as the keys are constant; a package asked for as a whole gives up. */
static void check_data(struct checker *c, const struct ast_term *ref, struct next k) {
    const struct rule_node *n = c->compiled->root;
    value v = c->data, key;
    u32 at = 1;
    for (; at < ref->count && checker_constant(ref->terms[at], &key); at++) {
        n = n ? rule_node_find(n, key) : NULL;
        if (n && n->rule_count) {
            value whole = n->rules[0]->head->arg_count ? UNDEFINED : check_rules(c, n, NULL, 0);
            c->keyed |= at + 1 < ref->count;
            if (value_defined(whole) && !checker_stops(c)) follow(c, ref, at + 1, whole, k);
            return;
        }
        v = value_defined(v) ? value_get(v, key) : UNDEFINED;
    }
    if (n) c->unknown = true;
    else if (value_defined(v)) follow(c, ref, at, v, k);
}

static void follow_head(struct checker *c, void *arg, value v) {
    struct following *f = arg;
    follow(c, f->ref, 1, v, f->k);
}

static void check_ref(struct checker *c, const struct ast_term *t, struct next k) {
    struct following f = {.ref = t, .k = k};
    if (checker_is(t->terms[0], "data")) check_data(c, t, k);
    else if (!checker_is(t->terms[0], "input")) check_term(c, t->terms[0], (struct next){follow_head, &f});
    else if (value_defined(c->input)) follow(c, t, 1, c->input, k);
}

static void check_term(struct checker *c, const struct ast_term *t, struct next k) {
    value v;
    if (checker_stops(c)) return;
    c->depth++;
    if (checker_constant(t, &v)) {
        k.go(c, k.arg, v);
    } else if (t->kind == AST_VAR && checker_is(t, "input")) {
        if (value_defined(c->input)) k.go(c, k.arg, c->input);
    } else if (t->kind == AST_VAR) {
        value *bound = checker_var(c, t->var);
        if (bound) k.go(c, k.arg, *bound);
        else c->unknown = true;
    } else if (t->kind == AST_REF) {
        check_ref(c, t, k);
    } else if (t->kind == AST_ARRAY || t->kind == AST_SET || t->kind == AST_OBJECT) {
        check_list(c, t, k);
    } else if (t->kind >= AST_ARRAY_COMPREHENSION && t->kind <= AST_SET_COMPREHENSION) {
        check_comprehension(c, t, k);
    } else {
        c->unknown = true;
    }
    c->depth--;
}

/* ---- Unification ---- */

struct matching { const struct ast_term *t; u32 at; value v; struct next k; };

static void match_same(struct checker *c, void *arg, value v) {
    struct matching *m = arg;
    if (value_equal(v, m->v)) m->k.go(c, m->k.arg, v);
}

static void match_item(struct checker *c, void *arg, value ignored) {
    struct matching m = *(struct matching *)arg;
    (void)ignored;
    if (m.at == m.t->count) {
        m.k.go(c, m.k.arg, m.v);
        return;
    }
    struct matching rest = m;
    rest.at++;
    struct next k = {match_item, &rest};
    if (m.t->kind == AST_ARRAY) {
        check_match(c, m.t->terms[m.at], value_item(m.v, m.at), k);
        return;
    }
    value key;
    if (!checker_constant(m.t->pairs[m.at].key, &key)) {
        c->unknown = true;
        return;
    }
    value item = value_get(m.v, key);
    if (value_defined(item)) check_match(c, m.t->pairs[m.at].value, item, k);
}

static void check_match(struct checker *c, const struct ast_term *pattern, value v, struct next k) {
    struct matching m = {pattern, 0, v, k};
    if (checker_stops(c)) return;
    if (checker_free(c, pattern)) {
        checker_bind(c, pattern->var, v, k);
    } else if (checker_ready(c, pattern)) {
        check_term(c, pattern, (struct next){match_same, &m});
    } else if (pattern->kind == AST_ARRAY || pattern->kind == AST_OBJECT) {
        if (v.kind == (pattern->kind == AST_ARRAY ? VALUE_ARRAY : VALUE_OBJECT) && value_count(v) == pattern->count)
            match_item(c, &m, v);
    } else {
        c->unknown = true;
    }
}

static void unify_known(struct checker *c, void *arg, value v) {
    struct matching *m = arg;
    check_match(c, m->t, v, m->k);
}

static void check_unify(struct checker *c, const struct ast_term *a, const struct ast_term *b, struct next k) {
    bool ready = checker_ready(c, b);
    if (!ready && !checker_ready(c, a)) {
        c->unknown = true;
        return;
    }
    struct matching m = {.t = ready ? a : b, .k = k};
    check_term(c, ready ? b : a, (struct next){unify_known, &m});
}

/* ---- Expressions ---- */

static void note_true(struct checker *c, void *arg, value v) {
    (void)c, (void)v;
    *(bool *)arg = true;
}

struct calling { const struct ast_expr *e; u32 arity, at; value args[8]; struct next k; const struct rule_node *f; const struct builtin *b; };

static void call_result(struct checker *c, struct calling *l, value v) {
    if (!value_defined(v) || checker_stops(c)) return;
    if (l->e->count == l->arity + 2) check_match(c, l->e->terms[l->arity + 1], v, l->k);
    else if (!value_is_false(v)) l->k.go(c, l->k.arg, v);
}

static void call_argument(struct checker *c, void *arg, value v) {
    struct calling *l = arg;
    l->args[l->at++] = v;
    if (l->at < l->arity) {
        u32 at = l->at;
        check_term(c, l->e->terms[at + 1], (struct next){call_argument, l});
        l->at = at;
    } else if (l->f) {
        value args[8];
        memcpy(args, l->args, sizeof args);
        call_result(c, l, check_rules(c, l->f, args, l->arity));
        memcpy(l->args, args, sizeof args);
    } else {
        struct builtin_call call = {.heap = c->heap, .self = l->b, .evaluation = &c->evaluation};
        c->evaluation.budget = INT64_MAX / 2;
        value args[8];
        memcpy(args, l->args, sizeof args);
        value r = l->b->fn(&call, args);
        call_result(c, l, call.failed ? UNDEFINED : r);
        memcpy(l->args, args, sizeof args);
    }
    l->at--;
}

static const char *const checker_builtins[] = {"plus", "minus", "equal", "neq", "lt", "lte", "gt", "gte", "count", "internal.member_2"};

static void check_call(struct checker *c, const struct ast_expr *e, struct next k) {
    struct calling l = {.e = e, .k = k};
    const struct ast_term *op = e->terms[0];
    if (checker_is(op->terms[0], "eq") && op->count == 1 && e->count == 3) {
        check_unify(c, e->terms[1], e->terms[2], k);
        return;
    }
    if (checker_is(op->terms[0], "data")) {
        const struct rule_node *n = c->compiled->root;
        for (u32 i = 1; n && i < op->count; i++) n = rule_node_find(n, op->terms[i]->scalar);
        l.f = n, l.arity = n && n->rule_count ? n->rules[0]->head->arg_count : 0;
    } else {
        struct buf name;
        buf_open(&name, 100);
        ast_term_write(&name, op);
        for (u32 i = 0; i < ARRAY_LEN(checker_builtins); i++)
            if (str_eq(buf_str(&name), str_from_c(checker_builtins[i]))) l.b = builtin_find(buf_str(&name));
        buf_close(&name);
        l.arity = l.b ? l.b->arity : 0;
    }
    if (!l.arity || l.arity > 8) c->unknown = true;
    else check_term(c, e->terms[1], (struct next){call_argument, &l});
}

struct everying { const struct ast_every *every; bool all; bool one; };
static void every_body(struct checker *c, void *arg, value v) {
    struct everying *x = arg;
    (void)v;
    check_body(c, x->every->body, 0, (struct next){note_true, &x->one});
}
static void every_value(struct checker *c, void *arg, value v) {
    struct everying *x = arg;
    check_match(c, x->every->value, v, (struct next){every_body, x});
}
struct every_pass { struct everying *x; value item; };
static void every_key(struct checker *c, void *arg, value v) {
    struct every_pass *p = arg;
    (void)v;
    every_value(c, p->x, p->item);
}
static void every_domain(struct checker *c, void *arg, value domain) {
    struct everying *x = arg;
    if (domain.kind < VALUE_ARRAY) return;
    x->all = true;
    for (u32 i = 0; i < value_count(domain) && x->all && !checker_stops(c); i++) {
        value key = domain.kind == VALUE_ARRAY ? value_integer(i) : domain.kind == VALUE_OBJECT ? value_key_at(domain, i) : value_item(domain, i);
        struct every_pass pass = {x, domain.kind == VALUE_OBJECT ? value_value_at(domain, i) : value_item(domain, i)};
        x->one = false;
        if (x->every->key) check_match(c, x->every->key, key, (struct next){every_key, &pass});
        else every_key(c, &pass, key);
        x->all = x->one;
    }
}

static void not_false(struct checker *c, void *arg, value v) {
    struct next *k = arg;
    if (!value_is_false(v)) k->go(c, k->arg, v);
}

static void check_positive(struct checker *c, const struct ast_expr *e, struct next k) {
    if (e->kind == AST_EXPR_CALL) {
        check_call(c, e, k);
    } else if (e->kind == AST_EXPR_TERM) {
        check_term(c, e->terms[0], (struct next){not_false, &k});
    } else if (e->kind == AST_EXPR_EVERY) {
        struct everying x = {.every = e->every};
        check_term(c, e->every->domain, (struct next){every_domain, &x});
        if (x.all && !checker_stops(c)) k.go(c, k.arg, value_boolean(true));
    } else if (e->kind == AST_EXPR_SOME) {
        k.go(c, k.arg, value_boolean(true));
    } else {
        c->unknown = true;
    }
}

static void check_step(struct checker *c, const struct ast_expr *e, struct next k) {
    if (!e->negated) {
        check_positive(c, e, k);
        return;
    }
    bool held = false;
    check_positive(c, e, (struct next){note_true, &held});
    if (!held && !checker_stops(c)) k.go(c, k.arg, value_boolean(true));
}

/* The rest of the body runs with the input as it was. */
struct restoring { value outer, inner; struct next k; };
static void with_rest(struct checker *c, void *arg, value v) {
    struct restoring *r = arg;
    c->input = r->outer;
    r->k.go(c, r->k.arg, v);
    c->input = r->inner;
}
struct replacing { const struct ast_expr *e; struct next k; };
static void with_value(struct checker *c, void *arg, value v) {
    struct replacing *p = arg;
    struct restoring r = {c->input, v, p->k};
    c->input = v;
    check_step(c, p->e, (struct next){with_rest, &r});
    c->input = r.outer;
}

static void check_expr(struct checker *c, const struct ast_expr *e, struct next k) {
    if (!e->with_count) {
        check_step(c, e, k);
        return;
    }
    const struct ast_term *target = e->with[0].target;
    struct replacing p = {e, k};
    if (e->with_count > 1 || (target->kind == AST_REF ? target->count > 1 || !checker_is(target->terms[0], "input") : !checker_is(target, "input")))
        c->unknown = true;
    else check_term(c, e->with[0].value, (struct next){with_value, &p});
}

struct stepping { const struct ast_body *b; u32 at; struct next k; };
static void body_next(struct checker *c, void *arg, value v) {
    struct stepping *s = arg;
    (void)v;
    check_body(c, s->b, s->at + 1, s->k);
}
static void check_body(struct checker *c, const struct ast_body *b, u32 at, struct next k) {
    if (checker_stops(c)) return;
    if (at == b->count) {
        k.go(c, k.arg, value_boolean(true));
        return;
    }
    struct stepping s = {b, at, k};
    u32 mark = c->count;
    check_expr(c, b->exprs[at], (struct next){body_next, &s});
    c->count = mark;
}

/* ---- Rules ---- */

struct ruling {
    const struct ast_rule *r;
    const value *args;
    u32 arg_count, at;
    value result, key;
    struct value_builder *b;
};

static void rule_value(struct checker *c, void *arg, value v) {
    struct ruling *x = arg;
    if (value_defined(x->result) && !value_equal(x->result, v)) c->conflict = true;
    x->result = v;
}
static void rule_entry(struct checker *c, void *arg, value v) {
    struct ruling *x = arg;
    if (x->b->kind == VALUE_SET) value_builder_add(x->b, v);
    else if (value_builder_put(x->b, x->key, v) == RC_CONFLICT) c->conflict = true;
}
static void rule_entry_key(struct checker *c, void *arg, value v) {
    struct ruling *x = arg;
    x->key = v;
    check_term(c, x->r->head->value, (struct next){rule_entry, x});
}
static void rule_body(struct checker *c, void *arg, value v) {
    struct ruling *x = arg;
    const struct ast_head *h = x->r->head;
    (void)v;
    if (!x->b) check_term(c, h->value, (struct next){rule_value, x});
    else if (x->b->kind == VALUE_SET) check_term(c, h->key, (struct next){rule_entry, x});
    else check_term(c, h->ref->terms[h->ref->count - 1], (struct next){rule_entry_key, x});
}
static void rule_argument(struct checker *c, void *arg, value v) {
    struct ruling *x = arg;
    (void)v;
    if (x->at == x->arg_count) {
        check_body(c, x->r->body, 0, (struct next){rule_body, x});
        return;
    }
    u32 at = x->at++;
    check_match(c, x->r->head->args[at], x->args[at], (struct next){rule_argument, x});
    x->at = at;
}

/* One rule and its `else`: the first that holds. */
static void rule_chain(struct checker *c, struct ruling *x) {
    value before = x->result;
    x->result = UNDEFINED;
    for (const struct ast_rule *r = x->r; r && !checker_stops(c); r = r->otherwise) {
        struct ruling one = *x;
        one.r = r, one.at = 0;
        rule_argument(c, &one, UNDEFINED);
        x->result = one.result;
        if (value_defined(one.result)) break;
    }
    if (value_defined(before) && value_defined(x->result) && !value_equal(before, x->result)) c->conflict = true;
    if (!value_defined(x->result)) x->result = before;
}

static value check_rules(struct checker *c, const struct rule_node *n, const value *args, u32 arg_count) {
    struct ruling x = {.args = args, .arg_count = arg_count};
    struct value_builder b;
    const struct ast_head *first = n->rules[0]->head;
    bool set = !first->value, object = n->has_ref_rules;
    if (checker_stops(c)) return UNDEFINED;
    if (set && object) c->unknown = true;
    u32 frame = c->frame, depth = 1;
    for (const struct rule_node *up = n; up->parent; up = up->parent) depth++;
    c->frame = c->count, c->depth++;
    if (set || object) value_builder_open(&b, c->heap, set ? VALUE_SET : VALUE_OBJECT), x.b = &b;
    const struct ast_rule *fallback = NULL;
    for (u32 i = 0; i < n->rule_count && !checker_stops(c); i++) {
        x.r = n->rules[i];
        if (object && (n->child_count || !x.r->head->value || x.r->head->ref->count != depth + 1)) c->unknown = true;
        else if (x.r->is_default) fallback = x.r;
        else if (x.b) rule_argument(c, &x, UNDEFINED);
        else rule_chain(c, &x);
        x.at = 0;
    }
    if (fallback && !value_defined(x.result)) x.r = fallback, rule_chain(c, &x);
    c->frame = frame, c->depth--;
    if (checker_stops(c)) return UNDEFINED;
    return x.b ? value_builder_close(&b) : x.result;
}

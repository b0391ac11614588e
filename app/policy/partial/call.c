/* SPDX-License-Identifier: Apache-2.0 */
/* call.c — functions: the language's own, with what they are replaced by, and the policy's. */
#include "app/policy/partial/partial_impl.h"

/* ---- Which function ---- */

static const struct rule_node *node_of(struct partial *p, const struct ast_term *ref) {
    const struct rule_node *n = p->program->root;
    value key;
    if (ref->kind != AST_REF || !term_is_root(ref->terms[0]) ||
        !str_eq(ref->terms[0]->var, S("data")))
        return NULL;
    for (u32 i = 1; n && i < ref->count; i++)
        n = term_value(p, ref->terms[i], &key) ? rule_node_find(n, key) : NULL;
    return n && n->rule_count && n->rules[0]->head->is_function ? n : NULL;
}

static const struct builtin *builtin_of(const struct ast_term *ref) {
    char name[128];
    size_t n = 0;
    if (ref->kind == AST_VAR) return builtin_find(ref->var);
    for (u32 i = 0; ref->kind == AST_REF && i < ref->count; i++) {
        const struct ast_term *t = ref->terms[i];
        str part = t->kind == AST_VAR      ? t->var
                   : t->kind == AST_STRING ? value_str(t->scalar)
                                           : S("");
        if (n + part.len + 2 > sizeof name) return NULL;
        if (i) name[n++] = '.';
        memcpy(name + n, part.ptr, part.len);
        n += part.len;
    }
    return builtin_find((str){name, n});
}

bool is_function(struct partial *p, const struct ast_term *ref) {
    return node_of(p, ref) != NULL;
}

/* How many arguments it takes; -1: there is no such function. */
int call_arity(struct partial *p, const struct ast_term *op) {
    const struct builtin *b = builtin_of(op);
    if (b) return b->arity;
    const struct rule_node *n = node_of(p, op);
    return n ? (int)n->rules[0]->head->arg_count : -1;
}

/* ---- Builtins ---- */

struct results { /* of a relation: each in turn */
    struct choice c;
    struct site at;
    value list;
    struct closed to;
    struct goal *k;
    u32 i;
};

static void results_again(struct partial *p, struct choice *c) {
    struct results *r = (struct results *)c;
    u32 i = r->i++, count = value_count(r->list);
    if (r->i >= count) choice_pop(p, c);
    if (i >= count) return;
    struct ast_term *t = term_of(p, value_item(r->list, i));
    if (t) partial_unify(p, r->at, r->to, (struct closed){t, p->root}, r->k);
}

static void have_result(struct partial *p, struct site at, const struct ast_term *to, value v,
                        struct goal *k) {
    struct ast_term *t = value_defined(v) ? term_of(p, v) : NULL;
    partial_fail(p);
    if (!t) return;
    if (to)
        partial_unify(p, at, (struct closed){to, at.visit->env}, (struct closed){t, p->root}, k);
    else if (!value_is_false(v))
        goal_next(p, k);
}

static value run_builtin(struct partial *p, const struct builtin *b, const struct ast_location *at,
                         const value *args) {
    struct evaluation *e = &p->evaluation;
    value key = UNDEFINED;
    if (b->flags & BUILTIN_NONDETERMINISTIC) {
        key = value_array(p->heap, args, b->arity);
        value known = evaluation_remember_get(e, b, key);
        if (value_defined(known)) return known;
    }
    struct builtin_call *c = &e->call;
    *c = (struct builtin_call){
        .heap = p->heap, .evaluation = e, .self = b, .at = at, .code = EVAL_BUILTIN_ERROR};
    value v = b->fn(c, args);
    if (c->failed && (c->halt || p->ask->strict_errors))
        machine_fail(e, c->code, at, "%s: %s", b->name, c->message);
    if (c->failed) return UNDEFINED;
    if (value_defined(key) && value_defined(v)) evaluation_remember(e, b, key, v);
    return v;
}

static void call_builtin(struct partial *p, struct site at, const struct builtin *b,
                         struct ast_term *const *terms, u32 count, struct goal *k) {
    value args[16];
    const struct ast_term *to = count == b->arity + 2u ? terms[count - 1] : NULL;
    if (!b->fn || b->arity > ARRAY_LEN(args) || count < b->arity + 1u) {
        save_call(p, at, b->arity, terms, count, k);
        return;
    }
    for (u32 i = 0; i < b->arity; i++) {
        struct ast_term *t = bind_plug(p, (struct closed){terms[i + 1], at.visit->env});
        if (!t) return;
        if (!term_value(p, t, args + i)) {
            save_call(p, at, b->arity, terms, count, k);
            return;
        }
    }
    value v = run_builtin(p, b, &site_expr(at)->at, args);
    if (!(b->flags & BUILTIN_RELATION) || !to) {
        have_result(p, at, to, v, k);
        return;
    }
    struct results *r = partial_alloc(p, sizeof *r);
    partial_fail(p);
    if (!r || v.kind != VALUE_ARRAY) return;
    r->at = at, r->list = v, r->to = (struct closed){to, at.visit->env}, r->k = k;
    choice_push(p, &r->c, results_again);
}

/* ---- The policy's functions ---- */

/* Whether the call gave this very value before, under no condition: a function has one value,
 * however many of its bodies hold, and a list that asks for it gets it once. */
static bool given_before(struct partial *p, struct ruling *r, value v) {
    for (const struct given *o = r->given; o; o = o->older)
        if (value_equal(o->v, v)) return true;
    struct given *made = partial_alloc(p, sizeof *made);
    if (made) *made = (struct given){r->given, v}, r->given = made;
    return false;
}

static void function_go(struct partial *p, struct goal *g) {
    struct ruling *r = g->arg;
    struct env *env = g->at.visit->env;
    struct closed result = {r->rule->head->value, env};
    bool captured = r->term_count == r->arity + 2;
    struct goal *k = r->then;
    value v;
    partial_fail(p);
    if (!captured && unknown_has(p, result)) {
        save_expr(p, r->reading.at, expr_term(p, result.term), env, env, k);
        return;
    }
    r->found = r->any = true;
    struct ast_term *t = bind_plug(p, result);
    bool known = t && term_value(p, t, &v);
    if (!captured && known && value_is_false(v)) return;
    if (known && p->now.query == r->asked && given_before(p, r, v)) return;
    goal_next(p, k);
}

static void function_enter(struct partial *p, struct ruling *r, const struct ast_rule *rule) {
    const struct ast_head *h = rule->head;
    struct env *env = env_make(p);
    struct visit *f = env ? visit_make(p, rule->body, env) : NULL;
    struct goal *g = f ? goal_make(p, function_go, (struct site){f, 0}, NULL) : NULL;
    struct env *caller = r->reading.at.visit->env;
    if (!g) return;
    g->arg = r;
    g = goal_body(p, f, g);
    partial_fail(p);
    if (r->arity != h->arg_count) return;
    if (r->term_count == r->arity + 2)
        g = goal_unify(p, r->reading.at, (struct closed){r->terms[r->arity + 1], caller},
                       (struct closed){h->value, env}, g);
    for (u32 i = h->arg_count; i-- > 0;)
        g = goal_unify(p, r->reading.at, (struct closed){r->terms[i + 1], caller},
                       (struct closed){h->args[i], env}, g);
    goal_next(p, g);
}

static void function_done(struct partial *p, struct ruling *r) {
    (void)r;
    partial_fail(p);
}

/* ---- Functions kept as rules: their arguments are unknown within ---- */

static bool push_argument(struct ast_walk *w, struct ast_term **t) {
    const struct goal *g = w->arg;
    struct partial *p = g->arg;
    if ((*t)->kind == AST_VAR && !term_is_root(*t)) unknown_push(p, (struct closed){*t, g->a.env});
    return true;
}

static void support_function_go(struct partial *p, struct goal *g) {
    struct ruling *r = g->arg;
    const struct ast_head *h = r->rule->head;
    struct env *env = g->at.visit->env;
    struct ast_body *body = save_settled(p, save_query(p));
    if (!body) return;
    r->support = true;
    struct ast_term *path = name_spaced(p, r->terms[0]->terms, r->terms[0]->count, r->space);
    struct ast_rule *made = partial_alloc(p, sizeof *made);
    struct ast_head *head = partial_alloc(p, sizeof *head);
    struct ast_term **args = partial_alloc(p, MAX(h->arg_count, 1u) * sizeof(struct ast_term *));
    if (!path || !made || !head || !args) return;
    u32 split = support_split(path->terms, path->count);
    struct ast_term *package = term_ref(p, path->terms, split);
    head->ref = term_ref(p, path->terms + split, path->count - split);
    if (!package || !head->ref) return;
    head->ref->terms[0] = ast_var(p->heap, NULL, value_str(head->ref->terms[0]->scalar));
    if (head->ref->count == 1 && head->ref->terms[0]) head->name = head->ref->terms[0]->var;
    for (u32 i = 0; i < h->arg_count; i++)
        args[i] = term_plain(p, bind_plug_named(p, (struct closed){h->args[i], env}));
    head->args = args, head->arg_count = h->arg_count, head->is_function = true;
    head->value = term_plain(p, bind_plug_named(p, (struct closed){h->value, env}));
    made->head = head, made->body = body, made->is_default = r->rule->is_default;
    support_add(p, package, made);
}

static void support_function_enter(struct partial *p, struct ruling *r,
                                   const struct ast_rule *rule) {
    struct env *env = env_make(p);
    struct visit *f = env ? visit_make(p, rule->body, env) : NULL;
    struct goal *g = f ? goal_make(p, support_function_go, (struct site){f, 0}, NULL) : NULL;
    if (!g) return;
    g->arg = r;
    struct goal walk = {.arg = p, .a = {NULL, env}};
    struct ast_walk w = {.term = push_argument, .arg = &walk};
    for (u32 i = 0; i < rule->head->arg_count; i++) {
        struct ast_term *arg = rule->head->args[i];
        ast_walk_term(&w, &arg);
    }
    p->now.query = NULL;
    goal_next(p, goal_body(p, f, g));
}

static void call_supported(struct partial *p, struct ruling *r) {
    struct ast_term *path = name_spaced(p, r->terms[0]->terms, r->terms[0]->count, r->space);
    struct ast_term **terms = partial_alloc(p, r->term_count * sizeof(struct ast_term *));
    partial_fail(p);
    if (!path || !terms || !support_has(p, path->terms, path->count)) return;
    memcpy(terms, r->terms, r->term_count * sizeof(struct ast_term *));
    terms[0] = path;
    save_call(p, r->reading.at, r->arity, terms, r->term_count, r->then);
}

static void keep_function(struct partial *p, struct ruling *r) {
    r->space = support_space(p, r->terms[0]->terms, r->terms[0]->count);
    struct ast_term *path = name_spaced(p, r->terms[0]->terms, r->terms[0]->count, r->space);
    if (!path) return;
    r->all = true, r->fallback = false, r->chains = false;
    r->enter = support_function_enter, r->finish = call_supported;
    if (support_has(p, path->terms, path->count))
        call_supported(p, r);
    else
        ruling_start(p, r);
}

static bool default_of_call_matters(const struct ruling *r) {
    const struct ast_rule *d = r->rules.fallback;
    if (!d) return false;
    return r->term_count != r->arity + 1 || d->head->value->kind != AST_BOOLEAN ||
           !value_is_false(d->head->value->scalar);
}

static void call_rules(struct partial *p, struct site at, const struct rule_node *n,
                       struct ast_term *const *terms, u32 count, struct goal *k) {
    struct ruling *r = ruling_make(p, n);
    if (!r) return;
    struct env *env = at.visit->env;
    r->terms = terms, r->term_count = count, r->arity = n->rules[0]->head->arg_count;
    r->reading.at = at, r->then = k, r->asked = p->now.query;
    r->chains = r->fallback = true;
    r->enter = function_enter, r->finish = function_done;
    if (r->rules.has_else && unknown_in_expr(p, site_expr(at), env)) {
        save_call(p, at, r->arity, terms, count, k);
        return;
    }
    if (count <= r->arity) {
        partial_fail(p);
        return;
    }
    if ((default_of_call_matters(r) || p->options->shallow ||
         disabled_ref(p, terms[0]->terms, terms[0]->count, false)) &&
        unknown_in_terms(p, terms, r->arity + 1, env)) {
        keep_function(p, r);
        return;
    }
    ruling_start(p, r);
}

/* ---- Any call ---- */

static const struct ast_term *replacement(struct partial *p, const struct ast_term *op) {
    for (const struct replaced *m = p->now.around.replaced; m; m = m->older) {
        if (terms_equal(m->name, op)) return m->by;
        if (m->name->kind == AST_VAR && op->kind == AST_REF && op->count == 1 &&
            terms_equal(m->name, op->terms[0]))
            return m->by;
        if (op->kind == AST_VAR && m->name->kind == AST_REF && m->name->count == 1 &&
            terms_equal(m->name->terms[0], op))
            return m->by;
    }
    return NULL;
}

void partial_call(struct partial *p, struct site at, struct ast_term *const *terms, u32 count,
                  struct goal *k) {
    const struct ast_term *op = terms[0], *by = replacement(p, op);
    const struct builtin *b = builtin_of(op);
    if (by && (by->kind == AST_REF || by->kind == AST_VAR) && call_arity(p, by) >= 0) {
        /* It sees none of the replacements. */
        struct ast_term **other = partial_alloc(p, count * sizeof(struct ast_term *));
        struct goal *back = goal_restore(p, k);
        if (!other || !back) return;
        memcpy(other, terms, count * sizeof(struct ast_term *));
        other[0] = by->kind == AST_VAR
                       ? term_ref(p, (struct ast_term *[]){(struct ast_term *)by}, 1)
                       : (struct ast_term *)by;
        p->now.around.replaced = NULL;
        if (other[0]) partial_call(p, at, other, count, back);
        return;
    }
    int arity = call_arity(p, op);
    if (by) { /* a value */
        value v;
        struct ast_term *t = bind_plug(p, (struct closed){by, at.visit->env});
        if (t && term_value(p, t, &v))
            have_result(p, at, (int)count == arity + 2 ? terms[count - 1] : NULL, v, k);
        else if (t && (int)count == arity + 2)
            partial_unify(p, at, (struct closed){terms[count - 1], at.visit->env},
                          (struct closed){t, at.visit->env}, k);
        else
            goal_next(p, k);
        return;
    }
    const struct rule_node *n = b ? NULL : node_of(p, op);
    if (n)
        call_rules(p, at, n, terms, count, k);
    else if (!b)
        partial_fail(p);
    else if (unknown_in_expr(p, site_expr(at), at.visit->env))
        save_call(p, at, b->arity, terms, count, k);
    else
        call_builtin(p, at, b, terms, count, k);
}

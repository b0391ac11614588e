/* SPDX-License-Identifier: Apache-2.0 */
/* unknown.c — what is not known, and what therefore cannot be worked out now.
 *
 * Unknown are refs given by the asker (input.x, and with it input and input.x.y) and variables that
 * got their value from something unknown. An expression must be saved if it has any of these, if a
 * rule it leads to has, or if it is nondeterministic or lies under a `with`: those keep their
 * meaning only where they are evaluated.
 *
 * Rules are looked at through the refs to them. What was found for a rule holds as long as nothing
 * is disabled that was not from the start; each look visits a rule once at most. */
#include "app/policy/partial/partial_impl.h"

void unknown_push(struct partial *p, struct closed what) {
    struct unknown *u = partial_alloc(p, sizeof *u);
    if (!u) return;
    *u = (struct unknown){what, p->now.unknowns};
    p->now.unknowns = u;
}

static bool one_starts(struct ast_term *const *a, u32 na, struct ast_term *const *b, u32 nb) {
    for (u32 i = 0; i < na && i < nb; i++)
        if (!terms_equal(a[i], b[i])) return false;
    return true; /* one is the other's beginning */
}

static bool unknown_path(const struct partial *p, struct ast_term *const *terms, u32 count) {
    for (const struct unknown *u = p->now.unknowns; u; u = u->older) {
        const struct ast_term *t = u->what.term;
        if (t->kind == AST_REF && one_starts(t->terms, t->count, terms, count)) return true;
    }
    return false;
}

static bool unknown_var(const struct partial *p, const struct ast_term *var,
                        const struct env *env) {
    if (var->kind != AST_VAR) return false;
    for (const struct unknown *u = p->now.unknowns; u; u = u->older)
        if (u->what.env == env && u->what.term->kind == AST_VAR &&
            str_eq(u->what.term->var, var->var))
            return true;
    return false;
}

bool unknown_has(struct partial *p, struct closed t) {
    if (t.term->kind == AST_VAR)
        return term_is_root(t.term)
                   ? unknown_path(p, (struct ast_term *[]){(struct ast_term *)t.term}, 1)
                   : unknown_var(p, t.term, t.env);
    if (t.term->kind != AST_REF) return false;
    return unknown_path(p, t.term->terms, t.term->count) || unknown_var(p, t.term->terms[0], t.env);
}

/* ---- Through bindings ---- */

struct deep {
    struct partial *p;
    struct env *env;
    bool found;
};

static bool deep_term(struct ast_walk *w, struct ast_term **t) {
    struct deep *d = w->arg;
    struct partial *p = d->p;
    if (d->found || partial_stopped(p)) return false;
    if ((*t)->kind != AST_VAR || term_is_root(*t)) return true;
    struct closed from = {*t, d->env}, to = bind_apply(p, from);
    if (to.term == from.term && to.env == from.env)
        d->found = unknown_var(p, to.term, to.env);
    else
        d->found = unknown_has_deep(p, to);
    return true;
}

bool unknown_has_deep(struct partial *p, struct closed t) {
    struct deep d = {p, t.env, false};
    struct ast_walk w = {.term = deep_term, .arg = &d};
    struct ast_term *term = (struct ast_term *)t.term;
    if (++p->depth > PARTIAL_DEPTH_MAX)
        machine_stop(&p->evaluation, RC_LIMIT, "terms are nested too deeply");
    else
        ast_walk_term(&w, &term);
    p->depth--;
    return d.found;
}

/* ---- What may not be replaced ---- */

void disabled_push(struct partial *p, const struct ast_term *ref, u32 len, bool internal) {
    struct disabled *d = partial_alloc(p, sizeof *d);
    if (!d) return;
    *d = (struct disabled){ref, len, internal, p->now.around.disabled};
    p->now.around.disabled = d;
}

bool disabled_ref(struct partial *p, struct ast_term *const *terms, u32 len, bool skip_internal) {
    for (const struct disabled *d = p->now.around.disabled; d; d = d->older)
        if (!(d->internal && skip_internal) && one_starts(d->ref->terms, d->len, terms, len))
            return true;
    return false;
}

bool is_tested(struct partial *p, const struct ast_term *var) {
    for (const struct unknown *u = p->now.tested; u; u = u->older)
        if (var->kind == AST_VAR && str_eq(u->what.term->var, var->var)) return true;
    return false;
}

/* ---- Does it have to be saved? ---- */

struct search {
    struct partial *p;
    struct env *env;
    bool in_rule; /* variables are another body's */
    bool lasting; /* what is found of rules holds for the whole evaluation */
    bool found;
    u32 met; /* rules in the queue */
};

/* Rules are looked at one after another, in the order they were met. */
static void rules_meet(struct search *l, const struct rule_node *n) {
    struct partial *p = l->p;
    for (u32 i = 0; i < n->rule_count && !l->found; i++)
        for (const struct ast_rule *r = n->rules[i]; r && !l->found; r = r->otherwise) {
            u32 number = residual_rule_number(r);
            if (number >= p->rule_count || p->rule_seen[number] == p->seen_stamp) continue;
            p->rule_seen[number] = p->seen_stamp;
            if (l->lasting && p->rule_unknown[number])
                l->found = p->rule_unknown[number] == 2;
            else
                p->rule_queue[l->met++] = r;
        }
}

static void look_beneath(struct search *l, const struct rule_node *n, u32 depth) {
    rules_meet(l, n);
    if (depth > POLICY_PATH_DEPTH_MAX) return;
    for (u32 i = 0; i < n->child_count && !l->found; i++)
        if (!n->children[i]->hide) look_beneath(l, n->children[i], depth + 1);
}

/* The rules a ref may lead to: a key that is not constant may be any. */
static void look_along(struct search *l, const struct rule_node *n, struct ast_term *const *terms,
                       u32 count, u32 at) {
    if (at > POLICY_PATH_DEPTH_MAX) return;
    if (at >= count) {
        look_beneath(l, n, at);
        return;
    }
    value key;
    if (term_value(l->p, terms[at], &key)) {
        const struct rule_node *child = rule_node_find(n, key);
        if (!child) return;
        rules_meet(l, child);
        look_along(l, child, terms, count, at + 1);
        return;
    }
    for (u32 i = 0; i < n->child_count && !l->found; i++)
        if (!n->children[i]->hide) {
            rules_meet(l, n->children[i]);
            look_along(l, n->children[i], terms, count, at + 1);
        }
}

/* May the ref lead to something unknown? A key that is not known yet may be any. */
static bool leads_to_unknown(struct search *l, struct ast_term *const *terms, u32 count) {
    for (const struct unknown *u = l->p->now.unknowns; u; u = u->older) {
        const struct ast_term *t = u->what.term;
        bool may = t->kind == AST_REF;
        for (u32 i = 0; may && i < t->count && i < count; i++) {
            const struct ast_term *key = terms[i];
            if (i && !l->in_rule && key->kind == AST_VAR)
                key = bind_apply(l->p, (struct closed){key, l->env}).term;
            may = (i && !ast_term_is_constant(key)) || terms_equal(t->terms[i], key);
        }
        if (may) return true;
    }
    return false;
}

static void look_at_ref(struct search *l, struct ast_term *const *terms, u32 count) {
    struct partial *p = l->p;
    u32 constant = 1;
    while (constant < count && ast_term_is_constant(terms[constant])) constant++;
    if (leads_to_unknown(l, terms, count) || disabled_ref(p, terms, constant, true) ||
        (!l->in_rule && unknown_var(p, terms[0], l->env))) {
        l->found = true;
        return;
    }
    if (terms[0]->kind == AST_VAR && str_eq(terms[0]->var, S("data")) && p->program->root)
        look_along(l, p->program->root, terms, count, 1);
}

static bool look_term(struct ast_walk *w, struct ast_term **term) {
    struct search *l = w->arg;
    const struct ast_term *t = *term;
    if (l->found || partial_stopped(l->p)) return false;
    if (t->kind == AST_REF) {
        look_at_ref(l, t->terms, t->count);
        for (u32 i = term_is_root(t->terms[0]); i < t->count && !l->found; i++)
            ast_walk_term(w, &t->terms[i]);
        return false;
    }
    if (t->kind == AST_VAR && term_is_root(t))
        look_at_ref(l, term, 1);
    else if (t->kind == AST_VAR && !l->in_rule)
        l->found = unknown_has_deep(l->p, (struct closed){t, l->env});
    return !l->found;
}

static bool is_nondeterministic(const struct ast_term *op) {
    char name[128];
    size_t n = 0;
    for (u32 i = 0; op->kind == AST_REF && i < op->count; i++) {
        const struct ast_term *t = op->terms[i];
        str part = t->kind == AST_VAR      ? t->var
                   : t->kind == AST_STRING ? value_str(t->scalar)
                                           : S("");
        if (n + part.len + 2 > sizeof name) return false;
        if (i) name[n++] = '.';
        memcpy(name + n, part.ptr, part.len);
        n += part.len;
    }
    const struct builtin *b = builtin_find((str){name, n});
    return b && (b->flags & BUILTIN_NONDETERMINISTIC);
}

static bool look_expr(struct ast_walk *w, struct ast_expr *e) {
    struct search *l = w->arg;
    (void)evaluation_tick(&l->p->evaluation, 1);
    if (l->found || partial_stopped(l->p)) return false;
    if (e->with_count) l->found = true;
    if (e->kind == AST_EXPR_CALL && !l->p->options->nondeterministic &&
        is_nondeterministic(e->terms[0]))
        l->found = true;
    return !l->found;
}

static struct ast_walk look_walk(struct search *l) {
    return (struct ast_walk){.term = look_term, .expr = look_expr, .arg = l};
}

static void look_at_rule(struct search *l, const struct ast_rule *r) {
    struct ast_walk w = look_walk(l);
    const struct ast_head *h = r->head;
    ast_walk_body(&w, r->body);
    for (u32 i = 0; i < h->arg_count && !l->found; i++) ast_walk_term(&w, &h->args[i]);
    struct ast_term *key = h->key, *result = h->value;
    if (key && !l->found) ast_walk_term(&w, &key);
    if (result && !l->found) ast_walk_term(&w, &result);
    if (l->found && l->lasting) l->p->rule_unknown[residual_rule_number(r)] = 2;
}

static void look_begin(struct search *l) {
    l->lasting = l->p->now.around.disabled == l->p->disabled_from_start;
    l->p->seen_stamp++;
}

static bool look_end(struct search *l) {
    struct partial *p = l->p;
    l->in_rule = true;
    for (u32 i = 0; i < l->met && !l->found && !partial_stopped(p); i++)
        look_at_rule(l, p->rule_queue[i]);
    /* None of them has anything, nor any rule they lead to. */
    for (u32 i = 0; i < l->met && l->lasting && !l->found; i++)
        p->rule_unknown[residual_rule_number(p->rule_queue[i])] = 1;
    return l->found;
}

bool unknown_in_terms(struct partial *p, struct ast_term *const *terms, u32 count,
                      struct env *env) {
    struct search l = {.p = p, .env = env};
    struct ast_walk w = look_walk(&l);
    look_begin(&l);
    for (u32 i = 0; i < count && !l.found; i++) {
        struct ast_term *t = terms[i];
        ast_walk_term(&w, &t);
    }
    return look_end(&l);
}

bool unknown_in_term(struct partial *p, const struct ast_term *t, struct env *env) {
    return unknown_in_terms(p, (struct ast_term *[]){(struct ast_term *)t}, 1, env);
}

bool unknown_in_ref(struct partial *p, const struct ast_term *ref, u32 len, struct env *env) {
    struct ast_term part = *ref;
    part.count = len;
    return unknown_in_term(p, &part, env);
}

bool unknown_in_expr(struct partial *p, const struct ast_expr *e, struct env *env) {
    struct search l = {.p = p, .env = env};
    struct ast_walk w = look_walk(&l);
    look_begin(&l);
    ast_walk_expr(&w, (struct ast_expr *)e);
    return look_end(&l);
}

bool unknown_in_body(struct partial *p, const struct ast_body *b, struct env *env) {
    struct search l = {.p = p, .env = env};
    struct ast_walk w = look_walk(&l);
    look_begin(&l);
    ast_walk_body(&w, (struct ast_body *)b);
    return look_end(&l);
}

/* ---- Variables that become unknown ---- */

struct spread {
    struct partial *p;
    struct env *env;
};

static bool spread_term(struct ast_walk *w, struct ast_term **t) {
    struct spread *s = w->arg;
    if ((*t)->kind >= AST_ARRAY_COMPREHENSION && (*t)->kind <= AST_SET_COMPREHENSION) return false;
    if ((*t)->kind == AST_REF) { /* without its head */
        for (u32 i = 1; i < (*t)->count; i++) ast_walk_term(w, &(*t)->terms[i]);
        return false;
    }
    if ((*t)->kind == AST_VAR && !term_is_root(*t))
        unknown_vars_of(s->p, bind_apply(s->p, (struct closed){*t, s->env}));
    return true;
}

void unknown_vars_of(struct partial *p, struct closed t) {
    if (t.term->kind == AST_VAR) {
        if (!term_is_root(t.term)) unknown_push(p, t);
        return;
    }
    if (++p->depth > PARTIAL_DEPTH_MAX) {
        machine_stop(&p->evaluation, RC_LIMIT, "terms are nested too deeply");
    } else {
        struct spread s = {p, t.env};
        struct ast_walk w = {.term = spread_term, .arg = &s};
        struct ast_term *term = (struct ast_term *)t.term;
        ast_walk_term(&w, &term);
    }
    p->depth--;
}

void unknown_names(struct partial *p, struct residual_names *to) {
    for (const struct unknown *u = p->now.unknowns; u; u = u->older) {
        if (u->what.term->kind != AST_VAR) continue;
        struct ast_term *t = bind_plug_named(p, u->what);
        if (t && t->kind == AST_VAR) names_add(to, t->var);
    }
}

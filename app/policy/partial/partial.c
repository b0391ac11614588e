/* SPDX-License-Identifier: Apache-2.0 */
/* partial.c — partial evaluation from its outside: the query is parsed and compiled, walked, and
 * what is left is put in order. */
#include <stdlib.h>
#include "app/policy/partial/partial_impl.h"

/* ---- Making ready ---- */

/* In a query that is evaluated in part `==` is unification, as it is in rules. */
static bool equal_to_eq(struct ast_walk *w, struct ast_expr *e) {
    struct heap *h = w->arg;
    if (!expr_is_call(e, "equal") || e->count != 3) return true;
    struct ast_expr *eq = ast_expr_call(h, &e->at, S("eq"), e->terms + 1, 2);
    if (eq) e->terms = eq->terms;
    return true;
}

static rc_t compile_the_query(struct heap *h, const struct compiled *program, str text,
                              const struct partial_options *o, struct ast_body **out,
                              struct policy_errors *errors) {
    struct compiled_query compiled = {0};
    rc_t rc = parse_body(h, text, &o->parse, out, errors);
    if (rc) return rc;
    struct ast_walk w = {.expr = equal_to_eq, .arg = h};
    ast_walk_body(&w, *out);
    rc =
        compile_query(h, program, *out, o->package, o->imports, o->import_count, &compiled, errors);
    *out = compiled.body;
    return rc ? rc : policy_check_calls(compiled.body, o->refused, errors);
}

static struct ast_term *root_ref(struct partial *p, str name) {
    struct ast_term *var = ast_var(p->heap, NULL, name);
    return var ? term_ref(p, &var, 1) : NULL;
}

/* "input.x", "data.pets", or a variable */
static const struct ast_term *named_term(struct partial *p, str text,
                                         struct policy_errors *errors) {
    struct ast_term *t = NULL;
    if (parse_term(p->heap, text, &p->options->parse, &t, errors)) return NULL;
    if (t->kind == AST_VAR && term_is_root(t))
        return str_eq(t->var, S("input")) ? p->input_ref : p->data_ref;
    if (t->kind == AST_VAR || (t->kind == AST_REF && term_is_root(t->terms[0]))) return t;
    policy_error_add(errors, POLICY_PARSE_ERROR, NULL, "expected ref but got %.*s", STR(text));
    return NULL;
}

static rc_t read_unknowns(struct partial *p, struct policy_errors *errors) {
    const struct partial_options *o = p->options;
    if (!o->unknowns) {
        unknown_push(p, (struct closed){p->input_ref, p->root});
        names_add(&p->live, S("input"));
    }
    for (u32 i = 0; i < o->unknown_count; i++) {
        const struct ast_term *t = named_term(p, o->unknowns[i], errors);
        if (!t) return RC_INVALID;
        unknown_push(p, (struct closed){t, p->root});
        names_add(&p->live, t->kind == AST_VAR ? t->var : t->terms[0]->var);
    }
    for (u32 i = 0; i < o->disabled_count; i++) {
        const struct ast_term *t = named_term(p, o->disabled[i], errors);
        if (!t) return RC_INVALID;
        if (t->kind == AST_REF) disabled_push(p, t, t->count, false);
    }
    p->disabled_from_start = p->now.around.disabled;
    return RC_OK;
}

static bool live_var(struct ast_walk *w, struct ast_term **t) {
    struct partial *p = w->arg;
    if ((*t)->kind == AST_VAR && !str_starts((*t)->var, S("__local")))
        names_add(&p->live, (*t)->var);
    return true;
}

static rc_t partial_open(struct partial *p, struct heap *h, const struct compiled *program,
                         const struct policy_ask *ask, const struct partial_options *o) {
    p->heap = h, p->program = program, p->ask = ask, p->options = o;
    heap_open(&p->evaluation.heap,
              ask->limits.bytes_max ? ask->limits.bytes_max : POLICY_EVALUATION_BYTES_MAX);
    p->evaluation.ask = ask;
    p->evaluation.steps_max = ask->limits.steps_max ? ask->limits.steps_max : POLICY_STEPS_MAX;
    p->evaluation.budget = POLICY_STEPS_SLICE;
    p->name_space = o->name_space.len ? o->name_space : S("partial");
    p->root = env_make(p);
    p->input_ref = root_ref(p, S("input")), p->data_ref = root_ref(p, S("data"));
    p->yes = term_of(p, value_boolean(true));
    p->now.around.input = ask->input;
    p->now.around.data = UNDEFINED;
    p->now.around.known = partial_alloc(p, sizeof *p->now.around.known);
    names_open(&p->live, h);
    rc_t rc = residual_open(h, program, &p->residual);
    if (rc) return rc;
    p->rule_count = residual_rule_count(p->residual);
    p->rule_unknown = partial_alloc(p, p->rule_count + 1);
    p->rule_seen = partial_alloc(p, (p->rule_count + 1) * sizeof *p->rule_seen);
    p->rule_queue = partial_alloc(p, (p->rule_count + 1) * sizeof *p->rule_queue);
    return h->exhausted ? RC_NO_MEMORY : RC_OK;
}

/* ---- An answer ---- */

static int binding_order(const struct ast_expr *a, const struct ast_expr *b) {
    int d = ast_term_compare(a->terms[1], b->terms[1]);
    return d ? d : ast_term_compare(a->terms[2], b->terms[2]);
}

/* What the query's variables are bound to, so that who evaluates the rest has their values. */
static u32 put_bindings(struct partial *p, struct ast_expr **exprs) {
    u32 count = 0;
    for (const struct binding *b = p->root->first; b; b = b->next) {
        struct ast_term *var = ast_var(p->heap, NULL, b->name);
        struct ast_term *to =
            var ? term_plain(p, bind_plug_named(p, (struct closed){var, p->root})) : NULL;
        struct ast_expr *e = expr_eq(p, var, to);
        if (!e) return count;
        u32 at = count++;
        for (; at > 0 && binding_order(e, exprs[at - 1]) < 0; at--) exprs[at] = exprs[at - 1];
        exprs[at] = e;
    }
    return count;
}

static void query_go(struct partial *p, struct goal *g) {
    (void)g;
    struct partial_answer *out = p->out;
    u32 saved = 0, bound = 0;
    for (const struct saved *s = p->now.query; s; s = s->older) saved++;
    for (const struct binding *b = p->root->first; b; b = b->next) bound++;
    struct ast_expr **exprs = partial_alloc(p, (saved + bound + 1) * sizeof(struct ast_expr *));
    struct ast_body *b = saved ? save_query(p) : NULL;
    if (!exprs || partial_stopped(p)) return;
    if (b) memcpy(exprs, b->exprs, saved * sizeof(struct ast_expr *));
    b = save_settled(p, expr_body(p, exprs, saved + put_bindings(p, exprs + saved)));
    if (b && !p->options->shallow) b = copy_propagate(p, b, &p->live, NULL, false);
    if (!b) return;
    if (out->query_count == p->query_room) {
        u32 room = p->query_room ? p->query_room * 2 : 16;
        struct ast_body **list = partial_alloc(p, room * sizeof(struct ast_body *));
        if (!list) return;
        if (p->query_room) memcpy(list, out->queries, p->query_room * sizeof(struct ast_body *));
        out->queries = list, p->query_room = room;
    }
    if (out->query_count >= PARTIAL_QUERIES_MAX)
        machine_stop(&p->evaluation, RC_LIMIT, "too many queries are left");
    else
        out->queries[out->query_count++] = b;
}

static void sort_support(struct partial *p) {
    struct partial_answer *out = p->out;
    out->support = partial_alloc(p, MAX(out->support_count, 1u) * sizeof(struct ast_module *));
    for (u32 i = 0; out->support && i < out->support_count; i++) {
        struct ast_module *m = p->support[i].module;
        u32 at = i;
        for (; at > 0 && ast_term_compare(m->package, out->support[at - 1]->package) < 0; at--)
            out->support[at] = out->support[at - 1];
        out->support[at] = m;
    }
}

static rc_t told(struct partial *p, rc_t rc, const struct policy_error *error,
                 struct policy_errors *errors) {
    if (!rc) rc = p->evaluation.rc;
    if (!rc && p->heap->exhausted) rc = RC_LIMIT;
    if (p->evaluation.rc)
        policy_error_add(errors, error->code, &error->at, "%.*s", STR(error->message));
    else if (rc == RC_NO_MEMORY || rc == RC_LIMIT)
        policy_error_add(errors, EVAL_CANCEL_ERROR, NULL,
                         "the memory allowed for a query is used up");
    return rc == RC_NO_MEMORY ? RC_LIMIT : rc;
}

rc_t partial_evaluate(struct heap *h, const struct policy_program *program, str query,
                      const struct policy_ask *ask, const struct partial_options *o,
                      struct partial_answer *out, struct policy_errors *errors) {
    *out = (struct partial_answer){0};
    struct partial *p = calloc(1, sizeof *p);
    if (!p) return RC_NO_MEMORY;
    struct policy_error error = {0};
    struct ast_body *body;
    const struct compiled *compiled = policy_compiled(program);
    p->evaluation.error = &error;
    p->out = out;
    rc_t rc = compile_the_query(h, compiled, query, o, &body, errors);
    if (!rc) rc = partial_open(p, h, compiled, ask, o);
    if (!rc) rc = read_unknowns(p, errors);
    if (!rc) {
        struct ast_walk w = {.term = live_var, .arg = p};
        ast_walk_body(&w, body);
        struct visit *f = visit_make(p, body, p->root);
        struct goal *g = goal_make(p, query_go, (struct site){f, 0}, NULL);
        if (f && g) p->now.goals = goal_body(p, f, g);
        partial_solve(p);
        sort_support(p);
        out->steps = p->evaluation.steps + (u64)(POLICY_STEPS_SLICE - p->evaluation.budget);
    }
    rc = told(p, rc, &error, errors);
    if (p->residual) residual_close(p->residual);
    evaluation_cached_close(&p->evaluation);
    heap_close(&p->evaluation.heap);
    free(p);
    return rc;
}

/* ---- As JSON ---- */

value partial_json(struct heap *h, const struct partial_answer *a) {
    struct value_builder queries, support, all;
    value_builder_open(&queries, h, VALUE_ARRAY);
    for (u32 i = 0; i < a->query_count; i++)
        value_builder_add(&queries, ast_body_json(h, a->queries[i], false));
    value_builder_open(&support, h, VALUE_ARRAY);
    for (u32 i = 0; i < a->support_count; i++)
        value_builder_add(&support, ast_module_json(h, a->support[i], false));
    value_builder_open(&all, h, VALUE_OBJECT);
    if (a->query_count)
        value_builder_replace(&all, value_string(h, S("queries")), value_builder_close(&queries));
    if (a->support_count)
        value_builder_replace(&all, value_string(h, S("support")), value_builder_close(&support));
    return value_builder_close(&all);
}

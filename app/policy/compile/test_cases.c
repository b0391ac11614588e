/* SPDX-License-Identifier: Apache-2.0 */
/* test_cases.c — what the reference's test runner changes about tests before they run.
 *
 *   test_x if { ... }         two of one name are two tests: the second is test_x#01
 *   test_x if { ... }
 *
 *   test_sum[tc.note] if {    a case is told before anything about it can fail, by a call of
 *     some tc in [...]        internal.test_case that stands as early in the body as the names of
 *     sum(tc.a) == tc.b       the case are known; what the compiler made to bind them moves up
 *   }                         with it */
#include "app/policy/compile/compile_impl.h"

enum { NAME_BYTES_MAX = 4096, SEEN_TESTS_MAX = 65536 };

static str term_name(const struct ast_term *t) {
    if (t->kind == AST_VAR) return t->var;
    return t->kind == AST_STRING ? value_str(t->scalar) : S("");
}

/* How many terms of the head's ref name the test; 0: the rule is none. */
u32 test_name_len(const struct ast_term *ref) {
    for (u32 i = 0; i < ref->count; i++) {
        bool ground = i == 0 || ref->terms[i]->kind != AST_VAR;
        str name = ground ? term_name(ref->terms[i]) : S("");
        if (!ground) return 0;
        if (str_starts(name, S("test_")) || str_starts(name, S("todo_test_"))) return i + 1;
    }
    return 0;
}

static value full_name(struct compiler *c, const struct ast_module *m, const struct ast_term *ref,
                       u32 len) {
    struct ast_term own = *ref;
    struct buf b;
    own.count = len;
    buf_open(&b, NAME_BYTES_MAX);
    ast_term_write(&b, m->package);
    (void)buf_add(&b, S(" "));
    ast_term_write(&b, &own);
    value name = value_string(&c->scratch, buf_str(&b));
    buf_close(&b);
    return name;
}

static void rename_test(struct compiler *c, struct ast_rule *r, u32 len, s64 number) {
    struct ast_term *last = r->head->ref->terms[len - 1];
    struct buf b;
    buf_open(&b, NAME_BYTES_MAX);
    (void)buf_printf(&b, "%.*s#%02lld", STR(term_name(last)), (long long)number);
    str name = compile_text(c, &b);
    buf_close(&b);
    struct ast_term *made = last->kind == AST_VAR
                                ? ast_var(c->heap, &last->at, name)
                                : ast_scalar(c->heap, &last->at, value_string(c->heap, name));
    if (!made) return;
    r->head->ref->terms[len - 1] = made;
    if (len == 1) r->head->name = name;
}

void name_tests(struct compiler *c) {
    struct value_builder seen;
    u32 count = 0;
    if (!c->options->test_cases) return;
    value_builder_open(&seen, &c->scratch, VALUE_OBJECT);
    EACH_MODULE(c, m)
    for (u32 i = 0; i < m->rule_count && count < SEEN_TESTS_MAX; i++) {
        u32 len = test_name_len(m->rules[i]->head->ref);
        if (!len || str_starts(term_name(m->rules[i]->head->ref->terms[len - 1]), S("todo_")))
            continue;
        value name = full_name(c, m, m->rules[i]->head->ref, len);
        value before = value_builder_find(&seen, name);
        bool partial = m->rules[i]->head->ref->count > len;
        if (value_defined(before) && !partial) rename_test(c, m->rules[i], len, before.integer);
        value_builder_replace(&seen, name,
                              value_integer(value_defined(before) ? before.integer + 1 : 1));
        count++;
    }
}

/* ---- Cases ---- */

struct search { struct walk walk; str name; bool found; };

static bool search_term(struct walk *w, struct ast_term *t) {
    struct search *s = (struct search *)w;
    if (t->kind == AST_VAR && str_eq(t->var, s->name)) s->found = true;
    return false;
}

static bool expr_has(struct compiler *c, struct ast_expr *e, str name) {
    struct search s = {.walk = {.c = c, .term = search_term}, .name = name};
    walk_expr(&s.walk, e);
    return s.found;
}

/* The first expression that has the variable; the body's count: none has. */
static u32 first_with(struct compiler *c, const struct ast_body *b, str name, u32 below) {
    for (u32 i = 0; i < below; i++)
        if (expr_has(c, b->exprs[i], name)) return i;
    return b->count;
}

static void move_expr(struct ast_body *b, u32 from, u32 to) {
    struct ast_expr *e = b->exprs[from];
    memmove(b->exprs + to + 1, b->exprs + to, (from - to) * sizeof *b->exprs);
    b->exprs[to] = e;
}

struct vars {
    struct walk walk;
    struct compiler *c;
    const struct ast_body *body;
    u32 below, highest;
};

static bool seen_where(struct walk *w, struct ast_term *t) {
    struct vars *v = (struct vars *)w;
    if (t->kind != AST_VAR || !is_generated(t->var)) return false;
    u32 first = first_with(v->c, v->body, t->var, v->below);
    if (first < v->body->count && first + 1 > v->highest) v->highest = first + 1;
    return false;
}

/* What the compiler made to bind a term of the head goes up behind what it is made of. */
static void lift_binding(struct compiler *c, struct ast_body *b, const struct ast_term *term) {
    if (term->kind != AST_VAR) return;
    for (u32 i = b->count; i-- > 0;) {
        struct ast_expr *e = b->exprs[i];
        if (!e->generated || !is_equality(e) || ast_term_compare(operands(e)[0], term)) continue;
        struct vars v = {.walk = {.c = c, .term = seen_where}, .c = c, .body = b, .below = i};
        walk_term(&v.walk, operands(e)[1]);
        if (v.highest < i) move_expr(b, i, v.highest);
        return;
    }
}

void tell_test_cases(struct compiler *c, struct ast_rule *r) {
    const struct ast_term *ref = r->head->ref;
    u32 len = c->options->test_cases ? test_name_len(ref) : 0, below = 0;
    if (!len || ref->count <= len || !str_starts(term_name(ref->terms[len - 1]), S("test_")))
        return;
    for (u32 i = len; i < ref->count; i++) lift_binding(c, r->body, ref->terms[i]);
    for (u32 i = len; i < ref->count; i++) {
        if (ref->terms[i]->kind != AST_VAR) continue;
        u32 first = first_with(c, r->body, ref->terms[i]->var, r->body->count);
        if (first < r->body->count && first + 1 > below) below = first + 1;
    }
    struct ast_term *names =
        ast_list(c->heap, &r->at, AST_ARRAY, ref->terms + len, ref->count - len);
    struct ast_expr *call =
        names ? ast_expr_call(c->heap, &r->at, S("internal.test_case"), &names, 1) : NULL;
    struct exprs all = {0};
    if (!call) return;
    for (u32 i = 0; i < r->body->count; i++) {
        if (i == below) exprs_add(c, &all, call);
        exprs_add(c, &all, r->body->exprs[i]);
    }
    if (below >= r->body->count) exprs_add(c, &all, call);
    if (!compile_stopped(c)) body_set(c, r->body, &all);
}

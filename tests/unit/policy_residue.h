/* SPDX-License-Identifier: Apache-2.0 */
/* policy_residue.h — policies nobody wrote, evaluated in part: a part of the input or the data is
 * taken away, what is left of the question is evaluated once it is back, and must say what asking
 * at once says. */
#pragma once
#include "app/policy/partial/partial.h"
#include "tests/unit/policy_program.h"

enum { RESIDUE_BYTES = 1 << 20 };

struct residue {
    struct heap heap;
    struct policy_errors errors;
    struct grower grower;
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct policy_ask ask; /* all is known */
    struct partial_answer left;
    value known_input;
    str unknown;
    bool shallow, plain, settled;
    bool
        refused; /* what is left: by the checker of types, who knows more then, or it is an error */
};

static bool errors_of_types(const struct policy_errors *e) { /* they come after all others */
    return e->count &&
           (e->items[0].code == POLICY_TYPE_ERROR || e->items[0].code == EVAL_INTERNAL_ERROR);
}

/* The answers to a query as a set of what its variable x holds. UNDEFINED: an error or a limit. */
static value residue_ask(struct residue *t, struct policy_program *p, str query) {
    struct policy_query *q;
    struct policy_answer a;
    struct policy_error error = {0};
    struct value_builder all;
    t->errors.count = 0;
    if (policy_prepare(p, query, &q, &t->errors)) {
        t->refused |= errors_of_types(&t->errors);
        return UNDEFINED;
    }
    rc_t rc = policy_ask(t->evaluator, q, &t->ask, &a, &error);
    value_builder_open(&all, &t->heap, VALUE_SET);
    for (u32 i = 0; !rc && i < a.count; i++) {
        value x = value_get_str(a.results[i].bindings, S("x"));
        value_builder_add(&all, value_copy(&t->heap, value_defined(x) ? x : value_null()));
    }
    policy_query_drop(q);
    t->refused |= rc != RC_OK;
    return rc ? UNDEFINED : value_builder_close(&all);
}

/* `_` stands for each wildcard alike in print: names of their own let the text be read again. */
static bool name_wildcard(struct ast_walk *w, struct ast_term **t) {
    struct heap *h = w->arg;
    if ((*t)->kind != AST_VAR || !str_starts((*t)->var, S("$"))) return true;
    struct buf b;
    buf_open(&b, 256);
    (void)(buf_printf(&b, "wild%.*s", STR(str_skip((*t)->var, 1))) == RC_OK);
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    *t = ast_var(h, NULL, v.kind == VALUE_STRING ? value_str(v) : S("x"));
    return true;
}

static bool settles(const struct ast_expr *e) { /* k = 1 */
    if (e->kind != AST_EXPR_CALL || e->count != 3 || e->negated || e->with_count) return false;
    const struct ast_term *op = e->terms[0];
    if (op->kind != AST_REF || op->count != 1 || !str_eq(op->terms[0]->var, S("eq"))) return false;
    return ast_term_is_constant(e->terms[1]) || ast_term_is_constant(e->terms[2]);
}

/* What is bound to a constant comes before what asks for it. */
static bool settle_body(struct ast_walk *w, struct ast_body *b) {
    (void)w;
    for (u32 i = 1, settled = 0; i <= b->count; i++) {
        struct ast_expr *e = b->exprs[i - 1];
        if (!settles(e)) continue;
        for (u32 k = i - 1; k > settled; k--) b->exprs[k] = b->exprs[k - 1];
        b->exprs[settled++] = e;
    }
    return true;
}

static struct ast_walk residue_walk(struct residue *t) {
    return (struct ast_walk){
        .term = name_wildcard, .body = t->settled ? settle_body : NULL, .arg = &t->heap};
}

static str residue_body(struct residue *t, const struct ast_body *b) {
    struct buf text;
    struct ast_walk w = residue_walk(t);
    if (!b->count) return S("x = null");
    struct ast_body *copy = ast_body_copy(&t->heap, b);
    ast_walk_body(&w, copy);
    buf_open(&text, RESIDUE_BYTES);
    ast_body_write(&text, copy);
    value v = value_string(&t->heap, buf_str(&text));
    buf_close(&text);
    return v.kind == VALUE_STRING ? value_str(v) : S("false");
}

static value residue_module(struct residue *t, struct ast_module *m) {
    struct buf text;
    struct ast_walk w = residue_walk(t);
    buf_open(&text, RESIDUE_BYTES);
    for (u32 i = 0; i < m->rule_count; i++) {
        m->rules[i] = ast_rule_copy(&t->heap, m->rules[i]);
        ast_walk_rule(&w, m->rules[i]);
    }
    ast_module_write(&text, m);
    value v = value_string(&t->heap, buf_str(&text));
    buf_close(&text);
    return v;
}

static bool residue_open(struct residue *t, u32 (*choose)(void *arg, u32 n), void *arg) {
    static const char *const unknowns[] = {"input",  "input.a",  "input.xs", "input.o",
                                           "data.d", "data.d.o", "data.c"};
    *t = (struct residue){.grower = {.pick = choose, .arg = arg}};
    struct grower *g = &t->grower;
    heap_open(&t->heap, 256 << 20), buf_open(&g->text, 1 << 18);
    policy_errors_open(&t->errors, &t->heap, 10);
    t->unknown = str_from_c(unknowns[pick(g, ARRAY_LEN(unknowns))]);
    t->shallow = !pick(g, 4);
    grow_module(g);
    struct policy_source source = {S("t.rego"), buf_str(&g->text)};
    struct policy_load_options o = {0};
    t->ask = (struct policy_ask){.data_version = 1, .limits.steps_max = 1000000};
    if (g->text.failed || policy_load(&source, 1, &o, &t->program, &t->errors)) return false;
    CHECK(policy_evaluator_open(&t->evaluator, 64 << 20) == RC_OK);
    str input =
        S("{\"a\": 1, \"b\": \"k\", \"xs\": [1, 2, [3, 1], \"a\"], \"o\": {\"k\": 2, \"l\": 1}}");
    str data = S("{\"c\": [0, 3, \"a\", \"k\", true, false, null, [1, 2], {\"k\": 1}], "
                 "\"d\": {\"xs\": [{\"k\": 1}, 2], \"o\": {\"k\": 3}}}");
    CHECK(json_text_read(&t->heap, NULL, input, &t->ask.input, NULL) == RC_OK);
    CHECK(json_text_read(&t->heap, NULL, data, &t->ask.data, NULL) == RC_OK);
    return true;
}

static void residue_close(struct residue *t) {
    policy_evaluator_close(t->evaluator);
    policy_drop(t->program);
    buf_close(&t->grower.text);
    heap_close(&t->heap);
}

/* Without the member a path of input or data names. */
static value residue_without(struct heap *h, value v, str path) {
    struct value_builder b;
    str first = str_take(path, str_find_byte(path, '.'));
    str rest = first.len < path.len ? str_skip(path, first.len + 1) : S("");
    value_builder_open(&b, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(v); i++) {
        value key = value_key_at(v, i), member = value_value_at(v, i);
        bool named = str_eq(value_str(key), first);
        if (named && !rest.len) continue;
        value_builder_replace(&b, key, named ? residue_without(h, member, rest) : member);
    }
    return value_builder_close(&b);
}

static bool residue_evaluate(struct residue *t, str query) {
    struct policy_ask ask = t->ask;
    str path = str_skip(t->unknown, str_starts(t->unknown, S("input.")) ? 6 : 5);
    if (str_eq(t->unknown, S("input")))
        ask.input = UNDEFINED;
    else if (str_starts(t->unknown, S("input")))
        ask.input = residue_without(&t->heap, ask.input, path);
    else
        ask.data = residue_without(&t->heap, ask.data, path);
    struct partial_options o = {
        .unknowns = &t->unknown, .unknown_count = 1, .shallow = t->shallow, .plain = t->plain};
    t->errors.count = 0;
    return partial_evaluate(&t->heap, t->program, query, &ask, &o, &t->left, &t->errors) == RC_OK;
}

/* The program with the rules of support. NULL: they do not load, which is told. */
static struct policy_program *residue_load(struct residue *t, struct buf *why) {
    struct policy_source sources[256] = {{S("t.rego"), buf_str(&t->grower.text)}};
    char names[256][24];
    u32 count = 1;
    t->refused = t->left.support_count >= ARRAY_LEN(sources);
    for (u32 i = 0; i < t->left.support_count && !t->refused; i++) {
        value text = residue_module(t, t->left.support[i]);
        if (text.kind != VALUE_STRING) return NULL;
        snprintf(names[count], sizeof names[count], "s%u.rego", i);
        sources[count] = (struct policy_source){str_from_c(names[count]), value_str(text)};
        count++;
    }
    struct policy_program *p = NULL;
    struct policy_load_options o = {0};
    t->errors.count = 0;
    if (t->refused) return NULL;
    if (policy_load(sources, count, &o, &p, &t->errors) == RC_OK) return p;
    t->refused = errors_of_types(&t->errors);
    if (t->refused) return NULL;
    for (u32 i = 1; i < count; i++)
        (void)(buf_printf(why, "%.*s\n", STR(sources[i].text)) == RC_OK);
    policy_errors_write(why, &t->errors);
    return NULL;
}

static int residue_try(struct residue *t, str query, struct buf *why) {
    value want = residue_ask(t, t->program, query);
    t->refused = false;
    if (!value_defined(want) || !residue_evaluate(t, query)) return PROGRAM_UNKNOWN;
    struct policy_program *p = t->left.support_count ? residue_load(t, why) : t->program;
    if (!p && t->refused) return PROGRAM_UNKNOWN;
    bool same = p != NULL, error = false;
    struct value_builder all;
    value got = value_empty_set();
    value_builder_open(&all, &t->heap, VALUE_SET);
    for (u32 i = 0; same && i < t->left.query_count; i++) {
        value part = residue_ask(t, p, residue_body(t, t->left.queries[i]));
        error |= !value_defined(part);
        for (u32 k = 0; value_defined(part) && k < value_count(part); k++)
            value_builder_add(&all, value_item(part, k));
    }
    if (same) got = value_builder_close(&all);
    same = same && !error && value_equal(got, want);
    if (!same && !t->refused) {
        (void)(buf_printf(why, "%.*s\nquery %.*s, unknown %.*s%s\n", STR(buf_str(&t->grower.text)),
                          STR(query), STR(t->unknown), t->shallow ? ", shallow" : "") == RC_OK);
        for (u32 i = 0; i < t->left.query_count; i++)
            (void)(buf_printf(why, "  left: %.*s\n", STR(residue_body(t, t->left.queries[i]))) ==
                   RC_OK);
        for (u32 i = 0; i < t->left.support_count; i++) {
            value text = residue_module(t, t->left.support[i]);
            if (text.kind == VALUE_STRING)
                (void)(buf_printf(why, "%.*s\n", STR(value_str(text))) == RC_OK);
        }
        (void)(buf_add(why, S("wanted ")) == RC_OK), value_write(why, want);
        (void)(buf_add(why, S(" but got ")) == RC_OK), value_write(why, got);
        if (error) policy_errors_write(why, &t->errors);
    }
    if (p && p != t->program) policy_drop(p);
    return same ? PROGRAM_AGREES : t->refused ? PROGRAM_UNKNOWN : PROGRAM_DIFFERS;
}

/* Two things are as in the reference. Where x = input.a; not f(x) becomes not f(input.a), what is
 * undefined counts as false: such a policy is looked at with its variables. A closure is told what
 * it shares with its surroundings at its end, and an expression with a closure of its own is put
 * into order by the variables of that closure alone: `not r = [x | x = v[_]]; r = f(k); k = 1` asks
 * before there is r. Such a policy is looked at with what is constant first. */
static int residue_query(struct residue *t, str query, struct buf *why) {
    str text = buf_str(&t->grower.text);
    bool negates = str_find(text, S("not ")) < text.len;
    bool closes = str_find(text, S(" | ")) < text.len;
    int result = PROGRAM_DIFFERS;
    for (u32 i = 0; i < 4 && result == PROGRAM_DIFFERS; i++) {
        t->plain = i & 1, t->settled = i & 2;
        if ((t->plain && !negates) || (t->settled && !closes)) continue;
        buf_clear(why);
        result = residue_try(t, query, why);
    }
    return result;
}

/* Every rule of a grown module is asked for; counts[] of the results. */
static int residue_compare(u32 (*choose)(void *arg, u32 n), void *arg, struct buf *why) {
    struct residue t;
    int result = PROGRAM_REFUSED;
    if (residue_open(&t, choose, arg)) {
        result = PROGRAM_UNKNOWN;
        for (u32 r = 0; r < t.grower.rules && result != PROGRAM_DIFFERS; r++) {
            char query[32];
            int n = snprintf(query, sizeof query,
                             t.grower.kinds[r] == 'f' ? "data.t.p%u(1, x)" : "data.t.p%u = x", r);
            int one = residue_query(&t, str_of(query, (size_t)n), why);
            if (one != PROGRAM_UNKNOWN) result = one;
        }
    }
    residue_close(&t);
    return result;
}

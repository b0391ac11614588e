/* SPDX-License-Identifier: Apache-2.0 */
/* check_tell.c — the types of a query, told to whoever asks: a session's `types`.
 *
 *   p[x]; y := x     ->  data.repl.p[x]: number,  x: string,  y: string
 *
 * The query is as its last pass left it, so refs are whole and calls are of builtins; variables are
 * called as they were written. */
#include "app/policy/compile/check_impl.h"

enum { TOLD_MAX = 256 };

struct telling {
    struct checker checker;
    struct type_env *env;
    const struct compiled_query *query;
    str vars[TOLD_MAX];
    u32 count;
};

static void tell_ref(struct telling *t, const struct ast_term *ref) {
    struct buf text;
    buf_open(&text, KIB(64));
    ast_term_write(&text, ref);
    t->query->see_type(t->query->see_arg, buf_str(&text), env_get(&t->checker, t->env, ref));
    buf_close(&text);
}

static bool see_term(struct ast_walk *w, struct ast_term **at) {
    struct telling *t = w->arg;
    struct ast_term *term = *at;
    if (term->kind == AST_VAR && t->count < TOLD_MAX && term->var.len && term->var.ptr[0] != '$') {
        u32 i = 0;
        while (i < t->count && !str_eq(t->vars[i], term->var)) i++;
        if (i == t->count) t->vars[t->count++] = term->var;
    }
    if (term->kind != AST_REF) return true;
    tell_ref(t, term);
    for (u32 i = 1; i < term->count; i++) ast_walk_term(w, &term->terms[i]);
    return false; /* what it begins with is no variable of its own */
}

static str written_as(const struct compiled_query *q, str name) {
    for (u32 i = 0; i < q->name_count; i++)
        if (str_eq(q->names[i].rewritten, name)) return q->names[i].written;
    return name;
}

void tell_types(struct compiler *c, struct ast_body *b, const struct compiled_query *query) {
    struct telling *t = heap_alloc(&c->scratch, sizeof *t);
    struct ast_walk w = {.term = see_term, .arg = t};
    if (!t) return;
    *t = (struct telling){.checker.c = c, .query = query};
    t->env = env_push(&t->checker, c->types);
    if (!t->env) return;
    check_body(&t->checker, t->env, b);
    ast_walk_body(&w, b);
    for (u32 i = 0; i < t->count; i++) {
        const struct type *type = env_var(t->env, t->vars[i]);
        if (type) query->see_type(query->see_arg, written_as(query, t->vars[i]), type);
    }
}

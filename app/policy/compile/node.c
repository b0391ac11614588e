/* SPDX-License-Identifier: Apache-2.0 */
/* node.c — nodes the compiler makes, the variables it makes them with, and small questions.
 *
 * A made variable is "__localN__" ("__localqN__" in a query): N finds what it stands for, the
 * variable as it was written, or the term that was pulled out of another, for messages. */
#include "app/policy/compile/compile_impl.h"

/* ---- Terms --------------------------------------------------------------------------------- */

struct ast_term *new_term(struct compiler *c, enum ast_term_kind kind,
                          const struct ast_location *at) {
    struct ast_term *t = compile_alloc(c, sizeof *t);
    t->kind = (u8)kind;
    if (at) t->at = *at;
    return t;
}

struct ast_term *new_var(struct compiler *c, str name, const struct ast_location *at) {
    struct ast_term *t = new_term(c, AST_VAR, at);
    t->var = name;
    return t;
}

struct ast_term *new_list(struct compiler *c, enum ast_term_kind kind,
                          const struct ast_location *at, struct ast_term **terms, u32 count) {
    struct ast_term *t = new_term(c, kind, at);
    t->terms = terms;
    t->count = count;
    return t;
}

struct ast_term *new_ref_to(struct compiler *c, str name, const struct ast_location *at) {
    struct ast_term **terms = compile_alloc(c, sizeof *terms);
    terms[0] = new_var(c, name, at);
    return new_list(c, AST_REF, at, terms, 1);
}

struct ast_term *new_local(struct compiler *c, const struct ast_location *at) {
    struct ast_term *t = new_var(c, local_make(c), at);
    t->generated = true;
    return t;
}

bool is_input(const struct ast_term *t) {
    if (t->kind != AST_REF || !t->count || !is_var_named(t->terms[0], "input")) return false;
    for (u32 i = 1; i < t->count; i++)
        if (!is_scalar(t->terms[i])) return false;
    return true;
}

bool is_fixed(const struct ast_term *t) {
    if (is_scalar(t) || t->kind == AST_VALUE || is_input(t)) return true;
    if (t->kind != AST_ARRAY && t->kind != AST_SET) return false;
    for (u32 i = 0; i < t->count; i++)
        if (!is_scalar(t->terms[i]) && !is_input(t->terms[i])) return false;
    return true;
}

/* ---- Expressions --------------------------------------------------------------------------- */

struct ast_expr *new_expr(struct compiler *c, const struct ast_location *at) {
    struct ast_expr *e = compile_alloc(c, sizeof *e);
    if (at) e->at = *at;
    return e;
}

struct ast_expr *new_term_expr(struct compiler *c, struct ast_term *t) {
    struct ast_expr *e = new_expr(c, &t->at);
    e->terms = compile_alloc(c, sizeof *e->terms);
    e->terms[0] = t;
    e->count = 1;
    return e;
}

struct ast_expr *new_eq(struct compiler *c, struct ast_term *a, struct ast_term *b,
                        const struct ast_location *at) {
    struct ast_expr *e = new_expr(c, at);
    e->kind = AST_EXPR_CALL;
    e->terms = compile_alloc(c, 3 * sizeof *e->terms);
    e->terms[0] = new_ref_to(c, S("eq"), at);
    e->terms[1] = a;
    e->terms[2] = b;
    e->count = 3;
    return e;
}

struct ast_expr *new_capture(struct compiler *c, struct ast_term *t) {
    struct ast_expr *e = new_eq(c, new_local(c, &t->at), t, &t->at);
    e->generated = true;
    return e;
}

struct ast_body *new_body(struct compiler *c, struct ast_expr *only) {
    struct ast_body *b = compile_alloc(c, sizeof *b);
    b->exprs = compile_alloc(c, sizeof *b->exprs);
    b->exprs[0] = only;
    b->count = 1;
    only->index = 0;
    return b;
}

struct ast_term *new_set_of(struct compiler *c, struct ast_term *t, struct ast_with *with,
                            u32 with_count) {
    struct ast_term *x = new_local(c, &t->at), *set = new_term(c, AST_SET_COMPREHENSION, &t->at);
    struct ast_expr *capture = new_eq(c, x, t, &t->at);
    capture->with = with;
    capture->with_count = with_count;
    set->comprehension.head = new_var(c, x->var, &t->at);
    set->comprehension.body = new_body(c, capture);
    return set;
}

void exprs_add(struct compiler *c, struct exprs *to, struct ast_expr *e) {
    if (to->count == to->room) {
        u32 room = to->room ? to->room * 2 : 8;
        struct ast_expr **items = compile_list(c, &room, sizeof *items);
        if (room <= to->count) return; /* no memory: compile_stopped() from here on */
        if (to->count) memcpy(items, to->items, to->count * sizeof *items);
        to->items = items;
        to->room = room;
    }
    to->items[to->count++] = e;
}

void exprs_add_all(struct compiler *c, struct exprs *to, const struct exprs *from) {
    for (u32 i = 0; i < from->count; i++) exprs_add(c, to, from->items[i]);
}

void body_set(struct compiler *c, struct ast_body *b, const struct exprs *to) {
    (void)c;
    b->exprs = to->items;
    b->count = to->count;
    for (u32 i = 0; i < b->count; i++) b->exprs[i]->index = i;
}

/* Behind what is there; instead of it when that is `true` alone. */
void body_append(struct compiler *c, struct ast_body *b, const struct exprs *more) {
    if (!more->count) return;
    struct exprs all = {0};
    for (u32 i = 0; i < b->count && !is_true_body(b); i++) exprs_add(c, &all, b->exprs[i]);
    exprs_add_all(c, &all, more);
    if (!compile_stopped(c)) body_set(c, b, &all);
}

/* ---- Questions ----------------------------------------------------------------------------- */

bool is_root_document(const struct ast_term *t) {
    return t->kind == AST_REF && t->count == 1 &&
           (is_var_named(t->terms[0], "input") || is_var_named(t->terms[0], "data"));
}

bool is_wildcard(str v) {
    return v.len && v.ptr[0] == '$';
}
bool is_generated(str v) {
    return str_starts(v, S("__local"));
}
bool is_negated(const struct ast_expr *e) {
    return e->negated || e->kind == AST_EXPR_NOT;
}

bool is_fixed_body(const struct ast_body *b) {
    for (u32 i = 0; i < b->count; i++) {
        const struct ast_expr *e = b->exprs[i];
        if (e->with_count || (e->kind != AST_EXPR_CALL && e->kind != AST_EXPR_TERM)) return false;
        for (u32 n = e->kind == AST_EXPR_CALL ? 1 : 0; n < e->count; n++)
            if (!is_fixed(e->terms[n])) return false;
    }
    return true;
}

bool is_true_body(const struct ast_body *b) {
    if (b->count != 1) return false;
    const struct ast_expr *e = b->exprs[0];
    return e->kind == AST_EXPR_TERM && e->count == 1 && !e->negated && !e->with_count &&
           e->terms[0]->kind == AST_BOOLEAN && value_is_true(e->terms[0]->scalar);
}

u32 ref_ground_len(const struct ast_term *ref) {
    u32 n = MIN(1u, ref->count);
    while (n < ref->count && ast_term_is_ground(ref->terms[n])) n++;
    return n;
}

bool ref_is_ground(const struct ast_term *ref) {
    return ref_ground_len(ref) == ref->count;
}

static bool eval_hook(struct walk *w, struct ast_term *t) {
    if (t->kind == AST_REF || is_closure(t)) *(bool *)w->arg = true;
    return *(bool *)w->arg;
}

bool needs_eval(const struct ast_term *t) {
    if (!t || is_scalar(t) || t->kind == AST_VAR) return false;
    bool found = false;
    struct walk w = {.term = eval_hook, .arg = &found};
    walk_term(&w, (struct ast_term *)t); /* the hook only looks */
    return found;
}

/* ---- Made variables ------------------------------------------------------------------------ */

static str local_name(struct compiler *c, u32 n) {
    char digits[12], *at = digits + sizeof digits;
    do *--at = (char)('0' + n % 10);
    while (n /= 10);
    size_t prefix = strlen(c->locals.prefix), count = (size_t)(digits + sizeof digits - at);
    char *name = compile_alloc(c, prefix + count + 2);
    memcpy(name, c->locals.prefix, prefix);
    memcpy(name + prefix, at, count);
    memcpy(name + prefix + count, "__", 2);
    return (str){name, prefix + count + 2};
}

str local_make(struct compiler *c) {
    struct locals *l = &c->locals;
    str name;
    do {
        if (l->next == l->room) {
            u32 room = l->room ? l->room * 2 : 64;
            struct local *items = compile_list(c, &room, sizeof *items);
            if (room <= l->room) return S("__local__"); /* no memory: this never gets far */
            if (l->room) memcpy(items, l->items, l->room * sizeof *items);
            l->items = items;
            l->room = room;
        }
        l->items[l->next] = (struct local){0};
        name = local_name(c, l->next++);
    } while (l->taken.count && varset_has(&l->taken, name));
    return name;
}

static struct local *local_in(const struct locals *l, str v) {
    str prefix = str_from_c(l->prefix);
    if (!str_starts(v, prefix) || !str_ends(v, S("__"))) return NULL;
    u64 n;
    str digits = str_take(str_skip(v, prefix.len), v.len - prefix.len - 2);
    if (v.len < prefix.len + 3 || str_to_u64(digits, &n) || n >= l->next) return NULL;
    if (l->taken.count && varset_has(&l->taken, v)) return NULL;
    return &l->items[n];
}

struct local *local_of(const struct compiler *c, str v) {
    struct local *l = local_in(&c->locals, v);
    return l || !c->outer ? l : local_in(c->outer, v);
}

str written_name(const struct compiler *c, str v) {
    const struct local *l = is_generated(v) ? local_of(c, v) : NULL;
    return l && l->written.len ? l->written : v;
}

str compiled_written_name(const struct compiled *c, str name) {
    return written_name(c->inner, name);
}

/* What stands in a message for one term of a ref. */
static struct ast_term *written_term(struct compiler *c, struct ast_term *t, bool subjects) {
    if (t->kind == AST_VAR) {
        const struct local *l = is_generated(t->var) ? local_of(c, t->var) : NULL;
        if (l && subjects && l->subject) {
            if (l->subject->kind != AST_REF) return (struct ast_term *)l->subject;
            return (struct ast_term *)written_ref(c, l->subject, subjects);
        }
        return l && l->written.len ? new_var(c, l->written, &t->at) : t;
    }
    return t->kind == AST_REF ? (struct ast_term *)written_ref(c, t, subjects) : t;
}

const struct ast_term *written_ref(struct compiler *c, const struct ast_term *ref, bool subjects) {
    if (ref->kind != AST_REF) return ref;
    u32 count = compile_enter(c) ? ref->count : 0;
    struct ast_term **terms = compile_list(c, &count, sizeof *terms);
    bool changed = false;
    for (u32 i = 0; i < count; i++) {
        terms[i] = written_term(c, ref->terms[i], subjects);
        changed |= terms[i] != ref->terms[i];
    }
    compile_leave(c);
    return changed ? new_list(c, AST_REF, &ref->at, terms, count) : ref;
}

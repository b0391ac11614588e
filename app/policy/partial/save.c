/* SPDX-License-Identifier: Apache-2.0 */
/* save.c — what is left over: expressions of the query in the making, and rules of support.
 *
 * An expression is saved as it stands, together with the environments of its variables: what they
 * are bound to is put in only when the query is complete, since later expressions may bind more. */
#include <stdio.h>
#include "app/policy/partial/partial_impl.h"

/* Replacements of functions are done with while evaluating, those of documents stay. */
static bool with_stays(struct partial *p, const struct ast_with *w) {
    const struct ast_term *head = w->target->kind == AST_REF ? w->target->terms[0] : w->target;
    return term_is_root(head) && !is_function(p, w->target);
}

static void take_withs(struct partial *p, struct site at, struct ast_expr *e) {
    const struct ast_expr *from = site_expr(at);
    e->at = from->at;
    e->with = NULL, e->with_count = 0;
    if (!from->with_count) return;
    struct ast_with *with = partial_alloc(p, from->with_count * sizeof *with);
    for (u32 i = 0; with && i < from->with_count; i++)
        if (with_stays(p, from->with + i)) with[e->with_count++] = from->with[i];
    e->with = with;
}

void save_expr(struct partial *p, struct site at, struct ast_expr *e, struct env *left,
               struct env *right, struct goal *k) {
    struct saved *s = partial_alloc(p, sizeof *s);
    if (!s || !e) return;
    if (left || right) take_withs(p, at, e);
    *s = (struct saved){e, left, right, at.visit->env, p->now.query};
    p->now.query = s;
    goal_next(p, k);
}

void save_unify(struct partial *p, struct site at, struct closed a, struct closed b,
                struct goal *k) {
    unknown_vars_of(p, a);
    unknown_vars_of(p, b);
    save_expr(p, at, expr_eq(p, a.term, b.term), a.env, b.env, k);
}

void save_call(struct partial *p, struct site at, u32 arity, struct ast_term *const *terms,
               u32 count, struct goal *k) {
    struct env *env = at.visit->env;
    if (count == arity + 2) unknown_vars_of(p, (struct closed){terms[count - 1], env});
    save_expr(p, at, expr_call(p, terms[0], terms + 1, count - 1), env, env, k);
}

/* ---- Queries ---- */

static struct ast_expr *complete(struct partial *p, const struct saved *s) {
    struct ast_expr *e = ast_expr_copy(p->heap, s->expr);
    if (!e || (!s->left && !s->right)) return e;
    bool eq = expr_is_call(e, "eq") && e->count == 3;
    for (u32 i = e->kind == AST_EXPR_CALL; i < e->count; i++)
        e->terms[i] =
            term_plain(p, bind_plug_named(p, (struct closed){s->expr->terms[i],
                                                             eq && i == 2 ? s->right : s->left}));
    for (u32 i = 0; i < e->with_count; i++)
        e->with[i].value =
            term_plain(p, bind_plug_named(p, (struct closed){s->expr->with[i].value, s->with}));
    for (u32 i = 0; i < e->count; i++)
        if (!e->terms[i]) return NULL;
    return e;
}

struct ast_body *save_query(struct partial *p) {
    u32 count = 0;
    for (const struct saved *s = p->now.query; s; s = s->older) count++;
    struct ast_expr **exprs = partial_alloc(p, MAX(count, 1u) * sizeof(struct ast_expr *));
    if (!exprs) return NULL;
    u32 i = count;
    for (const struct saved *s = p->now.query; s && exprs; s = s->older)
        exprs[--i] = complete(p, s);
    if (!count) exprs[count++] = expr_term(p, p->yes);
    return expr_body(p, exprs, count);
}

struct ast_body *save_settled(struct partial *p, struct ast_body *b) {
    if (!b || partial_stopped(p) || residual_may_hold(p->residual, b))
        return partial_stopped(p) ? NULL : b;
    struct ast_expr **kept = partial_alloc(p, MAX(b->count, 1u) * sizeof(struct ast_expr *));
    if (!kept) return NULL;
    bool *dropped = partial_alloc(p, MAX(b->count, 1u) * sizeof *dropped);
    struct ast_body *made = NULL;
    for (u32 i = 0; dropped && i < b->count; i++) dropped[i] = b->exprs[i]->negated;
    /* First without any negation, then with each that lets it hold. */
    for (u32 add = 0; dropped && add <= b->count; add++) {
        if (add && !dropped[add - 1]) continue;
        if (add) dropped[add - 1] = false;
        u32 count = 0;
        for (u32 i = 0; i < b->count; i++)
            if (!dropped[i]) kept[count++] = b->exprs[i];
        if (!count) kept[count++] = expr_term(p, p->yes);
        struct ast_body *with = expr_body(p, kept, count);
        bool holds = with && residual_may_hold(p->residual, with);
        if (!holds && !add) return NULL;
        if (holds)
            made = with;
        else
            dropped[add - 1] = true;
    }
    return made;
}

/* ---- Support ---- */

static bool is_rule_name(const struct ast_term *t) {
    static const char *const words[] = {"not",  "import", "package", "default",  "else",
                                        "with", "null",   "true",    "false",    "as",
                                        "some", "in",     "every",   "contains", "if"};
    if (t->kind != AST_STRING) return false;
    str s = value_str(t->scalar);
    for (u32 i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(s, str_from_c(words[i]))) return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9')) return false;
    }
    return s.len > 0;
}

/* Of a rule's path as much as can be is its package: data.a.b.p[x] -> data.a.b, p[x] */
u32 support_split(struct ast_term *const *path, u32 count) {
    u32 at = 2;
    for (u32 i = 2; i < count && path[i]->kind == AST_STRING; i++) {
        if (!is_rule_name(path[i])) break;
        at = i;
    }
    return MIN(at, count - 1);
}

static struct support *support_find(struct partial *p, struct ast_term *const *package, u32 count) {
    for (u32 i = 0; i < p->out->support_count; i++) {
        const struct ast_term *have = p->support[i].module->package;
        bool same = have->count == count;
        for (u32 k = 0; same && k < count; k++) same = terms_equal(have->terms[k], package[k]);
        if (same) return p->support + i;
    }
    return NULL;
}

bool support_has(struct partial *p, struct ast_term *const *path, u32 count) {
    u32 split = support_split(path, count);
    const struct support *s = support_find(p, path, split);
    for (u32 i = 0; s && i < s->module->rule_count; i++) {
        const struct ast_term *ref = s->module->rules[i]->head->ref;
        bool same = ref->count >= count - split;
        for (u32 k = 0; same && k < count - split; k++) {
            const struct ast_term *have = ref->terms[k], *want = path[split + k];
            str name = k || have->kind != AST_VAR ? S("") : have->var;
            same = k ? terms_equal(have, want)
                     : want->kind == AST_STRING && str_eq(name, value_str(want->scalar));
        }
        if (same) return true;
    }
    return false;
}

static struct support *support_new(struct partial *p, const struct ast_term *package) {
    if (p->out->support_count == p->support_room) {
        u32 room = p->support_room ? p->support_room * 2 : 8;
        struct support *list = partial_alloc(p, room * sizeof *list);
        if (!list) return NULL;
        if (p->support_room) memcpy(list, p->support, p->support_room * sizeof *list);
        p->support = list, p->support_room = room;
    }
    struct support *s = p->support + p->out->support_count;
    s->module = partial_alloc(p, sizeof *s->module);
    if (!s->module) return NULL;
    s->module->package = (struct ast_term *)package;
    p->out->support_count++;
    return s;
}

void support_add(struct partial *p, const struct ast_term *package, struct ast_rule *r) {
    struct support *s = support_find(p, package->terms, package->count);
    if (!s) s = support_new(p, package);
    if (!s || !r) return;
    if (s->module->rule_count == s->room) {
        u32 room = s->room ? s->room * 2 : 8;
        struct ast_rule **list = partial_alloc(p, room * sizeof(struct ast_rule *));
        if (!list) return;
        if (s->room) memcpy(list, s->module->rules, s->room * sizeof(struct ast_rule *));
        s->module->rules = list, s->room = room;
    }
    if (s->module->rule_count >= PARTIAL_QUERIES_MAX) {
        machine_stop(&p->evaluation, RC_LIMIT, "too many rules of support");
        return;
    }
    r->module = s->module;
    s->module->rules[s->module->rule_count++] = r;
}

/* What a rule says under `with` is not what it says without: one space of names for each. */
u32 support_space(struct partial *p, struct ast_term *const *path, u32 count) {
    u32 number = 0;
    for (const struct space *s = p->spaces; s; s = s->older) {
        bool same = s->count == count;
        for (u32 i = 1; same && i < count; i++) same = terms_equal(s->path[i], path[i]);
        if (same && s->known == p->now.around.known) return s->number;
        number = same ? MAX(number, s->number + 1) : number;
    }
    struct space *s = partial_alloc(p, sizeof *s);
    if (!s) return 0;
    *s = (struct space){path, count, number, p->now.around.known, p->spaces};
    p->spaces = s;
    return number;
}

/* data.a.p -> data.partial.a.p */
struct ast_term *name_spaced(struct partial *p, struct ast_term *const *terms, u32 count,
                             u32 space) {
    struct ast_term **list = partial_alloc(p, (count + 2) * sizeof(struct ast_term *));
    char text[32];
    int len = snprintf(text, sizeof text, "__with%u__", space);
    if (!list) return NULL;
    u32 n = 0;
    for (u32 i = 0; i < count; i++) {
        list[n++] = terms[i];
        if (!i && !p->options->no_namespace)
            list[n++] = term_of(p, value_string(p->heap, p->name_space));
        if (!i && space) list[n++] = term_of(p, value_string(p->heap, str_of(text, (size_t)len)));
    }
    return term_ref(p, list, n);
}

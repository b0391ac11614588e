/* SPDX-License-Identifier: Apache-2.0 */
/* safety.c — every variable is bound before it is needed, or the rule is refused; bodies are put
 * into an order in which that holds.
 *
 *   x > 1; x = input.a     ->  x = input.a; x > 1
 *   not p[y]               ->  "var y is unsafe"
 *
 * Expressions are taken in their own order as soon as all they need is bound, until none can be
 * taken any more; what is left is unsafe. A closure needs what it shares with the body around it.
 * Then the bodies of closures are ordered, with all that stands before them bound.
 *
 * When the left side of := is unsafe only because its right side is, the right side alone is
 * reported. */
#include "app/policy/compile/compile_impl.h"

struct unsafe_expr {
    const struct ast_expr *expr;
    struct varset vars;
};
struct unsafe {
    struct unsafe_expr *items;
    u32 count, room;
};

static struct varset *unsafe_of(struct compiler *c, struct unsafe *u, const struct ast_expr *e) {
    for (u32 i = u->count; i-- > 0;) /* mostly the last */
        if (u->items[i].expr == e) return &u->items[i].vars;
    if (u->count == u->room) {
        u32 room = u->room ? u->room * 2 : 8;
        struct unsafe_expr *items = heap_alloc(&c->scratch, room * sizeof *items);
        if (!items) return NULL;
        if (u->count) memcpy(items, u->items, u->count * sizeof *items);
        u->items = items;
        u->room = room;
    }
    u->items[u->count] = (struct unsafe_expr){.expr = e};
    varset_open(&u->items[u->count].vars, &c->scratch);
    return &u->items[u->count++].vars;
}

static void reorder(struct compiler *c, struct ast_body *b, const struct varset *globals,
                    struct unsafe *unsafe);

/* ---- Closures ------------------------------------------------------------------------------- */

struct nested {
    const struct ast_expr *current; /* of the outermost body of this walk */
    struct varset *globals;
    struct unsafe *unsafe;
};

static void nested_body(struct compiler *c, struct nested *n, struct ast_body *b,
                        const struct ast_term *head, const struct ast_term *key) {
    struct varset wanted, bound;
    varset_open(&wanted, &c->scratch);
    if (key) vars_of_term(c, &wanted, key, 0);
    if (head) vars_of_term(c, &wanted, head, 0);
    if (wanted.count) {
        varset_open(&bound, &c->scratch);
        vars_of_body(c, &bound, b, SAFETY | PROMOTE);
        for (u32 i = 0; i < wanted.count; i++) {
            if (varset_has(&bound, wanted.items[i]) || varset_has(n->globals, wanted.items[i]))
                continue;
            struct varset *u = unsafe_of(c, n->unsafe, n->current);
            if (u) varset_add(u, wanted.items[i]);
        }
    }
    struct unsafe own = {0};
    reorder(c, b, n->globals, &own);
    for (u32 i = 0; i < own.count; i++) {
        if (!own.items[i].vars.count) continue;
        struct varset *u = unsafe_of(c, n->unsafe, own.items[i].expr);
        if (u) varset_add_all(u, &own.items[i].vars);
    }
}

static bool nested_term(struct walk *w, struct ast_term *t) {
    if (!is_closure(t)) return false;
    nested_body(w->c, w->arg, t->comprehension.body, t->comprehension.head,
                t->kind == AST_OBJECT_COMPREHENSION ? t->comprehension.key : NULL);
    return true;
}

static bool nested_expr(struct walk *w, struct ast_expr *e) {
    struct nested *n = w->arg;
    switch (e->kind) {
    case AST_EXPR_EVERY:
        if (e->every->key) vars_of_term(w->c, n->globals, e->every->key, 0);
        vars_of_term(w->c, n->globals, e->every->value, 0);
        nested_body(w->c, n, e->every->body, NULL, NULL);
        return true;
    case AST_EXPR_NOT: nested_body(w->c, n, e->not_body, NULL, NULL); return true;
    case AST_EXPR_LOGICAL:
        nested_body(w->c, n, e->logical->left, NULL, NULL);
        nested_body(w->c, n, e->logical->right, NULL, NULL);
        return true;
    default: return false;
    }
}

/* Worth a look: refs of plain terms hold none. */
static bool has_closures(const struct ast_expr *e) {
    if (e->kind != AST_EXPR_TERM && e->kind != AST_EXPR_CALL) return true;
    for (u32 i = 0; i < e->count; i++) {
        const struct ast_term *t = e->terms[i];
        if (t->kind > AST_REF) return true;
        for (u32 k = 0; t->kind == AST_REF && k < t->count; k++)
            if (t->terms[k]->kind > AST_VAR) return true;
    }
    return e->with_count > 0;
}

static void reorder_closures(struct compiler *c, struct ast_body *b, const struct varset *globals,
                             struct unsafe *unsafe) {
    struct varset g;
    varset_open(&g, &c->scratch);
    varset_add_all(&g, globals);
    struct nested n = {.globals = &g, .unsafe = unsafe};
    struct walk w = {.c = c, .term = nested_term, .expr = nested_expr, .arg = &n};
    for (u32 i = 0; i < b->count && !compile_stopped(c); i++) {
        if (i) vars_of_expr(c, &g, b->exprs[i - 1], SAFETY | PROMOTE);
        n.current = b->exprs[i];
        walk_expr(&w, b->exprs[i]);
    }
}

/* ---- One body ------------------------------------------------------------------------------- */

/* What an expression still needs, and what its closures share with the body. */
struct need {
    struct varset unsafe, shared;
    bool taken;
};

static void look_at(struct compiler *c, struct need *n, const struct ast_expr *e,
                    const struct varset *safe, const struct varset *body_vars,
                    const struct varset *globals) {
    struct varset vars;
    n->taken = false;
    varset_open(&vars, &c->scratch);
    varset_open(&n->unsafe, &c->scratch);
    varset_open(&n->shared, &c->scratch);
    vars_of_expr(c, &vars, e, SAFETY | PROMOTE);
    for (u32 i = 0; i < vars.count; i++)
        if (!varset_has(safe, vars.items[i])) varset_add(&n->unsafe, vars.items[i]);
    if (!has_closures(e)) return;
    varset_open(&vars, &c->scratch);
    vars_of_closures(c, &vars, e);
    for (u32 i = 0; i < vars.count; i++)
        if (varset_has(body_vars, vars.items[i]) && !varset_has(globals, vars.items[i]))
            varset_add(&n->shared, vars.items[i]);
}

/* True: everything it needs is bound. */
static bool can_take(struct compiler *c, struct need *n, const struct ast_expr *e,
                     struct varset *safe) {
    struct varset bound;
    varset_open(&bound, &c->scratch);
    outputs_of_expr(c, &bound, e, safe);
    if (n->shared.count) {
        if (varset_equal(&n->shared, &bound)) return false; /* it would need what it makes */
        varset_clear(&n->unsafe);
        varset_add_all(&n->unsafe, &n->shared);
    }
    u32 kept = 0;
    for (u32 i = 0; i < n->unsafe.count; i++) {
        str v = n->unsafe.items[i];
        if (!varset_has(&bound, v) && !varset_has(safe, v)) n->unsafe.items[kept++] = v;
    }
    n->unsafe.count = kept;
    n->unsafe.index = NULL;
    if (kept) return false;
    varset_add_all(safe, &bound);
    return true;
}

static void reorder(struct compiler *c, struct ast_body *b, const struct varset *globals,
                    struct unsafe *unsafe) {
    struct varset body_vars, safe;
    u32 count = b->count;
    struct need *needs = heap_alloc(&c->scratch, (count + 1) * sizeof *needs);
    struct ast_expr **order = heap_alloc(&c->scratch, (count + 1) * sizeof *order);
    if (!needs || !order) return;
    if (!compile_enter(c)) {
        compile_leave(c);
        return;
    }
    varset_open(&body_vars, &c->scratch);
    varset_open(&safe, &c->scratch);
    vars_of_body(c, &body_vars, b, SAFETY | PROMOTE);
    for (u32 i = 0; i < body_vars.count; i++)
        if (varset_has(globals, body_vars.items[i])) varset_add(&safe, body_vars.items[i]);
    for (u32 i = 0; i < count && !compile_stopped(c); i++)
        look_at(c, &needs[i], b->exprs[i], &safe, &body_vars, globals);
    u32 taken = 0, before;
    do {
        before = taken;
        for (u32 i = 0; i < count && !compile_stopped(c); i++) {
            if (needs[i].taken || !can_take(c, &needs[i], b->exprs[i], &safe)) continue;
            needs[i].taken = true;
            order[taken++] = b->exprs[i];
        }
    } while (taken != before && taken < count && !compile_stopped(c));
    for (u32 i = 0; i < count && !compile_stopped(c); i++) {
        if (needs[i].taken) continue;
        struct varset *u = unsafe_of(c, unsafe, b->exprs[i]);
        if (u) varset_add_all(u, &needs[i].unsafe);
    }
    struct ast_body done = {.exprs = order, .count = taken};
    reorder_closures(c, &done, globals, unsafe);
    if (taken == count && !compile_stopped(c)) {
        memcpy(b->exprs, order, count * sizeof *order);
        for (u32 i = 0; i < count; i++) b->exprs[i]->index = i;
    }
    compile_leave(c);
}

/* ---- Reports -------------------------------------------------------------------------------- */

struct found {
    str v;
    struct ast_location at;
};

static int compare_places(const struct ast_location *a, const struct ast_location *b) {
    if (a->file != b->file) {
        if (!a->file || !b->file) return a->file ? 1 : -1;
        int cmp = str_cmp(a->file->name, b->file->name);
        if (cmp) return cmp;
    }
    if (a->row != b->row) return a->row < b->row ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

static bool comes_before(const struct found *a, const struct found *b) {
    int cmp = compare_places(&a->at, &b->at);
    return cmp ? cmp < 0 : str_cmp(a->v, b->v) < 0;
}

/* Each unsafe variable once, where it is met first. */
static u32 gather(struct compiler *c, const struct unsafe *u, struct found **out) {
    struct varset vars;
    varset_open(&vars, &c->scratch);
    for (u32 i = 0; i < u->count; i++) varset_add_all(&vars, &u->items[i].vars);
    struct found *list = heap_alloc(&c->scratch, (vars.count + 1) * sizeof *list);
    if (!list) return 0;
    u32 n = 0;
    for (u32 i = 0; i < u->count; i++) {
        for (u32 k = 0; k < u->items[i].vars.count; k++) {
            u32 at = varset_find(&vars, u->items[i].vars.items[k]);
            while (n <= at) list[n++] = (struct found){.v = {0}};
            if (!list[at].v.ptr || compare_places(&u->items[i].expr->at, &list[at].at) < 0)
                list[at] = (struct found){vars.items[at], u->items[i].expr->at};
        }
    }
    for (u32 gap = n / 2; gap; gap /= 2)
        for (u32 i = gap; i < n; i++)
            for (u32 j = i; j >= gap && comes_before(&list[j], &list[j - gap]); j -= gap) {
                struct found swap = list[j];
                list[j] = list[j - gap], list[j - gap] = swap;
            }
    *out = list;
    return n;
}

/* What unsafe assignments would bind, by both names. */
static void assigned_vars(struct compiler *c, struct varset *to, const struct unsafe *u) {
    for (u32 i = 0; i < u->count; i++) {
        const struct ast_expr *e = u->items[i].expr;
        if (!u->items[i].vars.count || !e->from_assignment || operand_count(e) != 2) continue;
        struct varset vars;
        varset_open(&vars, &c->scratch);
        vars_of_term(c, &vars, operands(e)[0], 0);
        for (u32 k = 0; k < vars.count; k++) {
            varset_add(to, vars.items[k]);
            varset_add(to, written_name(c, vars.items[k]));
        }
    }
}

static void var_is_unsafe(struct compiler *c, str name, const struct ast_location *at, str scope) {
    static const str future[] = {S("in"),  S("every"), S("contains"), S("if"),
                                 S("not"), S("and"),   S("or")};
    if (is_wildcard(name)) name = S("_");
    for (u32 i = 0; i < ARRAY_LEN(future); i++) {
        if (!str_eq(name, future[i])) continue;
        compile_error(c, POLICY_UNSAFE_VAR_ERROR, at,
                      "var %.*s is unsafe%.*s (hint: `import future.keywords.%.*s` to import a "
                      "future keyword)",
                      STR(name), STR(scope), STR(name));
        return;
    }
    compile_error(c, POLICY_UNSAFE_VAR_ERROR, at, "var %.*s is unsafe%.*s", STR(name), STR(scope));
}

/* Only made variables are unsafe: the expressions are told instead. */
static void report_exprs(struct compiler *c, const struct unsafe *u, str scope) {
    struct varset told;
    varset_open(&told, &c->scratch);
    for (u32 i = 0; i < u->count; i++) {
        u32 before = told.count;
        for (u32 k = 0; k < u->items[i].vars.count; k++)
            if (is_generated(u->items[i].vars.items[k]))
                varset_add(&told, u->items[i].vars.items[k]);
        if (told.count > before)
            compile_error(c, POLICY_UNSAFE_VAR_ERROR, &u->items[i].expr->at,
                          "expression is unsafe%.*s", STR(scope));
    }
}

static void report(struct compiler *c, const struct unsafe *u, str scope) {
    struct found *list = NULL;
    struct varset assigned;
    u32 n = gather(c, u, &list), told = c->error_count;
    bool others = false;
    varset_open(&assigned, &c->scratch);
    assigned_vars(c, &assigned, u);
    for (u32 i = 0; i < n; i++) {
        str name = written_name(c, list[i].v);
        others |= !is_generated(name) && !varset_has(&assigned, name) &&
                  !varset_has(&assigned, list[i].v);
    }
    for (u32 i = 0; i < n; i++) {
        str name = written_name(c, list[i].v);
        bool follows = varset_has(&assigned, name) || varset_has(&assigned, list[i].v);
        if (is_generated(name) || (others && follows)) continue;
        var_is_unsafe(c, name, &list[i].at, scope);
    }
    if (c->error_count == told) report_exprs(c, u, scope);
}

static bool any_unsafe(const struct unsafe *u) {
    for (u32 i = 0; i < u->count; i++)
        if (u->items[i].vars.count) return true;
    return false;
}

/* " in rule p" where a line of the source holds rules of several names. */
static str rule_scope(struct compiler *c, const struct ast_rule *rule) {
    const struct ast_module *m = rule->module;
    bool shared = false;
    u32 len = ref_ground_len(rule->head->ref);
    for (u32 i = 0; i < m->rule_count && !shared; i++)
        for (const struct ast_rule *r = m->rules[i]; r && !shared; r = r->otherwise) {
            if (r->at.row != rule->at.row) continue;
            u32 own = ref_ground_len(r->head->ref);
            shared = own != len;
            for (u32 k = 0; k < len && !shared; k++)
                shared = ast_term_compare(r->head->ref->terms[k], rule->head->ref->terms[k]) != 0;
        }
    if (!shared) return (str){0};
    struct ast_term name = *rule->head->ref;
    name.count = len;
    str text = compile_term_text(c, &name);
    struct buf b;
    buf_open(&b, KIB(8));
    rc_t rc = buf_printf(&b, " in rule %.*s", STR(text));
    text = compile_text(c, &b);
    buf_close(&b);
    (void)rc; /* cut at the limit: it is a message */
    return text;
}

/* ---- Rules and queries ---------------------------------------------------------------------- */

void check_body_safety(struct compiler *c, struct ast_rule *r) {
    struct varset globals;
    struct unsafe unsafe = {0};
    if (is_fixed_body(r->body) || compile_full(c)) return; /* no variables, nothing to order */
    varset_open(&globals, &c->scratch);
    varset_add(&globals, S("data"));
    varset_add(&globals, S("input"));
    vars_of_args(c, &globals, r->head, 0);
    reorder(c, r->body, &globals, &unsafe);
    if (any_unsafe(&unsafe)) report(c, &unsafe, rule_scope(c, r));
}

void safety_of_query(struct compiler *c, struct ast_body *b) {
    struct varset globals;
    struct unsafe unsafe = {0};
    varset_open(&globals, &c->scratch);
    varset_add(&globals, S("data"));
    varset_add(&globals, S("input"));
    reorder(c, b, &globals, &unsafe);
    if (any_unsafe(&unsafe)) report(c, &unsafe, (str){0});
}

bool body_is_safe(struct compiler *c, struct ast_body *b, const struct varset *bound) {
    struct unsafe unsafe = {0};
    reorder(c, b, bound, &unsafe);
    return !any_unsafe(&unsafe);
}

/* ---- Heads ---------------------------------------------------------------------------------- */

struct sought {
    str v;
    const struct ast_term *found;
};

static bool seek_term(struct walk *w, struct ast_term *t) {
    struct sought *s = w->arg;
    if (!s->found && t->kind == AST_VAR && str_eq(t->var, s->v)) s->found = t;
    return s->found != NULL;
}

static const struct ast_location *place_in_head(struct compiler *c, const struct ast_rule *r,
                                                str v) {
    struct sought s = {.v = v};
    struct walk w = {.c = c, .term = seek_term, .arg = &s};
    walk_head(&w, r->head);
    for (u32 i = 1; i < r->head->ref->count; i++) walk_term(&w, r->head->ref->terms[i]);
    return s.found && s.found->at.row ? &s.found->at : &r->at;
}

static bool head_has_vars(const struct ast_head *h) {
    for (u32 i = 0; i < h->arg_count; i++)
        if (!is_scalar(h->args[i])) return true;
    for (u32 i = 1; i < h->ref->count; i++)
        if (!is_scalar(h->ref->terms[i])) return true;
    return (h->key && !is_scalar(h->key)) || (h->value && !is_scalar(h->value));
}

void check_head_safety(struct compiler *c, struct ast_rule *r) {
    struct varset bound, wanted;
    if (!head_has_vars(r->head) || compile_full(c)) return;
    varset_open(&bound, &c->scratch);
    varset_open(&wanted, &c->scratch);
    vars_of_head(c, &wanted, r->head);
    vars_of_body(c, &bound, r->body, SAFETY);
    vars_of_args(c, &bound, r->head, 0);
    if (varset_within(&wanted, &bound)) return;
    str scope = rule_scope(c, r);
    varset_sort(&wanted);
    for (u32 i = 0; i < wanted.count; i++) {
        if (varset_has(&bound, wanted.items[i])) continue;
        str name = written_name(c, wanted.items[i]);
        if (is_generated(name)) continue;
        const struct ast_location *at = place_in_head(c, r, wanted.items[i]);
        if (is_wildcard(name)) name = S("_");
        compile_error(c, POLICY_UNSAFE_VAR_ERROR, at, "var %.*s is unsafe%.*s", STR(name),
                      STR(scope));
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* locals.c — declared variables get names of their own; `:=` and `some` go.
 *
 *   x := 1; some y; q[y]; z = [x | x := 2]   ->   __local0__ = 1; q[__local1__];
 *                                                  z = [__local2__ | __local2__ = 2]
 *
 * Each body is a scope: a variable may be declared in it once, and not after it has been seen
 * there. Arguments are declared in the outermost scope of their function and its else branches.
 * Operands of not/and/or without braces open no scope and may not declare. Unused declarations are
 * errors; unused assignments and arguments too in strict mode. */
#include "app/policy/compile/compile_impl.h"

enum occurrence { NEW_VAR, ARG_VAR, SEEN_VAR, ASSIGNED_VAR, DECLARED_VAR };

struct entry {
    str written, local;
    u8 occurrence;
    bool declared; /* `local` holds; else only counted */
    u32 count;
    struct ast_location at; /* of the expression that declared it */
};
struct scope {
    struct scope *outer;
    struct varset names; /* in order of `entries` */
    struct entry *entries;
    u32 room;
};
struct stack {
    struct compiler *c;
    struct scope *top;
    struct ast_location at; /* of the expression that is looked at */
    u32 errors;             /* since the body of the rule began */
};

/* ---- Scopes --------------------------------------------------------------------------------- */

static void push(struct stack *s, struct scope *scope) {
    *scope = (struct scope){.outer = s->top};
    varset_open(&scope->names, &s->c->scratch);
    s->top = scope;
}

static void pop(struct stack *s) {
    s->top = s->top->outer;
}

static struct entry *entry_in(const struct scope *scope, str v) {
    u32 i = varset_find(&scope->names, v);
    return i < scope->names.count ? &scope->entries[i] : NULL;
}

static struct entry *entry_make(struct stack *s, struct scope *scope, str v) {
    struct entry *e = entry_in(scope, v);
    if (e) return e;
    if (scope->names.count == scope->room) {
        u32 room = scope->room ? scope->room * 2 : 8;
        struct entry *entries = heap_alloc(&s->c->scratch, room * sizeof *entries);
        if (!entries) return NULL;
        if (scope->room) memcpy(entries, scope->entries, scope->room * sizeof *entries);
        scope->entries = entries;
        scope->room = room;
    }
    if (!varset_add(&scope->names, v)) return NULL;
    e = &scope->entries[scope->names.count - 1];
    *e = (struct entry){.written = v};
    return e;
}

static void insert(struct stack *s, str v, str local, enum occurrence how) {
    struct entry *e = entry_make(s, s->top, v);
    if (!e) return;
    e->local = local;
    e->declared = true;
    e->occurrence = (u8)how;
    e->count = 1;
    e->at = s->at;
    if (str_eq(v, local)) return;
    struct local *made = local_of(s->c, local);
    if (made) made->written = v;
}

/* The nearest declaration, or the nearest sight, of v. NULL: none. */
static struct entry *declared_entry(const struct stack *s, str v) {
    for (struct scope *scope = s->top; scope; scope = scope->outer) {
        struct entry *e = entry_in(scope, v);
        if (e && e->declared) return e;
    }
    return NULL;
}

static enum occurrence occurrence(const struct stack *s, str v) {
    const struct entry *e = entry_in(s->top, v);
    return e ? e->occurrence : NEW_VAR;
}

static void seen(struct stack *s, str v) {
    for (struct scope *scope = s->top; scope; scope = scope->outer) {
        struct entry *e = entry_in(scope, v);
        if (!e || !e->count) continue;
        e->count++;
        return;
    }
    struct entry *e = entry_make(s, s->top, v);
    if (e) e->count = 1;
}

static u32 count_of(const struct stack *s, str v) {
    for (struct scope *scope = s->top; scope; scope = scope->outer) {
        struct entry *e = entry_in(scope, v);
        if (e && e->count) return e->count;
    }
    return 0;
}

static void complain(struct stack *s, const struct ast_location *at, const char *fmt, str v) {
    s->errors++;
    struct buf b;
    buf_open(&b, KIB(8));
    str name = is_wildcard(v) ? S("_") : v;
    rc_t rc = RC_OK;
    for (const char *f = fmt; *f; f++) rc = *f == '@' ? buf_add(&b, name) : buf_add_byte(&b, *f);
    str text = buf_str(&b);
    compile_error(s->c, POLICY_COMPILE_ERROR, at, "%.*s", STR(text));
    buf_close(&b);
    (void)rc; /* cut at the limit: it is a message */
}

/* A name of its own for v. Empty: it cannot be declared here, and that was said. */
static str declare(struct stack *s, str v, enum occurrence how, const struct ast_location *at) {
    static const char *const why[] = {
        [ARG_VAR] = "arg @ redeclared",
        [SEEN_VAR] = "var @ referenced above",
        [ASSIGNED_VAR] = "var @ assigned above",
        [DECLARED_VAR] = "var @ declared above",
    };
    enum occurrence before = occurrence(s, v);
    if (before != NEW_VAR) {
        complain(s, at, why[before], v);
        return (str){0};
    }
    str local = local_make(s->c);
    insert(s, v, local, how);
    return local;
}

/* ---- Terms ---------------------------------------------------------------------------------- */

static void locals_body(struct stack *s, struct ast_body *b, const struct varset *used);
static struct ast_expr *locals_expr(struct stack *s, struct ast_expr *e);
static void locals_in_expr(struct stack *s, struct ast_expr *e);
static void locals_term(struct stack *s, struct ast_term *t);

static void locals_var(struct stack *s, struct ast_term *t) {
    const struct entry *e = declared_entry(s, t->var);
    if (e) {
        str written = t->var;
        t->var = e->local;
        seen(s, written);
    } else if (occurrence(s, t->var) == NEW_VAR) {
        insert(s, t->var, t->var, SEEN_VAR);
    }
}

static enum occurrence nearest_occurrence(const struct stack *s, str v) {
    for (const struct scope *scope = s->top; scope; scope = scope->outer) {
        const struct entry *e = entry_in(scope, v);
        if (e && e->occurrence) return e->occurrence;
    }
    return NEW_VAR;
}

/* `input` or `data` by themselves may be variables after all. */
static void locals_root(struct stack *s, struct ast_term *t) {
    str name = t->terms[0]->var;
    enum occurrence how = nearest_occurrence(s, name);
    const struct entry *e = declared_entry(s, name);
    if (how == NEW_VAR || how == SEEN_VAR || !e) return;
    t->kind = AST_VAR;
    t->var = e->local;
    t->count = 0;
}

/* There are no functions as values: a call of a variable's name cannot be meant. */
static void locals_operator(struct stack *s, const struct ast_term *call) {
    struct varset vars;
    varset_open(&vars, &s->c->scratch);
    vars_of_term(s->c, &vars, call->terms[0], 0);
    for (u32 i = 0; i < vars.count; i++) {
        const struct entry *e = declared_entry(s, vars.items[i]);
        if (!e || str_eq(e->local, vars.items[i])) continue;
        str text = compile_term_text(s->c, call->terms[0]);
        complain(s, &call->at, "called function @ shadowed", text);
    }
}

static void locals_comprehension(struct stack *s, struct ast_term *t) {
    struct varset used;
    struct scope scope;
    varset_open(&used, &s->c->scratch);
    if (t->kind == AST_OBJECT_COMPREHENSION) vars_of_term(s->c, &used, t->comprehension.key, 0);
    vars_of_term(s->c, &used, t->comprehension.head, 0);
    push(s, &scope);
    locals_body(s, t->comprehension.body, &used);
    if (t->kind == AST_OBJECT_COMPREHENSION) locals_term(s, t->comprehension.key);
    locals_term(s, t->comprehension.head);
    pop(s);
}

/* Parts of a template open no scope in a body: what they name is the body's. */
static void locals_parts(struct stack *s, struct ast_term *t) {
    for (u32 i = 0; i < t->count; i++)
        if (t->parts[i].expr) locals_in_expr(s, t->parts[i].expr);
}

static void locals_within(struct stack *s, struct ast_term *t) {
    switch (t->kind) {
    case AST_REF:
        if (is_root_document(t)) {
            locals_root(s, t);
            break;
        } /* fall through */
    case AST_ARRAY:
    case AST_SET:
        for (u32 i = 0; i < t->count; i++) locals_term(s, t->terms[i]);
        break;
    case AST_CALL:
        locals_operator(s, t);
        for (u32 i = 0; i < t->count; i++) locals_term(s, t->terms[i]);
        break;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) {
            locals_term(s, t->pairs[i].key);
            locals_term(s, t->pairs[i].value);
        }
        break;
    case AST_TEMPLATE_STRING: locals_parts(s, t); break;
    default: locals_comprehension(s, t);
    }
}

static void locals_term(struct stack *s, struct ast_term *t) {
    if (!t || is_scalar(t) || t->kind == AST_VALUE) return;
    if (t->kind == AST_VAR) {
        locals_var(s, t);
        return;
    }
    if (compile_enter(s->c)) locals_within(s, t);
    compile_leave(s->c);
}

/* ---- Expressions ---------------------------------------------------------------------------- */

/* A target names what is replaced: `with input as ..` does, even where `input` is a variable. */
static void locals_with(struct stack *s, struct ast_with *w) {
    locals_term(s, w->target);
    const struct entry *hidden = declared_entry(s, S("input"));
    if (hidden) {
        struct ast_term *head = w->target->kind == AST_REF ? w->target->terms[0] : w->target;
        if (head->kind == AST_VAR && str_eq(head->var, hidden->local)) {
            if (head == w->target)
                *head = *new_ref_to(s->c, S("input"), &head->at);
            else
                head->var = S("input");
        }
    }
    locals_term(s, w->value);
}

/* Everything in e that no kind of its own has dealt with. */
static void locals_in_expr(struct stack *s, struct ast_expr *e) {
    switch (e->kind) {
    case AST_EXPR_EVERY:
        if (e->every->key) locals_term(s, e->every->key);
        locals_term(s, e->every->value);
        break;
    case AST_EXPR_TERM:
    case AST_EXPR_CALL:
        for (u32 i = 0; i < e->count; i++) locals_term(s, e->terms[i]);
        break;
    default: break;
    }
    for (u32 i = 0; i < e->with_count; i++) locals_with(s, &e->with[i]);
}

static void declare_target(struct stack *s, struct ast_term *t) {
    str local;
    switch (t->kind) {
    case AST_VAR:
        local = declare(s, t->var, ASSIGNED_VAR, &t->at);
        if (local.len) t->var = local;
        return;
    case AST_ARRAY:
        if (compile_enter(s->c))
            for (u32 i = 0; i < t->count; i++) declare_target(s, t->terms[i]);
        compile_leave(s->c);
        return;
    case AST_OBJECT:
        if (compile_enter(s->c))
            for (u32 i = 0; i < t->count; i++) declare_target(s, t->pairs[i].value);
        compile_leave(s->c);
        return;
    case AST_REF:
        if (!is_root_document(t)) break;
        local = declare(s, t->terms[0]->var, ASSIGNED_VAR, &t->at);
        if (!local.len) return;
        t->kind = AST_VAR;
        t->var = local;
        t->count = 0;
        return;
    default: break;
    }
    static const char *const names[] = {
        "null",
        "boolean",
        "number",
        "string",
        "var",
        "ref",
        "array",
        "object",
        "set",
        "arraycomprehension",
        "objectcomprehension",
        "setcomprehension",
        "call",
        "templatestring",
    };
    complain(s, &t->at, "cannot assign to @",
             str_from_c(t->kind < ARRAY_LEN(names) ? names[t->kind] : "object"));
}

static struct ast_expr *locals_assignment(struct stack *s, struct ast_expr *e) {
    if (e->negated) {
        complain(s, &e->at, "cannot assign vars inside negated expression", (str){0});
        return e;
    }
    if (operand_count(e) != 2) return e;
    u32 before = s->errors;
    locals_term(s, operands(e)[1]);
    for (u32 i = 0; i < e->with_count; i++) locals_term(s, e->with[i].value);
    declare_target(s, operands(e)[0]);
    if (s->errors == before) {
        e->terms[0] = new_ref_to(s->c, S("eq"), &e->terms[0]->at);
        e->from_assignment = true;
    }
    return e;
}

/* some k, v in xs  ->  v = xs[k] */
static struct ast_expr *locals_some_in(struct stack *s, struct ast_expr *e,
                                       const struct ast_term *call) {
    struct compiler *c = s->c;
    bool keyed = call->count == 4;
    struct ast_term *key = keyed ? call->terms[1] : new_local(c, NULL);
    struct ast_term *v = call->terms[keyed ? 2 : 1], *xs = call->terms[keyed ? 3 : 2];
    u32 own = xs->kind == AST_REF ? xs->count : 1, count = own + 1;
    struct ast_term **terms = compile_list(c, &count, sizeof *terms);
    if (!count) return NULL;
    if (xs->kind == AST_REF)
        memcpy(terms, xs->terms, own * sizeof *terms);
    else
        terms[0] = xs;
    terms[own] = key;
    struct ast_expr *eq = new_eq(c, v, new_list(c, AST_REF, NULL, terms, count), &e->at);
    eq->with = e->with;
    eq->with_count = e->with_count;
    eq->negated = e->negated;
    struct varset safe, made;
    varset_open(&safe, &c->scratch);
    varset_open(&made, &c->scratch);
    vars_of_term(c, &safe, xs, 0);
    outputs_of_eq(c, &made, eq, &safe);
    varset_sort(&made);
    for (u32 i = 0; i < made.count; i++)
        if (!declare(s, made.items[i], DECLARED_VAR, &e->at).len) return NULL;
    locals_in_expr(s, eq);
    return eq;
}

static struct ast_expr *locals_some(struct stack *s, struct ast_expr *e) {
    for (u32 i = 0; i < e->count; i++) {
        const struct ast_term *t = e->terms[i];
        if (t->kind == AST_CALL && t->count >= 3) return locals_some_in(s, e, t);
        if (t->kind == AST_VAR && !declare(s, t->var, DECLARED_VAR, &e->at).len) return NULL;
    }
    return NULL;
}

static bool declare_every(struct stack *s, struct ast_term *t, const struct ast_location *at) {
    if (t->kind != AST_VAR || is_wildcard(t->var)) return true;
    str local = declare(s, t->var, DECLARED_VAR, at);
    if (local.len) t->var = local;
    return local.len > 0;
}

static struct ast_expr *locals_every(struct stack *s, struct ast_expr *e) {
    struct scope scope;
    struct varset none;
    locals_term(s, e->every->domain);
    push(s, &scope);
    bool ok = true;
    if (e->every->key)
        ok = declare_every(s, e->every->key, &e->at);
    else
        e->every->key = new_local(s->c, NULL);
    ok = ok && declare_every(s, e->every->value, &e->at);
    /* Of no declaration of the body: one that is not used is told of at the body's beginning. */
    for (u32 i = 0; e->every->body->count && i < s->top->names.count; i++)
        s->top->entries[i].at = e->every->body->exprs[0]->at;
    if (ok) {
        varset_open(&none, &s->c->scratch);
        locals_body(s, e->every->body, &none);
        locals_in_expr(s, e);
    }
    pop(s);
    return ok ? e : NULL;
}

/* The body of an operand without braces: no scope, no assignments. */
static void locals_operand(struct stack *s, struct ast_body *b, const char *refusal) {
    for (u32 i = 0; i < b->count; i++) {
        struct ast_expr *e = b->exprs[i];
        if (is_assignment(e))
            complain(s, &e->at, refusal, (str){0});
        else if (e->kind == AST_EXPR_NOT || e->kind == AST_EXPR_LOGICAL)
            b->exprs[i] = locals_expr(s, e);
        else
            locals_in_expr(s, e);
    }
}

static void locals_braces(struct stack *s, struct ast_body *b) {
    struct scope scope;
    struct varset none;
    push(s, &scope);
    varset_open(&none, &s->c->scratch);
    locals_body(s, b, &none);
    pop(s);
}

static struct ast_expr *locals_not(struct stack *s, struct ast_expr *e) {
    if (e->explicit_body)
        locals_braces(s, e->not_body);
    else
        locals_operand(s, e->not_body, "cannot assign vars inside negated expression");
    locals_in_expr(s, e);
    return e;
}

static struct ast_expr *locals_logical(struct stack *s, struct ast_expr *e) {
    const char *refusal = e->logical->op == AST_AND
                              ? "cannot assign vars inside implicit and operand"
                              : "cannot assign vars inside implicit or operand";
    if (e->logical->explicit_left)
        locals_braces(s, e->logical->left);
    else
        locals_operand(s, e->logical->left, refusal);
    if (e->logical->explicit_right)
        locals_braces(s, e->logical->right);
    else
        locals_operand(s, e->logical->right, refusal);
    locals_in_expr(s, e);
    return e;
}

static struct ast_expr *locals_expr(struct stack *s, struct ast_expr *e) {
    struct ast_expr *out = e;
    if (compile_enter(s->c)) {
        if (is_assignment(e))
            out = locals_assignment(s, e);
        else if (e->kind == AST_EXPR_SOME)
            out = locals_some(s, e);
        else if (e->kind == AST_EXPR_EVERY)
            out = locals_every(s, e);
        else if (e->kind == AST_EXPR_NOT)
            out = locals_not(s, e);
        else if (e->kind == AST_EXPR_LOGICAL)
            out = locals_logical(s, e);
        else
            locals_in_expr(s, e);
    }
    compile_leave(s->c);
    return out;
}

/* ---- Bodies --------------------------------------------------------------------------------- */

/* What the head, or a comprehension's, uses: by the names they have now. */
static bool is_used(const struct stack *s, const struct varset *used, const struct entry *e) {
    (void)s;
    if (!used) return false;
    return varset_has(used, e->written) || varset_has(used, e->local);
}

static void sort_entries(const struct entry **list, u32 count) {
    for (u32 i = 1; i < count; i++)
        for (u32 k = i; k && str_cmp(list[k - 1]->local, list[k]->local) > 0; k--) {
            const struct entry *swap = list[k];
            list[k] = list[k - 1], list[k - 1] = swap;
        }
}

static void report_unused(struct stack *s, const struct entry **list, u32 count, const char *fmt) {
    if (count <= 1000) sort_entries(list, count); /* beyond: in order of declaration */
    for (u32 i = 0; i < count; i++) complain(s, &list[i]->at, fmt, list[i]->written);
}

static void check_assigned(struct stack *s, const struct varset *used) {
    struct scope *top = s->top;
    if (!s->c->options->strict || s->errors) return;
    const struct entry **unused =
        heap_alloc(&s->c->scratch, (top->names.count + 1) * sizeof *unused);
    u32 n = 0;
    for (u32 i = 0; unused && i < top->names.count; i++) {
        const struct entry *e = &top->entries[i];
        if (e->occurrence == ASSIGNED_VAR && !is_wildcard(e->written) &&
            count_of(s, e->written) <= 1 && !is_used(s, used, e))
            unused[n++] = e;
    }
    if (n) report_unused(s, unused, n, "assigned var @ unused");
}

static void check_declared(struct stack *s, const struct varset *used, const struct ast_body *b) {
    struct scope *top = s->top;
    bool any = false;
    for (u32 i = 0; i < top->names.count; i++) any |= top->entries[i].occurrence == DECLARED_VAR;
    if (!any || s->errors) return;
    struct varset vars;
    varset_open(&vars, &s->c->scratch);
    vars_of_body(s->c, &vars, b, 0);
    const struct entry **unused =
        heap_alloc(&s->c->scratch, (top->names.count + 1) * sizeof *unused);
    u32 n = 0;
    for (u32 i = 0; unused && i < top->names.count; i++) {
        const struct entry *e = &top->entries[i];
        if (e->occurrence == DECLARED_VAR && !is_generated(e->written) &&
            !is_wildcard(e->written) && !varset_has(&vars, e->local) && !is_used(s, used, e))
            unused[n++] = e;
    }
    if (n) report_unused(s, unused, n, "declared var @ unused");
}

static void locals_body(struct stack *s, struct ast_body *b, const struct varset *used) {
    struct exprs kept = {0};
    struct ast_location first = b->count ? b->exprs[0]->at : (struct ast_location){0};
    if (compile_enter(s->c)) {
        for (u32 i = 0; i < b->count && !compile_stopped(s->c); i++) {
            struct ast_location outer = s->at;
            s->at = b->exprs[i]->at;
            struct ast_expr *e = locals_expr(s, b->exprs[i]);
            s->at = outer;
            if (e) exprs_add(s->c, &kept, e);
        }
        if (!kept.count) {
            struct ast_term *t = new_term(s->c, AST_BOOLEAN, &first);
            t->scalar = value_boolean(true);
            exprs_add(s->c, &kept, new_term_expr(s->c, t));
        }
        if (!compile_stopped(s->c)) body_set(s->c, b, &kept);
        check_assigned(s, used);
        check_declared(s, used, b);
    }
    compile_leave(s->c);
}

/* ---- Heads ---------------------------------------------------------------------------------- */

static void declare_argument(struct stack *s, struct ast_term *t) {
    const struct entry *e;
    if (!compile_enter(s->c)) {
        compile_leave(s->c);
        return;
    }
    switch (t->kind) {
    case AST_VAR:
        if ((e = declared_entry(s, t->var))) {
            str written = t->var;
            t->var = e->local;
            seen(s, written);
        } else {
            str local = local_make(s->c);
            insert(s, t->var, local, ARG_VAR);
            t->var = local;
        }
        break;
    case AST_REF:
    case AST_ARRAY:
        for (u32 i = 0; i < t->count; i++) declare_argument(s, t->terms[i]);
        break;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) declare_argument(s, t->pairs[i].value);
        break;
    case AST_CALL: complain(s, &t->at, "rule arguments cannot contain calls", (str){0}); break;
    default: break;
    }
    compile_leave(s->c);
}

/* Comprehensions and templates in a head have scopes of their own, apart from the body's. */
static bool nested_head_term(struct walk *w, struct ast_term *t) {
    if (!is_closure(t) && t->kind != AST_TEMPLATE_STRING) return false;
    struct stack *outer = w->arg, own = {.c = w->c, .at = outer->at};
    struct scope scope;
    push(&own, &scope);
    locals_within(&own, t);
    return true;
}

/* What the body declares is meant in the head too. */
static bool rename_head_term(struct walk *w, struct ast_term *t) {
    const struct scope *declared = w->arg;
    if (t->kind == AST_VAR) {
        const struct entry *e = entry_in(declared, t->var);
        if (e && e->declared) t->var = e->local;
    } else if (is_root_document(t)) {
        const struct entry *e = entry_in(declared, t->terms[0]->var);
        if (e && e->declared && !str_eq(e->local, t->terms[0]->var)) {
            t->kind = AST_VAR;
            t->var = e->local;
            t->count = 0;
        }
    }
    return false;
}

static void walk_head_and_ref(struct walk *w, struct ast_head *h, bool args) {
    for (u32 i = 0; args && i < h->arg_count; i++) walk_term(w, h->args[i]);
    for (u32 i = 1; i < h->ref->count; i++) walk_term(w, h->ref->terms[i]);
    if (h->key && (h->ref->count < 2 || h->key != h->ref->terms[h->ref->count - 1]))
        walk_term(w, h->key);
    walk_term(w, h->value);
}

static bool head_is_plain(const struct ast_head *h) {
    for (u32 i = 0; i < h->arg_count; i++)
        if (!is_scalar(h->args[i])) return false;
    for (u32 i = 1; i < h->ref->count; i++)
        if (!is_scalar(h->ref->terms[i])) return false;
    return (!h->key || is_scalar(h->key)) && (!h->value || is_scalar(h->value));
}

/* A variable named like a builtin, bound in the body, would be taken for the builtin later on. */
static bool with_names(struct walk *w, struct ast_with *m) {
    vars_of_term(w->c, w->arg, m->target, 0);
    vars_of_term(w->c, w->arg, m->value, 0);
    return false;
}

static void hide_builtins(struct stack *s, struct ast_rule *r) {
    struct compiler *c = s->c;
    struct varset vars, declared, withs;
    varset_open(&vars, &c->scratch);
    vars_of_body(c, &vars, r->body, SKIP_CALL_HEAD | SKIP_CLOSURES);
    u32 n = 0;
    for (u32 i = 0; i < vars.count; i++)
        if (builtin_named(c, vars.items[i])) vars.items[n++] = vars.items[i];
    if (!n) return;
    vars.count = n;
    vars.index = NULL;
    varset_sort(&vars);
    varset_open(&declared, &c->scratch);
    varset_open(&withs, &c->scratch);
    declared_vars(c, &declared, r->body);
    struct walk w = {.c = c, .with = with_names, .arg = &withs};
    walk_rule(&w, r);
    for (u32 i = 0; i < n; i++) {
        str v = vars.items[i];
        if (varset_has(&declared, v) || varset_has(&withs, v) || declared_entry(s, v)) continue;
        insert(s, v, local_make(c), SEEN_VAR);
    }
}

static void not_unused(struct compiler *c, struct varset *unused, const struct ast_term *t) {
    struct varset given;
    varset_open(&given, &c->scratch);
    vars_of_term(c, &given, t, 0);
    for (u32 i = unused->count; i-- > 0;)
        if (varset_has(&given, unused->items[i])) varset_remove(unused, unused->items[i]);
}

/* One branch of a rule; what its value has of `unused` leaves it. */
static void locals_rule(struct stack *s, struct ast_rule *r, struct varset *unused) {
    struct varset used;
    struct walk w = {.c = s->c, .arg = s};
    bool plain = head_is_plain(r->head);
    s->at = r->at;
    varset_open(&used, &s->c->scratch);
    if (!plain) {
        w.term = nested_head_term;
        walk_head_and_ref(&w, r->head, true);
        for (u32 i = 1; i < r->head->ref->count; i++)
            vars_of_term(s->c, &used, r->head->ref->terms[i], 0);
        if (r->head->key) vars_of_term(s->c, &used, r->head->key, 0);
        if (r->head->value) vars_of_term(s->c, &used, r->head->value, 0);
        if (r->head->value && unused->count) not_unused(s->c, unused, r->head->value);
    }
    s->errors = 0;
    hide_builtins(s, r);
    locals_body(s, r->body, &used);
    if (plain) return;
    w.term = rename_head_term;
    w.arg = s->top;
    walk_head_and_ref(&w, r->head, true);
}

static void copy_scope(struct stack *s, struct scope *to, const struct scope *from) {
    push(s, to);
    for (u32 i = 0; i < from->names.count; i++) {
        struct entry *e = entry_make(s, to, from->names.items[i]);
        if (e) *e = from->entries[i];
    }
}

static void unused_arguments(struct stack *s, const struct ast_rule *r, struct varset *unused) {
    varset_sort(unused);
    for (u32 i = 0; i < unused->count; i++)
        if (!is_wildcard(unused->items[i]))
            compile_error(s->c, POLICY_COMPILE_ERROR, &r->head->at,
                          "unused argument %.*s. (hint: use _ (wildcard variable) instead)",
                          STR(unused->items[i]));
}

/* A rule with its else branches. */
static bool has_no_locals(const struct ast_rule *r) {
    for (; r; r = r->otherwise)
        if (r->head->arg_count || !head_is_plain(r->head) || !is_fixed_body(r->body)) return false;
    return true;
}

void rewrite_locals(struct compiler *c, struct ast_rule *first) {
    if (has_no_locals(first)) return;
    struct stack s = {.c = c, .at = first->at};
    struct scope args;
    struct varset unused;
    varset_open(&unused, &c->scratch);
    if (c->options->strict) vars_of_args(c, &unused, first->head, 0);
    push(&s, &args);
    for (u32 i = 0; i < first->head->arg_count; i++) declare_argument(&s, first->head->args[i]);
    for (struct ast_rule *r = first; r && !compile_stopped(c); r = r->otherwise) {
        struct scope own;
        s.top = NULL;
        copy_scope(&s, &own, &args);
        locals_rule(&s, r, &unused);
        for (u32 i = unused.count; i-- > 0;)
            if (count_of(&s, unused.items[i]) > 1) varset_remove(&unused, unused.items[i]);
    }
    if (c->options->strict) unused_arguments(&s, first, &unused);
}

void locals_of_query(struct compiler *c, struct ast_body *b) {
    struct stack s = {.c = c};
    struct scope scope;
    push(&s, &scope);
    locals_body(&s, b, NULL);
}

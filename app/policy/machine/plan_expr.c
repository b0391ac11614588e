/* SPDX-License-Identifier: Apache-2.0 */
/* plan_expr.c — expressions and bodies: calls, negation, `every`, `and` and `or`, comprehensions,
 * replacement by `with`.
 *
 * Code that follows an expression runs once per way in which the expression holds: it lies inside
 * the iterations the expression opened, and fails into the innermost of them. A closure (negation,
 * a comprehension's body ...) is planned with a `fail` of its own and its variables are forgotten
 * at its end; leaving it leaves its iterations where they stand, which costs nothing.
 *
 * `with` is in force while its expression is evaluated, not while the rest of the body is:
 *
 *       WITH            fail: none
 *       expression      fail: undo
 *       WITH_LEAVE
 *       ... rest ...    fail: back
 *   back: WITH_ENTER, to the expression's innermost iteration
 *   undo: WITH_LEAVE, to none */
#include "app/policy/machine/plan.h"
#include "kernel/base/limits.h"

/* ---- Names ---- */

/* "io.jwt.decode" of a reference; false: too long or not of names. */
static bool name_of(const struct ast_term *t, char *to, size_t room, str *out) {
    size_t n = 0;
    const struct ast_term *const *terms = (const struct ast_term *const *)t->terms;
    u32 count = t->count;
    if (t->kind != AST_REF) terms = &t, count = 1;
    for (u32 i = 0; i < count; i++) {
        str part;
        if (terms[i]->kind == AST_VAR) part = terms[i]->var;
        else if (terms[i]->kind == AST_STRING) part = value_str(terms[i]->scalar);
        else return false;
        if (n + part.len + 1 > room) return false;
        if (i) to[n++] = '.';
        memcpy(to + n, part.ptr, part.len);
        n += part.len;
    }
    *out = (str){to, n};
    return true;
}

static bool starts_at(const struct ast_term *t, str name) {
    const struct ast_term *head = t->kind == AST_REF ? t->terms[0] : t;
    return head->kind == AST_VAR && str_eq(head->var, name);
}

static const struct node *function_of(const struct plan *pl, const struct ast_term *t) {
    if (t->kind != AST_REF || !starts_at(t, S("data"))) return NULL;
    const struct node *n = pl->tree->root;
    for (u32 i = 1; n && i < t->count; i++) {
        value key;
        if (!plan_is_constant(t->terms[i], &key)) return NULL;
        n = node_child(n, key);
    }
    return n && n->is_function ? n : NULL;
}

static const struct builtin *builtin_of(const struct ast_term *t) {
    UNINITIALIZED char room[128];
    str name;
    if (t->kind != AST_REF && t->kind != AST_VAR) return NULL;
    return name_of(t, room, sizeof room, &name) ? builtin_find(name) : NULL;
}

/* ---- Calls ---- */

static void arguments_into(struct plan *pl, struct ast_term *const *args, u32 count, u32 first) {
    for (u32 i = 0; i < count; i++) plan_term_into(pl, args[i], first + i);
}

/* What a call yields is matched with its last argument, or must not be false. */
static void result_of(struct plan *pl, u32 result, const struct ast_term *output, u32 capture) {
    if (output) plan_match(pl, result, output);
    else if (capture == NOWHERE) plan_emit(pl, OP_NOT_FALSE, result, 0, 0);
    if (capture != NOWHERE)
        plan_emit(pl, OP_MOVE, capture, output ? plan_constant(pl, value_boolean(true)) : result,
                  0);
}

static void call_function(struct plan *pl, const struct node *f, struct ast_term *const *args,
                          u32 count, u32 capture, const struct ast_location *at) {
    if (count != f->arity && count != f->arity + 1) {
        plan_fail(pl, "a function is called with another number of arguments");
        return;
    }
    const struct ast_term *output = count == f->arity + 1 ? args[f->arity] : NULL;
    u32 first = plan_register(pl, f->arity ? f->arity : 1);
    arguments_into(pl, args, f->arity, first);
    u32 result = plan_register(pl, 1);
    u32 place = plan_place(pl, at);
    struct insn *i = plan_emit(pl, OP_FUNCTION, result, first, f->id);
    i->n = (u16)f->arity, i->x = place;
    result_of(pl, result, output, capture);
}

/* walk: each of the results in turn. */
static u32 iterate_results(struct plan *pl, u32 results) {
    u32 it = plan_register(pl, 3), item = plan_register(pl, 1), again = plan_label(pl);
    plan_emit(pl, OP_ITER, it, results, 0);
    plan_here(pl, again);
    plan_emit(pl, OP_NEXT, it, NOWHERE, item);
    pl->fail = again;
    return item;
}

static const struct { str name; u16 op; bool swap; } tests[] = {
    {S("equal"), OP_EQUAL, false},   {S("neq"), OP_DIFFER, false},
    {S("lt"), OP_LESS, false},       {S("lte"), OP_LESS_EQUAL, false},
    {S("gt"), OP_LESS, true},        {S("gte"), OP_LESS_EQUAL, true},
    {S("startswith"), OP_STARTS, false}, {S("internal.member_2"), OP_MEMBER, false},
};
static const struct { str name; u16 op; } makers[] = {
    {S("count"), OP_COUNT}, {S("plus"), OP_PLUS}, {S("minus"), OP_MINUS},
};

/* Builtins with an instruction of their own. */
static bool call_inline(struct plan *pl, const struct builtin *b, u32 number,
                        struct ast_term *const *args, u32 count, u32 capture,
                        const struct ast_location *at) {
    str name = str_from_c(b->name);
    for (u32 i = 0; count == 2 && capture == NOWHERE && i < ARRAY_LEN(tests); i++) {
        if (!str_eq(tests[i].name, name)) continue;
        if (tests[i].op == OP_EQUAL && plan_is_ready(pl, args[0]) && plan_is_ready(pl, args[1])) {
            plan_unify(pl, args[0], args[1]);
            return true;
        }
        u32 left = plan_term(pl, args[0], NOWHERE), right = plan_term(pl, args[1], NOWHERE);
        u32 place = plan_place(pl, at);
        struct insn *insn = plan_emit(pl, tests[i].op, tests[i].op == OP_STARTS ? number : 0,
                                      tests[i].swap ? right : left, tests[i].swap ? left : right);
        insn->x = place;
        return true;
    }
    for (u32 i = 0; count == b->arity + 1u && i < ARRAY_LEN(makers); i++) {
        if (!str_eq(makers[i].name, name)) continue;
        u32 left = plan_term(pl, args[0], NOWHERE);
        u32 right = b->arity > 1 ? plan_term(pl, args[1], NOWHERE) : number;
        u32 result = plan_register(pl, 1), place = plan_place(pl, at);
        struct insn *insn = plan_emit(pl, makers[i].op, result, left, right);
        insn->x = place, insn->n = (u16)number;
        result_of(pl, result, args[b->arity], capture);
        return true;
    }
    return false;
}

/* No result in its declaration: called for what it does. */
static bool is_void(const struct builtin *b) { return b->type && !strstr(b->type, "=>"); }

static void call_builtin(struct plan *pl, const struct builtin *b, struct ast_term *const *args,
                         u32 count, u32 capture, const struct ast_location *at) {
    u32 number = (u32)(b - builtins), arity = b->arity;
    if (call_inline(pl, b, number, args, count, capture, at)) return;
    bool relation = b->flags & BUILTIN_RELATION;
    const struct ast_term *output = count == arity + 1 ? args[arity] : NULL;
    u32 first = plan_register(pl, count ? count : 1);
    arguments_into(pl, args, MIN(count, arity), first);
    u32 result = plan_register(pl, 1), place = plan_place(pl, at);
    struct insn *i = plan_emit(pl, OP_BUILTIN, result, first, number);
    i->n = (u16)MIN(count, arity), i->x = place;
    if (is_void(b)) {
        u32 after = plan_label(pl); /* whatever comes of it */
        i->fail = after;
        plan_here(pl, after);
        if (capture != NOWHERE)
            plan_emit(pl, OP_MOVE, capture, plan_constant(pl, value_boolean(true)), 0);
        return;
    }
    if (relation) result = iterate_results(pl, result);
    result_of(pl, result, output, capture);
}

void plan_call(struct plan *pl, struct ast_term *const *terms, u32 count, u32 capture,
               const struct ast_location *at) {
    const struct ast_term *op = terms[0];
    if (starts_at(op, S("data"))) {
        const struct node *f = function_of(pl, op);
        if (f) call_function(pl, f, terms + 1, count - 1, capture, at);
        else plan_jump(pl, pl->fail); /* a function that is not there has no value */
        return;
    }
    UNINITIALIZED char room[128];
    str name;
    if (!name_of(op, room, sizeof room, &name)) {
        plan_fail(pl, "a call of something without a name");
        return;
    }
    if (str_eq(name, S("eq")) && count == 3) {
        plan_unify(pl, terms[1], terms[2]);
        if (capture != NOWHERE)
            plan_emit(pl, OP_MOVE, capture, plan_constant(pl, value_boolean(true)), 0);
        return;
    }
    const struct builtin *b = builtin_find(name);
    if (b) call_builtin(pl, b, terms + 1, count - 1, capture, at);
    else plan_fail(pl, "a builtin that is not there");
}

/* ---- Closures ---- */

void plan_body(struct plan *pl, const struct ast_body *b) {
    plan_groups(pl, b);
    for (u32 i = 0; i < b->count && !pl->failed; i++) {
        pl->look = plan_look(pl, b, i);
        plan_expr(pl, b->exprs[i], NOWHERE);
    }
}

static void plan_positive(struct plan *pl, const struct ast_expr *e, u32 capture);

/* A body that is entered for its own sake, not a rule's. */
static void plan_within(struct plan *pl, const struct ast_body *body) {
    struct tell_note note = {.body = body, .at = body->count ? &body->exprs[0]->at : NULL};
    u32 outer = plan_tell_inside(pl, body);
    plan_body(pl, body);
    plan_tell(pl, POLICY_EXIT, note, 0);
    plan_tell(pl, POLICY_REDO, note, 0);
    plan_tell_outside(pl, outer);
}

/* What is negated, as a body of its own to whoever watches. */
static void plan_denied(struct plan *pl, const struct ast_expr *e) {
    struct ast_expr *positive = pl->p->trace ? heap_alloc(&pl->p->heap, sizeof *positive) : NULL;
    struct ast_body *body = positive ? heap_alloc(&pl->p->heap, sizeof *body) : NULL;
    struct ast_expr **list = body ? heap_alloc(&pl->p->heap, sizeof *list) : NULL;
    if (!list) {
        plan_positive(pl, e, NOWHERE);
        return;
    }
    *positive = *e, positive->negated = false, positive->with_count = 0;
    *list = positive, *body = (struct ast_body){list, 1, e->depth};
    plan_within(pl, body);
}

/* Goes on when `body`, or the expression `one` without its negation, holds in no way. */
static void plan_absent(struct plan *pl, const struct ast_body *body, const struct ast_expr *one) {
    u32 outer = pl->fail, absent = plan_label(pl), mark = pl->log_count;
    pl->fail = absent;
    if (one) plan_denied(pl, one);
    else plan_within(pl, body);
    plan_jump(pl, outer);
    plan_unbind(pl, mark);
    plan_here(pl, absent);
    pl->fail = outer;
}

/* Goes on, once, when `body` holds in some way; else to `otherwise`. */
static void plan_present(struct plan *pl, const struct ast_body *body, u32 otherwise) {
    u32 outer = pl->fail, mark = pl->log_count;
    pl->fail = otherwise;
    plan_body(pl, body);
    plan_unbind(pl, mark);
    pl->fail = outer;
}

static void plan_every(struct plan *pl, const struct ast_every *every) {
    u32 domain = plan_term(pl, every->domain, NOWHERE);
    u32 inner = pl->fail; /* the domain itself may be one of several */
    plan_emit(pl, OP_IS_COLLECTION, 0, domain, 0);
    u32 kept = pl->log_count;
    u32 it = plan_register(pl, 3), key = plan_register(pl, 1), item = plan_register(pl, 1);
    u32 again = plan_label(pl), done = plan_label(pl);
    plan_emit(pl, OP_ITER, it, domain, 0);
    plan_here(pl, again);
    plan_emit(pl, OP_NEXT, it, key, item)->fail = done;
    if (every->key) plan_match(pl, key, every->key);
    if (every->value) plan_match(pl, item, every->value);
    pl->fail = inner;
    plan_within(pl, every->body);
    plan_jump(pl, again);
    plan_unbind(pl, kept);
    plan_here(pl, done);
    pl->fail = inner;
}

static void plan_logical(struct plan *pl, const struct ast_logical *l) {
    if (l->op == AST_AND) {
        plan_present(pl, l->left, pl->fail);
        plan_present(pl, l->right, pl->fail);
        return;
    }
    u32 other = plan_label(pl), held = plan_label(pl);
    plan_present(pl, l->left, other);
    plan_jump(pl, held);
    plan_here(pl, other);
    plan_present(pl, l->right, pl->fail);
    plan_here(pl, held);
}

void plan_comprehension(struct plan *pl, const struct ast_term *t, u32 into) {
    if (plan_grouped(pl, t, into)) return;
    u32 outer = pl->fail, end = plan_label(pl), mark = pl->log_count;
    u32 builder = plan_register(pl, 1);
    enum value_kind kind = t->kind == AST_ARRAY_COMPREHENSION ? VALUE_ARRAY
                           : t->kind == AST_SET_COMPREHENSION ? VALUE_SET
                                                              : VALUE_OBJECT;
    plan_emit(pl, OP_BUILD, builder, 0, 0)->n = (u16)kind;
    pl->fail = end;
    plan_within(pl, t->comprehension.body);
    if (kind == VALUE_OBJECT) {
        u32 key = plan_term(pl, t->comprehension.key, NOWHERE);
        u32 item = plan_term(pl, t->comprehension.head, NOWHERE);
        u32 place = plan_place(pl, &t->comprehension.key->at);
        plan_emit(pl, OP_PUT, builder, key, item)->x = place;
    } else {
        u32 item = plan_term(pl, t->comprehension.head, NOWHERE);
        plan_emit(pl, OP_ADD, builder, item, 0);
    }
    plan_jump(pl, pl->fail);
    plan_unbind(pl, mark);
    plan_here(pl, end);
    pl->fail = outer;
    plan_emit(pl, OP_CLOSE, into, builder, 0);
}

/* ---- Replacement ---- */

static value *path_of(struct plan *pl, const struct ast_term *ref, u32 *count) {
    u32 n = ref->kind == AST_REF ? ref->count - 1 : 0;
    value *keys = heap_alloc(&pl->p->heap, (n ? n : 1) * sizeof(value));
    *count = n;
    for (u32 i = 0; keys && i < n; i++)
        if (!plan_is_constant(ref->terms[i + 1], &keys[i])) {
            plan_fail(pl, "a replaced document's path is not constant");
            return keys;
        }
    if (!keys) plan_fail(pl, "the program is too large");
    return keys;
}

static void with_value(struct plan *pl, struct with_item *item, const struct ast_with *w) {
    item->by = BY_VALUE;
    if (item->kind == WITH_FUNCTION || item->kind == WITH_BUILTIN) {
        const struct node *f = function_of(pl, w->value);
        const struct builtin *b = f || starts_at(w->value, S("data")) ||
                                          (w->value->kind == AST_VAR && plan_is_ready(pl, w->value))
                                      ? NULL
                                      : builtin_of(w->value);
        if (f) item->by = BY_FUNCTION, item->by_id = f->id;
        else if (b) item->by = BY_BUILTIN, item->by_id = (u32)(b - builtins);
    }
    if (item->by == BY_VALUE) item->value = plan_term(pl, w->value, NOWHERE);
}

static void with_item(struct plan *pl, struct with_item *item, const struct ast_with *w) {
    *item = (struct with_item){0};
    const struct node *f = function_of(pl, w->target);
    const struct builtin *b = NULL;
    if (f) item->kind = WITH_FUNCTION, item->target = f->id;
    else if (starts_at(w->target, S("input"))) item->kind = WITH_INPUT;
    else if (starts_at(w->target, S("data"))) item->kind = WITH_DATA;
    else if ((b = builtin_of(w->target)))
        item->kind = WITH_BUILTIN, item->target = (u32)(b - builtins);
    else plan_fail(pl, "nothing to replace by this name");
    if (item->kind == WITH_INPUT || item->kind == WITH_DATA)
        item->path = path_of(pl, w->target, &item->path_count);
    with_value(pl, item, w);
}

static u32 with_set(struct plan *pl, const struct ast_expr *e) {
    struct with_item *items = heap_alloc(&pl->p->heap, e->with_count * sizeof *items);
    if (!items) {
        plan_fail(pl, "the program is too large");
        return 0;
    }
    for (u32 i = 0; i < e->with_count; i++) with_item(pl, items + i, e->with + i);
    return plan_with_set(pl, (struct with_set){e->with_count, items, &e->at});
}

static void plan_step(struct plan *pl, const struct ast_expr *e, u32 capture);

static void plan_with(struct plan *pl, const struct ast_expr *e, u32 capture) {
    u32 set = with_set(pl, e), state = plan_register(pl, 1);
    u32 outer = pl->fail, undo = plan_label(pl), over = plan_label(pl);
    plan_emit(pl, OP_WITH, state, 0, 0)->x = set;
    pl->fail = undo;
    plan_step(pl, e, capture);
    u32 inner = pl->fail;
    plan_emit(pl, OP_WITH_LEAVE, state, 0, 0);
    plan_jump(pl, over);
    if (inner != undo) {
        u32 back = plan_label(pl);
        plan_here(pl, back);
        plan_emit(pl, OP_WITH_ENTER, state, 0, 0);
        plan_jump(pl, inner);
        pl->fail = back;
    } else {
        pl->fail = outer;
    }
    plan_here(pl, undo);
    plan_emit(pl, OP_WITH_LEAVE, state, 0, 0);
    plan_jump(pl, outer);
    plan_here(pl, over);
}

/* ---- Expressions ---- */

static void plan_condition(struct plan *pl, const struct ast_term *t, u32 capture) {
    u32 path;
    if (capture == NOWHERE && plan_is_input(pl, t, &path)) {
        plan_emit(pl, OP_INPUT_TRUE, 0, path, 0);
        return;
    }
    u32 reg = plan_term(pl, t, capture);
    if (capture == NOWHERE) plan_emit(pl, OP_NOT_FALSE, reg, 0, 0);
    else if (reg != capture) plan_emit(pl, OP_MOVE, capture, reg, 0);
}

static void plan_positive(struct plan *pl, const struct ast_expr *e, u32 capture) {
    bool holds = false; /* its value is true whenever it holds */
    switch (e->kind) {
    case AST_EXPR_TERM:
        plan_condition(pl, e->terms[0], capture);
        break;
    case AST_EXPR_CALL:
        plan_call(pl, e->terms, e->count, capture, &e->at);
        break;
    case AST_EXPR_EVERY:
        plan_every(pl, e->every);
        holds = true;
        break;
    case AST_EXPR_LOGICAL:
        plan_logical(pl, e->logical);
        holds = true;
        break;
    case AST_EXPR_NOT:
        plan_absent(pl, e->not_body, NULL);
        holds = true;
        break;
    default: /* `some x` declares, and has been taken care of */
        holds = true;
        break;
    }
    if (holds && capture != NOWHERE)
        plan_emit(pl, OP_MOVE, capture, plan_constant(pl, value_boolean(true)), 0);
}

static void plan_step(struct plan *pl, const struct ast_expr *e, u32 capture) {
    if (!e->negated) {
        plan_positive(pl, e, capture);
        return;
    }
    plan_absent(pl, NULL, e);
    if (capture != NOWHERE)
        plan_emit(pl, OP_MOVE, capture, plan_constant(pl, value_boolean(true)), 0);
}

static void plan_quietly(struct plan *pl, const struct ast_expr *e, u32 capture) {
    pl->at = &e->at;
    if (e->with_count) plan_with(pl, e, capture);
    else plan_step(pl, e, capture);
}

/*       tell EVAL; held = undefined
 *       expression         fail: lost
 *       held = true
 *       ... rest ...       fail: redo
 * redo: tell REDO, to the expression's innermost iteration
 * lost: tell FAIL unless it held, to none */
static void plan_telling(struct plan *pl, const struct ast_expr *e, u32 capture) {
    struct tell_note note = {.expr = e, .at = &e->at};
    u32 outer = pl->fail, lost = plan_label(pl), redo = plan_label(pl), over = plan_label(pl);
    u32 held = plan_register(pl, 1);
    plan_tell(pl, POLICY_EVAL, note, 0);
    struct tell_note failed = note; /* knows of the variables of before alone */
    if (pl->p->tell_count) {
        const struct tell_note *told = pl->p->tells + pl->p->tell_count - 1;
        failed.vars = told->vars, failed.var_count = told->var_count;
    }
    plan_emit(pl, OP_CLEAR, held, 0, 0);
    pl->fail = lost;
    plan_quietly(pl, e, capture);
    u32 inner = pl->fail;
    plan_emit(pl, OP_MOVE, held, plan_constant(pl, value_boolean(true)), 0);
    plan_jump(pl, over);
    plan_here(pl, redo);
    plan_tell(pl, POLICY_REDO, note, 0);
    plan_jump(pl, inner);
    plan_here(pl, lost);
    plan_tell(pl, POLICY_FAIL, failed, held);
    plan_jump(pl, outer);
    plan_here(pl, over);
    pl->fail = redo;
}

void plan_expr(struct plan *pl, const struct ast_expr *e, u32 capture) {
    if (pl->p->trace) plan_telling(pl, e, capture);
    else plan_quietly(pl, e, capture);
}

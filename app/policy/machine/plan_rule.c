/* SPDX-License-Identifier: Apache-2.0 */
/* plan_rule.c — the rules at one node as one unit of code, and queries.
 *
 *   complete rules, functions   r = what all bodies that hold agree on, else the default
 *   partial sets and objects    every way in which every body holds adds an entry
 *   the same with keys given    the head is matched with the keys first, then the body runs
 *
 * Rules stand one after the other, each failing into the next. Where an index can tell which of
 * them may apply, each fails back to the one instruction that chooses the next. A rule whose value
 * is constant is left after the first way in which it holds; when the values of all are the same
 * constant, so are all the others. */
#include "app/policy/machine/index.h"
#include "app/policy/machine/plan.h"
#include "kernel/base/limits.h"
#include <stdlib.h>

struct group { /* the unit being planned */
    struct node *node;
    u32 result;    /* register */
    u32 keys;      /* given ones, in registers 0 .. keys - 1 */
    u32 done;      /* label: no further rule needs to be looked at */
    u32 base;      /* registers that outlive a rule */
    bool same;     /* all values are one constant */
};

static const struct ast_term *first_value(const struct node *n) {
    for (u32 i = 0; i < n->rule_count; i++)
        if (!n->rules[i]->is_default) return n->rules[i]->head->value;
    return NULL;
}

static bool all_same(const struct node *n) {
    const struct ast_term *first = first_value(n);
    value v;
    if (!first || !plan_is_constant(first, &v)) return false;
    for (u32 i = 0; i < n->rule_count; i++)
        for (const struct ast_rule *r = n->rules[i]; r && !r->is_default; r = r->otherwise)
            if (!r->head->value || ast_term_compare(r->head->value, first)) return false;
    return true;
}

/* ---- Complete rules and functions ---- */

static void bind_parameters(struct plan *pl, const struct node *n, const struct ast_head *own,
                            const struct ast_head *first) {
    const struct ast_head *h = own->arg_count == n->arity ? own : first;
    for (u32 i = 0; i < h->arg_count && i < n->arity; i++) plan_match(pl, i, h->args[i]);
}

/* One link of a chain of `else`; success goes to `held` with the value in `to`. */
static void plan_link(struct plan *pl, struct group *g, const struct ast_rule *r,
                      const struct ast_head *first, u32 to, u32 next, u32 held, bool chained) {
    value constant;
    plan_vars_clear(pl);
    pl->registers = g->base;
    pl->fail = next;
    pl->at = &r->at;
    bind_parameters(pl, g->node, r->head, first);
    plan_tell_enter(pl, (struct tell_note){.rule = r, .at = &r->at});
    plan_body(pl, r->body);
    if (pl->failed) return;
    plan_tell(pl, POLICY_EXIT, (struct tell_note){.rule = r, .at = &r->at, .early = g->same}, 0);
    bool is_constant = plan_is_constant(r->head->value, &constant);
    u32 v = plan_term(pl, r->head->value, NOWHERE);
    u32 place = plan_place(pl, &r->at);
    struct insn *i = plan_emit(pl, OP_SET_ONCE, to, v, 0);
    i->x = place, i->n = g->node->is_function;
    if (is_constant || (chained && pl->fail == next)) plan_jump(pl, held);
    else plan_jump(pl, pl->fail);
}

/* A rule and its `else` branches: the first branch that holds gives the value. */
static void plan_chain(struct plan *pl, struct group *g, const struct ast_rule *r, u32 next) {
    u32 held = g->same ? g->done : next;
    if (!r->otherwise) {
        plan_link(pl, g, r, r->head, g->result, next, held, false);
        return;
    }
    u32 outer_base = g->base, own = g->base;
    u32 found = plan_label(pl);
    g->base++;
    if (g->base > pl->registers_max) pl->registers_max = g->base;
    plan_emit(pl, OP_CLEAR, own, 0, 0);
    const struct ast_head *first = r->head;
    u32 place = plan_place(pl, &r->at);
    for (; r && !pl->failed; r = r->otherwise) {
        u32 after = plan_label(pl);
        plan_link(pl, g, r, first, own, after, found, true);
        plan_here(pl, after);
        pl->fail = found;
        if (r->otherwise) plan_emit(pl, OP_IF_DEFINED, own, 0, 0);
    }
    plan_here(pl, found);
    pl->fail = next;
    plan_emit(pl, OP_IF_UNDEFINED, own, 0, 0);
    struct insn *i = plan_emit(pl, OP_SET_ONCE, g->result, own, 0);
    i->x = place, i->n = g->node->is_function;
    plan_jump(pl, held);
    g->base = outer_base;
}

static void plan_default(struct plan *pl, struct group *g, const struct ast_rule *r) {
    u32 given = plan_label(pl);
    pl->fail = given;
    plan_emit(pl, OP_IF_DEFINED, g->result, 0, 0);
    plan_vars_clear(pl);
    pl->registers = g->base;
    bind_parameters(pl, g->node, r->head, r->head);
    plan_tell_enter(pl, (struct tell_note){.rule = r, .at = &r->at});
    plan_body(pl, r->body);
    plan_tell(pl, POLICY_EXIT, (struct tell_note){.rule = r, .at = &r->at}, 0);
    plan_term_into(pl, r->head->value, g->result);
    plan_here(pl, given);
}

/* ---- Partial rules ---- */

static u32 doc_key_count(const struct node *n, const struct ast_head *h) {
    return h->ref->count > n->depth + 1 ? h->ref->count - (n->depth + 1) : 0;
}

static const struct ast_term *head_key(const struct ast_head *h) {
    return h->key ? h->key : h->ref->terms[h->ref->count - 1];
}

/* The given keys are matched with the head's. */
static void match_keys(struct plan *pl, struct group *g, const struct ast_rule *r) {
    const struct ast_head *h = r->head;
    u32 own = doc_key_count(g->node, h);
    bool multi = ast_rule_kind(r) == AST_MULTI_VALUE;
    for (u32 k = 0; k < g->keys; k++) {
        if (k < own) plan_match(pl, k, h->ref->terms[g->node->depth + 1 + k]);
        else if (k == own && multi) plan_match(pl, k, head_key(h));
        else break;
    }
}

/* The whole document is wanted: the rule goes on looking. */
static void tell_redo(struct plan *pl, const struct ast_rule *r) {
    plan_tell(pl, POLICY_REDO, (struct tell_note){.rule = r, .at = &r->at}, 0);
}

static void add_set_member(struct plan *pl, struct group *g, const struct ast_rule *r, u32 next) {
    value constant;
    if (g->keys) {
        plan_emit(pl, OP_MOVE, g->result, 0, 0);
        plan_jump(pl, g->done);
        return;
    }
    u32 member = plan_term(pl, head_key(r->head), NOWHERE);
    plan_emit(pl, OP_ADD, g->result, member, 0);
    tell_redo(pl, r);
    plan_jump(pl, plan_is_constant(head_key(r->head), &constant) ? next : pl->fail);
}

static void add_entry(struct plan *pl, struct group *g, const struct ast_rule *r) {
    u32 place;
    if (g->keys) {
        u32 v = plan_term(pl, r->head->value, NOWHERE);
        place = plan_place(pl, &r->head->at);
        struct insn *i = plan_emit(pl, OP_SET_ONCE, g->result, v, 0);
        i->x = place, i->n = 2;
    } else {
        u32 key = plan_term(pl, r->head->ref->terms[r->head->ref->count - 1], NOWHERE);
        u32 v = plan_term(pl, r->head->value, NOWHERE);
        place = plan_place(pl, &r->head->at);
        plan_emit(pl, OP_PUT, g->result, key, v)->x = place;
        tell_redo(pl, r);
    }
    plan_jump(pl, pl->fail);
}

static void add_document(struct plan *pl, struct group *g, const struct ast_rule *r) {
    const struct ast_head *h = r->head;
    u32 own = doc_key_count(g->node, h), first = plan_register(pl, own ? own : 1);
    for (u32 k = 0; k < own; k++)
        plan_term_into(pl, h->ref->terms[g->node->depth + 1 + k], first + k);
    bool multi = ast_rule_kind(r) == AST_MULTI_VALUE;
    u32 v = plan_term(pl, multi ? head_key(h) : h->value, NOWHERE);
    u32 note = plan_head_note(pl, (struct head_note){&h->at, multi});
    struct insn *i = plan_emit(pl, OP_DOC_PUT, g->result, first, v);
    i->n = (u16)own, i->x = note;
    tell_redo(pl, r);
    plan_jump(pl, pl->fail);
}

static bool uses_document(const struct group *g) {
    return !g->node->is_set && !(g->node->is_single_key && g->keys < 2);
}

static void plan_partial_rule(struct plan *pl, struct group *g, const struct ast_rule *r,
                              u32 next) {
    plan_vars_clear(pl);
    pl->registers = g->base;
    pl->fail = next;
    pl->at = &r->at;
    match_keys(pl, g, r);
    plan_tell_enter(pl, (struct tell_note){.rule = r, .at = &r->at});
    plan_body(pl, r->body);
    if (pl->failed) return;
    plan_tell(pl, POLICY_EXIT, (struct tell_note){.rule = r, .at = &r->at}, 0);
    if (g->node->is_set) add_set_member(pl, g, r, next);
    else if (uses_document(g)) add_document(pl, g, r);
    else add_entry(pl, g, r);
}

/* ---- Units ---- */

static void plan_rule(struct plan *pl, struct group *g, const struct ast_rule *r, u32 next) {
    if (g->node->is_partial) plan_partial_rule(pl, g, r, next);
    else plan_chain(pl, g, r, next);
}

static void plan_rules(struct plan *pl, struct group *g) {
    struct node *n = g->node;
    u32 choice = NOWHERE, choose = 0;
    struct index *index = index_make(pl, n);
    if (index) {
        choice = plan_register(pl, 3);
        g->base = pl->registers;
        pl->fail = g->done;
        plan_emit(pl, OP_CHOOSE, choice, 0, 0)->x = pl->p->index_count;
        plan_tell_index(pl, n, choice + 2, g->same);
        choose = plan_label(pl);
        plan_here(pl, choose);
        plan_emit(pl, OP_CHOOSE_NEXT, choice, 0, 0)->x = pl->p->index_count;
    } else {
        plan_tell_index(pl, n, NOWHERE, g->same);
    }
    for (u32 i = 0; i < n->rule_count && !pl->failed; i++) {
        if (n->rules[i]->is_default) continue;
        u32 next = index ? choose : plan_label(pl);
        if (index) {
            u32 entry = plan_label(pl);
            plan_here(pl, entry);
            index_entry(index, i, entry);
        }
        plan_rule(pl, g, n->rules[i], next);
        if (!index) plan_here(pl, next);
    }
    pl->pending = index;
}

static void group_open(struct plan *pl, struct group *g) {
    const struct node *n = g->node;
    pl->fail = 0;
    if (!n->is_partial || (g->keys && !uses_document(g))) plan_emit(pl, OP_CLEAR, g->result, 0, 0);
    else if (uses_document(g)) plan_emit(pl, OP_DOC, g->result, 0, 0);
    else plan_emit(pl, OP_BUILD, g->result, 0, 0)->n = n->is_set ? VALUE_SET : VALUE_OBJECT;
}

static void group_close(struct plan *pl, struct group *g) {
    const struct node *n = g->node;
    u32 none = plan_label(pl);
    if (n->is_partial && uses_document(g)) {
        plan_emit(pl, OP_DOC_CLOSE, g->result, g->result, 0);
        pl->fail = none;
        for (u32 k = 0; k < g->keys; k++) plan_emit(pl, OP_GET, g->result, g->result, k);
    } else if (n->is_partial && !g->keys) {
        plan_emit(pl, OP_CLOSE, g->result, g->result, 0);
    }
    plan_tell_return(pl);
    plan_emit(pl, OP_RETURN, g->result, 0, 0);
    if (!(n->is_partial && uses_document(g) && g->keys)) return;
    plan_here(pl, none);
    plan_emit(pl, OP_CLEAR, g->result, 0, 0);
    plan_tell_return(pl);
    plan_emit(pl, OP_RETURN, g->result, 0, 0);
}

static struct unit plan_group(struct plan *pl, struct node *n, u32 keys) {
    plan_unit_begin(pl, n->is_function ? n->arity : keys);
    struct group g = {.node = n, .keys = keys, .done = plan_label(pl)};
    g.result = plan_register(pl, 1);
    plan_tell_called(pl);
    g.base = pl->registers;
    g.same = !n->is_partial && all_same(n);
    group_open(pl, &g);
    plan_rules(pl, &g);
    plan_here(pl, g.done);
    for (u32 i = 0; i < n->rule_count && !n->is_partial && !pl->failed; i++)
        if (n->rules[i]->is_default) plan_default(pl, &g, n->rules[i]);
    group_close(pl, &g);
    return plan_unit_end(pl);
}

void plan_node(struct plan *pl, struct node *n) {
    n->whole = plan_group(pl, n, 0);
    for (u32 k = 1; n->is_partial && k <= 2 && k <= n->keys_max && !pl->failed; k++)
        n->keyed[k - 1] = plan_group(pl, n, k);
}

/* ---- Queries ---- */

static int name_order(const void *a, const void *b) {
    return value_compare(*(const value *)a, *(const value *)b);
}

static str written_name(const struct compiled_query *c, str name) {
    for (u32 i = 0; i < c->name_count; i++)
        if (str_eq(c->names[i].rewritten, name)) return c->names[i].written;
    return name;
}

/* Made by the parser ("$0"), the compiler or the reference's rewriting. */
static bool is_made_name(str name) {
    return str_starts(name, S("$")) || str_eq(name, S("_")) || str_starts(name, S("__local"));
}

struct row { value name; u32 reg; };

/* The bound variables a person wrote, sorted by name: one column each. */
static u32 plan_columns(struct plan *pl, const struct compiled_query *c, struct row *rows,
                        u32 room) {
    u32 n = 0;
    for (u32 i = 0; pl->vars && i <= pl->var_mask; i++) {
        if (!pl->vars[i].hash) continue;
        str name = written_name(c, pl->vars[i].name);
        struct plan_var *v = plan_var(pl, pl->vars[i].name);
        if (!v->bound || is_made_name(name) || n == room) continue;
        rows[n++] = (struct row){value_string(&pl->p->heap, name), v->reg};
    }
    qsort(rows, n, sizeof *rows, name_order);
    return n;
}

static bool iterates(const struct ast_body *b) {
    for (u32 i = 0; i < b->count; i++) {
        const struct ast_expr *e = b->exprs[i];
        if (e->kind != AST_EXPR_TERM && e->kind != AST_EXPR_CALL) continue;
        for (u32 t = e->kind == AST_EXPR_CALL; t < e->count; t++) {
            const struct ast_term *term = e->terms[t];
            if (term->kind != AST_REF) continue;
            for (u32 k = 1; k < term->count; k++)
                if (term->terms[k]->kind == AST_VAR) return true;
        }
    }
    return false;
}

/* Expressions a person wrote give a value; those of a body of several must hold as well. */
static u32 plan_query_body(struct plan *pl, const struct ast_body *b, u32 *captured) {
    u32 n = 0;
    for (u32 i = 0; i < b->count && !pl->failed; i++) {
        const struct ast_expr *e = b->exprs[i];
        if (e->generated) {
            plan_expr(pl, e, NOWHERE);
            continue;
        }
        captured[n] = plan_register(pl, 1);
        plan_emit(pl, OP_MOVE, captured[n], plan_constant(pl, value_boolean(true)), 0);
        plan_expr(pl, e, captured[n++]);
    }
    bool check = n > 1 || iterates(b);
    for (u32 i = 0; check && i < n; i++) plan_emit(pl, OP_NOT_FALSE, captured[i], 0, 0);
    return n;
}

rc_t plan_query(struct policy_query *q, const struct compiled_query *c,
                struct policy_errors *errors) {
    struct program *p = &q->program;
    struct plan pl;
    plan_open(&pl, p, &q->of->program, errors);
    plan_unit_begin(&pl, 0);
    u32 end = plan_label(&pl);
    pl.fail = end;
    u32 *captured = heap_alloc(&p->heap, (c->body->count + 1) * sizeof(u32));
    rc_t rc = RC_NO_MEMORY;
    if (!captured) goto done;
    pl.written = c;
    struct tell_note told = {.body = c->body, .at = c->body->count ? &c->body->exprs[0]->at : NULL};
    plan_tell_enter(&pl, told);
    q->expression_count = plan_query_body(&pl, c->body, captured);
    u32 room = pl.var_count;
    struct row *rows = heap_alloc(&p->heap, (room + 1) * sizeof *rows);
    q->names = heap_alloc(&p->heap, (room + 1) * sizeof(value));
    if (!rows || !q->names) goto done;
    q->name_count = plan_columns(&pl, c, rows, room);
    u32 count = q->name_count + q->expression_count, first = plan_register(&pl, count ? count : 1);
    for (u32 i = 0; i < q->name_count; i++) {
        q->names[i] = rows[i].name;
        plan_emit(&pl, OP_MOVE, first + i, rows[i].reg, 0);
    }
    for (u32 i = 0; i < q->expression_count; i++)
        plan_emit(&pl, OP_MOVE, first + q->name_count + i, captured[i], 0);
    plan_tell(&pl, POLICY_EXIT, told, 0);
    plan_emit(&pl, OP_RESULT, first, 0, 0)->x = count;
    plan_tell(&pl, POLICY_REDO, told, 0);
    plan_jump(&pl, pl.fail);
    plan_here(&pl, end);
    plan_emit(&pl, OP_STOP, 0, 0, 0);
    q->unit = plan_unit_end(&pl);
    rc = pl.failed ? RC_INVALID : p->exhausted || p->heap.exhausted ? RC_NO_MEMORY : RC_OK;
done:
    plan_close(&pl);
    return rc;
}

rc_t plan_document(struct policy_query *q, const value *path, u32 count) {
    struct program *p = &q->program;
    struct plan pl;
    plan_open(&pl, p, &q->of->program, NULL);
    plan_unit_begin(&pl, 0);
    struct ast_term data = {.kind = AST_VAR, .var = S("data")};
    struct ast_term *keys = heap_alloc(&p->heap, (count + 1) * sizeof *keys);
    struct ast_term **terms = heap_alloc(&p->heap, (count + 1) * sizeof *terms);
    rc_t rc = RC_NO_MEMORY;
    if (!keys || !terms) goto done;
    terms[0] = &data;
    const struct node *n = q->of->program.root;
    for (u32 i = 0; i < count; i++) {
        keys[i] = (struct ast_term){.kind = AST_VALUE, .scalar = value_copy(&p->heap, path[i])};
        terms[i + 1] = keys + i;
        n = n ? node_child(n, path[i]) : NULL;
    }
    if (n && n->has_rules && !n->is_function) q->node = (struct node *)n;
    struct ast_term ref = {.kind = AST_REF, .count = count + 1, .terms = terms};
    u32 end = plan_label(&pl);
    pl.fail = end;
    u32 reg = plan_register(&pl, 1);
    plan_term_into(&pl, &ref, reg);
    plan_emit(&pl, OP_RESULT, reg, 0, 0)->x = 1;
    plan_here(&pl, end);
    plan_emit(&pl, OP_STOP, 0, 0, 0);
    q->expression_count = 1;
    q->unit = plan_unit_end(&pl);
    rc = pl.failed ? RC_LIMIT : p->exhausted || p->heap.exhausted ? RC_NO_MEMORY : RC_OK;
done:
    plan_close(&pl);
    return rc;
}

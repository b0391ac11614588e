/* SPDX-License-Identifier: Apache-2.0 */
/* plan_tell.c — code that says what it does, for programs that are to be watched.
 *
 *   TELL b: two registers, the number of the body at work and of the one that needs it
 *        ENTER  gives the body a new number and writes both
 *        INDEX  stands before any ENTER of its unit: it tells of the body that called, whose
 *               number is kept until the unit returns
 *
 * A note says what an event is about; the variables it names are those bound where the instruction
 * stands, and those the expression or head mentions. What is emitted here never changes what a
 * program answers, only the registers it needs. */
#include <stdlib.h>
#include "app/policy/machine/plan.h"

enum { VARS_MAX = 128 }; /* named by one event: more are not shown */

struct gathering {
    struct plan *pl;
    struct tell_var vars[VARS_MAX];
    u32 count;
};

static str written_of(const struct plan *pl, str name) {
    const struct compiled_query *q = pl->written;
    for (u32 i = 0; q && i < q->name_count; i++)
        if (str_eq(q->names[i].rewritten, name)) return q->names[i].written;
    return compiled_written_name(pl->tree->compiled, name);
}

static void gather(struct gathering *g, str name, u32 reg) {
    for (u32 i = 0; i < g->count; i++)
        if (str_eq(g->vars[i].name, name)) return;
    if (g->count < VARS_MAX)
        g->vars[g->count++] = (struct tell_var){name, written_of(g->pl, name), reg};
}

/* Variables, not the documents and functions that are named like them. */
static bool gather_term(struct ast_walk *w, struct ast_term **t) {
    if ((*t)->kind != AST_VAR || str_eq((*t)->var, S("data")) || str_eq((*t)->var, S("input")))
        return true;
    if (!builtin_find((*t)->var)) gather(w->arg, (*t)->var, NOWHERE);
    return true;
}

static void gather_bound(struct gathering *g) {
    struct plan *pl = g->pl;
    for (u32 i = 0; pl->vars && i <= pl->var_mask; i++) {
        if (!pl->vars[i].hash) continue;
        struct plan_var *v = plan_var(pl, pl->vars[i].name);
        if (v->bound) gather(g, pl->vars[i].name, v->reg);
    }
}

static void note_vars(struct plan *pl, struct tell_note *note) {
    struct gathering *g = calloc(1, sizeof *g);
    struct ast_walk walk = {.term = gather_term, .arg = g};
    if (!g) return;
    g->pl = pl;
    gather_bound(g);
    if (note->expr) ast_walk_expr(&walk, (struct ast_expr *)note->expr);
    else if (note->body) ast_walk_body(&walk, (struct ast_body *)note->body);
    else if (note->rule && note->rule->head->value) ast_walk_term(&walk, &note->rule->head->value);
    struct tell_var *copy = heap_alloc(&pl->p->heap, (g->count ? g->count : 1) * sizeof *copy);
    if (copy) {
        memcpy(copy, g->vars, g->count * sizeof *copy);
        note->vars = copy, note->var_count = g->count;
    }
    free(g);
}

static struct insn *emit(struct plan *pl, enum policy_event_op op, struct tell_note note, u32 a) {
    struct program *p = pl->p;
    if (!p->trace) return NULL;
    if (p->tell_count == p->tell_room) {
        u32 room = p->tell_room ? p->tell_room * 2 : 64;
        struct tell_note *more = realloc(p->tells, room * sizeof *more);
        if (!more) {
            p->exhausted = true;
            plan_fail(pl, "the program is too large");
            return NULL;
        }
        p->tells = more, p->tell_room = room;
    }
    if (!note.vars) note_vars(pl, &note);
    p->tells[p->tell_count++] = note;
    struct insn *i = plan_emit(pl, OP_TELL, a, pl->telling, NOWHERE);
    i->n = (u16)op, i->x = p->tell_count - 1;
    return i;
}

/* FAIL is told unless register `unless` has a value. */
void plan_tell(struct plan *pl, enum policy_event_op op, struct tell_note note, u32 unless) {
    (void)emit(pl, op, note, unless);
}

void plan_tell_enter(struct plan *pl, struct tell_note note) {
    if (!pl->p->trace) return;
    pl->telling = plan_register(pl, 2);
    struct insn *i = emit(pl, POLICY_ENTER, note, 0);
    if (i) i->c = pl->caller;
}

u32 plan_tell_inside(struct plan *pl, const struct ast_body *body) {
    u32 outer = pl->telling;
    if (!pl->p->trace) return outer;
    pl->telling = plan_register(pl, 2);
    struct tell_note note = {.body = body, .at = body->count ? &body->exprs[0]->at : NULL};
    struct insn *i = emit(pl, POLICY_ENTER, note, 0);
    if (i) i->c = outer;
    return outer;
}

void plan_tell_outside(struct plan *pl, u32 outer) { pl->telling = outer; }

void plan_tell_called(struct plan *pl) {
    if (pl->p->trace) pl->caller = plan_register(pl, 1);
}

/* Tells how many rules are looked at, and keeps who wants to know. */
void plan_tell_index(struct plan *pl, const struct node *n, u32 count_register, bool early) {
    u32 count = 0;
    for (u32 i = 0; i < n->rule_count; i++) count += !n->rules[i]->is_default;
    struct tell_note note = {.rule = n->rules[0], .early = early};
    struct insn *i = emit(pl, POLICY_INDEX, note, count_register);
    if (i) i->b = pl->caller, i->c = count;
}

void plan_tell_return(struct plan *pl) {
    if (pl->caller == NOWHERE) return;
    struct insn *i = plan_emit(pl, OP_TELL, 0, pl->caller, 0);
    i->n = TELL_RETURN;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h — what the planner's files share: where code goes, which variables have a register. */
#pragma once
#include "app/policy/machine/program.h"
#include "app/policy/trace.h"

struct plan_var {
    str name;
    u32 hash;
    u32 reg;
    u32 alias; /* another variable's place + 1: the two were unified before either had a value */
    bool bound;
};

struct plan {
    struct program *p;      /* gets the code */
    const struct program *tree; /* has the nodes */
    struct policy_errors *errors;
    bool failed;
    u32 registers, registers_max;
    u32 fail;               /* label: where to go on when the next instruction finds nothing */
    u32 start;              /* of the unit: labels of what was emitted before are resolved */
    u32 *labels;            /* address per label */
    u32 label_count, label_room;
    struct plan_var *vars;  /* open addressing */
    u32 var_count, var_mask;
    u32 *log;               /* variables in the order they were bound */
    u32 log_count, log_room;
    const struct ast_location *at;
    u32 telling;            /* two registers: numbers of the body planned and of its parent */
    u32 caller;             /* register: number of the body that called the unit */
    const struct compiled_query *written; /* names of the query's variables; NULL: a rule's */
    u32 look;               /* of the loop being planned; NOWHERE: none */
    struct group *groups;   /* comprehensions worked out once for all turns of a loop */
    struct index *pending;  /* an index of this unit, its entries still labels */
    struct insn spare;      /* written instead of code when memory is used up */
    struct plan_var none;
};

void plan_open(struct plan *pl, struct program *p, const struct program *tree,
               struct policy_errors *errors);
void plan_close(struct plan *pl);
void plan_fail(struct plan *pl, const char *why);

/* ---- Emission ---- */
struct insn *plan_emit(struct plan *pl, enum op op, u32 a, u32 b, u32 c); /* never NULL */
u32 plan_label(struct plan *pl);
void plan_here(struct plan *pl, u32 label);
void plan_jump(struct plan *pl, u32 label);
u32 plan_register(struct plan *pl, u32 count);
u32 plan_constant(struct plan *pl, value v);
u32 plan_path(struct plan *pl, const value *keys, u32 count);
u32 plan_place(struct plan *pl, const struct ast_location *at);
u32 plan_head_note(struct plan *pl, struct head_note note);
/* ---- Telling (plan_tell.c): nothing is emitted unless the program is to be watched ---- */
void plan_tell(struct plan *pl, enum policy_event_op op, struct tell_note note, u32 unless);
void plan_tell_enter(struct plan *pl, struct tell_note note);       /* of a rule's body */
u32 plan_tell_inside(struct plan *pl, const struct ast_body *body); /* a body within it; gives... */
void plan_tell_outside(struct plan *pl, u32 outer);                 /* ...what takes it back here */
void plan_tell_called(struct plan *pl);                             /* at the start of a unit */
void plan_tell_index(struct plan *pl, const struct node *n, u32 count_register, bool early);
void plan_tell_return(struct plan *pl);
u32 plan_look_add(struct plan *pl, struct look look);
u32 plan_with_set(struct plan *pl, struct with_set set);
void plan_unit_begin(struct plan *pl, u32 parameters);
struct unit plan_unit_end(struct plan *pl);

/* ---- Variables ---- */
struct plan_var *plan_var(struct plan *pl, str name); /* made unbound when new; aliases followed */
void plan_bind(struct plan *pl, struct plan_var *v, u32 reg);
void plan_unbind(struct plan *pl, u32 mark); /* those bound since log_count was `mark` */
void plan_vars_clear(struct plan *pl);

/* ---- Terms (plan_term.c) ---- */
bool plan_is_constant(const struct ast_term *t, value *out);
bool plan_is_ready(struct plan *pl, const struct ast_term *t); /* needs no variable still unbound */
bool plan_is_input(struct plan *pl, const struct ast_term *t, u32 *path); /* input.a.b */
bool plan_is_unbound_var(struct plan *pl, const struct ast_term *t);
/* The operand that holds it; `want` (or NOWHERE) is where it had best be. May open iterations. */
u32 plan_term(struct plan *pl, const struct ast_term *t, u32 want);
void plan_term_into(struct plan *pl, const struct ast_term *t, u32 reg);
void plan_unify(struct plan *pl, const struct ast_term *a, const struct ast_term *b);
void plan_match(struct plan *pl, u32 operand, const struct ast_term *pattern);
/* ---- Expressions (plan_expr.c) ---- */
void plan_body(struct plan *pl, const struct ast_body *b);
void plan_expr(struct plan *pl, const struct ast_expr *e, u32 capture);
void plan_comprehension(struct plan *pl, const struct ast_term *t, u32 into);
void plan_call(struct plan *pl, struct ast_term *const *terms, u32 count, u32 capture,
               const struct ast_location *at);
/* ---- Loops that can be looked up (plan_look.c) ---- */
u32 plan_look(struct plan *pl, const struct ast_body *body, u32 at);
const struct ast_term *plan_base_loop(struct plan *pl, const struct ast_expr *e);
/* Is the operator called so: eq, or internal.member_2? `second` NULL: a plain name. */
bool plan_names(const struct ast_term *op, const char *first, const char *second);
/* ---- Comprehensions within loops (plan_group.c) ---- */
void plan_groups(struct plan *pl, const struct ast_body *b);
bool plan_grouped(struct plan *pl, const struct ast_term *t, u32 into);
/* ---- Rules (plan_rule.c) ---- */
void plan_node(struct plan *pl, struct node *n);

/* SPDX-License-Identifier: Apache-2.0 */
/* run.h — the machine: what one evaluation has in hand, and what its files offer each other. */
#pragma once
#include "app/policy/machine/index.h"
#include "app/policy/machine/program.h"

struct with_state;

struct mock { /* a function replaced; the newest first */
    const struct with_item *item;
    value value;
    const struct mock *older;
};

/* What holds for expressions under a `with`, and all they call. */
struct scope {
    value input;
    value data;            /* base documents, replacements merged in */
    value replaced;        /* the replacements alone; UNDEFINED: none */
    const struct with_state *with; /* innermost; NULL: none */
    const struct mock *mocks;
    u64 generation;        /* what was remembered under another does not count */
};

struct with_state {
    const struct with_set *set;
    const struct with_state *outer;
    struct scope own, before;
    u32 undo_mark;
};

struct memo { u64 generation; value v; };
struct memo_undo { u32 id; struct memo old; };

enum { MEMO_ARGUMENTS_MAX = 3 };
struct memo_call {
    u64 generation;
    u32 id;                /* node, times 4, plus which of its units */
    u32 count;
    value arguments[MEMO_ARGUMENTS_MAX];
    value result;
};

struct frame {
    const struct insn *from;     /* the call; NULL: the machine was entered here */
    const struct program *program;
    u32 base;
    u32 node, unit;              /* what runs in the next frame: where to remember its value */
    const struct mock *mocks;    /* to be restored */
};

struct cached; /* evaluation.c */
struct remembered {
    const struct builtin *builtin;
    value key, v;
    struct remembered *next;
};

struct evaluation {
    struct heap heap;            /* of values; rewound with every question */
    struct heap input_heap;
    const struct policy_program *policy;
    const struct policy_query *query;
    const struct policy_ask *ask;
    struct scope now;
    u64 generations;             /* given out so far; never reused */

    value *registers;
    u32 top, room;
    struct frame *frames;
    u32 depth, frame_room;
    u32 depth_max;
    u32 nested;                  /* times the machine was entered from itself */

    struct memo *memo;           /* per node */
    u32 memo_room;
    struct memo_undo *undo;
    u32 undo_count, undo_room;
    struct memo_call *calls;     /* lossy: a slot is overwritten by what falls on it next */
    u32 calls_mask;
    u32 calls_lost;

    u32 *slots, *query_slots;    /* positions at which keys were found */
    u32 slot_room, query_slot_room;
    u64 slots_of, query_slots_of; /* ids of programs */

    s64 budget;                  /* steps until the next look at the limits */
    u64 steps;                   /* used up before the budget was last filled */
    u64 steps_max;

    rc_t rc;                     /* not RC_OK: stop */
    struct policy_error *error;
    bool builtin_failed;         /* strict: `*error` tells of the first */
    struct builtin_call call;
    char message[640];

    struct policy_result *results;
    u32 result_count, result_room;
    value decision;              /* the first expression of the first row */

    u32 told_queries, telling;   /* numbers given to bodies so far; the one at work */
    struct policy_local *locals;
    u32 local_room;

    struct remembered **remembered;
    u32 random_count;
    struct looks *looks;         /* look.c */
    struct cached **cached;
    u32 cached_count;
    u64 cached_clock;
};

struct policy_evaluator { struct evaluation e; };

/* ---- run.c ---- */
/* Runs a unit; its first registers are the arguments. UNDEFINED also when e->rc is set. */
value machine_run(struct evaluation *e, const struct program *p, struct unit unit, u32 node,
                  u32 which, const value *arguments, u32 count);
/* The value of the rules at `n` (not a function), replaced by `with` or not. */
value machine_rules(struct evaluation *e, const struct node *n);
value machine_rules_keyed(struct evaluation *e, const struct node *n, const value *keys, u32 count);
/* A builtin, or what it is replaced with. */
value machine_builtin(struct evaluation *e, u32 number, const value *arguments, u32 count,
                      u32 place, const struct program *p);

/* ---- evaluation.c ---- */
void machine_fail(struct evaluation *e, enum policy_code code, const struct ast_location *at,
                  const char *fmt, ...) PRINTF_LIKE(4, 5);
void machine_stop(struct evaluation *e, rc_t rc, const char *why); /* a limit: eval_cancel_error */
bool machine_check(struct evaluation *e); /* false: a limit was reached */
void evaluation_cached_trim(struct evaluation *e);
void evaluation_cached_close(struct evaluation *e);

/* ---- memo.c ---- */
void memo_put(struct evaluation *e, u32 node, value v);
void memo_undo_to(struct evaluation *e, u32 mark);
struct memo_call *memo_call_find(struct evaluation *e, u32 id, const value *arguments, u32 count);
void memo_call_put(struct evaluation *e, u32 id, const value *arguments, u32 count, value result);

/* ---- tree.c ---- */
value base_get(struct evaluation *e, const value *path, u32 count);
bool node_is_replaced(const struct evaluation *e, const struct node *n);
value tree_get(struct evaluation *e, const struct node *n, value key);
value tree_keys(struct evaluation *e, const struct node *n); /* an array, for iteration */
value tree_document(struct evaluation *e, const struct node *n);

/* ---- look.c ---- */
bool look_choose(struct evaluation *e, const struct look *look, value from,
                 value (*operand)(void *arg, u32 x), void *arg, const u32 **rows, u32 *count);
void looks_close(struct evaluation *e);

/* ---- with.c ---- */
value with_open(struct evaluation *e, const struct with_set *set,
                value (*operand)(void *arg, u32 operand), void *arg);
void with_leave(struct evaluation *e, value state);
void with_enter(struct evaluation *e, value state);
const struct mock *mock_find(const struct evaluation *e, int kind, u32 target);
value value_patch(struct heap *h, value into, const value *path, u32 count, value v);
value value_merge(struct heap *h, value a, value b);

/* ---- group.c ---- */
value loop_groups_make(struct heap *h, value pairs, u32 kind);
value loop_groups_get(struct heap *h, value groups, value key, u32 kind);

/* ---- document.c ---- */
value doc_open(struct heap *h);
/* False: "object keys must be unique". */
bool doc_put(struct heap *h, value doc, const value *keys, u32 count, value v, bool multi);
value doc_close(value doc);

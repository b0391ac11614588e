/* SPDX-License-Identifier: Apache-2.0 */
/* program.h — what the planner makes and the machine runs.
 *
 * A unit of code is one run of instructions in one frame of registers: the body of all rules at one
 * node of the tree of rules, or of a query. Bodies are planned inside out: an instruction that
 * finds nothing jumps to its `fail`, which is the innermost iteration still open, so backtracking
 * costs a jump and no state beyond the registers.
 *
 *   allow if { some r in data.rules; r.m == input.m }
 *
 *        BASE r1 = data.rules        fail: none
 *        ITER r2 over r1
 *   L:   NEXT r2 -> r4               fail: none
 *        FIELD r5 = r4.m             fail: L
 *        INPUT r6 = input.m          fail: L
 *        EQUAL r5, r6                fail: L
 *        SET_ONCE r0 = true
 *   none: RETURN r0
 *
 * Everything here is immutable once planned. What a run remembers lies in its evaluator. */
#pragma once
#include "app/policy/compile/compile.h"
#include "app/policy/policy.h"

enum op {
#define OP(name, what) OP_##name,
#include "app/policy/machine/ops.def"
#undef OP
    OP_COUNT_OF_ALL
};

#define CONSTANT 0x80000000u /* operand: index into the constants, not a register */
#define NOWHERE 0xffffffffu  /* operand or id: none */

struct insn {
    u16 op;
    u16 n;
    u32 a, b, c;
    u32 fail; /* index of an instruction */
    u32 x;
};

enum { /* kinds of cells beside value.h's, in registers only */
    CELL_TREE = 16, /* bits: struct node: not yet looked at */
    CELL_BUILDER,   /* bits: struct value_builder */
    CELL_DOC,       /* bits: struct doc (document.c) */
    CELL_WITH,      /* bits: struct with_state (with.c) */
};

struct path { /* of a document: keys after `data` or `input` */
    u32 count;
    value *keys;
    u32 slot; /* of remembered positions, `count` of them */
};

struct unit {
    u32 start;     /* first instruction; NOWHERE: nothing planned */
    u32 registers; /* of its frame */
};

/* A place in the tree of rules: data.a.b */
struct node {
    u32 id;
    u32 depth;             /* keys from `data` */
    value key;
    struct node **children; /* sorted by key */
    u32 child_count;
    bool hide;             /* under data.system */
    bool has_rules;        /* `rules` below is not empty */
    bool is_function;
    bool is_partial;       /* set or object made of several rules */
    bool is_set;           /* a plain partial set */
    bool is_single_key;    /* all rules: p[k] := v or p contains k */
    u32 arity;
    u32 keys_max; /* of partial rules: operands after the node's path, a set's member included */
    struct ast_rule **rules; /* with those further down when has_ref_rules */
    u32 rule_count;
    const struct rule_node *from;
    struct unit whole;     /* the value; of functions: the body */
    struct unit keyed[2];  /* with the first one or two keys given */
    value *path;           /* `depth` keys */
};

/* Replacements of one expression: `input.x as a, data.y as b, f as g` */
struct with_item {
    enum { WITH_INPUT, WITH_DATA, WITH_FUNCTION, WITH_BUILTIN } kind;
    u32 path_count;
    value *path;            /* input, data */
    u32 target;             /* function: node id; builtin: its number */
    enum { BY_VALUE, BY_FUNCTION, BY_BUILTIN } by;
    u32 by_id;
    u32 value;              /* operand, when by value */
};
struct with_set {
    u32 count;
    struct with_item *items;
    const struct ast_location *at;
};

struct head_note { /* of DOC_PUT */
    const struct ast_location *at;
    bool multi; /* the value goes into a set at the end of the path */
};

/* Tests of the elements of a loop against what is known before it: look.c */
enum { LOOK_EQUAL, LOOK_PREFIX, LOOK_HOLDS }; /* field == v, v starts with field, v in field */
struct look_test { u8 kind; value field; u32 operand; };
struct look { u32 count; struct look_test *tests; };

enum { TELL_RETURN = 100 }; /* of TELL, beside the events: the unit is left */
struct tell_var { str name, written; u32 reg; /* NOWHERE: not bound */ };
struct tell_note {
    const struct ast_expr *expr;
    const struct ast_rule *rule;
    const struct ast_body *body;
    const struct ast_location *at;
    const struct tell_var *vars;
    u32 var_count;
    bool early;
};

struct index; /* index.h */

/* What programs of the same paths share: the tree of rules, types, nodes. */
struct shared_heap { u32 refs; struct heap heap; };

struct program {
    struct heap heap;
    struct heap own; /* of a program that took over parts of another: what it does not pass on */
    struct shared_heap *shared; /* NULL: all that is shared lies in a heap of the line */
    struct compiled *compiled;
    struct node *root;
    struct node **nodes;
    u32 node_count;
    /* Shared by all units; a query adds its own after the program's. */
    struct insn *code;
    u32 code_count, code_room;
    value *constants;
    u32 constant_count, constant_room;
    struct path *paths;
    u32 path_count, path_room;
    struct with_set *withs;
    u32 with_count, with_room;
    const struct ast_location **places;
    u32 place_count, place_room;
    struct head_note *heads;
    u32 head_count, head_room;
    struct tell_note *tells;
    u32 tell_count, tell_room;
    struct look *looks;
    u32 look_count, look_room;
    struct index **indexes;
    u32 index_count, index_room;
    u32 slot_count;      /* remembered positions */
    u32 *constant_table; /* open addressing by hash, index + 1 */
    u32 constant_mask;
    bool exhausted;
    bool trace;          /* code tells what it does: trace.h */
    bool every_rule;     /* no index leaves rules out */
    u64 id; /* differs from program to program: evaluators forget what they remembered */
};

/* Programs made from one another share rules, constants and paths: what one has made stays until
 * the last of them goes. */
struct line_heap { struct heap heap; struct line_heap *next; };
struct line {
    u32 refs;
    struct line_heap *heaps; /* newest first */
    size_t first_bytes, more_bytes;
    const struct program *newest;
};
struct policy_program { struct program program; struct line *line; };

enum { QUERY_PLAN, QUERY_NODE };
struct policy_query {
    struct program program;   /* the code of the query; nodes are the policy's */
    struct policy_program *of;
    struct unit unit;
    struct node *node;        /* the query is one path to rules, or NULL */
    value *names;             /* of the variables in a row, sorted */
    u32 name_count, expression_count;
};

rc_t plan_program(struct program *p, struct policy_errors *errors);
/* Likewise, with the code of those nodes of `from` whose rules are the same. `newest`: no other
 * program was made from it yet. `replaced`: see compile_change. */
rc_t plan_change(struct program *p, const struct program *from, bool newest, bool replaced,
                 struct policy_errors *errors);
void table_drop(void *items); /* of a program's lists; NULL is fine */
rc_t plan_query(struct policy_query *q, const struct compiled_query *c,
                struct policy_errors *errors);
rc_t plan_document(struct policy_query *q, const value *path, u32 count);
struct node *node_child(const struct node *n, value key); /* NULL */

/* SPDX-License-Identifier: Apache-2.0 */
/* partial_impl.h — what the files of this folder share; for them alone.
 *
 * The evaluator walks the compiled trees. What is to be done next is a list of goals; where it may
 * be done in another way, a choice is left behind. A goal either goes on (it sets the list) or
 * fails, and then the newest choice puts everything back as it was and tries its next way:
 *
 *   goals:    unify input.x with 1  ->  rest of the body  ->  rest of the caller  ->  keep a query
 *   choices:  rule 2 of q           ->  element 4 of data.list  ->  ...
 *
 * Goals, choices and bindings are lists that are only ever added to in front, so that going back is
 * setting a few pointers; C's stack does not grow with the policy. */
#pragma once
#include "app/policy/compile/residual.h"
#include "app/policy/machine/run.h"
#include "app/policy/partial/partial.h"
#include "kernel/base/limits.h"

LIMIT(PARTIAL_DEPTH_MAX, 200, 100)       /* terms within terms through bindings: C stack */
LIMIT(PARTIAL_QUERIES_MAX, 100000, 1000) /* of an answer; likewise rules of support */
LIMIT(PARTIAL_MISSES_MAX, 32, 4)
LIMIT(PARTIAL_INLINE_NOT_MAX, 16, 16) /* the reference's: ways in which a negation may fail */

struct partial;

/* ---- Variables: a name means something in an environment only ---- */
struct env {
    u64 id;
    struct binding *first;
};
struct closed { /* a term with the environment of its variables */
    const struct ast_term *term;
    struct env *env;
};
struct binding {
    str name;
    struct closed to;
    struct env *owner;
    struct binding *next;  /* of the same environment */
    struct binding *older; /* bound before, in any */
};

/* ---- Bodies ---- */
struct visit {
    const struct ast_body *body;
    struct env *env;
    u64 id;
};
struct site { /* the expression that is looked at */
    const struct visit *visit;
    u32 index;
};
static inline const struct ast_expr *site_expr(struct site at) {
    return at.visit->body->exprs[at.index];
}

/* ---- What changes and is put back ---- */
struct saved { /* an expression of the query that is being made */
    const struct ast_expr *expr;
    struct env *left, *right; /* NULL, both: it is final */
    struct env *with; /* of the values of its `with` */
    const struct saved *older;
};
struct unknown {
    struct closed what;
    const struct unknown *older;
};
struct disabled { /* refs that may not be replaced by what they stand for */
    const struct ast_term *ref;
    u32 len; /* terms of the ref that count */
    bool internal;
    const struct disabled *older;
};
struct target {
    const struct ast_term *ref;
    const struct target *older;
};
struct replaced {
    const struct ast_term *name;
    const struct ast_term *by;
    const struct replaced *older;
};
struct known { /* a document that was worked out */
    const struct rule_node *node;
    value v;
    struct known *next;
};
enum { KNOWN_SLOTS = 64 };
struct known_table {
    struct known *slots[KNOWN_SLOTS];
};

struct surroundings {  /* what `with` changes */
    value input, data; /* data: the replacements alone */
    const struct disabled *disabled;
    const struct target *targets;
    const struct replaced *replaced;
    struct known_table *known;
};
struct now {
    struct goal *goals;
    const struct saved *query;
    const struct unknown *unknowns;
    const struct unknown *tested; /* variables for which false and undefined are the same */
    struct surroundings around;
};

struct goal {
    void (*go)(struct partial *p, struct goal *g);
    struct goal *next;
    struct site at;
    struct closed a, b, ref;
    struct ast_term **plugged;
    u32 pos;
    const struct rule_node *node;
    void *arg;
};
struct choice {
    void (*again)(struct partial *p, struct choice *c);
    struct choice *older;
    struct now was;
    struct binding *bound;
};

struct partial {
    struct heap *heap;
    const struct compiled *program;
    struct residual *residual;
    const struct policy_ask *ask;
    const struct partial_options *options;
    struct evaluation evaluation; /* for builtins, limits and errors */
    struct now now;
    struct choice *choices;
    struct binding *bound;
    struct env *root;
    u64 ids;
    u32 vars_made, copies_made, depth;
    str name_space;
    struct ast_term *input_ref, *data_ref, *yes;
    const struct disabled *disabled_from_start;
    u8 *rule_unknown; /* per rule, what unknown.c found: 0 not looked at, 1 no, 2 yes */
    u32 *rule_seen, seen_stamp, rule_count;
    const struct ast_rule **rule_queue;
    struct partial_answer *out;
    u32 miss_room;
    u32 query_room, support_room;
    struct support {
        struct ast_module *module;
        u32 room;
    } * support;
    struct space { /* of names: a path that was read, and under what it was */
        struct ast_term *const *path;
        u32 count, number;
        const void *known;
        const struct space *older;
    } * spaces;
    struct residual_names live; /* the query's own variables */
};

/* ---- solve.c: the loop ---- */
void *partial_alloc(struct partial *p, size_t n); /* zeroed; NULL: p has stopped */
bool partial_stopped(const struct partial *p);
void partial_fail(struct partial *p); /* back to the newest choice */
struct goal *goal_make(struct partial *p, void (*go)(struct partial *, struct goal *),
                       struct site at, struct goal *next);
void goal_next(struct partial *p, struct goal *k);
bool choice_push(struct partial *p, struct choice *c,
                 void (*again)(struct partial *, struct choice *));
void choice_pop(struct partial *p, struct choice *c);
void partial_solve(struct partial *p);
struct goal *goal_body(struct partial *p, const struct visit *f, struct goal *next);
struct visit *visit_make(struct partial *p, const struct ast_body *b, struct env *env);
struct env *env_make(struct partial *p);
struct goal *goal_restore(struct partial *p, struct goal *next); /* surroundings as they are now */
void partial_error(struct partial *p, enum policy_code code, const struct ast_location *at,
                   const char *message);

/* ---- bind.c ---- */
struct closed bind_apply(struct partial *p, struct closed t);
void bind_var(struct partial *p, struct closed var, struct closed to);
struct ast_term *bind_plug(struct partial *p, struct closed t);       /* bound variables replaced */
struct ast_term *bind_plug_named(struct partial *p, struct closed t); /* free ones named apart */
/* A comprehension with its variables named apart, none of them replaced. */
struct ast_term *bind_plug_closure(struct partial *p, const struct ast_term *t, struct env *env);
/* A body with bound variables replaced, those within closures too. */
struct ast_body *bind_plug_body(struct partial *p, const struct ast_body *b, struct env *env);
str bind_name(struct partial *p, str name, const struct env *env);
bool term_is_root(const struct ast_term *t); /* input or data, as a variable or alone in a ref */

/* ---- term.c ---- */
struct ast_term *term_of(struct partial *p, value v);
bool term_value(struct partial *p, const struct ast_term *t, value *v); /* false: not constant */
enum shape {
    SHAPE_SCALAR,
    SHAPE_VAR,
    SHAPE_REF,
    SHAPE_ARRAY,
    SHAPE_OBJECT,
    SHAPE_SET,
    SHAPE_CLOSURE,
    SHAPE_OTHER
};
enum shape term_shape(const struct ast_term *t);
u32 term_count(const struct ast_term *t);
const struct ast_term *term_key(struct partial *p, const struct ast_term *t, u32 i);
const struct ast_term *term_item(struct partial *p, const struct ast_term *t, u32 i);
bool terms_equal(const struct ast_term *a, const struct ast_term *b);
struct ast_term *term_ref(struct partial *p, struct ast_term *const *terms, u32 count);
struct ast_term *term_wrap(struct partial *p, const struct ast_term *leaf,
                           struct ast_term *const *keys, u32 count); /* {k0: {k1: leaf}} */
struct ast_term *term_set_of(struct partial *p, const struct ast_term *only);
/* A copy without values and bare roots, members of sets in order; of a body: in place. */
struct ast_term *term_plain(struct partial *p, const struct ast_term *t);
void body_plain(struct partial *p, struct ast_body *b);
bool expr_is_call(const struct ast_expr *e, const char *op);
struct ast_expr *expr_eq(struct partial *p, const struct ast_term *a, const struct ast_term *b);
struct ast_expr *expr_term(struct partial *p, const struct ast_term *t);
struct ast_expr *expr_call(struct partial *p, const struct ast_term *op,
                           struct ast_term *const *args, u32 count);
struct ast_body *expr_body(struct partial *p, struct ast_expr *const *exprs, u32 count);

/* ---- unknown.c ---- */
void unknown_push(struct partial *p, struct closed what);
bool unknown_has(struct partial *p, struct closed t);
bool unknown_has_deep(struct partial *p, struct closed t);
bool unknown_in_term(struct partial *p, const struct ast_term *t, struct env *env);
bool unknown_in_terms(struct partial *p, struct ast_term *const *terms, u32 count, struct env *env);
bool unknown_in_ref(struct partial *p, const struct ast_term *ref, u32 len, struct env *env);
bool unknown_in_expr(struct partial *p, const struct ast_expr *e, struct env *env);
bool unknown_in_body(struct partial *p, const struct ast_body *b, struct env *env);
void disabled_push(struct partial *p, const struct ast_term *ref, u32 len, bool internal);
bool disabled_ref(struct partial *p, struct ast_term *const *terms, u32 len, bool skip_internal);
bool is_tested(struct partial *p, const struct ast_term *var);
void unknown_vars_of(struct partial *p, struct closed t); /* variables in t become unknown */
void unknown_names(struct partial *p, struct residual_names *to);

/* ---- save.c ---- */
void save_expr(struct partial *p, struct site at, struct ast_expr *e, struct env *left,
               struct env *right, struct goal *k);
void save_unify(struct partial *p, struct site at, struct closed a, struct closed b,
                struct goal *k);
void save_call(struct partial *p, struct site at, u32 arity, struct ast_term *const *terms,
               u32 count, struct goal *k);
struct ast_body *save_query(struct partial *p); /* what was saved so far, as a body */
/* Without the negations of what by its types can never hold. NULL: it can never hold itself. */
struct ast_body *save_settled(struct partial *p, struct ast_body *b);
void support_add(struct partial *p, const struct ast_term *package, struct ast_rule *r);
bool support_has(struct partial *p, struct ast_term *const *path, u32 count);
u32 support_split(struct ast_term *const *path, u32 count); /* terms of the package */
u32 support_space(struct partial *p, struct ast_term *const *path, u32 count);
struct ast_term *name_spaced(struct partial *p, struct ast_term *const *terms, u32 count,
                             u32 space);

/* ---- unify.c ---- */
void partial_unify(struct partial *p, struct site at, struct closed a, struct closed b,
                   struct goal *k);
struct goal *goal_unify(struct partial *p, struct site at, struct closed a, struct closed b,
                        struct goal *next);

/* ---- refs.c ---- */
struct reading { /* a ref on its way: terms before `pos` are followed */
    struct site at;
    struct closed ref;  /* the whole */
    struct closed with; /* what it is unified with in the end */
    u32 pos;
    struct goal *k;
};
void read_ref(struct partial *p, struct site at, struct closed ref, struct closed with,
              struct goal *k);
void read_term(struct partial *p, struct reading r, struct closed t);
value base_document(struct partial *p, struct ast_term *const *path, u32 count);

/* ---- rules.c ---- */
struct ruleset {
    struct ast_rule **rules; /* without the default */
    u32 count;
    const struct ast_rule *fallback;
    bool has_else, multi, ground;
};
void ruleset_read(struct partial *p, const struct rule_node *n, struct ruleset *to);
struct ruling {
    struct choice c;
    struct ruleset rules;
    u32 next;
    const struct ast_rule *rule;
    bool found, any;
    bool chains;   /* else-rules are tried while none before them was found */
    bool fallback; /* the default is tried when nothing was found */
    bool all;      /* and in any case */
    bool support;  /* found at least one rule of support */
    void (*enter)(struct partial *p, struct ruling *r, const struct ast_rule *rule);
    void (*finish)(struct partial *p, struct ruling *r);
    struct reading reading;
    struct ast_term **plugged;
    const struct rule_node *node;
    value v;                      /* of a document that is known */
    struct value_builder builder; /* likewise: members of a set, entries of an object */
    u32 depth;                    /* terms of the node's path */
    u32 space;                    /* of the names of its support */
    struct goal *then;
    struct ast_term *const *terms; /* of a call */
    u32 term_count, arity;
    const struct saved *asked; /* what was saved when the function was called, */
    struct given {             /* and what it gave with no more than that */
        const struct given *older;
        value v;
    } * given;
};
struct ruling *ruling_make(struct partial *p, const struct rule_node *n);
void ruling_start(struct partial *p, struct ruling *r);
struct goal *goal_found(struct partial *p, struct ruling *r, struct goal *next);
void rules_read(struct partial *p, struct reading r, struct ast_term **plugged,
                const struct rule_node *n);
/* The value of rules that depend on nothing unknown goes to `then` as g->a (without term: none). */
void rules_value(struct partial *p, struct site at, const struct rule_node *n, struct goal *then);

/* ---- call.c ---- */
void partial_call(struct partial *p, struct site at, struct ast_term *const *terms, u32 count,
                  struct goal *k);
bool is_function(struct partial *p, const struct ast_term *ref);
int call_arity(struct partial *p, const struct ast_term *op);

/* ---- with.c, negate.c, every.c ---- */
void partial_step_with(struct partial *p, struct site at, struct goal *k);
void partial_step(struct partial *p, struct site at, struct goal *k);
void partial_negate(struct partial *p, struct site at, struct goal *k);
void partial_every(struct partial *p, struct site at, struct goal *k);
struct ast_term *partial_amend(struct partial *p, struct closed a); /* a comprehension to save */
void partial_save_bodies(struct partial *p, struct site at, struct goal *k);
/* Saves a = b; what a comprehension of them uses of its surroundings is said within. */
void partial_save_closed(struct partial *p, struct site at, struct closed a, struct closed b,
                         struct goal *k);
void partial_unify_closure(struct partial *p, struct site at, struct closed a, struct closed b,
                           bool swapped, struct goal *k);

/* ---- copy.c ---- */
struct ast_body *copy_propagate(struct partial *p, const struct ast_body *b,
                                const struct residual_names *live,
                                const struct residual_names *outside, bool never_empty);

/* SPDX-License-Identifier: Apache-2.0 */
/* compile.h — from trees as written to the core the planner takes, and every error on the way.
 *
 * The passes follow the reference's, in its order, because the order decides which errors are
 * seen and in what words. When all have run without error, each rule and query is core Rego:
 *
 *  - every reference is whole: it starts with `data`, `input`, or a local variable or call's
 *    result; imports and rule names are resolved; a call's operator is a builtin's name or
 *    data.path;
 *  - local variables are unique within their rule or query ("__local3__"); `:=` and `some` are
 *    gone: eq(var, term) is left, with the variable first bound there; unification is eq/2;
 *  - no call is left inside a term: each is an expression before it, its result the last argument
 *    (plus(x, 1, __local4__)); comprehensions and refs that must be evaluated first likewise;
 *  - `every`, negation, `with` and comprehensions are kept as nodes; template strings, print, `in`,
 *    `and`/`or` and `not {}` are calls or nodes of the kinds kept;
 *  - bodies are ordered so that each expression's inputs are bound before it;
 *  - rule heads are refs with data's path in front of the module's package; values that are not
 *    ground are variables bound in the body. */
#pragma once
#include "app/policy/builtin/builtin.h"
#include "app/policy/lang/parse.h"

struct compile_options {
    bool strict;                 /* the reference's strict mode */
    bool keep_print;             /* print() is evaluated, else erased */
    bool all_errors;
    u32 errors_max;              /* 0: the reference's 10 */
    const char *const *unsafe_builtins; /* NULL-ended; refused by name */
    value schemas;               /* object path -> JSON schema, or UNDEFINED */
    value capabilities;          /* the reference's capabilities document, or UNDEFINED: all */
    /* Base documents, to find rules that overlay them ("conflicts"). May be UNDEFINED. */
    value data;
    bool test_builtins;          /* those with BUILTIN_TEST exist: its cases want them */
    bool rewrite_tests;          /* as its test runner: conditions of tests can be traced */
    bool test_cases;             /* as its test runner: names of tests are unique, cases are told */
};

/* A node of the tree of all rules: data.a.b.p */
struct rule_node {
    value key;                   /* string, or any ground key */
    struct rule_node **children; /* sorted by key */
    u32 child_count;
    struct ast_rule **rules;     /* whose ground prefix ends here */
    u32 rule_count;
    bool has_ref_rules;          /* some rule here has a variable further in its head: p[x].q */
    struct rule_node *parent;
    bool hide;                   /* under data.system, not part of `data` as a whole */
};

struct compiler;
struct compiled {
    struct heap *heap;
    struct ast_module **modules; /* rewritten, in order of file name */
    u32 module_count;
    struct rule_node *root;      /* "data" */
    struct ast_rule **order;     /* rules in an order where callees come before callers; none in
                                    a program made from another */
    u32 order_count;
    struct compiler *inner;      /* compile_impl.h: what queries compiled later need to know */
    struct compile_options options;
};
/* Takes the modules over (they are rewritten in place). RC_INVALID: see `errors`. */
rc_t compile_modules(struct heap *h, struct ast_module **modules, u32 count,
                     const struct compile_options *o, struct compiled **out,
                     struct policy_errors *errors);
/* The same after some modules changed (change.c). `modules`: those of `from` themselves where
 * nothing changed, parsed anew where something did; no name twice. Rules lie in `heap`, which must
 * live as long as any program that takes them over, as must the heaps `from` was made in; what is
 * of this program alone lies in `own`. Not two at a time from one origin. RC_PASS: it cannot be
 * told without compiling everything: an error most of all. `replaced`: this program shares the
 * nodes and the paths of `from` wherever it has the same rules, and whatever `from` has in its
 * `shared`; else those are its own, in its `shared`. */
struct compile_change {
    const struct compiled *from;
    struct heap *heap, *own, *shared;
    struct ast_module **modules;
    u32 count;
    struct ast_module *(*parse)(void *arg, const struct ast_file *file); /* one of from's once more,
                                                                    into `h`; NULL: no memory */
    void *arg;
};
rc_t compile_change(const struct compile_change *asked, const struct compile_options *o,
                    struct compiled **out, bool *replaced);
/* A query against what was compiled; rewritten in place. `imports`, `package` (both may be NULL/0)
 * as for a module. Names of variables as the user wrote them: `names` maps rewritten to written. */
struct type;
struct compiled_query {
    struct ast_body *body;
    struct { str rewritten, written; } *names;
    u32 name_count;
    /* Set by who asks, or NULL: is told the type of each ref, then of each variable. */
    void (*see_type)(void *arg, str what, const struct type *type);
    void *see_arg;
};
rc_t compile_query(struct heap *h, const struct compiled *c, struct ast_body *body,
                   const struct ast_term *package, const struct ast_import *imports,
                   u32 import_count, struct compiled_query *out,
                   struct policy_errors *errors);
str compiled_written_name(const struct compiled *c,
                          str name); /* of a rule's variable; else itself */
struct rule_node *rule_node_find(const struct rule_node *n, value key); /* NULL */

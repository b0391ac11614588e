/* SPDX-License-Identifier: Apache-2.0 */
/* ast.h — a policy as written: packages, imports, rules, bodies, expressions, terms.
 *
 * The shape follows the reference's own syntax tree, since its JSON form is part of the language
 * (rego.parse_module), its printed form is part of messages, and the compiler's passes rewrite
 * tree into tree until only the core is left. Nodes lie in one heap per module (or query) and die
 * with it. Nodes may be changed in place by the compiler that owns the tree; a term may be shared
 * only where said. Lists are pointer + count. */
#pragma once
#include "app/policy/value/value.h"

struct ast_file {      /* one source text */
    str name;          /* as given by the caller: "policy.rego"; empty for a query */
    str text;
};
struct ast_location {
    const struct ast_file *file; /* NULL: made by the compiler */
    u32 row, column;             /* from 1; columns count characters as the reference does */
    u32 offset, len;             /* bytes in file->text that the node was read from */
    u32 head;                    /* where row and column point: `offset`, unless the node is in
                                    parentheses, which are part of its text but not of its place */
};

enum ast_term_kind { /* the reference's order of types continues value.h's */
    AST_NULL, AST_BOOLEAN, AST_NUMBER, AST_STRING, /* `scalar` holds the value */
    AST_VAR,
    AST_REF,
    AST_ARRAY,
    AST_OBJECT,
    AST_SET,
    AST_ARRAY_COMPREHENSION,
    AST_OBJECT_COMPREHENSION,
    AST_SET_COMPREHENSION,
    AST_CALL,            /* operator(args) inside a term */
    AST_TEMPLATE_STRING, /* $"..{ }.." */
    AST_VALUE,           /* a ground value made by the compiler (constant folding): `scalar` */
};

struct ast_term;
struct ast_body;
struct ast_expr;
struct ast_pair { struct ast_term *key, *value; };
struct ast_part { struct ast_term *text; struct ast_expr *expr; }; /* one of them; the other NULL.
                                    `text` may be any scalar: {1} stands as it is */

struct ast_term {
    u8 kind;
    bool multiline;  /* template string with backticks */
    bool generated;  /* a variable the compiler made */
    u8 depth;        /* levels beneath, at most POLICY_SYNTAX_DEPTH_MAX in what the parser makes */
    u32 count;
    struct ast_location at;
    union {
        value scalar;
        str var;                  /* "_" of the source gets a name of its own: "$0" ... */
        struct ast_term **terms;  /* ref: head, then operands | array, set: elements |
                                     call: operator (a ref), then arguments */
        struct ast_pair *pairs;   /* object */
        struct ast_part *parts;   /* template string: AST_STRING texts, and expressions (a term or
                                     a call, perhaps with `with`) */
        struct {                  /* comprehensions */
            struct ast_term *head;  /* array, set; the value of an object's */
            struct ast_term *key;   /* object only */
            struct ast_body *body;
        } comprehension;
    };
};

struct ast_with {
    struct ast_term *target; /* ref: input..., data..., or a function's name */
    struct ast_term *value;
    struct ast_location at;
};

enum ast_expr_kind {
    AST_EXPR_TERM,    /* `term` alone */
    AST_EXPR_CALL,    /* terms[0] is the operator (a ref: eq, plus, data.f ...), then arguments */
    AST_EXPR_SOME,    /* some x, y  |  some k, v in xs (one term, a call of internal.member_2/3) */
    AST_EXPR_EVERY,
    AST_EXPR_LOGICAL, /* experimental `and` / `or` between bodies of conditions */
    AST_EXPR_NOT,     /* import future.keywords.not: `not { body }` */
};
struct ast_every {
    struct ast_term *key /* may be NULL */, *value, *domain;
    struct ast_body *body;
};
enum ast_logical_op { AST_AND, AST_OR };
struct ast_logical {
    enum ast_logical_op op;
    bool explicit_left, explicit_right; /* written in braces: may declare variables */
    struct ast_body *left, *right;
};

struct ast_expr {
    u8 kind;
    bool negated;
    bool generated;
    bool infix;             /* written with an operator: for the formatter */
    bool explicit_body;     /* NOT: written in braces; `not f(x)` is a NOT too, without them */
    bool from_assignment;   /* an eq the compiler made of := */
    u8 depth;               /* as a term's */
    u32 index;              /* position in its body as written */
    u32 count;              /* of terms */
    struct ast_term **terms; /* TERM: one; CALL: operator and arguments; SOME: the symbols */
    struct ast_every *every;
    struct ast_logical *logical;
    struct ast_body *not_body;
    struct ast_with *with;
    u32 with_count;
    struct ast_location at;
};
struct ast_body { struct ast_expr **exprs; u32 count; u8 depth; };

struct ast_head {
    str name;                /* when its ref is a single variable or p[x], else empty */
    struct ast_term *ref;    /* always: p, p.q.r, p[x].q */
    struct ast_term *key;    /* partial set `contains key`, and v0's p[key] */
    struct ast_term *value;  /* NULL only for partial sets; `true` if none was written */
    struct ast_term **args;  /* functions */
    u32 arg_count;
    bool is_function;        /* also with no arguments: f() */
    bool assign;             /* written with := */
    bool generated_value;    /* `true` was not written */
    bool has_if, has_contains; /* these keywords were written */
    struct ast_location at;
};
enum ast_rule_kind { AST_SINGLE_VALUE, AST_MULTI_VALUE };
struct ast_annotations;      /* annotations.h */
struct ast_module;
struct ast_rule {
    bool is_default;
    bool generated_body;     /* no body was written */
    struct ast_head *head;
    struct ast_body *body;   /* never NULL: `true` when none was written */
    struct ast_rule *otherwise; /* else */
    struct ast_annotations **annotations;
    u32 annotation_count;
    struct ast_module *module;
    void *notes;             /* the compiler's own, while it works */
    struct ast_location at;
};
static inline enum ast_rule_kind ast_rule_kind(const struct ast_rule *r) {
    return r->head->value ? AST_SINGLE_VALUE : AST_MULTI_VALUE;
}

struct ast_import { struct ast_term *path; str alias; struct ast_location at; };
struct ast_comment { str text; struct ast_location at; };
enum rego_version { REGO_V1, REGO_V0, REGO_V0_COMPAT_V1 /* v0 with import rego.v1 */ };

struct ast_module {
    const struct ast_file *file;
    enum rego_version version;
    struct ast_term *package;      /* ref: data.a.b */
    struct ast_location package_at;
    struct ast_import *imports;
    u32 import_count;
    struct ast_rule **rules;       /* in order of the source; else-chains hang on their first */
    u32 rule_count;
    struct ast_annotations **annotations;
    u32 annotation_count;
    struct ast_comment *comments;
    u32 comment_count;
};

/* ---- Making (place copied from `at`; may be NULL). NULL or a node of null: exhausted ---- */
struct ast_term *ast_scalar(struct heap *h, const struct ast_location *at, value v);
struct ast_term *ast_var(struct heap *h, const struct ast_location *at, str name);
struct ast_term *ast_list(struct heap *h, const struct ast_location *at, enum ast_term_kind kind,
                          struct ast_term *const *terms, u32 count); /* ref, array, set, call */
struct ast_expr *ast_expr_call(struct heap *h, const struct ast_location *at, str op,
                               struct ast_term *const *args, u32 count);
struct ast_term *ast_term_copy(struct heap *h, const struct ast_term *t); /* deep */
struct ast_body *ast_body_copy(struct heap *h, const struct ast_body *b);
struct ast_expr *ast_expr_copy(struct heap *h, const struct ast_expr *e);
struct ast_rule *ast_rule_copy(struct heap *h, const struct ast_rule *r);

/* ---- Looking ---- */
bool ast_term_is_ground(const struct ast_term *t);      /* no variables in it */
bool ast_term_is_constant(const struct ast_term *t);    /* scalars and collections of them alone */
value ast_term_value(struct heap *h, const struct ast_term *t); /* of a constant; else UNDEFINED */
struct ast_term *ast_of_value(struct heap *h, const struct ast_location *at, value v);
int ast_term_compare(const struct ast_term *a, const struct ast_term *b); /* locations aside */
int ast_body_compare(const struct ast_body *a, const struct ast_body *b);
bool ast_ref_starts(const struct ast_term *ref, const struct ast_term *prefix);

/* Walks every term, body, expression and rule beneath, parents first. A hook that returns false
 * keeps the walk from going beneath that node. NULL hooks are skipped. */
struct ast_walk {
    bool (*term)(struct ast_walk *w, struct ast_term **t);
    bool (*expr)(struct ast_walk *w, struct ast_expr *e);
    bool (*body)(struct ast_walk *w, struct ast_body *b);
    bool (*rule)(struct ast_walk *w, struct ast_rule *r);
    void *arg;
};
void ast_walk_term(struct ast_walk *w, struct ast_term **t);
void ast_walk_expr(struct ast_walk *w, struct ast_expr *e);
void ast_walk_body(struct ast_walk *w, struct ast_body *b);
void ast_walk_rule(struct ast_walk *w, struct ast_rule *r);

/* ---- Printing, as the reference prints a node in messages: data.a[x], {"k": v}, [x | y] ---- */
void ast_term_write(struct buf *to, const struct ast_term *t);
void ast_expr_write(struct buf *to, const struct ast_expr *e);
void ast_body_write(struct buf *to, const struct ast_body *b);
void ast_head_write(struct buf *to, const struct ast_head *h);
void ast_rule_write(struct buf *to, const struct ast_rule *r);
void ast_module_write(struct buf *to, const struct ast_module *m);
const char *term_kind_name(const struct ast_term *t); /* "ref", "setcomprehension" */
/* The operator a function is written with, "+" for plus, and how many arguments it takes; NULL. */
const char *ast_infix_of(const struct ast_term *op, u32 *arity);
/* The JSON form of a module, as rego.parse_module and `parse --format json` give it. */
value ast_module_json(struct heap *h, const struct ast_module *m, bool locations);
value ast_rule_json(struct heap *h, const struct ast_rule *r, bool locations); /* with its else */
value ast_body_json(struct heap *h, const struct ast_body *b, bool locations);
value ast_expr_json(struct heap *h, const struct ast_expr *e, bool locations);
value ast_term_json(struct heap *h, const struct ast_term *t, bool locations);

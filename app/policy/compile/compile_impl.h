/* SPDX-License-Identifier: Apache-2.0 */
/* compile_impl.h — what the passes share; for this folder alone.
 *
 * One `struct compiler` lives as long as the program it made, because queries are compiled against
 * it. Memory comes from the program's heap. When that is exhausted makers still return something
 * safe to write to, `compile_stopped` turns true, every loop and every recursion ends at its next
 * step, and the whole compilation answers RC_NO_MEMORY: so no pass checks each node it makes. */
#pragma once
#include "app/policy/compile/compile.h"
#include "app/policy/compile/type.h"
#include "kernel/base/limits.h"

/* ---- Sets of variables: in order of arrival; an index once they are many (varset.c) ---- */
struct varset {
    struct heap *heap;
    str *items;
    u32 count, room;
    u32 *index, mask; /* position + 1; NULL while small */
};
void varset_open(struct varset *s, struct heap *h);
bool varset_has(const struct varset *s, str v);
u32 varset_find(const struct varset *s, str v); /* its position; s->count: not there */
bool varset_add(struct varset *s, str v);       /* false: was there */
void varset_remove(struct varset *s, str v);
void varset_add_all(struct varset *s, const struct varset *from);
bool varset_within(const struct varset *s, const struct varset *of); /* every one of s is in `of` */
bool varset_equal(const struct varset *a, const struct varset *b);
void varset_clear(struct varset *s);
void varset_sort(struct varset *s); /* by name; for messages */

/* ---- Paths: a tree of keys with one hash table for all of its nodes (trie.c) ---- */
struct trie_node {
    value key;
    struct trie_node *parent, *first, *last, *next; /* children in order of arrival */
    u32 child_count, number;
    u8 key_kinds; /* of the children: 1 << enum value_kind */
    void *thing;
};
struct trie {
    struct heap *heap;
    struct trie_node root;
    struct trie_node **slots;
    u32 mask, count;
};
void trie_open(struct trie *t, struct heap *h);
void trie_reserve(struct trie *t, u32 count); /* about so many nodes will come */
struct trie_node *trie_child(const struct trie *t, const struct trie_node *n, value key);
struct trie_node *trie_child_str(const struct trie *t, const struct trie_node *n, str key);
struct trie_node *trie_make(struct trie *t, struct trie_node *n, value key);
struct trie_node *trie_make_str(struct trie *t, struct trie_node *n, str key);
/* By a term of a ref: a variable at its head counts as its name. NULL: not a scalar, or absent. */
struct trie_node *trie_child_term(const struct trie *t, const struct trie_node *n,
                                  const struct ast_term *key);
/* The same nodes with the same numbers and things, in `to`'s heap; `to` is empty. `keys`: theirs
 * are copied as well, as the first node's is always; else they lie with rules, and stay. What is
 * answered lies in `scratch`: the new nodes by number. NULL: no memory. */
struct trie_node **trie_copy(struct trie *to, const struct trie *from, bool keys,
                             struct heap *scratch);
void trie_remove(struct trie *t, struct trie_node *n); /* a leaf; its number stays free */

/* A node of the tree of rules while it grows. */
struct place {
    struct rule_node node;
    struct trie_node *at;
    u32 rule_room;
    struct ast_module **modules; /* whose package this is */
    u32 module_count, module_room;
};

/* What the source of a rule has, told by one look at it, so that passes skip rules they would
 * leave as they are. */
enum {
    HAS_TEMPLATE = 1,
    HAS_CALL_TERM = 2,
    HAS_PRINT = 4,
    HAS_METADATA = 8,
    HAS_CLOSURE = 16,
    HAS_WITH = 32,
    HAS_NESTED = 64, /* every, not { }, and, or */
    HAS_DECLARED = 128, /* := or some */
    HAS_DATA = 256, /* a ref to data, as written or by a name that stands for one */
    HAS_INNER = HAS_TEMPLATE | HAS_PRINT | HAS_CLOSURE | HAS_WITH | HAS_NESTED,
};
struct rule_notes {
    u32 number; /* of all rules, else-rules too */
    u16 has;
    bool typed;            /* its type is known */
    bool typed_first;      /* and was the first to be */
    bool constant;         /* as written: a value, and no condition */
    bool needs_all;        /* it asks for `data` as a whole */
    u32 need_count;
    u32 ground;            /* of a finished rule: terms of its ref before the first variable */
    struct ast_term **needs; /* the refs to data in it, once it is rewritten (graph.c) */
    const struct type *type; /* once typed; NULL: none */
    struct place *place;   /* of a rule's ground prefix; of the first rule for an else */
    struct ast_term *full; /* data.package.p[x]: made when first asked for (rule_full_ref) */
};

/* At a path of compiler.annotations: what is said of the document or the packages from there on,
 * and of the package alone. */
struct ast_annotations;
struct said {
    struct ast_annotations *path, *package;
};

/* Variables the compiler makes: "__local3__", in a query "__localq3__". */
struct local {
    str written;                    /* the variable it stands for; empty: for none */
    const struct ast_term *subject; /* the term it stands for, in messages; or NULL */
};
struct locals {
    const char *prefix;
    u32 next, room;
    struct local *items;
    struct varset taken; /* variables of the source that look like these */
};

struct type_env;
struct schema_memo;
struct compiler {
    struct heap *heap; /* of rules and all that is known of them */
    struct heap
        *own; /* of this program alone: the tree; the same as `heap` unless change.c works */
    struct heap scratch; /* rewound after each rule or query */
    struct heap spare;   /* for the last steps once the other is exhausted */
    bool spare_used, too_deep;
    u32 depth;
    char *sink; /* SINK_BYTES to write to when even that is gone */
    struct policy_errors *errors;
    u32 error_max;              /* 0: no end */
    u8 stage;                   /* of the pass that runs: enum stage of compile.c */
    u8 failed_stage;            /* the first that found something wrong, once any has */
    struct policy_error *found; /* its errors */
    u32 error_count, found_room;
    u32 error_seen; /* kept or not */
    struct compiled *out;
    const struct compile_options *options;

    struct trie *paths;    /* of rules and packages; shared by programs of the same paths */
    struct place **places; /* by number of the path's node (node_place) */
    u32 place_room;
    struct place *data; /* "data" in it */
    struct ast_rule **rules; /* all, else-rules behind their first; by notes->number */
    u32 rule_count, rule_room;
    u32 rules_first; /* how many they were when they were last numbered; 0: never since */
    u32 numbering, *numbering_now; /* which one this list is of, and which one the rules have: they
                                      are of all programs of a line, and changed for the last */
    struct trie *exports;     /* per package: the names of its rules; empty when made by change.c,
                                 then they are gathered when a package's are needed */
    bool exports_by_need;
    struct trie *annotations; /* per package path: what was said of it (metadata.c) */

    struct locals locals;              /* of the program, or of the query that is compiled */
    const struct locals *outer;        /* a query's program's */
    bool *allowed;                     /* per builtin; NULL: all of them */
    bool features_limited;             /* a capabilities document was given */
    u32 features;                      /* FEATURE_ bits that it allows */
    const struct type **builtin_types; /* parsed when first asked for */
    u64 builtin_filter[4];             /* which first letters and lengths their plain names have */
    u16 *builtin_slots;                /* by hash of the name: 1 + its index, 0: free */
    struct type_env *types;            /* of the program */
    struct schema_memo *schemas;
    bool any_schemas;        /* annotations have some */
    bool saw_deprecated;     /* some rule calls a deprecated builtin */
    bool types_stand;        /* `types` is another program's too: rules' types are not put in */
    struct graph *graph;     /* graph.c: while the program is compiled */
    struct checker *checker; /* check.c: likewise */
    struct heap lasting;     /* of those two: scratch that outlives a rule */
    const struct type *input_type;
};
enum { SINK_BYTES = 65536, COMPILE_DEPTH_MAX = 1000 };

/* For what comes after the program: queries, and what partial evaluation asks. (compile.c) */
struct compiler *compile_borrow(struct heap *h, const struct compiled *p,
                                struct policy_errors *errors); /* NULL: no memory */
void compile_return(struct compiler *c);

/* ---- Memory and errors (compile.c) ---- */
void *compile_alloc(struct compiler *c, size_t n); /* zeroed; never NULL for n <= SINK_BYTES */
void *compile_list(struct compiler *c, u32 *count,
                   size_t item_bytes); /* count becomes 0: no room */
/* The same from the program's own heap. */
void *own_list(struct compiler *c, u32 *count, size_t item_bytes);
static inline bool compile_stopped(const struct compiler *c) {
    return c->heap->exhausted || c->scratch.exhausted || c->lasting.exhausted || c->too_deep ||
           c->own->exhausted;
}
/* Both in every recursion: false says turn back. */
static inline bool compile_enter(struct compiler *c) {
    if (++c->depth > COMPILE_DEPTH_MAX) c->too_deep = true;
    return !compile_stopped(c);
}
static inline void compile_leave(struct compiler *c) {
    c->depth--;
}
/* NULL: the limit of errors is reached, and that was said. */
struct policy_error *compile_error(struct compiler *c, enum policy_code code,
                                   const struct ast_location *at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static inline bool compile_full(const struct compiler *c) { /* further errors are not kept */
    if (c->error_count && c->stage > c->failed_stage) return true;
    return c->error_max && c->error_count >= c->error_max && c->stage == c->failed_stage;
}
static inline bool compile_failed(const struct compiler *c) {
    return c->error_count > 0;
}
str compile_text(struct compiler *c, const struct buf *b);           /* kept in the heap */
str compile_term_text(struct compiler *c, const struct ast_term *t); /* as written in messages */

/* ---- Nodes (node.c). Locations are copied. ---- */
struct ast_term *new_term(struct compiler *c, enum ast_term_kind kind,
                          const struct ast_location *at);
struct ast_term *new_var(struct compiler *c, str name, const struct ast_location *at);
struct ast_term *new_ref_to(struct compiler *c, str name, const struct ast_location *at);
struct ast_term *new_list(struct compiler *c, enum ast_term_kind kind,
                          const struct ast_location *at, struct ast_term **terms,
                          u32 count); /* takes the array over */
struct ast_term *new_local(struct compiler *c, const struct ast_location *at);
struct ast_expr *new_expr(struct compiler *c, const struct ast_location *at);
struct ast_expr *new_term_expr(struct compiler *c, struct ast_term *t);
struct ast_expr *new_eq(struct compiler *c, struct ast_term *a, struct ast_term *b,
                        const struct ast_location *at);
/* eq(new local, t), generated: what takes the place of t is its first operand. */
struct ast_expr *new_capture(struct compiler *c, struct ast_term *t);
struct ast_body *new_body(struct compiler *c, struct ast_expr *only);
struct ast_term *new_set_of(struct compiler *c, struct ast_term *t, struct ast_with *with,
                            u32 with_count); /* {x | x = t with ...}: a set, empty if undefined */

struct exprs {
    struct ast_expr **items;
    u32 count, room;
};
void exprs_add(struct compiler *c, struct exprs *to, struct ast_expr *e);
void exprs_add_all(struct compiler *c, struct exprs *to, const struct exprs *from);
void body_set(struct compiler *c, struct ast_body *b,
              const struct exprs *to); /* and numbers them */
void body_append(struct compiler *c, struct ast_body *b, const struct exprs *more);

static inline struct ast_term **operands(const struct ast_expr *e) {
    return e->terms + 1;
}
static inline u32 operand_count(const struct ast_expr *e) {
    return e->count ? e->count - 1 : 0;
}
static inline bool is_scalar(const struct ast_term *t) {
    return t->kind <= AST_STRING || (t->kind == AST_VALUE && t->scalar.kind <= VALUE_STRING);
}
bool is_input(const struct ast_term *t); /* a place in it that is known: input.a["b"][0] */
bool is_fixed(const struct ast_term *t); /* made of constants and such places alone */
static inline bool is_closure(const struct ast_term *t) { /* a comprehension */
    return t->kind >= AST_ARRAY_COMPREHENSION && t->kind <= AST_SET_COMPREHENSION;
}
static inline bool is_var_str(const struct ast_term *t, str name) {
    return t->kind == AST_VAR && str_eq(t->var, name);
}
#define is_var_named(t, name) is_var_str((t), S(name))
static inline bool is_call_str(const struct ast_expr *e, str name) {
    if (e->kind != AST_EXPR_CALL || !e->count) return false;
    const struct ast_term *op = e->terms[0];
    return op->kind == AST_REF && op->count == 1 && is_var_str(op->terms[0], name);
}
#define is_call_of(e, name) is_call_str((e), S(name)) /* an operator of one word */
static inline bool is_equality(const struct ast_expr *e) {
    return is_call_of(e, "eq");
}
static inline bool is_assignment(const struct ast_expr *e) {
    return is_call_of(e, "assign");
}
bool is_root_document(const struct ast_term *t); /* `input` or `data`, and nothing more */
bool is_wildcard(str v);
bool is_generated(str v);
bool is_negated(const struct ast_expr *e);
bool is_true_body(const struct ast_body *b);
bool is_fixed_body(const struct ast_body *b); /* calls of what is_fixed() alone */
bool ref_is_ground(const struct ast_term *ref);
u32 ref_ground_len(const struct ast_term *ref); /* terms before the first variable */
bool needs_eval(const struct ast_term *t);      /* refs or comprehensions within */

/* ---- Locals (node.c) ---- */
str local_make(struct compiler *c);
struct local *local_of(const struct compiler *c, str v); /* NULL: not one of these */
str written_name(const struct compiler *c, str v);
/* The ref with written names (and subjects) for made ones: a copy when any was in it. */
const struct ast_term *written_ref(struct compiler *c, const struct ast_term *ref, bool subjects);

/* ---- Walking (walk.c): parents first; a hook that answers true keeps from going beneath ---- */
struct walk {
    struct compiler *c;
    bool (*term)(struct walk *w, struct ast_term *t);
    bool (*expr)(struct walk *w, struct ast_expr *e);
    bool (*body)(struct walk *w, struct ast_body *b);
    bool (*with)(struct walk *w, struct ast_with *m);
    void *arg;
};
void walk_term(struct walk *w, struct ast_term *t);
void walk_expr(struct walk *w, struct ast_expr *e);
void walk_body(struct walk *w, struct ast_body *b);
void walk_head(struct walk *w, struct ast_head *h); /* arguments, key, value: not the ref */
void walk_rule(struct walk *w, struct ast_rule *r); /* without its else */

enum { /* what a look for variables leaves out */
       SKIP_REF_HEAD = 1,
       SKIP_CALL_HEAD = 2,
       SKIP_OBJECT_KEYS = 4,
       SKIP_CLOSURES = 8,
       SKIP_SETS = 16,
       PROMOTE = 32, /* what operands of not/and/or without braces need from outside */
       SKIP_TEMPLATES = 64,
};
enum { SAFETY = SKIP_CALL_HEAD | SKIP_CLOSURES };
void vars_of_term(struct compiler *c, struct varset *to, const struct ast_term *t, unsigned skip);
void vars_of_expr(struct compiler *c, struct varset *to, const struct ast_expr *e, unsigned skip);
void vars_of_body(struct compiler *c, struct varset *to, const struct ast_body *b, unsigned skip);
void vars_of_with(struct compiler *c, struct varset *to, const struct ast_with *w, unsigned skip);
void vars_of_args(struct compiler *c, struct varset *to, const struct ast_head *h, unsigned skip);
void vars_of_head(struct compiler *c, struct varset *to, const struct ast_head *h);
void vars_of_closures(struct compiler *c, struct varset *to, const struct ast_expr *e);
void declared_vars(struct compiler *c, struct varset *to, struct ast_body *b);

/* Every rule in order of the source, else-rules right behind theirs. */
#define EACH_MODULE(c, m)                                                                          \
    for (u32 m##_i = 0; m##_i < (c)->out->module_count && !compile_stopped(c); m##_i++)            \
        for (struct ast_module *m = (c)->out->modules[m##_i]; m; m = NULL)
#define EACH_RULE(c, r)                                                                            \
    for (u32 r##_i = 0; r##_i < (c)->rule_count && !compile_stopped(c); r##_i++)                   \
        for (struct ast_rule *r = (c)->rules[r##_i]; r; r = NULL)
static inline struct rule_notes *notes_of(const struct ast_rule *r) {
    return r->notes;
}
/* Has it been through all passes: is its head's ref whole? */
static inline bool rule_is_finished(const struct ast_rule *r) {
    const struct rule_notes *n = r->notes;
    return n && n->full && n->full == r->head->ref;
}
/* Terms of its full ref before the first variable. */
static inline u32 rule_ground_len(const struct ast_rule *r) {
    if (rule_is_finished(r)) return notes_of(r)->ground;
    return r->module->package->count + ref_ground_len(r->head->ref);
}

/* ---- The passes in their order (compile.c) ---- */
enum stage {
    STAGE_RESOLVE,
    STAGE_HEAD_REFS,
    STAGE_OVERRIDES,
    STAGE_IMPORTS,
    STAGE_LOCALS,
    STAGE_TEMPLATES,
    STAGE_VOID_CALLS,
    STAGE_PRINTS,
    STAGE_CALLS,
    STAGE_METADATA,
    STAGE_COMPREHENSIONS,
    STAGE_HEADS,
    STAGE_WITHS,
    STAGE_CONFLICTS,
    STAGE_FUNCTIONS,
    STAGE_HEAD_SAFETY,
    STAGE_SAFETY,
    STAGE_DYNAMICS,
    STAGE_RECURSION,
    STAGE_TYPES,
    STAGE_UNSAFE,
    STAGE_DEPRECATED,
};
struct compiler *compiler_open(struct heap *h, struct heap *own, const struct compile_options *o,
                               struct policy_errors *errors); /* NULL: no memory */
void compiler_close(struct compiler *c);
struct compiled *compiled_open(struct compiler *c, struct ast_module **modules, u32 count);
void look_at_module(struct compiler *c, struct ast_module *m);
void rewrite_module(struct compiler *c, struct ast_module *m);
void finish_program(struct compiler *c);

/* ---- Builtins and functions (functions.c) ---- */
const struct builtin *builtin_allowed(const struct compiler *c, str name);
const struct builtin *builtin_of_ref(const struct compiler *c, const struct ast_term *ref);
bool builtin_named(const struct compiler *c, str plain_name); /* quick: a plain variable's name */
const struct type *builtin_type(struct compiler *c, const struct builtin *b);
int arity_of(struct compiler *c, const struct ast_term *ref); /* -1: no such function */
enum {
    FEATURE_REF_HEAD_STRING_PREFIXES = 1,
    FEATURE_REF_HEADS = 2,
    FEATURE_REGO_V1_IMPORT = 4,
    FEATURE_REGO_V1 = 8,
    FEATURE_TEMPLATE_STRINGS = 16,
    FEATURE_KEYWORDS_IN_REFS = 32,
};
void read_capabilities(struct compiler *c);
bool module_is_v1_compatible(const struct ast_module *m);

/* ---- The tree of rules (tree.c) ---- */
void export_names(struct compiler *c);
bool same_package(const struct ast_term *a, const struct ast_term *b);
/* The names of the rules of one package, into a trie of their own. */
void export_package(struct compiler *c, const struct compiled *of, const struct ast_term *package,
                    struct trie *to);
void note_rule(struct compiler *c, struct ast_rule *r); /* its number and features */
void plant_module(struct compiler *c, struct ast_module *m);
void plant_rules(struct compiler *c);
void finish_tree(struct compiler *c);
struct place *place_of(const struct compiler *c, const struct ast_term *ref, u32 len);
/* NULL: nothing is there yet. Not for the root. */
static inline struct place *node_place(const struct compiler *c, const struct trie_node *n) {
    return n->number < c->place_room ? c->places[n->number] : NULL;
}
struct ast_term *rule_full_ref(struct compiler *c, struct ast_rule *r);
str rule_text(struct compiler *c, struct ast_rule *r); /* the full ref, printed */

/* ---- Passes over one rule, in order (compile.c) ---- */
struct globals;
struct globals *resolve_open(struct compiler *c,
                             struct ast_module *m); /* resolve.c; NULL: no memory */
void resolve_one(struct globals *g, struct ast_rule *r);
void resolve_close(struct globals *g);                                    /* tells unused imports */
void rewrite_head_ref(struct compiler *c, struct ast_rule *r);            /* head.c */
void check_overrides(struct compiler *c, struct ast_rule *r, bool first); /* strict.c */
void rewrite_locals(struct compiler *c, struct ast_rule *first);     /* locals.c: else-rules too */
bool rule_is_constant(const struct ast_rule *r);                     /* template.c */
bool place_is_always_defined(const struct place *p);
void rewrite_templates(struct compiler *c, struct ast_rule *r);      /* template.c */
void check_void_calls(struct compiler *c, struct ast_rule *r);       /* functions.c */
void rewrite_prints(struct compiler *c, struct ast_rule *r);         /* print.c */
void rewrite_calls(struct compiler *c, struct ast_rule *r);          /* expand.c */
void rewrite_metadata(struct compiler *c, struct ast_rule *r);       /* metadata.c */
void rewrite_comprehensions(struct compiler *c, struct ast_rule *r); /* expand.c */
void rewrite_head(struct compiler *c, struct ast_rule *r);           /* head.c */
void rewrite_withs(struct compiler *c, struct ast_rule *r);          /* with.c */
void check_functions(struct compiler *c, struct ast_rule *r);        /* functions.c */
void check_head_safety(struct compiler *c, struct ast_rule *r);      /* safety.c */
void check_body_safety(struct compiler *c, struct ast_rule *r);
/* Orders the body. False: something in it is bound neither by it nor before it. */
bool body_is_safe(struct compiler *c, struct ast_body *b, const struct varset *bound);
void rewrite_dynamics(struct compiler *c, struct ast_rule *r); /* dynamic.c */
void rewrite_tests(struct compiler *c, struct ast_rule *r);

/* ---- Tests (test_cases.c), with options->test_cases ---- */
u32 test_name_len(const struct ast_term *ref); /* terms that name the test; 0: it is none */
void name_tests(struct compiler *c);
void tell_test_cases(struct compiler *c, struct ast_rule *r);
void check_unsafe_builtins(struct compiler *c, struct ast_rule *r); /* strict.c */
void check_deprecated_builtins(struct compiler *c, struct ast_rule *r);

/* ---- Passes over all ---- */
void check_imports(struct compiler *c);   /* strict.c */
void check_module_imports(struct compiler *c, struct ast_module *m);
void gather_metadata(struct compiler *c); /* metadata.c */
void check_conflicts(struct compiler *c); /* conflict.c */
void check_place_conflicts(struct compiler *c, const struct place *p); /* of this path alone */
void check_module_conflicts(struct compiler *c, struct ast_module *m); /* with other packages */
void check_document_conflicts(struct compiler *c);
void graph_open(struct compiler *c);      /* graph.c */
bool graph_note(struct compiler *c, struct ast_rule *r);
void check_recursion(struct compiler *c);
/* Of the rules with numbers from `from` on, which are the only ones that may be in a cycle. */
void check_recursion_from(struct compiler *c, u32 from);
void checker_open(struct compiler *c); /* check.c */
void type_rule(struct compiler *c, struct ast_rule *r);
void check_types(struct compiler *c);
void tell_types(struct compiler *c, struct ast_body *b, const struct compiled_query *q);
str import_name(const struct ast_import *i); /* strict.c */
str import_text(struct compiler *c, const struct ast_import *i);

/* ---- The same for one body, as queries need them ---- */
struct import_scope {
    const struct ast_term *package;
    struct ast_import *imports;
    u32 count;
};
void resolve_query(struct compiler *c, struct ast_body *b, const struct import_scope *scope);
void override_errors(struct compiler *c, struct ast_body *b);
void locals_of_query(struct compiler *c, struct ast_body *b);
void templates_in_body(struct compiler *c, struct ast_body *b, const struct varset *safe);
void void_calls_in_body(struct compiler *c, struct ast_body *b);
void prints_in_body(struct compiler *c, struct ast_body *b, const struct varset *safe);
void erase_prints(struct compiler *c, struct ast_body *b);
void calls_in_body(struct compiler *c, struct ast_body *b);
void comprehensions_in_body(struct compiler *c, struct ast_body *b);
void withs_in_body(struct compiler *c, struct ast_body *b);
void functions_in_body(struct compiler *c, struct ast_body *b);
void safety_of_query(struct compiler *c, struct ast_body *b);
void dynamics_in_body(struct compiler *c, struct ast_body *b);
void types_of_query(struct compiler *c, struct ast_body *b);
void unsafe_builtins_in_body(struct compiler *c, struct ast_body *b);
void deprecated_builtins_in_body(struct compiler *c, struct ast_body *b);

/* ---- Safety's parts (output.c): what variables running an expression binds ---- */
void outputs_of_expr(struct compiler *c, struct varset *to, const struct ast_expr *e,
                     const struct varset *safe);
void outputs_of_body(struct compiler *c, struct varset *to, struct ast_expr *const *exprs,
                     u32 count, const struct varset *safe); /* without those already safe */
void outputs_of_eq(struct compiler *c, struct varset *to, const struct ast_expr *e,
                   const struct varset *safe);

/* ---- Types' parts ---- */
void type_env_open(struct compiler *c); /* check.c */
/* The details printed below a type error (check_error.c). */
void details_of_args(struct compiler *c, struct policy_error *e, const struct type *const *have,
                     u32 have_count, const struct type *function, bool with_result);
/* JSON schema to type; NULL with the reason in `why`. (schema.c) */
const struct type *type_of_schema(struct compiler *c, value schema, str *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c — the passes in their order, and what all of them stand on: memory and errors.
 *
 * In the reference each pass goes over all rules, and one that finds errors is the last: which
 * errors are told depends on their order. Ten thousand rules do not fit a processor's cache, so
 * here as many passes as can be go over a rule while it is near:
 *
 *   1  names exported; then per rule: noted, resolved, head plain, shadowing refused
 *   2  the tree of rules is planted
 *   3  per rule: everything from local variables to dynamic terms
 *   4  conflicts, recursion, types over all; builtins refused
 *
 * Each error knows the stage of the pass that found it; those of the earliest stage are told. A
 * rule that has one goes no further, nor does any go further than the earliest stage that failed.
 */
#include "app/policy/compile/compile_impl.h"
#include <stdarg.h>
#include <stdio.h>

/* ---- Memory --------------------------------------------------------------------------------- */

enum { SPARE_BYTES = 1 << 20, SCRATCH_BYTES_MAX = 256 << 20, ERRORS_MAX = 10 };

/* The heap, then a reserve, then a sink that all share: by then every loop is about to end. */
void *compile_alloc(struct compiler *c, size_t n) {
    void *p = heap_alloc(c->heap, n);
    if (!p) p = heap_alloc(&c->spare, n);
    if (!p && n <= SINK_BYTES) p = c->sink;
    if (p) memset(p, 0, n);
    return p;
}

void *compile_list(struct compiler *c, u32 *count, size_t item_bytes) {
    size_t n = (size_t)*count * item_bytes;
    if (*count && n / *count != item_bytes) n = SIZE_MAX;
    void *p = n <= SINK_BYTES ? compile_alloc(c, n ? n : 1) : heap_alloc(c->heap, n);
    if (p && n > SINK_BYTES) memset(p, 0, n);
    if (!p || c->heap->exhausted) *count = 0;
    return p;
}

void *own_list(struct compiler *c, u32 *count, size_t item_bytes) {
    struct heap *rules = c->heap;
    c->heap = c->own;
    void *p = compile_list(c, count, item_bytes);
    c->heap = rules;
    return p;
}

str compile_text(struct compiler *c, const struct buf *b) {
    if (!b->len) return (str){0};
    value v = value_string(c->heap, buf_str(b));
    return value_is(v, VALUE_STRING) ? value_str(v) : (str){0};
}

str compile_term_text(struct compiler *c, const struct ast_term *t) {
    if (t->kind == AST_VAR) return is_wildcard(t->var) ? S("_") : t->var;
    if (t->kind == AST_REF && t->count == 1 && t->terms[0]->kind == AST_VAR)
        return compile_term_text(c, t->terms[0]);
    struct buf b;
    buf_open(&b, KIB(64));
    ast_term_write(&b, t);
    str text = compile_text(c, &b);
    buf_close(&b);
    return text;
}

/* ---- Errors --------------------------------------------------------------------------------- */

/* Of the earliest stage that found any: an earlier one takes the place of what later ones found. */
static struct policy_error *keep_error(struct compiler *c) {
    if (!c->error_count || c->stage < c->failed_stage) {
        c->error_count = 0;
        c->failed_stage = c->stage;
    }
    if (c->error_count == c->found_room) {
        u32 room = c->found_room ? c->found_room * 2 : 16;
        struct policy_error *found = compile_list(c, &room, sizeof *found);
        if (room <= c->error_count) return NULL;
        if (c->error_count) memcpy(found, c->found, c->error_count * sizeof *found);
        c->found = found;
        c->found_room = room;
    }
    return &c->found[c->error_count++];
}

struct policy_error *compile_error(struct compiler *c, enum policy_code code,
                                   const struct ast_location *at, const char *fmt, ...) {
    c->error_seen++;
    if (compile_full(c)) return NULL;
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *text = n < 0 ? NULL : heap_alloc(c->errors->heap, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    struct policy_error *e = text ? keep_error(c) : NULL;
    if (!e) return NULL;
    *e = (struct policy_error){.code = code, .message = {text, (size_t)n}, .detail = UNDEFINED};
    if (at) e->at = *at;
    return e;
}

static void tell_errors(struct compiler *c) {
    for (u32 i = 0; i < c->error_count; i++) {
        const struct policy_error *from = &c->found[i];
        struct policy_error *e =
            policy_error_add(c->errors, from->code, &from->at, "%.*s", STR(from->message));
        if (!e) return;
        e->details = from->details;
        e->detail_count = from->detail_count;
        e->detail = from->detail;
    }
    if (!c->error_max || c->error_count < c->error_max) return;
    struct policy_error *last =
        policy_error_add(c->errors, POLICY_COMPILE_ERROR, NULL, "error limit reached");
    (void)last; /* the caller's own limit may have said so */
}

/* ---- Opening and closing --------------------------------------------------------------------- */

struct compiler *compiler_open(struct heap *h, struct heap *own, const struct compile_options *o,
                               struct policy_errors *errors) {
    struct compiler *c = heap_alloc(own, sizeof *c);
    if (!c) return NULL;
    *c = (struct compiler){.heap = h, .own = own, .errors = errors, .options = o};
    c->sink = heap_alloc(own, SINK_BYTES);
    c->error_max = o->all_errors ? 0 : o->errors_max ? o->errors_max : ERRORS_MAX;
    heap_open(&c->scratch, SCRATCH_BYTES_MAX);
    heap_open(&c->spare, SPARE_BYTES);
    heap_open(&c->lasting, SCRATCH_BYTES_MAX);
    struct trie *tries = heap_alloc(own, 3 * sizeof *tries);
    if (!tries) return NULL;
    for (u32 i = 0; i < 3; i++) trie_open(&tries[i], own);
    c->paths = &tries[0], c->exports = &tries[1], c->annotations = &tries[2];
    c->locals.prefix = "__local";
    varset_open(&c->locals.taken, own);
    return c->sink ? c : NULL;
}

void compiler_close(struct compiler *c) {
    heap_close(&c->scratch);
    heap_close(&c->spare);
    heap_close(&c->lasting);
    c->graph = NULL;
    c->checker = NULL;
    c->errors = NULL;
}

static int module_order(const struct ast_module *a, const struct ast_module *b) {
    if (!a->file || !b->file) return a->file ? 1 : b->file ? -1 : 0;
    return str_cmp(a->file->name, b->file->name);
}

static void sort_modules(struct ast_module **m, u32 count, struct ast_module **spare) {
    u32 half = count / 2, a = 0, b = half, n = 0, ordered = 1;
    while (ordered < count && module_order(m[ordered - 1], m[ordered]) <= 0) ordered++;
    if (ordered >= count) return;
    sort_modules(m, half, spare);
    sort_modules(m + half, count - half, spare);
    while (a < half && b < count) spare[n++] = module_order(m[a], m[b]) <= 0 ? m[a++] : m[b++];
    while (a < half) spare[n++] = m[a++];
    while (b < count) spare[n++] = m[b++];
    memcpy(m, spare, count * sizeof *m);
}

struct compiled *compiled_open(struct compiler *c, struct ast_module **modules, u32 count) {
    struct compiled *p = heap_alloc(c->own, sizeof *p);
    struct ast_module **list = heap_alloc(c->own, (2 * (size_t)count + 1) * sizeof *list);
    if (!p || !list) return NULL;
    *p = (struct compiled){.heap = c->heap,
                           .modules = list,
                           .module_count = count,
                           .inner = c,
                           .options = *c->options};
    if (count) memcpy(list, modules, count * sizeof *list);
    sort_modules(list, count, list + count);
    c->out = p;
    c->options = &p->options;
    return p;
}

/* ---- Modules -------------------------------------------------------------------------------- */

/* Did the rule that is looked at come through the stages so far? */
static bool goes_on(const struct compiler *c, enum stage next) {
    return !compile_stopped(c) && !(compile_failed(c) && next > c->failed_stage);
}

static void first_look(struct compiler *c, struct globals *g, struct ast_rule *first) {
    for (struct ast_rule *r = first; r; r = r->otherwise) {
        r->module = first->module;
        note_rule(c, r);
        c->stage = STAGE_RESOLVE;
        resolve_one(g, r);
    }
    c->stage = STAGE_HEAD_REFS;
    if (goes_on(c, STAGE_HEAD_REFS)) rewrite_head_ref(c, first);
    for (struct ast_rule *r = first; r; r = r->otherwise)
        notes_of(r)->constant = rule_is_constant(r);
    c->stage = STAGE_OVERRIDES;
    for (struct ast_rule *r = first; r && goes_on(c, STAGE_OVERRIDES); r = r->otherwise)
        check_overrides(c, r, r == first);
}

void look_at_module(struct compiler *c, struct ast_module *m) {
    struct heap_mark module = heap_mark(&c->scratch);
    struct globals *g = resolve_open(c, m);
    for (u32 i = 0; g && i < m->rule_count && !compile_stopped(c); i++) {
        struct heap_mark rule = heap_mark(&c->scratch);
        m->rules[i]->module = m;
        first_look(c, g, m->rules[i]);
        heap_release(&c->scratch, rule);
    }
    c->stage = STAGE_RESOLVE;
    if (g) resolve_close(g);
    heap_release(&c->scratch, module);
}

static void look_at_modules(struct compiler *c) {
    EACH_MODULE(c, m) look_at_module(c, m);
    c->stage = STAGE_IMPORTS;
    if (goes_on(c, STAGE_IMPORTS)) check_imports(c);
    if (goes_on(c, STAGE_LOCALS)) name_tests(c);
}

static const struct {
    void (*run)(struct compiler *c, struct ast_rule *r);
    enum stage stage;
} passes[] = {
    {rewrite_templates, STAGE_TEMPLATES}, {check_void_calls, STAGE_VOID_CALLS},
    {rewrite_prints, STAGE_PRINTS},       {rewrite_calls, STAGE_CALLS},
    {rewrite_metadata, STAGE_METADATA},   {rewrite_comprehensions, STAGE_COMPREHENSIONS},
    {rewrite_head, STAGE_HEADS},          {rewrite_withs, STAGE_WITHS},
    {check_functions, STAGE_FUNCTIONS},   {check_head_safety, STAGE_HEAD_SAFETY},
    {check_body_safety, STAGE_SAFETY},    {rewrite_dynamics, STAGE_DYNAMICS},
    {rewrite_tests, STAGE_DYNAMICS},
};

static void rewrite_one(struct compiler *c, struct ast_rule *r) {
    for (u32 i = 0; i < ARRAY_LEN(passes) && goes_on(c, passes[i].stage); i++) {
        u32 before = c->error_seen;
        c->stage = passes[i].stage;
        passes[i].run(c, r);
        CHECK(c->depth == 0);
        if (c->error_seen != before) return; /* this rule goes no further */
    }
    if (!goes_on(c, STAGE_RECURSION)) return;
    bool alone = graph_note(c, r);
    c->stage = STAGE_TYPES;
    if (alone) type_rule(c, r);
}

void rewrite_module(struct compiler *c, struct ast_module *m) {
    for (u32 i = 0; i < m->rule_count && goes_on(c, STAGE_LOCALS); i++) {
        struct heap_mark mark = heap_mark(&c->scratch);
        u32 before = c->error_seen;
        c->stage = STAGE_LOCALS;
        rewrite_locals(c, m->rules[i]);
        bool good = c->error_seen == before;
        if (good) tell_test_cases(c, m->rules[i]);
        for (struct ast_rule *r = m->rules[i]; r && good; r = r->otherwise) rewrite_one(c, r);
        heap_release(&c->scratch, mark);
    }
}

static void rewrite_all(struct compiler *c) {
    c->stage = STAGE_METADATA;
    if (goes_on(c, STAGE_METADATA)) gather_metadata(c);
    graph_open(c);
    c->stage = STAGE_TYPES;
    if (goes_on(c, STAGE_TYPES)) checker_open(c);
    EACH_MODULE(c, m) rewrite_module(c, m);
}

static void run_over_all(struct compiler *c, enum stage stage, void (*run)(struct compiler *c)) {
    c->stage = stage;
    if (goes_on(c, stage)) run(c);
    CHECK(c->depth == 0);
}

static void run_over_rules(struct compiler *c, enum stage stage,
                           void (*run)(struct compiler *c, struct ast_rule *r)) {
    c->stage = stage;
    EACH_RULE(c, r)
    if (goes_on(c, stage)) run(c, r);
}

static void run_passes(struct compiler *c) {
    export_names(c);
    look_at_modules(c);
    if (goes_on(c, STAGE_LOCALS)) plant_rules(c);
    rewrite_all(c);
    run_over_all(c, STAGE_CONFLICTS, check_conflicts);
    run_over_all(c, STAGE_RECURSION, check_recursion);
    run_over_all(c, STAGE_TYPES, check_types);
    if (c->options->unsafe_builtins) run_over_rules(c, STAGE_UNSAFE, check_unsafe_builtins);
    if (c->saw_deprecated) run_over_rules(c, STAGE_DEPRECATED, check_deprecated_builtins);
}

/* Heads get data's path in front; the tree gets its final form. */
void finish_program(struct compiler *c) {
    EACH_RULE(c, r) rule_full_ref(c, r);
    EACH_RULE(c, r)
    if (!rule_is_finished(r)) {
        notes_of(r)->ground = rule_ground_len(r);
        r->head->ref = rule_full_ref(c, r);
    }
    finish_tree(c);
    c->out->root = c->data ? &c->data->node : NULL;
}

static rc_t verdict(struct compiler *c) {
    if (c->too_deep && !compile_failed(c))
        compile_error(c, POLICY_COMPILE_ERROR, NULL, "policy is nested too deeply");
    if (c->heap->exhausted || c->own->exhausted || c->scratch.exhausted || c->lasting.exhausted)
        return RC_NO_MEMORY;
    tell_errors(c);
    return compile_failed(c) ? RC_INVALID : RC_OK;
}

rc_t compile_modules(struct heap *h, struct ast_module **modules, u32 count,
                     const struct compile_options *o, struct compiled **out,
                     struct policy_errors *errors) {
    struct compiler *c = compiler_open(h, h, o, errors);
    struct compiled *program = c ? compiled_open(c, modules, count) : NULL;
    if (!program) return RC_NO_MEMORY;
    c->numbering_now = compile_alloc(c, sizeof *c->numbering_now);
    read_capabilities(c);
    type_env_open(c);
    run_passes(c);
    if (!compile_failed(c) && !compile_stopped(c)) finish_program(c);
    rc_t rc = verdict(c);
    compiler_close(c);
    if (!rc) *out = program;
    return rc;
}

/* ---- Queries -------------------------------------------------------------------------------- */

static void query_templates(struct compiler *c, struct ast_body *b) {
    struct varset safe;
    varset_open(&safe, &c->scratch);
    varset_add(&safe, S("data"));
    varset_add(&safe, S("input"));
    templates_in_body(c, b, &safe);
}

static void query_prints(struct compiler *c, struct ast_body *b) {
    struct varset safe;
    varset_open(&safe, &c->scratch);
    varset_add(&safe, S("data"));
    varset_add(&safe, S("input"));
    if (c->options->keep_print)
        prints_in_body(c, b, &safe);
    else
        erase_prints(c, b);
}

typedef void query_pass_fn(struct compiler *c, struct ast_body *b);

static query_pass_fn *const query_passes[] = {
    locals_of_query,
    query_templates,
    void_calls_in_body,
    query_prints,
    calls_in_body,
    comprehensions_in_body,
    withs_in_body,
    functions_in_body,
    safety_of_query,
    dynamics_in_body,
    types_of_query,
    unsafe_builtins_in_body,
    deprecated_builtins_in_body,
};

static bool taken_term(struct walk *w, struct ast_term *t) {
    if (t->kind == AST_VAR && is_generated(t->var)) varset_add(&w->c->locals.taken, t->var);
    return false;
}

static void query_names(struct compiler *c, struct compiled_query *out) {
    u32 count = c->locals.next, n = 0;
    out->names = compile_list(c, &count, sizeof *out->names);
    for (u32 i = 0; i < count; i++) {
        if (!c->locals.items[i].written.len) continue;
        struct buf b;
        buf_open(&b, 64);
        rc_t rc = buf_printf(&b, "__localq%u__", i);
        out->names[n].rewritten = compile_text(c, &b);
        out->names[n++].written = c->locals.items[i].written;
        buf_close(&b);
        (void)rc; /* 64 bytes hold it */
    }
    out->name_count = n;
}

/* A compiler with the program's tree, types and capabilities, and memory of its own. */
struct compiler *compile_borrow(struct heap *h, const struct compiled *p,
                                struct policy_errors *errors) {
    struct compiler *c = compiler_open(h, h, &p->options, errors);
    if (!c) return NULL;
    const struct compiler *program = p->inner;
    struct compiler own = *c;
    *c = *program;
    c->heap = own.heap, c->own = own.own, c->scratch = own.scratch, c->spare = own.spare,
    c->lasting = own.lasting;
    c->sink = own.sink;
    c->errors = errors;
    c->options = &p->options;
    c->spare_used = c->too_deep = false;
    c->depth = c->error_count = c->found_room = c->stage = 0;
    c->found = NULL;
    c->locals = own.locals;
    c->locals.prefix = "__localq";
    c->outer = &program->locals;
    u32 count = builtins_count; /* parsed types of its own: the program is not written to */
    c->builtin_types = compile_list(c, &count, sizeof *c->builtin_types);
    return c;
}

void compile_return(struct compiler *c) {
    compiler_close(c);
}

rc_t compile_query(struct heap *h, const struct compiled *p, struct ast_body *body,
                   const struct ast_term *package, const struct ast_import *imports,
                   u32 import_count, struct compiled_query *out, struct policy_errors *errors) {
    struct compiler *c = compile_borrow(h, p, errors);
    if (!c) return RC_NO_MEMORY;
    if (!body->count) {
        compile_error(c, POLICY_COMPILE_ERROR, NULL, "empty query cannot be compiled");
    } else {
        struct walk w = {.c = c, .term = taken_term};
        walk_body(&w, body);
        if (c->options->strict) override_errors(c, body);
        struct import_scope scope = {package, (struct ast_import *)imports, import_count};
        if (!compile_failed(c)) resolve_query(c, body, &scope);
    }
    for (u32 i = 0; i < ARRAY_LEN(query_passes) && !compile_failed(c) && !compile_stopped(c); i++)
        query_passes[i](c, body);
    out->body = body;
    if (!compile_failed(c) && !compile_stopped(c)) query_names(c, out);
    if (out->see_type && !compile_failed(c) && !compile_stopped(c)) tell_types(c, body, out);
    rc_t rc = verdict(c);
    compiler_close(c);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c — the passes in their order, and what all of them stand on: memory and errors.
 *
 * The order is the reference's, because a pass that finds errors ends the work: which errors are
 * seen depends on it. Passes up to the safety of bodies look at one rule at a time, except for
 * names and the tree of rules; conflicts, recursion and types look at all of them together. */
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

struct policy_error *compile_error(struct compiler *c, enum policy_code code,
                                   const struct ast_location *at, const char *fmt, ...) {
    if (compile_full(c)) return NULL;
    va_list args, again;
    struct buf b;
    buf_open(&b, MIB(1));
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    if (n > 0 && buf_reserve(&b, (size_t)n + 1) == RC_OK) {
        vsnprintf(b.ptr, (size_t)n + 1, fmt, again);
        b.len = (size_t)n;
    }
    va_end(again);
    va_end(args);
    str text = buf_str(&b);
    u32 index = c->errors->count;
    struct policy_error *e = policy_error_add(c->errors, code, at, "%.*s", STR(text));
    buf_close(&b);
    c->error_count++;
    if (!e || !compile_full(c)) return e;
    /* More may follow, and will not be told. */
    e = policy_error_add(c->errors, POLICY_COMPILE_ERROR, NULL, "error limit reached");
    return e ? &c->errors->items[index] : NULL; /* they may have moved */
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static struct compiler *new_compiler(struct heap *h, const struct compile_options *o,
                                     struct policy_errors *errors) {
    struct compiler *c = heap_alloc(h, sizeof *c);
    if (!c) return NULL;
    *c = (struct compiler){.heap = h, .errors = errors, .options = o};
    c->sink = heap_alloc(h, SINK_BYTES);
    c->error_max = o->all_errors ? 0 : o->errors_max ? o->errors_max : ERRORS_MAX;
    heap_open(&c->scratch, SCRATCH_BYTES_MAX);
    heap_open(&c->spare, SPARE_BYTES);
    struct trie *tries = heap_alloc(h, 3 * sizeof *tries);
    if (!tries) return NULL;
    for (u32 i = 0; i < 3; i++) trie_open(&tries[i], h);
    c->paths = &tries[0], c->exports = &tries[1], c->annotations = &tries[2];
    c->locals.prefix = "__local";
    varset_open(&c->locals.taken, h);
    return c->sink ? c : NULL;
}

static void close_compiler(struct compiler *c) {
    heap_close(&c->scratch);
    heap_close(&c->spare);
    c->errors = NULL;
}

static int module_order(const struct ast_module *a, const struct ast_module *b) {
    if (!a->file || !b->file) return a->file ? 1 : b->file ? -1 : 0;
    return str_cmp(a->file->name, b->file->name);
}

static void sort_modules(struct ast_module **m, u32 count, struct ast_module **spare) {
    if (count < 2) return;
    u32 half = count / 2, a = 0, b = half, n = 0;
    sort_modules(m, half, spare);
    sort_modules(m + half, count - half, spare);
    while (a < half && b < count) spare[n++] = module_order(m[a], m[b]) <= 0 ? m[a++] : m[b++];
    while (a < half) spare[n++] = m[a++];
    while (b < count) spare[n++] = m[b++];
    memcpy(m, spare, count * sizeof *m);
}

static struct compiled *new_program(struct compiler *c, struct ast_module **modules, u32 count) {
    struct compiled *p = heap_alloc(c->heap, sizeof *p);
    struct ast_module **list = heap_alloc(c->heap, (2 * (size_t)count + 1) * sizeof *list);
    if (!p || !list) return NULL;
    *p = (struct compiled){.heap = c->heap, .modules = list, .module_count = count, .inner = c,
                           .options = *c->options};
    if (count) memcpy(list, modules, count * sizeof *list);
    sort_modules(list, count, list + count);
    c->out = p;
    c->options = &p->options;
    return p;
}

/* ---- Modules -------------------------------------------------------------------------------- */

typedef void pass_fn(struct compiler *c);

static pass_fn *const passes[] = {
    note_rules, resolve_refs, rewrite_head_refs, check_overrides, check_imports, plant_rules,
    rewrite_locals, rewrite_templates, check_void_calls, rewrite_prints, rewrite_calls,
    rewrite_metadata, rewrite_comprehensions, rewrite_heads, rewrite_withs, check_conflicts,
    check_functions, check_heads, check_bodies, rewrite_equals, rewrite_dynamics, rewrite_tests,
    check_recursion, check_types, check_unsafe_builtins, check_deprecated_builtins,
};

/* Heads get data's path in front; the tree gets its final form. */
static void finish(struct compiler *c) {
    EACH_RULE(c, r) rule_full_ref(c, r);
    EACH_RULE(c, r) r->head->ref = rule_full_ref(c, r);
    finish_tree(c);
    c->out->root = c->data ? &c->data->node : NULL;
}

static rc_t verdict(struct compiler *c) {
    if (c->too_deep && !compile_failed(c))
        compile_error(c, POLICY_COMPILE_ERROR, NULL, "policy is nested too deeply");
    if (c->heap->exhausted || c->scratch.exhausted) return RC_NO_MEMORY;
    return compile_failed(c) ? RC_INVALID : RC_OK;
}

rc_t compile_modules(struct heap *h, struct ast_module **modules, u32 count,
                     const struct compile_options *o, struct compiled **out,
                     struct policy_errors *errors) {
    struct compiler *c = new_compiler(h, o, errors);
    struct compiled *program = c ? new_program(c, modules, count) : NULL;
    if (!program) return RC_NO_MEMORY;
    read_capabilities(c);
    type_env_open(c);
    for (u32 i = 0; i < ARRAY_LEN(passes) && !compile_failed(c) && !compile_stopped(c); i++) {
        passes[i](c);
        CHECK(c->depth == 0);
    }
    if (!compile_failed(c) && !compile_stopped(c)) finish(c);
    rc_t rc = verdict(c);
    close_compiler(c);
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
    if (c->options->keep_print) prints_in_body(c, b, &safe);
    else erase_prints(c, b);
}

typedef void query_pass_fn(struct compiler *c, struct ast_body *b);

static query_pass_fn *const query_passes[] = {
    locals_of_query, query_templates, void_calls_in_body, query_prints, calls_in_body,
    comprehensions_in_body, withs_in_body, functions_in_body, safety_of_query, dynamics_in_body,
    types_of_query, unsafe_builtins_in_body, deprecated_builtins_in_body,
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

rc_t compile_query(struct heap *h, const struct compiled *p, struct ast_body *body,
                   const struct ast_term *package, const struct ast_import *imports, u32 import_count,
                   struct compiled_query *out, struct policy_errors *errors) {
    struct compiler *c = new_compiler(h, &p->options, errors);
    if (!c) return RC_NO_MEMORY;
    const struct compiler *program = p->inner;
    struct compiler own = *c;
    *c = *program; /* its tree, its types, its capabilities */
    c->heap = own.heap, c->scratch = own.scratch, c->spare = own.spare, c->sink = own.sink;
    c->errors = errors;
    c->options = &p->options;
    c->spare_used = c->too_deep = false;
    c->depth = c->error_count = 0;
    c->locals = own.locals;
    c->locals.prefix = "__localq";
    c->outer = &program->locals;
    if (!body->count) {
        compile_error(c, POLICY_COMPILE_ERROR, NULL, "empty query cannot be compiled");
    } else {
        struct walk w = {.c = c, .term = taken_term};
        walk_body(&w, body);
        if (c->options->strict) override_errors(c, body);
        struct import_scope scope = {package, (struct ast_import *)imports, import_count};
        if (!compile_failed(c)) resolve_query(c, body, &scope);
    }
    u32 count = builtins_count; /* parsed types of its own: the program is not written to */
    c->builtin_types = compile_list(c, &count, sizeof *c->builtin_types);
    for (u32 i = 0; i < ARRAY_LEN(query_passes) && !compile_failed(c) && !compile_stopped(c); i++)
        query_passes[i](c, body);
    out->body = body;
    if (!compile_failed(c) && !compile_stopped(c)) query_names(c, out);
    rc_t rc = verdict(c);
    close_compiler(c);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c — from sources to a program, and from a query's text to a query.
 *
 *   text --parse--> tree --compile--> core --plan--> program
 *
 * A program owns its heap, in which all of it lies: trees, constants, paths. Its code and tables
 * grow while it is planned and are of malloc. A query has a heap and code of its own beside those
 * of the policy it asks. */
#include "app/policy/policy.h"
#include <stdlib.h>
#include "app/policy/machine/program.h"
#include "kernel/base/limits.h"

static void program_open(struct program *p, size_t bytes_max) {
    *p = (struct program){0};
    heap_open(&p->heap, bytes_max ? bytes_max : POLICY_PROGRAM_BYTES_MAX);
}

static void program_close(struct program *p) {
    free(p->code), free(p->constants), free(p->paths), free(p->withs), free(p->places);
    free(p->heads), free(p->looks), free(p->tells), free(p->indexes), free(p->constant_table);
    heap_close(&p->heap);
}

static rc_t out_of_memory(struct policy_errors *errors) {
    policy_error_add(errors, POLICY_COMPILE_ERROR, NULL, "the memory allowed for a program is used up");
    return RC_NO_MEMORY;
}

/* All sources, with the errors of all of them. */
static rc_t parse_all(struct heap *h, const struct policy_source *sources, u32 count,
                      const struct policy_load_options *o, struct ast_module **modules,
                      struct policy_errors *errors) {
    rc_t worst = RC_OK;
    struct parse_options options = o->parse;
    for (u32 i = 0; i < count; i++) {
        if (o->versions) options.version = o->versions[i];
        rc_t rc = parse_module(h, sources[i].name, sources[i].text, &options, modules + i, errors);
        if (rc) worst = rc;
        if (rc && rc != RC_INVALID) return rc;
    }
    return worst;
}

/* What errors point to goes with the heap of what failed: the files' names move to theirs. */
static void keep_places(struct policy_errors *errors) {
    const struct ast_file *old = NULL, *kept = NULL;
    for (u32 i = 0; i < errors->count; i++) {
        struct policy_error *e = errors->items + i;
        if (!e->at.file) continue;
        if (e->at.file != old) {
            struct ast_file *copy = heap_alloc(errors->heap, sizeof *copy);
            value name = value_string(errors->heap, e->at.file->name);
            old = e->at.file;
            if (copy) *copy = (struct ast_file){.name = name.kind == VALUE_STRING ? value_str(name) : S("")};
            kept = copy;
        }
        e->at.file = kept;
    }
}

/* What passed since `*since` is added to `*to`. */
static void count_time(struct policy_times *t, u64 *since, u64 *to) {
    if (!t) return;
    u64 now = t->clock_ns();
    if (to) *to += now - *since;
    *since = now;
}

rc_t policy_load(const struct policy_source *sources, u32 count, const struct policy_load_options *o,
                 struct policy_program **out, struct policy_errors *errors) {
    struct policy_program *made = calloc(1, sizeof *made);
    if (!made) return out_of_memory(errors);
    struct program *p = &made->program;
    program_open(p, o->bytes_max);
    p->trace = o->trace, p->every_rule = o->every_rule;
    rc_t rc = RC_NO_MEMORY;
    struct ast_module **modules = heap_alloc(&p->heap, (count ? count : 1) * sizeof *modules);
    if (!modules) goto failed;
    u64 since = 0;
    count_time(o->times, &since, NULL);
    if ((rc = parse_all(&p->heap, sources, count, o, modules, errors))) goto failed;
    count_time(o->times, &since, o->times ? &o->times->parse_ns : NULL);
    if ((rc = compile_modules(&p->heap, modules, count, &o->compile, &p->compiled, errors))) goto failed;
    if ((rc = plan_program(p, errors))) goto failed;
    count_time(o->times, &since, o->times ? &o->times->compile_ns : NULL);
    *out = made;
    return RC_OK;
failed:
    if (rc == RC_NO_MEMORY && !errors->count) (void)out_of_memory(errors);
    keep_places(errors);
    policy_drop(made);
    return rc;
}

void policy_drop(struct policy_program *p) {
    if (!p) return;
    program_close(&p->program);
    free(p);
}

const struct compiled *policy_compiled(const struct policy_program *p) { return p->program.compiled; }

static struct policy_query *query_open(struct policy_program *p) {
    struct policy_query *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    q->of = p;
    program_open(&q->program, 0);
    return q;
}

void policy_query_drop(struct policy_query *q) {
    if (!q) return;
    program_close(&q->program);
    free(q);
}

rc_t policy_prepare_with(struct policy_program *p, str text, const struct policy_query_options *o,
                         struct policy_query **out, struct policy_errors *errors) {
    struct policy_query *q = query_open(p);
    if (!q) return out_of_memory(errors);
    struct heap *h = &q->program.heap;
    q->program.trace = o->trace;
    struct ast_body *body;
    struct compiled_query compiled = {0};
    u64 since = 0;
    count_time(o->times, &since, NULL);
    rc_t rc = parse_body(h, text, &o->parse, &body, errors);
    count_time(o->times, &since, o->times ? &o->times->parse_ns : NULL);
    if (!rc)
        rc = compile_query(h, p->program.compiled, body, o->package, o->imports, o->import_count,
                           &compiled, errors);
    if (!rc) rc = plan_query(q, &compiled, errors);
    count_time(o->times, &since, o->times ? &o->times->compile_ns : NULL);
    if (rc) {
        if (rc == RC_NO_MEMORY && !errors->count) (void)out_of_memory(errors);
        keep_places(errors);
        policy_query_drop(q);
        return rc;
    }
    *out = q;
    return RC_OK;
}

rc_t policy_prepare(struct policy_program *p, str query, struct policy_query **out,
                    struct policy_errors *errors) {
    struct policy_query_options o = {0};
    return policy_prepare_with(p, query, &o, out, errors);
}

rc_t policy_prepare_path(struct policy_program *p, const value *path, u32 count,
                         struct policy_query **out, struct policy_errors *errors) {
    struct policy_query *q = query_open(p);
    if (!q) return out_of_memory(errors);
    rc_t rc = plan_document(q, path, count);
    if (rc) {
        if (rc == RC_NO_MEMORY) (void)out_of_memory(errors);
        else policy_error_add(errors, POLICY_COMPILE_ERROR, NULL, "the path is too long");
        policy_query_drop(q);
        return rc;
    }
    *out = q;
    return RC_OK;
}

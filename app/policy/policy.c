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

static void shared_drop(struct shared_heap *s) {
    if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL)) return;
    heap_close(&s->heap);
    free(s);
}

static void program_close(struct program *p) {
    table_drop(p->code), table_drop(p->constants), table_drop(p->paths), table_drop(p->withs);
    table_drop(p->places), table_drop(p->heads), table_drop(p->looks), free(p->tells);
    table_drop(p->indexes), table_drop(p->constant_table);
    heap_close(&p->heap), heap_close(&p->own);
    shared_drop(p->shared);
}

static rc_t out_of_memory(struct policy_errors *errors) {
    policy_error_add(errors, POLICY_COMPILE_ERROR, NULL,
                     "the memory allowed for a program is used up");
    return RC_NO_MEMORY;
}

/* What could not be finished for want of memory is nobody's mistake. */
static rc_t planned(const struct program *p, rc_t rc) {
    return rc == RC_INVALID && (p->exhausted || p->heap.exhausted) ? RC_NO_MEMORY : rc;
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
            if (copy)
                *copy =
                    (struct ast_file){.name = name.kind == VALUE_STRING ? value_str(name) : S("")};
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

/* ---- Programs that share ---- */

static void line_drop(struct line *l) {
    if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL)) return;
    while (l->heaps) {
        struct line_heap *h = l->heaps;
        l->heaps = h->next;
        heap_close(&h->heap);
        free(h);
    }
    free(l);
}

/* The program's heap becomes the line's. */
static void line_keep(struct line *l, struct line_heap *h, struct program *p) {
    h->heap = p->heap;
    h->next = l->heaps;
    l->heaps = h;
    heap_open(&p->heap, 0);
}

/* The first of a line. False: no memory; then the program stands alone. */
static bool line_begin(struct policy_program *p) {
    struct line *l = calloc(1, sizeof *l);
    struct line_heap *h = calloc(1, sizeof *h);
    if (!l || !h) return free(l), free(h), false;
    l->refs = 1, l->first_bytes = p->program.heap.used;
    line_keep(l, h, &p->program);
    l->newest = &p->program;
    p->line = l;
    return true;
}

/* What was replaced stays as long as the line: after a while it is better to begin another. */
static bool line_may_go_on(const struct line *l) {
    return l && l->more_bytes < l->first_bytes / 2 + MIB(1);
}

/* Programs that are watched are made whole: few are, and not in a hurry. */
static bool may_change(const struct policy_load_options *o) {
    const struct policy_program *from = o->from;
    if (!from || o->versions || !line_may_go_on(from->line)) return false;
    return !o->trace && !o->every_rule && !from->program.trace && !from->program.every_rule;
}

struct change {
    const struct policy_load_options *o;
    struct policy_program *made;
    struct policy_errors *errors; /* nobody reads them */
};

static struct ast_module *parse_again(void *arg, const struct ast_file *file) {
    struct change *x = arg;
    struct ast_module *m = NULL;
    rc_t rc =
        parse_module(&x->made->program.heap, file->name, file->text, &x->o->parse, &m, x->errors);
    return rc ? NULL : m;
}

/* From's module of that name, by halves. */
static u32 module_find(const struct compiled *from, str name) {
    u32 low = 0, high = from->module_count;
    while (low < high) {
        u32 mid = (low + high) / 2;
        int order = str_cmp(from->modules[mid]->file->name, name);
        if (!order) return mid;
        if (order < 0) low = mid + 1;
        else high = mid;
    }
    return from->module_count;
}

static rc_t gather_modules(struct change *x, const struct policy_source *sources, u32 count,
                           struct ast_module **modules) {
    struct program *p = &x->made->program;
    const struct compiled *from = x->o->from->program.compiled;
    bool *taken = heap_alloc(&p->own, from->module_count + 1);
    if (!taken) return RC_NO_MEMORY;
    memset(taken, 0, from->module_count + 1);
    for (u32 i = 0; i < count; i++) {
        u32 at = module_find(from, sources[i].name);
        bool known = at < from->module_count;
        if (known && taken[at]) return RC_PASS; /* a name twice */
        taken[at] = known;
        if (known && str_eq(from->modules[at]->file->text, sources[i].text)) {
            modules[i] = from->modules[at];
            continue;
        }
        rc_t rc = parse_module(&p->heap, sources[i].name, sources[i].text, &x->o->parse,
                               modules + i, x->errors);
        if (rc) return rc;
    }
    return RC_OK;
}

static int file_order(const void *a, const void *b) {
    return str_cmp((*(struct ast_module *const *)a)->file->name,
                   (*(struct ast_module *const *)b)->file->name);
}

/* Mostly they come in order. False: two of one name. */
static bool order_modules(struct ast_module **modules, u32 count) {
    u32 i = 1;
    while (i < count && file_order(modules + i - 1, modules + i) < 0) i++;
    if (i >= count) return true;
    qsort(modules, count, sizeof *modules, file_order);
    for (i = 1; i < count; i++)
        if (!file_order(modules + i - 1, modules + i)) return false;
    return true;
}

/* What `from` has in its shared heap lives as long as `p` does; NULL: as long as the line. */
static void share_with(struct program *p, const struct program *from) {
    shared_drop(p->shared);
    p->shared = from->shared;
    if (p->shared) __atomic_add_fetch(&p->shared->refs, 1, __ATOMIC_RELAXED);
}

static rc_t change_program(struct change *x, const struct policy_source *sources, u32 count,
                           struct line_heap *keep) {
    struct program *p = &x->made->program;
    struct policy_program *from = x->o->from;
    struct ast_module **modules = heap_alloc(&p->own, (count + 1) * sizeof *modules);
    rc_t rc = modules ? gather_modules(x, sources, count, modules) : RC_NO_MEMORY;
    if (rc) return rc;
    if (!order_modules(modules, count)) return RC_PASS;
    struct compile_change asked = {.from = from->program.compiled,
                                   .heap = &p->heap,
                                   .own = &p->own,
                                   .shared = &p->shared->heap,
                                   .modules = modules,
                                   .count = count,
                                   .parse = parse_again,
                                   .arg = x};
    bool replaced;
    rc = compile_change(&asked, &x->o->compile, &p->compiled, &replaced);
    if (rc) return rc;
    struct line *l = from->line;
    if (replaced) share_with(p, &from->program);
    rc = plan_change(p, &from->program, l->newest == &from->program, replaced, x->errors);
    l->newest = p;
    /* Rules that are kept may know of types in it by now. */
    l->more_bytes += p->heap.used;
    line_keep(l, keep, p);
    __atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
    x->made->line = l;
    return rc;
}

/* Not RC_OK: everything has to be loaded, and then errors will be told. */
static rc_t load_change(const struct policy_source *sources, u32 count,
                        const struct policy_load_options *o, struct policy_program **out) {
    struct policy_program *made = calloc(1, sizeof *made);
    struct line_heap *keep = calloc(1, sizeof *keep);
    struct shared_heap *shared = calloc(1, sizeof *shared);
    struct heap scrap;
    struct policy_errors errors;
    if (!made || !keep || !shared) return free(made), free(keep), free(shared), RC_NO_MEMORY;
    heap_open(&scrap, MIB(1));
    policy_errors_open(&errors, &scrap, 1);
    program_open(&made->program, o->bytes_max);
    heap_open(&made->program.own, made->program.heap.bytes_max);
    heap_open(&shared->heap, made->program.heap.bytes_max);
    shared->refs = 1, made->program.shared = shared;
    struct change x = {o, made, &errors};
    rc_t rc = change_program(&x, sources, count, keep);
    if (!made->line) free(keep);
    if (rc) policy_drop(made);
    else *out = made;
    heap_close(&scrap);
    return rc;
}

/* ---- Loading ---- */

rc_t policy_load(const struct policy_source *sources, u32 count,
                 const struct policy_load_options *o, struct policy_program **out,
                 struct policy_errors *errors) {
    if (may_change(o) && load_change(sources, count, o, out) == RC_OK) return RC_OK;
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
    if ((rc = compile_modules(&p->heap, modules, count, &o->compile, &p->compiled, errors)))
        goto failed;
    if ((rc = planned(p, plan_program(p, errors)))) goto failed;
    count_time(o->times, &since, o->times ? &o->times->compile_ns : NULL);
    (void)line_begin(made);
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
    line_drop(p->line);
    free(p);
}

const struct compiled *policy_compiled(const struct policy_program *p) {
    return p->program.compiled;
}

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

struct refusal {
    const char *const *names;
    struct policy_errors *errors;
    bool found;
};

static bool refuse_call(struct ast_walk *w, struct ast_expr *e) {
    struct refusal *r = w->arg;
    struct buf name;
    if (e->kind != AST_EXPR_CALL) return true;
    buf_open(&name, KIB(1));
    ast_term_write(&name, e->terms[0]);
    for (const char *const *one = r->names; *one; one++)
        if (str_eq(buf_str(&name), str_from_c(*one))) {
            (void)policy_error_add(r->errors, POLICY_TYPE_ERROR, &e->at,
                                   "unsafe built-in function calls in expression: %s", *one);
            r->found = true;
        }
    buf_close(&name);
    return true;
}

rc_t policy_check_calls(struct ast_body *body, const char *const *refused,
                        struct policy_errors *errors) {
    struct refusal r = {.names = refused, .errors = errors};
    struct ast_walk w = {.expr = refuse_call, .arg = &r};
    if (!refused) return RC_OK;
    ast_walk_body(&w, body);
    return r.found ? RC_INVALID : RC_OK;
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
        rc = planned(&q->program, compile_query(h, p->program.compiled, body, o->package,
                                                o->imports, o->import_count, &compiled, errors));
    if (!rc) rc = policy_check_calls(compiled.body, o->refused, errors);
    if (!rc) rc = planned(&q->program, plan_query(q, &compiled, errors));
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
    rc_t rc = planned(&q->program, plan_document(q, path, count));
    if (rc) {
        if (rc == RC_NO_MEMORY) (void)out_of_memory(errors);
        else policy_error_add(errors, POLICY_COMPILE_ERROR, NULL, "the path is too long");
        policy_query_drop(q);
        return rc;
    }
    *out = q;
    return RC_OK;
}

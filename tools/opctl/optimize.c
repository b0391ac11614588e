/* SPDX-License-Identifier: Apache-2.0 */
/* optimize.c — opctl policy build -O, eval -O: entrypoints evaluated in advance, as far as data and
 * policies carry; what depends on the input stays.
 *
 *   data.a.allow --partial evaluation--> queries, rules of support
 *     -> optimized/a.rego        allow := __result__ if { <query> }, one rule per query
 *     -> optimized/partial/..    the rules they refer to
 *     -> the modules there were, without the rules these stand for
 *
 * Entrypoints are taken one after another, each in what the one before left. Unknown are the input
 * and what lies outside the bundle's roots. An entrypoint that refers to itself stays as it is.
 * Level 1 puts in place only what is known as a whole; level 2 everything it can. */
#include <stdlib.h>
#include "app/policy/lang/annotations.h"
#include "app/policy/lang/format.h"
#include "app/policy/partial/partial.h"
#include "tools/opctl/build.h"

enum { REFS_MAX = 4096, TEXT_BYTES_MAX = 1 << 30, ENTRYPOINT_MAX = 2048 };

struct refs { /* paths as arrays of keys, "data" first; none is on the way to another */
    struct heap *heap;
    value items[REFS_MAX];
    u32 count;
};
struct optimizing {
    struct build *build;
    struct heap heap; /* of one entrypoint's answer */
    struct refs unknowns, disabled;
    value entrypoints[BUILD_LIST_MAX];
    u32 entrypoint_count;
    struct {
        str path;
        u32 count;
    } names[BUILD_LIST_MAX]; /* of files that were made */
    u32 name_count;
};

static bool starts(value path, value prefix) {
    if (value_count(path) < value_count(prefix)) return false;
    for (u32 i = 0; i < value_count(prefix); i++)
        if (!value_equal(value_item(path, i), value_item(prefix, i))) return false;
    return true;
}

static void refs_add(struct refs *r, value path) {
    u32 n = 0;
    for (u32 i = 0; i < r->count; i++)
        if (starts(path, r->items[i])) return;
    for (u32 i = 0; i < r->count; i++)
        if (!starts(r->items[i], path)) r->items[n++] = r->items[i];
    if (n < REFS_MAX) r->items[n++] = value_copy(r->heap, path);
    r->count = n;
}

/* The constant keys a ref begins with; `below` goes in front of one that is not whole. */
static value path_of(struct heap *h, const struct ast_term *below, const struct ast_term *ref) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_ARRAY);
    for (u32 k = 0; k < 2; k++) {
        const struct ast_term *t = k ? ref : below;
        for (u32 i = 0; t && i < t->count; i++) {
            const struct ast_term *key = t->terms[i];
            if (key->kind == AST_VAR && i == 0)
                value_builder_add(&b, value_string(h, key->var));
            else if (key->kind <= AST_STRING)
                value_builder_add(&b, key->scalar);
            else
                break;
        }
    }
    return value_builder_close(&b);
}

static value path_of_text(struct heap *h, str text) { /* "a/b" below data */
    struct value_builder b;
    value_builder_open(&b, h, VALUE_ARRAY);
    value_builder_add(&b, value_string(h, S("data")));
    for (str rest = text, part; text.len && str_split(&rest, '/', &part);)
        if (part.len) value_builder_add(&b, value_string(h, part));
    return value_builder_close(&b);
}

static str text_of_path(struct heap *h, value path) { /* data.a["b-c"] */
    struct ast_term **terms = heap_alloc(h, (value_count(path) + 1) * sizeof *terms);
    struct buf text;
    if (!terms) return S("");
    for (u32 i = 0; i < value_count(path); i++)
        terms[i] = i ? ast_scalar(h, NULL, value_item(path, i))
                     : ast_var(h, NULL, value_str(value_item(path, i)));
    buf_open(&text, KIB(64));
    ast_term_write(&text, ast_list(h, NULL, AST_REF, terms, value_count(path)));
    value v = value_string(h, buf_str(&text));
    buf_close(&text);
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

/* ---- What to do ---- */

static void add_entrypoint(struct optimizing *o, value path) {
    for (u32 i = 0; i < o->entrypoint_count; i++)
        if (value_equal(o->entrypoints[i], path)) return;
    if (o->entrypoint_count < BUILD_LIST_MAX) o->entrypoints[o->entrypoint_count++] = path;
}

static struct ast_module *parse(struct heap *h, const struct build_module *m) {
    struct parse_options parse = {.version = m->version, .annotations = true};
    struct policy_errors errors;
    struct ast_module *module;
    policy_errors_open(&errors, h, 1);
    return parse_module(h, m->url, m->text, &parse, &module, &errors) ? NULL : module;
}

/* Those named by options, then those annotations name. */
static void find_entrypoints(struct optimizing *o) {
    struct build *b = o->build;
    for (u32 i = 0; i < b->entrypoints.count; i++)
        add_entrypoint(o, path_of_text(&b->heap, str_from_c(b->entrypoints.items[i])));
    for (u32 i = 0; i < b->module_count; i++) {
        struct ast_module *m = parse(&b->heap, &b->modules[i]);
        for (u32 k = 0; m && k < m->annotation_count; k++) {
            const struct ast_annotations *a = m->annotations[k];
            bool rule = a->scope == SCOPE_DOCUMENT && a->rule;
            if (!a->entrypoint || (!rule && a->scope != SCOPE_PACKAGE)) continue;
            add_entrypoint(o, path_of(&b->heap, m->package, rule ? a->rule->head->ref : NULL));
        }
    }
}

struct looking {
    struct optimizing *o;
    struct refs roots;
};

static bool see_ref(struct ast_walk *w, struct ast_term **t) {
    struct looking *l = w->arg;
    if ((*t)->kind != AST_REF) return true;
    value path = path_of(&l->o->build->heap, NULL, *t);
    bool data = value_count(path) && value_str(value_item(path, 0)).len == 4 &&
                !memcmp(value_str(value_item(path, 0)).ptr, "data", 4);
    if (!data) return true;
    for (u32 i = 0; i < l->roots.count; i++)
        if (starts(path, l->roots.items[i])) return true;
    refs_add(&l->o->unknowns, path);
    return true;
}

/* What a rule asks for with other documents than there are must stay a rule. The reference looks
 * at the rules that need the entrypoint alone; all of them is on the safe side. */
static bool see_with(struct ast_walk *w, struct ast_expr *e) {
    struct looking *l = w->arg;
    for (u32 i = 0; i < e->with_count; i++) {
        value path = path_of(&l->o->build->heap, NULL, e->with[i].target);
        if (value_count(path) > 1 && str_eq(value_str(value_item(path, 0)), S("data")))
            refs_add(&l->o->disabled, path);
    }
    return true;
}

static bool find_unknowns(struct optimizing *o, const struct policy_program *program) {
    struct build *b = o->build;
    struct looking *l = calloc(1, sizeof *l);
    struct ast_walk w = {.term = see_ref, .expr = see_with, .arg = l};
    const struct compiled *c = policy_compiled(program);
    if (!l) return build_error("", "out of memory", "");
    l->o = o, l->roots.heap = &b->heap;
    for (u32 i = 0; i < b->manifest.root_count; i++)
        refs_add(&l->roots, path_of_text(&b->heap, b->manifest.roots[i]));
    value input = value_string(&b->heap, S("input"));
    refs_add(&o->unknowns, value_array(&b->heap, &input, 1));
    for (u32 i = 0; i < c->order_count; i++) ast_walk_rule(&w, c->order[i]);
    free(l);
    return true;
}

/* ---- One entrypoint ---- */

static const struct format_options layout = {.version = REGO_V1, .ignore_locations = true};

struct finding {
    struct heap *heap;
    value path;
    bool found;
};
static bool see_path(struct ast_walk *w, struct ast_term **t) {
    struct finding *f = w->arg;
    if ((*t)->kind == AST_REF && starts(path_of(f->heap, NULL, *t), f->path)) f->found = true;
    return !f->found;
}
static bool has_ref(struct ast_body *body, value path, struct heap *h) {
    struct finding f = {h, path, false};
    struct ast_walk w = {.term = see_path, .arg = &f};
    ast_walk_body(&w, body);
    return f.found;
}

static bool is_safe_path(str s) {
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] | 32) >= 'a' && (s.ptr[i] | 32) <= 'z') &&
            !(s.ptr[i] >= '0' && s.ptr[i] <= '9') && !strchr("_-/", s.ptr[i]))
            return false;
    return s.len > 0;
}

/* "optimized/a/b.rego"; a second one of that name "optimized/a/b.1.rego". */
static str file_name(struct optimizing *o, value package, u32 entrypoint, u32 support) {
    struct heap *h = &o->build->heap;
    char name[ENTRYPOINT_MAX];
    struct value_builder parts;
    value_builder_open(&parts, h, VALUE_ARRAY);
    for (u32 i = 1; i < value_count(package); i++)
        value_builder_add(&parts, value_item(package, i));
    str path = bundle_path_of_package(h, value_builder_close(&parts));
    if (!is_safe_path(path)) {
        snprintf(name, sizeof name, "optimized/%s/%u/%u.rego", o->build->name_space, entrypoint,
                 support);
        return value_str(value_string_c(h, name));
    }
    u32 i = 0;
    while (i < o->name_count && !str_eq(o->names[i].path, path)) i++;
    if (i == o->name_count && i < BUILD_LIST_MAX) o->names[o->name_count++].path = path;
    u32 times = i < BUILD_LIST_MAX ? o->names[i].count++ : 0;
    if (times)
        snprintf(name, sizeof name, "optimized/%.*s.%u.rego", STR(path), times);
    else
        snprintf(name, sizeof name, "optimized/%.*s.rego", STR(path));
    return value_str(value_string_c(h, name));
}

static bool add_text(struct optimizing *o, value package, struct buf *text, u32 entrypoint,
                     u32 support) {
    value kept = value_string(&o->build->heap, buf_str(text));
    if (text->failed || kept.kind != VALUE_STRING) return build_error("", "out of memory", "");
    return build_add_module(o->build, file_name(o, package, entrypoint, support), value_str(kept),
                            REGO_V1);
}

/* allow := __result__ if { ... }: one rule per query. */
static bool write_rules(struct optimizing *o, const struct partial_answer *a, value path,
                        struct buf *text) {
    struct policy_errors errors;
    u32 last = value_count(path) - 1;
    value package = value_array(&o->heap, path.array->items, last);
    str name = value_str(value_item(path, last));
    policy_errors_open(&errors, &o->heap, 10);
    (void)buf_printf(text, "package %.*s\n",
                     STR(str_skip(text_of_path(&o->heap, package), S("data.").len)));
    for (u32 i = 0; i < a->query_count; i++) {
        struct ast_body *copy = ast_body_copy(&o->heap, a->queries[i]);
        (void)buf_printf(text, "\n%.*s = __result__ if {\n", STR(name));
        if (!copy || format_body(&o->heap, copy, &layout, text, &errors))
            return build_errors(&errors);
        (void)buf_add(text, S("\n}\n"));
    }
    return true;
}

/* The rules of a module that nothing made now stands for; false: said why. */
static bool keep_rules(struct optimizing *o, struct build_module *m, const struct refs *made,
                       bool *gone) {
    struct ast_module *module = parse(&o->heap, m);
    struct policy_errors errors;
    struct buf text;
    u32 n = 0;
    *gone = false;
    if (!module) return build_error("", "a policy cannot be read again", "");
    for (u32 i = 0; i < module->rule_count; i++) {
        value path = path_of(&o->heap, module->package, module->rules[i]->head->ref);
        bool overlap = false;
        for (u32 k = 0; !overlap && k < made->count; k++)
            overlap = starts(path, made->items[k]) || starts(made->items[k], path);
        if (!overlap) module->rules[n++] = module->rules[i];
    }
    *gone = n == 0; /* as the reference: also one that had none */
    if (n == module->rule_count || !n) return true;
    module->rule_count = n;
    policy_errors_open(&errors, &o->heap, 10);
    buf_open(&text, TEXT_BYTES_MAX);
    struct format_options as_written = {.version = m->version};
    rc_t rc = format_module(&o->heap, module, &as_written, &text, &errors);
    value kept = value_string(&o->build->heap, buf_str(&text));
    buf_close(&text);
    if (rc || kept.kind != VALUE_STRING) return build_errors(&errors);
    m->text = value_str(kept);
    return true;
}

static void note_rules(struct optimizing *o, struct ast_module *m, struct refs *made) {
    for (u32 i = 0; i < m->rule_count; i++)
        refs_add(made, path_of(&o->heap, m->package, m->rules[i]->head->ref));
}

static bool take_answer(struct optimizing *o, const struct partial_answer *a, value path,
                        u32 number) {
    struct build *b = o->build;
    struct policy_errors errors;
    struct refs *made = calloc(1, sizeof *made);
    u32 before = b->module_count, n = 0;
    bool ok = made != NULL, own = true;
    if (!ok) return build_error("", "out of memory", "");
    made->heap = &o->heap;
    policy_errors_open(&errors, &o->heap, 10);
    for (u32 i = 0; ok && i < a->support_count; i++) {
        struct buf text;
        value package = path_of(&o->heap, a->support[i]->package, NULL);
        buf_open(&text, TEXT_BYTES_MAX);
        note_rules(o, a->support[i], made);
        ok = !format_module(&o->heap, a->support[i], &layout, &text, &errors) ||
             build_errors(&errors);
        ok = ok && add_text(o, package, &text, number, i);
        buf_close(&text);
    }
    for (u32 i = 0; i < a->query_count; i++) own = own && !has_ref(a->queries[i], path, &o->heap);
    if (ok && own) {
        struct buf text;
        buf_open(&text, TEXT_BYTES_MAX);
        ok = write_rules(o, a, path, &text);
        ok = ok && add_text(o, value_array(&o->heap, path.array->items, value_count(path) - 1),
                            &text, number, a->support_count);
        refs_add(made, path);
        buf_close(&text);
    }
    for (u32 i = 0; ok && i < b->module_count; i++) {
        bool gone = false;
        if (i < before) ok = keep_rules(o, &b->modules[i], made, &gone);
        if (!gone) b->modules[n++] = b->modules[i];
    }
    if (ok) b->module_count = n;
    free(made);
    return ok;
}

static str *texts_of(struct heap *h, const struct refs *r) {
    str *list = heap_alloc(h, (r->count + 1) * sizeof *list);
    for (u32 i = 0; list && i < r->count; i++) list[i] = text_of_path(h, r->items[i]);
    return list;
}

static bool optimize_one(struct optimizing *o, value path, u32 number) {
    struct build *b = o->build;
    struct partial_answer a;
    struct policy_errors errors;
    struct policy_program *program;
    struct policy_ask ask = {.data = b->data, .now_ns = wall_ns(), .seed = wall_ns()};
    str target = text_of_path(&b->heap, path);
    char query[ENTRYPOINT_MAX];
    if (value_count(path) <= 2) {
        snprintf(query, sizeof query, "%.*s", STR(target));
        return build_error("invalid entrypoint ", query,
                           ": to create optimized support module, the entrypoint ref must have at "
                           "least two components in addition to the 'data' root");
    }
    if (!build_compile(b, &program)) return false;
    if (!o->unknowns.count && !find_unknowns(o, program)) return policy_drop(program), false;
    struct partial_options options = {.unknowns = texts_of(&b->heap, &o->unknowns),
                                      .unknown_count = o->unknowns.count,
                                      .disabled = texts_of(&b->heap, &o->disabled),
                                      .disabled_count = o->disabled.count,
                                      .shallow = b->level == 1,
                                      .no_namespace = true,
                                      .name_space = str_from_c(b->name_space)};
    snprintf(query, sizeof query, "__result__ = %.*s", STR(target));
    policy_errors_open(&errors, &b->heap, 10);
    bool ok = !partial_evaluate(&o->heap, program, str_from_c(query), &ask, &options, &a, &errors);
    if (!ok)
        ok = build_errors(&errors);
    else if (!a.query_count) {
        snprintf(query, sizeof query, "%.*s", STR(target));
        ok = build_error("undefined entrypoint ", query, "");
    } else
        ok = take_answer(o, &a, path, number);
    policy_drop(program);
    return ok;
}

static int by_url(const void *a, const void *b) {
    return str_cmp(((const struct build_module *)a)->url, ((const struct build_module *)b)->url);
}

static bool add_root(struct build *b) {
    struct bundle_manifest *m = &b->manifest;
    str ns = str_from_c(b->name_space);
    m->revision = S("");
    if (bundle_roots_contain(m->roots, m->root_count, ns)) return true;
    str *more = heap_alloc(&b->heap, (m->root_count + 1) * sizeof *more);
    if (!more) return build_error("", "out of memory", "");
    memcpy(more, m->roots, m->root_count * sizeof *more);
    more[m->root_count++] = ns;
    m->roots = more;
    return true;
}

bool build_optimize(struct build *b) {
    struct optimizing *o = calloc(1, sizeof *o);
    bool ok = o != NULL;
    if (!ok) return build_error("", "out of memory", "");
    o->build = b, o->unknowns.heap = o->disabled.heap = &b->heap;
    find_entrypoints(o);
    if (!o->entrypoint_count)
        ok = build_error("", "bundle optimizations require at least one entrypoint", "");
    for (u32 i = 0; ok && i < o->entrypoint_count; i++) {
        heap_open(&o->heap, (size_t)4 << 30);
        ok = optimize_one(o, o->entrypoints[i], i);
        heap_close(&o->heap);
    }
    if (ok) qsort(b->modules, b->module_count, sizeof *b->modules, by_url);
    struct policy_program *program;
    if (ok && build_compile(b, &program))
        policy_drop(program); /* what was made is a policy */
    else
        ok = false;
    free(o);
    return ok && add_root(b);
}

/* ---- eval -O ---- */

/* A bundle answers for its roots, anything else for all of data. */
static void find_roots(struct build *b, const struct bundle *files) {
    static str everything = {"", 0};
    u32 room = 0;
    b->manifest.roots = &everything, b->manifest.root_count = 1;
    if (!files->bundles) return;
    for (struct package *p = files->packages; p; p = p->next)
        room += p->content.manifest.root_count;
    str *roots = heap_alloc(&b->heap, (room + 1) * sizeof *roots);
    if (!roots || !room) return;
    b->manifest.roots = roots, b->manifest.root_count = 0;
    for (struct package *p = files->packages; p; p = p->next)
        for (u32 i = 0; i < p->content.manifest.root_count; i++)
            roots[b->manifest.root_count++] = p->content.manifest.roots[i];
}

/* What was made takes the place of what was loaded. */
static bool take_over(struct bundle *files, const struct build *b) {
    struct policy_source *sources = calloc(b->module_count + 1, sizeof *sources);
    u8 *told = malloc(b->module_count + 1);
    if (!sources || !told) return free(sources), free(told), build_error("", "out of memory", "");
    for (u32 i = 0; i < files->count; i++)
        if (files->told[i] == REGO_UNTOLD) free((char *)files->sources[i].text.ptr);
    for (u32 i = 0; i < b->module_count; i++) {
        sources[i] = (struct policy_source){b->modules[i].url, b->modules[i].text};
        told[i] = (u8)b->modules[i].version;
    }
    free(files->sources), free(files->told);
    files->sources = sources, files->told = told;
    files->count = files->room = b->module_count;
    return true;
}

bool bundle_optimize(struct bundle *files, const struct optimize_asked *asked) {
    struct build *b = calloc(1, sizeof *b);
    build_tell(stderr, "");
    if (!b) return build_error("", "out of memory", "");
    *b = (struct build){.level = asked->level, .entrypoints = asked->entrypoints,
                        .capabilities = asked->capabilities, .version = asked->version,
                        .name_space = "partial", .data = files->data, .heap = files->heap};
    bool ok = true;
    for (u32 i = 0; ok && i < files->count; i++) {
        bool untold = files->told[i] == REGO_UNTOLD;
        value text = value_string(&b->heap, files->sources[i].text); /* those of files will go */
        ok = text.kind == VALUE_STRING &&
             build_add_module(b, files->sources[i].name, value_str(text),
                              untold ? asked->version : (enum rego_version)files->told[i]);
    }
    find_roots(b, files);
    ok = ok && build_optimize(b);
    files->heap = b->heap; /* it moved here and back */
    ok = ok && take_over(files, b);
    free(b->modules);
    free(b);
    return ok;
}

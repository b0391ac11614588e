/* SPDX-License-Identifier: Apache-2.0 */
/* deps.c — opctl policy deps: which documents an answer depends on.
 *
 *   base documents      what is loaded from outside: input.user, data.owners
 *   virtual documents   what rules make: data.gate.allow
 *
 * A body's refs are found as the reference finds them: variables that were unified with refs stand
 * for these, so `x = data.a; x.b` needs data.a.b and not all of data.a; what is neither used nor
 * part of the answer does not count. Refs are cut where they stop being constant, and of two where
 * one begins with the other the shorter is told. */
#include <stdlib.h>
#include "tools/opctl/output.h"

enum { REFS_MAX = 100000, ROUNDS_MAX = 64 };

struct refs { const struct ast_term **items; u32 count, room; };
struct joined { str var; struct refs refs; bool in_head, used; };

struct deps {
    struct heap heap;
    const struct compiled *program;
    struct refs base, virtual;
    const struct ast_rule **seen_base, **seen_virtual;
    u32 seen_base_count, seen_virtual_count, rule_room;
};

/* What one body says. */
struct body {
    struct deps *d;
    struct joined *vars;
    u32 count, room;
    struct refs found;
    bool counting; /* vars are marked used, else refs are gathered */
};

static bool refs_add(struct refs *to, const struct ast_term *ref) {
    for (u32 i = 0; i < to->count; i++)
        if (!ast_term_compare(to->items[i], ref)) return false;
    if (to->count == to->room) {
        u32 room = to->room ? to->room * 2 : 16;
        const struct ast_term **more =
            room <= REFS_MAX ? realloc(to->items, room * sizeof *more) : NULL;
        if (!more) return false;
        to->items = more, to->room = room;
    }
    to->items[to->count++] = ref;
    return true;
}

static bool is_root_name(str name) {
    return str_eq(name, S("data")) || str_eq(name, S("input"));
}

static bool starts_at_root(const struct ast_term *ref) {
    return ref->terms[0]->kind == AST_VAR && is_root_name(ref->terms[0]->var);
}

static struct joined *var_of(struct body *b, str name, bool make) {
    for (u32 i = 0; i < b->count; i++)
        if (str_eq(b->vars[i].var, name)) return b->vars + i;
    if (!make) return NULL;
    if (b->count == b->room) {
        u32 room = b->room ? b->room * 2 : 32;
        struct joined *more = realloc(b->vars, room * sizeof *more);
        if (!more) return NULL;
        b->vars = more, b->room = room;
    }
    b->vars[b->count] = (struct joined){.var = name};
    return b->vars + b->count++;
}

/* `from` with the terms of `ref` behind its head. */
static const struct ast_term *continued(struct deps *d, const struct ast_term *from,
                                        const struct ast_term *ref) {
    u32 n = from->count + ref->count - 1;
    struct ast_term **terms = heap_alloc(&d->heap, n * sizeof *terms);
    if (!terms) return from;
    memcpy(terms, from->terms, from->count * sizeof *terms);
    memcpy(terms + from->count, ref->terms + 1, (ref->count - 1) * sizeof *terms);
    const struct ast_term *made = ast_list(&d->heap, NULL, AST_REF, terms, n);
    return made ? made : from;
}

static void expand(struct body *b, const struct ast_term *ref, struct refs *to) {
    if (starts_at_root(ref)) {
        refs_add(to, ref);
        return;
    }
    const struct joined *v =
        ref->terms[0]->kind == AST_VAR ? var_of(b, ref->terms[0]->var, false) : NULL;
    for (u32 i = 0; v && i < v->refs.count; i++)
        refs_add(to, continued(b->d, v->refs.items[i], ref));
}

/* ---- Walking ---- */

static bool see_term(struct ast_walk *w, struct ast_term **t) {
    struct body *b = w->arg;
    if ((*t)->kind == AST_VAR && b->counting && !is_root_name((*t)->var)) {
        struct joined *v = var_of(b, (*t)->var, false);
        if (v) v->used = true;
    }
    if ((*t)->kind == AST_VAR && !b->counting && is_root_name((*t)->var)) {
        const struct ast_term *ref = ast_list(&b->d->heap, NULL, AST_REF, t, 1);
        if (ref) refs_add(&b->found, ref);
    }
    if ((*t)->kind != AST_REF) return true;
    if (!b->counting) expand(b, *t, &b->found);
    for (u32 i = 1; i < (*t)->count; i++) ast_walk_term(w, &(*t)->terms[i]); /* not its head */
    return false;
}

static bool name_var(struct ast_walk *w, struct ast_term **t) {
    struct body *b = w->arg;
    if ((*t)->kind == AST_VAR && !is_root_name((*t)->var)) (void)var_of(b, (*t)->var, true);
    return true;
}

static bool mark_subscript(struct ast_walk *w, struct ast_term **t) {
    struct body *b = w->arg;
    for (u32 i = 1; (*t)->kind == AST_REF && i < (*t)->count; i++) {
        struct joined *v =
            (*t)->terms[i]->kind == AST_VAR ? var_of(b, (*t)->terms[i]->var, false) : NULL;
        if (v) v->used = true;
    }
    return true;
}

static bool mark_head(struct ast_walk *w, struct ast_term **t) {
    struct body *b = w->arg;
    struct joined *v = (*t)->kind == AST_VAR ? var_of(b, (*t)->var, true) : NULL;
    if (v) v->in_head = true;
    return true;
}

/* ---- One body ---- */

static bool is_equality(const struct ast_expr *e) {
    const struct ast_term *op = e->kind == AST_EXPR_CALL && e->count == 3 ? e->terms[0] : NULL;
    if (!op || e->negated) return false;
    if (op->kind == AST_REF && op->count == 1) op = op->terms[0];
    return op->kind == AST_VAR && str_eq(op->var, S("eq"));
}

/* x = data.a: the variable stands for the ref. */
static bool joins(struct body *b, const struct ast_expr *e) {
    if (!is_equality(e)) return false;
    const struct ast_term *l = e->terms[1], *r = e->terms[2];
    const struct ast_term *var = l->kind == AST_VAR ? l : r->kind == AST_VAR ? r : NULL;
    const struct ast_term *ref = var == l ? r : l;
    if (!var || is_root_name(var->var) || ref->kind != AST_REF) return false;
    struct joined *v = var_of(b, var->var, true);
    if (v) refs_add(&v->refs, ref);
    return v != NULL;
}

/* Refs that start at other variables become those at roots, until nothing new is found. */
static void join_all(struct body *b) {
    struct refs *made = calloc(b->count + 1, sizeof *made);
    bool again = made != NULL;
    for (u32 round = 0; again && round < ROUNDS_MAX; round++) {
        again = false;
        for (u32 i = 0; i < b->count; i++)
            for (u32 k = 0; k < b->vars[i].refs.count; k++) {
                const struct ast_term *ref = b->vars[i].refs.items[k];
                if (starts_at_root(ref)) {
                    again |= refs_add(made + i, ref);
                    continue;
                }
                const struct joined *h =
                    ref->terms[0]->kind == AST_VAR ? var_of(b, ref->terms[0]->var, false) : NULL;
                struct refs *of = h ? made + (h - b->vars) : NULL;
                for (u32 j = 0; of && j < of->count; j++)
                    again |= refs_add(made + i, continued(b->d, of->items[j], ref));
            }
    }
    for (u32 i = 0; made && i < b->count; i++) {
        free(b->vars[i].refs.items);
        b->vars[i].refs = made[i];
    }
    free(made);
}

/* A ref alone that ends in a variable of the head: p[x] if data.a[x] */
static bool ends_in_head(struct body *b, const struct ast_expr *e) {
    const struct ast_term *t =
        e->kind == AST_EXPR_TERM && e->terms[0]->kind == AST_REF ? e->terms[0] : NULL;
    const struct ast_term *last = t ? t->terms[t->count - 1] : NULL;
    const struct joined *v = last && last->kind == AST_VAR ? var_of(b, last->var, false) : NULL;
    return v && v->in_head;
}

static bool is_prefix_of_some(const struct refs *all, const struct ast_term *ref) {
    for (u32 i = 0; i < all->count; i++)
        if (ast_ref_starts(all->items[i], ref)) return true;
    return false;
}

static void subscripts(struct body *b, struct ast_walk *w, const struct ast_term *ref) {
    (void)b;
    for (u32 i = 1; i < ref->count; i++) ast_walk_term(w, &((struct ast_term *)ref)->terms[i]);
}

static void gather(struct body *b, const struct ast_body *body) {
    struct ast_walk names = {.term = name_var, .arg = b}, refs = {.term = see_term, .arg = b},
                    used = {.term = mark_subscript, .arg = b};
    bool *rest = calloc(body->count + 1, 1);
    if (!rest) return;
    ast_walk_body(&names, (struct ast_body *)body);
    for (u32 i = 0; i < body->count; i++) rest[i] = !joins(b, body->exprs[i]);
    join_all(b);
    for (u32 i = 0; i < body->count; i++) {
        if (!rest[i] || ends_in_head(b, body->exprs[i])) continue;
        b->counting = false, ast_walk_expr(&refs, body->exprs[i]);
        b->counting = true, ast_walk_expr(&refs, body->exprs[i]);
    }
    b->counting = false;
    for (u32 i = 0; i < body->count; i++) {
        struct refs heads = {0};
        if (rest[i] && ends_in_head(b, body->exprs[i])) expand(b, body->exprs[i]->terms[0], &heads);
        for (u32 k = 0; k < heads.count; k++) {
            if (!is_prefix_of_some(&b->found, heads.items[k])) refs_add(&b->found, heads.items[k]);
            subscripts(b, &refs, heads.items[k]);
        }
        free(heads.items);
    }
    ast_walk_body(&used, (struct ast_body *)body);
    for (u32 i = 0; i < b->count; i++) {
        const struct joined *v = b->vars + i;
        bool counts = v->in_head || v->refs.count > 1 || v->used;
        for (u32 k = 0; k < v->refs.count; k++) {
            if (counts) refs_add(&b->found, v->refs.items[k]);
            subscripts(b, &refs, v->refs.items[k]);
        }
    }
    free(rest);
}

static int ref_order(const void *a, const void *b) {
    return ast_term_compare(*(const struct ast_term *const *)a, *(const struct ast_term *const *)b);
}

static void body_close(struct body *b) {
    for (u32 i = 0; i < b->count; i++) free(b->vars[i].refs.items);
    free(b->vars), free(b->found.items);
}

/* ---- From bodies to documents ---- */

static const struct ast_term *constant_prefix(struct deps *d, const struct ast_term *ref) {
    u32 n = 1;
    while (n < ref->count && ast_term_is_constant(ref->terms[n])) n++;
    struct ast_term *cut = heap_alloc(&d->heap, sizeof *cut);
    if (!cut) return ref;
    *cut = *ref, cut->count = n;
    return cut;
}

static void rules_below(const struct rule_node *n, void (*see)(void *arg, const struct ast_rule *r),
                        void *arg) {
    for (u32 i = 0; i < n->rule_count; i++) see(arg, n->rules[i]);
    for (u32 i = 0; i < n->child_count; i++) rules_below(n->children[i], see, arg);
}

/* The rules a constant ref leads to: the first on its way, or all below its end. */
static void rules_of(struct deps *d, const struct ast_term *ref,
                     void (*see)(void *arg, const struct ast_rule *r), void *arg) {
    const struct rule_node *n = d->program->root;
    if (ref->terms[0]->kind != AST_VAR || !str_eq(ref->terms[0]->var, S("data"))) return;
    for (u32 i = 1; n && i < ref->count; i++) {
        if (n->rule_count) break;
        n = rule_node_find(n, ast_term_value(&d->heap, ref->terms[i]));
    }
    if (!n) return;
    if (n->rule_count)
        for (u32 i = 0; i < n->rule_count; i++) see(arg, n->rules[i]);
    else rules_below(n, see, arg);
}

static bool mark_seen(const struct ast_rule **seen, u32 *count, u32 room,
                      const struct ast_rule *r) {
    for (u32 i = 0; i < *count; i++)
        if (seen[i] == r) return false;
    if (*count == room) return false;
    seen[(*count)++] = r;
    return true;
}

struct seeing { struct deps *d; bool any, virtual; };
static void follow_refs(struct deps *d, struct refs *found, bool virtual);

static void rule_body(struct deps *d, const struct ast_rule *r, bool virtual) {
    struct body b = {.d = d};
    struct ast_walk head = {.term = mark_head, .arg = &b};
    const struct ast_head *h = r->head;
    for (u32 i = 0; i < h->arg_count; i++) ast_walk_term(&head, &h->args[i]);
    if (h->key) ast_walk_term(&head, (struct ast_term **)&h->key);
    if (h->value) ast_walk_term(&head, (struct ast_term **)&h->value);
    for (u32 i = 1; i < h->ref->count; i++) ast_walk_term(&head, &h->ref->terms[i]);
    gather(&b, r->body);
    follow_refs(d, &b.found, virtual);
    body_close(&b);
}

static void see_rule(void *arg, const struct ast_rule *r) {
    struct seeing *s = arg;
    struct deps *d = s->d;
    s->any = true;
    bool fresh = s->virtual ? mark_seen(d->seen_virtual, &d->seen_virtual_count, d->rule_room, r)
                            : mark_seen(d->seen_base, &d->seen_base_count, d->rule_room, r);
    if (!fresh) return;
    rule_body(d, r, s->virtual);
    if (s->virtual) refs_add(&d->virtual, constant_prefix(d, r->head->ref));
}

/* Sorted; of neighbours of which one begins with the other, the first. */
static void follow_refs(struct deps *d, struct refs *found, bool virtual) {
    const struct ast_term *last = NULL;
    if (found->count) qsort(found->items, found->count, sizeof *found->items, ref_order);
    for (u32 i = 0; i < found->count; i++) {
        if (last && ast_ref_starts(found->items[i], last)) continue;
        last = found->items[i];
        const struct ast_term *ref = constant_prefix(d, last);
        struct seeing s = {d, false, virtual};
        rules_of(d, ref, see_rule, &s);
        if (!s.any && !virtual) refs_add(&d->base, ref);
    }
}

/* All of a query's variables are its answer. */
static void query_body(struct deps *d, struct ast_body *body, bool virtual) {
    struct body b = {.d = d};
    struct ast_walk all = {.term = mark_head, .arg = &b};
    ast_walk_body(&all, body);
    gather(&b, body);
    follow_refs(d, &b.found, virtual);
    body_close(&b);
}

/* ---- Output ---- */

static str ref_text(struct heap *h, const struct ast_term *ref) {
    struct buf b;
    buf_open(&b, 1 << 16);
    ast_term_write(&b, ref);
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

static void print_table(struct deps *d) {
    static const char *const names[] = {"BASE DOCUMENTS", "VIRTUAL DOCUMENTS"};
    bool base = d->base.count, virtual = d->virtual.count;
    u32 rows = MAX(d->base.count, d->virtual.count);
    struct table t;
    if (!rows) return;
    table_open(&t, base && virtual ? 2 : 1);
    table_header(&t, base ? names : names + 1);
    for (u32 i = 0; i < rows; i++) {
        const struct refs *first = base ? &d->base : &d->virtual;
        table_cell(&t, 0, i < first->count ? ref_text(&t.heap, first->items[i]) : S(""));
        if (base && virtual)
            table_cell(&t, 1,
                       i < d->virtual.count ? ref_text(&t.heap, d->virtual.items[i]) : S(""));
    }
    table_print(&t, stdout);
    table_close(&t);
}

static void put_refs(struct json_out *o, const char *key, const struct refs *r) {
    if (!r->count) return;
    out_begin(o, key, '[');
    for (u32 i = 0; i < r->count; i++)
        out_value(o, NULL, value_get_str(ast_term_json(&o->heap, r->items[i], false), S("value")));
    out_end(o, ']');
}

static void print_json(struct deps *d) {
    struct json_out o;
    out_open(&o);
    out_begin(&o, NULL, '{');
    put_refs(&o, "base", &d->base);
    put_refs(&o, "virtual", &d->virtual);
    out_end(&o, '}');
    (void)out_close(&o, stdout);
}

/* ---- The verb ---- */

static int analyse(struct bundle *files, struct policy_load_options *load, const char *query,
                   bool json) {
    struct policy_program *program;
    struct policy_errors errors;
    struct ast_body *body;
    struct deps d = {0};
    policy_errors_open(&errors, &files->heap, 0);
    bundle_load_options(files, load);
    heap_open(&d.heap, (size_t)1 << 30);
    struct parse_options parse = {.version = load->parse.version};
    if (policy_load(files->sources, files->count, load, &program, &errors)) {
        errors_print(&errors);
        heap_close(&d.heap);
        return EXIT_NO;
    }
    int status = EXIT_NO;
    d.program = policy_compiled(program);
    for (u32 i = 0; i < d.program->module_count; i++)
        d.rule_room += d.program->modules[i]->rule_count;
    d.seen_base = calloc(d.rule_room + 1, sizeof *d.seen_base);
    d.seen_virtual = calloc(d.rule_room + 1, sizeof *d.seen_virtual);
    if (parse_body(&d.heap, str_from_c(query), &parse, &body, &errors))
        errors_print(&errors);
    else if (d.seen_base && d.seen_virtual && d.program->root) {
        query_body(&d, body, false);
        query_body(&d, body, true);
        if (d.base.count) qsort(d.base.items, d.base.count, sizeof *d.base.items, ref_order);
        if (d.virtual.count)
            qsort(d.virtual.items, d.virtual.count, sizeof *d.virtual.items, ref_order);
        if (json) print_json(&d);
        else print_table(&d);
        status = 0;
    }
    free(d.seen_base), free(d.seen_virtual), free(d.base.items), free(d.virtual.items);
    heap_close(&d.heap);
    policy_drop(program);
    return status;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"data", 'd', false, "policy or data: a file or folder; may be given more than once"},
        {"bundle", 'b', false, "a bundle: an archive or a folder; may be given more than once"},
        {"format", 'f', false, "pretty or json"},
        {"ignore", 0, false, "names of files and folders to leave out: patterns"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct policy_load_options load = {.parse.annotations = true};
    struct bundle files;
    const char *v, *query = NULL;
    bool ok = true, json = false;
    bundle_open(&files);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == 0 || o == 1) {
            files.bundles = o == 1;
            ok = bundle_add(&files, v);
        } else if (o == 2)
            json = !strcmp(v, "json"), ok = json || !strcmp(v, "pretty");
        else if (o == 3)
            ok = bundle_ignore(&files, v);
        else if (o == 4)
            load.parse.version = !v || strcmp(v, "false") ? REGO_V0 : REGO_V1;
        else if (o == OPTION_PLAIN && !query)
            query = v;
        else
            ok = o == 5;
    }
    int status = ok && query ? analyse(&files, &load, query, json)
                             : usage_of(&deps_verb, specs, ARRAY_LEN(specs));
    bundle_close(&files);
    return status;
}

const struct verb deps_verb = {"deps", "[OPTIONS] QUERY", "documents an answer depends on", run};

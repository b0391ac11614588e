/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c — names of rules and imports become whole references.
 *
 *   package a.b               p { q[x]; r.s == t }
 *   import data.foo as r  ->  p { data.a.b.q[x]; data.foo.s == t }
 *
 * A name that is declared nearer (an argument, `:=`, `some`, the variables of `every`) hides a
 * rule's or an import's of the same name, in the whole body that declares it. Of a rule and an
 * import of one name the import counts. Terms are changed in place; only the variables at the
 * head of what was put in are new nodes, since a later pass may rename those. */
#include "app/policy/compile/compile_impl.h"

struct hidden {
    struct varset names;
    const struct hidden *outer;
};
struct globals {
    struct compiler *c;
    const struct ast_term *package;
    const struct trie_node *exports; /* the rules' names of that package; or NULL */
    const struct trie *names;        /* where they are */
    struct trie own_names;
    struct ast_import *imports;
    u32 import_count;
    struct varset import_names; /* in order of `imports_at`; directives left out */
    u32 *imports_at;
    bool *used;
    bool bad_argument;
    struct rule_notes *notes; /* of the rule looked at; NULL: a query */
    u64 filter[4]; /* of the names in `exports`: which first and last letters they have */
};

/* Most variables are no rule's name, and one look at two letters says so. */
static u32 letters_of(str name) {
    return ((u8)name.ptr[0] * 7 + (u8)name.ptr[name.len - 1]) & 255;
}

static void filter_names(struct globals *g) {
    u32 left = 64; /* of many names few letters are free */
    const struct trie_node *k = g->exports ? g->exports->first : NULL;
    for (; k && left; k = k->next, left--) {
        str name = value_is(k->key, VALUE_STRING) ? value_str(k->key) : (str){0};
        if (name.len) g->filter[letters_of(name) / 64] |= 1ull << letters_of(name) % 64;
    }
    if (k) memset(g->filter, 0xff, sizeof g->filter);
}

static bool may_be_exported(const struct globals *g, str name) {
    if (!g->exports || !name.len) return g->exports;
    return g->filter[letters_of(name) / 64] >> letters_of(name) % 64 & 1;
}

static bool is_directive(const struct ast_import *i) {
    return i->path->kind == AST_REF &&
           (is_var_named(i->path->terms[0], "future") || is_var_named(i->path->terms[0], "rego"));
}

static void open_globals(struct globals *g, struct compiler *c, const struct import_scope *scope) {
    *g = (struct globals){
        .c = c, .package = scope->package, .imports = scope->imports, .import_count = scope->count};
    varset_open(&g->import_names, &c->scratch);
    g->names = c->exports;
    if (c->exports_by_need && scope->package) {
        trie_open(&g->own_names, &c->scratch);
        export_package(c, c->out, scope->package, &g->own_names);
        g->names = &g->own_names;
    }
    const struct trie_node *n = scope->package ? &g->names->root : NULL;
    for (u32 i = 0; n && i < scope->package->count; i++)
        n = trie_child_term(g->names, n, scope->package->terms[i]);
    g->exports = n;
    filter_names(g);
    g->imports_at = heap_alloc(&c->scratch, (scope->count + 1) * sizeof *g->imports_at);
    g->used = heap_alloc(&c->scratch, scope->count + 1);
    if (!g->imports_at || !g->used) return;
    memset(g->used, 0, scope->count + 1);
    for (u32 i = 0; i < scope->count; i++) {
        if (is_directive(&scope->imports[i])) continue;
        str name = import_name(&scope->imports[i]);
        varset_add(&g->import_names, name);
        u32 at = varset_find(&g->import_names, name);
        if (at < g->import_names.count) g->imports_at[at] = i; /* the last one counts */
    }
}

static bool is_hidden(const struct hidden *h, str v) {
    for (; h; h = h->outer)
        if (varset_has(&h->names, v)) return true;
    return false;
}

/* ---- Putting in ----------------------------------------------------------------------------- */

/* What `v` stands for: `prefix`, then `name` (if it is not empty) as a last string. */
struct meaning {
    const struct ast_term *prefix;
    value name;
};

static bool meaning_of(struct globals *g, const struct hidden *h, str v, struct meaning *out) {
    if (!g->package && !g->import_count) return false;
    u32 i = varset_find(&g->import_names, v);
    if (i < g->import_names.count) {
        if (is_hidden(h, v)) return false;
        g->used[g->imports_at[i]] = true;
        *out = (struct meaning){.prefix = g->imports[g->imports_at[i]].path};
        return true;
    }
    const struct trie_node *rule =
        may_be_exported(g, v) ? trie_child_str(g->names, g->exports, v) : NULL;
    if (!rule || !rule->thing) return false;
    if (is_hidden(h, v)) return false;
    *out = (struct meaning){g->package, rule->key};
    return true;
}

/* The meaning's terms, then the ref's own after its head. */
static void put_in(struct globals *g, struct ast_term *t, const struct meaning *m,
                   struct ast_term *const *rest, u32 rest_count) {
    struct compiler *c = g->c;
    bool whole = m->prefix->kind == AST_VAR; /* import of a name alone */
    u32 prefix = whole ? 1 : m->prefix->count;
    u32 named = value_defined(m->name) ? 1 : 0, count = prefix + named + rest_count;
    struct ast_location at = t->at;
    struct ast_term **terms = compile_list(c, &count, sizeof *terms);
    if (g->notes) g->notes->has |= HAS_DATA;
    if (!count) return;
    for (u32 i = 0; i < prefix; i++) {
        struct ast_term *p = whole ? (struct ast_term *)m->prefix : m->prefix->terms[i];
        terms[i] = p->kind == AST_VAR ? new_var(c, p->var, &at) : p;
    }
    if (named) {
        terms[prefix] = new_term(c, AST_STRING, &at);
        /* the tree's string, unless the tree goes before the rule does */
        bool stays = c->own == c->heap && !c->exports_by_need;
        terms[prefix]->scalar = stays ? m->name : value_copy(c->heap, m->name);
    }
    if (rest_count) memcpy(terms + prefix + named, rest, rest_count * sizeof *terms);
    t->kind = AST_REF;
    t->terms = terms;
    t->count = count;
}

/* ---- Going through -------------------------------------------------------------------------- */

static void resolve_body(struct globals *g, const struct hidden *h, struct ast_body *b);
static void resolve_expr(struct globals *g, const struct hidden *h, struct ast_expr *e);
static void resolve_term(struct globals *g, const struct hidden *h, struct ast_term *t);

static void resolve_terms(struct globals *g, const struct hidden *h, struct ast_term **terms,
                          u32 count) {
    for (u32 i = 0; i < count; i++) resolve_term(g, h, terms[i]);
}

static void resolve_ref(struct globals *g, const struct hidden *h, struct ast_term *t) {
    struct meaning m;
    resolve_terms(g, h, t->terms + 1, t->count - 1);
    if (t->terms[0]->kind != AST_VAR)
        resolve_term(g, h, t->terms[0]);
    else if (meaning_of(g, h, t->terms[0]->var, &m)) {
        struct ast_location at = t->at;
        t->at = t->terms[0]->at;
        put_in(g, t, &m, t->terms + 1, t->count - 1);
        t->at = at;
    }
}

static void resolve_comprehension(struct globals *g, const struct hidden *outer,
                                  struct ast_term *t) {
    struct hidden h = {.outer = outer};
    varset_open(&h.names, &g->c->scratch);
    declared_vars(g->c, &h.names, t->comprehension.body);
    if (t->kind == AST_OBJECT_COMPREHENSION) resolve_term(g, &h, t->comprehension.key);
    resolve_term(g, &h, t->comprehension.head);
    resolve_body(g, &h, t->comprehension.body);
}

static void resolve_within(struct globals *g, const struct hidden *h, struct ast_term *t) {
    switch (t->kind) {
    case AST_REF: resolve_ref(g, h, t); break;
    case AST_ARRAY:
    case AST_SET:
    case AST_CALL: resolve_terms(g, h, t->terms, t->count); break;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) {
            resolve_term(g, h, t->pairs[i].key);
            resolve_term(g, h, t->pairs[i].value);
        }
        break;
    case AST_TEMPLATE_STRING:
        for (u32 i = 0; i < t->count; i++)
            if (t->parts[i].expr) resolve_expr(g, h, t->parts[i].expr);
        break;
    default: resolve_comprehension(g, h, t);
    }
}

static void resolve_term(struct globals *g, const struct hidden *h, struct ast_term *t) {
    struct meaning m;
    if (is_scalar(t) || t->kind == AST_VALUE) return;
    if (t->kind == AST_VAR) {
        if (meaning_of(g, h, t->var, &m)) put_in(g, t, &m, NULL, 0);
        return;
    }
    if (compile_enter(g->c)) resolve_within(g, h, t);
    compile_leave(g->c);
}

static void resolve_every(struct globals *g, const struct hidden *outer, struct ast_every *e) {
    struct hidden h = {.outer = outer};
    varset_open(&h.names, &g->c->scratch);
    if (e->key) vars_of_term(g->c, &h.names, e->key, 0);
    vars_of_term(g->c, &h.names, e->value, 0);
    resolve_term(g, &h, e->domain);
    resolve_body(g, &h, e->body);
}

static void resolve_expr(struct globals *g, const struct hidden *h, struct ast_expr *e) {
    switch (e->kind) {
    case AST_EXPR_TERM:
    case AST_EXPR_CALL: resolve_terms(g, h, e->terms, e->count); break;
    case AST_EXPR_SOME: /* `some x, y` declares alone */
        if (e->count && e->terms[0]->kind == AST_CALL)
            resolve_terms(g, h, e->terms[0]->terms, e->terms[0]->count);
        break;
    case AST_EXPR_EVERY: resolve_every(g, h, e->every); break;
    case AST_EXPR_NOT: resolve_body(g, h, e->not_body); break;
    case AST_EXPR_LOGICAL:
        resolve_body(g, h, e->logical->left);
        resolve_body(g, h, e->logical->right);
        break;
    default: break;
    }
    for (u32 i = 0; i < e->with_count; i++) {
        resolve_term(g, h, e->with[i].target);
        resolve_term(g, h, e->with[i].value);
    }
}

static void resolve_body(struct globals *g, const struct hidden *h, struct ast_body *b) {
    if (compile_enter(g->c))
        for (u32 i = 0; i < b->count; i++) resolve_expr(g, h, b->exprs[i]);
    compile_leave(g->c);
}

/* ---- Rules ---------------------------------------------------------------------------------- */

/* The variables of arguments, as far as they can be matched; false: one is `input` or `data`. */
static void argument_vars(struct globals *g, struct varset *to, const struct ast_rule *r,
                          const struct ast_term *t) {
    if (g->bad_argument) return;
    switch (t->kind) {
    case AST_VAR: varset_add(to, t->var); break;
    case AST_REF:
        if (is_root_document(t)) {
            g->bad_argument = true;
            compile_error(g->c, POLICY_COMPILE_ERROR, &r->at,
                          "args must not shadow %.*s (use a different variable name)",
                          STR(t->terms[0]->var));
            return;
        } /* fall through */
    case AST_ARRAY:
        for (u32 i = 0; i < t->count; i++) argument_vars(g, to, r, t->terms[i]);
        break;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++) argument_vars(g, to, r, t->pairs[i].value);
        break;
    default: break;
    }
}

static void resolve_rule(struct globals *g, struct ast_rule *r) {
    struct hidden args = {0}, h = {.outer = &args};
    struct ast_head *head = r->head;
    varset_open(&args.names, &g->c->scratch);
    varset_open(&h.names, &g->c->scratch);
    g->bad_argument = false;
    g->notes = notes_of(r);
    for (u32 i = 0; i < head->arg_count; i++) argument_vars(g, &args.names, r, head->args[i]);
    if (g->bad_argument) return;
    if (notes_of(r)->has & HAS_DECLARED) declared_vars(g->c, &h.names, r->body);
    for (u32 i = 1; i < head->ref->count; i++) {
        /* v0's p[x] = v has one term as its key and in its ref */
        if (head->ref->terms[i] != head->key) resolve_term(g, &h, head->ref->terms[i]);
    }
    if (head->key) resolve_term(g, &h, head->key);
    if (head->value) resolve_term(g, &h, head->value);
    resolve_body(g, &h, r->body);
}

static void unused_imports(struct globals *g) {
    for (u32 i = 0; i < g->import_count; i++) {
        if (is_directive(&g->imports[i]) || g->used[i]) continue;
        u32 at = varset_find(&g->import_names, import_name(&g->imports[i]));
        if (at < g->import_names.count && g->used[g->imports_at[at]]) continue;
        str text = import_text(g->c, &g->imports[i]);
        if (!compile_error(g->c, POLICY_COMPILE_ERROR, &g->imports[i].at, "%.*s unused", STR(text)))
            return;
    }
}

struct globals *resolve_open(struct compiler *c, struct ast_module *m) {
    struct globals *g = heap_alloc(&c->scratch, sizeof *g);
    if (g) open_globals(g, c, &(struct import_scope){m->package, m->imports, m->import_count});
    return g;
}

void resolve_one(struct globals *g, struct ast_rule *r) {
    resolve_rule(g, r);
}

void resolve_close(struct globals *g) {
    if (g->c->options->strict && !compile_stopped(g->c)) unused_imports(g);
}

void resolve_query(struct compiler *c, struct ast_body *b, const struct import_scope *scope) {
    struct globals g;
    struct hidden h = {0};
    open_globals(&g, c, scope);
    varset_open(&h.names, &c->scratch);
    declared_vars(c, &h.names, b);
    if (!compile_stopped(c)) resolve_body(&g, &h, b);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* conflict.c — rules that cannot stand side by side.
 *
 *   p := 1      p(x) := 1          of different kinds, or numbers of arguments
 *   p := 1      p.q := 2           within the value of another rule
 *   p contains 1    p[x] contains 1
 *   default p := 1, twice
 *   package a, rule b              package a.b
 *   rule a.b                       base document a/b
 *
 * A rule whose ref has variables may have others within its extent: those of the path up to the
 * first variable are meant. */
#include "app/policy/compile/compile_impl.h"

/* ---- Within another rule's value ------------------------------------------------------------- */

struct others {
    struct ast_rule **items;
    u32 count, room;
};

static void add_other(struct compiler *c, struct others *o, struct ast_rule *r) {
    if (o->count == o->room) {
        u32 room = o->room ? o->room * 2 : 16;
        struct ast_rule **items = heap_alloc(&c->scratch, room * sizeof *items);
        if (!items) return;
        if (o->count) memcpy(items, o->items, o->count * sizeof *items);
        o->items = items;
        o->room = room;
    }
    o->items[o->count++] = r;
}

static void rules_beneath(struct compiler *c, struct others *o, const struct trie_node *n,
                          bool functions) {
    if (compile_enter(c))
        for (const struct trie_node *k = n->first; k && !compile_stopped(c); k = k->next) {
            const struct place *p = node_place(c, k);
            for (u32 i = 0; p && i < p->node.rule_count; i++)
                if (!functions || p->node.rules[i]->head->arg_count)
                    add_other(c, o, p->node.rules[i]);
            rules_beneath(c, o, k, functions);
        }
    compile_leave(c);
}

static bool before(struct compiler *c, struct ast_rule *a, struct ast_rule *b) {
    return ast_term_compare(rule_full_ref(c, a), rule_full_ref(c, b)) < 0;
}

/* The written names of a path, behind those that are shorter; without what lies within another. */
static void write_others(struct compiler *c, struct buf *to, struct others *o) {
    for (u32 gap = o->count / 2; gap; gap /= 2)
        for (u32 i = gap; i < o->count; i++)
            for (u32 j = i; j >= gap && before(c, o->items[j], o->items[j - gap]); j -= gap) {
                struct ast_rule *swap = o->items[j];
                o->items[j] = o->items[j - gap], o->items[j - gap] = swap;
            }
    const struct ast_term *kept = NULL;
    rc_t rc = RC_OK;
    for (u32 i = 0; i < o->count; i++) {
        const struct ast_term *ref = rule_full_ref(c, o->items[i]);
        if (kept && ast_ref_starts(ref, kept)) continue;
        kept = ref;
        str text = compile_term_text(c, written_ref(c, ref, false));
        const struct ast_location *at = &o->items[i]->at;
        rc = buf_printf(to, "\n  rule %.*s at %.*s:%u", STR(text),
                        STR(at->file ? at->file->name : (str){0}), at->row);
    }
    (void)rc; /* cut at the limit: it is a message */
}

static bool conflicts_beneath(struct compiler *c, const struct place *p, str name) {
    bool ground = false, dynamic = false;
    for (u32 i = 0; i < p->node.rule_count; i++) {
        bool is = ref_is_ground(p->node.rules[i]->head->ref);
        ground |= is;
        dynamic |= !is;
    }
    struct others o = {0};
    if (!p->at->child_count) return false;
    if (ground)
        rules_beneath(c, &o, p->at, false);
    else if (dynamic)
        rules_beneath(c, &o, p->at, true);
    if (!o.count) return false;
    struct buf b;
    buf_open(&b, KIB(64));
    write_others(c, &b, &o);
    str list = compile_text(c, &b);
    buf_close(&b);
    compile_error(c, POLICY_TYPE_ERROR, &p->node.rules[0]->at, "rule %.*s conflicts with:%.*s",
                  STR(name), STR(list));
    return true;
}

/* ---- Of one path ---------------------------------------------------------------------------- */

struct kinds {
    bool single, multi, complete, partial, set, object, arities_differ;
    u32 defaults;
};

static struct kinds kinds_of(const struct place *p) {
    struct kinds k = {0};
    for (u32 i = 0; i < p->node.rule_count; i++) {
        const struct ast_rule *r = p->node.rules[i];
        bool ground = ref_is_ground(r->head->ref), multi = ast_rule_kind(r) == AST_MULTI_VALUE;
        k.single |= !multi;
        k.multi |= multi;
        k.complete |= !multi && ground;
        k.partial |= multi || !ground;
        k.set |= multi && ground;
        k.object |= multi && !ground;
        k.arities_differ |= r->head->arg_count != p->node.rules[0]->head->arg_count;
        k.defaults += r->is_default;
    }
    return k;
}

static void several_defaults(struct compiler *c, const struct place *p, str name) {
    struct buf b;
    const struct ast_rule *first = NULL;
    buf_open(&b, KIB(64));
    rc_t rc = RC_OK;
    for (u32 i = 0; i < p->node.rule_count; i++) {
        const struct ast_rule *r = p->node.rules[i];
        if (!r->is_default) continue;
        rc = buf_printf(&b, "%s%.*s:%u", first ? ", " : "",
                        STR(r->at.file ? r->at.file->name : (str){0}), r->at.row);
        if (!first) first = r;
    }
    str list = compile_text(c, &b);
    buf_close(&b);
    compile_error(c, POLICY_TYPE_ERROR, &first->module->package_at,
                  "multiple default rules %.*s found at %.*s", STR(name), STR(list));
    (void)rc; /* cut at the limit: it is a message */
}

/* True: something was wrong here, what lies beneath is not looked at. */
static bool check_place(struct compiler *c, const struct place *p) {
    if (!p->node.rule_count) return false;
    if (p->node.rule_count == 1 && !p->at->child_count) return false;
    struct kinds k = kinds_of(p);
    bool mixed = (k.single && k.multi) || (k.complete && k.partial) || (k.set && k.object) ||
                 k.arities_differ;
    if (!mixed && k.defaults < 2 && !p->at->child_count) return false;
    struct ast_rule *last = p->node.rules[p->node.rule_count - 1];
    str name = compile_term_text(c, written_ref(c, rule_full_ref(c, last), false));
    if (conflicts_beneath(c, p, name)) return true;
    if (mixed)
        compile_error(c, POLICY_TYPE_ERROR, &p->node.rules[0]->at, "conflicting rules %.*s found",
                      STR(name));
    else if (k.defaults > 1)
        several_defaults(c, p, name);
    else
        return false;
    return true;
}

static void check_beneath(struct compiler *c, const struct trie_node *n) {
    if (compile_enter(c))
        for (const struct trie_node *k = n->first; k && !compile_stopped(c) && !compile_full(c);
             k = k->next) {
            const struct place *p = node_place(c, k);
            struct heap_mark mark = heap_mark(&c->scratch);
            bool wrong = p && check_place(c, p);
            heap_release(&c->scratch, mark);
            if (!wrong) check_beneath(c, k);
        }
    compile_leave(c);
}

/* ---- Against base documents ------------------------------------------------------------------ */

static void check_documents(struct compiler *c, const struct trie_node *n, value document,
                            struct buf *path) {
    if (!compile_enter(c)) {
        compile_leave(c);
        return;
    }
    for (const struct trie_node *k = n->first; k && !compile_stopped(c); k = k->next) {
        if (!value_is(k->key, VALUE_STRING)) continue;
        /* Below what is no object nothing can be read: a document in the way, too. */
        value beneath = value_is(document, VALUE_OBJECT) ? value_get(document, k->key) : document;
        if (!value_defined(beneath)) continue;
        size_t len = path->len;
        str key = value_str(k->key);
        rc_t rc = buf_printf(path, "%s%.*s", len ? "/" : "", STR(key));
        const struct place *p = node_place(c, k);
        str text = buf_str(path);
        if (p && p->node.rule_count)
            compile_error(c, POLICY_COMPILE_ERROR, &p->node.rules[0]->at,
                          "conflicting rule for data path %.*s found", STR(text));
        else
            check_documents(c, k, beneath, path);
        path->len = len;
        (void)rc; /* cut at the limit: it is a message */
    }
    compile_leave(c);
}

/* ---- Against packages ----------------------------------------------------------------------- */

static void check_package(struct compiler *c, const struct place *home, struct ast_rule *r) {
    const struct place *p = notes_of(r)->place;
    if (!p || p == home || !p->module_count || !ref_is_ground(r->head->ref)) return;
    for (u32 i = 0; i < p->module_count; i++) {
        if (p->modules[i] == r->module) continue;
        str package = compile_term_text(c, p->modules[i]->package);
        str head = compile_term_text(c, r->head->ref);
        package = str_starts(package, S("data.")) ? str_skip(package, 5) : package;
        compile_error(c, POLICY_TYPE_ERROR, &r->module->package_at,
                      "package %.*s conflicts with rule %.*s defined at %.*s:%u", STR(package),
                      STR(head), STR(r->at.file ? r->at.file->name : (str){0}), r->at.row);
    }
}

void check_document_conflicts(struct compiler *c) {
    struct buf path;
    if (!value_defined(c->options->data)) return;
    buf_open(&path, KIB(64));
    check_documents(c, c->data->at, c->options->data, &path);
    buf_close(&path);
}

void check_place_conflicts(struct compiler *c, const struct place *p) {
    struct heap_mark mark = heap_mark(&c->scratch);
    (void)check_place(c, p);
    heap_release(&c->scratch, mark);
}

void check_module_conflicts(struct compiler *c, struct ast_module *m) {
    const struct place *home = place_of(c, m->package, m->package->count);
    for (u32 i = 0; i < m->rule_count && !compile_full(c); i++)
        check_package(c, home, m->rules[i]);
}

void check_conflicts(struct compiler *c) {
    if (!c->data) return;
    check_beneath(c, c->data->at);
    check_document_conflicts(c);
    EACH_MODULE(c, m) check_module_conflicts(c, m);
}

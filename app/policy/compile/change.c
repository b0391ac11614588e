/* SPDX-License-Identifier: Apache-2.0 */
/* change.c — the program again after some of its modules changed.
 *
 * What looks at one rule alone is kept: rules of modules that stay are not parsed, resolved,
 * rewritten or ordered again. What looks at all rules (the tree, conflicts, the graph, recursion)
 * is made anew from them: it is linear, and cheap beside the rest.
 *
 *   changed modules        as when all is compiled
 *   + their packages       when the set of the rules' names in it changed
 *   + who asks for a path  that came, went, or is of another kind (complete, partial, function ...)
 *   + who asks for metadata, which may be about any module
 *   types                  of these, and of kept rules that ask for a path whose type changed
 *
 * "Asks for a path" is told from the refs in a rule (rule_notes.needs), by comparing keys: a ref
 * with a variable may mean any. Rules that are kept are the very same nodes as in the program
 * before, which goes on being used meanwhile: only their notes are written to, and nobody else
 * reads those.
 *
 * Most changes touch none of that: the same paths, of the same kinds and types. Those replace.c
 * answers for less; what it cannot is done here from the beginning, the changed modules parsed
 * anew.
 *
 * This never tells an error: at the first, it gives up, and all is compiled in the ordinary way. So
 * errors are the same by construction; that acceptance is the same is what tests compare. */
#include "app/policy/compile/change_impl.h"

/* ---- Paths that are marked ------------------------------------------------------------------ */

static struct mark *mark_at(struct change *x, struct trie *t, const struct ast_term *ref, u32 len) {
    struct trie_node *n = &t->root;
    for (u32 i = 0; i < len && n; i++)
        n = ref->terms[i]->kind == AST_VAR ? trie_make_str(t, n, ref->terms[i]->var)
                                           : trie_make(t, n, ref->terms[i]->scalar);
    struct mark *m = n ? n->thing : NULL;
    if (m || !n) return x->failed |= !n, m;
    m = heap_alloc(t->heap, sizeof *m);
    if (!m) return x->failed = true, NULL;
    *m = (struct mark){.full = ref, .ground = len};
    return n->thing = m;
}

void mark_changed(struct change *x, struct trie *t, const struct ast_term *ref, u32 len) {
    struct mark *m = mark_at(x, t, ref, len);
    if (m) m->changed = true;
}

typedef bool judge_fn(struct change *x, struct mark *m);

static bool any_beneath(struct change *x, const struct trie_node *n, judge_fn *changed) {
    bool found = n->thing && changed(x, n->thing);
    if (compile_enter(x->c))
        for (const struct trie_node *k = n->first; k && !found; k = k->next)
            found = any_beneath(x, k, changed);
    compile_leave(x->c);
    return found;
}

/* May the ref mean a marked path, something within one, or something that has one within it? */
static bool touches(struct change *x, const struct trie *t, const struct ast_term *ref,
                    judge_fn *changed) {
    const struct trie_node *n = &t->root;
    for (u32 i = 0; i < ref->count && n; i++) {
        const struct ast_term *key = ref->terms[i];
        if (i && !is_scalar(key)) return any_beneath(x, n, changed);
        n = trie_child_term(t, n, key);
        if (n && n->thing && changed(x, n->thing)) return true;
    }
    return n && any_beneath(x, n, changed);
}

static bool rule_touches(struct change *x, const struct trie *t, const struct ast_rule *r,
                         judge_fn *changed) {
    const struct rule_notes *n = notes_of(r);
    if (!t->count) return false;
    if (n->needs_all && any_beneath(x, &t->root, changed)) return true;
    for (u32 i = 0; i < n->need_count; i++)
        if (touches(x, t, n->needs[i], changed)) return true;
    return false;
}

static bool is_changed(struct change *x, struct mark *m) {
    (void)x;
    return m->changed;
}

/* ---- Which modules are compiled ------------------------------------------------------------- */

/* Both lists are in order of name. */
static void compare_modules(struct change *x) {
    const struct compiled *old = x->asked->from, *now = x->c->out;
    u32 i = 0;
    for (u32 k = 0; k < now->module_count; k++) {
        str name = now->modules[k]->file->name;
        while (i < old->module_count && str_cmp(old->modules[i]->file->name, name) < 0)
            x->gone[x->gone_count++] = old->modules[i++];
        bool same = i < old->module_count && old->modules[i] == now->modules[k];
        if (same) i++;
        x->fresh[k] = !same;
        x->fresh_count += !same;
    }
    while (i < old->module_count) x->gone[x->gone_count++] = old->modules[i++];
}

/* The same names, all of them fresh: takes its place in the list. */
static void renew(struct change *x, u32 k) {
    struct ast_module *old = x->c->out->modules[k];
    struct ast_module *m = x->asked->parse(x->asked->arg, old->file);
    if (!m) {
        x->failed = true;
        return;
    }
    x->gone[x->gone_count++] = old;
    x->c->out->modules[k] = m;
    x->fresh[k] = true;
}

static const struct trie_node *package_in(const struct trie *t, const struct ast_term *package) {
    const struct trie_node *n = &t->root;
    for (u32 i = 0; i < package->count && n; i++) n = trie_child_term(t, n, package->terms[i]);
    return n;
}

static bool names_within(const struct trie_node *a, const struct trie *t,
                         const struct trie_node *b) {
    for (const struct trie_node *k = a ? a->first : NULL; k; k = k->next) {
        if (!k->thing) continue;
        const struct trie_node *other = b ? trie_child(t, b, k->key) : NULL;
        if (!other || !other->thing) return false;
    }
    return true;
}

bool same_names(struct change *x, const struct ast_term *package) {
    struct compiler *c = x->c;
    struct heap_mark mark = heap_mark(&c->scratch);
    struct trie now, old;
    trie_open(&now, &c->scratch), trie_open(&old, &c->scratch);
    export_package(c, c->out, package, &now);
    export_package(c, x->asked->from, package, &old);
    const struct trie_node *a = package_in(&now, package), *b = package_in(&old, package);
    bool same = names_within(a, &old, b) && names_within(b, &now, a);
    heap_release(&c->scratch, mark);
    return same;
}

/* Names in a package are what the rest of the package is resolved by. */
static void renew_package(struct change *x, const struct ast_term *package) {
    struct compiled *now = x->c->out;
    if (same_names(x, package)) return;
    for (u32 k = 0; k < now->module_count && !gives_up(x); k++)
        if (!x->fresh[k] && same_package(now->modules[k]->package, package)) renew(x, k);
}

static bool asks_metadata(const struct ast_module *m) {
    for (u32 i = 0; i < m->rule_count; i++)
        for (const struct ast_rule *r = m->rules[i]; r; r = r->otherwise)
            if (notes_of(r)->has & HAS_METADATA) return true;
    return false;
}

static void renew_by_name(struct change *x) {
    struct compiled *now = x->c->out;
    u32 gone = x->gone_count; /* those renewed come behind, with names as before */
    for (u32 k = 0; k < now->module_count && !gives_up(x); k++)
        if (!x->fresh[k] && asks_metadata(now->modules[k])) renew(x, k);
    EACH_FRESH(x, m) renew_package(x, m->package);
    for (u32 i = 0; i < gone && !gives_up(x); i++) renew_package(x, x->gone[i]->package);
}

/* ---- Rules of another kind ------------------------------------------------------------------- */

/* All that other rules' passes, and the planner, ask of the rules at a path. */
struct kind {
    bool any, multi, several_kinds, ground, function, one_key, defined;
    u32 arity, keys_max;
};

static void see_rule(struct kind *k, const struct ast_rule *r, u32 depth) {
    const struct ast_head *h = r->head;
    u32 len = h->ref->count + (rule_is_finished(r) ? 0 : r->module->package->count);
    bool multi = ast_rule_kind(r) == AST_MULTI_VALUE;
    u32 keys = (len > depth ? len - depth : 0) + multi;
    if (!k->any) *k = (struct kind){true, multi, false, true, false, true, false, h->arg_count, 0};
    if (len > depth) k->ground = false;
    k->several_kinds |= multi != k->multi;
    k->one_key &= keys == 1;
    if (h->is_function || h->arg_count) k->function = true, k->arity = h->arg_count;
    k->keys_max = MAX(k->keys_max, keys);
}

/* `of`: whose places; `c` counts how deep this goes. */
static void see_beneath(struct compiler *c, const struct compiler *of, struct kind *k,
                        const struct trie_node *n, u32 depth) {
    if (compile_enter(c))
        for (const struct trie_node *child = n->first; child; child = child->next) {
            const struct place *p = node_place(of, child);
            for (u32 i = 0; p && i < p->node.rule_count; i++) see_rule(k, p->node.rules[i], depth);
            see_beneath(c, of, k, child, depth);
        }
    compile_leave(c);
}

static struct kind kind_of(struct compiler *c, const struct compiler *of, const struct place *p,
                           u32 depth) {
    struct kind k = {0};
    for (u32 i = 0; p && i < p->node.rule_count; i++) see_rule(&k, p->node.rules[i], depth);
    if (p && p->node.has_ref_rules) see_beneath(c, of, &k, p->at, depth);
    k.defined = place_is_always_defined(p);
    return k;
}

static bool same_kind(const struct kind *a, const struct kind *b) {
    return a->any == b->any && a->multi == b->multi && a->several_kinds == b->several_kinds &&
           a->ground == b->ground && a->function == b->function && a->one_key == b->one_key &&
           a->defined == b->defined && a->arity == b->arity && a->keys_max == b->keys_max;
}

void compare_place(struct change *x, const struct ast_term *full, u32 len) {
    const struct place *a = place_of(x->before, full, len), *b = place_of(x->c, full, len);
    struct kind was = kind_of(x->c, x->before, a, len), is = kind_of(x->c, x->c, b, len);
    if (!a != !b || !same_kind(&was, &is)) mark_changed(x, &x->kinds, full, len);
    for (u32 above = len; --above > 1;) {
        a = place_of(x->before, full, above), b = place_of(x->c, full, above);
        bool reaches = (a && a->node.has_ref_rules) || (b && b->node.has_ref_rules);
        if (!reaches) continue;
        was = kind_of(x->c, x->before, a, above), is = kind_of(x->c, x->c, b, above);
        if (!a != !b || !same_kind(&was, &is)) mark_changed(x, &x->kinds, full, above);
    }
}

static void compare_module(struct change *x, const struct ast_module *m) {
    compare_place(x, m->package, m->package->count);
    for (u32 i = 0; i < m->rule_count && !gives_up(x); i++) {
        struct ast_rule *r = m->rules[i];
        struct ast_term *full = rule_full_ref(x->c, r);
        u32 ground = rule_ground_len(r);
        if (gives_up(x)) return;
        compare_place(x, full, ground);
        (void)mark_at(x, &x->types, full, ground);
        if (!rule_is_finished(r)) notes_of(r)->full = NULL; /* its variables get other names yet */
    }
}

/* Rules by number, as their modules stand. */
static void number_rules(struct compiler *c) {
    c->rule_count = 0;
    c->numbering = ++*c->numbering_now;
    EACH_MODULE(c, m)
    for (u32 i = 0; i < m->rule_count; i++)
        for (struct ast_rule *r = m->rules[i]; r; r = r->otherwise) {
            if (c->rule_count == c->rule_room) {
                u32 room = c->rule_room ? c->rule_room * 2 : 256;
                struct ast_rule **rules = own_list(c, &room, sizeof *rules);
                if (room <= c->rule_count) return;
                if (c->rule_count) memcpy(rules, c->rules, c->rule_count * sizeof *rules);
                c->rules = rules, c->rule_room = room;
            }
            notes_of(r)->number = c->rule_count;
            notes_of(r)->typed = false;
            c->rules[c->rule_count++] = r;
        }
    c->rules_first = c->rule_count;
}

bool module_asks(struct change *x, const struct ast_module *m) {
    for (u32 i = 0; i < m->rule_count; i++)
        for (const struct ast_rule *r = m->rules[i]; r; r = r->otherwise)
            if (rule_touches(x, &x->kinds, r, is_changed)) return true;
    return false;
}

/* Kept modules with a rule that asks for a path of another kind. */
static bool renew_by_kind(struct change *x) {
    struct compiled *now = x->c->out;
    bool any = false;
    for (u32 k = 0; k < now->module_count && x->kinds.count && !gives_up(x); k++) {
        if (x->fresh[k] || !module_asks(x, now->modules[k])) continue;
        renew(x, k);
        if (!gives_up(x)) look_at_module(x->c, now->modules[k]);
        any = true;
    }
    return any;
}

static void plant(struct change *x) {
    struct compiler *c = x->c;
    EACH_FRESH(x, m) look_at_module(c, m);
    if (gives_up(x)) return;
    plant_rules(c);
    u32 gone = x->gone_count;
    EACH_FRESH(x, m) compare_module(x, m);
    for (u32 i = 0; i < gone && !gives_up(x); i++) compare_module(x, x->gone[i]);
    if (!renew_by_kind(x) || gives_up(x)) return;
    trie_open(c->paths, c->own); /* once more, with what was renewed */
    c->places = NULL, c->place_room = 0, c->data = NULL;
    plant_rules(c);
    for (u32 i = gone; i < x->gone_count && !gives_up(x); i++) compare_module(x, x->gone[i]);
}

/* ---- Types ---------------------------------------------------------------------------------- */

static const struct type *type_at(const struct compiler *c, const struct mark *m) {
    const struct trie_node *n = &c->types->tree->root;
    for (u32 i = 0; i < m->ground && n; i++)
        n = trie_child_term(c->types->tree, n, m->full->terms[i]);
    return n ? n->thing : NULL;
}

/* Of a path that a rule truly asks for, all rules have their types by the time that rule is looked
 * at: callees come first. Of one that it only seems to ask for, whatever this says is right. So
 * nothing is remembered. */
static bool type_changed(struct change *x, struct mark *m) {
    const struct type *was = type_at(x->before, m), *is = type_at(x->c, m);
    return was != is && (!was || !is || type_compare(was, is));
}

/* As tree_insert from the root; most rules' neighbours are of the same package. */
static void put_type(struct change *x, struct ast_rule *r) {
    struct trie *t = x->c->types->tree;
    const struct rule_notes *n = notes_of(r);
    const struct ast_term *package = r->module->package;
    if (x->package != package) {
        struct trie_node *at = &t->root;
        for (u32 i = 0; i < package->count && at; i++)
            at = package->terms[i]->kind == AST_VAR ? trie_make_str(t, at, package->terms[i]->var)
                                                    : trie_make(t, at, package->terms[i]->scalar);
        x->package = package, x->types_of_package = at;
    }
    const struct trie_node *up = x->types_of_package;
    while (up && !up->thing) up = up->parent; /* the root has no parent */
    bool plain = !up && x->types_of_package;  /* no rule reaches over the package */
    tree_insert_from(x->c, t, plain ? x->types_of_package : &t->root, plain ? package->count : 0,
                     n->full, n->ground, n->type);
}

static void type_kept(struct change *x, struct ast_rule *r) {
    struct compiler *c = x->c;
    struct rule_notes *n = notes_of(r);
    if (n->typed) return;
    bool first = !c->types->tree->count; /* then nothing is known of `data`, not even that it is */
    if (n->type && n->typed_first == first && !rule_touches(x, &x->types, r, type_changed)) {
        n->typed = true;
        put_type(x, r);
        return;
    }
    struct undo *u = heap_alloc(&c->lasting, sizeof *u);
    if (!u) return;
    *u = (struct undo){n, n->type, x->undo};
    x->undo = u;
    (void)mark_at(x, &x->types, n->full, rule_ground_len(r));
    type_rule(c, r);
}

static void check_all_types(struct change *x) {
    struct compiler *c = x->c;
    c->stage = STAGE_TYPES;
    for (u32 i = 0; i < c->out->order_count && !gives_up(x); i++) {
        struct ast_rule *r = c->out->order[i];
        if (rule_is_finished(r))
            type_kept(x, r);
        else
            type_rule(c, r);
    }
    if (!gives_up(x)) check_types(c); /* all are typed: tells what was found */
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void keep_module(struct change *x, struct ast_module *m) {
    struct compiler *c = x->c;
    for (u32 i = 0; i < m->rule_count && !gives_up(x); i++)
        for (struct ast_rule *r = m->rules[i]; r; r = r->otherwise)
            if (graph_note(c, r)) type_kept(x, r);
}

static void rewrite_all(struct change *x) {
    struct compiler *c = x->c;
    number_rules(c);
    c->stage = STAGE_METADATA;
    if (!gives_up(x)) gather_metadata(c);
    graph_open(c);
    c->stage = STAGE_TYPES;
    if (!gives_up(x)) checker_open(c);
    for (u32 k = 0; k < c->out->module_count && !gives_up(x); k++) {
        if (x->fresh[k])
            rewrite_module(c, c->out->modules[k]);
        else
            keep_module(x, c->out->modules[k]);
    }
}

static void run_passes(struct change *x) {
    struct compiler *c = x->c;
    c->exports_by_need = true;
    renew_by_name(x);
    if (!gives_up(x)) plant(x);
    if (!gives_up(x)) check_imports(c);
    if (!gives_up(x)) rewrite_all(x);
    c->stage = STAGE_CONFLICTS;
    if (!gives_up(x)) check_conflicts(c);
    c->stage = STAGE_RECURSION;
    if (!gives_up(x)) check_recursion(c);
    if (!gives_up(x)) check_all_types(x);
    refuse_deprecated(x);
    if (!gives_up(x)) finish_program(c);
}

void refuse_deprecated(struct change *x) {
    struct compiler *c = x->c;
    c->stage = STAGE_DEPRECATED;
    EACH_FRESH(x, m)
    for (u32 i = 0; i < m->rule_count && c->saw_deprecated; i++)
        for (struct ast_rule *r = m->rules[i]; r; r = r->otherwise) check_deprecated_builtins(c, r);
}

/* What depends on options alone, and made variables that go on counting. */
static void take_over(struct compiler *c, const struct compiler *from) {
    c->allowed = from->allowed;
    c->numbering = from->numbering, c->numbering_now = from->numbering_now;
    c->features_limited = from->features_limited, c->features = from->features;
    c->builtin_slots = from->builtin_slots;
    u32 count = builtins_count; /* a list of its own: what it adds may come to nothing */
    c->builtin_types = own_list(c, &count, sizeof *c->builtin_types);
    if (count) memcpy(c->builtin_types, from->builtin_types, count * sizeof *c->builtin_types);
    memcpy(c->builtin_filter, from->builtin_filter, sizeof c->builtin_filter);
    struct varset taken = c->locals.taken;
    c->locals = from->locals;
    c->locals.taken = taken;
}

/* Options and modules of a kind that this does not follow. */
static bool may_change(const struct compiled *from) {
    const struct compile_options *o = &from->options;
    const struct compiler *c = from->inner;
    return !o->unsafe_builtins && !value_defined(o->schemas) && !value_defined(o->capabilities) &&
           !c->any_schemas && !c->locals.taken.count && !o->rewrite_tests &&
           c->numbering == *c->numbering_now; /* else one made from it has changed its rules */
}

/* What came to nothing leaves the rules of the program before as they were. */
static void number_again(const struct compiler *before) {
    *before->numbering_now = before->numbering;
    for (u32 i = 0; i < before->rule_count; i++) {
        notes_of(before->rules[i])->number = i;
        notes_of(before->rules[i])->typed = true;
    }
}

enum way { REPLACE, EXTEND, ALL };

/* One of the ways, with a compiler of its own. */
static bool try_change(struct change *x, struct heap *own, const struct compile_options *o,
                       struct policy_errors *errors, struct ast_module **modules, enum way way) {
    const struct compile_change *asked = x->asked;
    struct compiler *c = compiler_open(asked->heap, own, o, errors);
    struct compiled *program = c ? compiled_open(c, modules, asked->count) : NULL;
    bool done = false;
    *x = (struct change){.c = c, .asked = asked, .before = asked->from->inner, .failed = !program};
    if (program) {
        u32 count = program->module_count, all = count + asked->from->module_count;
        x->fresh = own_list(c, &count, sizeof *x->fresh);
        x->gone = own_list(c, &all, sizeof(struct ast_module *));
        trie_open(&x->kinds, &c->lasting), trie_open(&x->types, &c->lasting);
        take_over(c, x->before);
        type_env_open(c);
        x->failed = compile_stopped(c);
    }
    if (!x->failed) {
        compare_modules(x);
        done = way == REPLACE ? replace_modules(x) : way == EXTEND ? extend_modules(x) : true;
        if (way == ALL) {
            trie_reserve(c->paths, x->before->paths->count);
            trie_reserve(c->types->tree, x->before->types->tree->count);
            run_passes(x);
        }
    }
    bool good = !x->failed && !gives_up(x) && !c->any_schemas && !c->locals.taken.count;
    x->failed = !good;
    for (struct undo *u = good ? NULL : x->undo; u; u = u->next) u->notes->type = u->type;
    if (!good && c && c->numbering != x->before->numbering) number_again(x->before);
    if (c) compiler_close(c);
    return done && good;
}

/* Those that replace_modules() may have rewritten. */
static bool parse_fresh(const struct change *x, struct ast_module **modules) {
    for (u32 i = 0; i < x->asked->count; i++) {
        modules[i] = x->c->out->modules[i];
        if (x->fresh[i]) modules[i] = x->asked->parse(x->asked->arg, modules[i]->file);
        if (!modules[i]) return false;
    }
    return true;
}

rc_t compile_change(const struct compile_change *asked, const struct compile_options *o,
                    struct compiled **out, bool *replaced) {
    struct policy_errors errors;
    struct heap scrap;
    struct change x = {.asked = asked};
    if (!may_change(asked->from)) return RC_PASS;
    heap_open(&scrap, KIB(256));
    policy_errors_open(&errors, &scrap, 1);
    struct ast_module **modules = heap_alloc(asked->own, (asked->count + 1) * sizeof *modules);
    bool done = modules && try_change(&x, asked->own, o, &errors, asked->modules, REPLACE);
    struct heap_mark mark = heap_mark(asked->shared);
    *replaced = done;
    for (enum way way = EXTEND; way <= ALL && !done && modules && !x.failed; way++) {
        heap_release(asked->shared, mark); /* what the way before made in it */
        if (!parse_fresh(&x, modules)) break;
        done = try_change(&x, asked->shared, o, &errors, modules, way);
    }
    heap_close(&scrap);
    if (!done) return RC_PASS;
    *out = x.c->out;
    return RC_OK;
}

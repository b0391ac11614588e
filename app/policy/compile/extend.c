/* SPDX-License-Identifier: Apache-2.0 */
/* extend.c — modules that bring paths or take some away, and nobody else who sees it.
 *
 * A policy is put where none was, is taken away, or has one rule more than before: nearly all that
 * was worked out about all rules stands, as in replace.c, but the tree of paths is another. So it
 * is copied, node by node without looking anything up, and changed where the modules are:
 *
 *   paths, types, places    copies of this program's own; what is gone leaves them, what is new is
 *                           planted; the children of a place stay sorted
 *   rules                   the list, copied, the new ones at its end
 *   conflicts               looked for at those paths and all above
 *   recursion               a cycle that was not there goes through a new rule
 *   types                   of the new rules, callees first
 *
 * It may be done when no rule that is kept asks for a path that came, went, or is of another kind
 * or type; when no kept rule stands at such a path, nor over it with variables in its head; and
 * when the names in the packages of kept modules stay. Else extend_modules() says so, and change.c
 * does all of it. Copying costs some instructions for each path; a look at what kept rules ask for,
 * some for each of their refs. */
#include "app/policy/compile/change_impl.h"

enum { RULES_SPARE = 256, PATHS_SPARE = 1024 };

/* A path with rules of modules that are gone or fresh. */
struct path {
    const struct ast_term *full;
    u32 ground;
};

struct extending {
    struct change *x;
    struct path *paths;
    u32 count, room;
};

/* ---- May it be done so? --------------------------------------------------------------------- */

/* Names in a package are what its other modules are resolved by. */
static bool names_stay(struct change *x, const struct ast_module *m) {
    const struct compiled *now = x->c->out;
    for (u32 k = 0; k < now->module_count; k++)
        if (!x->fresh[k] && same_package(now->modules[k]->package, m->package))
            return same_names(x, m->package);
    return true;
}

static bool may_extend(struct change *x) {
    const struct compiler *before = x->before;
    const struct compiled *now = x->c->out;
    u32 first = before->rules_first ? before->rules_first : before->rule_count;
    if (before->rule_count > 2 * first + RULES_SPARE || !before->data) return false;
    if (before->annotations->count) return false;
    for (u32 k = 0; k < now->module_count; k++)
        if (x->fresh[k] &&
            (speaks_of_others(now->modules[k]) || !names_stay(x, now->modules[k])))
            return false;
    for (u32 i = 0; i < x->gone_count; i++)
        if (speaks_of_others(x->gone[i]) || !names_stay(x, x->gone[i])) return false;
    return first_stays(x);
}

/* ---- Copies --------------------------------------------------------------------------------- */

static void *copy_of(struct compiler *c, const void *items, u32 count, size_t size) {
    u32 room = count;
    void *copy = count ? own_list(c, &room, size) : NULL;
    if (room < count) return NULL;
    if (count) memcpy(copy, items, count * size);
    return copy;
}

static void copy_place(struct compiler *c, const struct place *was, struct trie_node *at) {
    u32 one = 1;
    struct place *p = own_list(c, &one, sizeof *p);
    if (!one) return;
    *p = *was;
    p->at = at, p->node.key = at->key;
    p->node.rules = copy_of(c, was->node.rules, was->node.rule_count, sizeof *was->node.rules);
    p->rule_room = was->node.rule_count;
    p->modules = copy_of(c, was->modules, was->module_count, sizeof *was->modules);
    p->module_room = was->module_count;
    p->node.children =
        copy_of(c, was->node.children, was->node.child_count, sizeof *was->node.children);
    c->places[at->number] = p;
}

static struct place *place_of_node(const struct rule_node *n) {
    return (struct place *)((char *)(uintptr_t)n - offsetof(struct place, node));
}

/* Its own instead of those it was copied from. */
static void link_place(struct compiler *c, struct place *p) {
    struct place *up = p->at->parent->parent ? node_place(c, p->at->parent) : NULL;
    p->node.parent = up ? &up->node : NULL;
    for (u32 i = 0; i < p->node.child_count; i++)
        p->node.children[i] = &c->places[place_of_node(p->node.children[i])->at->number]->node;
    for (u32 i = 0; i < p->node.rule_count; i++)
        for (struct ast_rule *r = p->node.rules[i]; r; r = r->otherwise) notes_of(r)->place = p;
}

static bool copy_world(struct change *x) {
    struct compiler *c = x->c;
    const struct compiler *before = x->before;
    struct trie_node **nodes = trie_copy(c->paths, before->paths, true, &c->lasting);
    /* Types know keys of their tree, and go with the rules. */
    if (!nodes || !trie_copy(c->types->tree, before->types->tree, false, &c->lasting)) return false;
    c->exports_by_need = true;
    c->place_room = before->paths->count;
    c->places = own_list(c, &c->place_room, sizeof *c->places);
    c->rules = before->rules, c->rule_count = before->rule_count;
    c->rule_room = before->rule_count + RULES_SPARE;
    c->rules_first = before->rules_first ? before->rules_first : before->rule_count;
    u32 room = c->rule_room;
    struct ast_rule **rules = own_list(c, &room, sizeof(struct ast_rule *));
    if (!room || c->place_room < before->paths->count) return false;
    memcpy(rules, before->rules, before->rule_count * sizeof(struct ast_rule *));
    c->rules = rules;
    u32 live = 0;
    for (u32 i = 0; i < before->paths->count; i++) {
        const struct place *was = nodes[i] ? node_place(before, nodes[i]) : NULL;
        live += nodes[i] != NULL;
        if (was) copy_place(c, was, nodes[i]);
    }
    if (compile_stopped(c) || before->paths->count > 2 * live + PATHS_SPARE) return false;
    for (u32 i = 0; i < before->paths->count; i++)
        if (c->places[i]) link_place(c, c->places[i]);
    c->data = c->places[before->data->at->number];
    return c->data != NULL;
}

/* ---- Paths that are touched ------------------------------------------------------------------ */

/* The path's node says so while this goes on. */
static bool touch(struct extending *e, struct place *p, const struct ast_term *full) {
    u32 ground = 0;
    if (p->at->thing) return true;
    if (e->count == e->room) {
        u32 room = MAX(e->room * 2, 32u);
        struct path *paths = heap_alloc(&e->x->c->lasting, room * sizeof *paths);
        if (!paths) return false;
        if (e->count) memcpy(paths, e->paths, e->count * sizeof *paths);
        e->paths = paths, e->room = room;
    }
    for (const struct trie_node *n = p->at; n->parent; n = n->parent) ground++;
    e->paths[e->count++] = (struct path){full, ground};
    p->at->thing = e;
    return true;
}

static bool is_gone(const struct change *x, const struct ast_module *m) {
    for (u32 i = 0; i < x->gone_count; i++)
        if (x->gone[i] == m) return true;
    return false;
}

/* Above it no rule has variables in its head, or the document there would be another. */
static bool is_free_above(const struct compiler *c, const struct trie_node *n) {
    for (n = n->parent; n && n->parent; n = n->parent) {
        const struct place *p = node_place(c, n);
        if (p && p->node.has_ref_rules) return false;
    }
    return true;
}

static bool leave_places(struct extending *e, const struct ast_module *m) {
    struct change *x = e->x;
    struct place *home = place_of(x->c, m->package, m->package->count);
    if (!home) return false;
    u32 left = 0;
    for (u32 i = 0; i < home->module_count; i++)
        if (home->modules[i] != m) home->modules[left++] = home->modules[i];
    home->module_count = left;
    for (u32 i = 0; i < m->rule_count; i++) {
        const struct ast_term *full = m->rules[i]->head->ref;
        u32 ground = notes_of(m->rules[i])->ground;
        struct place *p = place_of(x->c, full, ground);
        if (!rule_is_finished(m->rules[i]) || !p || !is_free_above(x->c, p->at)) return false;
        if (p->at->thing) continue;
        for (u32 k = 0; k < p->node.rule_count; k++)
            if (!is_gone(x, p->node.rules[k]->module)) return false;
        p->node.rule_count = 0, p->node.has_ref_rules = false;
        if (!touch(e, p, full)) return false;
    }
    return true;
}

static bool take_places(struct extending *e, struct ast_module *m) {
    struct compiler *c = e->x->c;
    plant_module(c, m);
    for (u32 i = 0; i < m->rule_count && !compile_stopped(c); i++) {
        struct place *p = notes_of(m->rules[i])->place;
        if (p->at->thing) continue; /* touched before: none that is kept is there */
        for (u32 k = 0; k < p->node.rule_count; k++)
            if (p->node.rules[k]->module != m) return false;
        struct ast_term *full = rule_full_ref(c, m->rules[i]);
        notes_of(m->rules[i])->full = NULL; /* its variables get other names yet */
        if (!is_free_above(c, p->at) || !touch(e, p, full)) return false;
    }
    return !compile_stopped(c);
}

/* ---- The children of places ------------------------------------------------------------------ */

/* Where the key is, or would be. */
static u32 child_at(const struct rule_node *up, value key) {
    u32 low = 0, high = up->child_count;
    while (low < high) {
        u32 mid = low + (high - low) / 2;
        if (value_compare(up->children[mid]->key, key) < 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

static bool has_child(const struct rule_node *up, u32 at, const struct place *p) {
    return at < up->child_count && up->children[at] == &p->node;
}

/* A path that came is the child of the one above, and that of its own. */
static void join(struct compiler *c, struct place *p) {
    for (; p->node.parent; p = place_of_node(p->node.parent)) {
        struct rule_node *up = p->node.parent;
        u32 at = child_at(up, p->node.key), room = up->child_count + 1;
        if (has_child(up, at, p)) return;
        struct rule_node **children = own_list(c, &room, sizeof(struct rule_node *));
        if (!room) return;
        if (at) memcpy(children, up->children, at * sizeof(struct rule_node *));
        children[at] = &p->node;
        if (at < up->child_count)
            memcpy(children + at + 1, up->children + at, (up->child_count - at) * sizeof *children);
        up->children = children, up->child_count++;
    }
}

/* A path with neither rules, nor packages, nor any beneath it is none. */
static void prune(struct compiler *c, struct trie_node *n) {
    while (n && n->parent && n != c->data->at && !n->first) {
        struct place *p = node_place(c, n);
        if (p && (p->node.rule_count || p->module_count)) return;
        struct rule_node *up = p ? p->node.parent : NULL;
        u32 at = up ? child_at(up, n->key) : 0;
        if (up && has_child(up, at, p)) {
            up->child_count--;
            for (; at < up->child_count; at++) up->children[at] = up->children[at + 1];
        }
        if (p) c->places[n->number] = NULL;
        struct trie_node *above = n->parent;
        trie_remove(c->paths, n);
        n = above;
    }
}

static struct trie_node *path_node(const struct trie *t, const struct ast_term *ref, u32 len) {
    const struct trie_node *n = &t->root;
    for (u32 i = 0; i < len && n; i++) n = trie_child_term(t, n, ref->terms[i]);
    return (struct trie_node *)(uintptr_t)n;
}

static void settle_path(struct compiler *c, const struct ast_term *ref, u32 len) {
    struct trie_node *n = path_node(c->paths, ref, len);
    struct place *p = n ? node_place(c, n) : NULL;
    if (p && (p->node.rule_count || p->module_count)) join(c, p);
    else prune(c, n);
}

static bool plant(struct extending *e) {
    struct change *x = e->x;
    struct compiler *c = x->c;
    for (u32 i = 0; i < x->gone_count; i++)
        if (!leave_places(e, x->gone[i])) return false;
    EACH_FRESH(x, m) {
        if (!take_places(e, m)) return false;
    }
    for (u32 i = 0; i < e->count; i++) settle_path(c, e->paths[i].full, e->paths[i].ground);
    for (u32 i = 0; i < x->gone_count; i++)
        settle_path(c, x->gone[i]->package, x->gone[i]->package->count);
    EACH_FRESH(x, m) settle_path(c, m->package, m->package->count);
    struct trie_node *system = trie_child_str(c->paths, c->data->at, S("system"));
    if (system && node_place(c, system)) node_place(c, system)->node.hide = true;
    return !gives_up(x);
}

/* ---- Types ----------------------------------------------------------------------------------- */

/* Its type is its own: no rule reaches over it, and none lies beneath. */
static bool types_alone(const struct trie *t, const struct path *p) {
    const struct trie_node *n = &t->root;
    for (u32 i = 0; i < p->ground && n; i++) {
        if (n->thing) return false;
        n = trie_child_term(t, n, p->full->terms[i]);
    }
    return !n || !n->first;
}

static bool forget_types(struct extending *e) {
    struct compiler *c = e->x->c;
    struct trie *t = c->types->tree;
    for (u32 i = 0; i < e->count; i++)
        if (!types_alone(t, &e->paths[i])) return false;
    for (u32 i = 0; i < e->count; i++) {
        struct trie_node *n = path_node(t, e->paths[i].full, e->paths[i].ground);
        if (n) n->thing = NULL;
    }
    for (u32 i = 0; i < e->count; i++) {
        struct trie_node *n = path_node(t, e->paths[i].full, e->paths[i].ground);
        const struct place *p = place_of(c, e->paths[i].full, e->paths[i].ground);
        if (p && p->node.rule_count) continue; /* it gets another */
        while (n && n->parent && !n->first && !n->thing) {
            struct trie_node *up = n->parent;
            trie_remove(t, n);
            n = up;
        }
    }
    return true;
}

static void type_all(struct change *x) {
    struct compiler *c = x->c;
    c->stage = STAGE_TYPES;
    for (u32 i = 0; i < c->out->order_count && !gives_up(x); i++) type_rule(c, c->out->order[i]);
    c->out->order = NULL, c->out->order_count = 0;
}

/* ---- Does anybody see it? -------------------------------------------------------------------- */

/* Those of another type are marked too; true: some were not. */
static bool mark_types(struct extending *e) {
    struct change *x = e->x;
    bool more = false;
    for (u32 i = 0; i < e->count && !gives_up(x); i++) {
        const struct path *p = &e->paths[i];
        const struct trie_node *a = path_node(x->before->types->tree, p->full, p->ground);
        const struct trie_node *b = path_node(x->c->types->tree, p->full, p->ground);
        const struct type *was = a ? a->thing : NULL, *is = b ? b->thing : NULL;
        if (was == is || (was && is && !type_compare(was, is))) continue;
        const struct trie_node *known = path_node(&x->kinds, p->full, p->ground);
        more |= !known || !known->thing;
        mark_changed(x, &x->kinds, p->full, p->ground);
    }
    return more;
}

static bool is_seen(struct change *x) {
    const struct compiled *now = x->c->out;
    for (u32 k = 0; k < now->module_count && x->kinds.count; k++)
        if (!x->fresh[k] && module_asks(x, now->modules[k])) return true;
    return false;
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* Rules in the way of the module's package, and packages in the way of its rules. */
static void refuse_packages(struct compiler *c, struct ast_module *m) {
    const struct place *home = place_of(c, m->package, m->package->count);
    check_module_conflicts(c, m);
    for (u32 i = 0; home && i < home->node.rule_count; i++)
        check_module_conflicts(c, home->node.rules[i]->module);
}

static void refuse_wrong(struct extending *e, u32 first) {
    struct change *x = e->x;
    struct compiler *c = x->c;
    u32 count = c->rule_count;
    c->stage = STAGE_CONFLICTS;
    for (u32 i = 0; i < e->count && !gives_up(x); i++)
        for (u32 len = e->paths[i].ground; len && !gives_up(x); len--) {
            const struct place *p = place_of(c, e->paths[i].full, len);
            if (p) check_place_conflicts(c, p);
        }
    /* A package may stand beneath, or be, another's rule. */
    EACH_FRESH(x, m)
    for (u32 len = m->package->count; len; len--) {
        const struct place *p = place_of(c, m->package, len);
        if (p) check_place_conflicts(c, p);
    }
    if (!gives_up(x)) check_document_conflicts(c);
    EACH_FRESH(x, m) refuse_packages(c, m);
    c->stage = STAGE_RECURSION;
    c->out->order = heap_alloc(&c->lasting, (count + 1) * sizeof *c->out->order);
    c->out->order_count = 0;
    if (!c->out->order) x->failed = true;
    if (!gives_up(x)) check_recursion_from(c, first);
    type_all(x);
    if (!gives_up(x)) check_types(c); /* all are typed: tells what was found */
    refuse_deprecated(x);
}

bool extend_modules(struct change *x) {
    struct compiler *c = x->c;
    struct extending e = {.x = x};
    u32 first = x->before->rule_count;
    if (!may_extend(x) || !copy_world(x)) return false;
    EACH_FRESH(x, m) {
        look_at_module(c, m);
        c->stage = STAGE_IMPORTS;
        if (!gives_up(x)) check_module_imports(c, m);
    }
    if (gives_up(x) || !plant(&e) || !forget_types(&e)) return false;
    for (u32 i = 0; i < e.count && !gives_up(x); i++)
        compare_place(x, e.paths[i].full, e.paths[i].ground);
    for (u32 i = 0; i < x->gone_count && !gives_up(x); i++)
        compare_place(x, x->gone[i]->package, x->gone[i]->package->count);
    EACH_FRESH(x, m) compare_place(x, m->package, m->package->count);
    if (gives_up(x) || is_seen(x)) return false;
    graph_open(c);
    c->stage = STAGE_TYPES;
    checker_open(c);
    EACH_FRESH(x, m) rewrite_module(c, m);
    refuse_wrong(&e, first);
    if (gives_up(x)) return false;
    if ((mark_types(&e) && is_seen(x)) || gives_up(x)) return false;
    EACH_FRESH(x, m) finish_module(c, m);
    for (u32 i = 0; i < e.count; i++) {
        struct trie_node *n = path_node(c->paths, e.paths[i].full, e.paths[i].ground);
        if (n) n->thing = NULL;
    }
    c->out->root = &c->data->node;
    return !gives_up(x);
}

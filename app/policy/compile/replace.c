/* SPDX-License-Identifier: Apache-2.0 */
/* replace.c — a module in the place of the one before it, and nothing else looked at.
 *
 * Most changes leave every path where it was, and of the same kind and type: a rule's body is
 * another, a set in it has one member more. Then all that was worked out about all rules stands,
 * and the program shares it with the one before:
 *
 *   paths, types           the very same tries
 *   places                 one list by number, copied; of the paths of the module and those above
 *                          them there are new places, so that who asks the program before sees
 *                          its own rules
 *   rules                  the list, copied, the new ones at its end; those they replace stay in
 *                          it as numbers nobody comes to any more
 *   conflicts              looked for at those paths and against base documents
 *   recursion              a cycle that was not there goes through a new rule
 *   types                  the new rules are typed as though nothing had changed; when each path
 *                          then has the type it had, nothing has
 *
 *          data                   data'           primed: made anew
 *         /    \                 /    \
 *        a      b       ->      a      b'
 *              / \                    / \
 *             p   q                  p'  q
 *
 * Whatever else a change touches, replace_modules() says so and change.c does all of it. What it
 * costs grows with the rules of the module, and with all of them only as copying a pointer does. */
#include "app/policy/compile/change_impl.h"
#include "app/policy/lang/annotations.h"

enum { PAIRS_MAX = 8, RULES_SPARE = 256 };

struct touched {
    struct trie_node *at;
    struct place *place; /* the new one */
    const struct ast_term *full; /* of a rule there before */
    u32 ground, was, is, behind; /* rules of the module; how many of others follow them */
};

struct replacing {
    struct change *x;
    struct ast_module *old, *now;
    struct touched *paths;
    u32 count;
    u32 *slots; /* by number of the node: 1 + which of `paths` */
};

/* ---- May it be done so? --------------------------------------------------------------------- */

/* What is said of documents and packages is known to rules of other modules. */
bool speaks_of_others(const struct ast_module *m) {
    for (u32 i = 0; i < m->annotation_count; i++)
        if (m->annotations[i]->scope != SCOPE_RULE) return true;
    return false;
}

/* The rule that is typed first sees another world than all others (rule_notes.typed_first): that it
 * is the same one is sure when it comes before all that changed. */
bool first_stays(const struct change *x) {
    const struct compiled *now = x->c->out;
    for (u32 k = 0; k < now->module_count; k++) {
        const struct ast_module *m = now->modules[k];
        if (x->fresh[k]) return false;
        for (u32 i = 0; i < m->rule_count; i++)
            for (const struct ast_rule *r = m->rules[i]; r; r = r->otherwise)
                if (notes_of(r)->typed_first) return true;
    }
    return false;
}

static bool may_replace(const struct change *x) {
    const struct compiler *before = x->before;
    const struct compiled *now = x->c->out;
    u32 first = before->rules_first ? before->rules_first : before->rule_count, pair = 0;
    if (x->gone_count != x->fresh_count || x->fresh_count > PAIRS_MAX) return false;
    if (before->rule_count > 2 * first + RULES_SPARE || !before->data) return false;
    for (u32 k = 0; k < now->module_count; k++) {
        if (!x->fresh[k]) continue;
        const struct ast_module *was = x->gone[pair++], *is = now->modules[k];
        if (!str_eq(was->file->name, is->file->name)) return false;
        if (!same_package(was->package, is->package)) return false;
        if (speaks_of_others(was) || speaks_of_others(is)) return false;
    }
    return first_stays(x);
}

/* ---- What is shared ------------------------------------------------------------------------- */

static bool copy_list(struct compiler *c, void *list, u32 count, u32 *room, size_t size) {
    void *copy = own_list(c, room, size);
    if (*room < count || !*room) return false;
    if (count) memcpy(copy, *(void **)list, count * size);
    *(void **)list = copy;
    return true;
}

static bool share(struct change *x) {
    struct compiler *c = x->c;
    const struct compiler *before = x->before;
    c->paths = before->paths, c->annotations = before->annotations;
    c->types->tree = before->types->tree, c->types_stand = true;
    c->exports_by_need = true;
    c->data = before->data;
    c->places = before->places, c->place_room = before->place_room;
    c->rules = before->rules, c->rule_count = before->rule_count;
    c->rule_room = before->rule_count + RULES_SPARE;
    c->rules_first = before->rules_first ? before->rules_first : before->rule_count;
    return copy_list(c, &c->places, before->place_room, &c->place_room, sizeof *c->places) &&
           copy_list(c, &c->rules, before->rule_count, &c->rule_room, sizeof *c->rules);
}

/* ---- Paths of both --------------------------------------------------------------------------- */

static u32 depth_in(const struct replacing *r, const struct ast_rule *rule) {
    return rule_is_finished(rule) ? 0 : r->now->package->count;
}

/* The node at which a rule stands; NULL: there is none yet. */
static struct trie_node *node_of(const struct replacing *r, const struct ast_rule *rule) {
    const struct trie *t = r->x->c->paths;
    const struct trie_node *n = &t->root;
    u32 ground = rule_ground_len(rule), skip = depth_in(r, rule);
    for (u32 i = 0; i < ground && n; i++)
        n = trie_child_term(
            t, n, i < skip ? r->now->package->terms[i] : rule->head->ref->terms[i - skip]);
    return (struct trie_node *)(uintptr_t)n;
}

static struct touched *touched_at(const struct replacing *r, const struct trie_node *n) {
    u32 slot = n ? r->slots[n->number] : 0;
    return slot ? &r->paths[slot - 1] : NULL;
}

/* Over an ancestor with variables in its heads this path's rules would be part of its document. */
static bool is_within_another(const struct change *x, const struct trie_node *n) {
    for (n = n->parent; n && n != &x->c->paths->root; n = n->parent)
        if (node_place(x->before, n)->node.has_ref_rules) return true;
    return false;
}

static bool gather_old(struct replacing *r) {
    for (u32 i = 0; i < r->old->rule_count; i++) {
        struct ast_rule *rule = r->old->rules[i];
        struct trie_node *n = node_of(r, rule);
        struct touched *t = touched_at(r, n);
        if (!n || (t && t < r->paths)) return false;
        if (!t) {
            if (r->slots[n->number] || is_within_another(r->x, n)) return false;
            t = &r->paths[r->count++];
            *t = (struct touched){
                .at = n, .full = rule->head->ref, .ground = rule_ground_len(rule)};
            r->slots[n->number] = r->count;
        }
        t->was++;
    }
    return true;
}

static bool gather_new(struct replacing *r) {
    for (u32 i = 0; i < r->now->rule_count; i++) {
        struct touched *t = touched_at(r, node_of(r, r->now->rules[i]));
        if (!t) return false;
        t->is++;
    }
    for (u32 i = 0; i < r->count; i++)
        if (!r->paths[i].is) return false;
    return true;
}

/* ---- New places ------------------------------------------------------------------------------ */

/* The place at n as this program's own, and those above it. They lie with the rules, since the next
 * program takes them over. */
static struct place *renew_place(struct change *x, const struct trie_node *n) {
    struct compiler *c = x->c;
    struct place *was = node_place(x->before, n), *p = node_place(c, n);
    if (!was || p != was) return p;
    p = compile_alloc(c, sizeof *p);
    *p = *was;
    u32 count = was->node.child_count;
    if (count) {
        p->node.children = compile_list(c, &count, sizeof *p->node.children);
        if (count) memcpy(p->node.children, was->node.children, count * sizeof(void *));
        p->node.child_count = count;
    }
    c->places[n->number] = p;
    if (n->parent == &c->paths->root) return p;
    struct place *up = renew_place(x, n->parent);
    if (!up) return NULL;
    p->node.parent = &up->node;
    u32 low = 0, high = up->node.child_count;
    while (low < high) {
        u32 mid = low + (high - low) / 2;
        int order = value_compare(up->node.children[mid]->key, n->key);
        if (!order) {
            up->node.children[mid] = &p->node;
            return p;
        }
        if (order < 0) low = mid + 1;
        else high = mid;
    }
    return NULL; /* no memory for the children */
}

/* The module's place of home lists the modules of the package. */
static bool renew_home(struct replacing *r) {
    struct compiler *c = r->x->c;
    struct place *home = place_of(c, r->now->package, r->now->package->count);
    home = home ? renew_place(r->x, home->at) : NULL;
    if (!home) return false;
    u32 count = home->module_count;
    struct ast_module **modules = compile_list(c, &count, sizeof *modules);
    if (count != home->module_count) return false;
    for (u32 i = 0; i < count; i++)
        modules[i] = home->modules[i] == r->old ? r->now : home->modules[i];
    home->modules = modules, home->module_room = count;
    return true;
}

/* The rules of other modules that come before; those that come behind are added at the end. */
static bool begin_place(struct replacing *r, struct touched *t) {
    struct compiler *c = r->x->c;
    struct place *p = t->place = renew_place(r->x, t->at);
    if (!p) return false;
    struct ast_rule **was = p->node.rules;
    u32 all = p->node.rule_count, first = 0, room = all - t->was + t->is;
    while (first < all && was[first]->module != r->old) first++;
    if (first + t->was > all) return false;
    struct ast_rule **rules = compile_list(c, &room, sizeof *rules);
    if (!room) return false;
    t->behind = all - first - t->was;
    memcpy(rules, was, first * sizeof *rules);
    memcpy(rules + first + t->is, was + first + t->was, t->behind * sizeof *rules);
    p->node.rules = rules, p->rule_room = room, p->node.rule_count = first;
    return true;
}

static bool has_variable(const struct ast_rule *rule) {
    u32 ground = rule_is_finished(rule) ? notes_of(rule)->ground : ref_ground_len(rule->head->ref);
    return ground < rule->head->ref->count;
}

static bool plant_new(struct replacing *r) {
    for (u32 i = 0; i < r->count; i++)
        if (!begin_place(r, &r->paths[i])) return false;
    for (u32 i = 0; i < r->now->rule_count; i++) {
        struct ast_rule *rule = r->now->rules[i];
        struct place *p = touched_at(r, node_of(r, rule))->place;
        p->node.rules[p->node.rule_count++] = rule;
        for (struct ast_rule *e = rule; e; e = e->otherwise) notes_of(e)->place = p;
    }
    for (u32 i = 0; i < r->count; i++) {
        struct rule_node *n = &r->paths[i].place->node;
        n->rule_count += r->paths[i].behind;
        n->has_ref_rules = false;
        for (u32 k = 0; k < n->rule_count; k++) n->has_ref_rules |= has_variable(n->rules[k]);
    }
    return renew_home(r);
}

/* ---- Are they of the same kind, and do they stand beside the others? ------------------------ */

static bool same_kinds(struct replacing *r) {
    struct change *x = r->x;
    for (u32 i = 0; i < r->count && !gives_up(x); i++)
        compare_place(x, r->paths[i].full, r->paths[i].ground);
    return !x->kinds.count && !gives_up(x);
}

static void refuse_conflicts(const struct replacing *r) {
    struct compiler *c = r->x->c;
    c->stage = STAGE_CONFLICTS;
    for (u32 i = 0; i < r->count && !compile_stopped(c); i++)
        for (struct trie_node *n = r->paths[i].at; n != &c->paths->root; n = n->parent)
            check_place_conflicts(c, node_place(c, n));
    check_module_conflicts(c, r->now);
}

/* ---- Types ----------------------------------------------------------------------------------- */

static void type_all(struct replacing *r) {
    struct compiler *c = r->x->c;
    c->stage = STAGE_TYPES;
    for (u32 i = 0; i < r->now->rule_count && !gives_up(r->x); i++)
        for (struct ast_rule *rule = r->now->rules[i]; rule; rule = rule->otherwise)
            type_rule(c, rule);
}

/* Where the path's type lies, when it is its rules' alone. */
static const struct trie_node *type_of_path(const struct compiler *c, const struct touched *t) {
    const struct trie *tree = c->types->tree;
    const struct trie_node *n = &tree->root;
    for (u32 i = 0; i < t->ground && n; i++) {
        if (n->thing) return NULL;
        n = trie_child_term(tree, n, t->full->terms[i]);
    }
    return n && n->thing && !n->first ? n : NULL;
}

/* The rules' types put together as they would be in a tree, and forgotten again. */
static bool same_type(struct replacing *r, const struct touched *t) {
    struct compiler *c = r->x->c;
    const struct trie_node *was = type_of_path(c, t);
    struct heap_mark mark = heap_mark(&c->scratch);
    struct heap *heap = c->heap;
    struct trie tree;
    bool same = was != NULL;
    trie_open(&tree, &c->scratch);
    c->heap = &c->scratch;
    for (u32 i = 0; i < t->place->node.rule_count && same; i++)
        for (const struct ast_rule *rule = t->place->node.rules[i]; rule; rule = rule->otherwise) {
            const struct type *type = notes_of(rule)->type;
            u32 ground = t->ground;
            same &= type != NULL;
            if (type) tree_insert_from(c, &tree, &tree.root, ground - 1, t->full, ground, type);
        }
    c->heap = heap;
    const struct type *is = tree.root.first ? tree.root.first->thing : NULL;
    same = same && is && !type_compare(was->thing, is);
    heap_release(&c->scratch, mark);
    return same && !compile_stopped(c);
}

static bool same_types(struct replacing *r) {
    for (u32 i = 0; i < r->count; i++)
        if (!same_type(r, &r->paths[i])) return false;
    return true;
}

/* ---- All of it ------------------------------------------------------------------------------- */

void finish_module(struct compiler *c, struct ast_module *m) {
    for (u32 i = 0; i < m->rule_count && !compile_stopped(c); i++)
        for (struct ast_rule *r = m->rules[i]; r; r = r->otherwise) {
            struct ast_term *full = rule_full_ref(c, r);
            notes_of(r)->ground = rule_ground_len(r);
            r->head->ref = full;
        }
}

/* Before bodies are looked at: whose rules stand where. */
static bool plant(struct change *x, struct replacing *all, u32 count) {
    u32 *slots = heap_alloc(&x->c->lasting, (x->c->paths->count + 1) * sizeof *slots);
    if (!slots) return false;
    memset(slots, 0, (x->c->paths->count + 1) * sizeof *slots);
    for (u32 i = 0; i < count; i++) {
        struct replacing *r = &all[i];
        r->slots = slots;
        r->paths = heap_alloc(&x->c->lasting, (r->old->rule_count + 1) * sizeof *r->paths);
        if (!r->paths || !gather_old(r) || !gather_new(r) || !plant_new(r)) return false;
        for (u32 k = 0; k < r->count; k++) slots[r->paths[k].at->number] = 0;
    }
    x->c->data = node_place(x->c, x->c->data->at);
    for (u32 i = 0; i < count; i++)
        if (!same_kinds(&all[i])) return false;
    return true;
}

static void refuse_wrong(struct change *x, struct replacing *all, u32 count, u32 first) {
    struct compiler *c = x->c;
    for (u32 i = 0; i < count && !gives_up(x); i++) refuse_conflicts(&all[i]);
    if (!gives_up(x)) check_document_conflicts(c);
    c->stage = STAGE_RECURSION;
    if (!gives_up(x)) check_recursion_from(c, first);
    for (u32 i = 0; i < count && !gives_up(x); i++) type_all(&all[i]);
    if (!gives_up(x)) check_types(c); /* all are typed: tells what was found */
    refuse_deprecated(x);
}

bool replace_modules(struct change *x) {
    struct compiler *c = x->c;
    struct replacing all[PAIRS_MAX];
    u32 count = 0, first = x->before->rule_count;
    if (!may_replace(x) || !share(x)) return false;
    EACH_FRESH(x, m) {
        look_at_module(c, m);
        c->stage = STAGE_IMPORTS;
        if (!gives_up(x)) check_module_imports(c, m);
        all[count] = (struct replacing){.x = x, .old = x->gone[count], .now = m};
        count++;
    }
    if (gives_up(x) || !plant(x, all, count)) return false;
    graph_open(c);
    checker_open(c);
    EACH_FRESH(x, m) rewrite_module(c, m);
    refuse_wrong(x, all, count, first);
    if (gives_up(x)) return false;
    for (u32 i = 0; i < count; i++) {
        finish_module(c, all[i].now);
        if (!same_types(&all[i])) return false;
    }
    c->out->root = &c->data->node;
    return true;
}

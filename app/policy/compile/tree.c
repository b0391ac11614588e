/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c — the tree of all rules, and what is known of each rule before any pass runs.
 *
 *   package a.b        data -> a -> b -> p       (p's rules)
 *   p := 1                            -> q -> r  (q.r's, and q.r[x]'s: the ground part counts)
 *   q.r[x] := 2
 *
 * While compiling, nodes are found through one hash table (trie.c); finish_tree() gives each its
 * children sorted, as users of the program see them. */
#include "app/policy/compile/compile_impl.h"

/* ---- Numbers and features ------------------------------------------------------------------- */

struct look {
    struct rule_notes *notes;
    struct varset *taken;
};

static bool look_term(struct walk *w, struct ast_term *t) {
    struct look *l = w->arg;
    switch (t->kind) {
    case AST_TEMPLATE_STRING: l->notes->has |= HAS_TEMPLATE; break;
    case AST_CALL: l->notes->has |= HAS_CALL_TERM; break;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: l->notes->has |= HAS_CLOSURE; break;
    case AST_VAR:
        if (is_generated(t->var)) varset_add(l->taken, t->var);
        if (is_var_named(t, "data")) l->notes->has |= HAS_DATA;
        break;
    default: break;
    }
    return false;
}

static bool is_metadata_ref(const struct ast_term *op) {
    return op->kind == AST_REF && op->count == 3 && is_var_named(op->terms[0], "rego") &&
           op->terms[1]->kind == AST_STRING &&
           str_eq(value_str(op->terms[1]->scalar), S("metadata"));
}

static bool look_expr(struct walk *w, struct ast_expr *e) {
    struct look *l = w->arg;
    if (e->with_count) l->notes->has |= HAS_WITH;
    if (e->kind == AST_EXPR_EVERY || e->kind == AST_EXPR_NOT || e->kind == AST_EXPR_LOGICAL)
        l->notes->has |= HAS_NESTED;
    if (is_call_of(e, "print")) l->notes->has |= HAS_PRINT;
    if (e->kind == AST_EXPR_CALL && is_metadata_ref(e->terms[0])) l->notes->has |= HAS_METADATA;
    if (e->kind == AST_EXPR_SOME) l->notes->has |= HAS_CALL_TERM | HAS_DECLARED;
    if (is_assignment(e)) l->notes->has |= HAS_DECLARED;
    return false;
}

static bool look_metadata(struct walk *w, struct ast_term *t) {
    struct look *l = w->arg;
    if (t->kind == AST_CALL && is_metadata_ref(t->terms[0])) l->notes->has |= HAS_METADATA;
    return look_term(w, t);
}

void note_rule(struct compiler *c, struct ast_rule *r) {
    struct rule_notes *n = compile_alloc(c, sizeof *n);
    r->notes = n;
    n->number = c->rule_count;
    struct look look = {n, &c->locals.taken};
    struct walk w = {.c = c, .term = look_metadata, .expr = look_expr, .arg = &look};
    walk_rule(&w, r);
    walk_term(&w, r->head->ref);
    if (c->rule_count == c->rule_room) {
        u32 room = c->rule_room ? c->rule_room * 2 : 256;
        struct ast_rule **rules = own_list(c, &room, sizeof *rules);
        if (room <= c->rule_room) return;
        if (c->rule_count) memcpy(rules, c->rules, c->rule_count * sizeof *rules);
        c->rules = rules;
        c->rule_room = room;
    }
    c->rules[c->rule_count++] = r;
}

static struct trie_node *path_in(struct trie *t, const struct ast_term *ref, u32 len) {
    struct trie_node *n = &t->root;
    for (u32 i = 0; i < len && n; i++) {
        const struct ast_term *key = ref->terms[i];
        n = key->kind == AST_VAR ? trie_make_str(t, n, key->var) : trie_make(t, n, key->scalar);
    }
    return n;
}

static void export_module(struct compiler *c, struct ast_module *m, struct trie *to) {
    struct trie_node *package = path_in(to, m->package, m->package->count);
    for (u32 i = 0; i < m->rule_count && package && !compile_stopped(c); i++) {
        const struct ast_rule *r = m->rules[i];
        bool whole = rule_is_finished(r);
        const struct ast_term *name = r->head->ref->terms[whole ? m->package->count : 0];
        struct trie_node *n = NULL;
        if (name->kind == AST_VAR)
            n = trie_make_str(to, package, name->var);
        else if (whole)
            n = trie_make(to, package, name->scalar);
        if (n) n->thing = m; /* a rule's name, not only a package beneath */
    }
}

/* Each package gets the names of its rules, before anything is resolved. */
void export_names(struct compiler *c) {
    EACH_MODULE(c, m) export_module(c, m, c->exports);
}

/* Many packages differ at the end alone; a text's hash tells most of them apart. */
bool same_package(const struct ast_term *a, const struct ast_term *b) {
    if (a == b) return true;
    if (a->count != b->count) return false;
    for (u32 i = a->count; i-- > 1;)
        if (a->terms[i]->scalar.hash != b->terms[i]->scalar.hash) return false;
    return !ast_term_compare(a, b);
}

void export_package(struct compiler *c, const struct compiled *of, const struct ast_term *package,
                    struct trie *to) {
    for (u32 i = 0; i < of->module_count && !compile_stopped(c); i++)
        if (same_package(of->modules[i]->package, package))
            export_module(c, of->modules[i], to);
}

/* ---- Planting ------------------------------------------------------------------------------- */

static bool places_reach(struct compiler *c, u32 number) {
    if (number < c->place_room) return true;
    u32 room = MAX(c->place_room * 2, MAX(number + 1, 256u)), old = c->place_room;
    struct place **places = own_list(c, &room, sizeof(struct place *));
    if (room <= number) return false;
    if (old) memcpy(places, c->places, old * sizeof(struct place *));
    c->places = places, c->place_room = room;
    return true;
}

static struct place *place_at(struct compiler *c, struct trie_node *n) {
    if (!n || !places_reach(c, n->number)) return NULL;
    struct place *p = c->places[n->number];
    if (!p) {
        u32 one = 1;
        p = own_list(c, &one, sizeof *p);
        p->at = n;
        p->node.key = n->key;
        c->places[n->number] = p;
        struct place *up = n->parent != &c->paths->root ? place_at(c, n->parent) : NULL;
        if (up) p->node.parent = &up->node;
    }
    return p;
}

/* Rules of packages further up come first, as the reference walks the tree of packages. */
static void add_rule(struct compiler *c, struct place *p, struct ast_rule *r, u32 ground) {
    if (p->node.rule_count == p->rule_room) {
        u32 room = p->rule_room ? p->rule_room * 2 : 2;
        struct ast_rule **rules = own_list(c, &room, sizeof *rules);
        if (room <= p->rule_room) return;
        if (p->node.rule_count) memcpy(rules, p->node.rules, p->node.rule_count * sizeof *rules);
        p->node.rules = rules;
        p->rule_room = room;
    }
    u32 at = p->node.rule_count++;
    for (; at && p->node.rules[at - 1]->module->package->count > r->module->package->count; at--)
        p->node.rules[at] = p->node.rules[at - 1];
    p->node.rules[at] = r;
    if (ground < r->head->ref->count) p->node.has_ref_rules = true;
}

static void add_module(struct compiler *c, struct place *p, struct ast_module *m) {
    if (p->module_count == p->module_room) {
        u32 room = p->module_room ? p->module_room * 2 : 2;
        struct ast_module **modules = own_list(c, &room, sizeof *modules);
        if (room <= p->module_room) return;
        if (p->module_count) memcpy(modules, p->modules, p->module_count * sizeof *modules);
        p->modules = modules;
        p->module_room = room;
    }
    p->modules[p->module_count++] = m;
}

static struct trie_node *child_made(struct compiler *c, struct trie_node *n,
                                    const struct ast_term *key) {
    return key->kind == AST_VAR ? trie_make_str(c->paths, n, key->var)
                                : trie_make(c->paths, n, key->scalar);
}

void plant_module(struct compiler *c, struct ast_module *m) {
    struct trie_node *package = path_in(c->paths, m->package, m->package->count);
    struct place *home = place_at(c, package);
    if (!home) return;
    add_module(c, home, m);
    for (u32 i = 0; i < m->rule_count && !compile_stopped(c); i++) {
        struct ast_rule *r = m->rules[i];
        struct trie_node *n = package;
        bool whole = rule_is_finished(r);
        u32 k = whole ? m->package->count : 0;
        u32 len = whole ? notes_of(r)->ground : ref_ground_len(r->head->ref);
        for (; k < len && n; k++) n = child_made(c, n, r->head->ref->terms[k]);
        struct place *p = place_at(c, n);
        if (!p) return;
        add_rule(c, p, r, len);
        for (struct ast_rule *e = r; e; e = e->otherwise) notes_of(e)->place = p;
    }
}

void plant_rules(struct compiler *c) {
    EACH_MODULE(c, m) plant_module(c, m);
    struct trie_node *data = trie_make_str(c->paths, &c->paths->root, S("data"));
    c->data = place_at(c, data);
    struct trie_node *system = data ? trie_child_str(c->paths, data, S("system")) : NULL;
    struct place *hidden = place_at(c, system);
    if (hidden) hidden->node.hide = true;
}

/* NULL: no rule or package lies at, or beneath, the first `len` terms of the ref. */
struct place *place_of(const struct compiler *c, const struct ast_term *ref, u32 len) {
    const struct trie_node *n = &c->paths->root;
    for (u32 i = 0; i < len && n; i++) {
        if (ref->terms[i]->kind == AST_VAR && i) return NULL;
        n = trie_child_term(c->paths, n, ref->terms[i]);
    }
    return n && n != &c->paths->root ? node_place(c, n) : NULL;
}

/* ---- Names ---------------------------------------------------------------------------------- */

struct ast_term *rule_full_ref(struct compiler *c, struct ast_rule *r) {
    struct rule_notes *n = notes_of(r);
    if (n->full) return n->full;
    const struct ast_term *package = r->module->package, *head = r->head->ref;
    u32 count = package->count + head->count;
    struct ast_term **terms = compile_list(c, &count, sizeof *terms);
    if (count) {
        memcpy(terms, package->terms, package->count * sizeof *terms);
        memcpy(terms + package->count, head->terms, head->count * sizeof *terms);
        struct ast_term **name = &terms[package->count];
        if ((*name)->kind == AST_VAR) {
            str var = (*name)->var;
            *name = new_term(c, AST_STRING, &(*name)->at);
            struct trie_node *at = notes_of(r)->place ? notes_of(r)->place->at : NULL;
            /* the tree has this very string already, and goes with the rule */
            if (c->own != c->heap) at = NULL;
            for (u32 up = ref_ground_len(head); at && up > 1; up--) at = at->parent;
            (*name)->scalar =
                at && value_is(at->key, VALUE_STRING) && str_eq(value_str(at->key), var)
                    ? at->key
                    : value_string(c->heap, var);
        }
    }
    return n->full = new_list(c, AST_REF, &head->at, terms, count);
}

str rule_text(struct compiler *c, struct ast_rule *r) {
    return compile_term_text(c, rule_full_ref(c, r));
}

/* ---- For users of the program --------------------------------------------------------------- */

static void sort_nodes(struct rule_node **nodes, u32 count, struct rule_node **spare) {
    u32 half = count / 2, a = 0, b = half, n = 0, ordered = 1;
    while (ordered < count && value_compare(nodes[ordered - 1]->key, nodes[ordered]->key) < 0)
        ordered++;
    if (ordered >= count) return;
    sort_nodes(nodes, half, spare);
    sort_nodes(nodes + half, count - half, spare);
    while (a < half && b < count)
        spare[n++] = value_compare(nodes[a]->key, nodes[b]->key) <= 0 ? nodes[a++] : nodes[b++];
    while (a < half) spare[n++] = nodes[a++];
    while (b < count) spare[n++] = nodes[b++];
    memcpy(nodes, spare, count * sizeof *nodes);
}

static void finish_place(struct compiler *c, struct place *p) {
    u32 count = p->at->child_count, n = 0;
    if (!count) return;
    if (!compile_enter(c)) {
        compile_leave(c);
        return;
    }
    struct heap_mark mark = heap_mark(&c->scratch);
    struct rule_node **spare = heap_alloc(&c->scratch, count * sizeof *spare);
    p->node.children = own_list(c, &count, sizeof *p->node.children);
    for (struct trie_node *k = p->at->first; k && n < count; k = k->next) {
        struct place *child = node_place(c, k);
        if (child) p->node.children[n++] = &child->node;
    }
    p->node.child_count = n;
    if (spare) sort_nodes(p->node.children, n, spare);
    heap_release(&c->scratch, mark);
    for (struct trie_node *k = p->at->first; k; k = k->next)
        if (node_place(c, k)) finish_place(c, node_place(c, k));
    compile_leave(c);
}

/* Children sorted once for all; depth is that of the deepest path, which the parser bounds. */
void finish_tree(struct compiler *c) {
    if (c->data) finish_place(c, c->data);
}

struct rule_node *rule_node_find(const struct rule_node *n, value key) {
    u32 low = 0, high = n->child_count;
    while (low < high) {
        u32 mid = low + (high - low) / 2;
        int cmp = value_compare(n->children[mid]->key, key);
        if (cmp == 0) return n->children[mid];
        if (cmp < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

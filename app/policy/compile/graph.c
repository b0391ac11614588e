/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c — which rule needs which: an order in which callees come first, and the refusal of
 * rules that need themselves.
 *
 * A ref may mean every rule of a name, and `data.a` every rule beneath it: edges from rule to rule
 * would be a square of ten thousand. So the graph has, besides rules, three vertices per path,
 *
 *   RULES(p)   all rules at p, with their else branches
 *   BENEATH(p) all rules below p                 = RULES and BENEATH of each child
 *   ALL(p)     both
 *
 * and a ref makes a few edges to those. Strongly connected parts are found in one walk without
 * recursion (Tarjan's); a part with more than one rule, or with an edge to itself, is a cycle. */
#include "app/policy/compile/compile_impl.h"

enum kind { RULES, BENEATH, ALL, KINDS };

/* Vertices: rules by number, then KINDS for each node of the trie by number. */
struct graph {
    struct compiler *c;
    u32 count;
    struct edge_range {
        u32 from, to; /* to: 1 + the end; 0: not yet looked at */
    } * of_rule; /* which edges are whose */
    u32 *edges;
    u32 edge_count, edge_room;
};

static u32 vertex(const struct graph *g, const struct trie_node *n, enum kind kind) {
    return g->c->rule_count + n->number * KINDS + kind;
}

static const struct trie_node *node_of(const struct graph *g, u32 v) {
    return g->c->places[(v - g->c->rule_count) / KINDS]->at;
}

static bool has_rules(const struct graph *g, const struct trie_node *n) {
    const struct place *p = node_place(g->c, n);
    return p && p->node.rule_count;
}

static void add_edge(struct graph *g, u32 to) {
    if (g->edge_count == g->edge_room) {
        u32 room = g->edge_room ? g->edge_room * 2 : 1024;
        u32 *edges = heap_alloc(&g->c->lasting, room * sizeof *edges);
        if (!edges) return;
        if (g->edge_count) memcpy(edges, g->edges, g->edge_count * sizeof *edges);
        g->edges = edges;
        g->edge_room = room;
    }
    g->edges[g->edge_count++] = to;
}

/* ---- Edges of one ref ----------------------------------------------------------------------- */

static void ref_edges(struct graph *g, const struct trie_node *n, const struct ast_term *ref,
                      u32 i) {
    if (!compile_enter(g->c)) {
        compile_leave(g->c);
        return;
    }
    for (; i < ref->count; i++) {
        const struct ast_term *t = ref->terms[i];
        if (t->kind != AST_VAR || !i) {
            if (!is_scalar(t) && i) { /* a set or object as a key is no rule's */
                n = NULL;
                break;
            }
            n = trie_child_term(g->c->paths, n, t);
            if (!n) break;
            if (has_rules(g, n)) add_edge(g, vertex(g, n, RULES));
            continue;
        }
        if (i + 1 == ref->count) {
            add_edge(g, vertex(g, n, BENEATH));
            n = NULL;
            break;
        }
        for (const struct trie_node *k = n->first; k; k = k->next) {
            if (has_rules(g, k)) add_edge(g, vertex(g, k, RULES));
            ref_edges(g, k, ref, i + 1);
        }
        n = NULL;
        break;
    }
    if (n) add_edge(g, vertex(g, n, ALL));
    compile_leave(g->c);
}

/* The refs to data in a rule; `data` alone is seen once more than refs that begin with it. */
struct needs {
    struct ast_term **items;
    u32 count, room, heads;
};

static bool need_term(struct walk *w, struct ast_term *t) {
    struct needs *n = w->arg;
    if (t->kind == AST_VAR && is_var_named(t, "data")) n->heads++;
    if (t->kind != AST_REF || !t->count || !is_var_named(t->terms[0], "data")) return false;
    if (n->count == n->room) {
        u32 room = n->room ? n->room * 2 : 16;
        struct ast_term **items = heap_alloc(&w->c->scratch, room * sizeof *items);
        if (!items) return false;
        if (n->count) memcpy(items, n->items, n->count * sizeof *items);
        n->items = items, n->room = room;
    }
    n->items[n->count++] = t;
    return false;
}

static void gather_needs(struct compiler *c, struct ast_rule *r) {
    struct rule_notes *notes = notes_of(r);
    struct needs n = {0};
    struct walk w = {.c = c, .term = need_term, .arg = &n};
    if (notes->has & HAS_DATA) walk_rule(&w, r);
    notes->needs_all = n.heads > n.count;
    u32 count = n.count;
    if (count) notes->needs = compile_list(c, &count, sizeof *notes->needs);
    notes->need_count = count;
    if (count) memcpy(notes->needs, n.items, count * sizeof *n.items);
}

/* Once the tree of rules stands, before the first rule is noted. */
void graph_open(struct compiler *c) {
    struct graph *g = heap_alloc(&c->lasting, sizeof *g);
    if (!g) return;
    *g = (struct graph){.c = c, .count = c->rule_count + c->paths->count * KINDS};
    g->of_rule = heap_alloc(&c->lasting, (c->rule_count + 1) * sizeof *g->of_rule);
    if (!g->of_rule) return;
    memset(g->of_rule, 0, (c->rule_count + 1) * sizeof *g->of_rule);
    c->graph = g;
}

/* Its edges, while the rule is near. True: it needs no other rule. */
bool graph_note(struct compiler *c, struct ast_rule *r) {
    struct graph *g = c->graph;
    const struct rule_notes *notes = notes_of(r);
    if (!g) return false;
    u32 from = g->edge_count;
    if (!rule_is_finished(r)) gather_needs(c, r);
    for (u32 i = 0; i < notes->need_count; i++) ref_edges(g, &c->paths->root, notes->needs[i], 0);
    g->of_rule[notes_of(r)->number] = (struct edge_range){from, g->edge_count + 1};
    return g->edge_count == from;
}

/* ---- Going along edges ---------------------------------------------------------------------- */

/* Where a look at a vertex's edges has come to. */
struct cursor {
    u32 at; /* the vertex */
    u32 i;
    const struct trie_node *child;
    const struct ast_rule *rule;
};

/* Rules that are kept have their refs told already: their edges are made when somebody comes by. */
static struct cursor cursor_at(const struct graph *g, u32 v) {
    struct cursor k = {.at = v};
    u32 rules = g->c->rule_count;
    if (v < rules) {
        if (!g->of_rule[v].to) graph_note(g->c, g->c->rules[v]);
        k.i = g->of_rule[v].from;
    } else if ((v - rules) % KINDS == BENEATH) {
        k.child = node_of(g, v)->first;
    }
    return k;
}

static bool next_of_rules(struct cursor *k, const struct place *p, u32 *out) {
    if (k->rule) k->rule = k->rule->otherwise;
    while (!k->rule && p && k->i < p->node.rule_count) k->rule = p->node.rules[k->i++];
    if (!k->rule) return false;
    *out = notes_of(k->rule)->number;
    return true;
}

static bool next_edge(const struct graph *g, struct cursor *k, u32 *out) {
    u32 rules = g->c->rule_count;
    if (k->at < rules) {
        if (k->i + 1 >= g->of_rule[k->at].to) return false;
        *out = g->edges[k->i++];
        return true;
    }
    const struct trie_node *n = node_of(g, k->at);
    switch ((k->at - rules) % KINDS) {
    case RULES: return next_of_rules(k, node_place(g->c, n), out);
    case ALL:
        if (k->i > 1) return false;
        *out = vertex(g, n, k->i++ ? BENEATH : RULES);
        return true;
    default:
        if (!k->child) return false;
        *out = vertex(g, k->child, ALL);
        k->child = k->child->next;
        return true;
    }
}

/* ---- Strongly connected parts ---------------------------------------------------------------- */

struct tarjan {
    u32 *index, *low; /* 0: not yet seen */
    bool *on_stack, *cyclic;
    u32 *stack;
    struct cursor *path;
    u32 stack_count, path_count, next;
};

static bool open_tarjan(struct tarjan *t, const struct graph *g) {
    struct heap *h = &g->c->scratch;
    size_t n = g->count + 1;
    *t = (struct tarjan){.next = 1};
    t->index = heap_alloc(h, n * sizeof *t->index);
    t->low = heap_alloc(h, n * sizeof *t->low);
    t->on_stack = heap_alloc(h, n);
    t->cyclic = heap_alloc(h, n);
    t->stack = heap_alloc(h, n * sizeof *t->stack);
    t->path = heap_alloc(h, n * sizeof *t->path);
    if (!t->index || !t->low || !t->on_stack || !t->cyclic || !t->stack || !t->path) return false;
    memset(t->index, 0, n * sizeof *t->index);
    memset(t->on_stack, 0, n);
    memset(t->cyclic, 0, n);
    return true;
}

static void visit(struct tarjan *t, const struct graph *g, u32 v) {
    t->index[v] = t->low[v] = t->next++;
    t->stack[t->stack_count++] = v;
    t->on_stack[v] = true;
    t->path[t->path_count++] = cursor_at(g, v);
}

/* The part that ends at v: its rules go into the order; they are a cycle if they are several, or
 * one that goes through a vertex of a path back to itself. */
static void close_part(struct tarjan *t, const struct graph *g, u32 v) {
    struct compiled *out = g->c->out;
    u32 first = t->stack_count;
    while (t->stack[first - 1] != v) first--;
    bool cyclic = t->stack_count - (first - 1) > 1;
    for (u32 i = first - 1; i < t->stack_count; i++) {
        u32 w = t->stack[i];
        t->on_stack[w] = false;
        t->cyclic[w] = cyclic;
        if (w < g->c->rule_count && out->order) out->order[out->order_count++] = g->c->rules[w];
    }
    t->stack_count = first - 1;
}

static void strong_parts(struct tarjan *t, const struct graph *g, u32 root) {
    visit(t, g, root);
    while (t->path_count) {
        struct cursor *k = &t->path[t->path_count - 1];
        u32 v = k->at, w;
        if (next_edge(g, k, &w)) {
            if (!t->index[w])
                visit(t, g, w);
            else if (t->on_stack[w])
                t->low[v] = MIN(t->low[v], t->index[w]);
            continue;
        }
        if (t->low[v] == t->index[v]) close_part(t, g, v);
        if (--t->path_count) {
            u32 up = t->path[t->path_count - 1].at;
            t->low[up] = MIN(t->low[up], t->low[v]);
        }
    }
}

/* ---- Telling a cycle ------------------------------------------------------------------------ */

/* Depth first from the rule back to it. The path is what leads there: rules alone are told. */
static bool find_cycle(struct tarjan *t, const struct graph *g, u32 start) {
    memset(t->on_stack, 0, g->count);
    t->path_count = 0;
    t->path[t->path_count++] = cursor_at(g, start);
    t->on_stack[start] = true;
    while (t->path_count) {
        u32 w;
        if (!next_edge(g, &t->path[t->path_count - 1], &w)) {
            t->path_count--;
            continue;
        }
        if (w == start) return true;
        if (t->on_stack[w] || !t->cyclic[w]) continue;
        t->on_stack[w] = true;
        t->path[t->path_count++] = cursor_at(g, w);
    }
    return false;
}

static void tell_cycle(struct tarjan *t, const struct graph *g, struct ast_rule *r) {
    struct compiler *c = g->c;
    struct buf b;
    if (!find_cycle(t, g, notes_of(r)->number)) return;
    str name = rule_text(c, r);
    buf_open(&b, KIB(64));
    rc_t rc = RC_OK;
    for (u32 i = 0; i < t->path_count; i++) {
        if (t->path[i].at >= c->rule_count) continue;
        str step = rule_text(c, c->rules[t->path[i].at]);
        rc = buf_printf(&b, "%.*s -> ", STR(step));
    }
    rc = buf_add(&b, name);
    str text = compile_text(c, &b);
    buf_close(&b);
    compile_error(c, POLICY_RECURSION_ERROR, &r->at, "rule %.*s is recursive: %.*s", STR(name),
                  STR(text));
    (void)rc; /* cut at the limit: it is a message */
}

static void tell_beneath(struct tarjan *t, const struct graph *g, const struct trie_node *n) {
    struct compiler *c = g->c;
    if (compile_enter(c))
        for (const struct trie_node *k = n->first; k && !compile_full(c); k = k->next) {
            const struct place *p = node_place(c, k);
            for (u32 i = 0; p && i < p->node.rule_count && !compile_full(c); i++)
                for (struct ast_rule *r = p->node.rules[i]; r; r = r->otherwise)
                    if (t->cyclic[notes_of(r)->number]) tell_cycle(t, g, r);
            tell_beneath(t, g, k);
        }
    compile_leave(c);
}

void check_recursion(struct compiler *c) {
    struct heap_mark mark = heap_mark(&c->scratch);
    const struct graph *g = c->graph;
    struct tarjan t;
    u32 count = c->rule_count;
    c->out->order = own_list(c, &count, sizeof *c->out->order);
    c->out->order_count = 0;
    if (g && count && open_tarjan(&t, g)) {
        bool any = false;
        for (u32 i = 0; i < c->rule_count; i++)
            if (!t.index[i]) strong_parts(&t, g, i);
        for (u32 i = 0; i < c->rule_count; i++) any |= t.cyclic[i];
        if (any) tell_beneath(&t, g, &c->paths->root);
    }
    heap_release(&c->scratch, mark);
}

/* A cycle that was not there before goes through a rule that is new; what those reach is all that
 * is looked at. Told without the path: whoever asks this compiles everything after an error. */
void check_recursion_from(struct compiler *c, u32 from) {
    struct heap_mark mark = heap_mark(&c->scratch);
    const struct graph *g = c->graph;
    struct tarjan t;
    if (g && open_tarjan(&t, g)) {
        for (u32 i = from; i < c->rule_count && !compile_stopped(c); i++) {
            if (!t.index[i]) strong_parts(&t, g, i);
            if (t.cyclic[i])
                compile_error(c, POLICY_RECURSION_ERROR, &c->rules[i]->at, "rule is recursive");
        }
    }
    heap_release(&c->scratch, mark);
}

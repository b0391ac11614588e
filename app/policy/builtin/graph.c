/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c — walk, graph.reachable, graph.reachable_paths.
 *
 * A graph is an object: vertex -> its neighbours, an array or a set. Work is counted edge by edge,
 * so that a graph with endless many paths ends at the evaluation's budget. */
#include "app/policy/builtin/builtin_impl.h"

/* ---- walk: every value within, with its path. Depth is bounded by that of values. ---- */

struct walk {
    struct builtin_call *call;
    struct value_builder out;
    value path[VALUE_DEPTH_MAX + 1];
};

static void walk(struct walk *w, value v, u32 depth) {
    if (!builtin_tick(w->call, 1 + depth / 4)) return;
    value pair[2] = {value_array(w->call->heap, w->path, depth), v};
    value_builder_add(&w->out, value_array(w->call->heap, pair, 2));
    if (depth == VALUE_DEPTH_MAX) return;
    for (u32 i = 0; i < value_count(v) && !w->call->failed && !w->call->heap->exhausted; i++) {
        value next = v.kind == VALUE_OBJECT ? value_value_at(v, i) : value_item(v, i);
        w->path[depth] = v.kind == VALUE_ARRAY ? value_integer(i)
                         : v.kind == VALUE_SET ? next
                                               : value_key_at(v, i);
        walk(w, next, depth + 1);
    }
}

value builtin_walk(struct builtin_call *c, const value *args) {
    struct walk *w = heap_alloc(c->heap, sizeof(*w));
    if (!w) return UNDEFINED;
    w->call = c;
    value_builder_open(&w->out, c->heap, VALUE_ARRAY);
    walk(w, args[0], 0);
    if (c->failed || c->heap->exhausted) return UNDEFINED;
    return value_builder_close(&w->out);
}

/* ---- Reaching ---- */

static bool take_graph(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT)) return false;
    if (builtin_is_sequence(args[1])) return true;
    builtin_fail_operand_because(c, 2, "must be {array, set} but got %s",
                                 value_kind_name(args[1].kind));
    return false;
}
static u32 edges(value v) { return builtin_is_sequence(v) ? value_count(v) : 0; }

value builtin_graph_reachable(struct builtin_call *c, const value *args) {
    struct value_builder seen, queue;
    if (!take_graph(c, args)) return UNDEFINED;
    value_builder_open(&seen, c->heap, VALUE_SET);
    value_builder_open(&queue, c->heap, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(args[1]); i++)
        value_builder_add(&queue, value_item(args[1], i));
    for (u32 at = 0; at < queue.count && !c->heap->exhausted; at++) {
        value vertex = queue.keys[at], next = value_get(args[0], vertex);
        if (!builtin_tick(c, 1 + edges(next))) return UNDEFINED;
        if (!value_defined(next) || value_defined(value_builder_find(&seen, vertex))) continue;
        value_builder_add(&seen, vertex);
        for (u32 i = 0; i < edges(next); i++) value_builder_add(&queue, value_item(next, i));
    }
    return value_builder_close(&seen);
}

struct paths {
    struct builtin_call *call;
    value graph;
    struct value_builder out;
    struct value_builder path;
};

static void add_path(struct paths *p) {
    value_builder_add(&p->out, value_array(p->call->heap, p->path.keys, p->path.count));
}
static bool on_path(const struct paths *p, value vertex) {
    for (u32 i = 0; i < p->path.count; i++)
        if (value_equal(p->path.keys[i], vertex)) return true;
    return false;
}

/* One level per vertex of the path: a stack of positions instead of recursion, since a path may be
 * as long as the graph is large. */
static void all_paths(struct paths *p, value start) {
    struct value_builder positions;
    struct heap *h = p->call->heap;
    value_builder_open(&positions, h, VALUE_ARRAY);
    value_builder_add(&p->path, start);
    value_builder_add(&positions, value_integer(0));
    while (p->path.count && !h->exhausted && builtin_tick(p->call, 1 + p->path.count / 8)) {
        value next = value_get(p->graph, p->path.keys[p->path.count - 1]);
        s64 *at = &positions.keys[positions.count - 1].integer;
        if (*at == 0 && edges(next) == 0) add_path(p);
        if (*at >= edges(next)) {
            p->path.count--, positions.count--;
            continue;
        }
        value vertex = value_item(next, (u32)(*at)++);
        /* A vertex that is not in the graph, or was passed already, ends the path before it; only
         * the start may follow itself once, as the reference has it. */
        if (!value_defined(value_get(p->graph, vertex)) ||
            (p->path.count > 1 && on_path(p, vertex))) {
            add_path(p);
            continue;
        }
        value_builder_add(&p->path, vertex);
        value_builder_add(&positions, value_integer(0));
    }
}

value builtin_graph_reachable_paths(struct builtin_call *c, const value *args) {
    struct paths p = {.call = c, .graph = args[0]};
    if (!take_graph(c, args)) return UNDEFINED;
    value_builder_open(&p.out, c->heap, VALUE_SET);
    for (u32 i = 0; i < value_count(args[1]) && !c->failed; i++) {
        value_builder_open(&p.path, c->heap, VALUE_ARRAY);
        if (value_defined(value_get(args[0], value_item(args[1], i))))
            all_paths(&p, value_item(args[1], i));
    }
    return c->failed || c->heap->exhausted ? UNDEFINED : value_builder_close(&p.out);
}

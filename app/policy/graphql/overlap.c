/* SPDX-License-Identifier: Apache-2.0 */
/* overlap.c — can the fields of a selection be merged (October 2021, 5.3.2)? Two fields that answer
 * under one name must be the same field with the same arguments and types that do not contradict.
 *
 *   fields of a set, inline fragments opened        compared with each other, and with
 *   fragments spread in it, and in these            their fields, and with one another
 *
 * Pairs of fragments are compared once; every comparison is paid for, since sets of sets of sets
 * grow fast. */
#include "app/policy/graphql/graphql_impl.h"

struct named {
    str name;
    GQL_LIST(gql_selection) fields;
};
struct collected {
    GQL_LIST(named) names; /* in order of first use */
    struct gql_map by_name;
    GQL_LIST(gql_selection) spreads;
};
struct conflict {
    str name, why; /* why: empty when `below` tells */
    struct gql_place at;
    GQL_LIST(conflict) below;
};
typedef GQL_LIST(conflict) conflicts;

struct comparing {
    struct gql_walk *w;
    struct gql_map *compared_fragments;
    u32 depth;
};

static void collect(struct comparing *x, const gql_selections *list, struct collected *to,
                    u32 depth) {
    struct heap *h = x->w->context->heap;
    for (u32 i = 0; depth < GRAPHQL_DEPTH_MAX && i < list->count && graphql_walk_on(x->w, 1); i++) {
        struct gql_selection *s = list->items[i];
        if (s->kind == GQL_INLINE)
            collect(x, (const gql_selections *)&s->selections, to, depth + 1);
        else if (s->kind == GQL_SPREAD)
            graphql_push(h, &to->spreads, s);
        else {
            str name = s->alias.len ? s->alias : s->name;
            struct named *n = graphql_map_get(&to->by_name, name);
            if (!n) {
                n = GQL_NEW(x->w->context, named);
                if (!n) return;
                n->name = name;
                graphql_map_put(h, &to->by_name, name, n);
                graphql_push(h, &to->names, n);
            }
            graphql_push(h, &n->fields, s);
        }
    }
}

static bool same_arguments(const struct gql_selection *a, const struct gql_selection *b) {
    if (a->arguments.count != b->arguments.count) return false;
    for (u32 i = 0; i < a->arguments.count; i++) {
        const struct gql_argument *x = a->arguments.items[i], *found = NULL;
        for (u32 j = 0; !found && j < b->arguments.count; j++)
            if (str_eq(b->arguments.items[j]->name, x->name)) found = b->arguments.items[j];
        if (!found || found->value->kind != x->value->kind ||
            !str_eq(found->value->raw, x->value->raw))
            return false;
    }
    return true;
}

static bool types_conflict(struct gql_walk *w, const struct gql_type *a, const struct gql_type *b) {
    for (; a->elem && b->elem; a = a->elem, b = b->elem) {
    }
    if (a->elem || b->elem || a->non_null != b->non_null) return true;
    const struct gql_definition *x = graphql_map_get(&w->schema->types, a->name),
                                *y = graphql_map_get(&w->schema->types, b->name);
    if (!x || !y) return false;
    bool leaves = (x->kind == GQL_KIND_SCALAR || x->kind == GQL_KIND_ENUM) &&
                  (y->kind == GQL_KIND_SCALAR || y->kind == GQL_KIND_ENUM);
    return leaves && x != y;
}

static struct conflict *make(struct comparing *x, const struct gql_selection *a,
                             const struct gql_selection *b, const struct buf *why) {
    struct conflict *c = GQL_NEW(x->w->context, conflict);
    if (!c) return NULL;
    value text = value_string(x->w->context->heap, why ? buf_str(why) : (str){0});
    *c = (struct conflict){.name = a->alias.len ? a->alias : a->name, .at = b->at};
    if (why && value_is(text, VALUE_STRING)) c->why = value_str(text);
    return c;
}

static void compare_sets(struct comparing *x, bool exclusive, const gql_selections *a,
                         const gql_selections *b, conflicts *out);

static struct conflict *compare(struct comparing *x, bool exclusive, const struct gql_selection *a,
                                const struct gql_selection *b) {
    if (!a->definition || !a->parent || !b->definition || !b->parent || !graphql_walk_on(x->w, 1))
        return NULL;
    exclusive = exclusive || (a->parent != b->parent && a->parent->kind == GQL_KIND_OBJECT &&
                              b->parent->kind == GQL_KIND_OBJECT);
    struct buf why;
    buf_open(&why, KIB(4));
    if (!exclusive && !str_eq(a->name, b->name))
        (void)buf_printf(&why, "\"%.*s\" and \"%.*s\" are different fields", STR(a->name),
                         STR(b->name));
    else if (!exclusive && !same_arguments(a, b))
        (void)buf_add(&why, S("they have differing arguments"));
    else if (types_conflict(x->w, a->definition->type, b->definition->type)) {
        (void)buf_add(&why, S("they return conflicting types \""));
        graphql_type_write(&why, a->definition->type);
        (void)buf_add(&why, S("\" and \""));
        graphql_type_write(&why, b->definition->type);
        (void)buf_add_byte(&why, '"');
    }
    struct conflict *found = why.len ? make(x, a, b, &why) : NULL;
    buf_close(&why);
    if (found || x->depth == GRAPHQL_DEPTH_MAX) return found;
    conflicts below = {0};
    x->depth++;
    compare_sets(x, exclusive, (const gql_selections *)&a->selections,
                 (const gql_selections *)&b->selections, &below);
    x->depth--;
    if (!below.count) return NULL;
    found = make(x, a, b, NULL);
    for (u32 i = 0; found && i < below.count; i++)
        graphql_push(x->w->context->heap, &found->below, below.items[i]);
    return found;
}

static void compare_collected(struct comparing *x, bool exclusive, const struct collected *a,
                              const struct collected *b, conflicts *out) {
    for (u32 i = 0; i < a->names.count; i++) {
        const struct named *n = a->names.items[i], *m = graphql_map_get(&b->by_name, n->name);
        for (u32 j = 0; m && j < n->fields.count; j++)
            for (u32 k = 0; k < m->fields.count && graphql_walk_on(x->w, 1); k++)
                graphql_push(x->w->context->heap, out,
                             compare(x, exclusive, n->fields.items[j], m->fields.items[k]));
    }
}

static bool same_fields(const struct collected *a, const struct collected *b) {
    if (a->names.count != b->names.count) return false;
    for (u32 i = 0; i < a->names.count; i++) {
        const struct named *n = a->names.items[i], *m = b->names.items[i];
        if (n->fields.count != m->fields.count) return false;
        for (u32 j = 0; j < n->fields.count; j++)
            if (n->fields.items[j] != m->fields.items[j]) return false;
    }
    return true;
}

static void compare_with_fragment(struct comparing *x, bool exclusive, const struct collected *a,
                                  const struct gql_selection *spread, conflicts *out) {
    struct collected b = {0};
    if (graphql_map_get(x->compared_fragments, spread->name) || !graphql_walk_on(x->w, 1)) return;
    graphql_map_put(x->w->context->heap, x->compared_fragments, spread->name,
                    (void *)(uintptr_t)spread);
    if (!spread->fragment || x->depth == GRAPHQL_DEPTH_MAX) return;
    collect(x, &spread->fragment->selections, &b, 0);
    if (same_fields(a, &b)) return;
    compare_collected(x, exclusive, a, &b, out);
    x->depth++;
    for (u32 i = 0; i < b.spreads.count; i++)
        if (!str_eq(b.spreads.items[i]->name, spread->name))
            compare_with_fragment(x, exclusive, a, b.spreads.items[i], out);
    x->depth--;
}

/* Once per pair; a pair known to clash though exclusive says nothing of one that is not. */
static bool was_compared(struct comparing *x, str a, str b, bool exclusive) {
    static const char as_exclusive = 0, as_any = 0;
    bool swap = str_cmp(a, b) > 0;
    str first = swap ? b : a, second = swap ? a : b;
    char *key = heap_alloc(x->w->context->heap, first.len + 1 + second.len);
    if (!key) return true;
    memcpy(key, first.ptr, first.len);
    key[first.len] = 0;
    memcpy(key + first.len + 1, second.ptr, second.len);
    str pair = str_of(key, first.len + 1 + second.len);
    const void *seen = graphql_map_get(&x->w->compared_pairs, pair);
    if (seen == &as_any || (seen && exclusive)) return true;
    graphql_map_put(x->w->context->heap, &x->w->compared_pairs, pair,
                    (void *)(uintptr_t)(exclusive ? &as_exclusive : &as_any));
    return false;
}

static void compare_fragments(struct comparing *x, bool exclusive, const struct gql_selection *a,
                              const struct gql_selection *b, conflicts *out) {
    struct collected in_a = {0}, in_b = {0};
    if (str_eq(a->name, b->name) || !graphql_walk_on(x->w, 1) ||
        was_compared(x, a->name, b->name, exclusive))
        return;
    if (!a->fragment || !b->fragment || x->depth == GRAPHQL_DEPTH_MAX) return;
    collect(x, &a->fragment->selections, &in_a, 0);
    collect(x, &b->fragment->selections, &in_b, 0);
    compare_collected(x, exclusive, &in_a, &in_b, out);
    x->depth++;
    for (u32 i = 0; i < in_b.spreads.count; i++)
        compare_fragments(x, exclusive, a, in_b.spreads.items[i], out);
    for (u32 i = 0; i < in_a.spreads.count; i++)
        compare_fragments(x, exclusive, in_a.spreads.items[i], b, out);
    x->depth--;
}

static void compare_sets(struct comparing *x, bool exclusive, const gql_selections *a,
                         const gql_selections *b, conflicts *out) {
    struct collected in_a = {0}, in_b = {0};
    struct gql_map *outer = x->compared_fragments;
    if (!a->count || !b->count) return;
    collect(x, a, &in_a, 0);
    collect(x, b, &in_b, 0);
    compare_collected(x, exclusive, &in_a, &in_b, out);
    for (u32 i = 0; i < in_b.spreads.count; i++) {
        struct gql_map seen = {0};
        x->compared_fragments = &seen;
        compare_with_fragment(x, exclusive, &in_a, in_b.spreads.items[i], out);
    }
    for (u32 i = 0; i < in_a.spreads.count; i++) {
        struct gql_map seen = {0};
        x->compared_fragments = &seen;
        compare_with_fragment(x, exclusive, &in_b, in_a.spreads.items[i], out);
    }
    x->compared_fragments = outer;
    for (u32 i = 0; i < in_a.spreads.count; i++)
        for (u32 j = 0; j < in_b.spreads.count; j++)
            compare_fragments(x, exclusive, in_a.spreads.items[i], in_b.spreads.items[j], out);
}

static void write_why(struct buf *to, const struct conflict *c) { /* as deep as comparing went */
    if (!c->below.count) {
        (void)buf_add(to, c->why);
        return;
    }
    for (u32 i = 0; i < c->below.count && !to->failed; i++) {
        (void)buf_printf(to, "%ssubfields \"%.*s\" conflict because ", i ? " and " : "",
                         STR(c->below.items[i]->name));
        write_why(to, c->below.items[i]);
    }
}

void graphql_overlap_check(struct gql_walk *w, const gql_selections *selections) {
    struct collected set = {0};
    struct gql_map seen = {0};
    struct comparing x = {.w = w, .compared_fragments = &seen};
    conflicts found = {0};
    if (!selections->count) return;
    collect(&x, selections, &set, 0);
    for (u32 i = 0; i < set.names.count; i++) {
        const struct named *n = set.names.items[i];
        for (u32 j = 0; j < n->fields.count; j++)
            for (u32 k = j + 1; k < n->fields.count && graphql_walk_on(w, 1); k++)
                graphql_push(w->context->heap, &found,
                             compare(&x, false, n->fields.items[j], n->fields.items[k]));
    }
    for (u32 i = 0; i < set.spreads.count; i++) {
        compare_with_fragment(&x, false, &set, set.spreads.items[i], &found);
        for (u32 j = i + 1; j < set.spreads.count; j++)
            compare_fragments(&x, false, set.spreads.items[i], set.spreads.items[j], &found);
    }
    for (u32 i = 0; i < found.count; i++) {
        struct buf why;
        buf_open(&why, KIB(2));
        write_why(&why, found.items[i]);
        graphql_report(
            w, found.items[i]->at,
            "Fields \"%.*s\" conflict because %.*s. Use different aliases on the fields to "
            "fetch both if this was intentional.",
            STR(found.items[i]->name), (int)why.len, why.ptr ? why.ptr : "");
        buf_close(&why);
    }
}
